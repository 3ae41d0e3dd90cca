//! The control protocol between `goodwatt` and `goodwattd`, version 1.
//!
//! One JSON object a line over a Unix socket, one answer a line, in order. The whole protocol is
//! this file; `docs/control-protocol.md` shows it with examples.
//!
//! ```text
//! -> {"protocol":1,"call":"account","address":"good1..."}
//! <- {"protocol":1,"ok":{"address":"good1...","balance_grains":75000000,...}}
//! <- {"protocol":1,"error":{"kind":"not_found","message":"..."}}
//! ```

use serde::{Deserialize, Serialize};

/// The version spoken here.
pub const PROTOCOL_VERSION: u32 = 1;

/// The longest line either side reads, in bytes: a full page of history fits four times.
pub const LINE_BYTES_MAX: usize = 256 * 1_024;

/// The most entries in one page of a list.
pub const PAGE_MAX: usize = 200;

/// One request.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Request {
    /// [`PROTOCOL_VERSION`].
    pub protocol: u32,
    /// What is asked.
    #[serde(flatten)]
    pub call: Call,
}

impl Request {
    /// A request in the version spoken here.
    #[must_use]
    pub const fn new(call: Call) -> Self {
        Self { protocol: PROTOCOL_VERSION, call }
    }
}

/// What can be asked of the daemon.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum Call {
    /// How the validator is: [`Status`].
    Status,
    /// What the chain is: [`ChainInfo`].
    Chain,
    /// Hands in a transaction: [`Submitted`].
    Submit {
        /// The transaction's bytes, hexadecimal.
        transaction: String,
        /// Answer when its block is on disk, not when it is admitted.
        #[serde(default)]
        wait: bool,
    },
    /// An account: [`AccountInfo`].
    Account {
        /// Its address.
        address: String,
    },
    /// A transaction by its id: [`TransactionInfo`].
    Transaction {
        /// Its id.
        id: String,
    },
    /// The transactions of an account, the latest first: [`History`].
    History {
        /// Its address.
        address: String,
        /// The most entries, at most [`PAGE_MAX`].
        limit: usize,
    },
    /// The slots: [`Slots`].
    Slots,
    /// Makes a fresh signer key for a purchase: [`FreshSigner`].
    NewSigner {
        /// The account that will buy.
        buyer: String,
    },
    /// Gives the owner's key to buy a slot in each epoch, until the daemon ends: [`Buying`].
    #[cfg(feature = "finger")]
    BuySlots {
        /// The seed of the account, hexadecimal.
        seed: AccountSeed,
        /// What is paid for a slot.
        price_grains: u64,
        /// What may be spent in one epoch.
        cap_grains: u64,
    },
    /// Takes that key away: [`Buying`].
    #[cfg(feature = "finger")]
    StopBuying,
    /// Whether slots are bought: [`Buying`].
    #[cfg(feature = "finger")]
    Buying,
    /// All associations: a list of [`AssociationInfo`].
    Associations,
    /// One association: [`AssociationInfo`].
    Association {
        /// Its id.
        id: String,
    },
    /// What was donated, and where it is: [`Donations`].
    Donations,
    /// Watts with method, scope and error: [`PowerInfo`].
    Power,
    /// What the validators reported of the term that ended last: [`EnergyInfo`].
    Energy,
    /// Starts or stops signing: [`Status`].
    Signing {
        /// Whether to sign.
        on: bool,
        /// The owner's word that the clock is right, where nothing else speaks for it.
        #[serde(default)]
        clock_is_right: bool,
    },
    /// The signing guard in its exchange format: [`GuardText`].
    GuardExport,
    /// Who is connected, and who is kept out: [`Peers`].
    Peers,
    /// Calls a node from now on, until the next start: [`Peers`].
    AddPeer {
        /// Host and port.
        address: String,
    },
    /// Keeps a node out for a time, also over restarts: [`Peers`].
    BanPeer {
        /// Its id.
        peer: String,
        /// For how long.
        seconds: u64,
    },
    /// Lets a banned node in again: [`Peers`].
    UnbanPeer {
        /// Its id.
        peer: String,
    },
}

/// One answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Response {
    /// [`PROTOCOL_VERSION`].
    pub protocol: u32,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a request.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done; the value depends on the call.
    Ok(serde_json::Value),
    /// It was not done.
    Error(Fault),
}

/// Why a request was not done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What a program can go by.
    pub kind: FaultKind,
    /// What a person can go by.
    pub message: String,
}

impl Fault {
    /// A fault of one kind.
    #[expect(clippy::needless_pass_by_value, reason = "an error ends here")]
    pub fn new(kind: FaultKind, message: impl ToString) -> Self {
        Self { kind, message: message.to_string() }
    }
}

