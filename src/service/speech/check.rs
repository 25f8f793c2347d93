//! `throughline model check`: how fast a model is on this machine, how short a context it bears, when to believe it.
//!
//! It decodes spoken samples at every context and what is no speech at all, and proposes `models/NAME.toml` from it.

use std::{f32::consts::TAU, fmt::Write as _, path::Path, time::Duration};

use super::{
    RATE,
    decode::{Engine, Limits},
    file,
    model::{Model, Thresholds},
    pool::SpeechError,
    transcribe::Heard,
    word_errors::{errors, words},
};

/// Contexts that are tried as a floor.
const CONTEXTS: [u32; 11] = [64, 128, 192, 256, 320, 384, 512, 640, 768, 1_024, 1_280];
/// Longest decode here; a large model on a slow machine takes minutes for 30 s.
const DECODE_MAX: Duration = Duration::from_secs(600);
/// What a folder of samples holds.
const NEEDED: &str = "WAV files of 8 or 16 kHz and transcripts.tsv: a line of headings, then file, tab, words";
/// Seconds of each kind of no speech.
const NO_SPEECH_S: usize = 4;
/// How much of a call each of its two legs speaks.
const TALK: f64 = 0.45;
/// What cutting, padding and retries add to the audio that is decoded.
const EXTRA: f64 = 1.15;
/// Busier than this, utterances wait too long.
const BUSY: f64 = 0.8;

/// A spoken sample and its words.
pub struct Sample {
    samples: Vec<i16>,
    words: Vec<String>,
}

/// What one pass over all samples costs and gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pass {
    /// Context floor of the pass.
    pub floor: u32,
    /// Words wrong, missing or too many.
    pub errors: usize,
    /// Processor milliseconds per second of audio, on one thread.
    pub ms_per_s: f64,
}

/// Everything measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Loading, milliseconds of processor time.
    pub load_ms: u128,
    /// Words in the samples.
    pub words: usize,
    /// By floor, ascending; the last is the whole context.
    pub passes: Vec<Pass>,
    /// Smallest floor at which the words stay.
    pub floor: u32,
    /// (no-speech probability, log probability) of each sample.
    pub speech: Vec<(f32, f32)>,
    /// The same of what is no speech, with its name and what the model made of it.
    pub no_speech: Vec<(&'static str, f32, f32, String)>,
}

/// Reads `transcripts.tsv` (file, words) and the WAV files beside it.
pub fn samples(folder: &Path) -> Result<Vec<Sample>, SpeechError> {
    let table = folder.join("transcripts.tsv");
    let wrong = |why: String| SpeechError::File { path: table.clone(), why: format!("{why}; --samples takes a folder with {NEEDED}") };
    let text = std::fs::read_to_string(&table).map_err(|e| wrong(e.to_string()))?;
    if text.lines().nth(1).is_none() {
        return Err(wrong("it names no sample".into()));
    }
    let rows = text.lines().skip(1).filter_map(|line| line.split_once('\t'));
    rows.map(|(name, said)| {
        let mut tracks = file::read_wav(&folder.join(name))?;
        let said = said.split('\t').next().unwrap_or_default();
        Ok(Sample { samples: tracks.swap_remove(0).samples, words: words(said) })
    })
    .collect()
}

/// Measures a model; `say` is told what is being done.
pub fn measure(model: &Model, samples: &[Sample], say: &mut dyn FnMut(&str)) -> Result<Measured, SpeechError> {
    let begun = processor_ms();
    let mut engine = Engine::load(&model.path).map_err(SpeechError::Model)?;
    let load_ms = (processor_ms() - begun) as u128;
    let most = engine.audio_ctx();
    let mut passes = Vec::new();
    let mut speech = Vec::new();
    for floor in CONTEXTS.into_iter().filter(|c| *c < most).chain([most]) {
        say(&format!("audio_ctx from {floor}"));
        let (pass, heard) = pass(&mut engine, model, samples, floor)?;
        speech = heard;
        passes.push(pass);
    }
    let mut no_speech = Vec::new();
    for (name, audio) in no_speech_audio() {
        say(name);
        let heard = decode(&mut engine, &model.thresholds, &audio, 0)?;
        no_speech.push((name, heard.no_speech, heard.logprob, text(&heard)));
    }
    let words = samples.iter().map(|s| s.words.len()).sum();
    let floor = floor(&passes, words);
    Ok(Measured { load_ms, words, passes, floor, speech, no_speech })
}

