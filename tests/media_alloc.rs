//! A packet allocates nothing on its way: not to receive, rewrite, tap or send it, nor to mix or play it.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use throughline::{
    domain::media::{
        clip::ClipStore,
        engine::{Engine, EngineConfig, Outlet, SILENCE_LIMIT, Transmit},
        plan::{Codec, Hears, LegPlan, MediaCommand, MediaPlan, PayloadFormat, PortPair, RecordingPlan, RemoteMedia, SourceId, SourcePlan},
        tap::Tap,
    },
    ids::{InteractionId, LegId, Party, RecordingId},
    protocol::rtp::packet::{HEADER_LEN, Header, encode_header},
    time::UnixMs,
};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator is an unsafe trait; every call is passed to the system's unchanged")]
// SAFETY: every method hands its arguments to `System` and returns what it returns.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[derive(Default)]
struct Counted {
    sent: u64,
    tapped: u64,
}

impl Outlet for Counted {
    fn transmit(&mut self, transmit: Transmit<'_>) {
        self.sent += u64::from(transmit.bytes.len() == HEADER_LEN + 160);
    }
    fn tap(&mut self, tap: Tap) -> Option<Tap> {
        self.tapped += u64::from(matches!(tap, Tap::Frame(_)));
        None
    }
}

fn leg(n: u8, rtp: SocketAddr) -> LegPlan {
    LegPlan {
        leg: LegId::new(UnixMs(1), [n; 10]),
        party: Party::Customer,
        ports: PortPair { thread: 0, rtp_port: 20_000 + 2 * u16::from(n) },
        remote: Some(RemoteMedia { rtp, rtcp: rtp, epoch: 1 }),
        accepts: PayloadFormat::set(&[(0, Codec::Pcmu)], None, None),
        codec: Codec::Pcmu,
        payload_type: 0,
        telephone_event: None,
        comfort_noise: None,
        ptime_ms: 20,
        max_ptime_ms: 60,
        send: true,
        receive: true,
        recording: RecordingPlan::On(RecordingId::new(UnixMs(1), [n; 10])),
        moving: false,
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "any instant will do as the test's zero")]
fn a_relayed_and_recorded_packet_allocates_nothing() {
    let caller = SocketAddr::from(([192, 0, 2, 1], 4000));
    let agent = SocketAddr::from(([192, 0, 2, 2], 4000));
    let mut now = Instant::now();
    let mut engine = Engine::new(EngineConfig { thread: 0, seed: [1; 32], silence_limit: SILENCE_LIMIT, clips: ClipStore::default() });
    let mut out = Counted::default();
    let legs = vec![leg(0, caller), leg(1, agent)];
    let hears = vec![Hears::leg(legs[1].leg, legs[0].leg)];
    let from = legs[0].ports;
    let call = InteractionId::new(UnixMs(1), [1; 10]);
    let plan = MediaPlan { call, generation: 1, axis_start: now, axis_start_wall: UnixMs(1), legs, sources: Vec::new(), hears };
    engine.handle_command(now, MediaCommand::Plan(plan), &mut out);
    let mut datagram = [0x55; HEADER_LEN + 160];
    let mut before = 0;
    for sequence in 0..1010u16 {
        if sequence == 10 {
            // The first packets lock the source, which control is told once.
            while engine.poll_event().is_some() {}
            before = ALLOCATIONS.load(Ordering::Relaxed);
        }
        let header = Header { marker: false, payload_type: 0, sequence, timestamp: u32::from(sequence) * 160, ssrc: 9 };
        encode_header(&mut datagram, header);
        engine.handle_packet(now, from, false, caller, &mut datagram, &mut out);
        now += Duration::from_millis(20);
        if engine.next_timeout().is_some_and(|at| at <= now) {
            engine.handle_timeout(now, &mut out);
        }
    }
    let allocated = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert_eq!((out.sent, out.tapped, allocated), (1010, 1010, 0));
    four_in_a_bridge();
}

/// Four members hear each other, one of them in the other law, and music; two speak.
#[expect(clippy::disallowed_methods, reason = "any instant will do as the test's zero")]
fn four_in_a_bridge() {
    let address = |n: u8| SocketAddr::from(([192, 0, 2, n], 4000));
    let mut now = Instant::now();
    let mut clips = ClipStore::default();
    let clip = clips.add(vec![1000; 8000].into()).expect("long enough");
    let mut engine = Engine::new(EngineConfig { thread: 0, seed: [1; 32], silence_limit: SILENCE_LIMIT, clips });
    let mut out = Counted::default();
    let mut legs: Vec<LegPlan> = (0..4).map(|n| leg(n, address(n))).collect();
    (legs[3].codec, legs[3].payload_type) = (Codec::Pcma, 8);
    let ids: Vec<LegId> = legs.iter().map(|leg| leg.leg).collect();
    let pairs = ids.iter().flat_map(|listener| ids.iter().map(move |source| Hears::leg(*listener, *source)));
    let hears = pairs.chain(ids.iter().map(|listener| Hears::player(*listener, SourceId(1)))).collect();
    let sources = vec![SourcePlan { id: SourceId(1), clip, looped: true, start_ms: 0 }];
    let call = InteractionId::new(UnixMs(1), [2; 10]);
    let plan = MediaPlan { call, generation: 1, axis_start: now, axis_start_wall: UnixMs(1), legs, sources, hears };
    engine.handle_command(now, MediaCommand::Plan(plan), &mut out);
    let mut before = 0;
    for sequence in 0..1000u16 {
        // By then every queue has had its greatest length once.
        if sequence == 500 {
            while engine.poll_event().is_some() {}
            before = ALLOCATIONS.load(Ordering::Relaxed);
        }
        for speaker in 0..2 {
            let mut datagram = [0x55; HEADER_LEN + 160];
            let header = Header { marker: false, payload_type: 0, sequence, timestamp: u32::from(sequence) * 160, ssrc: 9 };
            encode_header(&mut datagram, header);
            let from = PortPair { thread: 0, rtp_port: 20_000 + 2 * u16::from(speaker) };
            engine.handle_packet(now, from, false, address(speaker), &mut datagram, &mut out);
        }
        now += Duration::from_millis(20);
        while engine.next_timeout().is_some_and(|at| at <= now) {
            engine.handle_timeout(now, &mut out);
        }
    }
    let allocated = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert!(out.sent >= 4 * 998, "{} packets", out.sent);
    assert_eq!((out.tapped, allocated), (2000, 0));
}
