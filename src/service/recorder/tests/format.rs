//! Blocks: what was written is read; torn tails, flipped bits and any octets at all.

use proptest::prelude::*;

use super::*;
use crate::service::recorder::{
    index::{Content, TrackError, TrackIndex},
    paths, recover,
    render::Rendering,
    storage::{Folder, Storage},
    track::GapKind,
};

/// `audio 0-200, silence 200-300`, milliseconds; neighbours of one kind are joined.
pub(super) fn picture(index: &TrackIndex) -> String {
    let mut joined: Vec<(String, u64, u64)> = Vec::new();
    for piece in &index.pieces {
        let name = match piece.content {
            Content::Audio { .. } => "audio".to_owned(),
            Content::Gap(kind) => format!("{kind:?}").to_lowercase(),
        };
        match joined.last_mut() {
            Some((last, _, to)) if *last == name && *to == piece.start_us => *to = piece.end_us,
            _ => joined.push((name, piece.start_us, piece.end_us)),
        }
    }
    joined.iter().map(|(name, from, to)| format!("{name} {}-{}", from / MS, to / MS)).collect::<Vec<_>>().join(", ")
}

fn read(octets: &[u8]) -> TrackIndex {
    TrackIndex::read(octets).unwrap()
}

fn assert_touching(index: &TrackIndex) {
    for pair in index.pieces.windows(2) {
        assert_eq!(pair[0].end_us, pair[1].start_us);
    }
}

#[test]
fn what_was_written_is_read() {
    let head = head(0, 100);
    let octets = file(&head, &[(200, 1_000), (1_500, 1_560)], Some(2_000));
    let index = read(&octets);
    assert_eq!(picture(&index), "silence 100-200, audio 200-1000, silence 1000-1500, audio 1500-1560, silence 1560-2000");
    assert_eq!((index.head.clone(), index.end_us, index.damaged_octets, index.torn_octets), (head, 2_000 * MS, 0, 0));
    assert!(index.closing.is_some());
    let longest = index.pieces.iter().filter(|p| matches!(p.content, Content::Audio { .. })).map(|p| p.end_us - p.start_us).max();
    assert_eq!(longest, Some(track::BLOCK_US));
    assert_eq!(index.totals().audio_us, 860 * MS);
}

#[test]
fn a_gap_longer_than_a_block_takes_several() {
    let head = head(0, 0);
    let mut octets = Vec::new();
    track::encode_head(&mut octets, &head, 0);
    track::encode_gap(&mut octets, &head, GapKind::Paused, 0, 3_600_000 * MS);
    assert_eq!(picture(&read(&octets)), "paused 0-3600000");
    assert_eq!(read(&octets).pieces.len(), 60);
}

#[test]
fn a_tail_torn_at_any_octet_of_the_last_block_loses_that_block_only() {
    let head = head(0, 0);
    let octets = file(&head, &[(0, 600)], None);
    let whole = file(&head, &[(0, 400)], None).len();
    for end in whole..octets.len() {
        let index = read(&octets[..end]);
        assert_eq!(picture(&index), "audio 0-400", "torn at {end}");
        assert_eq!(index.torn_octets, (end - whole) as u64);
        // Closed by the next start, the torn octets stay where they are.
        let mut closed = octets[..end].to_vec();
        track::encode_close(&mut closed, &head, index.end_us, &Closing { reason: CloseReason::Crash, totals: index.totals() });
        let index = read(&closed);
        assert_eq!((picture(&index).as_str(), index.closing.is_some(), index.torn_octets), ("audio 0-400", true, 0), "torn at {end}");
    }
}

