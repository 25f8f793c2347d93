//! The way of one call from tracks to a transcript, by the pool's workers.
//!
//! Blocking throughout: async callers use `spawn_blocking`. The caller keeps each utterance's audio until it is settled.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crossbeam_channel::{Sender, bounded};

use super::{
    echo,
    front_end::{self, Cut, Outcome, Piece, TrackAudio},
    gates::{self, Rejection},
    model::Thresholds,
    ms,
    pool::{Answer, Pool, SpeechError},
    schedule::{Shed, Urgency},
    transcribe::{Heard, HeardWord, Key, Request, TranscribeError},
    word_times,
};
use crate::domain::insight::utterance::{Transcript, Utterance, Word};

/// Utterances of one call that are in the queue at once: a share, so that a long call leaves room for others.
const IN_FLIGHT: usize = 4;
/// A full queue is tried again this often; workers take from it all the time.
const TRY_AGAIN: Duration = Duration::from_millis(100);

impl Pool {
    /// The words of one call, by time, with the coverage of each leg. Blocks until all utterances are settled.
    pub fn transcribe_call(&self, tracks: &[TrackAudio]) -> Result<Transcript, SpeechError> {
        self.transcribe_call_with(None, tracks)
    }

    /// As [`Pool::transcribe_call`], by the model of this name; `None`: the configured one.
    pub fn transcribe_call_with(&self, model: Option<&str>, tracks: &[TrackAudio]) -> Result<Transcript, SpeechError> {
        let cuts = tracks.iter().map(front_end::listen).collect();
        self.transcribe_cuts_with(model, tracks, cuts)
    }

    /// As [`Pool::transcribe_call`], with the cutting already done.
    pub fn transcribe_cuts(&self, tracks: &[TrackAudio], cuts: Vec<Cut>) -> Result<Transcript, SpeechError> {
        self.transcribe_cuts_with(None, tracks, cuts)
    }

    fn transcribe_cuts_with(&self, named: Option<&str>, tracks: &[TrackAudio], cuts: Vec<Cut>) -> Result<Transcript, SpeechError> {
        let (model, thresholds) = self.model_named(named)?;
        let items: Vec<(&TrackAudio, &Piece)> = tracks.iter().zip(&cuts).flat_map(|(t, c)| c.pieces.iter().map(move |p| (t, p))).collect();
        let answers = self.ask_all(named, &items)?;
        let mut utterances = Vec::with_capacity(items.len());
        let mut outcomes = Vec::with_capacity(items.len());
        for ((track, piece), answer) in items.iter().zip(answers) {
            let (utterance, outcome) = self.judge(named, (track, piece), answer, &thresholds)?;
            utterances.push(utterance);
            outcomes.push(outcome);
        }
        let levels: Vec<f32> = items.iter().map(|(_, p)| p.level_db).collect();
        echo::hide(&mut utterances, &levels);
        let mut coverage: Vec<_> = cuts.iter().map(|c| c.coverage.clone()).collect();
        for (((track, piece), utterance), outcome) in items.iter().zip(&utterances).zip(outcomes) {
            let hidden = outcome == Outcome::Transcribed && utterance.rejected.is_some();
            let outcome = if hidden { Outcome::Rejected } else { outcome };
            if let Some(sum) = tracks.iter().position(|t| std::ptr::eq(t, *track)).and_then(|i| coverage.get_mut(i)) {
                front_end::settle(sum, piece, outcome);
            }
        }
        utterances.sort_by_key(|u| (u.from_ms, u.to_ms));
        Ok(Transcript { model, language: thresholds.language, utterances, coverage })
    }

    /// Asks for every piece that no gate refused; answers in the order of `items`.
    fn ask_all(
        &self,
        named: Option<&str>,
        items: &[(&TrackAudio, &Piece)],
    ) -> Result<Vec<Option<Result<Heard, TranscribeError>>>, SpeechError> {
        // Room for every answer that can be under way: a worker never waits for us.
        let (reply, replies) = bounded(IN_FLIGHT);
        let model = || named.map(str::to_owned);
        let asked = items.iter().filter(|(_, p)| p.refused.is_none());
        let mut waiting: VecDeque<Request> = asked.map(|(t, p)| Request { model: model(), ..request(t, p, false) }).collect();
        let mut answers: HashMap<Key, Result<Heard, TranscribeError>> = HashMap::with_capacity(waiting.len());
        let mut in_flight = 0;
        while in_flight > 0 || !waiting.is_empty() {
            while in_flight < IN_FLIGHT
                && let Some(request) = waiting.pop_front()
            {
                self.submit_waiting(request, &reply)?;
                in_flight += 1;
            }
            let (key, answer) = replies.recv().map_err(|_| SpeechError::Stopped)?;
            in_flight -= 1;
            match answer {
                Err(TranscribeError::Model(why)) => return Err(self.model_named(named).err().unwrap_or(SpeechError::Model(why))),
                Err(TranscribeError::Shed(Shed::Stopped)) => return Err(SpeechError::Stopped),
                settled => answers.insert(key, settled),
            };
        }
        Ok(items.iter().map(|(t, p)| p.refused.is_none().then(|| answers.get(&key(t, p)).cloned()).flatten()).collect())
    }

