//! What one packet costs the engine, without the kernel: relayed, recorded, bridged, mixed, played.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use throughline::{
    domain::media::{
        clip::{ClipId, ClipStore},
        engine::{Engine, EngineConfig, Outlet, SILENCE_LIMIT, Transmit},
        plan::{
            AudioSource, Codec, Hears, LegPlan, MediaCommand, MediaPlan, PayloadFormat, PortPair, RecordingPlan, RemoteMedia, SourceId,
            SourcePlan,
        },
        tap::Tap,
    },
    ids::{InteractionId, LegId, Party, RecordingId},
    protocol::rtp::packet::{HEADER_LEN, Header, encode_header},
    time::UnixMs,
};

fn main() {
    divan::main();
}

struct Sink;

impl Outlet for Sink {
    fn transmit(&mut self, transmit: Transmit<'_>) {
        divan::black_box(transmit.bytes);
    }
    fn tap(&mut self, tap: Tap) -> Option<Tap> {
        divan::black_box(&tap);
        None
    }
}

fn address(host: u16) -> SocketAddr {
    let [high, low] = host.to_be_bytes();
    SocketAddr::from(([10, 0, high, low], 4000))
}

struct Load {
    engine: Engine,
    plans: Vec<MediaPlan>,
    now: Instant,
    calls: u16,
    round: u32,
    next: u16,
}

/// So many calls, each with a leg that speaks and one that listens.
#[expect(clippy::disallowed_methods, reason = "the bench's zero")]
fn load(calls: u16, codecs: [Codec; 2], recorded: bool) -> Load {
    let now = Instant::now();
    let mut clips = ClipStore::default();
    clips.add(vec![1000; 8000].into()).expect("long enough");
    let mut engine = Engine::new(EngineConfig { thread: 0, seed: [1; 32], silence_limit: SILENCE_LIMIT, clips });
    let mut plans = Vec::new();
    for call in 0..calls {
        let id = |n: u16| {
            let [high, low] = n.to_be_bytes();
            [0, 0, 0, 0, 0, 0, 0, 0, high, low]
        };
        let legs: Vec<LegPlan> = (0..2)
            .map(|side| LegPlan {
                leg: LegId::new(UnixMs(1), id(2 * call + side)),
                party: Party::Customer,
                ports: PortPair { thread: 0, rtp_port: 20_000 + 4 * call + 2 * side },
                remote: Some(RemoteMedia { rtp: address(2 * call + side), rtcp: address(2 * call + side), epoch: 1 }),
                accepts: PayloadFormat::set(&[(0, codecs[usize::from(side)])], None, None),
                codec: codecs[usize::from(side)],
                payload_type: 0,
                telephone_event: None,
                comfort_noise: None,
                ptime_ms: 20,
                max_ptime_ms: 60,
                send: true,
                receive: true,
                recording: if recorded { RecordingPlan::On(RecordingId::new(UnixMs(1), id(call))) } else { RecordingPlan::Off },
                moving: false,
            })
            .collect();
        let hears = vec![Hears::leg(legs[1].leg, legs[0].leg)];
        let call = InteractionId::new(UnixMs(1), id(call));
        let plan = MediaPlan { call, generation: 1, axis_start: now, axis_start_wall: UnixMs(1), legs, sources: Vec::new(), hears };
        plans.push(plan.clone());
        engine.handle_command(now, MediaCommand::Plan(plan), &mut Sink);
    }
    Load { engine, plans, now, calls, round: 0, next: 0 }
}

impl Load {
    /// The call's listener hears music from now on.
    fn play_to(&mut self, call: u16) {
        let id = |n: u16| {
            let [high, low] = n.to_be_bytes();
            [0, 0, 0, 0, 0, 0, 0, 0, high, low]
        };
        let listener = LegId::new(UnixMs(1), id(2 * call + 1));
        let mut plan = self.plans[usize::from(call)].clone();
        plan.generation += 1;
        plan.sources = vec![SourcePlan { id: SourceId(1), clip: ClipId(0), looped: true, start_ms: 0 }];
        plan.hears = vec![Hears::player(listener, SourceId(1))];
        self.engine.handle_command(self.now, MediaCommand::Plan(plan), &mut Sink);
    }

    /// Lets 20 ms pass.
    fn tick(&mut self) {
        self.now += Duration::from_millis(20);
        while self.engine.next_timeout().is_some_and(|at| at <= self.now) {
            self.engine.handle_timeout(self.now, &mut Sink);
        }
    }

