//! What a crash left of a height, and what follows from it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use goodwatt_chain::hash::{BlockId, ChainId};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::{Height, Round};

use crate::event::{LastSigned, Recovered, SilentReason, WalEntry};
use crate::polka::Polka;
use crate::statement::{Mark, SignedStatement, Step};

/// What is known of a height from before the crash.
pub(super) struct Past {
    height: Height,
    /// Own words, in the order they were said.
    pub(super) own: Vec<SignedStatement>,
    /// What the validator was locked on, by rising round.
    pub(super) polkas: Vec<Box<Polka>>,
    guard: Option<LastSigned>,
}

impl Past {
    pub(super) fn of(
        chain: &ChainId,
        height: Height,
        signer: Option<PublicKey>,
        recovered: Recovered,
    ) -> Self {
        let Recovered { signed: guard, entries } = recovered;
        let mut past = Self { height, own: Vec::new(), polkas: Vec::new(), guard };
        for entry in entries {
            match entry {
                WalEntry::Own(signed) => past.own.push(signed),
                WalEntry::Polka(polka) => past.polkas.push(polka),
            }
        }
        past.own.retain(|own| {
            let statement = own.statement();
            statement.mark().height == height && Some(statement.signer()) == signer
        });
        past.polkas.retain(|polka| polka.height == height);
        past.polkas.sort_by_key(|polka| polka.round);
        past.recall(chain, signer);
        past
    }

    /// Adds the guard's last vote to the own words, if the log did not have it yet.
    fn recall(&mut self, chain: &ChainId, signer: Option<PublicKey>) {
        let last = self.guard.filter(|last| last.mark.height == self.height);
        let vote = last.zip(signer).and_then(|(last, signer)| last.vote(signer));
        let own = vote.filter(|vote| vote.verify(chain)).map(SignedStatement::Vote);
        self.own.extend(own.filter(|own| !self.knows(own.statement().mark())));
    }

    /// Whether what was said at `mark` is known.
    fn knows(&self, mark: Mark) -> bool {
        self.own.iter().any(|own| own.statement().mark() == mark)
    }

    /// Why nothing may be signed at this height, if so.
    pub(super) fn silence(&self) -> Option<SilentReason> {
        match self.guard.map(|last| last.mark) {
            Some(mark) if mark.height > self.height => {
                return Some(SilentReason::GuardAhead(mark.height));
            }
            Some(mark) if mark.height == self.height && self.is_foreign(mark) => {
                return Some(SilentReason::ForeignGuard);
            }
            _ => {}
        }
        let own = self.own.iter().map(SignedStatement::statement);
        let mut locks = own.filter(|own| own.mark().step == Step::Precommit);
        let unproven = locks
            .find(|own| own.block().is_some_and(|block| !self.proves(own.mark().round, block)));
        unproven.map(|own| SilentReason::LockLost(own.mark().round))
    }

    /// Whether a vote on the guard did not turn out to be an own one.
    fn is_foreign(&self, mark: Mark) -> bool {
        mark.step != Step::Proposal && !self.knows(mark)
    }

    fn proves(&self, round: Round, block: BlockId) -> bool {
        self.polkas.iter().any(|polka| (polka.round, polka.block) == (round, block))
    }

    /// The last thing signed at this height.
    fn last_signed(&self) -> Option<Mark> {
        let own = self.own.iter().map(|own| own.statement().mark());
        let guard = self.guard.map(|last| last.mark).filter(|mark| mark.height == self.height);
        own.chain(guard).max()
    }

    /// The round to resume: where it left off.
    pub(super) fn round(&self) -> Round {
        let signed = self.last_signed().map_or(Round::ZERO, |mark| mark.round);
        self.polkas.last().map_or(signed, |polka| signed.max(polka.round))
    }

    /// The step up to which nothing may be asked for: what was signed, and the prevote of the
    /// round of the last polka, for the engine replays that round from there.
    pub(super) fn last_asked(&self) -> Option<Mark> {
        let polka = self.polkas.last().map(|polka| polka.round);
        let replayed = polka.map(|round| Mark { height: self.height, round, step: Step::Prevote });
        self.last_signed().max(replayed)
    }
}
