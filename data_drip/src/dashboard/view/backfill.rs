//! A backfill: what it does and what it takes.

use std::time::Duration;

use serde::Serialize;

use super::shown;
use crate::api::Defaults;
use crate::backfill::Mode;
use crate::dashboard::format;
use crate::options::{Field, Kind};
use crate::registry::BackfillInfo;

#[derive(Debug, Serialize)]
pub(in crate::dashboard) struct BackfillView {
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
    pub(in crate::dashboard) fn new(info: &BackfillInfo, defaults: Defaults) -> Self {
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
