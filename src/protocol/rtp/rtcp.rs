//! RTCP compound packets (RFC 3550 §6): sender and receiver reports, the CNAME, goodbye; VoIP metrics of peers (RFC 3611 §4.7).
//!
//! Written into a buffer of the caller's, read without copying. What else a compound holds is checked for length and skipped.

/// Octets that [`write_compound`] needs at most.
pub const COMPOUND_MAX: usize = 28 + BLOCK_LEN + 4 + 4 + 2 + CNAME_MAX + 4 + 8;
/// Longest CNAME that is written; RFC 7022 asks for 16 octets of text or more.
pub const CNAME_MAX: usize = 32;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const EXTENDED_REPORT: u8 = 207;
/// Block type of the VoIP metrics in an extended report (RFC 3611 §4.7).
const VOIP_METRICS: u8 = 7;
const BLOCK_LEN: usize = 24;
/// What a metric holds that is not known (RFC 3611 §4.7.5).
const UNKNOWN: u8 = 127;

/// The sender's part of a report (RFC 3550 §6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SenderInfo {
    /// Wall time as 32.32 fixed point seconds since 1900.
    pub ntp: u64,
    /// The same moment in the stream's timestamps.
    pub rtp_timestamp: u32,
    /// RTP packets sent so far, modulo 2³².
    pub packets: u32,
    /// Payload octets sent so far, modulo 2³².
    pub octets: u32,
}

/// What a receiver says of one source (RFC 3550 §6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// Loss since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Packets lost in all; negative with duplicates; 24 bits.
    pub cumulative_lost: i32,
    /// Extended highest sequence number.
    pub highest_sequence: u32,
    /// Interarrival jitter, timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time in the source's last sender report, 0 before one.
    pub last_sr: u32,
    /// Delay since that report, 65536ths of a second.
    pub delay_since_last_sr: u32,
}

/// What a peer measured of our stream (RFC 3611 §4.7), as far as it is of use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VoipMetrics {
    /// Packets lost since it began to receive, in 256ths.
    pub loss_rate: u8,
    /// Packets that came too late or too early for its buffer, in 256ths.
    pub discard_rate: u8,
    /// The round trip as it knows it, milliseconds; 0 before one is known.
    pub round_trip_ms: u16,
    /// What its buffers and codecs add, milliseconds; 0 when not known.
    pub end_system_ms: u16,
    /// Rating R of the voice, 0 to 100.
    pub r_factor: Option<u8>,
    /// Mean opinion score of listening, in tenths, 10 to 50.
    pub listening_mos_x10: Option<u8>,
    /// Mean opinion score of conversing, in tenths, 10 to 50.
    pub conversing_mos_x10: Option<u8>,
}

/// What one compound packet says, as far as an endpoint needs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Received {
    /// Who sent it.
    pub ssrc: u32,
    /// The first sender report's figures.
    pub sender: Option<SenderInfo>,
    /// The block about `about` (see [`parse_compound`]), if there is one.
    pub report: Option<ReportBlock>,
    /// The VoIP metrics about `about`, if there are any.
    pub voip: Option<VoipMetrics>,
    /// Whether the sender says goodbye.
    pub bye: bool,
}

/// Why a datagram is not a compound RTCP packet (RFC 3550 §A.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RtcpError {
    /// A packet's length runs over the datagram, or its body is too short for what it says it holds.
    #[error("an RTCP packet is cut off")]
    Short,
    /// A version other than 2.
    #[error("not RTCP version 2")]
    Version,
    /// The first packet is not a report.
    #[error("a compound RTCP packet begins with a report")]
    NotAReport,
}

/// What goes into a compound of ours.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a> {
    /// Our synchronisation source.
    pub ssrc: u32,
    /// Present when we have sent: makes it a sender report.
    pub sender: Option<SenderInfo>,
    /// Present when we have received.
    pub report: Option<ReportBlock>,
    /// Our canonical name; cut at [`CNAME_MAX`].
    pub cname: &'a [u8],
    /// Whether we leave.
    pub bye: bool,
}

