//! The way of audio that cannot be relayed: another law, players, several sources, packets longer than the listener accepts.
//!
//! ```text
//! packets ─▶ JitterBuffer ─┐  every 20 ms                    ┌─▶ Ear of listener 1: packets of its own length
//! clip ────▶ Player ───────┴▶ frames ─▶ mix per set heard ───┴─▶ Ear of listener 2 …
//! ```
//! One for each call. Listeners that hear the same share one mix and one encode; of more than four who speak at once the
//! four loudest are heard. A set never holds the listener itself: that is mix-minus-self.

use std::time::{Duration, Instant};

use super::{
    clip::ClipStore,
    jitter::{FRAME, JitterBuffer},
    plan::{Codec, SourceId, SourcePlan},
    player::Player,
    sound::{FADE, cross, encode},
};

/// Time between two frames.
pub const TICK: Duration = Duration::from_millis(20);
/// Inputs of one call: its legs and players, and as many again that are just being replaced.
pub const INPUTS_MAX: usize = 128;
/// Legs that are heard at once in a conference; of more, nobody understands a word.
const SPEAKERS_MAX: usize = 4;
/// Different sets that are mixed once for all who hear them; more are mixed again for each.
const MIXES_KEPT: usize = 8;
/// Bridges begin up to this many steps of 2.5 ms after one another, so that not all of them work at once.
const STAGGER_STEPS: u32 = 8;

/// Inputs by their place.
pub type Inputs = u128;

/// What an input is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InputKey {
    /// The leg with this serial.
    Leg(u64),
    /// A player.
    Player(SourceId),
}

#[derive(Debug)]
enum Feed {
    Leg { serial: u64, source: u32, buffer: JitterBuffer, noise: Option<Noise> },
    Player(Player),
}

/// What a source that says nothing sounds like (RFC 3389).
#[derive(Clone, Copy, Debug)]
struct Noise {
    level: u8,
    peak: i32,
    state: u32,
}

impl Noise {
    fn new(level: u8) -> Self {
        // White noise of peak p has the power of p/√3; the level is −dBov of that power.
        let peak = 32_768.0 * 1.732 * 10f32.powf(-f32::from(level.min(127)) / 20.0);
        Self { level, peak: (peak as i32).clamp(0, 16_384), state: 0x1234_5678 }
    }

    fn fill(&mut self, out: &mut [i16; FRAME]) {
        for sample in out {
            self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let unit = i32::from((self.state >> 16) as u16) - 32_768;
            *sample = (unit * self.peak / 32_768) as i16;
        }
    }
}

#[derive(Debug)]
struct Input {
    feed: Feed,
    frame: [i16; FRAME],
    /// Loudness of the last frames, mean magnitude.
    loudness: u32,
    /// Whether it is among those who are heard.
    chosen: bool,
}

/// One set of inputs, mixed.
#[derive(Debug)]
struct Mix {
    inputs: Inputs,
    samples: [i16; FRAME],
    encoded: [Option<[u8; FRAME]>; 2],
}

/// What is heard in one frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Heard {
    /// Inputs with speech or music.
    pub voices: Inputs,
    /// Inputs with comfort noise alone.
    pub noises: Inputs,
}

/// The bridge of one call.
#[derive(Debug)]
pub struct Bridge {
    inputs: Vec<Option<Input>>,
    mixes: Vec<Mix>,
    mixed: usize,
    /// When the next frame is made; absolute, so that lateness does not add up.
    due_at: Instant,
    /// Samples since the beginning.
    clock: u32,
    /// Tells the timers of one bridge from those of another.
    run: u32,
    encodes: u64,
}

impl Bridge {
    /// A bridge without inputs; `run` is never used twice.
    pub fn new(now: Instant, run: u32) -> Self {
        let due_at = now + Duration::from_micros(2_500) * (run % STAGGER_STEPS);
        Self { inputs: Vec::new(), mixes: Vec::with_capacity(MIXES_KEPT), mixed: 0, due_at, clock: 0, run, encodes: 0 }
    }

    /// When [`Self::pull`] is due.
    pub fn due_at(&self) -> Instant {
        self.due_at
    }

    /// Tells it from other bridges.
    pub fn run(&self) -> u32 {
        self.run
    }

    /// The timestamp of the next frame.
    pub fn clock(&self) -> u32 {
        self.clock
    }

    /// How many frames were encoded since the last call.
    pub fn take_encodes(&mut self) -> u64 {
        std::mem::take(&mut self.encodes)
    }

