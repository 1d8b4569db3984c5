//! The form for a new run: what it takes, and how it keeps what was typed when it is refused.

mod field;
mod page;

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, FixedOffset, Utc};
use serde_json::Value;

pub(super) use self::field::must_be_given;
use self::field::{Control, default_of, values_of};
pub(super) use self::page::{Available, Choices, FormView};
use super::engine::NewRun;
use super::format::datetime_local;
use crate::api::Defaults;
use crate::error::FieldError;
use crate::options::{DEFAULT_QUEUE, Field, Kind, Raw};
use crate::registry::BackfillInfo;
use crate::run::Run;

/// What a person typed, as they typed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) backfill: String,
    batch_size: String,
    limit: String,
    sleep: String,
    queue: String,
    start: String,
    start_at: String,
    /// The zone of `start_at`, as an offset from UTC; empty is UTC.
    zone: String,
    options: HashMap<String, Vec<String>>,
    /// The zones of options that are moments.
    zones: HashMap<String, String>,
}

impl Typed {
    /// The form before anything is typed.
    pub(super) fn defaults(info: &BackfillInfo, defaults: Defaults) -> Self {
        Self {
            backfill: info.name.to_owned(),
            batch_size: defaults.batch_size.to_string(),
            sleep: defaults.sleep.as_secs_f64().to_string(),
            queue: queue_of(info).to_owned(),
            start: "now".to_owned(),
            options: info.fields.iter().map(|field| (field.name.to_owned(), default_of(field))).collect(),
            ..Self::default()
        }
    }

    /// The form as a link fills it in: `?backfill=…&options[name]=…&batch_size=…`, over the defaults. What the link names
    /// and the form does not have is said.
    pub(super) fn linked(
        info: &BackfillInfo,
        defaults: Defaults,
        params: &[(String, String)],
    ) -> (Self, Vec<FieldError>) {
        let (given, mut errors) = Self::read(params.to_vec());
        let mut typed = Self::defaults(info, defaults);
        let over = |place: &mut String, value: String| {
            if !value.is_empty() {
                *place = value;
            }
        };
        over(&mut typed.batch_size, given.batch_size);
        over(&mut typed.sleep, given.sleep);
        over(&mut typed.queue, given.queue);
        (typed.limit, typed.start_at, typed.zone) = (given.limit, given.start_at, given.zone);
        over(&mut typed.start, if typed.start_at.is_empty() { given.start } else { "at".to_owned() });
        for (name, values) in given.options {
            match info.fields.iter().find(|field| field.name == name) {
                // What is masked does not belong into an address.
                Some(field) if field.masked => errors.push(FieldError::new(name, "is masked: enter it here")),
                Some(_) => drop(typed.options.insert(name, values)),
                None => errors.push(FieldError::new(name, "is not an option of this backfill")),
            }
        }
        typed.zones = given.zones;
        (typed, errors)
    }

    /// The form as an old run fills it in; its start time is over.
    pub(super) fn again(info: &BackfillInfo, run: &Run) -> (Self, Vec<FieldError>) {
        let mut errors = Vec::new();
        let mut options = HashMap::new();
        for field in &info.fields {
            let values = match run.options.get(field.name) {
                Some(value) if !field.masked => {
                    let values = values_of(field, Some(value));
                    // An input drops line breaks, and HTML has no NUL: the same run would not be the same.
                    if values.iter().any(|value| value.contains(char::is_control)) {
                        errors.push(FieldError::new(field.name, "holds characters that a form cannot: enter it anew"));
                        Vec::new()
                    } else {
                        values
                    }
                }
                None | Some(Value::Null) => default_of(field),
                Some(_) => {
                    errors.push(FieldError::new(field.name, "is masked: enter it anew"));
                    Vec::new()
                }
            };
            options.insert(field.name.to_owned(), values);
        }
        let gone = run.options.keys().filter(|name| !info.fields.iter().any(|field| field.name == *name));
        errors.extend(gone.map(|name| FieldError::new(name, "is no option of this backfill any more")));
        let typed = Self {
            backfill: info.name.to_owned(),
            batch_size: run.batch_size.to_string(),
            limit: run.limit.map(|limit| limit.to_string()).unwrap_or_default(),
            sleep: run.sleep.as_secs_f64().to_string(),
            queue: run.queue.clone(),
            start: "now".to_owned(),
            options,
            ..Self::default()
        };
        (typed, errors)
    }

