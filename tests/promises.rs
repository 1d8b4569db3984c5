//! The promises of the engine, each shown in one process; `tests/crash/` shows them with processes that die.
#![cfg(feature = "sqlite")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use data_drip::sqlite::prelude::*;
use data_drip::{BatchStatus, Builder, ErrorKind, Failure, RunStatus};
use sqlx::Row as _;
use support::{Database, until, until_status};
use tokio::sync::{Notify, Semaphore};

/// Marks items as done, in one statement a batch.
#[backfill(batch_size = 10)]
struct MarkDone;

#[backfill]
impl MarkDone {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("done").is_null())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("done", 1).set_expr("times", "times + 1").execute().await?;
        Ok(())
    }
}

#[derive(sqlx::FromRow)]
struct Item {
    id: i64,
    name: String,
}

/// Fails on the items it is told, after having written.
#[backfill(batch_size = 10)]
struct Picky {
    /// How it fails: `error`, `panic` or `transient`.
    how: String,
    from: i64,
    to: i64,
}

#[derive(Debug, thiserror::Error)]
#[error("item {0} is poison")]
struct Poison(i64, #[source] std::num::ParseIntError);

#[backfill]
impl Picky {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("done").is_null())
    }

    async fn process_element(&self, item: Item, conn: &mut Connection) -> data_drip::Result {
        sqlx::query("UPDATE items SET done = 1, times = times + 1 WHERE id = ?").bind(item.id).execute(conn).await?;
        if (self.from..=self.to).contains(&item.id) {
            let error = Poison(item.id, item.name.parse::<i32>().unwrap_err());
            match self.how.as_str() {
                "panic" => panic!("item {} makes it panic", item.id),
                "transient" => return Err(Failure::transient(error)),
                _ => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn picky(how: &str, from: i64, to: i64) -> Picky {
    Picky { how: how.into(), from, to }
}

/// Lets a test decide when a batch goes on.
#[derive(Clone, Default)]
struct Gate(Arc<GateParts>);

struct GateParts {
    entered: AtomicU64,
    arrived: Notify,
    open: Semaphore,
}

impl Default for GateParts {
    fn default() -> Self {
        Self { entered: AtomicU64::new(0), arrived: Notify::new(), open: Semaphore::new(0) }
    }
}

impl Gate {
    async fn pass(&self) {
        self.0.entered.fetch_add(1, Ordering::SeqCst);
        self.0.arrived.notify_one();
        self.0.open.acquire().await.unwrap().forget();
    }

    async fn arrival(&self) {
        self.0.arrived.notified().await;
    }

    fn let_through(&self, batches: usize) {
        self.0.open.add_permits(batches);
    }

    fn entered(&self) -> u64 {
        self.0.entered.load(Ordering::SeqCst)
    }
}

/// Waits at a gate inside its transaction, after having written.
#[backfill(batch_size = 10)]
struct Gated;

#[backfill]
impl Gated {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("done").is_null())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>, gate: State<Gate>) -> data_drip::Result {
        batch.update_all().set("done", 1).set_expr("times", "times + 1").execute().await?;
        gate.pass().await;
        Ok(())
    }
}

/// Never ends by itself.
#[backfill(batch_size = 10, timeout = "50ms", max_attempts = 1)]
struct Endless;

#[backfill]
impl Endless {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("done", 1).execute().await?;
        // Inside SQLite, where no task can be cancelled.
        sqlx::query("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
            .execute(batch.conn())
            .await?;
        Ok(())
    }
}

/// Processes its rows in one of the ways that are counted, and takes rows of the second batch out of the scope with the
/// first.
#[backfill(batch_size = 10)]
struct Greedy {
    /// `pinned`, `affected` or `by hand`, with plain sqlx alone: then the engine has to count for itself.
    way: String,
}

#[backfill]
impl Greedy {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("done").is_null())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        match self.way.as_str() {
            "pinned" => {
                let keys = batch.keys().await?;
                batch.update_all().set("done", 1).execute().await?;
                assert_eq!(keys.len() as u64, batch.len().await?);
            }
            "affected" => drop(batch.update_all().set("done", 1).execute().await?),
            _ => by_hand(batch).await?,
        }
        if batch.info().position == 1 {
            sqlx::query("UPDATE items SET done = 9 WHERE id IN (15, 16, 17)").execute(batch.conn()).await?;
        }
        Ok(())
    }
}

