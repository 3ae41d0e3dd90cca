//! Prints the state root after 200 blocks of a fixed chain: the same on every machine.
//!
//! Five founders buy slots, report watts and vote; associations come, renew, are voted out, or
//! withdraw; two founders cheat and lose their keys; once nobody buys, once nobody seals for three
//! epochs. `tests/golden.rs` holds the root that has to come out.
//!
//! ```text
//! cargo run --package goodwatt-chain --example state_root
//! ```
#![expect(clippy::print_stdout, reason = "the one line it prints is its purpose")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use goodwatt_chain::block::{Block, Certificate, CommitSignature};
use goodwatt_chain::genesis::{EcoStatement, EcoWay, Founder, Genesis, Parameters};
use goodwatt_chain::hash::{AssociationId, BlockId, ChainId, Digest32, Domain, TxId};
use goodwatt_chain::leaves::MemoryLeaves;
use goodwatt_chain::ledger::{Draft, Ledger, Signatures};
use goodwatt_chain::proof::DecidedHeader;
use goodwatt_chain::reveal::RevealChain;
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::state::{Account, Ballot, Key, Registry, Tombstone};
use goodwatt_chain::transaction::{
    Action, BallotKind, BuySlot, Category, CertificateProof, EnergyMethod, IdentityProof,
    RenewAssociation, ReportEnergy, RequestAssociation, SignatureScheme, Transaction, Transfer,
    VoteAssociation, WithdrawRequest, association_id, identity_statement, renewal_statement,
    slot_consent,
};
use goodwatt_chain::units::{Epoch, Grains, Round, UnixMillis};
use goodwatt_chain::validators::{ValidatorSet, is_quorum};
use goodwatt_chain::vote::{Evidence, Proposal, Vote, VoteKind};
use goodwatt_units::{MicroJoules, Millis};

type Outcome<T> = Result<T, Box<dyn Error>>;

const BLOCKS: u64 = 200;
const BLOCKS_PER_EPOCH: u64 = 10;
const SECONDS_PER_BLOCK: u64 = 6;
/// Before this block nobody seals for three epochs.
const PAUSE_BEFORE: u64 = 160;
const FEE: Grains = Grains::from_good(1);
/// Enough reveals for one key in all terms of this run.
const LINKS: u32 = 64;
const FOUNDERS: u64 = 5;
const SEEDS: Domain = Domain::new(b"goodwatt-example/state-root");

fn main() -> Outcome<()> {
    println!("{}", run()?.root());
    Ok(())
}

/// Carries the whole chain out.
pub(crate) fn run() -> Outcome<World> {
    let mut world = World::begin()?;
    for number in 1..=BLOCKS {
        world.clock += SECONDS_PER_BLOCK;
        if number == PAUSE_BEFORE {
            world.clock += 3 * BLOCKS_PER_EPOCH * SECONDS_PER_BLOCK;
        }
        let actions = world.actions(number)?;
        world.seal(actions)?;
    }
    Ok(world)
}

/// What a key is for; with a number it gives the key.
#[derive(Clone, Copy, Debug)]
enum Role {
    Owner = 1,
    Signer = 2,
    Association = 3,
    Payer = 4,
    Identity = 5,
}

fn secret(role: Role, number: u64) -> [u8; 32] {
    *Digest32::of(SEEDS, &[&[role as u8], &number.to_be_bytes()]).as_bytes()
}

fn key(role: Role, number: u64) -> SigningKey {
    SigningKey::from_seed(&secret(role, number))
}

/// The secrets of the signer key that an owner uses in an epoch.
fn slot(owner: u64, epoch: u64) -> (SigningKey, RevealChain) {
    let number = owner * 1_000 + epoch;
    (key(Role::Signer, number), RevealChain::new(secret(Role::Signer, number), LINKS))
}

