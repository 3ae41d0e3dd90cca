//! The one that lies: it signs two different things, and floods its peers with votes.

use std::sync::Arc;

use goodwatt_chain::block::{Block, CommitSignature};
use goodwatt_chain::hash::{BlockId, Digest32};
use goodwatt_chain::ledger::Draft;
use goodwatt_chain::signature::{PublicKey, Signature, SigningKey};
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::{Height, Round};
use goodwatt_chain::vote::{SignedVote, Vote, VoteKind};
use goodwatt_consensus::{Message as Word, Polka, SignedStatement, Statement};
use goodwatt_units::Millis;
use goodwatt_validator::{Message, Signers};

use crate::check::Violation;
use crate::genesis::SMALLEST_SET;
use crate::world::World;

/// The number of the one that lies, where one does. Less than a third of the weight is its.
pub(crate) const LIAR: usize = 0;
/// Messages of a flood, to each peer.
const FLOOD_MESSAGES: u64 = 3;
/// Words of each.
const FLOOD_WORDS: u64 = 64;
/// The most words of others that a validator may keep.
const WORDS_KEPT_MAX: usize = 4_000;

/// A block that a lying proposer made, and the one it shows to half of the others.
#[derive(Debug)]
pub(crate) struct Double {
    shown: BlockId,
    other: Block,
}

