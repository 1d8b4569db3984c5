//! What the run API, the executor and the dashboard of one process share.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::Pool;
use sqlx::pool::PoolConnection;
use tokio::sync::{MutexGuard, Notify};
use tokio_util::sync::CancellationToken;

use crate::answer::within;
use crate::backend::{Backend, Session};
use crate::backfill::{BoxFuture, Context, States};
use crate::config::Config;
use crate::error::{Error, ErrorKind, FieldError};
use crate::hooks::{Answering, Hooks, Lookup};
use crate::options::{Field, Mask, Raw, Values};
use crate::registry::{Definition, Instance, Registry};
use crate::run::{BatchId, Run, RunBatch, RunId};
use crate::store::batches::{self, Claim};
use crate::store::charts::Charts;
use crate::store::runs;
use crate::store::tallies::Tallies;

/// How long a request of a person waits for a database that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Shared by everything that was made from one builder.
pub(crate) struct Core<DB: Backend> {
    /// The host's pool: for requests. The executor opens its own.
    pub(crate) pool: Pool<DB>,
    pub(crate) config: Config,
    pub(crate) registry: Registry,
    pub(crate) definitions: HashMap<&'static str, Arc<dyn Definition<DB>>>,
    pub(crate) states: States,
    pub(crate) hooks: Hooks,
    pub(crate) signals: Signals,
    /// Sums of great runs.
    pub(crate) tallies: Tallies,
    /// Charts of great runs.
    pub(crate) charts: Charts,
    /// Whose turn it is to write, where the database has one writer.
    pub(crate) turn: Option<tokio::sync::Mutex<()>>,
}

/// What one part of the process tells the others, so that they need not wait for their next poll.
#[derive(Default)]
pub(crate) struct Signals {
    /// There may be a batch to claim.
    pub(crate) work: Notify,
    /// There may be a run to plan, or room for more batches.
    pub(crate) plan: Notify,
    /// Something may have begun in a process that had nothing to do.
    pub(crate) alert: Notify,
    /// Claims of the runs whose planners wait for some.
    claims: Mutex<HashMap<RunId, Arc<Counter>>>,
    /// Some run changed.
    pub(crate) changed: Notify,
    /// Batches whose transaction is open in this process.
    flights: Mutex<HashMap<BatchId, Flight>>,
    /// Runs that are being stopped now, by how many requests: none of their batches may begin.
    halted: Mutex<HashMap<RunId, u32>>,
    /// The host is shutting down: event streams end. Cancelled by a worker's shutdown, or by the dashboard's own.
    pub(crate) closing: CancellationToken,
}

/// Counts the claims of one run, and wakes whoever waits for a number of them when that is reached and not before.
struct Counter {
    so_far: AtomicU64,
    awaited: AtomicU64,
    reached: Notify,
}

impl Counter {
    fn count(&self) {
        let so_far = self.so_far.fetch_add(1, Ordering::SeqCst) + 1;
        if so_far >= self.awaited.load(Ordering::SeqCst) {
            self.reached.notify_one();
        }
    }
}

/// The claims of one run in this process, counted as long as this lives. One at a time for each run.
pub(crate) struct Claims<'a> {
    signals: &'a Signals,
    run: RunId,
    counter: Arc<Counter>,
}

impl Claims<'_> {
    /// How many there were.
    pub(crate) fn so_far(&self) -> u64 {
        self.counter.so_far.load(Ordering::SeqCst)
    }

    /// Resolves when there were so many.
    pub(crate) async fn reach(&self, number: u64) {
        self.counter.awaited.store(number, Ordering::SeqCst);
        // Looked at after saying so: what is counted from here on wakes it.
        while self.so_far() < number {
            self.counter.reached.notified().await;
        }
        self.counter.awaited.store(u64::MAX, Ordering::SeqCst);
    }
}

impl Drop for Claims<'_> {
    fn drop(&mut self) {
        let mut claims = locked(&self.signals.claims);
        if claims.get(&self.run).is_some_and(|counter| Arc::ptr_eq(counter, &self.counter)) {
            claims.remove(&self.run);
        }
    }
}

