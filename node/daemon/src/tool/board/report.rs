//! The answer to the owner: a text on the card's first partition, and the light on the board.
//!
//! The card is written only when something else is wrong than before.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use super::setup::Troubles;
use super::{Places, files};
use crate::tool::context::Context;
use crate::tool::doctor::{self, Findings, Machine, Verdict};
use crate::tool::error::ToolError;
use crate::tool::output::note;

/// The file beside the owner's.
const REPORT_FILE: &str = "goodwatt-report.txt";
/// Names of the light on the boards that have one.
const LIGHTS: [&str; 4] = ["ACT", "led0", "green:act", "PWR"];

/// What the light says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Light {
    /// All is well: dark, which draws least.
    Dark,
    /// The owner's file is wrong: five flashes a second.
    Fast,
    /// Something else is wrong: one flash a second.
    Slow,
}

/// What stands in the report after the setup alone: the daemon has not started yet.
pub(super) fn write_setup(places: &Places, troubles: &Troubles) {
    if troubles.is_empty() {
        // The report of the last start may have said more; the next look tells.
        return light(places, Light::Dark);
    }
    light(places, Light::Fast);
    write(places, &text(troubles, None));
}

/// `goodwatt board report`: a while after the start, and then now and then.
pub(super) fn run(context: &Context, places: &Places) -> Result<(), ToolError> {
    let kept = fs::read_to_string(places.run("troubles")).unwrap_or_default();
    let troubles: Troubles = kept.lines().map(str::to_owned).collect();
    let findings = doctor::examine(context, &Machine::this());
    let wrong = findings.count(Verdict::Wrong);
    light(
        places,
        match (troubles.is_empty(), wrong) {
            (true, 0) => Light::Dark,
            (false, _) => Light::Fast,
            (true, _) => Light::Slow,
        },
    );
    let summary = summary(&troubles, &findings);
    // Once in each start at least: what stood there before it may be of anybody.
    let last = places.run("last-report");
    let is_news = fs::read_to_string(&last).map_or(true, |last| last != summary);
    if is_news || !places.boot.join(REPORT_FILE).exists() {
        write(places, &text(&troubles, Some(&findings)));
        if let Err(error) = files::put(&last, &summary, 0o644) {
            note(&format!("<4>{}: {error}", last.display()));
        }
    }
    context.output.print(&findings, |page| {
        page.push_str(&text(&troubles, Some(&findings)));
        Ok(())
    })?;
    Ok(())
}

/// What makes two reports differ: not the figures, which change all the time.
fn summary(troubles: &Troubles, findings: &Findings) -> String {
    let mut text = troubles.join("\n");
    for finding in findings.iter() {
        text.push_str(&format!("\n{} {}", finding.check, finding.verdict.word()));
    }
    text
}

fn text(troubles: &Troubles, findings: Option<&Findings>) -> String {
    let wrong = troubles.len() + findings.map_or(0, |all| all.count(Verdict::Wrong));
    let mut page = match wrong {
        0 => "Goodwatt: all is well.\n".to_owned(),
        _ => "Goodwatt: something is WRONG. Mend what is named, then start the board again.\n"
            .to_owned(),
    };
    if !troubles.is_empty() {
        page.push_str("\nWhat this card says (goodwatt.toml, genesis.toml):\n");
        troubles.iter().for_each(|trouble| page.push_str(&format!("WRONG    {trouble}\n")));
    }
    if let Some(findings) = findings {
        writeln!(page, "\nWhat goodwatt doctor found on {}:", crate::version::SHORT)
            .and_then(|()| doctor::text(&mut page, findings))
            .expect("a string takes everything");
    }
    // Windows' own editor reads both, but older ones need it.
    page.replace('\n', "\r\n")
}

fn write(places: &Places, text: &str) {
    if let Err(error) = files::put_on_boot(&places.boot, REPORT_FILE, text) {
        note(&format!("<3>the report could not be written to the card: {error}"));
    }
}

/// Sets the light; a board without one says nothing.
pub(super) fn light(places: &Places, light: Light) {
    let lights = places.root.join("sys/class/leds");
    for folder in LIGHTS.iter().map(|name| lights.join(name)).filter(|folder| folder.exists()) {
        if let Err(error) = set(&folder, light) {
            note(&format!("<4>{}: {error}", folder.display()));
        }
    }
}

fn set(folder: &Path, light: Light) -> io::Result<()> {
    let (on, off) = match light {
        Light::Dark => {
            fs::write(folder.join("trigger"), "none")?;
            return fs::write(folder.join("brightness"), "0");
        }
        Light::Fast => ("100", "100"),
        Light::Slow => ("100", "900"),
    };
    fs::write(folder.join("trigger"), "timer")?;
    fs::write(folder.join("delay_on"), on)?;
    fs::write(folder.join("delay_off"), off)
}
