//! Several workers on one database.

use std::collections::HashSet;

use data_drip::{Migrate, RunStatus};

use super::audit::audit;
use super::backfills::{StampAll, StampAlone};
use super::gate::Gate;
use super::{engine, settled, until};
use crate::database::Database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_share_one_run() {
    let Some(database) = Database::with_items(200).await else { return };
    let (one, first) = engine(&database, 2).await;
    let (two, second) = engine(&database, 2).await;
    first.close();
    second.close();
    let workers = [one.start(), two.start()];
    let run = one.enqueue(StampAll { tag: 1 }).batch_size(5).await.unwrap();
    // Each has batches in its hands before either goes on.
    first.reached().await;
    second.reached().await;
    first.open();
    second.open();
    let run = settled(&two, run.id).await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 200));
    let batches = audit(&database, &one, run.id).await;
    let hands: HashSet<_> = batches.iter().filter_map(|batch| batch.worker.as_deref()).collect();
    assert_eq!(hands.len(), 2);
    for worker in workers {
        worker.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_take_turns_on_one_slot() {
    let Some(database) = Database::with_items(60).await else { return };
    let (drip, gate) = engine(&database, 1).await;
    gate.close();
    let worker = drip.start();
    let long = drip.enqueue(StampAll { tag: 1 }).batch_size(1).await.unwrap();
    gate.reached().await;
    let short = drip.enqueue(StampAll { tag: 2 }).batch_size(30).await.unwrap();
    until(async || (drip.run(short.id).await.unwrap().counts.pending > 0).then_some(())).await;
    gate.open();
    let short = settled(&drip, short.id).await;
    let long_so_far = drip.run(long.id).await.unwrap();
    assert_eq!(short.counts.processed, 60);
    assert!(long_so_far.counts.completed < 60, "a long run does not starve a short one");
    settled(&drip, long.id).await;
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_on_concurrency_holds_over_all_workers() {
    let Some(database) = Database::with_items(40).await else { return };
    let (one, first) = engine(&database, 3).await;
    let (two, second) = engine(&database, 3).await;
    first.close();
    second.close();
    let workers = [one.start(), two.start()];
    let run = one.enqueue(StampAlone).batch_size(2).await.unwrap();
    tokio::select! {
        () = first.reached() => {}
        () = second.reached() => {}
    }
    assert_eq!(one.run(run.id).await.unwrap().counts.running, 1);
    first.open();
    second.open();
    let mut most = 0;
    let run = until(async || {
        let run = one.run(run.id).await.unwrap();
        most = most.max(run.counts.running);
        run.status.is_settled().then_some(run)
    })
    .await;
    assert_eq!((run.status, run.counts.processed, most), (RunStatus::Completed, 40, 1));
    audit(&database, &one, run.id).await;
    for worker in workers {
        worker.shutdown().await;
    }
}

#[tokio::test]
async fn whoever_was_taken_over_cannot_commit() {
    let Some(database) = Database::with_items(10).await else { return };
    let (slow, gate) = engine(&database, 1).await;
    gate.close();
    let sleeper = slow.start();
    let run = slow.enqueue(StampAll { tag: 1 }).batch_size(10).await.unwrap();
    gate.reached().await;
    // What another worker does that takes this one for dead.
    database
        .run(
            "UPDATE data_drip_backfill_run_batches SET status = 'pending', worker = NULL, losses = losses + 1, due_at = 0
             WHERE status = 'running'",
        )
        .await;
    let (quick, _) = engine(&database, 1).await;
    let worker = quick.start();
    let run = settled(&quick, run.id).await;
    gate.open();
    sleeper.shutdown().await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 10));
    let batches = audit(&database, &quick, run.id).await;
    assert_eq!(batches[0].losses, 1);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_worker_that_is_dropped_is_taken_over_when_its_lease_has_run_out() {
    let Some(database) = Database::with_items(10).await else { return };
    let (slow, gate) = engine(&database, 1).await;
    gate.close();
    let dropped = slow.start();
    let run = slow.enqueue(StampAll { tag: 1 }).batch_size(10).await.unwrap();
    gate.reached().await;
    drop(dropped);
    let (quick, _) = engine(&database, 1).await;
    let worker = quick.start();
    let run = settled(&quick, run.id).await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 10));
    audit(&database, &quick, run.id).await;
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_that_start_at_once_on_an_empty_database_migrate_once() {
    let Some(database) = Database::empty().await else { return };
    let error = database.builder().state(Gate::default()).migrate(Migrate::Check).build().await.err().unwrap();
    assert!(error.to_string().contains("Migrate::Apply"), "{error}");
    let starting: Vec<_> = (0..8).map(|_| tokio::spawn(database.builder().state(Gate::default()).build())).collect();
    for started in starting {
        started.await.unwrap().unwrap();
    }
    let twice =
        "SELECT count(*) FROM (SELECT version FROM data_drip_migrations GROUP BY version HAVING count(*) > 1) AS v";
    assert_eq!(database.number(twice).await, 0);
    let applied = database.number("SELECT count(*) FROM data_drip_migrations").await;
    assert_eq!(applied, database.number("SELECT version FROM data_drip_schema").await);
    database.builder().state(Gate::default()).migrate(Migrate::Check).build().await.unwrap();
}
