//! What a transcribed call holds in memory, counted by the octet: of each leg, and of each second of speech that waits for words.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    path::Path,
    sync::atomic::{AtomicI64, Ordering::Relaxed},
};

use throughline::{
    domain::media::{
        plan::Codec,
        tap::TapOpen,
        time_axis::{Chunk, ChunkKind},
    },
    ids::{InteractionId, LegId, Party, RecordingId},
    protocol::audio::g711,
    service::speech::{
        Heard, HeardWord, Key, RATE, Request, Thresholds, file,
        live::{
            NoMask,
            call::{LiveCall, Out},
        },
    },
    time::UnixMs,
};

struct Counting;

/// Octets that are allocated and not yet freed.
static HELD: AtomicI64 = AtomicI64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator is an unsafe trait; every call is passed to the system's unchanged")]
// SAFETY: every method hands its arguments to `System` and returns what it returns.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size() as i64, Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as i64, Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        HELD.fetch_add(size as i64 - layout.size() as i64, Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Samples of a packet.
const PACKET: usize = 160;
/// What a leg may hold while nobody speaks: levels of 12 s, histograms, half a second of sound.
const LEG_MAX: i64 = 24_000;
/// What a second of speech may cost while it is spoken or waits for words: an octet a sample, and flags.
const SECOND_MAX: i64 = 8_500;
/// What an utterance may leave: its account, and its words while an echo of it is looked for.
const SETTLED_MAX: i64 = 2_000;

fn legs() -> [LegId; 2] {
    [1, 2].map(|n| LegId::new(UnixMs(1), [n; 10]))
}

/// A call between two people.
struct Talk {
    call: LiveCall,
    packets: usize,
    before: i64,
    /// What the workers were asked and have not answered.
    asked: Vec<Request>,
    /// Milliseconds of speech in all utterances so far, and how many there were.
    asked_ms: i64,
    asked_count: i64,
}

impl Talk {
    fn new() -> Self {
        let before = HELD.load(Relaxed);
        let mut call = LiveCall::new(InteractionId::new(UnixMs(1), [1; 10]), true, Box::new(NoMask));
        for (leg, party) in legs().into_iter().zip([Party::Customer, Party::Agent]) {
            let recording = RecordingId::new(UnixMs(1), [1; 10]);
            let interaction = InteractionId::new(UnixMs(1), [1; 10]);
            let (codec, axis_start_wall) = (Codec::Pcma, UnixMs(1));
            assert!(call.open(&TapOpen { recording, interaction, leg, party, codec, axis_start_wall, axis_us: 0 }));
        }
        Self { call, packets: 0, before, asked: Vec::new(), asked_ms: 0, asked_count: 0 }
    }

    /// Both speak for so many packets; questions about unfinished utterances are refused, as busy workers do.
    fn speak(&mut self, sides: [&[i16]; 2], packets: usize) {
        for n in 0..packets {
            let now_us = ((self.packets + 1) * PACKET) as u64 * 125;
            for (leg, side) in legs().into_iter().zip(sides) {
                let samples = (0..PACKET).map(|i| side[(n * PACKET + i) % side.len()]);
                let kind = ChunkKind::Audio { codec: Codec::Pcma, payload: samples.map(g711::linear_to_alaw).collect() };
                self.call.chunk(leg, &Chunk { axis_start_us: now_us - 20_000, duration_us: 20_000, kind }, now_us);
            }
            self.packets += 1;
            self.call.poll(now_us, true);
            while let Some(out) = self.call.next_out() {
                if let Out::Ask { request, partial: false, .. } = out {
                    self.asked_ms += request.sound.len() as i64 / 8;
                    self.asked_count += 1;
                    self.asked.push(request);
                }
            }
        }
    }

    fn answer_all(&mut self) {
        let now_us = (self.packets * PACKET) as u64 * 125;
        for Request { key, sound, .. } in std::mem::take(&mut self.asked) {
            let words = sound.len() as u32 / 3_000;
            drop(sound);
            self.call.answer(key, Ok(heard(key, words)), Some(&Thresholds::default()), now_us);
        }
        while self.call.next_out().is_some() {}
    }

