//! Answers from the ledger: what an account has, who signs, where the donations are.

use goodwatt_chain::codec;
use goodwatt_chain::hash::{AssociationId, TxId};
use goodwatt_chain::ledger::{LeafStore, Ledger};
use goodwatt_chain::mempool::Mempool;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::state::{
    Account, Ballot, Bids, Dossier, Key, Registry, Reported, Seat, Standing, StateError, Term,
    Totals,
};
use goodwatt_chain::transaction::{Action, BallotKind, Transaction};
use goodwatt_chain::units::{Grains, Height};
use goodwatt_chain::validators::Validator;

use crate::hex;
use crate::protocol::{
    AccountInfo, AssociationInfo, BallotInfo, ChainInfo, DonationInfo, Donations, EnergyInfo,
    Fault, FaultKind, ReportInfo, ReportedEnergy, SlotInfo, Slots, TransactionInfo,
};

impl From<StateError> for Fault {
    fn from(error: StateError) -> Self {
        Self::new(FaultKind::Failed, error)
    }
}

/// Reads an address from a request.
pub(super) fn address(text: &str) -> Result<PublicKey, Fault> {
    text.parse().map_err(|error| Fault::new(FaultKind::Invalid, format!("{text}: {error}")))
}

/// Reads an association's id from a request.
pub(super) fn association_id(text: &str) -> Result<AssociationId, Fault> {
    text.parse().map_err(|error| Fault::new(FaultKind::Invalid, format!("{text}: {error}")))
}

/// Reads a transaction's id from a request.
pub(super) fn transaction_id(text: &str) -> Result<TxId, Fault> {
    text.parse().map_err(|error| Fault::new(FaultKind::Invalid, format!("{text}: {error}")))
}

pub(super) fn account<L: LeafStore>(
    ledger: &Ledger<L>,
    mempool: &Mempool,
    key: &PublicKey,
) -> Result<AccountInfo, Fault> {
    let account: Account = ledger.view().read_or_default(Key::Account(*key))?;
    let pending = mempool.account(ledger, key)?;
    Ok(AccountInfo {
        address: key.to_string(),
        balance_grains: account.balance.get(),
        pending_balance_grains: pending.balance.get(),
        next_nonce: pending.nonce,
        height: ledger.tip().height.get(),
    })
}

pub(super) fn chain<L: LeafStore>(ledger: &Ledger<L>) -> Result<ChainInfo, Fault> {
    let genesis = ledger.genesis();
    let bids: Bids = ledger.view().read_or_default(Key::Bids)?;
    Ok(ChainInfo {
        name: genesis.name.to_string(),
        chain_id: ledger.chain().to_string(),
        genesis: genesis.to_toml(),
        fee_min_grains: genesis.parameters.fee_min.get(),
        slot_epoch: bids.epoch.get(),
    })
}

pub(super) fn slots<L: LeafStore>(
    ledger: &Ledger<L>,
    is_ours: impl Fn(&PublicKey) -> bool,
) -> Result<Slots, Fault> {
    let terms = ledger.view().terms()?;
    let bids: Bids = ledger.view().read_or_default(Key::Bids)?;
    let info = |validator: &Validator, signed, proposed| SlotInfo {
        owner: validator.owner.to_string(),
        signer: validator.signer.to_string(),
        donated_grains: validator.weight.get(),
        ours: is_ours(&validator.signer),
        signed,
        proposed,
    };
    let seat = |seat: &Seat| info(&seat.validator, seat.signed, seat.proposed);
    Ok(Slots {
        epoch: terms.current.epoch.get(),
        current: terms.current.seats.iter().map(seat).collect(),
        next: terms.next.seats.iter().map(seat).collect(),
        open_epoch: bids.epoch.get(),
        bids: bids.bids.iter().map(|bid| info(&bid.validator, 0, 0)).collect(),
        carried_on: terms.current.carried_on,
    })
}

/// What each validator of the term that ended last reported of its board.
pub(super) fn energy<L: LeafStore>(
    ledger: &Ledger<L>,
    is_ours: impl Fn(&PublicKey) -> bool,
) -> Result<EnergyInfo, Fault> {
    let parameters = &ledger.genesis().parameters;
    let term: Option<Term> = ledger.view().read(Key::PreviousTerm)?;
    let seats: &[Seat] = term.as_ref().map_or(&[], |term| &term.seats);
    let owners = seats.iter().enumerate().filter(|(at, seat)| {
        let owner = seat.validator.owner;
        seats.iter().take(*at).all(|before| before.validator.owner != owner)
    });
    let report = |reported: Reported| ReportInfo {
        method: reported.method.name().to_owned(),
        microwatts: reported
            .energy
            .mean_over(parameters.epoch_length)
            .map_or(0, |p| p.get().into()),
        microjoules: reported.energy.get(),
        error_permille: reported.error_permille,
    };
    let validators = owners.map(|(_, first)| ReportedEnergy {
        owner: first.validator.owner.to_string(),
        ours: seats.iter().any(|seat| {
            seat.validator.owner == first.validator.owner && is_ours(&seat.validator.signer)
        }),
        report: first.reported.map(report),
    });
    Ok(EnergyInfo {
        epoch: term.as_ref().map(|term| term.epoch.get()),
        term_ms: parameters.epoch_length.get(),
        transactions: term.as_ref().map_or(0, |term| term.transactions),
        assumed_microwatts: parameters.assumed_power.get().into(),
        validators: validators.collect(),
    })
}

