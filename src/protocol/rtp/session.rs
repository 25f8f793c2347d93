//! What a receiver knows of one synchronisation source (RFC 3550 §6.4.1, appendix A.1, A.3, A.8).
//!
//! Sequence numbers and timestamps are extended to 64 bits and begin one cycle above zero, so that a packet older
//! than the first one still has a place.

use super::rtcp::ReportBlock;

/// A forward step larger than this is a jump, not loss (RFC 3550 §A.1).
const MAX_DROPOUT: i32 = 3000;
/// A backward step larger than this is a jump, not reordering (RFC 3550 §A.1).
const MAX_MISORDER: i32 = 100;

/// Where an accepted packet stands in its source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Extended sequence number.
    pub ext_seq: u64,
    /// Extended timestamp.
    pub ext_ts: u64,
}

/// What a sequence number means for the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// It belongs here.
    Accepted(Place),
    /// It is far from the others; one such packet proves nothing.
    Jump,
    /// The second in a row after a jump: the sender began anew, and so must the receiver.
    Restarted,
}

/// What came of one source between two looks at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Interval {
    /// Packets that came, duplicates included.
    pub received: u64,
    /// Packets that should have come and did not.
    pub lost: u64,
    /// Runs of lost packets.
    pub bursts: u64,
}

impl Interval {
    /// Two stretches together.
    pub fn plus(self, other: Self) -> Self {
        Self { received: self.received + other.received, lost: self.lost + other.lost, bursts: self.bursts + other.bursts }
    }

    /// Lost of what should have come, 0 to 1; `None` where nothing was due.
    pub fn loss(self) -> Option<f64> {
        let due = self.received + self.lost;
        (due > 0).then(|| self.lost as f64 / due as f64)
    }

    /// Mean length of a run of losses over that of as much loss by pure chance (ITU-T G.107 §7.5); 1 without loss.
    pub fn burst_ratio(self) -> f64 {
        match self.loss() {
            Some(loss) if self.bursts > 0 => (self.lost as f64 / self.bursts as f64) * (1.0 - loss),
            Some(_) | None => 1.0,
        }
    }
}

/// Statistics of one source, from its first packet to its last.
#[derive(Clone, Debug)]
pub struct Reception {
    base_seq: u64,
    highest_seq: u64,
    highest_ts: u64,
    received: u64,
    after_jump: Option<u16>,
    transit: Option<i64>,
    /// Sixteen times the jitter, as in RFC 3550 §A.8.
    jitter_x16: u64,
    expected_before: u64,
    received_before: u64,
    /// Runs of missing packets seen so far; a late packet that fills a hole takes one back.
    holes: u64,
    /// What the last [`Self::interval`] left: expected, received, holes.
    looked: (u64, u64, u64),
}

impl Reception {
    /// A source begins with this packet, which is not yet counted: pass it to [`Self::receive`].
    pub fn new(sequence: u16, timestamp: u32) -> Self {
        let base = (1 << 16) + u64::from(sequence);
        Self {
            base_seq: base,
            highest_seq: base,
            highest_ts: (1 << 32) + u64::from(timestamp),
            received: 0,
            after_jump: None,
            transit: None,
            jitter_x16: 0,
            expected_before: 0,
            received_before: 0,
            holes: 0,
            looked: (0, 0, 0),
        }
    }

