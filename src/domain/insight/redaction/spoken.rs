//! Words as they are recognised → digits and spelled letters: "4111", "4-1-1-1", "forty-one eleven", "double one", "oh",
//! "twelve hundred", "G B", "golf bravo", "B for Bravo".

/// What one piece of a word says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// One digit in a word.
    Unit(u8),
    /// 10…19.
    Teen(u8),
    /// 20…90.
    Tens(u8),
    /// "hundred".
    Hundred,
    /// "thousand".
    Thousand,
    /// "double", "triple": the next digit so many times.
    Repeat(usize),
    /// Figures as written.
    Figures(String),
    /// Spelled letters, capitals.
    Letters(String),
    /// Letters and figures in one.
    Mixed(String),
    /// A short word in capitals ("NWBK"): letters beside figures, else a word.
    Capitals(String),
    /// A word that may spell its first letter ("bravo"), or may be a word.
    Alphabet(char),
    /// A word that sounds like a digit ("for").
    Sounds(u8),
    /// A word said between groups ("um", "then", "dash").
    Filler,
    /// Any other.
    Other,
}

/// Letters of words that spell (ICAO).
const ALPHABET: [&str; 28] = [
    "alpha", "alfa", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "juliett", "kilo", "lima", "mike",
    "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey", "xray", "yankee", "zulu",
];

/// Said while reading a number out.
const FILLERS: [&str; 44] = [
    "um", "uh", "er", "erm", "hmm", "mhm", "mm", "ah", "okay", "ok", "and", "then", "so", "yeah", "yes", "right", "let", "me", "see",
    "sorry", "is", "it's", "its", "that's", "thats", "the", "next", "dash", "hyphen", "space", "slash", "stroke", "dot", "point", "no",
    "wait", "again", "just", "now", "well", "followed", "by", "capital", "comma",
];

const UNITS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const TEENS: [&str; 10] = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

fn place(list: &[&str], word: &str, first: u8) -> Option<u8> {
    list.iter().position(|w| *w == word).and_then(|at| u8::try_from(at).ok()).map(|at| at + first)
}

/// A word in lower case, without punctuation around it.
pub(super) fn plain(word: &str) -> String {
    word.to_lowercase().replace('’', "'").trim_matches(|c: char| !c.is_alphanumeric() && !"$€£%+".contains(c)).to_owned()
}

/// What a word says, piece by piece: "forty-one" is two.
pub(super) fn pieces(word: &str) -> Vec<Piece> {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    if (2..=6).contains(&bare.len()) && bare.bytes().all(|c| c.is_ascii_uppercase()) {
        return vec![Piece::Capitals(bare.to_owned())];
    }
    let word = plain(word);
    if word.is_empty() {
        return vec![Piece::Filler];
    }
    let whole = piece(&word);
    if whole != Piece::Other {
        return vec![whole];
    }
    let parts: Vec<&str> = word.split(|c: char| !c.is_alphanumeric()).filter(|p| !p.is_empty()).collect();
    let read: Vec<Piece> = parts.iter().map(|p| piece(p)).collect();
    // "g.b.2.9" spells; "check-in" and "don't" are words.
    if parts.len() > 1 && read.iter().all(says_something) { read } else { vec![Piece::Other] }
}

/// Whether a piece alone carries digits or letters.
fn says_something(piece: &Piece) -> bool {
    !matches!(piece, Piece::Filler | Piece::Other | Piece::Alphabet(_) | Piece::Sounds(_) | Piece::Capitals(_))
}

fn piece(word: &str) -> Piece {
    if let Some(digit) = place(&UNITS, word, 0) {
        return Piece::Unit(digit);
    }
    if let Some(teen) = place(&TEENS, word, 10) {
        return Piece::Teen(teen);
    }
    if let Some(tens) = place(&TENS, word, 2) {
        return Piece::Tens(tens * 10);
    }
    match word {
        "oh" | "o" | "nought" | "naught" | "null" | "nil" | "ought" => return Piece::Unit(0),
        "niner" => return Piece::Unit(9),
        "fourty" => return Piece::Tens(40),
        "hundred" => return Piece::Hundred,
        "thousand" => return Piece::Thousand,
        "double" => return Piece::Repeat(2),
        "triple" | "treble" => return Piece::Repeat(3),
        "quadruple" => return Piece::Repeat(4),
        "for" | "fore" => return Piece::Sounds(4),
        "to" | "too" => return Piece::Sounds(2),
        "ate" => return Piece::Sounds(8),
        "won" => return Piece::Sounds(1),
        _ => {}
    }
    if FILLERS.contains(&word) {
        return Piece::Filler;
    }
    if word == "x-ray" {
        return Piece::Alphabet('X');
    }
    if ALPHABET.contains(&word) {
        return word.chars().next().map_or(Piece::Other, |c| Piece::Alphabet(c.to_ascii_uppercase()));
    }
    written(word)
}

/// Figures, a spelled letter, or both: "4111", "g", "gb29nwbk".
fn written(word: &str) -> Piece {
    let ascii = word.chars().all(|c| c.is_ascii_alphanumeric());
    let figures = word.chars().filter(char::is_ascii_digit).count();
    match (ascii, figures, word.len()) {
        (false, ..) | (true, _, 0) => Piece::Other,
        (true, n, length) if n == length => Piece::Figures(word.to_owned()),
        (true, 0, 1) => Piece::Letters(word.to_ascii_uppercase()),
        (true, 0, _) => Piece::Other,
        // "3rd", "10th", "6pm": a figure with its ending.
        (true, n, length) if n <= 2 && ["st", "nd", "rd", "th", "pm", "am", "x", "k"].contains(&&word[n.min(length)..]) => Piece::Other,
        (true, ..) => Piece::Mixed(word.to_ascii_uppercase()),
    }
}

