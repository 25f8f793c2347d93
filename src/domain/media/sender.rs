//! The one stream that a leg hears, whatever feeds it: SSRC, sequence and timestamp belong to the leg for its life.
//!
//! ```text
//! feed:  … 7 8 10 9 11 …          a constant offset, so that gaps and reordering survive
//! sent:  … 107 108 110 109 111 …
//! another feed: sequence = last + 1, timestamp = last + elapsed time, marker; older packets of it are late
//! ```
//! A new feed never begins inside the packet before it: where it comes sooner than that packet has played, its timestamp is
//! that packet's end, and what is gained is taken back at the next change.

use std::time::Instant;

use super::CLOCK_HZ;
use crate::protocol::rtp::{packet::Header, session::Place};

/// Names one uninterrupted feed of a sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeedKey {
    /// Packets of a leg, relayed: the leg's serial and its source's number.
    Relay {
        /// Which leg; never used twice.
        leg: u64,
        /// Which of its sources.
        source: u32,
    },
    /// Frames that the bridge makes; its number grows whenever it begins anew.
    Bridge {
        /// Which beginning.
        run: u32,
    },
}

/// What goes into the next header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// Payload type on the listener's leg.
    pub payload_type: u8,
    /// Marker as the feed has it.
    pub marker: bool,
    /// Octets of payload.
    pub octets: usize,
    /// Samples of audio in it; none in an event.
    pub samples: u32,
}

#[derive(Clone, Copy, Debug)]
struct Feed {
    key: FeedKey,
    sequence_offset: u16,
    timestamp_offset: u32,
    /// Packets of the feed before this one are late.
    floor: u64,
    highest: u64,
}

/// The sending side of one leg.
#[derive(Clone, Debug)]
pub struct Sender {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// When `timestamp` was first sent; `None` before the first packet.
    stamped_at: Option<Instant>,
    /// Samples in the packet with `timestamp`.
    samples: u32,
    /// How far the stream is ahead of the time that has passed, samples.
    lead: u32,
    feed: Option<Feed>,
    packets: u64,
    octets: u64,
}

