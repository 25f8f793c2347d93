//! Stretches overwritten in place, whole and cut off in the middle.

use std::{fs, path::PathBuf};

use super::{format::picture, *};
use crate::service::recorder::{
    gaps,
    index::TrackIndex,
    peaks,
    redact::{self, Stretch},
    render::{self, Rendering},
    track::GapKind,
};

/// Two legs that talk for ten seconds, on disk.
fn call(folder: &tempfile::TempDir) -> Vec<PathBuf> {
    [0, 1]
        .map(|n| {
            let path = folder.path().join(format!("{n}.track"));
            fs::write(&path, file(&head(n, 0), &[(0, 10_000)], Some(10_000))).expect("written");
            peaks::write(&path).expect("peaks");
            path
        })
        .to_vec()
}

fn stretch(from_ms: u32, to_ms: u32) -> Stretch {
    Stretch { leg: head(0, 0).leg, from_ms, to_ms }
}

#[test]
fn a_stretch_is_gone_from_both_legs_with_its_margins_and_nothing_else() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let tracks = call(&folder);
    let before: Vec<u64> = tracks.iter().map(|path| fs::metadata(path).expect("there").len()).collect();
    let sound = |path: &PathBuf| render::mono_track(path).expect("reads").samples;
    let original = sound(&tracks[0]);
    assert!(redact::call(&tracks, &[stretch(3_110, 5_060)]).expect("redacts") > 10);
    let pictures: Vec<String> = tracks.iter().map(|path| picture(&TrackIndex::load(path).expect("a track"))).collect();
    assert_eq!(pictures[0], "audio 0-2960, redacted 2960-5210, audio 5210-10000");
    assert_eq!(pictures[1], "audio 0-2960, redacted 2960-5560, audio 5560-10000");
    for (path, length) in tracks.iter().zip(before) {
        let index = TrackIndex::load(path).expect("a track");
        assert_eq!((fs::metadata(path).expect("there").len(), index.damaged_octets, index.torn_octets), (length, 0, 0));
        assert!(index.closing.is_some() && index.totals().paused_us > 2_000 * MS);
    }
    let now = sound(&tracks[0]);
    assert!(now[2_960 * 8..5_210 * 8].iter().all(|s| *s == 0));
    assert_eq!((&now[..2_960 * 8], &now[5_210 * 8..]), (&original[..2_960 * 8], &original[5_210 * 8..]));
    // The octets themselves are gone from the file, not only the way to them.
    let zeroes = fs::read(&tracks[0]).expect("reads").iter().filter(|octet| **octet == 0).count();
    assert!(zeroes > (5_210 - 2_960) * 8, "{zeroes}");
    let shown = gaps::of_call(&tracks, 10).expect("reads");
    assert!(shown.len() == 2 && shown.iter().all(|gap| gap.kind == GapKind::Redacted));
    let wave = peaks::waveform(&tracks, 0).expect("peaks");
    assert!(wave.customer[60..104].iter().all(|peak| *peak == (0, 0)) && wave.customer[50] != (0, 0));
    let wav = Rendering::open(&tracks).expect("opens").read_range(44 + 3_000 * 32, 2_000 * 32).expect("reads");
    assert!(wav.iter().all(|octet| *octet == 0));
}

#[test]
fn doing_it_again_changes_nothing() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let tracks = call(&folder);
    let wanted = [stretch(1_000, 1_300), stretch(1_400, 1_500), stretch(9_000, 9_990)];
    redact::call(&tracks, &wanted).expect("redacts");
    let once: Vec<_> = tracks.iter().map(|path| fs::read(path).expect("reads")).collect();
    assert_eq!(redact::call(&tracks, &wanted).expect("redacts"), 0);
    assert_eq!(tracks.iter().map(|path| fs::read(path).expect("reads")).collect::<Vec<_>>(), once);
}

#[test]
fn cut_off_after_any_block_the_track_plays_and_the_next_run_finishes() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let tracks = call(&folder);
    let path = &tracks[0];
    let original = fs::read(path).expect("reads");
    redact::call(&tracks, &[stretch(3_110, 5_060)]).expect("redacts");
    let done = fs::read(path).expect("reads");
    let first = (0..done.len()).find(|at| done[*at] != original[*at]).expect("changed");
    let last = (0..done.len()).rfind(|at| done[*at] != original[*at]).expect("changed");
    for cut in (first..=last).step_by(97) {
        // Power may also go in the middle of a block.
        let torn = [&done[..cut], &original[cut..]].concat();
        fs::write(path, &torn).expect("written");
        let index = TrackIndex::load(path).expect("still a track");
        assert_eq!(index.end_us, 10_000 * MS, "cut at {cut}");
        assert!(Rendering::open(&tracks).is_ok());
        redact::call(&tracks, &[stretch(3_110, 5_060)]).expect("redacts");
        let index = TrackIndex::load(path).expect("a track");
        assert_eq!(index.end_us, 10_000 * MS, "cut at {cut}");
        let samples = render::mono_track(path).expect("reads").samples;
        assert!(samples[2_960 * 8..5_210 * 8].iter().all(|s| *s == 0), "cut at {cut}");
        let here = fs::read(path).expect("reads");
        for at in (first..last - 32).step_by(16) {
            let window = at..at + 32;
            let changed = window.clone().all(|n| done[n] != original[n]);
            assert!(!(changed && here[window.clone()] == original[window]), "cut at {cut}: old octets are still there at {at}");
        }
    }
}

#[test]
fn a_stretch_shorter_than_the_headers_takes_the_whole_block() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("0.track");
    // One frame of 20 ms alone.
    fs::write(&path, file(&head(0, 0), &[(1_000, 1_020)], Some(2_000))).expect("written");
    redact::call(std::slice::from_ref(&path), &[stretch(1_163, 1_170)]).expect("redacts");
    assert_eq!(picture(&TrackIndex::load(&path).expect("a track")), "silence 0-1000, redacted 1000-1020, silence 1020-2000");
}
