//! The owner's key: made, shown, restored from words.

use std::fmt::Write;
use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::{Zeroize, Zeroizing};

use super::context::{Context, account_key};
use super::error::ToolError;
use super::output::note;
use crate::keystore::{KdfCost, KeyFile, Protection, RootSecret, Secret};
use crate::words::Words;

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
    if io::stdin().is_terminal() {
        note("The 24 words, in one line:");
    }
    let mut line = Zeroizing::new(String::new());
    io::stdin().lock().read_line(&mut line)?;
    let words = Words::parse(line.trim()).map_err(ToolError::failed)?;
    let address = create(context, &file, words.root(), unprotected)?;
    print(context, &file, address, !unprotected, None)
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
