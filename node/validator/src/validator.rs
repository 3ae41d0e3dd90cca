//! The validator: what is due is done here, and everything else hangs on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use goodwatt_chain::block::Certificate;
use goodwatt_chain::codec;
use goodwatt_chain::genesis::SealingRule;
use goodwatt_chain::hash::TxId;
use goodwatt_chain::ledger::{Applied, Ledger};
use goodwatt_chain::mempool::{AdmissionError, Mempool};
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::{Height, HeightDelta, Round, UnixMillis};
use goodwatt_consensus::sealing::{Facts, Waiting, due};
use goodwatt_consensus::{Event, Tendermint, Timeout};
use goodwatt_store::IndexError;
use goodwatt_units::Millis;
use serde::{Deserialize, Serialize};

use goodwatt_chain::ledger::Tip;

use crate::bodies::Bodies;
use crate::catch_up::Unwritten;
use crate::exchange::{Peers, Relay};
use crate::healing::Healing;
use crate::heard::Heard;
use crate::message::{LoggedBlock, Message};
use crate::parts::{Card, Now, Output, Parts, SealedBlock, Signers, StateStore, To};
use crate::stuck::Stuck;

/// How soon a fault is looked at again: a full disk may have space, a clock may be right.
const RETRY: Millis = Millis::from_secs(5);
/// The state is put on the card at the latest after so many blocks,
const CHECKPOINT_BLOCKS: u64 = 32;
/// or when so many changes are kept in memory.
pub const DIRTY_MAX: usize = 1_000;
/// Who is behind does it less often: a start replays so many blocks faster than they were fetched.
const CHECKPOINTS_BEHIND: u64 = 32;
/// How long a start keeps silent where there may be others: a second copy of a running key would
/// be heard by then.
const LISTEN_FIRST: Millis = Millis::from_secs(3);

/// A height that is at work asks others again and again what was said, as messages get lost where
/// connections break: first after so long,
const NUDGE_FIRST: Millis = Millis::from_secs(3);
/// and then after twice as long each time, up to this.
const NUDGE_LAST: Millis = Millis::from_secs(30);

/// What the index notes with each checkpoint.
#[derive(Debug, Deserialize, Serialize)]
pub struct Notes {
    /// Where the ledger stands.
    pub tip: Tip,
    /// Transactions sealed since the first block.
    pub transactions: u64,
}

/// Puts the state on the card, with what a start needs to go on from it.
///
/// # Errors
/// When the disk refuses: nothing is lost, and it may be tried again.
pub fn checkpoint<S: StateStore>(
    ledger: &mut Ledger<S>,
    transactions: u64,
) -> Result<(), IndexError> {
    let notes = codec::encode(&Notes { tip: ledger.tip().clone(), transactions });
    let height = ledger.tip().height;
    ledger.leaves_mut().checkpoint(height, &notes)
}

/// A validator. See the crate's documentation.
pub struct Validator<S, K> {
    pub(crate) card: Card,
    pub(crate) ledger: Ledger<S>,
    pub(crate) mempool: Mempool,
    pub(crate) signers: K,
    pub(crate) core: Tendermint,
    pub(crate) tip_certificate: Option<Certificate>,
    pub(crate) bodies: Bodies,
    /// A block that was decided and could not be put on the card yet.
    pub(crate) decided: Option<(LoggedBlock, Applied)>,
    /// Blocks of peers that could not be put on the card yet.
    pub(crate) unwritten: Option<Unwritten>,
    pub(crate) healing: Healing,
    /// A guard that knows of nothing, beside blocks that came from others: nothing is signed before a
    /// peer was met that has no more.
    pub(crate) awaits_tip: bool,
    /// What was decided while its body was not at hand.
    pub(crate) wanted: Option<Certificate>,
    /// The height that is being agreed on.
    pub(crate) running: Option<Height>,
    /// The height at work is followed in silence, though a key for it is held here.
    pub(crate) only_follows: bool,
    /// The round in which a block was asked for and nothing was there to seal.
    pub(crate) unbuilt: Option<(Height, Round)>,
    /// A height of which another validator has spoken.
    pub(crate) begun_by_others: Option<Height>,
    pub(crate) timers: Vec<(Millis, Timeout)>,
    /// When to ask others what was said, and how long to wait then.
    nudge: Option<(Millis, Millis)>,
    pub(crate) heard: Heard,
    pub(crate) peers: Peers,
    pub(crate) relay: Relay,
    pub(crate) outputs: Vec<Output>,
    /// Entries of the write-ahead log are not on the card yet.
    pub(crate) wal_dirty: bool,
    pub(crate) build_time: UnixMillis,
    /// Until then a validator with peers listens, and signs nothing.
    pub(crate) listens_until: Option<Millis>,
    transactions: u64,
    guard_refusals: u64,
    pub(crate) sign: bool,
    /// Nothing is signed until the next start.
    pub(crate) doppelganger: Option<goodwatt_chain::signature::PublicKey>,
    stuck: Option<String>,
    retry_at: Option<Millis>,
    last_checkpoint: Height,
}

