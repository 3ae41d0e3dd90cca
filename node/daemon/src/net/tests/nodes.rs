//! Nodes for tests, and strangers that speak TLS but write their frames by hand.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use goodwatt_chain::hash::{ChainId, Digest32};
use goodwatt_chain::units::Height;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::Role;
use crate::net::hello::{Hello, Saying};
use crate::net::identity::TransportKey;
use crate::net::tls::{Stream, Tls, protocol_name};
use crate::net::{Kind, NETWORK_VERSION, Network, NetworkEvent, NetworkSettings, PeerId, Reason};

/// Longer than anything here takes, also on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test on a runtime like the daemon's.
pub(super) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        timeout(4 * PATIENCE, test).await.expect("the test ends");
    });
}

pub(super) fn chain() -> ChainId {
    ChainId(Digest32::new([7; 32]))
}

/// Waits until something is so.
pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("it never came to this: {what}"));
}

/// An address nobody uses at the moment.
pub(super) fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound")
}

/// A running node.
pub(super) struct Node {
    pub(super) network: Network,
    pub(super) events: tokio::sync::Mutex<Receiver<NetworkEvent>>,
    pub(super) folder: TempDir,
}

/// Settings of a node on loopback that listens and knows nobody.
pub(super) fn settings(folder: &Path) -> NetworkSettings {
    let mut settings = NetworkSettings::new(folder.to_owned(), chain());
    settings.development = true;
    settings.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    settings
}

impl Node {
    /// Starts a node with settings changed by `change`.
    pub(super) fn start(change: impl FnOnce(&mut NetworkSettings)) -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary directory"), change)
    }

    /// Starts a node in the folder of an earlier one.
    pub(super) fn start_in(folder: TempDir, change: impl FnOnce(&mut NetworkSettings)) -> Self {
        let mut settings = settings(folder.path());
        change(&mut settings);
        let (network, events) = Network::start(settings).expect("it starts");
        Self { network, events: tokio::sync::Mutex::new(events), folder }
    }

    /// Starts a node that calls these.
    pub(super) fn calling(others: &[&Self]) -> Self {
        Self::start(|settings| {
            settings.peers = others.iter().map(|other| other.text().parse().expect("it")).collect();
        })
    }

    pub(super) fn id(&self) -> PeerId {
        self.network.id()
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.network.listens().expect("it listens")
    }

    pub(super) fn text(&self) -> String {
        self.address().to_string()
    }

    /// The next event.
    pub(super) async fn event(&self) -> NetworkEvent {
        let mut events = self.events.lock().await;
        let event = timeout(PATIENCE, events.recv()).await;
        event.expect("an event").expect("the network runs")
    }

    /// The next event has to be that this peer is connected.
    pub(super) async fn connects(&self, to: PeerId) {
        match self.event().await {
            NetworkEvent::Connected { peer, .. } if peer == to => {}
            event => panic!("not the connection: {event:?}"),
        }
    }

    /// The next event has to be that a peer is gone; gives the reason.
    pub(super) async fn loses(&self, whom: PeerId) -> Reason {
        match self.event().await {
            NetworkEvent::Disconnected { peer, reason } if peer == whom => reason,
            event => panic!("not the end of {whom}: {event:?}"),
        }
    }

    /// The next event has to be a frame; gives what it carries.
    pub(super) async fn frame(&self, from: PeerId) -> (Kind, Vec<u8>) {
        match self.event().await {
            NetworkEvent::Frame { peer, kind, payload } if peer == from => (kind, payload.to_vec()),
            event => panic!("not a frame of {from}: {event:?}"),
        }
    }

    /// Takes up all events that are there.
    pub(super) fn drain(&self) -> Vec<NetworkEvent> {
        let mut events = self.events.try_lock().expect("nobody else takes them up");
        std::iter::from_fn(|| events.try_recv().ok()).collect()
    }

    pub(super) fn is_connected_to(&self, other: PeerId) -> bool {
        self.network.peers().iter().any(|info| info.peer == other)
    }

    /// It still does what it is for.
    pub(super) async fn is_well(&self) {
        let visitor = Self::calling(&[self]);
        visitor.connects(self.id()).await;
        self.connects(visitor.id()).await;
        visitor.network.send(self.id(), Kind::Request, *b"how are you").expect("connected");
        assert_eq!(self.frame(visitor.id()).await, (Kind::Request, b"how are you".to_vec()));
        visitor.network.stop().await;
        self.loses(visitor.id()).await;
    }
}

