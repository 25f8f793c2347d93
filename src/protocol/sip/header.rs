//! Header names and the borrowed values of the headers that route a message (RFC 3261 §20).

use std::{borrow::Cow, net::IpAddr};

use memchr::{memchr, memchr3, memrchr};

use super::{
    field::{Address, Method, Param, Text, Token, UriBuf},
    scan,
    uri::{Host, Uri, host_port},
};

macro_rules! header_ids {
    ($($(#[$doc:meta])* $id:ident = $wire:literal | $($spelling:literal)|+;)+) => {
        /// A header that we know by name.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[expect(missing_docs, reason = "the headers are named as in their RFCs")]
        #[repr(u8)]
        pub enum HeaderId { $($(#[$doc])* $id,)+ /** Any other header. */ Unknown }

        impl HeaderId {
            /// Every spelling in lower case, compact forms included.
            const SPELLINGS: &[(&'static [u8], Self)] = &[$($(($spelling, Self::$id)),+),+];

            /// The name as we write it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$id => $wire,)+ Self::Unknown => "X-Unknown" }
            }
        }
    };
}

header_ids! {
    Via = "Via" | b"via" | b"v";
    From = "From" | b"from" | b"f";
    To = "To" | b"to" | b"t";
    CallId = "Call-ID" | b"call-id" | b"i";
    CSeq = "CSeq" | b"cseq";
    Contact = "Contact" | b"contact" | b"m";
    MaxForwards = "Max-Forwards" | b"max-forwards";
    ContentLength = "Content-Length" | b"content-length" | b"l";
    ContentType = "Content-Type" | b"content-type" | b"c";
    Route = "Route" | b"route";
    RecordRoute = "Record-Route" | b"record-route";
    Expires = "Expires" | b"expires";
    MinExpires = "Min-Expires" | b"min-expires";
    Allow = "Allow" | b"allow";
    Supported = "Supported" | b"supported" | b"k";
    Require = "Require" | b"require";
    ProxyRequire = "Proxy-Require" | b"proxy-require";
    Unsupported = "Unsupported" | b"unsupported";
    Authorization = "Authorization" | b"authorization";
    ProxyAuthorization = "Proxy-Authorization" | b"proxy-authorization";
    WwwAuthenticate = "WWW-Authenticate" | b"www-authenticate";
    ProxyAuthenticate = "Proxy-Authenticate" | b"proxy-authenticate";
    UserAgent = "User-Agent" | b"user-agent";
    Server = "Server" | b"server";
    Subject = "Subject" | b"subject" | b"s";
    Accept = "Accept" | b"accept";
    ContentEncoding = "Content-Encoding" | b"content-encoding" | b"e";
    Reason = "Reason" | b"reason";
    RetryAfter = "Retry-After" | b"retry-after";
    SessionExpires = "Session-Expires" | b"session-expires" | b"x";
    MinSe = "Min-SE" | b"min-se";
    Replaces = "Replaces" | b"replaces";
    ReferTo = "Refer-To" | b"refer-to" | b"r";
    ReferredBy = "Referred-By" | b"referred-by" | b"b";
    PAssertedIdentity = "P-Asserted-Identity" | b"p-asserted-identity";
    PPreferredIdentity = "P-Preferred-Identity" | b"p-preferred-identity";
    RemotePartyId = "Remote-Party-ID" | b"remote-party-id";
    Diversion = "Diversion" | b"diversion";
    Privacy = "Privacy" | b"privacy";
    Event = "Event" | b"event" | b"o";
    AllowEvents = "Allow-Events" | b"allow-events" | b"u";
    SubscriptionState = "Subscription-State" | b"subscription-state";
    RSeq = "RSeq" | b"rseq";
    RAck = "RAck" | b"rack";
    Path = "Path" | b"path";
    Date = "Date" | b"date";
    AlertInfo = "Alert-Info" | b"alert-info";
    Warning = "Warning" | b"warning";
}

/// Slots of the name table; a power of two, a quarter full.
const NAME_SLOTS: usize = 256;

/// Where a name is looked for first: a mix of its length and three of its letters, without case.
const fn name_slot(name: &[u8]) -> usize {
    let [first, middle, last] = [name[0], name[name.len() / 2], name[name.len() - 1]];
    ((first | 0x20) as usize * 7 + (middle | 0x20) as usize * 31 + (last | 0x20) as usize * 3 + name.len() * 13) % NAME_SLOTS
}

/// Open addressing: a slot holds 1 + the index of a spelling, 0 when it is free.
const NAME_TABLE: [u8; NAME_SLOTS] = {
    let mut table = [0; NAME_SLOTS];
    let mut index = 0;
    while index < HeaderId::SPELLINGS.len() {
        let mut slot = name_slot(HeaderId::SPELLINGS[index].0);
        while table[slot] != 0 {
            slot = (slot + 1) % NAME_SLOTS;
        }
        index += 1;
        #[expect(clippy::cast_possible_truncation, reason = "there are fewer than 256 spellings")]
        let entry = index as u8;
        table[slot] = entry;
    }
    table
};

impl HeaderId {
    /// Finds a header by its name in any case or by its compact form (RFC 3261 §7.3.3).
    pub fn of(name: &[u8]) -> Self {
        if name.is_empty() {
            return Self::Unknown;
        }
        let mut slot = name_slot(name);
        while let Some(&(spelling, id)) = usize::from(NAME_TABLE[slot]).checked_sub(1).and_then(|i| Self::SPELLINGS.get(i)) {
            if name == id.name().as_bytes() || spelling.eq_ignore_ascii_case(name) {
                return id;
            }
            slot = (slot + 1) % NAME_SLOTS;
        }
        Self::Unknown
    }
}

/// The parameters of a header value, from their first `;` on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Params<'a>(&'a [u8]);

impl<'a> Params<'a> {
    /// Checks `bytes` (empty, or starting with `;`) and shows each parameter to `see`.
    pub(super) fn checked(bytes: &'a [u8], mut see: impl FnMut(&'a str, Option<&'a [u8]>)) -> Option<Self> {
        let mut rest = scan::trim(bytes);
        while let Some(after) = rest.strip_prefix(b";") {
            let end = scan::find_outside(after, b';').ok()?.unwrap_or(after.len());
            let one = scan::trim(&after[..end]);
            rest = &after[end..];
            // Phones leave stray semicolons behind; an empty parameter says nothing.
            if !one.is_empty() {
                let (name, value) = split_param(one)?;
                see(name, value);
            }
        }
        rest.is_empty().then_some(Self(bytes))
    }

    /// Every parameter: name, and value as written (quotes kept).
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> + use<'a> {
        let mut rest = scan::trim(self.0);
        std::iter::from_fn(move || {
            while let Some(after) = rest.strip_prefix(b";") {
                let end = scan::find_outside(after, b';').ok().flatten().unwrap_or(after.len());
                rest = &after[end..];
                if let Some(param) = split_param(scan::trim(&after[..end])) {
                    return Some(param);
                }
            }
            None
        })
    }

    /// A parameter by name (any case), without quotes; one without value is `Some("")`.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        let (_, value) = self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(match scan::unquote(value.unwrap_or_default()) {
            Cow::Borrowed(bytes) => scan::text(bytes),
            Cow::Owned(bytes) => Cow::Owned(scan::text(&bytes).into_owned()),
        })
    }

    /// The owned form.
    pub fn to_owned(&self) -> Vec<Param> {
        let own = |value: &[u8]| Text::lossy(&scan::unquote(value));
        self.iter().filter_map(|(name, value)| Some(Param { name: Token::new(name)?, value: value.map(own) })).collect()
    }
}

/// `name[=value]` with white space around `=`; the value is a quoted string or octets without white space.
fn split_param(one: &[u8]) -> Option<(&str, Option<&[u8]>)> {
    let (name, value) = match memchr(b'=', one) {
        Some(at) => (scan::trim_end(&one[..at]), Some(scan::trim_start(&one[at + 1..]))),
        None => (one, None),
    };
    let fits = match value {
        None => true,
        Some([b'"', inside @ ..]) => scan::quoted_end(inside) == Ok(inside.len()),
        // `tag=` with nothing after it is wrong and seen; it says as little as no value.
        Some(value) => value.iter().all(|&b| b > b' ' && !matches!(b, b'"' | b',' | b';' | b'<' | b'>' | b'\\' | 0x7f)),
    };
    if !fits || !scan::is_token(name) {
        return None;
    }
    Some((std::str::from_utf8(name).ok()?, value))
}

/// A name-addr or addr-spec with header parameters: From, To, Contact, Route, Record-Route, Refer-To, P-Asserted-Identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameAddr<'a> {
    display: &'a [u8],
    /// The URI.
    pub uri: Uri<'a>,
    /// The dialog tag; `None` also when it is empty or not UTF-8.
    pub tag: Option<&'a str>,
    /// The header parameters.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one value; `None` when it is malformed.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = scan::trim(value);
        let (display, spec, params) = match value.first()? {
            b'"' => {
                let end = 1 + scan::quoted_end(&value[1..]).ok()?;
                let spec = scan::trim_start(&value[end..]).strip_prefix(b"<")?;
                (&value[..end], spec, None)
            }
            _ => match memchr3(b'<', b'"', b';', value) {
                Some(at) if value[at] == b'<' => (scan::trim_end(&value[..at]), &value[at + 1..], None),
                Some(at) if value[at] == b';' => (&value[..0], scan::trim_end(&value[..at]), Some(&value[at..])),
                Some(_) => return None,
                None => (&value[..0], value, Some(&value[value.len()..])),
            },
        };
        let (uri, params) = match params {
            // Without angle brackets a comma or question mark cannot belong to the URI (RFC 3261 §20).
            Some(params) if memchr3(b'?', b',', b'>', spec).is_none() => (spec, params),
            Some(_) => return None,
            None => {
                let close = memchr(b'>', spec)?;
                (&spec[..close], &spec[close + 1..])
            }
        };
        let mut tag = None;
        let params = Params::checked(params, |name, value| {
            if tag.is_none() && name.eq_ignore_ascii_case("tag") {
                tag = value.filter(|v| !v.is_empty()).and_then(|v| std::str::from_utf8(v).ok());
            }
        })?;
        Some(Self { display, uri: Uri::parse(uri)?, tag, params })
    }

    /// The display name without quotes and escapes; octets that are not UTF-8 become U+FFFD. `None` when there is none.
    pub fn display_name(&self) -> Option<Cow<'a, str>> {
        let text = match scan::unquote(self.display) {
            Cow::Borrowed(bytes) => scan::text(bytes),
            Cow::Owned(bytes) => Cow::Owned(scan::text(&bytes).into_owned()),
        };
        (!text.is_empty()).then_some(text)
    }

    /// The display name's octets as they came, quotes kept.
    pub const fn display_octets(&self) -> &'a [u8] {
        self.display
    }

    /// The `expires` parameter of a Contact, seconds.
    pub fn expires(&self) -> Option<u32> {
        self.params.get("expires").and_then(|v| scan::seconds(v.as_bytes()))
    }

    /// The `q` parameter of a Contact in thousandths, 1000 when absent or unreadable.
    pub fn q_thousandths(&self) -> u16 {
        let read = |text: &str| -> Option<u16> {
            let (whole, part) = text.split_once('.').unwrap_or((text, ""));
            let part = scan::number(format!("{part:0<3}").get(..3)?.as_bytes())?;
            u16::try_from(scan::number(whole.as_bytes())?.min(1) * 1000 + part).ok()
        };
        self.params.get("q").and_then(|q| read(&q)).map_or(1000, |q| q.min(1000))
    }

    /// The owned form.
    pub fn to_owned(&self) -> Address {
        let display = self.display_name().map(|name| Text::new(&name)).filter(|name| !name.is_empty());
        Address { display, uri: UriBuf::from(self.uri), params: self.params.to_owned() }
    }
}

