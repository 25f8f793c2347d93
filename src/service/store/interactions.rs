//! One interaction in full, and who may see it.

use super::{
    FindingKind, FindingStatus, InteractionPage, LegView, MessageView, OfferRow, RecordingState, RecordingView, SegmentView, SoundView,
    Store, StoreError, SuggestedDisposition, TicketChoice,
    customers::who,
    db::{Columns, Conn, Row},
    insight_read::{card_of, card_trouble, promises_heard, sentiment_of, single},
    notes::{draft, notes_of},
    quality::quality_of,
    text::fold,
    timeline::{length, title_in_words},
    transcripts::transcript_of,
    work_items::promises_of_interaction,
};
use crate::{
    domain::{customer::brief::Who, media::plan::LegTotals},
    ids::{AgentId, CustomerId, InteractionId, LegId, RecordingId},
};

/// Dispositions that get a key.
const SUGGESTIONS: usize = 3;
/// Most rows of one kind on a page: a call that had more is shown in part.
const ROWS_MAX: i64 = 1_000;

/// Whose interaction it is, for rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InteractionAccess {
    /// The customer.
    pub customer: Option<CustomerId>,
    /// Agents who were in it.
    pub agents: Vec<AgentId>,
}

/// One recorded track, for the player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackRow {
    /// The track.
    pub recording: RecordingId,
    /// Its leg.
    pub leg: LegId,
    /// The leg's side.
    pub party: crate::ids::Party,
    /// Beginning on the axis, milliseconds.
    pub from_ms: u32,
    /// End on the axis; `None` while it is written.
    pub to_ms: Option<u32>,
}

impl Store {
    /// Everything about one interaction, with the reader's own draft.
    pub async fn interaction_page(&self, interaction: InteractionId, reader: AgentId) -> Result<InteractionPage, StoreError> {
        let mut conn = self.read().await?;
        let row = sqlx::query(
            "SELECT i.*, a.name AS agent_name, d.label AS disposition_label FROM interaction i \
             LEFT JOIN agent a ON a.agent = i.answered_by LEFT JOIN disposition d ON d.disposition = i.disposition WHERE i.interaction = $1",
        )
        .bind(interaction.to_string())
        .fetch_optional(&mut *conn)
        .await?
        .ok_or(StoreError::NotFound("interaction"))?;
        let customer: Option<Who> = match row.opt_id("customer")? {
            Some(customer) => who(&mut conn, customer).await?,
            None => None,
        };
        let (at, ended_at) = (row.at("at")?, row.opt_at("ended_at")?);
        let title = title_in_words(&row)?;
        let card = card_of(&mut conn, interaction).await?;
        let legs = legs(&mut conn, interaction).await?;
        Ok(InteractionPage {
            interaction,
            channel: row.word("channel")?,
            direction: row.word("direction")?,
            at,
            ended_at,
            duration_ms: length(at, ended_at),
            state: row.word("state")?,
            customer,
            number: row.number("number")?,
            called: row.opt_text("called")?,
            queue: row.opt_text("queue")?,
            cause: row.opt_word("cause")?,
            disposition: row.opt_text("disposition_label")?,
            quality: quality_of(&mut conn, interaction, &legs).await?,
            legs,
            segments: segments(&mut conn, interaction).await?,
            sounds: sounds(&mut conn, interaction).await?,
            offers: offers(&mut conn, interaction).await?,
            recording: recording(&mut conn, interaction).await?,
            transcript: transcript_of(&mut conn, interaction, &row).await?,
            messages: messages(&mut conn, interaction).await?,
            card_trouble: card_trouble(&mut conn, interaction).await?,
            sentiment: sentiment_of(&mut conn, interaction).await?,
            notes: notes_of(&mut conn, interaction).await?,
            ticket: ticket(&mut conn, interaction).await?,
            draft: draft(&mut conn, interaction, reader).await?,
            promises: promises_of_interaction(&mut conn, interaction).await?,
            suggested_promises: promises_heard(&mut conn, interaction).await?,
            suggested_dispositions: suggestions(&mut conn, interaction, &title, card.as_ref()).await?,
            title,
            card,
        })
    }

    /// Whose interaction it is; `None` when there is no such one.
    pub async fn interaction_access(&self, interaction: InteractionId) -> Result<Option<InteractionAccess>, StoreError> {
        let mut conn = self.read().await?;
        let row = sqlx::query("SELECT customer FROM interaction WHERE interaction = $1")
            .bind(interaction.to_string())
            .fetch_optional(&mut *conn)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let agents = sqlx::query(
            "SELECT agent FROM leg WHERE interaction = $1 AND agent IS NOT NULL UNION SELECT agent FROM segment WHERE interaction = $1 \
             AND agent IS NOT NULL UNION SELECT answered_by AS agent FROM interaction WHERE interaction = $1 AND answered_by IS NOT NULL",
        )
        .bind(interaction.to_string())
        .fetch_all(&mut *conn)
        .await?;
        let agents = agents.iter().map(|row| row.id("agent")).collect::<Result<_, _>>()?;
        Ok(Some(InteractionAccess { customer: row.opt_id("customer")?, agents }))
    }

