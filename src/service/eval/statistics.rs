//! Figures with their doubt: F1, and intervals by drawing whole dialogues again and again.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// Draws of a bootstrap.
const DRAWS: usize = 2_000;
/// The same draws each time.
const SEED: u64 = 60;

/// A share, or an F1, with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// 0…1.
    pub value: f64,
    /// 95 % of the draws lie between these.
    pub interval: (f64, f64),
    /// What was counted.
    pub n: usize,
}

/// Right and wrong of something that is found or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// Labelled and found.
    pub right: u32,
    /// Found, not labelled.
    pub wrong: u32,
    /// Labelled, not found.
    pub missed: u32,
}

impl Hits {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self { right: self.right + other.right, wrong: self.wrong + other.wrong, missed: self.missed + other.missed }
    }

    /// 2 right / (2 right + wrong + missed); 1 when there was nothing to find and nothing was found.
    pub fn f1(self) -> f64 {
        share(2 * self.right, 2 * self.right + self.wrong + self.missed)
    }

    /// Right of those found.
    pub fn precision(self) -> f64 {
        share(self.right, self.right + self.wrong)
    }

    /// Found of those labelled.
    pub fn recall(self) -> f64 {
        share(self.right, self.right + self.missed)
    }
}

/// `part` of `whole`; 1 of nothing.
pub fn share(part: u32, whole: u32) -> f64 {
    if whole == 0 { 1.0 } else { f64::from(part) / f64::from(whole) }
}

/// How often label `row` was read as `column`.
pub type Confusion = [[u32; 3]; 3];

/// Mean of the classes' F1; a class that is neither labelled nor read does not count.
pub fn macro_f1(confusion: &Confusion) -> f64 {
    let of_class = |c: usize| {
        let right = confusion[c][c];
        let missed = confusion[c].iter().sum::<u32>() - right;
        let wrong = confusion.iter().map(|row| row[c]).sum::<u32>() - right;
        (right + missed + wrong > 0).then(|| Hits { right, wrong, missed }.f1())
    };
    let of: Vec<f64> = (0..3).filter_map(of_class).collect();
    if of.is_empty() { 1.0 } else { of.iter().sum::<f64>() / of.len() as f64 }
}

/// Sum of several confusions.
pub fn sum<'a>(of: impl IntoIterator<Item = &'a Confusion>) -> Confusion {
    let mut all = Confusion::default();
    for one in of {
        for (row, more) in all.iter_mut().flatten().zip(one.iter().flatten()) {
            *row += more;
        }
    }
    all
}

/// `figure` of all scripts, with the interval from drawing scripts with replacement.
pub fn bootstrap<T>(scripts: &[T], n: usize, figure: impl Fn(&[&T]) -> f64) -> Figure {
    let all: Vec<&T> = scripts.iter().collect();
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut pick = || (rng.next_u64() % scripts.len().max(1) as u64) as usize;
    let mut drawn: Vec<f64> = (0..DRAWS).map(|_| figure(&(0..scripts.len()).map(|_| &scripts[pick()]).collect::<Vec<_>>())).collect();
    drawn.sort_by(f64::total_cmp);
    let at = |share: f64| drawn.get((share * (DRAWS - 1) as f64).round() as usize).copied().unwrap_or(0.0);
    Figure { value: figure(&all), interval: (at(0.025), at(0.975)), n }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_lies_in_its_interval_and_perfection_has_none() {
        let scripts: Vec<Hits> = (0..60).map(|n| Hits { right: 3, wrong: n % 2, missed: n % 3 }).collect();
        let f1 = |drawn: &[&Hits]| drawn.iter().fold(Hits::default(), |a, b| a.plus(**b)).f1();
        let figure = bootstrap(&scripts, 60, f1);
        assert!(figure.interval.0 < figure.value && figure.value < figure.interval.1, "{figure:?}");
        assert_eq!(bootstrap(&scripts, 60, f1), figure, "the same draws each time");
        let perfect = [Hits { right: 1, wrong: 0, missed: 0 }];
        assert_eq!(bootstrap(&perfect, 1, f1).interval, (1.0, 1.0));
    }

    #[test]
    fn macro_f1_counts_rare_classes_like_common_ones() {
        assert_eq!(macro_f1(&[[5, 0, 0], [0, 80, 0], [0, 0, 5]]), 1.0);
        let majority = macro_f1(&[[0, 10, 0], [0, 80, 0], [0, 10, 0]]);
        assert!((majority - 0.296).abs() < 0.001, "{majority}");
    }
}
