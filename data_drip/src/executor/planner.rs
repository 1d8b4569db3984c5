//! The planner: walks a run's scope by key and inserts batches, a bounded number ahead of the slots.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::backend::{Backend, KeySpec, Session};
use crate::backfill::Context;
use crate::core::Link;
use crate::error::{Error, ErrorKind, Failure};
use crate::executor::attempt::elapsed;
use crate::executor::code::spec_of;
use crate::executor::{Engine, schedule};
use crate::hooks::Event;
use crate::key::Key;
use crate::panics::caught;
use crate::registry::{Instance, scope_of};
use crate::run::{Run, RunId};
use crate::status::{BatchStatus, RunStatus};
use crate::store::plans::{self, Advance, Plan, Role};
use crate::store::{patiently, runs};
use crate::walk::{Pace, Walk};

/// Batches planned by the first step: few, so that the first of them starts at once.
const FIRST: usize = 4;
/// Batches planned ahead at most.
const MOST_AHEAD: usize = 512;
/// Where the slots are through with half of what was planned in less than this, more is planned at a time: each
/// transaction of the planner makes the slots wait, and on SQLite costs them their page caches.
const BREATH: Duration = Duration::from_secs(1);
/// How long a count of the whole scope may take before it becomes an estimate.
const COUNT: Duration = Duration::from_secs(1);
/// How long the first batches have the machine to themselves before the count begins: it keeps a core busy.
const HEAD_START: Duration = Duration::from_millis(100);

/// Plans every run that nobody else plans, until the engine drains.
pub(super) async fn plan<DB: Backend>(engine: Arc<Engine<DB>>) {
    let mut planning: HashMap<RunId, tokio::task::AbortHandle> = HashMap::new();
    let mut tasks = JoinSet::new();
    loop {
        let signal = engine.core.signals.plan.notified();
        tokio::pin!(signal);
        signal.as_mut().enable();
        while tasks.try_join_next().is_some() {}
        planning.retain(|_, task| !task.is_finished());
        match plannable(&engine).await {
            Ok(found) => {
                for run in found {
                    if !planning.contains_key(&run) && !engine.refused().contains(&run) {
                        let span = tracing::info_span!("plan", run = run.0);
                        planning.insert(run, tasks.spawn(one_run(Arc::clone(&engine), run).instrument(span)));
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "could not look for runs to plan"),
        }
        tokio::select! {
            () = engine.draining.cancelled() => break,
            () = signal => {}
            () = tokio::time::sleep(schedule::jittered(engine.core.config.poll_interval)) => {}
        }
    }
    // Each gives its role back.
    while tasks.join_next().await.is_some() {}
}

async fn plannable<DB: Backend>(engine: &Engine<DB>) -> sqlx::Result<Vec<RunId>> {
    if !engine.lease.is_held() {
        return Ok(Vec::new());
    }
    let mut conn = engine.pool.acquire().await?;
    let wanted = &engine.wanted;
    plans::plannable::<DB>(&mut conn, &wanted.backfills, wanted.queues.as_deref(), &wanted.worker).await
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

/// What an error of reading the scope means: only what will not go away by itself fails the run.
fn halt<DB: Backend>(error: &Error) -> Halt {
    use std::error::Error as _;
    if error.kind() != ErrorKind::Database {
        return Halt::Refused(error.to_string());
    }
    let source = error.source().and_then(|source| source.downcast_ref::<sqlx::Error>());
    match source {
        // What the database says about the user's table: an unknown column, a wrong type.
        Some(source @ sqlx::Error::Database(database)) if !DB::is_transient(source) => {
            Halt::Refused(format!("planning failed: {database}"))
        }
        _ => Halt::Database(sqlx::Error::Protocol(error.to_string())),
    }
}

/// Takes the role for one run and keeps it until everything is planned, the run halts, or the engine drains.
async fn one_run<DB: Backend>(engine: Arc<Engine<DB>>, id: RunId) {
    let taken = patiently!(
        DB,
        engine.lease.interval(),
        async {
            let _turn = engine.turn().await;
            plans::take::<DB>(&mut *engine.pool.acquire().await?, id, &engine.worker.id).await
        }
        .await
    );
    let (role, plan) = match taken {
        Ok(Some(taken)) => taken,
        Ok(None) => return,
        Err(error) => return tracing::debug!(%error, "could not take the planner's role"),
    };
    if plan.status == RunStatus::Enqueued {
        tracing::info!("the run starts");
        engine.core.hooks.announce(Event::Run(id, RunStatus::Running));
    }
    engine.core.signals.work.notify_waiters();
    let outcome = if plan.planned { Ok(()) } else { Planner { engine: &engine, role: &role }.run(plan).await };
    match outcome {
        Ok(()) => {
            release(&engine, &role).await;
            engine.settle(id).await;
        }
        Err(Halt::Over) => release(&engine, &role).await,
        Err(Halt::Refused(error)) => fail(&engine, &role, &error).await,
        Err(Halt::LeftToOthers(error)) => {
            tracing::error!(%error, "this process refuses the run");
            engine.refuse(id);
            release(&engine, &role).await;
        }
        Err(Halt::Database(error)) => {
            tracing::warn!(%error, "planning is interrupted");
            release(&engine, &role).await;
        }
    }
}

async fn release<DB: Backend>(engine: &Engine<DB>, role: &Role) {
    let released = patiently!(
        DB,
        engine.lease.interval(),
        async {
            let _turn = engine.turn().await;
            plans::release::<DB>(&mut *engine.pool.acquire().await?, role).await
        }
        .await
    );
    if let Err(error) = released {
        tracing::warn!(%error, "the planner's role could not be given back: this worker takes it again");
    }
}

async fn fail<DB: Backend>(engine: &Engine<DB>, role: &Role, error: &str) {
    tracing::error!(error, "the run cannot be planned");
    let failed = patiently!(
        DB,
        engine.lease.interval(),
        async {
            let _turn = engine.turn().await;
            plans::fail::<DB>(&mut *engine.pool.acquire().await?, role, error).await
        }
        .await
    );
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
                let $conn = &mut *$planner.engine.pool.acquire().await?;
                $work.await
            }
            .await
        )
    };
}

