//! Addresses and whose they are, over time.

use super::{
    StoreError,
    customers::opt_who,
    db::{Columns, Conn, fresh, opt_id, results, word},
    events::{NewEvent, emit},
    text::{LINE_MAX, line},
};
use crate::{
    domain::customer::{brief::Who, identity::Address},
    ids::{AgentId, CustomerId, IdentityId},
    time::UnixMs,
};

/// Most customers of one address that are looked at: a switchboard's number may have hundreds, and a brief shows three.
const SHARED_MAX: i64 = 12;

/// The identity of an address, where the record has it.
pub(super) async fn find(conn: &mut Conn, address: &Address) -> Result<Option<IdentityId>, StoreError> {
    let row = sqlx::query("SELECT identity FROM identity WHERE kind = $1 AND normalised = $2")
        .bind(word(&address.kind))
        .bind(&address.normalised)
        .fetch_optional(conn)
        .await?;
    row.map(|row| row.id("identity")).transpose()
}

/// The identity of an address, provisional when it is new.
pub(super) async fn find_or_create(
    conn: &mut Conn,
    address: &Address,
    country: Option<&str>,
    at: UnixMs,
) -> Result<IdentityId, StoreError> {
    if let Some(identity) = find(conn, address).await? {
        return Ok(identity);
    }
    let identity = fresh(IdentityId::new, at)?;
    let new = sqlx::query(
        "INSERT INTO identity (identity, kind, normalised, raw, country, first_seen) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (kind, normalised) DO NOTHING",
    )
    .bind(identity.to_string())
    .bind(word(&address.kind))
    .bind(&address.normalised)
    .bind(line(&address.raw, LINE_MAX))
    .bind(country)
    .bind(at.0)
    .execute(&mut *conn)
    .await?;
    if new.rows_affected() > 0 {
        return Ok(identity);
    }
    find(conn, address).await?.ok_or(StoreError::NotFound("identity"))
}

/// The columns of customers who have an address now, longest theirs first; what says which address follows.
macro_rules! owners_where {
    ($before:literal, $which:literal) => {
        concat!(
            $before,
            "SELECT c.customer, c.name AS customer_name, o.name AS organisation_name, c.vip, c.language, c.since \
             FROM identity_customer l JOIN customer c ON c.customer = l.customer \
             LEFT JOIN organisation o ON o.organisation = c.organisation WHERE l.identity = ",
            $which,
            " AND l.until IS NULL AND c.erased_at IS NULL ORDER BY l.since, l.customer LIMIT $1"
        )
    };
}

/// The customers who have an address now, longest theirs first.
pub(super) async fn owners(conn: &mut Conn, identity: IdentityId) -> Result<Vec<Who>, StoreError> {
    let rows = sqlx::query(owners_where!("", "$2")).bind(SHARED_MAX).bind(identity.to_string()).fetch_all(conn).await?;
    rows.iter().filter_map(|row| opt_who(row).transpose()).collect()
}

/// The identity of an address, where the record has it, and its customers as of [`owners`].
pub(super) async fn find_with_owners(conn: &mut Conn, address: &Address) -> Result<(Option<IdentityId>, Vec<Who>), StoreError> {
    let query = sqlx::query(owners_where!(
        "SELECT identity FROM identity WHERE kind = $2 AND normalised = $3; ",
        "(SELECT identity FROM identity WHERE kind = $2 AND normalised = $3)"
    ));
    let query = query.bind(SHARED_MAX).bind(word(&address.kind)).bind(&address.normalised);
    let [identity, owners] = results(conn, query).await?;
    let identity = identity.first().map(|row| row.id("identity")).transpose()?;
    Ok((identity, owners.iter().filter_map(|row| opt_who(row).transpose()).collect::<Result<_, _>>()?))
}

pub(super) async fn is_current(conn: &mut Conn, identity: IdentityId, customer: CustomerId) -> Result<bool, StoreError> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM identity_customer WHERE identity = $1 AND customer = $2 AND until IS NULL LIMIT 1")
            .bind(identity.to_string())
            .bind(customer.to_string())
            .fetch_optional(conn)
            .await?;
    Ok(found.is_some())
}

/// Says that an address is a customer's: why, by whom, how sure (percent).
pub(super) async fn give_to(
    conn: &mut Conn,
    identity: IdentityId,
    customer: CustomerId,
    (why, by, confidence): (&str, Option<AgentId>, u8),
    at: UnixMs,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO identity_customer (identity, customer, since, why, by_agent, confidence) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT DO NOTHING",
    )
    .bind(identity.to_string())
    .bind(customer.to_string())
    .bind(at.0)
    .bind(why)
    .bind(opt_id(by))
    .bind(i64::from(confidence))
    .execute(conn)
    .await?;
    Ok(())
}

/// Facts that came by an address that now has exactly one customer follow it, as far as nobody said otherwise.
pub(super) async fn adopt(conn: &mut Conn, identity: IdentityId, at: UnixMs) -> Result<(), StoreError> {
    let owners = owners(conn, identity).await?;
    let [sole] = owners.as_slice() else { return Ok(()) };
    let (identity, customer) = (identity.to_string(), sole.customer.to_string());
    for follow in [
        "UPDATE interaction SET customer = $2, customer_choice = 'sole' WHERE identity = $1 AND customer IS NULL",
        "UPDATE ticket SET customer = $2 WHERE identity = $1 AND customer IS NULL",
        "UPDATE work_item SET customer = $2 WHERE identity = $1 AND customer IS NULL",
    ] {
        sqlx::query(follow).bind(&identity).bind(&customer).execute(&mut *conn).await?;
    }
    let first = "UPDATE customer SET since = (SELECT MIN(at) FROM interaction WHERE identity = $1 AND customer = $2) \
         WHERE customer = $2 AND EXISTS (SELECT 1 FROM interaction WHERE identity = $1 AND customer = $2)";
    sqlx::query(first).bind(&identity).bind(&customer).execute(&mut *conn).await?;
    emit(conn, at, NewEvent { kind: "identity.adopted", customer: Some(sole.customer), ..NewEvent::default() }).await
}
