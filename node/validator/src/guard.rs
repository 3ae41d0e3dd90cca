//! The signing guard as the validator uses it: statements in, what may be signed out.

use goodwatt_chain::hash::{ChainId, Digest32};
use goodwatt_consensus::{LastSigned, Mark, Statement, Step};
use goodwatt_store::{DiskError, Folder, GuardError, GuardStep, SignRequest, SigningGuard};

/// Why nothing may be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardFault {
    /// The guard cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// The disk refused to take note.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// The guard, or why there is none.
#[derive(Debug)]
pub struct Guard {
    chain: ChainId,
    guard: Result<SigningGuard, String>,
}

impl Guard {
    /// Opens the guard; on a data folder that is new, and only there, it makes one.
    pub fn open(folder: &Folder, chain: ChainId, is_new: bool) -> Self {
        let opened = match SigningGuard::open(folder, chain) {
            Err(GuardError::Missing) if is_new => {
                SigningGuard::create(folder, chain).map_err(GuardError::from)
            }
            outcome => outcome,
        };
        if let Err(error) = &opened {
            tracing::error!("{error}");
        }
        Self { chain, guard: opened.map_err(|error| error.to_string()) }
    }

    /// Why nothing may be signed, if so.
    pub fn fault(&self) -> Option<String> {
        self.guard.as_ref().err().cloned()
    }

    /// What was signed last.
    pub fn last(&self) -> Option<LastSigned> {
        let record = self.guard.as_ref().ok()?.record()?;
        let (step, signed) = record.last()?;
        let step = match step {
            GuardStep::Proposal => Step::Proposal,
            GuardStep::Prevote => Step::Prevote,
            GuardStep::Precommit => Step::Precommit,
        };
        let mark = Mark { height: record.height, round: record.round, step };
        Some(LastSigned { mark, block: signed.block, signer: record.signer })
    }

    /// Takes note of statements, durably, and gives those that may be signed now.
    pub fn allow(&mut self, statements: &[Statement]) -> Result<Vec<Statement>, GuardFault> {
        let chain = self.chain;
        let guard = self.guard.as_mut().map_err(|error| GuardFault::Unusable(error.clone()))?;
        let requests: Vec<SignRequest> =
            statements.iter().map(|statement| request(&chain, statement)).collect();
        let verdicts = guard.record_all(&requests)?;
        let mut allowed = Vec::new();
        for (statement, verdict) in statements.iter().zip(verdicts) {
            match verdict {
                Ok(()) => allowed.push(*statement),
                Err(refusal) => tracing::error!("not signed: {refusal}"),
            }
        }
        Ok(allowed)
    }

    /// The exchange format.
    pub fn export(&self) -> Result<String, String> {
        self.guard.as_ref().map(SigningGuard::export).map_err(Clone::clone)
    }
}

fn request(chain: &ChainId, statement: &Statement) -> SignRequest {
    let mark = statement.mark();
    SignRequest {
        signer: statement.signer(),
        height: mark.height,
        round: mark.round,
        step: match mark.step {
            Step::Proposal => GuardStep::Proposal,
            Step::Prevote => GuardStep::Prevote,
            Step::Precommit => GuardStep::Precommit,
        },
        block: statement.block(),
        content: digest(chain, statement),
    }
}

fn digest(chain: &ChainId, statement: &Statement) -> Digest32 {
    match statement {
        Statement::Proposal(proposal) => proposal.digest(chain),
        Statement::Vote(vote) => vote.digest(chain),
    }
}
