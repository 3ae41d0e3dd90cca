//! Connections that say nothing, or half of it, do not lock others out; who waits is not closed.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use common::{Home, get, has, seal, until, with_http};
use goodwatt::client::Client;
use goodwatt::protocol::{Call, Status};
use goodwatt::{control, http};
use goodwatt_chain::units::Grains;

const GOOD: Grains = Grains::from_good(1);
/// What an answer may take when everybody else is silent.
const PROMPT: Duration = Duration::from_secs(1);

/// Whether the daemon has not closed it; it says nothing by itself.
fn is_open(stream: &mut (impl Read + ?Sized)) -> bool {
    match stream.read(&mut [0; 256]) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => true,
        // Closed, with something that it had not read yet or without.
        Ok(0) => false,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
        other => panic!("neither open nor closed: {other:?}"),
    }
}

fn silent_tool(home: &Home) -> UnixStream {
    let stream = UnixStream::connect(home.path("goodwatt.sock")).expect("it listens");
    stream.set_nonblocking(true).expect("set");
    stream
}

/// Whether a new tool is answered promptly.
#[track_caller]
fn answers(home: &Home) {
    let begin = Instant::now();
    let mut client = Client::connect(&home.path("goodwatt.sock")).expect("it listens");
    client.call::<Status>(Call::Status).expect("an answer");
    assert!(begin.elapsed() < PROMPT, "it took {:?}", begin.elapsed());
}

#[test]
fn forty_silent_tools_do_not_lock_the_next_one_out() {
    let home = Home::new();
    let mut daemon = home.start();
    seal(&home, &mut daemon, 1);
    let mut silent: Vec<UnixStream> = (0..40).map(|_| silent_tool(&home)).collect();
    answers(&home);
    let places = control::LIMITS.connections_max;
    until("the silent ones give way", || {
        let open = silent.iter_mut().filter_map(|stream| is_open(stream).then_some(())).count();
        (open < places).then_some(())
    });
    let open: Vec<bool> = silent.iter_mut().map(is_open).collect();
    assert!(open[40 - (places - 1)..].iter().all(|open| *open), "the latest stay: {open:?}");
    for _ in 0..10 {
        answers(&home);
    }
    daemon.stop();
}

#[test]
fn who_waits_for_a_seal_is_never_closed() {
    let home = Home::new();
    let mut daemon = home.start();
    home.tool(&["signing", "off"]).with(0);
    let (mut client, owner, to) = (daemon.client(), home.owner(), home.wallet(1).address());
    let waiter = std::thread::spawn(move || owner.pay(&mut client, to, GOOD, true));
    until("it waits", || (daemon.status().mempool_transactions == 1).then_some(()));
    let silent: Vec<UnixStream> = (0..100).map(|_| silent_tool(&home)).collect();
    answers(&home);
    assert!(!waiter.is_finished(), "it waits on");
    home.tool(&["signing", "on"]).with(0);
    let sent = waiter.join().expect("no panic").expect("it is told");
    assert_eq!(sent.height, Some(1));
    drop(silent);
    daemon.stop();
}

#[test]
fn who_has_nothing_more_to_ask_is_answered() {
    let home = Home::new();
    let daemon = home.start();
    let mut stream = UnixStream::connect(home.path("goodwatt.sock")).expect("it listens");
    writeln!(stream, r#"{{"protocol":1,"call":"chain"}}"#).expect("sent");
    stream.shutdown(Shutdown::Write).expect("closed at this end");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    has(&answer, &["\"ok\"", "development"]);
    daemon.stop();
}

#[test]
fn who_waited_and_went_away_keeps_no_place() {
    let home = Home::new();
    let mut daemon = home.start();
    home.tool(&["signing", "off"]).with(0);
    let (owner, to) = (home.owner(), home.wallet(1).address());
    for nonce in 0..40 {
        let transaction = owner.payment(nonce, to, GOOD, "");
        let mut stream = UnixStream::connect(home.path("goodwatt.sock")).expect("it listens");
        let call = format!(
            r#"{{"protocol":1,"call":"submit","transaction":"{transaction}","wait":true}}"#
        );
        writeln!(stream, "{call}").expect("sent");
        let waiting = usize::try_from(nonce).expect("small") + 1;
        until("it is admitted", || (daemon.status().mempool_transactions == waiting).then_some(()));
    }
    answers(&home);
    daemon.stop();
}

#[test]
fn half_requests_over_http_neither_pile_up_nor_last() {
    let home = Home::new();
    let address = with_http(&home);
    let daemon = home.start();
    let loris = |_| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nX-Slow: ").expect("sent");
        stream.set_nonblocking(true).expect("set");
        stream
    };
    let mut slow: Vec<TcpStream> = (0..100).map(loris).collect();
    let begin = Instant::now();
    assert_eq!(get(address, "/healthz"), (200, "alive\n".to_owned()));
    assert!(begin.elapsed() < PROMPT, "it took {:?}", begin.elapsed());
    // One place went to who was answered.
    let places = http::LIMITS.connections_max;
    until("all but the latest are closed", || {
        let open = slow.iter_mut().filter_map(|stream| is_open(stream).then_some(())).count();
        (open < places).then_some(())
    });
    let latest = slow.last_mut().expect("a hundred");
    assert!(is_open(latest), "the latest has a place");
    // A byte now and then does not keep it.
    until("the latest is closed as well", || {
        // It may be closed already, which is looked at next.
        drop(latest.write(b"x"));
        std::thread::sleep(Duration::from_millis(200));
        (!is_open(latest)).then_some(())
    });
    let lasted = begin.elapsed();
    assert!(lasted + PROMPT > http::LIMITS.silence_max, "{lasted:?}");
    assert!(lasted < http::LIMITS.silence_max * 3, "{lasted:?}");
    assert_eq!(get(address, "/healthz").0, 200);
    daemon.stop();
}

#[test]
fn a_scraper_that_stays_is_served_and_one_that_stops_reading_is_not_waited_for() {
    let home = Home::new();
    let address = with_http(&home);
    let daemon = home.start();
    let mut scraper = TcpStream::connect(address).expect("it listens");
    for _ in 0..20 {
        scraper.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"alive\n") {
            let mut some = [0; 512];
            let count = scraper.read(&mut some).expect("an answer");
            assert!(count > 0, "it was closed");
            answer.extend_from_slice(&some[..count]);
        }
    }
    // Asks without end and reads nothing, until neither side can send any more.
    let mut deaf = TcpStream::connect(address).expect("it listens");
    deaf.set_nonblocking(true).expect("set");
    let requests = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(64);
    let stuck = until("it is closed", || match deaf.write(&requests) {
        Ok(_) => None,
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => Some(error.kind()),
    });
    assert!(matches!(stuck, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{stuck:?}");
    assert_eq!(get(address, "/healthz").0, 200);
    daemon.stop();
}
