//! The helpers of a batch, on real files.

use sea_query::Expr;
use sqlx::sqlite::{Sqlite, SqliteConnection};

use crate::backend::{Backend, KeySpec};
use crate::batch::{Batch, BatchParts, count_statement};
use crate::error::{ErrorKind, Failure};
use crate::key::{Key, KeyPart, KeyRange};
use crate::run::{Run, RunBatch};
use crate::scope::{Scope, col};
use crate::store::specimens::{a_batch, a_run};
use crate::store::sqlite::testing::{File, attach, int, run};
use crate::walk::{Pace, Walk};

const EMPLOYEES: &str = "CREATE TABLE employees (id INTEGER PRIMARY KEY, name TEXT, role TEXT, age INTEGER);
    INSERT INTO employees VALUES (1, 'ann', NULL, 30), (2, 'bob', NULL, 40), (3, 'cyd', 'chef', 50), (4, 'dan', NULL, 60),
        (5, 'eve', NULL, 70), (6, 'fay', NULL, 80)";

fn integer(n: i64) -> Key {
    Key(vec![KeyPart { tag: "integer".into(), text: n.to_string() }])
}

/// What an engine holds while user code has a batch in hand.
struct Bench {
    _file: File,
    conn: SqliteConnection,
    scope: Scope<Sqlite>,
    spec: KeySpec,
    run: Run,
    info: RunBatch,
}

impl Bench {
    /// The rows 2 to 5 of the employees without a role: 2, 4, 5.
    async fn new() -> Self {
        let scope = Scope::table("employees").filter(col("role").is_null());
        Self::of(EMPLOYEES, scope, KeyRange { after: Some(integer(1)), upto: integer(5) }).await
    }

    async fn of(script: &str, scope: Scope<Sqlite>, range: KeyRange) -> Self {
        let (file, mut conn) = File::with(script).await;
        let spec = scope.resolve(&mut conn).await.unwrap();
        Self { _file: file, conn, scope, spec, run: a_run(), info: a_batch(range) }
    }

    fn batch(&mut self) -> Batch<'_, Sqlite> {
        self.limited(None)
    }

    fn limited(&mut self, limit: Option<u64>) -> Batch<'_, Sqlite> {
        let Self { conn, scope, spec, run, info, .. } = self;
        Batch::new(BatchParts { conn, scope, spec, run, info, limit, lock: true })
    }

    async fn roles(&mut self) -> String {
        let roles = "SELECT group_concat(coalesce(role, '-'), ' ') FROM (SELECT role FROM employees ORDER BY id)";
        sqlx::query_scalar(roles).fetch_one(&mut self.conn).await.unwrap()
    }
}

#[tokio::test]
async fn an_update_touches_the_rows_of_the_range_that_match_and_no_others() {
    let mut bench = Bench::new().await;
    let mut batch = bench.batch();
    assert_eq!(batch.attempt(), 2);
    assert_eq!(batch.update_all().set("role", "intern").set("age", None::<i64>).execute().await.unwrap(), 3);
    assert_eq!(batch.counted(), Some(3));
    assert_eq!(bench.roles().await, "- intern chef intern intern -");
    assert_eq!(int(&mut bench.conn, "SELECT count(*) FROM employees WHERE age IS NULL").await, 3);
}

/// SQLite takes a quoted name that is no column for a string, greater than every number.
#[tokio::test]
async fn a_key_that_is_renamed_during_a_run_is_an_error_and_not_a_batch_without_rows() {
    let mut bench = Bench::new().await;
    run(&mut bench.conn, "ALTER TABLE employees RENAME COLUMN id TO number").await;
    for error in [
        bench.batch().update_all().set("role", "intern").execute().await.unwrap_err(),
        bench.batch().delete_all().execute().await.unwrap_err(),
        bench.batch().keys().await.unwrap_err(),
        bench.batch().rows::<(i64,)>().await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("no such column: employees.id"), "{error}");
    }
    let count = count_statement(&bench.scope, &bench.spec, &bench.info.range).unwrap();
    assert!(Sqlite::fetch(&mut bench.conn, count).await.is_err());
    let (walk, upto) = (Walk::new(&bench.scope, &bench.spec), integer(6));
    let session = attach(&mut bench.conn).await.unwrap();
    let step = walk.step(&mut bench.conn, &session, &mut Pace::default(), None, &upto, 2, 10).await;
    assert!(step.is_err(), "everything would count as planned");
}

#[tokio::test]
async fn a_column_that_is_dropped_during_a_run_is_not_read_as_its_own_name() {
    let mut bench = Bench::new().await;
    bench.scope = bench.scope.columns(["id", "name"]);
    run(&mut bench.conn, "ALTER TABLE employees DROP COLUMN name").await;
    assert!(bench.batch().rows::<(i64, String)>().await.is_err());
}

