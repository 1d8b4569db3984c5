//! Moments that a run meets by bad luck only, brought about by hand: answers that were lost, processes that died in between,
//! pools without a free connection.

mod support;

use std::sync::Arc;
use std::time::Duration;

use data_drip::sqlite::prelude::*;
use data_drip::{BatchStatus, Builder, RunId, RunStatus};
use sqlx::Sqlite;
use sqlx::sqlite::SqlitePoolOptions;
use support::{Database, pool_at, quick, until};
use tokio::sync::Semaphore;

/// Marks items as done, and passes a gate inside its transaction.
#[backfill(batch_size = 10)]
struct MarkDone {
    /// Waits at the gate.
    #[option(default = false)]
    gated: bool,
}

#[backfill]
impl MarkDone {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>, gate: State<Gate>) -> data_drip::Result {
        batch.update_all().set("done", 1).set_expr("times", "times + 1").execute().await?;
        if self.gated {
            gate.arrived.add_permits(1);
            gate.open.acquire().await?.forget();
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Gate {
    arrived: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { arrived: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) }
    }
}

const PLAIN: MarkDone = MarkDone { gated: false };

fn builder(database: &Database) -> Builder<Sqlite> {
    // Beats five times a second.
    database.builder().state(Gate::default()).lease(Duration::from_millis(600))
}

/// A run whose every batch is completed, in a status that it can only have for a moment.
async fn all_done_and(status: &str, database: &Database, drip: &DataDrip) -> RunId {
    let worker = drip.start();
    let run = drip.enqueue(PLAIN).await.unwrap();
    drip.wait(run.id).await.unwrap();
    worker.shutdown().await;
    let change = "UPDATE data_drip_backfill_runs SET finished_at = NULL, processed = NULL, active_key = 'x', status";
    database.run(&format!("{change} = '{status}'")).await;
    assert_eq!(drip.run(run.id).await.unwrap().counts.completed, 3);
    run.id
}

#[tokio::test]
async fn a_run_whose_last_process_died_before_it_settled_is_settled_by_the_sweep_alone() {
    let database = Database::with_items(30).await;
    let drip = builder(&database).build().await.unwrap();
    let run = all_done_and("running", &database, &drip).await;
    // It has no code for the run, so that nothing but the sweep looks at it.
    database.run("UPDATE data_drip_backfill_runs SET backfill = 'gone'").await;
    let worker = drip.start();
    assert_eq!(drip.wait(run).await.unwrap().status, RunStatus::Completed);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_run_whose_last_batch_ended_while_it_was_paused_settles_when_it_is_resumed() {
    let database = Database::with_items(30).await;
    let drip = builder(&database).build().await.unwrap();
    let run = all_done_and("paused", &database, &drip).await;
    let worker = drip.start();
    drip.resume(run).await.unwrap();
    let run = drip.wait(run).await.unwrap();
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 30));
    assert_eq!(database.int("SELECT sum(times) FROM items").await, 30, "nothing is done again");
    worker.shutdown().await;
}

#[tokio::test]
async fn a_claim_that_its_own_process_does_not_know_is_given_back() {
    let database = Database::with_items(30).await;
    let drip = builder(&database).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(PLAIN).sleep(Duration::from_hours(1)).await.unwrap();
    until(async || Some(drip.run(run.id).await.unwrap()).filter(|run| run.counts.completed == 1)).await;
    // As if the answer to a claim had been lost on its way: the slot rests and will not take the batch by itself.
    database
        .run(
            "UPDATE data_drip_backfill_run_batches
             SET status = 'running', worker = (SELECT id FROM data_drip_workers), epoch = epoch + 1, started_at = 1
             WHERE position = 2",
        )
        .await;
    until(async || (drip.run(run.id).await.unwrap().counts.running == 0).then_some(())).await;
    let batch = drip.batches(run.id).await.unwrap().remove(1);
    assert_eq!((batch.status, batch.worker), (BatchStatus::Pending, None));
    assert_eq!((batch.losses, batch.attempts, batch.error), (0, 0, None), "nobody's fault");
    assert_eq!(database.int("SELECT count(*) FROM data_drip_workers").await, 1, "by a worker that lives");
    worker.shutdown().await;
}

