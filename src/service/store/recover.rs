//! After a crash: whatever was open is closed with cause `crash`, and tracks without rows get them.

use serde::Serialize;

use super::{
    Store, StoreError, apply,
    db::{Columns, Conn, word},
    events::{NewEvent, emit},
};
use crate::{
    domain::{
        fact::{AgentState, Direction, EndCause, Fact, InteractionOpened, OfferOutcome},
        media::plan::Codec,
    },
    ids::{AgentId, Channel, InteractionId, LegId, Party, RecordingId, SipCallId},
    time::UnixMs,
};

/// A track that no process closed: the recorder found it on disk and made it whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecoveredTrack {
    /// The track.
    pub recording: RecordingId,
    /// The call.
    pub interaction: InteractionId,
    /// The leg.
    pub leg: LegId,
    /// Who speaks on it.
    pub party: Party,
    /// Its codec.
    pub codec: Codec,
    /// Wall time of the axis' zero.
    pub axis_start_wall: UnixMs,
    /// Beginning on the axis.
    pub from_ms: u32,
    /// End on the axis.
    pub to_ms: u32,
    /// Marked silence for lost packets, milliseconds.
    pub lost_ms: u32,
    /// Not kept, milliseconds.
    pub paused_ms: u32,
    /// Why it is not whole.
    pub trouble: Option<String>,
}

/// What start-up closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Calls that the crash ended.
    pub interactions: usize,
    /// Tracks that had no row.
    pub tracks: usize,
}

impl Store {
    /// Closes what the last process left open; run it after the journal was replayed and before any port opens.
    ///
    /// Ends are the last known time of each call: the latest of its rows and of its tracks on disk.
    pub async fn close_crashed(&self, tracks: &[RecoveredTrack], now: UnixMs) -> Result<Recovered, StoreError> {
        let mut tx = self.write().await?;
        let mut done = Recovered::default();
        for track in tracks {
            done.tracks += usize::from(restore_track(&mut tx, track).await?);
        }
        let rows = sqlx::query("SELECT interaction, at FROM interaction WHERE state <> 'closed' AND channel = 'phone'")
            .fetch_all(&mut *tx)
            .await?;
        for row in &rows {
            let ends = tracks.iter().filter(|track| row.id("interaction").is_ok_and(|id: InteractionId| id == track.interaction));
            let track_end = ends.map(|track| track.to_ms).max().unwrap_or(0);
            close_interaction(&mut tx, row.id("interaction")?, track_end).await?;
            done.interactions += 1;
        }
        close_agents(&mut tx, now).await?;
        self.commit(tx).await?;
        Ok(done)
    }
}

/// Makes rows for a track from its header; true when it had none.
async fn restore_track(conn: &mut Conn, track: &RecoveredTrack) -> Result<bool, StoreError> {
    let known: Option<i64> = sqlx::query_scalar("SELECT 1 FROM recording WHERE recording = $1")
        .bind(track.recording.to_string())
        .fetch_optional(&mut *conn)
        .await?;
    let opened = Fact::InteractionOpened(InteractionOpened {
        interaction: track.interaction,
        channel: Channel::Phone,
        direction: Direction::Inbound,
        at: track.axis_start_wall,
        caller_raw: None,
        caller: None,
        display_name: None,
        called: String::new(),
        via: "recovered from its recording".to_owned(),
        queue: None,
        emergency: false,
    });
    let leg = Fact::LegOpened {
        leg: track.leg,
        interaction: track.interaction,
        party: track.party,
        agent: None,
        sip_call_id: SipCallId(String::new()),
        trunk: None,
        from_ms: track.from_ms,
    };
    let begun = Fact::RecordingOpened {
        recording: track.recording,
        interaction: track.interaction,
        leg: track.leg,
        codec: track.codec,
        from_ms: track.from_ms,
    };
    let whole = Fact::RecordingClosed {
        recording: track.recording,
        to_ms: track.to_ms,
        lost_ms: track.lost_ms,
        paused_ms: track.paused_ms,
        trouble: track.trouble.clone(),
    };
    for fact in [opened, leg, begun, whole] {
        apply::all(conn, &[fact]).await?;
    }
    if track.party == Party::Agent {
        // An agent has a track only once they answered.
        let answered = "UPDATE interaction SET answered_ms = $2 WHERE interaction = $1 AND answered_ms IS NULL";
        sqlx::query(answered).bind(track.interaction.to_string()).bind(i64::from(track.from_ms)).execute(&mut *conn).await?;
    }
    Ok(known.is_none())
}