#[tokio::test]
async fn an_update_writes_what_the_database_computes() {
    let mut bench = Bench::new().await;
    let mut batch = bench.batch();
    let update = batch.update_all().set_expr("name", "upper(name)").set_expr("role", col("name"));
    // The form of `Expr` that binds its values.
    let update = update.set_expr("age", Expr::cust_with_values("age + ?", [100]));
    assert_eq!(update.execute().await.unwrap(), 3);
    assert_eq!(bench.roles().await, "- bob chef dan eve -");
    assert_eq!(int(&mut bench.conn, "SELECT sum(age) FROM employees WHERE name IN ('BOB', 'DAN', 'EVE')").await, 470);
}

#[tokio::test]
async fn a_second_helper_after_an_unpinned_write_says_how_to_mend_it() {
    let mut bench = Bench::new().await;
    let mut batch = bench.batch();
    batch.update_all().set("role", "intern").execute().await.unwrap();
    for error in [
        batch.update_all().set("age", 1).execute().await.unwrap_err(),
        batch.delete_all().execute().await.unwrap_err(),
        batch.keys().await.unwrap_err(),
        batch.len().await.unwrap_err(),
        batch.rows::<(i64,)>().await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("Call `batch.keys().await?` before the first helper"), "{error}");
        assert_eq!(error.kind(), ErrorKind::Configuration);
    }
}

#[tokio::test]
async fn pinned_rows_stay_the_batch_when_a_write_takes_them_out_of_the_scope() {
    let mut bench = Bench::new().await;
    let mut batch = bench.batch();
    let keys = batch.keys().await.unwrap();
    assert_eq!(keys, [integer(2), integer(4), integer(5)]);
    assert_eq!(batch.update_all().set("role", "intern").execute().await.unwrap(), 3);
    assert_eq!(batch.update_all().set("age", 1).execute().await.unwrap(), 3);
    assert_eq!(batch.rows::<(i64, String, String, i64)>().await.unwrap()[2], (5, "eve".into(), "intern".into(), 1));
    assert_eq!(batch.delete_all().execute().await.unwrap(), 3);
    assert_eq!((batch.len().await.unwrap(), batch.counted()), (3, Some(3)));
    assert_eq!(bench.roles().await, "- chef -");
}

#[tokio::test]
async fn rows_and_elements_are_read_in_order_with_the_users_columns_first() {
    struct Person {
        name: String,
        id: i64,
    }
    // By hand: the derive comes with a feature of sqlx that is the host's to choose.
    impl sqlx::FromRow<'_, sqlx::sqlite::SqliteRow> for Person {
        fn from_row(row: &sqlx::sqlite::SqliteRow) -> sqlx::Result<Self> {
            Ok(Self { name: sqlx::Row::try_get(row, "name")?, id: sqlx::Row::try_get(row, "id")? })
        }
    }
    let mut bench = Bench::new().await;
    let elements = bench.batch().elements::<Person>().await.unwrap();
    let read: Vec<_> = elements.iter().map(|e| (e.key.to_string(), e.row.id, e.row.name.as_str())).collect();
    assert_eq!(read, [("2".into(), 2, "bob"), ("4".into(), 4, "dan"), ("5".into(), 5, "eve")]);
    bench.scope = bench.scope.clone().columns(["age", "name"]);
    let rows = bench.batch().rows::<(i64, String)>().await.unwrap();
    assert_eq!(rows, [(40, "bob".into()), (60, "dan".into()), (70, "eve".into())]);
}

#[tokio::test]
async fn a_limited_batch_pins_no_more_than_it_may_and_its_helpers_keep_to_that() {
    let mut bench = Bench::new().await;
    assert_eq!(bench.limited(Some(2)).keys().await.unwrap(), [integer(2), integer(4)]);
    assert_eq!(bench.limited(Some(1)).rows::<(i64,)>().await.unwrap(), [(2,)]);
    let mut batch = bench.limited(Some(2));
    assert_eq!(batch.update_all().set("role", "intern").execute().await.unwrap(), 2);
    assert_eq!(batch.counted(), Some(2));
    assert_eq!(bench.roles().await, "- intern chef intern - -");
}

