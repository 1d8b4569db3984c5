//! Workers and their leases: beating, being looked at, and being taken over.

use std::time::Duration;

use crate::backend::{Backend, Statement};
use crate::run::{BatchId, RunId, WorkerClaim, WorkerInfo, WorkerPlan};
use crate::status::{BatchStatus, RunStatus};
use crate::store::batches::waiting;
use crate::store::{Columns, int, millis, one};

/// One incarnation of a process that executes batches.
#[derive(Clone, Debug)]
pub(crate) struct Incarnation {
    pub(crate) id: String,
    pub(crate) host: String,
    pub(crate) pid: u32,
    pub(crate) slots: usize,
    /// JSON list of queues; empty for all.
    pub(crate) queues: String,
}

/// Puts the worker's row there, unless it is.
pub(crate) async fn register<DB: Backend>(
    conn: &mut DB::Connection,
    worker: &Incarnation,
    ttl: Duration,
) -> sqlx::Result<()> {
    let statement = Statement::of(DB::SQL.insert_worker)
        .bind(worker.id.as_str())
        .bind(worker.host.as_str())
        .bind(i64::from(worker.pid))
        .bind(env!("CARGO_PKG_VERSION"))
        .bind(int(worker.slots as u64))
        .bind(worker.queues.as_str())
        .bind(millis(ttl));
    DB::execute(conn, statement).await.map(drop)
}

/// Renews the lease; `false` when the row is gone.
pub(crate) async fn beat<DB: Backend>(conn: &mut DB::Connection, id: &str, ttl: Duration) -> sqlx::Result<bool> {
    Ok(DB::execute(conn, Statement::of(DB::SQL.beat_worker).bind(id).bind(millis(ttl))).await? == 1)
}

/// Removes the worker's row: it holds nothing any more.
pub(crate) async fn retire<DB: Backend>(conn: &mut DB::Connection, id: &str) -> sqlx::Result<()> {
    unlocked::<DB>(conn, id).await?;
    DB::execute(conn, Statement::of(DB::SQL.retire_worker).bind(id)).await.map(drop)
}

/// From now on the lock with this number stands for the worker: once it is free, the process is gone.
pub(crate) async fn locked<DB: Backend>(conn: &mut DB::Connection, id: &str, token: i64) -> sqlx::Result<()> {
    DB::execute(conn, Statement::of(DB::SQL.insert_worker_lock).bind(id).bind(token)).await.map(drop)
}

/// From now on no lock does.
pub(crate) async fn unlocked<DB: Backend>(conn: &mut DB::Connection, id: &str) -> sqlx::Result<()> {
    DB::execute(conn, Statement::of(DB::SQL.delete_worker_lock).bind(id)).await.map(drop)
}

/// Forgets workers that died more than a day ago.
pub(crate) async fn forget<DB: Backend>(conn: &mut DB::Connection) -> sqlx::Result<()> {
    DB::execute(conn, Statement::of(DB::SQL.forget_workers)).await?;
    DB::execute(conn, Statement::of(DB::SQL.forget_worker_locks)).await.map(drop)
}

/// A worker as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) id: String,
    /// `None` when it has no row: then it cannot beat either.
    pub(crate) beat: Option<i64>,
    /// Its lease has run out by the database's clock.
    pub(crate) expired: bool,
    /// It holds claims or the planner role of a run.
    pub(crate) holds: bool,
    /// It died more than a day ago.
    pub(crate) forgettable: bool,
    /// The number of the lock that stands for it, if that is free.
    pub(crate) freed: Option<i64>,
}

/// Every worker with a row, and every holder of a claim without one.
pub(crate) async fn look<DB: Backend>(conn: &mut DB::Connection) -> sqlx::Result<Vec<Look>> {
    let mut looks = Vec::new();
    for row in DB::fetch(conn, Statement::of(DB::SQL.select_workers)).await? {
        let mut c = Columns::<DB>::of(&row);
        looks.push(Look {
            id: c.text()?,
            beat: Some(c.int()?),
            expired: c.flag()?,
            holds: c.flag()?,
            forgettable: c.flag()?,
            freed: c.opt_int()?,
        });
    }
    for row in DB::fetch(conn, Statement::of(DB::SQL.select_orphans)).await? {
        let id = Columns::<DB>::of(&row).text()?;
        looks.push(Look { id, beat: None, expired: true, holds: true, forgettable: false, freed: None });
    }
    Ok(looks)
}

