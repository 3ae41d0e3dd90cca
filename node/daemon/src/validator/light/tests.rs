use goodwatt_chain::light::{LightError, LightPeer};
use goodwatt_chain::proof::ProofError;
use goodwatt_chain::signature::SigningKey;

use super::*;
use crate::validator::engine::tests::{engine, seal};

/// Answers of a real engine, taken by a light peer.
struct Pair {
    engine: Engine,
    light: LightPeer,
    _dir: tempfile::TempDir,
}

impl Pair {
    fn new() -> Self {
        let (engine, dir) = engine();
        let light = LightPeer::begin(engine.own.ledger().genesis());
        Self { engine, light, _dir: dir }
    }

    fn ask(&mut self, question: &Question) -> Answer {
        // As it travels.
        let question = Question::decode(&question.encode()).expect("it reads back");
        let answer = self.engine.answer_light(question).encode();
        Answer::decode(&answer).expect("it reads back")
    }

    /// Looks for a transaction until the engine is ready; gives its height, and how often it was
    /// asked.
    fn find(&mut self, id: &TxId) -> (Height, usize) {
        for asked in 1.. {
            match self.ask(&Question::Transaction { id: *id }) {
                Answer::Transaction { transaction, proof } => {
                    let found = self.light.transaction(id, &transaction, &proof);
                    let (transaction, height, _) = found.expect("it is proven");
                    assert_eq!(transaction.id(), *id);
                    return (height, asked);
                }
                Answer::Nothing(Excuse::NotReady { done, of }) => assert!(done < of),
                other => panic!("{other:?}"),
            }
        }
        unreachable!("it is ready at some time")
    }
}

#[test]
fn every_transaction_is_proven_however_deep() {
    let mut pair = Pair::new();
    let nobody = Question::Account { key: SigningKey::from_seed(&[9; 32]).public() };
    assert_eq!(pair.ask(&nobody), Answer::Nothing(Excuse::NoBlock));
    let ids: Vec<TxId> = (0..300).map(|number| seal(&mut pair.engine, number)).collect();
    let next = pair.light.next_step();
    let Answer::Steps(steps) = pair.ask(&next) else { panic!("steps") };
    pair.light.follow(&steps).expect("the founding set decides on");
    assert_eq!((steps.len(), pair.light.height()), (1, Height::new(300)));
    // At first it gets ready: all but a group of 128 blocks, 64 at a time.
    assert_eq!(pair.find(&ids[0]), (Height::new(1), 3));
    for (id, height) in ids.iter().zip(1..).step_by(23).chain([(&ids[299], 300)]) {
        assert_eq!(pair.find(id), (Height::new(height), 1));
    }
    // What is sealed later is found as well, and so is what was found before.
    let later = seal(&mut pair.engine, 300);
    assert_eq!(pair.find(&later), (Height::new(301), 1));
    assert_eq!(pair.find(&ids[0]), (Height::new(1), 1));

    let Answer::Account { proof, .. } = pair.ask(&nobody) else { panic!("an account") };
    let key = SigningKey::from_seed(&[9; 32]).public();
    assert_eq!(pair.light.account(&key, &proof), Ok(None));
    let other = SigningKey::from_seed(&[8; 32]).public();
    let error = pair.light.account(&other, &proof).expect_err("the path of another");
    assert!(matches!(error, LightError::Proof(ProofError::State(_))), "{error}");
}

#[test]
fn what_cannot_be_answered_is_said() {
    let mut pair = Pair::new();
    seal(&mut pair.engine, 0);
    let trusted = Digest32::new([7; 32]);
    let stranger = Question::Follow { after: Height::ZERO, trusted };
    assert_eq!(pair.ask(&stranger), Answer::Nothing(Excuse::NotKept));
    let ahead = Question::Follow { after: Height::new(u64::MAX), trusted };
    assert_eq!(pair.ask(&ahead), Answer::Steps([].into_iter().collect()));
    for height in [0, 2, u64::MAX] {
        let question = Question::Header { height: Height::new(height) };
        assert_eq!(pair.ask(&question), Answer::Nothing(Excuse::NotKept), "{height}");
    }
    let unknown = Question::Transaction { id: TxId::default() };
    assert_eq!(pair.ask(&unknown), Answer::Nothing(Excuse::NoTransaction));
    let noise = Question::Submit { transaction: RawTransaction(vec![1; 200]) };
    let Answer::Nothing(Excuse::Refused(reason)) = pair.ask(&noise) else { panic!("a refusal") };
    assert!(reason.contains("not of this form"), "{reason}");
}
