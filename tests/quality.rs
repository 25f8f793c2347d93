//! The figures in `docs/quality.md` are those of this code, or worse: nothing got worse unsaid, nothing is said too good.

use std::{fs, path::Path};

use throughline::service::eval::{self, dialogues};

/// A figure of the page may lie this far above today's, points: rounding.
const ROUNDING: f64 = 0.11;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Rows of the tables on text: (heading and row name, the figure in %).
fn figures(page: &str) -> Vec<(String, f64)> {
    let (mut heading, mut found) = (String::new(), Vec::new());
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            heading = title.to_owned();
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (name, figure) = match &cells[..] {
            ["", method, text, _, figure, _, _, _, ""] => (format!("{method}, {text}"), figure),
            ["", what, _, figure, _, ""] if !heading.starts_with("Mood") => ((*what).to_owned(), figure),
            _ => continue,
        };
        if let Ok(figure) = figure.parse() {
            found.push((format!("{heading}: {name}"), figure));
        }
    }
    found
}

fn today() -> eval::Evaluation {
    eval::measure(&dialogues::read(&root().join("tests/dialogues")).expect("the held-out dialogues"))
}

#[test]
fn the_page_says_nothing_better_than_what_is_measured_now() {
    let evaluation = today();
    let mut now = Vec::new();
    eval::write(&evaluation, "now", &mut now).expect("to memory");
    let now = figures(&String::from_utf8(now).expect("text"));
    let page = figures(&fs::read_to_string(root().join("docs/quality.md")).expect("docs/quality.md; scripts/quality writes it"));
    assert!(now.len() >= 34 && page.len() == now.len(), "{} rows on the page, {} now: run scripts/quality", page.len(), now.len());
    for ((name, said), (row, measured)) in page.iter().zip(&now) {
        assert_eq!(name, row, "the page has other rows: run scripts/quality");
        assert!(said - measured <= ROUNDING, "{name}: the page says {said} %, now it is {measured} %. Mend it, or run scripts/quality");
    }
    assert!(evaluation.texts.iter().all(|t| t.card.counts.invented == 0), "a line was invented");
}

#[test]
fn development_dialogues_are_not_among_those_that_measure() {
    let held_out = dialogues::read(&root().join("tests/dialogues")).expect("reads");
    let development = dialogues::read(&root().join("tests/dialogues/development")).expect("reads");
    assert!(held_out.len() >= 60 && development.len() >= 12);
    for dialogue in &development {
        let turns = |d: &dialogues::Dialogue| d.turns.iter().filter(|t| t.text.split(' ').count() > 6).map(|t| t.text.clone()).collect();
        let own: Vec<String> = turns(dialogue);
        let shared = held_out.iter().flat_map(turns).find(|t| own.contains(t));
        assert_eq!(shared, None, "{}", dialogue.name);
    }
}
