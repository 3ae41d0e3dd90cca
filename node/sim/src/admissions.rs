//! Every admitted association had 75 % of the live validators: counted beside the ledger.

use std::collections::{BTreeMap, BTreeSet};

use goodwatt_chain::hash::AssociationId;
use goodwatt_chain::ledger::{LeafStore, Ledger};
use goodwatt_chain::state::{Ballot, Key, Registry};
use goodwatt_chain::transaction::BallotKind;
use goodwatt_chain::units::Height;

use crate::check::Violation;

/// The votes as they stood after the last block.
#[derive(Debug, Default)]
pub(crate) struct Admissions {
    seen_at: Height,
    open: BTreeMap<AssociationId, Ballot>,
    known: BTreeSet<AssociationId>,
    /// How many were admitted, and checked.
    pub(crate) admitted: u64,
    /// How many votes failed, and were checked.
    pub(crate) refused: u64,
}

impl Admissions {
    /// Follows the chain by one block.
    pub(crate) fn follow<L: LeafStore>(&mut self, ledger: &Ledger<L>) -> Vec<Violation> {
        let (view, height) = (ledger.view(), ledger.tip().height);
        let registry: Registry = view.read_or_default(Key::Registry).unwrap_or_default();
        let mut found = Vec::new();
        // Only from one block to the next is it known how a vote stood when it was counted.
        if self.seen_at.next() == height {
            let before = std::mem::take(&mut self.open);
            let decided = before.iter().filter(|(id, _)| !registry.pending.contains(id));
            for (id, ballot) in decided.filter(|(_, b)| b.kind == BallotKind::Admission) {
                let is_admitted = registry.admitted.contains(id);
                if is_admitted != has_three_of_four(ballot) {
                    found.push(Violation::Admission { id: *id, height, is_admitted });
                }
                *(if is_admitted { &mut self.admitted } else { &mut self.refused }) += 1;
            }
            let unvoted =
                |id: &&AssociationId| !self.known.contains(id) && !before.contains_key(id);
            for id in registry.admitted.iter().filter(unvoted) {
                found.push(Violation::Admission { id: *id, height, is_admitted: true });
            }
        }
        let ballot = |id: &AssociationId| Some((*id, view.read(Key::Ballot(*id)).ok()??));
        self.open = registry.pending.iter().filter_map(ballot).collect();
        self.known = registry.admitted.iter().copied().collect();
        self.seen_at = height;
        found
    }
}

/// Three of four heads, and two thirds of the weight, counted one by one.
fn has_three_of_four(ballot: &Ballot) -> bool {
    let (mut yes, mut no, mut weight) = (0_u64, 0_u64, 0_u64);
    for elector in &ballot.electors {
        if elector.approve == Some(true) {
            yes += 1;
            weight += elector.weight;
        } else {
            no += 1;
        }
    }
    yes > 0 && yes >= 3 * no && 3 * weight >= 2 * ballot.active_weight
}
