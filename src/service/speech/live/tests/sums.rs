//! Where a leg's samples went is an exact sum at every moment, whatever the network and the channel do.

use proptest::prelude::*;

use super::*;
use crate::{
    domain::{
        insight::utterance::{DOUBTS_MAX, LegCoverage},
        media::{
            tap::{TAP_PAYLOAD_MAX, TapFrame},
            time_axis::TimeAxis,
        },
    },
    service::speech::{
        Gap, GapKind, RATE, TrackAudio, front_end,
        tests::{add, carried_call, leg, noise, sines},
    },
};

/// What happens to the next packets of 20 ms.
#[derive(Clone, Debug)]
enum Step {
    Heard(u8),
    Lost(u8),
    /// The peer sends nothing; its timestamps go on.
    Quiet(u8),
    Paused(u8),
    /// Another SSRC, with its own numbers.
    Source,
    /// The channel to the front end is full.
    Dropped(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u8..200).prop_map(Step::Heard),
        1 => (1u8..20).prop_map(Step::Lost),
        1 => (1u8..150).prop_map(Step::Quiet),
        1 => (1u8..150).prop_map(Step::Paused),
        1 => Just(Step::Source),
        1 => (1u8..20).prop_map(Step::Dropped),
    ]
}

struct Network {
    axis: TimeAxis,
    ear: LegEar,
    speech: Vec<i16>,
    /// Packets sent, heard or not.
    n: u64,
    source: u32,
    /// Sequence number less `n`: silence suppression sends none.
    seq: u64,
    dropped: bool,
    /// Samples that the axis made and that did not reach the ear, until the next piece shows the hole.
    utterances: Vec<std::ops::Range<usize>>,
}

impl Network {
    fn packet(&mut self, arrives: bool) {
        let mut payload = [0; TAP_PAYLOAD_MAX];
        let at = (self.n as usize * PACKET) % (self.speech.len() - PACKET);
        for (octet, sample) in payload.iter_mut().zip(&self.speech[at..at + PACKET]) {
            *octet = g711::linear_to_alaw(*sample);
        }
        self.n += 1;
        self.seq += 1;
        let now_us = self.n * 20_000;
        if arrives {
            let frame = TapFrame {
                leg: leg(1),
                source: self.source,
                arrival_us: now_us,
                ext_seq: u64::from(self.source) * 1_000_000 + self.seq,
                ext_ts: u64::from(self.source) * 50_000_000 + self.n * 160,
                codec: Codec::Pcma,
                len: PACKET as u16,
                payload,
            };
            self.axis.push(&frame);
        }
        self.axis.poll(now_us);
        self.hand_over();
        self.ear.poll(now_us);
    }