/// Writes a compound packet and returns its length.
pub fn write_compound(out: &mut [u8; COMPOUND_MAX], compound: Compound<'_>) -> usize {
    let mut writer = Writer { out, at: 0 };
    let blocks = u8::from(compound.report.is_some());
    let kind = if compound.sender.is_some() { SENDER_REPORT } else { RECEIVER_REPORT };
    let words = 1 + if compound.sender.is_some() { 5 } else { 0 } + 6 * u16::from(blocks);
    writer.head(blocks, kind, words);
    writer.put(&compound.ssrc.to_be_bytes());
    if let Some(info) = compound.sender {
        writer.put(&info.ntp.to_be_bytes());
        writer.put(&info.rtp_timestamp.to_be_bytes());
        writer.put(&info.packets.to_be_bytes());
        writer.put(&info.octets.to_be_bytes());
    }
    if let Some(block) = compound.report {
        writer.put(&block.ssrc.to_be_bytes());
        let lost = block.cumulative_lost.to_be_bytes();
        writer.put(&[block.fraction_lost, lost[1], lost[2], lost[3]]);
        for word in [block.highest_sequence, block.jitter, block.last_sr, block.delay_since_last_sr] {
            writer.put(&word.to_be_bytes());
        }
    }
    writer.source_description(compound.ssrc, &compound.cname[..compound.cname.len().min(CNAME_MAX)]);
    if compound.bye {
        writer.head(1, GOODBYE, 1);
        writer.put(&compound.ssrc.to_be_bytes());
    }
    writer.at
}

struct Writer<'a> {
    out: &'a mut [u8; COMPOUND_MAX],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn head(&mut self, count: u8, kind: u8, words: u16) {
        let [high, low] = words.to_be_bytes();
        self.put(&[2 << 6 | count, kind, high, low]);
    }

    /// One chunk with one CNAME item, ended by at least one zero octet (RFC 3550 §6.5).
    fn source_description(&mut self, ssrc: u32, cname: &[u8]) {
        let padded = (2 + cname.len() + 1).next_multiple_of(4);
        self.head(1, SOURCE_DESCRIPTION, 1 + (padded / 4) as u16);
        self.put(&ssrc.to_be_bytes());
        self.put(&[1, cname.len() as u8]);
        self.put(cname);
        self.put(&[0; 4][..padded - 2 - cname.len()]);
    }
}

/// Reads a compound packet; `about` is our source, whose report block is wanted.
///
/// # Errors
/// What RFC 3550 §A.2 says is not a valid compound: nothing of it is believed.
pub fn parse_compound(datagram: &[u8], about: u32) -> Result<Received, RtcpError> {
    let mut received = Received::default();
    let mut rest = datagram;
    let mut first = true;
    while !rest.is_empty() {
        let head = rest.first_chunk::<4>().ok_or(RtcpError::Short)?;
        if head[0] >> 6 != 2 {
            return Err(RtcpError::Version);
        }
        let len = 4 * (1 + usize::from(u16::from_be_bytes([head[2], head[3]])));
        let body = rest.get(4..len).ok_or(RtcpError::Short)?;
        let (count, kind) = (usize::from(head[0] & 0x1f), head[1]);
        if first && kind != SENDER_REPORT && kind != RECEIVER_REPORT {
            return Err(RtcpError::NotAReport);
        }
        match kind {
            SENDER_REPORT | RECEIVER_REPORT => read_report(body, count, kind == SENDER_REPORT, about, &mut received)?,
            GOODBYE => {
                if body.len() < 4 * count {
                    return Err(RtcpError::Short);
                }
                received.bye |= count > 0;
            }
            EXTENDED_REPORT => read_extended(body, about, &mut received)?,
            _ => {}
        }
        first = false;
        rest = &rest[len..];
    }
    if first { Err(RtcpError::Short) } else { Ok(received) }
}

