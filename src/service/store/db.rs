//! The one place that names the database driver, and how values become columns and back.

use std::str::FromStr;

use futures_util::TryStreamExt as _;
use serde::{Serialize, de::DeserializeOwned, de::IntoDeserializer, de::value::StrDeserializer};
use sqlx::{Either, Executor as _, Row as _};

use super::StoreError;
use crate::{
    ids::{Entropy, PhoneNumber},
    time::UnixMs,
};

/// One connection.
pub(super) type Conn = sqlx::SqliteConnection;
/// One row.
pub(super) type Row = sqlx::sqlite::SqliteRow;
/// One transaction.
pub(super) type Tx = sqlx::Transaction<'static, sqlx::Sqlite>;

/// A statement with its values.
pub(super) type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

/// The rows of `N` statements in one text, parted by semicolons, which share their numbered parameters: one turn of the database's
/// thread instead of `N`, and each turn is two switches of threads.
pub(super) async fn results<const N: usize>(conn: &mut Conn, query: Query<'_>) -> Result<[Vec<Row>; N], StoreError> {
    let mut results = [const { Vec::new() }; N];
    let mut at = 0;
    let mut stream = conn.fetch_many(query);
    while let Some(next) = stream.try_next().await? {
        match next {
            Either::Left(_) => at += 1,
            Either::Right(row) => results.get_mut(at).ok_or_else(|| corrupt("of a statement too many"))?.push(row),
        }
    }
    Ok(results)
}

/// The word of a unit enum as it stands in a column: its serde name.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).map(|json| json.trim_matches('"').to_owned()).unwrap_or_default()
}

/// The words of an optional unit enum.
pub(super) fn opt_word<T: Serialize>(value: Option<&T>) -> Option<String> {
    value.map(word)
}

/// An id as a column.
pub(super) fn opt_id<T: ToString>(id: Option<T>) -> Option<String> {
    id.map(|id| id.to_string())
}

/// A new id of the given kind.
pub(super) fn fresh<T>(make: fn(UnixMs, Entropy) -> T, at: UnixMs) -> Result<T, StoreError> {
    let mut entropy = Entropy::default();
    getrandom::fill(&mut entropy)?;
    Ok(make(at, entropy))
}

/// Typed reading of columns.
pub(super) trait Columns {
    /// A text.
    fn text(&self, column: &str) -> Result<String, StoreError>;
    /// A text or NULL.
    fn opt_text(&self, column: &str) -> Result<Option<String>, StoreError>;
    /// An integer of any width that fits.
    fn int<T: TryFrom<i64>>(&self, column: &str) -> Result<T, StoreError>;
    /// An integer or NULL.
    fn opt_int<T: TryFrom<i64>>(&self, column: &str) -> Result<Option<T>, StoreError>;
    /// A boolean kept as 0 or 1.
    fn flag(&self, column: &str) -> Result<bool, StoreError> {
        Ok(self.int::<i64>(column)? != 0)
    }
    /// A time.
    fn at(&self, column: &str) -> Result<UnixMs, StoreError> {
        Ok(UnixMs(self.int(column)?))
    }
    /// A time or NULL.
    fn opt_at(&self, column: &str) -> Result<Option<UnixMs>, StoreError> {
        Ok(self.opt_int(column)?.map(UnixMs))
    }
    /// An id, an address: anything with a text form.
    fn id<T: FromStr>(&self, column: &str) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|_| corrupt(column))
    }
    /// The same, or NULL.
    fn opt_id<T: FromStr>(&self, column: &str) -> Result<Option<T>, StoreError> {
        self.opt_text(column)?.map(|text| text.parse().map_err(|_| corrupt(column))).transpose()
    }
    /// A unit enum by its serde name.
    fn word<T: DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        from_word(&self.text(column)?).ok_or_else(|| corrupt(column))
    }
    /// The same, or NULL.
    fn opt_word<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>, StoreError> {
        self.opt_text(column)?.map(|text| from_word(&text).ok_or_else(|| corrupt(column))).transpose()
    }
    /// A JSON value.
    fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        serde_json::from_str(&self.text(column)?).map_err(|_| corrupt(column))
    }
    /// A telephone number or NULL.
    fn number(&self, column: &str) -> Result<Option<PhoneNumber>, StoreError> {
        Ok(self.opt_text(column)?.and_then(|text| PhoneNumber::parse_e164(&text).ok()))
    }
}

fn from_word<T: DeserializeOwned>(text: &str) -> Option<T> {
    let name: StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
    T::deserialize(name).ok()
}

fn corrupt(column: &str) -> StoreError {
    StoreError::Corrupt { column: column.to_owned() }
}

impl Columns for Row {
    fn text(&self, column: &str) -> Result<String, StoreError> {
        Ok(self.try_get(column)?)
    }
    fn opt_text(&self, column: &str) -> Result<Option<String>, StoreError> {
        Ok(self.try_get(column)?)
    }
    fn int<T: TryFrom<i64>>(&self, column: &str) -> Result<T, StoreError> {
        T::try_from(self.try_get::<i64, _>(column)?).map_err(|_| corrupt(column))
    }
    fn opt_int<T: TryFrom<i64>>(&self, column: &str) -> Result<Option<T>, StoreError> {
        self.try_get::<Option<i64>, _>(column)?.map(|n| T::try_from(n).map_err(|_| corrupt(column))).transpose()
    }
}
