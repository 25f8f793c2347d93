//! Samples and what is read off them.

use std::time::Duration;

/// Durations in nanoseconds, read off by rank.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<u64>);

impl Samples {
    /// One more.
    pub fn add(&mut self, sample: Duration) {
        self.0.push(u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The sample below which this share lies, milliseconds; zero of none.
    pub fn at(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let place = ((self.0.len() as f64 * share) as usize).min(self.0.len().saturating_sub(1));
        self.0.get(place).map_or(0.0, |ns| *ns as f64 / 1e6)
    }

    /// The mean, microseconds.
    pub fn mean_us(&self) -> f64 {
        self.0.iter().map(|ns| *ns as f64 / 1e3).sum::<f64>() / self.0.len().max(1) as f64
    }

    /// The mean without the slowest hundredth, microseconds: what interrupts this machine is not the server's.
    pub fn steady_mean_us(&mut self) -> f64 {
        self.0.sort_unstable();
        let kept = &self.0[..self.0.len() - self.0.len() / 100];
        kept.iter().map(|ns| *ns as f64 / 1e3).sum::<f64>() / kept.len().max(1) as f64
    }

    /// `p50 0.1 · p99 0.3 · p99.9 0.5 ms`.
    pub fn line(&mut self) -> String {
        let p = |n: f64| if n < 1.0 { format!("{n:.3}") } else { format!("{n:.1}") };
        format!("p50 {} · p99 {} · p99.9 {} ms (n = {})", p(self.at(0.5)), p(self.at(0.99)), p(self.at(0.999)), self.len())
    }
}
