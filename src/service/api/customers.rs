//! Customers and their timelines.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::Deserialize;

use super::{Api, auth::Caller, errors::Problem};
use crate::{
    ids::{CustomerId, IdentityId},
    service::{
        clock,
        store::{AuditAction, CustomerPage, TimelineOf, TimelinePage},
    },
};

/// Entries of a timeline page, at most.
const PAGE: u32 = 100;

#[derive(Deserialize)]
pub(super) struct Paging {
    before: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn page(State(api): State<Api>, caller: Caller, Path(id): Path<CustomerId>) -> Result<Json<CustomerPage>, Problem> {
    let now = clock::now().wall;
    let page = api.store.customer_page(id).await?;
    api.store.audit(caller.me.agent, AuditAction::OpenRecord, ("customer", id.to_string()), now).await?;
    Ok(Json(page))
}

pub(super) async fn timeline(
    State(api): State<Api>,
    _caller: Caller,
    Path(id): Path<CustomerId>,
    Query(paging): Query<Paging>,
) -> Result<Json<TimelinePage>, Problem> {
    read(&api, TimelineOf::Customer(id), paging).await
}

pub(super) async fn identity_timeline(
    State(api): State<Api>,
    _caller: Caller,
    Path(id): Path<IdentityId>,
    Query(paging): Query<Paging>,
) -> Result<Json<TimelinePage>, Problem> {
    read(&api, TimelineOf::Identity(id), paging).await
}

async fn read(api: &Api, of: TimelineOf, paging: Paging) -> Result<Json<TimelinePage>, Problem> {
    let limit = paging.limit.unwrap_or(50).clamp(1, PAGE);
    Ok(Json(api.store.timeline(of, paging.before.as_deref(), limit).await?))
}
