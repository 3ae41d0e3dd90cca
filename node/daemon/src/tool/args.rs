//! The command line of `goodwatt`: one place for names, help and examples.

mod association;
#[cfg(feature = "finger")]
mod finger;
mod power;
mod simulation;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use goodwatt_chain::hash::AssociationId;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::Grains;
#[cfg(feature = "finger")]
use goodwatt_fingerprint::device::Kind;

pub use self::association::{
    AssociationCommand, CheckArgs, IdentityArgs, RequestArgs, Scheme, YesNo,
};
#[cfg(feature = "finger")]
pub(super) use self::finger::FINGER_PORT;
#[cfg(feature = "finger")]
pub use self::finger::{FingerCommand, LightState};
pub use self::power::{CalibrateArgs, PowerArgs, PowerCommand};
pub use self::simulation::{Demo, Scene, SimArgs, SimFault, SimRule, TestnetArgs};
use super::light::{Checkpoint, Node};
use crate::config::PeerAddress;
use crate::net::PeerId;

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  refused, not found, or failed; the message says why
  2  the command line is not understood
  3  no daemon answers, nor a node that a light peer asks
  4  the ledger or a file of it is damaged
  5  a node did not prove to a light peer what it says

Examples:
  goodwatt demo                        watch a validator seal blocks, nothing needed
  goodwatt init my-node                make a validator with a chain of its own
  goodwatt --dir my-node status        how it is
  goodwatt --dir my-node send good1... \"2.5 good\" --memo thanks
  goodwatt --light --connect node.example.org:9461 --genesis genesis.toml balance good1...";

