//! Card, promises and mood as rows of the record.

use serde_json::json;
use time::{Date, OffsetDateTime, Time};

use crate::{
    domain::insight::{
        card::{self, Card, Context, TooLittle},
        sentences::Evidence,
        sentiment::{self, Sentiment},
        slots::Known,
        utterance::Transcript,
    },
    ids::Party,
    service::store::{EvidenceRow, FindingKind, FindingRow},
    time::UnixMs,
};

/// Rules over recognised words: what they say is proposed, never certain.
const CARD_CONFIDENCE: u8 = 70;

/// Everything that is read out of a transcript, in the order in which it is shown.
pub(super) fn of(transcript: &Transcript, called_at: UnixMs, subjects: &[String], references: &[String]) -> Vec<FindingRow> {
    let call = OffsetDateTime::from_unix_timestamp(called_at.0.div_euclid(1_000)).unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
    let known = Known { call, references, products: &[] };
    let mut rows = match card::card(transcript, &Context { known, subjects }) {
        Ok(card) => card_rows(&card),
        Err(trouble) => vec![card_trouble(trouble)],
    };
    rows.extend(mood_rows(transcript, &sentiment::sentiment(transcript)));
    rows
}

fn card_rows(card: &Card) -> Vec<FindingRow> {
    let mut rows: Vec<FindingRow> = card
        .lines
        .iter()
        .map(|line| row(FindingKind::CardLine, json!({ "label": line.label, "text": line.text }), &line.evidence, Some(&line.text)))
        .collect();
    if rows.is_empty() {
        return rows;
    }
    rows.push(row(FindingKind::Outcome, json!({ "outcome": card.outcome }), &[], None));
    if !card.title.is_empty() {
        rows.push(row(FindingKind::Title, json!({ "text": card.title }), &[], None));
    }
    for promise in card.promises.iter().filter(|p| p.by == Party::Agent) {
        let due = promise.due.map(|day| end_of(day).0);
        rows.push(row(FindingKind::Promise, json!({ "text": promise.text, "due": due }), &promise.evidence, Some(&promise.text)));
    }
    rows
}

fn card_trouble(trouble: TooLittle) -> FindingRow {
    row(FindingKind::CardTrouble, json!({ "text": trouble.to_string() }), &[], None)
}

fn row(kind: FindingKind, value: serde_json::Value, evidence: &[Evidence], quote: Option<&str>) -> FindingRow {
    let evidence = evidence.iter().map(|e| place(e, quote)).collect();
    FindingRow { kind, value, method: card::METHOD, method_version: card::METHOD_VERSION, confidence: CARD_CONFIDENCE, evidence }
}

fn place(evidence: &Evidence, quote: Option<&str>) -> EvidenceRow {
    EvidenceRow {
        leg: Some(evidence.leg),
        span_ms: Some((evidence.from_ms, evidence.to_ms)),
        quote: quote.map(str::to_owned),
        ..EvidenceRow::default()
    }
}

/// The mood of the whole, and of every utterance that lies in a turn with one.
fn mood_rows(transcript: &Transcript, mood: &Sentiment) -> Vec<FindingRow> {
    let whole = json!({
        "overall": mood.overall, "trend": mood.trend, "confidence": mood.confidence, "why": mood.why, "enough": mood.overall.is_some(),
    });
    let finding = |kind, value, evidence| FindingRow {
        kind,
        value,
        method: sentiment::METHOD,
        method_version: sentiment::METHOD_VERSION,
        confidence: mood.confidence,
        evidence,
    };
    let mut rows = vec![finding(FindingKind::Sentiment, whole, vec![])];
    for utterance in transcript.utterances.iter().filter(|u| !u.words.is_empty()) {
        let within = |t: &&sentiment::TurnScore| {
            let e = &t.evidence;
            e.leg == utterance.leg && e.from_ms < utterance.to_ms && utterance.from_ms < e.to_ms
        };
        if let Some(turn) = mood.turns.iter().find(within) {
            let here =
                EvidenceRow { leg: Some(utterance.leg), span_ms: Some((utterance.from_ms, utterance.to_ms)), ..EvidenceRow::default() };
            rows.push(finding(FindingKind::TurnSentiment, json!({ "score": turn.score }), vec![here]));
        }
    }
    rows
}

/// The last moment of a day.
fn end_of(day: Date) -> UnixMs {
    let next = day.next_day().unwrap_or(day).with_time(Time::MIDNIGHT).assume_utc();
    UnixMs(next.unix_timestamp() * 1_000 - 1)
}
