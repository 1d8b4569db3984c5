//! Bringing the engine's tables up to date on PostgreSQL.

use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Postgres};

use crate::backend::Statement;
use crate::error::{Error, ErrorKind};
use crate::store::migrate::{self, Migrate, cause_of, migrator};
use crate::store::postgres::pooler;
use crate::store::{Columns, one};

/// The migrator's own table, as sqlx makes it.
pub(crate) const MIGRATOR_TABLE: &str = "CREATE TABLE IF NOT EXISTS data_drip_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
    success BOOLEAN NOT NULL,
    checksum BYTEA NOT NULL,
    execution_time BIGINT NOT NULL
);";

/// What the engine's own SQL needs: `pg_attribute.attgenerated` is the newest.
const OLDEST: u32 = 120_000;

/// Processes that start together wait for each other by an advisory lock of the transaction, one for each schema. In one
/// transaction all files are applied or none: a process that is killed half-way leaves nothing behind, and through
/// a pooler no lock stays with a connection that goes on to others.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '60s'; \
     SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '60s'; \
     SELECT pg_advisory_xact_lock(1684632681, hashtext(current_schema()))";

pub(crate) async fn run(pool: &PgPool, mode: Migrate) -> Result<(), Error> {
    pooler::check(pool).await?;
    let mut conn = pool.acquire().await?;
    check_server(&mut conn).await?;
    migrate::bring_up::<Postgres>(pool, &mut conn, mode, |conn| Box::pin(apply_on(conn))).await
}

async fn check_server(conn: &mut PgConnection) -> Result<(), Error> {
    let version = conn.server_version_num();
    if let Some(version) = version.filter(|&version| version < OLDEST) {
        let message = format!("this server is PostgreSQL {}: DataDrip needs 12 or newer", version / 10_000);
        return Err(Error::new(ErrorKind::Configuration, message));
    }
    let about = "SELECT pg_is_in_recovery(), current_setting('server_encoding')";
    let Some(row) = one::<Postgres>(conn, Statement::of(about)).await? else {
        return Err(sqlx::Error::RowNotFound.into());
    };
    let mut columns = Columns::<Postgres>::of(&row);
    let (recovering, encoding) = (columns.flag()?, columns.text()?);
    if encoding != "UTF8" {
        let message = format!(
            "this database keeps text in {encoding}: DataDrip needs UTF8, for errors and lines may hold any character. Make a \
             database with `CREATE DATABASE .. TEMPLATE template0 ENCODING 'UTF8'`, and move the data there with `pg_dump`"
        );
        return Err(Error::new(ErrorKind::Configuration, message));
    }
    if recovering {
        let message = "this server is a standby, which takes no writes: connect to the primary";
        return Err(Error::new(ErrorKind::Configuration, message));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) async fn apply(options: &sqlx::postgres::PgConnectOptions) -> sqlx::Result<()> {
    migrate::alone::<Postgres>(options, |conn| Box::pin(apply_on(conn))).await
}

async fn apply_on(conn: &mut PgConnection) -> sqlx::Result<()> {
    let names = pooler::forget_names(conn);
    let mut tx = conn.begin_with(AssertSqlSafe(format!("{BEGIN}{names}"))).await?;
    migrator(migrate::POSTGRES).run_direct(None, &mut *tx, false).await.map_err(cause_of)?;
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection, Postgres};

    use super::*;
    use crate::store::migrate::VERSION;
    use crate::store::postgres::testing::{Schema, int, run};

    #[tokio::test]
    async fn tables_that_are_missing_are_named_and_those_made_by_hand_are_taken_on() {
        let Some(schema) = Schema::new().await else { return };
        let pool = schema.pool();
        let error = super::run(&pool, Migrate::Check).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("Migrate::Apply"), "{error}");
        let mut conn = schema.connect().await;
        run(&mut conn, &Migrate::sql::<Postgres>()).await;
        super::run(&pool, Migrate::Check).await.unwrap();
        super::apply(&schema.options()).await.unwrap();
        assert_eq!(int(&mut conn, "SELECT count(*) FROM data_drip_migrations").await, VERSION);
        let numbers: Vec<_> = migrate::POSTGRES.iter().map(|file| file.0).collect();
        assert_eq!(numbers, (1..=VERSION).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_migration_that_ends_half_way_leaves_nothing_behind_and_holds_nobody_up() {
        let Some((schema, mut conn)) = Schema::with("CREATE TABLE data_drip_run_permits (mine text)").await else {
            return;
        };
        let error = super::run(&schema.pool(), Migrate::Apply).await.unwrap_err();
        assert!(error.to_string().contains("data_drip_run_permits"), "{error}");
        let left =
            "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'";
        assert_eq!(int(&mut conn, left).await, 1, "all files or none");
        run(&mut conn, "DROP TABLE data_drip_run_permits").await;
        super::run(&schema.pool(), Migrate::Apply).await.unwrap();
    }

    #[tokio::test]
    async fn who_migrates_waits_for_who_was_first() {
        let Some((schema, mut first)) = Schema::with("").await else { return };
        let mut tx = first.begin().await.unwrap();
        sqlx::query("SELECT pg_advisory_xact_lock(1684632681, hashtext(current_schema()))")
            .execute(&mut *tx)
            .await
            .unwrap();
        let pool = schema.pool();
        let second = tokio::spawn(async move { super::run(&pool, Migrate::Apply).await });
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
            AND objid::bigint = hashtext(current_schema())::bigint & 4294967295";
        while int(&mut tx, waits).await == 0 {
            tokio::task::yield_now().await;
        }
        tx.commit().await.unwrap();
        second.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_database_that_needs_a_newer_version_is_refused_and_one_that_is_only_newer_is_not() {
        let Some((schema, mut conn)) = Schema::with("").await else { return };
        let pool = schema.pool();
        super::run(&pool, Migrate::Apply).await.unwrap();
        run(
            &mut conn,
            "UPDATE data_drip_schema SET version = 1007;
             INSERT INTO data_drip_migrations (version, description, success, checksum, execution_time)
             VALUES (1007, 'newer', TRUE, '', 0)",
        )
        .await;
        super::run(&pool, Migrate::Apply).await.unwrap();
        run(&mut conn, "UPDATE data_drip_schema SET min_compatible_version = 1007").await;
        for mode in [Migrate::Apply, Migrate::Check] {
            let error = super::run(&pool, mode).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Version);
        }
    }
}
