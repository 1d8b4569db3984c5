//! What tests have to know of MySQL or MariaDB: types, a database for each test, a few statements.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::Write;
use std::str::FromStr;
use std::time::Duration;

use data_drip::Builder;
pub use data_drip::mysql::prelude;
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, MySql, MySqlPool};

pub type Db = MySql;
pub type Row = sqlx::mysql::MySqlRow;

/// A statement that takes minutes.
pub const LONG: &str = "SELECT SLEEP(300)";
/// In the text of the statement that begins a batch's transaction.
pub const BEGINS: &str = "START TRANSACTION READ WRITE; SAVEPOINT";
/// Round trips of the engine's own for a batch that another follows.
pub const TRIPS: u64 = 7;
/// Those of a writing helper: the greatest key has a statement of its own.
pub const WRITES: u64 = 2;
/// What a hand-written `COMMIT` and its like are told.
pub const BROKEN: &str = "the batch's transaction was ended by user code";
/// What user code is told that swallowed a deadlock.
pub const LOST_TRANSACTION: &str = "the batch's transaction was ended by user code";
/// Whether an error of a statement spoils its transaction.
pub const SPOILS: bool = false;
/// Nothing needs to be set: InnoDB notices deadlocks at once, and takes who has written least.
pub const NOTICE_DEADLOCKS: &str = "SELECT 1";
/// What a careful migration says first: it does not keep everybody waiting for the table that it waits for.
pub const CHANGES_SCHEMA: &str = "SET SESSION lock_wait_timeout = 1";
/// The server's clock, as DataDrip's tables have it.
pub const NOW: &str = "CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)";
/// How a `COMMIT` goes over the wire.
pub const COMMIT: &[u8] = b"\x07\0\0\0\x03COMMIT";

/// Where a process finds its database.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Place {
    url: String,
    pub name: String,
}

fn builder_on(pool: MySqlPool) -> Builder<Db> {
    prelude::DataDrip::builder(pool).poll_interval(Duration::from_millis(20)).lease(Duration::from_secs(3))
}

impl Place {
    /// With statements that sqlx tells `tracing` of.
    fn telling(&self) -> MySqlConnectOptions {
        MySqlConnectOptions::from_str(&self.url).unwrap().database(&self.name)
    }

    fn options(&self) -> MySqlConnectOptions {
        self.telling().disable_statement_logging()
    }

    /// On a pool of its own, as each process has one; with a short poll and lease.
    pub fn builder(&self) -> Builder<Db> {
        builder_on(self.pool(8))
    }

    /// A pool of so many connections.
    pub fn pool(&self, connections: u32) -> MySqlPool {
        MySqlPoolOptions::new().max_connections(connections).connect_lazy_with(self.options())
    }

    pub fn host(&self) -> String {
        self.options().get_host().to_owned()
    }

    /// Where the server listens.
    pub fn port(&self) -> u16 {
        self.options().get_port()
    }

    /// The same, by way of somebody who listens on another port of this machine.
    #[must_use]
    pub fn by_way_of(&self, port: u16) -> Self {
        let mut url: url::Url = self.url.parse().unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(port)).unwrap();
        Self { url: url.into(), name: self.name.clone() }
    }
}

/// A database with rows to process and a ledger.
pub struct Database {
    pub place: Place,
    pub pool: MySqlPool,
}