async fn by_hand(batch: &mut Batch<'_>) -> data_drip::Result {
    let (after, upto) = (batch.info().range.after.clone(), batch.info().range.upto.clone());
    let after: i64 = after.and_then(|key| key.values().next().unwrap().parse().ok()).unwrap_or(i64::MIN);
    let upto: i64 = upto.values().next().unwrap().parse()?;
    let query = sqlx::query("UPDATE items SET done = 1 WHERE id > ? AND id <= ? AND done IS NULL");
    query.bind(after).bind(upto).execute(batch.conn()).await?;
    Ok(())
}

/// Looks how many batches wait.
#[backfill(batch_size = 1)]
struct Watch;

#[backfill]
impl Watch {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>, most: State<Numbers>) -> data_drip::Result {
        let query = "SELECT count(*) FROM data_drip_backfill_run_batches WHERE status = 'pending'";
        let waiting: i64 = sqlx::query(query).fetch_one(batch.conn()).await?.get(0);
        most.0.fetch_max(waiting.unsigned_abs(), Ordering::SeqCst);
        Ok(())
    }
}

/// Fails while the poison is there.
#[backfill(batch_size = 10)]
struct Mendable;

#[backfill]
impl Mendable {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("done").is_null())
    }

    async fn process_element(&self, item: Item, conn: &mut Connection) -> data_drip::Result {
        let poison = sqlx::query("SELECT 1 FROM poison WHERE id = ?").bind(item.id);
        if poison.fetch_optional(&mut *conn).await?.is_some() {
            return Err(format!("{} is poison", item.name).into());
        }
        let query = sqlx::query("UPDATE items SET done = 1, times = times + 1 WHERE id = ?");
        query.bind(item.id).execute(conn).await?;
        Ok(())
    }
}

/// Says busy twice.
#[backfill]
struct Busy;

#[backfill]
impl Busy {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("done").is_null())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>, tries: State<Numbers>) -> data_drip::Result {
        batch.update_all().set("done", 1).set_expr("times", "times + 1").execute().await?;
        if tries.0.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(Failure::transient("the other side is busy"));
        }
        Ok(())
    }
}

/// Succeeds at the second attempt.
#[backfill(max_attempts = 2)]
struct Second;

#[backfill]
impl Second {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("done").is_null())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("done", 1).execute().await?;
        if batch.attempt() == 1 { Err("not yet".into()) } else { Ok(()) }
    }
}

/// Every backfill of this file is linked in, so each set-up gives what any of them asks for.
fn builder(database: &Database, gate: &Gate) -> Builder<sqlx::Sqlite> {
    database.builder().state(gate.clone()).state(Numbers::default())
}

async fn quiet(database: &Database) -> DataDrip {
    builder(database, &Gate::default()).build().await.unwrap()
}

/// What backfills tell the tests.
#[derive(Clone, Default)]
struct Numbers(Arc<AtomicU64>);

#[tokio::test]
async fn a_run_processes_every_row_once() {
    let database = Database::with_items(1_234).await;
    let drip = quiet(&database).await;
    let worker = drip.start();
    let run = drip.enqueue(MarkDone).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 1_234));
    assert_eq!(database.int("SELECT count(*) FROM items WHERE times = 1").await, 1_234);
    let progress = run.progress();
    assert_eq!((progress.percent, progress.remaining), (Some(100.0), None));
    assert_eq!(progress.total.map(|total| (total.count, total.exact)), Some((1_234, true)));
    worker.shutdown().await;
    assert_eq!(database.int("SELECT count(*) FROM data_drip_workers").await, 0);
}

