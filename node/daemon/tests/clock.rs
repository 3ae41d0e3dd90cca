//! A real daemon whose wall clock is wrong, or is set while it runs: it signs nothing that it would
//! regret, says why, and goes on by itself. Its monotonic clock is right, as everywhere.

mod common;

use common::{Daemon, FakeClock, Home, get, has, run, seal, tool_command, until, with_http};
use goodwatt::protocol::{Call, Status, TransactionInfo};
use goodwatt_chain::units::Grains;
use rustix::process::Signal;

const GOOD: Grains = Grains::from_good(1);
const YEAR: i64 = 365 * 86_400;

/// Fails unless the daemon says everywhere that it does not sign, and why.
#[track_caller]
fn refuses(home: &Home, daemon: &mut Daemon, words: &[&str]) -> Status {
    daemon.says("nothing is signed: the clock is");
    has(&daemon.log(), words);
    let status = daemon.status();
    assert!(!status.signing);
    has(&status.not_signing_because.clone().expect("a reason"), words);
    let text = home.tool(&["status"]).with(0).out;
    has(&text, &["signing   no", "wrong     the clock is"]);
    has(&text, words);
    status
}

/// A payment that is admitted; gives its id.
fn pay(home: &Home, daemon: &mut Daemon) -> String {
    let (mut client, to) = (daemon.client(), home.wallet(1).address());
    home.owner().pay(&mut client, to, GOOD, false).expect("admitted").id
}

/// Waits until all of these are sealed, in the order in which they were admitted.
#[track_caller]
fn sealed(daemon: &mut Daemon, ids: &[String]) {
    let mut client = daemon.client();
    until("everything acknowledged is sealed", || {
        let heights: Vec<Option<u64>> = ids
            .iter()
            .map(|id| {
                let call = Call::Transaction { id: id.clone() };
                client.call::<TransactionInfo>(call).expect("nothing is lost").height
            })
            .collect();
        heights.iter().all(Option::is_some).then(|| assert!(heights.is_sorted(), "{heights:?}"))
    });
}

/// Ends the daemon and looks at what it left: a whole ledger, and no second signature.
#[track_caller]
fn is_whole(home: &Home, mut daemon: Daemon) {
    let status = daemon.status();
    assert_eq!(status.guard_refusals, 0);
    let export = home.tool(&["guard", "export"]).with(0).out;
    has(&export, &[&format!("\nheight = {}\n", status.height)]);
    let log = daemon.stop();
    assert!(!log.contains("not signed:") && !log.contains("signed two different"), "{log}");
    home.tool(&["verify", &home.text("")]).with(0);
}

#[test]
fn in_1970_it_signs_nothing_and_goes_on_when_time_comes() {
    let home = Home::new();
    let address = with_http(&home);
    let clock = FakeClock::new(&home);
    clock.set_to_1970();
    let mut daemon = clock.start();
    let words = ["days before this program was built", "set the time, or wait for its sync"];
    refuses(&home, &mut daemon, &words);
    let (code, text) = get(address, "/readyz");
    assert_eq!(code, 503);
    has(&text, &["in charge, but not signing"]);
    has(&text, &words);
    assert_eq!(get(address, "/healthz").0, 200, "it lives");

    let ids: Vec<String> = (0..3).map(|_| pay(&home, &mut daemon)).collect();
    assert_eq!(refuses(&home, &mut daemon, &words).height, 0);
    clock.set(0);
    sealed(&mut daemon, &ids);
    daemon.says("the clock allows to sign again");
    assert!(daemon.status().signing);
    assert_eq!(get(address, "/readyz").0, 200);
    is_whole(&home, daemon);
}

#[test]
fn no_chain_is_founded_in_1970() {
    let home = Home::new();
    let clock = FakeClock::new(&home);
    let folder = home.text("another");
    clock.set_to_1970();
    let ended = clock.tool(&["init", &folder, "--unprotected"]).with(1);
    has(&ended.err, &["days before this program was built", "set the time"]);
    assert!(!home.path("another").exists(), "nothing was begun");
    clock.set(0);
    clock.tool(&["init", &folder, "--unprotected"]).with(0);
}

#[test]
fn what_waits_in_1970_still_waits_after_a_restart_in_the_present() {
    let home = Home::new();
    let clock = FakeClock::new(&home);
    clock.set_to_1970();
    let mut daemon = clock.start();
    let ids: Vec<String> = (0..3).map(|_| pay(&home, &mut daemon)).collect();
    daemon.stop();
    let mut daemon = home.start();
    sealed(&mut daemon, &ids);
    is_whole(&home, daemon);
}

