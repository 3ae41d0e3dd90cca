//! Extraction in a process of its own that can do nothing else: what comes over the wire is
//! untrusted, and so is what it may make of the code that looks at it.
//!
//! The child reads one image from its standard input, gives up everything but computing, reading
//! and writing what is open already, and writes what it read from the image to its standard output.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, kill_process, setrlimit, waitid,
};
use zeroize::Zeroizing;

use crate::extract::{Reading, extract};
use crate::image::{Image, SIDE_MAX};
use crate::minutia::MINUTIAE_MAX;

/// Seconds of a core that a child may take: an image takes a fraction of one, on a Raspberry Pi 4 too.
const CPU_SECONDS: u64 = 20;
/// Longest that a child may be at it, also where it only waits.
const WALL: Duration = Duration::from_secs(60);
/// Addresses that a child may have, program and libraries included: ten times what it takes.
const MEMORY_BYTES: u64 = 256 << 20;
/// Most bytes a child answers: an image of the largest size is all ridges.
const ANSWER_MAX: u64 = 4 * (SIDE_MAX * SIDE_MAX) as u64;

/// What a child found out, and the memory it took.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Answer {
    /// What was read from the image.
    pub reading: Reading,
    /// The most memory that the process ever had, in KiB.
    pub peak_kib: u64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The child could not be started, or the pipe to it broke.
    #[error("the process that reads images failed: {0}")]
    Io(#[from] io::Error),
    /// It ended by itself.
    #[error(
        "the process that reads images ended with {0}: the image is damaged on purpose or there is a bug"
    )]
    Ended(std::process::ExitStatus),
    /// It answered something else.
    #[error("the process that reads images gave no answer that makes sense")]
    Nonsense,
    /// The kernel does not lock it in.
    #[error("the kernel has no seccomp, and images are read in a locked process only: {0}")]
    Sandbox(String),
}

/// Has an image read by a child: `program` with `arguments` must call [`serve`].
///
/// # Errors
/// Where it cannot be started, dies, or gives no sensible answer.
pub fn read(program: &Path, arguments: &[&str], image: &Image) -> Result<Answer, WorkerError> {
    read_within(WALL, program, arguments, image)
}

fn read_within(
    wall: Duration,
    program: &Path,
    arguments: &[&str],
    image: &Image,
) -> Result<Answer, WorkerError> {
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .current_dir("/")
        // Ctrl-C at the terminal is for whoever started it.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(WorkerError::Nonsense);
    };
    let ends_in_time = bound_wall(&child, wall);
    let head = [image.width() as u16, image.height() as u16].map(u16::to_be_bytes).concat();
    // A child that dies early breaks the pipe; its end says more than that.
    let written = input.write_all(&head).and_then(|()| input.write_all(image.pixels()));
    drop(input);
    let mut bytes = Zeroizing::new(Vec::new());
    let heard = output.take(ANSWER_MAX).read_to_end(&mut bytes);
    // Also one that says no more may go on; it keeps its number until it is waited for below, so
    // that no other process can be meant.
    let ended = await_end(&child);
    ends_in_time();
    heard?;
    ended?;
    let status = child.wait()?;
    if !status.success() {
        return Err(WorkerError::Ended(status));
    }
    written?;
    let answer: Answer = postcard::from_bytes(&bytes).map_err(|_| WorkerError::Nonsense)?;
    let print = &answer.reading.print;
    let sound = print.minutiae.len() <= MINUTIAE_MAX
        && print.minutiae.iter().all(|minutia| minutia.is_of(image.width(), image.height()))
        && print.coverage.squares.len()
            == print.coverage.width.saturating_mul(print.coverage.height);
    sound.then_some(answer).ok_or(WorkerError::Nonsense)
}

/// Kills a child after a while, unless what is given back is called before.
fn bound_wall(child: &Child, wall: Duration) -> impl FnOnce() + use<> {
    let pid = Pid::from_child(child);
    let (done, waits) = mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        if waits.recv_timeout(wall) == Err(RecvTimeoutError::Timeout) {
            // It is our child, and not waited for: at worst it has ended by itself.
            kill_process(pid, Signal::KILL).unwrap_or_default();
        }
    });
    move || {
        drop(done);
        // It does nothing that panics.
        drop(watch.join());
    }
}

