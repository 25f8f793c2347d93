//! One interaction in full. Serialises to `InteractionPage` of `docs/api.md`.

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        customer::brief::Who,
        fact::{Direction, EndCause, OfferOutcome, SegmentKind, SoundKind},
        media::plan::LegTotals,
    },
    ids::{Channel, FindingId, InteractionId, LegId, Party, PhoneNumber, TicketId},
    time::UnixMs,
};

use super::{Note, QualityView, TranscriptView, WorkItem};

/// Everything about one interaction.
#[derive(Clone, Debug, Serialize)]
pub struct InteractionPage {
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
    /// Length, milliseconds.
    pub duration_ms: Option<u64>,
    /// Where it stands.
    pub state: InteractionState,
    /// Who it is with.
    pub customer: Option<Who>,
    /// Their number.
    pub number: Option<PhoneNumber>,
    /// What was dialled.
    pub called: Option<String>,
    /// Queue name.
    pub queue: Option<String>,
    /// Why it ended.
    pub cause: Option<EndCause>,
    /// Label of the disposition.
    pub disposition: Option<String>,
    /// What it was about.
    pub title: String,
    /// By beginning.
    pub legs: Vec<LegView>,
    /// By beginning.
    pub segments: Vec<SegmentView>,
    /// What the parties heard of ours, by time.
    pub sounds: Vec<SoundView>,
    /// By time.
    pub offers: Vec<OfferRow>,
    /// The audio.
    pub recording: RecordingView,
    /// How it sounded.
    pub quality: QualityView,
    /// The words.
    pub transcript: TranscriptView,
    /// A written contact's messages, oldest first.
    pub messages: Vec<MessageView>,
    /// The card.
    pub card: Option<Card>,
    /// Why there is no card: "41 % understood".
    pub card_trouble: Option<String>,
    /// The mood.
    pub sentiment: SentimentView,
    /// Oldest first.
    pub notes: Vec<Note>,
    /// Its primary ticket.
    pub ticket: Option<TicketChoice>,
    /// The reader's own unsaved text.
    pub draft: Option<DraftView>,
    /// Promises that came of it.
    pub promises: Vec<WorkItem>,
    /// Promises of ours that were heard, for wrap-up.
    pub suggested_promises: Vec<SuggestedPromise>,
    /// At most three, likeliest first.
    pub suggested_dispositions: Vec<SuggestedDisposition>,
}

/// Where an interaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InteractionState {
    /// Going on.
    Open,
    /// The talking is over.
    Ended,
    /// Wrap-up is over too.
    Closed,
}

/// One leg.
#[derive(Clone, Debug, Serialize)]
pub struct LegView {
    /// The leg.
    pub leg: LegId,
    /// Its side.
    pub party: Party,
    /// Name of the agent.
    pub agent: Option<String>,
    /// Beginning on the axis.
    pub from_ms: u32,
    /// End on the axis.
    pub to_ms: Option<u32>,
    /// Why it ended.
    pub cause: Option<EndCause>,
    /// What passed over it.
    pub totals: Option<LegTotals>,
}

/// One segment.
#[derive(Clone, Debug, Serialize)]
pub struct SegmentView {
    /// The leg; `None` in wrap-up.
    pub leg: Option<LegId>,
    /// Name of the agent.
    pub agent: Option<String>,
    /// What it is.
    pub kind: SegmentKind,
    /// Beginning on the axis.
    pub from_ms: u32,
    /// End on the axis.
    pub to_ms: Option<u32>,
    /// Of a wait: the place in the queue when it was clear that the caller must wait.
    pub position: Option<u32>,
}

/// Something of ours that a party heard.
#[derive(Clone, Debug, Serialize)]
pub struct SoundView {
    /// Who.
    pub leg: LegId,
    /// What kind.
    pub kind: SoundKind,
    /// The clip's name.
    pub clip: String,
    /// Beginning on the axis.
    pub from_ms: u32,
    /// End on the axis.
    pub to_ms: Option<u32>,
}

/// One offer, with the lead that the pop had over the ring.
#[derive(Clone, Debug, Serialize)]
pub struct OfferRow {
    /// Name of the agent.
    pub agent: String,
    /// Made.
    pub at_ms: u32,
    /// The desk's first acknowledgement.
    pub acked_ms: Option<u32>,
    /// The phone was rung.
    pub rang_ms: Option<u32>,
    /// Ring minus rendered.
    pub lead_ms: Option<i32>,
    /// How it ended; `None` while it stands.
    pub outcome: Option<OfferOutcome>,
}

