//! The queues now and today.

use axum::{Json, extract::State};

use super::{Api, auth::Caller};
use crate::domain::live::QueueView;

/// Every queue; no names of callers in it, so that everybody who works here may see it.
pub(super) async fn list(State(api): State<Api>, _caller: Caller) -> Json<Vec<QueueView>> {
    Json(api.live.queues())
}
