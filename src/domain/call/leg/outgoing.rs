//! The leg of a phone that we ring (UAC side of the INVITE): offer, answer, CANCEL, and the further answers of forks.

use ipnet::IpNet;

use super::{
    Display, Formats, Leg, LegRole, Renewal, SessionTimer, State,
    branch::{Branch, BranchEnd},
    trunk::TrunkSide,
    wire,
};
use crate::{
    domain::{
        call::{Action, LegEnd, PhoneTarget, Place, Purpose, counters::Counter, event::LegEvent, turn::Turn},
        media::plan::{Codec, PortPair},
    },
    ids::LegId,
    protocol::sdp::{Sdp, Session},
    protocol::sip::{
        build::{AddressHeader, Body, Header, Request},
        dialog::{Dialog, DialogId, DialogSet, ForkOutcome, ends_dialog},
        field::{Address, CallId, HostBuf, Method, UriBuf},
        flow::Flow,
        message::Message,
    },
};

/// Reason of the CANCEL to the other places when one answered (RFC 3326).
const REASON_ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";
/// Reason of the CANCEL to the other places when one declined for all (RFC 3261 §16.7: a 6xx ends every branch).
const REASON_DECLINED: &str = "SIP;cause=603;text=\"Declined elsewhere\"";

/// Whom a leg of ours calls.
pub(super) struct Callee {
    pub role: LegRole,
    pub flow: Flow,
    /// Networks in which its Contact and Route are followed; none for a phone, which is reached at its flow.
    pub networks: Vec<IpNet>,
    pub ports: PortPair,
    pub trunk: Option<Box<TrunkSide>>,
}

impl Leg {
    /// Rings a phone at every place where it is registered, with an offer of `formats`. From is written by us, never copied.
    pub fn outgoing(
        turn: &mut Turn<'_>,
        role: LegRole,
        target: &PhoneTarget,
        display: &Display,
        ports: PortPair,
        formats: &Formats,
    ) -> Self {
        let domain = HostBuf::new(&turn.house.policy.domain).unwrap_or(HostBuf::Ip(target.place.flow.remote.ip()));
        let (local_tag, call_id) = (turn.tokens.tag(), turn.tokens.call_id());
        let mut from = Address::new(UriBuf::sip(Some(&display.user), &domain, None)).with_tag(&local_tag);
        if let Some(name) = &display.name {
            from = from.with_display(name);
        }
        let to_us = UriBuf::sip(Some(&target.user), &domain, None);
        let id = CallId::new(&call_id).unwrap_or_else(|| unreachable!("tokens are letters, digits and hyphens"));
        let mut invite = Request::new(Method::Invite, to_us.clone(), from.clone(), Address::new(to_us), id, 1);
        invite.max_forwards = display.hops;
        let asserted = Address { params: Vec::new(), ..from };
        invite.headers.push(Header::Address(AddressHeader::PAssertedIdentity, asserted));
        invite.headers.extend([wire::allow(), wire::supported()]);
        let callee = Callee { role, flow: target.place.flow, networks: Vec::new(), ports, trunk: None };
        let mut leg = Self::calling(turn, callee, formats, call_id, local_tag);
        for place in target.places().take(super::MAX_BRANCHES) {
            leg.ring_place(turn, &invite, place, &formats.codecs);
        }
        leg
    }

    /// A leg that is about to send its first INVITE; it belongs to the dialog of these from now on.
    pub(super) fn calling(turn: &mut Turn<'_>, callee: Callee, formats: &Formats, call_id: String, local_tag: String) -> Self {
        let Callee { role, flow, networks, ports, trunk } = callee;
        let leg = Self {
            id: LegId::new(turn.now.wall, turn.tokens.entropy()),
            role,
            flow,
            networks,
            ports,
            call_id: call_id.clone(),
            local_tag: local_tag.clone(),
            contact: wire::contact(turn, flow),
            session: Session::new(u64::from(turn.tokens.below(u32::MAX))),
            negotiated: None,
            expected: formats.codecs.first().copied().unwrap_or(Codec::Pcma),
            hops: 0,
            epoch: 0,
            state: State::Calling { cancelled: false },
            branches: Vec::new(),
            checked: false,
            final_status: None,
            session_timer: SessionTimer::None,
            refresh: None,
            renewal: Renewal::default(),
            serves_update: false,
            knows: Vec::new(),
            makes_noise: formats.comfort_noise,
            trunk,
            early_answer: None,
        };
        turn.act(Action::Index { leg: leg.id, call_id, local_tag });
        leg
    }

    fn ring_place(&mut self, turn: &mut Turn<'_>, invite: &Request, place: &Place, codecs: &[Codec]) {
        let Ok(branch) = u8::try_from(self.branches.len()) else { return };
        let contact = wire::contact(turn, place.flow);
        let mut session = self.session.clone();
        let mut invite = invite.clone();
        if let Some(uri) = UriBuf::new(&place.contact) {
            invite.uri = uri;
        }
        invite.headers.insert(0, Header::Address(AddressHeader::Contact, contact.clone()));
        invite.body = Some(Body::sdp(session.offer(&self.local_media_at(turn, place.flow, codecs))));
        let invite = self.send_by(turn, place.flow, Purpose::Invite { branch }, invite);
        let forks = DialogSet::new(invite, contact.clone());
        self.branches.push(Branch { flow: place.flow, contact, session, forks, ended: None });
    }

