//! Words, card and mood of one interaction, as they are shown.

use serde_json::Value;

use super::{
    Card, CardEvidence, CardLine, CardOutcome, FindingKind, FindingStatus, SentimentView, StoreError, SuggestedPromise,
    db::{Columns, Conn, Row},
};
use crate::ids::{InteractionId, Party};

/// A card never has more lines.
const LINES_MAX: usize = 6;

/// The card: `None` when nothing was read out.
pub(super) async fn card_of(conn: &mut Conn, interaction: InteractionId) -> Result<Option<Card>, StoreError> {
    let rows = sqlx::query(
        "SELECT f.finding, f.kind, f.value, f.proposed, f.status, f.method, f.method_version, f.judged_at, a.name AS judged_by, \
         e.from_ms, e.to_ms, l.party FROM finding f LEFT JOIN agent a ON a.agent = f.by_agent \
         LEFT JOIN evidence e ON e.finding = f.finding AND e.leg IS NOT NULL LEFT JOIN leg l ON l.leg = e.leg \
         WHERE f.interaction = $1 AND f.kind IN ('card_line', 'outcome', 'title') AND (f.status <> 'rejected' OR f.kind = 'card_line') \
         ORDER BY f.kind, f.place, f.finding, e.place",
    )
    .bind(interaction.to_string())
    .fetch_all(conn)
    .await?;
    let mut card = Card { title: String::new(), outcome: CardOutcome::Unclear, method: String::new(), lines: Vec::new() };
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
    // What somebody rejected is shown as such, so that it can be taken back; it takes no place of what stands.
    card.lines.sort_by_key(|line| line.status == FindingStatus::Rejected);
    card.lines.truncate(LINES_MAX);
    Ok((!card.lines.is_empty()).then_some(card))
}

fn add_line(card: &mut Card, row: &Row, value: &Value) -> Result<(), StoreError> {
    let finding = row.id("finding")?;
    if card.lines.last().is_none_or(|line| line.finding != finding) {
        let Some(label) = part(value, "label") else { return Ok(()) };
        let status: FindingStatus = row.word("status")?;
        if card.method.is_empty() {
            card.method = format!("{} {}", row.text("method")?, row.text("method_version")?);
        }
        let proposed = row.opt_text("proposed")?.map(|_| row.json::<Value>("proposed")).transpose()?.map(|first| text_of(&first));
        let (judged_by, judged_at) = (row.opt_text("judged_by")?, row.opt_at("judged_at")?);
        card.lines.push(CardLine { finding, label, text: text_of(value), evidence: Vec::new(), status, proposed, judged_by, judged_at });
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
