//! Customers: their page, and who a caller is said to be.

use serde_json::json;

use super::{
    AuditAction, CustomerPage, IdentityView, Note, Store, StoreError, TicketView,
    db::{Columns, Conn, Row, fresh, opt_id, word},
    events::{NewEvent, emit, write_audit},
    identities,
    notes::read_note,
    text::{NAME_MAX, fold, line},
    work_items::promises_of_customer,
};
use crate::{
    domain::{
        customer::brief::{Brief, Who},
        fact::CustomerChoice,
    },
    ids::{AgentId, CustomerId, IdentityId, InteractionId, PhoneNumber},
    time::UnixMs,
};

/// Who an agent says that a contact is with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerIs {
    /// A customer of the record.
    Customer(CustomerId),
    /// Somebody new, by name.
    New(String),
    /// Nobody known: takes an earlier choice back.
    Nobody,
}

impl Store {
    /// A customer's page without its timeline.
    pub async fn customer_page(&self, customer: CustomerId) -> Result<CustomerPage, StoreError> {
        let mut conn = self.read().await?;
        let who = who(&mut conn, customer).await?.ok_or(StoreError::NotFound("customer"))?;
        Ok(CustomerPage {
            customer: who,
            identities: identity_views(&mut conn, customer).await?,
            tickets: ticket_views(&mut conn, customer).await?,
            promises: promises_of_customer(&mut conn, customer).await?,
            notes: latest_notes(&mut conn, customer).await?,
        })
    }

    /// Notes who a contact is with, and returns the brief after the choice.
    ///
    /// A new name makes a customer of the interaction's identity; with a withheld number, of nobody's identity.
    pub async fn choose_customer(
        &self,
        interaction: InteractionId,
        caller: &CallerIs,
        agent: AgentId,
        at: UnixMs,
    ) -> Result<Brief, StoreError> {
        let mut tx = self.write().await?;
        let row = sqlx::query("SELECT identity, number, display_name FROM interaction WHERE interaction = $1")
            .bind(interaction.to_string())
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(StoreError::NotFound("interaction"))?;
        let identity: Option<IdentityId> = row.opt_id("identity")?;
        let (number, display_name) = (row.number("number")?, row.opt_text("display_name")?);
        let chosen = match caller {
            CallerIs::Nobody => None,
            CallerIs::Customer(customer) => {
                who(&mut tx, *customer).await?.ok_or(StoreError::NotFound("customer"))?;
                Some(*customer)
            }
            CallerIs::New(name) => Some(name_customer(&mut tx, name, identity, agent, at).await?),
        };
        let choice = match (chosen, identity) {
            (None, _) => CustomerChoice::Unknown,
            (Some(customer), Some(identity)) if identities::is_current(&mut tx, identity, customer).await? => CustomerChoice::Chosen,
            (Some(_), _) => CustomerChoice::ByEar,
        };
        assign(&mut tx, interaction, chosen, choice, agent, at).await?;
        self.commit(tx).await?;
        match chosen {
            Some(customer) => self.brief_for_customer(customer, number.as_ref(), display_name.as_deref(), at).await,
            None => self.brief_after_no_choice(number, display_name, at).await,
        }
    }

    async fn brief_after_no_choice(&self, number: Option<PhoneNumber>, name: Option<String>, at: UnixMs) -> Result<Brief, StoreError> {
        self.brief_for_number(number.as_ref(), name.as_deref(), at).await
    }
}

async fn assign(
    conn: &mut Conn,
    interaction: InteractionId,
    customer: Option<CustomerId>,
    choice: CustomerChoice,
    agent: AgentId,
    at: UnixMs,
) -> Result<(), StoreError> {
    let id = interaction.to_string();
    sqlx::query("UPDATE interaction SET customer = $2, customer_choice = $3, version = version + 1 WHERE interaction = $1")
        .bind(&id)
        .bind(opt_id(customer))
        .bind(word(&choice))
        .execute(&mut *conn)
        .await?;
    // Work that this very contact left behind is its customer's.
    let work = "UPDATE work_item SET customer = $2, version = version + 1 WHERE interaction = $1 AND state <> 'done'";
    sqlx::query(work).bind(&id).bind(opt_id(customer)).execute(&mut *conn).await?;
    let own_ticket = "UPDATE ticket SET customer = $2, version = version + 1 WHERE opened_by = $1 AND state <> 'solved'";
    sqlx::query(own_ticket).bind(&id).bind(opt_id(customer)).execute(&mut *conn).await?;
    let data = Some(json!({ "choice": choice }));
    emit(conn, at, NewEvent { kind: "interaction.customer", interaction: Some(interaction), customer, agent: Some(agent), data }).await?;
    write_audit(conn, at, Some(agent), AuditAction::ChooseCustomer, ("interaction", id), None).await
}

