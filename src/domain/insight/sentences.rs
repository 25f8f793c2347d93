//! A transcript as sentences in order of time, each with its words' places and plain tokens for the rules.

use serde::{Deserialize, Serialize};

use super::utterance::{Transcript, Word};
use crate::ids::{LegId, Party};

/// Utterances of one leg that are closer than this go on as one sentence when no full stop parts them.
const JOIN_WITHIN_MS: u32 = 1_500;

/// A place in the audio that a quote was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Who said it.
    pub leg: LegId,
    /// Their side.
    pub party: Party,
    /// On the call's axis, milliseconds.
    pub from_ms: u32,
    /// On the call's axis, milliseconds.
    pub to_ms: u32,
}

/// One sentence of one leg.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentence {
    /// The leg.
    pub leg: LegId,
    /// Their side.
    pub party: Party,
    /// As recognised; never empty.
    pub words: Vec<Word>,
    /// Lower case, without punctuation, contractions spelled out.
    pub tokens: Vec<Token>,
    /// Counts the turns: a turn ends when the other side speaks.
    pub turn: usize,
}

/// One plain word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Lower case; digits, letters, `$€£%`, inner points and hyphens.
    pub text: String,
    /// Which of the sentence's words it comes from.
    pub word: usize,
}

impl Sentence {
    /// The whole sentence's place.
    pub fn evidence(&self) -> Evidence {
        self.evidence_of(0, self.words.len())
    }

    /// The place of the words `from..to`.
    pub fn evidence_of(&self, from: usize, to: usize) -> Evidence {
        let words = self.words.get(from..to.min(self.words.len())).unwrap_or(&self.words);
        let (first, last) = (words.first(), words.last());
        Evidence { leg: self.leg, party: self.party, from_ms: first.map_or(0, |w| w.from_ms), to_ms: last.map_or(0, |w| w.to_ms) }
    }

    /// Whether the plain tokens hold this phrase, word by word.
    pub fn has(&self, phrase: &str) -> bool {
        self.find(phrase).is_some()
    }

    /// Index of the first token of this phrase.
    pub fn find(&self, phrase: &str) -> Option<usize> {
        (0..self.tokens.len()).find(|at| {
            let mut rest = self.tokens[*at..].iter();
            phrase.split(' ').all(|word| rest.next().is_some_and(|token| token.text == word))
        })
    }

    /// Whether it holds one of these phrases.
    pub fn has_any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|p| self.has(p))
    }

    /// Whether it begins with one of these phrases.
    pub fn starts_with_any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|p| self.find(p) == Some(0))
    }

    /// Whether it is written as a question.
    pub fn asks(&self) -> bool {
        self.words.last().is_some_and(|w| w.text.ends_with('?'))
    }

    /// Words that carry meaning.
    pub fn content(&self) -> Vec<&str> {
        self.tokens.iter().map(|t| t.text.as_str()).filter(|t| carries_meaning(t)).collect()
    }

    /// The sentence without the fillers that it begins with, and without its full stop.
    pub fn quote(&self) -> String {
        let plain = |w: &Word| plain(&w.text);
        let skip = self.words.iter().take_while(|w| OPENERS.contains(&plain(w).as_str())).count();
        let skip = if skip >= self.words.len() { 0 } else { skip };
        let kept: Vec<&str> =
            self.words[skip..].iter().filter(|w| !FILLERS.contains(&plain(w).as_str())).map(|w| w.text.as_str()).collect();
        kept.join(" ").trim_end_matches(['.', ',', ';']).to_owned()
    }
}

/// Said while thinking; taken out of quotes.
pub const FILLERS: [&str; 6] = ["um", "uh", "er", "erm", "hmm", "mhm"];
/// Left away at the beginning of a quote.
const OPENERS: [&str; 16] =
    ["yes", "yeah", "no", "but", "and", "so", "well", "okay", "ok", "um", "uh", "er", "hello", "hi", "actually", "oh"];
