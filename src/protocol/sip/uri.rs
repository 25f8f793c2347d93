//! URIs as SIP carries them: `sip:`, `sips:`, `tel:` and schemes that we only pass judgement on (RFC 3261 §19.1, RFC 3966).

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use memchr::memchr;

use super::scan;

/// Longest URI that is read; longer ones are answered 414. Real ones stay below 300 octets.
pub const MAX_URI_LEN: usize = 2048;

/// The host part of a URI or Via.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Host<'a> {
    /// An address; IPv6 is written in brackets.
    Ip(IpAddr),
    /// A name, letters in the case they came in (names compare without case).
    Name(&'a str),
}

impl<'a> Host<'a> {
    /// Reads a host without port: name, IPv4, or IPv6 in brackets.
    pub fn parse(text: &'a str) -> Option<Self> {
        Self::read(text.as_bytes())
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? {
            b'[' => {
                let inside = bytes.strip_prefix(b"[")?.strip_suffix(b"]")?;
                return std::str::from_utf8(inside).ok()?.parse::<Ipv6Addr>().ok().map(|ip| Self::Ip(IpAddr::V6(ip)));
            }
            b'0'..=b'9' => {
                if let Some(ip) = ipv4(bytes) {
                    return Some(Self::Ip(IpAddr::V4(ip)));
                }
            }
            _ => {}
        }
        let fits = bytes.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        if fits { std::str::from_utf8(bytes).ok().map(Self::Name) } else { None }
    }

    /// Whether both mean the same host (RFC 3261 §19.1.4: names without case).
    pub fn same(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Self::Ip(a), Host::Ip(b)) => a == b,
            (Self::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::Ip(_), Host::Name(_)) | (Self::Name(_), Host::Ip(_)) => false,
        }
    }

    /// The address, when it is one.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(_) => None,
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Four decimal octets without leading zeros; half the time of the standard parser, on every Via and Contact.
fn ipv4(bytes: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0_u8; 4];
    let mut parts = bytes.split(|&b| b == b'.');
    for slot in &mut octets {
        *slot = match parts.next()? {
            [a] => digit(*a)?,
            [a @ b'1'..=b'9', b] => digit(*a)? * 10 + digit(*b)?,
            [a @ b'1'..=b'2', b, c] => (digit(*a)? * 100).checked_add(digit(*b)? * 10 + digit(*c)?)?,
            _ => return None,
        };
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

fn digit(b: u8) -> Option<u8> {
    Some(b.wrapping_sub(b'0')).filter(|d| *d < 10)
}

/// Reads `host[:port]`; white space around the colon is allowed as in Via.
pub(super) fn host_port(bytes: &[u8]) -> Option<(Host<'_>, Option<u16>)> {
    let host_end = match bytes.first()? {
        b'[' => memchr(b']', bytes)? + 1,
        _ => bytes.iter().position(|&b| b == b':').unwrap_or(bytes.len()),
    };
    let (host, rest) = bytes.split_at(host_end);
    let host = Host::read(scan::trim_end(host))?;
    let rest = scan::trim(rest);
    if rest.is_empty() {
        return Some((host, None));
    }
    let port = scan::number(scan::trim_start(rest.strip_prefix(b":")?))?;
    Some((host, Some(u16::try_from(port).ok()?)))
}

/// The parts of a `sip:` or `sips:` URI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SipUri<'a> {
    /// `sips:`.
    pub secure: bool,
    /// The user part as written, escapes kept; [`Uri::user`] decodes.
    pub user: Option<&'a str>,
    /// The password after the user (deprecated; never sent by us).
    pub password: Option<&'a str>,
    /// The host.
    pub host: Host<'a>,
    /// The port, when written.
    pub port: Option<u16>,
    /// The parameters with their leading `;`, or empty.
    pub params: &'a str,
    /// The headers after `?`, or empty.
    pub headers: &'a str,
}

/// What a URI is, by scheme.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UriKind<'a> {
    /// `sip:` or `sips:`.
    Sip(SipUri<'a>),
    /// `tel:` (RFC 3966).
    Tel {
        /// The number as written, visual separators kept.
        number: &'a str,
        /// The parameters with their leading `;`, or empty.
        params: &'a str,
    },
    /// Any other scheme: 416 as Request-URI (RFC 3261 §8.2.2.1).
    Other {
        /// The scheme without the colon.
        scheme: &'a str,
    },
}

/// A well-formed URI, borrowed from the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uri<'a> {
    raw: &'a str,
    kind: UriKind<'a>,
}

