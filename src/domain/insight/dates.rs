//! Dates as people say them, resolved on the day of the call.

use time::{Date, Duration, Month, Weekday};

use super::sentences::Token;

/// Which way an ambiguous date lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toward {
    /// Something that happened, or either way: the nearest.
    Nearest,
    /// Something that will be.
    Future,
}

/// A date found in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// First token.
    pub from: usize,
    /// One past the last token.
    pub to: usize,
    /// The day.
    pub day: Date,
    /// Said as a length of time ("in three days"), not as a day.
    pub stretch: bool,
}

/// Longest stretch that is believed: "in 500 days" is a misheard number.
const FARTHEST_DAYS: i64 = 400;

/// The first date at or after token `start`.
pub fn find(tokens: &[Token], start: usize, call: Date, toward: Toward) -> Option<Found> {
    (start..tokens.len()).find_map(|at| at_token(tokens, at, call, toward))
}

fn at_token(tokens: &[Token], at: usize, call: Date, toward: Toward) -> Option<Found> {
    let word = |i: usize| tokens.get(at + i).map_or("", |t| t.text.as_str());
    let found = |len: usize, day: Option<Date>| day.map(|day| Found { from: at, to: at + len, day, stretch: false });
    let stretch = |len: usize, day: Option<Date>| day.map(|day| Found { from: at, to: at + len, day, stretch: true });
    let ahead = |days: i64| (days.abs() <= FARTHEST_DAYS).then(|| call.checked_add(Duration::days(days))).flatten();
    match word(0) {
        "today" | "tonight" => return found(1, Some(call)),
        "tomorrow" => return found(1, ahead(1)),
        "yesterday" => return found(1, ahead(-1)),
        "this" if matches!(word(1), "morning" | "afternoon" | "evening") => return stretch(2, Some(call)),
        "few" if matches!(word(1), "minutes" | "moments" | "hours") => return stretch(2, Some(call).filter(|_| toward == Toward::Future)),
        "end" if word(1) == "of" => {
            let (the, name) = if matches!(word(2), "the" | "this" | "next") { (1, word(3)) } else { (0, word(2)) };
            let next = i64::from(word(2) == "next") * 7;
            let friday = 4 - i64::from(call.weekday().number_days_from_monday());
            match name {
                "day" | "today" => return stretch(3 + the, Some(call)),
                "week" => return stretch(3 + the, ahead(friday.max(0) + next)),
                "month" if next == 0 => return stretch(3 + the, Some(last_of_month(call))),
                _ => {}
            }
        }
        _ => {}
    }
    if let ("next" | "last", Some(name)) = (word(0), weekday(word(1))) {
        let monday = i64::from(call.weekday().number_days_from_monday());
        let weeks = if word(0) == "next" { 7 } else { -7 };
        let in_week = i64::from(name.number_days_from_monday()) - monday;
        // "Last Friday", said on a Sunday, was two days ago.
        let days = if weeks < 0 && in_week < 0 { in_week } else { in_week + weeks };
        return found(2, ahead(days));
    }
    if let Some(days) = week_phrase(word(0), word(1), call) {
        return stretch(2, ahead(days));
    }
    if let Some(month) = month(word(0)) {
        let (skip, number) = if word(1) == "the" { (3, word(2)) } else { (2, word(1)) };
        if let Some(day) = ordinal(number) {
            return found(skip, in_year(call, month, day, toward));
        }
    }
    if let Some(day) = ordinal(word(0)) {
        let (skip, name) = if word(1) == "of" { (3, word(2)) } else { (2, word(1)) };
        if let Some(month) = month(name) {
            return found(skip, in_year(call, month, day, toward));
        }
    }
    if weekday(word(0)).is_some() && (month(word(1)).is_some() || (ordinal(word(2)).is_some() && word(3) == "of")) {
        let skip = if month(word(1)).is_some() { 1 } else { 2 };
        return at_token(tokens, at + skip, call, toward).map(|found| Found { from: at, ..found });
    }
    if let Some(name) = weekday(word(0)) {
        let until = i64::from((name.number_days_from_monday() + 7 - call.weekday().number_days_from_monday()) % 7);
        let days = match toward {
            Toward::Future => {
                if until == 0 {
                    7
                } else {
                    until
                }
            }
            Toward::Nearest => {
                if until == 0 {
                    0
                } else {
                    until - 7
                }
            }
        };
        return match (word(1), ordinal(word(2)), ordinal(word(1))) {
            // "Wednesday the eighth"
            ("the", Some(day), _) if month(word(3)).is_none() && word(3) != "of" => found(3, near(call, day, toward)),
            ("the", Some(_), _) | (_, _, Some(_)) => None,
            _ => found(1, ahead(days)),
        };
    }
    if let ("on" | "by" | "until" | "till" | "from", "the", Some(day)) = (word(0), word(1), ordinal(word(2)))
        && month(word(3)).is_none()
        && matches!(word(3), "" | "at" | "and" | "or" | "but" | "then" | "so" | "in" | "if" | "between" | "for")
    {
        return found(3, near(call, day, toward));
    }
    let (amount, len) = match word(0) {
        "couple" => (2, 1 + usize::from(word(1) == "of")),
        "fortnight" => return stretch(1, ahead(14).filter(|_| toward == Toward::Future)),
        _ => number(tokens, at)?,
    };
    let (work, unit) = match word(len) {
        "working" | "business" => (1, word(len + 1)),
        unit => (0, unit),
    };
    let amount = i64::from(u16::try_from(amount).ok()?);
    let end = len + work + 1;
    let past = word(end) == "ago";
    if matches!(word(end), "before" | "after" | "beforehand" | "earlier" | "late" | "notice") {
        return None;
    }
    let days = match unit {
        "minute" | "minutes" => 0,
        "hour" | "hours" => amount / 24,
        "day" | "days" if work == 1 => working_days(call, amount),
        "day" | "days" => amount,
        "week" | "weeks" => amount * 7,
        "month" | "months" => amount * 30,
        _ => return None,
    };
    match (past, toward) {
        (true, _) => stretch(end + 1, ahead(-days)),
        (false, Toward::Future) => stretch(end, ahead(days)),
        (false, Toward::Nearest) => None,
    }
}

