//! The time axis in simulated calls: an hour with drift, silence suppression and loss; each fault by itself.

use super::*;
use crate::{domain::media::tap::TAP_PAYLOAD_MAX, ids::LegId, time::UnixMs};

const MS: u64 = 1_000;

/// A 20 ms frame that ends at `spoken_ms` and arrives then, with its time in its last eight octets.
fn frame(seq: u64, spoken_ms: u64) -> TapFrame {
    let mut payload = [0x00; TAP_PAYLOAD_MAX];
    payload[152..160].copy_from_slice(&(spoken_ms * MS).to_be_bytes());
    TapFrame {
        leg: LegId::new(UnixMs(0), [0; 10]),
        source: 0,
        arrival_us: spoken_ms * MS,
        ext_seq: seq,
        ext_ts: 10_000 + spoken_ms * 8,
        codec: Codec::Pcmu,
        len: 160,
        payload,
    }
}

fn quiet(mut frame: TapFrame) -> TapFrame {
    frame.payload = [0xFF; TAP_PAYLOAD_MAX];
    frame
}

fn drain(axis: &mut TimeAxis) -> Vec<Chunk> {
    std::iter::from_fn(|| axis.next_chunk()).collect()
}

/// `kind from-to` in milliseconds; neighbours of one kind are joined.
fn picture(chunks: &[Chunk]) -> String {
    let mut joined: Vec<(&str, u64, u64)> = Vec::new();
    for chunk in chunks {
        let name = match chunk.kind {
            ChunkKind::Audio { .. } => "audio",
            ChunkKind::Lost => "lost",
            ChunkKind::Silence => "silence",
            ChunkKind::Paused => "paused",
        };
        let end = chunk.axis_start_us + chunk.duration_us;
        match joined.last_mut() {
            Some((last, _, to)) if *last == name => *to = end,
            _ => joined.push((name, chunk.axis_start_us, end)),
        }
    }
    joined.iter().map(|(name, from, to)| format!("{name} {}-{}", from / MS, to / MS)).collect::<Vec<_>>().join(", ")
}

fn assert_touching(chunks: &[Chunk]) {
    for pair in chunks.windows(2) {
        assert_eq!(pair[0].axis_start_us + pair[0].duration_us, pair[1].axis_start_us);
    }
}

/// Runs frames that end at these milliseconds, numbered from 0, and closes at `close_ms`.
fn run(frames: &[TapFrame], close_ms: u64) -> String {
    let mut axis = TimeAxis::new(0);
    for frame in frames {
        axis.push(frame);
    }
    axis.close(close_ms * MS);
    let chunks = drain(&mut axis);
    assert_touching(&chunks);
    picture(&chunks)
}

/// A packet without sound that arrives then.
fn soundless(seq: u64, at_ms: u64) -> TapFrame {
    TapFrame { len: 0, ..frame(seq, at_ms) }
}

#[test]
fn keys_and_comfort_noise_are_silence_and_no_loss() {
    let frames = [frame(0, 120), soundless(1, 140), soundless(2, 160), frame(3, 180), frame(4, 200)];
    assert_eq!(run(&frames, 200), "silence 0-100, audio 100-120, silence 120-160, audio 160-200");
    let reordered = [frame(0, 120), soundless(2, 140), soundless(1, 160), frame(4, 180), frame(3, 200)];
    let mut axis = TimeAxis::new(0);
    reordered.iter().for_each(|frame| axis.push(frame));
    axis.close(200 * MS);
    assert_eq!((axis.totals().lost, axis.totals().late), (0, 0));
    assert_eq!(
        run(&[frame(0, 120), soundless(2, 160), frame(3, 180)], 180),
        "silence 0-100, audio 100-120, lost 120-140, silence 140-160, audio 160-180",
        "what is missing beside a key is lost"
    );
    assert_eq!(run(&[soundless(0, 100), frame(1, 120)], 120), "silence 0-100, audio 100-120", "a key before the first sound");
}

#[test]
fn packets_in_order_become_one_piece_between_silence() {
    assert_eq!(run(&[frame(0, 120), frame(1, 140), frame(2, 160)], 200), "silence 0-100, audio 100-160, silence 160-200");
}

#[test]
fn a_reordered_packet_is_put_in_its_place_and_a_repeated_one_is_dropped() {
    let mut late = frame(1, 140);
    late.arrival_us = 300 * MS;
    let frames = [frame(0, 120), frame(2, 160), frame(2, 160), late, frame(1, 140), frame(3, 180)];
    assert_eq!(run(&frames, 180), "silence 0-100, audio 100-180");
}

