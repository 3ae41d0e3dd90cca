//! The signing guard: taken along to another board, never lowered.

use std::path::Path;

use goodwatt_store::{DataDirLock, Folder, SigningGuard};
use serde_json::json;

use super::context::Context;
use super::error::ToolError;
use super::output::line;
use crate::protocol::{Call, GuardText};

/// `goodwatt guard export`.
pub(super) fn export(context: &Context) -> Result<(), ToolError> {
    let text: GuardText = context.connect()?.call(Call::GuardExport)?;
    if context.output.json {
        return Ok(context.output.print(&text, |_| Ok(()))?);
    }
    Ok(line(text.guard.trim_end())?)
}

/// `goodwatt guard import`: the daemon must not run, as it holds the guard open.
pub(super) fn import(context: &Context, file: &Path) -> Result<(), ToolError> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| ToolError::failed(format!("{}: {error}", file.display())))?;
    let data = context.config()?.node.data_dir;
    let chain = context.genesis()?.chain_id();
    let _lock = DataDirLock::take(&data).map_err(ToolError::failed)?;
    let folder = Folder::at(&data).map_err(ToolError::failed)?;
    let raised = SigningGuard::import(&folder, chain, &text).map_err(ToolError::failed)?;
    let summary = json!({ "raised": raised });
    Ok(context.output.print(&summary, |page| {
        page.push_str(if raised {
            "the guard was raised\n"
        } else {
            "the guard stands higher already: nothing was changed\n"
        });
        Ok(())
    })?)
}
