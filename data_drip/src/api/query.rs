//! Listing runs, batches and what was said in them, a page at a time.

use std::future::IntoFuture;

use crate::backend::Backend;
use crate::backfill::BoxFuture;
use crate::core::Core;
use crate::error::Error;
use crate::logs::{LogId, LogLevel, LogLine};
use crate::run::{BatchId, Run, RunBatch, RunId};
use crate::status::{BatchStatus, RunStatus};
use crate::store::{batches, logs, runs};

/// Which runs, newest first; await it.
#[must_use = "nothing happens before it is awaited"]
pub struct RunQuery<'a, DB: Backend> {
    core: &'a Core<DB>,
    filter: runs::Filter,
}

impl<'a, DB: Backend> RunQuery<'a, DB> {
    pub(super) fn new(core: &'a Core<DB>) -> Self {
        Self { core, filter: runs::Filter { limit: 25, ..runs::Filter::default() } }
    }

    /// Only runs in this status.
    pub fn status(mut self, status: RunStatus) -> Self {
        self.filter.status = Some(status);
        self
    }

    /// Only runs of this backfill.
    pub fn backfill(mut self, name: &str) -> Self {
        self.filter.backfill = Some(name.to_owned());
        self
    }

    /// Only runs of one of these backfills.
    pub fn backfills<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.filter.among = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Only runs that this person started, by the host's id.
    pub fn backfiller(mut self, id: &str) -> Self {
        self.filter.backfiller = Some(id.to_owned());
        self
    }

    /// Only runs older than this one: the next page after the last run of a page.
    pub fn before(mut self, id: RunId) -> Self {
        self.filter.before = Some(id);
        self
    }

    /// At most this many; 25.
    pub fn limit(mut self, runs: u32) -> Self {
        self.filter.limit = runs;
        self
    }
}

impl<'a, DB: Backend> IntoFuture for RunQuery<'a, DB> {
    type Output = Result<Vec<Run>, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut conn = self.core.pool.acquire().await?;
            let ids = runs::list::<DB>(&mut conn, &self.filter).await?;
            Ok(runs::select_with::<DB>(&mut conn, &ids, &self.core.tallies).await?)
        })
    }
}

/// Which batches of a run, by position; await it.
#[must_use = "nothing happens before it is awaited"]
pub struct BatchQuery<'a, DB: Backend> {
    core: &'a Core<DB>,
    run: RunId,
    filter: batches::Filter,
}

impl<'a, DB: Backend> BatchQuery<'a, DB> {
    pub(super) fn new(core: &'a Core<DB>, run: RunId) -> Self {
        Self { core, run, filter: batches::Filter { limit: 50, ..batches::Filter::default() } }
    }

    /// Only batches in this status.
    pub fn status(mut self, status: BatchStatus) -> Self {
        self.filter.status = Some(status);
        self
    }

    /// Only batches behind this position: the next page after the last batch of a page.
    pub fn after(mut self, position: u64) -> Self {
        self.filter.after = Some(position);
        self
    }

    /// Only batches in front of this position, the last one first: the way back, and with a great number the newest.
    pub fn before(mut self, position: u64) -> Self {
        self.filter.before = Some(position);
        self
    }

    /// At most this many; 50.
    pub fn limit(mut self, batches: u32) -> Self {
        self.filter.limit = batches;
        self
    }
}

impl<'a, DB: Backend> IntoFuture for BatchQuery<'a, DB> {
    type Output = Result<Vec<RunBatch>, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut conn = self.core.pool.acquire().await?;
            let ids = batches::list::<DB>(&mut conn, self.run, &self.filter).await?;
            let mut found = batches::select::<DB>(&mut conn, &ids).await?;
            if self.filter.before.is_some() {
                found.reverse();
            }
            Ok(found)
        })
    }
}

/// Which lines of a run's log, oldest first; await it.
#[must_use = "nothing happens before it is awaited"]
pub struct LogQuery<'a, DB: Backend> {
    core: &'a Core<DB>,
    run: RunId,
    filter: logs::Filter,
}

impl<'a, DB: Backend> LogQuery<'a, DB> {
    pub(super) fn new(core: &'a Core<DB>, run: RunId) -> Self {
        let filter = logs::Filter { batch: None, level: None, after: None, before: None, backwards: false, limit: 100 };
        Self { core, run, filter }
    }

    /// Only what was said in this batch.
    pub fn batch(mut self, id: BatchId) -> Self {
        self.filter.batch = Some(id);
        self
    }

    /// Only lines of this level and worse.
    pub fn level(mut self, level: LogLevel) -> Self {
        self.filter.level = Some(level);
        self
    }

    /// Only lines written after this one: the next page, or what is new.
    pub fn after(mut self, id: LogId) -> Self {
        self.filter.after = Some(id);
        self
    }

    /// Only lines written before this one.
    pub fn before(mut self, id: LogId) -> Self {
        self.filter.before = Some(id);
        self
    }

    /// The newest lines, newest first.
    pub fn newest_first(mut self) -> Self {
        self.filter.backwards = true;
        self
    }

    /// At most this many; 100.
    pub fn limit(mut self, lines: u32) -> Self {
        self.filter.limit = lines;
        self
    }
}

impl<'a, DB: Backend> IntoFuture for LogQuery<'a, DB> {
    type Output = Result<Vec<LogLine>, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut conn = self.core.pool.acquire().await?;
            Ok(logs::list::<DB>(&mut conn, self.run, &self.filter).await?)
        })
    }
}
