//! Runs, batches and backfills as the templates get them: words and numbers ready to be printed, nothing secret.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::format::{self, Moment};
use crate::api::Defaults;
use crate::backfill::Mode;
use crate::options::{Field, Kind};
use crate::registry::BackfillInfo;
use crate::run::{Backfiller, Run, RunBatch};
use crate::status::RunStatus;
use crate::store::runs::RunEvent;

/// Characters of a name, a key or an option's value in a table or list.
const SHORT: usize = 120;
/// Characters of one option's value on a run's page.
const VALUE: usize = 2_000;

#[derive(Debug, Serialize)]
pub(super) struct BackfillView {
    name: &'static str,
    description: &'static str,
    type_name: &'static str,
    /// The function that its author wrote.
    function: &'static str,
    fields: Vec<FieldSummary>,
    batch_size: String,
    sleep: Option<String>,
    timeout: Option<String>,
    queue: Option<&'static str>,
    concurrency: Option<u32>,
    max_attempts: u32,
}

/// An option in the list of backfills.
#[derive(Debug, Serialize)]
struct FieldSummary {
    name: &'static str,
    kind: &'static str,
    required: bool,
    masked: bool,
    default: Option<String>,
    help: &'static str,
}

impl BackfillView {
    pub(super) fn new(info: &BackfillInfo, defaults: Defaults) -> Self {
        let settings = &info.settings;
        let millis = |ms: u64| format::duration(Duration::from_millis(ms));
        Self {
            name: info.name,
            description: info.description,
            type_name: info.type_name,
            function: match info.mode {
                Mode::Batch => "process_batch",
                Mode::Element => "process_element",
            },
            fields: info.fields.iter().map(FieldSummary::from).collect(),
            batch_size: format::number(defaults.batch_size),
            sleep: (!defaults.sleep.is_zero()).then(|| format::duration(defaults.sleep)),
            timeout: settings.timeout_ms.map(millis),
            queue: settings.queue,
            concurrency: settings.concurrency,
            max_attempts: settings.max_attempts,
        }
    }
}

