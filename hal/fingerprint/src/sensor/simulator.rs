//! A sensor that is none: it speaks the protocol to the byte, shows prints from a list, and can
//! fail in every way that users of real ones reported.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::frame::{Frame, FrameReader, Kind};
use crate::image::Image;
use crate::random::{Random, Seeded};
use crate::synthetic::{Finger, Placement};

const ADDRESS: u32 = 0xFFFF_FFFF;

/// One way to fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Answers come later than anybody waits.
    Late,
    /// Now and then a byte is lost.
    Dropped,
    /// Now and then a byte comes twice.
    Doubled,
    /// Now and then a bit is another one.
    Flipped,
    /// Every answer is preceded by one that says "receive error".
    SpuriousAcknowledge,
    /// Frames carry the address of another sensor.
    WrongAddress,
    /// The first frame of an image is lost.
    FirstPacketMissing,
    /// A frame of an image says that 65,535 bytes follow.
    LengthFfff,
    /// The image never ends.
    EndlessData,
    /// The image ends in the middle.
    ShortImage,
    /// In the middle of an image another sensor is plugged in: it says that it is ready.
    Swap,
    /// Whatever is asked, a finger was recognised; there is no image.
    Liar,
    /// The same image again and again.
    Replay,
    /// The same image again and again, with noise.
    ReplayWithNoise,
}

impl Fault {
    /// All of them with the names they have on command lines.
    pub const ALL: [(&'static str, Self); 14] = [
        ("late", Self::Late),
        ("dropped", Self::Dropped),
        ("doubled", Self::Doubled),
        ("flipped", Self::Flipped),
        ("spurious-acknowledge", Self::SpuriousAcknowledge),
        ("wrong-address", Self::WrongAddress),
        ("first-packet-missing", Self::FirstPacketMissing),
        ("length-ffff", Self::LengthFfff),
        ("endless-data", Self::EndlessData),
        ("short-image", Self::ShortImage),
        ("swap", Self::Swap),
        ("liar", Self::Liar),
        ("replay", Self::Replay),
        ("replay-with-noise", Self::ReplayWithNoise),
    ];
}

/// Model and firmware as `ReadProdInfo` tells them.
const MODEL: &[u8; 16] = b"SIMULATED\0\0\0\0\0\0\0";

/// What is laid on the glass.
#[derive(Debug)]
enum Prints {
    /// Images in turn, over and over; none at all where there is none.
    Images(Vec<Image>),
    /// Placements of one finger without end, at a size.
    Finger(Arc<Finger>, (usize, usize)),
}

impl Prints {
    fn size(&self) -> Option<(usize, usize)> {
        match self {
            Self::Images(images) => images.first().map(|image| (image.width(), image.height())),
            Self::Finger(_, size) => Some(*size),
        }
    }

    fn place(&self, number: u64) -> Option<Image> {
        match self {
            Self::Images(images) => {
                let index = number.checked_rem(images.len() as u64)?;
                images.get(index as usize).cloned()
            }
            Self::Finger(finger, (width, height)) => {
                Some(finger.place(number, &Placement::usual()).centre(*width, *height))
            }
        }
    }
}

/// The sensor: bytes in, bytes out. Whoever moves the bytes keeps the time.
#[derive(Debug)]
pub struct Simulator {
    reader: FrameReader,
    fault: Option<Fault>,
    prints: Prints,
    /// Which of them is next on the glass.
    next: u64,
    /// Looks at the glass until the finger is there, and then until it is gone.
    looks: u32,
    taken: Option<Image>,
    /// The next placement, where it is drawn beside: see [`Self::drawing_beside`].
    drawn: Option<JoinHandle<Option<Image>>>,
    draws_beside: bool,
    /// Code of the packet size: 32 shifted by it.
    packet: u8,
    random: Seeded,
    /// What the last command was.
    pub(super) last: u8,
}

/// Speed that it tells, in steps of 9,600 baud: the factory's.
const BAUD: u8 = 6;
/// Looks in a row that find a finger, and that find none.
const LOOKS: u32 = 3;

impl Simulator {
    /// A sensor that has just been given power, before these fingers are laid on it one after the
    /// other, over and over.
    #[must_use]
    pub fn new(images: Vec<Image>, fault: Option<Fault>) -> Self {
        Self::with(Prints::Images(images), 0, fault)
    }

