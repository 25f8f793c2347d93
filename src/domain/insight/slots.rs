//! Details in a sentence: amounts, dates, references, products, each as it was said and as a value.

use serde::{Deserialize, Serialize};
use time::Date;

use super::{
    dates::{self, Toward},
    sentences::{Evidence, Sentence, Token},
};

/// Shortest reference that is believed without being on the record.
const REFERENCE_MIN: usize = 4;
/// Longest reference, digits or letters.
const REFERENCE_MAX: usize = 20;
/// The noun that makes a number a reference is this many tokens before it, at most.
const NOUN_WITHIN: usize = 6;
/// What references are of.
const NOUNS: [&str; 12] =
    ["order", "contract", "invoice", "ticket", "reference", "customer", "account", "tracking", "case", "booking", "policy", "number"];

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
}

/// All details of a sentence, in order; they do not overlap.
pub fn slots(sentence: &Sentence, known: &Known<'_>) -> Vec<Slot> {
    let tokens = &sentence.tokens;
    let (mut out, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let found = amount(tokens, at).or_else(|| date(sentence, at, known)).or_else(|| product(tokens, at, known));
        match found.or_else(|| reference(tokens, at, known)) {
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
        "dollar" | "dollars" => format!("${value}"),
        "euro" | "euros" => format!("€{value}"),
        "pound" | "pounds" => format!("£{value}"),
        "percent" => format!("{value}%"),
        _ => return None,
    };
    Some((len + 1, SlotKind::Amount, None, written))
}

fn date(sentence: &Sentence, at: usize, known: &Known<'_>) -> Option<Found> {
    let ahead = sentence.has_any(&["will", "going to", "by", "until", "next", "shall"]);
    let toward = if ahead { Toward::Future } else { Toward::Nearest };
    // A length of time ("in three days") is no detail of its own; promises read it.
    let found = dates::find(&sentence.tokens, at, known.call, toward).filter(|f| f.from == at && !f.stretch)?;
    Some((found.to - found.from, SlotKind::Date, None, found.day.to_string()))
}

fn product(tokens: &[Token], at: usize, known: &Known<'_>) -> Option<Found> {
    known.products.iter().find_map(|name| {
        let lower = name.to_lowercase();
        let wanted: Vec<&str> = lower.split_whitespace().collect();
        let here = tokens.get(at..at + wanted.len())?;
        let same = !wanted.is_empty() && here.iter().zip(&wanted).all(|(t, w)| t.text == *w);
        same.then(|| (wanted.len(), SlotKind::Product, None, name.clone()))
    })
}

fn reference(tokens: &[Token], at: usize, known: &Known<'_>) -> Option<Found> {
    let (value, len) = digits(tokens, at)?;
    let on_record = known.references.iter().find(|r| plain(r) == plain(&value));
    let before = &tokens[at.saturating_sub(NOUN_WITHIN)..at];
    let noun = before.iter().rfind(|t| NOUNS.contains(&t.text.as_str()) && t.text != "number");
    let numbered = before.iter().any(|t| t.text == "number");
    if on_record.is_none() && (value.len() < REFERENCE_MIN || (noun.is_none() && !numbered)) {
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
        let spoken = dates::small(&token.text).filter(|v| *v < 10).map(|v| v.to_string());
        let spoken = spoken.or_else(|| (token.text == "oh" && len > 0).then(|| "0".to_owned()));
        let written = (token.text.contains(|c: char| c.is_ascii_digit())
            && token.text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
        .then(|| token.text.to_uppercase());
        let Some(piece) = written.filter(|w| !is_ordinal(w)).or(spoken) else { break };
        if value.len() + piece.len() > REFERENCE_MAX {
            break;
        }
        value.push_str(&piece);
        len += 1;
    }
    (len > 0).then_some((value, len))
}

/// "3RD", "28TH".
fn is_ordinal(word: &str) -> bool {
    ["ST", "ND", "RD", "TH"].iter().any(|end| word.strip_suffix(end).is_some_and(|head| head.chars().all(|c| c.is_ascii_digit())))
}
