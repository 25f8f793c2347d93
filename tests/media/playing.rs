//! Music, announcements, and the ways between player, relay and bridge: one stream, no click, no gap.

use std::time::Duration;

use throughline::domain::media::plan::{Codec, Hears, MediaEventKind, SourceId};

use super::bench::*;

/// The caller hears music, and the agent is not there yet.
fn waiting() -> Bench {
    let mut bench = Bench::two_phones();
    bench.replan(|plan| {
        plan.sources = vec![player(1, MUSIC, true)];
        plan.hears = vec![Hears::player(leg_id(1), SourceId(1))];
    });
    bench
}

fn talking(bench: &mut Bench) {
    bench.replan(|plan| {
        plan.sources.clear();
        plan.hears = vec![Hears::leg(leg_id(1), leg_id(2)), Hears::leg(leg_id(2), leg_id(1))];
    });
}

fn ended(bench: &Bench) -> Vec<u32> {
    let of = |kind: &MediaEventKind| match kind {
        MediaEventKind::SourceEnded { source } => Some(source.0),
        _ => None,
    };
    bench.events.iter().filter_map(|event| of(&event.kind)).collect()
}

#[test]
fn music_without_end_is_sent_every_twenty_milliseconds_without_a_click() {
    let mut bench = waiting();
    bench.pass(Duration::from_secs(10));
    let sent = bench.sent_to(CALLER);
    assert!((499..=501).contains(&sent.len()), "{}", sent.len());
    assert!(sent[0].header().marker && sent[1..].iter().all(|sent| !sent.header().marker));
    assert_eq!(longest_gap(&bench, CALLER), FRAME);
    assert_one_stream(&bench, CALLER);
    let heard = played(&bench, CALLER, Codec::Pcmu);
    for hz in MUSIC_TONE {
        assert!(throughline::protocol::audio::tone::amplitude_of(&heard[8000..16_000], hz, 8000) > 4000.0);
    }
    assert!(greatest_step(&heard) < 8000, "{}", greatest_step(&heard));
    assert!(ended(&bench).is_empty());
}

#[test]
fn an_announcement_is_played_once_and_its_end_is_told() {
    let mut bench = Bench::two_phones();
    bench.replan(|plan| {
        plan.sources = vec![player(7, ANNOUNCEMENT, false)];
        plan.hears = vec![Hears::player(leg_id(1), SourceId(7))];
    });
    bench.pass(Duration::from_millis(479));
    assert!(ended(&bench).is_empty());
    bench.pass(Duration::from_millis(40));
    assert_eq!(ended(&bench), [7]);
    bench.pass(Duration::from_secs(2));
    assert_eq!((ended(&bench), bench.sent_to(CALLER).len()), (vec![7], 25));
    bench.replan(|plan| plan.sources = vec![player(8, throughline::domain::media::clip::ClipId(99), true)]);
    bench.pass(Duration::from_millis(50));
    assert_eq!(ended(&bench), [7, 8], "a clip that does not exist ends at once");
}

#[test]
fn music_goes_on_where_it_was_after_an_announcement() {
    let mut bench = waiting();
    bench.pass(Duration::from_secs(1));
    bench.replan(|plan| {
        plan.sources.push(player(2, ANNOUNCEMENT, false));
        plan.hears = vec![Hears::player(leg_id(1), SourceId(2))];
    });
    bench.pass(Duration::from_millis(500));
    bench.replan(|plan| {
        plan.sources.pop();
        plan.hears = vec![Hears::player(leg_id(1), SourceId(1))];
    });
    bench.pass(Duration::from_secs(1));
    assert_one_stream(&bench, CALLER);
    assert_eq!(longest_gap(&bench, CALLER), FRAME);
    assert!(greatest_step(&played(&bench, CALLER, Codec::Pcmu)) < 8000);
}

