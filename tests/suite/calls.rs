//! What workers on PostgreSQL hear.

use std::time::Duration;

use chrono::Utc;
use data_drip::{Run, RunStatus};

use crate::database::Database;
use crate::database::prelude::DataDrip;
use crate::suite::audit::audit;
use crate::suite::backfills::StampAll;
use crate::suite::gate::Gate;
use crate::suite::{engine, settled, until};

/// An engine that looks for work once an hour, and its gate.
async fn sleepy(database: &Database) -> (DataDrip, Gate) {
    let builder = database.builder().slots(1).poll_interval(Duration::from_hours(1)).lease(Duration::from_hours(24));
    let gate = Gate::default();
    (builder.state(gate.clone()).build().await.unwrap(), gate)
}

const LOCKED_WORKERS: &str = "SELECT count(*) FROM data_drip_worker_locks";

/// Waits until so many workers are known to hear.
async fn listening(database: &Database, workers: i64) {
    until(async || (database.number(LOCKED_WORKERS).await == workers).then_some(())).await;
}

#[track_caller]
fn is_completed(run: &Run) {
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_of_other_processes_is_heard_of_and_not_looked_for() {
    let Some(database) = Database::with_items(100).await else { return };
    let (drip, _) = sleepy(&database).await;
    let worker = drip.start();
    listening(&database, 1).await;
    let (person, _) = engine(&database, 1).await;
    let run = person.enqueue(StampAll { tag: 1 }).batch_size(10).await.unwrap();
    is_completed(&settled(&person, run.id).await);

    let soon = Utc::now() + Duration::from_millis(300);
    let run = person.enqueue(StampAll { tag: 2 }).start_at(soon).await.unwrap();
    is_completed(&settled(&person, run.id).await);

    let later = Utc::now() + Duration::from_hours(1);
    let run = person.enqueue(StampAll { tag: 3 }).start_at(later).await.unwrap();
    person.stop(run.id).await.unwrap();
    database.run("UPDATE data_drip_backfill_runs SET start_at = NULL").await;
    person.resume(run.id).await.unwrap();
    is_completed(&settled(&person, run.id).await);
    worker.shutdown().await;
    assert_eq!(database.number(LOCKED_WORKERS).await, 0, "it has signed off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_written_in_a_transaction_of_the_host_is_heard_of_with_its_commit() {
    let Some(database) = Database::with_items(100).await else { return };
    let (drip, _) = sleepy(&database).await;
    let worker = drip.start();
    listening(&database, 1).await;
    let (person, _) = engine(&database, 1).await;
    let mut tx = database.pool.begin().await.unwrap();
    let run = person.enqueue(StampAll { tag: 1 }).in_tx(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    is_completed(&settled(&person, run.id).await);
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_one_process_plans_are_heard_of_by_all() {
    let Some(database) = Database::with_items(100).await else { return };
    let mut sleepers = Vec::new();
    for _ in 0..4 {
        let (drip, gate) = sleepy(&database).await;
        gate.close();
        sleepers.push((drip.start(), gate));
    }
    listening(&database, 4).await;
    let (person, _) = engine(&database, 1).await;
    let run = person.enqueue(StampAll { tag: 1 }).batch_size(5).await.unwrap();
    // By the time that there is something to claim, all but the one that plans have looked in vain.
    for (_, gate) in &sleepers {
        gate.reached().await;
    }
    for (_, gate) in &sleepers {
        gate.open();
    }
    is_completed(&settled(&person, run.id).await);
    for (worker, _) in sleepers {
        worker.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_claims_nothing_plans_on_while_others_claim() {
    let Some(database) = Database::with_items(100).await else { return };
    let (planner, gate) = sleepy(&database).await;
    gate.close();
    let planner = planner.start();
    let (person, _) = engine(&database, 1).await;
    let run = person.enqueue(StampAll { tag: 1 }).batch_size(1).await.unwrap();
    gate.reached().await;
    let (other, _) = sleepy(&database).await;
    let other = other.start();
    until(async || (person.run(run.id).await.unwrap().counts.completed == 99).then_some(())).await;
    gate.open();
    is_completed(&settled(&person, run.id).await);
    for worker in [planner, other] {
        worker.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_lost_the_connection_finds_work_by_looking_and_hears_again_later() {
    let Some(database) = Database::with_items(100).await else { return };
    let (drip, _) = engine(&database, 2).await;
    let worker = drip.start();
    listening(&database, 1).await;
    let token = "SELECT token FROM data_drip_worker_locks";
    let before = database.number(token).await;
    // As long as nobody can enter a lock nobody stands again.
    database.run("ALTER TABLE data_drip_worker_locks ADD CONSTRAINT closed CHECK (token = 0) NOT VALID").await;
    assert_eq!(database.terminate_presences(false).await, 1);
    listening(&database, 0).await;
    let (person, _) = engine(&database, 1).await;
    let run = person.enqueue(StampAll { tag: 1 }).batch_size(10).await.unwrap();
    is_completed(&settled(&person, run.id).await);
    audit(&database, &drip, run.id).await;
    database.run("ALTER TABLE data_drip_worker_locks DROP CONSTRAINT closed").await;
    listening(&database, 1).await;
    assert_ne!(database.number(token).await, before);
    worker.shutdown().await;
}
