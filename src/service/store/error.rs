//! What can go wrong with the record, in words that say what to do.

/// A failure of the record.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not do what was asked.
    #[error("the database failed: {0}. Check that the disk has room and that no other program holds the file")]
    Database(#[from] sqlx::Error),
    /// The tables could not be brought up to date.
    #[error("the database could not be brought up to date: {0}. Restore a backup or use the program version that wrote it")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A row holds something that this version does not understand.
    #[error("the database holds a value in {column} that this version does not know. Use the program version that wrote it")]
    Corrupt {
        /// The column.
        column: String,
    },
    /// A value could not be written as JSON.
    #[error("a value could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The operating system has no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Entropy(#[from] getrandom::Error),
    /// No such row, or none that the caller may know of.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Somebody else changed it first.
    #[error("{what} was changed by somebody else; read it again")]
    Conflict {
        /// What was changed.
        what: &'static str,
        /// What stands there now.
        current: serde_json::Value,
    },
    /// The request cannot be right.
    #[error("{0}")]
    Invalid(&'static str),
}

impl StoreError {
    /// Whether waiting and trying the same again may help: the database is locked, full or away.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => {
                // SQLite primary result codes: BUSY 5, LOCKED 6, NOMEM 7, READONLY 8, INTERRUPT 9, IOERR 10, FULL 13, CANTOPEN 14.
                let code = error.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or(0) & 0xff;
                matches!(code, 5..=10 | 13 | 14)
            }
            Self::Database(sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed)
            | Self::Entropy(_) => true,
            Self::Database(_)
            | Self::Migrate(_)
            | Self::Corrupt { .. }
            | Self::Json(_)
            | Self::NotFound(_)
            | Self::Conflict { .. }
            | Self::Invalid(_) => false,
        }
    }
}
