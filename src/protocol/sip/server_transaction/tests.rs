//! Server transactions in simulated time.

use std::time::Duration;

use super::*;

fn origin() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for simulated time")]
    Instant::now()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn response(text: &str) -> Arc<[u8]> {
    text.as_bytes().into()
}

fn invite(start: Instant) -> InviteServer {
    InviteServer::start(start, false, Timers::default())
}

fn options(start: Instant) -> NonInviteServer {
    NonInviteServer::start(start, false, Timers::default())
}

fn respond(machine: &mut InviteServer, at: Instant, status: u16, text: &str) {
    let step = machine.respond(at, StatusClass::of(status), response(text)).expect("takes the response");
    assert_eq!(step, ServerStep::send(&response(text)));
}

/// Lets time run, deadline by deadline; returns when something was sent, and what was reported when, since `start`.
fn run_invite(start: Instant, machine: &mut InviteServer) -> (Vec<u128>, Option<(u128, ServerReport)>) {
    let (mut sent, mut reported) = (Vec::new(), None);
    while let Some(at) = machine.deadline() {
        let step = machine.handle_timeout(at);
        let since = (at - start).as_millis();
        sent.extend(step.send.map(|_| since));
        reported = reported.or(step.report.map(|report| (since, report)));
    }
    assert!(machine.is_terminated());
    (sent, reported)
}

#[test]
fn a_repeated_invite_gets_the_last_provisional_response() {
    let start = origin();
    let mut machine = invite(start);
    assert_eq!(machine.handle_repetition(), ServerStep::default(), "nothing said yet");
    respond(&mut machine, start, 100, "trying");
    assert_eq!(machine.handle_repetition(), ServerStep::send(&response("trying")));
    respond(&mut machine, start, 180, "ringing");
    assert_eq!(machine.handle_repetition(), ServerStep::send(&response("ringing")));
}

