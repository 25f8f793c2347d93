//! The SQL itself: read from the sources, held to the dialect, explained by the database.

use std::{fs, path::Path};

use regex::Regex;
use sqlx::Row as _;

use super::*;

/// Tables that grow with the house: no reading statement may walk through one of them.
const LARGE: &str = "customer|identity|identity_customer|interaction|leg|segment|offer|message|recording|transcript|utterance|finding|evidence|\
                     note|draft|correction|sound|ticket|ticket_interaction|work_item|event|audit";

/// Indexes that hold the open ones only: to walk through them is to walk through the work at hand.
const PARTIAL: [&str; 3] = ["INDEX work_item_due", "INDEX interaction_open", "INDEX finding_judged"];

/// The statements of one source file, put together from its literals.
fn statements(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    let mut template = String::new();
    let literal = Regex::new(r#"(?s)concat!\(((?:[^()"]|"(?:[^"\\]|\\.)*")*)\)|"((?:[^"\\]|\\.)*)""#).expect("a pattern");
    let part = Regex::new(r#"(?s)"((?:[^"\\]|\\.)*)"|\$(\w+)"#).expect("a pattern");
    let plain = |text: &str| Regex::new(r"\\\n\s*").expect("a pattern").replace_all(text, "").replace("\\\"", "\"");
    while let Some(hit) = literal.captures(rest) {
        let stands_for = |name: &str| match name {
            "key" => "customer",
            "which" => "$2",
            _ => "",
        };
        let text = match (hit.get(1), hit.get(2)) {
            (Some(parts), _) => part
                .captures_iter(parts.as_str())
                .map(|p| p.get(1).map_or_else(|| stands_for(&p[2]).to_owned(), |text| plain(text.as_str())))
                .collect(),
            (_, Some(text)) => plain(text.as_str()),
            _ => String::new(),
        };
        if hit.get(1).is_some_and(|parts| parts.as_str().contains("$rest")) {
            template = text;
        } else if text.starts_with("WHERE w.") {
            found.push(template.clone() + &text);
        } else if ["SELECT ", "INSERT ", "UPDATE ", "DELETE "].iter().any(|verb| text.starts_with(verb)) {
            found.extend(text.replace("; SELECT ", ";\0SELECT ").split(";\0").map(str::to_owned));
        }
        rest = &rest[hit.get(0).expect("a hit").end()..];
    }
    found
}

fn sources() -> Vec<(String, Vec<String>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/service/store");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("a file").path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let source = fs::read_to_string(&path).expect("a source");
            let product = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            found.push((name, statements(product)));
        }
    }
    found.sort();
    found
}

fn migrations() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = fs::read_dir(folder).expect("migrations").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read_to_string(file).expect("a migration")).collect::<String>()
}

#[test]
fn the_sql_keeps_to_the_portable_dialect() {
    let all = sources();
    assert!(all.iter().map(|(_, found)| found.len()).sum::<usize>() > 120, "the reader of the sources finds the statements");
    let forbidden = Regex::new(
        r"(?i)\bLIKE\b|\bGLOB\b|INSERT OR|\bIFNULL\b|\bAUTOINCREMENT\b|\bROWID\b|datetime\(|strftime\(|\bIS NOT DISTINCT\b|\?\d|COLLATE NOCASE|json_|printf",
    )
    .expect("a pattern");
    let nullable_order = Regex::new(r"(?i)ORDER BY[^()]*\b(due|until|p\.phone)\b").expect("a pattern");
    for (file, found) in &all {
        for sql in found {
            assert!(!forbidden.is_match(sql), "{file}: {sql}");
            assert!(
                !nullable_order.is_match(sql) || sql.contains("NULLS ") || sql.contains("due < $3"),
                "NULLS FIRST or LAST is written, {file}: {sql}"
            );
        }
    }
    let ddl = Regex::new("--.*").expect("a pattern").replace_all(&migrations(), "").into_owned();
    let types = Regex::new(r"(?im)^\s+\w+ (INTEGER|INT|BOOLEAN|DATETIME|VARCHAR|REAL|BLOB|JSON)\b").expect("a pattern");
    assert!(!forbidden.is_match(&ddl) && !types.is_match(&ddl), "only TEXT and BIGINT");
}

#[tokio::test]
async fn every_statement_is_understood_and_none_walks_through_a_large_table() {
    let (store, _dir, _) = seeded().await;
    let mut conn = store.read().await.expect("a reader");
    let scan = Regex::new(r"^SCAN (\w+)").expect("a pattern");
    let named = Regex::new(r"(?:FROM|JOIN) (\w+) (?:AS )?([a-z])\b").expect("a pattern");
    let large: Vec<&str> = LARGE.split('|').collect();
    let mut walked = Vec::new();
    for (file, found) in sources() {
        for sql in found {
            let plan = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(&mut *conn).await;
            let plan = plan.unwrap_or_else(|error| panic!("{file}: {error}: {sql}"));
            let alias = |name: &str| named.captures_iter(&sql).find(|hit| &hit[2] == name).map(|hit| hit[1].to_owned());
            for row in plan {
                let step: String = row.get("detail");
                let Some(hit) = scan.captures(&step) else { continue };
                let table = alias(&hit[1]).unwrap_or_else(|| hit[1].to_owned());
                if large.contains(&table.as_str()) && !PARTIAL.iter().any(|index| step.ends_with(index)) {
                    walked.push(format!("{file}: {step}: {sql}"));
                }
            }
        }
    }
    assert!(walked.is_empty(), "{}", walked.join("\n"));
}
