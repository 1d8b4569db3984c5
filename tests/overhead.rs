//! What the engine costs beside the user's own work, counted where the database writes it down.

mod support;

use std::path::Path;
use std::time::Duration;

use data_drip::RunStatus;
use data_drip::sqlite::prelude::*;
use sqlx::sqlite::SqlitePoolOptions;
use support::Database;

/// Marks items as done, in one statement a batch.
#[backfill(batch_size = 1)]
struct MarkDone;

#[backfill]
impl MarkDone {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("done").is_null())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("done", 1).execute().await?;
        Ok(())
    }
}

/// Commits in a write-ahead log that was never reset: frames that name the size of the database after them.
///
/// Format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.
fn commits(database: &Path) -> usize {
    const HEADER: usize = 32;
    const FRAME_HEADER: usize = 24;
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    let log = std::fs::read(name).unwrap();
    let page = usize::try_from(u32::from_be_bytes(log[8..12].try_into().unwrap())).unwrap();
    log[HEADER..].chunks_exact(FRAME_HEADER + page).filter(|frame| frame[4..8] != [0; 4]).count()
}

/// Taking the role and giving it back, `before_run`, the frozen key, the count, the worker's row and settling; and steps
/// of the plan that double from four batches on, each with a claim of its own where the slot was there first. How many
/// those are depends on the machine; it is far from one a batch.
const PLANNING: usize = BATCHES / 4;
const BATCHES: usize = 400;

#[tokio::test]
async fn promise_4_each_batch_costs_one_commit() {
    let database = Database::with_items(u32::try_from(BATCHES).unwrap()).await;
    // From here on nothing is moved out of the log, so that every commit can be found in it.
    database.run("PRAGMA wal_checkpoint(TRUNCATE)").await;
    let options = (*database.pool.connect_options()).clone().pragma("wal_autocheckpoint", "0");
    let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await.unwrap();
    // One beat for the whole run.
    let drip = DataDrip::builder(pool).lease(Duration::from_mins(10)).build().await.unwrap();
    let run = drip.enqueue(MarkDone).await.unwrap();
    let before = commits(&database.path());
    let worker = drip.start();
    let run = drip.wait(run.id).await.unwrap();
    worker.shutdown().await;
    let commits = commits(&database.path()) - before;
    assert_eq!((run.status, run.counts.batches), (RunStatus::Completed, BATCHES as u64));
    assert!((BATCHES..=BATCHES + PLANNING).contains(&commits), "{commits} commits for {BATCHES} batches");
}
