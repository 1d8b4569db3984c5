//! The helpers of a batch, on real tables.

use std::time::Duration;

use sqlx::Row;
use sqlx::mysql::{MySql, MySqlConnection, MySqlRow};

use crate::backend::{Backend, KeySpec};
use crate::batch::{Batch, BatchParts};
use crate::error::ErrorKind;
use crate::key::KeyRange;
use crate::run::{Run, RunBatch};
use crate::scope::{Scope, col};
use crate::store::mysql::session::MySqlSession;
use crate::store::mysql::testing::{Schema, int, run};
use crate::store::specimens::{a_batch, a_run};
use crate::walk::Walk;

/// What an engine holds while user code has a batch in hand: all rows of a table that match.
struct Bench {
    /// Kept open, with its locks. Closed before the schema is dropped, as `conn` is.
    neighbours: Option<MySqlConnection>,
    conn: MySqlConnection,
    session: MySqlSession,
    scope: Scope<MySql>,
    spec: KeySpec,
    run: Run,
    info: RunBatch,
    schema: Schema,
}

impl Bench {
    async fn new(script: &str, scope: Scope<MySql>) -> Option<Self> {
        let (schema, mut conn) = Schema::with(script).await?;
        let session = schema.session(&mut conn).await;
        let spec = scope.resolve(&mut conn).await.unwrap();
        let upto = Walk::new(&scope, &spec).upper(&mut conn).await.unwrap().unwrap();
        let info = a_batch(KeyRange { after: None, upto });
        Some(Self { schema, conn, session, scope, spec, run: a_run(), info, neighbours: None })
    }

    /// A batch of the rows 3 and 4 of six. Somebody else has the others in hand, and looked them up by the same index.
    async fn between_neighbours(table: &str, key: &[&str]) -> Option<Self> {
        let script = format!(
            "CREATE TABLE t ({table}) ENGINE = InnoDB; INSERT INTO t (a, b, n)
                VALUES (1, 'x', 0), (2, 'x', 0), (3, 'x', 0), (4, 'x', 0), (5, 'x', 0), (6, 'x', 0)"
        );
        let scope = Scope::table("t");
        let scope =
            if key.is_empty() { scope } else { scope.key(key.iter().map(ToString::to_string).collect::<Vec<_>>()) };
        let mut bench = Self::new(&script, scope).await?;
        let all = bench.batch().await.keys().await.unwrap();
        run(&mut bench.conn, "ROLLBACK").await;
        let index = bench.spec.index.clone().unwrap();
        let rows = format!("SELECT * FROM t FORCE INDEX (`{index}`) WHERE b = 'x' AND a IN (1, 2, 5, 6) FOR UPDATE");
        let mut neighbours = bench.schema.connect().await;
        run(&mut neighbours, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; BEGIN").await;
        run(&mut neighbours, &rows).await;
        bench.renew().await;
        bench.info.range = KeyRange { after: Some(all[1].clone()), upto: all[3].clone() };
        bench.neighbours = Some(neighbours);
        Some(bench)
    }

    /// Goes on with another connection.
    async fn renew(&mut self) {
        let mut conn = self.schema.connect().await;
        self.session = self.schema.session(&mut conn).await;
        self.conn = conn;
    }

    /// In a batch's transaction, which is never committed.
    async fn batch(&mut self) -> Batch<'_, MySql> {
        let Self { conn, session, scope, spec, run, info, .. } = self;
        std::mem::forget(MySql::begin_batch(conn, session, String::new(), Duration::from_secs(20)).await.unwrap());
        Batch::new(BatchParts { conn, scope, spec, run, info, limit: None, lock: true })
    }
}

/// `B`, `a`, `c` by their bytes, `a`, `B`, `c` as people sort them: a range of the one is none of the other.
#[tokio::test]
async fn a_key_that_is_sorted_anew_during_a_run_is_refused_and_a_longer_one_is_not() {
    let script =
        "CREATE TABLE words (word varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY) ENGINE = InnoDB;
        INSERT INTO words VALUES ('B'), ('a'), ('c')";
    let Some(mut bench) = Bench::new(script, Scope::table("words")).await else { return };
    let longer = "ALTER TABLE words MODIFY word varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL";
    run(&mut bench.conn, longer).await;
    bench.spec = bench.scope.resolve(&mut bench.conn).await.unwrap();
    assert_eq!(bench.batch().await.len().await.unwrap(), 3);
    bench.renew().await;
    let other = "ALTER TABLE words MODIFY word varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL";
    run(&mut bench.conn, other).await;
    // Who has not looked since goes on as it was planned: `B` and `a`.
    "a".clone_into(&mut bench.info.range.upto.0[0].text);
    assert_eq!(bench.batch().await.len().await.unwrap(), 2);
    bench.renew().await;
    bench.spec = bench.scope.resolve(&mut bench.conn).await.unwrap();
    let error = bench.batch().await.len().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("its batches would leave rows out: start a new run"), "{error}");
}

