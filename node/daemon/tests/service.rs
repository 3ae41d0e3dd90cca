//! The daemon as a service: signals, the service manager, HTTP for machines, and a control socket
//! that others talk nonsense to.

mod common;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

use common::{Daemon, Home, get, has, seal, until, with_http};
use goodwatt::protocol::{Call, LINE_BYTES_MAX, Status};
use goodwatt_chain::units::Grains;
use rustix::process::Signal;
use serde_json::Value;

const GOOD: Grains = Grains::from_good(1);
/// Nothing here takes longer, except in a hang.
const ANSWER: Duration = Duration::from_secs(30);

#[test]
fn it_ends_well_on_a_signal_and_takes_its_socket_along() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::new();
        let mut daemon = home.start();
        seal(&home, &mut daemon, 1);
        assert!(home.path("goodwatt.sock").exists());
        daemon.signal(signal);
        let (code, log) = daemon.ended();
        assert_eq!(code, Some(0), "{log}");
        has(&log, &["stopped at"]);
        assert!(!home.path("goodwatt.sock").exists());
    }
}

#[test]
fn a_reload_changes_the_log_level_and_keeps_the_old_file_where_the_new_one_is_wrong() {
    let home = Home::new();
    let mut daemon = home.start();
    home.edit("goodwatt.toml", "[node]\n", "[node]\nlog_level = \"debug\"\n");
    daemon.signal(Signal::HUP);
    daemon.says("log level is debug");
    home.edit("goodwatt.toml", "log_level", "log_levl");
    daemon.signal(Signal::HUP);
    daemon.says("the former configuration stays");
    has(&daemon.log(), &["did you mean `log_level`?"]);
    assert!(daemon.status().signing, "it goes on");
    daemon.stop();
}

/// A chain on which payments wait: the first one half an hour.
fn patient() -> Home {
    let home = Home::new();
    home.set("sealing", "{ transactions = 100, interval = \"30 min\" }");
    home.set("epoch_length", "\"1 h\"");
    home
}

#[test]
fn what_waits_still_waits_after_a_restart() {
    let home = patient();
    let mut daemon = home.start();
    let (mut client, owner, to) = (daemon.client(), home.owner(), home.wallet(1).address());
    for _ in 0..3 {
        owner.pay(&mut client, to, GOOD, false).expect("admitted");
    }
    let before = daemon.status();
    assert_eq!((before.height, before.mempool_transactions), (0, 3));
    daemon.stop();
    let mut daemon = home.start();
    let after = daemon.status();
    assert_eq!((after.height, after.mempool_transactions), (0, 3), "{}", daemon.log());
    assert_eq!(after.mempool_bytes, before.mempool_bytes);
    let account = owner.account(&mut daemon.client());
    assert_eq!((account.next_nonce, account.balance_grains), (3, 1_000_000_000_000));
    daemon.stop();
}

#[test]
fn who_waits_for_a_seal_is_told_when_the_daemon_stops() {
    let home = patient();
    let mut daemon = home.start();
    let (mut client, owner, to) = (daemon.client(), home.owner(), home.wallet(1).address());
    let waiter = std::thread::spawn(move || owner.pay(&mut client, to, GOOD, true));
    until("it waits", || (daemon.status().mempool_transactions == 1).then_some(()));
    daemon.stop();
    waiter.join().expect("no panic").expect_err("it was not sealed");
}

#[test]
fn the_service_manager_is_told_when_it_is_ready_reloads_and_stops() {
    let home = Home::new();
    let path = home.path("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(ANSWER)).expect("a timeout");
    let hear = || {
        let mut datagram = [0; 1_024];
        let count = manager.recv(&mut datagram).expect("a datagram");
        String::from_utf8_lossy(&datagram[..count]).into_owned()
    };
    let environment: [(&str, &OsStr); 2] =
        [("NOTIFY_SOCKET", path.as_os_str()), ("WATCHDOG_USEC", OsStr::new("400000"))];
    let mut daemon = home.spawn_with(&home.path("goodwatt.toml"), &environment);
    has(&hear(), &["READY=1\n", "STATUS=serving"]);
    assert!(daemon.status().signing, "ready means that it answers");
    assert_eq!(hear(), "WATCHDOG=1\n");
    daemon.signal(Signal::HUP);
    let mut reload = hear();
    while reload == "WATCHDOG=1\n" {
        reload = hear();
    }
    has(&reload, &["RELOADING=1\n", "MONOTONIC_USEC="]);
    has(&hear(), &["READY=1\n"]);
    daemon.stop();
    let mut last = hear();
    while last == "WATCHDOG=1\n" {
        last = hear();
    }
    assert_eq!(last, "STOPPING=1\n");
}

#[test]
fn machines_get_metrics_and_health() {
    let home = Home::new();
    let address = with_http(&home);
    let mut daemon = home.start();
    seal(&home, &mut daemon, 2);
    // Energy is there from the second look on.
    let text = until("joules per block", || {
        let (code, text) = get(address, "/metrics");
        assert_eq!(code, 200);
        text.contains("goodwatt_block_joules").then_some(text)
    });
    let families = [
        "height",
        "epoch",
        "transactions",
        "mempool_transactions",
        "mempool_bytes",
        "slots",
        "slots_next",
        "slots_bought",
        "slots_ours",
        "carried_on",
        "signing",
        "guard_refusals",
        "donated_grains",
        "pool_grains",
        "releasing_grains",
        "power_watts",
        "energy_joules",
        "block_joules",
        "resident_bytes",
        "wakeups",
        "written_bytes",
        "uptime_seconds",
    ];
    for family in families {
        has(&text, &[&format!("# TYPE goodwatt_{family} ")]);
    }
    has(&text, &["\ngoodwatt_height 2\n", "\ngoodwatt_transactions_total 2\n"]);
    has(&text, &["\ngoodwatt_slots_ours 1\n", "\ngoodwatt_signing 1\n", "method=", "# EOF\n"]);
    assert_eq!(get(address, "/healthz"), (200, "alive\n".to_owned()));
    assert_eq!(get(address, "/readyz"), (200, "ready\n".to_owned()));
    assert_eq!(get(address, "/nothing").0, 404);
    home.tool(&["signing", "off"]).with(0);
    let (code, text) = get(address, "/readyz");
    assert_eq!(code, 503);
    has(&text, &["in charge, but not signing", "goodwatt signing on"]);
    assert_eq!(get(address, "/healthz").0, 200, "it lives");
    has(&get(address, "/metrics").1, &["\ngoodwatt_signing 0\n"]);
    daemon.stop();
}

#[test]
fn an_address_in_use_is_named() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    home.edit("goodwatt.toml", "http = \"off\"", &format!("http = \"{address}\""));
    has(&home.refuses(), &["[api] http =", &address, "set it to a free address, or to \"off\""]);
}

