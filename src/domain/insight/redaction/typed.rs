//! Text that people type: digits stand there as they are, so check digits and patterns tell.

use super::{
    Kind, Rules,
    numbers::{self, CARD_MAX, CARD_MIN, IBAN_MAX},
};

/// The text with numbers masked, and how many were.
pub(super) fn mask(text: &str, rules: &Rules) -> (String, usize) {
    let mut spans = cards(text);
    spans.extend(ibans(text));
    for (n, pattern) in rules.patterns.iter().enumerate() {
        spans.extend(pattern.places(text).map(|range| (range.start, range.end, Kind::Pattern(u8::try_from(n).unwrap_or(u8::MAX)))));
    }
    spans.sort_by_key(|span| (span.0, std::cmp::Reverse(span.1)));
    let (mut out, mut at, mut count) = (String::with_capacity(text.len()), 0, 0);
    for (first, end, kind) in spans {
        if first < at {
            continue;
        }
        out.push_str(&text[at..first]);
        out.push('[');
        out.push_str(kind.label(rules));
        out.push(']');
        (at, count) = (end, count + 1);
    }
    out.push_str(&text[at..]);
    (out, count)
}

/// Between the digits of one number.
fn separates(c: char) -> bool {
    matches!(c, ' ' | '-' | '.' | '\u{a0}' | '/' | '_')
}

/// Rows of digits with single separators that hold a card number: where it begins and ends.
fn cards(text: &str) -> Vec<(usize, usize, Kind)> {
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < chars.len() {
        let begins = chars[at].1.is_ascii_digit() && !(at > 0 && (chars[at - 1].1.is_ascii_alphanumeric() || chars[at - 1].1 == '+'));
        match begins.then(|| card_at(&chars, at)).flatten() {
            Some(last) => {
                found.push((chars[at].0, chars[last].0 + 1, Kind::CardNumber));
                at = last + 1;
            }
            None => at += 1,
        }
    }
    found
}

/// The place of the last digit of the longest card number that begins at `at` and ends with a number's end.
fn card_at(chars: &[(usize, char)], at: usize) -> Option<usize> {
    let (mut digits, mut last, mut n) = (String::new(), None, at);
    while n < chars.len() && digits.len() < CARD_MAX {
        let c = chars[n].1;
        if c.is_ascii_digit() {
            digits.push(c);
            let ends = chars.get(n + 1).is_none_or(|next| !next.1.is_ascii_alphanumeric());
            if ends && digits.len() >= CARD_MIN && numbers::is_card_number(&digits) {
                last = Some(n);
            }
        } else if !separates(c) || chars.get(n + 1).is_none_or(|next| !next.1.is_ascii_digit()) {
            break;
        }
        n += 1;
    }
    last
}

fn ibans(text: &str) -> Vec<(usize, usize, Kind)> {
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let mut found = Vec::new();
    for at in 0..chars.len() {
        let begins = chars[at].1.is_ascii_alphabetic() && !(at > 0 && chars[at - 1].1.is_ascii_alphanumeric());
        if let Some(last) = begins.then(|| iban_at(&chars, at)).flatten() {
            found.push((chars[at].0, chars[last].0 + 1, Kind::AccountNumber));
        }
    }
    found
}

fn iban_at(chars: &[(usize, char)], at: usize) -> Option<usize> {
    let mut plain = String::new();
    for (n, (_, c)) in chars.iter().enumerate().skip(at) {
        if c.is_ascii_alphanumeric() {
            plain.push(c.to_ascii_uppercase());
        } else if !separates(*c) || plain.len() < 4 {
            return None;
        }
        if plain.len() > IBAN_MAX {
            return None;
        }
        if numbers::is_iban(&plain) {
            return Some(n);
        }
    }
    None
}
