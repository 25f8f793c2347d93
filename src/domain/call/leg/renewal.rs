//! Re-INVITE and UPDATE of ours: the other side's codec, and refreshes of the session. Crossing offers are retried (RFC 3261 §14.1).
//!
//! ```text
//! wanted ──▶ sent ──▶ 2xx: ACK, agreed │ 491: again after 2.1–4 s (our Call-ID) or 0–2 s │ 408, 481, silence: the dialog is lost
//!    ▲                                 └ any other refusal: the session stays as it was (§14.1)
//!    └── not before an INVITE of the peer has its ACK
//! ```

use std::time::{Duration, Instant};

use super::{
    Leg, State,
    session_timer::{MAX_SESSION_SECONDS, MIN_SESSION_SECONDS, Refresh, SessionTimer},
    wire,
};
use crate::{
    domain::{
        call::{LegEnd, Purpose, counters::Counter, event::LegEvent, turn::Turn},
        media::plan::Codec,
    },
    protocol::sdp::{Sdp, Session},
    protocol::sip::{
        build::{Body, Header, NumberHeader, Refresher},
        dialog::ends_dialog,
        field::Method,
        header::HeaderId,
        message::Message,
    },
};

/// How often one offer of ours is sent at most: glare that lasts longer is a peer that never lets us.
const MAX_TRIES: u8 = 5;
/// The longest Retry-After that is waited for in a dialog, seconds (RFC 3261 §14.1 names 0 to 10).
const MAX_RETRY_AFTER_SECONDS: u32 = 10;

/// What a request of ours in the dialog is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Codec(Codec),
    Refresh,
}

/// A request of ours that waits for its final response.
#[derive(Debug)]
struct Sent {
    want: Want,
    method: Method,
    cseq: u32,
    /// The session as it was: a refused offer changes nothing.
    before: Session,
}

/// Offers of ours in a confirmed dialog.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    codec: Option<Codec>,
    /// What the peer refused: not asked for again.
    refused: Vec<Codec>,
    sent: Option<Sent>,
    not_before: Option<Instant>,
    tries: u8,
}

impl Renewal {
    /// Whether an offer of the peer would cross one of ours: a re-INVITE of ours, which is one, or waits to become one.
    pub fn crosses(&self) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.method == Method::Invite)
    }
}

impl Leg {
    /// Asks the peer to speak `codec`, because the other side of the call does: relayed audio is better than audio coded twice.
    /// Nothing happens where it does already, never named that codec (a phone might answer by switching its audio off), has refused
    /// before, or holds the call.
    pub fn ask_for_codec(&mut self, turn: &mut Turn<'_>, codec: Codec) {
        let asked = self.renewal.codec == Some(codec);
        if asked || self.codec() == codec || !self.knows.contains(&codec) || self.peer_holds() || self.renewal.refused.contains(&codec) {
            return;
        }
        self.renewal.codec = Some(codec);
        self.renewal.tries = 0;
        self.pursue(turn);
    }

    /// When [`Leg::pursue`] has something to do.
    pub(super) fn renewal_at(&self) -> Option<Instant> {
        let State::Up { await_ack: None, leaving: false, .. } = &self.state else { return None };
        if self.renewal.sent.is_some() {
            return None;
        }
        let refresh = match self.refresh {
            Some(Refresh::ByUs { at, .. }) => Some(at),
            Some(Refresh::ByPeer { .. }) | None => None,
        };
        let codec = self.renewal.codec.and(self.renewal.not_before);
        codec.into_iter().chain(refresh.map(|at| self.renewal.not_before.map_or(at, |not_before| at.max(not_before)))).min()
    }

