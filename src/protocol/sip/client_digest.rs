//! Digest as client (RFC 3261 §22, RFC 7616 §3.3, RFC 8760): one account's answers to the challenges of one realm.
//!
//! A challenge of another realm is never answered, whatever it offers, and one request is tried again twice at most, so that a
//! peer with a new nonce each time hears no endless stream of answers. Who may ask at all is decided by whoever holds this: there
//! is one only where we sent a request of our own to the account's server.

use std::sync::Arc;

use super::{
    build::{CredentialsHeader, Header},
    digest::{Algorithm, Challenge, Credentials, Ha1, MAX_CREDENTIALS},
    field::Method,
    header::HeaderId,
    message::Message,
};

/// How often one request is sent again with credentials.
pub const MAX_ROUNDS: u8 = 2;

/// Who we are to a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientAccount {
    /// The user name of the digest.
    pub username: String,
    /// The realm whose challenges are answered.
    pub realm: String,
    /// The hashes of the password; the password itself is not kept.
    ha1: Ha1,
}

impl ClientAccount {
    /// An account with its password.
    pub fn new(username: &str, realm: &str, password: &str) -> Self {
        Self { username: username.to_owned(), realm: realm.to_owned(), ha1: Ha1::of(username, realm, password) }
    }
}

/// Why a challenge gets no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unanswered {
    /// It is no 401 or 407, or names no realm of ours with an algorithm and quality that we know.
    #[error("no challenge of the account's realm that can be answered")]
    OtherRealm,
    /// The same nonce again: the server does not take the password.
    #[error("the server does not take the account's password")]
    Refused,
    /// The request was sent again as often as it may be.
    #[error("the server challenges without end")]
    TooManyRounds,
}

/// A challenge in use.
#[derive(Clone, Debug)]
struct Session {
    header: CredentialsHeader,
    challenge: Challenge,
    cnonce: String,
    /// Requests made with this nonce (RFC 7616 §3.4).
    count: u32,
}

/// The client side of one dialog or registration.
#[derive(Clone, Debug)]
pub struct ClientDigest {
    account: Arc<ClientAccount>,
    session: Option<Session>,
    rounds: u8,
}

impl ClientDigest {
    /// For an account, before any challenge.
    pub fn new(account: Arc<ClientAccount>) -> Self {
        Self { account, session: None, rounds: 0 }
    }

    /// Takes the challenge of a 401 or 407 to a request of ours; the request is then to be made anew with a higher CSeq and
    /// [`Self::credentials`]. `cnonce` is random and new.
    ///
    /// # Errors
    /// Why the response is final after all.
    pub fn challenged(&mut self, response: &Message<'_>, cnonce: &str) -> Result<(), Unanswered> {
        let (ask, header) = match response.status() {
            Some(401) => (HeaderId::WwwAuthenticate, CredentialsHeader::Authorization),
            Some(407) => (HeaderId::ProxyAuthenticate, CredentialsHeader::ProxyAuthorization),
            Some(_) | None => return Err(Unanswered::OtherRealm),
        };
        let offered = response.header_lines(ask).take(MAX_CREDENTIALS).filter_map(|value| Challenge::parse(value).ok());
        let ours: Vec<Challenge> = offered.filter(|challenge| challenge.realm == *self.account.realm).collect();
        let by = |algorithm| ours.iter().find(|challenge| challenge.algorithm == algorithm);
        let challenge = by(Algorithm::Sha256).or_else(|| by(Algorithm::Md5)).ok_or(Unanswered::OtherRealm)?;
        if self.rounds >= MAX_ROUNDS {
            return Err(Unanswered::TooManyRounds);
        }
        let known = self.session.as_ref().filter(|session| session.header == header && session.challenge.nonce == challenge.nonce);
        if known.is_some() && self.rounds > 0 && !challenge.stale {
            return Err(Unanswered::Refused);
        }
        // A nonce that is known goes on being counted; a count that began anew would be a replay.
        let count = known.map_or(0, |session| session.count);
        self.rounds += 1;
        self.session = Some(Session { header, challenge: challenge.clone(), cnonce: cnonce.to_owned(), count });
        Ok(())
    }

    /// The request was answered with something else than a challenge: the next one has all its rounds.
    pub fn settled(&mut self) {
        self.rounds = 0;
    }

    /// The header that proves who we are in a request with this method and Request-URI; `None` before the first challenge.
    pub fn credentials(&mut self, method: &Method, uri: &str) -> Option<Header> {
        let session = self.session.as_mut()?;
        session.count += 1;
        let (account, count) = (&self.account, session.count);
        let credentials: Credentials = session.challenge.answer(&account.username, &account.ha1, method, uri, &session.cnonce, count)?;
        Some(Header::Credentials(session.header, credentials))
    }

