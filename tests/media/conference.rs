//! Three and more who hear each other: nobody hears himself, who only listens shares one encode, four are heard at once.

use std::time::Duration;

use throughline::{
    domain::media::plan::{Codec, Hears},
    protocol::audio::tone::amplitude_of,
};

use super::bench::*;

/// Tones of nine members, none near another or its harmonics.
const TONES: [f64; 9] = [310.0, 430.0, 560.0, 700.0, 870.0, 1090.0, 1370.0, 1730.0, 2210.0];

struct Conference {
    bench: Bench,
    phones: Vec<Phone>,
}

fn address(n: usize) -> String {
    format!("192.0.2.{}:4000", 10 + n)
}

fn conference(members: usize) -> Conference {
    let mut bench = Bench::two_phones();
    let ids: Vec<u8> = (1..=members as u8).collect();
    bench.replan(|plan| {
        plan.legs = ids.iter().map(|n| leg_plan(*n, &address(usize::from(*n) - 1), 20_100 + 2 * u16::from(*n))).collect();
        let all = |listener: &u8| ids.iter().map(|n| (*listener, *n)).collect::<Vec<_>>();
        plan.hears = ids.iter().flat_map(all).map(|(a, b)| Hears::leg(leg_id(a), leg_id(b))).collect();
    });
    let phones = (0..members).map(|n| Phone::new(&address(n), 20_102 + 2 * n as u16, [TONES[n], TONES[n]]));
    Conference { phones: phones.collect(), bench }
}

impl Conference {
    fn speak(&mut self, who: &[usize], frames: usize) {
        for _ in 0..frames {
            for n in who {
                self.phones[*n].speak(&mut self.bench);
            }
            for n in 0..self.phones.len() {
                if !who.contains(&n) {
                    let header = &mut self.phones[n].header;
                    header.timestamp = header.timestamp.wrapping_add(160);
                }
            }
            self.bench.pass(FRAME);
        }
    }

    /// Whose tones a member has heard in the last `samples`.
    fn heard(&self, listener: usize, samples: usize) -> Vec<usize> {
        let all = played(&self.bench, &address(listener), Codec::Pcmu);
        let last = &all[all.len().saturating_sub(samples)..];
        (0..self.phones.len()).filter(|n| amplitude_of(last, TONES[*n], 8000) > 1500.0).collect()
    }
}

#[test]
fn three_hear_each_other_and_nobody_himself() {
    let mut room = conference(3);
    room.speak(&[0, 1, 2], 100);
    for n in 0..3 {
        let others: Vec<usize> = (0..3).filter(|other| *other != n).collect();
        assert_eq!(room.heard(n, 8000), others, "member {n}");
        assert_one_stream(&room.bench, &address(n));
        assert_eq!(longest_gap(&room.bench, &address(n)), FRAME);
    }
}

#[test]
fn of_six_who_speak_at_once_four_are_heard_and_a_louder_one_takes_a_place_without_a_click() {
    let mut room = conference(9);
    room.speak(&[0, 1, 2, 3, 4, 5], 100);
    let heard = room.heard(8, 8000);
    assert_eq!(heard.len(), 4, "{heard:?}");
    room.speak(&[6], 50);
    assert_eq!(room.heard(8, 4000), [6]);
    let step = greatest_step(&played(&room.bench, &address(8), Codec::Pcmu));
    assert!(step < 33_000, "four tones of 12,000 saturate; {step}");
}

#[test]
fn listeners_share_one_encode() {
    let mut room = conference(9);
    room.speak(&[0], 20);
    let before = room.bench.engine.counters().encoded;
    let sent = room.bench.sent_to(&address(8)).len();
    room.speak(&[0], 100);
    assert_eq!(room.bench.engine.counters().encoded - before, 100, "one for each frame, whoever listens");
    assert_eq!(room.bench.sent_to(&address(8)).len() - sent, 100);
    let before = room.bench.engine.counters().encoded;
    room.speak(&[0, 1], 100);
    let encoded = room.bench.engine.counters().encoded - before;
    assert!((290..=310).contains(&encoded), "the two speakers have a mix of their own: {encoded}");
}

#[test]
fn a_conference_that_shrinks_to_two_is_relayed_again() {
    let mut room = conference(3);
    room.speak(&[0, 1, 2], 50);
    room.bench.replan(|plan| {
        plan.legs.pop();
        plan.hears = vec![Hears::leg(leg_id(1), leg_id(2)), Hears::leg(leg_id(2), leg_id(1))];
    });
    room.phones.pop();
    let before = room.bench.engine.counters().encoded;
    room.speak(&[0, 1], 50);
    assert_eq!(room.bench.engine.counters().encoded, before);
    assert_eq!((room.heard(0, 4000), room.heard(1, 4000)), (vec![1], vec![0]));
    assert!(longest_gap(&room.bench, &address(0)) <= 2 * FRAME);
    room.bench.close();
    room.bench.pass(Duration::from_secs(40));
    assert_eq!(room.bench.engine.next_timeout(), None);
}
