//! The core as its shells see it: validators in one thread, with cards that may lose what was not
//! synced and a network that may lose, repeat and reorder.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod agreement;
mod board;
mod chaos;
mod network;
mod peers;
mod recovery;
