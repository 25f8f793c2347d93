//! The ticket of an interaction: joined or opened, with the reason.

use serde_json::json;

use super::{
    StoreError,
    brief::reason_scores,
    db::{Columns, Conn, Row, fresh, opt_id},
    events::{NewEvent, emit},
    next_number,
    text::{NAME_MAX, clip},
};
use crate::{
    domain::{
        customer::{
            ticket::{Candidate, Choice, choose, subject},
            words::channel_title,
        },
        fact::Direction,
    },
    ids::{AgentId, Channel, CustomerId, IdentityId, InteractionId, TicketId},
    time::UnixMs,
};

/// What a ticket needs to know of the interaction.
pub(super) struct Contact {
    pub interaction: InteractionId,
    pub channel: Channel,
    pub direction: Direction,
    pub at: UnixMs,
    pub identity: Option<IdentityId>,
    pub customer: Option<CustomerId>,
    pub thread: Option<String>,
    pub queue: Option<String>,
    pub title: Option<String>,
}

impl Contact {
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            interaction: row.id("interaction")?,
            channel: row.word("channel")?,
            direction: row.word("direction")?,
            at: row.at("at")?,
            identity: row.opt_id("identity")?,
            customer: row.opt_id("customer")?,
            thread: row.opt_text("thread")?,
            queue: row.opt_text("queue")?,
            title: row.opt_text("title")?,
        })
    }
}

/// Puts an external interaction on its ticket, once; returns the ticket. Internal ones have none.
pub(super) async fn attach(
    conn: &mut Conn,
    interaction: InteractionId,
    by: Option<AgentId>,
    now: UnixMs,
) -> Result<Option<TicketId>, StoreError> {
    if let Some(ticket) = primary(conn, interaction).await? {
        return Ok(Some(ticket));
    }
    let Some(contact) = contact(conn, interaction).await? else { return Ok(None) };
    if matches!(contact.direction, Direction::Internal) {
        return Ok(None);
    }
    let ticket = put_on(conn, &contact, by, now).await?;
    emit(conn, now, contact.on(ticket, by)).await?;
    Ok(Some(ticket))
}

impl Contact {
    /// Says that it is on a ticket.
    pub(super) fn on(&self, ticket: TicketId, by: Option<AgentId>) -> NewEvent {
        let data = Some(json!({ "ticket": ticket }));
        NewEvent { kind: "ticket.contact", interaction: Some(self.interaction), customer: self.customer, agent: by, data }
    }
}

/// Joins or opens the ticket of one that has none.
pub(super) async fn put_on(conn: &mut Conn, contact: &Contact, by: Option<AgentId>, now: UnixMs) -> Result<TicketId, StoreError> {
    let candidates = candidates(conn, contact, now).await?;
    let (ticket, why, confidence) = match choose(&candidates, now) {
        Choice::Join { ticket, why, confidence } => {
            touch(conn, ticket, contact).await?;
            (ticket, why, confidence)
        }
        Choice::Open { why } => (open(conn, contact).await?, why.to_owned(), 100),
    };
    sqlx::query(
        "INSERT INTO ticket_interaction (ticket, interaction, role, by_agent, why, confidence, at) VALUES ($1, $2, 'primary', $3, $4, $5, $6) \
         ON CONFLICT (ticket, interaction) DO UPDATE SET role = 'primary', removed_at = NULL, why = excluded.why",
    )
    .bind(ticket.to_string())
    .bind(contact.interaction.to_string())
    .bind(opt_id(by))
    .bind(&why)
    .bind(i64::from(confidence))
    .bind(contact.at.0)
    .execute(&mut *conn)
    .await?;
    Ok(ticket)
}

/// Takes an interaction off its ticket: nobody was reached. A ticket that only it had opened is solved with it.
pub(super) async fn detach(conn: &mut Conn, interaction: InteractionId, now: UnixMs) -> Result<(), StoreError> {
    let Some(ticket) = primary(conn, interaction).await? else { return Ok(()) };
    let off = "UPDATE ticket_interaction SET removed_at = $3 WHERE ticket = $1 AND interaction = $2";
    sqlx::query(off).bind(ticket.to_string()).bind(interaction.to_string()).bind(now.0).execute(&mut *conn).await?;
    let empty = "UPDATE ticket SET state = 'solved', solved_at = $3, version = version + 1 WHERE ticket = $1 AND opened_by = $2 \
         AND NOT EXISTS (SELECT 1 FROM ticket_interaction k WHERE k.ticket = $1 AND k.removed_at IS NULL)";
    sqlx::query(empty).bind(ticket.to_string()).bind(interaction.to_string()).bind(now.0).execute(conn).await?;
    Ok(())
}