#[tokio::test]
async fn pinned_rows_stay_the_batch_when_a_write_takes_them_out_of_the_scope() {
    let script = "CREATE TABLE employees (id integer PRIMARY KEY, name text, role text) ENGINE = InnoDB;
        INSERT INTO employees VALUES (1, 'ann', NULL), (2, 'bob', NULL), (3, 'cyd', 'chef'), (4, 'dan', NULL)";
    let Some(mut bench) = Bench::new(script, Scope::table("employees").filter(col("role").is_null())).await else {
        return;
    };
    let mut application = bench.schema.connect().await;
    let mut batch = bench.batch().await;
    assert_eq!(batch.keys().await.unwrap().iter().map(ToString::to_string).collect::<Vec<_>>(), ["1", "2", "4"]);
    assert_eq!(batch.update_all().set("role", "intern").execute().await.unwrap(), 3);
    assert_eq!(batch.update_all().set_expr("name", "UPPER(name)").execute().await.unwrap(), 3);
    assert_eq!(batch.rows::<(i32, String, String)>().await.unwrap()[2], (4, "DAN".into(), "intern".into()));
    // The application waits for the rows of the batch, and for no others.
    run(&mut application, "SET innodb_lock_wait_timeout = 1; UPDATE employees SET name = 'x' WHERE id = 3").await;
    let locked = sqlx::query("UPDATE employees SET name = 'x' WHERE id = 2").execute(&mut application).await;
    assert!(MySql::is_transient(&locked.unwrap_err()));
    assert_eq!(batch.delete_all().execute().await.unwrap(), 3);
    assert_eq!((batch.len().await.unwrap(), batch.counted()), (3, Some(3)));
}

/// Batches lie beside each other, and several are in hand at once.
#[tokio::test]
async fn a_batch_does_not_wait_for_the_rows_of_its_neighbours() {
    for key in ["a", "a, b"] {
        let table = format!("a integer, b varchar(5), n integer, PRIMARY KEY ({key})");
        let Some(mut bench) = Bench::between_neighbours(&table, &[]).await else { return };
        let mut batch = bench.batch().await;
        assert_eq!(batch.rows::<(i32, String, i32)>().await.unwrap().len(), 2, "by ({key})");
        assert_eq!(batch.keys().await.unwrap().len(), 2, "by ({key})");
        assert_eq!(batch.update_all().set("n", 1).execute().await.unwrap(), 2, "by ({key})");
        run(batch.conn(), "ROLLBACK").await;
    }
}

/// Nor does one that writes without having read.
#[tokio::test]
async fn a_write_does_not_wait_for_the_rows_of_the_neighbouring_batches() {
    let kinds: [(&str, &[&str]); 4] = [
        ("a integer, b varchar(5), n integer, PRIMARY KEY (a)", &[]),
        ("a integer, b varchar(5), n integer, PRIMARY KEY (a, b)", &[]),
        ("a integer NOT NULL, b varchar(5), n integer, id serial, UNIQUE KEY by_a (a)", &["a"]),
        ("a integer NOT NULL, b varchar(5) NOT NULL, n integer, id serial, UNIQUE KEY by_b (b, a)", &["b", "a"]),
    ];
    for (table, key) in kinds {
        let Some(mut bench) = Bench::between_neighbours(table, key).await else { return };
        let mut batch = bench.batch().await;
        assert_eq!(batch.update_all().set("n", 1).execute().await.unwrap(), 2, "{table}");
        assert_eq!(batch.counted(), Some(2), "{table}");
        let again = batch.update_all().set("n", 2).execute().await.unwrap_err();
        assert!(again.to_string().contains("`update_all` after a write"), "{again}");
        assert_eq!(int(batch.conn(), "SELECT CAST(SUM(a) AS SIGNED) FROM t WHERE n = 1").await, 7, "{table}");
        run(batch.conn(), "ROLLBACK").await;
        let Some(mut bench) = Bench::between_neighbours(table, key).await else { return };
        let mut batch = bench.batch().await;
        assert_eq!(batch.delete_all().execute().await.unwrap(), 2, "{table}");
        assert_eq!(batch.counted(), Some(2), "{table}");
        assert_eq!(int(batch.conn(), "SELECT CAST(SUM(a) AS SIGNED) FROM t").await, 14, "{table}");
        run(batch.conn(), "ROLLBACK").await;
    }
}