/// Words without a subject of their own.
const EMPTY_WORDS: [&str; 80] = [
    "the", "an", "and", "or", "but", "if", "so", "to", "of", "in", "on", "at", "by", "for", "from", "with", "about", "as", "is", "are",
    "was", "were", "be", "been", "am", "do", "does", "did", "have", "has", "had", "will", "would", "can", "could", "should", "may",
    "might", "must", "shall", "not", "no", "yes", "it", "its", "this", "that", "these", "those", "there", "here", "he", "she", "they",
    "we", "you", "me", "my", "your", "our", "their", "his", "her", "them", "us", "what", "which", "who", "when", "where", "why", "how",
    "just", "very", "too", "also", "please", "well", "okay", "hello",
];

/// Words that carry meaning in a written text, in the form of [`Sentence::content`].
pub fn content_of(text: &str) -> Vec<String> {
    text.split_whitespace().flat_map(tokens).filter(|t| carries_meaning(t)).collect()
}

fn carries_meaning(token: &str) -> bool {
    !EMPTY_WORDS.contains(&token) && token.len() > 1
}

/// Splits a transcript into sentences, by time.
pub fn sentences(transcript: &Transcript) -> Vec<Sentence> {
    let mut open: Vec<(LegId, Party, Vec<Word>)> = Vec::new();
    let mut done: Vec<Sentence> = Vec::new();
    for utterance in transcript.utterances.iter().filter(|u| !u.words.is_empty()) {
        let mine = open.iter().position(|(leg, ..)| *leg == utterance.leg);
        let mut words = match mine {
            Some(at) => open.swap_remove(at).2,
            None => Vec::new(),
        };
        if words.last().is_some_and(|w| w.to_ms + JOIN_WITHIN_MS < utterance.from_ms) {
            done.push(sentence(utterance.leg, utterance.party, std::mem::take(&mut words)));
        }
        for (word, next) in utterance.words.iter().zip(utterance.words.iter().skip(1).map(Some).chain([None])) {
            words.push(word.clone());
            if ends(word, next) {
                done.push(sentence(utterance.leg, utterance.party, std::mem::take(&mut words)));
            }
        }
        if !words.is_empty() {
            open.push((utterance.leg, utterance.party, words));
        }
    }
    done.extend(open.into_iter().map(|(leg, party, words)| sentence(leg, party, words)));
    done.sort_by_key(|s| s.words.first().map_or(0, |w| w.from_ms));
    let mut turn = 0;
    for i in 1..done.len() {
        turn += usize::from(done[i].leg != done[i - 1].leg);
        done[i].turn = turn;
    }
    done
}

/// Whether a sentence ends with `word`: "6 p.m." does only before a capital.
fn ends(word: &Word, next: Option<&Word>) -> bool {
    let text = word.text.trim_end_matches(['"', '\'', ')']);
    let Some(head) = text.strip_suffix(['.', '?', '!']) else { return false };
    let abbreviation = head.contains('.') || ["mr", "mrs", "ms", "dr", "no", "st"].contains(&head.to_lowercase().as_str());
    !abbreviation || next.is_some_and(|n| n.text.starts_with(char::is_uppercase))
}

fn sentence(leg: LegId, party: Party, words: Vec<Word>) -> Sentence {
    let tokens = words.iter().enumerate().flat_map(|(word, w)| tokens(&w.text).into_iter().map(move |text| Token { text, word })).collect();
    Sentence { leg, party, words, tokens, turn: 0 }
}

/// One word's plain form.
pub fn plain(word: &str) -> String {
    let lower = word.to_lowercase().replace('’', "'");
    lower.trim_matches(|c: char| !c.is_alphanumeric() && !"$€£%".contains(c)).to_owned()
}

/// One word as plain tokens: "can't" is "can not".
fn tokens(word: &str) -> Vec<String> {
    let word = plain(word);
    let pair = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
    match word.as_str() {
        "" => vec![],
        "can't" | "cannot" => pair("can", "not"),
        "won't" => pair("will", "not"),
        "let's" => pair("let", "us"),
        _ => {
            let ending = [("n't", "not"), ("'ll", "will"), ("'ve", "have"), ("'re", "are"), ("'m", "am"), ("'d", "would")];
            let split = ending.iter().find_map(|(end, full)| word.strip_suffix(end).map(|head| pair(head, full)));
            let is = |head: &str| ["it", "that", "there", "what", "he", "she", "who", "here", "where"].contains(&head);
            split.or_else(|| word.strip_suffix("'s").filter(|h| is(h)).map(|h| pair(h, "is"))).unwrap_or_else(|| vec![word])
        }
    }
}
