//! Asking for runs, refusing them, hooks, and runs whose code has changed.
#![cfg(all(feature = "sqlite", feature = "testing"))]

mod support;

use std::sync::{Arc, Mutex};

use data_drip::sqlite::prelude::*;
use data_drip::{Backfiller, BatchStatus, Builder, ErrorKind, Handler, RunBatch, RunStatus};
use serde_json::json;
use sqlx::Sqlite;
use support::{Database, until};

/// What hooks told, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn say(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Has options of several kinds.
#[backfill(batch_size = 10)]
struct Rename {
    /// What to put in front.
    prefix: String,
    #[option(min = 1, max = 9)]
    times: i64,
    #[option(choices = names)]
    only: Option<String>,
}

async fn names(conn: &mut Connection) -> data_drip::Result<Vec<String>> {
    Ok(sqlx::query_scalar("SELECT name FROM items ORDER BY id LIMIT 5").fetch_all(conn).await?)
}

#[backfill]
impl Rename {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("done").is_null()).filter_some(self.only.as_ref(), |name| col("name").eq(name))
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("name", self.prefix.as_str()).set("done", self.times).execute().await?;
        Ok(())
    }
}

fn rename() -> Rename {
    Rename { prefix: "x".into(), times: 1, only: None }
}

/// Its filter makes half a megabyte of noise for each row, and nothing matches.
#[backfill]
struct Needle;

#[backfill]
impl Needle {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(sea_query::Expr::cust("length(hex(randomblob(500000))) < 5"))
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("done", 1).execute().await?;
        Ok(())
    }
}

/// Has hooks of its own, and one that panics.
#[backfill(batch_size = 10)]
struct Hooked {
    refuse: bool,
}

#[backfill]
impl Hooked {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn before_run(&self, run: &Run, conn: &mut Connection, told: State<Told>) -> data_drip::Result {
        told.say(format!("before run {}", run.status));
        sqlx::query("UPDATE items SET done = coalesce(done, 0) + 1 WHERE id = 1").execute(conn).await?;
        if self.refuse { Err("not today".into()) } else { Ok(()) }
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set_expr("times", "times + 1").execute().await?;
        Ok(())
    }

    async fn on_run_completed(&self, run: &Run, told: State<Told>) {
        told.say(format!("own: run {} {}", run.status, run.counts.processed));
    }

    async fn on_run_failed(&self, run: &Run, told: State<Told>) {
        told.say(format!("own: run {}: {}", run.status, run.error.as_deref().unwrap_or_default()));
    }

    async fn on_batch_completed(&self, _run: &Run, batch: &RunBatch, told: State<Told>) {
        told.say(format!("own: batch {} {}", batch.position, batch.status));
        assert_ne!(batch.position, 1, "the first one panics, and changes nothing");
    }
}

struct Everything(Told);

impl Handler for Everything {
    async fn on_run_enqueued(&self, run: &Run) -> data_drip::Result {
        self.0.say(format!("global: run {}", run.status));
        Err("a hook's error is logged and changes nothing".into())
    }

    async fn on_run_running(&self, run: &Run) -> data_drip::Result {
        self.0.say(format!("global: run {}", run.status));
        Ok(())
    }

    async fn on_run_completed(&self, _run: &Run) -> data_drip::Result {
        self.0.say("global: the backfill's own hook should have won");
        Ok(())
    }

    async fn on_batch_running(&self, _run: &Run, batch: &RunBatch) -> data_drip::Result {
        self.0.say(format!("global: batch {} {}", batch.position, batch.status));
        Ok(())
    }
}

fn builder(database: &Database, told: &Told) -> Builder<Sqlite> {
    database.builder().state(told.clone())
}

async fn drip(database: &Database) -> DataDrip {
    builder(database, &Told::default()).build().await.unwrap()
}

