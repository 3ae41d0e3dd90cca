//! Folders that go away.

use std::path::{Path, PathBuf};

use super::error::ToolError;
use super::output::note;

/// A folder that is removed when it is dropped.
#[derive(Debug)]
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    /// Makes the folder, with those above it.
    pub(super) fn make(path: &Path) -> Result<Self, ToolError> {
        std::fs::create_dir_all(path)
            .map_err(|error| ToolError::failed(format!("{}: {error}", path.display())))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            note(&format!("{}: {error}", self.0.display()));
        }
    }
}
