//! Runs: asking for them, reading them, and each change of their status.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_query::Value;

use crate::backend::{Backend, Call, Statement};
use crate::options::Values;
use crate::run::{Backfiller, BatchId, Counts, Run, RunId, Total};
use crate::status::RunStatus;
use crate::store::tallies::{Seen, Sums, Tallies, Tally};
use crate::store::{Columns, int, ints, json_list, millis, one};

/// A run as it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct NewRun {
    pub(crate) backfill: String,
    pub(crate) options: Values,
    pub(crate) batch_size: u64,
    pub(crate) sleep: std::time::Duration,
    pub(crate) limit: Option<u64>,
    pub(crate) queue: String,
    pub(crate) concurrency: Option<u32>,
    pub(crate) max_attempts: u32,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) backfiller: Option<Backfiller>,
    pub(crate) start_at: Option<DateTime<Utc>>,
}

/// What makes two runs the same: at most one of them is active.
pub(crate) fn active_key(backfill: &str, options: &str, limit: Option<u64>) -> String {
    // The parts are length-prefixed so that no two requests spell the same text.
    let limit = limit.map_or_else(|| "all".to_owned(), |limit| limit.to_string());
    let text = format!("{}:{backfill}{}:{options}{limit}", backfill.len(), options.len());
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, text.as_bytes()).to_string()
}

fn options_text(options: &Values) -> String {
    serde_json::to_string(options).expect("a JSON object serialises")
}

/// Inserts the run; `Err(other)` names the active run that is the same.
pub(crate) async fn insert<DB: Backend>(
    conn: &mut DB::Connection,
    new: &NewRun,
) -> sqlx::Result<Result<RunId, Option<RunId>>> {
    let options = options_text(&new.options);
    let key = active_key(&new.backfill, &options, new.limit);
    let (person, name) = new.backfiller.clone().map(|b| (b.id, b.name)).unzip();
    let statement = Statement::of(DB::SQL.insert_run)
        .bind(new.backfill.as_str())
        .bind(options)
        .bind(key.as_str())
        .bind(int(new.batch_size))
        .bind(millis(new.sleep))
        .bind(new.limit.map(int))
        .bind(new.queue.as_str())
        .bind(new.concurrency.map(i64::from))
        .bind(i64::from(new.max_attempts))
        .bind(new.timeout_ms.map(int))
        .bind(person)
        .bind(name)
        .bind(new.start_at.map(|at| at.timestamp_millis()));
    match ints::<DB>(conn, statement).await?.first() {
        Some(&id) => Ok(Ok(RunId(id))),
        None => Ok(Err(active::<DB>(conn, &key).await?)),
    }
}

/// The active run that is the same as `new`, if there is one.
pub(crate) async fn find_active<DB: Backend>(conn: &mut DB::Connection, new: &NewRun) -> sqlx::Result<Option<RunId>> {
    active::<DB>(conn, &active_key(&new.backfill, &options_text(&new.options), new.limit)).await
}

async fn active<DB: Backend>(conn: &mut DB::Connection, key: &str) -> sqlx::Result<Option<RunId>> {
    Ok(ints::<DB>(conn, Statement::of(DB::SQL.select_active_run).bind(key)).await?.first().map(|&id| RunId(id)))
}

/// The runs with these numbers, newest first.
pub(crate) async fn select<DB: Backend>(conn: &mut DB::Connection, ids: &[RunId]) -> sqlx::Result<Vec<Run>> {
    select_with::<DB>(conn, ids, &Tallies::default()).await
}

