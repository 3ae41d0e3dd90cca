//! A person at a terminal: the tool on a pseudo-terminal of its own, read and typed at.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use super::LOOK_EVERY;

/// How long a question may take: an image at 57,600 baud takes seven seconds.
const PATIENCE: Duration = Duration::from_secs(180);
/// What is typed for Ctrl-C.
pub(crate) const CTRL_C: &str = "\x03";

/// A program at a terminal; killed when dropped.
pub(crate) struct Terminal {
    person: File,
    /// The program's end, held open to look at how it is set.
    program: File,
    shown: Arc<Mutex<String>>,
    /// What was waited for so far.
    seen: usize,
    child: Child,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Runs a command whose controlling terminal this is.
    pub(crate) fn run(command: &Command) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let person = openpt(flags).expect("a pseudo-terminal");
        grantpt(&person).expect("it is ours");
        unlockpt(&person).expect("it is ours");
        let program = File::from(ioctl_tiocgptpeer(&person, flags).expect("its other end"));
        let end = || Stdio::from(program.try_clone().expect("one more end"));
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        let child = session.stdin(end()).stdout(end()).stderr(end()).spawn().expect("setsid");
        let person = File::from(person);
        let shown = Arc::new(Mutex::new(String::new()));
        let (heard, mut listener) = (Arc::clone(&shown), person.try_clone().expect("our end"));
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = listener.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]).replace('\r', "");
                heard.lock().expect("nobody panics with it").push_str(&text);
            }
        });
        Self { person, program, shown, seen: 0, child, reader: Some(reader) }
    }

    /// All that was shown so far.
    pub(crate) fn shown(&self) -> String {
        self.shown.lock().expect("nobody panics with it").clone()
    }

    /// Waits until something more is shown, and gives all from before up to its end.
    #[track_caller]
    pub(crate) fn wait(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.shown();
            if let Some(at) = shown[self.seen..].find(text) {
                let end = self.seen + at + text.len();
                let part = shown[self.seen..end].to_owned();
                self.seen = end;
                return part;
            }
            let ended = self.child.try_wait().expect("it is our child").is_some();
            assert!(!ended || self.shown() != shown, "ended without {text:?}:\n{shown}");
            assert!(Instant::now() < deadline, "never {text:?}:\n{shown}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Types keys as they are.
    pub(crate) fn keys(&mut self, keys: &str) {
        self.person.write_all(keys.as_bytes()).expect("room for the keys");
    }

    /// Waits for a question, and answers it.
    #[track_caller]
    pub(crate) fn answer(&mut self, question: &str, answer: &str) -> String {
        let before = self.wait(question);
        self.keys(&format!("{answer}\n"));
        before
    }

    /// Sends a signal to the program alone.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is our child");
    }

    /// Waits until it ends; gives the exit code and all that was shown since the last wait. The
    /// terminal has to show what is typed again.
    #[track_caller]
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            assert!(Instant::now() < deadline, "it never ends:\n{}", self.shown());
            std::thread::sleep(LOOK_EVERY);
        };
        let modes = tcgetattr(&self.program).expect("a terminal").local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON), "the terminal is left mute");
        // The reader ends when nobody has the other end open any more.
        let null = File::open("/dev/null").expect("it is always there");
        drop(std::mem::replace(&mut self.program, null));
        self.reader.take().expect("joined once").join().expect("it does not panic");
        (status.code(), self.shown()[self.seen..].to_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Where it ended already there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