impl Database {
    /// `None`, loudly, where no server is named.
    pub async fn empty() -> Option<Self> {
        let Ok(url) = std::env::var("DATA_DRIP_TEST_MYSQL") else {
            let test = std::thread::current();
            // Straight to the file: what a passing test prints is not shown.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: {} (DATA_DRIP_TEST_MYSQL is not set)",
                test.name().unwrap_or("a test")
            );
            return None;
        };
        Some(Self::on(&url).await)
    }

    /// On the server with this URL.
    pub async fn on(url: &str) -> Self {
        let server = MySqlConnectOptions::from_str(url).unwrap().disable_statement_logging();
        let place = Place { url: url.to_owned(), name: format!("data_drip_{}", uuid::Uuid::now_v7().simple()) };
        let mut conn = server.connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {}", place.name))).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        let pool = place.pool(8);
        Self { place, pool }
    }

    /// With items 3, 6, 9 and so on.
    pub async fn with_items(items: u32) -> Option<Self> {
        let database = Self::empty().await?;
        database.fill(items).await;
        Some(database)
    }

    /// Creates the tables, and so many items.
    pub async fn fill(&self, items: u32) {
        self
            .run(
                "CREATE TABLE items (id bigint PRIMARY KEY, touched integer NOT NULL DEFAULT 0, batch bigint, word text,
                     KEY items_by_batch (batch)) ENGINE = InnoDB;
                 -- Nothing here keeps a row from being written twice: that is what it is to show.
                 CREATE TABLE ledger (run bigint NOT NULL, item bigint NOT NULL, batch bigint, worker text) ENGINE = InnoDB;
                 CREATE TABLE unique_words (word varchar(50) UNIQUE) ENGINE = InnoDB",
            )
            .await;
        if items > 0 {
            let values = (1..=items).map(|n| format!("({})", n * 3)).collect::<Vec<_>>().join(", ");
            self.run(&format!("INSERT INTO items (id) VALUES {values}")).await;
        }
    }

    pub async fn run(&self, script: &str) {
        sqlx::raw_sql(AssertSqlSafe(script)).execute(&self.pool).await.unwrap();
    }

    /// A number from the database; 0 for NULL.
    pub async fn number(&self, query: &str) -> i64 {
        let query = AssertSqlSafe(format!("SELECT CAST(({query}) AS SIGNED)"));
        let number: Option<i64> = sqlx::query_scalar(query).fetch_one(&self.pool).await.unwrap();
        number.unwrap_or(0)
    }

    /// On a pool of its own, as another process would be; with a short poll and lease.
    pub fn builder(&self) -> Builder<Db> {
        self.place.builder()
    }

    /// The same, and sqlx tells `tracing` of each statement.
    pub fn telling_builder(&self) -> Builder<Db> {
        builder_on(MySqlPoolOptions::new().max_connections(8).connect_lazy_with(self.place.telling()))
    }

    /// Ends the connections that stand for workers, those that hold batches or all, from the server's side. How many
    /// they were.
    pub async fn terminate_presences(&self, holding: bool) -> i64 {
        let of = if holding {
            "IN (SELECT worker FROM data_drip_backfill_run_batches WHERE status = 'running')"
        } else {
            "IS NOT NULL"
        };
        let held = "SELECT CAST(IS_USED_LOCK(CONCAT('data_drip/', token)) AS SIGNED) FROM data_drip_worker_locks";
        let held = AssertSqlSafe(format!("{held} WHERE worker {of}"));
        let connections: Vec<Option<i64>> = sqlx::query_scalar(held).fetch_all(&self.pool).await.unwrap();
        let mut ended = 0;
        for connection in connections.into_iter().flatten() {
            self.run(&format!("KILL CONNECTION {connection}")).await;
            ended += 1;
        }
        ended
    }

    /// How many batches of this database are in a [`LONG`] statement.
    pub async fn long_running(&self) -> i64 {
        self.number(
            "SELECT COUNT(*) FROM information_schema.processlist
             WHERE db = DATABASE() AND info LIKE 'SELECT SLEEP(300)%'",
        )
        .await
    }

    /// Ends every connection that is in a batch's transaction of this database, from the server's side, and waits until
    /// what they wrote is rolled back: whoever tries again would wait for its locks. How many they were.
    pub async fn terminate_batches(&self) -> i64 {
        let writing = "SELECT CAST(p.id AS SIGNED) FROM information_schema.innodb_trx t
            JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id
            WHERE p.db = DATABASE() AND t.trx_rows_modified > 20";
        let connections: Vec<i64> = sqlx::query_scalar(writing).fetch_all(&self.pool).await.unwrap();
        for connection in &connections {
            self.run(&format!("KILL CONNECTION {connection}")).await;
            let open = format!(
                "SELECT CAST(count(*) AS SIGNED) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = {connection}"
            );
            herd::eventually("it is rolled back", async || {
                // The server shows the same picture again to whoever looks before it was left alone for a tenth of a second.
                tokio::time::sleep(Duration::from_millis(150)).await;
                self.number(&open).await == 0
            })
            .await;
        }
        i64::try_from(connections.len()).unwrap()
    }

    /// Ends the connections that come from these ports, from the server's side. How many they were.
    pub async fn terminate(&self, ports: &[u16]) -> i64 {
        let shown: Vec<(i64, String)> =
            sqlx::query_as("SELECT CAST(id AS SIGNED), host FROM information_schema.processlist WHERE db = DATABASE()")
                .fetch_all(&self.pool)
                .await
                .unwrap();
        let from = |host: &str| host.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        let mut ended = 0;
        for (id, _) in shown.iter().filter(|(_, host)| from(host).is_some_and(|port| ports.contains(&port))) {
            // It may have ended by itself.
            let kill = AssertSqlSafe(format!("KILL CONNECTION {id}"));
            ended += i64::from(sqlx::raw_sql(kill).execute(&self.pool).await.is_ok());
        }
        ended
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for a look: database {}", self.place.name);
            return;
        }
        let (options, name) = (self.place.options(), self.place.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut conn = options.connect().await.unwrap();
                let script = format!("SET SESSION lock_wait_timeout = 5; DROP DATABASE {name}");
                sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut conn).await.unwrap();
            });
        });
        if dropping.join().is_err() {
            eprintln!("left behind: database {}", self.place.name);
        }
    }
}

