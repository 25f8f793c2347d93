//! The way of audio that cannot be relayed: another law, several sources, packets longer than the listener accepts.
//!
//! ```text
//! packets ─▶ JitterBuffer (linear samples on the source's timestamps, 40 ms behind)
//!                └─ every 20 ms ─▶ sum over sources ─▶ listener's law ─▶ Sender::produce
//! ```

use std::time::{Duration, Instant};

use super::{CLOCK_HZ, plan::Codec};
use crate::protocol::audio::g711;

/// Samples that a jitter buffer holds: half a second.
const CAPACITY: usize = 4096;
/// How far playing begins behind the first packet, samples: 40 ms of jitter are evened out.
const DELAY: u64 = 320;
/// A buffer that holds more than this is too far behind (clock drift, a burst after a stall) and begins anew: 240 ms.
const BACKLOG_MAX: u64 = 1920;
/// So many late packets in a row mean that the source's clock moved, not that packets are late.
const LATE_RUN_MAX: u8 = 3;
/// Marks a place in the ring that no packet has filled; no G.711 octet decodes to it.
const MISSING: i16 = i16::MIN;
/// Longest frame that the bridge makes, samples: 20 ms.
pub const FRAME_MAX: usize = 160;

/// Evens out the arrival of one source's packets.
#[derive(Debug)]
pub struct JitterBuffer {
    ring: Box<[i16; CAPACITY]>,
    /// Extended timestamp of the next sample to play, and the end of the newest packet; `None` before the first packet.
    window: Option<(u64, u64)>,
    late_run: u8,
}

impl Default for JitterBuffer {
    fn default() -> Self {
        Self { ring: Box::new([MISSING; CAPACITY]), window: None, late_run: 0 }
    }
}

impl JitterBuffer {
    /// Forgets everything: another source begins.
    pub fn clear(&mut self) {
        self.ring.fill(MISSING);
        self.window = None;
        self.late_run = 0;
    }

    /// Takes a packet; false when all of it came too late to be played.
    pub fn push(&mut self, codec: Codec, ext_ts: u64, payload: &[u8]) -> bool {
        let end = ext_ts + payload.len() as u64;
        let (mut next, newest) = self.window.unwrap_or((ext_ts.saturating_sub(DELAY), end));
        if end <= next {
            self.late_run += 1;
            if self.late_run < LATE_RUN_MAX {
                return false;
            }
            self.clear();
            next = ext_ts.saturating_sub(DELAY);
        } else if end > next + BACKLOG_MAX {
            self.clear();
            next = ext_ts.saturating_sub(DELAY);
        }
        let newest = if self.window.is_some() { newest.max(end) } else { end };
        self.window = Some((next, newest));
        self.late_run = 0;
        for (at, &octet) in (ext_ts..).zip(payload).skip_while(|(at, _)| *at < next) {
            self.ring[at as usize % CAPACITY] = decode(codec, octet);
        }
        true
    }

    /// Adds the next samples to `mix`; missing ones are silence. False when none of them was there.
    pub fn pull(&mut self, mix: &mut [i32]) -> bool {
        let Some((next, newest)) = &mut self.window else { return false };
        let mut any = false;
        for sum in mix {
            let place = &mut self.ring[*next as usize % CAPACITY];
            if *place != MISSING {
                *sum += i32::from(*place);
                *place = MISSING;
                any = true;
            }
            *next += 1;
        }
        if *next >= *newest + DELAY + CAPACITY as u64 {
            self.window = None;
        }
        any
    }
}

/// What one listener hears through the bridge.
#[derive(Debug)]
pub struct Bridge {
    inputs: Vec<Input>,
    codec: Codec,
    frame: usize,
    /// When the next frame is made; absolute, so that lateness does not add up.
    due_at: Instant,
    timestamp: u32,
    talking: bool,
    event: Option<Event>,
}

/// One frame for the listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// On the bridge's own clock, for [`Sender::produce`](super::sender::Sender::produce).
    pub timestamp: u32,
    /// Whether it is the first after silence.
    pub marker: bool,
    /// The payload.
    pub octets: &'a [u8],
}

#[derive(Debug)]
struct Input {
    leg: u64,
    source: u32,
    buffer: JitterBuffer,
}

/// A key press under way: its packets keep the timestamp at which it began here.
#[derive(Clone, Copy, Debug)]
struct Event {
    leg: u64,
    ext_ts: u64,
    timestamp: u32,
}

impl Bridge {
    /// A bridge from `sources` (leg serials) into `codec`, with frames of `ptime_ms`, at most 20.
    pub fn new(now: Instant, sources: &[u64], codec: Codec, ptime_ms: u16) -> Self {
        let inputs = sources.iter().map(|&leg| Input { leg, source: 0, buffer: JitterBuffer::default() }).collect();
        let frame = usize::from(ptime_ms).saturating_mul(CLOCK_HZ as usize / 1000).clamp(FRAME_MAX / 2, FRAME_MAX);
        let mut bridge = Self { inputs, codec, frame, due_at: now, timestamp: 0, talking: false, event: None };
        bridge.due_at += bridge.frame_time();
        bridge
    }

    /// Whether it bridges exactly these sources into this codec.
    pub fn is_for(&self, sources: &[u64], codec: Codec) -> bool {
        self.codec == codec && self.inputs.iter().map(|input| input.leg).eq(sources.iter().copied())
    }

