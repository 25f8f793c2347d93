//! What one phone sends and the other gets.

use std::time::Duration;

use proptest::prelude::*;
use throughline::{
    domain::media::{counters::DropReason, plan::Codec},
    protocol::rtp::{
        COMFORT_NOISE,
        packet::Header,
        telephone_event::{KeyDetector, TelephoneEvent},
    },
};

use super::bench::*;

#[test]
fn each_phone_hears_the_other_and_nobody_else() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    talk(&mut bench, &mut caller, &mut agent, 100);
    assert_tones(&bench.heard_at(AGENT, Codec::Pcmu), &CALLER_TONE);
    assert_tones(&bench.heard_at(CALLER, Codec::Pcmu), &AGENT_TONE);
    assert_eq!((bench.sent_to(AGENT).len(), bench.sent_to(CALLER).len()), (100, 100));
    assert!(bench.sent_to(AGENT).iter().all(|sent| sent.ports == ports(20_002)), "sent from the listener's own socket");
}

#[test]
fn both_phones_may_use_the_same_ssrc_and_each_hears_a_stream_of_ours() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    (caller.header.ssrc, agent.header.ssrc) = (7, 7);
    talk(&mut bench, &mut caller, &mut agent, 20);
    let ssrcs = |to| {
        let mut ssrcs: Vec<u32> = bench.sent_to(to).iter().map(|sent| sent.header().ssrc).collect();
        ssrcs.dedup();
        ssrcs
    };
    let (to_agent, to_caller) = (ssrcs(AGENT), ssrcs(CALLER));
    assert_eq!((to_agent.len(), to_caller.len()), (1, 1));
    assert!(to_agent != to_caller && to_agent != [7] && to_caller != [7]);
}

/// Sends packets in the given order of numbers and returns the numbers in which they left, relative to the first.
fn relay_in_order(order: &[u16]) -> Vec<i32> {
    let mut bench = Bench::two_phones();
    let mut caller = Phone::caller();
    let packets: Vec<_> = (0..=order.iter().copied().max().unwrap_or(0)).map(|_| caller.packet()).collect();
    for &n in order {
        bench.hear(20_000, CALLER, &packets[usize::from(n)]);
        bench.pass(FRAME);
    }
    let sent = bench.sent_to(AGENT);
    let first = sent[0].header();
    sent.iter()
        .map(|sent| {
            let header = sent.header();
            let steps = i32::from(header.sequence.wrapping_sub(first.sequence) as i16);
            assert_eq!(header.timestamp.wrapping_sub(first.timestamp) as i32, steps * 160, "timestamps keep step");
            steps
        })
        .collect()
}

#[test]
fn loss_and_reordering_survive_the_relay_as_they_came() {
    assert_eq!(relay_in_order(&[0, 1, 2, 5, 4, 6, 9]), [0, 1, 2, 5, 4, 6, 9]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn five_percent_loss_with_swaps_is_relayed_exactly(faults in proptest::collection::vec(0u8..100, 200)) {
        let mut order: Vec<u16> = vec![0];
        order.extend((1..=200u16).zip(&faults).filter(|(_, fault)| **fault >= 5).map(|(n, _)| n));
        for (place, fault) in faults.iter().enumerate() {
            if *fault >= 95 && place > 0 && place + 1 < order.len() {
                order.swap(place, place + 1);
            }
        }
        let expected: Vec<i32> = order.iter().map(|n| i32::from(*n)).collect();
        prop_assert_eq!(relay_in_order(&order), expected);
    }
}

#[test]
fn a_phone_that_changes_its_ssrc_is_heard_on_without_a_gap_in_numbers() {
    let mut bench = Bench::two_phones();
    let mut caller = Phone::caller();
    for n in 0..120 {
        if n == 60 {
            caller.header = Header { ssrc: 0xabcd, sequence: 40_000, timestamp: 123, ..caller.header };
        }
        caller.speak(&mut bench);
        bench.pass(FRAME);
    }
    let headers: Vec<_> = bench.sent_to(AGENT).iter().map(|sent| sent.header()).collect();
    assert_eq!(headers.len(), 120, "the new source proves itself with its second packet, and its first is used then");
    for pair in headers.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert_eq!(pair[1].ssrc, pair[0].ssrc);
    }
    assert!(headers[60].marker && headers[60].timestamp.wrapping_sub(headers[59].timestamp) == 160, "each where it came");
    assert_eq!(bench.engine.counters().new_sources, 1);
}

