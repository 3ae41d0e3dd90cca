//! Giving up old bodies; headers and certificates stay.

use goodwatt_chain::units::{Height, UnixMillis};
use goodwatt_store::{BlockLog, LogError};

use crate::message::SealedHeader;
use crate::parts::{Card, Signers, StateStore};
use crate::stuck::Stuck;
use crate::validator::Validator;

/// How many headers are written with one sync.
const HEADERS: usize = 512;

/// What may be given up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Prunable {
    /// Blocks below this height,
    pub below: Height,
    /// and before this time.
    pub before: UnixMillis,
}

impl<S: StateStore, K: Signers> Validator<S, K> {
    /// Gives up bodies, as whole files of the log; gives the first height that is still there.
    ///
    /// # Errors
    /// When disk or log fail: then nothing is lost.
    pub fn prune(&mut self, prunable: Prunable) -> Result<Option<Height>, Stuck> {
        let before = self.card.log.first();
        if self.card.headers.is_none() {
            return Ok(None);
        }
        while let Some(last) = self.card.log.oldest_segment().filter(|last| *last < prunable.below)
        {
            let record = self.card.log.read(last)?.unwrap_or_default();
            let is_old = SealedHeader::of_record(&record)
                .is_ok_and(|(sealed, _)| sealed.header.time < prunable.before);
            if !is_old {
                break;
            }
            self.card.keep_headers(last)?;
            self.card.log.prune_below(last.next())?;
        }
        Ok(self.card.log.first().filter(|first| Some(*first) > before))
    }
}

impl Card {
    /// Keeps headers and certificates of the blocks up to a height.
    fn keep_headers(&mut self, last: Height) -> Result<(), LogError> {
        let Some(headers) = &mut self.headers else { return Ok(()) };
        // After a crash some may be there already.
        let from = headers.tip().map_or(Height::new(1), Height::next);
        let mut blocks = self.log.blocks_from(from);
        loop {
            let (mut first, mut records) = (None, Vec::new());
            while records.len() < HEADERS
                && let Some(block) = blocks.next()
            {
                let (height, record) = block?;
                let sealed = SealedHeader::of_record(&record).ok().filter(|_| height <= last);
                let Some((_, bytes)) = sealed else { break };
                first.get_or_insert(height);
                records.push(record[..bytes].to_vec());
            }
            let Some(first) = first else { return Ok(()) };
            headers.append_all(first, &records)?;
        }
    }

    /// Header and certificate of a height, whether its body is there or not.
    ///
    /// # Errors
    /// When the log is damaged there or the disk fails.
    pub fn header(&self, height: Height) -> Result<Option<SealedHeader>, LogError> {
        let mut record = self.log.read(height)?;
        if record.is_none()
            && let Some(headers) = &self.headers
        {
            record = headers.read(height)?;
        }
        Ok(record.and_then(|record| Some(SealedHeader::of_record(&record).ok()?.0)))
    }

    /// What the logs have of a height: the block, or header and certificate of one that is pruned. Both
    /// begin with a [`SealedHeader`].
    ///
    /// # Errors
    /// When the log is damaged there or the disk fails.
    pub fn record(&self, height: Height) -> Result<Option<Vec<u8>>, LogError> {
        self.log_with(height).read(height)
    }

    /// The log that has something of a height.
    pub(crate) fn log_with(&self, height: Height) -> &BlockLog {
        let pruned = self.log.first().is_some_and(|first| height < first);
        self.headers.as_ref().filter(|_| pruned).unwrap_or(&self.log)
    }
}
