//! Digest challenges: what the listener offers; where that is SHA-256 before MD5, MD5 alone for a phone that stopped at the first;
//! and never more octets than allowed.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{Counter, Switch};
use crate::{
    ids::PhoneId,
    protocol::sip::{
        build::{ChallengeHeader, CredentialsHeader, Header, Response},
        digest::{Algorithm, ChallengeOffer, Credentials, Verdict},
        flow::Flow,
        message::Message,
    },
};

/// Sources remembered of each kind: a site of phones that knows no SHA-256.
const MAX_REMEMBERED: usize = 4096;
/// How long an unanswered challenge is remembered: phones that fail come back within a few minutes.
const UNANSWERED: Duration = Duration::from_secs(600);
/// How long a phone that answered by MD5 is: longer than a registration lasts, which then renews it.
const BY_MD5: Duration = Duration::from_secs(2 * 3_600);

/// Sources that are offered MD5 alone. Strangers fill only the first of the two, so that they cannot push out phones that are in.
#[derive(Debug, Default)]
pub(super) struct Challenged {
    /// Got two algorithms and answered with none, or wrongly.
    unanswered: Sources,
    /// Proved who they are by MD5.
    by_md5: Sources,
}

impl Challenged {
    fn offered_both(&mut self, now: Instant, source: SocketAddr) {
        self.unanswered.note(now, source, UNANSWERED);
    }

    fn md5_alone(&self, now: Instant, source: SocketAddr) -> bool {
        self.unanswered.knows(now, source) || self.by_md5.knows(now, source)
    }

    fn accepted(&mut self, now: Instant, source: SocketAddr, algorithm: Algorithm) {
        self.unanswered.until.remove(&source);
        match algorithm {
            Algorithm::Md5 => self.by_md5.note(now, source, BY_MD5),
            Algorithm::Sha256 => {
                self.by_md5.until.remove(&source);
            }
        }
    }
}

/// Addresses, each until some time; the longest unrenewed goes first when there are too many.
#[derive(Debug, Default)]
struct Sources {
    until: BTreeMap<SocketAddr, Instant>,
    order: VecDeque<(Instant, SocketAddr)>,
}

impl Sources {
    fn note(&mut self, now: Instant, source: SocketAddr, time: Duration) {
        while self.order.len() >= MAX_REMEMBERED || self.order.front().is_some_and(|(until, _)| now > *until) {
            let Some((until, old)) = self.order.pop_front() else { break };
            if self.until.get(&old) == Some(&until) {
                self.until.remove(&old);
            }
        }
        let until = now + time;
        if self.until.insert(source, until) != Some(until) {
            self.order.push_back((until, source));
        }
    }

    fn knows(&self, now: Instant, source: SocketAddr) -> bool {
        self.until.get(&source).is_some_and(|until| now <= *until)
    }
}

/// What credentials came to.
pub(super) enum Identified {
    /// This account sent the request.
    Account(PhoneId),
    /// It did not prove who it is: this is the answer.
    Answer(Response),
}

impl Switch {
    /// Judges a request's credentials, and makes the challenge where they are missing or wrong.
    pub(super) fn identify(&mut self, flow: Flow, request: &Message<'_>) -> Identified {
        let source = flow.remote;
        let realm = self.config.policy.domain.clone();
        let offered = self.offered_at(flow);
        let credentials = match Credentials::in_request(request, CredentialsHeader::Authorization, &realm, offered) {
            Ok(Some(credentials)) => credentials,
            Ok(None) => {
                let other = Credentials::in_request(request, CredentialsHeader::Authorization, &realm, ChallengeOffer::Both);
                if matches!(other, Ok(Some(_))) {
                    self.counters.count(Counter::DigestNotOffered);
                }
                self.stranger_failed(flow, false);
                return Identified::Answer(self.challenge(request, flow, false));
            }
            Err(_) => return Identified::Answer(self.reply(request, 400, source)),
        };
        let Some(uri) = request.request_uri() else { return Identified::Answer(self.reply(request, 400, source)) };
        let phone = self.people.by_user(credentials.username.as_str());
        let now_ms = u64::try_from(self.steady_ms()).unwrap_or(0);
        let account = phone.map(|phone| &phone.ha1);
        match self.authenticator.verify(&credentials, account, request.method(), &uri, now_ms) {
            Verdict::Accepted => {
                self.challenged.accepted(self.now.mono, source, credentials.algorithm);
                match phone.map(|phone| phone.account.id) {
                    Some(phone) => {
                        self.stranger_succeeded(self.now.mono, flow);
                        Identified::Account(phone)
                    }
                    None => Identified::Answer(self.challenge(request, flow, false)),
                }
            }
            Verdict::Stale => Identified::Answer(self.challenge(request, flow, true)),
            Verdict::OtherUri => Identified::Answer(self.reply(request, 400, source)),
            Verdict::Refused => {
                self.counters.count(Counter::WrongCredentials);
                // Phones with a mistyped password try again as long as they are challenged: the last answer before the silence
                // ends that, and says on their display that they are refused (RFC 3261 §21.4.4).
                if self.stranger_failed(flow, true) {
                    return Identified::Answer(self.reply(request, 403, source));
                }
                Identified::Answer(self.challenge(request, flow, false))
            }
        }
    }

    /// What the listener offers that this came to.
    fn offered_at(&self, flow: Flow) -> ChallengeOffer {
        let listener = self.config.policy.listeners.get(usize::from(flow.listener.0));
        listener.map_or(ChallengeOffer::Sha256Only, |listener| listener.digest)
    }

    fn challenge(&mut self, request: &Message<'_>, flow: Flow, stale: bool) -> Response {
        let (now, source) = (self.now.mono, flow.remote);
        let listed = self.offered_at(flow);
        // Where MD5 is not second, a phone that knows nothing else does not stop before it.
        let md5_alone = listed == ChallengeOffer::Both && self.challenged.md5_alone(now, source);
        let offer = if md5_alone { ChallengeOffer::Md5Only } else { listed };
        let salt = self.tokens.below(u32::MAX);
        let mut response = self.challenge_with(request, source, offer, stale, salt);
        // RFC 8760 wants both; an answer much larger than the request would make us an amplifier.
        if offer != offer.first() && 2 * response.to_bytes().len() > 3 * request.datagram().len() {
            response = self.challenge_with(request, source, offer.first(), stale, salt);
        }
        if md5_alone {
            self.counters.count(Counter::ChallengedMd5);
        } else if !stale && listed == ChallengeOffer::Both {
            self.challenged.offered_both(now, source);
        }
        self.counters.count(Counter::Challenged);
        response
    }

    fn challenge_with(&self, request: &Message<'_>, source: SocketAddr, offer: ChallengeOffer, stale: bool, salt: u32) -> Response {
        let now_ms = u64::try_from(self.steady_ms()).unwrap_or(0);
        let challenges = self.authenticator.challenges(offer, stale, now_ms, salt);
        let mut response = self.reply(request, 401, source);
        response.headers.extend(challenges.into_iter().map(|challenge| Header::Challenge(ChallengeHeader::WwwAuthenticate, challenge)));
        response
    }
}
