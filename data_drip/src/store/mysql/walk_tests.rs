//! The walk over real tables: every matching row in exactly one range, for every kind of key, by the index of the key.

use std::fmt::Write;
use std::time::Duration;

use sqlx::Executor;
use sqlx::Row;
use sqlx::mysql::{MySql, MySqlConnection};

use crate::backend::{Backend, KeySpec, Statement};
use crate::batch::count_statement;
use crate::key::{Key, KeyRange};
use crate::scope::{Scope, col};
use crate::store::mysql::testing::{Schema, int, run};
use crate::walk::{Pace, Walk};

/// A table with an `n` to tell rows apart and a `hit` to filter by.
struct Kind {
    /// The columns of the key with their index.
    columns: &'static str,
    key: &'static [&'static str],
    named: bool,
    value: fn(u8, u64) -> String,
}

fn integer(least: i128, greatest: i128, seed: u64) -> String {
    let edges = [least, least + 1, greatest / 2, greatest - 1, greatest];
    match seed % 3 {
        0 => edges[usize::try_from(seed / 3 % 5).unwrap()].to_string(),
        _ => (i128::from(seed % 20_000) - if least < 0 { 10_000 } else { 0 }).to_string(),
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
        "ss",
        "10",
        "9",
        "int:5",
        "%_",
        "aA",
        "a ",
        "back\\\\slash",
        "?",
    ];
    let word = words[usize::try_from(seed % 20).unwrap()];
    if (seed / 20).is_multiple_of(3) { format!("'{word}'") } else { format!("'{word}{}'", seed / 60 % 4_000) }
}

fn uuid(seed: u64) -> String {
    let bits = u128::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    format!("'{}'", uuid::Uuid::from_u128(bits))
}

