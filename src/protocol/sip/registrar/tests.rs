//! The registrar, one REGISTER after another.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::{
    super::{
        build::{Request, ViaBuf},
        field::{CallId, Method},
        flow::{ListenerId, Transport},
        parse::parse,
    },
    *,
};

const AOR: &str = "anna";
const NOW: i64 = 1_790_000_000_000;

fn flow(port: u16) -> Flow {
    Flow { listener: ListenerId(0), transport: Transport::Udp, remote: SocketAddr::from(([192, 0, 2, 9], port)) }
}

/// A REGISTER as text: Call-ID, CSeq, then whole header lines.
fn register_text(call_id: &str, cseq: u32, lines: &[&str]) -> String {
    let head = format!(
        "REGISTER sip:pbx.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{cseq}\r\nFrom: <sip:anna@pbx.example>;tag=1\r\n\
         To: <sip:anna@pbx.example>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\nMax-Forwards: 70\r\nUser-Agent: Phone 1\r\n"
    );
    format!("{head}{}Content-Length: 0\r\n\r\n", lines.iter().map(|line| format!("{line}\r\n")).collect::<String>())
}

struct Desk(Registrar);

impl Desk {
    fn new() -> Self {
        Self(Registrar::new(RegistrarLimits::default()))
    }

    fn register_at(&mut self, now: i64, call_id: &str, cseq: u32, lines: &[&str]) -> Result<Registered, RegisterError> {
        let text = register_text(call_id, cseq, lines);
        let message = parse(text.as_bytes()).expect("well formed");
        self.0.register(now, AOR, &message, flow(5060), Jitter::new(100))
    }

    fn register(&mut self, call_id: &str, cseq: u32, lines: &[&str]) -> Result<Registered, RegisterError> {
        self.register_at(NOW, call_id, cseq, lines)
    }

    fn contacts(&self, now: i64) -> Vec<&str> {
        self.0.bindings(now, AOR).iter().map(|binding| binding.contact.as_str()).collect()
    }
}

/// The Contact lines that the 200 would carry.
fn listed(registered: &Registered) -> Vec<String> {
    let uri = UriBuf::new("sip:pbx.example").expect("URI");
    let address = Address::new(uri.clone());
    let mut request = Request::new(Method::Register, uri, address.clone(), address, CallId::new("c").expect("id"), 1);
    request.via = vec![ViaBuf::udp(SocketAddr::from(([192, 0, 2, 1], 5060)), "z9hG4bK1")];
    request.headers = registered.headers.clone();
    let text = String::from_utf8(request.to_bytes()).expect("text");
    text.lines().filter_map(|line| line.strip_prefix("Contact: ")).map(str::to_owned).collect()
}

#[test]
fn a_binding_keeps_contact_flow_and_phone_and_is_listed_with_the_seconds_granted() {
    let mut desk = Desk::new();
    let lines = ["Contact: <sip:anna@10.0.0.5:5062;ob>;+sip.instance=\"<urn:uuid:1>\";expires=3600"];
    let registered = desk.register("c1", 1, &lines).expect("registers");
    assert_eq!(listed(&registered), ["<sip:anna@10.0.0.5:5062;ob>;+sip.instance=\"<urn:uuid:1>\";expires=300"]);
    let [BindingChange::Stored(binding)] = registered.changes.as_slice() else { panic!("one change: {:?}", registered.changes) };
    assert_eq!((binding.flow, binding.expires_at_ms), (flow(5060), NOW + 300_000));
    assert_eq!(binding.user_agent.as_deref(), Some("Phone 1"));
    assert_eq!(desk.0.bindings(NOW, AOR), [binding]);
}

#[test]
fn the_life_granted_is_capped_at_300_s_give_or_take_a_tenth_and_never_exceeds_what_was_asked() {
    for random in [0, 1, 100, 200, 201, u32::MAX] {
        let jitter = Jitter::new(random);
        assert!((270..=330).contains(&jitter.grant(3600)), "{random}");
        assert!((270..=300).contains(&jitter.grant(300)), "{random}");
        assert_eq!(jitter.grant(60), 60, "{random}");
    }
    assert_eq!((Jitter::new(0).grant(3600), Jitter::new(200).grant(3600)), (270, 330));
}

#[test]
fn expires_comes_from_the_contact_else_the_header_else_the_default() {
    for (lines, granted) in [
        (&["Contact: <sip:a@10.0.0.5>;expires=60", "Expires: 120"][..], 60),
        (&["Contact: <sip:a@10.0.0.5>", "Expires: 120"], 120),
        (&["Contact: <sip:a@10.0.0.5>"], 300),
    ] {
        let mut desk = Desk::new();
        desk.register("c1", 1, lines).expect("registers");
        assert_eq!(desk.0.next_expiry_ms(), Some(NOW + granted * 1000), "{lines:?}");
    }
}

