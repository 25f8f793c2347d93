//! Words that people put right: one row per patch, in the order in which they were made.

use serde_json::json;

use super::{
    CorrectionState, CorrectionView, JobKind, Store, StoreError,
    db::{Columns, Conn, Row, fresh, opt_id},
    events::{AuditAction, NewEvent, emit, write_audit},
    jobs,
    notes::must_exist,
    text::{clean, line},
    transcripts::stored,
};
use crate::{
    domain::insight::correction::{self, Correction, Span, Spot},
    ids::{AgentId, CorrectionId, InteractionId},
    time::UnixMs,
};

/// Most corrections of one interaction: a page of them is read with each look at the words.
const CORRECTIONS_MAX: usize = 1_000;
/// Longest text of a correction, characters; the API refuses longer ones before.
const TEXT_MAX: usize = 2_000;

/// A correction to be made.
#[derive(Clone, Debug)]
pub struct NewCorrection {
    /// The revision whose words were read.
    pub revision: u32,
    /// What is replaced.
    pub span: Span,
    /// What stood there when it was read; empty: not understood.
    pub before: String,
    /// What was said; empty: nothing.
    pub after: String,
}

/// A correction as it stands in the record.
pub(super) struct Made {
    pub correction: Correction,
    before: String,
    by: String,
    at: UnixMs,
}

impl Made {
    pub fn view(self, state: CorrectionState) -> CorrectionView {
        let Correction { id, span, after, undoes: _ } = self.correction;
        let Span { leg, from_ms, to_ms } = span;
        CorrectionView { correction: id, leg, from_ms, to_ms, before: self.before, after, by: self.by, at: self.at, state }
    }
}

impl Store {
    /// Puts words right. [`StoreError::Conflict`] carries `{text, correction}`: what stands there now, and the correction that
    /// put it there; [`StoreError::Invalid`] when nothing was said at that place.
    pub async fn correct(
        &self,
        interaction: InteractionId,
        agent: AgentId,
        new: &NewCorrection,
        at: UnixMs,
    ) -> Result<CorrectionView, StoreError> {
        let tidy = |text| line(&clean(text, TEXT_MAX), TEXT_MAX);
        let (before, after) = (tidy(&new.before), tidy(&new.after));
        let mut tx = self.write().await?;
        let made = free_place(&mut tx, interaction).await?;
        let there = words_at(&mut tx, interaction, new.revision, &made, new.span).await?;
        if there != before {
            return Err(conflict(&there, made, new.span));
        }
        if there == after {
            return Err(StoreError::Invalid("these are the words that stand there already"));
        }
        let row = NewRow { revision: new.revision, span: new.span, before, after, undoes: None };
        let view = insert(&mut tx, interaction, agent, row, at).await?;
        self.commit(tx).await?;
        Ok(view)
    }

    /// Takes a correction back by a further one, where its words still stand; else [`StoreError::Conflict`] as [`Store::correct`].
    pub async fn take_correction_back(
        &self,
        interaction: InteractionId,
        id: CorrectionId,
        agent: AgentId,
        at: UnixMs,
    ) -> Result<CorrectionView, StoreError> {
        let mut tx = self.write().await?;
        let made = free_place(&mut tx, interaction).await?;
        let this =
            made.iter().find(|m| m.correction.id == id && m.correction.undoes.is_none()).ok_or(StoreError::NotFound("correction"))?;
        if made.iter().any(|m| m.correction.undoes == Some(id)) {
            return Err(StoreError::Invalid("this correction was taken back already"));
        }
        let newest = stored(&mut tx, interaction, None).await?.ok_or(StoreError::NotFound("transcript"))?.revision;
        let span = this.correction.span;
        let (before, after) = (this.correction.after.clone(), this.before.clone());
        let later = made.iter().rev().take_while(|m| m.correction.id != id).any(|m| stands(&made, m) && overlap(m.correction.span, span));
        if later {
            let there = words_at(&mut tx, interaction, newest, &made, span).await.unwrap_or_default();
            return Err(conflict(&there, made, span));
        }
        let row = NewRow { revision: newest, span, before, after, undoes: Some(id) };
        let view = insert(&mut tx, interaction, agent, row, at).await?;
        self.commit(tx).await?;
        Ok(view)
    }
}

/// All corrections, and that there may be one more.
async fn free_place(conn: &mut Conn, interaction: InteractionId) -> Result<Vec<Made>, StoreError> {
    must_exist(conn, interaction).await?;
    let made = corrections_of(conn, interaction).await?;
    if made.len() >= CORRECTIONS_MAX {
        return Err(StoreError::Invalid("this call has 1,000 corrections, and no more are kept. Have it transcribed again"));
    }
    Ok(made)
}

