//! What user code may ask of the engine, and of its host's pool, from inside a batch.
#![cfg(feature = "sqlite")]

mod support;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use data_drip::sqlite::prelude::*;
use data_drip::{Builder, ErrorKind, RunStatus};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Sqlite, SqlitePool};
use support::{Database, quick};
use tokio::sync::Semaphore;

/// What user code reaches of its host.
#[derive(Clone)]
struct Host {
    drip: Arc<OnceLock<DataDrip>>,
    pool: Arc<OnceLock<SqlitePool>>,
    refusals: Arc<Mutex<Vec<String>>>,
    arrived: Arc<Semaphore>,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            drip: Arc::default(),
            pool: Arc::default(),
            refusals: Arc::default(),
            arrived: Arc::new(Semaphore::new(0)),
        }
    }
}

impl Host {
    fn refused(&self, outcome: Result<Run, data_drip::Error>) {
        let error = outcome.expect_err("inside a batch");
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        self.refusals.lock().unwrap().push(error.to_string());
    }
}

/// Asks for everything from inside.
#[backfill(batch_size = 10)]
struct Meddler;

#[backfill]
impl Meddler {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn before_run(&self, run: &Run, _conn: &mut Connection, host: State<Host>) -> data_drip::Result {
        host.refused(host.drip.get().unwrap().pause(run.id).await);
        Ok(())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>, host: State<Host>) -> data_drip::Result {
        let (drip, id) = (host.drip.get().unwrap(), batch.run().id);
        host.refused(drip.pause(id).await);
        host.refused(drip.stop(id).now().await);
        host.refused(drip.enqueue(Plain).await);
        drip.enqueue(Plain).in_tx(batch.conn()).await?;
        batch.update_all().set("done", 1).execute().await?;
        Ok(())
    }
}

/// Nothing special.
#[backfill(batch_size = 10)]
struct Plain;

#[backfill]
impl Plain {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set_expr("times", "times + 1").execute().await?;
        Ok(())
    }
}

/// Reads by the host's pool, again and again.
#[backfill(batch_size = 100)]
struct Reader;

#[backfill]
impl Reader {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>, host: State<Host>) -> data_drip::Result {
        batch.update_all().set("done", 1).execute().await?;
        host.arrived.add_permits(1);
        for _ in 0..200 {
            sqlx::query("SELECT 1").execute(host.pool.get().unwrap()).await?;
        }
        Ok(())
    }
}

async fn hosted(builder: Builder<Sqlite>, pool: &SqlitePool) -> (DataDrip, Host) {
    let host = Host::default();
    let drip = quick(builder).state(host.clone()).build().await.unwrap();
    host.drip.set(drip.clone()).ok().unwrap();
    host.pool.set(pool.clone()).unwrap();
    (drip, host)
}

#[tokio::test]
async fn user_code_that_asks_for_a_run_or_changes_one_inside_a_batch_is_refused_at_once() {
    let database = Database::with_items(10).await;
    let (drip, host) = hosted(database.builder(), &database.pool).await;
    let worker = drip.start();
    let run = drip.enqueue(Meddler).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 10), "{run:?}");
    let refusals = host.refusals.lock().unwrap().clone();
    assert_eq!(refusals.len(), 4, "{refusals:?}");
    assert!(refusals[3].contains(".in_tx(batch.conn())"), "{refusals:?}");
    // What the batch wrote with its own transaction is there with it.
    let written = drip.runs().backfill("plain").await.unwrap();
    assert_eq!(drip.wait(written[0].id).await.unwrap().status, RunStatus::Completed);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_request_that_waits_for_a_batch_leaves_the_hosts_only_connection_to_others() {
    let database = Database::with_items(10).await;
    let options = (*database.pool.connect_options()).clone();
    let one = SqlitePoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(5));
    let one = one.connect_with(options).await.unwrap();
    let (drip, host) = hosted(DataDrip::builder(one.clone()), &one).await;
    let worker = drip.start();
    let run = drip.enqueue(Reader).await.unwrap();
    host.arrived.acquire().await.unwrap().forget();
    let (paused, asked) = tokio::join!(drip.pause(run.id), drip.enqueue(Plain));
    // The batch ended before either of them could write.
    assert!(paused.is_err() || paused.is_ok_and(|run| run.counts.completed == 1));
    asked.unwrap();
    let tries = "SELECT count(*) FROM data_drip_backfill_run_batches WHERE transients > 0 OR attempts > 0";
    assert_eq!(database.int(tries).await, 0);
    assert_eq!(database.int("SELECT count(*) FROM items WHERE done = 1").await, 10);
    worker.shutdown().await;
}
