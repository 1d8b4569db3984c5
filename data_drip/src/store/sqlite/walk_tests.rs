//! The walk over real files: every matching row in exactly one range, for every kind of key.

use std::fmt::Write;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sqlx::Row;
use sqlx::sqlite::{Sqlite, SqliteConnection};

use crate::backend::{Backend, KeySpec, Statement};
use crate::batch::count_statement;
use crate::key::{Key, KeyRange};
use crate::scope::{Scope, col};
use crate::store::sqlite::testing::{File, attach, run};
use crate::walk::{Pace, Walk};

/// A table with an `n` to tell rows apart and a `hit` to filter by.
struct Kind {
    table: &'static str,
    key: &'static [&'static str],
    named: bool,
    value: fn(u8, u64) -> String,
}

fn integer(seed: u64) -> String {
    let edges = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    match seed % 3 {
        0 => match edges[usize::try_from(seed / 3 % 7).unwrap()] {
            i64::MIN => "(-9223372036854775807 - 1)".into(),
            edge => edge.to_string(),
        },
        _ => (i64::try_from(seed % 400).unwrap() - 200).to_string(),
    }
}

fn text(seed: u64) -> String {
    let words = [
        "",
        "a",
        "A",
        "b",
        "B",
        "é",
        "É",
        "ß",
        "z:z",
        "it''s",
        "\"q\"",
        "😀",
        "10",
        "9",
        "integer:5",
        "%_",
        "aA",
        "Aa",
    ];
    let word = words[usize::try_from(seed % 18).unwrap()];
    match seed / 18 % 4 {
        0 => format!("'{word}'"),
        // An embedded NUL, which ends a C string.
        1 => format!("CAST(X'{:02X}00{:02X}' AS TEXT)", 65 + seed / 72 % 60, 65 + seed / 4_320 % 60),
        _ => format!("'{word}{}'", seed / 72 % 40),
    }
}

fn blob(seed: u64) -> String {
    match seed % 4 {
        0 => "X''".into(),
        1 => format!("X'{:02X}'", seed / 4 % 256),
        _ => format!("X'{:032X}'", u128::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)),
    }
}

