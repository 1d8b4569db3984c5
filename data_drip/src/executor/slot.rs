//! A slot: claims one batch after the other and works on it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::answer::{is_answer, is_refusal, within};
use crate::backend::Backend;
use crate::core::Link;
use crate::error::bounded;
use crate::executor::attempt::{self, Ended};
use crate::executor::{Engine, schedule};
use crate::hooks::Event;
use crate::run::RunId;
use crate::status::BatchStatus;
use crate::store::batches::{self, Claim, Unfinished};

/// How long a slot leaves a run alone whose batch it had to give back unworked.
const AFTER_RELEASE: Duration = Duration::from_millis(200);

/// How long a slot waits that saw a batch and did not get it: about as long as a commit takes.
const CONTENDED: Duration = Duration::from_millis(20);

/// How long a slot works without a breath on a database with one writer, and how long that is: less than a tenth of the
/// time, so that a writer with a busy timeout of a few seconds gets through. Longer than the pause between two of its
/// looks by enough for a machine that wakes it late: with ten milliseconds more than that pause it was seen to fail.
const STREAK: Duration = Duration::from_secs(2);
const BREATH: Duration = Duration::from_millis(160);

/// Works until the engine drains.
pub(super) async fn work<DB: Backend>(engine: Arc<Engine<DB>>, number: usize) {
    let mut slot = Slot { engine, number, link: None, last: None, resting: HashMap::new(), since: Instant::now() };
    let mut next = None;
    loop {
        if slot.engine.draining.is_cancelled() {
            if let Some(claim) = next {
                slot.give_back(&claim, Unfinished::Released).await;
            }
            return;
        }
        let claim = if let Some(claim) = next.take() {
            claim
        } else {
            let Some(claim) = slot.claim_or_wait().await else {
                slot.since = Instant::now();
                continue;
            };
            claim
        };
        slot.breathe().await;
        next = slot.run(claim).await;
    }
}

/// What a look for work has found.
enum Found {
    Batch(Box<Claim>),
    /// There was something, and others are just taking it.
    Contended,
    Nothing,
}

struct Slot<DB: Backend> {
    engine: Arc<Engine<DB>>,
    number: usize,
    /// Kept from batch to batch; on a shared pool given back after each.
    link: Option<Link<DB>>,
    /// The run served last: the round goes on behind it.
    last: Option<RunId>,
    /// Runs whose pause between batches is not over in this slot.
    resting: HashMap<RunId, Instant>,
    /// Since when one batch follows the other.
    since: Instant,
}

