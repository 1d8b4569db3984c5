//! One attempt at one batch: user code, the completion and the next claim in ONE transaction.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::answer::{ask, is_answer, unanswered, within};
use crate::backend::{Backend, Session};
use crate::batch::{Batch, BatchParts, count_statement};
use crate::core::Link;
use crate::error::Failure;
use crate::executor::code::{Code, Unfit};
use crate::executor::{Engine, schedule};
use crate::inside::inside;
use crate::logs::Capture;
use crate::panics::caught;
use crate::run::RunId;
use crate::scope::Scope;
use crate::status::RunStatus;
use crate::store::batches::{self, Claim, Unfinished};

/// How an attempt ended.
pub(super) enum Ended {
    /// Committed. With `next`, the same commit claimed another batch.
    Completed { processed: u64, sleep: Duration, next: Option<Box<Claim>> },
    /// Rolled back, and this worker still holds the claim.
    Unfinished(Unfinished),
    /// Rolled back, and somebody else holds the claim.
    Lost,
}

const RELEASED: Ended = Ended::Unfinished(Unfinished::Released);

/// Works on a claim, in a task of its own. The link comes back unless its state is not known.
pub(super) async fn run<DB: Backend>(
    engine: &Arc<Engine<DB>>,
    link: Link<DB>,
    claim: &Claim,
    cancel: CancellationToken,
    skip: Vec<RunId>,
) -> (Option<Link<DB>>, Ended) {
    let span = tracing::info_span!("batch", run = claim.batch.run_id.0, batch = claim.batch.id.0, epoch = claim.epoch);
    let said = Capture::default();
    let attempt = Attempt { engine: Arc::clone(engine), claim: claim.clone(), cancel, skip, said: said.clone() };
    let outcome = match tokio::spawn(attempt.run(link).instrument(span)).await {
        Ok(outcome) => outcome,
        // User code is caught inside; this would be a mistake of ours, or the runtime going away.
        Err(error) => (None, transient(claim, format!("the attempt ended unexpectedly: {error}"))),
    };
    engine.desk.hand_over(claim, said.take());
    let (link, ended) = outcome;
    let follows = matches!(ended, Ended::Completed { next: Some(_), .. });
    match link {
        // A connection that looks for work with a batch's settings would see the database as it was at its first look.
        Some(link) if !follows => (finished(link, engine.lease.ttl()).await, ended),
        link => (link, ended),
    }
}

struct Attempt<DB: Backend> {
    engine: Arc<Engine<DB>>,
    claim: Claim,
    cancel: CancellationToken,
    skip: Vec<RunId>,
    /// Hears what user code says.
    said: Capture,
}

/// How the work inside the transaction ended; nothing is committed yet.
enum Worked {
    /// Everything is written: the commit decides.
    Ready(Done),
    /// User code, or a statement of the engine, ended with this.
    Failed(Failure),
    /// It has to be rolled back, and is nobody's fault.
    Released,
    /// The claim is somebody else's.
    Lost,
    TimedOut(Duration),
}

/// What a commit brings.
struct Done {
    processed: u64,
    sleep: Duration,
    next: Option<Box<Claim>>,
}

impl From<Done> for Ended {
    fn from(Done { processed, sleep, next }: Done) -> Self {
        Self::Completed { processed, sleep, next }
    }
}

impl From<sqlx::Error> for Worked {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl<DB: Backend> Attempt<DB> {
    async fn run(self, link: Link<DB>) -> (Option<Link<DB>>, Ended) {
        if self.claim.batch.losses == 0 {
            let _beside_others = self.engine.alone.shared().await;
            return self.with_code(link).await;
        }
        let engine = Arc::clone(&self.engine);
        let ended = match engine.alone.take().await {
            Ok(_alone) => self.suspected(link).await,
            Err(again_in) => (Some(link), Ended::Unfinished(Unfinished::Postponed { again_in })),
        };
        // Nobody has claimed anything meanwhile.
        engine.core.signals.work.notify_waiters();
        ended
    }

    /// The same for a batch that a process died with, alone.
    async fn suspected(self, mut link: Link<DB>) -> (Option<Link<DB>>, Ended) {
        loop {
            if !self.may_begin() {
                return (Some(link), RELEASED);
            }
            let marked = batches::mark_lone::<DB>(&mut link, &self.claim);
            match within::<DB, _>(self.engine.lease.ttl(), marked).await {
                Ok(true) => return self.with_code(link).await,
                Ok(false) => return (Some(link), Ended::Lost),
                Err(error) if is_busy::<DB>(&error) => tokio::time::sleep(BUSY).await,
                Err(error) => {
                    link.discard();
                    return (None, transient(&self.claim, error.to_string()));
                }
            }
        }
    }

