//! Every kind of transaction, refused for its exact reason, and nothing changed by it.

mod common;

use common::make::{document, double_vote, renewal, report, request, transfer, voice, withdraw};
use common::stage::{Stage, check, signatures_hold, stage};
use common::{
    ASSOCIATION_BALANCE, Chain, OWNER_BALANCE, association, founding_signer, good, grains, key,
    owner, text,
};
use goodwatt_chain::block::RawTransaction;
use goodwatt_chain::codec::DecodeError;
use goodwatt_chain::ledger::BlockError;
use goodwatt_chain::rules::Refusal;
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::transaction::{
    Action, BallotKind, BuySlot, Category, CertificateProof, ChainTag, EnergyMethod, IdentityProof,
    RequestAssociation, SignatureScheme, TRANSACTION_BYTES_MAX, Transaction, TransactionError,
    Transfer, slot_consent,
};
use goodwatt_chain::units::{Epoch, Grains};

fn with_nonce(chain: &Chain, key: &SigningKey, nonce: u64, action: Action) -> Transaction {
    Transaction::sign(chain.ledger.chain(), key, nonce, chain.parameters().fee_min, action)
}

fn with_fee(chain: &Chain, key: &SigningKey, fee: Grains, action: Action) -> Transaction {
    let nonce = chain.account(&key.public()).nonce;
    Transaction::sign(chain.ledger.chain(), key, nonce, fee, action)
}

/// One valid action of each kind, with the account that may ask for it now.
fn valid(stage: &mut Stage) -> Vec<(SigningKey, Action)> {
    let Stage { chain, admitted, pending } = stage;
    let slot = chain.slot(&owner(5), good(2));
    let ask = request(chain, &association(2));
    let renew = renewal(chain, &association(0), *admitted);
    let cheat = double_vote(chain.ledger.chain(), &founding_signer(3), 2);
    let ended = Epoch::new(2);
    vec![
        (owner(4), transfer(&owner(5), good(1))),
        (owner(5), Action::BuySlot(slot)),
        (association(2), Action::RequestAssociation(Box::new(ask))),
        (association(0), Action::RenewAssociation(Box::new(renew))),
        (owner(0), voice(*pending, BallotKind::Admission, true)),
        (association(1), withdraw(*pending)),
        (owner(1), report(ended, 9_000_000_000, EnergyMethod::MeasuredRails, 10)),
        (owner(6), Action::SubmitEvidence(Box::new(cheat))),
    ]
}

#[test]
fn every_kind_is_taken_once_and_never_again() {
    let mut stage = stage();
    let valid = valid(&mut stage);
    let chain = &mut stage.chain;
    let signed: Vec<_> =
        valid.iter().map(|(key, action)| chain.sign(key, action.clone())).collect();
    for transaction in &signed {
        let content = &transaction.content;
        let (name, sender) = (content.action.kind(), content.sender);
        let (key, action) = valid.iter().find(|(key, _)| key.public() == sender).expect("there");
        let at = content.nonce;
        let gap = Refusal::NonceGap { found: at + 1, expected: at };
        check(chain, name, &with_nonce(chain, key, at + 1, action.clone()), gap);
        let under = grains(chain.parameters().fee_min.get() - 1);
        // What the rules ask for may be free.
        if !action.is_duty() {
            let want = Refusal::UnderFee(chain.parameters().fee_min);
            check(chain, name, &with_fee(chain, key, under, action.clone()), want);
        }
        let overflow = with_fee(chain, key, Grains::MAX_SUPPLY, action.clone());
        let refusal = chain.refusal(&overflow);
        let overdrawn = matches!(refusal, Refusal::Overdrawn { .. } | Refusal::AmountOverflows);
        assert!(overdrawn, "{name}: {refusal:?}");
    }
    chain.seal(&signed);
    for transaction in &signed {
        let (found, name) = (transaction.content.nonce, transaction.content.action.kind());
        let stale = Refusal::StaleNonce { found, expected: found + 1 };
        check(chain, name, transaction, stale);
    }
    chain.audit();
}