impl Sender {
    /// A stream that begins at unpredictable values (RFC 3550 §5.1, §8.1).
    pub fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self { ssrc, sequence, timestamp, stamped_at: None, samples: 0, lead: 0, feed: None, packets: 0, octets: 0 }
    }

    /// Our synchronisation source.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Packets and payload octets sent.
    pub fn sent(&self) -> (u64, u64) {
        (self.packets, self.octets)
    }

    /// The stream's timestamp at `now`; `None` before the first packet.
    pub fn timestamp_at(&self, now: Instant) -> Option<u32> {
        self.stamped_at.map(|at| self.timestamp.wrapping_add(samples_between(at, now)))
    }

    /// Ends the present feed: whatever comes next begins a new one.
    pub fn detach(&mut self) {
        self.feed = None;
    }

    /// Whether this is the present feed: another one begins with a seam.
    pub fn feeds(&self, key: FeedKey) -> bool {
        self.feed.is_some_and(|feed| feed.key == key)
    }

    /// Maps a relayed packet; `None` when it is older than the feed.
    pub fn map(&mut self, now: Instant, key: FeedKey, place: Place, outgoing: Outgoing) -> Option<Header> {
        let (mut feed, is_new) = self.attach(now, key, low16(place.ext_seq), low32(place.ext_ts), place.ext_seq);
        if place.ext_seq < feed.floor {
            return None;
        }
        let sequence = low16(place.ext_seq).wrapping_add(feed.sequence_offset);
        let timestamp = low32(place.ext_ts).wrapping_add(feed.timestamp_offset);
        if is_new || place.ext_seq > feed.highest {
            feed.highest = place.ext_seq;
            self.advance(now, sequence, timestamp, outgoing.samples);
        }
        self.feed = Some(feed);
        Some(self.header(sequence, timestamp, is_new, outgoing))
    }

    /// Leaves out a packet that this listener must not get, so that it does not look lost.
    pub fn skip(&mut self, key: FeedKey, ext_seq: u64) {
        if let Some(feed) = &mut self.feed
            && feed.key == key
            && ext_seq == feed.highest + 1
        {
            feed.highest = ext_seq;
            feed.floor = ext_seq;
            feed.sequence_offset = feed.sequence_offset.wrapping_sub(1);
        }
    }

    /// The next packet of a feed that counts its own samples and loses none of them.
    pub fn produce(&mut self, now: Instant, key: FeedKey, media_timestamp: u32, outgoing: Outgoing) -> Header {
        let (feed, is_new) = self.attach(now, key, 0, media_timestamp, 0);
        let sequence = self.sequence.wrapping_add(1);
        let timestamp = media_timestamp.wrapping_add(feed.timestamp_offset);
        self.advance(now, sequence, timestamp, outgoing.samples);
        self.feed = Some(feed);
        self.header(sequence, timestamp, is_new, outgoing)
    }

    /// The present feed, or a new one that goes on where the last packet and the time since leave off.
    fn attach(&mut self, now: Instant, key: FeedKey, sequence: u16, timestamp: u32, floor: u64) -> (Feed, bool) {
        if let Some(feed) = self.feed
            && feed.key == key
        {
            return (feed, false);
        }
        let next_timestamp = match self.timestamp_at(now) {
            None => self.timestamp,
            Some(at) => {
                let elapsed = at.wrapping_sub(self.timestamp).saturating_sub(self.lead);
                let step = elapsed.max(self.samples).max(1);
                self.lead = step - elapsed;
                self.timestamp.wrapping_add(step)
            }
        };
        let feed = Feed {
            key,
            sequence_offset: self.sequence.wrapping_add(1).wrapping_sub(sequence),
            timestamp_offset: next_timestamp.wrapping_sub(timestamp),
            floor,
            highest: floor,
        };
        (feed, true)
    }

    fn advance(&mut self, now: Instant, sequence: u16, timestamp: u32, samples: u32) {
        self.sequence = sequence;
        let ahead = timestamp.wrapping_sub(self.timestamp) as i32 > 0;
        if ahead || self.stamped_at.is_none() {
            self.timestamp = timestamp;
            self.samples = samples;
            self.stamped_at = Some(now);
        }
    }

    fn header(&mut self, sequence: u16, timestamp: u32, is_new: bool, outgoing: Outgoing) -> Header {
        self.packets += 1;
        self.octets += outgoing.octets as u64;
        Header { marker: outgoing.marker || is_new, payload_type: outgoing.payload_type, sequence, timestamp, ssrc: self.ssrc }
    }
}

fn samples_between(from: Instant, to: Instant) -> u32 {
    let micros = to.saturating_duration_since(from).as_micros() as u64;
    low32(micros.saturating_mul(u64::from(CLOCK_HZ)) / 1_000_000)
}

fn low16(value: u64) -> u16 {
    (value & 0xffff) as u16
}

