//! What all tasks of a network share.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use goodwatt_store::AtomicFile;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

use super::book::Record;
use super::clock::{Clock, Moment};
use super::event::{NetworkEvent, Payload};
use super::hello::{Hello, Saying};
use super::identity::PeerId;
use super::kind::{Kind, Lane};
use super::link::{Link, Party};
use super::outgoing::{ALL_BYTES_MAX, Frame, Gauge};
use super::reason::Reason;
use super::score::Conduct;
use super::settings::NetworkSettings;
use super::state::{State, decode_records, encode_records};
use super::tls::Tls;
use super::traffic::Counters;

/// Memory for payloads that are being read, or wait to be taken up, for each lane.
const URGENT_BYTES_MAX: usize = 512 << 10;
const BULK_BYTES_MAX: usize = 3 << 20;
/// The least a payload takes of it: it has an event around it.
const PAYLOAD_COST_MIN: u32 = 256;
/// Peers are saved at most once in this time.
const SAVE_PERIOD: Duration = Duration::from_secs(600);

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: NetworkSettings,
    pub(super) us: PeerId,
    pub(super) clock: Clock,
    pub(super) tls: Tls,
    /// Wakes the keeper: somebody came, went, or is to be called.
    pub(super) wake: Notify,
    pub(super) gauge: Arc<Gauge>,
    pub(super) traffic: Counters,
    pub(super) runtime: Handle,
    pub(super) file: AtomicFile,
    events: mpsc::Sender<NetworkEvent>,
    state: Mutex<State>,
    nonce: u64,
    port: u16,
    /// Whether another node with this node's key was met.
    twin: AtomicBool,
    urgent: Arc<Semaphore>,
    bulk: Arc<Semaphore>,
}

/// What [`Shared`] is made of.
pub(super) struct Parts {
    pub(super) settings: NetworkSettings,
    pub(super) us: PeerId,
    pub(super) tls: Tls,
    pub(super) runtime: Handle,
    pub(super) file: AtomicFile,
    pub(super) events: mpsc::Sender<NetworkEvent>,
    pub(super) nonce: u64,
    /// Where it listens in truth, 0 for nowhere.
    pub(super) port: u16,
}