    /// The tracks of a call, by beginning.
    pub async fn tracks(&self, interaction: InteractionId) -> Result<Vec<TrackRow>, StoreError> {
        let mut conn = self.read().await?;
        let rows = sqlx::query(
            "SELECT r.recording, r.leg, l.party, r.from_ms, r.to_ms FROM recording r JOIN leg l ON l.leg = r.leg \
             WHERE r.interaction = $1 ORDER BY r.from_ms, r.recording LIMIT $2",
        )
        .bind(interaction.to_string())
        .bind(ROWS_MAX)
        .fetch_all(&mut *conn)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(TrackRow {
                    recording: row.id("recording")?,
                    leg: row.id("leg")?,
                    party: row.word("party")?,
                    from_ms: row.int("from_ms")?,
                    to_ms: row.opt_int("to_ms")?,
                })
            })
            .collect()
    }
}

async fn legs(conn: &mut Conn, interaction: InteractionId) -> Result<Vec<LegView>, StoreError> {
    let rows = sqlx::query(
        "SELECT l.leg, l.party, l.from_ms, l.to_ms, l.cause, l.received, l.sent, l.lost, l.dropped, l.jitter_us, l.tap_dropped, \
         a.name AS agent_name FROM leg l LEFT JOIN agent a ON a.agent = l.agent WHERE l.interaction = $1 ORDER BY l.from_ms, l.leg LIMIT $2",
    )
    .bind(interaction.to_string())
    .bind(ROWS_MAX)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(LegView {
                leg: row.id("leg")?,
                party: row.word("party")?,
                agent: row.opt_text("agent_name")?,
                from_ms: row.int("from_ms")?,
                to_ms: row.opt_int("to_ms")?,
                cause: row.opt_word("cause")?,
                totals: totals(row)?,
            })
        })
        .collect()
}

fn totals(row: &Row) -> Result<Option<LegTotals>, StoreError> {
    let Some(received) = row.opt_int("received")? else { return Ok(None) };
    Ok(Some(LegTotals {
        leg: Some(row.id("leg")?),
        received,
        sent: row.int("sent")?,
        lost: row.int("lost")?,
        dropped: row.int("dropped")?,
        jitter_us: row.int("jitter_us")?,
        tap_dropped: row.int("tap_dropped")?,
    }))
}

async fn segments(conn: &mut Conn, interaction: InteractionId) -> Result<Vec<SegmentView>, StoreError> {
    let rows = sqlx::query(
        "SELECT s.leg, s.kind, s.from_ms, s.to_ms, s.position, a.name AS agent_name FROM segment s LEFT JOIN agent a ON a.agent = s.agent \
         WHERE s.interaction = $1 ORDER BY s.from_ms, s.segment LIMIT $2",
    )
    .bind(interaction.to_string())
    .bind(ROWS_MAX)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(SegmentView {
                leg: row.opt_id("leg")?,
                agent: row.opt_text("agent_name")?,
                kind: row.word("kind")?,
                from_ms: row.int("from_ms")?,
                to_ms: row.opt_int("to_ms")?,
                position: row.opt_int("position")?,
            })
        })
        .collect()
}

async fn sounds(conn: &mut Conn, interaction: InteractionId) -> Result<Vec<SoundView>, StoreError> {
    let rows = sqlx::query("SELECT leg, kind, clip, from_ms, to_ms FROM sound WHERE interaction = $1 ORDER BY from_ms, sound LIMIT $2")
        .bind(interaction.to_string())
        .bind(ROWS_MAX)
        .fetch_all(conn)
        .await?;
    let read = |row: &Row| {
        Ok(SoundView {
            leg: row.id("leg")?,
            kind: row.word("kind")?,
            clip: row.text("clip")?,
            from_ms: row.int("from_ms")?,
            to_ms: row.opt_int("to_ms")?,
        })
    };
    rows.iter().map(read).collect()
}

