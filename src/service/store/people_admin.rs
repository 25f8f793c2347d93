//! Adding people, phones, queues and dispositions (`throughline user`, the demo).

use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::{
    AuditAction, Role, Store, StoreError,
    db::{Conn, fresh, opt_id, word},
    events::write_audit,
    text::{NAME_MAX, fold, line},
};
use crate::{
    ids::{AgentId, PhoneId, QueueId},
    time::UnixMs,
};

/// Somebody new.
#[derive(Clone, Debug)]
pub struct NewAgent<'a> {
    /// Their name.
    pub name: &'a str,
    /// Their log-in; compared without regard to case.
    pub username: &'a str,
    /// PHC string of their password ([`super::hash_password`]); `None` cannot log in.
    pub password_hash: Option<&'a str>,
    /// Their rights.
    pub role: Role,
    /// Made for the demo: its password is well known.
    pub demo: bool,
}

/// A new phone account.
pub struct NewPhone<'a> {
    /// Digest user name.
    pub username: &'a str,
    /// What is dialled to reach it.
    pub extension: &'a str,
    /// Digest realm.
    pub realm: &'a str,
    /// Its password; only hashes are stored.
    pub secret: &'a str,
    /// Whose phone it is.
    pub agent: Option<AgentId>,
    /// Made for the demo: its secret is well known.
    pub demo: bool,
}

impl Store {
    /// Adds a person, or changes the one who has this user name.
    pub async fn put_agent(&self, new: &NewAgent<'_>, now: UnixMs) -> Result<AgentId, StoreError> {
        let mut tx = self.write().await?;
        let agent = put_agent(&mut tx, new, now).await?;
        write_audit(&mut tx, now, None, AuditAction::ManagePeople, ("agent", agent.to_string()), None).await?;
        self.commit(tx).await?;
        Ok(agent)
    }

    /// Adds a phone account, or changes the one that has this user name.
    pub async fn put_phone(&self, new: &NewPhone<'_>, now: UnixMs) -> Result<PhoneId, StoreError> {
        let mut tx = self.write().await?;
        let phone = put_phone(&mut tx, new, now).await?;
        write_audit(&mut tx, now, None, AuditAction::ManagePeople, ("phone", phone.to_string()), None).await?;
        self.commit(tx).await?;
        Ok(phone)
    }
}

pub(super) async fn put_agent(conn: &mut Conn, new: &NewAgent<'_>, now: UnixMs) -> Result<AgentId, StoreError> {
    let id: String = sqlx::query_scalar(
        "INSERT INTO agent (agent, name, username, password_hash, role, demo, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (username) DO UPDATE SET name = excluded.name, role = excluded.role, demo = excluded.demo, disabled_at = NULL, \
         password_hash = COALESCE(excluded.password_hash, agent.password_hash), version = agent.version + 1 RETURNING agent",
    )
    .bind(fresh(AgentId::new, now)?.to_string())
    .bind(line(new.name, NAME_MAX))
    .bind(fold(new.username))
    .bind(new.password_hash)
    .bind(word(&new.role))
    .bind(i64::from(new.demo))
    .bind(now.0)
    .fetch_one(conn)
    .await?;
    id.parse().map_err(|_| StoreError::Corrupt { column: "agent".to_owned() })
}

pub(super) async fn put_phone(conn: &mut Conn, new: &NewPhone<'_>, now: UnixMs) -> Result<PhoneId, StoreError> {
    // RFC 7616 §3.4.2: A1 = unq(username) ":" unq(realm) ":" passwd
    let a1 = format!("{}:{}:{}", new.username, new.realm, new.secret);
    let id: String = sqlx::query_scalar(
        "INSERT INTO phone (phone, username, extension, realm, ha1_md5, ha1_sha256, agent, demo) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (username) DO UPDATE SET extension = excluded.extension, realm = excluded.realm, ha1_md5 = excluded.ha1_md5, \
         ha1_sha256 = excluded.ha1_sha256, agent = excluded.agent, demo = excluded.demo, disabled_at = NULL, version = phone.version + 1 \
         RETURNING phone",
    )
    .bind(fresh(PhoneId::new, now)?.to_string())
    .bind(new.username)
    .bind(new.extension)
    .bind(new.realm)
    .bind(hex(&Md5::digest(a1.as_bytes())))
    .bind(hex(&Sha256::digest(a1.as_bytes())))
    .bind(opt_id(new.agent))
    .bind(i64::from(new.demo))
    .fetch_one(conn)
    .await?;
    id.parse().map_err(|_| StoreError::Corrupt { column: "phone".to_owned() })
}

pub(super) async fn put_queue(conn: &mut Conn, name: &str, label: &str, agents: &[AgentId], now: UnixMs) -> Result<(), StoreError> {
    let id: String = sqlx::query_scalar(
        "INSERT INTO queue (queue, name, label) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET label = excluded.label RETURNING queue",
    )
    .bind(fresh(QueueId::new, now)?.to_string())
    .bind(name)
    .bind(label)
    .fetch_one(&mut *conn)
    .await?;
    for agent in agents {
        sqlx::query("INSERT INTO queue_agent (queue, agent) VALUES ($1, $2) ON CONFLICT (queue, agent) DO NOTHING")
            .bind(&id)
            .bind(agent.to_string())
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}
