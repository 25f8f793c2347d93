//! The layer in simulated time, fed with whole messages.

use std::{net::SocketAddr, time::Duration};

use super::{
    super::{
        flow::{ListenerId, Transport},
        parse::parse,
    },
    *,
};

mod random;

const FLOW: Flow = Flow {
    listener: ListenerId(0),
    transport: Transport::Udp,
    remote: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9)), 5060),
};

/// A request of the peer; `branch` without the magic cookie is one of RFC 2543.
fn request_text(method: &str, branch: &str, to_tag: &str) -> String {
    format!(
        "{method} sip:b@y SIP/2.0\r\nVia: SIP/2.0/UDP a.example;branch={branch}\r\nFrom: <sip:a@x>;tag=f\r\nTo: <sip:b@y>{to_tag}\r\n\
         Call-ID: c\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

fn response_text(status: u16, method: &str, branch: &str, to_tag: &str) -> String {
    format!(
        "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP us.example;branch={branch}\r\nFrom: <sip:a@x>;tag=f\r\nTo: <sip:b@y>;tag={to_tag}\r\n\
         Call-ID: c\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// One layer and its clock.
struct Bench {
    layer: TransactionLayer,
    now: Instant,
    told: Vec<Output>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for simulated time")]
        let now = Instant::now();
        Self { layer: TransactionLayer::new(Timers::default(), limits), now, told: Vec::new() }
    }

    fn receive(&mut self, method: &str, branch: &str, to_tag: &str) -> RequestFate {
        let text = request_text(method, branch, to_tag);
        let message = parse(text.as_bytes()).expect("well formed");
        self.layer.receive_request(self.now, &RequestHead::of(&message).expect("a request"))
    }

    fn open(&mut self, method: &str, branch: &str) -> Result<ServerId, OpenError> {
        let text = request_text(method, branch, "");
        let message = parse(text.as_bytes()).expect("well formed");
        let trying = Some(b"100 Trying".as_slice().into());
        self.layer.open(self.now, &RequestHead::of(&message).expect("a request"), FLOW, trying)
    }

    /// Receives a new INVITE and opens it; the 100 is taken off the outputs.
    fn invite(&mut self, branch: &str) -> ServerId {
        assert_eq!(self.receive("INVITE", branch, ""), RequestFate::New { merged: false });
        let id = self.open("INVITE", branch).expect("room");
        assert_eq!(self.sent(), ["100 Trying"]);
        id
    }

    fn respond(&mut self, id: ServerId, status: u16) -> Result<(), RespondError> {
        let text = response_text(status, "INVITE", "z9hG4bKignored", "ours");
        self.layer.respond(self.now, id, status, text.as_bytes().into())
    }

    fn send(&mut self, method: &str, branch: &str) -> Result<ClientId, SendError> {
        let text = request_text(method, branch, "");
        let message = parse(text.as_bytes()).expect("well formed");
        let request = OutgoingRequest { method: message.method(), branch, flow: FLOW, bytes: text.as_bytes().into() };
        self.layer.send_request(self.now, request)
    }

    /// Sends an INVITE; it is taken off the outputs.
    fn call(&mut self, branch: &str) -> ClientId {
        let id = self.send("INVITE", branch).expect("room");
        assert_eq!(self.sent(), ["INVITE sip:b@y SIP/2.0"]);
        id
    }

    fn answer(&mut self, status: u16, method: &str, branch: &str) -> ResponseFate {
        let text = response_text(status, method, branch, "theirs");
        let message = parse(text.as_bytes()).expect("well formed");
        self.layer.receive_response(self.now, &ResponseHead::of(&message).expect("a response"))
    }

    /// The first lines of what was sent since the last time; everything else goes to `told`.
    fn sent(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        while let Some(output) = self.layer.poll_output() {
            match output {
                Output::Send { flow, bytes, .. } => {
                    assert_eq!(flow, FLOW);
                    sent.push(String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned());
                }
                other => self.told.push(other),
            }
        }
        sent
    }

    /// Lets time run for `ms`, timer by timer; returns what was sent.
    fn run(&mut self, ms: u64) -> Vec<String> {
        let end = self.now + Duration::from_millis(ms);
        let mut sent = self.sent();
        while let Some(at) = self.layer.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.layer.handle_timeout(self.now);
            sent.extend(self.sent());
        }
        self.now = end;
        sent
    }
}

#[test]
fn a_new_request_makes_no_state_until_it_is_opened() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        assert_eq!(bench.receive("INVITE", "z9hG4bK1", ""), RequestFate::New { merged: false });
    }
    assert!(bench.layer.is_empty() && bench.layer.next_timeout().is_none());
}

