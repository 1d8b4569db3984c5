//! Values as sqlx binds them on SQLite, so that a filter meets what a host's `query!` has written.
//!
//! Written out here, because sqlx's `chrono` and `uuid` features would change what the host's `query!` infers.

use chrono::SecondsFormat;
use sea_query::{Expr, Value as Bound};

use crate::error::{Error, ErrorKind};
use crate::scope::Value;

pub(super) fn bind(value: &Value) -> Result<Expr, Error> {
    let bound: Bound = match value {
        Value::Null => Bound::String(None),
        Value::Bool(v) => (*v).into(),
        Value::Int(v) => (*v).into(),
        Value::UInt(v) => {
            let message = format!("{v} is greater than SQLite's greatest integer, {}", i64::MAX);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Value::Float(v) => (*v).into(),
        Value::Text(v) => v.as_str().into(),
        Value::Bytes(v) => v.clone().into(),
        Value::Date(v) => v.format("%F").to_string().into(),
        Value::Time(v) => v.format("%T%.f").to_string().into(),
        Value::DateTime(v) => v.format("%F %T%.f").to_string().into(),
        Value::Timestamp(v) => v.to_rfc3339_opts(SecondsFormat::AutoSi, false).into(),
        Value::Uuid(v) => v.as_bytes().to_vec().into(),
        // sqlx has no decimals on SQLite. As text it becomes a number where the column holds numbers.
        #[cfg(feature = "decimal")]
        Value::Decimal(v) => v.to_string().into(),
    };
    Ok(Expr::val(bound))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate, Utc};
    use sqlx::Row;

    use super::*;
    use crate::backend::{Backend, Statement};
    use crate::scope::IntoValue;
    use crate::store::sqlite::testing::File;

    /// What SQLite makes of a bound value: its storage class and its text.
    async fn stored(value: impl IntoValue) -> String {
        let (_file, mut conn) = File::with("").await;
        let Expr::Value(bound) = bind(&value.into_value()).unwrap() else { panic!("not a value") };
        let statement = Statement {
            sql: "SELECT typeof(?1) || ':' || CASE typeof(?1) WHEN 'blob' THEN hex(?1) ELSE ?1 END".into(),
            values: vec![bound],
        };
        sqlx::Sqlite::fetch(&mut conn, statement).await.unwrap()[0].get(0)
    }

    #[tokio::test]
    async fn each_type_is_bound_as_sqlx_binds_it() {
        let day = NaiveDate::from_ymd_opt(2026, 1, 31).unwrap();
        let noon = day.and_hms_milli_opt(12, 0, 5, 250).unwrap();
        assert_eq!(stored(true).await, "integer:1");
        assert_eq!(stored(u32::MAX).await, "integer:4294967295");
        assert_eq!(stored(1.5_f32).await, "real:1.5");
        assert_eq!(stored("é'\"").await, "text:é'\"");
        assert_eq!(stored(&String::from("x")).await, "text:x");
        assert_eq!(stored(vec![0_u8, 255]).await, "blob:00FF");
        assert_eq!(stored(day).await, "text:2026-01-31");
        assert_eq!(stored(noon.time()).await, "text:12:00:05.250");
        assert_eq!(stored(noon).await, "text:2026-01-31 12:00:05.250");
        assert_eq!(stored(noon.and_utc()).await, "text:2026-01-31T12:00:05.250+00:00");
        let berlin: DateTime<chrono::FixedOffset> = "2026-01-31T12:00:00+01:00".parse().unwrap();
        assert_eq!(stored(berlin).await, "text:2026-01-31T12:00:00+01:00");
        assert_eq!(stored(DateTime::<Utc>::MIN_UTC.date_naive()).await.split(':').next(), Some("text"));
        let uuid = uuid::Uuid::from_u128(0x0102_0304);
        assert_eq!(stored(uuid).await, "blob:00000000000000000000000001020304");
    }

    #[test]
    fn a_number_beyond_sqlites_is_refused() {
        assert!(bind(&(u64::MAX).into_value()).unwrap_err().to_string().contains("18446744073709551615"));
        assert!(bind(&(i64::MAX as u64).into_value()).is_ok());
    }
}
