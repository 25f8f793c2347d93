//! One RTP packet (RFC 3550 §5.1): read whole and checked, written as a plain 12-octet header.
//!
//! ```text
//! received  [ header | CSRC… | extension… |  payload  | padding ]
//! sent                            [ header |  payload ]            same buffer, nothing copied
//! ```
//! Contributing sources, header extensions and padding belong to the hop they came on and are never passed along.

use rtp_rs::{RtpReader, RtpReaderError};

/// Octets of a header without contributing sources and extension.
pub const HEADER_LEN: usize = 12;

/// The fields of an RTP header that a hop decides on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// First packet of a talkspurt, or of an event (RFC 3551 §4.1, RFC 4733 §2.3).
    pub marker: bool,
    /// Payload type, 0–127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, units of the payload's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

/// A packet inside the datagram it was read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Its header.
    pub header: Header,
    /// Where the payload begins; at least [`HEADER_LEN`].
    pub payload_start: usize,
    /// Octets of payload, padding left out.
    pub payload_len: usize,
}

impl Packet {
    /// The payload, from the datagram that was parsed.
    pub fn payload<'a>(&self, datagram: &'a [u8]) -> &'a [u8] {
        datagram.get(self.payload_start..self.payload_start + self.payload_len).unwrap_or_default()
    }
}

/// Why a datagram is not an RTP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PacketError {
    /// It ends before its header does.
    #[error("the datagram ends inside the RTP header")]
    Short,
    /// Its version is not 2: STUN, DTLS, noise.
    #[error("not RTP version 2")]
    Version,
    /// The padding count is zero or larger than the packet.
    #[error("the RTP padding count does not fit the packet")]
    Padding,
}

/// Reads a datagram as an RTP packet.
///
/// # Errors
/// Whatever does not hold RFC 3550 §5.1 to the last octet.
pub fn parse(datagram: &[u8]) -> Result<Packet, PacketError> {
    let reader = RtpReader::new(datagram).map_err(|error| match error {
        RtpReaderError::BufferTooShort(_) | RtpReaderError::HeadersTruncated { .. } => PacketError::Short,
        RtpReaderError::UnsupportedVersion(_) => PacketError::Version,
        RtpReaderError::PaddingLengthInvalid(_) => PacketError::Padding,
    })?;
    let header = Header {
        marker: reader.mark(),
        payload_type: reader.payload_type(),
        sequence: u16::from(reader.sequence_number()),
        timestamp: reader.timestamp(),
        ssrc: reader.ssrc(),
    };
    Ok(Packet { header, payload_start: reader.payload_offset(), payload_len: reader.payload().len() })
}

/// Writes `header` right in front of the payload and returns the packet to send.
///
/// `datagram` must be the one that `packet` was parsed from; it may be called again for the next receiver.
pub fn write_header<'a>(datagram: &'a mut [u8], packet: &Packet, header: Header) -> &'a [u8] {
    let end = (packet.payload_start + packet.payload_len).min(datagram.len());
    let start = packet.payload_start.saturating_sub(HEADER_LEN).min(end);
    let out = &mut datagram[start..end];
    encode_header(out, header);
    out
}

/// Writes `header` into the first 12 octets of `out`; a shorter `out` is left alone.
pub fn encode_header(out: &mut [u8], header: Header) {
    let Some(bytes) = out.first_chunk_mut::<HEADER_LEN>() else { return };
    bytes[0] = 2 << 6;
    bytes[1] = u8::from(header.marker) << 7 | header.payload_type & 0x7f;
    bytes[2..4].copy_from_slice(&header.sequence.to_be_bytes());
    bytes[4..8].copy_from_slice(&header.timestamp.to_be_bytes());
    bytes[8..12].copy_from_slice(&header.ssrc.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: Header = Header { marker: true, payload_type: 8, sequence: 65_535, timestamp: 0xdead_beef, ssrc: 7 };

    #[test]
    fn a_header_in_front_of_the_payload_replaces_sources_extension_and_padding() {
        let mut datagram = vec![0xb1, 0x00, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9, 9, 9, 9, 0xbe, 0xde, 0, 1, 5, 5, 5, 5];
        datagram.extend_from_slice(b"voice\x00\x00\x03");
        let packet = parse(&datagram).unwrap();
        assert_eq!(packet.payload(&datagram), b"voice");
        let sent = write_header(&mut datagram, &packet, HEADER).to_vec();
        let again = parse(&sent).unwrap();
        assert_eq!((again.header, again.payload(&sent), sent.len()), (HEADER, &b"voice"[..], HEADER_LEN + 5));
    }

    #[test]
    fn what_is_not_rtp_is_refused() {
        assert_eq!(parse(&[0x80; 11]), Err(PacketError::Short));
        assert_eq!(parse(&[0; 20]), Err(PacketError::Version));
        assert_eq!(parse(&[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]), Err(PacketError::Padding));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_and_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(packet) = parse(&bytes) {
                prop_assert!(packet.payload_start >= HEADER_LEN && packet.payload_start + packet.payload_len <= bytes.len());
                let payload = packet.payload(&bytes).to_vec();
                let sent = write_header(&mut bytes, &packet, HEADER).to_vec();
                let again = parse(&sent).unwrap();
                prop_assert_eq!((again.header, again.payload(&sent)), (HEADER, &payload[..]));
            }
        }
    }
}