#[test]
fn a_held_phone_is_sent_nothing_and_goes_on_after_the_hold_as_if_time_had_passed() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    talk(&mut bench, &mut caller, &mut agent, 50);
    bench.replan(|plan| plan.legs[0].send = false);
    talk(&mut bench, &mut caller, &mut agent, 50);
    assert_eq!((bench.sent_to(CALLER).len(), bench.sent_to(AGENT).len()), (50, 100));
    bench.replan(|plan| plan.legs[0].send = true);
    talk(&mut bench, &mut caller, &mut agent, 50);
    let headers: Vec<_> = bench.sent_to(CALLER).iter().map(|sent| sent.header()).collect();
    let (before, after) = (headers[49], headers[50]);
    assert_eq!(after.sequence, before.sequence.wrapping_add(1), "nothing looks lost");
    assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 51 * 160);
    assert!(after.marker);
}

#[test]
fn what_a_phone_sends_while_we_do_not_receive_goes_nowhere() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    bench.replan(|plan| plan.legs[0].receive = false);
    talk(&mut bench, &mut caller, &mut agent, 10);
    assert_eq!((bench.sent_to(AGENT).len(), bench.sent_to(CALLER).len()), (0, 10));
    assert_eq!(bench.engine.counters().dropped_for(DropReason::NotReceiving), 10);
}

/// One key press of 100 ms as a phone sends it: growing durations, three ends, one timestamp.
fn key_press(phone: &mut Phone, key: u8) -> Vec<Vec<u8>> {
    let header = Header { payload_type: 101, marker: true, ..phone.header };
    let durations = [(false, 160), (false, 320), (false, 480), (false, 640), (true, 800), (true, 800), (true, 800)];
    let packets = (0..).zip(durations).map(|(n, (end, duration))| {
        let event = TelephoneEvent { event: key, end, volume: 10, duration };
        let sequence = header.sequence.wrapping_add(n);
        datagram(Header { sequence, marker: n == 0, ..header }, &event.to_bytes())
    });
    let packets = packets.collect();
    phone.header.sequence = phone.header.sequence.wrapping_add(7);
    phone.header.timestamp = phone.header.timestamp.wrapping_add(7 * 160);
    packets
}

#[test]
fn a_key_press_keeps_its_start_its_three_ends_and_gets_the_listeners_payload_type() {
    let mut bench = Bench::two_phones();
    bench.replan(|plan| plan.legs[1].telephone_event = Some(96));
    let mut caller = Phone::caller();
    caller.speak(&mut bench);
    for packet in key_press(&mut caller, 5) {
        bench.pass(FRAME);
        bench.hear(20_000, CALLER, &packet);
    }
    bench.pass(FRAME);
    caller.speak(&mut bench);
    let sent = bench.sent_to(AGENT);
    let headers: Vec<_> = sent.iter().map(|sent| sent.header()).collect();
    let events = &headers[1..8];
    assert!(events.iter().all(|header| header.payload_type == 96 && header.timestamp == events[0].timestamp));
    assert_eq!(events.iter().filter(|header| header.marker).count(), 1);
    let ends = sent[1..8].iter().filter(|sent| TelephoneEvent::parse(sent.payload()).unwrap().end).count();
    assert_eq!(ends, 3);
    assert_eq!(headers[8].timestamp.wrapping_sub(headers[0].timestamp), 8 * 160);
    let mut keys = KeyDetector::default();
    let heard: String = sent[1..8].iter().filter_map(|sent| keys.push(sent.header().timestamp, sent.payload())).collect();
    assert_eq!(heard, "5");
}