#[test]
fn too_short_a_life_is_refused_with_the_shortest_one() {
    let error = Desk::new().register("c1", 1, &["Contact: <sip:a@10.0.0.5>;expires=10"]).expect_err("too brief");
    assert_eq!((error, error.status()), (RegisterError::TooBrief, 423));
    assert_eq!(error.header(), Some(Header::Number(NumberHeader::MinExpires, SHORTEST_EXPIRES)));
}

#[test]
fn a_renewal_replaces_the_binding_and_its_flow() {
    let mut desk = Desk::new();
    desk.register("c1", 1, &["Contact: <sip:a@10.0.0.5>"]).expect("registers");
    let text = register_text("c1", 2, &["Contact: <sip:a@10.0.0.5>"]);
    let message = parse(text.as_bytes()).expect("well formed");
    desk.0.register(NOW + 100_000, AOR, &message, flow(40_000), Jitter::new(100)).expect("renews");
    let [binding] = desk.0.bindings(NOW + 350_000, AOR)[..] else { panic!("one binding") };
    assert_eq!((binding.flow, binding.cseq), (flow(40_000), 2));
}

#[test]
fn an_older_register_of_the_same_call_is_refused_and_changes_nothing() {
    let mut desk = Desk::new();
    desk.register("c1", 5, &["Contact: <sip:a@10.0.0.5>"]).expect("registers");
    let lines = ["Contact: <sip:new@10.0.0.6>", "Contact: <sip:a@10.0.0.5>;expires=0"];
    assert_eq!(desk.register("c1", 4, &lines), Err(RegisterError::OutOfOrder));
    assert_eq!(desk.register("c1", 4, &["Contact: *", "Expires: 0"]), Err(RegisterError::OutOfOrder));
    assert_eq!(desk.contacts(NOW), ["sip:a@10.0.0.5"]);
    desk.register("c2", 1, &["Contact: <sip:a@10.0.0.5>;expires=0"]).expect("a restarted phone has a new Call-ID");
    assert!(desk.0.is_empty());
}

#[test]
fn a_register_whose_200_was_lost_in_a_crash_may_come_again() {
    let mut desk = Desk::new();
    let first = desk.register("c1", 5, &["Contact: <sip:a@10.0.0.5>"]).expect("registers");
    assert_eq!(desk.register("c1", 5, &["Contact: <sip:a@10.0.0.5>"]), Ok(first));
}

#[test]
fn a_star_removes_everything_but_only_alone_and_with_expires_0() {
    let mut desk = Desk::new();
    desk.register("c1", 1, &["Contact: <sip:a@10.0.0.5>, <sip:a@10.0.0.6>"]).expect("registers");
    for lines in [&["Contact: *"][..], &["Contact: *", "Expires: 60"], &["Contact: *", "Contact: <sip:a@10.0.0.5>", "Expires: 0"]] {
        assert_eq!(desk.register("c2", 1, lines), Err(RegisterError::BadContact), "{lines:?}");
    }
    assert_eq!(desk.0.len(), 2);
    let registered = desk.register("c2", 1, &["Contact: *", "Expires: 0"]).expect("removes");
    assert_eq!((registered.changes.len(), registered.headers.len(), desk.0.len()), (2, 0, 0));
}

#[test]
fn a_register_without_contact_asks_what_is_bound() {
    let mut desk = Desk::new();
    desk.register("c1", 1, &["Contact: <sip:a@10.0.0.5>;q=0.2, <sip:a@10.0.0.6>;q=0.9"]).expect("registers");
    let registered = desk.register_at(NOW + 100_500, "c1", 2, &[]).expect("answers");
    assert_eq!(registered.changes, []);
    assert_eq!(listed(&registered), ["<sip:a@10.0.0.6>;q=0.9;expires=200", "<sip:a@10.0.0.5>;q=0.2;expires=200"]);
}

#[test]
fn what_has_ended_is_neither_listed_nor_kept() {
    let mut desk = Desk::new();
    desk.register("c1", 1, &["Contact: <sip:a@10.0.0.5>;expires=60"]).expect("registers");
    desk.register("c2", 1, &["Contact: <sip:a@10.0.0.6>;expires=120"]).expect("registers");
    assert_eq!(desk.contacts(NOW + 60_000), ["sip:a@10.0.0.6"]);
    let removed = BindingChange::Removed { aor: AOR.to_owned(), contact: "sip:a@10.0.0.5".to_owned(), flow: flow(5060) };
    assert_eq!(desk.0.expire(NOW + 59_999), []);
    assert_eq!(desk.0.expire(NOW + 60_000), [removed]);
    assert_eq!(desk.0.next_expiry_ms(), Some(NOW + 120_000));
}

