//! A database of its own for each test on the server that `DATA_DRIP_TEST_MYSQL` names, kept when the test fails.

use std::io::Write;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, MySql, MySqlPool};

use crate::backend::Backend;

pub(crate) struct Schema {
    name: String,
    options: MySqlConnectOptions,
}

/// The server for tests; `None`, loudly, where none is named.
fn server() -> Option<MySqlConnectOptions> {
    if let Ok(url) = std::env::var("DATA_DRIP_TEST_MYSQL") {
        return Some(MySqlConnectOptions::from_str(&url).unwrap().disable_statement_logging());
    }
    // Straight to the file: what a passing test prints is not shown.
    let test = std::thread::current();
    let _ =
        writeln!(std::io::stderr(), "SKIPPED: {} (DATA_DRIP_TEST_MYSQL is not set)", test.name().unwrap_or("a test"));
    None
}

impl Schema {
    pub(crate) async fn new() -> Option<Self> {
        Self::of_character_set("utf8mb4").await
    }

    /// With this character set for what does not say which it has.
    pub(crate) async fn of_character_set(set: &str) -> Option<Self> {
        let server = server()?;
        let name = format!("data_drip_{}", uuid::Uuid::now_v7().simple());
        let mut conn = server.connect().await.unwrap();
        run(&mut conn, &format!("CREATE DATABASE {name} CHARACTER SET {set}")).await;
        let options = server.database(&name);
        Some(Self { name, options })
    }

    /// A connection to a new database that `script` has set up.
    pub(crate) async fn with(script: &str) -> Option<(Self, MySqlConnection)> {
        let schema = Self::new().await?;
        let mut conn = schema.connect().await;
        run(&mut conn, script).await;
        Some((schema, conn))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn options(&self) -> MySqlConnectOptions {
        self.options.clone()
    }

    pub(crate) async fn connect(&self) -> MySqlConnection {
        self.options.connect().await.unwrap()
    }

    pub(crate) fn pool(&self) -> MySqlPool {
        MySqlPoolOptions::new().max_connections(16).connect_lazy_with(self.options())
    }

    pub(crate) async fn session(&self, conn: &mut MySqlConnection) -> <MySql as Backend>::Session {
        MySql::attach(conn, &Arc::new(self.options())).await.unwrap()
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for a look: database {}", self.name);
            return;
        }
        let (options, name) = (self.options.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut conn = options.connect().await.unwrap();
                // A connection that the test left open may be in a transaction.
                run(&mut conn, &format!("SET SESSION lock_wait_timeout = 5; DROP DATABASE {name}")).await;
            });
        });
        if dropping.join().is_err() {
            eprintln!("left behind: database {}", self.name);
        }
    }
}

pub(crate) async fn run(conn: &mut MySqlConnection, script: &str) {
    if !script.is_empty() {
        sqlx::raw_sql(AssertSqlSafe(script.to_owned())).execute(conn).await.unwrap();
    }
}

pub(crate) async fn int(conn: &mut MySqlConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(conn).await.unwrap()
}

/// Until some transaction of the connection's database waits for a lock.
///
/// By the server's report. `information_schema.innodb_trx` is not read anew as long as anybody has looked at it within a
/// tenth of a second.
pub(crate) async fn until_lock_wait(conn: &mut MySqlConnection) {
    let own = "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE db = DATABASE()";
    loop {
        let own: Vec<i64> = sqlx::query_scalar(own).fetch_all(&mut *conn).await.unwrap();
        let report = sqlx::raw_sql("SHOW ENGINE INNODB STATUS").fetch_one(&mut *conn).await.unwrap();
        let report = MySql::text(&report, 2).unwrap().unwrap();
        let transactions = report.split("---TRANSACTION ").skip(1);
        let of = |transaction: &str, id: &i64| transaction.contains(&format!("thread id {id},"));
        let mut waiting = transactions.filter(|transaction| transaction.contains("\nLOCK WAIT"));
        if waiting.any(|transaction| own.iter().any(|id| of(transaction, id))) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
