//! Callers who wait, end to end: music on the wire, then the agent's voice; who gives up; the figures that everybody sees.

mod support;

use std::{thread, time::Duration};

use serde_json::Value;
use support::{
    PATIENCE,
    agent::{Agent, call_in, patient_pop},
    http::Client,
    raw_phone::{RawPhone, description},
    rtp_peer::{Manner, RtpPeer, Step},
    server::{Server, TRUNK},
    sipp::{Caller, Sipp, Then},
    sound::{self, PAIRS},
    wait_for,
};
use throughline::{protocol::audio::tone::amplitude_of, service::clock};

/// What says the first place here.
const PLACE: sound::Pair = PAIRS[4];

fn queue(client: &Client) -> Value {
    let answer = client.get("/api/queues");
    assert_eq!(answer.status, 200);
    let queues: Value = serde_json::from_slice(&answer.body).expect("JSON");
    queues[0].clone()
}

/// What was counted since `before`: offered, answered, in time, abandoned, short, turned away; the demo's own day has calls too.
fn counted(client: &Client, before: &Value) -> [u64; 6] {
    let now = queue(client);
    let figure = |value: &Value, figure: &str| value[figure].as_u64().unwrap_or_default();
    ["offered", "answered", "answered_in_time", "abandoned", "abandoned_short", "turned_away"]
        .map(|name| figure(&now, name) - figure(before, name))
}

/// The queue once the first board is out.
fn at_start(client: &Client) -> Value {
    wait_for("the first figures", PATIENCE, || Some(queue(client)).filter(|queue| !queue.is_null()))
}

/// Whether nothing but silence is in these samples.
fn is_silent(samples: &[i16]) -> bool {
    samples.iter().all(|sample| sample.unsigned_abs() < 64)
}

/// Sounds of its own for a queue, so that each can be told from all others: words 1.5 s, the place 1 s, music 2 s.
fn own_sounds(folder: &std::path::Path) -> String {
    let (words, place, music) = (folder.join("words.wav"), folder.join("1.wav"), folder.join("music.wav"));
    let spec = |rate| hound::WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    for (path, rate, pair, seconds) in [(&words, 16_000_u32, PAIRS[2], 1.5), (&place, 8_000, PLACE, 1.0), (&music, 44_100, PAIRS[3], 2.0)] {
        let mut samples = vec![0; (f64::from(rate) * seconds) as usize];
        throughline::protocol::audio::tone::DualTone::new(pair.0, pair.1, 8_000, rate).fill(&mut samples);
        let mut writer = hound::WavWriter::create(path, spec(rate)).expect("a file");
        samples.into_iter().for_each(|sample| writer.write_sample(sample).expect("room"));
        writer.finalize().expect("finished");
    }
    format!("announcement = \"{}\"\nplace = \"{}\"\nmusic = \"{}\"\n", words.display(), folder.display(), music.display())
}

