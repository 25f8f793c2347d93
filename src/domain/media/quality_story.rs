//! How a call sounded, in words: stretches in which somebody was hard to hear or not heard at all, and why.

use serde::Serialize;

use super::quality::{LegQuality, POOR_MOS_X100};
use crate::ids::Party;

/// Stretches told of one call; a call that was bad throughout has one of each kind.
const SPANS_MAX: usize = 12;
/// Poor intervals no further apart than this are one stretch, milliseconds.
const JOINED_MS: u32 = 10_000;
/// From this loss on, loss is named as the cause, per thousand.
const LOSS_PERMILLE: u32 = 20;
/// From this jitter on, jitter is.
const JITTER_US: u32 = 40_000;

/// One leg and what was measured on it.
#[derive(Clone, Debug)]
pub struct HeardLeg {
    /// Its side.
    pub party: Party,
    /// The agent's name, where it is known.
    pub name: Option<String>,
    /// By time.
    pub samples: Vec<LegQuality>,
}

/// A stretch of poor sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PoorSpan {
    /// Whose leg it was.
    pub party: Party,
    /// What was wrong.
    pub kind: PoorKind,
    /// Beginning on the axis.
    pub from_ms: u32,
    /// End on the axis.
    pub to_ms: u32,
    /// One sentence, with its times.
    pub text: String,
}

/// What was wrong with the sound of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PoorKind {
    /// The party was hard to hear.
    HardToHear,
    /// The party was not heard at all.
    NotHeard,
    /// The party heard badly.
    HearsBadly,
    /// The party heard nothing.
    HearsNothing,
}

/// Samples of one stretch, summed.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    kind: PoorKind,
    from_ms: u32,
    to_ms: u32,
    lost: u64,
    due: u64,
    jitter_us: u32,
    round_trip_us: u32,
    alive: bool,
}

/// All stretches of a call, by time.
pub fn tell(legs: &[HeardLeg]) -> Vec<PoorSpan> {
    let mut spans = Vec::new();
    for (place, leg) in legs.iter().enumerate() {
        let others = || legs.iter().enumerate().filter(|(other, _)| *other != place).flat_map(|(_, other)| &other.samples);
        let inbound = leg.samples.iter().filter_map(inbound);
        let outbound = leg.samples.iter().filter(|sample| !inherited(sample, others())).filter_map(outbound);
        for stretch in joined(inbound).into_iter().chain(joined(outbound)) {
            spans.push(PoorSpan {
                party: leg.party,
                kind: stretch.kind,
                from_ms: stretch.from_ms,
                to_ms: stretch.to_ms,
                text: sentence(leg, &stretch),
            });
        }
    }
    // The longest are told, in the order of time.
    spans.sort_by_key(|span| std::cmp::Reverse(span.to_ms - span.from_ms));
    spans.truncate(SPANS_MAX);
    spans.sort_by_key(|span| (span.from_ms, span.to_ms));
    spans
}

fn inbound(sample: &LegQuality) -> Option<Stretch> {
    let kind = match (sample.is_silent(), sample.is_poor()) {
        (true, _) => PoorKind::NotHeard,
        (false, true) => PoorKind::HardToHear,
        (false, false) => return None,
    };
    let begins = sample.to_ms.saturating_sub(if sample.is_silent() { sample.silent_ms } else { sample.interval_ms });
    Some(Stretch {
        kind,
        from_ms: begins,
        to_ms: sample.to_ms,
        lost: sample.lost.into(),
        due: u64::from(sample.lost) + u64::from(sample.received),
        jitter_us: sample.jitter_us,
        round_trip_us: sample.round_trip_us.unwrap_or(0),
        alive: sample.peer_alive,
    })
}

