//! Numbers: whole, floating and decimal, within the range of their type and the bounds of their field.

use std::fmt::Display;
use std::num::IntErrorKind;

use serde_json::{Number as JsonNumber, Value};

use super::value::single;
use super::{Field, Kind, OptionValue, Raw};

/// An option type that `min` and `max` can bound.
#[diagnostic::on_unimplemented(
    message = "`min` and `max` bound numbers, and `{Self}` is none",
    label = "not a number",
    note = "numbers are the integers, `f32`, `f64` and `Decimal`"
)]
pub trait Number: OptionValue {}

fn within<T: PartialOrd + Display>(value: T, field: &Field, read: impl Fn(&Value) -> Option<T>) -> Result<T, String> {
    if let Some(min) = field.min.as_ref().and_then(&read)
        && value < min
    {
        return Err(format!("must be at least {min}"));
    }
    if let Some(max) = field.max.as_ref().and_then(&read)
        && value > max
    {
        return Err(format!("must be at most {max}"));
    }
    Ok(value)
}

const WHOLE: &str = "must be a whole number";

enum NotWhole {
    Fraction,
    TooLarge,
}

/// Every integer option fits `i128`, so that one function finds what is wrong with all of them.
fn whole(raw: &Raw) -> Result<Result<i128, NotWhole>, String> {
    match raw {
        Raw::Json(Value::Number(number)) => Ok(whole_json(number)),
        Raw::Json(_) => Err(WHOLE.to_owned()),
        Raw::Form(texts) => {
            Ok(single(texts)?.trim().parse().map_err(|error: std::num::ParseIntError| match error.kind() {
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => NotWhole::TooLarge,
                _ => NotWhole::Fraction,
            }))
        }
    }
}

fn whole_json(number: &JsonNumber) -> Result<i128, NotWhole> {
    /// From here on a float no longer tells neighbouring whole numbers apart.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(value) = number.as_i128() {
        return Ok(value);
    }
    match number.as_f64() {
        Some(value) if value.fract() != 0.0 => Err(NotWhole::Fraction),
        #[expect(clippy::cast_possible_truncation, reason = "whole and within the exact range")]
        Some(value) if value.abs() < EXACT => Ok(value as i128),
        _ => Err(NotWhole::TooLarge),
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        /// A whole number. In JSON a number, not text.
        impl OptionValue for $type {
            fn kind() -> Kind {
                Kind::Integer
            }

            fn parse(raw: &Raw, field: &Field) -> Result<Self, String> {
                let value = match whole(raw)? {
                    Ok(value) => Self::try_from(value).ok(),
                    Err(NotWhole::TooLarge) => None,
                    Err(NotWhole::Fraction) => return Err(WHOLE.to_owned()),
                };
                let value = value.ok_or_else(|| format!("must be between {} and {}", Self::MIN, Self::MAX))?;
                within(value, field, |bound| Self::try_from(bound.as_i128()?).ok())
            }

            fn to_json(&self) -> Value {
                Value::from(*self)
            }
        }

        impl Number for $type {}
    )*};
}

trait AsI128 {
    fn as_i128(&self) -> Option<i128>;
}

impl AsI128 for Value {
    fn as_i128(&self) -> Option<i128> {
        self.as_number()?.as_i128()
    }
}

integers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

/// The number that was given, not yet known to be finite.
fn floating(raw: &Raw) -> Result<f64, String> {
    let value = match raw {
        Raw::Json(Value::Number(number)) => number.as_f64(),
        Raw::Json(Value::String(text)) if NOT_FINITE.contains(&text.as_str()) => Some(f64::NAN),
        Raw::Json(_) => None,
        Raw::Form(texts) => single(texts)?.trim().parse().ok(),
    };
    value.ok_or_else(|| "must be a number".to_owned())
}

/// JSON has no such numbers; they travel as text to be refused by name instead of turning into `null`.
const NOT_FINITE: [&str; 3] = ["NaN", "inf", "-inf"];

/// A finite number. In JSON a number, not text.
impl OptionValue for f64 {
    fn kind() -> Kind {
        Kind::Float
    }

    fn parse(raw: &Raw, field: &Field) -> Result<Self, String> {
        let value = floating(raw)?;
        if !value.is_finite() {
            return Err("must be a finite number".to_owned());
        }
        within(value, field, Value::as_f64)
    }

    fn to_json(&self) -> Value {
        JsonNumber::from_f64(*self).map_or_else(|| Value::String(self.to_string()), Value::Number)
    }
}

/// A finite number of single precision.
impl OptionValue for f32 {
    fn kind() -> Kind {
        Kind::Float
    }

    fn parse(raw: &Raw, field: &Field) -> Result<Self, String> {
        let value = floating(raw)?;
        let narrowed = narrow(value);
        if !value.is_finite() {
            return Err("must be a finite number".to_owned());
        }
        if !narrowed.is_finite() {
            return Err(format!("must be between {:e} and {:e}", Self::MIN, Self::MAX));
        }
        within(narrowed, field, |bound| bound.as_f64().map(narrow))
    }

    fn to_json(&self) -> Value {
        // The short form, 0.1 and not 0.10000000149011612, wherever it reads back as the same number.
        let short = self.to_string().parse().ok().filter(|short| narrow(*short).to_bits() == self.to_bits());
        short.unwrap_or_else(|| f64::from(*self)).to_json()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "that is what single precision means")]
fn narrow(value: f64) -> f32 {
    value as f32
}

impl Number for f64 {}
impl Number for f32 {}

/// A decimal number, exact. Stored as text; JSON may give a number or text.
#[cfg(feature = "decimal")]
impl OptionValue for rust_decimal::Decimal {
    fn kind() -> Kind {
        Kind::Decimal
    }

    fn parse(raw: &Raw, field: &Field) -> Result<Self, String> {
        let value = match raw {
            Raw::Json(value) => decimal(value),
            Raw::Form(texts) => decimal_text(single(texts)?.trim()),
        };
        within(value.ok_or_else(|| "must be a decimal number of at most 28 digits".to_owned())?, field, decimal)
    }

    fn to_json(&self) -> Value {
        Value::String(self.to_string())
    }
}

#[cfg(feature = "decimal")]
impl Number for rust_decimal::Decimal {}

#[cfg(feature = "decimal")]
fn decimal(value: &Value) -> Option<rust_decimal::Decimal> {
    match value {
        Value::String(text) => decimal_text(text),
        Value::Number(number) => decimal_text(&number.to_string()),
        _ => None,
    }
}

#[cfg(feature = "decimal")]
fn decimal_text(text: &str) -> Option<rust_decimal::Decimal> {
    use rust_decimal::Decimal;
    // Exact: digits that do not fit are refused, not rounded away.
    if text.contains(['e', 'E']) { Decimal::from_scientific(text).ok() } else { Decimal::from_str_exact(text).ok() }
}
