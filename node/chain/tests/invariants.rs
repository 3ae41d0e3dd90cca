//! The invariants of the ledger, under random transactions, epochs, silence and cheating.
//!
//! Every block is proposed, encoded, checked by a second ledger and committed. Beside the ledger
//! runs a [`Shadow`]: it reads blocks alone, and knows the balances and the admitted associations
//! by simpler rules.

mod common;

use std::collections::BTreeMap;

use common::make::{double_vote, renewal, report, request, transfer, voice, withdraw};
use common::shadow::Shadow;
use common::{Chain, association, good, grains, owner};
use goodwatt_chain::genesis::{Rule, SealingRule};
use goodwatt_chain::hash::AssociationId;
use goodwatt_chain::ledger::BlockError;
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::state::{Key, Release, Vesting};
use goodwatt_chain::transaction::{Action, BallotKind, Delegate, EnergyMethod, Transaction};
use goodwatt_chain::units::{Epoch, Grains};
use goodwatt_chain::validators::is_quorum;
use proptest::prelude::*;

const FOUNDERS: u32 = 5;
const OWNERS: u32 = 8;
const ASSOCIATIONS: u32 = 5;

#[derive(Clone, Debug)]
enum Step {
    Transfer {
        from: u32,
        to: u32,
        amount: u64,
    },
    /// Purchases in one block: buyer, price, preference.
    Market(Vec<(u32, u64, Option<usize>)>),
    Request(u32),
    Withdraw(u32),
    Renew(u32),
    Vote {
        voter: u32,
        association: usize,
        kind: BallotKind,
        approve: bool,
    },
    /// Coins behind a bid.
    Back {
        voter: u32,
        bid: usize,
        amount: u64,
    },
    /// All who can vote for it.
    Campaign {
        association: usize,
        kind: BallotKind,
    },
    Report {
        owner: u32,
        milliwatts: u64,
        method: EnergyMethod,
        error: u16,
    },
    /// A validator signs two blocks, and somebody brings it up.
    Cheat {
        seat: usize,
        back: u64,
    },
    /// A validator signs nothing, if the others are enough.
    Silence(usize),
    /// All sign again.
    Speak,
    Epochs(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let kind = || prop_oneof![3 => Just(BallotKind::Admission), 1 => Just(BallotKind::Removal)];
    let method = prop_oneof![
        Just(EnergyMethod::MeasuredBoardInput),
        Just(EnergyMethod::MeasuredRails),
        Just(EnergyMethod::Modelled)
    ];
    let known = 0..ASSOCIATIONS as usize;
    let amount = || prop_oneof![0..5_000_u64, 0..50_000_000_u64, any::<u64>()];
    let offer = (0..OWNERS, 900_000..40_000_000_u64, proptest::option::of(known.clone()));
    prop_oneof![
        3 => (0..OWNERS, 0..OWNERS, amount())
            .prop_map(|(from, to, amount)| Step::Transfer { from, to, amount }),
        9 => proptest::collection::vec(offer, 1..7).prop_map(Step::Market),
        4 => (0..OWNERS, 0..6_usize, 900_000..40_000_000_u64)
            .prop_map(|(voter, bid, amount)| Step::Back { voter, bid, amount }),
        4 => (0..ASSOCIATIONS).prop_map(Step::Request),
        2 => (0..ASSOCIATIONS).prop_map(Step::Withdraw),
        2 => (0..ASSOCIATIONS).prop_map(Step::Renew),
        6 => (0..OWNERS, known.clone(), kind(), any::<bool>())
            .prop_map(|(voter, association, kind, approve)| {
                Step::Vote { voter, association, kind, approve }
            }),
        5 => (known, kind())
            .prop_map(|(association, kind)| Step::Campaign { association, kind }),
        4 => (0..OWNERS, 0..20_000_u64, method, 0..1_100_u16)
            .prop_map(|(owner, milliwatts, method, error)| {
                Step::Report { owner, milliwatts, method, error }
            }),
        3 => (0..8_usize, 0..20_u64).prop_map(|(seat, back)| Step::Cheat { seat, back }),
        2 => (0..8_usize).prop_map(Step::Silence),
        1 => Just(Step::Speak),
        8 => Just(Step::Epochs(1)),
        2 => (2..6_u64).prop_map(Step::Epochs),
    ]
}

/// Accounts, and the grains each is given.
type Credits = Vec<(PublicKey, u64)>;

/// A chain, its shadow, and what the steps refer to.
struct World {
    chain: Chain,
    shadow: Shadow,
    sealed: usize,
    /// All that ever vested, in grains.
    vested: u64,
}

impl World {
    fn new(rule: Rule, reward: u64, validators_min: u8) -> Self {
        let chain = Chain::with(FOUNDERS, |parameters| {
            parameters.rule = rule;
            parameters.epoch_reward = grains(reward);
            parameters.validators_min = validators_min;
            parameters.validators_max = 6;
            parameters.vote_window = 2;
            parameters.admission_epochs = 12;
            parameters.cooling_epochs = 2;
            parameters.release_delay = 3;
            parameters.vesting_delay = 4;
            parameters.association_cap = good(40);
            parameters.energy_price = good(1);
            parameters.sealing = SealingRule::Immediate;
        });
        let shadow = Shadow::of(&chain);
        Self { chain, shadow, sealed: 0, vested: 0 }
    }

