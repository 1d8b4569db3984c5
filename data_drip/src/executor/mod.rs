//! The executor of one process: slots that work on batches, a planner, a lease, and sweeps.
//!
//! The way of a batch: [`planner`] inserts it, a [`slot`] claims it, [`attempt`] runs user code in the batch's
//! transaction and commits, [`sweep`] settles the run and takes over what dead workers held. [`lease`] keeps this
//! worker alive in the eyes of the others.

mod alone;
mod attempt;
mod code;
mod lease;
mod planner;
mod presence;
mod refusals;
mod schedule;
mod scribe;
mod slot;
mod sweep;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Pool;
use sqlx::pool::PoolOptions;
use tokio::sync::{MutexGuard, OnceCell};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::alone::Alone;
use self::code::Codes;
use self::lease::Lease;
use self::presence::Pace;
use self::refusals::Refusals;
use self::scribe::Desk;
use crate::answer::{self, ask, ask_in_turn};
use crate::api::DataDrip;
use crate::backend::{Backend, ConnectOptions};
use crate::core::{Core, Link};
use crate::error::{Error, ErrorKind};
use crate::hooks::Event;
use crate::lent::Books;
use crate::run::{RunId, WorkerInfo};
use crate::status::RunStatus;
use crate::store::batches::Wanted;
use crate::store::workers::Incarnation;
use crate::store::{json_list, runs, workers};

/// What the parts of one worker share.
pub(crate) struct Engine<DB: Backend> {
    core: Arc<Core<DB>>,
    /// The executor's own pool, or the host's with `share_pool`. For everything but the batches.
    pool: Pool<DB>,
    /// The slots' connections, or the host's pool. With what the host has set for them, as user code runs on them.
    slots: Pool<DB>,
    /// For what is written under the turn: whoever has it must not wait for walks to end, and everybody else with it.
    writing: Books<DB>,
    /// For `before_run`, which may hold one for as long as it likes.
    preparing: Pool<DB>,
    /// For reading beside a batch's transaction. Apart from the rest: all connections of the other pool may wait for the
    /// very lock that the transaction holds.
    counting: Pool<DB>,
    /// Whether that is possible.
    counts_beside: OnceCell<bool>,
    worker: Incarnation,
    wanted: Wanted,
    lease: Arc<Lease>,
    pace: Arc<Pace>,
    codes: Codes<DB>,
    desk: Desk,
    refusals: Refusals,
    alone: Alone,
    /// Nothing new is begun.
    draining: CancellationToken,
    /// What is in flight is rolled back.
    aborting: CancellationToken,
}

impl<DB: Backend> Engine<DB> {
    fn shares_pool(&self) -> bool {
        self.core.config.share_pool
    }

    /// Whether a batch's elements can be counted when its user code has run, on another connection that sees what was
    /// before. Otherwise they are counted at the batch's start.
    async fn counts_beside(&self, tx: &mut DB::Connection) -> sqlx::Result<bool> {
        // A shared pool may have no second connection.
        if self.shares_pool() {
            return Ok(false);
        }
        self.counts_beside.get_or_try_init(|| DB::reads_beside_writer(tx)).await.copied()
    }

    async fn link(&self) -> sqlx::Result<Link<DB>> {
        Link::acquire(&self.pool).await
    }

    async fn slots_link(&self) -> sqlx::Result<Link<DB>> {
        let mut link = Link::acquire(&self.slots).await?;
        if self.shares_pool() {
            let (conn, session) = link.parts();
            DB::bound(conn, session, SLOT_SILENCE).await?;
        }
        Ok(link)
    }

