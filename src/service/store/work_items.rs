//! What somebody must do: lists, taking and closing.

use serde_json::json;

use super::{
    Store, StoreError, WorkItem, WorkItemState,
    customers::opt_who,
    db::{Columns, Conn, Row, fresh, opt_id, word},
    events::{NewEvent, Outbox, emit},
    rows::{self, Value},
    text::{LINE_MAX, opt_line},
};
use crate::{
    domain::fact::WorkItemKind,
    ids::{AgentId, Channel, CustomerId, IdentityId, InteractionId, TicketId, WorkItemId},
    time::UnixMs,
};

/// Most items of one list: nobody works through more without taking some.
const LIST_MAX: i64 = 200;

/// Reads work items with all that the desk shows of them.
macro_rules! select_work_items {
    ($rest:literal) => {
        concat!(
            "SELECT w.work_item, w.kind, w.state, w.title, w.channel, w.interaction, w.queue, w.priority, w.due, w.opened_at, w.why_closed, ",
            "w.customer, c.name AS customer_name, o.name AS organisation_name, c.vip, c.language, c.since, a.name AS owner_name, ",
            "COALESCE(i.number, d.raw) AS number, t.subject AS ticket_subject, ",
            "CASE WHEN w.kind = 'missed_call' THEN i.ended_at - i.at ELSE NULL END AS waited_ms ",
            "FROM work_item w LEFT JOIN customer c ON c.customer = w.customer LEFT JOIN organisation o ON o.organisation = c.organisation ",
            "LEFT JOIN agent a ON a.agent = w.owner LEFT JOIN interaction i ON i.interaction = w.interaction ",
            "LEFT JOIN identity d ON d.identity = w.identity LEFT JOIN ticket t ON t.ticket = w.ticket ",
            $rest
        )
    };
}

/// A work item to be opened.
pub(super) struct NewWorkItem {
    pub id: Option<WorkItemId>,
    pub kind: WorkItemKind,
    pub source: String,
    pub title: Option<String>,
    pub interaction: Option<InteractionId>,
    pub customer: Option<CustomerId>,
    pub identity: Option<IdentityId>,
    pub ticket: Option<TicketId>,
    pub channel: Channel,
    pub queue: String,
    pub priority: u8,
    pub due: Option<UnixMs>,
    pub owner: Option<AgentId>,
}

impl Store {
    /// Items that are not done, next due first: those of `owner`, or everybody's.
    pub async fn work_items(&self, owner: Option<AgentId>) -> Result<Vec<WorkItem>, StoreError> {
        let mut conn = self.read().await?;
        let rows = match owner {
            Some(owner) => {
                let sql = select_work_items!("WHERE w.owner = $1 AND w.state <> 'done' ORDER BY w.due NULLS LAST, w.work_item LIMIT $2");
                sqlx::query(sql).bind(owner.to_string()).bind(LIST_MAX).fetch_all(&mut *conn).await?
            }
            None => {
                let sql = select_work_items!("WHERE w.state <> 'done' ORDER BY w.due NULLS LAST, w.work_item LIMIT $1");
                sqlx::query(sql).bind(LIST_MAX).fetch_all(&mut *conn).await?
            }
        };
        rows.iter().map(read).collect()
    }

    /// What an agent may work at, next due first: their own items, and those of the queues they serve that nobody has.
    pub async fn work_of(&self, agent: AgentId) -> Result<Vec<WorkItem>, StoreError> {
        let mut conn = self.read().await?;
        let sql = select_work_items!(
            "WHERE w.state <> 'done' AND (w.owner = $1 OR (w.owner IS NULL AND w.queue IN (SELECT q.name FROM queue_agent s \
             JOIN queue q ON q.queue = s.queue WHERE s.agent = $1))) ORDER BY w.due NULLS LAST, w.work_item LIMIT $2"
        );
        sqlx::query(sql).bind(agent.to_string()).bind(LIST_MAX).fetch_all(&mut *conn).await?.iter().map(read).collect()
    }

