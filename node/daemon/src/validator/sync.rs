//! Saying how far catching up has come.

use goodwatt_units::Millis;
use goodwatt_validator::Progress;

use super::engine::Engine;
use crate::protocol::CatchingUp;

/// Who is less behind has done with it before anybody reads of it.
const BEHIND_MIN: u64 = 100;
/// How often it is said.
const PAUSE: Millis = Millis::from_secs(5);

/// When it was said last.
#[derive(Debug, Default)]
pub(super) struct SyncLog {
    said_at: Option<Millis>,
}

impl Engine {
    /// How far catching up has come.
    pub(super) fn catching_up(&mut self) -> Option<CatchingUp> {
        let now = self.now();
        self.own.progress(now).as_ref().map(CatchingUp::from)
    }

    /// Says how far catching up has come, now and then.
    pub(super) fn log_sync(&mut self) {
        let now = self.now();
        let said_at = self.sync_log.said_at;
        let rested = said_at.is_none_or(|at| at.saturating_add(PAUSE) <= now.uptime);
        match self.own.progress(now) {
            Some(progress) if progress.behind() >= BEHIND_MIN && rested => {
                self.sync_log.said_at = Some(now.uptime);
                let height = progress.height.get();
                tracing::info!("{}", CatchingUp::from(&progress).sentence(height));
            }
            None if said_at.is_some() => {
                self.sync_log.said_at = None;
                tracing::info!("caught up at {}", self.own.ledger().tip().height);
            }
            _ => {}
        }
    }
}

impl From<&Progress> for CatchingUp {
    fn from(progress: &Progress) -> Self {
        Self {
            from: progress.from.get(),
            target: progress.target.get(),
            percent: progress.percent(),
            seconds_left: progress.left.map(|left| left.get().div_ceil(1_000)),
        }
    }
}

impl CatchingUp {
    /// The same for people.
    pub(crate) fn sentence(&self, height: u64) -> String {
        let left = self.seconds_left.map_or_else(String::new, |left| format!(", {left} s left"));
        format!("catching up: {height} of {}, {} %{left}", self.target, self.percent)
    }
}
