//! The desk's WebSocket: hello, snapshot, then live facts; commands back.
//!
//! A desk sees its own agent's view, offers and words; supervisors see the board as well, and the words of calls that they watch. A reader that falls behind gets a new
//! snapshot, never a gap. Commands that name another agent's things are ignored by the switch.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{
        Path, State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes, WebSocket},
    },
    response::Response,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    sync::broadcast::{
        Receiver,
        error::{RecvError, TryRecvError},
    },
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
    time::UnixMs,
};

/// Largest message from a desk.
const MESSAGE: usize = 4 << 10;
/// Octets read at once: the library clears its whole buffer before each read, 128 KiB where nothing is said.
const READ: usize = 4 << 10;
/// Octets kept back before they are written: each message is flushed anyway.
const WRITE: usize = 16 << 10;
const PING: Duration = Duration::from_secs(10);
/// Messages that a desk may send per second; a desk that sends more is closed.
const RATE: i64 = 50;
/// Messages above the rate that are taken at once: where the server had no time to read, what waited comes together.
const BURST: i64 = 250;
/// The session is looked at again this often, so that a log-out reaches open desks.
const PINGS_PER_CHECK: u32 = 3;

pub(super) async fn connect(State(api): State<Api>, caller: Caller, upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(MESSAGE).read_buffer_size(READ).write_buffer_size(WRITE).on_upgrade(move |socket| async move {
        api.count_desk(caller.me.agent, 1);
        let _ = Desk { api: api.clone(), me: caller.me.clone(), socket, allowance: Allowance::default() }.run().await;
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
    allowance: Allowance,
}

/// What a desk may still send.
#[derive(Default)]
struct Allowance {
    /// Messages above the rate that have come, in thousandths.
    above: i64,
    at: UnixMs,
}

impl Allowance {
    /// Counts a message; false when it is one too many.
    fn takes(&mut self, now: UnixMs) -> bool {
        let passed = now.0.saturating_sub(self.at.0).clamp(0, BURST * 1_000);
        self.at = now;
        self.above = (self.above - passed * RATE).max(0) + 1_000;
        self.above <= BURST * 1_000
    }
}

/// The desk is gone, or must go.
struct Gone;

/// The desk needs a snapshot.
struct Behind;

/// Takes what else has come: the server was busy meanwhile, and it goes out together.
fn collect(stream: &mut Receiver<Arc<Numbered>>, pending: &mut Vec<Arc<Numbered>>) -> Result<(), Behind> {
    loop {
        match stream.try_recv() {
            Ok(more) => pending.push(more),
            // What ended is seen by whoever waits next.
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Ok(()),
            Err(TryRecvError::Lagged(_)) => return Err(Behind),
        }
    }
}

fn text(cursor: u64, fact: &LiveFact) -> Result<String, Gone> {
    serde_json::to_string(&Event { cursor, fact }).map_err(|_| Gone)
}

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
                    Ok(first) => {
                        let mut pending = vec![first];
                        match collect(&mut stream, &mut pending) {
                            Ok(()) => self.show(&pending).await?,
                            Err(Behind) => stream = self.snapshot().await?,
                        }
                    }
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

    async fn snapshot(&mut self) -> Result<Receiver<Arc<Numbered>>, Gone> {
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

    fn concerns(&self, fact: &LiveFact) -> bool {
        match fact {
            LiveFact::Agent(view) => view.agent == self.me.agent,
            LiveFact::OfferGone { agent, .. } => *agent == self.me.agent,
            LiveFact::Board(_) => self.me.role >= Role::Supervisor,
            // The ring holds those words only that this agent may read.
            LiveFact::Queues { .. } | LiveFact::Changed { .. } | LiveFact::Words(_) => true,
        }
    }

    /// Sends facts that have come together; of several views of the agent the last says all.
    async fn show(&mut self, pending: &[Arc<Numbered>]) -> Result<(), Gone> {
        let view = |numbered: &Arc<Numbered>| matches!(numbered.fact, LiveFact::Agent(_));
        let last_view = pending.iter().rposition(view);
        for (n, numbered) in pending.iter().enumerate() {
            let overtaken = view(numbered) && Some(n) != last_view;
            if !overtaken && self.concerns(&numbered.fact) {
                self.send_shared(numbered).await?;
            }
        }
        Ok(())
    }

    async fn send_shared(&mut self, numbered: &Numbered) -> Result<(), Gone> {
        let text = match numbered.text.get() {
            Some(text) => text,
            None => {
                let text = text(numbered.cursor, &numbered.fact)?;
                numbered.text.get_or_init(|| text.into())
            }
        };
        self.socket.send(Message::Text(Utf8Bytes::from(&**text))).await.map_err(|_| Gone)
    }

    async fn send_fact(&mut self, cursor: u64, fact: &LiveFact) -> Result<(), Gone> {
        self.send(text(cursor, fact)?).await
    }

    async fn send(&mut self, text: String) -> Result<(), Gone> {
        self.socket.send(Message::Text(text.into())).await.map_err(|_| Gone)
    }

    fn asked(&mut self, text: &str) -> Result<(), Gone> {
        if !self.allowance.takes(clock::now().wall) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desk_that_was_not_read_for_a_while_may_send_what_waited_and_one_that_never_stops_is_closed() {
        let mut honest = Allowance::default();
        let begin = 1_790_000_000_000;
        // Twenty a second for ten minutes, of which five seconds come at once.
        for second in 0..600 {
            let at = if (100..105).contains(&second) { 105 } else { second };
            assert!((0..20).all(|_| honest.takes(UnixMs(begin + at * 1_000))), "second {second}");
        }
        let mut broken = Allowance::default();
        let taken = (0..10_000).take_while(|n| broken.takes(UnixMs(begin + n * 10))).count();
        assert!((400..600).contains(&taken), "a hundred a second: {taken}");
        let mut set_back = Allowance::default();
        assert!(set_back.takes(UnixMs(begin)) && set_back.takes(UnixMs(begin - 3_600_000)), "a clock that is set back closes nobody");
    }
}