#[test]
fn a_repeated_invite_gets_the_last_provisional_response() {
    let mut bench = Bench::new();
    let id = bench.invite("z9hG4bK1");
    assert_eq!(bench.receive("INVITE", "z9hG4bK1", ""), RequestFate::Repeated);
    assert_eq!(bench.sent(), ["100 Trying"]);
    bench.respond(id, 180).expect("rings");
    assert_eq!(bench.receive("INVITE", "z9hG4bK1", ""), RequestFate::Repeated);
    assert_eq!(bench.sent(), ["SIP/2.0 180 X", "SIP/2.0 180 X"]);
    assert_eq!(bench.open("INVITE", "z9hG4bK1"), Err(OpenError::NotNew));
}

#[test]
fn the_ack_of_a_rejection_ends_its_repetitions_and_is_absorbed() {
    let mut bench = Bench::new();
    let id = bench.invite("z9hG4bK1");
    bench.respond(id, 486).expect("rejects");
    assert_eq!(bench.run(1600), ["SIP/2.0 486 X"; 3]);
    for _ in 0..2 {
        assert_eq!(bench.receive("ACK", "z9hG4bK1", ";tag=ours"), RequestFate::AckAbsorbed);
    }
    assert_eq!(bench.run(5000), [""; 0]);
    assert_eq!(bench.told, [Output::Ended(TransactionId::Server(id))]);
    assert!(bench.layer.is_empty());
}

#[test]
fn a_rejection_that_nobody_acknowledges_is_reported_after_64_t1() {
    let mut bench = Bench::new();
    let id = bench.invite("z9hG4bK1");
    bench.respond(id, 486).expect("rejects");
    assert_eq!(bench.run(32_000).len(), 11);
    assert_eq!(bench.told, [Output::Unacknowledged(id), Output::Ended(TransactionId::Server(id))]);
    assert!(bench.layer.is_empty());
}

#[test]
fn the_ack_of_a_2xx_is_passed_up_whatever_its_branch() {
    let mut bench = Bench::new();
    let id = bench.invite("z9hG4bK1");
    bench.respond(id, 200).expect("answers");
    assert_eq!(bench.receive("ACK", "z9hG4bK2", ";tag=ours"), RequestFate::Ack { invite: None });
    assert_eq!(bench.receive("ACK", "z9hG4bK1", ";tag=ours"), RequestFate::Ack { invite: Some(id) });
}

#[test]
fn the_cores_repetitions_of_a_2xx_pass_and_repeated_invites_are_absorbed() {
    let mut bench = Bench::new();
    let id = bench.invite("z9hG4bK1");
    for _ in 0..3 {
        bench.respond(id, 200).expect("answers");
        assert_eq!(bench.receive("INVITE", "z9hG4bK1", ""), RequestFate::Repeated);
        assert_eq!(bench.sent(), ["SIP/2.0 200 X"]);
    }
    assert_eq!(bench.respond(id, 486), Err(RespondError::AlreadyAnswered));
    bench.run(32_000);
    assert_eq!(bench.respond(id, 200), Err(RespondError::Gone));
    assert!(bench.layer.is_empty());
}

#[test]
fn a_cancel_names_its_invite_and_is_a_request_of_its_own() {
    let mut bench = Bench::new();
    let invite = bench.invite("z9hG4bK1");
    assert_eq!(bench.receive("CANCEL", "z9hG4bK1", ""), RequestFate::Cancel { invite: Some(invite), unanswered: true });
    let cancel = bench.open("CANCEL", "z9hG4bK1").expect("room");
    assert_eq!(bench.sent(), [""; 0], "no 100 for a CANCEL");
    bench.respond(cancel, 200).expect("answers");
    bench.respond(invite, 487).expect("rejects");
    assert_eq!(bench.receive("CANCEL", "z9hG4bK1", ""), RequestFate::Repeated);
    assert_eq!(bench.sent(), ["SIP/2.0 200 X", "SIP/2.0 487 X", "SIP/2.0 200 X"]);
}