#[tokio::test]
async fn promise_1_a_failed_batch_keeps_nothing_of_what_it_wrote() {
    let database = Database::with_items(30).await;
    let drip = quiet(&database).await;
    let worker = drip.start();
    let run = drip.enqueue(picky("error", 15, 15)).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.processed, run.counts.failed), (RunStatus::Failed, 20, 1));
    assert_eq!(database.int("SELECT count(*) FROM items WHERE times = 0 AND id BETWEEN 11 AND 20").await, 10);
    assert_eq!(database.int("SELECT count(*) FROM items WHERE times = 1").await, 20);
    worker.shutdown().await;
}

#[tokio::test]
async fn promise_1_rows_behind_the_greatest_key_of_the_start_are_not_covered() {
    let database = Database::with_items(15).await;
    let drip = quiet(&database).await;
    let worker = drip.start();
    let run = drip.enqueue(MarkDone).batch_size(1).sleep(Duration::from_hours(1)).await.unwrap();
    let resting = until(async || Some(drip.run(run.id).await.unwrap()).filter(|run| run.counts.completed == 1)).await;
    assert!(!resting.planned, "planning has to go on after the row has come");
    database.run("INSERT INTO items VALUES (16, 'late', NULL, 0)").await;
    database.run("UPDATE data_drip_backfill_runs SET sleep_ms = 0").await;
    worker.shutdown().await;
    let worker = drip.start();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 15));
    assert_eq!(database.int("SELECT count(*) FROM items WHERE id <= 15 AND times = 1").await, 15);
    assert_eq!(database.int("SELECT count(*) FROM items WHERE done IS NULL AND times = 0 AND id = 16").await, 1);
    worker.shutdown().await;
}

#[tokio::test]
async fn promise_3_planning_stays_a_bounded_number_of_batches_ahead() {
    let database = Database::with_items(4_000).await;
    let most = Numbers::default();
    let drip = database.builder().state(Gate::default()).state(most.clone()).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(Watch).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.counts.batches, run.counts.processed), (4_000, 4_000));
    let most = most.0.load(Ordering::SeqCst);
    assert!(most > 0 && most <= 512, "{most} batches waited at a time");
    worker.shutdown().await;
}

#[tokio::test]
async fn promise_5_counts_are_what_happened_and_never_what_was_planned() {
    for way in ["pinned", "affected", "by hand"] {
        let database = Database::with_items(30).await;
        let drip = quiet(&database).await;
        let worker = drip.start();
        let run = drip.enqueue(Greedy { way: way.into() }).await.unwrap();
        let run = drip.wait(run.id).await.unwrap();
        let batches = drip.batches(run.id).await.unwrap();
        assert_eq!(batches.iter().map(|batch| batch.planned_size).collect::<Vec<_>>(), [10, 10, 10], "{way}");
        let sizes: Vec<_> = batches.iter().map(|batch| batch.processed).collect();
        assert_eq!((run.counts.processed, sizes), (27, vec![Some(10), Some(7), Some(10)]), "{way}");
        worker.shutdown().await;
    }
}

#[tokio::test]
async fn promise_6_after_stop_nothing_starts_and_what_is_in_flight_counts() {
    let database = Database::with_items(100).await;
    let gate = Gate::default();
    let drip = builder(&database, &gate).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(Gated).await.unwrap();
    gate.arrival().await;
    // The batch holds the only write lock: the stop waits for it, and both are let through.
    let stopping = tokio::spawn({
        let drip = drip.clone();
        async move { drip.stop(run.id).await }
    });
    gate.let_through(1_000);
    let stopped = stopping.await.unwrap().unwrap();
    let entered = gate.entered();
    assert_eq!(stopped.status, RunStatus::Stopped);
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!(run.counts.processed, entered * 10, "whatever began, finished and counts");
    assert_eq!(database.int("SELECT sum(times) FROM items").await.unsigned_abs(), run.counts.processed);
    assert_eq!(gate.entered(), entered, "no user code after stop has returned");
    // Resumed, the rest is done, and nothing twice.
    drip.resume(run.id).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 100));
    assert_eq!(database.int("SELECT count(*) FROM items WHERE times = 1").await, 100);
    worker.shutdown().await;
}

