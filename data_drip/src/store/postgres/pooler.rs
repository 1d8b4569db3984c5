//! Statements through a pooler that gives each transaction another connection.
//!
//! A statement that is prepared by name stays with the connection that it was prepared on. Poolers carry names along
//! (`PgBouncer` from 1.21, with `max_prepared_statements`), or the host tells the driver not to keep any, with
//! `statement_cache_capacity(0)`. Then every statement of the engine is prepared without a name, and in a transaction: sqlx
//! sends the preparation and the execution apart, and in between somebody else can get the connection.

use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::postgres::{PgArguments, PgConnection, PgPool, PgRow, PgTransactionManager, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Execute, Row};
use sqlx_core::transaction::TransactionManager;

use super::code;
use crate::error::{Error, ErrorKind};

/// A connection does not tell what it was opened with. Nothing goes wrong without names: if one pool of the process keeps
/// none, the engine keeps none at all.
static KEEPS_NAMES: AtomicBool = AtomicBool::new(true);

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// Whether statements may be prepared by name.
pub(super) fn keeps_names() -> bool {
    KEEPS_NAMES.load(Ordering::Relaxed)
}

/// What the beginning of a transaction ends with that user code will work in: what it prepares with a name, as sqlx does
/// unasked, must not meet the names that others have left on the connection.
pub(crate) fn forget_names(conn: &PgConnection) -> &'static str {
    if keeps_names() || conn.cached_statements_size() > 0 { "" } else { "; DEALLOCATE ALL" }
}

pub(super) async fn fetch_all(
    conn: &mut PgConnection,
    query: Query<'_, Postgres, PgArguments>,
) -> sqlx::Result<Vec<PgRow>> {
    if may_stand_alone(conn, &query) {
        return query.fetch_all(conn).await;
    }
    let mut tx = conn.begin_with(BEGIN).await?;
    let rows = query.fetch_all(&mut *tx).await?;
    tx.commit().await?;
    Ok(rows)
}

pub(super) async fn fetch_optional(
    conn: &mut PgConnection,
    query: Query<'_, Postgres, PgArguments>,
) -> sqlx::Result<Option<PgRow>> {
    if may_stand_alone(conn, &query) {
        return query.fetch_optional(conn).await;
    }
    let mut tx = conn.begin_with(BEGIN).await?;
    let row = query.fetch_optional(&mut *tx).await?;
    tx.commit().await?;
    Ok(row)
}

pub(super) async fn execute(conn: &mut PgConnection, query: Query<'_, Postgres, PgArguments>) -> sqlx::Result<u64> {
    if may_stand_alone(conn, &query) {
        return Ok(query.execute(conn).await?.rows_affected());
    }
    let mut tx = conn.begin_with(BEGIN).await?;
    let done = query.execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(done.rows_affected())
}

fn may_stand_alone(conn: &PgConnection, query: &Query<'_, Postgres, PgArguments>) -> bool {
    query.persistent() || PgTransactionManager::get_transaction_depth(conn) > 0
}

/// Takes note of what the host says about names, and refuses a pooler that would mix them up.
///
/// # Errors
/// [`ErrorKind::Configuration`] with what to do; whatever the database says.
pub(crate) async fn check(pool: &PgPool) -> Result<(), Error> {
    let options = pool.connect_options();
    let url = options.to_url_lossy();
    if url.query_pairs().any(|(name, value)| name == "statement-cache-capacity" && value == "0") {
        KEEPS_NAMES.store(false, Ordering::Relaxed);
        return Ok(());
    }
    let mut first = options.connect().await?;
    let mut second = options.connect().await?;
    let lost = loses_names(&mut first, &mut second).await;
    let _ = first.close().await;
    let _ = second.close().await;
    if lost? { Err(Error::new(ErrorKind::Configuration, LOSES_NAMES)) } else { Ok(()) }
}

const LOSES_NAMES: &str = "between this process and PostgreSQL stands a pooler that gives each transaction another \
     connection and loses prepared statements: set `max_prepared_statements` in PgBouncer from 1.21 on, or \
     `.statement_cache_capacity(0)` on the options of the pool's connections (in a URL: `?statement-cache-capacity=0`)";

/// Whether two connections are seen to share one of the server's, and a statement that is prepared on the first is gone when
/// the second has taken that away. What it does not see, it does not say: others may be quicker.
async fn loses_names(first: &mut PgConnection, second: &mut PgConnection) -> sqlx::Result<bool> {
    let statement = || sqlx::query("SELECT pg_backend_pid()");
    let prepared_on: i32 = match statement().fetch_one(&mut *first).await {
        Ok(row) => row.try_get(0)?,
        Err(error) if is_mixed_up(&error) => return Ok(true),
        Err(error) => return Err(error),
    };
    let mut tx = second.begin_with(BEGIN).await?;
    if backend(&mut tx).await? != prepared_on {
        return Ok(false);
    }
    let again = statement().fetch_one(first).await;
    // Not left to those who get the connection next.
    sqlx::raw_sql("DEALLOCATE ALL").execute(&mut *tx).await?;
    tx.rollback().await?;
    match again {
        Ok(_) => Ok(false),
        Err(error) if is_mixed_up(&error) => Ok(true),
        Err(error) => Err(error),
    }
}

/// The process that serves the connection now.
async fn backend(conn: &mut PgConnection) -> sqlx::Result<i32> {
    // Without preparing anything; so the answer is text.
    let row = sqlx::raw_sql(AssertSqlSafe("SELECT pg_backend_pid()")).fetch_one(conn).await?;
    row.try_get(0)
}

/// There is no prepared statement of that name, or there is one already.
fn is_mixed_up(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("26000" | "42P05"))
}
