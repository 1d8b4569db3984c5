//! Bringing the engine's tables up to date on SQLite.

use std::time::{Duration, Instant};

use sqlx::{Connection, Sqlite, SqliteConnection, SqlitePool};

use crate::backend::Backend;
use crate::error::Error;
use crate::store::migrate::{self, Migrate, cause_of, check, is_current, migrator, not_applied};

/// The migrator's own table, as sqlx makes it.
pub(crate) const MIGRATOR_TABLE: &str = "CREATE TABLE IF NOT EXISTS data_drip_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);";

/// sqlx's own lock is a no-op on SQLite: processes that start together would run the same migration twice. The
/// write lock of `BEGIN IMMEDIATE` makes them wait for each other; the migrator's transactions become savepoints.
pub(crate) async fn run(pool: &SqlitePool, mode: Migrate) -> Result<(), Error> {
    let mut conn = pool.acquire().await?;
    // Looked at without a lock first: a start must not wait for a batch of another process.
    if mode == Migrate::Apply && !is_current::<Sqlite>(&mut conn).await {
        let since = Instant::now();
        while let Err(error) = apply(&mut conn).await {
            if !Sqlite::is_transient(&error) || since.elapsed() > PATIENCE {
                return Err(not_applied(error));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    check::<Sqlite>(&mut conn).await
}

/// How long to wait for others that migrate or write.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) async fn apply(conn: &mut SqliteConnection) -> sqlx::Result<()> {
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await?;
    // What `run` does once it has its connection; `run` itself asks for a bound that a boxed future cannot prove.
    migrator(migrate::SQLITE).run_direct(None, &mut *tx, false).await.map_err(cause_of)?;
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, SqlitePool};

    use super::*;
    use crate::error::ErrorKind;
    use crate::store::migrate::VERSION;
    use crate::store::sqlite::testing::File;

    async fn pool(file: &File) -> SqlitePool {
        SqlitePool::connect_with(file.options()).await.unwrap()
    }

    async fn say(pool: &SqlitePool, script: &str) {
        sqlx::raw_sql(AssertSqlSafe(script.to_owned())).execute(pool).await.unwrap();
    }

    #[tokio::test]
    async fn migrations_run_once_beside_the_hosts_own() {
        let file = File::new();
        let pool = pool(&file).await;
        say(&pool, "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL)").await;
        for _ in 0..2 {
            super::run(&pool, Migrate::Apply).await.unwrap();
        }
        let applied: i64 =
            sqlx::query_scalar("SELECT count(*) FROM data_drip_migrations").fetch_one(&pool).await.unwrap();
        assert_eq!(applied, VERSION);
        let hosts: i64 = sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations").fetch_one(&pool).await.unwrap();
        assert_eq!(hosts, 0);
    }

    #[tokio::test]
    async fn tables_that_are_missing_are_named_when_only_checked() {
        let file = File::new();
        let error = super::run(&pool(&file).await, Migrate::Check).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("Migrate::Apply"), "{error}");
    }

    #[tokio::test]
    async fn tables_made_by_hand_from_the_printed_sql_are_taken_on_and_migrated_no_second_time() {
        let file = File::new();
        let pool = pool(&file).await;
        say(&pool, &Migrate::sql::<sqlx::Sqlite>()).await;
        super::run(&pool, Migrate::Check).await.unwrap();
        // As an older version left it: there is something to look for.
        say(&pool, "UPDATE data_drip_schema SET version = 1").await;
        let error = super::run(&pool, Migrate::Check).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Version);
        for part in ["are at version 1, this build needs", "a process once with `Migrate::Apply`", "new tables only"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        super::apply(&mut pool.acquire().await.unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn a_database_that_needs_a_newer_version_is_refused_and_one_that_is_only_newer_is_not() {
        let file = File::new();
        let pool = pool(&file).await;
        super::run(&pool, Migrate::Apply).await.unwrap();
        // A newer version was here, and left a migration that this one does not know.
        say(
            &pool,
            "UPDATE data_drip_schema SET version = 1007;
             INSERT INTO data_drip_migrations (version, description, success, checksum, execution_time)
             VALUES (1007, 'newer', TRUE, x'00', 0)",
        )
        .await;
        super::run(&pool, Migrate::Apply).await.unwrap();
        say(&pool, "UPDATE data_drip_schema SET min_compatible_version = 1007").await;
        for mode in [Migrate::Apply, Migrate::Check] {
            let error = super::run(&pool, mode).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Version);
            assert!(error.to_string().contains("needs at least version 1007"), "{error}");
        }
    }

    #[tokio::test]
    async fn the_schema_says_the_version_that_the_code_knows() {
        let file = File::new();
        let pool = pool(&file).await;
        super::run(&pool, Migrate::Apply).await.unwrap();
        let version: i64 = sqlx::query_scalar("SELECT version FROM data_drip_schema").fetch_one(&pool).await.unwrap();
        assert_eq!(version, VERSION);
        let numbers: Vec<_> = migrate::SQLITE.iter().map(|file| file.0).collect();
        assert_eq!(numbers, (1..=VERSION).collect::<Vec<_>>());
    }
}
