//! Requests of ours that are too large for a datagram (RFC 3261 §18.1.1): the connection that they take, and the way back to a
//! datagram where none can be made.
//!
//! A trunk may be connected to at its address. So may a phone that registers under the very address that it sends from: where the
//! two differ, what listens there is its router.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Counter, Switch, flows::Flows};
use crate::{
    domain::call::leg::wire::LARGEST_DATAGRAM,
    protocol::sip::{
        build::Request,
        field::Method,
        flow::{Flow, Transport},
        hop_request,
        registrar::{Binding, Registrar},
        transaction_layer::{ClientId, OutgoingRequest, SendError},
    },
};

/// For how long an address that takes no connection is sent large requests as datagrams without another try.
const NO_STREAM: Duration = Duration::from_secs(600);
/// Such addresses that are remembered, the phones of a large site; with more, the oldest is asked again sooner.
const MAX_NO_STREAM: usize = 1_024;

/// A request of ours as a datagram.
#[derive(Debug)]
pub(super) struct Datagram {
    pub method: Method,
    pub branch: String,
    pub flow: Flow,
    pub bytes: Arc<[u8]>,
}

/// Connections that we made, or could not make, for a request's size alone.
#[derive(Debug, Default)]
pub(super) struct Large {
    /// Each with the flow of datagrams beside it, and whether anything ever came over it.
    made: BTreeMap<Flow, (Flow, bool)>,
    /// Addresses that took no connection, and when; oldest first.
    refused: VecDeque<(Instant, SocketAddr)>,
}

impl Large {
    /// The connection to the peer of this flow that is there or may be tried now.
    pub fn stream(&self, now: Instant, flow: Flow) -> Option<Flow> {
        let stream = Flow { transport: Transport::Tcp, ..flow };
        let lately = |at: &Instant| now.saturating_duration_since(*at) < NO_STREAM;
        let refused = || self.refused.iter().any(|(at, refused)| *refused == flow.remote && lately(at));
        (self.made.contains_key(&stream) || !refused()).then_some(stream)
    }

    /// Whether this connection is ours to make.
    pub fn is_made(&self, stream: Flow) -> bool {
        self.made.contains_key(&stream)
    }

    /// The flow of datagrams of the peer that we made this connection to.
    pub fn beside(&self, stream: Flow) -> Option<Flow> {
        self.made.get(&stream).map(|(beside, _)| *beside)
    }

    /// Something came over a connection: it is one.
    pub fn heard(&mut self, stream: Flow) {
        if let Some((_, heard)) = self.made.get_mut(&stream) {
            *heard = true;
        }
    }

    /// A connection is no more. One over which nothing ever came was none.
    pub fn closed(&mut self, now: Instant, stream: Flow) {
        if let Some((beside, false)) = self.made.remove(&stream) {
            self.refused.retain(|(_, refused)| *refused != beside.remote);
            if self.refused.len() == MAX_NO_STREAM {
                self.refused.pop_front();
            }
            self.refused.push_back((now, beside.remote));
        }
    }
}

/// Whether a phone takes connections, as far as its registration says: no router lies between, and it did not ask for UDP.
pub(super) fn phone_takes_connections(registrar: &Registrar, flows: &Flows, steady_ms: i64, flow: Flow) -> bool {
    let Some(phone) = flows.phone(steady_ms, flow) else { return false };
    let direct = |binding: &Binding| {
        let Some(target) = binding.target() else { return false };
        let uri = target.uri();
        let at = uri.host().and_then(|host| host.ip()).map(|ip| SocketAddr::new(ip, uri.port().unwrap_or(5060)));
        at == Some(flow.remote) && uri.param("transport").is_none_or(|named| !named.eq_ignore_ascii_case("udp"))
    };
    registrar.bindings(steady_ms, &phone.to_string()).iter().any(|binding| binding.flow == flow && direct(binding))
}

impl Switch {
    /// A request goes over this connection in the place of a datagram; one that is not there is made by it.
    pub(super) fn takes_stream(&mut self, stream: Flow, beside: Flow) {
        if !self.flows.is_open(stream) {
            self.large.made.entry(stream).or_insert((beside, false));
        }
    }

    /// Sends a request to a trunk outside of any call.
    pub(super) fn send_sized(&mut self, branch: &str, flow: Flow, request: &Request) -> Result<ClientId, SendError> {
        let (now, bytes) = (self.now.mono, request.to_bytes());
        let large = bytes.len() > LARGEST_DATAGRAM && !flow.transport.is_reliable();
        let stream = self.flows.stream_beside(self.steady_ms(), flow).or_else(|| self.large.stream(now, flow)).filter(|_| large);
        let Some(stream) = stream else {
            return self.layer.send_request(now, OutgoingRequest { method: &request.method, branch, flow, bytes: bytes.into() });
        };
        self.counters.count(Counter::LargeByStream);
        self.takes_stream(stream, flow);
        let over_stream = hop_request::over_stream(&bytes).into();
        let outgoing = OutgoingRequest { method: &request.method, branch, flow: stream, bytes: over_stream };
        let client = self.layer.send_request(now, outgoing)?;
        let datagram = Datagram { method: request.method.clone(), branch: branch.to_owned(), flow, bytes: bytes.into() };
        self.datagrams.insert(client, datagram);
        Ok(client)
    }

    /// The connection for a request that was too large for a datagram is no more: it goes as one after all (RFC 3261 §18.1.1).
    /// False where it was none, or nobody wants it any more.
    pub(super) fn goes_as_datagram(&mut self, client: ClientId) -> bool {
        let Some(Datagram { method, branch, flow, bytes }) = self.datagrams.remove(&client) else { return false };
        let request = OutgoingRequest { method: &method, branch: &branch, flow, bytes };
        if self.trunks.registering.contains_key(&client) {
            let Ok(again) = self.layer.send_request(self.now.mono, request) else { return false };
            self.counters.count(Counter::LargeByDatagram);
            let trunk = self.trunks.registering.remove(&client);
            self.trunks.registering.extend(trunk.map(|trunk| (again, trunk)));
            return true;
        }
        let Some((leg, purpose)) = self.clients.get(&client).copied() else { return false };
        let call = self.legs.get(&leg).and_then(|call| self.calls.get(call));
        if !call.and_then(|call| call.leg(leg)).is_some_and(|leg| leg.still_wants(purpose)) {
            return false;
        }
        self.client_over(client);
        self.counters.count(Counter::LargeByDatagram);
        self.send_request(leg, purpose, request);
        true
    }
}
