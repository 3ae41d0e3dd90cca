//! Every kind of transaction, refused for its exact reason, and nothing changed by it.

mod common;

use common::make::{
    document, double_vote, renewal, report, request, transfer, voice, votes, withdraw,
};
use common::{ASSOCIATION_BALANCE, Chain, OWNER_BALANCE, association, good, grains, key, owner};
use goodwatt_chain::block::RawTransaction;
use goodwatt_chain::codec::DecodeError;
use goodwatt_chain::genesis::SealingRule;
use goodwatt_chain::hash::{AssociationId, Digest32};
use goodwatt_chain::ledger::BlockError;
use goodwatt_chain::rules::Refusal;
use goodwatt_chain::signature::{PublicKey, SigningKey, verify};
use goodwatt_chain::transaction::{
    Action, BallotKind, BuySlot, CertificateProof, ChainTag, EnergyMethod, IdentityProof,
    RequestAssociation, SignatureScheme, TRANSACTION_BYTES_MAX, Transaction, TransactionError,
    Transfer, slot_consent,
};
use goodwatt_chain::units::{Epoch, Grains, Height, Round};
use goodwatt_chain::vote::{Evidence, Proposal};

/// Owners 0 to 3 are founders, association 0 is admitted, association 1 pending, in epoch 3.
struct Stage {
    chain: Chain,
    admitted: AssociationId,
    pending: AssociationId,
}

fn stage() -> Stage {
    let mut chain = Chain::with(4, |parameters| {
        parameters.vote_window = 2;
        parameters.transaction_bytes_max = 1_024;
    });
    let voters: Vec<_> = (0..4).map(owner).collect();
    let admitted = chain.admit(&association(0), &voters);
    chain.walk_to(3);
    let (pending, request) = chain.ask(&association(1));
    chain.seal(&[request]);
    Stage { chain, admitted, pending }
}

