//! Promises with a day that were heard in a call, as work for the agent who made them, until a person has said which stand.

use serde_json::Value;

use super::{
    Store, StoreError,
    db::{Columns, Conn},
    insight::{FindingKind, FindingRow},
    text::{LINE_MAX, opt_line},
    work_items::{self, NewWorkItem},
};
use crate::{
    domain::fact::WorkItemKind,
    ids::{AgentId, Channel, InteractionId},
    time::UnixMs,
};

/// Priority in its owner's list: below what they typed themselves.
const PRIORITY: u8 = 6;
/// Most work that one call's words can make.
const HEARD_MAX: usize = 20;

/// Source of a heard promise: the call, and where in its audio it was made; a person's own are `INTERACTION/PLACE`.
fn source(interaction: InteractionId, span: (u32, u32)) -> String {
    format!("{interaction}/heard/{}-{}", span.0, span.1)
}

/// The place in the audio that a source names.
fn span_of(source: &str) -> Option<(u32, u32)> {
    let (from, to) = source.split_once("/heard/")?.1.split_once('-')?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

/// Opens work for promises with a day. One that was opened by an earlier revision, at the same place in the audio, stays as it is.
pub(super) async fn open(conn: &mut Conn, interaction: InteractionId, findings: &[&FindingRow], at: UnixMs) -> Result<(), StoreError> {
    let own = "SELECT source, title FROM work_item WHERE interaction = $1 AND kind = 'promise'";
    let rows = sqlx::query(own).bind(interaction.to_string()).fetch_all(&mut *conn).await?;
    let mut known: Vec<(u32, u32)> = Vec::new();
    let mut titles: Vec<String> = Vec::new();
    for row in &rows {
        known.extend(span_of(&row.text("source")?));
        titles.extend(row.opt_text("title")?);
    }
    let of = "SELECT customer, identity, channel, queue, answered_by FROM interaction WHERE interaction = $1";
    let Some(row) = sqlx::query(of).bind(interaction.to_string()).fetch_optional(&mut *conn).await? else { return Ok(()) };
    let channel: Channel = row.word("channel")?;
    let ticket = "SELECT ticket FROM ticket_interaction WHERE interaction = $1 AND role = 'primary' AND removed_at IS NULL LIMIT 1";
    let ticket = sqlx::query(ticket).bind(interaction.to_string()).fetch_optional(&mut *conn).await?;
    let ticket = ticket.map(|row| row.opt_id("ticket")).transpose()?.flatten();
    for finding in findings.iter().filter(|f| f.kind == FindingKind::Promise).take(HEARD_MAX) {
        let text = finding.value.get("text").and_then(Value::as_str);
        let due = finding.value.get("due").and_then(Value::as_i64).map(UnixMs);
        let span = finding.evidence.first().and_then(|e| e.span_ms);
        let (Some(title), Some(due), Some(span)) = (opt_line(text, LINE_MAX), due, span) else { continue };
        if known.iter().any(|k| k.0 < span.1 && span.0 < k.1) || titles.contains(&title) {
            continue;
        }
        let item = NewWorkItem {
            id: None,
            kind: WorkItemKind::Promise,
            source: source(interaction, span),
            title: Some(title),
            interaction: Some(interaction),
            customer: row.opt_id("customer")?,
            identity: row.opt_id("identity")?,
            ticket,
            channel,
            queue: row.opt_text("queue")?.unwrap_or_default(),
            priority: PRIORITY,
            due: Some(due),
            owner: row.opt_id("answered_by")?,
        };
        work_items::open(conn, &item, at).await?;
    }
    Ok(())
}

/// A person has said which promises were made: what was only heard gives way to that.
pub(super) async fn settle(conn: &mut Conn, interaction: InteractionId, agent: AgentId, at: UnixMs) -> Result<(), StoreError> {
    close(conn, interaction, None, agent, "the agent said at the wrap-up what was promised", at).await
}

/// A person has said that one of them is none.
pub(super) async fn reject(
    conn: &mut Conn,
    interaction: InteractionId,
    span: (u32, u32),
    agent: AgentId,
    at: UnixMs,
) -> Result<(), StoreError> {
    close(conn, interaction, Some(span), agent, "not a promise", at).await
}

async fn close(
    conn: &mut Conn,
    interaction: InteractionId,
    only: Option<(u32, u32)>,
    agent: AgentId,
    why: &str,
    at: UnixMs,
) -> Result<(), StoreError> {
    let open = "SELECT work_item, source FROM work_item WHERE interaction = $1 AND kind = 'promise' AND state <> 'done'";
    for row in sqlx::query(open).bind(interaction.to_string()).fetch_all(&mut *conn).await? {
        let Some(span) = span_of(&row.text("source")?) else { continue };
        if only.is_some_and(|only| span.1 <= only.0 || only.1 <= span.0) {
            continue;
        }
        let done =
            "UPDATE work_item SET state = 'done', done_at = $2, done_by = $3, why_closed = $4, version = version + 1 WHERE work_item = $1";
        sqlx::query(done).bind(row.text("work_item")?).bind(at.0).bind(agent.to_string()).bind(why).execute(&mut *conn).await?;
    }
    Ok(())
}

/// How people judged the lines of one method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What found them, and its version.
    pub method: (String, String),
    /// Lines that still stand in the record.
    pub lines: u32,
    /// Of these, said to be right.
    pub confirmed: u32,
    /// Put in other words.
    pub edited: u32,
    /// Said to be wrong.
    pub rejected: u32,
}

impl Store {
    /// How people judged card lines, by method and version: the share that is edited or rejected is what a version is worth.
    pub async fn judged_lines(&self) -> Result<Vec<Judged>, StoreError> {
        let mut conn = self.read().await?;
        let rows = sqlx::query(
            "SELECT method, method_version, COUNT(*) AS total, SUM(CASE WHEN status = 'confirmed' THEN 1 ELSE 0 END) AS confirmed, \
             SUM(CASE WHEN status = 'edited' THEN 1 ELSE 0 END) AS edited, SUM(CASE WHEN status = 'rejected' THEN 1 ELSE 0 END) AS rejected \
             FROM finding WHERE kind = 'card_line' GROUP BY method, method_version ORDER BY method, method_version",
        )
        .fetch_all(&mut *conn)
        .await?;
        let judged = |row: &super::db::Row| {
            Ok(Judged {
                method: (row.text("method")?, row.text("method_version")?),
                lines: row.int("total")?,
                confirmed: row.int("confirmed")?,
                edited: row.int("edited")?,
                rejected: row.int("rejected")?,
            })
        };
        rows.iter().map(judged).collect()
    }
}
