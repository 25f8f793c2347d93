//! One call: its two sides, what it waits for, and the table of what each leg event means to it.

use std::time::{Duration, Instant};

use super::{
    event::LegEvent,
    leg::Leg,
    outbound::Outbound,
    sound::Sound,
    turn::Turn,
    waiting::{Hearing, PlaceWords},
    wrap_up::WrapUp,
};
use crate::{
    domain::{
        customer::brief::Brief,
        fact::{EndCause, Fact, SegmentKind},
        media::plan::PortPair,
        routing::Queue,
    },
    ids::{AgentId, InteractionId, LegId, OfferId, PhoneNumber, SegmentId},
    time::{Now, UnixMs},
};

/// Who calls.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// The number.
    pub number: Option<PhoneNumber>,
    /// The name that came with it.
    pub display_name: Option<String>,
    /// What stands in the user part of From towards the phone.
    pub user: String,
}

/// What kind of call it is.
#[derive(Clone, Debug)]
pub enum CallKind {
    /// From a trunk to whoever of a queue is next.
    Queue(Queue),
    /// From one phone of ours to another.
    Internal {
        /// The agents whose phones these are, once they are occupied by it.
        agents: Vec<AgentId>,
    },
    /// From one phone of ours to somebody outside.
    Outbound(Box<Outbound>),
}

/// What the call waits for.
#[derive(Debug)]
pub(super) enum Stage {
    /// The brief, until its limit.
    LookingUp {
        /// The limit.
        until: Instant,
    },
    /// Nothing: one offer is over and what comes next not yet decided, within one turn.
    Choosing,
    /// Somebody who is free; what the caller hears meanwhile is in [`Call::hearing`].
    Waiting,
    /// The end of what it is told: nobody will answer it any more.
    TurnedAway {
        /// When it ends in any case.
        until: Instant,
        /// Why.
        cause: EndCause,
    },
    /// An agent.
    Offering(Offering),
    /// A colleague.
    Ringing {
        /// Whether the phone has answered with anything yet.
        alive: bool,
        /// When the phone is taken for gone if it has not.
        silent_at: Instant,
    },
    /// Its end; it is being talked.
    Talking {
        /// Since when.
        since: Now,
        /// Since when somebody holds.
        held: Option<Now>,
        /// What is wrong with the audio.
        trouble: Option<String>,
    },
    /// Goodbyes, media totals and wrap-up.
    Ended,
}

/// An offer to one agent.
#[derive(Debug)]
pub(super) struct Offering {
    pub offer: OfferId,
    pub agent: AgentId,
    pub made: Now,
    pub acked_ms: Option<u32>,
    pub gate: Gate,
}

/// The pop comes before the ring.
#[derive(Debug)]
pub(super) enum Gate {
    /// The phone is not rung before the desk has acknowledged, or this has passed.
    Shut {
        /// The limit.
        until: Instant,
    },
    /// The phone was rung.
    Rung {
        /// When, on the axis.
        at_ms: u32,
        /// When the next agent is tried.
        until: Instant,
        /// Whether the phone has answered with anything yet.
        alive: bool,
        /// When the phone is taken for gone if it has not.
        silent_at: Instant,
    },
}

/// A leg's place in the record.
#[derive(Debug)]
pub(super) struct Side {
    pub leg: Leg,
    pub segment: Option<(SegmentId, SegmentKind)>,
    /// Whether `LegClosed` was written.
    pub closed: bool,
}