#[test]
fn signing_is_switched_off_and_on() {
    let home = Home::new();
    let mut daemon = home.start();
    seal(&home, &mut daemon, 1);
    let off = home.json(&["signing", "off"]);
    assert_eq!(off["signing"], false, "{off}");
    let (mut client, to) = (daemon.client(), home.wallet(1).address());
    let sent = home.owner().pay(&mut client, to, GOOD, false).expect("admitted");
    has(&home.tool(&["tx", &sent.id]).with(0).out, &["sealed   not yet"]);
    let status = daemon.status();
    assert_eq!((status.height, status.mempool_transactions), (1, 1));
    has(&home.tool(&["signing", "on"]).with(0).out, &["signing   yes"]);
    until("it is sealed", || (daemon.status().height == 2).then_some(()));
    assert_eq!(home.json(&["tx", &sent.id])["height"], 2);
    daemon.stop();
}

/// Sends bytes, and gives the lines that come back until the daemon closes or has said `lines`.
fn talk(socket: &Path, bytes: &[u8], lines: usize) -> Vec<Value> {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    stream.set_read_timeout(Some(ANSWER)).expect("a timeout");
    // It may close before it has read everything.
    drop(stream.write_all(bytes));
    let answers = BufReader::new(stream).lines().take(lines).map_while(Result::ok);
    answers.map(|line| serde_json::from_str(&line).expect("JSON")).collect()
}

fn lives(daemon: &mut Daemon) {
    assert!(daemon.client().call::<Status>(Call::Status).expect("an answer").signing);
}

#[test]
fn nonsense_on_the_control_socket_is_answered_with_an_error() {
    let home = Home::new();
    let mut daemon = home.start();
    let check = |line: &str, kind: &str, word: &str| {
        let answers = talk(&home.path("goodwatt.sock"), format!("{line}\n").as_bytes(), 1);
        let answer = answers.first().unwrap_or_else(|| panic!("no answer to {line:.80}"));
        assert_eq!((&answer["protocol"], &answer["error"]["kind"]), (&1.into(), &kind.into()));
        has(answer["error"]["message"].as_str().expect("a message"), &[word]);
    };
    check("", "invalid", "not a request");
    check("status", "invalid", "not a request");
    check("\u{0}\u{1}\u{2}", "invalid", "not a request");
    check("[1, 2]", "invalid", "not a request");
    check(r#"{"protocol":1,"call":"explode"}"#, "invalid", "explode");
    check(r#"{"call":"status"}"#, "invalid", "protocol");
    check(r#"{"protocol":2,"call":"status"}"#, "invalid", "this daemon speaks 1");
    check(r#"{"protocol":1,"call":"account","address":"me"}"#, "invalid", "me");
    check(r#"{"protocol":1,"call":"submit","transaction":"zz"}"#, "invalid", "hexadecimal");
    check(r#"{"protocol":1,"call":"submit","transaction":"00"}"#, "invalid", "not a transaction");
    check(r#"{"protocol":1,"call":"history","address":"good1","limit":-1}"#, "invalid", "-1");
    check(&"[".repeat(100_000), "invalid", "not a request");
    check(&"x".repeat(LINE_BYTES_MAX), "invalid", &LINE_BYTES_MAX.to_string());
    lives(&mut daemon);
    daemon.stop();
}

#[test]
fn requests_of_one_connection_are_answered_in_order() {
    let home = Home::new();
    let daemon = home.start();
    let lines =
        "{\"protocol\":1,\"call\":\"chain\"}\nnonsense\n{\"protocol\":1,\"call\":\"slots\"}\n";
    let answers = talk(&home.path("goodwatt.sock"), lines.as_bytes(), 3);
    assert_eq!(answers[0]["ok"]["name"], "development");
    assert_eq!(answers[1]["error"]["kind"], "invalid");
    assert_eq!(answers[2]["ok"]["epoch"], 0);
    daemon.stop();
}

#[test]
fn a_thousand_connections_with_garbage_do_no_harm() {
    let home = Home::new();
    let mut daemon = home.start();
    seal(&home, &mut daemon, 1);
    let mut noise = 1_u32;
    for round in 0..1_000 {
        let mut stream = UnixStream::connect(home.path("goodwatt.sock")).expect("it listens");
        let garbage: Vec<u8> = (0..round % 300)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8
            })
            .collect();
        // It may have closed already, after a line in what was sent.
        drop(stream.write_all(&garbage));
    }
    lives(&mut daemon);
    seal(&home, &mut daemon, 1);
    assert_eq!(daemon.status().height, 2);
    daemon.stop();
}
