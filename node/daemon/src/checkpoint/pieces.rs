//! Fetching a state in pieces from several peers at once.

use std::collections::BTreeMap;
use std::time::Duration;

use goodwatt_chain::leaves::BucketIndex;
use goodwatt_store::LogError;
use goodwatt_validator::{Message, StateAnswer, StateQuestion};
use tokio::time::Instant;

use super::Offer;
use super::journal::{Journal, is_proven};
use crate::fetch::{Fetch, PATIENCE};
use crate::net::PeerId;

/// How many buckets are asked for at a time; a peer gives fewer where they are large.
const BUCKETS: u16 = 128;
/// How often it is said how much is there.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// Fetches what is missing, each peer asked for one piece at a time; `false` where nobody has the
/// state any more. What a peer gives is kept only where it is proven.
pub(super) async fn fetch(
    fetch: &mut Fetch,
    journal: &mut Journal,
    offer: &Offer,
) -> Result<bool, LogError> {
    let height = offer.header.height;
    let mut missing = journal.missing(BUCKETS);
    let mut able = offer.peers.clone();
    let mut busy: BTreeMap<PeerId, ((u16, u16), Instant)> = BTreeMap::new();
    let mut said = Instant::now();
    loop {
        able.retain(|peer| fetch.peers.contains(peer));
        let now = Instant::now();
        busy.retain(|peer, (range, until)| {
            let stays = *until > now && able.contains(peer);
            if !stays {
                // Too slow, or gone.
                able.retain(|other| other != peer);
                missing.push(*range);
            }
            stays
        });
        for peer in able.clone() {
            if let (false, Some((first, end))) = (busy.contains_key(&peer), missing.last().copied())
            {
                missing.pop();
                let question = StateQuestion::Buckets { height, first, end };
                fetch.ask(peer, &Message::WantState(question));
                busy.insert(peer, ((first, end), Instant::now() + PATIENCE));
            }
        }
        if busy.is_empty() {
            return Ok(missing.is_empty());
        }
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            let left: u16 = journal.missing(BUCKETS).iter().map(|(first, end)| end - first).sum();
            let done = BucketIndex::COUNT - left;
            tracing::info!("the state of {height}: {} %", u32::from(done) * 100 / 4_096);
        }
        let until = busy.values().map(|(_, until)| *until).min().unwrap_or(now);
        let Some((peer, Message::State(answer))) = fetch.answer(until).await else { continue };
        let Some(((first, end), _)) = busy.remove(&peer) else { continue };
        match answer.map(|answer| *answer) {
            Some(StateAnswer::Buckets { first: from, end: to, leaves })
                if from == first && to <= end && is_proven(&offer.summary, from, to, &leaves) =>
            {
                journal.keep(&(from, to, leaves))?;
                if to < end {
                    missing.push((to, end));
                }
            }
            answer => {
                if answer.is_some() {
                    fetch.blame(peer, "a piece of the state that its root does not prove");
                }
                able.retain(|other| *other != peer);
                missing.push((first, end));
            }
        }
    }
}