#[tokio::test]
async fn every_bad_value_is_refused_with_its_field() {
    let database = Database::with_items(10).await;
    let drip = drip(&database).await;
    let wish = drip.enqueue_named("rename", json!({"prefix": "", "times": 12, "only": "stranger", "size": 1}));
    let error = wish.batch_size(0).limit(0).queue(" ").sleep(std::time::Duration::from_hours(25)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let fields: Vec<_> = error.fields().iter().map(|field| field.field.as_str()).collect();
    for field in ["prefix", "times", "size", "batch_size", "limit", "queue", "sleep"] {
        assert!(fields.contains(&field), "{field} is not among {fields:?}");
    }
    assert_eq!(database.int("SELECT count(*) FROM data_drip_backfill_runs").await, 0);
}

#[tokio::test]
async fn code_takes_the_way_of_forms_and_json() {
    let database = Database::with_items(10).await;
    let drip = drip(&database).await;
    let error = drip.enqueue(Rename { times: 10, ..rename() }).await.unwrap_err();
    assert_eq!(error.fields()[0].field, "times");
    let error = drip.enqueue(Rename { only: Some("stranger".into()), ..rename() }).await.unwrap_err();
    assert_eq!(error.fields()[0].field, "only");
    assert!(error.fields()[0].message.contains("`stranger`"), "{error}");
    let run = drip.enqueue(Rename { only: Some("item 3".into()), ..rename() }).await.unwrap();
    assert_eq!(run.options, *json!({"prefix": "x", "times": 1, "only": "item 3"}).as_object().unwrap());
    let choices = drip.choices("rename", "only").await.unwrap().unwrap();
    assert_eq!(choices.len(), 5);
    assert!(drip.choices("rename", "prefix").await.unwrap().is_none());
}

#[tokio::test]
async fn options_that_are_no_object_and_names_that_nobody_has_are_refused() {
    let database = Database::with_items(1).await;
    let drip = drip(&database).await;
    let error = drip.enqueue_named("rename", json!([1])).await.unwrap_err();
    assert!(error.to_string().contains("must be a JSON object"), "{error}");
    let error = drip.enqueue_named("renam", json!({})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("rename"), "{error}");
}

#[tokio::test]
async fn an_empty_scope_is_refused_unless_the_run_starts_later() {
    let database = Database::with_items(0).await;
    let drip = drip(&database).await;
    let error = drip.enqueue(rename()).await.unwrap_err();
    assert_eq!((error.kind(), error.fields()[0].message.as_str()), (ErrorKind::Invalid, "no records to process"));
    let later = chrono::Utc::now() + chrono::Duration::hours(1);
    assert_eq!(drip.enqueue(rename()).start_at(later).await.unwrap().status, RunStatus::Pending);
}

#[tokio::test]
async fn a_scope_that_could_not_be_probed_in_time_is_accepted_and_completes_with_nothing() {
    let database = Database::with_items(300).await;
    let drip = drip(&database).await;
    let run = drip.enqueue(Needle).await.unwrap();
    let worker = drip.start();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.error, run.counts.processed), (RunStatus::Completed, None, 0));
    assert_eq!(database.int("SELECT count(*) FROM items WHERE done IS NOT NULL").await, 0);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_table_that_cannot_be_walked_is_refused_before_the_run() {
    let database = Database::empty().await;
    database.run("CREATE TABLE items (name TEXT, done INTEGER)").await;
    let drip = drip(&database).await;
    let error = drip.enqueue(rename()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("key"), "{error}");
}

#[tokio::test]
async fn the_same_run_twice_is_refused_and_the_first_is_named() {
    let database = Database::with_items(10).await;
    let drip = drip(&database).await;
    let first = drip.enqueue(rename()).await.unwrap();
    let error = drip.enqueue(rename()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains(&format!("run {}", first.id)), "{error}");
    drip.enqueue(rename()).limit(5).await.unwrap();
}

#[tokio::test]
async fn eight_at_once_make_one_run() {
    let database = Database::with_items(10).await;
    let drip = drip(&database).await;
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let drip = drip.clone();
            tokio::spawn(async move { drip.enqueue(rename()).await })
        })
        .collect();
    let mut made = 0;
    for asked in asked {
        match asked.await.unwrap() {
            Ok(_) => made += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    }
    assert_eq!(made, 1);
}

#[tokio::test]
async fn in_a_transaction_the_run_exists_if_and_only_if_it_commits() {
    let database = Database::with_items(10).await;
    let drip = drip(&database).await;
    let worker = drip.start();
    let mut tx = database.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    drip.enqueue(rename()).in_tx(&mut tx).await.unwrap();
    tx.rollback().await.unwrap();
    assert!(drip.runs().await.unwrap().is_empty());
    let mut tx = database.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    sqlx::query("INSERT INTO items VALUES (11, 'with it', NULL, 0)").execute(&mut *tx).await.unwrap();
    let run = drip.enqueue(rename()).by(&Backfiller::new(7, "Ada")).in_tx(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 11));
    assert_eq!(run.backfiller, Some(Backfiller::new(7, "Ada")));
    worker.shutdown().await;
}

