//! Starts runs from code, follows them in the terminal, and says what came of them.

use std::time::Duration;

use data_drip::options::{OptionEnum, Options};
use data_drip::sqlite::prelude::DataDrip;
use data_drip::{Backfiller, BatchStatus, ErrorKind, Run, RunStatus};
use sqlx::SqlitePool;

use crate::backfills::{AmbiguousHours, ComputeUtcTime};
use crate::check::check;
use crate::terminal::{ProgressLine, thousands};
use crate::weather;

/// What the second run is told; of each two rows with the same local hour it is right about one.
const CHOICE: AmbiguousHours = AmbiguousHours::Earlier;

/// Computes the UTC time of every observation: first rejecting the hours that cannot be told, then choosing.
///
/// Tells which choice was made, if it was made now: at a second start there is nothing left to do.
///
/// # Errors
/// From the database.
pub async fn compute(drip: &DataDrip, pool: &SqlitePool) -> anyhow::Result<Option<AmbiguousHours>> {
    go_on(drip).await?;
    let mut chosen = None;
    if weather::without_utc_time(pool).await? == 0 {
        println!("\nEvery observation has its UTC time: there is nothing to compute.");
    }
    for ambiguous in [AmbiguousHours::Reject, CHOICE] {
        if weather::without_utc_time(pool).await? == 0 {
            break;
        }
        let you = Backfiller::new("quickstart", "The quickstart");
        match drip.enqueue(ComputeUtcTime { ambiguous }).by(&you).await {
            Ok(run) => {
                let run = follow(drip, &run).await?;
                if run.status == RunStatus::Completed {
                    chosen = Some(ambiguous);
                }
            }
            // The same run waits or is paused, from an earlier start: that is for a person to decide.
            Err(error) if error.kind() == ErrorKind::Conflict => println!("\nNot started: {error}"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(chosen)
}

/// Follows runs that an earlier start was interrupted in: the worker has taken them up by itself.
async fn go_on(drip: &DataDrip) -> anyhow::Result<()> {
    let mut runs = drip.runs().backfill(ComputeUtcTime::NAME).await?;
    runs.retain(|run| matches!(run.status, RunStatus::Enqueued | RunStatus::Running));
    for run in &runs {
        follow(drip, run).await?;
    }
    Ok(())
}

/// Shows a run's progress until it has ended, then what came of it.
async fn follow(drip: &DataDrip, run: &Run) -> anyhow::Result<Run> {
    let ambiguous = run.options.get("ambiguous").and_then(|value| value.as_str()).unwrap_or_default();
    println!("\nRun {}: {}, ambiguous hours: {ambiguous}", run.id, run.backfill);
    let mut line = ProgressLine::new();
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    let ended = drip.wait(run.id);
    tokio::pin!(ended);
    let run = loop {
        tokio::select! {
            run = &mut ended => break run?,
            _ = tick.tick() => line.show(&drip.run(run.id).await?.progress()),
        }
    };
    line.finish(&run);
    tell(drip, &run).await?;
    Ok(run)
}

async fn tell(drip: &DataDrip, run: &Run) -> anyhow::Result<()> {
    println!("  {}: {} of {} batches done", run.status, run.counts.completed, run.counts.batches);
    if let Some(error) = &run.error {
        println!("  {error}");
    }
    for batch in drip.batches(run.id).status(BatchStatus::Failed).await? {
        println!("  batch {} failed: {}", batch.position, batch.error.unwrap_or_default());
    }
    if run.counts.failed > 0 {
        println!("  A failed batch leaves its rows as they were: they are there for another run.");
    }
    Ok(())
}

/// Compares every row with the published hour and prints what was found; tells whether it is as it has to be.
///
/// # Errors
/// From the database.
pub async fn verify(pool: &SqlitePool, choice: Option<AmbiguousHours>) -> anyhow::Result<bool> {
    let report = check(pool).await?;
    println!("\nCheck: the computed time against the published one, row by row");
    println!("  equal      {:>6}", thousands(report.equal));
    println!("  different  {:>6}", thousands(report.different.len()));
    if report.missing > 0 {
        println!("  missing    {:>6}", thousands(report.missing));
    }
    for row in report.different.iter().take(10) {
        println!("    {row}");
    }
    if report.different.len() > 10 {
        println!("    and {} more", thousands(report.different.len() - 10));
    }
    let faults = report.faults(choice);
    if let (true, Some(choice)) = (faults.is_empty(), report.chosen()) {
        println!(
            "  As it has to be: {} rows have an hour that came twice, which the local time cannot tell; `{}` is right for {}.",
            report.ambiguous.len(),
            choice.value(),
            report.ambiguous.len() - report.different.len()
        );
    }
    for fault in &faults {
        println!("  Wrong: {fault}.");
    }
    Ok(faults.is_empty())
}