/// Solves a ticket: messages on it no longer wait for an answer.
pub(super) async fn solve(conn: &mut Conn, ticket: TicketId, now: UnixMs) -> Result<(), StoreError> {
    let id = ticket.to_string();
    let solved = "UPDATE ticket SET state = 'solved', solved_at = $2, touched_at = $2, version = version + 1 WHERE ticket = $1";
    sqlx::query(solved).bind(&id).bind(now.0).execute(&mut *conn).await?;
    let answered = "UPDATE interaction SET awaiting_reply = 0, outcome = COALESCE(outcome, 'solved in a later contact') \
         WHERE awaiting_reply = 1 AND interaction IN (SELECT interaction FROM ticket_interaction WHERE ticket = $1 AND removed_at IS NULL)";
    sqlx::query(answered).bind(&id).execute(&mut *conn).await?;
    let work = "UPDATE work_item SET state = 'done', done_at = $2, why_closed = 'the ticket was solved', version = version + 1 \
         WHERE kind = 'message' AND state <> 'done' \
         AND interaction IN (SELECT interaction FROM ticket_interaction WHERE ticket = $1 AND removed_at IS NULL)";
    sqlx::query(work).bind(&id).bind(now.0).execute(conn).await?;
    Ok(())
}

pub(super) async fn primary(conn: &mut Conn, interaction: InteractionId) -> Result<Option<TicketId>, StoreError> {
    let row = sqlx::query("SELECT ticket FROM ticket_interaction WHERE interaction = $1 AND role = 'primary' AND removed_at IS NULL")
        .bind(interaction.to_string())
        .fetch_optional(conn)
        .await?;
    row.map(|row| row.id("ticket")).transpose()
}

async fn contact(conn: &mut Conn, interaction: InteractionId) -> Result<Option<Contact>, StoreError> {
    let row = sqlx::query(
        "SELECT interaction, channel, direction, at, identity, customer, thread, queue, title FROM interaction WHERE interaction = $1",
    )
    .bind(interaction.to_string())
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Contact::read).transpose()
}

async fn candidates(conn: &mut Conn, contact: &Contact, now: UnixMs) -> Result<Vec<Candidate>, StoreError> {
    let rows =
        match (contact.customer, contact.identity) {
            (Some(customer), _) => sqlx::query(
                "SELECT ticket, state, touched_at FROM ticket WHERE customer = $1 AND state <> 'solved' ORDER BY touched_at DESC LIMIT 20",
            )
            .bind(customer.to_string())
            .fetch_all(&mut *conn)
            .await?,
            (None, Some(identity)) => {
                sqlx::query(
                    "SELECT ticket, state, touched_at FROM ticket WHERE identity = $1 AND customer IS NULL AND state <> 'solved' \
             ORDER BY touched_at DESC LIMIT 20",
                )
                .bind(identity.to_string())
                .fetch_all(&mut *conn)
                .await?
            }
            (None, None) => Vec::new(),
        };
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let whose = (contact.customer, contact.identity);
    let scores = reason_scores(conn, whose, contact.interaction, contact.queue.as_deref(), now).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let ticket: TicketId = row.id("ticket")?;
        found.push(Candidate {
            ticket,
            state: row.word("state")?,
            touched_at: row.at("touched_at")?,
            same_thread: in_thread(conn, ticket, contact.thread.as_deref()).await?,
            reason_score: scores.iter().filter(|(scored, _)| *scored == ticket).map(|(_, score)| *score).max().unwrap_or(0),
        });
    }
    Ok(found)
}

async fn in_thread(conn: &mut Conn, ticket: TicketId, thread: Option<&str>) -> Result<bool, StoreError> {
    let Some(thread) = thread else { return Ok(false) };
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM interaction i JOIN ticket_interaction k ON k.interaction = i.interaction AND k.removed_at IS NULL \
         WHERE i.thread = $1 AND i.thread IS NOT NULL AND k.ticket = $2 LIMIT 1",
    )
    .bind(thread)
    .bind(ticket.to_string())
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

async fn touch(conn: &mut Conn, ticket: TicketId, contact: &Contact) -> Result<(), StoreError> {
    let touched = match contact.direction {
        Direction::Inbound | Direction::Internal => {
            "UPDATE ticket SET touched_at = CASE WHEN touched_at < $2 THEN $2 ELSE touched_at END, state = 'open_us', \
             version = version + 1 WHERE ticket = $1"
        }
        Direction::Outbound => {
            "UPDATE ticket SET touched_at = CASE WHEN touched_at < $2 THEN $2 ELSE touched_at END, we_wrote_at = $2, \
             version = version + 1 WHERE ticket = $1"
        }
    };
    sqlx::query(touched).bind(ticket.to_string()).bind(contact.at.0).execute(conn).await?;
    Ok(())
}

async fn open(conn: &mut Conn, contact: &Contact) -> Result<TicketId, StoreError> {
    let ticket = fresh(TicketId::new, contact.at)?;
    let number = next_number(conn, "ticket").await?;
    let subject = subject(contact.title.as_deref(), contact.interaction, channel_title(contact.channel));
    sqlx::query(
        "INSERT INTO ticket (ticket, number, subject, state, customer, identity, queue, opened_by, opened_at, touched_at) \
         VALUES ($1, $2, $3, 'open_us', $4, $5, $6, $7, $8, $8)",
    )
    .bind(ticket.to_string())
    .bind(number)
    .bind(clip(&subject, NAME_MAX))
    .bind(opt_id(contact.customer))
    .bind(opt_id(contact.identity))
    .bind(&contact.queue)
    .bind(contact.interaction.to_string())
    .bind(contact.at.0)
    .execute(conn)
    .await?;
    Ok(ticket)
}