fn genesis() -> Outcome<Genesis> {
    let mut balances: Vec<_> = (0..FOUNDERS)
        .map(|number| key(Role::Owner, number))
        .chain((0..4).map(|number| key(Role::Association, number)))
        .chain((0..3).map(|number| key(Role::Payer, number)))
        .map(|key| (key.public(), Grains::from_good(10_000)))
        .collect();
    balances.sort_unstable();
    let founders = (0..FOUNDERS).map(|owner| {
        let (signer, reveals) = slot(owner, 0);
        Founder {
            owner: key(Role::Owner, owner).public(),
            signer: signer.public(),
            weight: Grains::from_good(100),
            reveal_head: reveals.head(),
        }
    });
    Ok(Genesis {
        name: "state root".try_into()?,
        time: UnixMillis::new(1_795_219_200_000),
        eco: EcoStatement {
            way: EcoWay::WorthIt,
            sentence: "It shows that all machines agree.".try_into()?,
            measure: "One line of text.".try_into()?,
        },
        parameters: Parameters {
            epoch_length: Millis::from_secs(BLOCKS_PER_EPOCH * SECONDS_PER_BLOCK),
            validators_min: 3,
            vote_window: 1,
            association_cap: Grains::from_good(40),
            admission_epochs: 6,
            cooling_epochs: 1,
            release_delay: 2,
            vesting_delay: 3,
            epoch_reward: Grains::from_good(30),
            energy_price: Grains::from_good(1),
            ..Parameters::default()
        },
        balances,
        founders: founders.collect(),
    })
}

/// The chain, and the secrets of all who take part.
#[allow(dead_code, reason = "tests look at what the example does not print")]
pub(crate) struct World {
    pub(crate) ledger: Ledger<MemoryLeaves>,
    /// Every block's header with its proof, and the ids of its transactions.
    pub(crate) decided: Vec<(DecidedHeader, Vec<TxId>)>,
    /// Seconds since genesis.
    clock: u64,
    certificate: Option<Certificate>,
    pub(crate) slots: BTreeMap<PublicKey, (SigningKey, RevealChain)>,
    /// How many transactions of each kind were carried out.
    pub(crate) executed: BTreeMap<&'static str, usize>,
    /// How many terms began with a set that carries on.
    pub(crate) carried_on: usize,
}

impl World {
    fn begin() -> Outcome<Self> {
        let ledger = Ledger::begin(Arc::new(genesis()?), MemoryLeaves::default())?;
        let slots = (0..FOUNDERS).map(|owner| slot(owner, 0));
        Ok(Self {
            ledger,
            decided: Vec::new(),
            clock: 0,
            certificate: None,
            slots: slots.map(|slot| (slot.0.public(), slot)).collect(),
            executed: BTreeMap::new(),
            carried_on: 0,
        })
    }

    /// The root of the state after the last block.
    pub(crate) fn root(&self) -> Digest32 {
        self.ledger.tip().state_root
    }

    fn chain(&self) -> ChainId {
        *self.ledger.chain()
    }

    fn epoch(&self) -> Epoch {
        self.ledger.in_charge().epoch
    }

    fn nonce(&self, key: &SigningKey) -> Outcome<u64> {
        let account: Account = self.ledger.view().read_or_default(Key::Account(key.public()))?;
        Ok(account.nonce)
    }

    /// Owners without a tombstone.
    fn honest(&self) -> Outcome<Vec<u64>> {
        let mut honest = Vec::new();
        for number in 0..FOUNDERS {
            let tombstone = Key::Tombstone(key(Role::Owner, number).public());
            if self.ledger.view().read::<Tombstone>(tombstone)?.is_none() {
                honest.push(number);
            }
        }
        Ok(honest)
    }

    /// What is asked for in a block. The first block of an epoch has nothing but a transfer, as
    /// the epoch's windows open in it.
    fn actions(&mut self, number: u64) -> Outcome<Vec<(SigningKey, Action)>> {
        let epoch = self.epoch().get();
        let mut actions = vec![transfer(number)?];
        match number % BLOCKS_PER_EPOCH {
            1 if epoch % 5 != 3 => actions.extend(self.purchases()?),
            2 => actions.extend(self.reports()?),
            3 => actions.extend(self.requests(epoch)?),
            4 => actions.extend(self.votes(epoch)?),
            5 if epoch == 4 => actions.extend(self.withdrawal()?),
            5 if matches!(epoch, 6 | 10 | 14) => actions.extend(self.renewal()?),
            6 if epoch == 8 => actions.push((key(Role::Payer, 0), self.double_vote()?)),
            6 if epoch == 10 => actions.push((key(Role::Payer, 1), self.double_proposal()?)),
            _ => {}
        }
        Ok(actions)
    }

