//! The planner: walks a run's scope by key and inserts batches, a bounded number ahead of the slots.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, RwLockReadGuard, RwLockWriteGuard, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::backend::{Backend, KeySpec, Session};
use crate::backfill::Context;
use crate::core::Link;
use crate::error::{Error, ErrorKind, Failure, bounded, stand_in};
use crate::executor::answer::{ask, is_refusal, within};
use crate::executor::attempt::elapsed;
use crate::executor::code::spec_of;
use crate::executor::{Engine, schedule};
use crate::hooks::Event;
use crate::inside::inside;
use crate::key::Key;
use crate::panics::caught;
use crate::registry::{Instance, scope_of};
use crate::run::{BatchId, Run, RunId};
use crate::status::{BatchStatus, RunStatus};
use crate::store::plans::{self, Advance, Plan, Role};
use crate::store::{patiently, runs};
use crate::walk::{Pace, Walk};

/// Batches planned by the first step: few, so that the first of them starts at once.
const FIRST: usize = 4;
/// Batches planned ahead at most.
const MOST_AHEAD: usize = 512;
/// Batches that wait at most, with those that have failed and are tried again later.
const MOST_PENDING: usize = 4 * MOST_AHEAD;
/// Where the slots are through with half of what was planned in less than this, more is planned at a time: each
/// transaction of the planner makes the slots wait, and on SQLite costs them their page caches.
const BREATH: Duration = Duration::from_secs(1);
/// How long a count of the whole scope may take before it becomes an estimate.
const COUNT: Duration = Duration::from_secs(1);
/// How long the first batches have the machine to themselves before the count begins: it keeps a core busy.
const HEAD_START: Duration = Duration::from_millis(100);

/// Planners of one process that may be at work at once; the others wait, for their batches to be claimed or for a place.
const PLACES: usize = 16;

/// The planners of one process.
struct Crowd {
    places: Arc<Semaphore>,
    members: AtomicU32,
}

impl Crowd {
    /// How often each looks for what other processes have done: seldom where there are many.
    fn pause(&self, poll_interval: Duration) -> Duration {
        let lots = self.members.load(Ordering::Relaxed) / 16 + 1;
        schedule::jittered((poll_interval * lots).min(poll_interval.max(Duration::from_secs(30))))
    }
}

