//! The worker's lease: one heartbeat for the whole process, and what it tells about the worker's claims.
//!
//! The heart beats on a thread and a runtime of its own: user code that computes without awaiting, or a pool without
//! free connections, must not cost the worker its claims. Only a shared pool forces it onto the host's runtime.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::Pool;
use sqlx::pool::PoolOptions;
use tokio_util::sync::CancellationToken;

use crate::answer::{self, ask, is_answer, within};
use crate::backend::Backend;
use crate::core::{Core, Flight};
use crate::executor::presence::{self, Pace};
use crate::executor::{Engine, places};
use crate::run::BatchId;
use crate::store::batches::{self, Held, Unfinished};
use crate::store::workers::{self, Incarnation};

/// How often batches in flight are compared with the database.
pub(super) const WATCH: Duration = Duration::from_secs(1);

/// The least that an answer to a beat is given: a connection may have to be opened for it.
const ANSWER: Duration = Duration::from_secs(2);

/// How long the worker may count on its claims, by this process's monotonic clock.
pub(super) struct Lease {
    ttl: Duration,
    term: Mutex<Term>,
}

#[derive(Default)]
struct Term {
    /// When it began, the instant *before* its beat was sent; `None` before the first.
    began: Option<Instant>,
    /// Beats so far.
    beats: u64,
    /// A beat had to wait, or this process stood still: others' beats may have waited as well.
    late: bool,
}

impl Lease {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { ttl, term: Mutex::default() }
    }

    fn term(&self) -> MutexGuard<'_, Term> {
        self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody can have taken this worker's claims over.
    pub(super) fn is_held(&self) -> bool {
        self.term().began.is_some_and(|began| began.elapsed() < self.ttl)
    }

    /// How long one term lasts.
    pub(super) fn ttl(&self) -> Duration {
        self.ttl
    }

    /// How often it is renewed.
    pub(super) fn interval(&self) -> Duration {
        self.ttl / 3
    }

    /// How long nothing may be heard of this process in a transaction before the database ends it: what a process that
    /// stands still, or has lost its network, had open is gone before its claims are taken over.
    pub(super) fn silence(&self) -> Duration {
        self.ttl * 2 / 3
    }

    /// Beats so far.
    pub(super) fn beats(&self) -> u64 {
        self.term().beats
    }

    /// Beats so far, and whether one of them was late since the last call.
    pub(super) fn punctuality(&self) -> (u64, bool) {
        let mut term = self.term();
        (term.beats, std::mem::take(&mut term.late))
    }

    fn renew(&self, before: Instant) {
        let mut term = self.term();
        let waited = before.elapsed();
        // Of a process that was suspended no beat waits: it was just not sent.
        let since = term.began.map_or(Duration::ZERO, |began| before.saturating_duration_since(began));
        term.late |= waited > self.interval() / 2 || since > self.interval() * 2;
        term.began = Some(before);
        term.beats += 1;
    }

    fn miss(&self) {
        self.term().late = true;
    }
}

/// The running heart.
pub(super) struct Heart {
    stop: CancellationToken,
    stopped: CancellationToken,
}

impl Heart {
    /// Ends it: nothing is held any more.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.stopped.cancelled().await;
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Starts to beat.
pub(super) fn start<DB: Backend>(engine: &Arc<Engine<DB>>) -> Heart {
    let heart = Heart { stop: CancellationToken::new(), stopped: CancellationToken::new() };
    let pulse = Pulse {
        core: Arc::clone(&engine.core),
        worker: engine.worker.clone(),
        lease: Arc::clone(&engine.lease),
        pace: Arc::clone(&engine.pace),
        stop: heart.stop.clone(),
    };
    let stopped = heart.stopped.clone().drop_guard();
    if engine.shares_pool() {
        let pool = engine.pool.clone();
        tokio::spawn(async move {
            let _stopped = stopped;
            live(&pulse, pool).await;
        });
        return heart;
    }
    let options = engine.pool.connect_options();
    let thread = std::thread::Builder::new().name("data-drip-lease".into()).spawn(move || {
        let _stopped = stopped;
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(async {
                let pool =
                    PoolOptions::<DB>::new().max_connections(places::<DB>(3)).after_connect(|conn, _| DB::own(conn));
                let pool = pool.connect_lazy_with((*options).clone());
                live(&pulse, pool.clone()).await;
                answer::close(&pool).await;
            }),
            Err(error) => tracing::error!(%error, "no runtime for the lease: this worker claims nothing"),
        }
    });
    if let Err(error) = thread {
        tracing::error!(%error, "no thread for the lease: this worker claims nothing");
    }
    heart
}

/// Beats and watches until told to stop.
async fn live<DB: Backend>(heart: &Pulse<DB>, pool: Pool<DB>) {
    // Side by side: on SQLite a beat waits as long as a batch holds the write lock, which is when watching matters.
    tokio::join!(heart.beat(&pool), heart.watch(&pool), presence::attend(heart, &pool));
}

/// What the heart's parts share.
pub(super) struct Pulse<DB: Backend> {
    pub(super) core: Arc<Core<DB>>,
    pub(super) worker: Incarnation,
    pub(super) pace: Arc<Pace>,
    pub(super) stop: CancellationToken,
    lease: Arc<Lease>,
}

