//! The transport between nodes: TCP, TLS 1.3 with raw public keys, frames; who is connected, who is
//! called, who is banned. What the frames of [`Kind::Statements`] and the kinds after it carry is
//! the caller's business.
//!
//! | to find | look in |
//! |---|---|
//! | a node's key and name | [`PeerId`], `identity` |
//! | what is checked before anything is decoded | `tls`, `provider`, `frame`, `kind` (the table of limits), `budget` |
//! | the first words on a connection | `meeting`, `hello`; which of two is kept: `duplicate` |
//! | a connection's task | `connection`; what others see of it: `link` |
//! | what waits to be sent | `outgoing` |
//! | a light peer's end, for the tool | [`LightLink`] |
//! | addresses, and whom to call when | `book`, `address`, `dial` |
//! | who behaves | `score` |
//! | all of it together | `state`, `shared`, `keeper` |
//!
//! **Bounds.** Payloads that are read or wait to be taken up: 3.5 MiB for all peers. Frames that
//! wait to be sent: 2 MiB a peer and 5 MiB in all, where a broadcast counts once. The largest frame
//! has a little over 1 MiB, the book 512 addresses, the scores 1,024 entries.
//!
//! **Silence.** Between two ticks an idle network sends nothing and no timer of it runs. A timer
//! runs while a handshake, half a frame or a goodbye is under way, and while there is somebody to
//! call again within minutes.
//!
//! ```no_run
//! # async fn run(chain: goodwatt_chain::hash::ChainId) -> Result<(), Box<dyn std::error::Error>> {
//! use goodwatt::net::{Kind, Network, NetworkEvent, NetworkSettings};
//!
//! let mut settings = NetworkSettings::new("/var/lib/goodwatt".into(), chain);
//! settings.peers.push("node.example.org:9461".parse()?);
//! let (network, mut events) = Network::start(settings)?;
//! while let Some(event) = events.recv().await {
//!     if let NetworkEvent::Frame { peer, kind: Kind::Request, payload } = event {
//!         network.send(peer, Kind::Response, payload.to_vec())?;
//!     }
//! }
//! # Ok(()) }
//! ```

mod address;
mod book;
mod budget;
mod clock;
mod connection;
mod dial;
mod duplicate;
mod event;
mod frame;
mod hello;
mod identity;
mod keeper;
mod kind;
mod light;
mod link;
mod meeting;
mod outgoing;
mod provider;
mod reason;
mod score;
mod settings;
mod shared;
mod state;
#[cfg(test)]
mod tests;
mod tls;
mod traffic;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use goodwatt_chain::units::Height;
use goodwatt_store::{AtomicFile, DiskError, Folder};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use self::book::Target;
use self::identity::TransportKey;
use self::link::Link;
use self::outgoing::Frame;
use self::score::Subject;
use self::shared::{Parts, Shared};
use self::tls::{Tls, protocol_name};
use crate::config::{PeerAddress, Role};

pub use self::budget::{BudgetLimits, Rate};
pub use self::event::{NetworkEvent, Payload, PeerInfo};
pub use self::frame::FrameFault;
pub use self::hello::ANNOUNCEMENT_MAX;
pub use self::identity::{NotAPeerId, PeerId, TransportKeyError};
pub use self::kind::Kind;
pub use self::light::{LightLink, LightLinkError};
pub use self::reason::{Code, Reason};
pub use self::score::Conduct;
pub use self::settings::{
    CheckAnnouncement, NETWORK_VERSION, NetworkSettings, SignaturesOf, Timing,
};
pub use self::traffic::Traffic;

/// How often [`Network::tick`] is to be called, on multiples of it in wall-clock time, so that all
/// boards wake at one moment.
pub const TICK_PERIOD: Duration = Duration::from_secs(300);

/// The file of saved peers, in the data folder.
const PEERS_FILE: &str = "peers";
/// Events that wait to be taken up; then nothing more is read.
const EVENTS_MAX: usize = 256;
/// Peers asked for addresses at a tick, while this node calls fewer than it wants to.
const ASKED_MAX: usize = 2;

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The address cannot be used.
    #[error(
        "[network] listen = {address}: {source}; set it to a free address of this board, or \
        to \"off\""
    )]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The key of this node cannot be used.
    #[error(transparent)]
    Key(#[from] TransportKeyError),
    /// The data folder cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// TLS refuses its settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// There are no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Randomness(getrandom::Error),
    /// An announcement is too long: a mistake of the caller.
    #[error("an announcement has at most {ANNOUNCEMENT_MAX} bytes, not {0}")]
    Announcement(usize),
}

/// Why something is not sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The peer is gone, or was too slow and is disconnected now.
    #[error("the peer is not connected")]
    NotConnected,
    /// More than its kind may have: a mistake of the caller.
    #[error("`{kind}` of {len} bytes, and at most {} are sent", kind.bytes_max())]
    TooLong {
        /// Its kind.
        kind: Kind,
        /// Its length.
        len: usize,
    },
    /// A kind that only the transport itself sends: a mistake of the caller.
    #[error("`{0}` is sent by the transport itself")]
    Reserved(Kind),
}

