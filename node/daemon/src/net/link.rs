//! One connection, as everybody but its own task sees it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use goodwatt_chain::units::Height;
use tokio::sync::Notify;

use super::clock::Moment;
use super::hello::Hello;
use super::identity::PeerId;
use super::outgoing::{Frame, Queue};
use super::reason::Reason;
use crate::config::Role;

/// So many pings without any sign of life, and a connection is dead.
const PINGS_MISSED_MAX: u8 = 2;
/// Addresses one peer may tell between two pings: some full answers, and news.
const ADDRESSES_HEARD_MAX: u32 = 512;

/// Who is at the other end, and how it came to be connected.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) peer: PeerId,
    pub(super) remote: SocketAddr,
    /// Whether this node called.
    pub(super) outbound: bool,
    /// The caller's count of its calls.
    pub(super) call: u32,
    /// The peer's nonce.
    pub(super) nonce: u64,
    /// How often this node's announcement had changed when it was told in the hello.
    pub(super) announced: u64,
    pub(super) role: Role,
    pub(super) software: Box<str>,
    pub(super) tip: Height,
    pub(super) listens: Option<SocketAddr>,
    pub(super) since: Moment,
}

impl Party {
    /// From a peer's hello, on a connection that this node made by its `own_call`, or accepted.
    pub(super) fn new(
        peer: PeerId,
        remote: SocketAddr,
        own_call: Option<u32>,
        hello: &Hello,
        now: Moment,
    ) -> Self {
        Self {
            peer,
            remote,
            outbound: own_call.is_some(),
            call: own_call.unwrap_or(hello.call),
            nonce: hello.nonce,
            announced: 0,
            role: hello.role(),
            software: hello.software.as_str().into(),
            tip: hello.tip,
            listens: hello.listens(remote),
            since: now,
        }
    }
}

/// A connection that shook hands.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) party: Party,
    inner: Mutex<Inner>,
    /// Something waits to be sent.
    wake: Notify,
    /// It is to be closed.
    close: Notify,
    /// Its task is over; whoever takes its place waits for this.
    pub(super) ended: Notify,
    /// A frame is on its way out; a goodbye now would be taken for a part of it.
    mid_frame: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    queue: Queue,
    closing: Option<Reason>,
    is_closed: bool,
    /// When the last ping was sent.
    ping_sent: Moment,
    /// Pings that were not answered yet, and those of them since the last sign of life.
    pings_open: u8,
    pings_missed: u8,
    round_trip: Option<Duration>,
    bytes_in: u64,
    bytes_out: u64,
    requests: u32,
    addresses_told: Option<Moment>,
    addresses_heard: u32,
}

/// What is measured on a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readings {
    pub(super) round_trip: Option<Duration>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) queued: usize,
}

