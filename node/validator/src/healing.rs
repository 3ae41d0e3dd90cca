//! Healing the log: a damaged record is made again with the help of a peer.
//!
//! The record behind the damage names its parent, and that one the one before it: so what belongs in
//! between is proven, whoever gives it. Each certificate is taken from the block that follows.

use goodwatt_chain::codec;
use goodwatt_chain::hash::{ChainId, TxId};
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::{Height, HeightDelta};
use goodwatt_store::{BlockLog, Damage, Folder, LogError};
use goodwatt_units::Millis;

use crate::message::{LoggedBlock, Message};
use crate::parts::{Now, Output, PeerId, Signers, StateStore, To};
use crate::validator::Validator;

/// The most records in a row that are made again: what fits into an answer.
const BLOCKS_MAX: u64 = 64;
/// How long a peer may take to answer before another one is asked.
const PATIENCE: Millis = Millis::from_secs(5);

/// Damaged records in a row, and what proves their content.
#[derive(Debug)]
pub struct Wound {
    /// The first of them.
    pub from: Height,
    /// How many there are.
    pub count: u16,
    successor: LoggedBlock,
}

impl Wound {
    /// Blocks before one that is known to be right.
    #[must_use]
    pub const fn before(successor: LoggedBlock, from: Height, count: u16) -> Self {
        Self { from, count, successor }
    }

    /// What has to be made again; `None` where that cannot be proven, as nothing whole is behind, or
    /// too much is damaged.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn find(folder: &Folder, damage: &Damage) -> Result<Option<Self>, LogError> {
        let Some((height, record)) = BlockLog::behind(folder, damage)? else { return Ok(None) };
        let count = height.since(damage.height).map_or(0, HeightDelta::get);
        // A record that is whole and no block proves nothing: then it cannot be healed.
        let successor = codec::decode::<LoggedBlock>(&record).ok();
        let successor = successor.filter(|logged| logged.block.header.height == height);
        Ok(successor.filter(|_| count <= BLOCKS_MAX).map(|successor| {
            // At most `BLOCKS_MAX`, which fits.
            Self { from: damage.height, count: count as u16, successor }
        }))
    }

    /// What to ask a peer.
    #[must_use]
    pub const fn question(&self) -> Message {
        Message::WantBlocks { from: self.from, count: self.count }
    }

    /// The records that belong there, if these blocks are the right ones.
    #[must_use]
    pub fn records(&self, chain: &ChainId, blocks: Vec<LoggedBlock>) -> Option<Vec<Vec<u8>>> {
        if blocks.len() != usize::from(self.count) {
            return None;
        }
        let mut next = self.successor.block.clone();
        let mut records = Vec::new();
        for LoggedBlock { block, .. } in blocks.into_iter().rev() {
            if block.header.id() != next.header.parent || !is_whole(chain, &block) {
                return None;
            }
            next.check_certificate_hash().ok()?;
            let certificate = next.parent_certificate.take()?;
            let logged = LoggedBlock { certificate, block };
            records.push(codec::encode(&logged));
            next = logged.block;
        }
        records.reverse();
        Some(records)
    }
}

/// Whether the body is what the header commits to.
fn is_whole(chain: &ChainId, block: &goodwatt_chain::block::Block) -> bool {
    let decode = |raw: &goodwatt_chain::block::RawTransaction| {
        Transaction::decode(chain, &raw.0).map(|transaction| transaction.id())
    };
    let ids: Result<Vec<TxId>, _> = block.transactions.iter().map(decode).collect();
    ids.is_ok_and(|ids| block.check_transactions_root(&ids).is_ok())
        && block.check_certificate_hash().is_ok()
}

/// Damage that was met while running.
#[derive(Debug, Default)]
pub(crate) struct Healing {
    damage: Option<Damage>,
    asked: Option<(PeerId, Millis, Wound)>,
    /// Who was asked for it already.
    tried: Vec<PeerId>,
}

impl Healing {
    pub(crate) fn due(&self) -> Option<Millis> {
        self.asked.as_ref().map(|(_, until, _)| *until)
    }
}

impl<S: StateStore, K: Signers> Validator<S, K> {
    /// Takes note that a record could not be read, to have it healed.
    pub fn note_damage(&mut self, now: Now, error: &LogError) {
        tracing::warn!("{error}");
        if let LogError::Damaged(damage) = error
            && self.healing.damage.is_none()
        {
            self.healing = Healing { damage: Some(damage.clone()), ..Healing::default() };
            self.ask_for_healing(now);
        }
    }

    fn ask_for_healing(&mut self, now: Now) {
        let Some(damage) = self.healing.damage.clone() else { return };
        let able = self.peers.iter().find(|(id, peer)| {
            let height = peer.status.map(|status| status.height);
            height >= Some(damage.height) && !self.healing.tried.contains(id)
        });
        let peer = able.map(|(id, _)| id);
        let wound = Wound::find(self.card.log.folder(), &damage);
        let (Some(peer), Ok(Some(wound))) = (peer, wound) else {
            tracing::warn!(
                "the block log stays damaged at {}: no peer that is connected can heal it; \
                 it is tried again when that block is asked for",
                damage.height
            );
            self.healing = Healing::default();
            return;
        };
        let question = wound.question();
        self.healing.tried.push(peer);
        self.healing.asked = Some((peer, now.uptime.saturating_add(PATIENCE), wound));
        self.send(To::Peer(peer), question);
    }

    /// Asks somebody else where the one asked is silent.
    pub(crate) fn healing_late(&mut self, now: Now) {
        if self.healing.asked.take_if(|(_, until, _)| *until <= now.uptime).is_some() {
            self.ask_for_healing(now);
        }
    }

    /// Takes blocks that were asked for to heal the log; gives back those that were not.
    pub(crate) fn heal_with(
        &mut self,
        now: Now,
        from: PeerId,
        blocks: Vec<LoggedBlock>,
    ) -> Option<Vec<LoggedBlock>> {
        let first = blocks.first().map(|logged| logged.block.header.height);
        let is_answer = |(peer, _, wound): &mut (PeerId, Millis, Wound)| {
            *peer == from && first.is_none_or(|first| first == wound.from)
        };
        let Some((_, _, wound)) = self.healing.asked.take_if(is_answer) else {
            return Some(blocks);
        };
        let is_empty = blocks.is_empty();
        let Some(records) = wound.records(self.ledger.chain(), blocks) else {
            if !is_empty {
                let why = "blocks that do not belong where the log is damaged".to_owned();
                self.outputs.push(Output::Misbehaved(from, why));
            }
            self.ask_for_healing(now);
            return None;
        };
        match self.card.log.heal_open(wound.from, &records) {
            Ok(()) => {
                tracing::info!("the block log is healed at {}: {} blocks", wound.from, wound.count);
            }
            Err(error) => tracing::error!("the block log cannot be healed: {error}"),
        }
        self.healing = Healing::default();
        None
    }
}
