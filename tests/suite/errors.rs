//! What user code can do to its batch, and what the server can: a batch is completed whole or not at all, and says why.

use data_drip::{BatchStatus, Run, RunBatch, RunStatus};

use super::audit::audit;
use super::backfills::{Bounded, Fault, Faulty, StampAll, Unready};
use super::{engine, run_to_its_end, settled, until};
use crate::database::{BROKEN, Database, SPOILS};

/// In the second of four batches.
const ITEM: i64 = 99;

/// The second batch failed with an error that says `message`, after one attempt; the others are completed.
fn assert_only_the_second_failed(run: &Run, batches: &[RunBatch], message: &str) {
    assert_eq!(run.status, RunStatus::Failed, "{run:?}");
    assert_eq!((run.counts.completed, run.counts.failed, run.counts.processed), (3, 1, 75), "{batches:?}");
    let failed = &batches[1];
    assert_eq!((failed.status, failed.attempts, failed.losses), (BatchStatus::Failed, 1, 0));
    let error = failed.error.as_deref().unwrap();
    assert!(error.contains(message), "{error}");
}

#[tokio::test]
async fn an_error_or_a_panic_fails_its_batch_alone_and_keeps_nothing_of_it() {
    for (fault, message) in [
        (Fault::Error, "this item is not for me"),
        (Fault::Panic, "this item is too much"),
        (Fault::Database, "nonsense"),
    ] {
        let Some(database) = Database::with_items(100).await else { return };
        let (run, batches) = run_to_its_end(&database, Faulty { fault, item: ITEM }, 25).await;
        assert_only_the_second_failed(&run, &batches, message);
        assert!(!batches[1].error.as_deref().unwrap().contains("ended before its time"), "{batches:?}");
        let (drip, _) = engine(&database, 1).await;
        audit(&database, &drip, run.id).await;
    }
}

#[tokio::test]
async fn failed_batches_are_tried_again_when_somebody_says_so() {
    let Some(database) = Database::with_items(100).await else { return };
    let (drip, gate) = engine(&database, 2).await;
    let worker = drip.start();
    let run = drip.enqueue(Faulty { fault: Fault::Error, item: ITEM }).batch_size(25).await.unwrap();
    assert_eq!(settled(&drip, run.id).await.status, RunStatus::Failed);
    gate.mend();
    drip.retry_failed_batches(run.id).await.unwrap();
    let run = settled(&drip, run.id).await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 100));
    audit(&database, &drip, run.id).await;
    worker.shutdown().await;
}

#[tokio::test]
async fn a_swallowed_error_of_the_database_completes_nothing_where_it_spoils_the_transaction() {
    let Some(database) = Database::with_items(100).await else { return };
    let (run, batches) = run_to_its_end(&database, Faulty { fault: Fault::Swallowed, item: ITEM }, 25).await;
    let (drip, _) = engine(&database, 1).await;
    audit(&database, &drip, run.id).await;
    if !SPOILS {
        assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 100), "that statement alone is undone");
        return;
    }
    assert_only_the_second_failed(&run, &batches, "user code swallowed an error of the database");
    assert_eq!(database.number("SELECT count(*) FROM unique_words").await, 0);
}

#[tokio::test]
async fn a_transaction_that_user_code_ended_never_completes() {
    for fault in [Fault::Commit, Fault::Rollback, Fault::CommitAndBegin, Fault::Nested] {
        let Some(database) = Database::with_items(100).await else { return };
        let (run, batches) = run_to_its_end(&database, Faulty { fault, item: ITEM }, 25).await;
        assert_only_the_second_failed(&run, &batches, BROKEN);
        // The connection that it happened on goes on working.
        let (drip, gate) = engine(&database, 1).await;
        gate.mend();
        database.run("UPDATE items SET touched = 0").await;
        let again = run_to_its_end(&database, StampAll { tag: 2 }, 25).await.0;
        assert_eq!((again.status, again.counts.processed), (RunStatus::Completed, 100), "{fault:?}");
        drop(drip);
    }
}

#[tokio::test]
async fn a_timeout_ends_the_statement_and_fails_its_batch_alone() {
    for fault in [Fault::Long, Fault::Hang] {
        let Some(database) = Database::with_items(100).await else { return };
        let (run, batches) = run_to_its_end(&database, Bounded { fault, item: ITEM }, 25).await;
        assert_only_the_second_failed(&run, &batches, "timed out after 300ms");
        assert_eq!(database.long_running().await, 0, "nothing runs on");
        let (drip, _) = engine(&database, 1).await;
        audit(&database, &drip, run.id).await;
    }
}

