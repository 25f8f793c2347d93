//! Configured patterns: regular expressions over what was said with its numbers in digits ("my policy is PX4412").

use regex::{Regex, RegexBuilder};

use super::{
    Kind, Rules,
    stream::{Aside, Group, Stream},
};

/// Most patterns: each is tried on every word of every call.
pub const PATTERNS_MAX: usize = 32;
/// Most octets that one compiled pattern may take.
const COMPILED_MAX: usize = 1 << 20;
/// Groups of one number in two utterances are no further apart.
const GOES_ON_MS: u32 = 8_000;
/// Longest name, characters.
const NAME_MAX: usize = 40;

/// A configured number: what it is called and how it looks.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Stands in its place, in brackets.
    pub name: String,
    regex: Regex,
}

/// Two patterns are the same when they are called and written the same.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.regex.as_str() == other.regex.as_str()
    }
}
impl Eq for Pattern {}

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// No name, or one that does not fit into brackets.
    #[error("a name has 1 to {NAME_MAX} letters, digits and spaces")]
    Name,
    /// The expression cannot be used.
    #[error("the expression cannot be used: {0}")]
    Expression(String),
    /// It would mask everything.
    #[error("the expression fits an empty text and would mask everything")]
    Everything,
}

impl Pattern {
    /// Compiles a pattern; capitals and small letters are the same to it.
    ///
    /// # Errors
    /// The name or the expression cannot be used.
    pub fn new(name: &str, expression: &str) -> Result<Self, PatternError> {
        let fits = (1..=NAME_MAX).contains(&name.chars().count()) && name.chars().all(|c| c.is_alphanumeric() || c == ' ' || c == '-');
        if !fits {
            return Err(PatternError::Name);
        }
        let regex = RegexBuilder::new(expression).case_insensitive(true).size_limit(COMPILED_MAX).build();
        let regex = regex.map_err(|e| PatternError::Expression(e.to_string().lines().last().unwrap_or_default().trim().to_owned()))?;
        if regex.is_match("") {
            return Err(PatternError::Everything);
        }
        Ok(Self { name: name.to_owned(), regex })
    }

    /// Where it fits in a text, octets.
    pub(super) fn places<'a>(&'a self, text: &'a str) -> impl Iterator<Item = std::ops::Range<usize>> + 'a {
        self.regex.find_iter(text).map(|found| found.range()).filter(|range| !range.is_empty())
    }
}

/// The stretches of a leg that fit a pattern: first and last word, and which.
pub(super) fn find(stream: &Stream, rules: &Rules) -> Vec<((usize, usize), Kind)> {
    if rules.patterns.is_empty() {
        return Vec::new();
    }
    let (text, places) = normalised(stream);
    let mut found = Vec::new();
    for (n, pattern) in rules.patterns.iter().enumerate() {
        for range in pattern.places(&text) {
            let first = places.iter().rfind(|(at, ..)| *at <= range.start);
            let last = places.iter().rfind(|(at, ..)| *at < range.end);
            if let (Some((_, first, _)), Some((_, _, last))) = (first, last) {
                found.push(((*first, *last), Kind::Pattern(u8::try_from(n).unwrap_or(u8::MAX))));
            }
        }
    }
    found
}

/// Whether the next utterance goes on with the number.
fn goes_on(before: &Group, group: &Group) -> bool {
    let plain = before.aside == Aside::No && group.aside == Aside::No;
    plain && before.words.1 + 1 == group.words.0 && group.from_ms <= before.to_ms.saturating_add(GOES_ON_MS)
}

/// The leg's words with a space between, its numbers as digits in one; with each part its beginning in the text and its words.
fn normalised(stream: &Stream) -> (String, Vec<(usize, usize, usize)>) {
    let (mut text, mut places, mut word) = (String::new(), Vec::new(), 0);
    let mut groups = stream.groups.iter().peekable();
    let mut after: Option<&Group> = None;
    while word < stream.words.len() {
        let next = groups.next_if(|group| group.words.0 <= word);
        if !text.is_empty() && !next.zip(after).is_some_and(|(group, before)| goes_on(before, group)) {
            text.push(' ');
        }
        match next {
            Some(group) => {
                after = Some(group);
                places.push((text.len(), group.words.0, group.words.1));
                text.push_str(&group.text());
                word = (group.words.1 + 1).max(word);
            }
            None => {
                places.push((text.len(), word, word));
                text.push_str(&stream.words[word].plain);
                word += 1;
            }
        }
    }
    (text, places)
}