    /// Waits for this task's turn to write; see [`Core::turn`].
    async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        self.core.turn().await
    }

    /// How often a part of this process looks for work by itself.
    fn poll_interval(&self) -> Duration {
        self.pace.of_parts(self.core.config.poll_interval)
    }

    /// Whether a run that does not fit this process's code is left to the code of others for a while. Options: in the middle of a
    /// deploy, whoever was started last knows best. A pinned table or key: whoever else may have the code that it was pinned by.
    async fn leaves_to_others(&self, run: RunId, error: &Error) -> bool {
        let younger_only = match error.kind() {
            ErrorKind::Invalid => true,
            ErrorKind::Conflict => false,
            _ => return false,
        };
        let left = match self.others_for(run, younger_only).await {
            Ok(Some(ended)) => self.refusals.put_off(run, ended),
            Ok(None) => false,
            Err(error) => {
                tracing::debug!(run = run.0, %error, "it is not known now who else could take the run");
                self.refusals.pause(run);
                true
            }
        };
        if left {
            tracing::warn!(run = run.0, %error, "this process leaves the run to others");
        }
        left
    }

    /// How many of the run's batches have ended, if there are other workers that could take it.
    async fn others_for(&self, run: RunId, younger_only: bool) -> sqlx::Result<Option<u64>> {
        let shown = self.workers().await?;
        let own = shown.iter().find(|worker| worker.id == self.worker.id);
        let fits = |other: &WorkerInfo| {
            own.is_none_or(|own| {
                refusals::takes_over(other, own) && (!younger_only || other.started_at > own.started_at)
            })
        };
        if !shown.iter().any(fits) {
            return Ok(None);
        }
        let run = ask!(self.pool, self.patience(), |conn| runs::find_with::<DB>(conn, run, &self.core.tallies))?;
        Ok(run.map(|run| run.counts.completed + run.counts.failed))
    }

    async fn workers(&self) -> sqlx::Result<Vec<WorkerInfo>> {
        ask!(self.pool, self.patience(), |conn| workers::show::<DB>(conn))
    }

    /// How long an answer may take that no claim depends on.
    fn patience(&self) -> Duration {
        self.lease.ttl().max(ANSWER)
    }

    /// Settles the run if this was its last batch.
    async fn settle(&self, run: RunId) {
        let outcome = async {
            // Looked at first without a lock: the question is asked after many batches and answered yes once.
            if ask!(self.pool, self.patience(), |conn| runs::outcome::<DB>(conn, run))?.is_none() {
                return Ok(None);
            }
            ask_in_turn!(self, |conn| runs::settle::<DB>(conn, run))
        };
        match outcome.await {
            Ok(Some(status)) => self.settled(run, status),
            Ok(None) => {}
            Err(error) => tracing::debug!(run = run.0, %error, "could not settle the run yet; the sweep will"),
        }
    }

    fn settled(&self, run: RunId, status: RunStatus) {
        tracing::info!(run = run.0, %status, "the run is settled");
        self.codes.forget(run);
        self.refusals.forget(run);
        self.core.hooks.announce(Event::Run(run, status));
        self.core.signals.changed.notify_waiters();
    }
}

/// The executor of this process, running in the background.
///
/// Dropping it stops claiming and rolls back what is in flight; [`shutdown`](Worker::shutdown) waits for it to finish.
#[must_use = "dropping it stops the work: keep it, or hand it to `shutdown_on`"]
pub struct Worker<DB: Backend> {
    engine: Arc<Engine<DB>>,
    tasks: TaskTracker,
    /// Ends the heart when the last of the rest is gone.
    heart: lease::Heart,
    /// Writes what batches said, to the last of them.
    scribe: tokio::task::JoinHandle<()>,
}

impl<DB: Backend> DataDrip<DB> {
    /// Starts to execute batches in this process, in the background.
    ///
    /// Call it inside the tokio runtime. A database in memory needs [`share_pool`](crate::Builder::share_pool):
    /// `build()` says so.
    pub fn start(&self) -> Worker<DB> {
        let core = Arc::clone(&self.core);
        let config = &core.config;
        let queues = (!config.queues.is_empty()).then(|| json_list(&config.queues));
        let worker = Incarnation {
            id: uuid::Uuid::now_v7().to_string(),
            host: host_name(),
            pid: std::process::id(),
            slots: config.slots,
            queues: json_list(&config.queues),
        };
        let names: Vec<_> = core.definitions.keys().copied().collect();
        let wanted = Wanted { worker: worker.id.clone(), backfills: json_list(&names), queues };
        // One connection per slot, and a few for planning and the books: slots never starve the application.
        let options = (*core.pool.connect_options()).clone();
        let (pool, writing, slots) = if config.share_pool {
            (core.pool.clone(), core.pool.clone(), core.pool.clone())
        } else {
            let frugal = || own_pool::<DB>(DB::frugal(options.clone()), 2);
            (frugal(), frugal(), own_pool::<DB>(options.clone(), config.slots))
        };
        let preparing = if config.share_pool || DB::MAX_SLOTS == Some(1) {
            // With one writer at a time there is one who prepares.
            writing.clone()
        } else {
            own_pool::<DB>(options.clone(), planner::PREPARING)
        };
        let counting = own_pool::<DB>(DB::frugal(options), config.slots);
        let (desk, inbox) = Desk::new();
        let engine = Arc::new(Engine {
            lease: Arc::new(Lease::new(config.lease)),
            pace: Arc::default(),
            core: Arc::clone(&core),
            pool,
            writing: Books::new(writing, config.share_pool),
            slots,
            preparing,
            counting,
            counts_beside: OnceCell::new(),
            worker,
            wanted,
            codes: Codes::default(),
            desk,
            refusals: Refusals::default(),
            alone: Alone::default(),
            draining: CancellationToken::new(),
            aborting: CancellationToken::new(),
        });
        tracing::info!(worker = engine.worker.id, slots = config.slots, "the executor starts");
        let heart = lease::start(&engine);
        let tasks = TaskTracker::new();
        for number in 0..config.slots {
            tasks.spawn(slot::work(Arc::clone(&engine), number));
        }
        tasks.spawn(planner::plan(Arc::clone(&engine)));
        tasks.spawn(sweep::sweep(Arc::clone(&engine)));
        tasks.close();
        let scribe = tokio::spawn(scribe::write(Arc::clone(&engine), inbox));
        Worker { engine, tasks, heart, scribe }
    }
}

