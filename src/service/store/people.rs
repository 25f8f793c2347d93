//! People, phones and queues, read whole for the switch; dispositions.

use super::{
    Disposition, People, PersonRow, PhoneRow, QueueRow, Store, StoreError,
    db::{Columns, Conn},
};
use crate::{
    domain::fact::Binding,
    ids::{QueueId, SipCallId},
    time::UnixMs,
};

impl Store {
    /// Everything that the switch knows of people, phones, queues and registrations.
    pub async fn people(&self, now: UnixMs) -> Result<People, StoreError> {
        let mut conn = self.read().await?;
        Ok(People {
            agents: agents(&mut conn).await?,
            phones: phones(&mut conn).await?,
            queues: queues(&mut conn).await?,
            bindings: bindings(&mut conn, now).await?,
        })
    }

    /// The ways to end an interaction, in their order.
    pub async fn dispositions(&self) -> Result<Vec<Disposition>, StoreError> {
        let mut conn = self.read().await?;
        let rows = sqlx::query("SELECT disposition, label, contact FROM disposition WHERE retired_at IS NULL ORDER BY place, disposition")
            .fetch_all(&mut *conn)
            .await?;
        rows.iter()
            .map(|row| Ok(Disposition { id: row.text("disposition")?, label: row.text("label")?, contact: row.flag("contact")? }))
            .collect()
    }
}

async fn agents(conn: &mut Conn) -> Result<Vec<PersonRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT a.agent, a.name, a.role, s.state, s.reason, s.from_at \
         FROM agent a LEFT JOIN agent_state s ON s.agent = a.agent AND s.to_at IS NULL \
         WHERE a.disabled_at IS NULL ORDER BY a.created_at, a.agent",
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let state = match row.opt_word("state")? {
                Some(state) => Some((state, row.opt_text("reason")?, row.at("from_at")?)),
                None => None,
            };
            Ok(PersonRow { agent: row.id("agent")?, name: row.text("name")?, role: row.word("role")?, state })
        })
        .collect()
}

async fn phones(conn: &mut Conn) -> Result<Vec<PhoneRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT phone, username, extension, realm, ha1_md5, ha1_sha256, agent FROM phone WHERE disabled_at IS NULL ORDER BY phone",
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(PhoneRow {
                phone: row.id("phone")?,
                username: row.text("username")?,
                extension: row.text("extension")?,
                realm: row.text("realm")?,
                ha1_md5: row.text("ha1_md5")?,
                ha1_sha256: row.text("ha1_sha256")?,
                agent: row.opt_id("agent")?,
            })
        })
        .collect()
}

async fn queues(conn: &mut Conn) -> Result<Vec<QueueRow>, StoreError> {
    let members = sqlx::query("SELECT queue, agent FROM queue_agent ORDER BY queue, agent").fetch_all(&mut *conn).await?;
    let rows =
        sqlx::query("SELECT queue, name, label, priority, service_level_ms, wrap_up_ms FROM queue ORDER BY queue").fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            let queue: QueueId = row.id("queue")?;
            let mut agents = Vec::new();
            for member in &members {
                if member.id::<QueueId>("queue")? == queue {
                    agents.push(member.id("agent")?);
                }
            }
            Ok(QueueRow {
                queue,
                name: row.text("name")?,
                label: row.text("label")?,
                priority: row.int("priority")?,
                service_level_ms: row.int("service_level_ms")?,
                wrap_up_ms: row.int("wrap_up_ms")?,
                agents,
            })
        })
        .collect()
}

async fn bindings(conn: &mut Conn, now: UnixMs) -> Result<Vec<Binding>, StoreError> {
    let rows = sqlx::query(
        "SELECT phone, contact, source, transport, listener, sip_call_id, cseq, user_agent, expires_at FROM binding WHERE expires_at > $1 \
         ORDER BY phone, contact",
    )
    .bind(now.0)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Binding {
                phone: row.id("phone")?,
                contact: row.text("contact")?,
                source: row.id("source")?,
                over_connection: row.text("transport")? == "tcp",
                listener: row.text("listener")?,
                sip_call_id: SipCallId(row.text("sip_call_id")?),
                cseq: row.int("cseq")?,
                user_agent: row.opt_text("user_agent")?,
                expires_at: row.at("expires_at")?,
            })
        })
        .collect()
}
