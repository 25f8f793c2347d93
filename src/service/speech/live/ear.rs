//! One leg, live: pieces of its track in, utterances out, with the exact sum of where its samples went.
//!
//! Pure: the same pieces give the same utterances. What it keeps is bounded: octets of the utterance that is going on (10 s at
//! most, 8 kB a second), levels of the last 12 s.

use std::{collections::VecDeque, ops::Range};

use super::{activity::StreamingActivity, cutter::Cutter};
use crate::{
    domain::{
        insight::utterance::LegCoverage,
        media::{
            plan::Codec,
            tap::TapOpen,
            time_axis::{Chunk, ChunkKind, SAMPLE_US},
        },
    },
    protocol::audio::g711,
    service::speech::{
        RATE, TrackAudio,
        front_end::{self, Piece, SOUND_MIN, TAIL},
        gates, ms,
        sound::{Sound, linear},
        utterances::PRE_ROLL,
        voice_activity::{ALONE, CLICK, FRAME},
    },
};

/// Frames kept before the next one, where nothing is going on: pre-roll and a burst that is not yet known to count.
const KEEP: usize = PRE_ROLL + CLICK + ALONE + 2;
/// Filled-in time from here on is passed over without looking: a second.
const PASS: usize = RATE;
/// Octets grow and give way by this much: doubling would keep twice the longest utterance of every leg.
const ROOM: usize = RATE / 4;
/// Without audio for so long an open utterance is over: the longest hangover, and the wait for a late packet.
const STALLED_US: u64 = 750_000;

/// Loud windows of 32 ms that an utterance has before it is looked at while it is spoken: the first moment of a tone looks like anything.
const MOVING_MIN: u32 = 16;

/// What an ear tells.
#[derive(Clone, Debug, PartialEq)]
pub enum EarEvent {
    /// An utterance has ended.
    Utterance(Piece),
    /// What began as an utterance at this sample was none.
    Nothing {
        /// In the track.
        from: usize,
    },
}

/// One leg of a call in progress.
#[derive(Debug)]
pub struct LegEar {
    /// Leg, party and begin; its samples are empty.
    track: TrackAudio,
    /// Begin on the call's axis, samples.
    start: u64,
    codec: Codec,
    octets: VecDeque<u8>,
    /// Which sample of the track is the first of `octets`.
    octets_from: usize,
    /// Lost and paused stretches that `octets` reaches into.
    gaps: VecDeque<Range<usize>>,
    part: [i16; FRAME],
    filled: usize,
    activity: StreamingActivity,
    cutter: Cutter,
    coverage: LegCoverage,
    events: VecDeque<EarEvent>,
    /// Takes every frame for voice: for tests of the gates.
    forced_open: bool,
}

/// Why samples were filled in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filled {
    Lost,
    Silence,
    Paused,
}

impl LegEar {
    /// A track that begins.
    pub fn new(head: &TapOpen) -> Self {
        let start_ms = u32::try_from(head.axis_us / 1_000).unwrap_or(u32::MAX);
        Self {
            track: TrackAudio { leg: head.leg, party: head.party, start_ms, samples: Vec::new(), gaps: Vec::new() },
            start: head.axis_us / SAMPLE_US,
            codec: head.codec,
            octets: VecDeque::new(),
            octets_from: 0,
            gaps: VecDeque::new(),
            part: [0; FRAME],
            filled: 0,
            activity: StreamingActivity::default(),
            cutter: Cutter::default(),
            coverage: LegCoverage::none(head.leg),
            events: VecDeque::new(),
            forced_open: false,
        }
    }

    /// Takes every frame for voice from now on: what a broken detector would do.
    #[cfg(test)]
    pub fn force_open(&mut self) {
        self.forced_open = true;
    }

    /// Leg, party and begin, without samples.
    pub fn track(&self) -> &TrackAudio {
        &self.track
    }

    /// Where its samples went so far.
    pub fn coverage(&mut self) -> &mut LegCoverage {
        &mut self.coverage
    }

    /// What it told since it was asked last.
    pub fn next_event(&mut self) -> Option<EarEvent> {
        self.events.pop_front()
    }