async fn close_interaction(conn: &mut Conn, interaction: InteractionId, track_end_ms: u32) -> Result<(), StoreError> {
    let id = interaction.to_string();
    let end_ms = last_known_ms(conn, &id).await?.max(track_end_ms);
    let end = i64::from(end_ms);
    for close in [
        "UPDATE segment SET to_ms = CASE WHEN from_ms > $2 THEN from_ms ELSE $2 END WHERE interaction = $1 AND to_ms IS NULL",
        "UPDATE sound SET to_ms = CASE WHEN from_ms > $2 THEN from_ms ELSE $2 END WHERE interaction = $1 AND to_ms IS NULL",
        "UPDATE leg SET to_ms = CASE WHEN from_ms > $2 THEN from_ms ELSE $2 END, cause = 'crash' WHERE interaction = $1 AND to_ms IS NULL",
        "UPDATE recording SET to_ms = CASE WHEN from_ms > $2 THEN from_ms ELSE $2 END, trouble = COALESCE(trouble, \
         'The recording was cut off by a crash; its end may be missing.') WHERE interaction = $1 AND to_ms IS NULL",
    ] {
        sqlx::query(close).bind(&id).bind(end).execute(&mut *conn).await?;
    }
    sqlx::query("UPDATE offer SET outcome = $3, ended_ms = $2 WHERE interaction = $1 AND outcome IS NULL")
        .bind(&id)
        .bind(end)
        .bind(word(&OfferOutcome::Failed))
        .execute(&mut *conn)
        .await?;
    let answered_by = talker(conn, &id).await?;
    let ended = Fact::InteractionEnded { interaction, at_ms: end_ms, cause: EndCause::Crash, answered_by };
    apply::all(conn, &[ended]).await?;
    apply::all(conn, &[Fact::InteractionClosed { interaction, at_ms: end_ms, wrapped_up: false }]).await
}

/// The latest time on the call's axis that any row of it knows.
async fn last_known_ms(conn: &mut Conn, interaction: &str) -> Result<u32, StoreError> {
    let row = sqlx::query(
        "SELECT COALESCE(MAX(known), 0) AS known FROM ( \
         SELECT COALESCE(to_ms, from_ms) AS known FROM segment WHERE interaction = $1 \
         UNION ALL SELECT COALESCE(to_ms, from_ms) FROM leg WHERE interaction = $1 \
         UNION ALL SELECT COALESCE(to_ms, from_ms) FROM recording WHERE interaction = $1 \
         UNION ALL SELECT COALESCE(to_ms, from_ms) FROM sound WHERE interaction = $1 \
         UNION ALL SELECT COALESCE(ended_ms, rang_ms, at_ms) FROM offer WHERE interaction = $1 \
         UNION ALL SELECT ended_at - at FROM interaction WHERE interaction = $1 AND ended_at IS NOT NULL) AS times",
    )
    .bind(interaction)
    .fetch_one(conn)
    .await?;
    row.int("known")
}

/// The agent who talked in a call that nobody ended.
async fn talker(conn: &mut Conn, interaction: &str) -> Result<Option<AgentId>, StoreError> {
    let row = sqlx::query(
        "SELECT COALESCE(s.agent, l.agent) AS agent FROM segment s LEFT JOIN leg l ON l.leg = s.leg \
         WHERE s.interaction = $1 AND s.kind IN ('talk', 'hold') AND COALESCE(s.agent, l.agent) IS NOT NULL ORDER BY s.from_ms, s.segment LIMIT 1",
    )
    .bind(interaction)
    .fetch_optional(conn)
    .await?;
    row.map_or(Ok(None), |row| row.opt_id("agent"))
}

/// Nobody is anywhere until their desk connects again; registrations stay: phones are reachable at once.
async fn close_agents(conn: &mut Conn, now: UnixMs) -> Result<(), StoreError> {
    let rows = sqlx::query("SELECT agent FROM agent_state WHERE to_at IS NULL AND state <> 'offline' ORDER BY agent")
        .fetch_all(&mut *conn)
        .await?;
    for row in &rows {
        let gone = Fact::AgentState { agent: row.id("agent")?, state: AgentState::Offline, reason: None, at: now };
        apply::all(conn, &[gone]).await?;
    }
    if !rows.is_empty() {
        emit(conn, now, NewEvent { kind: "agents.offline", ..NewEvent::default() }).await?;
    }
    Ok(())
}
