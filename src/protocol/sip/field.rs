//! The owned pieces that messages of ours are made of.
//!
//! Each type can only hold octets that are harmless where it stands: no control character, so no CR, LF or NUL,
//! can be in any of them. A message built from them cannot have a header or a body injected (CWE-93).

use std::{
    borrow::{Borrow, Cow},
    fmt,
};

use super::{scan, uri::Uri};

macro_rules! text_type {
    ($name:ident) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }
        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }
    };
}

/// A token (RFC 3261 §25.1): option tags, parameter names, transports, extension methods.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Token(Cow<'static, str>);
text_type!(Token);

/// Tokens that nearly every message has: they are not owned anew each time.
const COMMON: [&str; 10] = ["tag", "branch", "rport", "received", "lr", "transport", "user", "UDP", "TCP", "TLS"];

impl Token {
    /// Takes a token; `None` when an octet does not belong in one.
    pub fn new(text: &str) -> Option<Self> {
        let common = || COMMON.into_iter().find(|common| *common == text);
        scan::is_token(text.as_bytes()).then(|| Self(common().map_or_else(|| Cow::Owned(text.to_owned()), Cow::Borrowed)))
    }

    /// Takes text that a parser has proven to be a token; should it not be, what does not belong becomes `-`.
    pub(super) fn proven(text: &str) -> Self {
        Self::new(text).unwrap_or_else(|| {
            let kept = text.bytes().map(|b| if scan::is_token_octet(b) { char::from(b) } else { '-' });
            Self(std::iter::once('-').filter(|_| text.is_empty()).chain(kept).collect())
        })
    }
}

/// Text of one line: control characters become spaces, the ends are trimmed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Text(Cow<'static, str>);
text_type!(Text);

impl Text {
    /// Takes any text and makes it harmless.
    pub fn new(text: &str) -> Self {
        let text = text.trim_matches(|c: char| c.is_control() || c == ' ');
        if text.contains(char::is_control) {
            return Self(text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect());
        }
        Self(Cow::Owned(text.to_owned()))
    }

    /// Takes a text of ours, which is harmless.
    pub(super) fn literal(text: &'static str) -> Self {
        debug_assert!(Self::new(text).as_str() == text, "a line without blanks around it");
        Self(Cow::Borrowed(text))
    }

    /// A number in digits.
    pub(super) fn number(number: u16) -> Self {
        Self(Cow::Owned(number.to_string()))
    }

    /// An address as RFC 3261 §25.1 has it in `received`.
    pub(super) fn ip(ip: std::net::IpAddr) -> Self {
        Self(Cow::Owned(ip.to_string()))
    }

    /// Takes octets from the wire: folds become one space, what is not UTF-8 becomes U+FFFD.
    pub fn lossy(bytes: &[u8]) -> Self {
        Self::new(&scan::text(bytes))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// The Call-ID of a dialog (RFC 3261 §20.8): visible octets without white space, compared octet by octet.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(Box<str>);
text_type!(CallId);

impl CallId {
    /// Takes a Call-ID; `None` when it is empty or holds white space or control characters.
    pub fn new(text: &str) -> Option<Self> {
        is_word(text.as_bytes()).then(|| Self(text.into()))
    }
}

/// One octet or more, none of them white space or control; octets above 0x7f pass.
pub(super) fn is_word(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| b > b' ' && b != 0x7f)
}

/// A URI that was proven well formed when it was made.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UriBuf(Box<str>);
text_type!(UriBuf);

impl UriBuf {
    /// Takes a URI; `None` when [`Uri::parse`] refuses it or it holds control characters beyond ASCII.
    pub fn new(text: &str) -> Option<Self> {
        Uri::parse(text.as_bytes()).filter(|_| !text.contains(char::is_control)).map(|_| Self(text.into()))
    }

    /// `sip:user@host:port`, the user part escaped as needed.
    pub fn sip(user: Option<&str>, host: &HostBuf, port: Option<u16>) -> Self {
        let mut text = String::from("sip:");
        if let Some(user) = user.filter(|u| !u.is_empty()) {
            text.push_str(&super::uri::encode_user(user));
            text.push('@');
        }
        text.push_str(&host.to_string());
        if let Some(port) = port {
            text.push(':');
            text.push_str(&port.to_string());
        }
        Self(text.into())
    }

    /// The same URI with one more parameter, before its headers if it has some; the value is a token or absent.
    pub fn with_param(&self, name: &Token, value: Option<&Token>) -> Self {
        let (place, headers) = self.0.split_at(self.uri().sip().map_or(self.0.len(), |sip| match sip.headers.len() {
            0 => self.0.len(),
            headers => self.0.len() - headers - 1,
        }));
        let value = value.map_or_else(String::new, |v| format!("={v}"));
        Self(format!("{place};{name}{value}{headers}").into())
    }

    /// The parts.
    pub fn uri(&self) -> Uri<'_> {
        // Every constructor leaves a text that reads as a URI; a property test holds them to it.
        Uri::read(self.0.as_bytes()).unwrap_or_else(|| unreachable!("an owned URI is well formed"))
    }
}

