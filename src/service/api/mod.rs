//! HTTP and WebSocket: every route on this page, handlers by noun, errors in one place. The contract is `docs/api.md`.
//!
//! Deny by default: a handler that takes no [`Caller`](auth::Caller) is one of the few at the top of [`router`].

mod assets;
mod audio;
mod auth;
mod calls;
mod connections;
mod customers;
mod errors;
mod health;
mod interactions;
mod live;
mod queues;
mod throttle;
mod words;
mod work;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    response::Response,
    routing::{get, post, put},
};
use connections::Taken;
use tokio::sync::Semaphore;

pub use words::{SpeechModel, SpeechModels};

use super::{live::LiveHub, store::Store};
use crate::{
    config,
    domain::{
        insight::redaction::{self, Rules},
        live::DeskCommand,
    },
    ids::AgentId,
};

/// Largest request body: a note or a draft.
const BODY: usize = 64 << 10;

/// What the server is made of, as far as the desks are concerned.
pub struct Parts {
    /// The record.
    pub store: Store,
    /// Live facts.
    pub live: LiveHub,
    /// To the control thread; false when it is overloaded.
    pub control: Box<dyn Fn(DeskCommand) -> bool + Send + Sync>,
    /// Metrics of all parts, Prometheus' text form.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// Why no new calls are taken; `None` when they are.
    pub not_ready: Box<dyn Fn() -> Option<&'static str> + Send + Sync>,
    /// The models that calls can be transcribed with.
    pub speech_models: Box<dyn Fn() -> SpeechModels + Send + Sync>,
    /// Connections at once: a desk has one for good and some more while its page loads.
    pub connections: usize,
    /// Configuration of the server.
    pub http: config::Http,
    /// Folder of the tracks.
    pub recordings: std::path::PathBuf,
    /// Numbers that nobody may store, not even by typing.
    pub redaction: Arc<Rules>,
}

struct Shared {
    parts: Parts,
    throttle: throttle::Throttle,
    /// One password at a time: hashing is made to be slow, and calls come first.
    hashing: Semaphore,
    /// Open desks per agent.
    desks: Mutex<HashMap<AgentId, u16>>,
    connections: Taken,
}

/// State of every handler.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

impl std::ops::Deref for Api {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}

impl Api {
    /// Wraps the parts.
    pub fn new(parts: Parts) -> Self {
        let connections = Taken::with(parts.connections);
        Self(Arc::new(Shared {
            parts,
            throttle: throttle::Throttle::default(),
            hashing: Semaphore::new(1),
            desks: Mutex::default(),
            connections,
        }))
    }

    /// Typed text as it may be stored: card numbers and the like are replaced by what they were.
    fn masked(&self, text: &str) -> String {
        redaction::mask_typed(text, &self.redaction).0
    }

    /// Counts a desk that opens (+1) or closes (−1), and tells control.
    fn count_desk(&self, agent: AgentId, by: i16) {
        let mut desks = self.0.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let count = desks.entry(agent).or_insert(0);
        *count = count.saturating_add_signed(by);
        (self.control)(DeskCommand::Desks { agent, desks: *count });
    }
}

/// Every route.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/", get(assets::index))
        .route("/{file}", get(assets::asset))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/api/login", post(auth::login))
        .route("/api/logout", post(auth::logout))
        .route("/api/me", get(auth::me))
        .route("/api/live", get(live::connect))
        .route("/api/dispositions", get(work::dispositions))
        .route("/api/customers/{id}", get(customers::page))
        .route("/api/customers/{id}/timeline", get(customers::timeline))
        .route("/api/identities/{id}/timeline", get(customers::identity_timeline))
        .route("/api/interactions/{id}", get(interactions::page))
        .route("/api/interactions/{id}/audio.wav", get(audio::wav))
        .route("/api/interactions/{id}/peaks", get(audio::peaks))
        .route("/api/interactions/{id}/live-words", get(live::words))
        .route("/api/interactions/{id}/draft", put(interactions::save_draft))
        .route("/api/interactions/{id}/notes", post(interactions::add_note))
        .route("/api/interactions/{id}/words", get(words::words))
        .route("/api/interactions/{id}/corrections", post(words::correct))
        .route("/api/interactions/{id}/corrections/{correction}/undo", post(words::take_back))
        .route("/api/interactions/{id}/transcribe", post(words::transcribe))
        .route("/api/speech/models", get(words::models))
        .route("/api/findings/{id}", post(words::judge))
        .route("/api/interactions/{id}/customer", post(interactions::choose_customer))
        .route("/api/interactions/{id}/wrap-up", post(interactions::wrap_up))
        .route("/api/work-items", get(work::list))
        .route("/api/work-items/{id}/take", post(work::take))
        .route("/api/work-items/{id}/close", post(work::close))
        .route("/api/calls", get(calls::list))
        .route("/api/queues", get(queues::list))
        .layer(middleware::from_fn_with_state(api.0.connections.clone(), connections::whole_body))
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn_with_state(api.clone(), auth::same_origin))
        .layer(middleware::map_response(safe))
        .with_state(api)
}

async fn safe(mut response: Response) -> Response {
    response.headers_mut().extend(assets::SAFETY);
    response
}

/// Serves until `stop` resolves.
pub async fn serve(listener: tokio::net::TcpListener, api: Api, stop: impl Future<Output = ()> + Send + 'static) {
    let taken = api.0.connections.clone();
    connections::serve(listener, router(api), taken, stop).await;
}