#[tokio::test]
async fn a_conflict_leaves_the_hosts_transaction_usable() {
    let database = Database::with_items(10).await;
    let drip = drip(&database).await;
    let first = drip.enqueue(rename()).await.unwrap();
    let mut tx = database.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    sqlx::query("INSERT INTO items VALUES (11, 'before', NULL, 0)").execute(&mut *tx).await.unwrap();
    let error = drip.enqueue(rename()).in_tx(&mut tx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains(&format!("run {}", first.id)), "{error}");
    sqlx::query("INSERT INTO items VALUES (12, 'after', NULL, 0)").execute(&mut *tx).await.unwrap();
    drip.enqueue(rename()).limit(5).in_tx(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(database.int("SELECT count(*) FROM items WHERE id > 10").await, 2);
    assert_eq!(drip.runs().await.unwrap().len(), 2);
}

#[tokio::test]
async fn each_change_is_told_once_and_the_backfills_own_hook_wins() {
    let database = Database::with_items(20).await;
    let told = Told::default();
    let drip = builder(&database, &told).handler(Everything(told.clone())).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(Hooked { refuse: false }).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    worker.shutdown().await;
    assert_eq!(run.status, RunStatus::Completed, "a hook's error or panic changes nothing");
    let mut heard = told.all();
    heard.sort();
    assert_eq!(
        heard,
        [
            "before run running",
            "global: batch 1 running",
            "global: batch 2 running",
            "global: run enqueued",
            "global: run running",
            "own: batch 1 completed",
            "own: batch 2 completed",
            "own: run completed 20",
        ]
    );
    assert_eq!(database.int("SELECT done FROM items WHERE id = 1").await, 1, "before_run ran once");
}

#[tokio::test]
async fn before_run_can_refuse_and_keeps_nothing() {
    let database = Database::with_items(20).await;
    let told = Told::default();
    let drip = builder(&database, &told).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(Hooked { refuse: true }).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.batches), (RunStatus::Failed, 0));
    assert_eq!(run.error.as_deref(), Some("before_run refused the run: not today"));
    assert_eq!(database.int("SELECT count(*) FROM items WHERE done IS NOT NULL OR times > 0").await, 0);
    worker.shutdown().await;
    assert_eq!(told.all(), ["before run running", "own: run failed: before_run refused the run: not today"]);
}

