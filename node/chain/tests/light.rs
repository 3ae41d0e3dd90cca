//! A light peer beside a chain whose sets change: what it takes, and each way to lie to it.

mod common;

use common::{Chain, good, key, owner};
use goodwatt_chain::block::{Block, Certificate, CertificateError, CommitSignature, Header};
use goodwatt_chain::codec::{self, DecodeError};
use goodwatt_chain::hash::{BlockId, Digest32, TxId};
use goodwatt_chain::history::HistoryProof;
use goodwatt_chain::light::{LightError, LightPeer, Question};
use goodwatt_chain::merkle;
use goodwatt_chain::proof::{
    Ancestor, DecidedHeader, ProofError, StateLeafProof, TransactionProof,
};
use goodwatt_chain::signature::SigningKey;
use goodwatt_chain::state::Key;
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::tree;
use goodwatt_chain::units::{Height, UnixMillis};
use goodwatt_chain::validators::{Validator, ValidatorSet};
use goodwatt_chain::vote::{Vote, VoteKind};
use goodwatt_units::Millis;

/// A chain whose blocks are all kept, as a light peer may be shown them.
struct Shown {
    chain: Chain,
    blocks: Vec<(DecidedHeader, Block)>,
}

impl Shown {
    /// Four validators in the first two epochs.
    fn new() -> Self {
        Self { chain: Chain::new(4), blocks: Vec::new() }
    }

    fn seal(&mut self, transactions: &[Transaction]) {
        let block = self.chain.seal(transactions);
        let validators = ValidatorSet::clone(&self.chain.ledger.in_charge().decided_tip);
        let certificate = self.chain.certificate.clone().expect("it was decided");
        let decided = DecidedHeader { header: block.header.clone(), certificate, validators };
        self.blocks.push((decided, block));
    }

    fn pay(&mut self) {
        let to = owner(9);
        let payment = self.chain.sign(&owner(0), common::make::transfer(&to, good(1)));
        self.seal(&[payment]);
    }

    /// The next epoch, for which another three have bought slots before.
    fn next_epoch(&mut self) {
        let first = self.chain.epoch().get() as u32 % 3;
        let bought = (first..first + 3).map(|number| self.chain.buy(&owner(number), good(5)));
        let bought: Vec<Transaction> = bought.collect();
        self.seal(&bought);
        let next = self.chain.epoch().get() + 1;
        self.chain.move_to(next);
        self.seal(&[]);
        self.pay();
    }

    fn at(&self, height: usize) -> &DecidedHeader {
        &self.blocks[height - 1].0
    }

    fn tip(&self) -> &DecidedHeader {
        self.at(self.blocks.len())
    }

    fn light(&self) -> LightPeer {
        LightPeer::begin(self.chain.genesis())
    }

    /// What an honest node answers to a light peer: blocks that hand over, then the tip.
    fn steps(&self) -> Vec<DecidedHeader> {
        let hands_over =
            |d: &&DecidedHeader| d.header.next_validators_hash != d.header.validators_hash;
        let all = self.blocks.iter().map(|(decided, _)| decided);
        let mut steps: Vec<DecidedHeader> = all.filter(hands_over).cloned().collect();
        if steps.last() != Some(self.tip()) {
            steps.push(self.tip().clone());
        }
        steps
    }

    fn account_proof(&self, of: &SigningKey) -> StateLeafProof {
        let leaf = Key::Account(of.public()).leaf();
        let ledger = &self.chain.ledger;
        let path = ledger.tree().prove(ledger.leaves(), &leaf).expect("memory is readable");
        StateLeafProof { decided: self.tip().clone(), path }
    }

