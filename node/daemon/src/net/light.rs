//! A light peer's end of a connection: it asks one thing at a time, and takes nothing else.
//!
//! It has a new key for each connection, so that nobody can tell one call of its owner from another
//! but by the address. Nothing here is believed: what an answer says is its reader's to check.

use std::net::SocketAddr;
use std::time::Duration;

use goodwatt_chain::hash::ChainId;
use goodwatt_chain::units::Height;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::book::Target;
use super::dial::connect;
use super::frame::{Header, read_first, read_payload, read_rest};
use super::hello::{Hello, Saying};
use super::identity::{PeerId, TransportKey, TransportKeyError};
use super::kind::Kind;
use super::reason::Reason;
use super::settings::{NETWORK_VERSION, Timing};
use super::tls::{Stream, Tls, protocol_name};
use crate::config::{PeerAddress, Role};

/// How long an answer may take, however much is sent meanwhile.
const ANSWER_PATIENCE: Duration = Duration::from_secs(20);
/// Frames that may come before the one that is waited for.
const OTHERS_MAX: usize = 64;

/// Why a node cannot be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LightLinkError {
    /// It cannot be reached, or is no node of this chain.
    #[error("{0}")]
    Unreachable(String),
    /// Another node than the one named answers there.
    #[error("node {found} answers there, not {wanted}")]
    OtherNode {
        /// Who answers.
        found: PeerId,
        /// Who was named.
        wanted: PeerId,
    },
    /// The connection ended.
    #[error("{0}")]
    Ended(#[from] Reason),
    /// It was too slow.
    #[error("it did not answer within {} s", .0.as_secs())]
    Late(Duration),
    /// It sends and sends, but no answer.
    #[error("it sends and sends, and does not answer")]
    Chatter,
    /// There is no key for the connection.
    #[error(transparent)]
    Key(#[from] TransportKeyError),
    /// TLS refuses its settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl LightLinkError {
    /// Whether the node broke the protocol: then it is worse than one that is away.
    #[must_use]
    pub const fn is_misconduct(&self) -> bool {
        match self {
            Self::Chatter | Self::OtherNode { .. } => true,
            Self::Ended(reason) => reason.conduct().is_some(),
            _ => false,
        }
    }
}

/// A connection to a main node.
#[derive(Debug)]
pub struct LightLink {
    stream: Stream,
    peer: PeerId,
}

impl LightLink {
    /// Connects as a light peer that knows the chain up to `tip`. If `wanted` is given, it has to be
    /// that node.
    ///
    /// # Errors
    /// See [`LightLinkError`].
    pub async fn connect(
        address: &PeerAddress,
        wanted: Option<PeerId>,
        chain: &ChainId,
        tip: Height,
    ) -> Result<Self, LightLinkError> {
        let patience = Timing::default().handshake;
        let meet = Self::meet(address, wanted, chain, tip);
        timeout(patience, meet).await.unwrap_or(Err(LightLinkError::Late(patience)))
    }

    async fn meet(
        address: &PeerAddress,
        wanted: Option<PeerId>,
        chain: &ChainId,
        tip: Height,
    ) -> Result<Self, LightLinkError> {
        let unreachable = |fault: &dyn ToString| LightLinkError::Unreachable(fault.to_string());
        let tls = Tls::new(&TransportKey::passing()?, &protocol_name(NETWORK_VERSION, chain))?;
        let target = Target::from(address);
        let (socket, remote): (_, SocketAddr) =
            connect(&target).await.map_err(|fault| unreachable(&fault))?;
        let met = tls.connect(socket, remote).await;
        let (stream, peer) = met.map_err(|fault| unreachable(&fault))?;
        if let Some(wanted) = wanted.filter(|wanted| *wanted != peer) {
            return Err(LightLinkError::OtherNode { found: peer, wanted });
        }
        let mut link = Self { stream, peer };
        let hello = Hello::new(Saying {
            protocol: NETWORK_VERSION,
            chain: *chain,
            role: Role::Light,
            port: 0,
            tip,
            nonce: 0,
            call: 1,
            announcement: None,
        });
        link.send(Kind::Hello, &hello.encode()).await?;
        let theirs = link.wait_for(Kind::Hello).await?;
        let theirs = Hello::decode(&theirs).map_err(|_| Reason::Malformed(Kind::Hello))?;
        if theirs.protocol != NETWORK_VERSION || theirs.chain != *chain {
            return Err(Reason::WrongHello.into());
        }
        Ok(link)
    }

    /// The node at the other end.
    #[must_use]
    pub const fn peer(&self) -> PeerId {
        self.peer
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// See [`LightLinkError`]; the connection is of no use then.
    pub async fn ask(&mut self, question: &[u8]) -> Result<Vec<u8>, LightLinkError> {
        let talk = async {
            self.send(Kind::Question, question).await?;
            self.wait_for(Kind::Answer).await
        };
        let answer = timeout(ANSWER_PATIENCE, talk).await;
        answer.unwrap_or(Err(LightLinkError::Late(ANSWER_PATIENCE)))
    }

    /// Waits for news of a block, at most this long; says whether there are some.
    ///
    /// # Errors
    /// See [`LightLinkError`].
    pub async fn hears_of_a_block(&mut self, patience: Duration) -> Result<bool, LightLinkError> {
        // A first byte that does not come is not lost when nobody waits for it any longer.
        let Ok(first) = timeout(patience, read_first(&mut self.stream)).await else {
            return Ok(false);
        };
        let first = first.map_err(Reason::Broken)?.ok_or(Reason::Closed)?;
        let limit = Timing::default().frame;
        let read = timeout(limit, self.read_frame(first, Kind::Tip)).await;
        let (kind, _) = read.map_err(|_| Reason::HalfFrame(limit))??;
        Ok(kind == Kind::Tip)
    }

    async fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), Reason> {
        let sent = async {
            self.stream.write_all(&Header::encode(kind, payload)).await?;
            self.stream.write_all(payload).await?;
            self.stream.flush().await
        };
        sent.await.map_err(Reason::Broken)
    }

    /// Reads up to the first frame of a kind.
    async fn wait_for(&mut self, wanted: Kind) -> Result<Vec<u8>, LightLinkError> {
        for _ in 0..OTHERS_MAX {
            let first = read_first(&mut self.stream).await.map_err(Reason::Broken)?;
            let first = first.ok_or(Reason::Closed)?;
            let (kind, payload) = self.read_frame(first, wanted).await?;
            if kind == wanted {
                return Ok(payload);
            }
        }
        Err(LightLinkError::Chatter)
    }

    /// Reads the rest of a frame, and does what has to be done with one that is not waited for.
    async fn read_frame(&mut self, first: u8, wanted: Kind) -> Result<(Kind, Vec<u8>), Reason> {
        let header = read_rest(first, &mut self.stream).await.map_err(Reason::Broken)?;
        let Header { kind, len } = Header::parse(header).map_err(Reason::Frame)?;
        if kind != wanted && (kind == Kind::Answer || !kind.rule().light_gets) {
            let why = "which a light peer did not ask for";
            return Err(Reason::Unexpected { kind, why });
        }
        let payload = read_payload(&mut self.stream, len as usize).await;
        let payload = payload.map_err(Reason::Broken)?;
        match kind {
            Kind::Goodbye => return Err(Reason::told(&payload)),
            Kind::Ping => self.send(Kind::Pong, &[]).await?,
            _ => {}
        }
        Ok((kind, payload))
    }
}
