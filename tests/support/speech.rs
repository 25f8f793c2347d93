//! What was said on the carried samples, and how far from it some words are.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use throughline::{
    ids::Party,
    protocol::audio::g711,
    service::speech::{
        decode::{Engine, Limits},
        model::Model,
        word_errors::words,
    },
};

pub fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples")
}

/// One sentence of the carried call.
pub struct Said {
    pub party: Party,
    pub from_s: f64,
    pub to_s: f64,
    pub text: String,
}

/// The carried call, sentence by sentence.
pub fn said() -> Vec<Said> {
    let text = std::fs::read_to_string(samples().join("call.json")).expect("carried");
    let script: Value = serde_json::from_str(&text).expect("JSON");
    let segments = script["segments"].as_array().expect("a list");
    let one = |s: &Value| Said {
        party: if s["channel"] == 0 { Party::Customer } else { Party::Agent },
        from_s: s["start"].as_f64().expect("seconds"),
        to_s: s["end"].as_f64().expect("seconds"),
        text: s["text"].as_str().expect("text").to_owned(),
    };
    segments.iter().map(one).collect()
}

/// All words of one side of the carried call.
pub fn said_words(party: Party) -> Vec<String> {
    let all: Vec<String> = said().into_iter().filter(|s| s.party == party).map(|s| s.text).collect();
    words(&all.join(" "))
}

/// The two laws of ITU-T G.711.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    A,
    Mu,
}

impl Law {
    /// What a line does to the samples.
    pub fn there_and_back(self, samples: &[i16]) -> Vec<i16> {
        let sample = |s: &i16| match self {
            Self::A => g711::alaw_to_linear(g711::linear_to_alaw(*s)),
            Self::Mu => g711::ulaw_to_linear(g711::linear_to_ulaw(*s)),
        };
        samples.iter().map(sample).collect()
    }
}

/// The model without our path: given exactly what is said, sentence by sentence.
pub struct Alone {
    model: Model,
    engine: Engine,
}

impl Alone {
    pub fn load() -> Self {
        let model = Model::find(None).expect("carried");
        let engine = Engine::load(&model.path).expect("loads");
        Self { model, engine }
    }

    pub fn piece(&mut self, samples: &[i16]) -> Vec<String> {
        let audio_ctx = self.model.thresholds.audio_ctx(samples.len(), self.engine.audio_ctx());
        let limits = Limits { language: "en", audio_ctx, max_tokens: 100, deadline: Duration::from_secs(30) };
        let heard = self.engine.decode(samples, limits).expect("decodes");
        words(&heard.words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" "))
    }

    /// One side of the carried call, cut by the script's times with 150 ms around.
    pub fn call(&mut self, samples: &[i16], party: Party) -> Vec<String> {
        const AROUND_S: f64 = 0.15;
        let at = |seconds: f64| (seconds.max(0.0) * 8_000.0) as usize;
        let sentences = said().into_iter().filter(|s| s.party == party);
        sentences.flat_map(|s| self.piece(&samples[at(s.from_s - AROUND_S)..at(s.to_s + AROUND_S).min(samples.len())])).collect()
    }
}