/// The same, with the help of what was added up before.
pub(crate) async fn select_with<DB: Backend>(
    conn: &mut DB::Connection,
    ids: &[RunId],
    tallies: &Tallies,
) -> sqlx::Result<Vec<Run>> {
    let mut runs = Vec::with_capacity(ids.len());
    let mut stale = Vec::new();
    let known: Vec<_> = ids.iter().map(|&id| (id, tallies.of(id))).collect();
    for (run, sums) in fetch::<DB>(conn, &known).await? {
        let tally = known.iter().find(|(id, _)| *id == run.id).and_then(|(_, tally)| *tally);
        match sums.processed(&run, tally, tallies) {
            Some(processed) => runs.push(with(run, processed)),
            None => stale.push((run.id, None)),
        }
    }
    if !stale.is_empty() {
        for (run, sums) in fetch::<DB>(conn, &stale).await? {
            let processed = sums.processed(&run, None, tallies).unwrap_or(sums.newer.processed);
            runs.push(with(run, processed));
        }
        runs.sort_unstable_by_key(|run| std::cmp::Reverse(run.id));
    }
    Ok(runs)
}

fn with(mut run: Run, processed: u64) -> Run {
    run.counts.processed = processed;
    run
}

/// Runs without their sums, and what there is to make those of.
async fn fetch<DB: Backend>(
    conn: &mut DB::Connection,
    known: &[(RunId, Option<Tally>)],
) -> sqlx::Result<Vec<(Run, Parts)>> {
    let asked: Vec<_> =
        known.iter().map(|(id, tally)| (id, tally.map(|tally| tally.until.timestamp_millis()))).collect();
    let mut runs = Vec::with_capacity(asked.len());
    for asked in asked.chunks(DB::RUNS_AT_ONCE) {
        for row in DB::fetch(conn, Statement::of(DB::SQL.select_runs).bind(json_list(asked))).await? {
            runs.push(read::<DB>(&row)?);
        }
    }
    runs.sort_unstable_by_key(|(run, _)| std::cmp::Reverse(run.id));
    Ok(runs)
}

/// What the sum of a run's elements is made of.
struct Parts {
    /// The sum itself, of a settled run.
    settled: Option<u64>,
    newer: Sums,
    recent: Sums,
}

impl Parts {
    fn processed(&self, run: &Run, tally: Option<Tally>, tallies: &Tallies) -> Option<u64> {
        if self.settled.is_some() {
            return self.settled;
        }
        let seen = Seen { completed: run.counts.completed, newer: self.newer, recent: self.recent, at: run.read_at };
        tallies.processed(run.id, tally, seen)
    }
}

/// One run.
pub(crate) async fn find<DB: Backend>(conn: &mut DB::Connection, id: RunId) -> sqlx::Result<Option<Run>> {
    Ok(select::<DB>(conn, &[id]).await?.pop())
}

/// The same, with the help of what was added up before.
pub(crate) async fn find_with<DB: Backend>(
    conn: &mut DB::Connection,
    id: RunId,
    tallies: &Tallies,
) -> sqlx::Result<Option<Run>> {
    Ok(select_with::<DB>(conn, &[id], tallies).await?.pop())
}

fn read<DB: Backend>(row: &DB::Row) -> sqlx::Result<(Run, Parts)> {
    let mut c = Columns::<DB>::of(row);
    let id = RunId(c.int()?);
    let backfill = c.text()?;
    let options = c.opt_json()?.unwrap_or_default();
    let (batch_size, sleep, limit, queue) = (c.count()?, c.millis()?, c.opt_count()?, c.text()?);
    let (concurrency, max_attempts) = (c.opt_int()?.and_then(|n| u32::try_from(n).ok()), c.small()?);
    let timeout = c.opt_count()?.map(std::time::Duration::from_millis);
    let status = c.parsed()?;
    let backfiller = c.opt_text()?.zip(c.opt_text()?).map(|(id, name)| Backfiller { id, name });
    let error = c.opt_text()?;
    let (start_at, created_at, started_at, finished_at) = (c.opt_time()?, c.time()?, c.opt_time()?, c.opt_time()?);
    let (planned, batches, planned_elements) = (c.flag()?, c.count()?, c.count()?);
    let (total, exact) = (c.opt_count()?, c.flag()?);
    let (pending, running, failed, stopped) = (c.count()?, c.count()?, c.count()?, c.count()?);
    let completed = batches.saturating_sub(pending + running + failed + stopped);
    let counts = Counts { processed: 0, batches, pending, running, completed, failed, stopped };
    let settled = c.opt_count()?;
    let newer = Sums { batches: c.opt_count()?.unwrap_or(completed), processed: c.count()? };
    let recent = Sums { batches: c.count()?, processed: c.count()? };
    let recent_from = c.opt_time()?;
    let read_at = c.time()?;
    let run = Run {
        id,
        backfill,
        options,
        batch_size,
        sleep,
        limit,
        queue,
        concurrency,
        max_attempts,
        timeout,
        status,
        backfiller,
        error,
        start_at,
        created_at,
        started_at,
        finished_at,
        planned,
        total: total_of(total, exact, limit, planned_elements),
        counts,
        throughput: recent_from.and_then(|from| rate(recent.processed, from, read_at)),
        read_at,
    };
    Ok((run, Parts { settled, newer, recent }))
}