#[test]
fn a_cancel_that_crosses_the_200_is_told_to_be_too_late() {
    let mut bench = Bench::new();
    let invite = bench.invite("z9hG4bK1");
    bench.respond(invite, 200).expect("answers");
    assert_eq!(bench.receive("CANCEL", "z9hG4bK1", ""), RequestFate::Cancel { invite: Some(invite), unanswered: false });
}

#[test]
fn a_cancel_of_nothing_names_no_invite() {
    let mut bench = Bench::new();
    bench.invite("z9hG4bK1");
    assert_eq!(bench.receive("CANCEL", "z9hG4bK2", ""), RequestFate::Cancel { invite: None, unanswered: false });
}

#[test]
fn an_old_peer_without_unique_branches_is_understood() {
    let mut bench = Bench::new();
    let id = bench.invite("1");
    assert_eq!(bench.receive("INVITE", "1", ""), RequestFate::Repeated);
    assert_eq!(bench.receive("CANCEL", "1", ""), RequestFate::Cancel { invite: Some(id), unanswered: true });
    bench.respond(id, 486).expect("rejects");
    assert_eq!(bench.receive("ACK", "1", ";tag=another"), RequestFate::Ack { invite: None }, "another dialog's ACK");
    assert_eq!(bench.receive("ACK", "1", ";tag=ours"), RequestFate::AckAbsorbed);
}

#[test]
fn the_same_request_over_another_path_is_told_to_be_merged() {
    let mut bench = Bench::new();
    bench.invite("z9hG4bK1");
    assert_eq!(bench.receive("INVITE", "z9hG4bK2", ""), RequestFate::New { merged: true });
    assert_eq!(bench.receive("INVITE", "z9hG4bK3", ";tag=ours"), RequestFate::New { merged: false }, "inside a dialog nothing merges");
    assert_eq!(bench.layer.counters().merged_requests, 1);
}

#[test]
fn a_response_with_another_branch_or_method_is_dropped_and_counted() {
    let mut bench = Bench::new();
    bench.call("z9hG4bK1");
    assert_eq!(bench.answer(200, "INVITE", "z9hG4bK2"), ResponseFate::Stray);
    assert_eq!(bench.answer(200, "BYE", "z9hG4bK1"), ResponseFate::Stray);
    assert_eq!(bench.layer.counters().stray_responses, 2);
    assert_eq!(bench.sent(), [""; 0]);
}

#[test]
fn a_rejection_is_acknowledged_along_the_same_hop_each_time_it_comes() {
    let mut bench = Bench::new();
    let id = bench.call("z9hG4bK1");
    assert_eq!(bench.answer(486, "INVITE", "z9hG4bK1"), ResponseFate::Deliver(id));
    let Some(Output::Send { bytes, .. }) = bench.layer.poll_output() else { panic!("an ACK") };
    let ack = parse(&bytes).expect("well formed");
    assert_eq!((ack.via().branch, ack.to_tag(), ack.cseq().seq), (Some("z9hG4bK1"), Some("theirs"), 1));
    assert_eq!(bench.answer(486, "INVITE", "z9hG4bK1"), ResponseFate::Absorbed);
    let Some(Output::Send { bytes: again, .. }) = bench.layer.poll_output() else { panic!("an ACK") };
    assert!(Arc::ptr_eq(&bytes, &again));
    bench.run(32_000);
    assert_eq!(bench.told, [Output::Ended(TransactionId::Client(id))]);
    assert_eq!(bench.answer(486, "INVITE", "z9hG4bK1"), ResponseFate::Stray);
}

#[test]
fn every_2xx_is_delivered_until_timer_m() {
    let mut bench = Bench::new();
    let id = bench.call("z9hG4bK1");
    for _ in 0..3 {
        assert_eq!(bench.answer(200, "INVITE", "z9hG4bK1"), ResponseFate::Deliver(id));
    }
    assert_eq!(bench.run(31_999), [""; 0]);
    assert_eq!(bench.answer(200, "INVITE", "z9hG4bK1"), ResponseFate::Deliver(id));
    bench.run(1);
    assert_eq!(bench.answer(200, "INVITE", "z9hG4bK1"), ResponseFate::Stray);
    assert!(bench.layer.is_empty());
}

