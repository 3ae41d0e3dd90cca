//! What a light peer fetches, and what it takes to verify it: a balance among a million accounts, and
//! a cold start over a day of epochs, each with another full set.

use std::hint::black_box;
use std::sync::Arc;

use goodwatt_chain::block::{BLOCK_VERSION, Certificate, CommitSignature, Header};
use goodwatt_chain::codec;
use goodwatt_chain::genesis::{Founder, Genesis, SealingRule};
use goodwatt_chain::hash::{BlockId, Digest32, Domain};
use goodwatt_chain::leaves::{LeafChanges, MemoryLeaves};
use goodwatt_chain::light::{Answer, LightPeer};
use goodwatt_chain::proof::{DecidedHeader, StateLeafProof};
use goodwatt_chain::signature::{Batch, PublicKey, SigningKey};
use goodwatt_chain::state::{Account, Key};
use goodwatt_chain::tree::StateTree;
use goodwatt_chain::units::{Grains, Height, Round};
use goodwatt_chain::validators::{VALIDATORS_MAX, Validator, ValidatorSet};
use goodwatt_units::Millis;

use super::Bench;
use super::chain::{self, GENESIS_TIME};
use super::verify::{cpu_seconds, time_batch};
use crate::signers::Signers;
use crate::tool::error::ToolError;

/// Accounts in the state.
const ACCOUNTS: u32 = 1_000_000;
/// Accounts whose proofs are measured.
const SAMPLES: u32 = 10_000;
/// What a proof may have by the design, in bytes.
const PATH_LIMIT: f64 = 2_048.0;
/// Sets that follow each other: a day of epochs, and as long as rosters are kept by default.
const EPOCHS: u32 = 24;
/// The best of so many rounds counts.
const ROUNDS: usize = 5;

const SIGNER: Domain = Domain::new(b"goodwatt/bench/light");

/// `goodwatt bench light-proof`.
pub(super) fn light_proof(bench: &Bench<'_>) -> Result<(), ToolError> {
    let (root, path, key) = balance(bench)?;
    let folder = bench.folder("light")?;
    let mut signers = Signers::open(&folder.0.join("signers")).map_err(ToolError::failed)?;
    let rule = SealingRule::Immediate;
    let mut genesis = chain::genesis(&mut signers, 0, rule, GENESIS_TIME)?;
    let sets: Vec<Vec<SigningKey>> = (0..=EPOCHS).map(keys).collect();
    genesis.founders = founders(&sets[0]);
    let steps = steps(&genesis, &sets, root);

    let bytes: usize = steps.iter().map(|step| codec::encode(step).len()).sum();
    bench.print("light-proof cold start", bytes as f64, "bytes")?;
    bench.print("light-proof a set", bytes as f64 / f64::from(EPOCHS + 1), "bytes")?;
    let mut light = LightPeer::begin(&genesis);
    verified(bench, "light-proof follow", &genesis, &steps, || {
        light = LightPeer::begin(&genesis);
        light.follow(black_box(&steps)).map_err(ToolError::failed)
    })?;

    let Some(tip) = steps.last() else { return Ok(()) };
    let proof = StateLeafProof { decided: tip.clone(), path };
    let pending = Account { nonce: 1, balance: Grains::from_good(1) };
    let answer = Answer::Account { proof: Box::new(proof.clone()), pending };
    bench.print("light-proof answer", answer.encode().len() as f64, "bytes")?;
    verified(bench, "light-proof balance", &genesis, std::slice::from_ref(tip), || {
        let account = light.account(&key, black_box(&proof)).map_err(ToolError::failed)?;
        account.map(drop).ok_or_else(|| ToolError::failed("the account is not there"))
    })
}