    /// Already this may kill the process: it asks user code for the scope.
    async fn with_code(&self, mut link: Link<DB>) -> (Option<Link<DB>>, Ended) {
        let code = async { Ok(self.engine.codes.get(&self.engine.core, &mut link, self.claim.batch.run_id).await) };
        match within::<DB, _>(self.engine.lease.ttl(), code).await.unwrap_or_else(|error| Err(error.into())) {
            Ok(code) => self.transaction(link, &code).await,
            Err(Unfit::Database(error)) if !is_answer(&error) => {
                link.discard();
                (None, self.unfit(error.into()).await)
            }
            Err(unfit) => (Some(link), self.unfit(unfit).await),
        }
    }

    async fn unfit(&self, unfit: Unfit) -> Ended {
        let run = self.claim.batch.run_id;
        match unfit {
            Unfit::Code(error) if self.engine.leaves_to_others(run, &error).await => RELEASED,
            Unfit::Code(error) => Ended::Unfinished(Unfinished::GaveUp { error: error.to_string(), counted: false }),
            Unfit::Database(error) => transient(&self.claim, error.to_string()),
        }
    }

    async fn transaction(&self, mut link: Link<DB>, code: &Code<DB>) -> (Option<Link<DB>>, Ended) {
        let (conn, session) = link.parts();
        let _turn = self.engine.turn().await;
        let fence = self.claim.fence();
        let mut held = session.looks();
        let mut tx = loop {
            if !self.may_begin() || DB::is_called_to_stop(&self.engine.pool, self.claim.batch.run_id) {
                return (Some(link), RELEASED);
            }
            let (silence, patience) = (self.engine.lease.silence(), self.engine.lease.ttl());
            let error = {
                let begun = if held {
                    DB::begin_held(&mut *conn, session, fence, silence)
                } else {
                    DB::begin_batch(&mut *conn, session, fence.to_string(), silence)
                };
                match within::<DB, _>(patience, begun).await {
                    Ok(tx) => break tx,
                    Err(error) => error,
                }
            };
            if held && matches!(error, sqlx::Error::Database(_)) {
                // Whatever it is, it shows once more when each is done by itself.
                held = false;
                match within::<DB, _>(patience, DB::undo_begin(&mut *conn, session, &error)).await {
                    Ok(()) => continue,
                    Err(error) => {
                        link.discard();
                        return (None, self.failed(&Failure::transient(error), code));
                    }
                }
            }
            if !is_busy::<DB>(&error) {
                link.discard();
                // Whatever it is, it is not the fault of user code, which has not begun.
                return (None, self.failed(&Failure::transient(error), code));
            }
            tokio::time::sleep(BUSY).await;
        };
        let worked = self.work(&mut tx, session, code, held).await;
        if let Worked::Ready(done) = worked {
            return match within::<DB, _>(self.engine.lease.ttl(), tx.commit()).await {
                Ok(()) => (Some(link), done.into()),
                // The database answered: it did not commit. Dropping `tx` has queued the rollback. What passes is not
                // that sure: a server that shuts down says so instead of saying that it has just committed.
                Err(error @ sqlx::Error::Database(_)) if !DB::is_transient(&error) => {
                    (Some(link), self.failed(&error.into(), code))
                }
                Err(error) => {
                    link.discard();
                    (None, self.after_unknown_commit(error, done).await)
                }
            };
        }
        // Before lifting an interruption: it has to end the statement that may still be running.
        let rolled_back = in_time(tx.rollback()).await;
        session.resume();
        let mut stale = false;
        let ended = match worked {
            Worked::Failed(failure) => {
                stale = failure.chain().any(DB::is_stale);
                self.failed(&failure, code)
            }
            Worked::TimedOut(after) => {
                let error = format!("timed out after {after:?}; everything it did is rolled back");
                self.attempt_failed(error, code)
            }
            Worked::Lost => Ended::Lost,
            Worked::Released | Worked::Ready(_) => RELEASED,
        };
        match rolled_back {
            // User code's own statements were prepared for a table that has changed: another connection prepares them anew.
            Ok(()) if stale => {
                link.discard();
                (None, ended)
            }
            Ok(()) => (Some(link), ended),
            Err(error) => {
                tracing::warn!(%error, "a rollback was not answered: the connection is closed");
                link.discard();
                (None, ended)
            }
        }
    }

    fn may_begin(&self) -> bool {
        !self.cancel.is_cancelled() && !self.engine.draining.is_cancelled() && self.engine.lease.is_held()
    }

