//! What the dashboard shows beside runs and batches: sums, rates and who has been here. Reads only.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::backend::{Backend, KeySpec, Statement};
use crate::run::{Backfiller, RunId};
use crate::scope::TableName;
use crate::status::RunStatus;
use crate::store::{Columns, millis};

/// The runs of one backfill in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackfillSummary {
    /// The backfill's name.
    pub backfill: String,
    /// How many runs of it there are.
    pub runs: u64,
    /// The newest of them.
    pub last: RunId,
    /// Where that one stands.
    pub status: RunStatus,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was settled.
    pub finished_at: Option<DateTime<Utc>>,
    /// The table that its last planned run walked.
    pub table: Option<String>,
}

/// Every backfill that has runs, by name.
pub(crate) async fn summaries<DB: Backend>(conn: &mut DB::Connection) -> sqlx::Result<Vec<BackfillSummary>> {
    let rows = DB::fetch(conn, Statement::of(DB::SQL.select_backfill_summaries)).await?;
    rows.iter()
        .map(|row| {
            let mut c = Columns::<DB>::of(row);
            Ok(BackfillSummary {
                backfill: c.text()?,
                runs: c.count()?,
                last: RunId(c.int()?),
                status: c.parsed()?,
                created_at: c.time()?,
                finished_at: c.opt_time()?,
                table: c.opt_json::<KeySpec>()?.map(|spec| table_of(spec).to_string()),
            })
        })
        .collect()
}

fn table_of(spec: KeySpec) -> TableName {
    TableName { schema: spec.schema, name: spec.table }
}

/// The backfills that a person has started, the latest first.
pub(crate) async fn recent<DB: Backend>(
    conn: &mut DB::Connection,
    person: &str,
    limit: u32,
) -> sqlx::Result<Vec<String>> {
    let statement = Statement::of(DB::SQL.select_recent_backfills).bind(person).bind(i64::from(limit));
    DB::fetch(conn, statement).await?.iter().map(|row| Columns::<DB>::of(row).text()).collect()
}

/// Who has started runs, the latest first, under the name that they had then.
pub(crate) async fn backfillers<DB: Backend>(conn: &mut DB::Connection, limit: u32) -> sqlx::Result<Vec<Backfiller>> {
    let rows = DB::fetch(conn, Statement::of(DB::SQL.select_backfillers).bind(i64::from(limit))).await?;
    rows.iter()
        .map(|row| {
            let mut c = Columns::<DB>::of(row);
            Ok(Backfiller { id: c.text()?, name: c.text()? })
        })
        .collect()
}

/// What was committed in one slice of a run's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slice {
    /// Its place: slice `n` begins `n` widths after the run's start.
    pub index: u64,
    /// Elements processed by the batches that were committed in it.
    pub processed: u64,
    /// Those batches.
    pub batches: u64,
}

/// What a run committed since `since`, in slices of `width` that begin at `from`; slices in which nothing was are left out.
pub(crate) async fn throughput<DB: Backend>(
    conn: &mut DB::Connection,
    run: RunId,
    from: DateTime<Utc>,
    width: Duration,
    since: DateTime<Utc>,
) -> sqlx::Result<Vec<Slice>> {
    let statement = Statement::of(DB::SQL.select_throughput)
        .bind(run.0)
        .bind(from.timestamp_millis())
        .bind(millis(width).max(1))
        .bind(since.timestamp_millis());
    let rows = DB::fetch(conn, statement).await?;
    rows.iter()
        .map(|row| {
            let mut c = Columns::<DB>::of(row);
            Ok(Slice { index: c.count()?, processed: c.count()?, batches: c.count()? })
        })
        .collect()
}

/// How long one batch took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchDuration {
    /// Its place in the run.
    pub position: u64,
    /// From claim to commit.
    pub took: Duration,
    /// Elements that it processed.
    pub processed: u64,
}

/// The batches that were committed last, the latest first.
pub(crate) async fn durations<DB: Backend>(
    conn: &mut DB::Connection,
    run: RunId,
    limit: u32,
) -> sqlx::Result<Vec<BatchDuration>> {
    let statement = Statement::of(DB::SQL.select_durations).bind(run.0).bind(i64::from(limit));
    let rows = DB::fetch(conn, statement).await?;
    rows.iter()
        .map(|row| {
            let mut c = Columns::<DB>::of(row);
            let position = c.count()?;
            // A clock that was set back in between is no reason to show nothing.
            let took = Duration::from_millis(c.opt_int()?.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0));
            Ok(BatchDuration { position, took, processed: c.count()? })
        })
        .collect()
}

/// The beginning of a failed batch's error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedBatch {
    pub(crate) position: u64,
    pub(crate) error: String,
}

/// The first failed batches of a run with the first `characters` of their errors.
pub(crate) async fn failures<DB: Backend>(
    conn: &mut DB::Connection,
    run: RunId,
    characters: u32,
    limit: u32,
) -> sqlx::Result<Vec<FailedBatch>> {
    let statement =
        Statement::of(DB::SQL.select_failures).bind(run.0).bind(i64::from(characters)).bind(i64::from(limit));
    let rows = DB::fetch(conn, statement).await?;
    rows.iter()
        .map(|row| {
            let mut c = Columns::<DB>::of(row);
            Ok(FailedBatch { position: c.count()?, error: c.opt_text()?.unwrap_or_default() })
        })
        .collect()
}