/// Whose fault it is, and what may help.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The request is not understood: version, form, an address or id.
    Invalid,
    /// The rules refuse the transaction.
    Refused,
    /// There is no such thing.
    NotFound,
    /// Not now: the mempool is full, or the daemon is stopping.
    Busy,
    /// The daemon itself failed; its log says more.
    Failed,
}

/// See [`Call::Status`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Status {
    /// `goodwattd`'s version.
    pub version: String,
    /// The chain's name.
    pub chain_name: String,
    /// The chain's id.
    pub chain_id: String,
    /// Height of the tip.
    pub height: u64,
    /// Id of the tip.
    pub block_id: String,
    /// Root of the state.
    pub state_root: String,
    /// Time of the tip, milliseconds since 1970.
    pub block_time_unix_ms: u64,
    /// The epoch in charge.
    pub epoch: u64,
    /// How many validators are in charge.
    pub validators: usize,
    /// Whether too few slots were bought, so that a former set carries on.
    pub carried_on: bool,
    /// Whether a signer key of this node is in charge.
    pub in_charge: bool,
    /// Whether this node signs.
    pub signing: bool,
    /// Why it does not, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_signing_because: Option<String>,
    /// Transactions that wait.
    pub mempool_transactions: usize,
    /// Their bytes.
    pub mempool_bytes: usize,
    /// Transactions sealed since the first block.
    pub transactions: u64,
    /// All that was ever donated.
    pub donated_grains: u64,
    /// Seconds since start.
    pub uptime_s: u64,
    /// Watts.
    pub power: PowerInfo,
    /// What the process uses.
    pub usage: Usage,
    /// Signatures the guard refused since start.
    pub guard_refusals: u64,
    /// How far catching up has come, while it is behind others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catching_up: Option<CatchingUp>,
}

/// How far catching up has come.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct CatchingUp {
    /// The height where it began.
    pub from: u64,
    /// The height that others say they have.
    pub target: u64,
    /// How much of it is done.
    pub percent: u64,
    /// How long it may still take, as fast as it went so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
}

/// What the daemon's process uses.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Usage {
    /// Resident memory.
    pub resident_bytes: u64,
    /// Wake-ups since start: context switches of all threads.
    pub wakeups: u64,
    /// Bytes handed to the disk since start.
    pub written_bytes: u64,
    /// Processor time since start.
    pub cpu_ms: u64,
}

/// See [`Call::Power`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PowerInfo {
    /// Power of what `scope` says.
    pub power_microwatts: u64,
    /// `measured` or `modelled`.
    pub power_method: String,
    /// `board_input`, `wall`, `rails` or `cpu_package`.
    pub power_scope: String,
    /// Relative error bound, such as `+-25 %`.
    pub power_error: String,
    /// The same in parts per million.
    pub power_error_ppm: u32,
    /// Where it comes from.
    pub sensor: String,
    /// The shunt that is computed with, of sensors that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shunt: Option<String>,
    /// How old the figure is.
    pub age_ms: u64,
    /// Energy since start: what was measured, and apart from it what was modelled.
    pub energy: Vec<EnergyAccount>,
    /// Time without a figure.
    pub uncovered_ms: u64,
    /// Whole board, per block since start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joules_per_block: Option<f64>,
    /// Whole board, per transaction since start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joules_per_transaction: Option<f64>,
    /// What this process caused beyond idling, per block since start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marginal_joules_per_block: Option<f64>,
    /// What this process caused beyond idling, per transaction since start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marginal_joules_per_transaction: Option<f64>,
    /// What has to be known about the figures.
    pub notes: Vec<String>,
    /// What else was looked at and why it was not used.
    pub skipped: Vec<SkippedSource>,
    /// What is wrong with the source in use, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What became of the last energy report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

impl PowerInfo {
    /// All energy since start as far as it may be added up: figures of one scope alone.
    #[must_use]
    pub fn whole(&self) -> Option<u64> {
        let first = self.energy.first()?;
        let same = self.energy.iter().all(|account| account.scope == first.scope);
        same.then(|| self.energy.iter().map(|account| account.microjoules).sum())
    }
}

/// Energy of one method and scope, which are never added up with others.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EnergyAccount {
    /// `measured` or `modelled`.
    pub method: String,
    /// `board_input`, `wall`, `rails` or `cpu_package`.
    pub scope: String,
    /// The energy.
    pub microjoules: u64,
    /// By how much it may be off.
    pub uncertainty_microjoules: u64,
    /// Of this, what this process caused beyond idling; absent where idle power is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marginal_microjoules: Option<u64>,
}

