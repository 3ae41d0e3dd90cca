//! Networks: nodes that find each other from one address, and lose it.

use std::collections::BTreeSet;

use super::nodes::{Log, Node, run, until};
use crate::net::{Kind, NetworkEvent, PeerId};

/// Whether all nodes are connected, directly or by others.
fn is_one_network(nodes: &[Node]) -> bool {
    let Some(first) = nodes.first() else { return true };
    let (mut reached, mut open) = (BTreeSet::from([first.id()]), vec![first.id()]);
    while let Some(id) = open.pop() {
        let node = nodes.iter().find(|node| node.id() == id);
        let peers = node.map_or_else(Vec::new, |node| node.network.peers());
        open.extend(peers.iter().map(|info| info.peer).filter(|peer| reached.insert(*peer)));
    }
    nodes.iter().all(|node| reached.contains(&node.id()))
}

#[test]
fn ten_nodes_find_each_other_from_one_address_and_survive_it() {
    run(async {
        let bootstrap = Node::start(|_| {});
        let nodes: Vec<_> = (0..9).map(|_| Node::calling(&[&bootstrap])).collect();
        until("everybody knows four others beside the bootstrap", || {
            nodes.iter().all(|node| node.network.peers().len() >= 5)
        })
        .await;
        let gone = bootstrap.id();
        bootstrap.network.stop().await;
        until("the bootstrap is gone for all", || {
            nodes.iter().all(|node| !node.is_connected_to(gone))
        })
        .await;
        assert!(is_one_network(&nodes));
        nodes.iter().for_each(|node| drop(node.drain()));
        let sent = nodes[0].network.broadcast(Kind::Tip, *b"news", None).expect("short");
        assert!(sent >= 4, "{sent}");
        for node in &nodes {
            let outbound = node.network.peers().iter().filter(|info| info.outbound).count();
            assert!(outbound <= 8, "{outbound}");
        }
    });
}

/// Takes up events until it hears a payload; says who else was connected.
async fn hears(node: &Node, from: PeerId, want: &[u8]) {
    loop {
        if let NetworkEvent::Frame { peer, payload, .. } = node.event().await {
            assert_eq!((peer, &*payload), (from, want));
            return;
        }
    }
}

#[test]
fn a_node_that_comes_late_is_passed_on() {
    run(async {
        let bootstrap = Node::start(|_| {});
        let early = Node::calling(&[&bootstrap]);
        until("the early one is known", || bootstrap.network.known_addresses() == 1).await;
        let late = Node::calling(&[&bootstrap]);
        until("they met", || late.is_connected_to(early.id())).await;
        bootstrap.network.stop().await;
        until("it is gone", || !late.is_connected_to(bootstrap.id())).await;
        late.network.send(early.id(), Kind::Tip, *b"hi").expect("connected");
        hears(&early, late.id(), b"hi").await;
    });
}

#[test]
fn nobody_is_told_an_address_where_nobody_listens() {
    run(async {
        let log = Log::start();
        let bootstrap = Node::start(|_| {});
        let hidden = Node::start(|settings| {
            settings.listen = None;
            settings.peers.push(bootstrap.text().parse().expect("an address"));
        });
        bootstrap.connects(hidden.id()).await;
        let mut liar = super::nodes::Stranger::shakes_hands(bootstrap.address()).await.expect("it");
        let hello = crate::net::hello::Hello::new(crate::net::hello::Saying {
            port: super::nodes::free_address().port(),
            nonce: 1,
            call: 1,
            protocol: crate::net::NETWORK_VERSION,
            chain: super::nodes::chain(),
            role: crate::config::Role::Main,
            tip: goodwatt_chain::units::Height::default(),
            announcement: None,
        });
        liar.send(Kind::Hello as u8, &hello.encode()).await;
        until("its address is tried out", || log.count("DEBUG", "cannot be reached from") == 1)
            .await;
        assert_eq!(bootstrap.network.known_addresses(), 0);
    });
}

#[test]
fn saved_peers_lead_back_when_the_bootstrap_is_gone() {
    run(async {
        let bootstrap = Node::start(|_| {});
        let stays = Node::calling(&[&bootstrap]);
        let restarts = Node::calling(&[&bootstrap]);
        until("all know each other", || {
            restarts.is_connected_to(stays.id()) && restarts.is_connected_to(bootstrap.id())
        })
        .await;
        // Only where one called oneself is known to work; a called one is tried out by itself.
        until("the other address is proven", || restarts.network.known_addresses() == 2).await;
        restarts.network.stop().await;
        bootstrap.network.stop().await;
        let Node { network, folder, .. } = restarts;
        let before = network.id();
        drop(network);
        let again = Node::start_in(folder, |_| {});
        assert_eq!(again.id(), before, "the key lies in the folder");
        until("it is back", || again.is_connected_to(stays.id())).await;
    });
}

#[test]
fn damaged_saved_peers_are_reported_and_replaced() {
    run(async {
        let log = Log::start();
        let node = Node::start(|_| {});
        node.network.stop().await;
        let Node { network, folder, .. } = node;
        drop(network);
        std::fs::write(folder.path().join("peers"), b"noise").expect("ours");
        let node = Node::start_in(folder, |_| {});
        assert_eq!(log.count("WARN", "peers is damaged"), 1, "{}", log.text());
        node.network.stop().await;
        let Node { network, folder, .. } = node;
        drop(network);
        drop(Node::start_in(folder, |_| {}));
        assert_eq!(log.count("WARN", ""), 1, "{}", log.text());
    });
}

#[test]
fn a_node_that_was_away_is_called_again() {
    run(async {
        let address = super::nodes::free_address();
        let caller = Node::start(|settings| {
            settings.peers.push(address.to_string().parse().expect("an address"));
        });
        // Its first call fails, as nobody is there yet.
        let late = Node::start(|settings| settings.listen = Some(address));
        caller.connects(late.id()).await;
        late.network.stop().await;
        caller.loses(late.id()).await;
        let Node { network, folder, .. } = late;
        drop(network);
        let late = Node::start_in(folder, |settings| settings.listen = Some(address));
        caller.connects(late.id()).await;
    });
}
