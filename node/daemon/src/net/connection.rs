//! A connection's task: reads, writes and closes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::budget::{Budget, Verdict};
use super::clock::Moment;
use super::event::{NetworkEvent, Payload};
use super::frame::{HEADER_BYTES, Header, read_first, read_payload, read_rest};
use super::kind::Kind;
use super::link::{Link, Party};
use super::meeting::{Met, say_goodbye};
use super::reason::{Code, Reason};
use super::shared::Shared;
use super::tls::Stream;
use super::traffic::{Counters, Way};
use crate::config::Role;

/// Bytes handed to TLS at a time: one record.
const CHUNK: usize = 16 * 1024;

/// How a connection went.
pub(super) struct Ended {
    pub(super) lasted: Moment,
    /// What the peer gave as its reason.
    pub(super) told: Option<Code>,
}

/// Serves a connection until it ends.
pub(super) async fn serve(shared: &Arc<Shared>, met: Met) -> Ended {
    let Met { stream, link, displaced, announcement } = met;
    if let Some(old) = displaced {
        // Its end is told before this one's beginning.
        old.ended.notified().await;
    }
    shared.wake.notify_one();
    let mut stream = stream;
    let reason = converse(shared, &mut stream, &link, announcement).await;
    link.shut();
    let told = if let Reason::Told { code, .. } = &reason { *code } else { None };
    let lasted = shared.clock.now().saturating_sub(link.party.since);
    let goodbye = reason.goodbye().filter(|_| !link.is_mid_frame());
    // Nobody waits for a peer that takes its time to read a goodbye.
    tokio::join!(depart(shared, &link, reason), async {
        if let Some(goodbye) = goodbye {
            say_goodbye(shared, &mut stream, &goodbye).await;
        }
    });
    Ended { lasted, told }
}

/// Takes a connection off the list, and tells that.
async fn depart(shared: &Shared, link: &Arc<Link>, reason: Reason) {
    let (peer, remote) = (link.party.peer, link.party.remote);
    shared.state().release(link);
    match reason.conduct() {
        Some(conduct) => {
            shared.complain(&format_args!("peer {peer} at {remote}: {reason}"));
            shared.note(Some(peer), Some(remote.ip()), conduct);
        }
        None => tracing::debug!("peer {peer} at {remote} is gone: {reason}"),
    }
    // Where nobody listens to events any more, nobody misses this one.
    drop(shared.tell(NetworkEvent::Disconnected { peer, reason }).await);
    link.ended.notify_one();
    shared.wake.notify_one();
}

/// Reads and writes until one of them, or somebody else, wants an end.
async fn converse(
    shared: &Arc<Shared>,
    stream: &mut Stream,
    link: &Arc<Link>,
    announcement: Option<Vec<u8>>,
) -> Reason {
    let Party { peer, remote, role, tip, outbound, software, .. } = &link.party;
    let side = if *outbound { "called" } else { "a caller" };
    tracing::debug!("peer {peer} at {remote} is connected: {role}, version {software}, {side}");
    let (peer, role, tip) = (*peer, *role, *tip);
    let connected = NetworkEvent::Connected { peer, role, tip, announcement };
    if let Err(reason) = shared.tell(connected).await {
        return reason;
    }
    ping(shared, link);
    {
        let state = shared.state();
        if state.announced != link.party.announced {
            // It changed after our hello was written and before we were listed.
            let announcement = state.announcement.clone().unwrap_or_default();
            link.enqueue(shared.frame(Kind::Announcement, announcement));
        }
    }
    if *outbound {
        link.enqueue(shared.frame(Kind::PeersWanted, []));
    }
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut intake = Intake::new(shared, link);
    tokio::select! {
        biased;
        reason = link.closing() => reason,
        reason = intake.run(&mut reader) => reason,
        error = transmit(link, &shared.traffic, &mut writer) => Reason::Broken(error),
    }
}

/// Sends a ping, or closes the connection where the last ones were not answered.
pub(super) fn ping(shared: &Shared, link: &Link) {
    if link.begin_ping(shared.clock.now()) {
        link.enqueue(shared.frame(Kind::Ping, []));
    } else {
        link.close(Reason::Silent);
    }
}

/// Writes what waits, and sleeps while nothing does; comes back only with an error.
async fn transmit(
    link: &Link,
    traffic: &Counters,
    writer: &mut (impl AsyncWrite + Unpin),
) -> io::Error {
    loop {
        match transmit_waiting(link, traffic, writer).await {
            Ok(()) => link.frame_waits().await,
            Err(error) => return error,
        }
    }
}

/// Writes all that waits, as many frames to a record as fit.
async fn transmit_waiting(
    link: &Link,
    traffic: &Counters,
    writer: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut chunk = Vec::new();
    while let Some(frame) = link.next_frame() {
        link.set_mid_frame(true);
        for mut part in frame.parts() {
            while !part.is_empty() {
                let room = CHUNK - chunk.len();
                let (now, later) = part.split_at(part.len().min(room));
                chunk.extend_from_slice(now);
                part = later;
                if chunk.len() == CHUNK {
                    writer.write_all(&chunk).await?;
                    chunk.clear();
                }
            }
        }
        traffic.count(frame.kind, Way::Out, frame.parts().iter().map(|part| part.len()).sum());
        link.sent(&frame);
    }
    if !chunk.is_empty() {
        writer.write_all(&chunk).await?;
    }
    writer.flush().await?;
    link.set_mid_frame(false);
    Ok(())
}

