//! `speech.toml`: which models, how many workers, a service in their place.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Redaction,
    reader::{Mistakes, Section},
    trunks::Secret,
};
use crate::service::egress::Address;

/// Where official models are fetched from.
pub const OFFICIAL_MODELS: &str = "https://huggingface.co/ggerganov/whisper.cpp/resolve/main";

/// `[speech]`: speech to text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speech {
    /// Whether calls are transcribed.
    pub enabled: bool,
    /// For words while they are said: a name in `models/`, or a ggml file; `None` looks for the demo model.
    pub live_model: Option<PathBuf>,
    /// For words after the call.
    pub after_call_model: Option<PathBuf>,
    /// Worker processes; 0 chooses cores − 1, at least 1.
    pub workers: u16,
    /// Where `throughline model fetch` fetches from.
    pub models_from: Address,
    /// A service instead of workers.
    pub endpoint: Option<SpeechEndpoint>,
    /// Whether words are shown while they are spoken.
    pub live: bool,
    /// Whether long utterances show words before they end.
    pub partial: bool,
    /// Threads that listen to calls in progress.
    pub front_end_threads: u16,
    /// Numbers that must not be kept.
    pub redaction: Redaction,
}

/// What a service does in the workers' place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointFor {
    /// Everything.
    Both,
    /// Words while they are said.
    Live,
    /// Words after the call.
    AfterCall,
}

/// `[speech.endpoint]`: a service with OpenAI's transcription interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeechEndpoint {
    /// Base address.
    pub url: Address,
    /// The model's name there.
    pub model: String,
    /// BCP 47, or `auto`.
    pub language: String,
    /// Where the key is; its text, once read.
    pub key: Option<Secret>,
    /// For one utterance.
    pub timeout: Duration,
    /// Questions at once.
    pub parallel: u16,
    /// What it does.
    pub serves: EndpointFor,
}

pub(super) fn read(s: &mut Section<'_>, redaction: Redaction) -> Speech {
    let model = name_or_path(s, "model");
    let live_model = name_or_path(s, "live_model").or_else(|| model.clone());
    let after_call_model = name_or_path(s, "after_call_model").or(model);
    let models_from = address(s, "models_from", OFFICIAL_MODELS);
    let endpoint = s.has("endpoint").then(|| s.table("endpoint", endpoint)).flatten();
    Speech {
        enabled: s.flag("enabled", true),
        live_model,
        after_call_model,
        workers: u16::try_from(s.number("workers", 0, 0..=64)).unwrap_or(0),
        models_from: models_from.unwrap_or_else(official),
        endpoint,
        live: s.flag("live", true),
        partial: s.flag("partial", true),
        front_end_threads: u16::try_from(s.number("front_end_threads", 1, 1..=64)).unwrap_or(1),
        redaction,
    }
}

fn official() -> Address {
    OFFICIAL_MODELS.parse().expect("a constant, which a test reads")
}

/// A model's name (`base.en`), or a path to a ggml file.
fn name_or_path(s: &mut Section<'_>, key: &'static str) -> Option<PathBuf> {
    let text = s.optional_text(key).filter(|text| !text.is_empty())?;
    let path = Path::new(&text);
    let is_path = text.contains('/') || path.extension().is_some_and(|e| e == "bin");
    let is_name = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if !is_path && !is_name {
        let remedy = "Name one that `throughline model list` shows, such as \"base.en\", or give the path of a ggml file";
        s.mistake(key, format!("\"{text}\" is neither the name of a model nor a file"), remedy);
        return None;
    }
    Some(path.to_owned())
}

pub(super) fn address(s: &mut Section<'_>, key: &'static str, default: &str) -> Option<Address> {
    let text = s.text(key, default);
    text.parse().map_err(|why: String| s.mistake(key, why, "Write it such as \"http://127.0.0.1:8000\"")).ok()
}

