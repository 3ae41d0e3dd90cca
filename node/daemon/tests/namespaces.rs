//! Real daemons on links that are slow, lose packets, or are cut: network namespaces, one for each
//! board, see `common/wires.rs`. Needs root; `tests/run namespaces` runs it.

mod common;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::network::{agree, all_at, connected, listened, network_at, pay};
use common::relay::was_relay;
use common::wires::{Link, Wires};
use common::{Daemon, Home, say};
use goodwatt_chain::units::Grains;

const BOARDS: usize = 4;
const GOOD: Grains = Grains::from_good(1);
/// What a payment may take from hand to card at 40 ms from board to board; 160 ms is the floor:
/// to the proposer, its proposal, two votes.
const FINAL_MS_MAX: u64 = 250;
/// The test that becomes the relay where the kernel has no netem.
const RELAY: &str = "forty_milliseconds_from_board_to_board";

/// Boards on a switch, with what each sends shaped like this.
struct Rack {
    wires: Wires,
    homes: Vec<Home>,
    daemons: Vec<Daemon>,
}

impl Rack {
    fn new(name: &str, delay_ms: u32) -> Self {
        let mut wires = Wires::lay(name, BOARDS, RELAY);
        for board in 0..BOARDS {
            wires.shape(board, Link { delay_ms, loss_percent: 0 });
        }
        let homes = network_at(&wires.addresses());
        let daemons = (0..BOARDS).map(|board| start(&wires, &homes, board)).collect();
        let mut rack = Self { wires, homes, daemons };
        rack.daemons.iter_mut().for_each(|daemon| drop(daemon.client()));
        connected(&mut rack.daemons, BOARDS - 1);
        listened(&mut rack.daemons);
        rack
    }

    /// Pays from the first owner at a board; gives the time until the block was on its card.
    fn pay_at(&mut self, board: usize) -> Duration {
        pay(&self.homes[0], &mut self.daemons[board])
    }

    /// Hands a payment in at a board, and waits for nothing.
    fn hand_in_at(&mut self, board: usize) {
        let (owner, to) = (self.homes[0].owner(), self.homes[0].wallet(9).address());
        owner.pay(&mut self.daemons[board].client(), to, GOOD, false).expect("admitted");
    }

    fn heights(&mut self) -> Vec<u64> {
        self.daemons.iter_mut().map(|daemon| daemon.status().height).collect()
    }

    /// All stop, and each left a whole ledger with the same blocks.
    fn end(self) {
        for (home, daemon) in self.homes.iter().zip(self.daemons) {
            daemon.stop();
            home.tool(&["verify", &home.text("")]).with(0);
        }
    }
}

fn start(wires: &Wires, homes: &[Home], board: usize) -> Daemon {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_goodwattd"));
    let config = homes[board].path("goodwatt.toml");
    homes[board].spawn_by(wires.command(board, program), &config, &[])
}

#[test]
fn forty_milliseconds_from_board_to_board() {
    if was_relay() {
        return;
    }
    let mut rack = Rack::new("slow", 40);
    // The first ones find connections whose windows are small.
    for board in 0..BOARDS {
        rack.pay_at(board);
    }
    let mut times: Vec<Duration> =
        (0..10 * BOARDS).map(|turn| rack.pay_at(turn % BOARDS)).collect();
    times.sort_unstable();
    let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
    say(&format!(
        "note: submit to final at 40 ms one way: median {} ms, slowest of {} {} ms",
        median.as_millis(),
        times.len(),
        last.as_millis()
    ));
    agree(&all_at(&mut rack.daemons, times.len() as u64));
    assert!(median <= Duration::from_millis(FINAL_MS_MAX), "{times:?}");
    rack.end();
}

#[test]
fn a_link_that_loses_a_third_of_its_packets() {
    let mut rack = Rack::new("lossy", 5);
    rack.wires.shape(3, Link { delay_ms: 5, loss_percent: 30 });
    let times: Vec<Duration> = (0..20).map(|turn| rack.pay_at(turn % 3)).collect();
    let slowest = times.iter().max().expect("some");
    say(&format!(
        "note: with one link at 30 % loss the slowest of 20 took {} ms",
        slowest.as_millis()
    ));
    all_at(&mut rack.daemons[..3], 20);
    rack.wires.shape(3, Link { delay_ms: 5, loss_percent: 0 });
    let begin = Instant::now();
    agree(&all_at(&mut rack.daemons, 20));
    rack.pay_at(3);
    agree(&all_at(&mut rack.daemons, 21));
    say(&format!("note: the lossy board was back after {} ms", begin.elapsed().as_millis()));
    rack.end();
}

#[test]
fn a_network_in_two_halves_stops_and_goes_on_as_one() {
    let mut rack = Rack::new("parted", 5);
    rack.pay_at(0);
    all_at(&mut rack.daemons, 1);
    rack.wires.part(&[2, 3]);
    rack.hand_in_at(0);
    rack.hand_in_at(2);
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(rack.heights(), [1, 1, 1, 1], "no half has two thirds");
    rack.wires.part(&[]);
    let begin = Instant::now();
    agree(&all_at(&mut rack.daemons, 2));
    say(&format!("note: two halves were one again after {} ms", begin.elapsed().as_millis()));
    rack.pay_at(3);
    agree(&all_at(&mut rack.daemons, 3));
    rack.end();
}

#[test]
fn one_whose_cable_is_pulled_out_catches_up() {
    let mut rack = Rack::new("pulled", 5);
    rack.pay_at(0);
    all_at(&mut rack.daemons, 1);
    rack.wires.plug(3, false);
    for turn in 0..10 {
        rack.pay_at(turn % 3);
    }
    assert_eq!(rack.daemons[3].status().height, 1);
    rack.wires.plug(3, true);
    let begin = Instant::now();
    agree(&all_at(&mut rack.daemons, 11));
    say(&format!("note: a board was back {} ms after its cable", begin.elapsed().as_millis()));
    rack.pay_at(3);
    agree(&all_at(&mut rack.daemons, 12));
    rack.end();
}
