//! Filters and values, as PostgreSQL takes them.

use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use sea_query::{Expr, Query, SelectStatement};
use sqlx::postgres::{PgConnection, Postgres};

use crate::backend::Backend;
use crate::scope::{Filter, IntoSetting, IntoValue, Scope, Value, col};
use crate::store::postgres::testing::{Schema, run};

const PEOPLE: &str = r#"
    CREATE TABLE "the people" (id integer PRIMARY KEY, name text, age smallint, boss bigint, "a ""b""" varchar, raw bytea);
    INSERT INTO "the people" VALUES (1, 'Ann', 30, NULL, 'x', '\x00ff'), (2, 'bob', 17, 1, NULL, NULL),
        (3, 'O''Hara', NULL, 3, '', ''), (4, '100%', 64, 1, '"', NULL);
    CREATE TABLE chosen (person integer); INSERT INTO chosen VALUES (2), (4);
"#;

async fn ids(conn: &mut PgConnection, scope: Scope<Postgres>) -> Vec<i64> {
    let spec = scope.resolve(conn).await.unwrap();
    let mut found = Vec::new();
    for condition in [scope.condition(&spec).unwrap(), scope.filters().unwrap()] {
        let mut select: SelectStatement = Query::select();
        select.expr(Expr::cust("id")).from(scope.table.to_ref()).and_where_option(condition);
        select.order_by("id", sea_query::Order::Asc);
        let rows = Postgres::fetch(conn, Postgres::build(&select)).await.unwrap();
        found.push(rows.iter().map(|row| Postgres::int(row, 0).unwrap().unwrap()).collect::<Vec<_>>());
    }
    assert_eq!(found[0], found[1], "what the optimizer must not use means the same");
    found.swap_remove(0)
}

#[tokio::test]
async fn each_condition_means_what_it_says() {
    let Some((_schema, mut conn)) = Schema::with(PEOPLE).await else { return };
    let name = String::from("O'Hara");
    for (filter, expected) in [
        (col("name").eq("Ann"), vec![1]),
        (col("name").eq(&name), vec![3]),
        (col("name").ne("Ann"), vec![2, 3, 4]),
        (col("age").lt(30), vec![2]),
        (col("age").le(30_u64), vec![1, 2]),
        // The same text with another type: not run as it was prepared for the first.
        (col("age").gt(30), vec![4]),
        (col("age").gt(16.5), vec![1, 2, 4]),
        (col("age").lt(u64::MAX), vec![1, 2, 4]),
        (col("name").eq(std::borrow::Cow::Borrowed("Ann")).or(col("age").eq(64)), vec![1, 4]),
        (col("age").between(17, 30), vec![1, 2]),
        (col("age").is_null(), vec![3]),
        (col("a \"b\"").is_not_null(), vec![1, 3, 4]),
        (col("boss").eq(col("id")), vec![3]),
        (col("id").is_in([1, 3, 9]), vec![1, 3]),
        (col("id").is_in(Vec::<i64>::new()), vec![]),
        (col("id").is_not_in([1, 3]), vec![2, 4]),
        (col("name").like("A%"), vec![1]),
        (col("name").not_like("%n%"), vec![2, 3, 4]),
        (col("raw").eq(vec![0_u8, 255]), vec![1]),
        (col("age").lt(20).or(col("age").gt(60)).and(col("id").ne(2)), vec![4]),
        (!col("age").lt(20).or(col("age").gt(60)), vec![1]),
        (Filter::any([]), vec![]),
        (Filter::all([]), vec![1, 2, 3, 4]),
        (Filter::from(Expr::cust("id IN (SELECT person FROM chosen)")), vec![2, 4]),
        (Filter::from(Expr::cust("id = 1 OR id = 2")).and(col("id").gt(1)), vec![2]),
        (Filter::from(Expr::cust_with_values("age = $1", [64])), vec![4]),
        (Filter::from(Expr::cust("'{\"a\": 1}'::jsonb ? 'a'")), vec![1, 2, 3, 4]),
    ] {
        let shown = format!("{filter:?}");
        assert_eq!(ids(&mut conn, Scope::table("the people").filter(filter)).await, expected, "{shown}");
    }
}

