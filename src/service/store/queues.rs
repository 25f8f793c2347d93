//! Queues of the configuration, and who serves them.

use super::{Store, StoreError, db::fresh};
use crate::{
    ids::{AgentId, QueueId},
    time::UnixMs,
};

impl Store {
    /// Makes the queues that the configuration names and the record does not know yet; what is there stays.
    pub async fn put_queues(&self, names: &[String], now: UnixMs) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        for name in names {
            sqlx::query("INSERT INTO queue (queue, name, label) VALUES ($1, $2, $2) ON CONFLICT (name) DO NOTHING")
                .bind(fresh(QueueId::new, now)?.to_string())
                .bind(name)
                .execute(&mut *tx)
                .await?;
        }
        self.commit(tx).await
    }

    /// Has an agent serve these queues besides those that they serve already.
    pub async fn serve_queues(&self, agent: AgentId, names: &[&str]) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        for name in names {
            sqlx::query(
                "INSERT INTO queue_agent (queue, agent) SELECT queue, $2 FROM queue WHERE name = $1 ON CONFLICT (queue, agent) DO NOTHING",
            )
            .bind(*name)
            .bind(agent.to_string())
            .execute(&mut *tx)
            .await?;
        }
        self.commit(tx).await
    }
}