#[tokio::test]
async fn a_stored_run_whose_options_no_longer_fit_fails_with_that_message() {
    let database = Database::with_items(20).await;
    let drip = drip(&database).await;
    let run = drip.enqueue(rename()).await.unwrap();
    // As if an older version of the code had stored it.
    database.run(r#"UPDATE data_drip_backfill_runs SET options = '{"prefix": "x", "times": "often"}'"#).await;
    let worker = drip.start();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!(run.status, RunStatus::Failed);
    let error = run.error.unwrap();
    assert!(error.contains("do not fit the code") && error.contains("times"), "{error}");
    assert_eq!(database.int("SELECT count(*) FROM items WHERE done IS NOT NULL").await, 0);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_planned_run_whose_options_no_longer_fit_fails_its_batches() {
    let database = Database::with_items(20).await;
    let drip = drip(&database).await;
    let worker = drip.start();
    let run = drip.enqueue(rename()).sleep(std::time::Duration::from_hours(1)).await.unwrap();
    until(async || drip.run(run.id).await.unwrap().planned.then_some(())).await;
    worker.shutdown().await;
    database.run(r#"UPDATE data_drip_backfill_runs SET options = '{"prefix": "x", "times": "often"}'"#).await;
    let drip = builder(&database, &Told::default()).build().await.unwrap();
    let worker = drip.start();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!(run.status, RunStatus::Failed);
    let failed = drip.batches(run.id).status(BatchStatus::Failed).await.unwrap();
    assert!(!failed.is_empty());
    for batch in failed {
        assert!(batch.error.unwrap().contains("do not fit the code"));
    }
    worker.shutdown().await;
}

#[tokio::test]
async fn a_process_whose_code_names_another_table_leaves_the_run_to_others() {
    let database = Database::with_items(20).await;
    let drip = drip(&database).await;
    let run = drip.enqueue(rename()).await.unwrap();
    let worker = drip.start();
    drip.wait(run.id).await.unwrap();
    worker.shutdown().await;
    // As if that run had been planned over another table, and was not finished.
    database
        .run(
            "UPDATE data_drip_backfill_runs SET status = 'running', finished_at = NULL, processed = NULL, active_key = 'x',
                key_spec = replace(key_spec, 'items', 'things');
             UPDATE data_drip_backfill_run_batches
             SET status = 'pending', finished_at = NULL, processed = NULL WHERE position = 1",
        )
        .await;
    let worker = drip.start();
    let seen = until(async || Some(drip.run(run.id).await.unwrap()).filter(|run| run.counts.pending == 1)).await;
    let other = drip.enqueue(Hooked { refuse: false }).await.unwrap();
    assert_eq!(drip.wait(other.id).await.unwrap().status, RunStatus::Completed);
    assert_eq!(drip.run(run.id).await.unwrap().counts.completed, seen.counts.completed);
    worker.shutdown().await;
}

#[tokio::test]
async fn names_without_code_are_listed() {
    let database = Database::with_items(20).await;
    let drip = drip(&database).await;
    drip.enqueue(rename()).await.unwrap();
    database.run("UPDATE data_drip_backfill_runs SET backfill = 'gone'").await;
    assert_eq!(drip.names_without_code().await.unwrap(), ["gone"]);
    let worker = drip.start();
    let other = drip.enqueue(Hooked { refuse: false }).await.unwrap();
    drip.wait(other.id).await.unwrap();
    let gone = drip.runs().backfill("gone").await.unwrap().remove(0);
    assert_eq!(gone.status, RunStatus::Enqueued, "left to processes that have the code");
    worker.shutdown().await;
}

#[tokio::test]
async fn runs_are_listed_by_status_person_and_page() {
    let database = Database::with_items(20).await;
    let drip = drip(&database).await;
    let (ada, bob) = (Backfiller::new("a", "Ada"), Backfiller::new("b", "Bob"));
    for limit in 1..=4 {
        drip.enqueue(rename()).limit(limit).by(if limit % 2 == 0 { &ada } else { &bob }).await.unwrap();
    }
    let page = drip.runs().limit(3).await.unwrap();
    assert_eq!(page.iter().map(|run| run.limit.unwrap()).collect::<Vec<_>>(), [4, 3, 2]);
    let rest = drip.runs().before(page[2].id).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(drip.runs().backfiller("a").await.unwrap().len(), 2);
    drip.pause(rest[0].id).by(&ada).await.unwrap();
    assert_eq!(drip.runs().status(RunStatus::Paused).await.unwrap()[0].id, rest[0].id);
    let events = drip.events(rest[0].id).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| (event.action.as_str(), event.backfiller.clone())).collect();
    assert_eq!(told, [("enqueued", Some(bob)), ("paused", Some(ada))]);
}

#[tokio::test]
async fn an_unknown_run_is_not_found() {
    let database = Database::with_items(1).await;
    let drip = drip(&database).await;
    let id = data_drip::RunId(77);
    for error in [
        drip.run(id).await.unwrap_err(),
        drip.stop(id).await.unwrap_err(),
        drip.stop(id).now().await.unwrap_err(),
        drip.wait(id).await.unwrap_err(),
        drip.delete(id).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::NotFound, "there is no run 77"));
    }
}

#[tokio::test]
async fn a_missing_state_is_a_start_up_error_that_names_type_and_backfill() {
    let database = Database::with_items(1).await;
    let error = database.builder().build().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("`hooked`") && error.to_string().contains("Told"), "{error}");
}

#[tokio::test]
async fn more_slots_than_the_database_has_writers_are_refused() {
    let database = Database::with_items(1).await;
    let error = builder(&database, &Told::default()).slots(2).build().await.err().unwrap();
    assert!(error.to_string().contains("one writer"), "{error}");
}

