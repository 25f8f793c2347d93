//! An agent with desk and phone, a caller from the trunk, one call between them, and what everybody made of it.

use std::{net::SocketAddr, thread, time::Duration};

use serde_json::Value;
use throughline::{
    ids::PhoneNumber,
    service::demo::{DemoCall, DeskPhone, Talk, TrunkCaller, UserAgent},
};

use super::{
    PATIENCE,
    desk::Desk,
    http::Client,
    server::{Server, TRUNK},
    sound::{self, Pair},
};

/// How long the desk of a test takes to draw the pop: the phone must be silent that long.
const DRAWS: Duration = Duration::from_millis(100);
/// How long a phone rings: time enough for the desk's acknowledgement to arrive before the answer.
const RINGS: Duration = Duration::from_millis(500);

/// Somebody at work.
pub struct Agent {
    pub desk: Desk,
    pub phone: DeskPhone,
}

impl Agent {
    /// Logs in, registers the phone, becomes ready.
    pub fn at_work(server: &Server, client: &Client, phone: &str, phone_password: &str) -> Self {
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut phone = DeskPhone::new(UserAgent::bind(here, server.sip()).expect("a phone"), phone);
        phone.register(phone_password).expect("registered");
        let mut desk = Desk::connect(client);
        desk.ready();
        Self { desk, phone }
    }

    /// The demo agent with phone 101.
    pub fn daniel(server: &Server) -> Self {
        Self::at_work(server, &server.login("daniel"), "101", "demo-phone-101")
    }

    /// The demo agent with phone 102.
    pub fn ann(server: &Server) -> Self {
        Self::at_work(server, &server.login("ann"), "102", "demo-phone-102")
    }

    /// Lets the pop be drawn and acknowledges it. Returns the interaction, and whether the phone rang before.
    #[track_caller]
    pub fn see_offer(&mut self) -> (String, bool) {
        self.desk.wait("an offer", |desk| !desk.view["offer"].is_null());
        let rang_first = self.phone.is_called_within(DRAWS);
        let offer = self.desk.wait_offer();
        assert!(self.phone.is_called_within(PATIENCE), "the phone never rang");
        (offer["interaction"].as_str().expect("an interaction").to_owned(), rang_first)
    }
}

/// The configuration for desks that draw as slowly as those here.
pub fn patient_pop(name: &str, text: String) -> String {
    if name == "sip.toml" { text.replace("[limits]\n", "[limits]\npop_wait_ms = 2000\n") } else { text }
}

/// A carrier's call to the support queue, answered.
pub fn call_in(server: &Server, number: &str, name: &str, voice: Vec<i16>) -> Talk {
    let call = DemoCall {
        sip: server.sip(),
        http: server.http(),
        trunk: TRUNK.into(),
        caller: PhoneNumber::parse_e164(number).expect("a number"),
        caller_name: name.to_owned(),
        called: PhoneNumber::parse_e164("+442079460000").expect("a number"),
        phone: None,
        voices: std::path::PathBuf::new(),
        ring: Duration::ZERO,
        queue: false,
    };
    let trunk = UserAgent::bind((TRUNK, 0).into(), server.sip()).expect("a trunk");
    TrunkCaller::new(trunk).call(&call, voice).expect("the call is answered")
}

/// One call and what everybody made of it.
pub struct Talked {
    pub interaction: String,
    pub caller_heard: Vec<i16>,
    pub agent_heard: Vec<i16>,
    pub rang_first: bool,
    pub seconds: f64,
}

/// A call in which both say what they are given.
pub fn talk(server: &Server, agent: &mut Agent, caller: Vec<i16>, voice: Vec<i16>) -> Talked {
    let seconds = caller.len() as f64 / f64::from(sound::RATE);
    thread::scope(|scope| {
        let calling =
            scope.spawn(move || call_in(server, "+442079460101", "L BENNETT", caller).finish_after(Duration::from_secs_f64(seconds)));
        let (interaction, rang_first) = agent.see_offer();
        let agent_heard = agent.phone.answer(RINGS, voice).expect("answered");
        let caller_heard = calling.join().expect("the caller's side");
        Talked { interaction, caller_heard, agent_heard, rang_first, seconds }
    })
}

/// The recording: left the customer, right the agent.
#[track_caller]
pub fn recording(client: &Client, interaction: &str) -> [Vec<i16>; 2] {
    let answer = client.get(&format!("/api/interactions/{interaction}/audio.wav"));
    assert_eq!(answer.status, 200, "{interaction}: {}", String::from_utf8_lossy(&answer.body));
    let mut reader = hound::WavReader::new(&answer.body[..]).expect("a WAV file");
    sound::channels(&mut reader).try_into().expect("two channels")
}

/// Each side heard the other, and nobody else.
#[track_caller]
pub fn assert_heard(talked: &Talked, caller: Pair, agent: Pair) {
    sound::assert_only(&talked.caller_heard, agent, 0.8, "what the caller heard");
    sound::assert_only(&talked.agent_heard, caller, 0.8, "what the agent heard");
}

/// The pop was on the screen before the phone rang.
#[track_caller]
pub fn assert_pop_first(talked: &Talked, page: &Value) {
    assert!(!talked.rang_first, "the phone rang before the pop was on the screen");
    let lead = page["offers"][0]["lead_ms"].as_i64().expect("an acknowledged offer");
    assert!((0..1_000).contains(&lead), "the pop's lead is {lead} ms");
}

/// The recording holds all that was said, each side in its channel.
#[track_caller]
pub fn assert_recorded(talked: &Talked, [left, right]: &[Vec<i16>; 2], caller: Pair, agent: Pair) {
    for (samples, own, what) in [(left, caller, "the customer's track"), (right, agent, "the agent's track")] {
        sound::assert_unbroken(samples, own, talked.seconds - 1.0, what);
        sound::assert_only(sound::span(samples, own), own, 0.9, what);
    }
}

/// Each side's words are those that it said: more than half of them are there, and of the other's fewer.
#[track_caller]
pub fn assert_words(page: &Value, customer: &str, agent: &str) {
    let words = |text: &str| -> Vec<String> {
        let letters = text.to_lowercase().replace(|c: char| !c.is_alphanumeric() && c != ' ', "");
        letters.split_whitespace().map(str::to_owned).collect()
    };
    let said_by = |party: &str| -> Vec<String> {
        let utterances = page["transcript"]["utterances"].as_array().expect("utterances").iter();
        let theirs = utterances.filter(|utterance| utterance["party"] == party);
        let spoken = theirs.flat_map(|utterance| utterance["words"].as_array().expect("words").iter());
        spoken.flat_map(|word| words(word["text"].as_str().unwrap_or_default())).collect()
    };
    for (party, own, other) in [("customer", customer, agent), ("agent", agent, customer)] {
        let heard = said_by(party);
        let share = |text: &str| {
            let due = words(text);
            due.iter().filter(|word| heard.contains(word)).count() as f64 / due.len() as f64
        };
        let (own, other) = (share(own), share(other));
        assert!(own > 0.5 && own > other, "the {party}'s words: {own:.2} of their own, {other:.2} of the other's; {heard:?}");
    }
}
