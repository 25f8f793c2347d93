//! Where the session is described in a body: all of it, or one part of several (RFC 2046 §5.1, RFC 5621).
//!
//! Carriers send a session together with ISUP, phones one together with where they are (RFC 6442). Of such parts the session is
//! read and the others stay unread: they cross as little as any raw header does.

use memchr::memmem;

use super::{header::Params, scan};

/// The media type of a session description.
pub const SDP: &str = "application/sdp";
/// What we read, as Accept says it.
pub const ACCEPTED: &str = "application/sdp, multipart/mixed";
/// Bodies of parts that are looked into: what belongs together, and one thing in several forms.
const OF_PARTS: [&[u8]; 3] = [b"multipart/mixed", b"multipart/alternative", b"multipart/related"];
/// Parts looked at: a session, a location, ISUP, a picture; more is somebody's experiment.
const PARTS: usize = 16;
/// RFC 2046 §5.1.1.
const LONGEST_BOUNDARY: usize = 70;

/// What a body says of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session<'a> {
    /// Nothing: there is no body, or only parts that need not be understood.
    None,
    /// It is described here.
    Described(&'a [u8]),
    /// The body, or a part that has to be understood, is of a type that we don't know: 415.
    Unknown,
}

/// Reads a body of this Content-Type, parameters included.
pub(super) fn session<'a>(content_type: &[u8], body: &'a [u8]) -> Session<'a> {
    let end = memchr::memchr(b';', content_type).unwrap_or(content_type.len());
    let (kind, params) = (scan::trim(&content_type[..end]), &content_type[end..]);
    if body.is_empty() {
        return Session::None;
    }
    if kind.eq_ignore_ascii_case(SDP.as_bytes()) {
        return Session::Described(body);
    }
    let boundary =
        Params::checked(params, |_, _| {}).and_then(|params| params.get("boundary")).filter(|b| (1..=LONGEST_BOUNDARY).contains(&b.len()));
    match boundary {
        Some(boundary) if OF_PARTS.iter().any(|known| kind.eq_ignore_ascii_case(known)) => of_parts(&format!("--{boundary}"), body),
        _ => Session::Unknown,
    }
}

fn of_parts<'a>(delimiter: &str, body: &'a [u8]) -> Session<'a> {
    let mut found = Session::None;
    let mut parts = 0;
    let mut begin = None;
    for at in memmem::find_iter(body, delimiter.as_bytes()) {
        let after = &body[at + delimiter.len()..];
        let whole_line = (at == 0 || body[at - 1] == b'\n') && matches!(after.first(), None | Some(b'\r' | b'\n' | b' ' | b'\t' | b'-'));
        if !whole_line {
            continue;
        }
        if let Some(begin) = begin.replace(at + delimiter.len() + memchr::memchr(b'\n', after).map_or(after.len(), |end| end + 1)) {
            parts += 1;
            match part(&body[begin..at]) {
                Session::Unknown => return Session::Unknown,
                Session::Described(sdp) if found == Session::None => found = Session::Described(sdp),
                Session::Described(_) | Session::None => {}
            }
        }
        if after.starts_with(b"--") || parts == PARTS {
            return found;
        }
    }
    // No closing delimiter: the body was cut off, or is none.
    Session::Unknown
}

/// One part, with the line end that belongs to the delimiter after it.
fn part(octets: &[u8]) -> Session<'_> {
    let (mut is_session, mut required, mut rest) = (false, false, octets);
    loop {
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = scan::trim(&rest[..end]);
        rest = &rest[(end + 1).min(rest.len())..];
        if line.is_empty() {
            break;
        }
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = (scan::trim(&line[..colon]), scan::trim(&line[colon + 1..]));
        let kind_end = memchr::memchr(b';', value).unwrap_or(value.len());
        let (kind, params) = (scan::trim(&value[..kind_end]), Params::checked(&value[kind_end..], |_, _| {}));
        if name.eq_ignore_ascii_case(b"content-type") || name.eq_ignore_ascii_case(b"c") {
            is_session |= kind.eq_ignore_ascii_case(SDP.as_bytes());
        } else if name.eq_ignore_ascii_case(b"content-disposition") {
            // Another session than the call's: early media of its own (RFC 3959).
            is_session &= kind.eq_ignore_ascii_case(b"session");
            required |= params.and_then(|params| params.get("handling")).is_some_and(|handling| handling.eq_ignore_ascii_case("required"));
        } else if name.eq_ignore_ascii_case(b"content-encoding") || name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            is_session &= [&b"identity"[..], b"binary", b"8bit", b"7bit"].iter().any(|plain| kind.eq_ignore_ascii_case(plain));
        }
    }
    match (is_session, required) {
        (true, _) => Session::Described(without_last_line_end(rest)),
        (false, true) => Session::Unknown,
        // RFC 5621 §8.3.1 takes a part that does not say so for one that must be understood; carriers' ISUP seldom says so and calls would fail.
        (false, false) => Session::None,
    }
}

