//! What goes into the switch and what comes out: values, no sockets, no clocks.

use std::{collections::BTreeMap, net::SocketAddr};

use crate::{
    domain::{
        customer::brief::Brief,
        fact::{Binding, CustomerChoice, Fact},
        live::{DeskCommand, LiveFact},
        media::plan::{MediaCommand, MediaEvent},
        routing::{AgentProfile, Figures, Queue},
    },
    ids::{InteractionId, PhoneId, PhoneNumber},
    protocol::sip::flow::{Flow, ListenerId},
    time::UnixMs,
};

/// One thing that happened outside.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram arrived on one of our SIP sockets.
    Datagram {
        /// The socket.
        listener: ListenerId,
        /// Who sent it.
        source: SocketAddr,
        /// What they sent.
        bytes: &'a [u8],
    },
    /// A whole message arrived on a stream, framed by its Content-Length.
    StreamMessage {
        /// The connection.
        flow: Flow,
        /// The message.
        bytes: &'a [u8],
    },
    /// A connection is no more, or could not be made: what waited on it fails at once, phones behind it cannot be reached.
    FlowClosed {
        /// Which.
        flow: Flow,
    },
    /// The record answered a [`Output::LookUp`], in time or late.
    Brief {
        /// The call.
        interaction: InteractionId,
        /// What the agent is to see.
        brief: Box<Brief>,
        /// How the customer was found: `Sole` or `Unknown`.
        choice: CustomerChoice,
    },
    /// A desk did something; its rights have been checked.
    Desk(DeskCommand),
    /// A media thread tells something.
    Media(MediaEvent),
    /// Who works here; at start and on each change, always whole.
    People(PeopleSnapshot),
    /// Bindings as they were written down; before the first datagram.
    Bindings(Vec<Binding>),
    /// A day begins, or the record tells what became of this day's calls before we started.
    Day {
        /// Its beginning.
        from: UnixMs,
        /// What is known of it, by queue.
        figures: BTreeMap<String, Figures>,
    },
    /// An alarm of another part (recorder, disk, database), one sentence with the remedy; `None` takes it back.
    Alarm {
        /// Which part.
        part: &'static str,
        /// The sentence.
        sentence: Option<String>,
    },
    /// The name of a trunk, by its place in the configuration, was looked up.
    TrunkAddresses {
        /// Which trunk.
        trunk: usize,
        /// Its addresses, first choice first; an empty list leaves the ones before in use.
        addresses: Vec<SocketAddr>,
    },
    /// Stop: new calls are refused, running ones end.
    Shutdown,
    /// Makes this call panic after so many further actions: shows that a mistake ends one call only.
    #[cfg(any(test, feature = "fault-injection"))]
    PanicIn {
        /// The call.
        interaction: InteractionId,
        /// How many actions it still leaves.
        after_actions: usize,
    },
}

/// Who works here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeopleSnapshot {
    /// Agents.
    pub agents: Vec<AgentProfile>,
    /// Accounts of phones.
    pub phones: Vec<PhoneAccount>,
    /// Queues.
    pub queues: Vec<Queue>,
}

/// The account of one phone.
#[derive(Clone, Debug, PartialEq)]
pub struct PhoneAccount {
    /// The account.
    pub id: PhoneId,
    /// The user part of its address of record, and the user name of its digest.
    pub user: String,
    /// The number that colleagues dial.
    pub extension: String,
    /// The name that colleagues see.
    pub display_name: String,
    /// Lower-case hex of MD5(user:domain:password) (RFC 2617 §3.2.2.2); `None` refuses MD5 for this account.
    pub ha1_md5: Option<String>,
    /// Lower-case hex of SHA-256(user:domain:password) (RFC 7616 §3.4.2).
    pub ha1_sha256: String,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this message; over TCP an [`Input::FlowClosed`] says that it was in vain.
    Send {
        /// Where to.
        flow: Flow,
        /// The message.
        bytes: Vec<u8>,
        /// Whether a connection may be made where there is none: towards trunks only.
        connect: bool,
    },
    /// The peer of this connection has proven who it is: it is not among those that are closed first.
    Trust {
        /// The connection.
        flow: Flow,
    },
    /// Tell a media thread.
    Media {
        /// Which thread.
        thread: u16,
        /// What.
        command: MediaCommand,
    },
    /// Ask the record who is calling; the answer comes as [`Input::Brief`], and may come late.
    LookUp(LookUp),
    /// Write this down.
    Fact(Fact),
    /// Show this.
    Live(LiveFact),
    /// The reaper found a mistake of ours: log it.
    Mistake(String),
}

/// The question to the record at an INVITE.
#[derive(Clone, Debug, PartialEq)]
pub struct LookUp {
    /// The call.
    pub interaction: InteractionId,
    /// The caller's number; `None` when withheld.
    pub number: Option<PhoneNumber>,
    /// The name that the network sent.
    pub display_name: Option<String>,
    /// The queue's name: its choice makes some reasons more probable.
    pub queue: String,
}
