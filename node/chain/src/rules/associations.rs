//! Associations: asked for by themselves, admitted and removed by the live validators.

use super::{ExecuteError, Place, Refusal, donations};
use crate::hash::AssociationId;
use crate::leaves::Leaves;
use crate::signature::PublicKey;
use crate::state::{
    ADMITTED_MAX, Attendance, Ballot, Bids, Bounded, Dossier, Elector, Key, Registry, Standing,
    StateError, Status, Term, Tombstone, Totals, View, add,
};
use crate::transaction::{
    BallotKind, IdentityProof, RenewAssociation, RequestAssociation, VoteAssociation,
    association_id,
};
use crate::units::{Epoch, Grains};

/// Whether a vote passes: at least 75 % of the live validators approve, and those who approve hold
/// at least two thirds of the active weight. Nobody live, nobody admitted.
#[must_use]
pub const fn passes(yes: u64, live: u64, yes_weight: u64, active_weight: u64) -> bool {
    live > 0
        && yes as u128 * 4 >= live as u128 * 3
        && yes_weight as u128 * 3 >= active_weight as u128 * 2
}

/// Asks for admission, and opens the vote.
pub(super) fn request<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    place: &Place,
    sender: &PublicKey,
    nonce: u64,
    request: &RequestAssociation,
) -> Result<(), ExecuteError> {
    check_form(request)?;
    let deposit = view.genesis.parameters.association_deposit;
    if request.deposit < deposit {
        return Err(Refusal::DepositMissing(deposit).into());
    }
    check_sender(view, place.epoch, sender)?;
    let mut registry: Registry = view.read_or_default(Key::Registry)?;
    let id = association_id(&place.chain, sender, nonce);
    let there = registry.pending.len() + registry.admitted.len();
    if there >= ADMITTED_MAX || registry.pending.push(id).is_err() {
        return Err(Refusal::RegistryFull.into());
    }
    open_ballot(view, place.epoch, id, BallotKind::Admission, sender)?;
    if let Some(former) = view.read::<AssociationId>(Key::AssociationOf(*sender))? {
        view.erase(Key::Standing(former));
        view.erase(Key::Dossier(former));
    }
    let standing = Standing {
        key: *sender,
        status: Status::Pending,
        category: request.category,
        deposit: request.deposit,
        granted_in: place.epoch,
        granted: Grains::ZERO,
        donated: Grains::ZERO,
        released: Grains::ZERO,
    };
    view.write(Key::AssociationOf(*sender), &id);
    view.write(Key::Standing(id), &standing);
    view.write(Key::Dossier(id), request);
    view.write(Key::Registry, &registry);
    let mut totals: Totals = view.read_or_default(Key::Totals)?;
    totals.deposits = add(totals.deposits, request.deposit);
    view.write(Key::Totals, &totals);
    Ok(())
}

fn check_form(request: &RequestAssociation) -> Result<(), Refusal> {
    let plain = |text: &str| text.trim() == text && !text.chars().any(char::is_control);
    if request.name.is_empty() || !plain(&request.name) {
        return Err(Refusal::MalformedRequest("name"));
    }
    let host = request.web.strip_prefix("https://").and_then(|rest| rest.split('/').next());
    let named = host.is_some_and(|host| {
        let label = |label: &str| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        host.contains('.') && host.split('.').all(label)
    });
    if !named || !plain(&request.web) || request.web.contains(char::is_whitespace) {
        return Err(Refusal::MalformedRequest("web address"));
    }
    if request.evidence.is_empty() {
        return Err(Refusal::MalformedRequest("evidence"));
    }
    check_identity(&request.identity)
}

fn check_identity(identity: &IdentityProof) -> Result<(), Refusal> {
    match identity {
        // Verified with all signatures of the transaction.
        IdentityProof::Published { .. } => Ok(()),
        IdentityProof::Certificate(proof) => {
            // DER of a certificate begins with a SEQUENCE; the rest is checked by people's nodes.
            let sequence = proof.certificate.first() == Some(&0x30);
            if sequence && !proof.signature.is_empty() {
                Ok(())
            } else {
                Err(Refusal::MalformedRequest("proof of identity"))
            }
        }
    }
}

fn check_sender<L: Leaves + ?Sized>(
    view: &View<'_, L>,
    now: Epoch,
    sender: &PublicKey,
) -> Result<(), ExecuteError> {
    if let Some(id) = view.read::<AssociationId>(Key::AssociationOf(*sender))? {
        let left = view.read::<Standing>(Key::Standing(id))?.map(|standing| standing.status.left());
        match left {
            Some(None) => return Err(Refusal::AlreadyRequested.into()),
            Some(Some(epoch)) => {
                let until = epoch.after(view.genesis.parameters.cooling_epochs);
                if now < until {
                    return Err(Refusal::Cooling(until).into());
                }
            }
            None => {}
        }
    }
    let terms = view.terms()?;
    let bids: Bids = view.read_or_default(Key::Bids)?;
    let seats = terms.current.seats.iter().chain(&terms.next.seats);
    let owners = seats.map(|seat| &seat.validator).chain(bids.bids.iter().map(|b| &b.validator));
    if owners.into_iter().any(|validator| validator.owner == *sender) {
        return Err(Refusal::AssociationHoldsSlot.into());
    }
    Ok(())
}