    fn held(&self) -> i64 {
        HELD.load(Relaxed) - self.before
    }
}

fn heard(key: Key, words: u32) -> Heard {
    let word =
        |n: u32| HeardWord { text: format!("word{}", key.start_ms % 97 + n), from_ms: n * 300, to_ms: n * 300 + 250, probability: 0.9 };
    Heard { language: "en".into(), no_speech: 0.0, logprob: -0.1, words: (0..words).map(word).collect() }
}

#[test]
fn a_transcribed_leg_holds_little_and_a_second_of_speech_its_octets_as_received() {
    let call = file::read_wav(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples/call.wav")).expect("carried");
    let sides = [call[0].samples.as_slice(), call[1].samples.as_slice()];
    let idle: Vec<i16> = (0..RATE as i32).map(|n| (n * 7_919 % 17 - 8) as i16).collect();
    let quiet = [idle.as_slice(), idle.as_slice()];
    // Tables that all legs share are made by the first one.
    Talk::new().speak(sides, 1_000);

    let mut talk = Talk::new();
    talk.speak(quiet, 1_500);
    let resting = talk.held();
    println!("two legs at rest: {resting} octets");
    assert!(resting <= 2 * LEG_MAX, "two legs at rest hold {resting} octets");

    // Nobody answers: what waits is the sound.
    talk.speak(sides, sides[0].len() / PACKET);
    talk.speak(quiet, 100);
    assert!(talk.asked.len() >= 8, "{} utterances", talk.asked.len());
    let waiting = talk.held() - resting;
    let allowed = talk.asked_ms * SECOND_MAX / 1_000 + talk.asked_count * 500;
    println!("{} utterances, {} ms wait: {waiting} octets, {allowed} allowed", talk.asked_count, talk.asked_ms);
    assert!(waiting <= allowed, "{} ms of speech that waits hold {waiting} octets", talk.asked_ms);

    talk.answer_all();
    let after = talk.held() - resting;
    println!("with words: {after} octets");
    assert!(after <= talk.asked_count * SETTLED_MAX, "{} utterances left {after} octets", talk.asked_count);
}

/// A side of the carried call with its pauses cut down to 200 ms: nothing ends an utterance but its length.
fn hurried(samples: &[i16]) -> Vec<i16> {
    let mut quiet = 0;
    let parts = samples.chunks(400).filter(|part| {
        quiet = if part.iter().any(|sample| sample.unsigned_abs() > 500) { 0 } else { quiet + 1 };
        quiet <= 4
    });
    parts.flatten().copied().collect()
}

#[test]
fn legs_that_talk_without_a_pause_hold_what_was_said_since_the_last_cut_and_let_go_of_it() {
    let call = file::read_wav(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples/call.wav")).expect("carried");
    let sides = [hurried(&call[0].samples), hurried(&call[1].samples)];
    Talk::new().speak([&sides[0], &sides[1]], 1_000);

    let mut talk = Talk::new();
    let packets = sides[0].len().min(sides[1].len()) / PACKET;
    let (mut most, mut longest) = (0, 0);
    for n in 0..packets {
        talk.speak([&sides[0][n * PACKET..], &sides[1][n * PACKET..]], 1);
        most = most.max(talk.held());
        longest = talk.asked.iter().map(|request| request.sound.len() / 8).max().unwrap_or(0).max(longest);
        talk.answer_all();
    }
    println!("{packets} packets, {} utterances, the longest {longest} ms: {most} octets at most", talk.asked_count);
    assert!(longest >= 6_000, "the longest utterance has {longest} ms");
    // 10 s of each go on, and the workers were just given as much of one.
    assert!(most <= 2 * (LEG_MAX + 10 * SECOND_MAX) + 10 * SECOND_MAX, "{most} octets");
    talk.speak([&[8], &[8]], 200);
    talk.answer_all();
    let after = talk.held();
    println!("afterwards {after} octets");
    assert!(after <= 2 * LEG_MAX + talk.asked_count * SETTLED_MAX, "{after} octets stay");
}
