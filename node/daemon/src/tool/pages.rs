//! Man pages and shell completions, made from the one command line.

use std::path::Path;

use clap::CommandFactory;

use super::args::Tool;
use super::error::ToolError;

/// `goodwatt man`: a page for the tool, each of its commands, and the daemon.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_man_pages(folder: &Path) -> Result<(), ToolError> {
    let failed = |error| ToolError::failed(format!("{}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Tool::command(), folder).map_err(failed)?;
    clap_mangen::generate_to(crate::service::Daemon::command(), folder).map_err(failed)
}

/// `goodwatt completions`.
pub(super) fn completions(shell: clap_complete::Shell) -> Result<(), ToolError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Tool::command(), "goodwatt", &mut script);
    let script = String::from_utf8(script).map_err(ToolError::failed)?;
    Ok(super::output::line(script.trim_end())?)
}
