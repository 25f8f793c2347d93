//! Drain and writer: in simulated time on a disk that misbehaves, then as threads on real files.

use std::{
    collections::HashMap,
    io::{self, Write},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::*;
use crate::domain::media::feed::Feed;
use crate::service::recorder::{
    Counters, Recorder, RecorderConfig, RecorderEvent, Settings, clock,
    drain::{Drain, ToWriter},
    index::TrackIndex,
    paths, recover,
    storage::Storage,
    writer::Writer,
};
use crate::service::taps::channel;

/// A disk in memory that can fail.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<DiskState>>);

#[derive(Default)]
struct DiskState {
    files: HashMap<RecordingId, Vec<u8>>,
    closed: Vec<RecordingId>,
    /// Writes stop half way with "no space left".
    full: bool,
    /// Free octets are below any reserve.
    crowded: bool,
}

struct DiskFile(Disk, RecordingId);

impl Write for DiskFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut disk = self.0.0.lock().unwrap();
        let full = disk.full;
        let file = disk.files.entry(self.1).or_default();
        if !full {
            file.extend_from_slice(octets);
            return Ok(octets.len());
        }
        // The last page takes a part, then nothing fits.
        let part = octets.len() % 7;
        file.extend_from_slice(&octets[..part]);
        if part == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(part) }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Storage for Disk {
    fn open(&self, head: &TapOpen) -> io::Result<Box<dyn Write + Send>> {
        Ok(Box::new(DiskFile(self.clone(), head.recording)))
    }
    fn closed(&self, head: &TapOpen) -> io::Result<()> {
        self.0.lock().unwrap().closed.push(head.recording);
        Ok(())
    }
    fn free_octets(&self) -> io::Result<u64> {
        Ok(if self.0.lock().unwrap().crowded { 1_000 } else { u64::MAX })
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Drain, writer and disk in simulated time.
struct Bench {
    disk: Disk,
    drain: Drain,
    /// The way to the writer, for a drain of a test's own.
    to_writer: Option<Sender<ToWriter>>,
    queue: Receiver<ToWriter>,
    writer: Writer,
    events: Receiver<RecorderEvent>,
    counters: Arc<Counters>,
    start: Instant,
    /// Simulated milliseconds, and those at which trouble and its end were told.
    now_ms: Arc<AtomicU64>,
    told_at: Arc<Mutex<Vec<u64>>>,
}

impl Bench {
    fn new(queue_blocks: usize) -> Self {
        let disk = Disk::default();
        let counters = Arc::new(Counters::default());
        let (to_writer, queue) = bounded(queue_blocks);
        let (tell, events) = unbounded();
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let (now_ms, told_at) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (now, told) = (now_ms.clone(), told_at.clone());
        let on_event = Box::new(move |event| {
            if matches!(event, RecorderEvent::Trouble { .. } | RecorderEvent::Recovered) {
                told.lock().unwrap().push(now.load(Relaxed));
            }
            tell.send(event).unwrap();
        });
        let writer = Writer::new(storage, Settings::default(), counters.clone(), on_event);
        let drain = Drain::new(to_writer.clone(), counters.clone());
        Self { disk, drain, to_writer: Some(to_writer), queue, writer, events, counters, start: clock(), now_ms, told_at }
    }

    /// Plays taps at their times; `disk` sees the milliseconds and says whether the writer gets to run.
    fn play(&mut self, taps: Vec<(u64, Tap)>, mut disk: impl FnMut(u64, &mut DiskState) -> bool) {
        let mut taps = taps.into_iter().peekable();
        let mut ms = 0;
        while taps.peek().is_some() || !self.queue.is_empty() {
            let now = self.start + Duration::from_millis(ms);
            self.now_ms.store(ms, Relaxed);
            while let Some((_, tap)) = taps.next_if(|(at_us, _)| *at_us <= ms * MS) {
                self.drain.take(now, tap);
            }
            self.drain.poll(now);
            if disk(ms, &mut self.disk.0.lock().unwrap()) {
                while let Ok(message) = self.queue.try_recv() {
                    self.writer.take(now, message);
                }
                self.writer.poll(now);
            }
            ms += 20;
        }
    }

    fn index(&self, head: &TapOpen) -> TrackIndex {
        TrackIndex::read(self.disk.0.lock().unwrap().files[&head.recording].as_slice()).unwrap()
    }
}

fn closed_as(event: &RecorderEvent) -> (u32, u32, u32, Option<&str>) {
    match event {
        RecorderEvent::Closed { to_ms, lost_ms, paused_ms, trouble, .. } => (*to_ms, *lost_ms, *paused_ms, trouble.as_deref()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_quiet_disk_loses_nothing_and_the_track_is_told_once() {
    let (head, mut bench) = (head(0, 0), Bench::new(64));
    bench.play(taps(&head, &[(0, 5_000)], 6_000), |_, _| true);
    let events: Vec<_> = bench.events.try_iter().collect();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(closed_as(&events[0]), (6_000, 0, 0, None));
    let index = bench.index(&head);
    assert_eq!(index.totals().audio_us, 5_000 * MS);
    assert_eq!(index.closing.map(|closing| closing.totals), Some(index.totals()));
    assert_eq!(bench.disk.0.lock().unwrap().closed, [head.recording]);
}

#[test]
fn a_pause_is_marked_and_counted() {
    let (head, mut bench) = (head(0, 0), Bench::new(64));
    let mut played = taps(&head, &[(0, 2_000)], 2_000);
    played.push((500 * MS, Tap::Pause { leg: head.leg, axis_us: 500 * MS }));
    played.push((1_500 * MS, Tap::Resume { leg: head.leg, axis_us: 1_500 * MS }));
    played.sort_by_key(|(at_us, _)| *at_us);
    bench.play(played, |_, _| true);
    assert_eq!(closed_as(&bench.events.recv().unwrap()), (2_000, 0, 1_000, None));
}

#[test]
fn a_writer_that_stalls_ten_seconds_loses_nothing_with_room_in_the_queue() {
    let (head, mut bench) = (head(0, 0), Bench::new(64));
    bench.play(taps(&head, &[(0, 20_000)], 20_000), |ms, _| !(4_000..14_000).contains(&ms));
    assert_eq!(closed_as(&bench.events.recv().unwrap()), (20_000, 0, 0, None));
    assert_eq!(bench.index(&head).totals().audio_us, 20_000 * MS);
}

#[test]
fn a_writer_that_stalls_longer_leaves_a_marked_hole_and_goes_on() {
    let (head, mut bench) = (head(0, 0), Bench::new(20));
    bench.play(taps(&head, &[(0, 20_000)], 20_000), |ms, _| !(4_000..14_000).contains(&ms));
    let events: Vec<_> = bench.events.try_iter().collect();
    assert!(matches!(&events[0], RecorderEvent::Trouble { sentence } if sentence.contains("faster disk")), "{events:?}");
    assert_eq!(events.len(), 2);
    let (to_ms, lost_ms, _, trouble) = closed_as(&events[1]);
    bench.writer.poll(bench.start + Duration::from_secs(30));
    assert_eq!(bench.events.try_iter().collect::<Vec<_>>(), [RecorderEvent::Recovered]);
    assert!(to_ms == 20_000 && (5_000..7_000).contains(&lost_ms) && trouble.is_some(), "{events:?}");
    let totals = bench.index(&head).totals();
    assert_eq!(totals.audio_us + totals.unwritten_us, 20_000 * MS);
    assert_eq!(totals.unwritten_us, u64::from(lost_ms) * MS);
    assert!(bench.counters.blocks_dropped_queue.load(std::sync::atomic::Ordering::Relaxed) >= 25);
}

#[test]
fn a_full_disk_is_told_once_and_recording_resumes_when_there_is_room() {
    let ((left, right), mut bench) = ((head(0, 0), head(1, 0)), Bench::new(64));
    let mut played = [taps(&left, &[(0, 20_000)], 20_000), taps(&right, &[(0, 20_000)], 20_000)].concat();
    played.sort_by_key(|(at_us, _)| *at_us);
    bench.play(played, |ms, disk| {
        disk.full = (5_000..9_000).contains(&ms);
        true
    });
    let events: Vec<_> = bench.events.try_iter().collect();
    assert!(matches!(&events[0], RecorderEvent::Trouble { sentence } if sentence.contains("make room")), "{events:?}");
    assert_eq!(events[1], RecorderEvent::Recovered);
    assert_eq!(events.len(), 4, "{events:?}");
    for (head, event) in [(&left, &events[2]), (&right, &events[3])] {
        let index = bench.index(head);
        let (_, lost_ms, _, trouble) = closed_as(event);
        assert!((4_000..8_000).contains(&lost_ms) && trouble.is_some_and(|text| text.contains("make room")), "{event:?}");
        assert_eq!(index.totals().unwritten_us, u64::from(lost_ms) * MS);
        assert!(index.closing.is_some());
    }
}

#[test]
fn a_disk_without_room_is_told_within_five_seconds_and_recording_goes_on_within_ten_of_its_end() {
    // The disk is full, or only the reserve is left; at any place between two looks for room and two tries.
    for (crowded, shift_ms) in [(false, 0), (false, 1_370), (false, 2_990), (true, 0), (true, 640), (true, 2_100)] {
        let (head, mut bench) = (head(0, 0), Bench::new(64));
        let (from, to) = (5_000 + shift_ms, 65_000 + 2 * shift_ms);
        bench.play(taps(&head, &[(0, 90_000)], 90_000), |ms, disk| {
            let without_room = (from..to).contains(&ms);
            (disk.full, disk.crowded) = (without_room && !crowded, without_room && crowded);
            true
        });
        let told = bench.told_at.lock().unwrap().clone();
        assert_eq!(told.len(), 2, "told once, and once that it is over: {told:?}");
        assert!((from..from + 5_000).contains(&told[0]), "without room from {from} on, told at {}", told[0]);
        assert!((to..to + 10_000).contains(&told[1]), "room from {to} on, over at {}", told[1]);
        let totals = bench.index(&head).totals();
        assert!(totals.unwritten_us < (to - from + 10_000) * MS && totals.unwritten_us + totals.audio_us == 90_000 * MS, "{totals:?}");
    }
}

#[test]
fn the_reserve_is_left_to_the_record() {
    let (head, mut bench) = (head(0, 0), Bench::new(64));
    bench.play(taps(&head, &[(0, 2_000)], 2_000), |_, disk| {
        disk.crowded = true;
        true
    });
    assert!(bench.disk.0.lock().unwrap().files.is_empty());
    let events: Vec<_> = bench.events.try_iter().collect();
    assert!(matches!(&events[0], RecorderEvent::Trouble { sentence } if sentence.contains("256 MB")), "{events:?}");
    assert_eq!(closed_as(&events[1]).1, 2_000);
}

#[test]
fn a_track_that_ends_on_a_full_disk_gets_its_closing_block_later() {
    let (head, mut bench) = (head(0, 0), Bench::new(64));
    bench.play(taps(&head, &[(0, 2_000)], 2_000), |ms, disk| {
        disk.full = ms >= 1_000;
        true
    });
    assert!(bench.index(&head).closing.is_none());
    bench.disk.0.lock().unwrap().full = false;
    bench.writer.poll(bench.start + Duration::from_secs(8));
    let events: Vec<_> = bench.events.try_iter().collect();
    assert_eq!(events.iter().filter(|event| matches!(event, RecorderEvent::Closed { .. })).count(), 1, "{events:?}");
    assert_eq!(events.last(), Some(&RecorderEvent::Recovered));
    let index = bench.index(&head);
    assert_eq!(index.closing.map(|closing| closing.totals), Some(index.totals()));
    assert_eq!(index.end_us, 2_000 * MS);
}

#[test]
fn frames_of_unknown_legs_are_counted_and_go_nowhere() {
    let mut bench = Bench::new(8);
    let frames = talk(&head(4, 0), 0, 100).into_iter().map(|frame| (frame.arrival_us, Tap::Frame(frame))).collect();
    bench.play(frames, |_, _| true);
    assert_eq!(bench.counters.frames_without_track.load(std::sync::atomic::Ordering::Relaxed), 5);
}

#[test]
fn a_suppressed_silence_does_not_hold_back_what_was_said_before_it() {
    let (head, mut bench) = (head(0, 0), Bench::new(8));
    let mut played = taps(&head, &[(0, 100)], 0);
    played.pop();
    bench.play(played, |_, _| true);
    bench.drain.poll(bench.start + Duration::from_millis(350));
    assert_eq!(bench.queue.len(), 1, "100 ms of speech, 250 ms later");
}

#[test]
fn a_live_front_end_without_room_costs_pieces_that_are_counted_and_no_recording() {
    let (head, mut bench) = (head(0, 0), Bench::new(64));
    let (fed, room) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(u64::MAX)));
    let (heard, left) = (fed.clone(), room.clone());
    let sink = Box::new(move |_, feed| {
        if left.load(Relaxed) == 0 {
            return Some(feed);
        }
        left.fetch_sub(1, Relaxed);
        heard.lock().unwrap().push(feed);
        None
    });
    bench.drain = Drain::new(bench.to_writer.take().unwrap(), bench.counters.clone()).feeding(Some(sink));
    bench.play(taps(&head, &[(0, 6_000)], 6_000), |ms, _| {
        // From the third second to the fourth, and again when the track ends.
        room.store(if (2_000..4_000).contains(&ms) || ms >= 5_990 { 0 } else { u64::MAX }, Relaxed);
        true
    });
    room.store(u64::MAX, Relaxed);
    bench.drain.poll(bench.start + Duration::from_secs(7));
    assert_eq!(closed_as(&bench.events.recv().unwrap()), (6_000, 0, 0, None), "the track is whole");
    assert_eq!(bench.index(&head).totals().audio_us, 6_000 * MS);
    let fed = fed.lock().unwrap();
    assert!(
        matches!((&fed[0], fed.last()), (Feed::Open(_), Some(Feed::Close { axis_us, .. })) if *axis_us == 6_000 * MS),
        "the end waited"
    );
    let pieces: Vec<_> = fed.iter().filter_map(|feed| if let Feed::Chunk { chunk, .. } = feed { Some(chunk) } else { None }).collect();
    let dropped = bench.counters.feed_dropped.load(Relaxed);
    assert_eq!(pieces.len() as u64 + dropped, 300, "every piece of 20 ms was heard or counted");
    assert!((95..=105).contains(&dropped), "{dropped} were dropped");
    let hole = pieces.windows(2).map(|two| two[1].axis_start_us - two[0].axis_start_us - two[0].duration_us).max();
    assert!(hole.is_some_and(|us| us >= 1_900 * MS), "the next piece shows the hole by where it begins: {hole:?}");
}

/// Waits for events with a deadline.
fn next(events: &Receiver<RecorderEvent>) -> RecorderEvent {
    events.recv_timeout(Duration::from_secs(20)).expect("an event within 20 s")
}

#[test]
fn on_real_files_a_call_is_recorded_closed_and_found_again() {
    let root = tempfile::tempdir().unwrap();
    let (mut send, taps_in) = channel(1_024);
    let (tell, events) = unbounded();
    let config = RecorderConfig {
        settings: Settings { reserve_octets: 0, ..Settings::default() },
        ..RecorderConfig::new(root.path().join("recordings"))
    };
    let recorder = Recorder::start(&config, taps_in, move |event| tell.send(event).unwrap()).unwrap();
    let (ended, open) = (head(0, 0), head(1, 0));
    for (_, tap) in taps(&ended, &[(0, 1_000)], 1_000) {
        assert_eq!(send.offer(tap), None);
    }
    let mut unfinished = taps(&open, &[(0, 600)], 600);
    unfinished.pop();
    for (_, tap) in unfinished {
        assert_eq!(send.offer(tap), None);
    }
    send.flush();
    assert_eq!(closed_as(&next(&events)), (1_000, 0, 0, None));
    recorder.shutdown();
    assert!(matches!(next(&events), RecorderEvent::Closed { recording, .. } if recording == open.recording));
    let files = paths::tracks_of(&config.root, ended.interaction).unwrap();
    assert_eq!(files.len(), 2);
    for (path, head) in files.iter().zip([&ended, &open]) {
        let index = TrackIndex::load(path).unwrap();
        assert_eq!((&index.head, index.closing.is_some()), (head, true));
        assert!(path.with_extension("peaks").exists());
    }
    assert!(recover::recover(&config.root).unwrap().tracks.is_empty(), "nothing was left unclosed");
}

#[test]
fn a_folder_that_cannot_be_written_is_told_and_ends_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (mut send, taps_in) = channel(1_024);
    let (tell, events) = unbounded();
    let config = RecorderConfig {
        settings: Settings { reserve_octets: 0, ..Settings::default() },
        ..RecorderConfig::new(root.path().join("recordings"))
    };
    let recorder = Recorder::start(&config, taps_in, move |event| tell.send(event).unwrap()).unwrap();
    let head = head(0, 0);
    // A file stands where the year's folder has to be.
    let year = paths::folder(&config.root, head.interaction);
    std::fs::write(year.ancestors().nth(3).unwrap(), b"in the way").unwrap();
    for (_, tap) in taps(&head, &[(0, 600)], 600) {
        assert_eq!(send.offer(tap), None);
    }
    send.flush();
    assert!(matches!(next(&events), RecorderEvent::Trouble { .. }));
    assert_eq!(closed_as(&next(&events)).1, 600);
    recorder.shutdown();
}
