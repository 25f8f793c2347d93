//! Opinion scores by trunk, as a histogram for the metrics page.

use std::{collections::BTreeMap, fmt::Write};

use super::Switch;
use crate::{
    domain::media::plan::LegQuality,
    ids::{InteractionId, LegId, Party},
};

/// Upper bounds of the buckets, hundredths: the steps of ITU-T G.107 annex B, R 50 to 90.
const BOUNDS: [u16; 5] = [258, 310, 360, 403, 434];
/// Calls among colleagues, and whatever came by no trunk.
const NO_TRUNK: &str = "none";

#[derive(Clone, Copy, Debug, Default)]
struct Histogram {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum_x100: u64,
}

/// Scores by trunk and side; as many entries as there are trunks, twice.
#[derive(Clone, Debug, Default)]
pub(super) struct Scores(BTreeMap<(String, bool), Histogram>);

impl Scores {
    fn note(&mut self, trunk: &str, party: Party, mos_x100: u16) {
        let histogram = self.0.entry((trunk.to_owned(), party == Party::Customer)).or_default();
        for (bucket, bound) in histogram.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(mos_x100 <= bound);
        }
        histogram.count += 1;
        histogram.sum_x100 += u64::from(mos_x100);
    }

    /// Prometheus' text form.
    pub fn write(&self, text: &mut String) {
        for ((trunk, customer), histogram) in &self.0 {
            let labels = format!("trunk=\"{trunk}\",party=\"{}\"", if *customer { "customer" } else { "agent" });
            // Writing to a String cannot fail.
            for (bucket, bound) in histogram.buckets.iter().zip(BOUNDS) {
                let _ = writeln!(text, "throughline_leg_mos_bucket{{{labels},le=\"{}.{:02}\"}} {bucket}", bound / 100, bound % 100);
            }
            let _ = writeln!(text, "throughline_leg_mos_bucket{{{labels},le=\"+Inf\"}} {}", histogram.count);
            let _ = writeln!(text, "throughline_leg_mos_sum{{{labels}}} {}.{:02}", histogram.sum_x100 / 100, histogram.sum_x100 % 100);
            let _ = writeln!(text, "throughline_leg_mos_count{{{labels}}} {}", histogram.count);
        }
    }
}

impl Switch {
    pub(super) fn note_quality(&mut self, call: InteractionId, leg: LegId, quality: &LegQuality) {
        let Some(party) = self.calls.get(&call).and_then(|call| call.leg(leg)).map(|leg| leg.party()) else { return };
        let Some(mos_x100) = quality.mos_x100 else { return };
        let via = self.ledgers.get(&call).map_or("", |ledger| ledger.via.as_str());
        let trunk = self.config.trunks.iter().find(|trunk| trunk.name == via).map_or(NO_TRUNK, |trunk| trunk.name.as_str());
        self.scores.note(trunk, party, mos_x100);
    }

    /// Adds the opinion scores to the metrics page.
    pub fn write_scores(&self, text: &mut String) {
        self.scores.write(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_cumulative_buckets_by_trunk_and_side() {
        let mut scores = Scores::default();
        for mos in [438, 300, 360] {
            scores.note("carrier", Party::Customer, mos);
        }
        let mut text = String::new();
        scores.write(&mut text);
        let value = |le: &str| {
            let name = format!("throughline_leg_mos_bucket{{trunk=\"carrier\",party=\"customer\",le=\"{le}\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok())
        };
        assert_eq!(["2.58", "3.10", "3.60", "4.34", "+Inf"].map(value), [Some(0), Some(1), Some(2), Some(2), Some(3)]);
        assert!(text.contains("throughline_leg_mos_sum{trunk=\"carrier\",party=\"customer\"} 10.98"), "{text}");
    }
}
