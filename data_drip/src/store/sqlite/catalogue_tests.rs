//! What is accepted as a key, and each refusal with its mend.

use sqlx::sqlite::{Sqlite, SqliteConnection};

use crate::backend::Backend;
use crate::error::ErrorKind;
use crate::scope::{Scope, TableName, col};
use crate::store::sqlite::testing::{File, run};

const SCHEMA: &str = r#"
    CREATE TABLE employees (id INTEGER PRIMARY KEY, Name TEXT, role TEXT);
    CREATE TABLE texts (code TEXT PRIMARY KEY, n INTEGER);
    CREATE TABLE nulls (code TEXT PRIMARY KEY, n INTEGER);
    INSERT INTO nulls VALUES (NULL, 1), ('a', 2);
    CREATE TABLE pairs (a INTEGER, b TEXT, n INTEGER, PRIMARY KEY (b, a)) WITHOUT ROWID;
    CREATE TABLE keyless (n INTEGER);
    CREATE TABLE floats (id REAL PRIMARY KEY NOT NULL);
    CREATE TABLE downwards (a INTEGER NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (a DESC, b DESC));
    CREATE TABLE mixed (a INTEGER NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (a, b DESC));
    CREATE TABLE mixed_tree (a INTEGER, b INTEGER, PRIMARY KEY (a, b DESC)) WITHOUT ROWID;
    CREATE TABLE collated (code TEXT NOT NULL, PRIMARY KEY (code COLLATE NOCASE));
    CREATE TABLE many (id INTEGER PRIMARY KEY, plain INTEGER NOT NULL, part INTEGER NOT NULL, expr TEXT NOT NULL,
        nullable INTEGER, good INTEGER NOT NULL, other TEXT NOT NULL, made INTEGER NOT NULL AS (good * 2) STORED);
    CREATE INDEX many_plain ON many (plain);
    CREATE UNIQUE INDEX many_part ON many (part) WHERE part > 0;
    CREATE UNIQUE INDEX many_expr ON many (lower(expr));
    CREATE UNIQUE INDEX many_nullable ON many (nullable);
    CREATE UNIQUE INDEX many_good ON many (good, plain);
    CREATE UNIQUE INDEX many_other ON many (other COLLATE NOCASE);
    CREATE UNIQUE INDEX many_made ON many (made);
    CREATE UNIQUE INDEX many_both_bad ON many (expr COLLATE NOCASE);
    CREATE UNIQUE INDEX many_and_good ON many (expr);
    CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL, tag TEXT NOT NULL);
    CREATE UNIQUE INDEX words_lower ON words (lower(word));
    CREATE UNIQUE INDEX words_tag_and_lower ON words (tag, lower(word));
    CREATE VIEW seen AS SELECT * FROM employees;
    CREATE VIRTUAL TABLE docs USING fts5(body);
    CREATE TEMP TABLE scratch (id INTEGER PRIMARY KEY);
    CREATE TABLE only_expr (id INTEGER PRIMARY KEY, code TEXT NOT NULL);
    CREATE UNIQUE INDEX only_expr_lower ON only_expr (lower(code));
    ATTACH ':memory:' AS elsewhere;
    CREATE TABLE elsewhere.far (id INTEGER PRIMARY KEY);
    CREATE TABLE "we""ird.na me ü" ("i""d" INTEGER PRIMARY KEY, "select" TEXT);
"#;

async fn found(scope: Scope<Sqlite>, conn: &mut SqliteConnection) -> Vec<String> {
    scope.resolve(conn).await.unwrap().columns
}

#[tokio::test]
async fn the_primary_key_is_found_and_another_one_can_be_named() {
    let (_file, mut conn) = File::with(SCHEMA).await;
    let conn = &mut conn;
    assert_eq!(found(Scope::table("employees"), conn).await, ["id"]);
    assert_eq!(found(Scope::table("EMPLOYEES").filter(col("name").is_null()), conn).await, ["id"]);
    assert_eq!(found(Scope::table(("main", "employees")), conn).await, ["id"]);
    assert_eq!(found(Scope::table("texts"), conn).await, ["code"]);
    assert_eq!(found(Scope::table("pairs"), conn).await, ["b", "a"]);
    assert_eq!(found(Scope::table("pairs").key(["b", "a"]), conn).await, ["b", "a"]);
    assert_eq!(found(Scope::table("downwards"), conn).await, ["a", "b"]);
    assert_eq!(found(Scope::table("many").key(["good", "plain"]), conn).await, ["good", "plain"]);
    assert_eq!(found(Scope::table("many").key("expr"), conn).await, ["expr"]);
    assert_eq!(found(Scope::table("we\"ird.na me ü").filter(col("select").eq("x")), conn).await, ["i\"d"]);
}