    /// Takes an item for an agent. [`StoreError::Conflict`] carries the item when a colleague has it or it is done.
    pub async fn take_work_item(&self, item: WorkItemId, agent: AgentId, at: UnixMs) -> Result<WorkItem, StoreError> {
        let take = "UPDATE work_item SET state = 'accepted', owner = $2, attempts = attempts + 1, version = version + 1 \
             WHERE work_item = $1 AND state <> 'done' AND (owner IS NULL OR owner = $2)";
        let mut tx = self.write().await?;
        let taken = sqlx::query(take).bind(item.to_string()).bind(agent.to_string()).execute(&mut *tx).await?;
        self.after_change(tx, item, agent, "work_item.taken", taken.rows_affected(), at).await
    }

    /// Gives an item to an agent, whoever had it.
    pub async fn assign_work_item(&self, item: WorkItemId, to: AgentId, by: AgentId, at: UnixMs) -> Result<WorkItem, StoreError> {
        let assign = "UPDATE work_item SET state = 'accepted', owner = $2, version = version + 1 WHERE work_item = $1 AND state <> 'done'";
        let mut tx = self.write().await?;
        let assigned = sqlx::query(assign).bind(item.to_string()).bind(to.to_string()).execute(&mut *tx).await?;
        self.after_change(tx, item, by, "work_item.assigned", assigned.rows_affected(), at).await
    }

    /// Closes an item, saying why.
    pub async fn close_work_item(&self, item: WorkItemId, agent: AgentId, why: &str, at: UnixMs) -> Result<WorkItem, StoreError> {
        let why = opt_line(Some(why), LINE_MAX).ok_or(StoreError::Invalid("say why the item is closed"))?;
        let close = "UPDATE work_item SET state = 'done', done_at = $2, done_by = $3, why_closed = $4, version = version + 1 \
             WHERE work_item = $1 AND state <> 'done'";
        let mut tx = self.write().await?;
        let closed = sqlx::query(close).bind(item.to_string()).bind(at.0).bind(agent.to_string()).bind(why).execute(&mut *tx).await?;
        if closed.rows_affected() > 0 {
            // Somebody decided about the message: it no longer waits for an answer.
            let settled = "UPDATE interaction SET awaiting_reply = 0 WHERE awaiting_reply = 1 \
                 AND interaction = (SELECT interaction FROM work_item WHERE work_item = $1 AND kind = 'message')";
            sqlx::query(settled).bind(item.to_string()).execute(&mut *tx).await?;
        }
        self.after_change(tx, item, agent, "work_item.closed", closed.rows_affected(), at).await
    }

    async fn after_change(
        &self,
        mut tx: super::db::Tx,
        item: WorkItemId,
        agent: AgentId,
        kind: &'static str,
        changed: u64,
        at: UnixMs,
    ) -> Result<WorkItem, StoreError> {
        let sql = select_work_items!("WHERE w.work_item = $1");
        let row = sqlx::query(sql).bind(item.to_string()).fetch_optional(&mut *tx).await?.ok_or(StoreError::NotFound("work item"))?;
        let view = read(&row)?;
        if changed == 0 {
            return Err(StoreError::Conflict { what: "the work item", current: json!(view) });
        }
        let data = Some(json!({ "work_item": item }));
        let customer = view.customer.as_ref().map(|who| who.customer);
        emit(&mut tx, at, NewEvent { kind, interaction: view.interaction, customer, agent: Some(agent), data }).await?;
        self.commit(tx).await?;
        Ok(view)
    }
}

const INSERT: &str = "INSERT INTO work_item (work_item, kind, source, state, title, interaction, customer, identity, ticket, channel, queue, \
     priority, due, opened_at, owner) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
     ON CONFLICT DO NOTHING RETURNING work_item";

impl NewWorkItem {
    fn row(&self, id: WorkItemId, at: UnixMs) -> [Value; 15] {
        [
            id.to_string().into(),
            word(&self.kind).into(),
            self.source.clone().into(),
            if self.owner.is_some() { "accepted" } else { "waiting" }.into(),
            self.title.clone().into(),
            opt_id(self.interaction).into(),
            opt_id(self.customer).into(),
            opt_id(self.identity).into(),
            opt_id(self.ticket).into(),
            word(&self.channel).into(),
            self.queue.clone().into(),
            i64::from(self.priority).into(),
            self.due.map(|due| due.0).into(),
            at.0.into(),
            opt_id(self.owner).into(),
        ]
    }

