//! Words and what is read out of them, as the jobs save them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    FindingStatus, SentimentView, Store, StoreError, TranscriptKind,
    db::{Columns, Conn, fresh, opt_id, word},
    events::{AuditAction, NewEvent, emit, write_audit},
    heard_promises,
    people_admin::hex,
    take_numbers,
    text::{LINE_MAX, clip, line},
};
use crate::{
    domain::insight::utterance::Transcript,
    ids::{AgentId, FindingId, InteractionId, LegId, MessageId, TranscriptId},
    time::UnixMs,
};

/// Longest title of an interaction, characters.
const TITLE_MAX: usize = 80;
/// Most findings of one interaction: a turn's sentiment each, and the card.
const FINDINGS_MAX: usize = 5_000;

/// What a finding says; the value's JSON in braces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// `{label, text}`: a line of the card; `label` as [`super::CardLabel`].
    CardLine,
    /// `{outcome}`: `solved`, `not_solved` or `unclear`.
    Outcome,
    /// `{text}`: why there is no card ("41 % understood").
    CardTrouble,
    /// `{text}`: the interaction's title, ≤ 80 characters.
    Title,
    /// [`SentimentView`]: the mood of the whole.
    Sentiment,
    /// `{score}`: the mood of one turn; its evidence says which (leg, from).
    TurnSentiment,
    /// `{text, due}`: a promise of ours; `due` in unix ms or null.
    Promise,
    /// `{disposition}`: a disposition that fits, likeliest first.
    Disposition,
}

/// A finding to be saved.
#[derive(Clone, Debug)]
pub struct FindingRow {
    /// What it says.
    pub kind: FindingKind,
    /// By its kind's shape.
    pub value: Value,
    /// What found it.
    pub method: &'static str,
    /// The version of that.
    pub method_version: String,
    /// Percent.
    pub confidence: u8,
    /// What it rests on.
    pub evidence: Vec<EvidenceRow>,
}

/// A span of audio or of a message that a finding rests on.
#[derive(Clone, Debug, Default)]
pub struct EvidenceRow {
    /// The leg that said it.
    pub leg: Option<LegId>,
    /// Beginning and end on the axis, milliseconds.
    pub span_ms: Option<(u32, u32)>,
    /// The message that says it.
    pub message: Option<MessageId>,
    /// Beginning and end in its text, characters.
    pub chars: Option<(u32, u32)>,
    /// The words themselves: only their hash is stored.
    pub quote: Option<String>,
}

/// What a judgement of a finding has to know.
#[derive(Clone, Debug)]
pub struct FindingFacts {
    /// The interaction that it was read out of.
    pub interaction: InteractionId,
    /// What kind.
    pub kind: FindingKind,
    /// As it stands.
    pub value: Value,
    /// As it was read out first, where somebody edited it.
    pub proposed: Option<Value>,
}

/// A transcript's place in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedTranscript {
    /// The transcript.
    pub transcript: TranscriptId,
    /// Grows with each run; findings name it.
    pub revision: u32,
}

impl Store {
    /// Saves a final transcript as the next revision.
    pub async fn save_transcript(
        &self,
        interaction: InteractionId,
        transcript: &Transcript,
        at: UnixMs,
    ) -> Result<SavedTranscript, StoreError> {
        let mut tx = self.write().await?;
        let saved = insert_transcript(&mut tx, interaction, TranscriptKind::Final, transcript, at).await?;
        mark_done(&mut tx, interaction, transcript).await?;
        self.commit(tx).await?;
        Ok(saved)
    }

    /// Saves what was understood while it was spoken as a revision that the next one supersedes, without what was taken out of the
    /// call by then; `None` where the words from the recording are there already. [`StoreError::NotFound`]: no such interaction yet.
    pub async fn save_live_transcript(
        &self,
        interaction: InteractionId,
        transcript: &Transcript,
        at: UnixMs,
    ) -> Result<Option<SavedTranscript>, StoreError> {
        let mut tx = self.write().await?;
        super::notes::must_exist(&mut tx, interaction).await?;
        let done: Option<i64> = sqlx::query_scalar("SELECT 1 FROM transcript WHERE interaction = $1 AND kind = 'final' LIMIT 1")
            .bind(interaction.to_string())
            .fetch_optional(&mut *tx)
            .await?;
        if done.is_some() {
            return Ok(None);
        }
        let taken = super::redactions::redactions_of(&mut tx, interaction).await?;
        let mut transcript = transcript.clone();
        for utterance in &mut transcript.utterances {
            super::redactions::mask(utterance.leg, &mut utterance.words, &taken);
        }
        let saved = insert_transcript(&mut tx, interaction, TranscriptKind::Live, &transcript, at).await?;
        self.commit(tx).await?;
        Ok(Some(saved))
    }

