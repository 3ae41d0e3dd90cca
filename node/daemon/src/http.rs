//! HTTP for machines: `/metrics`, `/healthz`, `/readyz`. Reads only.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::metrics;
use crate::places::{Closed, Limits, Place, Places};
use crate::protocol::{Call, Donations, Fault, FaultKind, Peers, Slots, Status};
use crate::validator::Handle;

/// How long the validator may take to answer before it counts as hung.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Some scrapers and probes. Silence may last longer than an answer takes at most, so nobody is
/// closed while one is made; whoever needs longer for a request does not mean to finish it.
pub const LIMITS: Limits = Limits { connections_max: 32, silence_max: Duration::from_secs(15) };

/// Why HTTP is not served.
#[derive(Debug, thiserror::Error)]
#[error("[api] http = {address}: {source}; set it to a free address, or to \"off\"")]
pub struct HttpError {
    address: SocketAddr,
    source: io::Error,
}

/// Opens the address.
///
/// # Errors
/// When it is in use or not allowed.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, HttpError> {
    TcpListener::bind(address).await.map_err(|source| HttpError { address, source })
}

/// Serves until the future is dropped.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, validator: Handle, places: Places) -> io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(serve_metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(validator);
    axum::serve(Bounded { listener, places }, routes).await
}

/// A listener whose connections have places. `axum::serve` itself takes everybody, for ever.
struct Bounded {
    listener: TcpListener,
    places: Places,
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let (place, closed) = self.places.take().await;
        (Connection { stream, place, closed: Some(closed) }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when its place is taken away. What it receives does not count as
/// speaking, only what it was answered: a request byte by byte is no request.
struct Connection {
    stream: TcpStream,
    place: Place,
    /// `None` once the place is gone.
    closed: Option<Closed>,
}

impl Connection {
    /// The stream, while the connection has a place.
    fn stream(&mut self, context: &mut Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        if self.closed.as_mut().is_some_and(|closed| Pin::new(closed).poll(context).is_ready()) {
            self.closed = None;
        }
        match self.closed {
            Some(_) => Ok(Pin::new(&mut self.stream)),
            None => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Notes that something was answered.
    fn answered(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(_))) {
            self.place.spoke();
        }
        written
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream(context)?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream(context)?.poll_write(context, bytes);
        self.answered(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream(context)?.poll_write_vectored(context, parts);
        self.answered(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(context)?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(context)?.poll_shutdown(context)
    }
}

async fn ask<T: DeserializeOwned>(validator: &Handle, call: Call) -> Result<T, Fault> {
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, validator.call(call));
    let late = |_| Fault::new(FaultKind::Failed, "the validator does not answer");
    let value = answer.await.map_err(late)??;
    serde_json::from_value(value).map_err(|error| Fault::new(FaultKind::Failed, error))
}

fn unavailable(fault: &Fault) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", fault.message)).into_response()
}

async fn serve_metrics(State(validator): State<Handle>) -> Response {
    let read = async {
        let status: Status = ask(&validator, Call::Status).await?;
        let slots: Slots = ask(&validator, Call::Slots).await?;
        let donations: Donations = ask(&validator, Call::Donations).await?;
        let peers: Option<Peers> = match ask(&validator, Call::Peers).await {
            Ok(peers) => Some(peers),
            // One that talks to nobody has no peers to tell of.
            Err(fault) if fault.kind == FaultKind::Refused => None,
            Err(fault) => return Err(fault),
        };
        Ok::<_, Fault>(metrics::encode(&status, &slots, &donations, peers.as_ref()))
    };
    match read.await {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(fault) => unavailable(&fault),
    }
}

/// Alive: the validator answers.
async fn healthz(State(validator): State<Handle>) -> Response {
    match ask::<Status>(&validator, Call::Status).await {
        Ok(_) => "alive\n".into_response(),
        Err(fault) => unavailable(&fault),
    }
}

/// Ready: the ledger is open, and whoever is in charge also signs.
async fn readyz(State(validator): State<Handle>) -> Response {
    match ask::<Status>(&validator, Call::Status).await {
        Ok(Status { in_charge: true, signing: false, not_signing_because, .. }) => {
            let reason = not_signing_because.unwrap_or_else(|| "signing is off".to_owned());
            (StatusCode::SERVICE_UNAVAILABLE, format!("in charge, but not signing: {reason}\n"))
                .into_response()
        }
        Ok(_) => "ready\n".into_response(),
        Err(fault) => unavailable(&fault),
    }
}