fn pass(engine: &mut Engine, model: &Model, samples: &[Sample], floor: u32) -> Result<(Pass, Vec<(f32, f32)>), SpeechError> {
    let (mut wrong, mut audio, mut speech) = (0, 0, Vec::new());
    let begun = processor_ms();
    for sample in samples {
        let heard = decode(engine, &model.thresholds, &sample.samples, floor)?;
        wrong += errors(&sample.words, &words(&text(&heard)));
        audio += sample.samples.len();
        speech.push((heard.no_speech, heard.logprob));
    }
    let seconds = audio as f64 / RATE as f64;
    Ok((Pass { floor, errors: wrong, ms_per_s: (processor_ms() - begun) / seconds.max(0.1) }, speech))
}

fn decode(engine: &mut Engine, thresholds: &Thresholds, audio: &[i16], floor: u32) -> Result<Heard, SpeechError> {
    let most = engine.audio_ctx();
    let audio_ctx = Thresholds { audio_ctx_floor: floor, ..thresholds.clone() }.audio_ctx(audio.len(), most);
    let seconds = u32::try_from(audio.len().div_ceil(RATE)).unwrap_or(u32::MAX);
    let max_tokens = 8 + 8u32.saturating_mul(seconds);
    engine.decode(audio, Limits { language: &thresholds.language, audio_ctx, max_tokens, deadline: DECODE_MAX }).map_err(SpeechError::Model)
}

/// The smallest floor from which on the words are as good as with the whole context: one word or 2 % may differ.
fn floor(passes: &[Pass], words: usize) -> u32 {
    let Some(whole) = passes.last() else { return 0 };
    let allowed = whole.errors + (words / 50).max(1);
    let good = passes.iter().rev().take_while(|p| p.errors <= allowed);
    good.last().map_or(whole.floor, |p| p.floor)
}

impl Measured {
    /// Speed with the proposed floor, milliseconds per second of audio.
    pub fn ms_per_s(&self) -> f64 {
        self.passes.iter().find(|p| p.floor == self.floor).map_or(f64::INFINITY, |p| p.ms_per_s)
    }

    /// Live calls that so many workers carry while they are not too busy.
    pub fn live_calls(&self, workers: usize) -> usize {
        let per_call = self.ms_per_s() / 1_000.0 * 2.0 * TALK * EXTRA;
        (workers as f64 * BUSY / per_call).floor().clamp(0.0, 1e6) as usize
    }

    /// Whether the no-speech probability alone tells speech from none, and the limit between them.
    fn no_speech_max(&self) -> (f32, bool) {
        let highest = self.speech.iter().map(|s| s.0).fold(0.0, f32::max);
        // An answer without text is right, whatever its probability.
        let lowest = self.no_speech.iter().filter(|n| n.1 > 0.0 || !n.3.is_empty()).map(|n| n.1).fold(1.0, f32::min);
        if highest + 0.2 < lowest { (((highest + lowest) / 2.0 * 20.0).round() / 20.0, true) } else { (0.6, false) }
    }

    /// What the model says where nobody speaks, in lower case, without what punctuation there is.
    fn stock_phrases(&self) -> Vec<String> {
        let mut phrases: Vec<String> = self.no_speech.iter().map(|n| words(&n.3).join(" ")).filter(|p| !p.is_empty()).collect();
        phrases.sort();
        phrases.dedup();
        phrases
    }

