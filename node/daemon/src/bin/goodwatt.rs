//! The tool.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    goodwatt::tool::run(goodwatt::tool::args::Tool::parse())
}