fn read_report(body: &[u8], count: usize, is_sender: bool, about: u32, received: &mut Received) -> Result<(), RtcpError> {
    let ssrc = word(body, 0).ok_or(RtcpError::Short)?;
    let mut at = 4;
    if is_sender {
        let info = || Some((word(body, 4)?, word(body, 8)?, word(body, 12)?, word(body, 16)?, word(body, 20)?));
        let (seconds, fraction, rtp_timestamp, packets, octets) = info().ok_or(RtcpError::Short)?;
        let ntp = u64::from(seconds) << 32 | u64::from(fraction);
        received.sender.get_or_insert(SenderInfo { ntp, rtp_timestamp, packets, octets });
        at = 24;
    }
    received.ssrc = ssrc;
    let blocks = body.get(at..at + BLOCK_LEN * count).ok_or(RtcpError::Short)?;
    for block in blocks.chunks_exact(BLOCK_LEN) {
        if word(block, 0) == Some(about) && received.report.is_none() {
            received.report = read_block(block);
        }
    }
    Ok(())
}

fn read_block(block: &[u8]) -> Option<ReportBlock> {
    let lost = word(block, 4)?;
    Some(ReportBlock {
        ssrc: word(block, 0)?,
        fraction_lost: (lost >> 24) as u8,
        cumulative_lost: (lost << 8) as i32 >> 8,
        highest_sequence: word(block, 8)?,
        jitter: word(block, 12)?,
        last_sr: word(block, 16)?,
        delay_since_last_sr: word(block, 20)?,
    })
}

/// Walks the blocks of an extended report (RFC 3611 §3); what is not known is skipped by its length.
fn read_extended(body: &[u8], about: u32, received: &mut Received) -> Result<(), RtcpError> {
    let mut rest = body.get(4..).ok_or(RtcpError::Short)?;
    while !rest.is_empty() {
        let head = rest.first_chunk::<4>().ok_or(RtcpError::Short)?;
        let len = 4 * (1 + usize::from(u16::from_be_bytes([head[2], head[3]])));
        let block = rest.get(..len).ok_or(RtcpError::Short)?;
        if head[0] == VOIP_METRICS && word(block, 4) == Some(about) && received.voip.is_none() {
            received.voip = read_voip(block);
        }
        rest = &rest[len..];
    }
    Ok(())
}

