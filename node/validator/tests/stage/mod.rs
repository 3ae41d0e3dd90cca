//! A chain that is there already, peers that have it, and a validator that has not.

use std::sync::Arc;

use goodwatt_chain::block::{Block, Certificate, CommitSignature};
use goodwatt_chain::codec;
use goodwatt_chain::genesis::{EcoStatement, EcoWay, Founder, Genesis, Parameters};
use goodwatt_chain::hash::{BlockId, Digest32};
use goodwatt_chain::leaves::{Bucket, BucketIndex, LeafChanges, Leaves, MemoryLeaves, Unavailable};
use goodwatt_chain::ledger::{Draft, LeafStore, Ledger, Sealed, Signatures};
use goodwatt_chain::mempool::MempoolLimits;
use goodwatt_chain::reveal::RevealChain;
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::transaction::{Action, Transaction, Transfer};
use goodwatt_chain::units::{Grains, Height, Round, UnixMillis};
use goodwatt_store::faulty::FaultyDisk;
use goodwatt_store::{BlockLog, ConsensusWal, IndexError};
use goodwatt_units::Millis;
use goodwatt_validator::{
    Card, Guard, LoggedBlock, Message, Now, Output, Parts, PeerId, SealedHeader, Signers,
    StateStore, Status, To, Validator,
};

pub(crate) const GENESIS_TIME: UnixMillis = UnixMillis::new(1_793_491_200_000);

/// A wallet; the first one has everything.
pub(crate) fn wallet(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

/// The key that seals.
pub(crate) fn signer() -> SigningKey {
    wallet(200)
}

pub(crate) fn reveals() -> RevealChain {
    RevealChain::new([9; 32], 64)
}

pub(crate) fn genesis() -> Genesis {
    let founder = Founder {
        owner: wallet(1).public(),
        signer: signer().public(),
        weight: Grains::from_good(1),
        reveal_head: reveals().head(),
    };
    Genesis {
        name: "behind".chars().collect(),
        time: GENESIS_TIME,
        eco: EcoStatement {
            way: EcoWay::Replaces,
            sentence: "It exists in a test alone, for as long as it is run.".chars().collect(),
            measure: "Nothing but the time of one processor.".chars().collect(),
        },
        parameters: Parameters { validators_min: 1, ..Parameters::default() },
        balances: vec![(wallet(1).public(), Grains::from_good(1_000))],
        founders: [founder].into_iter().collect(),
    }
}

/// A chain of so many blocks with so many payments each.
pub(crate) fn chain(blocks: u64, payments: u64) -> Vec<LoggedBlock> {
    let mut ledger =
        Ledger::begin(Arc::new(genesis()), MemoryLeaves::default()).expect("a good genesis");
    let (mut nonce, mut certificate, mut made) = (0, None, Vec::new());
    for _ in 0..blocks {
        let to = wallet(2).public();
        let pay = |nonce| {
            let action = Transfer {
                to,
                amount: Grains::from_good(1).mul_div_floor(1, 1_000),
                memo: Default::default(),
            };
            let fee = ledger.genesis().parameters.fee_min;
            Transaction::sign(ledger.chain(), &wallet(1), nonce, fee, Action::Transfer(action))
        };
        let transactions: Vec<Transaction> = (nonce..nonce + payments).map(pay).collect();
        nonce += payments;
        let last = ledger.last_reveal(&signer().public()).expect("memory is there");
        let draft = Draft {
            round: Round::ZERO,
            time: ledger.tip().time.after(Millis::new(1_000)),
            proposer: signer().public(),
            reveal: last
                .filter(|(_, done)| !done)
                .and_then(|(last, _)| reveals().next_after(&last)),
            parent_certificate: certificate.clone(),
        };
        let proposed = ledger.propose(draft, &transactions).expect("a good draft");
        ledger.commit(proposed.applied);
        let decided = certify(&ledger, &proposed.block, &signer());
        certificate = Some(decided.clone());
        made.push(LoggedBlock { certificate: decided, block: proposed.block });
    }
    made
}

/// A certificate by one key.
pub(crate) fn certify(
    ledger: &Ledger<impl LeafStore>,
    block: &Block,
    key: &SigningKey,
) -> Certificate {
    let mut certificate = Certificate {
        height: block.header.height,
        round: Round::ZERO,
        block: block.header.id(),
        signatures: heapless::Vec::new(),
    };
    let vote = certificate.precommit(signer().public()).sign(ledger.chain(), key);
    let commit = CommitSignature { validator: 0, signature: vote.signature };
    certificate.signatures.push(commit).expect("room for one");
    certificate
}

/// Nobody signs here.
pub(crate) struct NoKeys;

impl Signers for NoKeys {
    fn key(&self, _: &PublicKey) -> Option<SigningKey> {
        None
    }

    fn holds(&self, _: &PublicKey) -> bool {
        false
    }

    fn next_reveal(&self, _: &PublicKey, _: &Digest32) -> Option<Digest32> {
        None
    }
}

/// Leaves in memory; what is put on the card is counted.
#[derive(Default)]
pub(crate) struct State {
    leaves: MemoryLeaves,
    pub(crate) checkpoint: Height,
}

impl Leaves for State {
    fn bucket(&self, index: BucketIndex) -> Result<Arc<Bucket>, Unavailable> {
        self.leaves.bucket(index)
    }
}

impl LeafStore for State {
    fn commit(&mut self, _: Height, changes: &LeafChanges) {
        self.leaves.commit(changes);
    }
}

impl StateStore for State {
    fn note(&mut self, _: Height, _: &[Sealed]) {}

    fn dirty(&self) -> usize {
        0
    }

    fn checkpoint(&mut self, height: Height, _: &[u8]) -> Result<(), IndexError> {
        self.checkpoint = height;
        Ok(())
    }
}

/// How a peer answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manner {
    Honest,
    /// Says nothing.
    Silent,
    /// Has headers only.
    Pruned,
    /// Has headers of its own making from this height on.
    FalseHeaders(u64),
    /// Has another body at each height.
    FalseBodies,
    /// Has transactions with another signature at each height.
    FalseSignatures,
    /// Says that it has more than anybody, and has nothing.
    Boaster,
}

