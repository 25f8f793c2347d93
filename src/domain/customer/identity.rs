//! Addresses that people are reached by, in the one form in which they are compared.

use serde::{Deserialize, Serialize};

use crate::ids::PhoneNumber;

/// Longest address that is kept, characters (RFC 5321 §4.5.3.1.3 allows 256 octets for a path).
const ADDRESS_MAX: usize = 256;

/// What kind of address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityKind {
    /// A telephone number, E.164.
    Phone,
    /// An e-mail address.
    Email,
    /// A WhatsApp account, E.164.
    Whatsapp,
    /// A visitor of the chat widget.
    Chat,
    /// A handle in a social network: `network:handle`.
    Social,
    /// A log-in of the customer's portal.
    Web,
}

/// One address: equal addresses have equal `kind` and `normalised`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Its kind.
    pub kind: IdentityKind,
    /// The form that is compared.
    pub normalised: String,
    /// As it came.
    pub raw: String,
}

impl Address {
    /// The address of a telephone.
    pub fn phone(number: &PhoneNumber, raw: Option<&str>) -> Self {
        Self { kind: IdentityKind::Phone, normalised: number.as_str().to_owned(), raw: raw.unwrap_or(number.as_str()).to_owned() }
    }

    /// Reads an address of any kind; `None` when it cannot be one.
    ///
    /// E-mail is compared in lower case on both sides of the `@`: the RFC lets the left side differ by case, nobody's mailboxes do.
    pub fn parse(kind: IdentityKind, raw: &str) -> Option<Self> {
        let raw = raw.trim();
        if raw.is_empty() || raw.chars().count() > ADDRESS_MAX || raw.chars().any(char::is_control) {
            return None;
        }
        let normalised = match kind {
            IdentityKind::Phone | IdentityKind::Whatsapp => PhoneNumber::parse_e164(raw).ok()?.as_str().to_owned(),
            IdentityKind::Email => {
                let (local, domain) = raw.rsplit_once('@')?;
                if local.is_empty() || !domain.contains('.') || raw.contains(char::is_whitespace) {
                    return None;
                }
                raw.to_lowercase()
            }
            IdentityKind::Social => raw.trim_start_matches(|c: char| c == '@' || c.is_whitespace()).to_lowercase(),
            IdentityKind::Chat | IdentityKind::Web => raw.to_owned(),
        };
        (!normalised.is_empty() && normalised.chars().count() <= ADDRESS_MAX).then(|| Self { kind, normalised, raw: raw.to_owned() })
    }
}

/// The country of a number, ISO 3166 alpha-2, when it can be told (`+1` 555 belongs to no single one).
pub fn country_of(number: &PhoneNumber) -> Option<String> {
    let parsed = phonenumber::parse(None, number.as_str()).ok()?;
    parsed.country().id().map(|id| id.as_ref().to_owned())
}

/// Loads the tables of telephone numbers, so that the first call does not wait for them.
pub fn warm_up() {
    let _ = PhoneNumber::parse_in("+442079460000", "GB").map(|number| country_of(&number));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_that_people_write_differently_are_equal() {
        let same = |kind, a: &str, b: &str| {
            let (a, b) = (Address::parse(kind, a).expect(a), Address::parse(kind, b).expect(b));
            assert_eq!(a.normalised, b.normalised);
        };
        same(IdentityKind::Email, "Laura.Bennett@Example.COM", " laura.bennett@example.com ");
        same(IdentityKind::Social, "@LauraB", "laurab");
    }

    #[test]
    fn what_cannot_be_an_address_is_none() {
        for (kind, text) in [
            (IdentityKind::Email, "laura"),
            (IdentityKind::Email, "@example.com"),
            (IdentityKind::Email, "a b@example.com"),
            (IdentityKind::Phone, "anonymous"),
            (IdentityKind::Whatsapp, "0170"),
            (IdentityKind::Social, "@"),
            (IdentityKind::Chat, ""),
            (IdentityKind::Chat, "a\0b"),
        ] {
            assert_eq!(Address::parse(kind, text), None, "{text:?}");
        }
    }

    #[test]
    fn a_number_tells_its_country() {
        let country = |text: &str| country_of(&PhoneNumber::parse_e164(text).expect(text));
        assert_eq!(country("+442079460101").as_deref(), Some("GB"));
        assert_eq!(country("+4930901820").as_deref(), Some("DE"));
        assert_eq!(country("+999123"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_none(text in any::<String>()) {
            use IdentityKind::{Chat, Email, Phone, Social, Web, Whatsapp};
            for kind in [Phone, Email, Whatsapp, Chat, Social, Web] {
                if let Some(address) = Address::parse(kind, &text) {
                    let again = Address::parse(kind, &address.normalised).expect("a normalised address is one");
                    prop_assert_eq!(again.normalised, address.normalised);
                }
            }
        }
    }
}