#[tokio::test]
async fn promise_6_stopped_now_the_batch_in_flight_is_rolled_back() {
    let database = Database::with_items(30).await;
    let gate = Gate::default();
    let drip = builder(&database, &gate).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(Gated).await.unwrap();
    gate.arrival().await;
    let stopped = drip.stop(run.id).now().await.unwrap();
    assert_eq!((stopped.status, stopped.counts.processed), (RunStatus::Stopped, 0));
    assert_eq!(database.int("SELECT sum(times) FROM items").await, 0);
    gate.let_through(1_000);
    drip.resume(run.id).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 30));
    assert_eq!(database.int("SELECT count(*) FROM items WHERE times = 1").await, 30);
    worker.shutdown().await;
}

#[tokio::test]
async fn promise_6_stop_now_reaches_a_batch_of_another_process_that_holds_the_lock() {
    let database = Database::with_items(30).await;
    let gate = Gate::default();
    let here = builder(&database, &gate).build().await.unwrap();
    let worker = here.start();
    let run = here.enqueue(Gated).await.unwrap();
    gate.arrival().await;
    // Another one on the same file, which knows nothing of what is in flight here.
    let pool = support::pool_at(&database.path()).await;
    let there =
        support::quick(DataDrip::builder(pool)).state(gate.clone()).state(Numbers::default()).build().await.unwrap();
    let stopped = there.stop(run.id).now().await.unwrap();
    assert_eq!((stopped.status, stopped.counts.processed), (RunStatus::Stopped, 0));
    assert_eq!(database.int("SELECT sum(times) FROM items").await, 0);
    let left: Vec<_> = std::fs::read_dir(database.path().parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("stop"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    worker.shutdown().await;
}

#[tokio::test]
async fn promise_6_paused_and_resumed_nothing_is_lost_or_repeated() {
    let database = Database::with_items(500).await;
    let drip = quiet(&database).await;
    let worker = drip.start();
    // With pauses between batches it does not get through before the first request has its turn.
    let run = drip.enqueue(MarkDone).batch_size(5).sleep(Duration::from_millis(5)).await.unwrap();
    until(async || (drip.run(run.id).await.unwrap().counts.processed > 0).then_some(())).await;
    let mut times = 0;
    for _ in 0..5 {
        match drip.pause(run.id).await {
            Ok(held) => assert_eq!(held.status, RunStatus::Paused),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                break;
            }
        }
        times += 1;
        let held = until(async || Some(drip.run(run.id).await.unwrap()).filter(|run| run.counts.running == 0)).await;
        assert_eq!(held.status, RunStatus::Paused);
        drip.resume(run.id).await.unwrap();
        until(async || {
            let now = drip.run(run.id).await.unwrap();
            (now.counts.processed > held.counts.processed || now.status.is_settled()).then_some(())
        })
        .await;
    }
    let run = drip.wait(run.id).await.unwrap();
    assert!(times > 0, "it was over before it could be paused: nothing is shown");
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 500));
    assert_eq!(database.int("SELECT count(*) FROM items WHERE times = 1").await, 500);
    worker.shutdown().await;
}

#[tokio::test]
async fn promise_6_a_batch_past_its_timeout_is_rolled_back_even_inside_one_statement() {
    let database = Database::with_items(5).await;
    let drip = quiet(&database).await;
    let worker = drip.start();
    let run = drip.enqueue(Endless).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.processed), (RunStatus::Failed, 0));
    assert_eq!(database.int("SELECT count(*) FROM items WHERE done = 1").await, 0);
    let batch = drip.batches(run.id).await.unwrap().remove(0);
    assert!(batch.error.unwrap().starts_with("timed out after 50ms"));
    worker.shutdown().await;
}

