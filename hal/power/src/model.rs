//! Power from a model: idle plus slope times CPU share, with one line per board.

use goodwatt_units::MicroWatts;

use crate::config::{PowerConfig, Roots};
use crate::cpu::CpuShare;
use crate::reading::{ErrorSource, RelativeError, Scope, Sensor, SourceKind};
use crate::sysfs;

/// `idle + slope * CPU share`, in milliwatts at the board's 5 V input.
struct BoardLine {
    /// Name of the model.
    name: &'static str,
    /// The beginnings of the device tree's model string: by the firmware, then by mainline Linux.
    model: &'static [&'static str],
    idle: u32,
    slope: u32,
    error_ppm: u32,
}

/// +-25 %, checked against what others published for the bare board (idle and full load):
/// pidramble for 3B+ and 3B and 2B, Raspberry Pi's documentation for 4B and Zero W.
const UNCALIBRATED_PPM: u32 = 250_000;
/// The Pi 5 idles at 2.1 W by one published measurement, less than half of its line.
const PI_5_PPM: u32 = 530_000;

/// Linear fits published by Joular (`PowerJoular`, board power with all but the CPU at its
/// minimum), rounded to milliwatts. Its polynomials are not used: they fall with rising load.
#[rustfmt::skip]
const BOARDS: &[BoardLine] = &[
    // `Model B Plus` stands before `Model B`, which it begins with.
    BoardLine { name: "rpi-5b", model: &["Raspberry Pi 5 Model B", "Raspberry Pi 5"], idle: 4_403, slope: 3_458, error_ppm: PI_5_PPM },
    BoardLine { name: "rpi-400", model: &["Raspberry Pi 400"], idle: 1_822, slope: 5_025, error_ppm: UNCALIBRATED_PPM },
    BoardLine { name: "rpi-4b", model: &["Raspberry Pi 4 Model B"], idle: 2_286, slope: 4_534, error_ppm: UNCALIBRATED_PPM },
    BoardLine { name: "rpi-3b-plus", model: &["Raspberry Pi 3 Model B Plus", "Raspberry Pi 3 Model B+"], idle: 2_002, slope: 3_298, error_ppm: UNCALIBRATED_PPM },
    BoardLine { name: "rpi-3b", model: &["Raspberry Pi 3 Model B"], idle: 1_078, slope: 3_477, error_ppm: UNCALIBRATED_PPM },
    BoardLine { name: "rpi-2b", model: &["Raspberry Pi 2 Model B"], idle: 1_290, slope: 1_149, error_ppm: UNCALIBRATED_PPM },
    BoardLine { name: "rpi-1b-plus", model: &["Raspberry Pi Model B Plus", "Raspberry Pi Model B+"], idle: 1_314, slope: 122, error_ppm: UNCALIBRATED_PPM },
    BoardLine { name: "rpi-zero-w", model: &["Raspberry Pi Zero W"], idle: 920, slope: 473, error_ppm: UNCALIBRATED_PPM },
];

/// A board that is not listed: the middle between the lowest and the highest listed figure, idle
/// and fully busy. +-100 % covers all of them and admits that nothing is known of this one.
const UNLISTED_BOARD: BoardLine = BoardLine {
    name: "unlisted-board",
    model: &[],
    idle: 2_662,
    slope: 1_965,
    error_ppm: 1_000_000,
};

/// A machine without a device tree is no board at all. The figure is that of an unlisted board;
/// the bound, a factor of eleven, is there so that nobody takes it for knowledge.
const UNLISTED_PC: BoardLine =
    BoardLine { name: "unlisted-pc", error_ppm: 10_000_000, ..UNLISTED_BOARD };

impl BoardLine {
    /// Whether the device tree's model string names this board, in any revision.
    fn names(&self, model: &str) -> bool {
        // A space or nothing must follow: `Raspberry Pi 5` is not `Raspberry Pi 500`.
        let follows = |rest: &str| rest.is_empty() || rest.starts_with(' ');
        self.model.iter().any(|name| model.strip_prefix(name).is_some_and(follows))
    }

