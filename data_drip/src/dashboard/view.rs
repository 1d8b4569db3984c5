//! Runs, batches and backfills as the templates get them: words and numbers ready to be printed, nothing secret.

mod backfill;
mod batch;
mod error;
mod failure;
mod log;
mod preview;
mod run;
mod worker;

use serde::Serialize;
use serde_json::Value;

pub(super) use self::backfill::{BackfillView, GoneView};
pub(super) use self::batch::{BatchView, took};
use self::error::ErrorView;
pub(super) use self::failure::FailureView;
pub(super) use self::log::LogView;
pub(super) use self::preview::PreviewView;
pub(super) use self::run::{Actions, OptionView, RunView, options};
pub(super) use self::worker::WorkerView;
use super::format::{self, Moment};
use crate::run::Backfiller;
use crate::store::runs::RunEvent;

/// Characters of a name, a key or an error's first line in a table or list.
const SHORT: usize = 120;
/// Characters of one option's value on a run's page.
const VALUE: usize = 2_000;

#[derive(Debug, Serialize)]
pub(super) struct Who {
    id: String,
    name: String,
}

impl From<&Backfiller> for Who {
    fn from(who: &Backfiller) -> Self {
        Self { id: format::visible(&who.id).into_owned(), name: format::shortened(&who.name, SHORT).0.into_owned() }
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

/// A JSON value as a person would write it.
fn shown(value: &Value) -> String {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
}
