//! Live facts between the switch and the desks: whole views to the desk, commands from it.
//!
//! A desk is a picture of its [`AgentView`]: each change sends the whole view, so that a lost or late message
//! never leaves a desk half right. Views are ≤ 16 kB.

use serde::{Deserialize, Serialize};

use super::{
    customer::brief::Brief,
    fact::{AgentState, Direction},
    insight::utterance::Utterance,
};
use crate::{
    ids::{AgentId, CustomerId, InteractionId, OfferId, PhoneNumber},
    time::UnixMs,
};

/// Switch → desks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LiveFact {
    /// The whole state of one agent's desk.
    Agent(Box<AgentView>),
    /// An offer is gone; the desk says why for 5 s.
    OfferGone {
        /// Whose desk.
        agent: AgentId,
        /// The offer.
        offer: OfferId,
        /// Why.
        why: OfferGone,
        /// Name of the colleague who answered, where one did.
        by: Option<String>,
    },
    /// The house as a supervisor sees it.
    Board(Board),
    /// The queues now and today, for everybody: no names in it.
    Queues {
        /// One line each, by name.
        queues: Vec<QueueView>,
    },
    /// Something of these interactions changed in the record (card, words, note): what is shown of them is read again.
    Changed {
        /// Each interaction once: what changes closely together is told together, because every desk is told.
        changes: Vec<Change>,
    },
    /// Words of a call in progress, for desks that may read it.
    Words(LiveWords),
}

impl LiveFact {
    /// Says of one interaction that it changed.
    pub fn changed(interaction: InteractionId, customer: Option<CustomerId>) -> Self {
        Self::Changed { changes: vec![Change { interaction, customer }] }
    }
}

/// An interaction of which something changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The interaction.
    pub interaction: InteractionId,
    /// Whose record.
    pub customer: Option<CustomerId>,
}

/// Utterances of a call in progress that are new, or are told anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveWords {
    /// The call.
    pub interaction: InteractionId,
    /// Since when the oldest speech that is not yet shown ended, milliseconds; 0 when all is shown.
    pub lag_ms: u32,
    /// By time. One with the leg and start of an earlier one takes its place.
    pub utterances: Vec<LiveUtterance>,
}

/// One utterance of a call in progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveUtterance {
    /// Words, or why there are none: [`LATER`], or a gate's reason ("not understood").
    #[serde(flatten)]
    pub utterance: Utterance,
    /// Still being spoken: the words may change.
    pub partial: bool,
}

/// Reason of an utterance that nobody had time for: its words come after the call.
pub const LATER: &str = "later";

/// One agent's desk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentView {
    /// The agent.
    pub agent: AgentId,
    /// Their name.
    pub name: String,
    /// What they are doing.
    pub state: AgentState,
    /// The reason they gave.
    pub reason: Option<String>,
    /// Since when.
    pub since: UnixMs,
    /// Whether their phone is registered.
    pub phone_registered: bool,
    /// The queues that they serve.
    pub queues: Vec<String>,
    /// Something that everybody should know now, in one sentence.
    pub notice: Option<String>,
    /// An offer at their desk.
    pub offer: Option<OfferView>,
    /// The call that they are in.
    pub call: Option<CallView>,
    /// The call that they wrap up.
    pub wrap_up: Option<WrapUpView>,
}

/// An offer: the pop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfferView {
    /// The offer.
    pub offer: OfferId,
    /// The interaction.
    pub interaction: InteractionId,
    /// When it was decided.
    pub at: UnixMs,
    /// How long the caller has waited by then, milliseconds.
    pub waited_ms: u32,
    /// Queue name.
    pub queue: String,
    /// Whether the phone has been rung.
    pub ringing: bool,
    /// The brief.
    pub brief: Brief,
}

/// A call in progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallView {
    /// The interaction.
    pub interaction: InteractionId,
    /// Who called whom.
    pub direction: Direction,
    /// When the INVITE arrived.
    pub started_at: UnixMs,
    /// When it was answered; `None` while it rings outside.
    pub answered_at: Option<UnixMs>,
    /// Since when the customer is on hold.
    pub held_since: Option<UnixMs>,
    /// Whether it is being recorded now.
    pub recording: bool,
    /// Trouble in one sentence, such as one-way audio.
    pub trouble: Option<String>,
    /// Since when there is trouble.
    pub trouble_since: Option<UnixMs>,
    /// How it sounds, only while that is poor.
    pub sound: Option<SoundNow>,
    /// Queue name.
    pub queue: String,
    /// The brief.
    pub brief: Brief,
}

/// Poor sound of a call in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoundNow {
    /// Opinion score in hundredths, 100 to 450.
    pub mos_x100: u16,
    /// In a few words: who is hard to hear, and why.
    pub text: String,
}

/// After the call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrapUpView {
    /// The interaction.
    pub interaction: InteractionId,
    /// Who called whom.
    pub direction: Direction,
    /// When the call ended.
    pub ended_at: UnixMs,
    /// Length of the talk, milliseconds.
    pub talked_ms: u32,
    /// When it is saved as not wrapped up.
    pub until: UnixMs,
    /// Whether the one extension is still to be had.
    pub may_extend: bool,
    /// The brief.
    pub brief: Brief,
}