/// The total as it can be shown: never less than what is already planned, never more than the limit.
fn total_of(total: Option<u64>, exact: bool, limit: Option<u64>, planned: u64) -> Option<Total> {
    let count = total?.max(planned);
    let count = limit.map_or(count, |limit| count.min(limit));
    Some(Total { count, exact: exact && total >= Some(planned) })
}

/// Elements per second since the oldest of the batches that ended within the last minute began: a batch that took
/// longer than the minute did not do all of its work in it.
fn rate(count: u64, from: DateTime<Utc>, now: DateTime<Utc>) -> Option<f64> {
    let window = (now - from).num_milliseconds().max(1);
    #[expect(clippy::cast_precision_loss, reason = "a rate to be shown")]
    let rate = count as f64 * 1000.0 / window as f64;
    (count > 0).then_some(rate)
}

/// What a change of status has to know of the run, read under its lock.
#[derive(Debug)]
pub(crate) struct Locked {
    pub(crate) status: RunStatus,
    pub(crate) planned: bool,
    backfill: String,
    options: String,
    limit: Option<u64>,
    /// Its start time is still to come.
    early: bool,
}

/// Locks the run's row: the first thing that stop, pause, resume, retry, settle and delete do.
pub(crate) async fn lock<DB: Backend>(conn: &mut DB::Connection, id: RunId) -> sqlx::Result<Option<Locked>> {
    let Some(row) = one::<DB>(conn, Statement::of(DB::SQL.lock_run).bind(id.0)).await? else { return Ok(None) };
    let mut c = Columns::<DB>::of(&row);
    Ok(Some(Locked {
        status: c.parsed()?,
        planned: c.flag()?,
        backfill: c.text()?,
        options: c.text()?,
        limit: c.opt_count()?,
        early: c.flag()?,
    }))
}

/// What became of a request to change a run's status.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Committed; the batches whose status changed with it.
    Done { from: RunStatus, to: RunStatus, batches: Vec<BatchId> },
    /// There is no such run.
    Missing,
    /// Its status does not allow it.
    Refused(RunStatus),
    /// A batch is still in a worker's hands.
    InFlight,
    /// Nothing to do it to.
    Nothing,
    /// This run is the same and active.
    Duplicate(RunId),
}

/// What a person asks of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Stop { now: bool },
    Pause,
    Resume,
    Retry,
    Delete,
}

impl Request {
    /// The word in the run's events.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::Stop { now: false } => "stopped",
            Self::Stop { now: true } => "stopped now",
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Retry => "retried failed batches",
            Self::Delete => "deleted",
        }
    }

    /// What it did to how many batches, in words.
    fn detail(self, batches: usize) -> Option<String> {
        let some = match batches {
            0 => return None,
            1 => "1 batch".to_owned(),
            batches => format!("{batches} batches"),
        };
        match self {
            Self::Stop { now: false } => Some(format!("{some} not started")),
            Self::Stop { now: true } => Some(format!("{some} not started or rolled back")),
            Self::Retry => Some(some),
            Self::Pause | Self::Resume | Self::Delete => None,
        }
    }
}

