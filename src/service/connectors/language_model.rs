//! A language model behind an OpenAI-compatible endpoint (llama.cpp server, Ollama, vLLM) that is asked for a call's card.
//!
//! ```text
//! transcript (masked) ─▶ request ─▶ POST BASE/chat/completions ─▶ answer ─▶ model_card::read ─▶ card │ trouble: the card by rules
//! ```
//! Only the configured address is spoken to. What comes back is untrusted: `domain/insight/model_card` believes places only.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use crate::{
    domain::insight::{
        card::Context,
        model_card::{self, ModelCard, Refused},
        utterance::Transcript,
    },
    service::egress::{self, Address, EgressError, Patience, Question},
};

/// Largest answer, octets: the longest form in its envelope, many times over.
const ANSWER_MAX: usize = 256 * 1024;
/// Longest key, octets.
const KEY_MAX: usize = 4 * 1024;

/// How the model is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanguageModelConfig {
    /// The service.
    pub base: Address,
    /// As the service calls it.
    pub model: String,
    /// A file with the key, where the service wants one; read at each use, so that a new key needs no restart.
    pub key_file: Option<PathBuf>,
    /// Longest wait for an answer.
    pub patience: Duration,
}

/// Why the model gave no card.
#[derive(Debug, thiserror::Error)]
pub enum LanguageModelError {
    /// The way to it.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// Anything but 200.
    #[error("{0} answered {1}")]
    Status(Address, u16),
    /// The key.
    #[error("the key file {} cannot be read ({error})", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// An envelope that is none.
    #[error("the language model's answer is not a chat completion")]
    Envelope,
    /// What was in it.
    #[error(transparent)]
    Refused(#[from] Refused),
}

#[derive(Deserialize)]
struct Envelope {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

/// A language model that can be asked.
#[derive(Clone, Debug)]
pub struct LanguageModel {
    config: LanguageModelConfig,
}

impl LanguageModelConfig {
    /// One question and the whole of a 200; blocks.
    fn ask(&self, key: Option<&str>, body: &[u8]) -> Result<Vec<u8>, LanguageModelError> {
        let bearer = key.map(|key| format!("Bearer {key}"));
        let mut headers = vec![("Content-Type", "application/json"), ("Accept", "application/json")];
        headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
        let question = Question { method: "POST", path: "/chat/completions", headers: &headers, body };
        let patience = Patience { total: Some(self.patience), idle: self.patience };
        match egress::ask(&self.base, &question, patience, ANSWER_MAX)? {
            (200, answer) => Ok(answer),
            (status, _) => Err(LanguageModelError::Status(self.base.clone(), status)),
        }
    }
}

impl LanguageModel {
    /// By its configuration; nothing is asked yet.
    pub fn new(config: LanguageModelConfig) -> Self {
        Self { config }
    }

    /// Its name, for the record.
    pub fn name(&self) -> &str {
        &self.config.model
    }

    /// The card of a call, from the words as they are kept: already masked.
    pub async fn card(&self, transcript: &Transcript, context: &Context<'_>) -> Result<ModelCard, LanguageModelError> {
        let body = model_card::request(transcript, &self.config.model)?.to_string();
        let key = self.key().await?;
        let config = self.config.clone();
        let asked = tokio::task::spawn_blocking(move || config.ask(key.as_deref(), body.as_bytes())).await;
        let answer = asked.unwrap_or(Err(LanguageModelError::Envelope))?;
        let envelope: Envelope = serde_json::from_slice(&answer).map_err(|_| LanguageModelError::Envelope)?;
        let choice = envelope.choices.first().ok_or(LanguageModelError::Envelope)?;
        Ok(model_card::read(&choice.message.content, transcript, context)?)
    }

    async fn key(&self) -> Result<Option<String>, LanguageModelError> {
        let Some(path) = &self.config.key_file else { return Ok(None) };
        let failed = |error| LanguageModelError::Key { path: path.clone(), error };
        let key = tokio::fs::read_to_string(path).await.map_err(failed)?;
        let key = key.trim();
        let plain = key.len() <= KEY_MAX && key.bytes().all(|b| b.is_ascii_graphic());
        if plain { Ok(Some(key.to_owned())) } else { Err(failed(std::io::Error::other("it must be one line of printable ASCII"))) }
    }
}
