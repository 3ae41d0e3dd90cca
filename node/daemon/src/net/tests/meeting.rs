//! Two nodes: how they meet, talk and part.

use goodwatt_chain::units::Height;

use super::nodes::{Log, Node, Stranger, free_address, run, until};
use crate::config::Role;
use crate::net::{Code, Kind, NETWORK_VERSION, NetworkEvent, Reason, SendError};

#[test]
fn two_nodes_talk_both_ways_and_part() {
    run(async {
        let one = Node::start(|settings| settings.tip = Height::new(42));
        let two = Node::calling(&[&one]);
        match two.event().await {
            NetworkEvent::Connected { peer, role: Role::Main, tip, announcement: None } => {
                assert_eq!((peer, tip), (one.id(), Height::new(42)));
            }
            event => panic!("{event:?}"),
        }
        one.connects(two.id()).await;
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_payload()) {
            if !kind.answers() {
                let largest = vec![7; kind.bytes_max()];
                two.network.send(one.id(), kind, largest.clone()).expect("connected");
                assert_eq!(one.frame(two.id()).await, (kind, largest));
            }
        }
        // The request and the question above may be answered.
        for kind in [Kind::Response, Kind::Answer] {
            let answer = vec![9; kind.bytes_max()];
            one.network.send(two.id(), kind, answer.clone()).expect("connected");
            assert_eq!(two.frame(one.id()).await, (kind, answer));
        }
        until("both know the round trip", || {
            one.network.round_trip(two.id()).is_some() && two.network.round_trip(one.id()).is_some()
        })
        .await;
        let infos = two.network.peers();
        assert_eq!((infos.len(), infos[0].outbound, infos[0].address), (1, true, one.address()));
        assert!(infos[0].bytes_out > 1 << 20 && infos[0].queued == 0, "{infos:?}");
        one.network.stop().await;
        let reason = two.loses(one.id()).await;
        assert!(matches!(reason, Reason::Told { code: Some(Code::Stopping), .. }), "{reason}");
        assert_eq!(two.network.send(one.id(), Kind::Tip, []), Err(SendError::NotConnected));
    });
}

#[test]
fn mistakes_of_the_caller_are_refused() {
    run(async {
        let one = Node::start(|_| {});
        let two = Node::calling(&[&one]);
        one.connects(two.id()).await;
        let long = vec![0; Kind::Tip.bytes_max() + 1];
        let error = one.network.send(two.id(), Kind::Tip, long.clone()).expect_err("too long");
        assert_eq!(error.to_string(), "`tip` of 1025 bytes, and at most 1024 are sent");
        assert!(one.network.broadcast(Kind::Tip, long, None).is_err());
        let reserved = one.network.send(two.id(), Kind::Ping, []);
        assert_eq!(reserved, Err(SendError::Reserved(Kind::Ping)));
        assert!(one.is_connected_to(two.id()));
    });
}

#[test]
fn other_chains_and_versions_are_refused_with_their_names() {
    let check = |change: fn(&mut crate::net::NetworkSettings), cause: &'static str| {
        run(async move {
            let log = Log::start();
            let one = Node::start(|_| {});
            let address = one.text();
            let two = Node::start(|settings| {
                change(settings);
                settings.peers.push(address.parse().expect("an address"));
            });
            let told = format!("no connection to {address}: it does not speak `goodwatt/");
            until("both say why", || {
                log.count("WARN", cause) == 1 && log.count("WARN", &told) == 1
            })
            .await;
            assert!(one.drain().is_empty() && two.drain().is_empty());
            one.is_well().await;
        });
    };
    check(
        |settings| settings.chain = goodwatt_chain::hash::ChainId::default(),
        "another chain; compare the genesis files",
    );
    check(
        |settings| settings.version = NETWORK_VERSION - 1,
        "another protocol version; update the older of the two",
    );
}

