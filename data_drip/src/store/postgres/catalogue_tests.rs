//! What is accepted as a key, and each refusal with its mend.

use sqlx::postgres::{PgConnection, Postgres};

use crate::error::ErrorKind;
use crate::scope::{Scope, TableName, col};
use crate::store::migrate::Migrate;
use crate::store::postgres::migrate;
use crate::store::postgres::testing::{Schema, extension, run};

const SETUP: &str = r#"
    CREATE TABLE employees (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Name" text, role text);
    CREATE TABLE pairs (a integer, b text, n integer, PRIMARY KEY (b, a));
    CREATE TABLE keyless (n integer);
    CREATE TABLE floats (id real PRIMARY KEY);
    CREATE TABLE spans (id interval PRIMARY KEY);
    CREATE TABLE lists (id integer[] PRIMARY KEY);
    CREATE TABLE many (id integer PRIMARY KEY, plain integer NOT NULL, part integer NOT NULL, expr text NOT NULL,
        nullable integer, good integer NOT NULL, other text NOT NULL, made integer GENERATED ALWAYS AS (good * 2) STORED NOT NULL,
        pattern text NOT NULL, a integer NOT NULL, b integer NOT NULL, later integer NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED,
        broken integer NOT NULL);
    CREATE INDEX many_plain ON many (plain);
    CREATE UNIQUE INDEX many_part ON many (part) WHERE part > 0;
    CREATE UNIQUE INDEX many_expr ON many (lower(expr));
    CREATE UNIQUE INDEX many_nullable ON many (nullable);
    CREATE UNIQUE INDEX many_good ON many (good, plain) INCLUDE (expr);
    CREATE UNIQUE INDEX many_other ON many (other COLLATE "C");
    CREATE UNIQUE INDEX many_made ON many (made);
    CREATE UNIQUE INDEX many_pattern ON many (pattern text_pattern_ops);
    CREATE UNIQUE INDEX many_mixed ON many (a, b DESC);
    CREATE UNIQUE INDEX many_down ON many (b DESC, a DESC);
    CREATE UNIQUE INDEX many_nulls ON many (plain, a NULLS FIRST);
    CREATE VIEW seen AS SELECT * FROM employees;
    CREATE TEMP TABLE scratch (id integer PRIMARY KEY);
    CREATE TABLE "we""ird.na me ü" ("i""d" integer PRIMARY KEY, "select" text);
    CREATE TABLE parent (id integer PRIMARY KEY);
    CREATE TABLE child () INHERITS (parent);
    CREATE TABLE quiet_parent (id integer PRIMARY KEY);
    CREATE TABLE quiet_child () INHERITS (quiet_parent);
    INSERT INTO child VALUES (1);
    INSERT INTO many (id, plain, part, expr, nullable, good, other, pattern, a, b, later, broken)
        SELECT i, i, i, i, i, i, i, i, i, i, i, 7 FROM generate_series(1, 2) AS i;
"#;

async fn set_up() -> Option<(Schema, PgConnection)> {
    let (schema, mut conn) = Schema::with(SETUP).await?;
    // Left behind invalid, because two rows are the same.
    let built = sqlx::query("CREATE UNIQUE INDEX CONCURRENTLY many_broken ON many (broken)").execute(&mut conn).await;
    assert!(built.is_err());
    Some((schema, conn))
}

async fn found(scope: Scope<Postgres>, conn: &mut PgConnection) -> Vec<String> {
    scope.resolve(conn).await.unwrap().columns
}

#[tokio::test]
async fn the_primary_key_is_found_and_another_one_can_be_named() {
    let Some((schema, mut conn)) = set_up().await else { return };
    let conn = &mut conn;
    assert_eq!(found(Scope::table("employees").filter(col("Name").is_null()), conn).await, ["id"]);
    assert_eq!(found(Scope::table((schema.name(), "employees")), conn).await, ["id"]);
    assert_eq!(found(Scope::table("pairs"), conn).await, ["b", "a"]);
    assert_eq!(found(Scope::table("many").key(["good", "plain"]), conn).await, ["good", "plain"]);
    assert_eq!(found(Scope::table("many").key(["b", "a"]), conn).await, ["b", "a"]);
    assert_eq!(found(Scope::table("many").key("later"), conn).await, ["later"]);
    assert_eq!(found(Scope::table("we\"ird.na me ü").filter(col("select").eq("x")), conn).await, ["i\"d"]);
    assert_eq!(found(Scope::table("quiet_parent"), conn).await, ["id"]);
}

#[tokio::test]
async fn what_cannot_be_walked_is_refused_with_the_mend() {
    let Some((_schema, mut conn)) = set_up().await else { return };
    let table = |name: &str| Scope::<Postgres>::table(name);
    let many = |key: &str| Scope::<Postgres>::table("many").key(key);
    for (scope, said) in [
        (table("seen"), "name the table behind it"),
        (table("scratch"), "other connections do not see"),
        (table("pg_class"), "belongs to PostgreSQL"),
        (table("keyless"), "has no primary key: declare one"),
        (table("floats"), "`id` of `floats` (real) holds floating-point numbers"),
        (table("spans"), "depends on the session's settings"),
        (table("lists"), "is an array"),
        (table("parent"), "inherits from `parent` and has rows"),
        (
            many("plain"),
            "`many_plain` over the key (\"plain\") of `many` is not unique: `CREATE UNIQUE INDEX CONCURRENTLY",
        ),
        (many("part"), "`many_part` over the key (\"part\") of `many` is partial"),
        (many("nullable"), "`nullable` of `many` may be NULL"),
        (many("other"), "has another COLLATE"),
        (many("pattern"), "operator class"),
        (many("made"), "computed from other columns"),
        (many("broken"), "is not valid or still being built"),
        (many("good"), "no unique index over exactly these columns in this order"),
        (many("expr"), "no unique index over exactly these columns in this order"),
        (Scope::table("many").key(["a", "b"]), "mixes ASC and DESC"),
        (Scope::table("many").key(["plain", "a"]), "NULLS FIRST and LAST"),
        (Scope::table("many").key(["plain", "good"]), "in this order"),
    ] {
        let error = scope.resolve(&mut conn).await.unwrap_err();
        assert!(error.to_string().contains(said), "{scope:?}\nsays: {error}\nnot:  {said}");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
}

#[tokio::test]
async fn a_foreign_table_is_refused_alone_and_as_a_partition() {
    if extension("postgres_fdw").await.is_none() {
        return;
    }
    let Some((schema, mut conn)) = Schema::with("").await else { return };
    run(
        &mut conn,
        &format!(
            "CREATE SERVER {0} FOREIGN DATA WRAPPER postgres_fdw;
             CREATE FOREIGN TABLE far (id integer) SERVER {0};
             CREATE TABLE parts (id integer NOT NULL) PARTITION BY RANGE (id);
             CREATE TABLE near PARTITION OF parts FOR VALUES FROM (0) TO (10);
             CREATE FOREIGN TABLE afar PARTITION OF parts FOR VALUES FROM (10) TO (20) SERVER {0}",
            schema.name()
        ),
    )
    .await;
    let error = Scope::<Postgres>::table("far").resolve(&mut conn).await.unwrap_err();
    assert!(error.to_string().contains("is a foreign table"), "{error}");
    let error = Scope::<Postgres>::table("parts").key("id").resolve(&mut conn).await.unwrap_err();
    assert!(error.to_string().contains("foreign table `afar` below it"), "{error}");
    run(&mut conn, &format!("DROP SERVER {} CASCADE", schema.name())).await;
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_answered_with_a_near_one() {
    let Some((_schema, mut conn)) = set_up().await else { return };
    let table = Scope::<Postgres>::table;
    for (scope, said) in [
        (table(TableName::from("employes")), "there is no table `employes`: did you mean `employees`?"),
        // Names are taken as they are: PostgreSQL folds those in plain SQL only.
        (table("Employees".into()), "there is no table `Employees`: did you mean `employees`?"),
        (table("hr.employees".into()), "Scope::table((\"schema\", \"table\"))"),
        (table(("nowhere", "employees").into()), "there is no table `nowhere.employees`"),
        (table("employees".into()).key("ID"), "has no column `ID`: did you mean `id`?"),
        (table("employees".into()).filter(col("name").is_null()), "has no column `name`: did you mean `Name`?"),
        (table("employees".into()).filter(col("role").eq(col("nam"))), "has no column `nam`"),
        (table("employees".into()).columns(["id", "nmae"]), "has no column `nmae`"),
    ] {
        let error = scope.resolve(&mut conn).await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}\nnot: {said}");
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    }
}

#[tokio::test]
async fn a_type_whose_operators_are_out_of_sight_is_refused() {
    if extension("citext").await.is_none() {
        return;
    }
    let Some((schema, mut conn)) = Schema::with("CREATE TABLE t (k public.citext PRIMARY KEY)").await else { return };
    assert_eq!(found(Scope::table("t"), &mut conn).await, ["k"]);
    run(&mut conn, &format!("SET search_path = {}", schema.name())).await;
    let error = Scope::<Postgres>::table("t").resolve(&mut conn).await.unwrap_err();
    assert!(error.to_string().contains("search path does not lead to"), "{error}");
}

#[tokio::test]
async fn the_table_that_was_found_stays_the_table_when_the_search_path_changes() {
    let Some((schema, mut conn)) =
        Schema::with("CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1)").await
    else {
        return;
    };
    let scope = Scope::<Postgres>::table("t");
    let spec = scope.resolve(&mut conn).await.unwrap();
    assert_eq!(spec.schema.as_deref(), Some(schema.name()));
    let scope = scope.at(&spec);
    run(&mut conn, "SET search_path = pg_catalog").await;
    let walk = crate::walk::Walk::new(&scope, &spec);
    assert!(walk.upper(&mut conn).await.unwrap().is_some());
}

/// What is written down of an error, and of a run, may hold any character.
#[tokio::test]
async fn a_database_that_cannot_keep_every_character_is_refused_with_the_mend() {
    let Some(schema) = Schema::new().await else { return };
    let mut conn = schema.connect().await;
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = format!("{}_{}", schema.name(), encoding.to_lowercase());
        let made =
            format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'");
        run(&mut conn, &made).await;
        let pool = sqlx::PgPool::connect_with(schema.options().database(&name)).await.unwrap();
        let migrated = migrate::run(&pool, Migrate::Apply).await;
        pool.close().await;
        run(&mut conn, &format!("DROP DATABASE {name}")).await;
        let error = migrated.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains(&format!("keeps text in {encoding}")), "{error}");
        assert!(error.to_string().contains("ENCODING 'UTF8'"), "{error}");
    }
}