/// The validator that is behind, and those it asks.
pub(crate) struct Stage {
    pub(crate) own: Validator<State, NoKeys>,
    pub(crate) disk: FaultyDisk,
    chain: Vec<LoggedBlock>,
    manners: Vec<Manner>,
    time: Millis,
    /// Blocks that were given by each peer.
    pub(crate) given: Vec<usize>,
    /// Who was told off.
    pub(crate) blamed: Vec<usize>,
    /// The last block that was told to be on the card.
    pub(crate) sealed: Height,
}

impl Stage {
    pub(crate) fn new(chain: &[LoggedBlock], manners: &[Manner]) -> Self {
        Self::on(FaultyDisk::new(1), chain, manners)
    }

    /// Begins with what is on a disk.
    pub(crate) fn on(disk: FaultyDisk, chain: &[LoggedBlock], manners: &[Manner]) -> Self {
        let own = start(&disk);
        let mut stage = Self {
            own,
            disk,
            chain: chain.to_vec(),
            manners: manners.to_vec(),
            time: Millis::new(0),
            given: vec![0; manners.len()],
            blamed: Vec::new(),
            sealed: Height::ZERO,
        };
        for (peer, manner) in manners.iter().enumerate() {
            stage.own.connected(PeerId(peer as u64));
            let height = if *manner == Manner::Boaster { 1_000_000 } else { chain.len() as u64 };
            let status = Status {
                height: Height::new(height),
                tip: BlockId::default(),
                round: None,
                wants: false,
            };
            stage.say(peer, &Message::Status(status));
        }
        stage
    }

    pub(crate) fn now(&self) -> Now {
        let wall = GENESIS_TIME.after(Millis::from_secs(86_400 * 30));
        Now { wall, known: None, uptime: self.time }
    }

    pub(crate) fn height(&self) -> u64 {
        self.own.ledger().tip().height.get()
    }

    pub(crate) fn say(&mut self, peer: usize, message: &Message) {
        let message = Message::decode(&message.encode()).expect("what is sent can be read");
        let now = self.now();
        self.own.receive(now, PeerId(peer as u64), message);
    }

    /// Answers what was asked, once; `false` where nothing was.
    pub(crate) fn answer(&mut self) -> bool {
        let now = self.now();
        self.own.checkpoint_in_time(now);
        let mut asked = Vec::new();
        for output in self.own.take_outputs() {
            match output {
                Output::Send(To::Peer(PeerId(peer)), message) => {
                    asked.push((peer as usize, message));
                }
                Output::Misbehaved(PeerId(peer), _) => self.blamed.push(peer as usize),
                Output::Sealed(block) => self.sealed = block.height,
                _ => {}
            }
        }
        let mut busy = false;
        for (peer, message) in asked {
            if let Some(answer) = self.answer_of(peer, &message) {
                busy = true;
                self.say(peer, &answer);
            }
        }
        busy
    }

