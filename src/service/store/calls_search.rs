//! What a supervisor looks for in the list of calls: names, titles, dispositions and outcomes, numbers however they are written, words that
//! were said.

use std::collections::HashMap;

use super::{
    CallRow, Said, StoreError,
    db::{Columns, Conn, word},
};
use crate::{domain::insight::utterance::Word, ids::InteractionId, ids::PhoneNumber};

/// Letters that are looked for in what was said: fewer are in everything.
const SAID_LETTERS_MIN: usize = 3;
/// Digits that make a number: fewer are in most numbers.
const DIGITS_MIN: usize = 3;
/// Utterances read for one step of the list; a word that is in more of them is in most calls.
const HITS_MAX: i64 = 20_000;
/// Words told before and after the place.
const BEFORE: usize = 3;
const AFTER: usize = 14;

/// What is looked for, in the forms in which it is compared.
#[derive(Debug)]
pub(super) struct Sought {
    /// Lower case, what is neither letter nor digit is one blank.
    text: String,
    /// Digits without the zeros that a country puts before them; empty where it is no number.
    digits: String,
}

impl Sought {
    /// Takes what was typed; nothing typed fits every call.
    pub(super) fn new(typed: &str) -> Self {
        let number = !typed.chars().any(char::is_alphabetic);
        let typed_digits: String = typed.replace("(0)", "").chars().filter(char::is_ascii_digit).collect();
        let digits = typed_digits.trim_start_matches('0');
        let digits = if number && digits.len() >= DIGITS_MIN { digits.to_owned() } else { String::new() };
        Self { text: plain(typed), digits }
    }

    /// Letters by which the database finds utterances; `None` where nothing said is looked for. In ASCII where there is enough of it, as
    /// not every database knows the small forms of other letters.
    pub(super) fn needle(&self) -> Option<&str> {
        let ascii = self.text.split(|c: char| !c.is_ascii_alphanumeric()).max_by_key(|run| run.len())?;
        let any = self.text.split(' ').max_by_key(|word| word.chars().count())?;
        let enough = |part: &&str| part.chars().count() >= SAID_LETTERS_MIN;
        Some(ascii).filter(enough).or(Some(any).filter(enough))
    }

    /// Whether a call fits by what the list shows of it.
    pub(super) fn fits(&self, call: &CallRow) -> bool {
        let has = |text: Option<&str>| text.is_some_and(|text| plain(text).contains(&self.text));
        let number = call.number.as_ref().map_or("", PhoneNumber::as_str);
        self.text.is_empty()
            || (!self.digits.is_empty() && number.contains(&self.digits))
            || has(Some(&word(&call.outcome)))
            || [&call.customer, &call.agent, &call.title, &call.disposition].into_iter().any(|text| has(text.as_deref()))
    }

    /// The first of an utterance's words from which it was said, and what is told of it. Words are found by their beginnings.
    fn place(&self, words: &[Word]) -> Option<(u32, String)> {
        let forms: Vec<String> = words.iter().map(|word| plain(&word.text)).collect();
        let at = (0..forms.len()).find(|&at| !forms[at].is_empty() && starts(&forms[at..], &self.text))?;
        let (from, to) = (at.saturating_sub(BEFORE), words.len().min(at + AFTER));
        let told: Vec<&str> = words[from..to].iter().map(|word| word.text.as_str()).collect();
        let (before, after) = (if from > 0 { "…" } else { "" }, if to < words.len() { "…" } else { "" });
        Some((words[at].from_ms, format!("{before}{}{after}", told.join(" "))))
    }
}

/// Whether words begin with a text.
fn starts(words: &[String], text: &str) -> bool {
    let mut said = String::new();
    for word in words.iter().filter(|word| !word.is_empty()) {
        if !said.is_empty() {
            said.push(' ');
        }
        said.push_str(word);
        if said.len() >= text.len() {
            break;
        }
    }
    said.starts_with(text)
}

/// Lower case; what is neither letter nor digit becomes one blank, none at the ends.
fn plain(text: &str) -> String {
    let spaced: String = text.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where it was said first in each call of a step, in the newest words of each.
pub(super) async fn said(conn: &mut Conn, sought: &Sought, calls: &[CallRow]) -> Result<HashMap<InteractionId, Said>, StoreError> {
    let mut found = HashMap::new();
    let (Some(needle), Some(newest), Some(oldest)) = (sought.needle(), calls.first(), calls.last()) else { return Ok(found) };
    let rows = sqlx::query(
        "SELECT t.interaction, u.party, u.words FROM interaction i JOIN transcript t ON t.interaction = i.interaction \
         JOIN utterance u ON u.transcript = t.transcript WHERE i.channel = 'phone' AND i.at >= $1 AND i.at <= $2 \
         AND t.revision = (SELECT MAX(n.revision) FROM transcript n WHERE n.interaction = i.interaction) \
         AND REPLACE(LOWER(u.words), $3, '') <> LOWER(u.words) ORDER BY i.at DESC, u.place LIMIT $4",
    )
    .bind(oldest.at.0)
    .bind(newest.at.0)
    .bind(needle.to_owned())
    .bind(HITS_MAX)
    .fetch_all(conn)
    .await?;
    for row in &rows {
        let interaction: InteractionId = row.id("interaction")?;
        if found.contains_key(&interaction) {
            continue;
        }
        if let Some((from_ms, text)) = sought.place(&row.json::<Vec<Word>>("words")?) {
            found.insert(interaction, Said { party: row.word("party")?, from_ms, text });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Word> {
        let word = |(n, text): (u32, &str)| Word { text: text.to_owned(), from_ms: n * 300, to_ms: n * 300 + 250, confidence: 90 };
        (0..).zip(text.split(' ')).map(word).collect()
    }

    #[test]
    fn words_are_found_by_their_beginnings_whatever_stands_between() {
        let said = words("Yes, I was charged twice, and nobody answered.");
        assert_eq!(Sought::new("Charged TWICE and").place(&said), Some((900, "Yes, I was charged twice, and nobody answered.".to_owned())));
        assert_eq!(Sought::new("answ").place(&said).map(|(from_ms, _)| from_ms), Some(2100));
        assert_eq!(Sought::new("harged").place(&said), None, "not from within a word");
        assert_eq!(Sought::new("twice nobody").place(&said), None);
        assert_eq!(
            (Sought::new("für Ärger").needle(), Sought::new("über").needle(), Sought::new("it").needle()),
            (Some("rger"), Some("ber"), None)
        );
    }

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        for typed in ["+44 20 7946 0101", "020 7946 0101", "0044 20-7946-0101", "+44 (0)20 7946 0101", "79460101"] {
            let Sought { digits, .. } = Sought::new(typed);
            assert!("+442079460101".contains(&digits) && digits.len() > 7, "{typed}: {digits}");
        }
        assert_eq!(Sought::new("12").digits, "", "two digits are no number");
        assert_eq!(Sought::new("order 48215").digits, "");
    }
}