#[tokio::test]
async fn promise_7_an_error_fails_its_batch_alone_and_keeps_chain_and_row() {
    let database = Database::with_items(40).await;
    let drip = quiet(&database).await;
    let worker = drip.start();
    let run = drip.enqueue(picky("error", 15, 15)).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.counts.completed, run.counts.failed), (3, 1));
    let failed = drip.batches(run.id).status(BatchStatus::Failed).await.unwrap();
    let [batch] = failed.as_slice() else { panic!("{failed:?}") };
    let error = batch.error.as_deref().unwrap();
    assert_eq!(error, "row with key 15: item 15 is poison\ncaused by: invalid digit found in string");
    assert_eq!((batch.attempts, batch.range.to_string().as_str()), (1, "(10) … (20]"));
    worker.shutdown().await;
}

#[tokio::test]
async fn promise_7_a_panic_fails_its_batch_alone() {
    let database = Database::with_items(40).await;
    let drip = quiet(&database).await;
    let worker = drip.start();
    let run = drip.enqueue(picky("panic", 15, 15)).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.completed, run.counts.failed), (RunStatus::Failed, 3, 1));
    let batch = drip.batches(run.id).status(BatchStatus::Failed).await.unwrap().remove(0);
    assert!(batch.error.unwrap().contains("item 15 makes it panic"));
    worker.shutdown().await;
}

#[tokio::test]
async fn promise_7_failed_batches_can_be_retried_once_mended() {
    let database = Database::with_items(40).await;
    database.run("CREATE TABLE poison (id INTEGER PRIMARY KEY); INSERT INTO poison VALUES (15)").await;

    let drip = quiet(&database).await;
    let worker = drip.start();
    let run = drip.enqueue(Mendable).await.unwrap();
    assert_eq!(drip.wait(run.id).await.unwrap().status, RunStatus::Failed);
    database.run("DELETE FROM poison").await;
    drip.retry_failed_batches(run.id).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 40));
    assert_eq!(database.int("SELECT count(*) FROM items WHERE times = 1").await, 40);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_transient_failure_is_tried_again_without_counting() {
    let database = Database::with_items(5).await;

    let drip = quiet(&database).await;
    let worker = drip.start();
    let run = drip.enqueue(Busy).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 5));
    assert_eq!(drip.batches(run.id).await.unwrap()[0].attempts, 0);
    assert_eq!(database.int("SELECT sum(times) FROM items").await, 5);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_transient_failure_that_does_not_pass_is_given_up_after_a_bound() {
    let database = Database::with_items(25).await;
    let drip = quiet(&database).await;
    let worker = drip.start();
    let run = drip.enqueue(picky("transient", 15, 15)).await.unwrap();
    let tries = "SELECT max(transients) FROM data_drip_backfill_run_batches";
    until(async || (database.int(tries).await > 0).then_some(())).await;
    worker.shutdown().await;
    // As if it had gone on like that for minutes.
    database.run("UPDATE data_drip_backfill_run_batches SET transients = 15, due_at = 0 WHERE transients > 0").await;
    let worker = drip.start();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.completed, run.counts.failed), (RunStatus::Failed, 2, 1));
    let batch = drip.batches(run.id).status(BatchStatus::Failed).await.unwrap().remove(0);
    assert_eq!(batch.attempts, 0, "no attempt of user code is counted");
    let error = batch.error.unwrap();
    assert!(error.starts_with("given up after 16 tries") && error.contains("item 15 is poison"), "{error}");
    worker.shutdown().await;
}

#[tokio::test]
async fn attempts_are_used_up_before_a_batch_is_given_up() {
    let database = Database::with_items(5).await;

    let drip = quiet(&database).await;
    let worker = drip.start();
    let run = drip.enqueue(Second).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    let batch = drip.batches(run.id).await.unwrap().remove(0);
    assert_eq!((run.status, batch.attempts, batch.error), (RunStatus::Completed, 1, None));
    worker.shutdown().await;
}

