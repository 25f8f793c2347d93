//! A big record, written by the database itself: customers, numbers, tickets, and entries that favour few customers.
//!
//! Indexes are dropped for the time of writing and built afterwards; nothing is random that is not computed from a row's number.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use sqlx::{Connection, Row, SqliteConnection};
use throughline::service::{clock, store::Store};

/// What was made.
pub struct Made {
    pub time: Duration,
    pub octets: u64,
    /// Entries of the customer who has most.
    pub most: i64,
}

/// Entries of customer 0, beside those that fall to them.
const BUSIEST: u64 = 50_000;

/// The telephone number of a customer.
pub fn number(customer: u64) -> String {
    format!("+4477{customer:08}")
}

/// Who calls: those who have many entries more often; one call in forty comes from the busiest.
pub fn caller(call: u64, customers: u64) -> u64 {
    let hash = |n: u64| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / f64::from(1 << 24);
    if call % 40 == 7 { 0 } else { (customers as f64 * hash(call) * hash(call ^ 0x5555) * hash(call ^ 0x3333)) as u64 }
}

/// Makes it.
pub fn make(database: &Path, customers: u64, entries: u64) -> anyhow::Result<Made> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(fill(database, customers, entries))
}

async fn fill(database: &Path, customers: u64, entries: u64) -> anyhow::Result<Made> {
    let begin = Instant::now();
    Store::open(database).await?.close().await;
    let mut conn = SqliteConnection::connect(&format!("sqlite://{}", database.display())).await?;
    for pragma in ["PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -400000", "PRAGMA temp_store = FILE"] {
        sqlx::query(pragma).execute(&mut conn).await?;
    }
    let tables = "('customer','identity','identity_customer','interaction','ticket','ticket_interaction')";
    let find = format!("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN {tables}");
    let indexes: Vec<(String, String)> =
        sqlx::query(sqlx::AssertSqlSafe(find)).fetch_all(&mut conn).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
    for (name, _) in &indexes {
        sqlx::query(sqlx::AssertSqlSafe(format!("DROP INDEX {name}"))).execute(&mut conn).await?;
    }
    for text in statements(customers, entries, clock::now().wall.0) {
        sqlx::query(sqlx::AssertSqlSafe(text)).execute(&mut conn).await?;
    }
    for (_, text) in indexes {
        sqlx::query(sqlx::AssertSqlSafe(text)).execute(&mut conn).await?;
    }
    let first = uuid(2, "0");
    let count = format!("SELECT COUNT(*) FROM interaction WHERE customer = (SELECT {first})");
    let most: i64 = sqlx::query(sqlx::AssertSqlSafe(count)).fetch_one(&mut conn).await?.get(0);
    sqlx::query("PRAGMA journal_mode = WAL").execute(&mut conn).await?;
    conn.close().await?;
    Ok(Made { time: begin.elapsed(), octets: std::fs::metadata(database)?.len(), most })
}

/// A UUIDv7's text for the row `n` of a kind, in SQL: ordered by `n`.
fn uuid(kind: u8, n: &str) -> String {
    format!("printf('01900000-%04x-7%03x-8%03x-%012x', (({n}) >> 12) & 65535, ({n}) & 4095, {kind}, {n})")
}

fn statements(customers: u64, entries: u64, now: i64) -> Vec<String> {
    let count = |upto: u64| format!("WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n + 1 < {upto})");
    let hash = |n: &str, k: u64| format!("((({n}) * {k} + 12345) % 1048573 / 1048573.0)");
    let [customer, identity, interaction, ticket] = [(2, "n"), (3, "n"), (4, "n"), (5, "n")].map(|(kind, n)| uuid(kind, n));
    // The product of three shares: a customer near 0 has thousands of times the entries of one near the end.
    let who = format!(
        "CASE WHEN n % {step} = 0 THEN 0 ELSE CAST({customers} * {a} * {b} * {c} AS INTEGER) END",
        step = (entries / BUSIEST.min(entries / 20)).max(1),
        a = hash("n", 7919),
        b = hash("n", 104_729),
        c = hash("n", 15_485_863)
    );
    let (of_customer, of_identity) = (uuid(2, "who"), uuid(3, "who"));
    let year = 365 * 86_400_000_i64;
    let at = format!("({now} - {year} + n * {year} / {entries})");
    let last = entries.saturating_sub(customers);
    vec![
        "BEGIN".to_owned(),
        format!(
            "{} INSERT INTO customer (customer, name, name_folded, created_at, since) SELECT {customer}, 'Customer ' || n, 'customer ' || n, \
             {now} - {year}, {now} - {year} FROM c",
            count(customers)
        ),
        format!(
            "{} INSERT INTO identity (identity, kind, normalised, raw, country, first_seen) SELECT {identity}, 'phone', \
             printf('+4477%08d', n), printf('+4477%08d', n), 'GB', {now} - {year} FROM c",
            count(customers)
        ),
        format!(
            "{} INSERT INTO identity_customer (identity, customer, since, why, confidence) SELECT {identity}, {customer}, {now} - {year}, \
             'seed', 100 FROM c",
            count(customers)
        ),
        format!(
            "{} INSERT INTO interaction (interaction, channel, direction, state, at, ended_at, closed_at, identity, customer, customer_choice, \
             title, outcome, answered_ms, talked_ms, wrapped_up, sentiment, cause) SELECT {interaction}, CASE n % 3 WHEN 0 THEN 'phone' WHEN 1 \
             THEN 'email' ELSE 'chat' END, 'inbound', 'closed', {at}, {at} + 120000, {at} + 180000, {of_identity}, {of_customer}, 'sole', \
             'About order ' || n, 'solved', 8000, 90000, 1, CASE WHEN n % 4 = 0 THEN n % 200 - 100 END, 'customer_hung_up' \
             FROM (SELECT n, {who} AS who FROM c)",
            count(entries)
        ),
        format!(
            "{} INSERT INTO ticket (ticket, number, subject, state, customer, identity, opened_by, opened_at, touched_at) SELECT {ticket}, \
             n + 1000, 'Order ' || n, CASE n % 10 WHEN 0 THEN 'open_us' ELSE 'solved' END, {customer}, {identity}, NULL, {now} - {year}, \
             {now} - n % 1000000 FROM c",
            count(customers)
        ),
        // Calls of the measurement open tickets after these.
        format!(
            "INSERT INTO sequencer (name, last) VALUES ('ticket', {customers} + 1000) ON CONFLICT (name) DO UPDATE SET last = excluded.last"
        ),
        format!(
            "{} INSERT INTO ticket_interaction (ticket, interaction, role, why, confidence, at) SELECT {ticket}, {}, 'primary', 'seed', 100, \
             {now} - 1000 FROM c",
            count(customers.min(entries)),
            uuid(4, &format!("n + {last}"))
        ),
        "COMMIT".to_owned(),
    ]
}
