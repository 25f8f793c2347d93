//! Facts that are one row each, many of them in one statement: each statement costs two switches between threads, whatever it writes.
//!
//! ```text
//! batch of facts ─┬─ legs, segments: opened, then closed, then measured ─▶ a few statements of many rows
//!                 └─ everything else, in its order ───────────────────────▶ statement by statement
//! ```
//! Nothing that is done in between reads what is moved ahead here, but for the sums at an interaction's end, which want it whole.

use std::collections::HashSet;

use sqlx::AssertSqlSafe;

use super::{
    StoreError,
    db::{Conn, opt_id, word},
    text::{LINE_MAX, NAME_MAX, line, opt_line},
};
use crate::domain::fact::Fact;

/// Rows in one statement: the largest that fits is taken, so that few texts are prepared and all of them are kept.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// One column of a row.
enum Value {
    Text(Option<String>),
    Int(Option<i64>),
}

/// A row; the first column is its key.
type Rows<const N: usize> = Vec<[Value; N]>;

/// The rows of one batch, by what is done with them.
#[derive(Default)]
struct Batch {
    legs: Rows<7>,
    segments: Rows<6>,
    legs_closed: Rows<4>,
    segments_closed: Rows<2>,
    measured: Rows<7>,
}

/// Whether [`put`] writes this fact; its other consequences, if it has any, are somebody else's.
pub(super) fn is_row(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::LegOpened { .. }
            | Fact::LegClosed { .. }
            | Fact::LegMeasured { .. }
            | Fact::SegmentOpened { .. }
            | Fact::SegmentClosed { .. }
    )
}

/// Writes the rows of these facts; of an end or a measurement that comes twice, the first holds.
pub(super) async fn put(conn: &mut Conn, facts: &[Fact]) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    facts.iter().for_each(|fact| batch.take(fact));
    let insert = "INSERT";
    let into_leg = |rows: &str| {
        format!(
            "{insert} INTO leg (leg, interaction, party, agent, sip_call_id, from_ms, trunk) VALUES {rows} ON CONFLICT (leg) DO NOTHING"
        )
    };
    many(conn, into_leg, batch.legs).await?;
    let into_segment = |rows: &str| {
        format!("{insert} INTO segment (segment, interaction, leg, agent, kind, from_ms) VALUES {rows} ON CONFLICT (segment) DO NOTHING")
    };
    many(conn, into_segment, batch.segments).await?;
    let update = "UPDATE";
    let close_legs = |rows: &str| {
        format!(
            "{update} leg SET to_ms = v.column2, cause = v.column3, sip_status = v.column4 FROM (VALUES {rows}) AS v \
             WHERE leg.leg = v.column1 AND leg.to_ms IS NULL"
        )
    };
    many(conn, close_legs, first_of_each(batch.legs_closed)).await?;
    let close_segments = |rows: &str| {
        format!(
            "{update} segment SET to_ms = v.column2 FROM (VALUES {rows}) AS v WHERE segment.segment = v.column1 AND segment.to_ms IS NULL"
        )
    };
    many(conn, close_segments, first_of_each(batch.segments_closed)).await?;
    let measure = |rows: &str| {
        format!(
            "{update} leg SET received = v.column2, sent = v.column3, lost = v.column4, dropped = v.column5, jitter_us = v.column6, \
             tap_dropped = v.column7 FROM (VALUES {rows}) AS v WHERE leg.leg = v.column1 AND leg.received IS NULL"
        )
    };
    many(conn, measure, first_of_each(batch.measured)).await
}

impl Batch {
    fn take(&mut self, fact: &Fact) {
        let text = |text: String| Value::Text(Some(text));
        let int = |n: i64| Value::Int(Some(n));
        let count = |n: u64| Value::Int(Some(i64::try_from(n).unwrap_or(i64::MAX)));
        match fact {
            Fact::LegOpened { leg, interaction, party, agent, sip_call_id, trunk, from_ms } => self.legs.push([
                text(leg.to_string()),
                text(interaction.to_string()),
                text(word(party)),
                Value::Text(opt_id(*agent)),
                text(line(&sip_call_id.0, LINE_MAX)),
                int((*from_ms).into()),
                Value::Text(opt_line(trunk.as_deref(), NAME_MAX)),
            ]),
            Fact::SegmentOpened { segment, interaction, leg, agent, kind, from_ms } => self.segments.push([
                text(segment.to_string()),
                text(interaction.to_string()),
                Value::Text(opt_id(*leg)),
                Value::Text(opt_id(*agent)),
                text(word(kind)),
                int((*from_ms).into()),
            ]),
            Fact::LegClosed { leg, to_ms, cause, sip_status } => self.legs_closed.push([
                text(leg.to_string()),
                int((*to_ms).into()),
                text(word(cause)),
                Value::Int(sip_status.map(i64::from)),
            ]),
            Fact::SegmentClosed { segment, to_ms } => self.segments_closed.push([text(segment.to_string()), int((*to_ms).into())]),
            Fact::LegMeasured { leg, totals } => self.measured.push([
                text(leg.to_string()),
                count(totals.received),
                count(totals.sent),
                count(totals.lost),
                count(totals.dropped),
                int(totals.jitter_us.into()),
                count(totals.tap_dropped),
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

async fn many<const N: usize>(conn: &mut Conn, statement: impl Fn(&str) -> String, rows: Rows<N>) -> Result<(), StoreError> {
    let mut rest = rows.as_slice();
    while !rest.is_empty() {
        let size = SIZES.into_iter().find(|size| *size <= rest.len()).unwrap_or(1);
        let (now, later) = rest.split_at(size);
        // Only names of ours and numbers of parameters are in the text.
        let mut query = sqlx::query(AssertSqlSafe(statement(&places(now))));
        for value in now.iter().flatten() {
            query = match value {
                Value::Text(text) => query.bind(text.clone()),
                Value::Int(int) => query.bind(*int),
            };
        }
        query.execute(&mut *conn).await?;
        rest = later;
    }
    Ok(())
}

/// `(CAST($1 AS TEXT), CAST($2 AS BIGINT)), (…)`: what stands in a list of values has no type of its own.
fn places<const N: usize>(rows: &[[Value; N]]) -> String {
    let mut place = 0;
    let mut column = |value: &Value| {
        place += 1;
        match value {
            Value::Text(_) => format!("CAST(${place} AS TEXT)"),
            Value::Int(_) => format!("CAST(${place} AS BIGINT)"),
        }
    };
    let mut row = |row: &[Value; N]| format!("({})", row.iter().map(&mut column).collect::<Vec<_>>().join(", "));
    rows.iter().map(&mut row).collect::<Vec<_>>().join(", ")
}
