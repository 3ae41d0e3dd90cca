//! One fixed value of each type, from keys with fixed seeds.

use std::fmt::Debug;

use goodwatt_chain::announcement::Announcement;
use goodwatt_chain::block::{Block, Certificate, CommitSignature, Header, RawTransaction};
use goodwatt_chain::codec;
use goodwatt_chain::genesis::{EcoStatement, EcoWay, Founder, Genesis, Parameters};
use goodwatt_chain::hash::{AssociationId, BlockId, ChainId, Digest32, TxId};
use goodwatt_chain::history::{History, HistoryProof};
use goodwatt_chain::leaves::{LeafChanges, MemoryLeaves};
use goodwatt_chain::ledger::Tip;
use goodwatt_chain::light::{Answer, Excuse, Question};
use goodwatt_chain::merkle;
use goodwatt_chain::proof::{Ancestor, DecidedHeader, StateLeafProof, TransactionProof};
use goodwatt_chain::reveal::RevealChain;
use goodwatt_chain::rules::reveals_link;
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::state::{
    Account, Attendance, Ballot, Bid, Bids, Elector, Key, Registry, Release, Reported, Roster,
    Seat, Stake, Standing, Status, Term, Tombstone, Totals, Unlocking, Vesting,
};
use goodwatt_chain::transaction::{
    Action, BallotKind, BuySlot, Category, CertificateProof, Delegate, EnergyMethod, IdentityProof,
    RenewAssociation, ReportEnergy, RequestAssociation, SignatureScheme, Transaction, Transfer,
    VoteAssociation, WithdrawRequest, association_id, identity_statement, renewal_statement,
    slot_consent,
};
use goodwatt_chain::tree::{StateProof, StateTree};
use goodwatt_chain::units::{Epoch, Grains, Height, Round, UnixMillis};
use goodwatt_chain::validators::{Validator, ValidatorSet};
use goodwatt_chain::vote::{Evidence, Proposal, SignedProposal, SignedVote, Vote, VoteKind};
use goodwatt_units::MicroJoules;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The key whose seed is 32 times this byte.
fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn public(seed: u8) -> PublicKey {
    key(seed).public()
}

/// The digest of 32 times this byte.
fn digest(byte: u8) -> Digest32 {
    Digest32::new([byte; 32])
}

fn good(good: u32) -> Grains {
    Grains::from_good(good)
}

fn genesis() -> Genesis {
    Genesis {
        name: "sample".try_into().expect("short"),
        time: UnixMillis::new(1_795_219_200_000),
        eco: EcoStatement {
            way: EcoWay::Replaces,
            sentence: "A sentence.".try_into().expect("short"),
            measure: "A measure.".try_into().expect("short"),
        },
        parameters: Parameters { validators_min: 1, ..Parameters::default() },
        balances: vec![(public(1), good(1_000))],
        founders: [Founder {
            owner: public(1),
            signer: public(2),
            weight: good(100),
            reveal_head: digest(0x0a),
        }]
        .into_iter()
        .collect(),
    }
}

fn chain() -> ChainId {
    genesis().chain_id()
}

fn sign(nonce: u64, action: Action) -> Transaction {
    let fee = Grains::new(1_000).expect("little");
    Transaction::sign(&chain(), &key(1), nonce, fee, action)
}

fn transfer() -> Transaction {
    let memo = "for bread".try_into().expect("short");
    sign(0, Action::Transfer(Transfer { to: public(3), amount: good(2), memo }))
}

fn buy_slot() -> Transaction {
    let epoch = Epoch::new(2);
    sign(
        1,
        Action::BuySlot(BuySlot {
            epoch,
            amount: good(5),
            signer: public(4),
            consent: key(4).sign(&slot_consent(&chain(), &public(1), epoch)),
            reveal_head: digest(0x0b),
            preference: Some(AssociationId(digest(0x0c))),
        }),
    )
}

fn request() -> RequestAssociation {
    let mut request = RequestAssociation {
        name: "Seeds".try_into().expect("short"),
        category: Category::Hunger,
        web: "https://seeds.example".try_into().expect("short"),
        evidence: [digest(0x0d)].into_iter().collect(),
        identity: certificate_proof(),
        deposit: good(10),
    };
    let statement = identity_statement(&chain(), &public(1), &request.claims());
    request.identity =
        IdentityProof::Published { key: public(5), signature: key(5).sign(&statement) };
    request
}

