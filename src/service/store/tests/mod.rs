//! The record under test: a database file per test, simulated time, calls as the switch writes them down.

mod apply;
mod brief;
mod desk;
mod heard;
mod jobs;
mod queue;
mod sql;
mod words;
mod writers;

use tempfile::TempDir;

use super::*;
use crate::{
    domain::{
        fact::{CustomerChoice, Direction, EndCause, Fact, InteractionOpened, OfferOutcome, SegmentKind},
        media::plan::{Codec, LegQuality, LegTotals, ReportedQuality},
    },
    ids::{AgentId, Channel, CustomerId, InteractionId, LegId, OfferId, Party, PhoneNumber, RecordingId, SegmentId, SipCallId},
    time::UnixMs,
};

pub(crate) const NOW: UnixMs = UnixMs(1_790_000_000_000);
pub(crate) const HOUR: i64 = 3_600_000;

pub(crate) async fn empty() -> (Store, TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(&dir.path().join("record.db")).await.expect("a new record");
    (store, dir)
}

/// The demo, and the agent Daniel.
pub(crate) async fn seeded() -> (Store, TempDir, AgentId) {
    let (store, dir) = empty().await;
    seed_demo(&store, "demo", NOW).await.expect("the demo");
    let daniel = store.login("daniel").await.expect("a read").expect("Daniel").me.agent;
    (store, dir, daniel)
}

pub(crate) fn number(text: &str) -> PhoneNumber {
    PhoneNumber::parse_e164(text).expect("a number")
}

/// The ids of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallIds {
    pub interaction: InteractionId,
    pub customer_leg: LegId,
    pub agent_leg: LegId,
    pub recordings: [RecordingId; 2],
}

pub(crate) fn ids(n: u8) -> CallIds {
    let at = NOW;
    CallIds {
        interaction: InteractionId::new(at, [n; 10]),
        customer_leg: LegId::new(at, [n; 10]),
        agent_leg: LegId::new(at, [n.wrapping_add(100); 10]),
        recordings: [RecordingId::new(at, [n; 10]), RecordingId::new(at, [n.wrapping_add(100); 10])],
    }
}

pub(crate) fn opened(n: u8, from: Option<&str>) -> Fact {
    Fact::InteractionOpened(InteractionOpened {
        interaction: ids(n).interaction,
        channel: Channel::Phone,
        direction: Direction::Inbound,
        at: NOW,
        caller_raw: from.map(str::to_owned),
        caller: from.map(number),
        display_name: from.map(|_| "L\0aura <script>".to_owned()),
        called: "+442079460000".to_owned(),
        via: "trunk".to_owned(),
        queue: Some("support".to_owned()),
        emergency: false,
    })
}

fn leg(n: u8, party: Party, agent: Option<AgentId>, from_ms: u32) -> Fact {
    let leg = if party == Party::Customer { ids(n).customer_leg } else { ids(n).agent_leg };
    Fact::LegOpened { leg, interaction: ids(n).interaction, party, agent, sip_call_id: SipCallId(format!("{n}")), trunk: None, from_ms }
}

fn segment(n: u8, place: u8, leg: LegId, agent: Option<AgentId>, kind: SegmentKind, span: (u32, u32)) -> [Fact; 2] {
    let segment = SegmentId::new(NOW, [n, place, 0, 0, 0, 0, 0, 0, 0, 0]);
    [
        Fact::SegmentOpened { segment, interaction: ids(n).interaction, leg: Some(leg), agent, kind, from_ms: span.0 },
        Fact::SegmentClosed { segment, to_ms: span.1 },
    ]
}

/// An answered and recorded call: rings for 2 s, talks for 10 s.
pub(crate) fn answered_call(n: u8, from: Option<&str>, agent: AgentId) -> Vec<Fact> {
    let CallIds { interaction, customer_leg, agent_leg, recordings } = ids(n);
    let offer = OfferId::new(NOW, [n; 10]);
    let mut facts = vec![opened(n, from), leg(n, Party::Customer, None, 0)];
    facts.extend(segment(n, 1, customer_leg, None, SegmentKind::Queue, (0, 2000)));
    facts.push(Fact::OfferMade { offer, work_item: None, interaction, agent, at_ms: 10 });
    facts.push(leg(n, Party::Agent, Some(agent), 60));
    facts.push(Fact::OfferEnded {
        offer,
        outcome: OfferOutcome::Accepted,
        acked_ms: Some(40),
        rang_ms: Some(60),
        lead_ms: Some(20),
        at_ms: 2000,
    });
    facts.extend(segment(n, 2, customer_leg, None, SegmentKind::Talk, (2000, 12_000)));
    facts.extend(segment(n, 3, agent_leg, Some(agent), SegmentKind::Talk, (2000, 12_000)));
    for (recording, leg) in recordings.into_iter().zip([customer_leg, agent_leg]) {
        facts.push(Fact::RecordingOpened { recording, interaction, leg, codec: Codec::Pcmu, from_ms: 2000 });
    }
    for leg in [customer_leg, agent_leg] {
        facts.push(Fact::LegClosed { leg, to_ms: 12_000, cause: EndCause::CustomerHungUp, sip_status: None });
        let totals = LegTotals { leg: Some(leg), received: 500, sent: 499, ..LegTotals::default() };
        facts.push(Fact::LegMeasured { leg, totals });
        for (to_ms, lost, mos_x100) in [(7_000, 0, 438), (12_000, 25, 330)] {
            let reported = Some(ReportedQuality { lost_permille: 3, jitter_us: 900, mos_x100: 430, deaf: false });
            let quality = LegQuality {
                to_ms,
                interval_ms: 5_000,
                received: 250 - lost,
                lost,
                mos_x100: Some(mos_x100),
                reported,
                ..LegQuality::default()
            };
            facts.push(Fact::LegQuality { leg, quality });
        }
    }
    facts.push(Fact::InteractionEnded { interaction, at_ms: 12_000, cause: EndCause::CustomerHungUp, answered_by: Some(agent) });
    for recording in recordings {
        facts.push(Fact::RecordingClosed { recording, to_ms: 12_000, lost_ms: 20, paused_ms: 0, trouble: None });
    }
    facts
}

