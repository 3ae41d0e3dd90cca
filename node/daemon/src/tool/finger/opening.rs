//! `goodwatt key unlock` and `lock`, and the key wherever the owner's is needed.

use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use goodwatt_chain::signature::SigningKey;
use goodwatt_chain::units::Grains;
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
use crate::keystore::{RootSecret, Seed};
use crate::protocol::{AccountSeed, Buying, Call};

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
    let (about, device) = place.vouched()?.ok_or_else(|| not_enrolled(place))?;
    let _held = place.hold()?;
    let wrapped = Wrapped::load(&place.root(), &*device).map_err(ToolError::failed)?;
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
                if let Some(print) = &print {
                    place.seen().admit(&bytes, print).map_err(ToolError::failed)?;
                }
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
    #[serde(skip_serializing_if = "Option::is_none")]
    buying: Option<Buying>,
}

/// `goodwatt key unlock`.
pub(in crate::tool) fn unlock(context: &Context, port: Option<&str>) -> Result<(), ToolError> {
    let place = Place::of(context)?;
    let buys = context.config()?.validator.buy_slots;
    let enrolled = place.is_enrolled();
    let seed = if enrolled {
        let stop = Stop::listen();
        account_seed(&open_root(context, &place, port, &mut None, &stop)?)
    } else if !place.key_file.exists() {
        return Err(not_enrolled(&place));
    } else if buys {
        context.owner_seed(&place.key_file)?
    } else {
        return Err(ToolError::failed(format!(
            "{} needs no unlocking: only an enrolled key does, or one that buys slots by itself \
            (`buy_slots` in the configuration)",
            place.key_file.display()
        )));
    };
    let address = SigningKey::from_seed(seed.as_bytes()).public().to_string();
    let buying = if buys { Some(start_buying(context, &seed)?) } else { None };
    let kept = enrolled && kept::keep(seed, &address)?;
    let kept_seconds = if kept { kept::LIFE.as_secs() } else { 0 };
    let unlocked = Unlocked { address, kept_seconds, buying };
    Ok(context.output.print(&unlocked, |page| unlocked_text(page, &unlocked, enrolled))?)
}

fn unlocked_text(page: &mut String, unlocked: &Unlocked, enrolled: bool) -> std::fmt::Result {
    writeln!(page, "unlocked  {}", unlocked.address)?;
    if let Some(buying) = &unlocked.buying {
        buying_text(page, buying)?;
    }
    match unlocked.kept_seconds {
        _ if !enrolled => Ok(()),
        0 => writeln!(page, "Kept nowhere: no folder in memory is yours (XDG_RUNTIME_DIR)."),
        kept => writeln!(page, "For {} minutes, or until `goodwatt key lock`.", kept / 60),
    }
}

/// What the daemon buys.
pub(super) fn buying_text(page: &mut String, buying: &Buying) -> std::fmt::Result {
    let Some(buyer) = &buying.buyer else {
        return writeln!(page, "slots     none are bought: goodwatt key unlock");
    };
    let grains = |count| Grains::new(count).unwrap_or(Grains::ZERO);
    let (price, cap) = (grains(buying.price_grains), grains(buying.cap_grains));
    writeln!(page, "slots     one an epoch for {price}, {cap} at most, by {buyer}")?;
    match &buying.last {
        Some(last) => writeln!(page, "          {last}"),
        None => Ok(()),
    }
}

/// Gives the daemon the account's key, with what it may spend. It goes over the control socket,
/// and only to the user who owns the daemon's data.
fn start_buying(context: &Context, seed: &Seed) -> Result<Buying, ToolError> {
    let config = context.config()?;
    let owner = |path: &Path| {
        let told = std::fs::metadata(path);
        told.map(|told| told.uid())
            .map_err(|error| ToolError::failed(format!("{}: {error}", path.display())))
    };
    let mut client = context.connect()?;
    let (socket, data) = (context.socket()?, &config.node.data_dir);
    if owner(&socket)? != owner(data)? {
        return Err(ToolError::failed(format!(
            "{} and {} belong to two users: the key is not given to a stranger",
            socket.display(),
            data.display()
        )));
    }
    Ok(client.call(Call::BuySlots {
        seed: AccountSeed::new(seed),
        price_grains: config.validator.slot_price.get(),
        cap_grains: config.validator.spending_cap_per_epoch.get(),
    })?)
}

/// The owner's key where it is unlocked, or an enrolment stands in for a key file; nothing where
/// there is a key file to be opened.
///
/// # Errors
/// Where it does not open.
pub(in crate::tool) fn owner_key(context: &Context) -> Result<Option<SigningKey>, ToolError> {
    let place = Place::of(context)?;
    let vouched = match place.vouched() {
        // An enrolment that is damaged is in no key file's way.
        Err(_) if place.key_file.exists() => return Ok(None),
        vouched => vouched?,
    };
    let Some((about, _)) = vouched else { return Ok(None) };
    if let Some(key) = kept::key(&about.address)? {
        return Ok(Some(key));
    }
    if place.key_file.exists() {
        return Ok(None);
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
    Ok(place.vouched()?.map(|(about, _)| about.address))
}

/// Takes the key from the daemon, if it has it; gives whether it had.
///
/// # Errors
/// Where the daemon does not do it.
pub(super) fn stop_buying(context: &Context) -> Result<bool, ToolError> {
    if !context.config()?.validator.buy_slots {
        return Ok(false);
    }
    // A daemon that does not run has no key either.
    let Ok(mut client) = context.connect() else { return Ok(false) };
    let before: Buying = client.call(Call::Buying)?;
    client.call::<Buying>(Call::StopBuying)?;
    Ok(before.buyer.is_some())
}

#[derive(Serialize)]
struct Locked {
    was_unlocked: bool,
    stopped_buying: bool,
}

/// `goodwatt key lock`.
pub(in crate::tool) fn lock(context: &Context) -> Result<(), ToolError> {
    let place = Place::of(context)?;
    let vouched = place.vouched();
    let buys = context.config()?.validator.buy_slots;
    if matches!(vouched, Ok(None)) && !buys {
        return Err(not_enrolled(&place));
    }
    let forgotten = match &vouched {
        Ok(Some((about, _))) => kept::forget(&about.address),
        Ok(None) => Ok(false),
        // Nobody knows whose key it is any more: all are locked, and then that is told.
        Err(_) => kept::forget_all().map(|()| false),
    };
    let stopped_buying = stop_buying(context)?;
    vouched?;
    let locked = Locked { was_unlocked: forgotten?, stopped_buying };
    let text = |page: &mut String| match locked {
        Locked { stopped_buying: true, .. } => writeln!(page, "locked; no more slots are bought"),
        Locked { was_unlocked: true, .. } => writeln!(page, "locked"),
        _ => writeln!(page, "locked; it was before"),
    };
    Ok(context.output.print(&locked, text)?)
}
