//! What the API says of things. Nothing secret: masked options are named and not told.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::api::{BackfillSummary, Defaults, FailureGroup, Failures};
use crate::backfill::Mode;
use crate::dashboard::view::took;
use crate::error::Report;
use crate::key::Key;
use crate::options::{Choice, DEFAULT_QUEUE, Field, Kind, Values};
use crate::registry::BackfillInfo;
use crate::run::{Backfiller, Counts, Progress, Run, RunBatch, RunId, Total};
use crate::status::RunStatus;
use crate::store::runs::RunEvent;

/// A page of a list; `next` goes into the next request, where there is more.
#[derive(Debug, Serialize)]
pub(super) struct Items<T, C = i64> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<C>,
}

/// Cuts a page that was read with one item too many.
pub(super) fn items<S, T, C>(
    mut found: Vec<S>,
    limit: u32,
    cursor: impl Fn(&S) -> C,
    view: impl Fn(S) -> T,
) -> Items<T, C> {
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(cursor);
    Items { items: found.into_iter().map(view).collect(), next }
}

#[derive(Debug, Serialize)]
pub(super) struct BackfillView {
    name: &'static str,
    description: &'static str,
    type_name: &'static str,
    module: &'static str,
    database: &'static str,
    /// As its code names it where that needs no options, else that of its last planned run.
    table: Option<String>,
    mode: &'static str,
    options: Vec<Field>,
    batch_size: u64,
    sleep_ms: u64,
    timeout_ms: Option<u64>,
    queue: &'static str,
    concurrency: Option<u32>,
    max_attempts: u32,
    runs: u64,
    last_run: Option<LastRun>,
}

#[derive(Debug, Serialize)]
struct LastRun {
    id: RunId,
    status: RunStatus,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

impl BackfillView {
    pub(super) fn new(
        info: &BackfillInfo,
        defaults: Defaults,
        table: Option<String>,
        summaries: &[BackfillSummary],
    ) -> Self {
        let summary = summaries.iter().find(|summary| summary.backfill == info.name);
        Self {
            name: info.name,
            description: info.description,
            type_name: info.type_name,
            module: info.module,
            database: info.database,
            table: table.or_else(|| summary?.table.clone()),
            mode: match info.mode {
                Mode::Batch => "batch",
                Mode::Element => "element",
            },
            options: info.fields.iter().cloned().map(shown).collect(),
            batch_size: defaults.batch_size,
            sleep_ms: millis(defaults.sleep),
            timeout_ms: info.settings.timeout_ms,
            queue: info.settings.queue.unwrap_or(DEFAULT_QUEUE),
            concurrency: info.settings.concurrency,
            max_attempts: info.settings.max_attempts,
            runs: summary.map_or(0, |summary| summary.runs),
            last_run: summary.map(|summary| LastRun {
                id: summary.last,
                status: summary.status,
                created_at: summary.created_at,
                finished_at: summary.finished_at,
            }),
        }
    }
}

fn shown(mut field: Field) -> Field {
    if field.masked {
        field.default = None;
    }
    field
}

/// What can be chosen for an option.
#[derive(Debug, Serialize)]
pub(super) struct ChoicesView {
    /// Whether nothing else is taken.
    only_these: bool,
    items: Vec<Choice>,
}

impl ChoicesView {
    /// `offered` comes from the database; what code lists is in the field itself.
    pub(super) fn new(field: &Field, offered: Option<Vec<Choice>>) -> Self {
        let listed = match &field.kind {
            Kind::Select { choices } | Kind::MultiSelect { choices } => Some(choices.clone()),
            _ => None,
        };
        let items = offered.or(listed);
        Self { only_these: items.is_some(), items: items.unwrap_or_default() }
    }
}

pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Debug, Serialize)]
pub(super) struct RunView {
    id: RunId,
    backfill: String,
    options: Values,
    /// Options that are not told: masked, or of a backfill that has no code here.
    masked_options: Vec<String>,
    status: RunStatus,
    batch_size: u64,
    sleep_ms: u64,
    limit: Option<u64>,
    queue: String,
    concurrency: Option<u32>,
    max_attempts: u32,
    timeout_ms: Option<u64>,
    backfiller: Option<Backfiller>,
    error: Option<Report>,
    start_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    planned: bool,
    counts: Counts,
    progress: ProgressView,
    read_at: DateTime<Utc>,
}