#[test]
fn a_transaction_stands_in_a_block_once() {
    let stage = stage();
    let transaction = stage.chain.sign(&owner(4), transfer(&owner(5), good(1)));
    let mut block = stage.chain.propose(&[transaction]).expect("it is taken").block;
    block.transactions.push(block.transactions[0].clone());
    block.header.transaction_count = 2;
    let refusal = Refusal::StaleNonce { found: 0, expected: 1 };
    assert_eq!(
        stage.chain.check(&block).expect_err("it stands there twice"),
        BlockError::Refused { index: 1, refusal }
    );
}

#[test]
fn money_that_is_not_there_is_not_spent() {
    let mut stage = stage();
    let slot = stage.chain.slot(&owner(5), good(200_000));
    let chain = &stage.chain;
    let fee = chain.parameters().fee_min;
    let plus_fee = |amount: Grains| amount.checked_add(fee).expect("below the supply");
    let stranger = key("stranger", 0);
    let mut large = request(chain, &association(2));
    large.deposit = ASSOCIATION_BALANCE;

    let zero = chain.sign(&owner(4), transfer(&owner(5), Grains::ZERO));
    check(chain, "zero", &zero, Refusal::ZeroAmount);

    let all = chain.sign(&owner(4), transfer(&owner(5), OWNER_BALANCE));
    let needed = plus_fee(OWNER_BALANCE);
    check(chain, "fee", &all, Refusal::Overdrawn { needed, balance: OWNER_BALANCE });

    let most = chain.sign(&owner(4), transfer(&owner(5), Grains::MAX_SUPPLY));
    check(chain, "all there is", &most, Refusal::AmountOverflows);

    let never = chain.sign(&stranger, transfer(&owner(5), grains(1)));
    let needed = plus_fee(grains(1));
    check(chain, "never received", &never, Refusal::Overdrawn { needed, balance: Grains::ZERO });

    let itself = chain.sign(&stranger, transfer(&stranger, grains(1)));
    check(chain, "to itself", &itself, Refusal::Overdrawn { needed, balance: Grains::ZERO });

    let needed = plus_fee(slot.amount);
    let buy = chain.sign(&owner(5), Action::BuySlot(slot));
    check(chain, "slot", &buy, Refusal::Overdrawn { needed, balance: OWNER_BALANCE });

    let needed = plus_fee(large.deposit);
    let ask = chain.sign(&association(2), Action::RequestAssociation(Box::new(large)));
    check(chain, "deposit", &ask, Refusal::Overdrawn { needed, balance: ASSOCIATION_BALANCE });

    // What is received earlier in the same block may be spent.
    let gift = chain.sign(&owner(4), transfer(&stranger, good(1)));
    let spent = chain.sign(&stranger, transfer(&owner(5), grains(1)));
    stage.chain.seal(&[gift, spent]);
    stage.chain.audit();
}

/// A transfer as raw numbers, to write what the types cannot hold.
fn raw_transfer(chain: &Chain, version: u8, tag: [u8; 4], fee: u64, amount: u64) -> Vec<u8> {
    let (from, to) = (*owner(4).public().as_bytes(), *owner(5).public().as_bytes());
    let content = (version, tag, from, 0_u64, fee, (0_u32, to, amount, "for bread"));
    let mut bytes = postcard::to_allocvec(&content).expect("it encodes");
    let valid = chain.sign(&owner(4), transfer(&owner(5), grains(1)));
    bytes.extend_from_slice(&valid.signature.to_bytes());
    bytes
}

