//! Dates and times, in the ISO forms that browsers send.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Utc};
use serde_json::Value;

use super::value::single;
use super::{Field, Kind, OptionValue, Raw};

/// The text that was given, and the one message for everything that is no such date or time.
fn read<T>(raw: &Raw, message: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, String> {
    let text = match raw {
        Raw::Json(Value::String(text)) => text,
        Raw::Json(_) => return Err(message.to_owned()),
        Raw::Form(texts) => single(texts)?,
    };
    parse(text.trim()).ok_or_else(|| message.to_owned())
}

/// A day: `2026-01-31`.
impl OptionValue for NaiveDate {
    fn kind() -> Kind {
        Kind::Date
    }

    fn parse(raw: &Raw, _: &Field) -> Result<Self, String> {
        read(raw, "must be a date like 2026-01-31", |text| text.parse().ok())
    }

    fn to_json(&self) -> Value {
        Value::String(self.to_string())
    }
}

/// A time of day: `23:59` or `23:59:59`.
impl OptionValue for NaiveTime {
    fn kind() -> Kind {
        Kind::Time
    }

    fn parse(raw: &Raw, _: &Field) -> Result<Self, String> {
        read(raw, "must be a time like 23:59:59", time)
    }

    fn to_json(&self) -> Value {
        Value::String(self.to_string())
    }
}

/// Date and time without a zone: `2026-01-31T23:59:59`.
impl OptionValue for NaiveDateTime {
    fn kind() -> Kind {
        Kind::NaiveDateTime
    }

    fn parse(raw: &Raw, _: &Field) -> Result<Self, String> {
        read(raw, "must be a date and time like 2026-01-31T23:59:59", date_time)
    }

    fn to_json(&self) -> Value {
        Value::String(format!("{self:?}"))
    }
}

/// A moment. Stored in UTC; text without a zone, as a browser sends it, is read as UTC.
impl OptionValue for DateTime<Utc> {
    fn kind() -> Kind {
        Kind::DateTime
    }

    fn parse(raw: &Raw, _: &Field) -> Result<Self, String> {
        read(raw, "must be a moment like 2026-01-31T23:59:59Z", |text| {
            date_time(text).map(|naive| naive.and_utc()).or_else(|| text.parse().ok())
        })
    }

    fn to_json(&self) -> Value {
        Value::String(self.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

fn time(text: &str) -> Option<NaiveTime> {
    ["%H:%M:%S%.f", "%H:%M"].iter().find_map(|form| NaiveTime::parse_from_str(text, form).ok())
}

fn date_time(text: &str) -> Option<NaiveDateTime> {
    let (date, time_of_day) = text.split_once(['T', ' '])?;
    Some(date.parse::<NaiveDate>().ok()?.and_time(time(time_of_day)?))
}
