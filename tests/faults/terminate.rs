//! The server ends connections.

use super::backfills::StampAll;
use super::proxy::Proxy;
use super::world::{World, shut_down};
use super::{budget, random};

const ALL: StampAll = StampAll { linger_ms: 15, tag: 0 };

#[tokio::test]
async fn all_connections_of_a_worker_are_ended_again_and_again_and_nothing_is_lost_or_repeated() {
    let mut random = random();
    let times = 12 * budget();
    let items = times * 300;
    let Some(world) = World::with_items(items).await else { return };
    // Tells which connections are whose.
    let proxy = Proxy::to(world.database.place.port()).await;
    let herd = [world.worker("haunted").by_way_of(proxy.port).start(), world.worker("other").start()];
    let run = world.enqueue(ALL, 20).await;
    for time in 0..times {
        // All within the first half: a test that is late must not find the run completed.
        world.until_processed(i64::from(items) * i64::from(time) / i64::from(times * 2)).await;
        tokio::time::sleep(std::time::Duration::from_millis(random.u64(..40))).await;
        assert!(world.database.terminate(&proxy.ports()).await > 0);
        assert!(!world.drip.run(run).await.unwrap().status.is_settled(), "over before time {time}: nothing is shown");
    }
    let batches = world.completed(run, u64::from(items)).await;
    assert!(batches.iter().all(|batch| batch.attempts == 0), "no attempt of user code is counted: {batches:?}");
    shut_down(herd).await;
}

#[tokio::test]
async fn a_worker_whose_connections_are_ended_while_it_has_nothing_to_do_works_on() {
    let Some(world) = World::with_items(100).await else { return };
    let proxy = Proxy::to(world.database.place.port()).await;
    let worker = world.worker("haunted").by_way_of(proxy.port).start();
    let first = world.enqueue(ALL, 20).await;
    world.completed(first, 100).await;
    assert!(world.database.terminate(&proxy.ports()).await > 0);
    let next = world.enqueue(StampAll { linger_ms: 0, tag: 1 }, 20).await;
    let next = world.settled(next).await;
    assert_eq!(next.counts.processed, 100, "{next:?}");
    shut_down([worker]).await;
}
