//! Measurements that need a process of their own: its peak memory, and a subscriber that slows it down.
//!
//! The parent runs itself again, and reads what the child prints.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use data_drip::sqlite::prelude::DataDrip;
use sqlx::{Sqlite, SqlitePool};
use tokio::process::Command;

use crate::backfills::AddRole;
use crate::database::{open, options};
use crate::server::idle::{BEFORE, WINDOW};
use crate::statements::{Figures, Statement, Statements};
use crate::{engine, machine};

pub(crate) const FLAG: &str = "--child";
const BATCH_SIZE: u64 = 1_000;

/// What a run in a process of its own took.
pub(crate) struct First {
    pub(crate) committed_secs: f64,
    pub(crate) whole_secs: f64,
    pub(crate) peak_mib: f64,
}

/// What a run did whose statements were collected.
pub(crate) struct Told {
    pub(crate) batches: u64,
    /// Write transactions, of the whole run.
    pub(crate) commits: u64,
    pub(crate) whole: Duration,
    pub(crate) statements: Vec<(Statement, Figures)>,
}

pub(crate) async fn first(file: &Path, rows: u64) -> Result<First> {
    let told = spawn("first", file, rows).await?;
    let [committed_secs, whole_secs, peak_mib] = numbers(told.trim())?;
    Ok(First { committed_secs, whole_secs, peak_mib })
}

pub(crate) async fn statements(file: &Path, rows: u64) -> Result<Told> {
    let told = spawn("statements", file, rows).await?;
    let mut lines = told.lines();
    let [batches, commits] = numbers(lines.next().unwrap_or_default())?;
    let [whole] = numbers(lines.next().unwrap_or_default())?;
    let statements = lines.map(|line| {
        let parts: Vec<_> = line.splitn(5, '\t').collect();
        let [in_batch, count, total, longest, sql] = parts[..] else { bail!("unexpected answer: {line}") };
        let statement = Statement { in_batch: in_batch.parse()?, sql: sql.to_owned() };
        let [total, longest] = [seconds(total)?, seconds(longest)?];
        Ok((statement, Figures { count: count.parse()?, total, longest }))
    });
    let statements = statements.collect::<Result<_>>()?;
    Ok(Told { batches, commits, whole: Duration::from_secs_f64(whole), statements })
}

fn seconds(text: &str) -> Result<Duration> {
    Ok(Duration::from_secs_f64(text.parse()?))
}

fn numbers<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>, const N: usize>(
    line: &str,
) -> Result<[T; N]> {
    let numbers = line.split(' ').map(str::parse).collect::<Result<Vec<T>, _>>();
    let numbers = numbers.with_context(|| format!("unexpected answer: {line}"))?;
    numbers.try_into().ok().with_context(|| format!("unexpected answer: {line}"))
}

async fn spawn(what: &str, file: &Path, rows: u64) -> Result<String> {
    let output = Command::new(std::env::current_exe()?)
        .args([FLAG, what])
        .arg(file)
        .arg(rows.to_string())
        .stderr(Stdio::inherit())
        .output()
        .await?;
    ensure!(output.status.success(), "the child ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// The child's side.
pub(crate) async fn run(arguments: &[String]) -> Result<()> {
    let [what, file, rows] = arguments else { bail!("{FLAG} takes what to do, a file and a number of rows") };
    let (file, rows) = (Path::new(file), rows.parse()?);
    match what.as_str() {
        "first" => tell_first(file, rows).await,
        "statements" => tell_statements(file, rows).await,
        "idle" => tell_idle(file).await,
        other => bail!("{FLAG} cannot do `{other}`"),
    }
}

async fn tell_first(file: &Path, rows: u64) -> Result<()> {
    let hook = engine::First::default();
    let drip = DataDrip::builder(open(file).await?).with::<AddRole<Sqlite>>().handler(hook.clone()).build().await?;
    let outcome = engine::run(&drip, AddRole::default(), BATCH_SIZE, rows).await?;
    let first = hook.after(&outcome).context("no hook was told of a batch")?;
    #[expect(clippy::cast_precision_loss, reason = "a size to be shown")]
    let peak = machine::peak_memory().map_or(f64::NAN, |kib| kib as f64 / 1_024.0);
    println!("{} {} {peak}", first.as_secs_f64(), outcome.elapsed.as_secs_f64());
    Ok(())
}

async fn tell_statements(file: &Path, rows: u64) -> Result<()> {
    // Nothing is moved out of the write-ahead log, so that every commit can be found in it.
    let pool = SqlitePool::connect_with(options(file).pragma("wal_autocheckpoint", "0")).await?;
    let drip = DataDrip::builder(pool.clone()).with::<AddRole<Sqlite>>().build().await?;
    let before = commits(file)?;
    let statements = Statements::collect();
    let outcome = engine::run(&drip, AddRole::default(), BATCH_SIZE, rows).await?;
    println!("{} {}", outcome.batches, commits(file)? - before);
    println!("{}", outcome.elapsed.as_secs_f64());
    for (Statement { in_batch, sql }, Figures { count, total, longest }) in statements.all() {
        println!("{in_batch}\t{count}\t{}\t{}\t{sql}", total.as_secs_f64(), longest.as_secs_f64());
    }
    pool.close().await;
    Ok(())
}

/// How many statements a worker asks in a minute that has nothing to do.
pub(crate) async fn idle(file: &Path) -> Result<u64> {
    let [asked] = numbers(spawn("idle", file, 0).await?.trim())?;
    Ok(asked)
}

async fn tell_idle(file: &Path) -> Result<()> {
    let drip = DataDrip::builder(open(file).await?).with::<AddRole<Sqlite>>().build().await?;
    let statements = Statements::collect();
    let worker = drip.start();
    tokio::time::sleep(BEFORE).await;
    let before = statements.count();
    tokio::time::sleep(WINDOW).await;
    println!("{}", (statements.count() - before) * 60 / WINDOW.as_secs());
    worker.shutdown().await;
    Ok(())
}

/// Commits in a write-ahead log that was never reset: frames that name the size of the database after them.
///
/// Format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.
fn commits(file: &Path) -> Result<u64> {
    const HEADER: usize = 32;
    const FRAME_HEADER: usize = 24;
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    let log = std::fs::read(name)?;
    let number = |at: usize| Some(u32::from_be_bytes(log.get(at..at + 4)?.try_into().ok()?));
    let page = usize::try_from(number(8).context("an empty write-ahead log")?)?;
    let frames = log[HEADER..].chunks_exact(FRAME_HEADER + page);
    Ok(frames.filter(|frame| frame[4..8] != [0; 4]).count() as u64)
}
