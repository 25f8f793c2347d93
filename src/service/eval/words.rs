//! Words of the carried samples through front end, worker and gates, beside the model given exactly what is said; G.711 both.

use std::{path::Path, time::Duration};

use serde::Deserialize;

use super::{EvalError, dialogues::leg};
use crate::{
    domain::insight::utterance::{LegCoverage, Transcript, Utterance, Word},
    ids::Party,
    protocol::audio::g711,
    service::speech::{
        Pool, TrackAudio,
        decode::{Engine, Limits},
        file,
        model::Model,
        word_errors::{errors, words},
    },
};

/// Left around a sentence that the model alone gets, seconds.
const AROUND_S: f64 = 0.15;
/// Most tokens of one sentence.
const TOKENS_MAX: u32 = 100;
/// Longest that the model may think about one sentence.
const PATIENCE: Duration = Duration::from_secs(60);

/// The carried call's script.
#[derive(Deserialize)]
struct Script {
    segments: Vec<Segment>,
}

#[derive(Deserialize)]
struct Segment {
    channel: u8,
    start: f64,
    end: f64,
    text: String,
}

impl Segment {
    fn party(&self) -> Party {
        if self.channel == 0 { Party::Customer } else { Party::Agent }
    }
}

/// Word errors on the samples.
#[derive(Clone, Debug)]
pub struct WordFigures {
    /// Name of the model.
    pub model: String,
    /// Said.
    pub words: usize,
    /// Wrong through the whole path.
    pub path: usize,
    /// Wrong by the model alone.
    pub alone: usize,
    /// The call, as said.
    pub said: Transcript,
    /// The call, as recognised through the path.
    pub heard: Transcript,
}

/// Runs samples and call through both.
pub fn measure(pool: &Pool, samples: &Path) -> Result<WordFigures, EvalError> {
    let wav = |name: &str| file::read_wav(&samples.join(name)).map_err(EvalError::Speech);
    let text = |name: &str| std::fs::read_to_string(samples.join(name)).map_err(|e| EvalError::Folder(samples.join(name), e));
    let script: Script = serde_json::from_str(&text("call.json")?).map_err(|e| EvalError::Dialogue("call.json".into(), e.to_string()))?;
    let model = Model::find(None).map_err(EvalError::Speech)?;
    let mut alone = Engine::load(&model.path).map_err(EvalError::Alone)?;
    let (mut wanted, mut path, mut by_model) = (0, 0, 0);
    for row in text("transcripts.tsv")?.lines().skip(1) {
        let mut cells = row.split('\t');
        let (name, said) = (cells.next().unwrap_or_default(), words(cells.next().unwrap_or_default()));
        let mut tracks = wav(name)?;
        tracks.truncate(1);
        tracks.iter_mut().for_each(line);
        let got = pool.transcribe_call(&tracks).map_err(EvalError::Speech)?;
        let text: Vec<String> = got.utterances.iter().map(Utterance::text).collect();
        wanted += said.len();
        path += errors(&said, &words(&text.join(" ")));
        by_model += errors(&said, &piece(&model, &mut alone, &tracks[0].samples)?);
    }
    let mut tracks = wav("call.wav")?;
    for (track, party) in tracks.iter_mut().zip([Party::Customer, Party::Agent]) {
        line(track);
        (track.party, track.leg) = (party, leg(party));
    }
    let heard = pool.transcribe_call(&tracks).map_err(EvalError::Speech)?;
    for (track, party) in tracks.iter().zip([Party::Customer, Party::Agent]) {
        let segments: Vec<&Segment> = script.segments.iter().filter(|s| s.party() == party).collect();
        let said = words(&segments.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" "));
        let of_party = heard.utterances.iter().filter(|u| u.party == party).map(Utterance::text).collect::<Vec<_>>();
        wanted += said.len();
        path += errors(&said, &words(&of_party.join(" ")));
        let at = |seconds: f64| ((seconds.max(0.0) * 8_000.0) as usize).min(track.samples.len());
        let mut got = Vec::new();
        for s in segments {
            got.extend(piece(&model, &mut alone, &track.samples[at(s.start - AROUND_S)..at(s.end + AROUND_S)])?);
        }
        by_model += errors(&said, &got);
    }
    Ok(WordFigures { model: heard.model.clone(), words: wanted, path, alone: by_model, said: said(&script), heard })
}

fn piece(model: &Model, engine: &mut Engine, samples: &[i16]) -> Result<Vec<String>, EvalError> {
    let audio_ctx = model.thresholds.audio_ctx(samples.len(), engine.audio_ctx());
    let limits = Limits { language: "en", audio_ctx, max_tokens: TOKENS_MAX, deadline: PATIENCE };
    let heard = engine.decode(samples, limits).map_err(EvalError::Alone)?;
    Ok(words(&heard.words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")))
}

/// What the telephone does to samples.
fn line(track: &mut TrackAudio) {
    track.samples.iter_mut().for_each(|s| *s = g711::alaw_to_linear(g711::linear_to_alaw(*s)));
}

/// The script as a transcript: a sentence's words share its time.
fn said(script: &Script) -> Transcript {
    let ms = |s: f64| (s * 1_000.0) as u32;
    let utterance = |s: &Segment| {
        let texts: Vec<&str> = s.text.split_whitespace().collect();
        let at = |n: usize| ms(s.start + (s.end - s.start) * n as f64 / texts.len().max(1) as f64);
        let word = |(n, text): (usize, &&str)| Word { text: (*text).into(), from_ms: at(n), to_ms: at(n + 1), confidence: 100 };
        let words = texts.iter().enumerate().map(word).collect();
        let (leg, party) = (leg(s.party()), s.party());
        Utterance { leg, party, from_ms: ms(s.start), to_ms: ms(s.end), words, confidence: 100, rejected: None }
    };
    let mut utterances: Vec<Utterance> = script.segments.iter().map(utterance).collect();
    utterances.sort_by_key(|u| u.from_ms);
    let coverage = [Party::Customer, Party::Agent].map(|party| LegCoverage::all(leg(party), 1)).to_vec();
    Transcript { model: "script".into(), language: "en".into(), utterances, coverage }
}
