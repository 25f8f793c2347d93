//! Text at the door: stripped, bounded, folded.

use unicode_segmentation::UnicodeSegmentation;

/// Longest name of a person, organisation or ticket, characters.
pub(super) const NAME_MAX: usize = 128;
/// Longest line (title, reason, outcome), characters.
pub(super) const LINE_MAX: usize = 256;
/// Longest note or draft, characters: more than anybody types in a call.
pub(super) const NOTE_MAX: usize = 20_000;

/// Text as it may be stored: without U+0000 (PostgreSQL has no such character) and other controls but tab and line ends, at most `max` characters.
pub(super) fn clean(text: &str, max: usize) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r')).take(max).collect()
}

/// One line: [`clean`], line ends become blanks, no blanks at the ends.
pub(super) fn line(text: &str, max: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    clean(&words.join(" "), max)
}

/// An optional line; an empty one is none.
pub(super) fn opt_line(text: Option<&str>, max: usize) -> Option<String> {
    text.map(|text| line(text, max)).filter(|text| !text.is_empty())
}

/// The form that people's text is compared in: lower case, single blanks.
pub(super) fn fold(text: &str) -> String {
    line(text, LINE_MAX).to_lowercase()
}

/// Shortens to `max` characters with an ellipsis, between graphemes.
pub(super) fn clip(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut left = max.saturating_sub(1);
    for grapheme in text.graphemes(true) {
        let length = grapheme.chars().count();
        if length > left {
            break;
        }
        left -= length;
        out.push_str(grapheme);
    }
    out.truncate(out.trim_end().len());
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_nul_stay_outside_and_length_is_bounded() {
        assert_eq!(clean("a\0b\u{7}c\nd", 9), "abc\nd");
        assert_eq!(line("  two \r\n words\0 ", 20), "two words");
        assert_eq!(opt_line(Some(" \0 "), 20), None);
        assert_eq!(clean("äöü", 2), "äö");
    }

    #[test]
    fn clipping_never_splits_a_grapheme() {
        assert_eq!(clip("family 👩‍👩‍👧 here", 10), "family…");
        assert_eq!(clip("short", 5), "short");
    }

    #[test]
    fn folding_makes_case_and_blanks_equal() {
        assert_eq!(fold(" LAURA   Bennett "), fold("laura bennett"));
    }
}
