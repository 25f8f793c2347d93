//! A call's job from recorded tracks to the record, with a double that knows what was said.

use std::{
    path::Path,
    sync::{Arc, Mutex, atomic::AtomicUsize, atomic::Ordering},
};

use super::{Insight, Jobs, LiveSource, Redaction, step};
use crate::{
    domain::{
        fact::{Direction, EndCause, Fact, InteractionOpened},
        insight::{
            card,
            correction::Span,
            utterance::{LegCoverage, Utterance, Word},
        },
        live::{LATER, LiveFact, LiveUtterance, LiveWords},
        media::plan::Codec,
    },
    ids::{AgentId, Channel, InteractionId, LegId, Party, RecordingId, SipCallId},
    service::{
        connectors::{
            language_model::{LanguageModel, LanguageModelConfig},
            tests as stub,
        },
        live_words::LiveWordsStore,
        speech::{
            Heard, HeardWord, Pool, PoolConfig, Request, TrackAudio, TranscribeError, Transcriber, file,
            live::{LiveResult, LiveResults},
            model::{Model, Thresholds},
        },
        store::{CallerIs, JobKind, NewCorrection, Store, seed_demo},
    },
    time::UnixMs,
};

/// A Thursday: 2026-03-05 09:00 UTC.
const CALL: UnixMs = UnixMs(1_772_701_200_000);
const CUSTOMER_SAYS: &str = "My headset is broken and this is unacceptable.";
const AGENT_SAYS: &str = "I will send you a new one tomorrow.";