    fn hand_over(&mut self) {
        while let Some(chunk) = self.axis.next_chunk() {
            if !self.dropped {
                self.ear.push(&chunk);
            }
        }
        while let Some(event) = self.ear.next_event() {
            if let EarEvent::Utterance(piece) = event {
                self.utterances.push(piece.range);
            }
        }
        let LegCoverage { received, voiced, unvoiced, lost, paused, transcribed, rejected, pending, failed, doubtful, .. } =
            self.ear.coverage().clone();
        assert_eq!(received, voiced + unvoiced + lost + paused);
        assert_eq!(voiced, transcribed + rejected + pending + failed);
        assert!(doubtful <= unvoiced);
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Heard(n) => (0..*n).for_each(|_| self.packet(true)),
            Step::Lost(n) => (0..*n).for_each(|_| self.packet(false)),
            Step::Quiet(n) => (0..*n).for_each(|_| {
                self.packet(false);
                self.seq -= 1;
            }),
            Step::Paused(n) => {
                self.axis.pause(self.n * 20_000);
                (0..*n).for_each(|_| self.packet(true));
                self.axis.resume(self.n * 20_000);
            }
            Step::Source => {
                self.source += 1;
                self.packet(true);
            }
            Step::Dropped(n) => {
                self.dropped = true;
                (0..*n).for_each(|_| self.packet(true));
                self.dropped = false;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_sample_of_a_leg_is_accounted_for_once_while_it_is_live(steps in proptest::collection::vec(step(), 1..24)) {
        let speech = carried_call().remove(0).samples;
        let ear = LegEar::new(&head(leg(1), Party::Customer));
        let mut net = Network { axis: TimeAxis::new(0), ear, speech, n: 0, source: 1, seq: 0, dropped: false, utterances: vec![] };
        steps.iter().for_each(|step| net.take(step));
        let end_us = net.n * 20_000;
        net.axis.close(end_us);
        net.hand_over();
        net.ear.close(net.axis.end_us());
        net.hand_over();
        let (sum, totals) = (net.ear.coverage().clone(), net.axis.totals());
        prop_assert_eq!(sum.received * 125, net.axis.end_us());
        prop_assert!(net.utterances.windows(2).all(|w| w[0].end <= w[1].start), "{:?}", net.utterances);
        if !steps.iter().any(|step| matches!(step, Step::Dropped(_))) {
            prop_assert_eq!((sum.lost, sum.paused), (totals.lost, totals.paused));
            prop_assert_eq!(sum.voiced + sum.unvoiced, totals.audio + totals.silence);
        } else {
            prop_assert!(sum.lost + sum.paused >= totals.lost.min(sum.lost) && sum.lost >= totals.lost.min(sum.lost));
        }
    }
}

/// Sounds of `ms` each at these places (milliseconds) on an idle line, as loud as a voice; some lie beside a spoken sample.
fn blips(places_ms: &[usize], ms: usize, speech: Option<&[i16]>) -> Vec<i16> {
    let n = 12 * RATE;
    let idle = noise(n, 8, 3);
    let on = |i: usize| places_ms.iter().any(|at| (at * 8..(at + ms) * 8).contains(&i));
    let tones = sines(n, |i| if on(i) { vec![(310.0, 0.08), (740.0, 0.05), (1_730.0, 0.03)] } else { vec![] });
    let mut samples = add(&idle, &tones);
    if let Some(speech) = speech {
        speech.iter().zip(&mut samples).for_each(|(voice, sample)| *sample = sample.saturating_add(*voice));
    }
    samples
}

#[test]
fn sound_too_short_for_an_utterance_is_doubtful_live_and_after_the_call_and_the_sum_stays_exact() {
    let speech = carried_call().remove(0).samples;
    let speech = &speech[..5 * RATE];
    // 70 ms are seen as 80 or 90: a frame's level is the mean of three.
    for (name, samples, least, most) in [
        ("idle line", blips(&[], 0, None), 0, 0),
        ("a click", blips(&[6_000], 10, None), 0, 0),
        ("one", blips(&[6_000], 70, None), 70, 100),
        ("three", blips(&[2_000, 6_000, 9_500], 70, None), 210, 300),
        ("two after speech", blips(&[7_000, 9_500], 70, Some(speech)), 140, 200),
        ("long enough for an utterance", blips(&[6_000], 300, None), 0, 0),
    ] {
        let mut ear = LegEar::new(&head(leg(1), Party::Customer));
        packets(&samples).iter().for_each(|chunk| ear.push(chunk));
        ear.close(samples.len() as u64 * 125);
        let live = ear.coverage().clone();
        let track = TrackAudio { leg: leg(1), party: Party::Customer, start_ms: 0, samples, gaps: Vec::new() };
        let after = front_end::listen(&track).coverage;
        for (when, sum) in [("live", live), ("after the call", after)] {
            println!("{name}, {when}: {sum:?}");
            assert!((least * 8..=most * 8).contains(&sum.doubtful), "{name}, {when}: {} ms doubtful", sum.doubtful / 8);
            assert_eq!(sum.received, sum.voiced + sum.unvoiced + sum.lost + sum.paused, "{name}, {when}");
            assert!(sum.doubtful <= sum.unvoiced);
            assert!(sum.doubts.iter().map(|at| u64::from(at.to_ms - at.from_ms) * 8).sum::<u64>() >= sum.doubtful, "{name}, {when}");
        }
    }
}

#[test]
fn doubtful_sound_that_was_filled_in_was_never_received_and_does_not_count() {
    let track = TrackAudio {
        leg: leg(1),
        party: Party::Customer,
        start_ms: 0,
        samples: blips(&[2_000, 6_000], 70, None),
        gaps: vec![Gap { samples: 5_900 * 8..6_200 * 8, kind: GapKind::Lost }],
    };
    let sum = front_end::listen(&track).coverage;
    assert!((70 * 8..=100 * 8).contains(&sum.doubtful), "the first only: {} ms", sum.doubtful / 8);
    assert_eq!(sum.lost, 300 * 8);
}

#[test]
fn where_doubtful_sound_lies_is_told_alike_live_and_after_the_call_and_only_so_many_places_are_kept() {
    let places: Vec<usize> = (0..DOUBTS_MAX + 5).map(|n| 3_000 + n * 1_000).collect();
    let seconds = places.len() + 6;
    let tone = |i: usize| places.iter().any(|at| (at * 8..(at + 70) * 8).contains(&i));
    let tones = sines(seconds * RATE, |i| if tone(i) { vec![(310.0, 0.08), (740.0, 0.05), (1_730.0, 0.03)] } else { vec![] });
    let samples = add(&noise(seconds * RATE, 8, 3), &tones);
    let start_ms = 700;
    let mut ear = LegEar::new(&TapOpen { axis_us: u64::from(start_ms) * 1_000, ..head(leg(1), Party::Customer) });
    for mut chunk in packets(&samples) {
        chunk.axis_start_us += u64::from(start_ms) * 1_000;
        ear.push(&chunk);
    }
    ear.close((u64::from(start_ms) + seconds as u64 * 1_000) * 1_000);
    let track = TrackAudio { leg: leg(1), party: Party::Customer, start_ms, samples, gaps: Vec::new() };
    for (when, sum) in [("live", ear.coverage().clone()), ("after the call", front_end::listen(&track).coverage)] {
        assert_eq!((sum.doubts.len(), sum.more_doubts), (DOUBTS_MAX, 5), "{when}");
        for (at, place) in sum.doubts.iter().zip(&places) {
            let (from, to) = (start_ms + *place as u32, start_ms + *place as u32 + 70);
            // With the pre-roll of an utterance, so that a player shows how it began.
            assert!(
                (from - 270..=from - 230).contains(&at.from_ms) && (to..=to + 30).contains(&at.to_ms),
                "{when}: {at:?} for {from}..{to}"
            );
        }
    }
}