    /// Takes one packet. `arrival` is in units of the payload's clock, from any fixed zero.
    pub fn receive(&mut self, sequence: u16, timestamp: u32, arrival: u64) -> Step {
        let step = i32::from(sequence.wrapping_sub(low16(self.highest_seq)) as i16);
        if !(-MAX_MISORDER..=MAX_DROPOUT).contains(&step) {
            if self.after_jump == Some(sequence) {
                return Step::Restarted;
            }
            self.after_jump = Some(sequence.wrapping_add(1));
            return Step::Jump;
        }
        self.after_jump = None;
        let ext_seq = self.highest_seq.saturating_add_signed(i64::from(step));
        let ts_step = i64::from(timestamp.wrapping_sub(low32(self.highest_ts)) as i32);
        let ext_ts = self.highest_ts.saturating_add_signed(ts_step);
        self.holes = if step > 1 { self.holes + 1 } else { self.holes.saturating_sub(u64::from(step < 0)) };
        if step > 0 {
            self.highest_seq = ext_seq;
            self.highest_ts = ext_ts;
        }
        self.base_seq = self.base_seq.min(ext_seq);
        self.received += 1;
        self.measure_jitter(arrival, ext_ts);
        Step::Accepted(Place { ext_seq, ext_ts })
    }

    fn measure_jitter(&mut self, arrival: u64, ext_ts: u64) {
        let transit = (arrival as i64).wrapping_sub(ext_ts as i64);
        if let Some(before) = self.transit.replace(transit) {
            let difference = transit.wrapping_sub(before).unsigned_abs().min(u64::from(u32::MAX));
            self.jitter_x16 = self.jitter_x16 + difference - ((self.jitter_x16 + 8) >> 4);
        }
    }

    /// Packets that should have come so far.
    pub fn expected(&self) -> u64 {
        self.highest_seq - self.base_seq + 1
    }

    /// Packets that came, duplicates included.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Packets missing; duplicates may hide some (RFC 3550 §A.3).
    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }

    /// Interarrival jitter, units of the payload's clock.
    pub fn jitter(&self) -> u32 {
        u32::try_from(self.jitter_x16 >> 4).unwrap_or(u32::MAX)
    }

    /// What came since the last call, or since the first packet.
    pub fn interval(&mut self) -> Interval {
        // Before the first packet is counted nothing is due.
        let expected = if self.received == 0 { 0 } else { self.expected() };
        let (expected_before, received_before, holes_before) = std::mem::replace(&mut self.looked, (expected, self.received, self.holes));
        let received = self.received - received_before;
        let lost = (expected - expected_before).saturating_sub(received);
        let bursts = if lost == 0 { 0 } else { self.holes.saturating_sub(holes_before).clamp(1, lost) };
        Interval { received, lost, bursts }
    }

    /// The report block about this source; the fraction lost is that since the last call.
    pub fn report(&mut self, ssrc: u32, last_sr: u32, delay_since_last_sr: u32) -> ReportBlock {
        let expected = self.expected() - self.expected_before;
        let received = self.received - self.received_before;
        (self.expected_before, self.received_before) = (self.expected(), self.received);
        let lost = expected.saturating_sub(received);
        let fraction = (lost << 8).checked_div(expected).unwrap_or(0);
        let cumulative = (self.expected() as i64 - self.received as i64).clamp(-0x80_0000, 0x7f_ffff);
        ReportBlock {
            ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            cumulative_lost: cumulative as i32,
            highest_sequence: low32(self.highest_seq - (1 << 16)),
            jitter: self.jitter(),
            last_sr,
            delay_since_last_sr,
        }
    }
}

fn low16(value: u64) -> u16 {
    (value & 0xffff) as u16
}

