//! Nonces that need no memory until they are used, and the memory of those that were (RFC 7616 §3.3, §5.12).
//!
//! A nonce is the time it was made, a salt and a MAC over both and the realm. Only a nonce that authenticated somebody
//! takes a place in the [`NonceWindow`], so that strangers cannot fill it.

use std::collections::{HashMap, VecDeque};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Nonces remembered at once: 20,000 phones that register every two minutes use about this many in five minutes.
pub const MAX_NONCES: usize = 65_536;
/// How long a nonce may be used; a longer-lived one would only save a round trip.
pub const NONCE_LIFETIME_MS: u64 = 300_000;

const TIME_LEN: usize = 6;
const SALT_LEN: usize = 4;
const MAC_LEN: usize = 12;
const NONCE_LEN: usize = TIME_LEN + SALT_LEN + MAC_LEN;

/// The MAC part, which names a nonce.
type NonceId = [u8; MAC_LEN];

/// What a nonce that a client brought turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NonceCheck {
    /// Ours and fresh.
    Fresh { id: NonceId, made_ms: u64 },
    /// Too old, from before a restart, or no nonce of ours.
    Stale,
}

/// Makes a nonce.
pub(super) fn make(secret: &[u8; 32], realm: &str, now_ms: u64, salt: u32) -> String {
    let mut bytes = [0_u8; NONCE_LEN];
    bytes[..TIME_LEN].copy_from_slice(&now_ms.to_be_bytes()[8 - TIME_LEN..]);
    bytes[TIME_LEN..TIME_LEN + SALT_LEN].copy_from_slice(&salt.to_be_bytes());
    let id = mac(secret, realm, &bytes[..TIME_LEN + SALT_LEN]);
    bytes[TIME_LEN + SALT_LEN..].copy_from_slice(&id);
    hex(&bytes)
}

/// Reads and judges a nonce; the work is the same for every nonce of the right length.
pub(super) fn check(secret: &[u8; 32], realm: &str, nonce: &str, now_ms: u64) -> NonceCheck {
    let mut bytes = [0_u8; NONCE_LEN];
    let readable = unhex(nonce, &mut bytes);
    let (head, claimed) = bytes.split_at(TIME_LEN + SALT_LEN);
    let id = mac(secret, realm, head);
    let made_ms = head[..TIME_LEN].iter().fold(0_u64, |sum, &b| sum << 8 | u64::from(b));
    let ours = bool::from(id.ct_eq(claimed)) && readable;
    // A wall clock may be set back between challenge and answer; a nonce from the near future is ours all the same.
    let fresh = now_ms.saturating_sub(made_ms) <= NONCE_LIFETIME_MS && made_ms.saturating_sub(now_ms) <= NONCE_LIFETIME_MS;
    if ours && fresh { NonceCheck::Fresh { id, made_ms } } else { NonceCheck::Stale }
}

fn mac(secret: &[u8; 32], realm: &str, head: &[u8]) -> NonceId {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
    mac.update(head);
    mac.update(realm.as_bytes());
    let mut id = [0; MAC_LEN];
    id.copy_from_slice(&mac.finalize().into_bytes()[..MAC_LEN]);
    id
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |d: u8| char::from(b"0123456789abcdef"[usize::from(d & 15)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(*b)]).collect()
}

/// Reads exactly `out.len()` octets of hexadecimal, lower or upper case.
pub(super) fn unhex(text: &str, out: &mut [u8]) -> bool {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    if text.len() != out.len() * 2 {
        return false;
    }
    text.as_bytes().chunks_exact(2).zip(out).all(|(pair, slot)| match (digit(pair[0]), digit(pair[1])) {
        (Some(high), Some(low)) => {
            *slot = high << 4 | low;
            true
        }
        _ => false,
    })
}

/// Which nonce counts of a nonce were seen: the highest, and a bit for each of the 64 up to it.
#[derive(Clone, Copy, Debug)]
struct Counts {
    highest: u32,
    seen: u64,
}

