//! The words of an interaction: revisions, corrections, transcribing again; what was read out of them, judged.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Api, auth::Caller, errors::Problem, interactions};
use crate::{
    domain::insight::correction::Span,
    ids::{CorrectionId, FindingId, InteractionId, LegId},
    service::{
        clock,
        store::{AuditAction, CorrectionView, FindingKind, FindingStatus, NewCorrection, Role, TranscriptView},
    },
};

/// Longest text of a correction or of an edited line, octets.
const TEXT: usize = 2_048;
/// Longest name of a model, octets.
const MODEL: usize = 128;
/// A correction lies in one breath of speech, milliseconds: the longest utterance and some.
const SPAN_MAX_MS: u32 = 60_000;

/// A model that calls can be transcribed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpeechModel {
    /// Its name.
    pub name: String,
    /// Whether calls are transcribed with it when nobody chooses.
    pub usual: bool,
}

/// The models that there are; `trouble` says why there are none, with the remedy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SpeechModels {
    /// By name.
    pub models: Vec<SpeechModel>,
    /// One sentence.
    pub trouble: Option<String>,
}

pub(super) async fn models(State(api): State<Api>, caller: Caller) -> Result<Json<SpeechModels>, Problem> {
    caller.at_least(Role::Supervisor)?;
    Ok(Json((api.speech_models)()))
}

#[derive(Deserialize)]
pub(super) struct Revision {
    revision: Option<u32>,
}

pub(super) async fn words(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<InteractionId>,
    Query(asked): Query<Revision>,
) -> Result<Json<TranscriptView>, Problem> {
    interactions::may_read(&api, &caller, id).await?;
    let words = api.store.words(id, asked.revision).await?;
    if !words.utterances.is_empty() {
        let subject = ("interaction", id.to_string());
        api.store.audit(caller.me.agent, AuditAction::ReadTranscript, subject, clock::now().wall).await?;
    }
    Ok(Json(words))
}

/// Those who may read a call but were not in it are told who may change its words.
async fn may_change(api: &Api, caller: &Caller, id: InteractionId) -> Result<(), Problem> {
    interactions::may_read(api, caller, id).await?;
    let own = interactions::may_hear(api, caller, id).await.is_ok();
    if own { Ok(()) } else { Err(Problem::not_yours("Only the agents of this call and supervisors can put it right.")) }
}

fn checked(text: &str) -> Result<(), Problem> {
    if text.len() > TEXT {
        return Err(Problem::bad_request("The text is longer than 2 kB. Shorten it; nothing was changed."));
    }
    Ok(())
}

#[derive(Deserialize)]
pub(super) struct Corrected {
    revision: u32,
    leg: LegId,
    from_ms: u32,
    to_ms: u32,
    before: String,
    after: String,
}

pub(super) async fn correct(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<InteractionId>,
    Json(asked): Json<Corrected>,
) -> Result<Json<CorrectionView>, Problem> {
    may_change(&api, &caller, id).await?;
    let Corrected { revision, leg, from_ms, to_ms, before, after } = asked;
    checked(&before)?;
    checked(&after)?;
    if to_ms <= from_ms || to_ms - from_ms > SPAN_MAX_MS {
        return Err(Problem::bad_request("A correction covers between one word and one minute of speech."));
    }
    // What somebody types is masked as what was heard is.
    let after = api.masked(&after);
    let new = NewCorrection { revision, span: Span { leg, from_ms, to_ms }, before, after };
    Ok(Json(api.store.correct(id, caller.me.agent, &new, clock::now().wall).await?))
}

pub(super) async fn take_back(
    State(api): State<Api>,
    caller: Caller,
    Path((id, correction)): Path<(InteractionId, CorrectionId)>,
) -> Result<Json<CorrectionView>, Problem> {
    may_change(&api, &caller, id).await?;
    Ok(Json(api.store.take_correction_back(id, correction, caller.me.agent, clock::now().wall).await?))
}

#[derive(Deserialize)]
pub(super) struct Again {
    model: Option<String>,
}

pub(super) async fn transcribe(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<InteractionId>,
    Json(asked): Json<Again>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    caller.at_least(Role::Supervisor)?;
    if let Some(wanted) = &asked.model {
        let known = (api.speech_models)();
        if wanted.len() > MODEL || !known.models.iter().any(|model| model.name == *wanted) {
            return Err(Problem::bad_request("There is no such speech model here. Choose one of the list."));
        }
    }
    if api.store.tracks(id).await?.is_empty() {
        interactions::may_read(&api, &caller, id).await?;
        return Err(Problem::bad_request("There is no recording of this call to read words from."));
    }
    api.store.transcribe_again(id, asked.model.as_deref(), caller.me.agent, clock::now().wall).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"state": "waiting"}))))
}

#[derive(Deserialize)]
pub(super) struct Judged {
    status: FindingStatus,
    text: Option<String>,
}

pub(super) async fn judge(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<FindingId>,
    Json(judged): Json<Judged>,
) -> Result<StatusCode, Problem> {
    let facts = api.store.finding(id).await?.ok_or_else(Problem::not_found)?;
    may_change(&api, &caller, facts.interaction).await?;
    let value = match (judged.status, judged.text) {
        (FindingStatus::Edited, Some(text)) => {
            checked(&text)?;
            let text = text.trim();
            if text.is_empty() || facts.kind != FindingKind::CardLine {
                return Err(Problem::bad_request("An edited line needs words. To strike a line out, reject it."));
            }
            let mut value = facts.value;
            value["text"] = json!(api.masked(text));
            Some(value)
        }
        (FindingStatus::Edited, None) => return Err(Problem::bad_request("An edited line needs words.")),
        // What was edited goes back to what was read out.
        (FindingStatus::Proposed, _) => facts.proposed,
        (FindingStatus::Confirmed | FindingStatus::Rejected, _) => None,
    };
    api.store.judge_finding(id, judged.status, value.as_ref(), caller.me.agent, clock::now().wall).await?;
    Ok(StatusCode::NO_CONTENT)
}
