//! Hold, resume and every other re-offer of a peer: answered towards that peer, re-planned here; the other side only stops hearing.

use super::{
    Action, LegEnd,
    leg::Leg,
    policy::RecordPolicy,
    state::{Call, CallKind, Stage},
    turn::Turn,
};
use crate::{
    domain::{
        fact::{EndCause, Fact, SegmentKind},
        media::plan::{Codec, Hears, LegPlan, MediaEventKind, MediaPlan, RecordingPlan},
    },
    fault::{self, Fault},
    ids::{LegId, RecordingId},
};

impl Call {
    /// A peer offered again and was answered.
    pub(super) fn re_offered(&mut self, turn: &mut Turn<'_>) {
        let holds = self.near.leg.peer_holds() || self.far.as_ref().is_some_and(|far| far.leg.peer_holds());
        let Stage::Talking { held, .. } = &mut self.stage else { return self.plan_waiting(turn) };
        let now = turn.now;
        let changed = held.is_some() != holds;
        *held = holds.then(|| held.unwrap_or(now));
        if changed {
            let kind = if holds { SegmentKind::Hold } else { SegmentKind::Talk };
            self.enter(turn, true, kind);
            self.enter(turn, false, kind);
        }
        self.replan(turn);
        self.show(turn);
    }

    /// Where the two sides agreed on different codecs, the one that did not decide just now is asked for the other's: relayed
    /// audio is better than audio coded twice. A side that refuses is bridged.
    pub(super) fn equalise(&mut self, turn: &mut Turn<'_>, near_decides: bool) {
        let (Stage::Talking { .. }, Some(far)) = (&self.stage, &mut self.far) else { return };
        if near_decides {
            far.leg.ask_for_codec(turn, self.near.leg.codec());
        } else {
            self.near.leg.ask_for_codec(turn, far.leg.codec());
        }
    }

    /// Opens a track for each leg where the policy wants one.
    pub(super) fn start_recording(&mut self, turn: &mut Turn<'_>) {
        let wanted = match (turn.house.policy.record, &self.kind) {
            (RecordPolicy::All, _) | (RecordPolicy::External, CallKind::Queue(_) | CallKind::Outbound(_)) => true,
            (RecordPolicy::External, CallKind::Internal { .. }) | (RecordPolicy::None, _) => false,
        };
        if !wanted {
            return;
        }
        let from_ms = self.axis_ms(turn.now);
        let legs = std::iter::once(&self.near).chain(&self.far).map(|side| (side.leg.id(), side.leg.codec()));
        let legs: Vec<(LegId, Codec)> = legs.collect();
        for (leg, codec) in legs {
            let recording = RecordingId::new(turn.now.wall, turn.tokens.entropy());
            self.recordings.push((leg, recording));
            turn.fact(Fact::RecordingOpened { recording, interaction: self.id, leg, codec, from_ms });
        }
    }

    /// Whether audio is being kept now.
    pub(super) fn records_now(&self, policy_on_hold: bool) -> bool {
        match &self.stage {
            Stage::Talking { held, .. } => !self.recordings.is_empty() && (held.is_none() || policy_on_hold),
            Stage::LookingUp { .. }
            | Stage::Choosing
            | Stage::Waiting
            | Stage::TurnedAway { .. }
            | Stage::Offering(_)
            | Stage::Ringing { .. }
            | Stage::Ended => false,
        }
    }

    /// Tells media the whole desired state.
    pub(super) fn replan(&mut self, turn: &mut Turn<'_>) {
        let held = match &self.stage {
            Stage::Talking { held, .. } => held.is_some(),
            _ if self.has_early_media() => false,
            _ => return,
        };
        let Some(far) = &self.far else { return };
        self.generation += 1;
        let keep = self.records_now(turn.house.policy.record_on_hold);
        let legs = vec![self.leg_plan(&self.near.leg, keep), self.leg_plan(&far.leg, keep)];
        let (near, far) = (self.near.leg.id(), far.leg.id());
        let hears = if held {
            Vec::new()
        } else if fault::active(Fault::LegsSwapped) {
            vec![Hears::leg(near, near), Hears::leg(far, far)]
        } else {
            vec![Hears::leg(near, far), Hears::leg(far, near)]
        };
        turn.act(Action::Plan(MediaPlan {
            call: self.id,
            generation: self.generation,
            axis_start: self.start.mono,
            axis_start_wall: self.start.wall,
            legs,
            sources: Vec::new(),
            hears,
        }));
    }

    pub(super) fn leg_plan(&self, leg: &Leg, keep: bool) -> LegPlan {
        let track = self.recordings.iter().find(|(of, _)| *of == leg.id()).map(|(_, recording)| *recording);
        let recording = match (track, keep) {
            (Some(recording), true) => RecordingPlan::On(recording),
            (Some(recording), false) => RecordingPlan::Paused(recording),
            (None, _) => RecordingPlan::Off,
        };
        leg.plan(recording)
    }

    /// A media thread tells something about this call.
    pub fn on_media(&mut self, turn: &mut Turn<'_>, kind: &MediaEventKind) {
        match kind {
            MediaEventKind::SourceLocked { leg, .. } => self.on_source(turn, *leg),
            MediaEventKind::Silent { leg, silent_ms } => self.went_silent(turn, *leg, *silent_ms),
            MediaEventKind::Quality { leg, quality } => self.on_quality(turn, *leg, quality),
            MediaEventKind::Failed { .. } => self.end(turn, EndCause::Bug),
            MediaEventKind::Closed { legs } => {
                self.close_media_by = None;
                for totals in legs {
                    if let Some(leg) = totals.leg {
                        turn.fact(Fact::LegMeasured { leg, totals: *totals });
                    }
                }
            }
            MediaEventKind::SourceEnded { source } => self.source_ended(turn, *source),
            MediaEventKind::PortsRested { .. } => {}
        }
    }

    fn went_silent(&mut self, turn: &mut Turn<'_>, leg: LegId, silent_ms: u32) {
        if !self.is_talking() {
            return self.waiting_went_silent(turn, leg);
        }
        let near = self.near.leg.id() == leg;
        let side = if near { Some(&mut self.near) } else { self.far.as_mut().filter(|far| far.leg.id() == leg) };
        if let Some(side) = side {
            side.leg.check(turn);
            self.note_silence(turn, near, silent_ms);
        }
    }

    /// The peer answered the question: only its sound is missing.
    pub(super) fn still_there(&mut self, _turn: &mut Turn<'_>) {}

    /// The peer did not answer the question, or said that it knows no such call.
    pub(super) fn lost_cause(&self, end: LegEnd, near: bool) -> EndCause {
        let side = if near { Some(&self.near) } else { self.far.as_ref() };
        match (end, side.is_some_and(|side| side.leg.was_checked())) {
            (LegEnd::DialogLost, true) => EndCause::MediaLost,
            (LegEnd::NotAcceptable, _) => EndCause::NotAcceptable,
            (LegEnd::Refused(_) | LegEnd::Cancelled | LegEnd::HungUp | LegEnd::Unreachable | LegEnd::NotAcknowledged, _)
            | (LegEnd::DialogLost, false) => EndCause::SignallingLost,
        }
    }
}