/// Letters and digits of one number word after the other, with how many pieces they took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// Capitals and digits.
    pub text: String,
    /// Another way to read it: "twenty one" is 21, or 20 and 1.
    pub other: Option<String>,
    /// Pieces used.
    pub len: usize,
}

/// Reads the number or letter that begins at `pieces[0]`; `None` when nothing does.
pub(super) fn read(pieces: &[Piece]) -> Option<Read> {
    let one = |text: String, len| Some(Read { text, other: None, len });
    match pieces.first()? {
        Piece::Figures(text) | Piece::Letters(text) | Piece::Mixed(text) => one(text.clone(), 1),
        Piece::Repeat(times) => {
            let next = read(pieces.get(1..)?)?;
            // "Double four seven" is 447: only what is said as one is said twice.
            let short = next.len == 1 && next.text.len() <= 2 && !matches!(pieces[1], Piece::Repeat(_));
            short.then(|| Read { text: next.text.repeat(*times), other: None, len: 2 })
        }
        Piece::Unit(_) | Piece::Teen(_) | Piece::Tens(_) | Piece::Hundred => Some(number(pieces)),
        Piece::Thousand => one("1000".to_owned(), 1),
        Piece::Alphabet(_) | Piece::Sounds(_) | Piece::Capitals(_) | Piece::Filler | Piece::Other => None,
    }
}

/// A number in words, as large as it goes on: "forty-one", "two hundred and five", "four thousand one hundred".
fn number(pieces: &[Piece]) -> Read {
    let (mut value, mut len, other) = match pieces[0] {
        Piece::Hundred => (1, 0, None),
        _ => below_hundred(pieces),
    };
    let written = |value: u32| value.to_string();
    if value > 0 && pieces.get(len) == Some(&Piece::Hundred) {
        (value, len) = after(pieces, value * 100, len + 1, 100);
    }
    if value > 0 && pieces.get(len) == Some(&Piece::Thousand) {
        (value, len) = after(pieces, value * 1_000, len + 1, 1_000);
    }
    Read { text: written(value), other, len }
}

/// Adds what follows "hundred" or "thousand", an "and" between them left out; nothing when it would not be smaller.
fn after(pieces: &[Piece], value: u32, len: usize, below: u32) -> (u32, usize) {
    let skip = usize::from(pieces.get(len) == Some(&Piece::Filler));
    let rest = pieces.get(len + skip..).unwrap_or_default();
    let Some(Piece::Unit(_) | Piece::Teen(_) | Piece::Tens(_)) = rest.first() else { return (value, len) };
    let (mut more, mut used, _) = below_hundred(rest);
    if below > 100 && rest.get(used) == Some(&Piece::Hundred) {
        (more, used) = after(rest, more * 100, used + 1, 100);
    }
    // "One hundred one one one" is read out digit by digit: only a closing number belongs to the hundred.
    let ends = !matches!(rest.get(used), Some(Piece::Unit(_) | Piece::Repeat(_))) || more >= 10;
    if more > 0 && more < below && ends { (value + more, len + skip + used) } else { (value, len) }
}

fn below_hundred(pieces: &[Piece]) -> (u32, usize, Option<String>) {
    match (&pieces[0], pieces.get(1)) {
        (Piece::Tens(tens), Some(Piece::Unit(unit))) if *unit > 0 => (u32::from(tens + unit), 2, Some(format!("{tens}{unit}"))),
        (Piece::Unit(n) | Piece::Teen(n) | Piece::Tens(n), _) => (u32::from(*n), 1, None),
        _ => (0, 1, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> String {
        let all: Vec<Piece> = text.split(' ').flat_map(pieces).collect();
        let (mut out, mut at) = (String::new(), 0);
        while at < all.len() {
            match read(&all[at..]) {
                Some(found) => {
                    out.push_str(&found.text);
                    at += found.len;
                }
                None => at += 1,
            }
        }
        out
    }

    #[test]
    fn digits_are_read_however_they_are_said() {
        for (said, meant) in [
            ("4111 1111 1111 1111", "4111111111111111"),
            ("4-1-1-1 4111-1111.", "411141111111"),
            ("4,111,111,111,111,111", "4111111111111111"),
            ("four one double one, triple seven, oh", "41117770"),
            ("forty-one eleven", "4111"),
            ("twelve oh three", "1203"),
            ("nineteen um nineteen", "1919"),
            ("forty one hundred", "4100"),
            ("four thousand one hundred and eleven", "4111"),
            ("two hundred and five", "205"),
            ("one hundred one one one", "100111"),
            ("five thousand", "5000"),
            ("double eleven", "1111"),
            ("zero zero nought naught", "0000"),
            ("I don't know what to check-in for", ""),
        ] {
            let read = digits(said);
            let read = if meant.is_empty() { read.replace('I', "") } else { read };
            assert_eq!(read, meant, "{said}");
        }
    }

    #[test]
    fn letters_are_read_spelled_and_in_one() {
        for (said, meant) in [("G B two nine", "GB29"), ("G.B.2.9", "GB29"), ("GB29NWBK", "GB29NWBK"), ("d-e 89", "DE89")] {
            assert_eq!(digits(said), meant, "{said}");
        }
    }
}
