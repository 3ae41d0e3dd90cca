//! What strangers and bad peers send to real validators: each time the daemon's memory stays
//! bounded, its log names the cause, and the chain goes on. What breaks a frame or a handshake is
//! tried on the transport itself (`net/tests/strangers.rs`): half a frame, one of 4 GB, slow reads.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::network::{address, agree, all_at, connected, listened, network, pay};
use common::witness::audit;
use common::{Daemon, Home, Random, say};
use goodwatt::net::{Kind, Network, NetworkEvent, NetworkSettings, PeerId};
use goodwatt::signers::Signers;
use goodwatt_chain::block::RawTransaction;
use goodwatt_chain::hash::{BlockId, ChainId, Digest32};
use goodwatt_chain::signature::SigningKey;
use goodwatt_chain::units::{Height, Round};
use goodwatt_chain::vote::{Vote, VoteKind};
use goodwatt_consensus::{Message as Word, SignedStatement};
use goodwatt_validator::{Message, Status};
use tokio::sync::mpsc::Receiver;

/// What strangers may cost a daemon: buffers of the transport (8.5 MiB in all at the worst), what
/// waits in the mempool, and what an allocator keeps of it.
const MEMORY_MAX: u64 = 24 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

struct Rack {
    homes: Vec<Home>,
    daemons: Vec<Daemon>,
    height: u64,
    memory: u64,
}

impl Rack {
    fn new() -> Self {
        let homes = network(4);
        let mut daemons: Vec<Daemon> = homes.iter().map(Home::start).collect();
        connected(&mut daemons, 3);
        listened(&mut daemons);
        let mut rack = Self { homes, daemons, height: 0, memory: 0 };
        rack.goes_on("nothing");
        rack.memory = rack.resident();
        rack
    }

    fn target(&self) -> (SocketAddr, ChainId) {
        (address(&self.homes[0]), self.homes[0].chain())
    }

    fn resident(&mut self) -> u64 {
        self.daemons[0].status().usage.resident_bytes
    }

    /// The chain goes on everywhere, and the memory of the one that was attacked is as it was.
    fn goes_on(&mut self, after: &str) {
        for board in 0..4 {
            pay(&self.homes[0], &mut self.daemons[board]);
            self.height += 1;
        }
        agree(&all_at(&mut self.daemons, self.height));
        let resident = self.resident();
        say(&format!("hostile: after {after}: {} MB resident", resident / 1_000_000));
        if self.memory > 0 {
            assert!(resident < self.memory + MEMORY_MAX, "{} then {resident}", self.memory);
        }
        connected(&mut self.daemons, 3);
    }

    /// A bad peer does something to the first validator, which goes on sealing meanwhile, and says
    /// what is wrong if `cause` does.
    ///
    /// One that is only slowed down, as it sends faster than it is read, is no reason to complain.
    fn suffers(
        &mut self,
        what: &str,
        cause: Option<&str>,
        act: impl AsyncFnOnce(&mut Peer) + Send,
    ) {
        let (to, chain) = self.target();
        std::thread::scope(|scope| {
            let attack = scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let folder = tempfile::tempdir().expect("a temporary directory");
                runtime.expect("a runtime").block_on(async {
                    let mut peer = Peer::connect(folder.path(), to, chain).await;
                    tokio::time::timeout(PATIENCE, act(&mut peer)).await.expect("it ends");
                    peer.network.stop().await;
                });
            });
            let (mut slowest, mut payments) = (Duration::ZERO, 0);
            while !attack.is_finished() {
                slowest = slowest.max(pay(&self.homes[0], &mut self.daemons[0]));
                payments += 1;
                std::thread::sleep(Duration::from_millis(200));
            }
            self.height += payments;
            attack.join().expect("the bad peer does what it should");
            say(&format!(
                "hostile: {what}: meanwhile {payments} payments, the slowest {slowest:?}"
            ));
            assert!(slowest < Duration::from_secs(10), "{slowest:?}");
        });
        if let Some(cause) = cause {
            self.daemons[0].says(cause);
        }
        self.goes_on(what);
    }

    fn end(self) {
        self.daemons.into_iter().for_each(|daemon| drop(daemon.stop()));
        assert_eq!(audit(&self.homes.iter().collect::<Vec<_>>()), self.height);
    }
}

/// A node that shook hands like any other.
struct Peer {
    network: Network,
    events: Receiver<NetworkEvent>,
    victim: PeerId,
}

impl Peer {
    async fn connect(folder: &std::path::Path, to: SocketAddr, chain: ChainId) -> Self {
        let mut settings = NetworkSettings::new(folder.to_owned(), chain);
        settings.development = true;
        settings.outbound = 1;
        settings.peers.push(to.to_string().parse().expect("an address"));
        let (network, mut events) = Network::start(settings).expect("it starts");
        loop {
            if let Some(NetworkEvent::Connected { peer, .. }) = events.recv().await {
                return Self { network, events, victim: peer };
            }
        }
    }

