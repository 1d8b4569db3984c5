//! Looking at what a run would do, before it is asked for: over a real database, with nothing written.

#![cfg(feature = "sqlite")]
#![allow(clippy::unused_self, reason = "a scope takes `&self`, needed or not")]

mod support;

use std::future::IntoFuture;

use data_drip::ErrorKind;
use data_drip::sqlite::prelude::*;
use serde_json::json;
use sqlx::sqlite::SqlitePoolOptions;
use support::Database;

/// Marks items as done.
#[backfill(batch_size = 10)]
struct Finish {
    #[option(default = "item 1")]
    not: String,
    #[option(choices = writes)]
    chosen: Option<String>,
}

/// Choices are user code, and a look is a look for them as well.
async fn writes(conn: &mut Connection) -> data_drip::Result<Vec<String>> {
    sqlx::query("UPDATE items SET times = times + 1").execute(conn).await?;
    Ok(Vec::new())
}

#[backfill]
impl Finish {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("done").is_null()).filter(col("name").ne(&self.not))
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("done", 1).execute().await?;
        Ok(())
    }
}

fn finish() -> Finish {
    Finish { not: "item 1".into(), chosen: None }
}

/// Has an option that nobody may see, and looks for rows by it.
#[backfill]
struct Hidden {
    #[option(masked)]
    secret: String,
}

#[backfill]
impl Hidden {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("name").eq(&self.secret))
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) {
        let _ = batch;
    }
}

/// Goes over a table with an odd name, odd columns and a key of two.
#[backfill]
struct Odd {}

#[backfill]
impl Odd {
    fn scope(&self) -> Scope {
        Scope::table("od\"d")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) {
        let _ = batch;
    }
}

/// Filters by a function that takes its time over every row.
#[backfill(batch_size = 7)]
struct Slow {}

#[backfill]
impl Slow {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(data_drip::scope::Filter::from(sea_query::Expr::cust(
            "(WITH RECURSIVE w (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM w WHERE i < 20000 + id * 0) SELECT count(*) FROM w) > id * 0",
        )))
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) {
        let _ = batch;
    }
}

#[tokio::test]
async fn a_preview_says_how_many_rows_which_and_how() {
    let database = Database::with_items(95).await;
    let preview = database.drip().await.preview(finish()).await.unwrap();
    assert_eq!((preview.rows.counted, preview.rows.exact), (94, true));
    assert_eq!(preview.batches, 10);
    assert_eq!((preview.first_key.as_deref(), preview.last_key.as_deref()), (Some("2"), Some("95")));
    assert_eq!(preview.sample.columns, ["id", "name", "done", "times"]);
    let first: Vec<_> = preview.sample.rows[0].iter().map(Option::as_deref).collect();
    assert_eq!(first, [Some("2"), Some("item 2"), None, Some("0")]);
    assert_eq!(preview.sample.rows.len(), 5);
    assert!(preview.scope.sql.contains("\"name\" <> 'item 1'"), "{}", preview.scope.sql);
    // The second batch, as it has two ends: keys 12 to 21.
    for part in ["\"id\" > 11", "\"id\" <= 21"] {
        assert!(preview.batch.sql.contains(part), "{}", preview.batch.sql);
    }
    assert!(preview.scope.plan.unwrap().full_scan);
    let plan = preview.batch.plan.unwrap();
    assert!(!plan.full_scan);
    assert!(plan.words[0].contains("found by its primary key"), "{plan:?}");
}

#[tokio::test]
async fn a_preview_writes_nothing_and_gives_the_connection_back_as_it_was() {
    let database = Database::with_items(3).await;
    // One connection: the one that the preview had is the one that writes afterwards.
    let options = (*database.pool.connect_options()).clone();
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let drip = DataDrip::builder(pool.clone()).build().await.unwrap();
    let before = database.int("SELECT count(*) FROM data_drip_backfill_runs").await;
    drip.preview(finish()).await.unwrap();
    let error = drip.preview_named("finish", json!({ "chosen": "x" })).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Database, "its choices try to write: {error}");
    assert_eq!(database.int("SELECT sum(times) FROM items").await, 0);
    assert_eq!(database.int("SELECT count(*) FROM data_drip_backfill_runs").await, before);
    sqlx::query("UPDATE items SET times = 7").execute(&pool).await.unwrap();
}

