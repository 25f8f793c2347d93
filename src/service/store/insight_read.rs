//! Words, card and mood of one interaction, as they are shown.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    Card, CardEvidence, CardLine, CardOutcome, CoverageView, FindingKind, FindingStatus, SentimentView, StoreError, SuggestedPromise,
    TranscriptView, UtteranceView,
    db::{Columns, Conn, Row},
};
use crate::{
    domain::insight::utterance::{LegCoverage, Word},
    ids::{InteractionId, LegId, Party},
};

/// Most utterances that a page shows: four hours of brisk talk.
const UTTERANCES_MAX: i64 = 10_000;
/// A card never has more lines.
const LINES_MAX: usize = 6;

/// The card: `None` when nothing was read out.
pub(super) async fn card_of(conn: &mut Conn, interaction: InteractionId) -> Result<Option<Card>, StoreError> {
    let rows = sqlx::query(
        "SELECT f.finding, f.kind, f.value, f.status, e.from_ms, e.to_ms, l.party FROM finding f \
         LEFT JOIN evidence e ON e.finding = f.finding AND e.leg IS NOT NULL LEFT JOIN leg l ON l.leg = e.leg \
         WHERE f.interaction = $1 AND f.kind IN ('card_line', 'outcome', 'title') AND f.status <> 'rejected' \
         ORDER BY f.kind, f.place, f.finding, e.place",
    )
    .bind(interaction.to_string())
    .fetch_all(conn)
    .await?;
    let mut card = Card { title: String::new(), outcome: CardOutcome::Unclear, lines: Vec::new() };
    for row in &rows {
        let value: Value = row.json("value")?;
        match row.word("kind")? {
            FindingKind::Title => card.title = text_of(&value),
            FindingKind::Outcome => card.outcome = part(&value, "outcome").unwrap_or(CardOutcome::Unclear),
            FindingKind::CardLine => add_line(&mut card, row, &value)?,
            FindingKind::CardTrouble
            | FindingKind::Sentiment
            | FindingKind::TurnSentiment
            | FindingKind::Promise
            | FindingKind::Disposition => {}
        }
    }
    card.lines.truncate(LINES_MAX);
    Ok((!card.lines.is_empty()).then_some(card))
}

fn add_line(card: &mut Card, row: &Row, value: &Value) -> Result<(), StoreError> {
    let finding = row.id("finding")?;
    if card.lines.last().is_none_or(|line| line.finding != finding) {
        let Some(label) = part(value, "label") else { return Ok(()) };
        let status: FindingStatus = row.word("status")?;
        card.lines.push(CardLine { finding, label, text: text_of(value), evidence: Vec::new(), status });
    }
    let span = (row.opt_word::<Party>("party")?, row.opt_int("from_ms")?, row.opt_int("to_ms")?);
    if let ((Some(party), Some(from_ms), Some(to_ms)), Some(line)) = (span, card.lines.last_mut()) {
        line.evidence.push(CardEvidence { party, from_ms, to_ms });
    }
    Ok(())
}

fn text_of(value: &Value) -> String {
    value.get("text").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn part<T: serde::de::DeserializeOwned>(value: &Value, name: &str) -> Option<T> {
    serde_json::from_value(value.get(name)?.clone()).ok()
}

/// The value of the one finding of a kind that stands.
pub(super) async fn single<T: serde::de::DeserializeOwned>(
    conn: &mut Conn,
    interaction: InteractionId,
    kind: FindingKind,
) -> Result<Option<T>, StoreError> {
    let row = sqlx::query(
        "SELECT value FROM finding WHERE interaction = $1 AND kind = $2 AND status <> 'rejected' ORDER BY place, finding LIMIT 1",
    )
    .bind(interaction.to_string())
    .bind(super::db::word(&kind))
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.json("value")).transpose()
}

pub(super) async fn card_trouble(conn: &mut Conn, interaction: InteractionId) -> Result<Option<String>, StoreError> {
    Ok(single::<Value>(conn, interaction, FindingKind::CardTrouble).await?.map(|value| text_of(&value)))
}

pub(super) async fn sentiment_of(conn: &mut Conn, interaction: InteractionId) -> Result<SentimentView, StoreError> {
    Ok(single(conn, interaction, FindingKind::Sentiment).await?.unwrap_or_default())
}

