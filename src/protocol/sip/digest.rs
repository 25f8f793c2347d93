//! Digest authentication (RFC 7616, RFC 8760; RFC 2617 and 2069 for old phones): MD5 and SHA-256, `qop=auth`.
//!
//! The server side is [`Authenticator`]: nonces are MACs, counts are checked, an unknown user costs the same work as a known one.
//! The client side is [`Challenge::answer`].

use std::str::FromStr;

use md5::{Digest, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{
    build::CredentialsHeader,
    field::{Method, Text},
    header::auth_params,
    message::Message,
    nonce::{self, MAX_NONCES, NonceCheck, NonceWindow, hex, unhex},
    scan,
    uri::Uri,
};

/// Authorization lines read per request: one for us, few for proxies on the way.
pub const MAX_CREDENTIALS: usize = 8;

/// A hash algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    /// MD5, what old phones know.
    Md5,
    /// SHA-256 (RFC 8760).
    Sha256,
}

impl Algorithm {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// The hash of `parts` joined by colons, in lower-case hexadecimal.
    fn hash(self, parts: &[&str]) -> String {
        match self {
            Self::Md5 => joined::<Md5>(parts),
            Self::Sha256 => joined::<Sha256>(parts),
        }
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    /// Reads the name on the wire, in capitals or not.
    fn from_str(name: &str) -> Result<Self, DigestError> {
        [Self::Md5, Self::Sha256].into_iter().find(|a| a.name().eq_ignore_ascii_case(name)).ok_or(DigestError::Unsupported)
    }
}

fn joined<D: Digest>(parts: &[&str]) -> String {
    let mut hash = D::new();
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            hash.update(b":");
        }
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}

/// What is stored of a password: H(user:realm:password) per algorithm, hexadecimal on disk. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Ha1 {
    md5: Option<[u8; 16]>,
    sha256: Option<[u8; 32]>,
}

impl Ha1 {
    /// Both hashes of a password.
    pub fn of(user: &str, realm: &str, password: &str) -> Self {
        let parts = [user, realm, password];
        Self::from_hex(Some(&Algorithm::Md5.hash(&parts)), Some(&Algorithm::Sha256.hash(&parts)))
            .unwrap_or_else(|| unreachable!("hashes have their own length"))
    }

    /// Reads stored hashes; `None` when one has the wrong length or is not hexadecimal.
    pub fn from_hex(md5: Option<&str>, sha256: Option<&str>) -> Option<Self> {
        let (mut short, mut long) = ([0; 16], [0; 32]);
        let readable = md5.is_none_or(|m| unhex(m, &mut short)) && sha256.is_none_or(|s| unhex(s, &mut long));
        readable.then(|| Self { md5: md5.map(|_| short), sha256: sha256.map(|_| long) })
    }

    /// The hash of one algorithm in lower-case hexadecimal.
    pub fn to_hex(&self, algorithm: Algorithm) -> Option<String> {
        match algorithm {
            Algorithm::Md5 => self.md5.map(|h| hex(&h)),
            Algorithm::Sha256 => self.sha256.map(|h| hex(&h)),
        }
    }
}

impl std::fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ha1(…)")
    }
}

/// The value of WWW-Authenticate or Proxy-Authenticate.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Challenge {
    /// The realm.
    pub realm: Text,
    /// The nonce.
    pub nonce: Text,
    /// Echoed by the client when there.
    pub opaque: Option<Text>,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Whether the client's password was right and only its nonce old.
    pub stale: bool,
    /// Whether `qop=auth` is offered; RFC 2069 otherwise.
    pub qop_auth: bool,
}

/// The value of Authorization or Proxy-Authorization.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Credentials {
    /// The user name.
    pub username: Text,
    /// The realm.
    pub realm: Text,
    /// The nonce.
    pub nonce: Text,
    /// The digest URI.
    pub uri: Text,
    /// The hash, hexadecimal.
    pub response: Text,
    /// The algorithm; MD5 when not named.
    pub algorithm: Algorithm,
    /// Echo of the challenge's.
    pub opaque: Option<Text>,
    /// Client nonce and nonce count of `qop=auth`; `None` in RFC 2069.
    pub qop_auth: Option<(Text, u32)>,
}

/// Why a challenge or credentials are not usable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DigestError {
    /// Another scheme, algorithm or quality of protection: as if the header were not there.
    #[error("a scheme, algorithm or qop that is not supported")]
    Unsupported,
    /// A field that must be there is missing or unreadable: 400.
    #[error("malformed digest fields")]
    Malformed,
}

/// The fields after `Digest`, each without quotes.
struct Fields(Vec<(String, Text)>);

impl Fields {
    fn of(value: &[u8]) -> Result<Self, DigestError> {
        let (scheme, rest) = value.split_at(value.iter().position(|&b| scan::is_lws(b)).unwrap_or(value.len()));
        if !scheme.eq_ignore_ascii_case(b"Digest") {
            return Err(DigestError::Unsupported);
        }
        let fields = auth_params(rest).map(|p| p.map(|(n, v)| (n.to_ascii_lowercase(), Text::lossy(&scan::unquote(v)))));
        fields.collect::<Option<Vec<_>>>().map(Self).ok_or(DigestError::Malformed)
    }

