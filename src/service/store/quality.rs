//! How the legs of a call sounded: a row per leg and interval in, samples and sentences out.

use std::collections::HashSet;

use serde::Serialize;

use super::{
    LegView, StoreError,
    db::{Columns, Conn, Row},
    rows::{self, Rows},
};
use crate::{
    domain::media::{
        quality::{LegQuality, ReportedQuality},
        quality_story::{self, HeardLeg, PoorSpan},
    },
    ids::{InteractionId, LegId, Party},
};

/// Samples of one leg on a page; of a longer call each stands for several, by the worst of them.
const SAMPLES_MAX: usize = 720;
/// Rows of one call that are read: four hours of four legs.
const ROWS_MAX: i64 = 12_000;

/// How a call sounded.
#[derive(Clone, Debug, Default, Serialize)]
pub struct QualityView {
    /// In words, by time.
    pub spans: Vec<PoorSpan>,
    /// By beginning of the leg.
    pub legs: Vec<LegSamples>,
}

/// One leg's samples.
#[derive(Clone, Debug, Serialize)]
pub struct LegSamples {
    /// The leg.
    pub leg: LegId,
    /// Its side.
    pub party: Party,
    /// By time.
    pub samples: Vec<Sample>,
}

/// One interval: what came from the peer, and, in `there_…`, what it said of what we sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Beginning on the axis.
    pub from_ms: u32,
    /// End on the axis.
    pub to_ms: u32,
    /// Lost, per thousand.
    pub lost_permille: u16,
    /// Jitter, microseconds.
    pub jitter_us: u32,
    /// There and back, microseconds.
    pub round_trip_us: Option<u32>,
    /// For how long nothing had come.
    pub silent_ms: u32,
    /// Opinion score in hundredths; `None` where nothing came.
    pub mos_x100: Option<u16>,
    /// Lost, per thousand.
    pub there_lost_permille: Option<u16>,
    /// Opinion score in hundredths.
    pub there_mos_x100: Option<u16>,
    /// Nothing of ours arrived.
    pub there_deaf: bool,
}

impl Sample {
    fn of(quality: &LegQuality) -> Self {
        Self {
            from_ms: quality.to_ms.saturating_sub(quality.interval_ms),
            to_ms: quality.to_ms,
            lost_permille: quality.lost_permille(),
            jitter_us: quality.jitter_us,
            round_trip_us: quality.round_trip_us,
            silent_ms: quality.silent_ms,
            mos_x100: quality.mos_x100,
            there_lost_permille: quality.reported.map(|reported| reported.lost_permille),
            there_mos_x100: quality.reported.map(|reported| reported.mos_x100),
            there_deaf: quality.reported.is_some_and(|reported| reported.deaf),
        }
    }

    /// The worse of two neighbours, over the time of both.
    fn worst(self, other: Self) -> Self {
        let score = |sample: &Self| if sample.silent_ms > 0 { 0 } else { sample.mos_x100.unwrap_or(u16::MAX) };
        let worse = if score(&other) < score(&self) { other } else { self };
        Self { from_ms: self.from_ms.min(other.from_ms), to_ms: self.to_ms.max(other.to_ms), ..worse }
    }
}

/// Writes what was measured; poor time counts once for each interval of a leg.
pub(super) async fn measured(conn: &mut Conn, facts: &[(LegId, &LegQuality)]) -> Result<(), StoreError> {
    let mut values: Rows<16> = Vec::with_capacity(facts.len());
    for (leg, quality) in facts {
        let there = quality.reported;
        values.push([
            leg.to_string().into(),
            quality.to_ms.into(),
            quality.interval_ms.into(),
            i64::from(quality.received).into(),
            i64::from(quality.lost).into(),
            i64::from(quality.bursts).into(),
            i64::from(quality.jitter_us).into(),
            quality.round_trip_us.map(i64::from).into(),
            i64::from(quality.silent_ms).into(),
            i64::from(quality.peer_alive).into(),
            quality.mos_x100.map(i64::from).into(),
            i64::from(quality.sent).into(),
            there.map(|there| i64::from(there.lost_permille)).into(),
            there.map(|there| i64::from(there.jitter_us)).into(),
            there.map(|there| i64::from(there.mos_x100)).into(),
            there.map(|there| i64::from(there.deaf)).into(),
        ]);
    }
    let insert = "INSERT INTO leg_quality (leg, to_ms, interval_ms, received, lost, bursts, jitter_us, round_trip_us, silent_ms, peer_alive, \
         mos_x100, sent, there_lost_permille, there_jitter_us, there_mos_x100, there_deaf) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT (leg, to_ms) DO NOTHING RETURNING leg, to_ms";
    let mut new: HashSet<(LegId, u32)> = HashSet::new();
    for row in &rows::read(conn, insert, values).await? {
        new.insert((row.id("leg")?, row.int("to_ms")?));
    }
    for (leg, quality) in facts {
        if new.remove(&(*leg, quality.to_ms)) && (quality.is_poor() || quality.is_poor_there()) {
            let poor = "UPDATE interaction SET poor_ms = poor_ms + $2 WHERE interaction = (SELECT interaction FROM leg WHERE leg = $1)";
            sqlx::query(poor).bind(leg.to_string()).bind(i64::from(quality.interval_ms)).execute(&mut *conn).await?;
        }
    }
    Ok(())
}

