//! Facts become rows, whatever of them comes again.

use proptest::prelude::*;

use super::*;
use crate::{
    domain::fact::{AgentState, Binding, WorkItemKind},
    ids::{PhoneId, WorkItemId},
};

fn agent(n: u8) -> AgentId {
    AgentId::new(NOW, [n; 10])
}

/// Three calls beside each other, agents and registrations between them.
fn history() -> Vec<Fact> {
    let mut facts = vec![Fact::AgentState { agent: agent(1), state: AgentState::Ready, reason: None, at: NOW }];
    let calls =
        [answered_call(1, Some("+442079460150"), agent(1)), abandoned_call(2, Some("+442079460150")), answered_call(3, None, agent(2))];
    let longest = calls.iter().map(Vec::len).max().unwrap_or(0);
    for place in 0..longest {
        facts.extend(calls.iter().filter_map(|call| call.get(place).cloned()));
    }
    facts.insert(5, chosen(1, None, CustomerChoice::Unknown));
    facts.push(Fact::WorkItemOpened {
        work_item: WorkItemId::new(NOW, [1; 10]),
        kind: WorkItemKind::MissedCall,
        interaction: ids(2).interaction,
        queue: "support".to_owned(),
        priority: 5,
        at: NOW,
        due: None,
    });
    facts.push(Fact::AgentState { agent: agent(1), state: AgentState::WrapUp, reason: None, at: NOW.plus_ms(12_000) });
    for (cseq, expires) in [(1, 60_000), (2, 0)] {
        facts.push(Fact::Binding(Binding {
            phone: PhoneId::new(NOW, [1; 10]),
            contact: "sip:101@192.0.2.7:5060".to_owned(),
            source: "192.0.2.7:5060".parse().expect("an address"),
            over_connection: false,
            listener: "udp".to_owned(),
            sip_call_id: SipCallId("r".to_owned()),
            cseq,
            user_agent: None,
            expires_at: NOW.plus_ms(expires),
        }));
    }
    facts.push(Fact::AgentState {
        agent: agent(1),
        state: AgentState::NotReady,
        reason: Some("lunch".to_owned()),
        at: NOW.plus_ms(90_000),
    });
    for n in [1, 3] {
        facts.push(Fact::InteractionClosed { interaction: ids(n).interaction, at_ms: 40_000, wrapped_up: n == 1 });
    }
    facts
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn any_prefix_applied_twice_equals_once(cut in 0usize..90, from in 0usize..90) {
        let facts = history();
        let cut = cut.min(facts.len());
        let from = from.min(cut);
        runtime().block_on(async {
            let (once, _a) = empty().await;
            once.apply(&facts).await.expect("once");
            let (twice, _b) = empty().await;
            twice.apply(&facts[..cut]).await.expect("a prefix");
            twice.apply(&facts[from..cut]).await.expect("a part of it again");
            twice.apply(&facts[..cut]).await.expect("the prefix again");
            twice.apply(&facts[cut..]).await.expect("the rest");
            assert_eq!(dump(&once).await, dump(&twice).await);
        });
    }
}

