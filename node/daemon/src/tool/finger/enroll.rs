//! `goodwatt key enroll`: a finger, a PIN and the board made to open the owner's key.

use std::fmt::Write;
use std::path::Path;

use goodwatt_fingerprint::device::Kind;
use goodwatt_fingerprint::durable;
use goodwatt_fingerprint::enrol::{Enrolled, Enrolment, PLACEMENTS};
use goodwatt_fingerprint::replay::{ReplayError, same_image};
use goodwatt_fingerprint::vault::Locked;
use goodwatt_fingerprint::wrap::{Mode, System, Wrapped};
use serde::Serialize;

use super::super::args::{EnrollArgs, FINGER_PORT};
use super::super::context::{Context, account_key};
use super::super::error::ToolError;
use super::super::key::read_words;
use super::super::output::note;
use super::glass::Glass;
use super::kept;
use super::opening::{open_root, opens_with};
use super::place::{About, Place};
use super::questions::{agrees, ask, confirm, new_pin, show};
use super::stop::Stop;
use crate::keystore::{KeyFile, RootSecret};
use crate::words::Words;

/// Placements that are exchanged for better ones, before the finger is refused.
const EXCHANGED: usize = 4;
/// Placements that try the new vault.
const TRIALS: usize = 3;

/// What stands on paper of the key that is enrolled.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Paper {
    /// Nothing: the key is new.
    Nothing,
    /// Hopefully its words.
    Untested,
    /// Its words: they were all typed just now.
    Tested,
}

#[derive(Serialize)]
struct EnrolledNow {
    address: String,
    opens_with: &'static str,
    device: &'static str,
    folder: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    minutiae: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_bits: Option<f64>,
    key_file_removed: bool,
}

/// `goodwatt key enroll`.
pub(in crate::tool) fn enroll(context: &Context, args: &EnrollArgs) -> Result<(), ToolError> {
    let place = Place::of(context)?;
    let stop = Stop::listen();
    // Whoever has the words may mend an enrolment that nobody vouches for any more.
    let before = if args.words { place.vouched().ok().flatten() } else { place.vouched()? };
    let before = before.map(|(about, _)| about);
    // Whoever types the words takes nothing for granted that lies there.
    let device_stays = before.is_some() && !args.words;
    let device = device(before.as_ref(), args.device)?;
    let port = args.port.clone().or_else(|| before?.port);
    let port = port.unwrap_or_else(|| FINGER_PORT.to_owned());
    let mode = if args.no_finger { Mode::Passphrase } else { Mode::Finger };
    // Before anything is asked: without sensor or board's secret all answers were in vain.
    if device != Kind::File {
        device.open(Path::new("")).map_err(ToolError::failed)?;
    }
    let mut glass = match mode {
        Mode::Finger => Some(Glass::open(&port, &stop)?),
        Mode::Passphrase => None,
    };
    note("Ctrl-C stops at any point; until the key is enrolled nothing is changed then.");
    // Whoever only opened what is enrolled may be somebody who plays an image of then.
    let anew = args.words || place.key_file.exists() || !place.is_enrolled();
    let (root, paper) = root(context, &place, args, &mut glass, &stop)?;
    let address = account_key(&root).public().to_string();
    same_key(&place, &address, args.words)?;
    let enrolled = glass.as_mut().map(place_finger).transpose()?;
    drop(glass);
    let pin = new_pin(mode)?;
    backup(&root, paper)?;

    let _held = place.begin()?;
    let secret = place.make_device(device, device_stays)?;
    let vault = enrolled.as_ref().map(|enrolled| &enrolled.locked);
    let wrapped = Wrapped::seal(root.as_bytes(), pin.as_bytes(), &*secret, vault);
    let wrapped = wrapped.map_err(ToolError::failed)?;
    let about = About {
        address: address.clone(),
        port: enrolled.as_ref().map(|_| port),
        device: device.to_string(),
    };
    stop.whole("stopped; the key is enrolled", || {
        if let Some(enrolled) = &enrolled {
            // The former enrolment is of the same root: after a power cut it goes on with this list.
            let begun = place.seen().begin(root.as_bytes(), &enrolled.prints, anew);
            begun.map_err(ToolError::failed)?;
        }
        place.commit(&wrapped, &about, &*secret)?;
        // What was unlocked before opens with another finger or PIN now.
        kept::forget(&address).map(drop)
    })?;
    let key_file_removed = remove_key_file(&place)?;
    let done = EnrolledNow {
        address,
        opens_with: opens_with(mode),
        device: secret.name(),
        folder: place.folder().display().to_string(),
        minutiae: vault.map(Locked::secret_minutiae),
        k: vault.map(|locked| locked.helper.k()),
        security_bits: enrolled.as_ref().map(|enrolled| (enrolled.bits * 10.0).round() / 10.0),
        key_file_removed,
    };
    Ok(context.output.print(&done, |page| enrolled_text(page, &done))?)
}

