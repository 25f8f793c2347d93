//! Desk log-ins. The caller hands in the SHA-256 of the cookie (hex); the cookie itself is never stored.

use super::{
    Login, Me, Store, StoreError,
    db::{Columns, Row},
    text::fold,
};
use crate::{ids::AgentId, time::UnixMs};

/// A session's row is touched at most this often, milliseconds: reads stay reads.
const TOUCH_EVERY_MS: i64 = 60_000;

impl Store {
    /// The person behind a user name, with what their password is checked against.
    pub async fn login(&self, username: &str) -> Result<Option<Login>, StoreError> {
        let mut conn = self.read().await?;
        let row = sqlx::query(
            "SELECT a.agent, a.name, a.username, a.role, a.password_hash, p.extension \
             FROM agent a LEFT JOIN phone p ON p.agent = a.agent AND p.disabled_at IS NULL \
             WHERE a.username = $1 AND a.disabled_at IS NULL ORDER BY p.phone NULLS LAST LIMIT 1",
        )
        .bind(fold(username))
        .fetch_optional(&mut *conn)
        .await?;
        row.map(|row| Ok(Login { me: me(&row)?, password_hash: row.opt_text("password_hash")? })).transpose()
    }

    /// Opens a session.
    pub async fn create_session(&self, token_hash: &str, agent: AgentId, now: UnixMs, expires_at: UnixMs) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM session WHERE expires_at < $1").bind(now.0).execute(&mut *tx).await?;
        sqlx::query("INSERT INTO session (session, agent, created_at, seen_at, expires_at) VALUES ($1, $2, $3, $3, $4)")
            .bind(token_hash)
            .bind(agent.to_string())
            .bind(now.0)
            .bind(expires_at.0)
            .execute(&mut *tx)
            .await?;
        let subject = ("agent", agent.to_string());
        super::events::write_audit(&mut tx, now, Some(agent), super::AuditAction::LogIn, subject, None).await?;
        self.commit(tx).await
    }

    /// Who has this session, when it has not expired and the person is not disabled.
    pub async fn find_session(&self, token_hash: &str, now: UnixMs) -> Result<Option<Me>, StoreError> {
        let mut conn = self.read().await?;
        let row = sqlx::query(
            "SELECT a.agent, a.name, a.username, a.role, p.extension, s.seen_at \
             FROM session s JOIN agent a ON a.agent = s.agent LEFT JOIN phone p ON p.agent = a.agent AND p.disabled_at IS NULL \
             WHERE s.session = $1 AND s.expires_at > $2 AND a.disabled_at IS NULL ORDER BY p.phone NULLS LAST LIMIT 1",
        )
        .bind(token_hash)
        .bind(now.0)
        .fetch_optional(&mut *conn)
        .await?;
        drop(conn);
        let Some(row) = row else { return Ok(None) };
        if now.0 - row.at("seen_at")?.0 > TOUCH_EVERY_MS {
            let mut tx = self.write().await?;
            let touch = "UPDATE session SET seen_at = $2 WHERE session = $1";
            sqlx::query(touch).bind(token_hash).bind(now.0).execute(&mut *tx).await?;
            self.commit(tx).await?;
        }
        Ok(Some(me(&row)?))
    }

    /// Ends a session.
    pub async fn delete_session(&self, token_hash: &str) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM session WHERE session = $1").bind(token_hash).execute(&mut *tx).await?;
        self.commit(tx).await
    }
}

fn me(row: &Row) -> Result<Me, StoreError> {
    Ok(Me {
        agent: row.id("agent")?,
        name: row.text("name")?,
        username: row.text("username")?,
        role: row.word("role")?,
        extension: row.opt_text("extension")?,
    })
}
