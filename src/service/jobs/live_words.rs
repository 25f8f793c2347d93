//! What was understood of a call while it was spoken: written down as soon as the call is over, kept for its job, and let go when
//! the record has the final words.
//!
//! ```text
//! call ends ─▶ live revision (at once: no recording is read, no worker asked) ─ ─ ▶ job: final revision
//! ```

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::sync::{Mutex, watch};

use super::Jobs;
use crate::{
    domain::{
        insight::{
            redaction,
            utterance::{Transcript, Utterance},
        },
        live::LiveFact,
    },
    ids::InteractionId,
    service::{
        clock,
        live_words::LiveWordsStore,
        speech::live::{LiveHeard, LiveResults},
        store::StoreError,
    },
    time::UnixMs,
};

/// How long the last words of a call that has just ended are waited for; then the recording has them.
const LAST_WORDS: Duration = Duration::from_secs(4);
/// How often it is looked whether they came.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Words that could not be written down, or whose call is not in the record yet, are tried again after so long.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// Where live words are kept until the record has them.
#[derive(Clone, Debug, Default)]
pub struct LiveSource {
    /// What became of each utterance.
    pub results: Arc<LiveResults>,
    /// Their words.
    pub words: Arc<LiveWordsStore>,
    /// Held while they are written down: a job that comes meanwhile waits, so that its words come after them.
    pub writing: Arc<Mutex<()>>,
}

impl LiveSource {
    /// Waits for the last words of a call that has just ended.
    pub(super) async fn settle(&self, interaction: InteractionId) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let all_came = async {
            while self.results.is_running(interaction) {
                looks.tick().await;
            }
        };
        // Without them the recording has to tell.
        let _ = tokio::time::timeout(LAST_WORDS, all_came).await;
    }

    /// What was understood live and may be kept; `None` when nothing was.
    pub fn heard(&self, interaction: InteractionId) -> Option<LiveHeard> {
        let result = self.results.of(interaction).filter(|result| result.keeps && !self.results.is_running(interaction))?;
        let finals = self.finals(interaction)?.into_iter();
        let mut words: HashMap<_, _> = finals.map(|utterance| ((utterance.leg, utterance.from_ms), utterance)).collect();
        let joined = result.settled.into_iter().map(|settled| {
            let utterance = words.remove(&(settled.leg, settled.from_ms));
            (settled, utterance)
        });
        Some(LiveHeard { model: result.model, utterances: joined.collect() })
    }

    /// A call's words as they were shown, masked, when it is over; `None` when nothing was understood.
    fn transcript(&self, interaction: InteractionId) -> Option<Transcript> {
        let result = self.results.of(interaction)?;
        let utterances = self.finals(interaction).filter(|all| all.iter().any(|utterance| !utterance.words.is_empty()))?;
        Some(Transcript { model: result.model, language: result.language, utterances, coverage: result.coverage })
    }

    fn finals(&self, interaction: InteractionId) -> Option<Vec<Utterance>> {
        let (words, _) = self.words.of(interaction)?;
        Some(words.into_iter().filter(|live| !live.partial).map(|live| live.utterance).collect())
    }

    /// The record has the final words.
    pub fn forget(&self, interaction: InteractionId) {
        self.results.forget(interaction);
        self.words.forget(interaction);
    }
}

/// Writes down live words of calls that end, until `stop` turns true or its sender is gone.
pub(super) async fn write_down(jobs: &Jobs, mut stop: watch::Receiver<bool>) {
    loop {
        let wait = match write_all(jobs, clock::latest()).await {
            Ok(true) => None,
            Ok(false) => Some(TRY_AGAIN),
            Err(error) => {
                tracing::warn!(%error, "live words could not be written down; it is tried again");
                Some(TRY_AGAIN)
            }
        };
        if *stop.borrow() {
            return;
        }
        let again = async { tokio::time::timeout(wait.unwrap_or(Duration::MAX), jobs.live.results.wait_for_end()).await };
        tokio::select! {
            gone = stop.changed() => if gone.is_err() { return },
            _ = again => {}
        }
    }
}

/// Writes down live words of all calls that are over; false when one of them is not in the record yet.
pub(super) async fn write_all(jobs: &Jobs, at: UnixMs) -> Result<bool, StoreError> {
    let _alone = jobs.live.writing.lock().await;
    let mut all = true;
    for interaction in jobs.live.results.unwritten() {
        if let Some(mut transcript) = jobs.live.transcript(interaction) {
            // They were masked as they came; now the whole call is known.
            redaction::redact(&mut transcript, &jobs.redaction.rules);
            match jobs.store.save_live_transcript(interaction, &transcript, at).await {
                Ok(None) => {}
                Ok(Some(_)) => {
                    let customer = jobs.store.interaction_access(interaction).await?.and_then(|access| access.customer);
                    (jobs.changed)(LiveFact::changed(interaction, customer));
                }
                Err(StoreError::NotFound(_)) => {
                    all = false;
                    continue;
                }
                Err(error) => return Err(error),
            }
        }
        jobs.live.results.written(interaction);
    }
    Ok(all)
}
