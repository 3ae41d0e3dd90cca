//! Real daemons and the real tool: started by a test, and ended through their handles.
//!
//! Their folders lie where `TMPDIR` says: most of the time goes into waiting for that disk.

#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

mod clock;
pub(crate) mod disk;
mod files;
#[cfg(feature = "finger")]
pub(crate) mod finger;
mod http;
pub(crate) mod network;
mod random;
pub(crate) mod relay;
#[cfg(feature = "finger")]
pub(crate) mod terminal;
pub(crate) mod wires;
pub(crate) mod witness;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use goodwatt::client::{Client, ClientError};
use goodwatt::hex;
use goodwatt::keystore::{KeyFile, Secret};
use goodwatt::protocol::{AccountInfo, Call, Peers, Status, Submitted};
use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::hash::ChainId;
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::transaction::{Action, Transaction, Transfer};
use goodwatt_chain::units::Grains;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use clock::FakeClock;
pub(crate) use files::{Record, flip, records, segment};
pub(crate) use http::{get, with_http};
pub(crate) use random::{Random, number};

/// How long anything may take before a test fails: a busy machine is slow, a hang is endless.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often is looked meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The least fee of a chain made by `goodwatt init`.
pub(crate) const FEE: Grains = Grains::from_good(1).mul_div_floor(1, 1_000);

/// Looks again and again until there is something to see.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Says something that is seen even when the test passes.
pub(crate) fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").expect("standard error is open");
}

/// Fails unless `text` has all the words an operator needs.
#[track_caller]
pub(crate) fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in:\n{text}");
    }
}

/// How a run of the tool ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Fails unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// What was printed, of a run that has to succeed.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let ended = self.with(0);
        serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
    }
}

/// Runs a command to its end, with `input` on standard input.
pub(crate) fn run(command: &mut Command, input: &str) -> Ended {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // A program that does not read closes the pipe, which is no fault of its.
    drop(stdin.write_all(input.as_bytes()));
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// The tool, with a folder to work in that has no configuration.
pub(crate) fn tool(args: &[&str]) -> Ended {
    let folder = tempfile::tempdir().expect("a temporary folder");
    run(tool_command().current_dir(folder.path()).args(args), "")
}

pub(crate) fn tool_command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_goodwatt"))
}

/// The folder of a validator, made by `goodwatt init`.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    /// A development chain of its own; no HTTP.
    pub(crate) fn new() -> Self {
        Self::init(|_| {}, &[])
    }

    /// The same, after `prepare` had the empty folder, and with more arguments for `init`.
    pub(crate) fn init(prepare: impl FnOnce(&Path), args: &[&str]) -> Self {
        let home = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        prepare(&home.path(""));
        let mut command = tool_command();
        command.arg("init").arg(home.folder.path()).args(args);
        if !args.contains(&"--passphrase-file") {
            command.arg("--unprotected");
        }
        run(&mut command, "").with(0);
        home.edit("goodwatt.toml", "[api]\n", "[api]\nhttp = \"off\"\n");
        home
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Replaces `old`, which has to be there, in a file.
    pub(crate) fn edit(&self, name: &str, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.path(name)).expect("the file is there");
        assert!(text.contains(old), "no {old:?} in {name}:\n{text}");
        std::fs::write(self.path(name), text.replacen(old, new, 1)).expect("it can be written");
    }

    /// Sets a parameter of the chain, which is not begun yet.
    pub(crate) fn set(&self, parameter: &str, value: &str) {
        let text = std::fs::read_to_string(self.path("genesis.toml")).expect("a genesis");
        let start = format!("{parameter} = ");
        let old = text.lines().find(|line| line.starts_with(&start)).expect("every parameter");
        self.edit("genesis.toml", old, &format!("{start}{value}"));
    }

    /// Runs the tool on this folder.
    pub(crate) fn tool(&self, args: &[&str]) -> Ended {
        self.tool_reading(args, "")
    }

    pub(crate) fn tool_reading(&self, args: &[&str], input: &str) -> Ended {
        run(tool_command().arg("--dir").arg(self.folder.path()).args(args), input)
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        self.tool(&[&["--json"], args].concat()).json()
    }

    pub(crate) fn chain(&self) -> ChainId {
        let text = std::fs::read_to_string(self.path("genesis.toml")).expect("a genesis");
        Genesis::from_toml(&text, "genesis.toml").expect("a good one").chain_id()
    }

    /// The slot keys that begin the chain.
    pub(crate) fn founders(&self) -> Vec<PublicKey> {
        let text = std::fs::read_to_string(self.path("genesis.toml")).expect("a genesis");
        let genesis = Genesis::from_toml(&text, "genesis.toml").expect("a good one");
        genesis.founders.iter().map(|founder| founder.signer).collect()
    }

    /// The wallet of the owner, whose key has no passphrase.
    pub(crate) fn owner(&self) -> Wallet {
        let file = KeyFile::load(&self.path("owner.key")).expect("the owner's key");
        let Secret::Root(root) = file.open(None).expect("no passphrase") else {
            panic!("the owner's key is a root");
        };
        let key = SigningKey::from_seed(root.account_seed(0).as_bytes());
        Wallet { key, chain: self.chain() }
    }

    /// A wallet that begins with nothing.
    pub(crate) fn wallet(&self, number: u8) -> Wallet {
        Wallet { key: SigningKey::from_seed(&[number; 32]), chain: self.chain() }
    }

    /// Starts the daemon, without waiting for anything.
    pub(crate) fn spawn(&self) -> Daemon {
        self.spawn_with(&self.path("goodwatt.toml"), &[])
    }

    pub(crate) fn spawn_with(&self, config: &Path, environment: &[(&str, &OsStr)]) -> Daemon {
        self.spawn_by(Command::new(env!("CARGO_BIN_EXE_goodwattd")), config, environment)
    }

    /// Starts the daemon by a command that runs it.
    pub(crate) fn spawn_by(
        &self,
        mut command: Command,
        config: &Path,
        environment: &[(&str, &OsStr)],
    ) -> Daemon {
        command.arg("--config").arg(config).stdin(Stdio::null()).stderr(Stdio::piped());
        command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM");
        command.envs(environment.iter().copied());
        Daemon::new(command.spawn().expect("the daemon starts"), self.path("goodwatt.sock"))
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) fn start(&self) -> Daemon {
        let mut daemon = self.spawn();
        daemon.client();
        daemon
    }

    /// Starts a daemon that has to refuse, and gives what it says.
    #[track_caller]
    pub(crate) fn refuses(&self) -> String {
        let (code, log) = self.spawn().ended();
        assert_eq!(code, Some(1), "{log}");
        log
    }
}