/// See [`Call::Energy`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EnergyInfo {
    /// The term that ended last; absent before one has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// How long a term is.
    pub term_ms: u64,
    /// Transactions in it.
    pub transactions: u64,
    /// Power that the rule takes for who does not report.
    pub assumed_microwatts: u64,
    /// Each validator of that term once.
    pub validators: Vec<ReportedEnergy>,
}

/// What one validator reported.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReportedEnergy {
    /// Its account.
    pub owner: String,
    /// Whether a slot key of it is held here.
    pub ours: bool,
    /// Its report, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportInfo>,
}

/// A report on energy.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReportInfo {
    /// `measured_board_input`, `measured_wall`, `measured_rails`, `measured_cpu_package` or
    /// `modelled`.
    pub method: String,
    /// Mean power over the term.
    pub microwatts: u64,
    /// Energy over the term.
    pub microjoules: u64,
    /// Error bound in thousandths.
    pub error_permille: u16,
}

/// A source of power figures that is not used.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SkippedSource {
    /// Its name.
    pub source: String,
    /// Why.
    pub reason: String,
}

/// See [`Call::Chain`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ChainInfo {
    /// The chain's name.
    pub name: String,
    /// The chain's id.
    pub chain_id: String,
    /// Genesis, as TOML.
    pub genesis: String,
    /// The least fee.
    pub fee_min_grains: u64,
    /// The epoch for which slots are sold now.
    pub slot_epoch: u64,
}

/// See [`Call::Submit`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Submitted {
    /// The transaction's id.
    pub id: String,
    /// The height that holds it, if the answer waited for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
}

/// See [`Call::Account`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AccountInfo {
    /// The address.
    pub address: String,
    /// What it has at the tip.
    pub balance_grains: u64,
    /// What it will have when everything that waits is sealed.
    pub pending_balance_grains: u64,
    /// Its next nonce, counting what waits.
    pub next_nonce: u64,
    /// The height this was read at.
    pub height: u64,
}

/// See [`Call::Transaction`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TransactionInfo {
    /// Its id.
    pub id: String,
    /// What it asks for.
    pub kind: String,
    /// Who pays.
    pub sender: String,
    /// Its number among the sender's.
    pub nonce: u64,
    /// What was paid for inclusion.
    pub fee_grains: u64,
    /// The height that holds it; none while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    /// Its position in the block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// Who is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_grains: Option<u64>,
    /// The note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memo: Option<String>,
}

/// See [`Call::History`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct History {
    /// The latest first.
    pub transactions: Vec<TransactionInfo>,
    /// Bodies below this height are not here, and what is in them is not listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned_below: Option<u64>,
}

/// See [`Call::Slots`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Slots {
    /// The epoch in charge.
    pub epoch: u64,
    /// Who is in charge now.
    pub current: Vec<SlotInfo>,
    /// Who is in charge in the next epoch.
    pub next: Vec<SlotInfo>,
    /// The epoch for which slots are sold now.
    pub open_epoch: u64,
    /// What was bought for it so far.
    pub bids: Vec<SlotInfo>,
    /// Whether the present set is carried on for want of purchases.
    pub carried_on: bool,
}

/// One slot.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SlotInfo {
    /// Who bought it.
    pub owner: String,
    /// The key that signs in it.
    pub signer: String,
    /// What was donated for it; its weight.
    pub donated_grains: u64,
    /// Whether this node holds the signer key.
    pub ours: bool,
    /// Certificates that carry its signature.
    pub signed: u32,
    /// Blocks it proposed.
    pub proposed: u32,
}

/// The seed of an account in hexadecimal digits: never printed, and wiped when dropped.
#[cfg(feature = "finger")]
#[derive(Clone, Deserialize, Serialize)]
#[serde(transparent)]
pub struct AccountSeed(String);

#[cfg(feature = "finger")]
impl AccountSeed {
    /// Of the seed itself.
    #[must_use]
    pub fn new(seed: &crate::keystore::Seed) -> Self {
        Self(crate::hex::encode(seed.as_bytes()))
    }

    /// The digits.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

#[cfg(feature = "finger")]
impl Drop for AccountSeed {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

#[cfg(feature = "finger")]
impl std::fmt::Debug for AccountSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccountSeed(hidden)")
    }
}

/// See [`Call::Buying`].
#[cfg(feature = "finger")]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Buying {
    /// The account that pays; none while the owner's key is locked.
    pub buyer: Option<String>,
    /// What it pays for a slot.
    pub price_grains: u64,
    /// What it may spend in one epoch.
    pub cap_grains: u64,
    /// What came of the last try, in a sentence.
    pub last: Option<String>,
}

