//! How long after an utterance its words are there, by how many legs talk: time axis, front end, workers; real time, nothing sped up.
//!
//! ```text
//! packets of N legs, every 20 ms ─▶ time axis ─▶ front end ─▶ pool ═▶ worker process        lag = words told − last voiced sample
//! ```
//! Everything runs on the cores that this program was given, the workers too. The way from here to a desk is the pop's.

use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, Mutex, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use throughline::{
    domain::{
        live::{LATER, LiveWords},
        media::{
            feed::Feed,
            plan::Codec,
            tap::{TAP_PAYLOAD_MAX, TapFrame, TapOpen},
            time_axis::TimeAxis,
        },
    },
    ids::{InteractionId, LegId, Party, RecordingId},
    protocol::audio::g711,
    service::speech::{
        Pool, PoolConfig, RATE, WorkerProgram, file, front_end,
        live::{FrontConfig, FrontEnd, LiveResults, NoMask},
    },
    time::UnixMs,
};

use super::{report::Report, stats::Samples};

/// Samples of a packet.
const PACKET: usize = 160;
/// The share of the time that a leg talks.
const TALK: f64 = 0.45;
/// What has begun before is not counted: models load, detectors settle.
const SETTLE: Duration = Duration::from_secs(3);
/// Between the sentences of one turn: shorter than what ends an utterance.
const BREATH: usize = RATE / 5;
/// How long the last words are waited for: longer than a call waits for any.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// Measures each number of legs for so long.
pub fn run(legs: &[usize], time: Duration, report: &mut Report) -> anyhow::Result<()> {
    let program = WorkerProgram::Path(env!("CARGO_BIN_EXE_throughline").into());
    let pool = Arc::new(Pool::start(PoolConfig { program, ..PoolConfig::default() })?);
    let (model, _) = pool.live_model()?;
    report.note(&format!("model {model}, {} worker(s), {:.0} % talk a leg, partial words on", pool.load().workers, TALK * 100.0));
    let sentences = sentences()?;
    for count in legs {
        let found = level(&pool, &sentences, *count, time)?;
        let [mut short, mut long] = found.lags;
        anyhow::ensure!(short.len() > 0, "{count} legs: no utterance got words; nothing was measured");
        let holds = short.at(0.95) <= 1_000.0 && long.at(0.95) <= 1_500.0;
        let line = |lags: &mut Samples| format!("p50 {:.0} · p95 {:.0} ms (n = {})", lags.at(0.5), lags.at(0.95), lags.len());
        report.row(
            &format!("acoustic end → words, {count} legs"),
            "p95 ≤ 1.0 s to 5 s long, ≤ 1.5 s to 10 s",
            &format!(
                "{}; {}; {} left to the recording; core {:.0} % busy",
                line(&mut short),
                line(&mut long),
                found.later,
                found.busy * 100.0
            ),
            holds,
        );
    }
    Ok(())
}

struct Found {
    /// Of utterances up to 5 s, and up to 10 s.
    lags: [Samples; 2],
    later: usize,
    /// Processor time of this process and its workers, of the time of one core.
    busy: f64,
}

/// The carried call's utterances, as sound.
fn sentences() -> anyhow::Result<Vec<Vec<i16>>> {
    let call = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples/call.wav");
    let tracks = file::read_wav(&call)?;
    let cut = tracks.iter().flat_map(|track| {
        let pieces = front_end::listen(track).pieces.into_iter().filter(|piece| piece.refused.is_none());
        pieces.map(|piece| track.samples[piece.range].to_vec()).collect::<Vec<_>>()
    });
    Ok(cut.collect())
}

/// One leg's sound: turns of one to three sentences with pauses between, as A-law packets.
struct Speaker {
    leg: LegId,
    interaction: InteractionId,
    axis: TimeAxis,
    octets: Vec<u8>,
    sent: usize,
}

fn speaker(n: usize, sentences: &[Vec<i16>], time: Duration) -> Speaker {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(n as u64 + 1);
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % below
    };
    let wanted = (time.as_secs_f64() * RATE as f64) as usize;
    // Somewhere in a pause, so that legs don't begin together.
    let mut samples: Vec<i16> = vec![0; next(4 * RATE)];
    while samples.len() < wanted {
        let begin = samples.len();
        for _ in 0..=next(3) {
            samples.extend(&sentences[next(sentences.len())]);
            samples.extend([0; BREATH]);
        }
        let pause = (samples.len() - begin) as f64 * (1.0 - TALK) / TALK;
        samples.resize(samples.len() + pause as usize, 0);
    }
    // An idle line is never silent.
    let octets = samples.iter().take(wanted).map(|sample| g711::linear_to_alaw(sample.saturating_add(next(17) as i16 - 8))).collect();
    let id = [u8::try_from(n % 251).unwrap_or(0) + 1; 10];
    Speaker {
        leg: LegId::new(UnixMs(1 + n as i64), id),
        interaction: InteractionId::new(UnixMs(1 + n as i64 / 2), [7; 10]),
        axis: TimeAxis::new(0),
        octets,
        sent: 0,
    }
}

