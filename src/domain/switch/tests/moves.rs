//! The property of calls: whatever peers, desks, media, the network and time do, in whatever order, every dialog ends once, every
//! row that was opened is closed once, and nothing is held by nobody. `World::input` asks the reaper after every step.
//!
//! `THROUGHLINE_SEEDS=500` walks longer, about a quarter of a second each; by `cargo test --lib random_moves`, as nextest ends what
//! takes more than five minutes. Each seed is printed before its walk.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use rand_chacha::rand_core::RngCore;

use super::{
    peer::{OnInvite, Peer},
    walk::opened,
    world::{CALLED, World, server},
};
use crate::{
    domain::{
        fact::AgentState,
        live::DeskCommand,
        media::plan::{MediaEvent, MediaEventKind, MediaPlan},
        switch::{Counter, Input},
    },
    protocol::sip::{
        build::{Header, Refresher, TokensHeader},
        field::{Method, Token},
        parse::parse,
    },
};

/// Seeds that are walked where nobody asks for more.
const SEEDS: u64 = 48;
/// Moves in a walk.
const MOVES: usize = 70;
/// Further places where a walk registers phones.
const MAX_PLACES: usize = 3;

fn one_of(world: &mut World, n: usize) -> usize {
    usize::try_from(world.rng.next_u32()).expect("64 bit") % n
}

/// A call from the trunk, of any shape.
fn call_in(world: &mut World) {
    let caller = world.caller("+442071234567");
    let shape = one_of(world, 6);
    world.peers[caller].formats = ["0 8 101", "0 101", "8 101"][one_of(world, 3)];
    let now = world.now.mono;
    world.peers[caller].call(now, CALLED, |invite| match shape {
        0 => invite.body = None,
        1 | 2 => {
            let refresher = if shape == 1 { Refresher::Uas } else { Refresher::Uac };
            invite.headers.push(Header::Tokens(TokensHeader::Supported, vec![Token::new("timer").expect("token")]));
            invite.headers.push(Header::SessionExpires(90, Some(refresher)));
        }
        _ => {}
    });
}

fn signalling_move(world: &mut World, peer: usize) {
    let now = world.now.mono;
    match one_of(world, 9) {
        0 => world.peers[peer].cancel(now),
        1 | 2 => world.peers[peer].hang_up(now),
        3 | 4 => {
            let direction = ["sendonly", "sendrecv", "inactive"][one_of(world, 3)];
            world.peers[peer].reinvite(now, direction);
        }
        5 => world.peers[peer].in_dialog(now, Method::Update, |_| {}),
        6 => world.peers[peer].in_dialog(now, Method::Invite, |_| {}),
        7 => {
            let method = [Method::Options, Method::Info, Method::Refer][one_of(world, 3)].clone();
            world.peers[peer].in_dialog(now, method, |_| {});
        }
        _ => {
            let refusals =
                [(Method::Invite, 491), (Method::Invite, 488), (Method::Update, 422), (Method::Update, 501), (Method::Invite, 481)];
            let refusal = refusals[one_of(world, refusals.len())].clone();
            world.peers[peer].refuses = vec![refusal];
        }
    }
}

fn phone_move(world: &mut World, agent_no: usize) {
    let now = world.now.mono;
    match one_of(world, 6) {
        0 | 1 => {
            let kinds = [
                OnInvite::Answer(Duration::from_millis(700)),
                OnInvite::Answer(Duration::from_millis(702)),
                OnInvite::Ring,
                OnInvite::Refuse(486),
                OnInvite::Refuse(603),
                OnInvite::Refuse(302),
                OnInvite::Dead,
                OnInvite::AtOnce,
                OnInvite::AnswerTwice,
                OnInvite::AnswerNonsense,
            ];
            world.peers[agent_no].on_invite = kinds[one_of(world, kinds.len())];
        }
        2 if !world.peers[agent_no].is_up() => {
            let called = format!("{}", 200 + one_of(world, world.agents.len()));
            world.peers[agent_no].call(now, &called, |_| {});
        }
        3 if world.peers.iter().filter(|peer| peer.addr.port() / 100 == 70).count() < MAX_PLACES => {
            let n = u8::try_from(world.peers.len()).expect("few");
            let addr = SocketAddr::from(([198, 51, 100, 10], 7000 + u16::from(n % 100)));
            let mut peer = Peer::new(addr, server(), &format!("agent{agent_no}"), n);
            peer.on_invite = [OnInvite::Ring, OnInvite::Answer(Duration::from_millis(701)), OnInvite::AtOnce][one_of(world, 3)];
            peer.register(now, 300);
            world.peers.push(peer);
        }
        4 => world.peers[agent_no].register(now, 0),
        _ => world.peers[agent_no].register(now, 300),
    }
}

fn desk_move(world: &mut World, agent_no: usize) {
    let agent = world.agents[agent_no];
    match one_of(world, 4) {
        0 | 1 => {
            let state = [AgentState::Ready, AgentState::Ready, AgentState::NotReady, AgentState::Offline][one_of(world, 4)];
            world.set_state(agent, state);
        }
        2 => {
            let view = world.view(agent_no);
            if let Some(offer) = view.offer {
                world.input(Input::Desk(DeskCommand::Decline { agent, offer: offer.offer }));
            }
            if let Some(call) = view.call {
                world.input(Input::Desk(DeskCommand::HangUp { agent, interaction: call.interaction }));
            }
        }
        _ => world.wrap_up_all(),
    }
}

