//! A stub service that answers well, badly, or not at all.

use std::io::Write as _;

use crossbeam_channel::bounded;

use super::*;
use crate::{
    ids::LegId,
    service::{
        egress::stub::{Asked, Stub, answer, hang},
        speech::{Key, Load, Pool, Thresholds, Urgency},
    },
    time::UnixMs,
};

fn endpoint(stub: &Stub, timeout: Duration) -> Endpoint {
    Endpoint {
        address: stub.url("").parse().expect("an address"),
        model: "whisper-1".into(),
        language: "en".into(),
        key: Some("planted-key".into()),
        timeout,
    }
}

fn request(start_ms: u32) -> Request {
    let samples: Vec<i16> = (0..16_000).map(|n: i32| ((n % 80 - 40) * 100) as i16).collect();
    Request {
        key: Key { leg: LegId::new(UnixMs(1), [1; 10]), start_ms },
        sound: samples.as_slice().into(),
        full_context: false,
        model: None,
    }
}

fn ask(stub: &Stub) -> Result<Heard, TranscribeError> {
    Service::new(endpoint(stub, Duration::from_secs(60))).transcribe(&request(500))
}

const GOOD: &str = r#"{"task":"transcribe","language":"english","duration":2.0,"text":"Good morning, Dana.",
 "segments":[{"id":0,"start":0.0,"end":1.9,"text":" Good morning, Dana.","avg_logprob":-0.25,"no_speech_prob":0.02}],
 "words":[{"word":"Good","start":0.1,"end":0.4},{"word":"morning,","start":0.4,"end":0.9,"probability":0.5},{"word":"Dana.","start":1.2,"end":1.7}]}"#;

#[test]
fn words_come_out_with_their_times() {
    let stub = Stub::saying(answer("200 OK", GOOD.as_bytes()));
    let heard = ask(&stub).expect("words");
    let words: Vec<_> = heard.words.iter().map(|w| (w.text.as_str(), w.from_ms, w.to_ms)).collect();
    assert_eq!(words, [("Good", 100, 400), ("morning,", 400, 900), ("Dana.", 1_200, 1_700)]);
    assert_eq!((heard.logprob, heard.no_speech, heard.words[1].probability), (-0.25, 0.02, 0.5));
    assert!((heard.words[0].probability - 0.78).abs() < 0.01, "as sure as its segment");
}

#[test]
fn the_question_is_a_form_with_the_audio_at_16_khz_the_key_and_what_is_wanted() {
    let stub = Stub::saying(answer("200 OK", GOOD.as_bytes()));
    ask(&stub).expect("words");
    let Asked { head, body } = stub.asked().remove(0);
    assert!(head.starts_with("POST /v1/audio/transcriptions HTTP/1.1\r\n") && head.contains("Authorization: Bearer planted-key"), "{head}");
    let text = String::from_utf8_lossy(&body).into_owned();
    for wanted in ["name=\"model\"\r\n\r\nwhisper-1\r\n", "verbose_json", "timestamp_granularities[]", "name=\"language\"\r\n\r\nen\r\n"] {
        assert!(text.contains(wanted), "{wanted}");
    }
    let at = body.windows(4).position(|w| w == b"RIFF").expect("a WAV file");
    let wav = hound::WavReader::new(&body[at..]).expect("readable");
    assert_eq!((wav.spec().sample_rate, wav.spec().channels, wav.duration()), (16_000, 1, 32_000));
}

