//! `.from_env()`: what operators set, read by a process of its own, since tests share theirs.
#![cfg(feature = "sqlite")]

use std::process::Command;

use data_drip::sqlite::prelude::*;
use sqlx::sqlite::SqlitePoolOptions;

const ASKED: &str = "DATA_DRIP_TEST_ENVIRONMENT";

/// Says nothing itself about batches.
#[backfill]
struct Plain;

#[backfill]
impl Plain {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.delete_all().execute().await?;
        Ok(())
    }
}

/// Not a test by itself: the process that [`started_with`] starts.
#[tokio::test]
async fn child_process() {
    if std::env::var_os(ASKED).is_none() {
        return;
    }
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    match DataDrip::builder(pool).share_pool().batch_size(10).from_env().build().await {
        Ok(drip) => {
            let plain = drip.backfill("plain").map(|info| drip.defaults(info));
            println!("started: {plain:?}");
        }
        Err(error) => println!("refused: {:?}: {error}", error.kind()),
    }
}

/// What a process says that starts with these variables.
fn started_with(variables: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["child_process", "--exact", "--nocapture"])
        .env(ASKED, "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_operators_set_wins_over_code() {
    let said = started_with(&[("DATA_DRIP_BATCH_SIZE", "77"), ("DATA_DRIP_SLEEP", "3s")]);
    assert!(said.contains("batch_size: 77, sleep: 3s"), "{said}");
    let said = started_with(&[]);
    assert!(said.contains("batch_size: 10, sleep: 0ns"), "{said}");
}

#[test]
fn bad_values_are_start_up_errors_that_name_variable_and_value() {
    let said = started_with(&[
        ("DATA_DRIP_BATCH_SIZE", "9223372036854775808"),
        ("DATA_DRIP_SLEEP", "48h"),
        ("DATA_DRIP_POLL_INTERVAL", "soon"),
    ]);
    assert!(said.contains("refused: Configuration: "), "{said}");
    for part in ["BATCH_SIZE is `9223372036854775808`", "SLEEP is `48h`", "POLL_INTERVAL is `soon`"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn more_slots_than_the_database_has_writers_are_refused_by_the_variables_name() {
    let said = started_with(&[("DATA_DRIP_CONCURRENCY", "4")]);
    assert!(said.contains("DATA_DRIP_CONCURRENCY is `4`, but SQLite has one writer"), "{said}");
}
