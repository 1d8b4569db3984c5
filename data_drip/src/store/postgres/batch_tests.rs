//! The helpers of a batch, on real tables.

use sqlx::Row;
use sqlx::postgres::{PgConnection, Postgres};

use crate::backend::{Backend, KeySpec};
use crate::batch::{Batch, BatchParts};
use crate::error::ErrorKind;
use crate::key::{Key, KeyPart, KeyRange};
use crate::run::{Run, RunBatch};
use crate::scope::{Scope, col};
use crate::store::postgres::testing::{Schema, int, run};
use crate::store::specimens::{a_batch, a_run};
use crate::walk::Walk;

const EMPLOYEES: &str = "CREATE TABLE employees (id integer PRIMARY KEY, name text, role text, age integer);
    INSERT INTO employees VALUES (1, 'ann', NULL, 30), (2, 'bob', NULL, 40), (3, 'cyd', 'chef', 50), (4, 'dan', NULL, 60),
        (5, 'eve', NULL, 70), (6, 'fay', NULL, 80)";

fn integer(n: i64) -> Key {
    Key(vec![KeyPart { tag: "integer".into(), text: n.to_string() }])
}

/// What an engine holds while user code has a batch in hand.
struct Bench {
    schema: Schema,
    conn: PgConnection,
    scope: Scope<Postgres>,
    spec: KeySpec,
    run: Run,
    info: RunBatch,
}

impl Bench {
    /// The rows 2 to 5 of the employees without a role: 2, 4, 5.
    async fn new() -> Option<Self> {
        let scope = Scope::table("employees").filter(col("role").is_null());
        Self::of(EMPLOYEES, scope, KeyRange { after: Some(integer(1)), upto: integer(5) }).await
    }

    async fn of(script: &str, scope: Scope<Postgres>, range: KeyRange) -> Option<Self> {
        let (schema, mut conn) = Schema::with(script).await?;
        let spec = scope.resolve(&mut conn).await.unwrap();
        Some(Self { schema, conn, scope, spec, run: a_run(), info: a_batch(range) })
    }

    /// All rows of a table.
    async fn whole(script: &str, scope: Scope<Postgres>) -> Option<Self> {
        let mut bench = Self::of(script, scope, KeyRange { after: None, upto: integer(0) }).await?;
        bench.info.range.upto = Walk::new(&bench.scope, &bench.spec).upper(&mut bench.conn).await.unwrap().unwrap();
        Some(bench)
    }

    fn batch(&mut self) -> Batch<'_, Postgres> {
        self.limited(None)
    }

    fn limited(&mut self, limit: Option<u64>) -> Batch<'_, Postgres> {
        let Self { conn, scope, spec, run, info, .. } = self;
        Batch::new(BatchParts { conn, scope, spec, run, info, limit, lock: true })
    }

    async fn roles(&mut self) -> String {
        let roles = "SELECT string_agg(coalesce(role, '-'), ' ' ORDER BY id) FROM employees";
        sqlx::query_scalar(roles).fetch_one(&mut self.conn).await.unwrap()
    }
}

/// `B`, `a`, `c` by their bytes, `a`, `B`, `c` as people sort them: a range of the one is none of the other.
#[tokio::test]
async fn a_key_that_is_sorted_anew_during_a_run_is_refused_and_a_longer_one_is_not() {
    let script =
        "CREATE TABLE words (word varchar(9) COLLATE \"C\" PRIMARY KEY); INSERT INTO words VALUES ('B'), ('a'), ('c')";
    let Some(mut bench) = Bench::whole(script, Scope::table("words")).await else { return };
    run(&mut bench.conn, "ALTER TABLE words ALTER COLUMN word TYPE varchar(20) COLLATE \"C\"").await;
    bench.spec = bench.scope.resolve(&mut bench.conn).await.unwrap();
    assert_eq!(bench.batch().len().await.unwrap(), 3);
    run(&mut bench.conn, "ALTER TABLE words ALTER COLUMN word TYPE varchar(20) COLLATE \"und-x-icu\"").await;
    // The server refuses what it had prepared before, once.
    bench.conn = bench.schema.connect().await;
    // Who has not looked since goes on as it was planned: `B` and `a`.
    "a".clone_into(&mut bench.info.range.upto.0[0].text);
    assert_eq!(bench.batch().len().await.unwrap(), 2);
    bench.spec = bench.scope.resolve(&mut bench.conn).await.unwrap();
    let error = bench.batch().len().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("its batches would leave rows out: start a new run"), "{error}");
}

