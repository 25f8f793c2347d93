//! Facts become rows: any prefix may come again and changes nothing.
//!
//! ```text
//! batch ─▶ plain rows (apply_rows) ─▶ group: opened · chosen · recorded · answered · work · tracks closed · ended · closed ─▶ … ─▶ events
//! ```
//! Each stage writes its facts of all calls in a few statements. A group ends where a fact of a call would come to an earlier stage than one
//! before it, so that each call has its facts in order. Inserts do nothing on conflict, ends are written once, and an event is an outbox row
//! of the change that happened. The journal's mark is written in the same transaction, so that the journal is applied exactly once.

use std::collections::{HashMap, HashSet};

use super::{
    Store, StoreError, apply_agents, apply_call, apply_end, apply_open, apply_rows,
    db::{Columns, Conn},
    events::Outbox,
    quality,
    text::{NAME_MAX, line},
    work_items::{self, NewWorkItem},
};
use crate::{
    domain::{
        fact::{Fact, InteractionOpened, SegmentKind},
        media::plan::LegQuality,
    },
    ids::{Channel, InteractionId, LegId},
};

/// A place in the journal: everything before it is in the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpoolMark {
    /// Number of the segment file.
    pub segment: u64,
    /// Octets of it.
    pub place: u64,
}

impl Store {
    /// Applies facts in order, in one transaction.
    pub async fn apply(&self, facts: &[Fact]) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        all(&mut tx, facts).await?;
        self.commit(tx).await
    }

    /// The same for facts of the journal; `mark` is the place after the last of them.
    pub async fn apply_from_spool(&self, facts: &[Fact], mark: SpoolMark) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        all(&mut tx, facts).await?;
        sqlx::query(
            "INSERT INTO spool_mark (spool, segment, place) VALUES ('facts', $1, $2) \
             ON CONFLICT (spool) DO UPDATE SET segment = excluded.segment, place = excluded.place",
        )
        .bind(i64::try_from(mark.segment).unwrap_or(i64::MAX))
        .bind(i64::try_from(mark.place).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await?;
        self.commit(tx).await
    }

    /// How far the journal has been applied.
    pub async fn spool_mark(&self) -> Result<SpoolMark, StoreError> {
        let mut conn = self.read().await?;
        let row = sqlx::query("SELECT segment, place FROM spool_mark WHERE spool = 'facts'").fetch_optional(&mut *conn).await?;
        row.map_or(Ok(SpoolMark::default()), |row| Ok(SpoolMark { segment: row.int("segment")?, place: row.int("place")? }))
    }
}

/// Facts in order, but that plain rows go together and first.
pub(super) async fn all(conn: &mut Conn, facts: &[Fact]) -> Result<(), StoreError> {
    apply_rows::put(conn, facts).await?;
    let mut out = Outbox::default();
    let mut group = Group::default();
    let mut answered = HashSet::new();
    for (place, fact) in facts.iter().enumerate() {
        let Some(stage) = Stage::of(fact) else { continue };
        // The second party's talk begins in the same instant.
        if let Fact::SegmentOpened { interaction, .. } = fact
            && !answered.insert(*interaction)
        {
            continue;
        }
        if !group.takes(stage, fact) {
            std::mem::take(&mut group).write(conn, &mut out).await?;
            group.takes(stage, fact);
        }
        group.add(place, fact);
    }
    group.write(conn, &mut out).await?;
    out.write(conn).await
}

/// In which order the facts of a group are written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Opened,
    Chosen,
    Recorded,
    Answered,
    Work,
    Ended,
    Closed,
    /// Beside the stages of a call: agents, registrations, how legs sounded, tracks that are complete.
    Any,
}

impl Stage {
    /// `None` where a fact is nothing but a row.
    fn of(fact: &Fact) -> Option<Self> {
        match fact {
            Fact::InteractionOpened(_) => Some(Self::Opened),
            Fact::CustomerChosen { .. } => Some(Self::Chosen),
            Fact::RecordingOpened { .. } => Some(Self::Recorded),
            Fact::SegmentOpened { kind, .. } => (*kind == SegmentKind::Talk).then_some(Self::Answered),
            Fact::WorkItemOpened { .. } => Some(Self::Work),
            Fact::InteractionEnded { .. } => Some(Self::Ended),
            Fact::InteractionClosed { .. } => Some(Self::Closed),
            Fact::RecordingClosed { .. } | Fact::LegQuality { .. } | Fact::AgentState { .. } | Fact::Binding(_) => Some(Self::Any),
            Fact::LegOpened { .. }
            | Fact::LegClosed { .. }
            | Fact::LegMeasured { .. }
            | Fact::SegmentClosed { .. }
            | Fact::Queued { .. }
            | Fact::SoundBegan { .. }
            | Fact::SoundEnded { .. }
            | Fact::OfferMade { .. }
            | Fact::OfferEnded { .. } => None,
        }
    }
}

/// A fact and its place in the batch.
pub(super) type Placed<'a> = (usize, &'a Fact);

