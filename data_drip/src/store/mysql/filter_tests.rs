//! Filters and values, as MariaDB and MySQL take them.

use chrono::{DateTime, FixedOffset, NaiveDate};
use sea_query::{Expr, Order, Query};
use sqlx::mysql::{MySql, MySqlConnection};

use crate::backend::Backend;
use crate::scope::{Filter, IntoSetting, Scope, Value, col};
use crate::store::mysql::testing::Schema;

const PEOPLE: &str = r#"
    CREATE TABLE `the people` (id int PRIMARY KEY, name varchar(100), age smallint unsigned, boss bigint, `a ``b"` varchar(10), raw blob);
    INSERT INTO `the people` VALUES (1, 'Ann', 30, NULL, 'x', x'00ff'), (2, 'bob', 17, 1, NULL, NULL),
        (3, 'O\'Hara', NULL, 3, '', ''), (4, '100%', 64, 1, '"', NULL);
    CREATE TABLE chosen (person int); INSERT INTO chosen VALUES (2), (4);
"#;

async fn ids(conn: &mut MySqlConnection, scope: Scope<MySql>) -> Vec<i64> {
    let spec = scope.resolve(conn).await.unwrap();
    let mut found = Vec::new();
    for condition in [scope.condition(&spec).unwrap(), scope.filters().unwrap()] {
        let mut select = Query::select();
        select.expr(Expr::cust("id")).from(scope.table.to_ref()).and_where_option(condition);
        select.order_by("id", Order::Asc);
        let rows = MySql::fetch(conn, MySql::build(&select)).await.unwrap();
        found.push(rows.iter().map(|row| MySql::int(row, 0).unwrap().unwrap()).collect::<Vec<_>>());
    }
    assert_eq!(found[0], found[1], "what enters by the key means the same");
    found.swap_remove(0)
}

#[tokio::test]
async fn each_condition_means_what_it_says() {
    let Some((_schema, mut conn)) = Schema::with(PEOPLE).await else { return };
    let name = String::from("O'Hara");
    for (filter, expected) in [
        // By the column's own collation.
        (col("name").eq("ANN"), vec![1]),
        (col("name").eq(&name), vec![3]),
        (col("name").ne("Ann"), vec![2, 3, 4]),
        (col("age").lt(30), vec![2]),
        (col("age").le(30_u64), vec![1, 2]),
        // The same text with another type: not run as it was prepared for the first.
        (col("age").gt(30), vec![4]),
        (col("age").gt(16.5), vec![1, 2, 4]),
        (col("age").gt(-1), vec![1, 2, 4]),
        (col("age").lt(u64::MAX), vec![1, 2, 4]),
        (col("name").eq(std::borrow::Cow::Borrowed("Ann")).or(col("age").eq(64)), vec![1, 4]),
        (col("age").between(17, 30), vec![1, 2]),
        (col("age").is_null(), vec![3]),
        (col("a `b\"").is_not_null(), vec![1, 3, 4]),
        (col("boss").eq(col("id")), vec![3]),
        (col("id").is_in([1, 3, 9]), vec![1, 3]),
        (col("id").is_in(Vec::<i64>::new()), vec![]),
        (col("id").is_not_in([1, 3]), vec![2, 4]),
        (col("name").like("A%"), vec![1]),
        (col("name").like("100\\%"), vec![4]),
        (col("name").not_like("%n%"), vec![2, 3, 4]),
        (col("raw").eq(vec![0_u8, 255]), vec![1]),
        (col("age").lt(20).or(col("age").gt(60)).and(col("id").ne(2)), vec![4]),
        (!col("age").lt(20).or(col("age").gt(60)), vec![1]),
        (Filter::any([]), vec![]),
        (Filter::all([]), vec![1, 2, 3, 4]),
        (Filter::from(Expr::cust("id IN (SELECT person FROM chosen)")), vec![2, 4]),
        (Filter::from(Expr::cust("id = 1 OR id = 2")).and(col("id").gt(1)), vec![2]),
        (Filter::from(Expr::cust_with_values("age = ?", [64])), vec![4]),
    ] {
        let shown = format!("{filter:?}");
        assert_eq!(ids(&mut conn, Scope::table("the people").filter(filter)).await, expected, "{shown}");
    }
}

