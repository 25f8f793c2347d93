//! Plans, reports, silence, the end of a call and the rest of its ports.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use proptest::prelude::*;
use throughline::{
    domain::media::{
        counters::DropReason,
        plan::{Hears, MediaCommand, MediaEventKind, RecordingPlan},
    },
    protocol::rtp::{
        packet::Header,
        rtcp::{COMPOUND_MAX, Compound, SenderInfo, parse_compound, write_compound},
    },
};

use super::bench::*;

fn kinds(bench: &Bench) -> Vec<MediaEventKind> {
    bench.events.iter().map(|event| event.kind.clone()).collect()
}

#[test]
fn control_hears_once_that_a_source_is_locked() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    talk(&mut bench, &mut caller, &mut agent, 50);
    let locked = |leg, source: &str| MediaEventKind::SourceLocked { leg: leg_id(leg), source: source.parse().unwrap() };
    assert_eq!(kinds(&bench), [locked(1, CALLER), locked(2, AGENT)]);
    assert!(bench.events.iter().all(|event| event.call == call_id(1) && event.generation == 1));
}

#[test]
fn an_older_plan_is_ignored_and_an_equal_one_changes_nothing() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    let first = bench.plan.clone();
    bench.replan(|plan| plan.hears.clear());
    bench.command(MediaCommand::Plan(first));
    talk(&mut bench, &mut caller, &mut agent, 10);
    assert!(bench.sent_to(AGENT).is_empty() && bench.sent_to(CALLER).is_empty());
    assert_eq!(bench.engine.counters().stale_plans, 1);
}

#[test]
fn each_leg_reports_for_itself_about_every_five_seconds_and_no_report_crosses() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    for n in 0..3000 {
        if n % 10 == 3 {
            caller.packet();
        } else {
            caller.speak(&mut bench);
        }
        agent.speak(&mut bench);
        bench.pass(FRAME);
    }
    let foreign = SenderInfo { ntp: 0x1234_5678_9abc_def0, rtp_timestamp: 1, packets: 2, octets: 3 };
    let mut bytes = [0; COMPOUND_MAX];
    let len = write_compound(&mut bytes, Compound { ssrc: 20_000, sender: Some(foreign), report: None, cname: b"phone", bye: false });
    bench.hear_on(20_000, true, "192.0.2.1:40001", &bytes[..len]);
    let before = bench.out.sent.len();
    bench.pass(Duration::from_secs(1));
    bench.close();
    assert!(bench.out.sent[before..].iter().all(|sent| sent.rtcp), "nothing of it was forwarded as media");
    let to_caller: Vec<_> = bench.out.sent.iter().filter(|sent| sent.rtcp && sent.destination == "192.0.2.1:40001").collect();
    assert!((9..=22).contains(&to_caller.len()), "{} reports in a minute", to_caller.len());
    let ours = bench.sent_to(CALLER)[0].header().ssrc;
    let reports: Vec<_> = to_caller.iter().map(|sent| parse_compound(&sent.bytes, 20_000).unwrap()).collect();
    assert!(reports.iter().all(|report| report.ssrc == ours && report.sender.is_some() && report.report.is_some()));
    let last = reports.last().unwrap();
    assert!(last.bye && reports.iter().filter(|report| report.bye).count() == 1);
    let block = last.report.unwrap();
    assert_eq!((block.cumulative_lost, block.last_sr), (300, 0x5678_9abc));
    assert!((65_000..=66_100).contains(&block.delay_since_last_sr), "{}", block.delay_since_last_sr);
    assert_eq!(last.sender.unwrap().packets, 3000);
}

#[test]
fn reports_from_elsewhere_are_refused_and_teach_no_address() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    let mut bytes = [0; COMPOUND_MAX];
    let len = write_compound(&mut bytes, Compound { ssrc: 1, sender: None, report: None, cname: b"x", bye: true });
    for _ in 0..10 {
        bench.hear_on(20_000, true, STRANGER, &bytes[..len]);
        bench.hear_on(20_000, true, "192.0.2.1:40001", &bytes[..len - 1]);
    }
    talk(&mut bench, &mut caller, &mut agent, 10);
    assert_eq!(bench.engine.counters().dropped_for(DropReason::RtcpWrongSource), 10);
    assert_eq!(bench.engine.counters().dropped_for(DropReason::RtcpMalformed), 10);
    assert!(bench.out.sent.iter().all(|sent| sent.destination != STRANGER));
}

