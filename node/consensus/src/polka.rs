//! Proof that two thirds prevoted for a block: what locks a validator, and what unlocks others.

use goodwatt_chain::block::CommitSignature;
use goodwatt_chain::hash::{BlockId, ChainId};
use goodwatt_chain::signature::{Batch, PublicKey};
use goodwatt_chain::units::{Height, Round};
use goodwatt_chain::validators::{VALIDATORS_MAX, ValidatorSet, is_quorum};
use goodwatt_chain::vote::{Vote, VoteKind};
use serde::{Deserialize, Serialize};

/// More than two thirds of the weight prevoted for one block in one round.
///
/// Whoever proposes a block again sends it along, for a validator that missed those prevotes could
/// not follow; and it is written to the log, for after a power cut at every validator at once
/// nobody else would have it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Polka {
    /// The height.
    pub height: Height,
    /// The round of the prevotes.
    pub round: Round,
    /// The block they are for.
    pub block: BlockId,
    /// The prevotes, by rising position.
    pub prevotes: heapless::Vec<CommitSignature, VALIDATORS_MAX>,
}

impl Polka {
    /// Whether positions rise within `set`, the weight is a quorum and every signature is valid.
    #[must_use]
    pub fn verify(&self, chain: &ChainId, set: &ValidatorSet) -> bool {
        let mut batch = Batch::with_capacity(self.prevotes.len());
        let mut weight = 0_u64;
        for prevote in &self.prevotes {
            let Some(validator) = set.at(usize::from(prevote.validator)) else { return false };
            weight += validator.weight.get();
            let digest = self.prevote(validator.signer).digest(chain);
            batch.push(validator.signer, digest, prevote.signature);
        }
        // Rising positions name nobody twice, so that the sum stays below the total weight.
        self.prevotes.is_sorted_by(|a, b| a.validator < b.validator)
            && is_quorum(weight, set.total_weight())
            && batch.verify()
    }

    /// The vote that `signer` signed for it.
    #[must_use]
    pub const fn prevote(&self, signer: PublicKey) -> Vote {
        Vote {
            kind: VoteKind::Prevote,
            height: self.height,
            round: self.round,
            block: Some(self.block),
            signer,
        }
    }
}
