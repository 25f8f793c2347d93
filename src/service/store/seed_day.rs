//! The demo's day so far: calls of a morning, so that board and figures show what they are for.

use super::{
    Store, StoreError,
    db::{Columns, Conn, fresh, word},
    identities,
    seed_rows::BROKEN,
    work_items::{self, NewWorkItem},
};
use crate::{
    domain::{
        customer::identity::{Address, IdentityKind},
        fact::{EndCause, WorkItemKind},
    },
    ids::{Channel, InteractionId},
    time::UnixMs,
};

/// Between the beginnings of two calls.
const EVERY_MS: i64 = 14 * 60_000;
/// The last one began so long ago.
const LAST_MS: i64 = 6 * 60_000;
/// What the sequencer calls the last day that was made up.
const DAY: &str = "demo_day";

/// Seconds waited, seconds talked (0: gave up), whose call it was, what it was about. The newest first.
const CALLS: [(i64, i64, &str, &str, &str); 22] = [
    (7, 192, "daniel", "delivery", "Where is my parcel"),
    (11, 264, "ann", "return", "Wrong size: a label for the return"),
    (4, 95, "daniel", "account", "A new e-mail address"),
    (17, 318, "ann", "billing_question", "Two reminders for one invoice"),
    (9, 141, "daniel", "delivery", "Delivery on another day"),
    (58, 0, "", "", ""),
    (14, 402, "ann", "other", "The lamp flickers"),
    (6, 118, "daniel", "order_change", "One more chair in the order"),
    (3, 0, "", "", ""),
    (12, 233, "ann", "delivery", "Left with a neighbour whom nobody knows"),
    (8, 176, "daniel", "billing_question", "A copy of the May invoice"),
    (34, 287, "daniel", "return", "The refund is not there yet"),
    (5, 83, "ann", "account", "Cannot log in"),
    (10, 205, "daniel", "delivery", "The parcel is damaged"),
    (16, 349, "ann", "billing_question", "Charged after the cancellation"),
    (7, 127, "daniel", "order_change", "Another delivery address"),
    (91, 0, "", "", ""),
    (9, 158, "ann", "other", "Assembly: one screw is missing"),
    (13, 221, "daniel", "return", "Pick-up of a sofa"),
    (41, 266, "ann", "billing_question", "VAT number on the invoice"),
    (6, 102, "daniel", "delivery", "Delivery in the evening"),
    (8, 187, "ann", "account", "Off the mailing list"),
];

/// Makes up the calls of the day that began at `from`, once a day; a day that is young has few.
pub async fn seed_demo_day(store: &Store, from: UnixMs, now: UnixMs) -> Result<(), StoreError> {
    let mut tx = store.write().await?;
    let first = sqlx::query(
        "INSERT INTO sequencer (name, last) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET last = excluded.last WHERE sequencer.last < excluded.last",
    )
    .bind(DAY)
    .bind(from.0)
    .execute(&mut *tx)
    .await?;
    if first.rows_affected() > 0 {
        for (n, call) in (0_i64..).zip(&CALLS) {
            let at = now.plus_ms(-LAST_MS - n * EVERY_MS);
            if at.0 < from.0 {
                break;
            }
            self::call(&mut tx, n, call, at).await?;
        }
    }
    store.commit(tx).await
}

async fn call(
    conn: &mut Conn,
    n: i64,
    (waited, talked, agent, disposition, title): &(i64, i64, &str, &str, &str),
    at: UnixMs,
) -> Result<(), StoreError> {
    let id = fresh(InteractionId::new, at)?;
    let address = Address::parse(IdentityKind::Phone, &format!("+447700900{:03}", 700 + 7 * n)).ok_or(BROKEN)?;
    let identity = identities::find_or_create(conn, &address, Some("GB"), at).await?;
    let answered_by = if *talked > 0 { Some(agent_named(conn, agent).await?) } else { None };
    let (waited_ms, talked_ms, answered) = (waited * 1_000, talked * 1_000, *talked > 0);
    let ended = at.plus_ms(waited_ms + talked_ms);
    let cause = if answered { EndCause::CustomerHungUp } else { EndCause::Abandoned };
    sqlx::query(
        "INSERT INTO interaction (interaction, channel, direction, state, at, ended_at, closed_at, identity, customer_choice, number, called, \
         queue, cause, answered_by, answered_ms, talked_ms, title, title_by, disposition, wrapped_up) VALUES ($1, 'phone', 'inbound', 'closed', \
         $2, $3, $3, $4, 'unknown', $5, '+442079460000', 'support', $6, $7, $8, $9, $10, 'demo', $11, $12)",
    )
    .bind(id.to_string())
    .bind(at.0)
    .bind(ended.0)
    .bind(identity.to_string())
    .bind(&address.normalised)
    .bind(word(&cause))
    .bind(answered_by)
    .bind(answered.then_some(waited_ms))
    .bind(talked_ms)
    .bind(answered.then_some(*title))
    .bind(answered.then_some(*disposition))
    .bind(answered.then_some(1_i64))
    .execute(&mut *conn)
    .await?;
    if answered { Ok(()) } else { called_back(conn, id, ended).await }
}

/// A missed call that somebody has returned since.
async fn called_back(conn: &mut Conn, interaction: InteractionId, at: UnixMs) -> Result<(), StoreError> {
    let by = agent_named(conn, "daniel").await?;
    let item = NewWorkItem {
        id: None,
        kind: WorkItemKind::MissedCall,
        source: interaction.to_string(),
        title: None,
        interaction: Some(interaction),
        customer: None,
        identity: None,
        ticket: None,
        channel: Channel::Phone,
        queue: "support".to_owned(),
        priority: 5,
        due: Some(at.plus_ms(3_600_000)),
        owner: by.parse().ok(),
    };
    work_items::open(conn, &item, at).await?;
    sqlx::query("UPDATE work_item SET state = 'done', done_at = $2, done_by = $3, why_closed = 'called back' WHERE kind = 'missed_call' AND source = $1")
        .bind(interaction.to_string())
        .bind(at.plus_ms(300_000).0)
        .bind(by)
        .execute(conn)
        .await?;
    Ok(())
}

async fn agent_named(conn: &mut Conn, username: &str) -> Result<String, StoreError> {
    let found = sqlx::query("SELECT agent FROM agent WHERE username = $1").bind(username).fetch_optional(conn).await?;
    found.ok_or(BROKEN)?.text("agent")
}
