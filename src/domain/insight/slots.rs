//! Details in a sentence: amounts, dates, references, products, each as it was said and as a value.

use regex::Regex;
use serde::{Deserialize, Serialize};
use time::Date;

use super::{
    dates::{self, Toward},
    sentences::{Evidence, Sentence, Token},
};

/// Shortest reference that is believed without being on the record.
const REFERENCE_MIN: usize = 4;
/// It has this many digits, at least.
const REFERENCE_DIGITS_MIN: usize = 3;
/// Longest reference, digits or letters.
const REFERENCE_MAX: usize = 20;
/// The noun that makes a number a reference is this many tokens before it, at most.
const NOUN_WITHIN: usize = 6;
/// Most letters that are spelled before the digits.
const LETTERS_MAX: usize = 4;
/// Dates with a year further back are days of birth.
const YEARS_BACK: i32 = 5;
/// What references are of.
const NOUNS: [&str; 26] = [
    "order",
    "contract",
    "invoice",
    "ticket",
    "reference",
    "customer",
    "account",
    "tracking",
    "case",
    "booking",
    "policy",
    "number",
    "claim",
    "dispute",
    "confirmation",
    "meter",
    "serial",
    "visit",
    "member",
    "membership",
    "patient",
    "parcel",
    "complaint",
    "repair",
    "code",
    "receipt",
];
/// Numbers of these are not references.
const OTHER_NUMBERS: [&str; 8] = ["phone", "telephone", "mobile", "postcode", "digits", "birth", "extension", "pin"];
/// Somebody speaks of what was.
const PAST: [&str; 28] = [
    "was",
    "were",
    "did",
    "had",
    "bought",
    "came",
    "sent",
    "paid",
    "went",
    "got",
    "took",
    "made",
    "said",
    "told",
    "rang",
    "spoke",
    "left",
    "last",
    "since",
    "ago",
    "yesterday",
    "have",
    "has",
    "wrote",
    "gave",
    "began",
    "broke",
    "lost",
];

/// What a detail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotKind {
    /// Money or a share; the value is as written, `$45`.
    Amount,
    /// A day; the value is ISO 8601.
    Date,
    /// A number of something on the record; the value is in digits.
    Reference,
    /// A product from the list; the value is the list's name.
    Product,
}

/// One detail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// What it is.
    pub kind: SlotKind,
    /// As it was said, with its noun where it has one ("order 48215").
    pub text: String,
    /// What it means.
    pub value: String,
    /// Where.
    pub evidence: Evidence,
}

/// What is known before the call.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The day of the call, where the company is.
    pub call: Date,
    /// Order, contract, invoice numbers on the customer's record.
    pub references: &'a [String],
    /// Product names.
    pub products: &'a [String],
    /// What numbers of the company look like, whole.
    pub patterns: &'a [Regex],
}

/// All details of a sentence, in order; they do not overlap. `asked` is what the other side said before it.
pub fn slots(sentence: &Sentence, asked: Option<&Sentence>, known: &Known<'_>) -> Vec<Slot> {
    let names = |s: &Sentence, nouns: &[&str]| s.tokens.iter().any(|t| nouns.contains(&t.text.as_str()));
    let asked = asked.is_some_and(|s| names(s, &NOUNS) && !names(s, &OTHER_NUMBERS));
    let tokens = &sentence.tokens;
    let (mut out, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let found = amount(tokens, at).or_else(|| date(sentence, at, known)).or_else(|| product(tokens, at, known));
        match found.or_else(|| reference(tokens, at, asked, known)) {
            Some((len, kind, text, value)) => {
                let last = tokens[at + len - 1].word + 1;
                let said = || sentence.words[tokens[at].word..last].iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ");
                let text = text.unwrap_or_else(|| said().trim_matches(['.', ',', '?', '!']).to_owned());
                out.push(Slot { kind, text, value, evidence: sentence.evidence_of(tokens[at].word, last) });
                at += len;
            }
            None => at += 1,
        }
    }
    out
}

/// Tokens used, kind, text where it is not the words themselves, value.
type Found = (usize, SlotKind, Option<String>, String);

fn amount(tokens: &[Token], at: usize) -> Option<Found> {
    let word = tokens[at].text.as_str();
    let figures =
        |text: &str| text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || ".,".contains(c));
    if word.strip_prefix(['$', '€', '£']).is_some_and(figures) || word.strip_suffix(['%', '€', '$']).is_some_and(figures) {
        return Some((1, SlotKind::Amount, None, word.to_owned()));
    }
    let (value, len) = if figures(word) { (word.to_owned(), 1) } else { dates::number(tokens, at).map(|(v, len)| (v.to_string(), len))? };
    let unit = tokens.get(at + len)?.text.as_str();
    let written = match unit {
        "dollar" | "dollars" | "bucks" => format!("${value}"),
        "euro" | "euros" => format!("€{value}"),
        "pound" | "pounds" | "quid" => format!("£{value}"),
        "percent" => format!("{value}%"),
        _ => return None,
    };
    // "ninety-nine dollars and fifty cents"
    let and = usize::from(tokens.get(at + len + 1).is_some_and(|t| t.text == "and"));
    let cents = dates::number(tokens, at + len + 1 + and).filter(|(v, n)| {
        (1..100).contains(v) && tokens.get(at + len + 1 + and + n).is_some_and(|t| matches!(t.text.as_str(), "cents" | "pence"))
    });
    if let (Some((cents, used)), false) = (cents, unit == "percent") {
        return Some((len + 2 + and + used, SlotKind::Amount, None, format!("{written}.{cents:02}")));
    }
    Some((len + 1, SlotKind::Amount, None, written))
}

