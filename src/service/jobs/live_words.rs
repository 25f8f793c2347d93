//! What was understood of a call while it was spoken, for its job: waited for, joined, and let go when the record has it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::{
    ids::InteractionId,
    service::{
        live_words::LiveWordsStore,
        speech::live::{LiveHeard, LiveResults},
    },
};

/// How long the last words of a call that has just ended are waited for; then the recording has them.
const LAST_WORDS: Duration = Duration::from_secs(4);
/// How often it is looked whether they came.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where live words are kept until the record has them.
#[derive(Clone, Debug, Default)]
pub struct LiveSource {
    /// What became of each utterance.
    pub results: Arc<LiveResults>,
    /// Their words.
    pub words: Arc<LiveWordsStore>,
}

impl LiveSource {
    /// What was understood live; `None` when nothing was.
    pub async fn heard(&self, interaction: InteractionId) -> Option<LiveHeard> {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let all_came = async {
            while self.results.is_running(interaction) {
                looks.tick().await;
            }
        };
        // Without them the recording has to tell.
        let _ = tokio::time::timeout(LAST_WORDS, all_came).await;
        let result = self.results.of(interaction).filter(|_| !self.results.is_running(interaction))?;
        let (words, _) = self.words.of(interaction)?;
        let finals = words.into_iter().filter(|live| !live.partial).map(|live| live.utterance);
        let mut words: HashMap<_, _> = finals.map(|utterance| ((utterance.leg, utterance.from_ms), utterance)).collect();
        let joined = result.settled.into_iter().map(|settled| {
            let utterance = words.remove(&(settled.leg, settled.from_ms));
            (settled, utterance)
        });
        Some(LiveHeard { model: result.model, utterances: joined.collect() })
    }

    /// The record has the words.
    pub fn forget(&self, interaction: InteractionId) {
        self.results.forget(interaction);
        self.words.forget(interaction);
    }
}
