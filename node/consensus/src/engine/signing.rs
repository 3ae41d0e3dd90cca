//! What was asked to be signed: each step once, in rising order, whatever the engine wishes.

use alloc::vec::Vec;

use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::Round;

use crate::event::Action;
use crate::refusal::Refusal;
use crate::statement::{Mark, SignedStatement, Statement};

/// The signing side of one height.
#[derive(Debug)]
pub(super) struct Signing {
    /// The key to sign with; `None` keeps silent.
    key: Option<PublicKey>,
    /// The last step asked for, now or before a crash.
    last: Option<Mark>,
    /// Asked for by the event at hand.
    batch: Vec<Statement>,
    /// Asked for before, and not answered.
    pending: Vec<Statement>,
}

impl Signing {
    pub(super) const fn new(key: Option<PublicKey>, last: Option<Mark>) -> Self {
        Self { key, last, batch: Vec::new(), pending: Vec::new() }
    }

    /// Whether a statement at `mark` may still be asked for.
    pub(super) fn may_ask(&self, mark: Mark) -> bool {
        self.key.is_some() && self.last.is_none_or(|last| last < mark)
    }

    /// Asks for the statement that `make` gives for the key, unless it may not be asked for.
    pub(super) fn ask(&mut self, make: impl FnOnce(PublicKey) -> Statement) -> bool {
        let statement = self.key.map(make).filter(|statement| self.may_ask(statement.mark()));
        self.last = statement.map(|statement| statement.mark()).or(self.last);
        self.batch.extend(statement);
        statement.is_some()
    }

    /// Asks once more, word for word, for what the guard let through before a crash. It goes first.
    pub(super) fn ask_again(&mut self, statement: Statement) {
        if self.key.is_some() {
            self.batch.insert(0, statement);
        }
    }

    /// Everything the event at hand asked for, as one action.
    pub(super) fn request(&mut self) -> Option<Action> {
        let batch = core::mem::take(&mut self.batch);
        self.pending.extend_from_slice(&batch);
        (!batch.is_empty()).then_some(Action::Sign(batch))
    }

    /// Takes answers. All of them have to answer requests that are still open.
    pub(super) fn answer(&mut self, signed: &[SignedStatement]) -> Result<(), Refusal> {
        let mut open = self.pending.clone();
        for answer in signed {
            let at = open.iter().position(|asked| *asked == answer.statement());
            open.swap_remove(at.ok_or(Refusal::NotAsked)?);
        }
        self.pending = open;
        Ok(())
    }

    /// Gives up on requests of rounds before `round`: the guard refused them. So few stay open.
    pub(super) fn forget_before(&mut self, round: Round) {
        self.pending.retain(|asked| asked.mark().round >= round);
    }
}
