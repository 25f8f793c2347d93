//! A phone whose every answer a test writes itself: registers honestly, then answers as it is told, twice or not at all. Or a caller of
//! a trunk whose every request a test writes.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use throughline::protocol::sip::{
    build::{AddressHeader, Body, CredentialsHeader, Header, NumberHeader, Request, Response, ViaBuf},
    dialog::Dialog,
    digest::{Challenge, Ha1},
    field::{Address, CallId, HostBuf, Method, Token, UriBuf},
    header::HeaderId,
    message::Message,
    parse::parse,
};

use super::PATIENCE;

/// `sip:user@host:port`.
fn uri(user: Option<&str>, at: SocketAddr) -> UriBuf {
    UriBuf::sip(user, &HostBuf::new(&at.ip().to_string()).expect("an address"), Some(at.port()))
}

/// A registered phone.
pub struct RawPhone {
    socket: UdpSocket,
    server: SocketAddr,
    user: String,
    /// What it calls itself in its calls.
    pub name: String,
    /// A parameter of its Contact, which comes back in every request to it.
    parameter: String,
}

impl RawPhone {
    /// Binds at `address` and registers.
    #[track_caller]
    pub fn register(address: IpAddr, server: SocketAddr, user: &str, password: &str) -> Self {
        Self::register_with(address, server, user, password, "")
    }

    /// The same with a parameter in its Contact.
    #[track_caller]
    pub fn register_with(address: IpAddr, server: SocketAddr, user: &str, password: &str, parameter: &str) -> Self {
        let socket = UdpSocket::bind((address, 0)).expect("a port");
        let phone = Self { socket, server, user: user.to_owned(), name: user.to_owned(), parameter: parameter.to_owned() };
        phone.refresh(password, 1);
        phone
    }

    /// Binds at `address`, which is a trunk's, and registers nowhere.
    pub fn at_trunk(address: IpAddr, server: SocketAddr, user: &str) -> Self {
        Self {
            socket: UdpSocket::bind((address, 0)).expect("a port"),
            server,
            user: user.to_owned(),
            name: user.to_owned(),
            parameter: String::new(),
        }
    }

    /// Calls a number with this offer.
    pub fn call(&self, called: &str, offer: Vec<u8>) -> Request {
        let to = uri(Some(called), self.server);
        let from = Address::new(uri(Some(&self.user), self.server)).with_tag("raw").with_display(&self.name);
        let call_id = CallId::new(&format!("raw-call-{}", self.local().port())).expect("digits");
        let mut request = Request::new(Method::Invite, to.clone(), from, Address::new(to), call_id, 1);
        request.headers.push(Header::Address(AddressHeader::Contact, self.contact()));
        request.body = Some(Body::sdp(offer));
        request.via.insert(0, ViaBuf::udp(self.local(), "z9hG4bKrawcall"));
        self.socket.send_to(&request.to_bytes(), self.server).expect("sent");
        request
    }

    /// Waits for a response of this status; others are not looked at.
    #[track_caller]
    pub fn wait_status(&self, status: u16) -> Vec<u8> {
        self.receive(PATIENCE, |message| message.status() == Some(status)).unwrap_or_else(|| panic!("no {status} came"))
    }

    /// Whether no final response has come so far.
    pub fn is_unanswered(&self) -> bool {
        self.receive(Duration::from_millis(1), |message| message.status().is_some_and(|status| status >= 200)).is_none()
    }

    /// Acknowledges the answer to its call.
    #[track_caller]
    pub fn acknowledge(&self, invite: &Request, answer: &[u8]) -> Dialog {
        let dialog = Dialog::calling(invite, self.contact(), &parse(answer).expect("a response")).expect("a dialog");
        let mut ack = dialog.ack(invite.cseq);
        ack.via.insert(0, ViaBuf::udp(self.local(), "z9hG4bKrawack"));
        self.socket.send_to(&ack.to_bytes(), self.server).expect("sent");
        dialog
    }

    /// Ends its call.
    #[track_caller]
    pub fn say_goodbye(&self, mut dialog: Dialog) {
        let bye = dialog.request(Method::Bye);
        assert_eq!(parse(&self.ask(&bye)).expect("a response").status(), Some(200), "the goodbye is heard");
    }

