//! Goodwatt: a validator for boards that sip power. The daemon `goodwattd`, and `goodwatt`, the
//! tool for people.
//!
//! This is the only crate with sockets, threads and clocks. It decides nothing about the ledger
//! (`goodwatt-chain`), about signing (`goodwatt-consensus`), about files (`goodwatt-store`) or
//! about watts (`goodwatt-power`): it brings them together.
//!
//! | to find | look in |
//! |---|---|
//! | the thread that owns ledger, keys and card | [`validator`] |
//! | the daemon's start, signals and end | [`service`] |
//! | what tool and daemon say to each other | [`protocol`], [`control`], [`client`] |
//! | who may be connected, and for how long | [`places`] |
//! | what is done when nobody asks | [`upkeep`], [`scheduler`], [`alarm`] |
//! | metrics and health | [`http`], [`metrics`] |
//! | the tool's commands | [`tool`] |
//! | the owner's key | [`keystore`], [`words`] |
//! | the connections to other nodes | [`net`] |
//! | what the operator decides | [`config`] |

pub mod alarm;
mod allocator;
mod checkpoint;
pub mod client;
pub mod config;
pub mod control;
pub mod development;
mod fetch;
pub mod hex;
pub mod http;
pub mod keystore;
pub mod logging;
mod mending;
pub mod metrics;
mod nearest;
pub mod net;
pub mod notify;
mod peering;
pub mod places;
pub mod protocol;
pub mod scheduler;
pub mod service;
pub mod signers;
pub mod tool;
pub mod upkeep;
pub mod validator;
pub mod version;
pub mod words;
