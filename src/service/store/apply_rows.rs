//! Facts that are one row each, or the end of one: written many at a time, ahead of everything else in their batch.
//!
//! ```text
//! batch of facts ─┬─ legs, segments, sounds, offers: opened, then closed, then measured ─▶ a few statements of many rows
//!                 └─ everything else ────────────────────────────────────────────────────▶ by stages (`apply`)
//! ```
//! Nothing that is done in between reads what is moved ahead here, but for the sums at an interaction's end, which want it whole.

use std::collections::HashSet;

use super::{
    StoreError,
    db::{Conn, opt_id, opt_word, word},
    rows::{self, Rows, Value},
    text::{LINE_MAX, NAME_MAX, line, opt_line},
};
use crate::domain::fact::Fact;

/// The rows of one batch, by what is done with them; the first column is the key.
#[derive(Default)]
struct Batch {
    legs: Rows<7>,
    segments: Rows<6>,
    sounds: Rows<6>,
    offers: Rows<5>,
    legs_closed: Rows<4>,
    segments_closed: Rows<2>,
    sounds_ended: Rows<2>,
    offers_ended: Rows<6>,
    queued: Rows<3>,
    measured: Rows<7>,
}

/// Writes the rows of these facts; of an end or a measurement that comes twice, the first holds.
pub(super) async fn put(conn: &mut Conn, facts: &[Fact]) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    facts.iter().for_each(|fact| batch.take(fact));
    begin(conn, &mut batch).await?;
    let close_legs = "UPDATE leg SET to_ms = v.column2, cause = v.column3, sip_status = v.column4 \
         FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS BIGINT))) AS v \
         WHERE leg.leg = v.column1 AND leg.to_ms IS NULL";
    rows::write(conn, close_legs, first_of_each(batch.legs_closed)).await?;
    let close_segments = "UPDATE segment SET to_ms = v.column2 FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT))) AS v \
         WHERE segment.segment = v.column1 AND segment.to_ms IS NULL";
    rows::write(conn, close_segments, first_of_each(batch.segments_closed)).await?;
    let end_sounds = "UPDATE sound SET to_ms = v.column2 FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT))) AS v \
         WHERE sound.sound = v.column1 AND sound.to_ms IS NULL";
    rows::write(conn, end_sounds, first_of_each(batch.sounds_ended)).await?;
    let end_offers = "UPDATE offer SET outcome = v.column2, acked_ms = v.column3, rang_ms = v.column4, lead_ms = v.column5, ended_ms = v.column6 \
         FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS BIGINT))) AS v \
         WHERE offer.offer = v.column1 AND offer.outcome IS NULL";
    rows::write(conn, end_offers, first_of_each(batch.offers_ended)).await?;
    // The first time counts: a caller whom an agent declined is told nothing new.
    let queue = "UPDATE segment SET position = v.column2, estimate_ms = v.column3 \
         FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS BIGINT))) AS v \
         WHERE segment.segment = v.column1 AND segment.position IS NULL";
    rows::write(conn, queue, first_of_each(batch.queued)).await?;
    let measure = "UPDATE leg SET received = v.column2, sent = v.column3, lost = v.column4, dropped = v.column5, jitter_us = v.column6, \
         tap_dropped = v.column7 FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS BIGINT), \
         CAST($5 AS BIGINT), CAST($6 AS BIGINT), CAST($7 AS BIGINT))) AS v WHERE leg.leg = v.column1 AND leg.received IS NULL";
    rows::write(conn, measure, first_of_each(batch.measured)).await
}

