//! The engine end to end, written once: each database that takes several writers at a time runs all of it.
//!
//! A test file brings a module `database` (its types, a schema or database for each test, a few statements) and this one.

#[path = "../support/audit.rs"]
pub mod audit;
pub mod backfills;
mod errors;
mod fleet;
pub mod gate;
mod neighbours;
mod previews;
mod runs;
#[path = "../support/stamp.rs"]
pub mod stamp;

use std::time::{Duration, Instant};

use data_drip::{Backfill, Run, RunBatch, RunId};

use self::gate::Gate;
use crate::database::prelude::DataDrip;
use crate::database::{Database, Db};

/// How long anything may take that is to come; far more than it does take.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Looks again and again until there is something.
pub async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "what was waited for did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the run is settled and nothing of it is in flight.
pub async fn settled(drip: &DataDrip, run: RunId) -> Run {
    let Ok(settled) = tokio::time::timeout(PATIENCE, drip.wait(run)).await else {
        panic!("the run is not settled: {:?}", drip.run(run).await)
    };
    settled.unwrap()
}

/// An engine with a gate of its own, as another process would have one.
pub async fn engine(database: &Database, slots: usize) -> (DataDrip, Gate) {
    let gate = Gate::default();
    (database.builder().slots(slots).state(gate.clone()).build().await.unwrap(), gate)
}

/// Runs a backfill with two slots, and gives back what came of it.
pub async fn run_to_its_end<T: Backfill<Database = Db>>(
    database: &Database,
    backfill: T,
    batch_size: u64,
) -> (Run, Vec<RunBatch>) {
    let (drip, _) = engine(database, 2).await;
    let worker = drip.start();
    let run = drip.enqueue(backfill).batch_size(batch_size).await.unwrap();
    let run = settled(&drip, run.id).await;
    worker.shutdown().await;
    let batches = drip.batches(run.id).limit(u32::MAX).await.unwrap();
    (run, batches)
}
