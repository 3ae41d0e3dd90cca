//! Figures of power, from the daemon, or from a meter of our own where none runs.

use std::time::Instant;

use goodwatt_power::{PowerConfig, PowerMeter};
use goodwatt_units::Millis;

use crate::client::{Client, ClientError};
use crate::protocol::{Call, PowerInfo};
use crate::tool::context::Context;
use crate::tool::error::ToolError;
use crate::tool::note;
use crate::validator::power_info;

/// Where figures come from.
#[derive(Debug)]
pub(super) enum Looks {
    /// The daemon: its sensor, its energy.
    Daemon(Client),
    /// A meter in this process, by the configuration.
    Own(Box<PowerMeter>, Instant),
}

impl Looks {
    /// Asks the daemon, if one answers.
    pub(super) fn open(context: &Context) -> Result<Self, ToolError> {
        match context.connect() {
            Ok(client) => Ok(Self::Daemon(client)),
            Err(ToolError::Client(error @ ClientError::Fault(_))) => Err(error.into()),
            // Whoever has no validator may still want to know what there is to measure with.
            Err(error) => {
                note(&format!("{error}; this program reads the sensor itself"));
                let config = context.config().map_or_else(|_| PowerConfig::default(), |c| c.power);
                Ok(Self::own(&config))
            }
        }
    }

    /// A meter in this process.
    pub(super) fn own(config: &PowerConfig) -> Self {
        Self::Own(Box::new(PowerMeter::new(config)), Instant::now())
    }

    /// A figure now.
    pub(super) fn look(&mut self) -> Result<PowerInfo, ToolError> {
        match self {
            Self::Daemon(client) => Ok(client.call(Call::Power)?),
            Self::Own(meter, began) => {
                let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                let sample = meter.sample(Millis::new(millis));
                Ok(power_info(meter.discovery(), &sample, 0, 0))
            }
        }
    }
}
