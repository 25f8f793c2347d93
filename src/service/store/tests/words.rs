//! Corrections, revisions, and what happens to them when a call is transcribed again.

use serde_json::json;

use super::*;
use crate::{
    domain::insight::{
        correction::Span,
        utterance::{DOUBTS_MAX, LegCoverage, Stretch, Transcript, Utterance, Word},
    },
    ids::CorrectionId,
};

/// "I was barged twice" at 3.0 s, then something that was not understood at 6 s.
fn heard(n: u8, model: &str, text: &str, from_ms: u32) -> Transcript {
    let leg = ids(n).customer_leg;
    let words = text.split_whitespace().zip(0..);
    let word =
        |(text, i): (&str, u32)| Word { text: text.into(), from_ms: from_ms + i * 300, to_ms: from_ms + i * 300 + 250, confidence: 70 };
    let words: Vec<Word> = words.map(word).collect();
    let utterance = |from_ms, to_ms, words: Vec<Word>| Utterance {
        leg,
        party: Party::Customer,
        from_ms,
        to_ms,
        rejected: words.is_empty().then(|| "unsure".to_owned()),
        confidence: 70,
        words,
    };
    let (voiced, transcribed, rejected) = (800, 700, 100);
    let coverage =
        LegCoverage { received: 1000, voiced, unvoiced: 150, lost: 50, transcribed, rejected, doubtful: 120, ..LegCoverage::none(leg) };
    let utterances = vec![utterance(from_ms, from_ms + 1_200, words), utterance(6_000, 7_000, Vec::new())];
    Transcript { model: model.into(), language: "en".into(), utterances, coverage: vec![coverage] }
}

async fn call(text: &str) -> (Store, tempfile::TempDir, AgentId) {
    let (store, dir, daniel) = seeded().await;
    store.apply(&answered_call(1, None, daniel)).await.expect("facts");
    store.save_transcript(ids(1).interaction, &heard(1, "small", text, 3_000), NOW).await.expect("words");
    (store, dir, daniel)
}

fn patch(span: (u32, u32), before: &str, after: &str) -> NewCorrection {
    let span = Span { leg: ids(1).customer_leg, from_ms: span.0, to_ms: span.1 };
    NewCorrection { revision: 1, span, before: before.into(), after: after.into() }
}

