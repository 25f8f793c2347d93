//! Wrap-up: everything that an agent says at the end of a contact, in one transaction.

use super::{
    Store, StoreError,
    db::{Columns, Conn},
    events::{NewEvent, emit},
    heard_promises,
    notes::insert_note,
    text::{LINE_MAX, opt_line},
    tickets,
    work_items::{self, NewWorkItem},
};
use crate::{
    domain::fact::WorkItemKind,
    ids::{AgentId, Channel, InteractionId, TicketId},
    time::UnixMs,
};

/// Most promises of one contact.
const PROMISES_MAX: usize = 20;
/// Priority of a promise in its owner's list.
const PROMISE_PRIORITY: u8 = 7;

/// What the agent says.
#[derive(Clone, Debug, Default)]
pub struct WrapUp {
    /// Key of the disposition.
    pub disposition: String,
    /// A note; may be empty.
    pub note: String,
    /// Nothing is left to do: the ticket is solved.
    pub solved: bool,
    /// What was promised.
    pub promises: Vec<PromiseMade>,
}

/// Something that we said we would do.
#[derive(Clone, Debug)]
pub struct PromiseMade {
    /// What.
    pub text: String,
    /// By when.
    pub due: Option<UnixMs>,
}

impl Store {
    /// Saves a wrap-up by an agent who was in the interaction; saying it again replaces the disposition and adds nothing twice.
    pub async fn wrap_up(&self, interaction: InteractionId, agent: AgentId, said: &WrapUp, at: UnixMs) -> Result<(), StoreError> {
        if said.promises.len() > PROMISES_MAX {
            return Err(StoreError::Invalid("at most 20 promises can be made in one contact"));
        }
        let mut tx = self.write().await?;
        must_be_in_it(&mut tx, interaction, agent).await?;
        let contact = is_contact(&mut tx, &said.disposition).await?;
        let outcome = match (contact, said.solved, said.promises.is_empty()) {
            (false, ..) => "nobody reached",
            (true, true, _) => "solved",
            (true, false, false) => "promise made",
            (true, false, true) => "open",
        };
        sqlx::query("UPDATE interaction SET disposition = $2, outcome = $3, wrapped_up = 1, version = version + 1 WHERE interaction = $1")
            .bind(interaction.to_string())
            .bind(&said.disposition)
            .bind(outcome)
            .execute(&mut *tx)
            .await?;
        insert_note(&mut tx, interaction, agent, &said.note, at).await?;
        let gone = "DELETE FROM draft WHERE interaction = $1 AND agent = $2";
        sqlx::query(gone).bind(interaction.to_string()).bind(agent.to_string()).execute(&mut *tx).await?;
        let ticket = settle_ticket(&mut tx, interaction, agent, contact, said, at).await?;
        heard_promises::settle(&mut tx, interaction, agent, at).await?;
        promise(&mut tx, interaction, agent, ticket, &said.promises, at).await?;
        close_reminder(&mut tx, interaction, agent, at).await?;
        let event = NewEvent { kind: "wrap_up.saved", interaction: Some(interaction), agent: Some(agent), ..NewEvent::default() };
        emit(&mut tx, at, event).await?;
        self.commit(tx).await
    }
}

async fn must_be_in_it(conn: &mut Conn, interaction: InteractionId, agent: AgentId) -> Result<(), StoreError> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM interaction i WHERE i.interaction = $1 AND (i.answered_by = $2 \
         OR EXISTS (SELECT 1 FROM leg l WHERE l.interaction = $1 AND l.agent = $2) \
         OR EXISTS (SELECT 1 FROM work_item w WHERE w.interaction = $1 AND w.owner = $2))",
    )
    .bind(interaction.to_string())
    .bind(agent.to_string())
    .fetch_optional(conn)
    .await?;
    found.map(|_| ()).ok_or(StoreError::NotFound("interaction of yours"))
}

async fn is_contact(conn: &mut Conn, disposition: &str) -> Result<bool, StoreError> {
    let contact: Option<i64> = sqlx::query_scalar("SELECT contact FROM disposition WHERE disposition = $1 AND retired_at IS NULL")
        .bind(disposition)
        .fetch_optional(conn)
        .await?;
    contact.map(|contact| contact != 0).ok_or(StoreError::Invalid("choose one of the dispositions"))
}

async fn settle_ticket(
    conn: &mut Conn,
    interaction: InteractionId,
    agent: AgentId,
    contact: bool,
    said: &WrapUp,
    at: UnixMs,
) -> Result<Option<TicketId>, StoreError> {
    if !contact {
        tickets::detach(conn, interaction, at).await?;
        return Ok(None);
    }
    let ticket = tickets::attach(conn, interaction, Some(agent), at).await?;
    if let Some(ticket) = ticket.filter(|_| said.solved) {
        tickets::solve(conn, ticket, at).await?;
    }
    Ok(ticket)
}

async fn promise(
    conn: &mut Conn,
    interaction: InteractionId,
    agent: AgentId,
    ticket: Option<TicketId>,
    promises: &[PromiseMade],
    at: UnixMs,
) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT customer, identity, channel, queue FROM interaction WHERE interaction = $1")
        .bind(interaction.to_string())
        .fetch_one(&mut *conn)
        .await?;
    let (customer, identity, channel): (_, _, Channel) = (row.opt_id("customer")?, row.opt_id("identity")?, row.word("channel")?);
    let queue = row.opt_text("queue")?.unwrap_or_default();
    for (place, made) in promises.iter().enumerate() {
        let Some(title) = opt_line(Some(&made.text), LINE_MAX) else { continue };
        let item = NewWorkItem {
            id: None,
            kind: WorkItemKind::Promise,
            source: format!("{interaction}/{place}"),
            title: Some(title),
            interaction: Some(interaction),
            customer,
            identity,
            ticket,
            channel,
            queue: queue.clone(),
            priority: PROMISE_PRIORITY,
            due: made.due,
            owner: Some(agent),
        };
        work_items::open(conn, &item, at).await?;
    }
    Ok(())
}

/// A late wrap-up ends the reminder that time had run out.
async fn close_reminder(conn: &mut Conn, interaction: InteractionId, agent: AgentId, at: UnixMs) -> Result<(), StoreError> {
    let done = "UPDATE work_item SET state = 'done', done_at = $2, done_by = $3, why_closed = 'wrapped up', version = version + 1 \
         WHERE interaction = $1 AND kind = 'not_wrapped_up' AND state <> 'done'";
    sqlx::query(done).bind(interaction.to_string()).bind(at.0).bind(agent.to_string()).execute(conn).await?;
    Ok(())
}
