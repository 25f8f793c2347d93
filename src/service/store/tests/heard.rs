//! Promises that were heard: work for who made them, once, until a person says what stands; and what people made of card lines.

use serde_json::json;

use super::*;

const CALL: u8 = 1;

fn promise(text: &str, due: Option<UnixMs>, span: (u32, u32)) -> FindingRow {
    let evidence = EvidenceRow { leg: Some(ids(CALL).customer_leg), span_ms: Some(span), ..EvidenceRow::default() };
    let value = json!({ "text": text, "due": due.map(|d| d.0) });
    FindingRow { kind: FindingKind::Promise, value, method: "rules", method_version: "1".into(), confidence: 70, evidence: vec![evidence] }
}

async fn scene() -> (Store, tempfile::TempDir, AgentId) {
    let (store, dir, daniel) = seeded().await;
    store.apply(&answered_call(CALL, Some("+442079460152"), daniel)).await.expect("facts");
    (store, dir, daniel)
}

async fn promised(store: &Store, daniel: AgentId) -> Vec<WorkItem> {
    let all = store.work_items(Some(daniel)).await.expect("a list");
    all.into_iter()
        .filter(|item| item.kind == crate::domain::fact::WorkItemKind::Promise && item.interaction == Some(ids(CALL).interaction))
        .collect()
}

#[tokio::test]
async fn a_promise_with_a_day_is_its_agents_work_once_over_all_revisions() {
    let (store, _dir, daniel) = scene().await;
    let call = ids(CALL).interaction;
    let due = NOW.plus_ms(HOUR);
    let first = [promise("I will refund it", Some(due), (3000, 4000)), promise("I will think of you", None, (5000, 6000))];
    store.save_findings(call, 1, &first, NOW).await.expect("findings");
    let items = promised(&store, daniel).await;
    assert_eq!(items.iter().map(|i| (i.title.as_str(), i.due)).collect::<Vec<_>>(), [("I will refund it", Some(due))]);
    assert!(!items[0].queue.is_empty() && items[0].state == WorkItemState::Accepted && items[0].owner.is_some());
    let heard_otherwise = [promise("I will refund it all", Some(due), (3100, 4100)), promise("I will call you", Some(due), (9000, 9900))];
    store.save_findings(call, 2, &heard_otherwise, NOW).await.expect("a new revision");
    let mut titles: Vec<String> = promised(&store, daniel).await.into_iter().map(|i| i.title).collect();
    titles.sort();
    assert_eq!(titles, ["I will call you", "I will refund it"], "the same place in the audio is the same promise");
}

#[tokio::test]
async fn what_the_agent_says_at_the_wrap_up_replaces_what_was_heard() {
    let (store, _dir, daniel) = scene().await;
    let call = ids(CALL).interaction;
    let heard = [promise("I will refund it", Some(NOW), (3000, 4000)), promise("I will call you", Some(NOW), (9000, 9900))];
    store.save_findings(call, 1, &heard, NOW).await.expect("findings");
    assert_eq!(promised(&store, daniel).await.len(), 2);
    let made = PromiseMade { text: "I will refund it".into(), due: Some(NOW) };
    let said = WrapUp { disposition: "billing_refund".into(), promises: vec![made], ..WrapUp::default() };
    store.wrap_up(call, daniel, &said, NOW).await.expect("saved");
    let left = promised(&store, daniel).await;
    assert_eq!(left.iter().map(|i| i.title.as_str()).collect::<Vec<_>>(), ["I will refund it"], "one, and theirs");
    store.save_findings(call, 2, &heard, NOW).await.expect("a later revision");
    assert_eq!(promised(&store, daniel).await.len(), 1, "what was settled is not opened again");
}

#[tokio::test]
async fn a_promise_that_is_rejected_is_no_work_and_comes_back_with_no_revision() {
    let (store, _dir, daniel) = scene().await;
    let call = ids(CALL).interaction;
    store.save_findings(call, 1, &[promise("I will refund it", Some(NOW), (3000, 4000))], NOW).await.expect("findings");
    store
        .save_transcript(
            call,
            &crate::domain::insight::utterance::Transcript {
                model: "m".into(),
                language: "en".into(),
                utterances: vec![],
                coverage: vec![],
            },
            NOW,
        )
        .await
        .expect("words");
    let page = store.interaction_page(call, daniel).await.expect("a page");
    store.judge_finding(page.suggested_promises[0].finding, FindingStatus::Rejected, None, daniel, NOW).await.expect("rejected");
    assert!(promised(&store, daniel).await.is_empty());
    store.save_findings(call, 2, &[promise("I will fund it", Some(NOW), (3050, 3950))], NOW).await.expect("a new revision");
    assert!(promised(&store, daniel).await.is_empty());
    assert!(store.interaction_page(call, daniel).await.expect("a page").suggested_promises.is_empty());
}

#[tokio::test]
async fn what_people_made_of_card_lines_is_counted_by_method_and_version() {
    let (store, _dir, daniel) = scene().await;
    let call = ids(CALL).interaction;
    let line = |label: &str, version: &str, span| {
        let value = json!({ "label": label, "text": label });
        FindingRow { kind: FindingKind::CardLine, value, method_version: version.into(), ..promise("", None, span) }
    };
    let lines = [line("reason", "1", (0, 900)), line("agreed", "1", (1000, 1900)), line("open", "2", (3000, 3900))];
    store.save_findings(call, 1, &lines, NOW).await.expect("findings");
    let shown = store.interaction_page(call, daniel).await.expect("a page").card.expect("a card");
    assert_eq!(shown.method, "rules 1");
    let edit = json!({ "label": "reason", "text": "better" });
    store.judge_finding(shown.lines[0].finding, FindingStatus::Edited, Some(&edit), daniel, NOW).await.expect("edited");
    store.judge_finding(shown.lines[2].finding, FindingStatus::Rejected, None, daniel, NOW).await.expect("rejected");
    let judged = store.judged_lines().await.expect("counted");
    let counted: Vec<_> = judged.iter().map(|j| (j.method.1.as_str(), j.lines, j.confirmed, j.edited, j.rejected)).collect();
    assert_eq!(counted, [("1", 2, 0, 1, 0), ("2", 1, 0, 0, 1)]);
}
