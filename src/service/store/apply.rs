//! Facts become rows: any prefix may come again and changes nothing.
//!
//! Inserts do nothing on conflict, ends are written once, and an event is an outbox row of the change that happened.
//! The journal's mark is written in the same transaction, so that the journal is applied exactly once.

use std::collections::HashSet;

use serde_json::json;

use super::{
    Store, StoreError, apply_call, apply_end, apply_queue, apply_rows,
    db::{Columns, Conn, opt_id, word},
    events::{NewEvent, emit},
    identities, quality,
    text::{LINE_MAX, NAME_MAX, line, opt_line},
    work_items::{self, NewWorkItem},
};
use crate::{
    domain::{
        customer::identity::{Address, country_of},
        fact::{AgentState, Binding, CustomerChoice, Direction, Fact, InteractionOpened, SegmentKind, WorkItemKind},
    },
    ids::{AgentId, Channel, CustomerId, IdentityId, InteractionId, PhoneNumber, WorkItemId},
    time::UnixMs,
};

/// A place in the journal: everything before it is in the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpoolMark {
    /// Number of the segment file.
    pub segment: u64,
    /// Octets of it.
    pub place: u64,
}

impl Store {
    /// Applies facts in order, in one transaction.
    pub async fn apply(&self, facts: &[Fact]) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        all(&mut tx, facts).await?;
        self.commit(tx).await
    }

    /// The same for facts of the journal; `mark` is the place after the last of them.
    pub async fn apply_from_spool(&self, facts: &[Fact], mark: SpoolMark) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        all(&mut tx, facts).await?;
        sqlx::query(
            "INSERT INTO spool_mark (spool, segment, place) VALUES ('facts', $1, $2) \
             ON CONFLICT (spool) DO UPDATE SET segment = excluded.segment, place = excluded.place",
        )
        .bind(i64::try_from(mark.segment).unwrap_or(i64::MAX))
        .bind(i64::try_from(mark.place).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await?;
        self.commit(tx).await
    }

    /// How far the journal has been applied.
    pub async fn spool_mark(&self) -> Result<SpoolMark, StoreError> {
        let mut conn = self.read().await?;
        let row = sqlx::query("SELECT segment, place FROM spool_mark WHERE spool = 'facts'").fetch_optional(&mut *conn).await?;
        row.map_or(Ok(SpoolMark::default()), |row| Ok(SpoolMark { segment: row.int("segment")?, place: row.int("place")? }))
    }
}

/// Facts in order, but that plain rows go together and first.
pub(super) async fn all(conn: &mut Conn, facts: &[Fact]) -> Result<(), StoreError> {
    apply_rows::put(conn, facts).await?;
    let mut answered = HashSet::new();
    for fact in facts {
        match fact {
            // The second party's talk begins in the same instant.
            Fact::SegmentOpened { interaction, kind: SegmentKind::Talk, from_ms, .. } => {
                if answered.insert(*interaction) {
                    apply_call::answered(conn, *interaction, *from_ms).await?;
                }
            }
            _ if apply_rows::is_row(fact) => {}
            _ => one(conn, fact).await?,
        }
    }
    Ok(())
}

async fn one(conn: &mut Conn, fact: &Fact) -> Result<(), StoreError> {
    match fact {
        Fact::InteractionOpened(opened) => interaction_opened(conn, opened).await,
        Fact::CustomerChosen { interaction, identity, customer, choice } => {
            customer_chosen(conn, *interaction, *identity, *customer, *choice).await
        }
        Fact::LegOpened { .. }
        | Fact::LegClosed { .. }
        | Fact::LegMeasured { .. }
        | Fact::SegmentOpened { .. }
        | Fact::SegmentClosed { .. } => Ok(()),
        Fact::LegQuality { leg, quality } => quality::measured(conn, *leg, quality).await,
        Fact::Queued { .. } | Fact::SoundBegan { .. } | Fact::SoundEnded { .. } => apply_queue::waiting(conn, fact).await,
        Fact::OfferMade { .. } | Fact::OfferEnded { .. } => apply_call::offer(conn, fact).await,
        Fact::RecordingOpened { .. } | Fact::RecordingClosed { .. } => apply_call::recording(conn, fact).await,
        Fact::WorkItemOpened { work_item, kind, interaction, queue, priority, at, due } => {
            let opened =
                Opened { id: Some(*work_item), kind: *kind, interaction: *interaction, priority: *priority, due: *due, owner: None };
            work_item_opened(conn, &opened, Some(queue), *at).await
        }
        Fact::InteractionEnded { interaction, at_ms, cause, answered_by } => {
            apply_end::ended(conn, *interaction, *at_ms, *cause, *answered_by).await
        }
        Fact::InteractionClosed { interaction, at_ms, wrapped_up } => apply_end::closed(conn, *interaction, *at_ms, *wrapped_up).await,
        Fact::AgentState { agent, state, reason, at } => agent_state(conn, *agent, *state, reason.as_deref(), *at).await,
        Fact::Binding(registered) => binding(conn, registered).await,
    }
}