    /// Sends what is wanted of the peer, once nothing stands in the way.
    pub(super) fn pursue(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now.mono;
        let free = matches!(&self.state, State::Up { await_ack: None, leaving: false, .. }) && self.renewal.sent.is_none();
        if !free || self.renewal.not_before.is_some_and(|at| now < at) {
            return;
        }
        self.renewal.not_before = None;
        // A peer that holds by now is asked when it is back: an offer of ours might end its hold.
        let (agreed, holds) = (self.codec(), self.peer_holds());
        self.renewal.codec = self.renewal.codec.filter(|wanted| *wanted != agreed && !holds);
        match (self.renewal.codec, self.refresh) {
            (Some(codec), _) => {
                turn.count(Counter::CodecAsked);
                self.offer_again(turn, Want::Codec(codec));
            }
            (None, Some(Refresh::ByUs { at, .. })) if now >= at => self.offer_again(turn, Want::Refresh),
            (None, Some(Refresh::ByUs { .. } | Refresh::ByPeer { .. }) | None) => {}
        }
    }

    fn offer_again(&mut self, turn: &mut Turn<'_>, want: Want) {
        let before = self.session.clone();
        let (method, sdp) = match want {
            Want::Codec(codec) => (Method::Invite, Some(self.session.offer(&self.local_media(turn, &[codec])))),
            Want::Refresh if self.serves_update => (Method::Update, None),
            Want::Refresh => (Method::Invite, Some(self.session.last())),
        };
        let State::Up { dialog, .. } = &mut self.state else { return };
        let mut request = dialog.request(method.clone());
        request.headers.extend([wire::allow(), wire::supported()]);
        if let Some(Refresh::ByUs { seconds, .. }) = self.refresh {
            request.headers.push(Header::SessionExpires(seconds, Some(Refresher::Uac)));
            request.headers.extend((seconds > MIN_SESSION_SECONDS).then_some(Header::Number(NumberHeader::MinSe, MIN_SESSION_SECONDS)));
        }
        request.body = sdp.map(Body::sdp);
        self.renewal.sent = Some(Sent { want, method, cseq: request.cseq, before });
        self.renewal.tries += 1;
        self.send(turn, Purpose::Renew, request);
    }

    /// The same offer again, now that the peer's challenge can be answered. False where none waits.
    pub(super) fn renew_again(&mut self, turn: &mut Turn<'_>) -> bool {
        let Some(sent) = self.renewal.sent.take() else { return false };
        self.session.take_back(sent.before);
        self.renewal.not_before = None;
        self.pursue(turn);
        true
    }

    /// A response to a re-INVITE or UPDATE of ours.
    pub(super) fn on_renewed(&mut self, turn: &mut Turn<'_>, status: u16, response: &Message<'_>) -> Option<LegEvent> {
        if status < 200 {
            return None;
        }
        let cseq = response.cseq().seq;
        let success = status < 300;
        if success && response.cseq().method == Method::Invite && self.acknowledge_renewal(turn, cseq) {
            return None;
        }
        let sent = self.renewal.sent.take_if(|sent| sent.cseq == cseq)?;
        if !matches!(self.state, State::Up { leaving: false, .. }) {
            return None;
        }
        if success { self.renewed(turn, &sent, response) } else { self.renewal_refused(turn, sent, status, response) }
    }

    /// Acknowledges a 2xx to a re-INVITE of ours, whatever else has happened; true where it came again.
    fn acknowledge_renewal(&mut self, turn: &mut Turn<'_>, cseq: u32) -> bool {
        let (State::Up { dialog, .. } | State::Closing { dialog }) = &self.state else { return true };
        if let Some(ack) = dialog.remembered_ack(cseq).map(|ack| ack.to_vec()) {
            let flow = self.hop_by(self.flow, &dialog.ack(cseq));
            self.send_ack(turn, flow, ack);
            return true;
        }
        let mut dialog = dialog.clone();
        self.acknowledge(turn, &mut dialog, cseq);
        if let State::Up { dialog: own, .. } | State::Closing { dialog: own } = &mut self.state {
            *own = dialog;
        }
        false
    }