    /// Replaces what was proposed for an interaction; what people confirmed, edited or rejected stays and is not proposed again.
    pub async fn save_findings(
        &self,
        interaction: InteractionId,
        revision: u32,
        findings: &[FindingRow],
        at: UnixMs,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let kept = drop_proposed(&mut tx, interaction).await?;
        let mut new = Vec::new();
        for (place, finding) in findings.iter().take(FINDINGS_MAX).enumerate() {
            if !kept.iter().any(|old| old.covers(finding)) {
                insert_finding(&mut tx, interaction, revision, place, finding, at).await?;
                take_over(&mut tx, interaction, finding).await?;
                new.push(finding);
            }
        }
        heard_promises::open(&mut tx, interaction, &new, at).await?;
        let data = Some(json!({ "revision": revision }));
        emit(&mut tx, at, NewEvent { kind: "findings.saved", interaction: Some(interaction), data, ..NewEvent::default() }).await?;
        self.commit(tx).await
    }

    /// Gives an interaction its title, unless a person gave it one; a ticket that it opened takes the title as its subject.
    pub async fn set_interaction_title(&self, interaction: InteractionId, title: &str, at: UnixMs) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        set_title(&mut tx, interaction, title).await?;
        emit(&mut tx, at, NewEvent { kind: "interaction.titled", interaction: Some(interaction), ..NewEvent::default() }).await?;
        self.commit(tx).await
    }

    /// Whose a finding is, what kind, its value and what was read out first.
    pub async fn finding(&self, finding: FindingId) -> Result<Option<FindingFacts>, StoreError> {
        let mut conn = self.read().await?;
        let row = sqlx::query("SELECT interaction, kind, value, proposed FROM finding WHERE finding = $1")
            .bind(finding.to_string())
            .fetch_optional(&mut *conn)
            .await?;
        let read = |row: super::db::Row| {
            let proposed = row.opt_text("proposed")?.map(|_| row.json("proposed")).transpose()?;
            Ok(FindingFacts { interaction: row.id("interaction")?, kind: row.word("kind")?, value: row.json("value")?, proposed })
        };
        row.map(read).transpose()
    }

    /// A person confirms, edits (with the new value) or rejects a finding.
    pub async fn judge_finding(
        &self,
        finding: FindingId,
        status: FindingStatus,
        edited: Option<&Value>,
        agent: AgentId,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let row = sqlx::query(
            "UPDATE finding SET status = $2, proposed = CASE WHEN CAST($3 AS TEXT) IS NULL THEN proposed ELSE COALESCE(proposed, value) END, \
             value = COALESCE(CAST($3 AS TEXT), value), by_agent = $4, judged_at = $5, version = version + 1 WHERE finding = $1 \
             RETURNING interaction, kind",
        )
        .bind(finding.to_string())
        .bind(word(&status))
        .bind(edited.map(ToString::to_string))
        .bind(agent.to_string())
        .bind(at.0)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::NotFound("finding"))?;
        let interaction: Option<InteractionId> = row.opt_id("interaction")?;
        let subject = ("finding", finding.to_string());
        write_audit(&mut tx, at, Some(agent), AuditAction::JudgeFinding, subject, Some(&word(&status))).await?;
        if let (FindingStatus::Rejected, FindingKind::Promise, Some(interaction)) = (status, row.word("kind")?, interaction) {
            for (_, span) in spans_of(&mut tx, &finding.to_string()).await? {
                heard_promises::reject(&mut tx, interaction, span, agent, at).await?;
            }
        }
        emit(&mut tx, at, NewEvent { kind: "finding.judged", interaction, agent: Some(agent), ..NewEvent::default() }).await?;
        self.commit(tx).await
    }
}

