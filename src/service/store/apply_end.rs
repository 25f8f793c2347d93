//! The end of interactions: their length, their customer, their ticket, what they leave behind.

use std::collections::{HashMap, HashSet};

use serde_json::json;

use super::{
    JobKind, StoreError,
    apply::Placed,
    db::{Columns, Conn, Row, opt_id, word},
    events::{NewEvent, Outbox},
    identities, jobs,
    rows::{self, Rows},
    tickets::Contact,
    tickets_many,
    work_items::{self, NewWorkItem},
};
use crate::{
    domain::{
        customer::words::HOUR_MS,
        fact::{Direction, Fact, WorkItemKind},
    },
    ids::{AgentId, CustomerId, IdentityId, InteractionId},
    time::UnixMs,
};

/// A missed call is due within this long: the caller is still at the phone.
const MISSED_CALL_DUE_MS: i64 = HOUR_MS;
/// Priority of a missed call.
const MISSED_CALL_PRIORITY: u8 = 6;
/// Priority of the reminder to wrap up.
const REMINDER_PRIORITY: u8 = 3;

/// Ends of interactions, and the words of those whose tracks are all complete: `tracks` says where the last of them was closed.
pub(super) async fn ended(
    conn: &mut Conn,
    facts: &[Placed<'_>],
    tracks: &mut HashMap<InteractionId, usize>,
    out: &mut Outbox,
) -> Result<(), StoreError> {
    let mut announced = Vec::new();
    for round in rounds(conn, facts).await? {
        for end in end(conn, &round, out).await? {
            if end.recorded {
                let place = tracks.entry(end.contact.interaction).or_default();
                *place = end.place.max(*place);
            }
            announced.push(end);
        }
    }
    transcribe_when_whole(conn, tracks, out).await?;
    for Ended { place, at, contact, answered_by, cause, .. } in announced {
        let data = Some(json!({ "cause": cause }));
        let (interaction, customer) = (Some(contact.interaction), contact.customer);
        out.push(place, at, NewEvent { kind: "interaction.ended", interaction, customer, agent: answered_by, data });
    }
    Ok(())
}

/// The facts that end something; of one caller or customer one in each round, because a later call may join the ticket of the one before.
async fn rounds<'a>(conn: &mut Conn, facts: &[Placed<'a>]) -> Result<Vec<Vec<Placed<'a>>>, StoreError> {
    let of = |fact: &Fact| if let Fact::InteractionEnded { interaction, .. } = fact { Some(*interaction) } else { None };
    let values: Rows<1> = facts.iter().filter_map(|(_, fact)| of(fact)).map(|interaction| [interaction.to_string().into()]).collect();
    let select = "SELECT i.interaction, i.identity, i.customer FROM (VALUES (CAST($1 AS TEXT))) AS v \
         JOIN interaction i ON i.interaction = v.column1 WHERE i.state = 'open'";
    let mut open: HashMap<InteractionId, [Option<String>; 2]> = HashMap::new();
    for row in &rows::read(conn, select, values).await? {
        open.insert(row.id("interaction")?, [row.opt_text("identity")?, row.opt_text("customer")?]);
    }
    let mut rounds: Vec<Vec<Placed<'a>>> = Vec::new();
    let mut reached: HashMap<String, usize> = HashMap::new();
    for (place, fact) in facts {
        let Some(whose) = of(fact).and_then(|interaction| open.remove(&interaction)) else { continue };
        let whose = || whose.iter().flatten();
        let round = whose().filter_map(|one| reached.get(one)).max().map_or(0, |last| last + 1);
        reached.extend(whose().map(|one| (one.clone(), round)));
        rounds.resize_with(rounds.len().max(round + 1), Vec::new);
        if let Some(round) = rounds.get_mut(round) {
            round.push((*place, fact));
        }
    }
    Ok(rounds)
}

/// What an interaction was when it ended.
struct Ended {
    place: usize,
    at: UnixMs,
    contact: Contact,
    answered_by: Option<AgentId>,
    answered: bool,
    recorded: bool,
    cause: String,
}

