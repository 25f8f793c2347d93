//! Connections of desks and of the API: so many and no more, each message sent at once, none waited for without end.
//!
//! A desk's messages are small and come in twos and threads: with Nagle's algorithm the second waits for the acknowledgement of the first,
//! which the other side delays by 40 ms (RFC 896, RFC 1122 §4.2.3.2). That is longer than a pop may take.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, FromRequest, Request, State},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tower_service::Service;

use super::errors::Problem;

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Until the head of a request is there, and the rest between two requests.
    pub head: Duration,
    /// Until the body of a request is there.
    pub body: Duration,
    /// How long the other side may leave unacknowledged what was sent, before it counts as gone (RFC 5482).
    pub unacknowledged: Duration,
}

/// Octets of a request's head.
const HEAD: usize = 64 << 10;
/// After an accept that failed for want of descriptors: without it the loop would spin.
const BREATH: Duration = Duration::from_millis(100);

/// What was refused or ended.
#[derive(Debug, Default)]
pub(super) struct ConnectionCounters {
    /// Connections closed at once, as too many were open.
    refused: AtomicU64,
    /// Connections that could not be accepted.
    failed: AtomicU64,
    /// Requests whose body came too slowly.
    slow: AtomicU64,
}

impl ConnectionCounters {
    /// Lines of the metrics page.
    pub(super) fn lines(&self) -> String {
        let Self { refused, failed, slow } = self;
        let counted = [("connections_refused", refused), ("accepts_failed", failed), ("bodies_too_slow", slow)];
        counted.iter().map(|(name, counter)| format!("throughline_http_{name}_total {}\n", counter.load(Relaxed))).collect()
    }
}

/// What connections may take, and what they took too much of.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub limits: Limits,
    pub counters: Arc<ConnectionCounters>,
}

impl Taken {
    /// With so many connections at once.
    pub fn with(connections: usize) -> Self {
        let limits =
            Limits { connections, head: Duration::from_secs(20), body: Duration::from_secs(20), unacknowledged: Duration::from_secs(30) };
        Self { limits, counters: Arc::default() }
    }
}

/// Takes connections and hands their requests to `router` until `stop` resolves; dropped, it ends all of them.
pub(super) async fn serve(listener: TcpListener, router: Router, taken: Taken, stop: impl Future<Output = ()>) {
    let room = Arc::new(Semaphore::new(taken.limits.connections));
    let mut open = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    if let Some(permit) = admit(&stream, &room, &taken) {
                        open.spawn(connection(stream, peer, router.clone(), taken.limits, permit));
                    }
                }
                Err(error) => {
                    if taken.counters.failed.fetch_add(1, Relaxed) == 0 {
                        tracing::warn!(%error, "a connection to the desk could not be accepted");
                    }
                    breathe().await;
                }
            },
            // Ended ones are forgotten.
            Some(_) = open.join_next() => {}
        }
    }
}

/// A place for a connection and what it needs; `None` where the peer has gone meanwhile or there is no place, which it is told.
fn admit(stream: &TcpStream, room: &Arc<Semaphore>, taken: &Taken) -> Option<OwnedSemaphorePermit> {
    prepare(stream, taken.limits).ok()?;
    let permit = room.clone().try_acquire_owned().ok();
    if permit.is_none() {
        if taken.counters.refused.fetch_add(1, Relaxed) == 0 {
            tracing::warn!(limit = taken.limits.connections, "a connection to the desk is refused: too many are open");
        }
        // It fits into the socket's buffer, or nobody reads it.
        let _ = stream.try_write(FULL);
    }
    permit
}

/// Nothing tells when there are descriptors again.
async fn breathe() {
    let _ = timeout(BREATH, std::future::pending::<()>()).await;
}

const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

fn prepare(stream: &TcpStream, limits: Limits) -> io::Result<()> {
    stream.set_nodelay(true)?;
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(limits.unacknowledged))
}

async fn connection(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    limits: Limits,
    _permit: OwnedSemaphorePermit,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(Service::call(&mut router, request).await.unwrap_or_else(|never| match never {})) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(HEAD);
    if let Err(error) = builder.serve_connection(TokioIo::new(io), service).with_upgrades().await {
        tracing::debug!(%error, "a connection of the API ended");
    }
}

/// Reads a request's body before anybody works for it, so that no handler waits for octets that never come.
///
/// # Errors
/// 413 for more than the layer of the body's limit allows, 408 for one that takes too long, 400 for one that is broken.
pub(super) async fn whole_body(State(taken): State<Taken>, request: Request, next: Next) -> Result<Response, Problem> {
    if request.body().is_end_stream() {
        return Ok(next.run(request).await);
    }
    let (parts, body) = request.into_parts();
    let reading = Bytes::from_request(Request::from_parts(parts.clone(), body), &());
    let body = timeout(taken.limits.body, reading).await.map_err(|_| {
        taken.counters.slow.fetch_add(1, Relaxed);
        Problem::too_slow()
    })?;
    let body = body.map_err(|refused| match refused.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
        _ => Problem::bad_request("The request's body ended too early. Send it again."),
    })?;
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

#[cfg(test)]
mod tests {
    use axum::{
        middleware::from_fn_with_state,
        routing::{get, post},
    };
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Longer than any machine needs for a request, shorter than a test may take.
    const SOON: Duration = Duration::from_millis(300);
    const NEVER: Duration = Duration::from_secs(600);

