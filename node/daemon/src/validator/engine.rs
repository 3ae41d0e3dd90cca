//! The validator's thread: sleeps until a call comes or something is due, and does it.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use goodwatt_chain::codec;
use goodwatt_chain::hash::{Digest32, TxId};
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::units::{Height, UnixMillis};
use goodwatt_store::{AtomicFileError, Index, IndexError, SnapshotReport};
use goodwatt_validator::{
    Message, Output, Parts, SealedBlock, Status, Stuck, To, Validator, lookups,
};
use tokio::sync::oneshot;

use super::clock::{Clock, build_time};
use super::home::{Home, HomeError, Opened};
use super::light::Proofs;
use super::peers::{FromNetwork, Peers, is_request};
use super::recovery::Recovery;
use super::replay::Replayed;
use super::sync::SyncLog;
use super::watts::{self, Watts};
use super::{Answer, Request, Settings};
use crate::net;
use crate::signers::{Signer, Signers};

/// The most calls that are taken in one go, so that their signatures are verified together.
const CALLS_AT_ONCE: usize = 256;
/// The most requests of one peer that wait; who asks faster is not answered more.
const ASKED_PER_PEER: usize = 16;
/// A sleep is never longer: a clock that was set meanwhile is noticed by then.
const SLEEP_MAX: Duration = Duration::from_secs(300);

/// Everything the validator's thread owns.
pub(super) struct Engine {
    pub(super) home: Home,
    pub(super) own: Validator<Index, Signers>,
    pub(super) peers: Peers,
    /// What peers ask for: served one by one, when nothing else waits.
    asked: VecDeque<(net::PeerId, FromNetwork)>,
    /// Who waits for a transaction to be sealed.
    pub(super) waiting: BTreeMap<TxId, Vec<oneshot::Sender<Answer>>>,
    pub(super) watts: Watts,
    pub(super) clock: Clock,
    pub(super) transactions_at_start: u64,
    pub(super) height_at_start: Height,
    pub(super) sync_log: SyncLog,
    pub(super) proofs: Proofs,
    pub(super) keep_blocks: Option<u64>,
}

impl goodwatt_validator::Signers for Signers {
    fn key(&self, public: &PublicKey) -> Option<SigningKey> {
        self.find(public).map(|signer| signer.key().clone())
    }

    fn holds(&self, public: &PublicKey) -> bool {
        self.find(public).is_some()
    }

    fn next_reveal(&self, public: &PublicKey, last: &Digest32) -> Option<Digest32> {
        self.find(public).and_then(|signer: &Signer| signer.next_reveal(last))
    }
}

impl Engine {
    /// Opens the data folder and brings everything up to date.
    pub(super) fn open(settings: Settings) -> Result<Self, HomeError> {
        let genesis = Arc::new(settings.genesis);
        let Opened { home, card, state } = Home::open(&settings.data, &genesis)?;
        let Replayed { ledger, tip_certificate, transactions } = state;
        let mut clock = Clock::new();
        let (height_at_start, now) = (ledger.tip().height, clock.read(ledger.tip().time).0);
        let parts = Parts {
            ledger,
            tip_certificate,
            transactions,
            card,
            signers: Signers::open(&settings.data.join("signers"))?,
            mempool: settings.mempool,
            build_time: build_time(),
            sign: settings.sign,
            has_peers: settings.has_peers,
        };
        let mut engine = Self {
            home,
            own: Validator::new(parts, now),
            peers: Peers::default(),
            asked: VecDeque::new(),
            waiting: BTreeMap::new(),
            watts: Watts::new(&settings.power),
            clock,
            transactions_at_start: transactions,
            height_at_start,
            sync_log: SyncLog::default(),
            proofs: Proofs::default(),
            keep_blocks: settings.keep_blocks,
        };
        engine.load_mempool();
        engine.erase_old_signers()?;
        if let Err(error) = engine.prune() {
            tracing::warn!("nothing is pruned: {error}");
        }
        Ok(engine)
    }