/// A daemon that runs; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    socket: PathBuf,
    log: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Daemon {
    fn new(mut child: Child, socket: PathBuf) -> Self {
        let log = Arc::new(Mutex::new(String::new()));
        let (heard, stderr) = (Arc::clone(&log), child.stderr.take().expect("it is piped"));
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = heard.lock().expect("nobody panics with it");
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { child, socket, log, listener: Some(listener) }
    }

    /// What it said so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("nobody panics with it").clone()
    }

    /// Waits until it says something.
    pub(crate) fn says(&self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(words) {
            assert!(Instant::now() < deadline, "never {words:?} in the log:\n{}", self.log());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// A connection to it, as soon as it answers.
    pub(crate) fn client(&mut self) -> Client {
        let came_up = until("the daemon answers", || self.came_up());
        assert!(came_up, "the daemon ended: {}", self.log());
        Client::connect(&self.socket).expect("it just answered")
    }

    /// Whether it answers, true, or ended before, false; `None` while neither is known.
    pub(crate) fn came_up(&mut self) -> Option<bool> {
        if self.child.try_wait().expect("it is our child").is_some() {
            return Some(false);
        }
        let mut client = Client::connect(&self.socket).ok()?;
        client.call::<Status>(Call::Status).ok().map(|_| true)
    }

    pub(crate) fn status(&mut self) -> Status {
        self.client().call(Call::Status).expect("a status")
    }

    pub(crate) fn peers(&mut self) -> Peers {
        self.client().call(Call::Peers).expect("it has a network")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is our child");
    }

    /// Takes the power away.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// The same, for one that has a place among others; what it said is kept.
    pub(crate) fn take_power(&mut self) {
        self.end();
    }

    /// Asks it to stop, which it has to do well; gives what it said.
    #[track_caller]
    pub(crate) fn stop(self) -> String {
        self.signal(Signal::TERM);
        let (code, log) = self.ended();
        assert_eq!(code, Some(0), "{log}");
        log
    }

    /// Waits for its end; gives exit code and what it said.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let status = until("the daemon ends", || self.child.try_wait().expect("our child"));
        self.end();
        (status.code(), self.log())
    }

    fn end(&mut self) {
        // One that has ended cannot be killed, and need not be.
        drop(self.child.kill());
        self.child.wait().expect("it is our child");
        if let Some(listener) = self.listener.take() {
            listener.join().expect("the listener ends with the pipe");
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

/// A key that signs transactions.
#[derive(Clone)]
pub(crate) struct Wallet {
    key: SigningKey,
    chain: ChainId,
}

impl Wallet {
    pub(crate) fn address(&self) -> PublicKey {
        self.key.public()
    }

    pub(crate) fn account(&self, client: &mut Client) -> AccountInfo {
        let address = self.address().to_string();
        client.call(Call::Account { address }).expect("an account")
    }

    /// A signed payment as the control protocol takes it.
    pub(crate) fn payment(&self, nonce: u64, to: PublicKey, amount: Grains, memo: &str) -> String {
        let memo = memo.try_into().expect("a short memo");
        let action = Action::Transfer(Transfer { to, amount, memo });
        let transaction = Transaction::sign(&self.chain, &self.key, nonce, FEE, action);
        hex::encode(transaction.bytes())
    }

    /// Pays somebody, and waits for the seal if so told.
    pub(crate) fn pay(
        &self,
        client: &mut Client,
        to: PublicKey,
        amount: Grains,
        wait: bool,
    ) -> Result<Submitted, ClientError> {
        let nonce = self.account(client).next_nonce;
        let transaction = self.payment(nonce, to, amount, "");
        client.call(Call::Submit { transaction, wait })
    }
}

/// Seals so many blocks with a payment each; gives their transactions' ids.
pub(crate) fn seal(home: &Home, daemon: &mut Daemon, blocks: usize) -> Vec<String> {
    let (mut client, owner) = (daemon.client(), home.owner());
    let to = home.wallet(1).address();
    let pay = |_| owner.pay(&mut client, to, Grains::from_good(1), true).expect("sealed").id;
    (0..blocks).map(pay).collect()
}
