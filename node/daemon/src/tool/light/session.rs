//! Asking nodes, none of which is trusted.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime};

use goodwatt_chain::block::RawTransaction;
use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::hash::{BlockId, TxId};
use goodwatt_chain::light::{Answer, Excuse, LightError, LightPeer, Question, Sight};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::state::Account;
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::{Height, UnixMillis};
use tokio::runtime::Runtime;

use super::fault::LightFault;
use super::kept::Kept;
use crate::config::PeerAddress;
use crate::net::{LightLink, PeerId};
use crate::tool::error::ToolError;
use crate::tool::output::note;

/// How often a node may be asked to lead on: each time up to 32 sets, and 168 epochs at the most are
/// kept anywhere.
const FOLLOWS_MAX: usize = 16;
/// How often a node that gets ready is asked again, and after how long.
const READY_TRIES: usize = 600;
const READY_PAUSE: Duration = Duration::from_millis(100);
/// A transaction is looked for at news of a block, or after so long.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A node to ask: `HOST:PORT`, or `goodpeer1...@HOST:PORT` to take no other one for it.
#[derive(Clone, Debug)]
pub struct Node {
    peer: Option<PeerId>,
    address: PeerAddress,
}

impl FromStr for Node {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (peer, address) = match text.split_once('@') {
            Some((peer, address)) => {
                (Some(peer.parse().map_err(|error| format!("{peer}: {error}"))?), address)
            }
            None => (None, text),
        };
        Ok(Self { peer, address: address.parse().map_err(|error| format!("{error}"))? })
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// A block for whose id somebody vouches: `HEIGHT:ID`.
#[derive(Clone, Copy, Debug)]
pub struct Checkpoint {
    height: Height,
    block: BlockId,
}

impl FromStr for Checkpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(height, block)| {
            Some(Self { height: Height::new(height.parse().ok()?), block: block.parse().ok()? })
        });
        parsed.filter(|checkpoint| checkpoint.height > Height::ZERO).ok_or_else(|| {
            "write a height, a colon and the id of its block, 64 hexadecimal digits".to_owned()
        })
    }
}

/// What is known of the chain, and whom to ask for more.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) genesis: Genesis,
    nodes: Vec<Node>,
    checkpoint: Option<Checkpoint>,
    /// Nothing before the checkpoint's header was fetched.
    light: Option<LightPeer>,
    /// What this began with is so old that its validators have nothing left to lose.
    outlived: bool,
    kept: Kept,
    runtime: Runtime,
}

/// An answer that was proven.
#[derive(Debug)]
pub(super) struct Proven<T> {
    /// What it is.
    pub(super) answer: T,
    /// Who gave it.
    pub(super) node: Node,
    /// That node's key.
    pub(super) peer: PeerId,
    /// The last block that was proven.
    pub(super) sight: Sight,
}

impl Session {
    /// Begins where the last call ended, or at the checkpoint, or at genesis.
    pub(super) fn open(
        genesis: Genesis,
        nodes: Vec<Node>,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Self, ToolError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let kept = Kept::find(genesis.chain_id());
        let light = match checkpoint {
            Some(_) => None,
            None => Some(kept.read().unwrap_or_else(|| LightPeer::begin(&genesis))),
        };
        let outlived = light.as_ref().is_some_and(|light| light.outlived(&genesis, now()));
        Ok(Self { genesis, nodes, checkpoint, light, outlived, kept, runtime })
    }

    /// Whether what this began with is so old that its validators have nothing left to lose.
    pub(super) const fn outlived(&self) -> bool {
        self.outlived
    }

