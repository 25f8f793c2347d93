//! Agents' states and phones' registrations.

use std::collections::{HashMap, HashSet};

use serde_json::json;

use super::{
    StoreError,
    apply::Placed,
    db::{Columns, Conn, word},
    events::{NewEvent, Outbox},
    rows::{self, Rows},
    text::{LINE_MAX, NAME_MAX, line, opt_line},
};
use crate::{
    domain::fact::{AgentState, Binding, Fact},
    ids::AgentId,
    time::UnixMs,
};

/// A state that an agent came to.
struct New<'a> {
    place: usize,
    agent: AgentId,
    state: AgentState,
    reason: Option<&'a str>,
    at: UnixMs,
    /// When the next one of this batch began.
    until: Option<UnixMs>,
}

/// Facts come in the order in which they were: where the wall clock was set back, the state before ends where it began.
pub(super) async fn states(conn: &mut Conn, facts: &[Placed<'_>], out: &mut Outbox) -> Result<(), StoreError> {
    let mut new = unknown(conn, facts).await?;
    let mut last: HashMap<AgentId, usize> = HashMap::new();
    let mut first: Rows<2> = Vec::new();
    for n in 0..new.len() {
        let Some(New { agent, at, .. }) = new.get(n) else { continue };
        let (agent, at) = (*agent, *at);
        match last.insert(agent, n).and_then(|before| new.get_mut(before)) {
            Some(before) => before.until = Some(UnixMs(before.at.0.max(at.0))),
            None => first.push([agent.to_string().into(), at.0.into()]),
        }
    }
    let end = "UPDATE agent_state SET to_at = CASE WHEN agent_state.from_at > v.column2 THEN agent_state.from_at ELSE v.column2 END \
         FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT))) AS v WHERE agent_state.agent = v.column1 AND agent_state.to_at IS NULL";
    rows::write(conn, end, first).await?;
    let row = |new: &New<'_>| {
        [
            new.agent.to_string().into(),
            new.at.0.into(),
            word(&new.state).into(),
            opt_line(new.reason, NAME_MAX).into(),
            new.until.map(|until| until.0).into(),
        ]
    };
    let insert = "INSERT INTO agent_state (agent, from_at, state, reason, to_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (agent, from_at, state) DO NOTHING";
    rows::write(conn, insert, new.iter().map(row).collect()).await?;
    for new in new {
        let data = Some(json!({ "state": new.state }));
        out.push(new.place, new.at, NewEvent { kind: "agent.state", agent: Some(new.agent), data, ..NewEvent::default() });
    }
    Ok(())
}

/// Those that the record does not have.
async fn unknown<'a>(conn: &mut Conn, facts: &[Placed<'a>]) -> Result<Vec<New<'a>>, StoreError> {
    let mut all = Vec::with_capacity(facts.len());
    for (place, fact) in facts {
        if let Fact::AgentState { agent, state, reason, at } = fact {
            all.push(New { place: *place, agent: *agent, state: *state, reason: reason.as_deref(), at: *at, until: None });
        }
    }
    let values: Rows<3> = all.iter().map(|new| [new.agent.to_string().into(), new.at.0.into(), word(&new.state).into()]).collect();
    let select = "SELECT s.agent, s.from_at, s.state FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS TEXT))) AS v \
         JOIN agent_state s ON s.agent = v.column1 AND s.from_at = v.column2 AND s.state = v.column3";
    let mut known: HashSet<(AgentId, UnixMs, AgentState)> = HashSet::new();
    for row in &rows::read(conn, select, values).await? {
        known.insert((row.id("agent")?, row.at("from_at")?, row.word("state")?));
    }
    all.retain(|new| known.insert((new.agent, new.at, new.state)));
    Ok(all)
}

/// Registrations are written through; the row of a removed one stays with a past end until the account registers anew.
pub(super) async fn bindings(conn: &mut Conn, facts: &[Placed<'_>]) -> Result<(), StoreError> {
    for (_, fact) in facts {
        if let Fact::Binding(new) = fact {
            binding(conn, new).await?;
        }
    }
    Ok(())
}

async fn binding(conn: &mut Conn, new: &Binding) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO binding (phone, contact, source, listener, sip_call_id, cseq, user_agent, expires_at, transport) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (phone, contact) DO UPDATE SET source = excluded.source, \
         listener = excluded.listener, sip_call_id = excluded.sip_call_id, cseq = excluded.cseq, user_agent = excluded.user_agent, \
         expires_at = excluded.expires_at, transport = excluded.transport WHERE binding.sip_call_id <> excluded.sip_call_id OR binding.cseq <= excluded.cseq",
    )
    .bind(new.phone.to_string())
    .bind(line(&new.contact, LINE_MAX))
    .bind(new.source.to_string())
    .bind(line(&new.listener, NAME_MAX))
    .bind(line(&new.sip_call_id.0, LINE_MAX))
    .bind(i64::from(new.cseq))
    .bind(opt_line(new.user_agent.as_deref(), NAME_MAX))
    .bind(new.expires_at.0)
    .bind(if new.over_connection { "tcp" } else { "udp" })
    .execute(&mut *conn)
    .await?;
    // A phone that changes its address with each registration must not fill the table.
    sqlx::query("DELETE FROM binding WHERE phone = $1 AND contact <> $2 AND expires_at < $3")
        .bind(new.phone.to_string())
        .bind(line(&new.contact, LINE_MAX))
        .bind(new.expires_at.0 - crate::domain::customer::words::DAY_MS)
        .execute(conn)
        .await?;
    Ok(())
}
