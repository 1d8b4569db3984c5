//! What tests have to know of PostgreSQL: types, a schema for each test, a few statements.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::Write;
use std::str::FromStr;
use std::time::Duration;

use data_drip::Builder;
pub use data_drip::postgres::prelude;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgPool, Postgres};

pub type Db = Postgres;
pub type Row = sqlx::postgres::PgRow;

/// A statement that takes minutes.
pub const LONG: &str = "SELECT pg_sleep(300)";
/// In the text of the statement that begins a batch's transaction.
pub const BEGINS: &str = "SET LOCAL data_drip.fence";
/// Round trips of the engine's own for a batch that another follows.
pub const TRIPS: u64 = 3;
/// Those of a writing helper.
pub const WRITES: u64 = 1;
/// What a hand-written `COMMIT` and its like are told.
pub const BROKEN: &str = "the batch's transaction was ended by user code";

/// What user code is told that swallowed a deadlock.
pub const LOST_TRANSACTION: &str = "user code swallowed an error of the database";
/// Whether an error of a statement spoils its transaction.
pub const SPOILS: bool = true;
/// Has the batch be the one that notices a deadlock, and soon: by default it waits a second, longer than for a lock.
pub const NOTICE_DEADLOCKS: &str = "SET LOCAL deadlock_timeout = '5ms'";
/// What a careful migration says first: it does not keep everybody waiting for the table that it waits for.
pub const CHANGES_SCHEMA: &str = "SET lock_timeout = '500ms'";
/// The server's clock, as DataDrip's tables have it.
pub const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
/// How a `COMMIT` goes over the wire.
pub const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// Whether the engine goes by way of the pooler that `DATA_DRIP_TEST_PGBOUNCER` names: in the tests that are about that. It
/// tells databases apart, and takes no `search_path`.
fn is_pooled() -> bool {
    env!("CARGO_CRATE_NAME") == "pgbouncer"
}

/// What a variable says; `None`, loudly, where it is not set.
pub fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    if value.is_none() {
        let test = std::thread::current();
        // Straight to the file: what a passing test prints is not shown.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {} ({name} is not set)", test.name().unwrap_or("a test"));
    }
    value
}

/// Where a process finds its schema; its database, where it goes by way of a pooler.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Place {
    url: String,
    pub name: String,
    pooler: Option<String>,
}

fn builder_on(pool: PgPool) -> Builder<Db> {
    prelude::DataDrip::builder(pool).poll_interval(Duration::from_millis(20)).lease(Duration::from_secs(3))
}

impl Place {
    /// With statements that sqlx tells `tracing` of.
    fn telling(&self) -> PgConnectOptions {
        let server = PgConnectOptions::from_str(&self.url).unwrap();
        if self.pooler.is_some() { server.database(&self.name) } else { server.options([("search_path", &self.name)]) }
    }

    /// By way of the pooler, as a host that knows nothing of it would go; `None` where there is none.
    pub fn pooled(&self) -> Option<PgConnectOptions> {
        let pooler = PgConnectOptions::from_str(self.pooler.as_ref()?).unwrap();
        Some(pooler.database(&self.name).disable_statement_logging())
    }

    fn options(&self) -> PgConnectOptions {
        self.telling().disable_statement_logging()
    }

    /// On a pool of its own, as each process has one; with a short poll and lease.
    pub fn builder(&self) -> Builder<Db> {
        let pooled = self.pooled().map(|options| options.statement_cache_capacity(0));
        let options = pooled.unwrap_or_else(|| self.options());
        builder_on(PgPoolOptions::new().max_connections(8).connect_lazy_with(options))
    }

    /// A pool of so many connections.
    pub fn pool(&self, connections: u32) -> PgPool {
        PgPoolOptions::new().max_connections(connections).connect_lazy_with(self.options())
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
        Self { url: url.into(), ..self.clone() }
    }
}

