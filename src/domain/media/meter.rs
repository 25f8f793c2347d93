//! Measures one leg in intervals of 5 s: what came, what the peer says of what we sent, how long the way is.
//!
//! An interval is cut short when sound stops or comes back, so that both are told at once.

use std::time::{Duration, Instant};

use super::quality::{HUSH_MS, LegQuality, ReportedQuality, opinion, score};
use crate::protocol::rtp::{
    rtcp::{Received, ReportBlock, VoipMetrics},
    session::Interval,
};

/// Length of an interval.
const INTERVAL: Duration = Duration::from_secs(5);
/// From this place on the call's axis on intervals are longer, so that an endless call makes no endless rows, milliseconds.
const LONG_FROM_MS: u32 = 3_600_000;
/// Length of an interval in a long call; silence and its end are told at once all the same.
const LONG_INTERVAL: Duration = Duration::from_secs(30);
/// Shorter rests, at the end of a leg, are not worth a line.
const SHORTEST: Duration = Duration::from_secs(1);
const HUSH: Duration = Duration::from_millis(HUSH_MS as u64);
/// A longer round trip is a mistake of the peer's arithmetic, 65536ths of a second.
const LONGEST_ROUND_TRIP: u32 = 10 << 16;
/// Packets that a peer must have missed in a row, by its own report, before it is called deaf: two seconds.
const DEAF_AFTER: u64 = 100;

/// What an interval is measured with.
pub(super) struct Measured {
    /// What came since the last interval, of the present source.
    pub interval: Interval,
    pub jitter_us: u32,
    /// RTP packets sent to the peer in all.
    pub sent: u64,
    /// Whether sound from the peer is due.
    pub due: bool,
    /// Now, on the axis.
    pub axis_ms: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Meter {
    began: Instant,
    ends_at: Instant,
    /// Of sources that ended within the interval.
    carried: Interval,
    sent_before: u64,
    sound_at: Instant,
    /// It has been told that no sound comes.
    hushed: bool,
    round_trip_us: Option<u32>,
    reported: Option<ReportedQuality>,
    /// The highest sequence number that the peer reported, and what had been sent when it first did.
    reached: Option<(u32, u64)>,
    peer_alive: bool,
}

impl Meter {
    pub fn new(now: Instant) -> Self {
        Self {
            began: now,
            ends_at: now + INTERVAL,
            carried: Interval::default(),
            sent_before: 0,
            sound_at: now,
            hushed: false,
            round_trip_us: None,
            reported: None,
            reached: None,
            peer_alive: false,
        }
    }

    /// A source of the peer's ends; this came of it in the interval.
    pub fn carry(&mut self, interval: Interval) {
        self.carried = self.carried.plus(interval);
    }

    /// Sound came, or is due from now on. True when it had been missed: the interval ends at once.
    pub fn note_sound(&mut self, now: Instant) -> bool {
        self.sound_at = now;
        let missed = std::mem::take(&mut self.hushed);
        if missed {
            self.ends_at = now;
        }
        missed
    }

    /// The peer reported; `ntp` is the middle of our NTP time, `sent` what we have sent so far.
    pub fn note_report(&mut self, ntp: u32, received: &Received, sent: u64) {
        self.peer_alive = true;
        let Some(block) = received.report else { return };
        self.round_trip_us = round_trip_us(ntp, &block).or(self.round_trip_us);
        let deaf = match self.reached {
            Some((highest, sent_then)) if highest == block.highest_sequence => sent.saturating_sub(sent_then) >= DEAF_AFTER,
            Some(_) | None => {
                self.reached = Some((block.highest_sequence, sent));
                false
            }
        };
        self.reported = Some(reported(&block, received.voip, self.round_trip_us, deaf));
    }

    /// When the interval ends.
    pub fn due_at(&self, sound_is_due: bool) -> Instant {
        if sound_is_due && !self.hushed { self.ends_at.min(self.sound_at + HUSH) } else { self.ends_at }
    }

