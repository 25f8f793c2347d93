//! Dialogs on both sides, message by message.

use proptest::prelude::*;

use super::{
    super::{build::ViaBuf, parse::parse},
    *,
};

fn uri(text: &str) -> UriBuf {
    UriBuf::new(text).expect(text)
}

fn contact() -> Address {
    Address::new(uri("sip:us@192.0.2.1"))
}

/// A request of the peer with whole header lines, parsed.
fn with_request<T>(method: &str, cseq: u32, to_tag: &str, lines: &[&str], see: impl FnOnce(&Message<'_>) -> T) -> T {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let text = format!(
        "{method} sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{cseq}\r\nFrom: \"Anna\" <sip:anna@x>;tag=theirs\r\n\
         To: <sip:us@y>{to_tag}\r\nCall-ID: call\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n{lines}Content-Length: 0\r\n\r\n"
    );
    see(&parse(text.as_bytes()).expect("well formed"))
}

/// A response to our INVITE with CSeq 1.
fn with_response<T>(status: u16, to_tag: &str, lines: &[&str], see: impl FnOnce(&Message<'_>) -> T) -> T {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let text = format!(
        "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:us@y>;tag=ours\r\nTo: <sip:anna@x>{to_tag}\r\n\
         Call-ID: call\r\nCSeq: 1 INVITE\r\n{lines}Content-Length: 0\r\n\r\n"
    );
    see(&parse(text.as_bytes()).expect("well formed"))
}

fn answering(lines: &[&str]) -> Dialog {
    with_request("INVITE", 10, "", lines, |invite| Dialog::answering(invite, "ours", contact()).expect("a dialog"))
}

fn our_invite() -> Request {
    let from = Address::new(uri("sip:us@y")).with_tag("ours");
    Request::new(Method::Invite, uri("sip:anna@x"), from, Address::new(uri("sip:anna@x")), CallId::new("call").expect("id"), 1)
}

fn calling(lines: &[&str]) -> Dialog {
    with_response(200, ";tag=theirs", lines, |ok| Dialog::calling(&our_invite(), contact(), ok).expect("a dialog"))
}

/// The request as text lines, with a Via so that it is whole.
fn written(mut request: Request) -> Vec<String> {
    request.via.push(ViaBuf::udp(([192, 0, 2, 1], 5060).into(), "z9hG4bKx"));
    let bytes = request.to_bytes();
    parse(&bytes).expect("what we write is well formed");
    String::from_utf8(bytes).expect("text").lines().map(str::to_owned).collect()
}

fn start_and_routes(request: Request) -> Vec<String> {
    written(request).into_iter().enumerate().filter(|(at, line)| *at == 0 || line.starts_with("Route:")).map(|(_, line)| line).collect()
}

#[test]
fn a_request_in_a_dialog_that_we_answered_turns_the_addresses_round_and_goes_to_the_contact() {
    let mut dialog = answering(&["Contact: <sip:anna@192.0.2.9:5070>"]);
    let lines = written(dialog.request(Method::Bye));
    assert_eq!(lines[0], "BYE sip:anna@192.0.2.9:5070 SIP/2.0");
    for line in ["From: <sip:us@y>;tag=ours", "To: \"Anna\" <sip:anna@x>;tag=theirs", "Call-ID: call", "CSeq: 1 BYE"] {
        assert!(lines.iter().any(|l| l == line), "{line} in {lines:?}");
    }
    assert!(!lines.iter().any(|line| line.starts_with("Contact:")), "BYE carries no Contact");
    assert_eq!(dialog.id(), &DialogId { call_id: CallId::new("call").expect("id"), local_tag: "ours".into(), remote_tag: "theirs".into() });
}

#[test]
fn both_sides_name_the_dialog_by_the_same_tags() {
    let dialog = answering(&["Contact: <sip:anna@192.0.2.9>"]);
    with_request("BYE", 11, ";tag=ours", &[], |bye| assert_eq!(DialogId::of_request(bye).as_ref(), Some(dialog.id())));
    with_request("INVITE", 11, "", &[], |invite| assert_eq!(DialogId::of_request(invite), None));
    let dialog = calling(&["Contact: <sip:anna@192.0.2.9>"]);
    with_response(200, ";tag=theirs", &[], |ok| assert_eq!(DialogId::of_response(ok).as_ref(), Some(dialog.id())));
    with_response(180, "", &[], |ringing| assert_eq!(DialogId::of_response(ringing), None));
}