fn certificate_proof() -> IdentityProof {
    IdentityProof::Certificate(Box::new(CertificateProof {
        scheme: SignatureScheme::EcdsaP256Sha256,
        certificate: [0x30, 0x01, 0x00].into_iter().collect(),
        signature: [0x30, 0x02].into_iter().collect(),
    }))
}

fn renewal() -> RenewAssociation {
    RenewAssociation {
        association: AssociationId(digest(0x0c)),
        evidence: [digest(0x0e)].into_iter().collect(),
        identity: certificate_proof(),
    }
}

fn votes() -> Evidence {
    Evidence::Votes(prevote(), Vote { block: None, ..precommit().vote }.sign(&chain(), &key(2)))
}

fn proposals() -> Evidence {
    let other = Proposal { block: BlockId(digest(0x10)), ..proposal().proposal };
    Evidence::Proposals(proposal(), other.sign(&chain(), &key(2)))
}

fn prevote() -> SignedVote {
    Vote {
        kind: VoteKind::Prevote,
        height: Height::new(300),
        round: Round::new(1),
        block: None,
        signer: public(2),
    }
    .sign(&chain(), &key(2))
}

fn precommit() -> SignedVote {
    let block = Some(BlockId(digest(0x0f)));
    Vote { kind: VoteKind::Precommit, block, ..prevote().vote }.sign(&chain(), &key(2))
}

fn proposal() -> SignedProposal {
    Proposal {
        height: Height::new(300),
        round: Round::new(1),
        block: BlockId(digest(0x0f)),
        pol_round: Some(Round::ZERO),
        signer: public(2),
    }
    .sign(&chain(), &key(2))
}

fn validators() -> ValidatorSet {
    ValidatorSet::new([Validator { owner: public(1), signer: public(2), weight: good(100) }])
}

fn ids() -> [TxId; 3] {
    [transfer().id(), buy_slot().id(), TxId(digest(0x11))]
}

fn first_header() -> Header {
    Header {
        version: 1,
        chain: chain(),
        height: Height::new(1),
        round: Round::ZERO,
        parent: BlockId::default(),
        time: UnixMillis::new(1_795_219_201_000),
        proposer: public(2),
        transactions_root: merkle::root(&ids()[..2]),
        transaction_count: 2,
        state_root: tree().0.root(),
        history_root: Digest32::ZERO,
        validators_hash: validators().hash(),
        next_validators_hash: validators().hash(),
        parent_certificate_hash: Digest32::ZERO,
        reveal: Some(digest(0x12)),
    }
}

fn header() -> Header {
    let mut history = History::default();
    history.push(first_header().id());
    Header {
        height: Height::new(2),
        round: Round::new(1),
        parent: first_header().id(),
        time: UnixMillis::new(1_795_219_202_000),
        transactions_root: merkle::root(&ids()[..1]),
        transaction_count: 1,
        history_root: history.root(),
        parent_certificate_hash: certificate(&first_header()).hash(),
        reveal: None,
        ..first_header()
    }
}

fn certificate(header: &Header) -> Certificate {
    let mut certificate = Certificate {
        height: header.height,
        round: header.round,
        block: header.id(),
        signatures: heapless::Vec::new(),
    };
    let vote = certificate.precommit(public(2)).sign(&chain(), &key(2));
    let commit = CommitSignature { validator: 0, signature: vote.signature };
    certificate.signatures = [commit].into_iter().collect();
    certificate
}

fn block() -> Block {
    Block {
        header: header(),
        parent_certificate: Some(certificate(&first_header())),
        transactions: vec![RawTransaction(transfer().bytes().to_vec())],
    }
}

fn account() -> Account {
    Account { nonce: 2, balance: good(900) }
}

/// A state of two leaves.
fn tree() -> (StateTree, MemoryLeaves) {
    let mut leaves = MemoryLeaves::default();
    let (one, other) = (Key::Account(public(1)), Key::Totals);
    leaves.commit(&LeafChanges::from([
        (one.leaf(), Some(codec::encode(&(one.kind(), account())).into())),
        (other.leaf(), Some(codec::encode(&(other.kind(), Totals::default())).into())),
    ]));
    (StateTree::rebuild(&leaves).expect("memory is readable"), leaves)
}

fn state_proof(key: Key) -> StateProof {
    let (tree, leaves) = tree();
    tree.prove(&leaves, &key.leaf()).expect("memory is readable")
}

