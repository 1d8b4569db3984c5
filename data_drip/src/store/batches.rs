//! Batches: claiming, completing, failing, giving back, and reading them.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::backend::{Backend, Statement};
use crate::error::stand_in;
use crate::key::KeyRange;
use crate::run::{BatchId, RunBatch, RunId};
use crate::status::{BatchStatus, RunStatus};
use crate::store::{Columns, int, ints, json_list, millis, one, runs};

/// A batch in this process's hands. `epoch` fences it: what carries an old one changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim {
    pub(crate) worker: String,
    pub(crate) epoch: i64,
    pub(crate) batch: RunBatch,
    /// Times that it failed for a passing reason.
    pub(crate) transients: u32,
}

/// Which batches a slot may take.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) worker: String,
    /// JSON list of the backfills that this process has code for.
    pub(crate) backfills: String,
    /// JSON list of queues; `None` for all.
    pub(crate) queues: Option<String>,
}

/// Takes the next batch that is due: of the run after `last` in the round, never of those in `skip`.
pub(crate) async fn claim<DB: Backend>(
    conn: &mut DB::Connection,
    wanted: &Wanted,
    skip: &[RunId],
    last: Option<RunId>,
) -> sqlx::Result<Option<Claim>> {
    let statement = Statement::of(DB::SQL.claim_batch).bind(wanted.worker.as_str());
    let row = one::<DB>(conn, choosing(statement, wanted, skip, last)).await?;
    row.map(|row| claimed::<DB>(&row, wanted)).transpose()
}

fn choosing(statement: Statement, wanted: &Wanted, skip: &[RunId], last: Option<RunId>) -> Statement {
    statement
        .bind(wanted.backfills.as_str())
        .bind(wanted.queues.clone())
        .bind(json_list(skip))
        .bind(last.map_or(0, |id| id.0))
}

fn claimed<DB: Backend>(row: &DB::Row, wanted: &Wanted) -> sqlx::Result<Claim> {
    let mut c = Columns::<DB>::of(row);
    let (id, run_id, position) = (BatchId(c.int()?), RunId(c.int()?), c.count()?);
    let range = KeyRange { after: c.opt_json()?, upto: c.opt_json()?.ok_or(sqlx::Error::RowNotFound)? };
    let planned_size = c.count()?;
    let (attempts, transients, losses) = (c.small()?, c.small()?, c.small()?);
    let epoch = c.int()?;
    let started_at = c.opt_time()?;
    let due_at = due(&mut c)?;
    let batch = RunBatch {
        id,
        run_id,
        position,
        range,
        planned_size,
        processed: None,
        status: BatchStatus::Running,
        attempts,
        losses,
        worker: Some(wanted.worker.clone()),
        error: None,
        due_at,
        started_at,
        finished_at: None,
    };
    Ok(Claim { worker: wanted.worker.clone(), epoch, batch, transients })
}

/// What a write of a claim's holder has to match.
#[derive(Clone, Copy, Debug)]
pub struct Fence<'a> {
    pub(crate) batch: BatchId,
    pub(crate) run: RunId,
    pub(crate) worker: &'a str,
    pub(crate) epoch: i64,
}

/// What names a claim in the database's own views, and fences its transaction.
impl fmt::Display for Fence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.batch, self.epoch)
    }
}

impl Claim {
    pub(crate) fn fence(&self) -> Fence<'_> {
        Fence { batch: self.batch.id, run: self.batch.run_id, worker: &self.worker, epoch: self.epoch }
    }
}

fn fenced(sql: &'static str, fence: &Fence<'_>) -> Statement {
    Statement::of(sql).bind(fence.batch.0).bind(fence.worker).bind(fence.epoch)
}

/// What a batch's transaction sees of the world around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Of the claim's run.
    pub(crate) status: RunStatus,
    /// The version of the database's schema, where statements have to be prepared anew when it changes.
    pub(crate) schema: Option<i64>,
}

/// Read first thing in the batch's transaction; `None` when the claim is lost.
pub(crate) async fn check<DB: Backend>(conn: &mut DB::Connection, claim: &Claim) -> sqlx::Result<Option<Seen>> {
    let row = DB::first(conn, fenced(DB::SQL.check_claim, &claim.fence())).await?;
    row.map(|row| {
        let mut c = Columns::<DB>::of(&row);
        Ok(Seen { status: c.parsed()?, schema: c.opt_int()? })
    })
    .transpose()
}

/// Completes the batch in its own transaction; `false` when the claim is lost and the transaction must not commit.
pub(crate) async fn complete<DB: Backend>(
    conn: &mut DB::Connection,
    claim: &Claim,
    processed: u64,
) -> sqlx::Result<bool> {
    Ok(DB::execute(conn, fenced(DB::SQL.complete_batch, &claim.fence()).bind(int(processed))).await? == 1)
}

