//! A real daemon killed again and again while it works: nothing acknowledged is lost, and nothing
//! is signed twice.
//!
//! `GOODWATT_CRASH_ROUNDS` sets how often (20 unless set), `GOODWATT_CRASH_SEED` repeats the
//! moments of a former run.

mod common;

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use common::{Daemon, FEE, Home, Random, Wallet, number, say};
use goodwatt::client::{Client, ClientError};
use goodwatt::protocol::{AccountInfo, Call, FaultKind, Status, Submitted, TransactionInfo};
use goodwatt_chain::block::{Block, Certificate};
use goodwatt_chain::codec;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::{Grains, Height};
use goodwatt_store::{BlockLog, Folder, GuardRecord, SigningGuard};
use serde::{Deserialize, Serialize};

const ROUNDS: u64 = 20;
/// The kill comes within this many milliseconds after the start, after the payments begin, or
/// after the first of them is sealed.
const MOMENT_MS_MAX: u64 = 150;
/// So many pay at the same time.
const SENDERS: u8 = 4;
const FUND: Grains = Grains::from_good(10_000);
const AMOUNT: Grains = Grains::from_good(1);
/// Number of the wallet that is paid by all.
const RECEIVER: u8 = 200;

#[test]
fn a_killed_daemon_loses_nothing_and_signs_nothing_twice() {
    let rounds = number("GOODWATT_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let seed = number("GOODWATT_CRASH_SEED").unwrap_or(now.subsec_nanos().into());
    say(&format!("crash: {rounds} rounds, GOODWATT_CRASH_SEED={seed}"));
    let begin = Instant::now();
    let mut witness = Witness::new();
    witness.fund();
    let mut random = Random(seed);
    for round in 0..rounds {
        witness.round(round, &mut random);
    }
    witness.last_words();
    say(&format!(
        "crash: {rounds} kills, {} transfers acknowledged, {} blocks, {} guard records that name \
         a block, {:.1} s",
        witness.acknowledged.len(),
        witness.tip,
        witness.precommits.len(),
        begin.elapsed().as_secs_f64()
    ));
}

/// Remembers everything the daemon ever said, across all its deaths.
struct Witness {
    home: Home,
    /// Heights of the transactions that were acknowledged.
    acknowledged: BTreeMap<String, u64>,
    /// Ids of the blocks that were reported as the tip.
    tips: BTreeMap<u64, String>,
    /// Blocks the guard knows to be precommitted.
    precommits: BTreeMap<u64, String>,
    guard: Option<GuardRecord>,
    tip: u64,
}

/// What one sender heard before the daemon died.
#[derive(Default)]
struct Heard {
    acknowledged: Vec<(String, u64)>,
    tips: Vec<(u64, String)>,
}

impl Witness {
    fn new() -> Self {
        Self {
            home: Home::new(),
            acknowledged: BTreeMap::new(),
            tips: BTreeMap::new(),
            precommits: BTreeMap::new(),
            guard: None,
            tip: 0,
        }
    }

    fn fund(&mut self) {
        let mut daemon = self.home.start();
        let (mut client, owner) = (daemon.client(), self.home.owner());
        for sender in 1..=SENDERS {
            let to = self.home.wallet(sender).address();
            let sent = owner.pay(&mut client, to, FUND, true).expect("sealed");
            self.acknowledge(sent.id, sent.height.expect("it waited"));
        }
        daemon.stop();
    }

    /// Starts, checks what is left of the rounds before, works, and dies.
    fn round(&mut self, round: u64, random: &mut Random) {
        let moment = Duration::from_millis(random.below(MOMENT_MS_MAX));
        let mut daemon = self.home.spawn();
        // Every fourth death comes while it starts.
        if random.below(4) == 0 {
            pause(moment);
            daemon.kill();
        } else {
            self.check(&mut daemon, &[]);
            let (first, sealed) = mpsc::channel();
            let senders = self.set_to_work(&daemon, round, &first);
            if random.below(2) == 0 {
                sealed.recv().expect("something is sealed");
            }
            pause(moment);
            daemon.kill();
            for heard in senders {
                self.take(heard.join().expect("a sender does not panic"));
            }
        }
        self.check_guard();
    }

    fn set_to_work(
        &self,
        daemon: &Daemon,
        round: u64,
        sealed: &mpsc::Sender<()>,
    ) -> Vec<JoinHandle<Heard>> {
        let to = self.home.wallet(RECEIVER).address();
        let memo = format!("round {round}");
        (1..=SENDERS)
            .map(|number| {
                let (wallet, memo) = (self.home.wallet(number), memo.clone());
                let sealed = sealed.clone();
                let client = Client::connect(daemon.socket()).expect("it answers");
                std::thread::spawn(move || send_until_death(client, &wallet, (to, &memo), &sealed))
            })
            .collect()
    }

    fn take(&mut self, heard: Heard) {
        for (id, height) in heard.acknowledged {
            self.acknowledge(id, height);
        }
        for (height, block) in heard.tips {
            self.see_tip(height, &block);
        }
    }

    fn acknowledge(&mut self, id: String, height: u64) {
        self.tip = self.tip.max(height);
        let before = self.acknowledged.insert(id, height);
        assert!(before.is_none_or(|before| before == height), "sealed at {before:?} and {height}");
    }

    fn see_tip(&mut self, height: u64, block: &str) {
        let before = self.tips.insert(height, block.to_owned());
        assert!(before.as_ref().is_none_or(|before| before == block), "two blocks at {height}");
    }

    /// What has to hold whenever the daemon is back.
    fn check(&mut self, daemon: &mut Daemon, also: &[&str]) {
        let mut client = daemon.client();
        let status: Status = client.call(Call::Status).expect("a status");
        assert!(status.height >= self.tip, "back to {} from {}", status.height, self.tip);
        assert!(status.signing, "{:?}: {}", status.not_signing_because, daemon.log());
        self.tip = status.height;
        self.see_tip(status.height, &status.block_id);
        let recent = self.acknowledged.iter().filter(|(_, height)| **height + 40 > status.height);
        let recent = recent.map(|(id, _)| id.as_str());
        for id in recent.chain(also.iter().copied()) {
            let info: TransactionInfo =
                client.call(Call::Transaction { id: id.to_owned() }).expect("it is not lost");
            assert_eq!(info.height, self.acknowledged.get(id).copied(), "{id}");
        }
        self.check_balances(&mut client);
    }

    fn check_balances(&self, client: &mut Client) {
        let mut paid = 0;
        for number in 1..=SENDERS {
            let account = self.home.wallet(number).account(client);
            let spent = account.next_nonce * (AMOUNT.get() + FEE.get());
            assert_eq!(account.balance_grains, FUND.get() - spent, "of sender {number}");
            paid += account.next_nonce * AMOUNT.get();
        }
        assert_eq!(self.home.wallet(RECEIVER).account(client).balance_grains, paid);
    }

    /// The guard as the dead daemon left it: it only ever rises, and what stands stands.
    fn check_guard(&mut self) {
        let folder = Folder::at(&self.home.path("data")).expect("the data folder");
        let guard = SigningGuard::open(&folder, self.home.chain()).expect("a whole guard");
        let record = *guard.record().expect("it has signed");
        if let Some(former) = self.guard {
            let place = |record: &GuardRecord| (record.height, record.round);
            assert!(place(&record) >= place(&former), "{former:?} then {record:?}");
            if place(&record) == place(&former) {
                for (before, after) in former.steps.iter().zip(&record.steps) {
                    assert!(before.is_none() || before == after, "{former:?} then {record:?}");
                }
            }
        }
        if let Some(block) = record.steps[2].and_then(|signed| signed.block) {
            let block = block.to_string();
            let before = self.precommits.insert(record.height.get(), block.clone());
            assert!(before.as_ref().is_none_or(|before| *before == block), "{before:?}, {block}");
        }
        self.guard = Some(record);
    }

    /// A last start: everything ever acknowledged is there, and the log says what was said.
    fn last_words(&mut self) {
        let mut daemon = self.home.start();
        let all: Vec<String> = self.acknowledged.keys().cloned().collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        self.check(&mut daemon, &all);
        // One more block, so that a height that death interrupted is over as well.
        let (mut client, owner) = (daemon.client(), self.home.owner());
        let to = self.home.wallet(RECEIVER).address();
        let sent = owner.pay(&mut client, to, AMOUNT, true).expect("sealed");
        self.acknowledge(sent.id, sent.height.expect("it waited"));
        daemon.stop();
        self.check_log();
        let report = self.home.json(&["verify", &self.home.text("")]);
        assert_eq!(report["money_conserved"], true, "{report}");
        assert_eq!(report["blocks"], self.tip, "{report}");
    }

    fn check_log(&self) {
        #[derive(Deserialize, Serialize)]
        struct Logged {
            certificate: Certificate,
            block: Block,
        }
        let folder = Folder::at(&self.home.path("data/log")).expect("the log's folder");
        let (log, _) = BlockLog::open(folder).expect("a whole log");
        let mut blocks = BTreeMap::new();
        for record in log.blocks_from(Height::new(1)) {
            let (height, record) = record.expect("a whole record");
            let logged: Logged = codec::decode(&record).expect("a block");
            assert_eq!(logged.certificate.block, logged.block.header.id());
            blocks.insert(height.get(), logged.block.header.id().to_string());
        }
        let said = self.tips.iter().chain(&self.precommits).filter(|(height, _)| **height > 0);
        for (height, block) in said {
            assert_eq!(blocks.get(height), Some(block), "at height {height}");
        }
    }
}

/// Waits for the moment of death; nobody sends on this channel.
fn pause(moment: Duration) {
    let (_sender, receiver) = mpsc::channel::<()>();
    receiver.recv_timeout(moment).expect_err("nothing comes");
}

/// Pays and waits for the seal, again and again, until the connection breaks.
fn send_until_death(
    mut client: Client,
    wallet: &Wallet,
    (to, memo): (PublicKey, &str),
    sealed: &mpsc::Sender<()>,
) -> Heard {
    let mut heard = Heard::default();
    let mut nonce = None;
    loop {
        let next = match nonce {
            Some(nonce) => nonce,
            None => {
                let address = wallet.address().to_string();
                match client.call::<AccountInfo>(Call::Account { address }) {
                    Ok(account) => account.next_nonce,
                    Err(_) => return heard,
                }
            }
        };
        let transaction = wallet.payment(next, to, AMOUNT, memo);
        match client.call::<Submitted>(Call::Submit { transaction, wait: true }) {
            Ok(sent) => {
                heard.acknowledged.push((sent.id, sent.height.expect("it waited")));
                nonce = Some(next + 1);
                // Nobody may wait for it any more.
                sealed.send(()).unwrap_or_default();
            }
            // A block that death interrupted is finished first, and may hold this nonce.
            Err(ClientError::Fault(fault)) if fault.kind == FaultKind::Refused => nonce = None,
            Err(ClientError::Fault(fault)) => panic!("{fault}"),
            Err(_) => return heard,
        }
        let Ok(status) = client.call::<Status>(Call::Status) else { return heard };
        heard.tips.push((status.height, status.block_id));
    }
}