#[tokio::test]
async fn dropping_the_worker_rolls_back_what_is_in_flight() {
    let database = Database::with_items(30).await;
    let gate = Gate::default();
    let drip = builder(&database, &gate).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(Gated).await.unwrap();
    gate.arrival().await;
    drop(worker);
    let run = until(async || Some(drip.run(run.id).await.unwrap()).filter(|run| run.counts.running == 0)).await;
    assert_eq!((run.counts.completed, run.counts.processed), (0, 0));
    assert_eq!(database.int("SELECT sum(times) FROM items").await, 0);
    // The next worker goes on at once: the claim was given back.
    gate.let_through(1_000);
    let worker = drip.start();
    assert_eq!(drip.wait(run.id).await.unwrap().counts.processed, 30);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_lets_the_batch_in_flight_finish() {
    let database = Database::with_items(30).await;
    let gate = Gate::default();
    let drip = builder(&database, &gate).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(Gated).await.unwrap();
    gate.arrival().await;
    let signal = Arc::new(Notify::new());
    let ending = tokio::spawn(worker.shutdown_on({
        let signal = Arc::clone(&signal);
        async move { signal.notified().await }
    }));
    signal.notify_one();
    gate.let_through(1_000);
    ending.await.unwrap();
    let run = drip.run(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.running), (RunStatus::Running, 0));
    assert_eq!(database.int("SELECT sum(times) FROM items").await.unsigned_abs(), run.counts.processed);
    assert_eq!(gate.entered() * 10, run.counts.processed);
    let batches = drip.batches(run.id).await.unwrap();
    assert!(batches.iter().all(|batch| batch.losses == 0));
}

#[tokio::test]
async fn a_shutdown_past_its_grace_rolls_back() {
    let database = Database::with_items(30).await;
    let gate = Gate::default();
    let drip = builder(&database, &gate).grace(Duration::from_millis(50)).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(Gated).await.unwrap();
    gate.arrival().await;
    worker.shutdown().await;
    let run = drip.run(run.id).await.unwrap();
    assert_eq!((run.counts.running, run.counts.completed, run.counts.pending), (0, 0, run.counts.batches));
    assert_eq!(database.int("SELECT sum(times) FROM items").await, 0);
}

#[tokio::test]
async fn a_limit_means_never_more_than() {
    for (limit, batches) in [(1, 1), (9, 1), (10, 1), (25, 3), (1_000, 10)] {
        let database = Database::with_items(100).await;
        let drip = quiet(&database).await;
        let worker = drip.start();
        let run = drip.enqueue(MarkDone).limit(limit).await.unwrap();
        let run = drip.wait(run.id).await.unwrap();
        let expected = limit.min(100);
        assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, expected));
        assert_eq!(run.counts.batches, batches);
        assert_eq!(database.int("SELECT sum(times) FROM items").await.unsigned_abs(), expected);
        worker.shutdown().await;
    }
}