/// Waits until a child has ended, and leaves its status to be asked for.
fn await_end(child: &Child) -> io::Result<()> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    retry_on_intr(|| waitid(WaitId::Pid(Pid::from_child(child)), options))?;
    Ok(())
}

/// What the child does.
///
/// # Errors
/// Where the kernel does not lock it in, or the pipes break.
pub fn serve() -> Result<(), WorkerError> {
    let status = File::open("/proc/self/status")?;
    bound(Resource::Cpu, CPU_SECONDS)?;
    bound(Resource::As, MEMORY_BYTES)?;
    lock_in()?;
    let mut input = io::stdin().lock();
    let mut head = [0; 4];
    input.read_exact(&mut head)?;
    let [width, height] =
        [[head[0], head[1]], [head[2], head[3]]].map(|side| usize::from(u16::from_be_bytes(side)));
    let mut pixels = Zeroizing::new(Vec::new());
    input.take((SIDE_MAX * SIDE_MAX) as u64 + 1).read_to_end(&mut pixels)?;
    let image = Image::new(width, height, pixels.to_vec()).map_err(|_| WorkerError::Nonsense)?;
    let reading = extract(&image);
    let answer = Answer { reading, peak_kib: peak_kib(status)? };
    let bytes = Zeroizing::new(postcard::to_allocvec(&answer).map_err(|_| WorkerError::Nonsense)?);
    let mut output = io::stdout().lock();
    output.write_all(&bytes)?;
    Ok(output.flush()?)
}

/// From here on the kernel ends this process rather than to give it more.
fn bound(resource: Resource, most: u64) -> io::Result<()> {
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// The line `VmHWM` of the kernel's account of a process.
fn peak_kib(mut status: File) -> io::Result<u64> {
    let mut text = String::new();
    status.seek(SeekFrom::Start(0))?;
    status.read_to_string(&mut text)?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other("the kernel tells no VmHWM"))
}

/// From here on: compute, allocate, read and write what is open; anything else ends the process.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn lock_in() -> Result<(), WorkerError> {
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule, apply_filter,
    };
    let failed = |error: &dyn std::fmt::Display| WorkerError::Sandbox(error.to_string());
    let allowed = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_lseek,
        libc::SYS_close,
        libc::SYS_statx,
        libc::SYS_fstat,
        libc::SYS_brk,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_futex,
        libc::SYS_sigaltstack,
        libc::SYS_rt_sigreturn,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    // Builds with debug assertions ask, before they close a file, whether it is open.
    let is_open = SeccompCondition::new(
        1,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        u64::from(libc::F_GETFD.unsigned_abs()),
    );
    let is_open = is_open.and_then(|asks| SeccompRule::new(vec![asks])).map_err(|e| failed(&e))?;
    let always = allowed.into_iter().map(|call| (call, Vec::new()));
    let rules = always.chain([(libc::SYS_fcntl, vec![is_open])]).collect();
    let arch = std::env::consts::ARCH.try_into().map_err(|e| failed(&e))?;
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch);
    let program: BpfProgram = filter.and_then(TryInto::try_into).map_err(|e| failed(&e))?;
    apply_filter(&program).map_err(|e| failed(&e))
}

/// Boards for which the crate has no system calls are named rather than left open in silence.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn lock_in() -> Result<(), WorkerError> {
    Err(WorkerError::Sandbox("images are read on 64-bit boards only".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_only_waits_is_ended() {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("it is everywhere");
        let ends_in_time = bound_wall(&child, Duration::from_millis(10));
        assert!(!child.wait().expect("our child").success());
        ends_in_time();
        let mut child = Command::new("true").spawn().expect("it is everywhere");
        bound_wall(&child, WALL)();
        assert!(child.wait().expect("our child").success());
    }

    #[test]
    fn a_child_that_says_nothing_more_is_ended_all_the_same() {
        let image = Image::new(64, 64, vec![0; 64 * 64]).expect("an image");
        let silent = ["-c", "exec sleep 20 >&-"];
        let wall = Duration::from_millis(500);
        let answer = read_within(wall, Path::new("/bin/sh"), &silent, &image);
        assert!(matches!(answer, Err(WorkerError::Ended(_))), "{answer:?}");
    }
}
