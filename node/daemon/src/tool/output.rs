//! Printing: for people by default, JSON with `--json`. Never a panic on a closed pipe.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

/// Where a command's result goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// Whether programs read it.
    pub(super) json: bool,
}

impl Output {
    /// Prints one value: as a JSON line, or as `text` writes it.
    ///
    /// # Errors
    /// When standard output cannot be written; a reader that went away is no error.
    pub(super) fn print<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&mut String) -> fmt::Result,
    ) -> io::Result<()> {
        if self.json {
            return line(&serde_json::to_string(value)?);
        }
        let mut page = String::new();
        text(&mut page).map_err(io::Error::other)?;
        write(page.as_bytes())
    }
}

/// Prints one line to standard output.
///
/// # Errors
/// As [`Output::print`].
pub(super) fn line(text: &str) -> io::Result<()> {
    write(format!("{text}\n").as_bytes())
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Says something to the person at the terminal, beside the result.
pub(crate) fn note(text: &str) {
    // Nothing sensible is left to do when standard error is gone.
    drop(writeln!(io::stderr(), "{text}"));
}
