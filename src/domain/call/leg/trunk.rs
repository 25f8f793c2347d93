//! The leg to a trunk (UAC side): who calls is written from the configuration, challenges of its realm are answered, and what it
//! sends before the answer is heard.
//!
//! Only a leg that we began towards a trunk has an account to answer with: a challenge in any other dialog is a refusal.

use std::sync::Arc;

use ipnet::IpNet;

use super::{Formats, Leg, LegRole, State, branch::Branch, outgoing::Callee, wire};
use crate::{
    domain::{
        call::{Purpose, counters::Counter, event::LegEvent, turn::Turn},
        media::plan::{Codec, PortPair},
    },
    ids::Party,
    protocol::sdp::Sdp,
    protocol::sip::{
        build::{AddressHeader, Body, Header, Request, Response, TextHeader},
        client_digest::{ClientAccount, ClientDigest},
        dialog::DialogSet,
        field::{Address, CallId, HostBuf, Method, UriBuf},
        flow::Flow,
        message::Message,
    },
};

/// One address of a trunk that a call may be sent to.
#[derive(Clone, Debug)]
pub struct TrunkTarget {
    /// The trunk's place in the configuration.
    pub trunk: usize,
    /// Its name, for the record.
    pub name: String,
    /// The path to this address.
    pub flow: Flow,
    /// Networks that its requests come from, and in which its Contact and Route are followed.
    pub networks: Vec<IpNet>,
    /// What stands in Request-URI, To and From.
    pub host: String,
    /// Its port there; `None` where it goes without saying.
    pub port: Option<u16>,
    /// The number as this trunk wants it.
    pub number: String,
    /// The number that the called party sees; `None`: the account's name stands there.
    pub caller: Option<String>,
    /// Who we are to it.
    pub account: Option<Arc<ClientAccount>>,
}

/// What a leg knows of the trunk at its other end.
#[derive(Debug)]
pub(super) struct TrunkSide {
    name: String,
    digest: Option<ClientDigest>,
    /// The credentials of our newest INVITE: its ACK carries the same (RFC 3261 §22.1).
    of_invite: Option<Header>,
    /// Whether a provisional response brought a session.
    early: bool,
}

impl TrunkTarget {
    fn uri(&self, user: &str, with_port: bool) -> UriBuf {
        let host = HostBuf::new(&self.host).unwrap_or(HostBuf::Ip(self.flow.remote.ip()));
        UriBuf::sip(Some(user), &host, self.port.filter(|_| with_port))
    }
}

impl Leg {
    /// Calls a number by a trunk, with an offer of `formats`. Nothing of the phone's message is in it.
    pub fn to_trunk(turn: &mut Turn<'_>, target: &TrunkTarget, hops: u8, ports: PortPair, formats: &Formats) -> Self {
        let (local_tag, call_id) = (turn.tokens.tag(), turn.tokens.call_id());
        let account = target.account.as_deref().map_or("anonymous", |account| account.username.as_str());
        let from = Address::new(target.uri(target.caller.as_deref().unwrap_or(account), false)).with_tag(&local_tag);
        let to = Address::new(target.uri(&target.number, false));
        let id = CallId::new(&call_id).unwrap_or_else(|| unreachable!("tokens are letters, digits and hyphens"));
        let contact = wire::contact(turn, target.flow);
        let mut invite = Request::new(Method::Invite, target.uri(&target.number, true), from.clone(), to, id, 1);
        invite.max_forwards = hops;
        invite.headers.push(Header::Address(AddressHeader::Contact, contact.clone()));
        if target.caller.is_some() {
            let asserted = Address { params: Vec::new(), ..from };
            invite.headers.push(Header::Address(AddressHeader::PAssertedIdentity, asserted));
        }
        invite.headers.extend([wire::allow(), wire::supported()]);
        let digest = target.account.clone().map(ClientDigest::new);
        let callee = Callee {
            role: LegRole { party: Party::Customer, agent: None },
            flow: target.flow,
            networks: target.networks.clone(),
            ports,
            trunk: Some(Box::new(TrunkSide { name: target.name.clone(), digest, of_invite: None, early: false })),
        };
        let mut leg = Self::calling(turn, callee, formats, call_id, local_tag);
        let local = leg.local_media(turn, &formats.codecs);
        invite.body = Some(Body::sdp(leg.session.offer(&local)));
        let invite = leg.send_by(turn, target.flow, Purpose::Invite { branch: 0 }, invite);
        let session = leg.session.clone();
        leg.branches.push(Branch {
            flow: target.flow,
            contact: contact.clone(),
            session,
            forks: DialogSet::new(invite, contact),
            ended: None,
        });
        leg
    }

    /// The trunk that we called by.
    pub fn trunk_name(&self) -> Option<&str> {
        self.trunk.as_ref().map(|side| side.name.as_str())
    }

    /// Whether the peer sends audio before its answer.
    pub fn has_early_media(&self) -> bool {
        self.trunk.as_ref().is_some_and(|side| side.early) && matches!(self.state, State::Calling { cancelled: false })
    }

