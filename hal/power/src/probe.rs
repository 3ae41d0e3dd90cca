//! What there is to measure with, what is used, and why the rest is not.

use std::fmt;
use std::path::PathBuf;

use goodwatt_units::{MicroWatts, Millis};

use crate::config::PowerConfig;
use crate::cpu::CpuMeter;
use crate::fault::Fault;
use crate::model::Model;
use crate::quantity::MicroOhms;
use crate::reading::{RelativeError, Scope, Sensor, SourceKind};
use crate::source::{self, Opened};
use crate::watch::{Context, LevelWatch};

/// Why a source is not used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SkipReason {
    /// The config names another source.
    #[error("the config asks for {requested} only")]
    NotRequested {
        /// The source that is asked for.
        requested: SourceKind,
    },
    /// A source that comes before it works.
    #[error("not needed: {by} comes first")]
    Outranked {
        /// The source in use.
        by: SourceKind,
    },
    /// The model is no sensor.
    #[error("nothing is measured: the figure is a model")]
    NotMeasured,
    /// The kernel shows no such device.
    #[error("no sensor under {}: wire one up and load its driver", class.display())]
    Absent {
        /// Where it would be.
        class: PathBuf,
    },
    /// A chip that no driver owns is read only at the address that the config names.
    #[error(
        "no address is named, and none is tried, as a read can disturb another chip; set \
         power.sensor to chip, bus and address, such as ina226@1-0040; buses: {}",
        list(buses)
    )]
    AddressNotStated {
        /// The buses there are.
        buses: Vec<String>,
    },
    /// The config names a sensor that is no chip this can read by itself.
    #[error(
        "`{wanted}` is no chip that is read here; those are, such as ina226@1-0040: {}",
        list(known)
    )]
    UnknownChip {
        /// What was named.
        wanted: String,
        /// The chips that are known.
        known: Vec<&'static str>,
    },
    /// There is no mailbox to the firmware.
    #[error("no {}: only a Raspberry Pi 5 with Raspberry Pi's own kernel has one", path.display())]
    NoMailbox {
        /// Where it would be.
        path: PathBuf,
    },
    /// The config names no meter.
    #[error("power.meter names none, such as \"shelly://192.168.1.5\"")]
    NoMeter,
    /// The config names a sensor that is not there.
    #[error("no sensor `{wanted}`; set power.sensor to one of: {}", list(found))]
    NamedAbsent {
        /// What was named.
        wanted: String,
        /// What is there.
        found: Vec<String>,
    },
    /// Several would do, and their figures must not be mixed.
    #[error("several sensors; set power.sensor to one of: {}", list(found))]
    Ambiguous {
        /// What is there.
        found: Vec<String>,
    },
    /// There are power figures, but of parts such as a graphics card.
    #[error(
        "not known to measure the board: {}; if one does, set power.sensor and power.scope",
        list(found)
    )]
    NotOfTheBoard {
        /// What is there.
        found: Vec<String>,
    },
    /// A sensor was named of which it is not known what it covers.
    #[error("set power.scope: it is not known what {sensor} covers")]
    ScopeNotStated {
        /// The sensor.
        sensor: String,
    },
    /// A sensor with several channels, or without the one that is named.
    #[error("set power.channel to one of the channels of {sensor}: {}", list(found))]
    ChannelUnclear {
        /// The sensor.
        sensor: String,
        /// The channels it has.
        found: Vec<u8>,
    },
    /// A sensor with an external shunt, and nobody said which.
    #[error(
        "set power.shunt to what is printed on the shunt of {sensor}, such as R100 for \"100 mOhm\"; \
         the kernel takes it for {kernel}"
    )]
    ShuntNotConfigured {
        /// The sensor.
        sensor: String,
        /// What the kernel computes with.
        kernel: MicroOhms,
    },
    /// The same, where no kernel driver assumes one.
    #[error(
        "set power.shunt to what is printed on the shunt of {sensor}, such as R100 for \"100 mOhm\""
    )]
    ShuntUnknown {
        /// The sensor.
        sensor: String,
    },
    /// The sensor is there but its first reading is wrong.
    #[error(transparent)]
    Faulty(#[from] Fault),
}

/// `a, b, c`, or `(none)`.
fn list<T: fmt::Display>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    if items.is_empty() { "(none)".to_owned() } else { items.join(", ") }
}

/// Something the operator has to know although it works.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Note {
    /// The kernel computes with another shunt than the configured one.
    #[error(
        "the kernel takes the shunt for {kernel}; its figures are scaled to the configured \
         {configured}"
    )]
    ShuntMismatch {
        /// What the kernel computes with.
        kernel: MicroOhms,
        /// What the config says, which is believed.
        configured: MicroOhms,
    },
    /// The figures are measured, but not of the whole board.
    #[error(
        "{scope} is a part of the machine and not its supply: do not compare it with a board's"
    )]
    PartOnly {
        /// What is covered.
        scope: Scope,
    },
    /// The model knows nothing about this board.
    #[error(
        "no published figures for this board: the model is a guess; wire a sensor or calibrate"
    )]
    UnlistedBoard,
    /// Our part of measured energy rests on an idle power that was not measured.
    #[error(
        "our part of the energy rests on a modelled idle power of {idle} {error}: set power.idle"
    )]
    IdleFromModel {
        /// The idle power that is subtracted.
        idle: MicroWatts,
        /// How far off it may be.
        error: RelativeError,
    },
    /// Without idle power nothing can be attributed.
    #[error("idle power of {sensor} is not known, and so not our part of it: set power.idle")]
    NoIdlePower {
        /// The sensor in whose scope it is missing.
        sensor: Sensor,
    },
    /// Without the CPU share the model cannot follow the load and nothing can be attributed.
    #[error("the CPU share is not known: {0}")]
    NoCpuShare(Fault),
    /// Without our own CPU time nothing can be attributed.
    #[error("our own CPU time is not known: {0}")]
    NoOwnTime(Fault),
}