impl From<&Field> for FieldSummary {
    fn from(field: &Field) -> Self {
        Self {
            name: field.name,
            kind: match field.kind {
                Kind::Text => "text",
                Kind::Integer => "whole number",
                Kind::Float => "number",
                Kind::Decimal => "decimal",
                Kind::Boolean => "yes or no",
                Kind::Date => "date",
                Kind::Time => "time",
                Kind::NaiveDateTime => "date and time",
                Kind::DateTime => "date and time, UTC",
                Kind::Select { .. } => "one of a list",
                Kind::MultiSelect { .. } => "any of a list",
            },
            required: field.required,
            masked: field.masked,
            default: field.default.as_ref().filter(|_| !field.masked).map(shown),
            help: field.help,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct RunView {
    id: i64,
    backfill: String,
    status: &'static str,
    who: Option<Who>,
    error: Option<String>,
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
}

#[derive(Debug, Serialize)]
struct Who {
    id: String,
    name: String,
}

impl From<&Backfiller> for Who {
    fn from(who: &Backfiller) -> Self {
        Self { id: format::visible(&who.id).into_owned(), name: format::shortened(&who.name, SHORT).0.into_owned() }
    }
}

#[derive(Debug, Serialize)]
struct ProgressView {
    processed: String,
    total: Option<String>,
    /// Whether the total was counted; otherwise it is shown as an estimate.
    exact: bool,
    percent: Option<String>,
    throughput: Option<String>,
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
    pub(super) fn new(run: &Run) -> Self {
        let progress = run.progress();
        let counts = &run.counts;
        Self {
            id: run.id.0,
            backfill: run.backfill.clone(),
            status: run.status.as_str(),
            who: run.backfiller.as_ref().map(Who::from),
            error: run.error.as_deref().map(|error| format::visible(error).into_owned()),
            progress: ProgressView {
                processed: format::number(progress.processed),
                total: progress.total.map(|total| format::number(total.count)),
                exact: progress.total.is_some_and(|total| total.exact),
                percent: progress.percent.map(format::percent),
                throughput: progress.throughput.map(format::rate),
                remaining: progress.remaining.map(format::duration),
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
        }
    }
}

/// The buttons that fit a status: those that the table of transitions has an arrow for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "one per button")]
pub(super) struct Actions {
    pub(super) stop: bool,
    pub(super) pause: bool,
    pub(super) resume: bool,
    pub(super) retry_failed_batches: bool,
    pub(super) delete: bool,
}

impl Actions {
    pub(super) fn of(status: RunStatus) -> Self {
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
pub(super) struct OptionView {
    name: String,
    label: String,
    /// `None` when it must not be shown.
    value: Option<String>,
}

/// The options of `run`. Only what the backfill's code says is not masked is shown: without the code, nothing is.
pub(super) fn options(run: &Run, info: Option<&BackfillInfo>) -> Vec<OptionView> {
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

/// A JSON value as a person would write it.
pub(super) fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "–".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::String(text) if text.is_empty() => "(empty)".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "(none)".to_owned(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    format::shortened(&text, VALUE).0.into_owned()
}

#[derive(Debug, Serialize)]
pub(super) struct BatchView {
    position: u64,
    keys: String,
    status: &'static str,
    planned_size: String,
    processed: Option<String>,
    attempts: u32,
    losses: u32,
    worker: Option<String>,
    due_at: Moment,
    started_at: Option<Moment>,
    finished_at: Option<Moment>,
    took: Option<String>,
    error: Option<ErrorView>,
}

/// An error with its first line for the fold, and whether there is more than is here.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct ErrorView {
    summary: String,
    text: String,
    cut: bool,
}

impl ErrorView {
    fn new(error: &str, limit: Option<usize>) -> Self {
        let (text, cut) = format::shortened(error, limit.unwrap_or(usize::MAX));
        let first = error.lines().find(|line| !line.trim().is_empty()).unwrap_or("(no message)");
        Self { summary: format::shortened(first, SHORT).0.into_owned(), text: text.into_owned(), cut }
    }
}

impl BatchView {
    /// `error_limit` is how many characters of its error are sent; `None` for all.
    pub(super) fn new(batch: &RunBatch, error_limit: Option<usize>) -> Self {
        let took = batch.started_at.zip(batch.finished_at).and_then(|(from, to)| (to - from).to_std().ok());
        let keys = batch.range.to_string();
        Self {
            position: batch.position,
            keys: match error_limit {
                Some(_) => format::shortened(&keys, SHORT).0.into_owned(),
                None => format::visible(&keys).into_owned(),
            },
            status: batch.status.as_str(),
            planned_size: format::number(batch.planned_size),
            processed: batch.processed.map(format::number),
            attempts: batch.attempts,
            losses: batch.losses,
            worker: batch.worker.clone(),
            due_at: batch.due_at.into(),
            started_at: batch.started_at.map(Moment::from),
            finished_at: batch.finished_at.map(Moment::from),
            took: took.map(format::duration),
            error: batch.error.as_deref().map(|error| ErrorView::new(error, error_limit)),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct EventView {
    at: Moment,
    action: String,
    who: Option<Who>,
    detail: Option<String>,
}

impl From<RunEvent> for EventView {
    fn from(event: RunEvent) -> Self {
        Self {
            at: event.at.into(),
            action: event.action,
            who: event.backfiller.as_ref().map(Who::from),
            detail: event.detail.map(|detail| format::shortened(&detail, VALUE).0.into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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

    #[test]
    fn values_read_as_people_write_them() {
        let cases = [
            (json!(null), "–"),
            (json!(true), "yes"),
            (json!(""), "(empty)"),
            (json!(["a", "b"]), "a, b"),
            (json!([]), "(none)"),
            (json!(1.5), "1.5"),
        ];
        for (value, text) in cases {
            assert_eq!(shown(&value), text);
        }
        assert_eq!(shown(&json!("x".repeat(1_000_000))).chars().count(), VALUE + 1);
    }

    #[test]
    fn a_long_error_is_folded_to_its_first_line() {
        let error = ErrorView::new("\n  row 7: no such zone\ncaused by: x", Some(12));
        assert_eq!(error.summary, "  row 7: no such zone");
        assert_eq!((error.text.chars().count(), error.cut), (13, true));
        assert!(!ErrorView::new(&"x".repeat(1_000_000), None).cut);
    }
}
