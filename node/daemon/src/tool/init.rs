//! `goodwatt init` and `goodwatt genesis new`: everything a validator needs, in one folder.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::{Epoch, UnixMillis};
use goodwatt_units::Millis;
use serde_json::json;

use super::args::Init;
use super::context::{CONFIG_FILE, Context, read_genesis};
use super::error::ToolError;
use super::key;
use super::output::note;
use crate::development;
use crate::keystore::RootSecret;
use crate::signers::Signers;
use crate::validator::Clock;
use crate::words::Words;

/// Epochs of a development chain that lives for a while: its one validator reveals a link of its
/// hash chain in each, and 16,384 of them last nearly two years.
const EPOCH_LENGTH: Millis = Millis::from_secs(3_600);

const CONFIG: &str = "\
# Made by goodwatt init. Every key and its default: docs/examples/goodwatt.toml.
# Paths that are not absolute count from the data folder, and that from this file.

[node]
data_dir = \"data\"

[chain]
genesis = \"../genesis.toml\"

[validator]
enabled = true
key_file = \"../owner.key\"

[api]
socket = \"../goodwatt.sock\"
";

fn failed(path: &Path) -> impl Fn(std::io::Error) -> ToolError {
    move |error| ToolError::failed(format!("{}: {error}", path.display()))
}

/// Writes a file that must not exist yet.
fn create(path: &Path, text: &str) -> Result<(), ToolError> {
    let mut file = fs::File::create_new(path).map_err(failed(path))?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed(path))?;
    file.sync_all().map_err(failed(path))
}

/// `goodwatt init`.
pub(super) fn run(context: &Context, init: &Init) -> Result<(), ToolError> {
    let folder = &init.folder;
    let given = init.genesis.as_deref().map(read_genesis).transpose()?;
    let config = folder.join(CONFIG_FILE);
    if config.exists() {
        let message = format!("{} is there already: nothing was changed", config.display());
        return Err(ToolError::failed(message));
    }
    let time = founding_time()?;
    // The configuration's paths count from the data folder, so that has to be there first.
    fs::create_dir_all(folder.join("data")).map_err(failed(folder))?;
    let root = RootSecret::generate().map_err(ToolError::failed)?;
    let words: Vec<&str> = Words::of(&root).iter().collect();
    let address = key::create(context, &folder.join("owner.key"), root, init.unprotected)?;
    let owner: PublicKey = address.parse().map_err(ToolError::failed)?;
    let genesis = match given {
        Some(genesis) => genesis,
        None => found_chain(&folder.join("data"), "development", time, owner)?,
    };
    create(&folder.join("genesis.toml"), &genesis.to_toml())?;
    create(&config, CONFIG)?;
    let summary = json!({
        "folder": folder.display().to_string(),
        "address": address,
        "chain_id": genesis.chain_id().to_string(),
    });
    if !context.output.json {
        note("Write these 24 words down; they are the owner's key, and shown only here:");
        words.chunks(6).for_each(|row| note(&format!("  {}", row.join(" "))));
    }
    let text = |page: &mut String| {
        writeln!(page, "owner    {address}")?;
        writeln!(page, "chain    {}", genesis.chain_id())?;
        writeln!(page, "start    goodwattd --config {}", config.display())
    };
    Ok(context.output.print(&summary, text)?)
}

/// Now, as the time of a genesis: nothing can mend it later.
fn founding_time() -> Result<UnixMillis, ToolError> {
    Clock::now_after_build().map_err(ToolError::failed)
}

/// Makes a founding slot key in the data folder, and a development chain for it.
fn found_chain(
    data: &Path,
    name: &str,
    time: UnixMillis,
    owner: PublicKey,
) -> Result<Genesis, ToolError> {
    let mut signers = Signers::open(&data.join("signers")).map_err(ToolError::failed)?;
    let signer = signers.create(Epoch::ZERO).map_err(ToolError::failed)?;
    Ok(development::genesis(name, time, EPOCH_LENGTH, owner, signer, &[]))
}

/// `goodwatt genesis new`: a development chain of the owner's key, with a fresh founding slot key
/// in the configured data folder.
pub(super) fn new_genesis(context: &Context, file: &Path, name: &str) -> Result<(), ToolError> {
    if file.exists() {
        let message = format!("{} is there already: nothing was changed", file.display());
        return Err(ToolError::failed(message));
    }
    let owner = context.address_or_own(None)?;
    let time = founding_time()?;
    let genesis = found_chain(&context.config()?.node.data_dir, name, time, owner)?;
    create(file, &genesis.to_toml())?;
    super::files::check_genesis(context, file)
}