fn low32(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const A: FeedKey = FeedKey::Relay { leg: 1, source: 1 };
    const B: FeedKey = FeedKey::Relay { leg: 2, source: 1 };
    const VOICE: Outgoing = Outgoing { payload_type: 0, marker: false, octets: 160, samples: 160 };

    struct Bench {
        sender: Sender,
        now: Instant,
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the test's zero")]
    fn bench() -> Bench {
        Bench { sender: Sender::new(7, 65_530, u32::MAX - 100), now: Instant::now() }
    }

    impl Bench {
        fn send(&mut self, key: FeedKey, ext_seq: u64, ext_ts: u64) -> Option<(u16, u32, bool)> {
            let header = self.sender.map(self.now, key, Place { ext_seq, ext_ts }, VOICE)?;
            assert_eq!(header.ssrc, 7);
            Some((header.sequence, header.timestamp, header.marker))
        }
    }

    #[test]
    fn gaps_and_reordering_of_a_feed_survive() {
        let mut bench = bench();
        let sent: Vec<_> = [1000, 1001, 1004, 1003, 1005].iter().map(|&n| bench.send(A, n, n * 160).unwrap().0).collect();
        assert_eq!(sent, [65_531, 65_532, 65_535, 65_534, 0]);
    }

    #[test]
    fn a_new_feed_goes_on_with_the_next_number_the_elapsed_time_and_a_marker() {
        let mut bench = bench();
        let (sequence, timestamp, marker) = bench.send(A, 10, 0).unwrap();
        assert_eq!((sequence, timestamp, marker), (65_531, u32::MAX - 100, true));
        assert_eq!(bench.send(A, 11, 160), Some((65_532, 59, false)));
        bench.now += Duration::from_millis(50);
        assert_eq!(bench.send(B, 900, 77_777), Some((65_533, 59 + 400, true)));
        assert_eq!(bench.send(B, 899, 77_617), None, "older than the change");
        assert_eq!(bench.send(B, 901, 77_937), Some((65_534, 59 + 560, false)));
    }

    #[test]
    fn a_feed_that_was_cut_and_comes_back_leaves_no_gap() {
        let mut bench = bench();
        bench.send(A, 10, 1600);
        bench.sender.detach();
        bench.now += Duration::from_secs(60);
        let (sequence, timestamp, marker) = bench.send(A, 3010, 481_600).unwrap();
        assert_eq!((sequence, marker), (65_532, true));
        assert_eq!(timestamp, (u32::MAX - 100).wrapping_add(480_000));
    }

    #[test]
    fn a_packet_left_out_does_not_look_lost() {
        let mut bench = bench();
        bench.send(A, 10, 1600);
        bench.sender.skip(A, 11);
        assert_eq!(bench.send(A, 12, 3200).unwrap().0, 65_532);
        bench.sender.skip(A, 14);
        assert_eq!(bench.send(A, 15, 3680).unwrap().0, 65_535, "13 was lost before 14: the gap stays");
    }

    #[test]
    fn a_feed_that_comes_early_begins_where_the_packet_before_it_ends_and_lead_does_not_grow() {
        let mut bench = bench();
        let (_, zero, _) = bench.send(A, 10, 0).unwrap();
        let keys = [A, B];
        for n in 1..100u32 {
            bench.now += Duration::from_millis(if n % 2 == 1 { 5 } else { 35 });
            let (_, timestamp, _) = bench.send(keys[n as usize % 2], u64::from(1000 * n), 0).unwrap();
            let wall = (n / 2) * 320 + (n % 2) * 40;
            let ahead = timestamp.wrapping_sub(zero).wrapping_sub(wall) as i32;
            assert!((0..=160).contains(&ahead), "{ahead} samples ahead after {n} changes");
        }
    }

    #[test]
    fn time_after_an_event_counts_from_its_start() {
        let mut bench = bench();
        for n in 0..5 {
            bench.send(A, 10 + n, 1600);
            bench.now += Duration::from_millis(20);
        }
        let (_, timestamp, _) = bench.send(B, 1, 0).unwrap();
        assert_eq!(timestamp, (u32::MAX - 100).wrapping_add(800));
    }

    #[test]
    fn what_the_bridge_makes_is_numbered_without_gaps() {
        let mut bench = bench();
        bench.send(A, 10, 0);
        bench.now += Duration::from_millis(20);
        let key = FeedKey::Bridge { run: 1 };
        let first = bench.sender.produce(bench.now, key, 5000, VOICE);
        let second = bench.sender.produce(bench.now, key, 5160, VOICE);
        assert_eq!((first.sequence, first.marker, second.sequence, second.marker), (65_532, true, 65_533, false));
        assert_eq!(second.timestamp.wrapping_sub(first.timestamp), 160);
        assert_eq!(first.timestamp, (u32::MAX - 100).wrapping_add(160));
    }
}
