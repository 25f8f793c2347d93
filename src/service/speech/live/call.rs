//! One call, live: pieces of its tracks in; requests to the workers and words for the desks out. Pure: time is an argument.
//!
//! ```text
//! chunk ─▶ LegEar ─▶ utterance ─▶ gate ─▶ Ask ····answer····▶ gates ─▶ echo ─▶ mask ─▶ Words
//!             └─ still spoken after 2 s ─▶ Ask (partial) ···▶ gates ─────────▶ mask ─▶ Words
//! ```
//! What could not be had in time is shown as "later" and done from the recording.

use std::collections::VecDeque;

use super::{
    due::{Due, SHOW_WITHIN_US},
    ear::{EarEvent, LegEar},
    shown::{Ended, Mask, Settled, Shown},
};
use crate::{
    domain::{
        insight::utterance::{LegCoverage, Utterance},
        live::{LATER, LiveUtterance, LiveWords},
        media::{tap::TapOpen, time_axis::Chunk},
    },
    fault::{self, Fault},
    ids::{InteractionId, LegId},
    service::speech::{
        RATE, TrackAudio,
        call::utterance,
        front_end::Piece,
        gates::{self, Rejection},
        model::Thresholds,
        ms,
        sound::Sound,
        transcribe::{Heard, Key, Request, TranscribeError},
    },
};

/// Legs of one call that are listened to; transfers and consultations add some.
const LEGS: usize = 16;
/// Utterances of a call that wait for words: more are left to the recording.
const WAITING: usize = 16;
/// An utterance without an answer for so long is left to the recording.
const GIVE_UP_US: u64 = 20_000_000;
/// Voice that an utterance needs before its first words are asked for.
const PARTIAL_FROM_MS: u32 = 2_000;
/// New audio before they are asked for again.
const PARTIAL_EVERY: usize = RATE;
/// Partial words are of no use any more after so long.
const PARTIAL_WITHIN_US: u64 = 1_000_000;
/// A lag above this is told even when there are no new words …
const LAG_TOLD_MS: u32 = 3_000;
/// … this often.
const LAG_EVERY_US: u64 = 1_000_000;

/// What a live call wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Out {
    /// Words of an utterance; its refusal is told by [`LiveCall::answer`] too.
    Ask {
        /// To the workers.
        request: Request,
        /// Whether it is still being spoken.
        partial: bool,
        /// When it should be answered, on the call's axis, microseconds.
        deadline_us: u64,
    },
    /// For the desks.
    Words(LiveWords),
}

/// A call in progress.
#[derive(Debug)]
pub struct LiveCall {
    interaction: InteractionId,
    /// Whether words are asked for before an utterance ends.
    partial: bool,
    legs: Vec<Leg>,
    waiting: Vec<Waiting>,
    due: Due,
    shown: Shown,
    out: VecDeque<Out>,
    told_us: u64,
}

#[derive(Debug)]
struct Leg {
    ear: LegEar,
    open: bool,
    /// Samples of the track when partial words were asked for last.
    asked_at: usize,
    /// What the workers are asked about an utterance that is still spoken.
    asked: Option<(Key, Piece)>,
    /// The utterance of which partial words are shown.
    shows: Option<Key>,
}

#[derive(Debug)]
struct Waiting {
    key: Key,
    leg: usize,
    /// Without its sound.
    piece: Piece,
    /// What the workers got, shared with them; gone once they were asked a second time.
    sound: Option<Sound>,
    end_us: u64,
}

impl LiveCall {
    /// A call that begins; `mask` takes out what must not be shown.
    pub fn new(interaction: InteractionId, partial: bool, mask: Box<dyn Mask>) -> Self {
        Self {
            interaction,
            partial,
            legs: Vec::new(),
            waiting: Vec::new(),
            due: Due::default(),
            shown: Shown::new(mask),
            out: VecDeque::new(),
            told_us: 0,
        }
    }

    /// A track begins; false when the call has too many.
    pub fn open(&mut self, head: &TapOpen) -> bool {
        if self.legs.len() >= LEGS {
            return false;
        }
        self.legs.push(Leg { ear: LegEar::new(head), open: true, asked_at: 0, asked: None, shows: None });
        true
    }

    /// The next piece of a track.
    pub fn chunk(&mut self, leg: LegId, chunk: &Chunk, now_us: u64) {
        if let Some(at) = self.open_leg(leg) {
            self.legs[at].ear.push(chunk);
            self.listen(at, now_us);
        }
    }

    /// A track ends.
    pub fn close(&mut self, leg: LegId, axis_us: u64) {
        if let Some(at) = self.open_leg(leg) {
            self.legs[at].ear.close(axis_us);
            self.legs[at].open = false;
            self.listen(at, axis_us);
        }
    }

