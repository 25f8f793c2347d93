//! G.711 (ITU-T, 1988): µ-law and A-law octets ↔ 16-bit linear samples, and one law to the other.
//!
//! Tables are computed at compile time from the segment rule; a linear sample keeps the law's 14 or 13 bits in its
//! upper bits, as the 16-bit convention has it.

/// The µ-law octet of silence.
pub const ULAW_SILENCE: u8 = 0xff;
/// The A-law octet of silence: the smallest positive step.
pub const ALAW_SILENCE: u8 = 0xd5;

const ULAW_BIAS: i32 = 0x84;
const ULAW_CLIP: i32 = 32_635;

static ULAW_TO_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = expand_ulaw(octet as u8);
        octet += 1;
    }
    table
};

static ALAW_TO_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = expand_alaw(octet as u8);
        octet += 1;
    }
    table
};

static ULAW_TO_ALAW: [u8; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = linear_to_alaw(expand_ulaw(octet as u8));
        octet += 1;
    }
    table
};

static ALAW_TO_ULAW: [u8; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = linear_to_ulaw(expand_alaw(octet as u8));
        octet += 1;
    }
    table
};

const fn expand_ulaw(octet: u8) -> i16 {
    let inverted = !octet;
    let segment = (inverted >> 4) & 7;
    let magnitude = ((((inverted & 0x0f) as i32) << 3) + ULAW_BIAS) << segment;
    let value = magnitude - ULAW_BIAS;
    (if inverted & 0x80 != 0 { -value } else { value }) as i16
}

const fn expand_alaw(octet: u8) -> i16 {
    let even = octet ^ 0x55;
    let segment = (even >> 4) & 7;
    let step = ((even & 0x0f) as i32) << 4;
    let magnitude = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
    (if even & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

/// One linear sample as µ-law.
pub const fn linear_to_ulaw(sample: i16) -> u8 {
    let value = sample as i32;
    let (sign, magnitude) = if value < 0 { (0x80, -value) } else { (0, value) };
    let biased = (if magnitude > ULAW_CLIP { ULAW_CLIP } else { magnitude }) + ULAW_BIAS;
    let segment = 24 - biased.leading_zeros() as i32;
    let step = (biased >> (segment + 3)) & 0x0f;
    !(sign | (segment << 4) as u8 | step as u8)
}

/// One linear sample as A-law.
pub const fn linear_to_alaw(sample: i16) -> u8 {
    let (sign, magnitude) = if sample >= 0 { (0x80, sample as i32) } else { (0, !(sample as i32)) };
    let code = if magnitude < 0x100 {
        magnitude >> 4
    } else {
        let segment = 24 - magnitude.leading_zeros() as i32;
        (segment << 4) | ((magnitude >> (segment + 3)) & 0x0f)
    };
    (code as u8 | sign) ^ 0x55
}

/// One µ-law octet as a linear sample.
pub fn ulaw_to_linear(octet: u8) -> i16 {
    ULAW_TO_LINEAR[usize::from(octet)]
}

/// One A-law octet as a linear sample.
pub fn alaw_to_linear(octet: u8) -> i16 {
    ALAW_TO_LINEAR[usize::from(octet)]
}

/// One µ-law octet as A-law.
pub fn ulaw_to_alaw(octet: u8) -> u8 {
    ULAW_TO_ALAW[usize::from(octet)]
}

/// One A-law octet as µ-law.
pub fn alaw_to_ulaw(octet: u8) -> u8 {
    ALAW_TO_ULAW[usize::from(octet)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_points_of_the_standard_hold() {
        assert_eq!((ulaw_to_linear(0x00), ulaw_to_linear(0x80), ulaw_to_linear(ULAW_SILENCE)), (-32_124, 32_124, 0));
        assert_eq!((ulaw_to_linear(0x7f), ulaw_to_linear(0x8f), ulaw_to_linear(0xf0)), (0, 16_764, 120));
        assert_eq!((alaw_to_linear(0x2a), alaw_to_linear(0xaa), alaw_to_linear(ALAW_SILENCE)), (-32_256, 32_256, 8));
        assert_eq!((linear_to_ulaw(0), linear_to_ulaw(i16::MAX), linear_to_ulaw(i16::MIN)), (ULAW_SILENCE, 0x80, 0x00));
        assert_eq!((linear_to_alaw(0), linear_to_alaw(i16::MAX), linear_to_alaw(i16::MIN)), (ALAW_SILENCE, 0xaa, 0x2a));
    }

    #[test]
    fn every_octet_survives_the_way_to_linear_and_back() {
        for octet in 0..=u8::MAX {
            assert_eq!(linear_to_alaw(alaw_to_linear(octet)), octet, "A-law {octet:#x}");
            let again = linear_to_ulaw(ulaw_to_linear(octet));
            assert!(again == octet || (octet == 0x7f && again == ULAW_SILENCE), "µ-law {octet:#x}: minus zero is zero");
        }
    }

    #[test]
    fn encoding_is_as_near_as_the_segment_allows_and_never_falls_as_the_sample_rises() {
        let (mut ulaw, mut alaw) = (i16::MIN, i16::MIN);
        for sample in i16::MIN..=i16::MAX {
            let (u, a) = (ulaw_to_linear(linear_to_ulaw(sample)), alaw_to_linear(linear_to_alaw(sample)));
            assert!(u >= ulaw && a >= alaw, "{sample}");
            (ulaw, alaw) = (u, a);
            let room = i32::from(sample).abs() / 16 + 16;
            let clipped = i32::from(sample).clamp(-32_635, 32_635);
            assert!((i32::from(u) - clipped).abs() <= room && (i32::from(a) - i32::from(sample)).abs() <= room, "{sample}: µ {u}, A {a}");
        }
    }

    #[test]
    fn one_law_to_the_other_costs_at_most_a_step_and_keeps_silence() {
        assert_eq!((ulaw_to_alaw(ULAW_SILENCE), alaw_to_ulaw(ALAW_SILENCE)), (ALAW_SILENCE, 0xfe));
        for octet in 0..=u8::MAX {
            let (from, to) = (i32::from(ulaw_to_linear(octet)), i32::from(alaw_to_linear(ulaw_to_alaw(octet))));
            assert!((from - to).abs() <= from.abs() / 16 + 16, "µ {octet:#x}: {from} → {to}");
            let (from, to) = (i32::from(alaw_to_linear(octet)), i32::from(ulaw_to_linear(alaw_to_ulaw(octet))));
            assert!((from - to).abs() <= from.abs() / 16 + 16, "A {octet:#x}: {from} → {to}");
        }
    }
}
