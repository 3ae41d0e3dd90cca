//! `goodwatt power record`: a figure a second into a file.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::LOOK_EVERY;
use super::look::Looks;
use super::trace::{HEAD, Point};
use crate::tool::context::Context;
use crate::tool::error::ToolError;
use crate::tool::note;

/// Records until it is broken off, or for so many seconds. Each line is written when it is known: what
/// was recorded stays, whatever ends this.
pub(super) fn run(context: &Context, path: &Path, seconds: Option<u64>) -> Result<(), ToolError> {
    let name = path.display().to_string();
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            ToolError::failed(format!("{name} is there already: name another file"))
        }
        _ => ToolError::failed(format!("{name}: {error}")),
    };
    let mut looks = Looks::open(context)?;
    let mut file = File::create_new(path).map_err(failed)?;
    writeln!(file, "{HEAD}").map_err(failed)?;
    note(&format!("recording into {name}, a figure a second; Ctrl-C ends it"));
    let (began, mut figures) = (Instant::now(), 0_u64);
    while seconds.is_none_or(|seconds| figures <= seconds) {
        let point = Point::of(began.elapsed().as_secs_f64(), &looks.look()?);
        writeln!(file, "{point}").map_err(failed)?;
        figures += 1;
        let next = LOOK_EVERY * u32::try_from(figures).unwrap_or(u32::MAX);
        thread::sleep(next.saturating_sub(began.elapsed()).min(Duration::from_secs(2)));
    }
    let text = |page: &mut String| {
        std::fmt::Write::write_fmt(page, format_args!("{name}: {figures} figures\n"))
    };
    Ok(context.output.print(&json!({ "file": name, "figures": figures }), text)?)
}
