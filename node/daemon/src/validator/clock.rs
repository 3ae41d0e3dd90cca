//! The clocks of this machine, read in one place.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use goodwatt_chain::units::UnixMillis;
use goodwatt_units::Millis;

/// Wall clock and monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// The wall clock; 1970 when it is set before that.
    pub(crate) fn now() -> UnixMillis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Time since this process began to run the validator; never goes back.
    pub(super) fn uptime(&self) -> Millis {
        Millis::new(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// When this program was built, or its last commit made: no clock is right before that.
pub(super) fn build_time() -> UnixMillis {
    let secs = env!("GOODWATT_BUILD_TIME").parse::<u64>().unwrap_or(0);
    UnixMillis::new(secs.saturating_mul(1_000))
}