#[test]
fn a_key_whose_phone_goes_silent_with_it_pressed_is_released_by_time() {
    let mut bench = Bench::two_phones();
    let mut caller = Phone::caller();
    caller.speak(&mut bench);
    let packets = key_press(&mut caller, 5);
    for packet in &packets[..4] {
        bench.pass(FRAME);
        bench.hear(20_000, CALLER, packet);
    }
    bench.pass(Duration::from_millis(400));
    assert_eq!(bench.sent_to(AGENT).len(), 5, "it may still be pressed");
    bench.pass(Duration::from_millis(200));
    let sent = bench.sent_to(AGENT);
    let ends: Vec<_> = sent[5..].iter().map(|sent| (sent.header(), TelephoneEvent::parse(sent.payload()).unwrap())).collect();
    assert_eq!(ends.len(), 3, "released");
    let first = sent[1].header();
    assert!(ends.iter().all(|(header, event)| event.end && event.event == 5 && header.timestamp == first.timestamp));
    assert_eq!(ends[2].0.sequence, first.sequence.wrapping_add(6));
    bench.pass(Duration::from_secs(10));
    assert_eq!(bench.sent_to(AGENT).len(), 8, "once");
    // Its own ends were only late, and it speaks again.
    for packet in &packets[4..] {
        bench.hear(20_000, CALLER, packet);
    }
    caller.speak(&mut bench);
    let sent = bench.sent_to(AGENT);
    assert_eq!((sent.len(), sent[8].header().sequence), (9, first.sequence.wrapping_add(7)));
    let mut keys = KeyDetector::default();
    let heard: String = sent[1..8].iter().filter_map(|sent| keys.push(sent.header().timestamp, sent.payload())).collect();
    assert_eq!(heard, "5");
}

#[test]
fn a_key_press_is_left_out_for_a_phone_that_has_not_negotiated_it_and_leaves_no_gap() {
    let mut bench = Bench::two_phones();
    bench.replan(|plan| plan.legs[1].telephone_event = None);
    let mut caller = Phone::caller();
    caller.speak(&mut bench);
    for packet in key_press(&mut caller, 5) {
        bench.hear(20_000, CALLER, &packet);
        bench.pass(FRAME);
    }
    caller.speak(&mut bench);
    let headers: Vec<_> = bench.sent_to(AGENT).iter().map(|sent| sent.header()).collect();
    assert_eq!(headers.len(), 2);
    assert_eq!(headers[1].sequence, headers[0].sequence.wrapping_add(1));
    assert_eq!(bench.engine.counters().dropped_for(DropReason::EventNotNegotiated), 7);
}

#[test]
fn comfort_noise_is_a_sign_of_life_and_is_not_passed_on() {
    let mut bench = Bench::two_phones();
    let mut caller = Phone::caller();
    caller.speak(&mut bench);
    let header = Header { payload_type: COMFORT_NOISE, ..caller.header };
    bench.hear(20_000, CALLER, &datagram(header, &[64]));
    assert_eq!(bench.sent_to(AGENT).len(), 1);
    assert_eq!(bench.engine.counters().received, 2);
    assert_eq!(bench.engine.counters().dropped_for(DropReason::ComfortNoise), 1);
}

#[test]
fn comfort_noise_is_passed_on_under_the_number_that_the_listener_takes_it_by() {
    let mut bench = Bench::two_phones();
    bench.replan(|plan| plan.legs[1].comfort_noise = Some(97));
    let mut caller = Phone::caller();
    caller.speak(&mut bench);
    let header = Header { payload_type: COMFORT_NOISE, ..caller.header };
    bench.hear(20_000, CALLER, &datagram(header, &[64]));
    let sent = bench.sent_to(AGENT);
    assert_eq!((sent.len(), sent[1].header().payload_type, sent[1].payload()), (2, 97, &[64][..]));
    assert_eq!(sent[1].header().sequence, sent[0].header().sequence.wrapping_add(1));
}

#[test]
fn packets_of_ten_to_sixty_milliseconds_are_relayed_as_they_are() {
    for ms in [10, 20, 30, 40, 60] {
        let mut bench = Bench::two_phones();
        let mut caller = Phone::caller();
        caller.frame = ms * 8;
        for _ in 0..60 {
            caller.speak(&mut bench);
            bench.pass(Duration::from_millis(ms as u64));
        }
        assert_eq!(bench.sent_to(AGENT).len(), 60);
        assert!(bench.sent_to(AGENT).iter().all(|sent| sent.payload().len() == ms * 8));
        assert_tones(&bench.heard_at(AGENT, Codec::Pcmu), &CALLER_TONE);
    }
}

