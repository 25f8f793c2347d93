//! Many phones and their carrier in few threads: phones register and call outside, the carrier answers, all talk in tones.
//!
//! ```text
//! phone 0 … phone n ─ SIP, a socket each ─▶ server ─ SIP ─▶ carrier, one socket
//! choir of the phones ─ RTP, one socket ──▶ server ─ RTP ─▶ choir of the carrier, one socket
//! ```
//! The server has a port of its own for every side of a call, so a choir tells them apart by where they come from.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use throughline::{
    protocol::{
        audio::g711,
        rtp::packet::{self, HEADER_LEN, Header as RtpHeader},
        sdp::{AudioCodec, Direction, LocalMedia, Sdp, Session},
        sip::{
            build::{AddressHeader, Body, CredentialsHeader, Header, NumberHeader, Request, Response},
            dialog::Dialog,
            digest::{Challenge, Ha1},
            field::{Address, HostBuf, Method, UriBuf},
            header::HeaderId,
            parse::parse,
            transaction_layer::ClientId,
        },
    },
    service::{
        clock,
        demo::{Event, UserAgent},
        store::{NewPhone, Store},
    },
};

use super::{
    PATIENCE,
    server::TRUNK,
    sound::{self, Pair},
    wait_for,
};

const SAMPLES: usize = 160;
const PACKET: Duration = Duration::from_millis(20);
/// What a server says that has too much to do just now; phones come again.
const BUSY: u16 = 503;
/// What a choir repeats; tones of whole hertz close without a step.
const LOOP_SECONDS: u32 = 1;

fn uri(user: Option<&str>, at: SocketAddr) -> UriBuf {
    UriBuf::sip(user, &HostBuf::new(&at.ip().to_string()).expect("an address"), Some(at.port()))
}

fn password(user: &str) -> String {
    format!("crowd-phone-{user}")
}

/// Accounts of these extensions in the database of a server that has yet to start; its folder of configuration is given.
pub fn add_accounts(config: &Path, extensions: &[String]) {
    let data = config.parent().expect("a folder").join("data");
    std::fs::create_dir_all(&data).expect("the data folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let store = Store::open(&data.join("throughline.db")).await.expect("the database");
        for user in extensions {
            let secret = password(user);
            let phone = NewPhone { username: user, extension: user, realm: "throughline", secret: &secret, agent: None, demo: false };
            store.put_phone(&phone, clock::now().wall).await.expect("an account");
        }
        store.close().await;
    });
}

/// One voice: what it says, again and again, and to whom.
struct Voice {
    remote: SocketAddr,
    sound: Vec<u8>,
    sent: u32,
}

impl Voice {
    fn new(remote: SocketAddr, tone: Pair) -> Self {
        let sound = sound::tone(tone, LOOP_SECONDS).iter().map(|sample| g711::linear_to_alaw(*sample)).collect();
        Self { remote, sound, sent: 0 }
    }
}

/// Many voices by one socket and one thread, in A-law.
pub struct Choir {
    port: u16,
    voices: Arc<Mutex<Vec<Voice>>>,
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<HashMap<SocketAddr, Vec<u8>>>,
    _rtcp: UdpSocket,
}

impl Choir {
    /// Nobody sings yet.
    pub fn start(address: Ipv4Addr) -> Self {
        let (rtp, rtcp) = wait_for("a pair of ports", PATIENCE, || {
            let rtp = UdpSocket::bind((address, 0)).ok()?;
            let port = rtp.local_addr().ok()?.port();
            (port % 2 == 0).then(|| Some((rtp, UdpSocket::bind((address, port + 1)).ok()?)))?
        });
        let port = rtp.local_addr().expect("bound").port();
        let (voices, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (theirs, stopped) = (voices.clone(), stop.clone());
        let thread = thread::spawn(move || sing(&rtp, &theirs, &stopped));
        Self { port, voices, stop, thread, _rtcp: rtcp }
    }

    fn media(&self, address: Ipv4Addr) -> LocalMedia {
        LocalMedia {
            address: address.into(),
            other_address: None,
            rtp_port: self.port,
            codecs: vec![AudioCodec::Pcma],
            comfort_noise: false,
            direction: Direction::SendRecv,
        }
    }

    /// Ends it; what was heard from each address of the server, 8 kHz.
    pub fn stop(self) -> HashMap<SocketAddr, Vec<i16>> {
        self.stop.store(true, Ordering::Relaxed);
        let heard = self.thread.join().expect("the choir");
        heard.into_iter().map(|(from, sound)| (from, sound.into_iter().map(g711::alaw_to_linear).collect())).collect()
    }
}

fn sing(socket: &UdpSocket, voices: &Mutex<Vec<Voice>>, stop: &AtomicBool) -> HashMap<SocketAddr, Vec<u8>> {
    let mut heard: HashMap<SocketAddr, Vec<u8>> = HashMap::new();
    let mut datagram = [0u8; HEADER_LEN + SAMPLES];
    let start = Instant::now();
    for tick in 1u32.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        for (ssrc, voice) in voices.lock().expect("no panic").iter_mut().enumerate() {
            let n = voice.sent;
            voice.sent += 1;
            let at = n as usize * SAMPLES % voice.sound.len();
            let header =
                RtpHeader { marker: n == 0, payload_type: 8, sequence: n as u16, timestamp: n * SAMPLES as u32, ssrc: ssrc as u32 + 1 };
            packet::encode_header(&mut datagram, header);
            datagram[HEADER_LEN..].copy_from_slice(&voice.sound[at..at + SAMPLES]);
            let _ = socket.send_to(&datagram, voice.remote);
        }
        hear_until(socket, start + PACKET * tick, &mut heard);
    }
    heard
}

