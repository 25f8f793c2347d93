//! Servers that cut off, ignore `Range`, send the wrong thing, are away.

use std::{
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
};

use tempfile::TempDir;

use super::*;
use crate::service::egress::stub::{Asked, Stub, answer};

/// What the stub has: 200,000 octets, no two hundred of which are alike.
fn content() -> Vec<u8> {
    (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// A model with that content, to be fetched from `stub`.
fn fetch(stub: &Stub, folder: &TempDir) -> Fetch {
    let content = content();
    let hash: &'static str = Box::leak(catalogue::sha256(&mut content.as_slice()).expect("in memory").into_boxed_str());
    let official = Official { name: "stub.en", octets: content.len() as u64, sha256: hash };
    Fetch { official, from: stub.url("/models").parse().expect("an address"), into: folder.path().join("models") }
}

fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

fn run(fetch: &Fetch) -> Result<PathBuf, FetchError> {
    fetch.run(&mut |_, _| {})
}

/// The first octet asked for.
fn from(asked: &Asked) -> usize {
    let range = asked.head.lines().find_map(|l| l.strip_prefix("Range: bytes="));
    range.and_then(|r| r.trim_end_matches('-').parse().ok()).unwrap_or(0)
}

/// Sends from `start` on, of which only `most` octets really come.
fn send(stream: &mut TcpStream, start: usize, most: usize) {
    let content = content();
    let rest = &content[start..];
    let status = if start > 0 { format!("206 Partial Content\r\nContent-Range: bytes {start}-199999/200000") } else { "200 OK".into() };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", rest.len());
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&rest[..most.min(rest.len())]);
}

#[test]
fn a_model_is_fetched_checked_and_put_in_place_with_its_progress_told() {
    let (stub, folder) = (Stub::start(|asked, stream| send(stream, from(asked), 200_000)), folder());
    let fetch = fetch(&stub, &folder);
    let mut told = Vec::new();
    let path = fetch.run(&mut |have, whole| told.push((have, whole))).expect("fetched");
    assert_eq!(path, fetch.into.join("ggml-stub.en.bin"));
    assert_eq!(fs::read(&path).expect("there"), content());
    assert!(told.windows(2).all(|w| w[0].0 < w[1].0) && told.last() == Some(&(200_000, 200_000)));
    assert!(stub.asked()[0].head.starts_with("GET /models/ggml-stub.en.bin HTTP/1.1"));
    run(&fetch).expect("it is there");
    assert_eq!(stub.asked().len(), 1, "and is not fetched again");
}

#[test]
fn a_transfer_that_is_cut_off_goes_on_where_it_was() {
    let (stub, folder) = (Stub::start(|asked, stream| send(stream, from(asked), 70_000)), folder());
    let path = run(&fetch(&stub, &folder)).expect("in three pieces");
    assert_eq!(fs::read(&path).expect("there"), content());
    assert_eq!(stub.asked().iter().map(from).collect::<Vec<_>>(), [0, 70_000, 140_000]);
}

#[test]
fn one_that_is_always_cut_off_is_given_up_and_taken_up_by_the_next_run() {
    let (stub, folder) = (Stub::start(|asked, stream| send(stream, from(asked), 30_000)), folder());
    let fetch = fetch(&stub, &folder);
    let error = run(&fetch).expect_err("five tries bring 150,000").to_string();
    assert!(error.contains("Without a network: fetch http://") && error.contains("ggml-stub.en.bin"), "{error}");
    run(&fetch).expect("the rest");
    assert_eq!(stub.asked().iter().map(from).max(), Some(180_000));
}

#[test]
fn a_server_that_ignores_range_sends_everything_again() {
    let count = AtomicUsize::new(0);
    let stub = Stub::start(move |_, stream| send(stream, 0, if count.fetch_add(1, Ordering::Relaxed) == 0 { 90_000 } else { 200_000 }));
    let folder = folder();
    let path = run(&fetch(&stub, &folder)).expect("fetched");
    assert_eq!(fs::read(&path).expect("there"), content());
}

#[test]
fn a_wrong_file_is_removed_and_never_put_in_place() {
    let other = vec![7; 200_000];
    let (long, short) = (vec![7; 200_001], b"<html>Sign in</html>");
    for (body, why) in
        [(answer("200 OK", &other), "SHA-256"), (answer("200 OK", &long), "200001"), (answer("200 OK", short), "ended after")]
    {
        let (stub, folder) = (Stub::saying(body), folder());
        let fetch = fetch(&stub, &folder);
        let error = run(&fetch).expect_err("it is not the file").to_string();
        assert!(error.contains(why), "{error}");
        assert!(!fetch.into.join("ggml-stub.en.bin").exists());
    }
    let endless = |_: &Asked, stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[7; 65_536]).is_ok() {}
    };
    let (stub, folder) = (Stub::start(endless), folder());
    assert!(matches!(run(&fetch(&stub, &folder)), Err(FetchError::Wrong { .. })));
}

