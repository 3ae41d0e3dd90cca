//! The rules of Proof of Good-Will: what each transaction does, and when it is refused.

mod associations;
mod donations;
mod energy;
mod evidence;
mod slots;
mod stakes;
mod transition;
mod weight;

use crate::genesis::Genesis;
use crate::hash::ChainId;
use crate::leaves::Leaves;
use crate::state::{Account, Key, StateError, View};
use crate::transaction::{Action, Transaction};
use crate::units::{Epoch, Grains, Height};

pub use associations::passes;
pub use slots::reveals_link;
pub(crate) use slots::{RevealError, founding_state, take_reveal};
pub(crate) use transition::{record_certificate, record_proposer, transition};

/// Why a transaction is not carried out. The sender is at fault; the state is unchanged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Longer than genesis allows.
    #[error("{len} bytes are more than the {limit} a transaction may have on this chain")]
    TooLong {
        /// Bytes of the transaction.
        len: usize,
        /// Bytes allowed.
        limit: u32,
    },
    /// A signature does not verify.
    #[error("a signature is not valid: it was made with another key or over other fields")]
    Signature,
    /// Pays less than the least fee.
    #[error("the fee is under the least fee of {0}")]
    UnderFee(Grains),
    /// Already carried out, or replaced by another of the same nonce.
    #[error("nonce {found} was used before, the next is {expected}: it was carried out already")]
    StaleNonce {
        /// Nonce of the transaction.
        found: u64,
        /// The account's next nonce.
        expected: u64,
    },
    /// Comes before its turn.
    #[error("nonce {found} comes before its turn, the next is {expected}")]
    NonceGap {
        /// Nonce of the transaction.
        found: u64,
        /// The account's next nonce.
        expected: u64,
    },
    /// Spends more than the account has.
    #[error("it spends {needed}, the account has {balance}")]
    Overdrawn {
        /// Amount and fee.
        needed: Grains,
        /// What the account has.
        balance: Grains,
    },
    /// Amount and fee together are more than may ever exist.
    #[error("amount and fee together are more than may ever exist")]
    AmountOverflows,
    /// Pays nothing.
    #[error("the amount is zero")]
    ZeroAmount,
    /// The slot's epoch is too near.
    #[error("slots for {asked} are no longer sold, the window is open for {open}")]
    SlotWindowPassed {
        /// Epoch asked for.
        asked: Epoch,
        /// Epoch that is sold now.
        open: Epoch,
    },
    /// The slot's epoch is too far ahead.
    #[error("slots for {asked} are not sold yet, the window is open for {open}")]
    SlotWindowNotOpen {
        /// Epoch asked for.
        asked: Epoch,
        /// Epoch that is sold now.
        open: Epoch,
    },
    /// Pays less than the least price.
    #[error("a slot costs at least {0}")]
    UnderSlotPrice(Grains),
    /// Something is preferred where nothing is donated.
    #[error("by the rule of this chain nothing is donated for a slot: leave the preference out")]
    NothingDonated,
    /// Stake votes for nobody on this chain.
    #[error("stake votes for nobody by the rule of this chain: buy a slot instead")]
    NoDelegates,
    /// No bid with this slot key.
    #[error("no bid of the open epoch has this slot key")]
    UnknownDelegate,
    /// All places behind a bid are taken by higher amounts.
    #[error("all places behind this bid are taken; an amount has to be above {0}")]
    BackersFull(Grains),
    /// All places are taken by higher bids.
    #[error("all places are taken; a bid has to be above {0}")]
    Underbid(Grains),
    /// The signer key has a slot already, or had one in the term that ended last.
    #[error("the signer key has a slot already: make a fresh one for each purchase")]
    SignerTaken,
    /// The key was caught signing two different things.
    #[error("the key carries a tombstone: it signed two different things")]
    Tombstoned,
    /// The preferred association is not admitted.
    #[error("the preferred association is not admitted")]
    PreferenceNotAdmitted,
    /// An association buys a slot, or one who bought asks to be an association.
    #[error("an association can not hold a slot: its donations would return to it")]
    AssociationHoldsSlot,
    /// A field of a request says nothing or is not of its form.
    #[error("the {0} of the request is empty or not of its form")]
    MalformedRequest(&'static str),
    /// The deposit is too small.
    #[error("a request holds a deposit of at least {0}")]
    DepositMissing(Grains),
    /// This key asked already, or is admitted.
    #[error("this key has a request that is pending or an association that is admitted")]
    AlreadyRequested,
    /// It is too early after a refusal, withdrawal or removal.
    #[error("no new request by this key before {0}")]
    Cooling(Epoch),
    /// As many requests or associations as the ledger holds.
    #[error("the ledger holds as many requests or associations as it can; try again later")]
    RegistryFull,
    /// Nobody was live in the epoch before, so nobody could vote.
    #[error("no validator was live in the epoch before: nobody could vote; try again next epoch")]
    NoElectors,
    /// There is no such association.
    #[error("there is no such association")]
    UnknownAssociation,
    /// The association belongs to another key.
    #[error("the association belongs to another key")]
    NotYourAssociation,
    /// The association is not in the state this needs.
    #[error("the association is {0}")]
    WrongStatus(&'static str),
    /// No vote of this kind is open.
    #[error("no such vote is open on this association")]
    NoBallot,
    /// The voter was not live when the vote opened.
    #[error("only validators that were live when the vote opened can vote")]
    NotElector,
    /// The voter is the association itself.
    #[error("an association has no voice in a vote on itself")]
    OwnAssociation,
    /// The same voice was given before.
    #[error("this voice was given already; it can be changed, not repeated")]
    AlreadyVoted,
    /// The report is not about the term that ended last.
    #[error("a report has to be about {0}, the term that ended last")]
    WrongReportEpoch(Epoch),
    /// No term has ended yet.
    #[error("no term has ended yet: there is nothing to report on")]
    NothingToReport,
    /// The sender held no slot in that term, and is no slot key of it.
    #[error("the sender was not a validator of that term, nor is it one of its slot keys")]
    NotValidatorOfTerm,
    /// Reported already.
    #[error("the energy of that term was reported already")]
    ReportedTwice,
    /// The figure cannot be a board's.
    #[error("absurd: the mean power has to lie between 10 mW and 1 kW")]
    AbsurdEnergy,
    /// The error bound cannot be right for the method.
    #[error("absurd: the error bound has to lie between 0.1 % (5 % if modelled) and 100 %")]
    AbsurdError,
    /// The two signed things do not contradict each other.
    #[error("the two signed messages do not contradict each other")]
    NoConflict,
    /// The key was brought to account already.
    #[error("this key was brought to account before")]
    EvidenceSeen,
    /// The cheat lies too far back.
    #[error("the evidence is too old: nothing is left to lose after the vesting delay")]
    EvidenceTooOld,
    /// The key signed for nobody.
    #[error("the key was no validator's in the time that counts")]
    UnknownSigner,
}

/// Why a transaction could not be carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// The sender is at fault.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store is at fault.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Where in the chain a transaction is carried out.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The chain.
    pub chain: ChainId,
    /// The block's height.
    pub height: Height,
    /// The block's epoch.
    pub epoch: Epoch,
}

