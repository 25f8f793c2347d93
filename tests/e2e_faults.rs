//! A mistake of ours ends one call only; and each check of the end-to-end tests catches the fault that it is there for.
#![cfg(feature = "fault-injection")]

mod support;

use std::{path::Path, thread, time::Duration};

use support::{
    PATIENCE,
    agent::{self, Agent, Talked},
    call, must_fail,
    server::{Server, Setup},
    sound::{self, PAIRS, Pair},
    wait_for,
};

const CALLER: Pair = PAIRS[0];
const AGENT: Pair = PAIRS[1];
/// Length of a call of tones.
const SECONDS: u32 = 5;
/// What is said in the first seconds of the demo model's call.
const VOICES_SECONDS: usize = 14;
const CUSTOMER_SAYS: &str = "Hello, my name is Laura Bennett. I sent you an email two hours ago and nobody answered.";
const AGENT_SAYS: &str = "Thank you for calling Northwind, my name is Daniel. I am sorry to hear that. Can you tell me the order number?";

fn server(fault: Option<&str>) -> Server {
    Server::set_up(&Setup { change: Some(&agent::patient_pop), fault, ..Setup::default() })
}

fn talk_in_tones(server: &Server) -> Talked {
    agent::talk(server, &mut Agent::daniel(server), sound::tone(CALLER, SECONDS), sound::tone(AGENT, SECONDS + 10))
}

fn recorded(server: &Server, talked: &Talked) -> [Vec<i16>; 2] {
    let grace = server.login("grace");
    // A recorder that lost something says so, and the state is "trouble": the sound itself is judged here.
    let closed = |page: &serde_json::Value| page["recording"]["state"] == "ready" || page["recording"]["state"] == "trouble";
    call::page(&grace, &talked.interaction, "a closed recording", closed);
    agent::recording(&grace, &talked.interaction)
}

fn offered(server: &Server, talked: &Talked) -> serde_json::Value {
    call::page(&server.login("grace"), &talked.interaction, "the offer", |page| !page["offers"][0]["outcome"].is_null())
}

#[test]
fn an_unknown_fault_is_refused_with_the_list_of_those_that_there_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_throughline"));
    command.args(["serve", "--config", concat!(env!("CARGO_MANIFEST_DIR"), "/sip-config")]).current_dir(folder.path());
    let refused = command.env("THROUGHLINE_FAULT", "swapped-legs").output().expect("throughline runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("Choose one of legs-swapped, pop-after-ring"), "{said}");
}

#[test]
fn a_sound_server_passes_every_check_of_sound_pop_and_recording() {
    let server = server(None);
    let talked = talk_in_tones(&server);
    agent::assert_heard(&talked, CALLER, AGENT);
    agent::assert_pop_first(&talked, &offered(&server, &talked));
    agent::assert_recorded(&talked, &recorded(&server, &talked), CALLER, AGENT);
}

#[test]
fn swapped_legs_are_heard() {
    let server = server(Some("legs-swapped"));
    let talked = talk_in_tones(&server);
    must_fail("what the caller heard: its own tone is heard 0.00", || agent::assert_heard(&talked, CALLER, AGENT));
}

#[test]
fn a_pop_after_the_ring_is_seen() {
    let server = server(Some("pop-after-ring"));
    let talked = talk_in_tones(&server);
    let page = offered(&server, &talked);
    must_fail("the phone rang before the pop was on the screen", || agent::assert_pop_first(&talked, &page));
    // The record alone shows it too.
    let talked = Talked { rang_first: false, ..talked };
    must_fail("the pop's lead is -", || agent::assert_pop_first(&talked, &page));
}

#[test]
fn a_lost_block_is_heard() {
    let server = server(Some("lost-block"));
    let talked = talk_in_tones(&server);
    let recorded = recorded(&server, &talked);
    must_fail("the customer's track: its tone has holes", || agent::assert_recorded(&talked, &recorded, CALLER, AGENT));
}

/// The beginning of the demo model's call, and the page with its words.
fn talk_in_words(server: &Server) -> serde_json::Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples/call.wav");
    let mut voices = sound::read_wav(&file);
    voices.iter_mut().for_each(|voice| voice.truncate(VOICES_SECONDS * sound::RATE as usize));
    let [caller, voice]: [Vec<i16>; 2] = voices.try_into().expect("two voices");
    let talked = agent::talk(server, &mut Agent::daniel(server), caller, voice);
    let grace = server.login("grace");
    call::page(&grace, &talked.interaction, "the transcript", |page| page["transcript"]["state"] == "done")
}

#[test]
fn the_words_are_on_the_legs_that_said_them_and_a_swap_is_seen() {
    thread::scope(|scope| {
        let sound = scope.spawn(|| talk_in_words(&server(None)));
        let faulty = scope.spawn(|| talk_in_words(&server(Some("wrong-leg-words"))));
        agent::assert_words(&sound.join().expect("a call"), CUSTOMER_SAYS, AGENT_SAYS);
        let page = faulty.join().expect("a call");
        must_fail("the customer's words: 0", || agent::assert_words(&page, CUSTOMER_SAYS, AGENT_SAYS));
    });
}

#[test]
fn a_panic_in_one_call_leaves_the_other_alone() {
    let server = server(Some("panic-in-call"));
    let mut daniel = Agent::daniel(&server);
    thread::scope(|scope| {
        let calling = scope.spawn(|| agent::call_in(&server, "+442079460101", "L BENNETT", sound::tone(CALLER, 60)));
        let (goes_on, _) = daniel.see_offer();
        let playing = daniel.phone.take(Duration::ZERO, sound::tone(AGENT, 60)).expect("answered");
        let talk = calling.join().expect("the caller's side");

        let mut ann = Agent::ann(&server);
        let faulty = scope.spawn(|| agent::call_in(&server, "+442079460102", "Faulty Call", sound::tone(PAIRS[2], 60)));
        let (breaks, _) = ann.see_offer();
        let ends = scope.spawn(move || ann.phone.answer(Duration::ZERO, sound::tone(PAIRS[3], 60)));
        assert!(faulty.join().expect("the caller's side").hung_up_within(PATIENCE), "the caller of the broken call hears goodbye");
        ends.join().expect("the phone's side").expect("the phone of the broken call hears goodbye");
        wait_for("the mistake to be counted", PATIENCE, || (server.metric("throughline_call_panicked_total")? == 1.0).then_some(()));
        let grace = server.login("grace");
        let page = call::page(&grace, &breaks, "the broken call's end", |page| !page["ended_at"].is_null());
        assert_eq!(page["cause"], "bug");
        assert!(server.log_text().contains("the fault that a control asked for"), "the mistake is in the log");

        let caller_heard = talk.finish_after(Duration::from_secs(3));
        let agent_heard = playing.stop();
        let page = call::page(&grace, &goes_on, "the other call's end", |page| !page["ended_at"].is_null());
        assert_eq!(page["cause"], "customer_hung_up", "the other call went on");
        sound::assert_unbroken(&caller_heard, AGENT, 3.0, "the caller of the other call");
        sound::assert_unbroken(&agent_heard, CALLER, 3.0, "the agent of the other call");
        sound::assert_only(&caller_heard, AGENT, 0.8, "the caller of the other call");
    });
}