struct Planner<'a, DB: Backend> {
    engine: &'a Arc<Engine<DB>>,
    role: &'a Role,
}

impl<DB: Backend> Planner<'_, DB> {
    async fn run(&self, plan: Plan) -> Result<(), Halt> {
        let run = self.find().await?;
        if !plan.prepared && plan.losses >= schedule::MOST_PLANNER_LOSSES {
            let error = format!("given up: {} processes died while they prepared this run", plan.losses);
            return Err(Halt::Refused(error));
        }
        let instance = self.engine.core.instance_of(&run).map_err(|error| Halt::Refused(error.to_string()))?;
        if !plan.prepared {
            self.prepare(&run, &*instance).await?;
        }
        let scope = scope_of(&*instance).map_err(|failure| Halt::Refused(failure.full_message()))?;
        let spec = self.spec(&*instance, &plan).await?;
        let scope = scope.at(&spec);
        let walk = Walk::new(&scope, &spec);
        let upper = match plan.upper.clone() {
            Some(upper) => upper,
            None => match self.pin(&walk, &spec).await? {
                Some(upper) => upper,
                // An empty table: everything is planned.
                None => return self.advance(None, None, &[], plan.batches, true).await,
            },
        };
        self.walk(&run, &walk, plan, &upper).await
    }

    async fn find(&self) -> Result<Run, Halt> {
        let mut conn = self.engine.pool.acquire().await?;
        runs::find::<DB>(&mut conn, self.role.run).await?.ok_or(Halt::Over)
    }

    async fn spec(&self, instance: &dyn Instance<DB>, plan: &Plan) -> Result<KeySpec, Halt> {
        let mut conn = self.engine.pool.acquire().await?;
        spec_of(instance, &mut conn, plan.spec.as_ref()).await.map_err(|error| match error.kind() {
            ErrorKind::Conflict => Halt::LeftToOthers(error),
            _ => halt::<DB>(&error),
        })
    }

    /// Runs `before_run` and writes down that it succeeded, in one transaction.
    async fn prepare(&self, run: &Run, instance: &dyn Instance<DB>) -> Result<(), Halt> {
        let mut failed = 0;
        loop {
            // Should it kill the process, no batch beside it is to be blamed.
            let beside_others = self.engine.alone.read().await;
            let turn = self.engine.turn().await;
            let mut link = self.engine.link().await?;
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
                return Err(Halt::Refused(format!("before_run refused the run: {}", failure.full_message())));
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
        let mut tx = DB::begin_batch(conn, session, self.role.to_string(), silence).await?;
        // Looked at first: whoever lost the role, or whose run was stopped, runs no user code. Written last: until then a
        // stop need not wait for user code.
        if !plans::is_held::<DB>(&mut tx, self.role).await? {
            tx.rollback().await?;
            return Ok(Ok(false));
        }
        DB::guard(&mut tx, session).await?;
        let outcome = tokio::select! {
            biased;
            () = self.engine.aborting.cancelled() => None,
            () = self.stop_asked() => None,
            after = elapsed(run.timeout) => Some(Err(Failure::from(format!("timed out after {after:?}")))),
            outcome = caught(|| instance.before_run(run, &mut tx, &context)) => Some(outcome),
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
        plans::is_held::<DB>(&mut *self.engine.pool.acquire().await?, self.role).await
    }

    /// Pins table, key and the greatest key of this moment; `None` for an empty table.
    async fn pin(&self, walk: &Walk<'_, DB>, spec: &KeySpec) -> Result<Option<Key>, Halt> {
        let mut conn = self.engine.pool.acquire().await?;
        let upper = walk.upper(&mut conn).await.map_err(|error| halt::<DB>(&error))?;
        let Some(upper) = upper else { return Ok(None) };
        drop(conn);
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
            let step = walk.step(conn, session, &mut pace, cursor.as_ref(), upper, size, want).await;
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
        if !ids.is_empty() {
            tracing::debug!(batches = ids.len(), "batches are planned");
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

    /// Waits until fewer than half of `ahead` batches wait for a slot; how many do.
    async fn wait_for_room(&self, ahead: usize) -> Result<usize, Halt> {
        let signals = &self.engine.core.signals;
        loop {
            let asked = signals.plan.notified();
            tokio::pin!(asked);
            asked.as_mut().enable();
            if self.engine.draining.is_cancelled() || !self.engine.lease.is_held() {
                return Err(Halt::Over);
            }
            let claimed = signals.claimed();
            let (status, pending) = {
                let mut conn = self.engine.pool.acquire().await?;
                let plan = plans::find::<DB>(&mut conn, self.role.run).await?.ok_or(Halt::Over)?;
                (plan.status, runs::open::<DB>(&mut conn, self.role.run).await?.pending)
            };
            if status != RunStatus::Running {
                return Err(Halt::Over);
            }
            let pending = usize::try_from(pending).unwrap_or(usize::MAX);
            if pending * 2 < ahead {
                return Ok(pending);
            }
            // Claims of this process are counted here; what other processes claim shows at the next look.
            let enough = claimed + claims_to_room(pending, ahead);
            tokio::select! {
                () = self.engine.draining.cancelled() => return Err(Halt::Over),
                () = asked => {}
                () = signals.claimed_reaches(enough) => {}
                () = tokio::time::sleep(schedule::jittered(self.engine.core.config.poll_interval)) => {}
            }
        }
    }

    /// Counts the whole scope beside the batches, once: what the progress is a part of. A finished plan knows better.
    async fn count(&self, walk: &Walk<'_, DB>, upper: &Key, ended: &CancellationToken) {
        let Ok(mut link) = self.engine.link().await else { return };
        let (conn, session) = link.parts();
        let interrupter = session.clone();
        let total = {
            let count = walk.count(conn, session, upper, COUNT);
            tokio::pin!(count);
            tokio::select! {
                total = &mut count => total,
                () = ended.cancelled() => {
                    // Dropped, the statement would run on without a bound.
                    interrupter.interrupt();
                    count.await
                }
            }
        };
        session.resume();
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
