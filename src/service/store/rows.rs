//! Many rows in one statement: each statement costs two switches between threads, whatever it writes.
//!
//! A statement is written for one row, `… VALUES ($1, CAST($2 AS BIGINT)) …`, and has no other places; it is repeated for as many rows as there are.
//! In a list that nothing is inserted from, what stands in it has no type of its own and is cast.

use sqlx::{AssertSqlSafe, Sqlite, query::Query, sqlite::SqliteArguments};

use super::{
    StoreError,
    db::{Conn, Row},
};

/// Rows in one statement: the largest that fits is taken, so that few texts are prepared and all of them are kept.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// One column of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(Option<String>),
    Int(Option<i64>),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(Some(int))
    }
}

impl From<u32> for Value {
    fn from(int: u32) -> Self {
        Self::Int(Some(int.into()))
    }
}

impl From<u64> for Value {
    fn from(int: u64) -> Self {
        Self::Int(Some(i64::try_from(int).unwrap_or(i64::MAX)))
    }
}

impl From<Option<i64>> for Value {
    fn from(int: Option<i64>) -> Self {
        Self::Int(int)
    }
}

/// Rows of as many columns as their statement has places.
pub(super) type Rows<const N: usize> = Vec<[Value; N]>;

/// Writes the rows, in their order.
pub(super) async fn write<const N: usize>(conn: &mut Conn, statement: &'static str, rows: Rows<N>) -> Result<(), StoreError> {
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        query(statement, &mut rows).execute(&mut *conn).await?;
    }
    Ok(())
}

/// The same, and what the statement returns.
pub(super) async fn read<const N: usize>(conn: &mut Conn, statement: &'static str, rows: Rows<N>) -> Result<Vec<Row>, StoreError> {
    let mut rows = rows.into_iter();
    let mut returned = Vec::new();
    while rows.len() > 0 {
        returned.extend(query(statement, &mut rows).fetch_all(&mut *conn).await?);
    }
    Ok(returned)
}

fn query<const N: usize>(
    statement: &'static str,
    rows: &mut impl ExactSizeIterator<Item = [Value; N]>,
) -> Query<'static, Sqlite, SqliteArguments> {
    let size = SIZES.into_iter().find(|size| *size <= rows.len()).unwrap_or(1);
    let (text, places) = for_rows(statement, size);
    // A text of ours, repeated.
    let query = sqlx::query(AssertSqlSafe(text));
    let bind = |query: Query<'static, Sqlite, SqliteArguments>, value| match value {
        Value::Text(text) => query.bind(text),
        Value::Int(int) => query.bind(int),
    };
    if places.iter().copied().eq(0..N) {
        return rows.take(size).flatten().fold(query, bind);
    }
    rows.take(size).fold(query, |query, row| places.iter().filter_map(|place| row.get(*place)).cloned().fold(query, bind))
}

/// The statement for so many rows, and which column each place of a row takes. Places lose their numbers: SQLite finds a number by walking
/// through all the others, which for 64 rows of a dozen columns was a third of what its thread did.
fn for_rows(statement: &str, count: usize) -> (String, Vec<usize>) {
    const LIST: &str = "VALUES ";
    let begin = statement.find("VALUES (").map_or(statement.len(), |at| at + LIST.len());
    let (head, tail) = statement.split_at(begin);
    let (row, tail) = tail.split_at(closing(tail));
    let mut parts = row.split('$');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    let mut places = Vec::new();
    for part in parts {
        places.extend(number(part).and_then(|place| place.checked_sub(1)));
        plain.push('?');
        plain.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    let mut text = String::with_capacity(head.len() + tail.len() + count * (plain.len() + 2));
    text.push_str(head);
    for n in 0..count {
        text.push_str(if n > 0 { ", " } else { "" });
        text.push_str(&plain);
    }
    text.push_str(tail);
    (text, places)
}

/// The number that the text begins with.
fn number(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..digits)?.parse().ok()
}

/// Where the parenthesis that the text begins with is closed.
fn closing(text: &str) -> usize {
    let mut open = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => open += 1,
            ')' if open == 1 => return at + 1,
            ')' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_for_one_row_becomes_one_for_many() {
        let insert = "INTO a (x, y) VALUES ($1, $2) ON CONFLICT (x) DO NOTHING";
        assert_eq!(for_rows(insert, 1), ("INTO a (x, y) VALUES (?, ?) ON CONFLICT (x) DO NOTHING".to_owned(), vec![0, 1]));
        assert_eq!(for_rows(insert, 3).0, "INTO a (x, y) VALUES (?, ?), (?, ?), (?, ?) ON CONFLICT (x) DO NOTHING");
        let twice = "INTO a (x, y, z) VALUES ($2, $1, $2)";
        assert_eq!(for_rows(twice, 2), ("INTO a (x, y, z) VALUES (?, ?, ?), (?, ?, ?)".to_owned(), vec![1, 0, 1]));
        let update = "SET y = v.column2 FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT))) AS v WHERE a.x = v.column1";
        assert_eq!(
            for_rows(update, 2).0,
            "SET y = v.column2 FROM (VALUES (CAST(? AS TEXT), CAST(? AS BIGINT)), (CAST(? AS TEXT), CAST(? AS BIGINT))) AS v \
             WHERE a.x = v.column1"
        );
    }

    #[tokio::test]
    async fn a_column_that_stands_twice_is_written_twice() {
        use sqlx::{Connection as _, Row as _};
        let mut conn = sqlx::SqliteConnection::connect("sqlite::memory:").await.expect("a database");
        sqlx::query("CREATE TABLE a (x BIGINT, y TEXT, z BIGINT)").execute(&mut conn).await.expect("a table");
        let rows = (0..7_i64).map(|n| [Value::from(n), Value::from(n.to_string())]).collect();
        write(&mut conn, "INSERT INTO a (z, y, x) VALUES ($1, $2, $1)", rows).await.expect("written");
        let found = sqlx::query("SELECT x, y, z FROM a ORDER BY x").fetch_all(&mut conn).await.expect("read");
        let found: Vec<(i64, String, i64)> = found.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        assert_eq!(found, (0..7).map(|n| (n, n.to_string(), n)).collect::<Vec<_>>());
    }
}
