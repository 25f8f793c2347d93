//! The supervisor's list of calls.

use axum::{
    Json,
    extract::{Query, State},
};
use serde::Deserialize;

use super::{Api, auth::Caller, errors::Problem};
use crate::{
    ids::AgentId,
    service::store::{CallFilter, CallPage, Role},
    time::UnixMs,
};

/// Longest text to look for, characters.
const WORDS: usize = 100;

#[derive(Deserialize)]
pub(super) struct Asked {
    from: Option<UnixMs>,
    to: Option<UnixMs>,
    agent: Option<AgentId>,
    q: Option<String>,
    before: Option<String>,
}

pub(super) async fn list(State(api): State<Api>, caller: Caller, Query(asked): Query<Asked>) -> Result<Json<CallPage>, Problem> {
    caller.at_least(Role::Supervisor)?;
    let words = asked.q.map(|q| q.chars().take(WORDS).collect());
    let filter = CallFilter { from: asked.from, to: asked.to, agent: asked.agent, words, before: asked.before };
    Ok(Json(api.store.calls(&filter).await?))
}
