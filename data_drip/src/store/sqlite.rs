//! SQLite.

#[cfg(test)]
mod batch_tests;
mod catalogue;
#[cfg(test)]
mod catalogue_tests;
mod explain;
#[cfg(test)]
mod filter_tests;
mod keys;
pub(crate) mod migrate;
mod session;
mod stop_call;
#[cfg(test)]
pub(crate) mod testing;
mod values;
#[cfg(test)]
mod walk_tests;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_query::{Expr, QueryStatementWriter, SelectStatement, SqliteQueryBuilder, Value};
use sea_query_sqlx::SqlxValues;
use sqlx::error::DatabaseError;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteError, SqliteRow};
use sqlx::{AssertSqlSafe, Connection, IntoArguments, Pool, Row, Transaction};

use self::session::SqliteSession;
use crate::backend::{Backend, Call, Described, Explanation, KeySpec, Presence, Sealed, Statement};
use crate::backfill::BoxFuture;
use crate::error::Error;
use crate::key::{Key, KeyPart};
use crate::run::RunId;
use crate::scope::{self, Scope, TableName};
use crate::store;
use crate::store::migrate::Migrate;

impl Sealed for Sqlite {}

impl Backend for Sqlite {
    const LABEL: &'static str = "SQLite";
    // One writer at a time, whoever it is: a second slot would only wait for the first.
    const MAX_SLOTS: Option<usize> = Some(1);
    const SQL: &'static crate::store::Sql = &crate::store::SQLITE;
    const COMPLETE_AND_CLAIM: Option<&'static str> = Some(include_str!("sql/sqlite/complete_and_claim.sql"));
    const MIGRATIONS: &'static [store::migrate::File] = store::migrate::SQLITE;
    const MIGRATOR_TABLE: &'static str = migrate::MIGRATOR_TABLE;
    const MAX_VALUES: usize = 32_766;
    const NAMES_FOLD: bool = true;
    type Session = SqliteSession;

    fn frugal(options: SqliteConnectOptions) -> SqliteConnectOptions {
        // 256 KiB instead of 2 MiB of page cache: a walk needs its pages once.
        options.pragma("cache_size", "-256")
    }

