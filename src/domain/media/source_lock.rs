//! Whose packets a leg takes, and where its own go: the peer's address is learnt once and then kept.
//!
//! ```text
//! Learning ──signalled──▶ Trying ──5 in a row──▶ Locked ──new SDP──▶ Relearning ──5 in a row──▶ Locked
//!     └───────── 5 in a row from one address ──────▲ │ ◀─ silent 2 s, then 5 from the peer's IP ─┘
//! ```
//! Media goes to the signalled address until another has been locked: who only sprays a port gets nothing.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{counters::DropReason, plan::RemoteMedia};
use crate::protocol::rtp::packet::Header;

/// Packets in a row that lock an address.
const LOCK_RUN: u8 = 5;
/// A locked source that is silent this long may be replaced from the peer's own IP (NAT rebinding).
const RELEARN_AFTER: Duration = Duration::from_secs(2);
/// The SSRC of one address changes no faster than this; faster changes are an attack or a fault.
const SOURCE_INTERVAL: Duration = Duration::from_secs(1);
/// Packets under way when the peer moved its address do not lock the old one again within this time.
const MOVE_GRACE: Duration = Duration::from_millis(500);
/// Addresses that may be on trial at once.
const CANDIDATES_MAX: usize = 4;

/// What to do with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Use it.
    Accept {
        /// It is the first of another SSRC or address than the one before.
        new_source: bool,
        /// Its address has just been locked for the first time.
        locked: bool,
    },
    /// Drop and count it.
    Refuse(DropReason),
}

/// The address learning of one leg.
#[derive(Clone, Debug)]
pub struct SourceLock {
    signalled: Option<RemoteMedia>,
    state: State,
    candidates: [Option<Candidate>; CANDIDATES_MAX],
    announced: Option<SocketAddr>,
    /// When the present address last changed its SSRC.
    changed_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Nobody has been believed yet.
    Learning,
    /// The signalled address sends; it is believed, and locked when `run` is long enough.
    Trying { current: Current, run: u8 },
    /// Only `current` is believed.
    Locked { current: Current },
    /// Only `current` is believed, until the address of the newer SDP or five in a row from elsewhere.
    Relearning { current: Current, run: u8, moved: bool, since: Instant },
}

#[derive(Clone, Copy, Debug)]
struct Current {
    address: SocketAddr,
    ssrc: u32,
    heard_at: Instant,
    /// Another SSRC from the same address, and the sequence number that would confirm it.
    rival: Option<(u32, u16)>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    address: SocketAddr,
    ssrc: u32,
    next_sequence: u16,
    run: u8,
    seen_at: Instant,
}

impl Default for SourceLock {
    fn default() -> Self {
        Self { signalled: None, state: State::Learning, candidates: [None; CANDIDATES_MAX], announced: None, changed_at: None }
    }
}

impl SourceLock {
    /// Takes the peer's signalled addresses; a new epoch permits another source.
    pub fn set_remote(&mut self, now: Instant, remote: Option<RemoteMedia>) {
        if self.signalled == remote {
            return;
        }
        let before = self.signalled.map(|signalled| signalled.rtp);
        self.signalled = remote;
        self.candidates = [None; CANDIDATES_MAX];
        let moved = before != remote.map(|remote| remote.rtp);
        self.state = match self.state {
            _ if remote.is_none() => State::Learning,
            State::Learning => State::Learning,
            State::Trying { .. } if moved => State::Learning,
            trying @ State::Trying { .. } => trying,
            State::Locked { current } | State::Relearning { current, .. } => State::Relearning { current, run: 0, moved, since: now },
        };
    }

    /// Where to send; `None` before the peer's address is known or while it is unspecified (RFC 3264 §8.4).
    pub fn destination(&self) -> Option<SocketAddr> {
        let signalled = self.signalled?.rtp;
        let address = match self.state {
            State::Learning | State::Trying { .. } | State::Relearning { moved: true, .. } => signalled,
            State::Locked { current } | State::Relearning { current, moved: false, .. } => current.address,
        };
        (!address.ip().is_unspecified() && address.port() != 0).then_some(address)
    }

    /// The one address that is believed, when nobody else may be: the system may refuse all others.
    pub fn connection(&self) -> Option<SocketAddr> {
        match self.state {
            State::Locked { current } => Some(current.address),
            State::Learning | State::Trying { .. } | State::Relearning { .. } => None,
        }
    }

    /// When another address may be believed because the present one is silent.
    pub fn relearn_at(&self) -> Option<Instant> {
        self.current().map(|current| current.heard_at + RELEARN_AFTER)
    }

