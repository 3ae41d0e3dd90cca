//! Counts all money, and accounts for every leaf of the state.

use std::collections::{BTreeMap, BTreeSet};

use goodwatt_chain::block::Block;
use goodwatt_chain::genesis::{DELAY_EPOCHS_MAX, Genesis};
use goodwatt_chain::hash::{AssociationId, ChainId};
use goodwatt_chain::leaves::{BucketIndex, LeafKey, Leaves};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::state::{
    Key, Release, Stake, Standing, Term, Unlocking, Vesting, is_money_conserved,
};
use goodwatt_chain::transaction::{Action, Transaction, association_id};
use goodwatt_chain::units::{Epoch, Grains};

use super::Chain;

/// The largest leaf that is tolerated.
pub(crate) const LEAF_BYTES_MAX: usize = 64 * 1_024;

/// Everything that can name a leaf, gathered from genesis and blocks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) keys: BTreeSet<PublicKey>,
    pub(crate) associations: BTreeSet<AssociationId>,
}

impl Names {
    pub(crate) fn of_genesis(genesis: &Genesis) -> Self {
        let balances = genesis.balances.iter().map(|(key, _)| *key);
        let founders = genesis.founders.iter().flat_map(|f| [f.owner, f.signer]);
        Self { keys: balances.chain(founders).collect(), associations: BTreeSet::new() }
    }

    pub(crate) fn note(&mut self, chain: &ChainId, block: &Block) {
        for raw in &block.transactions {
            let transaction = Transaction::decode(chain, &raw.0).expect("it was carried out");
            let content = &transaction.content;
            self.keys.insert(content.sender);
            match &content.action {
                Action::Transfer(transfer) => drop(self.keys.insert(transfer.to)),
                Action::BuySlot(slot) => drop(self.keys.insert(slot.signer)),
                Action::RequestAssociation(_) => {
                    let id = association_id(chain, &content.sender, content.nonce);
                    self.associations.insert(id);
                }
                _ => {}
            }
        }
    }

    /// Every leaf these names may have: of epochs those within the longest delay, and the one of
    /// the term before.
    fn leaves(&self, now: Epoch, before: Option<Epoch>) -> BTreeMap<LeafKey, Key> {
        let first = now.get().saturating_sub(DELAY_EPOCHS_MAX);
        let epochs = first..=now.get() + DELAY_EPOCHS_MAX;
        let single = [
            Key::Totals,
            Key::PreviousTerm,
            Key::CurrentTerm,
            Key::NextTerm,
            Key::Bids,
            Key::Attendance,
            Key::Registry,
            Key::Locked,
        ];
        let by_key = |key: &PublicKey| {
            [Key::Account(*key), Key::AssociationOf(*key), Key::Tombstone(*key), Key::Stake(*key)]
        };
        let by_id = |id: &AssociationId| [Key::Standing(*id), Key::Dossier(*id), Key::Ballot(*id)];
        let by_epoch = |epoch| {
            [Key::Vesting(epoch), Key::Release(epoch), Key::Roster(epoch), Key::Unlocking(epoch)]
        };
        let keys = (single.into_iter())
            .chain(self.keys.iter().flat_map(by_key))
            .chain(self.associations.iter().flat_map(by_id))
            .chain(epochs.map(Epoch::new).flat_map(by_epoch))
            .chain(before.map(Key::Roster));
        keys.map(|key| (key.leaf(), key)).collect()
    }
}

/// What lies where.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Audit {
    pub(crate) accounts: Grains,
    pub(crate) vesting: Grains,
    pub(crate) releasing: Grains,
    pub(crate) fees: Grains,
    pub(crate) deposits: Grains,
    pub(crate) locked: Grains,
    pub(crate) leaves: usize,
    pub(crate) rosters: usize,
    /// The size of the largest leaf.
    pub(crate) largest: usize,
    /// What it is.
    pub(crate) largest_key: Option<Key>,
}

fn sum(amounts: impl IntoIterator<Item = Grains>) -> Grains {
    let total = amounts.into_iter().try_fold(Grains::ZERO, Grains::checked_add);
    total.expect("all money together is below the largest supply")
}

fn plus(to: &mut Grains, amount: Grains) {
    *to = sum([*to, amount]);
}

