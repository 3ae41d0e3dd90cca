//! Transactions: what an account may ask of the ledger.
//!
//! A transaction's bytes are its [`Content`] followed by a 64-byte signature. The signature covers
//! the full chain id and every byte of the content; the content itself carries the first four
//! bytes of the chain id, so that a transaction for another chain is told apart from a forgery.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use goodwatt_units::MicroJoules;
use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::hash::{AssociationId, ChainId, Digest32, Domain, TxId};
use crate::signature::{PublicKey, Signature, SigningKey};
use crate::units::{Epoch, Grains};
use crate::vote::Evidence;

/// The version of the transaction format this crate reads and writes.
pub const TRANSACTION_VERSION: u8 = 1;

/// The longest transaction that is ever decoded; genesis may set less.
pub const TRANSACTION_BYTES_MAX: usize = 4 * 1_024;

/// The longest memo of a transfer, in bytes.
pub const MEMO_BYTES_MAX: usize = 80;

pub(crate) const SIGNATURE_BYTES: usize = 64;

const TRANSACTION: Domain = Domain::new(b"goodwatt/transaction");
const SIGN_TRANSACTION: Domain = Domain::new(b"goodwatt/sign/transaction");
const SIGN_SLOT: Domain = Domain::new(b"goodwatt/sign/slot");
const SIGN_IDENTITY: Domain = Domain::new(b"goodwatt/sign/identity");
const SIGN_RENEWAL: Domain = Domain::new(b"goodwatt/sign/renewal");
const ASSOCIATION: Domain = Domain::new(b"goodwatt/association");

/// The first four bytes of a chain id.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ChainTag([u8; 4]);

impl ChainTag {
    /// The tag of a chain.
    #[must_use]
    pub const fn of(chain: &ChainId) -> Self {
        let [a, b, c, d, ..] = *chain.as_bytes();
        Self([a, b, c, d])
    }
}

impl fmt::Display for ChainTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Everything in a transaction but its signature.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Content {
    /// Format, [`TRANSACTION_VERSION`].
    pub version: u8,
    /// The chain it is meant for.
    pub chain: ChainTag,
    /// The account that pays and signs.
    pub sender: PublicKey,
    /// How many transactions of the sender came before this one.
    pub nonce: u64,
    /// What the sender pays for inclusion.
    pub fee: Grains,
    /// What is asked for.
    pub action: Action,
}

impl Content {
    /// The least fee, where others pay at least `fee_min`.
    ///
    /// Evidence may be brought and energy reported for nothing, so that a slot key, which has no
    /// money, can do it. It is no way to flood: [`Action::is_duty`].
    #[must_use]
    pub const fn fee_min(&self, fee_min: Grains) -> Grains {
        if self.action.is_duty() { Grains::ZERO } else { fee_min }
    }

    /// Whether it leaves the sender's account alone: a report that pays nothing.
    ///
    /// It carries nonce 0. That it is carried out once is seen at the seat it is for, so that slot
    /// keys, of which every term has fresh ones, need no accounts.
    #[must_use]
    pub const fn is_free_report(&self) -> bool {
        matches!(self.action, Action::ReportEnergy(_)) && self.fee.is_zero()
    }
}

/// What a transaction asks for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Action {
    /// Pays another account.
    Transfer(Transfer),
    /// Donates for the right to sign in an epoch.
    BuySlot(BuySlot),
    /// Asks the validators to admit the sender as an association.
    RequestAssociation(Box<RequestAssociation>),
    /// Shows fresh evidence before the former expires.
    RenewAssociation(Box<RenewAssociation>),
    /// Takes a pending request back; the deposit returns.
    WithdrawRequest(WithdrawRequest),
    /// One validator's voice for or against an association.
    VoteAssociation(VoteAssociation),
    /// The sender's board over the term that ended last. The sender is a validator of that term, or
    /// one of its slot keys.
    ReportEnergy(ReportEnergy),
    /// Proof that a validator signed two different things.
    SubmitEvidence(Box<Evidence>),
    /// Locks coins behind somebody's bid, on a chain whose stake votes for delegates.
    Delegate(Delegate),
}

impl Action {
    /// Whether the rules ask for it, once for each cheat and once for each validator of a term; so it
    /// may be free.
    #[must_use]
    pub const fn is_duty(&self) -> bool {
        matches!(self, Self::SubmitEvidence(_) | Self::ReportEnergy(_))
    }

