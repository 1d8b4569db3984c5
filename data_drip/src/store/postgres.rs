//! PostgreSQL.

#[cfg(test)]
mod batch_tests;
mod catalogue;
#[cfg(test)]
mod catalogue_tests;
#[cfg(test)]
mod claim_tests;
mod explain;
#[cfg(test)]
mod filter_tests;
mod keys;
pub(crate) mod migrate;
pub(crate) mod pooler;
mod presence;
mod session;
#[cfg(test)]
pub(crate) mod testing;
mod values;
#[cfg(test)]
mod walk_tests;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_query::{Expr, LockType, PostgresQueryBuilder, QueryStatementWriter, SelectStatement, Value};
use sea_query_sqlx::SqlxValues;
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgDatabaseError, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection, IntoArguments, Pool, Row, Transaction, TypeInfo, ValueRef};

use self::session::PostgresSession;
use crate::backend::{Backend, Call, Described, Explanation, KeyForm, KeySpec, Presence, Reads, Sealed, Statement};
use crate::backfill::BoxFuture;
use crate::error::Error;
use crate::key::{Key, KeyPart};
use crate::run::RunId;
use crate::scope::{self, Scope, TableName};
use crate::store;
use crate::store::batches::Fence;
use crate::store::migrate::Migrate;

impl Sealed for Postgres {}

/// Statements with more values than this are of another length each time: not worth keeping prepared.
const KEPT: usize = 100;

/// READ COMMITTED whatever the host's default is: each statement has to see what others have committed before it. A process
/// that stands still in the middle of the engine's own bookkeeping must not hold a run's row for ever.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '2s'; \
     SET LOCAL idle_in_transaction_session_timeout = '10s'";

impl Backend for Postgres {
    const LABEL: &'static str = "PostgreSQL";
    const MAX_SLOTS: Option<usize> = None;
    const SQL: &'static crate::store::Sql = &crate::store::POSTGRES;
    const COMPLETE_AND_CLAIM: Option<&'static str> = Some(include_str!("sql/postgres/complete_and_claim.sql"));
    const CHAINS_PAGES: bool = true;
    const MIGRATIONS: &'static [store::migrate::File] = store::migrate::POSTGRES;
    const MIGRATOR_TABLE: &'static str = migrate::MIGRATOR_TABLE;
    const MAX_VALUES: usize = 65_535;
    const NAMES_FOLD: bool = false;
    type Session = PostgresSession;

    fn frugal(options: PgConnectOptions) -> PgConnectOptions {
        options
    }

