//! The server is restarted while workers work.

use super::backfills::StampAll;
use super::budget;
use super::server::Server;
use super::world::{World, shut_down};
use crate::database::{Database, server};

const ALL: StampAll = StampAll { linger_ms: 15, tag: 0 };

#[tokio::test]
async fn a_server_that_is_shut_down_and_started_again_costs_no_row() {
    restarted(server::FAST).await;
}

#[tokio::test]
async fn a_server_that_is_ended_abruptly_and_started_again_costs_no_row() {
    restarted(server::ABRUPT).await;
}

async fn restarted(signal: &str) {
    let Some(mut server) = Server::start().await else { return };
    let times = 3 * budget();
    let items = times * 800;
    let database = Database::on(&server.url()).await;
    database.fill(items).await;
    let world = World::of(database).await;
    let herd = world.herd(2);
    let run = world.enqueue(ALL, 20).await;
    for time in 0..times {
        // All within the first half: a test that is late must not find the run completed.
        world.until_processed(i64::from(items) * i64::from(time) / i64::from(times * 2) + 20).await;
        server.down(signal).await;
        server.up().await;
        assert!(!world.drip.run(run).await.unwrap().status.is_settled(), "over before time {time}: nothing is shown");
    }
    let batches = world.completed(run, u64::from(items)).await;
    assert!(batches.iter().all(|batch| batch.attempts == 0), "no attempt of user code is counted: {batches:?}");
    shut_down(herd).await;
    drop(world);
}
