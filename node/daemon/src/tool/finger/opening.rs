//! `goodwatt key unlock` and `lock`, and the key wherever the owner's is needed.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use goodwatt_chain::signature::SigningKey;
use goodwatt_fingerprint::throttle::{TRIES, ThrottleError, Tries};
use goodwatt_fingerprint::vault::Budget;
use goodwatt_fingerprint::wrap::{Mode, WrapError, Wrapped};
use serde::Serialize;

use super::super::args::FINGER_PORT;
use super::super::context::{Context, account_key, account_seed};
use super::super::error::ToolError;
use super::super::output::note;
use super::glass::Glass;
use super::kept;
use super::place::{About, Place};
use super::stop::Stop;
use crate::keystore::RootSecret;

/// Placements that may open the key, before it counts as one wrong try.
const OPENING: usize = 3;
/// The root, where PIN, board and, if it takes one, finger are right.
pub(super) fn open_root<'a>(
    context: &Context,
    place: &Place,
    port: Option<&str>,
    glass: &mut Option<Glass<'a>>,
    stop: &'a Stop,
) -> Result<RootSecret, ToolError> {
    let device = place.device();
    let wrapped = Wrapped::load(&place.root(), &*device).map_err(ToolError::failed)?;
    let about = place.about()?.ok_or_else(|| not_enrolled(place))?;
    let throttle = place.throttle();
    throttle.check(now(), &*device).map_err(ToolError::failed)?;
    if wrapped.mode() == Mode::Finger && glass.is_none() {
        let port = port.or(about.port.as_deref()).unwrap_or(FINGER_PORT);
        *glass = Some(Glass::open(port, stop)?);
    }
    let question = match wrapped.mode() {
        Mode::Finger => "PIN: ",
        Mode::Passphrase => "Passphrase: ",
    };
    let pin = context.passphrase_as(question)?;
    let placements = match wrapped.mode() {
        Mode::Finger => OPENING,
        Mode::Passphrase => 1,
    };
    for placement in 1..=placements {
        let print = match glass {
            Some(glass) if wrapped.mode() == Mode::Finger => {
                Some(glass.placement(&format!("Try {placement} of {placements}"))?)
            }
            _ => None,
        };
        if placement == 1 {
            // Durably, before it is made: pulling the plug takes no try back.
            throttle.begin(now(), &*device).map_err(ToolError::failed)?;
        }
        match wrapped.open(pin.as_bytes(), &*device, print.as_ref(), Budget::default()) {
            Ok(bytes) => {
                let root = RootSecret::from_bytes(&bytes);
                throttle.reset(&*device).map_err(ToolError::failed)?;
                return is_of(root, &about);
            }
            Err(WrapError::Wrong) if placement < placements => note("It did not open."),
            Err(WrapError::Wrong) => return Err(wrong(wrapped.mode(), &throttle.tries(&*device))),
            Err(error) => return Err(ToolError::failed(error)),
        }
    }
    Err(ToolError::failed(WrapError::Wrong))
}

/// What a person needs beside the board.
pub(super) const fn opens_with(mode: Mode) -> &'static str {
    match mode {
        Mode::Finger => "finger, PIN",
        Mode::Passphrase => "passphrase",
    }
}

/// The address beside the root is not sealed: whoever changed it wants money sent elsewhere.
fn is_of(root: RootSecret, about: &About) -> Result<RootSecret, ToolError> {
    let address = account_key(&root).public().to_string();
    if address == about.address {
        return Ok(root);
    }
    Err(ToolError::failed(format!(
        "the key is that of {address}, but the file beside it names {}: somebody changed it; \
        `goodwatt key enroll --words` makes it anew",
        about.address
    )))
}

fn wrong(mode: Mode, tries: &Result<Tries, ThrottleError>) -> ToolError {
    let what = match mode {
        Mode::Finger => WrapError::Wrong.to_string(),
        Mode::Passphrase => "the passphrase is wrong".to_owned(),
    };
    match tries {
        Ok(tries) => ToolError::failed(format!(
            "{what}; {} of {TRIES} tries are left, after that the 24 words only",
            TRIES.saturating_sub(tries.wrong)
        )),
        Err(error) => ToolError::failed(error),
    }
}

pub(super) fn not_enrolled(place: &Place) -> ToolError {
    ToolError::failed(format!(
        "no key is enrolled in {}: `goodwatt key enroll` does it",
        place.folder().display()
    ))
}

pub(super) fn now() -> u64 {
    // Before 1970 there is no waiting time to measure, and the counter counts anyway.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[derive(Serialize)]
struct Unlocked {
    address: String,
    kept_seconds: u64,
}

/// `goodwatt key unlock`.
pub(in crate::tool) fn unlock(context: &Context, port: Option<&str>) -> Result<(), ToolError> {
    let place = Place::of(context)?;
    if !place.is_enrolled() {
        return Err(not_enrolled(&place));
    }
    let stop = Stop::listen();
    let root = open_root(context, &place, port, &mut None, &stop)?;
    let address = account_key(&root).public().to_string();
    let kept = kept::keep(account_seed(&root), &address)?;
    let kept_seconds = if kept { kept::LIFE.as_secs() } else { 0 };
    let unlocked = Unlocked { address, kept_seconds };
    let text = |page: &mut String| {
        writeln!(page, "unlocked  {}", unlocked.address)?;
        match kept {
            true => {
                writeln!(page, "For {} minutes, or until `goodwatt key lock`.", kept_seconds / 60)
            }
            false => {
                writeln!(page, "Kept nowhere: no folder in memory is yours (XDG_RUNTIME_DIR).")
            }
        }
    };
    Ok(context.output.print(&unlocked, text)?)
}

/// The owner's key where an enrolment stands in for a key file; nothing where none does.
///
/// # Errors
/// Where it does not open.
pub(in crate::tool) fn owner_key(context: &Context) -> Result<Option<SigningKey>, ToolError> {
    let place = Place::of(context)?;
    if place.key_file.exists() {
        return Ok(None);
    }
    let Some(about) = place.about()? else { return Ok(None) };
    if let Some(key) = kept::key(&about.address)? {
        return Ok(Some(key));
    }
    let stop = Stop::listen();
    Ok(Some(account_key(&open_root(context, &place, None, &mut None, &stop)?)))
}

/// The owner's address where an enrolment stands in for a key file.
///
/// # Errors
/// Where its file is damaged.
pub(in crate::tool) fn address(context: &Context) -> Result<Option<String>, ToolError> {
    let place = Place::of(context)?;
    if place.key_file.exists() {
        return Ok(None);
    }
    Ok(place.about()?.map(|about| about.address))
}

#[derive(Serialize)]
struct Locked {
    was_unlocked: bool,
}

/// `goodwatt key lock`.
pub(in crate::tool) fn lock(context: &Context) -> Result<(), ToolError> {
    let place = Place::of(context)?;
    let about = place.about()?.ok_or_else(|| not_enrolled(&place))?;
    let locked = Locked { was_unlocked: kept::forget(&about.address)? };
    let text = |page: &mut String| match locked.was_unlocked {
        true => writeln!(page, "locked"),
        false => writeln!(page, "locked; it was before"),
    };
    Ok(context.output.print(&locked, text)?)
}
