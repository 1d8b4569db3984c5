//! Control over one SQLite connection, by its own hooks: no statement, no round trip.
//!
//! - The *progress handler* ends a statement that was interrupted or ran past its deadline.
//! - The *commit hook* refuses every commit while the guard stands: a hand-written `COMMIT`, and the autocommit of
//!   statements that user code runs after an `OR ROLLBACK` conflict has ended the batch's transaction.
//! - The *rollback hook* notes that the whole transaction went away. Savepoints pass through neither hook.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnection, SqliteTransactionManager};
use sqlx::{Connection, Executor};
use sqlx_core::transaction::TransactionManager;

use crate::backend::Session;

/// Virtual machine instructions between two looks at the clock: some tens of microseconds of work, so that the look
/// costs nothing, and more than `BEGIN`, `COMMIT` or `ROLLBACK` take, so that those are never ended.
const INSTRUCTIONS: i32 = 1_000;

const NO_DEADLINE: u64 = u64::MAX;

/// Control over one SQLite connection.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub struct SqliteSession(Arc<Control>);

#[derive(Debug)]
struct Control {
    /// What the deadline counts from.
    epoch: Instant,
    /// Nanoseconds after `epoch`.
    deadline: AtomicU64,
    interrupted: AtomicBool,
    guarded: AtomicBool,
    broken: AtomicBool,
    /// The schema's version that the prepared statements belong to; none in a new session.
    schema: AtomicI64,
}

const NO_SCHEMA: i64 = i64::MIN;

impl Control {
    fn may_go_on(&self) -> bool {
        if self.interrupted.load(Ordering::Relaxed) {
            return false;
        }
        match self.deadline.load(Ordering::Relaxed) {
            NO_DEADLINE => true,
            deadline => self.epoch.elapsed() < Duration::from_nanos(deadline),
        }
    }

    fn may_commit(&self) -> bool {
        let guarded = self.guarded.load(Ordering::Acquire);
        if guarded {
            self.broken.store(true, Ordering::Release);
        }
        !guarded
    }

    fn rolled_back(&self) {
        if self.guarded.load(Ordering::Acquire) {
            self.broken.store(true, Ordering::Release);
        }
    }
}

impl SqliteSession {
    pub(super) async fn attach(conn: &mut SqliteConnection) -> sqlx::Result<Self> {
        let control = Arc::new(Control {
            epoch: Instant::now(),
            deadline: AtomicU64::new(NO_DEADLINE),
            interrupted: AtomicBool::new(false),
            guarded: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            schema: AtomicI64::new(NO_SCHEMA),
        });
        let mut handle = conn.lock_handle().await?;
        let seen = Arc::clone(&control);
        handle.set_progress_handler(INSTRUCTIONS, move || seen.may_go_on());
        let seen = Arc::clone(&control);
        handle.set_commit_hook(move || seen.may_commit());
        let seen = Arc::clone(&control);
        handle.set_rollback_hook(move || seen.rolled_back());
        Ok(Self(control))
    }

    pub(super) async fn detach(conn: &mut SqliteConnection) -> sqlx::Result<()> {
        let mut handle = conn.lock_handle().await?;
        handle.remove_progress_handler();
        handle.remove_commit_hook();
        handle.remove_rollback_hook();
        Ok(())
    }

    pub(super) fn guard(&self) {
        self.0.broken.store(false, Ordering::Release);
        self.0.guarded.store(true, Ordering::Release);
    }

    pub(super) async fn unguard(&self, conn: &mut SqliteConnection, answered: bool) -> sqlx::Result<bool> {
        if !answered {
            // A future that user code dropped half-way can have left a `COMMIT`, and a forgotten nested transaction a
            // rollback, in the connection's queue: the answer to the ping comes after them, while the guard still
            // stands.
            conn.ping().await?;
        }
        let depth = SqliteTransactionManager::get_transaction_depth(conn);
        let intact = depth == 1 && !self.0.broken.load(Ordering::Acquire);
        if !intact {
            mend(conn, depth).await?;
        }
        self.0.guarded.store(false, Ordering::Release);
        Ok(intact)
    }

    /// Statements still running at this instant are ended; `None` lifts it.
    pub(super) fn deadline(&self, at: Option<Instant>) {
        let nanos = at.map_or(NO_DEADLINE, |at| {
            let after = at.saturating_duration_since(self.0.epoch).as_nanos();
            u64::try_from(after).unwrap_or(NO_DEADLINE)
        });
        self.0.deadline.store(nanos, Ordering::Relaxed);
    }
}

/// Makes sure that nothing is open before a transaction begins. A full disk or an interruption rolls the whole transaction
/// back inside SQLite; sqlx, whose own rollback then fails, goes on counting it and would begin a savepoint.
pub(super) async fn settle(conn: &mut SqliteConnection) -> sqlx::Result<()> {
    if SqliteTransactionManager::get_transaction_depth(conn) == 0 {
        return Ok(());
    }
    // A rollback may still be queued: its answer comes before that of the ping.
    conn.ping().await?;
    let depth = SqliteTransactionManager::get_transaction_depth(conn);
    if depth > 0 {
        mend(conn, depth).await?;
        SqliteTransactionManager::rollback(conn).await?;
    }
    Ok(())
}

/// Brings sqlx's count of open transactions and SQLite's state together again, so that the caller's rollback works.
async fn mend(conn: &mut SqliteConnection, depth: usize) -> sqlx::Result<()> {
    // Fails when nothing is open, which is what it is to bring about.
    let _ = conn.execute("ROLLBACK").await;
    if depth == 0 {
        return Ok(());
    }
    conn.execute("BEGIN").await?;
    for level in 1..depth {
        // The name that sqlx gives its savepoints.
        let savepoint = format!("SAVEPOINT _sqlx_savepoint_{level}");
        conn.execute(sqlx::AssertSqlSafe(savepoint)).await?;
    }
    for _ in 1..depth {
        SqliteTransactionManager::rollback(conn).await?;
    }
    Ok(())
}

impl Session for SqliteSession {
    fn is_restless(&self) -> bool {
        self.0.interrupted.load(Ordering::Relaxed)
            || self.0.guarded.load(Ordering::Acquire)
            || self.0.deadline.load(Ordering::Relaxed) != NO_DEADLINE
    }

    fn interrupt(&self) {
        self.0.interrupted.store(true, Ordering::Relaxed);
    }

    fn resume(&self) {
        self.0.interrupted.store(false, Ordering::Relaxed);
    }

    fn is_interrupted(&self) -> bool {
        self.0.interrupted.load(Ordering::Relaxed)
    }

    fn is_new_schema(&self, version: i64) -> bool {
        self.0.schema.swap(version, Ordering::Relaxed) != version
    }

    fn lift(&self) {
        self.deadline(None);
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
