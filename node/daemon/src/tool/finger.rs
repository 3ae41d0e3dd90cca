//! The fingerprint sensor, what is read from it, and the key that a finger opens.

mod enroll;
mod glass;
mod kept;
mod opening;
mod place;
mod questions;
mod state;
mod stop;

use std::fmt::Write;
use std::fs::{File, Permissions};
use std::io::{BufReader, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use goodwatt_fingerprint::bank;
use goodwatt_fingerprint::bench::{Figures, Policy, load, measure};
use goodwatt_fingerprint::drawing::svg;
use goodwatt_fingerprint::image::Image;
use goodwatt_fingerprint::sensor::{Driver, Light, SerialLine};
use goodwatt_fingerprint::worker::{self, Answer};
use serde::Serialize;

use super::args::{FingerCommand, LightState};
use super::context::Context;
use super::error::ToolError;
use super::output::note;

pub(super) use self::enroll::{enroll, may_stand_beside};
pub(super) use self::opening::{address, lock, owner_key, unlock};
pub(super) use self::state::{revoke, status};

/// The name of the hidden command that reads images in a locked process.
const EXTRACT: [&str; 2] = ["finger", "extract"];
/// How long somebody is given to lay a finger down.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is measured, in this order.
const POLICIES: [Policy; 3] = [Policy::Fixed(8), Policy::Fixed(10), Policy::Shipped];

/// `goodwatt finger`.
pub(super) fn run(context: &Context, command: FingerCommand) -> Result<(), ToolError> {
    match command {
        FingerCommand::Probe { port } => probe(context, &port),
        FingerCommand::Image { file, port } => image(context, &file, &port),
        FingerCommand::Led { state, port } => led(&port, state),
        FingerCommand::Show { image, picture } => show(context, &image, &picture),
        FingerCommand::Bench { folder, crop } => bench(context, &folder, &crop),
        FingerCommand::Extract => worker::serve().map_err(ToolError::failed),
    }
}

fn open(port: &str) -> Result<Driver<SerialLine>, ToolError> {
    let line = SerialLine::open(port).map_err(ToolError::failed)?;
    Driver::probe(line, port).map_err(ToolError::failed)
}

#[derive(Serialize)]
struct Probed {
    port: String,
    baud: u32,
    system: u16,
    packet_bytes: usize,
    model: Option<String>,
    size: Option<(usize, usize)>,
}

fn probe(context: &Context, port: &str) -> Result<(), ToolError> {
    let driver = open(port)?;
    let identity = driver.identity();
    let probed = Probed {
        port: port.to_owned(),
        baud: identity.baud,
        system: identity.system,
        packet_bytes: identity.packet,
        model: identity.model.clone(),
        size: identity.size,
    };
    let text = |page: &mut String| {
        writeln!(page, "port    {} at {} baud", probed.port, probed.baud)?;
        writeln!(page, "model   {}", probed.model.as_deref().unwrap_or("does not say"))?;
        writeln!(page, "system  {:04X}, {} bytes a packet", probed.system, probed.packet_bytes)?;
        match probed.size {
            Some((width, height)) => writeln!(page, "image   {width} x {height}"),
            None => writeln!(page, "image   does not say; 256 x 288 is usual"),
        }
    };
    Ok(context.output.print(&probed, text)?)
}

#[derive(Serialize)]
struct Seen {
    file: PathBuf,
    minutiae: usize,
    score: u8,
    advice: String,
}

fn image(context: &Context, file: &Path, port: &str) -> Result<(), ToolError> {
    let mut driver = open(port)?;
    driver.light(Light::Waiting).map_err(ToolError::failed)?;
    note("Lay a finger on the glass and hold it still until the image has come.");
    let image = driver.wait_for_finger(PATIENCE, &|| false).and_then(|()| driver.image());
    driver
        .light(if image.is_ok() { Light::Good } else { Light::Bad })
        .map_err(ToolError::failed)?;
    let image = image.map_err(ToolError::failed)?;
    let answer = extract(&image)?;
    image.write_png(create(file)?).map_err(ToolError::failed)?;
    print(context, file, &answer)
}

fn led(port: &str, state: LightState) -> Result<(), ToolError> {
    let light = match state {
        LightState::Waiting => Light::Waiting,
        LightState::Busy => Light::Busy,
        LightState::Good => Light::Good,
        LightState::Bad => Light::Bad,
        LightState::Off => Light::Off,
    };
    open(port)?.light(light).map_err(ToolError::failed)
}

fn show(context: &Context, image: &Path, picture: &Path) -> Result<(), ToolError> {
    let failed =
        |error: &dyn std::fmt::Display| ToolError::failed(format!("{}: {error}", image.display()));
    let file = File::open(image).map_err(|error| failed(&error))?;
    let image = Image::read_png(BufReader::new(file)).map_err(|error| failed(&error))?;
    let answer = extract(&image)?;
    let drawn = svg(&image, &answer.reading);
    create(picture)?.write_all(drawn.as_bytes())?;
    print(context, picture, &answer)
}

fn print(context: &Context, file: &Path, answer: &Answer) -> Result<(), ToolError> {
    let quality = answer.reading.quality;
    let seen = Seen {
        file: file.to_owned(),
        minutiae: answer.reading.print.minutiae.len(),
        score: quality.score,
        advice: quality.advice.to_string(),
    };
    let text = |page: &mut String| {
        writeln!(
            page,
            "{}: {} minutiae, quality {} of 100: {}",
            seen.file.display(),
            seen.minutiae,
            seen.score,
            seen.advice
        )
    };
    Ok(context.output.print(&seen, text)?)
}

/// A file for its owner's eyes only: a print is a part of somebody.
fn create(path: &Path) -> Result<File, ToolError> {
    let opened = File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
    let closed_to_others = |file: File| {
        // One that was there before; a pipe or a device stays as it is.
        if file.metadata()?.is_file() {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        Ok(file)
    };
    opened
        .and_then(closed_to_others)
        .map_err(|error| ToolError::failed(format!("{}: {error}", path.display())))
}

/// Reads an image in a locked process.
fn extract(image: &Image) -> Result<Answer, ToolError> {
    let program = std::env::current_exe()?;
    worker::read(&program, &EXTRACT, image).map_err(ToolError::failed)
}

fn bench(context: &Context, folder: &Path, crop: &str) -> Result<(), ToolError> {
    let size = match crop.split_once('x') {
        Some((width, height)) => Some((side(width)?, side(height)?)),
        None if crop == "none" => None,
        None => return Err(ToolError::Usage(format!("{crop}: a size is 256x288, or `none`"))),
    };
    // One image in the locked process tells its memory; the rest is read here, to be timed.
    let mut peak = None;
    let set = load(folder, size, |image| {
        if peak.is_none() {
            peak = Some(extract(image).map(|answer| answer.peak_kib));
        }
        goodwatt_fingerprint::extract::extract(image).print
    })
    .map_err(ToolError::failed)?;
    let peak = peak.unwrap_or(Ok(0))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let bank = bank::prints();
    for policy in POLICIES {
        let figures = measure(&name, &set, policy, &bank, peak);
        context.output.print(&figures, |page| table(page, &figures))?;
    }
    Ok(())
}

fn side(text: &str) -> Result<usize, ToolError> {
    let fits = |side: &usize| (48..=goodwatt_fingerprint::image::SIDE_MAX).contains(side);
    let side = text.parse().ok().filter(fits);
    side.ok_or_else(|| ToolError::Usage(format!("{text}: a side has 48 to 1024 pixels")))
}

fn table(page: &mut String, f: &Figures) -> std::fmt::Result {
    writeln!(page, "{}, {} fingers, k = {}", f.set, f.fingers, f.k)?;
    writeln!(
        page,
        "  owner, one placement     {:6.1} % of {}",
        100.0 * f.genuine_accept_rate,
        f.genuine_trials
    )?;
    writeln!(
        page,
        "  owner, up to three       {:6.1} % of {}",
        100.0 * f.session_accept_rate,
        f.fingers
    )?;
    writeln!(page, "  refused at enrolment     {:6}", f.refused)?;
    writeln!(
        page,
        "  somebody else            {:6} of {}, below {:.2} % with 95 % confidence",
        f.false_accepts,
        f.impostor_trials,
        100.0 * f.false_accept_upper_95
    )?;
    writeln!(page, "  mean chance to open      {:.1e}", f.mean_opening_probability)?;
    writeln!(page, "  security of one guess    {:6.1} bits", f.security_bits)?;
    writeln!(
        page,
        "  image to secret          {:6.0} ms, 99 % within {:.0} ms",
        f.ms_median, f.ms_p99
    )?;
    writeln!(page, "  memory to read an image  {:6} KiB", f.peak_kib)
}
