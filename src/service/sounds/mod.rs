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
        routing::{Places, Sound, Sounds},
    },
};

/// The words that come with the program; `scripts/sounds.py` makes them.
const ANNOUNCEMENT: &[u8] = include_bytes!("../../../sounds/announcement.wav");
const CLOSING: &[u8] = include_bytes!("../../../sounds/closing.wav");
/// The words for the first places, and for every one behind them.
const PLACES: [&[u8]; 10] = [
    include_bytes!("../../../sounds/place-1.wav"),
    include_bytes!("../../../sounds/place-2.wav"),
    include_bytes!("../../../sounds/place-3.wav"),
    include_bytes!("../../../sounds/place-4.wav"),
    include_bytes!("../../../sounds/place-5.wav"),
    include_bytes!("../../../sounds/place-6.wav"),
    include_bytes!("../../../sounds/place-7.wav"),
    include_bytes!("../../../sounds/place-8.wav"),
    include_bytes!("../../../sounds/place-9.wav"),
    include_bytes!("../../../sounds/place-10.wav"),
];
const PLACE_MORE: &[u8] = include_bytes!("../../../sounds/place-more.wav");
/// Own recordings of places that are read at most: nobody waits behind so many.
const MAX_PLACES: usize = 100;
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
            places: reader.places(&format!("queue[{at}].place"), &queue.place),
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
    /// 0 is the first.
    Place(usize),
    PlaceMore,
}

impl Own {
    fn name(self) -> String {
        match self {
            Self::Announcement => "built-in announcement".to_owned(),
            Self::Music => "built-in music".to_owned(),
            Self::Closing => "built-in closing".to_owned(),
            Self::Place(at) => format!("built-in place {}", at + 1),
            Self::PlaceMore => "built-in place, more".to_owned(),
        }
    }

    fn samples(self) -> Result<Vec<i16>, wav::WavError> {
        match self {
            Self::Announcement => wav::read(ANNOUNCEMENT),
            Self::Music => Ok(music::tune(TUNE)),
            Self::Closing => wav::read(CLOSING),
            Self::Place(at) => wav::read(PLACES.get(at).copied().unwrap_or(PLACE_MORE)),
            Self::PlaceMore => wav::read(PLACE_MORE),
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
            SoundChoice::BuiltIn => (own.name(), own.name()),
            SoundChoice::File(path) => (shown(path), path.display().to_string()),
        };
        if let Some(known) = self.known.get(&place) {
            return Some(known.clone());
        }
        let read = match choice {
            SoundChoice::File(path) => wav::read_file(path),
            SoundChoice::BuiltIn | SoundChoice::None => own.samples(),
        };
        self.take(key, name, place, read)
    }

    /// Keeps what was read, or tells why it cannot be used.
    fn take(&mut self, key: &str, name: String, place: String, read: Result<Vec<i16>, wav::WavError>) -> Option<Sound> {
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
                self.mistake(key, format!("{place}: {problem}"), remedy);
                None
            }
        }
    }

    fn mistake(&mut self, key: &str, problem: String, remedy: &str) {
        self.mistakes.push(Mistake { file: "queues.toml".to_owned(), key: key.to_owned(), problem, remedy: remedy.to_owned() });
    }

    /// The words for places: those that come with the program, or a folder's `1.wav`, `2.wav` and so on, and its `more.wav`.
    fn places(&mut self, key: &str, choice: &SoundChoice) -> Option<Places> {
        let built_in = &SoundChoice::BuiltIn;
        match choice {
            SoundChoice::None => None,
            SoundChoice::BuiltIn => {
                let numbered = (0..PLACES.len()).filter_map(|at| self.sound(key, built_in, Own::Place(at))).collect();
                Some(Places { numbered, more: self.sound(key, built_in, Own::PlaceMore) })
            }
            SoundChoice::File(folder) => {
                let files = (1..=MAX_PLACES).map(|n| folder.join(format!("{n}.wav"))).take_while(|file| file.exists());
                let numbered: Vec<Sound> = files.filter_map(|file| self.sound(key, &SoundChoice::File(file), Own::PlaceMore)).collect();
                let more = Some(folder.join("more.wav")).filter(|file| file.exists());
                let more = more.and_then(|file| self.sound(key, &SoundChoice::File(file), Own::PlaceMore));
                if numbered.is_empty() && more.is_none() {
                    let problem = format!("{}: neither 1.wav nor more.wav is there", folder.display());
                    self.mistake(key, problem, "Name a folder of recordings for the places, or \"none\"");
                }
                Some(Places { numbered, more })
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
    fn places_are_told_by_number_and_those_far_behind_together() {
        let loaded = load(&queue("")).expect("read");
        let places = loaded.queues["support"].places.as_ref().expect("told");
        let name = |position| places.words(position).map(|sound| sound.name.to_string());
        assert_eq!(name(1).as_deref(), Some("built-in place 1"));
        assert_eq!(name(10).as_deref(), Some("built-in place 10"));
        assert_eq!((name(11).as_deref(), name(5_000)), (Some("built-in place, more"), name(11)));
        assert_eq!(name(0), None);
        assert!(load(&queue("place = \"none\"")).expect("read").queues["support"].places.is_none());
    }

    #[test]
    fn places_of_ones_own_are_a_folder_of_numbered_recordings() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("1.wav"), PLACES[0]).expect("written");
        std::fs::write(folder.path().join("2.wav"), PLACES[1]).expect("written");
        let toml = format!("place = \"{}\"", folder.path().display());
        let loaded = load(&queue(&toml)).expect("read");
        let places = loaded.queues["support"].places.as_ref().expect("told");
        assert_eq!(places.words(2).map(|sound| &*sound.name), Some("2.wav"));
        assert_eq!(places.words(3), None, "nothing is said where there are no words");
        std::fs::write(folder.path().join("2.wav"), "no sound").expect("written");
        let mistakes = load(&queue(&toml)).expect_err("a file that is no sound");
        assert_eq!((mistakes.len(), mistakes[0].key.as_str()), (1, "queue[0].place"));
        let mistakes = load(&queue("place = \"/nowhere\"")).expect_err("no folder");
        assert!(mistakes[0].problem.contains("1.wav"), "{mistakes:?}");
    }

    #[test]
    fn two_queues_share_one_clip_and_none_is_silence() {
        let mut two = queue("announcement = \"none\"");
        two.push(Queue { name: "sales".to_owned(), ..two[0].clone() });
        let loaded = load(&two).expect("read");
        assert_eq!(loaded.queues["support"], loaded.queues["sales"]);
        assert!(loaded.queues["sales"].announcement.is_none());
        assert!(loaded.clips.get(crate::domain::media::clip::ClipId(13)).is_none(), "music, closing words and eleven places in all");
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
