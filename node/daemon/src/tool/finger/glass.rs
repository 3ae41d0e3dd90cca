//! A finger on the glass, with a word about what to do next at each step.

use std::time::Duration;

use goodwatt_fingerprint::extract::{Advice, Print, Quality};
use goodwatt_fingerprint::image::{Image, R307};
use goodwatt_fingerprint::sensor::{Driver, Light, SensorError, SerialLine};

use super::super::error::ToolError;
use super::super::output::note;
use super::stop::Stop;
use super::{PATIENCE, extract, open};

/// How often somebody is asked again to lay the finger down.
const REMINDERS: u32 = 4;
/// Placements that are not good enough, before another way is shown.
const POOR_MOST: u32 = 8;
/// Images that may come damaged, before it is the wires.
const FAULTS_MOST: u32 = 3;
/// Longest wait for the finger to be lifted; dirt on the glass is never lifted.
const LIFT: Duration = Duration::from_secs(10);

/// A sensor at work; its ring is dark when this is dropped.
pub(super) struct Glass<'a> {
    driver: Driver<SerialLine>,
    stop: &'a Stop,
    faults: u32,
}

impl<'a> Glass<'a> {
    /// Opens the sensor on a port.
    ///
    /// # Errors
    /// Where there is none.
    pub(super) fn open(port: &str, stop: &'a Stop) -> Result<Self, ToolError> {
        let driver = stop.at_sensor(|| open(port))?;
        if let Some((width, height)) = driver.identity().size {
            large_enough(width, height)?;
        }
        Ok(Self { driver, stop, faults: 0 })
    }

    /// One good placement; `step` says which.
    ///
    /// # Errors
    /// Where no finger comes, none is good enough, the sensor fails, or somebody wants to stop.
    pub(super) fn placement(&mut self, step: &str) -> Result<Print, ToolError> {
        let stop = self.stop;
        for _ in 0..POOR_MOST {
            if let Some(print) = stop.at_sensor(|| self.capture(step))? {
                return Ok(print);
            }
        }
        Err(ToolError::failed(format!(
            "{POOR_MOST} placements in a row were not good enough: wash and dry your hands and the \
            glass, take another finger, or do without with `goodwatt key enroll --no-finger`"
        )))
    }

    /// One placement, or nothing where it was not good enough.
    fn capture(&mut self, step: &str) -> Result<Option<Print>, ToolError> {
        self.light(Light::Waiting)?;
        note(&format!("{step}: lay the finger on the glass."));
        self.wait()?;
        self.light(Light::Busy)?;
        let seconds = self.seconds();
        if seconds > 1 {
            note(&format!("  Hold still: the image takes about {seconds} seconds."));
        }
        let image = match self.driver.image() {
            Ok(image) => image,
            Err(error) => return self.fault(error),
        };
        large_enough(image.width(), image.height())?;
        let answer = extract(&image)?;
        let quality = answer.reading.quality;
        let good = quality.enrols();
        self.light(if good { Light::Good } else { Light::Bad })?;
        note(&format!("  {}", judged(quality, answer.reading.print.minutiae.len(), &image)));
        self.lift()?;
        Ok(good.then_some(answer.reading.print))
    }

    fn wait(&mut self) -> Result<(), ToolError> {
        let stop = self.stop;
        for reminder in 1..=REMINDERS {
            match self.driver.wait_for_finger(PATIENCE, &|| stop.is_wanted()) {
                Err(SensorError::NoFinger { .. }) if reminder < REMINDERS => {
                    note("  Still waiting for the finger; Ctrl-C stops.");
                }
                done => return done.map_err(ToolError::failed),
            }
        }
        Ok(())
    }

    fn lift(&mut self) -> Result<(), ToolError> {
        let stop = self.stop;
        match self.driver.wait_for_lift(LIFT, &|| stop.is_wanted()) {
            Err(SensorError::NoFinger { .. }) => {
                note("  Something is on the glass still: lift the finger, or wipe the glass.");
                Ok(())
            }
            done => done.map_err(ToolError::failed),
        }
    }

    /// An image that came damaged is asked for again, a few times.
    fn fault<T>(&mut self, error: SensorError) -> Result<Option<T>, ToolError> {
        self.faults += 1;
        let passing = matches!(
            error,
            SensorError::Silent { .. } | SensorError::Damaged { .. } | SensorError::Short { .. }
        );
        if !passing || self.faults >= FAULTS_MOST {
            return Err(ToolError::failed(error));
        }
        self.light(Light::Bad)?;
        note(&format!("  {error}. Lift the finger; once more."));
        self.lift()?;
        Ok(None)
    }

    /// How long an image takes on the line: ten bits a byte, and eleven bytes around each packet.
    fn seconds(&self) -> usize {
        let identity = self.driver.identity();
        let (width, height) = identity.size.unwrap_or(R307);
        let bytes = width * height / 2;
        let frames = bytes.div_ceil(identity.packet.max(1));
        (bytes + 11 * frames) * 10 / (identity.baud.max(1) as usize)
    }

    fn light(&mut self, light: Light) -> Result<(), ToolError> {
        self.driver.light(light).map_err(ToolError::failed)
    }
}

impl Drop for Glass<'_> {
    fn drop(&mut self) {
        // Where the line is gone there is no ring to darken.
        self.driver.light(Light::Off).unwrap_or_default();
    }
}

/// What a person is told about one placement.
fn judged(quality: Quality, minutiae: usize, image: &Image) -> String {
    let (score, advice) = (quality.score, quality.advice);
    let size = format!("{} x {}", image.width(), image.height());
    let figures = format!("{minutiae} details, quality {score} of 100, {size}");
    match (quality.enrols(), advice) {
        (true, Advice::None) => format!("Good ({figures}). Lift the finger."),
        (true, advice) => format!("Good enough ({figures}). Lift it; next time, {advice}."),
        (false, Advice::None) => format!("Not good enough ({figures}). Lift it; once more."),
        (false, advice) => format!("Not good enough ({figures}): {advice}. Lift it; once more."),
    }
}

/// Refuses sensors of whose images no vault can be made.
fn large_enough(width: usize, height: usize) -> Result<(), ToolError> {
    if width * height < R307.0 * R307.1 {
        return Err(ToolError::failed(format!(
            "{}: `goodwatt key enroll --no-finger`",
            SensorError::TooSmall { width, height }
        )));
    }
    Ok(())
}
