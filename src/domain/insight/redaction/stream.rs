//! One leg's words in order of time, and the numbers in them.
//!
//! ```text
//! words ─▶ pieces ─▶ atoms ("forty-one") ─▶ groups ("forty-one eleven", 4111)
//! ```

use super::spoken::{self, Piece};
use crate::{domain::insight::utterance::Utterance, ids::LegId};

/// Words further apart than this are never one number.
const BREATH_MS: u32 = 1_200;
/// Digits closer than this, with nothing but fillers between, are one group.
const GROUP_GAP_MS: u32 = 2_500;
/// Most fillers between two digits of a group.
const GROUP_FILLERS: usize = 4;

/// After a number these make it an amount or a count.
const UNITS_AFTER: [&str; 46] = [
    "dollar",
    "dollars",
    "euro",
    "euros",
    "pound",
    "pounds",
    "cent",
    "cents",
    "pence",
    "bucks",
    "percent",
    "quid",
    "day",
    "days",
    "week",
    "weeks",
    "month",
    "months",
    "year",
    "years",
    "hour",
    "hours",
    "minute",
    "minutes",
    "second",
    "seconds",
    "times",
    "time",
    "o'clock",
    "am",
    "pm",
    "a.m",
    "p.m",
    "degrees",
    "people",
    "digit",
    "digits",
    "numbers",
    "letters",
    "characters",
    "items",
    "pieces",
    "kilos",
    "miles",
    "megabits",
    "gigabytes",
];
/// After "one" these make it no digit.
const ONE_OF: [&str; 9] = ["moment", "second", "sec", "minute", "of", "more", "thing", "day", "last"];
/// Names of months, and as they are shortened; "may" is left out, it is mostly a verb.
const MONTHS: [&str; 23] = [
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "jan",
    "feb",
    "mar",
    "apr",
    "jun",
    "jul",
    "aug",
    "sep",
    "sept",
    "oct",
    "nov",
    "dec",
];

/// One word of a leg.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// Which utterance.
    pub utterance: usize,
    /// Which of its words.
    pub word: usize,
    pub from_ms: u32,
    pub to_ms: u32,
    /// Lower case, no punctuation around it.
    pub plain: String,
    /// Whether nothing but what is said between groups.
    pub filler: bool,
}

/// A number or spelled letter and the words that say it.
#[derive(Clone, Debug)]
pub(super) struct Atom {
    /// Capitals and digits.
    pub text: String,
    /// Another reading.
    pub other: Option<String>,
    /// First and last word.
    pub words: (usize, usize),
    /// Its own thing: an amount, a date, a time, a count.
    pub aside: Aside,
}

/// What a number is when it is surely no part of a longer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aside {
    /// It may be a part.
    No,
    /// Money, a share, a count, a time of day.
    Amount,
    /// A day or a month with its year.
    Date,
}

/// Numbers said in one go.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Its atoms.
    pub atoms: Vec<Atom>,
    /// First and last word.
    pub words: (usize, usize),
    pub from_ms: u32,
    pub to_ms: u32,
    pub aside: Aside,
}

impl Group {
    /// Digits only.
    pub fn digits(&self) -> String {
        self.atoms.iter().flat_map(|a| a.text.chars()).filter(char::is_ascii_digit).collect()
    }

    /// Letters and digits.
    pub fn text(&self) -> String {
        self.atoms.iter().map(|a| a.text.as_str()).collect()
    }
}

/// All that one leg said.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub leg: LegId,
    pub words: Vec<Said>,
    /// By time, never overlapping.
    pub groups: Vec<Group>,
}

/// One leg, its words, and their pieces with the word that each is of.
type Leg = (LegId, Vec<Said>, Vec<(Piece, usize)>);

/// A stream for each leg.
pub(super) fn streams(utterances: &[Utterance]) -> Vec<Stream> {
    let mut order: Vec<usize> = (0..utterances.len()).collect();
    order.sort_by_key(|i| (utterances[*i].from_ms, utterances[*i].to_ms));
    let mut legs: Vec<Leg> = Vec::new();
    for at in order {
        let utterance = &utterances[at];
        let found = legs.iter().position(|(leg, ..)| *leg == utterance.leg);
        let found = found.unwrap_or_else(|| {
            legs.push((utterance.leg, Vec::new(), Vec::new()));
            legs.len() - 1
        });
        let (_, words, pieces) = &mut legs[found];
        for (n, word) in utterance.words.iter().enumerate() {
            let read = spoken::pieces(&word.text);
            pieces.extend(read.into_iter().map(|piece| (piece, words.len())));
            let plain = spoken::plain(&word.text);
            words.push(Said { utterance: at, word: n, from_ms: word.from_ms, to_ms: word.to_ms, plain, filler: true });
        }
    }
    legs.into_iter().map(|(leg, words, pieces)| stream(leg, words, pieces)).collect()
}

