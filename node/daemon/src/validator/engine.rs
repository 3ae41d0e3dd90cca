//! The validator's loop: sleeps until a call comes or something is due, and does it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use goodwatt_chain::block::Certificate;
use goodwatt_chain::codec;
use goodwatt_chain::genesis::SealingRule;
use goodwatt_chain::hash::{BlockId, TxId};
use goodwatt_chain::ledger::{Applied, BlockError, Ledger};
use goodwatt_chain::mempool::{AdmissionError, Mempool};
use goodwatt_chain::state::StateError;
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::{Height, HeightDelta, UnixMillis};
use goodwatt_consensus::clock::ClockFault;
use goodwatt_consensus::sealing::{Facts, Waiting, due};
use goodwatt_consensus::{Event, SilentReason, Tendermint, Timeout};
use goodwatt_store::{AtomicFileError, DiskError, Index, IndexError, LogError, SnapshotReport};
use tokio::sync::oneshot;

use super::agreement::Candidate;
use super::clock::Clock;
use super::guard::GuardFault;
use super::home::{Home, HomeError, Opened};
use super::recovery::{self, DIRTY_MAX, Recovery};
use super::replay::{LoggedBlock, Replayed};
use super::watts::Watts;
use super::{Answer, Request, Settings, lookups};
use crate::signers::Signers;

/// The most calls that are taken in one go, so that their signatures are verified together.
const CALLS_AT_ONCE: usize = 256;
/// A sleep is never longer: a clock that was set meanwhile is noticed by then.
const SLEEP_MAX: Duration = Duration::from_secs(300);
/// How soon a fault is looked at again: a full disk may have space, a clock may be right.
const RETRY: Duration = Duration::from_secs(5);
/// The state is put on the card at the latest after so many blocks.
const CHECKPOINT_BLOCKS: u64 = 32;

