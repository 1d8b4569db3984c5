//! What is accepted as a key, and each refusal with its mend.

use sqlx::mysql::{MySql, MySqlConnection};

use crate::error::ErrorKind;
use crate::scope::{Scope, TableName, col};
use crate::store::mysql::testing::{Schema, run};

const SETUP: &str = "
    CREATE TABLE employees (id bigint AUTO_INCREMENT PRIMARY KEY, Name text, role text) ENGINE = InnoDB;
    CREATE TABLE pairs (a integer, b varchar(10), n integer, PRIMARY KEY (b, a)) ENGINE = InnoDB;
    CREATE TABLE keyless (n integer) ENGINE = InnoDB;
    CREATE TABLE floats (id double PRIMARY KEY) ENGINE = InnoDB;
    CREATE TABLE moods (id enum('sad', 'ok') PRIMARY KEY) ENGINE = InnoDB;
    CREATE TABLE old (id integer PRIMARY KEY) ENGINE = MyISAM;
    CREATE TABLE crashsafe (id integer PRIMARY KEY) ENGINE = Aria;
    CREATE TABLE stamps (id timestamp(6) PRIMARY KEY) ENGINE = InnoDB;
    CREATE TABLE many (id integer PRIMARY KEY, plain integer NOT NULL, part varchar(50) NOT NULL, nullable integer,
        good integer NOT NULL, made integer AS (good * 2) STORED, a integer NOT NULL, b integer NOT NULL,
        hidden integer NOT NULL,
        KEY many_plain (plain), UNIQUE KEY many_part (part(10)), UNIQUE KEY many_nullable (nullable),
        UNIQUE KEY many_good (good, plain), UNIQUE KEY many_made (made), UNIQUE KEY many_mixed (a, b DESC),
        UNIQUE KEY many_down (b DESC, a DESC), UNIQUE KEY many_hidden (hidden) IGNORED) ENGINE = InnoDB;
    CREATE VIEW seen AS SELECT * FROM employees;
    CREATE TEMPORARY TABLE scratch (id integer PRIMARY KEY);
    CREATE TABLE `we``ird.na me ü` (`i``d` integer PRIMARY KEY, `select` text) ENGINE = InnoDB;
";

async fn found(scope: Scope<MySql>, conn: &mut MySqlConnection) -> Vec<String> {
    scope.resolve(conn).await.unwrap().columns
}

#[tokio::test]
async fn the_primary_key_is_found_and_another_one_can_be_named() {
    let Some((schema, mut conn)) = Schema::with(SETUP).await else { return };
    let conn = &mut conn;
    assert_eq!(found(Scope::table("employees").filter(col("name").is_null()), conn).await, ["id"]);
    assert_eq!(found(Scope::table((schema.name(), "employees")), conn).await, ["id"]);
    assert_eq!(found(Scope::table("pairs"), conn).await, ["b", "a"]);
    assert_eq!(found(Scope::table("many").key(["GOOD", "plain"]), conn).await, ["good", "plain"]);
    assert_eq!(found(Scope::table("many").key(["b", "a"]), conn).await, ["b", "a"]);
    assert_eq!(found(Scope::table("stamps"), conn).await, ["id"]);
    assert_eq!(found(Scope::table("we`ird.na me ü").filter(col("select").eq("x")), conn).await, ["i`d"]);
}

#[tokio::test]
async fn what_cannot_be_walked_is_refused_with_the_mend() {
    let Some((_schema, mut conn)) = Schema::with(SETUP).await else { return };
    run(&mut conn, "SET time_zone = 'SYSTEM'").await;
    let table = |name: &str| Scope::<MySql>::table(name);
    let many = |key: &str| Scope::<MySql>::table("many").key(key);
    for (scope, said) in [
        (table("seen"), "name the table behind it"),
        (table("old"), "is kept by the engine MyISAM, which cannot take part in a batch's transaction: `ALTER TABLE"),
        (table("crashsafe"), "is kept by the engine Aria"),
        (table("keyless"), "has no primary key: declare one"),
        (table("floats"), "`id` of `floats` (double) holds floating-point numbers"),
        (table("moods"), "sorts by the place in its declaration"),
        (table("stamps"), "leave the pool's connections in UTC"),
        (many("plain"), "`many_plain` over the key (`plain`) of `many` is not unique: `CREATE UNIQUE INDEX"),
        (many("part"), "`many_part` over the key (`part`) of `many` holds only the beginning of a column"),
        (many("nullable"), "`nullable` of `many` may be NULL"),
        (many("made"), "computed from other columns"),
        (many("hidden"), "is hidden from the optimizer"),
        (many("good"), "no unique index over exactly these columns in this order"),
        (Scope::table("many").key(["a", "b"]), "mixes ASC and DESC"),
        (Scope::table("many").key(["plain", "good"]), "in this order"),
    ] {
        let error = scope.resolve(&mut conn).await.unwrap_err();
        assert!(error.to_string().contains(said), "{scope:?}\nsays: {error}\nnot:  {said}");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_answered_with_a_near_one() {
    let Some((_schema, mut conn)) = Schema::with(SETUP).await else { return };
    let table = Scope::<MySql>::table;
    for (scope, said) in [
        (table(TableName::from("employes")), "there is no table `employes`: did you mean `employees`?"),
        (table("hr.employees".into()), "Scope::table((\"database\", \"table\"))"),
        (table("scratch".into()), "is the table an ordinary one?"),
        (table(("nowhere", "employees").into()), "there is no table `nowhere.employees`"),
        (table("employees".into()).key("idd"), "has no column `idd`: did you mean `id`?"),
        (table("employees".into()).columns(["id", "nmae"]), "has no column `nmae`"),
    ] {
        let error = scope.resolve(&mut conn).await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}\nnot: {said}");
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    }
}

#[tokio::test]
async fn the_table_that_was_found_stays_the_table_when_the_database_changes() {
    let Some((schema, mut conn)) =
        Schema::with("CREATE TABLE t (id integer PRIMARY KEY) ENGINE = InnoDB; INSERT INTO t VALUES (1)").await
    else {
        return;
    };
    let scope = Scope::<MySql>::table("t");
    let spec = scope.resolve(&mut conn).await.unwrap();
    assert_eq!(spec.schema.as_deref(), Some(schema.name()));
    let scope = scope.at(&spec);
    run(&mut conn, "USE information_schema").await;
    let walk = crate::walk::Walk::new(&scope, &spec);
    assert!(walk.upper(&mut conn).await.unwrap().is_some());
}