fn read_voip(block: &[u8]) -> Option<VoipMetrics> {
    let [rates, delays, ratings] = [8, 16, 24].map(|at| word(block, at).map(u32::to_be_bytes));
    let (rates, delays, ratings) = (rates?, delays?, ratings?);
    let known = |value: u8, range: std::ops::RangeInclusive<u8>| Some(value).filter(|v| *v != UNKNOWN && range.contains(v));
    Some(VoipMetrics {
        loss_rate: rates[0],
        discard_rate: rates[1],
        round_trip_ms: u16::from_be_bytes([delays[0], delays[1]]),
        end_system_ms: u16::from_be_bytes([delays[2], delays[3]]),
        r_factor: known(ratings[0], 0..=100),
        listening_mos_x10: known(ratings[2], 10..=50),
        conversing_mos_x10: known(ratings[3], 10..=50),
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk::<4>()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 9,
        fraction_lost: 51,
        cumulative_lost: -3,
        highest_sequence: 0x1_0005,
        jitter: 77,
        last_sr: 0x1234_5678,
        delay_since_last_sr: 65_536,
    };
    const INFO: SenderInfo = SenderInfo { ntp: 0xe000_0000_8000_0000, rtp_timestamp: 160, packets: 50, octets: 8000 };

    #[test]
    fn what_is_written_reads_back() {
        for sender in [None, Some(INFO)] {
            for report in [None, Some(BLOCK)] {
                for bye in [false, true] {
                    let mut out = [0; COMPOUND_MAX];
                    let len = write_compound(&mut out, Compound { ssrc: 4, sender, report, cname: &[b'x'; CNAME_MAX], bye });
                    assert_eq!(len % 4, 0);
                    assert_eq!(parse_compound(&out[..len], 9), Ok(Received { ssrc: 4, sender, report, voip: None, bye }));
                }
            }
        }
    }

    #[test]
    fn a_compound_that_is_cut_off_or_begins_with_no_report_is_refused() {
        let mut out = [0; COMPOUND_MAX];
        let len = write_compound(&mut out, Compound { ssrc: 4, sender: Some(INFO), report: Some(BLOCK), cname: b"name", bye: true });
        assert_eq!(parse_compound(&out[..len - 1], 9), Err(RtcpError::Short));
        assert_eq!(parse_compound(&out[52..len], 9), Err(RtcpError::NotAReport));
        assert_eq!(parse_compound(&[], 9), Err(RtcpError::Short));
        out[0] |= 0x1f;
        assert_eq!(parse_compound(&out[..len], 9), Err(RtcpError::Short), "more blocks than octets");
        out[0] = 0;
        assert_eq!(parse_compound(&out[..len], 9), Err(RtcpError::Version));
    }

    /// A receiver report followed by an extended report with these blocks.
    fn extended(blocks: &[u8]) -> Vec<u8> {
        let mut all = vec![0x80, RECEIVER_REPORT, 0, 1, 0, 0, 0, 4, 0x80, EXTENDED_REPORT, 0, (1 + blocks.len() / 4) as u8, 0, 0, 0, 4];
        all.extend_from_slice(blocks);
        all
    }

    /// The block of RFC 3611 §4.7 about source 9: 12.5 % lost, 2/256 discarded, 180 ms around, 70 ms in the phone, R 78, MOS 3.9 and 3.7.
    const VOIP: [u8; 36] =
        [7, 0, 0, 8, 0, 0, 0, 9, 32, 2, 0, 0, 0, 0, 0, 0, 0, 180, 0, 70, 127, 127, 127, 16, 78, 127, 39, 37, 0, 0, 0, 40, 0, 60, 0, 80];

    #[test]
    fn what_a_peer_measured_of_our_voice_is_read_among_other_blocks() {
        let unknown = [250, 0, 0, 1, 0, 0, 0, 9];
        let received = parse_compound(&extended(&[&unknown[..], &VOIP].concat()), 9).expect("valid");
        let due = VoipMetrics {
            loss_rate: 32,
            discard_rate: 2,
            round_trip_ms: 180,
            end_system_ms: 70,
            r_factor: Some(78),
            listening_mos_x10: Some(39),
            conversing_mos_x10: Some(37),
        };
        assert_eq!(received.voip, Some(due));
        assert_eq!(parse_compound(&extended(&VOIP), 8).expect("valid").voip, None, "about somebody else");
    }

    #[test]
    fn metrics_that_are_unknown_or_impossible_are_none() {
        let mut block = VOIP;
        block[24..28].copy_from_slice(&[127, 127, 9, 200]);
        let voip = parse_compound(&extended(&block), 9).expect("valid").voip.expect("there");
        assert_eq!((voip.r_factor, voip.listening_mos_x10, voip.conversing_mos_x10), (None, None, None));
    }

    #[test]
    fn an_extended_report_that_is_cut_off_is_refused() {
        let mut short = VOIP;
        short[3] = 9;
        assert_eq!(parse_compound(&extended(&short), 9), Err(RtcpError::Short));
        let stub = [7, 0, 0, 1, 0, 0, 0, 9];
        assert_eq!(parse_compound(&extended(&stub), 9).expect("whole, but too small to mean anything").voip, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), kind in 199u8..208) {
            let _ = parse_compound(&bytes, 1);
            let mut likely = bytes;
            if likely.len() >= 4 {
                let words = (likely.len() / 4 - 1) as u16;
                likely[0] = 0x80 | likely[0] & 0x1f;
                likely[1] = kind;
                likely[2..4].copy_from_slice(&words.to_be_bytes());
                let _ = parse_compound(&likely, 1);
            }
        }

        #[test]
        fn a_name_of_any_length_keeps_the_words_aligned(cname in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut out = [0; COMPOUND_MAX];
            let len = write_compound(&mut out, Compound { ssrc: 4, sender: None, report: None, cname: &cname, bye: true });
            prop_assert_eq!(parse_compound(&out[..len], 9).map(|received| received.bye), Ok(true));
        }
    }
}