    fn purchases(&mut self) -> Outcome<Vec<(SigningKey, Action)>> {
        let epoch = self.epoch().after(2);
        let registry: Registry = self.ledger.view().read_or_default(Key::Registry)?;
        let mut actions = Vec::new();
        for owner in self.honest()? {
            let (signer, reveals) = slot(owner, epoch.get());
            let buyer = key(Role::Owner, owner);
            let slot = BuySlot {
                epoch,
                amount: Grains::from_good(90 + (owner * epoch.get() % 20) as u32),
                signer: signer.public(),
                consent: signer.sign(&slot_consent(&self.chain(), &buyer.public(), epoch)),
                reveal_head: reveals.head(),
                preference: registry.admitted.get(owner as usize).copied(),
            };
            self.slots.insert(signer.public(), (signer, reveals));
            actions.push((buyer, Action::BuySlot(slot)));
        }
        Ok(actions)
    }

    /// All but the first owner of the ended term report.
    fn reports(&self) -> Outcome<Vec<(SigningKey, Action)>> {
        const METHODS: [EnergyMethod; 4] = [
            EnergyMethod::MeasuredBoardInput,
            EnergyMethod::MeasuredRails,
            EnergyMethod::MeasuredCpuPackage,
            EnergyMethod::Modelled,
        ];
        let Some(previous) = self.ledger.view().terms()?.previous else { return Ok(Vec::new()) };
        let report = |owner: u64| ReportEnergy {
            epoch: previous.epoch,
            energy: MicroJoules::new(150_000_000 + owner * 12_345_678),
            method: METHODS[owner as usize % METHODS.len()],
            error_permille: 50 + owner as u16,
        };
        let owners = (1..FOUNDERS).map(|owner| (owner, key(Role::Owner, owner)));
        let seated = owners.filter(|(_, key)| {
            previous.seats.iter().any(|seat| seat.validator.owner == key.public())
        });
        Ok(seated.map(|(owner, key)| (key, Action::ReportEnergy(report(owner)))).collect())
    }

    /// Two that will be admitted, one that will be refused, one that will withdraw.
    fn requests(&self, epoch: u64) -> Outcome<Vec<(SigningKey, Action)>> {
        let number = match epoch {
            1..=4 => epoch - 1,
            _ => return Ok(Vec::new()),
        };
        let sender = key(Role::Association, number);
        let mut request = RequestAssociation {
            name: format!("Association {number}").as_str().try_into()?,
            category: Category::ALL[number as usize],
            web: format!("https://number-{number}.example/").as_str().try_into()?,
            evidence: [Digest32::new([number as u8; 32])].into_iter().collect(),
            identity: IdentityProof::Certificate(Box::new(CertificateProof {
                scheme: SignatureScheme::EcdsaP256Sha256,
                certificate: [0x30, 0x00].into_iter().collect(),
                signature: [0x30, 0x00].into_iter().collect(),
            })),
            deposit: Grains::from_good(10 + number as u32),
        };
        if number == 0 {
            let identity = key(Role::Identity, number);
            let statement = identity_statement(&self.chain(), &sender.public(), &request.claims());
            let (key, signature) = (identity.public(), identity.sign(&statement));
            request.identity = IdentityProof::Published { key, signature };
        }
        Ok(vec![(sender, Action::RequestAssociation(Box::new(request)))])
    }

