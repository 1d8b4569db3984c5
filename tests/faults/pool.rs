//! A pool that the engine shares with the host, and that is full.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::backfills::StampAll;
use super::world::{LEASE, World, shut_down};
use crate::database::Db;
use crate::database::prelude::DataDrip;

const ITEMS: u32 = 600;
const ALL: StampAll = StampAll { linger_ms: 2, tag: 0 };

#[tokio::test]
async fn a_worker_on_a_pool_that_its_host_fills_finishes_and_lets_the_host_have_its_turns() {
    let Some(world) = World::with_items(ITEMS).await else { return };
    let (pool, drip) = shared(&world).await;
    let worker = drip.start();
    let over = CancellationToken::new();
    let host = tokio::spawn(fill(pool, over.clone(), Duration::from_millis(100)));
    let run = world.enqueue(ALL, 20).await;
    world.completed(run, u64::from(ITEMS)).await;
    over.cancel();
    let turns = host.await.unwrap();
    assert!(turns > 1, "the host had {turns} turns");
    worker.shutdown().await;
}

#[tokio::test]
async fn a_worker_whose_host_has_all_connections_for_longer_than_its_lease_is_taken_over_and_comes_back() {
    let Some(world) = World::with_items(ITEMS).await else { return };
    let (pool, drip) = shared(&world).await;
    let worker = drip.start();
    let run = world.enqueue(ALL, 20).await;
    world.until_processed(60).await;
    let held = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let before = world.processed().await;
    assert!(before < i64::from(ITEMS), "over before the pool was full: nothing is shown");
    let other = world.worker("other").start();
    world.completed(run, u64::from(ITEMS)).await;
    shut_down([other]).await;
    drop(held);
    let next = world.enqueue(StampAll { linger_ms: 0, tag: 1 }, 20).await;
    assert_eq!(world.settled(next).await.counts.processed, u64::from(ITEMS));
    worker.shutdown().await;
}

/// A pool of two connections, and an engine that has no others.
async fn shared(world: &World) -> (sqlx::Pool<Db>, DataDrip) {
    let pool = world.database.place.pool(2);
    let builder = DataDrip::builder(pool.clone()).poll_interval(Duration::from_millis(20)).lease(LEASE);
    (pool, builder.share_pool().slots(4).build().await.unwrap())
}

/// Takes all connections for a while, again and again; how often.
async fn fill(pool: sqlx::Pool<Db>, over: CancellationToken, pause: Duration) -> u32 {
    let mut turns = 0;
    while !over.is_cancelled() {
        let held = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
        turns += 1;
        tokio::time::sleep(pause).await;
        drop(held);
        tokio::time::sleep(pause).await;
    }
    turns
}