#[test]
fn an_unheard_request_is_repeated_byte_for_byte_and_then_told_to_be_timed_out() {
    let mut bench = Bench::new();
    let id = bench.send("BYE", "z9hG4bK1").expect("room");
    assert_eq!(bench.run(32_000), ["BYE sip:b@y SIP/2.0"; 11]);
    assert_eq!(bench.told, [Output::TimedOut(id), Output::Ended(TransactionId::Client(id))]);
    assert!(bench.layer.is_empty());
}

#[test]
fn a_cancel_goes_out_when_the_first_provisional_response_comes() {
    let mut bench = Bench::new();
    let id = bench.call("z9hG4bK1");
    assert_eq!(bench.layer.cancel(bench.now, id, None), CancelOutcome::Waits);
    assert_eq!(bench.sent(), [""; 0]);
    assert_eq!(bench.answer(180, "INVITE", "z9hG4bK1"), ResponseFate::Deliver(id));
    assert_eq!(bench.run(600), ["CANCEL sip:b@y SIP/2.0"; 2], "sent, and repeated for lack of an answer");
    assert_eq!(bench.answer(200, "CANCEL", "z9hG4bK1"), ResponseFate::Absorbed);
    assert_eq!(bench.answer(487, "INVITE", "z9hG4bK1"), ResponseFate::Deliver(id));
    assert_eq!(bench.run(32_000), ["ACK sip:b@y SIP/2.0"]);
    assert_eq!(bench.told, [Output::Ended(TransactionId::Client(id))], "nothing is said of the CANCEL");
    assert!(bench.layer.is_empty());
}

#[test]
fn a_200_that_crosses_our_cancel_is_delivered() {
    let mut bench = Bench::new();
    let id = bench.call("z9hG4bK1");
    bench.answer(180, "INVITE", "z9hG4bK1");
    assert_eq!(bench.layer.cancel(bench.now, id, Some("SIP;cause=200")), CancelOutcome::Send);
    assert_eq!(bench.answer(200, "INVITE", "z9hG4bK1"), ResponseFate::Deliver(id));
    assert_eq!(bench.answer(481, "CANCEL", "z9hG4bK1"), ResponseFate::Absorbed);
    assert_eq!(bench.layer.cancel(bench.now, id, None), CancelOutcome::TooLate);
}

#[test]
fn a_cancelled_invite_that_is_never_answered_times_out_64_t1_after_the_cancel() {
    let mut bench = Bench::new();
    let id = bench.call("z9hG4bK1");
    bench.answer(180, "INVITE", "z9hG4bK1");
    bench.run(10_000);
    assert_eq!(bench.layer.cancel(bench.now, id, None), CancelOutcome::Send);
    assert_eq!(bench.run(32_000).len(), 11, "the CANCEL, repeated");
    assert_eq!(bench.told, [Output::TimedOut(id), Output::Ended(TransactionId::Client(id))]);
    assert!(bench.layer.is_empty());
}

#[test]
fn beyond_the_limits_nothing_is_opened_or_sent_but_a_cancel_still_goes() {
    let mut bench = Bench::with(Limits { max_servers: 1, max_clients: 1 });
    bench.invite("z9hG4bK1");
    assert_eq!(bench.open("OPTIONS", "z9hG4bK2"), Err(OpenError::Full));
    let call = bench.call("z9hG4bK3");
    assert_eq!(bench.send("OPTIONS", "z9hG4bK4"), Err(SendError::Full));
    assert_eq!((bench.layer.counters().refused_servers, bench.layer.counters().refused_clients), (1, 1));
    bench.answer(180, "INVITE", "z9hG4bK3");
    assert_eq!(bench.layer.cancel(bench.now, call, None), CancelOutcome::Send);
    assert_eq!(bench.sent(), ["CANCEL sip:b@y SIP/2.0"]);
}

