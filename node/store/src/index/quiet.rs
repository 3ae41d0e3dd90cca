//! Keeping sled's threads from waking an idle board.
//!
//! sled starts seven threads at its first write that wait for work one second at a time, for ever:
//! seven wake-ups a second. Threads inherit the timer slack of the thread that starts them, so they
//! are started with a long one; then the kernel lets their second last as long as it likes. Work
//! wakes them at once, as before. Measured over 10 s idle: 71 voluntary switches without, 1 with.

use std::num::NonZeroU64;

use rustix::io;
use rustix::thread::set_current_timer_slack;

/// 100 s where a word of the system holds it, else 4 s: 32-bit systems count it in 32 bits.
const PATIENT_NANOS: Option<NonZeroU64> =
    NonZeroU64::new(if usize::BITS == 64 { 100_000_000_000 } else { 4_000_000_000 });

/// Runs work during which sled may start threads; then the own thread has its default slack again.
pub(super) fn with_patient_threads<T>(work: impl FnOnce() -> T) -> T {
    // Where the system refuses, the threads wake as often as sled means them to: no error.
    let _: io::Result<()> = set_current_timer_slack(PATIENT_NANOS);
    let done = work();
    let _: io::Result<()> = set_current_timer_slack(None);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    /// rustix reads at most 31 bits of it.
    fn slack() -> u64 {
        let thread = rustix::thread::gettid().as_raw_nonzero();
        let text = std::fs::read_to_string(format!("/proc/{thread}/timerslack_ns"));
        text.expect("Linux has it").trim().parse().expect("a number")
    }

    #[test]
    fn threads_inherit_the_patience_and_the_caller_gets_its_own_back() {
        let before = slack();
        let inside = with_patient_threads(|| std::thread::spawn(slack).join());
        assert_eq!(inside.expect("no panic"), PATIENT_NANOS.map_or(0, NonZeroU64::get));
        assert_eq!(slack(), before);
    }
}