impl<'a> Uri<'a> {
    /// Reads a URI; `None` when it is malformed: no scheme, white space, quotes, angle brackets, bad host or port, not UTF-8, too long.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        Self::read(bytes).filter(|_| bytes.len() <= MAX_URI_LEN)
    }

    /// The same without a limit on the length, for URIs of our own.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        // No early exit: the compiler turns this into a few vector instructions.
        let forbidden = |b: u8| (b <= b' ') | (b == b'<') | (b == b'>') | (b == b'"') | (b == 0x7f);
        if bytes.iter().fold(false, |bad, &b| bad | forbidden(b)) {
            return None;
        }
        let raw = std::str::from_utf8(bytes).ok()?;
        if let Some(rest) = raw.strip_prefix("sip:") {
            return Some(Self { raw, kind: UriKind::Sip(sip_parts(rest, false)?) });
        }
        let (scheme, rest) = raw.split_once(':')?;
        let starts = scheme.as_bytes().first()?.is_ascii_alphabetic();
        if !starts || rest.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')) {
            return None;
        }
        let secure = scheme.eq_ignore_ascii_case("sips");
        let kind = if secure || scheme.eq_ignore_ascii_case("sip") {
            UriKind::Sip(sip_parts(rest, secure)?)
        } else if scheme.eq_ignore_ascii_case("tel") {
            let (number, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
            if number.is_empty() {
                return None;
            }
            UriKind::Tel { number, params }
        } else {
            UriKind::Other { scheme }
        };
        Some(Self { raw, kind })
    }

    /// The URI as written.
    pub const fn as_str(&self) -> &'a str {
        self.raw
    }

    /// The parts, by scheme.
    pub const fn kind(&self) -> UriKind<'a> {
        self.kind
    }

    /// The parts of a `sip:` or `sips:` URI.
    pub const fn sip(&self) -> Option<SipUri<'a>> {
        match self.kind {
            UriKind::Sip(sip) => Some(sip),
            UriKind::Tel { .. } | UriKind::Other { .. } => None,
        }
    }

    /// The user part of a SIP URI, or the number of a `tel:` URI, with escapes decoded (octets that are not UTF-8 become U+FFFD).
    pub fn user(&self) -> Option<Cow<'a, str>> {
        match self.kind {
            UriKind::Sip(sip) => sip.user.map(decode),
            UriKind::Tel { number, .. } => Some(decode(number)),
            UriKind::Other { .. } => None,
        }
    }

    /// Who is dialled: [`Uri::user`], but a telephone number without its parameters (`;npdi`, `;cpc`, `;phone-context`), which stand in
    /// the user part of a SIP URI too (RFC 3261 §19.1.6, RFC 4694).
    pub fn dialled(&self) -> Option<Cow<'a, str>> {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b"+*#-.()".contains(&b));
        let user = self.user()?;
        match user.split_once(';').map(|(number, _)| number).filter(|number| is_number(number)).map(str::len) {
            None => Some(user),
            Some(end) => Some(match user {
                Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
                Cow::Owned(mut text) => {
                    text.truncate(end);
                    Cow::Owned(text)
                }
            }),
        }
    }

    /// The host of a SIP URI.
    pub fn host(&self) -> Option<Host<'a>> {
        self.sip().map(|sip| sip.host)
    }

    /// The port of a SIP URI, when written.
    pub fn port(&self) -> Option<u16> {
        self.sip().and_then(|sip| sip.port)
    }

    /// The value of a URI parameter, escapes kept; a parameter without value is `Some("")`.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        let params = match self.kind {
            UriKind::Sip(sip) => sip.params,
            UriKind::Tel { params, .. } => params,
            UriKind::Other { .. } => "",
        };
        params
            .split(';')
            .map(|p| p.split_once('=').unwrap_or((p, "")))
            .find(|(n, _)| !n.is_empty() && n.eq_ignore_ascii_case(name))
            .map(|p| p.1)
    }

    /// Whether the URI is a loose router (`;lr`, RFC 3261 §16.12).
    pub fn is_loose_router(&self) -> bool {
        self.param("lr").is_some()
    }

    /// Whether both name the same user at the same host and port, the comparison that bindings need (RFC 3261 §19.1.4, without parameters).
    pub fn same_address(&self, other: &Uri<'_>) -> bool {
        match (self.sip(), other.sip()) {
            (Some(a), Some(b)) => {
                a.secure == b.secure && a.user.map(decode) == b.user.map(decode) && a.host.same(&b.host) && a.port == b.port
            }
            (None, None) => self.raw.eq_ignore_ascii_case(other.raw),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.raw)
    }
}

/// Splits what follows the scheme. `@` is reserved everywhere but as the separator; some phones leave it bare in the headers part.
fn sip_parts(rest: &str, secure: bool) -> Option<SipUri<'_>> {
    let (userinfo, place) = match memchr(b'@', rest.as_bytes()) {
        Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
        None => (None, rest),
    };
    let (place, headers) = match memchr(b'?', place.as_bytes()) {
        Some(at) => (&place[..at], &place[at + 1..]),
        None => (place, ""),
    };
    let (authority, params) = place.split_at(memchr(b';', place.as_bytes()).unwrap_or(place.len()));
    if userinfo.is_some() && memchr(b'@', place.as_bytes()).is_some() {
        return None;
    }
    let (host, port) = host_port(authority.as_bytes())?;
    let (user, password) = match userinfo.map(|u| u.split_once(':').map_or((u, None), |(u, p)| (u, Some(p)))) {
        None | Some(("", None)) => (None, None),
        Some(("", Some(_))) => return None,
        Some((user, password)) => (Some(user), password),
    };
    Some(SipUri { secure, user, password, host, port, params, headers })
}

