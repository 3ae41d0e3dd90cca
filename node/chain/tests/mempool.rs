//! Admission: the cheap looks come before signatures, whoever asks and however many at once.

mod common;

use common::make::{double_vote, transfer};
use common::{Chain, founding_signer, good, owner};
use goodwatt_chain::mempool::{AdmissionError, Mempool, MempoolLimits};
use goodwatt_chain::rules::Refusal;
use goodwatt_chain::transaction::{Action, Transaction};
use goodwatt_chain::units::Grains;
use goodwatt_units::Millis;

/// A transfer by an owner with this nonce and this many times the least fee.
fn pay(chain: &Chain, from: u32, nonce: u64, fees: u32) -> Transaction {
    let fee = chain.parameters().fee_min.mul_div_floor(u128::from(fees), 1);
    let action = transfer(&owner(1), good(1));
    Transaction::sign(chain.ledger.chain(), &owner(from), nonce, fee, action)
}

/// The same with the last byte of the signature's first half turned over.
fn forge(chain: &Chain, transaction: &Transaction) -> Transaction {
    let mut bytes = transaction.bytes().to_vec();
    let at = bytes.len() - 33;
    bytes[at] ^= 1;
    Transaction::decode(chain.ledger.chain(), &bytes).expect("a signature may be any bytes")
}

/// A mempool in which two transactions of owner 0 wait, and what it verified for that.
fn begun(chain: &Chain, limits: MempoolLimits) -> (Mempool, u64) {
    let mut mempool = Mempool::new(limits);
    for nonce in 0..2 {
        let admitted = mempool.admit(&chain.ledger, chain.time, pay(chain, 0, nonce, 2));
        admitted.expect("it is good");
    }
    let verified = mempool.signatures_verified();
    assert_eq!(verified, 2);
    (mempool, verified)
}

/// Hands in a batch; gives how many signatures that took.
#[track_caller]
fn flood(
    chain: &Chain,
    limits: MempoolLimits,
    transactions: Vec<Transaction>,
    want: impl Fn(&AdmissionError) -> bool,
) -> u64 {
    let (mut mempool, before) = begun(chain, limits);
    for outcome in mempool.admit_all(&chain.ledger, chain.time, transactions) {
        let error = outcome.expect_err("a flood");
        assert!(want(&error), "{error:?}");
    }
    assert_eq!(mempool.len(), 2, "nothing of it is taken");
    mempool.signatures_verified() - before
}

#[test]
fn a_flood_that_the_limits_refuse_costs_no_signature() {
    let chain = Chain::new(1);
    let limits = MempoolLimits::default();
    let again = (0..256).map(|n| pay(&chain, 0, n % 2, 2)).collect();
    assert_eq!(flood(&chain, limits, again, |e| *e == AdmissionError::Waiting), 0);

    let cheap = (0..256).map(|n| pay(&chain, 2, n, 0)).collect();
    let under =
        |error: &AdmissionError| matches!(error, AdmissionError::Refused(Refusal::UnderFee(_)));
    assert_eq!(flood(&chain, limits, cheap, under), 0);

    let two = MempoolLimits { per_account: 2, ..limits };
    let more = (2..258).map(|n| pay(&chain, 0, n, 2)).collect();
    assert_eq!(flood(&chain, two, more, |e| *e == AdmissionError::AccountFull(2)), 0);

    let two = MempoolLimits { transactions: 2, ..limits };
    let others = (0..256).map(|n| pay(&chain, 2, n, 2)).collect();
    let full =
        |error: &AdmissionError| matches!(error, AdmissionError::Full(fee) if *fee > Grains::ZERO);
    assert_eq!(flood(&chain, two, others, full), 0);

    let few = MempoolLimits { bytes: 400, ..limits };
    let others = (0..256).map(|n| pay(&chain, 2, n, 1)).collect();
    assert_eq!(flood(&chain, few, others, full), 0);
}