impl Link {
    pub(super) fn new(party: Party) -> Arc<Self> {
        Arc::new(Self {
            party,
            inner: Mutex::default(),
            wake: Notify::new(),
            close: Notify::new(),
            ended: Notify::new(),
            mid_frame: AtomicBool::new(false),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a frame; one that does not fit closes the connection. Says whether it will go out.
    pub(super) fn enqueue(&self, frame: Arc<Frame>) -> bool {
        let mut inner = self.inner();
        if inner.is_closed {
            return false;
        }
        let is_request = frame.kind.asks();
        if !inner.queue.push(frame) {
            let queued = inner.queue.bytes();
            drop(inner);
            self.close(Reason::Slow { queued });
            return false;
        }
        inner.requests += u32::from(is_request);
        drop(inner);
        self.wake.notify_one();
        true
    }

    /// The next frame to send.
    pub(super) fn next_frame(&self) -> Option<Arc<Frame>> {
        self.inner().queue.pop()
    }

    /// Waits until there may be one.
    pub(super) async fn frame_waits(&self) {
        self.wake.notified().await;
    }

    /// A frame went out.
    pub(super) fn sent(&self, frame: &Frame) {
        let mut inner = self.inner();
        inner.queue.sent(frame);
        inner.bytes_out += frame.parts().iter().map(|part| part.len() as u64).sum::<u64>();
    }

    /// A frame came in: the peer lives.
    pub(super) fn received(&self, bytes: usize) {
        let mut inner = self.inner();
        inner.bytes_in += bytes as u64;
        inner.pings_missed = 0;
    }

    /// Tells the connection's task to close; the first reason counts.
    pub(super) fn close(&self, reason: Reason) {
        let mut inner = self.inner();
        if !inner.is_closed {
            inner.is_closed = true;
            inner.queue.clear();
            inner.closing = Some(reason);
            drop(inner);
            self.close.notify_one();
        }
    }

    /// Waits until it is to be closed.
    pub(super) async fn closing(&self) -> Reason {
        loop {
            if let Some(reason) = self.inner().closing.take() {
                return reason;
            }
            self.close.notified().await;
        }
    }

    /// Nothing more is sent or queued.
    pub(super) fn shut(&self) {
        let mut inner = self.inner();
        inner.is_closed = true;
        inner.queue.clear();
    }

    pub(super) fn set_mid_frame(&self, mid_frame: bool) {
        self.mid_frame.store(mid_frame, Ordering::Relaxed);
    }

    pub(super) fn is_mid_frame(&self) -> bool {
        self.mid_frame.load(Ordering::Relaxed)
    }

    /// A ping is about to be sent; `false` where the peer is dead.
    pub(super) fn begin_ping(&self, now: Moment) -> bool {
        let mut inner = self.inner();
        if inner.pings_open > 0 {
            inner.pings_missed += 1;
        }
        inner.pings_open = inner.pings_open.saturating_add(1);
        inner.addresses_heard = 0;
        inner.ping_sent = now;
        inner.pings_missed < PINGS_MISSED_MAX
    }

    /// A pong came; says whether a ping was open.
    pub(super) fn end_ping(&self, now: Moment) -> bool {
        let mut inner = self.inner();
        let (open, sent) = (inner.pings_open, inner.ping_sent);
        inner.pings_open = open.saturating_sub(1);
        drop(inner);
        if open == 1 {
            self.note_round_trip(now.saturating_sub(sent));
        }
        open > 0
    }

    /// A round trip was measured; a single one weighs an eighth (RFC 6298, section 2).
    pub(super) fn note_round_trip(&self, sample: Duration) {
        let mut inner = self.inner();
        inner.round_trip = Some(inner.round_trip.map_or(sample, |old| (old * 7 + sample) / 8));
    }

    /// A response came; says whether a request was open.
    pub(super) fn end_request(&self) -> bool {
        let mut inner = self.inner();
        let open = inner.requests > 0;
        inner.requests = inner.requests.saturating_sub(1);
        open
    }

    /// Whether addresses may be told again; once a minute is enough.
    pub(super) fn may_tell_addresses(&self, now: Moment) -> bool {
        let mut inner = self.inner();
        let told = inner.addresses_told;
        let may = told.is_none_or(|told| now.saturating_sub(told) >= Duration::from_secs(60));
        if may {
            inner.addresses_told = Some(now);
        }
        may
    }

    /// Whether this peer may tell so many more addresses between two pings.
    pub(super) fn hears_addresses(&self, count: usize) -> bool {
        let mut inner = self.inner();
        inner.addresses_heard = inner.addresses_heard.saturating_add(count as u32);
        inner.addresses_heard <= ADDRESSES_HEARD_MAX
    }

    pub(super) fn readings(&self) -> Readings {
        let inner = self.inner();
        Readings {
            round_trip: inner.round_trip,
            bytes_in: inner.bytes_in,
            bytes_out: inner.bytes_out,
            queued: inner.queue.bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Arc<Link> {
        Link::new(Party {
            peer: PeerId::from_bytes([1; 32]),
            remote: SocketAddr::from(([127, 0, 0, 1], 1)),
            outbound: true,
            call: 1,
            nonce: 1,
            announced: 0,
            role: Role::Main,
            software: "1".into(),
            tip: Height::default(),
            listens: None,
            since: Moment::ZERO,
        })
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn late_pongs_are_forgiven_and_silence_is_not() {
        let link = link();
        assert!(!link.end_ping(ms(0)), "nothing was asked");
        assert!(link.begin_ping(ms(0)) && link.begin_ping(ms(100)));
        assert!(link.end_ping(ms(150)) && link.end_ping(ms(160)), "both were asked for");
        assert_eq!(link.readings().round_trip, Some(ms(60)), "since the last ping");
        assert!(!link.end_ping(ms(170)));
        link.received(5);
        assert!(link.begin_ping(ms(200)) && link.begin_ping(ms(300)));
        link.received(5);
        assert!(link.begin_ping(ms(400)), "it sent something else");
        assert!(!link.begin_ping(ms(500)));
    }

    #[test]
    fn addresses_are_bounded_between_two_pings() {
        let link = link();
        assert!((0..8).all(|_| link.hears_addresses(64)));
        assert!(!link.hears_addresses(1));
        assert!(link.begin_ping(ms(0)));
        assert!(link.hears_addresses(64), "for as long as it lives");
    }

    #[test]
    fn the_first_reason_to_close_counts() {
        let link = link();
        link.close(Reason::Banned);
        link.close(Reason::Stopping);
        let gauge = Arc::default();
        assert!(!link.enqueue(Frame::new(crate::net::Kind::Tip, [], &gauge)), "it is closing");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        assert!(matches!(runtime.block_on(link.closing()), Reason::Banned));
    }
}