/// Opens a vote among those who were live in the epoch before, with their active weight.
fn open_ballot<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    now: Epoch,
    id: AssociationId,
    kind: BallotKind,
    association: &PublicKey,
) -> Result<(), ExecuteError> {
    let attendance: Attendance = view.read_or_default(Key::Attendance)?;
    let term: Term = view.read_or_default(Key::CurrentTerm)?;
    let weight_of = |owner: &PublicKey| {
        let seats = term.seats.iter().filter(|seat| seat.validator.owner == *owner);
        seats.map(|seat| seat.validator.weight.get()).sum()
    };
    let mut electors = Bounded::default();
    for owner in attendance.before.iter().filter(|owner| *owner != association) {
        if view.read::<Tombstone>(Key::Tombstone(*owner))?.is_none() {
            // As many places as there can be owners, so this never fails.
            electors
                .push(Elector { owner: *owner, weight: weight_of(owner), approve: None })
                .map_err(|_| Refusal::NoElectors)?;
        }
    }
    if electors.is_empty() {
        return Err(Refusal::NoElectors.into());
    }
    let closes = now.after(view.genesis.parameters.vote_window);
    let active_weight = term.validators().total_weight();
    view.write(Key::Ballot(id), &Ballot { kind, closes, active_weight, electors });
    Ok(())
}

/// Gives or changes a validator's voice; the first voice for a removal opens that vote.
pub(super) fn vote<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    place: &Place,
    sender: &PublicKey,
    vote: &VoteAssociation,
) -> Result<(), ExecuteError> {
    let id = vote.association;
    let standing: Standing = view.read(Key::Standing(id))?.ok_or(Refusal::UnknownAssociation)?;
    if standing.key == *sender {
        return Err(Refusal::OwnAssociation.into());
    }
    if view.read::<Tombstone>(Key::Tombstone(*sender))?.is_some() {
        return Err(Refusal::Tombstoned.into());
    }
    let key = Key::Ballot(id);
    if vote.kind == BallotKind::Removal && view.read::<Ballot>(key)?.is_none() {
        open_removal(view, place.epoch, id, &standing)?;
    }
    let open = view.read::<Ballot>(key)?.filter(|ballot| ballot.kind == vote.kind);
    let mut ballot = open.ok_or(Refusal::NoBallot)?;
    let elector = ballot.electors.iter_mut().find(|elector| elector.owner == *sender);
    let elector = elector.ok_or(Refusal::NotElector)?;
    if elector.approve.replace(vote.approve) == Some(vote.approve) {
        return Err(Refusal::AlreadyVoted.into());
    }
    view.write(key, &ballot);
    Ok(())
}

fn open_removal<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    now: Epoch,
    id: AssociationId,
    standing: &Standing,
) -> Result<(), ExecuteError> {
    if !matches!(standing.status, Status::Admitted { .. }) {
        return Err(Refusal::WrongStatus(standing.status.name()).into());
    }
    let mut registry: Registry = view.read_or_default(Key::Registry)?;
    registry.removals.push(id).map_err(|_| Refusal::RegistryFull)?;
    view.write(Key::Registry, &registry);
    open_ballot(view, now, id, BallotKind::Removal, &standing.key)
}

/// Takes a pending request back; the deposit returns.
pub(super) fn withdraw<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    place: &Place,
    sender: &PublicKey,
    id: AssociationId,
) -> Result<(), ExecuteError> {
    let mut standing = own(view, sender, id)?;
    if standing.status != Status::Pending {
        return Err(Refusal::WrongStatus(standing.status.name()).into());
    }
    return_deposit(view, &mut standing)?;
    standing.status = Status::Withdrawn { epoch: place.epoch };
    view.write(Key::Standing(id), &standing);
    view.erase(Key::Ballot(id));
    view.erase(Key::Dossier(id));
    let mut registry: Registry = view.read_or_default(Key::Registry)?;
    registry.pending.retain(|other| *other != id);
    view.write(Key::Registry, &registry);
    Ok(())
}

/// Extends an admission by fresh evidence.
pub(super) fn renew<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    place: &Place,
    sender: &PublicKey,
    renewal: &RenewAssociation,
) -> Result<(), ExecuteError> {
    let id = renewal.association;
    let mut standing = own(view, sender, id)?;
    if !matches!(standing.status, Status::Admitted { .. }) {
        return Err(Refusal::WrongStatus(standing.status.name()).into());
    }
    if renewal.evidence.is_empty() {
        return Err(Refusal::MalformedRequest("evidence").into());
    }
    check_identity(&renewal.identity)?;
    let expires = place.epoch.after(view.genesis.parameters.admission_epochs);
    standing.status = Status::Admitted { expires };
    view.write(Key::Standing(id), &standing);
    if let Some(mut dossier) = view.read::<Dossier>(Key::Dossier(id))? {
        dossier.evidence.clone_from(&renewal.evidence);
        dossier.identity.clone_from(&renewal.identity);
        view.write(Key::Dossier(id), &dossier);
    }
    Ok(())
}

