//! Two questions to the firmware of a Raspberry Pi: any text command, over `/dev/vcio_gencmd` or
//! `/dev/vcio`, and the private key in the board's one-time programmable memory, over `/dev/vcio`.
//! That memory is only read: no message that writes it can be made here.
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
use zeroize::Zeroizing;

/// Bytes of text that a command and its answer may have: as many as the firmware's own tool
/// gives (raspberrypi/utils, vcgencmd).
const TEXT_BYTES: usize = 4 * 1_024;
/// Words before the text: size of all, state, tag, size of the tag, its state, the result.
const HEAD_WORDS: usize = 6;
/// The head, the text, and the tag that ends all.
const WORDS: usize = HEAD_WORDS + TEXT_BYTES / 4 + 1;
/// `GET_GENCMD_RESULT`.
const TAG: u32 = 0x0003_0080;
/// `GET_PRIVATE_OTP` (linux/include/soc/bcm2835/raspberrypi-firmware.h).
const PRIVATE_KEY_TAG: u32 = 0x0003_0081;
/// Rows of the private key, 32 bits each.
const ROWS: usize = 8;
/// Bytes of the question for it and of the answer: first row, number of rows, and the rows.
const PRIVATE_KEY_BYTES: u32 = 4 * (2 + ROWS as u32);
/// Words before the first row.
const ROWS_AT: usize = 7;
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

/// The private key in the one-time programmable memory; all zeros where it was never written.
///
/// # Errors
/// When the device refuses, or the firmware knows no such key.
pub fn private_key(mailbox: impl AsFd) -> io::Result<Zeroizing<[u32; ROWS]>> {
    let mut message = private_key_message();
    exchange(mailbox, &mut message)?;
    private_key_answer(&message)
}

/// The message that asks for all rows: the words of `vcmailbox 0x00030081 40 40 0 8` and eight
/// zeros (documentation of Raspberry Pi, device-specific private key), then the tag that ends all.
fn private_key_message() -> Zeroizing<[u32; WORDS]> {
    let mut message = Zeroizing::new([0; WORDS]);
    message[..ROWS_AT].copy_from_slice(&[
        4 * (ROWS_AT + ROWS + 1) as u32,
        0,
        PRIVATE_KEY_TAG,
        PRIVATE_KEY_BYTES,
        PRIVATE_KEY_BYTES,
        0,
        ROWS as u32,
    ]);
    message
}

/// The rows in an answered message.
fn private_key_answer(message: &[u32; WORDS]) -> io::Result<Zeroizing<[u32; ROWS]>> {
    // A tag that the firmware does not know comes back without the bit that says it was answered.
    let told = [message[1], message[2], message[4], message[5], message[6]];
    if told != [ANSWERED, PRIVATE_KEY_TAG, ANSWERED | PRIVATE_KEY_BYTES, 0, ROWS as u32] {
        let what = "the firmware of this board gives no private key";
        return Err(io::Error::new(io::ErrorKind::Unsupported, what));
    }
    let mut rows = Zeroizing::new([0; ROWS]);
    rows.copy_from_slice(&message[ROWS_AT..ROWS_AT + ROWS]);
    Ok(rows)
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
    // first word is its size in bytes, and reads and writes no further: here that is at most the
    // size of the array. Another driver refuses the opcode.
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

    /// The documentation's question and answer, to the word.
    const ASKED: [u32; 16] = [0x40, 0, 0x30081, 0x28, 0x28, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const TOLD: [u32; 16] = [
        0x40,
        0x8000_0000,
        0x30081,
        0x28,
        0x8000_0028,
        0,
        8,
        0xf8db_c7b0,
        0xa4fc_fb1d,
        0x706e_298a,
        0xc9d0_485c,
        0x2226_ce8d,
        0xf7f7_596a,
        0xc773_37bd,
        0x09fb_e160,
        0,
    ];

    fn told(words: &[u32]) -> [u32; WORDS] {
        let mut message = [0; WORDS];
        message[..words.len()].copy_from_slice(words);
        message
    }

    #[test]
    fn the_private_key_is_asked_for_and_read_as_documented() {
        assert_eq!(*private_key_message(), told(&ASKED));
        let rows = private_key_answer(&told(&TOLD)).expect("the documented answer");
        assert_eq!(*rows, TOLD[ROWS_AT..ROWS_AT + ROWS]);
    }

    #[test]
    fn no_answer_is_no_key() {
        assert!(private_key_answer(&private_key_message()).is_err(), "nobody answered");
        // Not answered, another tag, tag not answered, too few bytes, other rows, too few rows.
        for (at, value) in
            [(1, 0x8000_0001), (2, 0x38081), (4, 0x28), (4, 0x8000_0008), (5, 1), (6, 7)]
        {
            let mut words = TOLD;
            words[at] = value;
            let error = private_key_answer(&told(&words)).expect_err("it is no answer");
            assert_eq!(error.kind(), io::ErrorKind::Unsupported, "word {at}");
        }
    }

    #[test]
    fn another_device_refuses() {
        let file = File::open("/dev/null").expect("it is there");
        // ENOTTY.
        let error = command(&file, "pmic_read_adc").expect_err("no mailbox");
        assert_eq!(error.raw_os_error(), Some(25));
        let error = private_key(&file).expect_err("no mailbox");
        assert_eq!(error.raw_os_error(), Some(25));
    }
}
