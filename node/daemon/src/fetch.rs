//! Asking peers before there is a validator: for what a start needs and this board has not.

use std::collections::BTreeSet;
use std::time::Duration;

use goodwatt_chain::hash::ChainId;
use goodwatt_chain::units::Height;
use goodwatt_validator::Message;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

use crate::config::{Config, Role};
use crate::net::{Conduct, Kind, Network, NetworkError, NetworkEvent, PeerId};
use crate::peering;
use crate::validator::{frame_kind, read_frame};

/// How long an answer may take before somebody else is asked.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How often all peers are asked for the same before it is given up.
const ROUNDS: usize = 3;

/// Peers that can be asked.
#[derive(Debug)]
pub(crate) struct Fetch {
    network: Network,
    events: Receiver<NetworkEvent>,
    /// Who is connected.
    pub(crate) peers: BTreeSet<PeerId>,
}

impl Fetch {
    /// Connects to the peers of a configuration; `None` where it names none.
    ///
    /// # Errors
    /// See [`NetworkError`].
    pub(crate) fn start(config: &Config, chain: ChainId) -> Result<Option<Self>, NetworkError> {
        let started = peering::start(config, chain)?;
        Ok(started.map(|(network, events)| Self { network, events, peers: BTreeSet::new() }))
    }

    /// Asks a peer, or finds that it is gone.
    pub(crate) fn ask(&mut self, peer: PeerId, question: &Message) {
        if self.network.send(peer, frame_kind(question), question.encode()).is_err() {
            self.peers.remove(&peer);
        }
    }

    /// A peer that broke the rules.
    pub(crate) fn blame(&mut self, peer: PeerId, why: &str) {
        tracing::warn!("{peer} broke the rules: {why}");
        self.network.report(peer, Conduct::Invalid);
    }

    /// The highest block that a peer had when it connected.
    pub(crate) fn tip_of(&self, peer: PeerId) -> Option<Height> {
        self.network.peers().into_iter().find(|info| info.peer == peer).map(|info| info.tip)
    }

    /// Asks these peers one after the other until one gives what `judge` takes; what it refuses is
    /// told with the reason, and `None` is an answer to something else, or none that helps.
    pub(crate) async fn ask_any<T>(
        &mut self,
        peers: &[PeerId],
        question: &Message,
        mut judge: impl FnMut(Message) -> Option<Result<T, &'static str>>,
    ) -> Option<T> {
        for _ in 0..ROUNDS {
            for peer in peers {
                if !self.peers.contains(peer) {
                    continue;
                }
                self.ask(*peer, question);
                let until = Instant::now() + PATIENCE;
                while Instant::now() < until && self.peers.contains(peer) {
                    let Some((from, answer)) = self.answer(until).await else { continue };
                    if from != *peer {
                        continue;
                    }
                    match judge(answer) {
                        Some(Ok(found)) => return Some(found),
                        Some(Err(why)) => self.blame(from, why),
                        None => {}
                    }
                    break;
                }
            }
        }
        None
    }

    /// The next answer, and whose it is; `None` when there was none until then, or somebody came or
    /// went.
    pub(crate) async fn answer(&mut self, until: Instant) -> Option<(PeerId, Message)> {
        match timeout_at(until, self.events.recv()).await.ok()?? {
            NetworkEvent::Connected { peer, role: Role::Main, .. } => {
                self.peers.insert(peer);
            }
            NetworkEvent::Disconnected { peer, .. } => {
                self.peers.remove(&peer);
            }
            NetworkEvent::Frame { peer, kind: Kind::Response, payload } => {
                match read_frame(Kind::Response, &payload) {
                    Some(message) => return Some((peer, message)),
                    None => self.blame(peer, "an answer that cannot be read"),
                }
            }
            // What is asked or told meanwhile, others know as well.
            _ => {}
        }
        None
    }

    /// Ends all connections.
    pub(crate) async fn stop(self) {
        self.network.stop().await;
    }
}
