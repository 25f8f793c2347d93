//! Which connections may be there, and for how long: limits on number, time and waiting octets, without a socket.
//!
//! ```text
//! connecting ─▶ unproven ── the switch trusts its peer ──▶ proven
//!     2 s          5 s for a message that has begun · 30 s without one · 60 s in all
//! ```
//! A stranger costs a slot for seconds at most and is the first to go; a phone or trunk that has proven itself stays.

use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

use super::timer_queue::TimerQueue;

#[cfg(test)]
mod tests;

/// One connection, as its owner counts them.
pub type ConnectionId = u64;

/// The bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections in all, at one descriptor and up to a few kB each.
    pub total: usize,
    /// Unproven ones of one address, or of one /64: a site whose phones all come back at once, each proving itself in a second.
    pub unproven_per_address: usize,
    /// Proven ones of one address, or of one /64: a large site behind one NAT.
    pub proven_per_address: usize,
    /// For a message that has begun, from an unproven peer: a phone sends one in one go.
    pub message: Duration,
    /// The same from a proven peer: TCP may be repeating a lost segment.
    pub message_proven: Duration,
    /// Without any message, unproven.
    pub idle: Duration,
    /// Unproven in all, however much it says.
    pub unproven: Duration,
    /// For a connection that we make.
    pub connect: Duration,
    /// Octets that may wait to be written to one peer: it would be some 200 messages behind.
    pub waiting: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            total: 16_384,
            unproven_per_address: 64,
            proven_per_address: 4_096,
            message: Duration::from_secs(5),
            message_proven: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            unproven: Duration::from_secs(60),
            // Half of what a trunk may be silent: there is time left to send a large request another way.
            connect: Duration::from_secs(2),
            waiting: 256 * 1024,
        }
    }
}

/// Whether a connection may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Accepted,
    /// It may, and this one, the oldest that has not proven itself, must go.
    Evict(ConnectionId),
    /// Its address has too many.
    AddressFull,
    /// There are too many, all of them proven.
    Full,
}

/// Why a connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Overdue {
    /// It could not be made in time.
    Connect,
    /// A message began and did not end.
    Message,
    /// It said nothing, or nothing that proves who it is.
    Unproven,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Connecting { since: Instant },
    Unproven { since: Instant, heard: Instant },
    Proven,
}

#[derive(Debug)]
struct Connection {
    host: IpAddr,
    standing: Standing,
    /// Since when a message has been incomplete.
    partial: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct OfHost {
    unproven: usize,
    proven: usize,
}

/// All connections.
#[derive(Debug)]
pub struct Connections {
    limits: ConnectionLimits,
    by_id: HashMap<ConnectionId, Connection>,
    by_host: HashMap<IpAddr, OfHost>,
    unproven: BTreeSet<(Instant, ConnectionId)>,
    timers: TimerQueue<ConnectionId>,
}

impl Connections {
    /// None yet.
    pub fn new(limits: ConnectionLimits) -> Self {
        Self { limits, by_id: HashMap::new(), by_host: HashMap::new(), unproven: BTreeSet::new(), timers: TimerQueue::default() }
    }

    /// Whether one more may come from this address. `known`: it is a trunk's.
    pub fn admit(&self, address: IpAddr, known: bool) -> Admission {
        let of_host = self.by_host.get(&host(address)).copied().unwrap_or_default();
        if !known && of_host.unproven >= self.limits.unproven_per_address {
            return Admission::AddressFull;
        }
        if self.by_id.len() < self.limits.total {
            return Admission::Accepted;
        }
        self.unproven.first().map_or(Admission::Full, |(_, oldest)| Admission::Evict(*oldest))
    }

    /// One came in. `known`: its address is a trunk's, so that it needs no further proof.
    pub fn accepted(&mut self, now: Instant, id: ConnectionId, address: IpAddr, known: bool) {
        self.open(id, address, Standing::Unproven { since: now, heard: now });
        self.unproven.insert((now, id));
        if known {
            self.prove(id);
        }
        self.settle(id);
    }

    /// We are making one.
    pub fn connecting(&mut self, now: Instant, id: ConnectionId, address: IpAddr) {
        self.open(id, address, Standing::Connecting { since: now });
        self.settle(id);
    }

