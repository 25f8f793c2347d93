//! The desk's WebSocket: hello, snapshot, then live facts; commands back.
//!
//! A desk sees its own agent's view, offers and words; supervisors see the board as well, and the words of calls that they watch. A reader that falls behind gets a new
//! snapshot, never a gap. Commands that name another agent's things are ignored by the switch.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{
        Path, State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    response::Response,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{MissedTickBehavior, interval},
};

use super::{Api, auth::Caller, errors::Problem, interactions};
use crate::{
    domain::{
        fact::AgentState,
        live::{AckLevel, DeskCommand, LiveFact},
    },
    ids::{AgentId, InteractionId, OfferId},
    service::{
        clock,
        live::Numbered,
        store::{AuditAction, Me, Role},
    },
};

/// Largest message from a desk.
const MESSAGE: usize = 4 << 10;
/// Octets read at once: the library clears its whole buffer before each read, 128 KiB where nothing is said.
const READ: usize = 4 << 10;
/// Octets kept back before they are written: each message is flushed anyway.
const WRITE: usize = 16 << 10;
const PING: Duration = Duration::from_secs(10);
/// Messages that a desk may send per second; a desk that sends more is closed.
const RATE: u32 = 50;
/// The session is looked at again this often, so that a log-out reaches open desks.
const PINGS_PER_CHECK: u32 = 3;

pub(super) async fn connect(State(api): State<Api>, caller: Caller, upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(MESSAGE).read_buffer_size(READ).write_buffer_size(WRITE).on_upgrade(move |socket| async move {
        api.count_desk(caller.me.agent, 1);
        let _ = Desk { api: api.clone(), me: caller.me.clone(), socket, sent_this_second: 0, second: 0 }.run().await;
        api.count_desk(caller.me.agent, -1);
    })
}

/// What was heard so far in a call in progress, and just after it.
pub(super) async fn words(State(api): State<Api>, caller: Caller, Path(id): Path<InteractionId>) -> Result<Json<Value>, Problem> {
    interactions::may_read_live(&api, &caller, id).await?;
    let (utterances, lag_ms) = api.live.words().of(id).unwrap_or_default();
    if !utterances.is_empty() {
        let subject = ("interaction", id.to_string());
        api.store.audit(caller.me.agent, AuditAction::ReadTranscript, subject, clock::now().wall).await?;
    }
    let trouble = if utterances.is_empty() { (api.speech_models)().trouble } else { None };
    Ok(Json(json!({"utterances": utterances, "lag_ms": lag_ms, "trouble": trouble})))
}

/// What a desk may ask; [`DeskCommand`] without the agent, which is the session's.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Asked {
    Ack { offer: OfferId, level: AckLevel },
    SetState { state: AgentState, reason: Option<String> },
    Decline { offer: OfferId },
    HangUp { interaction: InteractionId },
    FinishWrapUp { interaction: InteractionId },
    ExtendWrapUp { interaction: InteractionId },
    WatchWords { interaction: InteractionId },
}

/// Longest reason for not being ready, characters.
const REASON: usize = 60;

impl Asked {
    fn by(self, agent: AgentId) -> Option<DeskCommand> {
        Some(match self {
            Self::Ack { offer, level } => DeskCommand::Ack { agent, offer, level },
            Self::SetState { state, reason } => match state {
                AgentState::Ready | AgentState::NotReady | AgentState::Offline => {
                    DeskCommand::SetState { agent, state, reason: reason.map(|r| r.chars().take(REASON).collect()) }
                }
                AgentState::Offered | AgentState::Busy | AgentState::WrapUp => return None,
            },
            Self::Decline { offer } => DeskCommand::Decline { agent, offer },
            Self::HangUp { interaction } => DeskCommand::HangUp { agent, interaction },
            Self::FinishWrapUp { interaction } => DeskCommand::FinishWrapUp { agent, interaction },
            Self::ExtendWrapUp { interaction } => DeskCommand::ExtendWrapUp { agent, interaction },
            // The switch has nothing to do with it.
            Self::WatchWords { .. } => return None,
        })
    }
}

