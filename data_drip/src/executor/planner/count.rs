//! How many elements the whole scope has, counted beside the batches: what the progress is a part of.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::answer::within;
use crate::backend::{Backend, Session};
use crate::executor::planner::halt::Halt;
use crate::executor::planner::planning::{Planner, Reached, persist};
use crate::key::Key;
use crate::run::{Run, Total};
use crate::store::plans::{self, Plan};
use crate::walk::Walk;

/// How long a count of the whole scope may take before it becomes an estimate.
const COUNT: Duration = Duration::from_secs(1);
/// How long the batches have the machine to themselves before the count begins: it keeps a core busy, and where the slots are
/// fast, the plan is finished before, and knows the total.
const HEAD_START: Duration = Duration::from_secs(2);

impl<DB: Backend> Planner<'_, DB> {
    /// Plans batch after batch, and counts the whole scope beside it.
    pub(super) async fn plan_and_count(
        &self,
        run: &Run,
        walk: &Walk<'_, DB>,
        plan: Plan,
        upper: &Key,
    ) -> Result<(), Halt> {
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

    /// Counts what is not planned yet, once: what is may have left the scope by now, and is known. A finished plan knows better.
    async fn count(&self, walk: &Walk<'_, DB>, upper: &Key, ended: &CancellationToken) {
        let Ok(mut link) = self.engine.link().await else { return };
        let Reached { cursor, elements } = self.reached();
        let (conn, session) = link.parts();
        let interrupter = session.clone();
        let counted = {
            let count = async { Ok(walk.count(conn, session, cursor.as_ref(), upper, COUNT).await) };
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
            Ok(rest) => {
                let count = if rest.exact { rest.count + elements } else { rest.count.max(elements) };
                let total = Total { count, ..rest };
                if persist!(self, |conn| plans::estimate::<DB>(conn, self.role.run, total)).is_err() {
                    tracing::debug!("the count of all elements could not be written");
                }
            }
            Err(error) => tracing::debug!(%error, "the scope could not be counted"),
        }
    }
}