/// Goodwatt: a validator for boards that sip power.
#[derive(Debug, Parser)]
#[command(
    name = "goodwatt",
    version = crate::version::LONG,
    about,
    after_help = AFTER_HELP,
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub struct Tool {
    /// Where and how.
    #[command(flatten)]
    pub common: Common,
    /// Without a daemon.
    #[command(flatten)]
    pub light: LightArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Folder of the validator: its goodwatt.toml names everything else
    /// [default: here, else /etc/goodwatt]
    #[arg(long, global = true, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Control socket of the daemon [default: what goodwatt.toml says]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// File that holds the passphrase of the key [default: ask]
    #[arg(long, global = true, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// Options of a light peer, which stand before `balance`, `tx` or `send`.
#[derive(Args, Clone, Debug)]
pub struct LightArgs {
    /// Ask other nodes, trust none, and check every answer by proof: for balance, tx and send
    #[arg(long, requires = "connect")]
    pub light: bool,
    /// Nodes to ask, with commas between; goodpeer1...@HOST:PORT takes no other one for it
    #[arg(long, requires = "light", value_name = "HOST:PORT", value_delimiter = ',', num_args = 1)]
    pub connect: Vec<Node>,
    /// Genesis of the chain [default: what goodwatt.toml says]
    #[arg(long, requires = "light", value_name = "FILE")]
    pub genesis: Option<PathBuf>,
    /// Begin at a block that somebody you trust has told you [default: where the last call ended,
    /// else genesis]
    #[arg(long, requires = "light", value_name = "HEIGHT:ID")]
    pub checkpoint: Option<Checkpoint>,
    /// Key file to pay with [default: what goodwatt.toml says]
    #[arg(long, requires = "light", value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch a validator on a development chain of its own
    Demo(Demo),
    /// Several validators of one chain on this machine, each a daemon of its own
    #[command(after_help = "Examples:
  goodwatt testnet --nodes 4
  goodwatt testnet --nodes 7 --seconds 20 --json")]
    Testnet(TestnetArgs),
    /// Make a validator: configuration, key, and a development chain or a given one
    Init(Init),
    /// How the daemon is: in step, signing, watts, anything wrong
    Status,
    /// Wait until the daemon has every block that others have
    Sync,
    /// Look at everything that commonly goes wrong, with a remedy for each finding
    #[command(after_help = "Exit code 1 when something keeps the board from its work.\n\n\
        As root it sees more: keys and guard are closed to others.")]
    Doctor,
    /// Replay a ledger from genesis and name the first bad byte
    #[command(
        after_help = "Example: goodwatt verify my-node/data\n\nThe daemon must not run on it."
    )]
    Verify {
        /// Data folder of a validator, or the folder that holds its goodwatt.toml
        data: PathBuf,
    },
    /// Check or show a configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The owner's key
    #[command(subcommand)]
    Key(KeyCommand),
    /// Pay somebody
    #[command(after_help = "Example: goodwatt send good1... \"2.5 good\" --memo thanks --wait")]
    Send {
        /// Who is paid
        to: PublicKey,
        /// How much, with its unit: "2.5 good" or "2500000 grains"
        amount: Grains,
        /// A note of at most 80 bytes
        #[arg(long, default_value = "")]
        memo: String,
        /// Fee and waiting
        #[command(flatten)]
        sending: Sending,
    },
    /// What an account has
    Balance {
        /// The account [default: the owner's]
        address: Option<PublicKey>,
    },
    /// The transactions of an account, the latest first
    History {
        /// The account [default: the owner's]
        address: Option<PublicKey>,
        /// How many, at most 200
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
    },
    /// One transaction
    Tx {
        /// Its id, 64 hexadecimal digits
        id: String,
    },
    /// Slots of time: the right to sign
    #[command(subcommand)]
    Slot(SlotCommand),
    /// Associations: who receives the donations
    #[command(subcommand)]
    Association(AssociationCommand),
    /// What was donated, to whom, and what an attack would cost
    Donations,
    /// Who is connected, and who is kept out
    Peers,
    /// Call a node, or keep one out
    #[command(subcommand)]
    Peer(PeerCommand),
    /// The signing guard
    #[command(subcommand)]
    Guard(GuardCommand),
    /// Start or stop signing; the daemon goes on serving
    Signing {
        /// on or off
        state: OnOff,
        /// Your word that the daemon's clock is right, where nothing else speaks for it
        #[arg(long)]
        clock_is_right: bool,
    },
    /// Watts: what is found, what is used and why; live, recorded, drawn, calibrated
    #[command(args_conflicts_with_subcommands = true)]
    Power(PowerArgs),
    /// Watts of the network, by its validators' own reports
    Energy,
    /// Measure: one JSON object a line with --json
    #[command(after_help = "Names: validate append replay submit start idle disk memory rebuild
       light-proof catch-up
       finality throughput idle-network memory-peers (several real daemons)")]
    Bench {
        /// Which ones [default: all]
        names: Vec<String>,
        /// Folder on the disk to measure; /tmp may be memory
        #[arg(long, value_name = "DIR")]
        work: Option<PathBuf>,
    },
    /// A fingerprint sensor and what is read from it
    #[cfg(feature = "finger")]
    #[command(subcommand)]
    Finger(FingerCommand),
    /// Let many validators agree in one thread, with virtual time and made-up faults
    #[command(after_help = "Examples:
  goodwatt sim --nodes 10 --rounds 5 --topology docs/topologies/ten.txt
  goodwatt sim --nodes 4 --rounds 100 --seed 7 --faults all --json")]
    Sim(SimArgs),
    /// Begin a chain
    #[command(subcommand)]
    Genesis(GenesisCommand),
    /// What the SD-card image does beside the daemon
    #[command(subcommand)]
    Board(BoardCommand),
    /// Write the man pages into a folder
    Man {
        /// The folder
        folder: PathBuf,
    },
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// `goodwatt init`.
#[derive(Args, Debug)]
pub struct Init {
    /// The folder to make
    pub folder: PathBuf,
    /// Join the chain of this genesis file instead of making a development chain
    #[arg(long, value_name = "FILE")]
    pub genesis: Option<PathBuf>,
    /// Keep the key without a passphrase: for tries, and for boards that start alone
    #[arg(long)]
    pub unprotected: bool,
}

