//! Sleeps until the scheduler's next wake-up, and wakes the process once for it.
//!
//! A sleep of tokio's costs two wake-ups, because its clock counts whole milliseconds: eight jobs
//! of 1 Hz on one [`Scheduler`](crate::scheduler::Scheduler) took 2.2 context switches a second
//! with `sleep_until` and 1.0 with this (30 s each, `/proc/self/task/*/status`, x86-64). So the
//! kernel's own timer is waited for like a socket. Another one of the kernel's tells when the wall
//! clock was set.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// Year 2242: later than any clock shows, and early enough for every kernel's count.
const NEVER: Duration = Duration::from_secs(1 << 33);

/// The one timer of the process.
#[derive(Debug)]
pub struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// A timer that is not set; needs a tokio runtime with I/O around it.
    ///
    /// # Errors
    /// Where the process has no file descriptors left.
    pub fn new() -> io::Result<Self> {
        timer(TimerfdClockId::Monotonic).map(Self)
    }

    /// Waits until `wakeup`, or for ever without one. May be dropped and called anew at any time.
    ///
    /// # Errors
    /// Where the kernel refuses, which it has no reason to.
    pub async fn sleep_until(&self, wakeup: Option<Instant>, now: Instant) -> io::Result<()> {
        // Zero would switch the timer off, so what is late is due in a nanosecond.
        let left = wakeup.map_or(Duration::ZERO, |at| {
            at.saturating_duration_since(now).max(Duration::from_nanos(1))
        });
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once(left)?)?;
        loop {
            let mut ready = self.0.readable().await?;
            // Would block: it rang for an earlier appointment, which was given up since.
            if let Ok(read) = ready.try_io(read) {
                return read.map(|_| ());
            }
        }
    }
}

/// Notices that somebody set the wall clock, without looking at it again and again.
#[derive(Debug)]
pub struct ClockWatch(AsyncFd<OwnedFd>);

impl ClockWatch {
    /// Watches from now on; needs a tokio runtime with I/O around it.
    ///
    /// # Errors
    /// Where the process has no file descriptors left.
    pub fn new() -> io::Result<Self> {
        timer(TimerfdClockId::Realtime).map(Self)
    }

    /// Waits until the clock is set: it jumps, or the board slept. A clock that is slowly drawn to
    /// the right time is not set.
    ///
    /// # Errors
    /// Where the kernel refuses, which it has no reason to.
    pub async fn clock_set(&self) -> io::Result<()> {
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        loop {
            // An appointment that no clock reaches: what counts is that it is cancelled.
            match timerfd_settime(self.0.get_ref(), flags, &once(NEVER)?) {
                Ok(_) => {}
                Err(Errno::CANCELED) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            match self.0.readable().await?.try_io(read) {
                Ok(Err(error)) if error.raw_os_error() == Some(Errno::CANCELED.raw_os_error()) => {
                    return Ok(());
                }
                Ok(Err(error)) => return Err(error),
                Ok(Ok(_)) | Err(_) => {}
            }
        }
    }
}

fn timer(clock: TimerfdClockId) -> io::Result<AsyncFd<OwnedFd>> {
    let timer = timerfd_create(clock, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    #[expect(
        deprecated,
        reason = "its successor is unsafe for types that do not own their \
        descriptor, as OwnedFd does"
    )]
    AsyncFd::new(timer)
}

/// Takes note that a timer rang; would block where it did not.
fn read(timer: &AsyncFd<OwnedFd>) -> io::Result<usize> {
    Ok(rustix::io::read(timer.get_ref(), &mut [0; 8])?)
}

/// The kernel's way to say: once, in `left`.
fn once(left: Duration) -> io::Result<Itimerspec> {
    let left = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(Itimerspec { it_interval: Timespec::default(), it_value: left })
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;

    /// Runs with an alarm in a runtime like the daemon's.
    fn with_alarm<F: Future<Output = ()>>(test: impl FnOnce(Alarm) -> F) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        runtime.expect("a runtime").block_on(async {
            test(Alarm::new().expect("a timer")).await;
        });
    }

    /// Whether it rings while the runtime turns a few times.
    async fn rings(alarm: &Alarm, wakeup: Option<Instant>) -> bool {
        let turns = async {
            for _ in 0..100 {
                yield_now().await;
            }
        };
        tokio::select! {
            biased;
            rang = alarm.sleep_until(wakeup, Instant::now()) => rang.is_ok(),
            () = turns => false,
        }
    }

    #[test]
    fn what_is_late_rings_at_once() {
        with_alarm(|alarm| async move {
            let now = Instant::now();
            for late in [Duration::ZERO, Duration::from_millis(5)] {
                let rang = alarm.sleep_until(now.checked_sub(late), now).await;
                rang.expect("it rings");
            }
        });
    }

    #[test]
    fn without_an_appointment_it_never_rings() {
        with_alarm(|alarm| async move { assert!(!rings(&alarm, None).await) });
    }

    #[test]
    fn a_clock_that_nobody_sets_is_not_noticed() {
        with_alarm(|alarm| async move {
            let watch = ClockWatch::new().expect("a timer");
            for _ in 0..3 {
                tokio::select! {
                    biased;
                    set = watch.clock_set() => panic!("nobody set it: {set:?}"),
                    rang = rings(&alarm, None) => assert!(!rang),
                }
            }
        });
    }

    #[test]
    fn an_appointment_that_was_given_up_does_not_ring() {
        with_alarm(|alarm| async move {
            let now = Instant::now();
            // It is due and rings, but nobody waits any more.
            tokio::select! {
                biased;
                _ = alarm.sleep_until(Some(now), now) => panic!("polled before it could ring"),
                () = std::future::ready(()) => {}
            }
            for _ in 0..100 {
                yield_now().await;
            }
            let later = now + Duration::from_secs(3_600);
            assert!(!rings(&alarm, Some(later)).await);
            assert!(!rings(&alarm, None).await);
        });
    }
}
