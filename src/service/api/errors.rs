//! One place for what goes wrong in a request: a status, a code, one sentence that says what to do.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::service::store::StoreError;

/// An answer that is not a success.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    sentence: String,
    current: Option<Value>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, sentence: impl Into<String>) -> Self {
        Self { status, code, sentence: sentence.into(), current: None }
    }

    /// 400.
    pub fn bad_request(sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", sentence)
    }

    /// 401, with no word about whether the user exists.
    pub fn wrong_login() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "wrong_login", "User name or password is wrong.")
    }

    /// 401 for a request without a session.
    pub fn logged_out() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "logged_out", "Your session has ended. Log in again.")
    }

    /// 403.
    pub fn forbidden(who_may: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", format!("This needs the role {who_may}. An administrator can give it."))
    }

    /// 403 for what may be read but not changed.
    pub fn not_yours(sentence: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", sentence)
    }

    /// 403 for a request from another site.
    pub fn foreign_origin() -> Self {
        Self::new(StatusCode::FORBIDDEN, "foreign_origin", "Requests from other sites are refused. Add the origin to [http] origins.")
    }

    /// 404, alike for what is unknown and what is another's.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here, or nothing that you may see.")
    }

    /// 408.
    pub fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "The request did not come in time. Send it again.")
    }

    /// 413.
    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "That is more than 64 KiB. Send less.")
    }

    /// 409 with the other's version.
    pub fn conflict(current: Value) -> Self {
        let mut problem = Self::new(StatusCode::CONFLICT, "conflict", "Somebody else changed this meanwhile. Both texts are kept.");
        problem.current = Some(current);
        problem
    }

    /// 416.
    pub fn range() -> Self {
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "range", "The recording is shorter than that.")
    }

    /// 429.
    pub fn too_many() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", "Too many failed logins. Wait a minute.")
    }

    /// 503.
    pub fn unavailable(sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", sentence)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(_) => Self::not_found(),
            StoreError::Conflict { current, .. } => Self::conflict(current),
            StoreError::Invalid(sentence) => Self::bad_request(sentence),
            StoreError::Database(_)
            | StoreError::Migrate(_)
            | StoreError::Corrupt { .. }
            | StoreError::Json(_)
            | StoreError::Entropy(_) => {
                tracing::warn!(%error, "a request could not be answered from the record");
                Self::unavailable("The record cannot be read just now. Calls go on; try again.")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({"error": self.sentence, "code": self.code});
        if let Some(current) = self.current {
            body["current"] = current;
        }
        (self.status, Json(body)).into_response()
    }
}