/// Plans every run that nobody else plans, until the engine drains.
pub(super) async fn plan<DB: Backend>(engine: Arc<Engine<DB>>) {
    let mut planning: HashMap<RunId, tokio::task::AbortHandle> = HashMap::new();
    let mut interrupted: HashMap<RunId, u32> = HashMap::new();
    let mut tasks = JoinSet::new();
    let crowd = Arc::new(Crowd { places: Arc::new(Semaphore::new(PLACES)), members: AtomicU32::new(0) });
    loop {
        let signal = engine.core.signals.plan.notified();
        tokio::pin!(signal);
        signal.as_mut().enable();
        while let Some(ended) = tasks.try_join_next() {
            // A panic would be a mistake of ours; it is seen in the log.
            let Ok((run, round)) = ended else { continue };
            match round {
                Round::Interrupted(times) => drop(interrupted.insert(run, times)),
                Round::Done => drop(interrupted.remove(&run)),
            }
        }
        planning.retain(|_, task| !task.is_finished());
        crowd.members.store(u32::try_from(planning.len()).unwrap_or(u32::MAX), Ordering::Relaxed);
        match plannable(&engine).await {
            Ok(found) => {
                for run in found {
                    if planning.contains_key(&run) {
                        continue;
                    }
                    if engine.refused().contains(&run) {
                        if let Err(error) = leave_to_others(&engine, run).await {
                            tracing::debug!(run = run.0, %error, "could not give the planner's role back yet");
                        }
                    } else {
                        let span = tracing::info_span!("plan", run = run.0);
                        let before = interrupted.get(&run).copied().unwrap_or(0);
                        let round = round(Arc::clone(&engine), Arc::clone(&crowd), run, before);
                        planning.insert(run, tasks.spawn(round.instrument(span)));
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "could not look for runs to plan"),
        }
        tokio::select! {
            () = engine.draining.cancelled() => break,
            () = signal => {}
            () = tokio::time::sleep(schedule::jittered(engine.poll_interval())) => {}
        }
    }
    // Each gives its role back.
    while tasks.join_next().await.is_some() {}
}

/// Gives the role for a run back that this process refuses and could not give back when it did so.
async fn leave_to_others<DB: Backend>(engine: &Engine<DB>, run: RunId) -> sqlx::Result<()> {
    let plan = ask!(engine.pool, engine.patience(), |conn| plans::find::<DB>(conn, run))?;
    let Some(plan) = plan.filter(|plan| plan.planner.as_ref() == Some(&engine.worker.id)) else { return Ok(()) };
    let _turn = engine.turn().await;
    let role = Role { run, worker: engine.worker.id.clone(), epoch: plan.epoch };
    ask!(engine.writing, engine.patience(), |conn| plans::release::<DB>(conn, &role))
}

/// How one go at planning a run ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    /// The database did not answer: so many times by now without getting on.
    Interrupted(u32),
    Done,
}

/// One go at planning a run, and the pause after it if the database did not answer, as `before` times.
async fn round<DB: Backend>(engine: Arc<Engine<DB>>, crowd: Arc<Crowd>, run: RunId, before: u32) -> (RunId, Round) {
    let round = one_run(&engine, &crowd, run, before).await;
    if let Round::Interrupted(times) = round {
        tokio::select! {
            () = engine.draining.cancelled() => {}
            () = tokio::time::sleep(schedule::after_transient(times)) => {}
        }
    }
    (run, round)
}

async fn plannable<DB: Backend>(engine: &Engine<DB>) -> sqlx::Result<Vec<RunId>> {
    if !engine.lease.is_held() {
        return Ok(Vec::new());
    }
    let wanted = &engine.wanted;
    let (backfills, queues) = (&wanted.backfills, wanted.queues.as_deref());
    ask!(engine.pool, engine.patience(), |conn| plans::plannable::<DB>(conn, backfills, queues, &wanted.worker))
}

/// Why planning ended early.
enum Halt {
    /// The run is not running any more, or the role is lost: nothing to say.
    Over,
    /// The run cannot be planned: it fails with this.
    Refused(String),
    /// This process's code says otherwise than what was pinned: others may go on.
    LeftToOthers(Error),
    /// The database did not answer; another round tries again.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Halt {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// What an error of reading the scope means: only what can go away by itself is tried again.
fn halt<DB: Backend>(error: &Error) -> Halt {
    use std::error::Error as _;
    if error.kind() != ErrorKind::Database {
        return Halt::Refused(error.to_string());
    }
    match error.source().and_then(|source| source.downcast_ref::<sqlx::Error>()) {
        Some(source) if is_of_the_connection::<DB>(source) => Halt::Database(sqlx::Error::Protocol(error.to_string())),
        // What the database says about the user's table: an unknown column, a wrong type, text that is none.
        Some(source) => Halt::Refused(format!("planning failed: {source}")),
        None => Halt::Refused(error.to_string()),
    }
}

/// Whether an error says something about the way to the database, or about its load, and nothing about what was asked.
fn is_of_the_connection<DB: Backend>(error: &sqlx::Error) -> bool {
    use sqlx::Error::{Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
    matches!(error, Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | PoolClosed | WorkerCrashed) || DB::is_transient(error)
}

/// Takes the role for one run and keeps it until everything is planned, the run halts, or the engine drains.
async fn one_run<DB: Backend>(engine: &Arc<Engine<DB>>, crowd: &Crowd, id: RunId, interrupted: u32) -> Round {
    let place = tokio::select! {
        () = engine.draining.cancelled() => return Round::Done,
        place = place(crowd) => place,
    };
    // A suspect is asked when nothing else can be blamed.
    let alone = if is_suspect(engine, id).await { Some(engine.alone.write().await) } else { None };
    let taken = patiently!(
        DB,
        engine.lease.interval(),
        async {
            let _turn = engine.turn().await;
            ask!(engine.writing, engine.patience(), |conn| plans::take::<DB>(conn, id, &engine.worker.id))
        }
        .await
    );
    let (role, plan) = match taken {
        Ok(Some(taken)) => taken,
        Ok(None) => return Round::Done,
        Err(error) => {
            tracing::debug!(%error, "could not take the planner's role");
            return Round::Done;
        }
    };
    if plan.is_suspect() && alone.is_none() {
        release(engine, &role).await;
        return Round::Done;
    }
    if plan.status == RunStatus::Enqueued {
        tracing::info!("the run starts");
        engine.core.hooks.announce(Event::Run(id, RunStatus::Running));
    }
    engine.core.signals.work.notify_waiters();
    let planner = Planner { engine, role: &role, advanced: AtomicBool::new(false), crowd, place: Mutex::new(place) };
    let outcome = if plan.planned { Ok(()) } else { planner.run(plan, alone).await };
    match outcome {
        Ok(()) => {
            release(engine, &role).await;
            engine.settle(id).await;
        }
        Err(Halt::Over) => release(engine, &role).await,
        Err(Halt::Refused(error)) => fail(engine, &role, error).await,
        Err(Halt::LeftToOthers(error)) => {
            tracing::error!(%error, "this process refuses the run");
            engine.refuse(id);
            release(engine, &role).await;
        }
        Err(Halt::Database(error)) => {
            let interrupted = if planner.advanced.into_inner() { 0 } else { interrupted };
            if interrupted >= schedule::MOST_TRANSIENTS {
                let error = format!("planning was interrupted {} times without getting on: {error}", interrupted + 1);
                fail(engine, &role, error).await;
                return Round::Done;
            }
            tracing::warn!(%error, "planning is interrupted");
            release(engine, &role).await;
            return Round::Interrupted(interrupted + 1);
        }
    }
    Round::Done
}

/// A place among those at work. The semaphore is never closed.
async fn place(crowd: &Crowd) -> Option<OwnedSemaphorePermit> {
    Arc::clone(&crowd.places).acquire_owned().await.ok()
}

async fn is_suspect<DB: Backend>(engine: &Engine<DB>, id: RunId) -> bool {
    let found: sqlx::Result<_> =
        async { ask!(engine.pool, engine.patience(), |conn| plans::find::<DB>(conn, id)) }.await;
    matches!(found, Ok(Some(plan)) if plan.is_suspect())
}

async fn release<DB: Backend>(engine: &Engine<DB>, role: &Role) {
    let released = patiently!(
        DB,
        engine.lease.interval(),
        async {
            let _turn = engine.turn().await;
            ask!(engine.writing, engine.patience(), |conn| plans::release::<DB>(conn, role))
        }
        .await
    );
    if let Err(error) = released {
        tracing::warn!(%error, "the planner's role could not be given back: this worker takes it again");
    }
}

/// Writes down that the run has failed, and with what.
async fn write_down<DB: Backend>(engine: &Engine<DB>, role: &Role, error: &str) -> sqlx::Result<Option<Vec<BatchId>>> {
    patiently!(
        DB,
        engine.lease.interval(),
        async {
            let _turn = engine.turn().await;
            ask!(engine.writing, engine.patience(), |conn| plans::fail::<DB>(conn, role, error))
        }
        .await
    )
}

async fn fail<DB: Backend>(engine: &Engine<DB>, role: &Role, error: String) {
    let error = bounded(error);
    tracing::error!(error, "the run cannot be planned");
    let mut failed = write_down(engine, role, &error).await;
    // What it refuses once it refuses for ever, and the run would be planned for as long.
    if let Err(refusal) = &failed
        && is_refusal::<DB>(refusal)
    {
        tracing::error!(%refusal, "the database does not keep an error");
        failed = write_down(engine, role, &stand_in(&error, refusal)).await;
    }
    match failed {
        Ok(Some(stopped)) => {
            if !stopped.is_empty() {
                engine.core.hooks.announce(Event::Batches(role.run, BatchStatus::Stopped, stopped));
            }
            engine.settled(role.run, RunStatus::Failed);
        }
        Ok(None) => release(engine, role).await,
        Err(error) => {
            tracing::warn!(%error, "could not write down why the run cannot be planned");
            release(engine, role).await;
        }
    }
}

/// One transaction of the planner, repeated while the database is busy.
macro_rules! write {
    ($planner:expr, |$conn:ident| $work:expr) => {
        patiently!(
            DB,
            $planner.engine.core.config.lease,
            async {
                let _turn = $planner.engine.turn().await;
                ask!($planner.engine.writing, $planner.engine.patience(), |$conn| $work)
            }
            .await
        )
    };
}

struct Planner<'a, DB: Backend> {
    engine: &'a Arc<Engine<DB>>,
    role: &'a Role,
    /// Something was planned.
    advanced: AtomicBool,
    crowd: &'a Crowd,
    /// Given back while it waits.
    place: Mutex<Option<OwnedSemaphorePermit>>,
}

impl<DB: Backend> Planner<'_, DB> {
    /// Nothing else runs in this process until user code has been asked everything, if the caller is `alone`.
    async fn run(&self, plan: Plan, alone: Option<RwLockWriteGuard<'_, ()>>) -> Result<(), Halt> {
        let run = self.find().await?;
        self.plan(&run, plan, alone).await.map_err(|halt| match halt {
            Halt::Refused(error) => Halt::Refused(self.engine.core.mask(&run).hide(&error).into_owned()),
            halt => halt,
        })
    }

    async fn plan(&self, run: &Run, plan: Plan, alone: Option<RwLockWriteGuard<'_, ()>>) -> Result<(), Halt> {
        if plan.losses >= schedule::MOST_PLANNER_LOSSES {
            let error = format!("given up: {} processes died while they prepared this run", plan.losses);
            return Err(Halt::Refused(error));
        }
        let instance = match self.engine.core.instance_of(run) {
            Ok(instance) => instance,
            Err(error) if self.engine.leaves_to_younger(run.id, &error).await => return Err(Halt::Over),
            Err(error) => return Err(Halt::Refused(error.to_string())),
        };
        if !plan.prepared {
            self.prepare(run, &*instance, alone.is_some()).await?;
        }
        let beside_others = self.beside_others(alone.is_some()).await;
        if plan.prepared {
            self.mark(true).await?;
        }
        let scope = scope_of(&*instance).map_err(|failure| Halt::Refused(failure.report()))?;
        let spec = self.spec(&*instance, &plan).await?;
        let scope = scope.at(&spec);
        let walk = Walk::new(&scope, &spec);
        let upper = match plan.upper.clone() {
            Some(upper) => {
                self.mark(false).await?;
                upper
            }
            None => match self.pin(&walk, &spec).await? {
                Some(upper) => upper,
                // An empty table: everything is planned.
                None => return self.advance(None, None, &[], plan.batches, true).await,
            },
        };
        drop((alone, beside_others));
        self.walk(run, &walk, plan, &upper).await
    }

    /// Keeps suspects away while user code is asked: should it kill the process, they are not to be blamed.
    async fn beside_others(&self, alone: bool) -> Option<RwLockReadGuard<'_, ()>> {
        if alone { None } else { Some(self.engine.alone.read().await) }
    }

    /// Writes down that user code is about to be asked, or has answered.
    async fn mark(&self, asking: bool) -> Result<(), Halt> {
        let held = write!(self, |conn| plans::mark::<DB>(conn, self.role, asking))?;
        if held { Ok(()) } else { Err(Halt::Over) }
    }

    async fn find(&self) -> Result<Run, Halt> {
        let patience = self.engine.patience();
        ask!(self.engine.pool, patience, |conn| runs::find::<DB>(conn, self.role.run))?.ok_or(Halt::Over)
    }

    async fn spec(&self, instance: &dyn Instance<DB>, plan: &Plan) -> Result<KeySpec, Halt> {
        let pinned = plan.spec.as_ref();
        let spec =
            ask!(self.engine.pool, self.engine.patience(), |conn| async { Ok(spec_of(instance, conn, pinned).await) })?;
        spec.map_err(|error| match error.kind() {
            ErrorKind::Conflict => Halt::LeftToOthers(error),
            _ => halt::<DB>(&error),
        })
    }

    /// Runs `before_run` and writes down that it succeeded, in one transaction.
    async fn prepare(&self, run: &Run, instance: &dyn Instance<DB>, alone: bool) -> Result<(), Halt> {
        let mut failed = 0;
        loop {
            let beside_others = self.beside_others(alone).await;
            let turn = self.engine.turn().await;
            let mut link = Link::acquire(&self.engine.writing).await?;
            let outcome = self.try_prepare(&mut link, run, instance).await;
            link.release().await;
            drop((turn, beside_others));
            let failure = match outcome {
                Ok(Ok(true)) => return Ok(()),
                Ok(Ok(false)) => return Err(Halt::Over),
                Ok(Err(failure)) => failure,
                // The engine's own statements: a busy database is not `before_run`'s failure.
                Err(error) if DB::is_transient(&error) => return Err(Halt::Database(error)),
                Err(error) => error.into(),
            };
            failed += 1;
            let passing = failure.is_transient() || failure.chain().any(DB::is_transient);
            if !passing || failed > schedule::MOST_TRANSIENTS {
                return Err(Halt::Refused(format!("before_run refused the run: {}", failure.report())));
            }
            self.pause(schedule::after_transient(failed)).await?;
        }
    }

    /// `Ok(Ok(false))` when the role is lost or the run is being stopped; the inner error is that of user code.
    async fn try_prepare(
        &self,
        link: &mut Link<DB>,
        run: &Run,
        instance: &dyn Instance<DB>,
    ) -> sqlx::Result<crate::Result<bool>> {
        let context = Context::new(Arc::new(run.clone()), self.engine.core.states.clone());
        let (conn, session) = link.parts();
        let silence = self.engine.lease.silence();
        if !plans::mark::<DB>(conn, self.role, true).await? {
            return Ok(Ok(false));
        }
        let mut tx = DB::begin_batch(conn, session, self.role.to_string(), silence).await?;
        // Looked at first: whoever lost the role, or whose run was stopped, runs no user code. Written last: until then a
        // stop need not wait for user code.
        if !plans::is_held::<DB>(&mut tx, self.role).await? {
            tx.rollback().await?;
            return Ok(Ok(false));
        }
        // The connection may be hours old, and the tables of `before_run` may have changed since.
        DB::forget_statements(&mut tx).await?;
        DB::guard(&mut tx, session).await?;
        let outcome = tokio::select! {
            biased;
            () = self.engine.aborting.cancelled() => None,
            () = self.stop_asked() => None,
            after = elapsed(run.timeout) => Some(Err(Failure::from(format!("timed out after {after:?}")))),
            outcome = inside(caught(|| instance.before_run(run, &mut tx, &context))) => Some(outcome),
        };
        if !matches!(outcome, Some(Ok(()))) {
            // A statement that was dropped half-way would run on.
            session.interrupt();
        }
        let intact = DB::unguard(&mut tx, session, false).await;
        if matches!(intact, Ok(true)) && matches!(outcome, Some(Ok(()))) {
            let held = plans::prepare::<DB>(&mut tx, self.role).await?;
            if held {
                tx.commit().await?;
            } else {
                tx.rollback().await?;
            }
            return Ok(Ok(held));
        }
        // However that goes: a connection that is gone has rolled back as well.
        if let Err(error) = tx.rollback().await {
            tracing::debug!(%error, "the rollback of before_run was not answered");
        }
        session.resume();
        Ok(match (outcome, intact) {
            (Some(Err(failure)), _) => Err(failure),
            (Some(Ok(())), Err(error)) => return Err(error),
            (Some(Ok(())), Ok(_)) => Err(Failure::from("it ended the transaction that it was given")),
            (None, _) => Ok(false),
        })
    }

    /// Resolves when somebody, in this process or another, stops the run now.
    async fn stop_asked(&self) {
        loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let run = self.role.run;
            if self.engine.core.signals.is_halted(run) || DB::is_called_to_stop(&self.engine.pool, run) {
                return;
            }
            // Where one connection writes at a time, nobody can have changed the run meanwhile.
            if DB::MAX_SLOTS != Some(1) && matches!(self.is_held().await, Ok(false)) {
                return;
            }
        }
    }

    async fn is_held(&self) -> sqlx::Result<bool> {
        ask!(self.engine.pool, self.engine.patience(), |conn| plans::is_held::<DB>(conn, self.role))
    }

    /// Pins table, key and the greatest key of this moment; `None` for an empty table.
    async fn pin(&self, walk: &Walk<'_, DB>, spec: &KeySpec) -> Result<Option<Key>, Halt> {
        let upper = ask!(self.engine.pool, self.engine.patience(), |conn| async { Ok(walk.upper(conn).await) })?;
        let Some(upper) = upper.map_err(|error| halt::<DB>(&error))? else { return Ok(None) };
        let pinned = write!(self, |conn| plans::pin::<DB>(conn, self.role, spec, &upper))?;
        if pinned { Ok(Some(upper)) } else { Err(Halt::Over) }
    }

    /// Plans batch after batch, and counts the whole scope beside it.
    async fn walk(&self, run: &Run, walk: &Walk<'_, DB>, plan: Plan, upper: &Key) -> Result<(), Halt> {
        let started = CancellationToken::new();
        let ended = CancellationToken::new();
        let counted = plan.counted;
        let planning = async {
            let _ended = ended.clone().drop_guard();
            self.steps(run, walk, plan, upper, &started).await
        };
        let begun = async {
            started.cancelled().await;
            tokio::time::sleep(HEAD_START).await;
        };
        let counting = async {
            tokio::select! {
                biased;
                () = ended.cancelled() => {}
                () = begun => if !counted { self.count(walk, upper, &ended).await },
            }
        };
        tokio::join!(planning, counting).0
    }

    async fn steps(
        &self,
        run: &Run,
        walk: &Walk<'_, DB>,
        plan: Plan,
        upper: &Key,
        started: &CancellationToken,
    ) -> Result<(), Halt> {
        let mut pace = Pace::default();
        let mut cursor = plan.cursor;
        let (mut batches, mut elements) = (plan.batches, plan.elements);
        let mut ahead = FIRST;
        loop {
            let asked = Instant::now();
            let pending = self.wait_for_room(ahead).await?;
            if batches > 0 && asked.elapsed() < BREATH {
                ahead = (ahead * 2).min(MOST_AHEAD);
            }
            let (size, want) = portion(run, elements, ahead.saturating_sub(pending).max(1));
            if want == 0 {
                return self.advance(cursor.as_ref(), cursor.as_ref(), &[], batches + 1, true).await;
            }
            let mut link = self.engine.link().await?;
            let (conn, session) = link.parts();
            let step = async { Ok(walk.step(conn, session, &mut pace, cursor.as_ref(), upper, size, want).await) };
            let step = match within::<DB, _>(self.engine.patience(), step).await {
                Ok(step) => step,
                Err(error) => {
                    link.discard();
                    return Err(error.into());
                }
            };
            link.release().await;
            let step = step.map_err(|error| halt::<DB>(&error))?;
            elements += step.batches.iter().map(|(_, rows)| rows).sum::<u64>();
            let done = step.done || run.limit.is_some_and(|limit| elements >= limit);
            self.advance(cursor.as_ref(), step.cursor.as_ref(), &step.batches, batches + 1, done).await?;
            batches += step.batches.len() as u64;
            cursor = step.cursor;
            if done {
                return Ok(());
            }
            started.cancel();
        }
    }

    /// Moves the cursor, tells the slots, and ends planning when the role is lost.
    async fn advance(
        &self,
        from: Option<&Key>,
        to: Option<&Key>,
        batches: &[(crate::key::KeyRange, u64)],
        position: u64,
        done: bool,
    ) -> Result<(), Halt> {
        let step = Advance { from, to, batches, position, done };
        let inserted = write!(self, |conn| plans::advance::<DB>(conn, self.role, &step))?;
        let Some(ids) = inserted else { return Err(Halt::Over) };
        self.advanced.store(true, Ordering::Relaxed);
        if !ids.is_empty() {
            let [first, last] = [ids.first(), ids.last()].map(|id| id.map(|id| id.0));
            tracing::debug!(batches = ids.len(), first, last, "batches are planned");
            self.engine.core.hooks.announce(Event::Batches(self.role.run, BatchStatus::Pending, ids));
            self.engine.core.signals.work.notify_waiters();
        }
        Ok(())
    }

    async fn pause(&self, pause: Duration) -> Result<(), Halt> {
        tokio::select! {
            () = self.engine.draining.cancelled() => Err(Halt::Over),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    /// Waits until fewer than half of `ahead` batches wait for a slot; how many do. Those that failed and wait for the time
    /// of their next try keep nobody from getting on, unless there are very many.
    async fn wait_for_room(&self, ahead: usize) -> Result<usize, Halt> {
        let signals = &self.engine.core.signals;
        let claims = signals.claims_of(self.role.run);
        loop {
            let asked = signals.plan.notified();
            tokio::pin!(asked);
            asked.as_mut().enable();
            if self.engine.draining.is_cancelled() || !self.engine.lease.is_held() {
                return Err(Halt::Over);
            }
            let claimed = claims.so_far();
            let (status, pending) = {
                let run = self.role.run;
                let (plan, pending) = ask!(self.engine.pool, self.engine.patience(), |conn| async {
                    Ok((plans::find::<DB>(conn, run).await?, plans::pending::<DB>(conn, run).await?))
                })?;
                (plan.ok_or(Halt::Over)?.status, pending)
            };
            if status != RunStatus::Running {
                return Err(Halt::Over);
            }
            if pending.due * 2 < ahead && pending.all < MOST_PENDING {
                return Ok(pending.due);
            }
            // Claims of this process are counted here; what other processes claim shows at the next look.
            let enough = claimed + claims_to_room(pending.due, ahead);
            self.put_place(None);
            tokio::select! {
                () = self.engine.draining.cancelled() => return Err(Halt::Over),
                () = asked => {}
                () = claims.reach(enough) => {}
                () = tokio::time::sleep(self.crowd.pause(self.engine.core.config.poll_interval)) => {}
            }
            tokio::select! {
                () = self.engine.draining.cancelled() => return Err(Halt::Over),
                place = place(self.crowd) => self.put_place(place),
            }
        }
    }

    fn put_place(&self, place: Option<OwnedSemaphorePermit>) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    /// Counts the whole scope beside the batches, once: what the progress is a part of. A finished plan knows better.
    async fn count(&self, walk: &Walk<'_, DB>, upper: &Key, ended: &CancellationToken) {
        let Ok(mut link) = self.engine.link().await else { return };
        let (conn, session) = link.parts();
        let interrupter = session.clone();
        let counted = {
            let count = async { Ok(walk.count(conn, session, upper, COUNT).await) };
            let count = within::<DB, _>(self.engine.patience(), count);
            tokio::pin!(count);
            tokio::select! {
                counted = &mut count => counted,
                () = ended.cancelled() => {
                    // Dropped, the statement would run on without a bound.
                    interrupter.interrupt();
                    count.await
                }
            }
        };
        session.resume();
        let Ok(total) = counted else { return link.discard() };
        link.release().await;
        match total {
            Ok(total) => {
                if write!(self, |conn| plans::estimate::<DB>(conn, self.role.run, total)).is_err() {
                    tracing::debug!("the count of all elements could not be written");
                }
            }
            Err(error) => tracing::debug!(%error, "the scope could not be counted"),
        }
    }
}

/// After how many claims fewer than half of `ahead` batches are pending, when `pending` are now. At least one: a planner
/// that waits for nothing asks the database in a circle.
fn claims_to_room(pending: usize, ahead: usize) -> u64 {
    (pending.saturating_sub(ahead.div_ceil(2)) as u64).saturating_add(1)
}

/// How many elements a batch takes, and how many batches to plan: a limited run never plans more than its limit.
fn portion(run: &Run, planned: u64, want: usize) -> (u64, usize) {
    let Some(limit) = run.limit else { return (run.batch_size, want) };
    let left = limit.saturating_sub(planned);
    if left == 0 {
        return (run.batch_size, 0);
    }
    if left < run.batch_size {
        return (left, 1);
    }
    let whole = usize::try_from(left / run.batch_size).unwrap_or(usize::MAX);
    (run.batch_size, want.min(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_after_the_claim_that_leaves_fewer_than_half() {
        for ahead in [4, 8, 9, 512] {
            for pending in 0..=2 * ahead {
                let claims = usize::try_from(claims_to_room(pending, ahead)).unwrap();
                assert!(claims >= 1, "{pending} of {ahead}: a planner that waits for nothing spins");
                let left = pending.saturating_sub(claims);
                assert!(left * 2 < ahead, "{pending} of {ahead}");
                assert!(claims == 1 || (left + 1) * 2 >= ahead, "{pending} of {ahead}: it waits for too long");
            }
        }
    }
}
