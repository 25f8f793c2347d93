//! `[redaction]` of `speech.toml`: which numbers are taken out of words, typed text and recordings.

use std::sync::Arc;

use super::reader::Section;
use crate::domain::insight::redaction::{PATTERNS_MAX, Pattern, PatternError, Rules};

/// What is taken out, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    /// What is masked in words and typed text.
    pub rules: Arc<Rules>,
    /// Whether the recordings are overwritten too.
    pub audio: bool,
}

pub(super) fn read(s: &mut Section<'_>) -> Redaction {
    let enabled = s.flag("enabled", true);
    let keep_last_four = s.flag("keep_last_four", false);
    let audio = s.flag("audio", true);
    let patterns: Vec<Pattern> = s.tables("pattern", pattern).into_iter().flatten().collect();
    if patterns.len() > PATTERNS_MAX {
        s.mistake("pattern", format!("{} patterns are too many", patterns.len()), format!("Write at most {PATTERNS_MAX}"));
    }
    Redaction { rules: Arc::new(Rules { off: !enabled, keep_last_four, patterns }), audio: enabled && audio }
}

fn pattern(s: &mut Section<'_>) -> Option<Pattern> {
    let name = s.required_text("name", "policy number");
    let expression = s.required_text("regex", r"\\bPX\\d{6}\\b");
    let wrong = match Pattern::new(&name, &expression) {
        Ok(pattern) => return Some(pattern),
        Err(wrong) => wrong,
    };
    let key = if wrong == PatternError::Name { "name" } else { "regex" };
    s.mistake(key, wrong.to_string(), "docs/redaction.md shows how patterns are written");
    None
}
