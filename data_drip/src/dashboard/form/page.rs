//! The form as the template shows it: what was typed, and each error at its field.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::Typed;
use super::field::FieldView;
use crate::error::FieldError;
use crate::options::Choice;
use crate::registry::BackfillInfo;

/// The form as the template shows it.
#[derive(Debug, Serialize)]
pub(in crate::dashboard) struct FormView {
    backfill: String,
    description: &'static str,
    /// Queues that somebody works on, or that code names.
    queues: Vec<String>,
    fields: Vec<FieldView>,
    batch_size: SettingView,
    limit: SettingView,
    sleep: SettingView,
    queue: SettingView,
    start: SettingView,
    start_at: SettingView,
    /// Errors that belong to no field on the page.
    errors: Vec<String>,
    error_count: usize,
    /// The errors are those of a link: nothing was sent yet.
    linked: bool,
    /// A preview was asked for.
    previewed: bool,
    zone: String,
}

#[derive(Debug, Serialize)]
struct SettingView {
    value: String,
    error: Option<String>,
}

/// What can be chosen for the options whose choices come from the database.
pub(in crate::dashboard) type Choices = HashMap<&'static str, Available>;

/// What the database said can be chosen.
#[derive(Debug)]
pub(in crate::dashboard) enum Available {
    These(Vec<Choice>),
    Anything,
    /// It did not answer.
    Unknown,
}

impl FormView {
    pub(in crate::dashboard) fn new(
        info: &BackfillInfo,
        typed: &Typed,
        choices: &Choices,
        errors: &[FieldError],
    ) -> Self {
        let mut left = Errors::new(errors);
        let fields = info.fields.iter().map(|field| {
            let values = typed.options.get(field.name).map_or(&[][..], Vec::as_slice);
            let zone = typed.zones.get(field.name).map_or("", String::as_str);
            FieldView::new(field, (values, zone), choices.get(field.name), left.take(field.name))
        });
        let fields = fields.collect();
        let mut setting = |name: &str, value: &str| SettingView { value: value.to_owned(), error: left.take(name) };
        Self {
            backfill: info.name.to_owned(),
            description: info.description,
            queues: Vec::new(),
            fields,
            batch_size: setting("batch_size", &typed.batch_size),
            limit: setting("limit", &typed.limit),
            sleep: setting("sleep", &typed.sleep),
            queue: setting("queue", &typed.queue),
            start: setting("start", if typed.start == "at" { "at" } else { "now" }),
            start_at: setting("start_at", &typed.start_at),
            errors: left.rest(),
            error_count: errors.len(),
            linked: false,
            previewed: false,
            zone: typed.zone.clone(),
        }
    }

    /// Offers these queues.
    pub(in crate::dashboard) fn queues(self, queues: Vec<String>) -> Self {
        Self { queues, ..self }
    }

    /// A preview was asked for, not a run.
    pub(in crate::dashboard) fn previewed(self) -> Self {
        Self { previewed: true, ..self }
    }

    /// Filled in by a link or from an old run, not sent by a person.
    pub(in crate::dashboard) fn linked(self) -> Self {
        Self { linked: true, ..self }
    }
}

/// Errors by field. Each is shown: at its field, or else at the top of the form.
struct Errors<'a>(BTreeMap<&'a str, Vec<&'a str>>);

impl<'a> Errors<'a> {
    fn new(errors: &'a [FieldError]) -> Self {
        let mut by_field: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for error in errors {
            by_field.entry(error.field.as_str()).or_default().push(error.message.as_str());
        }
        Self(by_field)
    }

    fn take(&mut self, field: &str) -> Option<String> {
        self.0.remove(field).map(|messages| messages.join("; "))
    }

    fn rest(self) -> Vec<String> {
        let text = |(field, messages): (&str, Vec<&str>)| match field {
            "base" | "" => messages.join("; "),
            field => format!("{field}: {}", messages.join("; ")),
        };
        self.0.into_iter().map(text).collect()
    }
}
