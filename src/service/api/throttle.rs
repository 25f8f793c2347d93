//! Failed logins per user name and per address: ten a minute, then a wait.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Failures within [`WINDOW`] after which nobody is let try.
const FAILURES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Keys remembered; beyond it the oldest windows are forgotten, so that a sprayer cannot grow the table.
const KEYS: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<String, (Instant, u32)>>);

impl Throttle {
    /// Whether this user name or address must wait.
    pub fn blocked(&self, user: &str, address: IpAddr, now: Instant) -> bool {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys(user, address).iter().any(|key| table.get(key).is_some_and(|(since, n)| now.duration_since(*since) < WINDOW && *n >= FAILURES))
    }

    /// Notes a failure.
    pub fn failed(&self, user: &str, address: IpAddr, now: Instant) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= KEYS {
            table.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        }
        if table.len() >= KEYS {
            table.clear();
        }
        for key in keys(user, address) {
            let entry = table.entry(key).or_insert((now, 0));
            if now.duration_since(entry.0) >= WINDOW {
                *entry = (now, 0);
            }
            entry.1 += 1;
        }
    }
}

fn keys(user: &str, address: IpAddr) -> [String; 2] {
    [format!("user {}", user.chars().take(64).collect::<String>()), format!("address {address}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
    fn the_eleventh_try_in_a_minute_waits_until_the_minute_is_over() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let here = IpAddr::from([127, 0, 0, 1]);
        for n in 0..FAILURES {
            assert!(!throttle.blocked("ann", here, start), "try {n}");
            throttle.failed("ann", here, start);
        }
        assert!(throttle.blocked("ann", IpAddr::from([10, 0, 0, 1]), start), "by name");
        assert!(throttle.blocked("bob", here, start), "by address");
        assert!(!throttle.blocked("ann", here, start + WINDOW));
    }
}