    /// Submits, and waits while the queue is full.
    fn submit_waiting(&self, request: Request, reply: &Sender<Answer>) -> Result<(), SpeechError> {
        loop {
            match self.submit(request.clone(), Urgency::AfterCall, reply.clone()) {
                Ok(()) => return Ok(()),
                Err(Shed::Stopped) => return Err(SpeechError::Stopped),
                Err(Shed::Full | Shed::Share | Shed::Late) => self.wait_for_change(TRY_AGAIN),
            }
        }
    }

    /// Turns one answer into an utterance; a decode that went round in circles is tried once more at full context.
    fn judge(
        &self,
        named: Option<&str>,
        (track, piece): (&TrackAudio, &Piece),
        answer: Option<Result<Heard, TranscribeError>>,
        thresholds: &Thresholds,
    ) -> Result<(Utterance, Outcome), SpeechError> {
        let refused = |why: Rejection| (utterance(track, piece, &[], Some(why.to_string())), Outcome::Rejected);
        let mut heard = match answer {
            None => return Ok(refused(piece.refused.unwrap_or(Rejection::Nothing))),
            Some(Err(e)) => return Ok((utterance(track, piece, &[], Some(format!("failed: {e}"))), Outcome::Failed)),
            Some(Ok(heard)) => heard,
        };
        let audio_ms = ms(piece.range.len());
        if gates::after(&heard, piece.voiced_ms, audio_ms, thresholds) == Some(Rejection::Repeats) {
            heard = self.again(named, track, piece)?.unwrap_or(heard);
            gates::cut_before_loop(&mut heard);
        }
        Ok(match gates::after(&heard, piece.voiced_ms, audio_ms, thresholds) {
            Some(why) => refused(why),
            None => (utterance(track, piece, &heard.words, None), Outcome::Transcribed),
        })
    }

    fn again(&self, named: Option<&str>, track: &TrackAudio, piece: &Piece) -> Result<Option<Heard>, SpeechError> {
        let (reply, replies) = bounded(1);
        let request = Request { model: named.map(str::to_owned), ..request(track, piece, true) };
        self.submit_waiting(request, &reply)?;
        drop(reply);
        Ok(replies.recv().map_err(|_| SpeechError::Stopped)?.1.ok())
    }
}

fn key(track: &TrackAudio, piece: &Piece) -> Key {
    Key { leg: track.leg, start_ms: track.start_ms.saturating_add(ms(piece.range.start)) }
}

fn request(track: &TrackAudio, piece: &Piece, full_context: bool) -> Request {
    Request { key: key(track, piece), sound: piece.sound.clone(), full_context, model: None }
}

/// Puts words on the call's axis: inside the utterance, never backwards.
pub(super) fn utterance(track: &TrackAudio, piece: &Piece, heard: &[HeardWord], rejected: Option<String>) -> Utterance {
    let on_axis = |samples: usize| track.start_ms.saturating_add(ms(samples));
    let (from_ms, to_ms) = (on_axis(piece.range.start), on_axis(piece.range.end));
    let percent = |p: f32| (p * 100.0).round().clamp(0.0, 100.0) as u8;
    let places = word_times::place(heard, to_ms - from_ms, &piece.voiced);
    let on_call = |(word, (from, to)): (&HeardWord, (u32, u32))| Word {
        text: word.text.clone(),
        from_ms: from_ms + from,
        to_ms: from_ms + to,
        confidence: percent(word.probability),
    };
    let words = heard.iter().zip(places).map(on_call).collect();
    let mean = heard.iter().map(|w| w.probability).sum::<f32>() / heard.len().max(1) as f32;
    Utterance { leg: track.leg, party: track.party, from_ms, to_ms, words, confidence: percent(mean), rejected }
}
