//! What waits to be sent: two bounded lanes for each peer, and one count of memory for all.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::frame::{HEADER_BYTES, Header};
use super::kind::{Kind, Lane};

/// Bytes that may wait for one peer: a response of the largest size, and some more.
pub(super) const QUEUE_BYTES_MAX: usize = 2 << 20;
/// Bytes that may wait for all peers together. What is broadcast is there once.
pub(super) const ALL_BYTES_MAX: usize = 5 << 20;
/// What a frame costs beside its payload.
const OVERHEAD: usize = 64;

/// Counts the memory of all frames that wait.
#[derive(Debug, Default)]
pub(super) struct Gauge(AtomicUsize);

impl Gauge {
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One frame to be sent, shared by all peers it goes to.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    header: [u8; HEADER_BYTES],
    payload: Box<[u8]>,
    gauge: Arc<Gauge>,
}

impl Frame {
    /// A frame; the payload is within its kind's limit.
    pub(super) fn new(kind: Kind, payload: impl Into<Box<[u8]>>, gauge: &Arc<Gauge>) -> Arc<Self> {
        let payload = payload.into();
        debug_assert!(payload.len() <= kind.bytes_max(), "{kind} of {} bytes", payload.len());
        let header = Header::encode(kind, &payload);
        gauge.0.fetch_add(payload.len() + OVERHEAD, Ordering::Relaxed);
        Arc::new(Self { kind, header, payload, gauge: Arc::clone(gauge) })
    }

    /// The parts, as they go over the wire.
    pub(super) fn parts(&self) -> [&[u8]; 2] {
        [&self.header, &self.payload]
    }

    /// Bytes it takes of a peer's queue.
    pub(super) fn cost(&self) -> usize {
        self.payload.len() + OVERHEAD
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.gauge.0.fetch_sub(self.cost(), Ordering::Relaxed);
    }
}

/// What waits for one peer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    urgent: VecDeque<Arc<Frame>>,
    bulk: VecDeque<Arc<Frame>>,
    bytes: usize,
}

impl Queue {
    /// Puts a frame at the end of its lane; says whether there was room.
    pub(super) fn push(&mut self, frame: Arc<Frame>) -> bool {
        if self.bytes + frame.cost() > QUEUE_BYTES_MAX {
            return false;
        }
        self.bytes += frame.cost();
        match frame.kind.rule().lane {
            Lane::Urgent => self.urgent.push_back(frame),
            Lane::Bulk => self.bulk.push_back(frame),
        }
        true
    }

    /// The next frame. Its bytes count until [`Self::sent`].
    pub(super) fn pop(&mut self) -> Option<Arc<Frame>> {
        self.urgent.pop_front().or_else(|| self.bulk.pop_front())
    }

    /// A frame is out.
    pub(super) fn sent(&mut self, frame: &Frame) {
        self.bytes = self.bytes.saturating_sub(frame.cost());
        if self.urgent.is_empty() && self.bulk.is_empty() {
            // Most of the time nothing waits: then nothing is held.
            (self.urgent, self.bulk) = Default::default();
        }
    }

    /// Drops all that waits.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_once_however_many_it_goes_to() {
        let gauge = Arc::new(Gauge::default());
        let block = Frame::new(Kind::Block, vec![0; 1000], &gauge);
        let mut queues: Vec<_> = (0..32).map(|_| Queue::default()).collect();
        assert!(queues.iter_mut().all(|queue| queue.push(Arc::clone(&block))));
        drop(block);
        assert_eq!(gauge.bytes(), 1000 + OVERHEAD);
        queues.iter_mut().for_each(Queue::clear);
        assert_eq!(gauge.bytes(), 0);
    }

    #[test]
    fn what_is_urgent_goes_first_and_each_lane_keeps_its_order() {
        let gauge = Arc::new(Gauge::default());
        let mut queue = Queue::default();
        use Kind::{Block, Ping, Statements, Tip, Transactions};
        let sent = [Block, Statements, Transactions, Ping, Tip];
        assert!(sent.into_iter().all(|kind| queue.push(Frame::new(kind, [], &gauge))));
        let mut kinds = Vec::new();
        while let Some(frame) = queue.pop() {
            kinds.push(frame.kind);
            queue.sent(&frame);
        }
        assert_eq!(kinds, [Statements, Ping, Tip, Block, Transactions]);
        assert_eq!((queue.bytes(), gauge.bytes()), (0, 0));
    }

    #[test]
    fn a_queue_is_bounded_by_bytes_until_they_are_out() {
        let gauge = Arc::new(Gauge::default());
        let mut queue = Queue::default();
        let block = || Frame::new(Kind::Block, vec![0; 1 << 20], &gauge);
        assert!(queue.push(block()));
        assert!(!queue.push(block()), "two do not fit with what goes around them");
        let frame = queue.pop().expect("it waits");
        assert!(!queue.push(block()), "it is not out yet");
        queue.sent(&frame);
        assert!(queue.push(block()));
        let small = || Frame::new(Kind::Ping, [], &gauge);
        let fit = (0..100_000).take_while(|_| queue.push(small())).count();
        assert!((10_000..20_000).contains(&fit), "{fit} empty frames");
    }
}