#[test]
fn a_caller_who_waits_hears_words_then_music_then_the_agent_and_the_figures_say_so() {
    let sounds = tempfile::tempdir().expect("a folder");
    let own = own_sounds(sounds.path());
    let server = Server::start(|name, text| {
        let text = if name == "queues.toml" { format!("{text}{own}service_level_seconds = 1\n") } else { text };
        patient_pop(name, text)
    });
    let daniel = server.login("daniel");
    let before = at_start(&daniel);
    let voice = sound::tone(PAIRS[1], 4);
    let (heard, interaction) = thread::scope(|scope| {
        let calling = scope.spawn(|| {
            let talk = call_in(&server, "+442079460101", "L BENNETT", sound::tone(PAIRS[0], 12));
            talk.finish_after(Duration::from_secs(11))
        });
        wait_for("a caller in the queue", PATIENCE, || (queue(&daniel)["waiting"] == 1).then_some(()));
        let gauge = || server.metric("throughline_queue_waiting{queue=\"support\"}");
        wait_for("the metrics", PATIENCE, || (gauge() == Some(1.0)).then_some(()));
        // Words of 1.5 s, then more than one round of the music.
        wait_for("the wait to be long enough", PATIENCE, || {
            let since = queue(&daniel)["longest_since"].as_i64()?;
            (clock::now().wall.0 - since > 5_000).then_some(())
        });
        let mut agent = Agent::daniel(&server);
        let (interaction, _) = agent.see_offer();
        assert!(agent.desk.view["offer"]["waited_ms"].as_u64().is_some_and(|waited| waited > 4_500), "{}", agent.desk.view["offer"]);
        agent.phone.answer(Duration::from_millis(500), voice).expect("answered");
        (calling.join().expect("the caller"), interaction)
    });
    let window = |seconds: f64| (seconds * f64::from(sound::RATE)) as usize;
    let has = |samples: &[i16], pair: sound::Pair| {
        amplitude_of(samples, pair.0, sound::RATE) > 1_000.0 && amplitude_of(samples, pair.1, sound::RATE) > 1_000.0
    };
    let first = |pair| (0..heard.len() / 800).find(|n| has(&heard[n * 800..(n + 1) * 800], pair)).map(|n| n as f64 / 10.0);
    let words = first(PAIRS[2]).expect("the words were heard");
    let place = first(PLACE).expect("the place was heard");
    let music = first(PAIRS[3]).expect("the music was heard");
    let voice = first(PAIRS[1]).expect("the agent was heard");
    assert!(words < music && music < voice, "words at {words} s, music at {music} s, the agent at {voice} s");
    assert!((place - words - 1.5).abs() < 0.4, "the place follows the words: {words} s, {place} s");
    assert!((music - place - 1.0).abs() < 0.4, "the music follows the place: {place} s, {music} s");
    let playing = &heard[window(music + 0.2)..window(voice - 0.2)];
    assert!(sound::share(playing, PAIRS[3]) > 0.97, "the music has no hole at its seam: {}", sound::share(playing, PAIRS[3]));
    assert!(sound::share(&heard[window(voice + 0.2)..], PAIRS[3]) == 0.0, "no music under the agent's voice");

    let boss = server.login("grace");
    let page: Value = serde_json::from_slice(&boss.get(&format!("/api/interactions/{interaction}")).body).expect("JSON");
    let kinds: Vec<_> =
        page["sounds"].as_array().expect("sounds").iter().map(|sound| sound["kind"].as_str().unwrap_or_default().to_owned()).collect();
    assert_eq!(kinds, ["announcement", "place", "music"], "{page:#}");
    let waited = page["segments"].as_array().expect("segments").iter().find(|segment| segment["kind"] == "queue").expect("a wait");
    assert_eq!(waited["position"], 1);
    wait_for("the figures", PATIENCE, || (counted(&daniel, &before) == [1, 1, 0, 0, 0, 0] && queue(&daniel)["waiting"] == 0).then_some(()));
}

#[test]
fn by_early_media_a_caller_hears_one_stream_from_the_first_word_to_the_agents_voice() {
    let sounds = tempfile::tempdir().expect("a folder");
    let own = own_sounds(sounds.path());
    let server = Server::start(|name, text| {
        let text = match name {
            "queues.toml" => format!("{text}{own}"),
            "trunks.toml" => text.replace("country = \"GB\"\n", "country = \"GB\"\nearly_media = true\n"),
            _ => text,
        };
        patient_pop(name, text)
    });
    let caller = RawPhone::at_trunk(TRUNK.into(), server.sip(), "+442079460101");
    let rtp = RtpPeer::bind(TRUNK);
    let invite = caller.call("+442079460000", description(TRUNK.into(), rtp.port()));
    let told = caller.wait_status(183);
    let speaking = rtp.speak_on(Manner { payload_type: 8, packet_ms: 20 }, vec![Step::Tone(PAIRS[0], 200)]);
    // Words of 1.5 s, the place of 1 s, then music.
    wait_for("some music", PATIENCE, || (speaking.heard_ms() > 3_500).then_some(()));
    assert!(caller.is_unanswered(), "nobody is there");
    let (ears, answer, agent_heard) = thread::scope(|scope| {
        let mut agent = Agent::daniel(&server);
        agent.see_offer();
        assert!(caller.is_unanswered(), "the phone rings");
        let calling = scope.spawn(|| {
            let answer = caller.wait_status(200);
            let dialog = caller.acknowledge(&invite, &answer);
            let before = speaking.heard_ms();
            wait_for("some of the agent's voice", PATIENCE, || (speaking.heard_ms() > before + 2_000).then_some(()));
            caller.say_goodbye(dialog);
            (speaking.stop(), answer)
        });
        let agent_heard = agent.phone.answer(Duration::from_millis(500), sound::tone(PAIRS[1], 5)).expect("answered");
        let (ears, answer) = calling.join().expect("the caller");
        (ears, answer, agent_heard)
    });
    let body = |message: &[u8]| String::from_utf8_lossy(message).split_once("\r\n\r\n").expect("a body").1.to_owned();
    assert_eq!(body(&told), body(&answer), "the answer is what was told before");
    assert_eq!(ears.sources.len(), 1, "one stream: {:?}", ears.sources);
    let from = ears.from.expect("heard");
    assert!(body(&told).contains(&format!("m=audio {} ", from.port())), "{from}: {}", body(&told));
    let first = |pair| ears.samples.chunks(800).position(|part| sound::share(part, pair) > 0.0).map(|n| n as f64 / 10.0);
    let [words, place, music, voice] = [PAIRS[2], PLACE, PAIRS[3], PAIRS[1]].map(|pair| first(pair).expect("was heard"));
    assert!(words < place && place < music && music < voice, "words {words} s, place {place} s, music {music} s, the agent {voice} s");
    let window = |seconds: f64| (seconds * f64::from(sound::RATE)) as usize;
    let playing = &ears.samples[window(music + 0.2)..window(voice - 0.2)];
    assert!(sound::share(playing, PAIRS[3]) > 0.97, "the music has no hole: {}", sound::share(playing, PAIRS[3]));
    assert!(sound::share(&agent_heard, PAIRS[0]) > 0.5, "the agent hears the caller, who was not listened to before");
}

