//! A call that came from a trunk: look-up, then its place in the queue, until an agent answers.

use super::{
    Action, AgentMove,
    counters::Counter,
    leg::Leg,
    sound::Sound,
    state::{Call, CallKind, Caller, Side, Stage},
    turn::Turn,
    waiting::PlaceWords,
};
use crate::{
    domain::{
        customer::brief::{Brief, Matched},
        fact::{CustomerChoice, Direction, EndCause, Fact, InteractionOpened, SegmentKind},
        media::plan::PortPair,
        routing::Queue,
    },
    ids::{Channel, InteractionId, PhoneNumber},
};

/// Longest caller text that is written down, characters.
const MAX_RAW_CHARS: usize = 256;
/// Longest display name that is written down, characters.
const MAX_NAME_CHARS: usize = 128;

/// What the INVITE said, read and bounded.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The caller as the network wrote it.
    pub caller_raw: Option<String>,
    /// The caller's number.
    pub number: Option<PhoneNumber>,
    /// The name that came with it.
    pub display_name: Option<String>,
    /// What was dialled.
    pub called: String,
    /// Trunk or phone that it came from.
    pub via: String,
}

impl Arrival {
    /// Bounds the texts, which come from outside.
    pub fn bounded(mut self) -> Self {
        let cut = |text: String, chars: usize| text.chars().filter(|c| !c.is_control()).take(chars).collect::<String>();
        self.caller_raw = self.caller_raw.map(|text| cut(text, MAX_RAW_CHARS));
        self.display_name = self.display_name.map(|text| cut(text, MAX_NAME_CHARS)).filter(|text| !text.trim().is_empty());
        self.called = cut(self.called, MAX_RAW_CHARS);
        self.via = cut(self.via, MAX_NAME_CHARS);
        self
    }
}

impl Call {
    /// A trunk's INVITE was admitted: opens the interaction and asks who is calling.
    pub fn start_inbound(turn: &mut Turn<'_>, id: InteractionId, arrival: Arrival, queue: Queue, leg: Leg, ports: [PortPair; 2]) -> Self {
        let arrival = arrival.bounded();
        let caller = Caller {
            number: arrival.number.clone(),
            display_name: arrival.display_name.clone(),
            user: arrival.number.as_ref().map_or("anonymous", PhoneNumber::as_str).to_owned(),
        };
        let stage = Stage::LookingUp { until: turn.now.mono + turn.house.policy.timing.look_up_limit };
        turn.act(Action::LookUp { number: arrival.number.clone(), display_name: arrival.display_name.clone(), queue: queue.name.clone() });
        let mut call = Self::open(turn, id, caller, CallKind::Queue(queue), leg, ports, stage);
        call.write_opening(turn, arrival, Direction::Inbound);
        call.enter(turn, true, SegmentKind::Queue);
        call.answer_at_once(turn);
        call
    }

    pub(super) fn open(
        turn: &Turn<'_>,
        id: InteractionId,
        caller: Caller,
        kind: CallKind,
        leg: Leg,
        ports: [PortPair; 2],
        stage: Stage,
    ) -> Self {
        let brief = Brief::late(caller.number.clone(), caller.display_name.clone());
        Self {
            id,
            start: turn.now,
            kind,
            trunk: None,
            early_media: None,
            caller,
            near: Side { leg, segment: None, closed: false },
            far: None,
            leaving: Vec::new(),
            ports,
            stage,
            brief,
            hearing: None,
            played: 0,
            announced: false,
            place: PlaceWords::NotYet,
            music_ms: 0,
            not_taken: EndCause::NoAgent,
            refused_with: None,
            generation: 0,
            recordings: Vec::new(),
            ring_near_at: Some(turn.now.mono + turn.house.policy.timing.ringing_after),
            close_media_by: None,
            sound: Sound::default(),
            wrap_up: None,
        }
    }

    pub(super) fn write_opening(&self, turn: &mut Turn<'_>, arrival: Arrival, direction: Direction) {
        let queue = match &self.kind {
            CallKind::Queue(queue) => Some(queue.name.clone()),
            CallKind::Outbound(outbound) => outbound.queue.as_ref().map(|queue| queue.name.clone()),
            CallKind::Internal { .. } => None,
        };
        turn.fact(Fact::InteractionOpened(InteractionOpened {
            interaction: self.id,
            channel: Channel::Phone,
            direction,
            at: turn.now.wall,
            caller_raw: arrival.caller_raw,
            caller: arrival.number,
            display_name: arrival.display_name,
            called: arrival.called,
            via: arrival.via,
            queue,
            emergency: self.is_emergency(),
        }));
        self.open_side(turn, true);
    }

    /// The record answered, in time or late: a late brief fills the pop in place.
    pub fn brief_found(&mut self, turn: &mut Turn<'_>, brief: Brief, choice: CustomerChoice) {
        if self.has_ended() && self.wrap_up.is_none() {
            return;
        }
        turn.fact(Fact::CustomerChosen {
            interaction: self.id,
            identity: brief.identity,
            customer: brief.customer.as_ref().map(|who| who.customer),
            choice,
        });
        self.brief = brief;
        match &self.stage {
            Stage::LookingUp { .. } => self.join_queue(turn),
            Stage::Offering(_) | Stage::Ringing { .. } | Stage::Talking { .. } | Stage::Ended => self.show(turn),
            Stage::Choosing | Stage::Waiting | Stage::TurnedAway { .. } => {}
        }
    }

    /// The record was too slow: the call goes on without.
    pub(super) fn look_up_is_late(&mut self, turn: &mut Turn<'_>) {
        turn.count(Counter::LateBrief);
        self.join_queue(turn);
    }

    /// The agent chose who is calling.
    pub fn customer_chosen(&mut self, turn: &mut Turn<'_>, brief: Brief) {
        let customer = brief.customer.as_ref().map(|who| who.customer);
        let choice = match (customer, brief.matched) {
            (Some(_), _) => CustomerChoice::Chosen,
            (None, Matched::Known | Matched::Several | Matched::Unknown | Matched::Withheld | Matched::Late) => CustomerChoice::Unknown,
        };
        turn.fact(Fact::CustomerChosen { interaction: self.id, identity: brief.identity, customer, choice });
        self.brief = brief;
        self.show(turn);
    }

    /// Shows the agent's desk again, where an agent has something of this call.
    pub(super) fn show(&self, turn: &mut Turn<'_>) {
        for agent in self.occupied() {
            turn.act(Action::Show(agent));
        }
    }

    pub(super) fn move_agent(turn: &mut Turn<'_>, agent: crate::ids::AgentId, to: AgentMove) {
        turn.act(Action::Agent { agent, to });
    }
}
