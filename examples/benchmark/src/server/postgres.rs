//! PostgreSQL.

use anyhow::Result;
use data_drip::backfill::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Postgres};

use super::Server;
use super::speed::Scale;

/// What both sides run with, as the report names it.
const SETTINGS: [&str; 5] = ["fsync", "synchronous_commit", "shared_buffers", "max_wal_size", "wal_level"];

impl Server for Postgres {
    const WORD: &'static str = "postgres";
    const VARIABLE: &'static str = "DATA_DRIP_TEST_POSTGRES";
    const NOW: &'static str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    const SCALE: Scale = Scale::POSTGRES;
    const TRIPS: u64 = 5;
    const ANALYZE: &'static str = "ANALYZE data_drip_backfill_runs; ANALYZE data_drip_backfill_run_batches";
    const MARK: &'static str = "SET LOCAL data_drip.fence";

    const COUNTED: &'static str =
        "Transactions of that database by `pg_stat_database`: an idle worker's are of one statement each.";

    fn asked(database: &str) -> String {
        format!("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{database}'")
    }

    fn heading(conn: &mut PgConnection) -> BoxFuture<'_, Result<String>> {
        Box::pin(async move {
            let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut *conn).await?;
            let mut settings = Vec::new();
            for name in SETTINGS {
                let value: String =
                    sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(&mut *conn).await?;
                settings.push(format!("{name} {value}"));
            }
            Ok(format!("PostgreSQL {version} ({})", settings.join(", ")))
        })
    }

    fn at(options: PgConnectOptions, database: &str) -> PgConnectOptions {
        options.database(database)
    }

    fn through(options: PgConnectOptions, port: u16) -> PgConnectOptions {
        options.host("127.0.0.1").port(port)
    }

    fn address(options: &PgConnectOptions) -> (String, u16) {
        (options.get_host().to_owned(), options.get_port())
    }

    fn fill(conn: &mut PgConnection, rows: u64) -> BoxFuture<'_, Result<()>> {
        let script = format!(
            "CREATE TABLE employees (
                 id bigint PRIMARY KEY, name text NOT NULL, department text NOT NULL, role text, email text
             );
             INSERT INTO employees (id, name, department)
             SELECT i, 'employee.' || lpad(i::text, 8, '0'), 'department ' || i % 50 FROM generate_series(1, {rows}) AS i"
        );
        Box::pin(async move {
            Self::run(&mut *conn, script).await?;
            Self::run(conn, "VACUUM (ANALYZE) employees".to_owned()).await?;
            Ok(())
        })
    }

    fn copy<'c>(conn: &'c mut PgConnection, template: &'c str, work: &'c str) -> BoxFuture<'c, Result<()>> {
        // A copy of the files begins and ends with a checkpoint. Older servers copy files anyway.
        let how = if conn.server_version_num() >= Some(150_000) { " STRATEGY file_copy" } else { "" };
        Box::pin(async move {
            Self::run(&mut *conn, format!("DROP DATABASE IF EXISTS {work} WITH (FORCE)")).await?;
            Self::run(conn, format!("CREATE DATABASE {work} TEMPLATE {template}{how}")).await?;
            Ok(())
        })
    }

    fn settled_runs(runs: u64) -> String {
        format!(
            "INSERT INTO data_drip_backfill_runs (
                 backfill, options, batch_size, sleep_ms, queue, max_attempts, status, created_at, started_at, finished_at,
                 prepared, planned, total_exact, processed
             )
             SELECT 'nothing', '{{}}', 1000, 0, 'default', 1, 'completed', i, i, i + 1, 1, 1, 1, 0
             FROM generate_series(1, {runs}) AS i;
             ANALYZE data_drip_backfill_runs"
        )
    }

    fn run(conn: &mut PgConnection, script: String) -> BoxFuture<'_, sqlx::Result<()>> {
        Box::pin(async move { sqlx::raw_sql(AssertSqlSafe(script)).execute(conn).await.map(drop) })
    }

    fn number(conn: &mut PgConnection, query: String) -> BoxFuture<'_, sqlx::Result<i64>> {
        Box::pin(async move {
            let query = AssertSqlSafe(format!("SELECT ({query})::bigint"));
            let number: Option<i64> = sqlx::query_scalar(query).fetch_one(conn).await?;
            Ok(number.unwrap_or(0))
        })
    }
}
