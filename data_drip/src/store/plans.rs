//! The plan of a run: who plans it, how far, and the batches it makes.

use std::fmt;

use crate::backend::{Backend, Call, KeySpec, Statement};
use crate::key::{Key, KeyRange};
use crate::run::{BatchId, RunId, Total};
use crate::status::RunStatus;
use crate::store::{Columns, int, ints, json_list, one};

/// Batches that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// For a slot.
    pub(crate) due: usize,
    /// For a slot, or for the time of their next try.
    pub(crate) all: usize,
}

/// The planner role for one run. `epoch` fences it like a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) run: RunId,
    pub(crate) worker: String,
    pub(crate) epoch: i64,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plan {}/{}", self.run, self.epoch)
    }
}

/// How far a run is planned.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) status: RunStatus,
    pub(crate) epoch: i64,
    /// `before_run` has succeeded.
    pub(crate) prepared: bool,
    pub(crate) spec: Option<KeySpec>,
    pub(crate) upper: Option<Key>,
    pub(crate) cursor: Option<Key>,
    pub(crate) planned: bool,
    pub(crate) batches: u64,
    pub(crate) elements: u64,
    pub(crate) planner: Option<String>,
    pub(crate) counted: bool,
    /// Processes that died while they asked the run's user code.
    pub(crate) losses: u32,
}

impl Plan {
    /// Whether a process died while it asked the run's user code, which may die of it again.
    pub(crate) fn is_suspect(&self) -> bool {
        self.losses > 0
    }
}

/// Runs that nobody else plans: also those whose role this worker has and could not give back.
pub(crate) async fn plannable<DB: Backend>(
    conn: &mut DB::Connection,
    backfills: &str,
    queues: Option<&str>,
    worker: &str,
) -> sqlx::Result<Vec<RunId>> {
    let statement =
        Statement::of(DB::SQL.select_plannable_runs).bind(backfills).bind(queues.map(str::to_owned)).bind(worker);
    Ok(ints::<DB>(conn, statement).await?.into_iter().map(RunId).collect())
}

/// The plan as it stands.
pub(crate) async fn find<DB: Backend>(conn: &mut DB::Connection, run: RunId) -> sqlx::Result<Option<Plan>> {
    let Some(row) = one::<DB>(conn, Statement::of(DB::SQL.select_plan).bind(run.0)).await? else { return Ok(None) };
    let mut c = Columns::<DB>::of(&row);
    Ok(Some(Plan {
        status: c.parsed()?,
        epoch: c.int()?,
        prepared: c.flag()?,
        spec: c.opt_json()?,
        upper: c.opt_json()?,
        cursor: c.opt_json()?,
        planned: c.flag()?,
        batches: c.count()?,
        elements: c.count()?,
        planner: c.opt_text()?,
        counted: c.flag()?,
        losses: c.small()?,
    }))
}

/// Takes the role of planning a run, and the run from `enqueued` to `running`; the plan as it was before.
pub(crate) async fn take<DB: Backend>(
    conn: &mut DB::Connection,
    run: RunId,
    worker: &str,
) -> sqlx::Result<Option<(Role, Plan)>> {
    let Some(plan) = find::<DB>(conn, run).await? else { return Ok(None) };
    let wanted = plan.status == RunStatus::Enqueued || (plan.status == RunStatus::Running && !plan.planned);
    if !wanted || plan.planner.as_deref().is_some_and(|planner| planner != worker) {
        return Ok(None);
    }
    let statement =
        Statement::of(DB::SQL.claim_plan).bind(run.0).bind(worker).bind(plan.epoch).bind(plan.status.as_str());
    let taken = DB::execute(conn, statement).await? == 1;
    Ok(taken.then(|| (Role { run, worker: worker.to_owned(), epoch: plan.epoch + 1 }, plan)))
}

fn fenced(sql: &'static str, role: &Role) -> Statement {
    Statement::of(sql).bind(role.run.0).bind(role.worker.as_str()).bind(role.epoch)
}

/// How many of a run's batches wait.
pub(crate) async fn pending<DB: Backend>(conn: &mut DB::Connection, run: RunId) -> sqlx::Result<Pending> {
    let row = one::<DB>(conn, Statement::of(DB::SQL.count_pending_batches).bind(run.0)).await?;
    let row = row.ok_or(sqlx::Error::RowNotFound)?;
    let mut c = Columns::<DB>::of(&row);
    let mut count = || Ok::<_, sqlx::Error>(usize::try_from(c.count()?).unwrap_or(usize::MAX));
    Ok(Pending { due: count()?, all: count()? })
}

/// Gives the role back.
pub(crate) async fn release<DB: Backend>(conn: &mut DB::Connection, role: &Role) -> sqlx::Result<()> {
    DB::execute(conn, fenced(DB::SQL.release_plan, role)).await.map(drop)
}