impl fmt::Debug for UriBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<Uri<'_>> for UriBuf {
    /// Owns a parsed URI; control characters beyond ASCII, which no peer means, become `-`.
    fn from(uri: Uri<'_>) -> Self {
        let text = uri.as_str();
        Self::new(text).unwrap_or_else(|| Self(text.chars().map(|c| if c.is_control() { '-' } else { c }).collect()))
    }
}

/// An owned host: address or name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum HostBuf {
    /// An address; IPv6 is written in brackets.
    Ip(std::net::IpAddr),
    /// A name.
    Name(Token),
}

impl HostBuf {
    /// Reads a host without port; an IPv6 address stands in brackets.
    pub fn new(text: &str) -> Option<Self> {
        super::uri::Host::parse(text).map(Self::from)
    }

    /// The borrowed form.
    pub fn host(&self) -> super::uri::Host<'_> {
        match self {
            Self::Ip(ip) => super::uri::Host::Ip(*ip),
            Self::Name(name) => super::uri::Host::Name(name.as_str()),
        }
    }
}

impl From<std::net::IpAddr> for HostBuf {
    fn from(ip: std::net::IpAddr) -> Self {
        Self::Ip(ip)
    }
}

impl From<super::uri::Host<'_>> for HostBuf {
    fn from(host: super::uri::Host<'_>) -> Self {
        match host {
            super::uri::Host::Ip(ip) => Self::Ip(ip),
            super::uri::Host::Name(name) => Self::Name(Token::proven(name)),
        }
    }
}

impl fmt::Display for HostBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host().fmt(f)
    }
}

/// A SIP method (RFC 3261 §27.4 and the extensions that we know by name).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the methods are named as in their RFCs")]
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Register,
    Options,
    Prack,
    Subscribe,
    Notify,
    Publish,
    Info,
    Refer,
    Message,
    Update,
    /// A method that we have no name for: 405 or 501.
    Other(Token),
}

impl Method {
    /// Reads a method; case matters (RFC 3261 §7.1).
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Some(match bytes {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"REGISTER" => Self::Register,
            b"OPTIONS" => Self::Options,
            b"PRACK" => Self::Prack,
            b"SUBSCRIBE" => Self::Subscribe,
            b"NOTIFY" => Self::Notify,
            b"PUBLISH" => Self::Publish,
            b"INFO" => Self::Info,
            b"REFER" => Self::Refer,
            b"MESSAGE" => Self::Message,
            b"UPDATE" => Self::Update,
            other if scan::is_token(other) => Self::Other(Token::new(std::str::from_utf8(other).ok()?)?),
            _ => return None,
        })
    }

    /// The method as on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Register => "REGISTER",
            Self::Options => "OPTIONS",
            Self::Prack => "PRACK",
            Self::Subscribe => "SUBSCRIBE",
            Self::Notify => "NOTIFY",
            Self::Publish => "PUBLISH",
            Self::Info => "INFO",
            Self::Refer => "REFER",
            Self::Message => "MESSAGE",
            Self::Update => "UPDATE",
            Self::Other(name) => name.as_str(),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One parameter of a header value, its value without quotes and escapes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Param {
    /// The name; compares without case.
    pub name: Token,
    /// The value; quoted on the wire when it needs to be.
    pub value: Option<Text>,
}

/// A name-addr with header parameters: From, To, Contact, Route (RFC 3261 §20.10).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Address {
    /// The display name, unescaped.
    pub display: Option<Text>,
    /// The URI.
    pub uri: UriBuf,
    /// The header parameters, `tag` among them.
    pub params: Vec<Param>,
}

impl Address {
    /// An address without name or parameters.
    pub const fn new(uri: UriBuf) -> Self {
        Self { display: None, uri, params: Vec::new() }
    }

    /// The same address with a display name; an empty one is none.
    #[must_use]
    pub fn with_display(mut self, name: &str) -> Self {
        self.display = Some(Text::new(name)).filter(|text| !text.is_empty());
        self
    }

    /// The same address with a parameter set, replacing one of that name.
    #[must_use]
    pub fn with_param(mut self, name: &Token, value: Option<Text>) -> Self {
        self.params.retain(|p| !p.name.as_str().eq_ignore_ascii_case(name.as_str()));
        self.params.push(Param { name: name.clone(), value });
        self
    }

    /// The same address with its dialog tag set.
    #[must_use]
    pub fn with_tag(self, tag: &str) -> Self {
        self.with_param(&Token("tag".into()), Some(Text::new(tag)))
    }

    /// The same address without its dialog tag.
    #[must_use]
    pub fn without_tag(mut self) -> Self {
        self.params.retain(|p| !p.name.as_str().eq_ignore_ascii_case("tag"));
        self
    }

    /// The dialog tag; an empty one is none.
    pub fn tag(&self) -> Option<&str> {
        self.param("tag").filter(|tag| !tag.is_empty())
    }

    /// The value of a parameter; one without value is `Some("")`.
    pub fn param(&self, name: &str) -> Option<&str> {
        let found = self.params.iter().find(|p| p.name.as_str().eq_ignore_ascii_case(name))?;
        Some(found.value.as_ref().map_or("", Text::as_str))
    }
}
