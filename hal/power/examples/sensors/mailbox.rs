//! The firmware's mailbox of a Raspberry Pi 5, as a character device in user space: the kernel's
//! CUSE hands every ioctl on `/dev/vcio_gencmd` over as it came. It answers with what stands in
//! `/tmp/pmic`, in the form of `include/uapi/linux/fuse.h` and of the mailbox's property tags.

use std::fs::{self, File};
use std::io::{Read, Write};

use crate::Outcome;

const CUSE_INIT: u32 = 4_096;
const FUSE_OPEN: u32 = 14;
const FUSE_RELEASE: u32 = 18;
const FUSE_IOCTL: u32 = 39;
const FUSE_INTERRUPT: u32 = 36;
const ENOSYS: i32 = 38;
const ENOTTY: i32 = 25;

/// `_IOWR(100, 0, char *)`.
const PROPERTY: u32 = 0xc008_6400;
/// Bytes of the message: six words, 4 KiB of text, and the word that ends it.
const MESSAGE_BYTES: usize = 4_124;
/// Where the text begins.
const TEXT: usize = 24;
/// `GET_GENCMD_RESULT`.
const TAG: u32 = 0x0003_0080;

/// A request's head: length, operation, its number, and what follows.
struct Request<'a> {
    operation: u32,
    unique: &'a [u8],
    body: &'a [u8],
}

/// Serves until the device is closed for ever, which is never.
pub(crate) fn serve() -> Outcome {
    let mut cuse = File::options().read(true).write(true).open("/dev/cuse")?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let length = cuse.read(&mut buffer)?;
        let request = parse(&buffer[..length]).ok_or("a request without a head")?;
        let answer = match request.operation {
            CUSE_INIT => Ok(init()),
            FUSE_OPEN => Ok(vec![0; 16]),
            FUSE_IOCTL => ioctl(request.body),
            FUSE_RELEASE => Ok(Vec::new()),
            FUSE_INTERRUPT => continue,
            _ => Err(ENOSYS),
        };
        let (error, body) = match answer {
            Ok(body) => (0, body),
            Err(error) => (-error, Vec::new()),
        };
        let length = u32::try_from(16 + body.len())?;
        let mut reply = Vec::with_capacity(16 + body.len());
        reply.extend_from_slice(&length.to_ne_bytes());
        reply.extend_from_slice(&error.to_ne_bytes());
        reply.extend_from_slice(request.unique);
        reply.extend_from_slice(&body);
        cuse.write_all(&reply)?;
    }
}

fn parse(bytes: &[u8]) -> Option<Request<'_>> {
    Some(Request {
        operation: number(bytes, 4)?,
        unique: bytes.get(8..16)?,
        body: bytes.get(40..)?,
    })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Version 7.31, ioctls of any form, a device of a number that is free, and its name.
fn init() -> Vec<u8> {
    let mut answer = words(&[7, 31, 0, 1, 65_536, 65_536, 0, 0]);
    answer.extend_from_slice(&[0; 40]);
    answer.extend_from_slice(b"DEVNAME=vcio_gencmd\0");
    answer
}

/// An ioctl: first its argument is a bare address, and the kernel is asked for what lies there;
/// then it comes with the message.
fn ioctl(body: &[u8]) -> Result<Vec<u8>, i32> {
    let command = number(body, 12).ok_or(ENOTTY)?;
    if command != PROPERTY {
        return Err(ENOTTY);
    }
    let address = body.get(16..24).ok_or(ENOTTY)?;
    let message = body.get(32..).unwrap_or_default();
    if message.is_empty() {
        // FUSE_IOCTL_RETRY with one piece to read and one to write.
        let mut answer = words(&[0, 4, 1, 1]);
        for _ in 0..2 {
            answer.extend_from_slice(address);
            answer.extend_from_slice(&(MESSAGE_BYTES as u64).to_ne_bytes());
        }
        return Ok(answer);
    }
    let mut answer = words(&[0, 0, 0, 0]);
    answer.extend_from_slice(&reply(message).ok_or(ENOTTY)?);
    Ok(answer)
}

/// What the firmware makes of a message: the state, and the text in place of the command.
fn reply(message: &[u8]) -> Option<Vec<u8>> {
    let mut message = message.to_vec();
    let asks = message.len() == MESSAGE_BYTES
        && number(&message, 0)? == MESSAGE_BYTES as u32
        && number(&message, 8)? == TAG
        && message.get(TEXT..)?.starts_with(b"pmic_read_adc\0");
    // Without a text the firmware hangs: nothing is answered.
    let Some(text) = fs::read(TEXT_FILE).ok().filter(|_| asks) else { return Some(message) };
    message[4..8].copy_from_slice(&0x8000_0000_u32.to_ne_bytes());
    let text = text.get(..MESSAGE_BYTES - TEXT - 5).unwrap_or(&text);
    message[TEXT..].fill(0);
    message[TEXT..TEXT + text.len()].copy_from_slice(text);
    Some(message)
}

const TEXT_FILE: &str = "/tmp/pmic";