/// Calls of one number, of another and of nobody, their facts dealt out by `order` so that each call keeps its own.
fn dealt(order: &[usize]) -> Vec<Fact> {
    let [one, other] = ["+442079460150", "+442079460151"];
    let closed = |n: u8, wrapped_up| Fact::InteractionClosed { interaction: ids(n).interaction, at_ms: 40_000, wrapped_up };
    let state = |state, at_ms| Fact::AgentState { agent: agent(1), state, reason: None, at: NOW.plus_ms(at_ms) };
    let mut calls = vec![
        answered_call(1, Some(one), agent(1)),
        abandoned_call(2, Some(one)),
        answered_call(3, None, agent(2)),
        answered_call(4, Some(other), agent(1)),
        abandoned_call(5, Some(other)),
        vec![
            state(AgentState::Ready, 0),
            state(AgentState::Busy, 2_000),
            state(AgentState::WrapUp, 12_000),
            state(AgentState::Ready, 9_000),
        ],
    ];
    calls[0].insert(4, chosen(1, None, CustomerChoice::Unknown));
    calls[3].insert(9, chosen(4, None, CustomerChoice::Unknown));
    calls[0].push(closed(1, true));
    calls[2].push(closed(3, false));
    let mut facts = Vec::new();
    let mut rest: Vec<_> = calls.into_iter().map(Vec::into_iter).collect();
    for pick in order.iter().chain(std::iter::repeat(&0)) {
        rest.retain(|call| call.len() > 0);
        let Some(last) = rest.len().checked_sub(1) else { break };
        facts.extend(rest[pick % (last + 1)].next());
    }
    facts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
    #[test]
    fn facts_applied_together_make_the_rows_that_they_make_one_by_one(order in prop::collection::vec(0usize..60, 160)) {
        let facts = dealt(&order);
        runtime().block_on(async {
            let (together, _a) = empty().await;
            together.apply(&facts).await.expect("all at once");
            let (alone, _b) = empty().await;
            for fact in &facts {
                alone.apply(std::slice::from_ref(fact)).await.expect("one by one");
            }
            assert_eq!(dump(&together).await, dump(&alone).await);
        });
    }
}

#[tokio::test]
async fn a_hundred_calls_in_one_batch_leave_what_each_would_leave() {
    let (store, _dir) = empty().await;
    let calls: Vec<Vec<Fact>> = (0..100).map(|n| answered_call(n, Some(&format!("+4420794602{n:02}")), agent(n % 7))).collect();
    let mut facts: Vec<Fact> =
        (0..calls[0].len()).flat_map(|place| calls.iter().filter_map(move |call| call.get(place).cloned())).collect();
    facts.extend((0..100).map(|n| Fact::InteractionClosed { interaction: ids(n).interaction, at_ms: 30_000, wrapped_up: true }));
    store.apply(&facts).await.expect("one batch");
    store.apply(&facts).await.expect("the same again");
    let rows = dump(&store).await;
    let counts = ["interaction", "identity", "leg", "offer", "recording", "ticket", "on", "job"].map(|table| count(&rows, table));
    assert_eq!(counts, [100, 100, 200, 100, 200, 100, 100, 100]);
    let events = store.events_since(0, 1_000).await.expect("events");
    let of = |n: u8| events.iter().filter(|event| event.interaction == Some(ids(n).interaction)).map(|event| event.kind.as_str()).collect();
    let each: Vec<&str> = of(0);
    assert_eq!(
        each,
        ["interaction.opened", "interaction.answered", "ticket.contact", "interaction.ended", "job.waiting", "interaction.closed"]
    );
    assert!(
        (1..100).all(|n| {
            let other: Vec<&str> = of(n);
            other == each
        }),
        "each call's events in their order"
    );
}

#[tokio::test]
async fn an_answered_call_ends_with_ticket_job_and_figures() {
    let (store, _dir, daniel) = seeded().await;
    store.apply(&answered_call(1, Some("+442079460101"), daniel)).await.expect("facts");
    let page = store.interaction_page(ids(1).interaction, daniel).await.expect("a page");
    assert_eq!(page.customer.as_ref().map(|who| who.name.as_str()), Some("Laura Bennett"), "the late look-up still tells who");
    assert_eq!(page.state, InteractionState::Ended);
    assert_eq!((page.legs.len(), page.segments.len(), page.offers.len()), (2, 3, 1));
    assert_eq!(page.offers[0].lead_ms, Some(20));
    assert_eq!(page.recording.state, RecordingState::Ready);
    assert_eq!(page.transcript.state, TranscriptState::Pending);
    let ticket = page.ticket.expect("a ticket");
    assert_eq!(ticket.subject, "Charged twice for order 48215", "joined: {}", ticket.why);
    let calls = store.calls(&CallFilter::default()).await.expect("calls");
    let call = calls.calls.iter().find(|call| call.interaction == ids(1).interaction).expect("the call");
    assert_eq!((call.waited_ms, call.talked_ms, call.outcome), (2000, 10_000, CallOutcome::Answered));
    let job = store.claim_job(&[JobKind::Transcribe], NOW.plus_ms(HOUR), 1000).await.expect("a claim").expect("a job");
    assert_eq!(job.interaction().expect("its subject"), ids(1).interaction);
}