#[test]
fn a_rejection_is_repeated_up_to_every_t2_until_64_t1_and_then_reported_unacknowledged() {
    let start = origin();
    let mut machine = invite(start);
    respond(&mut machine, start, 486, "busy");
    assert_eq!(machine.handle_repetition(), ServerStep::send(&response("busy")));
    let (sent, reported) = run_invite(start, &mut machine);
    assert_eq!(sent, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!(reported, Some((32_000, ServerReport::Unacknowledged)));
}

#[test]
fn an_ack_stops_the_repetitions_and_late_ones_are_absorbed_until_timer_i() {
    let start = origin();
    let mut machine = invite(start);
    respond(&mut machine, start, 486, "busy");
    assert_eq!(machine.handle_ack(start + ms(600)), ServerStep::default());
    assert_eq!(machine.handle_ack(start + ms(700)), ServerStep::default());
    assert_eq!(machine.handle_repetition(), ServerStep::default());
    assert_eq!(machine.deadline(), Some(start + ms(5600)));
    assert_eq!(run_invite(start, &mut machine), (vec![], None));
}

#[test]
fn a_lost_ack_is_made_good_by_the_next_repetition() {
    let start = origin();
    let mut machine = invite(start);
    respond(&mut machine, start, 486, "busy");
    assert!(machine.handle_timeout(start + ms(500)).send.is_some());
    machine.handle_ack(start + ms(510));
    assert_eq!(machine.handle_timeout(start + ms(1500)), ServerStep::default());
}

#[test]
fn the_cores_repetitions_of_a_2xx_pass_through_until_timer_l() {
    let start = origin();
    let mut machine = invite(start);
    respond(&mut machine, start, 200, "ok");
    for at in [500, 1500, 3500, 31_500] {
        respond(&mut machine, start + ms(at), 200, "ok");
    }
    assert_eq!(machine.deadline(), Some(start + ms(32_000)), "Timer L counts from the first 2xx");
    assert_eq!(run_invite(start, &mut machine), (vec![], None));
    let late = machine.respond(start + ms(32_001), StatusClass::Success, response("ok"));
    assert_eq!(late, Err(RespondError::Gone));
}

#[test]
fn a_repeated_invite_after_the_2xx_is_absorbed_and_an_ack_is_passed_up() {
    let start = origin();
    let mut machine = invite(start);
    respond(&mut machine, start, 200, "ok");
    assert_eq!(machine.handle_repetition(), ServerStep::default());
    for _ in 0..2 {
        assert_eq!(machine.handle_ack(start), ServerStep::report(ServerReport::Ack));
    }
}

#[test]
fn an_ack_before_any_final_response_changes_nothing() {
    let start = origin();
    let mut machine = invite(start);
    assert_eq!(machine.handle_ack(start), ServerStep::default());
    assert!(machine.is_cancellable());
    respond(&mut machine, start, 180, "ringing");
}

#[test]
fn after_a_final_response_no_other_can_be_sent() {
    let start = origin();
    for first in [200, 486] {
        for second in [180, 200, 302, 487, 603] {
            let mut machine = invite(start);
            respond(&mut machine, start, first, "first");
            assert!(!machine.is_cancellable(), "a CANCEL that crosses the final response is too late");
            let outcome = machine.respond(start, StatusClass::of(second), response("second"));
            let allowed = first == 200 && second == 200;
            assert_eq!(outcome, if allowed { Ok(ServerStep::send(&response("second"))) } else { Err(RespondError::AlreadyAnswered) });
        }
    }
}

#[test]
fn over_a_stream_a_rejection_is_sent_once_and_an_ack_ends_it() {
    let start = origin();
    let mut machine = InviteServer::start(start, true, Timers::default());
    respond(&mut machine, start, 486, "busy");
    assert_eq!(machine.deadline(), Some(start + ms(32_000)), "only Timer H");
    machine.handle_ack(start);
    assert!(machine.is_terminated());
}

#[test]
fn an_invite_that_the_core_forgets_is_reported() {
    let start = origin();
    let mut machine = invite(start);
    respond(&mut machine, start, 180, "ringing");
    assert_eq!(run_invite(start, &mut machine), (vec![], Some((600_000, ServerReport::Unanswered))));
}

#[test]
fn a_refusal_by_the_transport_is_reported_and_the_transaction_keeps_absorbing() {
    let start = origin();
    let mut machine = invite(start);
    respond(&mut machine, start, 486, "busy");
    assert_eq!(machine.handle_transport_error(), ServerStep::report(ServerReport::Unreachable));
    assert_eq!(machine.handle_repetition(), ServerStep::send(&response("busy")));
    let mut machine = options(start);
    machine.respond(start, StatusClass::Success, response("ok")).expect("answers");
    assert_eq!(machine.handle_transport_error(), ServerStep::report(ServerReport::Unreachable));
    assert_eq!(machine.handle_repetition(), ServerStep::send(&response("ok")));
}

#[test]
fn a_repeated_request_gets_what_was_said_last() {
    let start = origin();
    let mut machine = options(start);
    assert_eq!(machine.handle_repetition(), ServerStep::default());
    machine.respond(start, StatusClass::Provisional, response("trying")).expect("provisional");
    assert_eq!(machine.handle_repetition(), ServerStep::send(&response("trying")));
    machine.respond(start + ms(100), StatusClass::Success, response("ok")).expect("final");
    assert_eq!(machine.handle_repetition(), ServerStep::send(&response("ok")));
    for status in [100, 200, 500] {
        let outcome = machine.respond(start, StatusClass::of(status), response("second"));
        assert_eq!(outcome, Err(RespondError::AlreadyAnswered));
    }
    assert_eq!(machine.deadline(), Some(start + ms(32_100)), "Timer J");
    assert_eq!(machine.handle_timeout(start + ms(32_100)), ServerStep::default());
    assert!(machine.is_terminated());
    assert_eq!(machine.respond(start + ms(32_101), StatusClass::Success, response("late")), Err(RespondError::Gone));
}

#[test]
fn a_request_that_the_core_forgets_is_reported_when_its_sender_has_given_up() {
    let start = origin();
    let mut machine = options(start);
    assert_eq!(machine.deadline(), Some(start + ms(32_000)));
    assert_eq!(machine.handle_timeout(start + ms(32_000)), ServerStep::report(ServerReport::Unanswered));
    assert!(machine.is_terminated());
}

#[test]
fn over_a_stream_an_answer_ends_the_request() {
    let mut machine = NonInviteServer::start(origin(), true, Timers::default());
    machine.respond(origin(), StatusClass::Success, response("ok")).expect("answers");
    assert!(machine.is_terminated());
}