/// The audio of a call.
#[derive(Clone, Debug, Serialize)]
pub struct RecordingView {
    /// Where it stands.
    pub state: RecordingState,
    /// One sentence with the remedy.
    pub trouble: Option<String>,
    /// Up to the end of the longest track.
    pub duration_ms: Option<u32>,
    /// Whether the tracks hold filled spans; then the recorder's index knows them.
    #[serde(skip)]
    pub has_gaps: bool,
    /// Filled spans, by time.
    pub gaps: Vec<RecordingGap>,
}

/// Where a recording stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    /// There is none.
    None,
    /// Being written.
    Open,
    /// Whole.
    Ready,
    /// There, but not whole.
    Trouble,
}

/// A span without the party's own audio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordingGap {
    /// Whose.
    pub party: Party,
    /// Why.
    pub kind: GapKind,
    /// Beginning on the axis.
    pub from_ms: u32,
    /// End on the axis.
    pub to_ms: u32,
}

/// Why audio is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapKind {
    /// Packets did not arrive.
    Lost,
    /// Not kept on purpose.
    Paused,
    /// A number that must not be kept was said here.
    Redacted,
}

/// One written message.
#[derive(Clone, Debug, Serialize)]
pub struct MessageView {
    /// Who wrote it.
    pub direction: Direction,
    /// When.
    pub at: UnixMs,
    /// Name of the agent who wrote it.
    pub agent: Option<String>,
    /// Its subject.
    pub subject: Option<String>,
    /// Text, never HTML.
    pub body: String,
}

/// The call card.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Card {
    /// What it was about.
    pub title: String,
    /// How it ended.
    pub outcome: CardOutcome,
    /// What made it, and its version: `card-rules 2`, or `card-model` and the language model's name.
    pub method: String,
    /// At most six.
    pub lines: Vec<CardLine>,
}

/// How a call ended, as it was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardOutcome {
    /// Solved.
    Solved,
    /// Not solved.
    NotSolved,
    /// It cannot be told.
    Unclear,
}

/// One line of a card.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CardLine {
    /// The finding behind it.
    pub finding: FindingId,
    /// Which line.
    pub label: CardLabel,
    /// A quote, cleaned of fillers.
    pub text: String,
    /// Where it was said.
    pub evidence: Vec<CardEvidence>,
    /// What people say of it.
    pub status: FindingStatus,
    /// What was read out first, where somebody edited it.
    pub proposed: Option<String>,
    /// Name of who judged it last.
    pub judged_by: Option<String>,
    /// When that was.
    pub judged_at: Option<UnixMs>,
}

/// The fixed labels of a card, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardLabel {
    /// Why they called.
    Reason,
    /// Numbers, dates, references.
    Details,
    /// What was done.
    Done,
    /// What was agreed.
    Agreed,
    /// What is left.
    Open,
    /// How it ended.
    Outcome,
}

/// A span of audio behind a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CardEvidence {
    /// Who said it.
    pub party: Party,
    /// Beginning on the axis.
    pub from_ms: u32,
    /// End on the axis.
    pub to_ms: u32,
}

/// What people say of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingStatus {
    /// Nobody has looked.
    Proposed,
    /// Right.
    Confirmed,
    /// Put right.
    Edited,
    /// Wrong.
    Rejected,
}

/// The mood of an interaction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SentimentView {
    /// −100…100; `None` when not enough was said.
    pub overall: Option<i16>,
    /// Start and end.
    pub trend: Option<[i16; 2]>,
    /// Percent.
    pub confidence: u8,
    /// The words that fired.
    pub why: Vec<String>,
    /// Whether enough turns could be scored.
    pub enough: bool,
}

/// The primary ticket and why it is this one.
#[derive(Clone, Debug, Serialize)]
pub struct TicketChoice {
    /// The ticket.
    pub ticket: TicketId,
    /// What it is about.
    pub subject: String,
    /// Why this interaction is on it.
    pub why: String,
}

/// Text that an agent has not saved as a note yet.
#[derive(Clone, Debug, Serialize)]
pub struct DraftView {
    /// The text.
    pub text: String,
    /// Send it back with the next change.
    pub version: i64,
}

/// A disposition worth a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SuggestedDisposition {
    /// Its key.
    pub id: String,
    /// As shown.
    pub label: String,
}

/// A promise that was heard and that the agent may make a task of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SuggestedPromise {
    /// The finding behind it.
    pub finding: FindingId,
    /// What was said.
    pub text: String,
    /// By when.
    pub due: Option<UnixMs>,
}
