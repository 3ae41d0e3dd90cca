//! Energy from readings: counted, measured, modelled, or left out; never bridged.

use goodwatt_units::{MicroJoules, MicroWatts, Millis};

use crate::attribution::Window;
use crate::cpu::CpuInterval;
use crate::reading::{Method, RelativeError, Scope};

/// A gap between two levels of more than this many periods is not integrated.
const GAP_PERIODS: u64 = 3;

/// Energy that came about in one way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Account {
    /// The energy of everything in the scope.
    pub energy: MicroJoules,
    /// How far off that may be at most: each part times its error bound, added linearly.
    pub uncertainty: MicroJoules,
    /// The time in which it was used.
    pub covered: Millis,
    /// Our own part of what was used above idle, in the part of the time that is `attributed`.
    marginal: MicroJoules,
    attributed: Millis,
}

impl Account {
    /// Energy with what it may be off and the time it was used in; nobody's part is known.
    #[must_use]
    pub const fn new(energy: MicroJoules, uncertainty: MicroJoules, covered: Millis) -> Self {
        Self { energy, uncertainty, covered, marginal: MicroJoules::ZERO, attributed: Millis::ZERO }
    }

    /// What our own CPU time added to the energy of an idle board.
    ///
    /// `None` unless it is known for all of the covered time: that takes idle power in the same
    /// scope, the CPU share, and our own CPU time.
    #[must_use]
    pub fn marginal(&self) -> Option<MicroJoules> {
        (self.attributed == self.covered).then_some(self.marginal)
    }

    /// This energy divided by a count of blocks or transactions, rounded down; `None` for none.
    #[must_use]
    pub fn per(&self, count: u64) -> Option<PerUnit> {
        let share = |energy: MicroJoules| energy.get().checked_div(count).map(MicroJoules::new);
        Some(PerUnit { whole: share(self.energy)?, marginal: self.marginal().and_then(share) })
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            energy: self.energy.saturating_sub(earlier.energy),
            uncertainty: self.uncertainty.saturating_sub(earlier.uncertainty),
            covered: self.covered.saturating_sub(earlier.covered),
            marginal: self.marginal.saturating_sub(earlier.marginal),
            attributed: self.attributed.saturating_sub(earlier.attributed),
        }
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            energy: self.energy.saturating_add(other.energy),
            uncertainty: self.uncertainty.saturating_add(other.uncertainty),
            covered: self.covered.saturating_add(other.covered),
            marginal: self.marginal.saturating_add(other.marginal),
            attributed: self.attributed.saturating_add(other.attributed),
        }
    }

    /// What one interval adds; without idle power or CPU times it stays unattributed.
    fn of_interval(part: Part, span: Millis, idle: Option<MicroWatts>, cpu: CpuInterval) -> Self {
        let Part { energy, error, .. } = part;
        let marginal = idle.zip(cpu.busy).zip(cpu.own).map(|((idle, busy), own)| {
            let [marginal] = Window { energy, span, idle, busy }.attribute([own]);
            marginal
        });
        Self {
            energy,
            uncertainty: share_of(energy, error),
            covered: span,
            marginal: marginal.unwrap_or_default(),
            attributed: marginal.map_or(Millis::ZERO, |_| span),
        }
    }
}

/// The part of `energy` by which it may be off; rounds up and saturates.
fn share_of(energy: MicroJoules, error: RelativeError) -> MicroJoules {
    let part = (u128::from(energy.get()) * u128::from(error.ppm())).div_ceil(1_000_000);
    MicroJoules::new(u64::try_from(part).unwrap_or(u64::MAX))
}

/// Energy for each block or each transaction: all of it, and our own part of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PerUnit {
    /// The energy of everything in the scope.
    pub whole: MicroJoules,
    /// What our own CPU time added; `None` where [`Account::marginal`] is.
    pub marginal: Option<MicroJoules>,
}

/// All energy since the meter was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct EnergyTotals {
    /// What a sensor measured.
    pub measured: Account,
    /// What `measured` covers; `None` until something was measured.
    pub measured_scope: Option<Scope>,
    /// What was modelled where the sensor failed or there is none; always of the board's input.
    pub modelled: Account,
    /// Time for which there is no figure at all.
    pub uncovered: Millis,
}

