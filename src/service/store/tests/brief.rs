//! What the agent sees at the pop.

use std::time::Instant;

use super::*;
use crate::domain::customer::brief::{ChipKind, Matched};

async fn brief_of(store: &Store, text: &str) -> crate::domain::customer::brief::Brief {
    store.brief_for_number(Some(&number(text)), Some("raw name"), NOW).await.expect("a brief")
}

#[tokio::test]
async fn laura_calls_about_the_mail_that_nobody_answered() {
    let (store, _dir, _) = seeded().await;
    let brief = brief_of(&store, "+442079460101").await;
    assert_eq!(brief.matched, Matched::Known);
    assert_eq!(brief.country.as_deref(), Some("GB"));
    assert_eq!(brief.customer.as_ref().map(|who| who.name.as_str()), Some("Laura Bennett"));
    assert_eq!(brief.reasons.len(), 1);
    assert_eq!(brief.reasons[0].text, "Charged twice for order 48215");
    assert_eq!(brief.reasons[0].because, "e-mail 2 h ago, not answered");
    assert_eq!(brief.reasons[0].score, 79);
    assert!(brief.reasons[0].ticket.is_some());
    let channels: Vec<_> = brief.last_contacts.iter().map(|last| last.channel).collect();
    assert_eq!(channels, [Channel::Email, Channel::Chat, Channel::SelfService]);
    assert_eq!(brief.contacts_30_days, 3);
    assert_eq!(brief.sentiment, [-31, 22, 35, -48]);
    assert_eq!(brief.chips.iter().map(|chip| chip.kind).collect::<Vec<_>>(), [ChipKind::UnansweredMessage, ChipKind::OpenTickets]);
}

#[tokio::test]
async fn an_overdue_promise_is_the_first_chip_and_two_close_reasons_are_both_shown() {
    let (store, _dir, _) = seeded().await;
    let brief = brief_of(&store, "+442079460102").await;
    assert_eq!(brief.chips[0].kind, ChipKind::OverduePromise);
    assert_eq!(brief.chips[0].text, "Corrected invoice by Friday: 2 days overdue");
    assert!(brief.customer.as_ref().is_some_and(|who| who.vip));
    // Message 5 h ago (78 + 15 for two contacts in 7 d), promise and ticket are one matter: the invoice.
    assert_eq!(brief.reasons.iter().map(|reason| reason.score).collect::<Vec<_>>(), [93]);
}

#[tokio::test]
async fn several_customers_of_a_number_are_ranked_and_never_mixed() {
    let (store, _dir, _) = seeded().await;
    let brief = brief_of(&store, "+442079460110").await;
    assert_eq!(brief.matched, Matched::Several);
    assert_eq!(brief.customer, None);
    assert!(brief.reasons.is_empty() && brief.last_contacts.is_empty() && brief.chips.is_empty());
    let names: Vec<_> = brief.candidates.iter().map(|candidate| candidate.who.name.as_str()).collect();
    assert_eq!(names, ["Helen Carter", "James Carter", "Nadia Petrova"]);
    assert_eq!(brief.candidates[2].reason, None);
    let json = serde_json::to_vec(&brief).expect("JSON");
    assert!(json.len() < 16_000, "{}", json.len());
}

#[tokio::test]
async fn unknown_withheld_and_new_numbers_are_told_apart() {
    let (store, _dir, _) = seeded().await;
    let unknown = brief_of(&store, "+442079460199").await;
    assert_eq!((unknown.matched, unknown.last_contacts.len(), unknown.customer.clone()), (Matched::Unknown, 2, None));
    assert!(unknown.identity.is_some());
    let new = brief_of(&store, "+12125550199").await;
    assert_eq!((new.matched, new.identity, new.last_contacts.len()), (Matched::Unknown, None, 0));
    let withheld = store.brief_for_number(None, None, NOW).await.expect("a brief");
    assert_eq!((withheld.matched, withheld.identity), (Matched::Withheld, None));
}

