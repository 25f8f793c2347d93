//! Octets ↔ samples, and the fade that takes the click out of a jump.

use super::plan::Codec;
use crate::protocol::audio::g711;

/// Length of a fade, samples: 5 ms.
pub const FADE: usize = 40;

/// One octet as a linear sample.
pub fn decode(codec: Codec, octet: u8) -> i16 {
    match codec {
        Codec::Pcmu => g711::ulaw_to_linear(octet),
        Codec::Pcma => g711::alaw_to_linear(octet),
    }
}

/// One linear sample as an octet.
pub fn encode(codec: Codec, sample: i16) -> u8 {
    match codec {
        Codec::Pcmu => g711::linear_to_ulaw(sample),
        Codec::Pcma => g711::linear_to_alaw(sample),
    }
}

/// What sounded last dies away while what comes next grows, over 5 ms.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fade {
    from: i16,
    left: u8,
}

impl Fade {
    /// Begins after a stream that ended with this sample; 0 after silence.
    pub fn begin(&mut self, from: i16) {
        *self = Self { from, left: FADE as u8 };
    }

    /// Whether the next sample will be changed.
    pub fn is_running(&self) -> bool {
        self.left > 0
    }

    /// The new stream's next sample as it is to be heard.
    pub fn next(&mut self, sample: i16) -> i16 {
        if self.left == 0 {
            return sample;
        }
        let old = i32::from(self.left);
        self.left -= 1;
        let length = FADE as i32 + 1;
        ((i32::from(self.from) * old + i32::from(sample) * (length - old)) / length) as i16
    }
}

/// Fades from one sample to another within a stretch: place 0 is all old, [`FADE`] all new.
pub fn cross(old: i16, new: i16, place: usize) -> i16 {
    let new_part = place.min(FADE) as i32;
    ((i32::from(old) * (FADE as i32 - new_part) + i32::from(new) * new_part) / FADE as i32) as i16
}

/// Fades into an encoded payload from the sample that was heard last.
pub fn fade_into(codec: Codec, from: i16, payload: &mut [u8]) {
    let mut fade = Fade::default();
    fade.begin(from);
    for octet in payload.iter_mut().take(FADE) {
        *octet = encode(codec, fade.next(decode(codec, *octet)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fade_makes_a_jump_of_full_scale_into_small_steps() {
        let mut fade = Fade::default();
        fade.begin(i16::MAX);
        let mut last = i16::MAX;
        for _ in 0..FADE {
            let sample = fade.next(-30_000);
            assert!((i32::from(last) - i32::from(sample)).abs() <= 62_767 / FADE as i32 + 2);
            last = sample;
        }
        assert!(!fade.is_running() && fade.next(5) == 5);
        assert!((i32::from(last) + 30_000).abs() < 2000);
    }
}
