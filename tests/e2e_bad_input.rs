//! Nonsense at the server's ports: nothing breaks, nothing grows, nobody is helped to flood others, and good calls go on.

mod support;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use rand_chacha::{
    ChaCha12Rng,
    rand_core::{RngCore, SeedableRng},
};
use support::{
    PATIENCE,
    bend::bend,
    call, corpora,
    desk::Desk,
    server::{Server, TRUNK},
    sound::{self, PAIRS},
    wait_for,
    wire::{self, Stranger},
};
use throughline::service::demo::DemoCall;

/// An address that no trunk and no phone has.
const UNKNOWN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const NUMBER: &str = "+442079460000";
const MUTATIONS: usize = 2_000;
/// Messages between two looks at what was answered.
const BATCH: usize = 20;
const MAY_GROW: u64 = 20_000_000;

fn seed() -> u64 {
    std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// Sends each message from a socket of its own, one half as a stranger, the other as the trunk; a stranger hears at most twice what they sent.
fn throw(server: &Server, messages: &[Vec<u8>]) {
    let judge = Stranger::new(TRUNK, server.sip());
    for (n, batch) in messages.chunks(BATCH).enumerate() {
        let senders: Vec<_> = batch.iter().flat_map(|message| [UNKNOWN, TRUNK].map(|from| (message, from))).collect();
        let sent: Vec<_> = senders
            .into_iter()
            .map(|(message, from)| {
                let stranger = Stranger::new(from, server.sip());
                stranger.send(message);
                (stranger, message, from)
            })
            .collect();
        judge.barrier(n);
        for (stranger, message, _) in sent.iter().filter(|(_, _, from)| *from == UNKNOWN) {
            let answers = stranger.received();
            let octets: usize = answers.iter().map(Vec::len).sum();
            let shown = || answers.iter().map(|answer| String::from_utf8_lossy(answer)).collect::<Vec<_>>().join("\n");
            assert!(octets <= 2 * message.len(), "{octets} octets answer {}:\n{}", String::from_utf8_lossy(message), shown());
            assert!(answers.iter().all(|answer| !answer.starts_with(b"SIP/2.0 18") && !answer.starts_with(b"SIP/2.0 2")), "{}", shown());
        }
    }
}

fn assert_unhurt(server: &Server) {
    let metrics = String::from_utf8(server.nobody().get("/metrics").body).expect("text");
    let panics: Vec<_> = metrics.lines().filter(|line| line.contains("panic") && !line.ends_with(" 0")).collect();
    assert!(panics.is_empty(), "{panics:?}");
    assert!(metrics.contains("panic"), "panics are counted: {metrics}");
    let log = server.log_text();
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
}

/// A call of a few seconds in which both hear each other.
fn good_call(server: &Server, desk: &mut Desk, disturb: impl FnOnce()) {
    let voices = call::voices(server, &sound::tone(PAIRS[0], 4), &sound::tone(PAIRS[1], 4));
    let running = call::start(desk, DemoCall { voices, ..call::demo(server) });
    disturb();
    let outcome = running.finish(desk);
    sound::assert_only(&outcome.caller_heard, PAIRS[1], 0.7, "what the caller heard");
    sound::assert_only(&outcome.phone_heard, PAIRS[0], 0.7, "what the phone heard");
}

#[test]
fn torture_and_two_thousand_bent_messages_leave_a_server_that_serves() {
    let server = Server::plain();
    let seed = seed();
    println!("seed {seed} (set SEED)");
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let model = Stranger::new(TRUNK, server.sip());
    let mut bent = |n: usize| {
        let call_id = format!("bent-{n}-{seed}");
        let good = match n % 3 {
            0 => model.request("REGISTER", "", &call_id, ""),
            _ => model.invite(NUMBER, &call_id),
        };
        bend(good.into_bytes(), &mut random)
    };
    // What is built once is built before memory is measured.
    throw(&server, &(0..MUTATIONS / 10).map(&mut bent).collect::<Vec<_>>());
    let before = wire::resident(server.pid());
    if let Some(corpora) = corpora::folder() {
        let torture: Vec<_> = ["sip-torture", "sip-devices"].iter().flat_map(|name| corpora::files(&corpora.join(name))).collect();
        assert!(torture.len() > 50, "{}", torture.len());
        throw(&server, &torture.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>());
    }
    throw(&server, &(MUTATIONS / 10..MUTATIONS).map(&mut bent).collect::<Vec<_>>());
    let after = wire::resident(server.pid());
    let total = |name: &str| server.metric(&format!("throughline_{name}_total"));
    let counted = wait_for("every bent message to be counted", PATIENCE, || {
        let counts =
            [total("sip_malformed_dropped")?, total("sip_malformed_answered")?, total("digest_challenged")?, total("spool_accepted")?];
        (counts[0] > 500.0 && counts[1] > 500.0 && counts[2] > 100.0 && counts[3] > 100.0).then_some(counts)
    });
    let [dropped, answered, challenged, facts] = counted;
    println!("{dropped} dropped, {answered} answered as malformed, {challenged} challenged, {facts} facts");
    println!("memory {:.1} MB before, {:.1} MB after", before as f64 / 1e6, after as f64 / 1e6);
    assert!(after < before + MAY_GROW);
    let agent = server.login("daniel");
    let mut desk = Desk::connect(&agent);
    // Callers are taken into the queue: one who never acknowledges is given up after 64 T1, his BYE after as long again.
    wait_for("the bent calls to end", PATIENCE * 3, || (server.metric("throughline_calls")? == 0.0).then_some(()));
    good_call(&server, &mut desk, || ());
    assert_unhurt(&server);
}

#[test]
fn nonsense_at_the_media_ports_is_not_heard_in_the_call() {
    let server = Server::plain();
    let seed = seed();
    println!("seed {seed} (set SEED)");
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let agent = server.login("daniel");
    let mut desk = Desk::connect(&agent);
    let mut payloads: Vec<Vec<u8>> = (0..2_000)
        .map(|_| {
            let mut bytes = vec![0; random.next_u32() as usize % 1_400];
            random.fill_bytes(&mut bytes);
            bytes
        })
        .collect();
    if let Some(corpora) = corpora::folder() {
        payloads.extend(corpora::files(&corpora.join("rtp")).iter().flat_map(|(_, bytes)| wire::udp_payloads(bytes)));
    }
    good_call(&server, &mut desk, || {
        let sprayer = UdpSocket::bind((UNKNOWN, 0)).expect("a loopback address");
        for (n, payload) in payloads.iter().enumerate() {
            // The pairs of ports that a first call is likely to have, and some that nobody has.
            let port = 20_000 + (n % 12) as u16;
            let _ = sprayer.send_to(payload, SocketAddr::from((server.address, port)));
            wire::paced(n);
        }
    });
    let metrics = String::from_utf8(server.nobody().get("/metrics").body).expect("text");
    let drops = metrics.lines().filter(|line| line.starts_with("throughline_media_dropped_total"));
    let dropped: f64 = drops.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    println!("{} datagrams sprayed; {dropped} dropped at the legs", payloads.len());
    assert!(dropped > 100.0);
    assert_unhurt(&server);
}

#[test]
fn strangers_and_unknown_numbers_are_refused_and_never_become_calls() {
    let server = Server::plain();
    let supervisor = server.login("grace");
    let before = supervisor.get("/api/calls").json();
    let stranger = Stranger::new(UNKNOWN, server.sip());
    let status = stranger.ask(&stranger.invite(NUMBER, "stranger-1"));
    assert!(status == 401 || status == 403, "{status}");
    let trunk = Stranger::new(TRUNK, server.sip());
    assert_eq!(trunk.ask(&trunk.invite("+442079461234", "nowhere-1")), 404);
    assert_eq!(supervisor.get("/api/calls").json(), before, "none of it is a call");
    wait_for("no call to be left", PATIENCE, || (server.metric("throughline_calls")? == 0.0).then_some(()));
    assert_unhurt(&server);
}

#[test]
fn a_call_beyond_the_limit_is_refused_with_503_and_the_first_goes_on() {
    let small = |name: &str, text: String| match name {
        "sip.toml" => text.replace("max_calls = 40", "max_calls = 1"),
        "media.toml" => text.replace("20000-20199", "20000-20003"),
        _ => text,
    };
    let server = Server::start(small);
    let agent = server.login("daniel");
    let mut desk = Desk::connect(&agent);
    good_call(&server, &mut desk, || {
        let trunk = Stranger::new(TRUNK, server.sip());
        assert_eq!(trunk.ask(&trunk.invite(NUMBER, "one-too-many")), 503);
    });
    assert_unhurt(&server);
}
