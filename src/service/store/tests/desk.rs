//! What the desk does to the record.

use super::*;
use crate::{
    domain::{
        customer::{brief::Matched, ticket::TicketState},
        fact::WorkItemKind,
    },
    ids::WorkItemId,
};

const LAURA: &str = "+442079460101";

async fn answered(store: &Store, n: u8, from: &str, agent: AgentId) -> InteractionId {
    store.apply(&answered_call(n, Some(from), agent)).await.expect("facts");
    ids(n).interaction
}

fn wrap_up(disposition: &str, solved: bool) -> WrapUp {
    WrapUp { disposition: disposition.to_owned(), note: "Refund of $45 booked.".to_owned(), solved, promises: Vec::new() }
}

#[tokio::test]
async fn a_wrap_up_is_one_transaction_and_saying_it_twice_adds_nothing() {
    let (store, _dir, daniel) = seeded().await;
    let call = answered(&store, 1, LAURA, daniel).await;
    store.save_draft(call, daniel, "Refund", 0, NOW).await.expect("a draft");
    let due = Some(NOW.plus_ms(72 * HOUR));
    let said = WrapUp { promises: vec![PromiseMade { text: "Refund in three days".to_owned(), due }], ..wrap_up("billing_refund", false) };
    for _ in 0..2 {
        store.wrap_up(call, daniel, &said, NOW.plus_ms(20_000)).await.expect("a wrap-up");
    }
    let page = store.interaction_page(call, daniel).await.expect("a page");
    assert_eq!(page.disposition.as_deref(), Some("Billing: refund"));
    assert_eq!((page.promises.len(), page.promises[0].owner.as_deref(), page.promises[0].due), (1, Some("Daniel Reyes"), due));
    assert!(page.draft.is_none());
    store.apply(&[Fact::InteractionClosed { interaction: call, at_ms: 40_000, wrapped_up: false }]).await.expect("time ran out");
    assert!(store.work_items(Some(daniel)).await.expect("work").iter().all(|item| item.kind != WorkItemKind::NotWrappedUp));
}

#[tokio::test]
async fn a_solved_ticket_takes_its_unanswered_message_with_it() {
    let (store, _dir, daniel) = seeded().await;
    let call = answered(&store, 1, LAURA, daniel).await;
    store.wrap_up(call, daniel, &wrap_up("billing_refund", true), NOW.plus_ms(20_000)).await.expect("a wrap-up");
    let brief = store.brief_for_number(Some(&number(LAURA)), None, NOW.plus_ms(HOUR)).await.expect("a brief");
    assert_eq!((brief.reasons.len(), brief.chips.len()), (0, 0));
    let page = store.customer_page(brief.customer.expect("Laura").customer).await.expect("a page");
    assert!(page.tickets.iter().all(|ticket| ticket.state == TicketState::Solved));
    assert_eq!(page.notes[0].text, "Refund of $45 booked.");
}

#[tokio::test]
async fn nobody_reached_leaves_no_ticket() {
    let (store, _dir, daniel) = seeded().await;
    let call = answered(&store, 1, "+442079460151", daniel).await;
    assert!(store.interaction_page(call, daniel).await.expect("a page").ticket.is_some());
    store.wrap_up(call, daniel, &wrap_up("wrong_number", false), NOW).await.expect("a wrap-up");
    assert!(store.interaction_page(call, daniel).await.expect("a page").ticket.is_none());
}

#[tokio::test]
async fn only_who_was_in_it_wraps_it_up_and_only_with_a_known_disposition() {
    let (store, _dir, daniel) = seeded().await;
    let call = answered(&store, 1, LAURA, daniel).await;
    let ann = store.login("ANN ").await.expect("a read").expect("Ann").me.agent;
    assert!(matches!(store.wrap_up(call, ann, &wrap_up("other", false), NOW).await, Err(StoreError::NotFound(_))));
    assert!(matches!(store.wrap_up(call, daniel, &wrap_up("nonsense", false), NOW).await, Err(StoreError::Invalid(_))));
}

#[tokio::test]
async fn time_that_ran_out_is_a_reminder_until_the_wrap_up() {
    let (store, _dir, daniel) = seeded().await;
    let call = answered(&store, 1, LAURA, daniel).await;
    store.apply(&[Fact::InteractionClosed { interaction: call, at_ms: 132_000, wrapped_up: false }]).await.expect("time ran out");
    let reminders = |items: Vec<WorkItem>| items.into_iter().filter(|item| item.kind == WorkItemKind::NotWrappedUp).count();
    assert_eq!(reminders(store.work_items(Some(daniel)).await.expect("work")), 1);
    store.wrap_up(call, daniel, &wrap_up("billing_refund", true), NOW.plus_ms(HOUR)).await.expect("a late wrap-up");
    assert_eq!(reminders(store.work_items(Some(daniel)).await.expect("work")), 0);
}

