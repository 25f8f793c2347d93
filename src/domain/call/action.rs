//! What a call wants done: values that the switch applies in order.

use std::time::Instant;

use super::counters::Counter;
use crate::{
    domain::{fact::Fact, live::OfferGone, media::plan::MediaPlan},
    ids::{AgentId, LegId, OfferId, PhoneNumber},
    protocol::sip::{field::Method, flow::Flow, transaction_layer::ServerId},
    time::Now,
};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Answer a request of a peer; a repeated 2xx to an INVITE is the same again.
    Respond {
        /// The request.
        to: ServerId,
        /// The response's status.
        status: u16,
        /// The whole response.
        bytes: Vec<u8>,
    },
    /// Send a request of ours.
    Request {
        /// Whose dialog it is in.
        leg: LegId,
        /// What for: says who gets the response.
        purpose: Purpose,
        /// Its method.
        method: Method,
        /// Its branch.
        branch: String,
        /// Where to.
        flow: Flow,
        /// The whole request.
        bytes: Vec<u8>,
        /// The same request as a datagram, where it goes over a connection for its size alone (RFC 3261 §18.1.1).
        datagram: Option<(Flow, Vec<u8>)>,
    },
    /// Cancel an INVITE of the leg, with this Reason value (RFC 3326).
    Cancel {
        /// The leg.
        leg: LegId,
        /// Which of its INVITEs.
        branch: u8,
        /// The reason.
        reason: &'static str,
    },
    /// Send something that no transaction covers: the ACK of a 2xx.
    Send {
        /// Where to.
        flow: Flow,
        /// The message.
        bytes: Vec<u8>,
        /// The flow of datagrams that it would have taken, were it not too large for one (RFC 3261 §18.1.1).
        beside: Option<Flow>,
    },
    /// The dialog with this Call-ID and local tag belongs to this leg.
    Index {
        /// The leg.
        leg: LegId,
        /// Call-ID.
        call_id: String,
        /// Our tag.
        local_tag: String,
    },
    /// Nothing will be sent or awaited on the leg any more.
    LegGone(LegId),
    /// Ask the record who is calling.
    LookUp {
        /// The number; `None` when withheld.
        number: Option<PhoneNumber>,
        /// The name that came with it.
        display_name: Option<String>,
        /// The queue.
        queue: String,
    },
    /// Media is to look like this.
    Plan(MediaPlan),
    /// Media is to end.
    CloseMedia,
    /// An agent does something else now.
    Agent {
        /// Who.
        agent: AgentId,
        /// What.
        to: AgentMove,
    },
    /// The call's place in the queue changes.
    Queue(QueueMove),
    /// The agent's desk is to be shown again.
    Show(AgentId),
    /// An offer is gone from a desk.
    OfferGone {
        /// Whose.
        agent: AgentId,
        /// Which.
        offer: OfferId,
        /// Why.
        why: OfferGone,
    },
    /// Write this down.
    Fact(Fact),
    /// A call is sent to this trunk.
    TrunkTried(usize),
    /// Count this.
    Count(Counter),
}

/// What a request of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Start a call.
    Invite {
        /// At which of the places where the phone is registered.
        branch: u8,
    },
    /// Change or refresh it: a re-INVITE or UPDATE.
    Renew,
    /// End it.
    Bye,
    /// Ask whether the peer is there.
    Check,
    /// End a dialog that a second answer made; its outcome means nothing.
    EndFork,
}

/// What becomes of a call's place in the queue.
#[derive(Clone, Debug, PartialEq)]
pub enum QueueMove {
    /// It waits for an agent from now on; the switch says at once whether one is free.
    Join {
        /// Queue name.
        queue: String,
        /// 0 (lowest) to 9.
        priority: u8,
        /// Since when it has waited.
        since: Now,
    },
    /// This agent did not take it: it keeps its place and is anybody else's.
    Passed {
        /// Who.
        agent: AgentId,
        /// When they may be asked again.
        until: Instant,
    },
    /// Somebody took it, or it is over.
    Leave,
}

/// What an agent does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentMove {
    /// Has this offer.
    Offered(OfferId),
    /// Is in the call.
    Talking,
    /// Wraps it up.
    WrapUp,
    /// Has nothing to do with it any more.
    Free,
}
