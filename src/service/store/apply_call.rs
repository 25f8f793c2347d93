//! Facts inside a call: the answer, the tracks.

use std::collections::{HashMap, HashSet};

use super::{
    StoreError,
    apply::Placed,
    db::{Columns, Conn, word},
    events::{NewEvent, Outbox},
    rows::{self, Rows},
    text::{LINE_MAX, opt_line},
};
use crate::{
    domain::fact::Fact,
    ids::{InteractionId, RecordingId},
};

/// Somebody answered: the first time counts.
pub(super) async fn answered(conn: &mut Conn, facts: &[(usize, InteractionId, u32)], out: &mut Outbox) -> Result<(), StoreError> {
    let values: Rows<2> = facts.iter().map(|(_, interaction, from_ms)| [interaction.to_string().into(), (*from_ms).into()]).collect();
    let update = "UPDATE interaction SET answered_ms = v.column2 FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT))) AS v \
         WHERE interaction.interaction = v.column1 AND interaction.answered_ms IS NULL RETURNING interaction, at, answered_ms, customer";
    let places: HashMap<InteractionId, usize> = facts.iter().map(|(place, interaction, _)| (*interaction, *place)).collect();
    for row in &rows::read(conn, update, values).await? {
        let interaction: InteractionId = row.id("interaction")?;
        let Some(place) = places.get(&interaction) else { continue };
        let customer = row.opt_id("customer")?;
        let event = NewEvent { kind: "interaction.answered", interaction: Some(interaction), customer, ..NewEvent::default() };
        out.push(*place, row.at("at")?.plus_ms(row.int("answered_ms")?), event);
    }
    Ok(())
}

pub(super) async fn tracks_opened(conn: &mut Conn, facts: &[Placed<'_>]) -> Result<(), StoreError> {
    let mut tracks: Rows<5> = Vec::with_capacity(facts.len());
    let mut calls: Rows<1> = Vec::new();
    let mut seen = HashSet::new();
    for (_, fact) in facts {
        if let Fact::RecordingOpened { recording, interaction, leg, codec, from_ms } = fact {
            tracks.push([
                recording.to_string().into(),
                interaction.to_string().into(),
                leg.to_string().into(),
                word(codec).into(),
                (*from_ms).into(),
            ]);
            if seen.insert(*interaction) {
                calls.push([interaction.to_string().into()]);
            }
        }
    }
    let insert = "INSERT INTO recording (recording, interaction, leg, codec, from_ms) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (recording) DO NOTHING";
    rows::write(conn, insert, tracks).await?;
    let recorded = "UPDATE interaction SET recorded = 1 FROM (VALUES (CAST($1 AS TEXT))) AS v \
         WHERE interaction.interaction = v.column1 AND interaction.recorded = 0";
    rows::write(conn, recorded, calls).await
}

/// Writes the ends of tracks; returns whose they are, each with the place of its last one.
pub(super) async fn tracks_closed(conn: &mut Conn, facts: &[Placed<'_>]) -> Result<HashMap<InteractionId, usize>, StoreError> {
    let mut places: HashMap<RecordingId, usize> = HashMap::new();
    let mut values: Rows<5> = Vec::with_capacity(facts.len());
    for (place, fact) in facts {
        if let Fact::RecordingClosed { recording, to_ms, lost_ms, paused_ms, trouble } = fact
            && !places.contains_key(recording)
        {
            places.insert(*recording, *place);
            values.push([
                recording.to_string().into(),
                (*to_ms).into(),
                (*lost_ms).into(),
                (*paused_ms).into(),
                opt_line(trouble.as_deref(), LINE_MAX).into(),
            ]);
        }
    }
    let update = "UPDATE recording SET to_ms = v.column2, lost_ms = v.column3, paused_ms = v.column4, trouble = v.column5 \
         FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS BIGINT), CAST($5 AS TEXT))) AS v \
         WHERE recording.recording = v.column1 AND recording.to_ms IS NULL RETURNING recording, interaction";
    let mut last: HashMap<InteractionId, usize> = HashMap::new();
    for row in &rows::read(conn, update, values).await? {
        let place = places.get(&row.id("recording")?).copied().unwrap_or(0);
        let of = last.entry(row.id("interaction")?).or_default();
        *of = place.max(*of);
    }
    Ok(last)
}