/// The transport named in a Via.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the transports are named as on the wire")]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    Sctp,
    Ws,
    Wss,
    /// One that we have no name for.
    Other,
}

/// The `rport` parameter of a Via (RFC 3581).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rport {
    /// Not there: answer to the sent-by port.
    Absent,
    /// There without a value: answer to the source port and fill it in.
    Asked,
    /// Filled in by whoever answered.
    Port(u16),
}

/// One Via value (RFC 3261 §20.42).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Via<'a> {
    /// The transport.
    pub transport: Transport,
    /// The transport as written.
    pub transport_name: &'a str,
    /// The sent-by host.
    pub host: Host<'a>,
    /// The sent-by port, when written.
    pub port: Option<u16>,
    /// The branch as written; see [`Via::rfc3261_branch`].
    pub branch: Option<&'a str>,
    /// The `received` parameter when it is an address.
    pub received: Option<IpAddr>,
    /// The `rport` parameter.
    pub rport: Rport,
    /// All parameters.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Reads one value; `None` when it is malformed.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = without_comment(scan::trim(value));
        let rest = value.strip_prefix(b"SIP/2.0/").or_else(|| spaced_protocol(value))?;
        let name_end = rest.iter().position(|&b| !scan::is_token_octet(b))?;
        let (name, rest) = rest.split_at(name_end);
        let sent_by = scan::trim_start(rest);
        if name.is_empty() || sent_by.len() == rest.len() {
            return None;
        }
        let (sent_by, params) = sent_by.split_at(memchr(b';', sent_by).unwrap_or(sent_by.len()));
        let sent_by = scan::trim_end(sent_by);
        let (host, port) = host_port(sent_by)?;
        let (mut branch, mut received, mut rport) = (None, None, Rport::Absent);
        let mut bad_rport = false;
        let params = Params::checked(params, |name, value| {
            let text = value.and_then(|v| std::str::from_utf8(v).ok());
            if name.eq_ignore_ascii_case("branch") {
                branch = branch.or(text);
            } else if name.eq_ignore_ascii_case("received") {
                // RFC 5118 §4.5: brackets are wrong here and common.
                received = received.or(text.and_then(|t| t.trim_matches(['[', ']']).parse().ok()));
            } else if name.eq_ignore_ascii_case("rport") {
                match value.map(|v| scan::number(v).and_then(|n| u16::try_from(n).ok())) {
                    None => rport = Rport::Asked,
                    Some(Some(port)) => rport = Rport::Port(port),
                    Some(None) => bad_rport = true,
                }
            }
        })?;
        if bad_rport {
            return None;
        }
        let transport_name = std::str::from_utf8(name).ok()?;
        Some(Self { transport: transport_of(transport_name), transport_name, host, port, branch, received, rport, params })
    }

    /// The branch when it is one of RFC 3261 (magic cookie and something after it); otherwise match transactions as in RFC 2543.
    pub fn rfc3261_branch(&self) -> Option<&'a str> {
        self.branch.filter(|b| b.len() > 7 && b.get(..7).is_some_and(|cookie| cookie.eq_ignore_ascii_case("z9hG4bK")))
    }
}

