//! A call whose sound is spoiled on the way: the desk says so while it lasts, the record keeps it, in figures and in words.

mod support;

use serde_json::Value;
use support::{
    agent::Agent,
    call,
    rtp::{SpoiledCaller, Way},
    server::{Server, TRUNK},
    sound::{self, PAIRS},
};

fn said(page: &Value, kind: &str) -> Vec<String> {
    let spans = page["quality"]["spans"].as_array().expect("spans").iter();
    spans.filter(|span| span["kind"] == kind).map(|span| span["text"].as_str().expect("a text").to_owned()).collect()
}

#[test]
fn lost_packets_and_one_way_audio_show_at_the_desk_and_on_the_calls_page() {
    let server = Server::plain();
    let mut agent = Agent::daniel(&server);
    let caller = std::thread::scope(|scope| {
        let calling = scope.spawn(|| SpoiledCaller::call(TRUNK, server.sip()));
        let (interaction, _) = agent.see_offer();
        let playing = agent.phone.take(std::time::Duration::ZERO, sound::tone(PAIRS[1], 60)).expect("answered");
        (calling.join().expect("answered"), interaction, playing)
    });
    let (caller, interaction, playing) = caller;
    let desk = &mut agent.desk;
    desk.wait("the call", |desk| !desk.view["call"].is_null());

    caller.set(Way::Lossy);
    desk.wait("poor sound at the desk", |desk| !desk.view["call"]["sound"].is_null());
    let sound = desk.view["call"]["sound"]["text"].as_str().expect("words").to_owned();
    assert!(sound.starts_with("Customer hard to hear: ") && sound.ends_with(" % lost"), "{sound}");
    caller.set(Way::Clean);
    desk.wait("good sound again", |desk| desk.view["call"]["sound"].is_null());

    caller.set(Way::Mute);
    desk.wait("silence at the desk", |desk| !desk.view["call"]["trouble"].is_null());
    let trouble = desk.view["call"]["trouble"].as_str().expect("words").to_owned();
    assert!(trouble.starts_with("No sound from the customer, but they are there"), "{trouble}");
    assert!(desk.view["call"]["trouble_since"].is_i64());
    caller.set(Way::Clean);
    desk.wait("sound again", |desk| desk.view["call"]["trouble"].is_null());
    caller.hang_up();
    drop(playing.stop());

    let grace = server.login("grace");
    let page = call::page(&grace, &interaction, "the end, and how it sounded", |page| {
        !page["ended_at"].is_null() && said(page, "not_heard").len() == 1
    });
    let lossy = said(&page, "hard_to_hear");
    assert!(
        lossy.iter().any(|text| text.contains("the customer was hard to hear") && text.contains("on the way from the carrier")),
        "{lossy:?}"
    );
    let silent = said(&page, "not_heard");
    assert!(silent[0].contains("the customer was not heard") && silent[0].contains("one-way audio"), "{silent:?}");
    let legs = page["quality"]["legs"].as_array().expect("legs");
    assert_eq!(legs.len(), 2, "{legs:#?}");
    let customer = legs.iter().find(|leg| leg["party"] == "customer").expect("the customer's leg");
    let samples = customer["samples"].as_array().expect("samples");
    assert!(samples.len() >= 4 && samples.iter().any(|sample| sample["mos_x100"].as_i64().is_some_and(|mos| mos < 360)), "{samples:#?}");
    let trips: Vec<i64> = samples.iter().filter_map(|sample| sample["round_trip_us"].as_i64()).collect();
    assert!(!trips.is_empty() && trips.iter().all(|us| *us < 500_000), "{trips:?}");
    assert!(samples.iter().any(|sample| sample["there_mos_x100"].as_i64().is_some_and(|mos| mos > 360)), "what the carrier reported");
    let calls = grace.get("/api/calls").json();
    assert!(calls["calls"][0]["poor_ms"].as_i64().expect("a length") >= 5_000, "{:#}", calls["calls"][0]);
    let scores = String::from_utf8(server.nobody().get("/metrics").body).expect("text");
    assert!(scores.contains("throughline_leg_mos_bucket{trunk=\"carrier\",party=\"customer\",le=\"3.60\"}"), "{scores}");
}