/// Carries out one transaction whose signatures are valid; gives the fee it paid.
///
/// Changes stay pending in `view` when it succeeds and are dropped when it does not.
///
/// # Errors
/// [`ExecuteError::Refused`] leaves the state as it was.
pub fn execute<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    place: &Place,
    transaction: &Transaction,
) -> Result<Grains, ExecuteError> {
    let outcome = pay(view, transaction).and_then(|fee| {
        act(view, place, transaction)?;
        Ok(fee)
    });
    match outcome {
        Ok(_) => view.keep(),
        Err(_) => view.drop_pending(),
    }
    outcome
}

/// Takes fee and amount from the sender and counts the transaction.
fn pay<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    transaction: &Transaction,
) -> Result<Grains, ExecuteError> {
    let content = &transaction.content;
    check_limits(view.genesis, transaction)?;
    if content.is_free_report() {
        return match content.nonce {
            0 => Ok(Grains::ZERO),
            found => Err(Refusal::NonceGap { found, expected: 0 }.into()),
        };
    }
    view.update(Key::Account(content.sender), |account: &mut Account| {
        let (found, expected) = (content.nonce, account.nonce);
        if found < expected {
            return Err(Refusal::StaleNonce { found, expected }.into());
        }
        if found > expected {
            return Err(Refusal::NonceGap { found, expected }.into());
        }
        let needed =
            spent(&content.action).checked_add(content.fee).ok_or(Refusal::AmountOverflows)?;
        let balance = account.balance;
        account.balance =
            balance.checked_sub(needed).ok_or(Refusal::Overdrawn { needed, balance })?;
        account.nonce = account.nonce.checked_add(1).ok_or(Refusal::AmountOverflows)?;
        Ok(content.fee)
    })
}

fn check_limits(genesis: &Genesis, transaction: &Transaction) -> Result<(), Refusal> {
    let parameters = &genesis.parameters;
    let (len, limit) = (transaction.bytes().len(), parameters.transaction_bytes_max);
    if len > limit as usize {
        return Err(Refusal::TooLong { len, limit });
    }
    let fee_min = transaction.content.fee_min(parameters.fee_min);
    if transaction.content.fee < fee_min {
        return Err(Refusal::UnderFee(fee_min));
    }
    Ok(())
}

/// What the action itself takes from the sender.
const fn spent(action: &Action) -> Grains {
    match action {
        Action::Transfer(transfer) => transfer.amount,
        Action::BuySlot(slot) => slot.amount,
        Action::Delegate(delegation) => delegation.amount,
        Action::RequestAssociation(request) => request.deposit,
        _ => Grains::ZERO,
    }
}

fn act<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    place: &Place,
    transaction: &Transaction,
) -> Result<(), ExecuteError> {
    let sender = transaction.content.sender;
    match &transaction.content.action {
        Action::Transfer(transfer) => {
            if transfer.amount.is_zero() {
                return Err(Refusal::ZeroAmount.into());
            }
            Ok(view.credit(&transfer.to, transfer.amount)?)
        }
        Action::BuySlot(slot) => slots::buy(view, place, &sender, slot),
        Action::RequestAssociation(request) => {
            let nonce = transaction.content.nonce;
            associations::request(view, place, &sender, nonce, request)
        }
        Action::RenewAssociation(renewal) => associations::renew(view, place, &sender, renewal),
        Action::WithdrawRequest(withdrawal) => {
            associations::withdraw(view, place, &sender, withdrawal.association)
        }
        Action::VoteAssociation(vote) => associations::vote(view, place, &sender, vote),
        Action::ReportEnergy(report) => energy::report(view, &sender, report),
        Action::SubmitEvidence(evidence) => evidence::submit(view, place, evidence),
        Action::Delegate(delegation) => weight::rule(view.genesis).back(view, &sender, delegation),
    }
}
