//! Processes that are gone, and processes that only seem to be.

use data_drip::RunStatus;
use herd::Moment;

use super::{FOR_EVER, LOCKED_WORKERS, Site};
use crate::database::{Database, NOW};
use crate::suite::audit::audit;
use crate::suite::backfills::StampAll;
use crate::suite::{engine, settled, until};

#[tokio::test]
async fn a_killed_process_is_taken_over_at_once_and_not_when_its_lease_has_run_out() {
    let Some(site) = Site::with_items(100).await else { return };
    let (victim, run) = site.written(site.child("victim")).await;
    site.becomes(LOCKED_WORKERS, 1).await;
    let lease = site.number("SELECT expires_at FROM data_drip_workers").await;
    let next = site.child("next").start();
    site.becomes(LOCKED_WORKERS, 2).await;
    victim.kill();

    let run = settled(&site.person, run).await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 100));
    site.audit(run.id).await;
    assert_eq!(site.losses().await, 1);
    assert!(lease > site.number(&format!("SELECT {NOW}")).await, "its lease still runs by the database's clock");
    let workers = site.person.workers().await.unwrap();
    assert_eq!(workers.iter().filter(|worker| worker.alive).count(), 1, "{workers:?}");
    next.shut_down().await;
}

#[tokio::test]
async fn a_process_that_is_told_twice_ends_at_once_and_is_taken_over_at_once() {
    let Some(site) = Site::with_items(100).await else { return };
    let (first, run) = site.written(site.child("first").grace(FOR_EVER)).await;
    site.becomes(LOCKED_WORKERS, 1).await;
    let next = site.child("next").start();
    site.becomes(LOCKED_WORKERS, 2).await;
    first.ask_to_end();
    site.folder.reached("first", Moment::Asked).await;
    first.ask_to_end();
    assert_eq!(first.ended().await.code(), Some(super::AT_ONCE));

    let run = settled(&site.person, run).await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 100));
    site.audit(run.id).await;
    assert_eq!(site.losses().await, 1);
    next.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_only_loses_the_connection_that_stands_for_it_keeps_its_batches() {
    let Some(database) = Database::with_items(100).await else { return };
    let (drip, gate) = engine(&database, 1).await;
    gate.close();
    let worker = drip.start();
    let run = drip.enqueue(StampAll { tag: 1 }).batch_size(10).await.unwrap();
    gate.reached().await;
    let (other, _) = engine(&database, 1).await;
    let looking = other.start();
    let run = all_but_one_are_done(&other, run.id).await;
    for _ in 0..3 {
        until(async || (database.number(LOCKED_WORKERS).await == 2).then_some(())).await;
        let tokens = "SELECT sum(token % 1000000007) FROM data_drip_worker_locks";
        let before = database.number(tokens).await;
        assert_eq!(database.terminate_presences(true).await, 1);
        until(async || {
            let stands = database.number(LOCKED_WORKERS).await == 2;
            (stands && database.number(tokens).await != before).then_some(())
        })
        .await;
    }
    gate.open();
    let run = settled(&drip, run).await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 100));
    audit(&database, &drip, run.id).await;
    assert_eq!(database.number("SELECT sum(losses) FROM data_drip_backfill_run_batches").await, 0);
    worker.shutdown().await;
    looking.shutdown().await;
}

/// Waits until all but one batch of ten is done.
async fn all_but_one_are_done(drip: &crate::database::prelude::DataDrip, run: data_drip::RunId) -> data_drip::RunId {
    until(async || {
        let counts = drip.run(run).await.unwrap().counts;
        (counts.completed == 9 && counts.running == 1).then_some(run)
    })
    .await
}
