//! What reading costs: every file of the corpora below 5 ms and 10 MB, and ten times the octets at most twelve times the work.
//!
//! Time is this thread's own on the processor, the least of several tries, so that the machine's load does not decide; memory is
//! counted by the allocator.

#![expect(clippy::print_stdout, reason = "what was measured is told")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    time::Duration,
};

use throughline::{
    domain, ids, protocol,
    protocol::{
        sdp::Sdp,
        sip::{
            build::{Request, Response},
            digest::Credentials,
            header::HeaderId,
            parse::parse,
        },
    },
    service, time,
};

#[path = "support/corpora.rs"]
mod corpora;
#[path = "support/pcap.rs"]
mod pcap;
#[path = "../fuzz/src/targets.rs"]
#[allow(dead_code, reason = "the targets for octets of other kinds are run elsewhere")]
mod targets;

/// What one file may take (reliability rule A2 2), in a debug build too.
const MAX_TIME: Duration = Duration::from_millis(5);
const MAX_OCTETS: usize = 10_000_000;
/// The least of so many tries counts.
const TRIES: usize = 7;

struct Counting;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(octets: usize) {
    // A thread that ends allocates without its counter.
    let _ = ALLOCATED.try_with(|allocated| allocated.set(allocated.get() + octets));
}

#[expect(unsafe_code, reason = "an allocator is an unsafe trait; every call is passed to the system's unchanged")]
// SAFETY: every method hands its arguments to `System` and returns what it returns.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[expect(unsafe_code, reason = "the standard library has no clock of one thread")]
fn thread_time() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for the answer.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    assert_eq!(done, 0);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).expect("below a second"))
}

/// Least time on the processor and octets allocated.
fn cost(mut work: impl FnMut()) -> (Duration, usize) {
    let mut least = (Duration::MAX, usize::MAX);
    for _ in 0..TRIES {
        let (began, before) = (thread_time(), ALLOCATED.get());
        work();
        least = (least.0.min(thread_time() - began), least.1.min(ALLOCATED.get() - before));
    }
    least
}

/// Reads a file in every way that its folder is for.
fn read(folder: &str, octets: &[u8]) -> (Duration, usize) {
    match folder {
        "sdp" => cost(|| targets::sdp(octets)),
        // A capture is many datagrams: the dearest of them counts.
        "rtp" => pcap::read(octets)
            .iter()
            .map(|datagram| {
                let length = u16::try_from(datagram.payload.len()).expect("a datagram").to_be_bytes();
                let framed = [&length[..], &datagram.payload].concat();
                cost(|| {
                    targets::rtp(&framed);
                    targets::rtcp(&datagram.payload);
                    drop(parse(&datagram.payload));
                })
            })
            .max()
            .unwrap_or_default(),
        _ => cost(|| targets::sip_message(octets)),
    }
}

#[test]
fn every_file_of_the_corpora_is_read_in_5_ms_and_10_mb() {
    let Some(home) = corpora::folder() else { return };
    let mut dearest = (Duration::ZERO, 0, String::new());
    for folder in ["sip-torture", "sip-devices", "sdp", "rtp"] {
        for (path, octets) in corpora::files(&home.join(folder)) {
            let (time, allocated) = read(folder, &octets);
            assert!(time < MAX_TIME && allocated < MAX_OCTETS, "{}: {time:?}, {allocated} octets", path.display());
            dearest = dearest.max((time, allocated, path.display().to_string()));
        }
    }
    println!("the dearest: {dearest:?}");
}

/// A message that has `n` times something.
fn message(n: usize, header: &str, body: &str) -> Vec<u8> {
    format!(
        "INVITE sip:a@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKn\r\nFrom: <sip:b@example.org>;tag=1\r\n\
         To: <sip:a@example.org>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n{}Content-Length: {}\r\n\r\n{}",
        header.repeat(n),
        body.len() * n,
        body.repeat(n)
    )
    .into_bytes()
}

