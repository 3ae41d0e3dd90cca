//! One text command to the firmware of a Raspberry Pi, over `/dev/vcio_gencmd` or `/dev/vcio`.
//!
//! This crate holds the one piece of unsafe code of the project: the ioctl of the mailbox, for
//! which there is no safe function in any crate that is kept up. It deliberately knows no watts, no
//! rails and no path.
//!
//! ```no_run
//! let mailbox = std::fs::File::options().read(true).write(true).open("/dev/vcio_gencmd")?;
//! println!("{}", goodwatt_mailbox::command(&mailbox, "pmic_read_adc")?);
//! # Ok::<(), std::io::Error>(())
//! ```

use std::ffi::c_char;
use std::io;
use std::os::fd::AsFd;

use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

/// Bytes of text that a command and its answer may have: as many as the firmware's own tool
/// gives (raspberrypi/utils, vcgencmd).
const TEXT_BYTES: usize = 4 * 1_024;
/// Words before the text: size of all, state, tag, size of the tag, its state, the result.
const HEAD_WORDS: usize = 6;
/// The head, the text, and the tag that ends all.
const WORDS: usize = HEAD_WORDS + TEXT_BYTES / 4 + 1;
/// `GET_GENCMD_RESULT`.
const TAG: u32 = 0x0003_0080;
/// The state of a message that the firmware has answered.
const ANSWERED: u32 = 0x8000_0000;
/// `IOCTL_MBOX_PROPERTY`: `_IOWR(100, 0, char *)`.
const PROPERTY: Opcode = opcode::read_write::<*mut c_char>(100, 0);

/// What the firmware answers to a command.
///
/// # Errors
/// When the device refuses, or the command or the answer is none.
pub fn command(mailbox: impl AsFd, command: &str) -> io::Result<String> {
    let mut message = message(command)?;
    exchange(mailbox, &mut message)?;
    answer(&message)
}

/// The message that asks.
fn message(command: &str) -> io::Result<[u32; WORDS]> {
    // The text ends with a zero.
    if command.len() >= TEXT_BYTES || command.contains('\0') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no command"));
    }
    let mut message = [0; WORDS];
    message[0] = (WORDS * 4) as u32;
    message[2] = TAG;
    message[3] = TEXT_BYTES as u32;
    let words = message[HEAD_WORDS..].iter_mut();
    for (word, bytes) in words.zip(command.as_bytes().chunks(4)) {
        let mut four = [0; 4];
        four[..bytes.len()].copy_from_slice(bytes);
        *word = u32::from_ne_bytes(four);
    }
    Ok(message)
}

/// Hands the message over; the firmware writes its answer into it.
fn exchange(mailbox: impl AsFd, message: &mut [u32; WORDS]) -> io::Result<()> {
    // SAFETY: the opcode is that of the mailbox driver, which takes a pointer to a message whose
    // first word is its size in bytes, and reads and writes no further: here that is the size of
    // the array. Another driver refuses the opcode.
    #[expect(unsafe_code, reason = "no safe function is offered for this call")]
    let call = unsafe { Updater::<PROPERTY, _>::new(message) };
    // SAFETY: as above; the pointer is that of a live, exclusive reference.
    #[expect(unsafe_code, reason = "no safe function is offered for this call")]
    let outcome = unsafe { ioctl(mailbox, call) };
    Ok(outcome?)
}

/// The text in an answered message.
fn answer(message: &[u32; WORDS]) -> io::Result<String> {
    let wrong = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    if message[1] != ANSWERED {
        return wrong("the firmware did not answer");
    }
    let words = &message[HEAD_WORDS..WORDS - 1];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let Some(end) = bytes.iter().position(|byte| *byte == 0) else {
        return wrong("the firmware's answer has no end");
    };
    match std::str::from_utf8(&bytes[..end]) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => wrong("the firmware's answer is no text"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_message_has_the_documented_form() {
        let message = message("pmic_read_adc").expect("a command");
        assert_eq!(message[..HEAD_WORDS], [4_124, 0, 0x0003_0080, 4_096, 0, 0]);
        assert_eq!(message[HEAD_WORDS].to_ne_bytes(), *b"pmic");
        assert_eq!(message[HEAD_WORDS + 3].to_ne_bytes(), *b"c\0\0\0");
        assert_eq!(message[WORDS - 1], 0);
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for text in [&"x".repeat(TEXT_BYTES), "a\0b"] {
            assert_eq!(message(text).expect_err("too long").kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let question = message("x").expect("a command");
        assert!(answer(&question).is_err(), "nobody answered");
        let mut answered = question;
        answered[1] = ANSWERED;
        assert_eq!(answer(&answered).expect("it ends").as_str(), "x");
        answered[HEAD_WORDS..].fill(u32::MAX);
        assert!(answer(&answered).is_err(), "no end");
        answered[HEAD_WORDS + 1] = 0;
        assert!(answer(&answered).is_err(), "no text");
    }

    #[test]
    fn another_device_refuses() {
        let file = File::open("/dev/null").expect("it is there");
        let error = command(&file, "pmic_read_adc").expect_err("no mailbox");
        // ENOTTY.
        assert_eq!(error.raw_os_error(), Some(25));
    }
}
