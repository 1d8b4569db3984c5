//! One request's values on their way into an options struct, with every error found.

use std::collections::HashMap;

use serde_json::Value;

use super::{Field, OptionValue, Options, Raw};
use crate::error::FieldError;
use crate::suggest::did_you_mean;

/// The values to parse, and the errors found on the way.
#[derive(Debug)]
pub struct Input<'a> {
    fields: &'a [Field],
    raw: &'a HashMap<String, Raw>,
    errors: Vec<FieldError>,
}

impl<'a> Input<'a> {
    pub(super) fn new(fields: &'a [Field], raw: &'a HashMap<String, Raw>) -> Self {
        Self { fields, raw, errors: Vec::new() }
    }

    /// The value of the option called `name`: what was given, else the default, else what its type says.
    ///
    /// `None` when it was refused; the reason is kept.
    pub fn take<T: OptionValue>(&mut self, name: &str) -> Option<T> {
        let Some(field) = self.fields.iter().find(|field| field.name == name) else {
            self.errors.push(FieldError::new(name, "is not among the fields that `Options::fields` lists"));
            return None;
        };
        match resolve(field, self.raw.get(name)) {
            Ok(value) => Some(value),
            Err(message) => {
                self.errors.push(FieldError::new(name, message));
                None
            }
        }
    }

    /// The errors found so far, in the order of the form.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// A misspelt option must not silently run with the default.
    fn refuse_unknown(&mut self) {
        let known: Vec<&str> = self.fields.iter().map(|field| field.name).collect();
        let mut unknown: Vec<&String> = self.raw.keys().filter(|name| !known.contains(&name.as_str())).collect();
        unknown.sort_unstable();
        for name in unknown {
            let hint = did_you_mean(name, &known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            self.errors.push(FieldError::new(name, format!("is not an option of this backfill{hint}")));
        }
    }
}

fn resolve<T: OptionValue>(field: &Field, raw: Option<&Raw>) -> Result<T, String> {
    match raw {
        Some(Raw::Json(Value::Null)) => T::when_null().ok_or_else(|| {
            if field.required {
                "is required".to_owned()
            } else {
                "must not be null; leave it out to get the default".to_owned()
            }
        }),
        Some(raw) if raw.is_blank() => T::when_blank().map_or_else(|| missing(field), Ok),
        Some(raw) => T::parse(raw, field),
        None => missing(field),
    }
}

/// The default takes the way of every value, so one that does not fit its own bounds is refused too.
fn missing<T: OptionValue>(field: &Field) -> Result<T, String> {
    match &field.default {
        Some(default) => T::parse(&Raw::Json(default.clone()), field),
        None => T::when_missing().ok_or_else(|| "is required".to_owned()),
    }
}

/// Builds a backfill from what was given for its options.
///
/// # Errors
/// Every refused value, in the order of the form, and then the names that are no options.
///
/// ```
/// # use std::collections::HashMap;
/// # use data_drip::options::{self, Field, Input, Options, Raw};
/// # #[derive(Debug)]
/// # struct AddRole { department: String }
/// # impl Options for AddRole {
/// #     const NAME: &'static str = "add_role";
/// #     fn fields() -> Vec<Field> { vec![Field::of::<String>("department")] }
/// #     fn parse(input: &mut Input<'_>) -> Option<Self> { Some(Self { department: input.take("department")? }) }
/// # }
/// let given = HashMap::from([("departement".to_owned(), Raw::Json("Sales".into()))]);
/// let errors = options::parse::<AddRole>(&given).unwrap_err();
/// assert_eq!(errors[0].message, "is required");
/// assert_eq!(errors[1].message, "is not an option of this backfill; did you mean `department`?");
/// ```
#[expect(clippy::implicit_hasher, reason = "the map that the form and JSON readers make")]
pub fn parse<T: Options>(raw: &HashMap<String, Raw>) -> Result<T, Vec<FieldError>> {
    parse_with(&T::fields(), raw)
}

/// [`parse`], for those who have the fields already.
pub(crate) fn parse_with<T: Options>(fields: &[Field], raw: &HashMap<String, Raw>) -> Result<T, Vec<FieldError>> {
    let mut input = Input::new(fields, raw);
    let parsed = T::parse(&mut input);
    input.refuse_unknown();
    match parsed {
        Some(options) if input.errors.is_empty() => Ok(options),
        None if input.errors.is_empty() => Err(vec![FieldError::new("base", "the options were refused")]),
        _ => Err(input.errors),
    }
}