impl World<'_> {
    /// Whether a board may do what no honest one does.
    pub(crate) fn is_liar(&self, node: usize) -> bool {
        let faults = self.scenario.faults;
        let lies = faults.liar || faults.proposer || faults.flood;
        lies && node == LIAR && self.boards.len() >= SMALLEST_SET
    }

    /// A liar tells half of the others something else.
    pub(crate) fn lie(&mut self, from: usize, to: usize, message: &Arc<Message>) -> Arc<Message> {
        if !self.is_liar(from) || !self.faulty || to.is_multiple_of(2) {
            return Arc::clone(message);
        }
        match message.as_ref() {
            Message::Body(block) if self.scenario.faults.proposer => {
                self.make_double(block);
                let other = self.double.as_ref().filter(|double| double.shown == block.header.id());
                let other = other.map(|double| Message::Body(Box::new(double.other.clone())));
                other.map_or_else(|| Arc::clone(message), Arc::new)
            }
            Message::Agreement(words) => {
                let votes_lie = self.scenario.faults.liar && self.dice.once_in(2);
                let words = words.iter().map(|word| self.lie_in(word, votes_lie));
                Arc::new(Message::Agreement(words.collect()))
            }
            _ => Arc::clone(message),
        }
    }

    fn lie_in(&self, word: &Word, votes_lie: bool) -> Word {
        let Word::Statement(signed) = word else { return word.clone() };
        let Some(key) = self.boards[LIAR].keys.key(&signed.statement().signer()) else {
            return word.clone();
        };
        let double = self.double.as_ref();
        let swapped = |block: BlockId| {
            let double = double.filter(|double| double.shown == block);
            double.map(|double| double.other.header.id())
        };
        let statement = match signed.statement() {
            Statement::Proposal(mut proposal) => {
                proposal.block = swapped(proposal.block).unwrap_or(proposal.block);
                Statement::Proposal(proposal)
            }
            Statement::Vote(mut vote) => {
                vote.block = match vote.block {
                    Some(block) if swapped(block).is_some() => swapped(block),
                    block if !votes_lie => block,
                    Some(_) => None,
                    None => Some(BlockId::default()),
                };
                Statement::Vote(vote)
            }
        };
        Word::Statement(statement.sign(&self.genesis.chain_id(), &key))
    }

    /// Makes another valid block beside its own: the same, a moment later.
    fn make_double(&mut self, block: &Block) {
        let id = block.header.id();
        if self.double.as_ref().is_some_and(|double| double.shown == id) {
            return;
        }
        let Some(own) = &self.boards[LIAR].validator else { return };
        let header = &block.header;
        if !self.boards[LIAR].keys.holds(&header.proposer) {
            return;
        }
        let draft = Draft {
            round: header.round,
            time: header.time.after(Millis::new(1)),
            proposer: header.proposer,
            reveal: header.reveal,
            parent_certificate: block.parent_certificate.clone(),
        };
        let read = |raw: &goodwatt_chain::block::RawTransaction| {
            Transaction::decode(own.ledger().chain(), &raw.0).ok()
        };
        let transactions: Vec<Transaction> = block.transactions.iter().filter_map(read).collect();
        if let Ok(proposed) = own.ledger().propose(draft, &transactions) {
            self.double = Some(Double { shown: id, other: proposed.block });
            self.doubles += 1;
        }
    }

    /// The liar's peers get votes by the hundred: of far heights and rounds, with signatures of
    /// no worth, and good ones by keys that nobody knows.
    pub(crate) fn flood(&mut self) {
        for peer in self.network.neighbours(LIAR) {
            for _ in 0..FLOOD_MESSAGES {
                let words = (0..FLOOD_WORDS).map(|_| self.junk()).collect();
                self.post(LIAR, peer, Arc::new(Message::Agreement(words)));
            }
        }
    }

    fn junk(&mut self) -> Word {
        let tip = self.highest().get();
        let height = match self.dice.below(4) {
            0 => tip + 2 + self.dice.below(1_000_000),
            1 => self.dice.roll(),
            _ => tip + self.dice.below(4),
        };
        let round = match self.dice.below(3) {
            0 => self.dice.below(4) as u32,
            1 => self.dice.below(10_000) as u32,
            _ => self.dice.roll() as u32,
        };
        if self.dice.once_in(8) {
            return self.junk_polka(Height::new(height), Round::new(round));
        }
        let kind = if self.dice.once_in(2) { VoteKind::Prevote } else { VoteKind::Precommit };
        let block = (!self.dice.once_in(3)).then(|| BlockId(self.digest()));
        let (height, round) = (Height::new(height), Round::new(round));
        let vote = |signer: PublicKey| Vote { kind, height, round, block, signer };
        let signed = if self.dice.once_in(8) {
            let key = SigningKey::from_seed(self.digest().as_bytes());
            vote(key.public()).sign(&self.genesis.chain_id(), &key)
        } else {
            let node = self.dice.index(self.boards.len());
            let (signer, _) = self.boards[node].keys.founding();
            let halves = [*self.digest().as_bytes(), *self.digest().as_bytes()].concat();
            let mut signature = [0; 64];
            signature.copy_from_slice(&halves);
            SignedVote { vote: vote(signer), signature: Signature::from_bytes(signature) }
        };
        Word::Statement(SignedStatement::Vote(signed))
    }

    /// A proof that proves nothing, as long as a large set's.
    fn junk_polka(&mut self, height: Height, round: Round) -> Word {
        let junk = Signature::from_bytes([7; 64]);
        let prevotes = (0..60).map(|validator| CommitSignature { validator, signature: junk });
        let prevotes = prevotes.collect();
        let block = BlockId(self.digest());
        Word::Polka(Box::new(Polka { height, round, block, prevotes }))
    }

    fn digest(&mut self) -> Digest32 {
        let mut bytes = [0; 32];
        for part in bytes.chunks_exact_mut(8) {
            part.copy_from_slice(&self.dice.roll().to_be_bytes());
        }
        Digest32::new(bytes)
    }

    /// Whatever peers say, what is kept of it is bounded.
    pub(crate) fn check_memory(&mut self) {
        for (node, board) in self.boards.iter().enumerate() {
            let words =
                board.validator.as_ref().map_or(0, goodwatt_validator::Validator::words_kept);
            if words > WORDS_KEPT_MAX {
                self.check.violations.push(Violation::Memory { node, words });
            }
        }
    }
}
