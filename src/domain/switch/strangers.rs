//! Strangers and what they may cost: a token bucket per network, and silence for addresses that guess.
//!
//! Both look at requests of sources that are neither a registered phone's flow nor a trunk, so whoever is in is never cut off by a
//! guesser behind the same address. Tables are bounded; what has come to rest is forgotten first.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

/// Requests without credentials of one /24 (or /64) per second; each one that leads to a log-in is given back.
const RATE: u32 = 100;
/// Those that may come at once: the phones of a large site after a power cut.
const BURST: u32 = 1_000;
/// Networks whose bucket is not full, remembered.
const MAX_NETWORKS: usize = 16_384;
/// Addresses under suspicion, remembered.
const MAX_SUSPECTS: usize = 8_192;

/// Suspicion at which an address is answered no more.
const LIMIT: u32 = 1_000;
/// What wrong credentials add: ten in a row are too many for a typing error.
const WRONG: u32 = 100;
/// What a request without credentials adds: a thousand of them without one log-in are a scan.
const UNASKED: u32 = 1;
/// What a log-in takes away.
const PROVEN: u32 = 200;
/// What each second takes away.
const PER_SECOND: u32 = 5;
/// The first silence: longer than scanners wait for an answer before they give up.
const FIRST_SILENCE: Duration = Duration::from_secs(30);
/// The longest; each is twice the one before.
const LONGEST_SILENCE: Duration = Duration::from_secs(3_600);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: u32,
    /// When the last whole token came.
    filled: Instant,
}

impl Bucket {
    fn fill(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.filled);
        let more = u32::try_from(since.as_millis() * u128::from(RATE) / 1000).unwrap_or(u32::MAX);
        if more > 0 {
            self.tokens = self.tokens.saturating_add(more).min(BURST);
            self.filled = now;
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Suspect {
    score: u32,
    at: Instant,
    silent_until: Option<Instant>,
    /// How long the last silence was.
    last: Duration,
}

impl Suspect {
    fn decay(&mut self, now: Instant) {
        let seconds = u32::try_from(now.saturating_duration_since(self.at).as_secs()).unwrap_or(u32::MAX);
        if seconds > 0 {
            self.score = self.score.saturating_sub(seconds.saturating_mul(PER_SECOND));
            self.at += Duration::from_secs(seconds.into());
        }
    }

    fn is_silent(&self, now: Instant) -> bool {
        self.silent_until.is_some_and(|until| now < until)
    }

    /// Whether nothing is held against it any more: also the growth of its silences is forgotten.
    fn is_clean(&self, now: Instant) -> bool {
        self.score == 0 && self.silent_until.is_none_or(|until| now >= until + 2 * self.last)
    }
}

/// All strangers.
#[derive(Debug, Default)]
pub struct Strangers {
    buckets: HashMap<IpAddr, Bucket>,
    suspects: HashMap<IpAddr, Suspect>,
}

impl Strangers {
    /// Whether this address is answered no more for now.
    pub fn is_silenced(&self, now: Instant, address: IpAddr) -> bool {
        self.suspects.get(&host(address)).is_some_and(|suspect| suspect.is_silent(now))
    }

    /// Whether the network of this address may have one more request without credentials served.
    pub fn admit(&mut self, now: Instant, address: IpAddr) -> bool {
        if self.buckets.len() >= MAX_NETWORKS {
            self.buckets.retain(|_, bucket| {
                bucket.fill(now);
                bucket.tokens < BURST
            });
        }
        // The tables are full of networks that all ask at this moment: the rest share one bucket.
        let full = self.buckets.len() >= MAX_NETWORKS && !self.buckets.contains_key(&network(address));
        let key = if full { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { network(address) };
        let bucket = self.buckets.entry(key).or_insert(Bucket { tokens: BURST, filled: now });
        bucket.fill(now);
        let admitted = bucket.tokens > 0;
        bucket.tokens = bucket.tokens.saturating_sub(1);
        admitted
    }

    /// It asked without credentials.
    pub fn asked(&mut self, now: Instant, address: IpAddr) {
        self.suspect(now, address, UNASKED);
    }

    /// Its credentials were wrong. True where that begins a silence.
    pub fn failed(&mut self, now: Instant, address: IpAddr) -> bool {
        self.suspect(now, address, WRONG)
    }

    /// It proved who it is.
    pub fn succeeded(&mut self, now: Instant, address: IpAddr) {
        if let Some(bucket) = self.buckets.get_mut(&network(address)) {
            bucket.tokens = (bucket.tokens + 1).min(BURST);
        }
        if let Some(suspect) = self.suspects.get_mut(&host(address)) {
            suspect.decay(now);
            suspect.score = suspect.score.saturating_sub(PROVEN);
        }
    }

    fn suspect(&mut self, now: Instant, address: IpAddr, by: u32) -> bool {
        let key = host(address);
        if self.suspects.len() >= MAX_SUSPECTS && !self.suspects.contains_key(&key) {
            self.make_room(now);
        }
        let suspect = self.suspects.entry(key).or_insert(Suspect { score: 0, at: now, silent_until: None, last: Duration::ZERO });
        suspect.decay(now);
        suspect.score = suspect.score.saturating_add(by);
        if suspect.score < LIMIT || suspect.is_silent(now) {
            return false;
        }
        let forgotten = suspect.silent_until.is_some_and(|until| now >= until + 2 * suspect.last);
        suspect.last = if forgotten || suspect.last.is_zero() { FIRST_SILENCE } else { (2 * suspect.last).min(LONGEST_SILENCE) };
        suspect.silent_until = Some(now + suspect.last);
        // It comes back on probation.
        suspect.score = LIMIT / 2;
        true
    }

    /// Forgets whoever came to rest; else whoever is suspected least.
    fn make_room(&mut self, now: Instant) {
        self.suspects.retain(|_, suspect| {
            suspect.decay(now);
            !suspect.is_clean(now)
        });
        if self.suspects.len() >= MAX_SUSPECTS {
            let mut scores: Vec<u32> =
                self.suspects.values().filter(|suspect| !suspect.is_silent(now)).map(|suspect| suspect.score).collect();
            scores.sort_unstable();
            // A quarter at once, so that a flood of addresses does not sweep for each.
            let highest = scores.get(scores.len() / 4).copied().unwrap_or(u32::MAX);
            self.suspects.retain(|_, suspect| suspect.is_silent(now) || suspect.score > highest);
        }
        if self.suspects.len() >= MAX_SUSPECTS {
            // All of them are silent: those who only began to guess make room.
            self.suspects.retain(|_, suspect| suspect.last > FIRST_SILENCE);
        }
        if self.suspects.len() >= MAX_SUSPECTS {
            self.suspects.clear();
        }
    }
}

/// What shares a bucket: a /24, or a /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            Ipv4Addr::new(a, b, c, 0).into()
        }
        IpAddr::V6(_) => host(address),
    }
}