#[test]
fn reports_to_a_phone_behind_nat_go_where_its_media_and_reports_come_from() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    caller.address = "198.51.100.7:61000".to_owned();
    let reports_to = |bench: &Bench| {
        let mut to: Vec<String> = bench.out.sent.iter().filter(|sent| sent.rtcp).map(|sent| sent.destination.to_string()).collect();
        to.retain(|to| *to != "192.0.2.2:50001");
        to.dedup();
        to
    };
    talk(&mut bench, &mut caller, &mut agent, 600);
    assert_eq!(reports_to(&bench), ["198.51.100.7:61001"], "not to the address in its SDP, which leads nowhere");
    let mut bytes = [0; COMPOUND_MAX];
    let len = write_compound(&mut bytes, Compound { ssrc: 1, sender: None, report: None, cname: b"x", bye: false });
    bench.hear_on(20_000, true, "198.51.100.7:61777", &bytes[..len]);
    bench.hear_on(20_000, true, STRANGER, &bytes[..len]);
    talk(&mut bench, &mut caller, &mut agent, 600);
    assert_eq!(reports_to(&bench), ["198.51.100.7:61001", "198.51.100.7:61777"], "its NAT gave its reports a port of their own");
}

fn silences(bench: &Bench, leg: u8) -> Vec<u32> {
    let of_leg = |kind: MediaEventKind| match kind {
        MediaEventKind::Silent { leg: silent, silent_ms } if silent == leg_id(leg) => Some(silent_ms),
        _ => None,
    };
    kinds(bench).into_iter().filter_map(of_leg).collect()
}

#[test]
fn silence_is_told_where_we_expect_to_receive_and_nowhere_else() {
    let mut bench = Bench::two_phones();
    bench.replan(|plan| plan.legs[1].receive = false);
    bench.pass(Duration::from_secs(61));
    assert_eq!((silences(&bench, 1), silences(&bench, 2)), (vec![30_000, 60_000], vec![]));
    bench.replan(|plan| plan.legs[1].receive = true);
    bench.pass(Duration::from_secs(29));
    assert_eq!(silences(&bench, 2), Vec::<u32>::new(), "the time before does not count");
    bench.pass(Duration::from_secs(2));
    assert_eq!(silences(&bench, 2), [30_000]);
}

#[test]
fn reports_of_the_peer_keep_silence_from_being_told() {
    let mut bench = Bench::two_phones();
    let mut bytes = [0; COMPOUND_MAX];
    let len = write_compound(&mut bytes, Compound { ssrc: 1, sender: None, report: None, cname: b"x", bye: false });
    for _ in 0..10 {
        bench.pass(Duration::from_secs(10));
        bench.hear_on(20_000, true, "192.0.2.1:40001", &bytes[..len]);
    }
    assert_eq!((silences(&bench, 1).len(), silences(&bench, 2).len()), (0, 3));
}

#[test]
fn totals_count_what_passed_and_what_was_missing() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    talk(&mut bench, &mut caller, &mut agent, 10);
    caller.packet();
    bench.hear(20_000, STRANGER, &caller.packet());
    talk(&mut bench, &mut caller, &mut agent, 10);
    bench.hear(20_000, CALLER, b"noise");
    let totals = bench.close();
    assert_eq!(totals.iter().map(|leg| leg.leg).collect::<Vec<_>>(), [Some(leg_id(1)), Some(leg_id(2))]);
    assert_eq!((totals[0].received, totals[0].sent, totals[0].lost, totals[0].dropped), (20, 20, 2, 2));
    assert_eq!((totals[1].received, totals[1].sent, totals[1].lost, totals[1].dropped), (20, 20, 0, 0));
}

#[test]
fn a_leg_that_a_newer_plan_leaves_out_is_counted_at_the_close() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    talk(&mut bench, &mut caller, &mut agent, 5);
    bench.replan(|plan| {
        plan.legs[1] = leg_plan(3, "192.0.2.3:1000", 20_004);
        plan.hears = vec![Hears::leg(leg_id(3), leg_id(1))];
    });
    talk(&mut bench, &mut caller, &mut agent, 5);
    assert_eq!((bench.sent_to(AGENT).len(), bench.sent_to("192.0.2.3:1000").len()), (5, 5));
    let totals = bench.close();
    let legs: Vec<_> = totals.iter().map(|leg| (leg.leg.unwrap(), leg.received)).collect();
    assert_eq!(legs, [(leg_id(2), 5), (leg_id(1), 10), (leg_id(3), 0)]);
}

fn rested(bench: &Bench) -> Vec<u16> {
    let port = |kind| match kind {
        MediaEventKind::PortsRested { ports } => Some(ports.rtp_port),
        _ => None,
    };
    kinds(bench).into_iter().filter_map(port).collect()
}

