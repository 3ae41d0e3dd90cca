//! `goodwatt key status` and `revoke`: how an enrolment is, and its end.

use std::fmt::Write;
use std::time::Duration;

use goodwatt_fingerprint::throttle::TRIES;
use goodwatt_fingerprint::wrap::Wrapped;
use serde::Serialize;

use super::super::context::Context;
use super::super::error::ToolError;
use super::super::output::note;
use super::kept;
use super::opening::{buying_text, not_enrolled, now, opens_with, stop_buying};
use super::place::Place;
use super::questions::ask;
use super::stop::Stop;
use crate::protocol::{Buying, Call};

#[derive(Serialize)]
struct Revoked {
    revoked: bool,
}

/// `goodwatt key revoke`.
pub(in crate::tool) fn revoke(context: &Context, yes: bool) -> Result<(), ToolError> {
    let place = Place::of(context)?;
    if !place.folder().exists() {
        return Err(not_enrolled(&place));
    }
    let stop = Stop::listen();
    if !yes {
        note("This destroys what finger, PIN and this board open together.");
        note(if place.key_file.exists() {
            "The key file and the 24 words stay as they are."
        } else {
            "After that ONLY the 24 words bring the key back."
        });
        if *ask("Type `revoke` to do it: ")? != *"revoke" {
            return Err(ToolError::failed("nothing was changed"));
        }
    }
    // Where nobody vouches for the address any more, all that is unlocked goes.
    let address = place.vouched().ok().flatten().map(|(about, _)| about.address);
    let _held = place.hold()?;
    let revoked = stop.whole("stopped; the key is revoked", || {
        // What was unlocked goes first: it opens without a finger. Whatever fails, the rest goes, too.
        let forgotten = match &address {
            Some(address) => kept::forget(address).map(drop),
            None => kept::forget_all(),
        };
        let stopped = stop_buying(context);
        let revoked = Revoked { revoked: place.revoke()? };
        if forgotten.is_err() || stopped.is_err() {
            note("The enrolment is destroyed, but what was unlocked may go on:");
        }
        forgotten.and(stopped)?;
        Ok(revoked)
    })?;
    let text = |page: &mut String| writeln!(page, "revoked: the finger opens nothing any more");
    Ok(context.output.print(&revoked, text)?)
}

#[derive(Serialize)]
struct KeyStatus {
    enrolled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opens_with: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<String>,
    tries_left: u32,
    wait_seconds: u64,
    unlocked_seconds: u64,
    key_file: bool,
    /// What the daemon buys, where it is to buy slots and runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    buying: Option<Buying>,
    /// What is wrong with the enrolment.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

/// `goodwatt key status`.
pub(in crate::tool) fn status(context: &Context) -> Result<(), ToolError> {
    let place = Place::of(context)?;
    kept::end_old()?;
    let mut status = KeyStatus {
        enrolled: place.is_enrolled(),
        address: None,
        opens_with: None,
        device: None,
        port: None,
        tries_left: 0,
        wait_seconds: 0,
        unlocked_seconds: 0,
        key_file: place.key_file.exists(),
        buying: buying(context)?,
        fault: None,
    };
    if status.enrolled
        && let Err(error) = look(&place, &mut status)
    {
        status.fault = Some(error.to_string());
    }
    if status.address.is_none() && status.key_file {
        status.address = Some(context.address_or_own(None)?.to_string());
    }
    Ok(context.output.print(&status, |page| status_text(page, &status, &place))?)
}

/// What the daemon buys; nothing where it does not run, or is not to.
fn buying(context: &Context) -> Result<Option<Buying>, ToolError> {
    if !context.config()?.validator.buy_slots {
        return Ok(None);
    }
    let Ok(mut client) = context.connect() else { return Ok(None) };
    Ok(Some(client.call(Call::Buying)?))
}

fn look(place: &Place, status: &mut KeyStatus) -> Result<(), ToolError> {
    let (about, device) = place.vouched()?.ok_or_else(|| not_enrolled(place))?;
    status.unlocked_seconds = kept::left(&about.address)?.unwrap_or(Duration::ZERO).as_secs();
    status.address = Some(about.address.clone());
    status.port.clone_from(&about.port);
    let wrapped = Wrapped::load(&place.root(), &*device).map_err(ToolError::failed)?;
    status.opens_with = Some(opens_with(wrapped.mode()));
    status.device = Some(device.name());
    let tries = place.throttle().tries(&*device).map_err(ToolError::failed)?;
    status.tries_left = TRIES.saturating_sub(tries.wrong);
    status.wait_seconds = tries.wait(now());
    Ok(())
}

fn status_text(page: &mut String, status: &KeyStatus, place: &Place) -> std::fmt::Result {
    if let Some(address) = &status.address {
        writeln!(page, "address   {address}")?;
    }
    if status.key_file {
        writeln!(page, "key file  {}, which is taken first", place.key_file.display())?;
    }
    if let Some(buying) = &status.buying {
        buying_text(page, buying)?;
    }
    if !status.enrolled {
        return writeln!(page, "finger    not enrolled: goodwatt key enroll");
    }
    if let Some(fault) = &status.fault {
        return writeln!(page, "WRONG     {fault}");
    }
    if let (Some(with), Some(device)) = (status.opens_with, status.device) {
        writeln!(page, "opens     with {with} and {device}")?;
    }
    if let Some(port) = &status.port {
        writeln!(page, "sensor    {port}")?;
    }
    match (status.tries_left, status.wait_seconds) {
        (0, _) => writeln!(page, "tries     none left: goodwatt key enroll --words")?,
        (left, 0) => writeln!(page, "tries     {left} of {TRIES} left")?,
        (left, wait) => writeln!(page, "tries     {left} of {TRIES} left, the next in {wait} s")?,
    }
    match status.unlocked_seconds {
        0 => writeln!(page, "unlocked  no"),
        left => writeln!(page, "unlocked  for {} more minutes", left.div_ceil(60)),
    }
}
