//! The meter: one call for a reading, the energy so far, and the state of the sensor.

use std::fmt;

use goodwatt_units::{MicroJoules, MicroWatts, Millis};

use crate::config::PowerConfig;
use crate::cpu::{CpuInterval, CpuMeter, CpuShare};
use crate::energy::{EnergyMeter, EnergyTotals, Idle, Step};
use crate::fault::Fault;
use crate::model::Model;
use crate::probe::{self, Discovery, SkipReason};
use crate::reading::{ErrorSource, Method, Reading, RelativeError, Scope, Sensor, SourceKind};
use crate::source::Opened;
use crate::watch::{Context, Count, CounterWatch, LevelWatch};

/// What the sensor is doing, and so why a reading is modelled.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// The sensor works.
    Measuring,
    /// The first read of a counter: there is no mean before the second.
    Starting,
    /// The sensor gave a figure that cannot be used.
    Faulty(Fault),
    /// The sensor is not there; it is looked for again with each sample.
    Missing(SkipReason),
    /// There is no sensor.
    ModelOnly,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measuring => f.write_str("measuring"),
            Self::Starting => f.write_str("starting: there is a figure at the next look"),
            Self::Faulty(fault) => write!(f, "faulty: {fault}"),
            Self::Missing(reason) => write!(f, "missing: {reason}"),
            Self::ModelOnly => f.write_str("model only: there is no sensor"),
        }
    }
}

/// What the meter knows at one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// The power.
    pub reading: Reading,
    /// What the sensor is doing.
    pub state: State,
    /// The energy since the meter was made.
    pub energy: EnergyTotals,
    /// How busy the CPUs were since the sample before, if that is known.
    pub cpu_share: Option<CpuShare>,
}

/// How often something that counts by itself is looked at: often enough that the counter of a CPU
/// package, which comes round, is never in doubt.
const COUNTED_PACE: Millis = Millis::from_secs(300);
/// The least time between two reads of a sensor, less a tenth for jitter.
const READ_SPACING: Millis = Millis::new(PowerConfig::MIN_PERIOD.get() / 10 * 9);
/// What a counter counted is taken only if it is at least so many of its steps: so the last step,
/// which may be counted already or not yet, is at most one percent.
const STEPS_MIN: u64 = 100;

/// Measures power and adds up energy, only ever when it is asked.
#[derive(Debug)]
pub struct PowerMeter {
    period: Millis,
    discovery: Discovery,
    model: Model,
    /// `None` where there is nothing but the model.
    slot: Option<Slot>,
    cpu: CpuMeter,
    energy: EnergyMeter,
    idle: Option<MicroWatts>,
    last: Option<(Millis, Sample)>,
}

impl PowerMeter {
    /// Looks for a sensor and starts to meter with it, or with the model where there is none.
    ///
    /// A source that the config names is looked for again with each sample until it is found.
    #[must_use]
    pub fn new(config: &PowerConfig) -> Self {
        let model = Model::of(config);
        let cpu = CpuMeter::new(&config.roots);
        let (opened, discovery) = probe::find(config, &model, &cpu);
        let named = config.meter.as_ref().map(|_| SourceKind::Meter);
        let kind = opened.as_ref().map(|opened| opened.sensor.kind).or(config.source).or(named);
        let slot = kind
            .filter(|kind| *kind != SourceKind::Model)
            .map(|kind| Slot::new(kind, config.clone(), opened));
        let period = config.effective_period();
        let energy = EnergyMeter::new(period);
        Self { period, discovery, model, slot, cpu, energy, idle: config.idle, last: None }
    }

    /// What was found, what is used, and why the rest is not.
    #[must_use]
    pub const fn discovery(&self) -> &Discovery {
        &self.discovery
    }

    /// Power now, and energy up to now. `now` is a monotonic clock of the caller's.
    ///
    /// A call less than a second after the last one that read the sensor (a tenth of it is
    /// granted for jitter) is answered from that one, with its age.
    pub fn sample(&mut self, now: Millis) -> Sample {
        if let Some((at, sample)) = &self.last {
            let age = now.saturating_sub(*at);
            if age < READ_SPACING {
                let mut sample = sample.clone();
                sample.reading.age = age;
                return sample;
            }
        }
        let sample = self.read(now);
        self.last = Some((now, sample.clone()));
        sample
    }

    /// How long the next look may be away without any energy being lost meanwhile.
    ///
    /// A level has to be read every period, what counts by itself only now and then: a sensor's
    /// counter, and the kernel's of busy time, from which the model computes.
    #[must_use]
    pub fn pace(&self) -> Millis {
        if self.slot.as_ref().is_none_or(|slot| slot.counts) { COUNTED_PACE } else { self.period }
    }

    fn read(&mut self, now: Millis) -> Sample {
        let cpu = self.cpu.interval(now);
        self.step(now, cpu)
    }