    fn renewed(&mut self, turn: &mut Turn<'_>, sent: &Sent, response: &Message<'_>) -> Option<LegEvent> {
        if let State::Up { dialog, .. } = &mut self.state {
            dialog.refresh_target(response);
        }
        match (SessionTimer::agreed(response), self.refresh) {
            // A peer without timers took the request all the same: we go on refreshing.
            (SessionTimer::None, Some(Refresh::ByUs { seconds, .. })) => {
                self.restart_refresh(turn, SessionTimer::Us { seconds, peer_knows: false });
            }
            (SessionTimer::None, Some(Refresh::ByPeer { .. }) | None) => {}
            (agreed, _) => self.restart_refresh(turn, agreed),
        }
        self.renewal.tries = 0;
        if let Want::Codec(_) = sent.want {
            self.renewal.codec = None;
        }
        let answer = match sent.method {
            Method::Invite => Sdp::parse(response.sdp()).ok().and_then(|answer| self.session.read_answer(&answer).ok()),
            _ => return None,
        };
        let Some(negotiated) = answer else {
            // A 200 that says nothing of use: what was agreed before goes on.
            turn.count(Counter::NotAcceptable);
            self.session.take_back(sent.before.clone());
            return None;
        };
        let changed = self.negotiated.as_ref() != Some(&negotiated);
        self.agree(negotiated);
        changed.then_some(LegEvent::Renewed)
    }

    fn renewal_refused(&mut self, turn: &mut Turn<'_>, sent: Sent, status: u16, response: &Message<'_>) -> Option<LegEvent> {
        let Sent { want, method, before, .. } = sent;
        self.session.take_back(before);
        if ends_dialog(status) {
            self.bye(turn);
            return Some(LegEvent::Ended(LegEnd::DialogLost));
        }
        let after = response.seconds(HeaderId::RetryAfter).filter(|seconds| *seconds <= MAX_RETRY_AFTER_SECONDS);
        let again = match (status, method, after) {
            (491, _, _) => Some(self.glare_wait(turn)),
            (422, _, _) => {
                self.lengthen(response.seconds(HeaderId::MinSe));
                Some(Duration::ZERO)
            }
            (405 | 501, Method::Update, _) => {
                self.serves_update = false;
                Some(Duration::ZERO)
            }
            (500, _, Some(seconds)) => Some(Duration::from_secs(seconds.into())),
            _ => None,
        };
        match again.filter(|_| self.renewal.tries < MAX_TRIES) {
            Some(wait) => {
                self.renewal.not_before = Some(turn.now.mono + wait);
                if wait.is_zero() {
                    self.pursue(turn);
                }
            }
            None => self.give_up(want),
        }
        None
    }

    /// How long an offer that crossed the peer's waits (RFC 3261 §14.1): in steps of 10 ms, longer for the owner of the Call-ID.
    fn glare_wait(&self, turn: &mut Turn<'_>) -> Duration {
        turn.count(Counter::GlareRetried);
        let steps = if self.branches.is_empty() { turn.tokens.below(201) } else { 210 + turn.tokens.below(191) };
        Duration::from_millis(u64::from(steps) * 10)
    }

    fn lengthen(&mut self, least: Option<u32>) {
        if let Some(Refresh::ByUs { seconds, .. }) = &mut self.refresh {
            *seconds = least.unwrap_or(*seconds).clamp(*seconds, MAX_SESSION_SECONDS);
        }
    }

    /// The peer will not: the session stays as it is, and one that is not refreshed ends at its time.
    fn give_up(&mut self, want: Want) {
        self.renewal.tries = 0;
        match (want, &mut self.refresh) {
            (Want::Codec(codec), _) => {
                self.renewal.codec = None;
                self.renewal.refused.push(codec);
            }
            (Want::Refresh, Some(Refresh::ByUs { at, end, .. })) => *at = *end,
            (Want::Refresh, Some(Refresh::ByPeer { .. }) | None) => {}
        }
    }

    /// Nobody answered: the dialog is lost (RFC 3261 §12.2.1.2).
    pub(super) fn renewal_unanswered(&mut self, turn: &mut Turn<'_>) -> Option<LegEvent> {
        let sent = self.renewal.sent.take()?;
        self.session.take_back(sent.before);
        if !matches!(self.state, State::Up { leaving: false, .. }) {
            return None;
        }
        self.bye(turn);
        Some(LegEvent::Ended(LegEnd::DialogLost))
    }
}