#[test]
fn copies_in_one_batch_cost_one_signature() {
    let chain = Chain::new(1);
    let good = pay(&chain, 2, 0, 1);
    let mut mempool = Mempool::default();
    let outcomes = mempool.admit_all(&chain.ledger, chain.time, vec![good.clone(); 256]);
    assert_eq!(mempool.signatures_verified(), 1);
    assert_eq!(outcomes[0], Ok(good.id()));
    assert!(outcomes[1..].iter().all(|outcome| *outcome == Err(AdmissionError::Waiting)));

    let forged = forge(&chain, &good);
    let mut mempool = Mempool::default();
    let outcomes = mempool.admit_all(&chain.ledger, chain.time, vec![forged; 256]);
    assert_eq!(mempool.signatures_verified(), 1);
    let refused = Err(AdmissionError::Refused(Refusal::Signature));
    assert!(outcomes.iter().all(|outcome| *outcome == refused));
}

#[test]
fn a_forgery_takes_no_other_along_and_costs_little() {
    let chain = Chain::new(1);
    let mut batch: Vec<Transaction> = (0..64).map(|nonce| pay(&chain, 2, nonce, 1)).collect();
    // Another one follows in its place, as the nonce is not used.
    batch.insert(20, forge(&chain, &batch[20]));
    let mut mempool = Mempool::default();
    let outcomes = mempool.admit_all(&chain.ledger, chain.time, batch);
    let failed: Vec<usize> = (0..65).filter(|at| outcomes[*at].is_err()).collect();
    assert_eq!(failed, [20]);
    assert_eq!(outcomes[20], Err(AdmissionError::Refused(Refusal::Signature)));
    let verified = mempool.signatures_verified();
    assert!(verified <= 65 * 3, "{verified}: halving takes twice the number at most, here");
}

#[test]
fn one_alone_is_looked_at_in_the_same_order() {
    let chain = Chain::new(1);
    let (mut mempool, before) = begun(&chain, MempoolLimits::default());
    let mut admit = |transaction| mempool.admit(&chain.ledger, chain.time, transaction);
    assert_eq!(admit(pay(&chain, 0, 1, 2)), Err(AdmissionError::Waiting));
    let forged = forge(&chain, &pay(&chain, 0, 2, 2));
    assert_eq!(admit(forged), Err(AdmissionError::Refused(Refusal::Signature)));
    assert_eq!(mempool.signatures_verified() - before, 1);
}

#[test]
fn a_clock_that_is_set_neither_ages_nor_renews_what_waits() {
    let chain = Chain::new(1);
    let (mut mempool, _) = begun(&chain, MempoolLimits::default());
    let year = Millis::from_secs(365 * 86_400);
    mempool.wait_since(|since| since.after(year));
    assert_eq!(mempool.first_since(), Some(chain.time.after(year)));
    mempool.advance(&chain.ledger, chain.time.after(year), &[]).expect("memory is readable");
    assert_eq!((mempool.len(), mempool.take_dropped()), (2, vec![]));
    mempool.advance(&chain.ledger, chain.time.after(year).after(year), &[]).expect("readable");
    assert_eq!((mempool.len(), mempool.take_dropped().len()), (0, 2));
}

#[test]
fn evidence_is_let_into_a_full_mempool_and_is_the_last_to_leave_it() {
    let mut chain = Chain::new(4);
    chain.walk_to(1);
    let id = *chain.ledger.chain();
    let height = chain.ledger.tip().height.get();
    let proof = double_vote(&id, &founding_signer(2), height);
    let action = Action::SubmitEvidence(Box::new(proof));
    let evidence = Transaction::sign(&id, &founding_signer(1), 0, Grains::ZERO, action);
    let limits = MempoolLimits { transactions: 2, ..MempoolLimits::default() };
    let [nonce, other] = [0, 3].map(|number| chain.account(&owner(number).public()).nonce);
    let mut mempool = Mempool::new(limits);
    let admit = |mempool: &mut Mempool, transaction| {
        mempool.admit(&chain.ledger, chain.time, transaction).map(drop)
    };
    for ahead in 0..2 {
        assert_eq!(admit(&mut mempool, pay(&chain, 0, nonce + ahead, 2)), Ok(()));
    }
    assert_eq!(admit(&mut mempool, evidence.clone()), Ok(()));
    assert!(mempool.contains(&evidence.id()) && mempool.len() == 2);
    assert_eq!(admit(&mut mempool, pay(&chain, 3, other, 900)), Ok(()));
    assert!(mempool.contains(&evidence.id()) && mempool.len() == 2);
}
