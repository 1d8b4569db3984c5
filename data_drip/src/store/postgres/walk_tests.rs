//! The walk over real tables: every matching row in exactly one range, for every kind of key, by the index of the key.

use std::fmt::Write;
use std::time::Duration;

use sqlx::postgres::{PgConnection, Postgres};
use sqlx::{Executor, Row};

use crate::backend::{Backend, KeySpec, Statement};
use crate::batch::count_statement;
use crate::key::{Key, KeyRange};
use crate::scope::{Scope, col};
use crate::store::postgres::testing::{Schema, extension, run};
use crate::walk::{Pace, Walk};

/// A table with an `n` to tell rows apart and a `hit` to filter by.
struct Kind {
    /// What has to be there before, and the columns of the key with their index.
    setup: &'static str,
    columns: &'static str,
    key: &'static [&'static str],
    named: bool,
    value: fn(u8, u64) -> String,
}

fn integer(least: i64, greatest: i64, seed: u64) -> String {
    let edges = [least, least + 1, -1, 0, 1, greatest - 1, greatest];
    match seed % 3 {
        0 => format!("({})", i128::from(edges[usize::try_from(seed / 3 % 7).unwrap()])),
        _ => (i64::try_from(seed % 400).unwrap() - 200).to_string(),
    }
}

fn text(seed: u64) -> String {
    let words =
        ["", "a", "A", "b", "B", "é", "É", "ß", "z:z", "it''s", "\"q\"", "😀", "10", "9", "int:5", "%_", "aA", "a "];
    let word = words[usize::try_from(seed % 18).unwrap()];
    if (seed / 18).is_multiple_of(3) { format!("'{word}'") } else { format!("'{word}{}'", seed / 54 % 40) }
}

fn uuid(seed: u64) -> String {
    let bits = u128::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    format!("'{}'", uuid::Uuid::from_u128(bits))
}

fn moment(seed: u64) -> String {
    match seed % 13 {
        0 => "'infinity'".into(),
        1 => "'-infinity'".into(),
        2 => format!("'00{:02}-03-15 01:02:03 BC'", seed % 90 + 10),
        // Before there were time zones a place's own time was off by seconds.
        3 => format!("'1850-01-01 00:00:{:02}.5'", seed % 60),
        _ => format!("'2026-{:02}-{:02} {:02}:00:00.{:06}'", seed % 12 + 1, seed % 28 + 1, seed % 24, seed % 1_000_000),
    }
}