/// The rules refuse it, a block with it is refused, and the state stays as it is.
fn check(chain: &Chain, name: &str, transaction: &Transaction, want: Refusal) {
    let before = chain.ledger.tip().clone();
    assert_eq!(chain.refusal(transaction), want, "{name}");

    let filler = chain.sign(&owner(11), transfer(&owner(10), grains(1)));
    let mut block = chain.propose(&[filler]).expect("a transfer is taken").block;
    block.transactions.push(RawTransaction(transaction.bytes().to_vec()));
    block.header.transaction_count += 1;
    let refused = chain.check(&block).expect_err(name);
    assert_eq!(refused, BlockError::Refused { index: 1, refusal: want }, "{name}");

    let tree = goodwatt_chain::tree::StateTree::rebuild(chain.ledger.leaves());
    assert_eq!(tree.expect("memory is readable").root(), before.state_root, "{name}");
    assert_eq!(*chain.ledger.tip(), before, "{name}");
}

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
    let cheat = double_vote(chain.ledger.chain(), &common::founding_signer(3), 2);
    let ended = Epoch::new(2);
    vec![
        (owner(4), transfer(&owner(5), good(1))),
        (owner(5), Action::BuySlot(slot)),
        (association(2), Action::RequestAssociation(Box::new(ask))),
        (association(0), Action::RenewAssociation(Box::new(renew))),
        (association(1), withdraw(*pending)),
        (owner(0), voice(*pending, BallotKind::Admission, true)),
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
        let want = Refusal::UnderFee(chain.parameters().fee_min);
        check(chain, name, &with_fee(chain, key, under, action.clone()), want);
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

fn signatures_hold(chain: &Chain, transaction: &Transaction) -> bool {
    let mut hold = true;
    transaction.signatures(chain.ledger.chain(), |key, digest, signature| {
        hold &= verify(&key, &digest, &signature);
    });
    hold
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
        memo: common::text("for bread"),
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
fn slots_are_refused_for_their_reason() {
    let mut stage = stage();
    let (admitted, pending) = (stage.admitted, stage.pending);
    let chain = &mut stage.chain;
    let open = chain.bids().epoch;
    assert_eq!(open, Epoch::new(5));
    let mut cases = Vec::new();
    for (asked, name) in [(3, "the epoch that runs"), (4, "frozen"), (0, "long over")] {
        let asked_epoch = Epoch::new(asked);
        let want = Refusal::SlotWindowPassed { asked: asked_epoch, open };
        cases.push((name, chain.buy_in(&owner(5), good(2), asked), want));
    }
    let want = Refusal::SlotWindowNotOpen { asked: Epoch::new(6), open };
    cases.push(("not open", chain.buy_in(&owner(5), good(2), 6), want));
    let cheap = grains(good(1).get() - 1);
    cases.push(("cheap", chain.buy(&owner(5), cheap), Refusal::UnderSlotPrice(good(1))));
    cases.push(("free", chain.buy(&owner(5), Grains::ZERO), Refusal::UnderSlotPrice(good(1))));
    let prefer = chain.buy_preferring(&owner(5), good(2), pending);
    cases.push(("pending preference", prefer, Refusal::PreferenceNotAdmitted));
    let unknown = AssociationId(Digest32::ZERO);
    let prefer = chain.buy_preferring(&owner(5), good(2), unknown);
    cases.push(("unknown preference", prefer, Refusal::PreferenceNotAdmitted));
    let holds = Refusal::AssociationHoldsSlot;
    cases.push(("admitted buyer", chain.buy(&association(0), good(1)), holds));
    cases.push(("pending buyer", chain.buy(&association(1), good(1)), holds));
    for (name, transaction, want) in &cases {
        check(chain, name, transaction, *want);
    }
    let taken = chain.buy_preferring(&owner(5), good(2), admitted);
    chain.seal(&[taken]);
}

#[test]
fn a_signer_key_serves_one_slot() {
    let mut stage = stage();
    let chain = &mut stage.chain;
    let reuse = |chain: &Chain, buyer: &SigningKey, signer: &SigningKey| {
        let epoch = chain.bids().epoch;
        let digest = slot_consent(chain.ledger.chain(), &buyer.public(), epoch);
        chain.sign(
            buyer,
            Action::BuySlot(BuySlot {
                epoch,
                amount: good(2),
                signer: signer.public(),
                consent: signer.sign(&digest),
                reveal_head: Digest32::ZERO,
                preference: None,
            }),
        )
    };
    let founding = common::founding_signer(0);
    check(chain, "in charge", &reuse(chain, &owner(5), &founding), Refusal::SignerTaken);
    let slot = chain.slot(&owner(5), good(2));
    let signer = chain.signer(&slot.signer).clone();
    let bought = chain.sign(&owner(5), Action::BuySlot(slot));
    chain.seal(&[bought]);
    check(chain, "bought now", &reuse(chain, &owner(6), &signer), Refusal::SignerTaken);
    chain.begin_epoch(4);
    check(chain, "frozen", &reuse(chain, &owner(6), &signer), Refusal::SignerTaken);
    chain.begin_epoch(5);
    check(chain, "in charge", &reuse(chain, &owner(6), &signer), Refusal::SignerTaken);
    chain.begin_epoch(6);
    check(chain, "its set carries on", &reuse(chain, &owner(5), &signer), Refusal::SignerTaken);
}

#[test]
fn requests_are_refused_for_their_reason() {
    let Stage { chain, .. } = stage();
    let honest = request(&chain, &association(2));
    let check_request = |name: &str, change: &dyn Fn(&mut RequestAssociation), want: Refusal| {
        let mut changed = honest.clone();
        change(&mut changed);
        let action = Action::RequestAssociation(Box::new(changed));
        check(&chain, name, &chain.sign(&association(2), action), want);
    };
    let name = Refusal::MalformedRequest("name");
    check_request("no name", &|r| r.name.clear(), name);
    check_request("blank name", &|r| r.name = common::text(" "), name);
    check_request("padded name", &|r| r.name = common::text("Seeds "), name);
    check_request("name of two lines", &|r| r.name = common::text("See\nds"), name);
    for web in [
        "",
        "seeds.example",
        "http://seeds.example",
        "https://",
        "https://seeds",
        "https://seeds..example",
        "https://.example",
        "https://seeds.example /",
        "https://seeds.example/a b",
        "https://user@seeds.example",
        "https://seeds.example:80",
        "https://se\u{0435}ds.example",
    ] {
        let want = Refusal::MalformedRequest("web address");
        check_request(web, &|r| r.web = common::text(web), want);
    }
    check_request("no evidence", &|r| r.evidence.clear(), Refusal::MalformedRequest("evidence"));
    let deposit = chain.parameters().association_deposit;
    let missing = Refusal::DepositMissing(deposit);
    check_request("no deposit", &|r| r.deposit = Grains::ZERO, missing);
    check_request("small deposit", &|r| r.deposit = grains(deposit.get() - 1), missing);
    for (first, length) in [(0x30, 0), (0x31, 64)] {
        let certificate = [first, 1, 2].into_iter().collect();
        let signature = vec![5; length].into_iter().collect();
        let scheme = SignatureScheme::EcdsaP256Sha256;
        let identity = IdentityProof::Certificate(Box::new(CertificateProof {
            scheme,
            certificate,
            signature,
        }));
        let want = Refusal::MalformedRequest("proof of identity");
        check_request("certificate", &|r| r.identity = identity.clone(), want);
    }
    let action = |key: &_| Action::RequestAssociation(Box::new(request(&chain, key)));
    let again = |key: SigningKey| chain.sign(&key, action(&key));
    check(&chain, "pending", &again(association(1)), Refusal::AlreadyRequested);
    check(&chain, "admitted", &again(association(0)), Refusal::AlreadyRequested);
    check(&chain, "validator", &again(owner(0)), Refusal::AssociationHoldsSlot);
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
    forge("another name", &|r| r.name = common::text("Weeds"));
    forge("another category", &|r| r.category = goodwatt_chain::transaction::Category::Climate);
    forge("another address", &|r| r.web = common::text("https://weeds.example"));
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

#[test]
fn voices_are_refused_for_their_reason() {
    let Stage { mut chain, admitted, pending } = stage();
    let unknown = AssociationId(Digest32::ZERO);
    let admission = BallotKind::Admission;
    let first = chain.sign(&owner(0), voice(pending, admission, true));
    chain.seal(&[first]);
    let vote = |key: &SigningKey, id, kind, approve| chain.sign(key, voice(id, kind, approve));
    let check = |name: &str, transaction, want| check(&chain, name, &transaction, want);
    check("not live", vote(&owner(5), pending, admission, true), Refusal::NotElector);
    check("itself", vote(&association(1), pending, admission, true), Refusal::OwnAssociation);
    check("unknown", vote(&owner(1), unknown, admission, true), Refusal::UnknownAssociation);
    check("twice", vote(&owner(0), pending, admission, true), Refusal::AlreadyVoted);
    check("no such vote", vote(&owner(1), admitted, admission, true), Refusal::NoBallot);
    let removal = BallotKind::Removal;
    check("not live", vote(&owner(5), admitted, removal, true), Refusal::NotElector);
    check("not admitted", vote(&owner(1), pending, removal, true), Refusal::NoBallot);
}

#[test]
fn associations_act_for_themselves_alone() {
    let Stage { chain, admitted, pending } = stage();
    let renew = |key: &SigningKey, id| {
        chain.sign(key, Action::RenewAssociation(Box::new(renewal(&chain, key, id))))
    };
    let take_back = |key: &SigningKey, id| chain.sign(key, withdraw(id));
    let check = |name: &str, transaction, want| check(&chain, name, &transaction, want);
    let unknown = AssociationId(Digest32::ZERO);
    let (of_admitted, of_pending) = (association(0), association(1));
    check("another's", renew(&of_pending, admitted), Refusal::NotYourAssociation);
    check("another's", take_back(&of_admitted, pending), Refusal::NotYourAssociation);
    check("unknown", renew(&of_admitted, unknown), Refusal::UnknownAssociation);
    check("unknown", take_back(&of_admitted, unknown), Refusal::UnknownAssociation);
    check("pending", renew(&of_pending, pending), Refusal::WrongStatus("pending"));
    check("admitted", take_back(&of_admitted, admitted), Refusal::WrongStatus("admitted"));
    let mut empty = renewal(&chain, &of_admitted, admitted);
    empty.evidence.clear();
    let empty = chain.sign(&of_admitted, Action::RenewAssociation(Box::new(empty)));
    check("no evidence", empty, Refusal::MalformedRequest("evidence"));
}

#[test]
fn reports_are_refused_for_their_reason() {
    let Stage { mut chain, .. } = stage();
    let ended = Epoch::new(2);
    let hour = |watts: u64| watts * 3_600 * 1_000_000;
    let rails = EnergyMethod::MeasuredRails;
    let first = chain.sign(&owner(1), report(ended, hour(3), rails, 10));
    chain.seal(&[first]);
    let check = |name: &str, key: u32, action, want| {
        check(&chain, name, &chain.sign(&owner(key), action), want);
    };
    let (energy, error) = (Refusal::AbsurdEnergy, Refusal::AbsurdError);
    check("twice", 1, report(ended, hour(3), rails, 11), Refusal::ReportedTwice);
    check("no validator", 5, report(ended, hour(3), rails, 10), Refusal::NotValidatorOfTerm);
    for epoch in [0, 1, 3, 4] {
        let want = Refusal::WrongReportEpoch(ended);
        check("epoch", 2, report(Epoch::new(epoch), hour(3), rails, 10), want);
    }
    check("none", 2, report(ended, 0, rails, 10), energy);
    check("under 10 mW", 2, report(ended, hour(1) / 100 - 1, rails, 10), energy);
    check("over 1 kW", 2, report(ended, hour(1_000) + 1, rails, 10), energy);
    check("overflow", 2, report(ended, u64::MAX, rails, 10), energy);
    check("exact", 2, report(ended, hour(3), rails, 0), error);
    check("unsure", 2, report(ended, hour(3), rails, 1_001), error);
    check("sure model", 2, report(ended, hour(3), EnergyMethod::Modelled, 49), error);
    for (number, energy, error) in [(2, hour(1) / 100, 1), (3, hour(1_000), 1_000)] {
        let transaction = chain.sign(&owner(number), report(ended, energy, rails, error));
        chain.propose(&[transaction]).map(|p| assert!(p.refused.is_empty())).expect("the edge");
    }
    let fresh = Chain::new(1);
    let early = fresh.sign(&owner(0), report(Epoch::ZERO, hour(3), rails, 10));
    assert_eq!(fresh.refusal(&early), Refusal::NothingToReport);
}

#[test]
fn evidence_is_refused_for_its_reason() {
    let Stage { mut chain, .. } = stage();
    let id = *chain.ledger.chain();
    let cheat = common::founding_signer(3);
    let accuse = |chain: &Chain, evidence| chain.evidence(&owner(6), evidence);
    let block = common::make::block_id(1);
    let same = votes(&id, &cheat, Some(block), Some(block), 2);
    check(&chain, "the same vote", &accuse(&chain, same), Refusal::NoConflict);
    let Evidence::Votes(low, _) = double_vote(&id, &cheat, 2) else { panic!("votes") };
    let Evidence::Votes(_, high) = double_vote(&id, &cheat, 3) else { panic!("votes") };
    let heights = Evidence::Votes(low, high);
    check(&chain, "two heights", &accuse(&chain, heights), Refusal::NoConflict);
    let proposal = |signer: &SigningKey, round| {
        let (height, round) = (Height::new(2), Round::new(round));
        let signer_key = signer.public();
        let pol_round = None;
        Proposal { height, round, block, pol_round, signer: signer_key }.sign(&id, signer)
    };
    let rounds = Evidence::Proposals(proposal(&cheat, 0), proposal(&cheat, 1));
    check(&chain, "two rounds", &accuse(&chain, rounds), Refusal::NoConflict);
    let unknown = double_vote(&id, &key("nobody", 0), 2);
    check(&chain, "nobody's", &accuse(&chain, unknown), Refusal::UnknownSigner);
    let before = double_vote(&id, &cheat, 0);
    check(&chain, "before the first block", &accuse(&chain, before), Refusal::EvidenceTooOld);

    // Two votes of two keys: the second is not covered by the first's key.
    let other = double_vote(&id, &common::founding_signer(2), 2);
    let (Evidence::Votes(mine, _), Evidence::Votes(_, theirs)) =
        (double_vote(&id, &cheat, 2), other)
    else {
        panic!("votes")
    };
    let mixed = accuse(&chain, Evidence::Votes(mine, theirs));
    assert!(!signatures_hold(&chain, &mixed));
    check(&chain, "two keys", &mixed, Refusal::NoConflict);

    let proven = accuse(&chain, double_vote(&id, &cheat, 2));
    chain.seal(&[proven]);
    let again = votes(&id, &cheat, None, Some(block), 2);
    check(&chain, "seen", &accuse(&chain, again), Refusal::EvidenceSeen);
}

#[test]
fn single_sealing_takes_one_and_leaves_the_rest() {
    let mut chain = Chain::with(1, |parameters| parameters.sealing = SealingRule::Single);
    let waiting: Vec<_> =
        (0..3).map(|n| chain.sign_later(&owner(0), n, transfer(&owner(1), good(1)))).collect();
    let block = chain.seal(&waiting);
    assert_eq!(block.transactions.len(), 1);
}
