//! The demo's customers, tickets, contacts and promises as rows.

use std::collections::HashMap;

use serde::Deserialize;

use super::{
    StoreError,
    db::{Conn, fresh, opt_id, word},
    identities, next_number,
    seed::Demo,
    text::fold,
    work_items::{self, NewWorkItem},
};
use crate::{
    domain::{
        customer::{
            identity::{Address, IdentityKind, country_of},
            ticket::TicketState,
            words::{DAY_MS, HOUR_MS, MINUTE_MS},
        },
        fact::{Direction, EndCause, WorkItemKind},
    },
    ids::{AgentId, Channel, CustomerId, IdentityId, InteractionId, MessageId, NoteId, OrganisationId, PhoneNumber, TicketId},
    time::UnixMs,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DemoCustomer {
    key: String,
    name: String,
    language: Option<String>,
    organisation: Option<String>,
    #[serde(default)]
    vip: bool,
    since: String,
    identities: Vec<DemoIdentity>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DemoIdentity {
    kind: IdentityKind,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DemoTicket {
    key: String,
    customer: String,
    subject: String,
    state: TicketState,
    queue: Option<String>,
    opened: String,
    we_wrote: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DemoContact {
    customer: Option<String>,
    identity: Option<DemoIdentity>,
    kind: IdentityKind,
    channel: Channel,
    direction: Option<Direction>,
    ago: String,
    minutes: Option<i64>,
    seconds: Option<i64>,
    waited: Option<i64>,
    title: Option<String>,
    ticket: Option<String>,
    outcome: Option<String>,
    agent: Option<String>,
    disposition: Option<String>,
    #[serde(default)]
    awaiting: bool,
    queue: Option<String>,
    sentiment: Option<i64>,
    cause: Option<EndCause>,
    #[serde(default)]
    missed: bool,
    #[serde(default)]
    messages: Vec<DemoMessage>,
    #[serde(default)]
    notes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DemoMessage {
    us: Option<String>,
    subject: Option<String>,
    text: String,
    #[serde(default)]
    after: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DemoPromise {
    customer: String,
    ticket: String,
    text: String,
    due_ago: Option<String>,
    due_in: Option<String>,
    owner: String,
    contact: usize,
}

/// Writes the demo in one transaction.
pub(super) struct Seeder<'a> {
    conn: &'a mut Conn,
    now: UnixMs,
    agents: HashMap<String, AgentId>,
    organisations: HashMap<String, OrganisationId>,
    customers: HashMap<String, CustomerId>,
    tickets: HashMap<String, TicketId>,
    identities: HashMap<(String, IdentityKind), (IdentityId, String)>,
    contacts: Vec<InteractionId>,
}

pub(super) const BROKEN: StoreError = StoreError::Invalid("the demo data names something that it does not hold");

/// "2h", "3d", "26h" in milliseconds.
fn span_ms(text: &str) -> Result<i64, StoreError> {
    let unit = match text.chars().last() {
        Some('m') => MINUTE_MS,
        Some('h') => HOUR_MS,
        Some('d') => DAY_MS,
        _ => return Err(BROKEN),
    };
    text[..text.len() - 1].parse::<i64>().map(|n| n * unit).map_err(|_| BROKEN)
}

impl<'a> Seeder<'a> {
    pub fn new(conn: &'a mut Conn, now: UnixMs, agents: HashMap<String, AgentId>) -> Self {
        Self {
            conn,
            now,
            agents,
            organisations: HashMap::new(),
            customers: HashMap::new(),
            tickets: HashMap::new(),
            identities: HashMap::new(),
            contacts: Vec::new(),
        }
    }

    pub async fn run(mut self, demo: &Demo) -> Result<(), StoreError> {
        for name in &demo.organisations {
            self.organisation(name).await?;
        }
        for customer in &demo.customers {
            self.customer(customer).await?;
        }
        for ticket in &demo.tickets {
            self.ticket(ticket).await?;
        }
        for contact in &demo.contacts {
            self.contact(contact).await?;
        }
        for promise in &demo.promises {
            self.promise(promise).await?;
        }
        Ok(())
    }

    fn past(&self, span: &str) -> Result<UnixMs, StoreError> {
        Ok(self.now.plus_ms(-span_ms(span)?))
    }

    async fn organisation(&mut self, name: &str) -> Result<(), StoreError> {
        let id = fresh(OrganisationId::new, self.now)?;
        sqlx::query("INSERT INTO organisation (organisation, name, name_folded) VALUES ($1, $2, $3)")
            .bind(id.to_string())
            .bind(name)
            .bind(fold(name))
            .execute(&mut *self.conn)
            .await?;
        self.organisations.insert(name.to_owned(), id);
        Ok(())
    }

    async fn customer(&mut self, new: &DemoCustomer) -> Result<(), StoreError> {
        let since = self.past(&new.since)?;
        let id = fresh(CustomerId::new, since)?;
        let organisation = match &new.organisation {
            Some(name) => Some(*self.organisations.get(name).ok_or(BROKEN)?),
            None => None,
        };
        sqlx::query(
            "INSERT INTO customer (customer, name, name_folded, organisation, vip, language, since, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
        )
        .bind(id.to_string())
        .bind(&new.name)
        .bind(fold(&new.name))
        .bind(opt_id(organisation))
        .bind(i64::from(new.vip))
        .bind(&new.language)
        .bind(since.0)
        .execute(&mut *self.conn)
        .await?;
        self.customers.insert(new.key.clone(), id);
        for identity in &new.identities {
            let (found, value) = self.identity(identity, since).await?;
            identities::give_to(self.conn, found, id, ("imported", None, 95), since).await?;
            self.identities.insert((new.key.clone(), identity.kind), (found, value));
        }
        Ok(())
    }

    async fn identity(&mut self, new: &DemoIdentity, at: UnixMs) -> Result<(IdentityId, String), StoreError> {
        let address = Address::parse(new.kind, &new.value).ok_or(BROKEN)?;
        let country = PhoneNumber::parse_e164(&address.normalised).ok().and_then(|number| country_of(&number));
        let id = identities::find_or_create(self.conn, &address, country.as_deref(), at).await?;
        Ok((id, address.normalised))
    }

    async fn ticket(&mut self, new: &DemoTicket) -> Result<(), StoreError> {
        let opened = self.past(&new.opened)?;
        let we_wrote = new.we_wrote.as_deref().map(|span| self.past(span)).transpose()?;
        let id = fresh(TicketId::new, opened)?;
        let number = next_number(self.conn, "ticket").await?;
        let customer = self.customers.get(&new.customer).ok_or(BROKEN)?;
        sqlx::query(
            "INSERT INTO ticket (ticket, number, subject, subject_by, state, customer, queue, opened_at, touched_at, we_wrote_at, solved_at) \
             VALUES ($1, $2, $3, 'demo', $4, $5, $6, $7, $7, $8, $9)",
        )
        .bind(id.to_string())
        .bind(number)
        .bind(&new.subject)
        .bind(word(&new.state))
        .bind(customer.to_string())
        .bind(&new.queue)
        .bind(opened.0)
        .bind(we_wrote.map(|at| at.0))
        .bind((new.state == TicketState::Solved).then_some(opened.0))
        .execute(&mut *self.conn)
        .await?;
        self.tickets.insert(new.key.clone(), id);
        Ok(())
    }

    async fn contact(&mut self, new: &DemoContact) -> Result<(), StoreError> {
        let at = self.past(&new.ago)?;
        let id = fresh(InteractionId::new, at)?;
        let customer = match &new.customer {
            Some(key) => Some(*self.customers.get(key).ok_or(BROKEN)?),
            None => None,
        };
        let identity = match (&new.identity, &new.customer) {
            (Some(identity), _) => Some(self.identity(identity, at).await?),
            (None, Some(key)) => self.identities.get(&(key.clone(), new.kind)).cloned(),
            (None, None) => return Err(BROKEN),
        };
        self.interaction(new, id, at, customer, identity).await?;
        if let Some(key) = &new.ticket {
            self.on_ticket(*self.tickets.get(key).ok_or(BROKEN)?, id, at, new.direction).await?;
        }
        for message in &new.messages {
            self.message(new, message, id, at).await?;
        }
        for text in &new.notes {
            self.note(id, text, new.agent.as_deref(), at).await?;
        }
        if new.awaiting || new.missed {
            self.open_work(new, id, at, customer).await?;
        }
        self.contacts.push(id);
        Ok(())
    }

    async fn interaction(
        &mut self,
        new: &DemoContact,
        id: InteractionId,
        at: UnixMs,
        customer: Option<CustomerId>,
        identity: Option<(IdentityId, String)>,
    ) -> Result<(), StoreError> {
        let phone = new.channel == Channel::Phone;
        let waited = new.waited.unwrap_or(0) * 1000;
        let talked = new.seconds.unwrap_or(0) * 1000;
        let lasted = if phone { waited + talked } else { new.minutes.unwrap_or(1) * MINUTE_MS };
        let number = identity.as_ref().map(|(_, value)| value.clone()).filter(|value| phone && value.starts_with('+'));
        let agent = new.agent.as_ref().and_then(|name| self.agents.get(name));
        let direction = new.direction.unwrap_or(Direction::Inbound);
        sqlx::query(
            "INSERT INTO interaction (interaction, channel, direction, state, at, ended_at, closed_at, identity, customer, customer_choice, \
             number, called, queue, cause, answered_by, answered_ms, talked_ms, title, title_by, outcome, disposition, wrapped_up, \
             awaiting_reply, sentiment) VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 'demo', $18, \
             $19, $20, $21, $22)",
        )
        .bind(id.to_string())
        .bind(word(&new.channel))
        .bind(word(&direction))
        .bind(if new.awaiting { "open" } else { "closed" })
        .bind(at.0)
        .bind((!new.awaiting).then_some(at.0 + lasted))
        .bind(opt_id(identity.map(|(identity, _)| identity)))
        .bind(opt_id(customer))
        .bind(if customer.is_some() { "sole" } else { "unknown" })
        .bind(number)
        .bind(phone.then_some("+442079460000"))
        .bind(&new.queue)
        .bind(new.cause.as_ref().map(word))
        .bind(opt_id(agent))
        .bind((phone && talked > 0).then_some(waited))
        .bind(phone.then_some(talked))
        .bind(&new.title)
        .bind(&new.outcome)
        .bind(&new.disposition)
        .bind((phone && talked > 0).then_some(1_i64))
        .bind(i64::from(new.awaiting))
        .bind(new.sentiment)
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    async fn on_ticket(
        &mut self,
        ticket: TicketId,
        interaction: InteractionId,
        at: UnixMs,
        direction: Option<Direction>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO ticket_interaction (ticket, interaction, role, why, confidence, at) VALUES ($1, $2, 'primary', 'imported', 100, $3)",
        )
        .bind(ticket.to_string())
        .bind(interaction.to_string())
        .bind(at.0)
        .execute(&mut *self.conn)
        .await?;
        if direction != Some(Direction::Outbound) {
            let touched = "UPDATE ticket SET touched_at = CASE WHEN touched_at < $2 THEN $2 ELSE touched_at END WHERE ticket = $1";
            sqlx::query(touched).bind(ticket.to_string()).bind(at.0).execute(&mut *self.conn).await?;
        }
        Ok(())
    }

    async fn message(
        &mut self,
        contact: &DemoContact,
        new: &DemoMessage,
        interaction: InteractionId,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        let at = at.plus_ms(new.after * MINUTE_MS);
        let seq = next_number(self.conn, "message").await?;
        let agent = new.us.as_ref().and_then(|name| self.agents.get(name));
        let direction = if new.us.is_some() { Direction::Outbound } else { Direction::Inbound };
        sqlx::query(
            "INSERT INTO message (seq, message, interaction, channel, direction, agent, at, subject, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(seq)
        .bind(fresh(MessageId::new, at)?.to_string())
        .bind(interaction.to_string())
        .bind(word(&contact.channel))
        .bind(word(&direction))
        .bind(opt_id(agent))
        .bind(at.0)
        .bind(&new.subject)
        .bind(&new.text)
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    async fn note(&mut self, interaction: InteractionId, text: &str, agent: Option<&str>, at: UnixMs) -> Result<(), StoreError> {
        let by = agent.and_then(|name| self.agents.get(name)).ok_or(BROKEN)?;
        sqlx::query("INSERT INTO note (note, interaction, text, by_agent, at) VALUES ($1, $2, $3, $4, $5)")
            .bind(fresh(NoteId::new, at)?.to_string())
            .bind(interaction.to_string())
            .bind(text)
            .bind(by.to_string())
            .bind(at.0)
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    async fn open_work(
        &mut self,
        contact: &DemoContact,
        interaction: InteractionId,
        at: UnixMs,
        customer: Option<CustomerId>,
    ) -> Result<(), StoreError> {
        let item = NewWorkItem {
            id: None,
            kind: if contact.missed { WorkItemKind::MissedCall } else { WorkItemKind::Message },
            source: interaction.to_string(),
            title: contact.title.clone(),
            interaction: Some(interaction),
            customer,
            identity: None,
            ticket: contact.ticket.as_ref().and_then(|key| self.tickets.get(key).copied()),
            channel: contact.channel,
            queue: contact.queue.clone().unwrap_or_default(),
            priority: 5,
            due: Some(at.plus_ms(24 * HOUR_MS)),
            owner: None,
        };
        work_items::open(self.conn, &item, at).await.map(|_| ())
    }

    async fn promise(&mut self, new: &DemoPromise) -> Result<(), StoreError> {
        let due = match (&new.due_ago, &new.due_in) {
            (Some(span), _) => self.past(span)?,
            (None, Some(span)) => self.now.plus_ms(span_ms(span)?),
            (None, None) => return Err(BROKEN),
        };
        let interaction = *self.contacts.get(new.contact).ok_or(BROKEN)?;
        let item = NewWorkItem {
            id: None,
            kind: WorkItemKind::Promise,
            source: format!("{interaction}/0"),
            title: Some(new.text.clone()),
            interaction: Some(interaction),
            customer: Some(*self.customers.get(&new.customer).ok_or(BROKEN)?),
            identity: None,
            ticket: self.tickets.get(&new.ticket).copied(),
            channel: Channel::Phone,
            queue: "support".to_owned(),
            priority: 7,
            due: Some(due),
            owner: self.agents.get(&new.owner).copied(),
        };
        work_items::open(self.conn, &item, interaction.made_at()).await.map(|_| ())
    }
}