/// Fee and waiting of a command that sends a transaction.
#[derive(Args, Clone, Copy, Debug)]
pub struct Sending {
    /// What to pay for inclusion, with its unit [default: the least fee]
    #[arg(long)]
    pub fee: Option<Grains>,
    /// Answer when the block is on disk
    #[arg(long)]
    pub wait: bool,
}

/// `goodwatt config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check a file: every fault with its line, and exit code 1 if there is one
    Check {
        /// The file [default: the one in use]
        file: Option<PathBuf>,
    },
    /// Show what is in effect, and where each value comes from
    Show {
        /// The file [default: the one in use]
        file: Option<PathBuf>,
    },
}

/// `goodwatt key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a new key and show its 24 words once
    New {
        /// Where to write it [default: what goodwatt.toml says]
        file: Option<PathBuf>,
        /// No passphrase
        #[arg(long)]
        unprotected: bool,
    },
    /// Show the address; the words only on request
    Show {
        /// The key file [default: what goodwatt.toml says]
        file: Option<PathBuf>,
        /// Show the 24 words
        #[arg(long)]
        words: bool,
    },
    /// Make a key file from 24 words, read from the terminal or standard input
    Restore {
        /// Where to write it [default: what goodwatt.toml says]
        file: Option<PathBuf>,
        /// No passphrase
        #[arg(long)]
        unprotected: bool,
    },
    /// Let a finger, a PIN and this board open the key together
    #[cfg(feature = "finger")]
    #[command(after_help = ENROLL_HELP)]
    Enroll(EnrollArgs),
    /// Open the enrolled key, and keep it in memory for a quarter of an hour
    #[cfg(feature = "finger")]
    #[command(
        after_help = "Where `buy_slots` is set, the running daemon gets the account's key, too: it then buys a slot in
each epoch at `slot_price`, never above `spending_cap_per_epoch`, until it ends or `key lock`. The
key is in its memory alone; the cap is a promise of the daemon, not of the chain.

Kept is the account's key, not the root, in XDG_RUNTIME_DIR or below /run, where it is
of no use after its time. Without `unlock` each payment asks for finger and PIN.
--passphrase-file names a file with the PIN."
    )]
    Unlock {
        /// Serial port of the sensor [default: that of the enrolment]
        #[arg(long)]
        port: Option<String>,
    },
    /// Forget an unlocked key at once
    #[cfg(feature = "finger")]
    Lock,
    /// Destroy the enrolment: the finger opens nothing any more
    #[cfg(feature = "finger")]
    Revoke {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// What opens the key, and how many tries are left
    #[cfg(feature = "finger")]
    Status,
}

#[cfg(feature = "finger")]
const ENROLL_HELP: &str = "\
Enrolled is the key in the key file, else the one enrolled before (opened with its finger and PIN,
or with its 24 words: --words), else a new one. The address stays. Nothing is enrolled before four
of the 24 words were typed back, and Ctrl-C before that changes nothing.

Files: a folder beside the key file, owner.finger beside owner.key. Where there is no key file any
more, `goodwatt` takes the enrolled key wherever it needs the owner's.

Examples:
  goodwatt key enroll
  goodwatt key enroll --port /dev/ttyUSB0
  goodwatt key enroll --words             finger, PIN or board are lost
  goodwatt key enroll --no-finger         a passphrase and this board, without a sensor";

/// `goodwatt key enroll`.
#[cfg(feature = "finger")]
#[derive(Args, Debug)]
pub struct EnrollArgs {
    /// Serial port of the sensor [default: that of the enrolment before, else /dev/serial0]
    #[arg(long, conflicts_with = "no_finger")]
    pub port: Option<String>,
    /// Type the key's 24 words
    #[arg(long)]
    pub words: bool,
    /// A passphrase instead of finger and PIN: for boards without a sensor
    #[arg(long)]
    pub no_finger: bool,
    /// Where the board's own secret lies: `file`, on the card; `otp`, in a Raspberry Pi 4's or 5's
    /// own memory; `tpm`, in a TPM 2.0 [default: that of the enrolment before, else file]
    #[arg(long)]
    pub device: Option<Kind>,
}