#[tokio::test]
async fn what_cannot_be_walked_is_refused_with_the_mend() {
    let (_file, mut conn) = File::with(SCHEMA).await;
    let table = |name: &str| Scope::<Sqlite>::table(name);
    let many = |key: &str| Scope::<Sqlite>::table("many").key(key);
    for (scope, said) in [
        (table("seen"), "name the table behind it"),
        (table("docs"), "name an ordinary table"),
        (table("docs_data"), "name an ordinary table"),
        (table("scratch"), "other connections do not see"),
        (table("far"), "is in an attached database"),
        (Scope::table(("elsewhere", "far")), "open that file as the pool's own database"),
        (table("only_expr").key("code"), "no unique index over exactly these columns"),
        (table("sqlite_schema"), "belongs to SQLite"),
        (table("keyless"), "`VACUUM` may renumber it. Declare a primary key"),
        (table("floats"), "`id` of `floats` holds floating-point numbers"),
        (table("mixed"), "mixes ASC and DESC"),
        (table("mixed_tree"), "mixes ASC and DESC"),
        (table("collated"), "has another COLLATE"),
        (table("nulls"), "`code` of `nulls` holds NULL"),
        (many("plain"), "`many_plain` over the key (\"plain\") of `many` is not unique: `CREATE UNIQUE INDEX"),
        (many("part"), "`many_part` over the key (\"part\") of `many` is partial"),
        (many("nullable"), "`nullable` of `many` may be NULL"),
        (many("other"), "has another COLLATE"),
        (many("made"), "computed from other columns"),
        (
            many("good"),
            "no unique index over exactly these columns in this order: `CREATE UNIQUE INDEX … ON \"many\" (\"good\")`",
        ),
        (Scope::table("many").key(["plain", "good"]), "in this order"),
        // An expression is no column: of the first index nothing is left, of the second a column that is not unique.
        (table("words").key("word"), "no unique index over exactly these columns in this order"),
        (table("words").key("tag"), "no unique index over exactly these columns in this order"),
    ] {
        let error = scope.resolve(&mut conn).await.unwrap_err();
        assert!(error.to_string().contains(said), "{scope:?}\nsays: {error}\nnot:  {said}");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_answered_with_a_near_one() {
    let (_file, mut conn) = File::with(SCHEMA).await;
    let table = Scope::<Sqlite>::table;
    for (scope, said) in [
        (table(TableName::from("employes")), "there is no table `employes`: did you mean `employees`?"),
        (table("hr.employees".into()), "Scope::table((\"schema\", \"table\"))"),
        (table(("nowhere", "employees").into()), "there is no table `nowhere.employees`"),
        (table("employees".into()).key("ID2"), "has no column `ID2`"),
        // SQLite would take each of these for a string, and the filter for always true or always false.
        (table("employees".into()).filter(col("rol").is_null()), "has no column `rol`: did you mean `role`?"),
        (table("employees".into()).filter(col("role").eq(col("nam"))), "has no column `nam`"),
        (
            table("employees".into()).filter(!col("role").is_null().or(col("x").lt(1))),
            "has no column `x`: it has id, Name",
        ),
        (table("employees".into()).columns(["id", "nmae"]), "has no column `nmae`"),
    ] {
        let error = scope.resolve(&mut conn).await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}\nnot: {said}");
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    }
}

#[tokio::test]
async fn rows_with_numbers_far_apart_are_not_guessed_from_those() {
    let (_file, mut conn) = File::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
         INSERT INTO t SELECT 1000000000000000000 + i * 20000000000, 'x' FROM n",
    )
    .await;
    let spec = Scope::<Sqlite>::table("t").resolve(&mut conn).await.unwrap();
    let about = Sqlite::rows_about(&mut conn, &spec).await.unwrap().unwrap();
    assert!((1_000..100_000).contains(&about), "{about}");
    run(&mut conn, "ANALYZE").await;
    assert_eq!(Sqlite::rows_about(&mut conn, &spec).await.unwrap(), Some(1_000));
}