#[test]
fn a_flipped_octet_anywhere_loses_one_block_and_is_told() {
    let head = head(0, 0);
    let octets = file(&head, &[(0, 600)], Some(600));
    for at in 0..octets.len() {
        let mut flipped = octets.clone();
        flipped[at] ^= 0x04;
        let index = read(&flipped);
        assert_touching(&index);
        assert_eq!((&index.head, index.end_us), (&head, 600 * MS), "octet {at}");
        let totals = index.totals();
        assert_eq!(totals.audio_us + totals.unwritten_us, 600 * MS, "octet {at}: {}", picture(&index));
        assert!(totals.unwritten_us <= track::BLOCK_US, "octet {at}: {}", picture(&index));
        assert!(index.damaged_octets + index.torn_octets > 0, "octet {at}");
    }
}

#[test]
fn a_lost_block_is_a_marked_hole() {
    let head = head(0, 0);
    let octets = file(&head, &[(0, 1_000)], Some(1_000));
    let (from, to) = (file(&head, &[(0, 400)], None).len(), file(&head, &[(0, 600)], None).len());
    let index = read(&[&octets[..from], &octets[to..]].concat());
    assert_eq!(picture(&index), "audio 0-400, unwritten 400-600, audio 600-1000");
}

#[test]
fn blocks_of_another_leg_are_passed_over() {
    let (ours, theirs) = (head(0, 0), head(1, 0));
    let octets = [file(&ours, &[(0, 200)], None), file(&theirs, &[(200, 400)], None), file(&ours, &[(0, 400)], Some(400))].concat();
    let index = read(&octets);
    assert_eq!(index.head, ours);
    assert_touching(&index);
}

#[test]
fn a_file_without_a_head_is_no_track() {
    for octets in [&[][..], b"RIFF", &track::MAGIC, &[0; 5_000]] {
        assert!(matches!(TrackIndex::read(octets), Err(TrackError::NoHead)));
    }
}

#[test]
fn a_kill_at_any_moment_leaves_a_track_that_plays_and_is_closed_at_the_next_start() {
    let root = tempfile::tempdir().unwrap();
    let head = head(0, 0);
    let octets = file(&head, &[(0, 900)], None);
    let path = paths::track(root.path(), head.interaction, head.recording);
    for end in (0..=octets.len()).step_by(97) {
        let folder = Folder::open(root.path()).unwrap();
        let _ = std::fs::remove_file(&path);
        folder.open(&head).unwrap().write_all(&octets[..end]).unwrap();
        let before = TrackIndex::load(&path).map(|index| index.end_us).unwrap_or(0);
        let playing = Rendering::open(std::slice::from_ref(&path)).unwrap();
        assert_eq!(playing.duration_ms(), before / MS);
        let found = recover::recover(root.path()).unwrap();
        assert!(found.failed.is_empty());
        if let Some(track) = found.tracks.first() {
            assert_eq!((&track.head, u64::from(track.end_ms)), (&head, before / MS), "killed at {end}");
            assert_eq!(TrackIndex::load(&path).unwrap().closing.map(|closing| closing.reason), Some(CloseReason::Crash));
        } else {
            assert_eq!(before, 0);
        }
        assert!(recover::recover(root.path()).unwrap().tracks.is_empty(), "a second start finds nothing");
    }
}

proptest! {
    #[test]
    fn any_octets_are_read_without_a_panic(octets in proptest::collection::vec(any::<u8>(), 0..3_000)) {
        let _ = TrackIndex::read(octets.as_slice());
        let _ = TrackIndex::read([file(&head(0, 0), &[(0, 100)], None), octets].concat().as_slice());
    }

    #[test]
    fn a_track_with_holes_and_noise_still_makes_touching_pieces(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), proptest::collection::vec(any::<u8>(), 0..40)), 1..6)
    ) {
        let mut octets = file(&head(0, 0), &[(0, 800), (1_200, 1_500)], Some(1_600));
        for (from, to, noise) in cuts {
            let (from, to) = (from.index(octets.len()), to.index(octets.len()));
            if from < to && to - from < 3_000 {
                octets.splice(from..to, noise);
            }
        }
        if let Ok(index) = TrackIndex::read(octets.as_slice()) {
            assert_touching(&index);
            prop_assert!(index.end_us <= 1_600 * MS);
        }
    }
}
