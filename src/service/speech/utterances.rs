//! Voiced frames → utterances: pre-roll, hangover, forced cuts. Pure, in frames of 10 ms.
//!
//! ```text
//!      ┌ pre-roll 250 ms            hangover 480 ms (320 after 6 s): no more voice ┐
//! ─────┴─▂▅▇▅▂▁▂▅▇▇▅▂──▂▅▇▅▂┐──────────────────────────────────────────────────────┴──
//!      from                 to = end of the last voiced frame
//! ```

use std::ops::Range;

/// Audio kept before the first voiced frame.
pub(super) const PRE_ROLL: usize = 25;
/// Silence that ends an utterance.
pub(super) const HANGOVER: usize = 48;
/// Silence that ends one that is already long.
pub(super) const HANGOVER_LONG: usize = 32;
/// From here on an utterance is long.
pub(super) const LONG: usize = 600;
/// No utterance is longer: what models are for.
pub(super) const LONGEST: usize = 1_000;
/// A forced cut is made at the quietest point of the last so many frames.
pub(super) const CUT_WITHIN: usize = 300;
/// Frames on either side over which "quiet" is judged.
pub(super) const CUT_SMOOTH: usize = 2;

/// One utterance, in frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// With pre-roll, without hangover.
    pub frames: Range<usize>,
    /// Voiced frames in it.
    pub voiced: usize,
}

/// An utterance being built.
struct Open {
    from: usize,
    last_voiced: usize,
}

/// Cuts a track into utterances; `level_db` (one per frame) tells where it is quiet. They never overlap.
pub fn cut(active: &[bool], level_db: &[f32]) -> Vec<Span> {
    debug_assert_eq!(active.len(), level_db.len());
    let mut spans: Vec<Span> = Vec::new();
    let mut open: Option<Open> = None;
    for (i, voiced) in active.iter().copied().enumerate() {
        let Some(current) = &mut open else {
            if voiced {
                let free_from = spans.last().map_or(0, |s| s.frames.end);
                open = Some(Open { from: i.saturating_sub(PRE_ROLL).max(free_from), last_voiced: i });
            }
            continue;
        };
        if voiced {
            current.last_voiced = i;
        }
        let hangover = if i - current.from > LONG { HANGOVER_LONG } else { HANGOVER };
        if i - current.last_voiced >= hangover {
            push(&mut spans, active, current.from..current.last_voiced + 1);
            open = None;
        } else if i + 1 - current.from >= LONGEST {
            let at = quietest(level_db, i + 1 - CUT_WITHIN..i + 1);
            push(&mut spans, active, current.from..at);
            let next = (at..=i).find(|f| active[*f]);
            let last = (at..=i).rfind(|f| active[*f]);
            open = next.zip(last).map(|(next, last)| Open { from: next.saturating_sub(PRE_ROLL).max(at), last_voiced: last });
        }
    }
    if let Some(current) = open {
        push(&mut spans, active, current.from..current.last_voiced + 1);
    }
    spans
}

/// Adds what is voiced of `frames`, ending at its last voiced frame.
fn push(spans: &mut Vec<Span>, active: &[bool], frames: Range<usize>) {
    let voiced = active[frames.clone()].iter().filter(|a| **a).count();
    if let Some(last) = frames.clone().rfind(|f| active[*f]) {
        spans.push(Span { frames: frames.start..last + 1, voiced });
    }
}

fn quietest(level_db: &[f32], within: Range<usize>) -> usize {
    let loudness = |i: usize| {
        let around = &level_db[i.saturating_sub(CUT_SMOOTH)..(i + CUT_SMOOTH + 1).min(within.end)];
        around.iter().sum::<f32>() / around.len() as f32
    };
    within.clone().min_by(|a, b| loudness(*a).total_cmp(&loudness(*b))).unwrap_or(within.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans(pattern: &[(bool, usize)]) -> Vec<Range<usize>> {
        let active: Vec<bool> = pattern.iter().flat_map(|(on, n)| std::iter::repeat_n(*on, *n)).collect();
        let level: Vec<f32> = active.iter().map(|a| if *a { -20.0 } else { -60.0 }).collect();
        cut(&active, &level).into_iter().map(|s| s.frames).collect()
    }

    #[test]
    fn an_utterance_starts_250_ms_early_and_ends_with_its_last_voiced_frame() {
        assert_eq!(spans(&[(false, 100), (true, 50), (false, 100)]), std::slice::from_ref(&(75..150)));
    }

    #[test]
    fn a_pause_under_the_hangover_joins_and_a_longer_one_parts() {
        assert_eq!(spans(&[(true, 50), (false, 47), (true, 50), (false, 60)]), std::slice::from_ref(&(0..147)));
        assert_eq!(spans(&[(true, 50), (false, 60), (true, 50), (false, 60)]), [0..50, 85..160]);
    }

    #[test]
    fn after_six_seconds_a_shorter_pause_is_enough() {
        assert_eq!(spans(&[(true, 650), (false, 40), (true, 50), (false, 60)]), [0..650, 665..740]);
    }

    #[test]
    fn pre_roll_never_reaches_into_the_utterance_before() {
        assert_eq!(spans(&[(true, 610), (false, 33), (true, 20), (false, 60)])[1], 618..663);
    }

    #[test]
    fn endless_talk_is_cut_by_ten_seconds_where_it_is_quietest() {
        let active = vec![true; 2_500];
        let mut level = vec![-20.0; 2_500];
        level[860..866].fill(-35.0);
        let spans = cut(&active, &level);
        assert!((861..866).contains(&spans[0].frames.end), "{spans:?}");
        assert!(spans.iter().all(|s| s.frames.len() <= LONGEST));
        assert_eq!(spans.iter().map(|s| s.voiced).sum::<usize>(), 2_500);
    }

    proptest! {
        #[test]
        fn every_voiced_frame_is_in_exactly_one_utterance(
            runs in prop::collection::vec((any::<bool>(), 1usize..400), 0..20),
            seed in any::<u64>(),
        ) {
            let active: Vec<bool> = runs.iter().flat_map(|(on, n)| std::iter::repeat_n(*on, *n)).collect();
            let level: Vec<f32> = (0..active.len() as u64).map(|i| -(((seed.wrapping_mul(i * 2 + 1) >> 40) % 60) as f32)).collect();
            let spans = cut(&active, &level);
            prop_assert!(spans.windows(2).all(|w| w[0].frames.end <= w[1].frames.start));
            prop_assert!(spans.iter().all(|s| s.frames.len() <= LONGEST && !s.frames.is_empty()));
            let inside: usize = spans.iter().map(|s| s.voiced).sum();
            prop_assert_eq!(inside, active.iter().filter(|a| **a).count());
        }
    }
}
