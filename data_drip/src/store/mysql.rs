//! MySQL and MariaDB.

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
#[cfg(test)]
mod lent_tests;
pub(crate) mod migrate;
mod presence;
mod script;
mod session;
#[cfg(test)]
pub(crate) mod testing;
mod values;
#[cfg(test)]
mod walk_tests;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_query::extension::mysql::{IndexHintScope, MySqlSelectStatementExt};
use sea_query::{Alias, Expr, LockType, MysqlQueryBuilder, QueryStatementWriter, SelectStatement};
use sea_query_sqlx::SqlxValues;
use sqlx::error::DatabaseError;
use sqlx::mysql::{MySql, MySqlArguments, MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection, IntoArguments, Pool, Row, Transaction, TypeInfo, ValueRef};

use self::session::MySqlSession;
use crate::backend::{Backend, Call, Described, Explanation, KeyForm, KeySpec, Presence, Sealed, Statement};
use crate::backfill::BoxFuture;
use crate::error::Error;
use crate::key::{Key, KeyPart};
use crate::run::RunId;
use crate::scope::{self, Scope, TableName};
use crate::store;
use crate::store::migrate::Migrate;

impl Sealed for MySql {}

/// READ COMMITTED whatever the host's default is: each statement has to see what others have committed before it. A batch may
/// have left `autocommit` off.
const BEGIN: &str =
    "SET SESSION autocommit = 1; SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION READ WRITE";

impl Backend for MySql {
    const LABEL: &'static str = "MySQL";
    const MAX_SLOTS: Option<usize> = None;
    const SQL: &'static crate::store::Sql = &crate::store::MYSQL;
    // The bounds of a range have to be known before the statement begins: those of a joined row read every completed batch.
    const RUNS_AT_ONCE: usize = 1;
    const MIGRATIONS: &'static [store::migrate::File] = store::migrate::MYSQL;
    const MIGRATOR_TABLE: &'static str = migrate::MIGRATOR_TABLE;
    // A statement takes 65,535. MariaDB's optimizer looks up to 16,000 values in an index, and reads the table for more.
    const MAX_VALUES: usize = 10_000;
    const SETS_SESSIONS: bool = true;
    const NAMES_FOLD: bool = true;
    type Session = MySqlSession;

    fn frugal(options: MySqlConnectOptions) -> MySqlConnectOptions {
        options
    }

