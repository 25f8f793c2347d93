//! What must be unguessable or unique: ids of rows, tags, Call-IDs, branches; all from one seed.
//!
//! Every SIP token carries node and start epoch, so that a request which reaches the wrong process can be told.

use rand_chacha::{
    ChaCha12Rng,
    rand_core::{RngCore, SeedableRng},
};

use crate::ids::Entropy;

/// Digits of tokens: letters and digits only, so that they pass every SIP grammar unquoted.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Length of the random part: 16 × 5 = 80 bits.
const RANDOM_LEN: usize = 16;

/// The one source of chance in the domain.
#[derive(Clone, Debug)]
pub struct Tokens {
    rng: ChaCha12Rng,
    mark: String,
}

impl Tokens {
    /// Tokens of this node, started at this epoch, from this seed.
    pub fn new(seed: [u8; 32], node: &str, epoch: u32) -> Self {
        Self { rng: ChaCha12Rng::from_seed(seed), mark: format!("{node}x{epoch:x}") }
    }

    /// Node and start epoch as they stand in every token.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// The random part of an id.
    pub fn entropy(&mut self) -> Entropy {
        let mut bytes = [0; 10];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// A key for MACs (nonces).
    pub fn key(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// A From or To tag of ours (RFC 3261 §19.3).
    pub fn tag(&mut self) -> String {
        self.marked("")
    }

    /// A branch of ours (RFC 3261 §8.1.1.7).
    pub fn branch(&mut self) -> String {
        self.marked("z9hG4bK")
    }

    /// A Call-ID of ours (RFC 3261 §8.1.1.4).
    pub fn call_id(&mut self) -> String {
        self.marked("")
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        if bound == 0 { 0 } else { self.rng.next_u32() % bound }
    }

    fn marked(&mut self, prefix: &str) -> String {
        let mut token = String::with_capacity(prefix.len() + self.mark.len() + 1 + RANDOM_LEN);
        token.push_str(prefix);
        token.push_str(&self.mark);
        token.push('-');
        for _ in 0..RANDOM_LEN {
            let place = usize::try_from(self.rng.next_u32() % 32).unwrap_or(0);
            token.push(char::from(ALPHABET[place]));
        }
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_carries_node_and_epoch_and_none_comes_twice() {
        let mut tokens = Tokens::new([1; 32], "a", 0x2f);
        let made: std::collections::BTreeSet<String> = (0..300).flat_map(|_| [tokens.tag(), tokens.branch(), tokens.call_id()]).collect();
        assert_eq!(made.len(), 900);
        assert!(made.iter().all(|token| token.contains("ax2f-") && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')));
    }

    #[test]
    fn the_same_seed_makes_the_same_tokens() {
        let (mut a, mut b) = (Tokens::new([1; 32], "a", 1), Tokens::new([1; 32], "a", 1));
        assert_eq!((a.tag(), a.entropy(), a.key()), (b.tag(), b.entropy(), b.key()));
        assert_ne!(Tokens::new([2; 32], "a", 1).tag(), Tokens::new([1; 32], "a", 1).tag());
    }
}
