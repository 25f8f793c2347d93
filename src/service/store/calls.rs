//! The supervisor's list of calls.

use super::{
    CallOutcome, CallPage, CallRow, Store, StoreError,
    calls_search::{Sought, said},
    db::{Columns, Conn, Row, opt_id},
    timeline::Cursor,
};
use crate::{domain::fact::EndCause, ids::AgentId, time::UnixMs};

/// Calls on one page.
const PAGE: usize = 50;
/// Rows that one request looks through; the page then says where to go on.
const SCANNED_MAX: usize = 2_000;
/// The same where what was said is looked through too: some tens of megabytes of words.
const SCANNED_WITH_WORDS_MAX: usize = 400;
/// Rows read at once.
const STEP: i64 = 200;

/// What the list shows.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    /// Not before.
    pub from: Option<UnixMs>,
    /// Before.
    pub to: Option<UnixMs>,
    /// Answered by.
    pub agent: Option<AgentId>,
    /// In the names of customer and agent, the title, the disposition, the outcome or what was said; the number however it is written.
    pub words: Option<String>,
    /// The `next` of the page before.
    pub before: Option<String>,
}

impl Store {
    /// Calls, newest first.
    pub async fn calls(&self, filter: &CallFilter) -> Result<CallPage, StoreError> {
        let sought = Sought::new(filter.words.as_deref().unwrap_or_default());
        let most = if sought.needle().is_some() { SCANNED_WITH_WORDS_MAX } else { SCANNED_MAX };
        let mut cursor = Cursor::parse(filter.before.as_deref())?;
        let mut page = CallPage { calls: Vec::new(), next: None };
        let (mut conn, mut scanned) = (self.read().await?, 0);
        loop {
            let calls = step(&mut conn, filter, cursor).await?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            let last = i64::try_from(calls.len()).unwrap_or(STEP) < STEP;
            let mut heard = said(&mut conn, &sought, &calls).await?;
            for mut call in calls {
                cursor = Some(Cursor { at: call.at, interaction: call.interaction });
                scanned += 1;
                call.said = heard.remove(&call.interaction);
                if call.said.is_some() || sought.fits(&call) {
                    page.calls.push(call);
                }
                if page.calls.len() == PAGE || scanned == most {
                    page.next = cursor.map(Cursor::write);
                    return Ok(page);
                }
            }
            if last {
                return Ok(page);
            }
        }
    }
}

async fn step(conn: &mut Conn, filter: &CallFilter, cursor: Option<Cursor>) -> Result<Vec<Row>, StoreError> {
    let upto = cursor.map_or(i64::MAX, |c| c.at.0).min(filter.to.map_or(i64::MAX, |to| to.0 - 1));
    // Below the cursor's row where the cursor decides; anything at that time where `to` does.
    let below = cursor.filter(|c| c.at.0 == upto).map_or_else(|| "~".to_owned(), |c| c.interaction.to_string());
    let rows = sqlx::query(
        "SELECT i.interaction, i.at, i.ended_at, i.direction, i.state, i.number, i.queue, i.answered_ms, i.talked_ms, i.title, i.sentiment, \
         i.recorded, i.coverage, i.cause, i.poor_ms, c.name AS customer_name, a.name AS agent_name, d.label AS disposition_label \
         FROM (SELECT * FROM interaction WHERE channel = 'phone' AND at >= $1 AND (at < $2 OR (at = $2 AND interaction < $3)) \
         AND (CAST($4 AS TEXT) IS NULL OR answered_by = $4) ORDER BY at DESC, interaction DESC LIMIT $5) AS i \
         LEFT JOIN customer c ON c.customer = i.customer LEFT JOIN agent a ON a.agent = i.answered_by \
         LEFT JOIN disposition d ON d.disposition = i.disposition ORDER BY i.at DESC, i.interaction DESC",
    )
    .bind(filter.from.map_or(i64::MIN, |from| from.0))
    .bind(upto)
    .bind(below)
    .bind(opt_id(filter.agent))
    .bind(STEP)
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

fn read(row: &Row) -> Result<CallRow, StoreError> {
    let at = row.at("at")?;
    let ended = row.opt_at("ended_at")?;
    let answered_ms: Option<u64> = row.opt_int("answered_ms")?;
    let lasted = ended.map_or(0, |end| u64::try_from(end.0 - at.0).unwrap_or(0));
    let cause: Option<EndCause> = row.opt_word("cause")?;
    let outcome = match (answered_ms, cause) {
        (Some(_), _) => CallOutcome::Answered,
        (None, Some(EndCause::Abandoned)) => CallOutcome::Abandoned,
        (None, Some(_)) => CallOutcome::Missed,
        (None, None) => CallOutcome::Waiting,
    };
    Ok(CallRow {
        interaction: row.id("interaction")?,
        at,
        direction: row.word("direction")?,
        customer: row.opt_text("customer_name")?,
        number: row.number("number")?,
        agent: row.opt_text("agent_name")?,
        queue: row.opt_text("queue")?,
        waited_ms: answered_ms.unwrap_or(lasted),
        talked_ms: row.opt_int("talked_ms")?.unwrap_or(0),
        outcome,
        disposition: row.opt_text("disposition_label")?,
        title: row.opt_text("title")?,
        sentiment: row.opt_int("sentiment")?,
        recorded: row.flag("recorded")?,
        coverage: row.opt_int("coverage")?,
        cause,
        poor_ms: row.int("poor_ms")?,
        said: None,
    })
}
