//! The job table: slow work, claimed under a lease, retried with backoff, parked after three tries.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Store, StoreError,
    db::{Columns, Conn, Row, fresh, word},
    events::{AuditAction, NewEvent, emit, write_audit},
    rows::{self, Rows},
    text::{LINE_MAX, line},
};
use crate::{
    ids::{AgentId, CustomerId, InteractionId, JobId},
    time::UnixMs,
};

/// Tries before a job is put aside for a person to look at.
const TRIES_MAX: u32 = 3;
/// Wait after the first failure, milliseconds; each further one waits four times as long.
const BACKOFF_MS: i64 = 15_000;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Words from a call's tracks; the subject is the interaction.
    Transcribe,
    /// Card, sentiment and promises from its words; the subject is the interaction.
    Card,
}

/// A job in the hands of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The job.
    pub job: JobId,
    /// What it does.
    pub kind: JobKind,
    /// What it does it to: an id.
    pub subject: String,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Counts claims: a worker that lost its lease changes nothing.
    pub lease: i64,
    /// The worker has to be done by then.
    pub leased_until: UnixMs,
    /// The model that a transcription was asked for; `None`: the configured one.
    pub model: Option<String>,
}

impl Job {
    /// The interaction that it works on.
    pub fn interaction(&self) -> Result<InteractionId, StoreError> {
        self.subject.parse().map_err(|_| StoreError::Invalid("the job's subject is no interaction"))
    }
}

/// What became of a failed job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It is tried again.
    Retry {
        /// Not before.
        at: UnixMs,
    },
    /// It waits for a person.
    Parked,
    /// The lease was lost: somebody else has it.
    NotOurs,
}