/// The paths to balances among a million accounts; gives the root, one path, and whose it is.
fn balance(
    bench: &Bench<'_>,
) -> Result<(Digest32, goodwatt_chain::tree::StateProof, PublicKey), ToolError> {
    let owner = |number: u32| {
        PublicKey::from_bytes(*Digest32::of(SIGNER, &[&number.to_be_bytes()]).as_bytes())
    };
    let account = Account { nonce: 7, balance: Grains::from_good(1_234) };
    let mut leaves = MemoryLeaves::default();
    let entry = |number| {
        let key = Key::Account(owner(number));
        (key.leaf(), Some(Arc::from(codec::encode(&(key.kind(), account)))))
    };
    leaves.commit(&(0..ACCOUNTS).map(entry).collect::<LeafChanges>());
    let tree = StateTree::rebuild(&leaves).map_err(ToolError::failed)?;
    let path = |number| {
        let path = tree.prove(&leaves, &Key::Account(owner(number)).leaf());
        path.map_err(ToolError::failed)
    };
    let (mut sum, mut longest) = (0, 0);
    for number in (0..SAMPLES).map(|sample| sample * (ACCOUNTS / SAMPLES)) {
        let bytes = codec::encode(&path(number)?).len();
        sum += bytes;
        longest = longest.max(bytes);
    }
    let mean = sum as f64 / f64::from(SAMPLES);
    bench.print_ratio("light-proof path", mean, "bytes", PATH_LIMIT)?;
    bench.print_ratio("light-proof longest path", longest as f64, "bytes", PATH_LIMIT)?;
    Ok((tree.root(), path(0)?, owner(0)))
}

/// The keys of a full set.
fn keys(epoch: u32) -> Vec<SigningKey> {
    let seed = |number: u8| Digest32::of(SIGNER, &[&epoch.to_be_bytes(), &[number]]);
    (0..VALIDATORS_MAX as u8).map(|n| SigningKey::from_seed(seed(n).as_bytes())).collect()
}

fn set(keys: &[SigningKey]) -> ValidatorSet {
    let weight = Grains::from_good(10);
    let seat = |key: &SigningKey| Validator { owner: key.public(), signer: key.public(), weight };
    ValidatorSet::new(keys.iter().map(seat))
}

fn founders<F: FromIterator<Founder>>(keys: &[SigningKey]) -> F {
    let founder = |key: &SigningKey| Founder {
        owner: key.public(),
        signer: key.public(),
        weight: Grains::from_good(10),
        reveal_head: Digest32::ZERO,
    };
    keys.iter().map(founder).collect()
}

/// The last block of each set, decided by just more than two thirds of it.
fn steps(genesis: &Genesis, sets: &[Vec<SigningKey>], state_root: Digest32) -> Vec<DecidedHeader> {
    let decide = |(number, keys): (usize, &Vec<SigningKey>)| {
        let validators = set(keys);
        let next = sets.get(number + 1).map_or(Digest32::ZERO, |next| set(next).hash());
        let height = Height::new(3_600 * (number as u64 + 1));
        let header = Header {
            version: BLOCK_VERSION,
            chain: genesis.chain_id(),
            height,
            round: Round::new(0),
            parent: BlockId::default(),
            time: genesis.time.after(Millis::from_secs(3_600).saturating_mul(number as u64 + 1)),
            proposer: keys[0].public(),
            transactions_root: Digest32::ZERO,
            transaction_count: 0,
            state_root,
            history_root: Digest32::ZERO,
            validators_hash: validators.hash(),
            next_validators_hash: next,
            parent_certificate_hash: Digest32::ZERO,
            reveal: Some(Digest32::ZERO),
        };
        let (round, block, signatures) = (Round::new(0), header.id(), heapless::Vec::new());
        let mut certificate = Certificate { height, round, block, signatures };
        let signed = keys.iter().take(VALIDATORS_MAX * 2 / 3 + 1).enumerate();
        certificate.signatures = signed
            .map(|(position, key)| {
                let vote = certificate.precommit(key.public());
                let signature = key.sign(&vote.digest(&header.chain));
                CommitSignature { validator: position as u8, signature }
            })
            .collect();
        DecidedHeader { header, certificate, validators }
    };
    sets.iter().enumerate().map(decide).collect()
}

/// Signatures that are verified in a second with all that goes with them, beside those of a batch.
fn verified(
    bench: &Bench<'_>,
    name: &str,
    genesis: &Genesis,
    steps: &[DecidedHeader],
    mut verify: impl FnMut() -> Result<(), ToolError>,
) -> Result<(), ToolError> {
    let mut batch = Batch::default();
    for DecidedHeader { certificate, validators, .. } in steps {
        let checked = certificate.check(&genesis.chain_id(), validators, &mut batch);
        checked.map_err(ToolError::failed)?;
    }
    let (mut whole, mut raw) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        let begin = cpu_seconds();
        verify()?;
        whole = whole.min(cpu_seconds() - begin);
        raw = raw.min(time_batch(&batch)?);
    }
    let per_second = |seconds: f64| batch.len() as f64 / seconds;
    bench.print_ratio(name, per_second(whole), "signatures/s", per_second(raw))
}