/// Why nothing is sealed at the moment. It is tried again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Stuck {
    #[error(transparent)]
    Clock(#[from] ClockFault),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    File(#[from] AtomicFileError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("the state index cannot be rebuilt: {0}")]
    Rebuild(HomeError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Guard(#[from] GuardFault),
    #[error("own block: {0}")]
    Block(#[from] BlockError),
    #[error(transparent)]
    Silent(SilentReason),
    #[error("all links of the slot's hash chain are used: buy a new slot")]
    RevealsUsedUp,
    #[error(
        "this board decided block {0} and then lost it, and signs no other one in its place: \
         restore the block log from a copy that has it"
    )]
    BodyMissing(BlockId),
}

/// Everything the validator owns.
pub(super) struct Engine {
    pub(super) home: Home,
    pub(super) ledger: Ledger<Index>,
    pub(super) mempool: Mempool,
    pub(super) signers: Signers,
    pub(super) core: Tendermint,
    pub(super) tip_certificate: Option<Certificate>,
    pub(super) candidate: Option<Candidate>,
    /// A block that was decided and could not be put on the card yet.
    pub(super) decided: Option<(LoggedBlock, Applied)>,
    /// The height that is being agreed on.
    pub(super) running: Option<Height>,
    pub(super) timers: Vec<(Instant, Timeout)>,
    /// Who waits for a transaction to be sealed.
    pub(super) waiting: BTreeMap<TxId, Vec<oneshot::Sender<Answer>>>,
    pub(super) watts: Watts,
    pub(super) clock: Clock,
    pub(super) transactions: u64,
    pub(super) transactions_at_start: u64,
    pub(super) height_at_start: Height,
    pub(super) guard_refusals: u64,
    pub(super) sign: bool,
    pub(super) stuck: Option<String>,
    retry_at: Option<Instant>,
    last_checkpoint: Height,
}

impl Engine {
    /// Opens the data folder and brings everything up to date.
    pub(super) fn open(settings: Settings) -> Result<Self, HomeError> {
        let genesis = Arc::new(settings.genesis);
        let Opened { home, state } = Home::open(&settings.data, &genesis)?;
        let Replayed { ledger, tip_certificate, transactions } = state;
        let signers = Signers::open(&settings.data.join("signers"))?;
        let tip = ledger.tip().height;
        let mut engine = Self {
            core: Tendermint::new(*ledger.chain(), tip),
            mempool: Mempool::new(settings.mempool),
            home,
            ledger,
            signers,
            tip_certificate,
            candidate: None,
            decided: None,
            running: None,
            timers: Vec::new(),
            waiting: BTreeMap::new(),
            watts: Watts::new(&settings.power),
            clock: Clock::new(),
            transactions,
            transactions_at_start: transactions,
            height_at_start: tip,
            guard_refusals: 0,
            sign: settings.sign,
            stuck: None,
            retry_at: None,
            last_checkpoint: tip,
        };
        engine.load_mempool();
        engine.erase_old_signers()?;
        Ok(engine)
    }

    /// Runs until it is told to stop or nobody is left to tell it anything.
    pub(super) fn run(&mut self, requests: &Receiver<Request>) {
        loop {
            self.step();
            let first = match self.sleep() {
                None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(sleep) => requests.recv_timeout(sleep),
            };
            match first {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Ok(first) => {
                    let more = std::iter::from_fn(|| requests.try_recv().ok());
                    let taken: Vec<Request> =
                        std::iter::once(first).chain(more.take(CALLS_AT_ONCE - 1)).collect();
                    if self.answer_all(taken) {
                        break;
                    }
                }
            }
        }
        self.stop();
    }

    /// Does everything that is due.
    fn step(&mut self) {
        let now = Instant::now();
        if self.retry_at.is_some_and(|at| at > now) {
            return;
        }
        self.retry_at = None;
        match self.work(now) {
            Err(stuck) => self.note_stuck(&stuck),
            Ok(()) if self.stuck.take().is_some() => tracing::info!("sealing goes on"),
            Ok(()) => {}
        }
        if let Err(stuck) = self.mend_index() {
            self.note_stuck(&stuck);
        }
    }

    fn note_stuck(&mut self, stuck: &Stuck) {
        let message = stuck.to_string();
        if self.stuck.as_ref() != Some(&message) {
            tracing::error!("nothing is sealed: {message}");
        }
        self.stuck = Some(message);
        self.forget_height();
        self.retry_at = Some(Instant::now() + RETRY);
    }

    /// Sets an index that failed aside, and makes a fresh one.
    fn mend_index(&mut self) -> Result<(), Stuck> {
        let Some(failure) = self.ledger.leaves().failure() else { return Ok(()) };
        tracing::error!("the state index failed ({failure}): it is rebuilt");
        self.replace_index(&failure, Index::begin_anew_at)
    }

    /// Begins a fresh index in place of one whose files have grown far above what is in them.
    fn renew_index(&mut self, state: &SnapshotReport) -> Result<(), Stuck> {
        let lookups = lookups::live_bytes(state.height, self.transactions);
        let live = state.leaf_bytes.saturating_add(lookups);
        if let Some(size) = self.ledger.leaves().bloated(live)? {
            tracing::info!("the state index takes {size} bytes for {live}: a fresh one is begun");
            self.replace_index("a fresh one takes its place", Index::replace_at)?;
        }
        Ok(())
    }

    /// Closes the index, so that only one is ever open, and makes the state anew in a fresh one.
    /// Where that fails it is tried again, as reads of a closed index fail.
    fn replace_index(
        &mut self,
        why: &str,
        begin: fn(&Path) -> Result<Index, IndexError>,
    ) -> Result<(), Stuck> {
        self.ledger.leaves_mut().close(why);
        let (genesis, folder) = (self.ledger.genesis(), self.home.snapshots.folder());
        let recovery = Recovery { genesis, folder, log: &self.home.log };
        let fresh = begin(self.ledger.leaves().path())?;
        let state = recovery.rebuild(fresh).map_err(Stuck::Rebuild)?;
        (self.ledger, self.transactions) = (state.ledger, state.transactions);
        self.tip_certificate = state.tip_certificate;
        self.last_checkpoint = self.ledger.tip().height;
        tracing::info!("the state index is rebuilt");
        Ok(())
    }

    /// Leaves the height at work; what was written for it is found again when it begins anew.
    pub(super) fn forget_height(&mut self) {
        self.running = None;
        self.timers.clear();
        self.core = Tendermint::new(*self.ledger.chain(), self.ledger.tip().height);
    }

    fn work(&mut self, now: Instant) -> Result<(), Stuck> {
        self.append_decided()?;
        while let Some(at) = self.timers.iter().position(|(due, _)| *due <= now) {
            let (_, timeout) = self.timers.swap_remove(at);
            self.drive(Event::TimeoutElapsed(timeout))?;
        }
        // A decided block may leave more to seal; each turn seals one, so this ends.
        while self.may_start() && self.due_at().is_some_and(|due| due <= Clock::now()) {
            let height = self.ledger.tip().height;
            self.start_height()?;
            if self.ledger.tip().height == height {
                break;
            }
        }
        Ok(())
    }

    fn may_start(&self) -> bool {
        self.sign && self.running.is_none() && self.own_seat().is_some()
    }

    /// When the next block is due by the sealing rule.
    fn due_at(&self) -> Option<UnixMillis> {
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
        Some(due(&genesis.parameters.sealing, &facts))
    }

    /// How long nothing will be due; `None` until a call comes.
    fn sleep(&self) -> Option<Duration> {
        let now = Instant::now();
        if let Some(at) = self.retry_at {
            return Some(at.saturating_duration_since(now));
        }
        let timer = self.timers.iter().map(|(due, _)| due.saturating_duration_since(now)).min();
        let seal = self.due_at().filter(|_| self.may_start()).map(|due| {
            Duration::from_millis(due.saturating_since(Clock::now()).get()).min(SLEEP_MAX)
        });
        timer.into_iter().chain(seal).min()
    }

    /// Puts a decided block on the card and into the ledger, and tells who waits for it.
    pub(super) fn append_decided(&mut self) -> Result<(), Stuck> {
        let Some((logged, _)) = &self.decided else { return Ok(()) };
        self.home.log.append(logged.block.header.height, &codec::encode(logged))?;
        let Some((logged, applied)) = self.decided.take() else { return Ok(()) };
        let height = applied.tip().height;
        let sealed: Vec<TxId> = applied.transactions.iter().map(|sealed| sealed.id).collect();
        let epoch = self.ledger.in_charge().epoch;
        recovery::commit(&mut self.ledger, applied);
        self.tip_certificate = Some(logged.certificate);
        self.transactions += sealed.len() as u64;
        self.running = None;
        self.timers.clear();
        for id in &sealed {
            self.tell(id, &Ok(height));
        }
        self.home.wal.reset(height.next())?;
        self.tidy_mempool(&sealed)?;
        let begins_epoch = self.ledger.in_charge().epoch > epoch;
        if begins_epoch {
            self.erase_old_signers()?;
        }
        self.checkpoint_in_time()?;
        if begins_epoch { self.snapshot_in_time() } else { Ok(()) }
    }

    fn checkpoint_in_time(&mut self) -> Result<(), Stuck> {
        let tip = self.ledger.tip().height;
        let blocks = tip.since(self.last_checkpoint).map_or(0, HeightDelta::get);
        if blocks >= CHECKPOINT_BLOCKS || self.ledger.leaves().dirty() >= DIRTY_MAX {
            self.checkpoint()?;
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), IndexError> {
        recovery::checkpoint(&mut self.ledger, self.transactions)?;
        self.last_checkpoint = self.ledger.tip().height;
        Ok(())
    }

    /// Writes a snapshot when it is worth its bytes; then the size of the index is known, too.
    fn snapshot_in_time(&mut self) -> Result<(), Stuck> {
        if !self.home.snapshots.is_due(self.ledger.tip().height) {
            return Ok(());
        }
        self.checkpoint()?;
        match self.home.snapshots.write(self.ledger.leaves()) {
            Ok(state) => self.renew_index(&state),
            // The former one is still there, and whoever needs the disk will find out by itself.
            Err(error @ (IndexError::Disk(_) | IndexError::Crowded(_))) => {
                tracing::warn!("no snapshot is written: {error}");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes what was sealed out of the mempool, and tells who waits for what was dropped.
    pub(super) fn tidy_mempool(&mut self, sealed: &[TxId]) -> Result<(), Stuck> {
        let advanced = self.mempool.advance(&self.ledger, Clock::now(), sealed);
        for (id, dropped) in self.mempool.take_dropped() {
            self.tell(&id, &Err(dropped));
        }
        Ok(advanced?)
    }

    fn load_mempool(&mut self) {
        let kept: Vec<(UnixMillis, Vec<u8>)> = match self.home.mempool.read() {
            Ok(Some(content)) => codec::decode(&content).unwrap_or_default(),
            Ok(None) => return,
            Err(error) => {
                tracing::warn!("what waited at the last stop is lost: {error}");
                return;
            }
        };
        let count = kept.len();
        let mut lost = 0;
        for (since, bytes) in kept {
            let admitted = Transaction::decode(self.ledger.chain(), &bytes)
                .map_err(AdmissionError::from)
                .and_then(|transaction| self.mempool.admit(&self.ledger, since, transaction));
            if let Err(error) = admitted {
                tracing::debug!("not admitted again: {error}");
                lost += 1;
            }
        }
        tracing::info!("{} of {count} transactions wait again, {lost} do not", count - lost);
    }

    fn save_mempool(&self) -> Result<(), AtomicFileError> {
        let entries = self.mempool.entries();
        let kept: Vec<(UnixMillis, &[u8])> =
            entries.map(|(since, transaction)| (since, transaction.bytes())).collect();
        self.home.mempool.write(&codec::encode(&kept))
    }

    /// Puts everything on the card.
    fn stop(&mut self) {
        if let Err(error) = self.save_mempool() {
            tracing::error!("what waits is lost: {error}");
        }
        if let Err(error) = self.checkpoint() {
            tracing::error!("{error}; the state is rebuilt from the log at the next start");
        }
        tracing::info!("stopped at {}", self.ledger.tip().height);
    }
}

#[cfg(test)]
mod tests;