    /// The next call's next packet; the clock moves on by 20 ms with each round over all calls.
    fn packet(&mut self) {
        let call = self.next;
        let mut datagram = [0x55; HEADER_LEN + 160];
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence: (self.round & 0xffff) as u16,
            timestamp: self.round.wrapping_mul(160),
            ssrc: u32::from(call),
        };
        encode_header(&mut datagram, header);
        let ports = PortPair { thread: 0, rtp_port: 20_000 + 4 * call };
        self.engine.handle_packet(self.now, ports, false, address(2 * call), &mut datagram, &mut Sink);
        self.next = (call + 1) % self.calls;
        if self.next == 0 {
            self.round = self.round.wrapping_add(1);
            self.now += Duration::from_millis(20);
            while self.engine.next_timeout().is_some_and(|at| at <= self.now) {
                self.engine.handle_timeout(self.now, &mut Sink);
            }
        }
    }
}

#[divan::bench(args = [1, 100, 1000])]
fn relayed(bencher: divan::Bencher<'_, '_>, calls: u16) {
    let mut load = load(calls, [Codec::Pcmu; 2], false);
    bencher.bench_local(|| load.packet());
}

#[divan::bench(args = [1, 100, 1000])]
fn relayed_and_recorded(bencher: divan::Bencher<'_, '_>, calls: u16) {
    let mut load = load(calls, [Codec::Pcmu; 2], true);
    bencher.bench_local(|| load.packet());
}

#[divan::bench(args = [1, 100, 1000])]
fn bridged_into_the_other_law(bencher: divan::Bencher<'_, '_>, calls: u16) {
    let mut load = load(calls, [Codec::Pcmu, Codec::Pcma], false);
    bencher.bench_local(|| load.packet());
}

/// Three who hear each other, all speaking; one of them in the other law.
#[expect(clippy::disallowed_methods, reason = "the bench's zero")]
fn conference() -> (Engine, Instant) {
    let now = Instant::now();
    let mut clips = ClipStore::default();
    let clip = clips.add(vec![1000; 8000].into()).expect("long enough");
    let mut engine = Engine::new(EngineConfig { thread: 0, seed: [1; 32], silence_limit: SILENCE_LIMIT, clips });
    let legs: Vec<LegPlan> = (0..3u8)
        .map(|n| LegPlan {
            leg: LegId::new(UnixMs(1), [n; 10]),
            party: Party::Customer,
            ports: PortPair { thread: 0, rtp_port: 20_000 + 2 * u16::from(n) },
            remote: Some(RemoteMedia { rtp: address(u16::from(n)), rtcp: address(u16::from(n)), epoch: 1 }),
            accepts: PayloadFormat::set(&[(0, Codec::Pcmu)], None, None),
            codec: if n == 2 { Codec::Pcma } else { Codec::Pcmu },
            payload_type: 0,
            telephone_event: None,
            comfort_noise: None,
            ptime_ms: 20,
            max_ptime_ms: 60,
            send: true,
            receive: true,
            recording: RecordingPlan::Off,
            moving: false,
        })
        .collect();
    let ids: Vec<LegId> = legs.iter().map(|leg| leg.leg).collect();
    let pairs = ids.iter().flat_map(|listener| ids.iter().map(move |source| Hears::leg(*listener, *source)));
    let hears = pairs.filter(|hears| hears.source != AudioSource::Leg(hears.listener)).collect();
    let sources = vec![SourcePlan { id: SourceId(1), clip, looped: true, start_ms: 0 }];
    let call = InteractionId::new(UnixMs(1), [1; 10]);
    let plan = MediaPlan { call, generation: 1, axis_start: now, axis_start_wall: UnixMs(1), legs, sources, hears };
    engine.handle_command(now, MediaCommand::Plan(plan), &mut Sink);
    (engine, now)
}

/// 20 ms of a conference of three: three packets in, three mixes out.
#[divan::bench]
fn mixed_for_three(bencher: divan::Bencher<'_, '_>) {
    let (mut engine, mut now) = conference();
    let mut sequence = 0u16;
    bencher.bench_local(|| {
        for n in 0..3u16 {
            let mut datagram = [0x55; HEADER_LEN + 160];
            let header = Header { marker: false, payload_type: 0, sequence, timestamp: u32::from(sequence) * 160, ssrc: u32::from(n) };
            encode_header(&mut datagram, header);
            engine.handle_packet(now, PortPair { thread: 0, rtp_port: 20_000 + 2 * n }, false, address(n), &mut datagram, &mut Sink);
        }
        sequence = sequence.wrapping_add(1);
        now += Duration::from_millis(20);
        while engine.next_timeout().is_some_and(|at| at <= now) {
            engine.handle_timeout(now, &mut Sink);
        }
    });
}

/// 20 ms of music for so many callers, each with a player of its own.
#[divan::bench(args = [1, 100, 1000])]
fn played(bencher: divan::Bencher<'_, '_>, calls: u16) {
    let mut load = load(calls, [Codec::Pcmu; 2], false);
    for call in 0..calls {
        load.play_to(call);
    }
    bencher.bench_local(|| load.tick());
}
