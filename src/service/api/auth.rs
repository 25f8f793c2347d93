//! Who is asking: log-in, session cookie, origin. One gate before every handler, deny by default.

use std::net::SocketAddr;

use axum::{
    Json,
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{
        HeaderMap, Method, StatusCode,
        header::{COOKIE, HOST, ORIGIN, SET_COOKIE},
        request::Parts,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{Api, assets::hex, errors::Problem};
use crate::service::{
    clock,
    store::{Login, Me, Role, verify_password},
};

const COOKIE_NAME: &str = "throughline";
/// Octets of a session's token.
const TOKEN: usize = 32;
/// How long a session lives without a new log-in: one shift and some.
const SESSION_MS: i64 = 14 * 3_600_000;
/// Somebody with a session.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub me: Me,
}

impl Caller {
    /// Refuses those below `role`.
    pub fn at_least(&self, role: Role) -> Result<(), Problem> {
        let name = match role {
            Role::Agent => "agent",
            Role::Supervisor => "supervisor",
            Role::Admin => "admin",
        };
        if self.me.role >= role { Ok(()) } else { Err(Problem::forbidden(name)) }
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let token = token(&parts.headers).ok_or_else(Problem::logged_out)?;
        let me = api.store.find_session(&token_hash(&token), clock::steady()).await?;
        me.map(|me| Self { me }).ok_or_else(Problem::logged_out)
    }
}

fn token(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|line| line.split(';'));
    let mut tokens = cookies.filter_map(|cookie| cookie.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='));
    tokens.next().filter(|t| t.len() == TOKEN * 2).map(str::to_owned)
}

/// The record keeps only the token's hash: reading the database opens no session.
fn token_hash(token: &str) -> String {
    use sha2::Digest;
    hex(&sha2::Sha256::digest(token.as_bytes()))
}

#[derive(Deserialize)]
pub(super) struct Credentials {
    username: String,
    password: String,
}

pub(super) async fn login(
    State(api): State<Api>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Json(credentials): Json<Credentials>,
) -> Result<Response, Problem> {
    let now = clock::now();
    if api.0.throttle.blocked(&credentials.username, from.ip(), now.mono) {
        return Err(Problem::too_many());
    }
    let known: Option<Login> = api.store.login(&credentials.username).await?;
    let hash = known.as_ref().and_then(|login| login.password_hash.clone());
    let right = verify(&api, credentials.password, hash).await?;
    let Some(login) = known.filter(|_| right) else {
        api.0.throttle.failed(&credentials.username, from.ip(), now.mono);
        return Err(Problem::wrong_login());
    };
    let mut bytes = [0u8; TOKEN];
    getrandom::fill(&mut bytes).map_err(|_| Problem::unavailable("No random bytes to be had. Try again."))?;
    let token = hex(&bytes);
    let opened = clock::steady();
    api.store.create_session(&token_hash(&token), login.me.agent, opened, opened.plus_ms(SESSION_MS)).await?;
    Ok(([(SET_COOKIE, cookie(&api, &token, SESSION_MS / 1_000))], Json(login.me)).into_response())
}

/// Takes the same time whether there is a hash or not.
async fn verify(api: &Api, password: String, hash: Option<String>) -> Result<bool, Problem> {
    let _one_at_a_time = api.0.hashing.acquire().await.map_err(|_| Problem::unavailable("The server is stopping."))?;
    let checked = tokio::task::spawn_blocking(move || verify_password(hash.as_deref(), &password)).await;
    checked.map_err(|_| Problem::unavailable("The password could not be checked. Try again."))
}

fn cookie(api: &Api, token: &str, seconds: i64) -> String {
    let secure = if api.http.secure_cookies { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}")
}

pub(super) async fn logout(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(token) = token(&headers) {
        api.store.delete_session(&token_hash(&token)).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie(&api, "", 0))]).into_response())
}

pub(super) async fn me(caller: Caller) -> Json<Me> {
    Json(caller.me)
}

/// Changing requests and WebSockets come from our own page: same origin, and for changes our own header.
pub(super) async fn same_origin(State(api): State<Api>, request: Request, next: Next) -> Result<Response, Problem> {
    let headers = request.headers();
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let live = request.uri().path() == "/api/live";
    if let Some(origin) = headers.get(ORIGIN).filter(|_| changes || live) {
        let origin = origin.to_str().map_err(|_| Problem::foreign_origin())?;
        let own = headers.get(HOST).and_then(|host| host.to_str().ok()).is_some_and(|host| {
            origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")).is_some_and(|authority| authority == host)
        });
        if !own && !api.http.origins.iter().any(|allowed| allowed == origin) {
            return Err(Problem::foreign_origin());
        }
    } else if live {
        // Every browser sends an origin with a WebSocket; what has none is no desk.
        return Err(Problem::foreign_origin());
    }
    if changes && headers.get("x-throughline").is_none_or(|value| value != "1") {
        return Err(Problem::foreign_origin());
    }
    Ok(next.run(request).await)
}
