//! What a person is asked at the terminal, line by line: it works wherever letters do.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use goodwatt_fingerprint::random::Random;
use goodwatt_fingerprint::wrap::{Mode, System};
use zeroize::Zeroizing;

use super::super::error::ToolError;
use super::super::output::note;
use crate::keystore::{Passphrase, PassphraseError, PassphraseSource};
use crate::words::{COUNT, Words};

/// Words of the backup that have to be typed back.
const CONFIRMED: usize = 4;
/// Wrong words, before it is better to begin again.
const WRONG_MOST: u32 = 3;
/// Characters of a PIN at least, and of what stands alone where there is no finger.
const PIN_LEAST: usize = 4;
const PASSPHRASE_LEAST: usize = 12;

/// Asks for a line.
///
/// # Errors
/// Where the input ends.
pub(super) fn ask(question: &str) -> Result<Zeroizing<String>, ToolError> {
    // Where standard error is gone the answer, or its lack, says all.
    write!(io::stderr(), "{question}").unwrap_or_default();
    let mut line = Zeroizing::new(String::with_capacity(LINE_MOST));
    io::stdin().lock().take(LINE_MOST as u64).read_line(&mut line)?;
    if line.is_empty() {
        return Err(ToolError::failed("the input ended before the answer"));
    }
    Ok(Zeroizing::new(line.trim().to_owned()))
}

/// Bytes of an answer at most.
const LINE_MOST: usize = 1_024;

/// A new PIN, or a passphrase where there is no finger, typed twice.
///
/// # Errors
/// Where it is too short, or the two differ three times.
pub(super) fn new_pin(mode: Mode) -> Result<Passphrase, ToolError> {
    let (question, least) = match mode {
        Mode::Finger => ("New PIN: ", PIN_LEAST),
        Mode::Passphrase => ("New passphrase: ", PASSPHRASE_LEAST),
    };
    for _ in 0..WRONG_MOST {
        let pin = match PassphraseSource::Prompt.read_new_as(question) {
            Err(error @ (PassphraseError::Mismatch | PassphraseError::Empty)) => {
                note(&format!("{error}."));
                continue;
            }
            read => read.map_err(ToolError::failed)?,
        };
        let bytes = pin.as_bytes();
        if bytes.len() < least {
            note(&format!("That is too short: it needs {least} characters or more."));
        } else if bytes.windows(2).all(|pair| pair[0] == pair[1]) {
            note("That is one character again and again, and the first to be tried.");
        } else {
            return Ok(pin);
        }
    }
    Err(ToolError::failed("no PIN was set; nothing was changed"))
}

/// Shows the 24 words, at a terminal only.
///
/// # Errors
/// Where they would go into a file.
pub(super) fn show(words: &Words) -> Result<(), ToolError> {
    if !io::stderr().is_terminal() {
        return Err(ToolError::failed(
            "the 24 words are shown at a terminal only, and standard error is none",
        ));
    }
    let list: Vec<&str> = words.iter().collect();
    note("");
    for (row, four) in list.chunks(4).enumerate() {
        let cells = four.iter().enumerate();
        let line: Zeroizing<String> = Zeroizing::new(
            cells.map(|(at, word)| format!("{:4} {word:<10}", 4 * row + at + 1)).collect(),
        );
        note(line.trim_end());
    }
    note("");
    Ok(())
}

/// Has four of the words typed back.
///
/// # Errors
/// Where three were wrong.
pub(super) fn confirm(words: &Words) -> Result<(), ToolError> {
    let list: Vec<&str> = words.iter().collect();
    let mut wrong = 0;
    for place in places()? {
        loop {
            let answer = ask(&format!("Word {}: ", place + 1))?;
            if answer.eq_ignore_ascii_case("show") {
                show(words)?;
                continue;
            }
            if answer.eq_ignore_ascii_case(list[place]) {
                break;
            }
            wrong += 1;
            if wrong == WRONG_MOST {
                return Err(ToolError::failed(
                    "three words were wrong, so the paper may be; nothing was changed: begin again",
                ));
            }
            note(&format!(
                "That is not word {}: look at your paper and type it again, or `show` to see all.",
                place + 1
            ));
        }
    }
    Ok(())
}

/// Four places of words, in their order.
fn places() -> Result<Vec<usize>, ToolError> {
    let mut random = System::default();
    let mut places: Vec<usize> = Vec::new();
    while places.len() < CONFIRMED {
        let place = random.below(COUNT as u32) as usize;
        random.check().map_err(ToolError::failed)?;
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places.sort_unstable();
    Ok(places)
}

/// Whether somebody says yes; anything else is a no, and so is no answer.
pub(super) fn agrees(question: &str) -> bool {
    let answer = ask(&format!("{question} [y/N] ")).unwrap_or_default();
    ["y", "yes"].iter().any(|yes| answer.eq_ignore_ascii_case(yes))
}