fn endpoint(s: &mut Section<'_>) -> Option<SpeechEndpoint> {
    let _ = s.required_text("url", "http://127.0.0.1:8000");
    let url = s.has("url").then(|| address(s, "url", "")).flatten();
    let model = s.required_text("model", "whisper-1");
    let key = s.optional_text("key_file").filter(|text| !text.is_empty()).map(|path| Secret::File(PathBuf::from(path)));
    let endpoint = SpeechEndpoint {
        language: s.text("language", "en"),
        timeout: Duration::from_secs(s.number("timeout_seconds", 20, 1..=300).unsigned_abs()),
        parallel: u16::try_from(s.number("parallel", 4, 1..=64)).unwrap_or(4),
        serves: s.choice("for", &[("both", EndpointFor::Both), ("live", EndpointFor::Live), ("after_call", EndpointFor::AfterCall)]),
        url: url?,
        model,
        key,
    };
    if endpoint.key.is_some() && !endpoint.url.is_secure() && !is_here(&endpoint.url) {
        s.mistake("url", "the key would travel readable", "Use https://, or a service on this machine");
    }
    Some(endpoint)
}

/// Whether an address never leaves this machine.
fn is_here(address: &Address) -> bool {
    address.host() == "localhost" || address.host().parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Fetches the service's key from its file; a relative path is relative to the configuration's folder.
pub(super) fn read_secrets(speech: &mut Speech, folder: &Path, mistakes: &Mistakes) {
    let Some(key) = speech.endpoint.as_mut().and_then(|e| e.key.as_mut()) else { return };
    let remedy = "Write the service's key there, readable by this user alone";
    match key.read(folder) {
        Ok(text) if !text.is_empty() => *key = Secret::Text(text),
        Ok(_) => mistakes.add("speech.toml", "speech.endpoint.key_file", "the key is empty", remedy),
        Err(problem) => mistakes.add("speech.toml", "speech.endpoint.key_file", problem, remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Mistake};

    fn parse(text: &str) -> Result<Speech, Vec<Mistake>> {
        Config::parse(&[("speech.toml".to_owned(), text.to_owned())]).map(|c| c.speech)
    }

    fn keys(text: &str) -> Vec<String> {
        parse(text).expect_err("mistakes").into_iter().map(|m| format!("{} {}", m.file, m.key)).collect()
    }

    #[test]
    fn one_model_serves_both_unless_they_are_told_apart() {
        let speech = parse("[speech]\nmodel = \"tiny.en\"\nafter_call_model = \"/srv/models/ggml-small.en.bin\"\n").expect("valid");
        assert_eq!(speech.live_model, Some("tiny.en".into()));
        assert_eq!(speech.after_call_model, Some("/srv/models/ggml-small.en.bin".into()));
        let speech = parse("").expect("valid");
        assert_eq!((speech.live_model, speech.after_call_model, speech.endpoint), (None, None, None));
        assert_eq!(speech.models_from.to_string(), OFFICIAL_MODELS);
    }

    #[test]
    fn a_service_is_read_with_its_limits() {
        let speech = parse("[speech.endpoint]\nurl = \"http://127.0.0.1:8000\"\nmodel = \"small\"\nfor = \"after_call\"\n").expect("valid");
        let endpoint = speech.endpoint.expect("given");
        assert_eq!((endpoint.serves, endpoint.parallel, endpoint.timeout), (EndpointFor::AfterCall, 4, Duration::from_secs(20)));
    }

    #[test]
    fn mistakes_are_told_with_file_and_key() {
        assert_eq!(keys("[speech]\nlive_model = \"base en\"\n"), ["speech.toml speech.live_model"]);
        assert_eq!(keys("[speech]\nmodels_from = \"mirror\"\n"), ["speech.toml speech.models_from"]);
        assert_eq!(keys("[speech.endpoint]\nmodel = \"x\"\n"), ["speech.toml speech.endpoint.url"]);
        assert_eq!(keys("[speech.endpoint]\nurl = \"https://h\"\n"), ["speech.toml speech.endpoint.model"]);
        let all = "[speech.endpoint]\nurl = \"h:1\"\nmodel = \"x\"\nfor = \"some\"\nparallel = 0\nkey = \"secret\"\n";
        let wanted = ["for", "key", "parallel", "url"].map(|key| format!("speech.toml speech.endpoint.{key}"));
        assert_eq!(keys(all), wanted);
        let readable = "[speech.endpoint]\nurl = \"http://speech.example.com\"\nmodel = \"x\"\nkey_file = \"speech.key\"\n";
        assert_eq!(keys(readable), ["speech.toml speech.endpoint.url"]);
    }
}
