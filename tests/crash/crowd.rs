//! Several processes and SQLite's only write lock.

use std::time::Duration;

use data_drip::{BatchStatus, RunStatus};
use sqlx::ConnectOptions;
use zoo::backfills::{Heavy, Quitter, StampAll};
use zoo::{Habitat, Journal, Moment};

use crate::{all_leases_run_out, claimed_and_not_begun, losses, planned, shut_down, two_wait_for_a_third};

/// A busy timeout shorter than any lease: the engine has to be patient by itself.
const IMPATIENT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_neighbours_long_batch_costs_nobody_a_claim() {
    let habitat = Habitat::with_items(200, Journal::WriteAhead).await;
    let run = planned(&habitat, 4, 60).await;
    let (waiting, busy) = two_wait_for_a_third(&habitat, "busy").await;
    all_leases_run_out(&habitat).await;

    habitat.release("busy", Moment::Written);
    assert_eq!(habitat.settled(run).await.status, RunStatus::Completed);
    habitat.audit(run).await;
    assert_eq!(losses(&habitat).await, 0);
    shut_down(waiting).await;
    shut_down(vec![busy]).await;
}

#[tokio::test]
async fn a_process_that_computes_without_awaiting_keeps_its_claim() {
    let habitat = Habitat::with_items(100, Journal::WriteAhead).await;
    let run = planned(&habitat, 1, 1_000).await;
    habitat.hold("thinker", Moment::Scope);
    let thinker = habitat.child("thinker").threads(1).start();
    habitat.reached("thinker", Moment::Scope).await;
    // Somebody is there who would take the claim over, for two leases and more.
    let witness = habitat.child("witness").start();
    habitat.reached("witness", Moment::Started).await;
    let beats = "SELECT beat FROM data_drip_workers ORDER BY id DESC LIMIT 1";
    zoo::eventually("the witness has looked", async || habitat.number(beats).await >= 8).await;
    habitat.release("thinker", Moment::Scope);

    assert_eq!(habitat.settled(run).await.status, RunStatus::Completed);
    assert_eq!(habitat.audit(run).await[0].losses, 0);
    assert_eq!(habitat.number("SELECT count(*) FROM ledger WHERE process = 'thinker'").await, 100);
    shut_down(vec![thinker, witness]).await;
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
    let quitter = habitat.child("quitter").busy_timeout(IMPATIENT).start();
    habitat.reached("quitter", Moment::RolledBack).await;
    // User code has given the lock away, and others take it.
    let lock = habitat.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
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

#[tokio::test]
async fn a_suspect_is_not_blamed_for_waiting_for_the_write_lock() {
    let habitat = Habitat::with_items(100, Journal::WriteAhead).await;
    let run = planned(&habitat, 1, 1_000).await;
    claimed_and_not_begun(&habitat, "victim").await.kill();
    habitat.hold("heir", Moment::Scope);
    let heir = habitat.child("heir").busy_timeout(IMPATIENT).start();
    habitat.reached("heir", Moment::Scope).await;
    let lock = habitat.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
    habitat.release("heir", Moment::Scope);
    all_leases_run_out(&habitat).await;
    lock.commit().await.unwrap();

    assert_eq!(habitat.settled(run).await.status, RunStatus::Completed);
    let batches = habitat.audit(run).await;
    assert_eq!((batches[0].losses, batches[0].attempts), (1, 0));
    assert_eq!(habitat.number("SELECT transients FROM data_drip_backfill_run_batches").await, 0);
    shut_down(vec![heir]).await;
}

#[tokio::test]
async fn many_runs_at_once_do_not_take_each_others_connections_away() {
    let habitat = Habitat::with_items(500, Journal::WriteAhead).await;
    let drip = habitat.drip().await;
    let mut runs = Vec::new();
    for bytes in 0..8 {
        runs.push(drip.enqueue(Heavy { bytes }).batch_size(10).await.unwrap().id);
    }
    let child = habitat.child("alone").start();
    for run in runs {
        assert_eq!(habitat.settled(run).await.status, RunStatus::Completed);
        habitat.audit(run).await;
    }
    assert_eq!(habitat.number("SELECT sum(transients) FROM data_drip_backfill_run_batches").await, 0);
    shut_down(vec![child]).await;
}

#[tokio::test]
async fn others_get_to_write_while_one_batch_follows_the_other() {
    let habitat = Habitat::with_items(6_000, Journal::WriteAhead).await;
    // Long batches: the moments between them are a tiny part of the time, and hard to hit.
    let run = habitat.enqueue(StampAll { linger_ms: 200, tag: 0 }, 50).await.id;
    let busy = habitat.child("busy").start();
    zoo::eventually("it works", async || habitat.processed().await > 0).await;
    // An application that leaves it to sqlx how long to wait.
    let mut application = habitat.options().connect().await.unwrap();
    for word in 0..3 {
        sqlx::query("INSERT INTO unique_words VALUES (?)").bind(word).execute(&mut application).await.unwrap();
    }
    let drip = habitat.drip().await;
    assert_eq!(drip.pause(run).await.unwrap().status, RunStatus::Paused);
    shut_down(vec![busy]).await;
}