/// "this week", "next week": its Friday.
fn week_phrase(first: &str, second: &str, call: Date) -> Option<i64> {
    let friday = 4 - i64::from(call.weekday().number_days_from_monday());
    match (first, second) {
        ("this", "week") => Some(friday.max(0)),
        ("next", "week") => Some(friday + 7),
        _ => None,
    }
}

fn working_days(from: Date, count: i64) -> i64 {
    let (mut day, mut left, mut days) = (from, count.min(FARTHEST_DAYS), 0);
    while left > 0 {
        let Some(next) = day.next_day() else { break };
        (day, days) = (next, days + 1);
        left -= i64::from(!matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday));
    }
    days
}

/// Whether the date at token `at` has a month's name in it, which makes it unlike a weekday: its nearest year is meant.
pub fn names_month(tokens: &[Token], at: usize) -> bool {
    tokens.iter().skip(at).take(4).any(|t| month(&t.text).is_some())
}

/// The last day of the month.
fn last_of_month(day: Date) -> Date {
    day.replace_day(day.month().length(day.year())).unwrap_or(day)
}

/// That day of this month, or of the one before or after, by direction.
fn near(call: Date, day: u8, toward: Toward) -> Option<Date> {
    let this = call.replace_day(day).ok();
    let other = match toward {
        Toward::Future if this.is_none_or(|d| d < call) => last_of_month(call).next_day()?.replace_day(day).ok(),
        Toward::Nearest if this.is_none_or(|d| d - call > Duration::days(15)) => {
            call.replace_day(1).ok()?.previous_day()?.replace_day(day).ok()
        }
        Toward::Future | Toward::Nearest => this,
    };
    other.or(this)
}

