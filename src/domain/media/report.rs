//! A leg's RTCP (RFC 3550 §6): reports of our own about both directions, never the other leg's.

use std::time::{Duration, Instant};

use super::{CLOCK_HZ, sender::Sender};
use crate::{
    protocol::rtp::{
        rtcp::{COMPOUND_MAX, Compound, SenderInfo, write_compound},
        session::Reception,
    },
    time::UnixMs,
};

/// Mean time between reports (RFC 3550 §6.2: the minimum, which two parties never exceed).
const INTERVAL: Duration = Duration::from_secs(5);
/// Seconds between 1900 and 1970 (RFC 868).
const NTP_EPOCH: u64 = 2_208_988_800;

/// When a leg reports and what it has heard of the peer's reports.
#[derive(Clone, Debug)]
pub struct Reporter {
    /// When the next report is due.
    pub due_at: Instant,
    cname: [u8; 16],
    /// Middle of the NTP time in the peer's last sender report, and when it came.
    last_sr: Option<(u32, Instant)>,
}

impl Reporter {
    /// The first report comes after half an interval (RFC 3550 §6.2); `random` seeds the name (RFC 7022) and the spread.
    pub fn new(now: Instant, random: u64) -> Self {
        let mut cname = [0; 16];
        for (place, octet) in cname.iter_mut().enumerate() {
            *octet = b"0123456789abcdef"[(random >> (4 * place)) as usize & 0xf];
        }
        Self { due_at: now + spread(INTERVAL / 2, random), cname, last_sr: None }
    }

    /// Sets the time of the next report, 0.5 to 1.5 intervals away.
    pub fn schedule(&mut self, now: Instant, random: u64) {
        self.due_at = now + spread(INTERVAL, random);
    }

    /// Notes the peer's sender report, for our next block about it.
    pub fn heard(&mut self, now: Instant, info: SenderInfo) {
        self.last_sr = Some(((info.ntp >> 16) as u32, now));
    }

    /// Writes a report about what `sender` sent and `reception` received, with a goodbye when the leg ends.
    pub fn write(
        &self,
        out: &mut [u8; COMPOUND_MAX],
        now: Instant,
        ntp: u64,
        sender: &Sender,
        reception: Option<(u32, &mut Reception)>,
        bye: bool,
    ) -> usize {
        let (packets, octets) = sender.sent();
        let info =
            sender.timestamp_at(now).map(|rtp_timestamp| SenderInfo { ntp, rtp_timestamp, packets: packets as u32, octets: octets as u32 });
        let report = reception.map(|(ssrc, reception)| {
            let (last_sr, delay) = self.last_sr.map_or((0, 0), |(middle, at)| {
                (middle, (now.saturating_duration_since(at).as_micros() * 65_536 / 1_000_000).min(u128::from(u32::MAX)) as u32)
            });
            reception.report(ssrc, last_sr, delay)
        });
        write_compound(out, Compound { ssrc: sender.ssrc(), sender: info, report, cname: &self.cname, bye })
    }
}

fn spread(mean: Duration, random: u64) -> Duration {
    mean.mul_f64(0.5 + (random >> 40) as f64 / (1u64 << 24) as f64)
}

/// Wall time, so many microseconds after `start`, as 32.32 fixed point seconds since 1900.
pub(super) fn ntp(start: UnixMs, after_us: u64) -> u64 {
    let us = start.0.max(0).unsigned_abs().saturating_mul(1_000).saturating_add(after_us);
    ((us / 1_000_000 + NTP_EPOCH) << 32) | (((us % 1_000_000) << 32) / 1_000_000)
}

/// Elapsed time in units of the codec clock.
pub fn clock_units(elapsed: Duration) -> u64 {
    (elapsed.as_micros() * u128::from(CLOCK_HZ) / 1_000_000) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_becomes_ntp_time() {
        assert_eq!(ntp(UnixMs(400), 100_000), (NTP_EPOCH << 32) | 0x8000_0000);
        assert_eq!(ntp(UnixMs(0), 61_000_000), (NTP_EPOCH + 61) << 32);
    }

    #[test]
    fn reports_are_spread_around_the_interval() {
        assert_eq!(spread(INTERVAL, 0), INTERVAL / 2);
        assert!(spread(INTERVAL, u64::MAX) < INTERVAL * 3 / 2);
    }
}