    /// A sensor before placements of one finger without end, each another one, images of a size,
    /// and the first one's number.
    #[must_use]
    pub fn of_finger(
        finger: Finger,
        size: (usize, usize),
        first: u64,
        fault: Option<Fault>,
    ) -> Self {
        Self::with(Prints::Finger(Arc::new(finger), size), first, fault)
    }

    fn with(prints: Prints, next: u64, fault: Option<Fault>) -> Self {
        Self {
            reader: FrameReader::new(ADDRESS),
            fault,
            prints,
            next,
            looks: 0,
            taken: None,
            drawn: None,
            draws_beside: false,
            packet: 2,
            random: Seeded::new(7),
            last: 0,
        }
    }

    /// Sends frames of 32, 64, 128 or 256 bytes.
    #[must_use]
    pub const fn with_packet_code(mut self, code: u8) -> Self {
        self.packet = code & 3;
        self
    }

    /// Draws synthetic placements in a thread, and shows no finger before one is ready: drawing takes
    /// longer than a sensor may keep silent where the machine is busy.
    #[must_use]
    pub const fn drawing_beside(mut self) -> Self {
        self.draws_beside = true;
        self
    }

    /// What the sensor says when it has power.
    #[must_use]
    pub const fn ready(&self) -> [u8; 1] {
        [0x55]
    }

    /// Takes bytes of the host and gives the sensor's.
    pub fn take(&mut self, bytes: &[u8]) -> VecDeque<u8> {
        let mut out = VecDeque::new();
        for byte in bytes {
            // A damaged command gets the answer "receive error".
            match self.reader.push(*byte) {
                Ok(Some(frame)) if frame.kind == Kind::Command => self.command(&frame, &mut out),
                Ok(_) => {}
                Err(_) => self.acknowledge(&[0x01], &mut out),
            }
        }
        self.damage(out)
    }

    fn command(&mut self, frame: &Frame, out: &mut VecDeque<u8>) {
        let Some((command, rest)) = frame.content.split_first() else {
            return self.acknowledge(&[0x01], out);
        };
        self.last = *command;
        if self.fault == Some(Fault::SpuriousAcknowledge) {
            self.acknowledge(&[0x01], out);
        }
        match (*command, rest) {
            (0x01, []) => self.look(out),
            // Img2Tz, Match, Search, RegModel: only the liar has an opinion.
            (0x02..=0x05 | 0x1B, _) if self.fault == Some(Fault::Liar) => {
                self.acknowledge(&[0, 0, 1, 0, 200], out);
            }
            (0x0A, []) => self.send_image(out),
            (0x0F, []) => self.system(out),
            (0x13, [0, 0, 0, 0]) => self.acknowledge(&[0x00], out),
            (0x13, [_, _, _, _]) => self.acknowledge(&[0x13], out),
            (0x1D, []) => self.acknowledge(&[0, 0, 0], out),
            (0x35, [_, _, _, _]) | (0x40, []) => self.acknowledge(&[0x00], out),
            (0x3C, []) => self.product(out),
            (0x53, []) => self.acknowledge(&[0x55], out),
            _ => self.acknowledge(&[0xFC], out),
        }
    }

    /// Finger there three times, then away three times, then the next one.
    fn look(&mut self, out: &mut VecDeque<u8>) {
        let stage = self.looks % (2 * LOOKS);
        if stage == LOOKS {
            let same = matches!(self.fault, Some(Fault::Replay | Fault::ReplayWithNoise));
            let Some(image) = self.place(if same { 0 } else { self.next }) else {
                return self.acknowledge(&[0x02], out);
            };
            self.next += 1;
            let noisy = self.fault == Some(Fault::ReplayWithNoise);
            self.taken = Some(if noisy { self.noisy(&image) } else { image });
        }
        self.looks += 1;
        if stage < LOOKS {
            return self.acknowledge(&[0x02], out);
        }
        self.acknowledge(&[0x00], out);
    }

    /// A placement, or `None` while there is none.
    fn place(&mut self, number: u64) -> Option<Image> {
        let Prints::Finger(finger, size) = &self.prints else { return self.prints.place(number) };
        if !self.draws_beside {
            return self.prints.place(number);
        }
        let drawn = self.drawn.take().unwrap_or_else(|| {
            let prints = Prints::Finger(Arc::clone(finger), *size);
            std::thread::spawn(move || prints.place(number))
        });
        if drawn.is_finished() {
            return drawn.join().ok().flatten();
        }
        self.drawn = Some(drawn);
        None
    }

