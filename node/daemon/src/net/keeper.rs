//! The one task that starts all others: accepts, calls, tries out addresses, and stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use super::book::Plan;
use super::connection::serve;
use super::dial::{call, probe};
use super::meeting::receive;
use super::reason::Reason;
use super::score::Conduct;
use super::shared::Shared;
use super::tls::TlsFault;

/// What is due later than this waits for the next tick, which comes sooner.
const TIMER_MAX: Duration = Duration::from_secs(240);
/// How long to wait when the system gives no sockets.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Runs until `stop`.
pub(super) async fn keep(shared: Arc<Shared>, listener: Option<TcpListener>, stop: Arc<Notify>) {
    let mut tasks = JoinSet::new();
    loop {
        let wakeup = start_due(&shared, &mut tasks);
        tokio::select! {
            () = stop.notified() => break,
            (socket, remote) = accept(listener.as_ref()) => {
                let development = shared.settings.development;
                let now = shared.clock.now();
                if shared.state().begin_handshake(remote, development, now) {
                    tasks.spawn(answer(Arc::clone(&shared), socket, remote));
                }
            }
            Some(ended) = tasks.join_next() => report(&ended),
            () = shared.wake.notified() => {}
            () = sleep_until(wakeup) => {}
        }
    }
    drop(listener);
    close_all(&shared, tasks).await;
}

/// A connection must not fail by a mistake of ours; if it does, that is to be seen.
fn report(ended: &Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!("a connection failed, please report this: {error}");
    }
}

/// Starts what is due, and says when to look again if nothing happens before.
fn start_due(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) -> Option<Instant> {
    let now = shared.clock.now();
    let mut state = shared.state();
    let Plan { targets, next } = state.plan(&shared.settings, now);
    let probe_now = if state.probing { None } else { state.probes.pop_front() };
    state.probing |= probe_now.is_some();
    drop(state);
    for target in targets {
        tasks.spawn(call(Arc::clone(shared), target));
    }
    if let Some(record) = probe_now {
        tasks.spawn(probe(Arc::clone(shared), record));
    }
    let soon = next.filter(|next| next.saturating_sub(now) < TIMER_MAX);
    soon.map(|next| shared.clock.instant(next))
}

async fn sleep_until(wakeup: Option<Instant>) {
    match wakeup {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

/// The next caller.
async fn accept(listener: Option<&TcpListener>) -> (TcpStream, SocketAddr) {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!("no caller can be accepted: {error}");
                // Out of file descriptors, most likely: give others time to close theirs.
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers a caller, and serves the connection until it ends.
async fn answer(shared: Arc<Shared>, socket: TcpStream, remote: SocketAddr) {
    let met = timeout(shared.settings.timing.handshake, async {
        socket.set_nodelay(true).map_err(TlsFault::Broken)?;
        let (stream, peer) = shared.tls.accept(socket).await?;
        Ok::<_, TlsFault>((peer, receive(&shared, stream, peer, remote).await))
    })
    .await;
    shared.state().end_handshake(remote);
    match met {
        Ok(Ok((_, Ok(met)))) => {
            serve(&shared, met).await;
        }
        Ok(Ok((peer, Err(reason)))) => {
            if let Some(conduct) = reason.conduct() {
                shared.complain(&format_args!("caller {peer} at {remote}: {reason}"));
                shared.note(Some(peer), Some(remote.ip()), conduct);
            } else {
                tracing::debug!("caller {peer} at {remote} is not taken up: {reason}");
            }
        }
        Ok(Err(fault)) => {
            if matches!(fault, TlsFault::NotTls | TlsFault::Refused(_) | TlsFault::NoKey) {
                shared.note(None, Some(remote.ip()), Conduct::Noise);
            }
            match fault {
                TlsFault::Broken(_) => tracing::debug!("a caller at {remote}: {fault}"),
                _ => shared.complain(&format_args!("a caller at {remote} is refused: {fault}")),
            }
        }
        Err(_) => {
            shared.note(None, Some(remote.ip()), Conduct::Late);
            shared.complain(&format_args!("a caller at {remote} did not shake hands in time"));
        }
    }
}

/// Says goodbye to all, waits a moment, and saves the peers.
async fn close_all(shared: &Arc<Shared>, mut tasks: JoinSet<()>) {
    let content = {
        let mut state = shared.state();
        state.stopping = true;
        state.links.values().for_each(|link| link.close(Reason::Stopping));
        state.save(shared.clock.now())
    };
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            report(&ended);
        }
    };
    if timeout(shared.settings.timing.goodbye, all).await.is_err() {
        tracing::debug!("some peers did not hear the goodbye");
    }
    shared.save(&content);
}