/// Also more of them than one statement takes, and each looked up in the index.
#[tokio::test]
async fn many_pinned_keys_of_every_kind_are_worked_on_and_searched_for() {
    const ROWS: u64 = 9_000;
    for (columns, keys) in [
        ("a integer PRIMARY KEY", "i"),
        ("a varchar(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci PRIMARY KEY", "CONCAT('ключ \"', i)"),
        ("a binary(16) PRIMARY KEY", "UNHEX(MD5(i))"),
        ("a timestamp(6) PRIMARY KEY", "TIMESTAMP '2026-03-29 00:00:00' + INTERVAL i SECOND"),
        ("a char(9) CHARACTER SET latin1, b decimal(20, 3), PRIMARY KEY (b, a)", "CONCAT('x', i), i / 8"),
    ] {
        let script = format!(
            "CREATE TABLE t (n integer, {columns}) ENGINE = InnoDB;
             SET max_recursive_iterations = 100000;
             INSERT INTO t WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {ROWS})
                 SELECT 0, {keys} FROM s; ANALYZE TABLE t"
        );
        let Some(mut bench) = Bench::new(&script, Scope::table("t")).await else { return };
        let mut batch = bench.batch().await;
        assert_eq!(batch.len().await.unwrap(), ROWS, "{columns}");
        run(batch.conn(), "FLUSH STATUS").await;
        assert_eq!(batch.update_all().set_expr("n", "n + 1").execute().await.unwrap(), ROWS, "{columns}");
        let read = "SELECT CAST(SUM(variable_value) AS SIGNED) FROM information_schema.session_status
            WHERE variable_name LIKE 'Handler_read%'";
        let read = int(batch.conn(), read).await;
        assert!(read <= 3 * i64::try_from(ROWS).unwrap(), "{columns}: {read} looked at");
        assert_eq!(int(batch.conn(), "SELECT COUNT(*) FROM t WHERE n <> 1").await, 0, "{columns}");
    }
}

#[tokio::test]
async fn columns_of_every_type_are_read_by_the_element_type() {
    #[derive(Debug, PartialEq)]
    struct Everything {
        mood: String,
        labels: String,
        price: String,
        document: String,
        count: u64,
    }
    impl sqlx::FromRow<'_, MySqlRow> for Everything {
        fn from_row(row: &MySqlRow) -> sqlx::Result<Self> {
            Ok(Self {
                mood: row.try_get("mood")?,
                labels: row.try_get_unchecked("labels")?,
                // Without sqlx's features for decimals and JSON: as the database sends them.
                price: row.try_get_unchecked("price")?,
                document: row.try_get_unchecked("document")?,
                count: row.try_get("count")?,
            })
        }
    }
    let script = "CREATE TABLE t (id binary(16) PRIMARY KEY, mood enum('sad', 'happy'), labels set('a', 'b'),
            price decimal(10, 2), document json, count bigint unsigned) ENGINE = InnoDB;
        INSERT INTO t VALUES (UNHEX(REPEAT('0f', 16)), 'happy', 'a,b', 12.30, '{\"a\": [1, null]}', 18446744073709551615)";
    let Some(mut bench) = Bench::new(script, Scope::table("t")).await else { return };
    let elements = bench.batch().await.elements::<Everything>().await.unwrap();
    let [element] = elements.as_slice() else { panic!("one row") };
    let Everything { mood, labels, price, document, count } = &element.row;
    assert_eq!((mood.as_str(), labels.as_str(), price.as_str(), *count), ("happy", "a,b", "12.30", u64::MAX));
    assert_eq!(document, "{\"a\": [1, null]}");
}

#[tokio::test]
async fn a_database_and_names_that_have_to_be_quoted_are_found_everywhere() {
    let script = "CREATE TABLE `Ta``ble ü` (`Id ?1` integer PRIMARY KEY, `Select` text, `from` text) ENGINE = InnoDB;
        INSERT INTO `Ta``ble ü` VALUES (1, NULL, 'x'), (2, NULL, 'x'), (3, 'z', 'x')";
    let Some(schema) = Schema::new().await else { return };
    let mut conn = schema.connect().await;
    run(&mut conn, script).await;
    let scope = Scope::table((schema.name(), "Ta`ble ü")).filter(col("Select").is_null());
    let Some(mut bench) = Bench::new("", scope.clone()).await else { return };
    let mut batch = bench.batch().await;
    assert_eq!(batch.len().await.unwrap(), 2);
    let update = batch.update_all().set("Select", "y").set_expr("from", col("Select"));
    assert_eq!(update.execute().await.unwrap(), 2);
    assert_eq!(batch.rows::<(i32, String, String)>().await.unwrap()[1], (2, "y".into(), "y".into()));
    assert_eq!(batch.delete_all().execute().await.unwrap(), 2);
}
