//! Where numbers were taken out of a call: written down before the recording is touched, so that a kill in between is made good.

use std::collections::{BTreeMap, HashSet};

use serde_json::json;

use super::{
    AuditAction, Store, StoreError,
    db::{Columns, Conn},
    events::{NewEvent, emit, write_audit},
    next_number,
    text::{LINE_MAX, line},
};
use crate::{
    domain::insight::utterance::Word,
    ids::{InteractionId, LegId},
    time::UnixMs,
};

/// Most stretches that an audit row lists; the rows themselves hold all.
const LISTED: usize = 100;
/// Most stretches of one call.
const STRETCHES_MAX: usize = 10_000;

/// Two passes over the same sound time a word differently by up to this, milliseconds.
const APART_MS: u32 = 250;

/// A stretch that was taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedactionRow {
    /// Who said it.
    pub leg: LegId,
    /// Beginning on the axis.
    pub from_ms: u32,
    /// End on the axis.
    pub to_ms: u32,
    /// What it was, as shown in its place: `card number`.
    pub kind: String,
}

impl Store {
    /// Writes down what has to be taken out of a call's recording, with an audit row; what is known already is not written again.
    /// Words of earlier revisions that lie there are masked with it: live, half a number may have looked like none.
    pub async fn save_redactions(&self, interaction: InteractionId, stretches: &[RedactionRow], at: UnixMs) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let mut fresh: Vec<&RedactionRow> = Vec::new();
        for stretch in stretches.iter().take(STRETCHES_MAX) {
            let seq = next_number(&mut tx, "redaction").await?;
            let done = sqlx::query(
                "INSERT INTO redaction (seq, interaction, leg, from_ms, to_ms, kind, at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
                 ON CONFLICT (interaction, leg, from_ms, to_ms) DO NOTHING",
            )
            .bind(seq)
            .bind(interaction.to_string())
            .bind(stretch.leg.to_string())
            .bind(i64::from(stretch.from_ms))
            .bind(i64::from(stretch.to_ms))
            .bind(line(&stretch.kind, LINE_MAX))
            .bind(at.0)
            .execute(&mut *tx)
            .await?;
            fresh.extend((done.rows_affected() > 0).then_some(stretch));
        }
        if fresh.is_empty() {
            return self.commit(tx).await;
        }
        mask_revisions(&mut tx, interaction, stretches).await?;
        let listed: Vec<String> = fresh.iter().take(LISTED).map(|s| format!("{} {}-{} ms {}", s.kind, s.from_ms, s.to_ms, s.leg)).collect();
        let subject = ("interaction", interaction.to_string());
        write_audit(&mut tx, at, None, AuditAction::Redact, subject, Some(&listed.join("; "))).await?;
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        fresh.iter().for_each(|s| *kinds.entry(s.kind.as_str()).or_default() += 1);
        let event = NewEvent { kind: "words.redacted", interaction: Some(interaction), data: Some(json!(kinds)), ..NewEvent::default() };
        emit(&mut tx, at, event).await?;
        self.commit(tx).await
    }

    /// Everything that was taken out of a call, by time.
    pub async fn redactions(&self, interaction: InteractionId) -> Result<Vec<RedactionRow>, StoreError> {
        let mut conn = self.read().await?;
        redactions_of(&mut conn, interaction).await
    }

    /// The recording holds nothing of what was written down so far.
    pub async fn redactions_done(&self, interaction: InteractionId, at: UnixMs) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE redaction SET audio_at = $2 WHERE interaction = $1 AND audio_at IS NULL")
            .bind(interaction.to_string())
            .bind(at.0)
            .execute(&mut *tx)
            .await?;
        self.commit(tx).await
    }
}

pub(super) async fn redactions_of(conn: &mut Conn, interaction: InteractionId) -> Result<Vec<RedactionRow>, StoreError> {
    let rows = sqlx::query("SELECT leg, from_ms, to_ms, kind FROM redaction WHERE interaction = $1 ORDER BY from_ms, seq LIMIT $2")
        .bind(interaction.to_string())
        .bind(i64::try_from(STRETCHES_MAX).unwrap_or(i64::MAX))
        .fetch_all(conn)
        .await?;
    let read = |row: &super::db::Row| {
        Ok(RedactionRow { leg: row.id("leg")?, from_ms: row.int("from_ms")?, to_ms: row.int("to_ms")?, kind: row.text("kind")? })
    };
    rows.iter().map(read).collect()
}

/// Takes words out of the revisions that are stored.
async fn mask_revisions(conn: &mut Conn, interaction: InteractionId, taken: &[RedactionRow]) -> Result<(), StoreError> {
    let legs: HashSet<LegId> = taken.iter().map(|row| row.leg).collect();
    for leg in legs {
        let rows = sqlx::query(
            "SELECT u.seq, u.words FROM utterance u JOIN transcript t ON t.transcript = u.transcript WHERE t.interaction = $1 AND u.leg = $2",
        )
        .bind(interaction.to_string())
        .bind(leg.to_string())
        .fetch_all(&mut *conn)
        .await?;
        for row in &rows {
            let mut words: Vec<Word> = row.json("words")?;
            if mask(leg, &mut words, taken) {
                sqlx::query("UPDATE utterance SET words = $2 WHERE seq = $1")
                    .bind(row.int::<i64>("seq")?)
                    .bind(serde_json::to_string(&words)?)
                    .execute(&mut *conn)
                    .await?;
            }
        }
    }
    Ok(())
}

/// Puts what it was in the place of a leg's words that lie where something was taken out; whether there were any.
pub(super) fn mask(leg: LegId, words: &mut Vec<Word>, taken: &[RedactionRow]) -> bool {
    let before = words.clone();
    for row in taken.iter().filter(|row| row.leg == leg) {
        let mark = format!("[{}]", row.kind);
        let near =
            |word: &Word, apart: u32| word.from_ms < row.to_ms.saturating_add(apart) && row.from_ms < word.to_ms.saturating_add(apart);
        if words.iter().any(|word| near(word, 0) && word.text.starts_with(&mark)) {
            // Masked before, at its own times: its neighbours stay.
            words.retain(|word| !near(word, 0) || word.text.starts_with(&mark));
            continue;
        }
        let inside: Vec<(usize, u32, u32)> =
            words.iter().enumerate().filter(|(_, word)| near(word, APART_MS)).map(|(at, word)| (at, word.from_ms, word.to_ms)).collect();
        let (Some((first, from_ms, _)), Some((_, _, to_ms))) = (inside.first().copied(), inside.last().copied()) else { continue };
        words.retain(|word| !near(word, APART_MS));
        words.insert(first, Word { text: mark, from_ms, to_ms, confidence: 100 });
    }
    *words != before
}
