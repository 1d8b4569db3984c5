//! SIGKILL at random moments.

use std::time::Duration;

use data_drip::{Backfill, RunStatus};
use sqlx::Sqlite;
use zoo::backfills::{StampAll, StampEach};
use zoo::{Habitat, Journal};

use crate::{herd, random, shut_down};

const ALL: StampAll = StampAll { linger_ms: 10, tag: 0 };

#[tokio::test]
async fn promise_1_one_process_that_is_killed_loses_and_repeats_nothing_set_wise() {
    wreck(ALL, Wreck { processes: 1, kills: 15, items: 20_000, journal: Journal::WriteAhead }).await;
}

#[tokio::test]
async fn promise_1_one_process_that_is_killed_loses_and_repeats_nothing_row_by_row() {
    wreck(StampEach, Wreck { processes: 1, kills: 15, items: 20_000, journal: Journal::WriteAhead }).await;
}

#[tokio::test]
async fn promise_1_three_processes_that_are_killed_lose_and_repeat_nothing_set_wise() {
    wreck(ALL, Wreck { processes: 3, kills: 15, items: 20_000, journal: Journal::WriteAhead }).await;
}

#[tokio::test]
async fn promise_1_three_processes_that_are_killed_lose_and_repeat_nothing_row_by_row() {
    wreck(StampEach, Wreck { processes: 3, kills: 15, items: 20_000, journal: Journal::WriteAhead }).await;
}

#[tokio::test]
async fn promise_1_kills_lose_and_repeat_nothing_with_a_rollback_journal() {
    wreck(ALL, Wreck { processes: 2, kills: 8, items: 4_000, journal: Journal::Rollback }).await;
}

struct Wreck {
    processes: usize,
    kills: i64,
    items: u32,
    journal: Journal,
}

/// Kills processes while they work, each kill followed by a new start, and lets the last ones finish.
async fn wreck<T: Backfill<Database = Sqlite>>(backfill: T, wreck: Wreck) {
    let Wreck { processes, kills, items, journal } = wreck;
    let mut random = random();
    let habitat = Habitat::with_items(items, journal).await;
    let run = habitat.enqueue(backfill, 50).await;
    let mut herd = herd(&habitat, processes, |child| child.lease(LEASE));
    for kill in 0..kills {
        let victim = random.usize(..processes);
        // Every other one as soon as it is there, wherever that finds it; the rest spread over the whole run.
        let moment = if random.bool() {
            Duration::from_millis(random.u64(..250))
        } else {
            let progress = i64::from(items) * kill / (kills + 5);
            zoo::eventually("the next kill's turn", async || habitat.processed().await >= progress).await;
            Duration::from_millis(random.u64(..30))
        };
        tokio::time::sleep(moment).await;
        let name = herd[victim].name().to_owned();
        std::mem::replace(&mut herd[victim], habitat.child(name).lease(LEASE).start()).kill();
        let open = habitat.drip().await.run(run.id).await.unwrap();
        assert!(!open.status.is_settled(), "the run was over before kill {kill}: nothing is shown");
    }
    let run = habitat.settled(run.id).await;
    assert_eq!(run.status, RunStatus::Completed, "{run:?}");
    assert_eq!(run.counts.processed, u64::from(items));
    let batches = habitat.audit(run.id).await;
    let losses: u32 = batches.iter().map(|batch| batch.losses).sum();
    println!("{kills} kills, {losses} losses, {:?}", run.finished_at.unwrap() - run.started_at.unwrap());
    assert!(losses > 0, "no kill hit a batch: nothing is shown");
    shut_down(herd).await;
}

const LEASE: Duration = Duration::from_millis(500);
