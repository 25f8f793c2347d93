//! A second opinion: `rsip` reads the same messages, and where both of us accept one, every routing field is the same.
//!
//! `rsip` refuses about half of the legal torture messages (compact names, folds, IPv6, `tel:`); what it does not read, or reads
//! otherwise, is listed below with the reason, so that a difference that is not listed fails.

use rsip::{
    message::{HasHeaders, HeadersExt},
    prelude::{ToTypedHeader, UntypedHeader},
    typed,
};
use throughline::protocol::sip::{
    header::{HeaderId, NameAddr, Rport, Via},
    message::Message,
    parse::parse,
    uri::{Uri, UriKind},
};

#[path = "support/corpora.rs"]
mod corpora;

/// What each side makes of one field: its name, ours, theirs; `None` on their side where `rsip` has no typed reading of it.
type Row = (&'static str, String, Option<String>);

/// Where we differ and are right.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("dblreq.dat", "from", DOT),
    ("dblreq.dat", "to", DOT),
    ("dblreq.dat", "contact", DOT),
    ("regaut01.dat", "from", DOT),
    ("regaut01.dat", "to", DOT),
    ("arcor-sbc-invite.sip", "contact", DOT),
    ("linphone-desktop-4.3-message-sha256.sip", "request-uri", DOT),
    ("linphone-desktop-4.3-message-sha256.sip", "from", DOT),
    ("linphone-desktop-4.3-message-sha256.sip", "to", DOT),
    ("pingtel-register.sip", "contact", DOT),
    ("novelsc.dat", "request-uri", "soap.beep: is no SIP URI: we answer 416 and read no host in it"),
    ("asterisk-200-sdp.sip", "via", "the branch ends in =; rsip ends a parameter's value there"),
    (
        "pingtel-register.sip",
        "from",
        "the tag ends in ^, no token character but sent; rsip leaves it out, and the peer would not know its dialog",
    ),
    ("pingtel-register.sip", "to", "a tag parameter without value is no tag"),
];
/// RFC 3261 §25.1 allows it as unreserved.
const DOT: &str = "a user part with a dot in it; rsip takes it as part of the host";

