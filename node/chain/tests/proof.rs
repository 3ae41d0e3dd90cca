//! What a light peer takes for proven, and every way in which a peer can lie to it.

#[path = "../examples/state_root.rs"]
#[allow(dead_code, reason = "`main` is for the example")]
mod state_root;

use std::sync::LazyLock;

use goodwatt_chain::block::{Certificate, CertificateError, CommitSignature, Header};
use goodwatt_chain::codec::{self, DecodeError};
use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::hash::{BlockId, ChainId, Digest32, TxId};
use goodwatt_chain::history::HistoryProof;
use goodwatt_chain::leaves::{LeafChanges, MemoryLeaves};
use goodwatt_chain::merkle;
use goodwatt_chain::proof::{
    Ancestor, DECIDED_HEADER_BYTES_MAX, DecidedHeader, ProofError, STATE_LEAF_PROOF_BYTES_MAX,
    StateLeafProof, TRANSACTION_PROOF_BYTES_MAX, TransactionProof, VerifiedHeader,
};
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::state::{Account, BIDS_MAX, Bid, Bids, Key, Totals};
use goodwatt_chain::tree::{self, STATE_PATH_MAX, StateProof, StateTree};
use goodwatt_chain::units::{Epoch, Grains, Height, Round, UnixMillis};
use goodwatt_chain::validators::{VALIDATORS_MAX, Validator, ValidatorSet};
use state_root::World;

/// The chain of the example, which all tests look at.
static WORLD: LazyLock<World> = LazyLock::new(|| state_root::run().expect("the chain runs"));

fn chain() -> &'static ChainId {
    WORLD.ledger.chain()
}

fn genesis() -> &'static Genesis {
    WORLD.ledger.genesis()
}

fn decided(height: usize) -> &'static DecidedHeader {
    &WORLD.decided[height - 1].0
}

/// The last block, with the hash of its set taken on trust.
fn last() -> (&'static DecidedHeader, Digest32) {
    let decided = decided(WORLD.decided.len());
    (decided, decided.validators.hash())
}

fn verified() -> VerifiedHeader {
    let (decided, trusted) = last();
    decided.verify(chain(), &trusted).expect("it was decided")
}

fn prove(key: Key) -> StateProof {
    WORLD.ledger.tree().prove(WORLD.ledger.leaves(), &key.leaf()).expect("memory is readable")
}

/// An account that has money at the end.
fn rich() -> PublicKey {
    genesis().founders[0].owner
}

fn nobody() -> PublicKey {
    PublicKey::from_bytes([0xab; 32])
}

fn account_of(key: PublicKey) -> Option<Account> {
    WORLD.ledger.view().read(Key::Account(key)).expect("memory is readable")
}

#[test]
fn a_light_peer_follows_the_chain_from_genesis() {
    let mut trusted = genesis().founding_set().hash();
    for (decided, _) in &WORLD.decided {
        let header = decided.verify(chain(), &trusted).expect("the sets follow each other");
        trusted = *header.next_trusted();
    }
}

#[test]
fn a_light_peer_may_leave_out_what_changes_no_set() {
    let mut trusted = genesis().founding_set().hash();
    let changes = |decided: &&DecidedHeader| {
        decided.header.next_validators_hash != decided.header.validators_hash
    };
    let mut followed = 0;
    let (_, before) = WORLD.decided.split_last().expect("there are blocks");
    for decided in before.iter().map(|(decided, _)| decided).filter(changes) {
        trusted = *decided.verify(chain(), &trusted).expect("in order").next_trusted();
        followed += 1;
    }
    assert!((5..30).contains(&followed), "{followed} sets in {} blocks", WORLD.decided.len());
    last().0.verify(chain(), &trusted).expect("the last set is trusted");
}

#[test]
fn accounts_and_their_absence_are_proven() {
    let header = verified();
    let account = header.account(&rich(), &prove(Key::Account(rich()))).expect("it is proven");
    assert!(account.is_some());
    assert_eq!(account, account_of(rich()));
    assert_eq!(header.account(&nobody(), &prove(Key::Account(nobody()))), Ok(None));
    let totals = header.record::<Totals>(Key::Totals, &prove(Key::Totals)).expect("it is proven");
    assert!(totals.is_some_and(|totals| totals.donated > Grains::ZERO));
}

