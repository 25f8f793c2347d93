//! Real sockets on the loopback address, waited for with deadlines.

use std::{
    cell::RefCell,
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::*;
use crate::{
    domain::media::engine::{Outlet, Transmit},
    domain::media::plan::{Codec, Hears, LegPlan, MediaEventKind, MediaPlan, PayloadFormat, RecordingPlan, RemoteMedia},
    domain::media::tap::{Tap, TapFrame},
    ids::{InteractionId, LegId, Party, RecordingId},
    protocol::rtp::packet::{self, HEADER_LEN, Header, encode_header},
    service::taps::{self, TapReceiver, TapSender},
    time::UnixMs,
};

mod on_the_wire;

const DEADLINE: Duration = Duration::from_secs(30);
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct House {
    threads: MediaThreads,
    events: Receiver<MediaEvent>,
    taps: Tapped,
}

/// What the threads have tapped, a tap at a time.
struct Tapped(TapReceiver, RefCell<VecDeque<Tap>>);

impl Tapped {
    fn channel() -> (TapSender, Self) {
        let (sender, receiver) = taps::channel(1000);
        (sender, Self(receiver, RefCell::default()))
    }

    /// The next one; `None` when none will come any more.
    fn next(&self) -> Option<Tap> {
        let mut room = TapFrame::empty(LegId::new(UnixMs(1), [0; 10]));
        while self.1.borrow().is_empty() {
            let mut bundle = match self.0.recv_timeout(DEADLINE) {
                Ok(bundle) => bundle,
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("a tap before the deadline"),
            };
            bundle.empty(&mut room, |tapped| {
                self.1.borrow_mut().push_back(match tapped {
                    taps::Tapped::Frame(frame) => Tap::Frame(*frame),
                    taps::Tapped::Other(tap) => tap,
                });
            });
            self.0.give_back(bundle);
        }
        self.1.borrow_mut().pop_front()
    }

    fn iter(&self) -> impl Iterator<Item = Tap> {
        std::iter::from_fn(|| self.next())
    }
}

fn start(ports: RangeInclusive<u16>, threads: u16) -> House {
    let (tap_in, taps) = Tapped::channel();
    let (event_in, events) = bounded(1000);
    let config = MediaThreadsConfig { threads, raise_priority: false, ..MediaThreadsConfig::new(LOCALHOST, ports) };
    let threads = MediaThreads::start(config, tap_in, move |event| {
        let _ = event_in.try_send(event);
    });
    House { threads: threads.expect("the ports are free"), events, taps }
}

fn phone() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

fn leg(n: u8, ports: PortPair, phone: &UdpSocket) -> LegPlan {
    let rtp = phone.local_addr().unwrap();
    let rtcp = SocketAddr::new(rtp.ip(), 9);
    LegPlan {
        leg: LegId::new(UnixMs(1), [n; 10]),
        party: Party::Agent,
        ports,
        remote: Some(RemoteMedia { rtp, rtcp, epoch: 1 }),
        accepts: PayloadFormat::set(&[(0, Codec::Pcmu)], None, None),
        codec: Codec::Pcmu,
        payload_type: 0,
        telephone_event: None,
        comfort_noise: None,
        ptime_ms: 20,
        max_ptime_ms: 20,
        send: true,
        receive: true,
        recording: RecordingPlan::On(RecordingId::new(UnixMs(1), [n; 10])),
        moving: false,
    }
}

#[expect(clippy::disallowed_methods, reason = "the call's zero is this thread's clock")]
fn plan(n: u8, legs: [LegPlan; 2]) -> MediaPlan {
    let hears = vec![Hears::leg(legs[0].leg, legs[1].leg), Hears::leg(legs[1].leg, legs[0].leg)];
    MediaPlan {
        call: InteractionId::new(UnixMs(1), [n; 10]),
        generation: 1,
        axis_start: Instant::now(),
        axis_start_wall: UnixMs(1),
        legs: legs.into(),
        sources: Vec::new(),
        hears,
    }
}

fn speak(from: &UdpSocket, to: PortPair, sequence: u16, octet: u8) {
    let mut datagram = [octet; HEADER_LEN + 160];
    let header = Header { marker: false, payload_type: 0, sequence, timestamp: u32::from(sequence) * 160, ssrc: 7 };
    encode_header(&mut datagram, header);
    from.send_to(&datagram, (Ipv4Addr::LOCALHOST, to.rtp_port)).unwrap();
}

/// The first octet of the next packet's payload, and the port it came from.
fn hear(at: &UdpSocket) -> (u8, u16) {
    let mut buffer = [0; 2048];
    let (len, from) = at.recv_from(&mut buffer).expect("a packet before the deadline");
    let packet = packet::parse(&buffer[..len]).unwrap();
    (packet.payload(&buffer)[0], from.port())
}

fn wait_for(events: &Receiver<MediaEvent>, wanted: impl Fn(&MediaEventKind) -> bool) -> MediaEventKind {
    loop {
        let event = events.recv_timeout(DEADLINE).expect("an event before the deadline");
        if wanted(&event.kind) {
            return event.kind;
        }
    }
}

/// Waits until the worker has read the plan: a packet sent earlier would find its port unused.
fn settle(house: &House) {
    let opened = house.taps.next();
    assert!(matches!(opened, Some(Tap::Open(_))), "{opened:?}");
}

#[test]
fn two_phones_hear_each_other_through_real_sockets_and_are_recorded() {
    let house = start(21_000..=21_015, 2);
    let ports = house.threads.ports();
    assert_eq!(ports.len(), 8);
    let same: Vec<PortPair> = ports.iter().copied().filter(|pair| pair.thread == 1).take(2).collect();
    let (caller, agent) = (phone(), phone());
    let plan = plan(1, [leg(1, same[0], &caller), leg(2, same[1], &agent)]);
    let call = plan.call;
    house.threads.send(1, MediaCommand::Plan(plan)).unwrap();
    settle(&house);
    for n in 0..50 {
        speak(&caller, same[0], n, 0x11);
        assert_eq!(hear(&agent), (0x11, same[1].rtp_port));
        speak(&agent, same[1], n, 0x22);
        assert_eq!(hear(&caller), (0x22, same[0].rtp_port));
    }
    wait_for(&house.events, |kind| matches!(kind, MediaEventKind::SourceLocked { .. }));
    house.threads.send(1, MediaCommand::Close { call }).unwrap();
    let MediaEventKind::Closed { legs } = wait_for(&house.events, |kind| matches!(kind, MediaEventKind::Closed { .. })) else { return };
    assert_eq!(legs.iter().map(|leg| (leg.received, leg.sent)).collect::<Vec<_>>(), [(50, 50), (50, 50)]);
    house.threads.shutdown();
    let taps: Vec<Tap> = house.taps.iter().collect();
    let count = |wanted: fn(&Tap) -> bool| taps.iter().filter(|tap| wanted(tap)).count();
    assert_eq!(count(|tap| matches!(tap, Tap::Frame(_))), 100);
    assert_eq!(count(|tap| matches!(tap, Tap::Close { dropped: 0, .. })), 2);
}

#[test]
fn a_leg_moves_between_threads_in_mid_speech_and_no_packet_is_lost_or_comes_twice() {
    let house = start(21_070..=21_085, 2);
    let ports = house.threads.ports();
    let on = |thread: u16, n: usize| ports.iter().copied().filter(|pair| pair.thread == thread).nth(n).unwrap();
    let (caller, agent) = (phone(), phone());
    let mut plan = plan(1, [leg(1, on(0, 0), &caller), leg(2, on(0, 1), &agent)]);
    let call = plan.call;
    house.threads.send(0, MediaCommand::Plan(plan.clone())).unwrap();
    settle(&house);
    let mut heard: Vec<(u16, u32)> = Vec::new();
    let mut hear = |at: &UdpSocket| {
        let mut buffer = [0; 2048];
        let Ok((len, _)) = at.recv_from(&mut buffer) else { return false };
        let header = packet::parse(&buffer[..len]).unwrap().header;
        heard.push((header.sequence, header.ssrc));
        true
    };
    for round in 0..4u16 {
        for n in 0..25 {
            speak(&caller, on(0, 0), 25 * round + n, 0x33);
            if n == 12 {
                let (from, to) = (round % 2, (round + 1) % 2);
                plan.generation += 1;
                plan.legs.iter_mut().for_each(|leg| (leg.ports.thread, leg.moving) = (to, true));
                let legs = plan.legs.iter().map(|leg| leg.leg).collect();
                house.threads.send(to, MediaCommand::Plan(plan.clone())).unwrap();
                house.threads.send(from, MediaCommand::Evict { call, legs, into: call, to }).unwrap();
                house.threads.send(from, MediaCommand::Close { call }).unwrap();
            }
        }
        for _ in 0..25 {
            assert!(hear(&agent), "a packet is missing in round {round}: {:?}", house.threads.counters());
        }
    }
    for _ in 0..4 {
        // Closed where they were, the legs are on their way: a thread that has stopped takes none.
        wait_for(&house.events, |kind| matches!(kind, MediaEventKind::Closed { .. }));
    }
    for pair in heard.windows(2) {
        assert_eq!(pair[1], (pair[0].0.wrapping_add(1), pair[0].1), "one stream, number by number");
    }
    house.threads.shutdown();
    let taps: Vec<Tap> = house.taps.iter().filter(|tap| tap.leg() == plan.legs[0].leg).collect();
    let frames: Vec<u64> = taps.iter().filter_map(|tap| if let Tap::Frame(frame) = tap { Some(frame.ext_seq) } else { None }).collect();
    assert_eq!(frames.len(), 100);
    assert!(frames.windows(2).all(|pair| pair[1] == pair[0] + 1), "the track goes on in order");
    assert_eq!(taps.iter().filter(|tap| matches!(tap, Tap::Close { .. })).count(), 1);
}

#[test]
fn a_newer_plan_replaces_one_that_has_not_been_read_and_none_is_ever_refused() {
    let house = start(21_090..=21_093, 1);
    let ports = house.threads.ports();
    let (caller, agent) = (phone(), phone());
    let mut plan = plan(1, [leg(1, ports[0], &caller), leg(2, ports[1], &agent)]);
    for generation in 1..=10_000 {
        plan.generation = generation;
        house.threads.send(0, MediaCommand::Plan(plan.clone())).unwrap();
    }
    settle(&house);
    speak(&caller, ports[0], 1, 0x44);
    assert_eq!(hear(&agent).0, 0x44);
    house.threads.send(0, MediaCommand::Close { call: plan.call }).unwrap();
    let closed = loop {
        let event = house.events.recv_timeout(DEADLINE).expect("closed before the deadline");
        if matches!(event.kind, MediaEventKind::Closed { .. }) {
            break event;
        }
    };
    assert_eq!(closed.generation, 10_000, "the newest was in force");
}

#[test]
fn shutting_down_closes_the_tracks_of_running_calls() {
    let house = start(21_020..=21_027, 1);
    let ports = house.threads.ports();
    let (caller, agent) = (phone(), phone());
    house.threads.send(0, MediaCommand::Plan(plan(1, [leg(1, ports[0], &caller), leg(2, ports[1], &agent)]))).unwrap();
    settle(&house);
    assert_eq!(
        house.threads.send(7, MediaCommand::Close { call: InteractionId::new(UnixMs(1), [9; 10]) }),
        Err(MediaSendError::NoSuchThread(7))
    );
    house.threads.shutdown();
    assert_eq!(house.taps.iter().filter(|tap| matches!(tap, Tap::Close { .. })).count(), 2);
    wait_for(&house.events, |kind| matches!(kind, MediaEventKind::Closed { .. }));
}

#[test]
fn a_burst_larger_than_the_budget_is_read_to_the_end() {
    let house = start(21_030..=21_037, 1);
    let ports = house.threads.ports();
    let (caller, agent) = (phone(), phone());
    house.threads.send(0, MediaCommand::Plan(plan(1, [leg(1, ports[0], &caller), leg(2, ports[1], &agent)]))).unwrap();
    settle(&house);
    for n in 0..100 {
        speak(&caller, ports[0], n, 0x33);
    }
    for _ in 0..100 {
        assert_eq!(hear(&agent).0, 0x33);
    }
}

#[test]
fn ports_that_another_program_holds_are_left_out_and_none_left_is_an_error() {
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 21_041)).unwrap();
    let house = start(21_040..=21_043, 1);
    assert_eq!(house.threads.ports(), [PortPair { thread: 0, rtp_port: 21_042 }]);
    let again = MediaThreads::start(MediaThreadsConfig::new(LOCALHOST, 21_040..=21_043), taps::channel(1).0, |_| {});
    let error = again.expect_err("all in use").to_string();
    assert!(error.contains("21040–21043") && error.contains("choose another range"), "{error}");
    drop(taken);
}