#[tokio::test]
async fn a_named_caller_takes_their_earlier_contacts_along() {
    let (store, _dir, daniel) = seeded().await;
    let call = answered(&store, 1, "+442079460199", daniel).await;
    let brief = store.choose_customer(call, &CallerIs::New(" Mia\0  Wong ".to_owned()), daniel, NOW).await.expect("a name");
    assert_eq!(brief.matched, Matched::Known);
    let who = brief.customer.expect("Mia");
    assert_eq!(who.name, "Mia Wong");
    let timeline = store.timeline(TimelineOf::Customer(who.customer), None, 50).await.expect("a timeline");
    assert_eq!(timeline.entries.len(), 3);
    let next = store.brief_for_number(Some(&number("+442079460199")), None, NOW.plus_ms(HOUR)).await.expect("a brief");
    assert_eq!(next.customer.map(|who| who.name).as_deref(), Some("Mia Wong"));
    let undone = store.choose_customer(call, &CallerIs::Nobody, daniel, NOW).await.expect("taken back");
    assert_eq!(undone.matched, Matched::Known, "the number is still hers");
    assert_eq!(store.interaction_page(call, daniel).await.expect("a page").customer, None);
    assert!(matches!(store.choose_customer(call, &CallerIs::New(" ".to_owned()), daniel, NOW).await, Err(StoreError::Invalid(_))));
}

#[tokio::test]
async fn the_slower_of_two_tabs_hears_what_stands_in_the_draft() {
    let (store, _dir, daniel) = seeded().await;
    let call = answered(&store, 1, LAURA, daniel).await;
    assert_eq!(store.save_draft(call, daniel, "one", 0, NOW).await.expect("first"), 1);
    assert_eq!(store.save_draft(call, daniel, "two", 1, NOW).await.expect("second"), 2);
    let late = store.save_draft(call, daniel, "other", 1, NOW).await;
    let Err(StoreError::Conflict { current, .. }) = late else { panic!("{late:?}") };
    assert_eq!(current, serde_json::json!({ "text": "two", "version": 2 }));
}

#[tokio::test]
async fn a_timeline_is_paged_without_gap_or_repetition() {
    let (store, _dir, _) = seeded().await;
    let laura = store.brief_for_number(Some(&number(LAURA)), None, NOW).await.expect("a brief").customer.expect("Laura").customer;
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.timeline(TimelineOf::Customer(laura), cursor.as_deref(), 2).await.expect("a page");
        seen.extend(page.entries);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 6);
    assert!(seen.windows(2).all(|pair| pair[0].at > pair[1].at));
    assert!(seen[0].body.as_deref().is_some_and(|body| body.contains("charged $45 twice")));
    assert_eq!(seen[1].body.as_deref().map(|body| body.matches("Ann Okafor: ").count()), Some(1));
    assert!(store.timeline(TimelineOf::Customer(laura), Some("nonsense"), 2).await.is_err());
}

#[tokio::test]
async fn what_a_customer_wrote_lately_is_theirs_newest_first_and_bounded() {
    let (store, _dir, _) = seeded().await;
    let laura = store.brief_for_number(Some(&number(LAURA)), None, NOW).await.expect("a brief").customer.expect("Laura").customer;
    let written = async |days: i64, most| store.written_lately(laura, NOW.plus_ms(-days * 24 * HOUR), NOW, most).await.expect("reads");
    let month = written(30, 5).await;
    assert_eq!(month[0].subject.as_deref(), Some("Charged twice for order 48215"));
    assert!(month.iter().all(|m| !m.body.starts_with("Yes: Orders")), "not what we wrote: {month:?}");
    assert!(month.iter().all(|m| !m.body.contains("weekly list")), "not what is older: {month:?}");
    assert!(month[1..].iter().any(|m| m.body.contains("change where order 48215 is delivered")));
    assert_eq!(written(30, 2).await.len(), 2);
    assert_eq!(written(1, 5).await.len(), 1);
}

#[tokio::test]
async fn work_is_taken_once_and_closed_with_a_reason() {
    let (store, _dir, daniel) = seeded().await;
    let ann = store.login("ann").await.expect("a read").expect("Ann").me.agent;
    let items = store.work_items(None).await.expect("work");
    assert!(items.windows(2).all(|pair| pair[0].due <= pair[1].due), "next due first");
    let open = items.iter().find(|item| item.state == WorkItemState::Waiting).expect("something waits").work_item;
    assert_eq!(store.take_work_item(open, daniel, NOW).await.expect("taken").owner.as_deref(), Some("Daniel Reyes"));
    assert!(matches!(store.take_work_item(open, ann, NOW).await, Err(StoreError::Conflict { .. })));
    assert!(matches!(store.close_work_item(open, daniel, "  ", NOW).await, Err(StoreError::Invalid(_))));
    let closed = store.close_work_item(open, daniel, "answered by phone", NOW).await.expect("closed");
    assert_eq!((closed.state, closed.why_closed.as_deref()), (WorkItemState::Done, Some("answered by phone")));
    let none = WorkItemId::new(NOW, [9; 10]);
    assert!(matches!(store.take_work_item(none, ann, NOW).await, Err(StoreError::NotFound(_))));
}

