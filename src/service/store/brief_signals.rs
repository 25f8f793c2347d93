//! What the record holds about somebody, gathered for a brief: few rows, every query on an index.

use super::{
    StoreError,
    db::{Columns, Conn, Row},
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

/// One statement for either subject: `$1` is its id.
macro_rules! by_subject {
    ($subject:expr, $before:literal, $after:literal) => {
        match $subject {
            Subject::Customer(id) => sqlx::query(concat!($before, " customer = $1 ", $after)).bind(id.to_string()),
            Subject::Identity(id) => sqlx::query(concat!($before, " identity = $1 ", $after)).bind(id.to_string()),
        }
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
    let except = except.map(|id| id.to_string()).unwrap_or_default();
    let tickets = open_tickets(conn, subject, now).await?;
    let mut found = Gathered::default();
    last_contacts(conn, subject, &except, now, &tickets, &mut found).await?;
    unanswered(conn, subject, &except, now, &tickets, &mut found).await?;
    promises(conn, subject, now, &tickets, &mut found).await?;
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
    found.contacts_30_days = recent_contacts(conn, subject, now).await?;
    found.sentiment = moods(conn, subject).await?;
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

async fn last_contacts(
    conn: &mut Conn,
    subject: Subject,
    except: &str,
    now: UnixMs,
    tickets: &[OpenTicket],
    found: &mut Gathered,
) -> Result<(), StoreError> {
    let rows = by_subject!(
        subject,
        "SELECT i.interaction, i.channel, i.direction, i.at, i.ended_at, i.state, i.cause, i.title, i.outcome, i.awaiting_reply, \
         i.answered_ms, i.wrapped_up, i.queue, k.ticket, NULL AS agent_name FROM (SELECT * FROM interaction WHERE",
        "AND interaction <> $2 AND NOT (channel = 'phone' AND state = 'open') ORDER BY at DESC, interaction DESC LIMIT 5) AS i \
         LEFT JOIN ticket_interaction k ON k.interaction = i.interaction AND k.role = 'primary' AND k.removed_at IS NULL \
         ORDER BY i.at DESC, i.interaction DESC"
    )
    .bind(except)
    .fetch_all(conn)
    .await?;
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

async fn unanswered(
    conn: &mut Conn,
    subject: Subject,
    except: &str,
    now: UnixMs,
    tickets: &[OpenTicket],
    found: &mut Gathered,
) -> Result<(), StoreError> {
    let rows = by_subject!(
        subject,
        "SELECT i.interaction, i.channel, i.direction, i.at, i.ended_at, i.state, i.cause, i.title, i.outcome, i.awaiting_reply, \
         i.answered_ms, i.wrapped_up, i.queue, k.ticket, NULL AS agent_name FROM (SELECT * FROM interaction WHERE",
        "AND awaiting_reply = 1 AND at >= $3 AND interaction <> $2 ORDER BY at DESC LIMIT 5) AS i \
         LEFT JOIN ticket_interaction k ON k.interaction = i.interaction AND k.role = 'primary' AND k.removed_at IS NULL \
         ORDER BY i.at DESC, i.interaction DESC"
    )
    .bind(except)
    .bind(now.0 - 72 * HOUR_MS)
    .fetch_all(conn)
    .await?;
    for row in &rows {
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

async fn promises(conn: &mut Conn, subject: Subject, now: UnixMs, tickets: &[OpenTicket], found: &mut Gathered) -> Result<(), StoreError> {
    let rows = by_subject!(
        subject,
        "SELECT title, interaction, ticket, due, queue FROM work_item WHERE",
        "AND kind = 'promise' AND state <> 'done' AND due < $2 ORDER BY due, work_item LIMIT 3"
    )
    .bind(now.0)
    .fetch_all(conn)
    .await?;
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

async fn open_tickets(conn: &mut Conn, subject: Subject, now: UnixMs) -> Result<Vec<OpenTicket>, StoreError> {
    let rows = by_subject!(
        subject,
        "SELECT t.ticket, t.subject, t.state, t.queue, t.touched_at, t.we_wrote_at, (SELECT COUNT(*) FROM (SELECT 1 FROM ticket_interaction k \
         WHERE k.ticket = t.ticket AND k.at >= $2 AND k.removed_at IS NULL LIMIT 10) AS recent) AS contacts \
         FROM (SELECT * FROM ticket WHERE",
        "AND state <> 'solved' ORDER BY touched_at DESC, ticket LIMIT 9) AS t ORDER BY t.touched_at DESC, t.ticket"
    )
    .bind(now.0 - 7 * DAY_MS)
    .fetch_all(conn)
    .await?;
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

async fn recent_contacts(conn: &mut Conn, subject: Subject, now: UnixMs) -> Result<u32, StoreError> {
    let row = by_subject!(
        subject,
        "SELECT COUNT(*) AS counted FROM (SELECT 1 FROM interaction WHERE",
        "AND at >= $2 AND NOT (channel = 'phone' AND state = 'open') LIMIT $3) AS recent"
    )
    .bind(now.0 - 30 * DAY_MS)
    .bind(CONTACTS_MAX)
    .fetch_one(conn)
    .await?;
    row.int("counted")
}

async fn moods(conn: &mut Conn, subject: Subject) -> Result<Vec<i16>, StoreError> {
    let Subject::Customer(customer) = subject else { return Ok(Vec::new()) };
    let rows = sqlx::query("SELECT sentiment FROM interaction WHERE customer = $1 AND sentiment IS NOT NULL ORDER BY at DESC LIMIT 5")
        .bind(customer.to_string())
        .fetch_all(conn)
        .await?;
    let mut moods = rows.iter().map(|row| row.int("sentiment")).collect::<Result<Vec<i16>, _>>()?;
    moods.reverse();
    Ok(moods)
}
