//! Runs and batches as the rest of the crate, the hooks and the dashboard see them: plain values, no I/O.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::Report;
use crate::key::KeyRange;
use crate::options::Values;
use crate::status::{BatchStatus, RunStatus};

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident),*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// Names a run.
    RunId,
    /// Names a batch, over all runs.
    BatchId
}

/// A person who starts, stops or watches runs: id and name as the host knows them, copied into the run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Backfiller {
    /// The host's identifier, as text.
    pub id: String,
    /// What the dashboard shows.
    pub name: String,
}

impl Backfiller {
    /// A person with the host's `id` and a `name` to show.
    #[expect(clippy::needless_pass_by_value, reason = "ids are numbers or text: `new(7, ..)` reads best")]
    pub fn new(id: impl ToString, name: impl Into<String>) -> Self {
        Self { id: id.to_string(), name: name.into() }
    }
}

/// How many elements a run will process, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Elements.
    pub count: u64,
    /// Whether it was counted; otherwise it is an estimate and has to be shown as one.
    pub exact: bool,
}

/// What has happened to a run's batches and elements so far, summed over committed batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Elements processed by completed batches.
    pub processed: u64,
    /// Batches planned so far.
    pub batches: u64,
    /// Batches waiting for a worker.
    pub pending: u64,
    /// Batches in a worker's hands.
    pub running: u64,
    /// Batches committed.
    pub completed: u64,
    /// Batches given up.
    pub failed: u64,
    /// Batches not started because the run stopped.
    pub stopped: u64,
}

/// One run of a backfill: what was asked for, by whom, and how far it is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// The backfill's name.
    pub backfill: String,
    /// The options, canonical.
    pub options: Values,
    /// Elements per batch, at most.
    pub batch_size: u64,
    /// Pause of a slot after each batch.
    pub sleep: Duration,
    /// Never process more elements than this.
    pub limit: Option<u64>,
    /// Only workers of this queue take it, and those that take every queue.
    pub queue: String,
    /// How many of its batches may be in flight at once, over all processes; on PostgreSQL, MariaDB and MySQL never more than
    /// 1,000.
    pub concurrency: Option<u32>,
    /// Attempts before a failing batch is given up.
    pub max_attempts: u32,
    /// How long one attempt at a batch may take.
    pub timeout: Option<Duration>,
    /// Where it stands.
    pub status: RunStatus,
    /// Who started it.
    pub backfiller: Option<Backfiller>,
    /// Why planning failed, or why the run was refused; [`report`](Run::report) takes it apart.
    pub error: Option<String>,
    /// Not before this time.
    pub start_at: Option<DateTime<Utc>>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When a worker first took it.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was settled.
    pub finished_at: Option<DateTime<Utc>>,
    /// Whether every batch is planned.
    pub planned: bool,
    /// Elements in all; `None` before the first count.
    pub total: Option<Total>,
    /// What has happened so far.
    pub counts: Counts,
    /// Elements per second over the last minute; `None` when nothing was committed in it.
    pub throughput: Option<f64>,
    /// The database's clock when this was read.
    pub read_at: DateTime<Utc>,
}

/// One batch of a run: a range of keys and what became of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunBatch {
    /// Its number, over all runs.
    pub id: BatchId,
    /// The run it belongs to.
    pub run_id: RunId,
    /// Its place in the run, from 1.
    pub position: u64,
    /// The keys it covers.
    pub range: KeyRange,
    /// Elements that planning saw in the range.
    pub planned_size: u64,
    /// Elements processed; `None` until it is completed.
    pub processed: Option<u64>,
    /// Where it stands.
    pub status: BatchStatus,
    /// Attempts that ended with an error of user code.
    pub attempts: u32,
    /// Times that the worker which held it died.
    pub losses: u32,
    /// The worker that holds or last held it.
    pub worker: Option<String>,
    /// The last error, with its chain of causes and the place of a panic; [`report`](RunBatch::report) takes it apart.
    pub error: Option<String>,
    /// Not before this time; `None` when nothing delays it.
    pub due_at: Option<DateTime<Utc>>,
    /// When the last attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was committed or given up.
    pub finished_at: Option<DateTime<Utc>>,
}

/// A process that executes batches, or did.
///
/// One that ends in good order leaves nothing behind. One that dies is shown as dead, its batches are taken over, and a day
/// later it is forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WorkerInfo {
    /// Its incarnation: another one each time that a process starts.
    pub id: String,
    /// The machine.
    pub host: String,
    /// The process there.
    pub pid: u32,
    /// The version of this crate.
    pub version: String,
    /// Batches that it works on at once.
    pub slots: u64,
    /// Queues whose runs it takes; empty for all.
    pub queues: Vec<String>,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it was last heard of.
    pub beat_at: DateTime<Utc>,
    /// Until when it is taken to be alive without another word.
    pub expires_at: DateTime<Utc>,
    /// The database's clock when this was read.
    pub read_at: DateTime<Utc>,
    /// Whether its lease holds. Others take over what it has only when it stays silent besides.
    pub alive: bool,
    /// The batches in its hands, the longest first.
    pub claims: Vec<WorkerClaim>,
    /// The runs that it plans.
    pub plans: Vec<WorkerPlan>,
}

/// A batch in a worker's hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WorkerClaim {
    /// The run.
    pub run_id: RunId,
    /// The run's backfill.
    pub backfill: String,
    /// The batch.
    pub batch_id: BatchId,
    /// The batch's place in the run.
    pub position: u64,
    /// When it was claimed.
    pub since: DateTime<Utc>,
}

