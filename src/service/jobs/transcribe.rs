//! Words of a call from its tracks, then card, mood and promises from its words.

use super::{
    Jobs,
    findings::{self, About},
    known, live_words, redaction,
};
use crate::{
    domain::{insight::utterance::Transcript, live::LiveFact},
    fault::{self, Fault},
    ids::{CustomerId, InteractionId},
    service::{
        speech::{SpeechError, live::after},
        store::{Job, JobKind, StoreError},
    },
    time::UnixMs,
};

/// Without a model the job waits, and the installation is looked at again after this long.
const NO_MODEL_WAIT_MS: i64 = 30_000;

/// Why there is no transcript.
enum Trouble {
    /// The model that was asked for is not here.
    NotHere(String),
    /// The recording cannot be read.
    Tracks(String),
    /// Speech cannot do it.
    Speech(SpeechError),
}

pub(super) async fn run(jobs: &Jobs, job: &Job, at: UnixMs) -> Result<(), StoreError> {
    let interaction = job.interaction()?;
    let customer = jobs.store.interaction_access(interaction).await?.and_then(|access| access.customer);
    if let Err(trouble) = redaction::resume(jobs, interaction).await {
        return not_redacted(jobs, job, interaction, customer, trouble, at).await;
    }
    // Who asks for a model asks for another understanding of the sound.
    if job.model.is_none() {
        jobs.live.settle(interaction).await;
        if let Err(error) = live_words::write_all(jobs, at).await {
            tracing::warn!(%error, "live words could not be written down before those from the recording");
        }
    }
    match words(jobs, interaction, job.model.as_deref()).await {
        Ok(mut transcript) => {
            (jobs.alarm)(None);
            if let Err(trouble) = redaction::apply(jobs, interaction, &mut transcript, at).await {
                return not_redacted(jobs, job, interaction, customer, trouble, at).await;
            }
            save(jobs, interaction, customer, &transcript, at).await?;
            jobs.live.forget(interaction);
        }
        Err(Trouble::Speech(SpeechError::Stopped)) => return Ok(()),
        Err(Trouble::Speech(e @ (SpeechError::NoModel | SpeechError::Model(_) | SpeechError::Thresholds { .. }))) => {
            (jobs.alarm)(Some(e.to_string()));
            jobs.store.defer_job(job, &e.to_string(), at.plus_ms(NO_MODEL_WAIT_MS)).await?;
            (jobs.changed)(LiveFact::changed(interaction, customer));
            return Ok(());
        }
        Err(Trouble::Speech(e)) => return fail(jobs, job, interaction, customer, &e.to_string(), at).await,
        Err(Trouble::NotHere(model)) => {
            let why = format!("There is no speech model {model} here: choose another, or have an administrator fetch it");
            return fail(jobs, job, interaction, customer, &why, at).await;
        }
        Err(Trouble::Tracks(why)) => {
            let why = format!("The recording cannot be read: {why}");
            return fail(jobs, job, interaction, customer, &why, at).await;
        }
    }
    jobs.store.finish_job(job, at).await?;
    (jobs.changed)(LiveFact::changed(interaction, customer));
    Ok(())
}

/// Without redaction nothing is saved: the job is tried again.
async fn not_redacted(
    jobs: &Jobs,
    job: &Job,
    interaction: InteractionId,
    customer: Option<CustomerId>,
    trouble: redaction::Trouble,
    at: UnixMs,
) -> Result<(), StoreError> {
    match trouble {
        redaction::Trouble::Store(error) => Err(error),
        redaction::Trouble::Audio(why) => {
            let why = format!("Numbers could not be taken out of the recording: {why}");
            fail(jobs, job, interaction, customer, &why, at).await
        }
    }
}

async fn fail(
    jobs: &Jobs,
    job: &Job,
    interaction: InteractionId,
    customer: Option<CustomerId>,
    why: &str,
    at: UnixMs,
) -> Result<(), StoreError> {
    let outcome = jobs.store.fail_job(job, why, at).await?;
    tracing::warn!(%interaction, ?outcome, why, "a call could not be transcribed");
    (jobs.changed)(LiveFact::changed(interaction, customer));
    Ok(())
}

/// Reads and transcribes on a thread that may block.
async fn words(jobs: &Jobs, interaction: InteractionId, model: Option<&str>) -> Result<Transcript, Trouble> {
    match model {
        None => drop(jobs.pool.model().map_err(Trouble::Speech)?),
        Some(other) => drop(jobs.pool.model_named(model).map_err(|_| Trouble::NotHere(other.to_owned()))?),
    }
    let live = if model.is_none() { jobs.live.heard(interaction) } else { None };
    let (tracks, pool, model) = (jobs.tracks.clone(), jobs.pool.clone(), model.map(str::to_owned));
    let work = tokio::task::spawn_blocking(move || {
        let mut tracks = tracks(interaction).map_err(Trouble::Tracks)?;
        if let (true, [one, other]) = (fault::active(Fault::WrongLegWords), &mut tracks[..]) {
            std::mem::swap(&mut one.samples, &mut other.samples);
        }
        let words = match &model {
            Some(model) => pool.transcribe_call_with(Some(model), &tracks),
            None => after::transcribe(&pool, &tracks, live),
        };
        words.map_err(Trouble::Speech)
    });
    work.await.unwrap_or_else(|e| Err(Trouble::Tracks(format!("our own mistake ({e})"))))
}

async fn save(
    jobs: &Jobs,
    interaction: InteractionId,
    customer: Option<CustomerId>,
    transcript: &Transcript,
    at: UnixMs,
) -> Result<(), StoreError> {
    jobs.store.save_transcript(interaction, transcript, at).await?;
    read_out(jobs, interaction, customer, at).await?;
    if jobs.insight.language_model.is_some() {
        jobs.store.enqueue_job(JobKind::Card, &interaction.to_string(), true, at).await?;
    }
    Ok(())
}

/// Card, mood and promises of the newest words, with what people put right in them.
pub(super) async fn read_out(jobs: &Jobs, interaction: InteractionId, customer: Option<CustomerId>, at: UnixMs) -> Result<(), StoreError> {
    let Some((revision, transcript)) = jobs.store.corrected_transcript(interaction).await? else { return Ok(()) };
    let (subjects, references) = known::of(jobs, customer, interaction.made_at()).await?;
    let about = About { called_at: interaction.made_at(), subjects: &subjects, references: &references, insight: &jobs.insight };
    jobs.store.save_findings(interaction, revision, &findings::by_rules(&transcript, &about), at).await
}