const KINDS: &[Kind] = &[
    Kind {
        setup: "",
        columns: "k bigint PRIMARY KEY",
        key: &["k"],
        named: false,
        value: |_, s| integer(i64::MIN, i64::MAX, s),
    },
    Kind {
        setup: "",
        columns: "k integer NOT NULL UNIQUE",
        key: &["k"],
        named: true,
        value: |_, s| integer(i32::MIN.into(), i32::MAX.into(), s),
    },
    Kind {
        setup: "",
        columns: "k smallint PRIMARY KEY",
        key: &["k"],
        named: false,
        value: |_, s| integer(i16::MIN.into(), i16::MAX.into(), s),
    },
    Kind { setup: "", columns: "k text PRIMARY KEY", key: &["k"], named: false, value: |_, s| text(s) },
    Kind { setup: "", columns: "k varchar(10) PRIMARY KEY", key: &["k"], named: false, value: |_, s| text(s) },
    Kind { setup: "", columns: "k char(10) PRIMARY KEY", key: &["k"], named: false, value: |_, s| text(s) },
    Kind { setup: "", columns: "k bpchar PRIMARY KEY", key: &["k"], named: false, value: |_, s| text(s) },
    Kind {
        setup: "",
        columns: "k text COLLATE \"und-x-icu\" PRIMARY KEY",
        key: &["k"],
        named: false,
        value: |_, s| text(s),
    },
    Kind {
        setup: "CREATE COLLATION either_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        columns: "k text COLLATE either_case PRIMARY KEY",
        key: &["k"],
        named: false,
        value: |_, s| text(s),
    },
    Kind { setup: "", columns: "k public.citext PRIMARY KEY", key: &["k"], named: false, value: |_, s| text(s) },
    Kind { setup: "", columns: "k uuid PRIMARY KEY", key: &["k"], named: false, value: |_, s| uuid(s) },
    Kind {
        setup: "",
        columns: "k bytea PRIMARY KEY",
        key: &["k"],
        named: false,
        value: |_, s| match s % 4 {
            0 => "''".into(),
            1 => format!("'\\x{:02x}'", s / 4 % 256),
            _ => format!("'\\x{:016x}'", s.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        },
    },
    Kind { setup: "", columns: "k timestamptz PRIMARY KEY", key: &["k"], named: false, value: |_, s| moment(s) },
    Kind { setup: "", columns: "k timestamp PRIMARY KEY", key: &["k"], named: false, value: |_, s| moment(s) },
    Kind {
        setup: "",
        columns: "k date PRIMARY KEY",
        key: &["k"],
        named: false,
        value: |_, s| if s % 9 == 0 { "'infinity'".into() } else { format!("date '0020-01-01 BC' + {}", s % 900_000) },
    },
    Kind {
        setup: "",
        columns: "k time PRIMARY KEY",
        key: &["k"],
        named: false,
        value: |_, s| format!("'{:02}:{:02}:00.{:06}'", s % 24, s % 60, s % 1_000_000),
    },
    Kind {
        setup: "",
        columns: "k numeric PRIMARY KEY",
        key: &["k"],
        named: false,
        value: |_, s| match s % 7 {
            0 => "'NaN'".into(),
            1 => format!("1e-{}", s % 300),
            2 => format!("-1e{}", s % 300),
            // Equal to others but for its scale.
            _ => format!("{}.{:0width$}", s % 40, 0, width = usize::try_from(s % 5 + 1).unwrap()),
        },
    },
    Kind {
        setup: "CREATE TYPE \"Mood: of today\" AS ENUM ('sad', 'ok', 'it''s \"fine\"', 'a:b', 'happy')",
        columns: "k \"Mood: of today\" PRIMARY KEY",
        key: &["k"],
        named: false,
        value: |_, s| ["'sad'", "'ok'", "'it''s \"fine\"'", "'a:b'", "'happy'"][usize::try_from(s % 5).unwrap()].into(),
    },
    Kind {
        setup: "CREATE DOMAIN code AS varchar(8) CHECK (value <> 'no'); CREATE DOMAIN short_code AS code NOT NULL",
        columns: "k short_code NOT NULL UNIQUE",
        key: &["k"],
        named: true,
        value: |_, s| text(s),
    },
    Kind {
        setup: "",
        columns: "k boolean PRIMARY KEY",
        key: &["k"],
        named: false,
        value: |_, s| (s % 2 == 0).to_string(),
    },
    Kind {
        setup: "",
        columns: "k inet PRIMARY KEY",
        key: &["k"],
        named: false,
        value: |_, s| format!("'10.{}.{}.1/{}'", s % 256, s / 256 % 256, s % 17 + 8),
    },
    Kind {
        setup: "",
        columns: "k bigint NOT NULL, CONSTRAINT other CHECK (true)); CREATE UNIQUE INDEX down ON t (k DESC",
        key: &["k"],
        named: true,
        value: |_, s| integer(i64::MIN, i64::MAX, s),
    },
    Kind {
        setup: "",
        columns: "a integer, b text COLLATE \"und-x-icu\", PRIMARY KEY (a, b)",
        key: &["a", "b"],
        named: false,
        value: |i, s| if i == 0 { (s % 3).to_string() } else { text(s) },
    },
    Kind {
        setup: "",
        columns: "a public.citext, b timestamptz, c smallint, PRIMARY KEY (a, b, c)",
        key: &["a", "b", "c"],
        named: false,
        value: |i, s| match i {
            0 => text(s % 5),
            1 => moment(s % 4),
            _ => (s % 30_000).to_string(),
        },
    },
    Kind {
        setup: "",
        columns: "\"a \"\"b\"\".c$1?\" int NOT NULL, \"größe\" uuid NOT NULL, UNIQUE (\"größe\", \"a \"\"b\"\".c$1?\")",
        key: &["größe", "a \"b\".c$1?"],
        named: true,
        value: |i, s| if i == 0 { uuid(s % 4) } else { integer(i32::MIN.into(), i32::MAX.into(), s) },
    },
];

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `None` where no server is named. The rows are analysed, so that the plans are those of real tables.
async fn filled(kind: &Kind, rows: u64) -> Option<(Schema, PgConnection)> {
    extension("citext").await?;
    let (schema, mut conn) = Schema::with(kind.setup).await?;
    let mut script = format!("CREATE TABLE t (n integer, hit boolean, {});", kind.columns);
    let columns = kind.key.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
    let mut lines = Vec::new();
    for n in 0..rows {
        let seeds = [n.wrapping_mul(7_919), n.wrapping_mul(104_729), n * 31];
        let values = (0_u8..).zip(seeds).take(kind.key.len()).map(|(i, seed)| (kind.value)(i, seed));
        lines.push(format!("({}, {n}, {})", values.collect::<Vec<_>>().join(", "), n % 3 == 0));
    }
    if !lines.is_empty() {
        let _ = write!(script, "INSERT INTO t ({columns}, n, hit) VALUES {} ON CONFLICT DO NOTHING;", lines.join(", "));
    }
    run(&mut conn, &(script + "ANALYZE t")).await;
    Some((schema, conn))
}

fn scope(kind: &Kind, hits_only: bool) -> Scope<Postgres> {
    let scope = Scope::table("t").filter_if(hits_only, col("hit").eq(true));
    if kind.named { scope.key(kind.key.iter().map(ToString::to_string).collect::<Vec<_>>()) } else { scope }
}

/// Walks to the end with a session whose settings change between the steps; each range with what was seen in it.
async fn walked(
    schema: &Schema,
    conn: &mut PgConnection,
    scope: &Scope<Postgres>,
    spec: &KeySpec,
    pace: &mut Pace,
    size: u64,
) -> Vec<(KeyRange, u64)> {
    let session = schema.session(conn).await;
    let walk = Walk::new(scope, spec);
    let Some(upto) = walk.upper(conn).await.unwrap() else { return Vec::new() };
    let (mut found, mut cursor, mut rounds) = (Vec::new(), None::<Key>, 0);
    loop {
        let settings = SETTINGS[rounds % SETTINGS.len()];
        conn.execute(settings).await.unwrap();
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

/// What a host may set for its sessions, and what would change how keys are printed or read.
const SETTINGS: &[&str] = &[
    "SET DateStyle = 'ISO, MDY'; SET TimeZone = 'UTC'; SET bytea_output = 'hex'; SET extra_float_digits = 1",
    "SET DateStyle = 'German, DMY'; SET TimeZone = 'Asia/Kolkata'; SET bytea_output = 'escape'",
    "SET DateStyle = 'SQL, DMY'; SET TimeZone = 'America/New_York'; SET extra_float_digits = -5",
    "SET DateStyle = 'Postgres, MDY'; SET TimeZone = 'Europe/Amsterdam'; SET IntervalStyle = 'sql_standard'",
];

async fn numbers(conn: &mut PgConnection, scope: &Scope<Postgres>, spec: &KeySpec, range: &KeyRange) -> Vec<i32> {
    let Statement { sql, values } = count_statement(scope, spec, range).unwrap();
    let statement = Statement { sql: sql.replace("COUNT(*)", "n").into(), values };
    Postgres::fetch(conn, statement).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn covers_each_row_once(kind: &Kind, rows: u64, size: u64, hits_only: bool, mut pace: Pace) {
    let Some((schema, mut conn)) = filled(kind, rows).await else { return };
    let scope = scope(kind, hits_only);
    let spec = scope.resolve(&mut conn).await.unwrap();
    let ranges = walked(&schema, &mut conn, &scope, &spec, &mut pace, size).await;
    let mut covered = Vec::new();
    for (range, seen) in &ranges {
        let here = numbers(&mut conn, &scope, &spec, range).await;
        assert_eq!(here.len() as u64, *seen, "{range} in {}", kind.columns);
        assert!((1..=size).contains(seen), "{range} holds {seen}");
        covered.extend(here);
    }
    covered.sort_unstable();
    let all = if hits_only { "SELECT n FROM t WHERE hit ORDER BY n" } else { "SELECT n FROM t ORDER BY n" };
    let all: Vec<i32> = sqlx::query_scalar(all).fetch_all(&mut conn).await.unwrap();
    assert_eq!(covered, all, "in {}", kind.columns);
}

#[tokio::test]
async fn each_kind_of_key_is_walked_whatever_the_session_has_set() {
    for kind in KINDS {
        for pace in [Pace::default(), Pace::paging(64), Pace::striding(7)] {
            covers_each_row_once(kind, 200, 11, true, pace.clone()).await;
            covers_each_row_once(kind, 60, 1, false, pace).await;
        }
        covers_each_row_once(kind, 0, 5, false, Pace::default()).await;
        covers_each_row_once(kind, 1, 5, false, Pace::default()).await;
    }
}

/// Each statement that reads by the key is answered from its index, from where the range begins, and without sorting.
#[tokio::test]
async fn the_keyset_predicate_is_an_index_condition() {
    for kind in KINDS {
        let Some((schema, mut conn)) = filled(kind, 2_000).await else { return };
        run(&mut conn, "CREATE INDEX by_hit ON t (hit, n); ANALYZE t; SET enable_seqscan = off").await;
        let scope = scope(kind, true);
        let spec = scope.resolve(&mut conn).await.unwrap();
        let session = schema.session(&mut conn).await;
        let walk = Walk::new(&scope, &spec);
        let upto = walk.upper(&mut conn).await.unwrap().unwrap();
        let page = walk.step(&mut conn, &session, &mut Pace::default(), None, &upto, 5, 1).await.unwrap();
        let range = page.batches[0].0.clone();
        let by_max = spec.types[0].sql.contains("int") && kind.key.len() == 1;
        for generic in ["auto", "force_generic_plan"] {
            run(&mut conn, &format!("SET plan_cache_mode = {generic}")).await;
            for (what, statement) in walk.statements(Some(&range.upto), &upto, 5) {
                let chained = what == "filtered reads";
                if chained {
                    // Also where a page is greater than what is guessed to be left.
                    let [.., (_, greater)] = &walk.statements(Some(&range.upto), &upto, 10_000)[..] else { panic!() };
                    for statement in [&statement, greater] {
                        let mut reads = Postgres::begin_reads(&mut conn, Duration::from_mins(1)).await.unwrap();
                        let plan = explain(reads.conn(), statement.clone()).await;
                        assert_by_key(&plan, kind, what, 2);
                        assert_eq!(plan.matches("Recursive Union").count(), 1, "{plan}");
                        assert!(!plan.contains("Bitmap"), "{what} on {}:\n{plan}", kind.columns);
                        let sorted = plan.matches("Sort Key").count();
                        // The last one of each of the two pages, and the pages.
                        assert!(sorted <= 1 + 2 * usize::from(!by_max), "{what} on {}:\n{plan}", kind.columns);
                        reads.end().await.unwrap();
                    }
                    continue;
                }
                let plan = explain(&mut conn, statement).await;
                assert_by_key(&plan, kind, what, 1);
                // One row is picked out of a page; that is sorted, and nothing else.
                let sorted = plan.matches("Sort Key").count();
                assert!(sorted <= usize::from(!by_max), "{what} on {}:\n{plan}", kind.columns);
            }
            let range = KeyRange { after: Some(range.upto.clone()), upto: upto.clone() };
            let plan = explain(&mut conn, count_statement(&scope, &spec, &range).unwrap()).await;
            assert_by_key(&plan, kind, "batch", 1);
        }
    }
}

fn assert_by_key(plan: &str, kind: &Kind, what: &str, reads: usize) {
    let conditions: Vec<_> = plan.lines().filter(|line| line.contains("Index Cond")).collect();
    let keyset = |line: &&str| line.contains('>') && line.contains("<=");
    assert!(
        conditions.len() == reads && conditions.iter().all(keyset) && !plan.contains("by_hit"),
        "{what} on {}:\n{plan}",
        kind.columns
    );
}

/// Pages that take too long together are read one by one, and the table by strides only when one is too long by itself.
#[tokio::test]
async fn pages_that_are_too_much_for_one_statement_are_read_one_by_one() {
    let Some((schema, mut conn)) = Schema::with("CREATE TABLE t (n integer PRIMARY KEY)").await else { return };
    let setup =
        "INSERT INTO t SELECT generate_series(1, 9); ANALYZE t; SET enable_seqscan = off; SET enable_bitmapscan = off";
    run(&mut conn, setup).await;
    let slow = sea_query::Expr::cust("(n < 4 OR pg_sleep(30) IS NOT NULL)");
    let scope = Scope::<Postgres>::table("t").filter(slow);
    let spec = scope.resolve(&mut conn).await.unwrap();
    let session = schema.session(&mut conn).await;
    let walk = Walk::new(&scope, &spec);
    let upto = walk.upper(&mut conn).await.unwrap().unwrap();
    let mut pace = Pace::paging(64);
    let step = walk.step(&mut conn, &session, &mut pace, None, &upto, 1, 64).await.unwrap();
    assert_eq!(step.batches.len(), 3);
    assert!(!pace.is_striding());

    let scope = Scope::<Postgres>::table("t");
    let walk = Walk::new(&scope, &spec);
    let step = walk.step(&mut conn, &session, &mut Pace::paging(64), None, &upto, 2, 64).await.unwrap();
    assert_eq!(step.batches.iter().map(|(_, rows)| *rows).collect::<Vec<_>>(), [2, 2, 2, 2, 1]);
    assert!(step.done);
}

async fn explain(conn: &mut PgConnection, statement: Statement) -> String {
    let statement = Statement { sql: format!("EXPLAIN {}", statement.sql).into(), values: statement.values };
    let rows = Postgres::fetch(conn, statement).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0) + "\n").collect()
}

#[tokio::test]
async fn a_count_is_exact_in_time_and_says_when_it_is_not() {
    let Some((schema, mut conn)) = Schema::with(
        "CREATE TABLE t (k integer PRIMARY KEY, hit boolean);
         INSERT INTO t SELECT i, i % 4 = 0 FROM generate_series(1, 100000) AS i; ANALYZE t",
    )
    .await
    else {
        return;
    };
    let session = schema.session(&mut conn).await;
    let scope = Scope::<Postgres>::table("t").filter(col("hit").eq(true));
    let spec = scope.resolve(&mut conn).await.unwrap();
    let walk = Walk::new(&scope, &spec);
    let upto = walk.upper(&mut conn).await.unwrap().unwrap();
    let total = walk.count(&mut conn, &session, None, &upto, Duration::from_mins(1)).await.unwrap();
    assert_eq!((total.count, total.exact), (25_000, true));
    assert_eq!(walk.any(&mut conn, &session, Duration::from_mins(1)).await.unwrap(), Some(true));
    // A filter that would take minutes: the count strikes its budget, and nothing runs on behind it.
    let slow = sea_query::Expr::cust("pg_sleep(0.01) IS NOT NULL");
    let scope = Scope::<Postgres>::table("t").filter(slow);
    let walk = Walk::new(&scope, &spec);
    let total = walk.count(&mut conn, &session, None, &upto, Duration::from_millis(200)).await.unwrap();
    assert!(!total.exact, "{total:?}");
    assert_eq!(walk.any(&mut conn, &session, Duration::from_mins(1)).await.unwrap(), Some(true));
    let never = sea_query::Expr::cust("pg_sleep(0.01) IS NULL");
    let scope = Scope::<Postgres>::table("t").filter(never);
    let any = Walk::new(&scope, &spec).any(&mut conn, &session, Duration::from_millis(50)).await.unwrap();
    assert_eq!(any, None);
    let timeout: String = sqlx::query_scalar("SHOW statement_timeout").fetch_one(&mut conn).await.unwrap();
    assert_eq!(timeout, "0", "the deadline ended with its statement");
}

#[tokio::test]
async fn a_partitioned_table_is_walked_over_all_its_partitions() {
    let Some((schema, mut conn)) = Schema::with(
        "CREATE TABLE t (n integer, hit boolean, k integer, region text, PRIMARY KEY (k, region)) PARTITION BY LIST (region);
         CREATE TABLE t_a PARTITION OF t FOR VALUES IN ('a'); CREATE TABLE t_b PARTITION OF t FOR VALUES IN ('b', 'c');
         INSERT INTO t SELECT i, i % 3 = 0, i, substr('abc', i % 3 + 1, 1) FROM generate_series(1, 500) AS i; ANALYZE t",
    )
    .await
    else {
        return;
    };
    let scope = Scope::<Postgres>::table("t");
    let spec = scope.resolve(&mut conn).await.unwrap();
    let ranges = walked(&schema, &mut conn, &scope, &spec, &mut Pace::default(), 40).await;
    assert_eq!(ranges.iter().map(|(_, rows)| rows).sum::<u64>(), 500);
    assert_eq!(Postgres::rows_about(&mut conn, &spec).await.unwrap(), Some(500));
}
