//! Control over one MySQL connection. All that a batch's transaction needs goes out with its `BEGIN`, in one round trip.
//!
//! - The savepoint `data_drip_guard` is the guard. It is there as long as this very transaction is: `COMMIT`, `ROLLBACK`, the
//!   implicit commit of DDL and a deadlock take it away, and its release then fails.
//! - `autocommit` is off: what user code writes after it has lost its transaction goes into another one, which is rolled
//!   back, instead of being committed statement by statement.
//! - `innodb_lock_wait_timeout` is short: the application waits for one batch's transaction at most, and a batch for the
//!   application not much longer. So is `lock_wait_timeout`, for the locks of tables that somebody changes.
//! - `wait_timeout` ends a transaction whose process stands still or has lost its network.
//! - `sql_select_limit` is lifted: a server that has it would hand a batch some of its rows and not say so.
//! - MariaDB would turn a long list of keys into a sub-select, which an UPDATE reads the whole table for.
//!
//! An interruption closes the connection from another one. It cannot hit a later transaction, and a statement whose answer nobody
//! has read leaves nothing behind that the next one would take for its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlTransactionManager};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use sqlx_core::transaction::TransactionManager;

use super::number;
use crate::backend::Session;

/// How long to try to close a connection from another one.
const PATIENCE: Duration = Duration::from_secs(10);
/// There is no such savepoint.
const NO_SAVEPOINT: u16 = 1305;
/// There is no such connection.
const NO_CONNECTION: u16 = 1094;

/// How long the connections of the executor may be silent.
const OWN_SILENCE: Duration = Duration::from_mins(2);
/// The same in the middle of a transaction, where the server tells that apart.
const IDLE: u64 = 10;

/// What bounds the engine's own transactions. A process that stands still in the middle of its bookkeeping must not hold a run's
/// row for ever.
fn bounds(silence: Duration) -> String {
    let silence = seconds(silence);
    let idle = silence.min(IDLE);
    format!(
        "SET SESSION autocommit = 1, SESSION innodb_lock_wait_timeout = 2, SESSION lock_wait_timeout = 2, \
         SESSION wait_timeout = {silence}, SESSION sql_select_limit = 18446744073709551615 \
         /*M! , SESSION idle_transaction_timeout = {idle} */"
    )
}

fn seconds(silence: Duration) -> u64 {
    silence.as_secs().clamp(1, 86_400)
}

/// Keeps in mind what it was.
const KEEP: &str = "SET @data_drip_lock_wait = @@innodb_lock_wait_timeout, @data_drip_table_wait = @@lock_wait_timeout, \
     @data_drip_wait = @@wait_timeout, @data_drip_limit = @@sql_select_limit \
     /*M! , @data_drip_idle = @@idle_transaction_timeout, @data_drip_in = @@in_predicate_conversion_threshold */";

/// Back to that. `autocommit` first: nothing is open.
const FINISH: &str = "SET SESSION autocommit = 1; SET SESSION innodb_lock_wait_timeout = @data_drip_lock_wait, \
     SESSION lock_wait_timeout = @data_drip_table_wait, SESSION wait_timeout = @data_drip_wait, \
     SESSION sql_select_limit = @data_drip_limit \
     /*M! , SESSION idle_transaction_timeout = @data_drip_idle, SESSION in_predicate_conversion_threshold = @data_drip_in */";

/// Control over one MySQL connection.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub struct MySqlSession(Arc<Control>);

#[derive(Debug)]
struct Control {
    options: Arc<MySqlConnectOptions>,
    /// The connection's number on the server.
    id: u64,
    interrupted: AtomicBool,
    guarded: AtomicBool,
    /// Its settings are ours, and not those that it came with.
    set: AtomicBool,
    /// Closed from elsewhere, or out of step with its answers.
    dead: AtomicBool,
}

pub(super) async fn own(conn: &mut MySqlConnection) -> sqlx::Result<()> {
    conn.execute(AssertSqlSafe(bounds(OWN_SILENCE))).await.map(drop)
}

impl MySqlSession {
    pub(super) async fn attach(conn: &mut MySqlConnection, options: Arc<MySqlConnectOptions>) -> sqlx::Result<Self> {
        let id = sqlx::query_scalar("SELECT CAST(CONNECTION_ID() AS UNSIGNED)").fetch_one(conn).await?;
        Ok(Self(Arc::new(Control {
            options,
            id,
            interrupted: AtomicBool::new(false),
            guarded: AtomicBool::new(false),
            set: AtomicBool::new(false),
            dead: AtomicBool::new(false),
        })))
    }

    /// Bounds the engine's own transactions, until `finish`.
    pub(super) async fn bound(&self, conn: &mut MySqlConnection, silence: Duration) -> sqlx::Result<()> {
        if self.0.set.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        conn.execute(AssertSqlSafe(format!("{KEEP}; {}", bounds(silence)))).await.map(drop)
    }

