//! At each start, before the network: the owner's file is read, checked, kept and applied.
//!
//! What was good once is kept on the data partition, so a mistake in the file, or a first partition
//! that cannot be read, leaves the board as it was. Only a board that never had a good file, and
//! has a wrong one now, does not start its validator: it would begin a chain nobody asked for.

use std::fs;
use std::io;

use goodwatt_chain::genesis::Genesis;

use super::config::BoardConfig;
use super::{CARD_FILE, Places, apply, files, report};
use crate::tool::error::ToolError;
use crate::tool::output::note;

/// What replaces a secret in the owner's file.
const TAKEN: &str = "# the password was here; the board keeps it now\n";
/// The chain to join, beside the owner's file.
const GENESIS_FILE: &str = "genesis.toml";

/// Everything that is wrong, each in a sentence with its remedy.
pub(super) type Troubles = Vec<String>;

/// `goodwatt board setup`. Troubles are reported, not failed upon: the board starts as far as it can.
pub(super) fn run(places: &Places) -> Result<(), ToolError> {
    let mut troubles = Troubles::new();
    if let Some(board) = decided(places, &mut troubles) {
        apply::all(places, &board, &mut troubles);
        take_genesis(places, &mut troubles);
    }
    let lines: String = troubles.iter().map(|trouble| format!("{trouble}\n")).collect();
    files::put(&places.run("troubles"), &lines, 0o644)
        .map_err(|error| ToolError::failed(format!("/run cannot be written: {error}")))?;
    troubles.iter().for_each(|trouble| note(&format!("<3>{trouble}")));
    report::write_setup(places, &troubles);
    Ok(())
}

/// The configuration to go by: the card's, else the one kept, else the usual one.
fn decided(places: &Places, troubles: &mut Troubles) -> Option<BoardConfig> {
    let kept_path = places.data.join("board").join(CARD_FILE);
    let kept_text = files::read(&kept_path).ok();
    let kept = kept_text.as_deref().and_then(|text| BoardConfig::parse(text, CARD_FILE).ok());
    let path = places.boot.join(CARD_FILE);
    let text = match files::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if !places.boot.join("config.txt").exists() {
                troubles.push(
                    "the card's first partition could not be read: the board goes on as it was. \
                     Put the card into a computer and check it, or write the image again"
                        .to_owned(),
                );
            }
            return Some(kept.unwrap_or_else(usual));
        }
        Err(error) => {
            troubles.push(format!("{CARD_FILE}: {error}: the board goes on as it was"));
            return kept;
        }
    };
    let mut board = match BoardConfig::parse(&text, CARD_FILE) {
        Ok(board) => board,
        Err(errors) => {
            troubles.extend(errors.iter().map(ToString::to_string));
            troubles.push(match &kept {
                Some(_) => format!("{CARD_FILE} has mistakes: the board goes on as it was before"),
                None => format!(
                    "{CARD_FILE} has mistakes, and this board never had a good one: no validator \
                     starts. Mend the lines above, then start the board again"
                ),
            });
            return kept;
        }
    };
    recall_password(&mut board, kept.as_ref(), troubles);
    keep(places, &kept_path, kept_text.as_deref(), &text, &board, troubles);
    Some(board)
}

fn usual() -> BoardConfig {
    BoardConfig::parse("", CARD_FILE).expect("every key has a default")
}

/// A password that was handed over at an earlier start belongs to its network still.
fn recall_password(board: &mut BoardConfig, kept: Option<&BoardConfig>, troubles: &mut Troubles) {
    let Some(wifi) = board.wifi.as_mut().filter(|wifi| wifi.password.is_none()) else { return };
    let known = kept.and_then(|kept| kept.wifi.as_ref()).filter(|known| known.name == wifi.name);
    match known.and_then(|known| known.password.clone()) {
        Some(password) => wifi.password = Some(password),
        None => troubles.push(format!(
            "[wifi] names {} without a password: a network without one is not joined",
            wifi.name
        )),
    }
}

/// Keeps the file on the data partition, and erases secrets from the one that any computer reads.
fn keep(
    places: &Places,
    kept_path: &std::path::Path,
    kept_text: Option<&str>,
    text: &str,
    board: &BoardConfig,
    troubles: &mut Troubles,
) {
    let (erased, had_secret) = without_secrets(text);
    // What is kept has the password, also where the card's file has it no more.
    let password = board.wifi.as_ref().and_then(|wifi| wifi.password.as_deref());
    let whole = match password {
        Some(password) if !had_secret => with_password(text, password),
        _ => text.to_owned(),
    };
    if kept_text != Some(&whole)
        && let Err(error) = files::put(kept_path, &whole, 0o600)
    {
        troubles.push(format!(
            "{CARD_FILE} could not be kept ({error}): it holds for this start only. The card's \
             data partition is full, read-only or worn"
        ));
        return;
    }
    if had_secret && let Err(error) = files::put_on_boot(&places.boot, CARD_FILE, &erased) {
        troubles.push(format!("the password in {CARD_FILE} could not be erased: {error}"));
    }
}

/// The text without the line of the password, and whether there was one.
fn without_secrets(text: &str) -> (String, bool) {
    let mut section = "";
    let mut found = false;
    let line = |line| -> String {
        let bare = str::trim(line);
        if bare.starts_with('[') {
            section = bare;
        }
        let is_secret = section.starts_with("[wifi]") && bare.starts_with("password");
        found |= is_secret;
        if is_secret { TAKEN.to_owned() } else { line.to_owned() }
    };
    (text.split_inclusive('\n').map(line).collect(), found)
}

/// The text with the password put back in its section.
fn with_password(text: &str, password: &str) -> String {
    let bare = text.replace(TAKEN, "");
    // It was read from a text without quotes or control characters; a backslash is doubled.
    let password = password.replace('\\', "\\\\");
    let mut put_back = false;
    let line = |line: &str| {
        // Not a remark that only looks like it.
        if put_back || !line.trim_start().starts_with("[wifi]") {
            return line.to_owned();
        }
        put_back = true;
        format!("{}\npassword = \"{password}\"\n", line.trim_end())
    };
    bare.split_inclusive('\n').map(line).collect()
}

/// Takes a genesis file over from the card: once for a board without a chain.
fn take_genesis(places: &Places, troubles: &mut Troubles) {
    let Ok(text) = files::read(&places.boot.join(GENESIS_FILE)) else { return };
    let wanted = match Genesis::from_toml(&text, GENESIS_FILE) {
        Ok(genesis) => genesis,
        Err(error) => {
            troubles.push(error.to_string());
            troubles.push(format!("{GENESIS_FILE} on the card has mistakes: it is not used"));
            return;
        }
    };
    let path = places.root.join("etc/goodwatt").join(GENESIS_FILE);
    let used = fs::read_to_string(&path).ok();
    let used = used.and_then(|used| Genesis::from_toml(&used, GENESIS_FILE).ok());
    match used.map(|used| used.chain_id()) {
        Some(id) if id == wanted.chain_id() => {}
        Some(id) => troubles.push(format!(
            "{GENESIS_FILE} on the card is of chain {}, and this board keeps chain {id}: it stays \
             there. For another chain write the image onto another card",
            wanted.chain_id()
        )),
        None => {
            if let Err(error) = files::put(&path, &text, 0o644) {
                troubles.push(format!("{GENESIS_FILE} could not be kept: {error}"));
            }
        }
    }
}
