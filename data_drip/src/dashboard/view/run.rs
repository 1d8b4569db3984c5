//! A run: how far it is, what it was asked for, what can be done to it.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::{ErrorView, Who, shown};
use crate::dashboard::format::{self, Moment};
use crate::dashboard::page::is_moving;
use crate::registry::BackfillInfo;
use crate::run::Run;
use crate::status::RunStatus;

#[derive(Debug, Serialize)]
pub(in crate::dashboard) struct RunView {
    id: i64,
    backfill: String,
    status: &'static str,
    who: Option<Who>,
    error: Option<ErrorView>,
    progress: ProgressView,
    counts: CountsView,
    batch_size: String,
    limit: Option<String>,
    sleep: Option<String>,
    timeout: Option<String>,
    max_attempts: u32,
    concurrency: Option<u32>,
    queue: String,
    start_at: Option<Moment>,
    created_at: Moment,
    started_at: Option<Moment>,
    finished_at: Option<Moment>,
    read_at: Moment,
    planned: bool,
    moving: bool,
    settled: bool,
    bar: Bar,
}

#[derive(Debug, Serialize)]
struct ProgressView {
    processed: String,
    total: Option<String>,
    /// Whether the total was counted; otherwise it is shown as an estimate.
    exact: bool,
    percent: Option<String>,
    throughput: Option<String>,
    /// Over all of the time that the run took.
    average: Option<String>,
    remaining: Option<String>,
    elapsed: Option<String>,
}

#[derive(Debug, Serialize)]
struct CountsView {
    batches: String,
    pending: String,
    running: String,
    completed: String,
    failed: String,
    stopped: String,
    any_failed: bool,
    any_stopped: bool,
}

impl RunView {
    pub(in crate::dashboard) fn new(run: &Run) -> Self {
        let progress = run.progress();
        let counts = &run.counts;
        Self {
            id: run.id.0,
            backfill: run.backfill.clone(),
            status: run.status.as_str(),
            who: run.backfiller.as_ref().map(Who::from),
            error: run.error.as_deref().map(|error| ErrorView::new(error, None)),
            progress: ProgressView {
                processed: format::number(progress.processed),
                total: progress.total.map(|total| format::number(total.count)),
                exact: progress.total.is_some_and(|total| total.exact),
                percent: progress.percent.map(format::percent),
                throughput: progress.throughput.map(format::rate),
                average: progress.elapsed.and_then(|elapsed| average(progress.processed, elapsed)),
                remaining: progress.remaining.map(format::span),
                elapsed: progress.elapsed.map(format::duration),
            },
            counts: CountsView {
                batches: format::number(counts.batches),
                pending: format::number(counts.pending),
                running: format::number(counts.running),
                completed: format::number(counts.completed),
                failed: format::number(counts.failed),
                stopped: format::number(counts.stopped),
                any_failed: counts.failed > 0,
                any_stopped: counts.stopped > 0,
            },
            batch_size: format::number(run.batch_size),
            limit: run.limit.map(format::number),
            sleep: (!run.sleep.is_zero()).then(|| format::duration(run.sleep)),
            timeout: run.timeout.map(format::duration),
            max_attempts: run.max_attempts,
            concurrency: run.concurrency,
            queue: run.queue.clone(),
            start_at: run.start_at.map(Moment::from),
            created_at: run.created_at.into(),
            started_at: run.started_at.map(Moment::from),
            finished_at: run.finished_at.map(Moment::from),
            read_at: run.read_at.into(),
            planned: run.planned,
            moving: is_moving(run.status),
            settled: run.status.is_settled(),
            bar: Bar::new(run),
        }
    }
}

/// Elements per second; of a run that was over within a second, shorter than a chart's slices, it would be made up.
fn average(processed: u64, elapsed: Duration) -> Option<String> {
    #[expect(clippy::cast_precision_loss, reason = "a rate to be shown")]
    let rate = processed as f64 / elapsed.as_secs_f64();
    (processed > 0 && elapsed >= Duration::from_secs(1)).then(|| format::rate(rate))
}

