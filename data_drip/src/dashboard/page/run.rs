//! One run.

use serde::Serialize;

use super::{Refresh, cut, is_moving};
use crate::dashboard::chart::{Bars, durations, throughput};
use crate::dashboard::engine::{BatchFilter, Engine, From, LogFilter};
use crate::dashboard::forecast;
use crate::dashboard::format;
use crate::dashboard::view::{self, Actions, BatchView, EventView, FailureView, LogView, OptionView, RunView};
use crate::error::Error;
use crate::logs::{LogId, LogLevel};
use crate::run::{BatchId, Run, RunId};
use crate::status::BatchStatus;
use crate::store::marks::Marked;

const BATCHES_PER_PAGE: u32 = 50;
/// Batches in flight that are listed; there are as many as slots.
const IN_FLIGHT: u32 = 24;
const LINES_PER_PAGE: u32 = 50;
/// Characters of an error in a list; the batch's own page has all of it.
const ERROR_IN_LIST: usize = 2_000;

/// What the address asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::dashboard) struct Query {
    pub(in crate::dashboard) id: RunId,
    pub(in crate::dashboard) batch_status: Option<BatchStatus>,
    pub(in crate::dashboard) from: From,
    /// Only lines this bad or worse.
    pub(in crate::dashboard) level: Option<LogLevel>,
    /// Only lines of the batch at this position.
    pub(in crate::dashboard) log_batch: Option<u64>,
    /// Only lines in front of this one.
    pub(in crate::dashboard) log_before: Option<LogId>,
    pub(in crate::dashboard) hold: bool,
}

#[derive(Serialize)]
pub(in crate::dashboard) struct Page {
    run: RunView,
    /// The least and the greatest time that may be left, in words.
    remaining: Option<String>,
    actions: Actions,
    options: Vec<OptionView>,
    has_code: bool,
    throughput: Option<Bars>,
    durations: Option<Bars>,
    failures: Vec<FailureView>,
    /// Whether every failed batch is among those.
    failures_complete: bool,
    in_flight: Vec<BatchView>,
    batches: Batches,
    events: Vec<EventView>,
    log: Log,
    refresh: Refresh,
    #[serde(skip)]
    pub(super) about: Vec<Marked>,
    #[serde(skip)]
    pub(super) moving: bool,
}

