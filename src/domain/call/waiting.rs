//! A caller who waits: answered when that is clear, told so and their place, then music, until an agent answers, they go, or time is up.
//! Where their trunk wants it, all of this is early media (RFC 3960): 183 instead of 200, and the 200 when an agent answers.
//!
//! ```text
//! join ─▶ Waiting ── offer ──▶ Offering ── answer ──▶ Talking
//!            ▲  └─ too long ─▶ TurnedAway └─ no ─┐
//!            └───────────────────────────────────┘  the caller hears music all the while
//! ```
//! Whether somebody is free is the queue's business: the switch says `offer_to`, `must_wait` or `turn_away`.

use std::time::{Duration, Instant};

use super::{
    Action, QueueMove,
    counters::Counter,
    state::{Call, CallKind, Stage},
    turn::Turn,
};
use crate::{
    domain::{
        fact::{EndCause, Fact, SoundKind},
        media::{
            clip::ClipId,
            plan::{Codec, Hears, MediaPlan, SourceId, SourcePlan},
        },
        routing::{Answer, Sound, Standing},
    },
    ids::{AgentId, LegId, SoundId},
};

/// An agent who did not take a call is asked for it again after this long, where nobody else has taken it.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(15);
/// A media thread that has not said that a sound is over by then has lost it: the call goes on without.
const SOUND_GRACE: Duration = Duration::from_millis(500);

/// A 183 is sent once more after this long: nobody acknowledges it, and a caller for whom it was lost would hear only their own tone.
const EARLY_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// When a waiting caller is told their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlaceWords {
    /// It is not said yet that they must wait.
    NotYet,
    /// From then on, as soon as nothing else is being said.
    Due(Instant),
    /// Was told, and once is enough.
    Told,
}

/// What a caller hears of ours.
#[derive(Debug)]
pub(super) struct Hearing {
    sound: SoundId,
    kind: SoundKind,
    source: SourcePlan,
    began: Instant,
    /// When it is over at the latest; `None` plays on.
    over_at: Option<Instant>,
}

impl Call {
    /// Takes its place in the queue.
    pub(super) fn join_queue(&mut self, turn: &mut Turn<'_>) {
        let CallKind::Queue(queue) = &self.kind else { return };
        let join = QueueMove::Join { queue: queue.name.clone(), priority: queue.priority, since: self.start };
        self.stage = Stage::Waiting;
        turn.act(Action::Queue(join));
    }

    /// The agent did not take it: it is the next one's, and the caller notices nothing.
    pub(super) fn keep_waiting(&mut self, turn: &mut Turn<'_>, passed: AgentId) {
        self.stage = Stage::Waiting;
        turn.act(Action::Queue(QueueMove::Passed { agent: passed, until: turn.now.mono + ASK_AGAIN_AFTER }));
    }

