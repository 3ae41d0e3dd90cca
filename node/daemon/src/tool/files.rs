//! Commands that check files: configuration and genesis.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::context::{Context, read_genesis};
use super::error::ToolError;
use crate::config::{Config, Loaded};

fn load(context: &Context, file: Option<PathBuf>) -> Result<(PathBuf, Loaded), ToolError> {
    let path = file.unwrap_or_else(|| context.config_path());
    let loaded = Config::load(&path).map_err(ToolError::failed)?;
    Ok((path, loaded))
}

/// `goodwatt config check`.
pub(super) fn check_config(context: &Context, file: Option<PathBuf>) -> Result<(), ToolError> {
    let (path, _) = load(context, file)?;
    let name = path.display().to_string();
    let text = |page: &mut String| writeln!(page, "{name}: good");
    Ok(context.output.print(&json!({ "file": name, "good": true }), text)?)
}

/// `goodwatt config show`.
pub(super) fn show_config(context: &Context, file: Option<PathBuf>) -> Result<(), ToolError> {
    let (_, Loaded { settings, .. }) = load(context, file)?;
    Ok(context.output.print(&settings.to_json(), |page| write!(page, "{settings}"))?)
}

/// `goodwatt genesis check`.
pub(super) fn check_genesis(context: &Context, file: &Path) -> Result<(), ToolError> {
    let genesis = read_genesis(file)?;
    let id = genesis.chain_id().to_string();
    let summary = json!({
        "file": file.display().to_string(),
        "name": genesis.name.as_str(),
        "chain_id": id,
        "founders": genesis.founders.len(),
        "accounts": genesis.balances.len(),
        "eco": genesis.eco.sentence.as_str(),
    });
    let text = |page: &mut String| {
        writeln!(page, "{}: good", file.display())?;
        writeln!(page, "chain  {} ({})", id, genesis.name)?;
        let (founders, accounts) = (genesis.founders.len(), genesis.balances.len());
        writeln!(page, "holds  {founders} founding validators, {accounts} accounts")?;
        writeln!(page, "eco    {}", genesis.eco.sentence)?;
        writeln!(page, "       measured by: {}", genesis.eco.measure)
    };
    Ok(context.output.print(&summary, text)?)
}
