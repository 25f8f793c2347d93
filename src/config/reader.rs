//! Reads TOML tables strictly: every mistake is noted with file, key and remedy, and reading goes on.

use std::{cell::RefCell, collections::BTreeSet, fmt, ops::RangeInclusive, str::FromStr};

use toml::{Table, Value};

/// One thing wrong in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// File name inside the configuration folder.
    pub file: String,
    /// Dotted key, such as `trunk[0].addresses`.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}. {}", self.file, self.key, self.problem, self.remedy)
    }
}

/// Where all mistakes of one reading are collected.
#[derive(Debug, Default)]
pub struct Mistakes(RefCell<Vec<Mistake>>);

impl Mistakes {
    /// Notes a mistake.
    pub fn add(&self, file: &str, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        let mistake = Mistake { file: file.to_owned(), key: key.to_owned(), problem: problem.into(), remedy: remedy.into() };
        self.0.borrow_mut().push(mistake);
    }

    /// All of them, by file and key.
    pub fn into_sorted(self) -> Vec<Mistake> {
        let mut all = self.0.into_inner();
        all.sort();
        all
    }
}

/// One table of one file, read key by key; [`Section::finish`] reports the keys that nobody read.
pub struct Section<'a> {
    file: &'a str,
    path: String,
    table: &'a Table,
    known: BTreeSet<&'static str>,
    mistakes: &'a Mistakes,
}

impl<'a> Section<'a> {
    /// The root of a file.
    pub fn root(file: &'a str, table: &'a Table, mistakes: &'a Mistakes) -> Self {
        Self { file, path: String::new(), table, known: BTreeSet::new(), mistakes }
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes a mistake at `key`.
    pub fn mistake(&self, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.mistakes.add(self.file, &self.key(key), problem, remedy);
    }

    fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.insert(key);
        self.table.get(key)
    }

    /// Whether the key is given.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether a list of so many items is given.
    pub fn is_list_of(&self, key: &str, items: usize) -> bool {
        matches!(self.table.get(key), Some(Value::Array(list)) if list.len() == items)
    }

    fn wrong_type(&self, key: &str, found: &Value, wanted: &str) {
        self.mistake(key, format!("{wanted} is expected, {} is given", found.type_str()), format!("Write it as {wanted}"));
    }

    /// A text, or `default`.
    pub fn text(&mut self, key: &'static str, default: &str) -> String {
        self.optional_text(key).unwrap_or_else(|| default.to_owned())
    }

    /// A text that must be there.
    pub fn required_text(&mut self, key: &'static str, example: &str) -> String {
        let found = self.optional_text(key);
        if found.is_none() && !self.table.contains_key(key) {
            self.mistake(key, "the key is missing", format!("Add it, such as {key} = \"{example}\""));
        }
        found.unwrap_or_else(|| example.to_owned())
    }

    /// A text that may be absent.
    pub fn optional_text(&mut self, key: &'static str) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(text.clone()),
            other => {
                self.wrong_type(key, other, "a text in quotes");
                None
            }
        }
    }

    /// A text that parses as `T`; `example` shows the form and serves as default when `required` is false.
    pub fn parsed<T: FromStr>(&mut self, key: &'static str, example: &str, required: bool) -> Option<T> {
        let text = if required { self.required_text(key, example) } else { self.text(key, example) };
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.mistake(key, format!("\"{text}\" cannot be used here"), format!("Write it in the form \"{example}\""));
        }
        parsed
    }

    /// A whole number within `range`, or `default`.
    pub fn number(&mut self, key: &'static str, default: i64, range: RangeInclusive<i64>) -> i64 {
        match self.value(key) {
            None => default,
            Some(Value::Integer(n)) if range.contains(n) => *n,
            Some(Value::Integer(n)) => {
                let limits = format!("Choose one from {} to {}", range.start(), range.end());
                self.mistake(key, format!("{n} is out of range"), limits);
                default
            }
            Some(other) => {
                self.wrong_type(key, other, "a whole number");
                default
            }
        }
    }

    /// True or false, or `default`.
    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        match self.value(key) {
            None => default,
            Some(Value::Boolean(flag)) => *flag,
            Some(other) => {
                self.wrong_type(key, other, "true or false");
                default
            }
        }
    }

    /// One of the named choices; the first is the default.
    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> T {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let text = self.text(key, names[0]);
        match choices.iter().find(|(name, _)| *name == text) {
            Some((_, choice)) => *choice,
            None => {
                self.mistake(key, format!("\"{text}\" is no choice"), format!("Choose one of {}", names.join(", ")));
                choices[0].1
            }
        }
    }

    /// A list of texts that each parse as `T`.
    pub fn list<T: FromStr>(&mut self, key: &'static str, example: &str) -> Vec<T> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Value::Array(items) = value else {
            self.wrong_type(key, value, "a list of texts");
            return Vec::new();
        };
        let mut read = Vec::new();
        for (at, item) in items.iter().enumerate() {
            match item.as_str().and_then(|text| text.parse().ok()) {
                Some(parsed) => read.push(parsed),
                None => self.mistake(
                    &format!("{key}[{at}]"),
                    format!("{item} cannot be used here"),
                    format!("Write it in the form \"{example}\""),
                ),
            }
        }
        read
    }

    /// A text, or a list of texts, that each parse as `T`.
    pub fn one_or_list<T: FromStr>(&mut self, key: &'static str, example: &str) -> Vec<T> {
        match self.value(key) {
            Some(Value::String(_)) => self.parsed(key, example, true).into_iter().collect(),
            Some(_) | None => self.list(key, example),
        }
    }

    /// Reads the table `key`; an absent one reads as empty.
    pub fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let empty = Table::new();
        let table = match self.value(key) {
            Some(Value::Table(table)) => table,
            Some(other) => {
                self.wrong_type(key, other, "a table [section]");
                &empty
            }
            None => &empty,
        };
        let mut section = Section { file: self.file, path: self.key(key), table, known: BTreeSet::new(), mistakes: self.mistakes };
        let value = read(&mut section);
        section.finish();
        value
    }

    /// Reads each table of `[[key]]`.
    pub fn tables<T>(&mut self, key: &'static str, mut read: impl FnMut(&mut Section<'_>) -> T) -> Vec<T> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let items = match value {
            Value::Array(items) => items.as_slice(),
            other => {
                self.wrong_type(key, other, "a list of tables [[section]]");
                &[]
            }
        };
        let mut all = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let path = format!("{}[{at}]", self.key(key));
            let Value::Table(table) = item else {
                self.mistakes.add(self.file, &path, "a table is expected", format!("Write it as [[{key}]]"));
                continue;
            };
            let mut section = Section { file: self.file, path, table, known: BTreeSet::new(), mistakes: self.mistakes };
            all.push(read(&mut section));
            section.finish();
        }
        all
    }

    /// Reports keys that were never asked for, with the nearest known one.
    pub fn finish(&self) {
        for key in self.table.keys().filter(|key| !self.known.contains(key.as_str())) {
            let nearest = self.known.iter().min_by_key(|known| distance(known, key)).filter(|known| distance(known, key) <= 3);
            let remedy = match nearest {
                Some(known) => format!("Did you mean {known}?"),
                None => format!("Remove it, or use one of {}", self.known.iter().copied().collect::<Vec<_>>().join(", ")),
            };
            self.mistake(key, "the key is unknown", remedy);
        }
    }
}

/// Levenshtein distance, for suggestions.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let cost = usize::from(ca != *cb);
            let best = (diagonal + cost).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}