async fn begin(conn: &mut Conn, batch: &mut Batch) -> Result<(), StoreError> {
    let leg = "INSERT INTO leg (leg, interaction, party, agent, sip_call_id, from_ms, trunk) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (leg) DO NOTHING";
    rows::write(conn, leg, std::mem::take(&mut batch.legs)).await?;
    let segment = "INSERT INTO segment (segment, interaction, leg, agent, kind, from_ms) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (segment) DO NOTHING";
    rows::write(conn, segment, std::mem::take(&mut batch.segments)).await?;
    let sound = "INSERT INTO sound (sound, interaction, leg, kind, clip, from_ms) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (sound) DO NOTHING";
    rows::write(conn, sound, std::mem::take(&mut batch.sounds)).await?;
    let offer =
        "INSERT INTO offer (offer, work_item, interaction, agent, at_ms) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (offer) DO NOTHING";
    rows::write(conn, offer, std::mem::take(&mut batch.offers)).await
}

impl Batch {
    fn take(&mut self, fact: &Fact) {
        match fact {
            Fact::LegOpened { leg, interaction, party, agent, sip_call_id, trunk, from_ms } => self.legs.push([
                leg.to_string().into(),
                interaction.to_string().into(),
                word(party).into(),
                opt_id(*agent).into(),
                line(&sip_call_id.0, LINE_MAX).into(),
                (*from_ms).into(),
                opt_line(trunk.as_deref(), NAME_MAX).into(),
            ]),
            Fact::SegmentOpened { segment, interaction, leg, agent, kind, from_ms } => self.segments.push([
                segment.to_string().into(),
                interaction.to_string().into(),
                opt_id(*leg).into(),
                opt_id(*agent).into(),
                word(kind).into(),
                (*from_ms).into(),
            ]),
            Fact::SoundBegan { sound, interaction, leg, kind, clip, from_ms } => self.sounds.push([
                sound.to_string().into(),
                interaction.to_string().into(),
                leg.to_string().into(),
                word(kind).into(),
                line(clip, NAME_MAX).into(),
                (*from_ms).into(),
            ]),
            Fact::OfferMade { offer, work_item, interaction, agent, at_ms } => self.offers.push([
                offer.to_string().into(),
                opt_id(*work_item).into(),
                interaction.to_string().into(),
                agent.to_string().into(),
                (*at_ms).into(),
            ]),
            _ => self.take_end(fact),
        }
    }

    fn take_end(&mut self, fact: &Fact) {
        match fact {
            Fact::LegClosed { leg, to_ms, cause, sip_status } => {
                self.legs_closed.push([leg.to_string().into(), (*to_ms).into(), word(cause).into(), sip_status.map(i64::from).into()])
            }
            Fact::SegmentClosed { segment, to_ms } => self.segments_closed.push([segment.to_string().into(), (*to_ms).into()]),
            Fact::SoundEnded { sound, to_ms } => self.sounds_ended.push([sound.to_string().into(), (*to_ms).into()]),
            Fact::OfferEnded { offer, outcome, acked_ms, rang_ms, lead_ms, at_ms } => self.offers_ended.push([
                offer.to_string().into(),
                opt_word(Some(outcome)).into(),
                acked_ms.map(i64::from).into(),
                rang_ms.map(i64::from).into(),
                lead_ms.map(i64::from).into(),
                (*at_ms).into(),
            ]),
            Fact::Queued { segment, position, estimate_ms, interaction: _ } => {
                self.queued.push([segment.to_string().into(), (*position).into(), estimate_ms.map(i64::from).into()]);
            }
            Fact::LegMeasured { leg, totals } => self.measured.push([
                leg.to_string().into(),
                totals.received.into(),
                totals.sent.into(),
                totals.lost.into(),
                totals.dropped.into(),
                i64::from(totals.jitter_us).into(),
                totals.tap_dropped.into(),
            ]),
            _ => {}
        }
    }
}

fn first_of_each<const N: usize>(mut rows: Rows<N>) -> Rows<N> {
    let mut seen = HashSet::new();
    rows.retain(|row| match row.first() {
        Some(Value::Text(key)) => seen.insert(key.clone()),
        Some(Value::Int(_)) | None => true,
    });
    rows
}
