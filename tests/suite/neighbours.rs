//! Runs that one process works on at the same time, and what they must not do to each other.

use std::sync::atomic::Ordering;

use data_drip::RunStatus;

use super::backfills::{HELD_FROM, Preparing, StampAll, StampBeside, StampOnce};
use super::{engine, settled, until};
use crate::database::Database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_has_to_be_alone_does_not_keep_the_others_from_being_worked_on() {
    let Some(database) = Database::with_items(30).await else { return };
    let (busy, first) = engine(&database, 1).await;
    first.close();
    let holder = busy.start();
    let held = busy.enqueue(StampAll { tag: 1 }).batch_size(30).await.unwrap();
    first.reached().await;
    // Planned by a process that has no slot for it.
    let run = busy.enqueue(StampBeside { held: 1 }).batch_size(10).await.unwrap();
    until(async || (busy.run(run.id).await.unwrap().counts.pending == 3).then_some(())).await;
    let suspect = "UPDATE data_drip_backfill_run_batches SET losses = 1 WHERE position = 2 AND planned_size = 10";
    database.run(suspect).await;
    let (drip, gate) = engine(&database, 3).await;
    gate.close();
    let worker = drip.start();
    gate.reached().await;
    let next = drip.enqueue(StampBeside { held: 0 }).batch_size(5).await.unwrap();
    assert_eq!(settled(&drip, next.id).await.status, RunStatus::Completed);
    let waiting = drip.run(run.id).await.unwrap();
    assert!(!waiting.status.is_settled(), "its first batch is held");
    gate.open();
    first.open();
    for (run, batches) in [(held.id, 1), (run.id, 3), (next.id, 6)] {
        let run = settled(&drip, run).await;
        assert_eq!((run.status, run.counts.completed), (RunStatus::Completed, batches));
        let once = format!("SELECT count(DISTINCT item) FROM ledger WHERE run = {}", run.id);
        assert_eq!((database.number(&once).await, run.counts.processed), (30, 30));
    }
    worker.shutdown().await;
    holder.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_take_long_to_prepare_do_not_keep_others_from_running() {
    let Some(database) = Database::with_items(30).await else { return };
    let (drip, gate) = engine(&database, 2).await;
    gate.close();
    let worker = drip.start();
    let mut slow = Vec::new();
    for tag in 0..9 {
        slow.push(drip.enqueue(Preparing { tag }).batch_size(30).await.unwrap().id);
        gate.reached().await;
    }
    let quick = drip.enqueue(StampBeside { held: 0 }).batch_size(5).await.unwrap();
    assert_eq!(settled(&drip, quick.id).await.status, RunStatus::Completed);
    gate.open();
    for run in slow {
        assert_eq!(settled(&drip, run).await.status, RunStatus::Completed);
    }
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_counted_half_way_is_the_whole_run() {
    let Some(database) = Database::with_items(1_300).await else { return };
    let (drip, gate) = engine(&database, 1).await;
    gate.close();
    let worker = drip.start();
    let run = drip.enqueue(StampOnce).batch_size(1).await.unwrap().id;
    gate.reached().await;
    drip.pause(run).await.unwrap();
    gate.open();
    until(async || (drip.run(run).await.unwrap().counts.running == 0).then_some(())).await;
    let paused = drip.run(run).await.unwrap();
    assert!(!paused.planned && paused.counts.completed >= 100, "it is planned a bounded number ahead");
    // As if the first planner had died before it had counted.
    database.run("UPDATE data_drip_backfill_runs SET total = NULL, total_exact = 0").await;
    HELD_FROM.store(paused.counts.batches + 1, Ordering::SeqCst);
    gate.close();
    drip.resume(run).await.unwrap();
    gate.reached().await;
    let total = until(async || drip.run(run).await.unwrap().total.filter(|total| total.exact)).await;
    assert_eq!(total.count, 1_300);
    gate.open();
    let run = settled(&drip, run).await;
    assert_eq!((run.counts.processed, run.total.unwrap().count), (1_300, 1_300));
    worker.shutdown().await;
}