    fn own(conn: &mut MySqlConnection) -> BoxFuture<'_, sqlx::Result<()>> {
        Box::pin(session::own(conn))
    }

    fn bound<'c>(
        conn: &'c mut MySqlConnection,
        session: &'c MySqlSession,
        silence: Duration,
    ) -> BoxFuture<'c, sqlx::Result<()>> {
        Box::pin(session.bound(conn, silence))
    }

    fn attach<'c>(
        conn: &'c mut MySqlConnection,
        options: &'c Arc<MySqlConnectOptions>,
    ) -> BoxFuture<'c, sqlx::Result<MySqlSession>> {
        Box::pin(MySqlSession::attach(conn, Arc::clone(options)))
    }

    fn detach(_: &mut MySqlConnection) -> BoxFuture<'_, sqlx::Result<()>> {
        // What a batch has set, its end has set back.
        Box::pin(std::future::ready(Ok(())))
    }

    fn begin(conn: &mut MySqlConnection) -> BoxFuture<'_, sqlx::Result<Transaction<'_, MySql>>> {
        Box::pin(conn.begin_with(BEGIN))
    }

    fn begin_batch<'c>(
        conn: &'c mut MySqlConnection,
        session: &'c MySqlSession,
        _: String,
        silence: Duration,
    ) -> BoxFuture<'c, sqlx::Result<Transaction<'c, MySql>>> {
        Box::pin(async move { conn.begin_with(AssertSqlSafe(session.begin(silence)?)).await })
    }

    fn finish_batch<'c>(conn: &'c mut MySqlConnection, session: &'c MySqlSession) -> BoxFuture<'c, sqlx::Result<()>> {
        Box::pin(session.finish(conn))
    }

    fn guard<'c>(_: &'c mut MySqlConnection, session: &'c MySqlSession) -> BoxFuture<'c, sqlx::Result<()>> {
        session.guard();
        Box::pin(std::future::ready(Ok(())))
    }

    fn unguard<'c>(
        conn: &'c mut MySqlConnection,
        session: &'c MySqlSession,
        answered: bool,
    ) -> BoxFuture<'c, sqlx::Result<bool>> {
        Box::pin(session.unguard(conn, answered))
    }

    fn forget_statements(conn: &mut MySqlConnection) -> BoxFuture<'_, sqlx::Result<()>> {
        Box::pin(conn.clear_cached_statements())
    }

    fn fetch(conn: &mut MySqlConnection, statement: Statement) -> BoxFuture<'_, sqlx::Result<Vec<MySqlRow>>> {
        Box::pin(async move {
            match positional(statement) {
                Ok(statement) => query(statement).fetch_all(conn).await,
                Err((script, values)) => script.run(conn, &values).await,
            }
        })
    }

    fn first(conn: &mut MySqlConnection, statement: Statement) -> BoxFuture<'_, sqlx::Result<Option<MySqlRow>>> {
        Box::pin(async move { Ok(Self::fetch(conn, statement).await?.into_iter().next()) })
    }

    fn first_before<'c>(
        conn: &'c mut MySqlConnection,
        session: &'c MySqlSession,
        deadline: Instant,
        statement: Statement,
    ) -> BoxFuture<'c, sqlx::Result<Option<MySqlRow>>> {
        Box::pin(async move {
            Self::fetch_before(conn, session, deadline, statement).await.map(|rows| rows.into_iter().next())
        })
    }

    fn fetch_before<'c>(
        conn: &'c mut MySqlConnection,
        _: &'c MySqlSession,
        deadline: Instant,
        mut statement: Statement,
    ) -> BoxFuture<'c, sqlx::Result<Vec<MySqlRow>>> {
        Box::pin(async move {
            let left = left_until(deadline);
            // The former for MariaDB, the latter for MySQL; to the other each is a comment.
            if let Some(rest) = statement.sql.strip_prefix("SELECT ") {
                let (seconds, millis) = (left / 1_000, left % 1_000);
                statement.sql = Cow::Owned(format!(
                    "/*M! SET STATEMENT max_statement_time = {seconds}.{millis:03} FOR */ \
                     SELECT /*+ MAX_EXECUTION_TIME({left}) */ {rest}"
                ));
            }
            query(statement).fetch_all(conn).await
        })
    }

    fn execute(conn: &mut MySqlConnection, statement: Statement) -> BoxFuture<'_, sqlx::Result<u64>> {
        Box::pin(async move {
            match positional(statement) {
                Ok(statement) => Ok(query(statement).execute(conn).await?.rows_affected()),
                Err((script, values)) => Ok(script.run(conn, &values).await?.len() as u64),
            }
        })
    }

    fn int(row: &MySqlRow, index: usize) -> sqlx::Result<Option<i64>> {
        let value = row.try_get_raw(index)?;
        let kind = value.type_info();
        let name = kind.name();
        if name == "DECIMAL" {
            let text: Option<String> = row.try_get_unchecked(index)?;
            return text.map(|text| text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))).transpose();
        }
        if name.ends_with("UNSIGNED") {
            let number: Option<u64> = row.try_get(index)?;
            return number.map(|n| i64::try_from(n).map_err(|error| sqlx::Error::Decode(Box::new(error)))).transpose();
        }
        row.try_get_unchecked(index)
    }

    fn text(row: &MySqlRow, index: usize) -> sqlx::Result<Option<String>> {
        row.try_get_unchecked(index)
    }

    fn build(statement: &impl QueryStatementWriter) -> Statement {
        let (sql, values) = statement.build(MysqlQueryBuilder);
        Statement { sql: sql.into(), values: values.0 }
    }

    fn bytes_literal(bytes: &[u8]) -> String {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        format!("x'{}'", digits.collect::<String>())
    }

    fn spelled(statement: &impl QueryStatementWriter) -> String {
        statement.to_string(MysqlQueryBuilder)
    }

    fn shown(column: &str, most: u32) -> Expr {
        explain::shown(column, most)
    }

    fn explain(conn: &mut MySqlConnection, statement: Statement) -> BoxFuture<'_, Result<Explanation, Error>> {
        Box::pin(explain::explain(conn, statement))
    }

    fn read_only(conn: &mut MySqlConnection, on: bool) -> BoxFuture<'_, sqlx::Result<()>> {
        let statement = if on { "SET SESSION TRANSACTION READ ONLY" } else { "SET SESSION TRANSACTION READ WRITE" };
        Box::pin(async move { Self::execute(conn, Statement::of(statement)).await.map(drop) })
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

    fn key_before(spec: &KeySpec, upto: &Key) -> Result<Option<Expr>, Error> {
        keys::before(spec, upto).map(Some)
    }

    fn key_in(spec: &KeySpec, keys: &[Key]) -> Result<Expr, Error> {
        keys::among(spec, keys)
    }

    fn has_max(spec: &KeySpec) -> bool {
        spec.types.first().is_some_and(|first| first.form == KeyForm::Integer)
    }

    fn by_key(select: &mut SelectStatement, spec: &KeySpec) {
        // Else a narrower index that covers the columns is scanned, and all of it sorted for each page.
        if let Some(index) = &spec.index {
            select.force_index(Alias::new(index), IndexHintScope::All);
        }
    }

    fn lock_rows(select: &mut SelectStatement) {
        select.lock(LockType::Update);
    }

    fn describe<'c>(
        conn: &'c mut MySqlConnection,
        table: &'c TableName,
        key: Option<&'c [String]>,
    ) -> BoxFuture<'c, Result<Described, Error>> {
        Box::pin(catalogue::describe(conn, table, key))
    }

    fn needs_key_order<'c>(
        _: &'c mut MySqlConnection,
        scope: &'c Scope<Self>,
        _: &'c KeySpec,
    ) -> BoxFuture<'c, Result<bool, Error>> {
        // Which index is entered depends on statistics. Where those are wrong every batch would read all of the filters'.
        Box::pin(std::future::ready(Ok(!scope.filters.is_empty())))
    }

    fn opaque(condition: Expr) -> Expr {
        // MySQL sees through `(…) IS TRUE`.
        Expr::cust_with_expr("CASE WHEN ? THEN 1 ELSE 0 END = 1", condition)
    }

    fn rows_about<'c>(conn: &'c mut MySqlConnection, spec: &'c KeySpec) -> BoxFuture<'c, Result<Option<u64>, Error>> {
        Box::pin(catalogue::rows_about(conn, spec))
    }

    fn migrate(pool: &Pool<MySql>, mode: Migrate) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(migrate::run(pool, mode))
    }

    fn call_to_stop(_: &Pool<MySql>, _: RunId) -> Option<Box<dyn Send + Sync>> {
        // A batch's transaction does not lock what a stop writes: the database itself can say so.
        None
    }

    fn is_called_to_stop(_: &Pool<MySql>, _: RunId) -> bool {
        false
    }

    fn notify(_: &mut MySqlConnection, _: Call) -> BoxFuture<'_, sqlx::Result<()>> {
        // There is no way to.
        Box::pin(std::future::ready(Ok(())))
    }

    fn presence(
        options: Arc<MySqlConnectOptions>,
    ) -> BoxFuture<'static, sqlx::Result<Option<Box<dyn Presence<MySql>>>>> {
        Box::pin(presence::open(options))
    }

    fn reads_beside_writer(_: &mut MySqlConnection) -> BoxFuture<'_, sqlx::Result<bool>> {
        Box::pin(std::future::ready(Ok(true)))
    }

    fn is_in_memory(_: &Pool<MySql>) -> BoxFuture<'_, sqlx::Result<bool>> {
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
        error.downcast_ref::<MySqlDatabaseError>().is_some_and(|database| passes(database))
    }

    fn is_stale(_: &(dyn StdError + 'static)) -> bool {
        // The server prepares a statement anew when its tables have changed.
        false
    }

    fn is_spoilt(_: &sqlx::Error) -> bool {
        // A statement that fails is undone alone, or takes the whole transaction with it.
        false
    }

    fn is_interrupted(error: &sqlx::Error) -> bool {
        // Killed; past its time on MariaDB; past its time on MySQL.
        matches!(number(error), Some(1317 | 1969 | 3024))
    }
}