/// Every worker that has a row, the living first, with what each of them holds.
pub(crate) async fn show<DB: Backend>(conn: &mut DB::Connection) -> sqlx::Result<Vec<WorkerInfo>> {
    let mut shown = Vec::new();
    for row in DB::fetch(conn, Statement::of(DB::SQL.show_workers)).await? {
        shown.push(read::<DB>(&row)?);
    }
    for row in DB::fetch(conn, Statement::of(DB::SQL.select_worker_claims)).await? {
        let mut c = Columns::<DB>::of(&row);
        let worker = c.text()?;
        let claim = WorkerClaim {
            run_id: RunId(c.int()?),
            backfill: c.text()?,
            batch_id: BatchId(c.int()?),
            position: c.count()?,
            since: c.time()?,
        };
        if let Some(worker) = shown.iter_mut().find(|shown| shown.id == worker) {
            worker.claims.push(claim);
        }
    }
    for row in DB::fetch(conn, Statement::of(DB::SQL.select_worker_roles)).await? {
        let mut c = Columns::<DB>::of(&row);
        let (worker, run_id, backfill) = (c.text()?, RunId(c.int()?), c.text()?);
        if let Some(worker) = shown.iter_mut().find(|shown| shown.id == worker) {
            worker.plans.push(WorkerPlan { run_id, backfill });
        }
    }
    Ok(shown)
}

fn read<DB: Backend>(row: &DB::Row) -> sqlx::Result<WorkerInfo> {
    let mut c = Columns::<DB>::of(row);
    Ok(WorkerInfo {
        id: c.text()?,
        host: c.text()?,
        pid: c.small()?,
        version: c.text()?,
        slots: c.count()?,
        queues: c.opt_json()?.unwrap_or_default(),
        started_at: c.time()?,
        beat_at: c.time()?,
        expires_at: c.time()?,
        read_at: c.time()?,
        alive: c.flag()?,
        claims: Vec::new(),
        plans: Vec::new(),
    })
}

/// A batch that a dead worker held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) batch: BatchId,
    pub(crate) run: RunId,
    pub(crate) status: BatchStatus,
}

/// Takes everything over that a dead worker holds; `None` when it turned out to live.
///
/// A batch becomes pending again (stopped, when its run is), or failed once `most_lone_losses` processes died while
/// they ran it alone.
pub(crate) async fn take_over<DB: Backend>(
    conn: &mut DB::Connection,
    dead: &Look,
    most_lone_losses: i64,
) -> sqlx::Result<Option<Vec<Loss>>> {
    let mut tx = DB::begin(conn).await?;
    let now = one::<DB>(&mut tx, Statement::of(DB::SQL.lock_worker).bind(dead.id.as_str())).await?;
    let (beat, expired, freed) = match &now {
        Some(row) => {
            let mut c = Columns::<DB>::of(row);
            (Some(c.int()?), c.flag()?, c.opt_int()?)
        }
        None => (None, true, None),
    };
    let gone = freed.is_some() && freed == dead.freed;
    if !gone && (beat != dead.beat || !expired) {
        tx.rollback().await?;
        return Ok(None);
    }
    if gone {
        // Nothing is said about its lease by a lock; but nobody is to take it for alive.
        DB::execute(&mut tx, Statement::of(DB::SQL.expire_worker).bind(dead.id.as_str())).await?;
        unlocked::<DB>(&mut tx, &dead.id).await?;
    }
    let mut losses = Vec::new();
    for row in DB::fetch(&mut tx, Statement::of(DB::SQL.select_lost_claims).bind(dead.id.as_str())).await? {
        let mut c = Columns::<DB>::of(&row);
        let (batch, run, lone) = (BatchId(c.int()?), RunId(c.int()?), c.int()?);
        let (run_status, epoch): (RunStatus, _) = (c.parsed()?, c.int()?);
        let status = if lone >= most_lone_losses { BatchStatus::Failed } else { waiting(run_status) };
        let error = (status == BatchStatus::Failed).then(|| {
            format!(
                "given up: {lone} processes died while they ran this batch alone \
                 (an abort, a stack overflow, out of memory, or a kill)"
            )
        });
        let statement =
            Statement::of(DB::SQL.lose_batch).bind(batch.0).bind(epoch).bind(status.as_str()).bind(error).bind(lone);
        if DB::execute(&mut tx, statement).await? == 1 {
            losses.push(Loss { batch, run, status });
        }
    }
    DB::execute(&mut tx, Statement::of(DB::SQL.release_plans).bind(dead.id.as_str())).await?;
    tx.commit().await?;
    Ok(Some(losses))
}
