//! What `tracing` is told of each change, with the numbers of run and batch as fields.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use data_drip::sqlite::prelude::*;
use data_drip::{Failure, RunStatus};
use support::collector::Collector;
use support::{Database, until};

/// Fails its third batch, and its second once for a passing reason.
#[backfill(batch_size = 10)]
struct Mixed;

#[backfill]
impl Mixed {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("done").is_null())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>, busy: State<Busy>) -> data_drip::Result {
        batch.update_all().set("done", 1).execute().await?;
        match batch.info().position {
            2 if !busy.0.swap(true, Ordering::SeqCst) => Err(Failure::transient("the other side is busy")),
            3 => Err("poison".into()),
            _ => Ok(()),
        }
    }
}

/// Whether the passing reason has passed.
#[derive(Clone, Default)]
struct Busy(Arc<AtomicBool>);

/// Exactly one event has all of these.
fn once(collector: &Collector, parts: &[&str]) {
    let events = collector.with(parts);
    assert_eq!(events.len(), 1, "{parts:?}: {events:#?} of {:#?}", collector.with(&[]));
}

#[tokio::test]
async fn every_change_of_a_run_and_its_batches_is_told_with_their_numbers() {
    let (collector, _guard) = Collector::start();
    let database = Database::with_items(30).await;
    let drip = database.builder().state(Busy::default()).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(Mixed).await.unwrap();
    assert_eq!(drip.wait(run.id).await.unwrap().status, RunStatus::Failed);
    drip.retry_failed_batches(run.id).await.unwrap();
    drip.wait(run.id).await.unwrap();
    worker.shutdown().await;

    once(&collector, &["INFO a run was asked for", " run=1 ", " status=enqueued "]);
    let taken = collector.with(&["INFO the run starts", " run=1 "]);
    assert_eq!(taken.len(), 2, "by its first planner, and after the retry: {taken:#?}");
    once(&collector, &["DEBUG batches are planned", " in plan: run=1 ", " first=1 ", " last=3 "]);
    for (batch, claims) in [(" batch=1 ", 1), (" batch=2 ", 2), (" batch=3 ", 2)] {
        let claimed = collector.with(&["DEBUG a batch is claimed", " run=1 ", batch, " epoch="]);
        assert_eq!(claimed.len(), claims, "{batch}: {claimed:#?}");
    }
    once(&collector, &["INFO the batch is committed", " run=1 ", " batch=1 ", " processed=10 "]);
    once(&collector, &["INFO the batch is committed", " run=1 ", " batch=2 "]);
    once(&collector, &["WARN the batch is tried again", " run=1 ", " batch=2 ", "the other side is busy"]);
    let failed = collector.with(&["ERROR the batch failed", " run=1 ", " batch=3 ", "poison"]);
    assert_eq!(failed.len(), 2, "{failed:#?}");
    let settled = collector.with(&["INFO the run is settled", " run=1 ", " status=failed "]);
    assert_eq!(settled.len(), 2, "{settled:#?}");
    once(&collector, &["INFO a person changed a run", " run=1 ", " from=failed ", " to=enqueued "]);
    once(&collector, &["DEBUG batches changed with their run", " run=1 ", " status=pending ", " batches=\"[3]\" "]);
}

#[tokio::test]
async fn a_batch_that_is_given_back_and_one_that_is_taken_over_are_told_with_their_numbers() {
    let (collector, _guard) = Collector::start();
    let database = Database::with_items(10).await;
    let drip = database.builder().state(Busy::default()).lease(Duration::from_millis(300)).build().await.unwrap();
    let run = drip.enqueue(Mixed).await.unwrap();
    let worker = drip.start();
    drip.wait(run.id).await.unwrap();
    worker.shutdown().await;
    // As if a process had planned the run over another table, claimed its batch and died, and another one were still there.
    database
        .run(
            "UPDATE data_drip_backfill_runs SET status = 'running', finished_at = NULL, processed = NULL, active_key = 'x',
                key_spec = replace(key_spec, 'items', 'things');
             UPDATE data_drip_backfill_run_batches
             SET status = 'running', worker = 'dead', processed = NULL, finished_at = NULL;
             UPDATE items SET done = NULL;
             INSERT INTO data_drip_workers VALUES ('other', 'host', 1, '0.1.0', 1, '[]', 1, 0, 0, 9000000000000)",
        )
        .await;
    let worker = drip.start();
    let given_back = ["DEBUG the batch is given back unworked", " run=1 ", " batch=1 ", " status=pending "];
    until(async || (!collector.with(&given_back).is_empty()).then_some(())).await;
    worker.shutdown().await;
    once(&collector, &given_back);
    let mended = "UPDATE data_drip_backfill_runs SET key_spec = replace(key_spec, 'things', 'items')";
    database.run(mended).await;
    let worker = drip.start();
    assert_eq!(drip.wait(run.id).await.unwrap().counts.processed, 10);
    worker.shutdown().await;
    once(&collector, &["WARN a worker is dead", " worker=\"dead\" ", " batches=1 "]);
    once(&collector, &["WARN a batch of a dead worker", " run=1 ", " batch=1 ", " status=pending "]);
}
