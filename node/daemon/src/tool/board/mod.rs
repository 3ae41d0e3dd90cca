//! `goodwatt board`: what the SD-card image does beside the daemon. Its owner speaks to it by one
//! file on the card's first partition, and it answers by another one beside it.

mod apply;
mod config;
mod files;
mod finger;
mod report;
mod setup;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::args::BoardCommand;
use super::context::Context;
use super::error::ToolError;
use config::BoardConfig;

/// The owner's file on the card's first partition.
pub(super) const CARD_FILE: &str = "goodwatt.toml";

/// Where things are on the board; other places in tests.
#[derive(Clone, Debug)]
struct Places {
    /// The card's first partition.
    boot: PathBuf,
    /// The partition that keeps what changes.
    data: PathBuf,
    /// What `/run`, `/etc`, `/sys` and `/proc` lie in.
    root: PathBuf,
}

impl Places {
    fn given(boot: PathBuf, data: PathBuf) -> Self {
        Self { boot, data, root: "/".into() }
    }

    fn run(&self, name: &str) -> PathBuf {
        self.root.join("run/goodwatt-board").join(name)
    }
}

/// `goodwatt board`.
pub(super) fn run(context: &Context, command: BoardCommand) -> Result<(), ToolError> {
    match command {
        BoardCommand::Check { file } => check(context, &file),
        BoardCommand::Setup { boot, data } => setup::run(&Places::given(boot, data)),
        BoardCommand::Report { boot, data } => report::run(context, &Places::given(boot, data)),
    }
}

/// `goodwatt board check`: on a laptop, before the card goes into the board.
fn check(context: &Context, file: &Path) -> Result<(), ToolError> {
    let name = file.display().to_string();
    let text = files::read(file).map_err(|error| ToolError::failed(format!("{name}: {error}")))?;
    let board = BoardConfig::parse(&text, &name).map_err(ToolError::failed)?;
    let summary = serde_json::json!({ "file": name, "good": true, "name": board.name.0.0 });
    Ok(context.output.print(&summary, |page| {
        page.push_str(&format!("{name}: good, for a board called {}\n", board.name.0));
        Ok(())
    })?)
}
