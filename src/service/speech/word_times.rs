//! Where each word lies in its utterance: the model's own times where they can be, else spread over the voiced frames.
//!
//! Small models often pile the last words up at the end. Then letters are dealt out over the frames that hold a voice,
//! so that a click on a word still plays it.

use super::transcribe::HeardWord;

/// No word is shorter.
const SHORTEST_MS: u32 = 40;
/// A digit is spoken as a word of about so many letters.
const DIGIT_LETTERS: u32 = 4;
/// "dollars".
const SIGN_LETTERS: u32 = 6;
/// Milliseconds per voiced frame.
const FRAME_MS: u32 = 10;

/// From and to of every word, milliseconds from the start of an utterance of `length_ms`: inside it, never backwards.
pub fn place(words: &[HeardWord], length_ms: u32, voiced: &[bool]) -> Vec<(u32, u32)> {
    let mut earliest = 0;
    let mut places = Vec::with_capacity(words.len());
    for word in words {
        let from = word.from_ms.clamp(earliest, length_ms.max(earliest));
        let to = word.to_ms.clamp(from, length_ms.max(from));
        places.push((from, to));
        earliest = to;
    }
    if places.iter().all(|(from, to)| to - from >= SHORTEST_MS) { places } else { spread(words, length_ms, voiced) }
}

fn spread(words: &[HeardWord], length_ms: u32, voiced: &[bool]) -> Vec<(u32, u32)> {
    let frames: Vec<u32> = (0u32..).zip(voiced).filter(|(_, v)| **v).map(|(i, _)| i * FRAME_MS).collect();
    let total: u32 = words.iter().map(letters).sum();
    // The voiced frame that a share of the letters has reached; without voice, the share of the time.
    let at = |done: u32| match frames.get((frames.len() * done as usize / total.max(1) as usize).min(frames.len().saturating_sub(1))) {
        Some(frame) => (*frame).min(length_ms),
        None => u32::try_from(u64::from(length_ms) * u64::from(done) / u64::from(total.max(1))).unwrap_or(length_ms),
    };
    let mut done = 0;
    words
        .iter()
        .map(|word| {
            let from = at(done);
            done += letters(word);
            (from, if done >= total { length_ms.max(from) } else { at(done).max(from) })
        })
        .collect()
}

fn letters(word: &HeardWord) -> u32 {
    let of = |c: char| match c {
        '0'..='9' => DIGIT_LETTERS,
        '$' | '€' | '£' | '%' => SIGN_LETTERS,
        c if c.is_alphanumeric() => 1,
        _ => 0,
    };
    word.text.chars().map(of).sum::<u32>().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word(text: &str, from_ms: u32, to_ms: u32) -> HeardWord {
        HeardWord { text: text.into(), from_ms, to_ms, probability: 0.9 }
    }

    #[test]
    fn believable_times_are_kept() {
        let words = [word("yes", 100, 400), word("please", 420, 900)];
        assert_eq!(place(&words, 1_000, &[true; 100]), [(100, 400), (420, 900)]);
    }

    #[test]
    fn words_piled_up_at_the_end_are_dealt_out_over_the_voice_and_its_pauses() {
        let words = [word("order", 0, 900), word("48", 1_000, 1_000), word("ninety", 1_000, 1_000)];
        let voiced: Vec<bool> = (0..100).map(|i| !(40..60).contains(&i)).collect();
        let places = place(&words, 1_000, &voiced);
        assert_eq!(places[0].0, 0);
        assert!(places.windows(2).all(|w| w[0].1 <= w[1].0) && places.iter().all(|(a, b)| b - a >= 150), "{places:?}");
        assert_eq!(places[2].1, 1_000);
    }

    proptest! {
        #[test]
        fn words_stay_inside_and_in_order(
            words in prop::collection::vec(("[a-z0-9$]{0,9}", 0u32..20_000, 0u32..20_000), 0..20),
            length_ms in 0u32..10_000,
            voiced in prop::collection::vec(any::<bool>(), 0..1_000),
        ) {
            let words: Vec<HeardWord> = words.iter().map(|(t, a, b)| word(t, *a, *b)).collect();
            let places = place(&words, length_ms, &voiced);
            prop_assert_eq!(places.len(), words.len());
            prop_assert!(places.iter().all(|(a, b)| a <= b && *b <= length_ms));
            prop_assert!(places.windows(2).all(|w| w[0].1 <= w[1].0));
        }
    }
}