#[tokio::test]
async fn html_in_a_name_stays_text() {
    let (store, _dir, _) = seeded().await;
    let brief = brief_of(&store, "+442079460123").await;
    assert_eq!(brief.customer.map(|who| who.name).as_deref(), Some("Bright & Sons <Joinery>"));
}

#[tokio::test]
async fn the_queue_that_fits_weighs_more() {
    let (store, _dir, _) = seeded().await;
    let caller = number("+442079460120");
    let plain = store.brief_for_number(Some(&caller), None, NOW).await.expect("a brief").reasons;
    let fits = store.brief_for_call(Some(&caller), None, Some("support"), NOW).await.expect("a brief").reasons;
    assert_eq!(fits[0].score, plain[0].score + 20);
}

#[tokio::test]
async fn a_call_that_was_cut_off_is_the_reason_for_the_next_one() {
    let (store, _dir, daniel) = seeded().await;
    let mut call = answered_call(1, Some("+442079460124"), daniel);
    for fact in &mut call {
        if let Fact::InteractionEnded { cause, .. } = fact {
            *cause = EndCause::MediaLost;
        }
    }
    store.apply(&call).await.expect("facts");
    let brief = store.brief_for_number(Some(&number("+442079460124")), None, NOW.plus_ms(60_000)).await.expect("a brief");
    assert_eq!((brief.reasons[0].score, brief.reasons[0].because.as_str()), (100, "call cut off just now"));
}

/// 50,000 contacts of one customer, 3,000 of them unanswered.
async fn a_busy_customer(store: &Store) {
    let mut tx = store.write().await.expect("a writer");
    let customer =
        "(SELECT l.customer FROM identity d JOIN identity_customer l ON l.identity = d.identity WHERE d.normalised = '+442079460101')";
    for sql in [
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 49999) \
             INSERT INTO interaction (interaction, channel, direction, state, at, ended_at, customer, customer_choice, title, awaiting_reply, sentiment) \
             SELECT printf('00000000-0000-7000-8000-%012d', i), 'email', 'inbound', 'closed', {} - i * 60000, {} - i * 60000, {customer}, 'sole', \
             'entry ' || i, i % 16 = 1, i % 100 FROM n",
            NOW.0, NOW.0
        ),
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4999) \
             INSERT INTO ticket (ticket, number, subject, state, customer, opened_at, touched_at) \
             SELECT printf('00000000-0000-7000-8000-%012d', i), 100 + i, 't', CASE WHEN i % 2 = 0 THEN 'open_us' ELSE 'solved' END, {customer}, \
             {} - i, {} - i FROM n",
            NOW.0, NOW.0
        ),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *tx).await.expect("rows");
    }
    store.commit(tx).await.expect("a commit");
}

#[tokio::test]
async fn the_brief_of_a_customer_with_fifty_thousand_contacts_is_as_quick() {
    let (store, _dir, _) = seeded().await;
    let caller = number("+442079460103");
    let busy = number("+442079460101");
    a_busy_customer(&store).await;
    let mut best = [u128::MAX; 2];
    for _ in 0..20 {
        for (place, caller) in [&caller, &busy].into_iter().enumerate() {
            let started = started();
            let brief = store.brief_for_number(Some(caller), None, NOW).await.expect("a brief");
            best[place] = best[place].min(started.elapsed().as_micros());
            assert!(serde_json::to_vec(&brief).expect("JSON").len() < 16_000);
        }
    }
    println!("brief, best of 20: {} µs with a few contacts, {} µs with 50,000", best[0], best[1]);
    assert!(best[1] < 10 * best[0] + 5_000, "{best:?}");
    let first = store.timeline(TimelineOf::Customer(busy_id(&store, &busy).await), None, 50).await.expect("a page");
    assert_eq!((first.entries.len(), first.next.is_some()), (50, true));
}

#[expect(clippy::disallowed_methods, reason = "this test measures")]
fn started() -> Instant {
    Instant::now()
}

async fn busy_id(store: &Store, caller: &PhoneNumber) -> CustomerId {
    store.brief_for_number(Some(caller), None, NOW).await.expect("a brief").customer.expect("known").customer
}