#[test]
fn bytes_of_another_form_are_no_transaction() {
    let stage = stage();
    let chain = stage.chain.ledger.chain();
    let [a, b, c, d, ..] = *chain.as_bytes();
    let (tag, fee) = ([a, b, c, d], 1_000);
    let malformed = TransactionError::Decode(DecodeError::Malformed);
    let check = |name: &str, bytes: &[u8], want: TransactionError| {
        assert_eq!(Transaction::decode(chain, bytes), Err(want), "{name}");
        let mut block = stage
            .chain
            .propose(&[stage.chain.sign(&owner(11), transfer(&owner(10), grains(1)))])
            .expect("a transfer is taken")
            .block;
        if bytes.len() <= TRANSACTION_BYTES_MAX {
            block.transactions[0] = RawTransaction(bytes.to_vec());
            let refused = stage.chain.check(&block).expect_err(name);
            assert_eq!(refused, BlockError::Transaction { index: 0, error: want }, "{name}");
        }
    };
    let raw = |fee, amount| raw_transfer(&stage.chain, 1, tag, fee, amount);
    let good = raw(fee, 1);
    let honest = stage.chain.sign(&owner(4), transfer(&owner(5), grains(1)));
    assert_eq!(honest.bytes(), good, "the raw form is that of a transfer");

    // In two's complement -1 is the largest number there is.
    check("amount of -1", &raw(fee, -1_i64 as u64), malformed);
    check("fee of -1", &raw(-1_i64 as u64, 1), malformed);
    check("smallest signed number", &raw(fee, i64::MIN as u64), malformed);
    check("above the supply", &raw(fee, Grains::MAX_SUPPLY.get() + 1), malformed);
    let other = [tag[0] ^ 1, tag[1], tag[2], tag[3]];
    let found = Transaction::decode(chain, &good).expect("it is valid").content.chain;
    assert_eq!(found, ChainTag::of(chain));
    let bytes = raw_transfer(&stage.chain, 1, other, fee, 1);
    let refused = Transaction::decode(chain, &bytes).expect_err("of another chain");
    assert!(matches!(refused, TransactionError::WrongChain { expected, .. } if expected == found));
    check("wrong chain", &bytes, refused);
    for version in [0, 2, 255] {
        let unknown = TransactionError::Decode(DecodeError::UnknownVersion(version));
        check("version", &raw_transfer(&stage.chain, version, tag, fee, 1), unknown);
    }
    for cut in [0, 1, 63, 64, 65, good.len() - 65, good.len() - 1] {
        assert!(Transaction::decode(chain, &good[..cut]).is_err(), "{cut} bytes");
    }
    let mut trailing = good.clone();
    trailing.insert(good.len() - 64, 0);
    check("trailing", &trailing, TransactionError::Decode(DecodeError::TrailingBytes(1)));
    let oversize = vec![1; TRANSACTION_BYTES_MAX + 1];
    let (len, limit) = (oversize.len(), TRANSACTION_BYTES_MAX);
    check("oversize", &oversize, TransactionError::Decode(DecodeError::TooLong { len, limit }));
    let mut long = good.clone();
    // The amount of one grain written in two bytes: the same value in another form.
    let amount = good.len() - 64 - 11;
    assert_eq!(long[amount], 1);
    long.splice(amount..=amount, [0x81, 0x00]);
    check("not canonical", &long, TransactionError::Decode(DecodeError::NotCanonical));
}

#[test]
fn a_transaction_longer_than_genesis_allows_is_refused() {
    let stage = stage();
    let mut long = request(&stage.chain, &association(2));
    let certificate = std::iter::once(0x30).chain(std::iter::repeat_n(7, 900)).collect();
    let signature = [1; 64].into_iter().collect();
    let scheme = SignatureScheme::Ed25519;
    long.identity =
        IdentityProof::Certificate(Box::new(CertificateProof { scheme, certificate, signature }));
    let action = Action::RequestAssociation(Box::new(long));
    let transaction = stage.chain.sign(&association(2), action);
    let len = transaction.bytes().len();
    check(&stage.chain, "long", &transaction, Refusal::TooLong { len, limit: 1_024 });
}

/// Whatever bit of a signed transaction is turned, it is either no transaction any more or its
/// signatures do not hold: each field is covered.
#[test]
fn a_signature_covers_every_bit_of_every_kind() {
    let mut stage = stage();
    for (key, action) in valid(&mut stage) {
        let transaction = stage.chain.sign(&key, action);
        assert!(signatures_hold(&stage.chain, &transaction));
        let name = transaction.content.action.kind();
        for at in 0..transaction.bytes().len() {
            let mut bytes = transaction.bytes().to_vec();
            bytes[at] ^= 1 << (at % 8);
            if let Ok(changed) = Transaction::decode(stage.chain.ledger.chain(), &bytes) {
                assert!(!signatures_hold(&stage.chain, &changed), "{name}: byte {at}");
            }
        }
    }
}

