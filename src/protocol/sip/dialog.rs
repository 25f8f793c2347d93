//! Dialogs (RFC 3261 §12): what two user agents must remember of each other between requests.
//!
//! A dialog is made from the INVITE and its response on either side, orders what the peer sends by CSeq, and builds our own
//! requests from typed fields along its route set. [`DialogSet`] keeps the dialogs that one forked INVITE of ours made.

use std::sync::Arc;

use super::{
    build::{AddressHeader, Header, Request},
    field::{Address, CallId, Method, UriBuf},
    message::Message,
    uri::UriKind,
};

mod dialog_set;
#[cfg(test)]
mod tests;

pub use dialog_set::{DialogSet, ForkOutcome, MAX_FORKS};

/// Names a dialog; on the other side the two tags change places.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DialogId {
    /// The Call-ID.
    pub call_id: CallId,
    /// Our tag.
    pub local_tag: Box<str>,
    /// The peer's tag; empty for peers older than RFC 3261 that send none.
    pub remote_tag: Box<str>,
}

impl DialogId {
    /// The dialog that a request from the peer belongs to; `None` outside any (no To tag).
    pub fn of_request(request: &Message<'_>) -> Option<Self> {
        Self::new(request, request.to_tag()?, request.from_tag().unwrap_or_default())
    }

    /// The dialog that a response to our request belongs to; `None` outside any (no tag of ours, or a provisional response
    /// without a tag of theirs).
    pub fn of_response(response: &Message<'_>) -> Option<Self> {
        let is_final = response.status().is_some_and(|status| status >= 200);
        let remote = response.to_tag().or(is_final.then_some(""))?;
        Self::new(response, response.from_tag()?, remote)
    }

    fn new(message: &Message<'_>, local: &str, remote: &str) -> Option<Self> {
        Some(Self { call_id: CallId::new(message.call_id())?, local_tag: local.into(), remote_tag: remote.into() })
    }
}

/// Whether the INVITE that made the dialog has its 2xx.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DialogState {
    /// Made by a provisional response.
    Early,
    /// Made or confirmed by a 2xx.
    Confirmed,
}

/// Where a request of the peer stands in its sequence (RFC 3261 §12.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestOrder {
    /// Newer than everything before: handle it.
    Next,
    /// The number of the newest request again, after its transaction is over: answer 500 and change nothing.
    Again,
    /// Older than the newest: answer 500 and change nothing.
    Late,
}

/// Why no dialog can be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DialogError {
    /// The INVITE has no Contact.
    #[error("the INVITE has no usable Contact; answer 400")]
    NoContact,
    /// A tag is missing, or the message is of the wrong kind.
    #[error("the message makes no dialog")]
    NoDialog,
}

/// Whether a final response to a request inside a dialog ends the dialog (RFC 3261 §12.2.1.2); a time-out counts as 408.
/// RFC 5057 names more, but peers give those to a method that they do not know, and a call that talks is not ended for that.
pub fn ends_dialog(status: u16) -> bool {
    matches!(status, 408 | 481)
}

/// One dialog as seen from our side.
#[derive(Clone, Debug)]
pub struct Dialog {
    id: DialogId,
    state: DialogState,
    local: Address,
    remote: Address,
    contact: Address,
    remote_target: UriBuf,
    route_set: Vec<Address>,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    remote_invite_cseq: Option<u32>,
    ack: Option<(u32, Arc<[u8]>)>,
}

impl Dialog {
    /// The dialog that our answer to `invite` makes (RFC 3261 §12.1.1): early until [`Self::confirm`].
    /// `local_tag` is the tag that we put into To, `contact` the address that we give to the peer.
    pub fn answering(invite: &Message<'_>, local_tag: &str, contact: Address) -> Result<Self, DialogError> {
        let target = invite.contacts().next().ok_or(DialogError::NoContact)?;
        let remote_tag = invite.from_tag().unwrap_or_default();
        let id = DialogId::new(invite, local_tag, remote_tag).ok_or(DialogError::NoDialog)?;
        let cseq = Some(invite.cseq().seq);
        Ok(Self {
            id,
            state: DialogState::Early,
            local: invite.to().to_owned().with_tag(local_tag),
            remote: invite.from().to_owned(),
            contact,
            remote_target: UriBuf::from(target.uri),
            route_set: invite.record_routes().map(|route| route.to_owned()).collect(),
            local_cseq: 0,
            remote_cseq: cseq,
            remote_invite_cseq: cseq,
            ack: None,
        })
    }

    /// The dialog that `response` to our `invite` makes (RFC 3261 §12.1.2): early from 101–199, confirmed from 2xx.
    pub fn calling(invite: &Request, contact: Address, response: &Message<'_>) -> Result<Self, DialogError> {
        let state = match response.status() {
            Some(101..=199) => DialogState::Early,
            Some(200..=299) => DialogState::Confirmed,
            Some(_) | None => return Err(DialogError::NoDialog),
        };
        let id = DialogId::of_response(response).ok_or(DialogError::NoDialog)?;
        let mut dialog = Self {
            id,
            state,
            local: invite.from.clone(),
            remote: response.to().to_owned(),
            contact,
            // Carriers leave Contact out of provisional responses; until the 2xx brings it, the request's own target serves.
            remote_target: invite.uri.clone(),
            route_set: Vec::new(),
            local_cseq: invite.cseq,
            remote_cseq: None,
            remote_invite_cseq: None,
            ack: None,
        };
        dialog.learn_route(response);
        Ok(dialog)
    }

