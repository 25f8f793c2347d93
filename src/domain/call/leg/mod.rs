//! One party's SIP dialog and its offer/answer: turns messages into [`LegEvent`]s and orders into messages.
//!
//! ```text
//! incoming: Incoming ── 180, 200 ──▶ Up ── BYE ──▶ Closing ──▶ Gone
//! outgoing: Calling ── 2xx, ACK ──▶ Up            (CANCEL keeps Calling until its final response)
//! ```
//! The call above sees ringing, answered, re-offered, ended; no message crosses from one leg to another.

mod branch;
pub mod in_dialog;
mod incoming;
mod media;
mod outgoing;
mod renewal;
mod session_timer;
mod trunk;
pub mod wire;

use std::time::Instant;

use super::{event::LegEvent, turn::Turn};
use crate::{
    domain::media::plan::{Codec, PortPair},
    ids::{AgentId, LegId, Party, SipCallId},
    protocol::sdp::{Negotiated, Session},
    protocol::sip::{
        answer_retransmission::AnswerRetransmission, build::Response, dialog::Dialog, field::Address, flow::Flow,
        transaction_layer::ServerId,
    },
};

use branch::Branch;
pub use branch::MAX_BRANCHES;
pub use incoming::{Incoming, IncomingError};
pub use media::Formats;
use renewal::Renewal;
use session_timer::Refresh;
pub use session_timer::{MIN_SESSION_SECONDS, SessionTimer};
pub use trunk::TrunkTarget;

/// Who is on a leg.
#[derive(Clone, Copy, Debug)]
pub struct LegRole {
    /// Which side.
    pub party: Party,
    /// The agent whose phone it is.
    pub agent: Option<AgentId>,
}

/// What a phone's display says.
#[derive(Clone, Debug)]
pub struct Display {
    /// Name, or name and one line.
    pub name: Option<String>,
    /// User part of From.
    pub user: String,
    /// Max-Forwards of the INVITE: one less than the caller's (RFC 3261 §16.3).
    pub hops: u8,
}

/// The peer's answer does not fit, or there is nothing to answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAcceptable;

/// A 2xx of ours that waits for its ACK.
#[derive(Debug)]
struct AwaitAck {
    server: ServerId,
    /// The number of its INVITE: one that was refused since has another.
    cseq: u32,
    repeat: AnswerRetransmission,
    /// The 2xx carried an offer; the ACK must carry the answer.
    offered: bool,
}

#[derive(Debug)]
enum State {
    /// Their INVITE waits for our final response.
    Incoming { server: ServerId, template: Response, offer: Option<Vec<u8>>, dialog: Dialog, rung: bool },
    /// Our INVITEs wait for theirs.
    Calling { cancelled: bool },
    /// The dialog is confirmed.
    Up { dialog: Dialog, await_ack: Option<AwaitAck>, leaving: bool },
    /// Our BYE waits for its response.
    Closing { dialog: Dialog },
    /// Nothing is sent or awaited.
    Gone,
}

/// One party of a call.
#[derive(Debug)]
pub struct Leg {
    id: LegId,
    role: LegRole,
    flow: Flow,
    /// Networks to which in-dialog requests may go by Contact or Route; empty for phones, which are reached by their flow.
    networks: Vec<ipnet::IpNet>,
    ports: PortPair,
    call_id: String,
    local_tag: String,
    contact: Address,
    session: Session,
    negotiated: Option<Negotiated>,
    /// The codec that our offer lists first, until an answer decides.
    expected: Codec,
    /// Max-Forwards left after us, for the leg that this one leads to.
    hops: u8,
    /// Grows with each change of the peer's media address.
    epoch: u32,
    state: State,
    checked: bool,
    final_status: Option<u16>,
    /// What the INVITE said about refreshing.
    session_timer: SessionTimer,
    /// The session timer that runs (RFC 4028).
    refresh: Option<Refresh>,
    /// Our INVITEs, one for each place of the phone; none on a caller's leg.
    branches: Vec<Branch>,
    /// Offers of ours in the dialog.
    renewal: Renewal,
    /// Whether the peer said that it serves UPDATE.
    serves_update: bool,
    /// The codecs that the peer has named in its descriptions: what it can speak.
    knows: Vec<Codec>,
    /// Whether comfort noise is offered to the peer: it named it itself, or the other side of the call did.
    makes_noise: bool,
    /// The trunk that we called by; `None` for phones and for whoever calls us.
    trunk: Option<Box<trunk::TrunkSide>>,
    /// Our answer as the caller was told it before the call was answered.
    early_answer: Option<Vec<u8>>,
}

impl Leg {
    /// The leg's id.
    pub fn id(&self) -> LegId {
        self.id
    }

    /// Which side it is on.
    pub fn party(&self) -> Party {
        self.role.party
    }

    /// The agent whose phone it is.
    pub fn agent(&self) -> Option<AgentId> {
        self.role.agent
    }

    /// The Call-ID of its dialog.
    pub fn sip_call_id(&self) -> SipCallId {
        SipCallId(self.call_id.clone())
    }

