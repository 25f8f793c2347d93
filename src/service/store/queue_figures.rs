//! The day's figures of queues, read back from rows.

use std::collections::BTreeMap;

use super::{Store, StoreError, db::Columns};
use crate::{
    domain::routing::{Figures, Promise},
    time::UnixMs,
};

impl Store {
    /// What became of the calls that came to these queues since `from`; calls that have not ended are only offered.
    ///
    /// The same numbers as [`Day`](crate::domain::routing::Day) counts from the facts.
    pub async fn queue_figures(&self, queues: &[(String, Promise)], from: UnixMs) -> Result<BTreeMap<String, Figures>, StoreError> {
        let mut conn = self.read().await?;
        let ms = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let mut all = BTreeMap::new();
        for (queue, promise) in queues {
            let row = sqlx::query(
                "SELECT COUNT(*) AS offered, COALESCE(SUM(answered), 0) AS answered, \
                 COALESCE(SUM(CASE WHEN answered = 1 AND waited <= $3 THEN 1 ELSE 0 END), 0) AS in_time, \
                 COALESCE(SUM(CASE WHEN answered = 1 THEN waited ELSE 0 END), 0) AS answered_wait, \
                 COALESCE(SUM(CASE WHEN gave_up = 1 AND waited >= $4 THEN 1 ELSE 0 END), 0) AS abandoned, \
                 COALESCE(SUM(CASE WHEN gave_up = 1 AND waited < $4 THEN 1 ELSE 0 END), 0) AS short, \
                 COALESCE(SUM(CASE WHEN answered = 0 AND gave_up = 0 AND waited IS NOT NULL THEN 1 ELSE 0 END), 0) AS turned_away, \
                 COALESCE(MAX(waited), 0) AS longest FROM ( \
                 SELECT CASE WHEN answered_ms IS NULL THEN 0 ELSE 1 END AS answered, COALESCE(answered_ms, ended_at - at) AS waited, \
                 CASE WHEN answered_ms IS NULL AND cause = 'abandoned' THEN 1 ELSE 0 END AS gave_up \
                 FROM interaction WHERE queue = $1 AND at >= $2 AND channel = 'phone' AND direction = 'inbound') AS calls",
            )
            .bind(queue)
            .bind(from.0)
            .bind(ms(promise.answer_within))
            .bind(ms(promise.short_abandon))
            .fetch_one(&mut *conn)
            .await?;
            let figures = Figures {
                offered: row.int("offered")?,
                answered: row.int("answered")?,
                answered_in_time: row.int("in_time")?,
                abandoned: row.int("abandoned")?,
                abandoned_short: row.int("short")?,
                turned_away: row.int("turned_away")?,
                answered_wait_ms: row.int("answered_wait")?,
                longest_ms: row.int("longest")?,
            };
            all.insert(queue.clone(), figures);
        }
        Ok(all)
    }
}