/// The bar of a run, in per mille of its width, without rounding up: done, and what stands in the way.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Bar {
    done: u32,
    /// Elements of failed batches, as far as planning saw them: none of them is done.
    failed: u32,
    /// Elements of batches in flight.
    flying: u32,
}

impl Bar {
    fn new(run: &Run) -> Self {
        let share = |percent: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
            let share = (percent * 10.0).clamp(0.0, 1000.0) as u32;
            share
        };
        let done = run.progress().percent.map_or(0, share);
        let batches = |count: u64| match run.total {
            #[expect(clippy::cast_precision_loss, reason = "a bar to be drawn")]
            Some(total) if total.count > 0 => {
                share((count.saturating_mul(run.batch_size)) as f64 / total.count as f64 * 100.0)
            }
            _ => 0,
        };
        let failed = batches(run.counts.failed).min(1000 - done);
        Self { done, failed, flying: batches(run.counts.running).min(1000 - done - failed) }
    }
}

/// The buttons that fit a status: those that the table of transitions has an arrow for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "one per button")]
pub(in crate::dashboard) struct Actions {
    pub(in crate::dashboard) stop: bool,
    pub(in crate::dashboard) pause: bool,
    pub(in crate::dashboard) resume: bool,
    pub(in crate::dashboard) retry_failed_batches: bool,
    pub(in crate::dashboard) delete: bool,
}

impl Actions {
    pub(in crate::dashboard) fn of(status: RunStatus) -> Self {
        Self {
            stop: status.may_become(RunStatus::Stopped),
            pause: status.may_become(RunStatus::Paused),
            resume: matches!(status, RunStatus::Paused | RunStatus::Stopped),
            retry_failed_batches: status == RunStatus::Failed,
            delete: status.is_settled(),
        }
    }
}

/// An option of a run, as it was given.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(in crate::dashboard) struct OptionView {
    name: String,
    label: String,
    /// `None` when it must not be shown.
    value: Option<String>,
}

/// The options of `run`. Only what the backfill's code says is not masked is shown: without the code, nothing is.
pub(in crate::dashboard) fn options(run: &Run, info: Option<&BackfillInfo>) -> Vec<OptionView> {
    let field = |name: &str| info.and_then(|info| info.fields.iter().find(|field| field.name == name));
    let view = |(name, value): (&String, &Value)| {
        let field = field(name);
        OptionView {
            name: name.clone(),
            label: field.map_or_else(|| name.clone(), |field| field.label.clone()),
            value: field.filter(|field| !field.masked).map(|_| shown(value)),
        }
    };
    // In the order of the form; what is no option any more comes last.
    let place = |name: &str| info.and_then(|info| info.fields.iter().position(|field| field.name == name));
    let mut options: Vec<_> = run.options.iter().collect();
    options.sort_by_key(|(name, _)| place(name).unwrap_or(usize::MAX));
    options.into_iter().map(view).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buttons_fit_the_status() {
        let words = |status| {
            let a = Actions::of(status);
            let buttons = [
                (a.stop, "stop"),
                (a.pause, "pause"),
                (a.resume, "resume"),
                (a.retry_failed_batches, "retry"),
                (a.delete, "delete"),
            ];
            buttons.iter().filter(|(there, _)| *there).map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(RunStatus::Pending), "stop pause");
        assert_eq!(words(RunStatus::Enqueued), "stop pause");
        assert_eq!(words(RunStatus::Running), "stop pause");
        assert_eq!(words(RunStatus::Paused), "stop resume");
        assert_eq!(words(RunStatus::Completed), "delete");
        assert_eq!(words(RunStatus::Failed), "retry delete");
        assert_eq!(words(RunStatus::Stopped), "resume delete");
    }
}
