//! `goodwatt power`: figures, records, calibration, pictures.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use goodwatt_units::MicroWatts;

/// See [`super::Command::Power`].
#[derive(Args, Clone, Debug)]
pub struct PowerArgs {
    /// A figure a second, with a sparkline of the last minute
    #[arg(long)]
    pub watch: bool,
    /// What else
    #[command(subcommand)]
    pub command: Option<PowerCommand>,
}

/// What can be done with power.
#[derive(Clone, Debug, Subcommand)]
pub enum PowerCommand {
    /// Write a figure a second into a file
    Record {
        /// The file, which must not be there yet
        file: PathBuf,
        /// For how long [default: until it is broken off]
        #[arg(long)]
        seconds: Option<u64>,
    },
    /// Find the model of this very board against a meter, and write it into goodwatt.toml
    #[command(after_help = "Examples:
  goodwatt power calibrate                                 with the sensor that is attached
  goodwatt power calibrate --ask --error \"2 %\"            you read a meter, and type when asked
  goodwatt power calibrate --idle \"2.31 W\" --load \"6.4 W\"  from two figures you know")]
    Calibrate(CalibrateArgs),
    /// Draw a record: axes, units and the band of the error
    Plot {
        /// A file of `goodwatt power record`
        csv: PathBuf,
        /// The picture
        svg: PathBuf,
    },
}

/// See [`PowerCommand::Calibrate`].
#[derive(Args, Clone, Debug)]
pub struct CalibrateArgs {
    /// How long each of the three phases takes
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub seconds: u64,
    /// A meter that you read: you are asked after each phase
    #[arg(long, conflicts_with = "idle")]
    pub ask: bool,
    /// What the board draws at rest, such as "2.31 W"
    #[arg(long, value_parser = goodwatt_power::parse_power, requires = "load")]
    pub idle: Option<MicroWatts>,
    /// What it draws with all CPUs busy, such as "6.4 W"
    #[arg(long, value_parser = goodwatt_power::parse_power, requires = "idle")]
    pub load: Option<MicroWatts>,
    /// How far off the meter may be, such as "2 %" [default: its data sheet's bound, 5 % of one you
    /// read]
    #[arg(long, value_parser = goodwatt_power::parse_error_ppm)]
    pub error: Option<u32>,
    /// Show what comes of it, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl CalibrateArgs {
    /// The error of the meter, relative.
    #[must_use]
    pub fn error(&self) -> Option<f64> {
        self.error.map(|ppm| f64::from(ppm) / 1e6)
    }
}