/// A run that a worker plans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WorkerPlan {
    /// The run.
    pub run_id: RunId,
    /// Its backfill.
    pub backfill: String,
}

/// How far a run is, ready to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Progress {
    /// Elements processed.
    pub processed: u64,
    /// Elements in all, as far as known.
    pub total: Option<Total>,
    /// `0.0 ..= 100.0`; `None` without a total. An estimate never shows 100 before the run is completed.
    pub percent: Option<f64>,
    /// Elements per second over the last minute.
    pub throughput: Option<f64>,
    /// Time left at that rate; `None` when there is no rate, no total, or nothing left.
    pub remaining: Option<Duration>,
    /// Since the first worker took it, until it was settled.
    pub elapsed: Option<Duration>,
}

impl RunBatch {
    /// The error taken apart: message, causes, the place of a panic.
    pub fn report(&self) -> Option<Report> {
        self.error.as_deref().map(Report::read)
    }
}

impl Run {
    /// The error taken apart: message, causes, the place of a panic.
    pub fn report(&self) -> Option<Report> {
        self.error.as_deref().map(Report::read)
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let processed = self.counts.processed;
        let percent = self.total.and_then(|total| percent(processed, total, self.status));
        let left = self.total.map(|total| total.count.saturating_sub(processed));
        let active = matches!(self.status, RunStatus::Running | RunStatus::Enqueued);
        let remaining = match (left, self.throughput) {
            (Some(left), Some(rate)) if active && left > 0 && rate > 0.0 =>
            {
                #[expect(clippy::cast_precision_loss, reason = "a duration to be shown")]
                Duration::try_from_secs_f64(left as f64 / rate).ok()
            }
            _ => None,
        };
        let elapsed = self.started_at.and_then(|from| (self.finished_at.unwrap_or(self.read_at) - from).to_std().ok());
        let throughput = if active { self.throughput } else { None };
        Progress { processed, total: self.total, percent, throughput, remaining, elapsed }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a percentage to be shown")]
fn percent(processed: u64, total: Total, status: RunStatus) -> Option<f64> {
    if status == RunStatus::Completed {
        return Some(100.0);
    }
    if total.count == 0 {
        return None;
    }
    let percent = processed as f64 / total.count as f64 * 100.0;
    Some(percent.min(if total.exact { 100.0 } else { 99.0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap_or_default()
    }

    /// Ten minutes in, 250 elements done at 5 a second.
    fn run(status: RunStatus, total: impl Into<Option<Total>>) -> Run {
        Run {
            id: RunId(1),
            backfill: "x".into(),
            options: crate::options::Values::new(),
            batch_size: 10,
            sleep: Duration::ZERO,
            limit: None,
            queue: "default".into(),
            concurrency: None,
            max_attempts: 1,
            timeout: None,
            status,
            backfiller: None,
            error: None,
            start_at: None,
            created_at: at(0),
            started_at: Some(at(0)),
            finished_at: status.is_settled().then(|| at(500)),
            planned: false,
            total: total.into(),
            counts: Counts { processed: 250, ..Counts::default() },
            throughput: Some(5.0),
            read_at: at(600),
        }
    }

    fn exact(count: u64) -> Total {
        Total { count, exact: true }
    }

    fn estimated(count: u64) -> Total {
        Total { count, exact: false }
    }

    #[test]
    fn a_running_run_shows_share_rate_and_what_is_left() {
        let progress = run(RunStatus::Running, exact(1_000)).progress();
        assert_eq!(progress.percent, Some(25.0));
        assert_eq!(progress.throughput, Some(5.0));
        assert_eq!(progress.remaining, Some(Duration::from_secs(150)));
        assert_eq!(progress.elapsed, Some(Duration::from_mins(10)));
    }

    #[test]
    fn an_estimate_never_shows_a_hundred_percent_before_the_end() {
        assert_eq!(run(RunStatus::Running, estimated(250)).progress().percent, Some(99.0));
        assert_eq!(run(RunStatus::Running, estimated(100)).progress().percent, Some(99.0));
        assert_eq!(run(RunStatus::Running, exact(250)).progress().percent, Some(100.0));
        assert_eq!(run(RunStatus::Completed, estimated(1_000)).progress().percent, Some(100.0));
    }

    #[test]
    fn without_a_total_there_is_neither_share_nor_time_left() {
        for total in [None, Some(estimated(0))] {
            let progress = run(RunStatus::Running, total).progress();
            assert_eq!((progress.percent, progress.remaining), (None, None));
        }
    }

    #[test]
    fn only_an_active_run_has_a_rate() {
        for status in [RunStatus::Pending, RunStatus::Paused, RunStatus::Stopped, RunStatus::Failed] {
            let progress = run(status, exact(1_000)).progress();
            assert_eq!((progress.throughput, progress.remaining), (None, None), "{status}");
        }
    }

    #[test]
    fn a_settled_run_took_the_time_until_it_was_settled_and_one_not_begun_took_none() {
        assert_eq!(run(RunStatus::Failed, exact(1_000)).progress().elapsed, Some(Duration::from_secs(500)));
        let mut early = run(RunStatus::Pending, None::<Total>);
        early.started_at = None;
        assert_eq!(early.progress().elapsed, None);
        // A clock that jumped back shows no negative time.
        early.started_at = Some(at(10_000));
        assert_eq!(early.progress().elapsed, None);
    }
}