async fn offers(conn: &mut Conn, interaction: InteractionId) -> Result<Vec<OfferRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT o.at_ms, o.acked_ms, o.rang_ms, o.lead_ms, o.outcome, COALESCE(a.name, '') AS agent_name FROM offer o \
         LEFT JOIN agent a ON a.agent = o.agent WHERE o.interaction = $1 ORDER BY o.at_ms, o.offer LIMIT $2",
    )
    .bind(interaction.to_string())
    .bind(ROWS_MAX)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(OfferRow {
                agent: row.text("agent_name")?,
                at_ms: row.int("at_ms")?,
                acked_ms: row.opt_int("acked_ms")?,
                rang_ms: row.opt_int("rang_ms")?,
                lead_ms: row.opt_int("lead_ms")?,
                outcome: row.opt_word("outcome")?,
            })
        })
        .collect()
}

async fn recording(conn: &mut Conn, interaction: InteractionId) -> Result<RecordingView, StoreError> {
    let rows =
        sqlx::query("SELECT to_ms, lost_ms, paused_ms, trouble FROM recording WHERE interaction = $1 ORDER BY from_ms, recording LIMIT $2")
            .bind(interaction.to_string())
            .bind(ROWS_MAX)
            .fetch_all(conn)
            .await?;
    let (mut open, mut trouble, mut duration_ms, mut has_gaps) = (false, None, None, false);
    for row in &rows {
        let end: Option<u32> = row.opt_int("to_ms")?;
        open |= end.is_none();
        duration_ms = duration_ms.max(end);
        trouble = trouble.or(row.opt_text("trouble")?);
        has_gaps |= row.opt_int::<i64>("lost_ms")?.unwrap_or(0) + row.opt_int::<i64>("paused_ms")?.unwrap_or(0) > 0;
    }
    let state = match (rows.is_empty(), open, trouble.is_some()) {
        (true, ..) => RecordingState::None,
        (false, true, _) => RecordingState::Open,
        (false, false, true) => RecordingState::Trouble,
        (false, false, false) => RecordingState::Ready,
    };
    Ok(RecordingView { state, trouble, duration_ms, has_gaps, gaps: Vec::new() })
}

async fn messages(conn: &mut Conn, interaction: InteractionId) -> Result<Vec<MessageView>, StoreError> {
    let rows = sqlx::query(
        "SELECT m.direction, m.at, m.subject, m.body, a.name AS agent_name FROM message m LEFT JOIN agent a ON a.agent = m.agent \
         WHERE m.interaction = $1 ORDER BY m.seq LIMIT $2",
    )
    .bind(interaction.to_string())
    .bind(ROWS_MAX)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(MessageView {
                direction: row.word("direction")?,
                at: row.at("at")?,
                agent: row.opt_text("agent_name")?,
                subject: row.opt_text("subject")?,
                body: row.text("body")?,
            })
        })
        .collect()
}

async fn ticket(conn: &mut Conn, interaction: InteractionId) -> Result<Option<TicketChoice>, StoreError> {
    let row = sqlx::query(
        "SELECT t.ticket, t.subject, k.why FROM ticket_interaction k JOIN ticket t ON t.ticket = k.ticket \
         WHERE k.interaction = $1 AND k.role = 'primary' AND k.removed_at IS NULL",
    )
    .bind(interaction.to_string())
    .fetch_optional(conn)
    .await?;
    row.map(|row| Ok(TicketChoice { ticket: row.id("ticket")?, subject: row.text("subject")?, why: row.text("why")? })).transpose()
}

/// At most three dispositions: one that the words speak for, then those whose cues stand in title and card, then by place.
async fn suggestions(
    conn: &mut Conn,
    interaction: InteractionId,
    title: &str,
    card: Option<&super::Card>,
) -> Result<Vec<SuggestedDisposition>, StoreError> {
    let found: Option<serde_json::Value> = single(conn, interaction, FindingKind::Disposition).await?;
    let found = found.as_ref().and_then(|value| value.get("disposition")).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    let mut said = fold(title);
    let lines = card.map(|card| card.lines.as_slice()).unwrap_or_default();
    for line in lines.iter().filter(|line| line.status != FindingStatus::Rejected) {
        said.push(' ');
        said.push_str(&fold(&line.text));
    }
    let rows = sqlx::query(
        "SELECT disposition, label, cues FROM disposition WHERE retired_at IS NULL AND contact = 1 ORDER BY place, disposition",
    )
    .fetch_all(conn)
    .await?;
    let mut scored = Vec::with_capacity(rows.len());
    for row in &rows {
        let id = row.text("disposition")?;
        let cues = row.text("cues")?.split_whitespace().filter(|cue| said.contains(cue)).count();
        let score = if id == found { usize::MAX } else { cues };
        scored.push((score, SuggestedDisposition { id, label: row.text("label")? }));
    }
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    Ok(scored.into_iter().take(SUGGESTIONS).map(|(_, disposition)| disposition).collect())
}
