//! The network between workers and their server.

use std::time::Duration;

use herd::Moment;

use super::backfills::StampAll;
use super::proxy::{Proxy, Weather};
use super::world::{World, shut_down};
use super::{budget, random};

const ITEMS: u32 = 1_000;
const ALL: StampAll = StampAll { linger_ms: 15, tag: 0 };
const NEXT: StampAll = StampAll { linger_ms: 0, tag: 1 };

/// Workers whose lease has not run out, by the database's clock.
const ALIVE: &str = "SELECT count(*) FROM data_drip_workers WHERE expires_at > ";

#[tokio::test]
async fn a_worker_that_is_cut_off_past_its_lease_is_taken_over_and_comes_back() {
    let Some(world) = World::with_items(ITEMS).await else { return };
    let proxy = Proxy::to(world.database.place.port()).await;
    let run = world.enqueue(ALL, 50).await;
    world.folder.hold("cut-off", Moment::Written);
    let cut_off = world.worker("cut-off").by_way_of(proxy.port).start();
    world.folder.reached("cut-off", Moment::Written).await;
    proxy.weather(Weather::Silent);
    // It goes on in the middle of its batch, and talks to nobody.
    world.folder.release("cut-off", Moment::Written);
    let other = world.worker("other").start();
    let batches = world.completed(run, u64::from(ITEMS)).await;
    assert!(batches.iter().any(|batch| batch.losses > 0), "what it held was taken over: {batches:?}");
    shut_down([other]).await;

    let next = world.enqueue(NEXT, 50).await;
    proxy.weather(Weather::Clear);
    world.settled(next).await;
    each_item_once_in_each_run(&world, 2).await;
    shut_down([cut_off]).await;
}

#[tokio::test]
async fn workers_that_are_all_cut_off_past_their_leases_finish_when_the_network_is_back() {
    let Some(world) = World::with_items(ITEMS).await else { return };
    let proxy = Proxy::to(world.database.place.port()).await;
    let herd: Vec<_> = ["a", "b"].map(|name| world.worker(name).by_way_of(proxy.port).start()).into();
    let run = world.enqueue(ALL, 20).await;
    for weather in [Weather::Silent, Weather::Closed] {
        let before = world.processed().await;
        world.until_processed(before + 100).await;
        proxy.weather(weather);
        if weather == Weather::Closed {
            proxy.cut();
        }
        nobody_is_alive(&world).await;
        proxy.weather(Weather::Clear);
    }
    world.completed(run, u64::from(ITEMS)).await;
    shut_down(herd).await;
}

async fn nobody_is_alive(world: &World) {
    let alive = format!("{ALIVE} {}", crate::database::NOW);
    herd::eventually("all leases run out", async || world.database.number(&alive).await == 0).await;
}

#[tokio::test]
async fn cuts_half_closed_connections_and_delays_lose_and_repeat_nothing() {
    let mut random = random();
    let blows = 20 * budget();
    let items = blows * 200;
    let Some(world) = World::with_items(items).await else { return };
    let proxy = Proxy::to(world.database.place.port()).await;
    let herd: Vec<_> = ["a", "b"].map(|name| world.worker(name).by_way_of(proxy.port).start()).into();
    let run = world.enqueue(ALL, 20).await;
    for blow in 0..blows {
        // All within the first half: a test that is late must not find the run completed.
        world.until_processed(i64::from(items) * i64::from(blow) / i64::from(blows * 2)).await;
        tokio::time::sleep(Duration::from_millis(random.u64(..40))).await;
        match random.u8(..3) {
            0 => drop(proxy.cut()),
            1 => proxy.half_close(),
            _ => proxy.weather(Weather::Slow(Duration::from_millis(random.u64(..4)))),
        }
        assert!(!world.drip.run(run).await.unwrap().status.is_settled(), "over before blow {blow}: nothing is shown");
    }
    world.completed(run, u64::from(items)).await;
    shut_down(herd).await;
}

#[tokio::test]
async fn connections_that_all_fall_silent_for_ever_are_given_up_and_opened_anew() {
    let Some(world) = World::with_items(ITEMS).await else { return };
    let proxy = Proxy::to(world.database.place.port()).await;
    let worker = world.worker("a").by_way_of(proxy.port).start();
    let run = world.enqueue(ALL, 20).await;
    world.until_processed(100).await;
    // No user code may wait for an answer: it alone knows how long that may take.
    world.drip.pause(run).await.unwrap();
    let running = "SELECT count(*) FROM data_drip_backfill_run_batches WHERE status = 'running'";
    herd::eventually("nothing is in flight", async || world.database.number(running).await == 0).await;
    // Two slots, the heart, planner and sweep.
    assert!(proxy.bury() >= 4);
    world.drip.resume(run).await.unwrap();
    world.completed(run, u64::from(ITEMS)).await;
    shut_down([worker]).await;
}

async fn each_item_once_in_each_run(world: &World, runs: i64) {
    let twice = "SELECT count(*) FROM (SELECT item FROM ledger GROUP BY run, item HAVING count(*) > 1) AS t";
    assert_eq!(world.database.number(twice).await, 0);
    assert_eq!(world.processed().await, runs * i64::from(ITEMS));
}
