//! Starts the server and the processes, asks for a run, and shows how they share it.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use data_drip::postgres::prelude::DataDrip;
use data_drip::{Backfiller, BatchStatus, Run, RunStatus};
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::backfills::ConvertToMetric;
use crate::server::Server;
use crate::terminal::{Screen, thousands};
use crate::weather;

const WORKERS: usize = 3;

/// How long a process may take to end: longer than the grace period of the batches in flight.
const PATIENCE: Duration = Duration::from_secs(40);

/// Everything, until Ctrl-C; with `once` until the run is over.
///
/// # Errors
/// When something does not start, or a row is not what it should be.
pub(crate) async fn run(once: bool, port: u16) -> anyhow::Result<()> {
    println!("Starting a PostgreSQL server in a temporary folder");
    let server = Server::start().await?;
    let mut fleet = Fleet::default();
    let outcome = tokio::select! {
        outcome = perform(&mut fleet, server.folder(), once, port) => outcome,
        () = interrupted() => {
            println!("\nStopping.");
            Ok(())
        }
    };
    let ended = fleet.end().await;
    let stopped = server.stop().await;
    outcome.and(ended).and(stopped)
}

async fn perform(fleet: &mut Fleet, server: &Path, once: bool, port: u16) -> anyhow::Result<()> {
    let pool = weather::pool(server);
    println!("Loaded {} observations", thousands(weather::load(&pool).await?));
    // The tables are made by whoever comes first.
    let drip = DataDrip::builder(pool.clone()).build().await?;
    let dashboard = fleet.start_web(server, port).await?;
    for _ in 0..WORKERS {
        fleet.start_worker(server)?;
    }
    println!("One web process and {WORKERS} worker processes; the dashboard's workers: {dashboard}/workers\n");
    until_all_are_there(&drip).await?;

    let by = Backfiller::new("fleet", "The example");
    let run = drip.enqueue(ConvertToMetric).by(&by).await?;
    println!("Run {}: {}", run.id, run.backfill);
    let run = follow(&drip, run).await?;
    check(&pool, &run).await?;
    if once {
        return Ok(());
    }
    println!("\nServing {dashboard} (Ctrl-C ends everything)");
    std::future::pending().await
}

/// The run is for all of them.
async fn until_all_are_there(drip: &DataDrip) -> anyhow::Result<()> {
    for _ in 0..600 {
        if drip.workers().await?.iter().filter(|worker| worker.alive).count() == WORKERS {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("the workers do not come")
}

/// Shows the progress per worker until the run is over.
async fn follow(drip: &DataDrip, run: Run) -> anyhow::Result<Run> {
    let mut screen = Screen::new();
    let over = drip.wait(run.id);
    tokio::pin!(over);
    loop {
        tokio::select! {
            over = &mut over => {
                let run = over?;
                screen.show(&progress(drip, &run).await?, true);
                return Ok(run);
            }
            () = tokio::time::sleep(Duration::from_millis(250)) => {
                let run = drip.run(run.id).await?;
                screen.show(&progress(drip, &run).await?, false);
            }
        }
    }
}

/// A line for the run, and one for each worker that has done something.
async fn progress(drip: &DataDrip, run: &Run) -> anyhow::Result<Vec<String>> {
    let total = run.total.map(|total| format!(" of {}", thousands(total.count))).unwrap_or_default();
    let rate = run.throughput.map(|rate| format!(", {rate:.0} rows/s")).unwrap_or_default();
    let mut lines = vec![format!("  {}{total} rows{rate}", thousands(run.counts.processed))];
    let workers = drip.workers().await?;
    let mut done = HashMap::<String, (usize, u64)>::new();
    for batch in drip.batches(run.id).status(BatchStatus::Completed).limit(u32::MAX).await? {
        let (batches, rows) = done.entry(batch.worker.unwrap_or_default()).or_default();
        *batches += 1;
        *rows += batch.processed.unwrap_or(0);
    }
    for worker in workers.iter().filter(|worker| worker.alive || done.contains_key(&worker.id)) {
        let (batches, rows) = done.get(&worker.id).copied().unwrap_or_default();
        let state = if worker.alive { "" } else { "   dead" };
        let (pid, rows) = (worker.pid, thousands(rows));
        lines.push(format!(
            "    worker {pid:<8} {batches:>4} batches {rows:>7} rows, {} at work{state}",
            worker.claims.len()
        ));
    }
    Ok(lines)
}

async fn check(pool: &PgPool, run: &Run) -> anyhow::Result<()> {
    ensure!(
        run.status == RunStatus::Completed,
        "the run is {}: {}",
        run.status,
        run.error.as_deref().unwrap_or("stopped?")
    );
    let wrong = weather::wrong(pool).await?;
    ensure!(wrong == 0, "{wrong} rows are not what they should be");
    println!("  Checked: each row is what it should be.");
    Ok(())
}

/// The processes that were started.
#[derive(Default)]
struct Fleet(Vec<Child>);

impl Fleet {
    fn start_worker(&mut self, server: &Path) -> anyhow::Result<()> {
        self.0.push(this_program().arg("worker").arg(server).spawn()?);
        Ok(())
    }

    /// Gives back where it serves.
    async fn start_web(&mut self, server: &Path, port: u16) -> anyhow::Result<String> {
        let mut web = this_program();
        web.arg("web").arg(server).arg(port.to_string()).stdout(Stdio::piped());
        let mut web = web.spawn()?;
        let says = web.stdout.take().context("its output is piped")?;
        self.0.push(web);
        let address = BufReader::new(says).lines().next_line().await?;
        address.with_context(|| format!("the web process did not start: choose another port than {port} with --port"))
    }

    /// Asks all of them to end, and waits until they have.
    async fn end(self) -> anyhow::Result<()> {
        let mut processes = self.0;
        // The end of their standard input, which they take for a request.
        for process in &mut processes {
            drop(process.stdin.take());
        }
        for mut process in processes {
            match tokio::time::timeout(PATIENCE, process.wait()).await {
                Ok(ended) => drop(ended?),
                Err(_) => process.kill().await?,
            }
        }
        Ok(())
    }
}

fn this_program() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap_or_default());
    // A group of its own: Ctrl-C is for the conductor.
    command.stdin(Stdio::piped()).process_group(0).kill_on_drop(true);
    command
}

/// Resolves at Ctrl-C, or when the system asks the program to end.
async fn interrupted() {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be listened for");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