    /// Lets time pass; `has_time`: whether workers could look at what is still spoken. How many such looks were left out.
    pub fn poll(&mut self, now_us: u64, has_time: bool) -> usize {
        let mut left_out = 0;
        for at in (0..self.legs.len()).filter(|at| self.legs[*at].open).collect::<Vec<_>>() {
            self.legs[at].ear.poll(now_us);
            self.listen(at, now_us);
            left_out += usize::from(!self.ask_early(at, now_us, has_time));
        }
        while let Some(at) = self.waiting.iter().position(|w| now_us >= w.end_us + GIVE_UP_US) {
            let waiting = self.waiting.remove(at);
            self.leave(waiting, now_us);
        }
        if self.lag_ms(now_us) > LAG_TOLD_MS && now_us >= self.told_us + LAG_EVERY_US {
            self.tell(Vec::new(), now_us);
        }
        left_out
    }

    /// The workers' answer about an utterance that has ended; false when none of this key waits.
    pub fn answer(&mut self, key: Key, answer: Result<Heard, TranscribeError>, thresholds: Option<&Thresholds>, now_us: u64) -> bool {
        let Some(at) = self.waiting.iter().position(|w| w.key == key) else { return false };
        let mut waiting = self.waiting.remove(at);
        let (Ok(mut heard), Some(thresholds)) = (answer, thresholds) else {
            self.leave(waiting, now_us);
            return true;
        };
        let judge = |heard: &Heard| gates::after(heard, waiting.piece.voiced_ms, ms(waiting.piece.range.len()), thresholds);
        let mut why = judge(&heard);
        if why == Some(Rejection::Repeats) {
            // Once more at the full context; then what comes before the loop is all there is.
            if let Some(sound) = waiting.sound.take() {
                self.out.push_back(Out::Ask {
                    request: Request { key, sound, full_context: true, model: None },
                    partial: false,
                    deadline_us: now_us + SHOW_WITHIN_US,
                });
                self.waiting.insert(at, waiting);
                return true;
            }
            gates::cut_before_loop(&mut heard);
            why = judge(&heard);
        }
        self.settle(&waiting, &heard, why, now_us);
        true
    }

    /// The workers' answer about an utterance that was still spoken; false when nobody waits for it any more.
    pub fn early_answer(&mut self, key: Key, answer: Result<Heard, TranscribeError>, thresholds: Option<&Thresholds>, now_us: u64) -> bool {
        let Some(leg) = self.legs.iter_mut().find(|leg| leg.asked.as_ref().is_some_and(|(asked, _)| *asked == key)) else { return false };
        let Some((_, piece)) = leg.asked.take() else { return false };
        let (Ok(heard), Some(thresholds)) = (answer, thresholds) else { return true };
        if gates::after(&heard, piece.voiced_ms, ms(piece.range.len()), thresholds).is_some() {
            return true;
        }
        leg.shows = Some(key);
        let track = leg.ear.track().clone();
        let words = self.shown.early(utterance(&self.speaker(&track), &piece, &heard.words, None));
        self.tell(words, now_us);
        true
    }

    /// What it wants done.
    pub fn next_out(&mut self) -> Option<Out> {
        self.out.pop_front()
    }

