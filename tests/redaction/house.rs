//! Everything that words and sound pass through, in one folder: recorder, journal, record, speech with a double, live words.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use throughline::{
    domain::{
        fact::{Direction, EndCause, Fact, InteractionOpened},
        insight::{
            redaction::{Rules, mask_typed},
            utterance::{Transcript, Utterance, Word},
        },
        live::{LiveFact, LiveUtterance, LiveWords},
        media::{
            plan::Codec,
            tap::{TAP_PAYLOAD_MAX, Tap, TapFrame, TapOpen},
        },
    },
    ids::{AgentId, Channel, InteractionId, LegId, Party, RecordingId, SipCallId},
    protocol::audio::g711,
    service::{
        jobs::{self, Jobs, Redaction},
        live::LiveHub,
        recorder::{Recorder, RecorderConfig, paths, render},
        speech::{GapKind, Heard, HeardWord, Pool, Request, TranscribeError, Transcriber, file, front_end, model::Thresholds},
        spool::{Spool, SpoolOptions},
        store::{RedactionRow, Store},
        taps::{self, TapSender},
    },
    time::UnixMs,
};

use super::planted::Line;

/// 2026-03-05 09:00 UTC; each call a minute later.
const FIRST: i64 = 1_772_701_200_000;
/// A word in the double's ears.
const WORD_MS: u32 = 100;
/// Silence between lines.
const PAUSE_MS: u32 = 700;

/// A word, when it is said.
#[derive(Clone)]
struct Spoken {
    at_ms: u32,
    text: String,
}

/// What the double hears: the words of the script that lie in the audio it is given.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<HashMap<LegId, Vec<Spoken>>>>);

impl Transcriber for Script {
    fn transcribe(&mut self, request: &Request) -> Result<Heard, TranscribeError> {
        let end = request.key.start_ms + u32::try_from(request.sound.len() / 8).expect("short");
        let mut legs = self.0.lock().expect("no panic before");
        let left = legs.entry(request.key.leg).or_default();
        // A line is cut into pieces where the voice pauses; no word is lost between them, the last piece takes the rest.
        let line_ends = left.windows(2).position(|pair| pair[1].at_ms > pair[0].at_ms + PAUSE_MS).map_or(left.len(), |at| at + 1);
        let inside = left.iter().take(line_ends).take_while(|word| word.at_ms < end).count();
        let rest = left.get(line_ends - 1).filter(|_| line_ends > 0).is_some_and(|last| last.at_ms < end + 400);
        let taken: Vec<Spoken> = left.drain(..if rest { line_ends } else { inside }).collect();
        let words = taken.into_iter().map(|word| {
            let from_ms = word.at_ms.saturating_sub(request.key.start_ms);
            HeardWord { text: word.text, from_ms, to_ms: from_ms + WORD_MS - 10, probability: 0.9 }
        });
        Ok(Heard { language: "en".into(), no_speech: 0.0, logprob: -0.1, words: words.collect() })
    }
}

pub struct House {
    folder: PathBuf,
    rules: Arc<Rules>,
    spool: Spool,
    recorder: Recorder,
    taps: Mutex<TapSender>,
    jobs: Jobs,
    hub: LiveHub,
    script: Script,
    voice: Vec<i16>,
    calls: u8,
    orders: usize,
}

fn leg(n: u8) -> LegId {
    LegId::new(UnixMs(FIRST), [n; 10])
}

