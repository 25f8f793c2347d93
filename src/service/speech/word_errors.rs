//! Words compared: how many of those that were said did not come out as they were said.

/// Lower case, no punctuation but what is part of a word ("don't", "$45").
pub fn words(text: &str) -> Vec<String> {
    let plain: String = text.to_lowercase().chars().map(|c| if c.is_alphanumeric() || matches!(c, '\'' | '$') { c } else { ' ' }).collect();
    plain.split_whitespace().map(str::to_owned).collect()
}

/// Least number of words to change, drop or add.
pub fn errors(wanted: &[String], got: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=got.len()).collect();
    for (i, w) in wanted.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, g) in got.iter().enumerate() {
            let substituted = diagonal + usize::from(w != g);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[got.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_missing_and_added_words_count_once_each() {
        let of = |wanted: &str, got: &str| errors(&words(wanted), &words(got));
        assert_eq!(of("I don't owe $45.", "i don't owe $45"), 0, "case and punctuation are no errors");
        assert_eq!(of("one two three", "one too three"), 1);
        assert_eq!(of("one two three", "one three"), 1);
        assert_eq!(of("one three", "one two three"), 1);
        assert_eq!((of("", "a b"), of("a b", "")), (2, 2));
    }
}
