//! A small SIP user agent for demonstrations: one socket, our own transaction layer, blocking calls with deadlines.

use std::{
    collections::VecDeque,
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use rand_chacha::{
    ChaCha12Rng,
    rand_core::{RngCore, SeedableRng},
};

use crate::{
    protocol::sip::{
        build::{Header, Request, Response, TextHeader, ViaBuf},
        dialog::Dialog,
        field::{Address, CallId, HostBuf, Method, Text, UriBuf},
        flow::{Flow, ListenerId, Transport},
        message::Message,
        parse::parse,
        timers::Timers,
        transaction_layer::{
            ClientId, Limits, OutgoingRequest, Output, RequestFate, RequestHead, ResponseFate, ResponseHead, ServerId, TransactionLayer,
        },
    },
    service::clock,
};

/// Why a demonstration stopped.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A socket or a file.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server said something else than was hoped for.
    #[error("{0}")]
    Refused(String),
}

/// Something that the server sent.
#[derive(Debug)]
pub enum Event {
    /// A request, with the transaction that it is answered in; an ACK has none.
    Request(Vec<u8>, Option<ServerId>),
    /// A response to a request of ours.
    Response(ClientId, Vec<u8>),
    /// No response came.
    TimedOut(ClientId),
}

/// One user agent.
pub struct UserAgent {
    socket: UdpSocket,
    local: SocketAddr,
    server: SocketAddr,
    layer: TransactionLayer,
    random: ChaCha12Rng,
    inbox: VecDeque<Event>,
}