    fn id(&self, index: usize) -> Option<AssociationId> {
        self.shadow.latest.values().nth(index).copied()
    }

    /// One that can be voted on, or any if there is none.
    fn votable(&self, index: usize, kind: BallotKind) -> Option<AssociationId> {
        let registry = self.chain.registry();
        let all = match kind {
            BallotKind::Admission => &registry.pending[..],
            BallotKind::Removal => &registry.admitted[..],
        };
        all.get(index % all.len().max(1)).copied().or_else(|| self.id(index))
    }

    /// An admitted association; now and then one that is not.
    fn preferred(&self, index: usize) -> Option<AssociationId> {
        let admitted = self.chain.registry().admitted;
        admitted.get(index).copied().or_else(|| self.id(index).filter(|_| index == 0))
    }

    /// Seals what the rules take of `transactions`, and compares everything.
    fn seal(&mut self, transactions: &[Transaction]) {
        if !self.decides(|signer| self.chain.silent.contains(signer)) {
            self.chain.silent.clear();
        }
        let before = self.chain.ledger.in_charge().clone();
        let (vesting, release) = self.due();
        let (pool, stakes) = (self.chain.totals(), self.chain.stakes());
        match self.chain.try_seal(transactions) {
            Ok((block, _)) => {
                self.sealed += 1;
                self.vested += vesting.iter().map(|(_, amount)| amount).sum::<u64>();
                let due = vesting.into_iter().chain(release);
                self.shadow.follow(&self.chain, &before, due, stakes, &block);
            }
            // All of them were refused, so that nothing was left to seal.
            Err(BlockError::NothingToSeal) => assert_eq!(self.chain.totals(), pool),
            Err(error) => panic!("an honest proposer is refused: {error}"),
        }
        self.chain.audit();
        self.shadow.compare(&self.chain);
        assert!(!self.chain.validators().is_empty(), "somebody is in charge");
        // What vests is made of rewards and fees alone: no slot's price is among it.
        let totals = self.chain.totals();
        let earned = totals.minted.get() + self.shadow.fees;
        assert!(self.vested + totals.vesting.get() <= earned, "{totals:?}");
    }

    /// What vests and what is released by a block now, from the schedules as they stand.
    fn due(&self) -> (Credits, Credits) {
        let (from, to) = (self.chain.epoch(), self.chain.genesis().epoch_at(self.chain.time));
        let (mut vested, mut released) = (Vec::new(), Vec::new());
        for epoch in (from.next().get()..=to.get()).map(Epoch::new) {
            let vesting: Vesting = self.chain.read(Key::Vesting(epoch)).unwrap_or_default();
            for (name, amount) in &vesting.entries {
                vested.push((PublicKey::from_bytes(*name.as_bytes()), amount.get()));
            }
            let release: Release = self.chain.read(Key::Release(epoch)).unwrap_or_default();
            for (name, amount) in &release.entries {
                released.push((self.chain.standing(AssociationId(*name)).key, amount.get()));
            }
        }
        (vested, released)
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Epochs(count) => {
                self.chain.move_to(self.chain.epoch().get() + count);
                self.seal(&[]);
            }
            Step::Silence(seat) => self.silence(*seat),
            Step::Speak => self.chain.silent.clear(),
            Step::Campaign { association, kind } => {
                if let Some(id) = self.votable(*association, *kind) {
                    let votes = (0..OWNERS).map(|n| (owner(n), voice(id, *kind, true)));
                    let votes = votes.map(|(key, action)| self.chain.sign(&key, action));
                    let votes: Vec<_> = votes.collect();
                    self.seal(&votes);
                }
            }
            Step::Market(offers) => self.trade(offers),
            _ => {
                if let Some((key, action)) = self.action(step) {
                    let transaction = self.chain.sign(&key, action);
                    self.seal(&[transaction]);
                }
            }
        }
    }