    /// Whether a packet of this address that was refused may turn out to have been the peer's.
    pub fn may_turn_out(&self, source: SocketAddr, reason: DropReason) -> bool {
        match reason {
            DropReason::BeforeAnswer | DropReason::NewSsrc => true,
            DropReason::WrongSource => self.candidates.iter().flatten().any(|known| known.address == source),
            _ => false,
        }
    }

    /// Whether RTCP from this address may be the peer's; it never teaches an address.
    pub fn is_peer(&self, source: SocketAddr) -> bool {
        let signalled = self.signalled.is_some_and(|remote| [remote.rtp.ip(), remote.rtcp.ip()].contains(&source.ip()));
        signalled || self.current().is_some_and(|current| current.address.ip() == source.ip())
    }

    fn current(&self) -> Option<&Current> {
        match &self.state {
            State::Learning => None,
            State::Trying { current, .. } | State::Locked { current } | State::Relearning { current, .. } => Some(current),
        }
    }

    /// Judges one packet whose payload type is known to be negotiated.
    pub fn judge(&mut self, now: Instant, source: SocketAddr, header: &Header) -> Verdict {
        let Some(signalled) = self.signalled.map(|remote| remote.rtp) else {
            return Verdict::Refuse(DropReason::BeforeAnswer);
        };
        if self.current().is_some_and(|current| current.address == source) {
            return self.judge_current(now, header);
        }
        match self.state {
            State::Learning if source == signalled => self.try_signalled(now, source, header),
            State::Relearning { .. } if source == signalled => self.try_signalled(now, source, header),
            State::Learning | State::Trying { .. } | State::Relearning { .. } => self.judge_candidate(now, source, header),
            State::Locked { current } => {
                let silent = now.saturating_duration_since(current.heard_at) >= RELEARN_AFTER;
                if silent && [signalled.ip(), current.address.ip()].contains(&source.ip()) {
                    self.judge_candidate(now, source, header)
                } else {
                    Verdict::Refuse(DropReason::WrongSource)
                }
            }
        }
    }

    fn try_signalled(&mut self, now: Instant, source: SocketAddr, header: &Header) -> Verdict {
        self.candidates = [None; CANDIDATES_MAX];
        self.state = State::Trying { current: Current { address: source, ssrc: header.ssrc, heard_at: now, rival: None }, run: 1 };
        Verdict::Accept { new_source: true, locked: false }
    }

    /// A packet from the address that is believed: same SSRC, or one that must come twice in a row.
    fn judge_current(&mut self, now: Instant, header: &Header) -> Verdict {
        let changed_at = self.changed_at;
        let (current, run) = match &mut self.state {
            State::Learning => return Verdict::Refuse(DropReason::WrongSource),
            State::Locked { current } => (current, None),
            State::Trying { current, run } => (current, Some(run)),
            State::Relearning { current, run, moved, since } => {
                let settled = !*moved || now.saturating_duration_since(*since) >= MOVE_GRACE;
                (current, settled.then_some(run))
            }
        };
        let new_source = current.ssrc != header.ssrc;
        if new_source {
            let confirmed = current.rival.replace((header.ssrc, header.sequence.wrapping_add(1))) == Some((header.ssrc, header.sequence));
            if !confirmed {
                return Verdict::Refuse(DropReason::NewSsrc);
            }
            if changed_at.is_some_and(|at| now.saturating_duration_since(at) < SOURCE_INTERVAL) {
                return Verdict::Refuse(DropReason::SourceRate);
            }
            current.ssrc = header.ssrc;
        }
        current.rival = None;
        current.heard_at = now;
        let run = run.map(|run| {
            *run = run.saturating_add(1);
            *run
        });
        if new_source {
            self.changed_at = Some(now);
        }
        self.candidates = [None; CANDIDATES_MAX];
        Verdict::Accept { new_source, locked: run.is_some_and(|run| run >= LOCK_RUN) && self.lock() }
    }

    /// Makes the current address the locked one; true when control has not heard of it yet.
    fn lock(&mut self) -> bool {
        let Some(&current) = self.current() else { return false };
        self.state = State::Locked { current };
        self.announced.replace(current.address) != Some(current.address)
    }

    /// A packet from another address: five in a row of one stream are needed.
    fn judge_candidate(&mut self, now: Instant, source: SocketAddr, header: &Header) -> Verdict {
        let place = self.candidate_place(source);
        let next_sequence = header.sequence.wrapping_add(1);
        let run = match self.candidates[place] {
            Some(known) if known.address == source && known.ssrc == header.ssrc && known.next_sequence == header.sequence => known.run + 1,
            Some(_) | None => 1,
        };
        self.candidates[place] = Some(Candidate { address: source, ssrc: header.ssrc, next_sequence, run, seen_at: now });
        if run < LOCK_RUN {
            return Verdict::Refuse(DropReason::WrongSource);
        }
        self.candidates = [None; CANDIDATES_MAX];
        self.state = State::Locked { current: Current { address: source, ssrc: header.ssrc, heard_at: now, rival: None } };
        Verdict::Accept { new_source: true, locked: self.lock() }
    }

