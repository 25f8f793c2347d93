//! A service in the worker's place: `POST …/v1/audio/transcriptions` as OpenAI defined it, spoken by many servers.
//!
//! The utterance goes out as 16 kHz WAV and comes back as words with times. The service is not trusted: what it says is
//! bounded, goes through the same gates, and its failing never takes longer than its time-out.

use std::{fmt::Write as _, io::Cursor, time::Duration};

use serde::Deserialize;

use super::{
    ms, resample,
    transcribe::{Heard, HeardWord, Request, TranscribeError, Transcriber, WORDS_MAX},
};
use crate::service::egress::{self, Address, EgressError, Patience, Question};

/// Longest answer: an utterance's words with all their times are a few kB.
const ANSWER_MAX: usize = 1 << 20;
/// Longest word.
const WORD_MAX: usize = 64;
/// First rest after a failure; doubles with each one in a row.
const REST: Duration = Duration::from_millis(250);
/// Most doublings: 16 s.
const REST_DOUBLINGS: u32 = 6;

/// Which service, and how to ask it.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Base address; `/v1/audio/transcriptions` is appended unless its path ends so.
    pub address: Address,
    /// The model's name there.
    pub model: String,
    /// BCP 47, or `auto`.
    pub language: String,
    /// Sent as a bearer token.
    pub key: Option<String>,
    /// For one utterance, connecting included.
    pub timeout: Duration,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key stays out of logs.
        write!(f, "Endpoint({}, {})", self.address, self.model)
    }
}

/// A connection to the service; [`Transcriber`] for the pool's thread that owns it.
pub struct Service {
    endpoint: Endpoint,
    failures_in_a_row: u32,
}

impl Service {
    /// One that asks `endpoint`.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, failures_in_a_row: 0 }
    }

    fn ask(&self, request: &Request) -> Result<Heard, TranscribeError> {
        let lost = |e: String| TranscribeError::Lost(e);
        let wav = wav(&request.sound.samples()).map_err(|e| lost(e.to_string()))?;
        let model = request.model.as_deref().unwrap_or(&self.endpoint.model);
        let boundary = format!("throughline-{}-{}", request.key.leg, request.key.start_ms);
        let body = form(&boundary, model, &self.endpoint.language, &wav);
        let content_type = format!("multipart/form-data; boundary={boundary}");
        let bearer = self.endpoint.key.as_ref().map(|key| format!("Bearer {key}"));
        let mut headers = vec![("Content-Type", content_type.as_str()), ("Accept", "application/json")];
        headers.extend(bearer.as_deref().map(|b| ("Authorization", b)));
        let path = if self.endpoint.address.path().ends_with("/audio/transcriptions") { "" } else { "/v1/audio/transcriptions" };
        let question = Question { method: "POST", path, headers: &headers, body: &body };
        let patience = Patience { total: Some(self.endpoint.timeout), idle: self.endpoint.timeout };
        let (status, answer) = egress::ask(&self.endpoint.address, &question, patience, ANSWER_MAX).map_err(|e| trouble(&e))?;
        match status {
            200 => read(&answer, &self.endpoint.language, ms(request.sound.len())).map_err(lost),
            401 | 403 => Err(TranscribeError::Model(format!("{} refuses us ({status}); look at key_file", self.endpoint.address))),
            404 | 405 => Err(TranscribeError::Model(format!(
                "{} knows no such address or model ({status}); look at url and model",
                self.endpoint.address
            ))),
            _ => Err(lost(format!("the speech service answered {status}"))),
        }
    }
}

impl Transcriber for Service {
    fn transcribe(&mut self, request: &Request) -> Result<Heard, TranscribeError> {
        let answer = self.ask(request);
        match &answer {
            Ok(_) => self.failures_in_a_row = 0,
            Err(why) => {
                tracing::warn!(%why, "the speech service did not give words");
                self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
            }
        }
        answer
    }

    fn rest(&self) -> Duration {
        match self.failures_in_a_row {
            0 => Duration::ZERO,
            n => REST * (1 << (n - 1).min(REST_DOUBLINGS)),
        }
    }
}

/// A service that is away or points elsewhere will not be better for the next utterance: work after the call waits for it.
fn trouble(error: &EgressError) -> TranscribeError {
    match error {
        EgressError::Unreachable(..) | EgressError::Tls(..) | EgressError::Redirected(..) | EgressError::Inner(_) => {
            TranscribeError::Model(format!("The speech service: {error}. Look at [speech.endpoint] in speech.toml"))
        }
        EgressError::TimedOut(_) | EgressError::Nonsense(..) | EgressError::TooLarge(..) => TranscribeError::Lost(error.to_string()),
    }
}