/// Does what was asked, in one transaction: the run's row is locked first, its batches are looked at afterwards.
pub(crate) async fn change<DB: Backend>(
    conn: &mut DB::Connection,
    id: RunId,
    request: Request,
    by: Option<&Backfiller>,
) -> sqlx::Result<Change> {
    match try_change::<DB>(conn, id, request, by).await {
        // The same run was started while this one was being resumed: now it can be seen, and named.
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            try_change::<DB>(conn, id, request, by).await
        }
        outcome => outcome,
    }
}

async fn try_change<DB: Backend>(
    conn: &mut DB::Connection,
    id: RunId,
    request: Request,
    by: Option<&Backfiller>,
) -> sqlx::Result<Change> {
    let mut tx = DB::begin(conn).await?;
    let Some(run) = lock::<DB>(&mut tx, id).await? else { return Ok(Change::Missing) };
    let change = match request {
        Request::Stop { now } => stop::<DB>(&mut tx, id, &run, now).await?,
        Request::Pause => pause::<DB>(&mut tx, id, &run).await?,
        Request::Resume => resume::<DB>(&mut tx, id, &run).await?,
        Request::Retry => retry::<DB>(&mut tx, id, &run).await?,
        Request::Delete => delete::<DB>(&mut tx, id, &run).await?,
    };
    if let Change::Done { batches, .. } = &change {
        if request != Request::Delete {
            let detail = request.detail(batches.len());
            event::<DB>(&mut tx, id, request.action(), by, detail.as_deref()).await?;
            DB::notify(&mut tx, Call::Work).await?;
        }
        tx.commit().await?;
    } else {
        tx.rollback().await?;
    }
    Ok(change)
}

async fn stop<DB: Backend>(conn: &mut DB::Connection, id: RunId, run: &Locked, now: bool) -> sqlx::Result<Change> {
    let mut batches = Vec::new();
    if run.status.may_become(RunStatus::Stopped) {
        set::<DB>(conn, DB::SQL.stop_run, id, run.status).await?;
        batches = ints::<DB>(conn, Statement::of(DB::SQL.stop_batches).bind(id.0)).await?;
    } else if !(now && run.status == RunStatus::Stopped) {
        return Ok(Change::Refused(run.status));
    }
    if now {
        // From the commit of this on, nothing of those batches can commit, wherever they run.
        batches.extend(ints::<DB>(conn, Statement::of(DB::SQL.revoke_batches).bind(id.0)).await?);
    }
    Ok(done(run.status, RunStatus::Stopped, batches))
}

async fn pause<DB: Backend>(conn: &mut DB::Connection, id: RunId, run: &Locked) -> sqlx::Result<Change> {
    if !run.status.may_become(RunStatus::Paused) {
        return Ok(Change::Refused(run.status));
    }
    set::<DB>(conn, DB::SQL.pause_run, id, run.status).await?;
    Ok(done(run.status, RunStatus::Paused, Vec::new()))
}

async fn resume<DB: Backend>(conn: &mut DB::Connection, id: RunId, run: &Locked) -> sqlx::Result<Change> {
    if !matches!(run.status, RunStatus::Paused | RunStatus::Stopped) {
        return Ok(Change::Refused(run.status));
    }
    let to = if run.early { RunStatus::Pending } else { RunStatus::Enqueued };
    if let Some(other) = reopen::<DB>(conn, id, run, to).await? {
        return Ok(Change::Duplicate(other));
    }
    let batches = ints::<DB>(conn, Statement::of(DB::SQL.resume_batches).bind(id.0)).await?;
    Ok(done(run.status, to, batches))
}

