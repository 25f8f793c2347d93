//! Builds the parts, connects the channels, shuts down in order.
//!
//! ```text
//! store ◀─ spool ◀─ facts ── control ──▶ media threads ──▶ taps ──▶ recorder ─▶ live front end
//!   └────▶ jobs ─▶ speech workers ◀─────┼──────────────────────────────────┘
//!                                       └▶ live ring ─▶ API ─▶ desks
//! ```
//! Start: record, recovery, recorder, media, switch, sockets, API. Stop: calls, media, recorder, spool, record.

mod effects;
mod metrics;
mod people;
mod people_admin;
mod queues;
mod recovery;
mod speech;
mod wiring;

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

pub use people_admin::{NewPerson, add_person, judged_lines};

use crate::{
    config::{Config, ConfigError},
    domain::{
        routing::Queue,
        switch::{Input, Switch},
    },
    service::{
        api::{self, Api},
        clock,
        control_thread::{Control, ControlHandle, ControlMessage},
        jobs::{self, Jobs, Redaction},
        live::LiveHub,
        media_threads::{MediaStartError, MediaThreads},
        recorder::{Recorder, RecorderConfig},
        sip_sockets::BindError,
        speech::SpeechError,
        spool::{Spool, SpoolAlarm, SpoolError, SpoolOptions},
        store::{Store, StoreError, seed_demo, seed_demo_day},
        taps,
        trunk_names::{self, TrunkNames},
    },
};

/// Packets of one call that may wait for the recorder: two legs for two seconds. Their room is had when they come.
const TAPS_PER_CALL: usize = 200;