#[derive(Serialize)]
struct Event<'a> {
    cursor: u64,
    #[serde(flatten)]
    fact: &'a LiveFact,
}

struct Desk {
    api: Api,
    me: Me,
    socket: WebSocket,
    sent_this_second: u32,
    second: i64,
}

/// The desk is gone, or must go.
struct Gone;

impl Desk {
    async fn run(&mut self) -> Result<(), Gone> {
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.reset();
        let mut pings = 0;
        let mut stream = self.snapshot().await?;
        loop {
            tokio::select! {
                fact = stream.recv() => match fact {
                    Ok(numbered) => self.show(&numbered).await?,
                    Err(RecvError::Lagged(_)) => stream = self.snapshot().await?,
                    Err(RecvError::Closed) => return Err(Gone),
                },
                message = self.socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => self.asked(text.as_str())?,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Binary(_) | Message::Close(_)) | Err(_)) | None => return Err(Gone),
                },
                _ = ping.tick() => {
                    pings += 1;
                    if pings % PINGS_PER_CHECK == 0 && self.api.store.login(&self.me.username).await.is_ok_and(|known| known.is_none()) {
                        return Err(Gone);
                    }
                    self.send(json!({"type": "ping", "now": clock::now().wall}).to_string()).await?;
                }
            }
        }
    }

    async fn snapshot(&mut self) -> Result<tokio::sync::broadcast::Receiver<Arc<Numbered>>, Gone> {
        let (snapshot, stream) = self.api.live.subscribe(self.me.agent, self.me.role >= Role::Supervisor);
        let hello =
            json!({"type": "hello", "epoch": self.api.live.epoch(), "cursor": snapshot.cursor, "now": clock::now().wall, "me": self.me});
        self.send(hello.to_string()).await?;
        if let Some(view) = snapshot.agent {
            self.send_fact(snapshot.cursor, &LiveFact::Agent(view)).await?;
        }
        if self.me.role >= Role::Supervisor {
            self.send_fact(snapshot.cursor, &LiveFact::Board(snapshot.board)).await?;
        }
        self.send_fact(snapshot.cursor, &LiveFact::Queues { queues: snapshot.queues }).await?;
        Ok(stream)
    }

    async fn show(&mut self, numbered: &Numbered) -> Result<(), Gone> {
        let mine = match &numbered.fact {
            LiveFact::Agent(view) => view.agent == self.me.agent,
            LiveFact::OfferGone { agent, .. } => *agent == self.me.agent,
            LiveFact::Board(_) => self.me.role >= Role::Supervisor,
            // The ring holds those words only that this agent may read.
            LiveFact::Queues { .. } | LiveFact::Changed { .. } | LiveFact::Words(_) => true,
        };
        if mine { self.send_fact(numbered.cursor, &numbered.fact).await } else { Ok(()) }
    }

    async fn send_fact(&mut self, cursor: u64, fact: &LiveFact) -> Result<(), Gone> {
        let text = serde_json::to_string(&Event { cursor, fact }).map_err(|_| Gone)?;
        self.send(text).await
    }

    async fn send(&mut self, text: String) -> Result<(), Gone> {
        self.socket.send(Message::Text(text.into())).await.map_err(|_| Gone)
    }

    fn asked(&mut self, text: &str) -> Result<(), Gone> {
        let second = clock::now().wall.0 / 1_000;
        if second != self.second {
            (self.second, self.sent_this_second) = (second, 0);
        }
        self.sent_this_second += 1;
        if self.sent_this_second > RATE {
            tracing::warn!("a desk sends too many messages and is closed");
            return Err(Gone);
        }
        let asked = serde_json::from_str::<Asked>(text).ok();
        if let Some(Asked::WatchWords { interaction }) = asked {
            if self.me.role >= Role::Supervisor {
                self.api.live.watch(self.me.agent, interaction);
            }
            return Ok(());
        }
        match asked.and_then(|asked| asked.by(self.me.agent)) {
            Some(command) => {
                (self.api.control)(command);
            }
            None => tracing::debug!("a desk sent a message that is not in the contract"),
        }
        Ok(())
    }
}