    /// The next piece of the track; a hole before it is lost.
    pub fn push(&mut self, chunk: &Chunk) {
        let begins = usize::try_from((chunk.axis_start_us / SAMPLE_US).saturating_sub(self.start)).unwrap_or(usize::MAX);
        let here = self.received();
        self.fill(begins.saturating_sub(here), Filled::Lost);
        let samples = usize::try_from(chunk.duration_us / SAMPLE_US).unwrap_or(usize::MAX);
        let known = here.saturating_sub(begins).min(samples);
        match &chunk.kind {
            ChunkKind::Audio { codec, payload } => self.audio(*codec, payload.get(known..).unwrap_or(&[])),
            ChunkKind::Lost => self.fill(samples - known, Filled::Lost),
            ChunkKind::Silence => self.fill(samples - known, Filled::Silence),
            ChunkKind::Paused => self.fill(samples - known, Filled::Paused),
        }
    }

    /// Lets time pass: an utterance after which nothing more is sent is over.
    pub fn poll(&mut self, axis_us: u64) {
        let heard_to_us = (self.start + self.received() as u64) * SAMPLE_US;
        if self.cutter.running().is_some() && axis_us >= heard_to_us + STALLED_US {
            self.end_utterance();
        }
    }

    /// The track ends at `axis_us`.
    pub fn close(&mut self, axis_us: u64) {
        let ends = usize::try_from((axis_us / SAMPLE_US).saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.fill(ends.saturating_sub(self.received()), Filled::Lost);
        if self.filled > 0 {
            let rest = self.filled;
            self.part[rest..].fill(0);
            self.frame();
        }
        self.end_utterance();
    }

    /// Begin of the utterance that is going on, in samples of the track, and its voiced time so far, milliseconds.
    pub fn running(&self) -> Option<(usize, u32)> {
        self.cutter.running().map(|(from, voiced)| (from * FRAME, ms(voiced * FRAME)))
    }

    /// The utterance that is going on, as far as it was heard.
    pub fn so_far(&self) -> Option<Piece> {
        let (from, _) = self.cutter.running()?;
        self.piece(from..self.cutter.next(), MOVING_MIN)
    }

    /// Samples of the track so far.
    pub fn received(&self) -> usize {
        usize::try_from(self.coverage.received).unwrap_or(usize::MAX)
    }

    fn audio(&mut self, codec: Codec, payload: &[u8]) {
        if codec != self.codec {
            self.codec = codec;
            self.octets.iter_mut().for_each(|octet| *octet = to_law(codec, *octet));
        }
        self.count(payload.len(), None);
        self.hear(payload);
    }

    fn fill(&mut self, mut samples: usize, kind: Filled) {
        let from = self.received();
        if kind != Filled::Silence && samples > 0 {
            self.gaps.push_back(from..from.saturating_add(samples));
        }
        self.count(samples, Some(kind));
        let silence = [silence(self.codec); FRAME];
        let long = samples >= PASS;
        while samples > 0 {
            if long && self.filled == 0 && samples >= FRAME && self.cutter.is_at_rest() {
                self.pass(&mut samples);
                continue;
            }
            let some = samples.min(FRAME - self.filled);
            self.hear(&silence[..some]);
            samples -= some;
        }
    }

    /// Passes over filled-in frames while nobody speaks.
    fn pass(&mut self, samples: &mut usize) {
        if let Some(frame) = self.activity.flush() {
            self.answered(frame.active);
        }
        if !self.cutter.is_at_rest() {
            return;
        }
        let frames = *samples / FRAME;
        self.cutter.skip(frames);
        self.octets_from += self.octets.len() + frames * FRAME;
        self.octets.clear();
        self.octets.shrink_to(ROOM);
        *samples -= frames * FRAME;
    }

    fn count(&mut self, samples: usize, filled: Option<Filled>) {
        let samples = samples as u64;
        self.coverage.received += samples;
        match filled {
            Some(Filled::Lost) => self.coverage.lost += samples,
            Some(Filled::Paused) => self.coverage.paused += samples,
            Some(Filled::Silence) | None => self.coverage.unvoiced += samples,
        }
    }

    fn hear(&mut self, octets: &[u8]) {
        if self.octets.len() + octets.len() > self.octets.capacity() {
            self.octets.reserve_exact(octets.len().max(ROOM));
        }
        self.octets.extend(octets);
        for octet in octets {
            self.part[self.filled] = linear(self.codec, *octet);
            self.filled += 1;
            if self.filled == FRAME {
                self.frame();
            }
        }
    }

    fn frame(&mut self) {
        self.filled = 0;
        if let Some(frame) = self.activity.push(&self.part) {
            self.answered(frame.active);
        }
    }

    fn answered(&mut self, active: bool) {
        let activity = &self.activity;
        if let Some(frames) = self.cutter.push(active || self.forced_open, |back| activity.level_db(back)) {
            self.ended(frames);
        }
        let keep = self.cutter.running().map_or_else(|| self.cutter.next().saturating_sub(KEEP), |(from, _)| from);
        let leave = (keep * FRAME).saturating_sub(self.octets_from).min(self.octets.len());
        self.octets.drain(..leave);
        self.octets_from += leave;
        if self.octets.capacity() > self.octets.len() + 2 * ROOM {
            self.octets.shrink_to(self.octets.len() + ROOM);
        }
        while self.gaps.front().is_some_and(|gap| gap.end <= self.octets_from) {
            self.gaps.pop_front();
        }
    }

    fn end_utterance(&mut self) {
        if let Some(frame) = self.activity.flush() {
            self.answered(frame.active);
        }
        while let Some(frames) = self.cutter.flush() {
            self.ended(frames);
        }
    }

    fn ended(&mut self, frames: Range<usize>) {
        let from = frames.start * FRAME;
        let Some(piece) = self.piece(frames.clone(), 0) else {
            let received = self.doubtful(frames.clone());
            front_end::doubt(&mut self.coverage, self.track.start_ms, received, frames);
            self.events.push_back(EarEvent::Nothing { from });
            return;
        };
        self.coverage.unvoiced -= piece.received;
        self.coverage.voiced += piece.received;
        self.coverage.pending += piece.received;
        self.events.push_back(EarEvent::Utterance(piece));
    }

    /// The frames as a piece; `None` when too few of them are a voice by what is known now.
    fn piece(&self, frames: Range<usize>, moving_min: u32) -> Option<Piece> {
        let last = self.cutter.next().checked_sub(1)?;
        let voiced: Vec<bool> = frames.clone().map(|frame| self.forced_open || self.activity.judge(last - frame)).collect();
        let count = voiced.iter().filter(|voiced| **voiced).count();
        if count < SOUND_MIN {
            return None;
        }
        let range = frames.start * FRAME..(frames.end * FRAME).min(self.received());
        let levels = frames.zip(&voiced).filter(|(_, voiced)| **voiced).map(|(frame, _)| self.activity.level_db(last - frame));
        let power: f32 = levels.map(|db| 10f32.powf(db / 10.0)).sum();
        let level_db = 10.0 * (power / count as f32).max(1e-10).log10();
        let next = self.cutter.running().map_or(usize::MAX, |(from, _)| from * FRAME);
        let sound = self.sound(range.start..(range.end + TAIL).min(next.max(range.end)));
        let samples = sound.samples();
        let voiced_ms = ms(count * FRAME);
        let refused = gates::before(&gates::Sound {
            samples: &samples[..range.len().min(samples.len())],
            voiced_ms,
            level_db,
            floor_db: self.activity.floor_db(),
            moving_min,
        });
        Some(Piece { received: self.kept(&range), range, voiced_ms, voiced, level_db, sound, refused })
    }

    /// Received samples of these frames that are a voice by what is known now.
    fn doubtful(&self, frames: Range<usize>) -> u64 {
        let last = self.cutter.next().saturating_sub(1);
        let active = frames.filter(|frame| self.forced_open || self.activity.judge(last - frame));
        active.map(|frame| self.kept(&(frame * FRAME..((frame + 1) * FRAME).min(self.received())))).sum()
    }

    /// How many of these samples were received.
    fn kept(&self, range: &Range<usize>) -> u64 {
        let gone: usize = self.gaps.iter().map(|gap| gap.end.min(range.end).saturating_sub(gap.start.max(range.start))).sum();
        (range.len() - gone) as u64
    }

    /// What is kept of these samples of the track, as received.
    fn sound(&self, range: Range<usize>) -> Sound {
        let at = |sample: usize| sample.saturating_sub(self.octets_from).min(self.octets.len());
        Sound::Received(self.codec, self.octets.range(at(range.start)..at(range.end)).copied().collect())
    }
}

/// An octet of the other law.
fn to_law(codec: Codec, octet: u8) -> u8 {
    match codec {
        Codec::Pcmu => g711::alaw_to_ulaw(octet),
        Codec::Pcma => g711::ulaw_to_alaw(octet),
    }
}

fn silence(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => g711::ULAW_SILENCE,
        Codec::Pcma => g711::ALAW_SILENCE,
    }
}