    /// Runs until it is told to stop or nobody is left to tell it anything.
    pub(super) fn run(&mut self, requests: &Receiver<Request>) {
        loop {
            self.step();
            let first = match self.sleep() {
                _ if !self.asked.is_empty() => requests.try_recv().map_err(|error| match error {
                    TryRecvError::Empty => RecvTimeoutError::Timeout,
                    TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
                }),
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
            self.serve_one();
        }
        self.stop();
    }

    /// Does everything that is due.
    fn step(&mut self) {
        self.notice_clock();
        let now = self.now();
        self.own.poll(now);
        self.carry_out();
        if self.is_to_report() {
            self.watts.keep_up(now.uptime);
        }
        if let Err(stuck) = self.mend_index() {
            self.own.hold_up(now, &stuck);
        }
    }

    /// Does what came out of the validator: first of all those who wait are told.
    pub(super) fn carry_out(&mut self) {
        let mut begins_epoch = false;
        for output in self.own.take_outputs() {
            match output {
                Output::Sealed(block) => {
                    if let Some(network) = self.peers.network() {
                        network.set_tip(block.height);
                    }
                    // Links change; what each answers to the regular pings tells how.
                    self.own.set_round_trip(self.peers.round_trip());
                    self.peers.tell_light(|| tip_of(&block));
                    begins_epoch |= block.begins_epoch;
                    self.tell_all(&block);
                }
                Output::Dropped(id, why) => self.tell(&id, &Err(why)),
                Output::Send(to, message) => self.peers.send(to, &message),
                Output::StateWanted(peer, question) => {
                    let answer = self.home.snapshots.answer(question);
                    self.peers.send(To::Peer(peer), &answer);
                }
                Output::Misbehaved(peer, why) => self.peers.report(peer, &why),
            }
        }
        let now = self.now();
        self.own.checkpoint_in_time(now);
        self.log_sync();
        if begins_epoch {
            if let Err(stuck) = self.begin_epoch() {
                self.own.hold_up(now, &stuck);
            }
            // A report may have to be sent; it seals nothing, so this ends.
            self.carry_out();
        }
    }

    /// Takes in what the network tells.
    pub(super) fn hear(&mut self, news: FromNetwork) {
        let now = self.now();
        match news {
            FromNetwork::Running(network) => {
                network.set_tip(self.own.ledger().tip().height);
                self.peers.attach(network);
                self.announce();
            }
            FromNetwork::Announced(key, signer) => self.peers.announced(key, signer),
            FromNetwork::Light(key) => self.peers.light_connected(key),
            FromNetwork::Asked(key, _) => self.note_request(key, news),
            FromNetwork::Connected(key) => {
                let number = self.peers.connected(key);
                self.own.connected(number);
                self.own.set_round_trip(self.peers.round_trip());
            }
            FromNetwork::Disconnected(key) => {
                self.asked.retain(|(peer, _)| *peer != key);
                if let Some(number) = self.peers.disconnected(key) {
                    self.own.disconnected(now, number);
                }
            }
            FromNetwork::Said(key, ref message) if is_request(message) => {
                self.note_request(key, news);
            }
            FromNetwork::Said(key, message) => {
                if let Some(number) = self.peers.number(key) {
                    self.own.receive(now, number, *message);
                }
            }
        }
        self.carry_out();
    }

    /// Has a peer's request wait for its turn. Answers are large, and read from the card: votes,
    /// and who waits here, go first.
    fn note_request(&mut self, from: net::PeerId, request: FromNetwork) {
        if self.asked.iter().filter(|(peer, _)| *peer == from).count() < ASKED_PER_PEER {
            self.asked.push_back((from, request));
        } else {
            tracing::debug!("{from} asks faster than it is answered: a request is left out");
        }
    }

    /// Answers the request that waits longest.
    fn serve_one(&mut self) {
        let now = self.now();
        match self.asked.pop_front() {
            Some((from, FromNetwork::Said(_, message))) => {
                if let Some(number) = self.peers.number(from) {
                    self.own.receive(now, number, *message);
                    self.carry_out();
                }
            }
            Some((from, FromNetwork::Asked(_, question))) => {
                let answer = self.answer_light(*question);
                self.peers.answer(from, &answer);
            }
            _ => {}
        }
    }

    /// Tells others for which validator this node speaks, if that changed.
    fn announce(&mut self) {
        let (signers, seat) = (self.own.signers(), self.own.own_seat());
        let key = seat.and_then(|seat| signers.find(&seat)).map(Signer::key);
        self.peers.announce(self.own.ledger().chain(), key);
    }

    fn tell_all(&mut self, block: &SealedBlock) {
        for id in &block.transactions {
            self.tell(id, &Ok(block.height));
        }
    }

    /// Whether a report on the term in charge is to come, so that its energy must not be lost.
    fn is_to_report(&self) -> bool {
        self.own.signs() && self.own.own_seat().is_some()
    }

    /// Reports what the board used in the term that has just ended, if it sat there.
    fn report_energy(&mut self) -> Result<(), Stuck> {
        let now = self.now();
        let used = self.watts.end_term(now.uptime);
        let Some(epoch) = self.own.report_due(now)? else { return Ok(()) };
        let length = self.own.ledger().genesis().parameters.epoch_length;
        let outcome = match watts::report(&used, epoch, length) {
            Err(why) => format!("no energy is reported on {epoch}: {why}"),
            Ok(report) => {
                let (energy, method) = (report.energy, report.method.name());
                let percent = f64::from(report.error_permille) / 10.0;
                let what = format!("{energy} in {epoch}, {method}, +-{percent} %");
                match self.own.report_energy(now, report) {
                    Ok(Some(id)) => format!("reported {what}: {id}"),
                    Ok(None) => format!("not reported, as no slot key is at hand: {what}"),
                    Err(why) => format!("not reported: {what}: {why}"),
                }
            }
        };
        self.watts.note_report(outcome);
        Ok(())
    }

    /// Does what is due once an epoch.
    fn begin_epoch(&mut self) -> Result<(), Stuck> {
        self.report_energy()?;
        self.announce();
        self.erase_old_signers()?;
        self.snapshot_in_time()?;
        self.prune()
    }

    /// Sets an index that failed aside, and makes a fresh one.
    fn mend_index(&mut self) -> Result<(), Stuck> {
        let Some(failure) = self.own.ledger().leaves().failure() else { return Ok(()) };
        tracing::error!("the state index failed ({failure}): it is rebuilt");
        self.replace_index(&failure, Index::begin_anew_at)
    }

    /// Begins a fresh index in place of one whose files have grown far above what is in them.
    fn renew_index(&mut self, state: &SnapshotReport) -> Result<(), Stuck> {
        let lookups = lookups::live_bytes(state.height, self.own.transactions());
        let live = state.leaf_bytes.saturating_add(lookups);
        if let Some(size) = self.own.ledger().leaves().bloated(live)? {
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
        self.own.ledger_mut().leaves_mut().close(why);
        let (ledger, folder) = (self.own.ledger(), self.home.snapshots.folder());
        let recovery = Recovery { genesis: ledger.genesis(), folder, log: &self.own.card().log };
        let fresh = begin(ledger.leaves().path())?;
        let state = recovery.rebuild(fresh).map_err(|error| Stuck::Rebuild(error.to_string()))?;
        self.own.replace_ledger(state.ledger, state.tip_certificate, state.transactions);
        tracing::info!("the state index is rebuilt");
        Ok(())
    }

    /// How long nothing will be due; `None` until a call comes.
    fn sleep(&mut self) -> Option<Duration> {
        let now = self.now();
        let watts = self.is_to_report().then(|| self.watts.due().saturating_sub(now.uptime));
        let sleep = self.own.sleep(now).into_iter().chain(watts).min()?;
        Some(Duration::from_millis(sleep.get()).min(SLEEP_MAX))
    }

    /// Writes a snapshot when it is worth its bytes; then the size of the index is known, too.
    fn snapshot_in_time(&mut self) -> Result<(), Stuck> {
        if !self.home.snapshots.is_due(self.own.ledger().tip().height) {
            return Ok(());
        }
        self.own.checkpoint()?;
        match self.home.snapshots.write(self.own.ledger().leaves()) {
            Ok(state) => self.renew_index(&state),
            // The former one is still there, and whoever needs the disk will find out by itself.
            Err(error @ (IndexError::Disk(_) | IndexError::Crowded(_))) => {
                tracing::warn!("no snapshot is written: {error}");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
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
        let again = self.own.load_mempool(kept);
        tracing::info!("{again} of {count} transactions wait again, {} do not", count - again);
    }

    fn save_mempool(&self) -> Result<(), AtomicFileError> {
        let entries = self.own.mempool().entries();
        let kept: Vec<(UnixMillis, &[u8])> =
            entries.map(|(since, transaction)| (since, transaction.bytes())).collect();
        self.home.mempool.write(&codec::encode(&kept))
    }

    /// Puts everything on the card.
    fn stop(&mut self) {
        if let Err(error) = self.save_mempool() {
            tracing::error!("what waits is lost: {error}");
        }
        if let Err(error) = self.own.checkpoint() {
            tracing::error!("{error}; the state is rebuilt from the log at the next start");
        }
        tracing::info!("stopped at {}", self.own.ledger().tip().height);
    }
}

/// What others are told of a block.
const fn tip_of(block: &SealedBlock) -> Message {
    Message::Status(Status { height: block.height, tip: block.id, round: None, wants: false })
}

#[cfg(test)]
pub(super) mod tests;
