//! Messages of a leg: addresses by destination, the headers that every one of ours carries, the actions that send them.

use std::{net::SocketAddr, sync::Arc};

use super::{Leg, State, in_dialog::Asked};
use crate::{
    domain::call::{Action, Purpose, counters::Counter, policy::Policy, turn::Turn},
    protocol::sip::{
        build::{AddressHeader, Header, Request, Response, TextHeader, TokensHeader, ViaBuf},
        dialog::Dialog,
        field::{Address, HostBuf, Method, Text, Token, UriBuf},
        flow::Flow,
        hop_request,
        message::Message,
        status::reason_phrase,
        transaction_layer::ServerId,
        uri::Uri,
    },
};

/// The methods that we serve in a dialog and say so.
const ALLOW: [&str; 7] = ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE", "INFO"];

/// Requests above this go over a connection where the peer has one: as a datagram they might be cut up and lost
/// (RFC 3261 §18.1.1: 200 octets below the smallest path MTU that is usual).
pub const LARGEST_DATAGRAM: usize = 1300;

/// Our address as this peer reaches it.
pub fn our_address(policy: &Policy, flow: Flow) -> SocketAddr {
    let listener = policy.listeners.get(usize::from(flow.listener.0));
    listener.map_or(SocketAddr::from(([0, 0, 0, 0], 5060)), |listener| {
        SocketAddr::new(listener.address_for(flow.remote.ip()), listener.bind.port())
    })
}

/// Our Contact towards this peer; its user part names node and epoch.
pub(super) fn contact(turn: &Turn<'_>, flow: Flow) -> Address {
    let at = our_address(turn.house.policy, flow);
    let uri = UriBuf::sip(Some(turn.tokens.mark()), &HostBuf::Ip(at.ip()), Some(at.port()));
    let transport = Token::new("transport").zip(flow.transport.uri_param().and_then(Token::new));
    Address::new(transport.map_or_else(|| uri.clone(), |(name, value)| uri.with_param(&name, Some(&value))))
}

/// `Allow` with what we serve.
pub fn allow() -> Header {
    Header::Tokens(TokensHeader::Allow, tokens(&ALLOW))
}

/// `Supported` with the extensions that we know.
pub fn supported() -> Header {
    Header::Tokens(TokensHeader::Supported, tokens(&["timer"]))
}

pub(super) fn tokens(names: &[&str]) -> Vec<Token> {
    names.iter().filter_map(|name| Token::new(name)).collect()
}

/// What we are, in requests.
fn user_agent(policy: &Policy) -> Header {
    Header::Text(TextHeader::UserAgent, Text::new(&policy.product))
}

/// The same response with another status; what only 1xx and 2xx carry is left out of the others.
pub(super) fn with_status(template: &Response, status: u16) -> Response {
    let mut response = template.clone();
    response.status = status;
    response.reason = Text::new(reason_phrase(status));
    if status >= 300 {
        response.headers.clear();
    }
    response
}

impl Leg {
    /// A response to a request in this dialog.
    pub(super) fn reply(&self, request: &Message<'_>, asked: Asked, status: u16) -> Response {
        Response::to(request, status, &self.local_tag, asked.source)
    }

    pub(super) fn contact_header(&self) -> Header {
        Header::Address(AddressHeader::Contact, self.contact.clone())
    }

    /// Sends a response, and returns its bytes for those that are repeated.
    pub(super) fn respond(turn: &mut Turn<'_>, to: ServerId, response: Response) -> Arc<[u8]> {
        let server = Header::Text(TextHeader::Server, Text::new(&turn.house.policy.product));
        let status = response.status;
        let bytes = response.with(server).to_bytes();
        let kept: Arc<[u8]> = bytes.as_slice().into();
        turn.act(Action::Respond { to, status, bytes });
        kept
    }

    /// Gives a request its Via and sends it in a transaction.
    pub(super) fn send(&mut self, turn: &mut Turn<'_>, purpose: Purpose, request: Request) -> Request {
        self.send_by(turn, self.flow, purpose, request)
    }

    /// The same by this path to the peer.
    pub(super) fn send_by(&mut self, turn: &mut Turn<'_>, peer: Flow, purpose: Purpose, mut request: Request) -> Request {
        self.authorise(&mut request);
        let mut flow = self.hop_by(peer, &request);
        let branch = turn.tokens.branch();
        let mut request = stamped(turn, flow, &branch, request);
        let mut bytes = request.to_bytes();
        let mut datagram = None;
        if let Some(stream) = self.stream_for(turn, flow, bytes.len()) {
            turn.count(Counter::LargeByStream);
            datagram = Some((flow, bytes));
            flow = stream;
            request.via[0] = ViaBuf::new(flow.transport, our_address(turn.house.policy, flow), &branch);
            bytes = request.to_bytes();
        }
        let method = request.method.clone();
        turn.act(Action::Request { leg: self.id, purpose, method, branch, flow, bytes, datagram });
        request
    }

