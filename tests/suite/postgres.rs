//! What the suite has to know of PostgreSQL. Whoever brings this in says where the engine finds the server, and how tests are
//! kept apart: `home`.

use std::io::Write;
use std::str::FromStr;
use std::time::Duration;

use data_drip::Builder;
pub use data_drip::postgres::prelude;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgPool, Postgres};

use crate::home;

pub type Db = Postgres;
pub type Row = sqlx::postgres::PgRow;

/// A statement that takes minutes.
pub const LONG: &str = "SELECT pg_sleep(300)";
/// What a hand-written `COMMIT` and its like are told.
pub const BROKEN: &str = "the batch's transaction was ended by user code";

/// Whether an error of a statement spoils its transaction.
pub const SPOILS: bool = true;

/// A place of the test's own with rows to process and a ledger.
pub struct Database {
    name: String,
    server: PgConnectOptions,
    engines: PgConnectOptions,
    /// The test's own.
    pub pool: PgPool,
}

impl Database {
    /// `None`, loudly, where no server is named.
    pub async fn empty() -> Option<Self> {
        let server = variable("DATA_DRIP_TEST_POSTGRES")?;
        let name = format!("data_drip_{}", uuid::Uuid::now_v7().simple());
        let inside = home::inside(server.clone(), &name);
        let engines = home::engines(&inside).map_err(skip).ok()?;
        let mut conn = server.connect().await.unwrap();
        sqlx::raw_sql(home::create(&name)).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        let pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(inside);
        Some(Self { name, server, engines, pool })
    }

    /// One that is there already, for a process that a test has started.
    pub fn existing(name: &str) -> Self {
        let server = variable("DATA_DRIP_TEST_POSTGRES").unwrap();
        let inside = home::inside(server.clone(), name);
        let engines = home::engines(&inside).unwrap();
        let pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(inside);
        Self { name: name.to_owned(), server, engines, pool }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// With items 3, 6, 9 and so on.
    pub async fn with_items(items: u32) -> Option<Self> {
        let database = Self::empty().await?;
        database
            .run(&format!(
                "CREATE TABLE items (id bigint PRIMARY KEY, touched integer NOT NULL DEFAULT 0, batch bigint, word text);
                 CREATE INDEX items_by_batch ON items (batch);
                 -- Nothing here keeps a row from being written twice: that is what it is to show.
                 CREATE TABLE ledger (run bigint NOT NULL, item bigint NOT NULL, batch bigint, worker text);
                 CREATE TABLE unique_words (word text UNIQUE);
                 CREATE TABLE pledges (item bigint REFERENCES items (id) DEFERRABLE INITIALLY DEFERRED);
                 INSERT INTO items (id) SELECT n * 3 FROM generate_series(1, {items}) AS n"
            ))
            .await;
        Some(database)
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
        let pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(self.engines.clone());
        prelude::DataDrip::builder(pool).poll_interval(Duration::from_millis(20)).lease(Duration::from_secs(3))
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
        crate::suite::until(async || (self.number(&left).await == 0).then_some(())).await;
        ended
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

    /// The workers for which a lock stands.
    pub const LOCKED_WORKERS: &str = "SELECT count(*) FROM data_drip_worker_locks";

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

    /// Milliseconds since 1970 by the database's clock.
    pub const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
}

impl Drop for Database {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", self.name);
            return;
        }
        let (server, name) = (self.server.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut conn = server.connect().await.unwrap();
                sqlx::raw_sql(home::drop(&name)).execute(&mut conn).await.unwrap();
            });
        });
        if dropping.join().is_err() {
            eprintln!("left behind: {}", self.name);
        }
    }
}

/// The server that a variable names; `None`, loudly, where none is.
pub fn variable(name: &'static str) -> Option<PgConnectOptions> {
    let url = std::env::var(name).map_err(|_| skip(name)).ok()?;
    Some(PgConnectOptions::from_str(&url).unwrap().disable_statement_logging())
}

fn skip(variable: &'static str) {
    let test = std::thread::current();
    // Straight to the file: what a passing test prints is not shown.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {} ({variable} is not set)", test.name().unwrap_or("a test"));
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