#[tokio::test]
async fn values_are_bound_and_never_part_of_the_text() {
    let Some((_schema, mut conn)) = Schema::with(PEOPLE).await else { return };
    for evil in ["x' OR 1 = 1 -- ", "x\\' OR 1 = 1 -- ", "\\"] {
        assert_eq!(ids(&mut conn, Scope::table("the people").filter(col("name").eq(evil))).await, [0_i64; 0], "{evil}");
    }
}

/// What the server makes of a value, as text.
async fn stored(conn: &mut MySqlConnection, value: impl IntoSetting) -> String {
    let mut select = Query::select();
    let value = MySql::value(&value.into_setting()).unwrap();
    select.expr(Expr::cust_with_exprs("CONVERT(COALESCE(?, 'nothing') USING utf8mb4)", [value]));
    MySql::text(&MySql::fetch(conn, MySql::build(&select)).await.unwrap()[0], 0).unwrap().unwrap()
}

#[tokio::test]
async fn each_type_is_bound_as_itself() {
    let Some((_schema, mut conn)) = Schema::with("").await else { return };
    let conn = &mut conn;
    let day = NaiveDate::from_ymd_opt(2026, 1, 2).unwrap();
    let noon = day.and_hms_nano_opt(12, 0, 5, 250_000_999).unwrap();
    let berlin: DateTime<FixedOffset> = "2026-01-02T12:00:00+01:00".parse().unwrap();
    assert_eq!(stored(conn, true).await, "1");
    assert_eq!(stored(conn, u64::MAX).await, "18446744073709551615");
    assert_eq!(stored(conn, i64::MIN).await, "-9223372036854775808");
    assert_eq!(stored(conn, 1.5_f32).await, "1.5");
    assert_eq!(stored(conn, "é'\"\\").await, "é'\"\\");
    assert_eq!(stored(conn, day).await, "2026-01-02");
    assert_eq!(stored(conn, noon.time()).await, "12:00:05.250000");
    assert_eq!(stored(conn, noon).await, "2026-01-02 12:00:05.250000");
    assert_eq!(stored(conn, noon.and_utc()).await, "2026-01-02 12:00:05.250000");
    assert_eq!(stored(conn, berlin).await, "2026-01-02 11:00:00.000000");
    assert_eq!(stored(conn, Value::Null).await, "nothing");
}

#[tokio::test]
async fn a_uuid_is_found_in_the_columns_that_are_made_for_it() {
    let script = "CREATE TABLE t (id int PRIMARY KEY, b binary(16) /*M! , u uuid */);
        INSERT INTO t (id, b) VALUES (1, UNHEX('00000000000000000000000001020304')), (2, UNHEX(REPEAT('f', 32)));
        UPDATE t SET /*M! u = b, */ b = b";
    let Some((_schema, mut conn)) = Schema::with(script).await else { return };
    let uuid = uuid::Uuid::from_u128(0x0102_0304);
    assert_eq!(ids(&mut conn, Scope::table("t").filter(col("b").eq(uuid))).await, [1]);
    if MySql::int(&MySql::fetch(&mut conn, version()).await.unwrap()[0], 0).unwrap() == Some(1) {
        assert_eq!(ids(&mut conn, Scope::table("t").filter(col("u").eq(uuid))).await, [1]);
    }
}

/// Whether it is MariaDB.
fn version() -> crate::backend::Statement {
    let mut select = Query::select();
    select.expr(Expr::cust("CAST(VERSION() LIKE '%MariaDB%' AS SIGNED)"));
    MySql::build(&select)
}

#[tokio::test]
async fn a_null_is_set_in_a_column_of_any_type() {
    let script =
        "CREATE TABLE t (id int PRIMARY KEY, i int, m enum('sad'), j json, d decimal(10, 2), t timestamp NULL, b blob);
        INSERT INTO t VALUES (1, 1, 'sad', '{}', 1.5, now(), 'x')";
    let Some((_schema, mut conn)) = Schema::with(script).await else { return };
    let mut update = Query::update();
    update.table("t");
    for column in ["i", "m", "j", "d", "t", "b"] {
        update.value(column, MySql::value(&None::<i64>.into_setting()).unwrap());
    }
    assert_eq!(MySql::execute(&mut conn, MySql::build(&update)).await.unwrap(), 1);
}
