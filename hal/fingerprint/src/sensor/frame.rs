//! The frames of the `EF 01` family: `EF 01 | address 4 | kind 1 | length 2 | content | sum 2`.
//!
//! Reading hunts for the two bytes of the header, so that noise before a frame does no harm, and
//! believes nothing of a frame before its length is within bounds and its sum right. The sum covers
//! neither header nor address: the address is compared with the sensor's.

use std::collections::VecDeque;

/// First bytes of every frame.
const HEADER: [u8; 2] = [0xEF, 0x01];
/// Bytes before the content.
const HEAD: usize = 9;
/// Most content of a data frame.
pub const DATA_MAX: usize = 256;
/// Most content of a command or an acknowledgement: that of `ReadProdInfo` has 47 bytes.
pub const ACKNOWLEDGE_MAX: usize = 64;

/// What a frame is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// From host to sensor.
    Command,
    /// A part of an image; more follows.
    Data,
    /// The answer to a command.
    Acknowledge,
    /// The last part of an image.
    End,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Command => 1,
            Self::Data => 2,
            Self::Acknowledge => 7,
            Self::End => 8,
        }
    }

    const fn of(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Command),
            2 => Some(Self::Data),
            7 => Some(Self::Acknowledge),
            8 => Some(Self::End),
            _ => None,
        }
    }

    const fn most(self) -> usize {
        match self {
            Self::Data | Self::End => DATA_MAX,
            Self::Command | Self::Acknowledge => ACKNOWLEDGE_MAX,
        }
    }
}

/// One frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// Its content, [`DATA_MAX`] or [`ACKNOWLEDGE_MAX`] bytes at most.
    pub content: Vec<u8>,
}

impl Frame {
    /// The frame as bytes for the sensor at an address.
    #[must_use]
    pub fn encode(&self, address: u32) -> Vec<u8> {
        let length = (self.content.len() + 2) as u16;
        let mut bytes = Vec::with_capacity(HEAD + self.content.len() + 2);
        bytes.extend(HEADER);
        bytes.extend(address.to_be_bytes());
        bytes.push(self.kind.code());
        bytes.extend(length.to_be_bytes());
        bytes.extend(&self.content);
        bytes.extend(sum(&bytes[6..]).to_be_bytes());
        bytes
    }
}

/// Low sixteen bits of the sum of kind, length and content.
fn sum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum: u16, byte| sum.wrapping_add(u16::from(*byte)))
}

/// What is wrong with the bytes that came.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A frame of another sensor, or a damaged address.
    #[error("a frame of the address {found:08X} came")]
    Address {
        /// The address in it.
        found: u32,
    },
    /// No such kind.
    #[error("a frame of the unknown kind {0:02X} came")]
    Kind(u8),
    /// Too short for its sum, or longer than such a frame may be.
    #[error("a frame with the length {0} came")]
    Length(u16),
    /// The sum does not fit.
    #[error("a frame came damaged: its sum is wrong")]
    Sum,
}

/// Takes bytes as they come and gives frames; holds one frame at most.
#[derive(Debug)]
pub struct FrameReader {
    address: u32,
    bytes: VecDeque<u8>,
}

impl FrameReader {
    /// For frames of the sensor at an address.
    #[must_use]
    pub fn new(address: u32) -> Self {
        Self { address, bytes: VecDeque::with_capacity(HEAD + DATA_MAX + 2) }
    }