fn stream(leg: LegId, mut words: Vec<Said>, mut pieces: Vec<(Piece, usize)>) -> Stream {
    settle(&mut pieces, &words);
    words.iter_mut().for_each(|word| word.filler = true);
    for (piece, word) in &pieces {
        words[*word].filler &= *piece == Piece::Filler;
    }
    // "November" that spells is no month.
    for (piece, word) in &pieces {
        if let (Piece::Letters(letter), true) = (piece, is_month(&words, *word)) {
            words[*word].plain = letter.to_ascii_lowercase();
        }
    }
    let breaks = |n: usize| pieces[n].1 != pieces[n - 1].1 && words[pieces[n - 1].1].to_ms + BREATH_MS < words[pieces[n].1].from_ms;
    let mut atoms: Vec<Atom> = Vec::new();
    let mut at = 0;
    while at < pieces.len() {
        let end = (at + 1..pieces.len()).find(|n| breaks(*n) || *n > at + 12).unwrap_or(pieces.len());
        let ahead: Vec<Piece> = pieces[at..end].iter().map(|(piece, _)| piece.clone()).collect();
        match spoken::read(&ahead) {
            Some(read) => {
                let span = (pieces[at].1, pieces[at + read.len - 1].1);
                at += read.len;
                let aside = aside(&words, span);
                atoms.push(Atom { text: read.text, other: read.other, words: span, aside });
            }
            None => at += 1,
        }
    }
    let groups = groups(&words, atoms);
    Stream { leg, words, groups }
}

/// Decides what can only be told from the neighbours: homophones, spelling words, "oh", "a", "B for Bravo".
fn settle(pieces: &mut [(Piece, usize)], words: &[Said]) {
    let digit =
        |p: &Piece| matches!(p, Piece::Repeat(_) | Piece::Unit(_) | Piece::Teen(_) | Piece::Tens(_) | Piece::Figures(_) | Piece::Mixed(_));
    let spells = |p: &Piece| match p {
        Piece::Letters(letter) => letter != "A" && letter != "I",
        Piece::Mixed(_) | Piece::Alphabet(_) => true,
        _ => false,
    };
    let before: Vec<Piece> = pieces.iter().map(|(p, _)| p.clone()).collect();
    for at in 0..before.len() {
        let (last, next) = (at.checked_sub(1).map(|n| &before[n]), before.get(at + 1));
        let (after_digit, before_digit) = (last.is_some_and(digit), next.is_some_and(digit));
        let among_letters = last.is_some_and(spells) || next.is_some_and(spells);
        let text = words[pieces[at].1].plain.as_str();
        pieces[at].0 = match &before[at] {
            Piece::Sounds(n) if after_digit && before_digit => Piece::Unit(*n),
            Piece::Sounds(_) => Piece::Other,
            Piece::Unit(0) if !text.starts_with("z") && !after_digit && !before_digit && !among_letters => Piece::Filler,
            Piece::Unit(1) if text == "one" && !after_digit && follows(words, pieces[at].1, &ONE_OF) => Piece::Other,
            Piece::Letters(letter) if (letter == "A" || letter == "I") && !among_letters => Piece::Other,
            Piece::Alphabet(letter) if named(&before, at, *letter, words, pieces) => Piece::Filler,
            Piece::Alphabet(letter) if among_letters => Piece::Letters(letter.to_string()),
            Piece::Alphabet(_) => Piece::Other,
            Piece::Capitals(letters) if after_digit || before_digit || among_letters => Piece::Letters(letters.clone()),
            Piece::Capitals(_) => Piece::Other,
            Piece::Other if before_digit && among_letters && is_bank(text) => Piece::Letters(text.to_ascii_uppercase()),
            other => other.clone(),
        };
    }
    // "B for Bravo", "B as in Bravo": the words between say nothing.
    for at in 0..before.len() {
        let named_by = [2usize, 3].into_iter().find(|n| before.get(at + n).is_some_and(|p| matches!(p, Piece::Alphabet(_))));
        if let (Piece::Letters(letter), Some(n)) = (&before[at], named_by)
            && matches!(&before[at + n], Piece::Alphabet(name) if letter.starts_with(*name))
        {
            pieces[at].0 = before[at].clone();
            for piece in &mut pieces[at + 1..=at + n] {
                piece.0 = Piece::Filler;
            }
        }
    }
}

