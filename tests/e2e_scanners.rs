//! The scanners that every public SIP port meets: svmap, svwar and svcrack of SIPVicious find nothing, and give up.
//!
//! Where they are not installed (`apt-get install sipvicious`, or `pip install sipvicious`) it says so and passes.
#![expect(clippy::print_stdout, reason = "tells what the scanners said")]

mod support;

use std::{fs, path::PathBuf, process::Command};

use support::{
    agent::Agent,
    server::{PHONES, Server},
};

/// Where they scan from.
const SCANNER: &str = "127.0.0.9";

/// A program of SIPVicious, by the name that packages or Python give it.
fn program(name: &str) -> Option<PathBuf> {
    let names = [name.to_owned(), format!("sipvicious_{name}")];
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name))).find(|path| path.is_file())
}

/// Runs a scan to its end and returns what it said.
fn scan(server: &Server, name: &str, arguments: &[&str]) -> String {
    let target = server.address.to_string();
    let program = program(name).expect("looked for before");
    let home = server.folder.path();
    let mut scan = Command::new(program);
    scan.args(arguments).args(["-b", SCANNER, target.as_str()]).current_dir(home).env("HOME", home);
    let output = scan.output().expect("it runs");
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    println!("{name} {}: {}", arguments.join(" "), said.lines().last().unwrap_or_default());
    said
}

#[test]
fn scanners_learn_no_extension_and_no_password_and_give_up() {
    if ["svmap", "svwar", "svcrack"].iter().any(|name| program(name).is_none()) {
        println!("skipped: SIPVicious is not installed");
        return;
    }
    let server = Server::start(|name, text| if name == "speech.toml" { "[speech]\nenabled = false\n".to_owned() } else { text });
    let map = scan(&server, "svmap", &[]);
    assert!(map.contains("Throughline"), "a port that is open can be found: {map}");

    for method in ["REGISTER", "INVITE", "OPTIONS"] {
        for force in [&["-e", "99-199", "-m", method][..], &["-e", "99-199", "--force", "-m", method]] {
            let said = scan(&server, "svwar", &[force, &["--maximumtime", "2"]].concat());
            assert!(said.contains("found nothing") && !said.contains("| 101 "), "{said}");
        }
    }

    let (user, password) = PHONES[0];
    let list = server.folder.path().join("passwords");
    let guesses: Vec<String> = (0..400).map(|n| format!("guess{n}")).chain([password.to_owned()]).collect();
    fs::write(&list, guesses.join("\n")).expect("written");
    // Again from the same port: the first challenge has SHA-256 in it, which it does not know; then it is offered MD5.
    for _ in 0..2 {
        let arguments = ["-u", user, "-d", &list.display().to_string(), "-P", "5999", "--maximumtime", "3"];
        let said = scan(&server, "svcrack", &arguments);
        assert!(said.contains("found nothing") && !said.contains(password), "{said}");
    }
    let metric = |name: &str| server.metric(name).unwrap_or_default();
    assert!(metric("throughline_stranger_silenced_total") >= 1.0, "the guesser is answered no more");
    assert!(metric("throughline_stranger_unanswered_total") >= 1.0);
    assert!(metric("throughline_digest_challenged_total") < 100.0, "it had few guesses of {}", guesses.len());

    // The account that was guessed at is not locked: its owner is not the one who guessed.
    drop(Agent::daniel(&server));
}
