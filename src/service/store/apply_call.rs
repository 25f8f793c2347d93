//! Facts inside a call: legs, segments, offers, tracks.

use super::{
    StoreError, apply_end,
    db::{Columns, Conn, opt_id, opt_word, word},
    events::{NewEvent, emit},
    text::{LINE_MAX, NAME_MAX, line, opt_line},
};
use crate::{
    domain::{
        fact::{Fact, SegmentKind},
        media::plan::LegTotals,
    },
    ids::{InteractionId, LegId},
    time::UnixMs,
};

pub(super) async fn leg(conn: &mut Conn, fact: &Fact) -> Result<(), StoreError> {
    match fact {
        Fact::LegOpened { leg, interaction, party, agent, sip_call_id, trunk, from_ms } => {
            sqlx::query(
                "INSERT INTO leg (leg, interaction, party, agent, sip_call_id, from_ms, trunk) VALUES ($1, $2, $3, $4, $5, $6, $7) \
                 ON CONFLICT (leg) DO NOTHING",
            )
            .bind(leg.to_string())
            .bind(interaction.to_string())
            .bind(word(party))
            .bind(opt_id(*agent))
            .bind(line(&sip_call_id.0, LINE_MAX))
            .bind(i64::from(*from_ms))
            .bind(opt_line(trunk.as_deref(), NAME_MAX))
            .execute(conn)
            .await?;
        }
        Fact::LegClosed { leg, to_ms, cause, sip_status } => {
            sqlx::query("UPDATE leg SET to_ms = $2, cause = $3, sip_status = $4 WHERE leg = $1 AND to_ms IS NULL")
                .bind(leg.to_string())
                .bind(i64::from(*to_ms))
                .bind(word(cause))
                .bind(sip_status.map(i64::from))
                .execute(conn)
                .await?;
        }
        Fact::LegMeasured { leg, totals } => measured(conn, *leg, totals).await?,
        _ => {}
    }
    Ok(())
}

async fn measured(conn: &mut Conn, leg: LegId, totals: &LegTotals) -> Result<(), StoreError> {
    let int = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    sqlx::query(
        "UPDATE leg SET received = $2, sent = $3, lost = $4, dropped = $5, jitter_us = $6, tap_dropped = $7 WHERE leg = $1 AND received IS NULL",
    )
    .bind(leg.to_string())
    .bind(int(totals.received))
    .bind(int(totals.sent))
    .bind(int(totals.lost))
    .bind(int(totals.dropped))
    .bind(i64::from(totals.jitter_us))
    .bind(int(totals.tap_dropped))
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn segment(conn: &mut Conn, fact: &Fact) -> Result<(), StoreError> {
    match fact {
        Fact::SegmentOpened { segment, interaction, leg, agent, kind, from_ms } => {
            let new = sqlx::query(
                "INSERT INTO segment (segment, interaction, leg, agent, kind, from_ms) VALUES ($1, $2, $3, $4, $5, $6) \
                 ON CONFLICT (segment) DO NOTHING",
            )
            .bind(segment.to_string())
            .bind(interaction.to_string())
            .bind(opt_id(*leg))
            .bind(opt_id(*agent))
            .bind(word(kind))
            .bind(i64::from(*from_ms))
            .execute(&mut *conn)
            .await?;
            if new.rows_affected() > 0 && *kind == SegmentKind::Talk {
                answered(conn, *interaction, *from_ms).await?;
            }
        }
        Fact::SegmentClosed { segment, to_ms } => {
            sqlx::query("UPDATE segment SET to_ms = $2 WHERE segment = $1 AND to_ms IS NULL")
                .bind(segment.to_string())
                .bind(i64::from(*to_ms))
                .execute(conn)
                .await?;
        }
        _ => {}
    }
    Ok(())
}

async fn answered(conn: &mut Conn, interaction: InteractionId, from_ms: u32) -> Result<(), StoreError> {
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
