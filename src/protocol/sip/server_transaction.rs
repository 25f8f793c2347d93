//! Server transactions: one request of a peer and our responses (RFC 3261 §17.2, RFC 6026 §7.1).
//!
//! Pure machines: an input makes a [`ServerStep`], which holds at most one datagram to send. Repetitions of a request get the
//! same bytes again. A 2xx to an INVITE is repeated by the core, which sends it through [`InviteServer::respond`].

use std::{sync::Arc, time::Instant};

use super::timers::{Retransmission, StatusClass, Timers, earlier};

#[cfg(test)]
mod tests;

/// What a server transaction wants after an input.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ServerStep {
    /// A response to send on the request's flow.
    pub send: Option<Arc<[u8]>>,
    /// What the core must learn.
    pub report: Option<ServerReport>,
}

/// What a server transaction tells its core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerReport {
    /// The ACK just handled acknowledges a 2xx and is for the core.
    Ack,
    /// Our rejection was never acknowledged (Timer H).
    Unacknowledged,
    /// The core never gave a final response; the transaction is gone.
    Unanswered,
    /// The transport refused the response.
    Unreachable,
}

/// Why a response cannot be sent any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RespondError {
    /// A final response was sent before.
    #[error("the request has its final response; send nothing more on this transaction")]
    AlreadyAnswered,
    /// The transaction is over or never was.
    #[error("the transaction is over; the peer has given up on it")]
    Gone,
}

impl ServerStep {
    fn report(report: ServerReport) -> Self {
        Self { report: Some(report), send: None }
    }

    fn send(message: &Arc<[u8]>) -> Self {
        Self { send: Some(message.clone()), report: None }
    }
}

/// An INVITE of a peer.
#[derive(Debug)]
pub struct InviteServer {
    timers: Timers,
    reliable: bool,
    state: InviteServerState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum InviteServerState {
    /// No final response yet; a repetition gets the last provisional one.
    Proceeding {
        last: Option<Arc<[u8]>>,
        give_up_at: Instant,
    },
    /// Rejected. `retransmit` is Timer G, `give_up_at` Timer H.
    Completed {
        response: Arc<[u8]>,
        retransmit: Option<Retransmission>,
        give_up_at: Instant,
    },
    /// Answered with 2xx; repetitions of the INVITE are absorbed until Timer L.
    Accepted {
        until: Instant,
    },
    /// The rejection was acknowledged; late ACKs are absorbed until Timer I.
    Confirmed {
        until: Instant,
    },
    Terminated,
}

impl InviteServer {
    /// Starts the transaction for an INVITE that has just arrived.
    pub fn start(now: Instant, reliable: bool, timers: Timers) -> Self {
        Self { timers, reliable, state: InviteServerState::Proceeding { last: None, give_up_at: now + timers.invite_backstop } }
    }

    /// Whether the transaction is over and may be forgotten.
    pub fn is_terminated(&self) -> bool {
        self.state == InviteServerState::Terminated
    }

    /// Whether a CANCEL still has an effect, that is no final response was sent.
    pub fn is_cancellable(&self) -> bool {
        matches!(self.state, InviteServerState::Proceeding { .. })
    }

    /// Whether all is said and it lives on only to absorb repetitions (Timers I and L).
    pub fn lingers(&self) -> bool {
        matches!(self.state, InviteServerState::Accepted { .. } | InviteServerState::Confirmed { .. })
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            InviteServerState::Proceeding { give_up_at, .. } => Some(*give_up_at),
            InviteServerState::Completed { retransmit, give_up_at, .. } => earlier(retransmit.map(|r| r.at()), Some(*give_up_at)),
            InviteServerState::Accepted { until } | InviteServerState::Confirmed { until } => Some(*until),
            InviteServerState::Terminated => None,
        }
    }

