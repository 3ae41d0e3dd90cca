//! HTTP for machines: `/metrics`, `/healthz`, `/readyz`. Reads only.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;

use crate::metrics;
use crate::protocol::{Call, Donations, Fault, FaultKind, Slots, Status};
use crate::validator::Handle;

/// How long the validator may take to answer before it counts as hung.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why HTTP is not served.
#[derive(Debug, thiserror::Error)]
#[error("[api] http = {address}: {source}; set it to a free address, or to \"off\"")]
pub struct HttpError {
    address: SocketAddr,
    source: std::io::Error,
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
pub async fn serve(listener: TcpListener, validator: Handle) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(serve_metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(validator);
    axum::serve(listener, routes).await
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
        Ok::<_, Fault>(metrics::encode(&status, &slots, &donations))
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
