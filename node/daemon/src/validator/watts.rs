//! What the board draws and the process uses: read when somebody looks, and every now and then
//! while an energy report is to come.

use goodwatt_chain::transaction::{EnergyMethod, ReportEnergy};
use goodwatt_chain::units::Epoch;
use goodwatt_power::{
    Account, Discovery, EnergyTotals, Method, PowerConfig, PowerMeter, ProcessUsage, ProcessWatch,
    Roots, Sample, Scope, State,
};
use goodwatt_units::{MicroJoules, Millis};

use crate::protocol::{EnergyAccount, PowerInfo, SkippedSource, Usage};

/// A report covers at least this part of its term, in thousandths.
const COVERED_PERMILLE_MIN: u64 = 500;
/// The least error bound the rules take of a modelled figure, in thousandths.
const MODELLED_PERMILLE_MIN: u64 = 50;

/// The meter of the board and the watch of this process.
#[derive(Debug)]
pub(super) struct Watts {
    meter: PowerMeter,
    process: ProcessWatch,
    usage: Option<ProcessUsage>,
    /// When the sensor was read last.
    looked: Millis,
    /// What had been used when the term began.
    term_began: EnergyTotals,
    /// What became of the last report.
    report: Option<String>,
}

/// Why a term is not reported on. The rule then takes the power that genesis assumes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum NoReport {
    #[error("{covered} of {term} were metered, and a report needs half: was the daemon stopped?")]
    TooShort { covered: Millis, term: Millis },
    #[error("figures of different scopes are not added up: the sensor failed in between")]
    Scopes,
    #[error(
        "an error bound of more than 100 % is not taken: wire a sensor, or run goodwatt power \
         calibrate"
    )]
    Unsure,
}

impl Watts {
    /// Looks for sensors, and says what is used and why.
    pub(super) fn new(config: &PowerConfig) -> Self {
        let mut meter = PowerMeter::new(config);
        let found = meter.discovery().to_string();
        found.lines().for_each(|line| tracing::info!("{}", line.trim_start()));
        let process = ProcessWatch::new(&Roots::default());
        let term_began = meter.sample(Millis::ZERO).energy;
        Self { meter, process, usage: None, looked: Millis::ZERO, term_began, report: None }
    }

    fn sample(&mut self, uptime: Millis) -> Sample {
        let sample = self.meter.sample(uptime);
        self.looked = uptime.saturating_sub(sample.reading.age);
        sample
    }

    /// When to look next, so that no energy of this term is lost.
    pub(super) fn due(&self) -> Millis {
        self.looked.saturating_add(self.meter.pace())
    }

    /// Looks if it is time to.
    pub(super) fn keep_up(&mut self, uptime: Millis) {
        if self.due() <= uptime {
            self.sample(uptime);
        }
    }

    /// Ends a term, and gives what it used.
    pub(super) fn end_term(&mut self, uptime: Millis) -> EnergyTotals {
        let energy = self.sample(uptime).energy;
        let used = energy.since(&self.term_began);
        self.term_began = energy;
        used
    }

    /// Notes what became of a report.
    pub(super) fn note_report(&mut self, what: String) {
        tracing::info!("{what}");
        self.report = Some(what);
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
        let sample = self.sample(uptime);
        let report = self.report.clone();
        PowerInfo { report, ..power_info(self.meter.discovery(), &sample, blocks, transactions) }
    }
}

