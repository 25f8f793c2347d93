//! Connections in simulated time: limits, partial messages, pings, who is let go first.

use proptest::prelude::*;

use super::*;

const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

fn small() -> ConnectionLimits {
    ConnectionLimits { total: 4, unproven_per_address: 2, proven_per_address: 3, ..ConnectionLimits::default() }
}

#[expect(clippy::disallowed_methods, reason = "an arbitrary origin for simulated time")]
fn start() -> Instant {
    Instant::now()
}

fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn overdue(connections: &mut Connections, now: Instant) -> Vec<(ConnectionId, Overdue)> {
    let mut all = Vec::new();
    while let Some((id, why)) = connections.overdue(now) {
        connections.closed(id);
        all.push((id, why));
    }
    all
}

#[test]
fn a_slow_loris_loses_its_connection_after_five_seconds_of_one_message() {
    let (mut connections, now) = (Connections::new(ConnectionLimits::default()), start());
    connections.accepted(now, 1, A, false);
    // An octet each second renews nothing: the message counts from its first.
    for second in 0..5 {
        assert_eq!(connections.overdue(now + s(second)), None);
        connections.received(now + s(second), 1, 0, true);
    }
    assert_eq!(connections.next_timeout(), Some(now + s(5)));
    assert_eq!(overdue(&mut connections, now + s(5)), [(1, Overdue::Message)]);
    assert!(connections.is_empty());
}

#[test]
fn a_silent_connection_has_thirty_seconds_and_a_talkative_stranger_sixty() {
    let (mut connections, now) = (Connections::new(ConnectionLimits::default()), start());
    connections.accepted(now, 1, A, false);
    connections.accepted(now, 2, A, false);
    for second in (0..60).step_by(10) {
        connections.received(now + s(second), 2, 1, false);
        let gone = overdue(&mut connections, now + s(second));
        assert_eq!(gone, if second == 30 { vec![(1, Overdue::Unproven)] } else { vec![] });
    }
    assert_eq!(overdue(&mut connections, now + s(60)), [(2, Overdue::Unproven)]);
}

#[test]
fn whoever_has_proven_itself_stays() {
    let (mut connections, now) = (Connections::new(ConnectionLimits::default()), start());
    connections.accepted(now, 1, A, false);
    assert!(connections.prove(1));
    connections.accepted(now, 2, B, true);
    assert_eq!(connections.next_timeout(), None);
    connections.received(now, 1, 0, true);
    assert_eq!(connections.next_timeout(), Some(now + s(30)), "but not with half a message");
    connections.received(now + s(2), 1, 1, false);
    assert_eq!(overdue(&mut connections, now + s(86_400)), []);
}

#[test]
fn a_full_house_lets_the_oldest_stranger_go_and_never_a_phone() {
    let (mut connections, now) = (Connections::new(small()), start());
    connections.accepted(now, 1, A, false);
    connections.accepted(now + s(1), 2, A, false);
    assert_eq!(connections.admit(A, false), Admission::AddressFull);
    assert_eq!(connections.admit(A, true), Admission::Accepted, "a trunk is not counted among strangers");
    connections.accepted(now + s(2), 3, B, false);
    connections.accepted(now + s(3), 4, B, false);
    assert!(connections.prove(1));
    assert_eq!(connections.admit(A, false), Admission::Evict(2));
    connections.closed(2);
    for id in [3, 4] {
        assert!(connections.prove(id));
    }
    connections.accepted(now + s(4), 5, A, true);
    assert_eq!(connections.admit(B, false), Admission::Full);
}

#[test]
fn proven_connections_of_one_address_are_bounded_too() {
    let (mut connections, now) = (Connections::new(ConnectionLimits { total: 100, ..small() }), start());
    for id in 0..3 {
        connections.accepted(now, id, A, false);
        assert!(connections.prove(id));
    }
    connections.accepted(now, 3, A, false);
    assert!(!connections.prove(3));
    assert_eq!(overdue(&mut connections, now + s(30)), [(3, Overdue::Unproven)]);
}

#[test]
fn a_connection_of_ours_is_given_up_after_two_seconds() {
    let (mut connections, now) = (Connections::new(small()), start());
    connections.connecting(now, 1, A);
    connections.connecting(now, 2, A);
    connections.connected(2);
    assert_eq!(overdue(&mut connections, now + s(2)), [(1, Overdue::Connect)]);
    assert_eq!(connections.next_timeout(), None);
}

#[test]
fn an_ipv6_host_is_a_whole_64() {
    let (mut connections, now) = (Connections::new(small()), start());
    for (id, address) in ["2001:db8::1", "2001:db8::2:0:0:1"].into_iter().enumerate() {
        connections.accepted(now, id as u64, address.parse().expect("an address"), false);
    }
    assert_eq!(connections.admit("2001:db8::ffff".parse().expect("an address"), false), Admission::AddressFull);
    assert_eq!(connections.admit("2001:db8:0:1::1".parse().expect("an address"), false), Admission::Accepted);
}

#[test]
fn the_queue_towards_a_peer_that_does_not_read_is_bounded() {
    let connections = Connections::new(ConnectionLimits::default());
    assert!(connections.may_wait(255 * 1024, 1024));
    assert!(!connections.may_wait(255 * 1024, 1025));
    assert!(!connections.may_wait(usize::MAX, 1));
}

proptest! {
    #[test]
    fn whatever_happens_the_counts_are_right_and_nothing_is_left(steps in prop::collection::vec((0u8..6, 0u64..12, any::<bool>()), 0..300)) {
        let (mut connections, mut now) = (Connections::new(small()), start());
        let mut open = BTreeSet::new();
        let mut next_id = 0;
        for (what, which, flag) in steps {
            let id = open.iter().copied().nth(usize::try_from(which).expect("small")).unwrap_or(u64::MAX);
            match what {
                0 => {
                    let address = if which % 2 == 0 { A } else { B };
                    if let Admission::Evict(oldest) = connections.admit(address, flag) {
                        connections.closed(oldest);
                        open.remove(&oldest);
                    }
                    if connections.admit(address, flag) == Admission::Accepted {
                        next_id += 1;
                        connections.accepted(now, next_id, address, flag);
                        open.insert(next_id);
                    }
                }
                1 => connections.received(now, id, usize::from(flag), !flag),
                2 => { connections.prove(id); }
                3 => { connections.closed(id); open.remove(&id); }
                4 if open.len() < 4 => { next_id += 1; connections.connecting(now, next_id, A); open.insert(next_id); }
                _ => {
                    now += s(which);
                    for (id, _) in overdue(&mut connections, now) { open.remove(&id); }
                }
            }
            prop_assert_eq!(connections.len(), open.len());
            prop_assert!(open.len() <= 4);
        }
        for id in open { connections.closed(id); }
        prop_assert!(connections.is_empty());
    }
}
