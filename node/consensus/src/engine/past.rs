//! What a crash left of a height, and what follows from it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use goodwatt_chain::hash::BlockId;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::{Height, Round};
use goodwatt_chain::vote::Vote;

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
    pub(super) fn of(height: Height, signer: Option<PublicKey>, recovered: Recovered) -> Self {
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
        past
    }

    /// The guard's record, if it is of this height.
    fn last(&self) -> Option<LastSigned> {
        self.guard.filter(|last| last.mark.height == self.height)
    }

    /// The guard's last vote, if the log has lost it.
    pub(super) fn lost(&self) -> Option<Vote> {
        let last = self.last()?;
        let known = self.own.iter().any(|own| own.statement().mark() == last.mark);
        last.vote().filter(|_| !known)
    }

    /// Everything known to have been signed at this height: where it stands, and for what.
    fn signed(&self) -> impl Iterator<Item = (Mark, Option<BlockId>)> {
        let own = self.own.iter().map(SignedStatement::statement);
        let last = self.last().map(|last| (last.mark, last.block));
        own.map(|own| (own.mark(), own.block())).chain(last)
    }

    /// Why nothing may be signed at this height with this key, if so.
    pub(super) fn silence(&self, signer: &PublicKey) -> Option<SilentReason> {
        match self.guard {
            Some(last) if last.mark.height > self.height => {
                Some(SilentReason::GuardAhead(last.mark.height))
            }
            Some(last) if last.mark.height == self.height && last.signer != *signer => {
                Some(SilentReason::ForeignGuard(last.signer))
            }
            _ => self.lost_lock().map(SilentReason::LockLost),
        }
    }

    /// The round of a lock whose proof is lost.
    fn lost_lock(&self) -> Option<Round> {
        let mut precommits = self.signed().filter(|(mark, _)| mark.step == Step::Precommit);
        let unproven = precommits
            .find(|(mark, block)| block.is_some_and(|block| !self.proves(mark.round, block)));
        unproven.map(|(mark, _)| mark.round)
    }

    fn proves(&self, round: Round, block: BlockId) -> bool {
        self.polkas.iter().any(|polka| (polka.round, polka.block) == (round, block))
    }

    /// The last thing signed at this height.
    fn last_signed(&self) -> Option<Mark> {
        self.signed().map(|(mark, _)| mark).max()
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