    /// The kind's name, the same in every output.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Transfer(_) => "transfer",
            Self::BuySlot(_) => "buy_slot",
            Self::RequestAssociation(_) => "request_association",
            Self::RenewAssociation(_) => "renew_association",
            Self::WithdrawRequest(_) => "withdraw_request",
            Self::VoteAssociation(_) => "vote_association",
            Self::ReportEnergy(_) => "report_energy",
            Self::SubmitEvidence(_) => "submit_evidence",
            Self::Delegate(_) => "delegate",
        }
    }
}

/// See [`Action::Transfer`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Transfer {
    /// Who is paid.
    pub to: PublicKey,
    /// How much; not zero.
    pub amount: Grains,
    /// A note, at most [`MEMO_BYTES_MAX`] bytes of UTF-8.
    pub memo: heapless::String<MEMO_BYTES_MAX>,
}

/// See [`Action::BuySlot`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BuySlot {
    /// The epoch bought: two after the present one.
    pub epoch: Epoch,
    /// The donation, or the stake, as the chain's rule says; weight is linear in it.
    pub amount: Grains,
    /// A fresh key that will sign in that slot.
    pub signer: PublicKey,
    /// The signer key's consent, see [`slot_consent`]: nobody can take another's key.
    pub consent: Signature,
    /// Head of the hash chain whose links this validator reveals.
    pub reveal_head: Digest32,
    /// The association that shall get the buyer's part, if it is admitted.
    pub preference: Option<AssociationId>,
}

/// See [`Action::Delegate`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Delegate {
    /// The epoch of the bid: two after the present one.
    pub epoch: Epoch,
    /// The slot key of the bid.
    pub signer: PublicKey,
    /// How much is locked; the weight of the bid grows by it.
    pub amount: Grains,
}

/// What a signer key signs to consent to a slot: the chain, the buyer, the epoch.
#[must_use]
pub fn slot_consent(chain: &ChainId, buyer: &PublicKey, epoch: Epoch) -> Digest32 {
    let epoch = epoch.get().to_be_bytes();
    Digest32::of(SIGN_SLOT, &[chain.as_bytes(), buyer.as_bytes(), &epoch])
}

/// The good an association does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Works against the heating of the earth.
    Climate,
    /// Feeds people.
    Hunger,
    /// Cures or prevents diseases.
    Diseases,
    /// Protects children.
    Children,
    /// Betters the human condition.
    HumanCondition,
}

impl Category {
    /// All categories in order.
    pub const ALL: [Self; 5] =
        [Self::Climate, Self::Hunger, Self::Diseases, Self::Children, Self::HumanCondition];

    /// The name, the same in every output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Climate => "climate",
            Self::Hunger => "hunger",
            Self::Diseases => "diseases",
            Self::Children => "children",
            Self::HumanCondition => "human_condition",
        }
    }
}

/// What an association shows to be admitted. The sender's key receives the donations.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RequestAssociation {
    /// Its name.
    pub name: heapless::String<64>,
    /// What it works on.
    pub category: Category,
    /// Its web address, `https://` and a domain.
    pub web: heapless::String<128>,
    /// Hashes of documents that show its work.
    pub evidence: heapless::Vec<Digest32, 4>,
    /// Who stands behind the sender's key.
    pub identity: IdentityProof,
    /// Held until the vote ends: returned on admission or withdrawal, donated on refusal.
    pub deposit: Grains,
}

/// A signature over the request by a key certified outside of the ledger.
///
/// The ledger checks the form, and the signature where it can (Ed25519); each operator's node
/// checks the rest offline with `goodwatt association check`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum IdentityProof {
    /// An Ed25519 key published under the association's web address.
    Published {
        /// The published key.
        key: PublicKey,
        /// Its signature over [`identity_statement`].
        signature: Signature,
    },
    /// The key of an X.509 certificate issued for the association's domain.
    Certificate(Box<CertificateProof>),
}

/// See [`IdentityProof::Certificate`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CertificateProof {
    /// How the certificate's key signed.
    pub scheme: SignatureScheme,
    /// The end-entity certificate, DER.
    pub certificate: heapless::Vec<u8, 1_536>,
    /// Its key's signature over [`identity_statement`].
    pub signature: heapless::Vec<u8, 512>,
}