    pub(super) fn cancel(&mut self, turn: &mut Turn<'_>, reason: &'static str) {
        if matches!(self.state, State::Calling { cancelled: false }) {
            self.cancel_branches(turn, reason);
            self.state = State::Calling { cancelled: true };
            if !self.is_awaited() {
                self.gone(turn);
            }
        }
    }

    /// A response to a request of ours in this leg.
    pub fn on_response(&mut self, turn: &mut Turn<'_>, purpose: Purpose, response: &Message<'_>) -> Option<LegEvent> {
        let status = response.status()?;
        if self.answers_challenge(turn, purpose, response) {
            return None;
        }
        match (purpose, status) {
            (Purpose::Invite { branch }, _) => self.on_invite_response(turn, branch, status, response),
            (Purpose::Renew, _) => self.on_renewed(turn, status, response),
            (Purpose::Bye | Purpose::Check | Purpose::EndFork, 100..=199) | (Purpose::EndFork, _) => None,
            (Purpose::Bye, _) => {
                self.gone(turn);
                None
            }
            (Purpose::Check, _) => self.on_check(turn, ends_dialog(status)),
        }
    }

    /// A request of ours was never answered, or the transport refused it.
    pub fn on_no_response(&mut self, turn: &mut Turn<'_>, purpose: Purpose) -> Option<LegEvent> {
        match purpose {
            Purpose::Invite { branch } => self.on_refusal(turn, branch, BranchEnd::Silent),
            Purpose::Renew => self.renewal_unanswered(turn),
            Purpose::Bye => {
                self.gone(turn);
                None
            }
            Purpose::Check => self.on_check(turn, true),
            Purpose::EndFork => None,
        }
    }

    fn on_check(&mut self, turn: &mut Turn<'_>, lost: bool) -> Option<LegEvent> {
        if !matches!(self.state, State::Up { leaving: false, .. }) {
            return None;
        }
        if lost {
            // The peer may have come back without the call: one BYE tells it, whatever becomes of it.
            self.bye(turn);
            return Some(LegEvent::Ended(LegEnd::DialogLost));
        }
        self.checked = false;
        Some(LegEvent::StillThere)
    }

    fn on_invite_response(&mut self, turn: &mut Turn<'_>, branch: u8, status: u16, response: &Message<'_>) -> Option<LegEvent> {
        let outcome = self.branches.get_mut(usize::from(branch))?.forks.receive(response);
        match (status, outcome) {
            (100..=199, _) => self.hears_early(status, response).or_else(|| self.on_provisional(status)),
            (200..=299, ForkOutcome::Answered { id, first: _ }) => self.on_answer(turn, branch, &id, response),
            // A mistake of ours may have left the first one without its ACK.
            (200..=299, ForkOutcome::AnsweredAgain(id)) if self.waits_for(branch) => self.on_answer(turn, branch, &id, response),
            (200..=299, ForkOutcome::AnsweredAgain(id)) => {
                self.acknowledge_again(turn, branch, &id, response.cseq().seq);
                None
            }
            // A 2xx that makes no dialog, or one fork too many: nothing can be acknowledged.
            (200..=299, ForkOutcome::NoDialog | ForkOutcome::TooMany | ForkOutcome::NewEarly(_) | ForkOutcome::Early(_)) => {
                self.on_refusal(turn, branch, BranchEnd::Refused(500))
            }
            (_, _) => self.on_refusal(turn, branch, BranchEnd::Refused(status)),
        }
    }

    fn on_provisional(&self, status: u16) -> Option<LegEvent> {
        match (&self.state, status) {
            (State::Calling { cancelled: false }, 180..=182) => Some(LegEvent::Ringing),
            (State::Calling { cancelled: false }, 183) => Some(LegEvent::Early),
            (State::Calling { cancelled: false }, _) => Some(LegEvent::Alive),
            (State::Calling { cancelled: true } | State::Incoming { .. } | State::Up { .. } | State::Closing { .. } | State::Gone, _) => {
                None
            }
        }
    }

    /// One branch ended without an answer; the leg ends with the last of them, or with a refusal for all (6xx).
    fn on_refusal(&mut self, turn: &mut Turn<'_>, branch: u8, end: BranchEnd) -> Option<LegEvent> {
        if !self.branch_ended(turn, branch, end) {
            return None;
        }
        let State::Calling { cancelled } = self.state else { return None };
        let for_all = matches!(end, BranchEnd::Refused(600..));
        match (cancelled, self.is_awaited()) {
            (true, true) => None,
            (true, false) => {
                self.final_status = self.final_status.or(self.best_refusal());
                self.gone(turn);
                None
            }
            (false, true) if for_all => {
                let status = self.best_refusal();
                self.final_status = status;
                self.cancel(turn, REASON_DECLINED);
                Some(LegEvent::Ended(LegEnd::Refused(status.unwrap_or(603))))
            }
            (false, true) => Some(LegEvent::Alive),
            (false, false) => {
                self.final_status = self.best_refusal();
                self.ended(turn, self.final_status.map_or(LegEnd::Unreachable, LegEnd::Refused))
            }
        }
    }

