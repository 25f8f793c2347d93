//! The queues' sounds before anything starts, and their day: figures from the record at start, from zero at each midnight.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

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
};

/// How often the clock is looked at for a new day.
const LOOK: Duration = Duration::from_secs(1);

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
        place_every: Some(queue.place_every).filter(|every| !every.is_zero()),
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
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let begins = clock::day_begins(clock::now().wall);
        if begins != day {
            day = begins;
            handle.send(ControlMessage::Day { from: begins });
        }
    }
}
