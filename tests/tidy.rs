//! The house rules, read off the sources: rings, sizes, bans. Each rule also shows that it can fail.

use std::{
    fs,
    path::{Path, PathBuf},
};

const MAX_FILE_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 70;

/// A room (a prefix of paths under `src/`) and the crate paths that it may import, besides its own.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("protocol/sip", &[]),
    ("protocol/sdp", &[]),
    ("protocol/rtp", &[]),
    ("protocol/audio", &[]),
    ("domain/customer", &["ids", "time"]),
    ("domain/insight", &["ids", "time"]),
    ("domain/routing", &["ids", "time", "domain::fact"]),
    ("domain/media", &["ids", "time", "protocol::rtp", "protocol::audio", "protocol::sdp"]),
    ("domain/call", &["ids", "time", "domain", "protocol::sip", "protocol::sdp"]),
    ("domain/switch", &["ids", "time", "domain", "protocol"]),
    ("domain/fact.rs", &["ids", "time", "domain::media::plan"]),
    ("domain/live.rs", &["ids", "time", "domain::customer::brief", "domain::fact"]),
    ("service/store", &["ids", "time", "domain", "config"]),
    ("service/speech", &["ids", "time", "domain", "protocol::audio", "config", "service::egress"]),
    (
        "service/jobs",
        &[
            "ids",
            "time",
            "domain",
            "service::clock",
            "service::live_words",
            "service::connectors",
            "service::store",
            "service::speech",
            "service::recorder",
            "config",
        ],
    ),
    ("service/egress", &[]),
    ("service/api", &["ids", "time", "domain", "service::clock", "service::live", "service::store", "service::recorder", "config"]),
    ("service/connectors", &["ids", "time", "domain", "config", "service::egress"]),
    ("service/eval", &["ids", "time", "domain", "protocol::audio", "service::speech"]),
    ("service/taps.rs", &["ids", "time", "domain::media"]),
    ("service/recorder", &["ids", "time", "domain", "protocol::audio", "service::taps"]),
    ("service/spool", &["ids", "time", "domain", "service::store"]),
    ("service/media_threads", &["ids", "time", "domain", "protocol", "service::taps"]),
];

/// Whatever the table above allows, these stay forbidden.
const NEVER: &[(&str, &str)] =
    &[("service/api", "domain::media"), ("service/api", "protocol"), ("domain", "service"), ("protocol", "domain")];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in folders {
        rust_files(&root().join(folder), &mut files);
    }
    files.sort();
    assert!(!files.is_empty(), "no sources found under {folders:?}");
    let named = |path: PathBuf| {
        let name = path.strip_prefix(root()).expect("under the root").to_string_lossy().into_owned();
        (name, fs::read_to_string(&path).expect("readable source"))
    };
    files.into_iter().map(named).collect()
}

/// The crate paths that a source imports, with groups as in `use crate::{a, b::{c, d}}` taken apart.
fn imports(text: &str) -> Vec<String> {
    let code: String = text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        take_apart(&code[at + "crate::".len()..], "", &mut found);
    }
    found
}

/// Reads `a::b` or `a::{…}` at the head of `text`; `prefix` is what stands before it.
fn take_apart(text: &str, prefix: &str, found: &mut Vec<String>) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let own = text[..end].trim_end_matches(':');
    let path = [prefix, own].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("::");
    let is_group = (end == 0 || text[..end].ends_with("::")) && text[end..].starts_with('{');
    if !is_group {
        found.push(path.trim_end_matches("::self").to_owned());
        return;
    }
    let group = &text[end + 1..];
    let (mut depth, mut start) = (0usize, 0);
    for (at, c) in group.char_indices() {
        let ends_item = depth == 0 && matches!(c, ',' | '}');
        if ends_item && !group[start..at].trim().is_empty() {
            take_apart(group[start..at].trim(), &path, found);
        }
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return,
            '}' => depth -= 1,
            ',' if depth == 0 => start = at + 1,
            _ => {}
        }
    }
}