/// Somebody with a key of his own who writes what he likes.
pub(super) struct Stranger {
    pub(super) stream: Stream,
    pub(super) id: PeerId,
    _folder: TempDir,
}

impl Stranger {
    /// Shakes hands and says hello as a main node would.
    pub(super) async fn meets(node: &Node) -> Self {
        Self::meets_as(node, Role::Main).await
    }

    pub(super) async fn meets_as(node: &Node, role: Role) -> Self {
        let mut stranger = Self::shakes_hands(node.address()).await.expect("a handshake");
        stranger.send(Kind::Hello as u8, &Self::hello(role).encode()).await;
        assert_eq!(stranger.read().await.0, Kind::Hello as u8);
        node.connects(stranger.id).await;
        stranger
    }

    /// Shakes hands only.
    pub(super) async fn shakes_hands(address: SocketAddr) -> io::Result<Self> {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let key = TransportKey::open(folder.path()).expect("a new key");
        let tls = Tls::new(&key, &protocol_name(NETWORK_VERSION, &chain())).expect("settings");
        let socket = TcpStream::connect(address).await?;
        let (stream, _) = tls.connect(socket, address).await.map_err(io::Error::other)?;
        Ok(Self { stream, id: key.id(), _folder: folder })
    }

    pub(super) fn hello(role: Role) -> Hello {
        Hello::new(Saying {
            protocol: NETWORK_VERSION,
            chain: chain(),
            role,
            port: 0,
            tip: Height::new(3),
            nonce: 99,
            call: 1,
            announcement: None,
        })
    }

    /// Writes a frame; the other end may have closed already.
    pub(super) async fn send(&mut self, kind: u8, payload: &[u8]) {
        let [a, b, c, d] = (payload.len() as u32).to_le_bytes();
        self.write(&[a, b, c, d, kind]).await;
        self.write(payload).await;
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        // Whether that reached anybody is seen by what comes back.
        if self.stream.write_all(bytes).await.is_ok() {
            drop(self.stream.flush().await);
        }
    }

    /// Reads a frame.
    pub(super) async fn read(&mut self) -> (u8, Vec<u8>) {
        let frame = timeout(PATIENCE, async {
            let mut header = [0; 5];
            self.stream.read_exact(&mut header).await.expect("a header");
            let [a, b, c, d, kind] = header;
            let mut payload = vec![0; u32::from_le_bytes([a, b, c, d]) as usize];
            self.stream.read_exact(&mut payload).await.expect("a payload");
            (kind, payload)
        });
        frame.await.expect("a frame in time")
    }

    /// Reads until a goodbye; gives its words.
    pub(super) async fn is_told(&mut self) -> String {
        loop {
            if let (1, payload) = self.read().await {
                return Reason::told(&payload).to_string();
            }
        }
    }

    /// Reads until the end, whatever comes.
    pub(super) async fn is_dropped(&mut self) {
        let mut bytes = Vec::new();
        // An end without TLS's own goodbye is an error, and an end.
        drop(timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await.expect("an end"));
    }
}

/// The log of this thread, as long as it lives.
pub(super) struct Log {
    lines: Lines,
    _guard: tracing::subscriber::DefaultGuard,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    pub(super) fn start() -> Self {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(lines.clone())
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .finish();
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    pub(super) fn text(&self) -> String {
        let bytes = self.lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Lines of this level with this in them.
    pub(super) fn count(&self, level: &str, part: &str) -> usize {
        let text = self.text();
        text.lines().filter(|line| line.contains(level) && line.contains(part)).count()
    }
}
