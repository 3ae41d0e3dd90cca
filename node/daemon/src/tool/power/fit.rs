//! A model from phases: idle power, what all CPUs add, and how far off that is.

/// What one phase showed on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Phase {
    /// Part of all CPU time that was busy, 0 to 1.
    pub(super) share: f64,
    /// Mean power.
    pub(super) watts: f64,
}

/// `idle + slope * share`, with its largest relative error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fit {
    pub(super) idle: f64,
    pub(super) slope: f64,
    /// Relative, 0.04 is 4 %.
    pub(super) error: f64,
}

/// Why phases make no model.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub(super) enum NoFit {
    #[error(
        "the CPUs were {:.0} % busy at rest and {:.0} % under load: that is too near; stop what else \
         runs on this board, and try again", idle * 100.0, load * 100.0
    )]
    SharesTooNear { idle: f64, load: f64 },
    #[error(
        "{idle:.3} W at rest and {load:.3} W under load: a model that does not rise with the load is \
         wrong; does the meter measure this board?"
    )]
    DoesNotRise { idle: f64, load: f64 },
    #[error("idle power by these figures would be {0:.3} W: does the meter measure this board?")]
    NoIdle(f64),
    #[error("the model is off by more than itself: does the meter measure this board?")]
    Useless,
}

/// CPU shares have to be at least so far apart.
const SHARES_APART: f64 = 0.5;

/// The line through rest and load. The phases between show how far off it is; the meter's own
/// error is added to that.
pub(super) fn fit(idle: Phase, load: Phase, between: &[Phase], meter: f64) -> Result<Fit, NoFit> {
    if load.share - idle.share < SHARES_APART {
        return Err(NoFit::SharesTooNear { idle: idle.share, load: load.share });
    }
    if load.watts <= idle.watts {
        return Err(NoFit::DoesNotRise { idle: idle.watts, load: load.watts });
    }
    let slope = (load.watts - idle.watts) / (load.share - idle.share);
    let base = idle.watts - slope * idle.share;
    if base <= 0.0 {
        return Err(NoFit::NoIdle(base));
    }
    let off = |phase: &Phase| ((base + slope * phase.share) / phase.watts - 1.0).abs();
    let error = between.iter().map(off).fold(0.0, f64::max) + meter;
    // Below a tenth of a percent no meter of this kind is right.
    let error = error.max(0.001);
    if error > 1.0 || !error.is_finite() {
        return Err(NoFit::Useless);
    }
    Ok(Fit { idle: base, slope, error })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn phase(share: f64, watts: f64) -> Phase {
        Phase { share, watts }
    }

    #[test]
    fn a_line_goes_through_rest_and_load() {
        let found = fit(phase(0.1, 2.4), phase(0.9, 5.6), &[], 0.02).expect("a model");
        assert!((found.idle - 2.0).abs() < 1e-9 && (found.slope - 4.0).abs() < 1e-9, "{found:?}");
        assert!((found.error - 0.02).abs() < 1e-9);
        // Half of the load took 4.4 W where the line says 4.
        let found = fit(phase(0.0, 2.0), phase(1.0, 6.0), &[phase(0.5, 4.4)], 0.02).expect("one");
        assert!((found.error - (0.4 / 4.4 + 0.02)).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn figures_that_make_no_model_are_refused() {
        let check = |idle, load, between: &[Phase], want: &str| {
            let error = fit(idle, load, between, 0.01).expect_err(want).to_string();
            assert!(error.contains(want), "{error}");
        };
        check(phase(0.4, 2.0), phase(0.8, 4.0), &[], "40 % busy at rest and 80 % under load");
        check(phase(0.0, 4.0), phase(1.0, 4.0), &[], "does not rise with the load");
        check(phase(0.0, 4.0), phase(1.0, 3.0), &[], "does not rise with the load");
        check(phase(0.4, 1.0), phase(1.0, 9.0), &[], "idle power by these figures");
        check(phase(0.0, 2.0), phase(1.0, 6.0), &[phase(0.5, 0.5)], "off by more than itself");
    }
}