#[tokio::test]
async fn values_are_bound_and_never_part_of_the_text() {
    let Some((_schema, mut conn)) = Schema::with(PEOPLE).await else { return };
    let evil = "x' OR 1 = 1 --";
    assert_eq!(ids(&mut conn, Scope::table("the people").filter(col("name").eq(evil))).await, [0_i64; 0]);
}

/// What PostgreSQL makes of a value: its type and its text.
async fn stored(conn: &mut PgConnection, value: impl IntoSetting) -> String {
    let mut select = Query::select();
    let value = Postgres::value(&value.into_setting()).unwrap();
    select.expr(Expr::cust_with_exprs("pg_typeof($1)::text || ' ' || coalesce($2::text, '-')", [value.clone(), value]));
    Postgres::text(&Postgres::fetch(conn, Postgres::build(&select)).await.unwrap()[0], 0).unwrap().unwrap()
}

#[tokio::test]
async fn each_type_is_bound_as_itself_whatever_the_session_has_set() {
    let Some((_schema, mut conn)) = Schema::with("").await else { return };
    let conn = &mut conn;
    run(conn, "SET DateStyle = 'ISO, DMY'; SET TimeZone = 'UTC'").await;
    let day = NaiveDate::from_ymd_opt(2026, 1, 2).unwrap();
    let noon = day.and_hms_nano_opt(12, 0, 5, 250_000_999).unwrap();
    let berlin: DateTime<FixedOffset> = "2026-01-02T12:00:00+01:00".parse().unwrap();
    assert_eq!(stored(conn, true).await, "boolean true");
    assert_eq!(stored(conn, u32::MAX).await, "bigint 4294967295");
    assert_eq!(stored(conn, u64::MAX).await, "numeric 18446744073709551615");
    assert_eq!(stored(conn, 1.5_f32).await, "double precision 1.5");
    assert_eq!(stored(conn, "é'\"").await, "text é'\"");
    assert_eq!(stored(conn, vec![0_u8, 255]).await, "bytea \\x00ff");
    assert_eq!(stored(conn, day).await, "date 2026-01-02");
    assert_eq!(stored(conn, noon.time()).await, "time without time zone 12:00:05.25");
    assert_eq!(stored(conn, noon).await, "timestamp without time zone 2026-01-02 12:00:05.25");
    assert_eq!(stored(conn, noon.and_utc()).await, "timestamp with time zone 2026-01-02 12:00:05.25+00");
    assert_eq!(stored(conn, berlin).await, "timestamp with time zone 2026-01-02 11:00:00+00");
    let caesar = NaiveDate::from_ymd_opt(-43, 3, 15).unwrap();
    assert_eq!(stored(conn, caesar).await, "date 0044-03-15 BC");
    assert_eq!(
        stored(conn, caesar.and_time(noon.time()).and_utc()).await,
        "timestamp with time zone 0044-03-15 12:00:05.25+00 BC"
    );
    assert_eq!(stored(conn, NaiveDate::from_ymd_opt(20_000, 1, 2).unwrap()).await, "date 20000-01-02");
    let uuid = uuid::Uuid::from_u128(0x0102_0304);
    assert_eq!(stored(conn, uuid).await, "uuid 00000000-0000-0000-0000-000001020304");
    assert_eq!(stored(conn, Value::Null).await, "unknown -");
    let _: DateTime<Utc> = noon.and_utc();
    let _ = day.into_value();
}

#[tokio::test]
async fn a_null_is_set_in_a_column_of_any_type() {
    let script = "CREATE TYPE mood AS ENUM ('sad');
        CREATE TABLE t (id integer PRIMARY KEY, i integer, m mood, j jsonb, u uuid, a integer[], t timestamptz);
        INSERT INTO t VALUES (1, 1, 'sad', '{}', gen_random_uuid(), '{1}', now())";
    let Some((_schema, mut conn)) = Schema::with(script).await else { return };
    let mut update = Query::update();
    update.table("t");
    for column in ["i", "m", "j", "u", "a", "t"] {
        update.value(column, Postgres::value(&None::<i64>.into_setting()).unwrap());
    }
    assert_eq!(Postgres::execute(&mut conn, Postgres::build(&update)).await.unwrap(), 1);
}