#[test]
fn a_block_with_a_signature_over_other_fields_is_refused() {
    let stage = stage();
    let chain = &stage.chain;
    let transaction = chain.sign(&owner(4), transfer(&owner(5), good(1)));
    let honest = Action::Transfer(Transfer {
        to: owner(6).public(),
        amount: good(1),
        memo: text("for bread"),
    });
    let other = chain.sign(&owner(4), honest);
    let mut bytes = other.bytes().to_vec();
    let at = bytes.len() - 64;
    bytes.splice(at.., transaction.signature.to_bytes());
    let reused = Transaction::decode(chain.ledger.chain(), &bytes).expect("the form is right");
    // The rules alone would take it: the signature is what stops it.
    let block = chain.propose(&[reused]).expect("the rules do not look at signatures").block;
    assert_eq!(chain.check(&block).expect_err("reused"), BlockError::Signature);
}

#[test]
fn a_signature_for_another_chain_does_not_hold() {
    let stage = stage();
    let elsewhere = Chain::with(4, |parameters| parameters.fee_min = grains(999));
    let transaction = stage.chain.sign(&owner(4), transfer(&owner(5), good(1)));
    assert!(matches!(
        Transaction::decode(elsewhere.ledger.chain(), transaction.bytes()),
        Err(TransactionError::WrongChain { .. })
    ));
    // Even where the short tag is changed to fit, the full id is part of what is signed.
    let mut bytes = transaction.bytes().to_vec();
    bytes[1..5].copy_from_slice(&elsewhere.ledger.chain().as_bytes()[..4]);
    let moved = Transaction::decode(elsewhere.ledger.chain(), &bytes).expect("the form is right");
    assert!(!signatures_hold(&elsewhere, &moved));
}

#[test]
fn a_slot_needs_the_consent_of_its_signer() {
    let mut stage = stage();
    let slot = stage.chain.slot(&owner(5), good(2));
    let chain = &stage.chain;
    let signer = chain.signer(&slot.signer);
    let id = chain.ledger.chain();
    let check = |name: &str, key: &SigningKey, buyer: &PublicKey, epoch: u64, want: bool| {
        let consent = key.sign(&slot_consent(id, buyer, Epoch::new(epoch)));
        let action = Action::BuySlot(BuySlot { consent, ..slot.clone() });
        let transaction = chain.sign(&owner(5), action);
        assert_eq!(signatures_hold(chain, &transaction), want, "{name}");
        let block = chain.propose(&[transaction]).expect("the rules do not look at signatures");
        let outcome = chain.check(&block.block).map(drop);
        assert_eq!(outcome, if want { Ok(()) } else { Err(BlockError::Signature) }, "{name}");
    };
    let epoch = slot.epoch.get();
    check("honest", signer, &owner(5).public(), epoch, true);
    check("for another buyer", signer, &owner(6).public(), epoch, false);
    check("for another epoch", signer, &owner(5).public(), epoch + 1, false);
    check("by another key", &owner(5), &owner(5).public(), epoch, false);
}

#[test]
fn a_forged_proof_of_identity_does_not_hold() {
    let Stage { chain, admitted, .. } = stage();
    let sender = association(2);
    let check = |name: &str, forged: Action, sender: &SigningKey| {
        let transaction = chain.sign(sender, forged);
        assert!(!signatures_hold(&chain, &transaction), "{name}");
        let block = chain.propose(&[transaction]).expect("the rules do not look at signatures");
        assert_eq!(chain.check(&block.block).expect_err(name), BlockError::Signature, "{name}");
    };
    let honest = request(&chain, &sender);
    let forge = |name: &str, change: &dyn Fn(&mut RequestAssociation)| {
        let mut forged = honest.clone();
        change(&mut forged);
        check(name, Action::RequestAssociation(Box::new(forged)), &sender);
    };
    forge("another name", &|r| r.name = text("Weeds"));
    forge("another category", &|r| r.category = Category::Climate);
    forge("another address", &|r| r.web = text("https://weeds.example"));
    forge("another document", &|r| r.evidence[0] = document(3));
    forge("fewer documents", &|r| r.evidence.truncate(1));
    forge("another key", &|r| {
        let IdentityProof::Published { signature, .. } = r.identity else { panic!("published") };
        r.identity = IdentityProof::Published { key: key("published", 1).public(), signature };
    });
    // A proof made for one sender is no proof for another.
    let thief = association(3);
    check("another sender", Action::RequestAssociation(Box::new(honest)), &thief);

    let mut stale = renewal(&chain, &association(0), admitted);
    stale.evidence[0] = document(3);
    check("renewal", Action::RenewAssociation(Box::new(stale)), &association(0));
}