#[test]
fn another_balance_is_not_proven() {
    let mut leaves: MemoryLeaves = WORLD.ledger.leaves().clone();
    let mut account = account_of(rich()).expect("it has money");
    account.balance = account.balance.checked_add(Grains::from_good(1)).expect("a little more");
    let key = Key::Account(rich());
    let value = codec::encode(&(key.kind(), account));
    leaves.commit(&LeafChanges::from([(key.leaf(), Some(value.into()))]));
    let tree = StateTree::rebuild(&leaves).expect("memory is readable");
    let lie = tree.prove(&leaves, &key.leaf()).expect("memory is readable");
    let want = Err(ProofError::State(tree::ProofError::Root));
    assert_eq!(verified().account(&rich(), &lie), want);
}

#[test]
fn absence_is_not_proven_where_something_is() {
    let mut leaves: MemoryLeaves = WORLD.ledger.leaves().clone();
    let key = Key::Account(rich());
    leaves.commit(&LeafChanges::from([(key.leaf(), None)]));
    let tree = StateTree::rebuild(&leaves).expect("memory is readable");
    let lie = tree.prove(&leaves, &key.leaf()).expect("memory is readable");
    let want = Err(ProofError::State(tree::ProofError::Root));
    assert_eq!(verified().account(&rich(), &lie), want);
    let of_another = prove(Key::Account(nobody()));
    assert_eq!(verified().account(&rich(), &of_another), want, "the path of another key");
}

#[test]
fn a_record_of_another_kind_is_not_taken() {
    let record = verified().record::<Bids>(Key::Totals, &prove(Key::Totals));
    assert_eq!(record, Err(ProofError::Record));
}

/// Spoils a decided header and compares what is said.
fn refused(spoil: impl FnOnce(&mut DecidedHeader), want: ProofError) {
    let (decided, trusted) = last();
    let mut decided = decided.clone();
    spoil(&mut decided);
    assert_eq!(decided.verify(chain(), &trusted), Err(want));
}

#[test]
fn a_tampered_header_is_not_the_decided_one() {
    let check = |spoil: fn(&mut Header)| refused(|d| spoil(&mut d.header), ProofError::OtherBlock);
    check(|h| h.height = h.height.next());
    check(|h| h.round = Round::new(7));
    check(|h| h.parent = BlockId::default());
    check(|h| h.time = UnixMillis::new(h.time.get() + 1));
    check(|h| h.proposer = nobody());
    check(|h| h.transactions_root = Digest32::ZERO);
    check(|h| h.transaction_count += 1);
    check(|h| h.state_root = Digest32::ZERO);
    check(|h| h.history_root = Digest32::ZERO);
    check(|h| h.next_validators_hash = Digest32::ZERO);
    check(|h| h.parent_certificate_hash = Digest32::ZERO);
    check(|h| h.reveal = Some(Digest32::ZERO));
}

#[test]
fn a_header_of_another_kind_is_told_apart() {
    let other = ChainId(Digest32::new([9; 32]));
    let (_, trusted) = last();
    refused(|d| d.header.version = 2, ProofError::UnknownVersion(2));
    refused(|d| d.header.chain = other, ProofError::WrongChain(other));
    let found = Digest32::ZERO;
    refused(
        |d| d.header.validators_hash = Digest32::ZERO,
        ProofError::OtherValidators { found, trusted },
    );
}

#[test]
fn a_certificate_of_another_block_proves_nothing() {
    let other = &decided(WORLD.decided.len() - 1).certificate;
    refused(|d| d.certificate = other.clone(), ProofError::OtherBlock);
    let renamed = |d: &mut DecidedHeader| {
        let (height, block) = (d.certificate.height, d.certificate.block);
        d.certificate = Certificate { height, block, ..other.clone() };
    };
    refused(renamed, ProofError::Certificate(CertificateError::Signature));
}

#[test]
fn too_little_weight_proves_nothing() {
    let (full, _) = last();
    let total = full.validators.total_weight();
    for kept in 0..full.certificate.signatures.len() {
        let signed = full.certificate.signatures.iter().take(kept);
        let weight: u64 = signed
            .map(|commit| full.validators.at(commit.validator.into()).expect("a position"))
            .map(|validator| validator.weight.get())
            .sum();
        if weight * 3 <= total * 2 {
            refused(
                |d| d.certificate.signatures.truncate(kept),
                ProofError::Certificate(CertificateError::NoQuorum { weight, total }),
            );
        }
    }
}

#[test]
fn one_signature_counts_once() {
    let positions = ProofError::Certificate(CertificateError::Positions);
    refused(|d| d.certificate.signatures[1] = d.certificate.signatures[0], positions);
    refused(|d| d.certificate.signatures.reverse(), positions);
    refused(|d| d.certificate.signatures[0].validator = 99, positions);
}

