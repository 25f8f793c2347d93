//! Revisions of an interaction's words, read with what people put right in them.

use std::collections::HashMap;

use serde::Deserialize;

use super::{
    CorrectionState, CorrectionView, CoverageView, LegShares, RedoState, RedoView, RevisionView, Store, StoreError, TranscriptKind,
    TranscriptState, TranscriptView, UtteranceView,
    corrections::{Made, corrections_of},
    db::{Columns, Conn, Row},
};
use crate::{
    domain::insight::{
        correction::{self, Fit},
        sentiment::Fired,
        utterance::{LegCoverage, Transcript, Utterance, Word},
    },
    ids::{InteractionId, LegId, Party},
};

/// Most utterances that a page shows: four hours of brisk talk.
const UTTERANCES_MAX: i64 = 10_000;
/// Most revisions that a page lists.
const REVISIONS_MAX: i64 = 100;

/// Coverage counts samples at 8 kHz.
const SAMPLES_PER_MS: u64 = 8;

/// One revision as the model left it.
pub(super) struct Stored {
    pub revision: u32,
    pub kind: TranscriptKind,
    pub at: crate::time::UnixMs,
    pub words: Transcript,
}

impl Store {
    /// One revision of the words with today's corrections; the newest where none is named.
    pub async fn words(&self, interaction: InteractionId, revision: Option<u32>) -> Result<TranscriptView, StoreError> {
        let mut conn = self.read().await?;
        let row = sqlx::query("SELECT transcript_state, transcript_trouble FROM interaction WHERE interaction = $1")
            .bind(interaction.to_string())
            .fetch_optional(&mut *conn)
            .await?
            .ok_or(StoreError::NotFound("interaction"))?;
        let view = view_of(&mut conn, interaction, &row, revision).await?;
        if revision.is_some() && view.revision.is_none() { Err(StoreError::NotFound("revision")) } else { Ok(view) }
    }

    /// The newest words with their corrections, and their revision; `None` when there are none.
    pub async fn corrected_transcript(&self, interaction: InteractionId) -> Result<Option<(u32, Transcript)>, StoreError> {
        let mut conn = self.read().await?;
        let Some(mut stored) = stored(&mut conn, interaction, None).await? else { return Ok(None) };
        let made: Vec<_> = corrections_of(&mut conn, interaction).await?.into_iter().map(|made| made.correction).collect();
        correction::apply(&mut stored.words.utterances, &made);
        Ok(Some((stored.revision, stored.words)))
    }
}

/// The newest words of an interaction whose row is `of`.
pub(super) async fn transcript_of(conn: &mut Conn, interaction: InteractionId, of: &Row) -> Result<TranscriptView, StoreError> {
    view_of(conn, interaction, of, None).await
}

async fn view_of(conn: &mut Conn, interaction: InteractionId, of: &Row, revision: Option<u32>) -> Result<TranscriptView, StoreError> {
    let mut view = TranscriptView {
        state: of.word("transcript_state")?,
        trouble: of.opt_text("transcript_trouble")?,
        model: None,
        language: None,
        revision: None,
        kind: None,
        at: None,
        coverage: CoverageView::default(),
        legs: Vec::new(),
        utterances: Vec::new(),
        corrections: Vec::new(),
        revisions: Vec::new(),
        redo: None,
    };
    let Some(stored) = stored(conn, interaction, revision).await? else { return Ok(view) };
    let Stored { revision, kind, at, words } = stored;
    let Transcript { model, language, mut utterances, coverage } = words;
    let made = corrections_of(conn, interaction).await?;
    view.corrections = lay(&mut utterances, made);
    view.revisions = revisions(conn, interaction).await?;
    if view.revisions.iter().any(|revision| revision.kind == TranscriptKind::Final) {
        (view.state, view.trouble) = (TranscriptState::Done, None);
        view.redo = redo(conn, interaction).await?;
    }
    let parties = parties(conn, interaction).await?;
    view.coverage = by_side(&coverage, &parties);
    view.legs = coverage.into_iter().filter_map(|leg| parties.get(&leg.leg).map(|party| shares(leg, *party))).collect();
    let mut moods = turn_moods(conn, interaction).await?;
    view.utterances = utterances.into_iter().map(|u| shown(u, &mut moods)).collect();
    (view.model, view.language) = (Some(model), Some(language));
    (view.revision, view.kind, view.at) = (Some(revision), Some(kind), Some(at));
    Ok(view)
}

