//! What the ledger should hold, told by its blocks and by simpler rules than its own.

use std::collections::{BTreeMap, BTreeSet};

use goodwatt_chain::block::Block;
use goodwatt_chain::hash::AssociationId;
use goodwatt_chain::ledger::InCharge;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::state::Stake;
use goodwatt_chain::transaction::{Action, BallotKind, Transaction, association_id};
use goodwatt_chain::units::Epoch;

use super::Chain;

/// Balances and admitted associations, counted beside the ledger.
pub(crate) struct Shadow {
    epoch: Epoch,
    /// What each account has, on chains that lock coins together with what is locked.
    balances: BTreeMap<PublicKey, u64>,
    /// What was locked behind each slot key before the block that is followed.
    stakes: BTreeMap<PublicKey, Stake>,
    seen_now: BTreeSet<PublicKey>,
    seen_before: BTreeSet<PublicKey>,
    cheats: BTreeSet<PublicKey>,
    ballots: BTreeMap<AssociationId, Vote>,
    /// When each admission ends.
    admitted: BTreeMap<AssociationId, Epoch>,
    senders: BTreeMap<AssociationId, (PublicKey, u64)>,
    owners: BTreeMap<PublicKey, PublicKey>,
    /// The latest request of each association.
    pub(crate) latest: BTreeMap<PublicKey, AssociationId>,
    /// All fees ever paid, in grains.
    pub(crate) fees: u64,
}

struct Vote {
    kind: BallotKind,
    closes: Epoch,
    active: u64,
    voices: BTreeMap<PublicKey, (u64, bool)>,
}

impl Vote {
    /// At least three of four, and two thirds of the weight, counted in percent.
    fn passes(&self) -> bool {
        let yes = || self.voices.values().filter(|(_, yes)| *yes);
        let weight: u64 = yes().map(|(weight, _)| weight).sum();
        yes().count() * 100 >= self.voices.len() * 75
            && u128::from(weight) * 300 >= u128::from(self.active) * 200
    }
}

impl Shadow {
    pub(crate) fn of(chain: &Chain) -> Self {
        let balances = chain.genesis().balances.iter();
        Self {
            epoch: Epoch::ZERO,
            balances: balances.map(|(key, balance)| (*key, balance.get())).collect(),
            stakes: BTreeMap::new(),
            seen_now: BTreeSet::new(),
            seen_before: chain.owners_in_charge().into_iter().collect(),
            cheats: BTreeSet::new(),
            ballots: BTreeMap::new(),
            admitted: BTreeMap::new(),
            senders: BTreeMap::new(),
            owners: BTreeMap::new(),
            latest: BTreeMap::new(),
            fees: 0,
        }
    }

    fn credit(&mut self, key: PublicKey, amount: u64) {
        *self.balances.entry(key).or_default() += amount;
    }

    /// Follows a block from what the ledger was `before` it to what it is now.
    pub(crate) fn follow(
        &mut self,
        chain: &Chain,
        before: &InCharge,
        due: impl Iterator<Item = (PublicKey, u64)>,
        stakes: BTreeMap<PublicKey, Stake>,
        block: &Block,
    ) {
        self.stakes = stakes;
        self.owners.extend(before.validators.iter().map(|v| (v.signer, v.owner)));
        for commit in block.parent_certificate.iter().flat_map(|c| &c.signatures) {
            let signed = before.decided_tip.at(commit.validator.into()).expect("it was checked");
            self.seen_now.insert(signed.owner);
        }
        let now = chain.epoch();
        if now > self.epoch {
            self.epoch = now;
            due.for_each(|(key, amount)| self.credit(key, amount));
            self.count_votes(chain);
            self.admitted.retain(|_, expires| *expires > now);
            self.ballots.retain(|id, vote| {
                vote.kind == BallotKind::Admission || self.admitted.contains_key(id)
            });
            if !self.seen_now.is_empty() {
                self.seen_before = std::mem::take(&mut self.seen_now);
            }
        }
        for raw in &block.transactions {
            let transaction = Transaction::decode(chain.ledger.chain(), &raw.0);
            self.carry_out(chain, &transaction.expect("it was checked"));
        }
    }