#[test]
fn a_forged_signature_proves_nothing() {
    let forge = |d: &mut DecidedHeader| {
        let thief = SigningKey::from_seed(&[66; 32]);
        let position = usize::from(d.certificate.signatures[0].validator);
        let victim = d.validators.at(position).expect("a position").signer;
        let digest = d.certificate.precommit(victim).digest(chain());
        d.certificate.signatures[0].signature = thief.sign(&digest);
    };
    refused(forge, ProofError::Certificate(CertificateError::Signature));
}

/// A set of one liar, and a header decided by it.
fn liars_header() -> DecidedHeader {
    let liar = SigningKey::from_seed(&[66; 32]);
    let weight = Grains::from_good(1_000_000);
    let validator = Validator { owner: liar.public(), signer: liar.public(), weight };
    let validators = ValidatorSet::new([validator]);
    let mut header = last().0.header.clone();
    header.validators_hash = validators.hash();
    let signatures = heapless::Vec::new();
    let (height, round, block) = (header.height, Round::ZERO, header.id());
    let mut certificate = Certificate { height, round, block, signatures };
    let signature = liar.sign(&certificate.precommit(liar.public()).digest(chain()));
    certificate.signatures = [CommitSignature { validator: 0, signature }].into_iter().collect();
    DecidedHeader { header, certificate, validators }
}

#[test]
fn a_set_that_is_not_trusted_decides_nothing() {
    let lie = liars_header();
    let own = lie.validators.hash();
    assert!(lie.verify(chain(), &own).is_ok(), "in itself the lie is sound");
    let (_, trusted) = last();
    let want = ProofError::UntrustedValidators { found: own, trusted };
    assert_eq!(lie.verify(chain(), &trusted), Err(want));
    let honest = last().0.validators.clone();
    let mixed = DecidedHeader { validators: honest, ..lie };
    let want = ProofError::OtherValidators { found: own, trusted };
    assert_eq!(mixed.verify(chain(), &trusted), Err(want));
}

#[test]
fn transactions_are_proven_with_their_position() {
    for (height, (decided, ids)) in WORLD.decided.iter().enumerate().step_by(13) {
        let trusted = decided.validators.hash();
        let header = decided.verify(chain(), &trusted).expect("it was decided");
        for (index, id) in ids.iter().enumerate() {
            let path = merkle::prove(ids, index as u32).expect("it is in the block");
            assert_eq!(header.transaction(id, &path), Ok(index as u32), "block {}", height + 1);
            let other = TxId(Digest32::new([1; 32]));
            assert_eq!(header.transaction(&other, &path), Err(ProofError::Transaction));
            for wrong in ids.iter().filter(|wrong| *wrong != id) {
                assert_eq!(header.transaction(wrong, &path), Err(ProofError::Transaction));
            }
        }
    }
}

fn path_to(height: u64) -> HistoryProof {
    let block_at = |height: Height| {
        let index = usize::try_from(height.get()).ok()?.checked_sub(1)?;
        Some(WORLD.decided.get(index)?.0.header.id())
    };
    let blocks = WORLD.decided.len() as u64 - 1;
    HistoryProof::new(blocks, Height::new(height), block_at).expect("all blocks are here")
}

#[test]
fn ancestors_are_proven_by_their_height() {
    let header = verified();
    for height in [1, 2, 63, 64, 128, 198, 199] {
        let ancestor = &decided(height).header;
        let path = path_to(height as u64);
        let at = Height::new(height as u64);
        assert_eq!(header.ancestor(at, &ancestor.id(), &path), Ok(()), "{at}");
        let proven = header.ancestor_header(ancestor, &path).expect("it is proven");
        assert_eq!((proven.header(), *proven.id()), (ancestor, ancestor.id()));
        let lie = Err(ProofError::Ancestor);
        assert_eq!(header.ancestor(at.next(), &ancestor.id(), &path), lie, "another height");
        assert_eq!(header.ancestor(at, &BlockId::default(), &path), lie, "another block");
        let other = Header { state_root: Digest32::ZERO, ..ancestor.clone() };
        assert_eq!(header.ancestor_header(&other, &path), Err(ProofError::Ancestor));
    }
}

fn leaf_proof() -> StateLeafProof {
    StateLeafProof { decided: last().0.clone(), path: prove(Key::Account(rich())) }
}