#[test]
fn an_invite_without_contact_makes_no_dialog() {
    let outcome = with_request("INVITE", 1, "", &[], |invite| Dialog::answering(invite, "ours", contact()).map(|_| ()));
    assert_eq!(outcome, Err(DialogError::NoContact));
}

#[test]
fn our_requests_count_up_and_those_that_refresh_carry_our_contact() {
    let mut dialog = calling(&["Contact: <sip:anna@192.0.2.9>"]);
    for (method, cseq, refreshes) in
        [(Method::Options, 2, false), (Method::Invite, 3, true), (Method::Update, 4, true), (Method::Bye, 5, false)]
    {
        let lines = written(dialog.request(method.clone()));
        assert!(lines.contains(&format!("CSeq: {cseq} {method}")), "{lines:?}");
        assert_eq!(lines.contains(&"Contact: <sip:us@192.0.2.1>".to_owned()), refreshes, "{method}");
    }
}

#[test]
fn the_ack_of_a_2xx_carries_the_number_of_its_invite_and_counts_nothing() {
    let mut dialog = calling(&["Contact: <sip:anna@192.0.2.9>", "Record-Route: <sip:p2;lr>, <sip:p1;lr>"]);
    let lines = written(dialog.ack(1));
    assert_eq!(lines[0], "ACK sip:anna@192.0.2.9 SIP/2.0");
    assert!(lines.contains(&"CSeq: 1 ACK".to_owned()) && lines.contains(&"Route: <sip:p1;lr>".to_owned()), "{lines:?}");
    assert_eq!(dialog.request(Method::Bye).cseq, 2);
}

#[test]
fn the_ack_that_was_sent_is_kept_for_repetitions_of_the_2xx() {
    let mut dialog = calling(&["Contact: <sip:anna@192.0.2.9>"]);
    dialog.remember_ack(1, b"ACK".as_slice().into());
    assert_eq!(dialog.remembered_ack(1).map(|ack| &**ack), Some(&b"ACK"[..]));
    assert_eq!(dialog.remembered_ack(2), None);
}

#[test]
fn the_answering_side_routes_in_the_order_of_record_route_and_the_calling_side_in_reverse() {
    let routes = ["Contact: <sip:anna@192.0.2.9>", "Record-Route: <sip:p1;lr>", "Record-Route: <sip:p2;lr>"];
    let mut dialog = answering(&routes);
    assert_eq!(
        start_and_routes(dialog.request(Method::Bye)),
        ["BYE sip:anna@192.0.2.9 SIP/2.0", "Route: <sip:p1;lr>", "Route: <sip:p2;lr>"]
    );
    assert_eq!(dialog.next_hop().as_str(), "sip:p1;lr");
    let mut dialog = calling(&routes);
    assert_eq!(
        start_and_routes(dialog.request(Method::Bye)),
        ["BYE sip:anna@192.0.2.9 SIP/2.0", "Route: <sip:p2;lr>", "Route: <sip:p1;lr>"]
    );
    assert_eq!(dialog.next_hop().as_str(), "sip:p2;lr");
}

#[test]
fn a_strict_router_becomes_the_request_uri_and_the_target_the_last_route() {
    let mut dialog = answering(&["Contact: <sip:anna@192.0.2.9>", "Record-Route: <sip:p1;method=INVITE;x=1?a=b>, <sip:p2;lr>"]);
    let expected = ["BYE sip:p1;x=1 SIP/2.0", "Route: <sip:p2;lr>", "Route: <sip:anna@192.0.2.9>"];
    let bye = dialog.request(Method::Bye);
    assert_eq!(
        bye.next_hop.as_ref().map(UriBuf::as_str),
        Some(dialog.next_hop().as_str()),
        "it is sent to the strict router, not along the rest of the route"
    );
    assert_eq!(start_and_routes(bye), expected);
    assert_eq!(start_and_routes(dialog.ack(1))[0], "ACK sip:p1;x=1 SIP/2.0");
}

