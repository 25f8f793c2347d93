//! The measures as tables in Markdown: `docs/quality.md` is this text.

use std::io::{self, Write};

use super::{Evaluation, TextFigures, spoken_table, statistics::Figure, words::WordFigures};
use crate::{
    domain::insight::{
        card::{self, Card, Context, Label},
        sentiment,
        slots::Known,
        support,
    },
    service::speech::word_errors,
};

/// Writes all tables; `of` names what was measured ("commit 1234abc").
pub fn write(evaluation: &Evaluation, of: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# What words, card and mood are worth\n")?;
    writeln!(
        out,
        "Measured: {of}; rules `{}` {}, `{}` {}.",
        card::METHOD,
        card::METHOD_VERSION,
        sentiment::METHOD,
        sentiment::METHOD_VERSION
    )?;
    writeln!(out, "Written by `scripts/quality`, never by hand; `cargo test --test quality` holds the figures on text to it.\n")?;
    let n = evaluation.dialogues;
    writeln!(
        out,
        "{n} dialogues with {} customer turns (`tests/dialogues`), written and labelled apart from the rules. Rules are tuned on\n\
         `tests/dialogues/development` and the cases in `domain/insight` only. Figures in %, with the 95 % interval from drawing whole\n\
         dialogues 2,000 times. \"Simulated N %\" is the same text with N errors per hundred words put in at random (seeded): no recogniser\n\
         and no voice was involved. \"Recognised\" is the same text spoken by a synthesiser and heard by the demo model, in a table of its own.\n\
         What a real recogniser does to real calls is not measured here. How often these dialogues were measured while rules changed is\n\
         counted in `tests/dialogues/README.md`.\n",
        evaluation.turns
    )?;
    moods(evaluation, out)?;
    for text in &evaluation.texts {
        cards_of(text, n, out)?;
    }
    if let Some(spoken) = &evaluation.spoken {
        spoken_table::write(evaluation, spoken, out)?;
    }
    if let Some(words) = &evaluation.words {
        self::words(words, out)?;
    }
    Ok(())
}

/// The name of a kind of text.
fn named(simulated: Option<u8>) -> String {
    simulated.map_or_else(|| "as written".to_owned(), |percent| format!("simulated {percent} %"))
}

pub(super) fn percent(figure: &Figure) -> String {
    let tenth = |v: f64| format!("{:.1}", v * 100.0);
    format!("{} | {} – {}", tenth(figure.value), tenth(figure.interval.0), tenth(figure.interval.1))
}

fn moods(evaluation: &Evaluation, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "## Mood of a customer's turn (displeased, neutral, pleased)\n")?;
    writeln!(out, "| method | text | n | macro-F1 | 95 % | right | 95 % |\n| --- | --- | --- | --- | --- | --- | --- |")?;
    let mut row = |method: &str, text: &str, of: &super::MoodFigures| {
        writeln!(out, "| {method} | {text} | {} | {} | {} |", of.macro_f1.n, percent(&of.macro_f1), percent(&of.accuracy))
    };
    row("always the commonest", "any", &evaluation.majority)?;
    for text in &evaluation.texts {
        row("plain VADER", &named(text.simulated), &text.vader)?;
        row("ours", &named(text.simulated), &text.moods)?;
    }
    let [negative, neutral, positive] = evaluation.texts[0].moods.confusion;
    writeln!(
        out,
        "\nAs written, ours; labelled (row) against read (column):\n\n| | displeased | neutral | pleased |\n| --- | --- | --- | --- |"
    )?;
    for (name, row) in [("displeased", negative), ("neutral", neutral), ("pleased", positive)] {
        writeln!(out, "| {name} | {} | {} | {} |", row[0], row[1], row[2])?;
    }
    writeln!(out)
}

fn cards_of(text: &TextFigures, calls: usize, out: &mut dyn Write) -> io::Result<()> {
    let card = &text.card;
    writeln!(out, "## Card, text {}\n\n| what | n | % | 95 % |\n| --- | --- | --- | --- |", named(text.simulated))?;
    let mut row = |what: &str, of: &Figure| writeln!(out, "| {what} | {} | {} |", of.n, percent(of));
    row("reason right (a labelled one quoted; none where none was given)", &card.reason)?;
    row("reasons one by one, two where there are two: F1", &card.reasons)?;
    row("details (amount, date, reference, product): F1", &card.slots)?;
    row("promises: F1", &card.promises)?;
    row("last day right, of promises found", &card.due)?;
    row("agreements: F1", &card.agreed)?;
    row("outcome right", &card.outcome)?;
    row("outcome: macro-F1", &card.outcome_f1)?;
    row("outcome right by always saying \"solved\"", &card.outcome_majority)?;
    let t = &card.counts;
    let pair = |h: super::statistics::Hits| format!("precision {:.0} %, recall {:.0} %", h.precision() * 100.0, h.recall() * 100.0);
    writeln!(out, "\nDetails: {}. Promises: {}. Agreements: {}.", pair(t.slots), pair(t.promises), pair(t.agreed))?;
    writeln!(
        out,
        "Sentences that sound like a promise and are none (negated, conditional, asked): {}, taken for one: {}.",
        t.traps, t.trapped
    )?;
    writeln!(out, "Lines in {calls} cards: {}. **Invented lines: {}.**\n", t.lines, t.invented)
}

