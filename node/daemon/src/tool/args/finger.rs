//! `goodwatt finger`: the sensor, its images, and what they are worth.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

/// Where sensors usually are on a Raspberry Pi.
pub(in crate::tool) const FINGER_PORT: &str = "/dev/serial0";

/// `goodwatt finger`.
#[derive(Debug, Subcommand)]
pub enum FingerCommand {
    /// What sensor is connected
    Probe {
        /// Serial port
        #[arg(long, default_value = FINGER_PORT)]
        port: String,
    },
    /// Fetch an image and keep it in a PNG file
    Image {
        /// The file to write
        file: PathBuf,
        /// Serial port
        #[arg(long, default_value = FINGER_PORT)]
        port: String,
    },
    /// Let the ring of light show something
    Led {
        /// What
        state: LightState,
        /// Serial port
        #[arg(long, default_value = FINGER_PORT)]
        port: String,
    },
    /// Draw ridges, minutiae and quality of an image
    Show {
        /// A PNG file
        image: PathBuf,
        /// The SVG file to write
        picture: PathBuf,
    },
    /// Measure on a folder of prints `FFF_I.png`: how often the owner gets in, and others
    Bench {
        /// The folder
        folder: PathBuf,
        /// Middle of each image that is used, or `none` for all of it
        #[arg(long, default_value = "256x288")]
        crop: String,
    },
    /// Read one image from standard input in a locked process
    #[command(hide = true)]
    Extract,
}

/// What the ring of light shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LightState {
    /// Blue, breathing
    Waiting,
    /// Purple
    Busy,
    /// Blue, twice
    Good,
    /// Red, three times
    Bad,
    /// Dark
    Off,
}