    /// Lets time pass until it has caught up, or a while is over.
    pub(crate) fn run(&mut self, seconds: u64) {
        for _ in 0..seconds * 10 {
            while self.answer() {}
            if self.sealed.get() == self.chain.len() as u64 {
                return;
            }
            self.time = self.time.saturating_add(Millis::new(100));
            let now = self.now();
            self.own.poll(now);
        }
    }

    fn answer_of(&mut self, peer: usize, asked: &Message) -> Option<Message> {
        let manner = self.manners[peer];
        match asked {
            _ if manner == Manner::Silent => None,
            Message::WantHeaders { from, count } => {
                let headers = self.part(*from, *count).map(|logged| header(manner, logged));
                Some(Message::Headers(headers.collect()))
            }
            Message::WantBlocks { from, count } => {
                let blocks: Vec<LoggedBlock> =
                    self.part(*from, *count).filter_map(|logged| body(manner, logged)).collect();
                self.given[peer] += blocks.len();
                Some(Message::Blocks(blocks))
            }
            _ => None,
        }
    }

    fn part(&self, from: Height, count: u16) -> impl Iterator<Item = &LoggedBlock> {
        self.chain.iter().skip(from.get() as usize - 1).take(usize::from(count))
    }
}

fn header(manner: Manner, logged: &LoggedBlock) -> SealedHeader {
    let LoggedBlock { mut certificate, block: Block { mut header, .. } } = logged.clone();
    if let Manner::FalseHeaders(from) = manner
        && header.height.get() >= from
    {
        header.state_root = Digest32::ZERO;
        certificate.block = header.id();
    }
    SealedHeader { certificate, header }
}

fn body(manner: Manner, logged: &LoggedBlock) -> Option<LoggedBlock> {
    let mut logged = logged.clone();
    match manner {
        Manner::Pruned | Manner::Boaster => return None,
        Manner::FalseBodies => logged.block.transactions.truncate(1),
        Manner::FalseSignatures => {
            let first = logged.block.transactions.first_mut().expect("there is one");
            let last = first.0.last_mut().expect("it has bytes");
            *last ^= 1;
        }
        Manner::FalseHeaders(from) if logged.block.header.height.get() >= from => {
            logged.block.header.state_root = Digest32::ZERO;
            logged.certificate.block = logged.id();
        }
        _ => {}
    }
    Some(logged)
}

/// Opens what is on a disk, and replays it.
fn start(disk: &FaultyDisk) -> Validator<State, NoKeys> {
    let (log, _) = BlockLog::open(disk.folder()).expect("a sound log");
    let mut ledger = Ledger::begin(Arc::new(genesis()), State::default()).expect("a good genesis");
    let mut tip_certificate = None;
    for record in log.blocks_from(Height::new(1)) {
        let (_, record) = record.expect("sound");
        let logged: LoggedBlock = codec::decode(&record).expect("a block");
        let applied = ledger.check(&logged.block, Signatures::Verify).expect("valid");
        ledger.commit(applied);
        let set = &ledger.in_charge().decided_tip;
        logged.certificate.verify(ledger.chain(), set).expect("decided");
        tip_certificate = Some(logged.certificate);
    }
    assemble(disk, log, None, ledger, tip_certificate)
}

/// A validator before its first block, beside logs that have some.
pub(crate) fn with_log(disk: &FaultyDisk, headers: &FaultyDisk) -> Validator<State, NoKeys> {
    let (log, _) = BlockLog::open(disk.folder()).expect("a sound log");
    let (headers, _) = BlockLog::open(headers.folder()).expect("a sound log");
    let ledger = Ledger::begin(Arc::new(genesis()), State::default()).expect("a good genesis");
    assemble(disk, log, Some(headers), ledger, None)
}

fn assemble(
    disk: &FaultyDisk,
    log: BlockLog,
    headers: Option<BlockLog>,
    ledger: Ledger<State>,
    tip_certificate: Option<Certificate>,
) -> Validator<State, NoKeys> {
    let folder = disk.folder();
    let guard = Guard::open(&folder, *ledger.chain(), tip_certificate.is_none());
    let parts = Parts {
        ledger,
        tip_certificate,
        transactions: 0,
        card: Card { log, headers, wal: ConsensusWal::open(&folder).expect("it opens"), guard },
        signers: NoKeys,
        mempool: MempoolLimits::default(),
        build_time: GENESIS_TIME,
        sign: true,
        has_peers: true,
    };
    let now = Now { wall: GENESIS_TIME, known: None, uptime: Millis::new(0) };
    Validator::new(parts, now)
}