/// 16 kHz mono, as every such service takes it.
fn wav(samples: &[i16]) -> Result<Vec<u8>, hound::Error> {
    let spec = hound::WavSpec { channels: 1, sample_rate: 16_000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut file = Cursor::new(Vec::with_capacity(samples.len() * 4 + 44));
    let mut writer = hound::WavWriter::new(&mut file, spec)?;
    for sample in resample::up(samples) {
        writer.write_sample((sample * 32_767.0).clamp(-32_768.0, 32_767.0) as i16)?;
    }
    writer.finalize()?;
    Ok(file.into_inner())
}

fn form(boundary: &str, model: &str, language: &str, wav: &[u8]) -> Vec<u8> {
    let mut head = String::new();
    let fields = [
        ("model", model),
        ("response_format", "verbose_json"),
        ("temperature", "0"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
    ];
    for (name, value) in fields.into_iter().chain((language != "auto").then_some(("language", language))) {
        let _ = write!(head, "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    let file = "Content-Disposition: form-data; name=\"file\"; filename=\"utterance.wav\"\r\nContent-Type: audio/wav";
    let _ = write!(head, "--{boundary}\r\n{file}\r\n\r\n");
    [head.as_bytes(), wav, format!("\r\n--{boundary}--\r\n").as_bytes()].concat()
}

/// `verbose_json`; servers differ in what they leave out and where words stand.
#[derive(Deserialize)]
struct Verbose {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    words: Option<Vec<VerboseWord>>,
    #[serde(default)]
    segments: Option<Vec<Segment>>,
}

#[derive(Deserialize)]
struct VerboseWord {
    word: String,
    start: f32,
    end: f32,
    #[serde(default)]
    probability: Option<f32>,
}

#[derive(Deserialize)]
struct Segment {
    #[serde(default)]
    text: String,
    #[serde(default)]
    start: f32,
    #[serde(default)]
    end: f32,
    #[serde(default)]
    avg_logprob: Option<f32>,
    #[serde(default)]
    no_speech_prob: Option<f32>,
    #[serde(default)]
    words: Vec<VerboseWord>,
}

fn read(answer: &[u8], language: &str, audio_ms: u32) -> Result<Heard, String> {
    let verbose: Verbose = serde_json::from_slice(answer).map_err(|e| format!("the speech service answered something else ({e})"))?;
    if verbose.text.is_none() && verbose.words.is_none() && verbose.segments.is_none() {
        return Err("the speech service answered something else (neither text nor words)".into());
    }
    let segments = verbose.segments.unwrap_or_default();
    let known: Vec<f32> = segments.iter().filter_map(|s| s.avg_logprob).filter(|p| p.is_finite()).collect();
    // One that does not say how sure it is has to be believed.
    let logprob = if known.is_empty() { 0.0 } else { known.iter().sum::<f32>() / known.len() as f32 };
    let sure = logprob.exp().clamp(0.0, 1.0);
    let no_speech = segments.iter().filter_map(|s| s.no_speech_prob).fold(0.0, f32::max).clamp(0.0, 1.0);
    let mut words: Vec<HeardWord> = verbose.words.unwrap_or_default().into_iter().map(|w| heard(w, sure, audio_ms)).collect();
    if words.is_empty() {
        words = segments.into_iter().flat_map(|s| of_segment(s, sure, audio_ms)).collect();
    }
    if words.is_empty() {
        words = dealt(&verbose.text.unwrap_or_default(), 0.0, audio_ms as f32 / 1_000.0, sure, audio_ms);
    }
    words.retain(|w| w.text.contains(char::is_alphanumeric));
    words.truncate(WORDS_MAX);
    let logprob = if words.is_empty() { 0.0 } else { logprob };
    Ok(Heard { language: language.to_owned(), no_speech, logprob, words })
}

fn of_segment(segment: Segment, sure: f32, audio_ms: u32) -> Vec<HeardWord> {
    if segment.words.is_empty() {
        return dealt(&segment.text, segment.start, segment.end, sure, audio_ms);
    }
    segment.words.into_iter().map(|w| heard(w, sure, audio_ms)).collect()
}

/// Words without times of their own share those of what they stand in.
fn dealt(text: &str, start: f32, end: f32, sure: f32, audio_ms: u32) -> Vec<HeardWord> {
    let words: Vec<&str> = text.split_whitespace().take(WORDS_MAX).collect();
    let each = (end - start).max(0.0) / words.len().max(1) as f32;
    let at = |n: usize| start + each * n as f32;
    let one = |(n, word): (usize, &&str)| VerboseWord { word: (*word).to_owned(), start: at(n), end: at(n + 1), probability: None };
    words.iter().enumerate().map(|w| heard(one(w), sure, audio_ms)).collect()
}

fn heard(word: VerboseWord, sure: f32, audio_ms: u32) -> HeardWord {
    let ms = |s: f32| ((f64::from(s) * 1_000.0).round().clamp(0.0, f64::from(audio_ms) * 2.0)) as u32;
    let text: String = word.word.trim().chars().filter(|c| !c.is_control()).take(WORD_MAX).collect();
    let from_ms = ms(word.start);
    let probability = word.probability.filter(|p| p.is_finite()).unwrap_or(sure).clamp(0.0, 1.0);
    HeardWord { text, from_ms, to_ms: ms(word.end).max(from_ms), probability }
}

#[cfg(test)]
mod tests;
