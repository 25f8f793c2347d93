//! kill -9 while twenty legs are recorded: every track plays, is closed at the next start, and lost next to nothing.

#![allow(clippy::unwrap_used, reason = "a test stops where it must")]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crossbeam_channel::never;
use throughline::{
    domain::media::{
        plan::Codec,
        tap::{TAP_PAYLOAD_MAX, Tap, TapFrame, TapOpen},
    },
    ids::{InteractionId, LegId, Party, RecordingId},
    service::{
        recorder::{Recorder, RecorderConfig, index::TrackIndex, paths, recover, render::Rendering},
        taps,
    },
    time::UnixMs,
};

const LEGS: u8 = 20;
const ROOT: &str = "THROUGHLINE_TEST_RECORDINGS";
const WALL: UnixMs = UnixMs(1_774_100_000_000);
/// What a kill may lose; the aim is half of it.
const MAY_LOSE_MS: u32 = 1_000;

fn head(n: u8) -> TapOpen {
    TapOpen {
        recording: RecordingId::new(WALL, [n; 10]),
        interaction: InteractionId::new(WALL, [n / 2; 10]),
        leg: LegId::new(WALL, [n; 10]),
        party: if n.is_multiple_of(2) { Party::Customer } else { Party::Agent },
        codec: Codec::Pcma,
        axis_start_wall: WALL,
        axis_us: 0,
    }
}

/// The process that is killed: one frame per leg every 20 ms; says how far it has got. Without a folder to record to it has nothing to do.
#[test]
fn the_process_that_is_killed_records_until_then() {
    let Some(root) = std::env::var_os(ROOT) else { return };
    let (mut send, taps) = taps::channel(4_096);
    let config = RecorderConfig::new(PathBuf::from(root));
    let _recorder = Recorder::start(&config, taps, |event| println!("{event:?}")).unwrap();
    for n in 0..LEGS {
        assert_eq!(send.offer(Tap::Open(head(n))), None);
    }
    for tick in 1..3_000u64 {
        let _ = never::<()>().recv_timeout(Duration::from_millis(20));
        for n in 0..LEGS {
            let frame = TapFrame {
                leg: head(n).leg,
                source: 0,
                arrival_us: tick * 20_000,
                ext_seq: tick,
                ext_ts: tick * 160,
                codec: Codec::Pcma,
                len: 160,
                payload: [n; TAP_PAYLOAD_MAX],
            };
            assert!(send.offer_frame(&frame));
        }
        send.flush();
        println!("at {}", tick * 20);
    }
}

/// Runs the child until it has got past `until_ms`, kills it, and returns how far it had certainly got.
fn record_and_kill(root: &Path, until_ms: u32) -> u32 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_process_that_is_killed_records_until_then", "--nocapture"])
        .env(ROOT, root)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut got_ms = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        assert!(!line.contains("Trouble"), "{line}");
        got_ms = line.strip_prefix("at ").and_then(|ms| ms.parse().ok()).unwrap_or(got_ms);
        if got_ms > until_ms {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    got_ms
}

#[test]
fn a_kill_loses_less_than_a_second_of_each_of_twenty_legs() {
    let root = tempfile::tempdir().unwrap();
    if free_octets_are_few(root.path()) {
        println!("skipped: less than the recorder's reserve is free");
        return;
    }
    let got_ms = record_and_kill(root.path(), 1_730);
    let found = recover::recover(root.path()).unwrap();
    assert!(found.failed.is_empty(), "{:?}", found.failed);
    assert_eq!(found.tracks.len(), usize::from(LEGS));
    let lost: Vec<_> = found.tracks.iter().map(|track| got_ms.saturating_sub(track.end_ms)).collect();
    println!("said {got_ms} ms, lost at most {:?} ms", lost.iter().max());
    for n in 0..LEGS {
        let track = found.tracks.iter().find(|track| track.head == head(n)).expect("each leg's track");
        assert!(track.end_ms + MAY_LOSE_MS >= got_ms, "leg {n} ends at {} of {got_ms} ms", track.end_ms);
        let files = paths::tracks_of(root.path(), track.head.interaction).unwrap();
        assert_eq!(files.len(), 2);
        let file = paths::track(root.path(), track.head.interaction, track.head.recording);
        assert!(TrackIndex::load(&file).unwrap().closing.is_some());
        let call = Rendering::open(&files).unwrap();
        assert!(call.duration_ms() >= u64::from(track.end_ms));
        assert!(call.read_range(44 + 32_000, 400).unwrap().iter().any(|octet| *octet != 0));
    }
}

fn free_octets_are_few(root: &Path) -> bool {
    use throughline::service::recorder::{
        Settings,
        storage::{Folder, Storage},
    };
    Folder::open(root).unwrap().free_octets().unwrap() < Settings::default().reserve_octets
}