fn own<L: Leaves + ?Sized>(
    view: &View<'_, L>,
    sender: &PublicKey,
    id: AssociationId,
) -> Result<Standing, ExecuteError> {
    let standing: Standing = view.read(Key::Standing(id))?.ok_or(Refusal::UnknownAssociation)?;
    if standing.key == *sender { Ok(standing) } else { Err(Refusal::NotYourAssociation.into()) }
}

fn return_deposit<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    standing: &mut Standing,
) -> Result<(), StateError> {
    let deposit = core::mem::take(&mut standing.deposit);
    let mut totals: Totals = view.read_or_default(Key::Totals)?;
    totals.deposits = totals.deposits.saturating_sub(deposit);
    view.write(Key::Totals, &totals);
    view.credit(&standing.key, deposit)
}

/// Counts the votes that close, and lets admissions end that were not renewed.
pub(super) fn count_and_expire<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    now: Epoch,
) -> Result<(), StateError> {
    let mut registry: Registry = view.read_or_default(Key::Registry)?;
    let before = registry.clone();
    for id in before.pending.iter().chain(&before.removals) {
        if let Some(ballot) = view.read::<Ballot>(Key::Ballot(*id))?
            && ballot.closes <= now
        {
            decide(view, now, *id, &ballot, &mut registry)?;
        }
    }
    for id in &registry.admitted.clone() {
        let standing = view.read::<Standing>(Key::Standing(*id))?;
        if let Some(Status::Admitted { expires }) = standing.map(|standing| standing.status)
            && expires <= now
        {
            leave(view, *id, Status::Expired { epoch: now }, &mut registry)?;
        }
    }
    if registry == before {
        return Ok(());
    }
    view.write(Key::Registry, &registry);
    let left = before.admitted.iter().filter(|id| !registry.admitted.contains(id));
    donations::strike_releases(view, now, left)
}

fn decide<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    now: Epoch,
    id: AssociationId,
    ballot: &Ballot,
    registry: &mut Registry,
) -> Result<(), StateError> {
    let approving = ballot.electors.iter().filter(|elector| elector.approve == Some(true));
    let (yes, weight) =
        approving.fold((0, 0_u64), |(count, sum), elector| (count + 1, sum + elector.weight));
    let passed = passes(yes, ballot.electors.len() as u64, weight, ballot.active_weight);
    view.erase(Key::Ballot(id));
    match ballot.kind {
        BallotKind::Admission => {
            registry.pending.retain(|other| *other != id);
            // A request is taken only while a place is left for it.
            if passed && registry.admitted.push(id).is_ok() {
                admit(view, now, id)
            } else {
                refuse(view, now, id)
            }
        }
        BallotKind::Removal => {
            registry.removals.retain(|other| *other != id);
            if passed { leave(view, id, Status::Removed { epoch: now }, registry) } else { Ok(()) }
        }
    }
}

fn admit<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    now: Epoch,
    id: AssociationId,
) -> Result<(), StateError> {
    let Some(mut standing) = view.read::<Standing>(Key::Standing(id))? else {
        return Ok(());
    };
    return_deposit(view, &mut standing)?;
    let expires = now.after(view.genesis.parameters.admission_epochs);
    standing.status = Status::Admitted { expires };
    view.write(Key::Standing(id), &standing);
    Ok(())
}

/// A request that was refused loses its deposit to the pool.
fn refuse<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    now: Epoch,
    id: AssociationId,
) -> Result<(), StateError> {
    let Some(mut standing) = view.read::<Standing>(Key::Standing(id))? else {
        return Ok(());
    };
    let deposit = core::mem::take(&mut standing.deposit);
    let mut totals: Totals = view.read_or_default(Key::Totals)?;
    totals.deposits = totals.deposits.saturating_sub(deposit);
    totals.pool = add(totals.pool, deposit);
    totals.donated = add(totals.donated, deposit);
    view.write(Key::Totals, &totals);
    standing.status = Status::Refused { epoch: now };
    view.write(Key::Standing(id), &standing);
    view.erase(Key::Dossier(id));
    Ok(())
}

/// An association leaves; its caller returns what it was not given yet to the pool.
fn leave<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    id: AssociationId,
    status: Status,
    registry: &mut Registry,
) -> Result<(), StateError> {
    registry.admitted.retain(|other| *other != id);
    if registry.removals.contains(&id) {
        registry.removals.retain(|other| *other != id);
        view.erase(Key::Ballot(id));
    }
    if let Some(mut standing) = view.read::<Standing>(Key::Standing(id))? {
        standing.status = status;
        view.write(Key::Standing(id), &standing);
    }
    Ok(())
}
