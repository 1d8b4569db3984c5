//! The engine on MySQL or MariaDB, end to end, on the server that `DATA_DRIP_TEST_MYSQL` names.

#![cfg(feature = "mysql")]
#![allow(missing_docs, unreachable_pub, reason = "a test binary: nobody sees it from outside")]

mod suite;

/// What the suite has to know of the database.
pub mod database {
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
    /// What a hand-written `COMMIT` and its like are told.
    pub const BROKEN: &str = "the batch's transaction was ended by user code";
    /// Whether an error of a statement spoils its transaction.
    pub const SPOILS: bool = false;

    /// A database with rows to process and a ledger.
    pub struct Database {
        name: String,
        options: MySqlConnectOptions,
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
            let server = MySqlConnectOptions::from_str(&url).unwrap().disable_statement_logging();
            let name = format!("data_drip_{}", uuid::Uuid::now_v7().simple());
            let mut conn = server.connect().await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut conn).await.unwrap();
            conn.close().await.unwrap();
            let options = server.database(&name);
            let pool = MySqlPoolOptions::new().max_connections(8).connect_lazy_with(options.clone());
            Some(Self { name, options, pool })
        }

        /// With items 3, 6, 9 and so on.
        pub async fn with_items(items: u32) -> Option<Self> {
            let database = Self::empty().await?;
            database
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
                database.run(&format!("INSERT INTO items (id) VALUES {values}")).await;
            }
            Some(database)
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
            let pool = MySqlPoolOptions::new().max_connections(8).connect_lazy_with(self.options.clone());
            prelude::DataDrip::builder(pool).poll_interval(Duration::from_millis(20)).lease(Duration::from_secs(3))
        }

        /// The same, by way of a proxy on this machine.
        pub fn builder_through(&self, port: u16) -> Builder<Db> {
            let options = self.options.clone().host("127.0.0.1").port(port);
            let pool = MySqlPoolOptions::new().max_connections(8).connect_lazy_with(options);
            prelude::DataDrip::builder(pool).poll_interval(Duration::from_millis(20)).lease(Duration::from_mins(1))
        }

        pub fn address(&self) -> (String, u16) {
            (self.options.get_host().to_owned(), self.options.get_port())
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
                crate::suite::until(async || {
                    // The server shows the same picture again to whoever looks before it was left alone for a tenth of a second.
                    tokio::time::sleep(Duration::from_millis(150)).await;
                    (self.number(&open).await == 0).then_some(())
                })
                .await;
            }
            i64::try_from(connections.len()).unwrap()
        }
    }

    impl Drop for Database {
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
                    let script = format!("SET SESSION lock_wait_timeout = 5; DROP DATABASE {name}");
                    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut conn).await.unwrap();
                });
            });
            if dropping.join().is_err() {
                eprintln!("left behind: database {}", self.name);
            }
        }
    }

    /// SQL with `?` for each value, as this database spells it.
    pub fn sql(text: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(text.to_owned())
    }
}

/// What only MySQL and MariaDB do.
mod dialect {
    use data_drip::{BatchStatus, RunStatus};

    use crate::database::Database;
    use crate::suite::backfills::{Fault, Faulty};
    use crate::suite::run_to_its_end;

    #[tokio::test]
    async fn ddl_in_a_batch_commits_it_implicitly_and_that_is_noticed() {
        let Some(database) = Database::with_items(100).await else { return };
        let (run, batches) = run_to_its_end(&database, Faulty { fault: Fault::Ddl, item: 99 }, 25).await;
        assert_eq!((run.status, run.counts.completed, run.counts.failed), (RunStatus::Failed, 3, 1));
        assert!(batches[1].error.as_deref().unwrap().contains(crate::database::BROKEN), "{batches:?}");
        assert_eq!((batches[1].status, batches[1].attempts), (BatchStatus::Failed, 1));
    }
}