/// A page of batches, and the way to the others.
#[derive(Serialize)]
struct Batches {
    list: Vec<BatchView>,
    statuses: Vec<(&'static str, String)>,
    status: Option<&'static str>,
    newest_first: bool,
    /// As they stand in the address.
    after: Option<u64>,
    before: Option<u64>,
    /// Whether this is not the first page.
    later: bool,
    /// The last position of this page, when there are more.
    next: Option<u64>,
}

/// What user code said, the latest first.
#[derive(Serialize)]
struct Log {
    lines: Vec<LogView>,
    levels: Vec<&'static str>,
    level: Option<&'static str>,
    batch: Option<u64>,
    before: Option<i64>,
    /// The last line of this page, when there are older ones.
    older: Option<i64>,
    kept: String,
    dropped: Option<String>,
    /// Nothing was said at all.
    silent: bool,
}

impl Page {
    pub(super) async fn load(app: &dyn Engine, query: &Query) -> Result<Self, Error> {
        let run = app.run(query.id).await?;
        let info = app.backfill(&run.backfill);
        let measured = app.throughput(&run).await?;
        let failures = match run.counts.failed {
            0 => None,
            _ => Some(app.failures(run.id).await?),
        };
        let latest = if run.counts.completed > 0 { app.durations(run.id).await? } else { Vec::new() };
        let moving = is_moving(run.status) || run.counts.running > 0;
        let remaining = forecast::remaining(&run, measured.as_ref());
        Ok(Self {
            remaining: remaining.map(|(least, most)| format::span_between(least, most)),
            actions: Actions::of(run.status),
            options: view::options(&run, info),
            has_code: info.is_some(),
            throughput: measured.as_ref().and_then(|measured| throughput(&run, measured)),
            durations: durations(&latest),
            failures: failures.iter().flat_map(|failures| &failures.groups).map(FailureView::from).collect(),
            failures_complete: failures.is_none_or(|failures| failures.complete),
            in_flight: in_flight(app, &run).await?,
            batches: Batches::load(app, &run, query).await?,
            events: app.events(run.id).await?.into_iter().map(EventView::from).collect(),
            log: Log::load(app, &run, query).await?,
            refresh: Refresh::when(moving, query.hold),
            run: RunView::new(&run),
            about: vec![Marked::Run(run.id)],
            moving,
        })
    }
}

async fn in_flight(app: &dyn Engine, run: &Run) -> Result<Vec<BatchView>, Error> {
    if run.counts.running == 0 {
        return Ok(Vec::new());
    }
    let filter = BatchFilter { status: Some(BatchStatus::Running), from: From::After(0), limit: IN_FLIGHT };
    let batches = app.batches(run.id, filter).await?;
    Ok(batches.iter().map(|batch| BatchView::running(batch, run.read_at)).collect())
}

impl Batches {
    async fn load(app: &dyn Engine, run: &Run, query: &Query) -> Result<Self, Error> {
        let filter = BatchFilter { status: query.batch_status, from: query.from, limit: BATCHES_PER_PAGE + 1 };
        let mut batches = app.batches(run.id, filter).await?;
        let next = cut(&mut batches, BATCHES_PER_PAGE).then(|| batches.last().map(|batch| batch.position)).flatten();
        let counts = &run.counts;
        let statuses = [
            (BatchStatus::Pending, counts.pending),
            (BatchStatus::Running, counts.running),
            (BatchStatus::Completed, counts.completed),
            (BatchStatus::Failed, counts.failed),
            (BatchStatus::Stopped, counts.stopped),
        ];
        let (after, before) = match query.from {
            From::After(position) => (Some(position).filter(|&position| position > 0), None),
            From::Before(position) => (None, Some(position)),
        };
        Ok(Self {
            list: batches.iter().map(|batch| BatchView::new(batch, Some(ERROR_IN_LIST))).collect(),
            statuses: statuses.iter().map(|(status, count)| (status.as_str(), format::number(*count))).collect(),
            status: query.batch_status.map(BatchStatus::as_str),
            newest_first: before.is_some(),
            later: after.is_some() || before.is_some_and(|position| position < NEWEST),
            after,
            before,
            next,
        })
    }
}

impl Log {
    async fn load(app: &dyn Engine, run: &Run, query: &Query) -> Result<Self, Error> {
        let totals = app.log_totals(run.id).await?;
        let batch = match query.log_batch {
            // A batch that is not there has said nothing.
            Some(position) => Some(app.batch_at(run.id, position).await?.map_or(BatchId(0), |batch| batch.id)),
            None => None,
        };
        let filter = LogFilter {
            batch,
            level: query.level,
            before: query.log_before,
            newest_first: true,
            limit: LINES_PER_PAGE + 1,
            ..LogFilter::default()
        };
        let mut lines = if totals.kept > 0 { app.logs(run.id, filter).await? } else { Vec::new() };
        let older = cut(&mut lines, LINES_PER_PAGE).then(|| lines.last().map(|line| line.id.0)).flatten();
        Ok(Self {
            lines: lines.iter().map(LogView::from).collect(),
            levels: LogLevel::ALL.iter().map(|level| level.as_str()).collect(),
            level: query.level.map(LogLevel::as_str),
            batch: query.log_batch,
            before: query.log_before.map(|id| id.0),
            older,
            kept: format::number(totals.kept),
            dropped: (totals.dropped > 0).then(|| format::number(totals.dropped)),
            silent: totals.kept + totals.dropped == 0,
        })
    }
}

/// In front of this position are all of them.
pub(in crate::dashboard) const NEWEST: u64 = i64::MAX as u64;