    /// The connection for a request of this many octets, where it is too large for a datagram and its peer takes one.
    fn stream_for(&self, turn: &Turn<'_>, flow: Flow, length: usize) -> Option<Flow> {
        let large = length > LARGEST_DATAGRAM && !flow.transport.is_reliable();
        if large { (turn.house.stream_beside)(flow, !self.networks.is_empty()) } else { None }
    }

    /// Sends the ACK of a 2xx, or sends it again. Where its connection cannot be made it is lost: the 2xx that comes again for it is
    /// acknowledged by a datagram.
    pub(super) fn send_ack(&self, turn: &mut Turn<'_>, flow: Flow, bytes: Vec<u8>) {
        match self.stream_for(turn, flow, bytes.len()) {
            Some(stream) => {
                turn.count(Counter::LargeByStream);
                turn.act(Action::Send { flow: stream, bytes: hop_request::over_stream(&bytes), beside: Some(flow) });
            }
            None => turn.act(Action::Send { flow, bytes, beside: None }),
        }
    }

    /// Whether a request for this purpose, which could not be sent, is still of use.
    pub fn still_wants(&self, purpose: Purpose) -> bool {
        match (purpose, &self.state) {
            (Purpose::Invite { .. }, State::Calling { cancelled }) => !cancelled,
            (Purpose::Renew | Purpose::Check, State::Up { leaving, .. }) => !leaving,
            (Purpose::Bye, State::Closing { .. }) | (Purpose::EndFork, _) => true,
            (Purpose::Invite { .. } | Purpose::Renew | Purpose::Check | Purpose::Bye, _) => false,
        }
    }

    /// Acknowledges a 2xx to our INVITE along the dialog's route, and keeps the ACK for repetitions.
    pub(super) fn acknowledge(&mut self, turn: &mut Turn<'_>, dialog: &mut Dialog, cseq: u32) {
        self.acknowledge_by(turn, self.flow, dialog, cseq);
    }

    /// The same by this path to the peer.
    pub(super) fn acknowledge_by(&mut self, turn: &mut Turn<'_>, peer: Flow, dialog: &mut Dialog, cseq: u32) {
        let mut ack = dialog.ack(cseq);
        self.authorise(&mut ack);
        let flow = self.hop_by(peer, &ack);
        let branch = turn.tokens.branch();
        let bytes = stamped(turn, flow, &branch, ack).to_bytes();
        dialog.remember_ack(cseq, bytes.as_slice().into());
        self.send_ack(turn, flow, bytes);
    }

    /// Where a request of ours goes: phones by their flow; a trunk by its Route or Contact where that lies in its networks, but
    /// by the connection that is there where there is one.
    pub(super) fn hop_by(&self, peer: Flow, request: &Request) -> Flow {
        if peer.transport.is_reliable() {
            return peer;
        }
        let trusted = self.trusted(&request.next_hop.as_ref().unwrap_or(&request.uri).uri());
        Flow { remote: trusted.unwrap_or(peer.remote), ..peer }
    }

    /// The address that a URI names, where it lies in the trunk's networks.
    pub(super) fn trusted(&self, uri: &Uri<'_>) -> Option<SocketAddr> {
        let named = uri.host().and_then(|host| host.ip()).map(|ip| SocketAddr::new(ip, uri.port().unwrap_or(5060)));
        named.filter(|at| self.networks.iter().any(|network| network.contains(&at.ip())))
    }

    /// Says goodbye; while our 2xx is not acknowledged, as soon as it is (RFC 3261 §15).
    pub(super) fn bye(&mut self, turn: &mut Turn<'_>) {
        self.bye_because(turn, None);
    }

    /// The same, and says why (RFC 3326).
    pub(super) fn bye_because(&mut self, turn: &mut Turn<'_>, reason: Option<&'static str>) {
        match &mut self.state {
            State::Up { await_ack: Some(_), leaving, .. } => *leaving = true,
            State::Up { dialog, await_ack: None, .. } => {
                let mut dialog = dialog.clone();
                let mut bye = dialog.request(Method::Bye);
                bye.headers.extend(reason.map(|reason| Header::Text(TextHeader::Reason, Text::new(reason))));
                self.send(turn, Purpose::Bye, bye);
                self.refresh = None;
                self.state = State::Closing { dialog };
            }
            State::Incoming { .. } | State::Calling { .. } | State::Closing { .. } | State::Gone => {}
        }
    }

    /// Asks the peer whether it is still there, once at a time.
    pub fn check(&mut self, turn: &mut Turn<'_>) {
        if self.checked {
            return;
        }
        if let State::Up { dialog, leaving: false, .. } = &mut self.state {
            let options = dialog.request(Method::Options);
            self.checked = true;
            self.send(turn, Purpose::Check, options);
        }
    }
}

fn stamped(turn: &Turn<'_>, flow: Flow, branch: &str, mut request: Request) -> Request {
    request.via.insert(0, ViaBuf::new(flow.transport, our_address(turn.house.policy, flow), branch));
    request.headers.push(user_agent(turn.house.policy));
    request
}