impl Shared {
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        let Parts { settings, us, tls, runtime, file, events, nonce, port } = parts;
        let clock = Clock::start();
        let mut state = State::new(us, &settings, nonce, clock.now());
        match file.read() {
            Ok(Some(content)) if !state.restore(&content, clock.now()) => {
                tracing::warn!("the saved peers are of another version: they are found anew");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("saved peers: {error}"),
        }
        Arc::new(Self {
            settings,
            us,
            clock,
            tls,
            wake: Notify::new(),
            gauge: Arc::default(),
            traffic: Counters::default(),
            runtime,
            file,
            events,
            state: Mutex::new(state),
            nonce,
            port,
            twin: AtomicBool::new(false),
            urgent: Arc::new(Semaphore::new(URGENT_BYTES_MAX)),
            bulk: Arc::new(Semaphore::new(BULK_BYTES_MAX)),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn frame(&self, kind: Kind, payload: impl Into<Box<[u8]>>) -> Arc<Frame> {
        Frame::new(kind, payload, &self.gauge)
    }

    /// What this node says about itself now, in its call of that number.
    pub(super) fn hello(&self, call: u32) -> Hello {
        let state = self.state();
        Hello::new(Saying {
            protocol: self.settings.version,
            chain: self.settings.chain,
            role: self.settings.role,
            port: self.port,
            tip: state.tip,
            nonce: self.nonce,
            call,
            announcement: state.announcement.clone(),
        })
    }

    /// Whether a hello is of our network, of another node, and honest.
    pub(super) fn check_hello(&self, peer: PeerId, hello: &Hello) -> Result<(), Reason> {
        if hello.protocol != self.settings.version || hello.chain != self.settings.chain {
            return Err(Reason::WrongHello);
        }
        if peer == self.us {
            let itself = hello.nonce == self.nonce;
            return Err(if itself { Reason::Ourselves } else { self.meet_twin() });
        }
        self.check_announcement(&peer, hello.announcement.as_deref())
    }

    /// Notes that another node has this node's key, and tells the owner, who made it, once.
    fn meet_twin(&self) -> Reason {
        if !self.twin.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "another node that runs now has this node's transport.key: was the card copied?"
            );
        }
        Reason::Twin
    }

    /// Whether another node with this node's key was met since the start.
    pub(super) fn has_twin(&self) -> bool {
        self.twin.load(Ordering::Relaxed)
    }

    /// Whether a peer's announcement is honest, as far as the owner wants to know.
    pub(super) fn check_announcement(
        &self,
        peer: &PeerId,
        announcement: Option<&[u8]>,
    ) -> Result<(), Reason> {
        match (&self.settings.check_announcement, announcement) {
            (Some(check), Some(bytes)) if !check(peer, bytes) => Err(Reason::BadAnnouncement),
            _ => Ok(()),
        }
    }

    /// Takes up a connection. A caller is answered with our hello, which is the first frame.
    pub(super) fn admit(&self, party: Party) -> Result<(Arc<Link>, Option<Arc<Link>>), Reason> {
        let link = Link::new(party);
        if !link.party.outbound {
            link.enqueue(self.frame(Kind::Hello, self.hello(0).encode()));
        }
        let now = self.clock.now();
        let mut state = self.state();
        let displaced = state.admit(&link, &self.settings, now)?;
        state.ask_for_probe(&link.party, now);
        if link.party.outbound {
            let record = Record { peer: link.party.peer, address: link.party.remote };
            state.book.worked(record, now);
        }
        Ok((link, displaced))
    }

    /// Hands an event to the owner; waits while too many wait for it.
    pub(super) async fn tell(&self, event: NetworkEvent) -> Result<(), Reason> {
        self.events.send(event).await.map_err(|_| Reason::Stopping)
    }

    /// Waits for memory for a payload of `len` bytes.
    pub(super) async fn memory(&self, kind: Kind, len: u32) -> Option<OwnedSemaphorePermit> {
        let pool = match kind.rule().lane {
            Lane::Urgent => &self.urgent,
            Lane::Bulk => &self.bulk,
        };
        // Never closed, and every kind's limit is below the pool's size.
        Arc::clone(pool).acquire_many_owned(len.max(PAYLOAD_COST_MIN)).await.ok()
    }

    /// A payload for the owner.
    pub(super) async fn deliver(
        &self,
        peer: PeerId,
        kind: Kind,
        payload: Payload,
    ) -> Result<(), Reason> {
        self.tell(NetworkEvent::Frame { peer, kind, payload }).await
    }

    /// Notes what somebody did, and logs it if that bans it.
    pub(super) fn note(&self, peer: Option<PeerId>, ip: Option<IpAddr>, conduct: Conduct) {
        let now = self.clock.now();
        let banned = self.state().note(peer, ip, conduct, &self.settings, now);
        if let (true, Some(peer)) = (banned, peer) {
            tracing::warn!("peer {peer} is banned for a while, the last reason: {conduct:?}");
        }
    }

    /// Logs what a stranger did: as a warning while there are few of them.
    pub(super) fn complain(&self, complaint: &dyn std::fmt::Display) {
        if self.state().may_complain() {
            tracing::warn!("{complaint}");
        } else {
            tracing::debug!("{complaint}");
        }
    }

    /// Tells a peer the addresses that worked of late.
    pub(super) fn tell_addresses(&self, link: &Link) {
        let now = self.clock.now();
        if link.may_tell_addresses(now) {
            let records = self.addresses_for(&link.party, now);
            link.enqueue(self.frame(Kind::Peers, encode_records(&records)));
        }
    }

    /// Addresses for a peer, or for somebody who has to look for another place.
    pub(super) fn addresses_for(&self, party: &Party, now: Moment) -> Vec<Record> {
        let mut state = self.state();
        let lot = state.draw();
        state.book.sample(now, party.remote.ip(), party.peer, lot)
    }

    /// Notes addresses that a peer at `ip` told.
    pub(super) fn hear_addresses(&self, ip: IpAddr, payload: &[u8]) -> Result<usize, Reason> {
        let records = decode_records(payload).ok_or(Reason::Malformed(Kind::Peers))?;
        let mut state = self.state();
        let others = records.iter().filter(|record| record.peer != self.us);
        let new = others.filter(|record| state.book.learn(**record, ip)).count();
        drop(state);
        if new > 0 {
            self.wake.notify_one();
        }
        Ok(records.len())
    }

    /// An address was tried out and works: if that is news, everybody is told.
    pub(super) fn prove(&self, record: Record) {
        let now = self.clock.now();
        let frame = self.frame(Kind::Peers, encode_records(&[record]));
        let mut state = self.state();
        if state.book.worked(record, now) {
            state.spread_news(record.peer, &frame);
        }
    }

    /// If too much waits for all peers together, the one for which most waits has to go.
    pub(super) fn relieve(&self) {
        if self.gauge.bytes() <= ALL_BYTES_MAX {
            return;
        }
        let state = self.state();
        let queued = |link: &&Arc<Link>| link.readings().queued;
        if let Some(slowest) = state.links.values().max_by_key(queued) {
            slowest.close(Reason::Slow { queued: queued(&slowest) });
        }
    }

    /// What is to be saved now, if it is time.
    pub(super) fn to_save(&self, now: Moment) -> Option<Vec<u8>> {
        let mut state = self.state();
        if now.saturating_sub(state.saved_at) < SAVE_PERIOD {
            return None;
        }
        state.saved_at = now;
        Some(state.save(now))
    }

    /// Writes the saved peers; waits for the card.
    pub(super) fn save(&self, content: &[u8]) {
        if let Err(error) = self.file.write(content) {
            tracing::warn!("peers are not saved: {error}");
        }
    }
}