/// Whether the role is held, for a run that is running.
pub(crate) async fn is_held<DB: Backend>(conn: &mut DB::Connection, role: &Role) -> sqlx::Result<bool> {
    let plan = find::<DB>(conn, role.run).await?;
    Ok(plan.is_some_and(|plan| {
        plan.status == RunStatus::Running && plan.epoch == role.epoch && plan.planner.as_ref() == Some(&role.worker)
    }))
}

/// Writes down that the run's user code is about to be asked, so that a loss from now on is put down to it, or that it has
/// answered; `false` when the role is lost.
pub(crate) async fn mark<DB: Backend>(conn: &mut DB::Connection, role: &Role, asking: bool) -> sqlx::Result<bool> {
    Ok(DB::execute(conn, fenced(DB::SQL.mark_plan, role).bind(i64::from(asking))).await? == 1)
}

/// Writes down, in `before_run`'s own transaction, that it has succeeded; `false` when the role is lost.
pub(crate) async fn prepare<DB: Backend>(conn: &mut DB::Connection, role: &Role) -> sqlx::Result<bool> {
    Ok(DB::execute(conn, fenced(DB::SQL.prepare_plan, role)).await? == 1)
}

/// Pins table, key and the greatest key of this moment: user code has answered.
pub(crate) async fn pin<DB: Backend>(
    conn: &mut DB::Connection,
    role: &Role,
    spec: &KeySpec,
    upper: &Key,
) -> sqlx::Result<bool> {
    let spec = serde_json::to_string(spec).expect("names serialise");
    let statement = fenced(DB::SQL.pin_plan, role).bind(spec).bind(upper.to_json());
    Ok(DB::execute(conn, statement).await? == 1)
}

/// One step of a plan: the batches found between two places of the cursor.
#[derive(Debug, Default)]
pub(crate) struct Advance<'a> {
    pub(crate) from: Option<&'a Key>,
    pub(crate) to: Option<&'a Key>,
    /// The batches' ranges with the rows seen in each.
    pub(crate) batches: &'a [(KeyRange, u64)],
    /// The position of the first of them.
    pub(crate) position: u64,
    /// Nothing is left to plan.
    pub(crate) done: bool,
    /// Workers of other processes are told of the batches.
    pub(crate) call: bool,
}

/// Moves the cursor and inserts the batches, in one transaction; `None` when the role, the run's status or the
/// cursor is not what it was.
pub(crate) async fn advance<DB: Backend>(
    conn: &mut DB::Connection,
    role: &Role,
    step: &Advance<'_>,
) -> sqlx::Result<Option<Vec<BatchId>>> {
    let mut tx = DB::begin(conn).await?;
    let elements = step.batches.iter().map(|(_, rows)| rows).sum();
    let statement = fenced(DB::SQL.advance_plan, role)
        .bind(step.from.map(Key::to_json))
        .bind(step.to.map(Key::to_json))
        .bind(int(step.batches.len() as u64))
        .bind(int(elements))
        .bind(i64::from(step.done));
    if DB::execute(&mut tx, statement).await? != 1 {
        tx.rollback().await?;
        return Ok(None);
    }
    let mut ids = Vec::new();
    if !step.batches.is_empty() {
        let rows: Vec<_> = (step.position..)
            .zip(step.batches)
            .map(|(position, (range, rows))| {
                (position, range.after.as_ref().map(Key::to_json), range.upto.to_json(), rows)
            })
            .collect();
        let statement = Statement::of(DB::SQL.insert_batches).bind(role.run.0).bind(json_list(&rows));
        ids = ints::<DB>(&mut tx, statement).await?.into_iter().map(BatchId).collect();
        if ids.len() != rows.len() {
            let message = format!("{} of {} planned batches were written", ids.len(), rows.len());
            return Err(sqlx::Error::Protocol(message));
        }
    }
    if step.call {
        DB::notify(&mut tx, Call::Batches).await?;
    }
    tx.commit().await?;
    Ok(Some(ids))
}

/// Fails a run that cannot be planned, and stops the batches that wait; `None` when the role is lost.
pub(crate) async fn fail<DB: Backend>(
    conn: &mut DB::Connection,
    role: &Role,
    error: &str,
) -> sqlx::Result<Option<Vec<BatchId>>> {
    let mut tx = DB::begin(conn).await?;
    let statement = Statement::of(DB::SQL.fail_run).bind(role.run.0).bind(role.epoch).bind(error);
    if DB::execute(&mut tx, statement).await? != 1 {
        tx.rollback().await?;
        return Ok(None);
    }
    let stopped = ints::<DB>(&mut tx, Statement::of(DB::SQL.stop_batches).bind(role.run.0)).await?;
    tx.commit().await?;
    Ok(Some(stopped.into_iter().map(BatchId).collect()))
}

/// Keeps the count of all elements while the plan is not finished; a finished plan knows better.
pub(crate) async fn estimate<DB: Backend>(conn: &mut DB::Connection, run: RunId, total: Total) -> sqlx::Result<()> {
    let statement =
        Statement::of(DB::SQL.estimate_total).bind(run.0).bind(int(total.count)).bind(i64::from(total.exact));
    DB::execute(conn, statement).await.map(drop)
}
