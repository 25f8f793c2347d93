//! The detectors on people's voices: prompts that four speakers read out, of Debian's packages `asterisk-core-sounds-{en,es,fr,it,ru}-wav`.
//!
//! They are read where they are installed (`/usr/share/asterisk/sounds`, or `THROUGHLINE_VOICES`); where they are not, the test says so.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    compare::telephone,
    detector::{active, inside},
};
use crate::service::speech::{
    RATE, file,
    tests::{add, noise, percent},
    utterances as whole, voice_activity,
    voice_activity::FRAME,
};

const SPEAKERS: [&str; 5] = ["en_US_f_Allison", "es_MX_f_Allison", "fr_CA_f_June", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU"];
/// Tones, silence, animals.
const NO_SPEECH: [&str; 6] = ["beep", "ascending", "descending", "tt-", "silence", "conf-hasleft"];

fn voices() -> Option<PathBuf> {
    let folder = std::env::var_os("THROUGHLINE_VOICES").map_or_else(|| PathBuf::from("/usr/share/asterisk/sounds"), PathBuf::from);
    let found = folder.join(SPEAKERS[0]).is_dir();
    if !found {
        println!(
            "no voices of people in {}: install asterisk-core-sounds-en-wav (es, fr, it, ru), or set THROUGHLINE_VOICES",
            folder.display()
        );
    }
    found.then_some(folder)
}

/// What a speaker said, and where.
pub(super) struct Spoken {
    pub speaker: &'static str,
    pub snr_db: f32,
    pub samples: Vec<i16>,
    /// Frames with voice.
    pub voiced: Vec<usize>,
    /// Frames far from any voice.
    pub far: Vec<usize>,
}

/// A speaker's prompts one after the other with pauses of 0.7 to 2.6 s, at −30 dBov while they speak; frames with voice, frames far from any.
fn prompts(folder: &Path, speaker: &'static str, seconds: usize) -> Option<Spoken> {
    let folder = folder.join(speaker);
    let mut names: Vec<_> = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    names.retain(|path| name(path).ends_with(".wav") && !NO_SPEECH.iter().any(|begin| name(path).starts_with(begin)));
    // Long and short ones mixed, the same each time.
    names.sort_by_key(|path| name(path).bytes().rev().collect::<Vec<_>>());
    let (mut samples, mut voiced, mut pauses) = (vec![0i16; RATE], Vec::new(), Vec::new());
    pauses.push(0..RATE / FRAME);
    for (n, path) in names.iter().enumerate() {
        if samples.len() > seconds * RATE {
            break;
        }
        let Some(prompt) = file::read_wav(path).ok().and_then(|tracks| tracks.into_iter().next()) else { continue };
        // Judged as the line carries it: what of a voice lies under 300 Hz nobody hears at the other end.
        let level = voice_activity::activity(&telephone(&prompt.samples)).level_db;
        let loudest = level.iter().copied().fold(-100.0, f32::max);
        let from = samples.len() / FRAME;
        voiced.extend(level.iter().enumerate().filter(|(_, level)| **level > loudest - 25.0).map(|(i, _)| from + i));
        samples.extend(&prompt.samples[..prompt.samples.len() / FRAME * FRAME]);
        let pause = (70 + n * 37 % 190) * FRAME;
        pauses.push(samples.len() / FRAME..(samples.len() + pause) / FRAME);
        samples.resize(samples.len() + pause, 0);
    }
    let level = voice_activity::activity(&telephone(&samples)).level_db;
    let power = voiced.iter().map(|i| 10f32.powf(level[*i] / 10.0)).sum::<f32>() / voiced.len() as f32;
    let gain = 10f32.powf((-30.0 - 10.0 * power.log10()) / 20.0);
    let samples = samples.iter().map(|sample| (f32::from(*sample) * gain) as i16).collect();
    let far = pauses.into_iter().flat_map(|pause| pause.start + 30..pause.end.saturating_sub(30)).collect();
    Some(Spoken { speaker, snr_db: f32::INFINITY, samples, voiced, far })
}

/// Each speaker's prompts over noise as a line carries them.
pub(super) fn lines(seconds: usize, snrs_db: &[f32]) -> Vec<Spoken> {
    let Some(folder) = voices() else { return Vec::new() };
    let quiet = SPEAKERS.iter().filter_map(|speaker| prompts(&folder, speaker, seconds));
    let over_noise = |Spoken { speaker, samples, voiced, far, .. }: Spoken| {
        snrs_db.iter().map(move |snr_db| {
            let peak = (32_768.0 * 10f32.powf((-30.0 - snr_db) / 20.0) * 3f32.sqrt()) as i32;
            let samples = telephone(&add(&samples, &noise(samples.len(), peak, 77)));
            Spoken { speaker, snr_db: *snr_db, samples, voiced: voiced.clone(), far: far.clone() }
        })
    };
    quiet.flat_map(over_noise).collect()
}

#[test]
fn peoples_voices_are_found_at_10_db_over_noise_and_noise_is_not_taken_for_them() {
    for Spoken { speaker, snr_db, samples, voiced, far } in lines(60, &[10.0]) {
        let found = voice_activity::activity(&samples);
        let mut after = vec![false; found.active.len()];
        whole::cut(&found.active, &found.level_db).into_iter().for_each(|span| after[span.frames].fill(true));
        for (when, inside, active) in [("live", inside(&samples), active(&samples)), ("after the call", after, found.active.clone())] {
            let missed = percent(voiced.iter().filter(|i| !inside[**i]).count(), voiced.len());
            let wrong = percent(far.iter().filter(|i| active[**i]).count(), far.len());
            println!("{speaker}, {snr_db} dB, {when}: missed {missed:.2} % of {} voiced frames, {wrong:.2} % false", voiced.len());
            assert!(missed <= 1.5 && wrong <= 2.0, "{speaker}, {when}: missed {missed} %, false {wrong} %");
        }
    }
}

/// With `THROUGHLINE_MEASURE` set it prints three minutes of each speaker over less and more noise; it asserts nothing.
#[test]
fn measure_the_detectors_on_people() {
    if std::env::var_os("THROUGHLINE_MEASURE").is_none() {
        return;
    }
    for Spoken { speaker, snr_db, samples, voiced, far } in lines(180, &[60.0, 20.0, 10.0, 5.0]) {
        let found = voice_activity::activity(&samples);
        let mut after = vec![false; found.active.len()];
        whole::cut(&found.active, &found.level_db).into_iter().for_each(|span| after[span.frames].fill(true));
        let share = |frames: &[usize], flags: &[bool], is: bool| percent(frames.iter().filter(|i| flags[**i] == is).count(), frames.len());
        let cell = |active: &[bool], inside: &[bool]| {
            format!("{:.1} / {:.1} / {:.1}", share(&voiced, active, false), share(&voiced, inside, false), share(&far, active, true))
        };
        println!("| {speaker}, {snr_db} dB | {} | {} |", cell(&active(&samples), &inside(&samples)), cell(&found.active, &after));
    }
}
