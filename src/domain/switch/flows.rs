//! Which phone is at which flow: what is sent to keep a NAT open, what ends with a connection, what moves with a phone.
//!
//! A phone proves with each REGISTER where it is. When it comes from elsewhere (a NAT gave it another port, its connection was
//! made anew), the calls in which it is go with it.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{Output, Switch};
use crate::{
    domain::call::Call,
    ids::{InteractionId, PhoneId},
    protocol::sip::{flow::Flow, timer_queue::TimerQueue},
};

/// How often a UDP binding is kept alive: many NATs forget a mapping of UDP after 30 s (RFC 4787 §4.3, RFC 5626 §4.4).
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(25);
/// What keeps it alive (RFC 5626 §3.5.1): an empty line that no SIP stack takes for a message.
const KEEP_ALIVE: &[u8] = b"\r\n\r\n";
/// Keep-alives sent in one go, so that bindings that were loaded together do not hold up a call.
const KEEP_ALIVES_AT_ONCE: usize = 64;

/// Where phones are.
#[derive(Debug, Default)]
pub(super) struct Flows {
    /// The phone at each flow, and until when (steady milliseconds).
    phones: HashMap<Flow, (PhoneId, i64)>,
    keep_alive: TimerQueue<Flow>,
    /// Connections that are open and whose peer has proven itself.
    streams: BTreeSet<Flow>,
}

impl Flows {
    /// The phone that registered from this flow, while that lasts.
    pub fn phone(&self, now_ms: i64, flow: Flow) -> Option<PhoneId> {
        self.phones.get(&flow).filter(|(_, until)| now_ms < *until).map(|(phone, _)| *phone)
    }

    /// A phone is there; true where that is news.
    pub fn registered(&mut self, now: Instant, flow: Flow, phone: PhoneId, until_ms: i64, first_after: Duration) -> bool {
        let news = self.phones.insert(flow, (phone, until_ms)).is_none_or(|(before, _)| before != phone);
        if news && !flow.transport.is_reliable() {
            self.keep_alive.set(flow, Some(now + first_after));
        }
        news
    }

    /// Nobody is registered there any more. Where the phone was is still known until its time is over: its calls may follow it.
    pub fn unregistered(&mut self, flow: Flow) {
        self.keep_alive.set(flow, None);
    }

    /// The peer of a connection has proven itself; true where that is news.
    pub fn proven(&mut self, flow: Flow) -> bool {
        flow.transport.is_reliable() && self.streams.insert(flow)
    }

    /// Whether this is a connection whose peer has proven itself.
    pub fn is_open(&self, flow: Flow) -> bool {
        self.streams.contains(&flow)
    }

    /// A connection is no more.
    pub fn closed(&mut self, flow: Flow) {
        self.streams.remove(&flow);
    }

    /// An open connection of the peer behind a UDP flow: of the same phone, else to the same address and port (RFC 3261 §18.1.1).
    pub fn stream_beside(&self, now_ms: i64, flow: Flow) -> Option<Flow> {
        let phone = self.phone(now_ms, flow);
        let same_host = |stream: &&Flow| stream.listener == flow.listener && stream.remote.ip() == flow.remote.ip();
        let same_peer = |stream: &&Flow| match phone {
            Some(_) => self.phone(now_ms, **stream) == phone,
            None => stream.remote == flow.remote,
        };
        self.streams.iter().filter(same_host).find(same_peer).copied()
    }

    /// When the next keep-alive is due.
    pub fn next_timeout(&mut self) -> Option<Instant> {
        self.keep_alive.next_at()
    }

    /// Flows that are to be kept alive now, a few at a time.
    fn due(&mut self, now: Instant) -> Vec<Flow> {
        let mut due = Vec::new();
        while due.len() < KEEP_ALIVES_AT_ONCE {
            let Some(flow) = self.keep_alive.pop_due(now) else { break };
            due.push(flow);
        }
        due
    }

    /// Forgets flows whose time is over.
    pub fn sweep(&mut self, now_ms: i64) {
        self.phones.retain(|_, (_, until)| *until > now_ms);
    }
}

impl Switch {
    /// Notes where a phone is now. `loaded`: after a restart all come at once, so their keep-alives are spread.
    pub(super) fn phone_is_at(&mut self, flow: Flow, phone: PhoneId, until_ms: i64, loaded: bool) {
        let interval_ms = u32::try_from(KEEP_ALIVE_INTERVAL.as_millis()).unwrap_or(u32::MAX);
        let first_after = if loaded { Duration::from_millis(self.tokens.below(interval_ms).into()) } else { KEEP_ALIVE_INTERVAL };
        if self.flows.registered(self.now.mono, flow, phone, until_ms, first_after) {
            self.follow(phone, flow);
        }
    }

    /// The peer at this flow has proven who it is.
    pub(super) fn proven(&mut self, flow: Flow) {
        if self.flows.proven(flow) {
            self.outputs.push_back(Output::Trust { flow });
        }
    }

    /// A binding went: the flow is of no use once no other binding of the phone is there.
    pub(super) fn phone_left(&mut self, flow: Flow, phone: PhoneId) {
        if !self.is_bound(phone, flow) {
            self.flows.unregistered(flow);
        }
    }

    /// A connection is no more: what waited on it fails, phones behind it cannot be reached, a trunk is called back where it said.
    pub(super) fn flow_closed(&mut self, flow: Flow) {
        self.flows.closed(flow);
        self.large.closed(self.now.mono, flow);
        let changes = self.registrar.flow_closed(flow);
        self.write_bindings(changes);
        let with_it: Vec<InteractionId> = self.calls.values().filter(|call| call.uses(flow)).map(Call::id).collect();
        for call in with_it {
            if let Some(call) = self.calls.get_mut(&call) {
                call.stream_closed(flow);
            }
        }
        self.layer.flow_closed(self.now.mono, flow);
        self.drain_layer();
    }

    /// Keeps alive what is due.
    pub(super) fn keep_flows_alive(&mut self) {
        for flow in self.flows.due(self.now.mono) {
            let phone = self.flows.phone(self.steady_ms(), flow);
            if !phone.is_some_and(|phone| self.is_bound(phone, flow)) {
                continue;
            }
            self.flows.keep_alive.set(flow, Some(self.now.mono + KEEP_ALIVE_INTERVAL));
            self.outputs.push_back(Output::Send { flow, bytes: KEEP_ALIVE.to_vec(), connect: false });
        }
    }

    /// The calls of a phone that left its former flow for a new one go with it.
    fn follow(&mut self, phone: PhoneId, to: Flow) {
        let now = self.steady_ms();
        let flows: BTreeSet<Flow> = self.calls.values().flat_map(Call::flows).filter(|from| *from != to).collect();
        let left = flows.into_iter().filter(|from| self.flows.phone(now, *from) == Some(phone) && !self.is_bound(phone, *from));
        for from in left.collect::<Vec<_>>() {
            self.calls.values_mut().for_each(|call| call.move_flow(from, to));
        }
    }

    fn is_bound(&self, phone: PhoneId, flow: Flow) -> bool {
        self.registrar.bindings(self.steady_ms(), &phone.to_string()).iter().any(|binding| binding.flow == flow)
    }

    /// Whether the two addresses are known to be of one phone.
    pub(super) fn same_phone(&self, a: Flow, b: Flow) -> bool {
        let phone = self.flows.phone(self.steady_ms(), a);
        phone.is_some() && phone == self.flows.phone(self.steady_ms(), b)
    }
}

/// Where nobody is: the source of a binding that is over.
pub(super) const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
