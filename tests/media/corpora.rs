//! Captured and made RTP streams, read at run time from the corpora folder; skipped where there is none.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use throughline::{
    domain::media::plan::{Codec, RecordingPlan},
    protocol::{audio::tone::amplitude_of, rtp::packet, rtp::telephone_event::KeyDetector},
};

use super::bench::*;

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = env::var_os("THROUGHLINE_SHARED").map(PathBuf::from);
    let places = shared.into_iter().chain([root.join("../shared"), root.join("../../shared")]);
    let found = places.map(|place| place.join("corpora/rtp")).find(|place| place.join("index.tsv").exists());
    if found.is_none() {
        println!("skipped: no corpora folder (set THROUGHLINE_SHARED)");
    }
    found
}

/// A UDP payload and when it was captured.
struct Captured {
    at: Duration,
    payload: Vec<u8>,
}

fn u32_at(bytes: &[u8], at: usize, big: bool) -> Option<u32> {
    let word = *bytes.get(at..)?.first_chunk::<4>()?;
    Some(if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
}

/// Reads a classic pcap file; frames that are not UDP over IPv4 are left out, pcapng files have none.
fn read_pcap(path: &Path) -> Vec<Captured> {
    let bytes = fs::read(path).unwrap();
    let big = bytes.starts_with(&[0xa1, 0xb2, 0xc3, 0xd4]);
    if !big && !bytes.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]) {
        return Vec::new();
    }
    let link = u32_at(&bytes, 20, big).unwrap();
    let header = if link == 113 { 16 } else { 14 };
    let mut captured: Vec<Captured> = Vec::new();
    let (mut at, mut first) = (24, None);
    while let (Some(seconds), Some(micros), Some(len)) = (u32_at(&bytes, at, big), u32_at(&bytes, at + 4, big), u32_at(&bytes, at + 8, big))
    {
        let frame = bytes.get(at + 16..at + 16 + len as usize).unwrap_or_default();
        at += 16 + len as usize;
        let time = Duration::new(u64::from(seconds), micros.min(999_999) * 1000);
        if let Some(payload) = udp_payload(frame.get(header..).unwrap_or_default()) {
            let first = *first.get_or_insert(time);
            captured.push(Captured { at: time.saturating_sub(first), payload: payload.to_vec() });
        }
    }
    captured
}

fn udp_payload(ip: &[u8]) -> Option<&[u8]> {
    let head = usize::from(ip.first()? & 0x0f) * 4;
    let udp = (ip[0] >> 4 == 4 && *ip.get(9)? == 17).then(|| ip.get(head..))??;
    let len = usize::from(u16::from_be_bytes([*udp.get(4)?, *udp.get(5)?]));
    udp.get(8..len.min(udp.len()))
}

/// Plays a capture to the caller's leg, recorded, with the agent listening.
fn play(name: &str, codec: Codec) -> Option<Bench> {
    let captured = read_pcap(&folder()?.join(name));
    assert!(!captured.is_empty(), "{name}");
    let mut bench = Bench::two_phones();
    bench.replan(|plan| {
        for leg in &mut plan.legs {
            speak_codec(leg, codec);
        }
        plan.legs[0].recording = RecordingPlan::On(recording_id(1));
    });
    for packet in captured {
        let wait = (bench.zero + packet.at).saturating_duration_since(bench.now);
        bench.pass(wait);
        bench.hear(20_000, CALLER, &packet.payload);
    }
    Some(bench)
}

fn amplitude(bench: &Bench, codec: Codec, hz: f64) -> f64 {
    amplitude_of(&bench.heard_at(AGENT, codec), hz, 8000)
}

#[test]
fn an_injected_stream_is_neither_heard_nor_recorded() {
    let Some(bench) = play("gen-pcmu-injected.pcap", Codec::Pcmu) else { return };
    assert_eq!((bench.sent_to(AGENT).len(), bench.frames(1).len()), (100, 100));
    assert!(amplitude(&bench, Codec::Pcmu, 1000.0) > 11_000.0);
    assert!(amplitude(&bench, Codec::Pcmu, 2000.0) < 200.0);
    assert_eq!(bench.engine.counters().new_sources, 0);
}