async fn interaction_opened(conn: &mut Conn, opened: &InteractionOpened) -> Result<(), StoreError> {
    let identity = outside_identity(conn, opened).await?;
    let new = sqlx::query(
        "INSERT INTO interaction (interaction, channel, direction, state, at, identity, caller_raw, number, display_name, called, via, queue, \
         emergency) VALUES ($1, $2, $3, 'open', $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (interaction) DO NOTHING",
    )
    .bind(opened.interaction.to_string())
    .bind(word(&opened.channel))
    .bind(word(&opened.direction))
    .bind(opened.at.0)
    .bind(opt_id(identity))
    .bind(opt_line(opened.caller_raw.as_deref(), LINE_MAX))
    .bind(outside_number(opened).map(|number| number.as_str().to_owned()))
    .bind(opt_line(opened.display_name.as_deref(), NAME_MAX))
    .bind(line(&opened.called, LINE_MAX))
    .bind(line(&opened.via, LINE_MAX))
    .bind(opt_line(opened.queue.as_deref(), NAME_MAX))
    .bind(i64::from(opened.emergency))
    .execute(&mut *conn)
    .await?;
    if new.rows_affected() == 0 {
        return Ok(());
    }
    let event = NewEvent { kind: "interaction.opened", interaction: Some(opened.interaction), ..NewEvent::default() };
    emit(conn, opened.at, event).await
}

/// The number of the one outside: who called, or whom we called.
fn outside_number(opened: &InteractionOpened) -> Option<PhoneNumber> {
    match opened.direction {
        Direction::Inbound => opened.caller.clone(),
        Direction::Outbound => PhoneNumber::parse_e164(&opened.called).ok(),
        Direction::Internal => None,
    }
}

/// An unknown caller is a provisional identity, never an orphan customer; a withheld number is nobody.
async fn outside_identity(conn: &mut Conn, opened: &InteractionOpened) -> Result<Option<IdentityId>, StoreError> {
    let Some(number) = outside_number(opened) else { return Ok(None) };
    let raw = opened.caller_raw.as_deref().filter(|_| matches!(opened.direction, Direction::Inbound));
    let address = Address::phone(&number, raw);
    identities::find_or_create(conn, &address, country_of(&number).as_deref(), opened.at).await.map(Some)
}

/// What a machine found never replaces what a person said.
async fn customer_chosen(
    conn: &mut Conn,
    interaction: InteractionId,
    identity: Option<IdentityId>,
    customer: Option<CustomerId>,
    choice: CustomerChoice,
) -> Result<(), StoreError> {
    let chosen = sqlx::query(
        "UPDATE interaction SET identity = COALESCE(CAST($2 AS TEXT), identity), customer = $3, customer_choice = $4, version = version + 1 \
         WHERE interaction = $1 AND (COALESCE(customer, '') <> COALESCE(CAST($3 AS TEXT), '') OR COALESCE(customer_choice, '') <> $4) \
         AND ($4 IN ('chosen', 'by_ear') OR COALESCE(customer_choice, '') NOT IN ('chosen', 'by_ear')) RETURNING at",
    )
    .bind(interaction.to_string())
    .bind(opt_id(identity))
    .bind(opt_id(customer))
    .bind(word(&choice))
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = chosen else { return Ok(()) };
    let at = row.at("at")?;
    let data = Some(json!({ "choice": choice }));
    emit(conn, at, NewEvent { kind: "interaction.customer", interaction: Some(interaction), customer, data, ..NewEvent::default() }).await
}

