//! Stopping, pausing and resuming a run that several processes work on.

use std::time::Duration;

use data_drip::sqlite::prelude::DataDrip;
use data_drip::{Backfill, RunId, RunStatus};
use sqlx::Sqlite;
use zoo::backfills::{StampAll, StampEach};
use zoo::{Habitat, Journal, Moment};

use crate::{claimed_and_not_begun, herd, planned, random, shut_down};

#[derive(Clone, Copy, Debug)]
enum Brake {
    Stop,
    Pause,
}

impl Brake {
    /// Puts it on: nothing may start from here on.
    async fn put_on(self, drip: &DataDrip, run: RunId, now: bool) {
        let (acted, status) = match self {
            Self::Stop if now => (drip.stop(run).now().await, RunStatus::Stopped),
            Self::Stop => (drip.stop(run).await, RunStatus::Stopped),
            Self::Pause => (drip.pause(run).await, RunStatus::Paused),
        };
        assert_eq!(acted.unwrap().status, status);
    }
}

const ALL: StampAll = StampAll { linger_ms: 5, tag: 0 };

#[tokio::test]
async fn stopping_and_resuming_loses_and_repeats_nothing_set_wise() {
    brake(ALL, Brake::Stop).await;
}

#[tokio::test]
async fn stopping_and_resuming_loses_and_repeats_nothing_row_by_row() {
    brake(StampEach, Brake::Stop).await;
}

#[tokio::test]
async fn pausing_and_resuming_loses_and_repeats_nothing_set_wise() {
    brake(ALL, Brake::Pause).await;
}

#[tokio::test]
async fn pausing_and_resuming_loses_and_repeats_nothing_row_by_row() {
    brake(StampEach, Brake::Pause).await;
}

const ITEMS: u32 = 20_000;
const TIMES: i64 = 8;

async fn brake<T: Backfill<Database = Sqlite>>(backfill: T, brake: Brake) {
    let mut random = random();
    let habitat = Habitat::with_items(ITEMS, Journal::WriteAhead).await;
    let drip = habitat.drip().await;
    // With pauses between batches the write lock is free often enough for everything that is asked.
    let run = drip.enqueue(backfill).batch_size(100).sleep(Duration::from_millis(25)).await.unwrap().id;
    let herd = herd(&habitat, 3, |child| child);
    for time in 0..TIMES {
        // All within the first half: a machine that stands still for a moment must not find the run completed.
        let progress = i64::from(ITEMS) * time / (TIMES * 2);
        zoo::eventually("the next time", async || habitat.processed().await > progress).await;
        tokio::time::sleep(Duration::from_millis(random.u64(..30))).await;
        brake.put_on(&drip, run, random.bool()).await;
        nothing_starts(&habitat, run).await;
        drip.resume(run).await.unwrap();
    }
    let run = habitat.settled(run).await;
    assert_eq!(run.status, RunStatus::Completed, "{run:?}");
    assert_eq!(run.counts.processed, u64::from(ITEMS));
    habitat.audit(run.id).await;
    shut_down(herd).await;
}

/// Batches in flight end and count; then the ledger stands still while every worker beats on.
async fn nothing_starts(habitat: &Habitat, run: RunId) {
    let running = "SELECT count(*) FROM data_drip_backfill_run_batches WHERE status = 'running'";
    habitat.becomes(running, 0).await;
    let processed = habitat.processed().await;
    let beats = "SELECT sum(beat) FROM data_drip_workers";
    let before = habitat.number(beats).await;
    zoo::eventually("the workers beat on", async || habitat.number(beats).await >= before + 3).await;
    assert_eq!(habitat.processed().await, processed, "something was processed after the run was halted");
    habitat.audit(run).await;
}

#[tokio::test]
async fn stop_now_rolls_back_a_batch_of_another_process_however_long_it_takes() {
    let habitat = Habitat::with_items(200, Journal::WriteAhead).await;
    let run = habitat.enqueue(StampAll { linger_ms: 0, tag: 0 }, 50).await.id;
    habitat.hold("busy", Moment::Written);
    let busy = habitat.child("busy").start();
    habitat.reached("busy", Moment::Written).await;
    let drip = habitat.drip().await;
    // The batch itself would never end.
    assert_eq!(drip.stop(run).now().await.unwrap().status, RunStatus::Stopped);
    assert_eq!(habitat.processed().await, 0);
    habitat.becomes("SELECT count(*) FROM data_drip_backfill_run_batches WHERE status = 'running'", 0).await;

    habitat.release("busy", Moment::Written);
    drip.resume(run).await.unwrap();
    assert_eq!(habitat.settled(run).await.status, RunStatus::Completed);
    habitat.audit(run).await;
    shut_down(vec![busy]).await;
}

#[tokio::test]
async fn a_batch_that_was_claimed_before_the_run_was_stopped_does_not_begin() {
    claimed_and_halted(Brake::Stop, "stopped").await;
}

#[tokio::test]
async fn a_batch_that_was_claimed_before_the_run_was_paused_does_not_begin() {
    claimed_and_halted(Brake::Pause, "pending").await;
}

async fn claimed_and_halted(brake: Brake, becomes: &str) {
    let habitat = Habitat::with_items(100, Journal::WriteAhead).await;
    let run = planned(&habitat, 1, 1_000).await;
    let child = claimed_and_not_begun(&habitat, "halted").await;
    let drip = habitat.drip().await;
    brake.put_on(&drip, run, false).await;
    habitat.release("halted", Moment::Scope);
    let given_back = format!("SELECT count(*) FROM data_drip_backfill_run_batches WHERE status = '{becomes}'");
    habitat.becomes(&given_back, 1).await;
    assert_eq!(habitat.processed().await, 0);

    drip.resume(run).await.unwrap();
    assert_eq!(habitat.settled(run).await.status, RunStatus::Completed);
    let batches = habitat.audit(run).await;
    assert_eq!((batches[0].attempts, batches[0].losses), (0, 0));
    shut_down(vec![child]).await;
}