/// The server runs with an option that forbids this, one of which is `--read-only`.
const READ_ONLY: u16 = 1290;

/// <https://mariadb.com/docs/server/reference/error-codes>, <https://dev.mysql.com/doc/mysql-errors/8.4/en/>
fn passes(error: &dyn DatabaseError) -> bool {
    matches!(
        number_of(error).unwrap_or_default(),
        // Lock timeout, deadlock, a row that changed since it was read.
        1205 | 1213 | 1020
        // Too many connections, of all and of this user.
        | 1040 | 1203 | 1226
        // The server is shutting down; the session was killed, by MariaDB's number and MySQL's, or was silent for too long.
        | 1053 | 1927 | 3169 | 4031
        // Group replication has not taken a transaction: others wrote the same rows first, or the node is leaving.
        | 3100 | 3101
        // The network between.
        | 1158
            ..=1161
        // Read-only since another server has taken over; a node of a cluster that is not ready.
        | 1836 | 1047
    ) || number_of(error) == Some(READ_ONLY) && error.message().contains("read-only")
}

fn number_of(error: &dyn DatabaseError) -> Option<u16> {
    error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

fn number(error: &sqlx::Error) -> Option<u16> {
    number_of(error.as_database_error()?)
}

/// A statement with its values in the order of their places, or the script that it is.
fn positional(statement: Statement) -> Result<Statement, (Arc<script::Script>, Vec<sea_query::Value>)> {
    match statement.sql {
        Cow::Borrowed(sql) => {
            let script = script::of(sql);
            script.single(&statement.values).ok_or((script, statement.values))
        }
        // Built by sea-query, which is positional already.
        Cow::Owned(_) => Ok(statement),
    }
}

/// The one place where the text of statements with values crosses to sqlx: every value is bound.
///
/// All statements are kept prepared, and there are few texts of them: to close one is a packet without an answer, which the
/// network holds the next one back for (40 ms each on loopback: sqlx leaves Nagle's algorithm on).
fn query(statement: Statement) -> Query<'static, MySql, MySqlArguments> {
    let values = IntoArguments::<MySql>::into_arguments(SqlxValues(sea_query::Values(statement.values)));
    sqlx::query_with(AssertSqlSafe(statement.sql), values)
}