/// The reading side: checks, pays, reads, hands on.
struct Intake<'c> {
    shared: &'c Arc<Shared>,
    link: &'c Arc<Link>,
    budget: Budget,
}

impl<'c> Intake<'c> {
    fn new(shared: &'c Arc<Shared>, link: &'c Arc<Link>) -> Self {
        let budget = Budget::new(shared.settings.budget, shared.clock.now());
        Self { shared, link, budget }
    }

    /// Reads until there is a reason to stop.
    async fn run(&mut self, reader: &mut (impl AsyncRead + Unpin)) -> Reason {
        loop {
            if let Err(reason) = self.next(reader).await {
                return reason;
            }
        }
    }

    /// One frame.
    async fn next(&mut self, reader: &mut (impl AsyncRead + Unpin)) -> Result<(), Reason> {
        // No timer runs while nothing comes.
        let first = read_first(reader).await.map_err(Reason::Broken)?.ok_or(Reason::Closed)?;
        let patience = self.shared.settings.timing.frame;
        let header = within(patience, read_rest(first, reader)).await?;
        let Header { kind, len } = Header::parse(header).map_err(Reason::Frame)?;
        self.check_expected(kind)?;
        self.pay(kind, len).await?;
        let memory = self.shared.memory(kind, len).await;
        let patience = patience + Duration::from_secs(u64::from(len) / CHUNK as u64);
        let payload = within(patience, read_payload(reader, len as usize)).await?;
        self.link.received(HEADER_BYTES + payload.len());
        self.shared.traffic.count(kind, Way::In, HEADER_BYTES + payload.len());
        self.handle(kind, Payload::new(payload, memory)).await
    }

    /// Whether this peer may send this now.
    fn check_expected(&self, kind: Kind) -> Result<(), Reason> {
        let unexpected = |why| Err(Reason::Unexpected { kind, why });
        let we_are_light = self.shared.settings.role == Role::Light;
        if self.link.party.role == Role::Light && !kind.rule().light_sends {
            return unexpected("which light nodes do not send");
        }
        if we_are_light && !kind.rule().light_gets {
            return unexpected("which light nodes do not get");
        }
        match kind {
            Kind::Hello => unexpected("a second time"),
            kind if kind.answers() && !self.link.end_request() => {
                unexpected("and nothing was asked")
            }
            _ => Ok(()),
        }
    }

    /// Takes a frame's cost from the budget. What was asked for is free.
    async fn pay(&mut self, kind: Kind, len: u32) -> Result<(), Reason> {
        if kind.answers() {
            return Ok(());
        }
        let bytes = len.saturating_add(HEADER_BYTES as u32).max(kind.rule().cost_min);
        let signatures = (self.shared.settings.signatures)(kind, len as usize);
        match self.budget.charge(self.shared.clock.now(), bytes, signatures) {
            Verdict::Go => Ok(()),
            Verdict::Wait(span) => {
                sleep(span).await;
                Ok(())
            }
            Verdict::Flood => Err(Reason::Flood),
        }
    }

    async fn handle(&self, kind: Kind, payload: Payload) -> Result<(), Reason> {
        let Self { shared, link, .. } = self;
        match kind {
            Kind::Goodbye => return Err(Reason::told(&payload)),
            Kind::Ping => {
                link.enqueue(shared.frame(Kind::Pong, []));
            }
            Kind::Pong if !link.end_ping(shared.clock.now()) => {
                return Err(Reason::Unexpected { kind, why: "and no ping was open" });
            }
            Kind::Pong | Kind::Hello => {}
            Kind::PeersWanted => shared.tell_addresses(link),
            Kind::Peers => {
                let told = shared.hear_addresses(link.party.remote.ip(), &payload)?;
                if !link.hears_addresses(told) {
                    return Err(Reason::Unexpected { kind, why: "more than one peer may tell" });
                }
            }
            Kind::Announcement => {
                let announcement = (!payload.is_empty()).then(|| payload.to_vec());
                shared.check_announcement(&link.party.peer, announcement.as_deref())?;
                let peer = link.party.peer;
                return shared.tell(NetworkEvent::Announced { peer, announcement }).await;
            }
            Kind::Statements
            | Kind::Block
            | Kind::Transactions
            | Kind::Tip
            | Kind::Request
            | Kind::Response
            | Kind::Question
            | Kind::Answer => return shared.deliver(link.party.peer, kind, payload).await,
        }
        Ok(())
    }
}

/// The rest of a frame within its time.
async fn within<T>(
    patience: Duration,
    read: impl Future<Output = io::Result<T>>,
) -> Result<T, Reason> {
    let read = timeout(patience, read).await;
    read.map_err(|_| Reason::HalfFrame(patience))?.map_err(Reason::Broken)
}
