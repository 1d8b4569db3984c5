//! The engine's own tables: every read and write of them, written once over [`Backend`].
//!
//! Functions take a connection and do one statement or one transaction each. What a transition of a run or batch
//! needs (lock the run first, then look at its batches) is decided here, not by the callers.

pub(crate) mod batches;
pub(crate) mod charts;
#[cfg(test)]
mod conformance;
pub(crate) mod kept;
pub(crate) mod logs;
#[cfg_attr(not(feature = "dashboard"), allow(dead_code, reason = "only the dashboard asks"))]
pub(crate) mod marks;
pub(crate) mod migrate;
#[cfg(feature = "mysql")]
pub(crate) mod mysql;
pub(crate) mod overview;
pub(crate) mod plans;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod runs;
#[cfg(test)]
mod specimens;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
pub(crate) mod tallies;
pub(crate) mod workers;

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::backend::{Backend, Statement};

/// Declares [`Sql`] and the macro that fills it from the folder of a dialect.
macro_rules! statements {
    ($($name:ident),* $(,)?) => {
        /// The engine's static statements by file name; the same names in each dialect's folder.
        #[doc(hidden)]
        pub struct Sql { $(pub(crate) $name: &'static str),* }

        macro_rules! sql_of {
            ($dialect:literal) => {
                $crate::store::Sql {
                    $($name: include_str!(concat!("sql/", $dialect, "/", stringify!($name), ".sql"))),*
                }
            };
        }
    };
}

statements! {
    advance_plan, beat_worker, check_claim, check_run, claim_batch, claim_plan, complete_batch, count_logs,
    count_pending_batches, count_runs,
    delete_batches, delete_events, delete_log_totals, delete_logs, delete_run, delete_worker_lock, enqueue_run,
    estimate_total, expire_worker,
    fail_batch, fail_run, forget_worker_locks, forget_workers, insert_batches, insert_event, insert_logs, insert_run,
    insert_worker, insert_worker_lock,
    lock_batch, lock_logs, lock_run, lock_worker, lose_batch, mark_lone, mark_plan, open_logs, pause_run, peek_batch, peek_claim,
    peek_logs, pin_plan, prepare_plan, release_batch, release_plan, release_plans, reopen_run, resume_batches, retire_worker,
    retry_batches, revoke_batches, select_active_run, select_activity, select_backfill_names, select_backfill_summaries,
    select_backfillers, select_batches, select_claims, select_due_runs, select_durations, select_events,
    select_failures, select_log_totals, select_lost_claims, select_marks, select_orphans, select_plan, select_plannable_runs,
    select_recent_backfills, select_runs, select_schema, select_settleable_runs, select_throughput,
    select_worker_claims, select_worker_roles, select_workers, settle_run, show_workers,
    stop_batches, stop_run,
}

/// SQLite's statements.
#[cfg(feature = "sqlite")]
pub(crate) static SQLITE: Sql = sql_of!("sqlite");

/// PostgreSQL's statements.
#[cfg(feature = "postgres")]
pub(crate) static POSTGRES: Sql = sql_of!("postgres");

/// MySQL's statements, and MariaDB's.
#[cfg(feature = "mysql")]
pub(crate) static MYSQL: Sql = sql_of!("mysql");

/// Reads the columns of a row from left to right.
pub(crate) struct Columns<'r, DB: Backend> {
    row: &'r DB::Row,
    next: usize,
}

impl<'r, DB: Backend> Columns<'r, DB> {
    pub(crate) fn of(row: &'r DB::Row) -> Self {
        Self { row, next: 0 }
    }

    fn index(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    pub(crate) fn opt_int(&mut self) -> sqlx::Result<Option<i64>> {
        let index = self.index();
        DB::int(self.row, index)
    }

    pub(crate) fn int(&mut self) -> sqlx::Result<i64> {
        self.opt_int()?.ok_or_else(|| self.unexpected("NULL"))
    }

    pub(crate) fn opt_text(&mut self) -> sqlx::Result<Option<String>> {
        let index = self.index();
        DB::text(self.row, index)
    }

    pub(crate) fn text(&mut self) -> sqlx::Result<String> {
        self.opt_text()?.ok_or_else(|| self.unexpected("NULL"))
    }

    pub(crate) fn flag(&mut self) -> sqlx::Result<bool> {
        Ok(self.opt_int()?.is_some_and(|n| n != 0))
    }

    /// A count: never negative in our tables.
    pub(crate) fn count(&mut self) -> sqlx::Result<u64> {
        Ok(self.opt_count()?.unwrap_or(0))
    }

    pub(crate) fn opt_count(&mut self) -> sqlx::Result<Option<u64>> {
        self.opt_int()?.map(|n| u64::try_from(n).map_err(|_| self.unexpected(n))).transpose()
    }

    pub(crate) fn small(&mut self) -> sqlx::Result<u32> {
        let n = self.int()?;
        u32::try_from(n).map_err(|_| self.unexpected(n))
    }

    pub(crate) fn millis(&mut self) -> sqlx::Result<Duration> {
        Ok(Duration::from_millis(self.count()?))
    }

    pub(crate) fn opt_time(&mut self) -> sqlx::Result<Option<DateTime<Utc>>> {
        let millis = self.opt_int()?;
        millis.map(|n| DateTime::from_timestamp_millis(n).ok_or_else(|| self.unexpected(n))).transpose()
    }

    pub(crate) fn time(&mut self) -> sqlx::Result<DateTime<Utc>> {
        self.opt_time()?.ok_or_else(|| self.unexpected("NULL"))
    }

    /// Text that was written by this crate, in one of its own forms.
    pub(crate) fn parsed<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
        &mut self,
    ) -> sqlx::Result<T> {
        self.text()?.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
    }

    pub(crate) fn opt_json<T: serde::de::DeserializeOwned>(&mut self) -> sqlx::Result<Option<T>> {
        let text = self.opt_text()?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(Box::new(error)))).transpose()
    }

    fn unexpected(&self, value: impl std::fmt::Display) -> sqlx::Error {
        sqlx::Error::Decode(format!("column {} of an engine table holds {value}", self.next - 1).into())
    }
}