/// How a certificate's key signed an identity statement.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum SignatureScheme {
    /// ECDSA on P-256 with SHA-256, ASN.1 form.
    EcdsaP256Sha256,
    /// RSA PKCS#1 v1.5 with SHA-256.
    RsaPkcs1Sha256,
    /// Ed25519.
    Ed25519,
}

/// What an outside key signs for an association: the chain, the sender's key, and every claim.
#[must_use]
pub fn identity_statement(
    chain: &ChainId,
    sender: &PublicKey,
    claims: &IdentityClaims<'_>,
) -> Digest32 {
    Digest32::of(SIGN_IDENTITY, &[chain.as_bytes(), sender.as_bytes(), &codec::encode(claims)])
}

/// The claims of a request that its proof of identity covers.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct IdentityClaims<'a> {
    /// The association's name.
    pub name: &'a str,
    /// What it works on.
    pub category: Category,
    /// Its web address.
    pub web: &'a str,
    /// Hashes of its documents.
    pub evidence: &'a [Digest32],
}

impl RequestAssociation {
    /// What the proof of identity covers.
    #[must_use]
    pub fn claims(&self) -> IdentityClaims<'_> {
        IdentityClaims {
            name: &self.name,
            category: self.category,
            web: &self.web,
            evidence: &self.evidence,
        }
    }
}

/// The id of the association that `sender` requests with its transaction `nonce`.
#[must_use]
pub fn association_id(chain: &ChainId, sender: &PublicKey, nonce: u64) -> AssociationId {
    let nonce = nonce.to_be_bytes();
    AssociationId(Digest32::of(ASSOCIATION, &[chain.as_bytes(), sender.as_bytes(), &nonce]))
}

/// See [`Action::RenewAssociation`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RenewAssociation {
    /// The association, admitted, whose key is the sender.
    pub association: AssociationId,
    /// Hashes of new documents.
    pub evidence: heapless::Vec<Digest32, 4>,
    /// Who stands behind the sender's key today; covers the new evidence.
    pub identity: IdentityProof,
}

/// See [`Action::WithdrawRequest`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct WithdrawRequest {
    /// The association, pending, whose key is the sender.
    pub association: AssociationId,
}

/// What a vote on an association decides.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BallotKind {
    /// Whether it is admitted.
    Admission,
    /// Whether it is removed.
    Removal,
}

/// See [`Action::VoteAssociation`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct VoteAssociation {
    /// The association voted on.
    pub association: AssociationId,
    /// Admission of a pending one, or removal of an admitted one.
    pub kind: BallotKind,
    /// For or against.
    pub approve: bool,
}

/// How a figure of power came about.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EnergyMethod {
    /// By a sensor at the board's input.
    MeasuredBoardInput,
    /// By sensors at some of the board's rails.
    MeasuredRails,
    /// By counters of the processor package alone.
    MeasuredCpuPackage,
    /// By a model of the board.
    Modelled,
    /// By a meter at the wall: the board, and the loss of its supply.
    MeasuredWall,
}

impl EnergyMethod {
    /// The name, the same in every output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MeasuredBoardInput => "measured_board_input",
            Self::MeasuredRails => "measured_rails",
            Self::MeasuredCpuPackage => "measured_cpu_package",
            Self::Modelled => "modelled",
            Self::MeasuredWall => "measured_wall",
        }
    }
}

/// See [`Action::ReportEnergy`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReportEnergy {
    /// The term reported on.
    pub epoch: Epoch,
    /// Energy of the whole board over that term.
    pub energy: MicroJoules,
    /// How it was found.
    pub method: EnergyMethod,
    /// Relative error bound in thousandths, 1 to 1000.
    pub error_permille: u16,
}

/// Why bytes do not become a transaction to carry out. The sender is at fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// The bytes are not those of a transaction.
    #[error("not a transaction: {0}")]
    Decode(#[from] DecodeError),
    /// Made for another chain.
    #[error("made for chain {found}, this is chain {expected}: check the genesis file")]
    WrongChain {
        /// Tag in the transaction.
        found: ChainTag,
        /// Tag of this chain.
        expected: ChainTag,
    },
}

/// A transaction whose form was checked, with its bytes and ids. Its signatures may not have
/// been verified yet: see [`Transaction::signatures`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transaction {
    /// All but the signature.
    pub content: Content,
    /// The sender's signature over [`Transaction::digest`].
    pub signature: Signature,
    bytes: Vec<u8>,
    id: TxId,
    digest: Digest32,
}

