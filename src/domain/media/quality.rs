//! What a leg's audio was like, interval by interval: loss, jitter, round trip, opinion score, silence; both directions.

use serde::{Deserialize, Serialize};

use crate::protocol::rtp::{
    e_model::{G711_CONCEALED, Transmission, mean_opinion, rating},
    session::Interval,
};

/// Below this score (R 70) many listeners are dissatisfied (ITU-T G.107 annex B): the sound is called poor.
pub const POOR_MOS_X100: u16 = 360;
/// Without a packet for so long, a party who should be heard is not, milliseconds.
pub const HUSH_MS: u32 = 5_000;
/// Time from the mouth to the wire: one packet, milliseconds.
const PACKET_MS: f64 = 20.0;
/// A playout buffer holds twice the jitter, and no less than this, milliseconds.
const BUFFER_MIN_MS: f64 = 20.0;

/// One leg over one interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LegQuality {
    /// End of the interval on the call's axis, milliseconds.
    pub to_ms: u32,
    /// Its length, milliseconds.
    pub interval_ms: u32,
    /// RTP packets accepted from the peer.
    pub received: u32,
    /// Packets missing in the peer's sequence.
    pub lost: u32,
    /// Runs of missing packets.
    pub bursts: u32,
    /// Interarrival jitter at the end of the interval, microseconds (RFC 3550 §A.8).
    pub jitter_us: u32,
    /// Time to the peer and back, from its reports about us, microseconds.
    pub round_trip_us: Option<u32>,
    /// For how long no sound came at the end of the interval though it was due, milliseconds; 0 when it came or was not due.
    pub silent_ms: u32,
    /// Whether RTCP came meanwhile: then the peer is there, and only its sound is missing.
    pub peer_alive: bool,
    /// Opinion score of what the peer sent, in hundredths; `None` where nothing came.
    pub mos_x100: Option<u16>,
    /// RTP packets sent to the peer.
    pub sent: u32,
    /// What the peer reported of our stream, when it did.
    pub reported: Option<ReportedQuality>,
}

/// What the peer says of the stream that we send it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ReportedQuality {
    /// Loss since its report before, per thousand; packets that came too late included where it says so (RFC 3611).
    pub lost_permille: u16,
    /// Its interarrival jitter, microseconds.
    pub jitter_us: u32,
    /// Opinion score of what we sent, in hundredths: its own where it gave one, else computed.
    pub mos_x100: u16,
    /// We sent and nothing new reached it.
    pub deaf: bool,
}

impl LegQuality {
    /// Loss of what the peer sent, per thousand.
    pub fn lost_permille(&self) -> u16 {
        let due = u64::from(self.received) + u64::from(self.lost);
        u16::try_from((1_000 * u64::from(self.lost)).checked_div(due).unwrap_or(0)).unwrap_or(1_000)
    }

    /// Whether the peer is not heard at all.
    pub fn is_silent(&self) -> bool {
        self.silent_ms >= HUSH_MS
    }

    /// Whether the peer is heard badly or not at all.
    pub fn is_poor(&self) -> bool {
        self.is_silent() || self.mos_x100.is_some_and(|mos| mos < POOR_MOS_X100)
    }

    /// Whether the peer hears badly or not at all, by its own report.
    pub fn is_poor_there(&self) -> bool {
        self.reported.is_some_and(|reported| reported.deaf || reported.mos_x100 < POOR_MOS_X100)
    }
}

/// The opinion score of G.711 with this loss, jitter and round trip, in hundredths.
pub fn score(interval: Interval, jitter_us: u32, round_trip_us: Option<u32>) -> Option<u16> {
    let loss = interval.loss()?;
    Some(opinion(loss, interval.burst_ratio(), jitter_us, round_trip_us))
}

pub(super) fn opinion(loss: f64, burst_ratio: f64, jitter_us: u32, round_trip_us: Option<u32>) -> u16 {
    let around_ms = f64::from(round_trip_us.unwrap_or(0)) / 1_000.0;
    let buffer_ms = (2.0 * f64::from(jitter_us) / 1_000.0).max(BUFFER_MIN_MS);
    let delay_ms = around_ms / 2.0 + PACKET_MS + buffer_ms;
    let r = rating(&Transmission { codec: G711_CONCEALED, loss, burst_ratio, delay_ms });
    (100.0 * mean_opinion(r)).round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_leg_scores_well_and_eight_percent_loss_is_poor() {
        let clean = Interval { received: 250, lost: 0, bursts: 0 };
        let lossy = Interval { received: 230, lost: 20, bursts: 19 };
        assert_eq!(score(clean, 500, Some(20_000)), Some(438));
        let poor = score(lossy, 500, Some(20_000)).expect("packets came");
        assert!((340..POOR_MOS_X100).contains(&poor), "{poor}");
        assert_eq!(score(Interval::default(), 0, None), None, "silence has no score");
    }

    #[test]
    fn a_long_way_costs_though_nothing_is_lost() {
        let clean = Interval { received: 250, lost: 0, bursts: 0 };
        let near = score(clean, 0, None).expect("packets came");
        let far = score(clean, 0, Some(600_000)).expect("packets came");
        let shaky = score(clean, 160_000, None).expect("packets came");
        assert!(far < POOR_MOS_X100 && shaky < POOR_MOS_X100 && near > 430, "{near} {far} {shaky}");
    }

    #[test]
    fn loss_is_told_per_thousand() {
        assert_eq!(LegQuality { received: 230, lost: 20, ..LegQuality::default() }.lost_permille(), 80);
        assert_eq!(LegQuality::default().lost_permille(), 0);
    }
}