    /// The report, with what it was measured on.
    pub fn report(&self, model: &Model, workers: usize) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{}: loaded in {} ms; processor time of one thread, {} spoken words, samples of up to 12 s\n",
            model.name(),
            self.load_ms,
            self.words
        );
        let _ = writeln!(out, "{:>14}  {:>12}  {:>11}", "audio_ctx from", "ms per s", "word errors");
        for pass in &self.passes {
            let mark = if pass.floor == self.floor { "  ◀ smallest at which the words stay" } else { "" };
            let _ = writeln!(out, "{:>14}  {:>12.1}  {:>11}{mark}", pass.floor, pass.ms_per_s, pass.errors);
        }
        let range = |values: &[f32]| {
            let (low, high) = values.iter().fold((f32::MAX, f32::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
            format!("{low:.3} … {high:.3}")
        };
        let of = |which: fn(&(f32, f32)) -> f32| self.speech.iter().map(which).collect::<Vec<_>>();
        let _ = writeln!(out, "\nspeech: no-speech probability {}, log probability {}", range(&of(|s| s.0)), range(&of(|s| s.1)));
        for (name, no_speech, logprob, said) in &self.no_speech {
            if said.is_empty() && *no_speech == 0.0 && *logprob == 0.0 {
                let _ = writeln!(out, "{name}: no answer at all, which is right");
                continue;
            }
            let _ = writeln!(out, "{name}: no-speech probability {no_speech:.3}, log probability {logprob:.3}, says \"{said}\"");
        }
        let calls = self.live_calls(workers);
        let _ = writeln!(
            out,
            "\n{workers} worker(s) of this machine carry {calls} live call(s): both legs speaking {:.0} % of the time, workers {:.0} % busy",
            TALK * 100.0,
            BUSY * 100.0
        );
        out
    }

    /// `NAME.toml` as measured; what was not measured stays as it is.
    pub fn thresholds(&self, model: &Model) -> String {
        let old = &model.thresholds;
        let (no_speech_max, alone) = self.no_speech_max();
        let surest = self.speech.iter().map(|s| s.1).fold(0.0, f32::min);
        let logprob_min = (f64::from((surest - 0.5).clamp(-2.5, -1.5)) * 10.0).round() / 10.0;
        let list = |all: &[String]| toml::Value::from(all.to_vec()).to_string();
        let mut stock = old.stock_phrases.clone();
        stock.extend(self.stock_phrases().into_iter().filter(|p| !old.stock_phrases.contains(p) && !old.said_phrases.contains(p)));
        let mut out = format!("# Measured by `throughline model check` on this machine, with {} spoken words.\n", self.words);
        let _ = writeln!(out, "name = \"{}\"\nlanguage = \"{}\"", model.name(), old.language);
        if let Some(note) = &old.note {
            let _ = writeln!(out, "note = {}", toml::Value::from(note.as_str()));
        }
        let _ = writeln!(out, "audio_ctx_margin = {}\naudio_ctx_multiple = {}", old.audio_ctx_margin, old.audio_ctx_multiple);
        let _ = writeln!(out, "audio_ctx_floor = {}", self.floor);
        let _ = writeln!(out, "no_speech_max = {no_speech_max:.2}\nno_speech_alone = {alone}\nlogprob_min = {logprob_min:.1}");
        let _ = writeln!(out, "compression_max = {:.1}", old.compression_max);
        let _ = writeln!(out, "words_per_voiced_second_max = {:.1}", old.words_per_voiced_second_max);
        let _ = writeln!(out, "stock_phrases = {}\nsaid_phrases = {}", list(&stock), list(&old.said_phrases));
        let _ = writeln!(out, "stock_voiced_min_ms = {}\nstock_logprob_min = {:.1}", old.stock_voiced_min_ms, old.stock_logprob_min);
        out
    }
}

/// What a line carries when nobody speaks.
fn no_speech_audio() -> Vec<(&'static str, Vec<i16>)> {
    let n = NO_SPEECH_S * RATE;
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut noise = |peak: i32| -> Vec<i16> {
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 33) as i32 % (2 * peak + 1) - peak) as i16
        };
        (0..n).map(|_| next()).collect()
    };
    let tones = |at: &dyn Fn(usize) -> [f32; 3]| -> Vec<i16> {
        let sample = |i: usize| at(i).iter().map(|hz| 2_500.0 * (TAU * hz * i as f32 / RATE as f32).sin()).sum::<f32>();
        (0..n).map(|i| sample(i) as i16).collect()
    };
    let ring = |i: usize| if i % (RATE * 3) < RATE { [425.0, 0.0, 0.0] } else { [0.0; 3] };
    let chords = [[262.0, 330.0, 392.0], [220.0, 262.0, 330.0], [349.0, 440.0, 523.0], [392.0, 494.0, 587.0]];
    let music = |i: usize| chords[i / (RATE / 2) % 4];
    vec![
        ("silence", vec![0; n]),
        ("an idle line", noise(8)),
        ("noise", noise(600)),
        ("loud noise", noise(6_000)),
        ("ringback", tones(&ring)),
        ("music", tones(&music)),
    ]
}