#[tokio::test]
async fn a_setting_out_of_bounds_is_refused_by_the_name_of_its_setter_and_with_the_bound() {
    use std::time::Duration;

    let database = Database::with_items(1).await;
    let fresh = || builder(&database, &Told::default());
    for (builder, setter, bound) in [
        (fresh().slots(0), "`.slots(0)`", "at least 1"),
        (fresh().batch_size(0), "`.batch_size(0)`", "at least 1"),
        (fresh().sleep(Duration::from_hours(25)), "`.sleep(90000s)`", "at most 24 hours"),
        (fresh().poll_interval(Duration::ZERO), "`.poll_interval(0)`", "use more"),
        (fresh().lease(Duration::from_millis(99)), "`.lease(99ms)`", "at least 100 ms"),
        (fresh().lease(Duration::from_hours(25)), "`.lease(90000s)`", "at most 24 hours"),
    ] {
        let error = builder.build().await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(setter) && error.to_string().contains(bound), "{error}");
    }
}

#[tokio::test]
async fn testing_runs_one_backfill_to_its_end() {
    let database = Database::with_items(25).await;
    let done = data_drip::testing::run(&database.pool, rename()).await.unwrap();
    assert_eq!((done.run.status, done.run.counts.processed, done.batches.len()), (RunStatus::Completed, 25, 3));
    assert_eq!(done.errors().count(), 0);
    let told = Told::default();
    let runner = data_drip::testing::Runner::new(&database.pool).state(told.clone()).batch_size(5);
    let done = runner.run(Hooked { refuse: false }).await.unwrap();
    assert_eq!((done.run.counts.processed, done.batches.len()), (25, 5));
    assert!(told.all().contains(&"own: run completed 25".to_owned()));
}

/// Marks items as done, one at a time.
#[backfill(batch_size = 1)]
struct Tick {}

#[backfill]
impl Tick {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("done", 1).execute().await?;
        Ok(())
    }
}

#[tokio::test]
async fn sums_of_great_runs_that_are_remembered_are_those_of_the_database() {
    let database = Database::with_items(3_000).await;
    let drip = database.builder().state(Told::default()).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(Tick {}).await.unwrap();
    let done = drip.wait(run.id).await.unwrap();
    assert_eq!((done.counts.completed, done.counts.processed), (3_000, 3_000));
    worker.shutdown().await;

    // As it was before it was settled, an hour ago: most of it is remembered at the first look.
    database
        .run(
            "UPDATE data_drip_backfill_runs SET status = 'paused', finished_at = NULL, processed = NULL, active_key = 'x',
                 started_at = started_at - 3600000;
             UPDATE data_drip_backfill_run_batches
             SET finished_at = finished_at - 3600000, started_at = started_at - 3600000, status = 'completed'",
        )
        .await;
    let seen = async || {
        let run = drip.run(run.id).await.unwrap();
        let slices = drip.throughput(&run).await.unwrap().unwrap().busy;
        (run.counts.processed, slices.iter().map(|slice| slice.processed).sum::<u64>())
    };
    assert_eq!(seen().await, (3_000, 3_000));
    assert_eq!(seen().await, (3_000, 3_000));
    // A commit that came late, into a moment that was added up before.
    database
        .run(
            "INSERT INTO data_drip_backfill_run_batches (run_id, position, upto_key, planned_size, processed, status, due_at,
                 worker, started_at, finished_at)
             SELECT run_id, 3001, upto_key, 1, 50, 'completed', 0, worker, started_at, finished_at
             FROM data_drip_backfill_run_batches WHERE position = 3000;
             UPDATE data_drip_backfill_runs SET planned_batches = planned_batches + 1",
        )
        .await;
    assert_eq!(seen().await, (3_050, 3_050));
    assert_eq!(seen().await, (3_050, 3_050));
}

#[tokio::test]
async fn runs_are_counted_by_status_and_settled_ones_only_while_they_are_fresh() {
    let database = Database::with_items(3).await;
    let drip = database.builder().state(Told::default()).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(Tick {}).await.unwrap();
    drip.wait(run.id).await.unwrap();
    worker.shutdown().await;
    drip.enqueue(Tick {}).await.unwrap();
    let week = std::time::Duration::from_hours(24 * 7);
    let counts = drip.status_counts(week).await.unwrap();
    assert_eq!((counts.completed, counts.enqueued, counts.running, counts.failed), (1, 1, 0, 0));
    database.run("UPDATE data_drip_backfill_runs SET finished_at = finished_at - 700000000 WHERE id = 1").await;
    assert_eq!(drip.status_counts(week).await.unwrap().completed, 0);
}
