//! What can be wrong with a config file.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::LARGEST_FILE;

/// Why there is no config.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file system refused.
    #[error("cannot read the config file {path}: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Longer than any config.
    #[error("{path} has more than {LARGEST_FILE} bytes: check which file is named",
        path = path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// There are mistakes in it.
    #[error(transparent)]
    Invalid(#[from] ConfigErrors),
}

/// All mistakes in one config file, in their order; never empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigErrors(pub(super) Vec<ConfigError>);

impl ConfigErrors {
    /// Each mistake.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            write!(f, "{gap}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// One mistake, on one line: `goodwatt.toml:12:1: unknown key ...`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{file}:{at}: {problem}")]
pub struct ConfigError {
    /// What the file is called.
    pub file: String,
    /// Where in it.
    pub at: Position,
    /// What is wrong there.
    pub problem: Problem,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Position {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What is wrong at one place.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Not TOML.
    #[error("{reason}")]
    Syntax {
        /// What the parser says.
        reason: String,
    },
    /// A section that does not exist.
    #[error("unknown section [{section}]{}", did_you_mean(nearest.map(|name| format!("[{name}]"))))]
    UnknownSection {
        /// Its name.
        section: String,
        /// The known one nearest to it.
        nearest: Option<&'static str>,
    },
    /// A section's name in front of a value.
    #[error("[{section}] is a section: write `[{section}]` on a line of its own, not {found}")]
    NotASection {
        /// Its name.
        section: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// A key that does not exist.
    #[error("unknown key `{key}` in [{section}]{}",
        did_you_mean(nearest.map(|name| format!("`{name}`"))))]
    UnknownKey {
        /// In which section.
        section: &'static str,
        /// Its name.
        key: String,
        /// The known one nearest to it.
        nearest: Option<&'static str>,
    },
    /// A key that exists, but in another section, or one before the first section.
    #[error("`{key}` belongs under [{section}]: move it there")]
    Misplaced {
        /// Where it belongs.
        section: &'static str,
        /// Its name.
        key: String,
    },
    /// A key of no section, before the first one.
    #[error("`{key}` stands outside of any section and no section knows it: remove it")]
    Stray {
        /// Its name.
        key: String,
    },
    /// Text where a number should be, and the like.
    #[error("`{key}` in [{section}] is {found} and has to be {wanted}")]
    WrongType {
        /// In which section.
        section: &'static str,
        /// Its name.
        key: &'static str,
        /// What to write.
        wanted: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// The right type, but not such a value.
    #[error("`{key}` in [{section}]: {reason}")]
    Invalid {
        /// In which section.
        section: &'static str,
        /// Its name.
        key: &'static str,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// Too small or too large.
    #[error("`{key}` in [{section}] is {found} and has to be from {min} to {max}")]
    OutOfRange {
        /// In which section.
        section: &'static str,
        /// Its name.
        key: &'static str,
        /// What stands there.
        found: String,
        /// The least allowed.
        min: String,
        /// The most allowed.
        max: String,
    },
    /// More entries than allowed.
    #[error("`{key}` in [{section}] has {found} entries and may have {max}: remove some")]
    TooMany {
        /// In which section.
        section: &'static str,
        /// Its name.
        key: &'static str,
        /// How many there are.
        found: usize,
        /// The most allowed.
        max: usize,
    },
    /// Nodes to call, and a number of calls that calls none.
    #[error(
        "`peers` in [network] names nodes to call, and with `outbound` 0 none is called: \
        raise it, or remove `peers`"
    )]
    NobodyIsCalled,
    /// A daemon that would serve nobody.
    #[error(
        "a daemon keeps the whole ledger: write \"main\", or leave it out; a light peer needs no \
        daemon: `goodwatt --light --connect ADDR balance`"
    )]
    LightDaemon,
    /// Something that this build, or this version, does not do.
    #[cfg(not(feature = "finger"))]
    #[error("this version does not do that yet: leave it out, or set it to its default")]
    NotYet,
    /// A slot that may never be bought.
    #[cfg(feature = "finger")]
    #[error("a slot costs more than `spending_cap_per_epoch` allows: raise it, or pay less")]
    AboveCap,
}

/// The end of a message: what was probably meant.
fn did_you_mean(name: Option<String>) -> String {
    name.map_or_else(|| ": remove it".to_owned(), |name| format!("; did you mean {name}?"))
}