    fn own(_: &mut PgConnection) -> BoxFuture<'_, sqlx::Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn attach<'c>(
        _: &'c mut PgConnection,
        options: &'c Arc<PgConnectOptions>,
    ) -> BoxFuture<'c, sqlx::Result<PostgresSession>> {
        let session = PostgresSession::new(Arc::clone(options));
        Box::pin(std::future::ready(Ok(session)))
    }

    fn detach(_: &mut PgConnection) -> BoxFuture<'_, sqlx::Result<()>> {
        // Whatever was set ended with its transaction.
        Box::pin(std::future::ready(Ok(())))
    }

    fn begin(conn: &mut PgConnection) -> BoxFuture<'_, sqlx::Result<Transaction<'_, Postgres>>> {
        Box::pin(conn.begin_with(AssertSqlSafe(format!("{BEGIN}{}", pooler::forget_names(conn)))))
    }

    fn begin_batch<'c>(
        conn: &'c mut PgConnection,
        session: &'c PostgresSession,
        fence: String,
        silence: Duration,
    ) -> BoxFuture<'c, sqlx::Result<Transaction<'c, Postgres>>> {
        Box::pin(async move {
            let statement = session.begin(conn, &fence, silence).await?;
            conn.begin_with(AssertSqlSafe(format!("{statement}{}", pooler::forget_names(conn)))).await
        })
    }

    fn begin_held<'c>(
        conn: &'c mut PgConnection,
        session: &'c PostgresSession,
        fence: Fence<'c>,
        silence: Duration,
    ) -> BoxFuture<'c, sqlx::Result<Transaction<'c, Postgres>>> {
        Box::pin(async move {
            let statement = session.begin(conn, &fence.to_string(), silence).await? + &session.look_at(&fence);
            let tx = conn.begin_with(AssertSqlSafe(statement)).await?;
            session.keeps_look();
            Ok(tx)
        })
    }

    fn undo_begin<'c>(
        conn: &'c mut PgConnection,
        session: &'c PostgresSession,
        error: &'c sqlx::Error,
    ) -> BoxFuture<'c, sqlx::Result<()>> {
        session.doubts(error);
        // The driver does not count a transaction whose beginning has failed.
        Box::pin(async move { sqlx::raw_sql("ROLLBACK").execute(conn).await.map(drop) })
    }

    fn finish_batch<'c>(_: &'c mut PgConnection, _: &'c PostgresSession) -> BoxFuture<'c, sqlx::Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn guard<'c>(_: &'c mut PgConnection, session: &'c PostgresSession) -> BoxFuture<'c, sqlx::Result<()>> {
        session.guard();
        Box::pin(std::future::ready(Ok(())))
    }

    fn unguard<'c>(
        conn: &'c mut PgConnection,
        session: &'c PostgresSession,
        answered: bool,
    ) -> BoxFuture<'c, sqlx::Result<bool>> {
        Box::pin(session.unguard(conn, answered))
    }

    fn forget_statements(conn: &mut PgConnection) -> BoxFuture<'_, sqlx::Result<()>> {
        Box::pin(conn.clear_cached_statements())
    }

    fn fetch(conn: &mut PgConnection, statement: Statement) -> BoxFuture<'_, sqlx::Result<Vec<PgRow>>> {
        Box::pin(async move {
            let rows = pooler::fetch_all(conn, query(statement)?).await;
            fresh(conn, rows).await
        })
    }

    fn first(conn: &mut PgConnection, statement: Statement) -> BoxFuture<'_, sqlx::Result<Option<PgRow>>> {
        Box::pin(async move {
            let row = pooler::fetch_optional(conn, query(statement)?).await;
            fresh(conn, row).await
        })
    }

    fn begin_reads(conn: &mut PgConnection, most: Duration) -> BoxFuture<'_, sqlx::Result<Reads<'_, Postgres>>> {
        // Where a page begins is known to the statement that chains pages only while it runs. By the optimizer's guess it may be
        // cheaper to read and sort all that is left of the table, for each page.
        let begin = begin_statement(Instant::now() + most) + "; SET LOCAL enable_sort = off";
        Box::pin(async move { Ok(Reads::Bounded(conn.begin_with(AssertSqlSafe(begin)).await?)) })
    }

    fn first_before<'c>(
        conn: &'c mut PgConnection,
        _: &'c PostgresSession,
        deadline: Instant,
        statement: Statement,
    ) -> BoxFuture<'c, sqlx::Result<Option<PgRow>>> {
        Box::pin(async move {
            if conn.is_in_transaction() {
                return Self::first(conn, statement).await;
            }
            let mut tx = begin_until(conn, deadline).await?;
            let first = Self::first(&mut tx, statement).await;
            tx.rollback().await?;
            first
        })
    }

    fn fetch_before<'c>(
        conn: &'c mut PgConnection,
        _: &'c PostgresSession,
        deadline: Instant,
        statement: Statement,
    ) -> BoxFuture<'c, sqlx::Result<Vec<PgRow>>> {
        Box::pin(async move {
            if conn.is_in_transaction() {
                return Self::fetch(conn, statement).await;
            }
            let mut tx = begin_until(conn, deadline).await?;
            let rows = Self::fetch(&mut tx, statement).await;
            tx.rollback().await?;
            rows
        })
    }

    fn execute(conn: &mut PgConnection, statement: Statement) -> BoxFuture<'_, sqlx::Result<u64>> {
        Box::pin(async move { pooler::execute(conn, query(statement)?).await })
    }

    fn int(row: &PgRow, index: usize) -> sqlx::Result<Option<i64>> {
        match row.try_get_raw(index)?.type_info().name() {
            "BOOL" => Ok(row.try_get::<Option<bool>, _>(index)?.map(i64::from)),
            "INT2" => Ok(row.try_get::<Option<i16>, _>(index)?.map(i64::from)),
            "INT4" => Ok(row.try_get::<Option<i32>, _>(index)?.map(i64::from)),
            _ => row.try_get(index),
        }
    }

    fn text(row: &PgRow, index: usize) -> sqlx::Result<Option<String>> {
        row.try_get_unchecked(index)
    }

    fn build(statement: &impl QueryStatementWriter) -> Statement {
        let (sql, values) = statement.build(PostgresQueryBuilder);
        Statement { sql: typed(sql, &values.0).into(), values: values.0 }
    }

    fn bytes_literal(bytes: &[u8]) -> String {
        // Not '\x…': what a backslash means is a setting.
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        format!("decode('{}', 'hex')", digits.collect::<String>())
    }

    fn spelled(statement: &impl QueryStatementWriter) -> String {
        statement.to_string(PostgresQueryBuilder)
    }

    fn shown(column: &str, most: u32) -> Expr {
        explain::shown(column, most)
    }

    fn explain(conn: &mut PgConnection, statement: Statement) -> BoxFuture<'_, Result<Explanation, Error>> {
        Box::pin(explain::explain(conn, statement))
    }

    fn read_only(_: &mut PgConnection, _: bool) -> BoxFuture<'_, sqlx::Result<()>> {
        // Each read with a deadline says so for its own transaction. A setting of the session would, through a pooler, be met
        // by whoever gets the connection next.
        Box::pin(std::future::ready(Ok(())))
    }

    fn value(value: &scope::Value) -> Result<Expr, Error> {
        Ok(values::bind(value))
    }

    fn key_text(spec: &KeySpec, place: usize) -> Expr {
        keys::text(spec, place)
    }

    fn key_value(spec: &KeySpec, place: usize, part: &KeyPart) -> Result<Expr, Error> {
        keys::value(spec, place, part)
    }

    fn key_after(spec: &KeySpec, after: &Key) -> Result<Expr, Error> {
        keys::after(spec, after)
    }

    fn key_upto(spec: &KeySpec, upto: &Key) -> Result<Expr, Error> {
        keys::upto(spec, upto)
    }

    fn key_before(_: &KeySpec, _: &Key) -> Result<Option<Expr>, Error> {
        Ok(None)
    }

    fn key_in(spec: &KeySpec, keys: &[Key]) -> Result<Expr, Error> {
        keys::among(spec, keys)
    }

    fn has_max(spec: &KeySpec) -> bool {
        // UUIDs, bytes and others have none.
        spec.types.first().is_some_and(|first| first.form == KeyForm::Integer)
    }

    fn by_key(_: &mut SelectStatement, _: &KeySpec) {
        // There is no such hint.
    }

    fn lock_rows(select: &mut SelectStatement) {
        // Not FOR UPDATE: that would make inserts wait which refer to these rows.
        select.lock(LockType::NoKeyUpdate);
    }

    fn describe<'c>(
        conn: &'c mut PgConnection,
        table: &'c TableName,
        key: Option<&'c [String]>,
    ) -> BoxFuture<'c, Result<Described, Error>> {
        Box::pin(catalogue::describe(conn, table, key))
    }

    fn needs_key_order<'c>(
        _: &'c mut PgConnection,
        scope: &'c Scope<Self>,
        _: &'c KeySpec,
    ) -> BoxFuture<'c, Result<bool, Error>> {
        // Which index is entered depends on statistics, and on the mood of a generic plan. Where those are wrong (a column
        // that was just added, for one) every batch would read all of the filters' index.
        Box::pin(std::future::ready(Ok(!scope.filters.is_empty())))
    }

    fn opaque(condition: Expr) -> Expr {
        // Not `IS TRUE`: that of a boolean column is looked up in its index.
        Expr::cust_with_expr("CASE WHEN $1 THEN true ELSE false END", condition)
    }

    fn rows_about<'c>(conn: &'c mut PgConnection, spec: &'c KeySpec) -> BoxFuture<'c, Result<Option<u64>, Error>> {
        Box::pin(catalogue::rows_about(conn, spec))
    }

    fn migrate(pool: &Pool<Postgres>, mode: Migrate) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(migrate::run(pool, mode))
    }

    fn call_to_stop(_: &Pool<Postgres>, _: RunId) -> Option<Box<dyn Send + Sync>> {
        // A batch's transaction does not lock what a stop writes: the database itself can say so.
        None
    }

    fn is_called_to_stop(_: &Pool<Postgres>, _: RunId) -> bool {
        false
    }

    fn notify(conn: &mut PgConnection, what: Call) -> BoxFuture<'_, sqlx::Result<()>> {
        Box::pin(presence::call(conn, what))
    }

    fn presence(
        options: Arc<PgConnectOptions>,
    ) -> BoxFuture<'static, sqlx::Result<Option<Box<dyn Presence<Postgres>>>>> {
        Box::pin(presence::open(options))
    }

    fn reads_beside_writer(_: &mut PgConnection) -> BoxFuture<'_, sqlx::Result<bool>> {
        Box::pin(std::future::ready(Ok(true)))
    }

    fn is_in_memory(_: &Pool<Postgres>) -> BoxFuture<'_, sqlx::Result<bool>> {
        Box::pin(std::future::ready(Ok(false)))
    }

    fn is_transient(error: &(dyn StdError + 'static)) -> bool {
        if let Some(error) = error.downcast_ref::<sqlx::Error>() {
            return match error {
                sqlx::Error::Database(database) => passes(&**database),
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
                _ => false,
            };
        }
        // Error types that keep only the source of an `sqlx::Error` show the driver's own.
        if let Some(database) = error.downcast_ref::<Box<dyn DatabaseError>>() {
            return passes(&**database);
        }
        error.downcast_ref::<PgDatabaseError>().is_some_and(|database| passes(database))
    }

    fn is_stale(error: &(dyn StdError + 'static)) -> bool {
        if let Some(sqlx::Error::Database(database)) = error.downcast_ref::<sqlx::Error>() {
            return database.try_downcast_ref::<PgDatabaseError>().is_some_and(stale);
        }
        if let Some(database) = error.downcast_ref::<Box<dyn DatabaseError>>() {
            return database.try_downcast_ref::<PgDatabaseError>().is_some_and(stale);
        }
        error.downcast_ref::<PgDatabaseError>().is_some_and(stale)
    }

    fn is_spoilt(error: &sqlx::Error) -> bool {
        code(error).as_deref() == Some("25P02")
    }

    fn is_interrupted(error: &sqlx::Error) -> bool {
        code(error).as_deref() == Some("57014")
    }
}

/// A transaction whose statements end at the deadline.
async fn begin_until(conn: &mut PgConnection, deadline: Instant) -> sqlx::Result<Transaction<'_, Postgres>> {
    conn.begin_with(AssertSqlSafe(begin_statement(deadline))).await
}