impl UserAgent {
    /// Binds to `local`; port 0 lets the kernel choose.
    pub fn bind(local: SocketAddr, server: SocketAddr) -> Result<Self, DemoError> {
        let socket = UdpSocket::bind(local)?;
        let local = socket.local_addr()?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| DemoError::Refused(error.to_string()))?;
        let layer = TransactionLayer::new(Timers::default(), Limits::default());
        Ok(Self { socket, local, server, layer, random: ChaCha12Rng::from_seed(seed), inbox: VecDeque::new() })
    }

    /// Where it is.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sixteen random hexadecimal digits: a tag, a branch, part of a Call-ID.
    pub fn token(&mut self) -> String {
        format!("{:016x}", self.random.next_u64())
    }

    /// Random bits.
    pub fn number(&mut self) -> u32 {
        self.random.next_u32()
    }

    /// `sip:user@` this user agent.
    pub fn contact(&self, user: &str) -> Address {
        Address::new(uri(Some(user), self.local))
    }

    /// A request outside any dialog, to the server.
    pub fn request(&mut self, method: Method, target: UriBuf, from: Address, to: Address) -> Request {
        let tag = self.token();
        let call_id =
            CallId::new(&format!("{}@{}", self.token(), self.local.ip())).unwrap_or_else(|| unreachable!("digits and an address"));
        Request::new(method, target, from.with_tag(&tag), to, call_id, 1)
    }

    /// Sends a request in a transaction of its own.
    pub fn send(&mut self, mut request: Request) -> Result<ClientId, DemoError> {
        let branch = format!("z9hG4bK{}", self.token());
        request.via.insert(0, ViaBuf::udp(self.local, &branch));
        request.headers.push(Header::Text(TextHeader::UserAgent, Text::new("Throughline demo")));
        let bytes: Arc<[u8]> = request.to_bytes().into();
        let outgoing = OutgoingRequest { method: &request.method, branch: &branch, flow: self.flow(), bytes };
        let sent = self.layer.send_request(clock::now().mono, outgoing).map_err(|error| DemoError::Refused(error.to_string()));
        self.flush();
        sent
    }

    /// Sends the ACK of a 2xx.
    pub fn acknowledge(&mut self, dialog: &Dialog, cseq: u32) {
        let mut ack = dialog.ack(cseq);
        ack.via.insert(0, ViaBuf::udp(self.local, &format!("z9hG4bK{}", self.random.next_u64())));
        self.layer.send_stateless(self.flow(), ack.to_bytes().into());
        self.flush();
    }

    /// Gives up an INVITE.
    pub fn cancel(&mut self, invite: ClientId) {
        self.layer.cancel(clock::now().mono, invite, None);
        self.flush();
    }

    /// Answers a request.
    pub fn respond(&mut self, to: ServerId, response: &Response) {
        // A transaction that is gone needs no answer any more.
        let _ = self.layer.respond(clock::now().mono, to, response.status, response.to_bytes().into());
        self.flush();
    }

    /// The next thing that comes before the deadline.
    pub fn next(&mut self, deadline: Instant) -> Option<Event> {
        loop {
            if let Some(event) = self.inbox.pop_front() {
                return Some(event);
            }
            let now = clock::now().mono;
            if now >= deadline {
                return None;
            }
            let until = self.layer.next_timeout().map_or(deadline, |at| at.min(deadline));
            self.receive(until.saturating_duration_since(now).max(Duration::from_millis(1)));
            self.layer.handle_timeout(clock::now().mono);
            self.flush();
        }
    }

    /// The next response to `client` that is final, or provisional when `provisional` asks for those.
    pub fn response(&mut self, client: ClientId, deadline: Instant, provisional: bool) -> Option<(u16, Vec<u8>)> {
        while let Some(event) = self.next(deadline) {
            match event {
                Event::Response(id, bytes) if id == client => {
                    let status = parse(&bytes).ok().and_then(|message| message.status()).unwrap_or(0);
                    if provisional || status >= 200 {
                        return Some((status, bytes));
                    }
                }
                Event::TimedOut(id) if id == client => return None,
                Event::Response(..) | Event::TimedOut(_) => {}
                Event::Request(bytes, transaction) => self.refuse(&bytes, transaction),
            }
        }
        None
    }

    /// Answers what no part of the demonstration expects: 200 to OPTIONS and BYE, 486 to the rest.
    pub fn refuse(&mut self, bytes: &[u8], transaction: Option<ServerId>) {
        let (Ok(message), Some(transaction)) = (parse(bytes), transaction) else { return };
        let status = if matches!(message.method(), Method::Options | Method::Bye | Method::Cancel) { 200 } else { 486 };
        let tag = self.token();
        self.respond(transaction, &Response::to(&message, status, &tag, self.server));
    }

    /// The server.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    fn flow(&self) -> Flow {
        Flow { listener: ListenerId(0), transport: Transport::Udp, remote: self.server }
    }

    fn receive(&mut self, wait: Duration) {
        let mut buffer = [0; 65_535];
        if self.socket.set_read_timeout(Some(wait)).is_err() {
            return;
        }
        let Ok((length, source)) = self.socket.recv_from(&mut buffer) else { return };
        let Ok(message) = parse(&buffer[..length]) else { return };
        if source == self.server {
            self.deliver(&message);
        }
    }

    fn deliver(&mut self, message: &Message<'_>) {
        let now = clock::now().mono;
        if let Some(head) = RequestHead::of(message) {
            let transaction = match self.layer.receive_request(now, &head) {
                RequestFate::New { .. } | RequestFate::Cancel { .. } => self.layer.open(now, &head, self.flow(), None).ok(),
                RequestFate::Ack { .. } => None,
                RequestFate::Repeated | RequestFate::AckAbsorbed => return,
            };
            self.inbox.push_back(Event::Request(message.datagram().to_vec(), transaction));
        } else if let Some(head) = ResponseHead::of(message)
            && let ResponseFate::Deliver(client) = self.layer.receive_response(now, &head)
        {
            self.inbox.push_back(Event::Response(client, message.datagram().to_vec()));
        }
    }

    fn flush(&mut self) {
        while let Some(output) = self.layer.poll_output() {
            match output {
                Output::Send { bytes, .. } => {
                    // A lost datagram is repeated by its transaction.
                    let _ = self.socket.send_to(&bytes, self.server);
                }
                Output::TimedOut(client) => self.inbox.push_back(Event::TimedOut(client)),
                Output::Unreachable(_) | Output::Unacknowledged(_) | Output::Unanswered(_) | Output::Ended(_) => {}
            }
        }
    }
}

/// `sip:user@host:port`.
pub fn uri(user: Option<&str>, at: SocketAddr) -> UriBuf {
    let host = HostBuf::new(&match at {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    });
    host.map(|host| UriBuf::sip(user, &host, Some(at.port()))).unwrap_or_else(|| unreachable!("an IP address is a host"))
}
