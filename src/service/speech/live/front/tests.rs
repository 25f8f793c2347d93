//! The front end's threads: a full channel, legs that end in mid-speech, answers that nobody asked for, a service as the worker.

use std::sync::Mutex;

use super::*;
use crate::{
    config::EndpointFor,
    domain::{
        live::LATER,
        media::{
            plan::Codec,
            time_axis::{Chunk, ChunkKind},
        },
    },
    ids::{Party, RecordingId},
    protocol::audio::g711,
    service::{
        egress::stub::{Stub, answer},
        speech::{Endpoint, HeardWord, PoolConfig, file, live::NoMask, tests::leg},
    },
    time::UnixMs,
};

/// Samples of a packet.
const PACKET: usize = 160;
/// Its length.
const PACKET_US: u64 = 20_000;

/// Keeps what it is asked; tests answer in its place.
#[derive(Default)]
struct Asked(Mutex<Vec<(Request, Sender<Answer>)>>);

impl LiveTranscriber for Asked {
    fn live_model(&self) -> Option<(String, Thresholds)> {
        Some(("double".into(), Thresholds::default()))
    }

    fn ask(&self, request: Request, _: Urgency, reply: &Sender<Answer>) -> Result<(), Shed> {
        self.0.lock().expect("not poisoned").push((request, reply.clone()));
        Ok(())
    }

    fn has_time(&self) -> bool {
        false
    }
}

impl Asked {
    fn take(&self) -> Vec<(Request, Sender<Answer>)> {
        std::mem::take(&mut self.0.lock().expect("not poisoned"))
    }
}

fn heard(text: &str) -> Result<Heard, TranscribeError> {
    let word = |(text, n): (&str, u32)| HeardWord { text: text.into(), from_ms: n * 100, to_ms: n * 100 + 90, probability: 0.9 };
    Ok(Heard { language: "en".into(), no_speech: 0.0, logprob: -0.1, words: text.split(' ').zip(0..).map(word).collect() })
}

fn interaction() -> InteractionId {
    InteractionId::new(UnixMs(1), [1; 10])
}

fn open(n: u8) -> Feed {
    let party = if n == 1 { Party::Customer } else { Party::Agent };
    Feed::Open(Arc::new(TapOpen {
        recording: RecordingId::new(UnixMs(1), [n; 10]),
        interaction: interaction(),
        leg: leg(n),
        party,
        codec: Codec::Pcma,
        axis_start_wall: UnixMs(1),
        axis_us: 0,
    }))
}

/// The packets of a leg, from the begin of the call.
fn packets(n: u8, samples: &[i16]) -> Vec<Feed> {
    let packet = |(at, samples): (u64, &[i16])| Feed::Chunk {
        leg: leg(n),
        chunk: Chunk {
            axis_start_us: at * PACKET_US,
            duration_us: samples.len() as u64 * 125,
            kind: ChunkKind::Audio { codec: Codec::Pcma, payload: samples.iter().map(|s| g711::linear_to_alaw(*s)).collect() },
        },
    };
    (0..).zip(samples.chunks(PACKET)).map(packet).collect()
}

fn sample() -> Vec<i16> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples/sample-2.wav");
    file::read_wav(&path).expect("carried").remove(0).samples
}

/// A thread in simulated time, with what it told.
struct Scene {
    thread: Thread,
    asked: Arc<Asked>,
    told: Arc<Mutex<Vec<LiveWords>>>,
    begun: Instant,
}

impl Scene {
    fn new() -> Self {
        let (asked, told) = (Arc::new(Asked::default()), Arc::new(Mutex::new(Vec::new())));
        let tell = told.clone();
        let publish = Arc::new(move |words| tell.lock().expect("not poisoned").push(words));
        let config = FrontConfig { threads: 1, partial: false, mask: Arc::new(|| Box::new(NoMask)) };
        let thread = Thread::new(config, asked.clone(), Arc::default(), publish, Arc::default());
        Self { thread, asked, told, begun: clock() }
    }

    fn at(&self, axis_us: u64) -> Instant {
        self.begun + Duration::from_micros(axis_us)
    }

    fn take(&mut self, feed: Feed, axis_us: u64) {
        self.thread.take(feed, self.at(axis_us));
    }

    /// Lets a second pass at a time, answers included.
    fn pass(&mut self, from_us: u64, seconds: u64) {
        for second in 0..=seconds {
            let now = self.at(from_us + second * 1_000_000);
            self.thread.take_answers(now);
            self.thread.poll(now);
        }
    }

