//! Client transactions: one request of ours and its responses (RFC 3261 §17.1, RFC 6026 §7.2).
//!
//! Pure machines: an input makes a [`ClientStep`], which holds at most one datagram to send. The `INVITE` client acknowledges
//! rejections itself; a 2xx is passed up each time it comes, because its ACK belongs to the dialog.

use std::{sync::Arc, time::Instant};

use super::{
    hop_request,
    timers::{Retransmission, StatusClass, Timers, earlier},
};

#[cfg(test)]
mod tests;

/// What a client transaction wants after an input.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ClientStep {
    /// A message to send on the request's flow: the request again, or the ACK of a rejection.
    pub send: Option<Arc<[u8]>>,
    /// What the core must learn.
    pub report: Option<ClientReport>,
    /// A CANCEL that had to wait for a provisional response (RFC 3261 §9.1) must be sent now.
    pub cancel: bool,
}

/// What a client transaction tells its core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientReport {
    /// The response just handled is for the core.
    Response,
    /// No final response came in time (Timer B or F, a cancelled INVITE that stays unanswered, or the backstop).
    TimedOut,
    /// The transport refused the message.
    Unreachable,
}

/// What became of a wish to cancel an INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// Send the CANCEL now.
    Send,
    /// It is sent when the first provisional response comes.
    Waits,
    /// A CANCEL was sent before.
    AlreadySent,
    /// A final response is here; a CANCEL would do nothing (hang up with BYE instead).
    TooLate,
}

impl ClientStep {
    fn report(report: ClientReport) -> Self {
        Self { report: Some(report), ..Self::default() }
    }

    fn send(message: &Arc<[u8]>) -> Self {
        Self { send: Some(message.clone()), ..Self::default() }
    }
}

/// A response, as far as an INVITE client transaction cares.
#[derive(Clone, Copy, Debug)]
pub enum InviteResponse<'a> {
    /// 1xx.
    Provisional,
    /// 2xx.
    Success,
    /// 3xx to 6xx, with the value of its To header, which its ACK must carry.
    Rejection {
        /// The value of To, tag included.
        to: &'a [u8],
    },
}

/// An INVITE of ours.
#[derive(Debug)]
pub struct InviteClient {
    timers: Timers,
    reliable: bool,
    request: Arc<[u8]>,
    state: InviteClientState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum InviteClientState {
    /// Sent, nothing heard. `retransmit` is Timer A, `give_up_at` Timer B.
    Calling {
        retransmit: Option<Retransmission>,
        give_up_at: Instant,
        cancel_wanted: bool,
    },
    /// A provisional response came. `give_up_at` is the backstop, or 64·T1 after our CANCEL (RFC 3261 §9.1).
    Proceeding {
        give_up_at: Instant,
        cancel_sent: bool,
    },
    /// Rejected; repetitions are acknowledged until Timer D.
    Completed {
        ack: Option<Arc<[u8]>>,
        until: Instant,
    },
    /// Answered with 2xx; further 2xx (repeated, or of other forks) pass until Timer M.
    Accepted {
        until: Instant,
    },
    Terminated,
}

impl InviteClient {
    /// Starts the transaction; the caller sends `request` in this moment.
    pub fn start(now: Instant, request: Arc<[u8]>, reliable: bool, timers: Timers) -> Self {
        let state = InviteClientState::Calling {
            retransmit: (!reliable).then(|| Retransmission::start(now, timers.t1)),
            give_up_at: now + timers.transaction_timeout(),
            cancel_wanted: false,
        };
        Self { timers, reliable, request, state }
    }

    /// The INVITE as sent.
    pub fn request(&self) -> &Arc<[u8]> {
        &self.request
    }

    /// Whether the transaction is over and may be forgotten.
    pub fn is_terminated(&self) -> bool {
        self.state == InviteClientState::Terminated
    }

    /// Whether it is answered and lives on only for repetitions (Timers D and M).
    pub fn lingers(&self) -> bool {
        matches!(self.state, InviteClientState::Completed { .. } | InviteClientState::Accepted { .. })
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            InviteClientState::Calling { retransmit, give_up_at, .. } => earlier(retransmit.map(|r| r.at()), Some(*give_up_at)),
            InviteClientState::Proceeding { give_up_at, .. } => Some(*give_up_at),
            InviteClientState::Completed { until, .. } | InviteClientState::Accepted { until } => Some(*until),
            InviteClientState::Terminated => None,
        }
    }

