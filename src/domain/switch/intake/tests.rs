//! Classes, shares, bounds, and ten times the load in simulated time.

use std::{collections::BTreeMap, net::SocketAddr};

use super::*;
use crate::{
    ids::PhoneId,
    protocol::sip::flow::{ListenerId, Transport},
    time::UnixMs,
};

#[expect(clippy::disallowed_methods, reason = "an arbitrary origin for simulated time")]
fn start() -> Instant {
    Instant::now()
}

fn flow() -> Flow {
    Flow { listener: ListenerId(0), transport: Transport::Udp, remote: SocketAddr::from(([203, 0, 113, 5], 5060)) }
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn us(n: u64) -> Duration {
    Duration::from_micros(n)
}

#[test]
fn every_message_has_its_class() {
    use Class::{Call, Other, Registration, Urgent};
    let phone = Source::Phone(PhoneId::new(UnixMs(1), [0; 10]));
    let (trunk, unknown) = (Source::Trunk(0), Source::Unknown);
    let in_dialog = "To: <sip:b@c>;tag=t";
    let proof = "To: <sip:b@c>\r\nAuthorization: Digest username=\"a\"";
    let new = "To: <sip:b@c>";
    for (first, headers, classes) in [
        ("INVITE sip:200@h SIP/2.0", new, [Call, Call, Other]),
        ("INVITE sip:200@h SIP/2.0", proof, [Call, Call, Call]),
        ("INVITE sip:999@h SIP/2.0", new, [Urgent; 3]),
        ("INVITE sip:200@h SIP/2.0", in_dialog, [Urgent; 3]),
        ("REGISTER sip:h SIP/2.0", new, [Registration, Registration, Other]),
        ("REGISTER sip:h SIP/2.0", proof, [Registration; 3]),
        ("ACK sip:h SIP/2.0", new, [Urgent; 3]),
        ("CANCEL sip:h SIP/2.0", new, [Urgent; 3]),
        ("BYE sip:h SIP/2.0", in_dialog, [Urgent; 3]),
        ("OPTIONS sip:h SIP/2.0", new, [Other; 3]),
        ("SUBSCRIBE sip:h SIP/2.0", new, [Other; 3]),
        ("SIP/2.0 200 OK", in_dialog, [Urgent; 3]),
        ("\0\0", "", [Other; 3]),
    ] {
        let bytes = format!("{first}\r\n{headers}\r\n\r\n");
        let peek = Peek::at(bytes.as_bytes());
        for (source, class) in [phone, trunk, unknown].into_iter().zip(classes) {
            assert_eq!(Class::of(&peek, source, |user| user == "999"), class, "{first} {headers} from {source:?}");
        }
    }
}

#[test]
fn what_belongs_to_running_calls_goes_first_and_the_rest_shares() {
    let (mut intake, now) = (Intake::default(), start());
    let names = [(Class::Other, b'o'), (Class::Registration, b'r'), (Class::Call, b'c'), (Class::Urgent, b'u')];
    for (class, name) in names {
        for _ in 0..26 {
            assert_eq!(intake.take(now, class, flow(), &[name]), Taken::Queued);
        }
    }
    let mut order = Vec::new();
    while let Some(Next::Serve(held)) = intake.next_message(now) {
        order.push(held.bytes[0]);
    }
    assert!(order[..26].iter().all(|name| *name == b'u'));
    let mut share = BTreeMap::new();
    for name in &order[26..52] {
        *share.entry(*name).or_insert(0) += 1;
    }
    assert_eq!(share, BTreeMap::from([(b'c', 16), (b'r', 8), (b'o', 2)]), "nobody starves");
    assert_eq!((order.len(), intake.octets), (104, 0));
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let (mut intake, now) = (Intake::default(), start());
    let large = vec![b'x'; 60_000];
    for n in 0..100_000_usize {
        let class = [Class::Urgent, Class::Call, Class::Registration, Class::Other][n % 4];
        intake.take(now, class, flow(), &large[..(n * 7919) % large.len()]);
    }
    assert!(intake.octets <= MAX_OCTETS);
    assert_eq!(intake.take(now, Class::Urgent, flow(), &vec![0; MAX_OCTETS]), Taken::Dropped);
    while intake.next_message(now).is_some() {}
    assert_eq!(intake.octets, 0);
}

/// What came of an overload.
#[derive(Debug, Default)]
struct Outcome {
    served: u32,
    served_in_time: u32,
    shed: u32,
    in_dialog_lost: u32,
    slowest_in_dialog: Duration,
    most_octets: usize,
}

/// What a shed call costs beside one that is served.
const SHED: u32 = 100;

/// One thread that needs `call` for an INVITE, a tenth of that for anything in its dialog and 1/100 for a shed one; one comes each
/// `gap`, and every call that was served says ACK and, a second later, BYE.
fn overload(gap: Duration, call: Duration, length: Duration) -> (Outcome, Intake, Instant) {
    let (mut intake, begin) = (Intake::default(), start());
    let (mut now, mut outcome) = (begin, Outcome::default());
    let mut next_arrival = begin;
    // Messages of running calls, by when they arrive.
    let mut in_dialog: BTreeMap<Instant, u32> = BTreeMap::new();
    while now < begin + length {
        while next_arrival <= now {
            match intake.take(now, Class::Call, flow(), b"INVITE") {
                Taken::Queued => {}
                Taken::Shed(_) | Taken::Dropped => {
                    outcome.shed += 1;
                    now += call / SHED;
                }
            }
            next_arrival += gap;
        }
        while let Some(entry) = in_dialog.first_entry().filter(|entry| *entry.key() <= now) {
            for _ in 0..entry.remove() {
                let lost = intake.take(now, Class::Urgent, flow(), b"ACK") != Taken::Queued;
                outcome.in_dialog_lost += u32::from(lost);
            }
        }
        outcome.most_octets = outcome.most_octets.max(intake.octets);
        match intake.next_message(now) {
            Some(Next::Shed(..)) => {
                outcome.shed += 1;
                now += call / SHED;
            }
            Some(Next::Serve(held)) if &*held.bytes == b"INVITE" => {
                now += call;
                outcome.served += 1;
                outcome.served_in_time += u32::from(now - held.since < ms(500));
                *in_dialog.entry(now + ms(20)).or_default() += 1;
                *in_dialog.entry(now + ms(1000)).or_default() += 1;
            }
            Some(Next::Serve(held)) => {
                outcome.slowest_in_dialog = outcome.slowest_in_dialog.max(now - held.since);
                now += call / 10;
            }
            None => now = next_arrival.min(in_dialog.keys().next().copied().unwrap_or(next_arrival)).max(now + us(1)),
        }
    }
    (outcome, intake, now)
}

#[test]
fn a_call_that_would_wait_too_long_is_refused_as_it_comes_and_a_pace_of_old_says_nothing() {
    let (mut intake, mut now) = (Intake::default(), start());
    let offer = |intake: &mut Intake, now| intake.take(now, Class::Call, flow(), b"INVITE");
    let taken = (0..2_000).filter(|_| offer(&mut intake, now) == Taken::Queued).count();
    assert_eq!(taken, Class::Call.bounds().messages, "nothing is known of the pace yet");
    for _ in 0..90 {
        now += ms(2);
        assert!(matches!(intake.next_message(now), Some(Next::Serve(_))));
    }
    let (mut later, mut refused) = (Intake { pace: std::mem::take(&mut intake.pace), ..Intake::default() }, 0);
    for _ in 0..200 {
        refused += u32::from(offer(&mut later, now) == Taken::Shed(Class::Call));
    }
    assert_eq!((later.waiting()[1], refused), (50, 150), "2 ms each: the 51st would wait longer than 100 ms");
    assert_eq!(later.take(now, Class::Urgent, flow(), b"BYE"), Taken::Queued);
    assert_eq!(later.take(now, Class::Registration, flow(), b"REGISTER"), Taken::Queued);
    now += PACE_HOLDS;
    assert_eq!(offer(&mut later, now), Taken::Queued, "a second later the machine may be quicker");
    later.pace.last = Some(now);
    for pause in [ms(10_000); 40] {
        later.pace.served(now + pause, true);
        now += pause;
    }
    assert_eq!(later.pace.room(now), LEAST_CALLS, "however slow it was, a few may wait");
}

#[test]
fn at_ten_times_the_load_nine_tenths_of_what_can_be_done_is_done() {
    let (call, length) = (us(500), Duration::from_secs(20));
    // Unloaded, a call costs an INVITE and two messages in its dialog.
    let capacity = length.as_secs_f64() / (call.as_secs_f64() * 1.2);
    let (alone, ..) = overload(call.mul_f64(1.25), call, length);
    assert_eq!((alone.shed, alone.served, alone.served_in_time), (0, alone.served_in_time, alone.served));
    let (outcome, mut intake, end) = overload(call.mul_f64(0.12), call, length);
    let goodput = f64::from(outcome.served_in_time) / capacity;
    println!("{outcome:?}: {:.1} % of what can be done", 100.0 * goodput);
    assert!(goodput >= 0.9, "nine refused for each one served cost 9/100 of its time at most: {goodput}");
    assert_eq!(outcome.served_in_time, outcome.served, "whatever is served was sent less than T1 ago");
    assert_eq!(outcome.in_dialog_lost, 0);
    assert!(outcome.slowest_in_dialog <= ms(20), "{:?}", outcome.slowest_in_dialog);
    assert!(outcome.most_octets < 100_000);
    // The load is over: everything that waits is done within a second.
    let mut now = end;
    while let Some(next) = intake.next_message(now) {
        now += if matches!(next, Next::Serve(_)) { call } else { call / SHED };
    }
    assert!(now - end < Duration::from_secs(1), "recovered after {:?}", now - end);
}
