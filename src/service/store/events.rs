//! The outbox and the audit: ids and small facts, written in the transaction that they tell of.

use serde::Serialize;
use serde_json::Value;

use super::{
    Store, StoreError,
    db::{Columns, Conn, opt_id},
    next_number,
    rows::{self, Rows},
    take_numbers,
};
use crate::{
    ids::{AgentId, CustomerId, InteractionId},
    time::UnixMs,
};

/// Most events that one read returns.
const PAGE_MAX: i64 = 1_000;

/// One thing that changed in the record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventRow {
    /// Its number: grows in the order of commits.
    pub seq: i64,
    /// When.
    pub at: UnixMs,
    /// What: `interaction.opened`, `transcript.saved`, …
    pub kind: String,
    /// The interaction that it is about.
    pub interaction: Option<InteractionId>,
    /// The customer whose record changed.
    pub customer: Option<CustomerId>,
    /// The agent who did it.
    pub agent: Option<AgentId>,
    /// Small facts.
    pub data: Option<Value>,
}

/// An event to be written.
#[derive(Default)]
pub(super) struct NewEvent {
    pub kind: &'static str,
    pub interaction: Option<InteractionId>,
    pub customer: Option<CustomerId>,
    pub agent: Option<AgentId>,
    pub data: Option<Value>,
}

/// What somebody did that is kept in the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// Opened a customer's or an interaction's record.
    OpenRecord,
    /// Read a transcript.
    ReadTranscript,
    /// Played a recording.
    PlayRecording,
    /// Put words of a transcript right, or took that back.
    CorrectWords,
    /// Had a call transcribed again.
    TranscribeAgain,
    /// Confirmed, edited or rejected something that was read out of an interaction.
    JudgeFinding,
    /// Was shown a pop.
    Pop,
    /// Said who a caller is.
    ChooseCustomer,
    /// Named an unknown caller.
    NameCustomer,
    /// Logged in.
    LogIn,
    /// Changed people or phones.
    ManagePeople,
    /// Numbers were taken out of words and recording; nobody did it but the rules.
    Redact,
}

pub(super) async fn emit(conn: &mut Conn, at: UnixMs, event: NewEvent) -> Result<(), StoreError> {
    let seq = next_number(conn, "event").await?;
    sqlx::query(
        "INSERT INTO event (seq, at, kind, interaction, customer, agent, data) VALUES ($1, $2, $3, $4, \
         COALESCE(CAST($5 AS TEXT), (SELECT customer FROM interaction WHERE interaction = $4)), $6, $7)",
    )
    .bind(seq)
    .bind(at.0)
    .bind(event.kind)
    .bind(opt_id(event.interaction))
    .bind(opt_id(event.customer))
    .bind(opt_id(event.agent))
    .bind(event.data.map(|data| data.to_string()))
    .execute(conn)
    .await?;
    Ok(())
}

/// Events of a batch of facts, written together at its end, in the order of the facts whatever the order of the work.
#[derive(Default)]
pub(super) struct Outbox {
    events: Vec<(usize, UnixMs, NewEvent)>,
}

impl Outbox {
    /// Adds what the fact at this place led to; the event names its customer itself.
    pub(super) fn push(&mut self, place: usize, at: UnixMs, event: NewEvent) {
        self.events.push((place, at, event));
    }

    pub(super) async fn write(mut self, conn: &mut Conn) -> Result<(), StoreError> {
        if self.events.is_empty() {
            return Ok(());
        }
        self.events.sort_by_key(|(place, ..)| *place);
        let first = take_numbers(conn, "event", i64::try_from(self.events.len()).unwrap_or(i64::MAX)).await?;
        let row = |(seq, (_, at, event)): (i64, (usize, UnixMs, NewEvent))| {
            [
                seq.into(),
                at.0.into(),
                event.kind.into(),
                opt_id(event.interaction).into(),
                opt_id(event.customer).into(),
                opt_id(event.agent).into(),
                event.data.map(|data| data.to_string()).into(),
            ]
        };
        let rows: Rows<7> = (first..).zip(self.events).map(row).collect();
        let insert = "INSERT INTO event (seq, at, kind, interaction, customer, agent, data) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        rows::write(conn, insert, rows).await
    }
}

pub(super) async fn last(conn: &mut Conn) -> Result<i64, StoreError> {
    let last: Option<i64> = sqlx::query_scalar("SELECT last FROM sequencer WHERE name = 'event'").fetch_optional(conn).await?;
    Ok(last.unwrap_or(0))
}

pub(super) async fn write_audit(
    conn: &mut Conn,
    at: UnixMs,
    agent: Option<AgentId>,
    action: AuditAction,
    subject: (&'static str, String),
    detail: Option<&str>,
) -> Result<(), StoreError> {
    let seq = next_number(conn, "audit").await?;
    sqlx::query("INSERT INTO audit (seq, at, agent, action, subject_kind, subject, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(seq)
        .bind(at.0)
        .bind(opt_id(agent))
        .bind(super::db::word(&action))
        .bind(subject.0)
        .bind(subject.1)
        .bind(detail)
        .execute(conn)
        .await?;
    Ok(())
}

impl Store {
    /// Events after `cursor` in order, at most `limit` (≤ 1,000).
    pub async fn events_since(&self, cursor: i64, limit: u32) -> Result<Vec<EventRow>, StoreError> {
        let mut conn = self.read().await?;
        let rows = sqlx::query("SELECT seq, at, kind, interaction, customer, agent, data FROM event WHERE seq > $1 ORDER BY seq LIMIT $2")
            .bind(cursor)
            .bind(i64::from(limit).min(PAGE_MAX))
            .fetch_all(&mut *conn)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(EventRow {
                    seq: row.int("seq")?,
                    at: row.at("at")?,
                    kind: row.text("kind")?,
                    interaction: row.opt_id("interaction")?,
                    customer: row.opt_id("customer")?,
                    agent: row.opt_id("agent")?,
                    data: row.opt_text("data")?.map(|_| row.json("data")).transpose()?,
                })
            })
            .collect()
    }

    /// Counts this start of the process: the epoch of live cursors.
    pub async fn next_epoch(&self) -> Result<i64, StoreError> {
        let mut tx = self.write().await?;
        let epoch = next_number(&mut tx, "epoch").await?;
        self.commit(tx).await?;
        Ok(epoch)
    }

    /// Notes that somebody opened, read, played or changed something. `subject` is a kind (`customer`, `interaction`, …) and an id.
    pub async fn audit(&self, agent: AgentId, action: AuditAction, subject: (&'static str, String), at: UnixMs) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        write_audit(&mut tx, at, Some(agent), action, subject, None).await?;
        self.commit(tx).await
    }
}
