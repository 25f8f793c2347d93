//! Labelled dialogues, read from text: `tests/dialogues/README.md` has the format.

use std::{fs, path::Path};

use time::{Date, macros::format_description};

use super::EvalError;
use crate::{
    domain::insight::{
        card::Outcome,
        slots::SlotKind,
        utterance::{LegCoverage, Transcript, Utterance, Word},
    },
    ids::{LegId, Party},
    time::UnixMs,
};

/// A word takes this long; nobody's real pace, but every place in the text has its own time.
pub(super) const WORD_MS: u32 = 300;
/// Nothing is said between two turns for this long.
const PAUSE_MS: u32 = 400;
/// The first word.
const START_MS: u32 = 1_000;

/// One labelled call.
#[derive(Clone, Debug)]
pub struct Dialogue {
    /// Its heading.
    pub name: String,
    /// Day of the call.
    pub day: Date,
    /// Numbers on the customer's record.
    pub references: Vec<String>,
    /// The company's products.
    pub products: Vec<String>,
    /// In order.
    pub turns: Vec<Turn>,
    /// Why they call; empty where nobody says.
    pub reasons: Vec<Place>,
    /// Details that a card should know.
    pub slots: Vec<(SlotKind, String)>,
    /// What was promised.
    pub promises: Vec<Promised>,
    /// Turns of a proposal and of the yes to it.
    pub agreed: Vec<(usize, usize)>,
    /// How it ended.
    pub outcome: Outcome,
}

/// One turn.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Who.
    pub party: Party,
    /// What.
    pub text: String,
    /// −2…2, of a customer's turn.
    pub mood: Option<i8>,
    /// When, milliseconds.
    pub span: (u32, u32),
}

/// Words of one turn, as their time.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Who says them.
    pub party: Party,
    /// When, milliseconds.
    pub span: (u32, u32),
}

/// A labelled promise.
#[derive(Clone, Copy, Debug)]
pub struct Promised {
    /// Its words.
    pub place: Place,
    /// The last day that keeps it.
    pub due: Option<Date>,
}

/// Reads all `*.txt` of a folder, by name of file.
pub fn read(folder: &Path) -> Result<Vec<Dialogue>, EvalError> {
    let failed = |error| EvalError::Folder(folder.to_owned(), error);
    let entries = fs::read_dir(folder).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut paths: Vec<_> = entries.into_iter().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "txt")).collect();
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        all.extend(parse(&fs::read_to_string(&path).map_err(failed)?)?);
    }
    if all.is_empty() { Err(EvalError::Empty(folder.to_owned())) } else { Ok(all) }
}

/// Reads the dialogues of one file.
pub fn parse(text: &str) -> Result<Vec<Dialogue>, EvalError> {
    let mut all = Vec::new();
    for block in format!("\n{text}").split("\n== ").skip(1) {
        let (name, body) = block.split_once('\n').unwrap_or((block, ""));
        all.push(dialogue(name.trim(), body).map_err(|why| EvalError::Dialogue(name.trim().to_owned(), why))?);
    }
    Ok(all)
}

fn dialogue(name: &str, body: &str) -> Result<Dialogue, String> {
    let outcome = Outcome::Unclear;
    let (references, products, turns, reasons) = (vec![], vec![], vec![], vec![]);
    let (slots, promises, agreed, name) = (vec![], vec![], vec![], name.to_owned());
    let mut of = Dialogue { name, day: Date::MIN, references, products, turns, reasons, slots, promises, agreed, outcome };
    let lines = || body.lines().filter(|l| !l.trim().is_empty()).map(|l| l.split_once(':').unwrap_or((l, "")));
    let mut at = START_MS;
    for (key, text) in lines() {
        let party = match key.as_bytes() {
            [b'A'] => Party::Agent,
            [b'C', mood @ ..] if !mood.is_empty() => Party::Customer,
            _ => continue,
        };
        let mood = (party == Party::Customer).then(|| key[1..].parse().map_err(|_| format!("{key} is no mood"))).transpose()?;
        let text = text.trim().to_owned();
        let end = at + WORD_MS * u32::try_from(text.split(' ').count()).unwrap_or(1);
        of.turns.push(Turn { party, text, mood, span: (at, end) });
        at = end + PAUSE_MS;
    }
    for (key, value) in lines() {
        label(&mut of, key, value.trim())?;
    }
    if of.day == Date::MIN { Err("it has no day".into()) } else { Ok(of) }
}