    /// Asks every node; gives what was proven, the newest last, and says what was not.
    pub(super) fn ask_all<T>(
        &mut self,
        mut ask: impl FnMut(&mut Conversation<'_>) -> Result<T, LightFault>,
    ) -> Result<Vec<Proven<T>>, ToolError> {
        let (mut proven, mut faults) = (Vec::new(), Vec::new());
        for node in self.nodes.clone() {
            match self.ask_one(&node, &mut ask) {
                Ok(answer) => proven.push(answer),
                // More than a third of the weight cheats: nothing else is worth anything.
                Err(fault @ LightFault::Unproven(LightError::Forked { .. })) => {
                    return Err(fault.into_error(&node));
                }
                // Who stands a block behind another node has not lied.
                Err(LightFault::Unproven(LightError::Behind { .. })) if !proven.is_empty() => {}
                Err(fault) => faults.push(fault.into_error(&node)),
            }
        }
        let last = if proven.is_empty() { faults.pop() } else { None };
        faults.iter().for_each(|fault| note(&format!("goodwatt: {fault}")));
        last.map_or(Ok(proven), Err)
    }

    /// Asks one node after the other, until one gives something proven.
    pub(super) fn ask_first<T>(
        &mut self,
        mut ask: impl FnMut(&mut Conversation<'_>) -> Result<T, LightFault>,
    ) -> Result<Proven<T>, ToolError> {
        let mut last: Option<ToolError> = None;
        for node in self.nodes.clone() {
            last.iter().for_each(|fault| note(&format!("goodwatt: {fault}")));
            match self.ask_one(&node, &mut ask) {
                Ok(proven) => return Ok(proven),
                Err(fault) => last = Some(fault.into_error(&node)),
            }
        }
        Err(last.unwrap_or_else(|| ToolError::Usage("--connect names no node".to_owned())))
    }

    fn ask_one<T>(
        &mut self,
        node: &Node,
        ask: impl FnOnce(&mut Conversation<'_>) -> Result<T, LightFault>,
    ) -> Result<Proven<T>, LightFault> {
        let height = self.light.as_ref().map_or(Height::ZERO, LightPeer::height);
        let (chain, runtime) = (self.genesis.chain_id(), &self.runtime);
        let link = LightLink::connect(&node.address, node.peer, &chain, height);
        let mut link = runtime.block_on(link)?;
        let peer = link.peer();
        let light = match (&self.light, self.checkpoint) {
            (Some(light), _) => light.clone(),
            (None, Some(checkpoint)) => {
                let light = begin_at(runtime, &mut link, &self.genesis, checkpoint)?;
                self.outlived = light.outlived(&self.genesis, now());
                light
            }
            (None, None) => LightPeer::begin(&self.genesis),
        };
        let mut conversation = Conversation { runtime, link, light };
        let outcome = ask(&mut conversation);
        // What was proven stays proven, also when what came after it was a lie.
        let light = conversation.light;
        self.kept.write(&light);
        let sight = light.sight();
        self.light = Some(light);
        match sight {
            Some(sight) => Ok(Proven { answer: outcome?, node: node.clone(), peer, sight }),
            None => Err(outcome.err().unwrap_or(LightFault::Nothing(Excuse::NoBlock))),
        }
    }
}

/// What this machine's clock says.
pub(super) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn ask(runtime: &Runtime, link: &mut LightLink, question: &Question) -> Result<Answer, LightFault> {
    let answer = Answer::decode(&runtime.block_on(link.ask(&question.encode()))?)?;
    match answer {
        Answer::Nothing(excuse) => Err(LightFault::Nothing(excuse)),
        answer => Ok(answer),
    }
}

/// Fetches the header of a checkpoint.
fn begin_at(
    runtime: &Runtime,
    link: &mut LightLink,
    genesis: &Genesis,
    checkpoint: Checkpoint,
) -> Result<LightPeer, LightFault> {
    let Checkpoint { height, block } = checkpoint;
    match ask(runtime, link, &Question::Header { height })? {
        Answer::Header(header) => Ok(LightPeer::begin_at(genesis, block, *header)?),
        _ => Err(LightFault::Unasked),
    }
}

/// Where a transaction stands.
#[derive(Debug)]
pub(super) enum Found {
    /// In a block, proven.
    Sealed(Transaction, Height, u32),
    /// It waits, by the word of the node.
    Waits(Transaction),
}

/// A connection to one node, and what is proven so far.
pub(super) struct Conversation<'s> {
    runtime: &'s Runtime,
    link: LightLink,
    light: LightPeer,
}

impl Conversation<'_> {
    fn ask(&mut self, question: &Question) -> Result<Answer, LightFault> {
        ask(self.runtime, &mut self.link, question)
    }

    /// Asks for something below a decided header, and follows the sets there if need be.
    fn ask_below(&mut self, question: &Question) -> Result<Answer, LightFault> {
        for _ in 0..FOLLOWS_MAX {
            let answer = self.ask(question)?;
            if !answer.decided().is_some_and(|header| self.light.has_to_follow(header)) {
                return Ok(answer);
            }
            match self.ask(&self.light.next_step())? {
                Answer::Steps(steps) => self.light.follow(&steps)?,
                _ => return Err(LightFault::Unasked),
            }
        }
        Err(LightError::NoStep(self.light.height()).into())
    }

    /// An account as it is proven to be, and as it will be by the word of the node.
    pub(super) fn account(
        &mut self,
        key: &PublicKey,
    ) -> Result<(Option<Account>, Account), LightFault> {
        match self.ask_below(&Question::Account { key: *key })? {
            Answer::Account { proof, pending } => Ok((self.light.account(key, &proof)?, pending)),
            _ => Err(LightFault::Unasked),
        }
    }

    /// Looks for a transaction.
    pub(super) fn transaction(&mut self, id: &TxId) -> Result<Found, LightFault> {
        let question = Question::Transaction { id: *id };
        for attempt in 0..READY_TRIES {
            match self.ask_below(&question) {
                Err(LightFault::Nothing(ready @ Excuse::NotReady { .. })) => {
                    if attempt % 50 == 0 {
                        note(&format!("goodwatt: {ready}"));
                    }
                    std::thread::sleep(READY_PAUSE);
                }
                Ok(Answer::Transaction { transaction, proof }) => {
                    let (transaction, height, position) =
                        self.light.transaction(id, &transaction, &proof)?;
                    return Ok(Found::Sealed(transaction, height, position));
                }
                Ok(Answer::Waits(raw)) => return Ok(Found::Waits(self.light.recognise(id, &raw)?)),
                Ok(_) => return Err(LightFault::Unasked),
                Err(fault) => return Err(fault),
            }
        }
        Err(LightFault::Nothing(Excuse::NotKept))
    }
}

/// How a transaction that was handed in may end.
#[derive(Debug)]
pub(super) enum Fate {
    /// In a block, proven.
    Sealed(Height),
    /// Another one of the same account and number was sealed.
    Replaced,
    /// Nothing of it was proven in time.
    Unknown,
}

impl Conversation<'_> {
    /// Whether a transaction that another node was given has come to this one.
    pub(super) fn knows(&mut self, transaction: &Transaction) -> Result<bool, LightFault> {
        match self.transaction(&transaction.id()) {
            Ok(_) => Ok(true),
            Err(LightFault::Nothing(Excuse::NoTransaction)) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Hands in a transaction.
    pub(super) fn submit(&mut self, transaction: &Transaction) -> Result<(), LightFault> {
        let raw = RawTransaction(transaction.bytes().to_vec());
        match self.ask(&Question::Submit { transaction: raw })? {
            Answer::Submitted(id) if id == transaction.id() => Ok(()),
            _ => Err(LightFault::Unasked),
        }
    }

    /// Waits until it is proven what became of a transaction.
    pub(super) fn await_fate(
        &mut self,
        transaction: &Transaction,
        patience: Duration,
    ) -> Result<Fate, LightFault> {
        let until = Instant::now() + patience;
        let (id, content) = (transaction.id(), &transaction.content);
        while Instant::now() < until {
            match self.transaction(&id) {
                Ok(Found::Sealed(_, height, _)) => return Ok(Fate::Sealed(height)),
                Ok(Found::Waits(_)) => {}
                Err(LightFault::Nothing(Excuse::NoTransaction)) => {
                    // It may have been sealed since, so it is looked for once more.
                    let (account, _) = self.account(&content.sender)?;
                    if account.is_some_and(|account| account.nonce > content.nonce) {
                        return match self.transaction(&id) {
                            Ok(Found::Sealed(_, height, _)) => Ok(Fate::Sealed(height)),
                            Err(LightFault::Nothing(Excuse::NoTransaction)) => Ok(Fate::Replaced),
                            Ok(Found::Waits(_)) => Err(LightFault::Unasked),
                            Err(fault) => Err(fault),
                        };
                    }
                }
                Err(fault) => return Err(fault),
            }
            self.runtime.block_on(self.link.hears_of_a_block(LOOK_AGAIN))?;
        }
        Ok(Fate::Unknown)
    }
}