    /// The first 2xx of a dialog: that of the phone that wins, or of one that is too late.
    fn on_answer(&mut self, turn: &mut Turn<'_>, branch: u8, id: &DialogId, response: &Message<'_>) -> Option<LegEvent> {
        let wins = matches!(self.state, State::Calling { cancelled: false });
        let won = self.branches.get_mut(usize::from(branch)).filter(|_| wins);
        let Some((mut dialog, won)) = won.and_then(|won| Some((won.forks.dialog(id)?.clone(), won))) else {
            self.end_fork(turn, branch, id, response.cseq().seq);
            self.branch_ended(turn, branch, BranchEnd::Answered);
            if matches!(self.state, State::Calling { cancelled: true }) && !self.is_awaited() {
                self.gone(turn);
            }
            return None;
        };
        (self.flow, self.contact, self.session) = (won.flow, won.contact.clone(), won.session.clone());
        self.acknowledge(turn, &mut dialog, response.cseq().seq);
        self.state = State::Up { dialog, await_ack: None, leaving: false };
        self.branch_ended(turn, branch, BranchEnd::Answered);
        self.branches.get_mut(usize::from(branch)).and_then(|won| won.forks.take(id));
        self.cancel_branches(turn, REASON_ELSEWHERE);
        self.learn(turn, response);
        let answer = Sdp::parse(response.sdp()).ok();
        answer.iter().for_each(|answer| self.note_codecs(answer));
        // Carriers leave a session out of the 2xx that they told in a 183: that one holds.
        let told = self.negotiated.clone().filter(|_| response.sdp().is_empty());
        match answer.and_then(|answer| self.session.read_answer(&answer).ok()).or(told) {
            Some(negotiated) => {
                self.agree(negotiated);
                Some(LegEvent::Answered)
            }
            None => {
                self.bye(turn);
                Some(LegEvent::Ended(LegEnd::NotAcceptable))
            }
        }
    }

    /// A 2xx came again: its ACK was lost, and goes the same way again.
    fn acknowledge_again(&mut self, turn: &mut Turn<'_>, branch: u8, id: &DialogId, cseq: u32) {
        let own = match &self.state {
            State::Up { dialog, .. } | State::Closing { dialog } => Some(dialog).filter(|dialog| dialog.id() == id),
            State::Incoming { .. } | State::Calling { .. } | State::Gone => None,
        };
        let forks = self.branches.get(usize::from(branch)).into_iter().flat_map(|branch| branch.forks.dialogs());
        let known = own.into_iter().chain(forks).find(|dialog| dialog.id() == id);
        let peer = self.branches.get(usize::from(branch)).map_or(self.flow, |branch| branch.flow);
        let sent = known.and_then(|dialog| Some((self.hop_by(peer, &dialog.ack(cseq)), dialog.remembered_ack(cseq)?.to_vec())));
        if let Some((flow, bytes)) = sent {
            self.send_ack(turn, flow, bytes);
        }
    }

    /// Ends what a mistake of ours left between an answer and its ACK, its BYE, or the silence of the other places. Usually nothing.
    pub(super) fn end_branches(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.state, State::Calling { .. }) {
            return;
        }
        for branch in (0..self.branches.len()).filter_map(|branch| u8::try_from(branch).ok()) {
            let forks = self.branches.get(usize::from(branch)).filter(|branch| branch.ended.is_none()).map(|branch| &branch.forks);
            let Some((id, cseq)) = forks.and_then(|forks| Some((forks.answered().first()?.clone(), forks.invite().cseq))) else { continue };
            self.end_fork(turn, branch, &id, cseq);
            self.branch_ended(turn, branch, BranchEnd::Answered);
        }
        self.cancel_branches(turn, REASON_ELSEWHERE);
    }

    /// Another phone answered too, or one answered that had been cancelled: acknowledged, then ended.
    fn end_fork(&mut self, turn: &mut Turn<'_>, branch: u8, id: &DialogId, cseq: u32) {
        let Some(lost) = self.branches.get_mut(usize::from(branch)) else { return };
        let flow = lost.flow;
        let Some(dialog) = lost.forks.dialog(id) else { return };
        let mut ended: Dialog = dialog.clone();
        turn.count(Counter::SecondAnswer);
        self.acknowledge_by(turn, flow, &mut ended, cseq);
        let bye = ended.request(Method::Bye);
        self.send_by(turn, flow, Purpose::EndFork, bye);
        if let Some(dialog) = self.branches.get_mut(usize::from(branch)).and_then(|lost| lost.forks.dialog(id)) {
            *dialog = ended;
        }
    }
}
