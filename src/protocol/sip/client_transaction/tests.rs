//! Client transactions in simulated time.

use std::time::Duration;

use super::*;

const INVITE: &[u8] = b"INVITE sip:b@y SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@y>\r\n\
    Call-ID: c\r\nCSeq: 1 INVITE\r\n\r\n";
const REJECTION: InviteResponse<'static> = InviteResponse::Rejection { to: b"<sip:b@y>;tag=2" };

fn origin() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for simulated time")]
    Instant::now()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn invite(start: Instant, reliable: bool) -> InviteClient {
    InviteClient::start(start, INVITE.into(), reliable, Timers::default())
}

fn options(start: Instant, reliable: bool) -> NonInviteClient {
    NonInviteClient::start(start, b"OPTIONS".as_slice().into(), reliable, Timers::default())
}

/// Lets time run, deadline by deadline; returns what was sent and reported, in milliseconds since `start`.
fn run_out(
    start: Instant,
    mut deadline: impl FnMut() -> Option<Instant>,
    mut fire: impl FnMut(Instant) -> ClientStep,
) -> (Vec<u128>, Option<(u128, ClientReport)>) {
    let (mut sent, mut reported) = (Vec::new(), None);
    while let Some(at) = deadline() {
        let step = fire(at);
        let since = (at - start).as_millis();
        sent.extend(step.send.map(|_| since));
        reported = reported.or(step.report.map(|report| (since, report)));
    }
    (sent, reported)
}

fn run_invite(start: Instant, machine: InviteClient) -> (Vec<u128>, Option<(u128, ClientReport)>) {
    let machine = std::cell::RefCell::new(machine);
    let out = run_out(start, || machine.borrow().deadline(), |at| machine.borrow_mut().handle_timeout(at));
    assert!(machine.borrow().is_terminated());
    out
}

fn run_options(start: Instant, machine: NonInviteClient) -> (Vec<u128>, Option<(u128, ClientReport)>) {
    let machine = std::cell::RefCell::new(machine);
    let out = run_out(start, || machine.borrow().deadline(), |at| machine.borrow_mut().handle_timeout(at));
    assert!(machine.borrow().is_terminated());
    out
}

#[test]
fn an_unheard_invite_is_repeated_at_doubling_intervals_and_given_up_after_64_t1() {
    let start = origin();
    let (sent, reported) = run_invite(start, invite(start, false));
    assert_eq!(sent, [500, 1500, 3500, 7500, 15_500, 31_500]);
    assert_eq!(reported, Some((32_000, ClientReport::TimedOut)));
}

#[test]
fn over_a_stream_an_invite_is_sent_once_and_given_up_after_64_t1() {
    let start = origin();
    assert_eq!(run_invite(start, invite(start, true)), (vec![], Some((32_000, ClientReport::TimedOut))));
}

#[test]
fn a_provisional_response_stops_the_repetitions_and_only_the_backstop_remains() {
    let start = origin();
    let mut machine = invite(start, false);
    for _ in 0..3 {
        assert_eq!(machine.handle_response(start + ms(600), InviteResponse::Provisional), ClientStep::report(ClientReport::Response));
    }
    assert_eq!(run_invite(start, machine), (vec![], Some((600_600, ClientReport::TimedOut))));
}

#[test]
fn a_rejection_is_acknowledged_each_time_and_passed_up_once() {
    let start = origin();
    let mut machine = invite(start, false);
    let first = machine.handle_response(start + ms(100), REJECTION);
    assert_eq!(first.report, Some(ClientReport::Response));
    let ack = first.send.expect("an ACK");
    assert!(ack.starts_with(b"ACK sip:b@y SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n"));
    let again = machine.handle_response(start + ms(31_000), REJECTION);
    assert_eq!(again, ClientStep { send: Some(ack), ..ClientStep::default() });
    assert_eq!(machine.handle_response(start + ms(31_000), InviteResponse::Success), ClientStep::default(), "a 2xx after a rejection");
    assert_eq!(machine.deadline(), Some(start + ms(32_100)), "Timer D");
    assert_eq!(run_invite(start, machine), (vec![], None));
}

#[test]
fn over_a_stream_a_rejection_ends_the_invite_at_once() {
    let start = origin();
    let mut machine = invite(start, true);
    assert!(machine.handle_response(start, REJECTION).send.is_some());
    assert!(machine.is_terminated() && machine.deadline().is_none());
}

#[test]
fn every_2xx_passes_up_until_timer_m_so_that_forks_and_repetitions_get_their_ack() {
    let start = origin();
    let mut machine = invite(start, false);
    for at in [100, 600, 1600, 32_000] {
        let step = machine.handle_response(start + ms(at), InviteResponse::Success);
        assert_eq!(step, ClientStep::report(ClientReport::Response), "2xx at {at}");
    }
    for late in [InviteResponse::Provisional, REJECTION] {
        assert_eq!(machine.handle_response(start + ms(200), late), ClientStep::default());
    }
    assert_eq!(machine.deadline(), Some(start + ms(32_100)), "Timer M counts from the first 2xx");
    assert_eq!(run_invite(start, machine), (vec![], None));
}

