//! A mistake of ours at any point of any kind of call ends that call alone: both sides hear goodbye, rows are closed once, nothing
//! stays behind. `World::input` asks the reaper after every step.

use std::time::Duration;

use super::{
    peer::{OnInvite, Peer},
    queue::ended,
    walk::opened,
    world::{CALLED, World, server},
};
use crate::{
    domain::{
        fact::EndCause,
        live::DeskCommand,
        media::plan::{MediaEvent, MediaEventKind},
        switch::{Counter, Input},
    },
    protocol::sip::{
        build::{Header, Refresher, TokensHeader},
        field::{Method, Token},
    },
};

/// One kind of call: how it is begun, and what happens in it while the fault waits.
struct Kind {
    name: &'static str,
    begin: fn(&mut World) -> usize,
    live: fn(&mut World, usize),
    /// Faults that hit for sure: the kind leaves at least so many actions after its beginning.
    reached: usize,
}

fn from_trunk(world: &mut World) -> usize {
    world.incoming("+442072222222")
}

fn late_offer(world: &mut World) -> usize {
    let caller = world.caller("+442072222222");
    let now = world.now.mono;
    world.peers[caller].call(now, CALLED, |invite| invite.body = None);
    caller
}

fn internal(world: &mut World) -> usize {
    let now = world.now.mono;
    world.peers[1].call(now, "202", |_| {});
    1
}

/// The second agent's account is registered at two more places.
fn forked(world: &mut World) -> usize {
    for n in 1..=2u8 {
        let addr = std::net::SocketAddr::from(([198, 51, 100, 11], 5070 + u16::from(n)));
        let mut peer = Peer::new(addr, server(), "agent1", 60 + n);
        peer.on_invite = if n == 1 { OnInvite::Ring } else { OnInvite::Answer(Duration::from_millis(2_001)) };
        peer.register(world.now.mono, 300);
        world.peers.push(peer);
        world.run(Duration::from_millis(100));
    }
    from_trunk(world)
}

fn two_codecs(world: &mut World) -> usize {
    world.peers[1].formats = "8 0 101";
    world.peers[1].refuses = vec![(Method::Invite, 491)];
    let caller = world.caller("+442072222222");
    world.peers[caller].formats = "0 101";
    let now = world.now.mono;
    world.peers[caller].call(now, CALLED, |_| {});
    caller
}

fn refreshed(world: &mut World) -> usize {
    let caller = world.caller("+442072222222");
    let now = world.now.mono;
    world.peers[caller].call(now, CALLED, |invite| {
        invite.headers.push(Header::Tokens(TokensHeader::Supported, vec![Token::new("timer").expect("token")]));
        invite.headers.push(Header::SessionExpires(90, Some(Refresher::Uas)));
    });
    caller
}

fn declined(world: &mut World) -> usize {
    world.peers[1].on_invite = OnInvite::Refuse(603);
    from_trunk(world)
}

fn wait(world: &mut World, _: usize) {
    world.run(Duration::from_secs(6));
}

fn hold_and_resume(world: &mut World, caller: usize) {
    world.run(Duration::from_secs(4));
    for direction in ["sendonly", "sendrecv"] {
        for peer in [1, caller] {
            let now = world.now.mono;
            world.peers[peer].reinvite(now, direction);
            world.run(Duration::from_millis(500));
        }
    }
}

fn media_dies(world: &mut World, caller: usize) {
    world.run(Duration::from_secs(4));
    world.peers[caller].dialog = None;
    let plans = world.plans.values().map(|(plan, _)| plan.clone());
    for plan in plans.collect::<Vec<_>>().into_iter().skip(1) {
        let kind = MediaEventKind::Silent { leg: plan.legs[0].leg, silent_ms: 30_000 };
        world.input(Input::Media(MediaEvent { call: plan.call, generation: plan.generation, kind }));
    }
    world.run(Duration::from_secs(1));
}

fn refresh(world: &mut World, _: usize) {
    world.run(Duration::from_secs(100));
}

fn cancel(world: &mut World, caller: usize) {
    world.run(Duration::from_secs(1));
    let now = world.now.mono;
    world.peers[caller].cancel(now);
    world.run(Duration::from_secs(1));
}

fn hang_up_at_the_desk(world: &mut World, _: usize) {
    world.run(Duration::from_secs(4));
    if let Some(call) = world.view(1).call {
        let agent = world.agents[1];
        world.input(Input::Desk(DeskCommand::HangUp { agent, interaction: call.interaction }));
    }
    world.run(Duration::from_secs(1));
    world.wrap_up_all();
}

const KINDS: &[Kind] = &[
    Kind { name: "inbound", begin: from_trunk, live: wait, reached: 20 },
    Kind { name: "late offer", begin: late_offer, live: wait, reached: 20 },
    Kind { name: "hold and resume", begin: from_trunk, live: hold_and_resume, reached: 40 },
    Kind { name: "internal", begin: internal, live: wait, reached: 6 },
    Kind { name: "several places", begin: forked, live: wait, reached: 20 },
    Kind { name: "glare", begin: two_codecs, live: wait, reached: 20 },
    Kind { name: "refresh", begin: refreshed, live: refresh, reached: 22 },
    Kind { name: "declined", begin: declined, live: wait, reached: 14 },
    Kind { name: "cancelled", begin: from_trunk, live: cancel, reached: 20 },
    Kind { name: "media dies", begin: from_trunk, live: media_dies, reached: 25 },
    Kind { name: "hung up at the desk", begin: from_trunk, live: hang_up_at_the_desk, reached: 30 },
];

/// Faults are tried up to this many actions after the beginning: more than any kind leaves.
const LAST_ACTION: usize = 64;

#[test]
fn a_panic_at_any_action_of_any_kind_of_call_ends_that_call_alone() {
    for kind in KINDS {
        let mut hit = 0;
        for after_actions in 0..LAST_ACTION {
            let what = format!("{}, after {after_actions}", kind.name);
            let mut world = World::new(3, 100 + u64::try_from(after_actions).expect("few"));
            world.ready();
            let other = world.incoming("+442071111111");
            world.until("talk", Duration::from_secs(10), |world| world.peers[other].is_up());
            let caller = (kind.begin)(&mut world);
            world.until("opened", Duration::from_secs(1), |world| opened(world).len() == 2);
            let interaction = opened(&world)[1];
            world.input(Input::PanicIn { interaction, after_actions });
            (kind.live)(&mut world, caller);
            let now = world.now.mono;
            world.peers[caller].cancel(now);
            world.peers[caller].hang_up(now);
            world.run(Duration::from_secs(8));
            world.wrap_up_all();
            assert!(world.peers[other].is_up() && world.peers[0].is_up(), "{what}: the other call goes on");
            let left = (1..world.peers.len()).filter(|peer| *peer != other && world.peers[*peer].is_up()).collect::<Vec<_>>();
            assert!(left.is_empty(), "{what}: peers {left:?} are still in a call");
            let panicked = world.switch.counters().get(Counter::CallPanicked);
            let bugs = ended(&world).iter().filter(|cause| **cause == EndCause::Bug).count();
            assert!(panicked <= 1 && panicked >= u64::try_from(bugs).expect("few"), "{what}");
            assert!(after_actions >= kind.reached || panicked == 1, "{what}: the fault was never reached");
            hit += panicked;
            world.assert_comes_to_rest_after_hang_up(other);
            if panicked == 0 {
                break;
            }
        }
        println!("{}: {hit} faults, one at each action", kind.name);
    }
}
