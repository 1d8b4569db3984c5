//! The engine on PostgreSQL behind `PgBouncer`, which gives each transaction another connection: `DATA_DRIP_TEST_PGBOUNCER` names
//! it, and `DATA_DRIP_TEST_POSTGRES` the server behind it.

#![cfg(feature = "postgres")]
#![allow(missing_docs, unreachable_pub, reason = "a test binary: nobody sees it from outside")]

mod suite;

/// What the suite has to know of the database.
#[path = "suite/postgres.rs"]
pub mod database;

/// Where the engine finds it.
pub mod home {
    use sqlx::AssertSqlSafe;
    use sqlx::postgres::PgConnectOptions;

    /// A database for each test: the pooler tells databases apart, and takes no `search_path`.
    pub fn create(name: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(format!("CREATE DATABASE {name}"))
    }

    pub fn drop(name: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))
    }

    /// How the test gets there: past the pooler.
    pub fn inside(server: PgConnectOptions, name: &str) -> PgConnectOptions {
        server.database(name)
    }

    /// How the engine does.
    ///
    /// # Errors
    /// The variable that is not set, where it cannot.
    pub fn engines(tests: &PgConnectOptions) -> Result<PgConnectOptions, &'static str> {
        let name = tests.get_database().unwrap();
        through(name).map(|options| options.statement_cache_capacity(0))
    }

    /// To the pooler, as a host that knows nothing of it would go.
    ///
    /// # Errors
    /// The variable that is not set.
    pub fn through(name: &str) -> Result<PgConnectOptions, &'static str> {
        const VARIABLE: &str = "DATA_DRIP_TEST_PGBOUNCER";
        let url = std::env::var(VARIABLE).map_err(|_| VARIABLE)?;
        Ok(url.parse::<PgConnectOptions>().unwrap().database(name))
    }
}

use data_drip::{ErrorKind, RunStatus};
use sqlx::postgres::PgPoolOptions;

use crate::database::Database;
use crate::suite::backfills::StampAll;
use crate::suite::gate::Gate;
use crate::suite::{engine, settled, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_believed_of_what_a_session_would_hold_and_work_is_found_by_looking() {
    let Some(database) = Database::with_items(100).await else { return };
    let (drip, _) = engine(&database, 2).await;
    let worker = drip.start();
    until(async || (database.number("SELECT count(*) FROM data_drip_workers").await == 1).then_some(())).await;
    let (person, _) = engine(&database, 1).await;
    let run = person.enqueue(StampAll { tag: 1 }).batch_size(10).await.unwrap();
    let run = settled(&person, run.id).await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 100));
    assert_eq!(database.number(Database::LOCKED_WORKERS).await, 0);
    worker.shutdown().await;
}

#[tokio::test]
async fn connections_that_keep_statements_by_name_are_refused_with_what_to_do() {
    let Some(database) = Database::empty().await else { return };
    let options = home::through(database.name()).unwrap();
    let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(options);
    let refused = database::prelude::DataDrip::builder(pool).state(Gate::default()).build().await;
    let error = refused.err().expect("it is refused");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("statement_cache_capacity(0)"), "{error}");
}