    fn transaction_proof(&self, height: usize) -> (TxId, TransactionProof) {
        let block = &self.blocks[height - 1].1;
        let ids: Vec<TxId> =
            block.transactions.iter().map(|raw| Transaction::id_of(&raw.0)).collect();
        let path = merkle::prove(&ids, 0).expect("there is one");
        let blocks = self.blocks.len() as u64 - 1;
        let id_at = |at: Height| Some(self.blocks.get(at.get() as usize - 1)?.0.header.id());
        let at = Height::new(height as u64);
        let ancestor = (height < self.blocks.len()).then(|| Ancestor {
            header: block.header.clone(),
            path: HistoryProof::new(blocks, at, id_at).expect("all blocks are here"),
        });
        (ids[0], TransactionProof { decided: self.tip().clone(), ancestor, path })
    }

    /// A header like `like`, changed, and signed by those who decided that one.
    fn signed(&self, like: &DecidedHeader, change: impl FnOnce(&mut Header)) -> DecidedHeader {
        let DecidedHeader { mut header, validators, .. } = like.clone();
        change(&mut header);
        let signer = |validator: &Validator| self.chain.signer(&validator.signer).clone();
        let keys: Vec<SigningKey> = validators.iter().map(signer).collect();
        let certificate = certify(&self.chain, &header, &keys);
        DecidedHeader { header, certificate, validators }
    }
}

fn certify(chain: &Chain, header: &Header, keys: &[SigningKey]) -> Certificate {
    let Header { height, round, .. } = *header;
    let block = header.id();
    let commit = |(position, key): (usize, &SigningKey)| {
        let kind = VoteKind::Precommit;
        let vote = Vote { kind, height, round, block: Some(block), signer: key.public() };
        let signature = key.sign(&vote.digest(chain.ledger.chain()));
        CommitSignature { validator: position as u8, signature }
    };
    let signatures = keys.iter().enumerate().map(commit).collect();
    Certificate { height, round, block, signatures }
}

/// Six epochs, in five of which another set is in charge.
fn shown() -> Shown {
    let mut shown = Shown::new();
    shown.pay();
    (0..6).for_each(|_| shown.next_epoch());
    shown
}

#[test]
fn sets_are_followed_and_answers_taken() {
    let shown = shown();
    let steps = shown.steps();
    assert!(steps.len() > 4, "{} steps", steps.len());
    let mut light = shown.light();
    assert!(light.sight().is_none());
    light.follow(&steps).expect("an honest node");
    let sight = light.sight().expect("a block");
    assert_eq!((sight.height, sight.block), (shown.tip().header.height, shown.tip().header.id()));
    let support = sight.support.expect("validators");
    assert_eq!((support.signers, support.validators), (3, 3));
    assert_eq!((support.weight, support.total), (15_000_000, 15_000_000));

    let account = light.account(&owner(9).public(), &shown.account_proof(&owner(9)));
    let account = account.expect("it is proven").expect("it was paid");
    assert_eq!(account, shown.chain.account(&owner(9).public()));
    let nobody = key("nobody", 1);
    assert_eq!(light.account(&nobody.public(), &shown.account_proof(&nobody)), Ok(None));

    for height in [1, shown.blocks.len()] {
        let (id, proof) = shown.transaction_proof(height);
        let raw = &shown.blocks[height - 1].1.transactions[0];
        let (transaction, at, position) = light.transaction(&id, raw, &proof).expect("proven");
        assert_eq!((transaction.id(), at, position), (id, Height::new(height as u64), 0));
    }
}

#[test]
fn one_step_after_the_other_leads_to_the_same_place() {
    let shown = shown();
    let (mut together, mut single) = (shown.light(), shown.light());
    together.follow(&shown.steps()).expect("an honest node");
    for step in shown.steps() {
        let question =
            Question::Follow { after: single.height(), trusted: step.header.validators_hash };
        assert_eq!(single.next_step(), question, "the question names the set that is trusted");
        single.follow(&[step]).expect("an honest node");
        // What is kept between two calls reads back.
        let kept = single.encode();
        single = LightPeer::decode(shown.chain.ledger.chain(), &kept).expect("it reads back");
    }
    assert_eq!(single, together);
    let all = shown.blocks.iter().map(|(decided, _)| decided.clone());
    let mut each = shown.light();
    each.follow(&all.collect::<Vec<_>>()).expect("every block is a step");
    assert_eq!(each, together);
}