/// SQL with `?` for each value, as this database spells it.
pub fn sql(text: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(text.to_owned())
}

/// The server itself, for tests that start one of their own.
pub mod server {
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::str::FromStr;

    use sqlx::mysql::MySqlConnectOptions;
    use sqlx::{ConnectOptions, Connection};

    pub const NAME: &str = "MariaDB";
    /// A shutdown in good order, and an end after which it has to recover.
    pub const FAST: &str = "-TERM";
    pub const ABRUPT: &str = "-KILL";

    fn binary(name: &str) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        folders.map(|folder| folder.join(name)).find(|file| file.is_file())
    }

    pub fn is_installed() -> bool {
        binary("mariadbd").is_some() && binary("mariadb-install-db").is_some()
    }

    pub fn prepare(data: &Path) -> Command {
        let mut command = Command::new(binary("mariadb-install-db").unwrap());
        command.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        command.arg(format!("--datadir={}", data.display()));
        command
    }

    pub fn command(data: &Path, port: u16) -> Command {
        let beside = |name: &str| data.with_file_name(name).display().to_string();
        let user = "CREATE USER IF NOT EXISTS tester@'127.0.0.1' IDENTIFIED BY 'tester';\n\
                    GRANT ALL ON *.* TO tester@'127.0.0.1' WITH GRANT OPTION;\n";
        std::fs::write(beside("users.sql"), user).unwrap();
        let mut command = Command::new(binary("mariadbd").unwrap());
        command.args(["--no-defaults", "--bind-address=127.0.0.1", "--character-set-server=utf8mb4"]).args([
            format!("--datadir={}", data.display()),
            format!("--port={port}"),
            format!("--socket={}", beside("socket")),
            format!("--pid-file={}", beside("pid")),
            format!("--init-file={}", beside("users.sql")),
        ]);
        command
    }

    pub fn url(port: u16) -> String {
        format!("mysql://tester:tester@127.0.0.1:{port}")
    }

    pub async fn answers(url: &str) -> bool {
        match MySqlConnectOptions::from_str(url).unwrap().connect().await {
            Ok(conn) => conn.close().await.is_ok(),
            Err(_) => false,
        }
    }
}
