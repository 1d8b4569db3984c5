//! The form for a new run: what it takes, and how it keeps what was typed when it is refused.

mod field;
mod page;

use std::collections::HashMap;
use std::time::Duration;

use self::field::{Control, default_of};
pub(super) use self::page::{Available, Choices, FormView};
use super::engine::NewRun;
use super::format::datetime_local;
use crate::api::Defaults;
use crate::error::FieldError;
use crate::options::{Field, Raw};
use crate::registry::BackfillInfo;

/// What a person typed, as they typed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) backfill: String,
    batch_size: String,
    limit: String,
    sleep: String,
    start: String,
    start_at: String,
    options: HashMap<String, Vec<String>>,
}

impl Typed {
    /// The form before anything is typed.
    pub(super) fn defaults(info: &BackfillInfo, defaults: Defaults) -> Self {
        Self {
            backfill: info.name.to_owned(),
            batch_size: defaults.batch_size.to_string(),
            sleep: defaults.sleep.as_secs_f64().to_string(),
            start: "now".to_owned(),
            options: info.fields.iter().map(|field| (field.name.to_owned(), default_of(field))).collect(),
            ..Self::default()
        }
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
            let place = match name.as_str() {
                "backfill" => &mut typed.backfill,
                "batch_size" => &mut typed.batch_size,
                "limit" => &mut typed.limit,
                "sleep" => &mut typed.sleep,
                "start" => &mut typed.start,
                "start_at" => &mut typed.start_at,
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
                let at = datetime_local(text).map(|at| at.and_utc());
                if at.is_none() {
                    refuse("start_at", "must be a date and time, such as 2026-01-31T18:00");
                }
                at
            }
            _ => {
                refuse("start", "must be “now” or “at”");
                None
            }
        };
        let options = self.options.iter().map(|(name, values)| {
            let field = info.fields.iter().find(|field| field.name == name);
            (name.clone(), Raw::Form(sent(field, values)))
        });
        NewRun { backfill: self.backfill.clone(), options: options.collect(), batch_size, limit, sleep, start_at }
    }
}

/// Undoes what HTML needs to say "unchecked" and "none of them": a hidden field in front of the real ones.
fn sent(field: Option<&Field>, values: &[String]) -> Vec<String> {
    match field.map(Control::of) {
        Some(Control::Checkbox) => values.last().cloned().into_iter().collect(),
        Some(Control::Checkboxes) => values.iter().filter(|value| !value.is_empty()).cloned().collect(),
        _ => values.to_vec(),
    }
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
