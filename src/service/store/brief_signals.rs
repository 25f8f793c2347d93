//! What the record holds about somebody, gathered for a brief: few rows, every query on an index.

use super::{
    StoreError,
    db::{Columns, Conn, Row, results},
    text::clip,
    timeline::{outcome_in_words, title_in_words},
};
use crate::{
    domain::customer::{
        brief::{Chip, ChipKind, LastContact},
        reason::{Signal, SignalKind},
        ticket::TicketState,
        words::{DAY_MS, HOUR_MS, ago, channel_title, span},
    },
    ids::{Channel, CustomerId, IdentityId, InteractionId, TicketId},
    time::UnixMs,
};

/// Contacts are counted up to here; a brief needs no larger figure.
const CONTACTS_MAX: i64 = 1_000;
/// Longest title of a last contact, characters.
const TITLE_MAX: usize = 80;

/// Whose record it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject {
    Customer(CustomerId),
    /// An address that has no customer.
    Identity(IdentityId),
}

/// What was found.
#[derive(Default)]
pub(super) struct Gathered {
    pub signals: Vec<Signal>,
    pub chips: Vec<Chip>,
    pub last_contacts: Vec<LastContact>,
    pub contacts_30_days: u32,
    pub sentiment: Vec<i16>,
    pub last_contact_at: Option<UnixMs>,
}

/// What is read of either subject, in one turn of the database, as six results: open tickets, last contacts, unanswered messages, promises
/// overdue, the number of contacts, moods. `$1` subject · `$2` the interaction left out · `$3` now · 72 hours, 7 and 30 days before it as `$4`
/// to `$6` · `$7` the most that are counted.
macro_rules! signals_of {
    ($key:literal) => {
        concat!(
            "SELECT t.ticket, t.subject, t.state, t.queue, t.touched_at, t.we_wrote_at, (SELECT COUNT(*) FROM (SELECT 1 \
             FROM ticket_interaction k WHERE k.ticket = t.ticket AND k.at >= $5 AND k.removed_at IS NULL LIMIT 10) AS recent) AS contacts \
             FROM (SELECT * FROM ticket WHERE ",
            $key,
            " = $1 AND state <> 'solved' ORDER BY touched_at DESC, ticket LIMIT 9) AS t ORDER BY t.touched_at DESC, t.ticket; \
             SELECT i.interaction, i.channel, i.direction, i.at, i.ended_at, i.state, i.cause, i.title, i.outcome, i.awaiting_reply, \
             i.answered_ms, i.wrapped_up, i.queue, k.ticket, NULL AS agent_name FROM (SELECT * FROM interaction WHERE ",
            $key,
            " = $1 AND interaction <> $2 AND NOT (channel = 'phone' AND state = 'open') ORDER BY at DESC, interaction DESC LIMIT 5) AS i \
             LEFT JOIN ticket_interaction k ON k.interaction = i.interaction AND k.role = 'primary' AND k.removed_at IS NULL \
             ORDER BY i.at DESC, i.interaction DESC; \
             SELECT i.interaction, i.channel, i.direction, i.at, i.ended_at, i.state, i.cause, i.title, i.outcome, i.awaiting_reply, \
             i.answered_ms, i.wrapped_up, i.queue, k.ticket, NULL AS agent_name FROM (SELECT * FROM interaction WHERE ",
            $key,
            " = $1 AND awaiting_reply = 1 AND at >= $4 AND interaction <> $2 ORDER BY at DESC LIMIT 5) AS i \
             LEFT JOIN ticket_interaction k ON k.interaction = i.interaction AND k.role = 'primary' AND k.removed_at IS NULL \
             ORDER BY i.at DESC, i.interaction DESC; \
             SELECT title, interaction, ticket, due, queue FROM work_item WHERE ",
            $key,
            " = $1 AND kind = 'promise' AND state <> 'done' AND due < $3 ORDER BY due, work_item LIMIT 3; \
             SELECT COUNT(*) AS counted FROM (SELECT 1 FROM interaction WHERE ",
            $key,
            " = $1 AND at >= $6 AND NOT (channel = 'phone' AND state = 'open') LIMIT $7) AS recent; \
             SELECT sentiment FROM interaction WHERE customer = $1 AND sentiment IS NOT NULL ORDER BY at DESC LIMIT 5"
        )
    };
}

struct OpenTicket {
    ticket: TicketId,
    subject: String,
    state: TicketState,
    queue: Option<String>,
    touched_at: UnixMs,
    we_wrote_at: Option<UnixMs>,
    contacts_7_days: u32,
}

/// Gathers everything but the interaction `except`: a call in progress is not its own reason.
pub(super) async fn gather(conn: &mut Conn, subject: Subject, except: Option<InteractionId>, now: UnixMs) -> Result<Gathered, StoreError> {
    let query = match subject {
        Subject::Customer(id) => sqlx::query(signals_of!("customer")).bind(id.to_string()),
        Subject::Identity(id) => sqlx::query(signals_of!("identity")).bind(id.to_string()),
    };
    let query = query
        .bind(except.map(|id| id.to_string()).unwrap_or_default())
        .bind(now.0)
        .bind(now.0 - 72 * HOUR_MS)
        .bind(now.0 - 7 * DAY_MS)
        .bind(now.0 - 30 * DAY_MS)
        .bind(CONTACTS_MAX);
    let [tickets, last, unanswered_rows, promised, counted, moods_rows] = results(conn, query).await?;
    let tickets = open_tickets(&tickets)?;
    let mut found = Gathered::default();
    last_contacts(&last, now, &tickets, &mut found)?;
    unanswered(&unanswered_rows, now, &tickets, &mut found)?;
    promises(&promised, now, &tickets, &mut found)?;
    for ticket in &tickets {
        let kind = SignalKind::Ticket { state: ticket.state, we_wrote_at: ticket.we_wrote_at, touched_at: ticket.touched_at };
        found.signals.push(signal(kind, ticket.subject.clone(), None, Some(ticket.ticket), ticket.queue.clone(), &tickets));
    }
    if !tickets.is_empty() {
        let text = if tickets.len() == 1 { "1 open ticket".to_owned() } else { format!("{} open tickets", tickets.len()) };
        found.chips.push(Chip { kind: ChipKind::OpenTickets, text });
    }
    found.chips.sort_by_key(|chip| match chip.kind {
        ChipKind::OverduePromise => 0,
        ChipKind::UnansweredMessage => 1,
        ChipKind::OpenTickets => 2,
    });
    found.contacts_30_days = counted.first().map_or(Ok(0), |row| row.int("counted"))?;
    found.sentiment = moods_rows.iter().rev().map(|row| row.int("sentiment")).collect::<Result<_, _>>()?;
    Ok(found)
}

