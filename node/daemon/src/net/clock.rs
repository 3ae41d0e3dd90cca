//! Time as this module counts it: from long before the start, so that "an hour ago" always exists.

use std::time::{Duration, Instant};

/// A moment: the time since [`BEFORE`] the start. No wall clock is in it.
pub(super) type Moment = Duration;

/// What is older than this at the start is not known.
pub(super) const BEFORE: Duration = Duration::from_secs(90 * 86_400);

/// Turns the system's moments into ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> Moment {
        self.moment(Instant::now())
    }

    pub(super) fn moment(self, instant: Instant) -> Moment {
        BEFORE + instant.saturating_duration_since(self.0)
    }

    /// The system's moment for one of ours.
    pub(super) fn instant(self, moment: Moment) -> Instant {
        self.0 + moment.saturating_sub(BEFORE)
    }
}
