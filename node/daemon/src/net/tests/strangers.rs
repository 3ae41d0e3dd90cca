//! What strangers do that no node does, and what becomes of them. The node stays well each time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::nodes::{Log, Node, PATIENCE, Stranger, run, until};
use crate::config::Role;
use crate::net::score::Subject;
use crate::net::{BudgetLimits, Kind, NetworkEvent, Rate, Reason, SendError, Timing};

const SHORT: Timing = Timing {
    handshake: Duration::from_millis(300),
    frame: Duration::from_millis(200),
    goodbye: Duration::from_secs(2),
};

/// Sends raw bytes and reads until the connection is closed.
async fn knocks(address: SocketAddr, bytes: &[u8]) {
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    // The other side may close before all is written, which is what this is about.
    drop(socket.write_all(bytes).await);
    let mut answer = Vec::new();
    drop(timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("an end"));
}

#[test]
fn noise_instead_of_tls_is_named_and_closed() {
    run(async {
        let log = Log::start();
        let node = Node::start(|settings| settings.timing.handshake = SHORT.handshake);
        knocks(node.address(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(log.count("WARN", "what it sends is not TLS"), 1, "{}", log.text());
        knocks(node.address(), &[0xff; 100_000]).await;
        // Half a handshake, and nothing more.
        knocks(node.address(), &[0x16, 3, 1, 2, 0, 1, 0]).await;
        assert_eq!(log.count("WARN", "did not shake hands in time"), 1, "{}", log.text());
        knocks(node.address(), &[]).await;
        // However many come, the log is not theirs.
        for _ in 0..30 {
            knocks(node.address(), &[0; 64]).await;
        }
        assert_eq!(log.count("WARN", ""), 10, "{}", log.text());
        assert!(node.drain().is_empty());
        node.is_well().await;
    });
}

#[test]
fn who_makes_noise_for_long_is_not_heard_any_more() {
    run(async {
        let node = Node::start(|settings| settings.development = false);
        let loopback = Subject::Address(node.address().ip());
        let is_banned = || {
            let now = node.network.shared.clock.now();
            node.network.shared.state().scores.is_banned(loopback, now)
        };
        let banned = async {
            while !is_banned() {
                knocks(node.address(), &[0; 64]).await;
            }
        };
        timeout(PATIENCE, banned).await.expect("at some time it is enough");
        assert!(Stranger::shakes_hands(node.address()).await.is_err());
    });
}

/// What a stranger that is connected does, and the reason for which it is closed.
fn check(what: impl AsyncFnOnce(&mut Stranger), reason: &str) {
    check_as(Role::Main, what, reason);
}

fn check_as(role: Role, what: impl AsyncFnOnce(&mut Stranger), reason: &str) {
    run(async {
        let log = Log::start();
        let node = Node::start(|settings| settings.timing = SHORT);
        let mut stranger = Stranger::meets_as(&node, role).await;
        what(&mut stranger).await;
        let told = stranger.is_told().await;
        assert_eq!(told, format!("it closed the connection: {reason}"));
        stranger.is_dropped().await;
        assert_eq!(node.loses(stranger.id).await.to_string(), reason);
        assert_eq!(log.count("WARN", reason), 1, "{}", log.text());
        assert!(node.network.peers().is_empty());
        node.is_well().await;
    });
}

#[test]
fn a_frame_of_4_gb_is_refused_by_its_length() {
    check(
        async |stranger| stranger.write(&[255, 255, 255, 255, Kind::Block as u8]).await,
        "it sent a frame of 4294967295 bytes, and `block` has at most 1048576",
    );
}

#[test]
fn a_frame_just_too_long_is_refused() {
    check(
        async |stranger| stranger.send(Kind::Tip as u8, &[0; 1025]).await,
        "it sent a frame of 1025 bytes, and `tip` has at most 1024",
    );
}

#[test]
fn an_unknown_kind_is_refused_politely() {
    check(
        async |stranger| stranger.send(77, b"from a later version").await,
        "it sent a frame of the unknown kind 77",
    );
}

#[test]
fn half_a_header_times_out() {
    let half = "half a frame came, and the rest not within 0 s";
    check(async |stranger| stranger.write(&[1, 0]).await, half);
}

#[test]
fn half_a_frame_times_out() {
    let half = "half a frame came, and the rest not within 0 s";
    let header = [100, 0, 0, 0, Kind::Statements as u8, 1, 2, 3];
    check(async move |stranger| stranger.write(&header).await, half);
}

#[test]
fn what_comes_at_the_wrong_time_is_refused() {
    let hello = Stranger::hello(Role::Main).encode();
    check(
        async move |stranger| stranger.send(Kind::Hello as u8, &hello).await,
        "it sent `hello`, a second time",
    );
    check(
        async |stranger| stranger.send(Kind::Response as u8, b"x").await,
        "it sent `response`, and nothing was asked",
    );
    check(
        async |stranger| {
            // The node's own ping allows one pong.
            stranger.send(Kind::Pong as u8, &[]).await;
            stranger.send(Kind::Pong as u8, &[]).await;
        },
        "it sent `pong`, and no ping was open",
    );
    for kind in [Kind::Statements, Kind::Block, Kind::Transactions, Kind::Tip, Kind::Request] {
        check_as(
            Role::Light,
            async move |stranger| stranger.send(kind as u8, b"x").await,
            &format!("it sent `{kind}`, which light nodes do not send"),
        );
    }
    check_as(
        Role::Light,
        async |stranger| stranger.send(Kind::Answer as u8, b"x").await,
        "it sent `answer`, which light nodes do not send",
    );
    check(
        async |stranger| stranger.send(Kind::Answer as u8, b"x").await,
        "it sent `answer`, and nothing was asked",
    );
    check(
        async |stranger| stranger.send(Kind::Peers as u8, b"not addresses").await,
        "it sent `peers` that cannot be read",
    );
}

#[test]
fn whoever_does_not_begin_with_a_hello_is_refused() {
    run(async {
        let node = Node::start(|settings| settings.timing = SHORT);
        let mut stranger = Stranger::shakes_hands(node.address()).await.expect("a handshake");
        stranger.send(Kind::Statements as u8, b"vote").await;
        let told = stranger.is_told().await;
        assert_eq!(told, "it closed the connection: it sent `statements`, before its hello");
        let mut stranger = Stranger::shakes_hands(node.address()).await.expect("a handshake");
        let hello = Stranger::hello(Role::Main);
        let mut other = hello;
        other.protocol = 2;
        stranger.send(Kind::Hello as u8, &other.encode()).await;
        assert!(stranger.is_told().await.contains("of another chain or version"));
        let mut silent = Stranger::shakes_hands(node.address()).await.expect("a handshake");
        silent.is_dropped().await;
        assert!(node.drain().is_empty());
        node.is_well().await;
    });
}

#[test]
fn random_bytes_never_do_harm() {
    run(async {
        let node = Node::start(|settings| settings.timing = SHORT);
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..40 {
            let mut stranger = Stranger::meets(&node).await;
            let bytes: Vec<u8> = std::iter::repeat_with(|| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed as u8
            })
            .take(4_000)
            .collect();
            stranger.write(&bytes).await;
            stranger.is_dropped().await;
            let reason = node.loses(stranger.id).await;
            assert!(reason.conduct().is_some(), "{reason}");
        }
        node.is_well().await;
    });
}

#[test]
fn a_flood_is_held_back_and_then_closed() {
    run(async {
        let node = Node::start(|settings| {
            settings.budget = BudgetLimits {
                bytes: Rate { per_second: 1 << 20, burst: 1 << 20 },
                signatures: Rate { per_second: 1_000_000, burst: 1_000_000 },
                patience: Duration::from_millis(500),
            };
        });
        let mut stranger = Stranger::meets(&node).await;
        let begin = Instant::now();
        let flood = async {
            let payload = vec![0; Kind::Statements.bytes_max()];
            loop {
                stranger.send(Kind::Statements as u8, &payload).await;
                // Writing into a closed connection returns at once.
                tokio::task::yield_now().await;
            }
        };
        let (mut bytes, mut reason) = (0, None);
        let listen = async {
            while reason.is_none() {
                match node.event().await {
                    NetworkEvent::Frame { payload, .. } => bytes += payload.len(),
                    NetworkEvent::Disconnected { reason: why, .. } => reason = Some(why),
                    event => panic!("{event:?}"),
                }
            }
        };
        tokio::select! {
            () = flood => {}
            () = listen => {}
        }
        assert!(matches!(reason, Some(Reason::Flood)), "{reason:?}");
        let allowed = (1 << 20) as f64 * (1.0 + begin.elapsed().as_secs_f64()) + 65_536.0;
        assert!(bytes as f64 <= allowed, "{bytes} of {allowed}");
        assert!(bytes >= 1 << 20, "the burst passed: {bytes}");
        node.is_well().await;
    });
}

#[test]
fn signatures_count_like_bytes() {
    run(async {
        let node = Node::start(|settings| {
            settings.signatures = |kind, len| {
                if kind == Kind::Statements { (len / 100) as u32 } else { 0 }
            };
            settings.budget.signatures = Rate { per_second: 1, burst: 10 };
            settings.budget.patience = Duration::ZERO;
        });
        let mut stranger = Stranger::meets(&node).await;
        stranger.send(Kind::Statements as u8, &[0; 1_000]).await;
        assert_eq!(node.frame(stranger.id).await.1.len(), 1_000);
        stranger.send(Kind::Transactions as u8, &[0; 100_000]).await;
        assert_eq!(node.frame(stranger.id).await.1.len(), 100_000);
        stranger.send(Kind::Statements as u8, &[0; 200]).await;
        assert!(matches!(node.loses(stranger.id).await, Reason::Flood));
    });
}

#[test]
fn a_slow_reader_is_closed_and_blocks_nobody() {
    run(async {
        let node = Node::start(|_| {});
        let slow = Stranger::meets(&node).await;
        let quick = Node::calling(&[&node]);
        quick.connects(node.id()).await;
        node.connects(quick.id()).await;
        let block = vec![7; Kind::Block.bytes_max()];
        let mut sent = 0;
        let reason = loop {
            node.network.broadcast(Kind::Block, block.clone(), None).expect("short");
            sent += 1;
            assert!(sent < 100, "so much does not fit into the sockets' buffers");
            assert_eq!(quick.frame(node.id()).await.1.len(), block.len());
            match node.drain().pop() {
                None => {}
                Some(NetworkEvent::Disconnected { peer, reason }) => {
                    assert_eq!(peer, slow.id);
                    break reason;
                }
                Some(event) => panic!("{event:?}"),
            }
        };
        assert!(matches!(reason, Reason::Slow { .. }), "{reason}");
        until("nothing is held for it", || node.network.shared.gauge.bytes() == 0).await;
        assert!(node.is_connected_to(quick.id()));
    });
}

#[test]
fn many_slow_readers_cannot_fill_the_memory() {
    run(async {
        let node = Node::start(|_| {});
        let mut slow = Vec::new();
        for _ in 0..8 {
            slow.push(Stranger::meets(&node).await);
        }
        for round in 0..100 {
            for stranger in &slow {
                // Each one has bytes of its own.
                let sent = node.network.send(stranger.id, Kind::Response, vec![round; 900_000]);
                assert!(matches!(sent, Ok(()) | Err(SendError::NotConnected)));
                let held = node.network.shared.gauge.bytes();
                assert!(held <= (5 << 20) + (1 << 20), "{held} bytes");
            }
            tokio::task::yield_now().await;
            drop(node.drain());
        }
        until("all are gone", || {
            drop(node.drain());
            node.network.peers().is_empty()
        })
        .await;
    });
}

#[test]
fn who_does_not_take_up_events_is_not_flooded_with_memory() {
    run(async {
        let node = Node::start(|_| {});
        let mut strangers = Vec::new();
        for _ in 0..8 {
            strangers.push(Stranger::meets(&node).await);
        }
        let writers: Vec<_> = strangers
            .into_iter()
            .map(|mut stranger| {
                tokio::spawn(async move {
                    for _ in 0..2 {
                        stranger.send(Kind::Block as u8, &[1; 1 << 20]).await;
                    }
                    stranger
                })
            })
            .collect();
        // Nobody takes up events: at most three blocks are read, the rest waits at the senders.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let waiting = node.events.lock().await.len();
        assert_eq!(waiting, 3, "events");
        let mut bytes = 0;
        while bytes < 16 << 20 {
            match node.event().await {
                NetworkEvent::Frame { payload, .. } => bytes += payload.len(),
                event => panic!("{event:?}"),
            }
        }
        for writer in writers {
            drop(writer.await.expect("it ends"));
        }
    });
}

#[test]
fn who_does_not_answer_pings_is_dead() {
    run(async {
        let node = Node::start(|_| {});
        let silent = Stranger::meets(&node).await;
        let alive = Node::calling(&[&node]);
        node.connects(alive.id()).await;
        until("its first ping is answered", || node.network.round_trip(alive.id()).is_some()).await;
        let mut ticks = 0;
        let reason = loop {
            ticks += 1;
            node.network.tick(Instant::now());
            tokio::time::sleep(Duration::from_millis(50)).await;
            match node.drain().pop() {
                None => assert!(ticks < 10, "it is never noticed"),
                Some(NetworkEvent::Disconnected { peer, reason }) => {
                    assert_eq!(peer, silent.id);
                    break reason;
                }
                Some(event) => panic!("{event:?}"),
            }
        };
        assert!(matches!(reason, Reason::Silent), "{reason}");
        // One ping at the start, and those of two ticks.
        assert_eq!(ticks, 2);
        assert!(node.is_connected_to(alive.id()));
    });
}
