//! A worker that dies, hangs, speaks nonsense or has no model: what becomes of its utterances.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;
use throughline::{
    domain::insight::utterance::Transcript,
    service::speech::{Patience, Pool, PoolConfig, SpeechError, TrackAudio, WorkerProgram, file},
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
    let sum = transcript.coverage[0];
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
fn a_worker_that_answers_for_another_utterance_is_not_believed() {
    let folder = TempDir::new().expect("a folder");
    // Says ready, then throws the request away and says ready again.
    let ready = r#"{"kind":"ready","version":1,"audio_ctx":1500}"#;
    let body =
        format!("r='{ready}'\nsay() {{ printf '\\061\\000\\000\\000\\055\\000\\000\\000%s' \"$r\" >&0; }}\nsay\nsay\nexec cat >/dev/null");
    assert_eq!(ready.len(), 0o55);
    let transcript = transcribe(script(&folder, &body)).expect("a transcript");
    assert_failed(&transcript, "something else");
}

#[test]
fn a_worker_that_hangs_is_killed_and_the_next_one_does_the_work() {
    let folder = TempDir::new().expect("a folder");
    let ready = r#"{"kind":"ready","version":1,"audio_ctx":1500}"#;
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
