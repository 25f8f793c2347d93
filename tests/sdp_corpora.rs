//! Session descriptions of real devices, read at run time and handled as their index says.

use std::{
    fs,
    path::{Path, PathBuf},
};

use throughline::protocol::sdp::{AudioCodec, Direction, LocalMedia, Refusal, Sdp, Session};

fn corpora() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("THROUGHLINE_SHARED").map(PathBuf::from);
    let near = [here.join("../shared"), here.join("../../shared")];
    named.into_iter().chain(near).map(|root| root.join("corpora/sdp")).find(|folder| folder.join("index.tsv").is_file())
}

#[test]
fn descriptions_of_real_devices_are_handled_as_their_index_says() {
    let Some(folder) = corpora() else {
        println!("skipped: no corpora beside the project (THROUGHLINE_SHARED names their place)");
        return;
    };
    let local = LocalMedia {
        address: "198.51.100.1".parse().unwrap(),
        other_address: None,
        rtp_port: 40000,
        codecs: AudioCodec::ALL.to_vec(),
        comfort_noise: false,
        direction: Direction::SendRecv,
    };
    let index = fs::read_to_string(folder.join("index.tsv")).unwrap();
    let mut seen = 0;
    for row in index.lines().skip(1) {
        let mut columns = row.split('\t');
        let (Some(file), _, Some(expect)) = (columns.next(), columns.next(), columns.next()) else { panic!("row: {row}") };
        let bytes = fs::read(folder.join(file)).unwrap();
        let parsed = Sdp::parse(&bytes);
        seen += 1;
        if expect.contains("never a panic") {
            continue;
        }
        let sdp = parsed.unwrap_or_else(|error| panic!("{file}: {error}"));
        let answered = Session::new(1).answer(&sdp, &local);
        println!("{file}: {:?}", answered.as_ref().map(|answer| answer.negotiated.codec));
        match answered {
            Ok(answer) => {
                assert_ne!(expect, "488", "{file} is to be refused");
                let ours = Sdp::parse(&answer.sdp).unwrap();
                assert_eq!(ours.media().len(), sdp.media().len(), "{file}");
            }
            // What is right for a browser is still refused while plain RTP and G.711 are all that we speak.
            Err(refusal) if expect != "488" => {
                let plain = sdp.audio().is_some_and(|audio| audio.check().is_ok() && !audio.codecs.is_empty());
                assert!(!plain, "{file} has plain G.711 and is refused: {refusal}");
                assert_ne!(refusal, Refusal::Mismatch, "{file}");
            }
            Err(_) => {}
        }
    }
    assert!(seen > 30, "the index has {seen} rows");
}
