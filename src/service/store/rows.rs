//! Many rows in one statement: each statement costs two switches between threads, whatever it writes.
//!
//! A statement is written for one row, `… VALUES ($1, CAST($2 AS BIGINT)) …`, and has no other places; it is repeated for as many rows as there are.
//! In a list that nothing is inserted from, what stands in it has no type of its own and is cast.

use std::fmt::Write as _;

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
    // A text of ours with numbers put into it.
    let query = sqlx::query(AssertSqlSafe(for_rows(statement, size)));
    rows.take(size).flatten().fold(query, |query, value| match value {
        Value::Text(text) => query.bind(text),
        Value::Int(int) => query.bind(int),
    })
}

/// The statement for so many rows.
fn for_rows(statement: &str, count: usize) -> String {
    const LIST: &str = "VALUES ";
    let begin = statement.find("VALUES (").map_or(statement.len(), |at| at + LIST.len());
    let (head, tail) = statement.split_at(begin);
    let (row, tail) = tail.split_at(closing(tail));
    let columns = row.split('$').skip(1).filter_map(number).max().unwrap_or(0);
    let mut text = String::with_capacity(head.len() + tail.len() + count * (row.len() + 2 * columns + 2));
    text.push_str(head);
    for n in 0..count {
        if n > 0 {
            text.push_str(", ");
        }
        let mut parts = row.split('$');
        text.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
            let place = number(part).unwrap_or(0) + n * columns;
            // Writing to a text does not fail.
            let _ = write!(text, "${place}{rest}");
        }
    }
    text.push_str(tail);
    text
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
        assert_eq!(for_rows(insert, 1), insert);
        assert_eq!(for_rows(insert, 3), "INTO a (x, y) VALUES ($1, $2), ($3, $4), ($5, $6) ON CONFLICT (x) DO NOTHING");
        let twice = "INTO a (x, y, z) VALUES ($1, $2, $2)";
        assert_eq!(for_rows(twice, 2), "INTO a (x, y, z) VALUES ($1, $2, $2), ($3, $4, $4)");
        let update = "SET y = v.column2 FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT))) AS v WHERE a.x = v.column1";
        assert_eq!(
            for_rows(update, 2),
            "SET y = v.column2 FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT)), (CAST($3 AS TEXT), CAST($4 AS BIGINT))) AS v \
             WHERE a.x = v.column1"
        );
    }
}
