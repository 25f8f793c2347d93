//! A simulated recogniser: words fall away, come in, or turn into others at a given rate. Said so wherever its figures stand.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

use crate::domain::insight::utterance::Word;

/// Shares of the kinds of error, as recognisers of telephone speech make them: most are substitutions.
const SUBSTITUTED: f64 = 0.6;
/// Next to these, the rest is inserted.
const DELETED: f64 = 0.25;

/// Turns words into what might have been recognised.
pub struct WordChannel {
    rng: ChaCha8Rng,
    rate: f64,
    words: Vec<String>,
}

impl WordChannel {
    /// Errors per word, and the words that come instead of others.
    pub fn new(seed: u64, rate: f64, words: Vec<String>) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), rate, words }
    }

    fn chance(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn any(&mut self) -> String {
        let at = self.rng.next_u64() % self.words.len().max(1) as u64;
        self.words.get(at as usize).cloned().unwrap_or_default()
    }

    /// One turn. A word's errors take the full stop after it with them, as a recogniser's do.
    pub fn hear(&mut self, words: Vec<Word>) -> Vec<Word> {
        let mut heard = Vec::with_capacity(words.len());
        for word in words {
            if self.chance() >= self.rate {
                heard.push(word);
                continue;
            }
            let kind = self.chance();
            if kind < SUBSTITUTED {
                heard.push(Word { text: self.any(), ..word });
            } else if kind >= SUBSTITUTED + DELETED {
                let more = Word { text: self.any(), from_ms: word.to_ms, ..word };
                heard.extend([word, more]);
            }
        }
        heard
    }
}