    fn event(&self, id: WorkItemId) -> NewEvent {
        let data = Some(json!({ "work_item": id, "kind": self.kind }));
        NewEvent { kind: "work_item.opened", interaction: self.interaction, customer: self.customer, agent: self.owner, data }
    }
}

/// Opens an item; false when its source has one of this kind already.
pub(super) async fn open(conn: &mut Conn, item: &NewWorkItem, at: UnixMs) -> Result<bool, StoreError> {
    let id = item.id.map_or_else(|| fresh(WorkItemId::new, at), Ok)?;
    if rows::read(conn, INSERT, vec![item.row(id, at)]).await?.is_empty() {
        return Ok(false);
    }
    emit(conn, at, item.event(id)).await?;
    Ok(true)
}

/// The same for items of facts at these places.
pub(super) async fn open_many(conn: &mut Conn, items: Vec<(usize, NewWorkItem, UnixMs)>, out: &mut Outbox) -> Result<(), StoreError> {
    let mut made = Vec::with_capacity(items.len());
    for (place, item, at) in items {
        made.push((item.id.map_or_else(|| fresh(WorkItemId::new, at), Ok)?, place, item, at));
    }
    let values = made.iter().map(|(id, _, item, at)| item.row(*id, *at)).collect();
    let opened: Vec<WorkItemId> =
        rows::read(conn, INSERT, values).await?.iter().map(|row| row.id("work_item")).collect::<Result<_, _>>()?;
    for (id, place, item, at) in made {
        if opened.contains(&id) {
            out.push(place, at, item.event(id));
        }
    }
    Ok(())
}

pub(super) async fn promises_of_customer(conn: &mut Conn, customer: CustomerId) -> Result<Vec<WorkItem>, StoreError> {
    let sql = select_work_items!(
        "WHERE w.customer = $1 AND w.kind = 'promise' AND w.state <> 'done' ORDER BY w.due NULLS LAST, w.work_item LIMIT 50"
    );
    sqlx::query(sql).bind(customer.to_string()).fetch_all(conn).await?.iter().map(read).collect()
}

pub(super) async fn promises_of_interaction(conn: &mut Conn, interaction: InteractionId) -> Result<Vec<WorkItem>, StoreError> {
    let sql = select_work_items!("WHERE w.interaction = $1 AND w.kind = 'promise' ORDER BY w.due NULLS LAST, w.work_item LIMIT 50");
    sqlx::query(sql).bind(interaction.to_string()).fetch_all(conn).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<WorkItem, StoreError> {
    let kind: WorkItemKind = row.word("kind")?;
    let state: WorkItemState = row.word("state")?;
    let title = match (row.opt_text("title")?, row.opt_text("ticket_subject")?) {
        (Some(title), _) => title,
        (None, Some(subject)) => format!("{}: {subject}", kind_in_words(kind)),
        (None, None) => kind_in_words(kind).to_owned(),
    };
    Ok(WorkItem {
        work_item: row.id("work_item")?,
        kind,
        state,
        title,
        customer: opt_who(row)?,
        number: row.opt_text("number")?,
        channel: row.word("channel")?,
        interaction: row.opt_id("interaction")?,
        queue: row.text("queue")?,
        priority: row.int("priority")?,
        waited_ms: row.opt_int("waited_ms")?,
        due: row.opt_at("due")?,
        opened_at: row.at("opened_at")?,
        owner: row.opt_text("owner_name")?,
        why_closed: row.opt_text("why_closed")?,
    })
}

fn kind_in_words(kind: WorkItemKind) -> &'static str {
    match kind {
        WorkItemKind::Call => "Call",
        WorkItemKind::Message => "Message to answer",
        WorkItemKind::Callback => "Call back",
        WorkItemKind::MissedCall => "Missed call",
        WorkItemKind::Promise => "Promise",
        WorkItemKind::FollowUp => "Follow-up",
        WorkItemKind::NotWrappedUp => "Not wrapped up",
    }
}
