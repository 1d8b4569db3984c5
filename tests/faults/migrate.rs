//! The schema changes while a run goes on, and DataDrip's own tables are made while it is asked for.

use std::time::Duration;

use data_drip::RunStatus;
use sqlx::AssertSqlSafe;

use super::backfills::{StampAll, StampEach};
use super::world::{World, shut_down};
use crate::database::{CHANGES_SCHEMA, Database};

const ITEMS: u32 = 2_000;
const CHANGES: u32 = 6;

#[tokio::test]
async fn columns_that_come_and_go_while_the_run_goes_on_cost_no_row() {
    let Some(world) = World::with_items(ITEMS).await else { return };
    let run = world.enqueue(StampEach, 20).await;
    let herd = world.herd(2);
    for change in 0..CHANGES {
        // All within the first half: a test that is late must not find the run completed.
        world.until_processed(i64::from(ITEMS) * i64::from(change) / i64::from(CHANGES * 2)).await;
        alter(&world.database, &format!("ALTER TABLE items ADD COLUMN extra_{change} integer NOT NULL DEFAULT 7"))
            .await;
        if change % 2 == 1 {
            alter(&world.database, &format!("ALTER TABLE items DROP COLUMN extra_{}", change - 1)).await;
        }
        assert!(
            !world.drip.run(run).await.unwrap().status.is_settled(),
            "over before change {change}: nothing is shown"
        );
    }
    let batches = world.completed(run, u64::from(ITEMS)).await;
    assert!(batches.iter().all(|batch| batch.attempts == 0), "no attempt of user code is counted: {batches:?}");
    shut_down(herd).await;
}

/// As a careful migration does it: it waits for the table for a while only, and tries again.
async fn alter(database: &Database, statement: &str) {
    let statement = format!("{CHANGES_SCHEMA}; {statement}");
    herd::eventually("the table is free for a moment", async || {
        let mut conn = database.pool.acquire().await.unwrap();
        let altered = sqlx::raw_sql(AssertSqlSafe(&*statement)).execute(&mut *conn).await;
        conn.close().await.unwrap();
        if altered.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        altered.is_ok()
    })
    .await;
}

#[tokio::test]
async fn processes_that_make_the_tables_at_once_and_a_run_that_is_asked_for_meanwhile_do_no_harm() {
    let Some(database) = Database::with_items(ITEMS).await else { return };
    let folder = herd::Folder::new();
    let start = |name: &str| super::world::worker(&folder, &database, name).start();
    let mut herd: Vec<_> = ["a", "b"].map(start).into();
    // Migrates as well, or finds it done.
    let drip = database.builder().build().await.unwrap();
    let run = drip.enqueue(StampAll { linger_ms: 2, tag: 0 }).batch_size(20).await.unwrap();
    herd.extend(["c", "d"].map(start));
    let world = World { drip, folder: herd::Folder::new(), database };
    let settled = world.settled(run.id).await;
    assert_eq!((settled.status, settled.counts.processed), (RunStatus::Completed, u64::from(ITEMS)));
    world.audit(run.id).await;
    shut_down(herd).await;
    let twice =
        "SELECT count(*) FROM (SELECT version FROM data_drip_migrations GROUP BY version HAVING count(*) > 1) AS v";
    assert_eq!(world.database.number(twice).await, 0);
}
