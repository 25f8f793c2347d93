//! Facts inside a call: the answer, offers, tracks.

use super::{
    StoreError, apply_end,
    db::{Columns, Conn, opt_id, opt_word, word},
    events::{NewEvent, emit},
    text::{LINE_MAX, opt_line},
};
use crate::{domain::fact::Fact, ids::InteractionId, time::UnixMs};

/// Somebody answered: the first time counts.
pub(super) async fn answered(conn: &mut Conn, interaction: InteractionId, from_ms: u32) -> Result<(), StoreError> {
    let row = sqlx::query("UPDATE interaction SET answered_ms = $2 WHERE interaction = $1 AND answered_ms IS NULL RETURNING at")
        .bind(interaction.to_string())
        .bind(i64::from(from_ms))
        .fetch_optional(&mut *conn)
        .await?;
    let Some(row) = row else { return Ok(()) };
    let at: UnixMs = row.at("at")?.plus_ms(i64::from(from_ms));
    emit(conn, at, NewEvent { kind: "interaction.answered", interaction: Some(interaction), ..NewEvent::default() }).await
}

pub(super) async fn offer(conn: &mut Conn, fact: &Fact) -> Result<(), StoreError> {
    match fact {
        Fact::OfferMade { offer, work_item, interaction, agent, at_ms } => {
            sqlx::query(
                "INSERT INTO offer (offer, work_item, interaction, agent, at_ms) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (offer) DO NOTHING",
            )
            .bind(offer.to_string())
            .bind(opt_id(*work_item))
            .bind(interaction.to_string())
            .bind(agent.to_string())
            .bind(i64::from(*at_ms))
            .execute(conn)
            .await?;
        }
        Fact::OfferEnded { offer, outcome, acked_ms, rang_ms, lead_ms, at_ms } => {
            sqlx::query(
                "UPDATE offer SET outcome = $2, acked_ms = $3, rang_ms = $4, lead_ms = $5, ended_ms = $6 WHERE offer = $1 AND outcome IS NULL",
            )
            .bind(offer.to_string())
            .bind(opt_word(Some(outcome)))
            .bind(acked_ms.map(i64::from))
            .bind(rang_ms.map(i64::from))
            .bind(lead_ms.map(i64::from))
            .bind(i64::from(*at_ms))
            .execute(conn)
            .await?;
        }
        _ => {}
    }
    Ok(())
}

pub(super) async fn recording(conn: &mut Conn, fact: &Fact) -> Result<(), StoreError> {
    match fact {
        Fact::RecordingOpened { recording, interaction, leg, codec, from_ms } => {
            sqlx::query(
                "INSERT INTO recording (recording, interaction, leg, codec, from_ms) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (recording) DO NOTHING",
            )
            .bind(recording.to_string())
            .bind(interaction.to_string())
            .bind(leg.to_string())
            .bind(word(codec))
            .bind(i64::from(*from_ms))
            .execute(&mut *conn)
            .await?;
            let recorded = "UPDATE interaction SET recorded = 1 WHERE interaction = $1 AND recorded = 0";
            sqlx::query(recorded).bind(interaction.to_string()).execute(conn).await?;
        }
        Fact::RecordingClosed { recording, to_ms, lost_ms, paused_ms, trouble } => {
            let row = sqlx::query(
                "UPDATE recording SET to_ms = $2, lost_ms = $3, paused_ms = $4, trouble = $5 WHERE recording = $1 AND to_ms IS NULL \
                 RETURNING interaction",
            )
            .bind(recording.to_string())
            .bind(i64::from(*to_ms))
            .bind(i64::from(*lost_ms))
            .bind(i64::from(*paused_ms))
            .bind(opt_line(trouble.as_deref(), LINE_MAX))
            .fetch_optional(&mut *conn)
            .await?;
            if let Some(row) = row {
                apply_end::transcribe_when_whole(conn, row.id("interaction")?).await?;
            }
        }
        _ => {}
    }
    Ok(())
}
