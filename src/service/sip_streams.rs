//! The TCP connections that SIP goes over: accepted, made, read, written and closed, never waiting.
//!
//! One connection per [`Flow`]. What a peer does not read waits in a bounded queue; when that is full the connection is closed, as a
//! message left out would be missed by nobody but its dialog. Limits are those of [`Connections`].

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io::{self, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use ipnet::IpNet;
use mio::{
    Interest, Registry, Token,
    net::{TcpListener, TcpStream},
};
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

use super::sip_sockets::mark;
use crate::protocol::sip::{
    connections::{Admission, ConnectionId, ConnectionLimits, Connections, Overdue},
    flow::{Flow, ListenerId, Transport},
    stream::{Framed, Framer, PONG},
};

/// Connections accepted before other sockets have their turn.
const ACCEPT_BUDGET: usize = 64;
/// Octets read from one connection before the others have their turn.
const READ_BUDGET: usize = 64 * 1024;
/// Handshakes that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// How long accepting rests when there are no descriptors left, so that it does not spin.
const ACCEPT_REST: Duration = Duration::from_millis(200);
/// How long the network may leave our octets without an acknowledgement: below Timer B, so that a dead peer is known in time.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);
/// When an idle connection is asked whether its peer is there, and how often.
const PROBE: Duration = Duration::from_secs(60);
/// Octets of unfinished messages in all; beyond it strangers who add to them are closed.
const HELD_IN_ALL: usize = 64 << 20;

/// Why connections were closed or not made, by their names in the metrics.
pub type StreamCounters = BTreeMap<&'static str, u64>;

struct Stream {
    socket: TcpStream,
    flow: Flow,
    framer: Framer,
    waiting: VecDeque<Vec<u8>>,
    /// Octets in `waiting`, and how many of the first are written.
    waits: usize,
    written: usize,
    connecting: bool,
    proven: bool,
    /// Whether the switch knows of the flow, so that its end is told.
    known: bool,
}

/// All listeners and connections.
pub struct SipStreams {
    listeners: Vec<Option<TcpListener>>,
    addresses: Vec<SocketAddr>,
    trusted: Vec<IpNet>,
    registry: Option<Registry>,
    first_token: usize,
    by_id: HashMap<ConnectionId, Stream>,
    by_flow: HashMap<Flow, ConnectionId>,
    table: Connections,
    limits: ConnectionLimits,
    last_id: ConnectionId,
    held: usize,
    closed: VecDeque<Flow>,
    accept_again_at: Option<Instant>,
    counters: StreamCounters,
}

impl SipStreams {
    /// Takes bound listeners (one place per listener of the configuration); connections get tokens from `first_token` on. Peers in
    /// `trusted` networks are trunks.
    pub fn new(listeners: Vec<Option<TcpListener>>, addresses: Vec<SocketAddr>, trusted: Vec<IpNet>, limits: ConnectionLimits) -> Self {
        Self {
            first_token: 2 * listeners.len(),
            listeners,
            addresses,
            trusted,
            registry: None,
            by_id: HashMap::new(),
            by_flow: HashMap::new(),
            table: Connections::new(limits),
            limits,
            last_id: 0,
            held: 0,
            closed: VecDeque::new(),
            accept_again_at: None,
            counters: StreamCounters::new(),
        }
    }

    /// Registers the listeners; listener `n` has token `listeners + n`.
    pub fn register(&mut self, registry: &Registry) -> io::Result<()> {
        let count = self.listeners.len();
        for (n, listener) in self.listeners.iter_mut().enumerate() {
            if let Some(listener) = listener {
                registry.register(listener, Token(count + n), Interest::READABLE)?;
            }
        }
        self.registry = Some(registry.try_clone()?);
        Ok(())
    }

    /// Something may be written, or a connection that we make is there, or failed.
    pub fn writable(&mut self, token: usize) {
        let Some(id) = self.id_of(token) else { return };
        let Some(stream) = self.by_id.get_mut(&id) else { return };
        if stream.connecting {
            let failed = stream.socket.take_error().ok().flatten().is_some() || stream.socket.peer_addr().is_err();
            if failed {
                return self.close(id, "connect_failed");
            }
            stream.connecting = false;
            self.table.connected(id);
        }
        self.flush(id);
    }

    /// Reads up to the budget, giving out whole messages; true when there may be more.
    pub fn read(&mut self, now: Instant, token: usize, buffer: &mut [u8], sink: &mut dyn FnMut(Flow, &[u8])) -> bool {
        match self.id_of(token) {
            Some(id) => self.read_stream(now, id, buffer, sink),
            None => self.accept(now, token - self.listeners.len()),
        }
    }

    /// Sends a message, or lets it wait behind others. Where there is no connection one is made if `connect`, else the flow is
    /// reported as closed.
    pub fn send(&mut self, now: Instant, flow: Flow, bytes: &[u8], connect: bool) {
        let id = self.by_flow.get(&flow).copied().or_else(|| if connect { self.connect(now, flow) } else { None });
        let Some(id) = id else {
            self.closed.push_back(flow);
            return;
        };
        if let Some(stream) = self.by_id.get_mut(&id) {
            stream.known = true;
        }
        self.queue(id, bytes.to_vec());
    }

    /// The switch knows who is at the other end.
    pub fn trust(&mut self, flow: Flow) {
        let Some(id) = self.by_flow.get(&flow).copied() else { return };
        if self.table.prove(id)
            && let Some(stream) = self.by_id.get_mut(&id)
        {
            stream.proven = true;
        }
    }

    /// The next flow that is no more and that the switch knew.
    pub fn next_closed(&mut self) -> Option<Flow> {
        self.closed.pop_front()
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn next_timeout(&mut self) -> Option<Instant> {
        self.table.next_timeout().into_iter().chain(self.accept_again_at).min()
    }

    /// Closes what is overdue. Returns the tokens of listeners that accept again.
    pub fn handle_timeout(&mut self, now: Instant) -> std::ops::Range<usize> {
        while let Some((id, why)) = self.table.overdue(now) {
            let reason = match why {
                Overdue::Connect => "connect_timeout",
                Overdue::Message => "slow_message",
                Overdue::Unproven => "unproven",
            };
            self.close(id, reason);
        }
        let rested = self.accept_again_at.is_some_and(|at| now >= at);
        if rested {
            self.accept_again_at = None;
        }
        let count = self.listeners.len();
        if rested { count..2 * count } else { 0..0 }
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Totals of connections that were closed or refused, by reason.
    pub fn counters(&self) -> &StreamCounters {
        &self.counters
    }

    fn id_of(&self, token: usize) -> Option<ConnectionId> {
        token.checked_sub(self.first_token).and_then(|id| u64::try_from(id).ok())
    }

    fn count(&mut self, reason: &'static str) {
        *self.counters.entry(reason).or_default() += 1;
    }

    fn accept(&mut self, now: Instant, n: usize) -> bool {
        if self.accept_again_at.is_some() {
            return false;
        }
        for _ in 0..ACCEPT_BUDGET {
            let Some(listener) = self.listeners.get(n).and_then(Option::as_ref) else { return false };
            match listener.accept() {
                Ok((socket, remote)) => self.admit(now, n, socket, remote),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // Whoever gave up in between; the next may be well.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
                Err(error) => {
                    tracing::debug!(%error, "no connection can be accepted");
                    self.count("accept_failed");
                    self.accept_again_at = Some(now + ACCEPT_REST);
                    return false;
                }
            }
        }
        true
    }

    fn admit(&mut self, now: Instant, n: usize, socket: TcpStream, remote: SocketAddr) {
        let known = self.trusted.iter().any(|network| network.contains(&remote.ip()));
        match self.table.admit(remote.ip(), known) {
            Admission::Accepted => {}
            Admission::Evict(oldest) => self.close(oldest, "evicted"),
            Admission::AddressFull => return self.count("address_full"),
            Admission::Full => return self.count("full"),
        }
        let flow = Flow { listener: ListenerId(u16::try_from(n).unwrap_or(u16::MAX)), transport: Transport::Tcp, remote };
        if let Some(id) = self.add(flow, socket, false) {
            self.table.accepted(now, id, remote.ip(), known);
            if let Some(stream) = self.by_id.get_mut(&id) {
                stream.proven = known;
            }
        }
    }

    /// Starts a connection to a trunk from the address that the listener has.
    fn connect(&mut self, now: Instant, flow: Flow) -> Option<ConnectionId> {
        if self.table.len() >= self.limits.total {
            self.count("full");
            return None;
        }
        let from = *self.addresses.get(usize::from(flow.listener.0))?;
        match start_connecting(from, flow.remote) {
            Ok(socket) => {
                let id = self.add(flow, socket, true)?;
                self.table.connecting(now, id, flow.remote.ip());
                Some(id)
            }
            Err(error) => {
                tracing::debug!(%error, "a connection cannot be made");
                self.count("connect_failed");
                None
            }
        }
    }

    fn add(&mut self, flow: Flow, mut socket: TcpStream, connecting: bool) -> Option<ConnectionId> {
        // The same peer from the same port: the older connection is dead, we only have not heard of it.
        if let Some(old) = self.by_flow.get(&flow).copied() {
            self.close(old, "replaced");
        }
        let id = self.last_id + 1;
        let token = Token(self.first_token + usize::try_from(id).ok()?);
        self.registry.as_ref()?.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE).ok()?;
        if !connecting {
            tune(&socket, flow.remote);
        }
        self.last_id = id;
        let framer = Framer::default();
        let proven = connecting;
        let stream = Stream { socket, flow, framer, waiting: VecDeque::new(), waits: 0, written: 0, connecting, proven, known: false };
        self.by_id.insert(id, stream);
        self.by_flow.insert(flow, id);
        Some(id)
    }

    fn read_stream(&mut self, now: Instant, id: ConnectionId, buffer: &mut [u8], sink: &mut dyn FnMut(Flow, &[u8])) -> bool {
        let mut budget = READ_BUDGET;
        while let Some(stream) = self.by_id.get_mut(&id).filter(|stream| !stream.connecting) {
            match stream.socket.read(buffer) {
                Ok(0) => {
                    self.close(id, "by_peer");
                    return false;
                }
                Ok(length) => {
                    self.take(now, id, &buffer[..length], sink);
                    budget = budget.saturating_sub(length);
                    if budget == 0 {
                        return true;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.close(id, "broken");
                    return false;
                }
            }
        }
        false
    }

    /// Gives out the messages that are whole now.
    fn take(&mut self, now: Instant, id: ConnectionId, octets: &[u8], sink: &mut dyn FnMut(Flow, &[u8])) {
        let Some(stream) = self.by_id.get_mut(&id) else { return };
        self.held -= stream.framer.held();
        stream.framer.push(octets);
        let (mut messages, mut pings) = (0, 0);
        let failed = loop {
            match stream.framer.next_message() {
                Ok(Some(Framed::Message(message))) => {
                    messages += 1;
                    sink(stream.flow, message);
                }
                Ok(Some(Framed::Ping)) => pings += 1,
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        stream.known |= messages > 0;
        let (held, proven, partial) = (stream.framer.held(), stream.proven, stream.framer.is_partial());
        self.held += held;
        self.table.received(now, id, messages, partial);
        if let Some(error) = failed {
            tracing::debug!(%error, "a connection is closed");
            return self.close(id, "no_framing");
        }
        if self.held > HELD_IN_ALL && !proven {
            return self.close(id, "held_too_much");
        }
        // A burst of pings needs one answer.
        if pings > 0 {
            self.queue(id, PONG.to_vec());
        }
    }

    fn queue(&mut self, id: ConnectionId, bytes: Vec<u8>) {
        let Some(stream) = self.by_id.get_mut(&id) else { return };
        if !self.table.may_wait(stream.waits, bytes.len()) {
            return self.close(id, "queue_full");
        }
        stream.waits += bytes.len();
        stream.waiting.push_back(bytes);
        if !stream.connecting {
            self.flush(id);
        }
    }

    fn flush(&mut self, id: ConnectionId) {
        let Some(stream) = self.by_id.get_mut(&id) else { return };
        while let Some(first) = stream.waiting.front() {
            match stream.socket.write(&first[stream.written..]) {
                Ok(length) => {
                    stream.written += length;
                    stream.waits -= length;
                    if stream.written == first.len() {
                        stream.written = 0;
                        stream.waiting.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.close(id, "broken"),
            }
        }
    }

    fn close(&mut self, id: ConnectionId, reason: &'static str) {
        let Some(stream) = self.by_id.remove(&id) else { return };
        self.held -= stream.framer.held();
        if self.by_flow.get(&stream.flow) == Some(&id) {
            self.by_flow.remove(&stream.flow);
        }
        self.table.closed(id);
        self.count(reason);
        if stream.known {
            self.closed.push_back(stream.flow);
        }
    }
}

/// A bound listener.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restarted server must not wait for the connections of the one before to be forgotten.
    socket.set_reuse_address(true)?;
    mark(&socket, address);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

fn start_connecting(from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(SocketAddr::new(from.ip(), 0)))?;
    mark(&socket, to);
    set_options(&socket);
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// Sets an accepted connection up. Each of these is a courtesy; without it everything still works.
fn tune(socket: &TcpStream, remote: SocketAddr) {
    let socket = socket2::SockRef::from(socket);
    mark(&socket, remote);
    set_options(&socket);
}

fn set_options(socket: &Socket) {
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(PROBE).with_interval(PROBE / 6).with_retries(3));
}

#[cfg(test)]
mod tests;
