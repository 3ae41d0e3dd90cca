//! Bringing cheats to account: proof of two different signatures becomes a transaction.
//!
//! It is signed with the slot key held here, and costs nothing: that key has no money. Who holds no
//! seat signs nothing; it passes the two words on like any others, to those who do.

use goodwatt_chain::transaction::{Action, Transaction};
use goodwatt_chain::units::Grains;
use goodwatt_chain::vote::{Evidence, SignedVote, VoteKind};
use goodwatt_consensus::{Message as Word, SignedStatement};

use crate::parts::{Now, Signers, StateStore};
use crate::stuck::Stuck;
use crate::validator::Validator;

impl<S: StateStore, K: Signers> Validator<S, K> {
    /// Submits the proof that a validator signed two different things.
    pub(crate) fn bring_to_account(&mut self, now: Now, evidence: Evidence) -> Result<(), Stuck> {
        let cheat = evidence.signer();
        tracing::error!("{cheat} signed two different things at {}", evidence.height());
        let silent = !self.sign || self.doppelganger.is_some() || self.signers.holds(&cheat);
        let Some(seat) = self.own_seat().filter(|_| !silent) else { return Ok(()) };
        let Some(key) = self.signers.key(&seat) else { return Ok(()) };
        let nonce = self.mempool.account(&self.ledger, &seat)?.nonce;
        let action = Action::SubmitEvidence(Box::new(evidence));
        let proof = Transaction::sign(self.ledger.chain(), &key, nonce, Grains::ZERO, action);
        for outcome in self.submit(now, vec![proof]) {
            match outcome {
                Ok(id) => tracing::info!("{id} brings {cheat} to account"),
                Err(why) => tracing::debug!("the evidence against {cheat}: {why}"),
            }
        }
        Ok(())
    }

    /// Looks at a word that came too late for agreement: it may contradict what its signer said for
    /// the last block.
    pub(crate) fn hear_late(&mut self, now: Now, word: &Word) -> Result<(), Stuck> {
        match self.contradiction(word) {
            Some(evidence) => self.bring_to_account(now, evidence),
            None => Ok(()),
        }
    }

    fn contradiction(&self, word: &Word) -> Option<Evidence> {
        let Word::Statement(SignedStatement::Vote(late)) = word else { return None };
        let (certificate, vote) = (self.tip_certificate.as_ref()?, &late.vote);
        let same_step = vote.kind == VoteKind::Precommit
            && vote.height == certificate.height
            && vote.round == certificate.round;
        if !same_step || vote.block == Some(certificate.block) {
            return None;
        }
        let position = self.ledger.in_charge().validators.position(&vote.signer)?;
        let commit =
            certificate.signatures.iter().find(|c| usize::from(c.validator) == position)?;
        let first =
            SignedVote { vote: certificate.precommit(vote.signer), signature: commit.signature };
        let chain = self.ledger.chain();
        // Where the set has changed with that block the position is another one's.
        (first.verify(chain) && late.verify(chain)).then_some(Evidence::Votes(first, *late))
    }
}
