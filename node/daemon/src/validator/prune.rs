//! When old bodies are given up.

use goodwatt_chain::units::{Height, UnixMillis};
use goodwatt_validator::{Prunable, Stuck};

use super::engine::Engine;

impl Engine {
    /// Gives up bodies as far as the operator wants it, others do without, and the state does.
    pub(super) fn prune(&mut self) -> Result<(), Stuck> {
        let (Some(keep), Some(snapshot)) = (self.keep_blocks, self.home.snapshots.height()) else {
            return Ok(());
        };
        let ledger = self.own.ledger();
        let parameters = &ledger.genesis().parameters;
        // Whoever comes from a checkpoint that is as old as may be asks for blocks from there on.
        let window = parameters.epoch_length.get().saturating_mul(parameters.vesting_delay);
        let before = UnixMillis::new(ledger.tip().time.get().saturating_sub(window));
        let below = Height::new(ledger.tip().height.get().saturating_sub(keep)).min(snapshot);
        if let Some(first) = self.own.prune(Prunable { below, before })? {
            tracing::info!("bodies below {first} are pruned; their headers stay");
        }
        Ok(())
    }
}