#[test]
fn a_lost_packet_is_marked_after_200_ms() {
    let mut axis = TimeAxis::new(100 * MS);
    axis.push(&frame(0, 120));
    axis.push(&frame(2, 160));
    axis.poll(359 * MS);
    assert_eq!(picture(&drain(&mut axis)), "audio 100-120");
    axis.poll(360 * MS);
    assert_eq!(picture(&drain(&mut axis)), "lost 120-140, audio 140-160");
    axis.push(&frame(1, 140));
    assert_eq!(axis.totals().late, 1);
}

#[test]
fn suppressed_silence_is_silence_and_not_loss() {
    assert_eq!(run(&[frame(0, 120), frame(1, 520)], 520), "silence 0-100, audio 100-120, silence 120-500, audio 500-520");
    assert_eq!(run(&[frame(0, 120), frame(3, 520)], 520), "silence 0-100, audio 100-120, lost 120-160, silence 160-500, audio 500-520");
}

#[test]
fn a_new_source_is_anchored_at_its_arrival() {
    let other = |seq, spoken_ms| TapFrame { source: 1, ext_ts: 77 + spoken_ms * 8, ..frame(seq, spoken_ms) };
    let frames = [frame(0, 120), other(900, 220), frame(1, 140), other(901, 240)];
    assert_eq!(run(&frames, 240), "silence 0-100, audio 100-120, silence 120-200, audio 200-240");
}

#[test]
fn a_jump_of_the_timestamp_moves_the_anchor_and_not_the_audio() {
    let jumped = |seq, spoken_ms| TapFrame { ext_ts: 99_000_000 + spoken_ms * 8, ..frame(seq, spoken_ms) };
    assert_eq!(run(&[frame(0, 120), jumped(1, 140), jumped(2, 160)], 160), "silence 0-100, audio 100-160");
}

#[test]
fn a_clock_that_stood_still_during_hold_is_anchored_anew() {
    let after = |seq: u64, spoken_ms| TapFrame { ext_ts: frame(0, 100 + seq * 20).ext_ts, ..frame(seq, spoken_ms) };
    let mut frames = vec![frame(1, 120)];
    frames.extend((0..20).map(|n| after(2 + n, 5_140 + n * 20)));
    assert_eq!(run(&frames, 5_520), "silence 0-100, audio 100-120, silence 120-5120, audio 5120-5520");
}

#[test]
fn a_burst_after_a_stalled_network_keeps_the_times_of_speaking() {
    let frames: Vec<_> = (0..50)
        .map(|n| TapFrame { arrival_us: (120 + n * 20).max(if n > 5 { 1_100 } else { 0 }) * MS, ..frame(n, 120 + n * 20) })
        .collect();
    assert_eq!(run(&frames, 1_100), "silence 0-100, audio 100-1100");
}

#[test]
fn a_pause_is_marked_and_what_is_said_in_it_is_not_kept() {
    let mut axis = TimeAxis::new(100 * MS);
    axis.push(&frame(0, 120));
    axis.pause(140 * MS);
    axis.push(&frame(1, 160));
    axis.resume(300 * MS);
    axis.push(&frame(10, 340));
    axis.close(360 * MS);
    assert_eq!(
        picture(&drain(&mut axis)),
        "audio 100-120, silence 120-140, paused 140-300, silence 300-320, audio 320-340, silence 340-360"
    );
}

#[test]
fn a_source_that_starts_its_numbers_anew_is_heard_again() {
    let mut axis = TimeAxis::new(0);
    axis.push(&frame(50_000, 120));
    for n in 0..40 {
        axis.push(&frame(n, 140 + n * 20));
    }
    assert!(axis.totals().audio >= 20 * 160, "{:?}", axis.totals());
}

#[test]
fn drift_without_any_gap_is_put_right_in_quiet_audio() {
    for ppm in [-100i64, 100] {
        let mut axis = TimeAxis::new(0);
        for n in 0..180_000u64 {
            let spoken = frame(n, 120 + n * 20);
            let real_us = spoken.arrival_us.saturating_add_signed(i64::try_from(spoken.arrival_us).unwrap() * ppm / 1_000_000);
            let spoken = TapFrame { arrival_us: real_us, ..spoken };
            axis.push(&if n % 100 < 50 { quiet(spoken) } else { spoken });
            for chunk in drain(&mut axis) {
                let end = chunk.axis_start_us + chunk.duration_us;
                assert!(end.abs_diff(real_us) <= 22 * MS || n < 10, "{ppm} ppm: frame {n} ends at {end}, spoken until {real_us}");
            }
        }
        assert!(axis.totals().cut < 180_000 * 160 / 1_000, "{:?}", axis.totals());
    }
}

