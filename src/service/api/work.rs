//! Work items and dispositions.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::Deserialize;

use super::{Api, auth::Caller, errors::Problem};
use crate::{
    ids::WorkItemId,
    service::{
        clock,
        store::{Disposition, WorkItem},
    },
};

/// Longest reason for closing, characters.
const WHY: usize = 500;

#[derive(Deserialize)]
pub(super) struct Which {
    mine: Option<u8>,
}

#[derive(Deserialize)]
pub(super) struct Close {
    why: String,
}

pub(super) async fn dispositions(State(api): State<Api>, _caller: Caller) -> Result<Json<Vec<Disposition>>, Problem> {
    Ok(Json(api.store.dispositions().await?))
}

pub(super) async fn list(State(api): State<Api>, caller: Caller, Query(which): Query<Which>) -> Result<Json<Vec<WorkItem>>, Problem> {
    let mine = which.mine.is_some_and(|mine| mine != 0);
    Ok(Json(if mine { api.store.work_of(caller.me.agent).await? } else { api.store.work_items(None).await? }))
}

pub(super) async fn take(State(api): State<Api>, caller: Caller, Path(id): Path<WorkItemId>) -> Result<Json<WorkItem>, Problem> {
    Ok(Json(api.store.take_work_item(id, caller.me.agent, clock::now().wall).await?))
}

pub(super) async fn close(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<WorkItemId>,
    Json(close): Json<Close>,
) -> Result<Json<WorkItem>, Problem> {
    let why = close.why.trim();
    if why.is_empty() || why.chars().count() > WHY {
        return Err(Problem::bad_request(format!("Say in 1 to {WHY} characters why it is done.")));
    }
    Ok(Json(api.store.close_work_item(id, caller.me.agent, &api.masked(why), clock::now().wall).await?))
}