/// Completes the batch and claims the next one of the round, for one round trip where the dialect can say it in one
/// statement; `None` when the claim is lost and the transaction must not commit.
pub(crate) async fn complete_and_claim<DB: Backend>(
    conn: &mut DB::Connection,
    claim: &Claim,
    processed: u64,
    wanted: &Wanted,
    skip: &[RunId],
) -> sqlx::Result<Option<Option<Claim>>> {
    let last = Some(claim.batch.run_id);
    let Some(sql) = DB::COMPLETE_AND_CLAIM else {
        if !complete::<DB>(conn, claim, processed).await? {
            return Ok(None);
        }
        return self::claim::<DB>(conn, wanted, skip, last).await.map(Some);
    };
    let statement = choosing(fenced(sql, &claim.fence()).bind(int(processed)), wanted, skip, last);
    let (mut completed, mut next) = (false, None);
    for row in DB::fetch(conn, statement).await? {
        if DB::int(&row, 0)? == Some(claim.batch.id.0) {
            completed = true;
        } else {
            next = Some(claimed::<DB>(&row, wanted)?);
        }
    }
    Ok(completed.then_some(next))
}

/// Whether the claim's completion is in the database. Waits for the transaction that may still hold the row.
pub(crate) async fn is_completed<DB: Backend>(conn: &mut DB::Connection, claim: &Claim) -> sqlx::Result<bool> {
    let mut tx = DB::begin(conn).await?;
    let row = one::<DB>(&mut tx, Statement::of(DB::SQL.lock_batch).bind(claim.batch.id.0)).await?;
    tx.rollback().await?;
    let Some(row) = row else { return Ok(false) };
    let mut c = Columns::<DB>::of(&row);
    let (status, worker, epoch): (BatchStatus, _, _) = (c.parsed()?, c.opt_text()?, c.int()?);
    Ok(status == BatchStatus::Completed && worker.as_deref() == Some(&claim.worker) && epoch == claim.epoch)
}

/// Marks a suspected batch as about to run alone, so that a loss from now on counts towards giving it up.
pub(crate) async fn mark_lone<DB: Backend>(conn: &mut DB::Connection, claim: &Claim) -> sqlx::Result<bool> {
    // In a transaction: a connection that a chain of batches goes over commits nothing by itself on MySQL.
    let mut tx = DB::begin(conn).await?;
    let marked = DB::execute(&mut tx, fenced(DB::SQL.mark_lone, &claim.fence())).await? == 1;
    tx.commit().await?;
    Ok(marked)
}

/// How an attempt ended that did not complete the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// Never began, or was rolled back through no fault of the batch: nothing is counted.
    Released,
    /// The same, not to be claimed again before the delay is over.
    Postponed { again_in: Duration },
    /// Failed for a passing reason; tried again after the delay.
    Transient { error: String, again_in: Duration },
    /// User code failed; tried again after the delay.
    Attempt { error: String, again_in: Duration },
    /// Failed for good. `counted` tells whether it was an attempt of user code.
    GaveUp { error: String, counted: bool },
}

impl Unfinished {
    pub(crate) fn error_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Released | Self::Postponed { .. } => None,
            Self::Transient { error, .. } | Self::Attempt { error, .. } | Self::GaveUp { error, .. } => Some(error),
        }
    }

    /// The same, with what is kept instead of its error, when it has one.
    pub(crate) fn standing_in(&self, refusal: &sqlx::Error) -> Option<Self> {
        let mut other = self.clone();
        let error = other.error_mut()?;
        *error = stand_in(error, refusal);
        Some(other)
    }
}

/// What a batch becomes that was claimed and not worked on to its end.
pub(crate) fn waiting(run: RunStatus) -> BatchStatus {
    if run.is_settled() { BatchStatus::Stopped } else { BatchStatus::Pending }
}

/// Gives a claim back, in a transaction that locks the run first; the batch's new status, `None` when the claim was
/// lost already. A batch of a run that was settled meanwhile becomes `stopped`.
pub(crate) async fn give_back<DB: Backend>(
    conn: &mut DB::Connection,
    fence: &Fence<'_>,
    how: &Unfinished,
) -> sqlx::Result<Option<BatchStatus>> {
    let mut tx = DB::begin(conn).await?;
    let Some(run) = runs::lock::<DB>(&mut tx, fence.run).await? else { return Ok(None) };
    let waiting = waiting(run.status);
    let (status, statement) = match how {
        Unfinished::GaveUp { error, counted } => {
            let (attempt, transient) = if *counted { (1, 0) } else { (0, 1) };
            let statement = fenced(DB::SQL.fail_batch, fence).bind(error.as_str()).bind(attempt).bind(transient);
            (BatchStatus::Failed, statement)
        }
        Unfinished::Released => (waiting, release::<DB>(fence, waiting, None, 0, 0, Duration::ZERO)),
        Unfinished::Postponed { again_in } => (waiting, release::<DB>(fence, waiting, None, 0, 0, *again_in)),
        Unfinished::Transient { error, again_in } => {
            (waiting, release::<DB>(fence, waiting, Some(error), 0, 1, *again_in))
        }
        Unfinished::Attempt { error, again_in } => {
            (waiting, release::<DB>(fence, waiting, Some(error), 1, 0, *again_in))
        }
    };
    let changed = DB::execute(&mut tx, statement).await? == 1;
    tx.commit().await?;
    Ok(changed.then_some(status))
}

