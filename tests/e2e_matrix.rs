//! What carriers and phones do that is legal and unusual, end to end: sipp signals, the test speaks, both sides and the recording
//! are listened to. The scenarios are in `tests/sipp`.
#![expect(clippy::print_stdout, reason = "tells what it measured")]

mod support;

use std::{thread, time::Duration};

use serde_json::Value;
use support::{
    agent::{self, Agent},
    call, installed,
    linphone::Linphone,
    raw_phone::{self, RawPhone},
    rtp_peer::{Ears, Manner, RtpPeer, Speaking, Step},
    server::{PHONES, Server, Setup, TRUNK},
    sipp::Sipp,
    sound::{self, PAIRS, Pair},
};
use throughline::protocol::{
    audio::tone::{DualTone, amplitude_of},
    sip::{field::Method, parse::parse},
};

const CALLER: Pair = PAIRS[0];
const AGENT: Pair = PAIRS[1];
/// A tone of the caller's that comes later in the call.
const LATER: Pair = PAIRS[2];
/// How long the carrier stays beyond what it says: connection, and the packets under way.
const MARGIN_MS: u32 = 2_500;
const PCMA: Manner = Manner { payload_type: 8, packet_ms: 20 };

/// A carrier's call: its scenario, how it speaks and what it says.
struct Line {
    scenario: &'static str,
    manner: Manner,
    program: Vec<Step>,
}

/// What everybody made of it.
struct Done {
    caller: Ears,
    agent_heard: Vec<i16>,
    /// Left the customer, right the agent.
    recording: [Vec<i16>; 2],
    page: Value,
}

fn server() -> Server {
    let quiet = |name: &str, text: String| if name == "speech.toml" { "[speech]\nenabled = false\n".to_owned() } else { text };
    Server::set_up(&Setup { change: Some(&quiet), ..Setup::default() })
}

fn length_ms(program: &[Step]) -> u32 {
    let of = |step: &Step| match step {
        Step::Tone(_, length) | Step::Silence(length) => *length,
        Step::Key(_) => 160,
        Step::NewSource => 0,
    };
    program.iter().map(of).sum()
}

/// Starts sipp and the voice of the carrier.
fn dial(server: &Server, line: &Line) -> (Sipp, Speaking) {
    let peer = RtpPeer::bind(TRUNK);
    let Manner { payload_type, packet_ms } = line.manner;
    let keys = [("rtp_port", peer.port().to_string()), ("formats", format!("{payload_type} 101")), ("packet_ms", packet_ms.to_string())];
    let folder = server.folder.path().join("carrier");
    let talk = Duration::from_millis((length_ms(&line.program) + MARGIN_MS).into());
    let sipp = Sipp::scenario(&folder, server.sip(), line.scenario, talk, &keys);
    (sipp, peer.speak(line.manner, line.program.clone()))
}

/// The call to an agent with desk and phone, from INVITE to the recording.
fn talk(line: &Line) -> Option<Done> {
    if !installed("sipp") {
        return None;
    }
    let server = server();
    let mut daniel = Agent::daniel(&server);
    let (done, interaction, caller, agent_heard) = thread::scope(|scope| {
        let (mut sipp, caller) = dial(&server, line);
        let (interaction, _) = daniel.see_offer();
        let phone = scope.spawn(move || daniel.phone.answer(Duration::from_millis(300), sound::tone(AGENT, 60)));
        sipp.wait_success();
        let agent_heard = phone.join().expect("no panic").expect("answered");
        (sipp, interaction, caller.stop(), agent_heard)
    });
    drop(done);
    let grace = server.login("grace");
    let page = call::page(&grace, &interaction, "the call's end", |page| !page["ended_at"].is_null());
    assert_eq!(page["cause"], "customer_hung_up");
    let recording = agent::recording(&grace, &interaction);
    Some(Done { caller, agent_heard, recording, page })
}

/// From the first to the last sample that is no silence, milliseconds.
fn sounding(samples: &[i16]) -> (f64, f64) {
    let loud = |sample: &i16| sample.unsigned_abs() > 1_000;
    let first = samples.iter().position(loud).expect("some sound");
    let last = samples.iter().rposition(loud).expect("some sound");
    (first as f64 / 8.0, last as f64 / 8.0)
}