    /// Somebody took it, or it is over: what the caller heard of ours ends with it.
    pub(super) fn leave_queue(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.kind, CallKind::Queue(_)) {
            self.stop_sound(turn);
            turn.act(Action::Queue(QueueMove::Leave));
        }
    }

    /// A queue that answers by itself does so before anything else.
    pub(super) fn answer_at_once(&mut self, turn: &mut Turn<'_>) {
        if matches!(&self.kind, CallKind::Queue(queue) if queue.answer == Answer::Queue) {
            self.answer_waiting(turn);
        }
    }

    /// Nobody is free: the caller is told, and hears music from now on.
    pub fn must_wait(&mut self, turn: &mut Turn<'_>, standing: Standing) {
        if !matches!(self.stage, Stage::Waiting) {
            return;
        }
        if let Some((segment, _)) = self.near.segment {
            let estimate_ms = standing.estimate.map(|estimate| u32::try_from(estimate.as_millis()).unwrap_or(u32::MAX));
            turn.fact(Fact::Queued { interaction: self.id, segment, position: standing.position, estimate_ms });
        }
        if self.place == PlaceWords::NotYet {
            self.place = PlaceWords::Due(turn.now.mono);
        }
        if self.near.leg.can_hear() {
            return;
        }
        match self.let_hear(turn) {
            true => self.next_sound(turn),
            false => self.end(turn, EndCause::NotAcceptable),
        }
    }

    /// Answers the caller, who waits; an answered one is left as they are. What one hears already goes on.
    pub(super) fn answer_waiting(&mut self, turn: &mut Turn<'_>) {
        if self.near.leg.is_up() {
            return;
        }
        if self.near.leg.is_early() {
            turn.count(Counter::EarlyMediaLimit);
        }
        if !self.answer_near(turn) {
            return self.end(turn, EndCause::NotAcceptable);
        }
        match &self.hearing {
            Some(_) => self.plan_waiting(turn),
            None => self.next_sound(turn),
        }
    }

    /// When a caller who waits unanswered is answered in any case.
    pub(super) fn answer_at(&self, max_ring: Duration) -> Option<Instant> {
        match (&self.stage, self.early_media) {
            (Stage::Waiting | Stage::Offering(_), Some(limit)) if self.near.leg.is_early() => Some(self.start.mono + limit),
            (Stage::Offering(_), _) if !self.near.leg.can_hear() => Some(self.start.mono + max_ring),
            _ => None,
        }
    }

    /// From now on the caller can hear us: by early media where their trunk wants that and the INVITE had an offer, else answered.
    fn let_hear(&mut self, turn: &mut Turn<'_>) -> bool {
        let early = self.early_media.is_some_and(|limit| turn.now.mono < self.start.mono + limit);
        let codec = self.first_codec(turn);
        if early && self.near.leg.progress(turn, codec) {
            self.ring_near_at = Some(turn.now.mono + EARLY_AGAIN_AFTER);
            return true;
        }
        self.answer_near(turn)
    }

    fn first_codec(&self, turn: &Turn<'_>) -> Codec {
        let leg = &self.near.leg;
        leg.promised_codec().or_else(|| leg.preferred_codecs(turn).first().copied()).unwrap_or_else(|| leg.codec())
    }

    fn answer_near(&mut self, turn: &mut Turn<'_>) -> bool {
        let codec = self.first_codec(turn);
        let answered = self.near.leg.answer(turn, codec).is_ok();
        if answered {
            self.ring_near_at = None;
        } else {
            turn.count(Counter::NotAcceptable);
        }
        answered
    }

    /// Our answer was acknowledged: where the INVITE had no offer, the caller can hear only from now on.
    pub(super) fn near_confirmed(&mut self, turn: &mut Turn<'_>) {
        if self.hearing.is_none() && self.is_waiting() {
            self.next_sound(turn);
        } else {
            self.replan(turn);
        }
    }

    fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::LookingUp { .. } | Stage::Choosing | Stage::Waiting | Stage::Offering(_))
    }

    /// Begins what the caller hears next: the announcement once, the place where it is due, then music.
    fn next_sound(&mut self, turn: &mut Turn<'_>) {
        let CallKind::Queue(queue) = &self.kind else { return };
        if !self.near.leg.has_remote() {
            return;
        }
        let announcement = queue.sounds.announcement.clone().filter(|_| !self.announced);
        self.announced = true;
        let words = match announcement {
            Some(words) => Some((SoundKind::Announcement, words)),
            None => self.place_words(turn).map(|words| (SoundKind::Place, words)),
        };
        let CallKind::Queue(queue) = &self.kind else { return };
        match words.or_else(|| queue.sounds.music.clone().map(|music| (SoundKind::Music, music))) {
            Some((kind, clip)) => self.play(turn, kind, clip),
            None => {
                self.stop_sound(turn);
                self.plan_waiting(turn);
            }
        }
    }

    /// The words for the place in the queue, where they are due now; when they are due again.
    fn place_words(&mut self, turn: &Turn<'_>) -> Option<Sound> {
        let (CallKind::Queue(queue), PlaceWords::Due(at)) = (&self.kind, self.place) else { return None };
        if at > turn.now.mono || !matches!(self.stage, Stage::Waiting) {
            return None;
        }
        let standing = (turn.house.standing)(self.id)?;
        self.place = queue.place_every.map_or(PlaceWords::Told, |every| PlaceWords::Due(turn.now.mono + every));
        queue.sounds.places.as_ref()?.words(standing.position).cloned()
    }

    /// When the caller is told their place: not while an agent's phone rings for them, and never into other words.
    pub(super) fn place_due_at(&self) -> Option<Instant> {
        let plays_on = self.hearing.as_ref().is_none_or(|hearing| hearing.kind == SoundKind::Music);
        match (&self.stage, self.place) {
            (Stage::Waiting, PlaceWords::Due(at)) if plays_on && self.near.leg.can_hear() && self.near.leg.has_remote() => Some(at),
            _ => None,
        }
    }

    /// It is time to tell the place.
    pub(super) fn tell_place(&mut self, turn: &mut Turn<'_>) {
        match self.place_words(turn) {
            Some(words) => self.play(turn, SoundKind::Place, words),
            // Nobody can say where a call stands that is in no line.
            None if self.place_due_at().is_some_and(|at| at <= turn.now.mono) => self.place = PlaceWords::Told,
            None => {}
        }
    }

    fn play(&mut self, turn: &mut Turn<'_>, kind: SoundKind, clip: Sound) {
        self.stop_sound(turn);
        let sound = SoundId::new(turn.now.wall, turn.tokens.entropy());
        let (interaction, leg, from_ms) = (self.id, self.near.leg.id(), self.axis_ms(turn.now));
        turn.fact(Fact::SoundBegan { sound, interaction, leg, kind, clip: clip.name.to_string(), from_ms });
        let over_at = (kind != SoundKind::Music).then(|| turn.now.mono + clip.length + SOUND_GRACE);
        self.played += 1;
        let looped = kind == SoundKind::Music;
        let start_ms = if looped { self.music_ms } else { 0 };
        let source = SourcePlan { id: SourceId(self.played), clip: ClipId(clip.clip), looped, start_ms };
        self.hearing = Some(Hearing { sound, kind, source, began: turn.now.mono, over_at });
        self.plan_waiting(turn);
    }

    fn stop_sound(&mut self, turn: &mut Turn<'_>) {
        if let Some(hearing) = self.hearing.take() {
            if hearing.kind == SoundKind::Music {
                let heard = turn.now.mono.saturating_duration_since(hearing.began);
                self.music_ms = self.music_ms.saturating_add(u32::try_from(heard.as_millis()).unwrap_or(u32::MAX));
            }
            turn.fact(Fact::SoundEnded { sound: hearing.sound, to_ms: self.axis_ms(turn.now) });
        }
    }

    pub(super) fn sound_over_at(&self) -> Option<Instant> {
        self.hearing.as_ref().and_then(|hearing| hearing.over_at)
    }

    /// A media thread has played a sound to its end.
    pub(super) fn source_ended(&mut self, turn: &mut Turn<'_>, source: SourceId) {
        if self.hearing.as_ref().is_some_and(|hearing| hearing.source.id == source) {
            self.sound_over(turn);
        }
    }

    /// A sound that plays once is over.
    pub(super) fn sound_over(&mut self, turn: &mut Turn<'_>) {
        match (self.hearing.as_ref().map(|hearing| hearing.kind), &self.stage) {
            (Some(SoundKind::Closing), Stage::TurnedAway { cause, .. }) => {
                let cause = *cause;
                self.end(turn, cause);
            }
            (Some(SoundKind::Announcement | SoundKind::Place | SoundKind::Closing), _) => self.next_sound(turn),
            (Some(SoundKind::Music) | None, _) => {}
        }
    }

    /// When the caller has waited as long as the queue allows.
    pub(super) fn give_up_at(&self) -> Option<Instant> {
        match &self.kind {
            CallKind::Queue(queue) => Some(self.start.mono + queue.max_wait),
            CallKind::Internal { .. } | CallKind::Outbound(_) => None,
        }
    }

    /// Nobody will answer: the caller is told so where there are words for it, and somebody must call back.
    pub fn turn_away(&mut self, turn: &mut Turn<'_>, cause: EndCause) {
        // Where an agent could be asked, the record keeps what became of it.
        let cause = if cause == EndCause::NoAgent { self.not_taken } else { cause };
        let closing = match &self.kind {
            CallKind::Queue(queue) => queue.sounds.closing.clone(),
            CallKind::Internal { .. } | CallKind::Outbound(_) => None,
        };
        let waits = self.is_waiting() && !matches!(self.stage, Stage::Offering(_));
        let Some(closing) = closing.filter(|_| waits) else { return self.end(turn, cause) };
        if !(self.near.leg.can_hear() || self.let_hear(turn)) {
            return self.end(turn, EndCause::NotAcceptable);
        }
        turn.act(Action::Queue(QueueMove::Leave));
        self.stage = Stage::TurnedAway { until: turn.now.mono + closing.length + 2 * SOUND_GRACE, cause };
        self.play(turn, SoundKind::Closing, closing);
    }

    /// Tells media what a waiting caller hears.
    pub(super) fn plan_waiting(&mut self, turn: &mut Turn<'_>) {
        let waits = self.is_waiting() || matches!(self.stage, Stage::TurnedAway { .. });
        if !(waits && self.near.leg.can_hear()) {
            return;
        }
        self.generation += 1;
        let mut near_plan = self.leg_plan(&self.near.leg, false);
        // Many carriers pass nothing of the caller's on before the answer: nothing is listened for, and no silence is told.
        near_plan.receive &= self.near.leg.is_up();
        let legs = vec![near_plan];
        let sources: Vec<SourcePlan> = self.hearing.iter().map(|hearing| hearing.source).collect();
        let near = self.near.leg.id();
        turn.act(Action::Plan(MediaPlan {
            call: self.id,
            generation: self.generation,
            axis_start: self.start.mono,
            axis_start_wall: self.start.wall,
            legs,
            hears: sources.iter().map(|source| Hears::player(near, source.id)).collect(),
            sources,
        }));
    }

    /// Nothing comes from a waiting caller: they may be gone without a word.
    pub(super) fn waiting_went_silent(&mut self, turn: &mut Turn<'_>, leg: LegId) {
        if self.is_waiting() && self.near.leg.id() == leg {
            self.near.leg.check(turn);
        }
    }
}
