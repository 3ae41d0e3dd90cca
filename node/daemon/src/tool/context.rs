//! What every command starts from: the configuration, the owner's key, the daemon.

use std::path::{Path, PathBuf};

use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::signature::{PublicKey, SigningKey};

use super::args::Common;
use super::error::ToolError;
use super::output::Output;
use crate::client::Client;
use crate::config::{Config, Loaded};
use crate::keystore::{KeyFile, Passphrase, PassphraseSource, Secret, Seed};

/// The configuration's name in a validator's folder.
pub(super) const CONFIG_FILE: &str = "goodwatt.toml";
/// Where a package puts it.
const SYSTEM_FOLDER: &str = "/etc/goodwatt";

/// Index of the account that is used: the first below the root.
const ACCOUNT: u32 = 0;

/// The command line's common options, and what follows from them.
#[derive(Debug)]
pub(super) struct Context {
    common: Common,
    /// Where results go.
    pub(super) output: Output,
}

impl Context {
    /// From the command line.
    #[must_use]
    pub(super) const fn new(common: Common) -> Self {
        Self { output: Output { json: common.json }, common }
    }

    /// The configuration file in use.
    #[must_use]
    pub(super) fn config_path(&self) -> PathBuf {
        match &self.common.dir {
            Some(folder) => folder.join(CONFIG_FILE),
            None if Path::new(CONFIG_FILE).exists() => PathBuf::from(CONFIG_FILE),
            None => Path::new(SYSTEM_FOLDER).join(CONFIG_FILE),
        }
    }

    /// The configuration in use, with paths made whole.
    ///
    /// # Errors
    /// When it is missing or wrong; each fault stands on a line of its own.
    pub(super) fn config(&self) -> Result<Config, ToolError> {
        let Loaded { config, .. } = Config::load(&self.config_path()).map_err(ToolError::failed)?;
        Ok(config)
    }

    /// The genesis of the configured chain.
    ///
    /// # Errors
    /// When the file is missing or wrong.
    pub(super) fn genesis(&self) -> Result<Genesis, ToolError> {
        read_genesis(&self.config()?.chain.genesis)
    }

    /// Connects to the daemon.
    ///
    /// # Errors
    /// When no daemon listens.
    pub(super) fn connect(&self) -> Result<Client, ToolError> {
        Ok(Client::connect(&self.socket()?)?)
    }

    /// The daemon's control socket.
    ///
    /// # Errors
    /// When the configuration is missing or wrong.
    pub(super) fn socket(&self) -> Result<PathBuf, ToolError> {
        match &self.common.socket {
            Some(socket) => Ok(socket.clone()),
            None => Ok(self.config()?.api.socket),
        }
    }

    /// The owner's key, opened.
    ///
    /// # Errors
    /// When the file is missing or damaged, or the passphrase is wrong.
    pub(super) fn owner_key(&self) -> Result<SigningKey, ToolError> {
        #[cfg(feature = "finger")]
        if let Some(key) = super::finger::owner_key(self)? {
            return Ok(key);
        }
        self.signing_key(&self.config()?.validator.key_file)
    }

    /// The key in a file: of a root, that of its first account.
    ///
    /// # Errors
    /// As [`Context::owner_key`].
    pub(super) fn signing_key(&self, path: &Path) -> Result<SigningKey, ToolError> {
        Ok(SigningKey::from_seed(self.owner_seed(path)?.as_bytes()))
    }

    /// The seed of the key in a file: of a root, that of its first account.
    ///
    /// # Errors
    /// As [`Context::owner_key`].
    pub(super) fn owner_seed(&self, path: &Path) -> Result<Seed, ToolError> {
        let file = KeyFile::load(path).map_err(ToolError::failed)?;
        let passphrase = if file.is_protected() { Some(self.passphrase()?) } else { None };
        let secret = file.open(passphrase.as_ref()).map_err(ToolError::failed)?;
        Ok(match secret {
            Secret::Root(root) => account_seed(&root),
            Secret::Signer(seed) => seed,
        })
    }

    /// The passphrase of a key that exists.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn passphrase(&self) -> Result<Passphrase, ToolError> {
        self.passphrase_source().read().map_err(ToolError::failed)
    }

    /// What opens a key that is enrolled; a person is asked this question.
    ///
    /// # Errors
    /// When it cannot be read.
    #[cfg(feature = "finger")]
    pub(super) fn passphrase_as(&self, question: &str) -> Result<Passphrase, ToolError> {
        self.passphrase_source().read_as(question).map_err(ToolError::failed)
    }

    /// A passphrase for a new key, asked for twice.
    ///
    /// # Errors
    /// When it cannot be read, or the two differ.
    pub(super) fn new_passphrase(&self) -> Result<Passphrase, ToolError> {
        self.passphrase_source().read_new().map_err(ToolError::failed)
    }

    fn passphrase_source(&self) -> PassphraseSource {
        PassphraseSource::choose(self.common.passphrase_file.clone())
    }

    /// The address given, or the owner's, which needs no passphrase.
    ///
    /// # Errors
    /// When the key file is missing or damaged.
    pub(super) fn address_or_own(
        &self,
        address: Option<PublicKey>,
    ) -> Result<PublicKey, ToolError> {
        if let Some(address) = address {
            return Ok(address);
        }
        #[cfg(feature = "finger")]
        if let Some(address) = super::finger::address(self)? {
            return address.parse().map_err(ToolError::failed);
        }
        let file = KeyFile::load(&self.config()?.validator.key_file).map_err(ToolError::failed)?;
        file.public().parse().map_err(ToolError::failed)
    }
}

/// The key of the first account below a root.
pub(super) fn account_key(root: &crate::keystore::RootSecret) -> SigningKey {
    SigningKey::from_seed(account_seed(root).as_bytes())
}

/// The seed of the first account below a root.
pub(super) fn account_seed(root: &crate::keystore::RootSecret) -> Seed {
    root.account_seed(ACCOUNT)
}

/// Reads and checks a genesis file.
///
/// # Errors
/// When it is missing or wrong.
pub(crate) fn read_genesis(path: &Path) -> Result<Genesis, ToolError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| ToolError::failed(format!("{name}: {error}")))?;
    Genesis::from_toml(&text, &name).map_err(ToolError::failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keystore::RootSecret;

    #[test]
    fn accounts_are_those_of_the_documentation() {
        let text = include_str!("../../../../docs/owner-key.md");
        let rows = text.lines().filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let byte = u8::from_str_radix(cells.get(1)?, 16).ok()?;
            Some((byte, (*cells.get(3)?).to_owned()))
        });
        let rows: Vec<(u8, String)> = rows.collect();
        assert_eq!(rows.len(), 4, "{rows:?}");
        for (byte, address) in rows {
            let root = RootSecret::from_bytes(&[byte; 32]);
            assert_eq!(account_key(&root).public().to_string(), address, "{byte:02x}");
        }
    }
}