    fn get(&self, name: &str) -> Option<Text> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
    }

    fn need(&self, name: &str) -> Result<Text, DigestError> {
        self.get(name).ok_or(DigestError::Malformed)
    }

    fn algorithm(&self) -> Result<Algorithm, DigestError> {
        self.get("algorithm").map_or(Ok(Algorithm::Md5), |a| a.as_str().parse())
    }
}

impl Challenge {
    /// Reads a challenge of a peer.
    ///
    /// # Errors
    /// See [`DigestError`].
    pub fn parse(value: &[u8]) -> Result<Self, DigestError> {
        let fields = Fields::of(value)?;
        let qop_auth = match fields.get("qop") {
            None => false,
            Some(qop) if qop.as_str().split(',').any(|q| q.trim().eq_ignore_ascii_case("auth")) => true,
            Some(_) => return Err(DigestError::Unsupported),
        };
        Ok(Self {
            realm: fields.need("realm")?,
            nonce: fields.need("nonce")?,
            opaque: fields.get("opaque"),
            algorithm: fields.algorithm()?,
            stale: fields.get("stale").is_some_and(|s| s.as_str().eq_ignore_ascii_case("true")),
            qop_auth,
        })
    }

    /// Answers as client. `cnonce` is random and new for each nonce; `nc` starts at 1 and grows by one per request with this nonce.
    /// `None` when the stored hashes lack the challenge's algorithm.
    pub fn answer(&self, username: &str, ha1: &Ha1, method: &Method, uri: &str, cnonce: &str, nc: u32) -> Option<Credentials> {
        let mut credentials = Credentials {
            username: Text::new(username),
            realm: self.realm.clone(),
            nonce: self.nonce.clone(),
            uri: Text::new(uri),
            response: Text::default(),
            algorithm: self.algorithm,
            opaque: self.opaque.clone(),
            qop_auth: self.qop_auth.then(|| (Text::new(cnonce), nc)),
        };
        credentials.response = Text::new(&credentials.expected(&ha1.to_hex(self.algorithm)?, method.as_str()));
        Some(credentials)
    }
}

impl Credentials {
    /// Reads the credentials of a client.
    ///
    /// # Errors
    /// See [`DigestError`].
    pub fn parse(value: &[u8]) -> Result<Self, DigestError> {
        let fields = Fields::of(value)?;
        let qop_auth = match fields.get("qop") {
            None => None,
            Some(qop) if qop.as_str().eq_ignore_ascii_case("auth") => {
                let nc = u32::from_str_radix(fields.need("nc")?.as_str(), 16).map_err(|_| DigestError::Malformed)?;
                Some((fields.need("cnonce")?, nc))
            }
            Some(_) => return Err(DigestError::Unsupported),
        };
        Ok(Self {
            username: fields.need("username")?,
            realm: fields.need("realm")?,
            nonce: fields.need("nonce")?,
            uri: fields.need("uri")?,
            response: fields.need("response")?,
            algorithm: fields.algorithm()?,
            opaque: fields.get("opaque"),
            qop_auth,
        })
    }

    /// The credentials for `realm` in a request by an algorithm that was offered; `None` when it has none that are usable (other
    /// realm, scheme or algorithm).
    ///
    /// # Errors
    /// [`DigestError::Malformed`] when a digest was given that cannot be read and none for the realm was: 400.
    pub fn in_request(
        request: &Message<'_>,
        header: CredentialsHeader,
        realm: &str,
        offered: ChallengeOffer,
    ) -> Result<Option<Self>, DigestError> {
        let mut outcome = Ok(None);
        for value in request.header_lines(header.id()).take(MAX_CREDENTIALS) {
            match Self::parse(value) {
                Ok(found) if found.realm == *realm && offered.has(found.algorithm) => return Ok(Some(found)),
                Ok(_) | Err(DigestError::Unsupported) => {}
                Err(DigestError::Malformed) => outcome = Err(DigestError::Malformed),
            }
        }
        outcome
    }

    /// The response that the owner of `ha1` (hexadecimal) would send (RFC 7616 §3.4.1).
    fn expected(&self, ha1: &str, method: &str) -> String {
        let ha2 = self.algorithm.hash(&[method, self.uri.as_str()]);
        match &self.qop_auth {
            Some((cnonce, nc)) => {
                let nc = format!("{nc:08x}");
                self.algorithm.hash(&[ha1, self.nonce.as_str(), &nc, cnonce.as_str(), "auth", &ha2])
            }
            None => self.algorithm.hash(&[ha1, self.nonce.as_str(), &ha2]),
        }
    }
}

/// Which challenges a 401 carries: every list of algorithms that there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChallengeOffer {
    /// SHA-256, then MD5: a client takes the first that it knows (RFC 8760 §2.4).
    Both,
    /// MD5, then SHA-256: for phones that take the first in spite of the RFC and fail at SHA-256.
    BothMd5First,
    /// SHA-256 alone.
    Sha256Only,
    /// MD5 alone, for phones that stop at the first algorithm that they do not know.
    Md5Only,
}