#[test]
fn a_range_without_a_pair_and_a_foreign_address_say_what_to_do() {
    let start = |bind: &str, ports| {
        let config = MediaThreadsConfig::new(bind.parse().unwrap(), ports);
        MediaThreads::start(config, taps::channel(1).0, |_| {}).expect_err("refused").to_string()
    };
    assert!(start("127.0.0.1", 21_051..=21_052).contains("hold no pair"));
    assert!(start("192.0.2.77", 21_050..=21_053).contains("an address of this machine"));
}

/// An outlet with a mistake in it.
struct Mistaken;

impl Outlet for Mistaken {
    fn transmit(&mut self, _: Transmit<'_>) {
        panic!("a mistake put here by the test");
    }
    fn tap(&mut self, _: Tap) -> Option<Tap> {
        None
    }
}

#[test]
fn a_panic_in_a_step_is_caught_told_and_ends_one_leg() {
    let config = MediaThreadsConfig::new(LOCALHOST, 21_060..=21_063);
    let pairs = pool::bind(&config).unwrap().remove(0);
    let (ports, (tap_in, _taps), (event_in, events)) = ([pairs[0].ports, pairs[1].ports], taps::channel(100), bounded(100));
    let on_event: worker::OnEvent = Arc::new(move |event| event_in.send(event).unwrap());
    let links =
        worker::Links { commands: bounded(1).1, taps: tap_in, on_event, published: Arc::new(Published::new()), peers: Peers::default() };
    let engine = EngineConfig { thread: 0, seed: [0; 32], silence_limit: SILENCE_LIMIT, clips: ClipStore::default() };
    let (mut worker, _waker) = worker::Worker::new(engine, 21_060..=21_063, pairs, links).unwrap();
    let (caller, agent) = (phone(), phone());
    let plan = plan(1, [leg(1, ports[0], &caller), leg(2, ports[1], &agent)]);
    let (now, failed) = (plan.axis_start, plan.legs[0].leg);
    worker.command(now, MediaCommand::Plan(plan));
    let mut datagram = [0; HEADER_LEN + 160];
    encode_header(&mut datagram, Header { marker: false, payload_type: 0, sequence: 1, timestamp: 1, ssrc: 1 });
    let source = caller.local_addr().unwrap();
    worker.step(now, |engine, now, _| engine.handle_packet(now, ports[0], false, source, &mut datagram, &mut Mistaken));
    worker.tell_control();
    assert_eq!(events.try_recv().map(|event| event.kind), Ok(MediaEventKind::Failed { leg: failed }));
    worker.step(now, |engine, now, wire| engine.handle_packet(now, ports[0], false, source, &mut datagram, wire));
    assert_eq!(worker.counters().panics, 1);
}
