//! A mutator: turns a good message into one that nobody would send.

use rand_chacha::{ChaCha12Rng, rand_core::RngCore};

/// Bends the octets in one to five places: changed, cut, repeated, taken out, put in.
pub fn bend(mut bytes: Vec<u8>, random: &mut ChaCha12Rng) -> Vec<u8> {
    let mut pick = |n: usize| random.next_u64() as usize % n.max(1);
    for _ in 0..=pick(4) {
        let (at, octet) = (pick(bytes.len()), pick(256) as u8);
        let to = (at + pick(40)).min(bytes.len());
        match pick(8) {
            0 if !bytes.is_empty() => bytes[at] = octet,
            1 => bytes.truncate(at),
            2 => bytes.splice(at..at, bytes[at..to].repeat(20)).for_each(drop),
            3 => bytes.drain(at..to).for_each(drop),
            4 => bytes.splice(at..at, b"99999999999999999999999".iter().copied()).for_each(drop),
            5 => bytes.splice(at..at, vec![octet; 3_000]).for_each(drop),
            6 if !bytes.is_empty() => bytes[at] ^= 1 << pick(8),
            _ => bytes.splice(at..at, b"\r\n \0\"<;=:,@%".iter().copied()).for_each(drop),
        }
    }
    bytes
}
