//! Plays a clip: music without end and without a seam, or an announcement once.

use std::sync::Arc;

use super::{
    jitter::FRAME,
    plan::SourcePlan,
    sound::{FADE, cross},
};

/// One player of a call.
#[derive(Clone, Debug)]
pub struct Player {
    plan: SourcePlan,
    clip: Arc<[i16]>,
    position: usize,
    /// Whether its end has been told.
    told: bool,
}

impl Player {
    /// A player at its start; without a clip it is at its end.
    pub fn new(plan: SourcePlan, clip: Option<&Arc<[i16]>>) -> Self {
        let clip = clip.cloned().unwrap_or_else(|| Arc::from([]));
        let start = usize::try_from(plan.start_ms).unwrap_or(usize::MAX).saturating_mul(8);
        let mut player = Self { plan, clip, position: 0, told: false };
        let period = player.period();
        player.position = if plan.looped && period > 0 { start % period } else { start.min(player.clip.len()) };
        player
    }

    /// What it was made from.
    pub fn plan(&self) -> &SourcePlan {
        &self.plan
    }

    /// Samples after which a looped clip begins again: its end and its beginning overlap in a fade.
    fn period(&self) -> usize {
        self.clip.len().saturating_sub(FADE)
    }

    /// The next 20 ms; false when nothing is left to play.
    pub fn pull(&mut self, out: &mut [i16; FRAME]) -> bool {
        out.fill(0);
        if self.position >= self.clip.len() {
            return false;
        }
        for out in out.iter_mut() {
            let Some(&sample) = self.clip.get(self.position) else { break };
            let left = self.clip.len() - self.position;
            *out = if left > FADE {
                sample
            } else if self.plan.looped {
                cross(sample, self.clip[FADE - left], FADE - left)
            } else {
                cross(0, sample, left)
            };
            self.position += 1;
            if self.plan.looped && self.position == self.clip.len() {
                self.position = FADE;
            }
        }
        true
    }

    /// True once, when it has played to its end.
    pub fn just_ended(&mut self) -> bool {
        let over = self.position >= self.clip.len();
        over && !std::mem::replace(&mut self.told, over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::media::{clip::ClipId, plan::SourceId},
        protocol::audio::tone::DualTone,
    };

    fn clip(samples: usize) -> Arc<[i16]> {
        let mut tone = DualTone::new(350.0, 440.0, 8000, 8000);
        (0..samples).map(|_| tone.next_sample()).collect()
    }

    fn play(clip: &Arc<[i16]>, looped: bool, start_ms: u32, frames: usize) -> (Vec<i16>, Vec<bool>) {
        let mut player = Player::new(SourcePlan { id: SourceId(1), clip: ClipId(0), looped, start_ms }, Some(clip));
        let (mut samples, mut ended) = (Vec::new(), Vec::new());
        for _ in 0..frames {
            let mut frame = [0; FRAME];
            player.pull(&mut frame);
            samples.extend(frame);
            ended.push(player.just_ended());
        }
        (samples, ended)
    }

    fn greatest_step(samples: &[i16]) -> i32 {
        samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
    }

    #[test]
    fn a_looped_clip_goes_round_without_a_click() {
        let clip = clip(1003);
        let alone = greatest_step(&clip);
        let (samples, ended) = play(&clip, true, 0, 100);
        assert!(greatest_step(&samples) <= alone + 2 * 16_000 / FADE as i32, "{alone} in the clip");
        assert!(ended.iter().all(|ended| !ended) && samples[..900] == clip[..900]);
        assert_eq!(samples[1003 - FADE + FADE..1500], clip[FADE..1500 - 963], "the beginning follows the fade");
        let (later, _) = play(&clip, true, 3600 * 1000, 10);
        assert_eq!(later[0], clip[(3600 * 8000) % 963]);
    }

    #[test]
    fn an_announcement_ends_once_and_quietly() {
        let clip = clip(500);
        let (samples, ended) = play(&clip, false, 0, 6);
        assert_eq!(ended, [false, false, false, true, false, false]);
        assert!(samples[500..].iter().all(|sample| *sample == 0) && greatest_step(&samples) <= greatest_step(&clip) + 400);
        let (_, ended) = play(&clip, false, 10_000, 2);
        assert_eq!(ended, [true, false], "begun behind its end");
    }
}
