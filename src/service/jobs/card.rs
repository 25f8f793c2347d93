//! The card of a call by a language model, over the one by rules: what fails, is slow or says nothing that was said leaves that as it is.

use super::{
    Jobs,
    findings::{self, About},
    known, transcribe,
};
use crate::{
    domain::{insight::card::understood, live::LiveFact},
    service::{
        connectors::language_model::LanguageModelError,
        store::{Job, StoreError},
    },
    time::UnixMs,
};

/// Under this share of voiced time understood there is no card, whoever would make it.
const COVERAGE_MIN: u8 = 60;

pub(super) async fn run(jobs: &Jobs, job: &Job, at: UnixMs) -> Result<(), StoreError> {
    let interaction = job.interaction()?;
    let customer = jobs.store.interaction_access(interaction).await?.and_then(|access| access.customer);
    // What was put right since is read by the rules first.
    transcribe::read_out(jobs, interaction, customer, at).await?;
    (jobs.changed)(LiveFact::changed(interaction, customer));
    let words = jobs.store.corrected_transcript(interaction).await?;
    if let (Some(model), Some((revision, transcript))) = (&jobs.insight.language_model, words)
        && understood(&transcript) >= COVERAGE_MIN
    {
        let (subjects, references) = known::of(jobs, customer, interaction.made_at()).await?;
        let about = About { called_at: interaction.made_at(), subjects: &subjects, references: &references, insight: &jobs.insight };
        match model.card(&transcript, &about.context()).await {
            Ok(read) => {
                tracing::debug!(%interaction, removed = read.removed, "the language model made the card");
                let rows = findings::by_model(&transcript, &read.card, model.name());
                jobs.store.save_findings(interaction, revision, &rows, at).await?;
                (jobs.changed)(LiveFact::changed(interaction, customer));
            }
            // The form, not the service: asking again brings the same.
            Err(error @ (LanguageModelError::Refused(_) | LanguageModelError::Envelope)) => {
                tracing::info!(%interaction, %error, "the card by the rules stands");
            }
            Err(error) => {
                tracing::warn!(%interaction, %error, "the card by the rules stands; the language model is asked again later");
                jobs.store.fail_job(job, &error.to_string(), at).await?;
                return Ok(());
            }
        }
    }
    jobs.store.finish_job(job, at).await?;
    Ok(())
}