#[tokio::test]
async fn a_preview_that_is_given_up_half_way_leaves_no_connection_that_refuses_writes() {
    let database = Database::with_items(3_000).await;
    let options = (*database.pool.connect_options()).clone();
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let drip = DataDrip::builder(pool.clone()).build().await.unwrap();
    let preview = drip.preview(Slow {}).into_future();
    assert!(tokio::time::timeout(std::time::Duration::from_millis(100), preview).await.is_err());
    sqlx::query("UPDATE items SET times = 7").execute(&pool).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_counted_in_time_is_a_lower_bound_and_says_so() {
    let database = Database::with_items(20_000).await;
    let preview = database.drip().await.preview(Slow {}).await.unwrap();
    assert!(!preview.rows.exact);
    assert!(preview.rows.counted < 20_000);
    assert!(preview.rows.estimate.is_some_and(|about| about >= preview.rows.counted), "{:?}", preview.rows);
    assert!(preview.rows.to_string().starts_with("at least "));
    assert!(!preview.batch.sql.is_empty());
}

#[tokio::test]
async fn a_limit_bounds_what_is_processed_and_an_active_run_is_named() {
    let database = Database::with_items(95).await;
    let drip = database.drip().await;
    let run = drip.enqueue(finish()).limit(30).await.unwrap();
    let preview = drip.preview(finish()).batch_size(20).limit(30).await.unwrap();
    assert_eq!((preview.rows.counted, preview.to_process.counted, preview.batches), (94, 30, 2));
    assert_eq!(preview.active_run, Some(run.id));
    assert_eq!(drip.preview(finish()).await.unwrap().active_run, None);
}

#[tokio::test]
async fn empty_tables_and_scopes_are_previewed_as_empty() {
    let empty = Database::with_items(0).await;
    let preview = empty.drip().await.preview(finish()).await.unwrap();
    assert_eq!((preview.rows.counted, preview.rows.exact, preview.batches), (0, true, 0));
    assert_eq!((preview.first_key, preview.sample.rows.len(), preview.sample.looked), (None, 0, true));
    let one = Database::with_items(1).await;
    let preview = one.drip().await.preview(finish()).await.unwrap();
    assert_eq!((preview.rows.counted, preview.first_key), (0, None));
}

#[tokio::test]
async fn what_a_run_is_refused_for_a_preview_is_refused_for() {
    let database = Database::with_items(1).await;
    let drip = database.drip().await;
    assert_eq!(drip.preview_named("nonesuch", json!({})).await.unwrap_err().kind(), ErrorKind::NotFound);
    let error = drip.preview_named("finish", json!({ "nto": 1 })).batch_size(0).limit(0).await.unwrap_err();
    let fields: Vec<_> = error.fields().iter().map(|field| field.field.as_str()).collect();
    assert_eq!(fields, ["nto", "batch_size", "limit"]);
    assert_eq!(drip.preview(Odd {}).await.unwrap_err().kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn odd_names_and_values_are_shown_and_long_ones_cut() {
    let database = Database::empty().await;
    database
        .run(
            "CREATE TABLE \"od\"\"d\" (\"a b\" TEXT NOT NULL, b BLOB NOT NULL, \"é<\" TEXT, PRIMARY KEY (\"a b\", b)) WITHOUT ROWID;
             INSERT INTO \"od\"\"d\" VALUES ('x', x'00ff', printf('%.200c', 'y')), ('z', zeroblob(500), NULL)",
        )
        .await;
    let preview = database.drip().await.preview(Odd {}).await.unwrap();
    assert_eq!(preview.key, ["a b", "b"]);
    assert_eq!(preview.sample.rows[0][1].as_deref(), Some("x'00FF'"));
    assert_eq!(preview.sample.rows[0][2].as_deref(), Some(format!("{}…", "y".repeat(120)).as_str()));
    assert!(preview.sample.rows[1][1].as_deref().is_some_and(|cell| cell.ends_with('…')));
    assert_eq!(preview.sample.rows[1][2], None);
    assert_eq!(preview.first_key.as_deref(), Some("x, 00FF"));
}

#[tokio::test]
async fn a_masked_option_is_in_no_part_of_a_preview() {
    let database = Database::with_items(20).await;
    let drip = database.drip().await;
    let preview = drip.preview(Hidden { secret: "item 12".into() }).await.unwrap();
    assert_eq!(preview.rows.counted, 1);
    assert!(!serde_json::to_string(&preview).unwrap().contains("item 12"), "{preview:?}");
    assert!(preview.scope.sql.contains('?'), "{}", preview.scope.sql);
}

#[tokio::test]
async fn rows_are_not_shown_where_the_builder_says_so() {
    let database = Database::with_items(20).await;
    let drip = database.builder().without_samples().build().await.unwrap();
    let preview = drip.preview(finish()).await.unwrap();
    assert!(preview.sample.rows.is_empty() && !preview.sample.looked);
    assert_eq!(preview.rows.counted, 19);
}
