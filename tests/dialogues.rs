//! The held-out dialogues: their labels fit their texts, so that what is measured on them means something.

use std::{collections::BTreeSet, fs, path::Path};

struct Dialogue {
    name: String,
    agent: Vec<String>,
    customer: Vec<(i8, String)>,
    labels: Vec<(String, String)>,
}

impl Dialogue {
    fn turn(&self, place: &str) -> &str {
        let number: usize = place[1..].parse().unwrap_or_else(|_| panic!("{}: {place} is no turn", self.name));
        let turn = match &place[..1] {
            "A" => self.agent.get(number - 1).map(String::as_str),
            "C" => self.customer.get(number - 1).map(|(_, text)| text.as_str()),
            _ => None,
        };
        turn.unwrap_or_else(|| panic!("{}: there is no turn {place}", self.name))
    }

    fn all(&self, label: &str) -> impl Iterator<Item = &str> {
        self.labels.iter().filter(move |(key, _)| key == label).map(|(_, value)| value.as_str())
    }
}

fn dialogues() -> Vec<Dialogue> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder").flatten().filter(|entry| entry.path().extension().is_some_and(|e| e == "txt")) {
        for line in fs::read_to_string(entry.path()).expect("text").lines().filter(|line| !line.is_empty()) {
            if let Some(name) = line.strip_prefix("== ") {
                found.push(Dialogue { name: name.to_owned(), agent: Vec::new(), customer: Vec::new(), labels: Vec::new() });
                continue;
            }
            let dialogue = found.last_mut().expect("a heading comes first");
            let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("{}: \"{line}\" has no key", dialogue.name));
            let value = value.trim().to_owned();
            match key.strip_prefix('C').and_then(|mood| mood.parse::<i8>().ok()) {
                Some(mood) => dialogue.customer.push((mood, value)),
                None if key == "A" => dialogue.agent.push(value),
                None => dialogue.labels.push((key.to_owned(), value)),
            }
        }
    }
    found
}

fn is_date(text: &str) -> bool {
    time::Date::parse(text, time::macros::format_description!("[year]-[month]-[day]")).is_ok()
}

#[test]
fn there_are_sixty_each_with_its_own_name_and_known_labels() {
    let dialogues = dialogues();
    assert!(dialogues.len() >= 60, "{}", dialogues.len());
    let names: BTreeSet<&str> = dialogues.iter().map(|dialogue| dialogue.name.as_str()).collect();
    assert_eq!(names.len(), dialogues.len());
    for dialogue in &dialogues {
        let known = ["day", "references", "products", "reason", "slots", "promise", "agreed", "outcome"];
        assert!(dialogue.labels.iter().all(|(key, _)| known.contains(&key.as_str())), "{}: {:?}", dialogue.name, dialogue.labels);
        assert!(dialogue.customer.iter().all(|(mood, _)| (-2..=2).contains(mood)), "{}", dialogue.name);
        let outcome: Vec<&str> = dialogue.all("outcome").collect();
        assert!(matches!(outcome[..], ["solved" | "not_solved" | "unclear"]), "{}: {outcome:?}", dialogue.name);
        assert!(dialogue.all("day").count() == 1 && dialogue.all("day").all(is_date), "{}", dialogue.name);
        assert!(dialogue.all("reason").count() >= 1, "{}", dialogue.name);
    }
}

#[test]
fn every_label_points_at_words_that_are_there() {
    for dialogue in dialogues() {
        for reason in dialogue.all("reason").filter(|reason| *reason != "none") {
            let (place, words) = reason.split_once(" | ").expect("turn and words");
            assert!(dialogue.turn(place).contains(words), "{}: {words}", dialogue.name);
        }
        for promise in dialogue.all("promise") {
            let [who, words, due] = promise.split(" | ").collect::<Vec<_>>()[..] else { panic!("{}: {promise}", dialogue.name) };
            let said = match who {
                "agent" => dialogue.agent.iter().any(|turn| turn.contains(words)),
                "customer" => dialogue.customer.iter().any(|(_, turn)| turn.contains(words)),
                _ => panic!("{}: who is {who}?", dialogue.name),
            };
            assert!(said && (due == "none" || is_date(due)), "{}: {promise}", dialogue.name);
        }
        for slot in dialogue.all("slots").flat_map(|slots| slots.split(" | ")) {
            let (kind, value) = slot.split_once(' ').expect("kind and value");
            assert!(matches!(kind, "amount" | "date" | "reference" | "product"), "{}: {slot}", dialogue.name);
            assert!(kind != "date" || is_date(value), "{}: {slot}", dialogue.name);
        }
        for agreed in dialogue.all("agreed") {
            let (proposal, yes) = agreed.split_once(" + ").expect("two turns");
            assert!(!dialogue.turn(proposal).is_empty() && !dialogue.turn(yes).is_empty(), "{}", dialogue.name);
        }
    }
}
