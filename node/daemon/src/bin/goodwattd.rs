//! The daemon.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    goodwatt::service::run(&goodwatt::service::Daemon::parse())
}
