//! Gates against invented words: what never reaches the model, and what is not believed of its answer.
//!
//! A model that is fed silence, tones or noise still writes a sentence. Nothing here repairs text: a span is shown, or
//! it is kept without words, with the reason, and can be played.

use super::{
    model::Thresholds,
    tones,
    transcribe::{Heard, HeardWord},
};

/// Less voice than this is not a word.
const VOICED_MIN_MS: u32 = 240;
/// A voice stands out of the line's noise by this much.
const ABOVE_FLOOR_DB: f32 = 6.0;
/// Share of key tones from which a piece is somebody pressing keys.
const KEYS_MAX: f32 = 0.3;
/// Share of steady sound from which a piece is a tone or music.
const STEADY_MAX: f32 = 0.55;
/// Below this mean log probability a high no-speech probability decides.
const NO_SPEECH_LOGPROB: f32 = -1.0;
/// Short text packs badly: the ratio says nothing.
const COMPRESSION_MIN_CHARS: usize = 40;
/// Octets that are looked at for it: four times what is said in 30 s; the look grows with their square.
const PACKED_MAX: usize = 4 << 10;
/// So many repetitions in a row are a loop.
const LOOP: usize = 4;
/// Longest repeated phrase that is looked for, words.
const LOOP_WORDS: usize = 4;
/// A word may be timed this far behind the audio: model times are rough.
const BEYOND_MS: u32 = 1_000;

/// People do say "one one one one".
const SPOKEN_DIGITS: [&str; 14] =
    ["zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "eleven", "double", "triple"];

/// Why a piece has no words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Under 240 ms voiced.
    #[error("too short")]
    TooShort,
    /// Not 6 dB over the noise.
    #[error("too quiet")]
    TooQuiet,
    /// DTMF.
    #[error("key tones")]
    Keys,
    /// Ringback, busy, held notes.
    #[error("tones or music")]
    Tones,
    /// The model gave no word.
    #[error("nothing understood")]
    Nothing,
    /// The model itself says that nobody spoke.
    #[error("no speech")]
    NoSpeech,
    /// Mean log probability too low.
    #[error("unsure")]
    Unsure,
    /// Text that goes round in circles.
    #[error("repeats itself")]
    Repeats,
    /// More words than a mouth can say.
    #[error("too many words")]
    TooFast,
    /// Words where there is no audio.
    #[error("words beyond the audio")]
    BeyondAudio,
    /// A phrase that models say on their own.
    #[error("stock phrase")]
    StockPhrase,
    /// The other leg's words heard through.
    #[error("echo")]
    Echo,
}

/// What is known of a piece before the model.
#[derive(Clone, Copy, Debug)]
pub struct Sound<'a> {
    /// 8 kHz mono.
    pub samples: &'a [i16],
    /// Voiced time, milliseconds.
    pub voiced_ms: u32,
    /// Level of the voiced frames, dBov.
    pub level_db: f32,
    /// The leg's noise floor there, dBov.
    pub floor_db: f32,
    /// Loud windows that must be there to tell a voice from a tone: some where the sound is not over yet, 0 where it is.
    pub moving_min: u32,
}

/// Decides whether a piece goes to the model at all.
pub fn before(sound: &Sound<'_>) -> Option<Rejection> {
    if sound.voiced_ms < VOICED_MIN_MS {
        Some(Rejection::TooShort)
    } else if sound.level_db < sound.floor_db + ABOVE_FLOOR_DB {
        Some(Rejection::TooQuiet)
    } else if tones::key_share(sound.samples) > KEYS_MAX {
        Some(Rejection::Keys)
    } else {
        let (same, all) = tones::steady(sound.samples);
        (all < sound.moving_min || same as f32 > all as f32 * STEADY_MAX).then_some(Rejection::Tones)
    }
}

/// Decides whether the model's answer is believed; `audio_ms` is what it was given, without padding.
pub fn after(heard: &Heard, voiced_ms: u32, audio_ms: u32, t: &Thresholds) -> Option<Rejection> {
    if heard.words.is_empty() {
        return Some(if heard.no_speech > t.no_speech_max { Rejection::NoSpeech } else { Rejection::Nothing });
    }
    let text = plain(&heard.words);
    let unsure = heard.logprob < t.stock_logprob_min;
    let stock = t.stock_phrases.contains(&text) && (voiced_ms < t.stock_voiced_min_ms || unsure);
    let said = t.said_phrases.contains(&text) && unsure;
    let per_second = heard.words.len() as f32 * 1_000.0 / voiced_ms.max(1) as f32;
    if heard.no_speech > t.no_speech_max && (t.no_speech_alone || heard.logprob < NO_SPEECH_LOGPROB) {
        Some(Rejection::NoSpeech)
    } else if heard.logprob < t.logprob_min {
        Some(Rejection::Unsure)
    } else if loop_start(&heard.words).is_some() || (text.len() >= COMPRESSION_MIN_CHARS && compression(&text) > t.compression_max) {
        Some(Rejection::Repeats)
    } else if per_second > t.words_per_voiced_second_max && heard.words.len() > 2 {
        Some(Rejection::TooFast)
    } else if heard.words.iter().any(|w| w.from_ms > audio_ms + BEYOND_MS) {
        Some(Rejection::BeyondAudio)
    } else if stock || said {
        Some(Rejection::StockPhrase)
    } else {
        None
    }
}

/// Index of the word at which the text begins to go round: the second of at least four equal phrases in a row.
pub fn loop_start(words: &[HeardWord]) -> Option<usize> {
    let words: Vec<String> = words.iter().map(|w| plain(std::slice::from_ref(w))).collect();
    let digits = |w: &String| w.chars().all(|c| c.is_ascii_digit()) || SPOKEN_DIGITS.contains(&w.as_str());
    (1..=LOOP_WORDS).find_map(|n| {
        let last = words.len().checked_sub(n * LOOP)?;
        let repeats = |at: &usize| (1..LOOP).all(|k| words[*at..at + n] == words[at + k * n..at + (k + 1) * n]);
        (0..=last).find(|at| repeats(at) && !words[*at..at + n].iter().all(digits)).map(|at| at + n)
    })
}

/// Leaves what was said before the text began to go round.
pub fn cut_before_loop(heard: &mut Heard) {
    if let Some(at) = loop_start(&heard.words) {
        heard.words.truncate(at);
    }
}

/// Lower case, letters, digits and single spaces.
pub fn plain(words: &[HeardWord]) -> String {
    let text = words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ");
    let text: String = text.to_lowercase().chars().map(|c| if c.is_alphanumeric() || c == '\'' { c } else { ' ' }).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text size over an estimate of its packed size: greedy matches of ≥ 4 octets cost 2.5, literals 0.65, a header 8.
fn compression(text: &str) -> f32 {
    let bytes = &text.as_bytes()[..text.len().min(PACKED_MAX)];
    let (mut at, mut packed) = (0, 8.0);
    while at < bytes.len() {
        let longest = (0..at).map(|from| bytes[from..].iter().zip(&bytes[at..]).take_while(|(a, b)| a == b).count()).max().unwrap_or(0);
        if longest >= 4 {
            (at, packed) = (at + longest, packed + 2.5);
        } else {
            (at, packed) = (at + 1, packed + 0.65);
        }
    }
    bytes.len() as f32 / packed
}