impl EnergyTotals {
    /// What was added since `earlier`, which is an older copy of these totals.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            measured: self.measured.since(&earlier.measured),
            measured_scope: self.measured_scope,
            modelled: self.modelled.since(&earlier.modelled),
            uncovered: self.uncovered.saturating_sub(earlier.uncovered),
        }
    }

    /// Measured and modelled energy as one figure with its labels: measured only if all of it is.
    ///
    /// `None` where the two are of different scopes, which are never summed, or where there is
    /// neither.
    #[must_use]
    pub fn whole(&self) -> Option<(Method, Scope, Account)> {
        let of_board = self.measured_scope.is_none_or(|scope| scope == Scope::BoardInput);
        match (self.measured.covered, self.modelled.covered) {
            (Millis::ZERO, Millis::ZERO) => None,
            (_, Millis::ZERO) => Some((Method::Measured, self.measured_scope?, self.measured)),
            (Millis::ZERO, _) => Some((Method::Modelled, Scope::BoardInput, self.modelled)),
            _ if of_board => {
                Some((Method::Modelled, Scope::BoardInput, self.measured.plus(&self.modelled)))
            }
            _ => None,
        }
    }
}

/// Power with its error bound.
pub(crate) type Bounded = (MicroWatts, RelativeError);

/// What is known at one sample about the time since the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) at: Millis,
    /// The power that a sensor reads now.
    pub(crate) level: Option<Bounded>,
    /// What the sensor's own counter counted since the last sample.
    pub(crate) counted: Option<(MicroJoules, RelativeError)>,
    /// What the model says the power was on average since the last sample.
    pub(crate) modelled: Option<Bounded>,
    /// There is no sensor: the kernel's count of busy time is all there is.
    pub(crate) model_only: bool,
    pub(crate) cpu: CpuInterval,
}

/// Idle power, which is subtracted before energy is attributed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    /// In the scope of the sensor, if known.
    pub(crate) measured: Option<MicroWatts>,
    /// The model's own, which keeps its figures consistent.
    pub(crate) modelled: MicroWatts,
}

/// Adds up energy, one step at a time.
#[derive(Clone, Debug)]
pub(crate) struct EnergyMeter {
    period: Millis,
    last: Option<(Millis, Option<Bounded>)>,
    totals: EnergyTotals,
}

/// Energy of one interval.
#[derive(Clone, Copy, Debug)]
struct Part {
    method: Method,
    energy: MicroJoules,
    error: RelativeError,
}

impl EnergyMeter {
    /// Starts at nothing, for samples that are `period` apart.
    pub(crate) fn new(period: Millis) -> Self {
        Self { period, last: None, totals: EnergyTotals::default() }
    }

    pub(crate) const fn totals(&self) -> EnergyTotals {
        self.totals
    }

    /// Adds the interval that ends with `step`. The first step, and one that is not later than
    /// the one before it, add nothing.
    pub(crate) fn add(&mut self, step: &Step, scope: Option<Scope>, idle: Idle) {
        let Some((since, level)) = self.last else {
            self.last = Some((step.at, step.level));
            return;
        };
        let span = step.at.saturating_sub(since);
        if span == Millis::ZERO {
            return;
        }
        self.last = Some((step.at, step.level));
        match self.part(level, step, span) {
            None => self.totals.uncovered = self.totals.uncovered.saturating_add(span),
            Some(part) if part.method == Method::Measured => {
                let add = Account::of_interval(part, span, idle.measured, step.cpu);
                self.totals.measured = self.totals.measured.plus(&add);
                self.totals.measured_scope = scope;
            }
            Some(part) => {
                let add = Account::of_interval(part, span, Some(idle.modelled), step.cpu);
                self.totals.modelled = self.totals.modelled.plus(&add);
            }
        }
    }

    /// The best that is known about an interval: counted, else between two levels, else modelled.
    fn part(&self, before: Option<Bounded>, step: &Step, span: Millis) -> Option<Part> {
        if let Some((energy, error)) = step.counted {
            return Some(Part { method: Method::Measured, energy, error });
        }
        // The model takes the mean from a counter of the kernel, which knows no gap.
        let counts = step.model_only && step.modelled.is_some();
        if !counts && span > self.period.saturating_mul(GAP_PERIODS) {
            return None;
        }
        if let Some(((from, error), (to, later_error))) = before.zip(step.level) {
            let energy = trapezoid(from, to, span);
            return Some(Part {
                method: Method::Measured,
                energy,
                error: error.wider(later_error),
            });
        }
        let (mean, error) = step.modelled?;
        Some(Part { method: Method::Modelled, energy: mean.over(span), error })
    }
}