fn overlap(a: Span, b: Span) -> bool {
    a.leg == b.leg && a.from_ms < b.to_ms && b.from_ms < a.to_ms
}

fn stands(all: &[Made], one: &Made) -> bool {
    one.correction.undoes.is_none() && !all.iter().any(|other| other.correction.undoes == Some(one.correction.id))
}

/// What stands at a place of a revision, corrections included.
async fn words_at(conn: &mut Conn, interaction: InteractionId, revision: u32, made: &[Made], span: Span) -> Result<String, StoreError> {
    let mut words = stored(conn, interaction, Some(revision)).await?.ok_or(StoreError::NotFound("revision"))?.words.utterances;
    let patches: Vec<_> = made.iter().map(|made| made.correction.clone()).collect();
    correction::apply(&mut words, &patches);
    match correction::spot(&words, span) {
        Spot::Words(text) => Ok(text),
        Spot::NotUnderstood => Ok(String::new()),
        Spot::Nothing => Err(StoreError::Invalid("nothing was heard at that place. Read the transcript again")),
    }
}

fn conflict(there: &str, made: Vec<Made>, span: Span) -> StoreError {
    let at = made.iter().rposition(|one| stands(&made, one) && overlap(one.correction.span, span));
    let by = at.and_then(|at| made.into_iter().nth(at)).map(|made| made.view(CorrectionState::Stands));
    StoreError::Conflict { what: "the words", current: json!({ "text": there, "correction": by }) }
}

/// Corrections of an interaction, oldest first.
pub(super) async fn corrections_of(conn: &mut Conn, interaction: InteractionId) -> Result<Vec<Made>, StoreError> {
    let rows = sqlx::query(
        "SELECT c.correction, c.leg, c.from_ms, c.to_ms, c.before, c.after, c.undoes, c.at, COALESCE(a.name, '') AS by_name \
         FROM correction c LEFT JOIN agent a ON a.agent = c.by_agent WHERE c.interaction = $1 ORDER BY c.place",
    )
    .bind(interaction.to_string())
    .fetch_all(conn)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Made, StoreError> {
    let span = Span { leg: row.id("leg")?, from_ms: row.int("from_ms")?, to_ms: row.int("to_ms")? };
    let correction = Correction { id: row.id("correction")?, span, after: row.text("after")?, undoes: row.opt_id("undoes")? };
    Ok(Made { correction, before: row.text("before")?, by: row.text("by_name")?, at: row.at("at")? })
}

/// A patch before it has an id.
struct NewRow {
    revision: u32,
    span: Span,
    before: String,
    after: String,
    undoes: Option<CorrectionId>,
}

/// Writes a patch; card, mood and title are read again from the words as they stand then.
async fn insert(
    conn: &mut Conn,
    interaction: InteractionId,
    agent: AgentId,
    row: NewRow,
    at: UnixMs,
) -> Result<CorrectionView, StoreError> {
    let id = fresh(CorrectionId::new, at)?;
    sqlx::query(
        "INSERT INTO correction (correction, interaction, place, revision, leg, from_ms, to_ms, before, after, undoes, by_agent, at) \
         SELECT $1, $2, COALESCE(MAX(place), 0) + 1, $3, $4, $5, $6, $7, $8, CAST($9 AS TEXT), $10, $11 FROM correction WHERE interaction = $2",
    )
    .bind(id.to_string())
    .bind(interaction.to_string())
    .bind(i64::from(row.revision))
    .bind(row.span.leg.to_string())
    .bind(i64::from(row.span.from_ms))
    .bind(i64::from(row.span.to_ms))
    .bind(&row.before)
    .bind(&row.after)
    .bind(opt_id(row.undoes))
    .bind(agent.to_string())
    .bind(at.0)
    .execute(&mut *conn)
    .await?;
    let subject = ("interaction", interaction.to_string());
    write_audit(conn, at, Some(agent), AuditAction::CorrectWords, subject, Some(&id.to_string())).await?;
    jobs::enqueue_anew(conn, JobKind::Card, &interaction.to_string(), at).await?;
    let data = Some(json!({ "revision": row.revision }));
    let event = NewEvent { kind: "words.corrected", interaction: Some(interaction), agent: Some(agent), data, ..NewEvent::default() };
    emit(conn, at, event).await?;
    let by: Option<String> =
        sqlx::query_scalar("SELECT name FROM agent WHERE agent = $1").bind(agent.to_string()).fetch_optional(conn).await?;
    let correction = Correction { id, span: row.span, after: row.after, undoes: row.undoes };
    let state = if row.undoes.is_some() { CorrectionState::TakenBack } else { CorrectionState::Stands };
    Ok(Made { correction, before: row.before, by: by.unwrap_or_default(), at }.view(state))
}
