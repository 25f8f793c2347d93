//! Requests about a call's words as a browser sends them: rights, bad input, conflicts. The record is real, the rest is not asked.

use std::net::SocketAddr;

use serde_json::{Value, json};
use sha2::Digest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{Api, Parts, SpeechModel, SpeechModels, assets, serve};
use crate::{
    config,
    domain::insight::utterance::{LegCoverage, Transcript, Utterance, Word},
    ids::{AgentId, Party},
    service::{
        clock,
        live::LiveHub,
        store::{
            EvidenceRow, FindingKind, FindingRow, Store,
            tests::{NOW, answered_call, ids, seeded},
        },
    },
};

/// A record with one call of Daniel's, "I was barged twice", and its API.
struct House {
    address: SocketAddr,
    store: Store,
    _folder: tempfile::TempDir,
    daniel: String,
    other: String,
    grace: String,
}

async fn house() -> House {
    let (store, folder, daniel) = seeded().await;
    store.apply(&answered_call(1, None, daniel)).await.expect("facts");
    store.save_transcript(ids(1).interaction, &heard(), NOW).await.expect("words");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let models = || SpeechModels { models: vec![SpeechModel { name: "small".into(), usual: true }], trouble: None };
    let parts = Parts {
        store: store.clone(),
        live: LiveHub::new(1),
        control: Box::new(|_| true),
        metrics: Box::new(String::new),
        not_ready: Box::new(|| None),
        speech_models: Box::new(models),
        connections: 8,
        http: config::Http { listen: address, origins: Vec::new(), secure_cookies: false },
        recordings: folder.path().to_owned(),
        redaction: std::sync::Arc::default(),
    };
    tokio::spawn(serve(listener, Api::new(parts), std::future::pending()));
    let (daniel, other, grace) = (session(&store, daniel).await, named(&store, "ann").await, named(&store, "grace").await);
    House { address, store, _folder: folder, daniel, other, grace }
}

fn heard() -> Transcript {
    let word = |(text, i): (&str, u32)| Word { text: text.into(), from_ms: 3_000 + i * 300, to_ms: 3_250 + i * 300, confidence: 70 };
    let words = ["I", "was", "barged", "twice"].into_iter().zip(0..).map(word).collect();
    let (leg, party) = (ids(1).customer_leg, Party::Customer);
    let utterances = vec![Utterance { leg, party, from_ms: 3_000, to_ms: 4_150, words, confidence: 70, rejected: None }];
    Transcript { model: "small".into(), language: "en".into(), utterances, coverage: vec![LegCoverage::all(leg, 9)] }
}

async fn named(store: &Store, username: &str) -> String {
    let agent = store.login(username).await.expect("a read").expect("a person of the demo").me.agent;
    session(store, agent).await
}

async fn session(store: &Store, agent: AgentId) -> String {
    let token = assets::hex(&sha2::Sha256::digest(agent.to_string().as_bytes()));
    let hash = assets::hex(&sha2::Sha256::digest(token.as_bytes()));
    let now = clock::steady();
    store.create_session(&hash, agent, now, now.plus_ms(3_600_000)).await.expect("a session");
    token
}

impl House {
    async fn ask(&self, who: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nCookie: throughline={who}\r\nX-Throughline: 1\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let mut socket = TcpStream::connect(self.address).await.expect("connects");
        socket.write_all(head.as_bytes()).await.expect("writes");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.expect("reads");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.get(9..12).and_then(|s| s.parse().ok()).expect("a status");
        let json = answer.split_once("\r\n\r\n").map(|(_, body)| serde_json::from_str(body).unwrap_or(Value::Null));
        (status, json.unwrap_or(Value::Null))
    }

    async fn correct(&self, who: &str, part: &Value) -> (u16, Value) {
        let mut body =
            json!({"revision": 1, "leg": ids(1).customer_leg, "from_ms": 3_600, "to_ms": 3_850, "before": "barged", "after": "charged"});
        for (key, value) in part.as_object().expect("an object") {
            body[key] = value.clone();
        }
        self.ask(who, "POST", &format!("/api/interactions/{}/corrections", ids(1).interaction), &body).await
    }
}

