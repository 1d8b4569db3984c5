//! SIGKILL at random moments.

use std::time::Duration;

use data_drip::{Backfill, BatchStatus, Run, RunId, RunStatus};

use super::backfills::{StampAll, StampEach};
use super::world::{World, shut_down};
use super::{budget, random};
use crate::database::Db;

const PROCESSES: usize = 4;

#[tokio::test]
async fn four_processes_that_are_killed_seventy_times_lose_and_repeat_nothing_set_wise() {
    wreck(StampAll { linger_ms: 10, tag: 0 }, 70).await;
}

#[tokio::test]
async fn four_processes_that_are_killed_forty_times_lose_and_repeat_nothing_row_by_row() {
    wreck(StampEach, 40).await;
}

/// Items for each kill. The last third is for after the last one: a test that is late must not find the run completed.
const ITEMS: u32 = 400;

/// Kills processes while they work, each kill followed by a new start, and lets the last ones finish.
async fn wreck<T: Backfill<Database = Db>>(backfill: T, kills: u32) {
    let kills = kills * budget();
    let mut random = random();
    let items = kills * ITEMS;
    let Some(world) = World::with_items(items).await else { return };
    let run = world.enqueue(backfill, 50).await;
    let mut herd = world.herd(PROCESSES);
    for kill in 0..kills {
        // Every other one as soon as it is there, wherever that finds the process; the rest spread over the whole run.
        let moment = if random.bool() {
            random.u64(..150)
        } else {
            world.until_processed(i64::from(items) * i64::from(kill) / i64::from(kills * 3 / 2)).await;
            random.u64(..30)
        };
        tokio::time::sleep(Duration::from_millis(moment)).await;
        let victim = &mut herd[random.usize(..PROCESSES)];
        let next = world.worker(victim.name()).start();
        std::mem::replace(victim, next).kill();
        let open = world.drip.run(run).await.unwrap();
        assert!(!open.status.is_settled(), "the run was over before kill {kill}: nothing is shown");
    }
    let run = settled_at_last(&world, run).await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, u64::from(items)), "{run:?}");
    let batches = world.audit(run.id).await;
    let losses: u32 = batches.iter().map(|batch| batch.losses).sum();
    println!("{kills} kills, {losses} losses, {:?}", run.finished_at.unwrap() - run.started_at.unwrap());
    assert!(losses > 0, "no kill hit a batch: nothing is shown");
    shut_down(herd).await;
}

/// With enough kills one batch has its process killed three times while it runs there alone: it is given up, as it should
/// be, and somebody says that it is to be tried again.
async fn settled_at_last(world: &World, run: RunId) -> Run {
    loop {
        let settled = world.settled(run).await;
        if settled.status != RunStatus::Failed {
            return settled;
        }
        for batch in world.drip.batches(run).status(BatchStatus::Failed).limit(u32::MAX).await.unwrap() {
            let error = batch.error.unwrap();
            assert!(error.contains("processes died while they ran this batch alone"), "{error}");
        }
        println!("{} batches were given up", settled.counts.failed);
        world.drip.retry_failed_batches(run).await.unwrap();
    }
}