#[test]
fn proofs_travel_as_bytes() {
    let (decided, trusted) = last();
    let leaf = StateLeafProof::decode(&codec::encode(&leaf_proof())).expect("it reads back");
    let (_, account) = leaf.verify::<Account>(chain(), &trusted, Key::Account(rich())).expect("ok");
    assert_eq!(account, account_of(rich()));

    let ids = &WORLD.decided[WORLD.decided.len() - 1].1;
    let path = merkle::prove(ids, 0).expect("it is in the block");
    let bytes = codec::encode(&TransactionProof { decided: decided.clone(), ancestor: None, path });
    let proof = TransactionProof::decode(&bytes).expect("it reads back");
    let (header, index) = proof.verify(chain(), &trusted, &ids[0]).expect("it is proven");
    assert_eq!((header, index), (verified(), 0));

    let (earlier, ids) = &WORLD.decided[2];
    let ancestor = Some(Ancestor { header: earlier.header.clone(), path: path_to(3) });
    let path = merkle::prove(ids, 0).expect("it is in the block");
    let proof = TransactionProof { decided: decided.clone(), ancestor, path };
    let proof = TransactionProof::decode(&codec::encode(&proof)).expect("it reads back");
    let (header, index) = proof.verify(chain(), &trusted, &ids[0]).expect("it is proven");
    assert_eq!((header.header(), index), (&earlier.header, 0));
    let lie = TransactionProof { ancestor: None, ..proof };
    assert_eq!(lie.verify(chain(), &trusted, &ids[0]), Err(ProofError::Transaction));
}

#[test]
fn no_flipped_byte_is_believed() {
    let (_, trusted) = last();
    let bytes = codec::encode(&leaf_proof());
    for at in 0..bytes.len() {
        let mut lie = bytes.clone();
        lie[at] ^= 1;
        let read = StateLeafProof::decode(&lie).map_err(ProofError::from);
        let read = read.and_then(|p| p.verify::<Account>(chain(), &trusted, Key::Account(rich())));
        assert!(read.is_err(), "byte {at} of {}", bytes.len());
        assert!(StateLeafProof::decode(&bytes[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn longer_bytes_are_not_even_read() {
    let check = |limit: usize, decode: fn(&[u8]) -> Option<DecodeError>| {
        let len = limit + 1;
        assert_eq!(decode(&vec![0; len]), Some(DecodeError::TooLong { len, limit }));
        assert_ne!(decode(&vec![0; limit]), Some(DecodeError::TooLong { len: limit, limit }));
    };
    check(DECIDED_HEADER_BYTES_MAX, |bytes| DecidedHeader::decode(bytes).err());
    check(TRANSACTION_PROOF_BYTES_MAX, |bytes| TransactionProof::decode(bytes).err());
    check(STATE_LEAF_PROOF_BYTES_MAX, |bytes| StateLeafProof::decode(bytes).err());
}

/// A decided header in which every field is as long as it can be.
fn largest() -> DecidedHeader {
    let (decided, _) = last();
    let validator = Validator { owner: nobody(), signer: nobody(), weight: Grains::MAX_SUPPLY };
    let signature = decided.certificate.signatures[0].signature;
    let commit = CommitSignature { validator: 99, signature };
    DecidedHeader {
        header: Header {
            height: Height::new(u64::MAX),
            round: Round::new(u32::MAX),
            time: UnixMillis::new(u64::MAX),
            transaction_count: u32::MAX,
            reveal: Some(Digest32::ZERO),
            ..decided.header.clone()
        },
        certificate: Certificate {
            height: Height::new(u64::MAX),
            round: Round::new(u32::MAX),
            block: BlockId::default(),
            signatures: std::iter::repeat_n(commit, VALIDATORS_MAX).collect(),
        },
        validators: ValidatorSet::new(std::iter::repeat_n(validator, VALIDATORS_MAX)),
    }
}

#[test]
fn the_largest_proofs_fit() {
    let decided = codec::encode(&largest()).len();
    assert!(decided <= DECIDED_HEADER_BYTES_MAX, "{decided}");
    let validator = Validator { owner: nobody(), signer: nobody(), weight: Grains::MAX_SUPPLY };
    let bid = Bid { validator, reveal_head: Digest32::ZERO };
    let bids =
        Bids { epoch: Epoch::new(u64::MAX), bids: std::iter::repeat_n(bid, BIDS_MAX).collect() };
    // Two lengths, the hashes, the end's kind, the record's kind.
    let leaf = decided + 2 + 3 + STATE_PATH_MAX * 32 + 1 + 1 + codec::encode(&bids).len();
    assert!(leaf <= STATE_LEAF_PROOF_BYTES_MAX, "{leaf}");
    let history = goodwatt_chain::history::HISTORY_PATH_MAX * 32;
    let ancestor = 1 + codec::encode(&largest().header).len() + 1 + history;
    let path = decided + ancestor + 5 + 1 + merkle::INCLUSION_PATH_MAX * 32;
    assert!(path <= TRANSACTION_PROOF_BYTES_MAX, "{path}");
}
