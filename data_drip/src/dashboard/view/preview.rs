//! What a run would do, in numbers and words.

use serde::Serialize;

use super::SHORT;
use crate::api::{Preview, PreviewStatement, RowCount};
use crate::dashboard::format;
use crate::run::RunId;

#[derive(Debug, Serialize)]
pub(in crate::dashboard) struct PreviewView {
    table: String,
    key: String,
    rows: String,
    /// The rows that it would process, when a limit makes them fewer.
    to_process: Option<String>,
    nothing: bool,
    batches: String,
    batch_size: String,
    first_key: Option<String>,
    last_key: Option<String>,
    columns: Vec<String>,
    columns_left_out: usize,
    sample: Vec<Vec<Option<String>>>,
    /// Whether it was looked for some, and in time.
    sample_looked: bool,
    scope: StatementView,
    batch: StatementView,
    active_run: Option<RunId>,
}

#[derive(Debug, Serialize)]
struct StatementView {
    sql: String,
    /// Whether the database told how it would go about it.
    explained: bool,
    full_scan: bool,
    words: Vec<String>,
}

impl From<&PreviewStatement> for StatementView {
    fn from(statement: &PreviewStatement) -> Self {
        let plan = statement.plan.as_ref();
        Self {
            sql: format::visible(&statement.sql).into_owned(),
            explained: plan.is_some(),
            full_scan: plan.is_some_and(|plan| plan.full_scan),
            words: plan.map(|plan| plan.words.iter().map(|words| short(words)).collect()).unwrap_or_default(),
        }
    }
}

impl From<&Preview> for PreviewView {
    fn from(preview: &Preview) -> Self {
        let sample = &preview.sample;
        Self {
            table: short(&preview.table),
            key: short(&preview.key.join(", ")),
            rows: count(&preview.rows),
            to_process: preview.limit.map(|_| count(&preview.to_process)),
            nothing: preview.rows.exact && preview.rows.counted == 0,
            batches: format::number(preview.batches),
            batch_size: format::number(preview.batch_size),
            first_key: preview.first_key.as_deref().map(short),
            last_key: preview.last_key.as_deref().map(short),
            columns: sample.columns.iter().map(|column| short(column)).collect(),
            columns_left_out: sample.columns_left_out,
            sample: sample.rows.iter().map(|row| row.iter().map(|cell| cell.as_deref().map(short)).collect()).collect(),
            sample_looked: sample.looked,
            scope: (&preview.scope).into(),
            batch: (&preview.batch).into(),
            active_run: preview.active_run,
        }
    }
}

/// `26,115`, `at least 400,000`, `at least 400,000, about 1,200,000`.
fn count(rows: &RowCount) -> String {
    let counted = format::number(rows.counted);
    match (rows.exact, rows.estimate) {
        (true, _) => counted,
        (false, None) => format!("at least {counted}"),
        (false, Some(about)) => format!("at least {counted}, about {}", format::number(about)),
    }
}

fn short(text: &str) -> String {
    format::shortened(text, SHORT).0.into_owned()
}
