//! The owner's key: made, shown, restored from words.

use std::fmt::Write;
use std::io::{self, BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::{Zeroize, Zeroizing};

use super::context::{Context, account_key};
use super::error::ToolError;
use super::output::note;
use crate::keystore::{KdfCost, KeyFile, Protection, RootSecret, Secret};
use crate::words::{COUNT, Words, WordsError};

/// Words that may be mended one by one.
const CORRECTIONS: usize = 2 * COUNT;
/// Bytes of a line of words at most; 24 of them have 215.
const LINE_MOST: usize = 1_024;

#[derive(Serialize)]
struct Shown {
    file: String,
    address: String,
    protected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<String>,
}

fn path(context: &Context, file: Option<PathBuf>) -> Result<PathBuf, ToolError> {
    file.map_or_else(|| Ok(context.config()?.validator.key_file), Ok)
}

/// Seals a root into a new file.
pub(super) fn create(
    context: &Context,
    file: &Path,
    root: RootSecret,
    unprotected: bool,
) -> Result<String, ToolError> {
    let protection = if unprotected {
        Protection::Unprotected
    } else {
        Protection::Passphrase(context.new_passphrase()?, KdfCost::STANDARD)
    };
    let address = account_key(&root).public().to_string();
    #[cfg(feature = "finger")]
    super::finger::may_stand_beside(file, &address)?;
    let sealed = KeyFile::seal(&Secret::Root(root), &address, &protection);
    sealed.and_then(|sealed| sealed.create(file)).map_err(ToolError::failed)?;
    Ok(address)
}

/// `goodwatt key new`.
pub(super) fn new(
    context: &Context,
    file: Option<PathBuf>,
    unprotected: bool,
) -> Result<(), ToolError> {
    let file = path(context, file)?;
    let root = RootSecret::generate().map_err(ToolError::failed)?;
    let words = joined(&root);
    let address = create(context, &file, root, unprotected)?;
    print(context, &file, address, !unprotected, Some(words))
}

/// `goodwatt key show`.
pub(super) fn show(context: &Context, file: Option<PathBuf>, words: bool) -> Result<(), ToolError> {
    let file = path(context, file)?;
    let sealed = KeyFile::load(&file).map_err(ToolError::failed)?;
    let words = if words {
        let passphrase = if sealed.is_protected() { Some(context.passphrase()?) } else { None };
        let secret = sealed.open(passphrase.as_ref()).map_err(ToolError::failed)?;
        Some(joined(&secret.into_root().map_err(ToolError::failed)?))
    } else {
        None
    };
    print(context, &file, sealed.public().to_owned(), sealed.is_protected(), words)
}

/// `goodwatt key restore`.
pub(super) fn restore(
    context: &Context,
    file: Option<PathBuf>,
    unprotected: bool,
) -> Result<(), ToolError> {
    let file = path(context, file)?;
    let words = read_words()?;
    let address = create(context, &file, words.root(), unprotected)?;
    print(context, &file, address, !unprotected, None)
}

/// Reads the 24 words: a line of standard input, or what a person types, in one line or several
/// and with help where a word is mistyped.
///
/// # Errors
/// Where they are no backup, or the person gives up.
pub(super) fn read_words() -> Result<Words, ToolError> {
    if !io::stdin().is_terminal() {
        return Words::parse(&read_line()?).map_err(ToolError::failed);
    }
    note("The 24 words, in one line or several:");
    let mut typed = Zeroizing::new(Vec::new());
    while typed.len() < COUNT {
        let line = read_line()?;
        if line.is_empty() {
            break;
        }
        typed.extend(line.split_whitespace().map(str::to_owned));
    }
    for _ in 0..CORRECTIONS {
        let error = match Words::parse(&Zeroizing::new(typed.join(" "))) {
            Ok(words) => return Ok(words),
            Err(error) => error,
        };
        note(&format!("{error}."));
        let (place, suggestion) = match error {
            WordsError::Unknown { position, suggestion } => (position, suggestion),
            WordsError::Checksum => (wrong_place(&typed)?, None),
            error => return Err(ToolError::failed(error)),
        };
        note(&match suggestion {
            Some(word) => format!("Word {place} once more, or Enter for `{word}`:"),
            None => format!("Word {place} once more:"),
        });
        let word = read_line()?;
        typed[place - 1] = match suggestion {
            Some(suggestion) if word.is_empty() => suggestion.to_owned(),
            _ => word.to_string(),
        };
    }
    Err(ToolError::failed("that is not the key's backup: look for another paper"))
}

/// All words are in the list: only whoever has the paper can tell which is wrong.
fn wrong_place(typed: &[String]) -> Result<usize, ToolError> {
    for (row, four) in typed.chunks(4).enumerate() {
        let cells = four.iter().enumerate();
        let cells = cells.map(|(at, word)| format!("{:4} {word:<10}", 4 * row + at + 1));
        note(Zeroizing::new(cells.collect::<String>()).trim_end());
    }
    note("Compare them with your paper. The number of the wrong word:");
    let number = read_line()?.parse().ok().filter(|number| (1..=COUNT).contains(number));
    number.ok_or_else(|| ToolError::failed("that is no number of a word; nothing was changed"))
}

/// A line of standard input.
fn read_line() -> Result<Zeroizing<String>, ToolError> {
    let mut line = Zeroizing::new(String::with_capacity(LINE_MOST));
    io::stdin().lock().take(LINE_MOST as u64).read_line(&mut line)?;
    Ok(Zeroizing::new(line.trim().to_owned()))
}

fn joined(root: &RootSecret) -> Zeroizing<String> {
    let words: Vec<&str> = Words::of(root).iter().collect();
    Zeroizing::new(words.join(" "))
}

fn print(
    context: &Context,
    file: &Path,
    address: String,
    protected: bool,
    words: Option<Zeroizing<String>>,
) -> Result<(), ToolError> {
    let mut shown = Shown {
        file: file.display().to_string(),
        address,
        protected,
        words: words.map(|words| words.to_string()),
    };
    let text = |page: &mut String| {
        writeln!(page, "address  {}", shown.address)?;
        let how = if shown.protected { "under a passphrase" } else { "NOT PROTECTED" };
        writeln!(page, "file     {}, {how}", shown.file)?;
        if let Some(words) = &shown.words {
            writeln!(page, "Write these 24 words down; they are the key, and shown only here:")?;
            for row in words.split(' ').collect::<Vec<_>>().chunks(6) {
                writeln!(page, "  {}", row.join(" "))?;
            }
        }
        Ok(())
    };
    let printed = context.output.print(&shown, text);
    shown.words.zeroize();
    Ok(printed?)
}
