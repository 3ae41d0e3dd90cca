//! What the daemon does when nobody asks: all of it at the wake-ups of one scheduler.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::net::{Network, TICK_PERIOD};
use crate::notify::Notifier;
use crate::places::Places;
use crate::protocol::Call;
use crate::scheduler::{Repeat, Scheduler};
use crate::validator::{Clock, Handle};

/// How long the validator may take to answer before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long silent connections may wait for a wake-up that serves others too.
const SWEEP_SLACK: Duration = Duration::from_secs(5);
/// How long the network may wait for the same.
const NETWORK_SLACK: Duration = Duration::from_secs(5);

/// What comes due.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Job {
    /// Telling the service manager's watchdog that the validator answers.
    Ping,
    /// Closing silent connections.
    Sweep,
    /// The network's regular wake-up.
    Network,
}

/// The jobs and what they need.
#[derive(Debug)]
pub struct Upkeep {
    scheduler: Scheduler<Job>,
    notifier: Notifier,
    validator: Handle,
    places: Vec<Places>,
    network: Option<Network>,
    /// The last ping; while it waits for the validator there is no second one.
    ping: Option<JoinHandle<()>>,
}

impl Upkeep {
    /// Begins with what the environment wants; needs a tokio runtime around it.
    #[must_use]
    pub fn new(
        notifier: Notifier,
        validator: Handle,
        places: Vec<Places>,
        network: Option<Network>,
    ) -> Self {
        let now = Instant::now();
        let mut scheduler = Scheduler::new(now, Clock::now());
        if let Some(period) = notifier.ping_period() {
            // A period is half of what the watchdog allows, so a quarter of it is never late.
            scheduler.every(Job::Ping, Repeat { period, slack: period / 4 }, now);
        }
        if network.is_some() {
            let repeat = Repeat { period: TICK_PERIOD, slack: NETWORK_SLACK };
            scheduler.every(Job::Network, repeat, now);
        }
        Self { scheduler, notifier, validator, places, network, ping: None }
    }

    /// When to wake up, if ever.
    #[must_use]
    pub fn next_wakeup(&self, now: Instant) -> Option<Instant> {
        self.scheduler.next_wakeup(now)
    }

    /// Does everything that is due.
    pub fn run_due(&mut self, now: Instant) {
        for job in self.scheduler.take_due(now) {
            match job {
                Job::Ping => self.ping(),
                Job::Network => {
                    if let Some(network) = &self.network {
                        network.tick(now);
                    }
                }
                Job::Sweep => {
                    self.places.iter().for_each(|places| places.sweep(now));
                    self.plan_sweep();
                }
            }
        }
    }

    /// Plans the next sweep, or none where nobody is connected.
    pub fn plan_sweep(&mut self) {
        match self.places.iter().filter_map(Places::next_sweep).min() {
            Some(due) => self.scheduler.at(Job::Sweep, due, SWEEP_SLACK),
            None => self.scheduler.cancel(Job::Sweep),
        }
    }

    /// The wall clock was set: what follows it moves, and the validator looks whether it may sign.
    pub fn clock_set(&mut self) {
        self.scheduler.set_wall_clock(Instant::now(), Clock::now());
        self.validator.clock_set();
        if self.notifier.ping_period().is_some() {
            // The next turn may be a whole period away from now, and the last was before now.
            self.ping();
        }
    }

    /// Tells the watchdog, once the validator answered: one that hangs must not be reported well.
    fn ping(&mut self) {
        if self.ping.as_ref().is_some_and(|ping| !ping.is_finished()) {
            return;
        }
        let (notifier, validator) = (self.notifier, self.validator.clone());
        self.ping = Some(tokio::spawn(async move {
            let answer = tokio::time::timeout(PATIENCE, validator.call(Call::Chain)).await;
            if matches!(answer, Ok(Ok(_))) {
                notifier.ping();
            }
        }));
    }
}