    /// Our 2xx was sent (UAS), or `answer` is the peer's 2xx (UAC), whose route set replaces that of the provisional response
    /// (RFC 3261 §12.2.1.2, §13.2.2.4). A confirmed dialog keeps its route set for good.
    pub fn confirm(&mut self, answer: Option<&Message<'_>>) {
        match (self.state, answer) {
            (DialogState::Early, Some(answer)) => self.learn_route(answer),
            (DialogState::Confirmed, Some(answer)) => self.refresh_target(answer),
            (DialogState::Early | DialogState::Confirmed, None) => {}
        }
        self.state = DialogState::Confirmed;
    }

    /// Names the dialog.
    pub fn id(&self) -> &DialogId {
        &self.id
    }

    /// Early or confirmed.
    pub fn state(&self) -> DialogState {
        self.state
    }

    /// Our address with our tag: To of our responses, From of our requests.
    pub fn local(&self) -> &Address {
        &self.local
    }

    /// The peer's address with its tag.
    pub fn remote(&self) -> &Address {
        &self.remote
    }

    /// Where the peer wants requests.
    pub fn remote_target(&self) -> &UriBuf {
        &self.remote_target
    }

    /// The URI whose host the next request goes to, unless a flow of the peer is known (RFC 3261 §8.1.2).
    pub fn next_hop(&self) -> &UriBuf {
        self.route_set.first().map_or(&self.remote_target, |route| &route.uri)
    }

    /// Orders a request that came in; it then counts as seen. ACK and CANCEL carry the number of their INVITE and have no order
    /// of their own.
    pub fn receive(&mut self, request: &Message<'_>) -> RequestOrder {
        let number = request.cseq().seq;
        if matches!(request.method(), Method::Ack | Method::Cancel) {
            return if self.remote_invite_cseq == Some(number) { RequestOrder::Next } else { RequestOrder::Late };
        }
        match self.remote_cseq {
            Some(newest) if number < newest => return RequestOrder::Late,
            Some(newest) if number == newest => return RequestOrder::Again,
            Some(_) | None => self.remote_cseq = Some(number),
        }
        if *request.method() == Method::Invite {
            self.remote_invite_cseq = Some(number);
        }
        RequestOrder::Next
    }

    /// Takes the peer's new address from an accepted re-INVITE or UPDATE, or from the 2xx to ours (RFC 3261 §12.2, RFC 6141).
    pub fn refresh_target(&mut self, message: &Message<'_>) {
        if let Some(contact) = message.contacts().next() {
            self.remote_target = UriBuf::from(contact.uri);
        }
    }

    /// A new request in this dialog with the next CSeq; Via is pushed by whoever sends it. INVITE and UPDATE, which refresh the
    /// peer's view of us, carry our Contact. For ACK use [`Self::ack`].
    pub fn request(&mut self, method: Method) -> Request {
        self.local_cseq += 1;
        self.build(method, self.local_cseq)
    }

    /// The ACK of the 2xx to our INVITE with this CSeq (RFC 3261 §13.2.2.4): along the route set, with a branch of its own.
    pub fn ack(&self, invite_cseq: u32) -> Request {
        self.build(Method::Ack, invite_cseq)
    }

    /// Keeps the ACK as sent, because each repetition of the 2xx is answered with the same one.
    pub fn remember_ack(&mut self, invite_cseq: u32, ack: Arc<[u8]>) {
        self.ack = Some((invite_cseq, ack));
    }

    /// The ACK that was sent for the INVITE with this CSeq, if it is the last.
    pub fn remembered_ack(&self, invite_cseq: u32) -> Option<&Arc<[u8]>> {
        self.ack.as_ref().filter(|(cseq, _)| *cseq == invite_cseq).map(|(_, ack)| ack)
    }

    fn learn_route(&mut self, response: &Message<'_>) {
        self.route_set = response.record_routes().map(|route| route.to_owned()).collect();
        self.route_set.reverse();
        self.refresh_target(response);
    }

    fn build(&self, method: Method, cseq: u32) -> Request {
        let (uri, routes) = self.route();
        let refreshes = matches!(method, Method::Invite | Method::Update | Method::Subscribe | Method::Refer);
        let id = self.id.call_id.clone();
        let mut request = Request::new(method, uri, self.local.clone(), self.remote.clone(), id, cseq);
        request.next_hop = Some(self.next_hop().clone());
        request.headers.extend(routes.into_iter().map(|route| Header::Address(AddressHeader::Route, route)));
        if refreshes {
            request.headers.push(Header::Address(AddressHeader::Contact, self.contact.clone()));
        }
        request
    }

    /// The Request-URI and the Route values (RFC 3261 §12.2.1.1): a strict router takes the place of the target, which then
    /// travels as the last Route.
    fn route(&self) -> (UriBuf, Vec<Address>) {
        match self.route_set.split_first() {
            Some((first, rest)) if !first.uri.uri().is_loose_router() => {
                let target = Address::new(self.remote_target.clone());
                (as_request_uri(&first.uri), rest.iter().cloned().chain([target]).collect())
            }
            Some(_) | None => (self.remote_target.clone(), self.route_set.clone()),
        }
    }
}

/// A URI without what may not stand in a Request-URI: headers and the `method` parameter (RFC 3261 §19.1.1).
fn as_request_uri(uri: &UriBuf) -> UriBuf {
    let UriKind::Sip(sip) = uri.uri().kind() else { return uri.clone() };
    let text = uri.as_str();
    let without_headers = text.get(..text.len() - sip.headers.len()).unwrap_or(text).trim_end_matches('?');
    let place = without_headers.strip_suffix(sip.params).unwrap_or(without_headers);
    let is_kept = |param: &&str| !param.is_empty() && !param.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case("method"));
    let params: String = sip.params.split(';').filter(is_kept).flat_map(|param| [";", param]).collect();
    UriBuf::new(&format!("{place}{params}")).unwrap_or_else(|| uri.clone())
}