#[test]
fn a_request_uri_has_neither_headers_nor_method() {
    for (text, expected) in [
        ("sip:p1", "sip:p1"),
        ("sip:p1?a=b", "sip:p1"),
        ("sip:u@p1:5070;Method=BYE;transport=tcp?a=b&c=d", "sip:u@p1:5070;transport=tcp"),
        ("tel:+4930901820", "tel:+4930901820"),
    ] {
        assert_eq!(as_request_uri(&uri(text)).as_str(), expected);
    }
}

#[test]
fn the_peers_requests_are_taken_in_order_and_old_numbers_are_not() {
    let mut dialog = answering(&["Contact: <sip:anna@192.0.2.9>"]);
    let mut receive = |method: &str, cseq| with_request(method, cseq, ";tag=ours", &[], |request| dialog.receive(request));
    assert_eq!(receive("OPTIONS", 9), RequestOrder::Late);
    assert_eq!(receive("INVITE", 10), RequestOrder::Again);
    assert_eq!(receive("INFO", 11), RequestOrder::Next);
    assert_eq!(receive("ACK", 10), RequestOrder::Next, "the ACK of the INVITE comes after a newer request");
    assert_eq!(receive("ACK", 11), RequestOrder::Late, "there was no INVITE 11");
    assert_eq!(receive("INVITE", 20), RequestOrder::Next, "gaps are allowed");
    assert_eq!(receive("ACK", 20), RequestOrder::Next);
    assert_eq!(receive("BYE", 19), RequestOrder::Late);
    assert_eq!(receive("BYE", 21), RequestOrder::Next);
}

#[test]
fn the_calling_side_takes_any_first_number_of_the_peer() {
    let mut dialog = calling(&["Contact: <sip:anna@192.0.2.9>"]);
    let mut receive = |method: &str, cseq| with_request(method, cseq, ";tag=ours", &[], |request| dialog.receive(request));
    assert_eq!(receive("INVITE", 4_000_000_000), RequestOrder::Next);
    assert_eq!(receive("BYE", 1), RequestOrder::Late);
}

#[test]
fn an_accepted_re_invite_moves_the_target_but_not_the_route() {
    let mut dialog = answering(&["Contact: <sip:anna@192.0.2.9>", "Record-Route: <sip:p1;lr>"]);
    dialog.confirm(None);
    let lines = ["Contact: <sip:anna@198.51.100.7>", "Record-Route: <sip:other;lr>"];
    with_request("INVITE", 11, ";tag=ours", &lines, |invite| dialog.refresh_target(invite));
    assert_eq!(start_and_routes(dialog.request(Method::Bye)), ["BYE sip:anna@198.51.100.7 SIP/2.0", "Route: <sip:p1;lr>"]);
    with_request("UPDATE", 12, ";tag=ours", &[], |update| dialog.refresh_target(update));
    assert_eq!(dialog.remote_target().as_str(), "sip:anna@198.51.100.7", "without Contact nothing moves");
}

#[test]
fn the_2xx_replaces_the_route_of_an_early_dialog_and_later_ones_only_move_the_target() {
    let early = with_response(183, ";tag=theirs", &["Record-Route: <sip:early;lr>"], |progress| {
        Dialog::calling(&our_invite(), contact(), progress)
    });
    let mut dialog = early.expect("a dialog without Contact yet");
    assert_eq!((dialog.state(), dialog.remote_target().as_str()), (DialogState::Early, "sip:anna@x"));
    let answer = ["Contact: <sip:anna@192.0.2.9>", "Record-Route: <sip:final;lr>"];
    with_response(200, ";tag=theirs", &answer, |ok| dialog.confirm(Some(ok)));
    assert_eq!(dialog.state(), DialogState::Confirmed);
    let again = ["Contact: <sip:anna@192.0.2.10>", "Record-Route: <sip:other;lr>"];
    with_response(200, ";tag=theirs", &again, |ok| dialog.confirm(Some(ok)));
    assert_eq!(start_and_routes(dialog.request(Method::Bye)), ["BYE sip:anna@192.0.2.10 SIP/2.0", "Route: <sip:final;lr>"]);
}

#[test]
fn only_408_and_481_end_a_dialog() {
    let ending: Vec<u16> = (100..700).filter(|status| ends_dialog(*status)).collect();
    assert_eq!(ending, [408, 481]);
}

fn set() -> DialogSet {
    DialogSet::new(our_invite(), contact())
}

fn id(remote_tag: &str) -> DialogId {
    DialogId { call_id: CallId::new("call").expect("id"), local_tag: "ours".into(), remote_tag: remote_tag.into() }
}