#[test]
fn ports_rest_two_seconds_after_the_last_packet_and_thirty_at_most() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    talk(&mut bench, &mut caller, &mut agent, 10);
    bench.close();
    bench.pass(Duration::from_millis(1999));
    assert!(rested(&bench).is_empty());
    caller.speak(&mut bench);
    bench.pass(Duration::from_millis(1));
    assert_eq!(rested(&bench), [20_002]);
    for _ in 0..2000 {
        caller.speak(&mut bench);
        bench.pass(FRAME);
    }
    assert_eq!(rested(&bench), [20_002, 20_000]);
    let at = bench.engine.counters().dropped_for(DropReason::RestingPort);
    assert!((1390..=1402).contains(&at), "{at} packets of 20 ms in 28 s");
    assert!(bench.engine.counters().dropped_for(DropReason::UnusedPort) > 0);
}

#[test]
fn a_late_sender_of_the_old_call_is_not_heard_in_the_next_one() {
    let mut bench = Bench::two_phones();
    let (mut late, mut agent) = (Phone::caller(), Phone::agent());
    talk(&mut bench, &mut late, &mut agent, 10);
    bench.close();
    bench.pass(Duration::from_secs(2));
    bench.out.sent.clear();
    bench.replan(|plan| {
        plan.call = call_id(2);
        plan.legs = vec![leg_plan(3, "192.0.2.3:1000", 20_000), leg_plan(4, AGENT, 20_002)];
        plan.legs[0].recording = RecordingPlan::On(recording_id(3));
        plan.hears = vec![Hears::leg(leg_id(4), leg_id(3))];
    });
    let mut new = Phone::new("192.0.2.3:1000", 20_000, CALLER_TONE);
    for _ in 0..50 {
        new.speak(&mut bench);
        late.speak(&mut bench);
        bench.pass(FRAME);
    }
    assert_eq!((bench.frames(3).len(), bench.sent_to(AGENT).len()), (50, 50));
    assert_eq!(bench.engine.counters().dropped_for(DropReason::WrongSource), 50);
}

#[test]
fn closing_a_call_that_is_not_there_is_answered() {
    let mut bench = Bench::two_phones();
    bench.close();
    assert!(bench.close().is_empty());
}

#[test]
fn ports_of_another_leg_or_thread_are_refused_and_control_is_told() {
    let mut bench = Bench::two_phones();
    bench.replan(|plan| {
        plan.legs.push(leg_plan(3, STRANGER, 20_000));
        plan.legs.push(leg_plan(4, STRANGER, 20_004));
        plan.legs[3].ports.thread = 1;
    });
    assert_eq!(kinds(&bench), [MediaEventKind::Failed { leg: leg_id(3) }, MediaEventKind::Failed { leg: leg_id(4) }]);
    assert_eq!(bench.engine.counters().refused_legs, 2);
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    talk(&mut bench, &mut caller, &mut agent, 5);
    assert_eq!((bench.sent_to(AGENT).len(), bench.sent_to(CALLER).len()), (5, 5), "the others are untouched");
}

#[test]
fn a_panic_ends_the_media_of_one_leg_and_leaves_other_calls_alone() {
    let mut bench = Bench::two_phones();
    bench.replan(|plan| plan.legs[0].recording = RecordingPlan::On(recording_id(1)));
    let mut other = bench.plan.clone();
    (other.call, other.generation) = (call_id(2), 1);
    other.legs = vec![leg_plan(3, "192.0.2.3:1000", 20_004), leg_plan(4, "192.0.2.4:1000", 20_006)];
    other.hears = vec![Hears::leg(leg_id(4), leg_id(3))];
    bench.command(MediaCommand::Plan(other));
    let mut caller = Phone::caller();
    caller.speak(&mut bench);
    bench.out.panic_on = Some(AGENT);
    let caught = catch_unwind(AssertUnwindSafe(|| caller.speak(&mut bench)));
    assert!(caught.is_err());
    assert_eq!(bench.engine.fail_stepping(bench.now), Some(leg_id(1)));
    bench.out.panic_on = None;
    caller.speak(&mut bench);
    Phone::new("192.0.2.3:1000", 20_004, CALLER_TONE).speak(&mut bench);
    bench.pass(Duration::from_secs(40));
    assert_eq!(bench.sent_to("192.0.2.4:1000").len(), 1);
    assert_eq!(bench.sent_to(AGENT).len(), 1);
    assert!(kinds(&bench).contains(&MediaEventKind::Failed { leg: leg_id(1) }));
    assert_eq!(tap_story(&bench.out.taps, 1), "open 2 close");
    assert_eq!(bench.close().len(), 2);
    assert_eq!(tap_story(&bench.out.taps, 1), "open 2 close", "closed once");
}

