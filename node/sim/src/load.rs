//! What owners do: they pay each other, buy slots, and vote on associations.

use goodwatt_chain::genesis::Rule;
use goodwatt_chain::hash::AssociationId;
use goodwatt_chain::signature::{PublicKey, Signature, SigningKey};
use goodwatt_chain::state::{Ballot, Bids, Key, Registry};
use goodwatt_chain::transaction::{
    Action, BallotKind, BuySlot, Category, Delegate, IdentityProof, RequestAssociation,
    Transaction, Transfer, VoteAssociation, identity_statement, slot_consent,
};
use goodwatt_chain::units::{Epoch, Grains};
use goodwatt_units::Millis;

use crate::genesis::{ASSOCIATIONS, SMALLEST_SET};
use crate::keys::{association, owner};
use crate::liar::LIAR;
use crate::world::{Event, World};

/// Requests that wait at one time.
const REQUESTS: usize = 2;
/// How long buyers take their time after slots of a new epoch are on sale.
const MARKET: u64 = 4_000;

impl World<'_> {
    /// An owner does something through its own board: mostly it pays its neighbour.
    pub(crate) fn submit(&mut self, node: usize) {
        match self.dice.below(12) {
            0 => self.request(node),
            1..=3 => self.vote(node),
            4 if self.scenario.rule == Rule::Delegated => self.back(node),
            _ => self.pay(node),
        }
    }

    fn pay(&mut self, node: usize) {
        let to = owner((node + 1) % self.boards.len()).public();
        let amount = Grains::from_good(1).mul_div_floor(1, 1_000);
        let action = Action::Transfer(Transfer { to, amount, memo: Default::default() });
        self.hand_in(node, &owner(node), action);
    }

    /// Hands an action in at a board, signed by `key`.
    fn hand_in(&mut self, node: usize, key: &SigningKey, action: Action) {
        let (chain, fee) = (self.genesis.chain_id(), self.genesis.parameters.fee_min);
        let now = self.boards[node].now(self.time);
        let Some(own) = &mut self.boards[node].validator else { return };
        let Ok(account) = own.mempool().account(own.ledger(), &key.public()) else { return };
        let transaction = Transaction::sign(&chain, key, account.nonce, fee, action);
        let id = transaction.id();
        if own.submit(now, vec![transaction]).iter().all(Result::is_ok) {
            self.submitted.insert(id, (node, self.time));
        }
        self.poll(node);
    }

    fn read<T>(&self, node: usize, key: Key) -> Option<T>
    where
        T: serde::Serialize + serde::de::DeserializeOwned,
    {
        self.boards[node].validator.as_ref()?.ledger().view().read(key).ok()?
    }

    /// An association asks to be admitted, where few do.
    fn request(&mut self, node: usize) {
        let Some(registry) = self.read::<Registry>(node, Key::Registry) else { return };
        let key = association(self.dice.index(ASSOCIATIONS));
        if registry.pending.len() >= REQUESTS {
            return self.vote(node);
        }
        let mut request = RequestAssociation {
            name: "Seeds".chars().collect(),
            category: Category::Hunger,
            web: "https://seeds.example".chars().collect(),
            evidence: std::iter::once(Default::default()).collect(),
            identity: published(&key, Signature::from_bytes([0; 64])),
            deposit: self.genesis.parameters.association_deposit,
        };
        let statement =
            identity_statement(&self.genesis.chain_id(), &key.public(), &request.claims());
        request.identity = published(&key, key.sign(&statement));
        self.hand_in(node, &key, Action::RequestAssociation(Box::new(request)));
    }

    /// A validator votes on an association that waits for it; else it pays.
    fn vote(&mut self, node: usize) {
        let own = owner(node).public();
        let registry: Registry = self.read(node, Key::Registry).unwrap_or_default();
        let waits = |id: &&AssociationId| {
            let ballot: Option<Ballot> = self.read(node, Key::Ballot(**id));
            let electors = ballot.map(|ballot| ballot.electors).unwrap_or_default();
            electors.iter().any(|elector| elector.owner == own && elector.approve.is_none())
        };
        let Some(association) = registry.pending.iter().find(waits).copied() else {
            return self.pay(node);
        };
        let (kind, approve) = (BallotKind::Admission, !self.dice.once_in(6));
        let vote = VoteAssociation { association, kind, approve };
        self.hand_in(node, &owner(node), Action::VoteAssociation(vote));
    }

    /// Stake votes for somebody who is honest.
    fn back(&mut self, node: usize) {
        let bids: Bids = self.read(node, Key::Bids).unwrap_or_default();
        let liar = owner(LIAR).public();
        let honest: Vec<PublicKey> = (bids.bids.iter().map(|bid| bid.validator))
            .filter(|slot| slot.owner != liar)
            .map(|slot| slot.signer)
            .collect();
        if honest.is_empty() {
            return self.pay(node);
        }
        let signer = honest[self.dice.index(honest.len())];
        let delegation = Delegate { epoch: bids.epoch, signer, amount: Grains::from_good(1) };
        self.hand_in(node, &owner(node), Action::Delegate(delegation));
    }

    /// Draws who buys slots of the epoch on sale: all, a few, too few for a set, or any number.
    pub(crate) fn plan_sets(&mut self) {
        let running = (0..self.boards.len()).filter(|node| self.boards[*node].validator.is_some());
        let Some(node) = running.max_by_key(|node| self.boards[*node].height()) else { return };
        let Some(bids) = self.read::<Bids>(node, Key::Bids) else { return };
        if self.planned >= bids.epoch {
            return;
        }
        self.planned = bids.epoch;
        let count = self.boards.len();
        let smallest = SMALLEST_SET.min(count);
        let buyers = match self.dice.below(4) {
            0 => count,
            1 => smallest,
            2 => self.dice.index(smallest),
            _ => smallest + self.dice.index(count - smallest + 1),
        };
        let mut nodes: Vec<usize> = (0..count).collect();
        for place in 0..buyers {
            let drawn = place + self.dice.index(count - place);
            nodes.swap(place, drawn);
            let at = self.time.saturating_add(Millis::new(self.dice.below(MARKET)));
            self.at(at, Event::Buy { node: nodes[place], epoch: bids.epoch });
        }
    }

    /// An owner buys a slot for a fresh key. The liar takes the cheapest, so that its part of a set
    /// of four or more stays below a third.
    pub(crate) fn buy(&mut self, node: usize, epoch: Epoch) {
        let on_sale = self.read::<Bids>(node, Key::Bids).is_some_and(|bids| bids.epoch == epoch);
        if !on_sale {
            return;
        }
        let good = if node == LIAR { 1 } else { 1 + self.dice.below(3) as u32 };
        let (signer, reveal_head) = self.boards[node].keys.fresh();
        let buyer = owner(node);
        let digest = slot_consent(&self.genesis.chain_id(), &buyer.public(), epoch);
        let slot = BuySlot {
            epoch,
            amount: Grains::from_good(good),
            signer: signer.public(),
            consent: signer.sign(&digest),
            reveal_head,
            preference: None,
        };
        self.hand_in(node, &buyer, Action::BuySlot(slot));
    }
}

fn published(key: &SigningKey, signature: Signature) -> IdentityProof {
    IdentityProof::Published { key: key.public(), signature }
}