    /// Ends the interval and begins the next; `None` where nothing was due and nothing flowed.
    pub fn end(&mut self, now: Instant, measured: &Measured) -> Option<LegQuality> {
        let length = now.saturating_duration_since(self.began);
        let interval = std::mem::take(&mut self.carried).plus(measured.interval);
        let sent = measured.sent.saturating_sub(std::mem::replace(&mut self.sent_before, measured.sent));
        let silent = if measured.due { now.saturating_duration_since(self.sound_at) } else { Duration::ZERO };
        self.hushed |= measured.due && silent >= HUSH;
        let quality = LegQuality {
            to_ms: measured.axis_ms,
            interval_ms: millis(length),
            received: count(interval.received),
            lost: count(interval.lost),
            bursts: count(interval.bursts),
            jitter_us: measured.jitter_us,
            round_trip_us: self.round_trip_us,
            silent_ms: if silent >= HUSH { millis(silent) } else { 0 },
            peer_alive: std::mem::take(&mut self.peer_alive),
            mos_x100: score(interval, measured.jitter_us, self.round_trip_us),
            sent: count(sent),
            reported: self.reported.take(),
        };
        self.began = now;
        self.ends_at = now + if measured.axis_ms < LONG_FROM_MS { INTERVAL } else { LONG_INTERVAL };
        let flowed = interval.received > 0 || sent > 0 || quality.silent_ms > 0;
        flowed.then_some(quality)
    }

    /// Whether enough of an interval has passed for a last line.
    pub fn has_rest(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) >= SHORTEST
    }
}

/// From the moment that the peer names, without the time that it kept it (RFC 3550 §6.4.1).
fn round_trip_us(ntp: u32, block: &ReportBlock) -> Option<u32> {
    let around = ntp.wrapping_sub(block.last_sr).wrapping_sub(block.delay_since_last_sr);
    let known = block.last_sr != 0 && around <= LONGEST_ROUND_TRIP;
    known.then(|| u32::try_from(u64::from(around) * 1_000_000 / 65_536).unwrap_or(u32::MAX))
}