impl ChallengeOffer {
    /// These algorithms in this order; `None` where there are none, or one is there twice.
    pub fn of(algorithms: &[Algorithm]) -> Option<Self> {
        [Self::Both, Self::BothMd5First, Self::Sha256Only, Self::Md5Only].into_iter().find(|offer| offer.algorithms() == algorithms)
    }

    /// What is offered, best first.
    pub const fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::Both => &[Algorithm::Sha256, Algorithm::Md5],
            Self::BothMd5First => &[Algorithm::Md5, Algorithm::Sha256],
            Self::Sha256Only => &[Algorithm::Sha256],
            Self::Md5Only => &[Algorithm::Md5],
        }
    }

    /// Whether this algorithm is offered.
    pub fn has(self, algorithm: Algorithm) -> bool {
        self.algorithms().contains(&algorithm)
    }

    /// The first algorithm alone.
    pub fn first(self) -> Self {
        match self {
            Self::Both | Self::Sha256Only => Self::Sha256Only,
            Self::BothMd5First | Self::Md5Only => Self::Md5Only,
        }
    }
}

/// What credentials proved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Verdict {
    /// The user knows the password, and this answer was not used before.
    Accepted,
    /// The password is right, the nonce is old, unknown or used: challenge again with `stale=true`.
    Stale,
    /// The digest URI is not the Request-URI: 400 (RFC 7616 §3.4.6).
    OtherUri,
    /// Wrong password, unknown user, other realm or an algorithm that the account has no hash for: all alike.
    Refused,
}

/// The server side for one realm.
pub struct Authenticator {
    realm: Text,
    secret: [u8; 32],
    /// Stands in for the account of an unknown user, so that it costs the same.
    nobody: Ha1,
    window: NonceWindow,
}

impl Authenticator {
    /// For a realm; `secret` is random and new at each start (answers to older nonces then count as stale).
    pub fn new(realm: &str, secret: [u8; 32]) -> Self {
        let nobody = Ha1::of("", realm, &hex(&secret));
        Self { realm: Text::new(realm), secret, nobody, window: NonceWindow::new(MAX_NONCES) }
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        self.realm.as_str()
    }

    /// The memory of used nonces, for its counters.
    pub const fn window(&self) -> &NonceWindow {
        &self.window
    }

    /// The challenges of a 401 or 407, in the order to send them. `salt` differs between challenges of the same millisecond.
    pub fn challenges(&self, offer: ChallengeOffer, stale: bool, now_ms: u64, salt: u32) -> Vec<Challenge> {
        let nonce = Text::new(&nonce::make(&self.secret, self.realm.as_str(), now_ms, salt));
        let one =
            |&algorithm| Challenge { realm: self.realm.clone(), nonce: nonce.clone(), opaque: None, algorithm, stale, qop_auth: true };
        offer.algorithms().iter().map(one).collect()
    }

    /// Judges credentials. `account` is the stored hash of `credentials.username`, `None` when there is no such user.
    pub fn verify(
        &mut self,
        credentials: &Credentials,
        account: Option<&Ha1>,
        method: &Method,
        request_uri: &Uri<'_>,
        now_ms: u64,
    ) -> Verdict {
        let nonce = nonce::check(&self.secret, self.realm.as_str(), credentials.nonce.as_str(), now_ms);
        let stored = account.unwrap_or(&self.nobody).to_hex(credentials.algorithm);
        let known = account.is_some() && stored.is_some() && credentials.realm == self.realm;
        let stored = stored.or_else(|| self.nobody.to_hex(credentials.algorithm)).unwrap_or_default();
        let expected = credentials.expected(&stored, method.as_str());
        let given = credentials.response.as_str().to_ascii_lowercase();
        let right = bool::from(expected.as_bytes().ct_eq(given.as_bytes()));
        if !(right && known) {
            return Verdict::Refused;
        }
        if !same_resource(credentials.uri.as_str(), request_uri) {
            return Verdict::OtherUri;
        }
        let NonceCheck::Fresh { id, made_ms } = nonce else { return Verdict::Stale };
        // Without a nonce count (RFC 2069) a nonce works once.
        let nc = credentials.qop_auth.as_ref().map_or(u32::MAX, |(_, nc)| *nc);
        if self.window.note(id, made_ms, nc, now_ms) { Verdict::Accepted } else { Verdict::Stale }
    }
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("realm", &self.realm).field("window", &self.window.len()).finish_non_exhaustive()
    }
}

/// Whether the digest URI means the Request-URI: same user and host; phones differ in port and parameters.
fn same_resource(digest_uri: &str, request_uri: &Uri<'_>) -> bool {
    let Some(uri) = Uri::parse(digest_uri.as_bytes()) else { return false };
    match (uri.host(), request_uri.host()) {
        (Some(a), Some(b)) => a.same(&b) && uri.user() == request_uri.user(),
        _ => uri.same_address(request_uri),
    }
}

#[cfg(test)]
mod tests;
