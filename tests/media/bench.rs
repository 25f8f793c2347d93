//! An engine with a clock that only the test moves, phones that play tones, and ears that find them again.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use throughline::{
    domain::media::{
        clip::{ClipId, ClipStore},
        engine::{Engine, EngineConfig, Outlet, SILENCE_LIMIT, Transmit},
        plan::{
            Codec, Hears, LegPlan, LegTotals, MediaCommand, MediaEvent, MediaEventKind, MediaPlan, PayloadFormat, PortPair, RecordingPlan,
            RemoteMedia, SourceId, SourcePlan,
        },
        tap::{Tap, TapFrame},
    },
    ids::{InteractionId, LegId, Party, RecordingId},
    protocol::{
        audio::{
            g711,
            tone::{DualTone, amplitude_of},
        },
        rtp::packet::{self, HEADER_LEN, Header, Packet},
    },
    time::UnixMs,
};

pub const FRAME: Duration = Duration::from_millis(20);
pub const CALLER: &str = "192.0.2.1:40000";
pub const AGENT: &str = "192.0.2.2:50000";
pub const STRANGER: &str = "203.0.113.66:6666";
/// Tones of the caller and of the agent: four frequencies, none a multiple of another.
pub const CALLER_TONE: [f64; 2] = [697.0, 1209.0];
pub const AGENT_TONE: [f64; 2] = [941.0, 1633.0];
pub const START_WALL: UnixMs = UnixMs(1_790_000_000_000);

pub fn call_id(n: u8) -> InteractionId {
    InteractionId::new(START_WALL, [n; 10])
}

pub fn leg_id(n: u8) -> LegId {
    LegId::new(START_WALL, [n; 10])
}

pub fn recording_id(n: u8) -> RecordingId {
    RecordingId::new(START_WALL, [n; 10])
}

pub fn ports(rtp_port: u16) -> PortPair {
    PortPair { thread: 0, rtp_port }
}

pub fn remote(rtp: &str, epoch: u32) -> RemoteMedia {
    let rtp: SocketAddr = rtp.parse().unwrap();
    RemoteMedia { rtp, rtcp: SocketAddr::new(rtp.ip(), rtp.port() + 1), epoch }
}

pub fn leg_plan(n: u8, rtp: &str, rtp_port: u16) -> LegPlan {
    LegPlan {
        leg: leg_id(n),
        party: if n == 1 { Party::Customer } else { Party::Agent },
        ports: ports(rtp_port),
        remote: Some(remote(rtp, 1)),
        accepts: PayloadFormat::set(&[(0, Codec::Pcmu)], Some(101), None),
        codec: Codec::Pcmu,
        payload_type: 0,
        telephone_event: Some(101),
        comfort_noise: None,
        ptime_ms: 20,
        max_ptime_ms: 60,
        send: true,
        receive: true,
        recording: RecordingPlan::Off,
        moving: false,
    }
}

/// Tones of the clips: music, and an announcement of 500 ms.
pub const MUSIC_TONE: [f64; 2] = [523.0, 784.0];
pub const MUSIC: ClipId = ClipId(0);
pub const ANNOUNCEMENT: ClipId = ClipId(1);

pub fn clips() -> ClipStore {
    let mut store = ClipStore::default();
    for length in [24_000, 4000] {
        let mut samples = vec![0; length];
        DualTone::new(MUSIC_TONE[0], MUSIC_TONE[1], 6000, 8000).fill(&mut samples);
        store.add(samples.into()).unwrap();
    }
    store
}

pub fn player(id: u32, clip: ClipId, looped: bool) -> SourcePlan {
    SourcePlan { id: SourceId(id), clip, looped, start_ms: 0 }
}

/// The samples sent to `destination` in the order of sending, as a phone plays them that asks for nothing but the next packet.
pub fn played(bench: &Bench, destination: &str, codec: Codec) -> Vec<i16> {
    let audio = bench.sent_to(destination).into_iter().filter(|sent| sent.header().payload_type == payload_type(codec));
    audio.flat_map(|sent| sent.payload().iter().map(|octet| decode(codec, *octet)).collect::<Vec<_>>()).collect()
}

