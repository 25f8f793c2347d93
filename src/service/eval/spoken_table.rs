//! The tables of recognised dialogues: a row per text, so that what the recogniser costs stands below what is written.

use std::io::{self, Write};

use super::{
    Evaluation,
    cards::CardFigures,
    moods::MoodFigures,
    report::percent,
    spoken::{Spoken, SpokenFigures},
    statistics::Figure,
};

type OfCard = fn(&CardFigures) -> &Figure;
type OfMood = fn(&MoodFigures) -> &Figure;

const CARD: [(&str, OfCard); 8] = [
    ("reason right", |c| &c.reason),
    ("reasons one by one: F1", |c| &c.reasons),
    ("details: F1", |c| &c.slots),
    ("promises: F1", |c| &c.promises),
    ("last day right, of promises found", |c| &c.due),
    ("agreements: F1", |c| &c.agreed),
    ("outcome right", |c| &c.outcome),
    ("outcome: macro-F1", |c| &c.outcome_f1),
];
const MOOD: [(&str, OfMood); 2] = [("mood of a turn: macro-F1", |m| &m.macro_f1), ("mood of a turn: right", |m| &m.accuracy)];

/// Writes them beside the figures on the text as written.
pub(super) fn write(evaluation: &Evaluation, spoken: &Spoken, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "## The same dialogues spoken and recognised: synthetic voices, G.711, model {}\n", spoken.model)?;
    writeln!(
        out,
        "Each turn spoken by {} at 170 words a minute, 300 – 3,400 Hz, noise 30 dB below the voice, A-law; long numbers and codes sign by\n\
         sign. Then the whole path: voice activity, utterances, worker, gates. The demo model knows about 1,050 words and these\n\
         dialogues were not written for it, so most of what it gets wrong it has never heard: **this is what the card bears, not what a\n\
         recogniser of people does to it**. Word errors compare with the text as written: \"six one\" heard as \"61\" counts. A quote is\n\
         right by its place in the sound, though words in it may be misheard. A call of which too little was understood has no card: all\n\
         its labels count as missed, its outcome as unclear.\n",
        spoken.synthesiser
    )?;
    writeln!(out, "| voices (agent, customer) | words | word errors, % | 95 % | voice with words, % | 95 % | calls without card |")?;
    writeln!(out, "| --- | --- | --- | --- | --- | --- | --- |")?;
    for SpokenFigures { cast, word_errors, understood, without_card, .. } in &spoken.figures {
        writeln!(
            out,
            "| {} ({}, {}) | {} | {} | {} | {without_card} of {} |",
            cast.name,
            cast.agent,
            cast.customer,
            word_errors.n,
            percent(word_errors),
            percent(understood),
            understood.n
        )?;
    }
    writeln!(out, "\n| what | text | n | % | 95 % |\n| --- | --- | --- | --- | --- |")?;
    let written = &evaluation.texts[0];
    let mut row = |what: &str, text: &str, of: &Figure| writeln!(out, "| {what} | {text} | {} | {} |", of.n, percent(of));
    for (what, figure) in CARD {
        row(what, "as written", figure(&written.card))?;
        for heard in &spoken.figures {
            row(what, &recognised(heard), figure(&heard.card))?;
        }
    }
    row("outcome right by always saying \"solved\"", "any", &written.card.outcome_majority)?;
    for (what, figure) in MOOD {
        row(what, "as written", figure(&written.moods))?;
        for heard in &spoken.figures {
            row(what, &recognised(heard), figure(&heard.moods))?;
        }
        row(&format!("{what}, plain VADER"), "as written", figure(&written.vader))?;
        for heard in &spoken.figures {
            row(&format!("{what}, plain VADER"), &recognised(heard), figure(&heard.vader))?;
        }
    }
    let lines = |f: &SpokenFigures| format!("{} of {} lines invented ({})", f.card.counts.invented, f.card.counts.lines, f.cast.name);
    writeln!(
        out,
        "\n{}: a line is invented when it was not recognised where it says.\n",
        spoken.figures.iter().map(lines).collect::<Vec<_>>().join(", ")
    )
}

fn recognised(of: &SpokenFigures) -> String {
    format!("recognised, espeak-ng, {}", of.cast.name)
}