impl<S: StateStore, K: Signers> Validator<S, K> {
    /// Puts a validator together.
    #[must_use]
    pub fn new(parts: Parts<S, K>, now: Now) -> Self {
        let tip = parts.ledger.tip().height;
        let last_signed = parts.card.guard.last();
        Self {
            core: Tendermint::new(*parts.ledger.chain(), tip),
            mempool: Mempool::new(parts.mempool),
            card: parts.card,
            ledger: parts.ledger,
            signers: parts.signers,
            tip_certificate: parts.tip_certificate,
            bodies: Bodies::default(),
            decided: None,
            unwritten: None,
            healing: Healing::default(),
            awaits_tip: parts.has_peers && tip > Height::ZERO && last_signed.is_none(),
            wanted: None,
            running: None,
            only_follows: false,
            unbuilt: None,
            begun_by_others: None,
            timers: Vec::new(),
            nudge: None,
            heard: Heard::default(),
            peers: Peers::default(),
            relay: Relay::default(),
            outputs: Vec::new(),
            wal_dirty: false,
            build_time: parts.build_time,
            listens_until: parts.has_peers.then(|| now.uptime.saturating_add(LISTEN_FIRST)),
            transactions: parts.transactions,
            guard_refusals: 0,
            sign: parts.sign,
            doppelganger: None,
            stuck: None,
            retry_at: None,
            last_checkpoint: tip,
        }
    }

    /// Where it stands, in one line for people who look for a fault.
    #[must_use]
    pub fn describe(&self) -> String {
        format!(
            "running {:?} {:?}, unbuilt {:?}, begun by others {:?}, wanted {:?}, {} timers, {} wait, \
             guard {:?}, {} peers, doppelganger {:?}, retry {:?}",
            self.running,
            goodwatt_consensus::Core::progress(&self.core),
            self.unbuilt,
            self.begun_by_others,
            self.wanted.as_ref().map(|certificate| certificate.height),
            self.timers.len(),
            self.mempool.len(),
            self.card.guard.last(),
            self.peers.iter().count(),
            self.doppelganger,
            self.retry_at,
        )
    }

    /// How many words of others are kept, to be said again or passed on. It is bounded.
    #[must_use]
    pub fn words_kept(&self) -> usize {
        self.heard.len() + self.relay.len()
    }