/// Ids of all associations that are pending or admitted.
fn present<L: LeafStore>(ledger: &Ledger<L>) -> Result<Vec<AssociationId>, Fault> {
    let registry: Registry = ledger.view().read_or_default(Key::Registry)?;
    Ok(registry.admitted.iter().chain(&registry.pending).copied().collect())
}

pub(super) fn associations<L: LeafStore>(
    ledger: &Ledger<L>,
) -> Result<Vec<AssociationInfo>, Fault> {
    present(ledger)?.into_iter().map(|id| association(ledger, id)).collect()
}

pub(super) fn association<L: LeafStore>(
    ledger: &Ledger<L>,
    id: AssociationId,
) -> Result<AssociationInfo, Fault> {
    let view = ledger.view();
    let missing = || Fault::new(FaultKind::NotFound, format!("there is no association {id}"));
    let standing: Standing = view.read(Key::Standing(id))?.ok_or_else(missing)?;
    let dossier: Dossier = view.read(Key::Dossier(id))?.ok_or_else(missing)?;
    let ballot: Option<Ballot> = view.read(Key::Ballot(id))?;
    Ok(AssociationInfo {
        id: id.to_string(),
        key: standing.key.to_string(),
        name: dossier.name.to_string(),
        category: standing.category.name().to_owned(),
        web: dossier.web.to_string(),
        status: standing.status.name().to_owned(),
        evidence: dossier.evidence.iter().map(ToString::to_string).collect(),
        donated_grains: standing.donated.get(),
        released_grains: standing.released.get(),
        ballot: ballot.as_ref().map(ballot_info),
        dossier: hex::encode(&codec::encode(&dossier)),
    })
}

fn ballot_info(ballot: &Ballot) -> BallotInfo {
    let voices = |voice| ballot.electors.iter().filter(move |e| e.approve == Some(voice));
    let kind = match ballot.kind {
        BallotKind::Admission => "admission",
        BallotKind::Removal => "removal",
    };
    BallotInfo {
        kind: kind.to_owned(),
        closes_epoch: ballot.closes.get(),
        yes: voices(true).count(),
        no: voices(false).count(),
        live: ballot.electors.len(),
        yes_weight_grains: voices(true).map(|elector| elector.weight).sum(),
        active_weight_grains: ballot.active_weight,
    }
}

pub(super) fn donations<L: LeafStore>(ledger: &Ledger<L>) -> Result<Donations, Fault> {
    let view = ledger.view();
    let totals: Totals = view.read_or_default(Key::Totals)?;
    let registry: Registry = view.read_or_default(Key::Registry)?;
    let mut associations = Vec::new();
    for id in &registry.admitted {
        let info = association(ledger, *id)?;
        associations.push(DonationInfo {
            id: info.id,
            name: info.name,
            category: info.category,
            donated_grains: info.donated_grains,
            released_grains: info.released_grains,
        });
    }
    let weight = u128::from(ledger.in_charge().validators.total_weight());
    let saved = insider_permille(ledger, registry.admitted.len() as u128);
    let cost = |thirds: u128| {
        let kept = weight * thirds / 3 * (1_000 - saved) / 1_000;
        u64::try_from(kept).unwrap_or(u64::MAX)
    };
    Ok(Donations {
        donated_grains: totals.donated.get(),
        released_grains: totals.released.get(),
        pool_grains: totals.pool.get(),
        releasing_grains: totals.releasing.get(),
        one_insider_saves_percent: saved as f64 / 10.0,
        cost_to_halt_grains: cost(1),
        cost_to_rewrite_grains: cost(2),
        associations,
    })
}

/// The part of a slot's price, in thousandths, that returns to a buyer who owns one of the admitted
/// associations: all of the buyer's preference, and its even share of the rest.
fn insider_permille<L: LeafStore>(ledger: &Ledger<L>, admitted: u128) -> u128 {
    if admitted == 0 {
        return 0;
    }
    let preference = u128::from(ledger.genesis().parameters.preference_percent) * 10;
    preference + (1_000 - preference) / admitted
}

/// All that was ever donated.
pub(super) fn donated<L: LeafStore>(ledger: &Ledger<L>) -> Result<Grains, Fault> {
    Ok(ledger.view().read_or_default::<Totals>(Key::Totals)?.donated)
}

pub(crate) fn transaction(
    transaction: &Transaction,
    place: Option<(Height, u32)>,
) -> TransactionInfo {
    let content = &transaction.content;
    let (to, amount, memo) = match &content.action {
        Action::Transfer(transfer) => {
            (Some(transfer.to), Some(transfer.amount), Some(transfer.memo.to_string()))
        }
        Action::BuySlot(slot) => (None, Some(slot.amount), None),
        Action::Delegate(delegation) => (None, Some(delegation.amount), None),
        Action::RequestAssociation(request) => (None, Some(request.deposit), None),
        _ => (None, None, None),
    };
    TransactionInfo {
        id: transaction.id().to_string(),
        kind: content.action.kind().to_owned(),
        sender: content.sender.to_string(),
        nonce: content.nonce,
        fee_grains: content.fee.get(),
        height: place.map(|(height, _)| height.get()),
        position: place.map(|(_, position)| position),
        to: to.map(|key| key.to_string()),
        amount_grains: amount.map(Grains::get),
        memo: memo.filter(|memo| !memo.is_empty()),
    }
}