fn hear_until(socket: &UdpSocket, due: Instant, heard: &mut HashMap<SocketAddr, Vec<u8>>) {
    let mut buffer = [0; 2_048];
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() || socket.set_read_timeout(Some(left)).is_err() {
            return;
        }
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let Ok(packet) = packet::parse(&buffer[..length]) else { continue };
        heard.entry(from).or_default().extend(packet.payload(&buffer[..length]));
    }
}

/// A registered phone that calls outside.
pub struct CrowdPhone {
    agent: UserAgent,
    user: String,
}

impl CrowdPhone {
    /// Registers; its account is one of [`add_accounts`].
    #[track_caller]
    pub fn register(server: SocketAddr, user: &str) -> Self {
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut phone = Self { agent: UserAgent::bind(here, server).expect("a phone"), user: user.to_owned() };
        let mut register = || {
            let mut request = phone.request(Method::Register, None);
            request.headers.push(Header::Number(NumberHeader::Expires, 300));
            phone.ask(&mut request).0
        };
        let status = wait_for("room for a registration", PATIENCE, || Some(register()).filter(|status| *status != BUSY));
        assert_eq!(status, 200, "the registration of {user}");
        phone
    }

    fn request(&mut self, method: Method, called: Option<&str>) -> Request {
        let server = self.agent.server();
        let (target, own) = (uri(called, server), Address::new(uri(Some(&self.user), server)));
        let to = if called.is_some() { Address::new(target.clone()) } else { own.clone() };
        let mut request = self.agent.request(method, target, own, to);
        request.headers.push(Header::Address(AddressHeader::Contact, self.agent.contact(&self.user)));
        request
    }

    /// Proves who it is when it is asked to; its final answer.
    fn ask(&mut self, request: &mut Request) -> (u16, Vec<u8>) {
        let first = self.send(request);
        let answer = self.agent.response(first, Instant::now() + PATIENCE, false).expect("an answer");
        if answer.0 != 401 {
            return answer;
        }
        self.prove(request, &answer.1);
        let second = self.send(request);
        self.agent.response(second, Instant::now() + PATIENCE, false).expect("an answer")
    }

    fn send(&mut self, request: &Request) -> ClientId {
        self.agent.send(request.clone()).expect("sent")
    }

    fn prove(&mut self, request: &mut Request, challenged: &[u8]) {
        let message = parse(challenged).expect("a response");
        let line = message.header_lines(HeaderId::WwwAuthenticate).next().expect("a challenge");
        let challenge = Challenge::parse(line).expect("a digest");
        let ha1 = Ha1::of(&self.user, challenge.realm.as_str(), &password(&self.user));
        let proof = challenge.answer(&self.user, &ha1, &request.method, request.uri.as_str(), &self.agent.token(), 1);
        request.headers.push(Header::Credentials(CredentialsHeader::Authorization, proof.expect("its algorithm")));
        request.cseq += 1;
    }

