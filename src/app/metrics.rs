//! The metrics page: what every part has counted, by reason.

use std::{
    fmt::Write,
    sync::{Arc, atomic::Ordering},
};

use crate::{
    config::Config,
    domain::media::counters::DropReason,
    service::{
        api::{Parts, SpeechModel, SpeechModels},
        control_thread::{ControlHandle, ControlMessage},
        jobs::RedactionCounters,
        live::LiveHub,
        log_writer::LEFT_OUT,
        media_threads::{MediaCounters, MediaThreads},
        recorder::{self, Recorder},
        speech::{Pool, live::FrontCounters},
        spool::SpoolHandle,
        store::Store,
    },
};

/// Parts that count.
pub(super) struct Counting<'a> {
    pub media: &'a Arc<MediaThreads>,
    pub recorder: &'a Recorder,
    pub spool: &'a SpoolHandle,
    pub redaction: &'a Arc<RedactionCounters>,
    pub heard: Option<Arc<FrontCounters>>,
}

/// What the API is built of.
pub(super) fn api_parts(
    config: &Config,
    store: &Store,
    live: &LiveHub,
    handle: &ControlHandle,
    counting: &Counting<'_>,
    pool: Option<Arc<Pool>>,
) -> Parts {
    let (control, ready, page) = (handle.clone(), handle.clone(), handle.clone());
    let (media, recorder) = (Arc::downgrade(counting.media), counting.recorder.counters().clone());
    let (spool, redaction) = (counting.spool.clone(), counting.redaction.clone());
    let heard = counting.heard.clone();
    Parts {
        store: store.clone(),
        live: live.clone(),
        control: Box::new(move |command| control.send(ControlMessage::Desk(command))),
        metrics: Box::new(move || {
            let mut text = page.metrics();
            if let Some(media) = media.upgrade() {
                media_lines(&mut text, &media.counters());
            }
            line(&mut text, "log_lines_left_out_total", LEFT_OUT.load(Ordering::Relaxed));
            recorder_lines(&mut text, &recorder);
            spool_lines(&mut text, &spool);
            redaction_lines(&mut text, &redaction);
            if let Some(heard) = &heard {
                speech_lines(&mut text, heard);
            }
            text
        }),
        not_ready: Box::new(move || ready.not_ready()),
        speech_models: speech_models(pool),
        connections: super::wiring::desk_connections(config),
        http: config.http.clone(),
        recordings: config.recording.folder.clone(),
        redaction: config.speech.redaction.rules.clone(),
    }
}

/// The models that the pool would find now.
fn speech_models(pool: Option<Arc<Pool>>) -> Box<dyn Fn() -> SpeechModels + Send + Sync> {
    let named = |pool: &Pool, usual: String| {
        // A model outside `models/` is named by its path and is not among them.
        let others = pool.models().into_iter().filter(|name| *name != usual);
        let others: Vec<_> = others.map(|name| SpeechModel { name, usual: false }).collect();
        std::iter::once(SpeechModel { name: usual, usual: true }).chain(others).collect()
    };
    Box::new(move || match pool.as_ref().map(|pool| (pool, pool.model())) {
        Some((pool, Ok((usual, _)))) => SpeechModels { models: named(pool, usual), trouble: None },
        Some((_, Err(_))) => SpeechModels { models: Vec::new(), trouble: Some("No speech model. Admin: `throughline model`.".to_owned()) },
        None => SpeechModels { models: Vec::new(), trouble: Some("Calls are not transcribed here: [speech] enabled is off.".to_owned()) },
    })
}

fn line(text: &mut String, name: &str, value: u64) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "throughline_{name} {value}");
}

fn media_lines(text: &mut String, counters: &MediaCounters) {
    let (engine, sockets) = (&counters.engine, &counters.sockets);
    for (name, value) in [
        ("rtp_received_total", engine.received),
        ("rtp_sent_total", engine.sent),
        ("rtcp_received_total", engine.rtcp_received),
        ("rtcp_sent_total", engine.rtcp_sent),
        ("rtp_new_sources_total", engine.new_sources),
        ("media_stale_plans_total", engine.stale_plans),
        ("media_refused_legs_total", engine.refused_legs),
        ("media_failed_legs_total", engine.failed_legs),
        ("media_send_blocked_total", sockets.send_blocked),
        ("media_send_failed_total", sockets.send_failed),
        ("media_panics_total", sockets.panics),
    ] {
        line(text, name, value);
    }
    for reason in DropReason::ALL {
        line(text, &format!("media_dropped_total{{reason=\"{}\"}}", reason.name()), engine.dropped_for(reason));
    }
}

fn recorder_lines(text: &mut String, counters: &recorder::Counters) {
    use std::sync::atomic::Ordering::Relaxed;
    for (name, counter) in [
        ("frames_without_track_total", &counters.frames_without_track),
        ("tracks_refused_total", &counters.tracks_refused),
        ("blocks_dropped_queue_total", &counters.blocks_dropped_queue),
        ("blocks_dropped_disk_total", &counters.blocks_dropped_disk),
        ("written_bytes_total", &counters.octets_written),
        ("feed_dropped_total", &counters.feed_dropped),
    ] {
        line(text, &format!("recorder_{name}"), counter.load(Relaxed));
    }
}

fn redaction_lines(text: &mut String, counters: &RedactionCounters) {
    use std::sync::atomic::Ordering::Relaxed;
    for (name, counter) in
        [("masked_total", &counters.masked), ("audio_blocks_total", &counters.blocks), ("audio_failed_total", &counters.failed)]
    {
        line(text, &format!("redaction_{name}"), counter.load(Relaxed));
    }
}

fn speech_lines(text: &mut String, counters: &FrontCounters) {
    use std::sync::atomic::Ordering::Relaxed;
    for (name, counter) in [
        ("calls", &counters.calls),
        ("refused_total", &counters.refused),
        ("utterances_total", &counters.asked),
        ("utterances_shed_total", &counters.shed),
        ("partial_total", &counters.partial_asked),
        ("partial_shed_total", &counters.partial_shed),
        ("stray_total", &counters.stray),
        ("told_total", &counters.told),
        ("lag_ms", &counters.lag_ms),
    ] {
        line(text, &format!("speech_live_{name}"), counter.load(Relaxed));
    }
}

fn spool_lines(text: &mut String, spool: &SpoolHandle) {
    use std::sync::atomic::Ordering::Relaxed;
    let counters = spool.counters();
    for (name, counter) in [
        ("accepted_total", &counters.accepted),
        ("refused_total", &counters.refused),
        ("applied_total", &counters.applied),
        ("poisoned_total", &counters.poisoned),
        ("damaged_total", &counters.damaged),
        ("backlog_bytes", &counters.backlog),
    ] {
        line(text, &format!("spool_{name}"), counter.load(Relaxed));
    }
}
