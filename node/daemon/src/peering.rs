//! From the network to the validator's thread.

use std::sync::Arc;
use std::time::Duration;

use goodwatt_chain::announcement::Announcement;
use goodwatt_chain::codec;
use goodwatt_chain::hash::ChainId;
use goodwatt_chain::light::Question;
use goodwatt_chain::signature::PublicKey;
use tokio::sync::mpsc::Receiver;

use crate::config::{Config, Role};
use crate::net::{Conduct, Kind, Network, NetworkError, NetworkEvent, NetworkSettings, PeerId};
use crate::validator::{FromNetwork, Handle, read_frame};

/// How soon the validator is tried again while it is busy. Meanwhile nothing more is read.
const BUSY: Duration = Duration::from_millis(5);

/// Starts the network, if the configuration names anybody to talk to.
///
/// # Errors
/// See [`NetworkError`].
pub(crate) fn start(
    config: &Config,
    chain: ChainId,
) -> Result<Option<(Network, Receiver<NetworkEvent>)>, NetworkError> {
    let settings = NetworkSettings::of(config, chain);
    let start = |mut settings: NetworkSettings| {
        settings.check_announcement = Some(Arc::new(move |peer, bytes| {
            read_announcement(bytes).is_some_and(|word| word.verify(&chain, peer.as_bytes()))
        }));
        Network::start(settings)
    };
    settings.map(start).transpose()
}

fn read_announcement(bytes: &[u8]) -> Option<Announcement> {
    codec::decode(bytes).ok()
}

/// The slot key that vouches for a node; its signature was checked when it came.
fn signer(announcement: Option<&[u8]>) -> Option<PublicKey> {
    announcement.and_then(read_announcement).map(|announcement| announcement.signer)
}

/// Hands everything on, until the network or the validator ends.
pub(crate) async fn pump(network: Network, mut events: Receiver<NetworkEvent>, validator: Handle) {
    if !hand_on(&validator, FromNetwork::Running(network.clone())).await {
        return;
    }
    while let Some(event) = events.recv().await {
        let news = match event {
            NetworkEvent::Connected { peer, role: Role::Light, .. } => FromNetwork::Light(peer),
            NetworkEvent::Connected { peer, announcement, .. } => {
                if !hand_on(&validator, FromNetwork::Connected(peer)).await {
                    return;
                }
                FromNetwork::Announced(peer, signer(announcement.as_deref()))
            }
            NetworkEvent::Announced { peer, announcement } => {
                FromNetwork::Announced(peer, signer(announcement.as_deref()))
            }
            NetworkEvent::Disconnected { peer, reason } => {
                tracing::debug!("{peer} is gone: {reason}");
                FromNetwork::Disconnected(peer)
            }
            NetworkEvent::Frame { peer, kind, payload } => match take(peer, kind, &payload) {
                Some(news) => news,
                None => {
                    network.report(peer, Conduct::Invalid);
                    continue;
                }
            },
        };
        if !hand_on(&validator, news).await {
            return;
        }
    }
}

/// What a frame says; `None` where its content is not what its kind says.
fn take(peer: PeerId, kind: Kind, payload: &[u8]) -> Option<FromNetwork> {
    if kind == Kind::Question {
        let question = Question::decode(payload).ok()?;
        return Some(FromNetwork::Asked(peer, Box::new(question)));
    }
    read_frame(kind, payload).map(|message| FromNetwork::Said(peer, Box::new(message)))
}

/// Waits for a place in the validator's queue; `false` where it has ended.
async fn hand_on(validator: &Handle, news: FromNetwork) -> bool {
    let mut news = news;
    loop {
        match validator.network(news) {
            Ok(()) => return true,
            Err(Some(again)) => news = again,
            Err(None) => return false,
        }
        tokio::time::sleep(BUSY).await;
    }
}
