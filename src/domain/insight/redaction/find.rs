//! Which words of a call say a number that must not be kept.
//!
//! ```text
//! groups of a leg ─▶ chains ─┬ check digit right (card, IBAN) ────────────────┐
//! cues of every leg ─────────┴ announced: card, code, expiry, IBAN ───────────┼─▶ marks
//! numbers found ─▶ the same digits said again, in part, by whomever ──────────┘
//! ```

use super::{
    Kind, Rules,
    cues::{self, Cue, Heard},
    numbers::{self, CARD_MAX, CARD_MIN},
    patterns,
    stream::{Aside, Group, Stream, is_month},
};
use crate::domain::insight::utterance::Utterance;

/// Groups of one number may be so far apart, announced or not.
const CHAIN_MS: (u32, u32) = (20_000, 8_000);
/// And so many words, announced or not.
const CHAIN_WORDS: (usize, usize) = (12, 6);
/// How long a card number is expected after it was asked for; longer while it is being read.
const CARD_WITHIN_MS: u32 = 60_000;
/// How long after a card was spoken of a long row of digits is taken for one.
const PAYMENT_WITHIN_MS: u32 = 120_000;
/// How long a security code is expected.
const CODE_WITHIN_MS: u32 = 30_000;
/// How long an expiry date, or the end of a card number, is expected.
const EXPIRY_WITHIN_MS: u32 = 20_000;
/// How long after a card number expiry date and code may follow unannounced.
const HOT_MS: u32 = 30_000;
/// A cue may come right after the number: "… is my card number".
const AFTERWARDS_MS: u32 = 4_000;
/// Fewest digits that are masked where a card number is expected.
const PART_MIN: usize = 4;
/// A number with a missing digit is still one where a card was spoken of.
const LONG_MIN: usize = 12;
/// Fewest digits of a card number by which it is known again.
const AGAIN_MIN: usize = 4;
/// What was not understood so close to a number may be a part of it.
const BESIDE_MS: u32 = 3_000;
/// A noun so many words before a number makes it another thing.
const NOUN_WITHIN: usize = 6;

/// A stretch of words of one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Which stream.
    pub stream: usize,
    /// First and last word.
    pub words: (usize, usize),
    pub kind: Kind,
}

/// Consecutive groups of one leg.
#[derive(Clone, Debug)]
struct Chain {
    stream: usize,
    /// Indices into the stream's groups.
    groups: Vec<usize>,
}

/// Everything that is looked at and found.
struct Search<'a> {
    streams: &'a [Stream],
    cues: Vec<Heard>,
    rules: &'a Rules,
    marks: Vec<Mark>,
    /// Groups that are masked already: stream, group.
    done: Vec<Vec<bool>>,
    /// When card numbers were said: from, to.
    hot: Vec<(u32, u32)>,
}

/// What is found in a call.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Words.
    pub marks: Vec<Mark>,
    /// Utterances that nobody understood, where a number was expected.
    pub unheard: Vec<(usize, Kind)>,
}

/// All marks; `known` are card numbers found before, and takes up those found now.
pub(super) fn find(said: &[Utterance], streams: &[Stream], rules: &Rules, known: &mut Vec<String>) -> Found {
    let done = streams.iter().map(|s| vec![false; s.groups.len()]).collect();
    let mut search = Search { streams, cues: cues::find(streams), rules, marks: Vec::new(), done, hot: Vec::new() };
    search.by_check_digit(known);
    search.by_announcement(known);
    search.ibans();
    search.again(known);
    search.dates();
    for (n, stream) in streams.iter().enumerate() {
        search.marks.extend(patterns::find(stream, rules).into_iter().map(|(words, kind)| Mark { stream: n, words, kind }));
    }
    let unheard = said.iter().enumerate().filter_map(|(at, utterance)| Some((at, search.unheard(utterance)?))).collect();
    Found { marks: search.marks, unheard }
}