#[test]
fn from_music_to_a_person_to_a_conference_and_back_is_one_stream_without_click_or_gap() {
    for phase_ms in [0, 3, 7, 11, 16, 19] {
        let mut bench = waiting();
        let (mut caller, mut agent) = (Phone::caller(), Phone::new(AGENT, 20_002, [350.0, 440.0]));
        let mut third = Phone::new(STRANGER, 20_004, [480.0, 620.0]);
        bench.pass(Duration::from_millis(500 + phase_ms));
        talking(&mut bench);
        talk(&mut bench, &mut caller, &mut agent, 50);
        bench.replan(|plan| {
            plan.legs.push(leg_plan(3, STRANGER, 20_004));
            plan.hears.push(Hears::leg(leg_id(1), leg_id(3)));
        });
        for _ in 0..50 {
            third.speak(&mut bench);
            talk(&mut bench, &mut caller, &mut agent, 1);
        }
        bench.replan(|plan| {
            plan.legs.pop();
            plan.hears.pop();
        });
        talk(&mut bench, &mut caller, &mut agent, 50);
        bench.replan(|plan| {
            plan.sources = vec![player(2, MUSIC, true)];
            plan.hears = vec![Hears::player(leg_id(1), SourceId(2))];
        });
        talk(&mut bench, &mut caller, &mut agent, 50);
        assert_one_stream(&bench, CALLER);
        let gap = longest_gap(&bench, CALLER);
        assert!(gap <= 2 * FRAME, "phase {phase_ms}: {gap:?} without a packet");
        let step = greatest_step(&played(&bench, CALLER, Codec::Pcmu));
        assert!(step < 9_600, "phase {phase_ms}: a click of {step}; the sum of two phones steps 8,900 by itself");
        assert!(bench.sent_to(CALLER).len() >= 220, "{}", bench.sent_to(CALLER).len());
    }
}

#[test]
fn a_phone_gets_packets_as_long_as_it_likes_within_what_it_accepts() {
    for (ptime, most, octets) in
        [(20, 60, 160), (10, 60, 80), (30, 60, 240), (40, 60, 320), (60, 60, 480), (40, 20, 160), (0, 0, 160), (200, 200, 480)]
    {
        let mut bench = waiting();
        bench.replan(|plan| (plan.legs[0].ptime_ms, plan.legs[0].max_ptime_ms) = (ptime, most));
        bench.pass(Duration::from_secs(2));
        let sent = bench.sent_to(CALLER);
        let after = &sent[3..];
        assert!(after.iter().all(|sent| sent.payload().len() == octets), "ptime {ptime}, maxptime {most}");
        assert!(sent.len() * octets > 15_000);
        for pair in after.windows(2) {
            assert_eq!(pair[1].header().timestamp.wrapping_sub(pair[0].header().timestamp), octets as u32);
        }
    }
}

#[test]
fn what_is_played_while_a_call_is_held_reaches_the_held_party_alone() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    talk(&mut bench, &mut caller, &mut agent, 50);
    bench.replan(|plan| {
        plan.sources = vec![player(1, MUSIC, true)];
        plan.hears = vec![Hears::player(leg_id(1), SourceId(1))];
    });
    let before = bench.sent_to(AGENT).len();
    talk(&mut bench, &mut caller, &mut agent, 100);
    assert_eq!(bench.sent_to(AGENT).len(), before);
    let heard = played(&bench, CALLER, Codec::Pcmu);
    assert_tones(&heard[8400..], &[]);
    talking(&mut bench);
    talk(&mut bench, &mut caller, &mut agent, 50);
    let heard = played(&bench, CALLER, Codec::Pcmu);
    assert_tones(&heard[heard.len() - 4000..], &AGENT_TONE);
    assert_one_stream(&bench, CALLER);
}

#[test]
fn an_agent_hears_a_whisper_above_the_caller_who_hears_nothing_of_it() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    bench.replan(|plan| {
        plan.sources = vec![player(1, MUSIC, true)];
        plan.hears.push(Hears::player(leg_id(2), SourceId(1)));
    });
    talk(&mut bench, &mut caller, &mut agent, 100);
    let agent_hears = played(&bench, AGENT, Codec::Pcmu);
    assert_tones(&agent_hears[1600..], &CALLER_TONE);
    assert!(throughline::protocol::audio::tone::amplitude_of(&agent_hears[1600..], MUSIC_TONE[0], 8000) > 2000.0);
    let caller_hears = played(&bench, CALLER, Codec::Pcmu);
    assert!(throughline::protocol::audio::tone::amplitude_of(&caller_hears, MUSIC_TONE[0], 8000) < 300.0);
}
