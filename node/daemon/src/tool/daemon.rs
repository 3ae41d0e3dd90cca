//! A `goodwattd` that this tool starts beside itself, watches from outside, and ends.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::error::ToolError;
use crate::client::{Client, ClientError};
use crate::protocol::{Call, Status};

/// How long a start may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a stop may take before it is no stop any more.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// The configuration's name in the daemon's folder.
pub(super) const CONFIG_FILE: &str = super::context::CONFIG_FILE;
/// Its control socket there.
pub(super) const SOCKET: &str = "goodwatt.sock";
/// What it says goes there.
const LOG: &str = "log";

/// A daemon; it ends when this is dropped, and when this program ends in whatever way.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    folder: PathBuf,
}

impl Daemon {
    /// Starts the daemon beside this program on a folder, and waits until it answers; gives how
    /// long that took.
    pub(super) fn launch(folder: &Path) -> Result<(Self, Duration), ToolError> {
        let begin = Instant::now();
        let mut daemon = Self::spawn(folder)?;
        daemon.wait_until_it_answers(begin + PATIENCE)?;
        Ok((daemon, begin.elapsed()))
    }

    /// Starts it, and waits for nothing.
    pub(super) fn spawn(folder: &Path) -> Result<Self, ToolError> {
        let program = std::env::current_exe()?.with_file_name("goodwattd");
        let log = File::options().create(true).append(true).open(folder.join(LOG))?;
        let child = Command::new(&program)
            .arg("--end-with-parent")
            .arg("--config")
            .arg(folder.join(CONFIG_FILE))
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stderr(log)
            // Ctrl-C is for the tool, which then stops it in order.
            .process_group(0)
            .spawn()
            .map_err(|error| ToolError::failed(format!("{}: {error}", program.display())))?;
        Ok(Self { child, folder: folder.to_owned() })
    }

    /// Waits until it answers, or has ended.
    pub(super) fn wait_until_it_answers(&mut self, until: Instant) -> Result<(), ToolError> {
        loop {
            let answer = self.connect().and_then(|mut client| client.call::<Status>(Call::Status));
            match answer {
                Ok(_) => return Ok(()),
                Err(ClientError::Unreachable { .. } | ClientError::Broken(_))
                    if Instant::now() < until && self.child.try_wait()?.is_none() =>
                {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => {
                    return Err(ToolError::failed(format!("{error}{}", self.last_words())));
                }
            }
        }
    }

    fn connect(&self) -> Result<Client, ClientError> {
        Client::connect(&self.folder.join(SOCKET))
    }

    /// A connection to it.
    pub(super) fn client(&self) -> Result<Client, ToolError> {
        Ok(self.connect()?)
    }

    /// The last line of its log, for a message.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join(LOG)).unwrap_or_default();
        log.lines().last().map_or_else(String::new, |line| format!("; its log ends: {line}"))
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// One figure of the process, from outside.
    pub(super) fn proc(&self, file: &str, field: &str) -> Result<u64, ToolError> {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.pid()))?;
        let value = text.lines().find_map(|line| line.strip_prefix(field));
        value
            .and_then(|value| value.split_whitespace().next()?.parse().ok())
            .ok_or_else(|| ToolError::failed(format!("{file} has no {field}")))
    }

    /// Context switches of all threads.
    pub(super) fn wakeups(&self) -> Result<u64, ToolError> {
        let mut sum = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            let text = std::fs::read_to_string(task?.path().join("status"))?;
            let switches = text.lines().filter(|line| line.contains("ctxt_switches:"));
            let count = |line: &str| line.split_whitespace().last()?.parse::<u64>().ok();
            sum += switches.filter_map(count).sum::<u64>();
        }
        Ok(sum)
    }

    /// Processor time in milliseconds: user and system, in ticks of 10 ms.
    pub(super) fn cpu_ms(&self) -> Result<u64, ToolError> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        let (_, fields) = text.rsplit_once(") ").unwrap_or(("", ""));
        let ticks = fields.split(' ').skip(11).take(2).filter_map(|f| f.parse::<u64>().ok());
        Ok(ticks.sum::<u64>() * 10)
    }

    /// Asks it to stop.
    pub(super) fn tell_to_stop(&self) -> Result<(), ToolError> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).map_err(ToolError::failed)
    }

    /// Waits for its end after it was asked; an error unless it ended well.
    pub(super) fn wait_for_end(&mut self) -> Result<(), ToolError> {
        let deadline = Instant::now() + STOP_PATIENCE;
        while Instant::now() < deadline {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(ToolError::failed(format!("{status}{}", self.last_words())));
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        Err(ToolError::failed(format!("goodwattd did not stop{}", self.last_words())))
    }

    /// Takes the power away.
    pub(super) fn kill(&mut self) -> Result<(), ToolError> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already, or ended now: either way it does not outlive the tool.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