#[test]
fn a_light_node_gets_and_sends_only_what_is_for_it() {
    run(async {
        let main = Node::start(|_| {});
        let light = Node::start(|settings| {
            settings.role = Role::Light;
            settings.listen = None;
            settings.outbound = 1;
            settings.peers.push(main.text().parse().expect("an address"));
        });
        light.connects(main.id()).await;
        main.connects(light.id()).await;
        let other = Node::calling(&[&main]);
        main.connects(other.id()).await;
        other.connects(main.id()).await;
        let broadcast = |kind| main.network.broadcast(kind, *b"x", None).expect("short");
        assert_eq!(broadcast(Kind::Statements), 1);
        assert_eq!(broadcast(Kind::Block), 1);
        assert_eq!(broadcast(Kind::Tip), 2);
        assert_eq!(light.frame(main.id()).await.0, Kind::Tip);
        assert_eq!(other.frame(main.id()).await.0, Kind::Statements);
        light.network.send(main.id(), Kind::Question, *b"y").expect("connected");
        assert_eq!(main.frame(light.id()).await.0, Kind::Question);
        main.network.send(light.id(), Kind::Answer, *b"yes").expect("connected");
        assert_eq!(light.frame(main.id()).await.0, Kind::Answer);
        light.network.send(main.id(), Kind::Statements, *b"z").expect("connected");
        let reason = main.loses(light.id()).await.to_string();
        assert_eq!(reason, "it sent `statements`, which light nodes do not send");
        let told = light.loses(main.id()).await.to_string();
        assert_eq!(told, format!("it closed the connection: {reason}"));
    });
}

#[test]
fn a_node_does_not_connect_to_itself() {
    run(async {
        let log = Log::start();
        let address = free_address();
        let node = Node::start(|settings| {
            settings.listen = Some(address);
            settings.peers.push(address.to_string().parse().expect("an address"));
        });
        until("it knows itself", || log.count("DEBUG", "itself: it is not called again") == 1)
            .await;
        assert!(node.network.peers().is_empty() && node.drain().is_empty());
        assert_eq!(log.count("WARN", ""), 0, "{}", log.text());
        node.network.tick(std::time::Instant::now());
        node.is_well().await;
        assert_eq!(
            log.count("DEBUG", "itself: it is not called again"),
            1,
            "it was not called again"
        );
    });
}

#[test]
fn a_copy_of_a_node_is_told_what_to_do() {
    run(async {
        let log = Log::start();
        let one = Node::start(|_| {});
        let folder = tempfile::tempdir().expect("a temporary directory");
        let copy = folder.path().join("transport.key");
        std::fs::copy(one.folder.path().join("transport.key"), copy).expect("a copy");
        let address = one.text();
        let two = Node::start_in(folder, |settings| {
            settings.peers.push(address.parse().expect("an address"));
        });
        until("it is said", || log.count("WARN", "same transport.key as this node") >= 1).await;
        assert!(one.network.peers().is_empty() && two.network.peers().is_empty());
        // Both owners can be told, also the one who called nobody.
        assert!(one.network.has_twin() && two.network.has_twin());
    });
}

#[test]
fn of_two_calls_at_once_both_keep_the_same_one() {
    run(async {
        for _ in 0..20 {
            let (one, two) = (Node::start(|_| {}), Node::start(|_| {}));
            assert!(one.network.add(&two.text().parse().expect("an address")));
            assert!(two.network.add(&one.text().parse().expect("an address")));
            let both = || (one.network.peers(), two.network.peers());
            until("one connection, seen alike", || {
                let (one, two) = both();
                one.len() == 1 && two.len() == 1 && one[0].outbound != two[0].outbound
            })
            .await;
            one.network.send(two.id(), Kind::Tip, *b"one").expect("connected");
            two.network.send(one.id(), Kind::Tip, *b"two").expect("connected");
            hears(&one, b"two").await;
            hears(&two, b"one").await;
        }
    });
}

/// Waits for a payload; events are told in their order, however connections took turns.
async fn hears(node: &Node, want: &[u8]) {
    let mut connected = 0;
    loop {
        match node.event().await {
            NetworkEvent::Connected { .. } => connected += 1,
            NetworkEvent::Disconnected { .. } => connected -= 1,
            NetworkEvent::Frame { payload, .. } if &*payload == want => break,
            event => panic!("{event:?}"),
        }
        assert!((0..=1).contains(&connected));
    }
    assert_eq!(connected, 1);
}

#[test]
fn one_node_with_two_addresses_is_connected_once() {
    run(async {
        let one = Node::start(|_| {});
        let name = format!("localhost:{}", one.address().port());
        let two = Node::start(|settings| {
            settings.peers.push(one.text().parse().expect("an address"));
            settings.peers.push(name.parse().expect("a name"));
        });
        let log = Log::start();
        until("the other call ends", || log.count("DEBUG", "another connection") >= 1).await;
        until("they are connected", || two.is_connected_to(one.id())).await;
        one.network.send(two.id(), Kind::Tip, *b"hi").expect("connected");
        hears(&two, b"hi").await;
        let (at_one, at_two) = (one.network.peers(), two.network.peers());
        assert_eq!((at_one.len(), at_two.len()), (1, 1));
        assert!(at_two[0].outbound && !at_one[0].outbound);
    });
}