    /// Texts and reasons that the desks were told of a leg.
    fn told_of(&self, n: u8) -> Vec<String> {
        let told = self.told.lock().expect("not poisoned");
        let own = told.iter().flat_map(|words| &words.utterances).filter(|live| live.utterance.leg == leg(n));
        own.map(|live| live.utterance.rejected.clone().unwrap_or_else(|| live.utterance.text())).collect()
    }

    fn strays(&self) -> u64 {
        self.thread.counters.stray.load(Relaxed)
    }
}

#[test]
fn pieces_that_find_no_room_are_handed_back_and_count_as_lost_in_a_sum_that_stays_exact() {
    let mut scene = Scene::new();
    let (feed, fed) = bounded(FEED);
    let mut sink = FrontEnd { feeds: vec![feed], counters: scene.thread.counters.clone() }.sink();
    let speech: Vec<i16> = sample().iter().copied().cycle().take(6_000 * PACKET).collect();
    let legs: Vec<Vec<Feed>> = [1, 2].map(|n| packets(n, &speech)).to_vec();
    let end_us = legs[0].len() as u64 * PACKET_US;
    let mut refused = [0_u64; 2];
    for n in [1, 2] {
        assert_eq!(sink(interaction(), open(n)), None);
    }
    for n in 0..legs[0].len() {
        for (side, leg) in legs.iter().enumerate() {
            refused[side] += u64::from(sink(interaction(), leg[n].clone()).is_some());
        }
        // The thread is away until there is nothing to be had any more; near the end it comes back.
        if n == 5_000 {
            fed.try_iter().for_each(|feed| scene.take(feed, n as u64 * PACKET_US));
        }
    }
    assert!(refused.iter().all(|refused| *refused > 500), "the channel was full: {refused:?}");
    for n in [1, 2] {
        let close = Feed::Close { leg: leg(n), axis_us: end_us };
        while let Some(again) = sink(interaction(), close.clone()) {
            assert_eq!(again, close, "what finds no room comes back whole");
            fed.try_iter().for_each(|feed| scene.take(feed, end_us));
        }
    }
    fed.try_iter().for_each(|feed| scene.take(feed, end_us));
    for (request, reply) in scene.asked.take() {
        reply.send((request.key, heard("I was charged twice"))).expect("there");
    }
    scene.pass(end_us, 25);
    let result = scene.thread.results.of(interaction()).expect("is over");
    assert!(!scene.thread.results.is_running(interaction()));
    for (sum, refused) in result.coverage.iter().zip(refused) {
        assert_eq!(sum.received * 125, end_us);
        assert_eq!(sum.lost, refused * PACKET as u64, "each piece that was handed back, once");
        assert_eq!(sum.received, sum.voiced + sum.unvoiced + sum.lost + sum.paused);
        assert_eq!(sum.voiced, sum.transcribed + sum.rejected + sum.pending + sum.failed);
        assert!(sum.transcribed > 0);
    }
}

#[test]
fn a_leg_that_ends_in_mid_utterance_gets_its_last_words_and_the_other_goes_on() {
    let mut scene = Scene::new();
    let speech = sample();
    (1..=2).for_each(|n| scene.take(open(n), 0));
    scene.pass(0, 0);
    // Two seconds into a sentence.
    for (n, feed) in (0..).zip(packets(1, &speech[..16_000])) {
        scene.take(feed, n * PACKET_US);
    }
    assert!(scene.asked.take().is_empty(), "it is still being spoken");
    scene.take(Feed::Close { leg: leg(1), axis_us: 2_000_000 }, 2_000_000);
    let (request, reply) = scene.asked.take().pop().expect("asked for at once, without a hangover");
    assert_eq!(request.key.leg, leg(1));
    reply.send((request.key, heard("I was"))).expect("there");
    scene.pass(2_000_000, 1);
    assert_eq!(scene.told_of(1), ["I was"]);
    assert!(scene.thread.results.is_running(interaction()), "the other leg is still there");
    scene.take(packets(1, &speech).remove(120), 2_400_000);
    assert_eq!(scene.thread.counters.refused.load(Relaxed), 0, "a late packet of a leg that has ended is no stranger's");
    scene.take(Feed::Close { leg: leg(2), axis_us: 4_000_000 }, 4_000_000);
    assert!(!scene.thread.results.is_running(interaction()));
    let result = scene.thread.results.of(interaction()).expect("is over");
    assert_eq!((result.model.as_str(), result.keeps, result.settled.len()), ("double", true, 1));
    assert_eq!(result.coverage[0].received, 16_000);
    assert_eq!((scene.thread.counters.calls.load(Relaxed), scene.thread.legs.len()), (0, 0));
    scene.take(packets(1, &speech).remove(121), 4_400_000);
    assert_eq!(scene.thread.counters.refused.load(Relaxed), 1, "after the call it is");
}

