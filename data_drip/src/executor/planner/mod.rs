//! The planner: walks a run's scope by key and inserts batches, a bounded number ahead of the slots.

mod ahead;
mod count;
mod crowd;
mod flow;
mod halt;
mod planning;
mod prepare;
mod role;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::Instrument;

use self::crowd::Crowd;
pub(super) use self::crowd::PREPARING;
use crate::answer::{ask, ask_in_turn};
use crate::backend::Backend;
use crate::executor::{Engine, schedule};
use crate::run::RunId;
use crate::store::plans::{self, Role};

/// Plans every run that nobody else plans, until the engine drains.
pub(super) async fn plan<DB: Backend>(engine: Arc<Engine<DB>>) {
    let mut planning: HashMap<RunId, tokio::task::AbortHandle> = HashMap::new();
    let mut interrupted: HashMap<RunId, u32> = HashMap::new();
    let mut tasks = JoinSet::new();
    let crowd = Arc::new(Crowd::default());
    loop {
        let signal = engine.core.signals.plan.notified();
        tokio::pin!(signal);
        signal.as_mut().enable();
        while let Some(ended) = tasks.try_join_next() {
            // A panic would be a mistake of ours; it is seen in the log.
            let Ok((run, round)) = ended else { continue };
            match round {
                Round::Interrupted(times) => drop(interrupted.insert(run, times)),
                Round::Postponed(_) => {}
                Round::Done => drop(interrupted.remove(&run)),
            }
        }
        planning.retain(|_, task| !task.is_finished());
        crowd.count(planning.len());
        match plannable(&engine).await {
            Ok(found) => {
                let left = engine.refusals.now();
                for run in found {
                    if planning.contains_key(&run) {
                        continue;
                    }
                    if left.contains(&run) {
                        if let Err(error) = leave_to_others(&engine, run).await {
                            tracing::debug!(run = run.0, %error, "could not give the planner's role back yet");
                        }
                    } else {
                        let span = tracing::info_span!("plan", run = run.0);
                        let before = interrupted.get(&run).copied().unwrap_or(0);
                        let round = go(Arc::clone(&engine), Arc::clone(&crowd), run, before);
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
    let role = Role { run, worker: engine.worker.id.clone(), epoch: plan.epoch };
    ask_in_turn!(engine, |conn| plans::release::<DB>(conn, &role))
}

/// How one go at planning a run ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    /// The database did not answer: so many times by now without getting on.
    Interrupted(u32),
    /// It has to wait for its turn to be alone in this process; again after a while.
    Postponed(Duration),
    Done,
}

/// One go at planning a run, and the pause before the next one, when it has to come. The database did not answer `before`
/// times.
async fn go<DB: Backend>(engine: Arc<Engine<DB>>, crowd: Arc<Crowd>, run: RunId, before: u32) -> (RunId, Round) {
    let round = role::plan_run(&engine, &crowd, run, before).await;
    let pause = match round {
        Round::Interrupted(times) => schedule::after_transient(times),
        Round::Postponed(again_in) => again_in,
        Round::Done => return (run, round),
    };
    tokio::select! {
        () = engine.draining.cancelled() => {}
        () = tokio::time::sleep(pause) => {}
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