#[test]
fn a_panic_while_a_call_is_taken_down_frees_its_legs_and_ports() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    bench.replan(|plan| plan.legs[0].recording = RecordingPlan::On(recording_id(1)));
    talk(&mut bench, &mut caller, &mut agent, 10);
    bench.out.panic_on = Some("192.0.2.2:50001");
    let caught = catch_unwind(AssertUnwindSafe(|| bench.command(MediaCommand::Close { call: call_id(1) })));
    assert!(caught.is_err());
    bench.engine.abandon(bench.now, call_id(1));
    bench.out.panic_on = None;
    bench.pass(Duration::from_secs(40));
    assert!(kinds(&bench).contains(&MediaEventKind::Failed { leg: leg_id(2) }));
    assert_eq!(rested(&bench), [20_000, 20_002]);
    assert_eq!((tap_story(&bench.out.taps, 1).as_str(), bench.engine.next_timeout()), ("open 10 close", None));
}

#[derive(Clone, Debug)]
enum Deed {
    Hear { port: u8, rtcp: bool, from: u8, bytes: Vec<u8> },
    Speak { port: u8, from: u8, payload_type: u8, sequence: u16, timestamp: u32, len: usize },
    Plan { hears: u8, receive: bool, recording: u8, moved: bool },
    Close,
    Pass(u16),
    Room(u8),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (0u8..4, any::<bool>(), 0u8..4, proptest::collection::vec(any::<u8>(), 0..80))
            .prop_map(|(port, rtcp, from, bytes)| Deed::Hear { port, rtcp, from, bytes }),
        8 => (0u8..4, 0u8..4, prop_oneof![Just(0u8), Just(8), Just(13), Just(101)], any::<u16>(), any::<u32>(), 0usize..700)
            .prop_map(|(port, from, payload_type, sequence, timestamp, len)| Deed::Speak {
                port, from, payload_type, sequence: sequence % 64, timestamp, len
            }),
        2 => (0u8..16, any::<bool>(), 0u8..3, any::<bool>())
            .prop_map(|(hears, receive, recording, moved)| Deed::Plan { hears, receive, recording, moved }),
        1 => Just(Deed::Close),
        2 => any::<u16>().prop_map(Deed::Pass),
        1 => any::<u8>().prop_map(Deed::Room),
    ]
}

fn commit(bench: &mut Bench, deed: Deed) {
    let from = |from: u8| format!("192.0.2.{}:40000", from % 4);
    let port = |port: u8| 20_000 + 2 * u16::from(port);
    match deed {
        Deed::Hear { port: at, rtcp, from: who, bytes } => bench.hear_on(port(at), rtcp, &from(who), &bytes),
        Deed::Speak { port: at, from: who, payload_type, sequence, timestamp, len } => {
            let header = Header { marker: false, payload_type, sequence, timestamp, ssrc: u32::from(who) };
            bench.hear(port(at), &from(who), &datagram(header, &vec![0x55; len]));
        }
        Deed::Plan { hears, receive, recording, moved } => bench.replan(|plan| {
            let (a, b) = (leg_id(1), leg_id(2));
            plan.hears = vec![Hears::leg(a, b), Hears::leg(b, a)];
            plan.hears.truncate(usize::from(hears % 3));
            plan.legs[0].receive = receive;
            plan.legs[1].max_ptime_ms = 20 * u16::from(hears);
            plan.legs[0].recording = match recording {
                0 => RecordingPlan::Off,
                1 => RecordingPlan::On(recording_id(1)),
                _ => RecordingPlan::Paused(recording_id(1)),
            };
            plan.legs[0].remote = Some(remote(if moved { "192.0.2.3:40000" } else { CALLER }, u32::from(hears)));
        }),
        Deed::Close => {
            bench.close();
        }
        Deed::Pass(ms) => bench.pass(Duration::from_millis(u64::from(ms) / 16)),
        Deed::Room(room) => bench.out.room = usize::from(room),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_comes_nothing_panics_and_every_track_is_opened_and_closed_once(deeds in proptest::collection::vec(deed(), 0..150)) {
        let mut bench = Bench::two_phones();
        for deed in deeds {
            commit(&mut bench, deed);
        }
        bench.out.room = usize::MAX;
        bench.close();
        bench.pass(Duration::from_secs(40));
        prop_assert_eq!(bench.engine.next_timeout(), None, "nothing is left to do");
        let story = tap_story(&bench.out.taps, 1);
        let opened = story.matches("open").count();
        prop_assert_eq!(opened, story.matches("close").count(), "{}", story);
        prop_assert!(!story.contains("open open") && !story.contains("pause pause") && !story.contains("close close"), "{}", story);
        prop_assert!(bench.out.sent.iter().all(|sent| sent.destination.starts_with("192.0.2.")));
    }
}