/// A work item that a call leaves behind.
pub(super) struct Opened {
    pub id: Option<WorkItemId>,
    pub kind: WorkItemKind,
    pub interaction: InteractionId,
    pub priority: u8,
    pub due: Option<UnixMs>,
    pub owner: Option<AgentId>,
}

pub(super) async fn work_item_opened(conn: &mut Conn, opened: &Opened, queue: Option<&str>, at: UnixMs) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT customer, identity, channel, queue FROM interaction WHERE interaction = $1")
        .bind(opened.interaction.to_string())
        .fetch_optional(&mut *conn)
        .await?;
    let (customer, identity, channel, own_queue) = match &row {
        Some(row) => (row.opt_id("customer")?, row.opt_id("identity")?, row.word("channel")?, row.opt_text("queue")?),
        None => (None, None, Channel::Phone, None),
    };
    let item = NewWorkItem {
        id: opened.id,
        kind: opened.kind,
        source: opened.interaction.to_string(),
        title: None,
        interaction: Some(opened.interaction),
        customer,
        identity,
        ticket: None,
        channel,
        queue: line(queue.or(own_queue.as_deref()).unwrap_or_default(), NAME_MAX),
        priority: opened.priority.min(9),
        due: opened.due,
        owner: opened.owner,
    };
    work_items::open(conn, &item, at).await.map(|_| ())
}

async fn agent_state(conn: &mut Conn, agent: AgentId, state: AgentState, reason: Option<&str>, at: UnixMs) -> Result<(), StoreError> {
    let new = sqlx::query(
        "INSERT INTO agent_state (agent, from_at, state, reason) VALUES ($1, $2, $3, $4) ON CONFLICT (agent, from_at, state) DO NOTHING",
    )
    .bind(agent.to_string())
    .bind(at.0)
    .bind(word(&state))
    .bind(opt_line(reason, NAME_MAX))
    .execute(&mut *conn)
    .await?;
    if new.rows_affected() == 0 {
        return Ok(());
    }
    // Facts come in the order in which they were: where the wall clock was set back, the state before ends where it began.
    let ended = "UPDATE agent_state SET to_at = CASE WHEN from_at > $2 THEN from_at ELSE $2 END \
         WHERE agent = $1 AND to_at IS NULL AND NOT (from_at = $2 AND state = $3)";
    sqlx::query(ended).bind(agent.to_string()).bind(at.0).bind(word(&state)).execute(&mut *conn).await?;
    let data = Some(json!({ "state": state }));
    emit(conn, at, NewEvent { kind: "agent.state", agent: Some(agent), data, ..NewEvent::default() }).await
}

/// Registrations are written through; the row of a removed one stays with a past end until the account registers anew.
async fn binding(conn: &mut Conn, new: &Binding) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO binding (phone, contact, source, listener, sip_call_id, cseq, user_agent, expires_at, transport) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (phone, contact) DO UPDATE SET source = excluded.source, \
         listener = excluded.listener, sip_call_id = excluded.sip_call_id, cseq = excluded.cseq, user_agent = excluded.user_agent, \
         expires_at = excluded.expires_at, transport = excluded.transport WHERE binding.sip_call_id <> excluded.sip_call_id OR binding.cseq <= excluded.cseq",
    )
    .bind(new.phone.to_string())
    .bind(line(&new.contact, LINE_MAX))
    .bind(new.source.to_string())
    .bind(line(&new.listener, NAME_MAX))
    .bind(line(&new.sip_call_id.0, LINE_MAX))
    .bind(i64::from(new.cseq))
    .bind(opt_line(new.user_agent.as_deref(), NAME_MAX))
    .bind(new.expires_at.0)
    .bind(if new.over_connection { "tcp" } else { "udp" })
    .execute(&mut *conn)
    .await?;
    // A phone that changes its address with each registration must not fill the table.
    sqlx::query("DELETE FROM binding WHERE phone = $1 AND contact <> $2 AND expires_at < $3")
        .bind(new.phone.to_string())
        .bind(line(&new.contact, LINE_MAX))
        .bind(new.expires_at.0 - crate::domain::customer::words::DAY_MS)
        .execute(conn)
        .await?;
    Ok(())
}
