//! Routing, by its rules: who is next, who is passed over and why, who is free again when.

use std::time::{Duration, Instant};

use super::*;
use crate::{
    domain::fact::AgentState,
    ids::{AgentId, InteractionId, OfferId, PhoneId},
    time::{Now, UnixMs},
};

fn id(n: u8) -> [u8; 10] {
    [n; 10]
}

#[expect(clippy::disallowed_methods, reason = "one origin for simulated time")]
fn origin() -> Now {
    Now { mono: Instant::now(), wall: UnixMs(1_790_000_000_000) }
}

fn house(now: Now, agents: u8) -> (Agents, &'static str, Vec<AgentId>) {
    let queue = "support";
    let ids: Vec<AgentId> = (0..agents).map(|n| AgentId::new(now.wall, id(n))).collect();
    let mut house = Agents::default();
    house.replace(
        now,
        ids.iter().enumerate().map(|(n, agent)| AgentProfile {
            id: *agent,
            name: format!("Agent {n}"),
            queues: vec![queue.to_owned()],
            phone: Some(PhoneId::new(now.wall, id(u8::try_from(n).expect("few")))),
        }),
    );
    for (n, agent) in ids.iter().enumerate() {
        let at = now.plus(Duration::from_secs(u64::try_from(n).expect("few")));
        house.phone_registered(PhoneId::new(now.wall, id(u8::try_from(n).expect("few"))), true);
        assert!(house.want(at, *agent, Wanted::Ready));
    }
    (house, queue, ids)
}

#[test]
fn the_longest_idle_agent_is_chosen_and_then_the_next() {
    let now = origin();
    let (mut house, queue, ids) = house(now, 3);
    assert_eq!(house.choose(queue, &[]), Some(ids[0]));
    assert_eq!(house.choose(queue, &ids[..1]), Some(ids[1]));
    let call = InteractionId::new(now.wall, id(9));
    let later = now.plus(Duration::from_secs(60));
    house.talking(later, ids[0], call);
    assert!(house.free(later.plus(Duration::from_secs(5)), ids[0], call));
    assert_eq!(house.choose(queue, &[]), Some(ids[1]), "the one who talked last is last");
    assert_eq!(house.choose(queue, &ids[1..]), Some(ids[0]));
    assert_eq!(house.choose(queue, &ids), None);
}

#[test]
fn the_reason_for_passing_an_agent_over_is_told() {
    let now = origin();
    let (mut house, queue, ids) = house(now, 6);
    house.want(now, ids[0], Wanted::Offline);
    house.want(now, ids[1], Wanted::NotReady { reason: Some("Lunch".into()) });
    house.offered(now, ids[2], OfferId::new(now.wall, id(8)), InteractionId::new(now.wall, id(8)));
    house.phone_registered(PhoneId::new(now.wall, id(3)), false);
    let told = house.explain(queue, &ids[4..5]);
    assert_eq!(told[0], Candidate { agent: ids[5], skipped: None });
    for (agent, skip) in [(0, Skip::Offline), (1, Skip::NotReady), (2, Skip::Occupied), (3, Skip::NoPhone), (4, Skip::Tried)] {
        assert!(told.contains(&Candidate { agent: ids[agent], skipped: Some(skip) }), "{skip:?}");
    }
    assert!(house.explain("sales", &[]).iter().all(|candidate| candidate.skipped == Some(Skip::OtherQueue)));
}

#[test]
fn what_an_agent_wants_during_a_call_takes_effect_after_it() {
    let now = origin();
    let (mut house, _, ids) = house(now, 1);
    let call = InteractionId::new(now.wall, id(9));
    house.talking(now, ids[0], call);
    assert!(!house.want(now, ids[0], Wanted::NotReady { reason: Some("Lunch".into()) }), "nothing shows yet");
    assert_eq!(house.get(ids[0]).map(Agent::state), Some(AgentState::Busy));
    assert!(house.wrapping_up(now, ids[0], call));
    assert!(house.free(now, ids[0], call));
    let agent = house.get(ids[0]).expect("known");
    assert_eq!((agent.state(), agent.reason()), (AgentState::NotReady, Some("Lunch")));
}

#[test]
fn an_agent_is_freed_only_by_the_call_that_holds_them() {
    let now = origin();
    let (mut house, _, ids) = house(now, 1);
    let (first, second) = (InteractionId::new(now.wall, id(1)), InteractionId::new(now.wall, id(2)));
    house.talking(now, ids[0], second);
    assert!(!house.free(now, ids[0], first));
    assert_eq!(house.get(ids[0]).and_then(Agent::interaction), Some(second));
}

#[test]
fn an_agent_who_leaves_the_record_in_a_call_stays_until_it_is_over() {
    let now = origin();
    let (mut house, _, ids) = house(now, 2);
    let call = InteractionId::new(now.wall, id(1));
    house.talking(now, ids[0], call);
    house.replace(now, []);
    assert_eq!(house.iter().map(|agent| agent.profile.id).collect::<Vec<_>>(), vec![ids[0]]);
    house.free(now, ids[0], call);
    house.replace(now, []);
    assert_eq!(house.iter().count(), 0);
}