impl House {
    pub async fn open(folder: &Path, rules: Arc<Rules>) -> Self {
        let store = Store::open(&folder.join("throughline.db")).await.expect("a record");
        let spool = Spool::start(&folder.join("spool"), store.clone(), SpoolOptions::default(), |_| {}).await.expect("a journal");
        let recordings = folder.join("recordings");
        let (taps, tapped) = taps::channel(100_000);
        let recorder = Recorder::start(&RecorderConfig::new(recordings.clone()), tapped, |_| {}).expect("a recorder");
        let script = Script::default();
        // Whatever the double hears is believed: this is about what happens to words, not how they are judged.
        let lenient = Thresholds { compression_max: 1e6, words_per_voiced_second_max: 1e6, ..Thresholds::default() };
        let pool = Pool::of("double", lenient, vec![Box::new(script.clone())]).expect("threads start");
        let hub = LiveHub::redacting(1, rules.clone());
        let jobs = Jobs {
            store,
            pool: Arc::new(pool),
            tracks: jobs::from_recordings(recordings.clone()),
            live: jobs::LiveSource::default(),
            insight: Arc::default(),
            redaction: Redaction { rules: rules.clone(), audio: jobs::in_recordings(recordings), counters: Arc::default() },
            changed: Arc::new(|_| {}),
            alarm: Arc::new(|_| {}),
        };
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples");
        let voice = ["sample-1.wav", "sample-8.wav"]
            .iter()
            .flat_map(|name| file::read_wav(&samples.join(name)).expect("carried").remove(0).samples);
        Self {
            folder: folder.to_owned(),
            rules,
            spool,
            recorder,
            taps: Mutex::new(taps),
            jobs,
            hub,
            script,
            voice: voice.collect(),
            calls: 0,
            orders: 0,
        }
    }

    /// One call from ring to card.
    pub async fn call(&mut self, lines: &[Line]) {
        self.calls += 1;
        let n = self.calls;
        let at = UnixMs(FIRST + i64::from(n) * 60_000);
        let interaction = InteractionId::new(at, [n; 10]);
        tracing::trace!(%interaction, "a call begins");
        let legs = [(leg(2 * n), Party::Customer), (leg(2 * n + 1), Party::Agent)];
        let recordings = legs.map(|(leg, _)| RecordingId(leg.0));
        for fact in opened(interaction, at, &legs, &recordings) {
            assert!(self.spool.handle().push(fact));
        }
        let end_ms = self.speak(interaction, at, &legs, &recordings, lines);
        self.spool.settle().await;
        let folder = self.folder.join("recordings");
        wait_until(|| paths::tracks_of(&folder, interaction).is_ok_and(|tracks| tracks.len() == 2)).await;
        wait_until(|| fs::read_dir(folder.join("unclosed")).is_ok_and(|marks| marks.count() == 0)).await;
        self.spool.handle().push(Fact::InteractionEnded { interaction, at_ms: end_ms, cause: EndCause::CustomerHungUp, answered_by: None });
        for recording in recordings {
            self.spool.handle().push(Fact::RecordingClosed { recording, to_ms: end_ms, lost_ms: 0, paused_ms: 0, trouble: None });
        }
        self.spool.settle().await;
        while jobs::step(&self.jobs, at.plus_ms(1_000_000)).await.expect("runs") {}
        self.look(interaction, at, lines).await;
    }

    /// Puts the lines on the tracks, on the double's script and on the desks.
    fn speak(
        &self,
        interaction: InteractionId,
        at: UnixMs,
        legs: &[(LegId, Party); 2],
        recordings: &[RecordingId; 2],
        lines: &[Line],
    ) -> u32 {
        let mut taps = self.taps.lock().expect("no panic before");
        for ((leg, party), recording) in legs.iter().zip(recordings) {
            let open = TapOpen {
                recording: *recording,
                interaction,
                leg: *leg,
                party: *party,
                codec: Codec::Pcma,
                axis_start_wall: at,
                axis_us: 0,
            };
            assert_eq!(taps.offer(Tap::Open(open)), None, "taken");
        }
        let mut sound = [Vec::new(), Vec::new()];
        let mut at_ms = 1_000;
        for (who, text) in lines {
            let side = usize::from(*who == "A");
            let words: Vec<&str> = text.split(' ').collect();
            let length = WORD_MS * u32::try_from(words.len()).expect("short") + 400;
            let samples = usize::try_from(at_ms + length).expect("short") * 8;
            sound[side].resize(usize::try_from(at_ms).expect("short") * 8, 0);
            let spoken = self.voice.iter().cycle().take(samples - sound[side].len()).copied();
            sound[side].extend(spoken);
            let said: Vec<Spoken> =
                words.iter().zip(0u32..).map(|(word, n)| Spoken { at_ms: at_ms + 100 + n * WORD_MS, text: (*word).to_owned() }).collect();
            self.show(interaction, legs[side], &said);
            self.script.0.lock().expect("no panic before").entry(legs[side].0).or_default().extend(said);
            at_ms += length + PAUSE_MS;
        }
        let frames = usize::try_from(at_ms / 20).expect("short");
        for frame in 0..frames {
            for (side, (leg, _)) in legs.iter().enumerate() {
                let mut payload = [0; TAP_PAYLOAD_MAX];
                for (n, octet) in payload.iter_mut().take(160).enumerate() {
                    *octet = g711::linear_to_alaw(sound[side].get(frame * 160 + n).copied().unwrap_or(0));
                }
                let seq = u64::try_from(frame).expect("short") + 1;
                let frame = TapFrame {
                    leg: *leg,
                    source: 0,
                    arrival_us: seq * 20_000,
                    ext_seq: seq,
                    ext_ts: seq * 160,
                    codec: Codec::Pcma,
                    len: 160,
                    payload,
                };
                assert!(taps.offer_frame(&frame), "taken");
            }
        }
        for (leg, _) in legs {
            let close = Tap::Close { leg: *leg, axis_us: u64::from(at_ms) * 1_000, dropped: 0 };
            assert_eq!(taps.offer(close), None, "taken");
        }
        taps.flush();
        at_ms
    }