impl<DB: Backend> Pulse<DB> {
    /// Whether to go on after the pause.
    pub(super) async fn pause(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    /// Renews the lease, and gives back what nobody here works on.
    async fn beat(&self, pool: &Pool<DB>) {
        let mut strays = HashSet::new();
        loop {
            let outcome = tokio::select! {
                () = self.stop.cancelled() => return,
                outcome = self.beat_once(pool, &mut strays) => outcome,
            };
            let pause = match outcome {
                Ok(()) => self.lease.interval(),
                Err(error) => {
                    self.lease.miss();
                    if !DB::is_transient(&error) {
                        tracing::warn!(%error, "the worker's lease could not be renewed");
                    }
                    (self.lease.interval() / 10).min(WATCH)
                }
            };
            if !self.pause(pause).await {
                return;
            }
        }
    }

    async fn beat_once(&self, pool: &Pool<DB>, strays: &mut HashSet<Held>) -> sqlx::Result<()> {
        // Not waited for without a bound: who has the turn may stand on a runtime that the host's code blocks.
        let _turn = tokio::time::timeout(self.lease.interval() / 4, self.core.turn()).await.ok().flatten();
        // A connection that was lost without a word must not cost the lease: there is time for another one.
        let patience = self.lease.interval().max(ANSWER);
        let mut conn = if self.core.config.share_pool {
            // Where others queue up as well, who gives up loses his place.
            pool.acquire().await?
        } else {
            within::<DB, _>(patience, pool.acquire()).await?
        };
        let before = Instant::now();
        let renewed = within::<DB, _>(patience, self.send(&mut conn)).await;
        if renewed.as_ref().is_err_and(|error| !is_answer(error)) {
            conn.close_on_drop();
        }
        renewed?;
        self.lease.renew(before);
        if self.lease.beats() == 1 {
            self.core.signals.stir();
        }
        let looked = within::<DB, _>(patience, self.give_strays_back(&mut conn, strays)).await;
        if looked.as_ref().is_err_and(|error| !is_answer(error)) {
            conn.close_on_drop();
        }
        *strays = looked?;
        Ok(())
    }

    async fn send(&self, conn: &mut DB::Connection) -> sqlx::Result<()> {
        if !workers::beat::<DB>(conn, &self.worker.id, self.lease.ttl).await? {
            // The first beat, or one of a worker that others had already forgotten.
            workers::register::<DB>(conn, &self.worker, self.lease.ttl).await?;
        }
        Ok(())
    }

    /// Gives claims back that the database holds for this worker and nobody here works on: the answer to the claim
    /// was lost on its way. Two beats must see it, since a claim is committed before this process can know it.
    async fn give_strays_back(&self, conn: &mut DB::Connection, before: &HashSet<Held>) -> sqlx::Result<HashSet<Held>> {
        let held = batches::held::<DB>(conn, &self.worker.id).await?;
        let flights = self.core.signals.flights_of(&self.worker.id);
        let strays: HashSet<Held> = held
            .into_iter()
            .filter(|held| !flights.iter().any(|(id, flight)| *id == held.batch && flight.epoch == held.epoch))
            .collect();
        for stray in strays.intersection(before) {
            tracing::warn!(batch = stray.batch.0, "a claim that nobody in this process knows is given back");
            batches::give_back::<DB>(conn, &stray.fence(&self.worker.id), &Unfinished::Released).await?;
        }
        Ok(strays)
    }

    /// Cancels what is in flight and not this worker's any more.
    async fn watch(&self, pool: &Pool<DB>) {
        let mut missing = HashSet::new();
        while self.pause(WATCH).await {
            let flights = self.core.signals.flights_of(&self.worker.id);
            for (id, flight) in &flights {
                if DB::is_called_to_stop(pool, flight.run) {
                    tracing::info!(run = flight.run.0, batch = id.0, "another process stops the run now");
                    flight.cancel.cancel();
                }
            }
            // The pool may have no connection to spare for long: the next call to stop must be heard even so.
            let looked = tokio::time::timeout(WATCH, self.gone(pool, &flights)).await;
            match looked.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
                Ok(gone) => {
                    for (id, flight) in flights.iter().filter(|(id, flight)| missing.contains(&(*id, flight.epoch))) {
                        if gone.contains(&(*id, flight.epoch)) {
                            tracing::warn!(run = flight.run.0, batch = id.0, "the batch was taken away");
                            flight.cancel.cancel();
                        }
                    }
                    missing = gone;
                }
                Err(error) => tracing::debug!(%error, "could not compare the batches in flight with the database"),
            }
        }
    }

    /// Batches in flight that the database does not hold for this worker: taken over, or stopped now by another
    /// process. They could not commit; ending them early saves the work. Two looks must agree, since a completion is
    /// committed before the batch leaves the list.
    async fn gone(&self, pool: &Pool<DB>, flights: &[(BatchId, Flight)]) -> sqlx::Result<HashSet<(BatchId, i64)>> {
        if flights.is_empty() {
            return Ok(HashSet::new());
        }
        let held = ask!(pool, WATCH / 2, |conn| batches::held::<DB>(conn, &self.worker.id))?;
        let is_held = |id: BatchId, epoch: i64| held.iter().any(|held| held.batch == id && held.epoch == epoch);
        let flying = flights.iter().map(|(id, flight)| (*id, flight.epoch));
        Ok(flying.filter(|&(id, epoch)| !is_held(id, epoch)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(30);

    #[test]
    fn beats_in_time_are_not_late() {
        let lease = Lease::new(TTL);
        let now = Instant::now();
        lease.renew(now);
        lease.renew(now + lease.interval());
        assert_eq!(lease.punctuality(), (2, false));
    }

    #[test]
    fn a_beat_that_was_missed_is_told_once() {
        let lease = Lease::new(TTL);
        lease.miss();
        assert_eq!(lease.punctuality(), (0, true));
        assert_eq!(lease.punctuality(), (0, false));
    }

    #[test]
    fn a_process_that_stood_still_is_late_although_its_beat_did_not_wait() {
        let lease = Lease::new(TTL);
        let now = Instant::now();
        lease.renew(now);
        lease.renew(now + TTL);
        assert_eq!(lease.punctuality(), (2, true));
    }
}