fn level(pool: &Arc<Pool>, sentences: &[Vec<i16>], count: usize, time: Duration) -> anyhow::Result<Found> {
    let told: Arc<Mutex<Vec<(Instant, LiveWords)>>> = Arc::default();
    let tell = told.clone();
    let publish = Arc::new(move |words| {
        if let Ok(mut told) = tell.lock() {
            told.push((Instant::now(), words));
        }
    });
    let config = FrontConfig { threads: 1, partial: true, mask: Arc::new(|| Box::new(NoMask)) };
    let front = FrontEnd::start(&config, pool.clone(), Arc::new(LiveResults::default()), publish)?;
    let counters = front.counters().clone();
    let mut sink = front.sink();
    let mut speakers: Vec<Speaker> = (0..count).map(|n| speaker(n, sentences, SETTLE + time)).collect();
    for speaker in &speakers {
        anyhow::ensure!(sink(speaker.interaction, Feed::Open(Arc::new(speaker.head()))).is_none(), "the front end's channel is full");
    }
    let (begun, cost) = (Instant::now(), processor_s());
    let packets = speakers.first().map_or(0, |speaker| speaker.octets.len() / PACKET);
    for n in 1..=packets {
        let due = begun + Duration::from_millis(20) * u32::try_from(n)?;
        std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
        let now_us = u64::try_from(begun.elapsed().as_micros())?;
        for speaker in &mut speakers {
            speaker.speak(now_us, &mut sink);
        }
    }
    let busy = (processor_s() - cost) / begun.elapsed().as_secs_f64();
    let end_us = u64::try_from(begun.elapsed().as_micros())?;
    for Speaker { leg, interaction, .. } in &speakers {
        anyhow::ensure!(sink(*interaction, Feed::Close { leg: *leg, axis_us: end_us }).is_none(), "the front end's channel is full");
    }
    // Every utterance gets words or is left to the recording: none is forgotten because it was slow.
    let until = Instant::now() + LAST_WORDS;
    while counters.calls.load(Relaxed) > 0 {
        anyhow::ensure!(Instant::now() < until, "calls that have ended still wait for words");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let told = told.lock().map_err(|_| anyhow::anyhow!("a front-end thread failed"))?;
    Ok(read(&told, begun, busy))
}

/// What the messages to the desks say; an utterance that is told again counts once.
fn read(told: &[(Instant, LiveWords)], begun: Instant, busy: f64) -> Found {
    let mut found = Found { lags: Default::default(), later: 0, busy };
    let mut seen = HashSet::new();
    for (at, words) in told {
        for live in words.utterances.iter().filter(|live| !live.partial && Duration::from_millis(live.utterance.from_ms.into()) > SETTLE) {
            if !seen.insert((live.utterance.leg, live.utterance.from_ms)) {
                continue;
            }
            let ended = begun + Duration::from_millis(live.utterance.to_ms.into());
            let length = live.utterance.to_ms - live.utterance.from_ms;
            match live.utterance.rejected.as_deref() {
                None => found.lags[usize::from(length > 5_000)].add(at.saturating_duration_since(ended)),
                Some(LATER) => found.later += 1,
                Some(_) => {}
            }
        }
    }
    found
}

impl Speaker {
    fn head(&self) -> TapOpen {
        let party = if self.leg.0.as_u128().is_multiple_of(2) { Party::Customer } else { Party::Agent };
        TapOpen {
            recording: RecordingId(self.leg.0),
            interaction: self.interaction,
            leg: self.leg,
            party,
            codec: Codec::Pcma,
            axis_start_wall: UnixMs(1),
            axis_us: 0,
        }
    }

    /// The next packet, as the tap has it.
    fn speak(&mut self, now_us: u64, sink: &mut impl FnMut(InteractionId, Feed) -> Option<Feed>) {
        let Some(octets) = self.octets.get(self.sent * PACKET..(self.sent + 1) * PACKET) else { return };
        let mut payload = [0; TAP_PAYLOAD_MAX];
        payload[..PACKET].copy_from_slice(octets);
        let n = self.sent as u64;
        self.sent += 1;
        self.axis.push(&TapFrame {
            leg: self.leg,
            source: 0,
            arrival_us: now_us,
            ext_seq: n,
            ext_ts: n * PACKET as u64,
            codec: Codec::Pcma,
            len: 160,
            payload,
        });
        self.axis.poll(now_us);
        while let Some(chunk) = self.axis.next_chunk() {
            // A hole shows in the next piece.
            let _ = sink(self.interaction, Feed::Chunk { leg: self.leg, chunk });
        }
    }
}

/// Processor time of this process and of its children that still run, seconds.
fn processor_s() -> f64 {
    let ticks = |path: &str| -> f64 {
        let stat = std::fs::read_to_string(path).unwrap_or_default();
        let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
        after.split(' ').skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum()
    };
    let mut all = ticks("/proc/self/stat");
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let of_task = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        all += of_task.split_whitespace().map(|pid| ticks(&format!("/proc/{pid}/stat"))).sum::<f64>();
    }
    // USER_HZ is 100 on every Linux that this runs on.
    all / 100.0
}