/// Leaves out the comment that RFC 2543 allowed at the end of a Via.
fn without_comment(value: &[u8]) -> &[u8] {
    match memrchr(b'(', value) {
        Some(open) if value.ends_with(b")") && value[..open].last().is_some_and(|&b| scan::is_lws(b)) => scan::trim_end(&value[..open]),
        _ => value,
    }
}

fn transport_of(name: &str) -> Transport {
    const NAMES: [(&str, Transport); 6] = [
        ("UDP", Transport::Udp),
        ("TCP", Transport::Tcp),
        ("TLS", Transport::Tls),
        ("SCTP", Transport::Sctp),
        ("WS", Transport::Ws),
        ("WSS", Transport::Wss),
    ];
    NAMES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or(Transport::Other, |n| n.1)
}

/// Skips `SIP / 2.0 /` with white space around the slashes and in any case.
fn spaced_protocol(value: &[u8]) -> Option<&[u8]> {
    let (name, rest) = value.split_at_checked(3)?;
    let rest = scan::trim_start(rest).strip_prefix(b"/")?;
    let rest = scan::trim_start(rest).strip_prefix(b"2.0")?;
    let rest = scan::trim_start(rest).strip_prefix(b"/")?;
    name.eq_ignore_ascii_case(b"SIP").then(|| scan::trim_start(rest))
}