    /// The candidate's own place, a free one, or that of the least promising.
    fn candidate_place(&self, source: SocketAddr) -> usize {
        let own = self.candidates.iter().position(|known| known.is_some_and(|known| known.address == source));
        own.or_else(|| self.candidates.iter().position(Option::is_none)).unwrap_or_else(|| {
            let peer_ip = self.signalled.map(|remote| remote.rtp.ip());
            let worth =
                |place: &usize| self.candidates[*place].map(|known| (Some(known.address.ip()) == peer_ip, known.run, known.seen_at));
            (0..CANDIDATES_MAX).min_by_key(worth).unwrap_or(0)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PHONE: &str = "192.0.2.1:4000";
    const NAT: &str = "198.51.100.7:61000";
    const STRANGER: &str = "203.0.113.9:9999";

    struct Bench {
        lock: SourceLock,
        now: Instant,
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the test's zero")]
    fn bench() -> Bench {
        let mut bench = Bench { lock: SourceLock::default(), now: Instant::now() };
        bench.signal(PHONE, 1);
        bench
    }

    impl Bench {
        fn signal(&mut self, rtp: &str, epoch: u32) {
            let rtp: SocketAddr = rtp.parse().unwrap();
            let rtcp = SocketAddr::new(rtp.ip(), rtp.port() + 1);
            self.lock.set_remote(self.now, Some(RemoteMedia { rtp, rtcp, epoch }));
        }

        fn hear(&mut self, from: &str, ssrc: u32, sequence: u16) -> Verdict {
            self.now += Duration::from_millis(20);
            let header = Header { marker: false, payload_type: 0, sequence, timestamp: u32::from(sequence) * 160, ssrc };
            self.lock.judge(self.now, from.parse().unwrap(), &header)
        }

        fn hear_many(&mut self, from: &str, ssrc: u32, sequences: std::ops::Range<u16>) -> Vec<Verdict> {
            sequences.map(|sequence| self.hear(from, ssrc, sequence)).collect()
        }

        fn sends_to(&self) -> Option<String> {
            self.lock.destination().map(|address| address.to_string())
        }
    }

    const TAKEN: Verdict = Verdict::Accept { new_source: false, locked: false };
    const TAKEN_NEW: Verdict = Verdict::Accept { new_source: true, locked: false };
    const LOCKED: Verdict = Verdict::Accept { new_source: false, locked: true };
    const STRANGE: Verdict = Verdict::Refuse(DropReason::WrongSource);

    #[test]
    fn the_signalled_address_is_taken_at_once_and_locked_with_the_fifth_packet() {
        let mut bench = bench();
        assert_eq!(bench.hear_many(PHONE, 1, 0..6), [TAKEN_NEW, TAKEN, TAKEN, TAKEN, LOCKED, TAKEN]);
        assert_eq!(bench.hear_many(STRANGER, 1, 6..30), [STRANGE; 24]);
        assert_eq!(bench.sends_to().as_deref(), Some(PHONE));
    }

    #[test]
    fn another_address_is_locked_after_five_in_a_row_and_only_then_sent_to() {
        let mut bench = bench();
        assert_eq!(bench.hear_many(NAT, 1, 0..4), [STRANGE; 4]);
        assert_eq!(bench.sends_to().as_deref(), Some(PHONE));
        assert_eq!(bench.hear(NAT, 1, 4), Verdict::Accept { new_source: true, locked: true });
        assert_eq!(bench.sends_to().as_deref(), Some(NAT));
    }

    #[test]
    fn a_gap_another_ssrc_or_the_signalled_address_begins_the_count_again() {
        let mut bench = bench();
        bench.hear_many(NAT, 1, 0..4);
        assert_eq!(bench.hear(NAT, 1, 9), STRANGE);
        bench.hear_many(NAT, 1, 10..13);
        assert_eq!(bench.hear(NAT, 2, 13), STRANGE);
        bench.hear_many(NAT, 2, 14..17);
        assert_eq!(bench.hear(PHONE, 5, 0), TAKEN_NEW);
        assert_eq!(bench.hear(NAT, 2, 17), STRANGE);
    }

    #[test]
    fn a_sprayer_of_many_addresses_does_not_crowd_out_the_phone_behind_nat() {
        let mut bench = bench();
        bench.hear_many(NAT, 1, 0..2);
        for n in 2..4 {
            bench.hear_many(&format!("203.0.113.{n}:1"), 9, 0..1);
            bench.hear_many(&format!("203.0.113.{n}:2"), 9, 0..1);
            bench.hear_many(&format!("203.0.113.{n}:3"), 9, 0..1);
            bench.hear(NAT, 1, n);
        }
        assert_eq!(bench.hear(NAT, 1, 4), Verdict::Accept { new_source: true, locked: true });
    }

    #[test]
    fn a_new_ssrc_from_the_locked_address_must_come_twice_in_a_row() {
        let mut bench = bench();
        bench.hear_many(PHONE, 1, 0..60);
        for n in 0..5 {
            assert_eq!(bench.hear(PHONE, 66, 30_000 + n), Verdict::Refuse(DropReason::NewSsrc), "injected among the real ones");
            assert_eq!(bench.hear(PHONE, 1, 60 + n), TAKEN);
        }
        assert_eq!(bench.hear(PHONE, 2, 500), Verdict::Refuse(DropReason::NewSsrc));
        assert_eq!(bench.hear(PHONE, 2, 501), TAKEN_NEW);
        assert_eq!(bench.hear(PHONE, 3, 7), Verdict::Refuse(DropReason::NewSsrc));
        assert_eq!(bench.hear(PHONE, 3, 8), Verdict::Refuse(DropReason::SourceRate), "the second change within a second");
    }

    #[test]
    fn after_two_silent_seconds_the_peer_may_come_from_another_port_but_a_stranger_may_not() {
        let mut bench = bench();
        bench.hear_many(PHONE, 1, 0..10);
        assert_eq!(bench.hear_many("192.0.2.1:5555", 1, 10..20), [STRANGE; 10], "not while the source speaks");
        bench.now += RELEARN_AFTER;
        assert_eq!(bench.hear_many(STRANGER, 1, 20..40), [STRANGE; 20]);
        assert_eq!(bench.hear_many("192.0.2.1:5555", 1, 20..25)[4], Verdict::Accept { new_source: true, locked: true });
        assert_eq!(bench.sends_to().as_deref(), Some("192.0.2.1:5555"));
    }

    #[test]
    fn a_refresh_with_the_same_address_keeps_the_locked_one_and_its_packets() {
        let mut bench = bench();
        bench.hear_many(NAT, 1, 0..10);
        bench.signal(PHONE, 2);
        assert_eq!(bench.sends_to().as_deref(), Some(NAT));
        assert_eq!(bench.hear_many(NAT, 1, 10..16), [TAKEN; 6]);
        assert_eq!(bench.hear_many(STRANGER, 1, 16..30), [STRANGE; 14], "locked again");
    }

    #[test]
    fn a_phone_that_moves_is_followed_at_once_and_its_old_address_is_left() {
        let mut bench = bench();
        bench.hear_many(PHONE, 1, 0..10);
        bench.signal(STRANGER, 2);
        assert_eq!(bench.sends_to().as_deref(), Some(STRANGER));
        assert_eq!(bench.hear_many(PHONE, 1, 10..16), [TAKEN; 6], "still under way");
        assert_eq!(bench.hear_many(STRANGER, 8, 0..5), [TAKEN_NEW, TAKEN, TAKEN, TAKEN, LOCKED]);
        assert_eq!(bench.hear(PHONE, 1, 16), STRANGE);
    }

    #[test]
    fn nothing_is_sent_to_an_unspecified_address_and_nothing_taken_before_an_answer() {
        let mut bench = bench();
        bench.signal("0.0.0.0:4000", 2);
        assert_eq!(bench.sends_to(), None);
        bench.lock.set_remote(bench.now, None);
        assert_eq!(bench.hear(PHONE, 1, 0), Verdict::Refuse(DropReason::BeforeAnswer));
    }

    proptest! {
        #[test]
        fn only_the_signalled_address_or_a_run_of_five_is_ever_sent_to(packets in proptest::collection::vec((0u8..4, 0u32..2, 0u16..4), 0..200)) {
            let mut bench = bench();
            let mut accepted = vec![PHONE.to_owned()];
            for (from, ssrc, sequence) in packets {
                let from = format!("192.0.2.1:{}", 4000 + u16::from(from));
                if matches!(bench.hear(&from, ssrc, sequence), Verdict::Accept { .. }) {
                    accepted.push(from);
                }
                prop_assert!(accepted.contains(&bench.sends_to().unwrap()));
            }
        }
    }
}
