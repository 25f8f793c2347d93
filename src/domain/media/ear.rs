//! How one listener gets what the bridge makes for it: packets of its own length, faded where what it hears changes.

use super::{
    CLOCK_HZ,
    bridge::{Bridge, Heard, Inputs},
    jitter::FRAME,
    plan::{Codec, LegPlan},
    sound::{Fade, decode, encode},
};

/// Longest packet that is made, samples: 60 ms.
pub const PACKET_MAX: usize = 480;
/// Frames between two comfort noise packets of the same level: 500 ms.
const NOISE_FRAMES: u32 = 25;

/// The listening side of one leg in the bridge.
#[derive(Debug)]
pub struct Ear {
    hears: Inputs,
    /// Samples of a packet.
    size: usize,
    buffer: [u8; PACKET_MAX + FRAME],
    filled: usize,
    /// Of the first sample in the buffer, on the bridge's clock.
    timestamp: u32,
    marker: bool,
    talking: bool,
    fade: Fade,
    last: i16,
    /// The comfort noise that was sent last, and how long ago, frames.
    noise: Option<(u8, u32)>,
    event: Option<Event>,
}

/// A key press under way: its packets keep the timestamp at which it began here.
#[derive(Clone, Copy, Debug)]
struct Event {
    leg: u64,
    source: u32,
    ext_ts: u64,
    timestamp: u32,
}

/// What is to be sent in one frame beside finished packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quiet {
    /// Nothing.
    Nothing,
    /// Comfort noise of this level.
    Noise(u8),
}

impl Ear {
    /// An ear that goes on after a stream that ended with the sample `last`, if there was one until now.
    pub fn new(plan: &LegPlan, last: Option<i16>) -> Self {
        let mut fade = Fade::default();
        if let Some(last) = last {
            fade.begin(last);
        }
        Self {
            hears: 0,
            size: packet_samples(plan),
            buffer: [0; PACKET_MAX + FRAME],
            filled: 0,
            timestamp: 0,
            marker: true,
            talking: false,
            fade,
            last: last.unwrap_or(0),
            noise: None,
            event: None,
        }
    }

    /// Sets what it hears; a change is faded, unless it hears nothing yet.
    pub fn set(&mut self, hears: Inputs, plan: &LegPlan) {
        if self.hears != hears && self.hears != 0 {
            self.fade.begin(self.last);
        }
        self.hears = hears;
        self.size = packet_samples(plan);
    }

    /// What it hears.
    pub fn hears(&self) -> Inputs {
        self.hears
    }

    /// The sample that was heard last.
    pub fn last(&self) -> i16 {
        self.last
    }

    /// Takes its part of the bridge's present frame; packets are ready in [`Self::packet`] afterwards.
    pub fn take(&mut self, bridge: &mut Bridge, heard: Heard, plan: &LegPlan) -> Quiet {
        let (voices, noises) = (self.hears & heard.voices, self.hears & heard.noises);
        let set = match (voices, plan.comfort_noise) {
            (0, Some(_)) => 0,
            (0, None) => noises,
            (_, _) => voices,
        };
        if set == 0 {
            self.be_silent(plan.codec);
            return self.quiet(bridge.noise_level(noises).filter(|_| plan.comfort_noise.is_some()));
        }
        self.noise = None;
        if !self.talking {
            self.talking = true;
            self.marker = true;
        }
        if self.filled == 0 {
            self.timestamp = bridge.clock();
        }
        let octets = if self.fade.is_running() {
            let samples = *bridge.samples(set);
            samples.map(|sample| encode(plan.codec, self.fade.next(sample)))
        } else {
            bridge.octets(set, plan.codec)
        };
        self.last = decode(plan.codec, octets[FRAME - 1]);
        let to = self.filled + FRAME;
        if let Some(place) = self.buffer.get_mut(self.filled..to) {
            place.copy_from_slice(&octets);
            self.filled = to;
        }
        Quiet::Nothing
    }

    /// Nobody speaks: a packet that was begun is filled up with silence.
    fn be_silent(&mut self, codec: Codec) {
        self.talking = false;
        if self.filled > 0 {
            self.buffer[self.filled..].fill(encode(codec, 0));
            self.filled = self.size;
        }
        self.last = 0;
    }

    fn quiet(&mut self, level: Option<u8>) -> Quiet {
        let Some(level) = level else {
            self.noise = None;
            return Quiet::Nothing;
        };
        let (known, age) = self.noise.map_or((None, 0), |(known, age)| (Some(known), age + 1));
        let due = known != Some(level) || age >= NOISE_FRAMES;
        self.noise = Some((level, if due { 0 } else { age }));
        if due { Quiet::Noise(level) } else { Quiet::Nothing }
    }

    /// The next finished packet: its timestamp, whether it is the first after silence, its octets.
    pub fn packet(&mut self, out: &mut [u8; PACKET_MAX]) -> Option<(u32, bool, usize)> {
        if self.filled < self.size {
            return None;
        }
        out[..self.size].copy_from_slice(&self.buffer[..self.size]);
        self.buffer.copy_within(self.size..self.filled.max(self.size), 0);
        self.filled -= self.size;
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(self.size as u32);
        Some((timestamp, std::mem::take(&mut self.marker), self.size))
    }

    /// The timestamp at which a key press began, as the listener sees it, and whether this is its first packet; `None` when
    /// it belongs to a press before the present one.
    pub fn event(&mut self, leg: u64, source: u32, ext_ts: u64, clock: u32) -> Option<(u32, bool)> {
        match self.event {
            Some(event) if event.leg == leg && event.source == source && event.ext_ts > ext_ts => None,
            Some(event) if event.leg == leg && event.source == source && event.ext_ts == ext_ts => Some((event.timestamp, false)),
            Some(_) | None => {
                self.event = Some(Event { leg, source, ext_ts, timestamp: clock });
                Some((clock, true))
            }
        }
    }
}

/// What the peer prefers, within what it accepts and within 10 to 60 ms.
fn packet_samples(plan: &LegPlan) -> usize {
    let preferred = if plan.ptime_ms == 0 { 20 } else { plan.ptime_ms };
    let most = if plan.max_ptime_ms == 0 { preferred } else { plan.max_ptime_ms };
    usize::from(preferred.min(most)).saturating_mul(CLOCK_HZ as usize / 1000).clamp(FRAME / 2, PACKET_MAX)
}
