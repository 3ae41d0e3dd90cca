//! Notes the commit this is built from, and its time.

use std::process::Command;

/// Stands in where there is neither a checkout nor `SOURCE_DATE_EPOCH`: 2026-11-01.
const BUILD_TIME: &str = "1793491200";

fn main() {
    for path in ["../../.git/HEAD", "../../.git/refs/heads"] {
        if std::path::Path::new(path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    note("GOODWATT_COMMIT", "GOODWATT_COMMIT", &["rev-parse", "--short=12", "HEAD"], "unknown");
    note("GOODWATT_BUILD_TIME", "SOURCE_DATE_EPOCH", &["log", "-1", "--format=%ct"], BUILD_TIME);
}

/// Passes a fact on: from the environment, else from git, else the fallback.
fn note(name: &str, given: &str, git_arguments: &[&str], fallback: &str) {
    println!("cargo::rerun-if-env-changed={given}");
    let value = std::env::var(given).ok().or_else(|| git(git_arguments));
    println!("cargo::rustc-env={name}={}", value.as_deref().unwrap_or(fallback));
}

/// What git says, or `None` outside of a checkout.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
