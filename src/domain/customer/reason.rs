//! Why somebody probably calls: candidates from the record, scored and ranked.
//!
//! | evidence | score |
//! | --- | --- |
//! | call cut off ≤ 10 min ago | 100 |
//! | inbound message unanswered ≤ 72 h | 80 − 0.5 per hour |
//! | promise overdue | 75 |
//! | ticket waits on us · on them, we wrote ≤ 7 d | 60 · 50 |
//! | last interaction | 40 · e^(−hours/48) |
//! | the queue fits · ≥ 2 contacts on it in 7 d | +20 · +15 |

use super::{
    brief::ProbableReason,
    ticket::TicketState,
    words::{DAY_MS, HOUR_MS, MINUTE_MS, ago, channel_noun, span},
};
use crate::{
    ids::{Channel, InteractionId, TicketId},
    time::UnixMs,
};

/// A reason is shown from this score on.
const SHOWN_FROM: u16 = 50;
/// One line when the best is this far ahead, else two.
const CLEAR_LEAD: u16 = 15;
/// Longest text of a reason, characters.
const TEXT_MAX: usize = 80;

/// A piece of the record that may be why they call.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// What kind of evidence it is.
    pub kind: SignalKind,
    /// What it is about.
    pub about: String,
    /// The interaction that it came from.
    pub interaction: Option<InteractionId>,
    /// The ticket that it belongs to: signals of one ticket are one reason.
    pub ticket: Option<TicketId>,
    /// The queue that handles it.
    pub queue: Option<String>,
    /// Contacts on it in the last 7 days.
    pub contacts_7_days: u32,
}

/// Evidence with its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SignalKind {
    /// A call ended by a fault.
    CutOff {
        /// When.
        at: UnixMs,
    },
    /// A message of theirs that nobody has answered.
    Unanswered {
        /// Its channel.
        channel: Channel,
        /// When it came.
        at: UnixMs,
    },
    /// A promise of ours.
    Promise {
        /// When it was due.
        due: UnixMs,
    },
    /// A ticket that is not solved.
    Ticket {
        /// Whose turn it is.
        state: TicketState,
        /// When we last wrote.
        we_wrote_at: Option<UnixMs>,
        /// Last contact on it.
        touched_at: UnixMs,
    },
    /// The last interaction, whatever became of it.
    Last {
        /// Its channel.
        channel: Channel,
        /// When.
        at: UnixMs,
    },
}

impl Signal {
    /// The score by the table above, 0 when the signal is too old to count.
    pub fn score(&self, now: UnixMs, queue: Option<&str>) -> u16 {
        let age = |at: UnixMs| now.0.saturating_sub(at.0).max(0);
        let base = match self.kind {
            SignalKind::CutOff { at } if age(at) <= 10 * MINUTE_MS => 100.0,
            SignalKind::Unanswered { at, .. } if age(at) <= 72 * HOUR_MS => 80.0 - 0.5 * hours(age(at)),
            SignalKind::Promise { due } if due < now => 75.0,
            SignalKind::Ticket { state: TicketState::OpenUs, .. } => 60.0,
            SignalKind::Ticket { state: TicketState::OpenCustomer, we_wrote_at: Some(at), .. } if age(at) <= 7 * DAY_MS => 50.0,
            SignalKind::Last { at, .. } => 40.0 * (-hours(age(at)) / 48.0).exp(),
            SignalKind::CutOff { .. }
            | SignalKind::Unanswered { .. }
            | SignalKind::Promise { .. }
            | SignalKind::Ticket { state: TicketState::OpenCustomer | TicketState::Solved, .. } => return 0,
        };
        let fits = queue.is_some() && self.queue.as_deref() == queue;
        let bonus = if fits { 20.0 } else { 0.0 } + if self.contacts_7_days >= 2 { 15.0 } else { 0.0 };
        // Scores stay within 0…135, far inside the type.
        (base + bonus).round() as u16
    }