fn date(sentence: &Sentence, at: usize, known: &Known<'_>) -> Option<Found> {
    let past = sentence.tokens.iter().any(|t| PAST.contains(&t.text.as_str()) || (t.text.len() > 4 && t.text.ends_with("ed")));
    let ahead = sentence.has_any(&["will", "going to", "by", "until", "next", "shall"]);
    // A weekday that nothing places in the past is the coming one; a day of a month is the nearest.
    let proposed = !past || sentence.has_any(&["can", "could", "would"]);
    let toward = if ahead || (proposed && !dates::names_month(&sentence.tokens, at)) { Toward::Future } else { Toward::Nearest };
    if matches!(sentence.tokens[at].text.as_str(), "today" | "tonight") {
        // The day of the call is known.
        return None;
    }
    // A length of time ("in three days") is no detail of its own; promises read it.
    let found = dates::find(&sentence.tokens, at, known.call, toward).filter(|f| f.from == at && !f.stretch)?;
    // A day of birth tells who somebody is.
    let after = sentence.tokens.get(found.to).map_or("", |t| t.text.as_str());
    let year = after.parse::<i32>().ok().filter(|y| (1900..2100).contains(y));
    if after == "nineteen" || year.is_some_and(|y| y < known.call.year() - YEARS_BACK) {
        return None;
    }
    Some((found.to - found.from, SlotKind::Date, None, found.day.to_string()))
}

fn product(tokens: &[Token], at: usize, known: &Known<'_>) -> Option<Found> {
    known.products.iter().find_map(|name| {
        let lower = name.to_lowercase();
        let wanted: Vec<&str> = lower.split_whitespace().collect();
        let here = tokens.get(at..at + wanted.len())?;
        let same = !wanted.is_empty() && here.iter().zip(&wanted).all(|(t, w)| t.text == *w || t.text.strip_suffix('s') == Some(w));
        same.then(|| (wanted.len(), SlotKind::Product, None, name.clone()))
    })
}

fn reference(tokens: &[Token], at: usize, asked: bool, known: &Known<'_>) -> Option<Found> {
    let (value, len) = digits(tokens, at)?;
    let on_record = known.references.iter().find(|r| plain(r) == plain(&value));
    let before = &tokens[at.saturating_sub(NOUN_WITHIN)..at];
    let noun = before.iter().rfind(|t| NOUNS.contains(&t.text.as_str()) && t.text != "number");
    let numbered = before.iter().any(|t| t.text == "number");
    let other = before.iter().any(|t| OTHER_NUMBERS.contains(&t.text.as_str()));
    let digits = value.chars().filter(char::is_ascii_digit).count();
    let fits = |p: &Regex| p.find(&value).is_some_and(|m| m.len() == value.len());
    let looks = known.patterns.iter().any(fits);
    let short = (value.len() < REFERENCE_MIN || digits < REFERENCE_DIGITS_MIN) && !looks;
    // Letters with digits, as "RB7730", are a reference with no noun too.
    let code = &tokens[at].text;
    let ends = (code.starts_with(|c: char| c.is_ascii_alphabetic()), code.ends_with(|c: char| c.is_ascii_digit()));
    let coded = looks || (code.len() > REFERENCE_MIN && ends == (true, true));
    // "Your account number?" "Nine nine eight oh four one."
    let answers = asked && digits >= REFERENCE_MIN;
    if on_record.is_none() && (short || other || (noun.is_none() && !numbered && !coded && !answers)) {
        return None;
    }
    let value = on_record.cloned().unwrap_or(value);
    let text = noun.map_or_else(|| value.clone(), |n| format!("{} {value}", n.text));
    Some((len, SlotKind::Reference, Some(text), value))
}

/// Letters and digits only, upper case.
fn plain(reference: &str) -> String {
    reference.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_uppercase()).collect()
}

/// A reference in one piece ("48215", "NW-4711"), in groups ("48 215"), or digit by digit in words.
fn digits(tokens: &[Token], at: usize) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut len = 0;
    while let Some(token) = tokens.get(at + len) {
        let next = |n: usize| tokens.get(at + len + n).map_or("", |t| t.text.as_str());
        let times = match token.text.as_str() {
            "double" => 2,
            "triple" => 3,
            _ => 1,
        };
        let word = if times > 1 { next(1) } else { token.text.as_str() };
        let spoken = dates::small(word).filter(|v| *v < 10).map(|v| v.to_string());
        let spoken = spoken.or_else(|| (word == "oh" && len > 0).then(|| "0".to_owned()));
        let spoken = spoken.or_else(|| (times > 1 && word.len() == 1).then(|| word.to_uppercase()));
        // "R B seven seven three zero"
        let letter =
            times == 1 && len < LETTERS_MAX && word.len() == 1 && word.bytes().all(|b| b.is_ascii_lowercase()) && value.len() == len;
        let spelled =
            letter && [next(1), next(2), next(3)].iter().any(|w| dates::small(w).is_some() || w.bytes().any(|b| b.is_ascii_digit()));
        let written = (word.contains(|c: char| c.is_ascii_digit()) && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
            .then(|| word.to_uppercase());
        let piece = written.filter(|w| times == 1 && !is_ordinal(w)).or(spoken).or_else(|| spelled.then(|| word.to_uppercase()));
        let Some(piece) = piece else { break };
        let piece = piece.repeat(times);
        if value.len() + piece.len() > REFERENCE_MAX {
            break;
        }
        value.push_str(&piece);
        len += if times > 1 { 2 } else { 1 };
    }
    (len > 0).then_some((value, len))
}

/// "3RD", "28TH".
fn is_ordinal(word: &str) -> bool {
    ["ST", "ND", "RD", "TH"].iter().any(|end| word.strip_suffix(end).is_some_and(|head| head.chars().all(|c| c.is_ascii_digit())))
}
