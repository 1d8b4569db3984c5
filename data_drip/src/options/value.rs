//! What a type must do to be an option, and the plain ones: text, yes or no, and `Option` of anything.

use serde_json::Value;

use super::{Field, Input, Kind, Raw};

/// A type that an option can have.
///
/// [`parse`](OptionValue::parse) is the only way in, for forms, JSON and values built in code;
/// [`to_json`](OptionValue::to_json) is its inverse.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of an option",
    label = "not an option type",
    note = "options are `String`, integers, floats, `bool`, `Decimal` (feature `decimal`), chrono's `NaiveDate`, \
            `NaiveTime`, `NaiveDateTime` and `DateTime<Utc>`, enums with `#[derive(data_drip::OptionEnum)]`, `Vec` of \
            such an enum, and `Option` of any of these"
)]
pub trait OptionValue: Sized + Send + Sync + 'static {
    /// The input that a form shows.
    fn kind() -> Kind;

    /// The value of an option that is not given and has no default; `None` makes it required.
    fn when_missing() -> Option<Self> {
        None
    }

    /// The value of a form field in which nothing was typed, ticked or selected; `None` treats it as not given.
    fn when_blank() -> Option<Self> {
        None
    }

    /// The value of a JSON `null`; `None` refuses it.
    fn when_null() -> Option<Self> {
        None
    }

    /// Reads what was given, within the bounds of `field`.
    ///
    /// # Errors
    /// A sentence without the option's name: "must be a whole number".
    fn parse(raw: &Raw, field: &Field) -> Result<Self, String>;

    /// The value as canonical JSON.
    fn to_json(&self) -> Value;

    /// [`Field::of`], in the form that generated code calls everything on an option's type.
    #[doc(hidden)]
    fn field(name: &'static str) -> Field {
        Field::of::<Self>(name)
    }

    /// [`Input::take`], likewise.
    #[doc(hidden)]
    fn take(input: &mut Input<'_>, name: &str) -> Option<Self> {
        input.take(name)
    }
}

/// The one text that a form sent.
pub(super) fn single(texts: &[String]) -> Result<&str, String> {
    match texts {
        [text] => Ok(text),
        [] => Ok(""),
        _ => Err("takes one value only".to_owned()),
    }
}

/// Text, to the letter: nothing is trimmed. Blank text does not do where text is required.
impl OptionValue for String {
    fn kind() -> Kind {
        Kind::Text
    }

    fn parse(raw: &Raw, field: &Field) -> Result<Self, String> {
        let text = match raw {
            Raw::Json(Value::String(text)) => text,
            Raw::Json(_) => return Err("must be text".to_owned()),
            Raw::Form(texts) => single(texts)?,
        };
        if field.required && text.trim().is_empty() {
            return Err("must not be blank".to_owned());
        }
        Ok(text.to_owned())
    }

    fn to_json(&self) -> Value {
        Value::String(self.clone())
    }
}

/// A box to tick. Has to be given in JSON unless it has a default; unticked in a form is `false`, whatever the default.
impl OptionValue for bool {
    fn kind() -> Kind {
        Kind::Boolean
    }

    fn when_blank() -> Option<Self> {
        Some(false)
    }

    fn parse(raw: &Raw, _: &Field) -> Result<Self, String> {
        match raw {
            Raw::Json(Value::Bool(value)) => Ok(*value),
            Raw::Json(_) => Err("must be true or false".to_owned()),
            // The last one: a hidden `false` in front of the box is a common way to send unticked boxes.
            Raw::Form(texts) => match texts.last().map(|text| text.trim()) {
                Some("true" | "on" | "1") => Ok(true),
                Some("false" | "off" | "0") => Ok(false),
                _ => Err("must be true or false".to_owned()),
            },
        }
    }

    fn to_json(&self) -> Value {
        Value::Bool(*self)
    }
}

/// An option that may be left out. Blank in a form is not given: `None`, or the default where there is one.
///
/// In JSON, `null` is `None` even where there is a default. `Option<Vec<E>>` is `None` when a form selects nothing;
/// the empty list, as against none, can only be given by JSON and code.
impl<T: OptionValue> OptionValue for Option<T> {
    fn kind() -> Kind {
        T::kind()
    }

    fn when_missing() -> Option<Self> {
        Some(None)
    }

    fn when_null() -> Option<Self> {
        Some(None)
    }

    fn parse(raw: &Raw, field: &Field) -> Result<Self, String> {
        T::parse(raw, field).map(Some)
    }

    fn to_json(&self) -> Value {
        self.as_ref().map_or(Value::Null, OptionValue::to_json)
    }
}