/// The milliseconds that are left until the deadline, in round numbers.
fn left_until(deadline: Instant) -> u128 {
    let left = deadline.saturating_duration_since(Instant::now()).as_millis().max(1);
    let step = match left {
        ..=100 => 25,
        101..=1_000 => 100,
        _ => 1_000,
    };
    left.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::mysql::testing::{Schema, int, run};

    #[tokio::test]
    async fn a_statement_that_was_prepared_for_other_columns_is_prepared_anew() {
        let Some((schema, mut conn)) = Schema::with("CREATE TABLE t (a INTEGER, b INTEGER)").await else { return };
        let mut other = schema.connect().await;
        let all = || Statement::of("SELECT * FROM t");
        MySql::fetch(&mut conn, all()).await.unwrap();
        run(&mut other, "ALTER TABLE t ADD COLUMN c INTEGER; INSERT INTO t VALUES (1, 2, 3)").await;
        let rows = MySql::fetch(&mut conn, all()).await.unwrap();
        assert_eq!(MySql::int(&rows[0], 2).unwrap(), Some(3));
        let named: i32 = rows[0].try_get("c").unwrap();
        assert_eq!(named, 3);
        // As many columns, under other names and types.
        run(&mut other, "ALTER TABLE t DROP COLUMN b, ADD COLUMN d VARCHAR(9) NOT NULL DEFAULT 'x'").await;
        let rows = MySql::fetch(&mut conn, all()).await.unwrap();
        let named: (i32, String) = (rows[0].try_get("c").unwrap(), rows[0].try_get("d").unwrap());
        assert_eq!(named, (3, "x".to_owned()));
    }

    #[tokio::test]
    async fn a_connection_that_only_reads_refuses_writes_and_takes_them_again() {
        let Some((schema, mut conn)) = Schema::with("CREATE TABLE t (a INTEGER)").await else { return };
        let session = schema.session(&mut conn).await;
        let insert = || Statement::of("INSERT INTO t VALUES (1)");
        MySql::read_only(&mut conn, true).await.unwrap();
        MySql::execute(&mut conn, insert()).await.unwrap_err();
        let deadline = Instant::now() + Duration::from_mins(1);
        let rows = MySql::fetch_before(&mut conn, &session, deadline, Statement::of("SELECT 1")).await.unwrap();
        assert_eq!(rows.len(), 1);
        MySql::read_only(&mut conn, false).await.unwrap();
        MySql::execute(&mut conn, insert()).await.unwrap();
        assert_eq!(int(&mut conn, "SELECT COUNT(*) FROM t").await, 1);
    }
}
