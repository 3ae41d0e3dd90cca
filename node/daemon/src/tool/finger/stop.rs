//! Ctrl-C at any point: what was begun is either whole or not there, and the terminal is as it was.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use goodwatt_fingerprint::sensor::SensorError;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::super::error::ToolError;
use super::super::keys::Signals;
use super::super::output::note;

/// Listens for the wish to stop.
pub(super) struct Stop(Arc<Shared>);

struct Shared {
    wanted: AtomicBool,
    /// Whether whoever works with the sensor ends by themselves, and darkens the ring.
    at_sensor: AtomicBool,
    /// What is true when it ends now; locked while something must not be cut off.
    outcome: Mutex<&'static str>,
    /// How the terminal was, in case it ends while nothing typed is shown.
    before: Option<Termios>,
}

impl Stop {
    /// Listens from now on, until the process ends.
    pub(super) fn listen() -> Self {
        let shared = Arc::new(Shared {
            wanted: AtomicBool::new(false),
            at_sensor: AtomicBool::new(false),
            outcome: Mutex::new("stopped; nothing was changed"),
            before: tcgetattr(io::stdin()).ok(),
        });
        let heard = Arc::clone(&shared);
        match Signals::catch() {
            Ok(mut caught) => drop(std::thread::spawn(move || {
                loop {
                    caught.wait();
                    heard.stop();
                }
            })),
            // Then the system ends the process at once, which loses nothing either.
            Err(error) => tracing::warn!("signals are not caught: {error}"),
        }
        Self(shared)
    }

    /// Whether somebody wants to stop.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.wanted.load(Ordering::SeqCst)
    }

    /// Works with the sensor: `work` looks now and then whether somebody wants to stop.
    pub(super) fn at_sensor<T>(
        &self,
        work: impl FnOnce() -> Result<T, ToolError>,
    ) -> Result<T, ToolError> {
        self.0.at_sensor.store(true, Ordering::SeqCst);
        let done = work();
        self.0.at_sensor.store(false, Ordering::SeqCst);
        if self.is_wanted() { Err(ToolError::failed(SensorError::Stopped)) } else { done }
    }

    /// Does what must not be cut off, after which `outcome` is true.
    pub(super) fn whole<T>(
        &self,
        outcome: &'static str,
        work: impl FnOnce() -> Result<T, ToolError>,
    ) -> Result<T, ToolError> {
        let mut says = self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work()?;
        *says = outcome;
        Ok(done)
    }
}

impl Drop for Stop {
    /// What follows is not known here any more.
    fn drop(&mut self) {
        *self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner) = "stopped";
    }
}

impl Shared {
    fn stop(&self) {
        let first = !self.wanted.swap(true, Ordering::SeqCst);
        if first && self.at_sensor.load(Ordering::SeqCst) {
            return note("Stopping; Ctrl-C once more does not wait for the sensor.");
        }
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = &self.before {
            // A terminal that is gone needs no care.
            tcsetattr(io::stdin(), OptionalActions::Now, before).unwrap_or_default();
        }
        note(&format!("\ngoodwatt: {}", *outcome));
        std::process::exit(1);
    }
}