#[tokio::test]
async fn helpers_refuse_key_columns_and_an_update_of_nothing() {
    let mut bench = Bench::new().await;
    let error = bench.batch().update_all().set("ID", 9).execute().await.unwrap_err();
    assert!(error.to_string().contains("`ID` belongs to the key"), "{error}");
    let error = bench.batch().update_all().execute().await.unwrap_err();
    assert!(error.to_string().contains("sets nothing"), "{error}");
    let error = bench.batch().update_all().set("rolle", 9).execute().await.unwrap_err();
    assert!(error.to_string().contains("no such column: rolle"), "{error}");
    // Not taken for a string.
    let error = bench.batch().update_all().set_expr("role", col("nmae")).execute().await.unwrap_err();
    assert!(error.to_string().contains("no such column: employees.nmae"), "{error}");
    assert_eq!(bench.roles().await, "- - chef - - -");
}

#[tokio::test]
async fn an_error_of_the_database_stays_in_the_chain_of_the_failure() {
    let mut bench = Bench::new().await;
    let error = bench.batch().update_all().set("rolle", 9).execute().await.unwrap_err();
    let failure = Failure::from(error);
    assert!(failure.chain().any(|cause| cause.downcast_ref::<sqlx::Error>().is_some()));
}

#[tokio::test]
async fn many_pinned_keys_of_every_kind_are_worked_on_in_parts() {
    for (table, key) in [
        ("CREATE TABLE t (a INTEGER PRIMARY KEY, n INTEGER)", "i"),
        ("CREATE TABLE t (a TEXT COLLATE NOCASE PRIMARY KEY, n INTEGER)", "char(200 + i)"),
        ("CREATE TABLE t (a BLOB PRIMARY KEY, n INTEGER)", "CAST(i AS BLOB)"),
        ("CREATE TABLE t (a PRIMARY KEY, n INTEGER)", "iif(i % 2, i, 'x' || i)"),
    ] {
        let script = format!(
            "{table}; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000) INSERT INTO t SELECT {key}, 0 FROM n"
        );
        worked_on_in_parts(&script, 40_000).await;
    }
    // One column's text is all digits, and another one compares without regard to case.
    let script = "CREATE TABLE t (a TEXT, b TEXT COLLATE NOCASE, c INTEGER, n INTEGER, PRIMARY KEY (a, b, c));
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        INSERT INTO t SELECT i % 7, 'B' || (i % 11), i, 0 FROM n";
    worked_on_in_parts(script, 20_000).await;
}

async fn worked_on_in_parts(script: &str, rows: u64) {
    let (file, mut conn) = File::with(script).await;
    let scope = Scope::<Sqlite>::table("t");
    let spec = scope.resolve(&mut conn).await.unwrap();
    let upto = crate::walk::Walk::new(&scope, &spec).upper(&mut conn).await.unwrap().unwrap();
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
    assert_eq!(batch.len().await.unwrap(), rows);
    assert_eq!(batch.update_all().set_expr("n", "n + 1").execute().await.unwrap(), rows, "{script}");
    assert_eq!(int(&mut file.connect().await, "SELECT count(*) FROM t WHERE n <> 1").await, 0, "{script}");
}

#[tokio::test]
async fn pinned_keys_are_searched_for_and_not_scanned() {
    for key in [vec!["a"], vec!["a", "b"]] {
        let script = "CREATE TABLE t (a TEXT NOT NULL UNIQUE, b INTEGER NOT NULL, n INTEGER, UNIQUE (a, b))";
        let (_file, mut conn) = File::with(script).await;
        let scope = Scope::<Sqlite>::table("t").key(key.iter().map(ToString::to_string).collect::<Vec<_>>());
        let spec = scope.resolve(&mut conn).await.unwrap();
        let part = KeyPart { tag: "text".into(), text: "x".into() };
        let keys = vec![Key(vec![part; key.len()]); 3];
        let mut update = sea_query::Query::update();
        update.table("t").value("n", 1).and_where(Sqlite::key_in(&spec, &keys).unwrap());
        let mut statement = Sqlite::build(&update);
        statement.sql = format!("EXPLAIN QUERY PLAN {}", statement.sql).into();
        let plan: Vec<String> = Sqlite::fetch(&mut conn, statement)
            .await
            .unwrap()
            .iter()
            .map(|row| sqlx::Row::get(row, "detail"))
            .collect();
        assert!(plan.iter().any(|line| line.starts_with("SEARCH t USING")), "{plan:?}");
    }
}

#[tokio::test]
async fn a_batch_can_be_worked_on_in_a_spawned_task() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    let mut bench = Bench::new().await;
    let mut batch = bench.batch();
    assert_eq!(send(batch.len()).await.unwrap(), 3);
    assert_eq!(send(batch.rows::<(i64,)>()).await.unwrap().len(), 3);
    assert_eq!(send(batch.update_all().set("role", "x").execute()).await.unwrap(), 3);
    assert_eq!(send(batch.delete_all().execute()).await.unwrap(), 3);
    run(batch.conn(), "SELECT 1").await;
}