fn release<DB: Backend>(
    fence: &Fence<'_>,
    status: BatchStatus,
    error: Option<&str>,
    attempts: i64,
    transients: i64,
    again_in: Duration,
) -> Statement {
    fenced(DB::SQL.release_batch, fence)
        .bind(status.as_str())
        .bind(error.map(str::to_owned))
        .bind(attempts)
        .bind(transients)
        .bind(millis(again_in))
}

/// A claim as the database holds it for a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Held {
    pub(crate) batch: BatchId,
    run: RunId,
    pub(crate) epoch: i64,
}

impl Held {
    pub(crate) fn fence<'a>(&self, worker: &'a str) -> Fence<'a> {
        Fence { batch: self.batch, run: self.run, worker, epoch: self.epoch }
    }
}

/// All claims of a worker.
pub(crate) async fn held<DB: Backend>(conn: &mut DB::Connection, worker: &str) -> sqlx::Result<Vec<Held>> {
    let rows = DB::fetch(conn, Statement::of(DB::SQL.select_claims).bind(worker)).await?;
    rows.iter()
        .map(|row| {
            let mut c = Columns::<DB>::of(row);
            Ok(Held { batch: BatchId(c.int()?), run: RunId(c.int()?), epoch: c.int()? })
        })
        .collect()
}

/// The batches with these numbers, by run and position.
pub(crate) async fn select<DB: Backend>(conn: &mut DB::Connection, ids: &[BatchId]) -> sqlx::Result<Vec<RunBatch>> {
    let rows = DB::fetch(conn, Statement::of(DB::SQL.select_batches).bind(json_list(ids))).await?;
    rows.iter().map(read::<DB>).collect()
}

fn read<DB: Backend>(row: &DB::Row) -> sqlx::Result<RunBatch> {
    let mut c = Columns::<DB>::of(row);
    Ok(RunBatch {
        id: BatchId(c.int()?),
        run_id: RunId(c.int()?),
        position: c.count()?,
        range: KeyRange { after: c.opt_json()?, upto: c.opt_json()?.ok_or(sqlx::Error::RowNotFound)? },
        planned_size: c.count()?,
        processed: c.opt_count()?,
        status: c.parsed()?,
        attempts: c.small()?,
        losses: c.small()?,
        worker: c.opt_text()?,
        error: c.opt_text()?,
        due_at: due(&mut c)?,
        started_at: c.opt_time()?,
        finished_at: c.opt_time()?,
    })
}

/// When a batch is due; 0 stands for at once.
fn due<DB: Backend>(columns: &mut Columns<'_, DB>) -> sqlx::Result<Option<DateTime<Utc>>> {
    Ok(columns.opt_time()?.filter(|at| at.timestamp_millis() > 0))
}

/// Which batches of a run to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) status: Option<BatchStatus>,
    pub(crate) after: Option<u64>,
    /// Turns the order round: those in front of this position, the last one first.
    pub(crate) before: Option<u64>,
    pub(crate) limit: u32,
}

/// The numbers of a run's batches that match, by position.
pub(crate) async fn list<DB: Backend>(
    conn: &mut DB::Connection,
    run: RunId,
    filter: &Filter,
) -> sqlx::Result<Vec<BatchId>> {
    use sea_query::{Expr, ExprTrait, Order, Query};
    let mut query = Query::select();
    query.column("id").from("data_drip_backfill_run_batches").and_where(Expr::col("run_id").eq(run.0));
    if let Some(status) = filter.status {
        // Spelt out so that the partial index of that status serves: a bound value could not prove it.
        query.and_where(Expr::col("status").eq(Expr::cust(format!("'{status}'"))));
    }
    // Those that wait or run are few, and in an index of their own that is not in this order: the one that is would be
    // read from the beginning to find them among all the others.
    let few = matches!(filter.status, Some(BatchStatus::Pending | BatchStatus::Running));
    let position = || if few { Expr::cust("position + 0") } else { Expr::col("position") };
    if let Some(after) = filter.after {
        query.and_where(position().gt(int(after)));
    }
    if let Some(before) = filter.before {
        query.and_where(position().lt(int(before)));
    }
    let order = if filter.before.is_some() { Order::Desc } else { Order::Asc };
    query.order_by_expr(position(), order).limit(u64::from(filter.limit));
    Ok(ints::<DB>(conn, DB::build(&query)).await?.into_iter().map(BatchId).collect())
}

/// Whether a claim would find a batch, without taking a lock.
pub(crate) async fn peek<DB: Backend>(
    conn: &mut DB::Connection,
    wanted: &Wanted,
    skip: &[RunId],
) -> sqlx::Result<bool> {
    let statement = Statement::of(DB::SQL.peek_batch)
        .bind(wanted.backfills.as_str())
        .bind(wanted.queues.clone())
        .bind(json_list(skip));
    Ok(one::<DB>(conn, statement).await?.is_some())
}
