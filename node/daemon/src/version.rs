//! What this build is, and where its source is.

/// The package's version.
pub const SHORT: &str = env!("CARGO_PKG_VERSION");

/// Version, commit and source, for `--version`.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit ",
    env!("GOODWATT_COMMIT"),
    "\nsource ",
    env!("CARGO_PKG_REPOSITORY")
);
