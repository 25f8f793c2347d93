//! Looks for numbers in every file of a folder: in digits, with separators, as words, as words of a transcript.

use std::{fs, path::Path};

use memchr::memmem;

use super::planted::Planted;

/// Index of each number that is found, and where.
pub fn survivors(folder: &Path, planted: &[Planted]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    walk(folder, &mut |path| {
        let octets = fs::read(path).expect("readable").to_ascii_lowercase();
        let sound = path.extension().is_some_and(|e| e == "track" || e == "peaks" || e == "wav");
        let views = if sound { Views { packed: octets, ..Views::default() } } else { views(octets) };
        for (n, number) in planted.iter().enumerate() {
            if holds(&views, number, sound) {
                found.push((n, path.display().to_string()));
            }
        }
    });
    found
}

fn walk(folder: &Path, look: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() { walk(&entry.path(), look) } else { look(&entry.path()) }
    }
}

/// One file, read in several ways; of sound only the octets themselves.
#[derive(Default)]
struct Views {
    /// Small letters.
    raw: Vec<u8>,
    /// The same without what may part digits.
    packed: Vec<u8>,
    /// The words of transcripts in it, a space between.
    said: String,
    /// What those words say: letters and digits only.
    meant: String,
}

fn views(raw: Vec<u8>) -> Views {
    let packed = raw.iter().copied().filter(|o| !matches!(o, b' ' | b'-' | b'.' | b',' | b'/' | b'_' | b'\n')).collect();
    let text: String = raw.iter().copied().map(char::from).collect();
    let mut said: Vec<String> = Vec::new();
    // Escaped once more where a page is logged as text.
    for part in text.split("\"text\":\"").skip(1).chain(text.split("\\\"text\\\":\\\"").skip(1)) {
        said.push(part.split(['"', '\\']).next().unwrap_or_default().trim_matches(['.', ',', '?']).to_owned());
    }
    let meant = said.iter().flat_map(|text| text.split([' ', '-', ',', '.'])).map(meaning).collect();
    Views { raw, packed, said: format!(" {} ", said.join(" ")), meant }
}

/// A word as digits, where it is one.
fn meaning(word: &str) -> String {
    const UNITS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    match UNITS.iter().position(|unit| *unit == word) {
        Some(digit) => digit.to_string(),
        None if word.len() == 1 || word.contains(|c: char| c.is_ascii_digit()) => word.to_owned(),
        None => format!("<{word}>"),
    }
}

fn holds(views: &Views, planted: &Planted, sound: bool) -> bool {
    if let Some(number) = &planted.number {
        let small = number.to_lowercase();
        if holds_octets(&views.packed, &small) || views.meant.contains(&small) {
            return true;
        }
    }
    // Three octets of sound may be anything.
    !sound
        && planted.phrases.iter().any(|phrase| {
            let phrase = phrase.to_lowercase();
            let plain = phrase.replace([',', '.'], "");
            (phrase.len() > 4 && holds_octets(&views.raw, &phrase)) || views.said.contains(&format!(" {plain} "))
        })
}

fn holds_octets(octets: &[u8], text: &str) -> bool {
    memmem::find(octets, text.as_bytes()).is_some()
}
