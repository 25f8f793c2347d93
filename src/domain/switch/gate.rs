//! The one gate before dispatch: method × source × credentials, deny by default.
//!
//! ```text
//! datagram ─▶ parse ─▶ transaction? ─▶ dialog? (only from its own peer) ─▶ verdict ─▶ digest ─▶ serve
//! ```
//! What is refused is refused without state: one final response per request, never a 100, never a repetition of our own.

use crate::{ids::PhoneId, protocol::sip::field::Method};

/// Who sent a request, by its source address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The flow of a registered phone.
    Phone(PhoneId),
    /// A configured trunk, by its place in the configuration.
    Trunk(usize),
    /// Anybody.
    Unknown,
}

/// What a request outside of any dialog may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Is served as it is.
    Serve,
    /// Is served with credentials of an account, and challenged without.
    Challenge,
    /// Belongs into a dialog: 481.
    NoDialog,
    /// Is not served: 405.
    NotServed,
    /// Gets no answer: ACK never has one.
    Silence,
}

/// The table. Only what is named here is served.
pub fn verdict(method: &Method, source: Source) -> Verdict {
    match (method, source) {
        (Method::Invite, Source::Trunk(_)) => Verdict::Serve,
        (Method::Invite, Source::Phone(_) | Source::Unknown) => Verdict::Challenge,
        (Method::Register, Source::Phone(_) | Source::Trunk(_) | Source::Unknown) => Verdict::Challenge,
        (Method::Options, Source::Phone(_) | Source::Trunk(_) | Source::Unknown) => Verdict::Serve,
        (Method::Bye | Method::Update | Method::Info | Method::Cancel, _) => Verdict::NoDialog,
        (Method::Ack, _) => Verdict::Silence,
        (Method::Prack | Method::Subscribe | Method::Notify | Method::Publish | Method::Refer | Method::Message | Method::Other(_), _) => {
            Verdict::NotServed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::PhoneId, protocol::sip::field::Token, time::UnixMs};

    #[test]
    fn every_pair_of_method_and_source_is_decided() {
        let phone = Source::Phone(PhoneId::new(UnixMs(1), [0; 10]));
        let (trunk, unknown) = (Source::Trunk(0), Source::Unknown);
        let other = Method::Other(Token::new("BREW").expect("token"));
        use Verdict::{Challenge, NoDialog, NotServed, Serve, Silence};
        let table = [
            (Method::Invite, [Challenge, Serve, Challenge]),
            (Method::Register, [Challenge; 3]),
            (Method::Options, [Serve; 3]),
            (Method::Ack, [Silence; 3]),
            (Method::Cancel, [NoDialog; 3]),
            (Method::Bye, [NoDialog; 3]),
            (Method::Update, [NoDialog; 3]),
            (Method::Prack, [NotServed; 3]),
            (Method::Subscribe, [NotServed; 3]),
            (Method::Notify, [NotServed; 3]),
            (Method::Publish, [NotServed; 3]),
            (Method::Info, [NoDialog; 3]),
            (Method::Refer, [NotServed; 3]),
            (Method::Message, [NotServed; 3]),
            (other, [NotServed; 3]),
        ];
        for (method, expected) in table {
            for (source, expected) in [phone, trunk, unknown].into_iter().zip(expected) {
                assert_eq!(verdict(&method, source), expected, "{method} from {source:?}");
            }
        }
    }
}
