//! Words that say what the next number is: "card number", "security code", "expires", "IBAN", "order number".

use super::stream::Stream;

/// What the words announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cue {
    /// A card number is asked for or begins.
    Card,
    /// A card is spoken of.
    Payment,
    /// A security code or PIN.
    Code,
    /// An expiry date.
    Expiry,
    /// The end of a card number.
    LastFour,
    /// An IBAN.
    Iban,
    /// Something that is no card: an order, a telephone number.
    Else,
}

/// A cue and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub cue: Cue,
    /// When its last word ended.
    pub at_ms: u32,
    /// Which stream, and its last word there.
    pub place: (usize, usize),
}

/// A phrase: words that follow each other with at most so many others between; `|` parts choices, `*` ends a beginning.
type Phrase = (Cue, usize, &'static [&'static str]);

const CARD: &str = "card|cards|visa|mastercard|amex|maestro";
const THINGS: &str = "order|ticket|reference|invoice|booking|policy|contract|tracking|parcel|case|customer|phone|telephone|mobile|cell|callback|\
                      zip|postal|extension|serial|meter|flight|model|discount|promo|voucher|registration|house|room|article|item|claim|member";

const PHRASES: &[Phrase] = &[
    (Cue::Card, 1, &[CARD, "number|numbers|digits|details"]),
    (Cue::Card, 5, &["number|numbers|digits|details", CARD]),
    (Cue::Card, 1, &["long", "number|card"]),
    (Cue::Card, 1, &["sixteen|16|fifteen|15|nineteen|19", "digit*|number|numbers"]),
    (Cue::Card, 2, &["across|on|from", "front"]),
    (Cue::Card, 1, &[CARD, "is|it's|starts|begins|says|reads"]),
    (Cue::Card, 3, &["read|give|tell|take", "card"]),
    (Cue::Payment, 0, &[CARD]),
    (Cue::Payment, 0, &["american", "express"]),
    (Cue::Payment, 0, &["master", "card"]),
    (Cue::Code, 1, &["security|signature", "code|codes|number|numbers|digits|value|strip|panel"]),
    (Cue::Code, 1, &["verification|card", "code|codes|value"]),
    (Cue::Code, 0, &["cvv|cvc|cvv2|cvc2|cv2|cvn|csc|cid|pin"]),
    (Cue::Code, 0, &["c", "v|b|s", "v|c|b|2|two"]),
    (Cue::Code, 4, &["three|3|four|4|last|digits|digit|number|numbers|code", "back|reverse|signature"]),
    (Cue::Expiry, 0, &["expir*"]),
    (Cue::Expiry, 1, &["valid|good", "until|till|thru|through|to"]),
    (Cue::LastFour, 1, &["last|final", "four|4"]),
    (Cue::LastFour, 1, &["ending|ends|end|finishing", "in|with|on"]),
    (Cue::LastFour, 0, &["ending"]),
    (Cue::Iban, 0, &["iban|ibans"]),
    (Cue::Iban, 0, &["i|eye", "ban|bun|bahn"]),
    (Cue::Iban, 0, &["i", "b", "a", "n"]),
    (Cue::Iban, 1, &["international", "bank|account"]),
    (Cue::Else, 1, &[THINGS, "number|numbers|is|was|id|code|reference"]),
    (Cue::Else, 0, &["phone|telephone|mobile|postcode|birthday|born|voucher"]),
    (Cue::Else, 1, &["post|zip|discount|promo", "code"]),
    (Cue::Else, 1, &["date", "of", "birth"]),
    (Cue::Else, 2, &["call|reach|ring|text", "me|you|back", "on|at"]),
    (Cue::Else, 1, &["total|amount|balance|price", "is|was|of"]),
];

/// Nouns right before a number that make it another thing.
pub(super) fn names_another_thing(word: &str) -> bool {
    THINGS.split('|').map(str::trim).any(|thing| thing == word)
}

/// All cues of a call by time.
pub(super) fn find(streams: &[Stream]) -> Vec<Heard> {
    let mut found: Vec<Heard> = Vec::new();
    for (n, stream) in streams.iter().enumerate() {
        for first in 0..stream.words.len() {
            for (cue, gap, phrase) in PHRASES {
                if let Some(last) = matches(stream, first, phrase, *gap) {
                    found.push(Heard { cue: *cue, at_ms: stream.words[last].to_ms, place: (n, last) });
                }
            }
        }
    }
    found.sort_by_key(|h| h.at_ms);
    found
}

/// The last word of the phrase that begins at `first`.
fn matches(stream: &Stream, first: usize, phrase: &[&str], gap: usize) -> Option<usize> {
    let (head, rest) = phrase.split_first()?;
    fits(&stream.words[first].plain, head).then_some(())?;
    rest.iter().try_fold(first, |last, part| {
        let window = stream.words.iter().enumerate().skip(last + 1).take(gap + 1);
        window.into_iter().find(|(_, word)| fits(&word.plain, part)).map(|(at, _)| at)
    })
}

fn fits(word: &str, choices: &str) -> bool {
    choices.split('|').any(|choice| match choice.strip_suffix('*') {
        Some(head) => word.starts_with(head),
        None => word == choice.trim(),
    })
}