fn decided() -> DecidedHeader {
    DecidedHeader {
        header: header(),
        certificate: certificate(&header()),
        validators: validators(),
    }
}

fn history_proof() -> HistoryProof {
    let block_at = |height: Height| Some(BlockId(digest(height.get() as u8)));
    HistoryProof::new(3, Height::new(1), block_at).expect("all blocks are here")
}

fn term() -> Term {
    Term {
        epoch: Epoch::new(7),
        seed: digest(0x13),
        carried_on: false,
        begun_at: Height::new(300),
        certificates: 12,
        transactions: 40,
        fold: digest(0x14),
        seats: [Seat {
            validator: *validators().at(0).expect("there is one"),
            reveal: digest(0x0a),
            revealed: true,
            signed: 11,
            proposed: 3,
            fees: Grains::new(3_000).expect("little"),
            reported: Some(Reported {
                energy: MicroJoules::new(9_000_000_000),
                method: EnergyMethod::MeasuredBoardInput,
                error_permille: 35,
            }),
            tombstoned: false,
        }]
        .into_iter()
        .collect(),
    }
}

fn totals() -> Totals {
    Totals {
        pool: good(1),
        deposits: good(2),
        fees_in_flight: good(3),
        vesting: good(4),
        releasing: good(5),
        minted: good(6),
        donated: good(7),
        released: good(8),
    }
}

fn standing() -> Standing {
    Standing {
        key: public(6),
        status: Status::Admitted { expires: Epoch::new(8_767) },
        category: Category::HumanCondition,
        deposit: Grains::ZERO,
        granted_in: Epoch::new(7),
        granted: good(1),
        donated: good(3),
        released: good(2),
    }
}

fn ballot() -> Ballot {
    let elector = Elector { owner: public(1), weight: 100_000_000, approve: Some(true) };
    Ballot {
        kind: BallotKind::Removal,
        closes: Epoch::new(31),
        active_weight: 100_000_000,
        electors: [elector].into_iter().collect(),
    }
}

/// Name and hexadecimal bytes, checked to read back.
fn vector<T>(name: &str, value: &T) -> (String, String)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let bytes = codec::encode(value);
    assert_eq!(codec::decode::<T>(&bytes).as_ref(), Ok(value), "{name} reads back");
    (name.to_owned(), hex(&bytes))
}

