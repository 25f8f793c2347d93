//! What has been written and told of each call, kept apart from the call itself: after a mistake of ours the call's own
//! memory may be wrong, and still everything that was opened must be closed, once, and nothing that was not.

use std::time::Instant;

use crate::{
    domain::{
        fact::{EndCause, Fact, OfferOutcome},
        media::plan::PortPair,
    },
    ids::{InteractionId, LegId, OfferId, SegmentId, SoundId},
};

/// One call as others know it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    offers: Vec<OfferId>,
    legs: Vec<LegId>,
    segments: Vec<SegmentId>,
    /// Zero of the call's axis.
    pub began: Option<Instant>,
    sounds: Vec<SoundId>,
    /// Trunk or phone that it came by.
    pub via: String,
    /// Legs whose dialogs were indexed.
    pub indexed: Vec<LegId>,
    /// The pairs of ports that a media thread was told of.
    pub planned: Vec<PortPair>,
    /// Whether it was told to end it.
    pub closed_media: bool,
    /// Whether its end was written.
    pub ended: bool,
}

fn close<T: PartialEq>(open: &mut Vec<T>, id: &T) -> bool {
    let at = open.iter().position(|known| known == id);
    at.map(|at| open.swap_remove(at)).is_some()
}

impl Ledger {
    /// Notes a fact. False where it closes what is not open: then it must not be written.
    pub fn note(&mut self, now: Instant, fact: &Fact) -> bool {
        match fact {
            Fact::OfferMade { offer, .. } => self.offers.push(*offer),
            Fact::OfferEnded { offer, .. } => return close(&mut self.offers, offer),
            Fact::LegOpened { leg, .. } => self.legs.push(*leg),
            Fact::LegClosed { leg, .. } => return close(&mut self.legs, leg),
            Fact::SegmentOpened { segment, .. } => self.segments.push(*segment),
            Fact::SegmentClosed { segment, .. } => return close(&mut self.segments, segment),
            Fact::SoundBegan { sound, .. } => self.sounds.push(*sound),
            Fact::SoundEnded { sound, .. } => return close(&mut self.sounds, sound),
            Fact::InteractionEnded { .. } => return !std::mem::replace(&mut self.ended, true),
            Fact::InteractionOpened(opened) => {
                self.began = Some(now);
                self.via.clone_from(&opened.via);
            }
            Fact::CustomerChosen { .. }
            | Fact::Queued { .. }
            | Fact::LegMeasured { .. }
            | Fact::LegQuality { .. }
            | Fact::RecordingOpened { .. }
            | Fact::RecordingClosed { .. }
            | Fact::WorkItemOpened { .. }
            | Fact::InteractionClosed { .. }
            | Fact::AgentState { .. }
            | Fact::Binding(_) => {}
        }
        true
    }

    /// The facts that close what is still open of a call that a mistake of ours ended.
    pub fn close_all(&mut self, interaction: InteractionId, at_ms: u32) -> Vec<Fact> {
        let sounds = std::mem::take(&mut self.sounds).into_iter().map(|sound| Fact::SoundEnded { sound, to_ms: at_ms });
        let segments = std::mem::take(&mut self.segments).into_iter().map(|segment| Fact::SegmentClosed { segment, to_ms: at_ms });
        let legs = std::mem::take(&mut self.legs).into_iter();
        let legs = legs.map(|leg| Fact::LegClosed { leg, to_ms: at_ms, cause: EndCause::Bug, sip_status: None });
        let offers = std::mem::take(&mut self.offers).into_iter().map(|offer| Fact::OfferEnded {
            offer,
            outcome: OfferOutcome::Failed,
            acked_ms: None,
            rang_ms: None,
            lead_ms: None,
            at_ms,
        });
        let mut facts: Vec<Fact> = offers.chain(sounds).chain(segments).chain(legs).collect();
        if !std::mem::replace(&mut self.ended, true) {
            facts.push(Fact::InteractionEnded { interaction, at_ms, cause: EndCause::Bug, answered_by: None });
        }
        facts
    }
}
