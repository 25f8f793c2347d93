//! A worker that dies, hangs, speaks nonsense or has no model: what becomes of its utterances.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crossbeam_channel::bounded;
use tempfile::TempDir;
use throughline::{
    domain::insight::utterance::Transcript,
    ids::LegId,
    service::speech::{
        Key, Patience, Pool, PoolConfig, Request, Shed, SpeechError, TrackAudio, TranscribeError, Urgency, WorkerProgram, file,
    },
    time::UnixMs,
};

const REAL: &str = env!("CARGO_BIN_EXE_throughline");

fn sample() -> Vec<TrackAudio> {
    file::read_wav(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples/sample-2.wav")).expect("carried")
}

/// An executable script in `folder`; its descriptor 0 is the socket.
fn script(folder: &TempDir, body: &str) -> WorkerProgram {
    let path = folder.path().join("worker");
    fs::write(&path, format!("#!/bin/sh\ncd {}\n{body}\n", folder.path().display())).expect("writes");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("is ours");
    WorkerProgram::Path(path)
}

fn transcribe(program: WorkerProgram) -> Result<Transcript, SpeechError> {
    let patience = Patience { load: Duration::from_secs(20), decode: Duration::from_secs(1) };
    let pool = Pool::start(PoolConfig { workers: 1, program, patience, ..PoolConfig::default() })?;
    pool.transcribe_call(&sample())
}

/// The utterance is failed, said so, and counted; nothing is pending.
fn assert_failed(transcript: &Transcript, why: &str) {
    let [utterance] = transcript.utterances.as_slice() else { panic!("one utterance: {transcript:?}") };
    let reason = utterance.rejected.as_deref().unwrap_or_default();
    assert!(utterance.words.is_empty() && reason.starts_with("failed") && reason.contains(why), "{reason}");
    let sum = &transcript.coverage[0];
    assert_eq!((sum.failed, sum.pending, sum.transcribed), (sum.voiced, 0, 0));
}

#[test]
fn a_worker_that_dies_once_is_started_again_and_the_words_are_there() {
    let folder = TempDir::new().expect("a folder");
    let program = script(&folder, &format!("if [ ! -e died ]; then touch died; kill -9 $$; fi\nexec {REAL} \"$@\""));
    let transcript = transcribe(program).expect("transcribes");
    assert!(transcript.utterances[0].text().starts_with("I can see that the pair of shoes"));
    assert!(folder.path().join("died").exists());
}

#[test]
fn a_worker_that_always_dies_is_tried_three_times_and_the_utterance_is_failed() {
    let folder = TempDir::new().expect("a folder");
    let transcript = transcribe(script(&folder, "echo x >> tries\nexit 3")).expect("a transcript");
    assert_failed(&transcript, "died");
    assert_eq!(fs::read_to_string(folder.path().join("tries")).expect("written").lines().count(), 3);
}

#[test]
fn a_worker_that_speaks_nonsense_is_killed() {
    let folder = TempDir::new().expect("a folder");
    for nonsense in
        ["exec cat >&0", "head -c 4 /dev/zero >&0; exec cat >/dev/null", "printf '\\377\\377\\377\\377 nonsense' >&0; exec cat >/dev/null"]
    {
        let transcript = transcribe(script(&folder, nonsense)).expect("a transcript");
        assert_failed(&transcript, "");
    }
}

#[test]
fn a_worker_and_a_parent_of_different_versions_do_not_work_together() {
    use std::{os::unix::net::UnixStream, process::Command};
    use throughline::service::speech::protocol::{self, Message, VERSION};
    let (mut ours, theirs) = UnixStream::pair().expect("a pair");
    let mut child = Command::new(REAL).arg("speech-worker").stdin(std::os::fd::OwnedFd::from(theirs)).spawn().expect("starts");
    ours.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    protocol::write(&mut ours, &Message::Start { version: VERSION - 1, model: "/nowhere".into() }, &[]).expect("is read");
    let (answer, _) = protocol::read(&mut ours).expect("an answer");
    assert!(matches!(&answer, Message::Refused { why } if why.contains("restart the server")), "{answer:?}");
    assert!(child.wait().expect("ends by itself").success());
    let folder = TempDir::new().expect("a folder");
    let body = READY.replace("\"version\":2", "\"version\":1");
    assert_ne!(body, READY);
    assert_failed(&transcribe(script(&folder, &format!("{body}; exec cat >/dev/null"))).expect("a transcript"), "did not say ready");
}

#[test]
fn a_worker_that_answers_for_another_utterance_is_not_believed() {
    let folder = TempDir::new().expect("a folder");
    // Says ready, then throws the request away and says ready again.
    let ready = r#"{"kind":"ready","version":2,"audio_ctx":1500}"#;
    let body =
        format!("r='{ready}'\nsay() {{ printf '\\061\\000\\000\\000\\055\\000\\000\\000%s' \"$r\" >&0; }}\nsay\nsay\nexec cat >/dev/null");
    assert_eq!(ready.len(), 0o55);
    let transcript = transcribe(script(&folder, &body)).expect("a transcript");
    assert_failed(&transcript, "something else");
}

#[test]
fn a_worker_that_hangs_is_killed_and_the_next_one_does_the_work() {
    let folder = TempDir::new().expect("a folder");
    let ready = r#"{"kind":"ready","version":2,"audio_ctx":1500}"#;
    let hang = format!("printf '\\061\\000\\000\\000\\055\\000\\000\\000%s' '{ready}' >&0; echo $$ > pid; exec sleep 600");
    let program = script(&folder, &format!("if [ ! -e hung ]; then touch hung; {hang}; fi\nexec {REAL} \"$@\""));
    let transcript = transcribe(program).expect("transcribes");
    assert!(transcript.utterances[0].text().contains("shoes"));
    let pid = fs::read_to_string(folder.path().join("pid")).expect("written");
    assert!(!PathBuf::from(format!("/proc/{}", pid.trim())).exists(), "the hung one is gone");
}

#[test]
fn without_a_model_the_error_says_what_to_do() {
    let program = WorkerProgram::Path(REAL.into());
    let pool = Pool::start(PoolConfig { model: Some("/nowhere/ggml-x.bin".into()), program: program.clone(), ..PoolConfig::default() });
    let error = pool.expect("starts without one").transcribe_call(&sample()).expect_err("there is none");
    assert!(error.to_string().starts_with("There is no speech model: put a ggml file"), "{error}");
    let folder = TempDir::new().expect("a folder");
    let broken = folder.path().join("ggml-broken.bin");
    fs::write(&broken, vec![7; 5_000]).expect("writes");
    let pool = Pool::start(PoolConfig { model: Some(broken), program, ..PoolConfig::default() }).expect("starts");
    let error = pool.transcribe_call(&sample()).expect_err("it is broken");
    assert!(error.to_string().contains("is not a model that can be loaded"), "{error}");
}

#[test]
fn a_worker_whose_parent_is_gone_ends() {
    use std::{io::Write as _, os::unix::net::UnixStream, process::Command};
    let (mut ours, theirs) = UnixStream::pair().expect("a pair");
    let mut child = Command::new(REAL).arg("speech-worker").stdin(std::os::fd::OwnedFd::from(theirs)).spawn().expect("starts");
    ours.write_all(&[9, 0]).expect("is read");
    drop(ours);
    assert!(child.wait().expect("ends by itself").success());
}

/// Ready, as a worker says it, written by a script to descriptor 0.
const READY: &str = r#"printf '\061\000\000\000\055\000\000\000%s' '{"kind":"ready","version":2,"audio_ctx":1500}' >&0"#;

fn pool(program: WorkerProgram, workers: usize) -> Pool {
    let patience = Patience { load: Duration::from_secs(20), decode: Duration::from_secs(1) };
    Pool::start(PoolConfig { workers, program, patience, ..PoolConfig::default() }).expect("threads start")
}

fn utterance(n: u32) -> Request {
    let key = Key { leg: LegId::new(UnixMs(1), [1; 10]), start_ms: n };
    Request { key, sound: sample().remove(0).samples.as_slice().into(), full_context: false, model: None }
}

#[expect(clippy::disallowed_methods, reason = "deadlines of the pool are real time")]
fn live() -> Urgency {
    Urgency::Live { deadline: Instant::now() + Duration::from_secs(60) }
}

#[test]
fn while_workers_die_hang_or_flood_the_pool_takes_work_at_once_and_settles_it() {
    let flood = format!("{READY}; printf '\\377\\377\\017\\000' >&0; exec cat /dev/zero >&0");
    let half = format!("{READY}; printf '\\100\\000\\000\\000\\001' >&0; exec cat >/dev/null");
    for body in ["exit 9".to_owned(), format!("{READY}; exec sleep 600"), flood, half] {
        let folder = TempDir::new().expect("a folder");
        let pool = pool(script(&folder, &body), 1);
        let (reply, replies) = bounded(1);
        let short = Request { sound: [500; 4_000].as_slice().into(), ..utterance(0) };
        pool.submit(short, live(), reply).expect("has room, whatever the worker does");
        let (_, answer) = replies.recv_timeout(Duration::from_secs(120)).expect("is settled");
        assert!(matches!(answer, Err(TranscribeError::Lost(_))), "{body}: {answer:?}");
        assert_eq!((pool.load().given_up, pool.load().busy), (1, 0), "{body}");
    }
}

#[test]
fn a_pool_that_ends_answers_what_waits() {
    let folder = TempDir::new().expect("a folder");
    let pool = pool(script(&folder, &format!("{READY}; exec cat >/dev/null")), 1);
    let (reply, replies) = bounded(4);
    for n in 0..4 {
        pool.submit(utterance(n), live(), reply.clone()).expect("has room");
    }
    while pool.load().busy == 0 {
        std::thread::park_timeout(Duration::from_millis(10));
    }
    drop(pool);
    for _ in 0..3 {
        let (_, answer) = replies.recv_timeout(Duration::from_secs(60)).expect("answered");
        assert_eq!(answer, Err(TranscribeError::Shed(Shed::Stopped)));
    }
}

#[test]
fn a_worker_is_last_in_line_for_the_processor_first_when_memory_runs_out_and_bounded() {
    let folder = TempDir::new().expect("a folder");
    let program = script(&folder, &format!("echo $$ > pid; exec {REAL} \"$@\""));
    let pool = pool(program, 1);
    let (reply, replies) = bounded(1);
    pool.submit(utterance(0), live(), reply).expect("has room");
    let (_, answer) = replies.recv_timeout(Duration::from_secs(120)).expect("is settled");
    assert!(answer.expect("words").words.len() > 5);
    let pid = fs::read_to_string(folder.path().join("pid")).expect("written");
    let read = |what: &str| fs::read_to_string(format!("/proc/{}/{what}", pid.trim())).expect("it lives");
    assert_eq!(read("oom_score_adj").trim(), "1000");
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    // proc(5): nice is the 19th field, policy the 41st; the split starts with the third.
    assert_eq!((fields[16], fields[38]), ("19", "5"), "SCHED_IDLE");
    let limits = read("limits");
    let memory = limits.lines().find(|l| l.starts_with("Max address space")).expect("a limit");
    let bytes: u64 = memory.split_whitespace().nth(3).and_then(|b| b.parse().ok()).expect("a number, not unlimited");
    assert!((1 << 30..4 << 30).contains(&bytes), "{memory}");
}

#[test]
fn two_models_are_asked_by_name_and_one_that_is_missing_says_how_to_get_it() {
    let pool = pool(WorkerProgram::Path(REAL.into()), 1);
    let (reply, replies) = bounded(2);
    for model in ["demo-phone.en", "nowhere.en"] {
        let request = Request { model: Some(model.into()), ..utterance(0) };
        pool.submit(request, Urgency::AfterCall, reply.clone()).expect("has room");
    }
    let answers = [replies.recv_timeout(Duration::from_secs(120)), replies.recv_timeout(Duration::from_secs(120))];
    let [Ok((_, first)), Ok((_, second))] = answers else { panic!("both are settled") };
    assert!(first.expect("words").words.len() > 5);
    assert!(matches!(second, Err(TranscribeError::Model(why)) if why.contains("throughline model fetch nowhere.en")));
    assert!(pool.models().contains(&"demo-phone.en".to_owned()));
    let transcript = pool.transcribe_call_with(Some("demo-phone.en"), &sample()).expect("words");
    assert_eq!(transcript.model, "demo-phone.en");
    assert!(pool.transcribe_call_with(Some("nowhere.en"), &sample()).is_err());
}

/// The carried model under another name, or a file that is no model.
fn model_file(folder: &TempDir, name: &str, works: bool) -> PathBuf {
    let path = folder.path().join(format!("ggml-{name}.bin"));
    let carried = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ggml-demo-phone.en-q8_0.bin");
    if works {
        std::os::unix::fs::symlink(carried, &path).expect("links")
    } else {
        fs::write(&path, b"no model").expect("writes")
    }
    path
}

#[test]
fn live_words_are_made_by_the_live_model_and_those_after_the_call_by_the_other() {
    for (live_works, after_works) in [(true, false), (false, true)] {
        let folder = TempDir::new().expect("a folder");
        let config = PoolConfig {
            live_model: Some(model_file(&folder, "small", live_works)),
            model: Some(model_file(&folder, "large", after_works)),
            workers: 1,
            program: WorkerProgram::Path(REAL.into()),
            ..PoolConfig::default()
        };
        let pool = Pool::start(config).expect("threads start");
        let names = (pool.live_model().expect("is there").0, pool.model().expect("is there").0);
        assert_eq!(names, ("small".to_owned(), "large".to_owned()));
        let ask = |urgency: Urgency| {
            let (reply, replies) = bounded(1);
            pool.submit(utterance(0), urgency, reply).expect("has room");
            replies.recv_timeout(Duration::from_secs(120)).expect("is settled").1
        };
        let answers = [(ask(live()), live_works), (ask(Urgency::AfterCall), after_works)];
        for (answer, works) in answers {
            assert_eq!(answer.as_ref().is_ok_and(|heard| heard.words.len() > 5), works, "{answer:?}");
        }
    }
}

/// A person's prompts, each as a call; none where the folder has no such voice.
fn a_persons_prompts(folder: &Path, most: usize) -> Vec<TrackAudio> {
    let Ok(entries) = fs::read_dir(folder.join("en_US_f_Allison")) else { return Vec::new() };
    let mut prompts: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    prompts.sort();
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    prompts.retain(|path| name(path).ends_with(".wav") && !name(path).contains("beep"));
    prompts.iter().take(most).flat_map(|path| file::read_wav(path).expect("a prompt")).collect()
}

#[test]
fn what_a_person_says_to_the_demo_model_is_not_understood_rather_than_invented() {
    let folder = std::env::var_os("THROUGHLINE_VOICES").map_or_else(|| PathBuf::from("/usr/share/asterisk/sounds"), PathBuf::from);
    let prompts = a_persons_prompts(&folder, 30);
    if prompts.is_empty() {
        println!("no person's voice in {}: install asterisk-core-sounds-en-wav, or set THROUGHLINE_VOICES", folder.display());
    }
    let pool = pool(WorkerProgram::Path(REAL.into()), 1);
    let shown = |tracks: &[TrackAudio]| {
        let transcript = pool.transcribe_call(tracks).expect("is settled");
        transcript.utterances.iter().filter(|u| u.rejected.is_none()).map(|u| u.words.len()).sum::<usize>()
    };
    let words: usize = prompts.iter().map(|prompt| shown(std::slice::from_ref(prompt))).sum();
    let seconds = prompts.iter().map(|prompt| prompt.samples.len() / 8_000).sum::<usize>();
    println!("{words} words of {} prompts, {seconds} s", prompts.len());
    assert!(words <= seconds / 10, "{words} words in {seconds} s of a voice that the model does not know");
    assert!(shown(&sample()) > 5, "the voices that it knows are understood");
}