    /// The electors of every open vote give their voice; association 2 finds no friends. In epoch 7
    /// the first elector opens a vote on removing association 1, and the others follow.
    fn votes(&self, epoch: u64) -> Outcome<Vec<(SigningKey, Action)>> {
        let view = self.ledger.view();
        let registry: Registry = view.read_or_default(Key::Registry)?;
        let mut actions = Vec::new();
        let mut say = |association, kind, approve, owners: &[u64]| {
            let action = Action::VoteAssociation(VoteAssociation { association, kind, approve });
            actions.extend(owners.iter().map(|owner| (key(Role::Owner, *owner), action.clone())));
        };
        let honest = self.honest()?;
        for id in &registry.pending {
            if view.read::<Ballot>(Key::Ballot(*id))?.is_some() {
                say(*id, BallotKind::Admission, *id != self.association(2)?, &honest);
            }
        }
        if epoch == 7 {
            say(self.association(1)?, BallotKind::Removal, true, &honest);
        }
        Ok(actions)
    }

    /// The id of an association by its latest request.
    fn association(&self, number: u64) -> Outcome<AssociationId> {
        let sender = key(Role::Association, number);
        // It makes no transaction before its request.
        Ok(association_id(&self.chain(), &sender.public(), 0))
    }

    fn withdrawal(&self) -> Outcome<Vec<(SigningKey, Action)>> {
        let association = self.association(3)?;
        let action = Action::WithdrawRequest(WithdrawRequest { association });
        Ok(vec![(key(Role::Association, 3), action)])
    }

    fn renewal(&self) -> Outcome<Vec<(SigningKey, Action)>> {
        let (sender, identity) = (key(Role::Association, 0), key(Role::Identity, 7));
        let mut renewal = RenewAssociation {
            association: self.association(0)?,
            evidence: [Digest32::new([0xee; 32])].into_iter().collect(),
            identity: IdentityProof::Published {
                key: identity.public(),
                signature: identity.sign(&Digest32::ZERO),
            },
        };
        let statement = renewal_statement(&self.chain(), &sender.public(), &renewal);
        let (key, signature) = (identity.public(), identity.sign(&statement));
        renewal.identity = IdentityProof::Published { key, signature };
        Ok(vec![(sender, Action::RenewAssociation(Box::new(renewal)))])
    }

    /// The signer that the owner with this number uses now.
    fn signer_of(&self, owner: u64) -> Outcome<&SigningKey> {
        let owner = key(Role::Owner, owner).public();
        let validators = &self.ledger.in_charge().validators;
        let seat = validators.iter().find(|validator| validator.owner == owner);
        let slot = seat.and_then(|validator| self.slots.get(&validator.signer));
        Ok(&slot.ok_or("the owner holds no seat")?.0)
    }

    fn double_vote(&self) -> Outcome<Action> {
        let (chain, signer, height) = (self.chain(), self.signer_of(4)?, self.ledger.tip().height);
        let vote = |block| Vote {
            kind: VoteKind::Precommit,
            height,
            round: Round::ZERO,
            block,
            signer: signer.public(),
        };
        let (yes, no) = (vote(Some(self.ledger.tip().id)), vote(None));
        let evidence = Evidence::Votes(yes.sign(&chain, signer), no.sign(&chain, signer));
        Ok(Action::SubmitEvidence(Box::new(evidence)))
    }

    fn double_proposal(&self) -> Outcome<Action> {
        let (chain, signer, height) = (self.chain(), self.signer_of(3)?, self.ledger.tip().height);
        let proposal = |block| Proposal {
            height,
            round: Round::new(1),
            block,
            pol_round: None,
            signer: signer.public(),
        };
        let (one, other) = (proposal(self.ledger.tip().id), proposal(BlockId::default()));
        let evidence = Evidence::Proposals(one.sign(&chain, signer), other.sign(&chain, signer));
        Ok(Action::SubmitEvidence(Box::new(evidence)))
    }

    /// Proposes a block, carries it out as a voter would, and signs its certificate.
    fn seal(&mut self, actions: Vec<(SigningKey, Action)>) -> Outcome<()> {
        let transactions = self.sign(actions)?;
        let block = self.propose(&transactions)?;
        let decided_by = Arc::clone(&self.ledger.in_charge().validators);
        self.carry_out(&block)?;
        let certificate = self.certify(&decided_by)?;
        self.certificate = Some(certificate.clone());
        let (header, validators) = (block.header, ValidatorSet::clone(&decided_by));
        let ids = transactions.iter().map(Transaction::id).collect();
        self.decided.push((DecidedHeader { header, certificate, validators }, ids));
        Ok(())
    }

