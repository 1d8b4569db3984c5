//! Values as sqlx binds them on PostgreSQL, by type.
//!
//! Dates, UUIDs and decimals go as text with a cast, because sqlx's `chrono`, `uuid` and `rust_decimal` features would
//! change what the host's `query!` infers.

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime};
use sea_query::Expr;

use crate::scope::Value;

pub(super) fn bind(value: &Value) -> Expr {
    match value {
        // Without a type: a typed NULL would not fit a column of another.
        Value::Null => Expr::cust("NULL"),
        Value::Bool(v) => Expr::val(*v),
        Value::Int(v) => Expr::val(*v),
        Value::UInt(v) => cast("numeric", v.to_string()),
        Value::Float(v) => Expr::val(*v),
        Value::Text(v) => Expr::val(v.as_str()),
        Value::Bytes(v) => Expr::val(v.clone()),
        Value::Date(v) => cast("date", dated(*v, "")),
        Value::Time(v) => cast("time", time(*v)),
        Value::DateTime(v) => cast("timestamp", date_time(*v, "")),
        Value::Timestamp(v) => cast("timestamptz", date_time(v.naive_utc(), "+00")),
        Value::Uuid(v) => cast("uuid", v.to_string()),
        #[cfg(feature = "decimal")]
        Value::Decimal(v) => cast("numeric", v.to_string()),
    }
}

fn cast(to: &str, text: String) -> Expr {
    Expr::cust_with_expr(format!("CAST($1 AS {to})"), Expr::val(text))
}

/// To the microsecond, cut and not rounded, as sqlx does it.
fn time(time: NaiveTime) -> String {
    time.format("%T%.6f").to_string()
}

fn date_time(at: NaiveDateTime, zone: &str) -> String {
    dated(at.date(), &format!(" {}{zone}", time(at.time())))
}

/// PostgreSQL knows no year 0: it writes 1 BC.
fn dated(date: NaiveDate, rest: &str) -> String {
    let (year, era) = if date.year() > 0 { (date.year(), "") } else { (1 - date.year(), " BC") };
    format!("{year:04}-{:02}-{:02}{rest}{era}", date.month(), date.day())
}
