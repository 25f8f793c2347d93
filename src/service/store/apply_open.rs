//! The beginning of interactions: their row, their address, who it was.

use std::collections::{HashMap, HashSet};

use serde_json::json;

use super::{
    StoreError,
    apply::Placed,
    db::{Columns, Conn, Row, fresh, opt_id, word},
    events::{NewEvent, Outbox},
    rows::{self, Rows},
    text::{LINE_MAX, NAME_MAX, line, opt_line},
};
use crate::{
    domain::{
        customer::identity::{Address, country_of},
        fact::{Direction, Fact, InteractionOpened},
    },
    ids::{CustomerId, IdentityId, InteractionId, PhoneNumber},
    time::UnixMs,
};

/// Whose addresses they are, by kind and normalised text.
type Identities = HashMap<(String, String), IdentityId>;

pub(super) async fn opened(conn: &mut Conn, facts: &[(usize, &InteractionOpened)], out: &mut Outbox) -> Result<(), StoreError> {
    if facts.is_empty() {
        return Ok(());
    }
    let outside: Vec<Option<PhoneNumber>> = facts.iter().map(|(_, opened)| outside_number(opened)).collect();
    let identities = identities(conn, facts, &outside).await?;
    let mut values: Rows<12> = Vec::with_capacity(facts.len());
    for ((_, opened), number) in facts.iter().zip(&outside) {
        let identity = number.as_ref().and_then(|number| identities.get(&key(&Address::phone(number, None))).copied());
        values.push([
            opened.interaction.to_string().into(),
            word(&opened.channel).into(),
            word(&opened.direction).into(),
            opened.at.0.into(),
            opt_id(identity).into(),
            opt_line(opened.caller_raw.as_deref(), LINE_MAX).into(),
            number.as_ref().map(|number| number.as_str().to_owned()).into(),
            opt_line(opened.display_name.as_deref(), NAME_MAX).into(),
            line(&opened.called, LINE_MAX).into(),
            line(&opened.via, LINE_MAX).into(),
            opt_line(opened.queue.as_deref(), NAME_MAX).into(),
            i64::from(opened.emergency).into(),
        ]);
    }
    let insert = "INSERT INTO interaction (interaction, channel, direction, state, at, identity, caller_raw, number, display_name, called, via, \
         queue, emergency) VALUES ($1, $2, $3, 'open', $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (interaction) DO NOTHING \
         RETURNING interaction";
    let mut new: HashSet<InteractionId> =
        rows::read(conn, insert, values).await?.iter().map(|row| row.id("interaction")).collect::<Result<_, _>>()?;
    for (place, opened) in facts {
        if new.remove(&opened.interaction) {
            let event = NewEvent { kind: "interaction.opened", interaction: Some(opened.interaction), ..NewEvent::default() };
            out.push(*place, opened.at, event);
        }
    }
    Ok(())
}

/// The number of the one outside: who called, or whom we called.
fn outside_number(opened: &InteractionOpened) -> Option<PhoneNumber> {
    match opened.direction {
        Direction::Inbound => opened.caller.clone(),
        Direction::Outbound => PhoneNumber::parse_e164(&opened.called).ok(),
        Direction::Internal => None,
    }
}

fn key(address: &Address) -> (String, String) {
    (word(&address.kind), address.normalised.clone())
}

/// An unknown caller is a provisional identity, never an orphan customer; a withheld number is nobody.
async fn identities(
    conn: &mut Conn,
    facts: &[(usize, &InteractionOpened)],
    outside: &[Option<PhoneNumber>],
) -> Result<Identities, StoreError> {
    let mut wanted: Vec<(Address, &PhoneNumber, UnixMs)> = Vec::new();
    let mut seen = HashSet::new();
    for ((_, opened), number) in facts.iter().zip(outside) {
        let Some(number) = number else { continue };
        let raw = opened.caller_raw.as_deref().filter(|_| matches!(opened.direction, Direction::Inbound));
        let address = Address::phone(number, raw);
        if seen.insert(key(&address)) {
            wanted.push((address, number, opened.at));
        }
    }
    let mut known = find(conn, &wanted).await?;
    wanted.retain(|(address, ..)| !known.contains_key(&key(address)));
    if wanted.is_empty() {
        return Ok(known);
    }
    let mut values: Rows<6> = Vec::with_capacity(wanted.len());
    for (address, number, at) in &wanted {
        values.push([
            fresh(IdentityId::new, *at)?.to_string().into(),
            word(&address.kind).into(),
            address.normalised.clone().into(),
            line(&address.raw, LINE_MAX).into(),
            country_of(number).into(),
            at.0.into(),
        ]);
    }
    let insert = "INSERT INTO identity (identity, kind, normalised, raw, country, first_seen) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (kind, normalised) DO NOTHING RETURNING identity, kind, normalised";
    learn(&rows::read(conn, insert, values).await?, &mut known)?;
    // Somebody else may have made it in between.
    wanted.retain(|(address, ..)| !known.contains_key(&key(address)));
    known.extend(find(conn, &wanted).await?);
    Ok(known)
}