/// Inputs that grow with `n`; what a limit cuts off grows up to it.
type Growing = (&'static str, fn(usize) -> Vec<u8>);

const GROWING: [Growing; 12] = [
    ("header lines", |n| message(n, "X-Note: value\r\n", "")),
    ("Via lines", |n| message(n, "Via: SIP/2.0/UDP h.example;branch=z9hG4bKx\r\n", "")),
    ("Contact lines with parameters", |n| message(n, "Contact: \"A\\\"\" <sip:a@h.example;p=1>;q=0.5;x=\"y\"\r\n", "")),
    ("values in one line", |n| message(1, &format!("Route: <sip:h.example;lr>{}\r\n", ", <sip:h.example;lr>".repeat(n)), "")),
    ("parameters of one value", |n| message(1, &format!("Contact: <sip:h.example>{}\r\n", ";p=1".repeat(n * 16)), "")),
    ("folds", |n| message(1, &format!("Subject: a{}\r\n", "\r\n b".repeat(n * 16)), "")),
    ("escapes in a quoted string", |n| message(1, &format!("Contact: \"{}\" <sip:h.example>\r\n", "\\\"".repeat(n * 40)), "")),
    ("commas", |n| message(1, &format!("Supported: {}\r\n", ",".repeat(n * 80)), "")),
    ("escapes in a user part", |n| message(1, &format!("Contact: <sip:{}@h.example>\r\n", "%41".repeat(n * 8)), "")),
    ("a body", |n| message(n, "", "v=0 and so on and on, all of it the body of the message\r\n")),
    ("octets that are no text", |n| message(1, &format!("X-Noise: {}\r\n", "\u{fffd}".repeat(n * 20)), "")),
    ("nothing but line ends", |n| "\r\n".repeat(n * 100).into_bytes()),
];

/// Ten times the size is at most twelve times the work, for a size large enough that the fixed part does not hide a square.
fn assert_linear(what: &str, small: &[u8], large: &[u8], work: fn(&[u8])) {
    // A few tries: one interruption more on the large side would tell of nothing.
    let ratio = (0..3).map(|_| {
        let (few, small_octets) = cost(|| work(small));
        let (many, large_octets) = cost(|| work(large));
        let times = many.as_nanos() as f64 / few.as_nanos().max(1) as f64;
        (times.max(large_octets as f64 / small_octets.max(1) as f64), times)
    });
    let (ratio, times) = ratio.min_by(|a, b| a.0.total_cmp(&b.0)).expect("three tries");
    let size = large.len() as f64 / small.len() as f64;
    println!("{what}: {size:.1} times the octets, {times:.1} times the time, at most {ratio:.1} times the work");
    assert!(ratio <= 1.2 * size.max(10.0), "{what}: {size:.1} times the octets take {ratio:.1} times the work");
}

/// Reads a message once as the switch does and answers it.
fn read_once(octets: &[u8]) {
    match parse(octets) {
        Ok(message) => {
            let read = [HeaderId::Contact, HeaderId::Route, HeaderId::RecordRoute].map(|id| message.addresses(id).count());
            let named = message.contacts().filter_map(|contact| contact.display_name()).count();
            assert!(read[0] >= named && message.vias().count() > 0 && message.tokens(HeaderId::Supported).count() < octets.len());
            drop((message.text(HeaderId::Subject), message.contacts().next().and_then(|contact| contact.uri.user())));
            let answer = Response::to(&message, 486, "t1", ([192, 0, 2, 1], 5060).into()).to_bytes();
            assert!(Request::from_message(&message).is_some_and(|request| !request.to_bytes().is_empty()) && !answer.is_empty());
        }
        Err(error) => drop(error.answer(([192, 0, 2, 1], 5060).into(), "t1")),
    }
}

#[test]
fn ten_times_the_message_is_at_most_twelve_times_the_work() {
    for (what, grow) in GROWING {
        assert_linear(what, &grow(10), &grow(100), read_once);
    }
}

#[test]
fn ten_times_the_description_or_digest_is_at_most_twelve_times_the_work() {
    let sdp = |n: usize, line: &str| {
        format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0\r\n{}", line.repeat(n))
            .into_bytes()
    };
    for line in [
        "a=rtpmap:8 PCMA/8000\r\n",
        "a=candidate:1 1 udp 2122 192.0.2.1 50000 typ host\r\n",
        "m=video 5000 RTP/AVP 96\r\n",
        "c=IN IP4 192.0.2.9\r\n",
    ] {
        assert_linear(line.trim_end(), &sdp(6, line), &sdp(60, line), targets::sdp);
    }
    let formats = |n: usize| {
        let numbers: String = (0..n).map(|n| format!(" {}", n % 128)).collect();
        format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP{numbers}\r\n").into_bytes()
    };
    assert_linear("formats", &formats(12), &formats(120), targets::sdp);
    let digest = |n: usize| format!("Digest username=\"a\", realm=\"r\"{}", ", p=\"\\\"\"".repeat(n)).into_bytes();
    assert_linear("digest parameters", &digest(50), &digest(500), |octets| drop(Credentials::parse(octets)));
    assert!(Sdp::parse(&sdp(60, "a=x\r\n")).is_ok());
}