/// Why the server did not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A folder, a thread or a port could not be had.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with the remedy.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The record.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// A sound of a queue.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// RTP ports.
    #[error(transparent)]
    Media(#[from] MediaStartError),
    /// SIP ports.
    #[error(transparent)]
    Sip(#[from] BindError),
    /// Speech workers.
    #[error(transparent)]
    Speech(#[from] SpeechError),
    /// The operating system has no random bytes.
    #[error("no random bytes to be had: {0}")]
    Entropy(#[from] getrandom::Error),
    /// Something that the caller asked for cannot be.
    #[error("{0}")]
    Refused(String),
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> AppError {
    let what = what.into();
    move |source| AppError::Io { what, source }
}

/// Runs the server until it is told to stop.
pub fn serve(config: Config, demo: bool) -> Result<(), AppError> {
    #[cfg(target_env = "gnu")]
    wiring::raise_descriptor_limit();
    #[cfg(feature = "fault-injection")]
    wiring::choose_fault()?;
    #[cfg(feature = "fault-injection")]
    wiring::obey_test();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(io_error("the runtime cannot start"))?;
    runtime.block_on(run(config, demo))
}

async fn run(config: Config, demo: bool) -> Result<(), AppError> {
    std::fs::create_dir_all(&config.node.data)
        .map_err(io_error(format!("the data folder {} cannot be made. Change [node] data", config.node.data.display())))?;
    let (clips, queues) = queues::load(&config)?;
    let folders = wiring::Folders::of(&config);
    let store = Store::open(&folders.database).await?;
    store.put_queues(&config.queues.iter().map(|queue| queue.name.clone()).collect::<Vec<_>>(), clock::now().wall).await?;
    if demo {
        begin_demo(&config, &store).await?;
    }
    let live = LiveHub::redacting(u64::try_from(store.next_epoch().await?).unwrap_or_default(), config.speech.redaction.rules.clone());
    let control = Control::new().map_err(io_error("the control thread cannot start"))?;
    let handle = control.handle();
    let before = store.people(clock::now().wall).await?;
    let alarm = alarms(&handle, "journal");
    let on_alarm = move |trouble: SpoolAlarm| alarm((trouble != SpoolAlarm::Over).then(|| trouble.to_string()));
    let spool = Spool::start(&folders.spool, store.clone(), SpoolOptions::default(), on_alarm).await?;
    recovery::close_crashed(&store, &config.recording.folder).await?;

    let (tap_sender, tapped) = taps::channel(config.sip.limits.max_calls * TAPS_PER_CALL);
    let on_recorder = effects::on_recorder_event(spool.handle(), alarms(&handle, "recorder"));
    let mut recording = RecorderConfig::new(config.recording.folder.clone());
    recording.settings.reserve_octets = config.recording.reserve_mb << 20;
    let mut speech = speech::start(&config.speech, &live)?;
    let feed = speech.as_mut().and_then(|speech| speech.sink.take());
    let recorder = Recorder::start_feeding(&recording, tapped, on_recorder, feed).map_err(io_error(format!(
        "the recordings folder {} cannot be used. Change [recording] folder",
        config.recording.folder.display()
    )))?;
    let to_control = handle.clone();
    let media = Arc::new(MediaThreads::start(wiring::media(&config, clips), tap_sender, move |event| {
        to_control.send(ControlMessage::Media(event));
    })?);

    let switch = switch(&config, &queues, &store, live.epoch(), &media, &before).await?;
    let sockets = wiring::sockets(&config)?;
    let http = config.http.listen;
    let listener = tokio::net::TcpListener::bind(http)
        .await
        .map_err(io_error(format!("the desk cannot listen on {http}. Stop what uses it, or change [http] listen")))?;
    let effects = effects::effects(&media, &spool.handle(), &live, &store, &handle);
    let thread = control.start(switch, sockets, effects).map_err(io_error("the control thread cannot start"))?;

    let (stop, stopping) = watch::channel(false);
    let redaction = redaction(&config);
    let heard = speech.as_ref().and_then(|speech| speech.counters.clone());
    let pool = speech.as_ref().map(|speech| speech.pool.clone());
    let workers = background(&config, queues, &store, &live, (&handle, &redaction), &stopping, speech)?;
    let counting = metrics::Counting { media: &media, recorder: &recorder, spool: &spool.handle(), redaction: &redaction.counters, heard };
    let parts = metrics::api_parts(&config, &store, &live, &handle, &counting, pool);
    let mut api_stop = stopping.clone();
    let serving = tokio::spawn(api::serve(listener, Api::new(parts), async move {
        let _ = api_stop.wait_for(|stop| *stop).await;
    }));
    tracing::info!(desk = %http, sip = ?wiring::addresses(&config), "ready");

    until_drained(&config, &handle, thread).await?;
    let _ = stop.send(true);
    serving.abort();
    Arc::try_unwrap(media).into_iter().for_each(MediaThreads::shutdown);
    recorder.shutdown();
    for worker in workers {
        worker.abort();
    }
    spool.stop().await;
    store.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// People, customers and a day so far for whoever tries it, and what to type next.
async fn begin_demo(config: &Config, store: &Store) -> Result<(), AppError> {
    let now = clock::now().wall;
    let seed = seed_demo(store, &config.sip.realm, now).await?;
    seed_demo_day(store, clock::day_begins(now), now).await?;
    people_admin::print_welcome(config, &seed);
    Ok(())
}

/// Waits until the server is told to stop, then until its calls have ended, or it is told again, or the drain takes too long.
async fn until_drained(config: &Config, control: &ControlHandle, thread: std::thread::JoinHandle<()>) -> Result<(), AppError> {
    let mut signals = wiring::Signals::new().map_err(io_error("signals cannot be heard"))?;
    signals.next().await;
    tracing::info!(
        drain_s = config.sip.limits.drain.as_secs(),
        "stopping: running calls may end by themselves; another signal ends them now"
    );
    control.send(ControlMessage::Shutdown);
    let mut control_ends = tokio::task::spawn_blocking(move || thread.join());
    let drained = async {
        tokio::select! {
            _ = &mut control_ends => true,
            () = signals.next() => false,
        }
    };
    if !matches!(tokio::time::timeout(config.sip.limits.drain + wiring::GOODBYE, drained).await, Ok(true)) {
        tracing::info!("stopping: calls end now");
        control.send(ControlMessage::Shutdown);
        let _ = tokio::time::timeout(wiring::GOODBYE, control_ends).await;
    }
    Ok(())
}

/// The switch, told who works here and which phones are registered before the first datagram.
async fn switch(
    config: &Config,
    queues: &[Queue],
    store: &Store,
    epoch: u64,
    media: &MediaThreads,
    before: &crate::service::store::People,
) -> Result<Switch, AppError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let now = clock::now();
    let people = store.people(now.wall).await?;
    let mut switch = Switch::new(wiring::switch(config, media.ports()), seed, u32::try_from(epoch).unwrap_or(u32::MAX), now);
    // The day first: nobody is to see a queue with figures of zero.
    switch.handle(now, queues::today(store, queues).await?);
    switch.handle(now, Input::People(people::snapshot(&people, config, queues)));
    switch.handle(now, Input::Bindings(people.bindings.clone()));
    for command in people::resumed(before) {
        switch.handle(now, Input::Desk(command));
    }
    Ok(switch)
}

/// Looks up the names of trunks, where there are any.
fn trunk_names(config: &Config, handle: &ControlHandle) -> Result<Option<TrunkNames>, AppError> {
    let names = wiring::trunk_names(config);
    if names.is_empty() {
        return Ok(None);
    }
    let to_control = handle.clone();
    let found = move |trunk, addresses| {
        to_control.send(ControlMessage::TrunkAddresses { trunk, addresses });
    };
    let started = trunk_names::start(names, config.sip.name_servers.clone(), found, alarms(handle, "trunk_names"));
    started.map(Some).map_err(io_error("the thread for trunks' names cannot start"))
}

/// Which numbers are taken out, and of what.
fn redaction(config: &Config) -> Redaction {
    Redaction {
        rules: config.speech.redaction.rules.clone(),
        audio: if config.speech.redaction.audio { jobs::in_recordings(config.recording.folder.clone()) } else { Arc::new(|_, _| Ok(0)) },
        counters: Arc::default(),
    }
}

/// Jobs, people that change, and what the record tells the desks.
fn background(
    config: &Config,
    queues: Vec<Queue>,
    store: &Store,
    live: &LiveHub,
    (handle, redaction): (&ControlHandle, &Redaction),
    stopping: &watch::Receiver<bool>,
    speech: Option<speech::Speech>,
) -> Result<Vec<tokio::task::JoinHandle<()>>, AppError> {
    let mut tasks = vec![
        tokio::spawn(effects::watch_people(store.clone(), handle.clone(), config.clone(), queues)),
        tokio::spawn(queues::watch_day(handle.clone())),
        tokio::spawn(effects::tell_changes(store.clone(), live.clone())),
    ];
    if let Some(names) = trunk_names(config, handle)? {
        // The thread ends with this task.
        tasks.push(tokio::spawn(async move {
            let _names = names;
            std::future::pending::<()>().await;
        }));
    }
    if let Some(speech::Speech { pool, live: heard, .. }) = speech {
        let tracks = jobs::from_recordings(config.recording.folder.clone());
        let hub = live.clone();
        let changed = Arc::new(move |fact| hub.publish(fact));
        let (redaction, alarm) = (redaction.clone(), Arc::new(alarms(handle, "speech")));
        let insight = Arc::new(wiring::insight(&config.insight));
        let jobs = Jobs { store: store.clone(), pool, tracks, live: heard, insight, changed, alarm, redaction };
        tasks.push(tokio::spawn(jobs::run(jobs, stopping.clone())));
    }
    Ok(tasks)
}

/// Where a part puts its alarms: one sentence, or `None` when it is over. What has been said is not said again.
fn alarms(handle: &ControlHandle, part: &'static str) -> impl Fn(Option<String>) + Send + Sync + use<> {
    let handle = handle.clone();
    let said = Mutex::new(None);
    move |sentence| {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if *said == sentence {
            return;
        }
        match &sentence {
            Some(sentence) => tracing::warn!(part, "{sentence}"),
            None => tracing::info!(part, "the trouble is over"),
        }
        said.clone_from(&sentence);
        handle.send(ControlMessage::Alarm { part, sentence });
    }
}