fn text(heard: &Heard) -> String {
    heard.words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// Processor time of this process: everything here runs on one thread, and other work on the machine does not count.
pub(super) fn processor_ms() -> f64 {
    #[expect(unsafe_code, reason = "clock_gettime fills a struct of two integers on our stack")]
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time);
        time
    };
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(passes: &[(u32, usize, f64)], speech: &[(f32, f32)], no_speech: &[(f32, &str)]) -> Measured {
        let passes: Vec<Pass> = passes.iter().map(|(floor, errors, ms)| Pass { floor: *floor, errors: *errors, ms_per_s: *ms }).collect();
        let no_speech = no_speech.iter().map(|(p, said)| ("noise", *p, -0.9, (*said).to_owned())).collect();
        Measured { load_ms: 5, words: 100, floor: floor(&passes, 100), passes, speech: speech.to_vec(), no_speech }
    }

    #[test]
    fn the_floor_is_the_smallest_from_which_on_the_words_stay() {
        let of = |errors: [usize; 4]| {
            let pass = |(floor, errors)| Pass { floor, errors, ms_per_s: 1.0 };
            floor(&[64, 128, 256, 1_500].into_iter().zip(errors).map(pass).collect::<Vec<_>>(), 100)
        };
        assert_eq!(of([40, 6, 5, 4]), 128, "two words of a hundred may differ");
        assert_eq!(of([4, 40, 4, 4]), 256, "one lucky context below a bad one is none");
        assert_eq!(of([40, 40, 40, 4]), 1_500);
    }

    #[test]
    fn live_calls_follow_from_speed_and_workers() {
        let m = measured(&[(64, 0, 100.0), (1_500, 0, 400.0)], &[], &[]);
        assert_eq!((m.live_calls(1), m.live_calls(4)), (7, 30));
        let slow = measured(&[(1_500, 0, 3_000.0)], &[], &[]);
        assert_eq!(slow.live_calls(1), 0);
    }

    #[test]
    fn the_report_marks_the_floor_and_says_what_is_said_where_nobody_speaks() {
        let model = Model::find(None).expect("carried");
        let no_speech = [(0.99, "Thanks for watching."), (0.0, "")];
        let mut m = measured(&[(64, 9, 10.0), (128, 0, 20.0), (1_500, 0, 40.0)], &[(0.01, -0.2), (0.02, -0.6)], &no_speech);
        m.no_speech[1] = ("music", 0.0, 0.0, String::new());
        let report = m.report(&model, 3);
        for line in [
            "loaded in 5 ms",
            "           128          20.0            0  ◀ smallest at which the words stay",
            "speech: no-speech probability 0.010 … 0.020, log probability -0.600 … -0.200",
            "noise: no-speech probability 0.990, log probability -0.900, says \"Thanks for watching.\"",
            "music: no answer at all, which is right",
            "3 worker(s) of this machine carry 115 live call(s)",
        ] {
            assert!(report.contains(line), "{line} in\n{report}");
        }
        assert_eq!(report.matches('◀').count(), 1);
    }

    #[test]
    fn a_folder_without_samples_says_what_one_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        let wrong = |folder: &Path| samples(folder).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(wrong(folder.path()).contains("transcripts.tsv: a line of headings"), "{}", wrong(folder.path()));
        std::fs::write(folder.path().join("transcripts.tsv"), "file\twords\n").expect("written");
        assert!(wrong(folder.path()).contains("it names no sample"), "{}", wrong(folder.path()));
    }

    #[test]
    fn the_proposal_is_read_back_as_thresholds_and_keeps_what_was_not_measured() {
        let model = Model::find(None).expect("carried");
        let m = measured(&[(64, 0, 10.0), (1_500, 0, 40.0)], &[(0.01, -0.2), (0.02, -0.6)], &[(0.99, "Thanks for watching."), (0.9, "")]);
        let text = m.thresholds(&model);
        let read: Thresholds = toml::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert_eq!((read.audio_ctx_floor, read.no_speech_alone, read.no_speech_max), (64, true, 0.45));
        assert!((read.logprob_min + 1.5).abs() < 0.01 && read.stock_phrases.contains(&"thanks for watching".to_owned()));
        assert_eq!((read.name, read.note), (model.name(), model.thresholds.note.clone()));
        let mixed = measured(&[(64, 0, 10.0)], &[(0.7, -0.2)], &[(0.5, "")]);
        assert!(mixed.thresholds(&model).contains("no_speech_max = 0.60\nno_speech_alone = false"), "no clear line between them");
    }
}
