//! MariaDB and MySQL.

use anyhow::Result;
use data_drip::backfill::BoxFuture;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, MySql};

use super::Server;
use super::speed::Scale;

/// What both sides run with, as the report names it.
const SETTINGS: [&str; 4] =
    ["innodb_flush_log_at_trx_commit", "innodb_buffer_pool_size", "innodb_log_file_size", "log_bin"];

impl Server for MySql {
    const WORD: &'static str = "mysql";
    const VARIABLE: &'static str = "DATA_DRIP_TEST_MYSQL";
    const NOW: &'static str = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000";
    const SCALE: Scale = Scale::MYSQL;
    const TRIPS: u64 = 8;
    const ANALYZE: &'static str = "ANALYZE TABLE data_drip_backfill_runs, data_drip_backfill_run_batches";
    const MARK: &'static str = "START TRANSACTION READ WRITE; SAVEPOINT";

    const COUNTED: &'static str = "By the server's status `Questions`; nobody else used it.";

    fn asked(_: &str) -> String {
        "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status WHERE variable_name = 'QUESTIONS'"
            .to_owned()
    }

    fn heading(conn: &mut MySqlConnection) -> BoxFuture<'_, Result<String>> {
        Box::pin(async move {
            let version: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut *conn).await?;
            let mut settings = Vec::new();
            for name in SETTINGS {
                let value = AssertSqlSafe(format!("SELECT CAST(@@GLOBAL.{name} AS CHAR)"));
                let value: String = sqlx::query_scalar(value).fetch_one(&mut *conn).await?;
                settings.push(format!("{name} {value}"));
            }
            Ok(format!("{version} ({})", settings.join(", ")))
        })
    }

    fn at(options: MySqlConnectOptions, database: &str) -> MySqlConnectOptions {
        options.database(database)
    }

    fn through(options: MySqlConnectOptions, port: u16) -> MySqlConnectOptions {
        options.host("127.0.0.1").port(port)
    }

    fn address(options: &MySqlConnectOptions) -> (String, u16) {
        (options.get_host().to_owned(), options.get_port())
    }

    fn fill(conn: &mut MySqlConnection, rows: u64) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let table = "CREATE TABLE employees (
                     id bigint PRIMARY KEY, name varchar(60) NOT NULL, department varchar(60) NOT NULL, role varchar(60),
                     email varchar(120)
                 ) ENGINE = InnoDB;
                 INSERT INTO employees (id, name, department) VALUES (1, 'employee.00000001', 'department 1')";
            Self::run(&mut *conn, table.to_owned()).await?;
            let mut filled = 1;
            while filled < rows {
                let more = filled.min(rows - filled);
                let twice = format!(
                    "INSERT INTO employees (id, name, department)
                     SELECT id + {filled}, CONCAT('employee.', LPAD(id + {filled}, 8, '0')),
                         CONCAT('department ', (id + {filled}) % 50)
                     FROM employees WHERE id <= {more}"
                );
                Self::run(&mut *conn, twice).await?;
                filled += more;
            }
            Self::run(conn, "ANALYZE TABLE employees".to_owned()).await?;
            Ok(())
        })
    }

    fn copy<'c>(conn: &'c mut MySqlConnection, template: &'c str, work: &'c str) -> BoxFuture<'c, Result<()>> {
        // The last one writes what is changed to the disk now, and not while something is measured.
        let script = format!(
            "DROP DATABASE IF EXISTS {work};
             CREATE DATABASE {work};
             CREATE TABLE {work}.employees LIKE {template}.employees;
             INSERT INTO {work}.employees SELECT * FROM {template}.employees ORDER BY id;
             ANALYZE TABLE {work}.employees;
             FLUSH TABLES {work}.employees FOR EXPORT;
             UNLOCK TABLES"
        );
        Box::pin(async move { Ok(Self::run(conn, script).await?) })
    }

    fn settled_runs(runs: u64) -> String {
        let values = (1..=runs)
            .map(|i| format!("('nothing', '{{}}', 1000, 0, 'default', 1, 'completed', {i}, {i}, {i} + 1, 1, 1, 1, 0)"));
        format!(
            "INSERT INTO data_drip_backfill_runs (
                 backfill, options, batch_size, sleep_ms, queue, max_attempts, status, created_at, started_at, finished_at,
                 prepared, planned, total_exact, processed
             ) VALUES {};
             ANALYZE TABLE data_drip_backfill_runs",
            values.collect::<Vec<_>>().join(", ")
        )
    }

    fn run(conn: &mut MySqlConnection, script: String) -> BoxFuture<'_, sqlx::Result<()>> {
        Box::pin(async move { sqlx::raw_sql(AssertSqlSafe(script)).execute(conn).await.map(drop) })
    }

    fn number(conn: &mut MySqlConnection, query: String) -> BoxFuture<'_, sqlx::Result<i64>> {
        Box::pin(async move {
            let query = AssertSqlSafe(format!("SELECT CAST(({query}) AS SIGNED)"));
            let number: Option<i64> = sqlx::query_scalar(query).fetch_one(conn).await?;
            Ok(number.unwrap_or(0))
        })
    }
}