    /// Reads what a form sent. Fields that no form of ours has, or has once, are refused.
    pub(super) fn read(pairs: Vec<(String, String)>) -> (Self, Vec<FieldError>) {
        let mut typed = Self::default();
        let mut errors = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in pairs {
            if let Some(option) = name.strip_prefix("options[").and_then(|rest| rest.strip_suffix(']')) {
                typed.options.entry(option.to_owned()).or_default().push(value);
                continue;
            }
            if let Some(option) = name.strip_prefix("zones[").and_then(|rest| rest.strip_suffix(']')) {
                typed.zones.insert(option.to_owned(), value);
                continue;
            }
            let place = match name.as_str() {
                "backfill" => &mut typed.backfill,
                "batch_size" => &mut typed.batch_size,
                "limit" => &mut typed.limit,
                "sleep" => &mut typed.sleep,
                "queue" => &mut typed.queue,
                "start" => &mut typed.start,
                "start_at" => &mut typed.start_at,
                "zone" => &mut typed.zone,
                _ => {
                    errors.push(FieldError::new(name, "is no field of this form"));
                    continue;
                }
            };
            if seen.contains(&name) {
                errors.push(FieldError::new(name, "was sent twice"));
                continue;
            }
            *place = value;
            seen.push(name);
        }
        (typed, errors)
    }

    /// The run that was asked for, as far as the form itself can tell; the run API checks the rest.
    pub(super) fn check(&self, info: &BackfillInfo, errors: &mut Vec<FieldError>) -> NewRun {
        let mut refuse = |field: &str, message: &str| errors.push(FieldError::new(field, message));
        let batch_size = whole(&self.batch_size).unwrap_or_else(|| {
            refuse("batch_size", "must be a whole number");
            None
        });
        let limit = whole(&self.limit).unwrap_or_else(|| {
            refuse("limit", "must be a whole number, or empty for all");
            None
        });
        let sleep = seconds(&self.sleep).unwrap_or_else(|| {
            refuse("sleep", "must be a number of seconds, such as 0.5");
            None
        });
        let start_at = match (self.start.as_str(), self.start_at.trim()) {
            ("now" | "", _) => None,
            ("at", "") => {
                refuse("start_at", "is missing: give a date and time, or choose “now”");
                None
            }
            ("at", text) => {
                let at = moment(text, &self.zone);
                if at.is_none() {
                    refuse("start_at", "must be a date and time, such as 2026-01-31T18:00, in a known zone");
                }
                at
            }
            _ => {
                refuse("start", "must be “now” or “at”");
                None
            }
        };
        let queue = Some(self.queue.trim()).filter(|queue| !queue.is_empty()).map(str::to_owned);
        let options = self.options.iter().map(|(name, values)| {
            let field = info.fields.iter().find(|field| field.name == name);
            let zone = self.zones.get(name).map_or("", String::as_str);
            (name.clone(), Raw::Form(sent(field, values, zone)))
        });
        NewRun {
            backfill: self.backfill.clone(),
            options: options.collect(),
            batch_size,
            limit,
            sleep,
            queue,
            start_at,
        }
    }
}

/// The queue that runs of a backfill go to unless somebody says otherwise.
fn queue_of(info: &BackfillInfo) -> &'static str {
    info.settings.queue.unwrap_or(DEFAULT_QUEUE)
}

/// Undoes what HTML needs to say "unchecked" and "none of them": a hidden field in front of the real ones.
///
/// A moment is given its zone.
fn sent(field: Option<&Field>, values: &[String], zone: &str) -> Vec<String> {
    let zoned = field.is_some_and(|field| field.kind == Kind::DateTime && !field.masked);
    match field.map(Control::of) {
        Some(Control::Input) if zoned && !zone.is_empty() => {
            let text = |value: &String| moment(value.trim(), zone).map_or_else(|| value.clone(), |at| at.to_rfc3339());
            values.iter().map(text).collect()
        }
        Some(Control::Checkbox) => values.last().cloned().into_iter().collect(),
        Some(Control::Checkboxes) => values.iter().filter(|value| !value.is_empty()).cloned().collect(),
        _ => values.to_vec(),
    }
}

/// What a person typed at an offset from UTC: `+02:00`; none is UTC.
fn moment(text: &str, zone: &str) -> Option<DateTime<Utc>> {
    let local = datetime_local(text)?;
    if zone.is_empty() {
        return Some(local.and_utc());
    }
    let offset: FixedOffset = zone.parse().ok()?;
    local.and_local_timezone(offset).single().map(|at| at.to_utc())
}

/// Empty is "not given"; `None` is no number at all.
#[expect(clippy::option_option, reason = "not given and not a number are two things")]
fn whole(text: &str) -> Option<Option<u64>> {
    let text = text.trim();
    if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
}

/// As [`whole`], in milliseconds' precision.
#[expect(clippy::option_option, reason = "not given and not a number are two things")]
fn seconds(text: &str) -> Option<Option<Duration>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(None);
    }
    let duration = Duration::try_from_secs_f64(text.parse().ok()?).ok()?;
    Some(Some(Duration::from_millis(u64::try_from(duration.as_millis()).ok()?)))
}
