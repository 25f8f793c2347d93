//! Carriers of our own making: one that is reached by TCP and proves who we are, and one that is sent a request too large for a
//! datagram.
//!
//! ```text
//! baresip ─▶ throughline ─ INVITE ─▶ carrier, 407 ─▶ INVITE with credentials, which it verifies ─▶ 200, BYE
//! ```

mod support;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex, mpsc},
    thread,
};

use simple_dns::{CLASS, Name, Packet, ResourceRecord, rdata::RData, rdata::SRV};
use support::{
    PATIENCE, installed,
    phone::{Phone, demo_phone},
    server::{Server, Setup, TRUNK},
    sound::PAIRS,
    wait_for,
};
use throughline::protocol::sip::{
    build::{AddressHeader, Body, ChallengeHeader, CredentialsHeader, Header, Response},
    digest::{Authenticator, ChallengeOffer, Credentials, Ha1, Verdict},
    field::{Address, HostBuf, Method, UriBuf},
    message::Message,
    parse::parse,
};

const REALM: &str = "carrier.example";
const PASSWORD: &str = "planted-trunk-password";

/// A message that reached the carrier: how, and its octets.
type Heard = (&'static str, Vec<u8>);

/// A carrier at one address: datagrams, and connections where it takes them.
struct Carrier {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    desk: Arc<Mutex<Desk>>,
}

/// What it knows.
struct Desk {
    address: SocketAddr,
    user: String,
    authenticator: Authenticator,
    now_ms: u64,
    /// Where audio would go: nobody listens.
    media_port: u16,
    /// It takes no calls.
    is_down: bool,
}

impl Carrier {
    fn start(user: &str, takes_connections: bool) -> Self {
        let (datagrams, listener) = wait_for("a free port", PATIENCE, || {
            let datagrams = UdpSocket::bind((TRUNK, 0)).ok()?;
            let listener = TcpListener::bind(datagrams.local_addr().ok()?).ok()?;
            Some((datagrams, listener))
        });
        let address = datagrams.local_addr().expect("bound");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let authenticator = Authenticator::new(REALM, [9; 32]);
        let desk = Desk { address, user: user.to_owned(), authenticator, now_ms: 1_000, media_port: address.port() & !1, is_down: false };
        let desk = Arc::new(Mutex::new(desk));
        let at = desk.clone();
        if takes_connections {
            let (desk, heard) = (desk.clone(), heard.clone());
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let (desk, heard) = (desk.clone(), heard.clone());
                    thread::spawn(move || serve_stream(stream, &desk, &heard));
                }
            });
        }
        let kept = heard.clone();
        thread::spawn(move || {
            let mut buffer = [0; 65_535];
            while let Ok((length, from)) = datagrams.recv_from(&mut buffer) {
                kept.lock().expect("no panic").push(("UDP", buffer[..length].to_vec()));
                for answer in desk.lock().expect("no panic").answer(&buffer[..length], from) {
                    let _ = datagrams.send_to(&answer, from);
                }
            }
        });
        Self { address, heard, desk: at }
    }

    /// The requests of this method that came, and how, without repetitions.
    fn heard(&self, method: &Method) -> Vec<Heard> {
        let all = self.heard.lock().expect("no panic").clone();
        let mut seen = Vec::new();
        all.into_iter()
            .filter(|(_, octets)| {
                let Ok(message) = parse(octets) else { return false };
                let branch = (message.cseq().seq, message.via().branch.unwrap_or_default().to_owned());
                let wanted = message.is_request() && message.method() == method && !seen.contains(&branch);
                seen.extend(wanted.then_some(branch));
                wanted
            })
            .collect()
    }
}

fn serve_stream(mut stream: TcpStream, desk: &Mutex<Desk>, heard: &Mutex<Vec<Heard>>) {
    let Ok(from) = stream.peer_addr() else { return };
    let (mut pending, mut buffer) = (Vec::new(), [0; 4_096]);
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        pending.extend_from_slice(&buffer[..length]);
        while let Some(message) = next_message(&mut pending) {
            heard.lock().expect("no panic").push(("TCP", message.clone()));
            for answer in desk.lock().expect("no panic").answer(&message, from) {
                let _ = stream.write_all(&answer);
            }
        }
    }
}

/// Cuts the first whole message off: its head, and as many octets as its Content-Length says.
fn next_message(pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    while pending.starts_with(b"\r\n") {
        pending.drain(..2);
    }
    let head = pending.windows(4).position(|octets| octets == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&pending[..head]).to_ascii_lowercase();
    let length: usize = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    (pending.len() >= head + length).then(|| pending.drain(..head + length).collect())
}

