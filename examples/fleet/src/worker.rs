//! A process that executes backfills and does nothing else. There can be any number of them, on any number of machines.

use std::path::Path;

use data_drip::postgres::prelude::DataDrip;

use crate::{process, weather};

/// Works until it is asked to end.
///
/// # Errors
/// When the set-up has a mistake, or the database does not answer.
pub(crate) async fn run(database: &Path) -> anyhow::Result<()> {
    let drip = DataDrip::builder(weather::pool(database)).slots(2).require_backfills().build().await?;
    let worker = drip.start();
    process::asked_to_end().await;
    // Batches in flight finish, or are rolled back after the grace period; what is held is given back.
    worker.shutdown().await;
    Ok(())
}
