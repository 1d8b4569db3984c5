//! A backfill: what it does and what it takes.

use std::time::Duration;

use serde::Serialize;

use super::{SHORT, shown};
use crate::api::{BackfillSummary, Defaults};
use crate::backfill::Mode;
use crate::dashboard::form::must_be_given;
use crate::dashboard::format::{self, Moment};
use crate::options::{DEFAULT_QUEUE, Field, Kind};
use crate::registry::BackfillInfo;
use crate::run::RunId;

#[derive(Debug, Serialize)]
pub(in crate::dashboard) struct BackfillView {
    name: &'static str,
    description: &'static str,
    /// What a search looks at.
    text: String,
    /// Whether a search leaves it out.
    hidden: bool,
    module: &'static str,
    type_name: &'static str,
    /// How it goes through the rows, and the function that its author wrote.
    mode: &'static str,
    function: &'static str,
    database: &'static str,
    table: Option<String>,
    runs: Option<RunsView>,
    fields: Vec<FieldSummary>,
    batch_size: String,
    sleep: Option<String>,
    timeout: Option<String>,
    queue: &'static str,
    concurrency: Option<u32>,
    max_attempts: u32,
}

/// A backfill's runs in a line.
#[derive(Debug, Serialize)]
struct RunsView {
    count: String,
    last: RunId,
    status: &'static str,
    /// When it was settled, or else asked for.
    at: Moment,
}

impl From<&BackfillSummary> for RunsView {
    fn from(summary: &BackfillSummary) -> Self {
        Self {
            count: format::number(summary.runs),
            last: summary.last,
            status: summary.status.as_str(),
            at: summary.finished_at.unwrap_or(summary.created_at).into(),
        }
    }
}

/// A backfill that has runs but no code here.
#[derive(Debug, Serialize)]
pub(in crate::dashboard) struct GoneView {
    name: String,
    /// The name as it is shown.
    shown: String,
    /// Whether a search leaves it out.
    hidden: bool,
    table: Option<String>,
    runs: RunsView,
}

impl From<&BackfillSummary> for GoneView {
    fn from(summary: &BackfillSummary) -> Self {
        Self {
            name: summary.backfill.clone(),
            shown: format::shortened(&summary.backfill, SHORT).0.into_owned(),
            hidden: false,
            table: summary.table.as_deref().map(|table| format::visible(table).into_owned()),
            runs: summary.into(),
        }
    }
}

impl GoneView {
    /// Leaves it out where its name does not hold `wanted`, which is in lower case; whether it stays.
    pub(in crate::dashboard) fn search(&mut self, wanted: &str) -> bool {
        self.hidden = !self.shown.to_lowercase().contains(wanted);
        !self.hidden
    }
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
    /// `table` is what its code says without options; else the last run says where it was.
    pub(in crate::dashboard) fn new(
        info: &BackfillInfo,
        defaults: Defaults,
        table: Option<String>,
        summary: Option<&BackfillSummary>,
    ) -> Self {
        let settings = &info.settings;
        let millis = |ms: u64| format::duration(Duration::from_millis(ms));
        Self {
            name: info.name,
            description: info.description,
            text: [info.name, info.description, info.module].join("\n"),
            hidden: false,
            module: info.module,
            type_name: info.type_name,
            mode: match info.mode {
                Mode::Batch => "batch by batch",
                Mode::Element => "row by row",
            },
            function: match info.mode {
                Mode::Batch => "process_batch",
                Mode::Element => "process_element",
            },
            database: info.database,
            table: table.or_else(|| summary?.table.clone()).map(|table| format::visible(&table).into_owned()),
            runs: summary.map(RunsView::from),
            fields: info.fields.iter().map(FieldSummary::from).collect(),
            batch_size: format::number(defaults.batch_size),
            sleep: (!defaults.sleep.is_zero()).then(|| format::duration(defaults.sleep)),
            timeout: settings.timeout_ms.map(millis),
            queue: settings.queue.unwrap_or(DEFAULT_QUEUE),
            concurrency: settings.concurrency,
            max_attempts: settings.max_attempts,
        }
    }
}

impl BackfillView {
    /// Leaves it out where nothing of it holds `wanted`, which is in lower case; whether it stays.
    pub(in crate::dashboard) fn search(&mut self, wanted: &str) -> bool {
        self.hidden = !self.text.to_lowercase().contains(wanted);
        !self.hidden
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
            required: must_be_given(field),
            masked: field.masked,
            default: field.default.as_ref().filter(|_| !field.masked).map(shown),
            help: field.help,
        }
    }
}