/// Says one sentence for each leg, whatever the audio.
struct Script(LegId, &'static str);

impl Transcriber for Script {
    fn transcribe(&mut self, request: &Request) -> Result<Heard, TranscribeError> {
        let text = if request.key.leg == self.0 { self.1 } else { AGENT_SAYS };
        let words = text.split(' ').zip(0u32..).map(|(w, n)| HeardWord {
            text: w.into(),
            from_ms: n * 200,
            to_ms: n * 200 + 180,
            probability: 0.9,
        });
        Ok(Heard { language: "en".into(), no_speech: 0.0, logprob: -0.1, words: words.collect() })
    }
}

/// One ended call with a recorded track per leg.
struct Scene {
    jobs: Jobs,
    interaction: InteractionId,
    told: Arc<Mutex<Vec<LiveFact>>>,
    read: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

fn leg(n: u8) -> LegId {
    LegId::new(CALL, [n; 10])
}

fn facts(interaction: InteractionId) -> Vec<Fact> {
    let recording = |n: u8| RecordingId::new(CALL, [n; 10]);
    let opened = InteractionOpened {
        interaction,
        channel: Channel::Phone,
        direction: Direction::Inbound,
        at: CALL,
        caller_raw: Some("+493012345678".into()),
        caller: "+493012345678".to_owned().try_into().ok(),
        display_name: None,
        called: "+4930555".into(),
        via: "trunk".into(),
        queue: None,
        emergency: false,
    };
    let mut all = vec![Fact::InteractionOpened(opened)];
    for (n, party) in [(1, Party::Customer), (2, Party::Agent)] {
        let sip_call_id = SipCallId(format!("{n}"));
        all.push(Fact::LegOpened { leg: leg(n), interaction, party, agent: None, sip_call_id, trunk: None, from_ms: 0 });
        all.push(Fact::RecordingOpened { recording: recording(n), interaction, leg: leg(n), codec: Codec::Pcma, from_ms: 0 });
    }
    all.push(Fact::InteractionEnded { interaction, at_ms: 20_000, cause: EndCause::CustomerHungUp, answered_by: None });
    for n in [1, 2] {
        all.push(Fact::RecordingClosed { recording: recording(n), to_ms: 20_000, lost_ms: 0, paused_ms: 0, trouble: None });
    }
    all
}

async fn scene(pool: Pool, readable: bool) -> Scene {
    let folder = tempfile::TempDir::new().expect("a folder");
    let store = Store::open(&folder.path().join("record.db")).await.expect("opens");
    let interaction = InteractionId::new(CALL, [9; 10]);
    store.apply(&facts(interaction)).await.expect("applies");
    let (told, read) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (tell, count) = (told.clone(), read.clone());
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples");
    let tracks = move |_| -> Result<Vec<TrackAudio>, String> {
        count.fetch_add(1, Ordering::Relaxed);
        if !readable {
            return Err("the disk is gone".into());
        }
        let one = |name: &str, n: u8, party, start_ms| TrackAudio {
            leg: leg(n),
            party,
            start_ms,
            ..file::read_wav(&samples.join(name)).expect("carried").remove(0)
        };
        Ok(vec![one("sample-2.wav", 1, Party::Customer, 1_000), one("sample-3.wav", 2, Party::Agent, 6_000)])
    };
    let changed = move |fact| tell.lock().expect("not poisoned").push(fact);
    Scene {
        jobs: Jobs {
            store,
            pool: Arc::new(pool),
            tracks: Arc::new(tracks),
            live: LiveSource::default(),
            insight: Arc::new(Insight::default()),
            changed: Arc::new(changed),
            alarm: Arc::new(|_| {}),
            redaction: no_redaction(),
        },
        interaction,
        told,
        read,
        _folder: folder,
    }
}

fn no_redaction() -> Redaction {
    Redaction { rules: Arc::default(), audio: Arc::new(|_, _| Ok(0)), counters: Arc::default() }
}

fn script() -> Pool {
    Pool::of("double", Thresholds::default(), vec![Box::new(Script(leg(1), CUSTOMER_SAYS))]).expect("threads start")
}

async fn page(scene: &Scene) -> serde_json::Value {
    let reader = AgentId::new(CALL, [3; 10]);
    let page = scene.jobs.store.interaction_page(scene.interaction, reader).await.expect("is there");
    serde_json::to_value(page).expect("serialises")
}

#[tokio::test]
async fn a_call_gets_words_card_mood_and_title_and_the_desks_are_told() {
    let scene = scene(script(), true).await;
    assert!(step(&scene.jobs, CALL.plus_ms(30_000)).await.expect("runs"));
    let page = page(&scene).await;
    println!("{page:#}");
    assert_eq!(page["transcript"]["state"], "done");
    assert_eq!(page["transcript"]["coverage"]["customer"], 100);
    let utterances = page["transcript"]["utterances"].as_array().expect("a list");
    assert_eq!(utterances.len(), 2);
    assert!(utterances[0]["from_ms"].as_u64() < utterances[1]["from_ms"].as_u64());
    assert!(utterances[0]["sentiment"].as_i64().expect("fired") < 0);
    assert_eq!(page["card"]["lines"][0]["text"], "My headset is broken and this is unacceptable");
    assert_eq!(page["title"], "My headset is broken and this is unacceptable");
    assert_eq!(page["sentiment"]["enough"], false, "one turn is not enough");
    assert!(page["card"]["lines"][0]["evidence"][0]["from_ms"].as_u64() >= utterances[0]["from_ms"].as_u64());
    let told = scene.told.lock().expect("not poisoned").clone();
    assert!(
        matches!(told.as_slice(), [LiveFact::Changed { changes }] if changes.len() == 1 && changes[0].interaction == scene.interaction),
        "{told:?}"
    );
    assert!(!step(&scene.jobs, CALL.plus_ms(40_000)).await.expect("nothing to do"));
}

#[tokio::test]
async fn a_reason_is_weighed_with_what_the_customer_wrote_lately() {
    let says = "My headset is broken. I would like to change where order 48215 is delivered.";
    let pool = Pool::of("double", Thresholds::default(), vec![Box::new(Script(leg(1), says))]).expect("threads start");
    let scene = scene(pool, true).await;
    let store = &scene.jobs.store;
    seed_demo(store, "demo", CALL).await.expect("the demo");
    let daniel = store.login("daniel").await.expect("a read").expect("Daniel").me.agent;
    let number = "+442079460101".to_owned().try_into().expect("a number");
    let laura = store.brief_for_number(Some(&number), None, CALL).await.expect("a brief").customer.expect("Laura").customer;
    let (subjects, references) = super::known::of(&scene.jobs, Some(laura), CALL).await.expect("reads");
    for known in ["Charged twice for order 48215", "Hi, can I still change where order 48215 is delivered?"] {
        assert!(subjects.iter().any(|s| s == known), "{known} in {subjects:?}");
    }
    for left in ["Yes: Orders", "newsletter"] {
        assert!(!subjects.iter().any(|s| s.contains(left)), "{left} in {subjects:?}: ours, or too long ago");
    }
    assert!(references.contains(&"48215".to_owned()));
    let chosen = CallerIs::Customer(laura);
    store.choose_customer(scene.interaction, &chosen, daniel, CALL).await.expect("chosen");
    while step(&scene.jobs, CALL.plus_ms(30_000)).await.expect("runs") {}
    assert_eq!(page(&scene).await["title"], "I would like to change where order 48215 is delivered");
}

#[tokio::test]
async fn without_a_model_the_job_waits_and_the_interaction_says_what_to_do() {
    let pool = Pool::start(PoolConfig { model: Some("/nowhere/ggml-x.bin".into()), ..PoolConfig::default() }).expect("starts");
    let mut scene = scene(pool, true).await;
    for minute in 1..=5 {
        assert!(step(&scene.jobs, CALL.plus_ms(minute * 60_000)).await.expect("runs"), "it is looked at again and again");
    }
    let before = page(&scene).await;
    assert_eq!(before["transcript"]["state"], "pending");
    let trouble = before["transcript"]["trouble"].as_str().expect("says why");
    assert!(trouble.starts_with("There is no speech model: put a ggml file"), "{trouble}");
    assert_eq!(scene.read.load(Ordering::Relaxed), 0, "no track is read in vain");
    assert!(Model::find(None).is_ok());
    scene.jobs.pool = Arc::new(script());
    assert!(step(&scene.jobs, CALL.plus_ms(600_000)).await.expect("runs"));
    let after = page(&scene).await;
    assert_eq!((&after["transcript"]["state"], &after["transcript"]["trouble"]), (&"done".into(), &serde_json::Value::Null));
}

#[tokio::test]
async fn a_recording_that_cannot_be_read_is_tried_three_times_and_then_said_so() {
    let scene = scene(script(), false).await;
    for try_at in [60_000, 600_000, 6_000_000] {
        assert!(step(&scene.jobs, CALL.plus_ms(try_at)).await.expect("runs"));
    }
    assert!(!step(&scene.jobs, CALL.plus_ms(60_000_000)).await.expect("parked"));
    let page = page(&scene).await;
    assert_eq!(page["transcript"]["state"], "failed");
    assert!(page["transcript"]["trouble"].as_str().expect("says why").contains("the disk is gone"));
}

#[tokio::test]
async fn a_job_that_is_run_twice_leaves_one_card() {
    let scene = scene(script(), true).await;
    for minute in [1, 2] {
        let at = CALL.plus_ms(minute * 60_000);
        scene.jobs.store.enqueue_job(JobKind::Transcribe, &scene.interaction.to_string(), true, at).await.expect("queued");
        assert!(step(&scene.jobs, at).await.expect("runs"));
    }
    let page = page(&scene).await;
    assert_eq!(page["transcript"]["revision"], 2);
    assert_eq!(page["transcript"]["utterances"].as_array().map(Vec::len), Some(2));
    assert_eq!(page["card"]["lines"].as_array().expect("a list").iter().filter(|l| l["label"] == "reason").count(), 1);
}

#[tokio::test]
async fn a_word_that_is_put_right_is_read_out_again_and_outlives_a_new_revision() {
    let scene = scene(script(), true).await;
    assert!(step(&scene.jobs, CALL.plus_ms(30_000)).await.expect("runs"));
    let agent = AgentId::new(CALL, [3; 10]);
    let before = page(&scene).await;
    let word = &before["transcript"]["utterances"][0]["words"][1];
    assert_eq!(word["text"], "headset");
    let ms = |key: &str| u32::try_from(word[key].as_u64().expect("a place")).expect("in a call");
    let span = Span { leg: leg(1), from_ms: ms("from_ms"), to_ms: ms("to_ms") };
    let new = NewCorrection { revision: 1, span, before: "headset".into(), after: "handset".into() };
    scene.jobs.store.correct(scene.interaction, agent, &new, CALL.plus_ms(40_000)).await.expect("corrected");
    assert!(step(&scene.jobs, CALL.plus_ms(41_000)).await.expect("reads it out again"));
    let after = page(&scene).await;
    assert_eq!(after["card"]["lines"][0]["text"], "My handset is broken and this is unacceptable");
    assert_eq!(after["title"], "My handset is broken and this is unacceptable", "lists and search show the title");
    assert_eq!(after["card"]["lines"][0]["evidence"], before["card"]["lines"][0]["evidence"], "it plays from the same place");
    scene.jobs.store.transcribe_again(scene.interaction, None, agent, CALL.plus_ms(50_000)).await.expect("queued");
    assert!(step(&scene.jobs, CALL.plus_ms(51_000)).await.expect("runs"));
    let again = page(&scene).await;
    assert_eq!((&again["transcript"]["revision"], &again["transcript"]["corrections"][0]["state"]), (&2.into(), &"stands".into()));
    assert_eq!(again["transcript"]["utterances"][0]["words"][1]["text"], "handset");
    assert_eq!(again["card"]["lines"][0]["text"], "My handset is broken and this is unacceptable");
}

#[tokio::test]
async fn a_model_that_is_not_here_is_said_and_the_words_stay() {
    let scene = scene(script(), true).await;
    assert!(step(&scene.jobs, CALL.plus_ms(30_000)).await.expect("runs"));
    let agent = AgentId::new(CALL, [3; 10]);
    scene.jobs.store.transcribe_again(scene.interaction, Some("large"), agent, CALL.plus_ms(40_000)).await.expect("queued");
    for try_at in [60_000, 600_000, 6_000_000] {
        assert!(step(&scene.jobs, CALL.plus_ms(try_at)).await.expect("runs"));
    }
    let page = page(&scene).await;
    assert_eq!((&page["transcript"]["state"], &page["transcript"]["redo"]["state"]), (&"done".into(), &"failed".into()));
    assert!(page["transcript"]["redo"]["trouble"].as_str().expect("says why").contains("large"));
    assert_eq!(page["transcript"]["utterances"].as_array().map(Vec::len), Some(2));
}

/// A call whose customer was understood live; the agent's words were left to the recording.
fn spoken_live(scene: &Scene, text: &str) -> LiveSource {
    let heard = Arc::new(LiveWordsStore::default());
    let results = Arc::new(LiveResults::default());
    results.begin(scene.interaction);
    let word = |(text, n): (&str, u32)| Word { text: text.into(), from_ms: 1_000 + n * 300, to_ms: 1_280 + n * 300, confidence: 90 };
    let words: Vec<Word> = text.split(' ').zip(0..).map(word).collect();
    let said = Utterance { leg: leg(1), party: Party::Customer, from_ms: 1_000, to_ms: 5_000, words, confidence: 90, rejected: None };
    let later = Utterance {
        leg: leg(2),
        party: Party::Agent,
        from_ms: 6_000,
        to_ms: 8_000,
        words: Vec::new(),
        confidence: 0,
        rejected: Some(LATER.to_owned()),
    };
    let utterances = [said, later].map(|utterance| LiveUtterance { utterance, partial: false }).to_vec();
    heard.put(&LiveWords { interaction: scene.interaction, lag_ms: 0, utterances });
    let pending = LegCoverage { voiced: 100, received: 100, pending: 100, ..LegCoverage::none(leg(2)) };
    let coverage = vec![LegCoverage::all(leg(1), 100), pending];
    let result = LiveResult { model: "small".into(), language: "en".into(), keeps: true, settled: Vec::new(), coverage };
    results.finish(scene.interaction, result);
    LiveSource { results, words: heard, ..LiveSource::default() }
}

#[tokio::test]
async fn what_was_understood_live_is_in_the_record_before_the_recording_is_read_and_outlives_the_process() {
    let mut scene = scene(script(), true).await;
    scene.jobs.live = spoken_live(&scene, CUSTOMER_SAYS);
    assert!(super::write_live_words(&scene.jobs, CALL.plus_ms(20_100)).await.expect("written down"));
    assert!(super::write_live_words(&scene.jobs, CALL.plus_ms(20_200)).await.expect("nothing to do"));
    assert_eq!(scene.read.load(Ordering::Relaxed), 0, "no recording was read");
    // The process dies here: nothing of it is left in memory.
    scene.jobs.live = LiveSource::default();
    let live = page(&scene).await;
    let transcript = &live["transcript"];
    assert_eq!((&transcript["state"], &transcript["kind"], &transcript["revision"]), (&"pending".into(), &"live".into(), &1.into()));
    assert_eq!(transcript["utterances"][1]["rejected"], "later");
    assert_eq!((&transcript["coverage"]["customer"], &transcript["coverage"]["agent"]), (&100.into(), &0.into()));
    assert!(step(&scene.jobs, CALL.plus_ms(30_000)).await.expect("the job does what is left"));
    let done = page(&scene).await;
    let transcript = &done["transcript"];
    assert_eq!((&transcript["state"], &transcript["kind"], &transcript["revision"]), (&"done".into(), &"final".into(), &2.into()));
    assert_eq!(transcript["revisions"][0]["kind"], "live");
    assert!(transcript["utterances"].as_array().is_some_and(|all| all.iter().all(|u| u["rejected"].is_null())), "{transcript}");
    let told = scene.told.lock().expect("not poisoned").len();
    assert_eq!(told, 2, "the desks are told of both");
    let agent = AgentId::new(CALL, [3; 10]);
    scene.jobs.store.transcribe_again(scene.interaction, Some("double"), agent, CALL.plus_ms(40_000)).await.expect("queued");
    assert!(step(&scene.jobs, CALL.plus_ms(41_000)).await.expect("runs"));
    let again = page(&scene).await;
    let models: Vec<_> = again["transcript"]["revisions"].as_array().expect("a list").iter().map(|r| (&r["kind"], &r["model"])).collect();
    let [live, last, named] =
        [("live", "small"), ("final", "double"), ("final", "double")].map(|(kind, model)| (kind.into(), model.into()));
    assert_eq!(models, [(&live.0, &live.1), (&last.0, &last.1), (&named.0, &named.1)]);
}

#[tokio::test]
async fn live_words_are_stored_without_the_number_that_was_said() {
    let mut scene = scene(script(), true).await;
    scene.jobs.live = spoken_live(&scene, CARD);
    assert!(super::write_live_words(&scene.jobs, CALL.plus_ms(20_100)).await.expect("written down"));
    let live = page(&scene).await.to_string();
    assert!(live.contains("[card number]") && !live.contains("1111"), "{live}");
}

const CARD: &str = "My card number is 4111 1111 1111 1111.";

#[tokio::test]
async fn what_cannot_be_taken_out_of_the_recording_is_not_saved_as_words_either() {
    let pool = Pool::of("double", Thresholds::default(), vec![Box::new(Script(leg(1), CARD))]).expect("threads start");
    let mut scene = scene(pool, true).await;
    scene.jobs.redaction.audio = Arc::new(|_, _| Err("the disk is gone".into()));
    assert!(step(&scene.jobs, CALL.plus_ms(30_000)).await.expect("runs"));
    let before = page(&scene).await;
    assert_eq!(before["transcript"]["utterances"].as_array().map(Vec::len), Some(0), "{before}");
    assert!(!before.to_string().contains("1111"));
    // The places are known from the first run: the second takes them out before it listens.
    let asked = Arc::new(Mutex::new(Vec::new()));
    let told = asked.clone();
    scene.jobs.redaction.audio = Arc::new(move |_, stretches| {
        told.lock().expect("not poisoned").push(stretches.len());
        Ok(1)
    });
    assert!(step(&scene.jobs, CALL.plus_ms(24 * 3_600_000)).await.expect("runs"));
    let after = page(&scene).await;
    assert!(after["transcript"].to_string().contains("[card number]."), "{after}");
    assert!(!after.to_string().contains("1111"));
    assert_eq!(*asked.lock().expect("not poisoned"), [1, 1], "once from the record, once from the words");
}

#[tokio::test]
async fn what_was_taken_out_is_still_marked_where_nobody_can_hear_it_any_more() {
    let pool = Pool::of("double", Thresholds::default(), vec![Box::new(Script(leg(1), CARD))]).expect("threads start");
    let scene = scene(pool, true).await;
    assert!(step(&scene.jobs, CALL.plus_ms(30_000)).await.expect("runs"));
    let taken = scene.jobs.store.redactions(scene.interaction).await.expect("reads");
    assert_eq!((taken.len(), taken[0].kind.as_str(), taken[0].leg), (1, "card number", leg(1)));
    let mut later = crate::domain::insight::utterance::Transcript {
        model: "larger".into(),
        language: "en".into(),
        utterances: vec![],
        coverage: vec![],
    };
    later.utterances.push(crate::domain::insight::utterance::Utterance {
        leg: leg(1),
        party: Party::Customer,
        from_ms: 900,
        to_ms: 1_000,
        words: vec![],
        confidence: 0,
        rejected: Some("unsure".into()),
    });
    assert!(super::redaction::apply(&scene.jobs, scene.interaction, &mut later, CALL.plus_ms(40_000)).await.is_ok());
    let words: Vec<String> = later.utterances.iter().map(|u| u.text()).collect();
    assert_eq!(words, ["", "[card number]"]);
}

#[tokio::test]
async fn the_card_of_a_language_model_replaces_the_one_by_rules_and_its_failure_does_not() {
    let answer = r#"{"lines":[{"label":"reason","sentence":0,"quote":"headset is broken"},{"label":"done","sentence":1,"quote":"it is solved"}],"promises":[],"outcome":"solved"}"#;
    let (good, asked) = stub::serve(stub::says(answer), false);
    let (bad, _) = stub::serve(stub::says("I would rather not."), false);
    for (base, method, reason) in [
        (good, "card-model small-3b", "headset is broken"),
        (bad, &*format!("card-rules {}", card::METHOD_VERSION), "My headset is broken and this is unacceptable"),
    ] {
        let mut scene = scene(script(), true).await;
        let config = LanguageModelConfig { base, model: "small-3b".into(), key_file: None, patience: std::time::Duration::from_secs(60) };
        scene.jobs.insight = Arc::new(Insight { language_model: Some(LanguageModel::new(config)), ..Insight::default() });
        assert!(step(&scene.jobs, CALL.plus_ms(30_000)).await.expect("runs"));
        assert_eq!(page(&scene).await["card"]["lines"][0]["text"], "My headset is broken and this is unacceptable", "the rules come first");
        assert!(step(&scene.jobs, CALL.plus_ms(31_000)).await.expect("runs"));
        let after = page(&scene).await;
        assert_eq!((&after["card"]["method"], &after["card"]["lines"][0]["text"]), (&method.into(), &reason.into()));
        assert!(!step(&scene.jobs, CALL.plus_ms(900_000)).await.expect("nothing to do"));
    }
    let (_, body) = asked.recv().expect("was asked");
    assert!(body["messages"][1]["content"].as_str().is_some_and(|words| words.contains("headset")));
}
