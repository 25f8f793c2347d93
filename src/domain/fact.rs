//! Facts: what the switch writes down, as values. The spool keeps them, the applier turns them into rows.
//!
//! Each carries its own ids, so that applying one twice changes nothing. Times named `*_ms` without `at` are on the
//! interaction's axis (zero = arrival of the INVITE).

use serde::{Deserialize, Serialize};

use super::media::plan::{Codec, LegQuality, LegTotals};
use crate::{
    ids::{
        AgentId, Channel, CustomerId, IdentityId, InteractionId, LegId, OfferId, Party, PhoneId, PhoneNumber, RecordingId, SegmentId,
        SipCallId, SoundId, WorkItemId,
    },
    time::UnixMs,
};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// A call arrived; spooled ≤ 50 ms after its INVITE.
    InteractionOpened(InteractionOpened),
    /// The look-up answered, or an agent chose.
    CustomerChosen {
        /// The interaction.
        interaction: InteractionId,
        /// The address it came from.
        identity: Option<IdentityId>,
        /// Who it is; `None` takes an earlier choice back.
        customer: Option<CustomerId>,
        /// How it was chosen.
        choice: CustomerChoice,
    },
    /// A leg came into being.
    LegOpened {
        /// The leg.
        leg: LegId,
        /// Its call.
        interaction: InteractionId,
        /// Its side.
        party: Party,
        /// The agent whose phone it is.
        agent: Option<AgentId>,
        /// Call-ID of its dialog.
        sip_call_id: SipCallId,
        /// The trunk that it was called by.
        #[serde(default)]
        trunk: Option<String>,
        /// Beginning.
        from_ms: u32,
    },
    /// A leg ended.
    LegClosed {
        /// The leg.
        leg: LegId,
        /// End.
        to_ms: u32,
        /// Why.
        cause: EndCause,
        /// Final SIP status, when the leg never was answered.
        sip_status: Option<u16>,
    },
    /// What passed over the leg; follows `LegClosed` when the media thread has reported.
    LegMeasured {
        /// The leg.
        leg: LegId,
        /// Totals.
        totals: LegTotals,
    },
    /// How a leg sounded over an interval, both directions.
    LegQuality {
        /// The leg.
        leg: LegId,
        /// What was measured.
        quality: LegQuality,
    },
    /// A segment began. A leg's segments touch and never overlap.
    SegmentOpened {
        /// The segment.
        segment: SegmentId,
        /// Its interaction.
        interaction: InteractionId,
        /// Its leg; `None` for wrap-up.
        leg: Option<LegId>,
        /// The agent whose time it is.
        agent: Option<AgentId>,
        /// What the leg is in.
        kind: SegmentKind,
        /// Beginning.
        from_ms: u32,
    },
    /// A segment ended.
    SegmentClosed {
        /// The segment.
        segment: SegmentId,
        /// End.
        to_ms: u32,
    },
    /// The caller must wait: where they stood in the queue when that was clear.
    Queued {
        /// The interaction.
        interaction: InteractionId,
        /// The segment in which they wait.
        segment: SegmentId,
        /// 1 is next.
        position: u32,
        /// How long it would take, by what was known then, milliseconds.
        estimate_ms: Option<u32>,
    },
    /// A party began to hear something of ours.
    SoundBegan {
        /// What happened.
        sound: SoundId,
        /// The interaction.
        interaction: InteractionId,
        /// Who hears it.
        leg: LegId,
        /// What kind of sound it is.
        kind: SoundKind,
        /// The name of the clip.
        clip: String,
        /// Beginning.
        from_ms: u32,
    },
    /// The party hears it no longer.
    SoundEnded {
        /// What happened.
        sound: SoundId,
        /// End.
        to_ms: u32,
    },
    /// A work item was put to an agent.
    OfferMade {
        /// The offer.
        offer: OfferId,
        /// The item, when it has one; a call that is offered at once has none.
        work_item: Option<WorkItemId>,
        /// The interaction.
        interaction: InteractionId,
        /// The agent.
        agent: AgentId,
        /// When, on the axis.
        at_ms: u32,
    },
    /// An offer ended.
    OfferEnded {
        /// The offer.
        offer: OfferId,
        /// How.
        outcome: OfferOutcome,
        /// The desk's first acknowledgement, on the axis.
        acked_ms: Option<u32>,
        /// When the INVITE left for the phone, on the axis.
        rang_ms: Option<u32>,
        /// Ring minus rendered, milliseconds: the promise. `None` without a desk.
        lead_ms: Option<i32>,
        /// When it ended, on the axis.
        at_ms: u32,
    },
    /// A track was opened for a leg.
    RecordingOpened {
        /// The track.
        recording: RecordingId,
        /// The interaction.
        interaction: InteractionId,
        /// The leg.
        leg: LegId,
        /// Its codec.
        codec: Codec,
        /// Beginning.
        from_ms: u32,
    },
    /// A track is complete on disk.
    RecordingClosed {
        /// The track.
        recording: RecordingId,
        /// End.
        to_ms: u32,
        /// Marked silence for lost packets, milliseconds.
        lost_ms: u32,
        /// Not kept, milliseconds.
        paused_ms: u32,
        /// Why the track is not whole, in one sentence with the remedy; `None` when it is.
        trouble: Option<String>,
    },
    /// Something somebody must do.
    WorkItemOpened {
        /// The item.
        work_item: WorkItemId,
        /// What it is.
        kind: WorkItemKind,
        /// Where it came from; unique together with `kind`.
        interaction: InteractionId,
        /// Queue name.
        queue: String,
        /// 0 (lowest) to 9.
        priority: u8,
        /// Opened.
        at: UnixMs,
        /// Due.
        due: Option<UnixMs>,
    },
    /// The talking is over; wrap-up may follow.
    InteractionEnded {
        /// The interaction.
        interaction: InteractionId,
        /// End on the axis.
        at_ms: u32,
        /// Why.
        cause: EndCause,
        /// Who talked to the customer, when somebody did.
        answered_by: Option<AgentId>,
    },
    /// An agent finished (or ran out of) wrap-up.
    InteractionClosed {
        /// The interaction.
        interaction: InteractionId,
        /// On the axis.
        at_ms: u32,
        /// False when time ran out.
        wrapped_up: bool,
    },
    /// An agent's state changed.
    AgentState {
        /// The agent.
        agent: AgentId,
        /// The state.
        state: AgentState,
        /// The reason that the agent gave for not being ready.
        reason: Option<String>,
        /// When.
        at: UnixMs,
    },
    /// A phone's registration, written through; `expires_at` in the past removes it.
    Binding(Binding),
}

