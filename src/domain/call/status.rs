//! What a refusal means: to the record, to the agent's offer, and to a caller who dialled the phone. `docs/status-mapping.md` is
//! this table in words; a test reads it row by row.

use super::LegEnd;
use crate::domain::fact::{EndCause, OfferOutcome};

/// What the end of an unanswered INVITE of ours means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    /// To the record.
    pub cause: EndCause,
    /// To the offer that it belonged to.
    pub outcome: OfferOutcome,
    /// To a caller who dialled this very phone; a caller in a queue never hears it.
    pub caller_hears: u16,
}

/// The table.
pub(super) fn meaning(end: LegEnd) -> Meaning {
    use EndCause::{Busy, Declined, NoAnswer, NotAcceptable, SignallingLost};
    let (cause, outcome, caller_hears) = match end {
        LegEnd::Refused(486 | 600) => (Busy, OfferOutcome::Busy, 486),
        LegEnd::Refused(603 | 607 | 608) => (Declined, OfferOutcome::Declined, 603),
        LegEnd::Refused(480) => (Declined, OfferOutcome::Declined, 480),
        LegEnd::Refused(408 | 487) => (NoAnswer, OfferOutcome::NoAnswer, 480),
        LegEnd::Refused(406 | 415 | 488 | 606) | LegEnd::NotAcceptable => (NotAcceptable, OfferOutcome::Failed, 488),
        LegEnd::Refused(404 | 410 | 484 | 604) => (SignallingLost, OfferOutcome::Failed, 404),
        LegEnd::Refused(_) | LegEnd::Cancelled | LegEnd::HungUp | LegEnd::Unreachable | LegEnd::NotAcknowledged | LegEnd::DialogLost => {
            (SignallingLost, OfferOutcome::Failed, 480)
        }
    };
    Meaning { cause, outcome, caller_hears }
}

/// What an unanswered caller hears when the call ends for this cause and nothing more is known.
pub(super) fn status_for(cause: EndCause) -> u16 {
    match cause {
        EndCause::Busy => 486,
        EndCause::Declined => 603,
        EndCause::NotAcceptable => 488,
        EndCause::Abandoned => 487,
        EndCause::Bug | EndCause::Crash => 500,
        EndCause::UnknownNumber => 404,
        EndCause::Shutdown | EndCause::TrunkFailed => 503,
        EndCause::NoAgent
        | EndCause::NoAnswer
        | EndCause::Limit
        | EndCause::CustomerHungUp
        | EndCause::AgentHungUp
        | EndCause::AnsweredElsewhere
        | EndCause::SignallingLost
        | EndCause::MediaLost => 480,
    }
}

/// The same for a caller in a queue: what agents and their phones did stays with us.
pub(super) fn queued_status_for(cause: EndCause) -> u16 {
    match cause {
        EndCause::Busy | EndCause::Declined => 480,
        other => status_for(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `486, 600` → each; `3xx` → a sample; `silence` → no response at all.
    fn ends(cell: &str) -> Vec<LegEnd> {
        let end = |word: &str| match word.trim() {
            "silence" => LegEnd::Unreachable,
            "no usable answer" => LegEnd::NotAcceptable,
            "3xx" => LegEnd::Refused(302),
            "other 4xx" => LegEnd::Refused(400),
            "5xx" => LegEnd::Refused(503),
            "other 6xx" => LegEnd::Refused(699),
            number => LegEnd::Refused(number.parse().unwrap_or_else(|_| panic!("{number:?} is no status"))),
        };
        cell.split(',').map(end).collect()
    }

    #[test]
    fn the_table_of_the_documentation_is_the_table_of_the_code() {
        let text = include_str!("../../../docs/status-mapping.md");
        let rows = text.lines().filter(|line| line.starts_with("| ") && line.matches('|').count() == 5 && !line.contains("---")).skip(1);
        let mut checked = 0;
        for row in rows {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            for end in ends(cells[1]) {
                let found = meaning(end);
                let word = |value: serde_json::Value| value.as_str().expect("a word").to_owned();
                let outcome = word(serde_json::to_value(found.outcome).expect("plain"));
                let cause = word(serde_json::to_value(found.cause).expect("plain"));
                assert_eq!((outcome.as_str(), cause.as_str()), (cells[2], cells[3]), "{row}");
                assert_eq!(found.caller_hears.to_string(), cells[4], "{row}");
                checked += 1;
            }
        }
        assert!(checked > 20, "{checked} statuses were read");
    }

    #[test]
    fn no_agents_failure_reaches_a_queued_caller() {
        for status in 300..700 {
            let cause = meaning(LegEnd::Refused(status)).cause;
            assert!(cause == EndCause::NotAcceptable || queued_status_for(cause) == 480, "{status}");
        }
    }
}
