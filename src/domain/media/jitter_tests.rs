//! Jitter, drift, bursts and late packets, and what is heard of them.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    domain::media::sound::encode,
    protocol::audio::tone::{DualTone, amplitude_of},
};

const TICK: Duration = Duration::from_millis(20);

fn pull(buffer: &mut JitterBuffer, now: Instant, frames: usize) -> (Vec<i16>, bool) {
    let (mut samples, mut any) = (Vec::new(), false);
    for n in 0..frames {
        let mut frame = [0; FRAME];
        any |= buffer.pull(now + TICK * n as u32, &mut frame);
        samples.extend(frame);
    }
    (samples, any)
}

#[test]
fn packets_out_of_order_are_played_in_order_after_forty_milliseconds() {
    let (mut buffer, now) = (JitterBuffer::new(false), zero());
    let (loud, soft) = (encode(Codec::Pcmu, 4000), encode(Codec::Pcmu, 400));
    assert!(buffer.push(now, Codec::Pcmu, 10_000, &[loud; 160]));
    assert!(buffer.push(now, Codec::Pcmu, 10_320, &[loud; 160]));
    assert!(buffer.push(now, Codec::Pcmu, 10_160, &[soft; 160]));
    assert!(!pull(&mut buffer, now, 2).1, "the delay");
    let (played, any) = pull(&mut buffer, now + 2 * TICK, 3);
    assert!(any && played[40..160].iter().all(|&s| s > 3000) && played[160..320].iter().all(|&s| s < 500 && s > 300));
    assert!(!buffer.push(now + 5 * TICK, Codec::Pcmu, 10_160, &[soft; 160]), "too late");
    assert!(!pull(&mut buffer, now + 5 * TICK, 1).1, "and not played");
}

#[test]
fn a_source_whose_clock_moved_back_is_heard_again_after_three_packets() {
    let (mut buffer, now) = (JitterBuffer::new(false), zero());
    buffer.push(now, Codec::Pcma, 100_000, &[0; 160]);
    pull(&mut buffer, now, 3);
    let taken: Vec<_> = (0..4).map(|n| buffer.push(now + 3 * TICK, Codec::Pcma, 5000 + n * 160, &[0; 160])).collect();
    assert_eq!(taken, [false, false, true, true]);
}

#[test]
fn a_source_whose_clock_stood_still_while_it_was_silent_is_heard_from_its_first_packet_on() {
    for silent_ticks in [15, 20, 60] {
        let mut line = Line::new(3);
        line.run(100, 0, 20_000, false);
        // As phones do that hold: nothing is sent for a while, and the next packet has the timestamp that was next.
        let before = line.sent;
        for _ in 0..silent_ticks {
            line.ticks += 1;
            let now = line.zero + TICK * line.ticks as u32 + Duration::from_millis(7);
            line.buffer.pull(now, &mut [0; FRAME]);
        }
        let resumed = line.zero + TICK * line.ticks as u32 + Duration::from_millis(9);
        let taken: Vec<_> = (0..4)
            .map(|n| line.buffer.push(resumed + TICK * n, Codec::Pcma, (1 << 32) + (before + u64::from(n)) * 160, &[0; 160]))
            .collect();
        assert_eq!(taken, [true; 4], "after {silent_ticks} frames of silence");
    }
}

#[test]
fn a_straggler_after_a_long_silence_is_not_played() {
    let (mut buffer, now) = (JitterBuffer::new(false), zero());
    for n in [0, 2, 3] {
        buffer.push(now, Codec::Pcma, 100_000 + n * 160, &[0; 160]);
    }
    pull(&mut buffer, now, 22);
    assert!(!buffer.push(now + 22 * TICK, Codec::Pcma, 100_160, &[0; 160]), "the others behind it were played long ago");
}

#[test]
fn a_burst_after_a_stall_does_not_leave_a_lasting_delay() {
    let (mut buffer, now) = (JitterBuffer::new(false), zero());
    for n in 0..50 {
        buffer.push(now, Codec::Pcma, 100_000 + n * 160, &[0; 160]);
    }
    let (next, newest) = buffer.window.unwrap_or((0, 0));
    assert!(newest.saturating_sub(next) <= BACKLOG_MAX);
}

/// Numbers without a pattern, from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A phone's tone over a network: what is played, and how much of it was late.
struct Line {
    buffer: JitterBuffer,
    zero: Instant,
    tone: DualTone,
    dice: Dice,
    /// Packets under way: arrival in microseconds, timestamp, payload.
    under_way: Vec<(u64, u64, Vec<u8>)>,
    sent: u64,
    ticks: u64,
    late: u32,
    silent_ticks: u32,
    samples: Vec<i16>,
}

