//! Keeping masked options to ourselves: their values are taken out of every text that is kept or shown.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;

use super::{Field, Raw, Values};

/// What stands in place of a masked value.
pub(crate) const MASKED: &str = "•••";

/// Below this many characters a value is hidden only where it stands alone: a masked `1` is not every 1.
const SHORT: usize = 4;

/// The values of a run's masked options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mask(Vec<String>);

impl Mask {
    /// Those among `values` that `fields` mark as masked.
    pub(crate) fn of(fields: &[Field], values: &Values) -> Self {
        let mut texts = Vec::new();
        for field in fields.iter().filter(|field| field.masked) {
            values.get(field.name).into_iter().for_each(|value| texts_of(value, &mut texts));
        }
        // The longest first: one may hold another.
        texts.sort_unstable_by_key(|text| std::cmp::Reverse(text.len()));
        texts.dedup();
        Self(texts)
    }

    /// The same of values that are not parsed yet, and may be refused.
    pub(crate) fn of_raw(fields: &[Field], raw: &HashMap<String, Raw>) -> Self {
        let value = |raw: &Raw| match raw {
            Raw::Json(value) => value.clone(),
            Raw::Form(texts) => texts.iter().flat_map(|text| [text.as_str(), text.trim()]).collect(),
        };
        Self::of(fields, &raw.iter().map(|(name, raw)| (name.clone(), value(raw))).collect())
    }

    /// Whether there is nothing to hide.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text without the masked values.
    pub(crate) fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut hidden = Cow::Borrowed(text);
        for secret in self.0.iter().filter(|secret| text.contains(secret.as_str())) {
            let short = secret.chars().count() < SHORT;
            let replaced = if short { alone(&hidden, secret) } else { hidden.replace(secret.as_str(), MASKED) };
            hidden = Cow::Owned(replaced);
        }
        hidden
    }
}

/// What is secret of a value, also as `{:?}` and JSON print it. Yes and no are in every text, and no secret.
fn texts_of(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() => {
            texts.push(text.clone());
            let printed = [format!("{text:?}"), Value::from(text.as_str()).to_string()];
            texts.extend(
                printed
                    .iter()
                    .map(|printed| printed.trim_matches('"').to_owned())
                    .filter(|p| p != text && !p.is_empty()),
            );
        }
        Value::Number(number) => texts.push(number.to_string()),
        Value::Array(values) => values.iter().for_each(|value| texts_of(value, texts)),
        _ => {}
    }
}

/// Replaces `secret` where neither neighbour is a letter or a digit.
fn alone(text: &str, secret: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(secret) {
        let (before, after) = (&rest[..at], &rest[at + secret.len()..]);
        let joined = before.chars().next_back().or(hidden.chars().next_back().filter(|_| before.is_empty()));
        let stands_alone = !joined.is_some_and(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric);
        hidden.push_str(before);
        hidden.push_str(if stands_alone { MASKED } else { secret });
        rest = after;
    }
    hidden.push_str(rest);
    hidden
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mask(value: Value) -> Mask {
        let fields = [Field::of::<String>("token").masked(), Field::of::<String>("plain")];
        Mask::of(&fields, &Values::from_iter([("token".into(), value), ("plain".into(), json!("department"))]))
    }

    #[test]
    fn masked_values_are_hidden_wherever_they_stand() {
        let mask = mask(json!("s3cret"));
        assert_eq!(mask.hide("key=s3cret&x=s3cret!"), "key=•••&x=•••!");
        assert_eq!(mask.hide("the department"), "the department");
    }

    #[test]
    fn a_masked_value_is_hidden_as_debug_and_json_print_it() {
        let secret = "a\"b\\c\nd";
        let mask = mask(json!(secret));
        for text in [format!("{secret:?}"), json!({ "token": secret }).to_string(), secret.to_owned()] {
            assert!(mask.hide(&text).contains(MASKED), "{text}");
            assert!(!mask.hide(&text).contains("b\\"), "{text}");
        }
    }

    #[test]
    fn a_short_masked_value_is_hidden_where_it_stands_alone() {
        let mask = mask(json!(7));
        assert_eq!(mask.hide("7 of 77 rows, pin=7, x7"), "••• of 77 rows, pin=•••, x7");
        assert_eq!(self::mask(json!("é")).hide("é, été"), "•••, été");
    }

    #[test]
    fn nothing_masked_hides_nothing() {
        assert!(mask(Value::Null).is_empty());
        assert!(mask(json!(true)).is_empty());
        assert!(mask(json!("")).is_empty());
        assert_eq!(mask(json!([1, "two"])).hide("1 two"), "••• •••");
    }
}