    /// The core answers; a 2xx may be given again and again until Timer L.
    pub fn respond(&mut self, now: Instant, class: StatusClass, response: Arc<[u8]>) -> Result<ServerStep, RespondError> {
        use InviteServerState::{Accepted, Completed, Confirmed, Proceeding, Terminated};
        match (&mut self.state, class) {
            (Proceeding { last, .. }, StatusClass::Provisional) => {
                *last = Some(response.clone());
                Ok(ServerStep::send(&response))
            }
            (Proceeding { .. }, StatusClass::Success) => {
                self.state = Accepted { until: now + self.timers.transaction_timeout() };
                Ok(ServerStep::send(&response))
            }
            (Proceeding { .. }, StatusClass::Rejection) => {
                let step = ServerStep::send(&response);
                let retransmit = (!self.reliable).then(|| Retransmission::start(now, self.timers.t1));
                self.state = Completed { response, retransmit, give_up_at: now + self.timers.transaction_timeout() };
                Ok(step)
            }
            (Accepted { .. }, StatusClass::Success) => Ok(ServerStep::send(&response)),
            (Accepted { .. }, StatusClass::Provisional | StatusClass::Rejection) => Err(RespondError::AlreadyAnswered),
            (Completed { .. } | Confirmed { .. }, StatusClass::Provisional | StatusClass::Success | StatusClass::Rejection) => {
                Err(RespondError::AlreadyAnswered)
            }
            (Terminated, StatusClass::Provisional | StatusClass::Success | StatusClass::Rejection) => Err(RespondError::Gone),
        }
    }

    /// The INVITE came again.
    pub fn handle_repetition(&mut self) -> ServerStep {
        use InviteServerState::{Accepted, Completed, Confirmed, Proceeding, Terminated};
        match &self.state {
            Proceeding { last, .. } => ServerStep { send: last.clone(), report: None },
            Completed { response, .. } => ServerStep::send(response),
            Accepted { .. } | Confirmed { .. } | Terminated => ServerStep::default(),
        }
    }

    /// An ACK with the INVITE's branch came.
    pub fn handle_ack(&mut self, now: Instant) -> ServerStep {
        use InviteServerState::{Accepted, Completed, Confirmed, Proceeding, Terminated};
        match &self.state {
            Completed { .. } => {
                let linger = self.timers.network_linger(self.reliable);
                self.state = if linger.is_zero() { Terminated } else { Confirmed { until: now + linger } };
                ServerStep::default()
            }
            Accepted { .. } => ServerStep::report(ServerReport::Ack),
            // Before a final response there is nothing to acknowledge.
            Proceeding { .. } | Confirmed { .. } | Terminated => ServerStep::default(),
        }
    }

    /// A deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) -> ServerStep {
        use InviteServerState::{Accepted, Completed, Confirmed, Proceeding, Terminated};
        match &mut self.state {
            Proceeding { give_up_at, .. } if now >= *give_up_at => {
                self.state = Terminated;
                ServerStep::report(ServerReport::Unanswered)
            }
            Completed { give_up_at, .. } if now >= *give_up_at => {
                self.state = Terminated;
                ServerStep::report(ServerReport::Unacknowledged)
            }
            Completed { retransmit: Some(retransmit), response, .. } => {
                if retransmit.is_due(now, self.timers.t2) {
                    ServerStep::send(response)
                } else {
                    ServerStep::default()
                }
            }
            Accepted { until } | Confirmed { until } if now >= *until => {
                self.state = Terminated;
                ServerStep::default()
            }
            Proceeding { .. } | Completed { retransmit: None, .. } | Accepted { .. } | Confirmed { .. } | Terminated => {
                ServerStep::default()
            }
        }
    }

    /// The transport refused a response. The state stays, so that repetitions are absorbed and not taken for new calls
    /// (RFC 6026 §8.8).
    pub fn handle_transport_error(&mut self) -> ServerStep {
        use InviteServerState::{Accepted, Completed, Confirmed, Proceeding, Terminated};
        match &self.state {
            Proceeding { .. } | Completed { .. } | Accepted { .. } => ServerStep::report(ServerReport::Unreachable),
            Confirmed { .. } | Terminated => ServerStep::default(),
        }
    }
}