    fn usual() -> Limits {
        Taken::with(8).limits
    }

    async fn house(limits: Limits) -> (SocketAddr, Arc<ConnectionCounters>) {
        let taken = Taken { limits, counters: Arc::default() };
        let counters = taken.counters.clone();
        let router = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/note", post(|body: String| async move { body }))
            .layer(from_fn_with_state(taken.clone(), whole_body))
            .layer(axum::extract::DefaultBodyLimit::max(100));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(serve(listener, router, taken, std::future::pending()));
        (address, counters)
    }

    async fn connect(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        stream.write_all(text.as_bytes()).await.expect("writes");
        stream
    }

    /// What comes until the server closes.
    async fn all(mut stream: TcpStream) -> String {
        let mut answer = Vec::new();
        // A reset is an end too.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// What comes until `end`.
    async fn until(stream: &mut TcpStream, end: &str) -> String {
        let mut answer = String::new();
        while !answer.ends_with(end) {
            let octet = stream.read_u8().await.unwrap_or_else(|error| panic!("{error} after {answer:?}"));
            answer.push(char::from(octet));
        }
        answer
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: desk\r\n\r\n";

    #[tokio::test]
    async fn each_message_is_sent_at_once_and_whoever_acknowledges_none_is_gone_after_a_while() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let _client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connects");
        let (stream, _) = listener.accept().await.expect("accepts");
        assert!(!stream.nodelay().expect("readable"), "else the test shows nothing");
        prepare(&stream, usual()).expect("a socket takes both");
        assert!(stream.nodelay().expect("readable"));
        assert_eq!(socket2::SockRef::from(&stream).tcp_user_timeout().expect("readable"), Some(usual().unacknowledged));
    }

    #[tokio::test]
    async fn a_head_that_never_ends_and_a_connection_that_asks_nothing_more_are_closed() {
        let (address, _) = house(Limits { head: SOON, body: NEVER, ..usual() }).await;
        let slow = connect(address, "GET / HTTP/1.1\r\nHost: de").await;
        let silent = connect(address, "").await;
        let mut idle = connect(address, GET).await;
        assert!(until(&mut idle, "here").await.starts_with("HTTP/1.1 200"));
        for stream in [slow, silent, idle] {
            assert!(!all(stream).await.contains("200"), "closed, and nothing served");
        }
    }

    #[tokio::test]
    async fn a_body_that_never_comes_is_408_a_large_one_413_a_broken_one_400_and_a_whole_one_is_served() {
        let (address, counters) = house(Limits { head: NEVER, body: SOON, ..usual() }).await;
        let post = |rest: &str| format!("POST /note HTTP/1.1\r\nHost: desk\r\nConnection: close\r\n{rest}");
        for (rest, status) in [
            ("Content-Length: 9\r\n\r\nfour", "408"),
            ("Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400"),
            ("Content-Length: 4\r\n\r\nfour", "200"),
            ("Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n", "200"),
        ] {
            let answer = all(connect(address, &post(rest)).await).await;
            assert_eq!(answer.get(9..12), Some(status), "{rest:?}: {answer}");
        }
        let large = format!("{}{}", post("Content-Length: 101\r\n\r\n"), "x".repeat(101));
        assert_eq!(all(connect(address, &large).await).await.get(9..12), Some("413"));
        assert!(counters.lines().contains("throughline_http_bodies_too_slow_total 1\n"), "{}", counters.lines());
    }

    #[tokio::test]
    async fn one_connection_too_many_hears_503_and_the_next_is_served_when_there_is_room() {
        let (address, counters) = house(Limits { connections: 2, ..usual() }).await;
        let mut open = Vec::new();
        for _ in 0..2 {
            let mut stream = connect(address, GET).await;
            until(&mut stream, "here").await;
            open.push(stream);
        }
        assert_eq!(all(connect(address, "").await).await.get(9..12), Some("503"));
        assert!(counters.lines().contains("throughline_http_connections_refused_total 1\n"), "{}", counters.lines());
        drop(open.pop());
        let served = async {
            while !all(connect(address, "GET / HTTP/1.1\r\nHost: desk\r\nConnection: close\r\n\r\n").await).await.ends_with("here") {}
        };
        timeout(NEVER, served).await.expect("there is room again");
        assert!(until(&mut connect_again(&mut open).await, "here").await.contains("200"), "who was here is served on");
    }

    async fn connect_again(open: &mut Vec<TcpStream>) -> TcpStream {
        let mut stream = open.pop().expect("one is open");
        stream.write_all(GET.as_bytes()).await.expect("writes");
        stream
    }

    #[tokio::test]
    async fn what_comes_after_stop_is_not_served_and_what_is_open_ends() {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let router = Router::new().route("/", get(|| async { "here" }));
        let serving = tokio::spawn(serve(listener, router, Taken::with(8), async move {
            let _ = stopped.await;
        }));
        let mut open = connect(address, GET).await;
        until(&mut open, "here").await;
        stop.send(()).expect("it listens");
        serving.await.expect("it ends");
        assert_eq!(all(open).await, "", "closed without another word");
        assert!(TcpStream::connect(address).await.is_err());
    }
}
