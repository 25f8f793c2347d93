//! Speech: the pool, the live front end on the recorder's feed, and the job after the call.

use std::sync::Arc;

use super::{AppError, io_error, wiring};
use crate::{
    config,
    domain::{
        insight::{redaction::Redactor, utterance::Utterance},
        live::LiveFact,
    },
    service::{
        jobs::LiveSource,
        live::LiveHub,
        recorder::FeedSink,
        speech::{
            Pool,
            live::{FrontConfig, FrontCounters, FrontEnd, LiveResults, Mask},
        },
    },
};

/// What speech is made of, where it is on.
pub(super) struct Speech {
    /// The workers.
    pub pool: Arc<Pool>,
    /// What was understood live.
    pub live: LiveSource,
    /// Counters of the live front end, where it is on.
    pub counters: Option<Arc<FrontCounters>>,
    /// Where the recorder puts what it hears; taken once.
    pub sink: Option<FeedSink>,
}

/// Takes numbers that must not be kept out of live words.
struct Numbers(Redactor);

impl Mask for Numbers {
    fn mask(&mut self, utterance: &mut Utterance) -> bool {
        !self.0.mask(utterance).is_empty()
    }

    fn changed(&mut self) -> Vec<Utterance> {
        self.0.changed()
    }
}

/// Starts it; workers themselves start with the first utterance.
pub(super) fn start(config: &config::Speech, hub: &LiveHub) -> Result<Option<Speech>, AppError> {
    if !config.enabled {
        return Ok(None);
    }
    let pool = Arc::new(Pool::start(wiring::speech(config))?);
    let results = Arc::new(LiveResults::default());
    let live = LiveSource { results: results.clone(), words: hub.words().clone(), ..LiveSource::default() };
    let (mut counters, mut sink) = (None, None);
    if config.live {
        let rules = config.redaction.rules.clone();
        let mask = Arc::new(move || Box::new(Numbers(Redactor::new(rules.clone()))) as Box<dyn Mask>);
        let front = FrontConfig { threads: usize::from(config.front_end_threads), partial: config.partial, mask };
        let desks = hub.clone();
        let publish = Arc::new(move |words| desks.publish(LiveFact::Words(words)));
        let front = FrontEnd::start(&front, pool.clone(), results, publish).map_err(io_error("a thread for live words cannot start"))?;
        counters = Some(front.counters().clone());
        sink = Some(Box::new(front.sink()) as FeedSink);
    }
    Ok(Some(Speech { pool, live, counters, sink }))
}
