//! Asking for runs, and steering them.

use data_drip::{BatchStatus, ErrorKind, RunStatus};

use super::audit::audit;
use super::backfills::{ByHand, Fault, Faulty, Prepared, StampAll, StampEach};
use super::{engine, run_to_its_end, settled, until};
use crate::database::Database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_slots_process_every_row_once_by_batch_and_by_element() {
    let Some(database) = Database::with_items(1_000).await else { return };
    let (drip, _) = engine(&database, 4).await;
    let worker = drip.start();
    let run = drip.enqueue(StampAll { tag: 1 }).batch_size(7).await.unwrap();
    let run = settled(&drip, run.id).await;
    assert_eq!((run.status, run.counts.processed, run.counts.batches), (RunStatus::Completed, 1_000, 143));
    audit(&database, &drip, run.id).await;
    database.run("UPDATE items SET touched = 0, batch = NULL").await;
    let run = drip.enqueue(StampEach).batch_size(100).await.unwrap();
    let run = settled(&drip, run.id).await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 1_000));
    audit(&database, &drip, run.id).await;
    worker.shutdown().await;
    assert_eq!(database.number("SELECT count(*) FROM data_drip_workers").await, 0, "it has signed off");
}

#[tokio::test]
async fn an_empty_table_is_refused_and_one_row_is_one_batch() {
    let Some(database) = Database::with_items(0).await else { return };
    let (drip, _) = engine(&database, 1).await;
    let error = drip.enqueue(StampAll { tag: 1 }).await.unwrap_err();
    assert_eq!((error.kind(), error.fields()[0].message.as_str()), (ErrorKind::Invalid, "no records to process"));
    database.run("INSERT INTO items (id) VALUES (9223372036854775807)").await;
    let (run, batches) = run_to_its_end(&database, StampAll { tag: 1 }, 10).await;
    assert_eq!((run.status, run.counts.processed, batches.len()), (RunStatus::Completed, 1, 1));
}

#[tokio::test]
async fn rows_that_user_code_writes_by_hand_are_counted_by_the_scope() {
    let Some(database) = Database::with_items(100).await else { return };
    let (run, batches) = run_to_its_end(&database, ByHand, 30).await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 100));
    assert_eq!(
        batches.iter().map(|batch| batch.processed).collect::<Vec<_>>(),
        [Some(30), Some(30), Some(30), Some(10)]
    );
}

#[tokio::test]
async fn a_limited_run_processes_no_more_than_its_limit() {
    let Some(database) = Database::with_items(100).await else { return };
    let (drip, _) = engine(&database, 3).await;
    let worker = drip.start();
    let run = drip.enqueue(StampAll { tag: 1 }).batch_size(10).limit(25).await.unwrap();
    let run = settled(&drip, run.id).await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 25));
    assert_eq!(database.number("SELECT count(*) FROM ledger").await, 25);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_stop_returns_at_once_and_what_is_in_flight_finishes_and_counts() {
    let Some(database) = Database::with_items(100).await else { return };
    let (drip, gate) = engine(&database, 2).await;
    gate.close();
    let worker = drip.start();
    let run = drip.enqueue(StampAll { tag: 1 }).batch_size(10).await.unwrap();
    gate.reached().await;
    gate.reached().await;
    // By somebody else's process.
    let (person, _) = engine(&database, 1).await;
    let stopped = person.stop(run.id).await.unwrap();
    assert_eq!((stopped.status, stopped.counts.running), (RunStatus::Stopped, 2));
    gate.open();
    let run = settled(&drip, run.id).await;
    assert_eq!((run.status, run.counts.completed, run.counts.processed), (RunStatus::Stopped, 2, 20));
    audit(&database, &drip, run.id).await;
    person.resume(run.id).await.unwrap();
    let run = settled(&drip, run.id).await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 100));
    audit(&database, &drip, run.id).await;
    worker.shutdown().await;
}