/// Synthetic voices: a table of their own.
fn words(of: &WordFigures, out: &mut dyn Write) -> io::Result<()> {
    let rate = |errors: usize| 100.0 * errors as f64 / of.words.max(1) as f64;
    writeln!(out, "## Words: synthetic voices, G.711, model {}\n", of.model)?;
    writeln!(
        out,
        "The carried samples and the carried call ({} words), in voices that the demo model was trained on: a regression figure for the\n\
         path, not a promise about people.\n",
        of.words
    )?;
    writeln!(out, "| | word errors | % |\n| --- | --- | --- |")?;
    writeln!(out, "| model alone, given exactly what is said | {} | {:.1} |", of.alone, rate(of.alone))?;
    writeln!(out, "| whole path: voice activity, utterances, worker, gates | {} | {:.1} |", of.path, rate(of.path))?;
    let known = Known { call: time::macros::date!(2026 - 03 - 05), references: &[], products: &[], patterns: &[] };
    let context = Context { known, subjects: &[] };
    let (Ok(said), Ok(heard)) = (card::card(&of.said, &context), card::card(&of.heard, &context)) else {
        return writeln!(out, "\nThe call has no card: too little was understood.");
    };
    let invented = heard.lines.iter().filter(|l| !support::supports(&of.heard, l)).count();
    let mood = |t| sentiment::sentiment(t).overall.map_or_else(|| "not enough".to_owned(), |s| s.to_string());
    writeln!(
        out,
        "\nThe card of that one call, from the script and from recognised words: {} of {} lines are the same (case and punctuation aside), \
         {} of {} promises, outcome {}; invented lines {invented}; mood {} against {}.",
        same(&said, &heard),
        said.lines.len(),
        said.promises.iter().filter(|p| heard.promises.iter().any(|h| plain(&h.text) == plain(&p.text) && h.due == p.due)).count(),
        said.promises.len(),
        if said.outcome == heard.outcome { "the same" } else { "another" },
        mood(&of.said),
        mood(&of.heard),
    )
}

fn plain(text: &str) -> Vec<String> {
    word_errors::words(text)
}

fn same(said: &Card, heard: &Card) -> usize {
    let text = |card: &Card, label: Label| card.lines.iter().find(|l| l.label == label).map(|l| plain(&l.text));
    said.lines.iter().filter(|l| text(heard, l.label).as_ref() == Some(&plain(&l.text))).count()
}

/// One line on what people made of a method's card lines: shares of all that stand in the record.
pub fn judged((method, version): &(String, String), lines: u32, [confirmed, edited, rejected]: [u32; 3]) -> String {
    let share = |part: u32| 100.0 * f64::from(part) / f64::from(lines.max(1));
    let [c, e, r] = [confirmed, edited, rejected].map(share);
    format!(
        "{method} {version}: {lines} lines; confirmed {confirmed} ({c:.1} %), edited {edited} ({e:.1} %), rejected {rejected} ({r:.1} %)"
    )
}

/// Writes what was labelled and what was read, dialogue by dialogue: for those that rules are tuned on.
pub fn show(dialogues: &[super::Dialogue], out: &mut dyn Write) -> io::Result<()> {
    for (dialogue, transcript) in dialogues.iter().zip(super::transcripts(dialogues, None)) {
        writeln!(out, "== {}", dialogue.name)?;
        let mood = sentiment::sentiment(&transcript);
        for turn in &dialogue.turns {
            let here = |t: &&sentiment::TurnScore| {
                t.evidence.party == turn.party && t.evidence.from_ms < turn.span.1 && turn.span.0 < t.evidence.to_ms
            };
            let score = mood.turns.iter().find(here).map_or(0, |t| t.score);
            writeln!(out, "{:>6} {:>4} {score:>4} {:?}: {}", turn.span.0, turn.mood.unwrap_or(0), turn.party, turn.text)?;
        }
        writeln!(
            out,
            "labels: {:?} {:?}\n  {:?} {:?} {:?}",
            dialogue.reasons, dialogue.slots, dialogue.promises, dialogue.agreed, dialogue.outcome
        )?;
        if let Some(card) = super::cards::read(dialogue, &transcript) {
            writeln!(out, "read: {:?}", card.outcome)?;
            for line in &card.lines {
                writeln!(out, "  {:?}: {} {:?}", line.label, line.text, line.evidence.iter().map(|e| e.from_ms).collect::<Vec<_>>())?;
            }
            for slot in &card.slots {
                writeln!(out, "  {:?} {}", slot.kind, slot.value)?;
            }
            for promise in &card.promises {
                writeln!(out, "  promise {:?} {:?}: {}", promise.by, promise.due, promise.text)?;
            }
        }
    }
    Ok(())
}
