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
    if weather::without_utc_time(pool).await? == 0 {
        println!("\nEvery observation has its UTC time: there is nothing to compute.");
    }
    let mut ended = go_on(drip).await?;
    for ambiguous in [AmbiguousHours::Reject, CHOICE] {
        let was_asked = ended.iter().any(|run| asked(run) == Some(ambiguous));
        if was_asked || weather::without_utc_time(pool).await? == 0 {
            continue;
        }
        let by = Backfiller::new("quickstart", "The quickstart");
        match drip.enqueue(ComputeUtcTime { ambiguous }).by(&by).await {
            Ok(run) => ended.push(follow(drip, &run).await?),
            // The same run waits or is paused since an earlier start: that is for a person to decide.
            Err(error) if error.kind() == ErrorKind::Conflict => println!("\nNot started: {error}"),
            Err(error) => return Err(error.into()),
        }
    }
    let last = ended.iter().rfind(|run| run.status == RunStatus::Completed);
    Ok(last.and_then(asked).filter(|choice| *choice != AmbiguousHours::Reject))
}

/// Follows the runs that an earlier start was interrupted in: the worker has taken them up by itself.
async fn go_on(drip: &DataDrip) -> anyhow::Result<Vec<Run>> {
    let mut runs = drip.runs().backfill(ComputeUtcTime::NAME).await?;
    runs.retain(|run| matches!(run.status, RunStatus::Enqueued | RunStatus::Running));
    let mut ended = Vec::new();
    for run in runs {
        // Nobody takes a batch from a worker before its lease has run out.
        println!(
            "\nAn earlier start was interrupted: its run goes on, within half a minute if the program was killed."
        );
        ended.push(follow(drip, &run).await?);
    }
    Ok(ended)
}

/// What a run was told to do with ambiguous hours.
fn asked(run: &Run) -> Option<AmbiguousHours> {
    AmbiguousHours::from_value(run.options.get("ambiguous")?.as_str()?)
}

/// Shows a run's progress until it has ended, then what came of it.
async fn follow(drip: &DataDrip, run: &Run) -> anyhow::Result<Run> {
    let ambiguous = asked(run).map_or("?", |choice| choice.value());
    println!("\nRun {}: {}, ambiguous hours: {ambiguous}", run.id, run.backfill);
    let mut line = ProgressLine::new();
    let run = tokio::select! {
        run = drip.wait(run.id) => run?,
        error = show(drip, run, &mut line) => return Err(error.into()),
    };
    line.finish(&run);
    tell(drip, &run).await?;
    Ok(run)
}

/// Shows the progress again and again; ends with an error only.
async fn show(drip: &DataDrip, run: &Run, line: &mut ProgressLine) -> data_drip::Error {
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    loop {
        tick.tick().await;
        match drip.run(run.id).await {
            Ok(run) => line.show(&run.progress()),
            Err(error) => return error,
        }
    }
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