impl Transaction {
    /// Reads a transaction from its bytes.
    ///
    /// # Errors
    /// When the bytes are not the one canonical encoding, or are meant for another chain.
    pub fn decode(chain: &ChainId, bytes: &[u8]) -> Result<Self, TransactionError> {
        let limit = TRANSACTION_BYTES_MAX;
        if bytes.len() > limit {
            return Err(DecodeError::TooLong { len: bytes.len(), limit }.into());
        }
        if let Some(&version) = bytes.first().filter(|version| **version != TRANSACTION_VERSION) {
            return Err(DecodeError::UnknownVersion(version).into());
        }
        let (content, signature) =
            bytes.split_last_chunk::<SIGNATURE_BYTES>().ok_or(DecodeError::Malformed)?;
        let parsed: Content = codec::decode(content)?;
        let expected = ChainTag::of(chain);
        if parsed.chain != expected {
            return Err(TransactionError::WrongChain { found: parsed.chain, expected });
        }
        Ok(Self {
            content: parsed,
            signature: Signature::from_bytes(*signature),
            id: Self::id_of(bytes),
            digest: Digest32::of(SIGN_TRANSACTION, &[chain.as_bytes(), content]),
            bytes: bytes.to_vec(),
        })
    }

    /// Signs what `key`'s account asks of a chain.
    #[must_use]
    pub fn sign(
        chain: &ChainId,
        key: &SigningKey,
        nonce: u64,
        fee: Grains,
        action: Action,
    ) -> Self {
        let content = Content {
            version: TRANSACTION_VERSION,
            chain: ChainTag::of(chain),
            sender: key.public(),
            nonce,
            fee,
            action,
        };
        let mut bytes = codec::encode(&content);
        let digest = Digest32::of(SIGN_TRANSACTION, &[chain.as_bytes(), &bytes]);
        let signature = key.sign(&digest);
        bytes.extend_from_slice(&signature.to_bytes());
        Self { content, signature, id: Self::id_of(&bytes), digest, bytes }
    }

    /// The id of a transaction of these bytes, if they are one.
    #[must_use]
    pub fn id_of(bytes: &[u8]) -> TxId {
        TxId(Digest32::of(TRANSACTION, &[bytes]))
    }

    /// Its id: the hash of all of its bytes.
    #[must_use]
    pub const fn id(&self) -> TxId {
        self.id
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the sender signs.
    #[must_use]
    pub const fn digest(&self) -> &Digest32 {
        &self.digest
    }

    /// Every signature the ledger verifies before it carries this out: the sender's, and those
    /// inside the action.
    pub fn signatures(
        &self,
        chain: &ChainId,
        mut each: impl FnMut(PublicKey, Digest32, Signature),
    ) {
        let sender = self.content.sender;
        each(sender, self.digest, self.signature);
        match &self.content.action {
            Action::BuySlot(slot) => {
                each(slot.signer, slot_consent(chain, &sender, slot.epoch), slot.consent);
            }
            Action::RequestAssociation(request) => {
                if let IdentityProof::Published { key, signature } = request.identity {
                    each(key, identity_statement(chain, &sender, &request.claims()), signature);
                }
            }
            Action::RenewAssociation(renewal) => {
                if let IdentityProof::Published { key, signature } = renewal.identity {
                    each(key, renewal_statement(chain, &sender, renewal), signature);
                }
            }
            Action::SubmitEvidence(evidence) => {
                for (digest, signature) in evidence.signatures(chain) {
                    each(evidence.signer(), digest, signature);
                }
            }
            Action::Transfer(_)
            | Action::WithdrawRequest(_)
            | Action::VoteAssociation(_)
            | Action::ReportEnergy(_)
            | Action::Delegate(_) => {}
        }
    }
}

/// What an outside key signs for a renewal: the chain, the sender's key, the association, and the
/// new evidence.
#[must_use]
pub fn renewal_statement(
    chain: &ChainId,
    sender: &PublicKey,
    renewal: &RenewAssociation,
) -> Digest32 {
    let claims = codec::encode(&(renewal.association, &renewal.evidence));
    Digest32::of(SIGN_RENEWAL, &[chain.as_bytes(), sender.as_bytes(), &claims])
}