impl Desk {
    fn answer(&mut self, octets: &[u8], from: SocketAddr) -> Vec<Vec<u8>> {
        let Ok(request) = parse(octets) else { return Vec::new() };
        if !request.is_request() || *request.method() == Method::Ack {
            return Vec::new();
        }
        if self.is_down && *request.method() == Method::Invite {
            return vec![Response::to(&request, 503, "down", from).to_bytes()];
        }
        if let Some(challenge) = self.challenge(&request, from) {
            return vec![challenge.to_bytes()];
        }
        let own = Address::new(UriBuf::sip(Some("carrier"), &HostBuf::Ip(self.address.ip()), Some(self.address.port())));
        let respond = |status| Response::to(&request, status, "carrier", from).with(Header::Address(AddressHeader::Contact, own.clone()));
        match request.method() {
            Method::Invite => {
                let (ip, port) = (self.address.ip(), self.media_port);
                let text = format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n");
                vec![respond(180).to_bytes(), respond(200).with_body(Body::sdp(text)).to_bytes()]
            }
            _ => vec![respond(200).to_bytes()],
        }
    }

    /// 407 to whoever does not prove that they are our account.
    fn challenge(&mut self, request: &Message<'_>, from: SocketAddr) -> Option<Response> {
        let sent = Credentials::in_request(request, CredentialsHeader::ProxyAuthorization, REALM, ChallengeOffer::Both).expect("readable");
        let ha1 = Ha1::of(&self.user, REALM, PASSWORD);
        let uri = request.request_uri().expect("a request");
        let verdict = sent.map(|sent| self.authenticator.verify(&sent, Some(&ha1), request.method(), &uri, self.now_ms));
        if verdict == Some(Verdict::Accepted) {
            return None;
        }
        self.now_ms += 1;
        let mut response = Response::to(request, 407, "asks", from);
        let challenges = self.authenticator.challenges(ChallengeOffer::Both, false, self.now_ms, 5);
        response.headers.extend(challenges.into_iter().map(|challenge| Header::Challenge(ChallengeHeader::ProxyAuthenticate, challenge)));
        Some(response)
    }
}

/// A server whose one trunk is this carrier, reached by `transport`.
fn start(carrier: &Carrier, user: &str, transport: &str) -> Server {
    let host = format!("host = \"{}\"\nport = {}", carrier.address.ip(), carrier.address.port());
    start_at(&host, user, transport, "")
}

/// The same with keys that say where it is, and more keys of `[sip]`.
fn start_at(host: &str, user: &str, transport: &str, sip: &str) -> Server {
    let trunks = format!(
        "[[trunk]]\nname = \"carrier\"\naddresses = [\"{TRUNK}\"]\ncountry = \"GB\"\n{host}\ntransport = \"{transport}\"\n\
         username = \"{user}\"\npassword_file = \"carrier.password\"\nrealm = \"{REALM}\"\ncaller_number = \"+442079460000\"\n\
         [[trunk.number]]\ncalled = \"+442079460000\"\nqueue = \"support\"\n\
         [[route]]\nemergency = true\ntrunks = [\"carrier\"]\n[[route]]\nprefix = \"+44\"\ntrunks = [\"carrier\"]\n\
         [[group]]\nname = \"agents\"\nphones = [\"*\"]\n"
    );
    let change = move |name: &str, text: String| match name {
        "trunks.toml" => trunks.clone(),
        "sip.toml" => format!("[sip]\n{sip}{text}"),
        _ => text,
    };
    let prepare = |config: &Path| {
        let path = config.join("carrier.password");
        fs::write(&path, PASSWORD).expect("password");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("mode");
    };
    Server::set_up(&Setup { change: Some(&change), prepare: Some(&prepare), ..Setup::default() })
}

/// The phone calls outside, is answered, and hangs up; the carrier hears the goodbye.
fn call(server: &Server, carrier: &Carrier, phone: &mut Phone, calls: usize) {
    phone.command("dial", &format!("sip:02079460018@{}", server.sip()));
    phone.wait_established();
    phone.command("hangup", "");
    phone.wait_closed();
    // Each BYE carries credentials at once: the carrier asks for none.
    wait_for("the goodbye", PATIENCE, || (carrier.heard(&Method::Bye).len() == calls).then_some(()));
}

fn transports(heard: &[Heard]) -> Vec<&'static str> {
    heard.iter().map(|(transport, _)| *transport).collect()
}