    /// Takes in what is known at `now`.
    fn step(&mut self, now: Millis, cpu: CpuInterval) -> Sample {
        let modelled = self.model.power(cpu.share);
        let context = Context { now, modelled: modelled.0, share: cpu.share };
        let measured = self.measure(context);
        let step = Step {
            at: now,
            level: measured.as_ref().ok().filter(|figure| figure.is_level).map(Measured::bounded),
            counted: measured.as_ref().ok().and_then(|figure| figure.counted),
            modelled: cpu.share.map(|_| modelled),
            model_only: self.slot.is_none(),
            cpu,
        };
        let scope = self.discovery.chosen.scope;
        self.energy.add(&step, Some(scope), self.idle(scope));
        let (reading, state) = match measured {
            Ok(figure) => (self.measured_reading(&figure), State::Measuring),
            Err(state) => (self.modelled_reading(modelled), state),
        };
        Sample { reading, state, energy: self.energy.totals(), cpu_share: cpu.share }
    }

    /// Reads the sensor, looking for it first if it is missing.
    fn measure(&mut self, context: Context) -> Result<Measured, State> {
        let slot = self.slot.as_mut().ok_or(State::ModelOnly)?;
        if slot.find(&self.model)?
            && let Some(opened) = &slot.opened
        {
            self.discovery.adopt(opened, &self.model, self.idle);
        }
        slot.read(context)
    }

    /// Idle power to subtract in a scope: what the config says, or for the board its model.
    fn idle(&self, scope: Scope) -> Idle {
        let measured = self.idle.or_else(|| self.model.idle_in(scope));
        Idle { measured, modelled: self.model.idle() }
    }

    fn measured_reading(&self, figure: &Measured) -> Reading {
        Reading {
            power: figure.power,
            method: Method::Measured,
            scope: self.discovery.chosen.scope,
            error: figure.error,
            age: Millis::ZERO,
            sensor: self.discovery.chosen.sensor.clone(),
        }
    }

    fn modelled_reading(&self, (power, error): (MicroWatts, RelativeError)) -> Reading {
        Reading {
            power,
            method: Method::Modelled,
            scope: Scope::BoardInput,
            error,
            age: Millis::ZERO,
            sensor: self.model.sensor().clone(),
        }
    }
}

/// A figure of a sensor that was believed.
#[derive(Clone, Copy, Debug)]
struct Measured {
    power: MicroWatts,
    error: RelativeError,
    /// Whether `power` is of this moment, and not a mean taken from a counter.
    is_level: bool,
    counted: Option<(MicroJoules, RelativeError)>,
}

impl Measured {
    const fn bounded(&self) -> (MicroWatts, RelativeError) {
        (self.power, self.error)
    }
}

/// Where a sensor is plugged in, or was.
#[derive(Debug)]
struct Slot {
    kind: SourceKind,
    /// The config, narrowed to the very sensor once it was found.
    config: PowerConfig,
    opened: Option<Opened>,
    level: LevelWatch,
    counter: CounterWatch,
    /// Whether the last figure came from a counter.
    counts: bool,
}

impl Slot {
    fn new(kind: SourceKind, config: PowerConfig, opened: Option<Opened>) -> Self {
        let (level, counter) = Default::default();
        let mut slot = Self { kind, config, opened, level, counter, counts: false };
        slot.narrow();
        slot
    }

    /// From now on only this sensor will do: another one of its kind may measure something else.
    fn narrow(&mut self) {
        if let Some(Opened { sensor: Sensor { name, .. }, .. }) = &self.opened {
            self.config.sensor = Some(name.to_string());
        }
    }

    /// Looks for the sensor if it is missing; says whether it was found only now.
    fn find(&mut self, model: &Model) -> Result<bool, State> {
        if self.opened.is_some() {
            return Ok(false);
        }
        let opened = probe::open_and_try(self.kind, &self.config, model);
        self.opened = Some(opened.map_err(State::Missing)?);
        self.narrow();
        Ok(true)
    }

    fn read(&mut self, context: Context) -> Result<Measured, State> {
        // `find` comes first and leaves a sensor here; without one there is nothing to measure.
        let Some(opened) = &mut self.opened else { return Err(State::ModelOnly) };
        self.counts = false;
        let figures = match opened.source.read() {
            Ok(figures) => figures,
            Err(fault) => {
                self.counter.forget();
                if matches!(fault, Fault::Gone { .. }) {
                    self.opened = None;
                }
                return Err(State::Faulty(fault));
            }
        };
        let fine = |count: &Count, (energy, _): &(MicroJoules, Millis)| {
            energy.get() >= count.step.get().saturating_mul(STEPS_MIN)
        };
        let counted = match figures.count {
            Some(count) => {
                let counted = self.counter.advance(context.now, count).map_err(State::Faulty)?;
                counted.filter(|counted| fine(&count, counted))
            }
            None => None,
        };
        let mean = counted.and_then(|(energy, span)| energy.mean_over(span));
        let mean = mean.map(|mean| self.level.judge_mean(i64::from(mean.get()), context));
        let level = figures.level.map(|level| self.level.judge(level, context));
        // Both are judged, but a level is of this moment and comes first.
        let (mean, level) = (mean.transpose(), level.transpose());
        let believed = level.map_err(State::Faulty)?.or(mean.map_err(State::Faulty)?);
        let power = believed.ok_or(State::Starting)?;
        let stated = |ppm| RelativeError::from_ppm(ppm, ErrorSource::Stated);
        let error = self.config.error_ppm.map_or_else(|| opened.source.error(power), stated);
        self.counts = counted.is_some();
        let counted = counted.map(|(energy, _)| (energy, error));
        Ok(Measured { power, error, is_level: figures.level.is_some(), counted })
    }
}

#[cfg(test)]
mod tests;