#[tokio::test]
async fn an_unknown_caller_is_a_provisional_identity_and_no_customer() {
    let (store, _dir) = empty().await;
    store.apply(&abandoned_call(1, Some("+442079460150"))).await.expect("facts");
    let rows = dump(&store).await;
    assert_eq!((count(&rows, "identity"), count(&rows, "customer")), (1, 0));
    assert!(!rows.iter().any(|row| row.contains('\0')), "U+0000 stays at the door");
    let brief = store.brief_for_number(Some(&number("+442079460150")), None, NOW.plus_ms(HOUR)).await.expect("a brief");
    assert_eq!(brief.last_contacts.len(), 1);
    assert_eq!(brief.last_contacts[0].title, "Caller gave up");
}

#[tokio::test]
async fn a_withheld_number_creates_nobody_and_is_still_a_missed_call() {
    let (store, _dir) = empty().await;
    store.apply(&abandoned_call(1, None)).await.expect("facts");
    let rows = dump(&store).await;
    assert_eq!((count(&rows, "identity"), count(&rows, "customer"), count(&rows, "work")), (0, 0, 1));
    let items = store.work_items(None).await.expect("work");
    assert_eq!((items[0].kind, items[0].number.as_deref()), (WorkItemKind::MissedCall, None));
}

#[tokio::test]
async fn what_a_machine_finds_never_replaces_what_a_person_said() {
    let (store, _dir, daniel) = seeded().await;
    store.apply(&[opened(1, Some("+442079460110"))]).await.expect("a call of a shared number");
    let helen = store.brief_for_number(Some(&number("+442079460110")), None, NOW).await.expect("a brief").candidates[0].who.customer;
    store.choose_customer(ids(1).interaction, &CallerIs::Customer(helen), daniel, NOW).await.expect("a choice");
    store.apply(&[chosen(1, None, CustomerChoice::Unknown)]).await.expect("a late look-up");
    let page = store.interaction_page(ids(1).interaction, daniel).await.expect("a page");
    assert_eq!(page.customer.map(|who| who.customer), Some(helen));
}

#[tokio::test]
async fn a_clock_that_is_set_back_leaves_no_state_of_an_agent_with_a_negative_length_and_the_last_one_open() {
    let (store, _dir, daniel) = seeded().await;
    let state = |state, at_ms| Fact::AgentState { agent: daniel, state, reason: None, at: NOW.plus_ms(at_ms) };
    let day = 24 * HOUR;
    // Set back by a day between the second and the third.
    let facts = [
        state(AgentState::Ready, 0),
        state(AgentState::Busy, 60_000),
        state(AgentState::WrapUp, 90_000 - day),
        state(AgentState::Ready, 95_000 - day),
    ];
    store.apply(&facts).await.expect("states");
    store.apply(&facts[1..3]).await.expect("some of them again");
    let mut conn = store.read().await.expect("a connection");
    let rows: Vec<(String, i64, Option<i64>)> =
        sqlx::query_as("SELECT state, from_at, to_at FROM agent_state WHERE agent = $1 AND from_at >= $2 ORDER BY rowid")
            .bind(daniel.to_string())
            .bind(NOW.0 - day)
            .fetch_all(&mut *conn)
            .await
            .expect("rows");
    let lengths: Vec<_> = rows.iter().map(|(state, from, to)| (state.as_str(), to.map(|to| to - from))).collect();
    assert_eq!(lengths, [("ready", Some(60_000)), ("busy", Some(0)), ("wrap_up", Some(5_000)), ("ready", None)]);
    let people = store.people(NOW).await.expect("people");
    let now = people.agents.iter().find(|person| person.agent == daniel).and_then(|person| person.state.clone());
    assert_eq!(now.map(|(state, ..)| state), Some(AgentState::Ready), "what they are is the last that was said");
}

