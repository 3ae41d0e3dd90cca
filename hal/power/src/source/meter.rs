//! Meters outside of the board. A plug is asked in a thread of its own that ends with the answer,
//! so that the caller waits a moment at most, and nothing runs while nobody looks.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use goodwatt_units::{MicroJoules, Millis};
use serde::Deserialize;

use super::http::{get, no_figure};
use super::socket::Socket;
use super::{Figures, Opened, Source};
use crate::address::{HttpKind, HttpMeter, MeterAddress};
use crate::config::PowerConfig;
use crate::fault::Fault;
use crate::probe::SkipReason;
use crate::reading::{Scope, Sensor, SourceKind};
use crate::watch::Count;

/// An answer that came after the caller had gone is good for so long.
const FRESH: Duration = Duration::from_secs(2);

pub(super) fn open(config: &PowerConfig) -> Result<Opened, SkipReason> {
    let address = config.meter.as_ref().ok_or(SkipReason::NoMeter)?;
    let (source, scope): (Box<dyn Source>, Scope) = match address {
        // A plug sees the supply's loss, too; what writes into the socket sits at the board.
        MeterAddress::Http(plug) => {
            (Box::new(Plug::new(plug, address, config.patience)), Scope::Wall)
        }
        MeterAddress::Socket(path) => {
            let stale = Duration::from_millis(config.effective_period().get().saturating_mul(3));
            (Box::new(Socket::bind(path, stale)?), Scope::BoardInput)
        }
    };
    Ok(Opened {
        source,
        sensor: Sensor { kind: SourceKind::Meter, name: address.to_string().into() },
        scope: config.scope.unwrap_or(scope),
        shunt: None,
    })
}

/// An answer and when it came.
type Answer = (Instant, Result<Figures, Fault>);

/// A plug with a web server.
#[derive(Debug)]
struct Plug {
    plug: HttpMeter,
    name: String,
    /// A question that is under way.
    asked: Option<Receiver<Answer>>,
    /// How long a look waits for the answer.
    patience: Duration,
}

impl Plug {
    fn new(plug: &HttpMeter, address: &MeterAddress, patience: Millis) -> Self {
        let patience = Duration::from_millis(patience.get());
        Self { plug: plug.clone(), name: address.to_string(), asked: None, patience }
    }

    /// Asks in a thread that ends with the answer, which takes some seconds at most.
    fn ask(&self) -> Receiver<Answer> {
        let (sender, answer) = mpsc::sync_channel(1);
        let (plug, name) = (self.plug.clone(), self.name.clone());
        let spawned = thread::Builder::new().name("meter".to_owned()).spawn(move || {
            let figures = ask(&plug, &name);
            // Nobody waits any more where the meter was dropped.
            drop(sender.send((Instant::now(), figures)));
        });
        if let Err(error) = spawned {
            // The sender is gone with the thread that was not made.
            drop(error);
        }
        answer
    }
}

impl Source for Plug {
    fn read(&mut self) -> Result<Figures, Fault> {
        let late = || Fault::Late { meter: self.name.clone() };
        // Twice at most: an answer that lay around for too long is thrown away.
        for _ in 0..2 {
            let asked = self.asked.take().unwrap_or_else(|| self.ask());
            match asked.recv_timeout(self.patience) {
                Ok((at, figures)) if at.elapsed() <= FRESH => return figures,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    let fault = late();
                    self.asked = Some(asked);
                    return Err(fault);
                }
                Err(RecvTimeoutError::Disconnected) => return Err(late()),
            }
        }
        Err(late())
    }

    fn is_outside(&self) -> bool {
        true
    }
}