    fn noisy(&mut self, image: &Image) -> Image {
        let noise = |pixel: &u8| {
            let shift = if self.random.below(20) == 0 { 17 } else { 0 };
            pixel.saturating_add(shift)
        };
        let pixels = image.pixels().iter().map(noise).collect();
        Image::new(image.width(), image.height(), pixels).unwrap_or_else(|_| image.clone())
    }

    fn send_image(&mut self, out: &mut VecDeque<u8>) {
        let Some(image) = self.taken.clone().filter(|_| self.fault != Some(Fault::Liar)) else {
            return self.acknowledge(&[0x15], out);
        };
        self.acknowledge(&[0x00], out);
        let bytes = image.to_nibbles();
        let size = 32 << self.packet;
        let count = bytes.len().div_ceil(size);
        for (index, content) in bytes.chunks(size).enumerate() {
            let kind = if index + 1 == count { Kind::End } else { Kind::Data };
            let frame = Frame { kind, content: content.to_vec() }.encode(self.address());
            match self.fault {
                Some(Fault::FirstPacketMissing) if index == 0 => {}
                Some(Fault::LengthFfff) if index == count / 2 => {
                    out.extend(&frame[..7]);
                    out.extend([0xFF, 0xFF]);
                    out.extend(&frame[9..]);
                }
                Some(Fault::ShortImage) if index == count / 2 => {
                    let end = Frame { kind: Kind::End, content: content.to_vec() };
                    out.extend(end.encode(self.address()));
                    return;
                }
                Some(Fault::Swap) if index == count / 2 => {
                    out.extend(&frame[..frame.len() / 2]);
                    out.push_back(0x55);
                    self.taken = None;
                    return;
                }
                Some(Fault::EndlessData) => {
                    out.extend(
                        Frame { kind: Kind::Data, content: content.to_vec() }.encode(ADDRESS),
                    );
                }
                _ => out.extend(frame),
            }
        }
        if self.fault == Some(Fault::EndlessData) {
            // Four images are more than anybody should take.
            let once = out.clone();
            (0..3).for_each(|_| out.extend(&once));
        }
    }

    fn system(&mut self, out: &mut VecDeque<u8>) {
        let words: [u16; 5] = [0, 0x0009, 200, 3, 0xFFFF];
        let mut content = vec![0x00];
        content.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        content.extend([0xFF, 0xFF, 0, self.packet, 0, BAUD]);
        self.acknowledge(&content, out);
    }

    fn product(&mut self, out: &mut VecDeque<u8>) {
        let (width, height) = self.prints.size().unwrap_or(crate::image::R307);
        let mut content = vec![0x00];
        content.extend(MODEL);
        content.extend(b"0001");
        content.extend(b"00000001");
        content.extend([1, 0]);
        content.extend(b"SIM\0\0\0\0\0");
        for word in [width as u16, height as u16, 512, 200] {
            content.extend(word.to_be_bytes());
        }
        self.acknowledge(&content, out);
    }

    const fn address(&self) -> u32 {
        match self.fault {
            Some(Fault::WrongAddress) => 0x0102_0304,
            _ => ADDRESS,
        }
    }

    fn acknowledge(&self, content: &[u8], out: &mut VecDeque<u8>) {
        let frame = Frame { kind: Kind::Acknowledge, content: content.to_vec() };
        out.extend(frame.encode(self.address()));
    }

    /// Faults of the wire: about one byte in six thousand, so several in an image.
    fn damage(&mut self, out: VecDeque<u8>) -> VecDeque<u8> {
        let fault = self.fault;
        if !matches!(fault, Some(Fault::Dropped | Fault::Doubled | Fault::Flipped)) {
            return out;
        }
        let mut damaged = VecDeque::with_capacity(out.len() + 16);
        for byte in out {
            let hit = self.random.below(6_000) == 0;
            match fault {
                Some(Fault::Dropped) if hit => {}
                Some(Fault::Doubled) if hit => damaged.extend([byte, byte]),
                Some(Fault::Flipped) if hit => damaged.push_back(byte ^ 0x10),
                _ => damaged.push_back(byte),
            }
        }
        damaged
    }

    /// Whether answers are kept back until nobody waits any more.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.fault == Some(Fault::Late)
    }
}