    /// A block of all of these; the run is made so that none is refused.
    fn propose(&self, transactions: &[Transaction]) -> Outcome<Block> {
        let proposed = self.ledger.propose(self.draft()?, transactions)?;
        match proposed.refused.first() {
            None => Ok(proposed.block),
            Some((_, refusal)) => {
                Err(format!("{}: {refusal}", proposed.block.header.height).into())
            }
        }
    }

    fn carry_out(&mut self, block: &Block) -> Outcome<()> {
        let term = self.epoch();
        let applied = self.ledger.check(block, Signatures::Verify)?;
        self.ledger.commit(applied);
        self.carried_on += usize::from(self.epoch() > term && self.ledger.in_charge().carried_on);
        Ok(())
    }

    /// The precommits for the tip. A different validator is silent at each height, as far as the
    /// others are enough.
    fn certify(&self, decided_by: &ValidatorSet) -> Outcome<Certificate> {
        let tip = self.ledger.tip();
        let mut certificate = Certificate {
            height: tip.height,
            round: Round::ZERO,
            block: tip.id,
            signatures: heapless::Vec::new(),
        };
        let silent = tip.height.get() as usize % decided_by.len();
        let weight = decided_by.at(silent).map_or(0, |validator| validator.weight.get());
        let total = decided_by.total_weight();
        let needs_all = !is_quorum(total - weight, total);
        for (position, validator) in decided_by.iter().enumerate() {
            let (signer, _) = self.slots.get(&validator.signer).ok_or("an unknown signer")?;
            let vote = certificate.precommit(validator.signer).sign(self.ledger.chain(), signer);
            let commit = CommitSignature { validator: position as u8, signature: vote.signature };
            if position != silent || needs_all {
                certificate.signatures.push(commit).map_err(|_| "more than a set can hold")?;
            }
        }
        Ok(certificate)
    }

    fn sign(&mut self, actions: Vec<(SigningKey, Action)>) -> Outcome<Vec<Transaction>> {
        let mut made = BTreeMap::<PublicKey, u64>::new();
        let mut transactions = Vec::new();
        for (sender, action) in actions {
            *self.executed.entry(action.kind()).or_default() += 1;
            let before = made.entry(sender.public()).or_default();
            let nonce = self.nonce(&sender)? + *before;
            *before += 1;
            transactions.push(Transaction::sign(&self.chain(), &sender, nonce, FEE, action));
        }
        Ok(transactions)
    }

    fn draft(&self) -> Outcome<Draft> {
        let in_charge = self.ledger.in_charge();
        let height = self.ledger.tip().height.next();
        let drawn = in_charge.validators.proposer(&in_charge.seed, height, Round::ZERO);
        let proposer = drawn.ok_or("a set without weight")?.signer;
        let (last, revealed) = self.ledger.last_reveal(&proposer)?.ok_or("no seat")?;
        let (_, reveals) = self.slots.get(&proposer).ok_or("an unknown signer")?;
        let reveal = if revealed { None } else { reveals.next_after(&last) };
        let time = self.ledger.genesis().time.after(Millis::from_secs(self.clock));
        let parent_certificate = self.certificate.clone();
        Ok(Draft { round: Round::ZERO, time, proposer, reveal, parent_certificate })
    }
}

/// One payer pays the next, with a memo that varies in length.
fn transfer(number: u64) -> Outcome<(SigningKey, Action)> {
    let transfer = Transfer {
        to: key(Role::Payer, (number + 1) % 4).public(),
        amount: Grains::from_good(1 + (number % 7) as u32),
        memo: "thank you ".repeat((number % 9) as usize).as_str().try_into()?,
    };
    Ok((key(Role::Payer, number % 3), Action::Transfer(transfer)))
}