/// A batch in this process's hands, from its claim to its end.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    /// One process may have several.
    pub(crate) worker: String,
    pub(crate) run: RunId,
    pub(crate) epoch: i64,
    /// Cancelled when the batch has to be rolled back.
    pub(crate) cancel: CancellationToken,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing panics while it holds one of these; the data would be whole even so.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Signals {
    /// Wakes every part of this process: somebody, here or elsewhere, has made work.
    pub(crate) fn stir(&self) {
        self.alert.notify_waiters();
        self.plan.notify_waiters();
        self.work.notify_waiters();
    }

    /// Enters a claim; the token is cancelled when the batch has to be rolled back.
    pub(crate) fn depart(&self, claim: &Claim) -> CancellationToken {
        if let Some(counter) = locked(&self.claims).get(&claim.batch.run_id) {
            counter.count();
        }
        let (batch, run, epoch) = (claim.batch.id, claim.batch.run_id, claim.epoch);
        let cancel = CancellationToken::new();
        locked(&self.flights)
            .insert(batch, Flight { worker: claim.worker.clone(), run, epoch, cancel: cancel.clone() });
        if locked(&self.halted).contains_key(&run) {
            cancel.cancel();
        }
        cancel
    }

    /// Forgets a claim that is done with.
    pub(crate) fn arrive(&self, batch: BatchId, epoch: i64) {
        let mut flights = locked(&self.flights);
        if flights.get(&batch).is_some_and(|flight| flight.epoch == epoch) {
            flights.remove(&batch);
        }
    }

    /// Counts the claims of a run from now on.
    pub(crate) fn claims_of(&self, run: RunId) -> Claims<'_> {
        let counter = Counter { so_far: AtomicU64::new(0), awaited: AtomicU64::new(u64::MAX), reached: Notify::new() };
        let counter = Arc::new(counter);
        locked(&self.claims).insert(run, Arc::clone(&counter));
        Claims { signals: self, run, counter }
    }

    /// What a worker of this process has in its hands.
    pub(crate) fn flights_of(&self, worker: &str) -> Vec<(BatchId, Flight)> {
        let flights = locked(&self.flights);
        flights.iter().filter(|(_, flight)| flight.worker == worker).map(|(id, flight)| (*id, flight.clone())).collect()
    }

    /// Whether the run is being stopped now by this process.
    pub(crate) fn is_halted(&self, run: RunId) -> bool {
        locked(&self.halted).contains_key(&run)
    }

    /// Rolls back what is in flight of a run, and lets nothing of it begin until the guard is dropped.
    pub(crate) fn halt(&self, run: RunId) -> Halt<'_> {
        *locked(&self.halted).entry(run).or_default() += 1;
        locked(&self.flights).values().filter(|flight| flight.run == run).for_each(|flight| flight.cancel.cancel());
        Halt { signals: self, run }
    }

    /// Rolls back what a worker has in flight.
    pub(crate) fn cancel_all_of(&self, worker: &str) {
        self.flights_of(worker).iter().for_each(|(_, flight)| flight.cancel.cancel());
    }
}

/// While this lives, no batch of the run begins in this process.
pub(crate) struct Halt<'a> {
    signals: &'a Signals,
    run: RunId,
}

impl Drop for Halt<'_> {
    fn drop(&mut self) {
        let mut halted = locked(&self.signals.halted);
        if let Some(requests) = halted.get_mut(&self.run) {
            *requests -= 1;
            if *requests == 0 {
                halted.remove(&self.run);
            }
        }
        drop(halted);
        self.signals.work.notify_waiters();
    }
}

