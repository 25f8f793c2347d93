//! Ages and channels in words, as the brief says them.

use crate::{ids::Channel, time::UnixMs};

/// One minute, milliseconds.
pub const MINUTE_MS: i64 = 60_000;
/// One hour, milliseconds.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// One day, milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// How long ago something was: "just now", "5 min ago", "2 h ago", "3 days ago".
pub fn ago(at: UnixMs, now: UnixMs) -> String {
    let past = now.0.saturating_sub(at.0).max(0);
    match past {
        p if p < MINUTE_MS => "just now".to_owned(),
        p if p < HOUR_MS => format!("{} min ago", p / MINUTE_MS),
        p if p < 48 * HOUR_MS => format!("{} h ago", p / HOUR_MS),
        p => format!("{} days ago", p / DAY_MS),
    }
}

/// How long something is overdue: "20 min", "3 h", "2 days".
pub fn span(from: UnixMs, to: UnixMs) -> String {
    let length = to.0.saturating_sub(from.0).max(0);
    match length {
        p if p < HOUR_MS => format!("{} min", (p / MINUTE_MS).max(1)),
        p if p < 48 * HOUR_MS => format!("{} h", p / HOUR_MS),
        p => format!("{} days", p / DAY_MS),
    }
}

/// What one contact by a channel is called inside a sentence.
pub fn channel_noun(channel: Channel) -> &'static str {
    match channel {
        Channel::Phone => "call",
        Channel::Email => "e-mail",
        Channel::Chat => "chat",
        Channel::Whatsapp => "WhatsApp message",
        Channel::Sms => "SMS",
        Channel::WebForm => "web form",
        Channel::Social => "social message",
        Channel::SelfService => "self-service visit",
    }
}

/// The same at the beginning of a title.
pub fn channel_title(channel: Channel) -> &'static str {
    match channel {
        Channel::Phone => "Call",
        Channel::Email => "E-mail",
        Channel::Chat => "Chat",
        Channel::Whatsapp => "WhatsApp message",
        Channel::Sms => "SMS",
        Channel::WebForm => "Web form",
        Channel::Social => "Social message",
        Channel::SelfService => "Self-service visit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_said_in_the_largest_fitting_unit() {
        let now = UnixMs(100 * DAY_MS);
        for (past, words) in [
            (0, "just now"),
            (-5, "just now"),
            (59_999, "just now"),
            (5 * MINUTE_MS, "5 min ago"),
            (2 * HOUR_MS, "2 h ago"),
            (47 * HOUR_MS, "47 h ago"),
            (3 * DAY_MS, "3 days ago"),
        ] {
            assert_eq!(ago(now.plus_ms(-past), now), words);
        }
    }
}
