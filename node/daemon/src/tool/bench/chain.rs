//! Chains to measure on: one validator, many wallets, made without a daemon.

use std::sync::Arc;

use goodwatt_chain::block::{Block, Certificate, CommitSignature};
use goodwatt_chain::genesis::{Genesis, SealingRule};
use goodwatt_chain::hash::{Digest32, Domain};
use goodwatt_chain::leaves::MemoryLeaves;
use goodwatt_chain::ledger::{Draft, Ledger};
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::transaction::{Action, Transaction, Transfer};
use goodwatt_chain::units::{Epoch, Grains, Round, UnixMillis};
use goodwatt_units::Millis;

use crate::development;
use crate::signers::{Signer, Signers};
use crate::tool::error::ToolError;

const WALLET: Domain = Domain::new(b"goodwatt/bench/wallet");
/// Genesis lies here, in 2026, so that no clock is needed.
pub(super) const GENESIS_TIME: UnixMillis = UnixMillis::new(1_793_491_200_000);
/// One epoch for the whole benchmark: what is measured is blocks, not transitions.
const EPOCH_LENGTH: Millis = Millis::from_secs(3_600 * 24 * 365);
/// What each wallet has at the beginning.
const BALANCE: Grains = Grains::from_good(10_000);

/// The key of a wallet.
pub(crate) fn wallet(number: u32) -> SigningKey {
    SigningKey::from_seed(Digest32::of(WALLET, &[&number.to_be_bytes()]).as_bytes())
}

/// Genesis with that many wallets, the founding slot key of `signers`, and a sealing rule.
pub(crate) fn genesis(
    signers: &mut Signers,
    wallets: u32,
    sealing: SealingRule,
    time: UnixMillis,
) -> Result<Genesis, ToolError> {
    let signer = signers.create(Epoch::ZERO).map_err(ToolError::failed)?;
    let funded: Vec<(PublicKey, Grains)> =
        (0..wallets).map(|number| (wallet(number).public(), BALANCE)).collect();
    let owner = SigningKey::from_seed(&[1; 32]).public();
    let mut genesis = development::genesis("bench", time, EPOCH_LENGTH, owner, signer, &funded);
    genesis.parameters.sealing = sealing;
    Ok(genesis)
}

/// A chain in memory that grows as fast as its blocks can be made.
pub(crate) struct Chain {
    pub(crate) ledger: Ledger<MemoryLeaves>,
    signer: SigningKey,
    signers: Signers,
    certificate: Option<Certificate>,
    nonces: Vec<u64>,
}

impl Chain {
    /// A chain with that many wallets, its slot key in `folder`.
    pub(crate) fn new(folder: &std::path::Path, wallets: u32) -> Result<Self, ToolError> {
        let mut signers = Signers::open(folder).map_err(ToolError::failed)?;
        let genesis = genesis(&mut signers, wallets, SealingRule::Immediate, GENESIS_TIME)?;
        let signer = genesis.founders.first().and_then(|founder| signers.find(&founder.signer));
        let signer = signer.map(Signer::key).cloned();
        let signer = signer.ok_or_else(|| ToolError::failed("the founding slot key is lost"))?;
        let ledger = Ledger::begin(Arc::new(genesis), MemoryLeaves::default());
        Ok(Self {
            ledger: ledger.map_err(ToolError::failed)?,
            signer,
            signers,
            certificate: None,
            nonces: vec![0; wallets as usize],
        })
    }

    /// The next payment of a wallet to its neighbour.
    pub(crate) fn transfer(&mut self, from: u32) -> Transaction {
        let wallets = self.nonces.len() as u32;
        let nonce = &mut self.nonces[from as usize];
        let to = wallet((from + 1) % wallets).public();
        let fee = self.ledger.genesis().parameters.fee_min;
        let transaction =
            Transaction::sign(self.ledger.chain(), &wallet(from), *nonce, fee, payment(to));
        *nonce += 1;
        transaction
    }

    /// Seals transactions, whose signatures nobody doubts.
    pub(crate) fn seal(
        &mut self,
        transactions: &[Transaction],
    ) -> Result<(Block, Certificate), ToolError> {
        let public = self.signer.public();
        let last = self.ledger.last_reveal(&public).map_err(ToolError::failed)?;
        let reveal = match last {
            Some((last, false)) => {
                self.signers.find(&public).and_then(|signer| signer.next_reveal(&last))
            }
            _ => None,
        };
        let draft = Draft {
            round: Round::ZERO,
            time: self.ledger.tip().time.after(Millis::new(1)),
            proposer: public,
            reveal,
            parent_certificate: self.certificate.take(),
        };
        let proposed = self.ledger.propose(draft, transactions).map_err(ToolError::failed)?;
        let mut certificate = Certificate {
            height: proposed.block.header.height,
            round: Round::ZERO,
            block: proposed.block.header.id(),
            signatures: heapless::Vec::new(),
        };
        let vote = certificate.precommit(public).sign(self.ledger.chain(), &self.signer);
        let commit = CommitSignature { validator: 0, signature: vote.signature };
        certificate.signatures.push(commit).map_err(|_| ToolError::failed("no place"))?;
        self.ledger.commit(proposed.applied);
        self.certificate = Some(certificate.clone());
        Ok((proposed.block, certificate))
    }
}

/// A payment of one grain.
pub(crate) fn payment(to: PublicKey) -> Action {
    let amount = Grains::from_good(1).mul_div_floor(1, 1_000_000);
    Action::Transfer(Transfer { to, amount, memo: heapless::String::new() })
}
