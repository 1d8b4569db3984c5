//! One option of the form, by kind.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;

use super::page::Available;
use crate::options::{Choice, Field, Kind};

/// One option of the form.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "attributes of HTML")]
pub(super) struct FieldView {
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
    /// The name and the value of the zone's input, for a moment.
    zone: Option<ZoneView>,
    choices: Vec<ChoiceView>,
    /// Whether "none of these" can be chosen.
    blank: bool,
    /// The choices come from the database, which did not answer.
    unavailable: bool,
    error: Option<String>,
}

/// The zone of a moment.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct ZoneView {
    name: String,
    value: String,
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
pub(super) enum Control {
    Input,
    Checkbox,
    Select,
    Checkboxes,
}

impl Control {
    pub(super) fn of(field: &Field) -> Self {
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

impl FieldView {
    pub(super) fn new(
        field: &Field,
        (values, zone): (&[String], &str),
        available: Option<&Available>,
        error: Option<String>,
    ) -> Self {
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
            required: must_be_given(field),
            masked: field.masked,
            checked: value == "true",
            min: field.min.as_ref().map(text_of),
            max: field.max.as_ref().map(text_of),
            zone: (field.kind == Kind::DateTime && !field.masked && control == Control::Input)
                .then(|| ZoneView { name: format!("zones[{}]", field.name), value: zone.to_owned() }),
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

/// Whether the form takes no run without it. A box always says something, and so does a list of them: see
/// [`Field::required`].
pub(in crate::dashboard) fn must_be_given(field: &Field) -> bool {
    field.required && !matches!(Control::of(field), Control::Checkbox | Control::Checkboxes)
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
pub(super) fn default_of(field: &Field) -> Vec<String> {
    values_of(field, field.default.as_ref())
}

/// A value as the option's input takes it.
pub(super) fn values_of(field: &Field, value: Option<&Value>) -> Vec<String> {
    match value {
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