/// Energy over `span` while power went evenly from one level to another; rounds down.
fn trapezoid(from: MicroWatts, to: MicroWatts, span: Millis) -> MicroJoules {
    // uW * ms = nJ; twice the mean, so that no half microwatt is lost before the division.
    let twice = (u128::from(from.get()) + u128::from(to.get())) * u128::from(span.get());
    MicroJoules::new(u64::try_from(twice / 2_000).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cpu::CpuTime;
    use crate::reading::ErrorSource;

    const SECOND: Millis = Millis::from_secs(1);
    const ERROR: RelativeError = RelativeError::from_ppm(100_000, ErrorSource::DataSheet);
    const IDLE: Idle =
        Idle { measured: Some(MicroWatts::new(1_000_000)), modelled: MicroWatts::new(1_000_000) };

    fn step(at: u64, level: Option<u32>, counted: Option<u64>, modelled: Option<u32>) -> Step {
        let watts = |milliwatts| (MicroWatts::from_milliwatts(milliwatts), ERROR);
        Step {
            at: Millis::new(at),
            level: level.map(watts),
            counted: counted.map(|energy| (MicroJoules::new(energy), ERROR)),
            modelled: modelled.map(watts),
            model_only: false,
            cpu: CpuInterval {
                busy: Some(CpuTime::from_micros(100)),
                own: Some(CpuTime::from_micros(25)),
                ..CpuInterval::default()
            },
        }
    }

    fn totals(steps: &[Step]) -> EnergyTotals {
        let mut meter = EnergyMeter::new(SECOND);
        for step in steps {
            meter.add(step, Some(Scope::BoardInput), IDLE);
        }
        meter.totals()
    }

    #[test]
    fn the_best_that_is_known_is_taken() {
        let check = |steps: &[Step], measured: u64, modelled: u64, uncovered: u64| {
            let totals = totals(steps);
            let got = (
                totals.measured.energy.get(),
                totals.modelled.energy.get(),
                totals.uncovered.get(),
            );
            assert_eq!(got, (measured, modelled, uncovered), "{steps:?}");
        };
        let level = |at, milliwatts| step(at, Some(milliwatts), None, Some(9_000));
        let model = |at, milliwatts| step(at, None, None, Some(milliwatts));
        check(&[level(0, 2_000)], 0, 0, 0);
        check(&[level(0, 2_000), level(1_000, 3_000)], 2_500_000, 0, 0);
        check(&[level(0, 2_000), level(3_000, 3_000)], 7_500_000, 0, 0);
        check(&[level(0, 2_000), level(3_001, 3_000)], 0, 0, 3_001);
        check(&[level(0, 2_000), level(1_000, 3_000), level(1_000, 7_000)], 2_500_000, 0, 0);
        check(&[level(5_000, 2_000), level(4_000, 3_000)], 0, 0, 0);
        // A counter bridges a gap, for it counted in it.
        check(&[step(0, None, None, None), step(60_000, None, Some(70), None)], 70, 0, 0);
        // One good level is no interval: the model stands in on both sides of a fault.
        check(&[level(0, 2_000), model(1_000, 4_000), level(2_000, 2_000)], 0, 13_000_000, 0);
        check(&[model(0, 4_000), model(1_000, 5_000)], 0, 5_000_000, 0);
        check(&[model(0, 4_000), model(3_001, 5_000)], 0, 0, 3_001);
        check(&[step(0, None, None, None), step(1_000, None, None, None)], 0, 0, 1_000);
        // Without a sensor the kernel's count of busy time is enough.
        let alone = |at, milliwatts| Step { model_only: true, ..model(at, milliwatts) };
        check(&[alone(0, 4_000), alone(300_000, 5_000)], 0, 1_500_000_000, 0);
    }

    #[test]
    fn uncertainty_and_marginal_part_go_with_the_energy() {
        let all = [
            step(0, Some(3_000), None, None),
            step(1_000, Some(3_000), None, None),
            step(2_000, None, None, Some(2_000)),
        ];
        let totals = totals(&all);
        assert_eq!(totals.measured.uncertainty.get(), 300_000);
        // A quarter of the CPU time, and so of the 2 J above idle.
        assert_eq!(totals.measured.marginal(), Some(MicroJoules::new(500_000)));
        let (method, scope, whole) = totals.whole().expect("both are of the board");
        assert_eq!((method, scope), (Method::Modelled, Scope::BoardInput));
        assert_eq!(whole.energy.get(), 5_000_000);
        assert_eq!(whole.marginal(), Some(MicroJoules::new(750_000)));
        let share = whole.per(2).expect("there are two");
        assert_eq!(
            (share.whole.get(), share.marginal),
            (2_500_000, Some(MicroJoules::new(375_000)))
        );
        assert_eq!(whole.per(0), None, "no transaction, no figure for each");
    }

    #[test]
    fn a_bound_rounds_up() {
        let totals = totals(&[step(0, None, None, None), step(1_000, None, Some(7), None)]);
        assert_eq!(totals.measured.uncertainty.get(), 1, "a tenth of 7 uJ");
    }

    #[test]
    fn an_unknown_marginal_part_is_no_zero() {
        let mut meter = EnergyMeter::new(SECOND);
        let idle = Idle { measured: None, ..IDLE };
        for at in [0, 1_000] {
            meter.add(&step(at, Some(3_000), None, None), Some(Scope::CpuPackage), idle);
        }
        assert_eq!(meter.totals().measured.marginal(), None);
        assert_eq!(meter.totals().measured.per(1).and_then(|share| share.marginal), None);
    }

    #[test]
    fn scopes_are_never_summed() {
        let mut meter = EnergyMeter::new(SECOND);
        for step in [
            step(0, Some(3_000), None, None),
            step(1_000, Some(3_000), None, None),
            step(2_000, None, None, Some(2_000)),
        ] {
            meter.add(&step, Some(Scope::CpuPackage), IDLE);
        }
        let totals = meter.totals();
        assert_eq!(totals.whole(), None);
        assert_eq!(
            (totals.measured.energy.get(), totals.modelled.energy.get()),
            (3_000_000, 2_000_000)
        );
        assert_eq!(EnergyTotals::default().whole(), None);
    }

    #[test]
    fn a_window_is_the_difference_of_two_totals() {
        let steps = [
            step(0, Some(3_000), None, None),
            step(1_000, Some(3_000), None, None),
            step(2_000, Some(3_000), None, None),
        ];
        let window = totals(&steps).since(&totals(&steps[..2]));
        assert_eq!(window.measured.energy.get(), 3_000_000);
        assert_eq!(window.measured.covered, SECOND);
        assert_eq!(window.measured.marginal(), Some(MicroJoules::new(500_000)));
    }

    prop_compose! {
        fn any_step()(
            span in 0_u64..5_000,
            level in proptest::option::of(any::<u32>()),
            counted in proptest::option::of(0..u64::from(u32::MAX)),
            modelled in proptest::option::of(any::<u32>()),
            busy in proptest::option::of(any::<u64>()),
            own in proptest::option::of(any::<u64>()),
        ) -> Step {
            let watts = |microwatts| (MicroWatts::new(microwatts), ERROR);
            Step {
                at: Millis::new(span),
                level: level.map(watts),
                counted: counted.map(|energy| (MicroJoules::new(energy), ERROR)),
                modelled: modelled.map(watts),
                model_only: false,
                cpu: CpuInterval {
                    share: None,
                    busy: busy.map(CpuTime::from_micros),
                    own: own.map(CpuTime::from_micros),
                },
            }
        }
    }

    proptest! {
        #[test]
        fn time_is_counted_once_and_parts_stay_below_the_whole(
            mut steps in proptest::collection::vec(any_step(), 1..40),
        ) {
            let mut at = Millis::ZERO;
            for step in &mut steps {
                at = at.saturating_add(step.at);
                step.at = at;
            }
            let first = steps.first().map_or(Millis::ZERO, |step| step.at);
            let totals = totals(&steps);
            let time = totals.measured.covered.get() + totals.modelled.covered.get()
                + totals.uncovered.get();
            prop_assert_eq!(time, at.saturating_sub(first).get());
            for account in [totals.measured, totals.modelled] {
                prop_assert!(account.marginal <= account.energy);
                prop_assert!(account.attributed <= account.covered);
            }
            let most = MicroWatts::MAX.over(totals.modelled.covered);
            prop_assert!(totals.modelled.energy <= most);
        }
    }
}
