//! UDP payloads of a capture: pcap of either byte order and pcapng, Ethernet or Linux cooked frames, IPv4.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::{net::SocketAddrV4, time::Duration};

/// One datagram.
#[derive(Clone, Debug)]
pub struct Captured {
    /// Since the first frame.
    pub at: Duration,
    pub from: SocketAddrV4,
    pub to: SocketAddrV4,
    pub payload: Vec<u8>,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk::<4>()?))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk::<2>()?))
}

/// Every UDP datagram, in order; none where the file is of another kind.
pub fn read(file: &[u8]) -> Vec<Captured> {
    let swapped = |file: &[u8], at| word(file, at).map(u32::swap_bytes);
    let frames = match word(file, 0) {
        Some(0xa1b2_c3d4) => classic(file, word),
        Some(0xd4c3_b2a1) => classic(file, swapped),
        Some(0x0a0d_0d0a) => next_generation(file),
        Some(_) | None => Vec::new(),
    };
    let first = frames.first().map_or(Duration::ZERO, |frame| frame.0);
    frames.into_iter().filter_map(|(at, link, frame)| udp(at.saturating_sub(first), link, frame)).collect()
}

/// Frames of a pcap file: time, link type, octets.
fn classic(file: &[u8], word: impl Fn(&[u8], usize) -> Option<u32>) -> Vec<(Duration, u32, &[u8])> {
    let (mut at, mut frames) = (24, Vec::new());
    let link = word(file, 20).unwrap_or(0);
    while let (Some(seconds), Some(micros), Some(length)) = (word(file, at), word(file, at + 4), word(file, at + 8)) {
        let time = Duration::new(u64::from(seconds), micros.min(999_999) * 1000);
        frames.push((time, link, file.get(at + 16..at + 16 + length as usize).unwrap_or_default()));
        at += 16 + length as usize;
    }
    frames
}

/// Frames of a pcapng file with one interface and times in microseconds.
fn next_generation(file: &[u8]) -> Vec<(Duration, u32, &[u8])> {
    let (mut at, mut frames, mut link) = (0, Vec::new(), 0);
    while let (Some(kind), Some(length)) = (word(file, at), word(file, at + 4)) {
        match kind {
            1 => link = word(file, at + 8).unwrap_or(0) & 0xffff,
            6 => {
                let time = u64::from(word(file, at + 12).unwrap_or(0)) << 32 | u64::from(word(file, at + 16).unwrap_or(0));
                let captured = word(file, at + 20).unwrap_or(0) as usize;
                frames.push((Duration::from_micros(time), link, file.get(at + 28..at + 28 + captured).unwrap_or_default()));
            }
            _ => {}
        }
        at += (length as usize).max(12);
    }
    frames
}

fn udp(at: Duration, link: u32, frame: &[u8]) -> Option<Captured> {
    let ip = frame.get(if link == 113 { 16 } else { 14 }..)?;
    let udp = (ip.first()? >> 4 == 4 && *ip.get(9)? == 17).then(|| ip.get(usize::from(ip[0] & 0x0f) * 4..))??;
    let address = |at: usize, port: usize| -> Option<SocketAddrV4> {
        Some(SocketAddrV4::new((*ip.get(at..)?.first_chunk::<4>()?).into(), short(udp, port)?))
    };
    let length = usize::from(short(udp, 4)?).min(udp.len());
    Some(Captured { at, from: address(12, 0)?, to: address(16, 2)?, payload: udp.get(8..length)?.to_vec() })
}