/// Why an offer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferGone {
    /// The caller hung up.
    CallerHungUp,
    /// A colleague answered.
    AnsweredElsewhere,
    /// Not answered in time: it goes to the next.
    NoAnswer,
    /// Declined: it goes to the next.
    Declined,
    /// The phone was busy.
    PhoneBusy,
    /// The phone could not be reached.
    PhoneFailed,
}

/// The house at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Default)]
pub struct Board {
    /// Calls that wait, and since when the longest does.
    pub waiting: u32,
    /// Arrival of the call that waits longest.
    pub longest_since: Option<UnixMs>,
    /// Who waits, next first within a queue; at most [`CALLERS_SHOWN`].
    pub callers: Vec<WaitingCaller>,
    /// Calls in progress.
    pub calls: u32,
    /// Agents, one line each.
    pub agents: Vec<BoardAgent>,
    /// Alarms, one sentence with the remedy each.
    pub alarms: Vec<String>,
}

/// Callers that a board names; the figures count all.
pub const CALLERS_SHOWN: usize = 50;

/// One caller who waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitingCaller {
    /// The call.
    pub interaction: InteractionId,
    /// The customer's name, or the one that came with the call.
    pub name: Option<String>,
    /// The number; `None` when withheld.
    pub number: Option<PhoneNumber>,
    /// Queue name.
    pub queue: String,
    /// Arrival of the call.
    pub since: UnixMs,
    /// 1 is next in this queue.
    pub position: u32,
    /// How long until an agent is free for them, by half minutes; `None` while one is asked, and where nobody is there.
    pub estimate_ms: Option<u64>,
    /// The agent who has it as an offer now.
    pub offered_to: Option<String>,
}

/// One queue now and today.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueView {
    /// Its name.
    pub queue: String,
    /// Calls that wait, those that are an agent's offer included.
    pub waiting: u32,
    /// Arrival of the call that waits longest.
    pub longest_since: Option<UnixMs>,
    /// How long one more caller would wait while others do, by half minutes; `None` where nobody is there who could answer.
    pub estimate_ms: Option<u64>,
    /// Calls that came today, those that wait included.
    pub offered: u64,
    /// Of them answered.
    pub answered: u64,
    /// Of those answered in time.
    pub answered_in_time: u64,
    /// Given up, short ones not included.
    pub abandoned: u64,
    /// Given up before anybody could have answered.
    pub abandoned_short: u64,
    /// Ended otherwise without a talk.
    pub turned_away: u64,
    /// Longest wait of a call that has ended or was answered today, milliseconds.
    pub longest_ms: u64,
    /// Average speed of answer today, milliseconds.
    pub average_answer_ms: Option<u64>,
    /// Answered in time of all that ended but for short abandons, percent.
    pub service_level: Option<u8>,
    /// What it should be, percent.
    pub target: u8,
    /// Answered within this long is in time, seconds.
    pub within_s: u64,
}

/// One agent on the board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoardAgent {
    /// The agent.
    pub agent: AgentId,
    /// Their name.
    pub name: String,
    /// The call that they are in.
    pub interaction: Option<InteractionId>,
    /// What they are doing.
    pub state: AgentState,
    /// The reason they gave.
    pub reason: Option<String>,
    /// Since when.
    pub since: UnixMs,
    /// Whether their phone is registered.
    pub phone_registered: bool,
}

/// Desk → switch. The desk's rights have been checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DeskCommand {
    /// A desk of this agent connected or went; `desks` counts those that are open.
    Desks {
        /// The agent.
        agent: AgentId,
        /// How many.
        desks: u16,
    },
    /// The agent wants to be ready, or not.
    SetState {
        /// The agent.
        agent: AgentId,
        /// `Ready`, `NotReady` or `Offline`.
        state: AgentState,
        /// Why not ready.
        reason: Option<String>,
    },
    /// A desk shows the offer.
    Ack {
        /// The agent.
        agent: AgentId,
        /// The offer; a stale one is ignored.
        offer: OfferId,
        /// How far it got.
        level: AckLevel,
    },
    /// The agent declines the offer at the desk.
    Decline {
        /// The agent.
        agent: AgentId,
        /// The offer.
        offer: OfferId,
    },
    /// The agent hangs up from the desk.
    HangUp {
        /// The agent.
        agent: AgentId,
        /// The call.
        interaction: InteractionId,
    },
    /// The agent chose who is calling; the brief is theirs.
    ChooseCustomer {
        /// The agent.
        agent: AgentId,
        /// The call.
        interaction: InteractionId,
        /// The brief after the choice.
        brief: Box<Brief>,
    },
    /// Wrap-up is done; the words are in the record.
    FinishWrapUp {
        /// The agent.
        agent: AgentId,
        /// The call.
        interaction: InteractionId,
    },
    /// The one extension of wrap-up.
    ExtendWrapUp {
        /// The agent.
        agent: AgentId,
        /// The call.
        interaction: InteractionId,
    },
}

/// How far a pop got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AckLevel {
    /// A hidden tab has it.
    Delivered,
    /// It is on the screen, two frames after it was drawn.
    Rendered,
}