#[test]
fn a_carrier_on_tcp_is_called_and_told_who_we_are_over_one_connection() {
    if !installed("baresip") {
        return;
    }
    let carrier = Carrier::start("acme", true);
    let server = start(&carrier, "acme", "tcp");
    let mut phone = demo_phone(&server, 0, PAIRS[0], ";audio_codecs=PCMA/8000/1");
    call(&server, &carrier, &mut phone, 1);
    call(&server, &carrier, &mut phone, 2);
    assert_eq!(transports(&carrier.heard(&Method::Invite)), ["TCP"; 4], "asked and told, twice");
    assert_eq!(transports(&carrier.heard(&Method::Ack)), ["TCP"; 4], "of the 407 and of the 200, twice");
    wait_for("both answers to be counted", PATIENCE, || {
        (server.metric("throughline_trunk_challenge_answered_total")? == 2.0).then_some(())
    });
    assert_eq!(server.metric("throughline_sip_connections"), Some(1.0), "one connection served both calls");
    phone.quit();
}

#[test]
fn a_request_too_large_for_a_datagram_goes_by_tcp_and_by_udp_where_nobody_listens() {
    if !installed("baresip") {
        return;
    }
    // So long a name makes every request with credentials longer than 1,300 octets, and none without.
    let user = "acme-".repeat(60);
    for (takes_connections, expected) in [(true, ["UDP", "TCP"]), (false, ["UDP", "UDP"])] {
        let carrier = Carrier::start(&user, takes_connections);
        let server = start(&carrier, &user, "udp");
        let mut phone = demo_phone(&server, 0, PAIRS[0], ";audio_codecs=PCMA/8000/1");
        call(&server, &carrier, &mut phone, 1);
        let invites = carrier.heard(&Method::Invite);
        let lengths: Vec<usize> = invites.iter().map(|(_, octets)| octets.len()).collect();
        assert!(lengths[0] <= 1_300 && lengths[1] > 1_300, "{lengths:?}");
        assert_eq!(transports(&invites), expected);
        let proven = String::from_utf8_lossy(&invites[1].1).into_owned();
        assert!(proven.contains(&format!("Via: SIP/2.0/{} ", expected[1])), "{proven}");
        let by_udp = if takes_connections { 0.0 } else { 1.0 };
        wait_for("both ways to be counted", PATIENCE, || {
            let fell_back = server.metric("throughline_sip_large_by_udp_total").unwrap_or(0.0);
            (server.metric("throughline_sip_large_by_tcp_total")? >= 1.0 && fell_back == by_udp).then_some(())
        });
        phone.quit();
    }
}

/// A name server that tells these ports of [`TRUNK`] for `_sip._udp`, the first with the lowest priority; and when it was asked.
fn name_server(ports: [u16; 2]) -> (SocketAddr, mpsc::Receiver<()>) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
    let address = socket.local_addr().expect("bound");
    let (told, asked) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 1_500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let Ok(asked) = Packet::parse(&buffer[..length]) else { continue };
            let mut reply = Packet::new_reply(asked.id());
            reply.questions.clone_from(&asked.questions);
            let name = asked.questions[0].qname.clone();
            let target = TRUNK.to_string();
            for (priority, port) in (1..).zip(ports).filter(|_| name.to_string() == "_sip._udp.carrier.example") {
                let srv = SRV { priority, weight: 0, port, target: Name::new(&target).expect("a name") };
                reply.answers.push(ResourceRecord::new(name.clone(), CLASS::IN, 300, RData::SRV(srv)));
            }
            let _ = socket.send_to(&reply.build_bytes_vec().expect("an answer"), from);
            let _ = told.send(());
        }
    });
    (address, asked)
}

#[test]
fn a_carrier_is_found_by_srv_and_one_that_is_down_gives_way_to_the_next() {
    if !installed("baresip") {
        return;
    }
    let (first, second) = (Carrier::start("acme", false), Carrier::start("acme", false));
    first.desk.lock().expect("no panic").is_down = true;
    let (names, asked) = name_server([first.address.port(), second.address.port()]);
    let server = start_at("host = \"carrier.example\"", "acme", "udp", &format!("name_servers = [\"{names}\"]\n"));
    asked.recv_timeout(PATIENCE).expect("asked");
    let mut phone = demo_phone(&server, 0, PAIRS[0], ";audio_codecs=PCMA/8000/1");
    call(&server, &second, &mut phone, 1);
    assert_eq!(first.heard(&Method::Invite).len(), 1, "asked first, once");
    let invite = String::from_utf8_lossy(&second.heard(&Method::Invite)[0].1).into_owned();
    assert!(invite.starts_with("INVITE sip:+442079460018@carrier.example SIP/2.0\r\n"), "{invite}");
    phone.quit();
}
