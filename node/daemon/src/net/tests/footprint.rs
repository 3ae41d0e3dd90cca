//! What it costs: bytes and wake-ups when idle, time to shake hands. Memory is measured by
//! `tests/network.rs`, in a process of its own.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::nodes::{Node, chain, run, until};
use crate::net::NETWORK_VERSION;
use crate::net::identity::TransportKey;
use crate::net::tls::{Tls, protocol_name};

/// Passes bytes on between callers and `to`, and counts them.
async fn count_between(listener: TcpListener, to: SocketAddr, bytes: Rc<Cell<usize>>) {
    let (caller, _) = listener.accept().await.expect("a caller");
    let called = TcpStream::connect(to).await.expect("it listens");
    let (mut from_caller, mut to_caller) = caller.into_split();
    let (mut from_called, mut to_called) = called.into_split();
    let pass = async |from: &mut tokio::net::tcp::OwnedReadHalf,
                      to: &mut tokio::net::tcp::OwnedWriteHalf| {
        let mut buffer = [0; 4096];
        loop {
            let count = from.read(&mut buffer).await.unwrap_or(0);
            bytes.set(bytes.get() + count);
            if count == 0 || to.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = pass(&mut from_caller, &mut to_called) => {}
        () = pass(&mut from_called, &mut to_caller) => {}
    }
}

#[test]
fn an_idle_network_sends_nothing_and_wakes_nobody() {
    run(async {
        let one = Node::start(|_| {});
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let between = listener.local_addr().expect("it is bound");
        let bytes = Rc::new(Cell::new(0));
        let counted = count_between(listener, one.address(), Rc::clone(&bytes));
        let idle = async {
            let two = Node::start(|settings| {
                settings.peers.push(between.to_string().parse().expect("an address"));
                settings.outbound = 1;
                settings.listen = None;
            });
            two.connects(one.id()).await;
            one.connects(two.id()).await;
            until("both have their first pong", || {
                let known = |from: &Node, to: &Node| from.network.round_trip(to.id()).is_some();
                known(&one, &two) && known(&two, &one)
            })
            .await;
            // What is under way arrives.
            tokio::time::sleep(Duration::from_millis(200)).await;
            let metrics = tokio::runtime::Handle::current().metrics();
            let (sent, parks) = (bytes.get(), metrics.worker_park_count(0));
            assert!(sent > 500, "they shook hands by way of the counter: {sent}");
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert_eq!(bytes.get() - sent, 0, "bytes in three seconds");
            // The end of this sleep, which tokio's timer may take in two steps, and no more.
            let wakeups = metrics.worker_park_count(0) - parks;
            assert!(wakeups <= 3, "{wakeups} wake-ups");
            one.network.tick(Instant::now());
            two.network.tick(Instant::now());
            until("pings pass at a tick", || bytes.get() > sent).await;
        };
        tokio::select! {
            () = counted => panic!("the connection broke"),
            () = idle => {}
        }
    });
}

#[test]
#[expect(clippy::print_stdout, reason = "a measurement is to be seen")]
fn sessions_are_resumed_with_the_same_key() {
    run(async {
        let settings = || {
            let folder = tempfile::tempdir().expect("a temporary directory");
            let key = TransportKey::open(folder.path()).expect("a new key");
            let name = protocol_name(NETWORK_VERSION, &chain());
            (Tls::new(&key, &name).expect("settings"), key.id())
        };
        let ((server, server_id), (client, client_id)) = (settings(), settings());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let mut kinds = Vec::new();
        let mut times = Vec::new();
        for _ in 0..20 {
            let begin = Instant::now();
            let accept = async {
                let (socket, _) = listener.accept().await.expect("a caller");
                socket.set_nodelay(true).expect("a socket");
                let (mut stream, peer) = server.accept(socket).await.expect("a handshake");
                assert_eq!(peer, client_id);
                stream.write_all(b"x").await.expect("connected");
                stream.flush().await.expect("connected");
                stream
            };
            let connect = async {
                let socket = TcpStream::connect(address).await.expect("it listens");
                socket.set_nodelay(true).expect("a socket");
                let (mut stream, peer) =
                    client.connect(socket, address).await.expect("a handshake");
                assert_eq!(peer, server_id);
                // The ticket comes with the first bytes.
                stream.read_u8().await.expect("connected");
                stream
            };
            let (server_end, client_end) = tokio::join!(accept, connect);
            times.push(begin.elapsed());
            let kind = |stream: &crate::net::tls::Stream| stream.get_ref().1.handshake_kind();
            kinds.push((kind(&server_end), kind(&client_end)));
        }
        let resumed = Some(rustls::HandshakeKind::Resumed);
        let full = Some(rustls::HandshakeKind::Full);
        assert_eq!(kinds[0], (full, full));
        assert!(kinds[1..].iter().all(|kind| *kind == (resumed, resumed)), "{kinds:?}");
        times[1..].sort_unstable();
        println!("handshake of both ends: full {:?}, resumed {:?} (median)", times[0], times[10]);
    });
}