fn outbound(sample: &LegQuality) -> Option<Stretch> {
    let reported = sample.reported.filter(|_| sample.is_poor_there())?;
    Some(Stretch {
        kind: if reported.deaf { PoorKind::HearsNothing } else { PoorKind::HearsBadly },
        from_ms: sample.to_ms.saturating_sub(sample.interval_ms),
        to_ms: sample.to_ms,
        lost: u64::from(reported.lost_permille) * u64::from(sample.sent),
        due: 1_000 * u64::from(sample.sent),
        jitter_us: reported.jitter_us,
        round_trip_us: sample.round_trip_us.unwrap_or(0),
        alive: true,
    })
}

/// What was lost on its way to us is missing again on its way on: that is told once, where it was lost.
fn inherited<'a>(sample: &LegQuality, mut others: impl Iterator<Item = &'a LegQuality>) -> bool {
    let Some(reported) = sample.reported.filter(|reported| !reported.deaf) else { return false };
    let begins = sample.to_ms.saturating_sub(2 * sample.interval_ms);
    others.any(|other| {
        let meanwhile = other.to_ms > begins && other.to_ms.saturating_sub(other.interval_ms) < sample.to_ms;
        meanwhile && other.mos_x100.is_some_and(|mos| mos < POOR_MOS_X100) && 2 * other.lost_permille() >= reported.lost_permille
    })
}

fn joined(stretches: impl Iterator<Item = Stretch>) -> Vec<Stretch> {
    let mut joined: Vec<Stretch> = Vec::new();
    for next in stretches {
        match joined.last_mut().filter(|last| last.kind == next.kind && next.from_ms <= last.to_ms.saturating_add(JOINED_MS)) {
            Some(last) => {
                last.to_ms = next.to_ms;
                last.from_ms = last.from_ms.min(next.from_ms);
                last.lost += next.lost;
                last.due += next.due;
                last.jitter_us = last.jitter_us.max(next.jitter_us);
                last.round_trip_us = last.round_trip_us.max(next.round_trip_us);
                last.alive |= next.alive;
            }
            None => joined.push(next),
        }
    }
    joined
}

fn sentence(leg: &HeardLeg, stretch: &Stretch) -> String {
    let (who, from, to) = match leg.party {
        Party::Customer => ("the customer", "from the carrier", "to the carrier"),
        Party::Agent => (leg.name.as_deref().unwrap_or("the agent"), "from the agent's phone", "to the agent's phone"),
    };
    let times = format!("From {} to {}", clock(stretch.from_ms), clock(stretch.to_ms));
    match stretch.kind {
        PoorKind::NotHeard if stretch.alive => {
            format!("{times} {who} was not heard: no sound came {from}, though the other side was still there (one-way audio).")
        }
        PoorKind::NotHeard => format!("{times} {who} was not heard: nothing at all came {from}."),
        PoorKind::HardToHear => format!("{times} {who} was hard to hear: {}.", because(stretch, from)),
        PoorKind::HearsBadly => format!("{times} {who} heard badly: {}.", because(stretch, to)),
        PoorKind::HearsNothing => format!("{times} {who} heard nothing: what we sent did not arrive on its way {to}."),
    }
}

fn because(stretch: &Stretch, way: &str) -> String {
    let permille = u32::try_from((1_000 * stretch.lost).checked_div(stretch.due).unwrap_or(0)).unwrap_or(1_000);
    if permille >= LOSS_PERMILLE {
        format!("{} % of the sound was lost on the way {way}", (permille + 5) / 10)
    } else if stretch.jitter_us >= JITTER_US {
        format!("the sound came unevenly on the way {way}, by {} ms", stretch.jitter_us / 1_000)
    } else {
        format!("the way {way} was long, {} ms there and back", stretch.round_trip_us / 1_000)
    }
}

