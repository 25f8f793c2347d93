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
    let found = |(len, day, stretch): (usize, Option<Date>, bool)| day.map(|day| Found { from: at, to: at + len, day, stretch });
    if let Some(near) = relative(&word, call, toward) {
        return found(near);
    }
    if let Some(month) = month(word(0)) {
        let (skip, number) = if word(1) == "the" { (3, word(2)) } else { (2, word(1)) };
        if let Some(day) = ordinal(number) {
            return found((skip, in_year(call, month, day, toward), false));
        }
    }
    if let Some(day) = ordinal(word(0)) {
        let (skip, name) = if word(1) == "of" { (3, word(2)) } else { (2, word(1)) };
        if let Some(month) = month(name) {
            return found((skip, in_year(call, month, day, toward), false));
        }
    }
    if let Some(name) = weekday(word(0)) {
        // "Friday, July 10th", "Friday the 10th of July", "Friday 10th July": the date that follows says it all.
        let skip = (1..=2)
            .find(|n| month(word(*n)).is_some() || (ordinal(word(*n)).is_some() && (word(n + 1) == "of" || month(word(n + 1)).is_some())));
        if let Some(skip) = skip.filter(|n| *n == 1 || word(1) == "the") {
            return at_token(tokens, at + skip, call, toward).map(|found| Found { from: at, ..found });
        }
        // "Wednesday the eighth"
        return match ordinal(word(2)).filter(|_| word(1) == "the") {
            Some(day) => found((3, near(call, day, toward), false)),
            None => found((1, on_weekday(call, name, toward), false)),
        };
    }
    if let ("on" | "by" | "until" | "till" | "from", "the", Some(day)) = (word(0), word(1), ordinal(word(2)))
        && month(word(3)).is_none()
        && matches!(word(3), "" | "at" | "and" | "or" | "but" | "then" | "so" | "in" | "if" | "between" | "for")
    {
        return found((3, near(call, day, toward), false));
    }
    let amount = if word(0) == "couple" { (2, 1 + usize::from(word(1) == "of")) } else { number(tokens, at)? };
    found(length(&word, amount, call, toward)?)
}

fn ahead(call: Date, days: i64) -> Option<Date> {
    (days.abs() <= FARTHEST_DAYS).then(|| call.checked_add(Duration::days(days))).flatten()
}

/// Days by their distance from the call: tokens used, day, whether it is a stretch of time.
fn relative<'a>(word: &impl Fn(usize) -> &'a str, call: Date, toward: Toward) -> Option<(usize, Option<Date>, bool)> {
    let future = toward == Toward::Future;
    let monday = i64::from(call.weekday().number_days_from_monday());
    match (word(0), word(1)) {
        ("today" | "tonight", _) => Some((1, Some(call), false)),
        ("tomorrow", _) => Some((1, ahead(call, 1), false)),
        ("yesterday", _) => Some((1, ahead(call, -1), false)),
        ("this", "morning" | "afternoon" | "evening") => Some((2, Some(call), true)),
        ("few", "minutes" | "moments" | "hours") => Some((2, Some(call).filter(|_| future), true)),
        ("fortnight", _) => Some((1, ahead(call, 14).filter(|_| future), true)),
        ("end", "of") => {
            let (the, name) = if matches!(word(2), "the" | "this" | "next") { (1, word(3)) } else { (0, word(2)) };
            let next = i64::from(word(2) == "next") * 7;
            match name {
                "day" | "today" => Some((3 + the, Some(call), true)),
                "week" => Some((3 + the, ahead(call, (4 - monday).max(0) + next), true)),
                "month" if next == 0 => Some((3 + the, Some(last_of_month(call)), true)),
                _ => None,
            }
        }
        (which @ ("next" | "last"), name) if weekday(name).is_some() => {
            let weeks = if which == "next" { 7 } else { -7 };
            let in_week = i64::from(weekday(name)?.number_days_from_monday()) - monday;
            // "Last Friday", said on a Sunday, was two days ago.
            let days = if weeks < 0 && in_week < 0 { in_week } else { in_week + weeks };
            Some((2, ahead(call, days), false))
        }
        (first, second) => week_phrase(first, second, call).map(|days| (2, ahead(call, days), true)),
    }
}

/// The next such day, or the last.
fn on_weekday(call: Date, name: Weekday, toward: Toward) -> Option<Date> {
    let until = i64::from((name.number_days_from_monday() + 7 - call.weekday().number_days_from_monday()) % 7);
    let days = match (toward, until) {
        (Toward::Future, 0) => 7,
        (Toward::Nearest, 0) => 0,
        (Toward::Future, until) => until,
        (Toward::Nearest, until) => until - 7,
    };
    ahead(call, days)
}

/// "in three days", "two weeks ago", "five working days".
fn length<'a>(
    word: &impl Fn(usize) -> &'a str,
    (amount, len): (u64, usize),
    call: Date,
    toward: Toward,
) -> Option<(usize, Option<Date>, bool)> {
    let (work, unit) = match word(len) {
        "working" | "business" => (1, word(len + 1)),
        unit => (0, unit),
    };
    let amount = i64::from(u16::try_from(amount).ok()?);
    let end = len + work + 1;
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
    match (word(end) == "ago", toward) {
        (true, _) => Some((end + 1, ahead(call, -days), true)),
        (false, Toward::Future) => Some((end, ahead(call, days), true)),
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