fn low32(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepted(step: Step) -> u64 {
        match step {
            Step::Accepted(place) => place.ext_seq,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sequence_and_timestamp_go_on_over_the_wrap() {
        let mut source = Reception::new(65_534, u32::MAX - 159);
        let places: Vec<_> = (0..4u32)
            .map(|n| source.receive(65_534u16.wrapping_add(n as u16), (u32::MAX - 159).wrapping_add(160 * n), u64::from(160 * n)))
            .collect();
        let first = Place { ext_seq: (1 << 16) + 65_534, ext_ts: (1 << 32) + u64::from(u32::MAX - 159) };
        for (n, place) in (0..).zip(places) {
            assert_eq!(place, Step::Accepted(Place { ext_seq: first.ext_seq + n, ext_ts: first.ext_ts + 160 * n }));
        }
        assert_eq!((source.expected(), source.lost(), source.jitter()), (4, 0, 0));
    }

    #[test]
    fn loss_is_what_is_missing_and_a_late_packet_makes_it_good() {
        let mut source = Reception::new(10, 0);
        for sequence in [10, 11, 13, 14] {
            source.receive(sequence, u32::from(sequence) * 160, 0);
        }
        assert_eq!(source.lost(), 1);
        let report = source.report(5, 0, 0);
        assert_eq!((report.fraction_lost, report.cumulative_lost, report.highest_sequence), (51, 1, 14));
        assert_eq!(accepted(source.receive(12, 12 * 160, 0)), (1 << 16) + 12);
        assert_eq!(source.lost(), 0);
        assert_eq!(source.report(5, 0, 0).fraction_lost, 0);
    }

    #[test]
    fn one_wild_sequence_number_is_a_jump_and_two_in_a_row_are_a_restart() {
        let mut source = Reception::new(10, 0);
        source.receive(10, 0, 0);
        assert_eq!(source.receive(30_000, 160, 160), Step::Jump);
        assert_eq!(accepted(source.receive(11, 160, 160)), (1 << 16) + 11);
        assert_eq!(source.receive(30_001, 320, 320), Step::Jump);
        assert_eq!(source.receive(30_002, 480, 480), Step::Restarted);
    }

    #[test]
    fn jitter_follows_the_spread_of_arrivals() {
        let mut source = Reception::new(0, 0);
        for n in 0..500u32 {
            let late = if n % 2 == 0 { 0 } else { 80 };
            source.receive(n as u16, n * 160, u64::from(n * 160 + late));
        }
        assert!((75..=80).contains(&source.jitter()), "{}", source.jitter());
    }

    fn take(source: &mut Reception, sequences: impl IntoIterator<Item = u16>) {
        for sequence in sequences {
            source.receive(sequence, u32::from(sequence) * 160, u64::from(sequence) * 160);
        }
    }

    #[test]
    fn each_interval_counts_its_own_losses_and_how_they_bunch() {
        let mut source = Reception::new(1, 160);
        assert_eq!(source.interval(), Interval::default(), "nothing was due yet");
        take(&mut source, (1..=100).filter(|n| n % 10 != 0).chain([101]));
        let scattered = source.interval();
        assert_eq!(scattered, Interval { received: 91, lost: 10, bursts: 10 });
        assert!((scattered.burst_ratio() - 0.9).abs() < 0.01, "one at a time, as chance would have it");
        take(&mut source, (102..=200).filter(|n| !(150..=159).contains(n)));
        let bunched = source.interval();
        assert_eq!(bunched, Interval { received: 89, lost: 10, bursts: 1 });
        assert!(bunched.burst_ratio() > 8.0);
        assert_eq!(source.interval(), Interval::default());
    }

    #[test]
    fn packets_that_come_late_or_twice_are_not_lost() {
        let mut source = Reception::new(1, 160);
        take(&mut source, [1, 2, 4, 3, 5, 5, 6]);
        assert_eq!(source.interval(), Interval { received: 7, lost: 0, bursts: 0 });
        assert_eq!(Interval::default().loss(), None);
    }

    proptest! {
        #[test]
        fn any_packets_leave_the_counts_sane(packets in proptest::collection::vec(any::<(u16, u32, u64)>(), 1..300)) {
            let mut source = Reception::new(packets[0].0, packets[0].1);
            for (sequence, timestamp, arrival) in packets {
                source.receive(sequence, timestamp, arrival);
                prop_assert!(source.expected() >= 1 && source.lost() <= source.expected());
                source.report(0, 0, 0);
                let interval = source.interval();
                prop_assert!(interval.bursts <= interval.lost && interval.burst_ratio() >= 0.0);
            }
        }
    }
}
