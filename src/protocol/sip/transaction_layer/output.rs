//! What the transaction layer says to its core: ids, verdicts, outputs, limits, counters.

use std::sync::Arc;

use super::{super::flow::Flow, ServerMachine, TransactionLayer};

/// One server transaction; never used again for another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServerId(pub(super) u64);

/// One client transaction; never used again for another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(pub(super) u64);

/// A transaction of either side.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TransactionId {
    /// A request of a peer.
    Server(ServerId),
    /// A request of ours.
    Client(ClientId),
}

/// What a request that came in turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestFate {
    /// No transaction has seen it. `merged`: it is the same request over another path (RFC 3261 §8.2.2.2: answer 482).
    New {
        /// Whether a transaction for the same From tag, Call-ID and CSeq lives under another branch.
        merged: bool,
    },
    /// A repetition; it was answered with what was sent before, if anything was.
    Repeated,
    /// A CANCEL seen for the first time: open it, answer 200 where `invite` is known and else 481. Where `unanswered`, answer the
    /// INVITE with 487; else the CANCEL comes too late and changes nothing (RFC 3261 §9.2).
    Cancel {
        /// The INVITE to cancel.
        invite: Option<ServerId>,
        /// Whether that INVITE still waits for its final response.
        unanswered: bool,
    },
    /// The ACK of a 2xx: for the dialog that its tags name.
    Ack {
        /// The INVITE, where the ACK carries its branch.
        invite: Option<ServerId>,
    },
    /// The ACK of a rejection, or a repetition of it: done with.
    AckAbsorbed,
}

/// What a response that came in turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResponseFate {
    /// It answers this request of ours and is for the core.
    Deliver(ClientId),
    /// A repetition, or the answer to a CANCEL: done with.
    Absorbed,
    /// It answers nothing that we asked: dropped and counted.
    Stray,
}

/// What the layer wants done, or the core to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send this datagram; report a refusal with [`super::TransactionLayer::transport_error`] if `by` names a transaction.
    Send {
        /// Socket and address.
        flow: Flow,
        /// The message.
        bytes: Arc<[u8]>,
        /// Whose message it is.
        by: Option<TransactionId>,
    },
    /// Nobody answered (Timers B and F; RFC 3261 §8.1.3.1: as if 408 had come). In a dialog it ends the call.
    TimedOut(ClientId),
    /// The transport refused a message (as if 503 had come, for a request).
    Unreachable(TransactionId),
    /// A rejected INVITE was never acknowledged (Timer H); nothing is to be done but to know it.
    Unacknowledged(ServerId),
    /// The core left a request without a final response until its sender gave up: a fault of ours.
    Unanswered(ServerId),
    /// The transaction is forgotten; nothing more will be said about it. Never said of a CANCEL of ours.
    Ended(TransactionId),
}

/// How many transactions may live at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests of peers; beyond it, unless an answered one can give way, the core answers 503 without state.
    pub max_servers: usize,
    /// Requests of ours, CANCELs aside (at most one for each INVITE).
    pub max_clients: usize,
}

impl Default for Limits {
    /// Room for 1,000 calls per second, each with an INVITE and a BYE on either side that linger for 32 s, at about 1 kB each; where
    /// more come, the oldest answered ones linger for less.
    fn default() -> Self {
        Self { max_servers: 65_536, max_clients: 65_536 }
    }
}

/// Why no server transaction was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Too many live.
    #[error("too many requests in progress; answer 503 without state")]
    Full,
    /// It is an ACK, or a transaction with the same key lives.
    #[error("the request starts no transaction; ask receive_request first")]
    NotNew,
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Too many live.
    #[error("too many requests of ours in progress; try again later")]
    Full,
    /// It is an ACK.
    #[error("an ACK has no transaction; use send_stateless")]
    IsAck,
    /// A living transaction uses the same branch and method.
    #[error("the branch is in use; make a new one for every request")]
    BranchInUse,
}

/// Totals since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Server transactions refused for lack of room.
    pub refused_servers: u64,
    /// Client transactions refused for lack of room.
    pub refused_clients: u64,
    /// Answered transactions that gave way to new ones before their time.
    pub evicted: u64,
    /// Requests that came again.
    pub repeated_requests: u64,
    /// Requests that came over a second path.
    pub merged_requests: u64,
    /// ACKs of rejections, and repetitions of them.
    pub absorbed_acks: u64,
    /// Responses that came again after a final one.
    pub absorbed_responses: u64,
    /// Responses to nothing that we asked.
    pub stray_responses: u64,
    /// Messages that the transport refused.
    pub transport_errors: u64,
}

impl TransactionLayer {
    /// Whether a transaction is not over yet.
    pub fn lives(&self, id: TransactionId) -> bool {
        match id {
            TransactionId::Server(id) => self.servers.contains_key(&id),
            TransactionId::Client(id) => self.clients.contains_key(&id),
        }
    }

    /// The INVITEs of peers that wait for their final response.
    pub fn open_invites(&self) -> impl Iterator<Item = ServerId> + '_ {
        let open = |machine: &ServerMachine| matches!(machine, ServerMachine::Invite { machine, .. } if machine.is_cancellable());
        self.servers.iter().filter(move |(_, server)| open(&server.machine)).map(|(id, _)| *id)
    }
}