/// The day in the year in which it is nearest, or next.
fn in_year(call: Date, month: Month, day: u8, toward: Toward) -> Option<Date> {
    let years = [call.year() - 1, call.year(), call.year() + 1];
    let dates = years.into_iter().filter_map(|y| Date::from_calendar_date(y, month, day).ok());
    match toward {
        Toward::Nearest => dates.min_by_key(|d| (*d - call).abs()),
        Toward::Future => dates.filter(|d| *d >= call).min(),
    }
}

fn month(word: &str) -> Option<Month> {
    let names = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
    let at = names.iter().position(|n| *n == word)?;
    Month::try_from(u8::try_from(at + 1).ok()?).ok()
}

fn weekday(word: &str) -> Option<Weekday> {
    use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    let days = [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday];
    days.into_iter().find(|d| d.to_string().to_lowercase() == word)
}

/// "3rd", "3", "third", "twenty-first" → day of the month.
fn ordinal(word: &str) -> Option<u8> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = &word[digits.len()..];
    if !digits.is_empty() && matches!(suffix, "" | "st" | "nd" | "rd" | "th") {
        return digits.parse().ok().filter(|d| (1..=31).contains(d));
    }
    let names = [
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
        "eighth",
        "ninth",
        "tenth",
        "eleventh",
        "twelfth",
        "thirteenth",
        "fourteenth",
        "fifteenth",
        "sixteenth",
        "seventeenth",
        "eighteenth",
        "nineteenth",
        "twentieth",
    ];
    let tens = [("twenty-", 20), ("thirty-", 30)];
    let simple = |w: &str| names.iter().position(|n| *n == w).and_then(|i| u8::try_from(i + 1).ok());
    simple(word)
        .or_else(|| (word == "thirtieth").then_some(30))
        .or_else(|| tens.iter().find_map(|(head, n)| word.strip_prefix(head).and_then(simple).map(|d| d + n)))
        .filter(|d| *d <= 31)
}

/// A whole number in digits or words at token `at`: value and tokens used. "a" and "one" are 1.
pub fn number(tokens: &[Token], at: usize) -> Option<(u64, usize)> {
    let word = |i: usize| tokens.get(at + i).map_or("", |t| t.text.as_str());
    if let Ok(value) = word(0).replace(',', "").parse::<u32>() {
        return Some((u64::from(value), 1));
    }
    let hundreds = matches!(word(1), "hundred" | "thousand");
    if matches!(word(0), "a" | "an") && !hundreds {
        return Some((1, 1));
    }
    let (mut total, mut current, mut len) = (0u64, 0u64, usize::from(word(0) == "a" && hundreds));
    while len < 8 {
        match (word(len), small(word(len))) {
            ("hundred", _) if len > 0 => current = current.max(1) * 100,
            ("thousand", _) if len > 0 => (total, current) = (total + current.max(1) * 1_000, 0),
            ("and", _) if len > 0 && small(word(len + 1)).is_some() && current >= 100 => {}
            (_, Some(value)) if len == 0 || current % 100 == 0 || (current % 10 == 0 && value < 10 && current % 100 >= 20) => {
                current += value
            }
            _ => break,
        }
        len += 1;
    }
    (len > 0).then_some((total + current, len))
}

/// A number word under a hundred.
pub fn small(word: &str) -> Option<u64> {
    let units = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    let tens = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    let unit = |w: &str| units.iter().position(|u| *u == w).map(|i| i as u64);
    let ten = |w: &str| tens.iter().position(|t| *t == w).map(|i| (i as u64 + 2) * 10);
    let joined = || word.split_once('-').and_then(|(t, u)| Some(ten(t)? + unit(u)?));
    unit(word).or_else(|| ten(word)).or_else(joined)
}

/// Serde for an optional day: ISO 8601 or null.
pub mod iso {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use time::{Date, format_description::BorrowedFormatItem, macros::format_description};

    const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

    /// Writes it.
    pub fn serialize<S: Serializer>(day: &Option<Date>, to: S) -> Result<S::Ok, S::Error> {
        day.map(|d| d.to_string()).serialize(to)
    }

    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Date>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|t| Date::parse(&t, DAY).map_err(D::Error::custom)).transpose()
    }
}