/// The customer's track holds what the program says, at its length to 20 ms, and both tracks are as long as the call.
fn assert_recorded(done: &Done, program: &[Step]) {
    let [left, right] = &done.recording;
    let (first, last) = sounding(left);
    let due = f64::from(length_ms(program));
    println!("the customer's track sounds for {:.1} ms, {due} ms were said", last - first);
    assert!((last - first - due).abs() <= 20.0, "{due} ms were said, {:.1} ms are recorded", last - first);
    assert_eq!(left.len(), right.len(), "both tracks are as long");
    let call_ms = (done.page["ended_at"].as_f64().expect("a time") - done.page["at"].as_f64().expect("a time")).abs();
    let track_ms = left.len() as f64 / 8.0;
    println!("the call lasted {call_ms} ms, its recording {track_ms} ms");
    assert!((track_ms - call_ms).abs() <= 40.0, "the call lasted {call_ms} ms, its recording {track_ms} ms");
    let mut at = first;
    for step in program {
        if let Step::Tone(pair, length) = step {
            let middle = &left[((at + 100.0) * 8.0) as usize..((at + f64::from(*length) - 100.0) * 8.0) as usize];
            assert!(sound::share(middle, *pair) > 0.97, "{pair:?} at {at} ms is heard {:.2} of its time", sound::share(middle, *pair));
        }
        at += f64::from(length_ms(&[*step]));
    }
    sound::assert_unbroken(right, AGENT, due / 1_000.0 - 1.0, "the agent's track");
}

/// Both heard each other.
fn assert_heard(done: &Done, caller: Pair) {
    sound::assert_only(&done.caller.samples, AGENT, 0.8, "what the caller heard");
    assert!(sound::share(&done.agent_heard, caller) > 0.3, "the agent heard {:.2}", sound::share(&done.agent_heard, caller));
    assert_eq!(done.caller.sources.len(), 1, "one source to the caller, whatever feeds it");
}

#[test]
fn a_caller_whose_offer_comes_late_hears_and_is_heard() {
    let program = vec![Step::Tone(CALLER, 5_000)];
    let Some(done) = talk(&Line { scenario: "late_offer.xml", manner: PCMA, program: program.clone() }) else { return };
    assert_heard(&done, CALLER);
    assert_recorded(&done, &program);
}

#[test]
fn a_re_invite_without_a_description_leaves_the_sound_as_it_is() {
    let program = vec![Step::Tone(CALLER, 6_000)];
    let Some(done) = talk(&Line { scenario: "reinvite_without_sdp.xml", manner: PCMA, program: program.clone() }) else { return };
    assert_heard(&done, CALLER);
    assert_recorded(&done, &program);
}

#[test]
fn packets_of_40_ms_are_heard_and_recorded_whole() {
    let program = vec![Step::Tone(CALLER, 5_000)];
    let manner = Manner { payload_type: 8, packet_ms: 40 };
    let Some(done) = talk(&Line { scenario: "plain.xml", manner, program: program.clone() }) else { return };
    assert_heard(&done, CALLER);
    assert_recorded(&done, &program);
}

#[test]
fn a_source_that_changes_in_the_middle_of_a_call_goes_on() {
    let program = vec![Step::Tone(CALLER, 2_500), Step::NewSource, Step::Tone(LATER, 2_500)];
    let Some(done) = talk(&Line { scenario: "plain.xml", manner: PCMA, program: program.clone() }) else { return };
    assert_heard(&done, CALLER);
    assert!(sound::share(&done.agent_heard, LATER) > 0.2, "the new source is heard");
    assert_recorded(&done, &program);
}

#[test]
fn silence_that_is_not_sent_keeps_its_length_in_the_recording() {
    let manner = Manner { payload_type: 0, packet_ms: 20 };
    let program =
        vec![Step::Tone(CALLER, 2_000), Step::Silence(1_500), Step::Tone(CALLER, 2_000), Step::Silence(200), Step::Tone(CALLER, 500)];
    let Some(done) = talk(&Line { scenario: "plain.xml", manner, program: program.clone() }) else { return };
    assert_heard(&done, CALLER);
    assert_recorded(&done, &program);
    let left = &done.recording[0];
    let (first, _) = sounding(left);
    let silence = &left[((first + 2_050.0) * 8.0) as usize..((first + 3_450.0) * 8.0) as usize];
    assert!(amplitude_of(silence, CALLER.0, 8_000) < 1.0, "nothing is put where nothing was sent");
}