impl Line {
    fn new(seed: u64) -> Self {
        Self {
            buffer: JitterBuffer::new(false),
            zero: zero(),
            tone: DualTone::new(440.0, 660.0, 6000, 8000),
            dice: Dice(seed),
            under_way: Vec::new(),
            sent: 0,
            ticks: 0,
            late: 0,
            silent_ticks: 0,
            samples: Vec::new(),
        }
    }

    /// Runs for so many ticks; the phone's clock is `ppm` fast, packets come up to `jitter_us` late, `speaks` may be silent.
    fn run(&mut self, ticks: u64, ppm: i64, jitter_us: u64, keep: bool) {
        for _ in 0..ticks {
            let now_us = self.ticks * 20_000 + 7_000;
            loop {
                let at_us = (self.sent as i64 * 20_000 - self.sent as i64 * 20_000 * ppm / 1_000_000) as u64;
                if at_us > now_us {
                    break;
                }
                let mut frame = [0; FRAME];
                self.tone.fill(&mut frame);
                let payload = frame.iter().map(|sample| encode(Codec::Pcma, *sample)).collect();
                let late_us = if jitter_us == 0 { 0 } else { self.dice.roll(jitter_us) };
                self.under_way.push((at_us + late_us, (1 << 32) + self.sent * 160, payload));
                self.sent += 1;
            }
            self.under_way.sort_by_key(|packet| packet.0);
            while self.under_way.first().is_some_and(|packet| packet.0 <= now_us) {
                let (at_us, ext_ts, payload) = self.under_way.remove(0);
                self.late += u32::from(!self.buffer.push(self.zero + Duration::from_micros(at_us), Codec::Pcma, ext_ts, &payload));
            }
            let mut frame = [0; FRAME];
            let any = self.buffer.pull(self.zero + Duration::from_micros(now_us), &mut frame);
            self.silent_ticks += u32::from(!any);
            if keep {
                self.samples.extend(frame);
            }
            self.ticks += 1;
        }
    }

    /// How far the newest packet is ahead of what is played, milliseconds.
    fn held_ms(&self) -> u64 {
        self.buffer.window.map_or(0, |(next, newest)| newest.saturating_sub(next) / 8)
    }
}

#[test]
fn the_delay_follows_the_jitter_within_forty_and_two_hundred_milliseconds() {
    let mut line = Line::new(1);
    line.run(500, 0, 0, false);
    assert_eq!((line.buffer.target_ms(), line.late), (40, 0));
    line.run(1500, 0, 100_000, false);
    assert!((90..=130).contains(&line.buffer.target_ms()), "{}", line.buffer.target_ms());
    line.late = 0;
    line.run(3000, 0, 100_000, false);
    assert!(line.late <= 15, "{} of 3000 packets late at 100 ms of jitter", line.late);
    line.run(1500, 0, 0, false);
    assert!(line.buffer.target_ms() == 40 && line.held_ms() <= 80, "{} {}", line.buffer.target_ms(), line.held_ms());
    line.run(1500, 0, 400_000, false);
    assert_eq!(line.buffer.target_ms(), 200, "no further");
}

#[test]
fn an_hour_of_drift_either_way_is_put_right_without_a_late_packet_or_a_click() {
    for ppm in [100, -100] {
        let mut line = Line::new(2);
        line.run(100, ppm, 5_000, false);
        (line.silent_ticks, line.late) = (0, 0);
        line.run(179_000, ppm, 5_000, false);
        assert!(line.late + line.silent_ticks <= 3, "{ppm} ppm: {} late, {} silent", line.late, line.silent_ticks);
        assert!((20..=100).contains(&line.held_ms()), "{ppm} ppm: {} ms held", line.held_ms());
        line.run(1000, ppm, 5_000, true);
        assert!(amplitude_of(&line.samples[..8000], 440.0, 8000) > 4000.0);
    }
}

#[test]
fn stretching_and_shortening_make_no_click() {
    let mut line = Line::new(3);
    line.buffer = JitterBuffer::new(true);
    line.run(400, 0, 0, true);
    let slack = line.buffer.timing.both().unwrap().max;
    assert!(slack > DELAY_MIN - STEP as i64, "a warm start is stretched to the least delay: {slack} samples");
    line.run(800, 0, 60_000, false);
    line.samples.clear();
    line.run(1500, 0, 0, true);
    let greatest = line.samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap();
    assert!(greatest < 6_500, "the tone's own steps are up to 5,300: {greatest}");
}

proptest! {
    #[test]
    fn any_timestamps_are_played_or_refused_and_never_panic(
        packets in proptest::collection::vec((0u64..1 << 40, 1usize..640, any::<bool>()), 0..60),
    ) {
        let (mut buffer, now) = (JitterBuffer::new(false), zero());
        for (ext_ts, len, play) in packets {
            buffer.push(now, Codec::Pcmu, (1 << 32) + ext_ts, &vec![0x55; len]);
            if play {
                pull(&mut buffer, now, 1);
            }
        }
    }
}