#[test]
fn an_ended_contact_makes_room_for_a_new_one() {
    let mut desk = Desk(Registrar::new(RegistrarLimits { max_contacts: 1, max_bindings: 10 }));
    desk.register("c1", 1, &["Contact: <sip:a@10.0.0.5>;expires=60"]).expect("registers");
    assert_eq!(desk.register("c2", 1, &["Contact: <sip:a@10.0.0.6>"]), Err(RegisterError::TooManyContacts));
    let registered = desk.register_at(NOW + 60_000, "c2", 1, &["Contact: <sip:a@10.0.0.6>"]).expect("registers");
    assert_eq!(registered.changes.len(), 2, "the ended one is reported removed");
    let swap = ["Contact: <sip:a@10.0.0.6>;expires=0", "Contact: <sip:a@10.0.0.7>"];
    desk.register_at(NOW + 60_000, "c2", 2, &swap).expect("one goes, one comes");
    assert_eq!(desk.contacts(NOW + 60_000), ["sip:a@10.0.0.7"]);
}

#[test]
fn beyond_the_limit_of_all_bindings_only_renewals_pass() {
    let mut desk = Desk(Registrar::new(RegistrarLimits { max_contacts: 8, max_bindings: 1 }));
    desk.register("c1", 1, &["Contact: <sip:a@10.0.0.5>"]).expect("registers");
    let error = desk.register("c1", 2, &["Contact: <sip:a@10.0.0.6>"]).expect_err("full");
    assert_eq!((error, error.status()), (RegisterError::Full, 503));
    desk.register("c1", 2, &["Contact: <sip:a@10.0.0.5>"]).expect("renews");
}

#[test]
fn a_contact_that_cannot_be_called_is_refused() {
    let long = format!("Contact: <sip:{}@10.0.0.5>", "a".repeat(MAX_CONTACT_LEN));
    for line in ["Contact: <mailto:anna@example.com>", "Contact: <tel:+4930901820>", &long] {
        assert_eq!(Desk::new().register("c1", 1, &[line]), Err(RegisterError::BadContact), "{line}");
    }
}

#[test]
fn the_same_contact_written_another_way_is_one_binding() {
    let mut desk = Desk::new();
    desk.register("c1", 1, &["Contact: <sip:anna@Phone.example;transport=udp>"]).expect("registers");
    desk.register("c1", 2, &["Contact: <sip:anna@phone.EXAMPLE>"]).expect("renews");
    assert_eq!(desk.contacts(NOW), ["sip:anna@phone.EXAMPLE"]);
}

#[test]
fn stored_bindings_are_loaded_again_unless_they_ended_or_could_never_end() {
    let mut desk = Desk::new();
    let registered = desk.register("c1", 1, &["Contact: <sip:a@10.0.0.5>"]).expect("registers");
    let [BindingChange::Stored(binding)] = registered.changes.as_slice() else { panic!("one change") };
    let text = serde_json::to_string(binding).expect("plain values");
    let binding: Binding = serde_json::from_str(&text).expect("plain values");
    let mut restarted = Registrar::new(RegistrarLimits::default());
    assert!(!restarted.load(NOW + 300_000, binding.clone()), "over");
    assert!(!restarted.load(NOW - 86_400_000, binding.clone()), "the clock was set back by a day");
    assert!(restarted.load(NOW + 1000, binding.clone()));
    assert_eq!(restarted.bindings(NOW + 1000, AOR), [&binding]);
}

proptest! {
    #[test]
    fn any_series_of_registers_keeps_the_limits_and_ends_empty(
        steps in prop::collection::vec((0i64..400_000, 0u8..3, 0u32..6, prop::collection::vec((0u8..12, prop::option::of(0u32..700)), 0..5), any::<u32>()), 0..60)
    ) {
        let mut registrar = Registrar::new(RegistrarLimits { max_contacts: 4, max_bindings: 6 });
        let mut mirror = std::collections::BTreeMap::new();
        let mut now = NOW;
        let mut follow = |changes: Vec<BindingChange>| for change in changes {
            match change {
                BindingChange::Stored(binding) => { mirror.insert((binding.aor.clone(), binding.contact.clone()), binding); }
                BindingChange::Removed { aor, contact, .. } => { mirror.remove(&(aor, contact)); }
            }
        };
        for (wait, aor, cseq, contacts, random) in steps {
            now += wait / 8;
            let lines: Vec<String> = contacts.iter().map(|(host, expires)| {
                format!("Contact: <sip:a@10.0.0.{host}>{}", expires.map_or(String::new(), |e| format!(";expires={e}")))
            }).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let text = register_text("c", cseq, &lines);
            let message = parse(text.as_bytes()).expect("well formed");
            if let Ok(registered) = registrar.register(now, &format!("aor{aor}"), &message, flow(1), Jitter::new(random)) {
                follow(registered.changes);
            }
            prop_assert!(registrar.len() <= 6);
        }
        follow(registrar.expire(now));
        let kept: std::collections::BTreeMap<_, _> = registrar.all().map(|b| ((b.aor.clone(), b.contact.clone()), b.clone())).collect();
        prop_assert_eq!(&kept, &mirror, "what was written through is what is kept");
        registrar.expire(now + 400_000);
        prop_assert!(registrar.is_empty() && registrar.by_aor.is_empty());
    }
}