    /// Forgets what came.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Takes one byte; gives a frame when it is whole.
    ///
    /// # Errors
    /// Where a frame is broken; its header is dropped and the hunt for the next one goes on in
    /// what follows.
    pub fn push(&mut self, byte: u8) -> Result<Option<Frame>, FrameError> {
        self.bytes.push_back(byte);
        self.hunt();
        if self.bytes.len() < HEAD {
            return Ok(None);
        }
        let head = self.bytes.make_contiguous();
        let found = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
        let length = u16::from_be_bytes([head[7], head[8]]);
        let Some(kind) = Kind::of(head[6]) else {
            let code = head[6];
            return self.broken(FrameError::Kind(code));
        };
        if found != self.address {
            return self.broken(FrameError::Address { found });
        }
        if !(2..=kind.most() + 2).contains(&usize::from(length)) {
            return self.broken(FrameError::Length(length));
        }
        let whole = HEAD + usize::from(length);
        if self.bytes.len() < whole {
            return Ok(None);
        }
        let bytes = self.bytes.make_contiguous();
        let (covered, told) = bytes[6..whole].split_at(whole - 8);
        if told != sum(covered).to_be_bytes() {
            return self.broken(FrameError::Sum);
        }
        let content = covered[3..].to_vec();
        self.bytes.drain(..whole);
        Ok(Some(Frame { kind, content }))
    }

    /// Drops everything before a header, or what may be half of one.
    fn hunt(&mut self) {
        while let Some(first) = self.bytes.front() {
            let second = self.bytes.get(1);
            if *first == HEADER[0] && second.is_none_or(|second| *second == HEADER[1]) {
                return;
            }
            self.bytes.pop_front();
        }
    }

    fn broken(&mut self, error: FrameError) -> Result<Option<Frame>, FrameError> {
        self.bytes.pop_front();
        self.hunt();
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYBODY: u32 = 0xFFFF_FFFF;

    fn read(address: u32, bytes: &[u8]) -> Vec<Result<Frame, FrameError>> {
        let mut reader = FrameReader::new(address);
        bytes.iter().filter_map(|byte| reader.push(*byte).transpose()).collect()
    }

    #[test]
    fn the_worked_example_of_the_manual_is_met() {
        let command = Frame { kind: Kind::Command, content: vec![0x13, 0, 0, 0, 0] };
        let bytes = [0xEF, 1, 255, 255, 255, 255, 1, 0, 7, 0x13, 0, 0, 0, 0, 0, 0x1B];
        assert_eq!(command.encode(EVERYBODY), bytes);
        let answer = [0xEF, 1, 255, 255, 255, 255, 7, 0, 3, 0, 0, 0x0A];
        let frame = Frame { kind: Kind::Acknowledge, content: vec![0] };
        assert_eq!(read(EVERYBODY, &answer), [Ok(frame)]);
    }

    #[test]
    fn noise_before_a_frame_and_halves_of_headers_are_skipped() {
        let frame = Frame { kind: Kind::End, content: vec![0xEF, 0xEF, 1, 7] };
        let mut bytes = vec![0x55, 0xEF, 0xEF, 0x02, 0xEF];
        bytes.extend(frame.encode(5));
        assert_eq!(read(5, &bytes), [Ok(frame)]);
    }

    #[test]
    fn broken_frames_are_named_and_the_next_one_is_found() {
        let good = Frame { kind: Kind::Acknowledge, content: vec![0, 1, 2] };
        let check = |at: usize, value: u8, error: FrameError| {
            let mut bytes = good.encode(5);
            bytes[at] = value;
            bytes.extend(good.encode(5));
            assert_eq!(read(5, &bytes), [Err(error), Ok(good.clone())], "byte {at}");
        };
        check(5, 6, FrameError::Address { found: 6 });
        check(6, 3, FrameError::Kind(3));
        check(7, 0xFF, FrameError::Length(0xFF05));
        check(8, 1, FrameError::Length(1));
        check(10, 9, FrameError::Sum);
    }

    #[test]
    fn a_frame_is_never_longer_than_its_kind_allows() {
        let check = |kind, most: usize| {
            let frame = |length| Frame { kind, content: vec![7; length] };
            assert_eq!(read(5, &frame(most).encode(5)), [Ok(frame(most))]);
            let refused = FrameError::Length(most as u16 + 3);
            assert_eq!(read(5, &frame(most + 1).encode(5))[0], Err(refused));
        };
        check(Kind::Data, DATA_MAX);
        check(Kind::End, DATA_MAX);
        check(Kind::Acknowledge, ACKNOWLEDGE_MAX);
    }
}
