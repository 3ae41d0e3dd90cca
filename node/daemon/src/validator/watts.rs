//! What the board draws and the process uses, read only when somebody looks.

use goodwatt_power::{
    Account, Discovery, Method, PowerConfig, PowerMeter, ProcessUsage, ProcessWatch, Roots, Sample,
    Scope, State,
};
use goodwatt_units::Millis;

use crate::protocol::{PowerInfo, SkippedSource, Usage};

/// The meter of the board and the watch of this process.
#[derive(Debug)]
pub(super) struct Watts {
    meter: PowerMeter,
    process: ProcessWatch,
    usage: Option<ProcessUsage>,
}

impl Watts {
    /// Looks for sensors, and says what is used and why.
    pub(super) fn new(config: &PowerConfig) -> Self {
        let meter = PowerMeter::new(config);
        let found = meter.discovery().to_string();
        found.lines().for_each(|line| tracing::info!("{}", line.trim_start()));
        let process = ProcessWatch::new(&Roots::default());
        let mut watts = Self { meter, process, usage: None };
        watts.meter.sample(Millis::ZERO);
        watts
    }

    /// What the process uses.
    pub(super) fn usage(&mut self) -> Usage {
        match self.process.read() {
            Ok(usage) => self.usage = Some(usage),
            Err(fault) => tracing::warn!("own usage: {fault}; the figures are the last ones"),
        }
        self.usage.map_or_else(Usage::default, |usage| Usage {
            resident_bytes: usage.resident_bytes,
            wakeups: usage.wakeups,
            written_bytes: usage.written_bytes.unwrap_or(0),
            cpu_ms: usage.cpu.get() / 1_000,
        })
    }

    /// What the board draws, and what that makes for each of so many blocks and transactions.
    pub(super) fn look(&mut self, uptime: Millis, blocks: u64, transactions: u64) -> PowerInfo {
        let sample = self.meter.sample(uptime);
        let account = energy(&sample);
        let each = |count| account.and_then(|account| account.per(count));
        let joules = |energy: goodwatt_units::MicroJoules| energy.get() as f64 / 1e6;
        let reading = &sample.reading;
        PowerInfo {
            power_microwatts: reading.power.get().into(),
            power_method: reading.method.to_string(),
            power_scope: reading.scope.to_string(),
            power_error: reading.error.to_string(),
            sensor: reading.sensor.to_string(),
            age_ms: reading.age.get(),
            energy_microjoules: account.map_or(0, |account| account.energy.get()),
            marginal_microjoules: account
                .and_then(|account| account.marginal())
                .map_or(0, goodwatt_units::MicroJoules::get),
            uncovered_ms: sample.energy.uncovered.get(),
            joules_per_block: each(blocks).map(|each| joules(each.whole)),
            joules_per_transaction: each(transactions).map(|each| joules(each.whole)),
            skipped: skipped(self.meter.discovery()),
            fault: fault(&sample.state),
        }
    }
}

/// The energy of the whole board as far as it may be summed; modelled where scopes differ.
fn energy(sample: &Sample) -> Option<Account> {
    let whole: Option<(Method, Scope, Account)> = sample.energy.whole();
    whole.map(|(_, _, account)| account)
}

fn skipped(discovery: &Discovery) -> Vec<SkippedSource> {
    let entry = |(source, reason): &(goodwatt_power::SourceKind, goodwatt_power::SkipReason)| {
        SkippedSource { source: source.to_string(), reason: reason.to_string() }
    };
    discovery.skipped.iter().map(entry).collect()
}

fn fault(state: &State) -> Option<String> {
    match state {
        State::Faulty(_) | State::Missing(_) => Some(state.to_string()),
        _ => None,
    }
}
