//! `goodwatt sync`: waits until the daemon has caught up, with a bar on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::context::Context;
use super::error::ToolError;
use super::show::print_status;
use crate::protocol::{Call, Status};

/// How often the daemon is asked.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Waits until nobody has more, then shows the status.
pub(super) fn run(context: &Context) -> Result<(), ToolError> {
    let mut client = context.connect()?;
    // Drawn to standard error, and hidden by itself where that is no terminal.
    let bar = if context.output.json { ProgressBar::hidden() } else { ProgressBar::new(0) };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} blocks, {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    loop {
        let status: Status = client.call(Call::Status)?;
        let Some(sync) = &status.catching_up else {
            bar.finish_and_clear();
            return print_status(context, &status);
        };
        bar.set_length(sync.target.saturating_sub(sync.from));
        bar.set_position(status.height.saturating_sub(sync.from));
        bar.set_message(
            sync.seconds_left.map_or_else(String::new, |left| format!("{left} s left")),
        );
        std::thread::sleep(LOOK_EVERY);
    }
}