/// A schema with rows to process and a ledger.
pub struct Database {
    pub place: Place,
    pub pool: PgPool,
}

impl Database {
    /// `None`, loudly, where no server is named.
    pub async fn empty() -> Option<Self> {
        let url = variable("DATA_DRIP_TEST_POSTGRES")?;
        let pooler = if is_pooled() { Some(variable("DATA_DRIP_TEST_PGBOUNCER")?) } else { None };
        Some(Self::at(&url, pooler).await)
    }

    /// On the server with this URL.
    pub async fn on(url: &str) -> Self {
        Self::at(url, None).await
    }

    async fn at(url: &str, pooler: Option<String>) -> Self {
        let server = PgConnectOptions::from_str(url).unwrap().disable_statement_logging();
        let name = format!("data_drip_{}", uuid::Uuid::now_v7().simple());
        let create = format!("CREATE {} {name}", if pooler.is_some() { "DATABASE" } else { "SCHEMA" });
        let place = Place { url: url.to_owned(), name, pooler };
        let mut conn = server.connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut conn).await.unwrap();
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
        self.run(&format!(
            "CREATE TABLE items (id bigint PRIMARY KEY, touched integer NOT NULL DEFAULT 0, batch bigint, word text);
                 CREATE INDEX items_by_batch ON items (batch);
                 -- Nothing here keeps a row from being written twice: that is what it is to show.
                 CREATE TABLE ledger (run bigint NOT NULL, item bigint NOT NULL, batch bigint, worker text);
                 CREATE TABLE unique_words (word text UNIQUE);
                 CREATE TABLE pledges (item bigint REFERENCES items (id) DEFERRABLE INITIALLY DEFERRED);
                 INSERT INTO items (id) SELECT n * 3 FROM generate_series(1, {items}) AS n"
        ))
        .await;
    }

    pub async fn run(&self, script: &str) {
        sqlx::raw_sql(AssertSqlSafe(script)).execute(&self.pool).await.unwrap();
    }

    /// A number from the database; 0 for NULL.
    pub async fn number(&self, query: &str) -> i64 {
        let query = AssertSqlSafe(format!("SELECT ({query})::bigint"));
        let number: Option<i64> = sqlx::query_scalar(query).fetch_one(&self.pool).await.unwrap();
        number.unwrap_or(0)
    }

    /// On a pool of its own, as another process would be; with a short poll and lease.
    pub fn builder(&self) -> Builder<Db> {
        self.place.builder()
    }

    /// The same, and sqlx tells `tracing` of each statement.
    pub fn telling_builder(&self) -> Builder<Db> {
        builder_on(PgPoolOptions::new().max_connections(8).connect_lazy_with(self.place.telling()))
    }

    /// How many batches of this schema are in a [`LONG`] statement.
    pub async fn long_running(&self) -> i64 {
        let long = Self::of_batches("a.query LIKE 'SELECT pg_sleep(300)%' AND a.state = 'active'");
        self.number(&format!("SELECT count(*) {long}")).await
    }

    /// Ends every connection that is in a batch's transaction of this schema, from the server's side, and waits until
    /// they are gone: whoever tries again would wait for their locks. How many they were.
    pub async fn terminate_batches(&self) -> i64 {
        let ended =
            self.number(&format!("SELECT count(pg_terminate_backend(a.pid)) {}", Self::of_batches("true"))).await;
        let left = format!("SELECT count(*) {}", Self::of_batches("true"));
        herd::eventually("they are gone", async || self.number(&left).await == 0).await;
        ended
    }

    /// Ends the connections that come from these ports, from the server's side. How many they were.
    pub async fn terminate(&self, ports: &[u16]) -> i64 {
        let ports: Vec<_> = ports.iter().map(|&port| i32::from(port)).collect();
        let ended: Option<i64> = sqlx::query_scalar(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE client_port = ANY ($1)",
        )
        .bind(ports)
        .fetch_one(&self.pool)
        .await
        .unwrap();
        ended.unwrap_or(0)
    }

    fn of_batches(condition: &str) -> String {
        format!(
            "FROM pg_stat_activity a WHERE a.application_name LIKE 'data_drip %' AND {condition}
             AND a.datname = current_database() AND EXISTS (
                 SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
                 WHERE l.pid = a.pid AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                     AND c.relnamespace = current_schema()::regnamespace)"
        )
    }

    /// Ends the connections that stand for workers, those that hold batches or all, from the server's side. How many
    /// they were.
    pub async fn terminate_presences(&self, holding: bool) -> i64 {
        let of = if holding {
            "IN (SELECT worker FROM data_drip_backfill_run_batches WHERE status = 'running')"
        } else {
            "IS NOT NULL"
        };
        self.number(&format!(
            "SELECT count(pg_terminate_backend(l.pid)) FROM pg_locks l JOIN data_drip_worker_locks w ON w.token = l.objid::bigint
             WHERE l.locktype = 'advisory' AND l.classid = 1684632682 AND w.worker {of}
                 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ))
        .await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", self.place.name);
            return;
        }
        let server = PgConnectOptions::from_str(&self.place.url).unwrap().disable_statement_logging();
        let (name, pooled) = (self.place.name.clone(), self.place.pooler.is_some());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut conn = server.connect().await.unwrap();
                let script = if pooled {
                    format!("DROP DATABASE {name} WITH (FORCE)")
                } else {
                    format!("SET lock_timeout = '5s'; DROP SCHEMA {name} CASCADE")
                };
                sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut conn).await.unwrap();
            });
        });
        if dropping.join().is_err() {
            eprintln!("left behind: {}", self.place.name);
        }
    }
}

