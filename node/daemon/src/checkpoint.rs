//! Beginning after a block that the operator trusts, instead of with the first one.
//!
//! The block's id proves its header, that its parent's, and so on down to the height of a snapshot
//! that peers have: its header proves the state, piece by piece, and the header after it the history.
//! ADR 0016 says more.

mod journal;
mod pieces;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use goodwatt_chain::block::Header;
use goodwatt_chain::codec;
use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::hash::BlockId;
use goodwatt_chain::history::History;
use goodwatt_chain::ledger::Tip;
use goodwatt_chain::tree::StateSummary;
use goodwatt_chain::units::{Height, UnixMillis};
use goodwatt_store::{DataDirLock, Folder, Snapshot};
use goodwatt_validator::{Message, Notes, SealedHeader, StateAnswer, StateQuestion, Wound};
use tokio::time::Instant;

use self::journal::Journal;
use crate::config::{Checkpoint, Config};
use crate::fetch::{Fetch, PATIENCE};
use crate::net::PeerId;
use crate::validator::{begin_at, build_time};

type Failure = Box<dyn std::error::Error>;

/// How long peers are gathered once the first one has answered.
const GATHERING: Duration = Duration::from_secs(5);
/// How many headers are asked for at a time.
const HEADERS: u64 = 256;
/// How often another snapshot is looked for before it is given up.
const SNAPSHOTS_MAX: usize = 5;

/// Why a chain cannot be begun there.
#[derive(Debug, thiserror::Error)]
enum CheckpointError {
    #[error("a checkpoint has to be compared with peers: name some in [network]")]
    NoPeers,
    #[error(
        "the checkpoint names block {trusted} at {height}, peer {peer} has block {other} there: one of \
         them is of a false chain; ask somebody you trust, and nothing is begun"
    )]
    Disagreement { height: Height, trusted: BlockId, other: BlockId, peer: PeerId },
    #[error(
        "the checkpoint at {height} is {age_s} s old, and may be {most_s} s (the vesting time): who \
         signed then has nothing to lose by now; take a younger block"
    )]
    TooOld { height: Height, age_s: u64, most_s: u64 },
    #[error(
        "no peer has the state of a block below {height}{}: take a younger checkpoint",
        newest.map_or_else(String::new, |newest| format!(", the one they have is of {newest}"))
    )]
    NoState { height: Height, newest: Option<Height> },
    #[error("no peer gives {0}: try again when there are others")]
    NotGiven(&'static str),
}

/// A state that the checkpoint proves, and who has it.
struct Offer {
    header: Header,
    /// The header after it.
    next: Header,
    history: History,
    summary: StateSummary,
    peers: Vec<PeerId>,
}

/// Fetches what a ledger needs to go on from a checkpoint, into a folder without blocks.
///
/// # Errors
/// When the checkpoint is refused, peers do not have what is needed, or the disk refuses.
pub(crate) async fn begin(
    config: &Config,
    genesis: &Genesis,
    trusted: Checkpoint,
) -> Result<(), Failure> {
    let _lock = DataDirLock::take(&config.node.data_dir)?;
    let fetch = Fetch::start(config, genesis.chain_id())?.ok_or(CheckpointError::NoPeers)?;
    let mut beginning = Beginning { fetch, config, genesis, trusted };
    let done = beginning.run().await;
    beginning.fetch.stop().await;
    done
}

struct Beginning<'a> {
    fetch: Fetch,
    config: &'a Config,
    genesis: &'a Genesis,
    trusted: Checkpoint,
}

