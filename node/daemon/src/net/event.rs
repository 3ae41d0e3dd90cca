//! What the network tells its owner, and what the owner may ask about.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;

use goodwatt_chain::units::Height;
use tokio::sync::OwnedSemaphorePermit;

use super::identity::PeerId;
use super::kind::Kind;
use super::reason::Reason;
use crate::config::Role;

/// What happened. For one peer the order is: connected, frames, disconnected.
#[derive(Debug)]
pub enum NetworkEvent {
    /// A node is connected.
    Connected {
        /// Which.
        peer: PeerId,
        /// Main or light.
        role: Role,
        /// The height it says it is at.
        tip: Height,
        /// What it announced, checked if there is a check.
        announcement: Option<Vec<u8>>,
    },
    /// What it announced changed; checked if there is a check.
    Announced {
        /// Which.
        peer: PeerId,
        /// What holds from now on.
        announcement: Option<Vec<u8>>,
    },
    /// It is gone.
    Disconnected {
        /// Which.
        peer: PeerId,
        /// Why.
        reason: Reason,
    },
    /// It sent something.
    Frame {
        /// Who.
        peer: PeerId,
        /// Of which kind.
        kind: Kind,
        /// What.
        payload: Payload,
    },
}

/// What a peer sent. As long as it is held, its bytes count towards the memory for all peers: hold
/// it until it is decoded, and no longer.
pub struct Payload {
    bytes: Vec<u8>,
    _memory: Option<OwnedSemaphorePermit>,
}

impl Payload {
    pub(super) const fn new(bytes: Vec<u8>, memory: Option<OwnedSemaphorePermit>) -> Self {
        Self { bytes, _memory: memory }
    }
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

/// A connected node.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerInfo {
    /// Which.
    pub peer: PeerId,
    /// Its end of the connection.
    pub address: SocketAddr,
    /// Where it says it listens.
    pub listens: Option<SocketAddr>,
    /// Whether this node called it.
    pub outbound: bool,
    /// Main or light.
    pub role: Role,
    /// The version it runs.
    pub software: String,
    /// The height it was at when it connected.
    pub tip: Height,
    /// The time to it and back, smoothed.
    pub round_trip: Option<Duration>,
    /// Useful conduct less bad.
    pub score: i32,
    /// How long it is connected.
    pub connected: Duration,
    /// Bytes of frames it sent.
    pub bytes_in: u64,
    /// Bytes of frames it was sent.
    pub bytes_out: u64,
    /// Bytes that wait for it.
    pub queued: usize,
}