    /// The line for the board that this program runs on.
    fn of_this_board(roots: &Roots) -> &'static Self {
        // The second path is the same file, for units whose `ProcSubset=pid` hides the first.
        let model = sysfs::text(&roots.proc.join("device-tree/model"))
            .or_else(|_| sysfs::text(&roots.sys.join("firmware/devicetree/base/model")));
        match model {
            Ok(model) => BOARDS.iter().find(|line| line.names(&model)).unwrap_or(&UNLISTED_BOARD),
            Err(_) => &UNLISTED_PC,
        }
    }
}

/// The model of this board.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    sensor: Sensor,
    idle: MicroWatts,
    slope: MicroWatts,
    error: RelativeError,
}

impl Model {
    /// The calibrated model of the config, or the published one of the board.
    pub(crate) fn of(config: &PowerConfig) -> Self {
        let line = BoardLine::of_this_board(&config.roots);
        let (idle, slope, error) = match config.calibration {
            Some(own) => {
                let error = RelativeError::from_ppm(own.error_ppm, ErrorSource::Calibration);
                (own.idle, own.slope, error)
            }
            None => (
                MicroWatts::from_milliwatts(line.idle),
                MicroWatts::from_milliwatts(line.slope),
                RelativeError::from_ppm(line.error_ppm, line.error_source()),
            ),
        };
        Self {
            sensor: Sensor { kind: SourceKind::Model, name: line.name.into() },
            idle,
            slope,
            error,
        }
    }

    /// The name of the model.
    pub(crate) const fn sensor(&self) -> &Sensor {
        &self.sensor
    }

    /// Power of the idle board.
    pub(crate) const fn idle(&self) -> MicroWatts {
        self.idle
    }

    /// Power of the idle board, to be subtracted from measured figures: only of the board's
    /// input, and only if the model is of this board.
    pub(crate) fn idle_in(&self, scope: Scope) -> Option<MicroWatts> {
        (scope == Scope::BoardInput && self.knows_the_board()).then_some(self.idle)
    }

    /// How far off the model is while the CPU share is known.
    pub(crate) const fn error(&self) -> RelativeError {
        self.error
    }

    /// Whether the model is of this board, calibrated or listed.
    pub(crate) fn knows_the_board(&self) -> bool {
        self.error.source() != ErrorSource::UnlistedBoard
    }

    /// Power at a CPU share. Without one, the middle, with a bound that spans idle to busy.
    pub(crate) fn power(&self, share: Option<CpuShare>) -> (MicroWatts, RelativeError) {
        let at = |ppm: u32| {
            let slope =
                u64::from(self.slope.get()) * u64::from(ppm) / u64::from(CpuShare::ALL.ppm());
            MicroWatts::new(self.idle.get().saturating_add(slope as u32))
        };
        match share {
            Some(share) => (at(share.ppm()), self.error),
            None => {
                let middle = at(CpuShare::ALL.ppm() / 2);
                (middle, self.widened(middle, at(CpuShare::ALL.ppm())))
            }
        }
    }

    /// The bound around `middle` of a figure that may be anything between idle and `busy`.
    fn widened(&self, middle: MicroWatts, busy: MicroWatts) -> RelativeError {
        let own = u64::from(self.error.ppm());
        let highest = u64::from(busy.get()) * (1_000_000 + own);
        let ratio = highest.div_ceil(u64::from(middle.get()).max(1));
        let ppm = ratio.saturating_sub(1_000_000).max(own);
        RelativeError::from_ppm(u32::try_from(ppm).unwrap_or(u32::MAX), self.error.source())
    }
}

