//! Asking a sensor for what it is and for the image on its glass.

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::error::SensorError;
use super::frame::{DATA_MAX, Frame, FrameReader, Kind};
use super::port::{BAUDS, Line};
use crate::image::{Image, R307};

/// The address of every sensor as it leaves the factory.
const ADDRESS: u32 = 0xFFFF_FFFF;
/// How often that is tried which is safe to repeat.
const TRIES: u32 = 3;
/// Longest silence within an answer or an image.
const SILENCE: Duration = Duration::from_millis(800);
/// Longest silence while a sensor is looked for.
const PROBE: Duration = Duration::from_millis(300);
/// Longest an image may take: 7 seconds at 57,600 baud, 42 at 9,600.
const TRANSFER: Duration = Duration::from_secs(60);
/// Most bytes of an image: more than any sensor of the family has.
const IMAGE_MAX: usize = 128 * 1024;
/// How long a second acknowledgement may come after a spurious one.
const SECOND_THOUGHT: Duration = Duration::from_millis(60);
/// Time between two looks for a finger.
const LOOK: Duration = Duration::from_millis(120);

const GET_IMAGE: u8 = 0x01;
const UP_IMAGE: u8 = 0x0A;
const READ_SYSTEM: u8 = 0x0F;
const AURA_LED: u8 = 0x35;
const READ_PRODUCT: u8 = 0x3C;

const OK: u8 = 0x00;
const RECEIVE_ERROR: u8 = 0x01;
const NO_FINGER: u8 = 0x02;
const IMAGE_FAILED: u8 = 0x03;
const NEEDS_PASSWORD: u8 = 0x21;

/// What is connected, as far as it tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// Speed of the line.
    pub baud: u32,
    /// The system identifier.
    pub system: u16,
    /// Bytes of image in a frame.
    pub packet: usize,
    /// Templates it could store; nothing is ever stored.
    pub library: u16,
    /// Name of the model, where it has one.
    pub model: Option<String>,
    /// Width and height of its images, where it tells.
    pub size: Option<(usize, usize)>,
}

/// What the ring of light shows, on sensors that have one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Light {
    /// Waiting for a finger: blue, breathing.
    Waiting,
    /// Reading or computing: purple.
    Busy,
    /// It went well: blue, twice.
    Good,
    /// It did not: red, three times.
    Bad,
    /// Nothing.
    Off,
}

/// A sensor on a line.
#[derive(Debug)]
pub struct Driver<L> {
    line: L,
    reader: FrameReader,
    identity: Identity,
    /// Bytes that were read and not yet looked at.
    waiting: Vec<u8>,
}

impl<L: Line> Driver<L> {
    /// Looks for a sensor at every speed.
    ///
    /// # Errors
    /// Where none answers, it is locked, or the line fails.
    pub fn probe(line: L, port: &str) -> Result<Self, SensorError> {
        let identity =
            Identity { baud: 0, system: 0, packet: 0, library: 0, model: None, size: None };
        let reader = FrameReader::new(ADDRESS);
        let mut driver = Self { line, reader, identity, waiting: Vec::new() };
        for baud in BAUDS {
            driver.line.set_baud(baud)?;
            // Twice: the first may meet the ready byte, or half of something.
            for _ in 0..2 {
                match driver.ask(&[READ_SYSTEM], PROBE) {
                    Ok(answer) => {
                        driver.identity.baud = baud;
                        driver.identify(&answer)?;
                        return Ok(driver);
                    }
                    Err(SensorError::Io(error)) => return Err(error.into()),
                    Err(_) => {}
                }
            }
        }
        Err(SensorError::NoSensor { port: port.to_owned() })
    }

    /// What is connected.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    fn identify(&mut self, answer: &[u8]) -> Result<(), SensorError> {
        let word =
            |at: usize| answer.get(at..at + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
        match answer.first() {
            Some(&OK) if answer.len() == 17 => {}
            Some(&NEEDS_PASSWORD) => return Err(SensorError::Locked),
            code => {
                let code = code.copied().unwrap_or(RECEIVE_ERROR);
                return Err(SensorError::Refused { what: "to say what it is", code });
            }
        }
        self.identity.system = word(3);
        self.identity.library = word(5);
        self.identity.packet = 32 << (word(13) & 3);
        // Older sensors do not know this command, and say so or nothing.
        if let Ok(product) = self.ask(&[READ_PRODUCT], PROBE)
            && product.len() == 47
            && product[0] == OK
        {
            let side = |at: usize| usize::from(u16::from_be_bytes([product[at], product[at + 1]]));
            let name = product[1..17].iter().take_while(|byte| byte.is_ascii_graphic());
            self.identity.model = Some(name.map(|byte| char::from(*byte)).collect());
            self.identity.size = Some((side(39), side(41)));
        }
        Ok(())
    }

