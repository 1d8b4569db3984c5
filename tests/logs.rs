//! What user code says while it works on a batch, and how its errors are kept: over a real database and worker.

#![cfg(all(feature = "sqlite", feature = "logs"))]
#![allow(clippy::unused_self, reason = "a scope takes `&self`, needed or not")]

mod support;

use data_drip::sqlite::prelude::*;
use data_drip::{BatchStatus, LogLevel, LogLine, RunStatus};
use support::Database;
use tracing::Instrument;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

/// Says things, and fails where it is told to.
#[backfill(batch_size = 10)]
struct Talk {
    #[option(default = 0)]
    fail_at: i64,
    #[option(default = false)]
    panic: bool,
    #[option(default = 1)]
    times: u32,
    #[option(masked)]
    token: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("no zone for item {0}")]
struct NoZone(i64, #[source] std::num::ParseIntError);

#[backfill]
impl Talk {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_element(&self, row: (i64,), conn: &mut Connection) -> data_drip::Result {
        let (id,) = row;
        for time in 0..self.times {
            tracing::info!(item = id, time, token = self.token, half = 0.5, "an item \u{0}<b>");
        }
        tracing::debug!("too detailed");
        async { tracing::warn!(target: "zones", "from {}", "another task") }
            .instrument(tracing::info_span!("work", id))
            .await;
        if id == 1 {
            let spawned = async { tracing::info!("spawned") }.instrument(tracing::info_span!("spawned"));
            tokio::spawn(spawned).await?;
        }
        sqlx::query("UPDATE items SET times = times + 1 WHERE id = ?").bind(id).execute(conn).await?;
        if id == self.fail_at {
            assert!(!self.panic, "item {id} with {:?}", self.token);
            return Err(NoZone(id, "x".parse::<i64>().unwrap_err()).into());
        }
        Ok(())
    }
}

fn talk() -> Talk {
    Talk { fail_at: 0, panic: false, times: 1, token: None }
}

/// A host's own layers print nothing below errors: that is theirs.
fn listening() -> DefaultGuard {
    let printed = tracing_subscriber::fmt::layer().with_test_writer().with_filter(LevelFilter::ERROR);
    tracing_subscriber::registry().with(printed).with(data_drip::logs::layer()).set_default()
}

async fn run(database: &Database, backfill: Talk) -> (DataDrip, Run) {
    let drip = database.drip().await;
    let worker = drip.start();
    let run = drip.enqueue(backfill).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    // What was said is written by the time the worker has ended.
    worker.shutdown().await;
    (drip, run)
}

fn messages(lines: &[LogLine]) -> Vec<&str> {
    lines.iter().map(|line| line.message.as_str()).collect()
}

#[tokio::test]
async fn what_a_batch_says_is_kept_with_level_time_message_and_fields() {
    let _listening = listening();
    let database = Database::with_items(2).await;
    let before = chrono::Utc::now();
    let (drip, run) = run(&database, talk()).await;
    let lines = drip.logs(run.id).await.unwrap();
    assert_eq!(
        messages(&lines),
        ["an item \u{2400}<b>", "from another task", "spawned", "an item \u{2400}<b>", "from another task"]
    );
    let first = &lines[0];
    assert_eq!((first.level, first.target.as_str(), first.position), (LogLevel::Info, "logs", 1));
    assert_eq!(serde_json::to_value(&first.fields).unwrap(), serde_json::json!({ "item": 1, "time": 0, "half": 0.5 }));
    assert!(first.at >= before - chrono::TimeDelta::milliseconds(1) && first.at <= chrono::Utc::now());
    assert_eq!((lines[1].level, lines[1].target.as_str()), (LogLevel::Warn, "zones"));
    let totals = drip.log_totals(run.id).await.unwrap();
    assert_eq!((totals.kept, totals.dropped), (5, 0));
}

#[tokio::test]
async fn what_a_failed_batch_said_is_kept_although_its_rows_are_not() {
    let _listening = listening();
    let database = Database::with_items(20).await;
    let (drip, run) = run(&database, Talk { fail_at: 12, ..talk() }).await;
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(database.int("SELECT count(*) FROM items WHERE id > 10 AND times > 0").await, 0);
    let failed = drip.batches(run.id).status(BatchStatus::Failed).await.unwrap().pop().unwrap();
    let lines = drip.logs(run.id).batch(failed.id).await.unwrap();
    let items: Vec<_> = lines.iter().filter_map(|line| line.fields.get("item")).collect();
    assert_eq!(items, [11, 12]);
    let report = failed.report().unwrap();
    assert_eq!(report.message, "row with key 12: no zone for item 12");
    assert_eq!(report.causes, ["invalid digit found in string"]);
}

#[tokio::test]
async fn lines_are_read_by_level_and_page_by_page_in_both_directions() {
    let _listening = listening();
    let database = Database::with_items(30).await;
    let (drip, run) = run(&database, talk()).await;
    let warnings = drip.logs(run.id).level(LogLevel::Warn).await.unwrap();
    assert_eq!(warnings.len(), 30);
    let (mut forwards, mut after) = (Vec::new(), None);
    loop {
        let mut query = drip.logs(run.id).limit(7);
        if let Some(after) = after {
            query = query.after(after);
        }
        let page = query.await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        forwards.extend(page);
    }
    assert_eq!(forwards.len(), 61);
    let mut backwards = drip.logs(run.id).newest_first().limit(1_000).await.unwrap();
    backwards.reverse();
    assert_eq!(forwards, backwards);
    let newest = drip.logs(run.id).newest_first().before(forwards[5].id).limit(2).await.unwrap();
    assert_eq!(newest, [forwards[4].clone(), forwards[3].clone()]);
}

#[tokio::test]
async fn too_many_lines_are_dropped_and_counted() {
    let _listening = listening();
    let database = Database::with_items(10).await;
    let (drip, run) = run(&database, Talk { times: 100, ..talk() }).await;
    let lines = drip.logs(run.id).limit(10_000).await.unwrap();
    let totals = drip.log_totals(run.id).await.unwrap();
    assert_eq!(lines.len() as u64, totals.kept);
    // 1,011 lines were said; one of those kept stands for the rest.
    assert_eq!(totals.kept - 1 + totals.dropped, 1_011);
    assert!(lines.iter().any(|line| line.dropped == totals.dropped));
}

#[tokio::test]
async fn a_panic_keeps_its_place_and_masked_options_stay_out_of_lines_and_errors() {
    let _listening = listening();
    let database = Database::with_items(10).await;
    let token = Some("s3cret".to_owned());
    let (drip, run) = run(&database, Talk { fail_at: 3, panic: true, token, ..talk() }).await;
    let failed = drip.batches(run.id).status(BatchStatus::Failed).await.unwrap().pop().unwrap();
    let report = failed.report().unwrap();
    assert_eq!(report.message, "panicked: item 3 with Some(\"•••\")");
    assert!(report.place.unwrap().starts_with("tests/logs.rs:"));
    let lines = drip.logs(run.id).await.unwrap();
    assert_eq!(lines[0].fields["token"], "•••");
}

#[tokio::test]
async fn lines_are_deleted_with_their_run() {
    let _listening = listening();
    let database = Database::with_items(5).await;
    let (drip, run) = run(&database, talk()).await;
    drip.delete(run.id).await.unwrap();
    assert_eq!(database.int("SELECT count(*) FROM data_drip_run_logs").await, 0);
    assert_eq!(database.int("SELECT count(*) FROM data_drip_run_log_totals").await, 0);
}

#[tokio::test]
async fn nothing_is_kept_and_nothing_written_without_the_layer() {
    let database = Database::with_items(5).await;
    let (drip, run) = run(&database, talk()).await;
    assert_eq!(run.status, RunStatus::Completed);
    assert!(drip.logs(run.id).await.unwrap().is_empty());
    assert_eq!(database.int("SELECT count(*) FROM data_drip_run_log_totals").await, 0);
}
