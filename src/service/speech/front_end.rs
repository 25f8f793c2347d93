//! One leg's track → pieces to transcribe, each with what the gates need, and the exact sum of where samples went.
//!
//! ```text
//! received ┬ paused ─ lost ─ unvoiced, of it doubtful: active frames in no utterance
//!          └ voiced = transcribed + rejected + pending + failed
//! ```

use std::ops::Range;

use super::{
    RATE,
    gates::{self, Rejection},
    ms,
    sound::Sound,
    utterances::{self, Span},
    voice_activity::{self, Activity, FRAME},
};
use crate::{
    domain::insight::utterance::{LegCoverage, Stretch},
    ids::{LegId, Party},
};

/// Audio given to the model after the last voiced frame: final consonants are quiet.
pub(super) const TAIL: usize = RATE * 160 / 1_000;
/// Fewer voiced frames than this, alone, are no utterance at all, not even one that was not understood: 120 ms.
pub(super) const SOUND_MIN: usize = 12;
/// Models misread less than this.
pub(super) const SHORTEST: usize = RATE * 12 / 10;

/// One leg's audio: 8 kHz mono, silence where nothing was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackAudio {
    /// The leg.
    pub leg: LegId,
    /// Who speaks on it.
    pub party: Party,
    /// Where the first sample lies on the call's axis, milliseconds.
    pub start_ms: u32,
    /// The samples.
    pub samples: Vec<i16>,
    /// Where samples were filled in rather than received; may overlap.
    pub gaps: Vec<Gap>,
}

/// A stretch of filled-in samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Sample indices in the track.
    pub samples: Range<usize>,
    /// Why.
    pub kind: GapKind,
}

/// Why samples were filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapKind {
    /// Packets were lost.
    Lost,
    /// Nothing was kept: hold, pause.
    Paused,
}

/// One utterance before the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Samples in the track, pre-roll included.
    pub range: Range<usize>,
    /// Samples of the range that were received.
    pub received: u64,
    /// Voiced time, milliseconds.
    pub voiced_ms: u32,
    /// Which frames of the range are voiced.
    pub voiced: Vec<bool>,
    /// Mean level of the voiced frames, dBov.
    pub level_db: f32,
    /// What goes to the model.
    pub sound: Sound,
    /// Why it does not.
    pub refused: Option<Rejection>,
}

/// A leg cut into pieces.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    /// By time; they never overlap.
    pub pieces: Vec<Piece>,
    /// The sum with all pieces pending.
    pub coverage: LegCoverage,
}

/// What became of one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has words.
    Transcribed,
    /// A gate refused it.
    Rejected,
    /// The worker could not do it.
    Failed,
}

/// Cuts a track by its own voice activity.
pub fn listen(track: &TrackAudio) -> Cut {
    cut(track, &voice_activity::activity(&track.samples))
}

/// Cuts a track by a given voice activity, one flag per 10 ms.
pub fn cut(track: &TrackAudio, activity: &Activity) -> Cut {
    cut_spans(track, activity, utterances::cut(&activity.active, &activity.level_db))
}

/// Makes pieces of given spans, by time and disjoint; one with too little voice is left out.
pub fn cut_spans(track: &TrackAudio, activity: &Activity, mut spans: Vec<Span>) -> Cut {
    let total = track.samples.len();
    let clip = |gap: &Gap| gap.samples.start.min(total)..gap.samples.end.min(total);
    let gaps = union(track.gaps.iter().map(clip).collect());
    let paused = union(track.gaps.iter().filter(|g| g.kind == GapKind::Paused).map(clip).collect());
    let too_short: Vec<Span> = spans.extract_if(.., |s| s.voiced < SOUND_MIN).collect();
    let starts: Vec<usize> = spans.iter().map(|s| s.frames.start * FRAME).skip(1).chain([total]).collect();
    let pieces: Vec<Piece> = spans.iter().zip(starts).map(|(s, next)| piece(track, activity, s, next, &gaps)).collect();
    let voiced: u64 = pieces.iter().map(|p| p.received).sum();
    let filled = length(&gaps);
    let coverage = LegCoverage {
        received: total as u64,
        voiced,
        unvoiced: total as u64 - filled - voiced,
        lost: filled - length(&paused),
        paused: length(&paused),
        pending: voiced,
        ..LegCoverage::none(track.leg)
    };
    let mut cut = Cut { pieces, coverage };
    for span in too_short {
        let active = span.frames.clone().filter(|frame| activity.active[*frame]);
        let samples = active.map(|frame| frame * FRAME..((frame + 1) * FRAME).min(total));
        let received = samples.map(|range| (range.len() - overlap(&gaps, &range)) as u64).sum();
        doubt(&mut cut.coverage, track.start_ms, received, span.frames);
    }
    cut
}

/// Counts frames that hold a voice and are no utterance, where any of them was received.
pub(super) fn doubt(coverage: &mut LegCoverage, start_ms: u32, received: u64, frames: Range<usize>) {
    let on_axis = |frame: usize| start_ms.saturating_add(ms(frame * FRAME));
    if received > 0 {
        coverage.doubt(received, Stretch { from_ms: on_axis(frames.start), to_ms: on_axis(frames.end) });
    }
}

/// Moves a piece's samples from pending to where they belong.
pub fn settle(coverage: &mut LegCoverage, piece: &Piece, outcome: Outcome) {
    coverage.pending -= piece.received;
    match outcome {
        Outcome::Transcribed => coverage.transcribed += piece.received,
        Outcome::Rejected => coverage.rejected += piece.received,
        Outcome::Failed => coverage.failed += piece.received,
    }
}

fn piece(track: &TrackAudio, activity: &Activity, span: &Span, next: usize, gaps: &[Range<usize>]) -> Piece {
    let total = track.samples.len();
    let range = span.frames.start * FRAME..(span.frames.end * FRAME).min(total);
    let sound = Sound::from(&track.samples[range.start..(range.end + TAIL).min(next.max(range.end))]);
    let voiced = span.frames.clone().filter(|f| activity.active[*f]);
    let (power, floor) = voiced.fold((0.0, 0.0), |(p, f), i| (p + 10f32.powf(activity.level_db[i] / 10.0), f + activity.floor_db[i]));
    let count = span.voiced.max(1) as f32;
    let level_db = 10.0 * (power / count).max(1e-10).log10();
    let voiced_ms = ms(span.voiced * FRAME);
    let refused = gates::before(&gates::Sound {
        samples: &track.samples[range.clone()],
        voiced_ms,
        level_db,
        floor_db: floor / count,
        moving_min: 0,
    });
    let voiced = activity.active[span.frames.clone()].to_vec();
    Piece { received: (range.len() - overlap(gaps, &range)) as u64, range, voiced_ms, voiced, level_db, sound, refused }
}

/// Sorted, disjoint and non-empty.
fn union(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.retain(|r| r.start < r.end);
    ranges.sort_by_key(|r| r.start);
    let mut out: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

fn length(ranges: &[Range<usize>]) -> u64 {
    ranges.iter().map(|r| r.len() as u64).sum()
}

fn overlap(ranges: &[Range<usize>], with: &Range<usize>) -> usize {
    ranges.iter().map(|r| r.end.min(with.end).saturating_sub(r.start.max(with.start))).sum()
}