    fn count_votes(&mut self, chain: &Chain) {
        let closed: Vec<_> = self
            .ballots
            .iter()
            .filter(|(_, v)| v.closes <= self.epoch)
            .map(|(id, _)| *id)
            .collect();
        for id in closed {
            let vote = self.ballots.remove(&id).expect("it was just found");
            match (vote.kind, vote.passes()) {
                (BallotKind::Admission, true) => {
                    let (sender, deposit) = self.senders[&id];
                    self.credit(sender, deposit);
                    let expires = self.epoch.after(chain.parameters().admission_epochs);
                    self.admitted.insert(id, expires);
                }
                (BallotKind::Removal, true) => drop(self.admitted.remove(&id)),
                (_, false) => {}
            }
        }
    }

    fn open(&mut self, chain: &Chain, id: AssociationId, kind: BallotKind, sender: PublicKey) {
        let closes = self.epoch.after(chain.parameters().vote_window);
        let weight = |owner: &PublicKey| {
            let seats = chain.validators().iter().filter(|v| v.owner == *owner);
            seats.map(|v| v.weight.get()).sum()
        };
        let live = self.seen_before.iter().filter(|o| **o != sender && !self.cheats.contains(o));
        let voices = live.map(|owner| (*owner, (weight(owner), false))).collect();
        let active = chain.validators().total_weight();
        self.ballots.insert(id, Vote { kind, closes, active, voices });
    }

    fn carry_out(&mut self, chain: &Chain, transaction: &Transaction) {
        let content = &transaction.content;
        let sender = content.sender;
        let spend = |shadow: &mut Self, amount: u64| {
            let balance = shadow.balances.get_mut(&sender).expect("who spends has received");
            *balance = balance.checked_sub(amount).expect("nobody spends what it has not");
        };
        spend(self, content.fee.get());
        self.fees += content.fee.get();
        match &content.action {
            Action::Transfer(transfer) => {
                spend(self, transfer.amount.get());
                self.credit(transfer.to, transfer.amount.get());
            }
            // Locked coins stay their owner's.
            Action::BuySlot(_) | Action::Delegate(_) if chain.parameters().rule.locks() => {}
            Action::Delegate(_) => panic!("by this rule nobody votes for delegates"),
            // Into the pool, and never seen again on the buyer's side.
            Action::BuySlot(slot) => spend(self, slot.amount.get()),
            Action::RequestAssociation(request) => {
                spend(self, request.deposit.get());
                let id = association_id(chain.ledger.chain(), &sender, content.nonce);
                self.senders.insert(id, (sender, request.deposit.get()));
                self.latest.insert(sender, id);
                self.open(chain, id, BallotKind::Admission, sender);
            }
            Action::WithdrawRequest(withdrawal) => {
                self.ballots.remove(&withdrawal.association);
                let (sender, deposit) = self.senders[&withdrawal.association];
                self.credit(sender, deposit);
            }
            Action::RenewAssociation(renewal) => {
                let expires = self.epoch.after(chain.parameters().admission_epochs);
                self.admitted.insert(renewal.association, expires);
            }
            Action::VoteAssociation(vote) => {
                let id = vote.association;
                if !self.ballots.contains_key(&id) {
                    self.open(chain, id, BallotKind::Removal, self.senders[&id].0);
                }
                let ballot = self.ballots.get_mut(&id).expect("it is open");
                let voice = ballot.voices.get_mut(&sender).expect("who votes was live");
                voice.1 = vote.approve;
            }
            Action::SubmitEvidence(evidence) => {
                let cheat = self.owners[&evidence.signer()];
                self.cheats.insert(cheat);
                // Lost with all that others locked behind it.
                self.stakes.retain(|_, stake| {
                    let lost = stake.backers[0].0 == cheat;
                    for (account, amount) in stake.backers.iter().filter(|_| lost) {
                        *self.balances.get_mut(account).expect("who locks has") -= amount.get();
                    }
                    !lost
                });
            }
            Action::ReportEnergy(_) => {}
        }
    }

    pub(crate) fn compare(&self, chain: &Chain) {
        let mut locked: BTreeMap<PublicKey, u64> = BTreeMap::new();
        for (account, amount) in chain.stakes().values().flat_map(|stake| &stake.backers) {
            *locked.entry(*account).or_default() += amount.get();
        }
        for (key, balance) in &self.balances {
            let held = chain.account(key).balance.get() + locked.get(key).unwrap_or(&0);
            assert_eq!(held, *balance, "balance of {key}");
        }
        let admitted: BTreeSet<_> = chain.registry().admitted.iter().copied().collect();
        assert_eq!(admitted, self.admitted.keys().copied().collect(), "admitted associations");
    }
}