#[tokio::test]
async fn an_update_touches_the_rows_of_the_range_that_match_and_no_others() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut batch = bench.batch();
    let update = batch.update_all().set("role", "intern").set("age", None::<i64>).set_expr("name", "upper(name)");
    assert_eq!(update.execute().await.unwrap(), 3);
    assert_eq!(batch.counted(), Some(3));
    assert_eq!(bench.roles().await, "- intern chef intern intern -");
    assert_eq!(
        int(&mut bench.conn, "SELECT count(*) FROM employees WHERE age IS NULL AND name = upper(name)").await,
        3
    );
}

#[tokio::test]
async fn pinned_rows_stay_the_batch_when_a_write_takes_them_out_of_the_scope() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut batch = bench.batch();
    let keys = batch.keys().await.unwrap();
    assert_eq!(keys, [integer(2), integer(4), integer(5)]);
    assert_eq!(batch.update_all().set("role", "intern").execute().await.unwrap(), 3);
    assert_eq!(batch.update_all().set("age", 1).execute().await.unwrap(), 3);
    assert_eq!(batch.rows::<(i32, String, String, i32)>().await.unwrap()[2], (5, "eve".into(), "intern".into(), 1));
    assert_eq!(batch.delete_all().execute().await.unwrap(), 3);
    assert_eq!((batch.len().await.unwrap(), batch.counted()), (3, Some(3)));
    assert_eq!(bench.roles().await, "- chef -");
}

#[tokio::test]
async fn a_limited_batch_pins_no_more_than_it_may() {
    let Some(mut bench) = Bench::new().await else { return };
    assert_eq!(bench.limited(Some(2)).keys().await.unwrap(), [integer(2), integer(4)]);
    let mut batch = bench.limited(Some(2));
    assert_eq!(batch.update_all().set("role", "intern").execute().await.unwrap(), 2);
    assert_eq!(bench.roles().await, "- intern chef intern - -");
}

#[tokio::test]
async fn many_pinned_keys_of_every_kind_are_worked_on() {
    for (columns, keys) in [
        ("a integer PRIMARY KEY", "i"),
        ("a text COLLATE \"und-x-icu\" PRIMARY KEY", "'ключ \"' || i"),
        ("a uuid PRIMARY KEY", "md5(i::text)::uuid"),
        ("a bytea PRIMARY KEY", "decode(md5(i::text), 'hex')"),
        ("a timestamptz PRIMARY KEY", "timestamptz '2026-03-29 00:00+00' + i * interval '1 s'"),
        ("a char(9), b numeric, PRIMARY KEY (b, a)", "'x' || i, i / 8.0"),
    ] {
        let script = format!(
            "CREATE TABLE t (n integer, {columns});
             INSERT INTO t SELECT 0, {keys} FROM generate_series(1, 20000) AS i; ANALYZE t"
        );
        let Some(mut bench) = Bench::whole(&script, Scope::table("t")).await else { return };
        let mut batch = bench.batch();
        assert_eq!(batch.len().await.unwrap(), 20_000, "{columns}");
        assert_eq!(batch.update_all().set_expr("n", "n + 1").execute().await.unwrap(), 20_000, "{columns}");
        assert_eq!(int(&mut bench.conn, "SELECT count(*) FROM t WHERE n <> 1").await, 0, "{columns}");
    }
}

#[tokio::test]
async fn pinned_keys_are_searched_for_and_not_scanned() {
    for key in ["a", "a, b"] {
        let script = format!(
            "CREATE TABLE t (n integer, a uuid, b text, PRIMARY KEY ({key}));
             INSERT INTO t SELECT 0, md5(i::text)::uuid, 'b' FROM generate_series(1, 100000) AS i; ANALYZE t"
        );
        let Some(mut bench) = Bench::whole(&script, Scope::table("t")).await else { return };
        let keys = bench.limited(Some(10)).keys().await.unwrap();
        let mut update = sea_query::Query::update();
        update.table("t").value("n", 1).and_where(Postgres::key_in(&bench.spec, &keys).unwrap());
        let mut statement = Postgres::build(&update);
        statement.sql = format!("EXPLAIN {}", statement.sql).into();
        let plan = Postgres::fetch(&mut bench.conn, statement).await.unwrap();
        let plan: String = plan.iter().map(|row| row.get::<String, _>(0) + "\n").collect();
        assert!(plan.contains("Index Cond") && !plan.contains("Seq Scan"), "{plan}");
    }
}

#[tokio::test]
async fn rows_are_locked_against_the_applications_writes_but_not_against_references() {
    let Some(mut bench) = Bench::new().await else { return };
    run(&mut bench.conn, "CREATE TABLE badges (employee integer REFERENCES employees (id))").await;
    let mut application = bench.schema.connect().await;
    run(&mut bench.conn, "BEGIN").await;
    bench.batch().keys().await.unwrap();
    run(&mut application, "SET lock_timeout = '50ms'; INSERT INTO badges VALUES (2)").await;
    let error = sqlx::query("UPDATE employees SET age = 1 WHERE id = 2").execute(&mut application).await.unwrap_err();
    assert!(Postgres::is_transient(&error), "{error}");
    run(&mut application, "UPDATE employees SET age = 1 WHERE id IN (3, 6)").await;
}

