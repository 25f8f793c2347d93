//! Identities: every id of ours is a UUIDv7, every phone number is E.164.
//!
//! Ids that share a word are told apart by type: [`SipCallId`] is the SIP header (RFC 3261 §20.8),
//! [`InteractionId`] is our contact, [`LegId`] is one party in it. Ids are made from a time and
//! random bytes that the caller supplies, so that domain code stays free of clocks and entropy.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::UnixMs;

/// Ten random bytes, the entropy of one UUIDv7 (RFC 9562 §5.7).
pub type Entropy = [u8; 10];

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Builds a UUIDv7 from a wall time and entropy.
            pub fn new(at: UnixMs, entropy: Entropy) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(at.0.max(0).unsigned_abs(), &entropy).into_uuid())
            }

            /// The wall time inside the id, milliseconds since the Unix epoch.
            pub fn made_at(self) -> UnixMs {
                let bytes = self.0.as_u64_pair().0 >> 16;
                UnixMs(i64::try_from(bytes).unwrap_or(i64::MAX))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.hyphenated().fmt(f) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.hyphenated())
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> { Uuid::parse_str(s).map(Self) }
        }
    )+};
}

ids! {
    /// A person who contacts us.
    CustomerId,
    /// A customer's employer or household.
    OrganisationId,
    /// One address a customer is reached by (phone, e-mail, handle).
    IdentityId,
    /// One contact on one channel, from its first event to its wrap-up.
    InteractionId,
    /// One party's SIP dialog in a call.
    LegId,
    /// One leg in one state, or one agent in wrap-up.
    SegmentId,
    /// One written message.
    MessageId,
    /// One written conversation.
    ThreadId,
    /// Someone who works here and answers contacts.
    AgentId,
    /// One phone account that registers to us.
    PhoneId,
    /// The thing that an interaction is about.
    TicketId,
    /// One thing somebody must do.
    WorkItemId,
    /// A work item put to one agent.
    OfferId,
    /// Something of ours that a party heard.
    SoundId,
    /// One track of recorded audio.
    RecordingId,
    /// One revision of a transcript.
    TranscriptId,
    /// Something read out of an interaction, with evidence.
    FindingId,
    /// Words that a person put right.
    CorrectionId,
    /// Free text written by an agent.
    NoteId,
    /// One unit of slow work.
    JobId,
    /// A queue of work.
    QueueId,
}

/// Which side of the house somebody is on; decides the channel in a stereo rendering.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The customer: left channel.
    Customer,
    /// An agent: right channel.
    Agent,
}

/// The way a contact reaches us.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A telephone call.
    Phone,
    /// E-mail.
    Email,
    /// Live chat on the web site.
    Chat,
    /// WhatsApp.
    Whatsapp,
    /// SMS.
    Sms,
    /// A form on the web site.
    WebForm,
    /// A social network.
    Social,
    /// The customer helped themselves (portal, menu).
    SelfService,
}

/// The Call-ID header of a SIP dialog (RFC 3261 §20.8), compared octet by octet.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SipCallId(pub String);

/// A telephone number in E.164 form: `+`, then 2 to 15 digits, no separators.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(String);

/// Why a text is not a telephone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhoneNumberError {
    /// The text holds something else than a `+` and 2 to 15 digits.
    #[error("a number in E.164 form is + and 2 to 15 digits, such as +493012345678")]
    NotE164,
    /// The text cannot be a number of the given home country.
    #[error("not a telephone number in the country {0}")]
    NotInCountry(String),
}

impl PhoneNumber {
    /// Accepts a number that already is E.164.
    pub fn parse_e164(text: &str) -> Result<Self, PhoneNumberError> {
        let digits = text.strip_prefix('+').ok_or(PhoneNumberError::NotE164)?;
        let fits = (2..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if fits { Ok(Self(text.to_owned())) } else { Err(PhoneNumberError::NotE164) }
    }

    /// Reads a number as people and trunks write it (`030 1234567`, `0049…`, `+49 (30) …`), resolved in `country` (ISO 3166 alpha-2, such as `DE`).
    pub fn parse_in(text: &str, country: &str) -> Result<Self, PhoneNumberError> {
        let not = || PhoneNumberError::NotInCountry(country.to_owned());
        let region = country.parse::<phonenumber::country::Id>().map_err(|_| not())?;
        let number = phonenumber::parse(Some(region), text).map_err(|_| not())?;
        Self::parse_e164(&number.format().mode(phonenumber::Mode::E164).to_string()).map_err(|_| not())
    }

    /// The number as text, `+` first.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = PhoneNumberError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse_e164(&text)
    }
}
impl From<PhoneNumber> for String {
    fn from(number: PhoneNumber) -> Self {
        number.0
    }
}
impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for PhoneNumber {
    /// Shows the country part only: numbers never reach logs above DEBUG whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber({}…)", self.0.get(..3).unwrap_or(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_carries_the_millisecond_it_was_made_in() {
        let id = InteractionId::new(UnixMs(1_790_000_000_123), [7; 10]);
        assert_eq!(id.made_at(), UnixMs(1_790_000_000_123));
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn ids_made_later_sort_later() {
        let early = LegId::new(UnixMs(1000), [255; 10]);
        let late = LegId::new(UnixMs(1001), [0; 10]);
        assert!(early < late && early.to_string() < late.to_string());
    }

    #[test]
    fn numbers_as_people_write_them_become_e164() {
        for (text, country) in [("030 901820", "DE"), ("+49 (30) 90 18 20", "DE"), ("0049 30 901820", "DE"), ("+4930901820", "US")] {
            assert_eq!(PhoneNumber::parse_in(text, country).expect(text).as_str(), "+4930901820", "{text}");
        }
        assert_eq!(PhoneNumber::parse_in("(212) 555-0123", "US").expect("US").as_str(), "+12125550123");
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for text in ["", "+", "anonymous", "+0123", "+1234567890123456", "+49a"] {
            assert!(PhoneNumber::parse_e164(text).is_err(), "{text}");
        }
        assert!(PhoneNumber::parse_in("anonymous", "DE").is_err());
    }
}