/// The running network. Clones are handles to the same one; all calls but [`Self::stop`] return at
/// once and may come from any thread.
#[derive(Clone, Debug)]
pub struct Network {
    shared: Arc<Shared>,
    stop: Arc<Notify>,
    keeper: Arc<Mutex<Option<JoinHandle<()>>>>,
    listens: Option<SocketAddr>,
}

impl Network {
    /// Starts listening and calling, on the tokio runtime around it, which needs I/O and time.
    ///
    /// # Errors
    /// See [`NetworkError`].
    ///
    /// # Panics
    /// Without a tokio runtime around it.
    pub fn start(
        settings: NetworkSettings,
    ) -> Result<(Self, mpsc::Receiver<NetworkEvent>), NetworkError> {
        check_announcement(settings.announcement.as_deref())?;
        let folder = Folder::at(&settings.data)?;
        let key = TransportKey::open(&settings.data)?;
        let listener = settings.listen.map(listen).transpose()?;
        let listens = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let tls = Tls::new(&key, &protocol_name(settings.version, &settings.chain))?;
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce).map_err(NetworkError::Randomness)?;
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let shared = Shared::new(Parts {
            us: key.id(),
            tls,
            runtime: Handle::current(),
            file: AtomicFile::new(folder, PEERS_FILE),
            events: sender,
            nonce: u64::from_le_bytes(nonce),
            port: listens.map_or(0, |address| address.port()),
            settings,
        });
        let stop = Arc::new(Notify::new());
        let keeper = tokio::spawn(keeper::keep(Arc::clone(&shared), listener, Arc::clone(&stop)));
        tracing::info!("this node is {} to others", shared.us);
        let keeper = Arc::new(Mutex::new(Some(keeper)));
        Ok((Self { shared, stop, keeper, listens }, events))
    }

    /// Who this node is to others.
    #[must_use]
    pub fn id(&self) -> PeerId {
        self.shared.us
    }

    /// Where it listens.
    #[must_use]
    pub const fn listens(&self) -> Option<SocketAddr> {
        self.listens
    }

    /// Sends a payload to one peer. If too much waits for it already, it is disconnected as too
    /// slow; look at [`Self::queued`] first for what can wait.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(
        &self,
        peer: PeerId,
        kind: Kind,
        payload: impl Into<Box<[u8]>>,
    ) -> Result<(), SendError> {
        let frame = self.frame(kind, payload.into())?;
        let link = self.shared.state().links.get(&peer).cloned();
        let sent = link.is_some_and(|link| link.enqueue(frame));
        self.shared.relieve();
        if sent { Ok(()) } else { Err(SendError::NotConnected) }
    }

    /// Sends a payload to all peers but one, to light ones only if it is for them; the bytes are
    /// shared. Gives how many it goes to.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn broadcast(
        &self,
        kind: Kind,
        payload: impl Into<Box<[u8]>>,
        except: Option<PeerId>,
    ) -> Result<usize, SendError> {
        let frame = self.frame(kind, payload.into())?;
        let gets = |link: &&Arc<Link>| {
            let party = &link.party;
            Some(party.peer) != except && (party.role == Role::Main || kind.rule().light_gets)
        };
        let links: Vec<_> = self.shared.state().links.values().filter(gets).cloned().collect();
        let sent = links.iter().filter(|link| link.enqueue(Arc::clone(&frame))).count();
        self.shared.relieve();
        Ok(sent)
    }

    /// Bytes that wait for a peer; `None` where it is not connected.
    #[must_use]
    pub fn queued(&self, peer: PeerId) -> Option<usize> {
        self.shared.state().links.get(&peer).map(|link| link.readings().queued)
    }

    /// Notes what a peer did; one that is banned by it is disconnected.
    pub fn report(&self, peer: PeerId, conduct: Conduct) {
        let link = self.shared.state().links.get(&peer).cloned();
        self.shared.note(Some(peer), link.map(|link| link.party.remote.ip()), conduct);
    }

    /// All connected peers.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerInfo> {
        let now = self.shared.clock.now();
        let state = self.shared.state();
        let info = |link: &Arc<Link>| info(link, state.scores.points(link.party.peer, now), now);
        state.links.values().map(info).collect()
    }

    /// The time to a peer and back, smoothed.
    #[must_use]
    pub fn round_trip(&self, peer: PeerId) -> Option<Duration> {
        self.shared.state().links.get(&peer)?.readings().round_trip
    }

    /// Nodes that are banned now.
    #[must_use]
    pub fn banned(&self) -> Vec<PeerId> {
        self.shared.state().scores.banned(self.shared.clock.now()).collect()
    }

    /// Whether another node with this node's key was met since the start.
    #[must_use]
    pub fn has_twin(&self) -> bool {
        self.shared.has_twin()
    }

    /// How many addresses are known.
    #[must_use]
    pub fn known_addresses(&self) -> usize {
        self.shared.state().book.len()
    }

    /// What went over all connections since the start, by kind.
    #[must_use]
    pub fn traffic(&self) -> Vec<Traffic> {
        self.shared.traffic.read()
    }

    /// Calls a node from now on, as if it stood in the config file, until the next start; `false`
    /// where too many are named already.
    #[must_use]
    pub fn add(&self, address: &PeerAddress) -> bool {
        let added = self.shared.state().book.add(Target::from(address));
        self.shared.wake.notify_one();
        added
    }

    /// Bans a node by hand for a time, also over restarts, and disconnects it.
    pub fn ban(&self, peer: PeerId, span: Duration) {
        let now = self.shared.clock.now();
        let mut state = self.shared.state();
        state.scores.ban(Subject::Peer(peer), span, now);
        if let Some(link) = state.links.get(&peer) {
            link.close(Reason::Banned);
        }
    }

    /// Forgets what a node did, and its ban; says whether it was banned.
    #[must_use]
    pub fn unban(&self, peer: PeerId) -> bool {
        let was = self.shared.state().scores.unban(Subject::Peer(peer), self.shared.clock.now());
        self.shared.wake.notify_one();
        was
    }

    /// The tip that new peers are told.
    pub fn set_tip(&self, tip: Height) {
        self.shared.state().tip = tip;
    }

    /// What peers are told to bind this node's key to a signer key: new ones by the hello, those
    /// that are connected at once.
    ///
    /// # Errors
    /// [`NetworkError::Announcement`] where it is too long.
    pub fn set_announcement(&self, announcement: Option<Vec<u8>>) -> Result<(), NetworkError> {
        check_announcement(announcement.as_deref())?;
        let mut state = self.shared.state();
        if state.announcement == announcement {
            return Ok(());
        }
        state.announcement.clone_from(&announcement);
        state.announced += 1;
        let links: Vec<_> = state.links.values().cloned().collect();
        drop(state);
        let frame = self.shared.frame(Kind::Announcement, announcement.unwrap_or_default());
        for link in links {
            link.enqueue(Arc::clone(&frame));
        }
        Ok(())
    }

    /// The network's one regular wake-up, each [`TICK_PERIOD`]: pings all peers, closes dead
    /// connections, asks for addresses, calls again, saves peers.
    pub fn tick(&self, now: Instant) {
        let shared = &self.shared;
        let now = shared.clock.moment(now);
        let (links, is_lonely) = {
            let mut state = shared.state();
            state.renew();
            let links: Vec<_> = state.links.values().cloned().collect();
            (links, state.is_lonely(&shared.settings))
        };
        links.iter().for_each(|link| connection::ping(shared, link));
        if is_lonely {
            let asked = links.iter().filter(|link| link.party.role == Role::Main).take(ASKED_MAX);
            for link in asked {
                link.enqueue(shared.frame(Kind::PeersWanted, []));
            }
        }
        if let Some(content) = shared.to_save(now) {
            // Beside the reactor: a slow card must not hold up votes.
            let shared = Arc::clone(shared);
            self.shared.runtime.spawn_blocking(move || shared.save(&content));
        }
        shared.wake.notify_one();
    }

    /// Says goodbye to all peers and saves their addresses. Nothing is sent or told afterwards.
    pub async fn stop(&self) {
        self.stop.notify_one();
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper
            && let Err(error) = keeper.await
        {
            tracing::warn!("the network did not stop cleanly: {error}");
        }
    }

    fn frame(&self, kind: Kind, payload: Box<[u8]>) -> Result<Arc<Frame>, SendError> {
        if !kind.is_payload() {
            return Err(SendError::Reserved(kind));
        }
        if payload.len() > kind.bytes_max() {
            return Err(SendError::TooLong { kind, len: payload.len() });
        }
        Ok(self.shared.frame(kind, payload))
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, NetworkError> {
    let open = || {
        let socket = if address.is_ipv4() {
            tokio::net::TcpSocket::new_v4()
        } else {
            tokio::net::TcpSocket::new_v6()
        }?;
        // A restart must not wait for the connections of the time before.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(64)
    };
    open().map_err(|source| NetworkError::Listen { address, source })
}

fn check_announcement(announcement: Option<&[u8]>) -> Result<(), NetworkError> {
    match announcement {
        Some(bytes) if bytes.len() > ANNOUNCEMENT_MAX => {
            Err(NetworkError::Announcement(bytes.len()))
        }
        _ => Ok(()),
    }
}

fn info(link: &Link, score: i32, now: clock::Moment) -> PeerInfo {
    let (party, readings) = (&link.party, link.readings());
    PeerInfo {
        peer: party.peer,
        address: party.remote,
        listens: party.listens,
        outbound: party.outbound,
        role: party.role,
        software: party.software.to_string(),
        tip: party.tip,
        round_trip: readings.round_trip,
        score,
        connected: now.saturating_sub(party.since),
        bytes_in: readings.bytes_in,
        bytes_out: readings.bytes_out,
        queued: readings.queued,
    }
}
