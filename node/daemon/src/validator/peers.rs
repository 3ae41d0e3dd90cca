//! The validator's side of the network: connections have numbers there and keys here, messages
//! become frames.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use goodwatt_chain::announcement::Announcement;
use goodwatt_chain::codec;
use goodwatt_chain::hash::ChainId;
use goodwatt_chain::light::{Answer, Question};
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_units::Millis;
use goodwatt_validator::{Message, PeerId, To};

use crate::net::{self, Conduct, Kind, Network, SendError};

/// What the network tells the validator's thread.
#[derive(Debug)]
pub(crate) enum FromNetwork {
    /// The network runs, and this is how to speak to it.
    Running(Network),
    /// A main node is connected.
    Connected(net::PeerId),
    /// The slot key that vouches for it from now on, if any; its signature was checked.
    Announced(net::PeerId, Option<PublicKey>),
    /// A light peer is connected.
    Light(net::PeerId),
    /// It is gone.
    Disconnected(net::PeerId),
    /// It said something.
    Said(net::PeerId, Box<Message>),
    /// It asked something as light peers do.
    Asked(net::PeerId, Box<Question>),
}

/// Who is connected.
#[derive(Debug, Default)]
pub(super) struct Peers {
    network: Option<Network>,
    numbers: BTreeMap<net::PeerId, PeerId>,
    keys: BTreeMap<PeerId, net::PeerId>,
    /// Light peers, of which the validator knows nothing.
    light: BTreeSet<net::PeerId>,
    count: u64,
    /// The slot keys that vouch for those who are connected.
    signers: BTreeMap<net::PeerId, PublicKey>,
    /// The slot key that vouches for this node.
    announced: Option<PublicKey>,
}

impl Peers {
    pub(super) fn attach(&mut self, network: Network) {
        self.network = Some(network);
    }

    pub(super) const fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// Gives a connection its number.
    pub(super) fn connected(&mut self, key: net::PeerId) -> PeerId {
        self.count += 1;
        let number = PeerId(self.count);
        self.numbers.insert(key, number);
        self.keys.insert(number, key);
        number
    }

    /// Notes a light peer.
    pub(super) fn light_connected(&mut self, key: net::PeerId) {
        self.light.insert(key);
    }

    /// Answers a question.
    pub(super) fn answer(&self, key: net::PeerId, answer: &Answer) {
        if let Some(network) = &self.network {
            report(network.send(key, Kind::Answer, answer.encode()));
        }
    }

    /// Tells light peers of a new tip; what is made only where there are some.
    pub(super) fn tell_light(&self, tip: impl FnOnce() -> Message) {
        let Some(network) = self.network.as_ref().filter(|_| !self.light.is_empty()) else {
            return;
        };
        let bytes = tip().encode();
        for key in &self.light {
            report(network.send(*key, Kind::Tip, bytes.clone()));
        }
    }

    /// The number of a connection that is gone now.
    pub(super) fn disconnected(&mut self, key: net::PeerId) -> Option<PeerId> {
        self.signers.remove(&key);
        self.light.remove(&key);
        let number = self.numbers.remove(&key)?;
        self.keys.remove(&number);
        Some(number)
    }

    pub(super) fn number(&self, key: net::PeerId) -> Option<PeerId> {
        self.numbers.get(&key).copied()
    }

    /// Notes which slot key vouches for a node.
    pub(super) fn announced(&mut self, key: net::PeerId, signer: Option<PublicKey>) {
        let _former = match signer {
            Some(signer) => self.signers.insert(key, signer),
            None => self.signers.remove(&key),
        };
    }

    /// The slot key that vouches for a node.
    pub(super) fn signer(&self, key: net::PeerId) -> Option<PublicKey> {
        self.signers.get(&key).copied()
    }

    /// Tells others which slot key vouches for this node, if that is news.
    pub(super) fn announce(&mut self, chain: &ChainId, key: Option<&SigningKey>) {
        let Some(network) = &self.network else { return };
        let signer = key.map(SigningKey::public);
        if signer == self.announced {
            return;
        }
        let sign = |key| codec::encode(&Announcement::sign(chain, network.id().as_bytes(), key));
        match network.set_announcement(key.map(sign)) {
            Ok(()) => self.announced = signer,
            Err(error) => tracing::error!("not announced: {error}"),
        }
    }

    /// Sends a message.
    pub(super) fn send(&self, to: To, message: &Message) {
        let Some(network) = &self.network else { return };
        let (kind, bytes) = (frame_kind(message), message.encode());
        let sent = match to {
            To::All => network.broadcast(kind, bytes, None).map(drop),
            To::AllBut(but) => network.broadcast(kind, bytes, self.key(but)).map(drop),
            To::Peer(one) => match self.key(one) {
                Some(key) => network.send(key, kind, bytes),
                None => Ok(()),
            },
        };
        report(sent);
    }

    /// Tells the network that a peer broke the rules.
    pub(super) fn report(&self, number: PeerId, why: &str) {
        if let (Some(network), Some(key)) = (&self.network, self.key(number)) {
            tracing::warn!("{key} broke the rules: {why}");
            network.report(key, Conduct::Invalid);
        }
    }

    /// The round trip to the slower half of the peers.
    pub(super) fn round_trip(&self) -> Millis {
        let Some(network) = &self.network else { return Millis::ZERO };
        let mut times: Vec<Duration> =
            self.keys.values().filter_map(|key| network.round_trip(*key)).collect();
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        Millis::new(u64::try_from(median.as_millis()).unwrap_or(u64::MAX))
    }

    fn key(&self, number: PeerId) -> Option<net::PeerId> {
        self.keys.get(&number).copied()
    }
}

/// Who is gone is told of by the network itself; everything else is a mistake of ours.
fn report(sent: Result<(), SendError>) {
    match sent {
        Ok(()) | Err(SendError::NotConnected) => {}
        Err(error) => tracing::error!("not sent: {error}"),
    }
}

/// In which frame a message travels.
pub(crate) const fn frame_kind(message: &Message) -> Kind {
    match message {
        Message::Status(_) => Kind::Tip,
        Message::Agreement(_) => Kind::Statements,
        Message::Body(_) => Kind::Block,
        Message::Transactions(_) => Kind::Transactions,
        Message::WantBody { .. }
        | Message::WantBlocks { .. }
        | Message::WantHeaders { .. }
        | Message::WantState(_) => Kind::Request,
        Message::Blocks(_) | Message::Headers(_) | Message::State(_) => Kind::Response,
    }
}

/// Whether a message asks for an answer.
pub(super) fn is_request(message: &Message) -> bool {
    frame_kind(message) == Kind::Request
}

/// Reads a frame; `None` where its content is not what its kind says.
pub(crate) fn read_frame(in_frame: Kind, payload: &[u8]) -> Option<Message> {
    Message::decode(payload).ok().filter(|message| frame_kind(message) == in_frame)
}