fn begin_statement(deadline: Instant) -> String {
    let left = deadline.saturating_duration_since(Instant::now()).as_millis().max(1);
    // Compiling a statement takes longer than most of these may run.
    format!("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL statement_timeout = {left}; SET LOCAL jit = off")
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn passes(error: &dyn DatabaseError) -> bool {
    if error.try_downcast_ref::<PgDatabaseError>().is_some_and(stale) {
        return true;
    }
    let Some(code) = error.code() else { return false };
    match &*code {
        // Serialization failure, deadlock, lock timeout.
        "40001" | "40P01" | "55P03"
        // The server is shutting down, has crashed, or is starting; the session was terminated, or was silent for too long.
        | "57P01" | "57P02" | "57P03" | "57P05" | "25P03"
        // Too many connections. Read-only since another server has taken over.
        | "53300" | "25006" => true,
        code => code.starts_with("08"),
    }
}

/// "cached plan must not change result type", in whatever language: nothing else is refused by that routine.
fn stale(error: &PgDatabaseError) -> bool {
    error.code() == "0A000" && error.routine() == Some("RevalidateCachedQuery")
}

/// Lets the next try prepare its statements anew, if this one was refused as stale.
async fn fresh<T>(conn: &mut PgConnection, outcome: sqlx::Result<T>) -> sqlx::Result<T> {
    if outcome.as_ref().is_err_and(|error| Postgres::is_stale(error)) {
        Postgres::forget_statements(conn).await?;
    }
    outcome
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(Into::into)
}

/// Says in a comment which types the values have. sqlx keeps a statement prepared by its text, with the types of the values
/// that it was first seen with: `x = $1` with a float would be run with its bits read as an integer.
fn typed(sql: String, values: &[Value]) -> String {
    if values.is_empty() || values.len() > KEPT {
        return sql;
    }
    let types: Vec<_> = values.iter().map(type_name).collect();
    format!("{sql} /* {} */", types.join(" "))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::TinyInt(_) => "i8",
        Value::SmallInt(_) | Value::TinyUnsigned(_) => "i16",
        Value::Int(_) | Value::SmallUnsigned(_) => "i32",
        Value::BigInt(_) | Value::Unsigned(_) | Value::BigUnsigned(_) => "i64",
        Value::Float(_) => "f32",
        Value::Double(_) => "f64",
        Value::String(_) | Value::Char(_) | Value::Enum(_) => "text",
        Value::Bytes(_) => "bytes",
        // Kinds of value that features of the host's sea-query add.
        #[allow(unreachable_patterns, reason = "they depend on features that the host may turn on")]
        other => std::any::type_name_of_val(other),
    }
}