    /// Waits for a finger and lets the sensor take its image.
    ///
    /// # Errors
    /// Where none comes in time, somebody wants to stop, or the sensor fails.
    pub fn wait_for_finger(
        &mut self,
        patience: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), SensorError> {
        self.wait(patience, stop, true)
    }

    /// Waits until the finger is taken away.
    ///
    /// # Errors
    /// As for [`Self::wait_for_finger`].
    pub fn wait_for_lift(
        &mut self,
        patience: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), SensorError> {
        self.wait(patience, stop, false)
    }

    fn wait(
        &mut self,
        patience: Duration,
        stop: &dyn Fn() -> bool,
        finger: bool,
    ) -> Result<(), SensorError> {
        let begin = Instant::now();
        while begin.elapsed() < patience {
            if stop() {
                return Err(SensorError::Stopped);
            }
            match self.repeat(&[GET_IMAGE])?.first() {
                Some(&OK) if finger => return Ok(()),
                Some(&NO_FINGER) if !finger => return Ok(()),
                Some(&(OK | NO_FINGER | IMAGE_FAILED)) => std::thread::sleep(LOOK),
                code => {
                    let code = code.copied().unwrap_or(RECEIVE_ERROR);
                    return Err(SensorError::Refused { what: "to look for a finger", code });
                }
            }
        }
        Err(SensorError::NoFinger { waited: patience })
    }

    /// Fetches the image that the sensor took, from the beginning again where it came damaged.
    ///
    /// # Errors
    /// Where it does not come whole after three tries.
    pub fn image(&mut self) -> Result<Image, SensorError> {
        let mut last = SensorError::Silent { waited: SILENCE };
        for _ in 0..TRIES {
            match self.transfer() {
                Ok(image) => return Ok(image),
                Err(error @ (SensorError::Io(_) | SensorError::Endless { .. })) => {
                    return Err(error);
                }
                Err(error @ SensorError::Refused { .. }) => return Err(error),
                Err(error) => last = error,
            }
            self.settle()?;
        }
        Err(last)
    }

    fn transfer(&mut self) -> Result<Image, SensorError> {
        let answer = self.ask(&[UP_IMAGE], SILENCE)?;
        if answer.first() != Some(&OK) {
            let code = answer.first().copied().unwrap_or(RECEIVE_ERROR);
            return Err(SensorError::Refused { what: "to send the image", code });
        }
        let begin = Instant::now();
        let mut bytes = Zeroizing::new(Vec::with_capacity(R307.0 * R307.1 / 2 + DATA_MAX));
        loop {
            let frame = self.frame(SILENCE)?;
            // An empty frame counts, too: they could go on for ever.
            if bytes.len() + frame.content.len().max(1) > IMAGE_MAX {
                return Err(SensorError::Endless { bytes: bytes.len() });
            }
            if begin.elapsed() > TRANSFER {
                return Err(SensorError::Silent { waited: TRANSFER });
            }
            match frame.kind {
                Kind::Data | Kind::End => bytes.extend(Zeroizing::new(frame.content).iter()),
                Kind::Acknowledge | Kind::Command => continue,
            }
            if frame.kind == Kind::End {
                return self.picture(&bytes);
            }
        }
    }

    /// Width and height follow from the number of bytes; a number that fits nothing is an image
    /// with a piece missing.
    fn picture(&self, bytes: &[u8]) -> Result<Image, SensorError> {
        let told = self.identity.size.filter(|(w, h)| w * h == 2 * bytes.len() && *w > 0);
        let known = [R307, (192, 192), (140, 140), (160, 160), (208, 288)];
        let fitting = known.into_iter().find(|(width, height)| width * height == 2 * bytes.len());
        match told.or(fitting) {
            Some((width, height)) => Image::from_nibbles(width, height, bytes)
                .map_err(|_| SensorError::Geometry { bytes: bytes.len() }),
            None if bytes.len() < R307.0 * R307.1 / 2 => {
                let (width, height) = self.identity.size.unwrap_or(R307);
                Err(SensorError::Short { found: bytes.len(), wanted: width * height / 2 })
            }
            None => Err(SensorError::Geometry { bytes: bytes.len() }),
        }
    }