/// The greatest step from one sample to the next.
pub fn greatest_step(samples: &[i16]) -> i32 {
    samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
}

/// Asserts what a listener must see whatever feeds it: one SSRC, no number missing, timestamps that grow with the time.
pub fn assert_one_stream(bench: &Bench, destination: &str) {
    let sent = bench.sent_to(destination);
    let first = sent[0];
    for pair in sent.windows(2) {
        let (before, after) = (pair[0].header(), pair[1].header());
        assert_eq!((after.ssrc, after.sequence), (before.ssrc, before.sequence.wrapping_add(1)));
        let step = after.timestamp.wrapping_sub(before.timestamp) as i32;
        assert!(step >= pair[0].payload().len() as i32 || after.payload_type == 101, "a packet begins inside the one before: {step}");
        let wall = (pair[1].at - first.at).as_micros() as i64 * 8 / 1000;
        let stamp = i64::from(after.timestamp.wrapping_sub(first.header().timestamp));
        assert!((stamp - wall).abs() <= 640, "the timestamp is {stamp} samples on, the time {wall}");
    }
}

/// The longest time between two packets to `destination`.
pub fn longest_gap(bench: &Bench, destination: &str) -> Duration {
    bench.sent_to(destination).windows(2).map(|pair| pair[1].at - pair[0].at).max().unwrap_or_default()
}

/// Makes the leg send and accept this codec alone.
pub fn speak_codec(leg: &mut LegPlan, codec: Codec) {
    leg.codec = codec;
    leg.payload_type = payload_type(codec);
    leg.accepts = PayloadFormat::set(&[(leg.payload_type, codec)], Some(101), None);
}

pub fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
    }
}

/// What left the engine.
#[derive(Clone, Debug)]
pub struct Sent {
    pub ports: PortPair,
    pub rtcp: bool,
    /// When it left, since the call began.
    pub at: Duration,
    pub destination: String,
    pub bytes: Vec<u8>,
}

impl Sent {
    pub fn packet(&self) -> Packet {
        packet::parse(&self.bytes).unwrap()
    }
    pub fn header(&self) -> Header {
        self.packet().header
    }
    pub fn payload(&self) -> &[u8] {
        self.packet().payload(&self.bytes)
    }
}

/// Collects everything; the tap takes `room` more messages.
pub struct Collected {
    pub sent: Vec<Sent>,
    pub taps: Vec<Tap>,
    pub room: usize,
    /// To whom each RTP port is connected.
    pub connected: BTreeMap<u16, SocketAddr>,
    pub at: Duration,
    /// Destination whose packet makes the step panic.
    pub panic_on: Option<&'static str>,
}

impl Outlet for Collected {
    fn transmit(&mut self, transmit: Transmit<'_>) {
        let destination = transmit.destination.to_string();
        assert_ne!(self.panic_on, Some(destination.as_str()), "a mistake put here by the test");
        let bytes = transmit.bytes.to_vec();
        self.sent.push(Sent { ports: transmit.ports, rtcp: transmit.rtcp, at: self.at, destination, bytes });
    }
    fn connect(&mut self, ports: PortPair, peer: Option<SocketAddr>) {
        match peer {
            Some(peer) => self.connected.insert(ports.rtp_port, peer),
            None => self.connected.remove(&ports.rtp_port),
        };
    }
    fn tap(&mut self, tap: Tap) -> Option<Tap> {
        if self.room == 0 {
            return Some(tap);
        }
        self.room -= 1;
        self.taps.push(tap);
        None
    }
}

pub struct Bench {
    pub engine: Engine,
    pub out: Collected,
    pub now: Instant,
    pub zero: Instant,
    pub events: Vec<MediaEvent>,
    pub plan: MediaPlan,
}

#[expect(clippy::disallowed_methods, reason = "any instant will do as the test's zero")]
pub fn zero() -> Instant {
    Instant::now()
}

