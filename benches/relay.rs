//! What one relayed packet costs the engine, without the kernel.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use throughline::{
    domain::media::{
        clip::ClipStore,
        engine::{Engine, EngineConfig, Outlet, SILENCE_LIMIT, Transmit},
        plan::{Codec, Hears, LegPlan, MediaCommand, MediaPlan, PayloadFormat, PortPair, RecordingPlan, RemoteMedia},
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
    now: Instant,
    calls: u16,
    round: u32,
    next: u16,
}

/// So many calls, each with a leg that speaks and one that listens.
#[expect(clippy::disallowed_methods, reason = "the bench's zero")]
fn load(calls: u16, codecs: [Codec; 2], recorded: bool) -> Load {
    let now = Instant::now();
    let mut engine = Engine::new(EngineConfig { thread: 0, seed: [1; 32], silence_limit: SILENCE_LIMIT, clips: ClipStore::default() });
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
        engine.handle_command(now, MediaCommand::Plan(plan), &mut Sink);
    }
    Load { engine, now, calls, round: 0, next: 0 }
}

impl Load {
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
