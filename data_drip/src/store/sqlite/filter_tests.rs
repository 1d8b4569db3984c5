//! Filters, as SQLite answers them.

use sea_query::{Expr, Query, SelectStatement};
use sqlx::Row;
use sqlx::sqlite::{Sqlite, SqliteConnection};

use crate::backend::Backend;
use crate::scope::{Filter, Scope, col};
use crate::store::sqlite::testing::File;

const PEOPLE: &str = r#"
    CREATE TABLE "the people" (id INTEGER PRIMARY KEY, name TEXT, age INTEGER, boss INTEGER, "a ""b""" TEXT, raw BLOB);
    INSERT INTO "the people" VALUES (1, 'Ann', 30, NULL, 'x', X'00FF'), (2, 'bob', 17, 1, NULL, NULL), (3, 'O''Hara', NULL, 3, '', X''),
        (4, '100%', 64, 1, '"', NULL);
    CREATE TABLE chosen (person INTEGER); INSERT INTO chosen VALUES (2), (4);
"#;

async fn ids(conn: &mut SqliteConnection, scope: Scope<Sqlite>) -> Vec<i64> {
    let spec = scope.resolve(conn).await.unwrap();
    let mut select: SelectStatement = Query::select();
    select.expr(Expr::cust("id")).from(scope.table.to_ref()).and_where_option(scope.condition(&spec).unwrap());
    Sqlite::fetch(conn, Sqlite::build(&select)).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn each_condition_means_what_it_says() {
    let (_file, mut conn) = File::with(PEOPLE).await;
    let name = String::from("O'Hara");
    for (filter, expected) in [
        (col("name").eq("Ann"), vec![1]),
        (col("name").eq(&name), vec![3]),
        (col("name").ne("Ann"), vec![2, 3, 4]),
        (col("age").lt(30), vec![2]),
        (col("age").le(30_u64), vec![1, 2]),
        (col("age").gt(30_i16), vec![4]),
        (col("name").eq(std::borrow::Cow::Borrowed("Ann")).or(col("age").eq(64)), vec![1, 4]),
        (col("age").between(17, 30), vec![1, 2]),
        (col("age").is_null(), vec![3]),
        (col("a \"b\"").is_not_null(), vec![1, 3, 4]),
        (col("boss").eq(col("id")), vec![3]),
        (col("id").is_in([1, 3, 9]), vec![1, 3]),
        (col("id").is_in(Vec::<i64>::new()), vec![]),
        (col("id").is_not_in([1, 3]), vec![2, 4]),
        (col("id").is_not_in(Vec::<i64>::new()), vec![1, 2, 3, 4]),
        (col("name").like("a%"), vec![1]),
        (col("name").not_like("%n%"), vec![2, 3, 4]),
        (col("raw").eq(vec![0_u8, 255]), vec![1]),
        (col("age").lt(20).or(col("age").gt(60)), vec![2, 4]),
        (col("age").lt(20).or(col("age").gt(60)).and(col("id").ne(2)), vec![4]),
        (col("id").ne(2).and(col("age").lt(20).or(col("age").gt(60))), vec![4]),
        (!col("age").lt(20).or(col("age").gt(60)), vec![1]),
        (!col("age").lt(20).and(col("id").eq(2)), vec![1, 3, 4]),
        (Filter::any([]), vec![]),
        (Filter::all([]), vec![1, 2, 3, 4]),
        (Filter::from(Expr::cust("id IN (SELECT person FROM chosen)")), vec![2, 4]),
        (Filter::from(Expr::cust_with_values("age = ?", [64])), vec![4]),
    ] {
        let shown = format!("{filter:?}");
        assert_eq!(ids(&mut conn, Scope::table("the people").filter(filter)).await, expected, "{shown}");
    }
}

#[tokio::test]
async fn filters_of_a_scope_all_hold_even_beside_text_with_an_or() {
    let (_file, mut conn) = File::with(PEOPLE).await;
    let scope = Scope::table("the people").filter(Expr::cust("id = 1 OR id = 2")).filter(col("age").gt(20));
    assert_eq!(ids(&mut conn, scope).await, [1]);
    let scope = Scope::table("the people")
        .filter_some(None::<i64>, |age| col("age").eq(age))
        .filter_some(Some("bob"), |name| col("name").eq(name))
        .filter_if(false, col("id").eq(1));
    assert_eq!(ids(&mut conn, scope).await, [2]);
}

#[tokio::test]
async fn values_are_bound_and_never_part_of_the_text() {
    let (_file, mut conn) = File::with(PEOPLE).await;
    let evil = "x' OR 1 = 1 --";
    assert_eq!(ids(&mut conn, Scope::table("the people").filter(col("name").eq(evil))).await, [0_i64; 0]);
    let scope =
        Scope::<Sqlite>::table("the people").filter(col("name").is_in([evil, "?"])).filter(col("name").like(evil));
    let spec = scope.resolve(&mut conn).await.unwrap();
    let mut select = Query::select();
    select.expr(Expr::cust("1")).from(scope.table.to_ref()).and_where_option(scope.condition(&spec).unwrap());
    let statement = Sqlite::build(&select);
    assert!(!statement.sql.contains("OR 1"), "{}", statement.sql);
    assert_eq!(statement.values.len(), 3);
}
