//! The form for a new run: what it shows, what it takes, and how it keeps what was typed when it is refused.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;

use super::engine::NewRun;
use super::format::datetime_local;
use crate::api::Defaults;
use crate::error::FieldError;
use crate::options::{Choice, Field, Kind, Raw};
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

/// The form as the template shows it.
#[derive(Debug, Serialize)]
pub(super) struct FormView {
    backfill: String,
    description: &'static str,
    queue: Option<&'static str>,
    fields: Vec<FieldView>,
    batch_size: SettingView,
    limit: SettingView,
    sleep: SettingView,
    start: SettingView,
    start_at: SettingView,
    /// Errors that belong to no field on the page.
    errors: Vec<String>,
    error_count: usize,
}

#[derive(Debug, Serialize)]
struct SettingView {
    value: String,
    error: Option<String>,
}

/// One option of the form.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "attributes of HTML")]
struct FieldView {
    /// What the form sends it as.
    name: String,
    id: String,
    label: String,
    help: &'static str,
    control: Control,
    /// The `type` of the input, where the control is one.
    input: &'static str,
    required: bool,
    masked: bool,
    value: String,
    checked: bool,
    min: Option<String>,
    max: Option<String>,
    /// The grain of numbers and times: without it, browsers refuse fractions and seconds.
    step: Option<&'static str>,
    utc: bool,
    choices: Vec<ChoiceView>,
    /// Whether "none of these" can be chosen.
    blank: bool,
    /// The choices come from the database, which did not answer.
    unavailable: bool,
    error: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct ChoiceView {
    value: String,
    label: String,
    selected: bool,
}

/// How an option is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Control {
    Input,
    Checkbox,
    Select,
    Checkboxes,
}

impl Control {
    fn of(field: &Field) -> Self {
        match field.kind {
            _ if field.masked => Self::Input,
            Kind::MultiSelect { .. } => Self::Checkboxes,
            // An optional yes or no has a third answer, which a checkbox cannot give.
            Kind::Boolean if field.required || field.default.is_some() => Self::Checkbox,
            Kind::Boolean | Kind::Select { .. } => Self::Select,
            _ if field.has_choices => Self::Select,
            _ => Self::Input,
        }
    }
}

/// What can be chosen for the options whose choices come from the database.
pub(super) type Choices = HashMap<&'static str, Available>;

/// What the database said can be chosen.
#[derive(Debug)]
pub(super) enum Available {
    These(Vec<Choice>),
    Anything,
    /// It did not answer.
    Unknown,
}

impl FormView {
    pub(super) fn new(info: &BackfillInfo, typed: &Typed, choices: &Choices, errors: &[FieldError]) -> Self {
        let mut left = Errors::new(errors);
        let fields = info.fields.iter().map(|field| {
            let values = typed.options.get(field.name).map_or(&[][..], Vec::as_slice);
            FieldView::new(field, values, choices.get(field.name), left.take(field.name))
        });
        let fields = fields.collect();
        let mut setting = |name: &str, value: &str| SettingView { value: value.to_owned(), error: left.take(name) };
        Self {
            backfill: info.name.to_owned(),
            description: info.description,
            queue: info.settings.queue,
            fields,
            batch_size: setting("batch_size", &typed.batch_size),
            limit: setting("limit", &typed.limit),
            sleep: setting("sleep", &typed.sleep),
            start: setting("start", if typed.start == "at" { "at" } else { "now" }),
            start_at: setting("start_at", &typed.start_at),
            errors: left.rest(),
            error_count: errors.len(),
        }
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

impl FieldView {
    fn new(field: &Field, values: &[String], available: Option<&Available>, error: Option<String>) -> Self {
        let mut control = Control::of(field);
        let listed = match available {
            Some(Available::These(choices)) => choices.clone(),
            Some(Available::Anything | Available::Unknown) if control == Control::Select => {
                control = Control::Input;
                Vec::new()
            }
            _ => match &field.kind {
                Kind::Select { choices } | Kind::MultiSelect { choices } => choices.clone(),
                Kind::Boolean if control == Control::Select => yes_or_no(),
                _ => Vec::new(),
            },
        };
        let choice = |Choice { value, label }: Choice| ChoiceView { selected: values.contains(&value), value, label };
        let mut choices: Vec<_> = listed.into_iter().map(choice).collect();
        // A value that is no longer among the choices was typed, and is not thrown away.
        let is_list = matches!(control, Control::Select | Control::Checkboxes);
        for value in values.iter().filter(|value| is_list && !value.is_empty()) {
            if !choices.iter().any(|choice| choice.value == *value) {
                choices.push(ChoiceView { value: value.clone(), label: value.clone(), selected: true });
            }
        }
        let value = if field.masked { String::new() } else { values.last().cloned().unwrap_or_default() };
        Self {
            name: format!("options[{}]", field.name),
            id: format!("option-{}", field.name),
            label: field.label.clone(),
            help: field.help,
            input: input_type(field),
            step: step(field),
            // A box always says something, and so does a list of them: see [`Field::required`].
            required: field.required && !matches!(control, Control::Checkbox | Control::Checkboxes),
            masked: field.masked,
            checked: value == "true",
            min: field.min.as_ref().map(text_of),
            max: field.max.as_ref().map(text_of),
            utc: field.kind == Kind::DateTime,
            blank: field.default.is_none(),
            unavailable: matches!(available, Some(Available::Unknown)),
            // The message may quote what was typed.
            error: error
                .map(|error| if field.masked && quotes(&error, values) { "is not valid".into() } else { error }),
            control,
            choices,
            value,
        }
    }
}

fn quotes(message: &str, values: &[String]) -> bool {
    values.iter().any(|value| !value.is_empty() && message.contains(value.as_str()))
}

fn yes_or_no() -> Vec<Choice> {
    [("true", "Yes"), ("false", "No")].map(|(value, label)| Choice { value: value.into(), label: label.into() }).into()
}

fn input_type(field: &Field) -> &'static str {
    match field.kind {
        _ if field.masked => "password",
        Kind::Integer | Kind::Float | Kind::Decimal => "number",
        Kind::Date => "date",
        Kind::Time => "time",
        Kind::NaiveDateTime | Kind::DateTime => "datetime-local",
        _ => "text",
    }
}

fn step(field: &Field) -> Option<&'static str> {
    match field.kind {
        _ if field.masked => None,
        Kind::Float | Kind::Decimal => Some("any"),
        Kind::Integer | Kind::Time | Kind::NaiveDateTime | Kind::DateTime => Some("1"),
        _ => None,
    }
}

/// An option's default as its input takes it.
fn default_of(field: &Field) -> Vec<String> {
    match &field.default {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(text_of).collect(),
        Some(value) if field.kind == Kind::DateTime => vec![local(&text_of(value))],
        Some(value) => vec![text_of(value)],
    }
}

/// A moment without its zone, which is UTC, since `datetime-local` takes none.
fn local(text: &str) -> String {
    match text.parse::<DateTime<Utc>>() {
        Ok(at) => at.to_rfc3339_opts(SecondsFormat::Secs, true).trim_end_matches('Z').to_owned(),
        Err(_) => text.to_owned(),
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