/// CSeq (RFC 3261 §20.16).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CSeq {
    /// The sequence number.
    pub seq: u32,
    /// The method.
    pub method: Method,
}

impl CSeq {
    /// Reads the value; `None` when malformed or the number exceeds 32 bits.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = scan::trim(value);
        let end = value.iter().position(|&b| scan::is_lws(b))?;
        let seq = u32::try_from(scan::number(&value[..end])?).ok()?;
        Some(Self { seq, method: Method::parse(scan::trim_start(&value[end..]))? })
    }
}

/// The comma-separated fields of a challenge or credentials: name, and value with its quotes. An item is `None` where malformed.
pub(super) fn auth_params(value: &[u8]) -> impl Iterator<Item = Option<(&str, &[u8])>> {
    let fields = scan::Elements::of(value).filter(|field| !field.is_empty());
    fields.map(|field| split_param(field).and_then(|(name, value)| Some((name, value?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_is_found_by_its_names_in_any_case() {
        for (spelling, id) in HeaderId::SPELLINGS {
            assert_eq!(HeaderId::of(spelling), *id);
            assert_eq!(HeaderId::of(&spelling.to_ascii_uppercase()), *id);
            assert_eq!(HeaderId::of(id.name().as_bytes()), *id);
        }
        let unknown: [&[u8]; 5] = [b"", b"X-Via", b"vi", b"z", &[b'a'; 300]];
        assert!(unknown.iter().all(|name| HeaderId::of(name) == HeaderId::Unknown));
        // The parser keeps one bit per header.
        assert!((HeaderId::Unknown as u8) < 64);
    }

    #[test]
    fn addresses_in_their_odd_forms_are_read() {
        let parts = |text: &'static str| {
            NameAddr::parse(text.as_bytes()).map(|a| (a.display_name().unwrap_or_default().into_owned(), a.uri.as_str(), a.tag))
        };
        assert_eq!(parts("sip:a@b;tag=1"), Some((String::new(), "sip:a@b", Some("1"))));
        assert_eq!(parts("<sip:a@b;tag=0>;tag = 1 ;;x"), Some((String::new(), "sip:a@b;tag=0", Some("1"))));
        assert_eq!(parts("\"A, <B>; \\\"C\\\"\"<sip:a@b>"), Some(("A, <B>; \"C\"".into(), "sip:a@b", None)));
        assert_eq!(parts("Bell, Alexander <sip:a@b>"), Some(("Bell, Alexander".into(), "sip:a@b", None)));
        assert_eq!(parts("<sip:a@b>;tag="), Some((String::new(), "sip:a@b", None)));
        for bad in
            ["", "<>", "<sip:a@b", "\"A <sip:a@b>", "A \"B\" <sip:a@b>", "sip:a@b?x=y", "sip:a@b, sip:c@d", "<sip:a@b> x", "<sip:a@b>;=1"]
        {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_comment_after_a_via_says_nothing() {
        let via = Via::parse(b"SIP/2.0/TCP h:5060;maddr=192.0.2.5 (NTA 1.0)").expect("well formed");
        assert_eq!((via.port, via.params.get("maddr").as_deref()), (Some(5060), Some("192.0.2.5")));
    }
}