/// How the call sounded, leg by leg and in words.
pub(super) async fn quality_of(conn: &mut Conn, interaction: InteractionId, legs: &[LegView]) -> Result<QualityView, StoreError> {
    let rows = sqlx::query(
        "SELECT q.* FROM leg_quality q JOIN leg l ON l.leg = q.leg WHERE l.interaction = $1 ORDER BY l.from_ms, q.leg, q.to_ms LIMIT $2",
    )
    .bind(interaction.to_string())
    .bind(ROWS_MAX)
    .fetch_all(conn)
    .await?;
    let mut heard: Vec<(LegId, HeardLeg)> = Vec::new();
    for row in &rows {
        let leg: LegId = row.id("leg")?;
        let Some(view) = legs.iter().find(|view| view.leg == leg) else { continue };
        if heard.last().is_none_or(|(last, _)| *last != leg) {
            heard.push((leg, HeardLeg { party: view.party, name: view.agent.clone(), samples: Vec::new() }));
        }
        if let Some((_, of)) = heard.last_mut() {
            of.samples.push(read(row)?);
        }
    }
    let samples = heard.iter().map(|(leg, of)| LegSamples { leg: *leg, party: of.party, samples: thinned(&of.samples) }).collect();
    let heard: Vec<HeardLeg> = heard.into_iter().map(|(_, of)| of).collect();
    Ok(QualityView { spans: quality_story::tell(&heard), legs: samples })
}

fn thinned(samples: &[LegQuality]) -> Vec<Sample> {
    let together = samples.len().div_ceil(SAMPLES_MAX).max(1);
    samples.chunks(together).filter_map(|chunk| chunk.iter().map(Sample::of).reduce(Sample::worst)).collect()
}

fn read(row: &Row) -> Result<LegQuality, StoreError> {
    let reported = match row.opt_int("there_mos_x100")? {
        Some(mos_x100) => Some(ReportedQuality {
            lost_permille: row.int("there_lost_permille")?,
            jitter_us: row.int("there_jitter_us")?,
            mos_x100,
            deaf: row.flag("there_deaf")?,
        }),
        None => None,
    };
    Ok(LegQuality {
        to_ms: row.int("to_ms")?,
        interval_ms: row.int("interval_ms")?,
        received: row.int("received")?,
        lost: row.int("lost")?,
        bursts: row.int("bursts")?,
        jitter_us: row.int("jitter_us")?,
        round_trip_us: row.opt_int("round_trip_us")?,
        silent_ms: row.int("silent_ms")?,
        peer_alive: row.flag("peer_alive")?,
        mos_x100: row.opt_int("mos_x100")?,
        sent: row.int("sent")?,
        reported,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_call_is_thinned_by_the_worst_and_keeps_its_whole_axis() {
        let sample = |n: u32| LegQuality {
            to_ms: 5_000 * (n + 1),
            interval_ms: 5_000,
            received: 250,
            mos_x100: Some(if n == 1_001 { 210 } else { 430 }),
            ..LegQuality::default()
        };
        let all: Vec<_> = (0..2_880).map(sample).collect();
        let thin = thinned(&all);
        assert_eq!(thin.len(), 720);
        assert_eq!((thin[0].from_ms, thin[719].to_ms), (0, 14_400_000));
        assert_eq!(thin.iter().filter(|sample| sample.mos_x100 == Some(210)).count(), 1);
    }
}
