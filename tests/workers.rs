//! Who executes batches, and what each is doing: over a real database and real workers.

#![cfg(feature = "sqlite")]
#![allow(clippy::unused_self, reason = "a scope takes `&self`, needed or not")]

mod support;

use std::sync::Arc;

use data_drip::RunStatus;
use data_drip::sqlite::prelude::*;
use support::{Database, until};
use tokio::sync::Semaphore;

/// Waits in each batch until it may go on.
#[backfill(batch_size = 10, queue = "slow")]
struct Wait {}

#[backfill]
impl Wait {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>, gate: State<Gate>) -> data_drip::Result {
        gate.0.acquire().await?.forget();
        batch.update_all().set("done", 1).execute().await?;
        Ok(())
    }
}

#[derive(Clone)]
struct Gate(Arc<Semaphore>);

#[tokio::test]
async fn a_worker_is_shown_with_what_it_does_and_gone_when_it_has_ended() {
    let database = Database::with_items(25).await;
    let gate = Gate(Arc::new(Semaphore::new(0)));
    let drip = database.builder().state(gate.clone()).queues(["slow", "other"]).build().await.unwrap();
    assert!(drip.workers().await.unwrap().is_empty());
    let worker = drip.start();
    let run = drip.enqueue(Wait {}).await.unwrap();
    let shown = until(async || {
        let workers = drip.workers().await.unwrap();
        workers.into_iter().find(|worker| !worker.claims.is_empty())
    })
    .await;
    assert!(shown.alive);
    assert_eq!((shown.pid, shown.slots, shown.version.as_str()), (std::process::id(), 1, env!("CARGO_PKG_VERSION")));
    assert_eq!(shown.queues, ["slow", "other"]);
    assert!(shown.started_at <= shown.beat_at && shown.beat_at <= shown.read_at);
    let claim = &shown.claims[0];
    assert_eq!((claim.run_id, claim.backfill.as_str(), claim.position), (run.id, "wait", 1));
    gate.0.add_permits(3);
    assert_eq!(drip.wait(run.id).await.unwrap().status, RunStatus::Completed);
    assert!(drip.workers().await.unwrap()[0].claims.is_empty());
    worker.shutdown().await;
    assert!(drip.workers().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_dead_worker_is_shown_as_dead_with_what_it_still_holds_and_forgotten_after_a_day() {
    let database = Database::with_items(25).await;
    let drip = database.builder().state(Gate(Arc::new(Semaphore::new(100)))).build().await.unwrap();
    let run = drip.enqueue(Wait {}).await.unwrap();
    database
        .run(&format!(
            "INSERT INTO data_drip_workers (id, host, pid, version, slots, queues, beat, started_at, beat_at, expires_at)
             SELECT w.id, 'elsewhere', 7, '0.0.1', 4, '[]', 3, now - age - 9000, now - age - 1000, now - age
             FROM (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now),
                 (SELECT 'dead' AS id, 60000 AS age UNION ALL SELECT 'long dead', 86400001) AS w;
             UPDATE data_drip_backfill_runs SET planner = 'dead' WHERE id = {}",
            run.id
        ))
        .await;
    let workers = drip.workers().await.unwrap();
    let shown: Vec<_> = workers.iter().map(|worker| (worker.id.as_str(), worker.alive, worker.plans.len())).collect();
    assert_eq!(shown, [("long dead", false, 0), ("dead", false, 1)]);
    assert_eq!(workers[1].plans[0].run_id, run.id);

    let worker = drip.start();
    assert_eq!(drip.wait(run.id).await.unwrap().status, RunStatus::Completed, "its planning is taken over");
    until(async || {
        let workers = drip.workers().await.unwrap();
        (!workers.iter().any(|worker| worker.id == "long dead")).then_some(())
    })
    .await;
    let workers = drip.workers().await.unwrap();
    assert!(workers[0].alive);
    assert!(workers.iter().any(|worker| worker.id == "dead" && !worker.alive && worker.plans.is_empty()));
    worker.shutdown().await;
}