#[derive(Debug, Serialize)]
struct ProgressView {
    processed: u64,
    total: Option<Total>,
    percent: Option<f64>,
    /// Elements per second.
    throughput: Option<f64>,
    remaining_ms: Option<u64>,
    elapsed_ms: Option<u64>,
}

impl RunView {
    pub(super) fn new(run: Run, info: Option<&BackfillInfo>) -> Self {
        let Progress { processed, total, percent, throughput, remaining, elapsed } = run.progress();
        let error = run.report();
        let told = |name: &String, _: &Value| {
            info.is_some_and(|info| info.fields.iter().any(|field| field.name == name && !field.masked))
        };
        let (told, masked): (Vec<_>, Vec<_>) = run.options.into_iter().partition(|(name, value)| told(name, value));
        Self {
            id: run.id,
            backfill: run.backfill,
            options: told.into_iter().collect(),
            masked_options: masked.into_iter().map(|(name, _)| name).collect(),
            status: run.status,
            batch_size: run.batch_size,
            sleep_ms: millis(run.sleep),
            limit: run.limit,
            queue: run.queue,
            concurrency: run.concurrency,
            max_attempts: run.max_attempts,
            timeout_ms: run.timeout.map(millis),
            backfiller: run.backfiller,
            error,
            start_at: run.start_at,
            created_at: run.created_at,
            started_at: run.started_at,
            finished_at: run.finished_at,
            planned: run.planned,
            counts: run.counts,
            progress: ProgressView {
                processed,
                total,
                percent,
                throughput,
                remaining_ms: remaining.map(millis),
                elapsed_ms: elapsed.map(millis),
            },
            read_at: run.read_at,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct BatchView {
    id: i64,
    run_id: RunId,
    position: u64,
    /// The keys behind this one …
    after_key: Option<Vec<String>>,
    /// … up to this one, a value for each column.
    upto_key: Vec<String>,
    planned_size: u64,
    processed: Option<u64>,
    status: &'static str,
    attempts: u32,
    losses: u32,
    worker: Option<String>,
    error: Option<Report>,
    due_at: Option<DateTime<Utc>>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    took_ms: Option<u64>,
}

impl From<RunBatch> for BatchView {
    fn from(batch: RunBatch) -> Self {
        let key = |key: &Key| key.values().map(str::to_owned).collect();
        let took = took(&batch);
        Self {
            id: batch.id.0,
            run_id: batch.run_id,
            position: batch.position,
            after_key: batch.range.after.as_ref().map(key),
            upto_key: key(&batch.range.upto),
            planned_size: batch.planned_size,
            processed: batch.processed,
            status: batch.status.as_str(),
            attempts: batch.attempts,
            losses: batch.losses,
            error: batch.report(),
            worker: batch.worker,
            due_at: batch.due_at,
            started_at: batch.started_at,
            finished_at: batch.finished_at,
            took_ms: took.map(millis),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct EventView {
    at: DateTime<Utc>,
    action: String,
    backfiller: Option<Backfiller>,
    detail: Option<String>,
}

impl From<RunEvent> for EventView {
    fn from(RunEvent { at, action, backfiller, detail }: RunEvent) -> Self {
        Self { at, action, backfiller, detail }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct FailuresView {
    groups: Vec<GroupView>,
    /// Whether every failed batch was looked at.
    complete: bool,
}

#[derive(Debug, Serialize)]
struct GroupView {
    message: String,
    batches: u64,
    first_position: u64,
}

impl From<Failures> for FailuresView {
    fn from(Failures { groups, complete }: Failures) -> Self {
        let group = |FailureGroup { message, batches, first }| GroupView { message, batches, first_position: first };
        Self { groups: groups.into_iter().map(group).collect(), complete }
    }
}