/// A request of a peer other than INVITE and ACK.
#[derive(Debug)]
pub struct NonInviteServer {
    timers: Timers,
    reliable: bool,
    state: NonInviteServerState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum NonInviteServerState {
    /// Nothing answered; repetitions are dropped. At `give_up_at` the peer has given up (its Timer F).
    Trying {
        give_up_at: Instant,
    },
    /// A provisional response was sent.
    Proceeding {
        last: Arc<[u8]>,
        give_up_at: Instant,
    },
    /// Answered; repetitions get the same response until Timer J.
    Completed {
        response: Arc<[u8]>,
        until: Instant,
    },
    Terminated,
}

impl NonInviteServer {
    /// Starts the transaction for a request that has just arrived.
    pub fn start(now: Instant, reliable: bool, timers: Timers) -> Self {
        Self { timers, reliable, state: NonInviteServerState::Trying { give_up_at: now + timers.transaction_timeout() } }
    }

    /// Whether the transaction is over and may be forgotten.
    pub fn is_terminated(&self) -> bool {
        self.state == NonInviteServerState::Terminated
    }

    /// Whether it is answered and lives on only to answer repetitions (Timer J).
    pub fn lingers(&self) -> bool {
        matches!(self.state, NonInviteServerState::Completed { .. })
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            NonInviteServerState::Trying { give_up_at } | NonInviteServerState::Proceeding { give_up_at, .. } => Some(*give_up_at),
            NonInviteServerState::Completed { until, .. } => Some(*until),
            NonInviteServerState::Terminated => None,
        }
    }

    /// The core answers.
    pub fn respond(&mut self, now: Instant, class: StatusClass, response: Arc<[u8]>) -> Result<ServerStep, RespondError> {
        use NonInviteServerState::{Completed, Proceeding, Terminated, Trying};
        match (&self.state, class) {
            (Trying { give_up_at } | Proceeding { give_up_at, .. }, StatusClass::Provisional) => {
                self.state = Proceeding { last: response.clone(), give_up_at: *give_up_at };
                Ok(ServerStep::send(&response))
            }
            (Trying { .. } | Proceeding { .. }, StatusClass::Success | StatusClass::Rejection) => {
                let step = ServerStep::send(&response);
                let linger = self.timers.answered_request_linger(self.reliable);
                self.state = if linger.is_zero() { Terminated } else { Completed { response, until: now + linger } };
                Ok(step)
            }
            (Completed { .. }, StatusClass::Provisional | StatusClass::Success | StatusClass::Rejection) => {
                Err(RespondError::AlreadyAnswered)
            }
            (Terminated, StatusClass::Provisional | StatusClass::Success | StatusClass::Rejection) => Err(RespondError::Gone),
        }
    }

    /// The request came again.
    pub fn handle_repetition(&mut self) -> ServerStep {
        use NonInviteServerState::{Completed, Proceeding, Terminated, Trying};
        match &self.state {
            Proceeding { last: response, .. } | Completed { response, .. } => ServerStep::send(response),
            Trying { .. } | Terminated => ServerStep::default(),
        }
    }

    /// A deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) -> ServerStep {
        use NonInviteServerState::{Completed, Proceeding, Terminated, Trying};
        match &self.state {
            Trying { give_up_at } | Proceeding { give_up_at, .. } if now >= *give_up_at => {
                self.state = Terminated;
                ServerStep::report(ServerReport::Unanswered)
            }
            Completed { until, .. } if now >= *until => {
                self.state = Terminated;
                ServerStep::default()
            }
            Trying { .. } | Proceeding { .. } | Completed { .. } | Terminated => ServerStep::default(),
        }
    }

    /// The transport refused a response (RFC 3261 §17.2.4). As with INVITE the state stays and absorbs repetitions.
    pub fn handle_transport_error(&mut self) -> ServerStep {
        use NonInviteServerState::{Completed, Proceeding, Terminated, Trying};
        match &self.state {
            Proceeding { .. } | Completed { .. } => ServerStep::report(ServerReport::Unreachable),
            Trying { .. } | Terminated => ServerStep::default(),
        }
    }
}
