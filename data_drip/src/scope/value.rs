//! Values that filters compare with and updates write.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use uuid::Uuid;

/// A value, before a database has given it its form. Always bound, never part of the SQL text.
///
/// Each database gets what sqlx would bind for the same Rust type: on SQLite dates and times are text (a
/// `DateTime<Utc>` as `2026-01-31T10:00:00+00:00`), UUIDs are sixteen bytes; where your column holds another form,
/// bind that form (`uuid.to_string()`, a number of seconds).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is named after what it holds")]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Date(NaiveDate),
    Time(NaiveTime),
    DateTime(NaiveDateTime),
    Timestamp(DateTime<FixedOffset>),
    Uuid(Uuid),
    #[cfg(feature = "decimal")]
    Decimal(rust_decimal::Decimal),
}

/// What can be compared with a column: text, numbers, `bool`, bytes, chrono's dates and times, `Uuid`, and references
/// to them. Implement it for a type of your own to use it in filters and updates.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a value that a column can be compared with",
    label = "not a value",
    note = "an `Option` equals nothing when it is `None`: use `is_null()`, or `scope.filter_some(option, |value| …)`",
    note = "an `OptionEnum` is compared by its `value()`, a method of the trait `data_drip::options::OptionEnum`"
)]
pub trait IntoValue {
    /// The value.
    fn into_value(self) -> Value;
}

/// What an update can write: every value, and an `Option` of it, `None` being NULL.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a value that a column can be set to", label = "not a value")]
pub trait IntoSetting {
    /// The value, [`Value::Null`] for `None`.
    fn into_setting(self) -> Value;
}

impl<T: IntoValue> IntoSetting for T {
    fn into_setting(self) -> Value {
        self.into_value()
    }
}

impl<T: IntoValue> IntoSetting for Option<T> {
    fn into_setting(self) -> Value {
        self.map_or(Value::Null, IntoValue::into_value)
    }
}

impl<T: IntoValue + Clone> IntoSetting for &Option<T> {
    fn into_setting(self) -> Value {
        self.clone().into_setting()
    }
}

impl<T: IntoValue + Clone> IntoValue for &T {
    fn into_value(self) -> Value {
        self.clone().into_value()
    }
}

macro_rules! values {
    ($($type:ty => |$value:ident| $made:expr;)*) => {$(
        impl IntoValue for $type {
            fn into_value(self) -> Value {
                let $value = self;
                $made
            }
        }
    )*};
}

values! {
    bool => |v| Value::Bool(v);
    i8 => |v| Value::Int(v.into());
    i16 => |v| Value::Int(v.into());
    i32 => |v| Value::Int(v.into());
    i64 => |v| Value::Int(v);
    u8 => |v| Value::Int(v.into());
    u16 => |v| Value::Int(v.into());
    u32 => |v| Value::Int(v.into());
    u64 => |v| i64::try_from(v).map_or(Value::UInt(v), Value::Int);
    f32 => |v| Value::Float(v.into());
    f64 => |v| Value::Float(v);
    char => |v| Value::Text(v.into());
    &str => |v| Value::Text(v.to_owned());
    String => |v| Value::Text(v);
    Cow<'_, str> => |v| Value::Text(v.into_owned());
    &[u8] => |v| Value::Bytes(v.to_owned());
    Vec<u8> => |v| Value::Bytes(v);
    NaiveDate => |v| Value::Date(v);
    NaiveTime => |v| Value::Time(v);
    NaiveDateTime => |v| Value::DateTime(v);
    Uuid => |v| Value::Uuid(v);
}

impl<const N: usize> IntoValue for [u8; N] {
    fn into_value(self) -> Value {
        Value::Bytes(self.into())
    }
}

impl<Tz: TimeZone> IntoValue for DateTime<Tz>
where
    Tz::Offset: fmt::Display,
{
    fn into_value(self) -> Value {
        Value::Timestamp(self.fixed_offset())
    }
}

#[cfg(feature = "decimal")]
impl IntoValue for rust_decimal::Decimal {
    fn into_value(self) -> Value {
        Value::Decimal(self)
    }
}

impl IntoValue for Value {
    fn into_value(self) -> Value {
        self
    }
}
