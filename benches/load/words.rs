//! What busy speech workers do to calls: the same relayed calls with the workers idle and with all of them decoding without a pause;
//! and what a call holds whose words are shown while they are spoken.
//!
//! The workers are put on the server's own core: the worst place that they can be.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::Context;
use crossbeam_channel::bounded;
use throughline::{
    ids::LegId,
    service::speech::{Key, Pool, PoolConfig, Request, Urgency, WorkerProgram, file},
    time::UnixMs,
};

use super::{media, report::Report};

/// Workers of the pool: more than the core can run at once.
const WORKERS: usize = 2;
/// Utterances under way, so that no worker ever waits for one.
const WAITING: usize = 3 * WORKERS;

/// Measures and reports.
pub fn run(calls: usize, time: Duration, report: &mut Report) -> anyhow::Result<()> {
    let mut decoded = None;
    let [idle, busy] = media::beside(calls, time, || {
        let workers = Busy::start()?;
        decoded = Some(workers.decoded.clone());
        Ok(workers)
    })?;
    let decoded = decoded.map_or(0, |n| n.load(Ordering::Relaxed));
    anyhow::ensure!(decoded > 0, "the workers decoded nothing: nothing was measured");
    report.row(
        "relay p99 with all workers busy",
        "≤ 1.2 × idle, ≤ 5 ms",
        &format!("{:.2} ms, idle {:.2} ms ({:.2} ×), {calls} calls, {WORKERS} workers on the same core", busy.0, idle.0, busy.0 / idle.0),
        busy.0 <= 1.2 * idle.0 && busy.0 <= 5.0,
    );
    report.row("packets lost by us with all workers busy", "0", &busy.2.to_string(), busy.2 == 0);
    report.note(&format!("workers idle: delay {}; busy: delay {}; {decoded} utterances decoded meanwhile", idle.1, busy.1));
    // Long enough that every leg has said something.
    let time = time.max(Duration::from_secs(15));
    media::memory_of_words(media::Span { time, few: calls / 10, many: calls }, report)
}

/// Workers that never rest; they end with it.
struct Busy {
    stop: Arc<AtomicBool>,
    decoded: Arc<AtomicU64>,
    feeder: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Busy {
    fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let program = WorkerProgram::Path(on_core_0(folder.path())?);
        let pool = Pool::start(PoolConfig { workers: WORKERS, program, ..PoolConfig::default() })?;
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples/sample-2.wav");
        let samples = file::read_wav(&sample)?.swap_remove(0).samples;
        let (stop, decoded) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (told, count) = (stop.clone(), decoded.clone());
        let feeder = std::thread::spawn(move || feed(&pool, &samples, &told, &count));
        let busy = Self { stop, decoded, feeder: Some(feeder), _folder: folder };
        let until = Instant::now() + Duration::from_secs(60);
        while busy.decoded.load(Ordering::Relaxed) < WORKERS as u64 {
            anyhow::ensure!(Instant::now() < until, "the workers do not start");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(feeder) = self.feeder.take() {
            let _ = feeder.join();
        }
    }
}

fn feed(pool: &Pool, samples: &[i16], stop: &AtomicBool, decoded: &AtomicU64) {
    let (reply, replies) = bounded(WAITING);
    let mut start_ms = 0;
    while !stop.load(Ordering::Relaxed) {
        while pool.load().live < WAITING - WORKERS {
            start_ms += 1;
            let key = Key { leg: LegId::new(UnixMs(1), [(start_ms % 200) as u8; 10]), start_ms };
            let request = Request { key, sound: samples.into(), full_context: false, model: None };
            let deadline = Instant::now() + Duration::from_secs(60);
            if pool.submit(request, Urgency::Live { deadline }, reply.clone()).is_err() {
                break;
            }
        }
        if let Ok((_, Ok(_))) = replies.recv_timeout(Duration::from_millis(100)) {
            decoded.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The worker as the server would start it, on the server's core.
fn on_core_0(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("worker");
    let program = env!("CARGO_BIN_EXE_throughline");
    fs::write(&path, format!("#!/bin/sh\nexec taskset -c 0 {program} \"$@\"\n")).context("cannot write beside the temporary files")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}
