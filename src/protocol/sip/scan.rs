//! Octet classes and quote-aware scanning (RFC 3261 §25.1).
//!
//! Header values may still hold folds; here CR and LF count as white space, which is what a fold is (§7.3.1).

use std::borrow::Cow;

use memchr::{memchr, memchr2, memchr3};

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut octet = 0_usize;
    while octet < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "the loop ends at 255")]
        let b = octet as u8;
        table[octet] = b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        octet += 1;
    }
    table
};

/// Whether `b` may stand in a token.
pub(super) const fn is_token_octet(b: u8) -> bool {
    TOKEN[b as usize]
}

/// Whether `bytes` is a token: one octet or more, all of the token class.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| is_token_octet(b))
}

/// Whether `b` is linear white space, folds included.
pub(super) const fn is_lws(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

/// `bytes` without white space at its start.
pub(super) fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        if !is_lws(*first) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// `bytes` without white space at its end.
pub(super) fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes {
        if !is_lws(*last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// `bytes` without white space around it.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

/// A quote or angle bracket that is never closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unbalanced;

/// The octet after the quote that closes a quoted string; `inside` starts after the opening quote.
pub(super) fn quoted_end(inside: &[u8]) -> Result<usize, Unbalanced> {
    let mut at = 0;
    while let Some(hit) = inside.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        let i = at + hit;
        if inside[i] == b'"' {
            return Ok(i + 1);
        }
        at = i + 2;
    }
    Err(Unbalanced)
}

/// Where `stop` first stands outside of quotes and angle brackets.
pub(super) fn find_outside(bytes: &[u8], stop: u8) -> Result<Option<usize>, Unbalanced> {
    let mut at = 0;
    while let Some(hit) = bytes.get(at..).and_then(|rest| memchr3(stop, b'"', b'<', rest)) {
        let i = at + hit;
        let inside = &bytes[i + 1..];
        match bytes[i] {
            b'"' => at = i + 1 + quoted_end(inside)?,
            b'<' => at = i + 2 + memchr(b'>', inside).ok_or(Unbalanced)?,
            _ => return Ok(Some(i)),
        }
    }
    Ok(None)
}

/// The elements of a comma-separated header value, trimmed; an element with an open quote is yielded whole.
#[derive(Debug, Clone)]
pub(super) struct Elements<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Elements<'a> {
    pub(super) fn of(value: &'a [u8]) -> Self {
        Self { rest: Some(value) }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        if let Ok(Some(comma)) = find_outside(rest, b',') {
            self.rest = Some(&rest[comma + 1..]);
            Some(trim(&rest[..comma]))
        } else {
            self.rest = None;
            Some(trim(rest))
        }
    }
}

/// The tag of a From or To value, octet by octet: a parameter behind the address.
pub(super) fn tag_of(value: &[u8]) -> Option<&[u8]> {
    let after = value.iter().rposition(|octet| *octet == b'>').map_or(value, |end| &value[end..]);
    after.split(|octet| *octet == b';').map(trim).find_map(|parameter| {
        let (name, value) = parameter.split_at_checked(4)?;
        name.eq_ignore_ascii_case(b"tag=").then_some(value)
    })
}

/// An unsigned decimal number of any length; what exceeds `u64` becomes `u64::MAX`.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, b| b.is_ascii_digit().then(|| sum.saturating_mul(10).saturating_add(u64::from(b - b'0'))))
}

/// A number of seconds, clamped to 2³²−1 (RFC 3261 §20.19 bounds it so); stops at a parameter or comment.
pub(super) fn seconds(value: &[u8]) -> Option<u32> {
    let end = value.iter().position(|b| !b.is_ascii_digit()).unwrap_or(value.len());
    let after = trim_start(&value[end..]);
    let ends_well = matches!(after.first(), None | Some(b';' | b'('));
    if ends_well { number(&value[..end]).map(|n| u32::try_from(n).unwrap_or(u32::MAX)) } else { None }
}

/// A parameter value without its quotes and escapes.
pub(super) fn unquote(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(inside) = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")) else { return Cow::Borrowed(value) };
    if memchr(b'\\', inside).is_none() {
        return Cow::Borrowed(inside);
    }
    let mut plain = Vec::with_capacity(inside.len());
    let mut octets = inside.iter();
    while let Some(&b) = octets.next() {
        if let Some(&b) = if b == b'\\' { octets.next() } else { Some(&b) } {
            plain.push(b);
        }
    }
    Cow::Owned(plain)
}

/// Octets as text: folds become one space, octets that are not UTF-8 become U+FFFD.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = trim(bytes);
    if memchr2(b'\r', b'\n', bytes).is_none() {
        return String::from_utf8_lossy(bytes);
    }
    let lossy = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = lossy.split(['\r', '\n']).map(|l| l.trim_matches([' ', '\t'])).filter(|l| !l.is_empty()).collect();
    Cow::Owned(lines.join(" "))
}
