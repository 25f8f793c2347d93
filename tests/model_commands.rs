//! `throughline model` as somebody types it: what is wrong is said with what to do, and nothing wrong is put in place.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    fs,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Output},
    thread,
};

/// Runs `throughline model …` in a folder without configuration.
fn model(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
    let Output { status, stdout, stderr } = command.arg("model").args(arguments).current_dir(folder).output().unwrap();
    (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

/// A server that answers every request with this body; returns its address.
fn server(body: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = answer(&mut stream.unwrap(), body);
        }
    });
    address
}

fn answer(stream: &mut TcpStream, body: &[u8]) -> io::Result<()> {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet)?;
        asked.extend(octet);
    }
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(body)
}

#[test]
fn a_page_in_place_of_a_model_is_refused_and_nothing_is_put_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let (good, said) = model(folder.path(), &["fetch", "tiny.en-q5_1", "--into", "here", "--from", &server(b"<html>Sign in</html>")]);
    assert!(!good && said.contains("ended after") && said.contains("throughline model verify"), "{said}");
    assert!(!folder.path().join("here/ggml-tiny.en-q5_1.bin").exists());
    let (good, said) = model(folder.path(), &["fetch", "nope"]);
    assert!(!good && said.contains("throughline model list"), "{said}");
}

#[test]
fn a_file_that_is_not_what_its_name_says_is_found_by_verify() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ggml-tiny.en-q5_1.bin"), b"not a model").unwrap();
    let (good, said) = model(folder.path(), &["verify", "ggml-tiny.en-q5_1.bin"]);
    assert!(!good && said.contains("WRONG") && said.contains("fetch it again"), "{said}");
    let (good, said) = model(folder.path(), &["list"]);
    assert!(good && said.contains("base.en") && said.contains("large-v3"), "{said}");
}

#[test]
fn check_names_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (good, said) = model(folder.path(), &["check", "nowhere.en"]);
    assert!(!good && said.contains("throughline model fetch nowhere.en"), "{said}");
    let (good, said) = model(folder.path(), &["check", "--samples", "nowhere"]);
    assert!(!good && said.contains("nowhere/transcripts.tsv") && said.contains("--samples takes a folder"), "{said}");
}
