//! The torture messages of RFC 4475 and RFC 5118 and messages of real devices, against what their index expects of us.
//!
//! The corpora lie beside the project and are read at run time; where they are absent the tests say so and pass.

use std::{
    fs,
    path::{Path, PathBuf},
};

use throughline::protocol::sip::{
    build::{Request, Response},
    digest::Credentials,
    header::{HeaderId, Rport, Via},
    message::Message,
    parse::parse,
    uri::UriKind,
};

/// One line of an index: file, expectation, form.
struct Entry {
    file: String,
    verdict: String,
    expect: String,
    form: String,
    bytes: Vec<u8>,
}

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn shared() -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = std::env::var_os("THROUGHLINE_SHARED").map(PathBuf::from).into_iter();
    let places = places.chain([home.join("../shared"), home.join("../../shared")]);
    let found = places.map(|p| p.join("corpora")).find(|p| p.is_dir());
    if found.is_none() {
        println!("skipped: no corpora beside the project (set THROUGHLINE_SHARED)");
    }
    found
}

fn entries(folder: &str) -> Vec<Entry> {
    let Some(folder) = shared().map(|s| s.join(folder)) else { return Vec::new() };
    let index = fs::read_to_string(folder.join("index.tsv")).expect("an index");
    let mut lines = index.lines();
    let names: Vec<&str> = lines.next().expect("a header").split('\t').collect();
    let entry = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let cell = |name| names.iter().position(|n| *n == name).and_then(|i| cells.get(i)).map_or_else(String::new, |c| (*c).to_owned());
        let bytes = fs::read(folder.join(cell("file"))).expect("a file of the index");
        Entry { file: cell("file"), verdict: cell("verdict"), expect: cell("expect"), form: cell("form"), bytes }
    };
    lines.map(entry).collect()
}

/// What became of a datagram: the status that its error is answered with (0: discarded), or `Ok`.
fn outcome(bytes: &[u8]) -> Result<(), (u16, String)> {
    parse(bytes).map(|_| ()).map_err(|e| (e.status.unwrap_or(0), e.to_string()))
}

