//! Several processes and SQLite's only write lock.

use data_drip::{BatchStatus, RunStatus};
use zoo::backfills::{Quitter, StampAll};
use zoo::{Habitat, Journal, Moment};

use crate::{all_leases_run_out, claimed_and_not_begun, losses, planned, shut_down};

#[tokio::test]
async fn a_neighbours_long_batch_costs_nobody_a_claim() {
    let habitat = Habitat::with_items(200, Journal::WriteAhead).await;
    let run = planned(&habitat, 4, 60).await;
    // Two have claims and wait for the write lock, which the third holds much longer than anybody's lease.
    let a = claimed_and_not_begun(&habitat, "a").await;
    let b = claimed_and_not_begun(&habitat, "b").await;
    habitat.hold("c", Moment::Written);
    let c = habitat.child("c").start();
    habitat.reached("c", Moment::Written).await;
    habitat.release("a", Moment::Scope);
    habitat.release("b", Moment::Scope);
    all_leases_run_out(&habitat).await;

    habitat.release("c", Moment::Written);
    assert_eq!(habitat.settled(run).await.status, RunStatus::Completed);
    habitat.audit(run).await;
    assert_eq!(losses(&habitat).await, 0);
    shut_down(vec![a, b, c]).await;
}

#[tokio::test]
async fn a_process_starts_while_a_neighbours_batch_holds_the_write_lock() {
    let habitat = Habitat::with_items(200, Journal::WriteAhead).await;
    let run = habitat.enqueue(StampAll { linger_ms: 0, tag: 0 }, 50).await.id;
    habitat.hold("neighbour", Moment::Written);
    let neighbour = habitat.child("neighbour").start();
    habitat.reached("neighbour", Moment::Written).await;
    let newcomer = habitat.child("newcomer").start();
    habitat.reached("newcomer", Moment::Started).await;
    assert_eq!(habitat.processed().await, 0);
    habitat.release("neighbour", Moment::Written);
    assert_eq!(habitat.settled(run).await.status, RunStatus::Completed);
    habitat.audit(run).await;
    shut_down(vec![neighbour, newcomer]).await;
}

#[tokio::test]
async fn an_error_is_written_down_however_long_others_hold_the_write_lock() {
    let habitat = Habitat::with_items(100, Journal::WriteAhead).await;
    let run = habitat.enqueue(Quitter { item: 3 }, 1_000).await.id;
    habitat.hold("quitter", Moment::RolledBack);
    let quitter = habitat.child("quitter").start();
    habitat.reached("quitter", Moment::RolledBack).await;
    // User code has given the lock away, and others take it.
    let mut lock = habitat.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
    sqlx::raw_sql("UPDATE items SET text = 'busy'").execute(&mut *lock).await.unwrap();
    habitat.release("quitter", Moment::RolledBack);
    all_leases_run_out(&habitat).await;
    lock.commit().await.unwrap();

    let run = habitat.settled(run).await;
    assert_eq!(run.status, RunStatus::Failed);
    let batches = habitat.audit(run.id).await;
    assert_eq!((batches[0].status, batches[0].attempts, batches[0].losses), (BatchStatus::Failed, 1, 0));
    let error = batches[0].error.as_deref().unwrap();
    assert!(error.contains("this item is not for me"), "{error}");
    let claims = habitat.number("SELECT epoch FROM data_drip_backfill_run_batches").await;
    assert_eq!(claims, 1, "nothing is repeated unasked");
    shut_down(vec![quitter]).await;
}
