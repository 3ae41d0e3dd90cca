//! What each kind of transaction is refused for, and that a refusal changes nothing.

mod common;

use common::make::{
    block_id, double_vote, identify, identify_renewal, renewal, report, request, voice, votes,
    withdraw,
};
use common::stage::{Stage, check, signatures_hold, stage};
use common::{Chain, association, founding_signer, good, grains, key, owner, text};
use goodwatt_chain::hash::{AssociationId, Digest32};
use goodwatt_chain::rules::Refusal;
use goodwatt_chain::signature::SigningKey;
use goodwatt_chain::transaction::{
    Action, BallotKind, BuySlot, CertificateProof, EnergyMethod, IdentityProof, RequestAssociation,
    SignatureScheme, slot_consent,
};
use goodwatt_chain::units::{Epoch, Grains, Height, Round};
use goodwatt_chain::vote::{Evidence, Proposal};

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
    let founding = founding_signer(0);
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
        let sender = association(2).public();
        change(&mut changed);
        if matches!(changed.identity, IdentityProof::Published { .. }) {
            identify(chain.ledger.chain(), &sender, &mut changed, &key("published", 0));
        }
        let action = Action::RequestAssociation(Box::new(changed));
        check(&chain, name, &chain.sign(&association(2), action), want);
    };
    let name = Refusal::MalformedRequest("name");
    check_request("no name", &|r| r.name.clear(), name);
    check_request("blank name", &|r| r.name = text(" "), name);
    check_request("padded name", &|r| r.name = text("Seeds "), name);
    check_request("name of two lines", &|r| r.name = text("See\nds"), name);
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
        check_request(web, &|r| r.web = text(web), want);
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
    identify_renewal(chain.ledger.chain(), &of_admitted.public(), &mut empty);
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
    let cheat = founding_signer(3);
    let accuse = |chain: &Chain, evidence| chain.evidence(&owner(6), evidence);
    let block = block_id(1);
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
    let other = double_vote(&id, &founding_signer(2), 2);
    let (Evidence::Votes(mine, _), Evidence::Votes(_, theirs)) =
        (double_vote(&id, &cheat, 2), other)
    else {
        panic!("votes")
    };
    let mixed = accuse(&chain, Evidence::Votes(mine, theirs));
    assert!(!signatures_hold(&chain, &mixed));
    assert_eq!(chain.refusal(&mixed), Refusal::NoConflict);

    let proven = accuse(&chain, double_vote(&id, &cheat, 2));
    chain.seal(&[proven]);
    let again = votes(&id, &cheat, None, Some(block), 2);
    check(&chain, "seen", &accuse(&chain, again), Refusal::EvidenceSeen);
}
