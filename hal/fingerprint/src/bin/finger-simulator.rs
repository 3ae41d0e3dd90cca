//! A fingerprint sensor that is none, on a pseudo-terminal: prints the path of the port on its
//! first line and serves prints until it is ended.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use goodwatt_fingerprint::image::{Image, R307};
use goodwatt_fingerprint::sensor::{Fault, Simulator};
use goodwatt_fingerprint::synthetic::Finger;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Timespec;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

const USAGE: &str = "\
finger-simulator [--images FOLDER | --finger SEED [--from N] | --none] [--size 192x192] [--fault NAME]
                 [--baud 57600]
  --images FOLDER  serves the PNG files of a folder in the order of their names, over and over
  --finger SEED    serves placements of the synthetic finger of this number [default: 2000]; those
                   below 1000 are the impostors that every enrolment is tried with
  --from N         begins with the placement of this number; each is another one [default: 0]
  --none           no finger ever comes
  --size WxH       size of the images [default: 256x288]
  --fault NAME     late dropped doubled flipped spurious-acknowledge wrong-address
                   first-packet-missing length-ffff endless-data short-image swap liar replay
                   replay-with-noise
  --baud N         sends as slowly as a line of this speed does; 0 for as fast as it can [default: 0]
";

/// How long a late answer takes.
const LATE: Duration = Duration::from_secs(5);

struct Options {
    images: Option<PathBuf>,
    finger: Option<u64>,
    from: u64,
    size: (usize, usize),
    fault: Option<Fault>,
    baud: u64,
}

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--help") {
        return end(0, USAGE);
    }
    let Some(options) = parse(std::env::args().skip(1)) else {
        return end(2, &format!("finger-simulator: not understood\n{USAGE}"));
    };
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end(1, &format!("finger-simulator: {error}\n")),
    }
}

fn end(code: u8, text: &str) -> ExitCode {
    // Nothing can be done where standard error is closed.
    io::stderr().write_all(text.as_bytes()).unwrap_or_default();
    ExitCode::from(code)
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let finger = Some(2_000);
    let mut options = Options { images: None, finger, from: 0, size: R307, fault: None, baud: 0 };
    while let Some(name) = arguments.next() {
        if name == "--none" {
            options.finger = None;
            continue;
        }
        let value = arguments.next()?;
        match name.as_str() {
            "--images" => options.images = Some(PathBuf::from(value)),
            "--finger" => options.finger = Some(value.parse().ok()?),
            "--from" => options.from = value.parse().ok()?,
            "--size" => {
                let (width, height) = value.split_once('x')?;
                options.size = (width.parse().ok()?, height.parse().ok()?);
            }
            "--fault" => options.fault = Some(Fault::ALL.iter().find(|f| f.0 == value)?.1),
            "--baud" => options.baud = value.parse().ok()?,
            _ => return None,
        }
    }
    Some(options)
}

fn simulator(options: &Options) -> io::Result<Simulator> {
    let (size, fault) = (options.size, options.fault);
    let Some(folder) = &options.images else {
        return Ok(match options.finger {
            Some(seed) => {
                Simulator::of_finger(Finger::grow(seed), size, options.from, fault).drawing_beside()
            }
            None => Simulator::new(Vec::new(), fault),
        });
    };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")));
    files.sort();
    let image = |path: &PathBuf| Ok(read(path)?.centre(size.0, size.1).four_bits());
    Ok(Simulator::new(files.iter().map(image).collect::<io::Result<_>>()?, fault))
}

fn read(path: &Path) -> io::Result<Image> {
    Image::read_png(BufReader::new(File::open(path)?)).map_err(io::Error::other)
}

fn serve(options: &Options) -> io::Result<()> {
    let mut simulator = simulator(options)?;
    let host = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&host)?;
    unlockpt(&host)?;
    let name = ptsname(&host, Vec::new())?.to_string_lossy().into_owned();
    // The other end is held open and raw: no echo, no line feeds added, no end when a host leaves.
    let port = File::options().read(true).write(true).open(&name)?;
    let mut modes = tcgetattr(&port)?;
    modes.make_raw();
    tcsetattr(&port, OptionalActions::Now, &modes)?;
    let mut line = File::from(host);
    // Said before anybody can listen, as by a sensor that had power for long.
    line.write_all(&simulator.ready())?;
    let mut out = io::stdout().lock();
    writeln!(out, "{name}")?;
    out.flush()?;
    let mut buffer = [0; 512];
    let mut waiting: VecDeque<u8> = VecDeque::new();
    loop {
        let events =
            if waiting.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        let mut polled = [PollFd::new(&line, events)];
        poll(&mut polled, None::<&Timespec>)?;
        let ready = polled[0].revents();
        if ready.contains(PollFlags::IN) {
            let count = line.read(&mut buffer)?;
            // A new question ends what was still being said.
            waiting = simulator.take(&buffer[..count]);
            if simulator.is_late() {
                std::thread::sleep(LATE);
            }
        } else if ready.contains(PollFlags::OUT) {
            send(&mut line, &mut waiting, options.baud)?;
        }
    }
}

/// Sends a part of what waits, no faster than the line would be.
fn send(line: &mut File, waiting: &mut VecDeque<u8>, baud: u64) -> io::Result<()> {
    let begin = Instant::now();
    let part: Vec<u8> = waiting.iter().copied().take(64).collect();
    let count = line.write(&part)?;
    waiting.drain(..count);
    // Ten bits a byte: one to start, eight, one to stop.
    if let Some(micros) = (count as u64 * 10_000_000).checked_div(baud) {
        std::thread::sleep(Duration::from_micros(micros).saturating_sub(begin.elapsed()));
    }
    Ok(())
}