    /// The same line as live words.
    fn show(&self, interaction: InteractionId, (leg, party): (LegId, Party), said: &[Spoken]) {
        let word = |w: &Spoken| Word { text: w.text.clone(), from_ms: w.at_ms, to_ms: w.at_ms + WORD_MS, confidence: 90 };
        let (from_ms, to_ms) = (said[0].at_ms, said[said.len() - 1].at_ms + WORD_MS);
        let utterance = Utterance { leg, party, from_ms, to_ms, words: said.iter().map(word).collect(), confidence: 90, rejected: None };
        for partial in [true, false] {
            let utterances = vec![LiveUtterance { utterance: utterance.clone(), partial }];
            self.hub.publish(LiveFact::Words(LiveWords { interaction, lag_ms: 0, utterances }));
        }
    }

    /// Writes down what every reader is shown, types a note, and listens where words were taken out.
    async fn look(&mut self, interaction: InteractionId, at: UnixMs, lines: &[Line]) {
        let reader = AgentId::new(at, [1; 10]);
        // Typed text is masked by check digits: what people say in words nobody types, and a code alone looks like any number.
        let typed = |text: &str| text.contains(' ') && text.chars().filter(char::is_ascii_digit).count() > 12 && !text.contains(',');
        let typed: Vec<String> = lines.iter().filter(|(who, text)| *who == "C" && typed(text)).map(|(_, text)| text.clone()).collect();
        let note = mask_typed(&format!("note {}", typed.join("; ")), &self.rules).0;
        self.jobs.store.add_note(interaction, reader, &note, at).await.expect("kept");
        let page = serde_json::to_string(&self.jobs.store.interaction_page(interaction, reader).await.expect("there")).expect("JSON");
        let live = self.hub.words().of(interaction).expect("words").0;
        let events = self.jobs.store.events_since(0, 1_000).await.expect("there");
        self.orders += usize::from(page.contains("48215"));
        let shown = format!("{page}\n{}\n{}\n", serde_json::to_string(&live).expect("JSON"), serde_json::to_string(&events).expect("JSON"));
        fs::write(self.folder.join(format!("shown-{}.json", self.calls)), shown).expect("written");
        let tracks = paths::tracks_of(&self.folder.join("recordings"), interaction).expect("there");
        render::Rendering::open(&tracks).expect("opens").export(&self.folder.join(format!("export-{}.wav", self.calls))).expect("written");
        let taken = self.jobs.store.redactions(interaction).await.expect("there");
        assert_eq!(taken.is_empty(), self.rules.off);
        if self.calls == 1 && !self.rules.off {
            self.listen_again(interaction, &taken);
        }
        for path in &tracks {
            let track = render::mono_track(path).expect("a track");
            assert!(track.samples.iter().any(|sample| *sample != 0), "the rest of the call is still there");
            for row in &taken {
                let (from, to) = (row.from_ms as usize * 8, (row.to_ms as usize * 8).min(track.samples.len()));
                assert!(track.samples[from..to].iter().all(|sample| *sample == 0), "{row:?} can still be heard");
            }
        }
    }

