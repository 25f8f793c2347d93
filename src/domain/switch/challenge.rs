//! Digest challenges: two algorithms at first, MD5 alone for a phone that stopped at the first, and never more octets than allowed.

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
        digest::{ChallengeOffer, Credentials, Verdict},
        message::Message,
    },
};

/// Sources remembered that were challenged and have not answered: a site of phones that knows no SHA-256.
const MAX_CHALLENGED: usize = 4096;
/// How long one is remembered: phones that fail come back within a few minutes.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Sources that have an unanswered or wrongly answered two-algorithm challenge.
#[derive(Debug, Default)]
pub(super) struct Challenged {
    since: BTreeMap<SocketAddr, Instant>,
    order: VecDeque<(Instant, SocketAddr)>,
}

impl Challenged {
    fn note(&mut self, now: Instant, source: SocketAddr) {
        while self.order.len() >= MAX_CHALLENGED
            || self.order.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > REMEMBERED)
        {
            let Some((at, old)) = self.order.pop_front() else { break };
            if self.since.get(&old) == Some(&at) {
                self.since.remove(&old);
            }
        }
        if self.since.insert(source, now) != Some(now) {
            self.order.push_back((now, source));
        }
    }

    fn failed(&self, now: Instant, source: SocketAddr) -> bool {
        self.since.get(&source).is_some_and(|at| now.saturating_duration_since(*at) <= REMEMBERED)
    }

    fn answered(&mut self, source: SocketAddr) {
        self.since.remove(&source);
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
    pub(super) fn identify(&mut self, request: &Message<'_>, source: SocketAddr) -> Identified {
        let realm = self.config.policy.domain.clone();
        let credentials = match Credentials::in_request(request, CredentialsHeader::Authorization, &realm) {
            Ok(Some(credentials)) => credentials,
            Ok(None) => return Identified::Answer(self.challenge(request, source, false)),
            Err(_) => return Identified::Answer(self.reply(request, 400, source)),
        };
        let Some(uri) = request.request_uri() else { return Identified::Answer(self.reply(request, 400, source)) };
        let phone = self.people.by_user(credentials.username.as_str());
        let now_ms = u64::try_from(self.now.wall.0).unwrap_or(0);
        let account = phone.map(|phone| &phone.ha1);
        match self.authenticator.verify(&credentials, account, request.method(), &uri, now_ms) {
            Verdict::Accepted => {
                self.challenged.answered(source);
                match phone {
                    Some(phone) => Identified::Account(phone.account.id),
                    None => Identified::Answer(self.challenge(request, source, false)),
                }
            }
            Verdict::Stale => Identified::Answer(self.challenge(request, source, true)),
            Verdict::OtherUri => Identified::Answer(self.reply(request, 400, source)),
            Verdict::Refused => {
                self.counters.count(Counter::WrongCredentials);
                Identified::Answer(self.challenge(request, source, false))
            }
        }
    }

    fn challenge(&mut self, request: &Message<'_>, source: SocketAddr, stale: bool) -> Response {
        let now = self.now.mono;
        let failed_before = !stale && self.challenged.failed(now, source);
        let offer = match (self.config.md5, failed_before) {
            (false, _) => ChallengeOffer::Sha256Only,
            (true, true) => ChallengeOffer::Md5Only,
            (true, false) => ChallengeOffer::Both,
        };
        let salt = self.tokens.below(u32::MAX);
        let mut response = self.challenge_with(request, source, offer, stale, salt);
        // RFC 8760 wants both; an answer much larger than the request would make us an amplifier.
        if offer == ChallengeOffer::Both && 2 * response.to_bytes().len() > 3 * request.datagram().len() {
            response = self.challenge_with(request, source, ChallengeOffer::Sha256Only, stale, salt);
        }
        if failed_before {
            self.counters.count(Counter::ChallengedMd5);
            self.challenged.answered(source);
        } else if !stale && self.config.md5 {
            self.challenged.note(now, source);
        }
        self.counters.count(Counter::Challenged);
        response
    }

    fn challenge_with(&self, request: &Message<'_>, source: SocketAddr, offer: ChallengeOffer, stale: bool, salt: u32) -> Response {
        let now_ms = u64::try_from(self.now.wall.0).unwrap_or(0);
        let challenges = self.authenticator.challenges(offer, stale, now_ms, salt);
        let mut response = self.reply(request, 401, source);
        response.headers.extend(challenges.into_iter().map(|challenge| Header::Challenge(ChallengeHeader::WwwAuthenticate, challenge)));
        response
    }
}