#[tokio::test]
async fn a_pause_keeps_the_place_and_a_resume_goes_on() {
    let Some(database) = Database::with_items(100).await else { return };
    let (drip, gate) = engine(&database, 2).await;
    gate.close();
    let worker = drip.start();
    let run = drip.enqueue(StampAll { tag: 1 }).batch_size(10).await.unwrap();
    gate.reached().await;
    assert_eq!(drip.pause(run.id).await.unwrap().status, RunStatus::Paused);
    gate.open();
    let paused = until(async || Some(drip.run(run.id).await.unwrap()).filter(|run| run.counts.running == 0)).await;
    assert!(paused.counts.completed < 10, "{paused:?}");
    drip.resume(run.id).await.unwrap();
    assert_eq!(settled(&drip, run.id).await.counts.processed, 100);
    audit(&database, &drip, run.id).await;
    worker.shutdown().await;
}

#[tokio::test]
async fn a_stop_now_of_another_process_rolls_back_the_statement_in_flight() {
    let Some(database) = Database::with_items(30).await else { return };
    let (drip, _) = engine(&database, 1).await;
    let worker = drip.start();
    let run = drip.enqueue(Faulty { fault: Fault::Long, item: 3 }).batch_size(10).await.unwrap();
    until(async || (database.long_running().await > 0).then_some(())).await;
    let (person, _) = engine(&database, 1).await;
    let stopped = person.stop(run.id).now().await.unwrap();
    assert_eq!((stopped.status, stopped.counts.running, stopped.counts.stopped), (RunStatus::Stopped, 0, 3));
    // Its owner notices, and does not leave the statement to itself.
    until(async || (database.long_running().await == 0).then_some(())).await;
    worker.shutdown().await;
    let batches = audit(&database, &drip, run.id).await;
    assert!(batches.iter().all(|batch| batch.status == BatchStatus::Stopped));
}

#[tokio::test]
async fn before_run_is_rolled_back_when_the_run_is_stopped_meanwhile() {
    let Some(database) = Database::with_items(30).await else { return };
    let (drip, gate) = engine(&database, 1).await;
    gate.close();
    let worker = drip.start();
    let run = drip.enqueue(Prepared).await.unwrap();
    gate.reached().await;
    let (person, _) = engine(&database, 1).await;
    assert_eq!(person.stop(run.id).await.unwrap().status, RunStatus::Stopped, "it does not wait for user code");
    worker.shutdown().await;
    assert_eq!(database.number("SELECT count(*) FROM unique_words").await, 0);
    gate.open();
    let worker = drip.start();
    drip.resume(run.id).await.unwrap();
    let run = settled(&drip, run.id).await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 30));
    assert_eq!(database.number("SELECT count(*) FROM unique_words").await, 1, "and then it ran once");
    worker.shutdown().await;
}

#[tokio::test]
async fn in_a_transaction_the_run_exists_if_and_only_if_it_commits() {
    let Some(database) = Database::with_items(10).await else { return };
    let (drip, _) = engine(&database, 1).await;
    let mut tx = database.pool.begin().await.unwrap();
    drip.enqueue(StampAll { tag: 1 }).in_tx(&mut tx).await.unwrap();
    tx.rollback().await.unwrap();
    assert!(drip.runs().await.unwrap().is_empty());
    let worker = drip.start();
    let mut tx = database.pool.begin().await.unwrap();
    sqlx::query("INSERT INTO items (id) VALUES (100)").execute(&mut *tx).await.unwrap();
    let run = drip.enqueue(StampAll { tag: 1 }).in_tx(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(settled(&drip, run.id).await.counts.processed, 11);
    worker.shutdown().await;
}

#[tokio::test]
async fn eight_at_once_make_one_run() {
    let Some(database) = Database::with_items(10).await else { return };
    let (drip, _) = engine(&database, 1).await;
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let drip = drip.clone();
            tokio::spawn(async move { drip.enqueue(StampAll { tag: 1 }).await })
        })
        .collect();
    let mut made = 0;
    for asked in asked {
        match asked.await.unwrap() {
            Ok(_) => made += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    }
    assert_eq!(made, 1);
}