    /// A response with our branch came in.
    pub fn handle_response(&mut self, now: Instant, response: InviteResponse<'_>) -> ClientStep {
        use InviteClientState::{Accepted, Calling, Completed, Proceeding, Terminated};
        let to_core = ClientStep::report(ClientReport::Response);
        match (&mut self.state, response) {
            (Calling { cancel_wanted, .. }, InviteResponse::Provisional) => {
                let cancel = *cancel_wanted;
                let patience = if cancel { self.timers.transaction_timeout() } else { self.timers.invite_backstop };
                self.state = Proceeding { give_up_at: now + patience, cancel_sent: cancel };
                ClientStep { cancel, ..to_core }
            }
            (Proceeding { .. }, InviteResponse::Provisional) => to_core,
            (Calling { .. } | Proceeding { .. }, InviteResponse::Success) => {
                self.state = Accepted { until: now + self.timers.transaction_timeout() };
                to_core
            }
            (Calling { .. } | Proceeding { .. }, InviteResponse::Rejection { to }) => {
                let ack = hop_request::rejection_ack(&self.request, to);
                let send = ack.clone();
                let linger = self.timers.rejected_invite_linger(self.reliable);
                self.state = if linger.is_zero() { Terminated } else { Completed { ack, until: now + linger } };
                ClientStep { send, ..to_core }
            }
            (Completed { ack, .. }, InviteResponse::Rejection { .. }) => ClientStep { send: ack.clone(), ..ClientStep::default() },
            (Completed { .. }, InviteResponse::Provisional | InviteResponse::Success) => ClientStep::default(),
            (Accepted { .. }, InviteResponse::Success) => to_core,
            (Accepted { .. }, InviteResponse::Provisional | InviteResponse::Rejection { .. }) => ClientStep::default(),
            (Terminated, InviteResponse::Provisional | InviteResponse::Success | InviteResponse::Rejection { .. }) => ClientStep::default(),
        }
    }

    /// The core wants the call to stop. A CANCEL may only follow a provisional response (RFC 3261 §9.1).
    pub fn cancel(&mut self, now: Instant) -> CancelOutcome {
        use InviteClientState::{Accepted, Calling, Completed, Proceeding, Terminated};
        match &mut self.state {
            Calling { cancel_wanted, .. } => {
                *cancel_wanted = true;
                CancelOutcome::Waits
            }
            Proceeding { cancel_sent: true, .. } => CancelOutcome::AlreadySent,
            Proceeding { give_up_at, cancel_sent } => {
                *cancel_sent = true;
                *give_up_at = now + self.timers.transaction_timeout();
                CancelOutcome::Send
            }
            Completed { .. } | Accepted { .. } | Terminated => CancelOutcome::TooLate,
        }
    }

    /// A deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) -> ClientStep {
        use InviteClientState::{Accepted, Calling, Completed, Proceeding, Terminated};
        match &mut self.state {
            Calling { give_up_at, .. } | Proceeding { give_up_at, .. } if now >= *give_up_at => {
                self.state = Terminated;
                ClientStep::report(ClientReport::TimedOut)
            }
            Calling { retransmit: Some(retransmit), .. } => {
                let again = retransmit.is_due(now, self.timers.transaction_timeout());
                if again { ClientStep::send(&self.request) } else { ClientStep::default() }
            }
            Completed { until, .. } | Accepted { until } if now >= *until => {
                self.state = Terminated;
                ClientStep::default()
            }
            Calling { retransmit: None, .. } | Proceeding { .. } | Completed { .. } | Accepted { .. } | Terminated => ClientStep::default(),
        }
    }

    /// The transport refused something that this transaction sent (RFC 3261 §17.1.4).
    pub fn handle_transport_error(&mut self) -> ClientStep {
        use InviteClientState::{Accepted, Calling, Completed, Proceeding, Terminated};
        match self.state {
            Calling { .. } | Proceeding { .. } => {
                self.state = Terminated;
                ClientStep::report(ClientReport::Unreachable)
            }
            // The core has its final answer; only our ACK was lost, and the next repetition brings another chance.
            Completed { .. } | Accepted { .. } | Terminated => ClientStep::default(),
        }
    }
}