pub(crate) fn abandoned_call(n: u8, from: Option<&str>) -> Vec<Fact> {
    let CallIds { interaction, customer_leg, .. } = ids(n);
    let mut facts = vec![opened(n, from), leg(n, Party::Customer, None, 0)];
    facts.extend(segment(n, 1, customer_leg, None, SegmentKind::Queue, (0, 30_000)));
    facts.push(Fact::LegClosed { leg: customer_leg, to_ms: 30_000, cause: EndCause::Abandoned, sip_status: Some(487) });
    facts.push(Fact::InteractionEnded { interaction, at_ms: 30_000, cause: EndCause::Abandoned, answered_by: None });
    facts.push(Fact::InteractionClosed { interaction, at_ms: 30_000, wrapped_up: false });
    facts
}

pub(crate) fn chosen(n: u8, customer: Option<CustomerId>, choice: CustomerChoice) -> Fact {
    Fact::CustomerChosen { interaction: ids(n).interaction, identity: None, customer, choice }
}

/// Every row of every table that facts write, but for ids that the applier makes itself.
pub(crate) async fn dump(store: &Store) -> Vec<String> {
    use sqlx::Row as _;
    let mut conn = store.read().await.expect("a reader");
    let mut out = Vec::new();
    for sql in [
        "SELECT 'interaction ' || json_array(interaction, state, at, ended_at, closed_at, customer, customer_choice, number, display_name, cause, \
         answered_by, answered_ms, talked_ms, wrapped_up, recorded, transcript_state, version, poor_ms) AS line FROM interaction",
        "SELECT 'identity ' || json_array(kind, normalised, raw, country, first_seen) AS line FROM identity",
        "SELECT 'leg ' || json_array(leg, interaction, party, agent, from_ms, to_ms, cause, sip_status, received, sent) AS line FROM leg",
        "SELECT 'quality ' || json_array(leg, to_ms, received, lost, mos_x100, there_mos_x100) AS line FROM leg_quality",
        "SELECT 'segment ' || json_array(segment, interaction, leg, agent, kind, from_ms, to_ms) AS line FROM segment",
        "SELECT 'offer ' || json_array(offer, interaction, agent, at_ms, outcome, acked_ms, rang_ms, lead_ms, ended_ms) AS line FROM offer",
        "SELECT 'recording ' || json_array(recording, interaction, leg, from_ms, to_ms, lost_ms, trouble) AS line FROM recording",
        "SELECT 'work ' || json_array(kind, source, state, queue, priority, due, opened_at, owner) AS line FROM work_item",
        "SELECT 'ticket ' || json_array(number, subject, state, customer, opened_by, opened_at, touched_at, version) AS line FROM ticket",
        "SELECT 'on ' || json_array(interaction, role, why, at, removed_at) AS line FROM ticket_interaction",
        "SELECT 'job ' || json_array(kind, subject, state, attempts, run_after) AS line FROM job",
        "SELECT 'state ' || json_array(agent, from_at, state, reason, to_at) AS line FROM agent_state",
        "SELECT 'binding ' || json_array(phone, contact, source, cseq, expires_at) AS line FROM binding",
        "SELECT 'event ' || json_array(seq, at, kind, interaction, customer, agent) AS line FROM event",
        "SELECT 'customer ' || json_array(name) AS line FROM customer",
    ] {
        let rows = sqlx::query(sql).fetch_all(&mut *conn).await.expect(sql);
        out.extend(rows.iter().map(|row| row.get::<String, _>("line")));
    }
    out.sort();
    out
}

pub(crate) fn count(lines: &[String], table: &str) -> usize {
    lines.iter().filter(|line| line.starts_with(&format!("{table} "))).count()
}

impl Store {
    /// Holds the one writer, as another process would, until dropped.
    pub(crate) async fn hold_writer(&self) -> sqlx::Transaction<'static, sqlx::Sqlite> {
        self.write().await.expect("a writer")
    }
}