fn transaction(name: &str, transaction: &Transaction) -> (String, String) {
    let bytes = transaction.bytes();
    assert_eq!(Transaction::decode(&chain(), bytes).as_ref(), Ok(transaction), "{name}");
    (format!("transaction.{name}"), hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every vector of the document.
pub(crate) fn vectors() -> Vec<(String, String)> {
    [transactions(), messages(), proofs(), light(), records()].concat()
}

fn transactions() -> Vec<(String, String)> {
    let association = AssociationId(digest(0x0c));
    let vote = VoteAssociation { association, kind: BallotKind::Admission, approve: true };
    let report = ReportEnergy {
        epoch: Epoch::new(6),
        energy: MicroJoules::new(9_000_000_000),
        method: EnergyMethod::MeasuredBoardInput,
        error_permille: 10,
    };
    let withdrawal = WithdrawRequest { association };
    let delegation = Delegate { epoch: Epoch::new(2), signer: public(4), amount: good(3) };
    vec![
        transaction("transfer", &transfer()),
        transaction("buy_slot", &buy_slot()),
        transaction("request_association", &sign(2, Action::RequestAssociation(request().into()))),
        transaction("renew_association", &sign(3, Action::RenewAssociation(renewal().into()))),
        transaction("withdraw_request", &sign(4, Action::WithdrawRequest(withdrawal))),
        transaction("vote_association", &sign(5, Action::VoteAssociation(vote))),
        transaction("report_energy", &sign(6, Action::ReportEnergy(report))),
        transaction("submit_evidence", &sign(7, Action::SubmitEvidence(votes().into()))),
        transaction("delegate", &sign(8, Action::Delegate(delegation))),
    ]
}

fn messages() -> Vec<(String, String)> {
    vec![
        vector("vote.prevote", &prevote()),
        vector("vote.precommit", &precommit()),
        vector("proposal", &proposal()),
        vector("announcement", &Announcement::sign(&chain(), &[0x18; 32], &key(2))),
        vector("evidence.votes", &votes()),
        vector("evidence.proposals", &proposals()),
        vector("validators", &validators()),
        vector("certificate", &certificate(&header())),
        vector("header.first", &first_header()),
        vector("header", &header()),
        vector("block", &block()),
        vector("genesis", &genesis()),
    ]
}

fn proofs() -> Vec<(String, String)> {
    let path = merkle::prove(&ids(), 2).expect("there are three");
    let decided = decided();
    let mut history = History::default();
    history.push(first_header().id());
    let tip = Tip {
        height: Height::new(1),
        id: first_header().id(),
        time: first_header().time,
        state_root: first_header().state_root,
        history,
    };
    let state = state_proof(Key::Account(public(1)));
    vec![
        vector("inclusion_proof", &path),
        vector("state_proof.present", &state),
        vector("state_proof.other", &state_proof(Key::Account(public(9)))),
        vector("history_proof", &history_proof()),
        vector("decided_header", &decided),
        vector("transaction_proof", &transaction_proof()),
        vector("state_leaf_proof", &StateLeafProof { decided, path: state }),
        vector("tip", &tip),
    ]
}

fn transaction_proof() -> TransactionProof {
    let path = merkle::prove(&ids(), 2).expect("there are three");
    let ancestor = Some(Ancestor { header: first_header(), path: history_proof() });
    TransactionProof { decided: decided(), ancestor, path }
}

fn light() -> Vec<(String, String)> {
    let pay = Action::Transfer(Transfer {
        to: public(2),
        amount: good(1),
        memo: heapless::String::new(),
    });
    let transaction = RawTransaction(sign(1, pay).bytes().to_vec());
    let proof = StateLeafProof { decided: decided(), path: state_proof(Key::Account(public(1))) };
    let pending = Account { nonce: 3, balance: good(2) };
    let steps = Answer::Steps([decided()].into_iter().collect());
    let found = Answer::Transaction {
        transaction: transaction.clone(),
        proof: Box::new(transaction_proof()),
    };
    let excuses = Excuse::NotReady { done: 4_096, of: 10_000 };
    vec![
        vector("question.follow", &Question::Follow { after: Height::new(7), trusted: digest(9) }),
        vector("question.header", &Question::Header { height: Height::new(7) }),
        vector("question.account", &Question::Account { key: public(1) }),
        vector("question.transaction", &Question::Transaction { id: TxId(digest(8)) }),
        vector("question.submit", &Question::Submit { transaction: transaction.clone() }),
        vector("answer.steps", &steps),
        vector("answer.header", &Answer::Header(Box::new(first_header()))),
        vector("answer.account", &Answer::Account { proof: Box::new(proof), pending }),
        vector("answer.transaction", &found),
        vector("answer.waits", &Answer::Waits(transaction)),
        vector("answer.submitted", &Answer::Submitted(TxId(digest(8)))),
        vector("answer.nothing.not_ready", &Answer::Nothing(excuses)),
        vector("answer.nothing.refused", &Answer::Nothing(Excuse::refused("no money"))),
    ]
}

fn records() -> Vec<(String, String)> {
    let (association, owners) = (AssociationId(digest(0x0c)), [public(1), public(7)]);
    let bid = Bid { validator: *validators().at(0).expect("one"), reveal_head: digest(0x0b) };
    let attendance = Attendance {
        now: owners.into_iter().collect(),
        before: owners.into_iter().take(1).collect(),
    };
    let registry = Registry {
        pending: [AssociationId(digest(0x15))].into_iter().collect(),
        admitted: [association].into_iter().collect(),
        removals: [association].into_iter().collect(),
    };
    let due = [(Digest32::new(*public(1).as_bytes()), good(1))];
    let donation = [(association.0, good(1))];
    vec![
        vector("account", &account()),
        vector("totals", &totals()),
        vector("term", &term()),
        vector("bids", &Bids { epoch: Epoch::new(9), bids: [bid].into_iter().collect() }),
        vector("attendance", &attendance),
        vector("registry", &registry),
        vector("standing", &standing()),
        vector("dossier", &request()),
        vector("association_of", &association),
        vector("ballot", &ballot()),
        vector("vesting", &Vesting { entries: due.into_iter().collect() }),
        vector("release", &Release { entries: donation.into_iter().collect() }),
        vector("roster", &Roster { begun_at: Height::new(300), validators: validators() }),
        vector("tombstone", &Tombstone { epoch: Epoch::new(7) }),
        vector(
            "stake",
            &Stake { backers: [(public(1), good(5)), (public(7), good(2))].into_iter().collect() },
        ),
        vector("unlocking", &Unlocking { slots: [(public(1), public(2))].into_iter().collect() }),
        vector("locked", &good(7)),
    ]
}

/// Every digest of the document, and an address.
pub(crate) fn digests() -> Vec<(String, String)> {
    let named: Vec<(&str, Digest32)> =
        [names(), signed(), roots(), leaf_keys()].into_iter().flatten().collect();
    let digests = named.into_iter().map(|(name, digest)| (name.to_owned(), digest.to_string()));
    digests.chain([("address".to_owned(), public(1).to_string())]).collect()
}

fn names() -> Vec<(&'static str, Digest32)> {
    vec![
        ("chain_id", chain().0),
        ("transaction_id", transfer().id().0),
        ("block_id", header().id().0),
        ("association_id", association_id(&chain(), &public(1), 2).0),
        ("certificate", certificate(&header()).hash()),
        ("validators", validators().hash()),
        ("public_key", Digest32::new(*public(1).as_bytes())),
    ]
}

fn signed() -> Vec<(&'static str, Digest32)> {
    vec![
        ("sign.transaction", *transfer().digest()),
        ("sign.vote", precommit().vote.digest(&chain())),
        ("sign.proposal", proposal().proposal.digest(&chain())),
        ("sign.announcement", Announcement::digest(&chain(), &[0x18; 32], &public(2))),
        ("sign.slot", slot_consent(&chain(), &public(1), Epoch::new(2))),
        ("sign.identity", identity_statement(&chain(), &public(1), &request().claims())),
        ("sign.renewal", renewal_statement(&chain(), &public(1), &renewal())),
    ]
}

fn roots() -> Vec<(&'static str, Digest32)> {
    let history = |blocks: u8| {
        let mut history = History::default();
        (1..=blocks).for_each(|block| history.push(BlockId(digest(block))));
        history.root()
    };
    let reveals = RevealChain::new([0x16; 32], 2);
    let head = reveals.head();
    vec![
        ("transactions_root.1", merkle::root(&ids()[..1])),
        ("transactions_root.2", merkle::root(&ids()[..2])),
        ("transactions_root.3", merkle::root(&ids())),
        ("history_root.1", history(1)),
        ("history_root.2", history(2)),
        ("history_root.3", history(3)),
        ("state_root", tree().0.root()),
        ("reveal.head", head),
        ("reveal.first", reveals.next_after(&head).expect("two links")),
        ("reveal.follows", reveals_link(&digest(0x17))),
        ("seed.0", genesis().seed(Epoch::ZERO)),
    ]
}

fn leaf_keys() -> Vec<(&'static str, Digest32)> {
    leaves().into_iter().map(|(name, key)| (name, key.leaf())).collect()
}

/// The first byte of every leaf's value.
pub(crate) fn kinds() -> Vec<(String, String)> {
    leaves().into_iter().map(|(name, key)| (name.to_owned(), key.kind().to_string())).collect()
}

/// One leaf of each kind.
fn leaves() -> Vec<(&'static str, Key)> {
    let (key, id, epoch) = (public(1), AssociationId(digest(0x0c)), Epoch::new(7));
    vec![
        ("leaf.account", Key::Account(key)),
        ("leaf.totals", Key::Totals),
        ("leaf.previous-term", Key::PreviousTerm),
        ("leaf.current-term", Key::CurrentTerm),
        ("leaf.next-term", Key::NextTerm),
        ("leaf.bids", Key::Bids),
        ("leaf.attendance", Key::Attendance),
        ("leaf.registry", Key::Registry),
        ("leaf.standing", Key::Standing(id)),
        ("leaf.dossier", Key::Dossier(id)),
        ("leaf.association-of", Key::AssociationOf(key)),
        ("leaf.ballot", Key::Ballot(id)),
        ("leaf.vesting", Key::Vesting(epoch)),
        ("leaf.release", Key::Release(epoch)),
        ("leaf.roster", Key::Roster(epoch)),
        ("leaf.tombstone", Key::Tombstone(key)),
        ("leaf.stake", Key::Stake(key)),
        ("leaf.unlocking", Key::Unlocking(epoch)),
        ("leaf.locked", Key::Locked),
    ]
}