    /// The paths to its peer: more than one only while a phone is rung at several places.
    pub fn flows(&self) -> impl Iterator<Item = Flow> + '_ {
        let rung = self.branches.iter().filter(|branch| branch.ended.is_none()).map(|branch| branch.flow);
        std::iter::once(self.flow).chain(rung.filter(|flow| *flow != self.flow))
    }

    /// The phone is somewhere else now.
    pub fn move_flow(&mut self, from: Flow, to: Flow) {
        for flow in std::iter::once(&mut self.flow).chain(self.branches.iter_mut().map(|branch| &mut branch.flow)) {
            if *flow == from {
                *flow = to;
            }
        }
    }

    /// Its connection is no more. A trunk is called back at the address that it gave; a phone comes back by itself.
    pub fn stream_closed(&mut self, closed: Flow) {
        let dialog = match &self.state {
            State::Incoming { dialog, .. } | State::Up { dialog, .. } | State::Closing { dialog } => dialog,
            State::Calling { .. } | State::Gone => return,
        };
        if self.flow == closed
            && let Some(remote) = self.trusted(&dialog.next_hop().uri())
        {
            self.flow.remote = remote;
        }
    }

    /// Networks of the trunk that it belongs to; none for a phone.
    pub fn networks(&self) -> &[ipnet::IpNet] {
        &self.networks
    }

    /// Whether nothing is sent or awaited any more.
    pub fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone) && !self.is_awaited()
    }

    /// The final status, when it never was answered.
    pub fn final_status(&self) -> Option<u16> {
        self.final_status
    }

    /// The server transaction of its INVITE, while that waits for a final response.
    pub fn open_invite(&self) -> Option<ServerId> {
        match &self.state {
            State::Incoming { server, .. } => Some(*server),
            State::Calling { .. } | State::Up { .. } | State::Closing { .. } | State::Gone => None,
        }
    }

    /// Whether the dialog is confirmed and not being ended.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up { leaving: false, .. })
    }

    /// Whether the peer's address for audio is known.
    pub fn has_remote(&self) -> bool {
        self.negotiated.as_ref().is_some_and(|media| media.remote.is_some())
    }

    /// Whether the caller has been told that it rings.
    pub fn has_rung(&self) -> bool {
        matches!(self.state, State::Incoming { rung: true, .. })
    }

    /// Whether a question to the peer is unanswered.
    pub fn was_checked(&self) -> bool {
        self.checked
    }

    /// Max-Forwards left for the leg that this one leads to.
    pub fn hops(&self) -> u8 {
        self.hops
    }

    /// Whether the peer does not want to hear us.
    pub fn peer_holds(&self) -> bool {
        self.negotiated.as_ref().is_some_and(|media| media.peer_holds)
    }

    /// The codec that was agreed on; before that, the one that we ask for.
    pub fn codec(&self) -> Codec {
        self.negotiated.as_ref().map_or(self.expected, |media| media::from_sdp(media.codec))
    }

    /// Whether a request with this tag of the peer belongs to the leg.
    pub fn has_remote_tag(&self, tag: &str) -> bool {
        match &self.state {
            State::Incoming { dialog, .. } | State::Up { dialog, .. } | State::Closing { dialog } => &*dialog.id().remote_tag == tag,
            State::Calling { .. } => {
                self.branches.iter().flat_map(|branch| branch.forks.dialogs()).any(|early| &*early.id().remote_tag == tag)
            }
            State::Gone => false,
        }
    }

    /// When [`Leg::handle_timeout`] is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        let ack = match &self.state {
            State::Up { await_ack, .. } => await_ack.as_ref().map(|wait| wait.repeat.deadline()),
            State::Incoming { .. } | State::Calling { .. } | State::Closing { .. } | State::Gone => None,
        };
        ack.into_iter().chain(self.refresh.map(Refresh::end)).chain(self.renewal_at()).min()
    }

    /// Ends the leg from whatever it is in: refuses, cancels or says goodbye.
    pub fn end(&mut self, turn: &mut Turn<'_>, status: u16, reason: &'static str) {
        match &self.state {
            State::Incoming { .. } => self.refuse(turn, status),
            State::Calling { .. } => self.cancel(turn, reason),
            State::Up { .. } => self.bye_because(turn, Some(reason)),
            State::Closing { .. } | State::Gone => {}
        }
        self.end_branches(turn);
    }

    /// The leg lost to another: ends it, and says why to a phone that still rings.
    pub fn leave(&mut self, turn: &mut Turn<'_>, reason: &'static str) {
        self.end(turn, 480, reason);
    }

    fn gone(&mut self, turn: &mut Turn<'_>) {
        if !matches!(self.state, State::Gone) {
            self.state = State::Gone;
            self.refresh = None;
            self.renewal = Renewal::default();
            // An INVITE that was cancelled may still be answered: then that answer needs its ACK and BYE.
            if !self.is_awaited() {
                turn.act(super::Action::LegGone(self.id));
            }
        }
    }

    /// Ends the leg without a word: the peer is known to be gone, or a mistake of ours left nothing to say.
    pub fn forget(&mut self, turn: &mut Turn<'_>) {
        self.gone(turn);
    }

    fn ended(&mut self, turn: &mut Turn<'_>, end: super::LegEnd) -> Option<LegEvent> {
        self.gone(turn);
        Some(LegEvent::Ended(end))
    }
}