fn media_move(world: &mut World) {
    let plans: Vec<MediaPlan> = world.plans.values().map(|(plan, _)| plan.clone()).collect();
    if plans.is_empty() {
        return;
    }
    let plan = &plans[one_of(world, plans.len())];
    let leg = plan.legs[one_of(world, plan.legs.len())].leg;
    let kind = match one_of(world, 4) {
        0 | 1 => MediaEventKind::Silent { leg, silent_ms: 30_000 },
        2 => MediaEventKind::SourceLocked { leg, source: SocketAddr::from(([203, 0, 113, 5], 9)) },
        _ => MediaEventKind::Failed { leg },
    };
    let stale = u32::from(one_of(world, 3) == 0);
    world.input(Input::Media(MediaEvent { call: plan.call, generation: plan.generation - stale, kind }));
}

fn random_move(world: &mut World, faults: bool) {
    let peer = one_of(world, world.peers.len());
    let agent_no = one_of(world, world.agents.len());
    match one_of(world, 20) {
        0..=3 => call_in(world),
        4..=10 => signalling_move(world, peer),
        11..=14 => phone_move(world, agent_no),
        15 | 16 => desk_move(world, agent_no),
        17 => media_move(world),
        18 if faults => {
            let calls = opened(world);
            if !calls.is_empty() {
                let interaction = calls[calls.len() - 1 - one_of(world, calls.len().min(3))];
                let after_actions = one_of(world, 12);
                world.input(Input::PanicIn { interaction, after_actions });
            }
        }
        _ => world.run(Duration::from_secs(20)),
    }
}

/// A dialog as both sides name it.
type DialogKey = (String, BTreeSet<String>);

/// What was on the wire of each dialog: whether an INVITE got a 2xx, our BYEs and the peer's, by their numbers.
#[derive(Default)]
struct Seen {
    answered: bool,
    ours: BTreeSet<u32>,
    theirs: BTreeSet<u32>,
}

fn dialogs(world: &World) -> BTreeMap<DialogKey, Seen> {
    let mut dialogs: BTreeMap<DialogKey, Seen> = BTreeMap::new();
    let all = world.sent.iter().map(|bytes| (true, bytes)).chain(world.received.iter().map(|bytes| (false, bytes)));
    for (by_us, bytes) in all {
        let Ok(message) = parse(bytes) else { continue };
        let (Some(from), Some(to)) = (message.from_tag(), message.to_tag()) else { continue };
        let key = (message.call_id().to_owned(), BTreeSet::from([from.to_owned(), to.to_owned()]));
        match (message.status(), message.method()) {
            (Some(200..=299), Method::Invite) => dialogs.entry(key).or_default().answered = true,
            (None, Method::Bye) => {
                let seen = dialogs.entry(key).or_default();
                let byes = if by_us { &mut seen.ours } else { &mut seen.theirs };
                byes.insert(message.cseq().seq);
            }
            _ => {}
        }
    }
    dialogs
}

fn check_dialogs(world: &World, seed: u64) {
    for (key, seen) in dialogs(world) {
        assert!(seen.ours.len() <= 1, "seed {seed}: we ended {key:?} by {:?}", seen.ours);
        assert!(!seen.answered || !seen.ours.is_empty() || !seen.theirs.is_empty(), "seed {seed}: {key:?} never ended");
    }
}

fn walk(seed: u64) {
    let mut world = World::new(4, seed);
    world.ready();
    world.loss = [0, 30, 0, 60][usize::try_from(seed % 4).expect("few")];
    world.doubled = if seed.is_multiple_of(3) { 50 } else { 0 };
    let faults = seed % 4 == 2;
    for _ in 0..MOVES {
        random_move(&mut world, faults);
        let pause = Duration::from_millis(u64::try_from(one_of(&mut world, 1500)).expect("few"));
        world.run(pause);
    }
    if seed % 5 == 4 {
        world.input(Input::Shutdown);
    }
    (world.loss, world.doubled) = (0, 0);
    for _ in 0..3 {
        for peer in 0..world.peers.len() {
            let now = world.now.mono;
            world.peers[peer].on_invite = OnInvite::Refuse(486);
            world.peers[peer].cancel(now);
            world.peers[peer].hang_up(now);
        }
        world.run(Duration::from_secs(100));
    }
    world.assert_comes_to_rest();
    let idle = [AgentState::Ready, AgentState::NotReady, AgentState::Offline];
    for agent in 0..world.agents.len() {
        assert!(idle.contains(&world.view(agent).state), "seed {seed}: agent {agent} is still {:?}", world.view(agent).state);
    }
    assert_eq!(world.switch.counters().get(Counter::InputPanicked), 0, "seed {seed}");
    if !faults {
        assert_eq!(world.switch.counters().get(Counter::CallPanicked), 0, "seed {seed}");
        check_dialogs(&world, seed);
    }
}

#[test]
fn random_moves_leave_every_dialog_ended_once_and_nothing_without_an_owner() {
    let asked = std::env::var("THROUGHLINE_SEEDS").ok().and_then(|text| text.parse().ok());
    (0..asked.unwrap_or(SEEDS)).for_each(walk);
}