#[test]
fn servers_that_put_words_into_segments_or_give_none_are_understood() {
    let in_segments = r#"{"text":"a b","segments":[{"start":0,"end":2,"text":"Yes no","words":[{"word":" Yes","start":0.5,"end":0.8},{"word":" no","start":1,"end":1.2}]}]}"#;
    let only_segments = r#"{"segments":[{"start":1.0,"end":2.0,"text":" Yes no"}]}"#;
    let only_text = r#"{"text":" Yes no"}"#;
    for (body, times) in [(in_segments, [500, 1_000]), (only_segments, [1_000, 1_500]), (only_text, [0, 1_000])] {
        let heard = ask(&Stub::saying(answer("200 OK", body.as_bytes()))).expect("words");
        let found: Vec<_> = heard.words.iter().map(|w| (w.text.as_str(), w.from_ms)).collect();
        assert_eq!(found, [("Yes", times[0]), ("no", times[1])]);
    }
    assert!(ask(&Stub::saying(answer("200 OK", br#"{"text":""}"#))).expect("nothing was said").words.is_empty());
}

#[test]
fn absurd_times_and_endless_words_are_bounded() {
    let word = r#"{"word":"\u0000looooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooong","start":-5e30,"end":9e30,"probability":77}"#;
    let body = format!("{{\"text\":\"x\",\"words\":[{}]}}", vec![word; 1_000].join(","));
    let heard = ask(&Stub::saying(answer("200 OK", body.as_bytes()))).expect("words");
    assert_eq!(heard.words.len(), WORDS_MAX);
    let first = &heard.words[0];
    assert_eq!((first.from_ms, first.to_ms, first.probability, first.text.chars().count()), (0, 4_000, 1.0, WORD_MAX));
}

#[test]
fn nonsense_html_errors_and_floods_cost_one_utterance_and_never_a_panic() {
    let lost = |answer: Result<Heard, TranscribeError>| matches!(answer, Err(TranscribeError::Lost(_)));
    for body in ["<html><body>Welcome to nginx</body></html>", "[]", "{\"words\":[{}]}", "", "{\"words\":\"none\"}", "\u{0}\u{1}"] {
        assert!(lost(ask(&Stub::saying(answer("200 OK", body.as_bytes())))), "{body}");
    }
    assert!(lost(ask(&Stub::saying(answer("500 Internal Server Error", b"oops")))));
    assert!(lost(ask(&Stub::saying(b"\x16\x03\x01nonsense".to_vec()))));
    let flood = |_: &Asked, stream: &mut std::net::TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n");
        while stream.write_all(&[b' '; 65_536]).is_ok() {}
    };
    assert!(lost(ask(&Stub::start(flood))), "100 MB are not read");
}

#[test]
fn a_service_that_is_away_refuses_or_points_elsewhere_is_said_so_and_work_waits() {
    let model = |answer: Result<Heard, TranscribeError>, what: &str| match answer {
        Err(TranscribeError::Model(why)) => assert!(why.contains(what), "{why}"),
        other => panic!("{other:?}"),
    };
    let elsewhere = Stub::saying("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://203.0.113.9/\r\n\r\n");
    model(ask(&elsewhere), "not followed");
    assert_eq!(elsewhere.asked().len(), 1);
    model(ask(&Stub::saying(answer("401 Unauthorized", b""))), "key_file");
    model(ask(&Stub::saying(answer("404 Not Found", b""))), "url and model");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let gone = Endpoint { address: format!("http://{free}").parse().expect("an address"), ..endpoint(&elsewhere, Duration::from_secs(60)) };
    model(Service::new(gone).transcribe(&request(1)), "[speech.endpoint]");
}

#[test]
fn while_the_service_hangs_the_pool_takes_work_and_gives_up_in_time() {
    let stub = Stub::start(|_, stream| hang(stream));
    let service = Service::new(endpoint(&stub, Duration::from_millis(300)));
    let pool = Pool::of("service", Thresholds::default(), vec![Box::new(service)]).expect("threads start");
    let (reply, replies) = bounded(1);
    pool.submit(request(1), Urgency::AfterCall, reply).expect("never blocks, has room");
    let (_, answer) = replies.recv_timeout(Duration::from_secs(120)).expect("is settled");
    assert!(matches!(answer, Err(TranscribeError::Lost(_))), "{answer:?}");
    let Load { after_call, lost, given_up, .. } = pool.load();
    assert_eq!((after_call, lost, given_up), (0, 3, 1), "three tries");
}

#[test]
fn the_key_is_in_no_log() {
    let stub = Stub::saying("");
    assert!(!format!("{:?}", endpoint(&stub, REST)).contains("planted-key"));
}