/// A request of ours other than INVITE and ACK.
#[derive(Debug)]
pub struct NonInviteClient {
    timers: Timers,
    reliable: bool,
    request: Arc<[u8]>,
    state: NonInviteClientState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum NonInviteClientState {
    /// Sent, nothing heard. `retransmit` is Timer E, `give_up_at` Timer F.
    Trying {
        retransmit: Option<Retransmission>,
        give_up_at: Instant,
    },
    /// A provisional response came; the request is repeated every T2.
    Proceeding {
        retransmit: Option<Retransmission>,
        give_up_at: Instant,
    },
    /// Answered; repetitions are absorbed until Timer K.
    Completed {
        until: Instant,
    },
    Terminated,
}

impl NonInviteClient {
    /// Starts the transaction; the caller sends `request` in this moment.
    pub fn start(now: Instant, request: Arc<[u8]>, reliable: bool, timers: Timers) -> Self {
        let state = NonInviteClientState::Trying {
            retransmit: (!reliable).then(|| Retransmission::start(now, timers.t1)),
            give_up_at: now + timers.transaction_timeout(),
        };
        Self { timers, reliable, request, state }
    }

    /// Whether the transaction is over and may be forgotten.
    pub fn is_terminated(&self) -> bool {
        self.state == NonInviteClientState::Terminated
    }

    /// Whether it is answered and lives on only to absorb repetitions (Timer K).
    pub fn lingers(&self) -> bool {
        matches!(self.state, NonInviteClientState::Completed { .. })
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            NonInviteClientState::Trying { retransmit, give_up_at } | NonInviteClientState::Proceeding { retransmit, give_up_at } => {
                earlier(retransmit.map(|r| r.at()), Some(*give_up_at))
            }
            NonInviteClientState::Completed { until } => Some(*until),
            NonInviteClientState::Terminated => None,
        }
    }

    /// A response with our branch and method came in.
    pub fn handle_response(&mut self, now: Instant, class: StatusClass) -> ClientStep {
        use NonInviteClientState::{Completed, Proceeding, Terminated, Trying};
        let to_core = ClientStep::report(ClientReport::Response);
        match (&self.state, class) {
            (Trying { retransmit, give_up_at }, StatusClass::Provisional) => {
                self.state = Proceeding { retransmit: *retransmit, give_up_at: *give_up_at };
                to_core
            }
            (Proceeding { .. }, StatusClass::Provisional) => to_core,
            (Trying { .. } | Proceeding { .. }, StatusClass::Success | StatusClass::Rejection) => {
                let linger = self.timers.network_linger(self.reliable);
                self.state = if linger.is_zero() { Terminated } else { Completed { until: now + linger } };
                to_core
            }
            (Completed { .. } | Terminated, StatusClass::Provisional | StatusClass::Success | StatusClass::Rejection) => {
                ClientStep::default()
            }
        }
    }

    /// A deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) -> ClientStep {
        use NonInviteClientState::{Completed, Proceeding, Terminated, Trying};
        let t2 = self.timers.t2;
        match &mut self.state {
            Trying { give_up_at, .. } | Proceeding { give_up_at, .. } if now >= *give_up_at => {
                self.state = Terminated;
                ClientStep::report(ClientReport::TimedOut)
            }
            Trying { retransmit: Some(retransmit), .. } => {
                if retransmit.is_due(now, t2) {
                    ClientStep::send(&self.request)
                } else {
                    ClientStep::default()
                }
            }
            Proceeding { retransmit: Some(retransmit), .. } => {
                if retransmit.is_due_every(now, t2) {
                    ClientStep::send(&self.request)
                } else {
                    ClientStep::default()
                }
            }
            Completed { until } if now >= *until => {
                self.state = Terminated;
                ClientStep::default()
            }
            Trying { retransmit: None, .. } | Proceeding { retransmit: None, .. } | Completed { .. } | Terminated => ClientStep::default(),
        }
    }

    /// The transport refused the request (RFC 3261 §17.1.4).
    pub fn handle_transport_error(&mut self) -> ClientStep {
        use NonInviteClientState::{Completed, Proceeding, Terminated, Trying};
        match self.state {
            Trying { .. } | Proceeding { .. } => {
                self.state = Terminated;
                ClientStep::report(ClientReport::Unreachable)
            }
            Completed { .. } | Terminated => ClientStep::default(),
        }
    }
}
