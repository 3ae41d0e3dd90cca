//! What a light peer keeps between two calls: the last header it verified, in a small file.

use std::env;
use std::path::{Path, PathBuf};

use goodwatt_chain::hash::ChainId;
use goodwatt_chain::light::LightPeer;
use goodwatt_store::{AtomicFile, Folder};

use crate::hex;
use crate::tool::output::note;

/// The folder below where the system keeps a user's data.
const FOLDER: &str = "goodwatt/light";

/// The file of one chain. Whatever is wrong with it, a light peer begins anew.
#[derive(Debug)]
pub(super) struct Kept {
    file: Option<AtomicFile>,
    chain: ChainId,
}

impl Kept {
    /// Finds the user's file for a chain; nothing is kept where there is no place for it.
    pub(super) fn find(chain: ChainId) -> Self {
        let file = match data_home().map(|home| Folder::at(&home.join(FOLDER))) {
            Some(Ok(folder)) => Some(AtomicFile::new(folder, &hex::encode(chain.as_bytes()))),
            Some(Err(error)) => {
                note(&format!("goodwatt: nothing is kept for the next call: {error}"));
                None
            }
            None => None,
        };
        Self { file, chain }
    }

    /// What was kept, if it is sound.
    pub(super) fn read(&self) -> Option<LightPeer> {
        let damaged = |error: &dyn std::fmt::Display| {
            note(&format!("goodwatt: what was kept of this chain is not used: {error}"));
        };
        let content = match self.file.as_ref()?.read() {
            Ok(content) => content?,
            Err(error) => {
                damaged(&error);
                return None;
            }
        };
        LightPeer::decode(&self.chain, &content).map_err(|error| damaged(&error)).ok()
    }

    /// Keeps it for the next call.
    pub(super) fn write(&self, light: &LightPeer) {
        if let Some(Err(error)) = self.file.as_ref().map(|file| file.write(&light.encode())) {
            note(&format!("goodwatt: nothing is kept for the next call: {error}"));
        }
    }
}

/// `$XDG_DATA_HOME`, or `~/.local/share`, as the XDG Base Directory Specification has it.
fn data_home() -> Option<PathBuf> {
    let whole = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    whole("XDG_DATA_HOME").or_else(|| Some(whole("HOME")?.join(Path::new(".local/share"))))
}