    fn because(&self, now: UnixMs) -> String {
        match self.kind {
            SignalKind::CutOff { at } => format!("call cut off {}", ago(at, now)),
            SignalKind::Unanswered { channel, at } => format!("{} {}, not answered", channel_noun(channel), ago(at, now)),
            SignalKind::Promise { due } => format!("our promise is {} overdue", span(due, now)),
            SignalKind::Ticket { state: TicketState::OpenUs, touched_at, .. } => {
                format!("open ticket waits on us, last contact {}", ago(touched_at, now))
            }
            SignalKind::Ticket { we_wrote_at, touched_at, .. } => {
                format!("open ticket, we wrote {}", ago(we_wrote_at.unwrap_or(touched_at), now))
            }
            SignalKind::Last { channel, at } => format!("last {} {}", channel_noun(channel), ago(at, now)),
        }
    }
}

fn hours(ms: i64) -> f64 {
    ms as f64 / HOUR_MS as f64
}

/// The probable reasons: none when nothing reaches 50, one when it is 15 ahead, two when closer.
///
/// Signals of one ticket (or, without one, of one interaction) are one reason with the strongest evidence.
pub fn rank(signals: &[Signal], now: UnixMs, queue: Option<&str>) -> Vec<ProbableReason> {
    let mut scored: Vec<(u16, &Signal)> =
        signals.iter().map(|signal| (signal.score(now, queue), signal)).filter(|(score, _)| *score > 0).collect();
    // A stable sort: where scores are equal, the order of the caller's list decides.
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    let mut distinct: Vec<(u16, &Signal)> = Vec::new();
    for (score, signal) in scored {
        if !distinct.iter().any(|(_, other)| same_matter(other, signal)) {
            distinct.push((score, signal));
        }
    }
    let Some(&(best, _)) = distinct.first() else { return Vec::new() };
    if best < SHOWN_FROM {
        return Vec::new();
    }
    let second_close = distinct.get(1).is_some_and(|(score, _)| best - score < CLEAR_LEAD);
    let shown = if second_close { 2 } else { 1 };
    distinct.into_iter().take(shown).map(|(score, signal)| signal.reason(score, now)).collect()
}

impl Signal {
    fn reason(&self, score: u16, now: UnixMs) -> ProbableReason {
        ProbableReason {
            text: self.about.chars().take(TEXT_MAX).collect(),
            because: self.because(now),
            score,
            interaction: self.interaction,
            ticket: self.ticket,
        }
    }
}