impl Bench {
    /// Two G.711 legs that hear each other, on ports 20000 and 20002.
    pub fn two_phones() -> Self {
        let zero = zero();
        let engine = Engine::new(EngineConfig { thread: 0, seed: [42; 32], silence_limit: SILENCE_LIMIT, clips: clips() });
        let out = Collected {
            sent: Vec::new(),
            taps: Vec::new(),
            room: usize::MAX,
            connected: BTreeMap::new(),
            at: Duration::ZERO,
            panic_on: None,
        };
        let (caller, agent) = (leg_id(1), leg_id(2));
        let plan = MediaPlan {
            call: call_id(1),
            generation: 0,
            axis_start: zero,
            axis_start_wall: START_WALL,
            legs: vec![leg_plan(1, CALLER, 20_000), leg_plan(2, AGENT, 20_002)],
            sources: Vec::new(),
            hears: vec![Hears::leg(caller, agent), Hears::leg(agent, caller)],
        };
        let mut bench = Self { engine, out, now: zero, zero, events: Vec::new(), plan };
        bench.replan(|_| {});
        bench
    }

    /// Changes the plan and hands it over as the next generation.
    pub fn replan(&mut self, change: impl FnOnce(&mut MediaPlan)) {
        change(&mut self.plan);
        self.plan.generation += 1;
        let plan = self.plan.clone();
        self.command(MediaCommand::Plan(plan));
    }

    pub fn command(&mut self, command: MediaCommand) {
        self.out.at = self.now - self.zero;
        self.engine.handle_command(self.now, command, &mut self.out);
        self.collect();
    }

    pub fn close(&mut self) -> Vec<LegTotals> {
        self.command(MediaCommand::Close { call: self.plan.call });
        match self.events.iter().rev().find_map(|event| match &event.kind {
            MediaEventKind::Closed { legs } => Some(legs.clone()),
            _ => None,
        }) {
            Some(legs) => legs,
            None => panic!("no Closed event"),
        }
    }

    pub fn hear(&mut self, rtp_port: u16, from: &str, datagram: &[u8]) {
        self.hear_on(rtp_port, false, from, datagram);
    }

    pub fn hear_on(&mut self, rtp_port: u16, is_rtcp: bool, from: &str, datagram: &[u8]) {
        let mut buffer = datagram.to_vec();
        self.out.at = self.now - self.zero;
        self.engine.handle_packet(self.now, ports(rtp_port), is_rtcp, from.parse().unwrap(), &mut buffer, &mut self.out);
        self.collect();
    }

    /// Moves the clock, firing every timer at its own time.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.engine.next_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.out.at = self.now - self.zero;
            self.engine.handle_timeout(self.now, &mut self.out);
            self.collect();
        }
        self.now = until;
    }

    fn collect(&mut self) {
        while let Some(event) = self.engine.poll_event() {
            self.events.push(event);
        }
    }

    pub fn frames(&self, leg: u8) -> Vec<TapFrame> {
        let of_leg = |tap: &Tap| match tap {
            Tap::Frame(frame) if frame.leg == leg_id(leg) => Some(*frame),
            _ => None,
        };
        self.out.taps.iter().filter_map(of_leg).collect()
    }

    /// RTP sent to `destination`, in order of sending.
    pub fn sent_to(&self, destination: &str) -> Vec<&Sent> {
        self.out.sent.iter().filter(|sent| !sent.rtcp && sent.destination == destination).collect()
    }

    /// What somebody at `destination` hears: payloads placed by timestamp, from the first on.
    pub fn heard_at(&self, destination: &str, codec: Codec) -> Vec<i16> {
        let sent: Vec<_> = self.sent_to(destination).into_iter().filter(|sent| sent.header().payload_type != 101).collect();
        let Some(first) = sent.first().map(|sent| sent.header().timestamp) else { return Vec::new() };
        let mut samples = Vec::new();
        for sent in sent {
            let at = sent.header().timestamp.wrapping_sub(first) as usize;
            let payload = sent.payload();
            samples.resize(samples.len().max(at + payload.len()), 0);
            for (place, octet) in samples[at..].iter_mut().zip(payload) {
                *place = decode(codec, *octet);
            }
        }
        samples
    }
}