impl BoardLine {
    fn error_source(&self) -> ErrorSource {
        if self.model.is_empty() {
            ErrorSource::UnlistedBoard
        } else {
            ErrorSource::UncalibratedModel
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_are_told_apart_by_their_model_string() {
        let check = |model: &str, want: Option<&str>| {
            let line = BOARDS.iter().find(|line| line.names(model));
            assert_eq!(line.map(|line| line.name), want, "{model}");
        };
        check("Raspberry Pi 5 Model B Rev 1.0", Some("rpi-5b"));
        check("Raspberry Pi 5", Some("rpi-5b"));
        check("Raspberry Pi 500 Rev 1.0", None);
        check("Raspberry Pi 400 Rev 1.0", Some("rpi-400"));
        check("Raspberry Pi 4 Model B Rev 1.2", Some("rpi-4b"));
        check("Raspberry Pi Compute Module 4 Rev 1.0", None);
        check("Raspberry Pi 3 Model B Plus Rev 1.3", Some("rpi-3b-plus"));
        check("Raspberry Pi 3 Model B+", Some("rpi-3b-plus"));
        check("Raspberry Pi 3 Model B Rev 1.2", Some("rpi-3b"));
        check("Raspberry Pi 2 Model B Rev 1.1", Some("rpi-2b"));
        check("Raspberry Pi Model B Plus Rev 1.2", Some("rpi-1b-plus"));
        check("Raspberry Pi Model B Rev 2", None);
        check("Raspberry Pi Zero W Rev 1.1", Some("rpi-zero-w"));
        check("Raspberry Pi Zero 2 W Rev 1.0", None);
        check("Orange Pi Zero", None);
    }

    /// Holds the comments on the bounds against what was published besides the fits.
    #[test]
    fn published_figures_lie_within_the_bounds() {
        let check = |name: &str, busy: bool, published_milliwatts: u32| {
            let line = BOARDS.iter().find(|line| line.name == name).expect(name);
            let own = u64::from(line.idle + if busy { line.slope } else { 0 });
            let distance = own.abs_diff(u64::from(published_milliwatts)) * 1_000_000;
            assert!(
                distance <= own * u64::from(line.error_ppm),
                "{name}: {published_milliwatts} mW"
            );
        };
        check("rpi-5b", false, 2_100);
        check("rpi-5b", true, 7_700);
        check("rpi-3b-plus", false, 1_700);
        check("rpi-3b-plus", true, 5_100);
        check("rpi-3b", false, 1_200);
        check("rpi-3b", true, 3_700);
        check("rpi-2b", false, 1_000);
        check("rpi-2b", true, 2_100);
        check("rpi-zero-w", false, 750);
    }

    #[test]
    fn the_unlisted_board_is_the_middle_of_the_listed_ones() {
        let middle = |figures: Vec<u32>| {
            let ends = (figures.iter().min().copied(), figures.iter().max().copied());
            (ends.0.expect("a board") + ends.1.expect("a board")).div_ceil(2)
        };
        let idle = BOARDS.iter().map(|line| line.idle).collect();
        let busy = BOARDS.iter().map(|line| line.idle + line.slope).collect();
        assert_eq!(UNLISTED_BOARD.idle, middle(idle));
        assert_eq!(UNLISTED_BOARD.idle + UNLISTED_BOARD.slope, middle(busy));
    }

    #[test]
    fn an_unknown_share_widens_the_bound_to_idle_and_busy() {
        let config = PowerConfig {
            calibration: Some(crate::Calibration {
                idle: MicroWatts::from_milliwatts(2_000),
                slope: MicroWatts::from_milliwatts(4_000),
                error_ppm: 100_000,
            }),
            ..PowerConfig::default()
        };
        let model = Model::of(&config);
        let check = |share, milliwatts: u32, ppm| {
            let (power, error) = model.power(share);
            assert_eq!((power.get(), error.ppm()), (milliwatts * 1_000, ppm), "{share:?}");
        };
        check(CpuShare::of(0, 100), 2_000, 100_000);
        check(CpuShare::of(25, 100), 3_000, 100_000);
        check(CpuShare::of(100, 100), 6_000, 100_000);
        // 6 W * 1.1 = 6.6 W is 65 % above 4 W; 2 W * 0.9 = 1.8 W is 55 % below.
        check(None, 4_000, 650_000);
    }
}