/// What guesses as one: an IPv4 address, or a /64.
fn host(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for simulated time")]
    fn start() -> Instant {
        Instant::now()
    }

    fn address(n: u32) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 + n).into()
    }

    #[test]
    fn ten_wrong_passwords_in_a_row_silence_an_address_for_longer_each_time() {
        let (mut strangers, mut now) = (Strangers::default(), start());
        let mut silences = Vec::new();
        for _ in 0..10 {
            let mut tries = 0;
            while !strangers.failed(now, address(1)) {
                tries += 1;
                assert!(tries < 10);
            }
            assert!(strangers.is_silenced(now, address(1)) && !strangers.is_silenced(now, address(2)));
            let from = now;
            while strangers.is_silenced(now, address(1)) {
                now += Duration::from_secs(1);
            }
            silences.push((now - from).as_secs());
        }
        assert_eq!(silences, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
    }

    #[test]
    fn a_phone_that_retries_a_wrong_password_each_minute_is_never_silenced() {
        let (mut strangers, mut now) = (Strangers::default(), start());
        for _ in 0..10_000 {
            assert!(!strangers.failed(now, address(1)));
            now += Duration::from_secs(60);
        }
    }

    #[test]
    fn ten_thousand_phones_of_one_address_come_back_in_thirty_seconds() {
        let (mut strangers, mut now) = (Strangers::default(), start());
        let mut challenged = std::collections::VecDeque::new();
        for n in 0..10_000_u32 {
            assert!(strangers.admit(now, address(1)), "phone {n}");
            strangers.asked(now, address(1));
            challenged.push_back(now);
            // Each answers its challenge 100 ms later.
            while challenged.front().is_some_and(|asked| now - *asked >= Duration::from_millis(100)) {
                challenged.pop_front();
                strangers.succeeded(now, address(1));
            }
            now += Duration::from_millis(3);
        }
        assert!(!strangers.is_silenced(now, address(1)));
    }

    #[test]
    fn a_network_has_a_burst_and_then_a_rate_and_others_have_their_own() {
        let (mut strangers, mut now) = (Strangers::default(), start());
        let mut admitted = 0;
        for n in 0..10_000 {
            admitted += u32::from(strangers.admit(now, address(n % 250)));
            now += Duration::from_millis(1);
        }
        assert!((1_000 + 990..=1_000 + 1_010).contains(&admitted), "{admitted} in 10 s");
        assert!(strangers.admit(now, address(256)));
    }

    #[test]
    fn a_scan_without_credentials_is_silenced_too() {
        let (mut strangers, mut now) = (Strangers::default(), start());
        let mut asked = 0;
        while !strangers.is_silenced(now, address(1)) {
            strangers.asked(now, address(1));
            asked += 1;
            now += Duration::from_millis(10);
        }
        assert!((1_000..1_200).contains(&asked), "{asked}");
    }

    #[test]
    fn a_flood_of_addresses_fills_no_memory_and_frees_no_guesser() {
        let (mut strangers, mut now) = (Strangers::default(), start());
        let guesser = IpAddr::from([192, 0, 2, 1]);
        while !strangers.failed(now, guesser) {}
        for n in 0..200_000 {
            strangers.admit(now, address(n * 256));
            strangers.asked(now, address(n));
            now += Duration::from_micros(50);
        }
        let (networks, suspects) = (strangers.buckets.len(), strangers.suspects.len());
        assert!(networks <= MAX_NETWORKS + 1 && suspects <= MAX_SUSPECTS, "{networks} {suspects}");
        assert!(strangers.is_silenced(now, guesser));
    }
}
