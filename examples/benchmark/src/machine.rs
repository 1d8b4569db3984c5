//! Where and when it was measured.

use anyhow::Result;
use sqlx::{Connection, SqliteConnection};

use crate::database::SETTINGS;

pub(crate) async fn description() -> Result<String> {
    let mut conn = SqliteConnection::connect("sqlite::memory:").await?;
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut conn).await?;
    description_with(&format!("SQLite {version} ({SETTINGS})")).await
}

/// The same, with another database.
pub(crate) async fn description_with(database: &str) -> Result<String> {
    let mut conn = SqliteConnection::connect("sqlite::memory:").await?;
    let now: String = sqlx::query_scalar("SELECT strftime('%Y-%m-%d %H:%M UTC', 'now')").fetch_one(&mut conn).await?;
    Ok(format!(
        "{now}, {} cores ({}), {} memory, {}, {database}, load average at the start: {}.",
        std::thread::available_parallelism()?,
        field("/proc/cpuinfo", "model name"),
        memory(),
        std::env::consts::OS,
        load(),
    ))
}

pub(crate) fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").ok();
    let minutes: Option<Vec<&str>> = load.as_deref().map(|load| load.split_whitespace().take(3).collect());
    minutes.map_or_else(unknown, |minutes| minutes.join(" "))
}

/// The most memory that this process has held at once, in KiB.
pub(crate) fn peak_memory() -> Option<u64> {
    field("/proc/self/status", "VmHWM").strip_suffix(" kB")?.trim().parse().ok()
}

/// The memory that this process holds now, in KiB.
pub(crate) fn held_memory() -> Option<u64> {
    field("/proc/self/status", "VmRSS").strip_suffix(" kB")?.trim().parse().ok()
}

/// The processor's time that this process has had so far.
pub(crate) fn processor_time() -> Option<std::time::Duration> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let told = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        told.split_whitespace().next()?.parse::<u64>().ok()
    });
    Some(std::time::Duration::from_nanos(nanoseconds.sum()))
}

fn memory() -> String {
    let kib = field("/proc/meminfo", "MemTotal");
    kib.strip_suffix(" kB").and_then(|kib| kib.parse::<u64>().ok()).map_or_else(unknown, |kib| {
        // Rounded: the kernel keeps some for itself.
        format!("{} GiB", (kib + (1 << 19)) >> 20)
    })
}

/// The first `name : value` of a file in `/proc`.
fn field(file: &str, name: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name);
    value.map_or_else(unknown, |(_, value)| value.trim().to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}