#[test]
fn announcements_are_checked_before_anybody_is_connected() {
    run(async {
        let one = Node::start(|settings| {
            settings.check_announcement =
                Some(std::sync::Arc::new(|peer, bytes| bytes == peer.as_bytes()));
        });
        let two = Node::start(|_| {});
        two.network.set_announcement(Some(two.id().as_bytes().to_vec())).expect("short");
        assert!(two.network.add(&one.text().parse().expect("an address")));
        match one.event().await {
            NetworkEvent::Connected { announcement: Some(bytes), .. } => {
                assert_eq!(bytes, two.id().as_bytes());
            }
            event => panic!("{event:?}"),
        }
        let log = Log::start();
        let liar = Node::start(|settings| {
            settings.announcement = Some(two.id().as_bytes().to_vec());
            settings.peers.push(one.text().parse().expect("an address"));
        });
        until("it is told", || log.count("WARN", "its announcement is not signed") == 2).await;
        assert!(one.network.banned().contains(&liar.id()), "that is a forgery");
        assert!(liar.network.set_announcement(Some(vec![0; 3000])).is_err());
    });
}

#[test]
fn an_announcement_that_changes_reaches_who_is_connected() {
    run(async {
        let one = Node::start(|settings| {
            settings.check_announcement =
                Some(std::sync::Arc::new(|peer, bytes| bytes == peer.as_bytes()));
        });
        let two = Node::calling(&[&one]);
        one.connects(two.id()).await;
        two.network.set_announcement(Some(two.id().as_bytes().to_vec())).expect("short");
        match one.event().await {
            NetworkEvent::Announced { announcement: Some(bytes), .. } => {
                assert_eq!(bytes, two.id().as_bytes());
            }
            event => panic!("{event:?}"),
        }
        two.network.set_announcement(None).expect("nothing");
        let event = one.event().await;
        assert!(matches!(event, NetworkEvent::Announced { announcement: None, .. }), "{event:?}");
        two.network.set_announcement(Some(b"a lie".to_vec())).expect("short");
        let reason = one.loses(two.id()).await.to_string();
        assert_eq!(reason, "its announcement is not signed as it has to be");
        assert!(one.network.banned().contains(&two.id()), "that is a forgery");
    });
}

#[test]
fn who_finds_no_place_is_told_where_others_are() {
    run(async {
        let full = Node::start(|settings| settings.inbound = 1);
        let first = Node::calling(&[&full]);
        full.connects(first.id()).await;
        until("the first one's address is tried out", || full.network.known_addresses() == 1).await;
        let mut second = Stranger::shakes_hands(full.address()).await.expect("a handshake");
        second.send(Kind::Hello as u8, &Stranger::hello(Role::Main).encode()).await;
        let (kind, addresses) = second.read().await;
        assert_eq!(kind, Kind::Peers as u8);
        let told = crate::net::state::decode_records(&addresses).expect("addresses");
        assert_eq!((told.len(), told[0].address), (1, first.address()));
        assert!(second.is_told().await.contains("all places are taken"));
    });
}

#[test]
fn an_address_in_use_is_named_with_a_remedy() {
    run(async {
        let one = Node::start(|_| {});
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut settings = super::nodes::settings(folder.path());
        settings.listen = Some(one.address());
        let error = crate::net::Network::start(settings).expect_err("in use").to_string();
        let start = format!("[network] listen = {}: ", one.address());
        assert!(error.starts_with(&start) && error.contains("set it to a free address"), "{error}");
    });
}

#[test]
fn without_anybody_to_talk_to_there_is_no_network() {
    let of = |text: &str| {
        let config = crate::config::Config::parse(text, "x").expect(text).config;
        crate::net::NetworkSettings::of(&config, super::nodes::chain())
    };
    assert!(of("").is_none());
    assert!(of("[network]\noutbound = 3\ninbound = 9").is_none());
    let settings = of("[network]\nlisten = \"[::1]:1\"\ninbound = 9").expect("it listens");
    assert_eq!((settings.inbound, settings.outbound, settings.peers.len()), (9, 8, 0));
    let settings = of("[network]\npeers = [\"a.example:1\"]").expect("it calls");
    assert_eq!((settings.listen, settings.peers.len()), (None, 1));
}
