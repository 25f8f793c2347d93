//! The end of an interaction: its length, its customer, its ticket, what it leaves behind.

use serde_json::json;

use super::{
    JobKind, StoreError,
    apply::{Opened, work_item_opened},
    db::{Columns, Conn, opt_id, word},
    events::{NewEvent, emit},
    identities, jobs, tickets,
};
use crate::{
    domain::{
        customer::words::HOUR_MS,
        fact::{Direction, EndCause, WorkItemKind},
    },
    ids::{AgentId, IdentityId, InteractionId},
    time::UnixMs,
};

/// A missed call is due within this long: the caller is still at the phone.
const MISSED_CALL_DUE_MS: i64 = HOUR_MS;
/// Priority of a missed call.
const MISSED_CALL_PRIORITY: u8 = 6;
/// Priority of the reminder to wrap up.
const REMINDER_PRIORITY: u8 = 3;

/// Customer time sums customer legs.
pub(super) async fn ended(
    conn: &mut Conn,
    interaction: InteractionId,
    at_ms: u32,
    cause: EndCause,
    answered_by: Option<AgentId>,
) -> Result<(), StoreError> {
    let row = sqlx::query(
        "UPDATE interaction SET state = 'ended', ended_at = at + $2, cause = $3, answered_by = $4, version = version + 1, \
         customer_choice = COALESCE(customer_choice, CASE WHEN identity IS NULL THEN 'unknown' END), \
         talked_ms = (SELECT SUM(CASE WHEN COALESCE(s.to_ms, $2) > s.from_ms THEN COALESCE(s.to_ms, $2) - s.from_ms ELSE 0 END) \
         FROM segment s JOIN leg l ON l.leg = s.leg WHERE s.interaction = $1 AND s.kind = 'talk' AND l.party = 'customer') \
         WHERE interaction = $1 AND state = 'open' RETURNING ended_at, direction, answered_ms, identity, customer_choice, recorded",
    )
    .bind(interaction.to_string())
    .bind(i64::from(at_ms))
    .bind(word(&cause))
    .bind(opt_id(answered_by))
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let at = row.at("ended_at")?;
    if row.opt_text("customer_choice")?.is_none() {
        late_look_up(conn, interaction, row.id("identity")?).await?;
    }
    let direction: Direction = row.word("direction")?;
    let missed = row.opt_int::<i64>("answered_ms")?.is_none() && answered_by.is_none();
    if missed && direction == Direction::Inbound {
        let due = Some(at.plus_ms(MISSED_CALL_DUE_MS));
        let item = Opened { id: None, kind: WorkItemKind::MissedCall, interaction, priority: MISSED_CALL_PRIORITY, due, owner: None };
        work_item_opened(conn, &item, None, at).await?;
    }
    if direction != Direction::Internal {
        tickets::attach(conn, interaction, None, at).await?;
    }
    if row.flag("recorded")? {
        transcribe_when_whole(conn, interaction).await?;
    }
    let data = Some(json!({ "cause": cause }));
    let event = NewEvent { kind: "interaction.ended", interaction: Some(interaction), agent: answered_by, data, ..NewEvent::default() };
    emit(conn, at, event).await
}

pub(super) async fn closed(conn: &mut Conn, interaction: InteractionId, at_ms: u32, wrapped_up: bool) -> Result<(), StoreError> {
    let row = sqlx::query(
        "UPDATE interaction SET state = 'closed', closed_at = at + $2, ended_at = COALESCE(ended_at, at + $2), version = version + 1, \
         wrapped_up = CASE WHEN wrapped_up = 1 OR $3 = 1 THEN 1 WHEN answered_by IS NULL THEN NULL ELSE 0 END \
         WHERE interaction = $1 AND state <> 'closed' RETURNING closed_at, wrapped_up, answered_by",
    )
    .bind(interaction.to_string())
    .bind(i64::from(at_ms))
    .bind(i64::from(wrapped_up))
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let at = row.at("closed_at")?;
    if row.opt_int::<i64>("wrapped_up")? == Some(0) {
        let owner = row.opt_id("answered_by")?;
        let item = Opened { id: None, kind: WorkItemKind::NotWrappedUp, interaction, priority: REMINDER_PRIORITY, due: Some(at), owner };
        work_item_opened(conn, &item, None, at).await?;
    }
    emit(conn, at, NewEvent { kind: "interaction.closed", interaction: Some(interaction), ..NewEvent::default() }).await
}

/// The look-up at the pop never answered: an address of exactly one customer still tells who it was.
async fn late_look_up(conn: &mut Conn, interaction: InteractionId, identity: IdentityId) -> Result<(), StoreError> {
    let owners = identities::owners(conn, identity).await?;
    let (customer, choice) = match owners.as_slice() {
        [sole] => (Some(sole.customer), "sole"),
        _ => (None, "unknown"),
    };
    sqlx::query("UPDATE interaction SET customer = $2, customer_choice = $3 WHERE interaction = $1 AND customer_choice IS NULL")
        .bind(interaction.to_string())
        .bind(opt_id(customer))
        .bind(choice)
        .execute(conn)
        .await?;
    Ok(())
}

/// Words are made once the talk is over and every track is complete on disk, whichever comes last.
pub(super) async fn transcribe_when_whole(conn: &mut Conn, interaction: InteractionId) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT COALESCE(ended_at, at) AS over_at FROM interaction WHERE interaction = $1 AND state <> 'open' AND recorded = 1 \
         AND NOT EXISTS (SELECT 1 FROM recording r WHERE r.interaction = $1 AND r.to_ms IS NULL)",
    )
    .bind(interaction.to_string())
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let at: UnixMs = row.at("over_at")?;
    jobs::enqueue(conn, JobKind::Transcribe, &interaction.to_string(), at).await
}