    /// Makes sure that the leg is an input and returns its place; `warm` when a listener has heard it until now.
    pub fn leg_input(&mut self, serial: u64, warm: bool) -> Option<usize> {
        if let Some(place) = self.place(InputKey::Leg(serial)) {
            return Some(place);
        }
        self.add(Feed::Leg { serial, source: 0, buffer: JitterBuffer::new(warm), noise: None })
    }

    /// Makes sure that the player is an input and returns its place.
    pub fn player_input(&mut self, plan: SourcePlan, clips: &ClipStore) -> Option<usize> {
        if let Some(place) = self.place(InputKey::Player(plan.id)) {
            let input = self.inputs[place].as_ref();
            if input.is_some_and(|input| matches!(&input.feed, Feed::Player(player) if *player.plan() == plan)) {
                return Some(place);
            }
            self.inputs[place] = None;
        }
        self.add(Feed::Player(Player::new(plan, clips.get(plan.clip))))
    }

    /// The place of an input.
    pub fn place(&self, key: InputKey) -> Option<usize> {
        self.inputs.iter().position(|input| input.as_ref().is_some_and(|input| input.key() == key))
    }

    fn add(&mut self, feed: Feed) -> Option<usize> {
        let input = Some(Input { feed, frame: [0; FRAME], loudness: 0, chosen: true });
        match self.inputs.iter().position(Option::is_none) {
            Some(place) => {
                self.inputs[place] = input;
                Some(place)
            }
            None if self.inputs.len() < INPUTS_MAX => {
                self.inputs.push(input);
                Some(self.inputs.len() - 1)
            }
            None => None,
        }
    }

    /// Drops every input that is not among `wanted`; true when any is left.
    pub fn keep(&mut self, wanted: Inputs) -> bool {
        for (place, input) in self.inputs.iter_mut().enumerate() {
            if wanted & 1 << place == 0 {
                *input = None;
            }
        }
        wanted != 0
    }

    /// Takes a leg's packet; false when it came too late.
    pub fn push(&mut self, now: Instant, place: usize, source: u32, codec: Codec, ext_ts: u64, payload: &[u8]) -> bool {
        let Some(Input { feed: Feed::Leg { source: known, buffer, noise, .. }, .. }) = self.inputs.get_mut(place).and_then(Option::as_mut)
        else {
            return false;
        };
        if *known != source {
            *known = source;
            buffer.clear();
        }
        *noise = None;
        buffer.push(now, codec, ext_ts, payload)
    }

    /// The leg says nothing from now on, with noise of this level (−dBov).
    pub fn push_noise(&mut self, place: usize, level: u8) {
        if let Some(Input { feed: Feed::Leg { noise, .. }, .. }) = self.inputs.get_mut(place).and_then(Option::as_mut)
            && noise.is_none_or(|noise| noise.level != level)
        {
            *noise = Some(Noise::new(level));
        }
    }

    /// The level of the first of these inputs that is comfort noise.
    pub fn noise_level(&self, of: Inputs) -> Option<u8> {
        self.inputs.iter().enumerate().filter(|(place, _)| of & 1 << place != 0).find_map(|(_, input)| match input.as_ref()?.feed {
            Feed::Leg { noise, .. } => noise.map(|noise| noise.level),
            Feed::Player(_) => None,
        })
    }

    /// Takes the frame that is due out of every input.
    pub fn pull(&mut self, now: Instant) -> Heard {
        self.clock = self.clock.wrapping_add(FRAME as u32);
        self.due_at += TICK;
        if self.due_at < now {
            // The thread was held up for more than a frame: what was missed is not made up in a burst.
            self.due_at = now + TICK;
        }
        self.mixed = 0;
        let mut heard = Heard::default();
        let mut speaking = 0;
        for (place, input) in self.inputs.iter_mut().enumerate() {
            let Some(input) = input else { continue };
            match input.pull(now) {
                Sound::Speech => {
                    heard.voices |= 1 << place;
                    speaking += 1;
                }
                Sound::Music => heard.voices |= 1 << place,
                Sound::Noise => heard.noises |= 1 << place,
                Sound::Nothing => {}
            }
        }
        if speaking > SPEAKERS_MAX || self.inputs.iter().flatten().any(|input| !input.chosen) {
            heard.voices = self.choose(heard.voices);
        }
        heard
    }