/// The least that an answer is given, where a network lies between: with a short lease a machine that has much to do would
/// give up what is well.
const ANSWER: Duration = Duration::from_secs(10);

/// How long a slot may be silent on a connection of the host's, between its batches. As long as on one of its own: it may wait
/// for another one's batch that has to run alone.
const SLOT_SILENCE: Duration = Duration::from_mins(2);

/// How long an idle connection is asked whether it still lives, or another one may take to open. Whoever gets none asks again.
const LIVES: Duration = Duration::from_secs(5);

/// Places in a pool for connections that fall silent in the moment in which they are given back: sqlx asks whether they still
/// live, and waits for the answer until the kernel gives up.
const SILENT: usize = 6;

/// How many connections a pool may have, for so many that are in use at once.
fn places<DB: Backend>(connections: usize) -> u32 {
    let silent = if DB::MAX_SLOTS == Some(1) { 0 } else { SILENT };
    u32::try_from(connections.saturating_add(silent)).unwrap_or(u32::MAX)
}

/// Opens its connections when they are needed.
fn own_pool<DB: Backend>(options: ConnectOptions<DB>, connections: usize) -> Pool<DB> {
    PoolOptions::<DB>::new()
        .max_connections(places::<DB>(connections))
        .acquire_timeout(if DB::MAX_SLOTS == Some(1) { Duration::from_secs(30) } else { LIVES })
        .after_connect(|conn, _| DB::own(conn))
        .connect_lazy_with(options)
}

impl<DB: Backend> Worker<DB> {
    /// Resolves when `signal` has and this worker has ended: what axum's `with_graceful_shutdown` takes.
    ///
    /// See [`shutdown`](Worker::shutdown) for what happens in between. The dashboard's event streams end first; an open
    /// stream would hold axum's shutdown for ever.
    pub async fn shutdown_on(self, signal: impl Future<Output = ()>) {
        signal.await;
        self.shutdown().await;
    }

    /// Claims nothing more, waits for batches in flight as long as the builder's `grace` says, rolls back the rest,
    /// gives everything back, and runs the hooks that are due.
    pub async fn shutdown(mut self) {
        let core = Arc::clone(&self.engine.core);
        core.signals.closing.cancel();
        self.engine.drain();
        if tokio::time::timeout(core.config.grace, self.tasks.wait()).await.is_err() {
            tracing::warn!("batches in flight did not end in time and are rolled back");
            self.engine.abort();
            self.tasks.wait().await;
        }
        self.engine.desk.closed.cancel();
        if tokio::time::timeout(core.config.grace, &mut self.scribe).await.is_err() {
            tracing::warn!("what user code said last could not be written down in time");
            self.scribe.abort();
        }
        self.heart.stop().await;
        let engine = &self.engine;
        let retired = async { ask_in_turn!(engine, |conn| workers::retire::<DB>(conn, &engine.worker.id)) };
        if let Err(error) = retired.await {
            tracing::warn!(%error, "the worker's row stays until others see that its lease has run out");
        }
        answer::close(&self.engine.counting).await;
        if !self.engine.shares_pool() {
            answer::close(&self.engine.slots).await;
            answer::close(&self.engine.preparing).await;
            answer::close(&self.engine.writing).await;
            answer::close(&self.engine.pool).await;
        }
        if tokio::time::timeout(core.config.grace, core.hooks.flush()).await.is_err() {
            tracing::warn!("hooks did not end in time and are left behind");
        }
        tracing::info!(worker = self.engine.worker.id, "the executor has ended");
    }
}

impl<DB: Backend> Engine<DB> {
    fn drain(&self) {
        self.draining.cancel();
    }

    fn abort(&self) {
        self.aborting.cancel();
        self.core.signals.cancel_all_of(&self.worker.id);
    }
}

impl<DB: Backend> Drop for Worker<DB> {
    fn drop(&mut self) {
        // Also when it was draining already: a shutdown that somebody stopped waiting for.
        self.engine.drain();
        self.engine.abort();
        self.engine.desk.closed.cancel();
    }
}

fn host_name() -> String {
    // Environment variables are read only by `from_env`; the kernel knows on Linux, elsewhere the pid has to do.
    std::fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| "unknown".into(), |name| name.trim().into())
}

/// Refuses what a worker of its own pool could not see.
pub(crate) async fn check_pool<DB: Backend>(pool: &Pool<DB>, shared: bool) -> Result<(), Error> {
    if !shared && DB::is_in_memory(pool).await? {
        let message = "this database lives in memory, where every connection may be a database of its own: \
                       use `.share_pool()` on the builder, or a file";
        return Err(Error::new(ErrorKind::Configuration, message));
    }
    Ok(())
}
