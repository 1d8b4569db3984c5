//! The engine on PostgreSQL behind `PgBouncer`, which gives each transaction another connection: `DATA_DRIP_TEST_PGBOUNCER` names
//! it, and `DATA_DRIP_TEST_POSTGRES` the server behind it.

#![cfg(feature = "postgres")]
#![allow(missing_docs, unreachable_pub, reason = "a test binary: nobody sees it from outside")]

#[path = "support/postgres.rs"]
pub mod database;
mod suite;

use data_drip::{ErrorKind, RunStatus};
use sqlx::postgres::PgPoolOptions;

use crate::database::{Database, prelude};
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
    assert_eq!(database.number("SELECT count(*) FROM data_drip_worker_locks").await, 0);
    worker.shutdown().await;
}

#[tokio::test]
async fn connections_that_keep_statements_by_name_are_refused_with_what_to_do() {
    let Some(database) = Database::empty().await else { return };
    let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(database.place.pooled().unwrap());
    let refused = prelude::DataDrip::builder(pool).state(Gate::default()).build().await;
    let error = refused.err().expect("it is refused");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("statement_cache_capacity(0)"), "{error}");
}