    /// Registers with this CSeq and the one after it.
    #[track_caller]
    pub fn refresh(&self, password: &str, cseq: u32) {
        let own = Address::new(uri(Some(&self.user), self.server));
        let call_id = CallId::new(&format!("raw-{}", self.local().port())).expect("digits");
        let registrar = uri(None, self.server);
        let mut request = Request::new(Method::Register, registrar.clone(), own.clone().with_tag("raw"), own, call_id, cseq);
        request.headers.push(Header::Address(AddressHeader::Contact, self.contact()));
        request.headers.push(Header::Number(NumberHeader::Expires, 300));
        let challenged = self.ask(&request);
        let message = parse(&challenged).expect("a response");
        let line = message.header_lines(HeaderId::WwwAuthenticate).next().expect("a challenge");
        let challenge = Challenge::parse(line).expect("a digest");
        let ha1 = Ha1::of(&self.user, challenge.realm.as_str(), password);
        let credentials = challenge.answer(&self.user, &ha1, &Method::Register, registrar.as_str(), "raw", 1).expect("its algorithm");
        request.headers.push(Header::Credentials(CredentialsHeader::Authorization, credentials));
        request.cseq += 1;
        assert_eq!(parse(&self.ask(&request)).expect("a response").status(), Some(200), "registered");
    }

    pub fn local(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    fn contact(&self) -> Address {
        let own = uri(Some(&self.user), self.local());
        match Token::new(&self.parameter) {
            Some(name) => Address::new(own.with_param(&name, None)),
            None => Address::new(own),
        }
    }

    /// Sends a request and returns its final response.
    #[track_caller]
    fn ask(&self, request: &Request) -> Vec<u8> {
        let mut sent = request.clone();
        sent.via.insert(0, ViaBuf::udp(self.local(), &format!("z9hG4bKraw{}{}", request.method.as_str(), request.cseq)));
        let octets = sent.to_bytes();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.socket.send_to(&octets, self.server).expect("sent");
            let found = self.receive(Duration::from_millis(500), |message| message.status().is_some_and(|status| status >= 200));
            if let Some(found) = found {
                return found;
            }
        }
        panic!("no answer to {}", request.method.as_str());
    }

    /// The next message that is wanted; others are left unanswered.
    fn receive(&self, wait: Duration, wanted: impl Fn(&Message<'_>) -> bool) -> Option<Vec<u8>> {
        let deadline = Instant::now() + wait;
        let mut buffer = [0; 65_535];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.socket.set_read_timeout(Some(left)).expect("a time-out");
            let Ok(length) = self.socket.recv(&mut buffer) else { return None };
            if parse(&buffer[..length]).is_ok_and(|message| wanted(&message)) {
                return Some(buffer[..length].to_vec());
            }
        }
    }

    /// Waits for a request of this method, to this tag of ours when one is given.
    #[track_caller]
    pub fn wait(&self, method: &Method, tag: Option<&str>) -> Vec<u8> {
        let wanted =
            |message: &Message<'_>| message.is_request() && message.method() == method && (tag.is_none() || message.to_tag() == tag);
        self.receive(PATIENCE, wanted).unwrap_or_else(|| panic!("no {} came to the phone, tag {tag:?}", method.as_str()))
    }

    /// Rings, or just lies there, for this long: what comes meanwhile is not looked at.
    pub fn rest(&self, time: Duration) {
        self.receive(time, |_| false);
    }

    /// Hangs up the call that came by this INVITE and was answered with this tag.
    #[track_caller]
    pub fn hang_up(&self, invite: &[u8], tag: &str) {
        let invite = parse(invite).expect("a request");
        let bye = Dialog::answering(&invite, tag, self.contact()).expect("a dialog").request(Method::Bye);
        assert_eq!(parse(&self.ask(&bye)).expect("a response").status(), Some(200), "the goodbye is heard");
    }

    /// Answers a request with a description, if one is given.
    pub fn reply(&self, request: &[u8], status: u16, tag: &str, description: Option<Vec<u8>>) {
        let response = self.response(request, status, tag, description);
        self.socket.send_to(&response, self.server).expect("sent");
    }

    /// The answer to a request, for a test that sends it another way.
    pub fn response(&self, request: &[u8], status: u16, tag: &str, description: Option<Vec<u8>>) -> Vec<u8> {
        let request = parse(request).expect("a request");
        let mut response = Response::to(&request, status, tag, self.server).with(Header::Address(AddressHeader::Contact, self.contact()));
        if let Some(description) = description {
            response = response.with_body(Body::sdp(description));
        }
        response.to_bytes()
    }
}

/// A description of A-law and keys at this address.
pub fn description(address: IpAddr, rtp_port: u16) -> Vec<u8> {
    format!(
        "v=0\r\no=- 5 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {rtp_port} RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
    )
    .into_bytes()
}
