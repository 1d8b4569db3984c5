//! The planner's role of one run: taken by one worker at a time, kept until its planning ends, and given back.

use std::sync::Arc;

use crate::answer::{ask, ask_in_turn, is_refusal};
use crate::backend::Backend;
use crate::error::{bounded, stand_in};
use crate::executor::planner::Round;
use crate::executor::planner::crowd::{Crowd, Place};
use crate::executor::planner::halt::Halt;
use crate::executor::planner::planning::Planner;
use crate::executor::{Engine, schedule};
use crate::hooks::Event;
use crate::run::{BatchId, RunId};
use crate::status::{BatchStatus, RunStatus};
use crate::store::patiently;
use crate::store::plans::{self, Plan, Role};

/// Takes the role for one run and keeps it until everything is planned, the run halts, or the engine drains.
pub(super) async fn plan_run<DB: Backend>(
    engine: &Arc<Engine<DB>>,
    crowd: &Crowd,
    id: RunId,
    interrupted: u32,
) -> Round {
    let place = tokio::select! {
        () = engine.draining.cancelled() => return Round::Done,
        place = Place::take(crowd) => place,
    };
    // A suspect is asked when nothing else can be blamed.
    let alone = if is_suspect(engine, id).await {
        match engine.alone.take().await {
            Ok(alone) => Some(alone),
            Err(again_in) => return Round::Postponed(again_in),
        }
    } else {
        None
    };
    let Some((role, plan)) = take(engine, id).await else { return Round::Done };
    if plan.is_suspect() && alone.is_none() {
        release(engine, &role).await;
        return Round::Done;
    }
    if plan.status == RunStatus::Enqueued {
        tracing::info!("the run starts");
        engine.core.hooks.announce(Event::Run(id, RunStatus::Running));
    }
    engine.core.signals.work.notify_waiters();
    let planner = Planner::new(engine, &role, &plan, crowd, place);
    let outcome = if plan.planned { Ok(()) } else { planner.run(plan, alone).await };
    let interrupted = if planner.has_advanced() { 0 } else { interrupted };
    conclude(engine, &role, outcome, interrupted).await
}

async fn take<DB: Backend>(engine: &Engine<DB>, id: RunId) -> Option<(Role, Plan)> {
    let taken = patiently!(
        DB,
        engine.lease.interval(),
        async { ask_in_turn!(engine, |conn| plans::take::<DB>(conn, id, &engine.worker.id)) }.await
    );
    taken.unwrap_or_else(|error| {
        tracing::debug!(%error, "could not take the planner's role");
        None
    })
}

/// Gives the role back, and writes down what became of the run.
async fn conclude<DB: Backend>(
    engine: &Arc<Engine<DB>>,
    role: &Role,
    outcome: Result<(), Halt>,
    interrupted: u32,
) -> Round {
    match outcome {
        Ok(()) => {
            release(engine, role).await;
            engine.settle(role.run).await;
        }
        Err(Halt::Over) => release(engine, role).await,
        Err(Halt::Refused(error)) => fail(engine, role, error).await,
        Err(Halt::Database(error)) if interrupted >= schedule::MOST_TRANSIENTS => {
            let error = format!("planning was interrupted {} times without getting on: {error}", interrupted + 1);
            fail(engine, role, error).await;
        }
        Err(Halt::Database(error)) => {
            tracing::warn!(%error, "planning is interrupted");
            release(engine, role).await;
            return Round::Interrupted(interrupted + 1);
        }
    }
    Round::Done
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
        async { ask_in_turn!(engine, |conn| plans::release::<DB>(conn, role)) }.await
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
        async { ask_in_turn!(engine, |conn| plans::fail::<DB>(conn, role, error)) }.await
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
