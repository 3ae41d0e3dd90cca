//! Answers to those who are behind.

use goodwatt_chain::codec;
use goodwatt_chain::units::Height;
use goodwatt_store::BlockLog;

use super::HEADERS;
use crate::message::{LoggedBlock, MESSAGE_BYTES_MAX, Message, SealedHeader};
use crate::parts::{Now, PeerId, Signers, StateStore, To};
use crate::validator::Validator;

/// The most blocks in one answer.
const BLOCKS_MAX: u16 = 128;
/// How many bytes of blocks go into one answer; there is room for one full block above.
const ANSWER_BYTES: usize = 512 << 10;
/// What goes around the blocks of an answer at the most.
const ENVELOPE_BYTES: usize = 1 << 10;

impl<S: StateStore, K: Signers> Validator<S, K> {
    /// Answers with blocks from the log, as many as fit.
    pub(crate) fn give_blocks(&mut self, now: Now, to: PeerId, from: Height, count: u16) {
        let blocks = self.records(now, from, count.min(BLOCKS_MAX), false, |record| {
            Some((codec::decode::<LoggedBlock>(record).ok()?, record.len()))
        });
        self.send(To::Peer(to), Message::Blocks(blocks));
    }

    /// Answers with headers, as many as fit; those of pruned blocks are there as well.
    pub(crate) fn give_headers(&mut self, now: Now, to: PeerId, from: Height, count: u16) {
        let headers = self.records(now, from, count.min(HEADERS), true, |record| {
            SealedHeader::of_record(record).ok()
        });
        self.send(To::Peer(to), Message::Headers(headers));
    }

    /// What one of the logs has from a height on, as much as fits into one answer.
    fn records<T>(
        &mut self,
        now: Now,
        from: Height,
        count: u16,
        or_headers: bool,
        read: impl Fn(&[u8]) -> Option<(T, usize)>,
    ) -> Vec<T> {
        let log: &BlockLog = if or_headers { self.card.log_with(from) } else { &self.card.log };
        let (mut answer, mut sum, mut damage) = (Vec::new(), 0, None);
        // A log begins with the first block it has where one below that is asked for.
        let is_there = log.first().is_some_and(|first| first <= from);
        for record in log.blocks_from(from).take(usize::from(count)).filter(|_| is_there) {
            let record = match record {
                Ok((_, record)) => record,
                Err(error) => {
                    damage = Some(error);
                    break;
                }
            };
            let Some((item, bytes)) = read(&record) else { break };
            if !answer.is_empty() && sum + bytes > MESSAGE_BYTES_MAX - ENVELOPE_BYTES {
                break;
            }
            sum += bytes;
            answer.push(item);
            if sum >= ANSWER_BYTES {
                break;
            }
        }
        if let Some(error) = damage {
            self.note_damage(now, &error);
        }
        answer
    }
}