impl<DB: Backend> Slot<DB> {
    async fn link(&mut self) -> sqlx::Result<&mut Link<DB>> {
        if self.link.is_none() {
            self.link = Some(self.engine.slots_link().await?);
        }
        // Just put there.
        self.link.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Claims a batch; `None` after waiting for one.
    async fn claim_or_wait(&mut self) -> Option<Claim> {
        let engine = Arc::clone(&self.engine);
        // Listened to before looking, so that what arrives in between is not missed.
        let signal = engine.core.signals.work.notified();
        tokio::pin!(signal);
        signal.as_mut().enable();
        let now = Instant::now();
        self.resting.retain(|_, until| *until > now);
        let pause = match self.claim().await {
            Ok(Found::Batch(claim)) => {
                if engine.pace.is_idle() {
                    // The other parts of this process look seldom: there is more where this came from.
                    engine.core.signals.alert.notify_waiters();
                }
                return Some(*claim);
            }
            Ok(Found::Contended) => schedule::jittered(CONTENDED),
            Ok(Found::Nothing) => schedule::jittered(engine.poll_interval()),
            Err(error) => {
                // A busy database is everyday life on SQLite; anything else should be seen.
                if DB::is_transient(&error) {
                    tracing::debug!(slot = self.number, %error, "could not claim a batch now");
                } else {
                    tracing::warn!(slot = self.number, %error, "could not claim a batch");
                }
                // A connection that was lost, while nobody used it for one, never comes back by itself.
                if !is_answer(&error) || !DB::is_transient(&error) {
                    self.discard();
                }
                schedule::jittered(engine.core.config.poll_interval.min(Duration::from_secs(1)))
            }
        };
        self.give_link_back().await;
        let rested = self.resting.values().min().map(|until| until.saturating_duration_since(now));
        tokio::select! {
            () = engine.draining.cancelled() => {}
            () = signal => {}
            () = tokio::time::sleep(rested.map_or(pause, |rested| rested.min(pause))) => {}
        }
        None
    }

    async fn claim(&mut self) -> sqlx::Result<Found> {
        let engine = Arc::clone(&self.engine);
        if !engine.lease.is_held() || engine.alone.is_wanted() {
            return Ok(Found::Nothing);
        }
        let skip = self.skip();
        let last = self.last;
        let patience = engine.lease.ttl();
        let link = self.link().await?;
        if !within::<DB, _>(patience, batches::peek::<DB>(link, &engine.wanted, &skip)).await? {
            return Ok(Found::Nothing);
        }
        let _turn = engine.turn().await;
        let claim = batches::claim::<DB>(link, &engine.wanted, &skip, last);
        Ok(match within::<DB, _>(patience, claim).await? {
            Some(claim) => Found::Batch(Box::new(claim)),
            // With one writer at a time somebody has it for good; with several, what is locked may be free in a moment.
            None if DB::MAX_SLOTS == Some(1) => Found::Nothing,
            None => Found::Contended,
        })
    }

    /// Lets others write, where the database has one writer.
    ///
    /// Between two batches SQLite's write lock is free for an instant, and whoever waits for it looks again every 100 ms
    /// at most: without a breath that is longer, the application's own writes would starve and fail.
    async fn breathe(&mut self) {
        if DB::MAX_SLOTS == Some(1) && self.since.elapsed() >= STREAK {
            tokio::select! {
                () = self.engine.draining.cancelled() => {}
                () = tokio::time::sleep(BREATH) => {}
            }
            self.since = Instant::now();
        }
    }

    /// Leaves a run alone for a while.
    fn rest(&mut self, run: RunId, pause: Duration) {
        let now = Instant::now();
        // Longer than a clock can tell is for ever, as far as this process is concerned.
        let until = now.checked_add(pause).unwrap_or_else(|| now + Duration::from_hours(24));
        self.resting.insert(run, until);
    }

    fn skip(&self) -> Vec<RunId> {
        let mut skip = self.engine.refusals.now();
        skip.extend(self.resting.keys());
        skip
    }

    /// Works on a claim; the next one, when its commit brought one.
    async fn run(&mut self, claim: Claim) -> Option<Claim> {
        let engine = Arc::clone(&self.engine);
        let (batch, run, epoch) = (claim.batch.id, claim.batch.run_id, claim.epoch);
        let cancel = engine.core.signals.depart(&claim);
        tracing::debug!(run = run.0, batch = batch.0, epoch, "a batch is claimed");
        engine.core.hooks.announce(Event::Batch(Box::new(claim.batch.clone())));
        self.last = Some(run);
        let link = match self.link.take() {
            Some(link) => Ok(link),
            None => engine.slots_link().await,
        };
        let next = match link {
            Ok(link) => {
                let skip = self.skip();
                let (link, ended) = attempt::run(&engine, link, &claim, cancel, skip).await;
                self.link = link;
                // Whatever follows takes a connection of its own: the shared pool may have this one only.
                self.give_link_back().await;
                self.conclude(&claim, ended).await
            }
            Err(error) => {
                tracing::warn!(slot = self.number, %error, "no connection for a claimed batch");
                self.give_back(&claim, Unfinished::Released).await;
                None
            }
        };
        engine.core.signals.arrive(batch, epoch);
        next
    }

    async fn conclude(&mut self, claim: &Claim, ended: Ended) -> Option<Claim> {
        let engine = Arc::clone(&self.engine);
        let run = claim.batch.run_id;
        match ended {
            Ended::Completed { processed, sleep, next } => {
                let mut batch = claim.batch.clone();
                batch.status = BatchStatus::Completed;
                batch.processed = Some(processed);
                batch.finished_at = Some(chrono::Utc::now());
                tracing::info!(run = run.0, batch = batch.id.0, processed, "the batch is committed");
                engine.core.hooks.announce(Event::Batch(Box::new(batch)));
                if !sleep.is_zero() {
                    self.rest(run, sleep);
                }
                let next = next.map(|next| *next);
                if next.as_ref().is_none_or(|next| next.batch.run_id != run) {
                    engine.settle(run).await;
                }
                next
            }
            Ended::Unfinished(how) => {
                let released = how == Unfinished::Released;
                self.give_back(claim, how).await;
                if released {
                    // Being stopped, paused or left to others: not to be claimed again in a circle.
                    self.rest(run, AFTER_RELEASE);
                }
                None
            }
            Ended::Lost => {
                tracing::warn!(run = run.0, batch = claim.batch.id.0, "the batch was taken away and is rolled back");
                None
            }
        }
    }

    /// Gives a claim back, patiently: an error that is not written down is an error swallowed.
    async fn give_back(&mut self, claim: &Claim, mut how: Unfinished) {
        let engine = Arc::clone(&self.engine);
        let (run, id) = (claim.batch.run_id, claim.batch.id);
        if let Some(error) = how.error_mut() {
            *error = bounded(std::mem::take(error));
        }
        let (mut failed, mut instead) = (0, None);
        let status = loop {
            let outcome = match self.link().await {
                Ok(link) => {
                    let _turn = engine.turn().await;
                    let how = instead.as_ref().unwrap_or(&how);
                    within::<DB, _>(engine.lease.ttl(), batches::give_back::<DB>(link, &claim.fence(), how)).await
                }
                Err(error) => Err(error),
            };
            match outcome {
                Ok(status) => break status,
                Err(error) => {
                    failed += 1;
                    self.discard();
                    // An error that the database does not take it would refuse for ever. If it does not take what stands in
                    // for it either, the error is not to blame, and is tried again.
                    let first = instead.is_none() && is_refusal::<DB>(&error);
                    instead = if first { how.standing_in(&error) } else { None };
                    if instead.is_some() {
                        tracing::warn!(run = run.0, batch = id.0, ?how, %error, "the database does not keep an error");
                        continue;
                    }
                    // Not given up when the lease has run out: a neighbour that holds SQLite's write lock for so long
                    // keeps everybody from taking the claim over, and if somebody has, the fence tells. When draining,
                    // the lease's end has to do.
                    if engine.draining.is_cancelled() && failed > 20 {
                        tracing::error!(run = run.0, batch = id.0, ?how, %error, "could not write down how a batch ended");
                        return;
                    }
                    tokio::time::sleep(schedule::after_transient(failed)).await;
                }
            }
        };
        self.give_link_back().await;
        let Some(status) = status else { return };
        let mut how = instead.unwrap_or(how);
        match &how {
            Unfinished::Released | Unfinished::Postponed { .. } => {
                tracing::debug!(run = run.0, batch = id.0, %status, "the batch is given back unworked");
            }
            Unfinished::Transient { error, .. } => {
                tracing::warn!(run = run.0, batch = id.0, error, "the batch is tried again");
            }
            Unfinished::Attempt { error, .. } | Unfinished::GaveUp { error, .. } => {
                tracing::error!(run = run.0, batch = id.0, error, %status, "the batch failed");
            }
        }
        let mut batch = claim.batch.clone();
        batch.status = status;
        batch.worker = batch.worker.filter(|_| status == BatchStatus::Failed);
        if let Some(error) = how.error_mut() {
            batch.error = Some(error.clone());
        }
        batch.attempts +=
            u32::from(matches!(how, Unfinished::Attempt { .. } | Unfinished::GaveUp { counted: true, .. }));
        engine.core.hooks.announce(Event::Batch(Box::new(batch)));
        if status == BatchStatus::Failed {
            engine.settle(run).await;
        }
        engine.core.signals.changed.notify_waiters();
    }

    fn discard(&mut self) {
        if let Some(link) = self.link.take() {
            link.discard();
        }
    }

    async fn give_link_back(&mut self) {
        if !self.engine.shares_pool() {
            return;
        }
        if let Some(link) = self.link.take() {
            link.release().await;
        }
    }
}