fn receive(set: &mut DialogSet, status: u16, to_tag: &str) -> ForkOutcome {
    with_response(status, to_tag, &["Contact: <sip:anna@192.0.2.9>"], |response| set.receive(response))
}

#[test]
fn each_fork_makes_an_early_dialog_of_its_own() {
    let mut set = set();
    assert_eq!(receive(&mut set, 100, ""), ForkOutcome::NoDialog);
    assert_eq!(receive(&mut set, 180, ";tag=a"), ForkOutcome::NewEarly(id("a")));
    assert_eq!(receive(&mut set, 183, ";tag=b"), ForkOutcome::NewEarly(id("b")));
    assert_eq!(receive(&mut set, 180, ";tag=a"), ForkOutcome::Early(id("a")));
    assert_eq!(receive(&mut set, 486, ";tag=a"), ForkOutcome::NoDialog);
    assert_eq!(set.dialogs().count(), 2);
}

#[test]
fn a_second_answer_of_another_fork_is_told_from_a_repeated_one() {
    let mut set = set();
    receive(&mut set, 180, ";tag=a");
    assert_eq!(receive(&mut set, 200, ";tag=a"), ForkOutcome::Answered { id: id("a"), first: true });
    let dialog = set.take(&id("a")).expect("confirmed");
    assert_eq!(dialog.state(), DialogState::Confirmed);
    assert_eq!(receive(&mut set, 200, ";tag=a"), ForkOutcome::AnsweredAgain(id("a")), "also after it was taken out");
    assert_eq!(receive(&mut set, 180, ";tag=a"), ForkOutcome::NoDialog);
    assert_eq!(receive(&mut set, 200, ";tag=b"), ForkOutcome::Answered { id: id("b"), first: false });
    assert_eq!(receive(&mut set, 200, ";tag=b"), ForkOutcome::AnsweredAgain(id("b")));
    let bye = set.dialog(&id("b")).map(|dialog| dialog.request(Method::Bye)).expect("to be ended");
    assert_eq!((bye.to.tag(), bye.cseq), (Some("b"), 2));
}

#[test]
fn a_peer_that_sends_no_tag_is_answered_all_the_same() {
    let mut set = set();
    assert_eq!(receive(&mut set, 200, ""), ForkOutcome::Answered { id: id(""), first: true });
}

#[test]
fn more_forks_than_the_limit_are_not_followed() {
    let mut set = set();
    for fork in 0..MAX_FORKS {
        assert!(matches!(receive(&mut set, 180, &format!(";tag={fork}")), ForkOutcome::NewEarly(_)));
    }
    assert_eq!(receive(&mut set, 180, ";tag=more"), ForkOutcome::TooMany);
    assert_eq!(receive(&mut set, 200, ";tag=0"), ForkOutcome::Answered { id: id("0"), first: true });
}

proptest! {
    #[test]
    fn the_peers_numbers_only_ever_grow(numbers in prop::collection::vec(0_u32..50, 0..100)) {
        let mut dialog = answering(&["Contact: <sip:anna@192.0.2.9>"]);
        let mut newest = 10;
        for number in numbers {
            let order = with_request("INFO", number, ";tag=ours", &[], |info| dialog.receive(info));
            let expected = match number.cmp(&newest) {
                std::cmp::Ordering::Less => RequestOrder::Late,
                std::cmp::Ordering::Equal => RequestOrder::Again,
                std::cmp::Ordering::Greater => RequestOrder::Next,
            };
            prop_assert_eq!(order, expected);
            newest = newest.max(number);
        }
    }

    #[test]
    fn whatever_the_routes_are_our_requests_can_be_read_back(
        routes in prop::collection::vec("sip:[a-z]{1,8}(;lr|;x=[a-z]{1,3}|;method=INVITE|\\?h=v){0,3}", 0..6)
    ) {
        let lines: Vec<String> = routes.iter().map(|route| format!("Record-Route: <{route}>")).collect();
        let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        lines.push("Contact: <sip:anna@192.0.2.9>");
        if routes.iter().all(|route| UriBuf::new(route).is_some()) {
            let mut dialog = answering(&lines);
            prop_assert_eq!(start_and_routes(dialog.request(Method::Bye)).len(), 1 + routes.len());
        }
    }
}
