//! Whisper itself, inside the worker process: one context, one state, one thread, greedy, bounded in time and tokens.
//!
//! Timestamps stay on: without them whisper.cpp forbids an empty answer, and silence becomes a word.

use std::{ffi::c_void, path::Path, time::Duration, time::Instant};

use whisper_rs::{FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperState};

use super::{
    resample,
    transcribe::{Heard, HeardWord},
};

/// A loaded model.
pub struct Engine {
    context: WhisperContext,
    state: WhisperState,
    /// Built once per language: the binding leaks a string per `set_language`.
    params: Option<(String, FullParams<'static, 'static>)>,
}

/// How to decode one utterance.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// BCP 47.
    pub language: &'a str,
    /// Encoder positions to look at.
    pub audio_ctx: u32,
    /// Most tokens.
    pub max_tokens: u32,
    /// Give up after so long.
    pub deadline: Duration,
}

impl Engine {
    /// Loads a ggml file.
    pub fn load(path: &Path) -> Result<Self, String> {
        whisper_rs::install_logging_hooks();
        let context = WhisperContext::new_with_params(path, WhisperContextParameters::default())
            .map_err(|e| format!("{} is not a model that can be loaded ({e})", path.display()))?;
        let state = context.create_state().map_err(|e| format!("no memory for the model's state ({e})"))?;
        Ok(Self { context, state, params: None })
    }

    /// Encoder positions of the model: 50 per second.
    pub fn audio_ctx(&self) -> u32 {
        u32::try_from(self.context.model_n_audio_ctx()).unwrap_or(0)
    }

    /// Turns 8 kHz mono into words.
    pub fn decode(&mut self, samples: &[i16], limits: Limits<'_>) -> Result<Heard, String> {
        let mut params = self.params_for(limits.language);
        params.set_audio_ctx(i32::try_from(limits.audio_ctx).unwrap_or(0));
        params.set_max_tokens(i32::try_from(limits.max_tokens).unwrap_or(0));
        #[expect(clippy::disallowed_methods, reason = "the worker process owns this clock: it only bounds one decode")]
        let deadline = Instant::now() + limits.deadline;
        let audio = resample::up(samples);
        #[expect(unsafe_code, reason = "the safe abort callback of the binding is unsound; `deadline` outlives the call to full()")]
        unsafe {
            params.set_abort_callback(Some(past_deadline));
            params.set_abort_callback_user_data((&raw const deadline).cast_mut().cast::<c_void>());
        }
        self.state.full(params, &audio).map_err(|e| format!("decode failed ({e})"))?;
        Ok(self.heard(limits.language))
    }

    fn params_for(&mut self, language: &str) -> FullParams<'static, 'static> {
        match &self.params {
            Some((for_language, params)) if for_language == language => params.clone(),
            _ => {
                let params = fixed_params(language);
                self.params = Some((language.to_owned(), params.clone()));
                params
            }
        }
    }

    fn heard(&self, language: &str) -> Heard {
        let end_of_text = self.context.token_eot();
        let mut words: Vec<Building> = Vec::new();
        let (mut no_speech, mut logprob, mut tokens) = (0f32, 0f32, 0u32);
        for segment in self.state.as_iter() {
            no_speech = no_speech.max(segment.no_speech_probability());
            for token in (0..segment.n_tokens()).filter_map(|i| segment.get_token(i)) {
                if token.token_id() >= end_of_text {
                    continue;
                }
                let (data, bytes) = (token.token_data(), token.to_bytes().unwrap_or_default());
                logprob += data.plog;
                tokens += 1;
                let new_word = bytes.first() == Some(&b' ');
                match words.last_mut() {
                    Some(word) if !new_word => word.push(bytes, data.t1, data.p),
                    _ => words.push(Building::new(bytes, data.t0, data.t1, data.p)),
                }
            }
        }
        let words: Vec<HeardWord> = words.into_iter().filter_map(Building::finish).collect();
        Heard { language: language.to_owned(), no_speech, logprob: logprob / tokens.max(1) as f32, words }
    }
}

/// Everything that is the same for every utterance: temperature 0 and no fallback, no context, one segment.
fn fixed_params(language: &str) -> FullParams<'static, 'static> {
    let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
    params.set_n_threads(1);
    // Leaked once per change of language, as the binding itself does with its copy.
    params.set_language(Some(Box::leak(language.to_owned().into_boxed_str())));
    params.set_translate(false);
    params.set_no_context(true);
    params.set_no_timestamps(false);
    params.set_single_segment(true);
    params.set_token_timestamps(true);
    params.set_suppress_blank(true);
    params.set_suppress_nst(true);
    params.set_temperature(0.0);
    params.set_temperature_inc(0.0);
    // The gates decide, with a reason: the library must not drop text silently.
    params.set_no_speech_thold(2.0);
    params.set_print_special(false);
    params.set_print_progress(false);
    params.set_print_realtime(false);
    params.set_print_timestamps(false);
    params
}

/// Called by ggml between graph computations; true aborts.
#[expect(unsafe_code, reason = "C callback: user_data is the deadline on decode's stack, alive for the whole call")]
unsafe extern "C" fn past_deadline(user_data: *mut c_void) -> bool {
    let deadline = unsafe { *user_data.cast::<Instant>() };
    #[expect(clippy::disallowed_methods, reason = "the worker process owns this clock: it only bounds one decode")]
    let now = Instant::now();
    now > deadline
}

/// A word while its tokens are gathered; a character may span tokens.
struct Building {
    bytes: Vec<u8>,
    from_cs: i64,
    to_cs: i64,
    probability: f32,
    tokens: u32,
}

impl Building {
    fn new(bytes: &[u8], from_cs: i64, to_cs: i64, probability: f32) -> Self {
        Self { bytes: bytes.to_vec(), from_cs, to_cs, probability, tokens: 1 }
    }

    fn push(&mut self, bytes: &[u8], to_cs: i64, probability: f32) {
        self.bytes.extend_from_slice(bytes);
        self.to_cs = to_cs;
        self.probability += probability;
        self.tokens += 1;
    }

    fn finish(self) -> Option<HeardWord> {
        let text: String = String::from_utf8_lossy(&self.bytes).chars().filter(|c| !c.is_control()).collect();
        let text = text.trim().to_owned();
        let ms = |cs: i64| u32::try_from(cs.max(0) * 10).unwrap_or(u32::MAX);
        let probability = self.probability / self.tokens as f32;
        text.contains(char::is_alphanumeric).then(|| HeardWord { text, from_ms: ms(self.from_cs), to_ms: ms(self.to_cs), probability })
    }
}