fn signal(
    kind: SignalKind,
    about: String,
    interaction: Option<InteractionId>,
    ticket: Option<TicketId>,
    queue: Option<String>,
    tickets: &[OpenTicket],
) -> Signal {
    let contacts = tickets.iter().find(|open| Some(open.ticket) == ticket).map_or(0, |open| open.contacts_7_days);
    Signal { kind, about: clip(&about, TITLE_MAX), interaction, ticket, queue, contacts_7_days: contacts }
}

fn last_contacts(rows: &[Row], now: UnixMs, tickets: &[OpenTicket], found: &mut Gathered) -> Result<(), StoreError> {
    for (place, row) in rows.iter().enumerate() {
        let (interaction, channel, at): (InteractionId, Channel, UnixMs) = (row.id("interaction")?, row.word("channel")?, row.at("at")?);
        let title = clip(&title_in_words(row)?, TITLE_MAX);
        let (ticket, queue) = (row.opt_id("ticket")?, row.opt_text("queue")?);
        if place == 0 {
            found.last_contact_at = Some(at);
            found.signals.push(signal(SignalKind::Last { channel, at }, title.clone(), Some(interaction), ticket, queue.clone(), tickets));
        }
        if let Some(ended) = cut_off_at(row)?.filter(|ended| *ended <= now) {
            found.signals.push(signal(SignalKind::CutOff { at: ended }, title.clone(), Some(interaction), ticket, queue, tickets));
        }
        if place < 3 {
            found.last_contacts.push(LastContact { interaction, channel, at, title, outcome: outcome_in_words(row)? });
        }
    }
    Ok(())
}

/// When a talk with somebody was ended by a fault.
fn cut_off_at(row: &Row) -> Result<Option<UnixMs>, StoreError> {
    use crate::domain::fact::EndCause;
    let cause: Option<EndCause> = row.opt_word("cause")?;
    let fault = match cause {
        Some(EndCause::SignallingLost | EndCause::MediaLost | EndCause::Crash | EndCause::Bug | EndCause::Limit | EndCause::Shutdown) => {
            true
        }
        Some(
            EndCause::CustomerHungUp
            | EndCause::AgentHungUp
            | EndCause::Abandoned
            | EndCause::NoAgent
            | EndCause::Declined
            | EndCause::Busy
            | EndCause::NoAnswer
            | EndCause::AnsweredElsewhere
            | EndCause::NotAcceptable
            | EndCause::UnknownNumber
            | EndCause::TrunkFailed,
        )
        | None => false,
    };
    if fault { row.opt_at("ended_at") } else { Ok(None) }
}

fn unanswered(rows: &[Row], now: UnixMs, tickets: &[OpenTicket], found: &mut Gathered) -> Result<(), StoreError> {
    for row in rows {
        let (channel, at): (Channel, UnixMs) = (row.word("channel")?, row.at("at")?);
        let about = title_in_words(row)?;
        let interaction = Some(row.id("interaction")?);
        let kind = SignalKind::Unanswered { channel, at };
        found.signals.push(signal(kind, about, interaction, row.opt_id("ticket")?, row.opt_text("queue")?, tickets));
        if !found.chips.iter().any(|chip| chip.kind == ChipKind::UnansweredMessage) {
            let text = format!("{} {}, not answered", channel_title(channel), ago(at, now));
            found.chips.push(Chip { kind: ChipKind::UnansweredMessage, text });
        }
    }
    Ok(())
}

fn promises(rows: &[Row], now: UnixMs, tickets: &[OpenTicket], found: &mut Gathered) -> Result<(), StoreError> {
    for (place, row) in rows.iter().enumerate() {
        let due = row.at("due")?;
        let about = row.opt_text("title")?.unwrap_or_else(|| "Promise".to_owned());
        if place == 0 {
            let text = format!("{}: {} overdue", clip(&about, 48), span(due, now));
            found.chips.push(Chip { kind: ChipKind::OverduePromise, text });
        }
        // Two promises of one interaction are two matters; the ticket tells whether they are one.
        found.signals.push(signal(SignalKind::Promise { due }, about, None, row.opt_id("ticket")?, row.opt_text("queue")?, tickets));
    }
    Ok(())
}

fn open_tickets(rows: &[Row]) -> Result<Vec<OpenTicket>, StoreError> {
    rows.iter()
        .map(|row| {
            Ok(OpenTicket {
                ticket: row.id("ticket")?,
                subject: row.text("subject")?,
                state: row.word("state")?,
                queue: row.opt_text("queue")?,
                touched_at: row.at("touched_at")?,
                we_wrote_at: row.opt_at("we_wrote_at")?,
                contacts_7_days: row.int("contacts")?,
            })
        })
        .collect()
}