#[test]
fn every_torture_message_is_treated_as_its_rfc_says() {
    let mut wrong = Vec::new();
    for Entry { file, verdict, expect, bytes, .. } in entries("sip-torture") {
        let got = outcome(&bytes);
        let fits = match (verdict.as_str(), expect.as_str()) {
            // Printed with a Content-Length that does not fit; the index allows the refusal.
            ("valid", e) if e.contains("strict UDP end point sends 400") => matches!(got, Ok(()) | Err((400, _))),
            ("valid", _) => got.is_ok(),
            ("invalid", e) if e.contains("tolerating is allowed") || e.contains("allowed)") || e.starts_with("accept") => {
                matches!(got, Ok(()) | Err((400, _)))
            }
            ("invalid", e) if e.starts_with("505") => matches!(got, Err((505, _))),
            ("invalid", "discard") => matches!(got, Err((0, _))),
            ("invalid", e) if e.contains("discard") => matches!(got, Err((0 | 400, _))),
            ("invalid", _) => matches!(got, Err((400, _))),
            ("app", "400") => matches!(got, Err((400, _))),
            ("app", _) => got.is_ok(),
            _ => false,
        };
        println!("{file:48} {expect:60.60} {got:?}");
        if !fits {
            wrong.push(file);
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Where we refuse what the index would take, and why: no transaction can be found without CSeq; an escaped quote opens no
/// string, and To stands twice in this message (it was edited), which `multi01` of RFC 4475 must not get away with either.
const STRICTER: [(&str, &str); 2] = [("linksys-rt31p2-200.sip", "no CSeq"), ("nero-multi-value-headers.sip", "a malformed From")];

#[test]
fn every_device_message_is_treated_as_its_index_says() {
    let mut wrong = Vec::new();
    for Entry { file, expect, form, bytes, .. } in entries("sip-devices") {
        let got = outcome(&bytes);
        let fits = if form.contains("trunc") {
            // Edited at its source: Content-Length exceeds the octets that are there.
            matches!(&got, Err((400 | 0, why)) if why.contains("Content-Length"))
        } else if let Some((_, why)) = STRICTER.iter().find(|(name, _)| *name == file) {
            matches!(&got, Err((_, kind)) if kind == why)
        } else if expect.starts_with("ok") {
            got.is_ok()
        } else if expect.starts_with("400 or 4") {
            // A body or a digest that the layers above judge.
            matches!(got, Ok(()) | Err((400, _)))
        } else {
            matches!(got, Err((400, _)))
        };
        println!("{file:44} {expect:50.50} {form:24} {got:?}");
        if !fits {
            wrong.push((file, got));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn torture(file: &str) -> Option<Vec<u8>> {
    shared().map(|s| fs::read(s.join("sip-torture").join(file)).expect("a file of the corpus"))
}

fn device(file: &str) -> Option<Vec<u8>> {
    shared().map(|s| fs::read(s.join("sip-devices").join(file)).expect("a file of the corpus"))
}

fn look(bytes: Option<Vec<u8>>, check: impl Fn(&Message<'_>)) {
    if let Some(bytes) = bytes {
        check(&parse(&bytes).expect("well formed"));
    }
}

#[test]
fn the_tortuous_invite_means_what_it_says() {
    look(torture("rfc4475/wsinv.dat"), |m| {
        assert_eq!((m.from_tag(), m.to_tag(), m.cseq().seq, m.max_forwards()), (Some("98asjd8"), Some("1918181833n"), 9, Some(68)));
        assert_eq!(m.from().display_name().as_deref(), Some("J Rosenberg \\\""));
        let branches: Vec<_> = m.vias().map(|v| v.branch.unwrap_or_default().to_owned()).collect();
        assert_eq!(branches, ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]);
        assert_eq!(m.vias().map(|v| v.transport_name.to_owned()).collect::<Vec<_>>(), ["UDP", "TCP", "UDP"]);
        assert!(m.via().rfc3261_branch().is_none() && m.body().len() == 150);
        let contact = m.contacts().next().expect("one");
        assert_eq!((contact.display_name().as_deref(), contact.q_thousandths()), (Some("Quoted string \"\""), 330));
        assert_eq!(contact.params.get("newparam").as_deref(), Some("newvalue"));
        assert!(m.routes().next().expect("one").uri.is_loose_router());
        assert_eq!(m.text(HeaderId::Subject).as_deref(), Some(""));
        assert_eq!(m.header_named("newfangledheader").map(<[u8]>::len), Some("newfangled value\r\n continued newfangled value".len()));
    });
}

#[test]
fn the_widest_characters_survive() {
    look(torture("rfc4475/intmeth.dat"), |m| {
        assert_eq!(m.method().as_str(), "!interesting-Method0123456789_*+`.%indeed'~");
        assert_eq!(m.to().display_name().map(|d| d.len()), Some("BEL:\u{7} NUL:\0 DEL:\u{7f}".len()));
        assert_eq!(m.from().params.get("fromParam''~+*_!.-%").as_deref(), Some("работающий"));
        assert_eq!(m.request_uri().and_then(|u| u.host()).map(|h| h.to_string()).as_deref(), Some("example.com"));
    });
    look(torture("rfc4475/semiuri.dat"), |m| {
        assert_eq!(m.request_uri().and_then(|u| u.user()).as_deref(), Some("user;par=u@example.net"));
    });
    look(torture("rfc4475/cparam02.dat"), |m| {
        let contact = m.contacts().next().expect("one");
        assert!(contact.params.iter().next().is_none() && contact.uri.param("unknownparam").is_some());
    });
    look(device("snom360-invite-cyrillic.sip"), |m| {
        let shown = [m.from(), m.to()].into_iter().filter_map(|a| a.display_name()).any(|d| d.chars().any(|c| ('а'..='я').contains(&c)));
        assert!(shown, "the Cyrillic name is text");
    });
}

#[test]
fn addresses_of_both_families_are_told_apart() {
    look(torture("rfc5118/port-unambiguous.dat"), |m| {
        let uri = m.request_uri().expect("a request");
        assert_eq!((uri.host().map(|h| h.to_string()).as_deref(), uri.port()), (Some("[2001:db8::10]"), Some(5070)));
    });
    look(torture("rfc5118/via-received-param-with-delim.dat"), |m| {
        assert_eq!(m.via().received.map(|ip| ip.to_string()).as_deref(), Some("2001:db8::9:255"));
    });
    look(torture("rfc4475/unkscm.dat"), |m| {
        let kind = m.request_uri().expect("a request").kind();
        assert!(matches!(kind, UriKind::Other { scheme: "nobodyKnowsThisScheme" }));
    });
}

#[test]
fn every_message_with_digest_credentials_gives_them_up() {
    for Entry { file, bytes, .. } in entries("sip-devices") {
        let Ok(m) = parse(&bytes) else { continue };
        for value in m.header_lines(HeaderId::Authorization).chain(m.header_lines(HeaderId::ProxyAuthorization)) {
            let read = Credentials::parse(value);
            println!("{file:44} {:?}", read.as_ref().map(|c| (c.algorithm, c.qop_auth.is_some())));
            // The Pingtel's has no user name.
            assert!(read.is_ok() || file.starts_with("pingtel"), "{file}: {read:?}");
        }
    }
}

#[test]
fn every_accepted_message_can_be_answered_and_built_again() {
    for Entry { file, bytes, .. } in entries("sip-devices").into_iter().chain(entries("sip-torture")) {
        let Ok(m) = parse(&bytes) else { continue };
        let answer = Response::to(&m, 486, "t1", ([192, 0, 2, 1], 5060).into());
        let read = |bytes: &[u8]| parse(bytes).map(|m| (Request::from_message(&m), Response::from_message(&m))).map_err(|e| e.to_string());
        assert_eq!(read(&answer.to_bytes()), Ok((None, Some(answer))), "{file}");
        if let Some(request) = Request::from_message(&m) {
            assert_eq!(read(&request.to_bytes()), Ok((Some(request), None)), "{file}");
        }
    }
}

#[test]
fn every_truncation_of_every_message_is_survived() {
    for Entry { file, bytes, .. } in entries("sip-devices").into_iter().chain(entries("sip-torture")) {
        let step = (bytes.len() / 400).max(1);
        for end in (0..bytes.len()).step_by(step) {
            let source = ([192, 0, 2, 1], 5060).into();
            match parse(&bytes[..end]) {
                Ok(m) => assert!(m.vias().count() > 0 && m.call_id().len() < end, "{file} cut at {end}"),
                Err(e) => assert!(e.answer(source, "t").is_none_or(|a| a.len() < 2 * end + 600), "{file} cut at {end}"),
            }
        }
    }
}

#[test]
fn vias_read_alone_as_in_their_message() {
    let via = Via::parse(b"SIP/2.0/WSS h.invalid;rport=5061;branch=z9hG4bKx").expect("well formed");
    assert_eq!((via.rport, via.rfc3261_branch()), (Rport::Port(5061), Some("z9hG4bKx")));
    let malformed: [&[u8]; 5] = [b"SIP/2.0/UDP", b"SIP/3.0/UDP h", b"SIP/2.0/UDP h:70000", b"SIP/2.0/UDP h;rport=x", b"SIP/2.0/UDP h h2"];
    assert!(malformed.iter().all(|v| Via::parse(v).is_none()));
}
