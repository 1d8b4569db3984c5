//! One run of a backfill in this process, timed as its user meets it: from enqueueing until the run is settled.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use data_drip::backend::Backend;
use data_drip::{Backfill, DataDrip, Handler, Run, RunBatch, RunStatus};

/// More than the worker takes from its start to its first heartbeat, before which it claims nothing.
pub(crate) const WARM_UP: Duration = Duration::from_millis(250);

/// What one run took.
pub(crate) struct Outcome {
    pub(crate) batches: u64,
    pub(crate) begun: Instant,
    pub(crate) elapsed: Duration,
}

/// Remembers when the first batch was committed, as a hook is told of it.
#[derive(Clone, Default)]
pub(crate) struct First(Arc<OnceLock<Instant>>);

impl First {
    pub(crate) fn after(&self, outcome: &Outcome) -> Option<Duration> {
        Some(self.0.get()?.saturating_duration_since(outcome.begun))
    }
}

impl Handler for First {
    async fn on_batch_completed(&self, _: &Run, _: &RunBatch) -> data_drip::Result {
        self.0.get_or_init(Instant::now);
        Ok(())
    }
}

/// Runs it to the end, and checks that it has done everything: `rows` of them.
pub(crate) async fn run<T: Backfill>(
    drip: &DataDrip<T::Database>,
    backfill: T,
    batch_size: u64,
    rows: u64,
) -> Result<Outcome>
where
    T::Database: Backend,
{
    let worker = drip.start();
    tokio::time::sleep(WARM_UP).await;
    let begun = Instant::now();
    let run = drip.enqueue(backfill).batch_size(batch_size).await?;
    let run = drip.wait(run.id).await?;
    let elapsed = begun.elapsed();
    worker.shutdown().await;
    check(&run, rows)?;
    Ok(Outcome { batches: run.counts.completed, begun, elapsed })
}

pub(crate) fn check(run: &Run, rows: u64) -> Result<()> {
    ensure!(run.status == RunStatus::Completed, "the run is {}: {:?}", run.status, run.error);
    ensure!(run.counts.processed == rows, "{} of {rows} rows are processed", run.counts.processed);
    Ok(())
}
