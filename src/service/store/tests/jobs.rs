//! Jobs, words and findings.

use serde_json::json;

use super::*;
use crate::domain::insight::utterance::{LegCoverage, Transcript, Utterance, Word};

const LEASE: i64 = 60_000;

fn transcript(n: u8) -> Transcript {
    let word = |text: &str, from_ms| Word { text: text.to_owned(), from_ms, to_ms: from_ms + 300, confidence: 91 };
    let leg = ids(n).customer_leg;
    Transcript {
        model: "demo".to_owned(),
        language: "en".to_owned(),
        utterances: vec![Utterance {
            leg,
            party: Party::Customer,
            from_ms: 3000,
            to_ms: 4000,
            words: vec![word("charged", 3000), word("twice\0", 3400)],
            confidence: 91,
            rejected: None,
        }],
        coverage: vec![LegCoverage {
            received: 1000,
            voiced: 800,
            unvoiced: 200,
            transcribed: 600,
            rejected: 200,
            ..LegCoverage::none(leg)
        }],
    }
}

fn finding(n: u8, kind: FindingKind, value: serde_json::Value) -> FindingRow {
    let evidence =
        EvidenceRow { leg: Some(ids(n).customer_leg), span_ms: Some((3000, 4000)), quote: Some("x".to_owned()), ..EvidenceRow::default() };
    FindingRow { kind, value, method: "rules", method_version: "1".into(), confidence: 80, evidence: vec![evidence] }
}

fn findings(n: u8, reason: &str) -> Vec<FindingRow> {
    vec![
        finding(n, FindingKind::Title, json!({ "text": "Charged twice, refund agreed" })),
        finding(n, FindingKind::Outcome, json!({ "outcome": "solved" })),
        finding(n, FindingKind::CardLine, json!({ "label": "reason", "text": reason })),
        finding(n, FindingKind::CardLine, json!({ "label": "agreed", "text": "Refund of $45" })),
        finding(n, FindingKind::Promise, json!({ "text": "I will refund it", "due": NOW.0 })),
        finding(n, FindingKind::TurnSentiment, json!({ "score": -44 })),
        finding(
            n,
            FindingKind::Sentiment,
            json!({ "overall": -10, "trend": [-44, 30], "confidence": 70, "why": ["charged twice"], "enough": true }),
        ),
    ]
}

#[tokio::test]
async fn a_job_is_claimed_once_and_again_when_its_worker_is_gone() {
    let (store, _dir) = empty().await;
    store.enqueue_job(JobKind::Card, "a", false, NOW).await.expect("queued");
    store.enqueue_job(JobKind::Card, "a", false, NOW).await.expect("queued twice");
    let first = store.claim_job(&[JobKind::Transcribe, JobKind::Card], NOW, LEASE).await.expect("a claim").expect("a job");
    assert_eq!(store.claim_job(&[JobKind::Card], NOW, LEASE).await.expect("a claim"), None);
    let second = store.claim_job(&[JobKind::Card], NOW.plus_ms(LEASE), LEASE).await.expect("a claim").expect("the lease ran out");
    assert!(!store.finish_job(&first, NOW).await.expect("an answer"), "the first worker lost it");
    assert!(store.finish_job(&second, NOW).await.expect("an answer"));
    assert_eq!(store.claim_job(&[JobKind::Card], NOW.plus_ms(HOUR), LEASE).await.expect("a claim"), None);
    store.enqueue_job(JobKind::Card, "a", true, NOW).await.expect("again");
    assert!(store.claim_job(&[JobKind::Card], NOW.plus_ms(HOUR), LEASE).await.expect("a claim").is_some());
}

#[tokio::test]
async fn a_job_that_fails_three_times_is_parked_and_says_so_on_the_call() {
    let (store, _dir, daniel) = seeded().await;
    store.apply(&answered_call(1, None, daniel)).await.expect("facts");
    let mut now = NOW.plus_ms(HOUR);
    for attempt in 1..=3 {
        let job = store.claim_job(&[JobKind::Transcribe], now, LEASE).await.expect("a claim").expect("a job");
        assert_eq!(job.attempt, attempt);
        match store.fail_job(&job, "No speech model. Admin: `throughline model`.", now).await.expect("noted") {
            Failed::Retry { at } => {
                assert!(at > now && store.claim_job(&[JobKind::Transcribe], now, LEASE).await.expect("a claim").is_none());
                now = at;
            }
            Failed::Parked => assert_eq!(attempt, 3),
            Failed::NotOurs => panic!("the lease was ours"),
        }
    }
    let page = store.interaction_page(ids(1).interaction, daniel).await.expect("a page");
    assert_eq!(page.transcript.state, TranscriptState::Failed);
    assert_eq!(page.transcript.trouble.as_deref(), Some("No speech model. Admin: `throughline model`."));
}