#[test]
fn a_cancel_waits_for_the_first_provisional_response() {
    let start = origin();
    let mut machine = invite(start, false);
    assert_eq!(machine.cancel(start), CancelOutcome::Waits);
    let step = machine.handle_response(start + ms(200), InviteResponse::Provisional);
    assert!(step.cancel && step.report == Some(ClientReport::Response));
    assert!(!machine.handle_response(start + ms(201), InviteResponse::Provisional).cancel, "only one CANCEL");
    assert_eq!(machine.cancel(start + ms(300)), CancelOutcome::AlreadySent);
    assert_eq!(run_invite(start, machine), (vec![], Some((32_200, ClientReport::TimedOut))), "64·T1 after the CANCEL");
}

#[test]
fn a_cancelled_invite_that_stays_unanswered_is_given_up_after_64_t1() {
    let start = origin();
    let mut machine = invite(start, false);
    machine.handle_response(start, InviteResponse::Provisional);
    assert_eq!(machine.cancel(start + ms(5000)), CancelOutcome::Send);
    assert_eq!(run_invite(start, machine), (vec![], Some((37_000, ClientReport::TimedOut))));
}

#[test]
fn a_200_that_crosses_the_cancel_is_passed_up() {
    let start = origin();
    let mut machine = invite(start, false);
    machine.handle_response(start, InviteResponse::Provisional);
    assert_eq!(machine.cancel(start), CancelOutcome::Send);
    assert_eq!(machine.handle_response(start + ms(10), InviteResponse::Success), ClientStep::report(ClientReport::Response));
    assert_eq!(machine.cancel(start + ms(20)), CancelOutcome::TooLate);
}

#[test]
fn a_cancel_after_a_rejection_is_too_late() {
    let start = origin();
    let mut machine = invite(start, false);
    machine.handle_response(start, REJECTION);
    assert_eq!(machine.cancel(start), CancelOutcome::TooLate);
}

#[test]
fn an_invite_that_the_transport_refuses_ends_but_an_answered_one_stays() {
    let start = origin();
    let mut machine = invite(start, false);
    assert_eq!(machine.handle_transport_error(), ClientStep::report(ClientReport::Unreachable));
    assert!(machine.is_terminated());
    let mut machine = invite(start, false);
    machine.handle_response(start, REJECTION);
    assert_eq!(machine.handle_transport_error(), ClientStep::default());
    assert!(machine.handle_response(start, REJECTION).send.is_some(), "the next repetition is acknowledged");
}

#[test]
fn an_unheard_request_is_repeated_up_to_every_t2_and_given_up_after_64_t1() {
    let start = origin();
    let (sent, reported) = run_options(start, options(start, false));
    assert_eq!(sent, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!(reported, Some((32_000, ClientReport::TimedOut)));
}

#[test]
fn after_a_provisional_response_a_request_is_repeated_every_t2() {
    let start = origin();
    let mut machine = options(start, false);
    assert_eq!(machine.handle_response(start + ms(100), StatusClass::Provisional), ClientStep::report(ClientReport::Response));
    let (sent, reported) = run_options(start, machine);
    assert_eq!(sent, [500, 4500, 8500, 12_500, 16_500, 20_500, 24_500, 28_500]);
    assert_eq!(reported, Some((32_000, ClientReport::TimedOut)));
}

#[test]
fn a_final_response_is_passed_up_once_and_its_repetitions_are_absorbed_until_timer_k() {
    for class in [StatusClass::Success, StatusClass::Rejection] {
        let start = origin();
        let mut machine = options(start, false);
        assert_eq!(machine.handle_response(start + ms(100), class), ClientStep::report(ClientReport::Response));
        assert_eq!(machine.handle_response(start + ms(700), class), ClientStep::default());
        assert_eq!(machine.deadline(), Some(start + ms(5100)));
        assert_eq!(run_options(start, machine), (vec![], None));
    }
}

#[test]
fn over_a_stream_a_request_is_sent_once_and_ends_with_its_final_response() {
    let start = origin();
    assert_eq!(run_options(start, options(start, true)), (vec![], Some((32_000, ClientReport::TimedOut))));
    let mut machine = options(start, true);
    machine.handle_response(start, StatusClass::Success);
    assert!(machine.is_terminated());
}

#[test]
fn a_request_that_the_transport_refuses_ends() {
    let mut machine = options(origin(), false);
    assert_eq!(machine.handle_transport_error(), ClientStep::report(ClientReport::Unreachable));
    assert!(machine.is_terminated());
}

#[test]
fn a_late_wake_up_sends_one_repetition_and_not_those_that_were_missed() {
    let start = origin();
    let mut machine = invite(start, false);
    assert!(machine.handle_timeout(start + ms(20_000)).send.is_some());
    assert!(machine.handle_timeout(start + ms(20_000)).send.is_none());
    assert!(machine.handle_timeout(start + ms(20_999)).send.is_none());
    assert!(machine.handle_timeout(start + ms(21_000)).send.is_some());
}