/// The one place where the text of statements with values crosses to sqlx: every value is bound.
fn query(statement: Statement) -> sqlx::Result<Query<'static, Postgres, PgArguments>> {
    for value in &statement.values {
        // The binder would panic.
        if let Value::BigUnsigned(Some(number)) = value
            && i64::try_from(*number).is_err()
        {
            let message = format!("{number} is greater than PostgreSQL's greatest bigint, {}", i64::MAX);
            return Err(sqlx::Error::Encode(message.into()));
        }
    }
    let kept = statement.values.len() <= KEPT && pooler::keeps_names();
    let values = IntoArguments::<Postgres>::into_arguments(SqlxValues(sea_query::Values(statement.values)));
    Ok(sqlx::query_with(AssertSqlSafe(statement.sql), values).persistent(kept))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::postgres::testing::Schema;

    #[tokio::test]
    async fn a_statement_that_was_prepared_for_other_columns_is_transient_and_prepared_anew() {
        let Some((_schema, mut conn)) = Schema::with("CREATE TABLE t (a integer, b integer)").await else { return };
        let all = || Statement::of("SELECT * FROM t");
        Postgres::fetch(&mut conn, all()).await.unwrap();
        sqlx::raw_sql("ALTER TABLE t ADD COLUMN c integer; INSERT INTO t VALUES (1, 2, 3)")
            .execute(&mut conn)
            .await
            .unwrap();
        let error = Postgres::fetch(&mut conn, all()).await.unwrap_err();
        assert!(Postgres::is_stale(&error) && Postgres::is_transient(&error), "{error}");
        let failure = crate::error::Failure::from(error);
        assert!(failure.chain().any(Postgres::is_stale));
        let rows = Postgres::fetch(&mut conn, all()).await.unwrap();
        assert_eq!(Postgres::int(&rows[0], 2).unwrap(), Some(3));
    }
}
