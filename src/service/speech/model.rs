//! Which model file, and how it wants to be asked and believed.
//!
//! A file `ggml-NAME[-q…].bin` reads its thresholds from `NAME.toml` beside it; without one the defaults for official
//! Whisper models hold. At run time: the configured path, else `models/` beside the executable, its parents, or the
//! working directory.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::pool::SpeechError;

/// The file that the project carries.
pub const DEMO_MODEL: &str = "ggml-demo-phone.en-q8_0.bin";

/// How many folders above the executable are searched for `models/`: `target/debug/deps` is three deep.
const PARENTS: usize = 5;

/// A model file that exists, with its thresholds.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The ggml file.
    pub path: PathBuf,
    /// How to ask it and when to believe it.
    pub thresholds: Thresholds,
}

/// One model's measured values; see `models/demo-phone.en.toml` for the meaning of each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// What a transcript says that it was made by; empty means the file's name.
    pub name: String,
    /// BCP 47.
    pub language: String,
    /// Shown wherever a user meets this model's words.
    pub note: Option<String>,
    /// Positions added to 50 per second of audio.
    pub audio_ctx_margin: u32,
    /// The context is rounded up to a multiple of this.
    pub audio_ctx_multiple: u32,
    /// The context is never smaller.
    pub audio_ctx_floor: u32,
    /// No-speech probability above which text is not believed.
    pub no_speech_max: f32,
    /// Whether that decides alone, or only with a log probability under −1.0.
    pub no_speech_alone: bool,
    /// Mean log probability of the tokens under which text is not believed.
    pub logprob_min: f32,
    /// Highest believable ratio of text to its packed size.
    pub compression_max: f32,
    /// Highest believable speed of speech.
    pub words_per_voiced_second_max: f32,
    /// Phrases that the model says on its own; need a long and sure utterance.
    pub stock_phrases: Vec<String>,
    /// Phrases that it says on its own but people say too; need a sure utterance.
    pub said_phrases: Vec<String>,
    /// How long is long, voiced milliseconds.
    pub stock_voiced_min_ms: u32,
    /// How sure is sure, mean log probability.
    pub stock_logprob_min: f32,
}

impl Default for Thresholds {
    fn default() -> Self {
        let list = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect();
        Self {
            name: String::new(),
            language: "en".to_owned(),
            note: None,
            audio_ctx_margin: 128,
            audio_ctx_multiple: 64,
            audio_ctx_floor: 384,
            no_speech_max: 0.6,
            no_speech_alone: false,
            logprob_min: -1.5,
            compression_max: 2.4,
            words_per_voiced_second_max: 7.0,
            stock_phrases: list(&[
                "thanks for watching",
                "thank you for watching",
                "please subscribe",
                "subtitles by the amara.org community",
                "you",
            ]),
            said_phrases: list(&["thank you", "thank you very much", "bye", "okay"]),
            stock_voiced_min_ms: 1_500,
            stock_logprob_min: -0.7,
        }
    }
}

impl Model {
    /// Finds the model: the file or the name that is `configured`, else the demo model in a `models/` folder near the executable.
    pub fn find(configured: Option<&Path>) -> Result<Self, SpeechError> {
        let path = match configured {
            Some(path) => match path.to_str().filter(|name| is_name(name)) {
                Some(name) => return Self::named(name),
                None => path.to_owned(),
            },
            None => candidates().into_iter().find(|p| p.is_file()).ok_or(SpeechError::NoModel)?,
        };
        Self::at(path)
    }

    /// Finds `ggml-NAME.bin`, else one of its quantisations, in a `models/` folder near the executable.
    pub fn named(name: &str) -> Result<Self, SpeechError> {
        let exact = format!("ggml-{name}.bin");
        let quantised = format!("ggml-{name}-q");
        let files = || installed_files().into_iter();
        let named = |path: &PathBuf, matches: &dyn Fn(&str) -> bool| path.file_name().and_then(|n| n.to_str()).is_some_and(matches);
        let found = files().find(|p| named(p, &|n| n == exact)).or_else(|| files().find(|p| named(p, &|n| n.starts_with(&quantised))));
        let missing = || {
            let hint = format!("`throughline model fetch {name}` brings an official one, `throughline model list` shows what is there");
            SpeechError::Model(format!("there is no model \"{name}\"; {hint}"))
        };
        Self::at(found.filter(|_| is_name(name)).ok_or_else(missing)?)
    }

    /// Every model in the `models/` folders near the executable, by name; the nearest folder wins.
    pub fn installed() -> Vec<Self> {
        let mut models: Vec<Self> = Vec::new();
        for model in installed_files().into_iter().filter_map(|path| Self::at(path).ok()) {
            if !models.iter().any(|m| m.path.file_name() == model.path.file_name()) {
                models.push(model);
            }
        }
        models.sort_by_key(|m| m.path.file_name().map(std::ffi::OsStr::to_owned));
        models
    }

