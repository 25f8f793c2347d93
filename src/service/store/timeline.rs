//! Timelines: every channel, newest first, each entry readable in place, paged by key.

use super::{
    Store, StoreError, TicketRef, TimelineEntry, TimelinePage, TranscriptState,
    db::{Columns, Conn, Row},
    insight_read::card_of,
    notes::notes_of,
    text::clip,
};
use crate::{
    domain::{
        customer::words::channel_title,
        fact::{Direction, EndCause},
    },
    ids::{Channel, CustomerId, IdentityId, InteractionId},
    time::UnixMs,
};

/// Most entries of one page.
const PAGE_MAX: u32 = 100;
/// Longest text of a written contact in a timeline, characters; its page has all of it.
const BODY_MAX: usize = 8_000;

/// Whose timeline.
#[derive(Clone, Copy, Debug)]
pub enum TimelineOf {
    /// A customer's.
    Customer(CustomerId),
    /// An address' that has no customer.
    Identity(IdentityId),
}

/// Where a page ends: the next one continues before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub at: UnixMs,
    pub interaction: InteractionId,
}

impl Cursor {
    pub fn parse(text: Option<&str>) -> Result<Option<Self>, StoreError> {
        let Some(text) = text else { return Ok(None) };
        let read = || {
            let (at, interaction) = text.split_once('.')?;
            Some(Self { at: UnixMs(at.parse().ok()?), interaction: interaction.parse().ok()? })
        };
        read().map(Some).ok_or(StoreError::Invalid("the cursor is not one of ours; start from the first page"))
    }

    pub fn write(self) -> String {
        format!("{}.{}", self.at.0, self.interaction)
    }
}

macro_rules! timeline_page {
    ($key:literal) => {
        concat!(
            "SELECT i.interaction, i.channel, i.direction, i.state, i.at, i.ended_at, i.cause, i.title, i.outcome, i.awaiting_reply, i.answered_ms, ",
            "i.wrapped_up, i.sentiment, i.recorded, i.transcript_state, a.name AS agent_name, d.label AS disposition_label, ",
            "t.ticket, t.subject AS ticket_subject ",
            "FROM (SELECT * FROM interaction WHERE ",
            $key,
            " = $1 AND (at < $2 OR (at = $2 AND interaction < $3)) ORDER BY at DESC, interaction DESC LIMIT $4) AS i ",
            "LEFT JOIN agent a ON a.agent = i.answered_by LEFT JOIN disposition d ON d.disposition = i.disposition ",
            "LEFT JOIN ticket_interaction k ON k.interaction = i.interaction AND k.role = 'primary' AND k.removed_at IS NULL ",
            "LEFT JOIN ticket t ON t.ticket = k.ticket ORDER BY i.at DESC, i.interaction DESC"
        )
    };
}

impl Store {
    /// A page of a timeline; `before` is the `next` of the page before, `limit` at most 100.
    pub async fn timeline(&self, of: TimelineOf, before: Option<&str>, limit: u32) -> Result<TimelinePage, StoreError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let cursor = Cursor::parse(before)?;
        let mut conn = self.read().await?;
        let query = match of {
            TimelineOf::Customer(customer) => sqlx::query(timeline_page!("customer")).bind(customer.to_string()),
            TimelineOf::Identity(identity) => sqlx::query(timeline_page!("customer IS NULL AND identity")).bind(identity.to_string()),
        };
        let rows = query
            .bind(cursor.map_or(i64::MAX, |c| c.at.0))
            .bind(cursor.map_or_else(String::new, |c| c.interaction.to_string()))
            .bind(i64::from(limit) + 1)
            .fetch_all(&mut *conn)
            .await?;
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut entries = Vec::with_capacity(rows.len().min(shown));
        for row in rows.iter().take(shown) {
            entries.push(entry(&mut conn, row).await?);
        }
        let more = rows.len() > shown;
        let next = entries.last().filter(|_| more).map(|e| Cursor { at: e.at, interaction: e.interaction }.write());
        Ok(TimelinePage { entries, next })
    }
}