/// One call.
#[derive(Debug)]
pub struct Call {
    pub(super) id: InteractionId,
    /// Arrival of the INVITE: zero of the axis.
    pub(super) start: Now,
    pub(super) kind: CallKind,
    /// The trunk that the other end is at, by its place in the configuration.
    pub(super) trunk: Option<usize>,
    /// How long a caller who waits may hear us before they are answered, from the INVITE on.
    pub(super) early_media: Option<Duration>,
    pub(super) caller: Caller,
    /// Who called.
    pub(super) near: Side,
    /// Who is called now, or talks.
    pub(super) far: Option<Side>,
    /// Legs that lost and still say goodbye.
    pub(super) leaving: Vec<Leg>,
    pub(super) ports: [PortPair; 2],
    pub(super) stage: Stage,
    pub(super) brief: Brief,
    /// What the caller hears while waiting.
    pub(super) hearing: Option<Hearing>,
    /// Players that the call has had.
    pub(super) played: u32,
    /// Whether the caller has heard that they must wait.
    pub(super) announced: bool,
    /// When the caller hears their place.
    pub(super) place: PlaceWords,
    /// How much of the music has been heard: it goes on there after words.
    pub(super) music_ms: u32,
    /// Why the last agent who could be asked did not take the call.
    pub(super) not_taken: EndCause,
    /// What the phone's refusal means to a caller who dialled it.
    pub(super) refused_with: Option<u16>,
    pub(super) generation: u32,
    pub(super) recordings: Vec<(LegId, crate::ids::RecordingId)>,
    /// When the caller hears ringing, first or again; `None` once answered or ended.
    pub(super) ring_near_at: Option<Instant>,
    pub(super) close_media_by: Option<Instant>,
    pub(super) sound: Sound,
    pub(super) wrap_up: Option<WrapUp>,
}

impl Call {
    /// The call's id.
    pub fn id(&self) -> InteractionId {
        self.id
    }

    /// It came by this trunk, which has a caller who waits hear us unanswered for so long; `None`: not at all.
    pub fn came_by(&mut self, trunk: usize, early_media: Option<Duration>) {
        self.trunk = Some(trunk);
        self.early_media = early_media;
    }

    /// The trunk that the other end is at.
    pub fn trunk(&self) -> Option<usize> {
        self.trunk
    }

    /// Its ports.
    pub fn ports(&self) -> [PortPair; 2] {
        self.ports
    }

    /// Whether a media thread has been told of it.
    pub fn has_media(&self) -> bool {
        self.generation > 0
    }