const KINDS: &[Kind] = &[
    Kind {
        table: "CREATE TABLE t (k INTEGER PRIMARY KEY, n INTEGER, hit INTEGER)",
        key: &["k"],
        named: false,
        value: |_, s| integer(s),
    },
    Kind {
        table: "CREATE TABLE t (k BIGINT NOT NULL UNIQUE, n INTEGER, hit INTEGER)",
        key: &["k"],
        named: true,
        value: |_, s| integer(s),
    },
    Kind {
        table: "CREATE TABLE t (k TEXT PRIMARY KEY, n INTEGER, hit INTEGER)",
        key: &["k"],
        named: false,
        value: |_, s| text(s),
    },
    Kind {
        table: "CREATE TABLE t (k TEXT NOT NULL COLLATE NOCASE, n INTEGER, hit INTEGER, PRIMARY KEY (k)) WITHOUT ROWID",
        key: &["k"],
        named: false,
        value: |_, s| text(s),
    },
    Kind {
        table: "CREATE TABLE t (k TEXT NOT NULL COLLATE RTRIM UNIQUE, n INTEGER, hit INTEGER)",
        key: &["k"],
        named: true,
        value: |_, s| text(s),
    },
    Kind {
        table: "CREATE TABLE t (k BLOB NOT NULL PRIMARY KEY, n INTEGER, hit INTEGER) STRICT",
        key: &["k"],
        named: false,
        value: |_, s| blob(s),
    },
    Kind {
        table: "CREATE TABLE t (k TIMESTAMP PRIMARY KEY, n INTEGER, hit INTEGER)",
        key: &["k"],
        named: false,
        value: |_, s| {
            format!(
                "'2026-01-{:02} {:02}:{:02}:00{}'",
                s % 28 + 1,
                s / 28 % 24,
                s / 700 % 60,
                if s % 2 == 0 { "" } else { "+01:00" }
            )
        },
    },
    // Its affinity is NUMERIC: texts that look like numbers become numbers, and these do not.
    Kind {
        table: "CREATE TABLE t (k UUID NOT NULL PRIMARY KEY, n INTEGER, hit INTEGER)",
        key: &["k"],
        named: false,
        value: |_, s| {
            format!(
                "'{}'",
                uuid::Uuid::from_u128(u128::from(s).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
            )
        },
    },
    Kind {
        table: "CREATE TABLE t (k UNSIGNED BIG INT NOT NULL UNIQUE, n INTEGER, hit INTEGER)",
        key: &["k"],
        named: true,
        value: |_, s| (s.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 1).to_string(),
    },
    // Every storage class, ordered by SQLite: numbers, text, bytes.
    Kind {
        table: "CREATE TABLE t (k PRIMARY KEY, n INTEGER, hit INTEGER)",
        key: &["k"],
        named: false,
        value: |_, s| match s % 3 {
            0 => integer(s / 3),
            1 => text(s / 3),
            _ => blob(s / 3),
        },
    },
    Kind {
        table: "CREATE TABLE t (k INTEGER PRIMARY KEY DESC, n INTEGER, hit INTEGER)",
        key: &["k"],
        named: false,
        value: |_, s| integer(s),
    },
    Kind {
        table: "CREATE TABLE t (a INTEGER, b TEXT COLLATE NOCASE, n INTEGER, hit INTEGER, PRIMARY KEY (a, b))",
        key: &["a", "b"],
        named: false,
        value: |i, s| if i == 0 { (s % 3).to_string() } else { text(s) },
    },
    Kind {
        table: "CREATE TABLE t (a TEXT, b BLOB, c INTEGER, n INTEGER, hit INTEGER, PRIMARY KEY (a, b, c)) WITHOUT ROWID",
        key: &["a", "b", "c"],
        named: false,
        value: |i, s| match i {
            0 => text(s % 5),
            1 => format!("X'{:02X}'", s % 3),
            _ => integer(s),
        },
    },
    Kind {
        table: "CREATE TABLE t (\"a \"\"b\"\".c\" INT NOT NULL, \"größe\" TEXT NOT NULL, n INTEGER, hit INTEGER, UNIQUE (\"größe\", \"a \"\"b\"\".c\"))",
        key: &["größe", "a \"b\".c"],
        named: true,
        value: |i, s| if i == 0 { text(s % 4) } else { integer(s) },
    },
];

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn filled(kind: &Kind, rows: &[(u64, u64, u64, bool)]) -> (File, SqliteConnection) {
    let mut script = format!("{};BEGIN;", kind.table);
    let columns = kind.key.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
    for (n, (a, b, c, hit)) in rows.iter().enumerate() {
        let values: Vec<_> = (0_u8..).zip([*a, *b, *c]).take(kind.key.len()).map(|(i, s)| (kind.value)(i, s)).collect();
        let values = values.join(", ");
        let _ = write!(script, "INSERT OR IGNORE INTO t ({columns}, n, hit) VALUES ({values}, {n}, {hit});");
    }
    File::with(&(script + "COMMIT")).await
}

fn scope(kind: &Kind, hits_only: bool) -> Scope<Sqlite> {
    let scope = Scope::table("t").filter_if(hits_only, col("hit").eq(true));
    if kind.named { scope.key(kind.key.iter().map(ToString::to_string).collect::<Vec<_>>()) } else { scope }
}

/// Walks to the end; each range with what was seen in it.
async fn walked(
    conn: &mut SqliteConnection,
    scope: &Scope<Sqlite>,
    spec: &KeySpec,
    pace: &mut Pace,
    size: u64,
) -> Vec<(KeyRange, u64)> {
    let session = attach(conn).await.unwrap();
    let walk = Walk::new(scope, spec);
    let Some(upto) = walk.upper(conn).await.unwrap() else { return Vec::new() };
    let (mut found, mut cursor, mut rounds) = (Vec::new(), None::<Key>, 0);
    loop {
        let step = walk.step(conn, &session, pace, cursor.as_ref(), &upto, size, 3).await.unwrap();
        assert!(step.batches.len() <= 3);
        assert_ne!(step.cursor, cursor, "each step gets on");
        found.extend(step.batches);
        cursor = step.cursor;
        rounds += 1;
        assert!(rounds < 10_000);
        if step.done {
            assert_eq!(cursor, Some(upto));
            return found;
        }
    }
}

async fn numbers(conn: &mut SqliteConnection, scope: &Scope<Sqlite>, spec: &KeySpec, range: &KeyRange) -> Vec<i64> {
    let Statement { sql, values } = count_statement(scope, spec, range).unwrap();
    let statement = Statement { sql: sql.replace("COUNT(*)", "n").into(), values };
    Sqlite::fetch(conn, statement).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn covers_each_row_once(kind: &Kind, rows: &[(u64, u64, u64, bool)], size: u64, hits_only: bool, mut pace: Pace) {
    let (_file, mut conn) = filled(kind, rows).await;
    let scope = scope(kind, hits_only);
    let spec = scope.resolve(&mut conn).await.unwrap();
    let ranges = walked(&mut conn, &scope, &spec, &mut pace, size).await;
    let mut covered = Vec::new();
    for (range, seen) in &ranges {
        let here = numbers(&mut conn, &scope, &spec, range).await;
        assert_eq!(here.len() as u64, *seen, "{range} in {}", kind.table);
        assert!((1..=size).contains(seen), "{range} holds {seen}");
        covered.extend(here);
    }
    covered.sort_unstable();
    let all = if hits_only { "SELECT n FROM t WHERE hit ORDER BY n" } else { "SELECT n FROM t ORDER BY n" };
    let all: Vec<i64> = sqlx::query_scalar(all).fetch_all(&mut conn).await.unwrap();
    assert_eq!(covered, all, "in {}", kind.table);
}

#[test]
fn ranges_cover_every_matching_row_exactly_once_for_every_kind_of_key() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let row = (any::<u64>(), any::<u64>(), any::<u64>(), prop::bool::weighted(0.4));
    let case =
        (0..KINDS.len(), prop::collection::vec(row, 0..120), 1_u64..20, any::<bool>(), prop::option::of(1_u64..30));
    TestRunner::new(Config { cases: 150, max_shrink_iters: 50, failure_persistence: None, ..Config::default() })
        .run(&case, |(kind, rows, size, hits_only, stride)| {
            let pace = stride.map_or_else(Pace::default, Pace::striding);
            runtime.block_on(covers_each_row_once(&KINDS[kind], &rows, size, hits_only, pace));
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn each_kind_of_key_is_walked_with_many_rows() {
    for kind in KINDS {
        let rows: Vec<_> = (0..400_u64).map(|i| (i * 7_919, i * 104_729, i * 31, i % 3 == 0)).collect();
        for pace in [Pace::default(), Pace::striding(7)] {
            covers_each_row_once(kind, &rows, 11, true, pace.clone()).await;
            covers_each_row_once(kind, &rows, 1, false, pace).await;
        }
    }
}

/// Each statement that reads by the key is answered from it, and without sorting.
#[tokio::test]
async fn the_plan_searches_by_the_key_and_never_sorts() {
    for kind in KINDS {
        let rows: Vec<_> = (0..60_u64).map(|i| (i * 7_919, i * 104_729, i * 31, true)).collect();
        let (_file, mut conn) = filled(kind, &rows).await;
        run(&mut conn, "CREATE INDEX by_hit ON t (hit, n)").await;
        let scope = scope(kind, true);
        let spec = scope.resolve(&mut conn).await.unwrap();
        let session = attach(&mut conn).await.unwrap();
        let walk = Walk::new(&scope, &spec);
        let upto = walk.upper(&mut conn).await.unwrap().unwrap();
        let page = walk.step(&mut conn, &session, &mut Pace::default(), None, &upto, 5, 1).await.unwrap();
        let range = page.batches[0].0.clone();
        for (what, statement) in walk.statements(Some(&range.upto), &upto, 5) {
            let plan = explain(&mut conn, statement).await;
            assert!(
                plan.contains("SEARCH t USING") && plan.contains('>') && !plan.contains("SCAN t"),
                "{what} on {}:\n{plan}",
                kind.table
            );
            // One row is picked out of a page of a composite key; that is sorted, and nothing else.
            let sorted = plan.matches("TEMP B-TREE").count();
            assert!(sorted <= usize::from(kind.key.len() > 1), "{what} on {}:\n{plan}", kind.table);
        }
        let range = KeyRange { after: Some(range.upto), upto };
        let plan = explain(&mut conn, count_statement(&scope, &spec, &range).unwrap()).await;
        assert!(
            plan.contains("SEARCH t USING") && plan.contains('>') && !plan.contains("TEMP"),
            "{}:\n{plan}",
            kind.table
        );
    }
}

async fn explain(conn: &mut SqliteConnection, statement: Statement) -> String {
    let statement = Statement { sql: format!("EXPLAIN QUERY PLAN {}", statement.sql).into(), values: statement.values };
    let rows = Sqlite::fetch(conn, statement).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail") + "\n").collect()
}

#[tokio::test]
async fn an_index_of_the_filter_in_another_order_is_not_entered() {
    let (_file, mut conn) = File::with(
        "CREATE TABLE t (k TEXT NOT NULL PRIMARY KEY, hit INTEGER); CREATE INDEX by_hit ON t (hit);
         CREATE TABLE u (k INTEGER PRIMARY KEY, hit INTEGER); CREATE INDEX by_hit_u ON u (hit)",
    )
    .await;
    let scope = Scope::<Sqlite>::table("t").filter(col("hit").eq(1));
    assert!(scope.resolve(&mut conn).await.unwrap().by_key_only);
    // Here the index has the key behind its own column, and serves.
    let scope = Scope::<Sqlite>::table("u").filter(col("hit").eq(1));
    assert!(!scope.resolve(&mut conn).await.unwrap().by_key_only);
    let scope = Scope::<Sqlite>::table("t");
    assert!(!scope.resolve(&mut conn).await.unwrap().by_key_only);
}

#[tokio::test]
async fn a_key_that_cannot_be_named_is_an_error_and_not_a_gap() {
    let (_file, mut conn) = File::with("CREATE TABLE t (k PRIMARY KEY); INSERT INTO t VALUES (1), (2.5), (3)").await;
    let scope = Scope::<Sqlite>::table("t");
    let spec = scope.resolve(&mut conn).await.unwrap();
    let session = attach(&mut conn).await.unwrap();
    let walk = Walk::new(&scope, &spec);
    let upto = walk.upper(&mut conn).await.unwrap().unwrap();
    let error = walk.step(&mut conn, &session, &mut Pace::default(), None, &upto, 2, 9).await.unwrap_err();
    assert!(error.to_string().contains("floating-point number 2.5"), "{error}");
}

#[tokio::test]
async fn a_null_inside_a_key_is_found_where_it_would_be_passed_over() {
    let setup = "CREATE TABLE t (a INTEGER, b INTEGER, PRIMARY KEY (a, b));
         INSERT INTO t VALUES (1, 1), (1, 2), (2, NULL), (2, 1), (2, 2), (3, 1)";
    let (_file, mut conn) = File::with(setup).await;
    let scope = Scope::<Sqlite>::table("t");
    let spec = scope.resolve(&mut conn).await.unwrap();
    let session = attach(&mut conn).await.unwrap();
    let walk = Walk::new(&scope, &spec);
    let upto = walk.upper(&mut conn).await.unwrap().unwrap();
    let error = walk.step(&mut conn, &session, &mut Pace::default(), None, &upto, 3, 9).await.unwrap_err();
    assert!(error.to_string().contains("`b` of `t` holds NULL"), "{error}");
    // Where no boundary stands beside it, it is in a range.
    let step = walk.step(&mut conn, &session, &mut Pace::default(), None, &upto, 9, 9).await.unwrap();
    assert_eq!(step.batches[0].1, 6);
}

#[tokio::test]
async fn a_count_is_exact_in_time_and_says_when_it_is_not() {
    let (_file, mut conn) = File::with(
        "CREATE TABLE t (k INTEGER PRIMARY KEY, hit INTEGER);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) INSERT INTO t SELECT i, i % 4 = 0 FROM n",
    )
    .await;
    let session = attach(&mut conn).await.unwrap();
    let scope = Scope::<Sqlite>::table("t").filter(col("hit").eq(true));
    let spec = scope.resolve(&mut conn).await.unwrap();
    let walk = Walk::new(&scope, &spec);
    let upto = walk.upper(&mut conn).await.unwrap().unwrap();
    let total = walk.count(&mut conn, &session, None, &upto, Duration::from_mins(1)).await.unwrap();
    assert_eq!((total.count, total.exact), (25_000, true));
    assert_eq!(walk.any(&mut conn, &session, Duration::from_mins(1)).await.unwrap(), Some(true));
    // A filter that is slow to work out, so that counting strikes its budget and the samples do not.
    let slow = sea_query::Expr::cust("hit = 1 AND length(hex(zeroblob(200 + k))) > 5");
    let scope = Scope::<Sqlite>::table("t").filter(slow);
    let total =
        Walk::new(&scope, &spec).count(&mut conn, &session, None, &upto, Duration::from_millis(400)).await.unwrap();
    assert!(!total.exact, "{total:?}");
}

/// The filter makes half a megabyte of noise for each row: more than any budget for all of them.
#[tokio::test]
async fn a_filter_that_strikes_the_budget_is_walked_in_strides_and_covers_each_row_once() {
    let (_file, mut conn) = File::with(
        "CREATE TABLE t (k INTEGER PRIMARY KEY, n INTEGER, hit INTEGER);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
         INSERT INTO t SELECT i * 3, i, i % 100 = 0 OR i = 1 FROM n",
    )
    .await;
    let slow = "CASE WHEN length(hex(randomblob(500000))) > 5 THEN hit ELSE 0 END";
    let scope = Scope::<Sqlite>::table("t").filter(sea_query::Expr::cust(slow));
    let spec = scope.resolve(&mut conn).await.unwrap();
    let mut pace = Pace::default();
    assert!(!pace.is_striding());
    let ranges = walked(&mut conn, &scope, &spec, &mut pace, 1_000).await;
    assert!(pace.is_striding(), "the budget was enough: {pace:?}");
    let mut covered = Vec::new();
    for (range, seen) in &ranges {
        let here = numbers(&mut conn, &scope, &spec, range).await;
        assert_eq!(here.len() as u64, *seen, "{range}");
        covered.extend(here);
    }
    assert_eq!(covered, [1, 100, 200, 300, 400, 500, 600]);
    for (range, _) in &ranges {
        let bound = |key: &Key| key.to_string().parse::<i64>().unwrap() / 3;
        let rows = bound(&range.upto) - range.after.as_ref().map_or(0, bound);
        assert!(rows <= 312, "{range} spans {rows} rows, and user code would scan them in one statement");
    }
}