async fn find(conn: &mut Conn, wanted: &[(Address, &PhoneNumber, UnixMs)]) -> Result<Identities, StoreError> {
    let values: Rows<2> = wanted.iter().map(|(address, ..)| [word(&address.kind).into(), address.normalised.clone().into()]).collect();
    let select = "SELECT i.identity, i.kind, i.normalised FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS TEXT))) AS v \
         JOIN identity i ON i.kind = v.column1 AND i.normalised = v.column2";
    let mut known = HashMap::new();
    learn(&rows::read(conn, select, values).await?, &mut known)?;
    Ok(known)
}

fn learn(rows: &[Row], known: &mut Identities) -> Result<(), StoreError> {
    for row in rows {
        known.insert((row.text("kind")?, row.text("normalised")?), row.id("identity")?);
    }
    Ok(())
}

/// What a machine found never replaces what a person said.
pub(super) async fn chosen(conn: &mut Conn, facts: &[Placed<'_>], out: &mut Outbox) -> Result<(), StoreError> {
    let mut rest = facts.to_vec();
    while !rest.is_empty() {
        // One choice of each interaction at a time: a later one stands on the earlier.
        let mut seen = HashSet::new();
        let of = |fact: &Fact| if let Fact::CustomerChosen { interaction, .. } = fact { Some(*interaction) } else { None };
        let (now, later): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(_, fact)| of(fact).is_none_or(|one| seen.insert(one)));
        choose(conn, &now, out).await?;
        rest = later;
    }
    Ok(())
}

async fn choose(conn: &mut Conn, facts: &[Placed<'_>], out: &mut Outbox) -> Result<(), StoreError> {
    let mut values: Rows<4> = Vec::with_capacity(facts.len());
    for (_, fact) in facts {
        if let Fact::CustomerChosen { interaction, identity, customer, choice } = fact {
            values.push([interaction.to_string().into(), opt_id(*identity).into(), opt_id(*customer).into(), word(choice).into()]);
        }
    }
    let update = "UPDATE interaction SET identity = COALESCE(v.column2, interaction.identity), customer = v.column3, \
         customer_choice = v.column4, version = interaction.version + 1 \
         FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT))) AS v \
         WHERE interaction.interaction = v.column1 \
         AND (COALESCE(interaction.customer, '') <> COALESCE(v.column3, '') OR COALESCE(interaction.customer_choice, '') <> v.column4) \
         AND (v.column4 IN ('chosen', 'by_ear') OR COALESCE(interaction.customer_choice, '') NOT IN ('chosen', 'by_ear')) \
         RETURNING interaction, at, customer";
    let mut changed: HashMap<InteractionId, (UnixMs, Option<CustomerId>)> = HashMap::new();
    for row in &rows::read(conn, update, values).await? {
        changed.insert(row.id("interaction")?, (row.at("at")?, row.opt_id("customer")?));
    }
    for (place, fact) in facts {
        let Fact::CustomerChosen { interaction, choice, .. } = fact else { continue };
        let Some((at, customer)) = changed.get(interaction) else { continue };
        let data = Some(json!({ "choice": choice }));
        let event =
            NewEvent { kind: "interaction.customer", interaction: Some(*interaction), customer: *customer, data, ..NewEvent::default() };
        out.push(*place, *at, event);
    }
    Ok(())
}
