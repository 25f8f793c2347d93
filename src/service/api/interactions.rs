//! One interaction: its page, draft, notes, customer and wrap-up.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, audio, auth::Caller, errors::Problem};
use crate::{
    domain::{customer::brief::Brief, live::DeskCommand},
    ids::{CustomerId, InteractionId},
    service::{
        clock,
        store::{AuditAction, CallerIs, InteractionPage, Note, PromiseMade, Role, WrapUp},
    },
    time::UnixMs,
};

/// Longest note or draft, characters.
const TEXT: usize = 20_000;
/// Longest name of a customer, characters.
const NAME: usize = 120;
/// Promises of one wrap-up.
const PROMISES: usize = 10;

pub(super) async fn page(State(api): State<Api>, caller: Caller, Path(id): Path<InteractionId>) -> Result<Json<InteractionPage>, Problem> {
    may_read(&api, &caller, id).await?;
    let mut page = api.store.interaction_page(id, caller.me.agent).await?;
    if page.recording.has_gaps {
        page.recording.gaps = audio::gaps(&api, id).await;
    }
    let subject = || ("interaction", id.to_string());
    let now = clock::now().wall;
    api.store.audit(caller.me.agent, AuditAction::OpenRecord, subject(), now).await?;
    if !page.transcript.utterances.is_empty() {
        api.store.audit(caller.me.agent, AuditAction::ReadTranscript, subject(), now).await?;
    }
    Ok(Json(page))
}

/// Supervisors read all, agents what they took part in and what is on a customer's record.
pub(super) async fn may_read(api: &Api, caller: &Caller, id: InteractionId) -> Result<(), Problem> {
    let access = api.store.interaction_access(id).await?.ok_or_else(Problem::not_found)?;
    let own = access.agents.contains(&caller.me.agent);
    if own || access.customer.is_some() || caller.me.role >= Role::Supervisor { Ok(()) } else { Err(Problem::not_found()) }
}

/// As [`may_read`], also for a call that the record does not know yet: from the live view first.
pub(super) async fn may_read_live(api: &Api, caller: &Caller, id: InteractionId) -> Result<(), Problem> {
    if must_own(api, caller, id).await.is_ok() { Ok(()) } else { may_read(api, caller, id).await }
}

/// Supervisors hear all, agents what they took part in.
pub(super) async fn may_hear(api: &Api, caller: &Caller, id: InteractionId) -> Result<(), Problem> {
    let access = api.store.interaction_access(id).await?.ok_or_else(Problem::not_found)?;
    let own = access.agents.contains(&caller.me.agent);
    if own || caller.me.role >= Role::Supervisor { Ok(()) } else { Err(Problem::not_found()) }
}

/// The agent whose call it is now, or was: from the live view first, so that a desk may write before the record has caught up.
async fn must_own(api: &Api, caller: &Caller, id: InteractionId) -> Result<(), Problem> {
    let view = api.live.view(caller.me.agent);
    let live = view.is_some_and(|v| {
        v.call.is_some_and(|c| c.interaction == id)
            || v.wrap_up.is_some_and(|w| w.interaction == id)
            || v.offer.is_some_and(|o| o.interaction == id)
    });
    if live { Ok(()) } else { may_hear(api, caller, id).await }
}

/// Typed text that is short enough, without the numbers that nobody may store.
fn checked(api: &Api, text: &str) -> Result<String, Problem> {
    if text.chars().count() > TEXT {
        return Err(Problem::bad_request(format!("The text is longer than {TEXT} characters. Shorten it; nothing was lost.")));
    }
    Ok(api.masked(text))
}

#[derive(Deserialize)]
pub(super) struct Draft {
    text: String,
    version: i64,
}

pub(super) async fn save_draft(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<InteractionId>,
    Json(draft): Json<Draft>,
) -> Result<Json<Value>, Problem> {
    must_own(&api, &caller, id).await?;
    let version = api.store.save_draft(id, caller.me.agent, &checked(&api, &draft.text)?, draft.version, clock::now().wall).await?;
    Ok(Json(json!({"version": version})))
}

#[derive(Deserialize)]
pub(super) struct NewNote {
    text: String,
}

pub(super) async fn add_note(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<InteractionId>,
    Json(note): Json<NewNote>,
) -> Result<Json<Note>, Problem> {
    let text = checked(&api, &note.text)?;
    if text.trim().is_empty() {
        return Err(Problem::bad_request("A note needs some text."));
    }
    Ok(Json(api.store.add_note(id, caller.me.agent, text.trim(), clock::now().wall).await?))
}

#[derive(Deserialize)]
pub(super) struct Choice {
    customer: Option<CustomerId>,
    name: Option<String>,
}

pub(super) async fn choose_customer(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<InteractionId>,
    Json(choice): Json<Choice>,
) -> Result<Json<Brief>, Problem> {
    must_own(&api, &caller, id).await?;
    let now = clock::now().wall;
    let caller_is = match (choice.name, choice.customer) {
        (Some(name), _) => {
            let name = name.trim();
            if name.is_empty() || name.chars().count() > NAME {
                return Err(Problem::bad_request(format!("A name has 1 to {NAME} characters.")));
            }
            CallerIs::New(name.to_owned())
        }
        (None, Some(customer)) => CallerIs::Customer(customer),
        (None, None) => CallerIs::Nobody,
    };
    let brief = api.store.choose_customer(id, &caller_is, caller.me.agent, now).await?;
    (api.control)(DeskCommand::ChooseCustomer { agent: caller.me.agent, interaction: id, brief: Box::new(brief.clone()) });
    Ok(Json(brief))
}

#[derive(Deserialize)]
pub(super) struct Finished {
    disposition: String,
    note: String,
    solved: bool,
    promises: Vec<Promise>,
}

#[derive(Deserialize)]
struct Promise {
    text: String,
    due: Option<UnixMs>,
}

pub(super) async fn wrap_up(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<InteractionId>,
    Json(finished): Json<Finished>,
) -> Result<StatusCode, Problem> {
    must_own(&api, &caller, id).await?;
    if finished.promises.len() > PROMISES {
        return Err(Problem::bad_request(format!("At most {PROMISES} promises can be made in one call.")));
    }
    if !api.store.dispositions().await?.iter().any(|known| known.id == finished.disposition) {
        return Err(Problem::bad_request("Choose a disposition from the list."));
    }
    let mut promises = Vec::new();
    for promise in finished.promises {
        promises.push(PromiseMade { text: checked(&api, &promise.text)?, due: promise.due });
    }
    let done = WrapUp { disposition: finished.disposition, note: checked(&api, &finished.note)?, solved: finished.solved, promises };
    api.store.wrap_up(id, caller.me.agent, &done, clock::now().wall).await?;
    (api.control)(DeskCommand::FinishWrapUp { agent: caller.me.agent, interaction: id });
    Ok(StatusCode::NO_CONTENT)
}
