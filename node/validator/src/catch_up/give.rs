//! Answers to those who are behind.

use goodwatt_chain::codec;
use goodwatt_chain::units::Height;

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
        let blocks =
            self.logged_from(now, from, count.min(BLOCKS_MAX), |logged, bytes| (logged, bytes));
        self.send(To::Peer(to), Message::Blocks(blocks));
    }

    /// Answers with headers from the log, as many as fit.
    pub(crate) fn give_headers(&mut self, now: Now, to: PeerId, from: Height, count: u16) {
        let headers = self.logged_from(now, from, count.min(HEADERS), |logged, _| {
            let LoggedBlock { certificate, block } = logged;
            let sealed = SealedHeader { certificate, header: block.header };
            let bytes = codec::encode(&sealed).len();
            (sealed, bytes)
        });
        self.send(To::Peer(to), Message::Headers(headers));
    }

    /// What the log has from a height on, as much as fits into one answer.
    fn logged_from<T>(
        &mut self,
        now: Now,
        from: Height,
        count: u16,
        make: impl Fn(LoggedBlock, usize) -> (T, usize),
    ) -> Vec<T> {
        let (mut answer, mut sum, mut damage) = (Vec::new(), 0, None);
        // The log begins with the first block it has where one below that is asked for.
        let records = self.card.log.blocks_from(from).take(usize::from(count));
        let is_there = self.card.log.first().is_some_and(|first| first <= from);
        for record in records.filter(|_| is_there) {
            let record = match record {
                Ok((_, record)) => record,
                Err(error) => {
                    damage = Some(error);
                    break;
                }
            };
            let Ok(logged) = codec::decode::<LoggedBlock>(&record) else { break };
            let (item, bytes) = make(logged, record.len());
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