/// Where the board's secret is to lie. It stays where it was: counter, root and the word where it lies
/// could not change together if the plug was pulled.
fn device(before: Option<&About>, wanted: Option<Kind>) -> Result<Kind, ToolError> {
    let before = before.map(|about| about.device.parse().map_err(ToolError::failed)).transpose()?;
    match (before, wanted) {
        (Some(before), Some(wanted)) if before != wanted => Err(ToolError::failed(format!(
            "the key is enrolled with the board's secret in `{before}`: with its 24 words at hand, \
            `goodwatt key revoke`, then `goodwatt key enroll --words --device {wanted}`"
        ))),
        (before, wanted) => Ok(wanted.or(before).unwrap_or(Kind::File)),
    }
}

fn enrolled_text(page: &mut String, done: &EnrolledNow) -> std::fmt::Result {
    writeln!(page, "enrolled  {}", done.address)?;
    writeln!(page, "opens     with {} and {}", done.opens_with, done.device)?;
    if let (Some(k), Some(minutiae), Some(bits)) = (done.k, done.minutiae, done.security_bits) {
        writeln!(page, "finger    {k} of {minutiae} details at once, {bits} bits against others")?;
    }
    writeln!(page, "files     {}", done.folder)?;
    writeln!(page, "Try it now: goodwatt key unlock")
}

/// The root that is to be enrolled: from words, from the key file, from what is enrolled now, or
/// a new one.
fn root<'a>(
    context: &Context,
    place: &Place,
    args: &EnrollArgs,
    glass: &mut Option<Glass<'a>>,
    stop: &'a Stop,
) -> Result<(RootSecret, Paper), ToolError> {
    if args.words {
        return Ok((read_words()?.root(), Paper::Tested));
    }
    if place.key_file.exists() {
        let file = KeyFile::load(&place.key_file).map_err(ToolError::failed)?;
        note(&format!("The key of {} is enrolled: {}", place.key_file.display(), file.public()));
        let passphrase = if file.is_protected() { Some(context.passphrase()?) } else { None };
        let secret = file.open(passphrase.as_ref()).map_err(ToolError::failed)?;
        return Ok((secret.into_root().map_err(ToolError::failed)?, Paper::Untested));
    }
    if place.is_enrolled() {
        note("First open the key as it is enrolled now. (With its 24 words instead: --words.)");
        return Ok((open_root(context, place, None, glass, stop)?, Paper::Untested));
    }
    Ok((RootSecret::generate().map_err(ToolError::failed)?, Paper::Nothing))
}

/// A key file never comes beside an enrolment of another key, which it would hide.
///
/// # Errors
/// Where there is one.
pub(in crate::tool) fn may_stand_beside(file: &Path, address: &str) -> Result<(), ToolError> {
    same_key(&Place::beside(file)?, address, false)
}

