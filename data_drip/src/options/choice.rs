//! Enums as options: one of them, or any of them.

use serde_json::Value;

use super::value::single;
use super::{Choice, Field, Kind, OptionValue, Raw};

/// An enum whose variants a form offers; made by `#[derive(OptionEnum)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an enum that a form could offer",
    label = "not a `#[derive(OptionEnum)]` enum",
    note = "a multi-select is a `Vec` of an enum with `#[derive(data_drip::OptionEnum)]`"
)]
pub trait OptionEnum: OptionValue {
    /// Each variant's stored value and its label, in order.
    const CHOICES: &'static [(&'static str, &'static str)];

    /// The stored value of this variant.
    fn value(&self) -> &'static str;

    /// The variant with this stored value.
    fn from_value(value: &str) -> Option<Self>;
}

/// The input of a single choice.
pub(crate) fn enum_kind<E: OptionEnum>() -> Kind {
    Kind::Select { choices: choices::<E>() }
}

/// Reads a single choice.
pub(crate) fn parse_enum<E: OptionEnum>(raw: &Raw) -> Result<E, String> {
    match raw {
        Raw::Json(value) => variant(value.as_str()),
        Raw::Form(texts) => variant(Some(single(texts)?)),
    }
}

fn choices<E: OptionEnum>() -> Vec<Choice> {
    E::CHOICES.iter().map(|(value, label)| Choice { value: (*value).to_owned(), label: (*label).to_owned() }).collect()
}

fn variant<E: OptionEnum>(text: Option<&str>) -> Result<E, String> {
    text.and_then(E::from_value).ok_or_else(|| {
        let values: Vec<_> = E::CHOICES.iter().map(|(value, _)| *value).collect();
        format!("must be one of {}", values.join(", "))
    })
}

/// A multi-select. Has to be given in JSON unless it has a default, and may be empty; nothing selected in a form is the
/// empty list, whatever the default. Order and repetition are kept.
impl<E: OptionEnum> OptionValue for Vec<E> {
    fn kind() -> Kind {
        Kind::MultiSelect { choices: choices::<E>() }
    }

    fn when_blank() -> Option<Self> {
        Some(Self::new())
    }

    fn parse(raw: &Raw, _: &Field) -> Result<Self, String> {
        match raw {
            Raw::Json(Value::Array(values)) => values.iter().map(|value| variant(value.as_str())).collect(),
            Raw::Json(_) => Err("must be a list".to_owned()),
            // A hidden blank field in front of the list is a common way to send an empty selection.
            Raw::Form(texts) => texts.iter().filter(|text| !text.is_empty()).map(|text| variant(Some(text))).collect(),
        }
    }

    fn to_json(&self) -> Value {
        self.iter().map(|choice| Value::from(choice.value())).collect()
    }
}