#[test]
fn a_set_that_is_not_the_next_one_is_not_followed() {
    let shown = shown();
    let steps = shown.steps();
    let untrusted =
        |error| matches!(error, Err(LightError::Proof(ProofError::UntrustedValidators { .. })));
    let mut light = shown.light();
    assert!(untrusted(light.follow(&steps[1..])), "the first set left out");
    assert!(light.sight().is_none(), "nothing was verified");
    let skipped = [&steps[..2], &steps[3..]].concat();
    assert!(untrusted(light.follow(&skipped)), "a set in between left out");
    assert_eq!(light.height(), steps[1].header.height, "what was proven before it stays");
    assert!(untrusted(light.advance(&steps[3]).map(drop)), "the wrong epoch's set");

    // The set of an epoch that is over decides on: nobody hands the trust back to it.
    light.follow(&steps[2..]).expect("an honest node");
    let past = shown.signed(&steps[1], |header| {
        header.height = shown.tip().header.height.next();
        header.time = shown.tip().header.time.after(Millis::from_secs(1));
    });
    assert!(untrusted(light.advance(&past).map(drop)));
}

#[test]
fn certificates_that_prove_nothing_are_refused() {
    let shown = shown();
    let steps = shown.steps();
    let (before, last) = steps.split_at(steps.len() - 1);
    let check = |name: &str, want: CertificateError, spoil: &dyn Fn(&mut DecidedHeader)| {
        let mut lie = last[0].clone();
        spoil(&mut lie);
        let mut light = shown.light();
        let all = [before, &[lie]].concat();
        let want = LightError::Proof(ProofError::Certificate(want));
        assert_eq!(light.follow(&all), Err(want), "{name}");
        assert_eq!(light.height(), before[before.len() - 1].header.height, "{name}");
    };
    let quorum = CertificateError::NoQuorum { weight: 10_000_000, total: 15_000_000 };
    check("two thirds and not more", quorum, &|lie| {
        lie.certificate.signatures.pop();
    });
    check("one signer twice", CertificateError::Positions, &|lie| {
        lie.certificate.signatures[2] = lie.certificate.signatures[1];
    });
    check("a signer of no place", CertificateError::Positions, &|lie| {
        lie.certificate.signatures[2].validator = 3;
    });
    check("a signature of another", CertificateError::Signature, &|lie| {
        lie.certificate.signatures[2].signature = lie.certificate.signatures[1].signature;
    });
    check("signatures of another round", CertificateError::Signature, &|lie| {
        lie.certificate.round = lie.certificate.round.next();
    });
    let strangers: Vec<SigningKey> = (0..3).map(|number| key("stranger", number)).collect();
    check("strangers", CertificateError::Signature, &|lie| {
        lie.certificate = certify(&shown.chain, &lie.header, &strangers);
    });
    // A header that was changed after it was decided.
    let mut lie = last[0].clone();
    lie.header.state_root = Digest32::ZERO;
    let want = Err(LightError::Proof(ProofError::OtherBlock));
    assert_eq!(shown.light().follow(&[before, &[lie]].concat()), want);
}

#[test]
fn a_set_of_ones_own_making_decides_nothing() {
    let shown = shown();
    let keys: Vec<SigningKey> = (0..3).map(|number| key("stranger", number)).collect();
    let owned = |key: &SigningKey| Validator {
        owner: key.public(),
        signer: key.public(),
        weight: good(1_000),
    };
    let validators = ValidatorSet::new(keys.iter().map(owned));
    let mut header = shown.at(1).header.clone();
    header.validators_hash = validators.hash();
    let certificate = certify(&shown.chain, &header, &keys);
    let lie = DecidedHeader { header, certificate, validators };
    let error = shown.light().follow(&[lie]).expect_err("a lie");
    assert!(matches!(error, LightError::Proof(ProofError::UntrustedValidators { .. })), "{error}");
}