/// Whether a word may be the four letters of a bank in the middle of an IBAN.
fn is_bank(text: &str) -> bool {
    text.len() == 4 && text.bytes().all(|c| c.is_ascii_alphabetic())
}

/// Whether a spelling word only explains the letter before it.
fn named(before: &[Piece], at: usize, letter: char, words: &[Said], pieces: &[(Piece, usize)]) -> bool {
    let joins = at.checked_sub(1).is_some_and(|n| ["for", "in", "like"].contains(&words[pieces[n].1].plain.as_str()));
    let spelled = |n: usize| matches!(at.checked_sub(n).map(|n| &before[n]), Some(Piece::Letters(l)) if l.starts_with(letter));
    joins && (spelled(2) || spelled(3))
}

fn follows(words: &[Said], word: usize, list: &[&str]) -> bool {
    words.get(word + 1).is_some_and(|next| list.contains(&next.plain.as_str()))
}

/// Whether a number is its own thing.
fn aside(words: &[Said], (first, last): (usize, usize)) -> Aside {
    let text = words[first].plain.as_str();
    if text.contains(['$', '€', '£', '%']) || follows(words, last, &UNITS_AFTER) {
        return Aside::Amount;
    }
    if is_month(words, last + 1) || first.checked_sub(1).is_some_and(|n| is_month(words, n)) || is_date(text) {
        return Aside::Date;
    }
    let figures_after = |mark: char| {
        let parts: Vec<&str> = text.split(mark).collect();
        matches!(parts[..], [whole, part] if part.len() == 2 && !whole.is_empty()
            && (whole.len() + part.len()) < 8 && parts.iter().all(|p| p.bytes().all(|c| c.is_ascii_digit())))
    };
    let alone = !first.checked_sub(1).is_some_and(|n| has_digit(&words[n])) && !words.get(last + 1).is_some_and(has_digit);
    if first == last && (figures_after(':') || (alone && figures_after('.'))) { Aside::Amount } else { Aside::No }
}

fn has_digit(word: &Said) -> bool {
    word.plain.contains(|c: char| c.is_ascii_digit())
}

/// Whether the word is the name of a month.
pub(super) fn is_month(words: &[Said], at: usize) -> bool {
    words.get(at).is_some_and(|w| MONTHS.contains(&w.plain.as_str()))
}

/// "2026-03-05", "3/4/2026", "12/28".
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['/', '-']).collect();
    let figures = parts.iter().all(|p| !p.is_empty() && p.bytes().all(|c| c.is_ascii_digit()));
    let lengths: Vec<usize> = parts.iter().map(|p| p.len()).collect();
    figures
        && match lengths[..] {
            [1 | 2, 1 | 2, 2 | 4] => text.contains('/') || lengths[2] == 4,
            [4, 2, 2] => true,
            [1 | 2, 2 | 4] => text.contains('/'),
            _ => false,
        }
}

fn groups(words: &[Said], atoms: Vec<Atom>) -> Vec<Group> {
    let mut out: Vec<Group> = Vec::new();
    for atom in atoms {
        let (from_ms, to_ms) = (words[atom.words.0].from_ms, words[atom.words.1].to_ms);
        let joins = |group: &Group| {
            // What the other side asked in between may make it another number.
            let same = words[group.words.1].utterance == words[atom.words.0].utterance;
            let between = &words[(group.words.1 + 1).min(atom.words.0)..atom.words.0];
            same && atom.aside == Aside::No
                && group.aside == Aside::No
                && from_ms <= group.to_ms.saturating_add(GROUP_GAP_MS)
                && between.len() <= GROUP_FILLERS
                && between.iter().all(|w| w.filler)
        };
        match out.last_mut() {
            // One word of several atoms ("2026-03-05") stays together.
            Some(group) if group.words.1 == atom.words.0 || joins(group) => {
                group.words.1 = atom.words.1;
                group.to_ms = group.to_ms.max(to_ms);
                group.atoms.push(atom);
            }
            Some(_) | None => out.push(Group { words: atom.words, from_ms, to_ms, aside: atom.aside, atoms: vec![atom] }),
        }
    }
    out
}