    /// Sends a request again with credentials, where `response` is a challenge of the trunk's realm. False: it is final.
    pub(super) fn answers_challenge(&mut self, turn: &mut Turn<'_>, purpose: Purpose, response: &Message<'_>) -> bool {
        let Some(digest) = self.trunk.as_mut().and_then(|side| side.digest.as_mut()) else { return false };
        match response.status() {
            Some(401 | 407) => {}
            Some(200..) => {
                digest.settled();
                return false;
            }
            Some(_) | None => return false,
        }
        let cnonce = turn.tokens.tag();
        if digest.challenged(response, &cnonce).is_err() {
            turn.count(Counter::ChallengeNotAnswered);
            return false;
        }
        let sent = match (purpose, &mut self.state) {
            (Purpose::Invite { branch }, State::Calling { cancelled: false }) => self.invite_again(turn, branch),
            (Purpose::Bye, State::Closing { dialog }) => {
                let bye = dialog.request(Method::Bye);
                self.send(turn, Purpose::Bye, bye);
                true
            }
            (Purpose::Check, State::Up { dialog, leaving: false, .. }) => {
                let options = dialog.request(Method::Options);
                self.send(turn, Purpose::Check, options);
                true
            }
            (Purpose::Renew, State::Up { leaving: false, .. }) => self.renew_again(turn),
            (Purpose::Invite { .. } | Purpose::Bye | Purpose::Check | Purpose::Renew | Purpose::EndFork, _) => false,
        };
        turn.count(if sent { Counter::ChallengeAnswered } else { Counter::ChallengeNotAnswered });
        sent
    }

    /// The same INVITE with the next number and credentials; the first one's transaction is over.
    fn invite_again(&mut self, turn: &mut Turn<'_>, branch: u8) -> bool {
        let Some(known) = self.branches.get(usize::from(branch)) else { return false };
        let (flow, contact) = (known.flow, known.contact.clone());
        let mut invite = known.forks.invite().clone();
        invite.cseq += 1;
        invite.via.clear();
        invite.headers.retain(|header| !matches!(header, Header::Credentials(..) | Header::Text(TextHeader::UserAgent, _)));
        let invite = self.send_by(turn, flow, Purpose::Invite { branch }, invite);
        if let Some(known) = self.branches.get_mut(usize::from(branch)) {
            known.forks = DialogSet::new(invite, contact);
        }
        true
    }

    /// Puts the trunk's credentials into a request of ours, once it has asked for them. An ACK has those of its INVITE.
    pub(super) fn authorise(&mut self, request: &mut Request) {
        let Some(side) = self.trunk.as_mut() else { return };
        let header = match request.method {
            Method::Ack => side.of_invite.clone(),
            _ => side.digest.as_mut().and_then(|digest| digest.credentials(&request.method, request.uri.as_str())),
        };
        if request.method == Method::Invite {
            side.of_invite.clone_from(&header);
        }
        request.headers.extend(header);
    }

    /// A provisional response of a trunk with a session: its audio is heard from now on.
    pub(super) fn hears_early(&mut self, status: u16, response: &Message<'_>) -> Option<LegEvent> {
        let side = self.trunk.as_mut().filter(|_| (180..=199).contains(&status) && !response.sdp().is_empty())?;
        if !matches!(self.state, State::Calling { cancelled: false }) {
            return None;
        }
        let answer = Sdp::parse(response.sdp()).ok()?;
        let negotiated = self.session.read_answer(&answer).ok()?;
        side.early = true;
        if self.negotiated.as_ref() != Some(&negotiated) {
            self.agree(negotiated);
        }
        Some(LegEvent::Early)
    }

    /// Tells a caller of ours that there is something to hear: 183 with our answer in `codec`. False where that cannot be, or it
    /// was told before.
    pub fn progress(&mut self, turn: &mut Turn<'_>, codec: Codec) -> bool {
        if self.early_answer.is_some() {
            return true;
        }
        self.expected = codec;
        let local = self.local_media(turn, &Self::codecs_from(turn, codec));
        let mut session = self.session.clone();
        let offer = self.offer().and_then(|offer| Sdp::parse(offer).ok());
        let Some(answer) = offer.and_then(|offer| session.answer(&offer, &local).ok()) else { return false };
        self.session = session;
        self.agree(answer.negotiated);
        self.early_answer = Some(answer.sdp);
        self.ring(turn);
        true
    }

    /// The codec of the session that the caller has been told of before the answer.
    pub fn promised_codec(&self) -> Option<Codec> {
        self.early_answer.as_ref().map(|_| self.codec())
    }

    /// Whether the caller was told of a session and waits for its answer.
    pub fn is_early(&self) -> bool {
        self.early_answer.is_some() && matches!(self.state, State::Incoming { .. })
    }

    /// Whether the peer can hear us: it is answered, or was told of a session before.
    pub fn can_hear(&self) -> bool {
        self.is_up() || self.is_early()
    }

    /// The provisional response that tells the caller how far it is.
    pub(super) fn ringing(&self, template: &Response) -> Response {
        match &self.early_answer {
            Some(sdp) => wire::with_status(template, 183).with_body(Body::sdp(sdp.clone())),
            None => wire::with_status(template, 180),
        }
    }
}
