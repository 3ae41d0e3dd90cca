//! Bans: by points, by hand, and how they end.

use std::time::{Duration, Instant};

use super::nodes::{Log, Node, run, until};
use crate::net::{Code, Conduct, Kind, Reason};

#[test]
fn bad_conduct_bans_and_people_can_lift_it() {
    run(async {
        let log = Log::start();
        let one = Node::start(|_| {});
        let two = Node::calling(&[&one]);
        one.connects(two.id()).await;
        two.connects(one.id()).await;
        one.network.report(two.id(), Conduct::Useful);
        until("good points", || one.network.peers()[0].score == 1).await;
        one.network.report(two.id(), Conduct::Invalid);
        assert_eq!(one.network.peers()[0].score, -49);
        one.network.report(two.id(), Conduct::Invalid);
        assert!(matches!(one.loses(two.id()).await, Reason::Banned));
        let reason = two.loses(one.id()).await;
        assert!(matches!(reason, Reason::Told { code: Some(Code::Banned), .. }), "{reason}");
        assert_eq!(log.count("WARN", "is banned for a while"), 1);
        assert_eq!(one.network.banned(), [two.id()]);
        // It calls again and is refused, in words.
        assert!(two.network.add(&one.text().parse().expect("an address")));
        until("it is told", || log.count("DEBUG", "it is banned here") >= 2).await;
        assert!(one.network.unban(two.id()) && !one.network.unban(two.id()));
        assert!(two.network.add(&one.text().parse().expect("an address")));
        one.connects(two.id()).await;
    });
}

#[test]
fn a_ban_by_hand_lasts_over_a_restart_and_ends() {
    run(async {
        let one = Node::start(|_| {});
        let two = Node::calling(&[&one]);
        one.connects(two.id()).await;
        one.network.ban(two.id(), Duration::from_secs(3_600));
        assert!(matches!(one.loses(two.id()).await, Reason::Banned));
        one.network.stop().await;
        let Node { network, folder, .. } = one;
        drop(network);
        let again = Node::start_in(folder, |_| {});
        assert_eq!(again.network.banned(), [two.id()]);
        // It does not call a node that it banned.
        assert!(again.network.add(&two.text().parse().expect("an address")));
        again.network.ban(two.id(), Duration::from_millis(1));
        until("the ban is over", || again.network.banned().is_empty()).await;
        again.network.tick(Instant::now());
        until("they are connected", || again.is_connected_to(two.id())).await;
        again.network.send(two.id(), Kind::Tip, *b"x").expect("connected");
    });
}

#[test]
fn points_and_bans_fade() {
    run(async {
        let one = Node::start(|_| {});
        let two = Node::calling(&[&one]);
        one.connects(two.id()).await;
        one.network.report(two.id(), Conduct::Forged);
        one.loses(two.id()).await;
        let (now, state) = (one.network.shared.clock.now(), one.network.shared.state());
        let banned_after = |minutes: u64| {
            state.scores.banned(now + Duration::from_secs(minutes * 60)).count() == 1
        };
        assert!(banned_after(0) && banned_after(58) && !banned_after(62));
    });
}
