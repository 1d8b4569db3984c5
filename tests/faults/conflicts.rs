//! Deadlocks with a concurrent writer.

use tokio_util::sync::CancellationToken;

use super::backfills::Transfer;
use super::world::{World, shut_down};
use crate::database::Database;

const ITEMS: u32 = 400;
/// Batches that have been a deadlock's victim before the writer leaves it at that.
const VICTIMS: i64 = 3;

#[tokio::test]
async fn a_batch_that_is_a_deadlocks_victim_is_tried_again_and_does_not_fail() {
    let Some(world) = World::with_items(ITEMS).await else { return };
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
    let over = CancellationToken::new();
    let writer = tokio::spawn(write(world.database.pool.clone(), over.clone()));
    let run = world.enqueue(Transfer, 4).await;
    let worker = world.worker("a").slots(1).start();
    herd::eventually("batches are victims", async || victims(&world.database).await >= VICTIMS).await;
    over.cancel();
    writer.await.unwrap();
    let batches = world.completed(run, u64::from(ITEMS)).await;
    assert!(batches.iter().all(|batch| batch.attempts == 0), "no attempt of user code is counted: {batches:?}");
    let transfers = world.database.number("SELECT min(transfers) FROM accounts").await;
    assert_eq!(transfers, i64::try_from(batches.len()).unwrap(), "what a victim had written is gone");
    shut_down([worker]).await;
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