fn shown(utterance: Utterance, moods: &mut HashMap<(LegId, u32), TurnMood>) -> UtteranceView {
    let Utterance { leg, party, from_ms, to_ms, words, confidence, rejected } = utterance;
    let mood = moods.remove(&(leg, from_ms));
    let (sentiment, fired) = mood.map_or((None, Vec::new()), |mood| (Some(mood.score), mood.fired));
    UtteranceView { leg, party, from_ms, to_ms, confidence, rejected, sentiment, fired, words }
}

/// Puts corrections in their places; what took another back is not shown apart from it.
fn lay(utterances: &mut [Utterance], made: Vec<Made>) -> Vec<CorrectionView> {
    let patches: Vec<_> = made.iter().map(|made| made.correction.clone()).collect();
    let fits = correction::apply(utterances, &patches);
    let shown = made.into_iter().zip(fits).filter(|(made, _)| made.correction.undoes.is_none());
    shown
        .map(|(made, fit)| {
            made.view(match fit {
                Fit::Stands => CorrectionState::Stands,
                Fit::TakenBack => CorrectionState::TakenBack,
                Fit::NoLongerFits => CorrectionState::NoLongerFits,
            })
        })
        .collect()
}

/// A revision as the model left it; the newest where none is named.
pub(super) async fn stored(conn: &mut Conn, interaction: InteractionId, revision: Option<u32>) -> Result<Option<Stored>, StoreError> {
    let row = sqlx::query(
        "SELECT transcript, revision, kind, model, language, coverage, at FROM transcript \
         WHERE interaction = $1 AND (CAST($2 AS BIGINT) IS NULL OR revision = $2) ORDER BY revision DESC LIMIT 1",
    )
    .bind(interaction.to_string())
    .bind(revision.map(i64::from))
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let rows = sqlx::query(
        "SELECT leg, party, from_ms, to_ms, confidence, rejected, words FROM utterance WHERE transcript = $1 ORDER BY place LIMIT $2",
    )
    .bind(row.text("transcript")?)
    .bind(UTTERANCES_MAX)
    .fetch_all(conn)
    .await?;
    let words = Transcript {
        model: row.text("model")?,
        language: row.text("language")?,
        utterances: rows.iter().map(utterance).collect::<Result<_, _>>()?,
        coverage: row.json("coverage")?,
    };
    Ok(Some(Stored { revision: row.int("revision")?, kind: row.word("kind")?, at: row.at("at")?, words }))
}

fn utterance(row: &Row) -> Result<Utterance, StoreError> {
    Ok(Utterance {
        leg: row.id("leg")?,
        party: row.word("party")?,
        from_ms: row.int("from_ms")?,
        to_ms: row.int("to_ms")?,
        words: row.json::<Vec<Word>>("words")?,
        confidence: row.int("confidence")?,
        rejected: row.opt_text("rejected")?,
    })
}

async fn revisions(conn: &mut Conn, interaction: InteractionId) -> Result<Vec<RevisionView>, StoreError> {
    let rows = sqlx::query("SELECT revision, kind, model, at FROM transcript WHERE interaction = $1 ORDER BY revision LIMIT $2")
        .bind(interaction.to_string())
        .bind(REVISIONS_MAX)
        .fetch_all(conn)
        .await?;
    let read = |row: &Row| {
        Ok(RevisionView { revision: row.int("revision")?, kind: row.word("kind")?, model: row.text("model")?, at: row.at("at")? })
    };
    rows.iter().map(read).collect()
}

/// A transcription that was asked for and is not done.
async fn redo(conn: &mut Conn, interaction: InteractionId) -> Result<Option<RedoView>, StoreError> {
    let row = sqlx::query("SELECT state, trouble, detail FROM job WHERE kind = 'transcribe' AND subject = $1 AND state <> 'done'")
        .bind(interaction.to_string())
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let state = match row.text("state")?.as_str() {
        "running" => RedoState::Running,
        "parked" => RedoState::Failed,
        _ => RedoState::Waiting,
    };
    Ok(Some(RedoView { state, model: super::jobs::model_asked(row.opt_text("detail")?.as_deref()), trouble: row.opt_text("trouble")? }))
}