    /// Sends, as fast as the other side takes it; `false` where it is gone.
    async fn send(&mut self, kind: Kind, payload: Vec<u8>) -> bool {
        while self.network.queued(self.victim).is_some_and(|queued| queued > 1 << 20) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        while let Ok(event) = self.events.try_recv() {
            if let NetworkEvent::Disconnected { reason, .. } = event {
                say(&format!("hostile: the bad peer is gone: {reason}"));
            }
        }
        let sent = self.network.send(self.victim, kind, payload).is_ok();
        if !sent && let Ok(NetworkEvent::Disconnected { reason, .. }) = self.events.try_recv() {
            say(&format!("hostile: the bad peer is gone: {reason}"));
        }
        sent
    }

    /// Sends the same until it is disconnected, at most so often.
    async fn sends_again_and_again(&mut self, kind: Kind, payload: &[u8], times: usize) {
        for _ in 0..times {
            if !self.send(kind, payload.to_vec()).await {
                return;
            }
        }
        // What still waits goes out before this peer leaves.
        while self.network.queued(self.victim).is_some_and(|queued| queued > 0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn vote(chain: &ChainId, key: &SigningKey, height: u64, round: u32) -> Word {
    let vote = Vote {
        kind: VoteKind::Precommit,
        height: Height::new(height),
        round: Round::new(round),
        block: Some(BlockId(Digest32::new([round as u8; 32]))),
        signer: key.public(),
    };
    Word::Statement(SignedStatement::Vote(vote.sign(chain, key)))
}

#[test]
fn peers_that_send_what_no_node_sends() {
    let mut rack = Rack::new();
    let (to, chain) = rack.target();

    let mut random = Random(7);
    for size in [1, 100, 100_000] {
        let mut stranger = TcpStream::connect(to).expect("it listens");
        let noise: Vec<u8> = (0..size).map(|_| random.below(256) as u8).collect();
        // It may close before all is written, which is what this is about.
        drop(stranger.write_all(&noise));
        drop(stranger.shutdown(std::net::Shutdown::Write));
        drop(stranger.read_to_end(&mut Vec::new()));
    }
    rack.daemons[0].says("what it sends is not TLS");
    let silent: Vec<TcpStream> =
        (0..64).map(|_| TcpStream::connect(to).expect("it listens")).collect();
    rack.goes_on("noise and 64 who say nothing");
    drop(silent);

    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_payload()) {
        let cause = match kind {
            Kind::Response => "it sent `response`, and nothing was asked",
            _ => "is banned for a while, the last reason: Invalid",
        };
        let garbage: Vec<u8> =
            (0..kind.bytes_max().min(60_000)).map(|_| random.below(256) as u8).collect();
        rack.suffers(&format!("garbage as {kind}"), Some(cause), async |peer| {
            peer.sends_again_and_again(kind, &garbage, 10).await;
        });
    }

    let stranger = SigningKey::from_seed(&[99; 32]);
    let words = |key: &SigningKey, heights: std::ops::Range<u64>| {
        Message::Agreement(heights.map(|height| vote(&chain, key, height, 0)).collect()).encode()
    };
    let forged = words(&stranger, 1_000_000..1_000_200);
    rack.suffers("votes of a stranger for far heights", Some("floods"), async |peer| {
        peer.sends_again_and_again(Kind::Statements, &forged, 20_000).await;
    });
    // A validator's own key, as if it had gone mad.
    let signers = Signers::open(&rack.homes[3].path("data/signers")).expect("its keys");
    let founders = rack.homes[3].founders();
    let signer = founders.iter().find_map(|key| signers.find(key)).expect("one of them");
    let far = words(signer.key(), 1_000_000..1_000_200);
    rack.suffers("votes of a validator for far heights", Some("floods"), async |peer| {
        peer.sends_again_and_again(Kind::Statements, &far, 20_000).await;
    });
    rack.end();
}

#[test]
fn peers_that_flood_or_do_not_read() {
    let mut rack = Rack::new();
    let status = Status {
        height: Height::new(1 << 40),
        tip: BlockId(Digest32::new([3; 32])),
        round: None,
        wants: true,
    };
    let status = Message::Status(status).encode();
    rack.suffers("a flood of tips far ahead", None, async |peer| {
        peer.sends_again_and_again(Kind::Tip, &status, 200_000).await;
    });
    let wants = Message::WantBlocks { from: Height::new(1), count: u16::MAX }.encode();
    rack.suffers("a flood of requests", None, async |peer| {
        peer.sends_again_and_again(Kind::Request, &wants, 20_000).await;
    });
    let transactions = vec![RawTransaction(vec![0; 500]); 400];
    let transactions = Message::Transactions(transactions).encode();
    rack.suffers("transactions that are none", Some("the last reason: Invalid"), async |peer| {
        peer.sends_again_and_again(Kind::Transactions, &transactions, 10).await;
    });
    // Asks for blocks for ever and takes none of the answers up.
    rack.suffers("one who does not read", None, async |peer| {
        for _ in 0..20_000 {
            if peer.network.send(peer.victim, Kind::Request, wants.clone()).is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    rack.end();
}