    /// When [`Self::tick`] is due.
    pub fn due_at(&self) -> Instant {
        self.due_at
    }

    fn frame_time(&self) -> Duration {
        Duration::from_micros(self.frame as u64 * 1_000_000 / u64::from(CLOCK_HZ))
    }

    /// Takes a source's packet; false when it came too late.
    pub fn push(&mut self, leg: u64, source: u32, codec: Codec, ext_ts: u64, payload: &[u8]) -> bool {
        let Some(input) = self.inputs.iter_mut().find(|input| input.leg == leg) else { return false };
        if input.source != source {
            input.source = source;
            input.buffer.clear();
        }
        input.buffer.push(codec, ext_ts, payload)
    }

    /// The timestamp at which a key press began, as the listener sees it; true with its first packet.
    pub fn event(&mut self, leg: u64, ext_ts: u64) -> (u32, bool) {
        match self.event {
            Some(event) if event.leg == leg && event.ext_ts == ext_ts => (event.timestamp, false),
            Some(_) | None => {
                self.event = Some(Event { leg, ext_ts, timestamp: self.timestamp });
                (self.timestamp, true)
            }
        }
    }

    /// Makes the frame that is due, into `out`; `None` when nobody spoke.
    pub fn tick<'a>(&mut self, now: Instant, out: &'a mut [u8; FRAME_MAX]) -> Option<Frame<'a>> {
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(self.frame as u32);
        self.due_at += self.frame_time();
        if self.due_at < now {
            // The thread was held up for more than a frame: what was missed is not made up in a burst.
            self.due_at = now + self.frame_time();
        }
        let mut mix = [0i32; FRAME_MAX];
        let mix = &mut mix[..self.frame];
        let mut any = false;
        for input in &mut self.inputs {
            any |= input.buffer.pull(mix);
        }
        let marker = !self.talking;
        self.talking = any;
        let out = out.get_mut(..self.frame).filter(|_| any)?;
        for (octet, sum) in out.iter_mut().zip(mix) {
            *octet = encode(self.codec, (*sum).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16);
        }
        Some(Frame { timestamp, marker, octets: out })
    }
}

fn decode(codec: Codec, octet: u8) -> i16 {
    match codec {
        Codec::Pcmu => g711::ulaw_to_linear(octet),
        Codec::Pcma => g711::alaw_to_linear(octet),
    }
}

fn encode(codec: Codec, sample: i16) -> u8 {
    match codec {
        Codec::Pcmu => g711::linear_to_ulaw(sample),
        Codec::Pcma => g711::linear_to_alaw(sample),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pull(buffer: &mut JitterBuffer, samples: usize) -> (Vec<i32>, bool) {
        let mut mix = vec![0; samples];
        let any = buffer.pull(&mut mix);
        (mix, any)
    }

    #[test]
    fn packets_out_of_order_are_played_in_order_after_forty_milliseconds() {
        let mut buffer = JitterBuffer::default();
        let loud = g711::linear_to_ulaw(4000);
        let soft = g711::linear_to_ulaw(400);
        assert!(buffer.push(Codec::Pcmu, 10_000, &[loud; 160]));
        assert!(buffer.push(Codec::Pcmu, 10_320, &[loud; 160]));
        assert!(buffer.push(Codec::Pcmu, 10_160, &[soft; 160]));
        assert!(!pull(&mut buffer, 320).1, "the delay");
        let (played, any) = pull(&mut buffer, 480);
        assert!(any && played[..160].iter().all(|&s| s > 3000) && played[160..320].iter().all(|&s| s < 500 && s > 300));
        assert!(!buffer.push(Codec::Pcmu, 10_160, &[soft; 160]), "too late");
        assert!(!pull(&mut buffer, 160).1, "and not played");
    }

    #[test]
    fn a_source_whose_clock_moved_back_is_heard_again_after_three_packets() {
        let mut buffer = JitterBuffer::default();
        buffer.push(Codec::Pcma, 100_000, &[0; 160]);
        pull(&mut buffer, 480);
        let taken: Vec<_> = (0..4).map(|n| buffer.push(Codec::Pcma, 5000 + n * 160, &[0; 160])).collect();
        assert_eq!(taken, [false, false, true, true]);
    }

    #[test]
    fn a_burst_after_a_stall_does_not_leave_a_lasting_delay() {
        let mut buffer = JitterBuffer::default();
        for n in 0..50 {
            buffer.push(Codec::Pcma, 100_000 + n * 160, &[0; 160]);
        }
        let (next, newest) = buffer.window.unwrap_or((0, 0));
        assert!(newest.saturating_sub(next) <= BACKLOG_MAX);
    }

    proptest! {
        #[test]
        fn any_timestamps_are_played_or_refused_and_never_panic(
            packets in proptest::collection::vec((0u64..1 << 40, 1usize..640, any::<bool>()), 0..60),
        ) {
            let mut buffer = JitterBuffer::default();
            for (ext_ts, len, play) in packets {
                buffer.push(Codec::Pcmu, (1 << 32) + ext_ts, &vec![0x55; len]);
                if play {
                    pull(&mut buffer, 160);
                }
            }
        }
    }
}