impl Beginning<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        tracing::info!("beginning after block {}: waiting for peers", self.trusted);
        let (header, agreed) = self.compare().await?;
        tracing::info!("{} peers have the block of the checkpoint", agreed.len());
        self.check_age(&header, &agreed).await?;
        for _ in 0..SNAPSHOTS_MAX {
            let offer = self.find_state(&agreed).await?;
            let (height, root) = (offer.header.height, offer.header.state_root);
            let mut journal =
                Journal::open(&self.config.node.data_dir, height, root, &offer.summary)?;
            if pieces::fetch(&mut self.fetch, &mut journal, &offer).await? {
                return self.install(&offer, journal).await;
            }
            tracing::info!("the peers have another state by now");
        }
        Err(CheckpointError::NotGiven("the state").into())
    }

    /// Asks as many peers as the operator wants for the block, or all where there are fewer.
    async fn compare(&mut self) -> Result<(Header, Vec<PeerId>), CheckpointError> {
        let Checkpoint { height, block } = self.trusted;
        let question = Message::WantHeaders { from: height, count: 1 };
        let (mut asked, mut found, mut enough) = (Vec::new(), BTreeMap::new(), None);
        loop {
            let new: Vec<PeerId> =
                self.fetch.peers.iter().filter(|peer| !asked.contains(*peer)).copied().collect();
            for peer in new {
                self.fetch.ask(peer, &question);
                asked.push(peer);
            }
            let until = enough.unwrap_or_else(|| Instant::now() + PATIENCE);
            if let Some((peer, Message::Headers(headers))) = self.fetch.answer(until).await
                && let Some(SealedHeader { header, .. }) = headers.into_iter().next()
            {
                let other = header.id();
                if header.height == height && other != block {
                    return Err(CheckpointError::Disagreement {
                        height,
                        trusted: block,
                        other,
                        peer,
                    });
                }
                if other == block {
                    found.insert(peer, header);
                    enough.get_or_insert_with(|| Instant::now() + GATHERING);
                }
            }
            let late = enough.is_some_and(|until| until <= Instant::now());
            if (late || found.len() >= self.config.chain.checkpoint_peers)
                && let Some(header) = found.values().next().cloned()
            {
                return Ok((header, found.into_keys().collect()));
            }
            if enough.is_none() {
                asked.retain(|peer| self.fetch.peers.contains(peer));
            }
        }
    }

    /// Refuses a block that is older than the vesting time: by the clock, or where that cannot be
    /// right by the latest block that peers have.
    async fn check_age(
        &mut self,
        header: &Header,
        peers: &[PeerId],
    ) -> Result<(), CheckpointError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut now = UnixMillis::new(since.as_millis() as u64);
        if now < build_time() {
            now = header.time;
            for peer in peers {
                let tip = self.fetch.tip_of(*peer).unwrap_or(header.height);
                let question = Message::WantHeaders { from: tip, count: 1 };
                let time = |answer| match answer {
                    Message::Headers(headers) => headers.first().map(|one| Ok(one.header.time)),
                    _ => None,
                };
                now = now.max(self.fetch.ask_any(&[*peer], &question, time).await.unwrap_or(now));
            }
        }
        let parameters = &self.genesis.parameters;
        let most = parameters.epoch_length.get().saturating_mul(parameters.vesting_delay);
        let age = now.saturating_since(header.time).get();
        if age > most {
            let (height, age_s, most_s) = (header.height, age / 1_000, most / 1_000);
            return Err(CheckpointError::TooOld { height, age_s, most_s });
        }
        Ok(())
    }

    /// The state of a snapshot below the checkpoint that most peers have, proven.
    async fn find_state(&mut self, agreed: &[PeerId]) -> Result<Offer, CheckpointError> {
        let mut offers: BTreeMap<Height, Vec<(PeerId, History, StateSummary)>> = BTreeMap::new();
        let (mut waiting, until) = (Vec::new(), Instant::now() + PATIENCE);
        for peer in agreed {
            self.fetch.ask(*peer, &Message::WantState(StateQuestion::Summary));
            waiting.push(*peer);
        }
        while waiting.iter().any(|peer| self.fetch.peers.contains(peer)) && Instant::now() < until {
            let Some((peer, Message::State(answer))) = self.fetch.answer(until).await else {
                continue;
            };
            waiting.retain(|other| *other != peer);
            if let Some(StateAnswer::Summary { height, history, buckets }) =
                answer.map(|some| *some)
            {
                offers.entry(height).or_default().push((peer, history, buckets));
            }
        }
        let newest = offers.keys().next_back().copied();
        let height = self.trusted.height;
        let below = offers.into_iter().filter(|(of, _)| *of < height && *of > Height::ZERO);
        let best = below.max_by_key(|(of, peers)| (peers.len(), *of));
        let (of, offered) = best.ok_or(CheckpointError::NoState { height, newest })?;
        let (header, next) = self.headers_down_to(of, agreed).await?;
        let is_right = |history: &History, summary: &StateSummary| {
            summary.root() == Some(header.state_root)
                && history.len() == of.get()
                && history.root() == next.history_root
        };
        let (right, wrong): (Vec<_>, Vec<_>) =
            offered.into_iter().partition(|(_, history, summary)| is_right(history, summary));
        for (peer, ..) in wrong {
            self.fetch.blame(peer, "a state that the checkpoint does not prove");
        }
        let peers = right.iter().map(|(peer, ..)| *peer).collect();
        let (_, history, summary) =
            right.into_iter().next().ok_or(CheckpointError::NotGiven("a state that is proven"))?;
        Ok(Offer { header, next, history, summary, peers })
    }

    /// Walks from the checkpoint down by the parents; gives the header of a height, and the one after.
    async fn headers_down_to(
        &mut self,
        height: Height,
        peers: &[PeerId],
    ) -> Result<(Header, Header), CheckpointError> {
        let (mut last, mut id, mut above) = (self.trusted.height.get(), self.trusted.block, None);
        loop {
            let from = height.get().max(last.saturating_sub(HEADERS - 1));
            let count = last - from + 1;
            // At most `HEADERS`, which fits.
            let question = Message::WantHeaders { from: Height::new(from), count: count as u16 };
            let judge = |answer| match answer {
                Message::Headers(headers) if headers.len() as u64 == count => {
                    Some(linked(headers, id).ok_or("headers that the checkpoint does not prove"))
                }
                _ => None,
            };
            let headers = self.fetch.ask_any(peers, &question, judge).await;
            let headers = headers.ok_or(CheckpointError::NotGiven("the headers below it"))?;
            let mut headers = headers.into_iter();
            let Some(first) = headers.next() else { continue };
            let second = headers.next().or(above);
            if from == height.get()
                && let Some(second) = second
            {
                return Ok((first, second));
            }
            (last, id, above) = (from - 1, first.parent, Some(first));
        }
    }

    /// Puts snapshot and first block into the data folder.
    async fn install(&mut self, offer: &Offer, journal: Journal) -> Result<(), Failure> {
        let Offer { header, next, history, peers, .. } = offer;
        let (height, chain, after) = (header.height, self.genesis.chain_id(), next.id());
        let question = Message::WantBlocks { from: height, count: 2 };
        let judge = |answer| {
            let Message::Blocks(blocks) = answer else { return None };
            let [block, next] = <[_; 2]>::try_from(blocks).ok()?;
            let known = next.id() == after;
            let records =
                known.then(|| Wound::before(*next, height, 1).records(&chain, vec![block]));
            Some(records.flatten().ok_or("a block that the checkpoint does not prove"))
        };
        let record = self.fetch.ask_any(peers, &question, judge).await;
        let record = record.and_then(|records| records.into_iter().next());
        let record = record.ok_or(CheckpointError::NotGiven("the block of the state"))?;
        let tip = Tip {
            height,
            id: header.id(),
            time: header.time,
            state_root: header.state_root,
            history: history.clone(),
        };
        let notes = codec::encode(&Notes { tip, transactions: 0 });
        let data = &self.config.node.data_dir;
        Snapshot::write(&Folder::at(data)?, height, &notes, journal.leaves())?;
        begin_at(data, self.genesis, height, &record)?;
        journal.remove();
        tracing::info!("the state of {height} is here, each piece proven by the checkpoint");
        Ok(())
    }
}

/// Headers that end with the one of this id, each naming the one before it.
fn linked(headers: Vec<SealedHeader>, last: BlockId) -> Option<Vec<Header>> {
    let mut id = last;
    for SealedHeader { header, .. } in headers.iter().rev() {
        if header.id() != id {
            return None;
        }
        id = header.parent;
    }
    Some(headers.into_iter().map(|sealed| sealed.header).collect())
}