#[tokio::test]
async fn while_the_hosts_pool_is_exhausted_the_heart_beats_and_the_slots_work() {
    let database = Database::with_items(30).await;
    let options = (*database.pool.connect_options()).clone();
    let host = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let drip = quick(DataDrip::builder(host.clone())).state(Gate::default()).lease(Duration::from_millis(600));
    let drip = drip.build().await.unwrap();
    let run = drip.enqueue(PLAIN).await.unwrap();
    let all_of_it = host.acquire().await.unwrap();
    let worker = drip.start();
    let completed =
        format!("SELECT count(*) FROM data_drip_backfill_runs WHERE id = {} AND status = 'completed'", run.id);
    until(async || (database.int(&completed).await == 1).then_some(())).await;
    until(async || (database.int("SELECT max(beat) FROM data_drip_workers").await >= 3).then_some(())).await;
    assert_eq!(database.int("SELECT sum(times) FROM items").await, 30);
    drop(all_of_it);
    worker.shutdown().await;
}

#[tokio::test]
async fn while_a_batch_is_in_flight_the_host_has_its_whole_pool() {
    let database = Database::with_items(10).await;
    let options = (*database.pool.connect_options()).clone();
    let host = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let gate = Gate::default();
    let drip = quick(DataDrip::builder(host.clone())).state(gate.clone()).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(MarkDone { gated: true }).await.unwrap();
    gate.arrived.acquire().await.unwrap().forget();
    let mut all_of_it = host.acquire().await.unwrap();
    let seen: i64 = sqlx::query_scalar("SELECT sum(times) FROM items").fetch_one(&mut *all_of_it).await.unwrap();
    assert_eq!(seen, 0, "the batch has written and not committed");
    drop(all_of_it);
    gate.open.add_permits(1);
    assert_eq!(drip.wait(run.id).await.unwrap().counts.processed, 10);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_planner_whose_code_names_another_table_leaves_planning_to_others() {
    let database = Database::with_items(20).await;
    let drip = builder(&database).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(PLAIN).batch_size(1).sleep(Duration::from_hours(1)).await.unwrap();
    let half = until(async || Some(drip.run(run.id).await.unwrap()).filter(|run| run.counts.completed == 1)).await;
    worker.shutdown().await;
    assert!(!half.planned, "planning has to go on");
    let renamed = |from: &str, to: &str| {
        format!("UPDATE data_drip_backfill_runs SET key_spec = replace(key_spec, '{from}', '{to}'), sleep_ms = 0")
    };
    // As if the planner had been a process with other code, and one that may have it were there.
    database.run(&renamed("items", "things")).await;
    let other = "INSERT INTO data_drip_workers VALUES ('other', 'host', 1, '0.1.0', 1, '[]', 1, 0, 0, 9000000000000)";
    database.run(other).await;
    let before = database.int("SELECT planner_epoch FROM data_drip_backfill_runs").await;
    let worker = drip.start();
    let given_back =
        format!("SELECT count(*) FROM data_drip_backfill_runs WHERE planner IS NULL AND planner_epoch > {before}");
    until(async || (database.int(&given_back).await == 1).then_some(())).await;
    // As if giving it back had failed: it is not kept for ever.
    database
        .run("UPDATE data_drip_backfill_runs SET planner = (SELECT id FROM data_drip_workers WHERE id <> 'other')")
        .await;
    until(async || (database.int(&given_back).await == 1).then_some(())).await;
    // Another run is served by the same process meanwhile.
    let other = drip.enqueue(PLAIN).limit(5).await.unwrap();
    assert_eq!(drip.wait(other.id).await.unwrap().status, RunStatus::Completed);
    let left = drip.run(run.id).await.unwrap();
    assert_eq!((left.status, left.error), (RunStatus::Running, None));
    assert_eq!((left.counts.batches, left.counts.completed), (half.counts.batches, 1));
    // A process whose code is right goes on where it was.
    database.run(&renamed("things", "items")).await;
    let right = quick(DataDrip::builder(pool_at(&database.path()).await)).state(Gate::default()).build().await.unwrap();
    let other_worker = right.start();
    assert_eq!(right.wait(run.id).await.unwrap().counts.processed, 20);
    worker.shutdown().await;
    other_worker.shutdown().await;
}
