//! The decision itself, without any file: may this be signed after that?

use goodwatt_chain::units::{Height, Round};

use super::{GuardRecord, GuardStep, SignRequest, SignedStep};

/// Why a statement may not be signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GuardRefusal {
    /// The height or round lies below what was signed.
    #[error("{height}, {round} lies below what was signed last")]
    Below {
        /// Height asked for.
        height: Height,
        /// Round asked for.
        round: Round,
    },
    /// A later step of this round was signed already.
    #[error("a later step of {height}, {round} was signed already")]
    LaterStepSigned {
        /// Height asked for.
        height: Height,
        /// Round asked for.
        round: Round,
    },
    /// Something else was signed for this very step.
    #[error("something else was signed for this step of {height}, {round}")]
    SignedOtherwise {
        /// Height asked for.
        height: Height,
        /// Round asked for.
        round: Round,
    },
}

/// The record after signing `request`, or why it may not be signed after `last`.
///
/// Heights and rounds only rise, whatever key signs: a board that changes its key goes on from
/// where it was.
///
/// # Errors
/// See [`GuardRefusal`].
pub fn decide(
    last: Option<&GuardRecord>,
    request: &SignRequest,
) -> Result<GuardRecord, GuardRefusal> {
    let SignRequest { signer, height, round, step, block, content } = *request;
    let fresh = GuardRecord { signer, height, round, steps: [None; 3] };
    let mut record = match last {
        Some(last) if (height, round) < (last.height, last.round) => {
            return Err(GuardRefusal::Below { height, round });
        }
        Some(last) if (height, round) == (last.height, last.round) => *last,
        _ => fresh,
    };
    let signed = SignedStep { block, content };
    let later_signed = record.steps.iter().skip(index(step) + 1).any(Option::is_some);
    let place = &mut record.steps[index(step)];
    match place {
        Some(former) if *former == signed && record.signer == signer => return Ok(record),
        Some(_) => return Err(GuardRefusal::SignedOtherwise { height, round }),
        None if later_signed => return Err(GuardRefusal::LaterStepSigned { height, round }),
        None if record.signer != signer => {
            return Err(GuardRefusal::SignedOtherwise { height, round });
        }
        None => *place = Some(signed),
    }
    Ok(record)
}

const fn index(step: GuardStep) -> usize {
    match step {
        GuardStep::Proposal => 0,
        GuardStep::Prevote => 1,
        GuardStep::Precommit => 2,
    }
}
