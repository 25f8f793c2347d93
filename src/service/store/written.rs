//! What somebody wrote lately: what a call of theirs may be about.

use super::{Store, StoreError, db::Columns};
use crate::{ids::CustomerId, time::UnixMs};

/// A message from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Of an e-mail.
    pub subject: Option<String>,
    /// As plain text.
    pub body: String,
}

impl Store {
    /// Messages that a customer wrote from `since` until `until`, newest first, at most `most`; of contacts that began in that time.
    pub async fn written_lately(&self, customer: CustomerId, since: UnixMs, until: UnixMs, most: u32) -> Result<Vec<Written>, StoreError> {
        let mut conn = self.read().await?;
        let rows = sqlx::query(
            "SELECT m.subject, m.body FROM \
             (SELECT interaction FROM interaction WHERE customer = $1 AND at >= $2 AND at <= $3 AND channel <> 'phone' \
              ORDER BY at DESC, interaction DESC LIMIT $4) AS i \
             JOIN message m ON m.interaction = i.interaction \
             WHERE m.direction = 'inbound' AND m.at >= $2 AND m.at <= $3 ORDER BY m.at DESC, m.seq DESC LIMIT $4",
        )
        .bind(customer.to_string())
        .bind(since.0)
        .bind(until.0)
        .bind(i64::from(most))
        .fetch_all(&mut *conn)
        .await?;
        rows.iter().map(|row| Ok(Written { subject: row.opt_text("subject")?, body: row.text("body")? })).collect()
    }
}