async fn texts(store: &Store, revision: Option<u32>) -> Vec<String> {
    let words = store.words(ids(1).interaction, revision).await.expect("words");
    words.utterances.iter().map(|u| u.words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")).collect()
}

const BARGED: (u32, u32) = (3_600, 3_850);

#[tokio::test]
async fn a_correction_is_a_patch_with_its_author_and_can_be_taken_back() {
    let (store, _dir, daniel) = call("I was barged twice").await;
    let interaction = ids(1).interaction;
    let made = store.correct(interaction, daniel, &patch(BARGED, "barged", " charged\n\0"), NOW).await.expect("corrected");
    assert_eq!((made.before.as_str(), made.after.as_str(), made.by.is_empty()), ("barged", "charged", false));
    store.correct(interaction, daniel, &patch((6_000, 7_000), "", "hello?"), NOW).await.expect("heard by a person");
    assert_eq!(texts(&store, None).await, ["I was charged twice", "hello?"]);
    let page = store.interaction_page(interaction, daniel).await.expect("a page");
    assert_eq!(page.transcript.corrections.iter().map(|c| c.state).collect::<Vec<_>>(), [CorrectionState::Stands; 2]);
    assert_eq!(page.transcript.utterances[0].words[2].confidence, 100);
    let mut conn = store.read().await.expect("a reader");
    let stored: String =
        sqlx::query_scalar("SELECT words FROM utterance ORDER BY seq DESC LIMIT 1 OFFSET 1").fetch_one(&mut *conn).await.expect("a row");
    assert!(stored.contains("barged") && !stored.contains("charged\""), "the model's words stay");
    drop(conn);
    store.take_correction_back(interaction, made.correction, daniel, NOW).await.expect("taken back");
    assert_eq!(texts(&store, None).await, ["I was barged twice", "hello?"]);
    assert!(matches!(store.take_correction_back(interaction, made.correction, daniel, NOW).await, Err(StoreError::Invalid(_))));
    let job = store.claim_job(&[JobKind::Card], NOW, 1_000).await.expect("a claim").expect("card and mood are read again");
    assert_eq!(job.subject, interaction.to_string());
}

#[tokio::test]
async fn whoever_is_second_gets_what_the_first_wrote() {
    let (store, _dir, daniel) = call("I was barged twice").await;
    let (interaction, grace) = (ids(1).interaction, store.login("grace").await.expect("a read").expect("Grace").me.agent);
    let first = store.correct(interaction, daniel, &patch(BARGED, "barged", "charged"), NOW).await.expect("corrected");
    let second = store.correct(interaction, grace, &patch(BARGED, "barged", "parked"), NOW).await;
    let Err(StoreError::Conflict { current, .. }) = second else { panic!("{second:?}") };
    assert_eq!((&current["text"], &current["correction"]["after"]), (&json!("charged"), &json!("charged")));
    assert_eq!(current["correction"]["by"], first.by);
    // Over the first one's word, knowingly; then the first one's author cannot take theirs back unseen.
    store.correct(interaction, grace, &patch(BARGED, "charged", "parked"), NOW).await.expect("corrected");
    let back = store.take_correction_back(interaction, first.correction, daniel, NOW).await;
    let Err(StoreError::Conflict { current, .. }) = back else { panic!("{back:?}") };
    assert_eq!(current["text"], "parked");
}

#[tokio::test]
async fn a_correction_of_nothing_is_refused() {
    let (store, _dir, daniel) = call("I was barged twice").await;
    let interaction = ids(1).interaction;
    let refused = |new: NewCorrection| {
        let store = store.clone();
        async move { store.correct(interaction, daniel, &new, NOW).await.expect_err("refused") }
    };
    assert!(matches!(refused(patch((9_000, 9_500), "", "hello")).await, StoreError::Invalid(_)), "nobody spoke there");
    assert!(matches!(refused(patch(BARGED, "barged", "barged")).await, StoreError::Invalid(_)));
    assert!(matches!(refused(NewCorrection { revision: 7, ..patch(BARGED, "barged", "x") }).await, StoreError::NotFound(_)));
    let other_leg = Span { leg: ids(1).agent_leg, from_ms: 3_600, to_ms: 3_850 };
    assert!(matches!(refused(NewCorrection { span: other_leg, ..patch(BARGED, "barged", "x") }).await, StoreError::Invalid(_)));
    let gone = store.correct(ids(9).interaction, daniel, &patch(BARGED, "barged", "x"), NOW).await;
    assert!(matches!(gone, Err(StoreError::NotFound(_))), "{gone:?}");
    let unknown = store.take_correction_back(interaction, CorrectionId::new(NOW, [3; 10]), daniel, NOW).await;
    assert!(matches!(unknown, Err(StoreError::NotFound(_))));
    assert_eq!(texts(&store, None).await[0], "I was barged twice");
}

#[tokio::test]
async fn a_new_revision_keeps_corrections_where_the_audio_fits_and_says_which_no_longer_do() {
    let (store, _dir, daniel) = call("I was barged twice").await;
    let interaction = ids(1).interaction;
    store.correct(interaction, daniel, &patch(BARGED, "barged", "charged"), NOW).await.expect("corrected");
    store.correct(interaction, daniel, &patch((6_000, 7_000), "", "hello?"), NOW).await.expect("corrected");
    let mut other = heard(1, "large", "I was large twice", 3_040);
    other.utterances.truncate(1);
    store.save_transcript(interaction, &other, NOW.plus_ms(1)).await.expect("words");
    let words = store.words(interaction, None).await.expect("words");
    assert_eq!(
        (words.revision, words.model.as_deref(), texts(&store, None).await),
        (Some(2), Some("large"), vec!["I was charged twice".to_owned()])
    );
    let states: Vec<_> = words.corrections.iter().map(|c| (c.after.as_str(), c.state)).collect();
    assert_eq!(states, [("charged", CorrectionState::Stands), ("hello?", CorrectionState::NoLongerFits)]);
    assert_eq!(words.revisions.iter().map(|r| (r.revision, r.model.as_str())).collect::<Vec<_>>(), [(1, "small"), (2, "large")]);
    assert_eq!(texts(&store, Some(1)).await, ["I was charged twice", "hello?"], "the former revision can still be read");
    let (revision, transcript) = store.corrected_transcript(interaction).await.expect("a read").expect("words");
    assert_eq!((revision, transcript.utterances[0].text().as_str()), (2, "I was charged twice"));
    assert!(matches!(store.words(interaction, Some(3)).await, Err(StoreError::NotFound(_))));
    let shares = &words.legs[0];
    assert_eq!((shares.understood, shares.not_understood, shares.lost, shares.waiting, shares.doubtful_ms), (82, 12, 6, 0, 15));
}

#[tokio::test]
async fn places_that_sounded_like_a_voice_come_back_with_the_words_and_rows_from_before_have_none() {
    let (store, _dir, daniel) = seeded().await;
    let interaction = ids(1).interaction;
    store.apply(&answered_call(1, None, daniel)).await.expect("facts");
    let mut words = heard(1, "small", "I was barged twice", 3_000);
    let place = |n: u32| Stretch { from_ms: n * 1_000, to_ms: n * 1_000 + 320 };
    (0..DOUBTS_MAX as u32 + 3).for_each(|n| words.coverage[0].doubt(560, place(n)));
    store.save_transcript(interaction, &words, NOW).await.expect("words");
    let shown = store.words(interaction, None).await.expect("words").legs.remove(0);
    assert_eq!((shown.doubtful.len(), shown.doubtful[7], shown.doubtful_more), (DOUBTS_MAX, place(7), 3));
    let mut old = serde_json::to_value(&words.coverage[0]).expect("an object");
    let fields = old.as_object_mut().expect("an object");
    ["doubts", "more_doubts"].iter().for_each(|field| drop(fields.remove(*field)));
    let read: LegCoverage = serde_json::from_value(old).expect("is read");
    assert_eq!((read.doubts.len(), read.more_doubts, read.doubtful), (0, 0, words.coverage[0].doubtful));
}

#[tokio::test]
async fn live_words_are_shown_until_those_from_the_recording_supersede_them_and_never_come_after_them() {
    let (store, _dir, daniel) = seeded().await;
    let interaction = ids(1).interaction;
    let live = heard(1, "small", "I was barged twice", 3_000);
    let early = store.save_live_transcript(interaction, &live, NOW).await;
    assert!(matches!(early, Err(StoreError::NotFound(_))), "the call is not in the record yet: {early:?}");
    store.apply(&answered_call(1, None, daniel)).await.expect("facts");
    store.save_live_transcript(interaction, &live, NOW).await.expect("words").expect("the first");
    let words = store.words(interaction, None).await.expect("words");
    assert_eq!((words.kind, words.revision), (Some(TranscriptKind::Live), Some(1)));
    assert!(words.state != TranscriptState::Done, "what comes after the call is still to come");
    assert_eq!(texts(&store, None).await, ["I was barged twice", ""]);
    store.correct(interaction, daniel, &patch(BARGED, "barged", "charged"), NOW).await.expect("may be put right at once");
    store.save_transcript(interaction, &heard(1, "large", "I was barged twice", 3_000), NOW).await.expect("words");
    assert_eq!(store.save_live_transcript(interaction, &live, NOW).await.expect("asked"), None, "too late");
    let words = store.words(interaction, None).await.expect("words");
    let kinds: Vec<_> = words.revisions.iter().map(|r| (r.revision, r.kind, r.model.as_str())).collect();
    assert_eq!(kinds, [(1, TranscriptKind::Live, "small"), (2, TranscriptKind::Final, "large")]);
    assert_eq!((words.state, words.kind, words.revision), (TranscriptState::Done, Some(TranscriptKind::Final), Some(2)));
    assert_eq!(texts(&store, None).await[0], "I was charged twice");
}

#[tokio::test]
async fn what_is_taken_out_of_a_call_goes_from_words_that_were_stored_before_and_from_live_words_that_come_later() {
    let (store, _dir, daniel) = seeded().await;
    let interaction = ids(1).interaction;
    store.apply(&answered_call(1, None, daniel)).await.expect("facts");
    let live = heard(1, "small", "it goes 4111 1111", 3_000);
    store.save_live_transcript(interaction, &live, NOW).await.expect("words");
    // From the recording the rest of the number was understood too; its times are a little others.
    let row = RedactionRow { leg: ids(1).customer_leg, from_ms: 3_700, to_ms: 4_300, kind: "card number".into() };
    store.save_redactions(interaction, std::slice::from_ref(&row), NOW).await.expect("written down");
    assert_eq!(texts(&store, None).await[0], "it [card number]", "at most a neighbour goes with it");
    let again = RedactionRow { from_ms: 3_650, ..row };
    store.save_redactions(interaction, &[again], NOW).await.expect("written down");
    assert_eq!(texts(&store, None).await[0], "it [card number]");
    store.save_live_transcript(interaction, &live, NOW).await.expect("words").expect("a second one");
    assert_eq!(texts(&store, None).await[0], "it [card number]");
    let mut conn = store.read().await.expect("a reader");
    let left: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM utterance WHERE words LIKE '%1111%'").fetch_one(&mut *conn).await.expect("a count");
    assert_eq!(left, 0);
}

#[tokio::test]
async fn words_stay_while_they_are_made_again_and_when_that_fails() {
    let (store, _dir, daniel) = call("I was barged twice").await;
    let interaction = ids(1).interaction;
    while let Some(job) = store.claim_job(&[JobKind::Transcribe], NOW.plus_ms(HOUR), 1_000).await.expect("a claim") {
        store.finish_job(&job, NOW).await.expect("done");
    }
    store.transcribe_again(interaction, Some("large"), daniel, NOW).await.expect("queued");
    let again = store.transcribe_again(interaction, None, daniel, NOW).await;
    assert!(matches!(&again, Err(StoreError::Conflict { current, .. }) if current["state"] == "waiting"), "{again:?}");
    let redo = |words: TranscriptView| (words.state, words.redo.map(|r| (r.state, r.model)));
    let large = Some("large".to_owned());
    let words = store.words(interaction, None).await.expect("words");
    assert_eq!(redo(words), (TranscriptState::Done, Some((RedoState::Waiting, large.clone()))));
    let mut at = NOW;
    for _ in 0..3 {
        at = at.plus_ms(HOUR);
        let job = store.claim_job(&[JobKind::Transcribe], at, 1_000).await.expect("a claim").expect("a job");
        assert_eq!(job.model, large);
        store.fail_job(&job, "there is no such model", at).await.expect("failed");
    }
    let words = store.words(interaction, None).await.expect("words");
    assert_eq!(words.redo.as_ref().and_then(|r| r.trouble.as_deref()), Some("there is no such model"));
    assert_eq!(redo(words), (TranscriptState::Done, Some((RedoState::Failed, large))));
    assert_eq!(texts(&store, None).await[0], "I was barged twice");
    store.transcribe_again(interaction, None, daniel, at).await.expect("queued again, by the usual model");
    let job = store.claim_job(&[JobKind::Transcribe], at, 1_000).await.expect("a claim").expect("a job");
    assert_eq!((job.model.clone(), job.attempt), (None, 1));
    store.finish_job(&job, at).await.expect("done");
    assert_eq!(redo(store.words(interaction, None).await.expect("words")), (TranscriptState::Done, None));
}

#[tokio::test]
async fn a_judged_line_shows_what_was_proposed_and_can_be_put_back() {
    let (store, _dir, daniel) = call("I was barged twice").await;
    let interaction = ids(1).interaction;
    let value = json!({ "label": "reason", "text": "I was barged twice" });
    let row = FindingRow {
        kind: FindingKind::CardLine,
        value,
        method: "rules",
        method_version: "1".to_owned(),
        confidence: 80,
        evidence: Vec::new(),
    };
    store.save_findings(interaction, 1, &[row], NOW).await.expect("findings");
    let line = || async { store.interaction_page(interaction, daniel).await.expect("a page").card.expect("a card").lines.remove(0) };
    let finding = line().await.finding;
    let edited = json!({ "label": "reason", "text": "I was charged twice" });
    store.judge_finding(finding, FindingStatus::Edited, Some(&edited), daniel, NOW).await.expect("edited");
    let shown = line().await;
    assert_eq!((shown.text.as_str(), shown.proposed.as_deref()), ("I was charged twice", Some("I was barged twice")));
    assert_eq!((shown.judged_by.is_some(), shown.judged_at), (true, Some(NOW)), "who and when");
    let facts = store.finding(finding).await.expect("a read").expect("a finding");
    assert_eq!((facts.interaction, facts.kind), (interaction, FindingKind::CardLine));
    store.judge_finding(finding, FindingStatus::Proposed, facts.proposed.as_ref(), daniel, NOW).await.expect("put back");
    assert_eq!((line().await.text.as_str(), line().await.status), ("I was barged twice", FindingStatus::Proposed));
    store.judge_finding(finding, FindingStatus::Rejected, None, daniel, NOW).await.expect("rejected");
    assert_eq!(line().await.status, FindingStatus::Rejected, "it is shown, so that it can be taken back");
    assert!(store.finding(crate::ids::FindingId::new(NOW, [1; 10])).await.expect("a read").is_none());
}