/// The next revision, with its event.
async fn insert_transcript(
    conn: &mut Conn,
    interaction: InteractionId,
    kind: TranscriptKind,
    transcript: &Transcript,
    at: UnixMs,
) -> Result<SavedTranscript, StoreError> {
    let id = fresh(TranscriptId::new, at)?;
    let last: Option<i64> = sqlx::query_scalar("SELECT MAX(revision) FROM transcript WHERE interaction = $1")
        .bind(interaction.to_string())
        .fetch_one(&mut *conn)
        .await?;
    let revision = last.unwrap_or(0) + 1;
    sqlx::query(
        "INSERT INTO transcript (transcript, interaction, revision, kind, model, language, coverage, at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(id.to_string())
    .bind(interaction.to_string())
    .bind(revision)
    .bind(word(&kind))
    .bind(line(&transcript.model, LINE_MAX))
    .bind(line(&transcript.language, LINE_MAX))
    .bind(serde_json::to_string(&transcript.coverage)?)
    .bind(at.0)
    .execute(&mut *conn)
    .await?;
    insert_utterances(conn, id, transcript).await?;
    let data = Some(json!({ "revision": revision, "kind": word(&kind) }));
    emit(conn, at, NewEvent { kind: "transcript.saved", interaction: Some(interaction), data, ..NewEvent::default() }).await?;
    Ok(SavedTranscript { transcript: id, revision: u32::try_from(revision).unwrap_or(u32::MAX) })
}

async fn insert_utterances(conn: &mut Conn, transcript: TranscriptId, words: &Transcript) -> Result<(), StoreError> {
    let count = i64::try_from(words.utterances.len()).unwrap_or(i64::MAX);
    let first = take_numbers(conn, "utterance", count).await?;
    for (place, utterance) in (0_i64..).zip(&words.utterances) {
        sqlx::query(
            "INSERT INTO utterance (seq, transcript, place, leg, party, from_ms, to_ms, confidence, rejected, words) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(first + place)
        .bind(transcript.to_string())
        .bind(place)
        .bind(utterance.leg.to_string())
        .bind(word(&utterance.party))
        .bind(i64::from(utterance.from_ms))
        .bind(i64::from(utterance.to_ms))
        .bind(i64::from(utterance.confidence))
        .bind(&utterance.rejected)
        .bind(serde_json::to_string(&utterance.words)?.replace("\\u0000", ""))
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

async fn mark_done(conn: &mut Conn, interaction: InteractionId, transcript: &Transcript) -> Result<(), StoreError> {
    let sum = |part: fn(&crate::domain::insight::utterance::LegCoverage) -> u64| transcript.coverage.iter().map(part).sum::<u64>();
    let percent = (sum(|c| c.transcribed) * 100).checked_div(sum(|c| c.voiced)).map(|p| i64::try_from(p.min(100)).unwrap_or(100));
    let done = "UPDATE interaction SET transcript_state = 'done', transcript_trouble = NULL, coverage = $2 WHERE interaction = $1";
    sqlx::query(done).bind(interaction.to_string()).bind(percent).execute(conn).await?;
    Ok(())
}

/// A finding that a person has looked at.
struct Kept {
    kind: FindingKind,
    value: Value,
    proposed: Option<Value>,
    status: FindingStatus,
    spans: Vec<(LegId, (u32, u32))>,
}

impl Kept {
    /// Whether a newly read finding says what this one says, or what it was corrected from.
    fn covers(&self, new: &FindingRow) -> bool {
        if self.kind != new.kind {
            return false;
        }
        let same = self.value == new.value || self.proposed.as_ref() == Some(&new.value) || self.is_heard_again(new);
        let stands = !matches!(self.status, FindingStatus::Rejected);
        let one_of_a_kind = match self.kind {
            FindingKind::CardLine => self.value.get("label") == new.value.get("label"),
            FindingKind::Outcome | FindingKind::CardTrouble | FindingKind::Title | FindingKind::Sentiment => true,
            FindingKind::TurnSentiment | FindingKind::Promise | FindingKind::Disposition => false,
        };
        same || (stands && one_of_a_kind)
    }

    /// Whether it was read from the same place in the audio, whatever a new revision makes of the words there.
    fn is_heard_again(&self, new: &FindingRow) -> bool {
        let label = self.value.get("label") == new.value.get("label");
        let common = |leg: LegId, a: (u32, u32)| {
            let overlap = |(own, b): &(LegId, (u32, u32))| {
                let common = a.1.min(b.1).saturating_sub(a.0.max(b.0));
                *own == leg && common * 2 >= (a.1 - a.0).min(b.1.saturating_sub(b.0)).max(1)
            };
            self.spans.iter().any(overlap)
        };
        label && new.evidence.iter().any(|e| matches!((e.leg, e.span_ms), (Some(leg), Some(span)) if span.0 < span.1 && common(leg, span)))
    }
}

async fn drop_proposed(conn: &mut Conn, interaction: InteractionId) -> Result<Vec<Kept>, StoreError> {
    let id = interaction.to_string();
    let gone = "DELETE FROM evidence WHERE finding IN (SELECT finding FROM finding WHERE interaction = $1 AND status = 'proposed')";
    sqlx::query(gone).bind(&id).execute(&mut *conn).await?;
    sqlx::query("DELETE FROM finding WHERE interaction = $1 AND status = 'proposed'").bind(&id).execute(&mut *conn).await?;
    let left = "SELECT finding, kind, value, proposed, status FROM finding WHERE interaction = $1";
    let rows = sqlx::query(left).bind(&id).fetch_all(&mut *conn).await?;
    let mut kept = Vec::new();
    for row in &rows {
        let proposed = row.opt_text("proposed")?.map(|_| row.json("proposed")).transpose()?;
        let spans = spans_of(conn, &row.text("finding")?).await?;
        kept.push(Kept { kind: row.word("kind")?, value: row.json("value")?, proposed, status: row.word("status")?, spans });
    }
    Ok(kept)
}

/// Places in the audio that a finding rests on.
async fn spans_of(conn: &mut Conn, finding: &str) -> Result<Vec<(LegId, (u32, u32))>, StoreError> {
    let sql =
        "SELECT leg, from_ms, to_ms FROM evidence WHERE finding = $1 AND leg IS NOT NULL AND from_ms IS NOT NULL AND to_ms IS NOT NULL";
    let rows = sqlx::query(sql).bind(finding).fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.id("leg")?, (row.int("from_ms")?, row.int("to_ms")?)))).collect()
}

async fn insert_finding(
    conn: &mut Conn,
    interaction: InteractionId,
    revision: u32,
    place: usize,
    finding: &FindingRow,
    at: UnixMs,
) -> Result<(), StoreError> {
    let id = fresh(FindingId::new, at)?.to_string();
    sqlx::query(
        "INSERT INTO finding (finding, interaction, revision, kind, place, value, method, method_version, confidence, status, at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'proposed', $10)",
    )
    .bind(&id)
    .bind(interaction.to_string())
    .bind(i64::from(revision))
    .bind(word(&finding.kind))
    .bind(i64::try_from(place).unwrap_or(i64::MAX))
    .bind(finding.value.to_string().replace("\\u0000", ""))
    .bind(finding.method)
    .bind(&finding.method_version)
    .bind(i64::from(finding.confidence))
    .bind(at.0)
    .execute(&mut *conn)
    .await?;
    for (place, evidence) in (0_i64..).zip(&finding.evidence) {
        sqlx::query(
            "INSERT INTO evidence (finding, place, leg, from_ms, to_ms, message, char_from, char_to, hash) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&id)
        .bind(place)
        .bind(opt_id(evidence.leg))
        .bind(evidence.span_ms.map(|s| i64::from(s.0)))
        .bind(evidence.span_ms.map(|s| i64::from(s.1)))
        .bind(opt_id(evidence.message))
        .bind(evidence.chars.map(|c| i64::from(c.0)))
        .bind(evidence.chars.map(|c| i64::from(c.1)))
        .bind(evidence.quote.as_ref().map(|quote| hex(&Sha256::digest(quote.as_bytes()))))
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Figures that lists show stand on the interaction's own row too.
async fn take_over(conn: &mut Conn, interaction: InteractionId, finding: &FindingRow) -> Result<(), StoreError> {
    match finding.kind {
        FindingKind::Title => set_title(conn, interaction, finding.value.get("text").and_then(Value::as_str).unwrap_or_default()).await,
        FindingKind::Sentiment => {
            let mood: SentimentView = serde_json::from_value(finding.value.clone())?;
            let set = "UPDATE interaction SET sentiment = $2 WHERE interaction = $1";
            sqlx::query(set).bind(interaction.to_string()).bind(mood.overall.map(i64::from)).execute(conn).await?;
            Ok(())
        }
        FindingKind::CardLine
        | FindingKind::Outcome
        | FindingKind::CardTrouble
        | FindingKind::TurnSentiment
        | FindingKind::Promise
        | FindingKind::Disposition => Ok(()),
    }
}

async fn set_title(conn: &mut Conn, interaction: InteractionId, title: &str) -> Result<(), StoreError> {
    let title = clip(&line(title, LINE_MAX), TITLE_MAX);
    if title.is_empty() {
        return Ok(());
    }
    let id = interaction.to_string();
    let set = "UPDATE interaction SET title = $2, title_by = 'words' WHERE interaction = $1 AND (title IS NULL OR title_by = 'words')";
    sqlx::query(set).bind(&id).bind(&title).execute(&mut *conn).await?;
    let subject = "UPDATE ticket SET subject = $2, version = version + 1 WHERE opened_by = $1 AND subject_by IS NULL";
    sqlx::query(subject).bind(&id).bind(&title).execute(conn).await?;
    Ok(())
}
