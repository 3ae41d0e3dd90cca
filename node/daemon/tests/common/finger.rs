//! A simulated sensor on a port of its own, and a person who enrols.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::terminal::Terminal;
use super::{Ended, Home, run, tool_command};

/// Fingers of nobody that are not in the bank of impostors, which has numbers below 1,000.
pub(crate) const OWN: &str = "2000";
pub(crate) const OTHER: &str = "2001";
/// The PIN in all of these tests.
pub(crate) const PIN: &str = "4711-x";

/// A simulated sensor; killed when dropped.
pub(crate) struct Sensor {
    child: Child,
    port: String,
}

impl Sensor {
    pub(crate) fn start(args: &[&str]) -> Self {
        let tool = Path::new(env!("CARGO_BIN_EXE_goodwatt"));
        let program = tool.with_file_name("finger-simulator");
        assert!(
            program.exists(),
            "no {}: cargo build --package goodwatt-fingerprint --bin finger-simulator",
            program.display()
        );
        let mut child =
            Command::new(program).args(args).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut line).expect("the port");
        Self { child, port: line.trim().to_owned() }
    }

    pub(crate) fn of(finger: &str) -> Self {
        Self::start(&["--finger", finger])
    }

    pub(crate) fn port(&self) -> &str {
        &self.port
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }
}

/// An owner: the folder of a validator, memory to keep a key in, and a PIN in a file.
pub(crate) struct Owner {
    pub(crate) home: Home,
    memory: TempDir,
}

impl Owner {
    /// One whose key file is there, without a passphrase.
    pub(crate) fn with_key_file() -> Self {
        let memory = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
        let owner = Self { home: Home::new(), memory };
        owner.pin(PIN);
        owner
    }

    /// One who has no key yet.
    pub(crate) fn new() -> Self {
        let owner = Self::with_key_file();
        std::fs::remove_file(owner.home.path("owner.key")).expect("it was there");
        owner
    }

    /// Writes the file with the PIN.
    pub(crate) fn pin(&self, pin: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.home.path("pin");
        std::fs::write(&path, pin).expect("written");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, private).expect("it is ours");
        path
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.home.path("owner.finger")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = tool_command();
        command.env("XDG_RUNTIME_DIR", self.memory.path());
        command.arg("--dir").arg(self.home.path("")).args(args);
        command
    }

    /// Runs the tool without a terminal, with the PIN from its file.
    pub(crate) fn tool(&self, args: &[&str]) -> Ended {
        let pin = self.home.text("pin");
        run(&mut self.command(&[&["--passphrase-file", &pin], args].concat()), "")
    }

    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        self.tool(&[&["--json"], args].concat()).json()
    }

    pub(crate) fn terminal(&self, args: &[&str]) -> Terminal {
        Terminal::run(&self.command(args))
    }

    /// Enrols a new key at a terminal; gives its address and its words.
    #[track_caller]
    pub(crate) fn enrol(&self, args: &[&str], pin: &str) -> (String, Vec<String>) {
        let mut terminal = self.terminal(&[&["key", "enroll"], args].concat());
        type_pin(&mut terminal, pin);
        let words = listed(&terminal.answer("Press Enter", ""));
        type_words(&mut terminal, &words);
        let (code, shown) = terminal.end();
        assert_eq!(code, Some(0), "{shown}");
        let address = shown.split_once("enrolled  ").expect("an address").1;
        (address.lines().next().expect("a line").to_owned(), words)
    }

    /// Enrols the key of these words anew, under a passphrase.
    #[track_caller]
    pub(crate) fn enrol_words(&self, words: &[String], passphrase: &str) {
        let mut terminal = self.terminal(&["key", "enroll", "--words", "--no-finger"]);
        terminal.answer("several:", &words.join(" "));
        type_pin(&mut terminal, passphrase);
        let (code, shown) = terminal.end();
        assert_eq!(code, Some(0), "{shown}");
    }

    /// Where the key of an account lies while it is unlocked.
    pub(crate) fn unlocked(&self, address: &str) -> PathBuf {
        self.memory.path().join("goodwatt-unlocked").join(format!("{address}.key"))
    }

    /// Enrols a new key with the finger on a sensor; gives its address and words.
    pub(crate) fn enrol_finger(&self, sensor: &Sensor) -> (String, Vec<String>) {
        self.enrol(&["--port", sensor.port()], PIN)
    }
}

/// Types a new PIN twice.
#[track_caller]
pub(crate) fn type_pin(terminal: &mut Terminal, pin: &str) {
    terminal.wait("New ");
    terminal.answer(": ", pin);
    terminal.answer("The same again: ", pin);
}

/// Types the four words that are asked for.
#[track_caller]
pub(crate) fn type_words(terminal: &mut Terminal, words: &[String]) {
    for _ in 0..4 {
        terminal.wait("\nWord ");
        let number = terminal.wait(": ");
        let number: usize = number.trim_end_matches(": ").parse().expect("a number");
        terminal.keys(&format!("{}\n", words[number - 1]));
    }
}

/// The 24 words of a numbered list.
#[track_caller]
pub(crate) fn listed(shown: &str) -> Vec<String> {
    let rows = shown.lines().filter(|line| line.split_whitespace().count() == 8);
    let cells: Vec<&str> = rows.flat_map(str::split_whitespace).collect();
    let words: Vec<String> = cells.chunks(2).map(|cell| cell[1].to_owned()).collect();
    assert_eq!(words.len(), 24, "{shown}");
    words
}
