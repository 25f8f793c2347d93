//! What the desk reads: customers, timelines, work, calls. Serialises to the shapes of `docs/api.md`.

use serde::Serialize;

use crate::{
    domain::{
        customer::{brief::Who, identity::IdentityKind, ticket::TicketState},
        fact::{Direction, EndCause, WorkItemKind},
    },
    ids::{Channel, IdentityId, InteractionId, NoteId, Party, PhoneNumber, TicketId, WorkItemId},
    time::UnixMs,
};

use super::Card;

/// A customer's page without its timeline.
#[derive(Clone, Debug, Serialize)]
pub struct CustomerPage {
    /// Who.
    pub customer: Who,
    /// Addresses, current ones first.
    pub identities: Vec<IdentityView>,
    /// Tickets that are not solved, last touched first, then the latest solved ones.
    pub tickets: Vec<TicketView>,
    /// Promises of ours that are not kept yet, next due first.
    pub promises: Vec<WorkItem>,
    /// Latest notes, newest first.
    pub notes: Vec<Note>,
}

/// One address of a customer.
#[derive(Clone, Debug, Serialize)]
pub struct IdentityView {
    /// The address.
    pub identity: IdentityId,
    /// Its kind.
    pub kind: IdentityKind,
    /// As people write it.
    pub value: String,
    /// Theirs since.
    pub since: UnixMs,
    /// Theirs until; `None` while it is.
    pub until: Option<UnixMs>,
}

/// One ticket.
#[derive(Clone, Debug, Serialize)]
pub struct TicketView {
    /// The ticket.
    pub ticket: TicketId,
    /// What it is about.
    pub subject: String,
    /// Whose turn it is.
    pub state: TicketState,
    /// Opened.
    pub since: UnixMs,
    /// Interactions on it.
    pub contacts: u32,
}

/// A ticket in one line.
#[derive(Clone, Debug, Serialize)]
pub struct TicketRef {
    /// The ticket.
    pub ticket: TicketId,
    /// What it is about.
    pub subject: String,
}

/// A note on an interaction.
#[derive(Clone, Debug, Serialize)]
pub struct Note {
    /// The note.
    pub note: NoteId,
    /// What it says.
    pub text: String,
    /// Name of who wrote it.
    pub by: String,
    /// When.
    pub at: UnixMs,
}

/// A page of a timeline, newest first.
#[derive(Clone, Debug, Serialize)]
pub struct TimelinePage {
    /// The entries.
    pub entries: Vec<TimelineEntry>,
    /// Pass it as `before` for the next page; `None` at the end.
    pub next: Option<String>,
}

/// One interaction, readable in place.
#[derive(Clone, Debug, Serialize)]
pub struct TimelineEntry {
    /// The interaction.
    pub interaction: InteractionId,
    /// Its channel.
    pub channel: Channel,
    /// Who contacted whom.
    pub direction: Direction,
    /// Beginning.
    pub at: UnixMs,
    /// End.
    pub ended_at: Option<UnixMs>,
    /// What it was about.
    pub title: String,
    /// How it ended.
    pub outcome: Option<String>,
    /// Name of the agent in it.
    pub agent: Option<String>,
    /// Its primary ticket.
    pub ticket: Option<TicketRef>,
    /// A written contact's messages as text, never HTML.
    pub body: Option<String>,
    /// The call card.
    pub card: Option<Card>,
    /// −100…100.
    pub sentiment: Option<i16>,
    /// Whether there is audio.
    pub recorded: bool,
    /// Where the words stand.
    pub transcript: TranscriptState,
    /// A call's length, milliseconds.
    pub duration_ms: Option<u64>,
    /// Label of the disposition.
    pub disposition: Option<String>,
    /// Notes, oldest first.
    pub notes: Vec<Note>,
}

/// Where a call's words stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TranscriptState {
    /// Nothing was recorded.
    None,
    /// A job is on its way.
    Pending,
    /// There are words.
    Done,
    /// The job gave up.
    Failed,
}

/// Where a work item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkItemState {
    /// For anybody.
    Waiting,
    /// Put to somebody.
    Offered,
    /// Somebody's.
    Accepted,
    /// Over.
    Done,
}

/// One thing that somebody must do.
#[derive(Clone, Debug, Serialize)]
pub struct WorkItem {
    /// The item.
    pub work_item: WorkItemId,
    /// Its kind.
    pub kind: WorkItemKind,
    /// Where it stands.
    pub state: WorkItemState,
    /// One line.
    pub title: String,
    /// Whose matter it is.
    pub customer: Option<Who>,
    /// Number or address to reach them by.
    pub number: Option<String>,
    /// The channel it came by.
    pub channel: Channel,
    /// The contact it came from.
    pub interaction: Option<InteractionId>,
    /// Queue name.
    pub queue: String,
    /// 0 (lowest) to 9.
    pub priority: u8,
    /// How long the caller of a missed call waited, milliseconds.
    pub waited_ms: Option<u64>,
    /// Due.
    pub due: Option<UnixMs>,
    /// Opened.
    pub opened_at: UnixMs,
    /// Name of the agent who has it.
    pub owner: Option<String>,
    /// Why it was closed.
    pub why_closed: Option<String>,
}

/// A page of the supervisor's list, newest first.
#[derive(Clone, Debug, Serialize)]
pub struct CallPage {
    /// The calls.
    pub calls: Vec<CallRow>,
    /// Pass it as `before` for the next page; `None` at the end.
    pub next: Option<String>,
}

/// One call in the supervisor's list.
#[derive(Clone, Debug, Serialize)]
pub struct CallRow {
    /// The interaction.
    pub interaction: InteractionId,
    /// Beginning.
    pub at: UnixMs,
    /// Who called whom.
    pub direction: Direction,
    /// The customer's name.
    pub customer: Option<String>,
    /// The caller's number.
    pub number: Option<PhoneNumber>,
    /// Name of the agent who answered.
    pub agent: Option<String>,
    /// Queue name.
    pub queue: Option<String>,
    /// Until it was answered or ended, milliseconds.
    pub waited_ms: u64,
    /// Talking, milliseconds.
    pub talked_ms: u64,
    /// What became of it.
    pub outcome: CallOutcome,
    /// Label of the disposition.
    pub disposition: Option<String>,
    /// What it was about.
    pub title: Option<String>,
    /// −100…100.
    pub sentiment: Option<i16>,
    /// Whether there is audio.
    pub recorded: bool,
    /// Percent of voiced audio that has words.
    pub coverage: Option<u8>,
    /// Why it ended; `None` while it runs.
    pub cause: Option<EndCause>,
    /// Leg time with poor or missing sound, milliseconds.
    pub poor_ms: u64,
    /// Where the words that were looked for were said first; `None` where something else fits.
    pub said: Option<Said>,
}

/// A place in a call where words were said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Who said them.
    pub party: Party,
    /// Beginning of the first of them, milliseconds of the interaction.
    pub from_ms: u32,
    /// They, and some words around.
    pub text: String,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// Somebody talked to the caller.
    Answered,
    /// Nobody took it.
    Missed,
    /// The caller gave up.
    Abandoned,
    /// It still rings.
    Waiting,
}