    /// The one that we were making is there.
    pub fn connected(&mut self, id: ConnectionId) {
        if let Some(connection) = self.by_id.get_mut(&id) {
            connection.standing = Standing::Proven;
        }
        self.settle(id);
    }

    /// Octets came: so many whole messages, and whether another has begun.
    pub fn received(&mut self, now: Instant, id: ConnectionId, messages: usize, partial: bool) {
        let Some(connection) = self.by_id.get_mut(&id) else { return };
        connection.partial = match (partial, connection.partial) {
            (false, _) => None,
            (true, Some(since)) if messages == 0 => Some(since),
            (true, Some(_) | None) => Some(now),
        };
        if let (Standing::Unproven { heard, .. }, true) = (&mut connection.standing, messages > 0) {
            *heard = now;
        }
        self.settle(id);
    }

    /// The switch knows who it is. False where its address has too many of those already: then it stays unproven.
    pub fn prove(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.by_id.get_mut(&id) else { return false };
        let Standing::Unproven { since, .. } = connection.standing else { return true };
        let of_host = self.by_host.entry(connection.host).or_default();
        if of_host.proven >= self.limits.proven_per_address {
            return false;
        }
        connection.standing = Standing::Proven;
        of_host.proven += 1;
        of_host.unproven = of_host.unproven.saturating_sub(1);
        self.unproven.remove(&(since, id));
        self.settle(id);
        true
    }

    /// It is no more.
    pub fn closed(&mut self, id: ConnectionId) {
        let Some(connection) = self.by_id.remove(&id) else { return };
        self.timers.set(id, None);
        let Some(of_host) = self.by_host.get_mut(&connection.host) else { return };
        match connection.standing {
            Standing::Unproven { since, .. } => {
                self.unproven.remove(&(since, id));
                of_host.unproven = of_host.unproven.saturating_sub(1);
            }
            Standing::Connecting { .. } | Standing::Proven => of_host.proven = of_host.proven.saturating_sub(1),
        }
        if *of_host == OfHost::default() {
            self.by_host.remove(&connection.host);
        }
    }

    /// Whether so many more octets may wait behind those that wait.
    pub fn may_wait(&self, waiting: usize, more: usize) -> bool {
        waiting.saturating_add(more) <= self.limits.waiting
    }

    /// When [`Self::overdue`] has something to say.
    pub fn next_timeout(&mut self) -> Option<Instant> {
        self.timers.next_at()
    }

    /// The next connection whose time is over; it must be closed and then told with [`Self::closed`].
    pub fn overdue(&mut self, now: Instant) -> Option<(ConnectionId, Overdue)> {
        while let Some(id) = self.timers.pop_due(now) {
            if let Some((_, why)) = self.deadline(id) {
                return Some((id, why));
            }
        }
        None
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty() && self.by_host.is_empty() && self.unproven.is_empty() && self.timers.is_empty()
    }

    fn open(&mut self, id: ConnectionId, address: IpAddr, standing: Standing) {
        let host = host(address);
        let of_host = self.by_host.entry(host).or_default();
        match standing {
            Standing::Unproven { .. } => of_host.unproven += 1,
            Standing::Connecting { .. } | Standing::Proven => of_host.proven += 1,
        }
        self.by_id.insert(id, Connection { host, standing, partial: None });
    }

    fn deadline(&self, id: ConnectionId) -> Option<(Instant, Overdue)> {
        let (connection, limits) = (self.by_id.get(&id)?, &self.limits);
        match connection.standing {
            Standing::Connecting { since } => Some((since + limits.connect, Overdue::Connect)),
            Standing::Unproven { since, heard } => {
                let silent = ((heard + limits.idle).min(since + limits.unproven), Overdue::Unproven);
                let message = connection.partial.map(|since| (since + limits.message, Overdue::Message));
                Some(message.map_or(silent, |message| message.min(silent)))
            }
            Standing::Proven => connection.partial.map(|since| (since + limits.message_proven, Overdue::Message)),
        }
    }

    fn settle(&mut self, id: ConnectionId) {
        let at = self.deadline(id).map(|(at, _)| at);
        self.timers.set(id, at);
    }
}

/// What counts as one address: an IPv6 host has a whole /64.
fn host(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}