#[test]
fn words_for_a_leg_that_did_not_ask_are_nobodys() {
    let mut scene = Scene::new();
    (1..=2).for_each(|n| scene.take(open(n), 0));
    scene.pass(0, 0);
    for (n, feed) in (0..).zip(packets(1, &sample())) {
        scene.take(feed, n * PACKET_US);
    }
    let end_us = 10_000_000;
    (1..=2).for_each(|n| scene.take(Feed::Close { leg: leg(n), axis_us: end_us }, end_us));
    let asked = scene.asked.take();
    let (request, reply) = asked.first().expect("leg 1 asks");
    for (strays, wrong) in [(1, leg(2)), (2, leg(9))] {
        reply.send((Key { leg: wrong, ..request.key }, heard("not for you"))).expect("there");
        scene.pass(end_us, 0);
        assert_eq!((scene.strays(), scene.told_of(2).len()), (strays, 0));
    }
    reply.send((Key { start_ms: request.key.start_ms + 1, ..request.key }, heard("not yet said"))).expect("there");
    scene.pass(end_us, 0);
    assert_eq!((scene.strays(), scene.told_of(1).len()), (3, 0));
    reply.send((request.key, heard("I was charged twice"))).expect("there");
    reply.send((request.key, heard("said before"))).expect("there");
    scene.pass(end_us, 0);
    assert_eq!((scene.strays(), scene.told_of(1)[0].as_str()), (4, "I was charged twice"));
    // What was never answered is left to the recording.
    scene.pass(end_us, 25);
    assert!(scene.told_of(1)[1..].iter().all(|why| why == LATER));
    let result = scene.thread.results.of(interaction()).expect("is over");
    let sums: Vec<_> = result.coverage.iter().map(|sum| (sum.transcribed > 0, sum.voiced)).collect();
    assert_eq!((sums[0].0, sums[1]), (true, (false, 0)), "leg 2 said nothing and has no words");
    assert!(result.coverage.iter().all(|sum| sum.voiced == sum.transcribed + sum.rejected + sum.pending + sum.failed));
}

/// The real thread with a service in the workers' place: what the desks are told of one spoken sample.
async fn by_service(stub: &Stub) -> Vec<String> {
    let endpoint = Endpoint {
        address: stub.url("").parse().expect("an address"),
        model: "whisper-1".into(),
        language: "en".into(),
        key: None,
        timeout: Duration::from_secs(60),
    };
    let config = PoolConfig { endpoint: Some((endpoint, EndpointFor::Both, 2)), ..PoolConfig::default() };
    let pool = Arc::new(Pool::start(config).expect("threads start"));
    let (told, results) = (Arc::new(Mutex::new(Vec::new())), Arc::new(LiveResults::default()));
    let tell = told.clone();
    let publish = Arc::new(move |words: LiveWords| tell.lock().expect("not poisoned").extend(words.utterances));
    let config = FrontConfig { threads: 1, partial: false, mask: Arc::new(|| Box::new(NoMask)) };
    let mut sink = FrontEnd::start(&config, pool, results.clone(), publish).expect("a thread").sink();
    assert_eq!(sink(interaction(), open(1)), None);
    let speech = sample();
    for feed in packets(1, &speech) {
        assert_eq!(sink(interaction(), feed), None);
    }
    assert_eq!(sink(interaction(), Feed::Close { leg: leg(1), axis_us: speech.len() as u64 * 125 }), None);
    tokio::time::timeout(Duration::from_secs(60), results.wait_for_end()).await.expect("the call is over once all is answered");
    let result = results.of(interaction()).expect("is over");
    assert_eq!((result.model.as_str(), result.coverage.len()), ("whisper-1", 1));
    let told = told.lock().expect("not poisoned");
    told.iter().map(|live| live.utterance.rejected.clone().unwrap_or_else(|| live.utterance.text())).collect()
}

#[tokio::test]
async fn a_service_gives_live_words_as_workers_do() {
    let body = br#"{"text":"Good morning.","words":[{"word":"Good","start":0.1,"end":0.4},{"word":"morning.","start":0.4,"end":0.9}]}"#;
    let stub = Stub::saying(answer("200 OK", body));
    let told = by_service(&stub).await;
    assert!(!told.is_empty() && told.iter().all(|text| text == "Good morning."), "{told:?}");
    assert_eq!(stub.asked().len(), told.len(), "once for each utterance");
}

#[tokio::test]
async fn where_the_service_refuses_live_words_are_left_to_the_recording() {
    let told = by_service(&Stub::saying(answer("401 Unauthorized", b""))).await;
    assert!(!told.is_empty() && told.iter().all(|why| why == LATER), "{told:?}");
}
