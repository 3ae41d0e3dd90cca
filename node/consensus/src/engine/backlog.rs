//! Messages of heights to come, kept until those start.
//!
//! A peer may be a block ahead, so its words must not be lost; but nobody can tell yet who will
//! have a vote. Signers of the set in charge have a share each, after their signature was checked.
//! All others, whose set may begin with the next block, share a small room in which the oldest
//! gives way: flooding it costs others nothing but a repetition.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use goodwatt_chain::hash::ChainId;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::Height;

use crate::refusal::Refusal;
use crate::statement::SignedStatement;

/// Heights kept ahead of the last one started: a peer is one ahead whenever it decided first, and
/// two if the next block followed at once. From there on it is quicker to catch up.
const HEIGHTS_AHEAD: u64 = 2;

/// Messages kept of one signer: two heights of proposal, prevote and precommit, and a second round.
const MESSAGES_PER_SIGNER: usize = 8;

/// Messages kept of all strangers, 60 kB: a first round of the largest set.
const MESSAGES_OF_STRANGERS: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Backlog {
    signers: BTreeMap<PublicKey, VecDeque<SignedStatement>>,
    strangers: VecDeque<SignedStatement>,
}

impl Backlog {
    /// Keeps a statement of a height after `last`, if it is not too far.
    pub(super) fn keep(
        &mut self,
        signed: SignedStatement,
        last: Height,
        chain: &ChainId,
        is_signer: impl Fn(&PublicKey) -> bool,
    ) -> Result<(), Refusal> {
        let statement = signed.statement();
        let ahead = statement.mark().height.since(last);
        if ahead.is_none_or(|ahead| ahead.get() > HEIGHTS_AHEAD) {
            return Ok(());
        }
        let (room, size) = if is_signer(&statement.signer()) {
            (self.signers.entry(statement.signer()).or_default(), MESSAGES_PER_SIGNER)
        } else {
            (&mut self.strangers, MESSAGES_OF_STRANGERS)
        };
        if room.iter().any(|kept| kept.statement() == statement) {
            return Err(Refusal::Known);
        }
        if !signed.verify(chain) {
            return Err(Refusal::BadSignature);
        }
        if room.len() == size {
            room.pop_front();
        }
        room.push_back(signed);
        Ok(())
    }

    /// Takes out what was kept for `height`, and forgets what is older.
    pub(super) fn take(&mut self, height: Height) -> Vec<SignedStatement> {
        let mut taken = Vec::new();
        let mut sort = |room: &mut VecDeque<SignedStatement>| {
            let of = |kept: &SignedStatement| kept.statement().mark().height;
            taken.extend(room.iter().filter(|kept| of(kept) == height));
            room.retain(|kept| of(kept) > height);
        };
        self.signers.values_mut().for_each(&mut sort);
        sort(&mut self.strangers);
        self.signers.retain(|_, room| !room.is_empty());
        taken
    }
}