async fn retry<DB: Backend>(conn: &mut DB::Connection, id: RunId, run: &Locked) -> sqlx::Result<Change> {
    if run.status != RunStatus::Failed {
        return Ok(Change::Refused(run.status));
    }
    let mut batches = ints::<DB>(conn, Statement::of(DB::SQL.retry_batches).bind(id.0)).await?;
    // Those that waited when planning failed.
    batches.extend(ints::<DB>(conn, Statement::of(DB::SQL.resume_batches).bind(id.0)).await?);
    if batches.is_empty() && run.planned {
        return Ok(Change::Nothing);
    }
    if let Some(other) = reopen::<DB>(conn, id, run, RunStatus::Enqueued).await? {
        return Ok(Change::Duplicate(other));
    }
    Ok(done(run.status, RunStatus::Enqueued, batches))
}

async fn delete<DB: Backend>(conn: &mut DB::Connection, id: RunId, run: &Locked) -> sqlx::Result<Change> {
    if !run.status.is_settled() {
        return Ok(Change::Refused(run.status));
    }
    if one::<DB>(conn, Statement::of(DB::SQL.peek_claim).bind(id.0)).await?.is_some() {
        return Ok(Change::InFlight);
    }
    let sql = DB::SQL;
    for delete in [sql.delete_logs, sql.delete_log_totals, sql.delete_batches, sql.delete_events] {
        DB::execute(conn, Statement::of(delete).bind(id.0)).await?;
    }
    set::<DB>(conn, DB::SQL.delete_run, id, run.status).await?;
    Ok(done(run.status, run.status, Vec::new()))
}

fn done(from: RunStatus, to: RunStatus, batches: Vec<i64>) -> Change {
    Change::Done { from, to, batches: batches.into_iter().map(BatchId).collect() }
}

/// Makes a run active again, unless the same one was started since.
async fn reopen<DB: Backend>(
    conn: &mut DB::Connection,
    id: RunId,
    run: &Locked,
    to: RunStatus,
) -> sqlx::Result<Option<RunId>> {
    let key = active_key(&run.backfill, &run.options, run.limit);
    if let Some(other) = active::<DB>(conn, &key).await?.filter(|&other| other != id) {
        return Ok(Some(other));
    }
    let statement = Statement::of(DB::SQL.reopen_run).bind(id.0).bind(run.status.as_str()).bind(to.as_str()).bind(key);
    expect_one(DB::execute(conn, statement).await?)?;
    Ok(None)
}

async fn set<DB: Backend>(
    conn: &mut DB::Connection,
    sql: &'static str,
    id: RunId,
    from: RunStatus,
) -> sqlx::Result<()> {
    expect_one(DB::execute(conn, Statement::of(sql).bind(id.0).bind(from.as_str())).await?)
}

/// The row is locked: anything but one row means that the lock did not hold.
fn expect_one(rows: u64) -> sqlx::Result<()> {
    if rows == 1 {
        return Ok(());
    }
    Err(sqlx::Error::Protocol(format!("a locked run changed under its lock ({rows} rows)")))
}

/// What a run settles as that is planned and has no batch open; `None` when it is not that far. An answer of this moment, unless
/// the run is locked.
pub(crate) async fn outcome<DB: Backend>(conn: &mut DB::Connection, id: RunId) -> sqlx::Result<Option<RunStatus>> {
    let Some(row) = one::<DB>(conn, Statement::of(DB::SQL.check_run).bind(id.0)).await? else { return Ok(None) };
    let failed = Columns::<DB>::of(&row).flag()?;
    Ok(Some(if failed { RunStatus::Failed } else { RunStatus::Completed }))
}

/// Settles a run whose every batch is done; `None` when it is not that far. Safe to try at any time.
pub(crate) async fn settle<DB: Backend>(conn: &mut DB::Connection, id: RunId) -> sqlx::Result<Option<RunStatus>> {
    let mut tx = DB::begin(conn).await?;
    if lock::<DB>(&mut tx, id).await?.is_none() {
        return Ok(None);
    }
    let Some(to) = outcome::<DB>(&mut tx, id).await? else {
        tx.rollback().await?;
        return Ok(None);
    };
    let statement = Statement::of(DB::SQL.settle_run).bind(id.0).bind(to.as_str());
    expect_one(DB::execute(&mut tx, statement).await?)?;
    tx.commit().await?;
    Ok(Some(to))
}

