//! After the call: what was understood live is kept, only what is missing is done from the recording.
//!
//! The stretches between live utterances are looked through by the whole track's detector; the sum of every leg stays exact.

use std::{collections::HashMap, ops::Range};

use super::shown::Settled;
use crate::{
    domain::insight::utterance::{LegCoverage, Transcript, Utterance},
    ids::LegId,
    service::speech::{
        Pool, SpeechError, TrackAudio, echo,
        front_end::{self, Cut, Outcome},
        ms,
        utterances::{self, Span},
        voice_activity::{self, FRAME},
    },
};

/// A call as it was understood while it was spoken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveHeard {
    /// Name of the model.
    pub model: String,
    /// Every utterance: what became of it, and its words where it has some.
    pub utterances: Vec<(Settled, Option<Utterance>)>,
}

/// What is known of one piece already.
struct Known {
    outcome: Outcome,
    utterance: Utterance,
    level_db: f32,
}

/// The words of a call: from what was heard live where the model is the same, else from the recording. Blocks.
///
/// # Errors
/// As [`Pool::transcribe_call`].
pub fn transcribe(pool: &Pool, tracks: &[TrackAudio], live: Option<LiveHeard>) -> Result<Transcript, SpeechError> {
    let (model, _) = pool.model()?;
    let Some(live) = live.filter(|live| live.model == model) else { return pool.transcribe_call(tracks) };
    let cuts: Vec<Cut> = tracks.iter().map(|track| cut(track, &live)).collect();
    let mut known: HashMap<(LegId, u32), Known> = live.utterances.into_iter().filter_map(known).collect();
    let (mut missing, mut kept) = (Vec::with_capacity(cuts.len()), Vec::new());
    let mut levels: HashMap<(LegId, u32), (f32, u64)> = HashMap::new();
    for (track, mut cut) in tracks.iter().zip(cuts) {
        let (mut left, coverage) = (Vec::new(), &mut cut.coverage);
        for piece in cut.pieces {
            let key = (track.leg, track.start_ms.saturating_add(ms(piece.range.start)));
            levels.insert(key, (piece.level_db, piece.received));
            match known.remove(&key) {
                Some(known) => {
                    levels.insert(key, (known.level_db, piece.received));
                    front_end::settle(coverage, &piece, known.outcome);
                    kept.push(known.utterance);
                }
                None => left.push(piece),
            }
        }
        missing.push(Cut { pieces: left, coverage: cut.coverage });
    }
    let mut transcript = pool.transcribe_cuts(tracks, missing)?;
    transcript.utterances.extend(kept);
    hide_echo(&mut transcript, &levels);
    transcript.utterances.sort_by_key(|u| (u.from_ms, u.to_ms));
    Ok(transcript)
}

fn known((settled, utterance): (Settled, Option<Utterance>)) -> Option<((LegId, u32), Known)> {
    let (outcome, utterance) = (settled.outcome?, utterance?);
    // An utterance whose words are gone is not known, whatever was counted.
    let holds = (outcome == Outcome::Transcribed) != utterance.words.is_empty();
    holds.then_some(((settled.leg, settled.from_ms), Known { outcome, utterance, level_db: settled.level_db }))
}

/// The live utterances as pieces, and those that the whole track's detector finds between them.
fn cut(track: &TrackAudio, live: &LiveHeard) -> Cut {
    let activity = voice_activity::activity(&track.samples);
    let frames = activity.active.len();
    let mut ours: Vec<Range<usize>> = live.utterances.iter().filter_map(|(settled, _)| span(track, settled)).collect();
    ours.sort_by_key(|span| span.start);
    let mut spans: Vec<Span> = Vec::new();
    let mut from = 0;
    for own in ours.into_iter().chain(std::iter::once(frames..frames)) {
        if own.start < from || own.end > frames {
            continue;
        }
        let between = utterances::cut(&activity.active[from..own.start], &activity.level_db[from..own.start]);
        spans.extend(between.into_iter().map(|span| Span { frames: span.frames.start + from..span.frames.end + from, ..span }));
        from = own.end;
        // Live it was heard as a voice: it stays an utterance.
        let voiced = activity.active[own.clone()].iter().filter(|active| **active).count().max(front_end::SOUND_MIN);
        spans.push(Span { voiced, frames: own });
    }
    spans.retain(|span| !span.frames.is_empty());
    front_end::cut_spans(track, &activity, spans)
}

/// A live utterance's frames in the recorded track.
fn span(track: &TrackAudio, settled: &Settled) -> Option<Range<usize>> {
    let same_axis = track.start_ms.saturating_add(ms(settled.samples.start)) == settled.from_ms;
    let own = settled.leg == track.leg && same_axis && settled.samples.start.is_multiple_of(FRAME);
    own.then(|| settled.samples.start / FRAME..settled.samples.end.div_ceil(FRAME))
}