    /// The ledger.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger<S> {
        &self.ledger
    }

    /// The ledger, for its owner to look after its store.
    pub const fn ledger_mut(&mut self) -> &mut Ledger<S> {
        &mut self.ledger
    }

    /// Puts a ledger that was made anew from the log in place of one whose store failed.
    pub fn replace_ledger(
        &mut self,
        ledger: Ledger<S>,
        tip_certificate: Option<Certificate>,
        transactions: u64,
    ) {
        self.last_checkpoint = ledger.tip().height;
        (self.ledger, self.tip_certificate) = (ledger, tip_certificate);
        self.transactions = transactions;
        self.forget_height();
    }

    /// Its files.
    #[must_use]
    pub const fn card(&self) -> &Card {
        &self.card
    }

    /// The slot keys held here.
    #[must_use]
    pub const fn signers(&self) -> &K {
        &self.signers
    }

    /// The slot keys held here, to add and erase.
    pub const fn signers_mut(&mut self) -> &mut K {
        &mut self.signers
    }

    /// What waits.
    #[must_use]
    pub const fn mempool(&self) -> &Mempool {
        &self.mempool
    }

    /// Transactions sealed since the first block.
    #[must_use]
    pub const fn transactions(&self) -> u64 {
        self.transactions
    }

    /// How often the guard refused.
    #[must_use]
    pub const fn guard_refusals(&self) -> u64 {
        self.guard_refusals
    }

    pub(crate) const fn count_refusals(&mut self, refusals: usize) {
        self.guard_refusals += refusals as u64;
    }

    /// Switches signing on or off.
    pub const fn set_sign(&mut self, sign: bool) {
        self.sign = sign;
    }

    /// Whether signing is switched on.
    #[must_use]
    pub const fn signs(&self) -> bool {
        self.sign
    }

    /// Does not wait any longer before what failed is tried again.
    pub const fn try_again(&mut self) {
        self.retry_at = None;
    }

    /// Forgets why nothing is sealed: the next try says so if there is still a reason.
    pub fn clear_stuck(&mut self) {
        self.stuck = None;
    }

    /// Changes the times since which transactions wait, as when the clock was set.
    pub fn wait_since(&mut self, change: impl Fn(UnixMillis) -> UnixMillis) {
        self.mempool.wait_since(change);
    }

    /// Why nothing is sealed at the moment.
    #[must_use]
    pub fn stuck(&self) -> Option<&str> {
        self.stuck.as_deref()
    }

    /// Why nothing is signed until the next start, though blocks of others are followed.
    #[must_use]
    pub fn silenced(&self) -> Option<String> {
        self.doppelganger.map(|key| Stuck::Doppelganger(key).to_string())
    }

    /// Everything that came out since the last call, in order.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        core::mem::take(&mut self.outputs)
    }

    /// Does everything that is due.
    pub fn poll(&mut self, now: Now) {
        if self.retry_at.is_some_and(|at| at > now.uptime) {
            return;
        }
        self.retry_at = None;
        match self.work(now) {
            Err(stuck) => {
                self.hold_up(now, &stuck);
                // Others may have sealed meanwhile what this one cannot.
                self.say_where_we_stand();
            }
            Ok(()) if self.stuck.take().is_some() => tracing::info!("sealing goes on"),
            Ok(()) => {}
        }
    }

    /// Does something, and notes why if it cannot be done.
    pub(crate) fn attempt(&mut self, now: Now, act: impl FnOnce(&mut Self) -> Result<(), Stuck>) {
        if let Err(stuck) = act(self) {
            self.hold_up(now, &stuck);
        }
    }

    /// Notes why nothing is sealed for a while.
    pub fn hold_up(&mut self, now: Now, stuck: &Stuck) {
        let message = stuck.to_string();
        if self.stuck.as_ref() != Some(&message) {
            tracing::error!("nothing is sealed: {message}");
        }
        self.stuck = Some(message);
        self.forget_height();
        self.retry_at = Some(now.uptime.saturating_add(RETRY));
    }

    /// Leaves the height at work; what was written for it is found again when it begins anew.
    pub(crate) fn forget_height(&mut self) {
        self.running = None;
        self.unbuilt = None;
        self.nudge = None;
        self.timers.clear();
        self.core = Tendermint::new(*self.ledger.chain(), self.ledger.tip().height);
    }

    fn work(&mut self, now: Now) -> Result<(), Stuck> {
        self.flush_relay(now);
        if self.unwritten.is_some() {
            self.write_taken(now)?;
            self.take_ready(now);
            self.catch_up(now);
        }
        self.append_decided(now)?;
        self.ask_again(now);
        self.nudge_others(now);
        while let Some(at) = self.timers.iter().position(|(due, _)| *due <= now.uptime) {
            let (_, timeout) = self.timers.swap_remove(at);
            self.drive(now, Event::TimeoutElapsed(timeout))?;
            self.say_where_we_stand();
        }
        self.build_late(now)?;
        self.join_late(now)?;
        // A decided block may leave more to seal; each turn seals one, so this ends.
        while self.may_start(now) && self.is_due(now) {
            let height = self.ledger.tip().height;
            self.start_height(now)?;
            if self.ledger.tip().height == height {
                break;
            }
        }
        Ok(())
    }

    /// Notes that a height is at work now.
    pub(crate) fn begin_height(&mut self, now: Now, height: Height) {
        self.running = Some(height);
        self.nudge = Some((now.uptime.saturating_add(NUDGE_FIRST), NUDGE_FIRST));
    }

    /// Asks others what was said, where a height does not come to an end.
    fn nudge_others(&mut self, now: Now) {
        if let Some((_, wait)) = self.nudge.filter(|(at, _)| *at <= now.uptime) {
            let wait = wait.saturating_add(wait).min(NUDGE_LAST);
            self.nudge = Some((now.uptime.saturating_add(wait), wait));
            self.say_where_we_stand();
        }
    }

    /// Whether a height is to begin: a block is due, or others have begun.
    fn is_due(&self, now: Now) -> bool {
        self.others_began() || self.own_block_due(now)
    }

    /// Whether another validator has spoken of the next height: now, or while the one before it
    /// was at work here.
    pub(crate) fn others_began(&self) -> bool {
        let next = self.ledger.tip().height.next();
        self.begun_by_others == Some(next)
            || self.heard.at(next).any(|word| self.is_of_another_validator(word))
    }

    pub(crate) fn own_block_due(&self, now: Now) -> bool {
        self.own_seat().is_some() && self.due_at() <= now.wall
    }

    fn may_start(&self, now: Now) -> bool {
        self.is_free() && (self.others_began() || (self.sign && !self.listens(now)))
    }

    /// Whether no height is at work, to the very end, and none is known to be decided.
    fn is_free(&self) -> bool {
        let at_work = self.running.is_some() || self.decided.is_some() || self.wanted.is_some();
        !at_work && self.unwritten.is_none() && !self.peers.catch_up.is_behind()
    }

    /// Whether it only listens, as it has just started.
    pub(crate) fn listens(&self, now: Now) -> bool {
        self.awaits_tip || self.listens_until.is_some_and(|until| until > now.uptime)
    }

    /// When the next block is due by the sealing rule.
    fn due_at(&self) -> UnixMillis {
        let (genesis, tip) = (self.ledger.genesis(), self.ledger.tip());
        let waiting = self.mempool.first_since().map(|since| {
            // What is left of a former block counts from that block on.
            let counted = matches!(genesis.parameters.sealing, SealingRule::Count { .. });
            let since = if counted { since.max(tip.time) } else { since };
            Waiting { count: self.mempool.len(), since }
        });
        let facts = Facts {
            waiting,
            last_block: tip.time,
            epoch_end: genesis.epoch_start(self.ledger.in_charge().epoch.next()),
            interval_min: genesis.parameters.block_interval_min,
        };
        due(&genesis.parameters.sealing, &facts)
    }

    /// How long nothing will be due; `None` until a call comes.
    #[must_use]
    pub fn sleep(&self, now: Now) -> Option<Millis> {
        let until = |at: Millis| at.saturating_sub(now.uptime);
        if let Some(at) = self.retry_at {
            return Some(until(at));
        }
        let mut wakeups: Vec<Millis> = self.timers.iter().map(|(at, _)| until(*at)).collect();
        wakeups.extend(self.relay.due().map(until));
        if !self.peers.is_empty() {
            wakeups.extend(self.nudge.map(|(at, _)| until(at)));
        }
        wakeups.extend(self.peers.due().map(until));
        wakeups.extend(self.healing.due().map(until));
        wakeups.extend(self.bodies.due().map(until));
        if self.running.is_some() && self.only_follows {
            let listens = self.listens_until.map_or(Millis::new(0), until);
            wakeups.push(if listens > Millis::new(0) { listens } else { RETRY });
        }
        let builds = self.unbuilt.is_some();
        if self.sign && !self.awaits_tip && self.own_seat().is_some() && (builds || self.is_free())
        {
            let due = self.due_at().saturating_since(now.wall);
            let listens = self.listens_until.map_or(Millis::new(0), until);
            // A block that could not be made when it was due waits for what changes.
            if !builds || due > Millis::new(0) {
                wakeups.push(due.max(listens));
            }
        }
        wakeups.into_iter().min()
    }

    /// Admits transactions; gives each one's outcome, in order.
    pub fn submit(
        &mut self,
        now: Now,
        transactions: Vec<Transaction>,
    ) -> Vec<Result<TxId, AdmissionError>> {
        let raw: BTreeMap<TxId, Vec<u8>> = if self.peers.is_empty() {
            BTreeMap::new()
        } else {
            transactions.iter().map(|t| (t.id(), t.bytes().to_vec())).collect()
        };
        let outcomes = self.mempool.admit_all(&self.ledger, now.wall, transactions);
        self.report_dropped();
        let admitted = outcomes.iter().flatten().filter_map(|id| raw.get(id)).cloned();
        self.pass_on(To::All, admitted.collect());
        outcomes
    }

    /// Admits what waited at the last stop; gives how many do again.
    pub fn load_mempool(&mut self, kept: Vec<(UnixMillis, Vec<u8>)>) -> usize {
        let mut admitted = 0;
        for (since, bytes) in kept {
            let outcome = Transaction::decode(self.ledger.chain(), &bytes)
                .map_err(AdmissionError::from)
                .and_then(|transaction| self.mempool.admit(&self.ledger, since, transaction));
            match outcome {
                Ok(_) => admitted += 1,
                Err(error) => tracing::debug!("not admitted again: {error}"),
            }
        }
        admitted
    }

    /// Takes over a decided block that is at hand: onto the card, then into the ledger.
    pub(crate) fn append_decided(&mut self, now: Now) -> Result<(), Stuck> {
        let Some((logged, _)) = &self.decided else { return Ok(()) };
        self.card.log.append(logged.block.header.height, &codec::encode(logged))?;
        let Some((logged, applied)) = self.decided.take() else { return Ok(()) };
        let sealed = self.take_over(&logged, applied);
        self.reset_wal(self.ledger.tip().height.next())?;
        self.tidy_mempool(now, &sealed)
    }

    /// Voids the write-ahead log for a height that begins. Nothing of it has to reach the card before
    /// there is an entry.
    pub(crate) fn reset_wal(&mut self, height: Height) -> Result<(), Stuck> {
        self.card.wal.reset(height)?;
        self.wal_dirty = false;
        Ok(())
    }

    /// Takes a block that is in the log over into the ledger; gives its transactions.
    pub(crate) fn take_over(&mut self, logged: &LoggedBlock, applied: Applied) -> Vec<TxId> {
        let height = applied.tip().height;
        let sealed: Vec<TxId> = applied.transactions.iter().map(|sealed| sealed.id).collect();
        let epoch = self.ledger.in_charge().epoch;
        self.ledger.leaves_mut().note(height, &applied.transactions);
        self.ledger.commit(applied);
        self.tip_certificate = Some(logged.certificate.clone());
        self.transactions += sealed.len() as u64;
        self.running = None;
        // Where the card was full the same block may have come from a peer first.
        self.decided = None;
        self.wanted = None;
        self.unbuilt = None;
        self.nudge = None;
        self.timers.clear();
        self.bodies.forget_until(height);
        self.heard.forget_until(height);
        let begins_epoch = self.ledger.in_charge().epoch > epoch;
        let (id, proposer) = (self.ledger.tip().id, logged.block.header.proposer);
        let transactions = sealed.clone();
        let block = SealedBlock { height, id, proposer, transactions, begins_epoch };
        self.outputs.push(Output::Sealed(block));
        sealed
    }

    /// Puts the state on the card if it is time to. To be called once what came out was told to
    /// those who wait for it.
    pub fn checkpoint_in_time(&mut self, now: Now) {
        let tip = self.ledger.tip().height;
        let blocks = tip.since(self.last_checkpoint).map_or(0, HeightDelta::get);
        let (often, most) = if self.peers.catch_up.is_behind() {
            (CHECKPOINTS_BEHIND, 4 * DIRTY_MAX)
        } else {
            (1, DIRTY_MAX)
        };
        if blocks >= CHECKPOINT_BLOCKS * often || self.ledger.leaves().dirty() >= most {
            self.attempt(now, |own| Ok(own.checkpoint()?));
        }
    }

    /// Puts the state on the card.
    ///
    /// # Errors
    /// When the disk refuses: nothing is lost, and it may be tried again.
    pub fn checkpoint(&mut self) -> Result<(), IndexError> {
        if self.unwritten.is_some() {
            // The state is ahead of the log, which is where a start goes on from.
            return Ok(());
        }
        checkpoint(&mut self.ledger, self.transactions)?;
        self.last_checkpoint = self.ledger.tip().height;
        Ok(())
    }

    /// Takes what was sealed out of the mempool, what the rules refuse by now, and what has waited
    /// too long.
    pub(crate) fn tidy_mempool(&mut self, now: Now, sealed: &[TxId]) -> Result<(), Stuck> {
        let advanced = self.mempool.advance(&self.ledger, now.wall, sealed);
        self.report_dropped();
        Ok(advanced?)
    }

    pub(crate) fn report_dropped(&mut self) {
        let dropped = self.mempool.take_dropped().into_iter();
        self.outputs.extend(dropped.map(|(id, why)| Output::Dropped(id, why)));
    }

    pub(crate) fn send(&mut self, to: To, message: Message) {
        if !self.peers.is_empty() {
            self.outputs.push(Output::Send(to, Arc::new(message)));
        }
    }
}