/// `goodwatt board`.
#[derive(Debug, Subcommand)]
pub enum BoardCommand {
    /// Check the goodwatt.toml of a card, before the card goes into the board
    Check {
        /// The file on the card's first partition
        file: PathBuf,
    },
    /// Read that file and make the system follow it; run at each start, before the network
    Setup {
        /// Where the card's first partition is mounted
        #[arg(long, value_name = "DIR", default_value = "/boot/firmware")]
        boot: PathBuf,
        /// Where the partition is mounted that keeps what changes
        #[arg(long, value_name = "DIR", default_value = "/data")]
        data: PathBuf,
    },
    /// Write what `goodwatt doctor` finds onto the card, and set the light
    Report {
        /// Where the card's first partition is mounted
        #[arg(long, value_name = "DIR", default_value = "/boot/firmware")]
        boot: PathBuf,
        /// Where the partition is mounted that keeps what changes
        #[arg(long, value_name = "DIR", default_value = "/data")]
        data: PathBuf,
    },
}

/// `goodwatt slot`.
#[derive(Debug, Subcommand)]
pub enum SlotCommand {
    /// Buy a slot in the epoch that is on sale: the price is donated, or locked by the rule of the chain
    Buy {
        /// The price, with its unit
        amount: Grains,
        /// Association that gets the buyer's part, at most a quarter
        #[arg(long, value_name = "ID")]
        prefer: Option<AssociationId>,
        /// Fee and waiting
        #[command(flatten)]
        sending: Sending,
    },
    /// Lock coins behind a bid for that epoch, on a chain whose stake votes for delegates
    Back {
        /// Owner of the bid, as `goodwatt slot list` shows it
        owner: PublicKey,
        /// How much, with its unit
        amount: Grains,
        /// Fee and waiting
        #[command(flatten)]
        sending: Sending,
    },
    /// Who signs now and next, and what was bought
    List,
}

/// `goodwatt peer`.
#[derive(Debug, Subcommand)]
pub enum PeerCommand {
    /// Call a node from now on, until the daemon's next start
    #[command(after_help = "To call it after the next start, too, name it in [network] peers.")]
    Add {
        /// Host and port
        address: PeerAddress,
    },
    /// Disconnect a node and keep it out, also over restarts
    #[command(after_help = "Example: goodwatt peer ban goodpeer1... --for 7d")]
    Ban {
        /// Its id, as `goodwatt peers` prints it
        id: PeerId,
        /// For how long: 90s, 10m, 12h, 7d
        #[arg(long = "for", value_name = "SPAN", default_value = "1d",
            value_parser = super::peers::parse_span)]
        span: Duration,
    },
    /// Forget what a node did, and let it in again
    Unban {
        /// Its id
        id: PeerId,
    },
}

/// `goodwatt guard`.
#[derive(Debug, Subcommand)]
pub enum GuardCommand {
    /// Print what this board has signed, to take it along to another
    Export,
    /// Raise the guard to what another board has signed; never lowers it
    Import {
        /// A file made by `goodwatt guard export`; the daemon must not run
        file: PathBuf,
    },
}

/// `goodwatt genesis`.
#[derive(Debug, Subcommand)]
pub enum GenesisCommand {
    /// Write a commented genesis file for a development chain of the owner's key
    New {
        /// The file to write
        file: PathBuf,
        /// Name of the chain
        #[arg(long, default_value = "development")]
        name: String,
    },
    /// Check a genesis file and print its chain id
    Check {
        /// The file
        file: PathBuf,
    },
}

/// on or off.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum OnOff {
    /// Sign.
    On,
    /// Do not sign.
    Off,
}