/// Runs that look settled: planned, with no batch open.
pub(crate) async fn settleable<DB: Backend>(conn: &mut DB::Connection) -> sqlx::Result<Vec<RunId>> {
    Ok(ints::<DB>(conn, Statement::of(DB::SQL.select_settleable_runs)).await?.into_iter().map(RunId).collect())
}

/// Runs whose start time has come.
pub(crate) async fn due<DB: Backend>(conn: &mut DB::Connection) -> sqlx::Result<Vec<RunId>> {
    Ok(ints::<DB>(conn, Statement::of(DB::SQL.select_due_runs)).await?.into_iter().map(RunId).collect())
}

/// What there is for workers to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Activity {
    /// A run is at work, or waits for a worker.
    pub(crate) active: bool,
    /// How long it is until the next run is due.
    pub(crate) due_in: Option<Duration>,
}

pub(crate) async fn activity<DB: Backend>(conn: &mut DB::Connection) -> sqlx::Result<Activity> {
    let row = one::<DB>(conn, Statement::of(DB::SQL.select_activity)).await?;
    let Some(row) = row else { return Err(sqlx::Error::RowNotFound) };
    let mut c = Columns::<DB>::of(&row);
    let (active, due_in) = (c.flag()?, c.opt_int()?);
    Ok(Activity { active, due_in: due_in.map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0))) })
}

/// Enqueues a run whose start time has come; `false` when somebody else did.
pub(crate) async fn enqueue<DB: Backend>(conn: &mut DB::Connection, id: RunId) -> sqlx::Result<bool> {
    let mut tx = DB::begin(conn).await?;
    let enqueued = DB::execute(&mut tx, Statement::of(DB::SQL.enqueue_run).bind(id.0)).await? == 1;
    if enqueued {
        DB::notify(&mut tx, Call::Work).await?;
    }
    tx.commit().await?;
    Ok(enqueued)
}

/// The names of all backfills that have runs.
pub(crate) async fn backfill_names<DB: Backend>(conn: &mut DB::Connection) -> sqlx::Result<Vec<String>> {
    let rows = DB::fetch(conn, Statement::of(DB::SQL.select_backfill_names)).await?;
    rows.iter().map(|row| Columns::<DB>::of(row).text()).collect()
}

/// Writes down who did what.
pub(crate) async fn event<DB: Backend>(
    conn: &mut DB::Connection,
    id: RunId,
    action: &str,
    by: Option<&Backfiller>,
    detail: Option<&str>,
) -> sqlx::Result<()> {
    let statement = Statement::of(DB::SQL.insert_event)
        .bind(id.0)
        .bind(action)
        .bind(by.map(|b| b.id.clone()))
        .bind(by.map(|b| b.name.clone()))
        .bind(detail.map(str::to_owned));
    DB::execute(conn, statement).await.map(drop)
}

/// What happened to a run because somebody asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunEvent {
    /// When, by the database's clock.
    pub at: DateTime<Utc>,
    /// `enqueued`, `paused`, `resumed`, `stopped`, `stopped now`, `retried failed batches`.
    pub action: String,
    /// Who asked for it.
    pub backfiller: Option<Backfiller>,
    /// What became of how many batches, in words.
    pub detail: Option<String>,
}

pub(crate) async fn events<DB: Backend>(conn: &mut DB::Connection, id: RunId) -> sqlx::Result<Vec<RunEvent>> {
    let rows = DB::fetch(conn, Statement::of(DB::SQL.select_events).bind(id.0)).await?;
    rows.iter()
        .map(|row| {
            let mut c = Columns::<DB>::of(row);
            Ok(RunEvent {
                at: c.time()?,
                action: c.text()?,
                backfiller: c.opt_text()?.zip(c.opt_text()?).map(|(id, name)| Backfiller { id, name }),
                detail: c.opt_text()?,
            })
        })
        .collect()
}