    /// Whether all tracks have ended and nothing waits any more.
    pub fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.legs.iter().all(|leg| !leg.open)
    }

    /// Whether any track is still open.
    pub fn is_talked(&self) -> bool {
        self.legs.iter().any(|leg| leg.open)
    }

    /// What became of every utterance.
    pub fn settled(&self) -> &[Settled] {
        self.shown.settled()
    }

    /// Whether numbers were taken out of its words.
    pub fn is_masked(&self) -> bool {
        self.shown.is_masked()
    }

    /// Where each leg's samples went so far.
    pub fn coverage(&mut self) -> Vec<LegCoverage> {
        self.legs.iter_mut().map(|leg| leg.ear.coverage().clone()).collect()
    }

    /// Since when the oldest speech that waits for words ended, milliseconds.
    pub fn lag_ms(&self, now_us: u64) -> u32 {
        let oldest = self.waiting.iter().map(|w| w.end_us).min().unwrap_or(now_us);
        u32::try_from(now_us.saturating_sub(oldest) / 1_000).unwrap_or(u32::MAX)
    }

    #[cfg(test)]
    pub(super) fn ear(&mut self, leg: LegId) -> Option<&mut LegEar> {
        self.legs.iter_mut().find(|l| l.ear.track().leg == leg).map(|l| &mut l.ear)
    }

    fn open_leg(&self, leg: LegId) -> Option<usize> {
        self.legs.iter().position(|l| l.open && l.ear.track().leg == leg)
    }

    fn listen(&mut self, at: usize, now_us: u64) {
        while let Some(event) = self.legs[at].ear.next_event() {
            match event {
                EarEvent::Utterance(piece) => self.ended(at, piece, now_us),
                EarEvent::Nothing { from } => self.nothing(at, from, now_us),
            }
        }
    }

    /// An utterance that has ended: refused by a gate, asked for, or left to the recording.
    fn ended(&mut self, at: usize, mut piece: Piece, now_us: u64) {
        let leg = &mut self.legs[at];
        let key = key(leg.ear.track(), &piece);
        (leg.asked, leg.shows, leg.asked_at) = (None, None, 0);
        let end_us = u64::from(leg.ear.track().start_ms) * 1_000 + u64::from(ms(piece.range.end)) * 1_000;
        let sound = std::mem::take(&mut piece.sound);
        let refused = piece.refused;
        let waiting = Waiting { key, leg: at, piece, sound: Some(sound.clone()), end_us };
        if let Some(why) = refused {
            let nothing = Heard { language: String::new(), no_speech: 0.0, logprob: 0.0, words: Vec::new() };
            return self.settle(&waiting, &nothing, Some(why), now_us);
        }
        if self.waiting.len() >= WAITING {
            return self.leave(waiting, now_us);
        }
        let deadline_us = self.due.of(end_us, waiting.piece.range.len());
        self.waiting.push(waiting);
        let request = Request { key, sound, full_context: false, model: None };
        self.out.push_back(Out::Ask { request, partial: false, deadline_us });
    }

    /// What began was no utterance: words that were shown of it go.
    fn nothing(&mut self, at: usize, from: usize, now_us: u64) {
        let leg = &mut self.legs[at];
        let from_ms = leg.ear.track().start_ms.saturating_add(ms(from));
        (leg.asked, leg.asked_at) = (None, 0);
        if leg.shows.take().is_none_or(|key| key.start_ms != from_ms) {
            return;
        }
        let track = leg.ear.track().clone();
        let rejected = Some(Rejection::TooShort.to_string());
        let speaker = self.speaker(&track);
        let empty =
            Utterance { leg: speaker.leg, party: speaker.party, from_ms, to_ms: from_ms, words: Vec::new(), confidence: 0, rejected };
        self.tell(vec![LiveUtterance { utterance: empty, partial: false }], now_us);
    }

    /// Asks for the words of an utterance that is still spoken; false when they are due and there is no time for them.
    fn ask_early(&mut self, at: usize, now_us: u64, has_time: bool) -> bool {
        let leg = &mut self.legs[at];
        let Some((_, voiced_ms)) = leg.ear.running() else { return true };
        let due = leg.ear.received() >= leg.asked_at + PARTIAL_EVERY && leg.asked.is_none();
        if !(self.partial && due && voiced_ms >= PARTIAL_FROM_MS) {
            return true;
        }
        leg.asked_at = leg.ear.received();
        if !has_time {
            // Not even looked at: the look for tones costs more than all else here.
            return false;
        }
        let Some(mut piece) = leg.ear.so_far() else { return true };
        if piece.refused.is_some() {
            // Looking for tones costs more than all else: this utterance is looked at again when it has ended.
            leg.asked_at = usize::MAX - PARTIAL_EVERY;
            return true;
        }
        let key = key(leg.ear.track(), &piece);
        let request = Request { key, sound: std::mem::take(&mut piece.sound), full_context: false, model: None };
        leg.asked = Some((key, piece));
        self.out.push_back(Out::Ask { request, partial: true, deadline_us: now_us + PARTIAL_WITHIN_US });
        true
    }

    fn settle(&mut self, waiting: &Waiting, heard: &Heard, why: Option<Rejection>, now_us: u64) {
        let words = if why.is_some() { &[][..] } else { &heard.words };
        let said = utterance(&self.speaker(self.legs[waiting.leg].ear.track()), &waiting.piece, words, why.map(|why| why.to_string()));
        let words = self.shown.add(self.ended_as(waiting, said), |leg, change| change(self.legs[leg].ear.coverage()));
        self.tell(words, now_us);
    }

    /// Nobody had time, or nobody could: the recording has it.
    fn leave(&mut self, waiting: Waiting, now_us: u64) {
        let said = utterance(&self.speaker(self.legs[waiting.leg].ear.track()), &waiting.piece, &[], Some(LATER.to_owned()));
        let words = self.shown.add(self.ended_as(&waiting, said), |leg, change| change(self.legs[leg].ear.coverage()));
        self.tell(words, now_us);
    }

    fn ended_as(&self, waiting: &Waiting, utterance: Utterance) -> Ended {
        let Piece { range, received, level_db, .. } = &waiting.piece;
        Ended { utterance, leg: waiting.leg, samples: range.clone(), received: *received, level_db: *level_db }
    }

    /// Whose words a leg's are; a control of the tests mixes them up.
    fn speaker(&self, track: &TrackAudio) -> TrackAudio {
        let mut speaker = track.clone();
        if let (true, Some(other)) =
            (fault::active(Fault::WrongLegWords), self.legs.iter().map(|leg| leg.ear.track()).find(|other| other.leg != track.leg))
        {
            (speaker.leg, speaker.party) = (other.leg, other.party);
        }
        speaker
    }

    fn tell(&mut self, utterances: Vec<LiveUtterance>, now_us: u64) {
        self.told_us = now_us;
        let lag_ms = self.lag_ms(now_us);
        self.out.push_back(Out::Words(LiveWords { interaction: self.interaction, lag_ms, utterances }));
    }
}

fn key(track: &TrackAudio, piece: &Piece) -> Key {
    Key { leg: track.leg, start_ms: track.start_ms.saturating_add(ms(piece.range.start)) }
}
