//! All that the dashboard asks of the run API, without the database's type: pages are compiled once, not per driver.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::api::{BackfillSummary, BatchDuration, DataDrip, Defaults, Failures, Preview, Throughput};
use crate::backend::Backend;
use crate::backfill::BoxFuture;
use crate::error::{Error, FieldError};
use crate::logs::{LogId, LogLevel, LogLine, LogTotals};
use crate::options::{Choice, Raw};
use crate::registry::BackfillInfo;
use crate::run::{Backfiller, BatchId, Run, RunBatch, RunId, WorkerInfo};
use crate::status::{BatchStatus, RunStatus};
use crate::store::marks::Marks;
use crate::store::runs::{RunEvent, StatusCounts};

/// Backfills that the picker puts first.
const RECENT: u32 = 5;
/// People that the list of runs can be filtered by.
const PEOPLE: u32 = 200;
/// How far back the counts of settled runs go.
const LATELY: Duration = Duration::from_hours(7 * 24);
/// Batches in the chart of durations.
const DURATIONS: u32 = 120;

pub(super) type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// Which runs to list, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct RunFilter {
    pub(super) status: Option<RunStatus>,
    pub(super) backfill: Option<String>,
    /// Only runs of these, when it is some.
    pub(super) among: Option<Vec<String>>,
    /// Only runs of this person, by the host's id.
    pub(super) person: Option<String>,
    pub(super) before: Option<RunId>,
    pub(super) limit: u32,
}

/// Which batches of a run to list, and from where: by position, or backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct BatchFilter {
    pub(super) status: Option<BatchStatus>,
    pub(super) from: From,
    pub(super) limit: u32,
}

/// One end of a page of batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum From {
    /// Those behind this position.
    After(u64),
    /// Those in front of this position, the last one first.
    Before(u64),
}

/// Which lines of a run's log to list.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LogFilter {
    pub(super) batch: Option<BatchId>,
    /// This bad or worse.
    pub(super) level: Option<LogLevel>,
    pub(super) after: Option<LogId>,
    pub(super) before: Option<LogId>,
    pub(super) newest_first: bool,
    pub(super) limit: u32,
}

/// A run to create, as a form gave it.
#[derive(Clone, Debug, Default)]
pub(super) struct NewRun {
    pub(super) backfill: String,
    pub(super) options: HashMap<String, Raw>,
    pub(super) batch_size: Option<u64>,
    pub(super) limit: Option<u64>,
    pub(super) sleep: Option<Duration>,
    pub(super) queue: Option<String>,
    pub(super) start_at: Option<DateTime<Utc>>,
}

/// What a person can ask of an existing run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Stop,
    StopNow,
    Pause,
    Resume,
    RetryFailedBatches,
    Delete,
}