/// Echo between what was heard live and what was heard from the recording.
fn hide_echo(transcript: &mut Transcript, levels: &HashMap<(LegId, u32), (f32, u64)>) {
    let of = |u: &Utterance| levels.get(&(u.leg, u.from_ms)).copied().unwrap_or((0.0, 0));
    let level_db: Vec<f32> = transcript.utterances.iter().map(|u| of(u).0).collect();
    let before: Vec<bool> = transcript.utterances.iter().map(|u| u.rejected.is_none()).collect();
    echo::hide(&mut transcript.utterances, &level_db);
    for (utterance, _) in transcript.utterances.iter().zip(before).filter(|(u, had)| *had && u.rejected.is_some()) {
        let received = of(utterance).1;
        if let Some(sum) = transcript.coverage.iter_mut().find(|sum: &&mut LegCoverage| sum.leg == utterance.leg) {
            sum.transcribed -= received;
            sum.rejected += received;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::speech::{
        Heard, HeardWord, Request, TranscribeError, Transcriber,
        front_end::Piece,
        model::Thresholds,
        tests::{carried_call, leg},
    };
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    /// Counts what it is asked.
    struct Counting(Arc<AtomicUsize>);

    impl Transcriber for Counting {
        fn transcribe(&mut self, _: &Request) -> Result<Heard, TranscribeError> {
            self.0.fetch_add(1, Relaxed);
            let word = HeardWord { text: "recorded".into(), from_ms: 0, to_ms: 200, probability: 0.9 };
            Ok(Heard { language: "en".into(), no_speech: 0.0, logprob: -0.1, words: vec![word] })
        }
    }

    fn pool(asked: &Arc<AtomicUsize>) -> Pool {
        Pool::of("double", Thresholds::default(), vec![Box::new(Counting(asked.clone()))]).expect("threads start")
    }

    /// What live understood: the pieces of the tracks with one word each; `later` picks those that nobody had time for.
    fn live(tracks: &[TrackAudio], later: impl Fn(usize) -> bool) -> LiveHeard {
        let mut utterances = Vec::new();
        for track in tracks {
            for (n, piece) in front_end::listen(track).pieces.into_iter().enumerate().filter(|(_, p)| p.refused.is_none()) {
                let Piece { range, received, level_db, .. } = piece;
                let from_ms = track.start_ms + ms(range.start);
                let word = crate::domain::insight::utterance::Word { text: "live".into(), from_ms, to_ms: from_ms + 100, confidence: 90 };
                let (words, rejected) = if later(n) { (vec![], Some("later".to_owned())) } else { (vec![word], None) };
                let to_ms = track.start_ms + ms(range.end);
                let said = Utterance { leg: track.leg, party: track.party, from_ms, to_ms, words, confidence: 90, rejected };
                let outcome = (!later(n)).then_some(Outcome::Transcribed);
                utterances.push((Settled { leg: track.leg, from_ms, samples: range, received, level_db, outcome }, Some(said)));
            }
        }
        LiveHeard { model: "double".into(), utterances }
    }

    fn tracks() -> Vec<TrackAudio> {
        let mut tracks = carried_call();
        (tracks[0].leg, tracks[1].leg) = (leg(1), leg(2));
        tracks
    }

    fn sums_hold(transcript: &Transcript) {
        for sum in &transcript.coverage {
            assert_eq!(sum.received, sum.voiced + sum.unvoiced + sum.lost + sum.paused);
            assert_eq!(sum.voiced, sum.transcribed + sum.rejected + sum.pending + sum.failed);
            assert_eq!(sum.pending, 0);
        }
    }

    #[test]
    fn what_was_understood_live_is_not_asked_for_again_and_the_sum_stays_exact() {
        let tracks = tracks();
        let whole = live(&tracks, |_| false);
        let asked = Arc::new(AtomicUsize::new(0));
        let transcript = transcribe(&pool(&asked), &tracks, Some(whole)).expect("transcribes");
        assert_eq!(asked.load(Relaxed), 0, "all was known");
        assert!(transcript.utterances.iter().all(|u| u.text() != "recorded"));
        sums_hold(&transcript);
    }

    #[test]
    fn a_stretch_that_never_reached_the_live_front_end_is_found_in_the_recording() {
        let tracks = tracks();
        let mut half = live(&tracks, |_| false);
        half.utterances.retain(|(settled, _)| settled.from_ms > 20_000);
        let asked = Arc::new(AtomicUsize::new(0));
        let transcript = transcribe(&pool(&asked), &tracks, Some(half)).expect("transcribes");
        let recorded: Vec<&Utterance> = transcript.utterances.iter().filter(|u| u.text() == "recorded").collect();
        assert!(recorded.len() > 3 && recorded.iter().filter(|u| u.from_ms > 20_000).count() <= 1, "{recorded:?}");
        sums_hold(&transcript);
    }

    #[test]
    fn words_of_another_model_are_not_kept() {
        let tracks = tracks();
        let asked = Arc::new(AtomicUsize::new(0));
        let other = LiveHeard { model: "small".into(), ..live(&tracks, |_| false) };
        let transcript = transcribe(&pool(&asked), &tracks, Some(other)).expect("transcribes");
        assert!(asked.load(Relaxed) > 5 && transcript.utterances.iter().all(|u| u.text() != "live"));
        sums_hold(&transcript);
    }
}