async fn name_customer(
    conn: &mut Conn,
    name: &str,
    identity: Option<IdentityId>,
    agent: AgentId,
    at: UnixMs,
) -> Result<CustomerId, StoreError> {
    let name = line(name, NAME_MAX);
    if name.is_empty() {
        return Err(StoreError::Invalid("a customer needs a name"));
    }
    let customer = fresh(CustomerId::new, at)?;
    sqlx::query("INSERT INTO customer (customer, name, name_folded, since, created_at, created_by) VALUES ($1, $2, $3, $4, $4, $5)")
        .bind(customer.to_string())
        .bind(&name)
        .bind(fold(&name))
        .bind(at.0)
        .bind(agent.to_string())
        .execute(&mut *conn)
        .await?;
    if let Some(identity) = identity {
        identities::give_to(conn, identity, customer, ("named in a contact", Some(agent), 90), at).await?;
        identities::adopt(conn, identity, at).await?;
    }
    write_audit(conn, at, Some(agent), AuditAction::NameCustomer, ("customer", customer.to_string()), None).await?;
    emit(conn, at, NewEvent { kind: "customer.created", customer: Some(customer), agent: Some(agent), ..NewEvent::default() }).await?;
    Ok(customer)
}

/// A customer, where the row has one.
pub(super) fn opt_who(row: &Row) -> Result<Option<Who>, StoreError> {
    let Some(customer) = row.opt_id("customer")? else { return Ok(None) };
    Ok(Some(Who {
        customer,
        name: row.opt_text("customer_name")?.unwrap_or_default(),
        organisation: row.opt_text("organisation_name")?,
        vip: row.opt_int::<i64>("vip")?.unwrap_or(0) != 0,
        language: row.opt_text("language")?,
        since: row.opt_at("since")?,
    }))
}

pub(super) async fn who(conn: &mut Conn, customer: CustomerId) -> Result<Option<Who>, StoreError> {
    let row = sqlx::query(
        "SELECT c.customer, c.name AS customer_name, o.name AS organisation_name, c.vip, c.language, c.since \
         FROM customer c LEFT JOIN organisation o ON o.organisation = c.organisation WHERE c.customer = $1",
    )
    .bind(customer.to_string())
    .fetch_optional(conn)
    .await?;
    row.map_or(Ok(None), |row| opt_who(&row))
}

async fn identity_views(conn: &mut Conn, customer: CustomerId) -> Result<Vec<IdentityView>, StoreError> {
    let rows = sqlx::query(
        "SELECT d.identity, d.kind, d.raw, l.since, l.until FROM identity_customer l JOIN identity d ON d.identity = l.identity \
         WHERE l.customer = $1 ORDER BY l.until NULLS FIRST, l.since, l.identity LIMIT 50",
    )
    .bind(customer.to_string())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(IdentityView {
                identity: row.id("identity")?,
                kind: row.word("kind")?,
                value: row.text("raw")?,
                since: row.at("since")?,
                until: row.opt_at("until")?,
            })
        })
        .collect()
}

async fn ticket_views(conn: &mut Conn, customer: CustomerId) -> Result<Vec<TicketView>, StoreError> {
    let rows = sqlx::query(
        "SELECT * FROM (SELECT ticket, subject, state, opened_at, touched_at, 0 AS solved FROM ticket \
           WHERE customer = $1 AND state <> 'solved' ORDER BY touched_at DESC, ticket LIMIT 30) AS open_ones \
         UNION ALL SELECT * FROM (SELECT ticket, subject, state, opened_at, touched_at, 1 AS solved FROM ticket \
           WHERE customer = $1 AND state = 'solved' ORDER BY touched_at DESC, ticket LIMIT 10) AS solved_ones \
         ORDER BY solved, touched_at DESC, ticket",
    )
    .bind(customer.to_string())
    .fetch_all(&mut *conn)
    .await?;
    let mut views = Vec::with_capacity(rows.len());
    for row in &rows {
        let contacts: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM (SELECT 1 FROM ticket_interaction WHERE ticket = $1 AND removed_at IS NULL LIMIT 1000) AS counted",
        )
        .bind(row.text("ticket")?)
        .fetch_one(&mut *conn)
        .await?;
        views.push(TicketView {
            ticket: row.id("ticket")?,
            subject: row.text("subject")?,
            state: row.word("state")?,
            since: row.at("opened_at")?,
            contacts: u32::try_from(contacts).unwrap_or(u32::MAX),
        });
    }
    Ok(views)
}

/// The notes of the customer's latest interactions: notes stand on interactions, so a bounded look back finds them.
async fn latest_notes(conn: &mut Conn, customer: CustomerId) -> Result<Vec<Note>, StoreError> {
    let rows = sqlx::query(
        "SELECT n.note, n.text, n.at, COALESCE(a.name, '') AS by_name \
         FROM (SELECT interaction FROM interaction WHERE customer = $1 ORDER BY at DESC, interaction DESC LIMIT 200) AS latest \
         JOIN note n ON n.interaction = latest.interaction LEFT JOIN agent a ON a.agent = n.by_agent \
         ORDER BY n.at DESC, n.note DESC LIMIT 10",
    )
    .bind(customer.to_string())
    .fetch_all(conn)
    .await?;
    rows.iter().map(read_note).collect()
}
