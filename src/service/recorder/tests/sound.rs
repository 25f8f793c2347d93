//! What is heard: byte ranges of the WAV, both sides aligned, gaps, the waveform.

use std::path::PathBuf;

use super::*;
use crate::{
    protocol::audio::tone::amplitude_of,
    service::recorder::{
        gaps::{self, PartyGap},
        index::{Content, TrackIndex},
        peaks,
        render::{Gap, MAX_RANGE_OCTETS, Rendering, mono_track},
        track::GapKind,
    },
};

/// Writes tracks into a folder of their own.
fn write(files: &[Vec<u8>]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let path = |n| folder.path().join(format!("{n}.track"));
    let paths: Vec<_> = (0..files.len()).map(path).collect();
    for (path, octets) in paths.iter().zip(files) {
        std::fs::write(path, octets).unwrap();
    }
    (folder, paths)
}

fn whole(rendering: &Rendering) -> Vec<u8> {
    let mut octets = Vec::new();
    while (octets.len() as u64) < rendering.len() {
        octets.extend(rendering.read_range(octets.len() as u64, MAX_RANGE_OCTETS).unwrap());
    }
    octets
}

#[test]
fn every_byte_range_is_that_part_of_the_whole() {
    let (_folder, paths) = write(&[file(&head(0, 40), &[(60, 300)], Some(500)), file(&head(1, 120), &[(200, 420)], None)]);
    let rendering = Rendering::open(&paths).unwrap();
    let octets = whole(&rendering);
    assert_eq!(rendering.len(), 44 + 500 * 8 * 4);
    assert_eq!(octets.len() as u64, rendering.len());
    for offset in (0..60).chain([octets.len() as u64 - 3, octets.len() as u64, u64::MAX]) {
        for len in [0, 1, 2, 3, 5, 43, 44, 45, 1_000, 70_000] {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(octets.len());
            let expected = &octets[from..(from + len).min(octets.len())];
            assert_eq!(rendering.read_range(offset, len).unwrap(), expected, "{offset} + {len}");
        }
    }
    for offset in (0..octets.len()).step_by(331) {
        let expected = &octets[offset..(offset + 997).min(octets.len())];
        assert_eq!(rendering.read_range(offset as u64, 997).unwrap(), expected, "{offset}");
    }
}

#[test]
fn the_rendering_is_a_wav_file_that_others_read() {
    let (folder, paths) = write(&[file(&head(0, 0), &[(0, 400)], Some(400))]);
    let exported = folder.path().join("call.wav");
    let rendering = Rendering::open(&paths).unwrap();
    assert_eq!(rendering.export(&exported).unwrap(), rendering.len());
    let mut reader = hound::WavReader::open(&exported).unwrap();
    let spec = reader.spec();
    assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample, reader.duration()), (2, 8_000, 16, 3_200));
    let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
    assert!(samples.iter().step_by(2).any(|left| *left > 4_000));
    assert!(samples.iter().skip(1).step_by(2).all(|right| *right == 0));
}

#[test]
fn a_call_without_audio_is_an_empty_wav_file() {
    let (_folder, paths) = write(&[Vec::new()]);
    let rendering = Rendering::open(&paths).unwrap();
    assert_eq!((rendering.len(), rendering.duration_ms()), (44, 0));
    assert_eq!(whole(&rendering).len(), 44);
}

/// A leg that plays its own pair of tones from `from_ms` to `to_ms`, each packet `delay_ms` late.
fn toned(head: &TapOpen, tones: (f64, f64), (from_ms, to_ms): (u64, u64), delay_ms: impl Fn(u64) -> u64) -> Vec<u8> {
    let mut tone = DualTone::new(tones.0, tones.1, 6_000, 8_000);
    let mut assembler = Assembler::new(Arc::new(head.clone()));
    let mut octets = Vec::new();
    track::encode_head(&mut octets, head, head.axis_us);
    for n in from_ms / 20..to_ms / 20 {
        let mut samples = [0; 160];
        tone.fill(&mut samples);
        let mut spoken = frame(head, (n + 1) * 20, &samples);
        spoken.arrival_us += delay_ms(n) * MS;
        assembler.push(&spoken);
    }
    assembler.close(3_000 * MS);
    while let Some(encoded) = assembler.next_encoded() {
        octets.extend(encoded.octets);
    }
    octets
}

#[test]
fn each_side_is_heard_in_its_channel_within_20_ms_of_when_it_was_spoken() {
    let (low, high) = ((697.0, 1_209.0), (852.0, 1_477.0));
    let customer = toned(&head(0, 0), low, (1_000, 1_500), |n| n % 3 * 4);
    let agent = toned(&head(1, 400), high, (1_000, 1_500), |n| n % 5 * 3);
    let (_folder, paths) = write(&[customer, agent]);
    let octets = whole(&Rendering::open(&paths).unwrap());
    let channel = |side: usize| -> Vec<i16> {
        octets[44..].chunks_exact(4).map(|four| i16::from_le_bytes([four[side * 2], four[side * 2 + 1]])).collect()
    };
    let (left, right) = (channel(0), channel(1));
    for (name, side, own, other) in [("customer", &left, low, high), ("agent", &right, high, low)] {
        let loud = |sample: &i16| sample.abs() > 1_000;
        let first = side.iter().position(loud).unwrap() / 8;
        let last = side.iter().rposition(loud).unwrap() / 8;
        assert!(first.abs_diff(1_000) <= 20 && last.abs_diff(1_500) <= 20, "{name}: {first} to {last} ms");
        let part = &side[1_100 * 8..1_400 * 8];
        assert!(amplitude_of(part, own.0, 8_000) > 4_000.0 && amplitude_of(part, own.1, 8_000) > 4_000.0, "{name} is missing");
        assert!(amplitude_of(part, other.0, 8_000) < 200.0 && amplitude_of(part, other.1, 8_000) < 200.0, "{name} hears the other");
    }
}

