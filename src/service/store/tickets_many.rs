//! The tickets of interactions that ended together; most callers have no open one, and theirs are opened many at a time.

use std::collections::HashSet;

use super::{
    StoreError,
    db::{Columns, Conn, fresh, opt_id},
    events::Outbox,
    rows::{self, Rows},
    take_numbers,
    text::{NAME_MAX, clip},
    tickets::{self, Contact},
};
use crate::{
    domain::{
        customer::{
            ticket::{Choice, choose, subject},
            words::channel_title,
        },
        fact::Direction,
    },
    ids::{InteractionId, TicketId},
    time::UnixMs,
};

/// An interaction, the place of the fact that ended it, and when that was.
type Placed<'a> = (usize, &'a Contact, UnixMs);

/// Puts external interactions on their tickets, as [`tickets::attach`] does with one.
pub(super) async fn attach(conn: &mut Conn, mut contacts: Vec<Placed<'_>>, out: &mut Outbox) -> Result<(), StoreError> {
    contacts.retain(|(_, contact, _)| !matches!(contact.direction, Direction::Internal));
    let attached = attached(conn, &contacts).await?;
    contacts.retain(|(_, contact, _)| !attached.contains(&contact.interaction));
    let mut open = with_open_tickets(conn, &contacts).await?;
    // Of two with the same caller the second may join the ticket that the first opens.
    let (known, new): (Vec<_>, Vec<_>) =
        contacts.into_iter().partition(|(_, contact, _)| whose(contact).is_some_and(|whose| !open.insert(whose)));
    open_for(conn, &new, out).await?;
    for (place, contact, at) in known {
        let ticket = tickets::put_on(conn, contact, None, at).await?;
        out.push(place, at, contact.on(ticket, None));
    }
    Ok(())
}

/// Whose tickets an interaction may join.
fn whose(contact: &Contact) -> Option<String> {
    opt_id(contact.customer).or_else(|| opt_id(contact.identity))
}

/// Those that are on a ticket.
async fn attached(conn: &mut Conn, contacts: &[Placed<'_>]) -> Result<HashSet<InteractionId>, StoreError> {
    let values: Rows<1> = contacts.iter().map(|(_, contact, _)| [contact.interaction.to_string().into()]).collect();
    let select = "SELECT k.interaction FROM (VALUES (CAST($1 AS TEXT))) AS v \
         JOIN ticket_interaction k ON k.interaction = v.column1 AND k.role = 'primary' AND k.removed_at IS NULL";
    rows::read(conn, select, values).await?.iter().map(|row| row.id("interaction")).collect()
}

/// The customers, and the addresses without one, that have a ticket which is not solved.
async fn with_open_tickets(conn: &mut Conn, contacts: &[Placed<'_>]) -> Result<HashSet<String>, StoreError> {
    let (mut customers, mut identities): (Rows<1>, Rows<1>) = (Vec::new(), Vec::new());
    for (_, contact, _) in contacts {
        match (contact.customer, contact.identity) {
            (Some(customer), _) => customers.push([customer.to_string().into()]),
            (None, Some(identity)) => identities.push([identity.to_string().into()]),
            (None, None) => {}
        }
    }
    let of_customers = "SELECT v.column1 AS whose FROM (VALUES (CAST($1 AS TEXT))) AS v \
         WHERE EXISTS (SELECT 1 FROM ticket t WHERE t.customer = v.column1 AND t.state <> 'solved')";
    let of_identities = "SELECT v.column1 AS whose FROM (VALUES (CAST($1 AS TEXT))) AS v \
         WHERE EXISTS (SELECT 1 FROM ticket t WHERE t.identity = v.column1 AND t.customer IS NULL AND t.state <> 'solved')";
    let mut open = HashSet::new();
    for row in &rows::read(conn, of_customers, customers).await? {
        open.insert(row.text("whose")?);
    }
    for row in &rows::read(conn, of_identities, identities).await? {
        open.insert(row.text("whose")?);
    }
    Ok(open)
}

/// Opens a ticket for each.
async fn open_for(conn: &mut Conn, contacts: &[Placed<'_>], out: &mut Outbox) -> Result<(), StoreError> {
    if contacts.is_empty() {
        return Ok(());
    }
    let first = take_numbers(conn, "ticket", i64::try_from(contacts.len()).unwrap_or(i64::MAX)).await?;
    let (mut opened, mut on): (Rows<8>, Rows<4>) = (Vec::new(), Vec::new());
    for (number, (place, contact, at)) in (first..).zip(contacts) {
        let why = match choose(&[], *at) {
            Choice::Open { why } => why.to_owned(),
            Choice::Join { why, .. } => why,
        };
        let ticket = fresh(TicketId::new, contact.at)?;
        let subject = subject(contact.title.as_deref(), contact.interaction, channel_title(contact.channel));
        opened.push([
            ticket.to_string().into(),
            number.into(),
            clip(&subject, NAME_MAX).into(),
            opt_id(contact.customer).into(),
            opt_id(contact.identity).into(),
            contact.queue.clone().into(),
            contact.interaction.to_string().into(),
            contact.at.0.into(),
        ]);
        on.push([ticket.to_string().into(), contact.interaction.to_string().into(), why.into(), contact.at.0.into()]);
        out.push(*place, *at, contact.on(ticket, None));
    }
    let ticket = "INSERT INTO ticket (ticket, number, subject, state, customer, identity, queue, opened_by, opened_at, touched_at) \
         VALUES ($1, $2, $3, 'open_us', $4, $5, $6, $7, $8, $8)";
    rows::write(conn, ticket, opened).await?;
    let contact = "INSERT INTO ticket_interaction (ticket, interaction, role, by_agent, why, confidence, at) \
         VALUES ($1, $2, 'primary', NULL, $3, 100, $4) \
         ON CONFLICT (ticket, interaction) DO UPDATE SET role = 'primary', removed_at = NULL, why = excluded.why";
    rows::write(conn, contact, on).await
}
