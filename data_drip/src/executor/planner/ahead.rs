//! Batch after batch, a bounded number ahead of the slots.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::answer::{ask, within};
use crate::backend::Backend;
use crate::executor::planner::flow::Flow;
use crate::executor::planner::halt::{Halt, halt};
use crate::executor::planner::planning::{Planner, persist};
use crate::hooks::Event;
use crate::key::Key;
use crate::run::Run;
use crate::status::{BatchStatus, RunStatus};
use crate::store::plans::{self, Advance, Plan};
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

impl<DB: Backend> Planner<'_, DB> {
    pub(super) async fn steps(
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
        let mut flow = Flow::default();
        loop {
            let asked = Instant::now();
            let pending = self.wait_for_room(ahead, &mut flow).await?;
            if batches > 0 && asked.elapsed() < BREATH {
                ahead = (ahead * 2).min(MOST_AHEAD);
            }
            let (size, want) = portion(run, elements, ahead.saturating_sub(pending).max(1));
            if want == 0 {
                let (from, to, position) = (cursor.as_ref(), cursor.as_ref(), batches + 1);
                return self.advance(Advance { from, to, position, done: true, ..Advance::default() }).await;
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
            self.advance(Advance {
                from: cursor.as_ref(),
                to: step.cursor.as_ref(),
                batches: &step.batches,
                position: batches + 1,
                done,
                call: !step.batches.is_empty() && flow.calls(Instant::now(), pending, ahead == MOST_AHEAD),
            })
            .await?;
            batches += step.batches.len() as u64;
            flow.planned();
            cursor = step.cursor;
            if done {
                return Ok(());
            }
            started.cancel();
        }
    }

    /// Moves the cursor, tells the slots, and ends planning when the role is lost.
    pub(super) async fn advance(&self, step: Advance<'_>) -> Result<(), Halt> {
        let inserted = persist!(self, |conn| plans::advance::<DB>(conn, self.role, &step))?;
        let Some(ids) = inserted else { return Err(Halt::Over) };
        self.reach(step.to, step.batches.iter().map(|(_, rows)| rows).sum());
        if !ids.is_empty() {
            let [first, last] = [ids.first(), ids.last()].map(|id| id.map(|id| id.0));
            tracing::debug!(batches = ids.len(), first, last, "batches are planned");
            self.engine.core.hooks.announce(Event::Batches(self.role.run, BatchStatus::Pending, ids));
            self.engine.core.signals.work.notify_waiters();
        }
        Ok(())
    }

    /// Waits until fewer than half of `ahead` batches wait for a slot; how many do. Those that failed and wait for the time
    /// of their next try keep nobody from getting on, unless there are very many.
    async fn wait_for_room(&self, ahead: usize, flow: &mut Flow) -> Result<usize, Halt> {
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
            let room = claims_to_room(pending.due, ahead);
            let at_this_pace = flow.look(Instant::now(), pending.due, room);
            if pending.due * 2 < ahead && pending.all < MOST_PENDING {
                return Ok(pending.due);
            }
            // Claims of this process are counted here; what other processes claim shows at the next look.
            let enough = claimed + room;
            let pause = self.crowd.pause(self.engine.core.config.poll_interval);
            let pause = if pending.all < MOST_PENDING { pause.min(at_this_pace) } else { pause };
            self.place.give_back();
            tokio::select! {
                () = self.engine.draining.cancelled() => return Err(Halt::Over),
                () = asked => {}
                () = claims.reach(enough) => {}
                () = tokio::time::sleep(pause) => {}
            }
            tokio::select! {
                () = self.engine.draining.cancelled() => return Err(Halt::Over),
                () = self.place.take_again() => {}
            }
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
