//! What waiting callers hear: own recordings or what comes with the program, read once at start, 8 kHz from then on.
//!
//! ```text
//! queues.toml ─▶ WAV ─▶ one channel ─▶ 8 kHz ─▶ ClipStore, shared by the media threads; the switch knows names and lengths
//! ```

mod music;
mod wav;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use crate::{
    config::{Queue, SoundChoice, reader::Mistake},
    domain::{
        media::clip::ClipStore,
        routing::{Sound, Sounds},
    },
};

/// The words that come with the program; `scripts/sounds.py` makes them.
const ANNOUNCEMENT: &[u8] = include_bytes!("../../../sounds/announcement.wav");
const CLOSING: &[u8] = include_bytes!("../../../sounds/closing.wav");
/// Which of its tunes the program plays.
const TUNE: u64 = 7;
/// Samples per second of a clip.
const RATE: u32 = 8_000;

/// What was read.
#[derive(Debug, Default)]
pub struct Loaded {
    /// For the media threads.
    pub clips: ClipStore,
    /// For the switch, by queue.
    pub queues: BTreeMap<String, Sounds>,
}

/// Reads the sounds of all queues; each file once, however many queues name it.
///
/// # Errors
/// Every file that cannot be used, with the key that names it.
pub fn load(queues: &[Queue]) -> Result<Loaded, Vec<Mistake>> {
    let mut reader = Reader::default();
    let mut loaded = BTreeMap::new();
    for (at, queue) in queues.iter().enumerate() {
        let mut read = |key: &str, choice: &SoundChoice, own: Own| reader.sound(&format!("queue[{at}].{key}"), choice, own);
        let sounds = Sounds {
            announcement: read("announcement", &queue.announcement, Own::Announcement),
            music: read("music", &queue.music, Own::Music),
            closing: read("closing", &queue.closing, Own::Closing),
        };
        loaded.insert(queue.name.clone(), sounds);
    }
    if reader.mistakes.is_empty() { Ok(Loaded { clips: reader.clips, queues: loaded }) } else { Err(reader.mistakes) }
}

/// What comes with the program.
#[derive(Clone, Copy, Debug)]
enum Own {
    Announcement,
    Music,
    Closing,
}

impl Own {
    fn name(self) -> &'static str {
        match self {
            Self::Announcement => "built-in announcement",
            Self::Music => "built-in music",
            Self::Closing => "built-in closing",
        }
    }

    fn samples(self) -> Result<Vec<i16>, wav::WavError> {
        match self {
            Self::Announcement => wav::read(ANNOUNCEMENT),
            Self::Music => Ok(music::tune(TUNE)),
            Self::Closing => wav::read(CLOSING),
        }
    }
}

#[derive(Debug, Default)]
struct Reader {
    clips: ClipStore,
    known: BTreeMap<String, Sound>,
    mistakes: Vec<Mistake>,
}

impl Reader {
    fn sound(&mut self, key: &str, choice: &SoundChoice, own: Own) -> Option<Sound> {
        let (name, place) = match choice {
            SoundChoice::None => return None,
            SoundChoice::BuiltIn => (own.name().to_owned(), own.name().to_owned()),
            SoundChoice::File(path) => (shown(path), path.display().to_string()),
        };
        if let Some(known) = self.known.get(&place) {
            return Some(known.clone());
        }
        let read = match choice {
            SoundChoice::File(path) => wav::read_file(path),
            SoundChoice::BuiltIn | SoundChoice::None => own.samples(),
        };
        let added = read.map_err(|error| (error.to_string(), error.remedy())).and_then(|samples| {
            let length = Duration::from_millis(samples.len() as u64 * 1_000 / u64::from(RATE));
            let clip = self.clips.add(samples.into()).map_err(|error| (error.to_string(), "Give a longer recording, or fewer"))?;
            Ok(Sound { clip: clip.0, name: Arc::from(name), length })
        });
        match added {
            Ok(sound) => {
                self.known.insert(place, sound.clone());
                Some(sound)
            }
            Err((problem, remedy)) => {
                let problem = format!("{place}: {problem}");
                self.mistakes.push(Mistake { file: "queues.toml".to_owned(), key: key.to_owned(), problem, remedy: remedy.to_owned() });
                None
            }
        }
    }
}

/// The file's name without its folder: what the record keeps.
fn shown(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(toml: &str) -> Vec<Queue> {
        let texts = [("queues.toml".to_owned(), format!("[[queue]]\nname = \"support\"\n{toml}"))];
        crate::config::Config::parse(&texts).unwrap_or_else(|mistakes| panic!("{mistakes:?}")).queues
    }

    #[test]
    fn a_queue_that_names_nothing_gets_words_music_and_closing_words() {
        let loaded = load(&queue("")).expect("what comes with the program can be read");
        let sounds = &loaded.queues["support"];
        for (sound, least_s) in [(&sounds.announcement, 3), (&sounds.music, 20), (&sounds.closing, 3)] {
            let sound = sound.as_ref().expect("there");
            assert!(sound.length >= Duration::from_secs(least_s), "{sound:?}");
            let samples = loaded.clips.get(crate::domain::media::clip::ClipId(sound.clip)).expect("in the store");
            assert!(samples.iter().any(|sample| sample.unsigned_abs() > 2_000), "{sound:?} can be heard");
        }
    }

    #[test]
    fn two_queues_share_one_clip_and_none_is_silence() {
        let mut two = queue("announcement = \"none\"");
        two.push(Queue { name: "sales".to_owned(), ..two[0].clone() });
        let loaded = load(&two).expect("read");
        assert_eq!(loaded.queues["support"], loaded.queues["sales"]);
        assert!(loaded.queues["sales"].announcement.is_none());
        assert!(loaded.clips.get(crate::domain::media::clip::ClipId(2)).is_none(), "two clips in all");
    }

    #[test]
    fn a_file_that_cannot_be_used_is_told_with_its_key_and_the_remedy() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = folder.path().join("music.wav");
        std::fs::write(&text, "no sound at all").expect("written");
        let toml = format!("music = \"{}\"\nclosing = \"/nowhere/closing.wav\"", text.display());
        let mistakes = load(&queue(&toml)).expect_err("two mistakes");
        let keys: Vec<_> = mistakes.iter().map(|mistake| (mistake.file.as_str(), mistake.key.as_str())).collect();
        assert_eq!(keys, [("queues.toml", "queue[0].music"), ("queues.toml", "queue[0].closing")]);
        assert!(mistakes.iter().all(|mistake| !mistake.remedy.is_empty()), "{mistakes:?}");
    }
}
