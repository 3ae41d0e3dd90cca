//! The first words on a connection: two hellos, or a hello and a goodbye.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::frame::{Header, read_first, read_payload, read_rest};
use super::hello::Hello;
use super::identity::PeerId;
use super::kind::Kind;
use super::link::{Link, Party};
use super::reason::Reason;
use super::shared::Shared;
use super::state::encode_records;
use super::tls::Stream;

/// What is read of a peer that was told goodbye, until it closes its side.
const LINGER_BYTES_MAX: usize = 2 << 20;

/// A connection that is taken up.
pub(super) struct Met {
    pub(super) stream: Stream,
    pub(super) link: Arc<Link>,
    /// The connection whose place it takes.
    pub(super) displaced: Option<Arc<Link>>,
    pub(super) announcement: Option<Vec<u8>>,
}

/// Introduces this node to whom it called.
pub(super) async fn introduce(
    shared: &Shared,
    mut stream: Stream,
    peer: PeerId,
    remote: SocketAddr,
) -> Result<Met, Reason> {
    let (call, announced) = {
        let mut state = shared.state();
        if state.links.contains_key(&peer) {
            // By another address, or it called first: it need not hear of this call at all.
            return Err(Reason::Duplicate);
        }
        (state.next_call(), state.announced)
    };
    let asked = shared.clock.now();
    write(&mut stream, Kind::Hello, &shared.hello(call).encode()).await?;
    let hello = read_hello(&mut stream).await;
    let answered = shared.clock.now();
    let party = |hello: &Hello| Party {
        announced,
        ..Party::new(peer, remote, Some(call), hello, answered)
    };
    let met = meet(shared, stream, peer, hello, party).await?;
    met.link.note_round_trip(answered.saturating_sub(asked));
    Ok(met)
}

/// Hears who called; its answer is the first frame that waits on the link.
pub(super) async fn receive(
    shared: &Shared,
    mut stream: Stream,
    peer: PeerId,
    remote: SocketAddr,
) -> Result<Met, Reason> {
    let hello = read_hello(&mut stream).await;
    if peer == shared.us {
        // The caller has the same key: whether it is this very node, it sees by our nonce.
        write(&mut stream, Kind::Hello, &shared.hello(0).encode()).await?;
    }
    let (now, announced) = (shared.clock.now(), shared.state().announced);
    let party = |hello: &Hello| Party { announced, ..Party::new(peer, remote, None, hello, now) };
    meet(shared, stream, peer, hello, party).await
}

/// Takes a peer up by its hello, or tells it why not.
async fn meet(
    shared: &Shared,
    mut stream: Stream,
    peer: PeerId,
    hello: Result<Hello, Reason>,
    party: impl FnOnce(&Hello) -> Party,
) -> Result<Met, Reason> {
    let judged = hello.and_then(|hello| shared.check_hello(peer, &hello).map(|()| hello));
    let hello = match judged {
        Ok(hello) => hello,
        Err(reason) => {
            refuse(shared, &mut stream, &reason).await;
            return Err(reason);
        }
    };
    let party = party(&hello);
    match shared.admit(party.clone()) {
        Ok((link, displaced)) => {
            Ok(Met { stream, link, displaced, announcement: hello.announcement })
        }
        Err(reason) => {
            if matches!(reason, Reason::Full) {
                // A full node still helps others to find their way.
                let records = shared.addresses_for(&party, shared.clock.now());
                write(&mut stream, Kind::Peers, &encode_records(&records)).await?;
            }
            refuse(shared, &mut stream, &reason).await;
            Err(reason)
        }
    }
}

/// Tells a peer why it is not taken up.
async fn refuse(shared: &Shared, stream: &mut Stream, reason: &Reason) {
    if let Some(goodbye) = reason.goodbye() {
        say_goodbye(shared, stream, &goodbye).await;
    }
}

/// Reads a hello; the goodbye of somebody who does not want us is an error, and the addresses that
/// may come before it are nothing yet.
async fn read_hello(stream: &mut Stream) -> Result<Hello, Reason> {
    loop {
        let first = read_first(stream).await.map_err(Reason::Broken)?.ok_or(Reason::Closed)?;
        let header = read_rest(first, stream).await.map_err(Reason::Broken)?;
        let header = Header::parse(header).map_err(Reason::Frame)?;
        let kind = header.kind;
        if !matches!(kind, Kind::Hello | Kind::Goodbye | Kind::Peers) {
            return Err(Reason::Unexpected { kind, why: "before its hello" });
        }
        let payload = read_payload(stream, header.len as usize).await.map_err(Reason::Broken)?;
        match kind {
            Kind::Hello => return Hello::decode(&payload).map_err(|_| Reason::Malformed(kind)),
            Kind::Goodbye => return Err(Reason::told(&payload)),
            _ => {}
        }
    }
}

/// Tells a peer why the connection is closed, and waits a moment for it to read
/// that: closing with bytes unread would throw away what is on its way.
pub(super) async fn say_goodbye(shared: &Shared, stream: &mut Stream, goodbye: &[u8]) {
    let say = async {
        write(stream, Kind::Goodbye, goodbye).await?;
        stream.shutdown().await.map_err(Reason::Broken)?;
        let mut unread = [0; 512];
        let mut read = 0;
        while read < LINGER_BYTES_MAX {
            match stream.read(&mut unread).await {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) => return Err(Reason::Broken(error)),
            }
        }
        Ok(())
    };
    match timeout(shared.settings.timing.goodbye, say).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("a goodbye was not heard: {error}"),
        Err(_) => tracing::debug!("a goodbye was not heard in time"),
    }
}

async fn write(stream: &mut Stream, kind: Kind, payload: &[u8]) -> Result<(), Reason> {
    let written: io::Result<()> = async {
        stream.write_all(&Header::encode(kind, payload)).await?;
        stream.write_all(payload).await?;
        stream.flush().await
    }
    .await;
    written.map_err(Reason::Broken)
}
