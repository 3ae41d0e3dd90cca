//! [`Core`] by the Tendermint rules of the Malachite driver; docs/adr/0003-agreement-core.md says
//! why by that one.

mod adapter;
mod backlog;
mod far;
mod proposals;
mod recovery;
mod running;
mod signing;

use alloc::boxed::Box;
use alloc::vec::Vec;

use goodwatt_chain::hash::ChainId;
use goodwatt_chain::units::{Height, Round};

use crate::event::{Action, Event, HeightStart};
use crate::refusal::Refusal;
use crate::statement::{Message, SignedStatement};
use crate::{Core, Progress};
use backlog::Backlog;
use running::Running;

/// Rounds behind the current one of which messages are kept and taken: late votes may still decide
/// them. A round of the largest set weighs about 30 kB.
const ROUNDS_KEPT: u32 = 4;

/// Rounds ahead of the current one of which all messages are taken: timers differ by less. Votes
/// from further ahead are kept more sparingly, see [`far`].
const ROUNDS_AHEAD: u32 = 2;

/// The last round there is: two years of rounds of a minute.
const ROUND_LAST: Round = Round::new(1_000_000);

/// Agreement by Tendermint's rules.
pub struct Tendermint {
    chain: ChainId,
    /// The last height started, or that of the tip before the first start.
    last: Height,
    running: Option<Box<Running>>,
    backlog: Backlog,
}

impl Tendermint {
    /// A core for a chain whose last block stands at `tip`.
    #[must_use]
    pub fn new(chain: ChainId, tip: Height) -> Self {
        Self { chain, last: tip, running: None, backlog: Backlog::default() }
    }

    fn start(&mut self, start: HeightStart) -> Result<Vec<Action>, Refusal> {
        let height = start.height;
        if height <= self.last {
            return Err(Refusal::HeightPassed(height));
        }
        let mut running = Box::new(Running::start(self.chain, start)?);
        for signed in self.backlog.take(height) {
            // Who sent it is long forgotten, so there is nobody left to tell of a refusal.
            let _ = running.received(&Message::Statement(signed));
        }
        self.last = height;
        Ok(self.running.insert(running).take_actions())
    }

    fn received(&mut self, message: &Message) -> Result<Vec<Action>, Refusal> {
        let height = message.height();
        if height > self.last {
            if let Message::Statement(signed) = message {
                self.keep(*signed)?;
            }
            return Ok(Vec::from([Action::Ahead { height }]));
        }
        self.at(height, |running| running.received(message))
    }

    fn keep(&mut self, signed: SignedStatement) -> Result<(), Refusal> {
        let rules = self.running.as_ref().map(|running| &running.rules);
        let is_signer =
            |key: &_| rules.is_some_and(|rules| rules.position(key).is_some());
        self.backlog.keep(signed, self.last, &self.chain, is_signer)
    }

    /// Does something at the running height, if it is this one.
    fn at(
        &mut self,
        height: Height,
        act: impl FnOnce(&mut Running) -> Result<(), Refusal>,
    ) -> Result<Vec<Action>, Refusal> {
        let running = self.running.as_mut().filter(|running| running.height == height);
        let running = running.ok_or(Refusal::Late)?;
        act(running)?;
        Ok(running.take_actions())
    }
}

impl Core for Tendermint {
    fn handle(&mut self, event: Event) -> Result<Vec<Action>, Refusal> {
        match event {
            Event::StartHeight(start) => self.start(start),
            Event::BlockBuilt { height, round, block } => {
                self.at(height, |running| running.block_built(round, block))
            }
            Event::BlockChecked { height, block, valid } => {
                self.at(height, |running| running.block_checked(block, valid))
            }
            Event::Received(message) => self.received(&message),
            Event::Signed(signed) => {
                let Some(first) = signed.first() else { return Ok(Vec::new()) };
                self.at(first.statement().mark().height, |running| running.signed(&signed))
            }
            Event::TimeoutElapsed(timeout) => {
                self.at(timeout.height, |running| running.timeout_elapsed(timeout))
            }
        }
    }

    fn progress(&self) -> Progress {
        let running = self.running.as_ref();
        Progress {
            height: self.last,
            round: running.map(|running| running.round()),
            decided: running.is_none_or(|running| running.decided),
        }
    }
}
