//! Card, promises and mood as rows of the record.

use serde_json::json;
use time::{Date, OffsetDateTime, Time};

use super::Insight;
use crate::{
    domain::insight::{
        card::{self, Card, Context, TooLittle},
        model_card,
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

/// What is known of a call besides its words.
pub(super) struct About<'a> {
    /// The day, where the company is.
    pub called_at: UnixMs,
    /// The customer's open tickets and last contacts.
    pub subjects: &'a [String],
    /// Numbers on the record.
    pub references: &'a [String],
    /// What the company has and how its numbers look.
    pub insight: &'a Insight,
}

impl About<'_> {
    /// For the card.
    pub fn context(&self) -> Context<'_> {
        let call = OffsetDateTime::from_unix_timestamp(self.called_at.0.div_euclid(1_000)).unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
        let (products, patterns) = (&self.insight.products, &self.insight.patterns);
        Context { known: Known { call, references: self.references, products, patterns }, subjects: self.subjects }
    }
}

/// Everything that is read out of a transcript by rules, in the order in which it is shown.
pub(super) fn by_rules(transcript: &Transcript, about: &About<'_>) -> Vec<FindingRow> {
    let rows = match card::card(transcript, &about.context()) {
        Ok(card) => card_rows(&card, card::METHOD, card::METHOD_VERSION),
        Err(trouble) => vec![card_trouble(trouble)],
    };
    with_mood(rows, transcript)
}

/// The same, with the card that a language model made.
pub(super) fn by_model(transcript: &Transcript, card: &Card, model: &str) -> Vec<FindingRow> {
    with_mood(card_rows(card, model_card::METHOD, model), transcript)
}

fn with_mood(mut rows: Vec<FindingRow>, transcript: &Transcript) -> Vec<FindingRow> {
    rows.extend(mood_rows(transcript, &sentiment::sentiment(transcript)));
    rows
}

fn card_rows(card: &Card, method: &'static str, version: &str) -> Vec<FindingRow> {
    let row = |kind, value, evidence: &[Evidence], quote: Option<&str>| row(kind, value, evidence, quote, (method, version));
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
    row(FindingKind::CardTrouble, json!({ "text": trouble.to_string() }), &[], None, (card::METHOD, card::METHOD_VERSION))
}

fn row(
    kind: FindingKind,
    value: serde_json::Value,
    evidence: &[Evidence],
    quote: Option<&str>,
    (method, version): (&'static str, &str),
) -> FindingRow {
    let evidence = evidence.iter().map(|e| place(e, quote)).collect();
    FindingRow { kind, value, method, method_version: version.to_owned(), confidence: CARD_CONFIDENCE, evidence }
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
        method_version: sentiment::METHOD_VERSION.to_owned(),
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
            let fired: Vec<_> = turn.fired.iter().filter(|f| f.from_ms < utterance.to_ms && utterance.from_ms < f.to_ms).collect();
            rows.push(finding(FindingKind::TurnSentiment, json!({ "score": turn.score, "fired": fired }), vec![here]));
        }
    }
    rows
}

/// The last moment of a day.
fn end_of(day: Date) -> UnixMs {
    let next = day.next_day().unwrap_or(day).with_time(Time::MIDNIGHT).assume_utc();
    UnixMs(next.unix_timestamp() * 1_000 - 1)
}