/// Customer time sums customer legs.
async fn end(conn: &mut Conn, facts: &[Placed<'_>], out: &mut Outbox) -> Result<Vec<Ended>, StoreError> {
    let mut places: HashMap<InteractionId, usize> = HashMap::new();
    let mut values: Rows<4> = Vec::with_capacity(facts.len());
    for (place, fact) in facts {
        if let Fact::InteractionEnded { interaction, at_ms, cause, answered_by } = fact {
            places.insert(*interaction, *place);
            values.push([interaction.to_string().into(), (*at_ms).into(), word(cause).into(), opt_id(*answered_by).into()]);
        }
    }
    let update = "UPDATE interaction SET state = 'ended', ended_at = interaction.at + v.column2, cause = v.column3, answered_by = v.column4, \
         version = interaction.version + 1, \
         customer_choice = COALESCE(interaction.customer_choice, CASE WHEN interaction.identity IS NULL THEN 'unknown' END), \
         talked_ms = (SELECT SUM(CASE WHEN COALESCE(s.to_ms, v.column2) > s.from_ms THEN COALESCE(s.to_ms, v.column2) - s.from_ms ELSE 0 END) \
         FROM segment s JOIN leg l ON l.leg = s.leg WHERE s.interaction = v.column1 AND s.kind = 'talk' AND l.party = 'customer') \
         FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS TEXT))) AS v \
         WHERE interaction.interaction = v.column1 AND interaction.state = 'open' \
         RETURNING interaction, at, ended_at, cause, direction, answered_by, answered_ms, identity, customer, customer_choice, recorded, channel, \
         queue, thread, title";
    let mut ends = Vec::with_capacity(places.len());
    for row in &rows::read(conn, update, values).await? {
        let place = places.get(&row.id("interaction")?).copied().unwrap_or(0);
        let mut end = read(row, place)?;
        if row.opt_text("customer_choice")?.is_none() {
            end.contact.customer = late_look_up(conn, end.contact.interaction, row.id("identity")?).await?;
        }
        ends.push(end);
    }
    ends.sort_by_key(|end| end.place);
    work_items::open_many(conn, ends.iter().filter_map(missed).collect(), out).await?;
    let contacts = ends.iter().map(|end| (end.place, &end.contact, end.at)).collect();
    tickets_many::attach(conn, contacts, out).await?;
    Ok(ends)
}

fn read(row: &Row, place: usize) -> Result<Ended, StoreError> {
    Ok(Ended {
        place,
        at: row.at("ended_at")?,
        contact: Contact::read(row)?,
        answered_by: row.opt_id("answered_by")?,
        answered: row.opt_int::<i64>("answered_ms")?.is_some(),
        recorded: row.flag("recorded")?,
        cause: row.text("cause")?,
    })
}

fn missed(end: &Ended) -> Option<(usize, NewWorkItem, UnixMs)> {
    let contact = &end.contact;
    let missed = !end.answered && end.answered_by.is_none() && contact.direction == Direction::Inbound;
    let item = NewWorkItem {
        kind: WorkItemKind::MissedCall,
        priority: MISSED_CALL_PRIORITY,
        due: Some(end.at.plus_ms(MISSED_CALL_DUE_MS)),
        ..left_behind(contact)
    };
    missed.then_some((end.place, item, end.at))
}

/// Work that an interaction leaves behind.
fn left_behind(contact: &Contact) -> NewWorkItem {
    NewWorkItem {
        id: None,
        kind: WorkItemKind::FollowUp,
        source: contact.interaction.to_string(),
        title: None,
        interaction: Some(contact.interaction),
        customer: contact.customer,
        identity: contact.identity,
        ticket: None,
        channel: contact.channel,
        queue: contact.queue.clone().unwrap_or_default(),
        priority: 0,
        due: None,
        owner: None,
    }
}

/// Wrap-up is over.
pub(super) async fn closed(conn: &mut Conn, facts: &[Placed<'_>], out: &mut Outbox) -> Result<(), StoreError> {
    let mut places: HashMap<InteractionId, usize> = HashMap::new();
    let mut values: Rows<3> = Vec::with_capacity(facts.len());
    for (place, fact) in facts {
        if let Fact::InteractionClosed { interaction, at_ms, wrapped_up } = fact
            && !places.contains_key(interaction)
        {
            places.insert(*interaction, *place);
            values.push([interaction.to_string().into(), (*at_ms).into(), i64::from(*wrapped_up).into()]);
        }
    }
    let update = "UPDATE interaction SET state = 'closed', closed_at = interaction.at + v.column2, \
         ended_at = COALESCE(interaction.ended_at, interaction.at + v.column2), version = interaction.version + 1, \
         wrapped_up = CASE WHEN interaction.wrapped_up = 1 OR v.column3 = 1 THEN 1 WHEN interaction.answered_by IS NULL THEN NULL ELSE 0 END \
         FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS BIGINT))) AS v \
         WHERE interaction.interaction = v.column1 AND interaction.state <> 'closed' \
         RETURNING interaction, closed_at, wrapped_up, answered_by, customer, identity, channel, direction, at, queue, thread, title";
    let mut ends = Vec::with_capacity(places.len());
    let mut reminders = Vec::new();
    for row in &rows::read(conn, update, values).await? {
        let (contact, at): (_, UnixMs) = (Contact::read(row)?, row.at("closed_at")?);
        let place = places.get(&contact.interaction).copied().unwrap_or(0);
        if row.opt_int::<i64>("wrapped_up")? == Some(0) {
            let (kind, owner) = (WorkItemKind::NotWrappedUp, row.opt_id("answered_by")?);
            let item = NewWorkItem { kind, priority: REMINDER_PRIORITY, due: Some(at), owner, ..left_behind(&contact) };
            reminders.push((place, item, at));
        }
        ends.push((place, at, contact.interaction, contact.customer));
    }
    work_items::open_many(conn, reminders, out).await?;
    for (place, at, interaction, customer) in ends {
        let event = NewEvent { kind: "interaction.closed", interaction: Some(interaction), customer, ..NewEvent::default() };
        out.push(place, at, event);
    }
    Ok(())
}

/// The look-up at the pop never answered: an address of exactly one customer still tells who it was.
async fn late_look_up(conn: &mut Conn, interaction: InteractionId, identity: IdentityId) -> Result<Option<CustomerId>, StoreError> {
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
    Ok(customer)
}

/// Words are made once the talk is over and every track is complete on disk, whichever comes last.
async fn transcribe_when_whole(conn: &mut Conn, calls: &HashMap<InteractionId, usize>, out: &mut Outbox) -> Result<(), StoreError> {
    let mut calls: Vec<_> = calls.iter().collect();
    calls.sort_by_key(|(_, place)| **place);
    let select = "SELECT i.interaction, i.customer, COALESCE(i.ended_at, i.at) AS over_at FROM (VALUES (CAST($1 AS TEXT))) AS v \
         JOIN interaction i ON i.interaction = v.column1 WHERE i.state <> 'open' AND i.recorded = 1 \
         AND NOT EXISTS (SELECT 1 FROM recording r WHERE r.interaction = v.column1 AND r.to_ms IS NULL)";
    let values: Rows<1> = calls.iter().map(|(interaction, _)| [interaction.to_string().into()]).collect();
    let mut whole: HashMap<InteractionId, (Option<CustomerId>, UnixMs)> = HashMap::new();
    for row in &rows::read(conn, select, values).await? {
        whole.insert(row.id("interaction")?, (row.opt_id("customer")?, row.at("over_at")?));
    }
    let due = calls.iter().filter_map(|(interaction, _)| Some((**interaction, whole.get(interaction)?.1)));
    let new: HashSet<InteractionId> = jobs::enqueue_transcriptions(conn, &due.collect::<Vec<_>>()).await?.into_iter().collect();
    for (interaction, place) in calls {
        if let Some((customer, at)) = whole.get(interaction).filter(|_| new.contains(interaction)) {
            out.push(*place, *at, jobs::waiting(JobKind::Transcribe, Some(*interaction), *customer));
        }
    }
    Ok(())
}