/// The source in use.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Chosen {
    /// The sensor, or the model.
    pub sensor: Sensor,
    /// What its figures cover.
    pub scope: Scope,
    /// The shunt it is computed with, for sensors that have one.
    pub shunt: Option<MicroOhms>,
}

/// What was found. Prints as lines for the operator.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Discovery {
    /// The source in use.
    pub chosen: Chosen,
    /// Every other source, in the order of trial, with the reason it is not used.
    pub skipped: Vec<(SourceKind, SkipReason)>,
    /// What has to be known about the figures.
    pub notes: Vec<Note>,
}

impl fmt::Display for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Chosen { sensor, scope, shunt } = &self.chosen;
        write!(f, "power: {sensor}, {scope}")?;
        if let Some(shunt) = shunt {
            write!(f, ", shunt {shunt}")?;
        }
        for note in &self.notes {
            write!(f, "\n  note: {note}")?;
        }
        for (kind, reason) in &self.skipped {
            write!(f, "\n  skipped {kind}: {reason}")?;
        }
        Ok(())
    }
}

impl Discovery {
    /// Takes over what a sensor that was just opened says about itself.
    pub(crate) fn adopt(&mut self, opened: &Opened, model: &Model, idle: Option<MicroWatts>) {
        self.chosen = Chosen {
            sensor: opened.sensor.clone(),
            scope: opened.scope,
            shunt: opened.shunt.map(|shunt| shunt.configured),
        };
        self.skipped.retain(|(kind, _)| *kind != opened.sensor.kind);
        self.notes.retain(|note| matches!(note, Note::NoCpuShare(_) | Note::NoOwnTime(_)));
        if let Some(shunt) = opened.shunt.filter(|shunt| shunt.kernel != shunt.configured) {
            let (kernel, configured) = (shunt.kernel, shunt.configured);
            self.notes.push(Note::ShuntMismatch { kernel, configured });
        }
        if opened.scope != Scope::BoardInput {
            self.notes.push(Note::PartOnly { scope: opened.scope });
        }
        let sensor = opened.sensor.clone();
        self.notes.extend(match (idle, model.idle_in(opened.scope)) {
            (Some(_), _) => None,
            (None, Some(idle)) => Some(Note::IdleFromModel { idle, error: model.error() }),
            (None, None) => Some(Note::NoIdlePower { sensor }),
        });
        if !self.skipped.iter().any(|(kind, _)| *kind == SourceKind::Model) {
            let by = opened.sensor.kind;
            self.skipped.push((SourceKind::Model, SkipReason::Outranked { by }));
        }
    }
}

/// Finds out what there is to measure with, reading each sensor once.
#[must_use]
pub fn probe(config: &PowerConfig) -> Discovery {
    let model = Model::of(config);
    find(config, &model, &CpuMeter::new(&config.roots)).1
}

/// Opens the first source that works, in the order of [`SourceKind::ALL`].
pub(crate) fn find(
    config: &PowerConfig,
    model: &Model,
    cpu: &CpuMeter,
) -> (Option<Opened>, Discovery) {
    let mut discovery = of_model(model, cpu);
    let mut chosen: Option<Opened> = None;
    for kind in SourceKind::ALL.iter().copied().filter(|kind| *kind != SourceKind::Model) {
        let reason = match (&chosen, config.source) {
            (_, Some(requested)) if requested != kind => SkipReason::NotRequested { requested },
            (Some(opened), _) => SkipReason::Outranked { by: opened.sensor.kind },
            (None, _) => match open_and_try(kind, config, model) {
                Ok(opened) => {
                    chosen = Some(opened);
                    continue;
                }
                Err(reason) => reason,
            },
        };
        discovery.skipped.push((kind, reason));
    }
    if let Some(opened) = &chosen {
        discovery.adopt(opened, model, config.idle);
    }
    (chosen, discovery)
}

/// Opens a source and believes it only if its first level can be true.
pub(crate) fn open_and_try(
    kind: SourceKind,
    config: &PowerConfig,
    model: &Model,
) -> Result<Opened, SkipReason> {
    let mut opened = source::open(kind, config)?;
    // A meter outside may be slow or off when this machine starts: it is waited for.
    let first = match opened.source.read() {
        Err(_) if opened.source.is_outside() => return Ok(opened),
        first => first?,
    };
    if let Some(level) = first.level {
        let modelled: MicroWatts = model.power(None).0;
        let context = Context { now: Millis::ZERO, modelled, share: None };
        LevelWatch::default().judge(level, context)?;
    }
    Ok(opened)
}

/// The discovery of a machine without a sensor.
fn of_model(model: &Model, cpu: &CpuMeter) -> Discovery {
    let sensor = model.sensor().clone();
    let (share, own) = cpu.faults();
    let notes = [
        (!model.knows_the_board()).then_some(Note::UnlistedBoard),
        share.map(Note::NoCpuShare),
        own.map(Note::NoOwnTime),
    ];
    Discovery {
        chosen: Chosen { sensor, scope: Scope::BoardInput, shunt: None },
        skipped: Vec::new(),
        notes: notes.into_iter().flatten().collect(),
    }
}
