//! SRV records (RFC 2782): which hosts serve SIP for a domain, in which order, and for how long that holds.
//!
//! The system's resolver does not tell SRV, so its name servers are asked directly: one question per datagram from a port of its
//! own, by TCP where the answer is too long. Only an answer with our number, our name and from the asked address counts.

use std::{
    fs,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE, header_buffer, rdata::OPT, rdata::RData};

/// Largest datagram that we ask for (RFC 6891): what passes every path unfragmented.
const MAX_DATAGRAM: usize = 1_232;
/// How long a name server may take; in tests no loaded machine decides.
const ANSWER_WITHIN: Duration = Duration::from_secs(if cfg!(test) { 30 } else { 2 });
/// How often each name server is asked: one datagram may be lost.
const TRIES: usize = 2;
/// Name servers that are asked, as the system's resolver does.
const MAX_NAME_SERVERS: usize = 3;
/// Datagrams that may come before the answer: somebody else's, or guesses.
const MAX_STRAYS: usize = 16;
/// Services taken from one answer: more than carriers have.
const MAX_SERVICES: usize = 32;

/// Where a service is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// The lower is tried first.
    pub priority: u16,
    /// The share among those of one priority.
    pub weight: u16,
    /// Its port.
    pub port: u16,
    /// The host's name; empty says that there is no such service.
    pub target: String,
    /// How long this may be believed, seconds.
    pub ttl_seconds: u32,
}

/// What a message says to our question.
#[derive(PartialEq, Eq, Debug)]
enum Answer {
    /// The services; none where there is no such name.
    Services(Vec<Service>),
    /// It did not fit into a datagram.
    TooLong,
    /// The name server cannot or will not say.
    Refused,
    /// It answers another question, or is no DNS message.
    NotOurs,
}

/// The services of a name such as `_sip._udp.example.net`; none where it has no SRV. `servers` are asked in turn; where there are
/// none, those of `/etc/resolv.conf`.
pub fn ask(name: &str, servers: &[SocketAddr]) -> io::Result<Vec<Service>> {
    let of_system = if servers.is_empty() { name_servers(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default()) } else { Vec::new() };
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "there is no name server");
    for server in servers.iter().chain(&of_system).take(MAX_NAME_SERVERS) {
        for _ in 0..TRIES {
            match ask_one(*server, name) {
                Ok(services) => return Ok(services),
                Err(error) => failed = error,
            }
        }
    }
    Err(failed)
}

fn ask_one(server: SocketAddr, name: &str) -> io::Result<Vec<Service>> {
    let id = u16::try_from(getrandom::u32().map_err(io::Error::from)? & 0xffff).unwrap_or_default();
    let question = question(id, name).ok_or(io::ErrorKind::InvalidInput)?;
    let any: IpAddr = if server.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(ANSWER_WITHIN))?;
    socket.send(&question)?;
    let mut buffer = [0; MAX_DATAGRAM];
    for _ in 0..MAX_STRAYS {
        let length = socket.recv(&mut buffer)?;
        match answer(&buffer[..length], id, name) {
            Answer::Services(services) => return Ok(services),
            Answer::TooLong => return ask_whole(server, &question, id, name),
            Answer::Refused => return Err(io::Error::other("the name server does not say")),
            Answer::NotOurs => {}
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// The same question by TCP, where each message has its length before it (RFC 1035 §4.2.2).
fn ask_whole(server: SocketAddr, question: &[u8], id: u16, name: &str) -> io::Result<Vec<Service>> {
    let mut stream = TcpStream::connect_timeout(&server, ANSWER_WITHIN)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut octets = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut octets)?;
    match answer(&octets, id, name) {
        Answer::Services(services) => Ok(services),
        Answer::TooLong | Answer::Refused | Answer::NotOurs => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn question(id: u16, name: &str) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(Name::new(name).ok()?, TYPE::SRV.into(), CLASS::IN.into(), false));
    *packet.opt_mut() = Some(OPT { opt_codes: Vec::new(), udp_packet_size: u16::try_from(MAX_DATAGRAM).ok()?, version: 0 });
    packet.build_bytes_vec().ok()
}

fn answer(octets: &[u8], id: u16, name: &str) -> Answer {
    let says = |flag| header_buffer::has_flags(octets, flag).unwrap_or(false);
    let is_ours = header_buffer::id(octets).is_ok_and(|theirs| theirs == id) && says(PacketFlag::RESPONSE);
    if is_ours && says(PacketFlag::TRUNCATION) {
        return Answer::TooLong;
    }
    let Some(packet) = Packet::parse(octets).ok().filter(|_| is_ours) else { return Answer::NotOurs };
    let [question] = &packet.questions[..] else { return Answer::NotOurs };
    if !question.qname.to_string().eq_ignore_ascii_case(name) || question.qtype != TYPE::SRV.into() {
        return Answer::NotOurs;
    }
    match packet.rcode() {
        RCODE::NoError => {}
        RCODE::NameError => return Answer::Services(Vec::new()),
        _ => return Answer::Refused,
    }
    let service = |record: &simple_dns::ResourceRecord<'_>| match &record.rdata {
        RData::SRV(srv) => Some(Service {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: srv.target.to_string(),
            ttl_seconds: record.ttl,
        }),
        _ => None,
    };
    Answer::Services(packet.answers.iter().filter_map(service).take(MAX_SERVICES).collect())
}