/// Facts that are written stage by stage.
#[derive(Default)]
struct Group<'a> {
    reached: HashMap<InteractionId, Stage>,
    opened: Vec<(usize, &'a InteractionOpened)>,
    sounded: Vec<(LegId, &'a LegQuality)>,
    chosen: Vec<Placed<'a>>,
    tracks: Vec<Placed<'a>>,
    answered: Vec<(usize, InteractionId, u32)>,
    work: Vec<Placed<'a>>,
    tracks_closed: Vec<Placed<'a>>,
    ended: Vec<Placed<'a>>,
    closed: Vec<Placed<'a>>,
    agents: Vec<Placed<'a>>,
    bindings: Vec<Placed<'a>>,
}

impl<'a> Group<'a> {
    /// Notes the stage that a call has come to; false where it was further already.
    fn takes(&mut self, stage: Stage, fact: &Fact) -> bool {
        let interaction = match fact {
            Fact::InteractionOpened(opened) => opened.interaction,
            Fact::CustomerChosen { interaction, .. }
            | Fact::RecordingOpened { interaction, .. }
            | Fact::SegmentOpened { interaction, .. }
            | Fact::WorkItemOpened { interaction, .. }
            | Fact::InteractionEnded { interaction, .. }
            | Fact::InteractionClosed { interaction, .. } => *interaction,
            _ => return true,
        };
        let reached = self.reached.entry(interaction).or_insert(stage);
        let in_order = *reached <= stage;
        *reached = stage.max(*reached);
        in_order
    }

    fn add(&mut self, place: usize, fact: &'a Fact) {
        match fact {
            Fact::InteractionOpened(opened) => self.opened.push((place, opened)),
            Fact::CustomerChosen { .. } => self.chosen.push((place, fact)),
            Fact::RecordingOpened { .. } => self.tracks.push((place, fact)),
            Fact::RecordingClosed { .. } => self.tracks_closed.push((place, fact)),
            Fact::SegmentOpened { interaction, from_ms, .. } => self.answered.push((place, *interaction, *from_ms)),
            Fact::WorkItemOpened { .. } => self.work.push((place, fact)),
            Fact::InteractionEnded { .. } => self.ended.push((place, fact)),
            Fact::InteractionClosed { .. } => self.closed.push((place, fact)),
            Fact::LegQuality { leg, quality } => self.sounded.push((*leg, quality)),
            Fact::AgentState { .. } => self.agents.push((place, fact)),
            Fact::Binding(_) => self.bindings.push((place, fact)),
            Fact::LegOpened { .. }
            | Fact::LegClosed { .. }
            | Fact::LegMeasured { .. }
            | Fact::SegmentClosed { .. }
            | Fact::Queued { .. }
            | Fact::SoundBegan { .. }
            | Fact::SoundEnded { .. }
            | Fact::OfferMade { .. }
            | Fact::OfferEnded { .. } => {}
        }
    }

    async fn write(self, conn: &mut Conn, out: &mut Outbox) -> Result<(), StoreError> {
        apply_open::opened(conn, &self.opened, out).await?;
        quality::measured(conn, &self.sounded).await?;
        apply_open::chosen(conn, &self.chosen, out).await?;
        apply_call::tracks_opened(conn, &self.tracks).await?;
        apply_call::answered(conn, &self.answered, out).await?;
        for (place, fact) in &self.work {
            work_item_opened(conn, *place, fact, out).await?;
        }
        // A call may be whole with its last track, or with its end, whichever comes later.
        let mut whole = apply_call::tracks_closed(conn, &self.tracks_closed).await?;
        apply_end::ended(conn, &self.ended, &mut whole, out).await?;
        apply_end::closed(conn, &self.closed, out).await?;
        apply_agents::states(conn, &self.agents, out).await?;
        apply_agents::bindings(conn, &self.bindings).await
    }
}

/// A work item that a call leaves behind.
async fn work_item_opened(conn: &mut Conn, place: usize, fact: &Fact, out: &mut Outbox) -> Result<(), StoreError> {
    let Fact::WorkItemOpened { work_item, kind, interaction, queue, priority, at, due } = fact else { return Ok(()) };
    let row = sqlx::query("SELECT customer, identity, channel FROM interaction WHERE interaction = $1")
        .bind(interaction.to_string())
        .fetch_optional(&mut *conn)
        .await?;
    let (customer, identity, channel) = match &row {
        Some(row) => (row.opt_id("customer")?, row.opt_id("identity")?, row.word("channel")?),
        None => (None, None, Channel::Phone),
    };
    let item = NewWorkItem {
        id: Some(*work_item),
        kind: *kind,
        source: interaction.to_string(),
        title: None,
        interaction: Some(*interaction),
        customer,
        identity,
        ticket: None,
        channel,
        queue: line(queue, NAME_MAX),
        priority: (*priority).min(9),
        due: *due,
        owner: None,
    };
    work_items::open_many(conn, vec![(place, item, *at)], out).await
}