#[test]
fn whoever_gives_up_is_a_missed_call_with_the_wait_and_the_figures_outlive_a_power_cut() {
    let mut server = Server::start(|name, text| if name == "queues.toml" { format!("{text}short_abandon_seconds = 1\n") } else { text });
    let folder = server.folder.path().to_owned();
    let caller = Caller { display: "L BENNETT", number: "+442079460101" };
    let boss = server.login("grace");
    let before = at_start(&boss);
    let mut short = Sipp::call(&folder.join("short"), server.sip(), &caller, &[], &Then::HangUp);
    short.wait_success();
    let voice = sound::tone(PAIRS[0], 4);
    let mut patient = Sipp::call(&folder.join("patient"), server.sip(), &caller, &voice, &Then::Talk(Duration::from_secs(3)));
    wait_for("the board to name the caller", PATIENCE, || (queue(&boss)["waiting"] == 1).then_some(()));
    patient.wait_success();
    wait_for("both to be counted", PATIENCE, || (counted(&boss, &before) == [2, 0, 0, 1, 1, 0]).then_some(()));
    let daniel = server.login("daniel");
    let missed = wait_for("the work that they leave", PATIENCE, || {
        let work: Value = serde_json::from_slice(&daniel.get("/api/work-items?mine=1").body).ok()?;
        let missed = work.as_array()?.iter().filter(|item| item["kind"] == "missed_call" && item["state"] == "waiting").cloned();
        let recent: Vec<Value> = missed.filter(|item| item["opened_at"].as_i64() > Some(0) && item["number"] == "+442079460101").collect();
        (recent.len() >= 2).then_some(recent)
    });
    assert!(missed.iter().any(|item| item["waited_ms"].as_u64().is_some_and(|waited| (2_500..6_000).contains(&waited))), "{missed:#?}");

    // One more waits while the power goes.
    let mut cut_off = Sipp::call(&folder.join("cut"), server.sip(), &caller, &voice, &Then::Talk(Duration::from_secs(30)));
    wait_for("a caller in the queue", PATIENCE, || (queue(&boss)["waiting"] == 1).then_some(()));
    wait_for("the record to have the call", PATIENCE, || {
        let calls: Value = serde_json::from_slice(&boss.get("/api/calls").body).ok()?;
        (calls["calls"][0]["outcome"] == "waiting").then_some(())
    });
    server.kill();
    server.restart();
    let boss = server.login("grace");
    at_start(&boss);
    wait_for("the day as it was, and the one who was cut off", PATIENCE, || (counted(&boss, &before) == [3, 0, 0, 1, 1, 1]).then_some(()));
    cut_off.stop();
}

#[test]
fn whoever_waits_at_shutdown_is_told_and_let_go_before_the_server_ends() {
    let mut server = Server::plain();
    let folder = server.folder.path().to_owned();
    let caller = Caller { display: "L BENNETT", number: "+442079460101" };
    let mut waits = Sipp::call(&folder.join("waits"), server.sip(), &caller, &[], &Then::IsLetGo);
    let boss = server.login("grace");
    wait_for("a caller in the queue", PATIENCE, || (queue(&boss)["waiting"] == 1).then_some(()));
    assert!(server.stop().success());
    waits.wait_success();
}

#[test]
fn the_music_that_comes_with_the_program_is_on_the_wire_within_two_seconds_after_the_words() {
    let server = Server::start(|name, text| if name == "queues.toml" { format!("{text}announcement = \"none\"\n") } else { text });
    let talk = call_in(&server, "+442079460101", "L BENNETT", sound::tone(PAIRS[0], 4));
    let heard = talk.finish_after(Duration::from_secs(4));
    let from = heard.chunks(800).position(|part| !is_silent(part)).expect("something is heard");
    assert!(from < 20, "music from {} s on", from as f64 / 10.0);
    let music = &heard[from * 800..];
    let loud = music.chunks(4_000).filter(|part| !is_silent(part)).count();
    assert!(loud * 10 >= music.chunks(4_000).count() * 9, "music throughout");
}