/// The line end before a delimiter is the delimiter's, unless the part has no other.
fn without_last_line_end(part: &[u8]) -> &[u8] {
    let shorter = part.strip_suffix(b"\r\n").or_else(|| part.strip_suffix(b"\n")).unwrap_or(part);
    if shorter.ends_with(b"\n") { shorter } else { part }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";
    const LOCATION: &str = "Content-Type: application/pidf+xml\r\nContent-ID: <here@example.com>\r\n\r\n<presence/>\r\n";

    fn described(content_type: &str, body: &str) -> Option<String> {
        match session(content_type.as_bytes(), body.as_bytes()) {
            Session::Described(sdp) => Some(String::from_utf8_lossy(sdp).into_owned()),
            Session::None => None,
            Session::Unknown => panic!("{content_type}: 415 of {body}"),
        }
    }

    #[test]
    fn the_session_is_found_wherever_it_stands_among_the_parts() {
        let part = format!("Content-Type: application/sdp\r\n\r\n{SESSION}");
        for (content_type, body) in [
            ("application/sdp", SESSION.to_owned()),
            ("Application/SDP; charset=utf-8", SESSION.to_owned()),
            ("multipart/mixed;boundary=b1", format!("--b1\r\n{part}\r\n--b1\r\n{LOCATION}\r\n--b1--\r\n")),
            ("multipart/mixed; boundary=\"b 1=:\"", format!("--b 1=:\r\n{LOCATION}\r\n--b 1=:  \r\n{part}--b 1=:--")),
            (
                "Multipart/Related;boundary=b",
                format!("preamble --b\r\n--bb\r\n--b\r\n{part}--b\r\n\r\n--bx no delimiter\r\n--b--\r\nepilogue"),
            ),
            (
                "multipart/mixed;boundary=b",
                format!("--b\nc: application/sdp\nContent-Disposition: session;handling=required\n\n{SESSION}--b--\n"),
            ),
        ] {
            assert_eq!(described(content_type, &body).as_deref(), Some(SESSION), "{content_type}\n{body}");
        }
        let isup =
            "Content-Type: application/ISUP;version=itu-t92+\r\nContent-Disposition: signal;handling=optional\r\n\r\n\u{1}\u{2}--b\r\n";
        assert_eq!(described("multipart/mixed;boundary=b", &format!("--b\r\n{isup}--b\r\n{part}--b--")).as_deref(), Some(SESSION));
    }

    #[test]
    fn of_two_sessions_the_first_counts_and_one_for_early_media_alone_is_none_of_the_call() {
        let part = |more: &str, name: &str| format!("--b\r\nContent-Type: application/sdp\r\n{more}\r\n{name}\r\n");
        let early = part("Content-Disposition: early-session\r\n", "early");
        let packed = part("Content-Encoding: gzip\r\n", "packed");
        let body = format!("{early}{packed}{}{}--b--", part("", "first"), part("", "second"));
        assert_eq!(described("multipart/mixed;boundary=b", &body).as_deref(), Some("first\r\n"));
    }

    #[test]
    fn a_body_without_a_session_has_none_where_nothing_in_it_must_be_understood() {
        assert_eq!(session(b"", b""), Session::None);
        assert_eq!(described("multipart/mixed;boundary=b", &format!("--b\r\n{LOCATION}\r\n--b--")), None);
        let must = "--b\r\nContent-Disposition: by-reference;handling=required\r\nContent-Type: application/pidf+xml\r\n\r\n<p/>\r\n--b--";
        for (content_type, body) in [
            ("", "v=0"),
            ("text/plain", "hello"),
            ("multipart/mixed", "--b\r\n--b--"),
            ("multipart/mixed;boundary=\"\"", "--\r\n----"),
            ("multipart/mixed;boundary=b", "nothing"),
            ("multipart/mixed;boundary=b", "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"),
            ("multipart/mixed;boundary=b", must),
        ] {
            assert_eq!(session(content_type.as_bytes(), body.as_bytes()), Session::Unknown, "{content_type}: {body}");
        }
    }

    #[test]
    fn what_is_cut_off_anywhere_or_bent_anywhere_is_read_without_harm() {
        let whole = format!("--b\r\nContent-Type: application/sdp\r\n\r\n{SESSION}\r\n--b\r\n{LOCATION}\r\n--b--\r\n").into_bytes();
        for at in 0..whole.len() {
            let cut = session(b"multipart/mixed;boundary=b", &whole[..at]);
            assert!(at >= whole.len() - 3 || !matches!(cut, Session::Described(_)), "cut at {at}");
            for octet in [0, b'\r', b'\n', b'-', b':', b';', 0xff] {
                let mut bent = whole.clone();
                bent[at] = octet;
                if let Session::Described(sdp) = session(b"multipart/mixed;boundary=b", &bent) {
                    assert!(sdp.len() <= SESSION.len() + LOCATION.len() + 20);
                }
            }
        }
    }
}