#[tokio::test]
async fn the_agents_of_a_call_and_supervisors_put_words_right_and_nobody_else() {
    let house = house().await;
    let (status, answer) = house.correct(&house.other, &json!({})).await;
    assert!(status == 403 || status == 404, "{status} {answer}");
    assert_eq!(house.correct("", &json!({})).await.0, 401);
    let (status, made) = house.correct(&house.daniel, &json!({})).await;
    assert_eq!((status, &made["after"], &made["state"]), (200, &json!("charged"), &json!("stands")), "{made}");
    let (status, conflict) = house.correct(&house.grace, &json!({"after": "parked"})).await;
    assert_eq!(
        (status, &conflict["current"]["text"], &conflict["current"]["correction"]["after"]),
        (409, &json!("charged"), &json!("charged"))
    );
    let undo = format!("/api/interactions/{}/corrections/{}/undo", ids(1).interaction, made["correction"].as_str().expect("an id"));
    assert!(matches!(house.ask(&house.other, "POST", &undo, &json!({})).await.0, 403 | 404));
    assert_eq!(house.ask(&house.grace, "POST", &undo, &json!({})).await.0, 200);
    let words = format!("/api/interactions/{}/words", ids(1).interaction);
    let (status, view) = house.ask(&house.daniel, "GET", &words, &Value::Null).await;
    assert_eq!((status, &view["utterances"][0]["words"][2]["text"]), (200, &json!("barged")));
    assert_eq!((&view["corrections"][0]["state"], view["corrections"].as_array().map(Vec::len)), (&json!("taken_back"), Some(1)));
    assert_eq!(house.ask(&house.daniel, "GET", &format!("{words}?revision=2"), &Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_correction_that_cannot_be_right_is_refused_in_words() {
    let house = house().await;
    let long = "x".repeat(2_049);
    for part in [
        json!({"after": long}),
        json!({"before": long}),
        json!({"from_ms": 3_850, "to_ms": 3_600}),
        json!({"to_ms": 90_000}),
        json!({"from_ms": 9_000, "to_ms": 9_100}),
        json!({"leg": ids(1).agent_leg}),
        json!({"after": "barged"}),
    ] {
        let (status, answer) = house.correct(&house.daniel, &part).await;
        assert_eq!(status, 400, "{part} {answer}");
        assert!(answer["error"].as_str().is_some_and(|sentence| sentence.len() > 20), "{answer}");
    }
    assert_eq!(house.correct(&house.daniel, &json!({"revision": 9})).await.0, 404);
    assert_eq!(house.correct(&house.daniel, &json!({"revision": -1})).await.0, 422);
    let gone = format!("/api/interactions/{}/corrections", ids(9).interaction);
    let body = json!({"revision": 1, "leg": ids(1).customer_leg, "from_ms": 1, "to_ms": 2, "before": "", "after": "x"});
    assert_eq!(house.ask(&house.grace, "POST", &gone, &body).await.0, 404);
    let undo = format!("/api/interactions/{}/corrections/{}/undo", ids(1).interaction, ids(1).interaction);
    assert_eq!(house.ask(&house.grace, "POST", &undo, &json!({})).await.0, 404);
}

#[tokio::test]
async fn supervisors_have_a_call_transcribed_again_by_a_model_that_is_here() {
    let house = house().await;
    let path = format!("/api/interactions/{}/transcribe", ids(1).interaction);
    assert_eq!(house.ask(&house.daniel, "POST", &path, &json!({"model": null})).await.0, 403);
    assert_eq!(house.ask(&house.daniel, "GET", "/api/speech/models", &Value::Null).await.0, 403);
    let (_, models) = house.ask(&house.grace, "GET", "/api/speech/models", &Value::Null).await;
    assert_eq!(models, json!({"models": [{"name": "small", "usual": true}], "trouble": null}));
    assert_eq!(house.ask(&house.grace, "POST", &path, &json!({"model": "huge"})).await.0, 400);
    let gone = format!("/api/interactions/{}/transcribe", ids(9).interaction);
    assert_eq!(house.ask(&house.grace, "POST", &gone, &json!({"model": null})).await.0, 404);
    // The call's own job has not run yet.
    let job = house.store.claim_job(&[crate::service::store::JobKind::Transcribe], NOW.plus_ms(3_600_000), 1).await.expect("a claim");
    if let Some(job) = job {
        house.store.finish_job(&job, NOW).await.expect("done");
    }
    assert_eq!(house.ask(&house.grace, "POST", &path, &json!({"model": "small"})).await.0, 202);
    let (status, answer) = house.ask(&house.grace, "POST", &path, &json!({"model": null})).await;
    assert_eq!((status, &answer["current"]["state"]), (409, &json!("waiting")));
    let words = format!("/api/interactions/{}/words", ids(1).interaction);
    let (_, view) = house.ask(&house.grace, "GET", &words, &Value::Null).await;
    assert_eq!((&view["state"], &view["redo"]["state"], &view["redo"]["model"]), (&json!("done"), &json!("waiting"), &json!("small")));
}

#[tokio::test]
async fn lines_of_a_card_are_judged_by_those_who_may() {
    let house = house().await;
    let value = json!({"label": "reason", "text": "I was barged twice"});
    let row = FindingRow {
        kind: FindingKind::CardLine,
        value,
        method: "rules",
        method_version: "1".to_owned(),
        confidence: 80,
        evidence: vec![EvidenceRow::default()],
    };
    house.store.save_findings(ids(1).interaction, 1, &[row], NOW).await.expect("findings");
    let page = format!("/api/interactions/{}", ids(1).interaction);
    let line = || async { house.ask(&house.daniel, "GET", &page, &Value::Null).await.1["card"]["lines"][0].clone() };
    let path = format!("/api/findings/{}", line().await["finding"].as_str().expect("an id"));
    assert!(matches!(house.ask(&house.other, "POST", &path, &json!({"status": "rejected"})).await.0, 403 | 404));
    for bad in
        [json!({"status": "edited"}), json!({"status": "edited", "text": " "}), json!({"status": "edited", "text": "x".repeat(2_049)})]
    {
        assert_eq!(house.ask(&house.daniel, "POST", &path, &bad).await.0, 400, "{bad}");
    }
    assert_eq!(house.ask(&house.daniel, "POST", &path, &json!({"status": "fine"})).await.0, 422);
    assert_eq!(house.ask(&house.daniel, "POST", &path, &json!({"status": "edited", "text": "Charged twice"})).await.0, 204);
    let edited = line().await;
    assert_eq!(
        (&edited["text"], &edited["proposed"], &edited["status"]),
        (&json!("Charged twice"), &json!("I was barged twice"), &json!("edited"))
    );
    assert_eq!(house.ask(&house.grace, "POST", &path, &json!({"status": "proposed"})).await.0, 204);
    assert_eq!(line().await["text"], "I was barged twice");
    let unknown = format!("/api/findings/{}", ids(1).interaction);
    assert_eq!(house.ask(&house.grace, "POST", &unknown, &json!({"status": "confirmed"})).await.0, 404);
}

/// Everything that is in the record's files, small letters, without what may part digits.
fn on_disk(house: &House) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(house._folder.path()).expect("a folder").flatten().filter(|entry| entry.path().is_file()) {
        let octets = std::fs::read(entry.path()).expect("readable");
        all.extend(octets.iter().map(|octet| char::from(octet.to_ascii_lowercase())).filter(|c| !matches!(c, ' ' | '-' | '.')));
    }
    all
}

#[tokio::test]
async fn a_card_number_that_is_typed_into_whatever_field_is_in_no_file_of_the_record() {
    let house = house().await;
    let call = format!("/api/interactions/{}", ids(1).interaction);
    let typed =
        |n: usize| format!("the card is {} and it is plain{n}", ["4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005"][n % 3]);
    let disposition = house.store.dispositions().await.expect("there")[0].id.clone();
    let (status, answer) = house.ask(&house.daniel, "POST", &format!("{call}/notes"), &json!({"text": typed(0)})).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = house.ask(&house.daniel, "PUT", &format!("{call}/draft"), &json!({"text": typed(1), "version": 0})).await;
    assert!(status < 300, "{status} {answer}");
    let (status, answer) = house.correct(&house.daniel, &json!({"after": typed(2)})).await;
    assert_eq!(status, 200, "{answer}");
    let finished = json!({
        "disposition": disposition, "note": typed(3), "solved": false, "promises": [{"text": typed(4), "due": null}],
    });
    let (status, answer) = house.ask(&house.daniel, "POST", &format!("{call}/wrap-up"), &finished).await;
    assert_eq!(status, 204, "{answer}");
    let disk = on_disk(&house);
    for n in [0, 2, 3, 4] {
        assert!(disk.contains(&format!("plain{n}")), "the rest of text {n} is kept, so the search can see it");
    }
    for number in ["4111111111111111", "5555555555554444", "378282246310005"] {
        assert!(!disk.contains(number), "{number} is in a file");
    }
    assert!(disk.contains("[cardnumber]"));
}