impl<DB: Backend> Core<DB> {
    /// Waits for this task's turn to write; held until its transaction is over.
    ///
    /// Tasks of one process that found SQLite's write lock taken would sleep and try again, and a slot that begins its
    /// next transaction as soon as it has committed one leaves the planner, the lease and a person's stop no moment to
    /// find it free. Here they are served in the order in which they asked. Other processes are not: see the breath
    /// that a slot takes.
    ///
    /// Taken before a connection of the executor's pool, never while holding one: whoever has the turn needs one. A slot's
    /// own connection does no harm. On a shared pool the pool itself gives everybody a turn.
    pub(crate) async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        match &self.turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        }
    }

    /// The same for a request, which is not to wait for ever: the batch that has the turn may wait for the request.
    ///
    /// # Errors
    /// When it was not this task's turn within [`PATIENCE`].
    pub(crate) async fn turn_in_time(&self) -> sqlx::Result<Option<MutexGuard<'_, ()>>> {
        tokio::time::timeout(PATIENCE, self.turn()).await.map_err(|_| {
            let message = format!(
                "a batch of this process has been writing for {PATIENCE:?}, and nobody else can meanwhile: try again when it \
                 has ended (or does its user code wait for this very request?)"
            );
            sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, message))
        })
    }

    /// The code of a backfill.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when this process has none.
    pub(crate) fn definition(&self, name: &str) -> Result<&Arc<dyn Definition<DB>>, Error> {
        self.definitions.get(name).ok_or_else(|| {
            let known: Vec<_> = self.registry.iter().map(|registration| registration.info.name).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let message = format!(
                "no backfill is named `{name}`; this process has: {known}. One that lives in a library is linked in by \
                 `use my_backfills as _;`, or given to the builder with `.with::<T>()`"
            );
            Error::new(ErrorKind::NotFound, message)
        })
    }

    /// A backfill with these options, or what is wrong with each of them; what is masked is not said again.
    ///
    /// # Errors
    /// As [`definition`](Core::definition).
    #[expect(clippy::type_complexity, reason = "two kinds of refusal")]
    pub(crate) fn parse(
        &self,
        name: &str,
        raw: &HashMap<String, Raw>,
    ) -> Result<Result<Arc<dyn Instance<DB>>, Vec<FieldError>>, Error> {
        let parsed = self.definition(name)?.parse(raw);
        Ok(parsed.map_err(|mut wrong| {
            let mask = Mask::of_raw(self.fields(name), raw);
            for wrong in &mut wrong {
                wrong.message = mask.hide(&wrong.message).into_owned();
            }
            wrong
        }))
    }

    fn fields(&self, name: &str) -> &[Field] {
        self.registry.get(name).map_or(&[], |registration| &registration.info.fields)
    }

    /// What must not be said of a run.
    pub(crate) fn mask(&self, run: &Run) -> Mask {
        Mask::of(self.fields(&run.backfill), &run.options)
    }

    /// The run's backfill with its options.
    ///
    /// # Errors
    /// When there is no code for it, or the stored options do not fit the code any more.
    pub(crate) fn instance_of(&self, run: &Run) -> Result<Arc<dyn Instance<DB>>, Error> {
        self.parse(&run.backfill, &raw(&run.options))?.map_err(|fields| {
            let listed: Vec<_> = fields.iter().map(|f| format!("{}: {}", f.field, f.message)).collect();
            let message = format!(
                "the stored options do not fit the code of this process: {}. Deploy code that takes them and retry, or ask \
                 for a new run",
                listed.join("; ")
            );
            Error::new(ErrorKind::Invalid, message).with_fields(fields)
        })
    }
}

/// Stored options as the parser takes them.
pub(crate) fn raw(values: &Values) -> HashMap<String, Raw> {
    values.iter().map(|(name, value)| (name.clone(), Raw::Json(value.clone()))).collect()
}

impl<DB: Backend> Lookup<DB> for Core<DB> {
    fn run(&self, id: RunId) -> BoxFuture<'_, Option<Run>> {
        Box::pin(async move {
            let found = async { runs::find_with::<DB>(&mut *self.pool.acquire().await?, id, &self.tallies).await };
            found.await.unwrap_or_else(|error| {
                tracing::warn!(run = id.0, %error, "the run cannot be read for its hooks: they are not told");
                None
            })
        })
    }

    fn batches<'a>(&'a self, ids: &'a [BatchId]) -> BoxFuture<'a, Vec<RunBatch>> {
        Box::pin(async move {
            let found = async { batches::select::<DB>(&mut *self.pool.acquire().await?, ids).await };
            found.await.unwrap_or_else(|error| {
                tracing::warn!(%error, "batches cannot be read for their hooks: they are not told");
                Vec::new()
            })
        })
    }

    fn instance(&self, run: &Run) -> Option<Answering<DB>> {
        let hooks = self.registry.get(&run.backfill)?.info.hooks;
        if hooks.is_empty() {
            return None;
        }
        Some((self.instance_of(run).ok()?, hooks))
    }

    fn context(&self, run: &Run) -> Context {
        Context::new(Arc::new(run.clone()), self.states.clone())
    }
}