    /// Everything between `BEGIN` and `COMMIT`; with a look at the claim, unless it is known to be held.
    async fn work(&self, tx: &mut DB::Connection, session: &DB::Session, code: &Code<DB>, held: bool) -> Worked {
        if !held && let Err(worked) = self.look(tx, session).await {
            return worked;
        }
        self.guarded(tx, session, code).await.map_or_else(|worked| worked, Worked::Ready)
    }

    async fn look(&self, tx: &mut DB::Connection, session: &DB::Session) -> Result<(), Worked> {
        match within::<DB, _>(self.engine.lease.ttl(), batches::check::<DB>(tx, &self.claim)).await {
            Ok(Some(seen)) if seen.status == RunStatus::Running => {
                // Read under the write lock, where there is one: nobody changes the schema after this.
                if seen.schema.is_some_and(|version| session.is_new_schema(version)) {
                    DB::forget_statements(tx).await?;
                }
                Ok(())
            }
            Ok(Some(_)) => Err(Worked::Released),
            Ok(None) => Err(Worked::Lost),
            Err(error) => Err(Worked::Failed(Failure::transient(error))),
        }
    }

    /// User code, the completion and the next claim, under the guard.
    async fn guarded(&self, tx: &mut DB::Connection, session: &DB::Session, code: &Code<DB>) -> Result<Done, Worked> {
        let scope = code.scope().map_err(Worked::Failed)?;
        let mut before = None;
        if !self.engine.counts_beside(tx).await? {
            before = Some(self.count(tx, &scope, code).await?);
        }
        DB::guard(tx, session).await?;
        let counted = match self.user_code(tx, session, code, &scope).await {
            Ok(counted) => counted.or(before),
            Err(worked) => {
                let intact = in_time(DB::unguard(tx, session, false)).await;
                return Err(match (worked, intact) {
                    (Worked::Failed(failure), Ok(false)) => Worked::Failed(failure.context(ENDED)),
                    // Where the connection is gone, the rollback shows it.
                    (worked, _) => worked,
                });
            }
        };
        // Whoever has user code's connection for ever must not have the turn to write for ever as well.
        let completed = self.complete(tx, code, &scope, counted);
        let completed = tokio::time::timeout(PATIENCE, completed).await.unwrap_or_else(|_| Err(unanswered().into()));
        // Its answer has come after those to everything that user code may have left in the connection's queue.
        if in_time(DB::unguard(tx, session, completed.is_ok())).await? {
            completed
        } else {
            Err(Worked::Failed(Failure::from(BROKEN)))
        }
    }

    /// Runs user code; the number of elements that it processed, as far as the batch knows.
    async fn user_code(
        &self,
        tx: &mut DB::Connection,
        session: &DB::Session,
        code: &Code<DB>,
        scope: &Scope<DB>,
    ) -> Result<Option<u64>, Worked> {
        let mut batch = Batch::new(BatchParts {
            conn: &mut *tx,
            scope,
            spec: &code.spec,
            run: &code.run,
            info: &self.claim.batch,
            limit: code.run.limit.map(|_| self.claim.batch.planned_size),
            lock: code.lock,
        });
        let work = inside(caught(|| code.instance.process(&mut batch, &code.context)));
        let work = self.said.hear(&code.mask, work);
        let outcome = tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Worked::Released),
            after = elapsed(code.run.timeout) => Err(Worked::TimedOut(after)),
            outcome = work => outcome.map_err(Worked::Failed),
        };
        if matches!(outcome, Err(Worked::Released | Worked::TimedOut(_))) {
            session.interrupt();
        }
        outcome.map(|()| batch.counted())
    }

    /// Writes the completion, and claims the next batch with the same commit.
    async fn complete(
        &self,
        tx: &mut DB::Connection,
        code: &Code<DB>,
        scope: &Scope<DB>,
        counted: Option<u64>,
    ) -> Result<Done, Worked> {
        let processed = if let Some(processed) = counted {
            processed
        } else {
            // The batch's transaction may have taken rows out of the scope; another connection still sees them.
            let mut other = self.engine.counting.acquire().await?;
            self.count(&mut other, scope, code).await?
        };
        let sleep = code.run.sleep;
        // No next claim while the run rests, nor where others wait for the connection, or to be alone.
        let waited_for = self.engine.shares_pool() || self.engine.alone.is_wanted();
        let completed = if sleep.is_zero() && self.may_begin() && !waited_for {
            batches::complete_and_claim::<DB>(tx, &self.claim, processed, &self.engine.wanted, &self.skip).await
        } else {
            batches::complete::<DB>(tx, &self.claim, processed).await.map(|done| done.then_some(None))
        };
        match completed {
            Ok(Some(next)) => Ok(Done { processed, sleep, next: next.map(Box::new) }),
            Ok(None) => Err(Worked::Lost),
            Err(error) if DB::is_spoilt(&error) => Err(Worked::Failed(Failure::from(SPOILT))),
            Err(error) => Err(error.into()),
        }
    }

    async fn count(&self, conn: &mut DB::Connection, scope: &Scope<DB>, code: &Code<DB>) -> Result<u64, Worked> {
        let statement = count_statement(scope, &code.spec, &self.claim.batch.range);
        let statement = statement.map_err(|error| Worked::Failed(error.into()))?;
        let rows = DB::fetch(conn, statement).await?;
        let count = rows.first().map(|row| DB::int(row, 0)).transpose()?.flatten().unwrap_or(0);
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// A commit was sent and not answered: the database is asked what became of it, on another connection.
    async fn after_unknown_commit(&self, error: sqlx::Error, done: Done) -> Ended {
        tracing::warn!(%error, "a commit was not answered: the database is asked what became of it");
        let mut failed = 0;
        while self.engine.lease.is_held() {
            let patience = self.engine.lease.ttl();
            let outcome =
                async { ask!(self.engine.pool, patience, |conn| batches::is_completed::<DB>(conn, &self.claim)) };
            match outcome.await {
                Ok(true) => return done.into(),
                Ok(false) => return transient(&self.claim, format!("the commit was lost: {error}")),
                Err(error) => {
                    failed += 1;
                    tracing::debug!(%error, "the database does not answer yet");
                    tokio::time::sleep(schedule::after_transient(failed)).await;
                }
            }
        }
        // Whoever takes the claim over finds out by its fence.
        Ended::Lost
    }

    fn failed(&self, failure: &Failure, code: &Code<DB>) -> Ended {
        let error = code.mask.hide(&failure.report()).into_owned();
        if failure.is_transient() || failure.chain().any(DB::is_transient) {
            return transient(&self.claim, error);
        }
        self.attempt_failed(error, code)
    }

    fn attempt_failed(&self, error: String, code: &Code<DB>) -> Ended {
        let failed = self.claim.batch.attempts + 1;
        Ended::Unfinished(if failed >= code.run.max_attempts {
            Unfinished::GaveUp { error, counted: true }
        } else {
            Unfinished::Attempt { error, again_in: schedule::after_attempt(failed) }
        })
    }
}