/// An enrolment never takes the place of one of another key. Whoever has typed the words may mend
/// one that cannot be read any more, or for which this board does not vouch.
fn same_key(place: &Place, address: &str, words: bool) -> Result<(), ToolError> {
    let about = if words {
        place.vouched().ok().flatten().map(|(about, _)| about)
    } else {
        place.about()?
    };
    match about {
        Some(about) if about.address != address => Err(ToolError::failed(format!(
            "this is the key of {address}, and here that of {} is enrolled: `goodwatt key revoke` \
            first, if you have its 24 words",
            about.address
        ))),
        _ => Ok(()),
    }
}

/// Five placements, and one more that opens what was made of them.
fn place_finger(glass: &mut Glass<'_>) -> Result<Enrolled, ToolError> {
    let mut random = System::default();
    let mut enrolment = Enrolment::default();
    note(&format!(
        "{PLACEMENTS} placements of one finger follow: each a little different, all with the \
        middle of the fingertip on the glass. Cold and dry fingers do better after a breath on them."
    ));
    let mut exchanged = 0;
    let mut enrolled = loop {
        while enrolment.count() < PLACEMENTS {
            let step = format!("Placement {} of {PLACEMENTS}", enrolment.count() + 1);
            if !enrolment.add(glass.placement(&step)?) {
                return Err(ToolError::failed(ReplayError::Replayed));
            }
        }
        note("Comparing with the fingers of 1,000 others ...");
        match enrolment.finish(&mut random) {
            Ok(enrolled) => break enrolled,
            Err(refusal) if exchanged == EXCHANGED => {
                return Err(ToolError::failed(format!(
                    "{refusal}: take another finger, thumbs are good; or do without: `goodwatt key \
                    enroll --no-finger`"
                )));
            }
            Err(refusal) => {
                note(&format!("Not yet: {refusal}. One placement is exchanged."));
                enrolment.drop_worst();
                exchanged += 1;
            }
        }
    };
    for trial in 1..=TRIALS {
        let print = glass.placement("Once more, to see that it opens")?;
        if enrolled.prints.iter().any(|enrolled| same_image(enrolled, &print)) {
            return Err(ToolError::failed(ReplayError::Replayed));
        }
        if enrolled.opens(&print, &mut random) {
            random.check().map_err(ToolError::failed)?;
            note("It opens.");
            enrolled.prints.push(print);
            return Ok(enrolled);
        }
        if trial < TRIALS {
            note("It did not open.");
        }
    }
    Err(ToolError::failed(
        "the finger did not open what was made of it three times, and would lock you out: begin \
        again with another finger, or do without: `goodwatt key enroll --no-finger`",
    ))
}

/// Nothing is enrolled whose words are not on paper.
fn backup(root: &RootSecret, paper: Paper) -> Result<(), ToolError> {
    let words = Words::of(root);
    match paper {
        Paper::Tested => return Ok(()),
        Paper::Nothing => {
            note(
                "Write these 24 words on paper. They are the key: they open everything without \
                finger, PIN and board, and nothing else does when one of those is lost.",
            );
            show(&words)?;
            ask("Press Enter when all 24 are on paper. ")?;
            note("Now four of them, from the paper:");
        }
        Paper::Untested => {
            note("Take the paper with the 24 words of this key; four of them are asked for.");
            note("(No paper? Type `show` to see all 24, and write them down.)");
        }
    }
    confirm(&words)
}

/// Beside an enrolment a key file is a second door.
fn remove_key_file(place: &Place) -> Result<bool, ToolError> {
    let path = place.key_file.display();
    if !place.key_file.exists() {
        return Ok(false);
    }
    note(&format!("The key file {path} still opens this key, and is what `goodwatt` takes first."));
    if !agrees("Remove it, so that only finger, PIN and board (or the 24 words) open the key?") {
        return Ok(false);
    }
    durable::destroy(&place.key_file)
        .map_err(|error| ToolError::failed(format!("{path}: {error}")))?;
    Ok(true)
}