pub(super) trait Engine: Send + Sync {
    fn defaults(&self, backfill: &BackfillInfo) -> Defaults;
    fn backfills(&self) -> Vec<&BackfillInfo>;
    fn backfill(&self, name: &str) -> Option<&BackfillInfo>;
    /// The table that a backfill is about, where its code can tell without options.
    fn table(&self, backfill: &str) -> Option<String>;
    /// Every backfill that has runs, with and without code.
    fn summaries(&self) -> Answer<'_, Vec<BackfillSummary>>;
    /// The backfills that a person started last.
    fn recent<'a>(&'a self, person: &'a str) -> Answer<'a, Vec<String>>;
    /// Who has started runs.
    fn people(&self) -> Answer<'_, Vec<Backfiller>>;
    /// Names of backfills that have runs but no code here.
    fn names_without_code(&self) -> Answer<'_, Vec<String>>;
    /// Runs in each status; of the settled ones, those of the last seven days.
    fn status_counts(&self) -> Answer<'_, StatusCounts>;
    fn choices<'a>(&'a self, backfill: &'a str, field: &'a str) -> Answer<'a, Option<Vec<Choice>>>;
    fn runs(&self, filter: RunFilter) -> Answer<'_, Vec<Run>>;
    fn run(&self, id: RunId) -> Answer<'_, Run>;
    fn batches(&self, id: RunId, filter: BatchFilter) -> Answer<'_, Vec<RunBatch>>;
    /// The batch at a position of a run.
    fn batch_at(&self, id: RunId, position: u64) -> Answer<'_, Option<RunBatch>> {
        Box::pin(async move {
            let filter = BatchFilter { status: None, from: From::After(position.saturating_sub(1)), limit: 1 };
            let found = self.batches(id, filter).await?;
            Ok(found.into_iter().find(|batch| batch.position == position))
        })
    }
    fn events(&self, id: RunId) -> Answer<'_, Vec<RunEvent>>;
    fn throughput<'a>(&'a self, run: &'a Run) -> Answer<'a, Option<Throughput>>;
    /// How long the latest batches took.
    fn durations(&self, id: RunId) -> Answer<'_, Vec<BatchDuration>>;
    fn failures(&self, id: RunId) -> Answer<'_, Failures>;
    /// What tells whether a page that shows these runs has to be loaded anew: one statement, for all of them.
    fn marks(&self, runs: Vec<RunId>) -> Answer<'_, Marks>;
    /// Cancelled when the host shuts down: streams end.
    fn closing(&self) -> CancellationToken;
    fn logs(&self, id: RunId, filter: LogFilter) -> Answer<'_, Vec<LogLine>>;
    fn log_totals(&self, id: RunId) -> Answer<'_, LogTotals>;
    fn workers(&self) -> Answer<'_, Vec<WorkerInfo>>;
    /// What is wrong with the options alone: a form that is refused for other reasons says it all at once.
    fn check_options(&self, new: &NewRun) -> Vec<FieldError>;
    /// What the run would do; nothing is written.
    fn preview(&self, new: NewRun) -> Answer<'_, Preview>;
    fn create<'a>(&'a self, new: NewRun, by: &'a Backfiller) -> Answer<'a, Run>;
    fn act<'a>(&'a self, verb: Verb, id: RunId, by: &'a Backfiller) -> Answer<'a, Run>;
}

impl<DB: Backend> Engine for DataDrip<DB> {
    fn defaults(&self, backfill: &BackfillInfo) -> Defaults {
        self.defaults(backfill)
    }

    fn backfills(&self) -> Vec<&BackfillInfo> {
        self.backfills()
    }

    fn backfill(&self, name: &str) -> Option<&BackfillInfo> {
        self.backfill(name)
    }

    fn table(&self, backfill: &str) -> Option<String> {
        self.table_of(backfill)
    }

