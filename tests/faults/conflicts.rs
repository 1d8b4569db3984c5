//! Deadlocks with a concurrent writer.

use data_drip::{BatchStatus, RunStatus};
use tokio_util::sync::CancellationToken;

use super::backfills::Transfer;
use super::world::{World, shut_down};
use crate::database::{Database, LOST_TRANSACTION};

const ITEMS: u32 = 400;
/// Batches that have been a deadlock's victim before the writer leaves it at that.
const VICTIMS: i64 = 3;

#[tokio::test]
async fn a_batch_that_is_a_deadlocks_victim_is_tried_again_and_does_not_fail() {
    let Some(world) = with_accounts().await else { return };
    let writer = Writer::start(&world);
    let run = world.enqueue(Transfer { swallow: false }, 4).await;
    let worker = world.worker("a").slots(1).start();
    herd::eventually("batches are victims", async || victims(&world.database).await >= VICTIMS).await;
    writer.end().await;
    let batches = world.completed(run, u64::from(ITEMS)).await;
    assert!(batches.iter().all(|batch| batch.attempts == 0), "no attempt of user code is counted: {batches:?}");
    each_batch_transferred_once(&world).await;
    shut_down([worker]).await;
}

#[tokio::test]
async fn a_deadlock_that_user_code_swallows_fails_its_batch_and_keeps_nothing_of_it() {
    let Some(world) = with_accounts().await else { return };
    let writer = Writer::start(&world);
    let run = world.enqueue(Transfer { swallow: true }, 4).await;
    let worker = world.worker("a").slots(1).start();
    herd::eventually("a batch fails", async || world.drip.run(run).await.unwrap().counts.failed > 0).await;
    writer.end().await;
    let settled = world.settled(run).await;
    assert_eq!(settled.status, RunStatus::Failed, "{settled:?}");
    for batch in world.audit(run).await.iter().filter(|batch| batch.status == BatchStatus::Failed) {
        let error = batch.error.as_deref().unwrap();
        assert!(error.contains(LOST_TRANSACTION), "{error}");
    }
    world.drip.retry_failed_batches(run).await.unwrap();
    world.completed(run, u64::from(ITEMS)).await;
    each_batch_transferred_once(&world).await;
    shut_down([worker]).await;
}

async fn with_accounts() -> Option<World> {
    let world = World::with_items(ITEMS).await?;
    world
        .database
        .run(
            "CREATE TABLE accounts (id integer PRIMARY KEY, transfers integer NOT NULL);
             INSERT INTO accounts VALUES (1, 0), (2, 0);
             CREATE TABLE ballast (id integer PRIMARY KEY, weight integer NOT NULL)",
        )
        .await;
    let ballast: Vec<_> = (0..500).map(|id| format!("({id}, 0)")).collect();
    world.database.run(&format!("INSERT INTO ballast VALUES {}", ballast.join(", "))).await;
    Some(world)
}

/// What a victim had written is gone.
async fn each_batch_transferred_once(world: &World) {
    let batches = world.database.number("SELECT count(*) FROM data_drip_backfill_run_batches").await;
    for query in ["SELECT min(transfers) FROM accounts", "SELECT max(transfers) FROM accounts"] {
        assert_eq!(world.database.number(query).await, batches);
    }
}

/// Somebody who writes the same rows.
struct Writer {
    over: CancellationToken,
    writing: tokio::task::JoinHandle<()>,
}

impl Writer {
    fn start(world: &World) -> Self {
        let over = CancellationToken::new();
        Self { writing: tokio::spawn(write(world.database.pool.clone(), over.clone())), over }
    }

    async fn end(self) {
        self.over.cancel();
        self.writing.await.unwrap();
    }
}

/// Batches that wait for another try after a deadlock.
async fn victims(database: &Database) -> i64 {
    database
        .number("SELECT count(*) FROM data_drip_backfill_run_batches WHERE error LIKE '%eadlock%' AND transients > 0")
        .await
}

/// Locks in the other order, with so much in its hands that it is not the victim.
async fn write(pool: sqlx::Pool<crate::database::Db>, over: CancellationToken) {
    while !over.is_cancelled() {
        let mut tx = pool.begin().await.unwrap();
        let steps = [
            "UPDATE ballast SET weight = weight + 1",
            "UPDATE accounts SET transfers = transfers + 0 WHERE id = 2",
            "UPDATE accounts SET transfers = transfers + 0 WHERE id = 1",
        ];
        for step in steps {
            if sqlx::raw_sql(step).execute(&mut *tx).await.is_err() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        tx.rollback().await.unwrap();
    }
}