async fn entry(conn: &mut Conn, row: &Row) -> Result<TimelineEntry, StoreError> {
    let interaction: InteractionId = row.id("interaction")?;
    let channel: Channel = row.word("channel")?;
    let (at, ended_at) = (row.at("at")?, row.opt_at("ended_at")?);
    let transcript: TranscriptState = row.word("transcript_state")?;
    let body = if matches!(channel, Channel::Phone) { None } else { body_of(conn, interaction).await? };
    let card = if matches!(transcript, TranscriptState::Done) { card_of(conn, interaction).await? } else { None };
    let ticket = match row.opt_id("ticket")? {
        Some(ticket) => Some(TicketRef { ticket, subject: row.opt_text("ticket_subject")?.unwrap_or_default() }),
        None => None,
    };
    Ok(TimelineEntry {
        interaction,
        channel,
        direction: row.word("direction")?,
        at,
        ended_at,
        title: title_in_words(row)?,
        outcome: outcome_in_words(row)?,
        agent: row.opt_text("agent_name")?,
        ticket,
        body,
        card,
        sentiment: row.opt_int("sentiment")?,
        recorded: row.flag("recorded")?,
        transcript,
        duration_ms: matches!(channel, Channel::Phone).then(|| length(at, ended_at)).flatten(),
        disposition: row.opt_text("disposition_label")?,
        notes: notes_of(conn, interaction).await?,
    })
}

pub(super) fn length(at: UnixMs, ended_at: Option<UnixMs>) -> Option<u64> {
    ended_at.map(|end| u64::try_from(end.0 - at.0).unwrap_or(0))
}

/// The messages of a written contact as one text, ours marked with a name.
async fn body_of(conn: &mut Conn, interaction: InteractionId) -> Result<Option<String>, StoreError> {
    let rows = sqlx::query(
        "SELECT m.direction, m.body, a.name AS agent_name FROM message m LEFT JOIN agent a ON a.agent = m.agent \
         WHERE m.interaction = $1 ORDER BY m.seq LIMIT 200",
    )
    .bind(interaction.to_string())
    .fetch_all(conn)
    .await?;
    let mut text = String::new();
    for row in &rows {
        let direction: Direction = row.word("direction")?;
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        if matches!(direction, Direction::Outbound) {
            text.push_str(row.opt_text("agent_name")?.as_deref().unwrap_or("Us"));
            text.push_str(": ");
        }
        text.push_str(&row.text("body")?);
    }
    Ok((!rows.is_empty()).then(|| clip(&text, BODY_MAX)))
}

/// The title of an interaction, or what can be said without one. Columns: title, channel, direction, state, cause,
/// answered_ms, agent_name.
pub(super) fn title_in_words(row: &Row) -> Result<String, StoreError> {
    if let Some(title) = row.opt_text("title")? {
        return Ok(title);
    }
    let channel: Channel = row.word("channel")?;
    let answered = row.opt_int::<i64>("answered_ms")?.is_some();
    let cause: Option<EndCause> = row.opt_word("cause")?;
    let state = row.text("state")?;
    let from_us = row.word::<Direction>("direction")? == Direction::Outbound;
    Ok(match (channel, answered, cause, row.opt_text("agent_name")?) {
        (Channel::Phone, true, _, Some(agent)) => format!("Call with {agent}"),
        (Channel::Phone, true, _, None) => "Call".to_owned(),
        (Channel::Phone, false, Some(_), _) if from_us => "Call from us, not answered".to_owned(),
        (Channel::Phone, false, Some(EndCause::Abandoned), _) => "Caller gave up".to_owned(),
        (Channel::Phone, false, _, _) if state == "open" => "Call in progress".to_owned(),
        (Channel::Phone, false, _, _) => "Missed call".to_owned(),
        (channel, ..) => channel_title(channel).to_owned(),
    })
}

/// How an interaction ended, in words. Columns: outcome, channel, direction, awaiting_reply, answered_ms, wrapped_up, cause, state.
pub(super) fn outcome_in_words(row: &Row) -> Result<Option<String>, StoreError> {
    if let Some(outcome) = row.opt_text("outcome")? {
        return Ok(Some(outcome));
    }
    let channel: Channel = row.word("channel")?;
    let direction: Direction = row.word("direction")?;
    let answered = row.opt_int::<i64>("answered_ms")?.is_some();
    let over = row.text("state")? != "open";
    let words = match (channel, direction) {
        (Channel::Phone, Direction::Inbound) if over && !answered => Some("not answered"),
        (Channel::Phone, _) if row.opt_int::<i64>("wrapped_up")? == Some(0) => Some("not wrapped up"),
        (Channel::Phone, _) => None,
        (_, _) if row.flag("awaiting_reply")? => Some("not answered"),
        (_, _) => None,
    };
    Ok(words.map(str::to_owned))
}