    fn summaries(&self) -> Answer<'_, Vec<BackfillSummary>> {
        Box::pin(self.backfill_summaries())
    }

    fn recent<'a>(&'a self, person: &'a str) -> Answer<'a, Vec<String>> {
        Box::pin(self.recent_backfills(person, RECENT))
    }

    fn people(&self) -> Answer<'_, Vec<Backfiller>> {
        Box::pin(self.backfillers(PEOPLE))
    }

    fn names_without_code(&self) -> Answer<'_, Vec<String>> {
        Box::pin(self.names_without_code())
    }

    fn status_counts(&self) -> Answer<'_, StatusCounts> {
        Box::pin(self.status_counts(LATELY))
    }

    fn choices<'a>(&'a self, backfill: &'a str, field: &'a str) -> Answer<'a, Option<Vec<Choice>>> {
        Box::pin(self.choices(backfill, field))
    }

    fn runs(&self, filter: RunFilter) -> Answer<'_, Vec<Run>> {
        Box::pin(async move {
            let mut query = self.runs().limit(filter.limit);
            if let Some(status) = filter.status {
                query = query.status(status);
            }
            if let Some(name) = &filter.backfill {
                query = query.backfill(name);
            }
            if let Some(names) = filter.among {
                query = query.backfills(names);
            }
            if let Some(person) = &filter.person {
                query = query.backfiller(person);
            }
            if let Some(id) = filter.before {
                query = query.before(id);
            }
            query.await
        })
    }

    fn run(&self, id: RunId) -> Answer<'_, Run> {
        Box::pin(self.run(id))
    }

    fn batches(&self, id: RunId, filter: BatchFilter) -> Answer<'_, Vec<RunBatch>> {
        Box::pin(async move {
            let query = self.batches(id).limit(filter.limit);
            let mut query = match filter.from {
                From::After(position) => query.after(position),
                From::Before(position) => query.before(position),
            };
            if let Some(status) = filter.status {
                query = query.status(status);
            }
            query.await
        })
    }

    fn events(&self, id: RunId) -> Answer<'_, Vec<RunEvent>> {
        Box::pin(self.events(id))
    }

    fn throughput<'a>(&'a self, run: &'a Run) -> Answer<'a, Option<Throughput>> {
        Box::pin(self.throughput(run))
    }

    fn durations(&self, id: RunId) -> Answer<'_, Vec<BatchDuration>> {
        Box::pin(self.batch_durations(id, DURATIONS))
    }

    fn failures(&self, id: RunId) -> Answer<'_, Failures> {
        Box::pin(self.failures(id))
    }

    fn marks(&self, runs: Vec<RunId>) -> Answer<'_, Marks> {
        Box::pin(async move { self.marks(&runs).await })
    }

    fn closing(&self) -> CancellationToken {
        self.core.signals.closing.clone()
    }

    fn logs(&self, id: RunId, filter: LogFilter) -> Answer<'_, Vec<LogLine>> {
        Box::pin(async move {
            let mut query = self.logs(id).limit(filter.limit);
            if let Some(batch) = filter.batch {
                query = query.batch(batch);
            }
            if let Some(level) = filter.level {
                query = query.level(level);
            }
            if let Some(after) = filter.after {
                query = query.after(after);
            }
            if let Some(before) = filter.before {
                query = query.before(before);
            }
            if filter.newest_first {
                query = query.newest_first();
            }
            query.await
        })
    }

    fn log_totals(&self, id: RunId) -> Answer<'_, LogTotals> {
        Box::pin(self.log_totals(id))
    }

    fn workers(&self) -> Answer<'_, Vec<WorkerInfo>> {
        Box::pin(self.workers())
    }

    fn check_options(&self, new: &NewRun) -> Vec<FieldError> {
        self.core.parse(&new.backfill, &new.options).ok().and_then(Result::err).unwrap_or_default()
    }

    fn preview(&self, new: NewRun) -> Answer<'_, Preview> {
        Box::pin(async move {
            let mut previewing = self.preview_raw(&new.backfill, new.options);
            if let Some(size) = new.batch_size {
                previewing = previewing.batch_size(size);
            }
            if let Some(limit) = new.limit {
                previewing = previewing.limit(limit);
            }
            previewing.await
        })
    }

    fn create<'a>(&'a self, new: NewRun, by: &'a Backfiller) -> Answer<'a, Run> {
        Box::pin(async move {
            let mut enqueue = self.enqueue_raw(&new.backfill, new.options).by(by);
            if let Some(size) = new.batch_size {
                enqueue = enqueue.batch_size(size);
            }
            if let Some(limit) = new.limit {
                enqueue = enqueue.limit(limit);
            }
            if let Some(sleep) = new.sleep {
                enqueue = enqueue.sleep(sleep);
            }
            if let Some(queue) = new.queue {
                enqueue = enqueue.queue(queue);
            }
            if let Some(at) = new.start_at {
                enqueue = enqueue.start_at(at);
            }
            enqueue.await
        })
    }

    fn act<'a>(&'a self, verb: Verb, id: RunId, by: &'a Backfiller) -> Answer<'a, Run> {
        Box::pin(async move {
            let action = match verb {
                Verb::Stop => self.stop(id),
                Verb::StopNow => self.stop(id).now(),
                Verb::Pause => self.pause(id),
                Verb::Resume => self.resume(id),
                Verb::RetryFailedBatches => self.retry_failed_batches(id),
                Verb::Delete => self.delete(id),
            };
            action.by(by).await
        })
    }
}