#[test]
fn nobody_goes_back() {
    let shown = shown();
    let mut light = shown.light();
    light.follow(&shown.steps()).expect("an honest node");
    let (found, known) = (Height::new(2), light.height());
    let before = light.clone();
    assert_eq!(light.advance(shown.at(2)).map(drop), Err(LightError::Behind { found, known }));
    assert_eq!(light.follow(&[]), Err(LightError::NoStep(known)));
    // The very block once more is no news, and no lie.
    assert_eq!(light.follow(&[shown.tip().clone()]), Err(LightError::NoStep(known)));
    assert!(light.advance(shown.tip()).is_ok());
    assert_eq!(light, before);
}

#[test]
fn a_fork_is_told_from_a_lie() {
    let shown = shown();
    let mut light = shown.light();
    light.follow(&shown.steps()).expect("an honest node");
    let tip = shown.tip();
    let (height, known) = (tip.header.height, tip.header.id());
    let fork = shown.signed(tip, |header| header.state_root = Digest32::ZERO);
    let found = fork.header.id();
    let want = Err(LightError::Forked { height, known, found });
    assert_eq!(light.advance(&fork).map(drop), want);

    let orphan = shown.signed(tip, |header| {
        header.height = header.height.next();
        header.parent = BlockId(Digest32::new([9; 32]));
        header.time = header.time.after(Millis::from_secs(1));
    });
    let found = orphan.header.parent;
    assert_eq!(light.advance(&orphan).map(drop), Err(LightError::Forked { height, known, found }));
    // Without its signatures it is nobody's word.
    let forged = DecidedHeader {
        certificate: Certificate {
            signatures: fork.certificate.signatures,
            ..orphan.certificate.clone()
        },
        ..orphan
    };
    let want = LightError::Proof(ProofError::Certificate(CertificateError::Signature));
    assert_eq!(light.advance(&forged).map(drop), Err(want));

    let early = shown.signed(tip, |header| {
        header.height = Height::new(header.height.get() + 5);
        header.time = UnixMillis::new(1);
    });
    assert_eq!(light.advance(&early).map(drop), Err(LightError::Time(early.header.height)));
    let other = shown.signed(tip, |header| {
        header.chain = goodwatt_chain::hash::ChainId(Digest32::new([8; 32]));
    });
    let want = ProofError::WrongChain(other.header.chain);
    assert_eq!(light.advance(&other).map(drop), Err(LightError::Proof(want)));
}

#[test]
fn what_is_not_below_the_header_is_not_taken() {
    let shown = shown();
    let mut light = shown.light();
    light.follow(&shown.steps()).expect("an honest node");
    let root = LightError::Proof(ProofError::State(tree::ProofError::Root));
    let of_another = shown.account_proof(&owner(8));
    assert_eq!(light.account(&owner(9).public(), &of_another), Err(root));
    // A richer ledger, with its own root under the decided header.
    let mut other = self::shown();
    other.pay();
    let richer = StateLeafProof { decided: shown.tip().clone(), ..other.account_proof(&owner(9)) };
    assert_eq!(light.account(&owner(9).public(), &richer), Err(root));

    let (id, proof) = shown.transaction_proof(1);
    let raw = &shown.blocks[0].1.transactions[0];
    let other = &shown.blocks[1].1.transactions[0];
    let error = light.transaction(&id, other, &proof).expect_err("another transaction");
    assert_eq!(error, LightError::OtherTransaction(Transaction::id_of(&other.0)));
    let unproven = TransactionProof { ancestor: None, ..proof.clone() };
    let want = LightError::Proof(ProofError::Transaction);
    assert_eq!(light.transaction(&id, raw, &unproven), Err(want));
    let mut elsewhere = proof;
    if let Some(ancestor) = &mut elsewhere.ancestor {
        ancestor.header.time = UnixMillis::new(1);
    }
    let want = LightError::Proof(ProofError::Ancestor);
    assert_eq!(light.transaction(&id, raw, &elsewhere), Err(want));
}