#[tokio::test]
async fn rows_of_a_limited_run_that_left_the_scope_are_not_replaced() {
    let database = Database::with_items(100).await;
    let drip = quiet(&database).await;
    let worker = drip.start();
    let run = drip.enqueue(Greedy { way: "affected".into() }).limit(20).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.batches, run.counts.processed), (RunStatus::Completed, 2, 17));
    assert_eq!(database.int("SELECT count(*) FROM items WHERE id > 20 AND done IS NOT NULL").await, 0);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_run_waits_for_its_start_time_and_then_starts_by_itself() {
    let database = Database::with_items(10).await;
    let drip = quiet(&database).await;
    let worker = drip.start();
    let at = chrono::Utc::now() + chrono::Duration::milliseconds(400);
    let run = drip.enqueue(MarkDone).start_at(at).await.unwrap();
    assert_eq!(run.status, RunStatus::Pending);
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!(run.status, RunStatus::Completed);
    assert!(run.started_at.unwrap() >= at - chrono::Duration::milliseconds(1), "{:?} < {at:?}", run.started_at);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_pause_between_batches_holds_nothing() {
    let database = Database::with_items(30).await;
    let drip = quiet(&database).await;
    let worker = drip.start();
    let slow = drip.enqueue(MarkDone).sleep(Duration::from_hours(1)).await.unwrap();
    let slow = until(async || Some(drip.run(slow.id).await.unwrap()).filter(|run| run.counts.completed == 1)).await;
    // The slot rests for that run only: another one is worked on meanwhile.
    let other = drip.enqueue(picky("error", 0, 0)).await.unwrap();
    assert_eq!(drip.wait(other.id).await.unwrap().status, RunStatus::Completed);
    assert_eq!(drip.run(slow.id).await.unwrap().counts.completed, 1);
    drip.stop(slow.id).await.unwrap();
    worker.shutdown().await;
}

#[tokio::test]
async fn a_worker_takes_only_its_queues() {
    let database = Database::with_items(10).await;
    let drip = builder(&database, &Gate::default()).queues(["fast"]).build().await.unwrap();
    let worker = drip.start();
    let other = drip.enqueue(MarkDone).queue("slow").await.unwrap();
    let run = drip.enqueue(picky("error", 0, 0)).queue("fast").await.unwrap();
    assert_eq!(drip.wait(run.id).await.unwrap().status, RunStatus::Completed);
    assert_eq!(drip.run(other.id).await.unwrap().status, RunStatus::Enqueued);
    worker.shutdown().await;
}

#[tokio::test]
async fn two_workers_on_one_file_share_a_run() {
    let database = Database::with_items(2_000).await;
    let drip = quiet(&database).await;
    let pool = support::pool_at(&database.path()).await;
    let other =
        support::quick(DataDrip::builder(pool)).state(Gate::default()).state(Numbers::default()).build().await.unwrap();
    let workers = [drip.start(), other.start()];
    let run = drip.enqueue(MarkDone).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 2_000));
    assert_eq!(database.int("SELECT count(*) FROM items WHERE times = 1").await, 2_000);
    for worker in workers {
        worker.shutdown().await;
    }
}

#[tokio::test]
async fn an_empty_table_between_request_and_start_completes_with_nothing() {
    let database = Database::with_items(5).await;
    let drip = quiet(&database).await;
    let run = drip.enqueue(MarkDone).await.unwrap();
    database.run("DELETE FROM items").await;
    let worker = drip.start();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!((run.status, run.counts.batches, run.counts.processed), (RunStatus::Completed, 0, 0));
    worker.shutdown().await;
}

#[tokio::test]
async fn a_database_in_memory_works_on_a_shared_pool_and_is_refused_without() {
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, done INTEGER, times INTEGER DEFAULT 0);
        INSERT INTO items (name) VALUES ('a'), ('b'), ('c')",
    )
    .execute(&pool)
    .await
    .unwrap();
    let error = DataDrip::builder(pool.clone()).build().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains(".share_pool()"), "{error}");
    let drip = support::quick(DataDrip::builder(pool)).share_pool().state(Gate::default());
    let drip = drip.state(Numbers::default()).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(Greedy { way: "by hand".into() }).await.unwrap();
    assert_eq!(drip.wait(run.id).await.unwrap().counts.processed, 3);
    worker.shutdown().await;
    assert_eq!(until_status(&drip, data_drip::RunId(1), RunStatus::Completed).await.counts.completed, 1);
}

/// Copies names, from rows that are read with all of the table's columns.
#[backfill(batch_size = 10)]
struct Copy {
    round: i64,
}

#[derive(sqlx::FromRow)]
struct Person {
    id: i64,
    name: String,
    email: String,
}

#[backfill]
impl Copy {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_element(&self, person: Person, conn: &mut Connection) -> data_drip::Result {
        let query = sqlx::query("INSERT INTO copies VALUES (?, ?, ?, ?)").bind(self.round).bind(person.id);
        query.bind(person.name).bind(person.email).execute(conn).await?;
        Ok(())
    }
}