#[test]
fn not_found_nobody_there_and_unknown_names_say_what_to_do() {
    let (stub, folder) = (Stub::saying(answer("404 Not Found", b"")), folder());
    let error = run(&fetch(&stub, &folder)).expect_err("not there").to_string();
    assert!(error.contains("404") && error.contains("models_from"), "{error}");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let gone = Fetch { from: format!("http://{free}").parse().expect("an address"), ..fetch(&stub, &folder) };
    let error = run(&gone).expect_err("nobody there").to_string();
    assert!(error.contains("cannot be reached") && error.contains("throughline model verify"), "{error}");
    let error = Fetch::new("nowhere.en", gone.from, gone.into).expect_err("unknown").to_string();
    assert!(error.contains("throughline model list"), "{error}");
}

#[test]
fn a_redirect_to_where_large_files_are_kept_is_followed_but_not_for_ever() {
    let store = Stub::start(|asked, stream| send(stream, from(asked), 200_000));
    let to = store.url("/elsewhere/file?signed=1");
    let (stub, folder) = (Stub::saying(format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")), folder());
    run(&fetch(&stub, &folder)).expect("fetched");
    assert!(store.asked()[0].head.starts_with("GET /elsewhere/file?signed=1 HTTP/1.1"));
    let circle = Stub::saying("HTTP/1.1 302 Found\r\nLocation: /round\r\nContent-Length: 0\r\n\r\n");
    let other = TempDir::new().expect("a folder");
    let error = run(&fetch(&circle, &other)).expect_err("round in circles").to_string();
    assert!(error.contains("circles") && circle.asked().len() == REDIRECTS + 1, "{error}");
}

#[test]
fn a_disk_without_room_is_said_so_before_anything_is_fetched() {
    let (stub, folder) = (Stub::saying(""), folder());
    let fetch = fetch(&stub, &folder);
    let huge = Fetch { official: Official { octets: u64::MAX / 2, ..fetch.official }, ..fetch };
    let error = run(&huge).expect_err("no such disk").to_string();
    assert!(error.contains("MB are free") && stub.asked().is_empty(), "{error}");
}

#[test]
fn a_disk_that_fills_up_on_the_way_says_that_the_rest_can_follow() {
    let full = disk(Path::new("/models/ggml-stub.en.bin.part"), &io::ErrorKind::StorageFull.into()).to_string();
    assert!(full.contains("ggml-stub.en.bin.part") && full.contains("goes on where it was"), "{full}");
    let (stub, folder) = (Stub::start(|asked, stream| send(stream, from(asked), 200_000)), folder());
    let fetch = fetch(&stub, &folder);
    fs::create_dir_all(&fetch.into).expect("a folder");
    fs::write(fetch.into.join("ggml-stub.en.bin.part"), &content()[..123_456]).expect("what an earlier run left");
    run(&fetch).expect("the rest");
    assert_eq!(stub.asked().iter().map(from).collect::<Vec<_>>(), [123_456]);
}

#[test]
fn what_an_earlier_run_left_of_another_file_is_found_wrong_and_the_next_run_fetches_it_whole() {
    let (stub, folder) = (Stub::start(|asked, stream| send(stream, from(asked), 200_000)), folder());
    let fetch = fetch(&stub, &folder);
    fs::create_dir_all(&fetch.into).expect("a folder");
    fs::write(fetch.into.join("ggml-stub.en.bin.part"), vec![9; 1_000]).expect("something else");
    assert!(matches!(run(&fetch), Err(FetchError::Wrong { .. })));
    assert_eq!(fs::read(run(&fetch).expect("from the start")).expect("there"), content());
}
