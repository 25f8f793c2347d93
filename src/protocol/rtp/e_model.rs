//! What a call sounds like, computed from loss and delay: the E-model (ITU-T G.107), narrow-band, default values.
//!
//! R = Ro − Is − Id(delay) − Ie,eff(loss), 0 to 100; MOS (mean opinion score, 1 to 4.5) follows from R by annex B.

/// Ro: signal over noise of a connection with default values (G.107 §7.2).
const SIGNAL_TO_NOISE: f64 = 94.768_8;
/// Is: what happens together with the voice: loudness, side tone, quantising (G.107 §7.3).
const SIMULTANEOUS: f64 = 1.413_6;
/// TELR: talker echo loudness rating, dB.
const TALKER_ECHO: f64 = 65.0;
/// WEPL: weighted echo path loss, dB.
const ECHO_PATH_LOSS: f64 = 110.0;
/// No − RLR: circuit noise at the listener, dBmp.
const NOISE_AT_EAR: f64 = -63.179_2;
/// Impairment of losing everything: Ie,eff goes from Ie towards this (G.107 §7.5).
const WORST_LOSS: f64 = 95.0;
/// Burst ratios outside of this are not covered by the model's tests (G.107 §7.5); 1 is loss by pure chance.
const BURST_RATIOS: std::ops::RangeInclusive<f64> = 1.0..=2.0;

/// How a codec bears loss (ITU-T G.113 appendix I).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Robustness {
    /// Ie: impairment without any loss.
    pub impairment: f64,
    /// Bpl: packet-loss robustness; larger bears more.
    pub loss_robustness: f64,
}

/// G.711 at a receiver that conceals losses (G.711 appendix I), as phones and carriers' gateways do.
pub const G711_CONCEALED: Robustness = Robustness { impairment: 0.0, loss_robustness: 25.1 };
/// G.711 at a receiver that plays silence for what is lost.
pub const G711_BARE: Robustness = Robustness { impairment: 0.0, loss_robustness: 4.3 };

/// One direction of a call.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Transmission {
    /// The codec.
    pub codec: Robustness,
    /// Share of the packets that is lost, 0 to 1.
    pub loss: f64,
    /// Mean length of a run of losses over that of as much loss by pure chance.
    pub burst_ratio: f64,
    /// From mouth to ear, one way, milliseconds.
    pub delay_ms: f64,
}

/// The rating R, 0 (worst) to 93.2 (a default connection without loss or delay).
pub fn rating(over: &Transmission) -> f64 {
    let percent = 100.0 * over.loss.clamp(0.0, 1.0);
    let bursts = over.burst_ratio.clamp(*BURST_RATIOS.start(), *BURST_RATIOS.end());
    let Robustness { impairment, loss_robustness } = over.codec;
    let by_loss = impairment + (WORST_LOSS - impairment) * percent / (percent / bursts + loss_robustness);
    (SIGNAL_TO_NOISE - SIMULTANEOUS - delay_impairment(over.delay_ms.max(0.0)) - by_loss).clamp(0.0, 100.0)
}

/// The mean opinion score of a rating, 1.0 to 4.5 (G.107 annex B).
pub fn mean_opinion(rating: f64) -> f64 {
    let r = rating.clamp(0.0, 100.0);
    // The cubic dips below 1 near zero.
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
}

/// Id: talker echo, listener echo and pure delay (G.107 §7.4), with `t` milliseconds one way and twice that around.
fn delay_impairment(t: f64) -> f64 {
    let echo_loudness = TALKER_ECHO - 40.0 * ((1.0 + t / 10.0) / (1.0 + t / 150.0)).log10() + 6.0 * (-0.3 * t * t).exp();
    let talker = (-1.5 * NOISE_AT_EAR - (80.0 + 2.5 * (echo_loudness - 14.0))) / 2.0;
    let talker = (talker + (talker * talker + 100.0).sqrt() - 1.0) * (1.0 - (-t).exp());
    let listener = (SIGNAL_TO_NOISE - 10.5 * (ECHO_PATH_LOSS + 7.0) * (2.0 * t + 1.0).powf(-0.25)) / 2.0;
    let listener = listener + (listener * listener + 169.0).sqrt();
    let pure = if t > 100.0 {
        let x = (t / 100.0).log2();
        25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0) + 2.0)
    } else {
        0.0
    };
    talker + listener + pure
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const IDEAL: Transmission = Transmission { codec: G711_CONCEALED, loss: 0.0, burst_ratio: 1.0, delay_ms: 0.0 };

    fn near(value: f64, due: f64, tolerance: f64) {
        assert!((value - due).abs() <= tolerance, "{value} is not {due} ± {tolerance}");
    }

    #[test]
    fn the_default_connection_is_rated_93_2_and_scores_4_41() {
        near(rating(&IDEAL), 93.2, 0.05);
        near(mean_opinion(rating(&IDEAL)), 4.41, 0.005);
    }

    #[test]
    fn opinions_are_those_of_annex_b() {
        for (r, mos) in [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
            // The table rounds up where it rounds at all.
            near(mean_opinion(r), mos, 0.0065);
        }
        assert_eq!((mean_opinion(-5.0), mean_opinion(0.0), mean_opinion(100.0)), (1.0, 1.0, 4.5));
    }

    #[test]
    fn loss_costs_what_g_113_says_with_and_without_concealment() {
        // Ie,eff = 95 · Ppl / (Ppl + Bpl) for Ie = 0 and loss by chance.
        for (percent, concealed, bare) in [(1.0, 3.640, 17.925), (5.0, 15.781, 51.075), (10.0, 27.066, 66.434)] {
            let lossy = |codec| Transmission { codec, loss: percent / 100.0, ..IDEAL };
            near(rating(&IDEAL) - rating(&lossy(G711_CONCEALED)), concealed, 0.001);
            near(rating(&IDEAL) - rating(&lossy(G711_BARE)), bare, 0.001);
        }
    }

    #[test]
    fn loss_in_bursts_costs_more_than_the_same_loss_by_chance() {
        let of = |burst_ratio| rating(&Transmission { loss: 0.08, burst_ratio, ..IDEAL });
        near(of(1.0) - of(2.0), 95.0 * 8.0 / (4.0 + 25.1) - 95.0 * 8.0 / (8.0 + 25.1), 0.001);
        assert_eq!((of(0.3), of(9.0)), (of(1.0), of(2.0)), "kept within what the model covers");
    }

    #[test]
    fn delay_is_hardly_felt_below_150_ms_and_hurts_above() {
        for (delay_ms, r) in [(50.0, 91.76), (100.0, 90.66), (150.0, 89.54), (200.0, 85.80), (300.0, 72.67), (400.0, 62.25)] {
            near(rating(&Transmission { delay_ms, ..IDEAL }), r, 0.02);
        }
    }

    proptest! {
        #[test]
        fn more_loss_or_delay_never_sounds_better(loss in 0.0..1.0, more in 0.0..0.5, delay_ms in 0.0..5_000.0, later in 0.0..500.0, burst_ratio in 0.0..5.0) {
            let here = Transmission { loss, delay_ms, burst_ratio, ..IDEAL };
            let r = rating(&here);
            prop_assert!((0.0..=93.3).contains(&r) && (1.0..=4.5).contains(&mean_opinion(r)));
            let (worse, slower) = (Transmission { loss: loss + more, ..here }, Transmission { delay_ms: delay_ms + later, ..here });
            prop_assert!(rating(&worse) <= r + 1e-9 && rating(&slower) <= r + 1e-9);
        }
    }
}