/// Promises of ours that were heard.
pub(super) async fn promises_heard(conn: &mut Conn, interaction: InteractionId) -> Result<Vec<SuggestedPromise>, StoreError> {
    let rows = sqlx::query(
        "SELECT finding, value FROM finding WHERE interaction = $1 AND kind = 'promise' AND status <> 'rejected' ORDER BY place, finding LIMIT 20",
    )
    .bind(interaction.to_string())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let value: Value = row.json("value")?;
            Ok(SuggestedPromise { finding: row.id("finding")?, text: text_of(&value), due: part(&value, "due") })
        })
        .collect()
}

/// The newest words of an interaction whose row is `of`.
pub(super) async fn transcript_of(conn: &mut Conn, interaction: InteractionId, of: &Row) -> Result<TranscriptView, StoreError> {
    let mut view = TranscriptView {
        state: of.word("transcript_state")?,
        trouble: of.opt_text("transcript_trouble")?,
        model: None,
        language: None,
        revision: None,
        coverage: CoverageView::default(),
        utterances: Vec::new(),
    };
    let row = sqlx::query(
        "SELECT transcript, revision, model, language, coverage FROM transcript WHERE interaction = $1 ORDER BY revision DESC LIMIT 1",
    )
    .bind(interaction.to_string())
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(view) };
    view.model = row.opt_text("model")?;
    view.language = row.opt_text("language")?;
    view.revision = row.opt_int("revision")?;
    view.coverage = coverage(conn, interaction, &row.json::<Vec<LegCoverage>>("coverage")?).await?;
    view.utterances = utterances(conn, interaction, &row.text("transcript")?).await?;
    Ok(view)
}

async fn coverage(conn: &mut Conn, interaction: InteractionId, legs: &[LegCoverage]) -> Result<CoverageView, StoreError> {
    let rows = sqlx::query("SELECT leg, party FROM leg WHERE interaction = $1").bind(interaction.to_string()).fetch_all(conn).await?;
    let mut parties: HashMap<LegId, Party> = HashMap::new();
    for row in &rows {
        parties.insert(row.id("leg")?, row.word("party")?);
    }
    let of = |party: Party| {
        let legs: Vec<_> = legs.iter().filter(|leg| parties.get(&leg.leg) == Some(&party)).collect();
        let (done, voiced) = legs.iter().fold((0, 0), |(done, voiced), leg| (done + leg.transcribed, voiced + leg.voiced));
        (!legs.is_empty()).then(|| (done * 100).checked_div(voiced).map_or(100, |p| u8::try_from(p.min(100)).unwrap_or(100)))
    };
    Ok(CoverageView { customer: of(Party::Customer), agent: of(Party::Agent) })
}

async fn utterances(conn: &mut Conn, interaction: InteractionId, transcript: &str) -> Result<Vec<UtteranceView>, StoreError> {
    let moods = turn_moods(conn, interaction).await?;
    let rows = sqlx::query(
        "SELECT leg, party, from_ms, to_ms, confidence, rejected, words FROM utterance WHERE transcript = $1 ORDER BY place LIMIT $2",
    )
    .bind(transcript)
    .bind(UTTERANCES_MAX)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let (leg, from_ms): (LegId, u32) = (row.id("leg")?, row.int("from_ms")?);
            Ok(UtteranceView {
                leg,
                party: row.word("party")?,
                from_ms,
                to_ms: row.int("to_ms")?,
                confidence: row.int("confidence")?,
                rejected: row.opt_text("rejected")?,
                sentiment: moods.get(&(leg, from_ms)).copied(),
                words: row.json::<Vec<Word>>("words")?,
            })
        })
        .collect()
}

async fn turn_moods(conn: &mut Conn, interaction: InteractionId) -> Result<HashMap<(LegId, u32), i16>, StoreError> {
    let rows = sqlx::query(
        "SELECT f.value, e.leg, e.from_ms FROM finding f JOIN evidence e ON e.finding = f.finding AND e.place = 0 \
         WHERE f.interaction = $1 AND f.kind = 'turn_sentiment' AND e.leg IS NOT NULL AND e.from_ms IS NOT NULL",
    )
    .bind(interaction.to_string())
    .fetch_all(conn)
    .await?;
    let mut moods = HashMap::new();
    for row in &rows {
        let value: Value = row.json("value")?;
        if let Some(score) = part(&value, "score") {
            moods.insert((row.id("leg")?, row.int("from_ms")?), score);
        }
    }
    Ok(moods)
}