async fn parties(conn: &mut Conn, interaction: InteractionId) -> Result<HashMap<LegId, Party>, StoreError> {
    let rows = sqlx::query("SELECT leg, party FROM leg WHERE interaction = $1").bind(interaction.to_string()).fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.id("leg")?, row.word("party")?))).collect()
}

fn by_side(legs: &[LegCoverage], parties: &HashMap<LegId, Party>) -> CoverageView {
    let of = |party: Party| {
        let legs: Vec<_> = legs.iter().filter(|leg| parties.get(&leg.leg) == Some(&party)).collect();
        let (done, voiced) = legs.iter().fold((0, 0), |(done, voiced), leg| (done + leg.transcribed, voiced + leg.voiced));
        (!legs.is_empty()).then(|| (done * 100).checked_div(voiced).map_or(100, |p| u8::try_from(p.min(100)).unwrap_or(100)))
    };
    CoverageView { customer: of(Party::Customer), agent: of(Party::Agent) }
}

/// Percentages that add up: what rounding takes goes to the largest remainder.
fn shares(leg: LegCoverage, party: Party) -> LegShares {
    let parts = [leg.transcribed, leg.rejected + leg.failed, leg.lost, leg.pending];
    let total: u64 = parts.iter().sum();
    let mut percent = parts.map(|part| (part * 100).checked_div(total).unwrap_or(0));
    let mut order = [0, 1, 2, 3];
    order.sort_by_key(|n| std::cmp::Reverse((parts[*n] * 100).checked_rem(total).unwrap_or(0)));
    let missing = if total == 0 { 0 } else { 100 - percent.iter().sum::<u64>() };
    for n in order.iter().take(usize::try_from(missing).unwrap_or(0)) {
        percent[*n] += 1;
    }
    let [understood, not_understood, lost, waiting] = percent.map(|p| u8::try_from(p).unwrap_or(100));
    let LegCoverage { leg, doubtful, doubts, more_doubts, .. } = leg;
    let doubtful_ms = doubtful / SAMPLES_PER_MS;
    LegShares { leg, party, understood, not_understood, lost, waiting, doubtful_ms, doubtful: doubts, doubtful_more: more_doubts }
}

/// The value of a turn's mood; rows of earlier versions name no words.
#[derive(Deserialize)]
struct TurnMood {
    score: i16,
    #[serde(default)]
    fired: Vec<Fired>,
}

async fn turn_moods(conn: &mut Conn, interaction: InteractionId) -> Result<HashMap<(LegId, u32), TurnMood>, StoreError> {
    let rows = sqlx::query(
        "SELECT f.value, e.leg, e.from_ms FROM finding f JOIN evidence e ON e.finding = f.finding AND e.place = 0 \
         WHERE f.interaction = $1 AND f.kind = 'turn_sentiment' AND e.leg IS NOT NULL AND e.from_ms IS NOT NULL",
    )
    .bind(interaction.to_string())
    .fetch_all(conn)
    .await?;
    let mut moods = HashMap::new();
    for row in &rows {
        moods.insert((row.id("leg")?, row.int("from_ms")?), row.json("value")?);
    }
    Ok(moods)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMs;

    #[test]
    fn where_speech_went_adds_up_to_all_of_it() {
        let leg = LegId::new(UnixMs(1), [1; 10]);
        let sum = |transcribed, rejected, lost, pending| {
            let voiced = transcribed + rejected + pending;
            let c = LegCoverage { received: voiced + lost, voiced, lost, transcribed, rejected, pending, ..LegCoverage::none(leg) };
            let s = shares(c, Party::Agent);
            [s.understood, s.not_understood, s.lost, s.waiting]
        };
        assert_eq!(sum(940, 35, 25, 0), [94, 4, 2, 0]);
        assert_eq!(sum(1, 1, 1, 0).iter().sum::<u8>(), 100);
        assert_eq!(sum(0, 0, 0, 0), [0, 0, 0, 0]);
    }
}
