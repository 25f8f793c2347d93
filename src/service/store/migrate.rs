//! Brings the tables up to date, each file of `migrations/` once and in order.

use std::borrow::Cow;

use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::SqlitePool,
};

use super::StoreError;

const FILES: &[(i64, &str, &str)] = &[
    (1, "people", include_str!("../../../migrations/0001_people.sql")),
    (2, "customers", include_str!("../../../migrations/0002_customers.sql")),
    (3, "interactions", include_str!("../../../migrations/0003_interactions.sql")),
    (4, "insight", include_str!("../../../migrations/0004_insight.sql")),
    (5, "work", include_str!("../../../migrations/0005_work.sql")),
    (6, "machinery", include_str!("../../../migrations/0006_machinery.sql")),
    (7, "queue", include_str!("../../../migrations/0007_queue.sql")),
    (8, "quality", include_str!("../../../migrations/0008_quality.sql")),
    (9, "outbound", include_str!("../../../migrations/0009_outbound.sql")),
    (10, "binding_transport", include_str!("../../../migrations/0010_binding_transport.sql")),
    (11, "redaction", include_str!("../../../migrations/0011_redaction.sql")),
    (12, "corrections", include_str!("../../../migrations/0012_corrections.sql")),
    (13, "judged", include_str!("../../../migrations/0013_judged.sql")),
    (14, "judged_at", include_str!("../../../migrations/0014_judged_at.sql")),
];

pub(super) async fn run(writer: &SqlitePool) -> Result<(), StoreError> {
    let files = FILES
        .iter()
        .map(|(version, name, sql)| Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, (*sql).into_sql_str(), false));
    Ok(Migrator::with_migrations(files.collect()).run(writer).await?)
}