/// Decodes `%HH`; a stray percent sign stays.
pub fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let hex = |b: Option<&u8>| b.and_then(|&b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        match (b, hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                plain.push(high << 4 | low);
                at += 3;
            }
            _ => {
                plain.push(b);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}

/// Encodes a user part: unreserved characters stay, the rest becomes `%HH` (RFC 3261 §25.1).
pub fn encode_user(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,/".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push('%');
            for digit in [b >> 4, b & 15] {
                out.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_sip_uri_comes_apart() {
        let uri = Uri::parse(b"SIPS:al%20ice;x:pw@[2001:db8::1]:5061;transport=tls;lr?subject=a@b").expect("well formed");
        let sip = uri.sip().expect("a SIP URI");
        assert_eq!((sip.secure, sip.user, sip.password, sip.port), (true, Some("al%20ice;x"), Some("pw"), Some(5061)));
        assert_eq!((uri.user().as_deref(), sip.params, sip.headers), (Some("al ice;x"), ";transport=tls;lr", "subject=a@b"));
        assert_eq!((uri.param("Transport"), uri.param("lr"), uri.param("x")), (Some("tls"), Some(""), None));
        assert_eq!(uri.host().map(|h| h.to_string()).as_deref(), Some("[2001:db8::1]"));
    }

    #[test]
    fn a_telephone_uri_gives_its_number() {
        let uri = Uri::parse(b"tel:7042;phone-context=example.com").expect("well formed");
        assert_eq!((uri.user().as_deref(), uri.param("phone-context"), uri.host()), (Some("7042"), Some("example.com"), None));
    }

    #[test]
    fn a_number_is_dialled_without_its_parameters_and_a_name_as_it_is() {
        for (text, dialled) in [
            ("sip:+12125550123;npdi;rn=+12125559999@h;user=phone", "+12125550123"),
            ("sip:112;phone-context=+49@h", "112"),
            ("sip:%31%312%3Bcpc=x@h", "112"),
            ("sip:*31%23112;x@h", "*31#112"),
            ("tel:+1-212;x", "+1-212"),
            ("sip:al;ice@h", "al;ice"),
            ("sip:;x@h", ";x"),
            ("sip:bob@h", "bob"),
        ] {
            assert_eq!(Uri::parse(text.as_bytes()).expect(text).dialled().as_deref(), Some(dialled), "{text}");
        }
        assert_eq!(Uri::parse(b"sip:h").and_then(|uri| uri.dialled()), None);
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        let bad = [
            "",
            "sip",
            "sip:",
            ":x",
            "1a:x",
            "sip:a@b@c",
            "sip:h:",
            "sip:h:65536",
            "sip:h:5x",
            "sip:[::1",
            "sip:[::g]",
            "sip:a b",
            "sip:<h>",
        ];
        for text in bad {
            assert!(Uri::parse(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Uri::parse(b"sip:\xff@h").is_none() && Uri::parse(format!("sip:{}@h", "a".repeat(MAX_URI_LEN)).as_bytes()).is_none());
    }

    #[test]
    fn the_same_address_is_known_in_any_spelling() {
        let both = |a: &'static str, b: &'static str| Uri::parse(a.as_bytes()).zip(Uri::parse(b.as_bytes())).expect(a);
        let (a, b) = both("sip:%61lice@Example.COM;x=1", "SIP:alice@example.com;y");
        assert!(a.same_address(&b));
        for (a, b) in [("sip:Alice@h", "sip:alice@h"), ("sip:a@h", "sip:a@h:5060"), ("sip:a@h", "sips:a@h"), ("sip:a@h", "tel:1")] {
            let (a, b) = both(a, b);
            assert!(!a.same_address(&b), "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn addresses_are_read_as_the_standard_library_reads_them(text in "[0-2]?[0-9]{0,3}(\\.[0-9]{0,3}){2,4}", ip in any::<[u8; 4]>()) {
            prop_assert_eq!(ipv4(text.as_bytes()), text.parse().ok());
            prop_assert_eq!(ipv4(Ipv4Addr::from(ip).to_string().as_bytes()), Some(ip.into()));
        }

        #[test]
        fn any_octets_are_an_address_or_none(
            tail in proptest::collection::vec(any::<u8>(), 0..80),
            text in "(sips?|tel|SIP|x):[ -~]{0,60}",
        ) {
            for bytes in [tail.as_slice(), text.as_bytes()] {
                let Some(uri) = Uri::parse(bytes) else { continue };
                prop_assert!(uri.user().is_none_or(|user| user.len() <= 3 * bytes.len()));
                let _ = (uri.host(), uri.port(), uri.param("lr"), uri.is_loose_router());
                prop_assert!(uri.same_address(&uri), "{}", uri);
            }
        }

        #[test]
        fn any_text_survives_as_a_user(text in any::<String>()) {
            let encoded = encode_user(&text);
            prop_assert_eq!(decode(&encoded), text);
        }
    }
}