/// A small generator with a printed seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// One leg of an hour: half of the time silent, 5 % lost, 1 % twice, up to 15 ms of jitter and 2 % up to 120 ms late. Returns its end.
fn an_hour(ppm: i64, seed: u64) -> u64 {
    let mut dice = Dice(seed);
    let (mut sent, mut seq, mut talking_until, mut silent_until) = (Vec::new(), 0, 0, 0);
    for n in 0..180_000u64 {
        if n >= silent_until {
            talking_until = n + 10 + dice.below(150);
            silent_until = talking_until + 10 + dice.below(150);
        }
        if n >= talking_until {
            continue;
        }
        let spoken = frame(seq, 1_000 + n * 20);
        seq += 1;
        let truth_us = spoken.arrival_us.saturating_add_signed(i64::try_from(spoken.arrival_us).unwrap() * ppm / 1_000_000);
        let mut spoken = TapFrame { arrival_us: truth_us + dice.below(15 * MS), ..spoken };
        spoken.payload[152..160].copy_from_slice(&truth_us.to_be_bytes());
        if dice.below(100) < 2 {
            spoken.arrival_us = truth_us + dice.below(120 * MS);
        }
        if dice.below(100) >= 5 {
            sent.push(spoken);
        }
        if dice.below(100) == 0 {
            sent.push(spoken);
        }
    }
    sent.sort_by_key(|frame| frame.arrival_us);
    let mut axis = TimeAxis::new(0);
    let mut chunks = Vec::new();
    for frame in sent.iter().filter(|frame| frame.arrival_us <= 3_600_000 * MS) {
        axis.push(frame);
        chunks.extend(drain(&mut axis));
    }
    axis.close(3_600_000 * MS);
    chunks.extend(drain(&mut axis));
    assert_touching(&chunks);
    for chunk in &chunks {
        let ChunkKind::Audio { payload, .. } = &chunk.kind else { continue };
        let Some(stamp) = payload.last_chunk::<8>() else { continue };
        let (end, truth) = (chunk.axis_start_us + chunk.duration_us, u64::from_be_bytes(*stamp));
        assert!(end.abs_diff(truth) <= 20 * MS, "seed {seed}, {ppm} ppm: placed {end}, spoken {truth}");
    }
    let totals = axis.totals();
    let percent_lost = totals.lost * 100 / (totals.lost + totals.audio);
    assert!((3..=6).contains(&percent_lost), "{totals:?}");
    assert!(totals.cut * 1_000 < totals.audio, "{totals:?}");
    axis.end_us()
}

#[test]
fn an_hour_with_drift_silence_and_loss_keeps_every_burst_within_20_ms() {
    for seed in [1, 20_261, 977] {
        println!("seed {seed}");
        let ends = [an_hour(100, seed), an_hour(-100, seed + 1)];
        assert!(ends[0].abs_diff(ends[1]) <= 20 * MS, "{ends:?}");
    }
}

proptest::proptest! {
    #[test]
    fn any_frames_make_touching_chunks_near_the_clock(
        steps in proptest::collection::vec((0u64..3, 0u64..400, proptest::num::u64::ANY, proptest::num::u64::ANY, 0u16..800), 0..80)
    ) {
        let mut axis = TimeAxis::new(0);
        let mut now = 0;
        for (source, later_ms, seq, ts, len) in steps {
            now += later_ms * MS;
            let source = u32::try_from(source).unwrap();
            // Half of the numbers are near each other, so that waiting and late frames happen.
            let (ext_seq, ext_ts) = if seq % 2 == 0 { (seq % 64, ts % 9_000) } else { (seq >> 1, ts >> 1) };
            axis.push(&TapFrame { source, arrival_us: now, ext_seq, ext_ts, len, ..frame(0, 0) });
            match seq % 17 {
                0 => axis.pause(now),
                1 => axis.resume(now),
                _ => axis.poll(now),
            }
            proptest::prop_assert!(axis.end_us() <= now + 80 * 100 * MS);
        }
        axis.close(now + 1_000 * MS);
        let chunks = drain(&mut axis);
        assert_touching(&chunks);
    }
}