/// The first fact of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InteractionOpened {
    /// The interaction.
    pub interaction: InteractionId,
    /// Its channel.
    pub channel: Channel,
    /// Who contacts whom.
    pub direction: Direction,
    /// Arrival of the INVITE: zero of the axis.
    pub at: UnixMs,
    /// The caller as the network wrote it, ≤ 256 characters; `None` when withheld.
    pub caller_raw: Option<String>,
    /// The caller's number.
    pub caller: Option<PhoneNumber>,
    /// The name that came with it, ≤ 128 characters.
    pub display_name: Option<String>,
    /// What was dialled.
    pub called: String,
    /// Trunk or phone that it came from.
    pub via: String,
    /// Queue name, when it goes to one.
    pub queue: Option<String>,
    /// Whether help was called.
    #[serde(default)]
    pub emergency: bool,
}

/// Who contacts whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A customer contacts us.
    Inbound,
    /// We contact a customer.
    Outbound,
    /// Colleagues among themselves.
    Internal,
}

/// How an interaction's customer was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomerChoice {
    /// The identity has exactly one customer.
    Sole,
    /// An agent picked one of several.
    Chosen,
    /// An agent was told by the caller.
    ByEar,
    /// Nobody is known.
    Unknown,
}

/// What a leg, or an agent in wrap-up, is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentKind {
    /// In a menu.
    Ivr,
    /// Waiting for somebody.
    Queue,
    /// Ringing.
    Ring,
    /// Talking.
    Talk,
    /// On hold.
    Hold,
    /// Talking to a colleague about it.
    Consult,
    /// Parked.
    Park,
    /// Listening in.
    Listen,
    /// Whispering.
    Whisper,
    /// Joined by a supervisor.
    Barge,
    /// Leaving or hearing a message.
    Voicemail,
    /// After the call.
    WrapUp,
}

/// What a party heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoundKind {
    /// Words at the beginning of the wait.
    Announcement,
    /// The place in the queue.
    Place,
    /// Music while waiting.
    Music,
    /// Words before being let go.
    Closing,
}

/// Why a leg or an interaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// The customer hung up after talking.
    CustomerHungUp,
    /// The agent hung up.
    AgentHungUp,
    /// The caller gave up before anybody answered.
    Abandoned,
    /// Nobody was ready or answered.
    NoAgent,
    /// The agent's phone said no.
    Declined,
    /// The agent's phone was busy.
    Busy,
    /// The agent did not answer in time.
    NoAnswer,
    /// Somebody else answered.
    AnsweredElsewhere,
    /// The peer sent no ACK, or a request in the dialog failed.
    SignallingLost,
    /// Media stopped and the peer was gone.
    MediaLost,
    /// Offer and answer had no codec in common.
    NotAcceptable,
    /// The number that was called does not exist or is not in service.
    UnknownNumber,
    /// No trunk took the call.
    TrunkFailed,
    /// A limit ended it (longest call, longest hold).
    Limit,
    /// The process died.
    Crash,
    /// A mistake of ours ended this call only.
    Bug,
    /// We are shutting down.
    Shutdown,
}

/// How an offer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferOutcome {
    /// The agent took it.
    Accepted,
    /// The agent declined at the phone or the desk.
    Declined,
    /// The phone was busy.
    Busy,
    /// Nobody answered in time.
    NoAnswer,
    /// The phone could not be reached or failed.
    Failed,
    /// The caller gave up first.
    Abandoned,
}

/// What kind of work an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkItemKind {
    /// Answer a call.
    Call,
    /// Answer a message.
    Message,
    /// Call back.
    Callback,
    /// A call that nobody took.
    MissedCall,
    /// Keep a promise.
    Promise,
    /// Finish something.
    FollowUp,
    /// A call whose wrap-up ran out of time.
    NotWrappedUp,
}

/// What an agent is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// Not here.
    Offline,
    /// May be offered work.
    Ready,
    /// Here, but not to be offered work.
    NotReady,
    /// An offer is at their desk or phone.
    Offered,
    /// Talking.
    Busy,
    /// After a call.
    WrapUp,
}

/// One registered contact of a phone (RFC 3261 §10.3), with the flow that it came by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// The account.
    pub phone: PhoneId,
    /// The Contact URI as registered.
    pub contact: String,
    /// Where requests to it are sent: the REGISTER's source.
    pub source: std::net::SocketAddr,
    /// Whether over a connection, which does not outlive the process that it is with.
    #[serde(default)]
    pub over_connection: bool,
    /// The listener that it came in by.
    pub listener: String,
    /// Call-ID of the registration.
    pub sip_call_id: SipCallId,
    /// CSeq of the registration.
    pub cseq: u32,
    /// What the phone says it is, ≤ 128 characters.
    pub user_agent: Option<String>,
    /// End of its life.
    pub expires_at: UnixMs,
}
