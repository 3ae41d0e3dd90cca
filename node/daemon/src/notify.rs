//! Tells the service manager how the daemon is, by datagrams to `$NOTIFY_SOCKET` (`sd_notify(3)`).
//!
//! Nothing happens where nobody listens: without systemd every call here is free. No timer runs
//! here either: the ping of the watchdog is one more job of the daemon's one scheduler.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use sd_notify::NotifyState;

/// Characters of a status line at most; `systemctl status` shows one line.
const LONGEST_STATUS: usize = 200;

/// The daemon's line to the service manager.
#[derive(Clone, Copy, Debug)]
pub struct Notifier {
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the environment of this process says.
    #[must_use]
    pub fn from_environment() -> Self {
        Self { watchdog: sd_notify::watchdog_enabled() }
    }

    /// How often to [`Self::ping`]: half of what the unit's `WatchdogSec=` allows, or never.
    #[must_use]
    pub fn ping_period(self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// Start or reload is over, and this is how things stand.
    pub fn ready(self, status: &str) {
        send(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
    }

    /// How things stand.
    pub fn status(self, status: &str) {
        send(&[NotifyState::Status(&one_line(status))]);
    }

    /// A reload has begun; [`Self::ready`] ends it.
    pub fn reloading(self) {
        send(&[NotifyState::Reloading, NotifyState::MonotonicUsec(monotonic_micros())]);
    }

    /// The daemon is stopping.
    pub fn stopping(self) {
        send(&[NotifyState::Stopping]);
    }

    /// The daemon is alive.
    pub fn ping(self) {
        send(&[NotifyState::Watchdog]);
    }
}

/// Sends one datagram; a failure goes to the log, because the daemon does its work without it.
fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// A status that cannot smuggle in another assignment.
fn one_line(status: &str) -> String {
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    status.chars().take(LONGEST_STATUS).map(plain).collect()
}

/// The clock that systemd 253 wants beside `RELOADING=1`.
///
/// Asked here, because `sd_notify` 0.5.0 counts it in the C type of seconds, and on a 32-bit board
/// that overflows 36 minutes after its start.
fn monotonic_micros() -> i128 {
    let now = clock_gettime(ClockId::Monotonic);
    i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_status_stays_one_line() {
        assert_eq!(one_line("height 7\nREADY=1\r\0"), "height 7 READY=1  ");
        assert_eq!(one_line(&"é".repeat(300)), "é".repeat(LONGEST_STATUS));
    }

    #[test]
    fn pings_come_twice_as_often_as_they_must() {
        let period = |watchdog| Notifier { watchdog }.ping_period();
        assert_eq!(period(None), None);
        assert_eq!(period(Some(Duration::from_secs(90))), Some(Duration::from_secs(45)));
    }

    /// Says everything there is to say; runs in a process of its own, which has the variables.
    fn say_everything() {
        let notifier = Notifier::from_environment();
        assert_eq!(notifier.ping_period(), Some(Duration::from_secs(30)));
        notifier.ready("height 7");
        notifier.status("height 8");
        notifier.ping();
        notifier.reloading();
        notifier.stopping();
    }

    /// The test starts itself a second time, since only a new process can be given variables.
    #[test]
    fn the_service_manager_hears_it() {
        if std::env::var_os("GOODWATT_TEST_SPEAKER").is_some() {
            return say_everything();
        }
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("a new socket");
        let speaker = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "notify::tests::the_service_manager_hears_it"])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "60000000")
            .env_remove("WATCHDOG_PID")
            .env("GOODWATT_TEST_SPEAKER", "")
            .output();
        let speaker = speaker.expect("this test starts");
        assert!(speaker.status.success(), "{speaker:?}");
        manager.set_nonblocking(true).expect("all was sent before the speaker ended");
        let hear = || {
            let mut datagram = [0; 512];
            let count = manager.recv(&mut datagram).expect("one more datagram");
            String::from_utf8_lossy(&datagram[..count]).into_owned()
        };
        assert_eq!(hear(), "READY=1\nSTATUS=height 7\n");
        assert_eq!(hear(), "STATUS=height 8\n");
        assert_eq!(hear(), "WATCHDOG=1\n");
        let reload = hear();
        let micros = reload.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("a reload");
        let micros: i128 = micros.trim_end().parse().expect("a number");
        assert!((1..=monotonic_micros()).contains(&micros), "{micros}");
        assert_eq!(hear(), "STOPPING=1\n");
    }
}
