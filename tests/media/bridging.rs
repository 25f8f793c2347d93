//! What cannot be relayed: the other law, longer packets, several sources.

use std::time::Duration;

use throughline::{
    domain::media::plan::{Codec, Hears},
    protocol::rtp::{packet::Header, telephone_event::TelephoneEvent},
};

use super::bench::*;

fn a_law_agent() -> (Bench, Phone, Phone) {
    let mut bench = Bench::two_phones();
    bench.replan(|plan| speak_codec(&mut plan.legs[1], Codec::Pcma));
    let mut agent = Phone::agent();
    (agent.codec, agent.header.payload_type) = (Codec::Pcma, 8);
    (bench, Phone::caller(), agent)
}

#[test]
fn one_law_becomes_the_other_in_both_directions() {
    let (mut bench, mut caller, mut agent) = a_law_agent();
    talk(&mut bench, &mut caller, &mut agent, 100);
    bench.pass(Duration::from_millis(100));
    assert_tones(&bench.heard_at(AGENT, Codec::Pcma), &CALLER_TONE);
    assert_tones(&bench.heard_at(CALLER, Codec::Pcmu), &AGENT_TONE);
    let headers: Vec<_> = bench.sent_to(AGENT).iter().map(|sent| sent.header()).collect();
    assert!(headers.iter().all(|header| header.payload_type == 8));
    for pair in headers.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(160));
    }
}

#[test]
fn silence_is_not_sent_and_speech_after_it_is_where_it_belongs() {
    let (mut bench, mut caller, mut agent) = a_law_agent();
    talk(&mut bench, &mut caller, &mut agent, 50);
    bench.pass(Duration::from_secs(1));
    caller.header.timestamp = caller.header.timestamp.wrapping_add(8000);
    caller.header.marker = true;
    talk(&mut bench, &mut caller, &mut agent, 50);
    bench.pass(Duration::from_millis(100));
    let sent = bench.sent_to(AGENT);
    assert!((100..=102).contains(&sent.len()), "{}", sent.len());
    assert_eq!(sent.iter().filter(|sent| sent.header().marker).count(), 2, "once for each talkspurt");
    let samples = bench.heard_at(AGENT, Codec::Pcma);
    assert_tones(&samples[..7800], &CALLER_TONE);
    assert_tones(&samples[8200..15_800], &[]);
    assert_tones(&samples[16_200..], &CALLER_TONE);
}

#[test]
fn jitter_and_reordering_are_evened_out() {
    let (mut bench, mut caller, _) = a_law_agent();
    let packets: Vec<_> = (0..100).map(|_| caller.packet()).collect();
    for pair in packets.chunks(2) {
        bench.hear(20_000, CALLER, &pair[1]);
        bench.pass(Duration::from_millis(5));
        bench.hear(20_000, CALLER, &pair[0]);
        bench.pass(Duration::from_millis(35));
    }
    assert_tones(&bench.heard_at(AGENT, Codec::Pcma)[..15_000], &CALLER_TONE);
}

#[test]
fn packets_longer_than_the_listener_accepts_are_cut_to_twenty_milliseconds() {
    let mut bench = Bench::two_phones();
    bench.replan(|plan| plan.legs[1].max_ptime_ms = 30);
    let mut caller = Phone::caller();
    for _ in 0..20 {
        caller.speak(&mut bench);
        bench.pass(FRAME);
    }
    caller.frame = 480;
    for _ in 0..30 {
        caller.speak(&mut bench);
        bench.pass(Duration::from_millis(60));
    }
    bench.pass(Duration::from_millis(100));
    let sent = bench.sent_to(AGENT);
    assert!(sent.iter().all(|sent| sent.payload().len() <= 160));
    for pair in sent.windows(2) {
        assert_eq!(pair[1].header().sequence, pair[0].header().sequence.wrapping_add(1));
        assert_eq!(pair[1].header().ssrc, pair[0].header().ssrc);
    }
    assert_tones(&bench.heard_at(AGENT, Codec::Pcmu)[4000..], &CALLER_TONE);
}

#[test]
fn a_key_press_crosses_the_bridge_with_one_timestamp_and_three_ends() {
    let (mut bench, mut caller, mut agent) = a_law_agent();
    talk(&mut bench, &mut caller, &mut agent, 10);
    let start = caller.header;
    for (n, (end, duration)) in (0..).zip([(false, 160), (false, 320), (true, 480), (true, 480), (true, 480)]) {
        let event = TelephoneEvent { event: 9, end, volume: 10, duration };
        let header = Header { payload_type: 101, marker: n == 0, sequence: start.sequence + n, ..start };
        bench.hear(20_000, CALLER, &datagram(header, &event.to_bytes()));
        bench.pass(FRAME);
    }
    let events: Vec<_> = bench.sent_to(AGENT).into_iter().filter(|sent| sent.header().payload_type == 101).collect();
    assert_eq!(events.len(), 5);
    assert!(events.iter().all(|sent| sent.header().timestamp == events[0].header().timestamp));
    assert_eq!(events.iter().filter(|sent| sent.header().marker).count(), 1);
    assert_eq!(events.iter().filter(|sent| TelephoneEvent::parse(sent.payload()).unwrap().end).count(), 3);
}

#[test]
fn who_hears_two_others_hears_both_and_not_itself() {
    let mut bench = Bench::two_phones();
    bench.replan(|plan| {
        plan.legs.push(leg_plan(3, STRANGER, 20_004));
        plan.hears.push(Hears::leg(leg_id(3), leg_id(1)));
        plan.hears.push(Hears::leg(leg_id(3), leg_id(2)));
    });
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    talk(&mut bench, &mut caller, &mut agent, 100);
    let all = [CALLER_TONE, AGENT_TONE].concat();
    assert_tones(&bench.heard_at(STRANGER, Codec::Pcmu), &all);
    assert_tones(&bench.heard_at(AGENT, Codec::Pcmu), &CALLER_TONE);
    assert_tones(&bench.heard_at(CALLER, Codec::Pcmu), &AGENT_TONE);
}

#[test]
fn a_call_moves_from_relay_to_bridge_and_back_in_one_stream() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    talk(&mut bench, &mut caller, &mut agent, 50);
    bench.replan(|plan| {
        plan.legs.push(leg_plan(3, STRANGER, 20_004));
        plan.hears.push(Hears::leg(leg_id(2), leg_id(3)));
    });
    talk(&mut bench, &mut caller, &mut agent, 50);
    bench.replan(|plan| {
        plan.legs.pop();
        plan.hears.pop();
    });
    talk(&mut bench, &mut caller, &mut agent, 50);
    let headers: Vec<_> = bench.sent_to(AGENT).iter().map(|sent| sent.header()).collect();
    for pair in headers.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!((1..=800).contains(&step), "{step}");
    }
    let heard = bench.heard_at(AGENT, Codec::Pcmu);
    for third in [&heard[..7500], &heard[8800..15_500], &heard[16_800..]] {
        assert_tones(third, &CALLER_TONE);
    }
}
