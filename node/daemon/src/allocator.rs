//! How the C library's allocator keeps memory.
//!
//! Left alone, glibc gives each thread a heap of its own and raises the size from which memory goes
//! back to the system; a start with 10,000 accounts in genesis then keeps 8 MB that nothing uses
//! (30 MB resident with 32 peers, against 22 MB; `goodwatt bench memory-peers`). It reads
//! its settings at the begin of a process alone, so the daemon begins once more with them.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// One heap for all threads, and 64 KiB or more are taken from the system one by one.
const SETTINGS: [(&str, &str); 2] =
    [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "65536")];

/// Begins this program once more with the settings, unless it has some. Comes back where it has,
/// and where that is not possible: then memory is all that is lost.
pub(crate) fn settle() {
    if std::env::var_os(SETTINGS[0].0).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut again = Command::new(program);
    let error = again.args(std::env::args_os().skip(1)).envs(SETTINGS).exec();
    crate::tool::note(&format!("goodwattd: more memory is used than need be: {error}"));
}