    /// A new transcript of the recording finds nothing where numbers were, and counts those seconds as paused.
    fn listen_again(&self, interaction: InteractionId, taken: &[RedactionRow]) {
        for track in (self.jobs.tracks)(interaction).expect("reads") {
            let cut = front_end::listen(&track);
            let paused: usize = track.gaps.iter().filter(|gap| gap.kind == GapKind::Paused).map(|gap| gap.samples.len()).sum();
            assert_eq!(cut.coverage.paused, paused as u64);
            let sum = cut.coverage.voiced + cut.coverage.unvoiced + cut.coverage.lost + cut.coverage.paused;
            assert_eq!(cut.coverage.received, sum, "an exact sum");
            for row in taken {
                let (from, to) = (row.from_ms as usize * 8, row.to_ms as usize * 8);
                assert!(track.gaps.iter().any(|gap| gap.samples.start <= from && to <= gap.samples.end), "{row:?} is one gap");
                assert!(!cut.pieces.iter().any(|piece| piece.range.start >= from && piece.range.end <= to), "{row:?} is listened to");
            }
        }
    }

    /// Ends everything in order; returns in how many calls the order number is still read.
    pub async fn close(self) -> usize {
        drop(self.taps);
        self.recorder.shutdown();
        self.spool.stop().await;
        self.jobs.store.close().await;
        self.orders
    }
}

fn opened(interaction: InteractionId, at: UnixMs, legs: &[(LegId, Party); 2], recordings: &[RecordingId; 2]) -> Vec<Fact> {
    let mut facts = vec![Fact::InteractionOpened(InteractionOpened {
        interaction,
        channel: Channel::Phone,
        direction: Direction::Inbound,
        at,
        caller_raw: Some("+493012345678".into()),
        caller: "+493012345678".to_owned().try_into().ok(),
        display_name: None,
        called: "+4930555".into(),
        via: "trunk".into(),
        queue: None,
        emergency: false,
    })];
    for ((leg, party), recording) in legs.iter().zip(recordings) {
        let sip_call_id = SipCallId(leg.to_string());
        facts.push(Fact::LegOpened { leg: *leg, interaction, party: *party, agent: None, sip_call_id, trunk: None, from_ms: 0 });
        facts.push(Fact::RecordingOpened { recording: *recording, interaction, leg: *leg, codec: Codec::Pcma, from_ms: 0 });
    }
    facts
}

/// Waits for a state, up to a minute.
async fn wait_until(mut holds: impl FnMut() -> bool) {
    let mut look = tokio::time::interval(Duration::from_millis(10));
    let there = async {
        while !holds() {
            look.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), there).await.expect("the state comes");
}

/// The turns of a written dialogue as a transcript, a word every 300 ms.
pub fn transcript(dialogue: &str) -> Transcript {
    let (mut at, mut utterances) = (1_000, Vec::new());
    for line in dialogue.lines() {
        let Some((who, text)) = line.split_once(": ") else { continue };
        let side = match who.strip_prefix('C').map(str::parse::<i8>) {
            Some(Ok(_)) => 0u8,
            Some(Err(_)) => continue,
            None if who == "A" => 1,
            None => continue,
        };
        let party = if side == 0 { Party::Customer } else { Party::Agent };
        let words: Vec<Word> = text
            .split(' ')
            .map(|text| {
                at += 300;
                Word { text: text.to_owned(), from_ms: at - 300, to_ms: at, confidence: 90 }
            })
            .collect();
        utterances.push(Utterance { leg: leg(side), party, from_ms: words[0].from_ms, to_ms: at, words, confidence: 90, rejected: None });
        at += 400;
    }
    Transcript { model: "by hand".into(), language: "en".into(), utterances, coverage: Vec::new() }
}