    /// The loudest speakers, those who are heard already before others; who joins or leaves is faded.
    fn choose(&mut self, voices: Inputs) -> Inputs {
        let mut loudest = [(0u32, usize::MAX); SPEAKERS_MAX];
        for (place, input) in self.inputs.iter().enumerate() {
            let Some(input) = input.as_ref().filter(|input| voices & 1 << place != 0 && !input.is_player()) else { continue };
            let mut one = (input.loudness.saturating_mul(1 + u32::from(input.chosen)).saturating_add(1), place);
            for held in &mut loudest {
                if one.0 > held.0 {
                    std::mem::swap(held, &mut one);
                }
            }
        }
        let mut audible = voices;
        for (place, input) in self.inputs.iter_mut().enumerate() {
            let Some(input) = input.as_mut().filter(|input| voices & 1 << place != 0 && !input.is_player()) else { continue };
            let chosen = loudest.iter().any(|(_, at)| *at == place);
            match (input.chosen, chosen) {
                (true, false) => input.frame.iter_mut().enumerate().for_each(|(at, sample)| *sample = cross(*sample, 0, at)),
                (false, true) => input.frame.iter_mut().enumerate().for_each(|(at, sample)| *sample = cross(0, *sample, at)),
                (false, false) => audible &= !(1 << place),
                (true, true) => {}
            }
            input.chosen = chosen;
        }
        audible
    }

    /// Players that have just played to their end.
    pub fn ended(&mut self) -> Option<SourceId> {
        self.inputs.iter_mut().flatten().find_map(|input| match &mut input.feed {
            Feed::Player(player) => player.just_ended().then_some(player.plan().id),
            Feed::Leg { .. } => None,
        })
    }

    fn mix(&mut self, set: Inputs) -> usize {
        if let Some(place) = self.mixes.iter().take(self.mixed).position(|mix| mix.inputs == set) {
            return place;
        }
        let place = self.mixed.min(MIXES_KEPT - 1);
        let samples = sum(&self.inputs, set);
        let mix = Mix { inputs: set, samples, encoded: [None; 2] };
        match self.mixes.get_mut(place) {
            Some(known) => *known = mix,
            None => self.mixes.push(mix),
        }
        self.mixed = place + 1;
        place
    }

    /// What who hears this set hears in the present frame.
    pub fn samples(&mut self, set: Inputs) -> &[i16; FRAME] {
        let place = self.mix(set);
        &self.mixes[place].samples
    }

    /// The same, encoded.
    pub fn octets(&mut self, set: Inputs, codec: Codec) -> [u8; FRAME] {
        let place = self.mix(set);
        let mix = &mut self.mixes[place];
        let encodes = &mut self.encodes;
        *mix.encoded[codec as usize].get_or_insert_with(|| {
            *encodes += 1;
            mix.samples.map(|sample| encode(codec, sample))
        })
    }
}

fn sum(inputs: &[Option<Input>], set: Inputs) -> [i16; FRAME] {
    let mut heard = inputs.iter().enumerate().filter(|(place, _)| set & 1 << place != 0).filter_map(|(_, input)| input.as_ref());
    let Some(first) = heard.next() else { return [0; FRAME] };
    let Some(second) = heard.next() else { return first.frame };
    let mut sums = [0i32; FRAME];
    for input in [first, second].into_iter().chain(heard) {
        for (sum, sample) in sums.iter_mut().zip(&input.frame) {
            *sum += i32::from(*sample);
        }
    }
    sums.map(|sum| sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16)
}

enum Sound {
    Speech,
    Music,
    Noise,
    Nothing,
}

impl Input {
    fn key(&self) -> InputKey {
        match &self.feed {
            Feed::Leg { serial, .. } => InputKey::Leg(*serial),
            Feed::Player(player) => InputKey::Player(player.plan().id),
        }
    }

    fn is_player(&self) -> bool {
        matches!(self.feed, Feed::Player(_))
    }

    fn pull(&mut self, now: Instant) -> Sound {
        match &mut self.feed {
            Feed::Player(player) => match player.pull(&mut self.frame) {
                true => Sound::Music,
                false => Sound::Nothing,
            },
            Feed::Leg { buffer, noise, .. } => {
                let speaks = buffer.pull(now, &mut self.frame);
                let mean = self.frame.iter().map(|sample| u32::from(sample.unsigned_abs())).sum::<u32>() / FRAME as u32;
                self.loudness = mean.max(self.loudness - self.loudness / 8);
                match noise {
                    _ if speaks => Sound::Speech,
                    Some(noise) => {
                        noise.fill(&mut self.frame);
                        Sound::Noise
                    }
                    None => Sound::Nothing,
                }
            }
        }
    }
}

const _: () = assert!(FADE <= FRAME, "a fade ends within its frame");
