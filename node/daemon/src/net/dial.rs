//! Calls: to targets of the book, and to addresses that are tried out for others.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::book::{Record, Target};
use super::connection::{Ended, serve};
use super::identity::PeerId;
use super::meeting::{Met, introduce};
use super::reason::{Code, Reason};
use super::shared::Shared;
use super::tls::{Stream, TlsFault};

/// Addresses of one name that are called one after another.
const ADDRESSES_MAX: usize = 4;
/// How long to stay away from a node that is full, and from one that has banned us.
const FULL_PAUSE: Duration = Duration::from_secs(300);
const BANNED_PAUSE: Duration = Duration::from_secs(1_800);

/// Why a call did not become a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallFault {
    #[error("its name is not found: {0}; check the name, and this board's DNS")]
    Name(io::Error),
    #[error("its name has no address")]
    NoAddress,
    #[error("{0} cannot be reached: {1}")]
    Connect(SocketAddr, io::Error),
    #[error(transparent)]
    Tls(#[from] TlsFault),
    #[error("{1}")]
    Refused(PeerId, Reason),
    #[error("it did not answer in time")]
    Late,
}

/// Calls a target, and serves the connection until it ends.
pub(super) async fn call(shared: Arc<Shared>, target: Target) {
    let reached = timeout(shared.settings.timing.handshake, reach(&shared, &target)).await;
    shared.state().calling -= 1;
    match reached.unwrap_or(Err(CallFault::Late)) {
        Ok(met) => {
            let peer = met.link.party.peer;
            shared.state().book.identify(&target, peer);
            let Ended { lasted, told } = serve(&shared, met).await;
            let now = shared.clock.now();
            let mut state = shared.state();
            let lot = state.draw();
            match pause_for(told) {
                Duration::ZERO => state.book.ended(&target, now, lasted, lot),
                least => state.book.failed(&target, now, least, lot),
            }
        }
        Err(fault) => missed(&shared, &target, &fault),
    }
    shared.wake.notify_one();
}

/// Gets a connection that both sides want.
async fn reach(shared: &Arc<Shared>, target: &Target) -> Result<Met, CallFault> {
    let (socket, remote) = connect(target).await?;
    let (stream, peer) = shake_hands(shared, socket, remote).await?;
    let met = introduce(shared, stream, peer, remote).await;
    met.map_err(|reason| CallFault::Refused(peer, reason))
}

pub(super) async fn connect(target: &Target) -> Result<(TcpStream, SocketAddr), CallFault> {
    let addresses = match target {
        Target::At(address) => vec![*address],
        Target::Name(name) => {
            let found = lookup_host(name.as_str()).await.map_err(CallFault::Name)?;
            found.take(ADDRESSES_MAX).collect()
        }
    };
    let mut fault = CallFault::NoAddress;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(socket) => return Ok((socket, address)),
            Err(error) => fault = CallFault::Connect(address, error),
        }
    }
    Err(fault)
}

async fn shake_hands(
    shared: &Shared,
    socket: TcpStream,
    remote: SocketAddr,
) -> Result<(Stream, PeerId), CallFault> {
    // Votes are small, and each one is waited for.
    socket.set_nodelay(true).map_err(|error| CallFault::Connect(remote, error))?;
    Ok(shared.tls.connect(socket, remote).await?)
}

/// Notes a call that led to nothing.
fn missed(shared: &Shared, target: &Target, fault: &CallFault) {
    let now = shared.clock.now();
    let mut state = shared.state();
    let is_first = state.book.failures(target) == 0;
    let lot = state.draw();
    let told = match fault {
        CallFault::Refused(peer, reason) => {
            state.book.identify(target, *peer);
            if matches!(reason, Reason::Ourselves) {
                state.book.is_ourselves(target);
                tracing::debug!("{target} is this node itself: it is not called again");
                return;
            }
            if let Reason::Told { code, .. } = reason { *code } else { None }
        }
        _ => None,
    };
    state.book.failed(target, now, pause_for(told), lot);
    drop(state);
    let usual = matches!(fault, CallFault::Refused(_, Reason::Duplicate))
        || matches!(told, Some(Code::Duplicate | Code::Stopping));
    // It is called again and again, and one line is enough.
    if is_first && !usual {
        shared.complain(&format_args!("no connection to {target}: {fault}"));
    } else {
        tracing::debug!("no connection to {target}: {fault}");
    }
}

const fn pause_for(told: Option<Code>) -> Duration {
    match told {
        Some(Code::Full) => FULL_PAUSE,
        Some(Code::Banned) => BANNED_PAUSE,
        _ => Duration::ZERO,
    }
}

/// Tries out where a caller says it listens: whoever shakes hands there with its key is it. Only
/// such addresses are told to others.
pub(super) async fn probe(shared: Arc<Shared>, record: Record) {
    let knock = async {
        let (socket, remote) = connect(&Target::At(record.address)).await?;
        let (_, peer) = shake_hands(&shared, socket, remote).await?;
        Ok::<_, CallFault>(peer)
    };
    let outcome: &dyn fmt::Display = match timeout(shared.settings.timing.handshake, knock).await {
        Ok(Ok(peer)) if peer == record.peer => {
            shared.prove(record);
            &"it does"
        }
        Ok(Ok(_)) => &"another node does",
        Ok(Err(_)) | Err(_) => &"it cannot be reached from here",
    };
    tracing::debug!("peer {} says it listens at {}: {outcome}", record.peer, record.address);
    shared.state().probing = false;
    shared.wake.notify_one();
}