#[test]
fn of_two_answers_of_a_phone_the_first_is_kept_and_the_second_is_hung_up_and_keys_arrive() {
    if !installed("sipp") {
        return;
    }
    let server = server();
    let client = server.login("daniel");
    let (user, password) = PHONES[0];
    let phone = RawPhone::register(TRUNK.into(), server.sip(), user, password);
    let mut desk = support::desk::Desk::connect(&client);
    desk.ready();
    let program =
        vec![Step::Tone(CALLER, 2_000), Step::Key(5), Step::Tone(CALLER, 1_000), Step::Key(5), Step::Key(11), Step::Tone(CALLER, 500)];
    let (mut sipp, caller) = dial(&server, &Line { scenario: "plain.xml", manner: PCMA, program });
    desk.wait_offer();
    let invite = phone.wait(&Method::Invite, None);
    let ears = RtpPeer::bind(TRUNK);
    let media = raw_phone::description(TRUNK.into(), ears.port());
    phone.reply(&invite, 180, "first", None);
    phone.reply(&invite, 200, "first", Some(media.clone()));
    phone.reply(&invite, 200, "second", Some(media));
    phone.wait(&Method::Ack, Some("first"));
    let ears = ears.speak_first(server.address, &invite, PCMA, vec![Step::Tone(AGENT, 9_000)]);
    phone.wait(&Method::Ack, Some("second"));
    let bye = phone.wait(&Method::Bye, Some("second"));
    phone.reply(&bye, 200, "second", None);
    let bye = phone.wait(&Method::Bye, Some("first"));
    assert!(parse(&bye).expect("a request").call_id() == parse(&invite).expect("a request").call_id());
    phone.reply(&bye, 200, "first", None);
    sipp.wait_success();
    let (agent, caller) = (ears.stop(), caller.stop());
    assert_eq!(agent.keys, "55#", "each key once");
    sound::assert_only(&caller.samples, AGENT, 0.8, "what the caller heard");
    assert!(sound::share(&agent.samples, CALLER) > 0.6, "what the phone heard");
}

#[test]
fn linphone_calls_a_desk_phone_and_both_hear_each_other() {
    if !installed("linphonec") {
        return;
    }
    let server = server();
    let folder = server.folder.path().join("linphone");
    std::fs::create_dir_all(&folder).expect("a folder");
    let microphone = folder.join("microphone.wav");
    let spec = hound::WavSpec { channels: 1, sample_rate: 16_000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(&microphone, spec).expect("a wav file");
    let mut tone = DualTone::new(CALLER.0, CALLER.1, 8_000, 16_000);
    (0..16_000 * 20).for_each(|_| writer.write_sample(tone.next_sample()).expect("room on the disk"));
    writer.finalize().expect("a finished wav file");
    let mut linphone = Linphone::start(&folder, PHONES[0], server.sip(), &microphone);
    let (user, password) = PHONES[1];
    let phone = RawPhone::register(TRUNK.into(), server.sip(), user, password);
    linphone.command(&format!("call sip:{user}@{}", server.sip()));
    let invite = phone.wait(&Method::Invite, None);
    let ears = RtpPeer::bind(TRUNK);
    phone.reply(&invite, 180, "one", None);
    phone.reply(&invite, 200, "one", Some(raw_phone::description(TRUNK.into(), ears.port())));
    phone.wait(&Method::Ack, Some("one"));
    let talking = ears.speak_first(server.address, &invite, PCMA, vec![Step::Tone(AGENT, 20_000)]);
    support::wait_for("five seconds of talk", support::PATIENCE, || (talking.heard_ms() >= 5_000).then_some(()));
    linphone.command("terminate");
    let bye = phone.wait(&Method::Bye, Some("one"));
    phone.reply(&bye, 200, "one", None);
    let (heard, rate) = linphone.quit();
    let heard_by_phone = talking.stop().samples;
    assert!(sound::share(&heard_by_phone, CALLER) > 0.7, "the desk phone heard {:.2}", sound::share(&heard_by_phone, CALLER));
    let windows: Vec<_> = heard.chunks_exact(rate as usize / 10).collect();
    let with_tone = windows.iter().filter(|window| [AGENT.0, AGENT.1].iter().all(|hz| amplitude_of(window, *hz, rate) > 1_000.0)).count();
    println!("linphone heard the tone in {with_tone} of {} windows at {rate} Hz", windows.len());
    assert!(with_tone >= 35, "linphone heard the tone in {with_tone} tenths of a second of {}", windows.len());
}