fn reported(block: &ReportBlock, voip: Option<VoipMetrics>, round_trip_us: Option<u32>, deaf: bool) -> ReportedQuality {
    let jitter_us = block.jitter.saturating_mul(1_000_000 / super::CLOCK_HZ);
    let discarded = voip.map_or(0.0, |voip| f64::from(voip.discard_rate) / 256.0);
    let loss = (f64::from(block.fraction_lost) / 256.0 + discarded).min(1.0);
    let own = voip.and_then(|voip| voip.conversing_mos_x10.or(voip.listening_mos_x10));
    let mos_x100 = own.map_or_else(|| opinion(loss, 1.0, jitter_us, round_trip_us), |mos| 10 * u16::from(mos));
    ReportedQuality { lost_permille: (1_000.0 * loss).round() as u16, jitter_us, mos_x100, deaf }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn count(packets: u64) -> u32 {
    u32::try_from(packets).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 9,
        fraction_lost: 0,
        cumulative_lost: 0,
        highest_sequence: 100,
        jitter: 8,
        last_sr: 0x0010_0000,
        delay_since_last_sr: 0x0001_0000,
    };

    #[expect(clippy::disallowed_methods, reason = "one origin for simulated time")]
    fn origin() -> Instant {
        Instant::now()
    }

    fn at(axis_ms: u32) -> Measured {
        Measured { interval: Interval { received: 250, lost: 0, bursts: 0 }, jitter_us: 0, sent: 250, due: true, axis_ms }
    }

    #[test]
    fn the_round_trip_leaves_out_what_the_peer_kept() {
        // Sent at 16 s, kept for 1 s, back at 17.25 s.
        assert_eq!(round_trip_us(0x0011_4000, &BLOCK), Some(250_000));
        assert_eq!(round_trip_us(0x0011_4000, &ReportBlock { last_sr: 0, ..BLOCK }), None, "it has had no report of ours");
        assert_eq!(round_trip_us(0x0010_8000, &BLOCK), None, "an answer before the question");
    }

    #[test]
    fn silence_is_told_after_five_seconds_and_its_end_at_once() {
        let start = origin();
        let mut meter = Meter::new(start);
        meter.note_sound(start + Duration::from_secs(2));
        assert_eq!(meter.due_at(true), start + INTERVAL);
        let whole = meter.end(start + INTERVAL, &at(5_000)).expect("packets came");
        assert_eq!((whole.interval_ms, whole.silent_ms), (5_000, 0));
        assert_eq!(meter.due_at(true), start + Duration::from_secs(7));
        let nothing = || Measured { interval: Interval::default(), ..at(7_000) };
        let silent = meter.end(start + Duration::from_secs(7), &nothing()).expect("silence is worth telling");
        assert!(silent.is_silent() && silent.is_poor() && silent.mos_x100.is_none());
        assert_eq!(meter.due_at(true), start + Duration::from_secs(12), "told once, then as ever");
        assert!(meter.note_sound(start + Duration::from_secs(9)));
        assert_eq!(meter.due_at(true), start + Duration::from_secs(9));
        let back = meter.end(start + Duration::from_secs(9), &nothing());
        assert!(back.is_none_or(|back| !back.is_silent()));
    }

    #[test]
    fn a_call_of_four_hours_makes_a_thousand_rows_and_silence_is_still_told_in_five_seconds() {
        let start = origin();
        let mut meter = Meter::new(start);
        let (mut rows, mut covered_ms) = (0, 0);
        let hours = |n: u64| Duration::from_secs(n * 3_600);
        let mut now = start;
        while now < start + hours(4) {
            now = meter.ends_at;
            meter.note_sound(now);
            let quality = meter.end(now, &at(millis(now - start))).expect("packets came");
            (rows, covered_ms) = (rows + 1, covered_ms + quality.interval_ms);
        }
        assert_eq!((rows, covered_ms), (3_600 / 5 + 3 * 3_600 / 30, 4 * 3_600_000), "no part of the call is left out");
        assert_eq!(meter.due_at(true), now + HUSH, "the desk is told of silence as soon as before");
    }

    #[test]
    fn a_leg_on_hold_is_not_measured() {
        let start = origin();
        let mut meter = Meter::new(start);
        meter.end(start + INTERVAL, &at(5_000));
        let held = Measured { interval: Interval::default(), due: false, ..at(10_000) };
        assert_eq!(meter.end(start + 2 * INTERVAL, &held), None);
    }

    #[test]
    fn a_peer_that_hears_nothing_of_what_we_send_is_deaf() {
        let mut meter = Meter::new(origin());
        let says = |block| Received { report: Some(block), ..Received::default() };
        let deaf = |meter: &Meter| meter.reported.is_some_and(|reported| reported.deaf);
        meter.note_report(0, &says(BLOCK), 100);
        meter.note_report(0, &says(BLOCK), 150);
        assert!(!deaf(&meter), "too early to say");
        meter.note_report(0, &says(BLOCK), 400);
        assert!(deaf(&meter));
        meter.note_report(0, &says(ReportBlock { highest_sequence: 101, ..BLOCK }), 650);
        assert!(!deaf(&meter));
    }

    #[test]
    fn a_peers_own_score_and_what_it_discards_count() {
        let voip = VoipMetrics {
            loss_rate: 0,
            discard_rate: 26,
            round_trip_ms: 0,
            end_system_ms: 0,
            r_factor: None,
            listening_mos_x10: None,
            conversing_mos_x10: Some(31),
        };
        let with = reported(&BLOCK, Some(voip), None, false);
        assert_eq!((with.mos_x100, with.lost_permille, with.jitter_us), (310, 102, 1_000));
        let without = reported(&BLOCK, None, None, false);
        assert!(without.mos_x100 > 430 && without.lost_permille == 0);
    }
}