#[test]
fn where_there_is_no_room_the_oldest_answered_requests_give_way_to_new_ones() {
    let mut bench = Bench::with(Limits { max_servers: 3, max_clients: 8 });
    let accepted = bench.invite("z9hG4bK1");
    bench.respond(accepted, 200).expect("open");
    let answered = bench.open("BYE", "z9hG4bK2").expect("room");
    bench.respond(answered, 200).expect("open");
    let waiting = bench.open("INVITE", "z9hG4bK3").expect("room");
    bench.sent();
    assert!(bench.open("INVITE", "z9hG4bK4").is_ok());
    bench.sent();
    assert_eq!(bench.told, [Output::Ended(TransactionId::Server(accepted))]);
    assert!(bench.open("INVITE", "z9hG4bK5").is_ok());
    assert_eq!(bench.open("INVITE", "z9hG4bK6"), Err(OpenError::Full), "those that wait for an answer stay");
    assert!(bench.layer.is_cancellable(waiting));
    let counters = bench.layer.counters();
    assert_eq!((counters.evicted, counters.refused_servers), (2, 1));
    assert_eq!(bench.receive("INVITE", "z9hG4bK1", ""), RequestFate::New { merged: true }, "forgotten");
    bench.run(600_000);
    assert!(bench.layer.is_empty());
}

#[test]
fn where_there_is_no_room_the_oldest_answered_requests_of_ours_give_way() {
    let mut bench = Bench::with(Limits { max_servers: 8, max_clients: 2 });
    let accepted = bench.call("z9hG4bK1");
    assert_eq!(bench.answer(200, "INVITE", "z9hG4bK1"), ResponseFate::Deliver(accepted));
    let open = bench.call("z9hG4bK2");
    let new = bench.call("z9hG4bK3");
    assert_eq!(bench.told, [Output::Ended(TransactionId::Client(accepted))]);
    assert_eq!(bench.send("OPTIONS", "z9hG4bK4"), Err(SendError::Full));
    assert_eq!(bench.answer(200, "INVITE", "z9hG4bK1"), ResponseFate::Stray);
    assert_eq!(bench.answer(200, "INVITE", "z9hG4bK2"), ResponseFate::Deliver(open));
    assert_eq!(bench.answer(486, "INVITE", "z9hG4bK3"), ResponseFate::Deliver(new));
}

#[test]
fn what_lingers_is_remembered_within_bounds_whatever_ends_by_itself() {
    let mut bench = Bench::with(Limits { max_servers: 4, max_clients: 4 });
    let kept = bench.invite("z9hG4bKkept");
    bench.respond(kept, 200).expect("open");
    bench.sent();
    for n in 0..40 {
        let id = bench.open("INVITE", &format!("z9hG4bK{n}")).expect("room");
        bench.respond(id, 486).expect("open");
        bench.sent();
        assert_eq!(bench.receive("ACK", &format!("z9hG4bK{n}"), ";tag=ours"), RequestFate::AckAbsorbed);
        bench.run(600);
    }
    let (servers, clients) = bench.layer.lingering_len();
    assert!(servers <= 8 && clients == 0, "{servers}");
}

#[test]
fn a_branch_in_use_is_refused() {
    let mut bench = Bench::new();
    bench.call("z9hG4bK1");
    assert_eq!(bench.send("INVITE", "z9hG4bK1"), Err(SendError::BranchInUse));
    assert_eq!(bench.layer.len(), (0, 1));
}

#[test]
fn a_request_that_the_core_forgets_is_told_and_dropped() {
    let mut bench = Bench::new();
    let options = bench.open("OPTIONS", "z9hG4bK1").expect("room");
    let invite = bench.open("INVITE", "z9hG4bK2").expect("room");
    bench.run(32_000);
    assert_eq!(bench.told, [Output::Unanswered(options), Output::Ended(TransactionId::Server(options))]);
    bench.told.clear();
    bench.run(600_000);
    assert_eq!(bench.told, [Output::Unanswered(invite), Output::Ended(TransactionId::Server(invite))]);
    assert!(bench.layer.is_empty());
}

#[test]
fn a_refusal_by_the_transport_ends_a_request_of_ours_but_not_one_of_a_peer() {
    let mut bench = Bench::new();
    let call = bench.call("z9hG4bK1");
    bench.layer.transport_error(bench.now, TransactionId::Client(call));
    let invite = bench.invite("z9hG4bK2");
    bench.layer.transport_error(bench.now, TransactionId::Server(invite));
    assert_eq!(bench.receive("INVITE", "z9hG4bK2", ""), RequestFate::Repeated);
    bench.sent();
    let client = TransactionId::Client(call);
    let expected = [Output::Unreachable(client), Output::Ended(client), Output::Unreachable(TransactionId::Server(invite))];
    assert_eq!(bench.told, expected);
    assert_eq!(bench.layer.counters().transport_errors, 2);
}