/// See [`Call::NewSigner`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct FreshSigner {
    /// The epoch for which slots are sold now.
    pub epoch: u64,
    /// The signer key.
    pub signer: String,
    /// Its consent, hexadecimal.
    pub consent: String,
    /// Head of its hash chain.
    pub reveal_head: String,
}

/// See [`Call::Association`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AssociationInfo {
    /// Its id.
    pub id: String,
    /// The key that asked and receives.
    pub key: String,
    /// Its name.
    pub name: String,
    /// What it works on.
    pub category: String,
    /// Its web address.
    pub web: String,
    /// `pending`, `admitted`, `refused`, `withdrawn`, `removed` or `expired`.
    pub status: String,
    /// Hashes of its documents.
    pub evidence: Vec<String>,
    /// Scheduled for it in all.
    pub donated_grains: u64,
    /// Paid out to it in all.
    pub released_grains: u64,
    /// The open vote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ballot: Option<BallotInfo>,
    /// The request as it was made, canonical bytes in hexadecimal: for the offline check.
    pub dossier: String,
}

/// An open vote.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct BallotInfo {
    /// `admission` or `removal`.
    pub kind: String,
    /// The epoch at whose beginning it is counted.
    pub closes_epoch: u64,
    /// Voices for.
    pub yes: usize,
    /// Voices against.
    pub no: usize,
    /// Who could vote.
    pub live: usize,
    /// Weight of those for.
    pub yes_weight_grains: u64,
    /// Weight of all when it opened.
    pub active_weight_grains: u64,
}

/// See [`Call::Donations`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Donations {
    /// All that was ever donated.
    pub donated_grains: u64,
    /// All that associations received.
    pub released_grains: u64,
    /// Waits to be spread.
    pub pool_grains: u64,
    /// Waits for its epoch.
    pub releasing_grains: u64,
    /// By association.
    pub associations: Vec<DonationInfo>,
    /// The part of a slot's price that returns to one who owns one of the admitted associations,
    /// in percent: what an attack by an insider would save.
    pub one_insider_saves_percent: f64,
    /// What it would cost now to hold a third of the weight, and so halt the chain.
    pub cost_to_halt_grains: u64,
    /// What it would cost now to hold two thirds of the weight, and so rewrite what comes.
    pub cost_to_rewrite_grains: u64,
}

/// Donations to one association.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DonationInfo {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it works on.
    pub category: String,
    /// Scheduled for it in all.
    pub donated_grains: u64,
    /// Paid out to it in all.
    pub released_grains: u64,
}

/// See [`Call::GuardExport`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct GuardText {
    /// The exchange format of `goodwatt guard export`.
    pub guard: String,
}

/// See [`Call::Peers`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Peers {
    /// Who this node is to others.
    pub id: String,
    /// Where it listens, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listens: Option<String>,
    /// Who is connected.
    pub peers: Vec<Peer>,
    /// Ids of nodes that are kept out.
    pub banned: Vec<String>,
    /// How many addresses of nodes are known.
    pub known_addresses: usize,
    /// Whether another node with this node's key was met since the start.
    #[serde(default)]
    pub has_twin: bool,
    /// What went over all connections since the start, by kind of frame.
    pub traffic: Vec<KindTraffic>,
}

/// A node that is connected.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Peer {
    /// Its id.
    pub id: String,
    /// Its end of the connection.
    pub address: String,
    /// Where it says it listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listens: Option<String>,
    /// `out` where this node called it, `in` where it called.
    pub direction: String,
    /// `main` or `light`.
    pub role: String,
    /// The version it runs.
    pub software: String,
    /// The height it last said it is at.
    pub height: u64,
    /// The time to it and back, smoothed; none while it is not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_trip_us: Option<u64>,
    /// Useful conduct less bad.
    pub score: i32,
    /// Bytes of frames it sent.
    pub bytes_in: u64,
    /// Bytes of frames it was sent.
    pub bytes_out: u64,
    /// Bytes that wait for it.
    pub queued_bytes: usize,
    /// How long it is connected.
    pub connected_s: u64,
    /// The validator in charge whose slot key vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validator: Option<PeerValidator>,
}

/// A validator in charge.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PeerValidator {
    /// The account that bought the slot.
    pub owner: String,
    /// The slot key.
    pub signer: String,
    /// Its weight.
    pub donated_grains: u64,
}

/// Frames of one kind since the start.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct KindTraffic {
    /// The kind, as in `docs/wire-format.md`.
    pub kind: String,
    /// Frames that came.
    pub frames_in: u64,
    /// Frames that went out.
    pub frames_out: u64,
    /// Their bytes, without those of TLS and TCP.
    pub bytes_in: u64,
    /// The same.
    pub bytes_out: u64,
}