    fn trade(&mut self, offers: &[(u32, u64, Option<usize>)]) {
        let mut ahead = BTreeMap::new();
        let mut bought = Vec::new();
        for (buyer, amount, preference) in offers {
            let mut slot = self.chain.slot(&owner(*buyer), grains(*amount));
            slot.preference = preference.and_then(|index| self.preferred(index));
            let nonce = ahead.entry(*buyer).or_insert(0);
            bought.push(self.chain.sign_later(&owner(*buyer), *nonce, Action::BuySlot(slot)));
            *nonce += 1;
        }
        self.seal(&bought);
    }

    fn action(&mut self, step: &Step) -> Option<(SigningKey, Action)> {
        let chain = &mut self.chain;
        Some(match *step {
            Step::Transfer { from, to, amount } => {
                let amount = Grains::new(amount)?;
                (owner(from), transfer(&owner(to), amount))
            }
            Step::Request(number) => {
                let sender = association(number);
                let request = Box::new(request(chain, &sender));
                (sender, Action::RequestAssociation(request))
            }
            Step::Withdraw(number) => {
                let sender = association(number);
                let id = self.shadow.latest.get(&sender.public())?;
                (sender, withdraw(*id))
            }
            Step::Renew(number) => {
                let sender = association(number);
                let id = self.shadow.latest.get(&sender.public())?;
                let renewal = Box::new(renewal(chain, &sender, *id));
                (sender, Action::RenewAssociation(renewal))
            }
            Step::Vote { voter, association, kind, approve } => {
                (owner(voter), voice(self.votable(association, kind)?, kind, approve))
            }
            Step::Back { voter, bid, amount } => {
                let bids = chain.bids();
                let signer = bids.bids.get(bid)?.validator.signer;
                let (epoch, amount) = (bids.epoch, grains(amount));
                (owner(voter), Action::Delegate(Delegate { epoch, signer, amount }))
            }
            Step::Report { owner: number, milliwatts, method, error } => {
                let ended = chain.terms().previous?.epoch;
                (owner(number), report(ended, milliwatts * 3_600_000, method, error))
            }
            Step::Cheat { seat, back } => {
                let height = chain.ledger.tip().height.get().saturating_sub(back);
                let signer = chain.validators().at(seat)?.signer;
                let evidence = double_vote(chain.ledger.chain(), chain.signer(&signer), height);
                (owner(OWNERS), Action::SubmitEvidence(Box::new(evidence)))
            }
            _ => return None,
        })
    }

    /// Silences a seat if the rest still decides.
    fn silence(&mut self, seat: usize) {
        let Some(validator) = self.chain.validators().at(seat) else { return };
        let signer = validator.signer;
        if self.decides(|other| *other == signer || self.chain.silent.contains(other)) {
            self.chain.silent.insert(signer);
        }
    }

    /// Whether the set in charge decides without these.
    fn decides(&self, silent: impl Fn(&PublicKey) -> bool) -> bool {
        let voices = self.chain.validators().iter().filter(|v| !silent(&v.signer));
        let weight = voices.map(|validator| validator.weight.get()).sum();
        is_quorum(weight, self.chain.validators().total_weight())
    }
}

fn config() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(32),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_invariants_hold(
        steps in proptest::collection::vec(step(), 40..80),
        reward in prop_oneof![Just(0), 1..200_000_000_u64],
        validators_min in 1..5_u8,
        rule in prop_oneof![2 => Just(Rule::GoodWill), 1 => Just(Rule::Stake), 1 => Just(Rule::Delegated)],
    ) {
        let mut world = World::new(rule, reward, validators_min);
        for step in &steps {
            world.take(step);
        }
        prop_assert!(world.sealed > 10);
        // What waits is paid out in the end, and still nothing is lost.
        for _ in 0..8 {
            world.take(&Step::Epochs(1));
        }
    }
}
