//! The journal's file format: an 8-octet mark, then records of length, CRC-32C and a fact as JSON.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::domain::fact::Fact;

/// First octets of every segment.
pub(super) const MAGIC: &[u8; 8] = b"TLSPOOL1";
/// Octets before a record's fact: length and checksum, little-endian.
pub(super) const HEADER: usize = 8;
/// Longest fact, octets: its texts are bounded far below; a longer length is damage.
pub(super) const RECORD_MAX: usize = 64 * 1024;

/// What stands at a place of a segment.
#[derive(Debug, PartialEq)]
pub(super) enum Step<'a> {
    /// A whole record.
    Record {
        /// The fact's octets.
        body: &'a [u8],
        /// Octets to the next record.
        size: usize,
    },
    /// A record with a wrong checksum.
    Damaged {
        /// Octets to the next record.
        size: usize,
    },
    /// Nothing whole: the end, or a torn tail.
    End,
}

/// Appends a fact to a buffer; false when it is too long for a record.
pub(super) fn encode(fact: &Fact, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    if serde_json::to_writer(&mut *out, fact).is_err() || out.len() - start - HEADER > RECORD_MAX {
        out.truncate(start);
        return false;
    }
    let body = &out[start + HEADER..];
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let crc = crc32c::crc32c(body);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + HEADER].copy_from_slice(&crc.to_le_bytes());
    true
}

/// Reads the record at the beginning of `bytes`.
pub(super) fn step(bytes: &[u8]) -> Step<'_> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Step::End };
    let [a, b, c, d, e, f, g, h] = *header;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length == 0 || length > RECORD_MAX {
        return Step::End;
    }
    let Some(body) = rest.get(..length) else { return Step::End };
    let size = HEADER + length;
    if crc32c::crc32c(body) == u32::from_le_bytes([e, f, g, h]) { Step::Record { body, size } } else { Step::Damaged { size } }
}

/// The file of a segment.
pub(super) fn path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("facts-{segment:010}.log"))
}

/// Numbers of the segments in a folder, in order.
pub(super) fn segments(dir: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number: Option<u64> = name.to_str().and_then(|name| name.strip_prefix("facts-")?.strip_suffix(".log")?.parse().ok());
        found.extend(number);
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_octets_are_a_record_damage_or_the_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            match step(&bytes) {
                Step::Record { body, size } => prop_assert!(size == body.len() + HEADER && size <= bytes.len()),
                Step::Damaged { size } => prop_assert!(size <= bytes.len()),
                Step::End => {}
            }
        }
    }
}