impl Counts {
    /// Notes a count; false when it was seen before or is too far back to know.
    fn note(&mut self, nc: u32) -> bool {
        if let Some(ahead) = nc.checked_sub(self.highest).filter(|a| *a > 0) {
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = nc;
            return true;
        }
        let bit = 1_u64.checked_shl(self.highest - nc).unwrap_or(0);
        let new = bit != 0 && self.seen & bit == 0;
        self.seen |= bit;
        new
    }
}

/// The nonce counts that were used, so that no answer works twice. Bounded: beyond `capacity` the oldest nonces turn stale.
#[derive(Debug)]
pub struct NonceWindow {
    capacity: usize,
    used: HashMap<NonceId, Counts>,
    order: VecDeque<(u64, NonceId)>,
    /// Nonces made at or before this time that are not in `used` may have been forgotten: stale.
    forgotten_until_ms: Option<u64>,
    /// How many unexpired nonces were forgotten for want of room.
    pub evicted: u64,
}

impl NonceWindow {
    /// An empty window for at most `capacity` nonces.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), used: HashMap::new(), order: VecDeque::new(), forgotten_until_ms: None, evicted: 0 }
    }

    /// Notes that count `nc` of a nonce was used; false when it was before, or when that cannot be known any more.
    pub(super) fn note(&mut self, id: NonceId, made_ms: u64, nc: u32, now_ms: u64) -> bool {
        while let Some(&(made_ms, id)) = self.order.front() {
            let expired = now_ms.saturating_sub(made_ms) > NONCE_LIFETIME_MS;
            let full = self.order.len() >= self.capacity;
            if !expired && !full {
                break;
            }
            self.order.pop_front();
            self.used.remove(&id);
            if !expired {
                self.evicted += 1;
                self.forgotten_until_ms = self.forgotten_until_ms.max(Some(made_ms));
            }
        }
        if let Some(counts) = self.used.get_mut(&id) {
            return counts.note(nc);
        }
        if self.forgotten_until_ms.is_some_and(|until| made_ms <= until) {
            return false;
        }
        self.used.insert(id, Counts { highest: nc, seen: 1 });
        self.order.push_back((made_ms, id));
        true
    }

    /// How many nonces are remembered.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_ours_until_it_is_old() {
        let nonce = make(&[7; 32], "desk", 1_790_000_000_000, 5);
        let fresh = |realm, at| matches!(check(&[7; 32], realm, &nonce, at), NonceCheck::Fresh { .. });
        assert!(fresh("desk", 1_790_000_000_000 + NONCE_LIFETIME_MS));
        assert!(!fresh("desk", 1_790_000_000_001 + NONCE_LIFETIME_MS));
        assert!(!fresh("other", 1_790_000_000_000));
        assert_eq!(check(&[8; 32], "desk", &nonce, 1_790_000_000_000), NonceCheck::Stale);
        assert_eq!(check(&[7; 32], "desk", "zz", 1_790_000_000_000), NonceCheck::Stale);
    }

    #[test]
    fn each_count_works_once_in_any_order_near_the_highest() {
        let mut window = NonceWindow::new(10);
        let mut note = |nc| window.note([1; 12], 0, nc, 0);
        assert_eq!([5, 3, 5, 3, 100, 37, 36, 99].map(&mut note), [true, true, false, false, true, true, false, true]);
        assert!([u32::MAX, 0].map(note) == [true, false]);
    }

    #[test]
    fn a_full_window_forgets_the_oldest_and_never_accepts_it_again() {
        let mut window = NonceWindow::new(2);
        for id in 0..3 {
            assert!(window.note([id; 12], u64::from(id), 1, 10));
        }
        assert_eq!((window.len(), window.evicted), (2, 1));
        assert!(!window.note([0; 12], 0, 2, 10), "a forgotten nonce might be a replay");
        assert!(window.note([9; 12], 9, 1, 10));
        assert!(window.note([10; 12], NONCE_LIFETIME_MS * 2, 1, NONCE_LIFETIME_MS * 2), "expired ones make room");
        assert_eq!((window.len(), window.evicted), (1, 2), "the others expired");
    }
}