#[test]
fn a_checkpoint_begins_where_it_says_and_nowhere_else() {
    let shown = shown();
    let middle = shown.steps()[2].header.clone();
    let (genesis, wanted) = (shown.chain.genesis(), middle.id());
    let other = shown.at(1).header.clone();
    let found = other.id();
    let error = LightPeer::begin_at(genesis, wanted, other).expect_err("another block");
    assert_eq!(error, LightError::Checkpoint { found, wanted });

    let mut light = LightPeer::begin_at(genesis, wanted, middle.clone()).expect("that block");
    assert_eq!(light.sight().map(|sight| (sight.block, sight.support)), Some((wanted, None)));
    let kept = LightPeer::decode(&genesis.chain_id(), &light.encode());
    assert_eq!(kept.as_ref(), Ok(&light));
    light.follow(&shown.steps()[3..]).expect("an honest node");
    let mut whole = shown.light();
    whole.follow(&shown.steps()).expect("an honest node");
    assert_eq!(light, whole);

    // Somebody decided another block than the one that the checkpoint names.
    let mut light = LightPeer::begin_at(genesis, wanted, middle).expect("that block");
    let fork = shown.signed(&shown.steps()[2], |header| header.state_root = Digest32::ZERO);
    let found = fork.header.id();
    assert_eq!(light.advance(&fork).map(drop), Err(LightError::Checkpoint { found, wanted }));
}

#[test]
fn what_was_kept_is_believed_only_whole() {
    let shown = shown();
    let mut light = shown.light();
    light.follow(&shown.steps()).expect("an honest node");
    let (chain, kept) = (shown.chain.ledger.chain(), light.encode());
    for at in 0..kept.len() {
        let mut damaged = kept.clone();
        damaged[at] ^= 4;
        assert!(LightPeer::decode(chain, &damaged).is_err(), "byte {at} of {}", kept.len());
        assert!(LightPeer::decode(chain, &kept[..at]).is_err(), "cut at {at}");
    }
    let other = goodwatt_chain::hash::ChainId(Digest32::new([8; 32]));
    assert_eq!(LightPeer::decode(&other, &kept), Err(ProofError::WrongChain(*chain)));
    let version = ProofError::Decode(DecodeError::UnknownVersion(9));
    assert_eq!(LightPeer::decode(chain, &[9]), Err(version));
}

#[test]
fn trust_outlives_the_vesting_delay_and_no_longer() {
    let shown = shown();
    let genesis = shown.chain.genesis();
    let mut light = shown.light();
    let delay = genesis.parameters.epoch_length.saturating_mul(genesis.parameters.vesting_delay);
    let past = delay.saturating_add(Millis::new(1));
    assert!(!light.outlived(genesis, genesis.time.after(delay)));
    assert!(light.outlived(genesis, genesis.time.after(past)));
    light.follow(&shown.steps()).expect("an honest node");
    let time = shown.tip().header.time;
    assert!(!light.outlived(genesis, time.after(delay)));
    assert!(light.outlived(genesis, time.after(past)));
    // A clock that stands before the chain tells nothing.
    assert!(!light.outlived(genesis, UnixMillis::new(0)));
}

#[test]
fn answers_are_as_short_as_they_can_be() {
    let shown = shown();
    let decided = codec::encode(shown.tip()).len();
    // A header, three signatures, three validators.
    assert!(decided < 352 + 3 * 66 + 3 * 74 + 40, "{decided}");
    assert!(codec::encode(&shown.account_proof(&owner(9))).len() < decided + 400);
}
