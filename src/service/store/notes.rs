//! Notes, and the text that an agent has not saved as one yet.

use serde_json::json;

use super::{
    DraftView, Note, Store, StoreError,
    db::{Columns, Conn, Row, fresh},
    events::{NewEvent, emit},
    text::{NOTE_MAX, clean},
};
use crate::{
    ids::{AgentId, InteractionId, NoteId},
    time::UnixMs,
};

impl Store {
    /// Writes a note on an interaction.
    pub async fn add_note(&self, interaction: InteractionId, agent: AgentId, text: &str, at: UnixMs) -> Result<Note, StoreError> {
        let mut tx = self.write().await?;
        let note = insert_note(&mut tx, interaction, agent, text, at).await?.ok_or(StoreError::Invalid("a note needs words"))?;
        let event = NewEvent { kind: "note.added", interaction: Some(interaction), agent: Some(agent), ..NewEvent::default() };
        emit(&mut tx, at, event).await?;
        self.commit(tx).await?;
        Ok(note)
    }

    /// Saves an agent's unsaved text over the version that they last saw (0 for none) and returns the new version.
    ///
    /// [`StoreError::Conflict`] carries `{text, version}` as it stands when another tab was faster.
    pub async fn save_draft(
        &self,
        interaction: InteractionId,
        agent: AgentId,
        text: &str,
        version: i64,
        at: UnixMs,
    ) -> Result<i64, StoreError> {
        let mut tx = self.write().await?;
        must_exist(&mut tx, interaction).await?;
        let saved: Option<i64> = sqlx::query_scalar(
            "INSERT INTO draft (interaction, agent, text, at, version) VALUES ($1, $2, $3, $4, 1) \
             ON CONFLICT (interaction, agent) DO UPDATE SET text = excluded.text, at = excluded.at, version = draft.version + 1 \
             WHERE draft.version = $5 RETURNING version",
        )
        .bind(interaction.to_string())
        .bind(agent.to_string())
        .bind(clean(text, NOTE_MAX))
        .bind(at.0)
        .bind(version)
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(version) = saved {
            self.commit(tx).await?;
            return Ok(version);
        }
        let current = draft(&mut tx, interaction, agent).await?;
        Err(StoreError::Conflict { what: "the draft", current: json!(current) })
    }
}

/// Writes a note without an event; `None` when there are no words in it.
pub(super) async fn insert_note(
    conn: &mut Conn,
    interaction: InteractionId,
    agent: AgentId,
    text: &str,
    at: UnixMs,
) -> Result<Option<Note>, StoreError> {
    must_exist(conn, interaction).await?;
    let text = clean(text, NOTE_MAX).trim().to_owned();
    if text.is_empty() {
        return Ok(None);
    }
    let note = fresh(NoteId::new, at)?;
    sqlx::query("INSERT INTO note (note, interaction, text, by_agent, at) VALUES ($1, $2, $3, $4, $5)")
        .bind(note.to_string())
        .bind(interaction.to_string())
        .bind(&text)
        .bind(agent.to_string())
        .bind(at.0)
        .execute(&mut *conn)
        .await?;
    let by: Option<String> =
        sqlx::query_scalar("SELECT name FROM agent WHERE agent = $1").bind(agent.to_string()).fetch_optional(conn).await?;
    Ok(Some(Note { note, text, by: by.unwrap_or_default(), at }))
}

pub(super) async fn draft(conn: &mut Conn, interaction: InteractionId, agent: AgentId) -> Result<Option<DraftView>, StoreError> {
    let row = sqlx::query("SELECT text, version FROM draft WHERE interaction = $1 AND agent = $2")
        .bind(interaction.to_string())
        .bind(agent.to_string())
        .fetch_optional(conn)
        .await?;
    row.map(|row| Ok(DraftView { text: row.text("text")?, version: row.int("version")? })).transpose()
}

pub(super) async fn notes_of(conn: &mut Conn, interaction: InteractionId) -> Result<Vec<Note>, StoreError> {
    let rows = sqlx::query(
        "SELECT n.note, n.text, n.at, COALESCE(a.name, '') AS by_name FROM note n LEFT JOIN agent a ON a.agent = n.by_agent \
         WHERE n.interaction = $1 ORDER BY n.at, n.note",
    )
    .bind(interaction.to_string())
    .fetch_all(conn)
    .await?;
    rows.iter().map(read_note).collect()
}

pub(super) fn read_note(row: &Row) -> Result<Note, StoreError> {
    Ok(Note { note: row.id("note")?, text: row.text("text")?, by: row.text("by_name")?, at: row.at("at")? })
}

pub(super) async fn must_exist(conn: &mut Conn, interaction: InteractionId) -> Result<(), StoreError> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM interaction WHERE interaction = $1").bind(interaction.to_string()).fetch_optional(conn).await?;
    found.map(|_| ()).ok_or(StoreError::NotFound("interaction"))
}