#[tokio::test]
async fn words_card_and_mood_stand_on_page_timeline_and_list() {
    let (store, _dir, daniel) = seeded().await;
    store.apply(&answered_call(1, Some("+442079460152"), daniel)).await.expect("facts");
    let call = ids(1).interaction;
    let saved = store.save_transcript(call, &transcript(1), NOW).await.expect("words");
    store.save_findings(call, saved.revision, &findings(1, "I was charged twice"), NOW).await.expect("findings");
    let page = store.interaction_page(call, daniel).await.expect("a page");
    assert_eq!(
        (page.transcript.state, page.transcript.coverage.customer, page.transcript.revision),
        (TranscriptState::Done, Some(75), Some(1))
    );
    assert_eq!(page.transcript.utterances[0].words[1].text, "twice");
    assert_eq!(page.transcript.utterances[0].sentiment, Some(-44));
    assert_eq!(page.title, "Charged twice, refund agreed");
    assert_eq!(page.ticket.map(|ticket| ticket.subject).as_deref(), Some("Charged twice, refund agreed"));
    assert_eq!((page.sentiment.overall, page.sentiment.trend), (Some(-10), Some([-44, 30])));
    assert_eq!(page.suggested_dispositions[0].id, "billing_refund");
    assert_eq!((page.suggested_promises[0].text.as_str(), page.suggested_promises[0].due), ("I will refund it", Some(NOW)));
    let card = page.card.expect("a card");
    assert_eq!((card.outcome, card.lines.len(), card.lines[0].label), (CardOutcome::Solved, 2, CardLabel::Reason));
    assert_eq!(card.lines[0].evidence, [CardEvidence { party: Party::Customer, from_ms: 3000, to_ms: 4000 }]);
    let list = store.calls(&CallFilter { words: Some("CHARGED twice".to_owned()), ..CallFilter::default() }).await.expect("calls");
    assert_eq!((list.calls.len(), list.calls[0].coverage, list.calls[0].sentiment), (1, Some(75), Some(-10)));
}

#[tokio::test]
async fn a_call_is_found_by_what_was_said_by_who_answered_and_by_its_number_however_that_is_written() {
    let (store, _dir, daniel) = seeded().await;
    store.apply(&answered_call(1, Some("+442079460152"), daniel)).await.expect("facts");
    let call = ids(1).interaction;
    store.save_transcript(call, &transcript(1), NOW).await.expect("words");
    let find = async |text: &str| {
        let filter = CallFilter { words: Some(text.to_owned()), ..CallFilter::default() };
        let calls = store.calls(&filter).await.expect("calls").calls;
        calls.into_iter().find(|row| row.interaction == call)
    };
    let said = find("Twice").await.expect("by a word").said;
    assert_eq!(said, Some(Said { party: Party::Customer, from_ms: 3400, text: "charged twice".to_owned() }));
    assert_eq!(find("charged, twice").await.expect("by two").said.map(|said| said.from_ms), Some(3000));
    assert!(find("harged").await.is_none(), "words are found by their beginnings");
    for typed in ["+44 20 7946 0152", "020 7946 0152", "7946-0152"] {
        assert!(find(typed).await.is_some_and(|row| row.said.is_none()), "{typed}");
    }
    assert!(find("answered").await.is_some(), "by what became of it");
    assert!(find("daniel").await.is_some(), "by the agent's name");
    // What a later revision no longer says is not found.
    let mut again = transcript(1);
    again.utterances[0].words[1].text = "thrice".to_owned();
    store.save_transcript(call, &again, NOW).await.expect("other words");
    assert!(find("twice").await.is_none());
    assert!(find("thrice").await.is_some());
}

#[tokio::test]
async fn what_people_said_of_a_finding_outlives_the_next_revision() {
    let (store, _dir, daniel) = seeded().await;
    store.apply(&answered_call(1, None, daniel)).await.expect("facts");
    let call = ids(1).interaction;
    store.save_findings(call, 1, &findings(1, "I was charged twice"), NOW).await.expect("findings");
    let saved = store.save_transcript(call, &transcript(1), NOW).await.expect("words");
    let lines = store.interaction_page(call, daniel).await.expect("a page").card.expect("a card").lines;
    let edited = json!({ "label": "reason", "text": "Charged twice for 48215" });
    store.judge_finding(lines[0].finding, FindingStatus::Edited, Some(&edited), daniel, NOW).await.expect("edited");
    store.judge_finding(lines[1].finding, FindingStatus::Rejected, None, daniel, NOW).await.expect("rejected");
    store.save_findings(call, saved.revision, &findings(1, "I was charged"), NOW).await.expect("a new revision");
    let lines = store.interaction_page(call, daniel).await.expect("a page").card.expect("a card").lines;
    assert_eq!(
        lines.iter().map(|line| (line.text.as_str(), line.status)).collect::<Vec<_>>(),
        [("Charged twice for 48215", FindingStatus::Edited), ("Refund of $45", FindingStatus::Rejected)]
    );
}