#[tokio::test]
async fn a_crash_closes_calls_and_brings_back_tracks_without_rows() {
    let (store, _dir) = empty().await;
    let whole = answered_call(1, Some("+442079460150"), agent(1));
    let talking = whole.iter().position(|fact| matches!(fact, Fact::LegClosed { .. })).expect("an end");
    store.apply(&whole[..talking]).await.expect("a call in progress");
    store.apply(&[opened(2, None)]).await.expect("a call that waits");
    store.apply(&[Fact::AgentState { agent: agent(1), state: AgentState::Busy, reason: None, at: NOW }]).await.expect("a state");
    let track = |n: u8, place: usize, party: Party, to_ms: u32| RecoveredTrack {
        recording: ids(n).recordings[place],
        interaction: ids(n).interaction,
        leg: if party == Party::Customer { ids(n).customer_leg } else { ids(n).agent_leg },
        party,
        codec: Codec::Pcma,
        axis_start_wall: NOW,
        from_ms: 2000,
        to_ms,
        lost_ms: 0,
        paused_ms: 0,
        trouble: Some("cut off".to_owned()),
    };
    let tracks = [track(1, 0, Party::Customer, 9000), track(1, 1, Party::Agent, 9400), track(7, 1, Party::Agent, 5000)];
    let done = store.close_crashed(&tracks, NOW.plus_ms(HOUR)).await.expect("recovery");
    assert_eq!(done, Recovered { interactions: 3, tracks: 1 });
    let again = store.close_crashed(&tracks, NOW.plus_ms(HOUR)).await.expect("recovery again");
    assert_eq!(again, Recovered::default());
    let page = store.interaction_page(ids(1).interaction, agent(1)).await.expect("a page");
    assert_eq!((page.state, page.cause, page.duration_ms), (InteractionState::Closed, Some(EndCause::Crash), Some(9400 + 2600)));
    assert!(page.legs.iter().all(|leg| leg.to_ms.is_some()) && page.segments.iter().all(|segment| segment.to_ms.is_some()));
    assert_eq!(page.recording.state, RecordingState::Trouble);
    let kinds: Vec<_> = store.work_items(None).await.expect("work").iter().map(|item| item.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == WorkItemKind::MissedCall).count(), 1, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == WorkItemKind::NotWrappedUp).count(), 1, "{kinds:?}");
    assert_eq!(store.tracks(ids(7).interaction).await.expect("tracks").len(), 1);
    assert!(store.people(NOW).await.expect("people").agents.is_empty(), "agents of facts are not people");
}

#[tokio::test]
async fn a_call_with_poor_sound_says_so_on_its_page_and_in_the_list() {
    let (store, _dir, daniel) = seeded().await;
    store.apply(&answered_call(1, Some("+442079460101"), daniel)).await.expect("facts");
    let page = store.interaction_page(ids(1).interaction, daniel).await.expect("a page");
    let samples: Vec<usize> = page.quality.legs.iter().map(|leg| leg.samples.len()).collect();
    assert_eq!(samples, [2, 2]);
    let worst = page.quality.legs[0].samples[1];
    assert_eq!((worst.from_ms, worst.to_ms, worst.lost_permille, worst.mos_x100), (7_000, 12_000, 100, Some(330)));
    let said: Vec<&str> = page.quality.spans.iter().map(|span| span.text.as_str()).collect();
    assert_eq!(
        said,
        [
            "From 0:07 to 0:12 the customer was hard to hear: 10 % of the sound was lost on the way from the carrier.",
            "From 0:07 to 0:12 Daniel Reyes was hard to hear: 10 % of the sound was lost on the way from the agent's phone.",
        ]
    );
    let calls = store.calls(&CallFilter::default()).await.expect("a list").calls;
    let call = calls.iter().find(|call| call.interaction == ids(1).interaction).expect("listed");
    assert_eq!(call.poor_ms, 10_000);
}