    /// Shows something on the ring of light; sensors without one refuse, and that is fine.
    ///
    /// # Errors
    /// Where the line fails.
    pub fn light(&mut self, light: Light) -> Result<(), SensorError> {
        let [control, speed, colour, times] = match light {
            Light::Waiting => [1, 0x60, 2, 0],
            Light::Busy => [3, 0, 3, 0],
            Light::Good => [2, 0x20, 2, 2],
            Light::Bad => [2, 0x20, 1, 3],
            Light::Off => [4, 0, 1, 0],
        };
        match self.ask(&[AURA_LED, control, speed, colour, times], PROBE) {
            Err(error @ SensorError::Io(_)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Asks what is safe to ask again.
    fn repeat(&mut self, command: &[u8]) -> Result<Vec<u8>, SensorError> {
        let mut last = SensorError::Silent { waited: SILENCE };
        for _ in 0..TRIES {
            match self.ask(command, SILENCE) {
                Ok(answer) if answer.first() == Some(&RECEIVE_ERROR) => {
                    last = SensorError::Refused { what: "a command", code: RECEIVE_ERROR };
                }
                Ok(answer) => return Ok(answer),
                Err(error @ SensorError::Io(_)) => return Err(error),
                Err(error) => last = error,
            }
            self.settle()?;
        }
        Err(last)
    }

    /// Sends a command and gives the content of the answer.
    fn ask(&mut self, command: &[u8], wait: Duration) -> Result<Vec<u8>, SensorError> {
        self.reader.clear();
        self.waiting.clear();
        self.line.clear()?;
        let frame = Frame { kind: Kind::Command, content: command.to_vec() };
        self.line.write(&frame.encode(ADDRESS))?;
        let answer = self.acknowledgement(wait)?;
        if answer.first() != Some(&RECEIVE_ERROR) {
            return Ok(answer);
        }
        // Some modules say this first and what they mean afterwards.
        Ok(self.acknowledgement(SECOND_THOUGHT).unwrap_or(answer))
    }

    fn acknowledgement(&mut self, wait: Duration) -> Result<Vec<u8>, SensorError> {
        let begin = Instant::now();
        loop {
            let frame = self.frame(wait)?;
            if frame.kind == Kind::Acknowledge {
                return Ok(frame.content);
            }
            // What is left of an image that nobody wanted.
            if begin.elapsed() > 4 * wait {
                return Err(SensorError::Silent { waited: begin.elapsed() });
            }
        }
    }

    /// The next frame; the silence before each byte of it is bounded, and so are all together.
    fn frame(&mut self, silence: Duration) -> Result<Frame, SensorError> {
        let begin = Instant::now();
        let mut heard = Instant::now();
        loop {
            while let Some(byte) = self.waiting.pop() {
                match self.reader.push(byte) {
                    Ok(Some(frame)) => return Ok(frame),
                    Ok(None) => {}
                    Err(error) => return Err(SensorError::Damaged { error, times: TRIES }),
                }
            }
            let mut buffer = [0; 512];
            let count = self.line.read(&mut buffer, silence.saturating_sub(heard.elapsed()))?;
            if count > 0 {
                heard = Instant::now();
                // The last first, so that taking is cheap.
                self.waiting.extend(buffer[..count].iter().rev());
            } else if heard.elapsed() >= silence {
                return Err(SensorError::Silent { waited: silence });
            }
            if begin.elapsed() > 4 * silence {
                return Err(SensorError::Silent { waited: begin.elapsed() });
            }
        }
    }

    /// Listens until the sensor is quiet, so that the next answer is one to the next question.
    fn settle(&mut self) -> Result<(), SensorError> {
        let begin = Instant::now();
        let mut buffer = [0; 512];
        while begin.elapsed() < 10 * SILENCE {
            if self.line.read(&mut buffer, Duration::from_millis(100))? == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// Whether a vault may be made of images of this size: those of an R307 and larger ones. Cropped to
/// 192 x 192 real prints keep half of their minutiae; see `docs/fingerprint.md` for what is left.
///
/// # Errors
/// Where they are smaller.
pub const fn large_enough(width: usize, height: usize) -> Result<(), SensorError> {
    match width.saturating_mul(height) < R307.0 * R307.1 {
        true => Err(SensorError::TooSmall { width, height }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
