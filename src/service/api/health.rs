//! Liveness, readiness and metrics; metrics only for this machine and administrators.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, State},
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_TYPE, FORWARDED},
    },
    response::{IntoResponse, Response},
};

use super::{Api, auth::Caller, errors::Problem};
use crate::service::store::Role;

pub(super) async fn alive() -> &'static str {
    "ok"
}

pub(super) async fn ready(State(api): State<Api>) -> Response {
    let mut reasons = Vec::new();
    reasons.extend((api.not_ready)());
    if api.store.ping().await.is_err() {
        reasons.push("the record cannot be reached");
    }
    if reasons.is_empty() { "ok".into_response() } else { (StatusCode::SERVICE_UNAVAILABLE, reasons.join("; ")).into_response() }
}

pub(super) async fn metrics(
    State(api): State<Api>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    caller: Result<Caller, Problem>,
) -> Result<Response, Problem> {
    // Behind a proxy everybody seems to come from this machine.
    if !from.ip().is_loopback() || headers.contains_key("x-forwarded-for") || headers.contains_key(FORWARDED) {
        caller?.at_least(Role::Admin)?;
    }
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], (api.metrics)() + &api.0.connections.counters.lines()).into_response())
}
