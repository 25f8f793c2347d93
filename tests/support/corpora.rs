//! The corpora beside the project, read at run time.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::path::{Path, PathBuf};

/// The folder of corpora; says so where there is none.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub fn folder() -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("THROUGHLINE_SHARED").map(PathBuf::from);
    let places = named.into_iter().chain([home.join("../shared"), home.join("../../shared")]);
    let found = places.map(|place| place.join("corpora")).find(|place| place.is_dir());
    if found.is_none() {
        println!("skipped: no corpora beside the project (set THROUGHLINE_SHARED)");
    }
    found
}

/// Every file under a folder but the indexes, with its content, by name.
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_none_or(|kind| kind != "tsv") {
            found.push((path.clone(), std::fs::read(&path).expect("a file")));
        }
    }
    found
}