/// How many runs there are in each status: all that are not settled, and those that were settled lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct StatusCounts {
    /// Runs that wait for their start time.
    pub pending: u64,
    /// Runs that no worker has yet.
    pub enqueued: u64,
    /// Runs being planned or processed.
    pub running: u64,
    /// Runs that keep their place.
    pub paused: u64,
    /// Runs completed within the time that was asked for.
    pub completed: u64,
    /// Runs failed within it.
    pub failed: u64,
    /// Runs stopped within it.
    pub stopped: u64,
}

pub(crate) async fn counts<DB: Backend>(
    conn: &mut DB::Connection,
    lately: std::time::Duration,
) -> sqlx::Result<StatusCounts> {
    let row = one::<DB>(conn, Statement::of(DB::SQL.count_runs).bind(millis(lately))).await?;
    let Some(row) = row else { return Err(sqlx::Error::RowNotFound) };
    let mut c = Columns::<DB>::of(&row);
    Ok(StatusCounts {
        pending: c.count()?,
        enqueued: c.count()?,
        running: c.count()?,
        paused: c.count()?,
        completed: c.count()?,
        failed: c.count()?,
        stopped: c.count()?,
    })
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) status: Option<RunStatus>,
    pub(crate) backfill: Option<String>,
    /// Only runs of one of these.
    pub(crate) among: Option<Vec<String>>,
    pub(crate) backfiller: Option<String>,
    pub(crate) before: Option<RunId>,
    pub(crate) limit: u32,
}

/// The numbers of the runs that match, newest first.
pub(crate) async fn list<DB: Backend>(conn: &mut DB::Connection, filter: &Filter) -> sqlx::Result<Vec<RunId>> {
    use sea_query::{Expr, ExprTrait, Order, Query};
    let mut query = Query::select();
    query.column("id").from("data_drip_backfill_runs").order_by("id", Order::Desc).limit(u64::from(filter.limit));
    let mut equal = |column: &'static str, value: Option<Value>| {
        if let Some(value) = value {
            query.and_where(Expr::col(column).eq(value));
        }
    };
    equal("status", filter.status.map(|s| s.as_str().into()));
    equal("backfill", filter.backfill.clone().map(Into::into));
    equal("backfiller_id", filter.backfiller.clone().map(Into::into));
    if let Some(names) = &filter.among {
        query.and_where(Expr::col("backfill").is_in(names.iter().map(String::as_str)));
    }
    if let Some(before) = filter.before {
        query.and_where(Expr::col("id").lt(before.0));
    }
    Ok(ints::<DB>(conn, DB::build(&query)).await?.into_iter().map(RunId).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_active_key_tells_requests_apart_that_spell_alike() {
        let keys = [
            active_key("a", "{}", None),
            active_key("a", "{}", Some(1)),
            active_key("a{}", "", None),
            active_key("", "a{}", None),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(keys[0], active_key("a", "{}", None));
    }

    #[test]
    fn a_rate_counts_the_whole_time_of_batches_longer_than_its_window() {
        let now = Utc::now();
        let ago = |seconds| now - chrono::TimeDelta::seconds(seconds);
        assert_eq!(rate(100, ago(10), now), Some(10.0));
        assert_eq!(rate(3_000, ago(300), now), Some(10.0));
        assert_eq!(rate(0, ago(10), now), None);
        // A clock that jumped back must not divide by nothing.
        assert_eq!(rate(1, ago(-5), now), Some(1_000.0));
    }

    #[test]
    fn a_total_is_never_less_than_what_is_planned_nor_more_than_the_limit() {
        assert_eq!(total_of(Some(10), true, None, 30), Some(Total { count: 30, exact: false }));
        assert_eq!(total_of(Some(10), true, Some(5), 0), Some(Total { count: 5, exact: true }));
        assert_eq!(total_of(None, false, None, 7), None);
    }
}
