//! The keyboard while something runs: `q`, Ctrl-C, or a termination signal ends it.

use std::io::{IsTerminal, Read};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for the wish to stop. The terminal is as it was when this is dropped.
#[derive(Debug)]
pub(super) struct Keyboard {
    before: Option<Termios>,
    quit: Receiver<()>,
    next: Instant,
}

impl Keyboard {
    /// Listens for signals, and for `q` where standard input is a terminal.
    pub(super) fn open() -> Self {
        let (sender, quit) = mpsc::channel();
        let signals = sender.clone();
        match Signals::catch() {
            Ok(mut caught) => drop(std::thread::spawn(move || {
                caught.wait();
                // Whoever listened may be gone already, and then wants nothing more.
                signals.send(()).unwrap_or_default();
            })),
            Err(error) => tracing::warn!("signals are not caught: {error}"),
        }
        let before = raw_terminal();
        if before.is_some() {
            std::thread::spawn(move || {
                let quits = |byte: &Result<u8, std::io::Error>| matches!(byte, Ok(b'q' | b'Q'));
                if std::io::stdin().lock().bytes().any(|byte| quits(&byte)) {
                    sender.send(()).unwrap_or_default();
                }
            });
        }
        Self { before, quit, next: Instant::now() }
    }

    /// Whether `q` is heard, and not only signals.
    pub(super) const fn listens(&self) -> bool {
        self.before.is_some()
    }

    /// Waits until `period` after the last return, whatever was done in between; true if the
    /// person wants to stop.
    pub(super) fn wait_for_quit(&mut self, period: Duration) -> bool {
        self.next = (self.next + period).max(Instant::now());
        let wait = self.next.saturating_duration_since(Instant::now());
        match self.quit.recv_timeout(wait) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(wait);
                false
            }
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        if let Some(before) = &self.before
            && let Err(error) = tcsetattr(std::io::stdin(), OptionalActions::Now, before)
        {
            tracing::warn!("the terminal could not be set back: {error}");
        }
    }
}

/// Lets single keys through without echo; gives the former setting, or `None` without a terminal.
fn raw_terminal() -> Option<Termios> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return None;
    }
    let before = tcgetattr(&stdin).ok()?;
    let mut raw = before.clone();
    raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    raw.special_codes[SpecialCodeIndex::VMIN] = 1;
    raw.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(&stdin, OptionalActions::Now, &raw).ok()?;
    Some(before)
}

/// Ctrl-C and termination signals, caught from the moment this is made.
#[derive(Debug)]
pub(super) struct Signals {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Catches them.
    ///
    /// # Errors
    /// When the system does not let them be caught.
    pub(super) fn catch() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let (interrupt, terminate) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        Ok(Self { runtime, interrupt, terminate })
    }

    /// Waits for the next one.
    pub(super) fn wait(&mut self) {
        let Self { runtime, interrupt, terminate } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
    }
}