    /// The statements that begin a batch's transaction.
    pub(super) fn begin(&self, silence: Duration) -> sqlx::Result<String> {
        if self.0.dead.load(Ordering::Acquire) {
            return Err(lost("the connection was closed"));
        }
        let keep = if self.0.set.swap(true, Ordering::AcqRel) {
            // Of a chain of batches: what it was before is known already. A look at the run's code may be open.
            "COMMIT"
        } else {
            KEEP
        };
        let silence = seconds(silence);
        Ok(format!(
            "{keep}; SET SESSION autocommit = 0, SESSION innodb_lock_wait_timeout = 1, SESSION lock_wait_timeout = 1, \
             SESSION wait_timeout = {silence}, SESSION sql_select_limit = 18446744073709551615 \
             /*M! , SESSION idle_transaction_timeout = {silence}, SESSION in_predicate_conversion_threshold = 0 */; \
             SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION READ WRITE; SAVEPOINT data_drip_guard"
        ))
    }

    /// Gives the connection its settings back. Not inside a transaction.
    pub(super) async fn finish(&self, conn: &mut MySqlConnection) -> sqlx::Result<()> {
        if self.0.set.load(Ordering::Acquire) && !self.0.dead.load(Ordering::Acquire) {
            conn.execute(FINISH).await?;
            self.0.set.store(false, Ordering::Release);
        }
        Ok(())
    }

    pub(super) fn guard(&self) {
        self.0.guarded.store(true, Ordering::Release);
    }

    pub(super) async fn unguard(&self, conn: &mut MySqlConnection, answered: bool) -> sqlx::Result<bool> {
        let same = if self.is_interrupted() {
            self.close().await?;
            true
        } else {
            if !answered && let Err(error) = in_step(conn).await {
                if let Err(closing) = self.close().await {
                    tracing::debug!(%closing, "a connection out of step could not be closed from elsewhere");
                }
                return Err(error);
            }
            release(conn).await?
        };
        let depth = MySqlTransactionManager::get_transaction_depth(conn);
        if depth != 1 {
            mend(conn, depth).await?;
        }
        self.0.guarded.store(false, Ordering::Release);
        Ok(same && depth == 1)
    }

    /// Closes this connection on the server, whatever runs in it: its transaction is rolled back.
    async fn close(&self) -> sqlx::Result<()> {
        self.0.dead.store(true, Ordering::Release);
        let closing = async {
            let mut other = self.0.options.connect().await?;
            let killed = other.execute(AssertSqlSafe(format!("KILL CONNECTION {}", self.0.id))).await;
            other.close().await?;
            match killed {
                Err(error) if number(&error) != Some(NO_CONNECTION) => Err(error),
                _ => Ok(()),
            }
        };
        tokio::time::timeout(PATIENCE, closing).await.unwrap_or_else(|_| Err(lost("a connection could not be closed")))
    }
}

fn lost(message: &'static str) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, message))
}

/// Whether the transaction is the one that was guarded.
async fn release(conn: &mut MySqlConnection) -> sqlx::Result<bool> {
    match conn.execute("RELEASE SAVEPOINT data_drip_guard").await {
        Ok(_) => Ok(true),
        Err(error) if number(&error) == Some(NO_SAVEPOINT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether answers belong to their questions. A future that user code dropped half-way through preparing a statement leaves
/// answers behind which the driver takes for others.
async fn in_step(conn: &mut MySqlConnection) -> sqlx::Result<()> {
    let asked = i64::from_ne_bytes(uuid::Uuid::new_v4().as_u64_pair().0.to_ne_bytes());
    // Prepared: of an answer in text the driver believes more, and panics over what it cannot read.
    let answer: i64 = sqlx::query_scalar("SELECT CAST(? AS SIGNED)").bind(asked).fetch_one(conn).await?;
    if answer == asked { Ok(()) } else { Err(lost("answers of the database are out of step")) }
}

/// Brings sqlx's count of open transactions back to one, so that the caller's rollback ends the outermost.
async fn mend(conn: &mut MySqlConnection, depth: usize) -> sqlx::Result<()> {
    for _ in 1..depth {
        MySqlTransactionManager::start_rollback(conn);
    }
    // Some of its savepoints may have gone: the answers do not matter.
    while let Err(error) = conn.ping().await {
        if !matches!(error, sqlx::Error::Database(_)) {
            return Err(error);
        }
    }
    if depth == 0 {
        // The caller's rollback would do nothing.
        conn.execute("ROLLBACK").await?;
    }
    Ok(())
}

impl Session for MySqlSession {
    fn interrupt(&self) {
        self.0.interrupted.store(true, Ordering::Release);
    }

    fn is_restless(&self) -> bool {
        let restless = [&self.0.interrupted, &self.0.guarded, &self.0.dead, &self.0.set];
        restless.iter().any(|flag| flag.load(Ordering::Acquire))
    }

    fn resume(&self) {
        self.0.interrupted.store(false, Ordering::Release);
    }

    fn is_interrupted(&self) -> bool {
        self.0.interrupted.load(Ordering::Acquire)
    }

    fn is_new_schema(&self, _: i64) -> bool {
        false
    }

    fn lift(&self) {
        // A deadline ends with its statement.
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
