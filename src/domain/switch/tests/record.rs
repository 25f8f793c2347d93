//! What must hold of the facts of any run: everything opened is closed once, segments touch and never overlap, outcomes are single.

use std::collections::BTreeMap;

use crate::{
    domain::fact::{Fact, SegmentKind},
    ids::{InteractionId, LegId, SegmentId},
    time::Now,
};

struct Open {
    leg: Option<LegId>,
    from: u32,
    to: Option<u32>,
    kind: SegmentKind,
}

/// Checks the facts of a run that has come to rest.
pub fn check(facts: &[(Now, Fact)]) {
    let mut segments: BTreeMap<SegmentId, Open> = BTreeMap::new();
    let mut order: Vec<SegmentId> = Vec::new();
    let mut legs: BTreeMap<LegId, (u32, Option<u32>)> = BTreeMap::new();
    let mut interactions: BTreeMap<InteractionId, u32> = BTreeMap::new();
    let mut offers = BTreeMap::new();
    for (_, fact) in facts {
        match fact {
            Fact::InteractionOpened(opened) => assert!(interactions.insert(opened.interaction, 0).is_none(), "opened twice"),
            Fact::InteractionEnded { interaction, .. } => *interactions.get_mut(interaction).expect("opened") += 1,
            Fact::LegOpened { leg, from_ms, .. } => assert!(legs.insert(*leg, (*from_ms, None)).is_none(), "leg opened twice"),
            Fact::LegClosed { leg, to_ms, .. } => {
                let end = &mut legs.get_mut(leg).expect("opened").1;
                assert!(end.replace(*to_ms).is_none(), "leg closed twice");
            }
            Fact::SegmentOpened { segment, leg, kind, from_ms, .. } => {
                order.push(*segment);
                segments.insert(*segment, Open { leg: *leg, from: *from_ms, to: None, kind: *kind });
            }
            Fact::SegmentClosed { segment, to_ms } => {
                let end = &mut segments.get_mut(segment).expect("opened").to;
                assert!(end.replace(*to_ms).is_none(), "segment closed twice");
            }
            Fact::OfferMade { offer, .. } => {
                offers.insert(*offer, 0);
            }
            Fact::OfferEnded { offer, .. } => *offers.get_mut(offer).expect("made") += 1,
            _ => {}
        }
    }
    assert!(interactions.values().all(|ends| *ends == 1), "every interaction ends once: {interactions:?}");
    assert!(offers.values().all(|ends| *ends == 1), "every offer ends once");
    for (leg, (from, to)) in &legs {
        let to = to.unwrap_or_else(|| panic!("{leg} was never closed"));
        let mut at = *from;
        for segment in order.iter().map(|id| &segments[id]).filter(|segment| segment.leg == Some(*leg)) {
            assert_eq!(segment.from, at, "{:?} of {leg} does not touch the one before", segment.kind);
            at = segment.to.unwrap_or_else(|| panic!("{:?} of {leg} was never closed", segment.kind));
        }
        assert_eq!(at, to, "the segments of {leg} fill its life");
    }
    assert!(segments.values().all(|segment| segment.to.is_some()), "a segment stays open");
}
