//! Four real validators, killed in turn and all together while they work: no fork, no double
//! signature, nothing acknowledged is lost, and they always come together again.
//!
//! `GOODWATT_CRASH_ROUNDS` sets how often (20 unless set), `GOODWATT_CRASH_SEED` repeats the
//! moments of a former run.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use common::network::{address, agree, all_at, connected, listened, network};
use common::witness::{Witness, audit};
use common::{Daemon, Home, Random, Wallet, number, say, until};
use goodwatt::client::{Client, ClientError};
use goodwatt::protocol::{AccountInfo, Call, FaultKind, Submitted, TransactionInfo};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::Grains;

const BOARDS: usize = 4;
const ROUNDS: u64 = 20;
/// Each round all of them die instead of one, this often.
const ALL_EVERY: u64 = 5;
/// The kill comes within so many milliseconds after the payments begin.
const MOMENT_MS_MAX: u64 = 700;
const GOOD: Grains = Grains::from_good(1);
const FUND: Grains = Grains::from_good(100_000);

/// Transactions that were acknowledged, with their heights.
type Acknowledged = Vec<(String, u64)>;

struct Rack {
    homes: Vec<Home>,
    daemons: Vec<Daemon>,
    acknowledged: BTreeMap<String, u64>,
}

#[test]
fn killed_in_turn_and_all_together() {
    let rounds = number("GOODWATT_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let seed = number("GOODWATT_CRASH_SEED").unwrap_or(now.subsec_nanos().into());
    say(&format!("validators: {rounds} rounds, GOODWATT_CRASH_SEED={seed}"));
    let (begin, mut random) = (Instant::now(), Random(seed));
    let homes = network(BOARDS);
    let daemons = homes.iter().map(Home::start).collect();
    let mut rack = Rack { homes, daemons, acknowledged: BTreeMap::new() };
    let addresses: Vec<_> = rack.homes.iter().map(address).collect();
    let witness = Witness::of(&addresses, rack.homes[0].chain());
    connected(&mut rack.daemons, BOARDS);
    listened(&mut rack.daemons);
    rack.fund();
    let (mut deaths, mut slowest) = (0, Duration::ZERO);
    for round in 0..rounds {
        let all = round % ALL_EVERY == ALL_EVERY - 1;
        let turn = usize::try_from(round).expect("few rounds") % BOARDS;
        let victims: Vec<usize> = if all { (0..BOARDS).collect() } else { vec![turn] };
        deaths += victims.len();
        slowest = slowest.max(rack.round(round, &victims, &mut random));
    }
    let (acknowledged, heights) = rack.end();
    let signatures = witness.signatures();
    assert!(signatures as u64 > heights, "the witness heard {signatures} of {heights} heights");
    say(&format!(
        "validators: {rounds} rounds, {deaths} deaths, {acknowledged} transfers acknowledged, \
         {heights} heights, {signatures} signatures heard, together again within {} ms, {:.1} s",
        slowest.as_millis(),
        begin.elapsed().as_secs_f64()
    ));
}

impl Rack {
    /// Gives each board a wallet of its own.
    fn fund(&mut self) {
        let owner = self.homes[0].owner();
        let mut client = self.daemons[0].client();
        for board in 0..BOARDS {
            let to = self.wallet(board).address();
            owner.pay(&mut client, to, FUND, true).expect("sealed");
        }
    }

    fn wallet(&self, board: usize) -> Wallet {
        self.homes[0].wallet(u8::try_from(board + 1).expect("few boards"))
    }

    /// Payments everywhere, deaths in the middle of them, and all come together again; gives how
    /// long that took.
    fn round(&mut self, round: u64, victims: &[usize], random: &mut Random) -> Duration {
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<JoinHandle<Acknowledged>> =
            (0..BOARDS).map(|board| self.set_to_work(board, round, &stop)).collect();
        std::thread::sleep(Duration::from_millis(random.below(MOMENT_MS_MAX)));
        for victim in victims {
            self.daemons[*victim].take_power();
        }
        for victim in victims {
            let mut daemon = self.homes[*victim].spawn();
            if random.below(4) == 0 {
                // Dead again before, or while, it comes up.
                std::thread::sleep(Duration::from_millis(random.below(200)));
                daemon.take_power();
                daemon = self.homes[*victim].spawn();
            }
            self.daemons[*victim] = daemon;
        }
        let begin = Instant::now();
        stop.store(true, Ordering::Relaxed);
        for daemon in &mut self.daemons {
            daemon.client();
        }
        for sender in senders {
            for (id, height) in sender.join().expect("a sender does not panic") {
                let before = self.acknowledged.insert(id, height);
                assert!(before.is_none_or(|before| before == height), "{before:?} and {height}");
            }
        }
        self.comes_together();
        begin.elapsed()
    }

    fn set_to_work(
        &mut self,
        board: usize,
        round: u64,
        stop: &Arc<AtomicBool>,
    ) -> JoinHandle<Acknowledged> {
        let (client, wallet) = (self.daemons[board].client(), self.wallet(board));
        let (to, memo, stop) =
            (self.homes[0].wallet(99).address(), format!("round {round}"), Arc::clone(stop));
        std::thread::spawn(move || send(client, &wallet, (to, &memo), &stop))
    }

    /// One more payment is sealed everywhere, and all have the same blocks with all that was
    /// acknowledged.
    fn comes_together(&mut self) {
        let owner = self.homes[0].owner();
        let to = self.homes[0].wallet(98).address();
        let sent = until("a payment is sealed", || {
            // What waited when the power went may have taken the number meanwhile.
            match owner.pay(&mut self.daemons[0].client(), to, GOOD, true) {
                Ok(sent) => Some(sent),
                Err(ClientError::Fault(fault)) if fault.kind != FaultKind::Failed => None,
                Err(error) => panic!("{error}: {}", self.daemons[0].log()),
            }
        });
        let height = sent.height.expect("it waited");
        let highest = self.acknowledged.values().copied().max().unwrap_or(0).max(height);
        until("all have the same block", || {
            let statuses = all_at(&mut self.daemons, highest);
            let same = statuses.iter().all(|status| status.height == statuses[0].height);
            same.then(|| agree(&statuses))
        });
        let recent = self.acknowledged.iter().filter(|(_, at)| **at + 30 > highest);
        for (id, height) in recent {
            for daemon in &mut self.daemons {
                let call = Call::Transaction { id: id.clone() };
                let info: TransactionInfo = daemon.client().call(call).expect("it is not lost");
                assert_eq!(info.height, Some(*height), "{id}");
            }
        }
    }

    fn end(mut self) -> (usize, u64) {
        self.comes_together();
        for daemon in &mut self.daemons {
            let mut client = daemon.client();
            for (id, height) in &self.acknowledged {
                let call = Call::Transaction { id: id.clone() };
                let info: TransactionInfo = client.call(call).expect("it is not lost");
                assert_eq!(info.height, Some(*height), "{id}");
            }
        }
        for daemon in self.daemons {
            let log = daemon.stop();
            assert!(!log.contains("signed two different things"), "{log}");
        }
        (self.acknowledged.len(), audit(&self.homes.iter().collect::<Vec<_>>()))
    }
}

/// Pays and waits for the seal, again and again, until it is told to stop or the board is dead.
fn send(
    mut client: Client,
    wallet: &Wallet,
    (to, memo): (PublicKey, &str),
    stop: &AtomicBool,
) -> Acknowledged {
    let mut acknowledged = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let address = wallet.address().to_string();
        let Ok(account) = client.call::<AccountInfo>(Call::Account { address }) else { break };
        let transaction = wallet.payment(account.next_nonce, to, GOOD, memo);
        match client.call::<Submitted>(Call::Submit { transaction, wait: true }) {
            Ok(sent) => acknowledged.push((sent.id, sent.height.expect("it waited"))),
            // The number was taken by what waited when the power went.
            Err(ClientError::Fault(fault)) if fault.kind != FaultKind::Failed => {}
            Err(ClientError::Fault(fault)) => panic!("{fault}"),
            Err(_) => break,
        }
    }
    acknowledged
}