    /// The generation of its newest plan.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether nothing is left to do: the switch forgets it.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Ended)
            && self.near.leg.is_gone()
            && self.far.as_ref().is_none_or(|far| far.leg.is_gone())
            && self.leaving.iter().all(Leg::is_gone)
            && self.close_media_by.is_none()
            && self.wrap_up.is_none()
    }

    /// Whether it has ended, though goodbyes or wrap-up may be under way.
    pub fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended)
    }

    /// When the caller came, for a caller who waits for an agent.
    pub fn waiting_since(&self) -> Option<UnixMs> {
        match (&self.stage, &self.kind) {
            (Stage::LookingUp { .. } | Stage::Choosing | Stage::Waiting | Stage::Offering(_), CallKind::Queue(_)) => Some(self.start.wall),
            (
                Stage::LookingUp { .. } | Stage::Choosing | Stage::Waiting | Stage::Offering(_),
                CallKind::Internal { .. } | CallKind::Outbound(_),
            )
            | (Stage::TurnedAway { .. } | Stage::Ringing { .. } | Stage::Talking { .. } | Stage::Ended, _) => None,
        }
    }

    /// Whether it must be in the line of its queue: it waits, or is an agent's offer.
    pub fn is_in_queue(&self) -> bool {
        matches!((&self.stage, &self.kind), (Stage::Waiting | Stage::Offering(_), CallKind::Queue(_)))
    }

    /// Whether two parties talk.
    pub fn is_talking(&self) -> bool {
        matches!(self.stage, Stage::Talking { .. })
    }

    /// Whether somebody holds it.
    pub fn is_held(&self) -> bool {
        matches!(self.stage, Stage::Talking { held: Some(_), .. })
    }

    /// The agent who has the offer, the talk or the wrap-up.
    pub fn agent(&self) -> Option<AgentId> {
        match (&self.stage, &self.far) {
            (Stage::Offering(offering), _) => Some(offering.agent),
            (_, Some(far)) => far.leg.agent(),
            (_, None) => None,
        }
    }

    /// Every agent that this call occupies.
    pub fn occupied(&self) -> Vec<AgentId> {
        if let Some(wrap_up) = &self.wrap_up {
            return vec![wrap_up.agent];
        }
        match (&self.stage, &self.kind) {
            (Stage::Ended, _) => Vec::new(),
            (_, CallKind::Internal { agents }) => agents.clone(),
            (_, CallKind::Queue(_)) => self.agent().into_iter().collect(),
            (_, CallKind::Outbound(outbound)) => outbound.agent.into_iter().collect(),
        }
    }

    /// Legs that still send or await something, with their segments' kinds: for checks of consistency.
    pub fn open_segments(&self) -> impl Iterator<Item = (LegId, SegmentKind)> + '_ {
        let sides = std::iter::once(&self.near).chain(&self.far);
        sides.filter_map(|side| side.segment.map(|(_, kind)| (side.leg.id(), kind)))
    }

    /// Milliseconds on the axis.
    pub(super) fn axis_ms(&self, now: Now) -> u32 {
        u32::try_from(now.mono.saturating_duration_since(self.start.mono).as_millis()).unwrap_or(u32::MAX)
    }

    pub(super) fn queue_name(&self) -> &str {
        match &self.kind {
            CallKind::Queue(queue) => &queue.name,
            CallKind::Outbound(outbound) => outbound.queue.as_ref().map_or("", |queue| &queue.name),
            CallKind::Internal { .. } => "",
        }
    }

    /// What a leg event means. `near` says whose it is; events of legs that lost mean nothing any more.
    pub(super) fn on_leg_event(&mut self, turn: &mut Turn<'_>, near: bool, event: LegEvent) {
        match (near, event) {
            (false, LegEvent::Alive) => self.far_alive(),
            (false, LegEvent::Ringing) => self.far_rings(turn),
            (false, LegEvent::Early) => self.far_early(turn),
            (false, LegEvent::Answered) => self.far_answered(turn),
            (true, LegEvent::Confirmed) => {
                self.near_confirmed(turn);
                self.equalise(turn, true);
            }
            (_, LegEvent::ReOffered) => {
                self.re_offered(turn);
                self.equalise(turn, near);
            }
            (_, LegEvent::Renewed) => self.re_offered(turn),
            (_, LegEvent::StillThere) => self.still_there(turn),
            (_, LegEvent::Ended(end)) => self.leg_ended(turn, near, end),
            // A caller's leg never rings or answers towards us, and the phone's is confirmed by our own ACK.
            (true, LegEvent::Alive | LegEvent::Ringing | LegEvent::Early | LegEvent::Answered) | (false, LegEvent::Confirmed) => {}
        }
    }

    /// Puts a side into a segment; the one before ends where it begins.
    pub(super) fn enter(&mut self, turn: &mut Turn<'_>, near: bool, kind: SegmentKind) {
        let (interaction, now_ms) = (self.id, self.axis_ms(turn.now));
        let Some(side) = (if near { Some(&mut self.near) } else { self.far.as_mut() }) else { return };
        if side.segment.is_some_and(|(_, in_kind)| in_kind == kind) {
            return;
        }
        let segment = SegmentId::new(turn.now.wall, turn.tokens.entropy());
        if let Some((before, _)) = side.segment.replace((segment, kind)) {
            turn.fact(Fact::SegmentClosed { segment: before, to_ms: now_ms });
        }
        turn.fact(Fact::SegmentOpened { segment, interaction, leg: Some(side.leg.id()), agent: side.leg.agent(), kind, from_ms: now_ms });
    }

    /// Writes a side's end: its segment, then its leg.
    pub(super) fn close_side(side: &mut Side, turn: &mut Turn<'_>, to_ms: u32, cause: EndCause) {
        if std::mem::replace(&mut side.closed, true) {
            return;
        }
        if let Some((segment, _)) = side.segment.take() {
            turn.fact(Fact::SegmentClosed { segment, to_ms });
        }
        turn.fact(Fact::LegClosed { leg: side.leg.id(), to_ms, cause, sip_status: side.leg.final_status() });
    }

    /// Writes that a leg came into being.
    pub(super) fn open_side(&self, turn: &mut Turn<'_>, near: bool) {
        let side = if near { Some(&self.near) } else { self.far.as_ref() };
        let Some(Side { leg, .. }) = side else { return };
        turn.fact(Fact::LegOpened {
            leg: leg.id(),
            interaction: self.id,
            party: leg.party(),
            agent: leg.agent(),
            sip_call_id: leg.sip_call_id(),
            trunk: leg.trunk_name().map(str::to_owned),
            from_ms: self.axis_ms(turn.now),
        });
    }
}
