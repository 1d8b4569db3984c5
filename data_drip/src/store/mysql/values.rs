//! Values as sqlx binds them on MySQL, by type.
//!
//! Dates and decimals go as text with a cast, because sqlx's `chrono` and `rust_decimal` features would change what the
//! host's `query!` infers.

use chrono::{NaiveDateTime, NaiveTime};
use sea_query::{Expr, Value as Bound};

use crate::scope::Value;

pub(super) fn bind(value: &Value) -> Expr {
    let bound: Bound = match value {
        Value::Null => return Expr::cust("NULL"),
        Value::Bool(v) => (*v).into(),
        Value::Int(v) => (*v).into(),
        Value::UInt(v) => (*v).into(),
        Value::Float(v) => (*v).into(),
        Value::Text(v) => v.as_str().into(),
        Value::Bytes(v) => v.clone().into(),
        Value::Date(v) => return cast("DATE", v.format("%F").to_string()),
        Value::Time(v) => return cast("TIME(6)", time(*v)),
        Value::DateTime(v) => return cast("DATETIME(6)", date_time(*v)),
        // Connections of sqlx are in UTC.
        Value::Timestamp(v) => return cast("DATETIME(6)", date_time(v.naive_utc())),
        Value::Uuid(v) => v.as_bytes().to_vec().into(),
        #[cfg(feature = "decimal")]
        Value::Decimal(v) => return cast(&format!("DECIMAL(65, {})", v.scale()), v.to_string()),
    };
    Expr::val(bound)
}

pub(super) fn cast(to: &str, text: String) -> Expr {
    Expr::cust_with_expr(format!("CAST(? AS {to})"), Expr::val(text))
}

/// To the microsecond, cut and not rounded, as sqlx does it.
fn time(time: NaiveTime) -> String {
    time.format("%T%.6f").to_string()
}

fn date_time(at: NaiveDateTime) -> String {
    format!("{} {}", at.date().format("%F"), time(at.time()))
}