fn text(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn our_uri(uri: &Uri<'_>) -> String {
    match uri.kind() {
        UriKind::Sip(sip) => {
            let scheme = if sip.secure { "sips" } else { "sip" };
            format!("{scheme} {} {} {}", text(sip.user), sip.host.to_string().to_lowercase(), text(sip.port))
        }
        UriKind::Tel { number, .. } => format!("tel {number}"),
        UriKind::Other { scheme } => scheme.to_owned(),
    }
}

fn their_uri(uri: &rsip::Uri) -> String {
    let scheme = uri.scheme.as_ref().map_or_else(|| "sip".to_owned(), |scheme| scheme.to_string().to_lowercase());
    format!("{scheme} {} {} {}", text(uri.user()), uri.host().to_string().to_lowercase(), text(uri.port().map(|port| port.to_string())))
}

fn our_via(via: &Via<'_>) -> String {
    let port = via.port.map_or_else(|| "-".to_owned(), |port| port.to_string());
    let received = text(via.received);
    format!("{} {} {port} {} {received}", via.transport_name.to_uppercase(), via.host.to_string().to_lowercase(), text(via.branch))
}

fn their_via(via: &typed::Via) -> String {
    let received = via.received().ok().flatten();
    let branch = via.branch().map(|branch| branch.value().to_owned());
    let uri = &via.uri;
    let port = text(uri.port().map(|port| port.to_string()));
    format!("{} {} {port} {} {}", via.transport, uri.host().to_string().to_lowercase(), text(branch), text(received))
}

fn our_party(party: &NameAddr<'_>) -> String {
    format!("{} tag {}", our_uri(&party.uri), text(party.tag))
}

/// Every field that routes a message.
fn compare(ours: &Message<'_>, theirs: &rsip::SipMessage) -> Vec<Row> {
    let mut rows = Vec::new();
    match theirs {
        rsip::SipMessage::Request(request) => {
            rows.push(("method", ours.method().as_str().to_owned(), Some(request.method.to_string())));
            let uri = ours.request_uri().map(|uri| our_uri(&uri)).unwrap_or_default();
            rows.push(("request-uri", uri, Some(their_uri(&request.uri))));
        }
        rsip::SipMessage::Response(response) => {
            rows.push(("status", text(ours.status()), Some(response.status_code.code().to_string())));
        }
    }
    rows.push(("call-id", ours.call_id().to_owned(), theirs.call_id_header().ok().map(|id| id.value().trim().to_owned())));
    let cseq = theirs.cseq_header().ok().and_then(|cseq| cseq.typed().ok());
    rows.push(("cseq", format!("{} {}", ours.cseq().seq, ours.cseq().method.as_str()), cseq.map(|c| format!("{} {}", c.seq, c.method))));
    let from = theirs.from_header().ok().and_then(|from| from.typed().ok());
    rows.push((
        "from",
        our_party(ours.from()),
        from.map(|f| format!("{} tag {}", their_uri(&f.uri), text(f.tag().map(|t| t.value().to_owned())))),
    ));
    let to = theirs.to_header().ok().and_then(|to| to.typed().ok());
    rows.push((
        "to",
        our_party(ours.to()),
        to.map(|t| format!("{} tag {}", their_uri(&t.uri), text(t.tag().map(|t| t.value().to_owned())))),
    ));
    let via = theirs.via_header().ok().and_then(|via| via.typed().ok());
    rows.push(("via", our_via(ours.via()), via.as_ref().map(their_via)));
    if let Some(contact) = ours.contacts().next() {
        let read = theirs.contact_header().ok().and_then(|contact| contact.typed().ok());
        rows.push(("contact", our_uri(&contact.uri), read.map(|contact| their_uri(&contact.uri))));
    }
    if let Some(length) = ours.header(HeaderId::ContentLength) {
        let length = String::from_utf8_lossy(length).trim().parse::<u32>().map_or_else(|_| "?".to_owned(), |n| n.to_string());
        let read = theirs.headers().iter().find_map(|header| match header {
            rsip::Header::ContentLength(length) => length.length().ok(),
            _ => None,
        });
        rows.push(("content-length", length, read.map(|length| length.to_string())));
    }
    let rport = matches!(ours.via().rport, Rport::Asked | Rport::Port(_));
    assert_eq!(rport, ours.via().params.iter().any(|(name, _)| name.eq_ignore_ascii_case("rport")));
    rows
}

#[test]
fn where_rsip_accepts_a_message_its_fields_are_ours() {
    let Some(folder) = corpora::folder() else { return };
    let files = ["sip-torture", "sip-devices"].into_iter().flat_map(|name| corpora::files(&folder.join(name)));
    let (mut both, mut only_we, mut only_they, mut neither, mut compared) = (0, 0, 0, 0, 0);
    let mut differences = Vec::new();
    let mut used = vec![false; EXCEPTIONS.len()];
    for (path, octets) in files {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let theirs = std::panic::catch_unwind(|| rsip::SipMessage::try_from(&octets[..]));
        let (ours, Ok(Ok(theirs))) = (parse(&octets), theirs) else {
            if parse(&octets).is_ok() {
                only_we += 1
            } else {
                neither += 1
            }
            continue;
        };
        let Ok(ours) = ours else {
            println!("only rsip takes {name}: we say {}", ours.expect_err("refused"));
            only_they += 1;
            continue;
        };
        both += 1;
        for (field, our, their) in compare(&ours, &theirs) {
            let Some(their) = their else { continue };
            compared += 1;
            if our == their {
                continue;
            }
            match EXCEPTIONS.iter().position(|(file, what, _)| *file == name && *what == field) {
                Some(known) => used[known] = true,
                None => differences.push(format!("{name}: {field}: ours {our:?}, theirs {their:?}")),
            }
        }
    }
    println!("both {both}, only we {only_we}, only rsip {only_they}, neither {neither}; {compared} fields compared");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let unused: Vec<_> = EXCEPTIONS.iter().zip(&used).filter(|(_, used)| !**used).map(|(e, _)| e).collect();
    assert!(unused.is_empty(), "no difference any more, take them out: {unused:#?}");
    assert!(both > 50 && compared > 400, "{both} messages, {compared} fields");
}
