//! `goodwatt sim`, `demo` and `testnet`: chains that are there to be looked at.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `goodwatt sim`.
#[derive(Debug, Args)]
pub struct SimArgs {
    /// How many validators
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub nodes: usize,
    /// How many rounds: transactions are handed in, and their block is awaited
    #[arg(long, value_name = "R", default_value_t = 5)]
    pub rounds: u64,
    /// The most transactions handed in for a round: from one to so many, within 20 ms
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub transactions: u64,
    /// Who is connected to whom: a line `0-1` for each connection [default: all to all up to 16, then
    /// rows and columns of a square]
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// All chance follows from it
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// What goes wrong, with commas between
    #[arg(long, value_name = "FAULTS", value_delimiter = ',', value_enum)]
    pub faults: Vec<SimFault>,
    /// Milliseconds from one validator to the next
    #[arg(long, value_name = "MS", default_value_t = 40)]
    pub latency: u64,
    /// Seconds of an epoch
    #[arg(long, value_name = "S", default_value_t = 3_600, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub epoch: u64,
    /// Who gets weight; several, or all, are set side by side
    #[arg(
        long,
        value_name = "RULES",
        value_delimiter = ',',
        value_enum,
        default_value = "good-will"
    )]
    pub rule: Vec<SimRule>,
}

/// Who gets weight in a simulation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum SimRule {
    /// All of them, one after another
    All,
    /// Who donates
    GoodWill,
    /// Who locks coins
    Stake,
    /// For whom locked coins vote
    Delegated,
    /// Who finds a hash: here only, no chain runs on it
    Work,
}

/// What goes wrong in a simulation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum SimFault {
    /// Everything below
    All,
    /// Connections break
    Cuts,
    /// Packets get lost and are sent again
    Loss,
    /// The power fails in the middle of a write
    Crashes,
    /// The network falls into two parts
    Partitions,
    /// Clocks are wrong
    Clocks,
    /// A validator votes for two different things
    Liar,
    /// A proposer shows two different blocks
    Proposer,
    /// A peer sends votes by the hundred that are good for nothing
    Flood,
    /// A third of the weight is off
    Outage,
    /// The power fails everywhere, and all start together
    Blackout,
    /// A disk is full
    FullDisk,
    /// The index is lost
    Index,
    /// Sets are bought, grow, shrink, and fall below the smallest
    Sets,
}

/// `goodwatt demo`.
#[derive(Args, Debug)]
pub struct Demo {
    /// `ten-wallets`: ten wallets pay each other, and the balances are checked
    pub scene: Option<Scene>,
    /// End by itself after this many seconds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: Option<u32>,
    /// Folder for the chain, kept afterwards [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// `goodwatt testnet`.
#[derive(Args, Debug)]
pub struct TestnetArgs {
    /// How many validators
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub nodes: u8,
    /// End by itself after this many seconds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: Option<u32>,
    /// Folder for them, kept afterwards [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// A scene of the demonstration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Scene {
    /// Ten wallets with 100 good each; the even ones send 25 to their neighbours.
    TenWallets,
}