impl Store {
    /// Queues a job, once per kind and subject; `again` also runs one anew that is done or parked.
    pub async fn enqueue_job(&self, kind: JobKind, subject: &str, again: bool, now: UnixMs) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        if again {
            let reset = "UPDATE job SET state = 'waiting', attempts = 0, run_after = $3, trouble = NULL, detail = NULL, finished_at = NULL \
                 WHERE kind = $1 AND subject = $2 AND state IN ('done', 'parked')";
            let reset = sqlx::query(reset).bind(word(&kind)).bind(subject).bind(now.0).execute(&mut *tx).await?;
            if reset.rows_affected() > 0 {
                announce(&mut tx, kind, subject, now).await?;
            }
        }
        enqueue(&mut tx, kind, subject, now).await?;
        self.commit(tx).await
    }

    /// Has a call transcribed again, by a named model where one is named. [`StoreError::Conflict`] carries `{state}` when it
    /// is waited for or done already.
    pub async fn transcribe_again(
        &self,
        interaction: InteractionId,
        model: Option<&str>,
        agent: AgentId,
        now: UnixMs,
    ) -> Result<(), StoreError> {
        let subject = interaction.to_string();
        let mut tx = self.write().await?;
        super::notes::must_exist(&mut tx, interaction).await?;
        let open: Option<String> = sqlx::query_scalar(
            "SELECT state FROM job WHERE kind = 'transcribe' AND subject = $1 AND (state = 'waiting' OR state = 'running')",
        )
        .bind(&subject)
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(state) = open {
            return Err(StoreError::Conflict { what: "the transcription", current: json!({ "state": state }) });
        }
        enqueue_anew(&mut tx, JobKind::Transcribe, &subject, now).await?;
        let detail = model.map(|model| json!({ "model": line(model, LINE_MAX) }).to_string());
        let asked = "UPDATE job SET detail = $2 WHERE kind = 'transcribe' AND subject = $1";
        sqlx::query(asked).bind(&subject).bind(detail).execute(&mut *tx).await?;
        let about = ("interaction", subject);
        write_audit(&mut tx, now, Some(agent), AuditAction::TranscribeAgain, about, model).await?;
        self.commit(tx).await
    }

    /// Takes the next due job of one of these kinds for `lease_ms`; `None` when there is nothing to do.
    pub async fn claim_job(&self, kinds: &[JobKind], now: UnixMs, lease_ms: i64) -> Result<Option<Job>, StoreError> {
        if !self.job_due(kinds, now).await? {
            return Ok(None);
        }
        let mut tx = self.write().await?;
        for kind in kinds {
            park_lost(&mut tx, *kind, now).await?;
            let row = sqlx::query(
                "UPDATE job SET state = 'running', attempts = attempts + 1, lease = lease + 1, leased_until = $3 \
                 WHERE job = (SELECT job FROM job WHERE kind = $1 AND (state = 'waiting' OR state = 'running') \
                 AND (CASE WHEN state = 'waiting' THEN run_after ELSE leased_until END) <= $2 ORDER BY run_after, job LIMIT 1) \
                 AND (state = 'waiting' OR state = 'running') RETURNING job, kind, subject, attempts, lease, leased_until, detail",
            )
            .bind(word(kind))
            .bind(now.0)
            .bind(now.0 + lease_ms)
            .fetch_optional(&mut *tx)
            .await?;
            if let Some(row) = row {
                let job = read(&row)?;
                self.commit(tx).await?;
                return Ok(Some(job));
            }
        }
        self.commit(tx).await?;
        Ok(None)
    }

    /// A job is done; false when the lease was lost meanwhile.
    pub async fn finish_job(&self, job: &Job, now: UnixMs) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let done = "UPDATE job SET state = 'done', finished_at = $3, leased_until = NULL, trouble = NULL \
             WHERE job = $1 AND lease = $2 AND state = 'running'";
        let done = sqlx::query(done).bind(job.job.to_string()).bind(job.lease).bind(now.0).execute(&mut *tx).await?;
        self.commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    /// A job failed: tried again later, parked after the third time. `trouble` is one sentence with the remedy.
    pub async fn fail_job(&self, job: &Job, trouble: &str, now: UnixMs) -> Result<Failed, StoreError> {
        let mut tx = self.write().await?;
        let parked = job.attempt >= TRIES_MAX;
        let wait = BACKOFF_MS * 4_i64.pow(job.attempt.saturating_sub(1).min(TRIES_MAX));
        let retry = now.plus_ms(wait);
        let trouble = line(trouble, LINE_MAX);
        let failed = sqlx::query(
            "UPDATE job SET state = $3, run_after = $4, leased_until = NULL, trouble = $5 WHERE job = $1 AND lease = $2 AND state = 'running'",
        )
        .bind(job.job.to_string())
        .bind(job.lease)
        .bind(if parked { "parked" } else { "waiting" })
        .bind(retry.0)
        .bind(&trouble)
        .execute(&mut *tx)
        .await?;
        let ours = failed.rows_affected() > 0;
        if ours && parked {
            give_up(&mut tx, job.kind, &job.subject, &trouble, now).await?;
        }
        self.commit(tx).await?;
        Ok(match (ours, parked) {
            (false, _) => Failed::NotOurs,
            (true, true) => Failed::Parked,
            (true, false) => Failed::Retry { at: retry },
        })
    }

    /// A job cannot be done for now and that is not its fault: it waits until `until`, the try does not count, and the
    /// interaction says why. `trouble` is one sentence with the remedy. False when the lease was lost meanwhile.
    pub async fn defer_job(&self, job: &Job, trouble: &str, until: UnixMs) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let trouble = line(trouble, LINE_MAX);
        let deferred = sqlx::query(
            "UPDATE job SET state = 'waiting', run_after = $3, attempts = attempts - 1, leased_until = NULL, trouble = $4 \
             WHERE job = $1 AND lease = $2 AND state = 'running'",
        )
        .bind(job.job.to_string())
        .bind(job.lease)
        .bind(until.0)
        .bind(&trouble)
        .execute(&mut *tx)
        .await?;
        let ours = deferred.rows_affected() > 0;
        if ours && job.kind == JobKind::Transcribe {
            let says = "UPDATE interaction SET transcript_trouble = $2 WHERE interaction = $1 \
                 AND NOT EXISTS (SELECT 1 FROM transcript t WHERE t.interaction = $1 AND t.kind = 'final')";
            sqlx::query(says).bind(&job.subject).bind(&trouble).execute(&mut *tx).await?;
        }
        self.commit(tx).await?;
        Ok(ours)
    }

    async fn job_due(&self, kinds: &[JobKind], now: UnixMs) -> Result<bool, StoreError> {
        let mut conn = self.read().await?;
        for kind in kinds {
            let due: Option<i64> = sqlx::query_scalar(
                "SELECT 1 FROM job WHERE kind = $1 AND (state = 'waiting' OR state = 'running') \
                 AND (CASE WHEN state = 'waiting' THEN run_after ELSE leased_until END) <= $2 LIMIT 1",
            )
            .bind(word(kind))
            .bind(now.0)
            .fetch_optional(&mut *conn)
            .await?;
            if due.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn read(row: &Row) -> Result<Job, StoreError> {
    Ok(Job {
        job: row.id("job")?,
        kind: row.word("kind")?,
        subject: row.text("subject")?,
        attempt: row.int("attempts")?,
        lease: row.int("lease")?,
        leased_until: row.at("leased_until")?,
        model: model_asked(row.opt_text("detail")?.as_deref()),
    })
}

pub(super) async fn enqueue(conn: &mut Conn, kind: JobKind, subject: &str, now: UnixMs) -> Result<(), StoreError> {
    let new = sqlx::query(
        "INSERT INTO job (job, kind, subject, state, run_after, created_at) VALUES ($1, $2, $3, 'waiting', $4, $4) \
         ON CONFLICT (kind, subject) DO NOTHING",
    )
    .bind(fresh(JobId::new, now)?.to_string())
    .bind(word(&kind))
    .bind(subject)
    .bind(now.0)
    .execute(&mut *conn)
    .await?;
    if new.rows_affected() > 0 {
        announce(conn, kind, subject, now).await?;
    }
    Ok(())
}

/// Queues a transcription of each of these that has none; returns those.
pub(super) async fn enqueue_transcriptions(
    conn: &mut Conn,
    interactions: &[(InteractionId, UnixMs)],
) -> Result<Vec<InteractionId>, StoreError> {
    let mut jobs: Rows<4> = Vec::with_capacity(interactions.len());
    for (interaction, at) in interactions {
        let job = fresh(JobId::new, *at)?.to_string();
        jobs.push([job.into(), word(&JobKind::Transcribe).into(), interaction.to_string().into(), at.0.into()]);
    }
    let insert = "INSERT INTO job (job, kind, subject, state, run_after, created_at) VALUES ($1, $2, $3, 'waiting', $4, $4) \
         ON CONFLICT (kind, subject) DO NOTHING RETURNING subject";
    let new: Vec<InteractionId> = rows::read(conn, insert, jobs).await?.iter().map(|row| row.id("subject")).collect::<Result<_, _>>()?;
    let pending = "UPDATE interaction SET transcript_state = 'pending', transcript_trouble = NULL FROM (VALUES (CAST($1 AS TEXT))) AS v \
         WHERE interaction.interaction = v.column1 \
         AND NOT EXISTS (SELECT 1 FROM transcript t WHERE t.interaction = v.column1 AND t.kind = 'final')";
    rows::write(conn, pending, new.iter().map(|interaction| [interaction.to_string().into()]).collect()).await?;
    Ok(new)
}

/// Says that a job waits.
pub(super) fn waiting(kind: JobKind, interaction: Option<InteractionId>, customer: Option<CustomerId>) -> NewEvent {
    NewEvent { kind: "job.waiting", interaction, customer, data: Some(json!({ "kind": word(&kind) })), agent: None }
}

/// Queues a job, or has it run anew; a worker that is at it loses its lease, because what it works on has changed.
pub(super) async fn enqueue_anew(conn: &mut Conn, kind: JobKind, subject: &str, now: UnixMs) -> Result<(), StoreError> {
    let anew = "UPDATE job SET state = 'waiting', attempts = 0, run_after = $3, lease = lease + 1, leased_until = NULL, trouble = NULL, \
         detail = NULL, finished_at = NULL WHERE kind = $1 AND subject = $2";
    let anew = sqlx::query(anew).bind(word(&kind)).bind(subject).bind(now.0).execute(&mut *conn).await?;
    if anew.rows_affected() > 0 { announce(conn, kind, subject, now).await } else { enqueue(conn, kind, subject, now).await }
}

/// The model in a job's detail.
pub(super) fn model_asked(detail: Option<&str>) -> Option<String> {
    let detail: serde_json::Value = serde_json::from_str(detail?).ok()?;
    detail.get("model")?.as_str().map(str::to_owned)
}

async fn announce(conn: &mut Conn, kind: JobKind, subject: &str, now: UnixMs) -> Result<(), StoreError> {
    if kind == JobKind::Transcribe {
        // Words that are there stay shown while they are made again, whatever becomes of that.
        let pending = "UPDATE interaction SET transcript_state = 'pending', transcript_trouble = NULL WHERE interaction = $1 \
             AND NOT EXISTS (SELECT 1 FROM transcript t WHERE t.interaction = $1 AND t.kind = 'final')";
        sqlx::query(pending).bind(subject).execute(&mut *conn).await?;
    }
    emit(conn, now, waiting(kind, subject.parse().ok(), None)).await
}

/// Jobs whose worker died three times are a job's own fault: they would take the next worker with them.
async fn park_lost(conn: &mut Conn, kind: JobKind, now: UnixMs) -> Result<(), StoreError> {
    const LOST: &str = "the worker stopped three times at this job. See the log, then start it again with `throughline transcribe`";
    let rows = sqlx::query(
        "UPDATE job SET state = 'parked', trouble = $4 WHERE kind = $1 AND state = 'running' AND leased_until <= $2 AND attempts >= $3 \
         RETURNING subject",
    )
    .bind(word(&kind))
    .bind(now.0)
    .bind(i64::from(TRIES_MAX))
    .bind(LOST)
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        give_up(conn, kind, &row.text("subject")?, LOST, now).await?;
    }
    Ok(())
}

async fn give_up(conn: &mut Conn, kind: JobKind, subject: &str, trouble: &str, now: UnixMs) -> Result<(), StoreError> {
    if kind == JobKind::Transcribe {
        let failed = "UPDATE interaction SET transcript_state = 'failed', transcript_trouble = $2 WHERE interaction = $1 \
             AND NOT EXISTS (SELECT 1 FROM transcript t WHERE t.interaction = $1 AND t.kind = 'final')";
        sqlx::query(failed).bind(subject).bind(trouble).execute(&mut *conn).await?;
    }
    let data = Some(json!({ "kind": word(&kind) }));
    emit(conn, now, NewEvent { kind: "job.parked", interaction: subject.parse().ok(), data, ..NewEvent::default() }).await
}
