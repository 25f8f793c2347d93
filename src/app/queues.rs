//! The queues' sounds before anything starts, and their day: figures from the record at start, from zero at each midnight.

use std::time::Duration;

use super::AppError;
use crate::{
    config::{Config, ConfigError},
    domain::{media::clip::ClipStore, routing::Queue, switch::Input},
    service::{
        clock,
        control_thread::{ControlHandle, ControlMessage},
        sounds::{self, Loaded},
        store::Store,
    },
    time::UnixMs,
};

/// How often the clock is looked at: it may be set.
const LOOK: Duration = Duration::from_secs(60);

/// The queues of the configuration, and what their callers hear; every mistake is told with file and key.
pub(super) fn load(config: &Config) -> Result<(ClipStore, Vec<Queue>), AppError> {
    let Loaded { clips, queues: mut sounds } = sounds::load(&config.queues).map_err(ConfigError::Mistakes)?;
    let queue = |queue: &crate::config::Queue| Queue {
        name: queue.name.clone(),
        wrap_up_limit: queue.wrap_up,
        missed_due: queue.missed_due,
        priority: queue.priority,
        answer: queue.answer,
        max_wait: queue.max_wait,
        max_waiting: queue.max_waiting,
        answer_within: queue.answer_within,
        target_percent: queue.target_percent,
        short_abandon: queue.short_abandon,
        sounds: sounds.remove(&queue.name).unwrap_or_default(),
    };
    Ok((clips, config.queues.iter().map(queue).collect()))
}

/// What the record knows of today.
pub(super) async fn today(store: &Store, queues: &[Queue]) -> Result<Input<'static>, AppError> {
    let from = clock::day_begins(clock::now().wall);
    let promises: Vec<_> = queues.iter().map(|queue| (queue.name.clone(), queue.promise())).collect();
    let figures = store.queue_figures(&promises, from).await?;
    Ok(Input::Day { from, figures })
}

/// Tells the switch when a day begins.
pub(super) async fn watch_day(handle: ControlHandle) {
    let mut day = clock::day_begins(clock::now().wall);
    loop {
        tokio::time::sleep(until_midnight(clock::now().wall, day).min(LOOK)).await;
        let begins = clock::day_begins(clock::now().wall);
        if begins != day {
            day = begins;
            handle.send(ControlMessage::Day { from: begins });
        }
    }
}

/// A little more than the rest of the day that began at `day`; a day with a changed clock is looked at again.
fn until_midnight(now: UnixMs, day: UnixMs) -> Duration {
    let left = day.0.saturating_add(86_400_000).saturating_sub(now.0);
    Duration::from_millis(u64::try_from(left).unwrap_or(0).max(1))
}