fn bytes(seed: u64) -> String {
    match seed % 4 {
        0 => "''".into(),
        1 => format!("x'{:02x}'", seed / 4 % 256),
        _ => format!("x'{:016x}'", seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
    }
}

fn moment(seed: u64) -> String {
    // Among them an hour that Amsterdam goes through twice.
    format!(
        "'2026-{:02}-25 {:02}:{:02}:00.{:06}'",
        if seed.is_multiple_of(2) { 10 } else { seed % 12 + 1 },
        seed % 4,
        seed % 60,
        seed * 7 % 1_000_000
    )
}

const fn one(columns: &'static str, value: fn(u8, u64) -> String) -> Kind {
    Kind { columns, key: &["k"], named: false, value }
}

const fn named(columns: &'static str, value: fn(u8, u64) -> String) -> Kind {
    Kind { columns, key: &["k"], named: true, value }
}

const KINDS: &[Kind] = &[
    one("k bigint PRIMARY KEY", |_, s| integer(i64::MIN.into(), i64::MAX.into(), s)),
    one("k bigint unsigned PRIMARY KEY", |_, s| integer(0, u64::MAX.into(), s)),
    named("k int NOT NULL UNIQUE", |_, s| integer(i32::MIN.into(), i32::MAX.into(), s)),
    one("k int(10) unsigned zerofill PRIMARY KEY", |_, s| integer(0, u32::MAX.into(), s)),
    one("k smallint PRIMARY KEY", |_, s| integer(i16::MIN.into(), i16::MAX.into(), s)),
    one("k mediumint unsigned PRIMARY KEY", |_, s| integer(0, 16_777_215, s)),
    one("k varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY", |_, s| text(s)),
    one("k varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci PRIMARY KEY", |_, s| text(s)),
    one("k varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY", |_, s| text(s)),
    one("k varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_nopad_ci PRIMARY KEY", |_, s| text(s)),
    one("k varchar(20) CHARACTER SET latin1 COLLATE latin1_german2_ci PRIMARY KEY", |_, s| text(s)),
    one("k varchar(20) CHARACTER SET utf16 PRIMARY KEY", |_, s| text(s)),
    named("k char(20) CHARACTER SET utf8mb3 NOT NULL UNIQUE", |_, s| text(s)),
    one("k char(36) CHARACTER SET utf8mb4 PRIMARY KEY", |_, s| uuid(s)),
    one("k char(36) CHARACTER SET ascii PRIMARY KEY", |_, s| uuid(s)),
    one("k uuid PRIMARY KEY", |_, s| uuid(s)),
    one("k inet6 PRIMARY KEY", |_, s| format!("'fe80::{:x}:{:x}'", s % 7, s % 60_000)),
    one("k binary(16) PRIMARY KEY", |_, s| format!("UNHEX(REPLACE({}, '-', ''))", uuid(s))),
    one("k varbinary(16) PRIMARY KEY", |_, s| bytes(s)),
    one("k datetime(6) PRIMARY KEY", |_, s| moment(s)),
    one("k datetime PRIMARY KEY", |_, s| moment(s)),
    one("k timestamp(6) NOT NULL DEFAULT '2000-01-01' PRIMARY KEY", |_, s| moment(s)),
    one("k date PRIMARY KEY", |_, s| format!("DATE '1000-01-01' + INTERVAL {} DAY", s % 3_000_000)),
    one("k time(3) PRIMARY KEY", |_, s| {
        format!("'{}{:02}:{:02}:00.{:03}'", if s % 2 == 0 { "-" } else { "" }, s % 800, s % 60, s % 1_000)
    }),
    one("k decimal(30, 8) PRIMARY KEY", |_, s| {
        format!("{}12345678901234567.{:08}", if s % 2 == 0 { "-" } else { "" }, s * 7)
    }),
    named("k bigint NOT NULL, UNIQUE KEY down (k DESC)", |_, s| integer(i64::MIN.into(), i64::MAX.into(), s)),
    Kind {
        columns: "a int, b varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci, PRIMARY KEY (a, b)",
        key: &["a", "b"],
        named: false,
        value: |i, s| if i == 0 { (s % 3).to_string() } else { text(s) },
    },
    Kind {
        columns: "a varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, b datetime(6), c smallint, PRIMARY KEY (a, b, c)",
        key: &["a", "b", "c"],
        named: false,
        value: |i, s| match i {
            0 => text(s % 5),
            1 => moment(s % 4),
            _ => (s % 30_000).to_string(),
        },
    },
    Kind {
        columns: "`a ``b``.c$1?` int NOT NULL, `größe` char(36) NOT NULL, UNIQUE (`größe`, `a ``b``.c$1?`)",
        key: &["größe", "a `b`.c$1?"],
        named: true,
        value: |i, s| if i == 0 { uuid(s % 4) } else { integer(i32::MIN.into(), i32::MAX.into(), s) },
    },
];

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A quarter of the rows, whatever their keys repeat in.
fn hits(n: u64) -> bool {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 62 == 0
}

/// The table `t`, filled anew.
async fn fill(conn: &mut MySqlConnection, kind: &Kind, rows: u64) {
    let mut script =
        format!("DROP TABLE IF EXISTS t; CREATE TABLE t (n integer, hit boolean, {}) ENGINE = InnoDB;", kind.columns);
    let columns = kind.key.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
    let mut lines = Vec::new();
    for n in 0..rows {
        let seeds = [n.wrapping_mul(7_919), n.wrapping_mul(104_729), n * 31];
        let values = (0_u8..).zip(seeds).take(kind.key.len()).map(|(i, seed)| (kind.value)(i, seed));
        lines.push(format!("({}, {n}, {})", values.collect::<Vec<_>>().join(", "), hits(n)));
    }
    if !lines.is_empty() {
        let _ = write!(script, "INSERT IGNORE INTO t ({columns}, n, hit) VALUES {};", lines.join(", "));
    }
    run(conn, &(script + "ANALYZE TABLE t")).await;
}

fn scope(kind: &Kind, hits_only: bool) -> Scope<MySql> {
    let scope = Scope::table("t").filter_if(hits_only, col("hit").eq(true));
    if kind.named { scope.key(kind.key.iter().map(ToString::to_string).collect::<Vec<_>>()) } else { scope }
}

/// Walks to the end with a session whose settings change between the steps; each range with what was seen in it.
async fn walked(
    schema: &Schema,
    conn: &mut MySqlConnection,
    scope: &Scope<MySql>,
    spec: &KeySpec,
    pace: &mut Pace,
    size: u64,
) -> Vec<(KeyRange, u64)> {
    walked_under(SETTINGS, schema, conn, scope, spec, pace, size).await
}

async fn walked_under(
    settings: &[&'static str],
    schema: &Schema,
    conn: &mut MySqlConnection,
    scope: &Scope<MySql>,
    spec: &KeySpec,
    pace: &mut Pace,
    size: u64,
) -> Vec<(KeyRange, u64)> {
    let session = schema.session(conn).await;
    let walk = Walk::new(scope, spec);
    let Some(upto) = walk.upper(conn).await.unwrap() else { return Vec::new() };
    let (mut found, mut cursor, mut rounds) = (Vec::new(), None::<Key>, 0);
    loop {
        conn.execute(settings[rounds % settings.len()]).await.unwrap();
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
    "SET sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE'",
    "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'",
    "SET sql_mode = 'ANSI,PIPES_AS_CONCAT,REAL_AS_FLOAT', collation_connection = 'utf8mb4_bin'",
    "SET sql_mode = '', character_set_connection = 'latin1', lc_time_names = 'de_DE', div_precision_increment = 0",
];

async fn numbers(conn: &mut MySqlConnection, scope: &Scope<MySql>, spec: &KeySpec, range: &KeyRange) -> Vec<i32> {
    let Statement { sql, values } = count_statement(scope, spec, range).unwrap();
    let statement = Statement { sql: sql.replace("COUNT(*)", "n").into(), values };
    MySql::fetch(conn, statement).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn covers_each_row_once(schema: &Schema, kind: &Kind, size: u64, hits_only: bool, mut pace: Pace) {
    let mut conn = schema.connect().await;
    let scope = scope(kind, hits_only);
    let spec = scope.resolve(&mut conn).await.unwrap();
    let ranges = walked(schema, &mut conn, &scope, &spec, &mut pace, size).await;
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
    let Some(schema) = Schema::new().await else { return };
    let mut conn = schema.connect().await;
    for kind in KINDS {
        fill(&mut conn, kind, 200).await;
        for pace in [Pace::default(), Pace::striding(7)] {
            covers_each_row_once(&schema, kind, 11, true, pace).await;
        }
        fill(&mut conn, kind, 40).await;
        covers_each_row_once(&schema, kind, 1, false, Pace::default()).await;
    }
}

#[tokio::test]
async fn an_empty_table_and_one_of_one_row_are_walked() {
    let Some(schema) = Schema::new().await else { return };
    let mut conn = schema.connect().await;
    for rows in [0, 1] {
        fill(&mut conn, &KINDS[0], rows).await;
        covers_each_row_once(&schema, &KINDS[0], 5, false, Pace::default()).await;
    }
}

/// Index entries and rows that a statement looks at.
async fn looked_at(conn: &mut MySqlConnection, statement: Statement) -> i64 {
    run(conn, "FLUSH STATUS").await;
    MySql::fetch(conn, statement).await.unwrap();
    let read = "SELECT CAST(SUM(variable_value) AS SIGNED) FROM information_schema.session_status
        WHERE variable_name IN ('Handler_read_first', 'Handler_read_key', 'Handler_read_last', 'Handler_read_next',
            'Handler_read_prev', 'Handler_read_rnd_next')";
    int(conn, read).await
}

/// Each statement that reads by the key enters its index where the range begins, and reads on from there.
#[tokio::test]
async fn the_keyset_predicate_reads_what_it_returns_and_no_more() {
    const PAGE: u64 = 10;
    let Some(schema) = Schema::new().await else { return };
    let mut conn = schema.connect().await;
    for kind in KINDS {
        fill(&mut conn, kind, 3_000).await;
        run(&mut conn, "CREATE INDEX by_hit ON t (hit, n); ANALYZE TABLE t").await;
        let scope = scope(kind, true);
        let spec = scope.resolve(&mut conn).await.unwrap();
        let session = schema.session(&mut conn).await;
        let walk = Walk::new(&scope, &spec);
        let upto = walk.upper(&mut conn).await.unwrap().unwrap();
        let rows = int(&mut conn, "SELECT COUNT(*) FROM t").await;
        // To the middle, and on from there.
        let half = u64::try_from(rows / 2).unwrap();
        let begin = MySql::first(&mut conn, walk.statements(None, &upto, half)[1].1.clone()).await.unwrap().unwrap();
        let after = crate::walk::key_at::<MySql>(&spec, &begin, 0).unwrap();
        let page = walk.step(&mut conn, &session, &mut Pace::default(), Some(&after), &upto, 3, 1).await.unwrap();
        assert!(!page.batches.is_empty(), "{page:?} on {}: {after}", kind.columns);
        let range = page.batches[0].0.clone();
        let mut statements = walk.statements(Some(&after), &upto, PAGE);
        statements.push(("batch", count_statement(&scope, &spec, &range).unwrap()));
        for (what, statement) in statements {
            let sql = statement.sql.clone();
            let read = looked_at(&mut conn, statement).await;
            // A quarter of the rows match, MariaDB reads a page twice, and again what it keeps meanwhile.
            assert!(
                read <= 16 * i64::try_from(PAGE).unwrap(),
                "{what} on {} reads {read} of {rows}: {sql}",
                kind.columns
            );
        }
    }
}

#[tokio::test]
async fn a_count_is_exact_in_time_and_says_when_it_is_not() {
    let Some((schema, mut conn)) = Schema::with(
        "CREATE TABLE t (k integer PRIMARY KEY, hit boolean) ENGINE = InnoDB;
         INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i, i % 4 = 0 FROM n;
         ANALYZE TABLE t",
    )
    .await
    else {
        return;
    };
    let session = schema.session(&mut conn).await;
    let scope = Scope::<MySql>::table("t").filter(col("hit").eq(true));
    let spec = scope.resolve(&mut conn).await.unwrap();
    let walk = Walk::new(&scope, &spec);
    let upto = walk.upper(&mut conn).await.unwrap().unwrap();
    let total = walk.count(&mut conn, &session, None, &upto, Duration::from_mins(1)).await.unwrap();
    assert_eq!((total.count, total.exact), (225, true));
    assert_eq!(walk.any(&mut conn, &session, Duration::from_mins(1)).await.unwrap(), Some(true));
    // A filter that would take minutes: the count strikes its budget, and nothing runs on behind it.
    let slow = sea_query::Expr::cust("SLEEP(0.1) IS NOT NULL");
    let scope = Scope::<MySql>::table("t").filter(slow);
    let walk = Walk::new(&scope, &spec);
    let total = walk.count(&mut conn, &session, None, &upto, Duration::from_millis(200)).await.unwrap();
    assert!(!total.exact, "{total:?}");
    let never = sea_query::Expr::cust("SLEEP(0.1) = 7");
    let scope = Scope::<MySql>::table("t").filter(never);
    let any = Walk::new(&scope, &spec).any(&mut conn, &session, Duration::from_millis(50)).await.unwrap();
    assert_eq!(any, None);
    assert!(MySql::rows_about(&mut conn, &spec).await.unwrap().is_some_and(|about| (450..1_800).contains(&about)));
}

#[tokio::test]
async fn a_partitioned_table_is_walked_over_all_its_partitions() {
    let Some((schema, mut conn)) = Schema::with(
        "CREATE TABLE t (n integer, hit boolean, k integer PRIMARY KEY) ENGINE = InnoDB PARTITION BY HASH (k) PARTITIONS 3;
         INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT i, i % 3 = 0, i FROM n",
    )
    .await
    else {
        return;
    };
    let scope = Scope::<MySql>::table("t");
    let spec = scope.resolve(&mut conn).await.unwrap();
    let ranges = walked(&schema, &mut conn, &scope, &spec, &mut Pace::default(), 40).await;
    assert_eq!(ranges.iter().map(|(_, rows)| rows).sum::<u64>(), 500);
}

#[tokio::test]
async fn a_date_that_is_none_is_an_error_and_not_a_gap() {
    let Some((_schema, mut conn)) = Schema::with(
        "SET sql_mode = ''; CREATE TABLE t (k date PRIMARY KEY) ENGINE = InnoDB; INSERT INTO t VALUES ('0000-00-00')",
    )
    .await
    else {
        return;
    };
    let scope = Scope::<MySql>::table("t");
    let spec = scope.resolve(&mut conn).await.unwrap();
    let error = Walk::new(&scope, &spec).upper(&mut conn).await.unwrap_err();
    assert!(error.to_string().contains("holds the date `0000-00-00`, which is none"), "{error}");
}

/// Every byte by itself, and pairs of them that other characters come back for from a tour through Unicode.
#[tokio::test]
async fn text_in_every_character_set_of_the_server_is_walked() {
    let Some(schema) = Schema::new().await else { return };
    let mut conn = schema.connect().await;
    let sets = "SELECT CAST(character_set_name AS CHAR) FROM information_schema.character_sets
        WHERE character_set_name <> 'binary'";
    let sets: Vec<String> = sqlx::query_scalar(sets).fetch_all(&mut conn).await.unwrap();
    assert!(sets.len() > 30, "{sets:?}");
    let pairs = "8143 8163 817C 8191 8192 81AD 81BE 81BF 81CA 81DF 81E0 81E6 8740 8754 8790 8791 8792 8795 8796 8797 879A 879B \
         879C A145 A14E A1A1 A1A7 A1AA A1C0 A1C1 A1C2 A1C3 A1C5 A1DD A1F1 A1FE A240 A241 A242 A2CC A2CE A2CF A6D9 A6DA A6EC \
         A6F5 A8BB A996 C6E1 D9E8 ED40 EEF9 EEFA F9F9 FA40 FA4A FA54 FA58 FA5B FC4B FCFC FEFE";
    let bytes = (0..256).map(|byte| format!("{byte:02X}")).chain(pairs.split(' ').map(str::to_owned));
    let lines = bytes.enumerate().map(|(n, bytes)| format!("({n}, UNHEX('{bytes}'))")).collect::<Vec<_>>().join(", ");
    for set in sets {
        // What is no text in this character set is left out.
        let script = format!(
            "DROP TABLE IF EXISTS t; SET sql_mode = '';
             CREATE TABLE t (n integer, k varchar(9) CHARACTER SET {set} COLLATE {set}_bin PRIMARY KEY) ENGINE = InnoDB;
             INSERT IGNORE INTO t VALUES {lines}"
        );
        run(&mut conn, &script).await;
        let scope = Scope::<MySql>::table("t");
        let spec = scope.resolve(&mut conn).await.unwrap();
        let (settings, pace) = (&SETTINGS[..3], &mut Pace::default());
        let ranges = walked_under(settings, &schema, &mut conn, &scope, &spec, pace, 7).await;
        let mut covered = Vec::new();
        for (range, seen) in &ranges {
            let here = numbers(&mut conn, &scope, &spec, range).await;
            assert_eq!(here.len() as u64, *seen, "{range} in {set}");
            covered.extend(here);
        }
        covered.sort_unstable();
        let all: Vec<i32> = sqlx::query_scalar("SELECT n FROM t ORDER BY n").fetch_all(&mut conn).await.unwrap();
        assert!(all.len() > 60, "{set} has {}", all.len());
        assert_eq!(covered, all, "in {set}");
    }
}