pub fn decode(codec: Codec, octet: u8) -> i16 {
    match codec {
        Codec::Pcmu => g711::ulaw_to_linear(octet),
        Codec::Pcma => g711::alaw_to_linear(octet),
    }
}

/// Asserts that exactly these of the four test tones are in `samples`.
pub fn assert_tones(samples: &[i16], wanted: &[f64]) {
    assert!(samples.len() >= 1600, "only {} samples", samples.len());
    for hz in CALLER_TONE.into_iter().chain(AGENT_TONE) {
        let amplitude = amplitude_of(samples, hz, 8000);
        let there = amplitude > 2000.0;
        assert_eq!(there, wanted.contains(&hz), "{hz} Hz has amplitude {amplitude}");
    }
}

/// A phone that plays a dual tone.
pub struct Phone {
    pub address: String,
    pub rtp_port: u16,
    pub codec: Codec,
    pub header: Header,
    pub frame: usize,
    tone: DualTone,
}

impl Phone {
    pub fn new(address: &str, rtp_port: u16, tone: [f64; 2]) -> Self {
        let header = Header { marker: true, payload_type: 0, sequence: 100, timestamp: 5000, ssrc: u32::from(rtp_port) };
        let tone = DualTone::new(tone[0], tone[1], 6000, 8000);
        Self { address: address.to_owned(), rtp_port, codec: Codec::Pcmu, header, frame: 160, tone }
    }

    pub fn caller() -> Self {
        Self::new(CALLER, 20_000, CALLER_TONE)
    }

    pub fn agent() -> Self {
        Self::new(AGENT, 20_002, AGENT_TONE)
    }

    /// The next packet of speech.
    pub fn packet(&mut self) -> Vec<u8> {
        let octets: Vec<u8> = (0..self.frame)
            .map(|_| {
                let sample = self.tone.next_sample();
                match self.codec {
                    Codec::Pcmu => g711::linear_to_ulaw(sample),
                    Codec::Pcma => g711::linear_to_alaw(sample),
                }
            })
            .collect();
        let datagram = datagram(self.header, &octets);
        self.header.marker = false;
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(self.frame as u32);
        datagram
    }

    pub fn speak(&mut self, bench: &mut Bench) {
        let packet = self.packet();
        bench.hear(self.rtp_port, &self.address, &packet);
    }
}

pub fn datagram(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0; HEADER_LEN];
    packet::encode_header(&mut datagram, header);
    datagram.extend_from_slice(payload);
    datagram
}

/// Both phones speak for so many frames.
pub fn talk(bench: &mut Bench, caller: &mut Phone, agent: &mut Phone, frames: usize) {
    for _ in 0..frames {
        caller.speak(bench);
        agent.speak(bench);
        bench.pass(FRAME);
    }
}

/// The kinds of a leg's tap messages, frames counted: `open 12 pause 3 close`.
pub fn tap_story(taps: &[Tap], leg: u8) -> String {
    let id = leg_id(leg);
    let mut story: VecDeque<String> = VecDeque::new();
    let mut frames = 0;
    for tap in taps {
        let word = match tap {
            Tap::Frame(frame) if frame.leg == id => {
                frames += 1;
                continue;
            }
            Tap::Open(open) if open.leg == id => "open",
            Tap::Pause { leg, .. } if *leg == id => "pause",
            Tap::Resume { leg, .. } if *leg == id => "resume",
            Tap::Close { leg, .. } if *leg == id => "close",
            Tap::Open(_) | Tap::Frame(_) | Tap::Pause { .. } | Tap::Resume { .. } | Tap::Close { .. } => continue,
        };
        if frames > 0 {
            story.push_back(std::mem::take(&mut frames).to_string());
        }
        story.push_back(word.to_owned());
    }
    if frames > 0 {
        story.push_back(frames.to_string());
    }
    Vec::from(story).join(" ")
}