impl Search<'_> {
    fn group(&self, chain: &Chain, at: usize) -> &Group {
        &self.streams[chain.stream].groups[chain.groups[at]]
    }

    /// The last cue of these before `ms`, not older than `within_ms`.
    fn last(&self, cues: &[Cue], ms: u32, within_ms: u32) -> Option<Heard> {
        let end = self.cues.partition_point(|h| h.at_ms <= ms);
        let recent = self.cues[..end].iter().rev().take_while(|h| h.at_ms.saturating_add(within_ms) >= ms);
        recent.into_iter().find(|h| cues.contains(&h.cue)).copied()
    }

    /// Whether one of these comes right after a stretch of the same leg.
    fn soon(&self, cues: &[Cue], stream: usize, ms: u32) -> bool {
        let start = self.cues.partition_point(|h| h.at_ms < ms);
        let next = self.cues[start..].iter().take_while(|h| h.at_ms <= ms.saturating_add(AFTERWARDS_MS));
        next.into_iter().any(|h| h.place.0 == stream && cues.contains(&h.cue))
    }

    fn is_hot(&self, from_ms: u32) -> bool {
        self.hot.iter().any(|(from, to)| *from <= from_ms && from_ms <= to.saturating_add(HOT_MS))
    }

    /// Groups of each leg that may be one number; cues part them where `parted`.
    fn chains(&self, parted: bool) -> Vec<Chain> {
        let mut chains: Vec<Chain> = Vec::new();
        for (n, stream) in self.streams.iter().enumerate() {
            let mut open: Option<Chain> = None;
            for (g, group) in stream.groups.iter().enumerate() {
                if group.aside != Aside::No || (parted && self.done[n][g]) {
                    continue;
                }
                match &mut open {
                    Some(chain) if self.joins(n, &stream.groups[chain.groups[chain.groups.len() - 1]], group, parted) => {
                        chain.groups.push(g)
                    }
                    Some(_) | None => chains.extend(open.replace(Chain { stream: n, groups: vec![g] })),
                }
            }
            chains.extend(open);
        }
        chains.sort_by_key(|c| self.group(c, 0).from_ms);
        chains
    }

    fn joins(&self, n: usize, before: &Group, group: &Group, parted: bool) -> bool {
        let stream = &self.streams[n];
        let announced = self.last(&[Cue::Card, Cue::Payment, Cue::Code, Cue::Iban], group.from_ms, PAYMENT_WITHIN_MS).is_some();
        let between = &stream.words[before.words.1 + 1..group.words.0.max(before.words.1 + 1)];
        let (ms, words) = if announced { (CHAIN_MS.0, CHAIN_WORDS.0) } else { (CHAIN_MS.1, CHAIN_WORDS.1) };
        let near = group.from_ms <= before.to_ms.saturating_add(ms) && between.len() <= words;
        let quiet = announced || between.iter().all(|w| w.filler);
        let parts = |h: &&Heard| match h.cue {
            Cue::Else => h.place.0 == n,
            Cue::Card | Cue::Code | Cue::Expiry | Cue::Iban | Cue::LastFour => parted,
            Cue::Payment => false,
        };
        let first = self.cues.partition_point(|h| h.at_ms <= before.to_ms);
        let cut = self.cues[first..].iter().take_while(|h| h.at_ms <= group.from_ms).find(parts).is_some();
        near && quiet && !cut
    }

    fn mark(&mut self, chain: &Chain, groups: std::ops::Range<usize>, kind: Kind) {
        let (first, last) = (self.group(chain, groups.start).clone(), self.group(chain, groups.end - 1).clone());
        if matches!(kind, Kind::CardNumber) {
            self.hot.push((first.from_ms, last.to_ms));
        }
        let words = &self.streams[chain.stream].words;
        let mut from = first.words.0;
        for at in groups {
            let (group, index) = (self.group(chain, at).clone(), chain.groups[at]);
            self.done[chain.stream][index] = true;
            // What lies between two groups is masked with them when it is next to nothing.
            let start = if group.words.0.saturating_sub(from) <= 4 { from } else { group.words.0 };
            // "For one one one": the first word sounded like a digit.
            let sounds = start.checked_sub(1).is_some_and(|n| ["for", "to", "too", "won", "ate"].contains(&words[n].plain.as_str()));
            let start = if sounds && matches!(kind, Kind::CardNumber) { start - 1 } else { start };
            self.marks.push(Mark { stream: chain.stream, words: (start, group.words.1), kind });
            from = group.words.1 + 1;
        }
    }

    /// Card numbers whose check digit is right, however they are parted.
    fn by_check_digit(&mut self, known: &mut Vec<String>) {
        for chain in self.chains(false) {
            let mut at = 0;
            while at < chain.groups.len() {
                match self.card_from(&chain, at) {
                    Some((end, digits)) => {
                        remember(known, digits);
                        self.mark(&chain, at..end, Kind::CardNumber);
                        at = end;
                    }
                    None => at += 1,
                }
            }
        }
    }

    /// A card number that begins in group `at`: the group after its last, and its digits.
    fn card_from(&self, chain: &Chain, at: usize) -> Option<(usize, String)> {
        let group = self.group(chain, at);
        let anywhere = self.last(&[Cue::Card, Cue::Payment], group.to_ms, PAYMENT_WITHIN_MS).is_some();
        let starts = if anywhere { group.atoms.len() } else { 1 };
        let spared = !anywhere && self.another_thing(chain, at);
        (0..starts).filter(|_| !spared).find_map(|start| {
            [false, true].into_iter().find_map(|otherwise| {
                let mut digits = String::new();
                for end in at..chain.groups.len() {
                    let skip = if end == at { start } else { 0 };
                    for atom in self.group(chain, end).atoms.iter().skip(skip) {
                        let text = atom.other.as_ref().filter(|_| otherwise).unwrap_or(&atom.text);
                        digits.extend(text.chars().filter(char::is_ascii_digit));
                        if numbers::is_card_number(&digits) {
                            return Some((end + 1, digits));
                        }
                    }
                    if digits.len() > CARD_MAX {
                        break;
                    }
                }
                None
            })
        })
    }

    /// Whether a noun or a cue right before says that the number is another thing. A number in between takes it up.
    fn another_thing(&self, chain: &Chain, at: usize) -> bool {
        let (group, stream) = (self.group(chain, at), &self.streams[chain.stream]);
        let words = &stream.words;
        let number_before = chain.groups[at].checked_sub(1).map_or(0, |n| stream.groups[n].words.1 + 1);
        let before = &words[group.words.0.saturating_sub(NOUN_WITHIN).max(number_before).min(group.words.0)..group.words.0];
        let named = before.iter().any(|w| cues::names_another_thing(&w.plain) && group.from_ms <= w.to_ms.saturating_add(CHAIN_MS.1));
        let plus = words[group.words.0].plain.starts_with('+');
        let all = [Cue::Card, Cue::Code, Cue::Expiry, Cue::Iban, Cue::LastFour, Cue::Else];
        let latest = self.last(&all, group.from_ms, CARD_WITHIN_MS);
        let open = |h: &Heard| h.cue == Cue::Else && !self.taken_up(h.at_ms, group.from_ms);
        named || plus || latest.is_some_and(|h| open(&h)) || self.soon(&[Cue::Else], chain.stream, group.to_ms)
    }

    /// Whether a number was said between.
    fn taken_up(&self, from_ms: u32, to_ms: u32) -> bool {
        let between = |g: &Group| g.from_ms >= from_ms && g.to_ms <= to_ms && g.digits().len() > 2;
        self.streams.iter().any(|stream| {
            let first = stream.groups.partition_point(|g| g.from_ms < from_ms);
            stream.groups[first..].iter().take_while(|g| g.from_ms <= to_ms).any(between)
        })
    }

    /// Digits where a number was announced, whatever their check digit says.
    fn by_announcement(&mut self, known: &mut Vec<String>) {
        for chain in self.chains(true) {
            let digits: String = (0..chain.groups.len()).map(|at| self.group(&chain, at).digits()).collect();
            if let Some(kind) = self.announced(&chain, &digits) {
                if matches!(kind, Kind::CardNumber) && digits.len() >= LONG_MIN {
                    remember(known, digits);
                }
                self.mark(&chain, 0..chain.groups.len(), kind);
            }
        }
    }

    /// What a chain is by what was said around it.
    fn announced(&self, chain: &Chain, digits: &str) -> Option<Kind> {
        let (first, last) = (self.group(chain, 0), self.group(chain, chain.groups.len() - 1));
        let (from_ms, count) = (first.from_ms, digits.len());
        let cue = |cue, within| self.last(&[cue], from_ms, within);
        let after = |cue| self.soon(&[cue], chain.stream, last.to_ms);
        let hot = self.is_hot(from_ms);
        let payment = hot || cue(Cue::Payment, PAYMENT_WITHIN_MS).is_some() || after(Cue::Payment);
        let card = cue(Cue::Card, CARD_WITHIN_MS).is_some() || after(Cue::Card);
        if (payment || card) && (CARD_MIN..=CARD_MAX).contains(&count) && !digits.starts_with('0') {
            return Some(Kind::CardNumber);
        }
        if self.another_thing(chain, 0) {
            return None;
        }
        if self.rules.keep_last_four && count == 4 && cue(Cue::LastFour, EXPIRY_WITHIN_MS).is_some() {
            return None;
        }
        let expiry = cue(Cue::Expiry, EXPIRY_WITHIN_MS).filter(|_| (card || payment) && (2..=8).contains(&count));
        let code = cue(Cue::Code, CODE_WITHIN_MS).filter(|_| (3..=8).contains(&count));
        match (code, expiry) {
            (Some(code), Some(expiry)) if expiry.at_ms > code.at_ms => return Some(Kind::ExpiryDate),
            (Some(_), _) => return Some(Kind::SecurityCode),
            (None, Some(_)) => return Some(Kind::ExpiryDate),
            (None, None) if after(Cue::Code) && (3..=8).contains(&count) => return Some(Kind::SecurityCode),
            (None, None) => {}
        }
        let ending = cue(Cue::LastFour, EXPIRY_WITHIN_MS).is_some() && (card || payment);
        if (card && count >= PART_MIN) || (payment && count >= LONG_MIN) || (ending && count == PART_MIN) {
            return Some(Kind::CardNumber);
        }
        (hot && count >= 3).then(|| unannounced(digits))
    }

    /// IBANs by their remainder, and what follows the word in letters and digits.
    fn ibans(&mut self) {
        for chain in self.chains(false) {
            let atoms: Vec<(usize, String)> = (0..chain.groups.len())
                .flat_map(|at| self.group(&chain, at).atoms.iter().map(move |atom| (at, atom.text.clone())))
                .collect();
            let mut rest = &atoms[..];
            while let Some((first, last)) = iban_in(rest) {
                self.mark(&chain, first..last + 1, Kind::AccountNumber);
                rest = &rest[rest.iter().take_while(|(group, _)| *group <= last).count()..];
            }
        }
        for chain in self.chains(true) {
            let from_ms = self.group(&chain, 0).from_ms;
            let digits: usize = (0..chain.groups.len()).map(|at| self.group(&chain, at).digits().len()).sum();
            let expected = self.last(&[Cue::Iban], from_ms, CARD_WITHIN_MS).is_some()
                || self.soon(&[Cue::Iban], chain.stream, self.group(&chain, chain.groups.len() - 1).to_ms);
            if expected && digits >= PART_MIN && !self.another_thing(&chain, 0) {
                self.mark(&chain, 0..chain.groups.len(), Kind::AccountNumber);
            }
        }
    }

    /// Parts of a card number that was said elsewhere in the call.
    fn again(&mut self, known: &[String]) {
        for (n, stream) in self.streams.iter().enumerate() {
            for (g, group) in stream.groups.iter().enumerate() {
                let digits = group.digits();
                let kept = self.rules.keep_last_four && digits.len() == 4;
                let said = digits.len() >= AGAIN_MIN && known.iter().any(|number| number.contains(&digits));
                if said && !kept && !self.done[n][g] && group.aside == Aside::No {
                    self.mark(&Chain { stream: n, groups: vec![g] }, 0..1, Kind::CardNumber);
                }
            }
        }
    }

    /// What may have been said where nothing was understood: the answer to a question for a number, or a part between two.
    fn unheard(&self, utterance: &Utterance) -> Option<Kind> {
        if utterance.rejected.is_none() || !utterance.words.is_empty() {
            return None;
        }
        let asked = [Cue::Card, Cue::Code, Cue::Iban, Cue::Else];
        let cue = self.last(&asked, utterance.from_ms, CODE_WITHIN_MS).map(|h| h.cue);
        let beside = |mark: &&Mark| {
            let stream = &self.streams[mark.stream];
            let (from, to) = (stream.words[mark.words.0].from_ms, stream.words[mark.words.1].to_ms);
            stream.leg == utterance.leg
                && utterance.from_ms <= to.saturating_add(BESIDE_MS)
                && from <= utterance.to_ms.saturating_add(BESIDE_MS)
        };
        match cue {
            Some(Cue::Card) => Some(Kind::CardNumber),
            Some(Cue::Code) => Some(Kind::SecurityCode),
            Some(Cue::Iban) => Some(Kind::AccountNumber),
            _ => self.marks.iter().find(beside).map(|mark| mark.kind),
        }
    }

    /// Dates after "expires", and right after a card number: "12/28", "April twenty eight".
    fn dates(&mut self) {
        for (n, stream) in self.streams.iter().enumerate() {
            for (g, group) in stream.groups.iter().enumerate().filter(|(_, group)| group.aside == Aside::Date) {
                let card = self.last(&[Cue::Card, Cue::Payment], group.from_ms, PAYMENT_WITHIN_MS).is_some();
                let asked = self.last(&[Cue::Expiry], group.from_ms, EXPIRY_WITHIN_MS).is_some();
                let hot = self.is_hot(group.from_ms);
                if self.done[n][g] || !((asked && card) || hot) {
                    continue;
                }
                let first = group.words.0 - usize::from(group.words.0 > 0 && is_month(&stream.words, group.words.0 - 1));
                let last = group.words.1 + usize::from(is_month(&stream.words, group.words.1 + 1));
                self.done[n][g] = true;
                self.marks.push(Mark { stream: n, words: (first, last), kind: Kind::ExpiryDate });
            }
        }
    }
}

/// Remembers a card number, the last few of a call.
fn remember(known: &mut Vec<String>, digits: String) {
    if !known.contains(&digits) {
        if known.len() >= super::KNOWN_MAX {
            known.remove(0);
        }
        known.push(digits);
    }
}

/// What digits right after a card number are most likely.
fn unannounced(digits: &str) -> Kind {
    let month = digits.get(..2).and_then(|m| m.parse::<u8>().ok()).is_some_and(|m| (1..=12).contains(&m));
    match digits.len() {
        3 => Kind::SecurityCode,
        4 if month => Kind::ExpiryDate,
        _ => Kind::CardNumber,
    }
}

/// The groups that an IBAN takes, first and last.
fn iban_in(atoms: &[(usize, String)]) -> Option<(usize, usize)> {
    for start in 0..atoms.len() {
        let mut text = String::new();
        for (group, atom) in &atoms[start..] {
            text.push_str(atom);
            if text.len() > numbers::IBAN_MAX || (text.len() >= 2 && text.get(..2).and_then(numbers::iban_length).is_none()) {
                break;
            }
            if numbers::is_iban(&text) {
                return Some((atoms[start].0, *group));
            }
        }
    }
    None
}
