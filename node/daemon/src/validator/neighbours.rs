//! Answering calls about peers: who is connected, whom to call, whom to keep out.

use std::time::Duration;

use super::engine::Engine;
use crate::config::{PeerAddress, Role};
use crate::net::{Network, PeerId, PeerInfo};
use crate::protocol::{Fault, FaultKind, KindTraffic, Peer, PeerValidator, Peers};

/// The longest ban by hand: ten years, as good as for ever.
const BAN_SECONDS_MAX: u64 = 10 * 365 * 86_400;

impl Engine {
    pub(super) fn list_peers(&self) -> Result<Peers, Fault> {
        let network = self.network()?;
        Ok(Peers {
            id: network.id().to_string(),
            listens: network.listens().map(|address| address.to_string()),
            peers: network.peers().into_iter().map(|info| self.peer(info)).collect(),
            banned: network.banned().iter().map(PeerId::to_string).collect(),
            known_addresses: network.known_addresses(),
            has_twin: network.has_twin(),
            traffic: network.traffic().into_iter().map(KindTraffic::from).collect(),
        })
    }

    pub(super) fn add_peer(&self, address: &str) -> Result<Peers, Fault> {
        let address: PeerAddress = read(address)?;
        if !self.network()?.add(&address) {
            let message = "too many nodes are named already: they stand in [network] peers, or \
                were added since the start";
            return Err(Fault::new(FaultKind::Refused, message));
        }
        tracing::info!("{address} is called from now on, until the next start");
        self.list_peers()
    }

    pub(super) fn ban_peer(&self, peer: &str, seconds: u64) -> Result<Peers, Fault> {
        let (network, peer) = (self.network()?, read::<PeerId>(peer)?);
        if peer == network.id() {
            return Err(Fault::new(FaultKind::Refused, "that is this node itself"));
        }
        if !(1..=BAN_SECONDS_MAX).contains(&seconds) {
            let message = format!("a ban lasts from 1 to {BAN_SECONDS_MAX} seconds");
            return Err(Fault::new(FaultKind::Invalid, message));
        }
        network.ban(peer, Duration::from_secs(seconds));
        tracing::info!("{peer} is banned by hand for {seconds} s");
        self.list_peers()
    }

    pub(super) fn unban_peer(&self, peer: &str) -> Result<Peers, Fault> {
        let peer: PeerId = read(peer)?;
        if !self.network()?.unban(peer) {
            return Err(Fault::new(FaultKind::NotFound, format!("{peer} is not banned")));
        }
        tracing::info!("{peer} is let in again by hand");
        self.list_peers()
    }

    fn network(&self) -> Result<&Network, Fault> {
        let message = "this daemon talks to nobody: name nodes in [network] peers of \
            goodwatt.toml, or an address in listen, and restart it";
        self.peers.network().ok_or_else(|| Fault::new(FaultKind::Refused, message))
    }

    fn peer(&self, info: PeerInfo) -> Peer {
        let said = self.peers.number(info.peer).and_then(|number| self.own.height_of(number));
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Peer {
            id: info.peer.to_string(),
            address: info.address.to_string(),
            listens: info.listens.map(|address| address.to_string()),
            direction: if info.outbound { "out" } else { "in" }.to_owned(),
            role: match info.role {
                Role::Main => "main",
                Role::Light => "light",
            }
            .to_owned(),
            software: info.software,
            height: said.unwrap_or(info.tip).get(),
            round_trip_us: info.round_trip.map(micros),
            score: info.score,
            bytes_in: info.bytes_in,
            bytes_out: info.bytes_out,
            queued_bytes: info.queued,
            connected_s: info.connected.as_secs(),
            validator: self.validator_of(info.peer),
        }
    }

    /// The validator in charge whose slot key vouches for a node.
    fn validator_of(&self, peer: PeerId) -> Option<PeerValidator> {
        let signer = self.peers.signer(peer)?;
        let mut validators = self.own.ledger().in_charge().validators.iter();
        let validator = validators.find(|validator| validator.signer == signer)?;
        Some(PeerValidator {
            owner: validator.owner.to_string(),
            signer: signer.to_string(),
            donated_grains: validator.weight.get(),
        })
    }
}

/// Reads a word of the caller.
fn read<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Fault> {
    text.parse().map_err(|error| Fault::new(FaultKind::Invalid, error))
}

impl From<crate::net::Traffic> for KindTraffic {
    fn from(of: crate::net::Traffic) -> Self {
        Self {
            kind: of.kind.to_string(),
            frames_in: of.frames_in,
            frames_out: of.frames_out,
            bytes_in: of.bytes_in,
            bytes_out: of.bytes_out,
        }
    }
}