    /// The account's user name.
    pub fn username(&self) -> &str {
        &self.account.username
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sip::{
        digest::{Authenticator, ChallengeOffer, Verdict},
        parse::parse,
        uri::Uri,
    };

    const URI: &str = "sip:+442079460018@sip.example.net";

    fn response(status: u16, lines: &[&str]) -> String {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        format!(
            "SIP/2.0 {status} No\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@y>;tag=2\r\n\
             Call-ID: c\r\nCSeq: 1 INVITE\r\n{lines}Content-Length: 0\r\n\r\n"
        )
    }

    fn digest() -> ClientDigest {
        ClientDigest::new(Arc::new(ClientAccount::new("acme", "carrier", "secret")))
    }

    fn challenged(client: &mut ClientDigest, status: u16, lines: &[&str]) -> Result<(), Unanswered> {
        let text = response(status, lines);
        client.challenged(&parse(text.as_bytes()).expect("readable"), "c1")
    }

    fn credentials(client: &mut ClientDigest, method: &Method) -> (CredentialsHeader, Credentials) {
        match client.credentials(method, URI) {
            Some(Header::Credentials(header, credentials)) => (header, credentials),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_server_side_accepts_what_the_client_side_answers_with_each_algorithm_and_counts_on() {
        let uri = Uri::parse(URI.as_bytes()).expect("uri");
        for offer in [ChallengeOffer::Both, ChallengeOffer::Sha256Only, ChallengeOffer::Md5Only] {
            let mut server = Authenticator::new("carrier", [3; 32]);
            let lines: Vec<String> = server
                .challenges(offer, false, 1_000, 7)
                .iter()
                .map(|c| {
                    format!(
                        "Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"{}\", qop=\"auth\", algorithm={}",
                        c.nonce,
                        c.algorithm.name()
                    )
                })
                .collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let mut client = digest();
            assert_eq!(challenged(&mut client, 407, &lines), Ok(()));
            let ha1 = Ha1::of("acme", "carrier", "secret");
            for method in [Method::Invite, Method::Bye, Method::Register] {
                let (header, sent) = credentials(&mut client, &method);
                assert_eq!(header, CredentialsHeader::ProxyAuthorization);
                assert_eq!(server.verify(&sent, Some(&ha1), &method, &uri, 2_000), Verdict::Accepted, "{method} {offer:?}");
            }
        }
    }

    #[test]
    fn sha_256_is_taken_before_md5_whatever_the_order() {
        let mut client = digest();
        let md5 = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n\", algorithm=MD5, qop=\"auth\"";
        let sha = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n\", algorithm=SHA-256, qop=\"auth,auth-int\"";
        assert_eq!(challenged(&mut client, 401, &[md5, sha]), Ok(()));
        let (header, sent) = credentials(&mut client, &Method::Invite);
        assert_eq!((header, sent.algorithm), (CredentialsHeader::Authorization, Algorithm::Sha256));
    }

    #[test]
    fn nothing_is_said_to_another_realm_scheme_algorithm_or_status() {
        let realm = "Digest realm=\"attacker\", nonce=\"n\", qop=\"auth\"";
        for (status, line) in [
            (401, format!("WWW-Authenticate: {realm}")),
            (407, format!("Proxy-Authenticate: {realm}")),
            (401, "WWW-Authenticate: Digest realm=\"CARRIER\", nonce=\"n\"".to_owned()),
            (401, "Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"n\"".to_owned()),
            (401, "WWW-Authenticate: Basic realm=\"carrier\"".to_owned()),
            (401, "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n\", algorithm=SHA-512".to_owned()),
            (401, "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n\", qop=\"auth-int\"".to_owned()),
            (403, "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n\"".to_owned()),
            (401, "X-Nothing: x".to_owned()),
        ] {
            let mut client = digest();
            assert_eq!(challenged(&mut client, status, &[&line]), Err(Unanswered::OtherRealm), "{status} {line}");
            assert_eq!(client.credentials(&Method::Invite, URI), None);
        }
    }

    #[test]
    fn a_peer_with_endless_new_nonces_hears_two_answers() {
        let mut client = digest();
        let line = |n: u8| format!("WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n{n}\", stale=true, qop=\"auth\"");
        assert_eq!(challenged(&mut client, 401, &[&line(1)]), Ok(()));
        assert_eq!(challenged(&mut client, 401, &[&line(2)]), Ok(()));
        assert_eq!(challenged(&mut client, 401, &[&line(3)]), Err(Unanswered::TooManyRounds));
        client.settled();
        assert_eq!(challenged(&mut client, 401, &[&line(4)]), Ok(()), "the next request is another matter");
    }

    #[test]
    fn the_same_nonce_again_means_a_wrong_password_unless_it_is_stale() {
        let line = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n\", qop=\"auth\"";
        let mut client = digest();
        assert_eq!(challenged(&mut client, 401, &[line]), Ok(()));
        assert_eq!(credentials(&mut client, &Method::Invite).1.qop_auth.map(|(_, count)| count), Some(1));
        assert_eq!(challenged(&mut client, 401, &[line]), Err(Unanswered::Refused));
        client.settled();
        assert_eq!(challenged(&mut client, 401, &[line]), Ok(()), "a BYE is asked with the nonce of the INVITE");
        assert_eq!(credentials(&mut client, &Method::Bye).1.qop_auth.map(|(_, count)| count), Some(2), "counted on, never again from one");
    }

    #[test]
    fn an_old_server_without_qop_gets_the_old_answer() {
        let mut client = digest();
        let line = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n\", opaque=\"o\"";
        assert_eq!(challenged(&mut client, 401, &[line]), Ok(()));
        let (_, sent) = credentials(&mut client, &Method::Register);
        assert_eq!(
            (sent.algorithm, sent.qop_auth.clone(), sent.opaque.map(|o| o.as_str().to_owned())),
            (Algorithm::Md5, None, Some("o".to_owned()))
        );
    }

    #[test]
    fn neither_password_nor_hash_shows_in_debug() {
        let shown = format!("{:?}", digest());
        assert!(shown.contains("acme") && !shown.contains("secret"), "{shown}");
        assert!(!shown.contains(&Ha1::of("acme", "carrier", "secret").to_hex(Algorithm::Md5).expect("hash")));
    }
}