    fn at(path: PathBuf) -> Result<Self, SpeechError> {
        if !path.is_file() {
            return Err(SpeechError::NoModel);
        }
        let thresholds = Thresholds::beside(&path)?;
        Ok(Self { path, thresholds })
    }

    /// What a transcript says that it was made by.
    pub fn name(&self) -> String {
        if self.thresholds.name.is_empty() { stem(&self.path) } else { self.thresholds.name.clone() }
    }
}

impl Thresholds {
    /// Reads the file beside the model; the defaults when there is none.
    fn beside(model: &Path) -> Result<Self, SpeechError> {
        let path = model.with_file_name(format!("{}.toml", stem(model)));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(SpeechError::Thresholds { path, why: e.to_string() }),
        };
        toml::from_str(&text).map_err(|e| SpeechError::Thresholds { path, why: e.to_string() })
    }

    /// Encoder positions for `samples` at 8 kHz, at most the model's own `most`; `most` for audio of over 12 s.
    pub fn audio_ctx(&self, samples: usize, most: u32) -> u32 {
        if samples > 12 * super::RATE {
            return most;
        }
        let positions = u32::try_from(samples * 50 / super::RATE + 1).unwrap_or(most);
        let multiple = self.audio_ctx_multiple.max(1);
        (positions + self.audio_ctx_margin).max(self.audio_ctx_floor).div_ceil(multiple).saturating_mul(multiple).min(most)
    }
}

/// `ggml-demo-phone.en-q8_0.bin` → `demo-phone.en`.
pub fn stem(path: &Path) -> String {
    let name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.strip_prefix("ggml-").unwrap_or(&name);
    match name.rsplit_once("-q") {
        Some((head, tail)) if tail.starts_with(|c: char| c.is_ascii_digit()) => head.to_owned(),
        _ => name.to_owned(),
    }
}

/// The folder of carried samples (`call.wav`, `call.json`, …), where there is one.
pub fn samples() -> Option<PathBuf> {
    folders().into_iter().map(|f| f.join("samples")).find(|f| f.is_dir())
}

fn candidates() -> Vec<PathBuf> {
    folders().into_iter().map(|f| f.join(DEMO_MODEL)).collect()
}

/// Whether a configured model is a name rather than a path: no separator, no `.bin`.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !text.is_empty() && text.chars().all(plain) && !text.ends_with(".bin") && !text.starts_with('.')
}

/// The ggml files of all folders, nearest folder first, by name within one.
fn installed_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in folders() {
        let mut here: Vec<PathBuf> = std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        here.retain(|p| p.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with("ggml-") && n.ends_with(".bin")));
        here.sort();
        files.extend(here);
    }
    files
}

/// Every `models/` folder that may be meant, nearest first.
pub fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Ok(exe) = std::env::current_exe() {
        folders.extend(exe.ancestors().skip(1).take(PARENTS).map(Path::to_owned));
    }
    folders.extend(std::env::current_dir());
    folders.into_iter().map(|f| f.join("models")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thresholds_file_is_named_after_the_model_without_its_quantisation() {
        assert_eq!(stem(Path::new("/m/ggml-demo-phone.en-q8_0.bin")), "demo-phone.en");
        assert_eq!(stem(Path::new("ggml-base.en.bin")), "base.en");
        assert_eq!(stem(Path::new("ggml-small-q5_1.bin")), "small");
    }

    #[test]
    fn the_demo_model_and_its_thresholds_are_found() {
        let model = Model::find(None).expect("models/ is in the repository");
        assert_eq!(model.name(), "demo-phone.en");
        assert!(model.thresholds.no_speech_alone);
    }

    #[test]
    fn a_missing_model_says_what_to_do() {
        let error = Model::find(Some(Path::new("/nowhere/ggml-x.bin"))).expect_err("there is none");
        assert!(error.to_string().starts_with("There is no speech model: put a ggml file"), "{error}");
    }

    #[test]
    fn a_model_is_found_by_its_name_with_or_without_its_quantisation_and_never_by_a_path_in_disguise() {
        for name in ["demo-phone.en", "demo-phone.en-q8_0"] {
            assert_eq!(Model::find(Some(Path::new(name))).expect("carried").name(), "demo-phone.en");
        }
        for name in ["tiny.en-none", "../models/demo-phone.en", "", ".."] {
            let error = Model::named(name).expect_err("there is none").to_string();
            assert!(error.contains("throughline model list"), "{error}");
        }
        assert!(Model::installed().iter().any(|m| m.name() == "demo-phone.en"));
    }

    #[test]
    fn the_context_fits_the_audio_and_never_exceeds_the_model() {
        let t = Thresholds::default();
        assert_eq!(t.audio_ctx(8_000, 1_500), 384);
        assert_eq!(t.audio_ctx(10 * 8_000, 1_500), 640);
        assert_eq!(t.audio_ctx(10 * 8_000, 500), 500);
        assert_eq!(t.audio_ctx(29 * 8_000, 1_500), 1_500);
    }
}
