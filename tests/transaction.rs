//! What user code can do to its batch's transaction, and what the database can: a batch is completed whole or not at all.

#![cfg(feature = "sqlite")]

use data_drip::{Backfill, BatchStatus, Run, RunBatch, RunStatus};
use sqlx::Sqlite;
use zoo::backfills::{Dangling, Heavy, Nester, Sabotage, Saboteur, TwoWrites};
use zoo::{Habitat, Journal};

const ITEMS: u32 = 100;
/// In the second of four batches.
const ITEM: i64 = 3 * 33;

/// Which pool the executor works on.
#[derive(Clone, Copy, Debug)]
enum Pool {
    Own,
    Shared,
}

/// Runs a backfill to its end in this process, with batches of 25.
async fn run<T: Backfill<Database = Sqlite>>(habitat: &Habitat, backfill: T, pool: Pool) -> (Run, Vec<RunBatch>) {
    let builder = match pool {
        Pool::Own => habitat.builder(),
        Pool::Shared => habitat.builder().share_pool(),
    };
    let drip = builder.build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(backfill).batch_size(25).await.unwrap();
    let run = habitat.settled(run.id).await;
    worker.shutdown().await;
    let batches = habitat.audit(run.id).await;
    (run, batches)
}

/// The second batch failed with an error that says `message`, after one attempt; the others are completed.
fn assert_only_the_second_failed(run: &Run, batches: &[RunBatch], message: &str) {
    assert_eq!(run.status, RunStatus::Failed, "{run:?}");
    assert_eq!((run.counts.completed, run.counts.failed, run.counts.processed), (3, 1, 75));
    let failed = &batches[1];
    assert_eq!((failed.status, failed.attempts, failed.losses), (BatchStatus::Failed, 1, 0));
    let error = failed.error.as_deref().unwrap();
    assert!(error.contains(message), "{error}");
}

async fn sabotage(sabotage: Sabotage) {
    for pool in [Pool::Own, Pool::Shared] {
        let habitat = Habitat::with_items(ITEMS, Journal::WriteAhead).await;
        let (run, batches) = run(&habitat, Saboteur { sabotage, item: ITEM }, pool).await;
        assert_only_the_second_failed(&run, &batches, "the batch's transaction was ended by user code");
        assert_eq!(habitat.number("SELECT count(*) FROM unique_words").await, 0, "{sabotage:?} kept a word, {pool:?}");
    }
}

#[tokio::test]
async fn a_swallowed_conflict_that_ended_the_transaction_completes_nothing() {
    sabotage(Sabotage::SwallowedConflict).await;
}

#[tokio::test]
async fn a_swallowed_raise_that_ended_the_transaction_completes_nothing() {
    sabotage(Sabotage::SwallowedRaise).await;
}

#[tokio::test]
async fn a_hand_written_commit_completes_nothing() {
    sabotage(Sabotage::Commit).await;
}

#[tokio::test]
async fn a_hand_written_end_completes_nothing() {
    sabotage(Sabotage::End).await;
}

#[tokio::test]
async fn a_hand_written_rollback_completes_nothing() {
    sabotage(Sabotage::Rollback).await;
}

#[tokio::test]
async fn a_hand_written_commit_with_another_begin_completes_nothing() {
    sabotage(Sabotage::CommitAndBegin).await;
}

#[tokio::test]
async fn a_hand_written_rollback_with_another_begin_completes_nothing() {
    sabotage(Sabotage::RollbackAndBegin).await;
}

#[tokio::test]
async fn another_transaction_inside_a_batch_completes_nothing() {
    sabotage(Sabotage::RollbackAndAnother).await;
}

#[tokio::test]
async fn a_nested_transaction_that_never_ends_completes_nothing() {
    sabotage(Sabotage::Nested).await;
}

#[tokio::test]
async fn savepoints_and_nested_transactions_that_end_are_fine() {
    for pool in [Pool::Own, Pool::Shared] {
        let habitat = Habitat::with_items(ITEMS, Journal::WriteAhead).await;
        let (run, _) = run(&habitat, Nester, pool).await;
        assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 100), "{pool:?}");
    }
}

#[tokio::test]
async fn a_commit_that_the_database_refuses_fails_the_batch_and_keeps_nothing() {
    for pool in [Pool::Own, Pool::Shared] {
        let habitat = Habitat::with_items(ITEMS, Journal::WriteAhead).await;
        let (run, batches) = run(&habitat, Dangling { item: ITEM }, pool).await;
        assert_only_the_second_failed(&run, &batches, "FOREIGN KEY constraint failed");
        assert_eq!(habitat.number("SELECT count(*) FROM pledges").await, 0);
        let claims = "SELECT epoch FROM data_drip_backfill_run_batches WHERE position = 2";
        assert_eq!(habitat.number(claims).await, 1, "nothing is repeated unasked");
    }
}

#[tokio::test]
async fn a_second_write_after_one_that_emptied_the_scope_says_what_to_do() {
    let habitat = Habitat::with_items(ITEMS, Journal::WriteAhead).await;
    let (run, batches) = run(&habitat, TwoWrites { pin: false }, Pool::Own).await;
    assert_eq!((run.status, run.counts.failed, run.counts.processed), (RunStatus::Failed, 4, 0));
    for batch in batches {
        let error = batch.error.unwrap();
        assert!(error.contains("`update_all` after a write") && error.contains("batch.keys().await?"), "{error}");
    }
}

#[tokio::test]
async fn a_second_write_on_pinned_rows_writes_the_same_rows() {
    let habitat = Habitat::with_items(ITEMS, Journal::WriteAhead).await;
    let (run, _) = run(&habitat, TwoWrites { pin: true }, Pool::Own).await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 100));
}

#[tokio::test]
async fn a_batch_larger_than_the_databases_cache_is_counted() {
    for journal in [Journal::WriteAhead, Journal::Rollback] {
        for pool in [Pool::Own, Pool::Shared] {
            let habitat = Habitat::with_items(ITEMS, journal).await;
            let (run, batches) = run(&habitat, Heavy { bytes: 400_000 }, pool).await;
            assert_eq!(
                (run.status, run.counts.processed),
                (RunStatus::Completed, 100),
                "{journal:?}, {pool:?}: {batches:?}"
            );
        }
    }
}