/// A sample as it is told, with what it makes for each of so many blocks and transactions.
pub(crate) fn power_info(
    discovery: &Discovery,
    sample: &Sample,
    blocks: u64,
    transactions: u64,
) -> PowerInfo {
    let whole = sample.energy.whole().map(|(_, _, account)| account);
    let each = |count| whole.and_then(|account| account.per(count));
    let joules = |energy: MicroJoules| energy.get() as f64 / 1e6;
    let marginal = |count| each(count).and_then(|each| each.marginal).map(joules);
    let reading = &sample.reading;
    PowerInfo {
        power_microwatts: reading.power.get().into(),
        power_method: reading.method.to_string(),
        power_scope: reading.scope.to_string(),
        power_error: reading.error.to_string(),
        power_error_ppm: reading.error.ppm(),
        sensor: reading.sensor.to_string(),
        shunt: discovery.chosen.shunt.map(|shunt| shunt.to_string()),
        age_ms: reading.age.get(),
        energy: accounts(&sample.energy),
        uncovered_ms: sample.energy.uncovered.get(),
        joules_per_block: each(blocks).map(|each| joules(each.whole)),
        joules_per_transaction: each(transactions).map(|each| joules(each.whole)),
        marginal_joules_per_block: marginal(blocks),
        marginal_joules_per_transaction: marginal(transactions),
        notes: discovery.notes.iter().map(ToString::to_string).collect(),
        skipped: skipped(discovery),
        fault: fault(&sample.state),
        report: None,
    }
}

/// The energy so far: what was measured, and what was modelled where that failed.
fn accounts(totals: &EnergyTotals) -> Vec<EnergyAccount> {
    let account = |method: Method, scope: Scope, account: &Account| EnergyAccount {
        method: method.to_string(),
        scope: scope.to_string(),
        microjoules: account.energy.get(),
        uncertainty_microjoules: account.uncertainty.get(),
        marginal_microjoules: account.marginal().map(MicroJoules::get),
    };
    let scope = totals.measured_scope;
    let measured = scope.map(|scope| account(Method::Measured, scope, &totals.measured));
    let covers = totals.modelled.covered > Millis::ZERO;
    let modelled = covers.then(|| account(Method::Modelled, Scope::BoardInput, &totals.modelled));
    measured.into_iter().chain(modelled).collect()
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

/// The report on a term of this length: what was covered, scaled to the term by its mean power.
///
/// What happened in the rest is not known: its share is added to the error bound.
pub(super) fn report(
    used: &EnergyTotals,
    epoch: Epoch,
    term: Millis,
) -> Result<ReportEnergy, NoReport> {
    let both = used.measured.covered.saturating_add(used.modelled.covered);
    let too_short = |covered| NoReport::TooShort { covered, term };
    if both.get().saturating_mul(1_000) < term.get().saturating_mul(COVERED_PERMILLE_MIN) {
        return Err(too_short(both));
    }
    let (method, scope, account) = used.whole().ok_or(NoReport::Scopes)?;
    let covered = u128::from(account.covered.get().max(1));
    let scaled = u128::from(account.energy.get()) * u128::from(term.get()) / covered;
    let energy = MicroJoules::new(u64::try_from(scaled).unwrap_or(u64::MAX));
    let permille = |part: u64, of: u64| {
        let permille = (u128::from(part) * 1_000).div_ceil(u128::from(of.max(1)));
        u64::try_from(permille).unwrap_or(u64::MAX)
    };
    let missing = term.saturating_sub(account.covered);
    let error = permille(account.uncertainty.get(), account.energy.get())
        .saturating_add(permille(missing.get(), term.get()));
    let method = energy_method(method, scope);
    let least = if method == EnergyMethod::Modelled { MODELLED_PERMILLE_MIN } else { 1 };
    match u16::try_from(error.max(least)) {
        Ok(error_permille) if error_permille <= 1_000 => {
            Ok(ReportEnergy { epoch, energy, method, error_permille })
        }
        _ => Err(NoReport::Unsure),
    }
}

const fn energy_method(method: Method, scope: Scope) -> EnergyMethod {
    match (method, scope) {
        (Method::Measured, Scope::BoardInput) => EnergyMethod::MeasuredBoardInput,
        (Method::Measured, Scope::Wall) => EnergyMethod::MeasuredWall,
        (Method::Measured, Scope::Rails) => EnergyMethod::MeasuredRails,
        (Method::Measured, Scope::CpuPackage) => EnergyMethod::MeasuredCpuPackage,
        _ => EnergyMethod::Modelled,
    }
}

#[cfg(test)]
mod tests;