#[tokio::test]
async fn promise_1_rows_are_read_as_the_table_is_after_somebody_has_changed_its_columns() {
    let database = Database::empty().await;
    database
        .run(
            "CREATE TABLE people (id INTEGER PRIMARY KEY, old TEXT, name TEXT, email TEXT);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30)
             INSERT INTO people SELECT i, 'old', 'name ' || i, 'email ' || i FROM n;
             CREATE TABLE copies (round INTEGER, id INTEGER, name TEXT, email TEXT)",
        )
        .await;
    let drip = quiet(&database).await;
    let worker = drip.start();
    let changes = [
        "SELECT 1",
        "BEGIN IMMEDIATE; ALTER TABLE people DROP COLUMN old; ALTER TABLE people ADD COLUMN token TEXT DEFAULT 'x'; COMMIT",
        "ALTER TABLE people ADD COLUMN extra TEXT DEFAULT 'y'",
        "ALTER TABLE people DROP COLUMN token",
    ];
    for (round, change) in (0..).zip(changes) {
        database.run(change).await;
        let run = drip.enqueue(Copy { round }).await.unwrap();
        let run = drip.wait(run.id).await.unwrap();
        assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 30), "after {change}");
    }
    let right = "SELECT count(*) FROM copies WHERE name = 'name ' || id AND email = 'email ' || id";
    assert_eq!(database.int(right).await, 4 * 30);
    assert_eq!(database.int("SELECT count(*) FROM copies").await, 4 * 30);
    assert_eq!(database.int("SELECT sum(transients) FROM data_drip_backfill_run_batches").await, 0);
    worker.shutdown().await;
}

/// Walks a table by text.
#[backfill(batch_size = 10)]
struct ByText;

#[backfill]
impl ByText {
    fn scope(&self) -> Scope {
        Scope::table("texts")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("done", 1).execute().await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_run_whose_keys_cannot_be_read_fails_and_says_so() {
    let database = Database::empty().await;
    database
        .run(
            "CREATE TABLE texts (k TEXT PRIMARY KEY NOT NULL, done INTEGER);
             INSERT INTO texts VALUES ('a', NULL), (CAST(x'7aff' AS TEXT), NULL)",
        )
        .await;
    let drip = quiet(&database).await;
    let worker = drip.start();
    let run = drip.enqueue(ByText).await.unwrap();
    let run = drip.wait(run.id).await.unwrap();
    assert_eq!(run.status, RunStatus::Failed);
    let error = run.error.unwrap();
    assert!(error.starts_with("planning failed: ") && error.contains("utf-8"), "{error}");
    worker.shutdown().await;
}

/// The first batches fail, and are tried again much later.
#[backfill(batch_size = 10, max_attempts = 10)]
struct SlowStart;

#[backfill]
impl SlowStart {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        if batch.info().position <= 8 {
            return Err("poison".into());
        }
        batch.update_all().set("done", 1).execute().await?;
        Ok(())
    }
}

#[tokio::test]
async fn batches_that_fail_and_are_tried_again_later_do_not_keep_the_rest_of_a_run_from_being_planned() {
    let database = Database::with_items(4_000).await;
    let drip = quiet(&database).await;
    let worker = drip.start();
    let run = drip.enqueue(SlowStart).await.unwrap();
    let done = until(async || Some(drip.run(run.id).await.unwrap()).filter(|run| run.counts.completed == 392)).await;
    assert_eq!((done.status, done.counts.failed), (RunStatus::Running, 0), "long before the first of them is given up");
    assert!(done.planned);
    drip.stop(run.id).await.unwrap();
    worker.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_that_nobody_waits_for_any_more_rolls_back_what_is_in_flight() {
    let database = Database::with_items(10).await;
    let gate = Gate::default();
    let drip = builder(&database, &gate).grace(Duration::from_hours(1)).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(Gated).await.unwrap();
    gate.arrival().await;
    assert!(tokio::time::timeout(Duration::ZERO, worker.shutdown()).await.is_err(), "the batch is in flight");
    until(async || Some(drip.run(run.id).await.unwrap()).filter(|run| run.counts.running == 0)).await;
    assert_eq!(database.int("SELECT count(*) FROM items WHERE done = 1").await, 0);
}