/// How long a connection's settings may take to be read or put back, where a network lies between.
const SETTINGS: Duration = Duration::from_secs(10);

/// A connection under control. Dropped, it goes back to its pool with inert hooks.
pub(crate) struct Link<DB: Backend> {
    conn: PoolConnection<DB>,
    pub(crate) session: DB::Session,
}

impl<DB: Backend> Link<DB> {
    pub(crate) async fn acquire(pool: &Pool<DB>) -> sqlx::Result<Self> {
        let mut conn = pool.acquire().await?;
        let options = pool.connect_options();
        match within::<DB, _>(SETTINGS, DB::attach(&mut conn, &options)).await {
            Ok(session) => Ok(Self { conn, session }),
            Err(error) => {
                conn.close_on_drop();
                Err(error)
            }
        }
    }

    /// Gives the connection back as it was; closes it when that cannot be done.
    pub(crate) async fn release(mut self) {
        self.session.resume();
        self.session.lift();
        let (conn, session) = self.parts();
        let given_back = within::<DB, _>(SETTINGS, async {
            DB::finish_batch(&mut *conn, session).await?;
            DB::detach(conn).await
        });
        if let Err(error) = given_back.await {
            tracing::debug!(%error, "a connection could not be given back as it was");
            self.discard();
        }
    }

    /// Closes the connection: nobody knows what state it is in.
    pub(crate) fn discard(mut self) {
        self.conn.close_on_drop();
    }

    /// Connection and control at once.
    pub(crate) fn parts(&mut self) -> (&mut DB::Connection, &DB::Session) {
        (&mut self.conn, &self.session)
    }
}

/// Only what was interrupted, bounded or guarded and not set free again is closed.
impl<DB: Backend> Drop for Link<DB> {
    fn drop(&mut self) {
        // Given back half-way through something: a statement would run on without its bound, or a guard would refuse the
        // host's commits. Closed, it ends both.
        if self.session.is_restless() {
            self.conn.close_on_drop();
        }
    }
}

impl<DB: Backend> Deref for Link<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        &self.conn
    }
}

impl<DB: Backend> DerefMut for Link<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        &mut self.conn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_for_claims_of_a_run_is_woken_by_the_last_of_them_and_by_no_other_runs() {
        let signals = Signals::default();
        let (one, other) = (signals.claims_of(RunId(1)), signals.claims_of(RunId(2)));
        let claimed = |run: i64| locked(&signals.claims).get(&RunId(run)).map(|counter| counter.count());
        {
            let mut reached = polled(one.reach(2));
            assert!(!reached());
            claimed(2);
            claimed(2);
            assert!(!reached());
            claimed(1);
            assert!(!reached());
            claimed(1);
            assert!(reached());
        }
        other.reach(2).await;
        assert_eq!((one.so_far(), other.so_far()), (2, 2));
        drop(one);
        assert!(claimed(1).is_none(), "nobody counts any more");
    }

    #[test]
    fn a_run_is_halted_until_the_last_who_stops_it_is_done() {
        let signals = Signals::default();
        let (first, second) = (signals.halt(RunId(1)), signals.halt(RunId(1)));
        drop(first);
        assert!(signals.is_halted(RunId(1)));
        drop(second);
        assert!(!signals.is_halted(RunId(1)));
    }

    /// Polls a future; whether it is done.
    fn polled<'f>(future: impl Future<Output = ()> + 'f) -> impl FnMut() -> bool + 'f {
        let mut future = Box::pin(future);
        move || {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            future.as_mut().poll(&mut context).is_ready()
        }
    }
}