/// A list as one bound value: JSON, which each database can unfold.
pub(crate) fn json_list<T: serde::Serialize>(items: &[T]) -> String {
    serde_json::to_string(items).expect("plain values serialise")
}

/// A count as the signed number that databases keep.
pub(crate) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

async fn one<DB: Backend>(conn: &mut DB::Connection, statement: Statement) -> sqlx::Result<Option<DB::Row>> {
    Ok(DB::fetch(conn, statement).await?.into_iter().next())
}

async fn ints<DB: Backend>(conn: &mut DB::Connection, statement: Statement) -> sqlx::Result<Vec<i64>> {
    DB::fetch(conn, statement).await?.iter().map(|row| Columns::<DB>::of(row).int()).collect()
}

/// How long to repeat what fails for a passing reason. What is repeated must be safe to repeat: one statement, or one
/// transaction.
///
/// A loop instead of a function that takes a closure: async closures cannot be required to be `Send`.
pub(crate) struct Patience {
    since: Instant,
    most: Duration,
    pause: Duration,
}

impl Patience {
    pub(crate) fn of(most: Duration) -> Self {
        Self { since: Instant::now(), most, pause: Duration::from_millis(10) }
    }

    /// After a pause, whether to try again.
    pub(crate) async fn again<DB: Backend>(&mut self, error: &sqlx::Error) -> bool {
        if !DB::is_transient(error) || self.since.elapsed() >= self.most {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_millis(500));
        true
    }
}

/// Repeats a fallible expression, anew each time, as long as [`Patience`] says.
macro_rules! patiently {
    ($db:ty, $most:expr, $work:expr) => {{
        let mut patience = $crate::store::Patience::of($most);
        loop {
            match $work {
                Err(error) if patience.again::<$db>(&error).await => {}
                outcome => break outcome,
            }
        }
    }};
}
pub(crate) use patiently;