#[test]
fn two_agents_one_after_the_other_share_the_right_channel() {
    let files = [file(&head(1, 0), &[(0, 200)], Some(200)), file(&head(3, 400), &[(400, 600)], Some(600))];
    let (_folder, paths) = write(&files);
    let octets = whole(&Rendering::open(&paths).unwrap());
    let loud = |from_ms: usize, to_ms: usize| {
        octets[44 + from_ms * 32..44 + to_ms * 32].chunks_exact(4).any(|four| four[3].cast_signed().abs() > 8)
    };
    assert!(loud(0, 200) && !loud(200, 400) && loud(400, 600));
}

#[test]
fn a_track_as_samples_lists_its_gaps() {
    let (_folder, paths) = write(&[file(&head(0, 100), &[(200, 400), (600, 700)], Some(800))]);
    let track = mono_track(&paths[0]).unwrap();
    assert_eq!((track.start_us, track.samples.len()), (100 * MS, 700 * 8));
    let gap = |from_ms: u32, to_ms: u32| Gap { from_ms, to_ms, kind: GapKind::Silence, samples: ((from_ms - 100) * 8, (to_ms - 100) * 8) };
    assert_eq!(track.gaps, [gap(100, 200), gap(400, 600), gap(700, 800)]);
    assert!(track.samples[..800].iter().all(|sample| *sample == 0));
    assert!(track.samples[800..2_400].iter().any(|sample| *sample > 4_000));
}

#[test]
fn the_waveform_shows_who_spoke_when_and_is_kept_beside_a_closed_track() {
    let (_folder, paths) = write(&[file(&head(0, 100), &[(200, 400)], Some(1_000)), file(&head(1, 0), &[(600, 800)], None)]);
    let drawn = peaks::waveform(&paths, 0).unwrap();
    let speaks = |side: &[peaks::MinMax]| side.iter().map(|(min, max)| if *max > 20 && *min < -20 { '#' } else { '.' }).collect::<String>();
    assert_eq!(drawn.duration_ms, 1_000);
    assert_eq!(speaks(&drawn.customer), "....####............");
    assert_eq!(speaks(&drawn.agent), "............####....");
    assert!(paths[0].with_extension("peaks").exists(), "closed");
    assert!(!paths[1].with_extension("peaks").exists(), "still written");
    assert_eq!(peaks::waveform(&paths, 0).unwrap(), drawn, "from the file");
    std::fs::write(paths[0].with_extension("peaks"), b"TLPKdamaged").unwrap();
    assert_eq!(peaks::waveform(&paths, 0).unwrap(), drawn, "made anew");
    assert_eq!(speaks(&peaks::waveform(&paths, 10).unwrap().customer), "..##......");
}

#[test]
fn an_hour_is_opened_without_decoding_it() {
    let head = head(0, 0);
    let mut octets = Vec::new();
    track::encode_head(&mut octets, &head, 0);
    for n in 0..18_000 {
        track::encode_audio(&mut octets, &head, Codec::Pcma, n * track::BLOCK_US, 200_000, &[0xD5; 1_600]);
    }
    assert_eq!(TrackIndex::read(octets.as_slice()).unwrap().pieces.len(), 18_000);
    let (_folder, paths) = write(&[octets]);
    let rendering = Rendering::open(&paths).unwrap();
    assert_eq!(rendering.duration_ms(), 3_600_000);
    assert_eq!(rendering.read_range(rendering.len() - 8, 8).unwrap(), [8, 0, 0, 0, 8, 0, 0, 0]);
}

#[test]
fn losses_and_pauses_of_both_sides_are_found_silence_is_none() {
    let of = |n: u8, gaps: &[(GapKind, u64, u64)]| {
        let head = head(n, 100);
        let mut octets = Vec::new();
        track::encode_head(&mut octets, &head, head.axis_us);
        for (kind, from_ms, to_ms) in gaps {
            track::encode_gap(&mut octets, &head, *kind, from_ms * MS, (to_ms - from_ms) * MS);
        }
        octets
    };
    let customer = of(0, &[(GapKind::Silence, 100, 400), (GapKind::Paused, 400, 90_000), (GapKind::Lost, 90_000, 90_060)]);
    let agent = of(1, &[(GapKind::Silence, 100, 900), (GapKind::Lost, 900, 1_000)]);
    let (_folder, paths) = write(&[customer, agent, Vec::new()]);
    let gap = |party, kind, from_ms, to_ms| PartyGap { party, kind, from_ms, to_ms };
    let paused = gap(Party::Customer, GapKind::Paused, 400, 90_000);
    let lost = [gap(Party::Agent, GapKind::Lost, 900, 1_000), gap(Party::Customer, GapKind::Lost, 90_000, 90_060)];
    assert_eq!(gaps::of_call(&paths, 10).unwrap(), [paused, lost[0], lost[1]]);
    assert_eq!(gaps::of_call(&paths, 2).unwrap(), [paused, lost[0]], "the longest");
}

#[test]
fn a_track_that_begins_between_two_samples_keeps_its_first_block() {
    let mut head = head(0, 100);
    head.axis_us += 110;
    let (_folder, paths) = write(&[file(&head, &[(100, 900)], Some(900))]);
    let index = TrackIndex::load(&paths[0]).unwrap();
    assert!(index.pieces.iter().all(|piece| matches!(piece.content, Content::Audio { .. })), "{:?}", index.pieces);
    assert_eq!((index.pieces[0].start_us, gaps::of_call(&paths, 10).unwrap()), (100_000, Vec::new()));
}
