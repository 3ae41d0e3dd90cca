//! Who is blamed for words that are refused: never a relay that could not see what is wrong.

#[allow(dead_code, reason = "peers here do not answer")]
mod stage;

use goodwatt_chain::hash::{BlockId, ChainId, Digest32};
use goodwatt_chain::signature::SigningKey;
use goodwatt_chain::units::{Height, Round};
use goodwatt_chain::vote::{Proposal, Vote, VoteKind};
use goodwatt_consensus::{Message as Word, SignedStatement, Statement};
use goodwatt_validator::Message;
use stage::{Manner, Stage, genesis, signer, wallet};

const HEIGHT: Height = Height::new(1);
const BLOCK: BlockId = BlockId(Digest32::new([5; 32]));

fn vote(round: u32, key: &SigningKey) -> Statement {
    let round = Round::new(round);
    let (kind, signer) = (VoteKind::Prevote, key.public());
    Statement::Vote(Vote { kind, height: HEIGHT, round, block: Some(BLOCK), signer })
}

/// A proposal whose block was prevoted in the very round it is proposed in, which cannot be.
fn impossible(key: &SigningKey) -> Statement {
    let (round, signer) = (Round::new(1), key.public());
    let pol_round = Some(round);
    Statement::Proposal(Proposal { height: HEIGHT, round, block: BLOCK, pol_round, signer })
}

/// Whether the peer is blamed that hands on these words, one after another.
fn is_blamed(words: &[SignedStatement]) -> bool {
    let mut stage = Stage::new(&[], &[Manner::Honest]);
    for word in words {
        stage.say(0, &Message::Agreement(vec![Word::Statement(*word)]));
        stage.answer();
    }
    !stage.blamed.is_empty()
}

#[test]
fn what_a_validator_signed_is_not_its_relays_fault() {
    let (chain, other) = (genesis().chain_id(), ChainId::default());
    let key = signer();
    let good = vote(0, &key).sign(&chain, &key);
    assert!(!is_blamed(&[good]));
    let absurd = vote(u32::MAX, &key);
    for word in [absurd, impossible(&key)] {
        assert!(!is_blamed(&[good, word.sign(&chain, &key)]), "{word:?}");
        assert!(is_blamed(&[good, word.sign(&other, &key)]), "{word:?}");
    }
    // A stranger's words are passed on by nobody who keeps the rules.
    let stranger = wallet(77);
    assert!(is_blamed(&[good, vote(0, &stranger).sign(&chain, &stranger)]));
}