/// Between two tries to write while the database is busy, for hosts that do not let the driver wait.
const BUSY: Duration = Duration::from_millis(10);

/// How long the engine's own statements after user code may take before the connection counts as dead. Closed, it rolls
/// back.
const PATIENCE: Duration = Duration::from_secs(30);

/// A driver whose worker thread has panicked, or a network that swallows packets, never answers.
async fn in_time<T>(answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(unanswered()))
}

/// The link with its connection's settings as they were; `None` when the connection is gone.
async fn finished<DB: Backend>(mut link: Link<DB>, patience: Duration) -> Option<Link<DB>> {
    let (conn, session) = link.parts();
    match within::<DB, _>(patience, DB::finish_batch(conn, session)).await {
        Ok(()) => Some(link),
        Err(error) => {
            tracing::debug!(%error, "a connection was lost after its batch");
            link.discard();
            None
        }
    }
}

/// A neighbour's long batch holds SQLite's only write lock: waiting for it is not this batch's failure.
fn is_busy<DB: Backend>(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(_)) && DB::is_transient(error)
}

const ENDED: &str = "the batch's transaction ended before its time (a COMMIT or ROLLBACK in user code, an `OR ROLLBACK` \
     conflict, a full disk), and nothing of the batch is kept";

const BROKEN: &str = "the batch's transaction was ended by user code (a COMMIT or ROLLBACK, an `OR ROLLBACK` conflict \
     whose error was swallowed, or a nested transaction left open): nothing of the batch is kept. Leave the transaction \
     to the batch, and return errors instead of swallowing them";

const SPOILT: &str = "user code swallowed an error of the database, which had spoilt the batch's transaction: nothing of \
     the batch is kept. Return errors instead of swallowing them, or put what may fail into a savepoint (`conn.begin()`)";

fn transient(claim: &Claim, error: String) -> Ended {
    let failed = claim.transients + 1;
    Ended::Unfinished(if failed > schedule::MOST_TRANSIENTS {
        Unfinished::GaveUp { error: format!("given up after {failed} tries: {error}"), counted: false }
    } else {
        Unfinished::Transient { error, again_in: schedule::after_transient(failed) }
    })
}

/// Resolves when the time is over; never without a bound.
pub(super) async fn elapsed(timeout: Option<Duration>) -> Duration {
    match timeout {
        Some(timeout) => {
            tokio::time::sleep(timeout).await;
            timeout
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[path = "attempt_tests.rs"]
mod tests;