/// "1:05", "1:02:05": a place on the axis.
fn clock(ms: u32) -> String {
    let seconds = (ms + 500) / 1_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::media::quality::ReportedQuality;

    fn sample(to_s: u32) -> LegQuality {
        let heard = Some(ReportedQuality { lost_permille: 0, jitter_us: 500, mos_x100: 438, deaf: false });
        LegQuality {
            to_ms: 1_000 * to_s,
            interval_ms: 5_000,
            received: 250,
            mos_x100: Some(438),
            sent: 250,
            peer_alive: true,
            reported: heard,
            ..LegQuality::default()
        }
    }

    fn lossy(to_s: u32) -> LegQuality {
        LegQuality { received: 230, lost: 20, bursts: 18, mos_x100: Some(349), ..sample(to_s) }
    }

    fn customer(samples: Vec<LegQuality>) -> HeardLeg {
        HeardLeg { party: Party::Customer, name: None, samples }
    }

    fn agent(samples: Vec<LegQuality>) -> HeardLeg {
        HeardLeg { party: Party::Agent, name: Some("Ann Keller".to_owned()), samples }
    }

    fn texts(legs: &[HeardLeg]) -> Vec<String> {
        tell(legs).into_iter().map(|span| span.text).collect()
    }

    #[test]
    fn loss_is_told_with_its_times_its_share_and_its_way() {
        let leg = customer(vec![sample(70), lossy(75), lossy(80), lossy(85), sample(90)]);
        assert_eq!(
            texts(&[leg]),
            ["From 1:10 to 1:25 the customer was hard to hear: 8 % of the sound was lost on the way from the carrier."]
        );
    }

    #[test]
    fn a_call_that_sounded_well_has_nothing_to_tell() {
        assert_eq!(
            texts(&[customer((1..100).map(|n| sample(5 * n)).collect()), agent((1..100).map(|n| sample(5 * n)).collect())]),
            [""; 0]
        );
    }

    #[test]
    fn silence_begins_with_the_last_sound_and_says_whether_the_peer_was_there() {
        let silent = |to_s: u32, silent_ms| LegQuality { received: 0, mos_x100: None, silent_ms, reported: None, ..sample(to_s) };
        let one_way = customer(vec![sample(10), silent(17, 5_000), silent(22, 10_000), silent(23, 11_000), sample(28)]);
        let dead = agent(vec![LegQuality { peer_alive: false, ..silent(17, 5_000) }]);
        assert_eq!(
            texts(&[one_way, dead]),
            [
                "From 0:12 to 0:17 Ann Keller was not heard: nothing at all came from the agent's phone.",
                "From 0:12 to 0:23 the customer was not heard: no sound came from the carrier, though the other side was still there (one-way audio).",
            ]
        );
    }

    #[test]
    fn what_the_peer_reports_of_our_sound_is_told_the_other_way_round() {
        let there = |to_s, lost_permille, mos_x100, deaf| LegQuality {
            reported: Some(ReportedQuality { lost_permille, jitter_us: 0, mos_x100, deaf }),
            ..sample(to_s)
        };
        assert_eq!(
            texts(&[customer(vec![there(5, 120, 310, false)]), agent(vec![there(5, 0, 438, true)])]),
            [
                "From 0:00 to 0:05 the customer heard badly: 12 % of the sound was lost on the way to the carrier.",
                "From 0:00 to 0:05 Ann Keller heard nothing: what we sent did not arrive on its way to the agent's phone.",
            ]
        );
    }

    #[test]
    fn loss_on_the_way_in_is_not_told_again_on_the_way_out() {
        let phone =
            LegQuality { reported: Some(ReportedQuality { lost_permille: 82, jitter_us: 0, mos_x100: 348, deaf: false }), ..sample(78) };
        let told = texts(&[customer(vec![lossy(75), lossy(80)]), agent(vec![phone])]);
        assert!(told.len() == 1 && told[0].contains("from the carrier"), "{told:?}");
    }

    #[test]
    fn jitter_and_a_long_way_are_named_where_nothing_was_lost() {
        let shaky = LegQuality { jitter_us: 170_000, mos_x100: Some(340), ..sample(5) };
        let far = LegQuality { round_trip_us: Some(900_000), mos_x100: Some(300), ..sample(5) };
        let told = texts(&[customer(vec![shaky]), agent(vec![far])]);
        assert!(told[0].contains("unevenly on the way from the carrier, by 170 ms"), "{told:?}");
        assert!(told[1].contains("900 ms there and back"), "{told:?}");
    }
}