fn label(of: &mut Dialogue, key: &str, value: &str) -> Result<(), String> {
    let list = || value.split(',').map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()).collect();
    match key {
        "day" => of.day = date(value)?,
        "references" => of.references = list(),
        "products" => of.products = list(),
        "reason" if value == "none" => {}
        "reason" => {
            let (place, words) = value.split_once(" | ").ok_or("a reason is turn | words")?;
            let turn = turn(of, place)?;
            of.reasons.push(said(&of.turns[turn], words)?);
        }
        "slots" => {
            for slot in value.split(" | ").filter(|s| !s.is_empty()) {
                let (kind, value) = slot.split_once(' ').ok_or("a slot is kind value")?;
                of.slots.push((slot_kind(kind)?, value.trim().to_owned()));
            }
        }
        "promise" => {
            let [who, words, due] = value.split(" | ").collect::<Vec<_>>()[..] else { return Err("a promise is who | words | due".into()) };
            let party = if who == "agent" { Party::Agent } else { Party::Customer };
            let turn = of.turns.iter().find(|t| t.party == party && t.text.contains(words)).ok_or(format!("nobody says {words}"))?;
            let place = said(turn, words)?;
            of.promises.push(Promised { place, due: if due == "none" { None } else { Some(date(due)?) } });
        }
        "agreed" => {
            let (proposal, yes) = value.split_once(" + ").ok_or("agreed is turn + turn")?;
            of.agreed.push((turn(of, proposal)?, turn(of, yes)?));
        }
        "outcome" => {
            of.outcome = match value {
                "solved" => Outcome::Solved,
                "not_solved" => Outcome::NotSolved,
                "unclear" => Outcome::Unclear,
                other => return Err(format!("{other} is no outcome")),
            }
        }
        _ => {}
    }
    Ok(())
}

fn slot_kind(kind: &str) -> Result<SlotKind, String> {
    match kind {
        "amount" => Ok(SlotKind::Amount),
        "date" => Ok(SlotKind::Date),
        "reference" => Ok(SlotKind::Reference),
        "product" => Ok(SlotKind::Product),
        other => Err(format!("{other} is no kind of detail")),
    }
}

fn date(text: &str) -> Result<Date, String> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).map_err(|e| format!("{text}: {e}"))
}

/// "C2" is the customer's second turn.
fn turn(of: &Dialogue, place: &str) -> Result<usize, String> {
    let party = if place.starts_with('A') { Party::Agent } else { Party::Customer };
    let number: usize = place.get(1..).and_then(|n| n.parse().ok()).ok_or(format!("{place} is no turn"))?;
    let mut own = (0..of.turns.len()).filter(|i| of.turns[*i].party == party);
    own.nth(number.saturating_sub(1)).ok_or(format!("there is no turn {place}"))
}

/// The time of some words of a turn.
fn said(turn: &Turn, words: &str) -> Result<Place, String> {
    let at = turn.text.find(words).ok_or(format!("\"{words}\" is not said"))?;
    let count = |text: &str| u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX);
    // The words may begin within one.
    let before = turn.text[..at].rfind(' ').map_or(0, |space| count(&turn.text[..space]));
    let from = turn.span.0 + WORD_MS * before;
    Ok(Place { party: turn.party, span: (from, from + WORD_MS * count(words)) })
}

/// The leg of a side.
pub fn leg(party: Party) -> LegId {
    LegId::new(UnixMs(0), [if party == Party::Customer { 1 } else { 2 }; 10])
}

impl Dialogue {
    /// As a transcript; `hear` makes of each turn's words what a recogniser makes of them.
    pub fn transcript(&self, mut hear: impl FnMut(Vec<Word>) -> Vec<Word>) -> Transcript {
        let mut utterances = Vec::new();
        for turn in &self.turns {
            let place = |n: usize| turn.span.0 + WORD_MS * u32::try_from(n).unwrap_or(0);
            let word = |(n, text): (usize, &str)| Word { text: text.into(), from_ms: place(n), to_ms: place(n + 1), confidence: 90 };
            let words = hear(turn.text.split(' ').enumerate().map(word).collect());
            if words.is_empty() {
                continue;
            }
            let (from_ms, to_ms) = turn.span;
            utterances.push(Utterance { leg: leg(turn.party), party: turn.party, from_ms, to_ms, words, confidence: 90, rejected: None });
        }
        let coverage = [Party::Customer, Party::Agent].map(|party| LegCoverage::all(leg(party), 100)).to_vec();
        Transcript { model: "by hand".into(), language: "en".into(), utterances, coverage }
    }
}