fn within(path: &str, room: &str) -> bool {
    path == room || path.strip_prefix(room).is_some_and(|rest| rest.starts_with("::"))
}

fn ring_faults(name: &str, text: &str) -> Vec<String> {
    let Some(inside) = name.strip_prefix("src/") else { return Vec::new() };
    let mut faults = Vec::new();
    for path in imports(text) {
        for (room, banned) in NEVER {
            if inside.starts_with(room) && within(&path, banned) {
                faults.push(format!("{name} imports crate::{path}, which {room} never may"));
            }
        }
        let Some((room, allowed)) = MAY_IMPORT.iter().find(|(room, _)| inside.starts_with(room)) else { continue };
        let own = room.trim_end_matches(".rs").replace('/', "::");
        let everywhere = within(&path, "fault");
        if !everywhere && !within(&path, &own) && !allowed.iter().any(|a| within(&path, a)) {
            faults.push(format!("{name} imports crate::{path}; {room} may import only {allowed:?}"));
        }
    }
    faults
}

#[test]
fn imports_go_one_way_from_service_to_domain_to_protocol() {
    let faults: Vec<_> = sources(&["src"]).iter().flat_map(|(name, text)| ring_faults(name, text)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let bad = "use crate::{ids::LegId, service::{clock, store::{Store, views::Me}}};\n";
    assert_eq!(ring_faults("src/domain/routing/x.rs", bad).len(), 6, "the rule can fail: three imports, each against two rules");
}

#[test]
fn files_have_at_most_500_lines() {
    let long: Vec<_> = sources(&["src", "tests", "benches"])
        .iter()
        .filter(|(_, text)| text.lines().count() > MAX_FILE_LINES)
        .map(|(name, text)| format!("{name}: {} lines", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "split these by what they are about:\n{}", long.join("\n"));
}

fn begins_function(code: &str) -> bool {
    let code =
        code.strip_prefix("pub ").or_else(|| code.strip_prefix("pub(crate) ")).or_else(|| code.strip_prefix("pub(super) ")).unwrap_or(code);
    let code = code.strip_prefix("const ").unwrap_or(code);
    let code = code.strip_prefix("async ").unwrap_or(code);
    let code = code.strip_prefix("unsafe ").unwrap_or(code);
    code.starts_with("fn ") || code.starts_with("extern \"C\" fn ")
}

/// Functions with more lines than allowed, found by the indentation that rustfmt gives.
fn long_functions(name: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut long = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        if !begins_function(code) || line.ends_with(';') || line.ends_with('}') {
            continue;
        }
        let closing = format!("{}}}", &line[..line.len() - code.len()]);
        let length = lines[at..].iter().position(|l| *l == closing).map_or(0, |n| n + 1);
        if length > MAX_FUNCTION_LINES {
            long.push(format!("{name}:{}: {length} lines", at + 1));
        }
    }
    long
}

#[test]
fn functions_have_at_most_70_lines() {
    let long: Vec<_> = sources(&["src", "tests", "benches"]).iter().flat_map(|(name, text)| long_functions(name, text)).collect();
    assert!(long.is_empty(), "split these by what they do:\n{}", long.join("\n"));
    let bad = format!("pub async fn long() {{\n{}}}\n", "    step();\n".repeat(MAX_FUNCTION_LINES));
    assert_eq!(long_functions("x.rs", &bad).len(), 1, "the rule can fail");
}

/// Texts that may not occur, where, and why.
fn ban_faults(name: &str, text: &str) -> Vec<String> {
    let inner = name.starts_with("src/protocol") || name.starts_with("src/domain");
    let typed = name.starts_with("src/") && name != "src/main.rs";
    let bans: &[(&str, bool, &str)] = &[
        ("todo!(", true, "unfinished"),
        ("unimplemented!(", true, "unfinished"),
        ("thread::sleep(", true, "wait for a condition with a deadline"),
        ("time::sleep(", true, "wait for a condition with a deadline"),
        ("anyhow", typed, "typed errors outside main"),
        ("std::fs", inner, "no files inside"),
        ("std::env", inner, "no environment inside"),
        ("UdpSocket", inner, "no sockets inside"),
        ("Instant::now", inner, "time is an argument"),
        ("SystemTime::now", inner, "time is an argument"),
        ("thread::spawn", inner, "no threads inside"),
        ("getrandom", inner, "randomness is an argument"),
    ];
    let mut faults = Vec::new();
    if name != "tests/tidy.rs" && text.contains("#[ignore") {
        faults.push(format!("{name}: #[ignore: an ignored test is no test"));
    }
    if is_test_code(name) {
        return faults;
    }
    // Unit tests at a file's end may read corpora and clocks.
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    for (at, line) in code.lines().enumerate() {
        let line = line.split("//").next().unwrap_or(line);
        for (ban, _, why) in bans.iter().filter(|(ban, applies, _)| *applies && line.contains(ban)) {
            faults.push(format!("{name}:{}: {ban}: {why}", at + 1));
        }
    }
    faults
}

fn is_test_code(name: &str) -> bool {
    name == "tests/tidy.rs" || (name.starts_with("src/") && (name.contains("/tests/") || name.ends_with("/tests.rs")))
}

#[test]
fn the_banned_does_not_occur() {
    let is_test_code =
        |name: &str| name == "tests/tidy.rs" || (name.starts_with("src/") && (name.contains("/tests/") || name.ends_with("/tests.rs")));
    let faults: Vec<_> = sources(&["src", "tests", "benches"])
        .iter()
        .filter(|(name, _)| !is_test_code(name))
        .flat_map(|(name, text)| ban_faults(name, text))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(ban_faults("src/domain/x.rs", "let now = Instant::now();\n").len(), 1, "the rule can fail");
}

#[test]
fn every_source_says_in_its_header_what_it_is() {
    let silent: Vec<_> = sources(&["src"])
        .into_iter()
        .filter(|(_, text)| !(1..=12).contains(&text.lines().take_while(|l| l.starts_with("//!")).count()))
        .map(|(name, _)| name)
        .collect();
    assert!(silent.is_empty(), "a //! header of 1 to 12 lines is missing or too long in:\n{}", silent.join("\n"));
}

/// Tests that a table of rules names and that are not there, and rows that name none and do not say so.
fn unshown(table: &str, sources: &str) -> Vec<String> {
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| rule |") && !line.starts_with("| ---"));
    rows.flat_map(|row| {
        let shown = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        let named: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        let missing = named.iter().filter(|name| !sources.contains(&format!("fn {name}("))).map(|name| (*name).to_owned());
        let silent = (named.is_empty() && !shown.starts_with("none: ")).then(|| row.to_owned());
        match shown.starts_with("none: ") {
            true => Vec::new(),
            false => missing.chain(silent).collect(),
        }
    })
    .collect()
}

#[test]
fn every_rule_of_the_engine_and_of_speech_names_tests_that_exist_or_says_that_it_has_none() {
    let sources: String = sources(&["src", "tests"]).into_iter().map(|(_, text)| text).collect();
    for (page, least) in [("docs/engine-rules.md", 50), ("docs/speech-rules.md", 40)] {
        let table = fs::read_to_string(root().join(page)).expect("the table");
        assert_eq!(unshown(&table, &sources), Vec::<String>::new(), "{page}");
        assert!(table.lines().filter(|line| line.contains("| `")).count() > least, "{page} is read");
    }
    let bad =
        "| rule | where | shown by |\n| --- | --- | --- |\n| a | b | `there`, `gone` |\n| c | d | nobody |\n| e | f | none: later |\n";
    assert_eq!(unshown(bad, "fn there() {}"), ["gone", "| c | d | nobody |"]);
}