/// The name servers of a `resolv.conf`.
fn name_servers(text: &str) -> Vec<SocketAddr> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")?.split_whitespace().next()?.parse::<IpAddr>().ok());
    lines.map(|address| SocketAddr::new(address, 53)).collect()
}

/// The services in the order in which they are to be tried: by priority, and within one by chance in proportion to their weights
/// (RFC 2782). `draw` gives a number below its argument.
pub fn in_order(mut services: Vec<Service>, mut draw: impl FnMut(u32) -> u32) -> Vec<Service> {
    // Those of weight 0 first, so that they have a small chance where others have weights.
    services.sort_by_key(|service| (service.priority, service.weight != 0));
    let mut ordered = Vec::with_capacity(services.len());
    while let Some(first) = services.first() {
        let same = services.iter().take_while(|service| service.priority == first.priority).count();
        let total: u32 = services[..same].iter().map(|service| u32::from(service.weight)).sum();
        let drawn = draw(total + 1);
        let mut sum = 0;
        let chosen = services[..same].iter().position(|service| {
            sum += u32::from(service.weight);
            sum >= drawn
        });
        ordered.push(services.remove(chosen.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
pub(super) mod tests {
    use std::{net::TcpListener, thread};

    use proptest::prelude::*;
    use simple_dns::{Label, ResourceRecord, rdata::SRV};

    use super::*;

    const NAME: &str = "_sip._udp.carrier.example";

    /// The answer to a question: services with priority, weight, port, time to live and host.
    pub fn answered(question: &[u8], services: &[(u16, u16, u16, u32, &str)]) -> Vec<u8> {
        let asked = Packet::parse(question).expect("a question");
        let name = asked.questions[0].qname.clone();
        let mut reply = Packet::new_reply(asked.id());
        reply.questions = asked.questions.clone();
        reply.answers = services
            .iter()
            .map(|(priority, weight, port, ttl, host)| {
                let labels: Vec<_> =
                    host.split('.').filter(|label| !label.is_empty()).map(|label| Label::new_unchecked(label.as_bytes())).collect();
                let target = Name::new_with_labels(&labels);
                let srv = RData::SRV(SRV { priority: *priority, weight: *weight, port: *port, target });
                ResourceRecord::new(name.clone(), CLASS::IN, *ttl, srv)
            })
            .collect();
        reply.build_bytes_vec_compressed().expect("an answer")
    }

    /// A name server of our own: what `answer` makes of how many questions came before and the question, until the test ends.
    pub fn name_server(answer: impl Fn(usize, &[u8]) -> Vec<u8> + Send + 'static) -> SocketAddr {
        serve(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"), answer)
    }

    fn serve(socket: UdpSocket, answer: impl Fn(usize, &[u8]) -> Vec<u8> + Send + 'static) -> SocketAddr {
        let address = socket.local_addr().expect("bound");
        thread::spawn(move || {
            let mut buffer = [0; 1_500];
            for n in 0.. {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { return };
                let _ = socket.send_to(&answer(n, &buffer[..length]), from);
            }
        });
        address
    }

    fn service(priority: u16, weight: u16, port: u16, target: &str) -> Service {
        Service { priority, weight, port, target: target.to_owned(), ttl_seconds: 300 }
    }

    #[test]
    fn services_are_read_from_the_answer_to_our_question_alone() {
        let asked = question(7, NAME).expect("a name");
        let octets = answered(&asked, &[(10, 60, 5060, 300, "a.carrier.example"), (20, 0, 5062, 300, "")]);
        let both = || Answer::Services(vec![service(10, 60, 5060, "a.carrier.example"), service(20, 0, 5062, "")]);
        assert_eq!(answer(&octets, 7, "_SIP._udp.Carrier.example"), both());
        assert_eq!(answer(&octets, 8, NAME), Answer::NotOurs, "another number");
        assert_eq!(answer(&octets, 7, "_sip._tcp.carrier.example"), Answer::NotOurs, "another name");
        assert_eq!(answer(&asked, 7, NAME), Answer::NotOurs, "our own question");
        let coded = |low: u8, high: u8| {
            let mut octets = answered(&asked, &[]);
            octets[3] |= low;
            octets[2] |= high;
            answer(&octets, 7, NAME)
        };
        assert_eq!(coded(3, 0), Answer::Services(Vec::new()), "there is no such name");
        assert_eq!(coded(2, 0), Answer::Refused);
        assert_eq!(coded(0, 2), Answer::TooLong);
        assert_eq!(question(1, &format!("{}.example", "a".repeat(64))), None);
    }

    #[test]
    fn an_answer_too_long_for_a_datagram_comes_by_tcp() {
        let (socket, listener) = (0..100)
            .find_map(|_| {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
                let listener = TcpListener::bind(socket.local_addr().ok()?).ok()?;
                Some((socket, listener))
            })
            .expect("a port that is free for both");
        let server = serve(socket, |_, question| {
            let mut cut = answered(question, &[]);
            cut[2] |= 2;
            cut
        });
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("asked");
            let mut length = [0; 2];
            stream.read_exact(&mut length).expect("a length");
            let mut question = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut question).expect("a question");
            let octets = answered(&question, &[(1, 0, 5066, 300, "a.example")]);
            let length = u16::try_from(octets.len()).expect("short").to_be_bytes();
            stream.write_all(&[&length, octets.as_slice()].concat()).expect("sent");
        });
        assert_eq!(ask(NAME, &[server]).expect("found"), [service(1, 0, 5066, "a.example")]);
    }

    #[test]
    fn a_guessed_answer_does_not_count_and_a_failed_question_is_asked_again() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let server = socket.local_addr().expect("bound");
        thread::spawn(move || {
            let mut buffer = [0; 1_500];
            for n in 0.. {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { return };
                let right = answered(&buffer[..length], &[(1, 0, 5061, 300, "a.example")]);
                let (mut guessed, mut failed) = (right.clone(), right.clone());
                guessed[0] ^= 1;
                failed[3] |= 2;
                for octets in [guessed, if n == 0 { failed } else { right }] {
                    let _ = socket.send_to(&octets, from);
                }
            }
        });
        assert_eq!(ask(NAME, &[server]).expect("the second time"), [service(1, 0, 5061, "a.example")]);
    }

    #[test]
    fn priorities_come_in_order_and_weights_by_their_share() {
        let all = vec![service(20, 0, 2, "c"), service(10, 75, 0, "a"), service(10, 25, 1, "b")];
        let (mut first, mut state) = ([0; 2], 1_u32);
        for _ in 0..4_000 {
            let ordered = in_order(all.clone(), |below| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) % below
            });
            assert_eq!((ordered.len(), ordered[2].port), (3, 2), "the backup comes last");
            first[usize::from(ordered[0].port)] += 1;
        }
        assert!((2_700..3_300).contains(&first[0]) && first[0] + first[1] == 4_000, "{first:?}");
    }

    #[test]
    fn the_systems_name_servers_are_those_of_resolv_conf() {
        let text =
            "# nameserver 192.0.2.9\nsearch example.net\nnameserver 192.0.2.1\n  nameserver 2001:db8::1 # second\nnameserver nonsense\n";
        let expected: [SocketAddr; 2] = ["192.0.2.1:53".parse().expect("address"), "[2001:db8::1]:53".parse().expect("address")];
        assert_eq!(name_servers(text), expected);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused_without_a_panic(octets in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..120) {
            let _ = answer(&octets, 7, NAME);
            let mut nearly = answered(&question(7, NAME).expect("a name"), &[(10, 60, 5060, 300, "a.carrier.example"), (20, 0, 5062, 300, "b")]);
            nearly.truncate(cut.min(nearly.len()));
            nearly.extend_from_slice(&octets);
            if let Answer::Services(services) = answer(&nearly, 7, NAME) {
                prop_assert!(services.len() <= MAX_SERVICES);
            }
        }
    }
}