    /// Calls somebody outside and sings in this choir as soon as they answer; returns where the server's sound comes from.
    #[track_caller]
    pub fn call(&mut self, called: &str, choir: &Choir, tone: Pair) -> SocketAddr {
        let mut session = Session::new(u64::from(self.agent.number()));
        let offer = session.offer(&choir.media(Ipv4Addr::LOCALHOST));
        let (invite, status, answer) = wait_for("room for a call", PATIENCE, || {
            let mut invite = self.request(Method::Invite, Some(called));
            invite.body = Some(Body::sdp(offer.clone()));
            let (status, answer) = self.ask(&mut invite);
            (status != BUSY).then_some((invite, status, answer))
        });
        assert_eq!(status, 200, "the call of {}", self.user);
        let answer = parse(&answer).expect("a response");
        let dialog = Dialog::calling(&invite, self.agent.contact(&self.user), &answer).expect("a dialog");
        self.agent.acknowledge(&dialog, invite.cseq);
        let negotiated = session.read_answer(&Sdp::parse(answer.body()).expect("SDP")).expect("an answer");
        let remote = negotiated.remote.expect("an address").rtp;
        choir.voices.lock().expect("no panic").push(Voice::new(remote, tone));
        remote
    }

    /// Calls a colleague, who is busy; the call must come to their phone.
    #[track_caller]
    pub fn rings(&mut self, colleague: &mut Self) {
        let mut session = Session::new(1);
        let mut invite = self.request(Method::Invite, Some(&colleague.user));
        let silent = LocalMedia {
            address: Ipv4Addr::LOCALHOST.into(),
            other_address: None,
            rtp_port: 40_000,
            codecs: vec![AudioCodec::Pcma],
            comfort_noise: false,
            direction: Direction::SendRecv,
        };
        invite.body = Some(Body::sdp(session.offer(&silent)));
        let first = self.send(&invite);
        let (status, challenged) = self.agent.response(first, Instant::now() + PATIENCE, false).expect("an answer");
        assert_eq!(status, 401, "the server asks who calls");
        self.prove(&mut invite, &challenged);
        let second = self.send(&invite);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let event = colleague.agent.next(deadline);
            let Some(event) = event else { panic!("phone {} is not called", colleague.user) };
            let Event::Request(bytes, transaction) = event else { continue };
            let called = parse(&bytes).is_ok_and(|message| *message.method() == Method::Invite);
            colleague.agent.refuse(&bytes, transaction);
            if called {
                break;
            }
        }
        let ended = self.agent.response(second, deadline, false).expect("its end");
        assert_eq!(ended.0, 486, "{} is busy", colleague.user);
    }
}

/// The carrier: answers every call at once; each one's tone comes from the number that is called.
pub struct Carrier {
    choir: Choir,
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<HashMap<String, SocketAddr>>,
}

impl Carrier {
    /// Where the trunk's `port` says.
    pub fn start(port: u16, server: SocketAddr, tone: impl Fn(&str) -> Pair + Send + 'static) -> Self {
        let mut agent = UserAgent::bind((TRUNK, port).into(), server).expect("the carrier's port");
        let choir = Choir::start(TRUNK);
        let (media, voices) = (choir.media(TRUNK), choir.voices.clone());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut calls = HashMap::new();
            while !stopped.load(Ordering::Relaxed) {
                let Some(Event::Request(bytes, transaction)) = agent.next(Instant::now() + 5 * PACKET) else { continue };
                let request = parse(&bytes).expect("a request");
                let (Method::Invite, Some(transaction)) = (request.method(), transaction) else {
                    agent.refuse(&bytes, transaction);
                    continue;
                };
                let called = request.request_uri().and_then(|uri| uri.user().map(|user| user.into_owned())).expect("a number");
                let answer = Session::new(u64::from(agent.number())).answer(&Sdp::parse(request.body()).expect("SDP"), &media);
                let answer = answer.expect("A-law is offered");
                let ok = Response::to(&request, 200, &agent.token(), agent.server())
                    .with(Header::Address(AddressHeader::Contact, agent.contact("carrier")))
                    .with_body(Body::sdp(answer.sdp));
                agent.respond(transaction, &ok);
                let remote = answer.negotiated.remote.expect("an address").rtp;
                voices.lock().expect("no panic").push(Voice::new(remote, tone(&called)));
                calls.insert(called, remote);
            }
            calls
        });
        Self { choir, stop, thread }
    }

    /// Ends it: what was heard in each call, by the number that was called.
    pub fn stop(self) -> HashMap<String, Vec<i16>> {
        self.stop.store(true, Ordering::Relaxed);
        let calls = self.thread.join().expect("the carrier");
        let mut heard = self.choir.stop();
        calls.into_iter().map(|(called, remote)| (called, heard.remove(&remote).unwrap_or_default())).collect()
    }
}