    fn own(_: &mut SqliteConnection) -> BoxFuture<'_, sqlx::Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn attach<'c>(
        conn: &'c mut SqliteConnection,
        _: &'c Arc<SqliteConnectOptions>,
    ) -> BoxFuture<'c, sqlx::Result<SqliteSession>> {
        Box::pin(SqliteSession::attach(conn))
    }

    fn detach(conn: &mut SqliteConnection) -> BoxFuture<'_, sqlx::Result<()>> {
        Box::pin(SqliteSession::detach(conn))
    }

    fn begin(conn: &mut SqliteConnection) -> BoxFuture<'_, sqlx::Result<Transaction<'_, Sqlite>>> {
        // A plain `BEGIN` reads first and fails to upgrade when another process has written since (SQLITE_BUSY_SNAPSHOT,
        // which no busy timeout waits out).
        Box::pin(async move {
            session::settle(conn).await?;
            conn.begin_with("BEGIN IMMEDIATE").await
        })
    }

    fn begin_batch<'c>(
        conn: &'c mut SqliteConnection,
        _: &'c SqliteSession,
        _: String,
        _: Duration,
    ) -> BoxFuture<'c, sqlx::Result<Transaction<'c, Sqlite>>> {
        // A process that stands still has the only write lock: nobody can take anything over before it lets go.
        Self::begin(conn)
    }

    fn finish_batch<'c>(_: &'c mut SqliteConnection, _: &'c SqliteSession) -> BoxFuture<'c, sqlx::Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn guard<'c>(_: &'c mut SqliteConnection, session: &'c SqliteSession) -> BoxFuture<'c, sqlx::Result<()>> {
        session.guard();
        Box::pin(std::future::ready(Ok(())))
    }

    fn unguard<'c>(
        conn: &'c mut SqliteConnection,
        session: &'c SqliteSession,
        answered: bool,
    ) -> BoxFuture<'c, sqlx::Result<bool>> {
        Box::pin(session.unguard(conn, answered))
    }

    fn forget_statements(conn: &mut SqliteConnection) -> BoxFuture<'_, sqlx::Result<()>> {
        Box::pin(conn.clear_cached_statements())
    }

    fn fetch(conn: &mut SqliteConnection, statement: Statement) -> BoxFuture<'_, sqlx::Result<Vec<SqliteRow>>> {
        Box::pin(async move { query(statement)?.fetch_all(conn).await })
    }

    fn first(conn: &mut SqliteConnection, statement: Statement) -> BoxFuture<'_, sqlx::Result<Option<SqliteRow>>> {
        Box::pin(async move { query(statement)?.fetch_optional(conn).await })
    }

    fn first_before<'c>(
        conn: &'c mut SqliteConnection,
        session: &'c SqliteSession,
        deadline: Instant,
        statement: Statement,
    ) -> BoxFuture<'c, sqlx::Result<Option<SqliteRow>>> {
        Box::pin(async move {
            session.deadline(Some(deadline));
            let first = Self::first(conn, statement).await;
            session.deadline(None);
            first
        })
    }

    fn fetch_before<'c>(
        conn: &'c mut SqliteConnection,
        session: &'c SqliteSession,
        deadline: Instant,
        statement: Statement,
    ) -> BoxFuture<'c, sqlx::Result<Vec<SqliteRow>>> {
        Box::pin(async move {
            session.deadline(Some(deadline));
            let rows = Self::fetch(conn, statement).await;
            session.deadline(None);
            rows
        })
    }

    fn execute(conn: &mut SqliteConnection, statement: Statement) -> BoxFuture<'_, sqlx::Result<u64>> {
        Box::pin(async move { Ok(query(statement)?.execute(conn).await?.rows_affected()) })
    }

    fn int(row: &SqliteRow, index: usize) -> sqlx::Result<Option<i64>> {
        row.try_get_unchecked(index)
    }

    fn text(row: &SqliteRow, index: usize) -> sqlx::Result<Option<String>> {
        row.try_get_unchecked(index)
    }

    fn build(statement: &impl QueryStatementWriter) -> Statement {
        let (sql, values) = statement.build(SqliteQueryBuilder);
        Statement { sql: sql.into(), values: values.0 }
    }

    fn bytes_literal(bytes: &[u8]) -> String {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        format!("x'{}'", digits.collect::<String>())
    }

    fn value(value: &scope::Value) -> Result<Expr, Error> {
        values::bind(value)
    }

    fn key_text(spec: &KeySpec, place: usize) -> Expr {
        keys::text(&spec.columns[place])
    }

    fn key_value(_: &KeySpec, _: usize, part: &KeyPart) -> Result<Expr, Error> {
        keys::value(part)
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

    fn has_max(_: &KeySpec) -> bool {
        true
    }

    fn by_key(_: &mut SelectStatement, _: &KeySpec) {
        // There is no such hint.
    }

    fn lock_rows(_: &mut SelectStatement) {
        // The transaction holds the database's only write lock from its first statement on.
    }

    fn spelled(statement: &impl QueryStatementWriter) -> String {
        statement.to_string(SqliteQueryBuilder)
    }

    fn shown(column: &str, most: u32) -> Expr {
        explain::shown(column, most)
    }

    fn explain(conn: &mut SqliteConnection, statement: Statement) -> BoxFuture<'_, Result<Explanation, Error>> {
        Box::pin(explain::explain(conn, statement))
    }

    fn read_only(conn: &mut SqliteConnection, on: bool) -> BoxFuture<'_, sqlx::Result<()>> {
        let statement = if on { "PRAGMA query_only = ON" } else { "PRAGMA query_only = OFF" };
        Box::pin(async move { Self::execute(conn, Statement::of(statement)).await.map(drop) })
    }

    fn describe<'c>(
        conn: &'c mut SqliteConnection,
        table: &'c TableName,
        key: Option<&'c [String]>,
    ) -> BoxFuture<'c, Result<Described, Error>> {
        Box::pin(catalogue::describe(conn, table, key))
    }

    fn needs_key_order<'c>(
        conn: &'c mut SqliteConnection,
        scope: &'c Scope<Self>,
        spec: &'c KeySpec,
    ) -> BoxFuture<'c, Result<bool, Error>> {
        Box::pin(catalogue::needs_key_order(conn, scope, spec))
    }

    fn opaque(condition: Expr) -> Expr {
        Expr::cust_with_expr("(?) IS TRUE", condition)
    }

    fn rows_about<'c>(conn: &'c mut SqliteConnection, spec: &'c KeySpec) -> BoxFuture<'c, Result<Option<u64>, Error>> {
        Box::pin(catalogue::rows_about(conn, spec))
    }

    fn migrate(pool: &Pool<Sqlite>, mode: Migrate) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(migrate::run(pool, mode))
    }

    fn call_to_stop(pool: &Pool<Sqlite>, run: RunId) -> Option<Box<dyn Send + Sync>> {
        stop_call::call(pool, run).map(|call| Box::new(call) as _)
    }

    fn is_called_to_stop(pool: &Pool<Sqlite>, run: RunId) -> bool {
        stop_call::is_called(pool, run)
    }

    fn notify(_: &mut SqliteConnection, _: Call) -> BoxFuture<'_, sqlx::Result<()>> {
        // Others look at the file.
        Box::pin(std::future::ready(Ok(())))
    }

    fn presence(_: Arc<SqliteConnectOptions>) -> BoxFuture<'static, sqlx::Result<Option<Box<dyn Presence<Sqlite>>>>> {
        // Nobody sees who else has the file open.
        Box::pin(std::future::ready(Ok(None)))
    }

    fn reads_beside_writer(conn: &mut SqliteConnection) -> BoxFuture<'_, sqlx::Result<bool>> {
        Box::pin(async move {
            // With a rollback journal a transaction shuts readers out as soon as it outgrows the cache.
            let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(conn).await?;
            Ok(mode == "wal")
        })
    }

    fn is_in_memory(pool: &Pool<Sqlite>) -> BoxFuture<'_, sqlx::Result<bool>> {
        Box::pin(async move {
            // The connect options do not tell: a `file:…?mode=memory` name hides in the file name. The database does.
            let file: Option<String> =
                sqlx::query_scalar("SELECT file FROM pragma_database_list WHERE name = 'main'").fetch_one(pool).await?;
            Ok(file.is_none_or(|file| file.is_empty()))
        })
    }

    fn is_transient(error: &(dyn StdError + 'static)) -> bool {
        if let Some(error) = error.downcast_ref::<sqlx::Error>() {
            return match error {
                sqlx::Error::Database(database) => is_busy(&**database),
                sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => true,
                _ => false,
            };
        }
        // Error types that keep only the source of an `sqlx::Error` show the driver's own.
        if let Some(database) = error.downcast_ref::<Box<dyn DatabaseError>>() {
            return is_busy(&**database);
        }
        error.downcast_ref::<SqliteError>().is_some_and(|database| is_busy(database))
    }

    fn is_stale(_: &(dyn StdError + 'static)) -> bool {
        // SQLite prepares it anew by itself; that sqlx does not hear of it is what the schema's version is looked at for.
        false
    }

    fn is_spoilt(_: &sqlx::Error) -> bool {
        // A statement that fails is undone alone, or takes the whole transaction with it.
        false
    }

    fn is_interrupted(error: &sqlx::Error) -> bool {
        const SQLITE_INTERRUPT: i32 = 9;
        matches!(error, sqlx::Error::Database(database) if primary_code(&**database) == Some(SQLITE_INTERRUPT))
    }
}

fn is_busy(error: &dyn DatabaseError) -> bool {
    const SQLITE_BUSY: i32 = 5;
    const SQLITE_LOCKED: i32 = 6;
    // Processes that open the write-ahead log at the same moment.
    const SQLITE_PROTOCOL: i32 = 15;
    matches!(primary_code(error), Some(SQLITE_BUSY | SQLITE_LOCKED | SQLITE_PROTOCOL))
}

/// The result code without the extension: 517 (`SQLITE_BUSY_SNAPSHOT`) is a kind of 5.
fn primary_code(error: &dyn DatabaseError) -> Option<i32> {
    Some(error.code()?.parse::<i32>().ok()? & 0xff)
}

/// Where statements of the engine and of scopes cross to sqlx: every value of them is bound.
fn query(statement: Statement) -> sqlx::Result<Query<'static, Sqlite, SqliteArguments>> {
    /// Statements with more values than this are lists of keys, each of another length: not worth keeping prepared.
    const KEPT: usize = 100;
    for value in &statement.values {
        // The binder would panic.
        if let Value::BigUnsigned(Some(number)) = value
            && i64::try_from(*number).is_err()
        {
            let message = format!("{number} is greater than SQLite's greatest integer, {}", i64::MAX);
            return Err(sqlx::Error::Encode(message.into()));
        }
    }
    let kept = statement.values.len() <= KEPT;
    let values = IntoArguments::<Sqlite>::into_arguments(SqlxValues(sea_query::Values(statement.values)));
    Ok(sqlx::query_with(AssertSqlSafe(statement.sql), values).persistent(kept))
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::error::Failure;
    use crate::store::sqlite::testing::{File, run};

    async fn busy() -> sqlx::Error {
        let (file, mut holder) = File::with("CREATE TABLE t (id INTEGER PRIMARY KEY)").await;
        let mut other = file.options().busy_timeout(std::time::Duration::ZERO);
        other = sqlx::ConnectOptions::disable_statement_logging(other);
        let mut other = sqlx::ConnectOptions::connect(&other).await.unwrap();
        let _tx = Sqlite::begin(&mut holder).await.unwrap();
        Sqlite::begin(&mut other).await.err().unwrap()
    }

    #[tokio::test]
    async fn a_busy_database_is_transient_wherever_the_error_stands_in_the_chain() {
        #[derive(Debug, thiserror::Error)]
        #[error("could not convert the row")]
        struct Hidden(#[source] Box<dyn StdError + Send + Sync>);

        let plain = Failure::from(busy().await);
        assert!(Sqlite::is_transient(plain.chain().next().unwrap()));
        let wrapped = Failure::from(Hidden(Box::new(busy().await)));
        assert!(wrapped.chain().any(Sqlite::is_transient));
        assert!(!Sqlite::is_transient(wrapped.chain().next().unwrap()));
        // What is left of it when only its source was kept.
        let error = busy().await;
        assert!(Sqlite::is_transient(error.source().unwrap()));
        let bare = error.into_database_error().unwrap().downcast::<SqliteError>();
        assert!(Sqlite::is_transient(&*bare));
        let ours = Failure::from(Error::from(busy().await));
        assert!(ours.chain().any(Sqlite::is_transient));
    }

    #[tokio::test]
    async fn a_constraint_is_not_transient() {
        let (_file, mut conn) = File::with("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)").await;
        let error = Sqlite::execute(&mut conn, Statement::of("INSERT INTO t VALUES (1)")).await.unwrap_err();
        assert!(!Sqlite::is_transient(&error));
        assert!(!Sqlite::is_transient(error.source().unwrap()));
    }

    #[tokio::test]
    async fn a_number_too_great_for_sqlite_is_an_error_and_not_a_panic() {
        let (_file, mut conn) = File::with("").await;
        let error = Sqlite::fetch(&mut conn, Statement::of("SELECT ?").bind(u64::MAX)).await.unwrap_err();
        assert!(error.to_string().contains("18446744073709551615"), "{error}");
        run(&mut conn, "SELECT 1").await;
    }

    #[tokio::test]
    async fn a_database_in_memory_is_told_from_a_file() {
        let file = File::new();
        let pool = Pool::<Sqlite>::connect_with(file.options()).await.unwrap();
        assert!(!Sqlite::is_in_memory(&pool).await.unwrap());
        for url in ["sqlite::memory:", "sqlite:file:x?mode=memory&cache=shared", "sqlite://?mode=memory"] {
            let pool = Pool::<Sqlite>::connect(url).await.unwrap();
            assert!(Sqlite::is_in_memory(&pool).await.unwrap(), "{url}");
        }
    }
    /// Asked after each batch that fails.
    #[tokio::test]
    async fn whether_a_run_is_over_is_looked_for_in_the_indexes_of_what_is_open_and_what_failed() {
        let (_file, mut conn) = File::with("").await;
        crate::store::sqlite::migrate::apply(&mut conn).await.unwrap();
        let explain = format!("EXPLAIN QUERY PLAN {}", Sqlite::SQL.check_run);
        let statement = Statement { sql: explain.into(), values: Vec::new() }.bind(1_i64);
        let rows = Sqlite::fetch(&mut conn, statement).await.unwrap();
        let plan: Vec<_> = rows.iter().map(|row| Sqlite::text(row, 3).unwrap().unwrap()).collect();
        let entered = |index| plan.iter().filter(|line| line.contains(index)).count();
        let indexes = ["data_drip_batches_open", "data_drip_batches_stopped", "data_drip_batches_failed"];
        assert_eq!(indexes.map(entered), [2, 1, 1], "{plan:?}");
        assert!(!plan.iter().any(|line| line.contains("SCAN")), "{plan:?}");
    }
}