#[tokio::test]
async fn a_message_that_was_closed_is_no_longer_a_reason_to_call() {
    let (store, _dir, daniel) = seeded().await;
    let items = store.work_items(None).await.expect("work");
    let mail = items.iter().find(|item| item.title == "Charged twice for order 48215").expect("Laura's mail").work_item;
    store.close_work_item(mail, daniel, "answered by phone", NOW).await.expect("closed");
    let brief = store.brief_for_number(Some(&number(LAURA)), None, NOW).await.expect("a brief");
    assert_eq!(brief.reasons[0].because, "open ticket waits on us, last contact 2 h ago");
}

#[tokio::test]
async fn a_session_ends_by_time_by_log_out_and_by_nobody_else() {
    let (store, _dir, daniel) = seeded().await;
    store.create_session("hash", daniel, NOW, NOW.plus_ms(HOUR)).await.expect("a session");
    let me = store.find_session("hash", NOW.plus_ms(HOUR - 1)).await.expect("a read").expect("Daniel");
    assert_eq!((me.username.as_str(), me.role, me.extension.as_deref()), ("daniel", Role::Agent, Some("101")));
    assert!(store.find_session("hash", NOW.plus_ms(HOUR)).await.expect("a read").is_none());
    assert!(store.find_session("other", NOW).await.expect("a read").is_none());
    store.delete_session("hash").await.expect("log-out");
    assert!(store.find_session("hash", NOW).await.expect("a read").is_none());
}

#[tokio::test]
async fn the_demo_is_put_in_once_and_its_accounts_are_the_realms() {
    let (store, _dir, _) = seeded().await;
    let before = dump(&store).await;
    let seed = seed_demo(&store, "demo", NOW.plus_ms(HOUR)).await.expect("again");
    assert_eq!(before, dump(&store).await);
    assert!(seed.logins.iter().any(|login| login.role == Role::Supervisor) && seed.logins.iter().any(|login| login.role == Role::Admin));
    let people = store.people(NOW).await.expect("people");
    let phone = people.phones.iter().find(|phone| phone.username == "101").expect("phone 101");
    // printf '101:demo:demo-phone-101' | md5sum
    assert_eq!((phone.ha1_md5.len(), phone.ha1_sha256.len(), phone.realm.as_str()), (32, 64, "demo"));
    let support = people.queues.iter().find(|queue| queue.name == "support").expect("the queue");
    assert_eq!(support.agents.len(), 2);
    let login = store.login("daniel").await.expect("a read").expect("Daniel");
    assert!(verify_password(login.password_hash.as_deref(), &seed.logins[0].password));
}

#[tokio::test]
async fn every_change_is_an_event_and_its_reader_resumes_by_number() {
    let (store, _dir, daniel) = seeded().await;
    let mut watched = store.watch_events();
    let before = *watched.borrow_and_update();
    let call = answered(&store, 1, LAURA, daniel).await;
    assert!(watched.has_changed().expect("the store is there"));
    let events = store.events_since(before, 100).await.expect("events");
    assert!(events.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq));
    let kinds: Vec<_> = events.iter().filter(|event| event.interaction == Some(call)).map(|event| event.kind.as_str()).collect();
    for kind in ["interaction.opened", "interaction.answered", "interaction.ended", "ticket.contact", "job.waiting"] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    let text = serde_json::to_string(&events).expect("JSON");
    assert!(!text.contains("Laura") && !text.contains("+44"), "no names, no numbers: {text}");
}

#[tokio::test]
async fn work_that_nobody_has_is_seen_by_those_who_serve_its_queue() {
    let (store, _dir, daniel) = seeded().await;
    let kinds = |items: Vec<WorkItem>| items.iter().map(|item| (item.kind, item.owner.is_some())).collect::<Vec<_>>();
    let missed = (WorkItemKind::MissedCall, false);
    assert!(kinds(store.work_of(daniel).await.expect("work")).contains(&missed));
    assert!(kinds(store.work_of(daniel).await.expect("work")).contains(&(WorkItemKind::Promise, true)));
    let sam = store.login("admin").await.expect("a read").expect("the admin").me.agent;
    assert!(!kinds(store.work_of(sam).await.expect("work")).contains(&missed), "the admin serves no queue");
    let ann = store.login("ann").await.expect("a read").expect("Ann").me.agent;
    let item = store.work_of(ann).await.expect("work").into_iter().find(|item| item.kind == missed.0).expect("a missed call");
    store.take_work_item(item.work_item, ann, NOW).await.expect("hers");
    assert!(store.work_of(daniel).await.expect("work").iter().all(|other| other.work_item != item.work_item), "taken is no longer offered");
}
