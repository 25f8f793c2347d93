//! When the words of an utterance should be shown: short ones sooner, and within a call never before what was said earlier.

use crate::service::speech::RATE;

/// Up to this length an utterance is an answer that somebody waits for: five seconds.
const SHORT: usize = 5 * RATE;
/// A short one should be shown so long after its acoustic end …
const SHORT_WITHIN_US: u64 = 1_000_000;
/// … and any other so long: it may stand behind short ones of other calls.
pub const SHOW_WITHIN_US: u64 = 1_500_000;

/// The deadlines of one call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Due {
    last_us: u64,
}

impl Due {
    /// The deadline of an utterance of so many samples that ended at `end_us`; asked in the order in which they are told.
    ///
    /// What is said later is due no sooner: numbers are masked by what was asked before them.
    pub fn of(&mut self, end_us: u64, samples: usize) -> u64 {
        let within_us = if samples <= SHORT { SHORT_WITHIN_US } else { SHOW_WITHIN_US };
        self.last_us = self.last_us.max(end_us + within_us);
        self.last_us
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{
        ids::LegId,
        service::speech::{
            schedule::{Entry, Lane, Schedule, Urgency},
            transcribe::Key,
        },
        time::UnixMs,
    };

    #[test]
    fn short_utterances_are_due_sooner_and_none_before_what_the_call_said_earlier() {
        let mut due = Due::default();
        assert_eq!(due.of(10_000_000, 4 * RATE), 11_000_000);
        assert_eq!(due.of(20_000_000, 8 * RATE), 21_500_000);
        assert_eq!(due.of(20_100_000, RATE), 21_500_000, "an answer does not come before its question");
        assert_eq!(due.of(21_000_000, RATE), 22_000_000);
    }

    /// An utterance of the simulated load, microseconds.
    #[derive(Clone, Copy)]
    struct Said {
        told_us: u64,
        end_us: u64,
        samples: usize,
        call: u8,
    }

    /// Forty calls of two who speak in turns, five minutes.
    fn load(mut seed: u64) -> Vec<Said> {
        let mut next = move |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let lengths_ms = [500, 800, 1_200, 1_600, 2_000, 2_400, 2_800, 3_300, 4_000, 4_800, 5_500, 7_000, 10_000];
        let mut said = Vec::new();
        for call in 0..40 {
            let mut at_ms = next(10_000);
            while at_ms < 300_000 {
                let length_ms = lengths_ms[next(lengths_ms.len() as u64) as usize];
                at_ms += length_ms;
                let hangover_ms = if length_ms < 6_000 { 480 } else { 320 };
                let samples = length_ms as usize * RATE / 1_000;
                said.push(Said { told_us: (at_ms + hangover_ms) * 1_000, end_us: at_ms * 1_000, samples, call });
                at_ms += next(2 * PAUSE_MS);
            }
        }
        said.sort_by_key(|one| one.told_us);
        said
    }

    /// Mean pause between two utterances of a call: one worker is busy for three quarters of the time.
    const PAUSE_MS: u64 = 1_250;

    /// What the demo model needs on one slow processor.
    fn decode_us(samples: usize) -> u64 {
        45_000 + 16_000 * samples.max(RATE * 12 / 10) as u64 / RATE as u64
    }

    /// One worker: how long after its acoustic end each utterance had its words, and the worker's busy share in percent.
    fn shown(said: &[Said], mut due_us: impl FnMut(&Said) -> u64) -> (Vec<(usize, u64)>, u64) {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for simulated time")]
        let zero = Instant::now();
        let at = |us: u64| zero + Duration::from_micros(us);
        let mut schedule = Schedule::new(vec![Lane::Any]);
        let (mut now_us, mut busy_us, mut next, mut shown) = (0, 0, 0, Vec::new());
        while shown.len() < said.len() {
            while let Some(one) = said.get(next).filter(|one| one.told_us <= now_us) {
                let key = Key { leg: LegId::new(UnixMs(1), [one.call; 10]), start_ms: next as u32 };
                let urgency = Urgency::Live { deadline: at(due_us(one)) };
                schedule.push(Entry::new(key, urgency, one.samples, at(now_us), *one), &mut Vec::new()).expect("has room");
                next += 1;
            }
            let Some(entry) = schedule.take(0, at(now_us)) else {
                now_us = said[next].told_us;
                continue;
            };
            let took_us = decode_us(entry.samples);
            (now_us, busy_us) = (now_us + took_us, busy_us + took_us);
            schedule.done(0);
            shown.push((entry.samples, now_us - entry.work.end_us));
        }
        (shown, busy_us * 100 / now_us)
    }

    fn p95_ms(shown: &[(usize, u64)], short: bool) -> u64 {
        let mut lags: Vec<u64> = shown.iter().filter(|(samples, _)| (*samples <= SHORT) == short).map(|(_, lag)| lag / 1_000).collect();
        lags.sort_unstable();
        lags[lags.len() * 95 / 100]
    }

    #[test]
    fn at_three_quarters_of_a_worker_short_utterances_are_shown_in_a_second_and_long_ones_in_one_and_a_half() {
        let (mut by_length, mut all_alike) = (Vec::new(), Vec::new());
        for seed in 1..=8 {
            let said = load(seed);
            let mut due = [Due::default(); 40];
            let (shown_by_length, busy) = shown(&said, |one| due[usize::from(one.call)].of(one.end_us, one.samples));
            assert!((70..=85).contains(&busy), "seed {seed}: {busy} % busy");
            by_length.extend(shown_by_length);
            all_alike.extend(shown(&said, |one| one.end_us + SHOW_WITHIN_US).0);
        }
        let [short, long] = [true, false].map(|kind| p95_ms(&by_length, kind));
        let before = p95_ms(&all_alike, true);
        println!("p95: short {short} ms, long {long} ms; with one deadline for all, short {before} ms");
        assert!(short <= 1_000 && long <= 1_500, "short {short} ms, long {long} ms");
        assert!(before >= short + 100, "with one deadline for all: {before} ms");
    }
}
