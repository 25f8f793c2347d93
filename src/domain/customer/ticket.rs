//! Which ticket an interaction belongs to: one it joins, with the reason, or a new one.

use serde::{Deserialize, Serialize};

use super::words::{DAY_MS, ago};
use crate::{
    ids::{InteractionId, TicketId},
    time::UnixMs,
};

/// Whose turn it is on a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketState {
    /// Waits on us.
    OpenUs,
    /// Waits on the customer.
    OpenCustomer,
    /// Solved.
    Solved,
}

/// A ticket of the same customer that is not solved.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The ticket.
    pub ticket: TicketId,
    /// Whose turn it is.
    pub state: TicketState,
    /// Its last contact.
    pub touched_at: UnixMs,
    /// Interactions on it, for the thread rule.
    pub same_thread: bool,
    /// Its score as a probable reason at the pop, 0 when it was none.
    pub reason_score: u16,
}

/// What happens with an interaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// It goes on this ticket.
    Join {
        /// The ticket.
        ticket: TicketId,
        /// Why, in words.
        why: String,
        /// Percent.
        confidence: u8,
    },
    /// It opens one.
    Open {
        /// Why, in words.
        why: &'static str,
    },
}

/// A ticket that nobody touched for this long is not joined by itself.
const JOINED_WITHIN_MS: i64 = 14 * DAY_MS;
/// A probable reason this strong is joined even beside other open tickets.
const REASON_FROM: u16 = 50;
/// … when it is this far ahead of the next.
const REASON_LEAD: u16 = 15;

/// Decides for one interaction. A wrong join hides a matter inside another one, a wrong new ticket is merely one too many:
/// in doubt a new one is opened.
pub fn choose(candidates: &[Candidate], now: UnixMs) -> Choice {
    if let Some(found) = candidates.iter().find(|c| c.same_thread) {
        return join(found, "same conversation".to_owned(), 95);
    }
    let recent: Vec<&Candidate> = candidates.iter().filter(|c| now.0.saturating_sub(c.touched_at.0) <= JOINED_WITHIN_MS).collect();
    let mut by_score = recent.clone();
    by_score.sort_by_key(|c| std::cmp::Reverse(c.reason_score));
    if let Some(best) = by_score.first().filter(|c| c.reason_score >= REASON_FROM) {
        let next = by_score.get(1).map_or(0, |c| c.reason_score);
        if best.reason_score - next >= REASON_LEAD {
            return join(best, format!("the probable reason of the contact, last contact {}", ago(best.touched_at, now)), 80);
        }
    }
    match recent.as_slice() {
        [] if candidates.is_empty() => Choice::Open { why: "no open ticket" },
        [] => Choice::Open { why: "the open tickets were not touched for two weeks" },
        [only] => join(only, format!("the only open ticket, last contact {}", ago(only.touched_at, now)), 60),
        _ => Choice::Open { why: "several open tickets, none clearly meant" },
    }
}

fn join(candidate: &Candidate, why: String, confidence: u8) -> Choice {
    Choice::Join { ticket: candidate.ticket, why, confidence }
}

/// The subject that an interaction gives to the ticket it opens.
pub fn subject(title: Option<&str>, opened_by: InteractionId, fallback: &str) -> String {
    match title.map(str::trim).filter(|t| !t.is_empty()) {
        Some(title) => title.chars().take(80).collect(),
        None => format!("{fallback} {}", &opened_by.to_string()[24..28]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(1_790_000_000_000);

    fn candidate(n: u8, age_days: i64, reason_score: u16) -> Candidate {
        Candidate {
            ticket: TicketId::new(NOW, [n; 10]),
            state: TicketState::OpenUs,
            touched_at: NOW.plus_ms(-age_days * DAY_MS),
            same_thread: false,
            reason_score,
        }
    }

    fn joined(choice: &Choice) -> Option<TicketId> {
        match choice {
            Choice::Join { ticket, .. } => Some(*ticket),
            Choice::Open { .. } => None,
        }
    }

    #[test]
    fn without_an_open_ticket_one_is_opened() {
        assert_eq!(choose(&[], NOW), Choice::Open { why: "no open ticket" });
    }

    #[test]
    fn the_only_recent_open_ticket_is_joined() {
        let only = candidate(1, 3, 0);
        assert_eq!(joined(&choose(&[only.clone(), candidate(2, 15, 0)], NOW)), Some(only.ticket));
        assert_eq!(joined(&choose(&[candidate(2, 15, 0)], NOW)), None);
    }

    #[test]
    fn of_several_the_clear_reason_is_joined_and_a_close_race_opens_a_new_one() {
        let (a, b) = (candidate(1, 1, 79), candidate(2, 1, 60));
        assert_eq!(joined(&choose(&[b.clone(), a.clone()], NOW)), Some(a.ticket));
        assert_eq!(joined(&choose(&[a, candidate(2, 1, 65)], NOW)), None);
        assert_eq!(joined(&choose(&[b, candidate(3, 1, 60)], NOW)), None);
    }

    #[test]
    fn the_same_conversation_wins_over_everything() {
        let thread = Candidate { same_thread: true, ..candidate(1, 100, 0) };
        assert_eq!(joined(&choose(&[candidate(2, 1, 100), thread.clone()], NOW)), Some(thread.ticket));
    }
}