#[test]
fn a_sprayer_gets_nothing_and_its_packets_go_nowhere() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    talk(&mut bench, &mut caller, &mut agent, 10);
    let mut sprayer = Phone::new(STRANGER, 20_000, [1477.0, 852.0]);
    for _ in 0..200 {
        sprayer.speak(&mut bench);
        talk(&mut bench, &mut caller, &mut agent, 1);
    }
    assert!(bench.sent_to(STRANGER).is_empty());
    assert_eq!(bench.sent_to(AGENT).len(), 210);
    assert_tones(&bench.heard_at(AGENT, Codec::Pcmu), &CALLER_TONE);
    assert_eq!(bench.engine.counters().dropped_for(DropReason::WrongSource), 200);
}

#[test]
fn a_phone_behind_nat_is_answered_where_it_sends_from_after_five_packets() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    caller.address = "198.51.100.7:61000".to_owned();
    talk(&mut bench, &mut caller, &mut agent, 20);
    assert_eq!(bench.sent_to(CALLER).len(), 4, "to the signalled address until then");
    assert_eq!(bench.sent_to("198.51.100.7:61000").len(), 16);
}

#[test]
fn a_listener_whose_address_is_not_known_yet_is_sent_nothing() {
    let mut bench = Bench::two_phones();
    bench.replan(|plan| plan.legs[1].remote = None);
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    talk(&mut bench, &mut caller, &mut agent, 10);
    assert!(bench.out.sent.iter().all(|sent| sent.rtcp));
    assert_eq!(bench.engine.counters().dropped_for(DropReason::BeforeAnswer), 10);
    bench.replan(|plan| plan.legs[1].remote = Some(remote(AGENT, 1)));
    talk(&mut bench, &mut caller, &mut agent, 10);
    assert_eq!((bench.sent_to(AGENT).len(), bench.sent_to(CALLER).len()), (10, 15), "the last five before the answer are used");
    assert_eq!(bench.engine.counters().dropped_for(DropReason::BeforeAnswer), 5);
}

#[test]
fn the_first_words_of_a_phone_behind_nat_are_heard_once_it_is_known() {
    let mut bench = Bench::two_phones();
    bench.replan(|plan| plan.legs[0].recording = throughline::domain::media::plan::RecordingPlan::On(recording_id(1)));
    let mut caller = Phone::caller();
    caller.address = "198.51.100.7:61000".to_owned();
    let mut sprayer = Phone::new(STRANGER, 20_000, [1477.0, 852.0]);
    for n in 0..20 {
        if n % 2 == 0 {
            sprayer.speak(&mut bench);
            sprayer.header.sequence = sprayer.header.sequence.wrapping_add(7);
        }
        caller.speak(&mut bench);
        bench.pass(FRAME);
    }
    assert_eq!(bench.sent_to(AGENT).len(), 20);
    let frames = bench.frames(1);
    assert_eq!(frames.len(), 20);
    assert!(frames.windows(2).all(|pair| pair[1].arrival_us - pair[0].arrival_us == 20_000), "each where it came");
    assert_eq!(bench.close()[0].dropped, 10, "the sprayer's");
    assert!(bench.sent_to(STRANGER).is_empty());
}

#[test]
fn a_socket_is_connected_while_its_peer_is_certain_and_to_nobody_while_it_is_not() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    talk(&mut bench, &mut caller, &mut agent, 4);
    assert!(bench.out.connected.is_empty(), "not before five packets");
    talk(&mut bench, &mut caller, &mut agent, 4);
    let peer: std::net::SocketAddr = CALLER.parse().unwrap();
    assert_eq!((bench.out.connected.get(&20_000), bench.out.connected.len()), (Some(&peer), 2));
    bench.pass(Duration::from_millis(2100));
    assert!(bench.out.connected.is_empty(), "a silent peer may come from elsewhere");
    talk(&mut bench, &mut caller, &mut agent, 1);
    assert_eq!(bench.out.connected.len(), 2);
    bench.replan(|plan| plan.legs[0].remote = Some(remote("192.0.2.9:4000", 2)));
    assert_eq!(bench.out.connected.keys().copied().collect::<Vec<_>>(), [20_002], "a new description");
    talk(&mut bench, &mut caller, &mut agent, 100);
    bench.close();
    assert!(bench.out.connected.is_empty(), "late senders are to be seen while the ports rest");
}
