//! Every RTP capture of the corpora through reception, key detection and time axis, against what its index says of it.
//!
//! Each file of the index has its line in [`EXPECTED`]; a file without one fails. What a stream *sounds* like through the whole
//! engine is in `tests/media/corpora.rs`.

use std::{collections::BTreeMap, net::SocketAddrV4};

use throughline::{
    domain::media::{
        plan::Codec,
        tap::{TAP_PAYLOAD_MAX, TapFrame},
        time_axis::{AxisTotals, ChunkKind, TimeAxis},
    },
    ids::LegId,
    protocol::{
        audio::{g711, tone::amplitude_of},
        rtp::{
            packet::{self, Packet},
            rtcp,
            session::{Reception, Step},
            telephone_event::KeyDetector,
        },
        sip,
    },
    time::UnixMs,
};

#[path = "support/corpora.rs"]
mod corpora;
#[path = "support/pcap.rs"]
mod pcap;

/// What must come out of one file.
enum Due {
    /// Its longest stream: packets, lost, keys, milliseconds of track, of which sound and marked as lost.
    Stream { packets: u64, lost: u64, keys: &'static str, track_ms: u64, sound_ms: u64, lost_ms: u64 },
    /// The same for a stream of keys whose sound was cut out: nothing of the cut is sound.
    Keys(&'static [&'static str]),
    /// Streams of so many packets, longest first; statistics only, the payload is none of ours.
    Packets(&'static [u64]),
    /// Compounds of RTCP that read well, and no stream.
    Rtcp(usize),
    /// SIP messages among the datagrams that read well, and packets of the streams beside them, longest first.
    Sip { messages: usize, packets: &'static [u64] },
    /// No RTP at all.
    Nothing,
}

/// A stream without keys or loss.
const fn whole(packets: u64, track_ms: u64) -> Due {
    Due::Stream { packets, lost: 0, keys: "", track_ms, sound_ms: track_ms, lost_ms: 0 }
}

/// What the index says of each file, in figures: 20 ms packets of the stated number and length, each stated loss and gap in place.
const EXPECTED: &[(&str, Due)] = &[
    ("alaw-40ms.pcap", whole(826, 33_040)),
    ("cisco-spa525-dtmf.pcap", Due::Stream { packets: 632, lost: 0, keys: "6688#6688#", track_ms: 10_790, sound_ms: 9_620, lost_ms: 0 }),
    ("dtls-fragments.pcap", Due::Nothing),
    ("dtmf-0.pcap", Due::Keys(&["0"])),
    ("dtmf-1.pcap", Due::Keys(&["1"])),
    ("dtmf-2-pairs.pcap", Due::Keys(&["1122"])),
    ("dtmf-2.pcap", Due::Keys(&["2"])),
    ("dtmf-4-fast.pcap", Due::Keys(&["1234"])),
    ("dtmf-4.pcap", Due::Keys(&["4"])),
    ("dtmf-5.pcap", Due::Keys(&["5"])),
    ("dtmf-7.pcap", Due::Keys(&["7"])),
    ("dtmf-8.pcap", Due::Keys(&["8"])),
    ("dtmf-pound.pcap", Due::Keys(&["#"])),
    ("dtmf-two-streams.pcap", Due::Keys(&["123456789*0#5", "54321#"])),
    ("g711a-speech-30ms.pcap", whole(236, 7_080)),
    ("gen-pcma-ssrc-change.pcap", whole(120, 2_400)),
    ("gen-pcmu-1khz-duplicates.pcap", whole(275, 5_000)),
    ("gen-pcmu-1khz-loss10.pcap", Due::Stream { packets: 225, lost: 25, keys: "", track_ms: 5_000, sound_ms: 4_500, lost_ms: 500 }),
    ("gen-pcmu-1khz-reordered.pcap", whole(250, 5_000)),
    ("gen-pcmu-1khz-wrap.pcap", whole(250, 5_000)),
    ("gen-pcmu-dtx-gap.pcap", Due::Stream { packets: 101, lost: 0, keys: "", track_ms: 3_000, sound_ms: 2_000, lost_ms: 0 }),
    ("gen-pcmu-injected.pcap", whole(100, 2_000)),
    ("gen-pcmu-ptime-change.pcap", whole(150, 2_800)),
    ("milliwatt-pcmu.pcap", whole(232, 4_640)),
    ("opus-60ms-fec-lost29.pcapng", Due::Packets(&[2_971])),
    ("opus-60ms-fec.pcapng", Due::Packets(&[3_000])),
    ("opus-dtmf-1.pcap", Due::Keys(&["2013785496"])),
    ("pcma-lost1.pcap", Due::Stream { packets: 229, lost: 1, keys: "", track_ms: 6_891, sound_ms: 6_870, lost_ms: 20 }),
    ("rtcp-compound.pcap", Due::Rtcp(5)),
    ("rtp-malformed-1.pcapng", Due::Nothing),
    ("rtp-ssrc1.pcap", Due::Packets(&[1])),
    ("rtp-ssrc2.pcap", Due::Packets(&[2])),
    ("rtp-then-crash.pcap", whole(274, 5_480)),
    // A real call with random octets changed: one of its messages is whole enough to be read, none does harm.
    ("sip-fuzzed.pcap", Due::Sip { messages: 1, packets: &[9, 5, 4] }),
    ("sip-registrations-and-call.pcap", Due::Sip { messages: 81, packets: &[9] }),
    ("sip-t38-fax-call.pcap", Due::Sip { messages: 92, packets: &[1_171, 159] }),
    ("skinny-rtp.pcap", whole(36, 360)),
    ("srtp-g722-alice.pcap", Due::Packets(&[1_556])),
    ("stun-classic.pcap", Due::Packets(&[12, 8])),
    ("ulaw-dtmf-1.pcap", Due::Stream { packets: 974, lost: 0, keys: "2013785496", track_ms: 19_480, sound_ms: 17_080, lost_ms: 0 }),
];

/// What one stream came to.
struct Heard {
    packets: u64,
    lost: u64,
    keys: String,
    axis: AxisTotals,
    end_us: u64,
    samples: Vec<i16>,
}

/// The payload type of telephone-event in every file here.
const EVENT: u8 = 101;

fn codec(payload_type: u8) -> Option<Codec> {
    match payload_type {
        0 => Some(Codec::Pcmu),
        8 => Some(Codec::Pcma),
        _ => None,
    }
}

fn frame(arrival_us: u64, (ext_seq, ext_ts): (u64, u64), codec: Codec, octets: &[u8]) -> TapFrame {
    let len = octets.len().min(TAP_PAYLOAD_MAX);
    let mut payload = [0; TAP_PAYLOAD_MAX];
    payload[..len].copy_from_slice(&octets[..len]);
    TapFrame { leg: LegId::new(UnixMs(1), [1; 10]), source: 0, arrival_us, ext_seq, ext_ts, codec, len: len as u16, payload }
}

/// Reception, keys and track of one stream; what is no G.711 goes to the axis as the engine does it: without sound.
fn hear(packets: &[(u64, Packet, Vec<u8>)]) -> Heard {
    let first = &packets[0].1.header;
    let mut reception = Reception::new(first.sequence, first.timestamp);
    let (mut keys, mut pressed) = (KeyDetector::default(), String::new());
    let mut axis = TimeAxis::new(0);
    let mut now_us = 0;
    for (at_us, packet, datagram) in packets {
        // The first packet's speech began before it arrived.
        now_us = at_us + 20_000;
        let header = packet.header;
        let payload = packet.payload(datagram);
        let Step::Accepted(place) = reception.receive(header.sequence, header.timestamp, now_us / 125) else { continue };
        if header.payload_type == EVENT {
            pressed.extend(keys.push(header.timestamp, payload));
        } else if let Some(codec) = codec(header.payload_type) {
            axis.push(&frame(now_us, (place.ext_seq, place.ext_ts), codec, payload));
            axis.poll(now_us);
            continue;
        }
        axis.push(&frame(now_us, (place.ext_seq, place.ext_ts), Codec::Pcmu, &[]));
        axis.poll(now_us);
    }
    axis.close(now_us);
    let mut samples = Vec::new();
    while let Some(chunk) = axis.next_chunk() {
        assert_eq!(chunk.axis_start_us, samples.len() as u64 * 125, "chunks touch");
        match chunk.kind {
            ChunkKind::Audio { codec: Codec::Pcmu, payload } => samples.extend(payload.iter().map(|octet| g711::ulaw_to_linear(*octet))),
            ChunkKind::Audio { codec: Codec::Pcma, payload } => samples.extend(payload.iter().map(|octet| g711::alaw_to_linear(*octet))),
            ChunkKind::Lost | ChunkKind::Silence | ChunkKind::Paused => samples.extend(vec![0; (chunk.duration_us / 125) as usize]),
        }
    }
    Heard { packets: reception.received(), lost: reception.lost(), keys: pressed, axis: axis.totals(), end_us: axis.end_us(), samples }
}

/// The streams of a file by both addresses and SSRC, longest first.
fn streams(captured: &[pcap::Captured]) -> Vec<Heard> {
    type Key = (SocketAddrV4, SocketAddrV4, u32);
    let mut streams: BTreeMap<Key, Vec<(u64, Packet, Vec<u8>)>> = BTreeMap::new();
    for datagram in captured {
        let Ok(packet) = packet::parse(&datagram.payload) else { continue };
        // RTCP has types 200 to 204 where RTP has marker and type: 72 to 76 (RFC 5761 §4).
        if (72..=76).contains(&packet.header.payload_type) || datagram.payload.starts_with(b"SIP") {
            continue;
        }
        let stream = streams.entry((datagram.from, datagram.to, packet.header.ssrc)).or_default();
        stream.push((datagram.at.as_micros() as u64, packet, datagram.payload.clone()));
    }
    for stream in streams.values_mut() {
        let zero = stream[0].0;
        stream.iter_mut().for_each(|packet| packet.0 -= zero);
    }
    let mut heard: Vec<Heard> = streams.into_values().map(|packets| hear(&packets)).collect();
    heard.sort_by_key(|heard| std::cmp::Reverse(heard.packets));
    heard
}

/// Whether two lengths in milliseconds are the same but for the network's jitter, which moves where a track begins and ends.
fn near(measured_us: u64, due_ms: u64) -> bool {
    (measured_us / 1000).abs_diff(due_ms) <= 21
}

/// What is wrong with this file; empty when it is as its index says.
fn judge(due: &Due, captured: &[pcap::Captured]) -> String {
    let heard = streams(captured);
    let packets: Vec<u64> = heard.iter().map(|stream| stream.packets).collect();
    let right = match due {
        Due::Nothing => heard.is_empty(),
        Due::Stream { packets, lost, keys, track_ms, sound_ms, lost_ms } => heard.first().is_some_and(|stream| {
            let figures = (stream.packets, stream.lost, stream.keys.as_str()) == (*packets, *lost, *keys);
            let axis = &stream.axis;
            figures && near(stream.end_us, *track_ms) && near(axis.audio * 125, *sound_ms) && near(axis.lost * 125, *lost_ms)
        }),
        Due::Keys(keys) => heard.iter().map(|stream| stream.keys.as_str()).eq(keys.iter().copied()),
        Due::Packets(due) => packets == *due && heard.iter().all(|stream| stream.axis.audio == 0),
        Due::Rtcp(compounds) => captured.iter().filter(|datagram| rtcp::parse_compound(&datagram.payload, 0).is_ok()).count() == *compounds,
        Due::Sip { messages, packets: due } => {
            packets.starts_with(due) && captured.iter().filter(|datagram| sip::parse::parse(&datagram.payload).is_ok()).count() == *messages
        }
    };
    let told = heard.iter().take(3).map(|stream| {
        let ms = |samples: u64| samples / 8;
        let Heard { packets, lost, keys, end_us, axis, .. } = stream;
        format!("[{packets} lost {lost} keys {keys:?} track {} sound {} lost {}]", end_us / 1000, ms(axis.audio), ms(axis.lost))
    });
    let sip = captured.iter().filter(|datagram| sip::parse::parse(&datagram.payload).is_ok()).count();
    if right { String::new() } else { format!("{} datagrams, {sip} SIP, {}", captured.len(), told.collect::<Vec<_>>().join(" ")) }
}

#[test]
fn every_capture_of_the_corpora_is_what_its_index_says() {
    let Some(folder) = corpora::folder() else { return };
    let mut wrong = Vec::new();
    for (path, octets) in corpora::files(&folder.join("rtp")) {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let Some((_, due)) = EXPECTED.iter().find(|(file, _)| *file == name) else {
            wrong.push(format!("{name}: nothing is expected of it here"));
            continue;
        };
        let fault = judge(due, &pcap::read(&octets));
        if !fault.is_empty() {
            wrong.push(format!("{name}: {fault}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_tones_of_the_made_captures_are_where_the_index_says() {
    let Some(folder) = corpora::folder() else { return };
    /// From and to, milliseconds, and the frequency, Hz.
    type Span = (usize, usize, f64);
    let tones: [(&str, &[Span]); 7] = [
        ("gen-pcmu-1khz-loss10.pcap", &[(0, 140, 1_000.0), (180, 340, 1_000.0)]),
        ("gen-pcmu-1khz-duplicates.pcap", &[(0, 5_000, 1_000.0)]),
        ("gen-pcmu-1khz-reordered.pcap", &[(0, 5_000, 1_000.0)]),
        ("gen-pcmu-1khz-wrap.pcap", &[(0, 5_000, 1_000.0)]),
        ("gen-pcmu-dtx-gap.pcap", &[(0, 980, 600.0), (2_020, 2_980, 600.0)]),
        ("gen-pcmu-injected.pcap", &[(0, 2_000, 1_000.0)]),
        ("gen-pcmu-ptime-change.pcap", &[(20, 2_780, 500.0)]),
    ];
    for (name, spans) in tones {
        let octets = std::fs::read(folder.join("rtp").join(name)).expect("a file of the corpus");
        let heard = streams(&pcap::read(&octets)).swap_remove(0);
        for (from, to, hz) in spans {
            let amplitude = amplitude_of(&heard.samples[from * 8..to * 8], *hz, 8_000);
            assert!(amplitude > 11_000.0, "{name}: {hz} Hz has amplitude {amplitude} from {from} to {to} ms");
        }
    }
    let octets = std::fs::read(folder.join("rtp/gen-pcmu-dtx-gap.pcap")).expect("a file of the corpus");
    let gap = &streams(&pcap::read(&octets))[0].samples[1_040 * 8..1_960 * 8];
    assert!(gap.iter().all(|sample| *sample == 0), "what was not said is silence");
}