#[tokio::test]
async fn a_row_that_the_application_changed_meanwhile_is_read_as_it_is_now() {
    let Some(mut bench) = Bench::new().await else { return };
    let (mut application, mut watcher) = (bench.schema.connect().await, bench.schema.connect().await);
    run(
        &mut application,
        "BEGIN; UPDATE employees SET name = 'new' WHERE id = 4; UPDATE employees SET role = 'x' WHERE id = 5",
    )
    .await;
    let reading = tokio::spawn(async move {
        run(&mut bench.conn, "BEGIN").await;
        let rows = bench.batch().rows::<(i32, String)>().await.unwrap();
        (bench, rows)
    });
    // It waits for the application's locks, seen in the server's own list.
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
        AND pid = ANY (SELECT pid FROM pg_locks WHERE relation = 'employees'::regclass)";
    while int(&mut watcher, waiting).await == 0 {
        tokio::task::yield_now().await;
    }
    run(&mut application, "COMMIT").await;
    let (_bench, rows) = reading.await.unwrap();
    assert_eq!(rows, [(2, "bob".into()), (4, "new".into())]);
}

#[tokio::test]
async fn columns_of_every_type_are_read_by_the_element_type() {
    #[derive(Debug, PartialEq)]
    struct Everything {
        mood: String,
        labels: Vec<String>,
        numbers: Vec<i32>,
        price: String,
        document: String,
    }
    impl sqlx::FromRow<'_, sqlx::postgres::PgRow> for Everything {
        fn from_row(row: &sqlx::postgres::PgRow) -> sqlx::Result<Self> {
            Ok(Self {
                mood: row.try_get_unchecked("mood")?,
                labels: row.try_get("labels")?,
                numbers: row.try_get("numbers")?,
                // Without sqlx's features for decimals and JSON: as the database sends them.
                price: format!("{:?}", row.try_get_raw("price").map(|raw| raw.as_bytes().map(<[u8]>::len)).unwrap()),
                document: String::from_utf8(row.try_get_raw("document")?.as_bytes().unwrap()[1..].to_vec()).unwrap(),
            })
        }
    }
    let script = "CREATE TYPE mood AS ENUM ('sad', 'happy');
        CREATE TABLE t (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), mood mood, labels text[], numbers integer[],
            price numeric(10, 2), document jsonb);
        INSERT INTO t (mood, labels, numbers, price, document)
            VALUES ('happy', '{a,\"b,c\"}', '{1,2}', 12.30, '{\"a\": [1, null]}')";
    let Some(mut bench) = Bench::whole(script, Scope::table("t")).await else { return };
    let elements = bench.batch().elements::<Everything>().await.unwrap();
    assert_eq!(elements.len(), 1);
    let Everything { mood, labels, numbers, price, document } = &elements[0].row;
    assert_eq!(
        (mood.as_str(), labels.as_slice(), numbers.as_slice()),
        ("happy", &["a".to_owned(), "b,c".into()][..], &[1, 2][..])
    );
    assert!(price.starts_with("Ok("), "{price}");
    assert_eq!(document, "{\"a\": [1, null]}");
}

#[tokio::test]
async fn a_schema_and_names_that_have_to_be_quoted_are_found_everywhere() {
    let script = "CREATE TABLE \"Ta\"\"ble ü\" (\"Id $1\" integer PRIMARY KEY, \"Select\" text, \"select\" text);
        INSERT INTO \"Ta\"\"ble ü\" SELECT i, NULL, 'x' FROM generate_series(1, 5) AS i";
    let Some((schema, mut conn)) = Schema::with(script).await else { return };
    run(&mut conn, "SET search_path = pg_catalog").await;
    let scope = Scope::<Postgres>::table((schema.name(), "Ta\"ble ü")).filter(col("Select").is_null());
    let spec = scope.resolve(&mut conn).await.unwrap();
    let upto = Walk::new(&scope, &spec).upper(&mut conn).await.unwrap().unwrap();
    let (run, info) = (a_run(), a_batch(KeyRange { after: None, upto }));
    let mut batch = Batch::new(BatchParts {
        conn: &mut conn,
        scope: &scope,
        spec: &spec,
        run: &run,
        info: &info,
        limit: None,
        lock: true,
    });
    assert_eq!(batch.len().await.unwrap(), 5);
    let update = batch.update_all().set("Select", "y").set_expr("select", col("Select"));
    assert_eq!(update.execute().await.unwrap(), 5);
    assert_eq!(batch.delete_all().execute().await.unwrap(), 5);
}
