//! Makes `web/dist` exist, so that the binary builds before the desk has been built.

use std::{fs, path::Path};

const PLACEHOLDER: &str = "<!doctype html><meta charset=utf-8><title>Throughline</title>\
<p>The desk is not built yet. Run <code>scripts/run</code>, or <code>npm ci && npm run build</code> in <code>web/</code>.";

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=web/dist");
    println!("cargo::rerun-if-changed=migrations");
    let dist = Path::new("web/dist");
    fs::create_dir_all(dist)?;
    let index = dist.join("index.html");
    if !index.exists() {
        fs::write(index, PLACEHOLDER)?;
    }
    Ok(())
}