fn same_matter(a: &Signal, b: &Signal) -> bool {
    (a.ticket.is_some() && a.ticket == b.ticket) || (a.interaction.is_some() && a.interaction == b.interaction)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use SignalKind::{CutOff, Last, Promise, Ticket, Unanswered};

    const NOW: UnixMs = UnixMs(1_790_000_000_000);

    fn past(ms: i64) -> UnixMs {
        NOW.plus_ms(-ms)
    }

    fn signal(kind: SignalKind, matter: u8) -> Signal {
        Signal {
            kind,
            about: format!("matter {matter}"),
            interaction: Some(InteractionId::new(NOW, [matter; 10])),
            ticket: None,
            queue: None,
            contacts_7_days: 0,
        }
    }

    fn ticket(state: TicketState, we_wrote: Option<i64>) -> SignalKind {
        Ticket { state, we_wrote_at: we_wrote.map(past), touched_at: past(DAY_MS) }
    }

    #[test]
    fn every_rule_of_the_table_has_its_score() {
        use TicketState::{OpenCustomer, OpenUs, Solved};
        let table = [
            (CutOff { at: past(10 * MINUTE_MS) }, 100),
            (CutOff { at: past(10 * MINUTE_MS + 1) }, 0),
            (Unanswered { channel: Channel::Email, at: past(0) }, 80),
            (Unanswered { channel: Channel::Email, at: past(2 * HOUR_MS) }, 79),
            (Unanswered { channel: Channel::Chat, at: past(72 * HOUR_MS) }, 44),
            (Unanswered { channel: Channel::Chat, at: past(72 * HOUR_MS + 1) }, 0),
            (Promise { due: past(1) }, 75),
            (Promise { due: NOW }, 0),
            (ticket(OpenUs, None), 60),
            (ticket(OpenCustomer, Some(7 * DAY_MS)), 50),
            (ticket(OpenCustomer, Some(7 * DAY_MS + 1)), 0),
            (ticket(OpenCustomer, None), 0),
            (ticket(Solved, Some(0)), 0),
            (Last { channel: Channel::Phone, at: NOW }, 40),
            (Last { channel: Channel::Phone, at: past(48 * HOUR_MS) }, 15),
        ];
        for (kind, score) in table {
            assert_eq!(signal(kind, 1).score(NOW, None), score, "{kind:?}");
        }
    }

    #[test]
    fn the_queue_and_repeated_contacts_add_to_it() {
        let mut it = signal(ticket(TicketState::OpenUs, None), 1);
        it.queue = Some("billing".to_owned());
        assert_eq!(it.score(NOW, Some("support")), 60);
        assert_eq!(it.score(NOW, Some("billing")), 80);
        it.contacts_7_days = 2;
        assert_eq!(it.score(NOW, Some("billing")), 95);
        it.contacts_7_days = 1;
        assert_eq!(it.score(NOW, None), 60);
    }

    #[test]
    fn one_line_when_it_is_fifteen_ahead_and_two_when_closer() {
        let mail = signal(Unanswered { channel: Channel::Email, at: past(2 * HOUR_MS) }, 1);
        let open = signal(ticket(TicketState::OpenUs, None), 2);
        let promise = signal(Promise { due: past(DAY_MS) }, 3);
        let one = rank(&[open, mail.clone()], NOW, None);
        assert_eq!(one.len(), 1);
        assert_eq!((one[0].text.as_str(), one[0].because.as_str(), one[0].score), ("matter 1", "e-mail 2 h ago, not answered", 79));
        let two = rank(&[promise, mail], NOW, None);
        assert_eq!(two.iter().map(|r| r.score).collect::<Vec<_>>(), [79, 75]);
    }

    #[test]
    fn nothing_likely_is_no_reason() {
        assert_eq!(rank(&[], NOW, None), []);
        assert_eq!(rank(&[signal(Last { channel: Channel::Phone, at: NOW }, 1)], NOW, None), []);
    }

    #[test]
    fn a_mail_and_its_own_ticket_are_one_reason() {
        let matter = Some(TicketId::new(NOW, [9; 10]));
        let mail = Signal { ticket: matter, ..signal(Unanswered { channel: Channel::Email, at: past(20 * HOUR_MS) }, 1) };
        let open = Signal { ticket: matter, ..signal(ticket(TicketState::OpenUs, None), 2) };
        let ranked = rank(&[open, mail], NOW, None);
        assert_eq!(ranked.len(), 1);
        assert_eq!(ranked[0].score, 70);
    }

    proptest! {
        #[test]
        fn any_times_give_at_most_two_reasons_in_order(times in proptest::collection::vec((0u8..5, any::<i64>(), any::<i64>()), 0..12), now in any::<i64>()) {
            let signals: Vec<Signal> = times.iter().enumerate().map(|(place, &(kind, a, b))| {
                let (a, b) = (UnixMs(a), UnixMs(b));
                let kind = match kind {
                    0 => CutOff { at: a },
                    1 => Unanswered { channel: Channel::Sms, at: a },
                    2 => Promise { due: a },
                    3 => Ticket { state: TicketState::OpenCustomer, we_wrote_at: Some(a), touched_at: b },
                    _ => Last { channel: Channel::Social, at: a },
                };
                signal(kind, u8::try_from(place).unwrap_or(0))
            }).collect();
            let ranked = rank(&signals, UnixMs(now), Some("support"));
            prop_assert!(ranked.len() <= 2);
            prop_assert!(ranked.windows(2).all(|pair| pair[0].score >= pair[1].score));
            prop_assert!(ranked.iter().all(|reason| reason.score <= 135));
        }
    }
}
