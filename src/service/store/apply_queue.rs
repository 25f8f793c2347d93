//! Facts about waiting: where a caller stood, what they heard; and the day's figures, read back from rows.

use std::collections::BTreeMap;

use super::{
    Store, StoreError,
    db::{Columns, Conn, word},
    text::{NAME_MAX, line},
};
use crate::{
    domain::{
        fact::Fact,
        routing::{Figures, Promise},
    },
    time::UnixMs,
};

pub(super) async fn waiting(conn: &mut Conn, fact: &Fact) -> Result<(), StoreError> {
    match fact {
        Fact::Queued { segment, position, estimate_ms, interaction: _ } => {
            // The first time counts: a caller whom an agent declined is told nothing new.
            sqlx::query("UPDATE segment SET position = $2, estimate_ms = $3 WHERE segment = $1 AND position IS NULL")
                .bind(segment.to_string())
                .bind(i64::from(*position))
                .bind(estimate_ms.map(i64::from))
                .execute(conn)
                .await?;
        }
        Fact::SoundBegan { sound, interaction, leg, kind, clip, from_ms } => {
            sqlx::query(
                "INSERT INTO sound (sound, interaction, leg, kind, clip, from_ms) VALUES ($1, $2, $3, $4, $5, $6) \
                 ON CONFLICT (sound) DO NOTHING",
            )
            .bind(sound.to_string())
            .bind(interaction.to_string())
            .bind(leg.to_string())
            .bind(word(kind))
            .bind(line(clip, NAME_MAX))
            .bind(i64::from(*from_ms))
            .execute(conn)
            .await?;
        }
        Fact::SoundEnded { sound, to_ms } => {
            sqlx::query("UPDATE sound SET to_ms = $2 WHERE sound = $1 AND to_ms IS NULL")
                .bind(sound.to_string())
                .bind(i64::from(*to_ms))
                .execute(conn)
                .await?;
        }
        _ => {}
    }
    Ok(())
}

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
