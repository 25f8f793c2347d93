//! The repetition of a 2xx to INVITE until its ACK comes (RFC 3261 §13.3.1.4).
//!
//! It is end to end, so the core keeps one per answered call, also over a stream, and sends through the server transaction.

use std::{sync::Arc, time::Instant};

use super::timers::{Retransmission, Timers};

/// A 2xx that waits for its ACK; drop it when the ACK is there.
#[derive(Clone, Debug)]
pub struct AnswerRetransmission {
    response: Arc<[u8]>,
    timers: Timers,
    repeat: Retransmission,
    give_up_at: Instant,
}

/// What is due for a 2xx that waits for its ACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerStep {
    /// Nothing yet.
    Wait,
    /// Send it again.
    Send(Arc<[u8]>),
    /// 64·T1 have passed: the call ends with BYE.
    GiveUp,
}

impl AnswerRetransmission {
    /// Starts with the first sending of `response`.
    pub fn start(now: Instant, response: Arc<[u8]>, timers: Timers) -> Self {
        let repeat = Retransmission::start(now, timers.t1);
        Self { response, timers, repeat, give_up_at: now + timers.transaction_timeout() }
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn deadline(&self) -> Instant {
        self.repeat.at().min(self.give_up_at)
    }

    /// The deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) -> AnswerStep {
        if now >= self.give_up_at {
            AnswerStep::GiveUp
        } else if self.repeat.is_due(now, self.timers.t2) {
            AnswerStep::Send(self.response.clone())
        } else {
            AnswerStep::Wait
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unacknowledged_answer_is_repeated_up_to_every_t2_and_given_up_after_64_t1() {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for simulated time")]
        let start = Instant::now();
        let mut answer = AnswerRetransmission::start(start, b"200".as_slice().into(), Timers::default());
        let mut sent = Vec::new();
        let ended = loop {
            let at = answer.deadline();
            match answer.handle_timeout(at) {
                AnswerStep::Send(_) => sent.push((at - start).as_millis()),
                AnswerStep::GiveUp => break (at - start).as_millis(),
                AnswerStep::Wait => panic!("woken for nothing"),
            }
        };
        assert_eq!(sent, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
        assert_eq!(ended, 32_000);
    }
}