/// SQL with `?` for each value, as this database spells it.
pub fn sql(text: &str) -> AssertSqlSafe<String> {
    let mut parts = text.split('?');
    let mut spelt = parts.next().unwrap_or_default().to_owned();
    for (i, part) in parts.enumerate() {
        spelt += "$";
        spelt += &(i + 1).to_string();
        spelt += part;
    }
    AssertSqlSafe(spelt)
}

/// The server itself, for tests that start one of their own.
pub mod server {
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::str::FromStr;

    use sqlx::postgres::PgConnectOptions;
    use sqlx::{ConnectOptions, Connection};

    pub const NAME: &str = "PostgreSQL";
    /// Its fast mode, and its immediate one, after which it has to recover.
    pub const FAST: &str = "-INT";
    pub const ABRUPT: &str = "-QUIT";

    /// The newest one of Debian's, or what the search path has.
    fn binary(name: &str) -> Option<PathBuf> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let newest = versions
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())))
            .max_by_key(|(version, _)| *version);
        let folders = newest.map(|(_, path)| path.join("bin")).into_iter();
        let path = std::env::var_os("PATH").unwrap_or_default();
        folders.chain(std::env::split_paths(&path)).map(|folder| folder.join(name)).find(|file| file.is_file())
    }

    pub fn is_installed() -> bool {
        binary("initdb").is_some() && binary("postgres").is_some()
    }

    pub fn prepare(data: &Path) -> Command {
        let mut command = Command::new(binary("initdb").unwrap());
        command.arg("-D").arg(data).args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]);
        command
    }

    pub fn command(data: &Path, port: u16) -> Command {
        let mut command = Command::new(binary("postgres").unwrap());
        command.arg("-D").arg(data).args(["-h", "127.0.0.1", "-p", &port.to_string()]).arg("-k").arg(data);
        command
    }

    pub fn url(port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/postgres")
    }

    pub async fn answers(url: &str) -> bool {
        match PgConnectOptions::from_str(url).unwrap().connect().await {
            Ok(conn) => conn.close().await.is_ok(),
            Err(_) => false,
        }
    }
}