#[test]
fn a_stream_whose_ssrc_changes_goes_on() {
    let Some(bench) = play("gen-pcma-ssrc-change.pcap", Codec::Pcma) else { return };
    assert_eq!(bench.sent_to(AGENT).len(), 240);
    let heard = bench.heard_at(AGENT, Codec::Pcma);
    assert_eq!(heard.len(), 240 * 160);
    assert!(amplitude_of(&heard[..19_000], 440.0, 8000) > 11_000.0 && amplitude_of(&heard[19_400..], 880.0, 8000) > 11_000.0);
}

#[test]
fn a_stream_that_wraps_loses_repeats_and_reorders_is_relayed_packet_by_packet() {
    for (name, packets) in [
        ("gen-pcmu-1khz-wrap.pcap", 250),
        ("gen-pcmu-1khz-loss10.pcap", 225),
        ("gen-pcmu-1khz-duplicates.pcap", 275),
        ("gen-pcmu-1khz-reordered.pcap", 250),
    ] {
        let Some(bench) = play(name, Codec::Pcmu) else { return };
        assert_eq!(bench.sent_to(AGENT).len(), packets, "{name}");
        assert_eq!(bench.heard_at(AGENT, Codec::Pcmu).len(), 40_000, "{name}");
        assert!(amplitude(&bench, Codec::Pcmu, 1000.0) > 10_000.0, "{name}");
    }
}

#[test]
fn packet_times_may_change_and_silence_keeps_its_length() {
    let Some(bench) = play("gen-pcmu-ptime-change.pcap", Codec::Pcmu) else { return };
    assert_eq!(bench.heard_at(AGENT, Codec::Pcmu).len(), 22_400);
    let Some(bench) = play("gen-pcmu-dtx-gap.pcap", Codec::Pcmu) else { return };
    assert_eq!(bench.heard_at(AGENT, Codec::Pcmu).len(), 24_000);
    let Some(bench) = play("alaw-40ms.pcap", Codec::Pcma) else { return };
    assert_eq!(bench.sent_to(AGENT).len(), 826);
}

#[test]
fn keys_of_real_phones_are_heard_at_the_other_end() {
    for (name, codec, digits) in [
        ("dtmf-0.pcap", Codec::Pcmu, "0"),
        ("dtmf-pound.pcap", Codec::Pcmu, "#"),
        ("dtmf-2-pairs.pcap", Codec::Pcmu, "1122"),
        ("dtmf-4-fast.pcap", Codec::Pcmu, "1234"),
        ("cisco-spa525-dtmf.pcap", Codec::Pcmu, "6688#6688#"),
        ("ulaw-dtmf-1.pcap", Codec::Pcmu, "2013785496"),
    ] {
        let Some(bench) = play(name, codec) else { return };
        let mut keys = KeyDetector::default();
        let events = bench.sent_to(AGENT).into_iter().filter(|sent| sent.header().payload_type == 101);
        let heard: String = events.filter_map(|sent| keys.push(sent.header().timestamp, sent.payload())).collect();
        assert_eq!(heard, digits, "{name}");
    }
}

#[test]
fn no_captured_datagram_harms_a_call() {
    let Some(folder) = folder() else { return };
    let mut fed = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let mut bench = Bench::two_phones();
        let payloads = read_pcap(&path).into_iter().map(|captured| captured.payload);
        for payload in payloads.chain(bytes.chunks(173).take(200).map(<[u8]>::to_vec)) {
            let _ = packet::parse(&payload);
            bench.hear_on(20_000, fed % 2 == 0, CALLER, &payload);
            bench.pass(Duration::from_millis(1));
            fed += 1;
        }
        bench.close();
    }
    assert!(fed > 1000, "{fed}");
}