fn ask(plug: &HttpMeter, name: &str) -> Result<Figures, Fault> {
    let HttpMeter { kind, host, port, channel } = plug;
    let path = match kind {
        HttpKind::Shelly => format!("/rpc/Switch.GetStatus?id={channel}"),
        HttpKind::Shelly1 => "/status".to_owned(),
        HttpKind::Tasmota => "/cm?cmnd=Status%208".to_owned(),
    };
    let text = get(name, host, *port, &path)?;
    let figures = match kind {
        HttpKind::Shelly => parse(&text).map(|answer: Shelly| answer.figures()),
        HttpKind::Shelly1 => parse(&text).and_then(|answer: Shelly1| answer.figures(*channel)),
        HttpKind::Tasmota => parse(&text).and_then(|answer: Tasmota| answer.figures(*channel)),
    };
    figures.ok_or_else(|| no_figure(name, &text))
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// `/rpc/Switch.GetStatus`, second generation: watts, and watt hours in thousandths.
#[derive(Deserialize)]
struct Shelly {
    apower: f64,
    aenergy: Option<ShellyEnergy>,
}

#[derive(Deserialize)]
struct ShellyEnergy {
    total: f64,
}

impl Shelly {
    fn figures(&self) -> Figures {
        const MICROJOULES_PER_WATT_HOUR: f64 = 3.6e9;
        let total = self.aenergy.as_ref().map(|energy| energy.total);
        Figures {
            level: Some(micro(self.apower)),
            count: total.and_then(|total| count(total, MICROJOULES_PER_WATT_HOUR, 1e-3)),
        }
    }
}

/// `/status`, first generation: watts, and whole watt minutes.
#[derive(Deserialize)]
struct Shelly1 {
    meters: Vec<Shelly1Meter>,
}

#[derive(Deserialize)]
struct Shelly1Meter {
    power: f64,
    total: Option<f64>,
    #[serde(default = "yes")]
    is_valid: bool,
}

const fn yes() -> bool {
    true
}

impl Shelly1 {
    fn figures(&self, channel: u8) -> Option<Figures> {
        const MICROJOULES_PER_WATT_MINUTE: f64 = 6e7;
        let meter = self.meters.get(usize::from(channel)).filter(|meter| meter.is_valid)?;
        let count = meter.total.and_then(|total| count(total, MICROJOULES_PER_WATT_MINUTE, 1.0));
        Some(Figures { level: Some(micro(meter.power)), count })
    }
}

/// `Status 8`: watts, and kilowatt hours in thousandths; with several channels a list of each.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tasmota {
    #[serde(rename = "StatusSNS")]
    status: TasmotaSensors,
}

#[derive(Deserialize)]
struct TasmotaSensors {
    #[serde(rename = "ENERGY")]
    energy: TasmotaEnergy,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TasmotaEnergy {
    power: OneOrMore,
    /// Of all channels together.
    total: Option<OneOrMore>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(f64),
    More(Vec<f64>),
}

impl OneOrMore {
    fn at(&self, channel: u8) -> Option<f64> {
        match self {
            Self::One(value) => (channel == 0).then_some(*value),
            Self::More(values) => values.get(usize::from(channel)).copied(),
        }
    }
}

impl Tasmota {
    fn figures(&self, channel: u8) -> Option<Figures> {
        const MICROJOULES_PER_KILOWATT_HOUR: f64 = 3.6e12;
        let TasmotaEnergy { power, total } = &self.status.energy;
        let level = Some(micro(power.at(channel)?));
        // With several channels the total is not that of one.
        let total = match (power, total) {
            (OneOrMore::One(_), Some(total)) => total.at(0),
            _ => None,
        };
        let count = total.and_then(|total| count(total, MICROJOULES_PER_KILOWATT_HOUR, 1e-3));
        Some(Figures { level, count })
    }
}

/// Watts in microwatts, rounded; what is beyond all measure saturates, and is refused as a jump.
pub(super) fn micro(watts: f64) -> i64 {
    (watts * 1e6).round() as i64
}

/// A count in units of so many microjoules, of which the meter shows steps.
pub(super) fn count(total: f64, unit: f64, step: f64) -> Option<Count> {
    // What is negative or beyond all measure saturates to no count.
    let micro = |value: f64| MicroJoules::new((value * unit).round() as u64);
    (total.is_finite() && total >= 0.0).then(|| Count {
        energy: micro(total),
        range: None,
        step: micro(step),
    })
}