#[tokio::test]
async fn a_connection_that_the_server_ends_in_the_middle_of_a_batch_costs_nothing() {
    let Some(database) = Database::with_items(100).await else { return };
    let (drip, gate) = engine(&database, 2).await;
    gate.close();
    let worker = drip.start();
    // Held at the gate when everything is written.
    let run = drip.enqueue(Faulty { fault: Fault::Error, item: -1 }).batch_size(25).await.unwrap();
    gate.reached().await;
    gate.reached().await;
    assert_eq!(database.terminate_batches().await, 2);
    gate.open();
    let run = settled(&drip, run.id).await;
    assert_eq!((run.status, run.counts.processed, run.counts.failed), (RunStatus::Completed, 100, 0));
    let batches = audit(&database, &drip, run.id).await;
    assert!(batches.iter().all(|batch| batch.attempts == 0), "no attempt of user code is counted: {batches:?}");
    let transients = "SELECT sum(transients) FROM data_drip_backfill_run_batches";
    assert_eq!(database.number(transients).await, 2);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_row_that_the_application_holds_is_waited_for_and_its_write_is_not_lost() {
    let Some(database) = Database::with_items(100).await else { return };
    let mut application = database.pool.begin().await.unwrap();
    sqlx::query("UPDATE items SET word = 'mine' WHERE id = 99").execute(&mut *application).await.unwrap();
    let (drip, _) = engine(&database, 2).await;
    let worker = drip.start();
    let run = drip.enqueue(StampAll { tag: 1 }).batch_size(25).await.unwrap();
    let transients = "SELECT sum(transients) FROM data_drip_backfill_run_batches WHERE position = 2";
    until(async || (database.number(transients).await > 0).then_some(())).await;
    application.commit().await.unwrap();
    let run = settled(&drip, run.id).await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 100));
    audit(&database, &drip, run.id).await;
    assert_eq!(database.number("SELECT count(*) FROM items WHERE word = 'mine' AND touched = 1").await, 1);
    worker.shutdown().await;
}

/// A database may refuse to keep an error: for a constraint of somebody's, for its size, for a character.
#[tokio::test]
async fn an_error_that_the_database_does_not_keep_is_told_of_and_holds_nothing_up() {
    let Some(database) = Database::with_items(100).await else { return };
    let (drip, _) = engine(&database, 1).await;
    let refuse = "ADD CONSTRAINT not_this_one CHECK (error NOT LIKE '%not for me%')";
    database.run(&format!("ALTER TABLE data_drip_backfill_run_batches {refuse}")).await;
    let worker = drip.start();
    let run = drip.enqueue(Faulty { fault: Fault::Error, item: ITEM }).batch_size(25).await.unwrap();
    let run = settled(&drip, run.id).await;
    worker.shutdown().await;
    let batches = drip.batches(run.id).limit(u32::MAX).await.unwrap();
    assert_only_the_second_failed(&run, &batches, "which the database did not keep");
    let error = batches[1].error.as_deref().unwrap();
    assert!(error.starts_with("an error of ") && error.contains("not_this_one"), "{error}");
}

#[tokio::test]
async fn a_run_whose_error_the_database_does_not_keep_fails_all_the_same() {
    let Some(database) = Database::with_items(100).await else { return };
    let (drip, _) = engine(&database, 1).await;
    let refuse = "ADD CONSTRAINT not_this_one CHECK (error NOT LIKE '%not today%')";
    database.run(&format!("ALTER TABLE data_drip_backfill_runs {refuse}")).await;
    let worker = drip.start();
    let run = drip.enqueue(Unready).await.unwrap();
    let run = settled(&drip, run.id).await;
    worker.shutdown().await;
    assert_eq!(run.status, RunStatus::Failed);
    let error = run.error.as_deref().unwrap();
    assert!(error.contains("which the database did not keep") && error.contains("not_this_one"), "{error}");
}

#[tokio::test]
async fn a_run_over_another_key_than_the_codes_fails_when_nobody_else_could_take_it() {
    let Some(database) = Database::with_items(30).await else { return };
    let (drip, gate) = engine(&database, 1).await;
    gate.close();
    let worker = drip.start();
    let run = drip.enqueue(StampAll { tag: 1 }).batch_size(10).await.unwrap().id;
    gate.reached().await;
    drip.pause(run).await.unwrap();
    gate.open();
    until(async || (drip.run(run).await.unwrap().counts.running == 0).then_some(())).await;
    worker.shutdown().await;
    // As if it had been planned by code that named another key.
    database.run("UPDATE data_drip_backfill_runs SET key_spec = replace(key_spec, '\"id\"', '\"word\"')").await;
    let (drip, _) = engine(&database, 1).await;
    let worker = drip.start();
    drip.resume(run).await.unwrap();
    let run = settled(&drip, run).await;
    assert_eq!((run.status, run.counts.completed, run.counts.failed), (RunStatus::Failed, 1, 2));
    for batch in drip.batches(run.id).status(BatchStatus::Failed).await.unwrap() {
        let error = batch.error.unwrap();
        assert!(
            error.contains("items by (word), but the code of this process says") && error.contains("start a new run")
        );
    }
    worker.shutdown().await;
}
