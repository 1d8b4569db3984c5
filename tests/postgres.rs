//! The engine on PostgreSQL, end to end, on the server that `DATA_DRIP_TEST_POSTGRES` names.

#![cfg(feature = "postgres")]
#![allow(missing_docs, unreachable_pub, reason = "a test binary: nobody sees it from outside")]

mod suite;

/// What the suite has to know of the database.
pub mod database {
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
    pub const BEGINS: &str = "set_config('data_drip.fence'";
    /// Round trips of the engine's own for a batch that another follows.
    pub const TRIPS: u64 = 4;
    /// What a hand-written `COMMIT` and its like are told.
    pub const BROKEN: &str = "the batch's transaction was ended by user code";

    /// Whether an error of a statement spoils its transaction.
    pub const SPOILS: bool = true;

    /// A schema with rows to process and a ledger.
    pub struct Database {
        name: String,
        options: PgConnectOptions,
        pub pool: PgPool,
    }

    impl Database {
        /// `None`, loudly, where no server is named.
        pub async fn empty() -> Option<Self> {
            let Ok(url) = std::env::var("DATA_DRIP_TEST_POSTGRES") else {
                let test = std::thread::current();
                // Straight to the file: what a passing test prints is not shown.
                let _ = writeln!(
                    std::io::stderr(),
                    "SKIPPED: {} (DATA_DRIP_TEST_POSTGRES is not set)",
                    test.name().unwrap_or("a test")
                );
                return None;
            };
            let server = PgConnectOptions::from_str(&url).unwrap().disable_statement_logging();
            let name = format!("data_drip_{}", uuid::Uuid::now_v7().simple());
            let mut conn = server.connect().await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {name}"))).execute(&mut conn).await.unwrap();
            conn.close().await.unwrap();
            let options = server.options([("search_path", &name)]);
            let pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(options.clone());
            Some(Self { name, options, pool })
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
            let pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(self.options.clone());
            prelude::DataDrip::builder(pool).poll_interval(Duration::from_millis(20)).lease(Duration::from_secs(3))
        }

        /// The same, by way of a proxy on this machine.
        pub fn builder_through(&self, port: u16) -> Builder<Db> {
            let options = self.options.clone().host("127.0.0.1").port(port);
            let pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(options);
            prelude::DataDrip::builder(pool).poll_interval(Duration::from_millis(20)).lease(Duration::from_mins(1))
        }

        pub fn address(&self) -> (String, u16) {
            (self.options.get_host().to_owned(), self.options.get_port())
        }

        /// How many batches of this schema are in a [`LONG`] statement.
        pub async fn long_running(&self) -> i64 {
            let long = self.of_batches("a.query LIKE 'SELECT pg_sleep(300)%' AND a.state = 'active'");
            self.number(&format!("SELECT count(*) {long}")).await
        }

        /// Ends every connection that is in a batch's transaction of this schema, from the server's side, and waits until
        /// they are gone: whoever tries again would wait for their locks. How many they were.
        pub async fn terminate_batches(&self) -> i64 {
            let ended =
                self.number(&format!("SELECT count(pg_terminate_backend(a.pid)) {}", self.of_batches("true"))).await;
            let left = format!("SELECT count(*) {}", self.of_batches("true"));
            crate::suite::until(async || (self.number(&left).await == 0).then_some(())).await;
            ended
        }

        fn of_batches(&self, condition: &str) -> String {
            format!(
                "FROM pg_stat_activity a WHERE a.application_name LIKE 'data_drip %' AND {condition} AND EXISTS (
                     SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
                     WHERE l.pid = a.pid AND c.relnamespace = '{}'::regnamespace)",
                self.name
            )
        }
    }

    impl Drop for Database {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("kept for a look: schema {}", self.name);
                return;
            }
            let (options, name) = (self.options.clone(), self.name.clone());
            let dropping = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let mut conn = options.connect().await.unwrap();
                    let script = format!("SET lock_timeout = '5s'; DROP SCHEMA {name} CASCADE");
                    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut conn).await.unwrap();
                });
            });
            if dropping.join().is_err() {
                eprintln!("left behind: schema {}", self.name);
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
}

/// What only PostgreSQL does.
mod dialect {
    use data_drip::{BatchStatus, RunStatus};

    use crate::database::Database;
    use crate::suite::backfills::{Fault, Faulty};
    use crate::suite::run_to_its_end;

    #[tokio::test]
    async fn a_constraint_that_is_looked_at_with_the_commit_fails_the_batch_and_keeps_nothing() {
        let Some(database) = Database::with_items(100).await else { return };
        let (run, batches) = run_to_its_end(&database, Faulty { fault: Fault::Dangling, item: 99 }, 25).await;
        assert_eq!((run.status, run.counts.completed, run.counts.failed), (RunStatus::Failed, 3, 1));
        assert!(batches[1].error.as_deref().unwrap().contains("pledges_item_fkey"), "{batches:?}");
        assert_eq!((batches[1].status, batches[1].attempts), (BatchStatus::Failed, 1));
        assert_eq!(database.number("SELECT count(*) FROM pledges").await, 0);
    }
}