#[test]
fn years_ahead_it_signs_nothing_until_the_clock_is_right() {
    let home = Home::new();
    let clock = FakeClock::new(&home);
    // As a board that starts with a wrong clock, before its first block and after it.
    for blocks in 0..2 {
        clock.set(10 * YEAR);
        let mut daemon = clock.start();
        let words = [
            "days ahead of the last moment that is certain",
            "if the date is wrong, set the time or wait for its sync",
            "goodwatt signing on --clock-is-right",
        ];
        let ids = [pay(&home, &mut daemon)];
        assert_eq!(refuses(&home, &mut daemon, &words).height, blocks);
        // Not by heart: signing alone is no word about the clock.
        home.tool(&["signing", "on"]).with(0);
        assert_eq!(refuses(&home, &mut daemon, &words).height, blocks);
        clock.set(0);
        sealed(&mut daemon, &ids);
        is_whole(&home, daemon);
    }
}

#[test]
fn the_owners_word_is_enough_where_nobody_else_speaks_for_the_clock() {
    let home = Home::new();
    let clock = FakeClock::new(&home);
    // As after ten years on a shelf, without a network.
    clock.set(10 * YEAR);
    let mut daemon = clock.start();
    let ids = [pay(&home, &mut daemon)];
    refuses(&home, &mut daemon, &["--clock-is-right"]);
    let ended = home.tool(&["signing", "off", "--clock-is-right"]);
    assert_ne!(ended.code, Some(0));
    has(&ended.err, &["goes with `on` alone"]);
    has(&home.tool(&["signing", "on", "--clock-is-right"]).with(0).out, &["signing   yes"]);
    sealed(&mut daemon, &ids);
    daemon.stop();
    // Its last block speaks for the clock from now on.
    let mut daemon = clock.start();
    let ids = [pay(&home, &mut daemon)];
    sealed(&mut daemon, &ids);
    assert!(daemon.status().signing);
    is_whole(&home, daemon);
    // And a clock that is years behind it says so.
    clock.set(0);
    let mut daemon = clock.start();
    pay(&home, &mut daemon);
    refuses(&home, &mut daemon, &["days behind the last block", "set the time"]);
    daemon.stop();
    home.tool(&["verify", &home.text("")]).with(0);
}

#[test]
fn a_chain_that_was_founded_long_ago_begins_with_a_new_program() {
    let home = Home::new();
    let text = std::fs::read_to_string(home.path("genesis.toml")).expect("a genesis");
    let old = text.lines().find(|line| line.starts_with("time = ")).expect("its time");
    home.edit("genesis.toml", old, "time = \"2025-01-01T00:00:00Z\"");
    let ended = run(tool_command().arg("genesis").arg("check").arg(home.path("genesis.toml")), "");
    ended.with(0);
    let mut daemon = FakeClock::new(&home).start();
    let ids = [pay(&home, &mut daemon)];
    let status = daemon.status();
    if status.signing {
        sealed(&mut daemon, &ids);
    } else {
        // The program is older than a week as well, so that the owner has to say it.
        refuses(&home, &mut daemon, &["--clock-is-right"]);
        home.tool(&["signing", "on", "--clock-is-right"]).with(0);
        sealed(&mut daemon, &ids);
    }
    is_whole(&home, daemon);
}

#[test]
fn a_clock_that_jumps_while_it_runs_loses_nothing_and_signs_nothing_twice() {
    let home = Home::new();
    let clock = FakeClock::new(&home);
    let mut daemon = clock.start();
    let mut ids = seal(&home, &mut daemon, 3);
    // A year ago is before the last block, and before this program was built if that is new.
    let back = "set the time, or wait for its sync";
    for (jump, words) in [(-YEAR, back), (10 * YEAR, "days ahead of the last moment")] {
        clock.set(jump);
        ids.extend((0..3).map(|_| pay(&home, &mut daemon)));
        let height = daemon.status().height;
        refuses(&home, &mut daemon, &[words, "set the"]);
        daemon.says("the wall clock was set ");
        assert_eq!(daemon.status().height, height, "nothing is sealed");
        clock.set(0);
        sealed(&mut daemon, &ids);
        ids.extend(seal(&home, &mut daemon, 2));
    }
    // There and back while nobody asks, with a power cut in the end.
    for _ in 0..5 {
        clock.set(-YEAR);
        ids.push(pay(&home, &mut daemon));
        clock.set(10 * YEAR);
        ids.push(pay(&home, &mut daemon));
        clock.set(0);
    }
    sealed(&mut daemon, &ids);
    daemon.signal(Signal::KILL);
    drop(daemon);
    let mut daemon = home.start();
    sealed(&mut daemon, &ids);
    ids.extend(seal(&home, &mut daemon, 1));
    assert_eq!(daemon.status().transactions, ids.len() as u64);
    is_whole(&home, daemon);
}