impl Chain {
    /// Counts all money, and fails on a grain too much or too few, on a leaf nobody named, on a
    /// leaf that is too large, and on a tree that does not fit its leaves.
    pub(crate) fn audit(&self) -> Audit {
        let audit = self.count();
        let totals = self.totals();
        assert_eq!(audit.vesting, totals.vesting, "vesting schedules");
        assert_eq!(audit.releasing, totals.releasing, "release schedules");
        assert_eq!(audit.fees, totals.fees_in_flight, "fees of seats");
        assert_eq!(audit.deposits, totals.deposits, "deposits of standings");
        let locked: Grains = self.read(Key::Locked).unwrap_or_default();
        assert_eq!(audit.locked, locked, "stakes");
        assert_eq!(is_money_conserved(self.genesis(), self.ledger.leaves()), Ok(true));
        let parts = [audit.accounts, totals.pool, totals.deposits, totals.fees_in_flight];
        let all = sum(parts.into_iter().chain([totals.vesting, totals.releasing, locked]));
        let supply = self.genesis().supply().expect("genesis was checked");
        assert_eq!(all, sum([supply, totals.minted]), "money is conserved to the grain");
        self.audit_stakes();
        assert!(audit.largest < LEAF_BYTES_MAX, "{audit:?}");
        audit
    }

    /// What is locked behind each slot key.
    pub(crate) fn stakes(&self) -> BTreeMap<PublicKey, Stake> {
        let stake = |key: &PublicKey| Some((*key, self.read::<Stake>(Key::Stake(*key))?));
        self.names.keys.iter().filter_map(stake).collect()
    }

    /// Every slot weighs what is locked behind it, and every stake has one slot it waits for.
    fn audit_stakes(&self) {
        if !self.parameters().rule.locks() {
            return assert!(self.stakes().is_empty(), "by this rule nothing is locked");
        }
        let (terms, bids, mut stakes) = (self.terms(), self.bids(), self.stakes());
        let seats = terms.next.seats.iter().chain(&terms.current.seats);
        let seats = seats.filter(|seat| !seat.tombstoned).map(|seat| seat.validator);
        let slots: BTreeMap<_, _> =
            seats.chain(bids.bids.iter().map(|bid| bid.validator)).map(|v| (v.signer, v)).collect();
        for (signer, slot) in &slots {
            let stake = stakes.remove(signer).expect("a slot has a stake");
            let sum = sum(stake.backers.iter().map(|(_, amount)| *amount));
            assert_eq!(sum, slot.weight, "weight is what is locked");
            assert_eq!(stake.backers[0].0, slot.owner, "the owner stands first");
        }
        let now = self.epoch().get();
        for epoch in (now + 1..=now + self.parameters().vesting_delay).map(Epoch::new) {
            let unlocking: Unlocking = self.read(Key::Unlocking(epoch)).unwrap_or_default();
            unlocking.slots.iter().for_each(|(_, signer)| drop(stakes.remove(signer)));
        }
        assert!(stakes.is_empty(), "these are never given back: {stakes:?}");
    }

    fn count(&self) -> Audit {
        let before = self.terms().previous.map(|term| term.epoch);
        let names = self.names.leaves(self.epoch(), before);
        let mut audit = Audit::default();
        for index in BucketIndex::all() {
            let bucket = self.ledger.leaves().bucket(index).expect("memory is readable");
            for (leaf, value) in bucket.iter() {
                let key = names.get(leaf).expect("every leaf has a name that is known");
                audit.note(self, *key, value.len());
            }
        }
        audit
    }
}

impl Audit {
    fn note(&mut self, chain: &Chain, key: Key, bytes: usize) {
        self.leaves += 1;
        if bytes > self.largest {
            (self.largest, self.largest_key) = (bytes, Some(key));
        }
        match key {
            Key::Account(owner) => plus(&mut self.accounts, chain.account(&owner).balance),
            Key::Vesting(_) => {
                let vesting: Vesting = chain.read(key).expect("it is there");
                plus(&mut self.vesting, sum(vesting.entries.iter().map(|(_, amount)| *amount)));
            }
            Key::Release(_) => {
                let release: Release = chain.read(key).expect("it is there");
                let admitted = chain.registry().admitted;
                let named = |(name, _): &_| admitted.contains(&AssociationId(*name));
                assert!(release.entries.iter().all(named), "money waits for the admitted alone");
                plus(&mut self.releasing, sum(release.entries.iter().map(|(_, amount)| *amount)));
            }
            Key::PreviousTerm | Key::CurrentTerm | Key::NextTerm => {
                let term: Term = chain.read(key).expect("it is there");
                plus(&mut self.fees, sum(term.seats.iter().map(|seat| seat.fees)));
            }
            Key::Standing(_) => {
                let standing: Standing = chain.read(key).expect("it is there");
                plus(&mut self.deposits, standing.deposit);
            }
            Key::Stake(_) => {
                let stake: Stake = chain.read(key).expect("it is there");
                plus(&mut self.locked, sum(stake.backers.iter().map(|(_, amount)| *amount)));
            }
            Key::Roster(_) => self.rosters += 1,
            _ => {}
        }
    }
}
