//! The simulator as a line in this very process: time passes only where nothing is to be read.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::port::Line;
use super::simulator::Simulator;

/// A line with a simulated sensor at its end.
#[derive(Debug)]
pub struct Wire {
    simulator: Simulator,
    waiting: VecDeque<u8>,
}

impl Wire {
    /// A line to a sensor that has just been given power.
    #[must_use]
    pub fn to(simulator: Simulator) -> Self {
        let waiting = simulator.ready().into();
        Self { simulator, waiting }
    }

    /// What the sensor was asked last.
    #[must_use]
    pub const fn last_command(&self) -> u8 {
        self.simulator.last
    }
}

impl Line for Wire {
    fn read(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize> {
        if self.simulator.is_late() || self.waiting.is_empty() {
            std::thread::sleep(wait);
            return Ok(0);
        }
        let count = buffer.len().min(self.waiting.len());
        for (target, byte) in buffer.iter_mut().zip(self.waiting.drain(..count)) {
            *target = byte;
        }
        Ok(count)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let answer = self.simulator.take(bytes);
        self.waiting.extend(answer);
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.waiting.clear();
        Ok(())
    }

    fn set_baud(&mut self, _: u32) -> io::Result<()> {
        Ok(())
    }
}
