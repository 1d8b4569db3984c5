//! Hooks: each change of status, the slots' freedom from them, and what becomes of their errors.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_drip::sqlite::prelude::*;
use data_drip::{Builder, Handler, RunBatch, RunId, RunStatus};
use sqlx::Sqlite;
use support::collector::Collector;
use support::{Database, pool_at, quick, until, until_status};
use tokio::sync::Semaphore;

/// What hooks told, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn say(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    async fn become_all(&self, expected: &[&str]) {
        until(async || (self.all().len() >= expected.len()).then_some(())).await;
        assert_eq!(self.all(), expected);
    }
}

/// Answers the hooks that no other test answers.
#[backfill(batch_size = 10)]
struct Talkative;

#[backfill]
impl Talkative {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("done").is_null())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("done", 1).set_expr("times", "times + 1").execute().await?;
        Ok(())
    }

    async fn on_run_pending(&self, run: &Run, told: State<Told>) {
        told.say(format!("run {}", run.status));
    }

    async fn on_run_paused(&self, run: &Run, told: State<Told>) {
        told.say(format!("run {}", run.status));
    }

    async fn on_run_stopped(&self, run: &Run, told: State<Told>) {
        told.say(format!("run {}", run.status));
    }

    async fn on_batch_pending(&self, _run: &Run, batch: &RunBatch, told: State<Told>) {
        told.say(format!("batch {} {}", batch.position, batch.status));
    }

    async fn on_batch_stopped(&self, _run: &Run, batch: &RunBatch, told: State<Told>) {
        told.say(format!("batch {} {}", batch.position, batch.status));
    }
}

/// Its hook fails, and waits as long as a test wants.
#[backfill(batch_size = 10)]
struct Sluggish;

#[backfill]
impl Sluggish {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("done").is_null())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("done", 1).execute().await?;
        Ok(())
    }

    async fn on_batch_completed(&self, _run: &Run, batch: &RunBatch, gate: State<Gate>) -> data_drip::Result {
        gate.0.acquire().await?.forget();
        Err(format!("no mail for batch {}", batch.position).into())
    }

    async fn on_run_completed(&self, _run: &Run, told: State<Told>) {
        told.say("completed".into());
        panic!("nobody to tell");
    }
}

#[derive(Clone)]
struct Gate(Arc<Semaphore>);

/// `before_run` of one run, again and again.
#[derive(Clone, Default)]
struct Entries(Arc<Mutex<Vec<(RunId, &'static str)>>>);

/// Needs two tries at its preparation.
#[backfill(batch_size = 10)]
struct Careful {
    tag: i64,
}

#[backfill]
impl Careful {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn before_run(&self, run: &Run, conn: &mut Connection, entries: State<Entries>) -> data_drip::Result {
        let earlier = {
            let mut entries = entries.0.lock().unwrap();
            entries.push((run.id, "enters"));
            entries.iter().filter(|entry| **entry == (run.id, "leaves")).count()
        };
        // Others get their chance to run meanwhile.
        for _ in 0..20 {
            sqlx::query("UPDATE items SET times = times + 1 WHERE id = 1").execute(&mut *conn).await?;
            tokio::task::yield_now().await;
        }
        entries.0.lock().unwrap().push((run.id, "leaves"));
        if earlier == 0 { Err(data_drip::Failure::transient("not yet")) } else { Ok(()) }
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("done", self.tag).execute().await?;
        Ok(())
    }
}

struct Everybody(Told);

impl Handler for Everybody {
    async fn on_run_paused(&self, run: &Run) -> data_drip::Result {
        self.0.say(format!("global: {} of {}", run.status, run.backfill));
        Ok(())
    }
}

fn states(builder: Builder<Sqlite>, told: &Told, gate: &Gate, entries: &Entries) -> Builder<Sqlite> {
    builder.state(told.clone()).state(gate.clone()).state(entries.clone())
}

fn gate() -> Gate {
    Gate(Arc::new(Semaphore::new(0)))
}

fn builder(database: &Database, told: &Told) -> Builder<Sqlite> {
    states(database.builder(), told, &gate(), &Entries::default())
}

#[tokio::test]
async fn a_run_that_waits_is_paused_and_is_stopped_tells_of_each() {
    let database = Database::with_items(10).await;
    let told = Told::default();
    let drip = builder(&database, &told).build().await.unwrap();
    let later = chrono::Utc::now() + chrono::Duration::hours(1);
    let run = drip.enqueue(Talkative).start_at(later).await.unwrap();
    drip.pause(run.id).await.unwrap();
    drip.resume(run.id).await.unwrap();
    drip.stop(run.id).await.unwrap();
    drip.stop(run.id).await.unwrap_err();
    told.become_all(&["run pending", "run paused", "run pending", "run stopped"]).await;
}

#[tokio::test]
async fn batches_that_wait_and_that_are_stopped_tell_of_it() {
    let database = Database::with_items(30).await;
    let told = Told::default();
    let drip = builder(&database, &told).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(Talkative).sleep(Duration::from_hours(1)).await.unwrap();
    until(async || Some(drip.run(run.id).await.unwrap()).filter(|run| run.counts.completed == 1)).await;
    drip.stop(run.id).await.unwrap();
    let planned = ["batch 1 pending", "batch 2 pending", "batch 3 pending"];
    let stopped = ["run stopped", "batch 2 stopped", "batch 3 stopped"];
    told.become_all(&[planned, stopped].concat()).await;
    worker.shutdown().await;
}

#[tokio::test]
async fn a_slow_hook_holds_no_slot() {
    let database = Database::with_items(30).await;
    let (told, gate) = (Told::default(), gate());
    let drip = states(database.builder(), &told, &gate, &Entries::default()).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(Sluggish).await.unwrap();
    // The hook of the first batch has not ended.
    let run = until_status(&drip, run.id, RunStatus::Completed).await;
    assert_eq!((run.counts.completed, told.all().len()), (3, 0));
    gate.0.add_permits(3);
    told.become_all(&["completed"]).await;
    worker.shutdown().await;
}

#[tokio::test]
async fn a_hooks_error_and_its_panic_are_logged_with_run_and_hook() {
    let (collector, _guard) = Collector::start();
    let database = Database::with_items(20).await;
    let (told, gate) = (Told::default(), gate());
    gate.0.add_permits(9);
    let drip = states(database.builder(), &told, &gate, &Entries::default()).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(Sluggish).await.unwrap();
    assert_eq!(drip.wait(run.id).await.unwrap().status, RunStatus::Completed);
    worker.shutdown().await;
    let failed = ["ERROR a hook failed", " run=1 "];
    for (batch, error) in [(" batch=1 ", "no mail for batch 1"), (" batch=2 ", "no mail for batch 2")] {
        let parts = [&failed[..], &[batch, " hook=BatchCompleted ", error]].concat();
        assert_eq!(collector.with(&parts).len(), 1, "{:#?}", collector.with(&failed));
    }
    let parts = [&failed[..], &[" hook=RunCompleted ", "panicked: nobody to tell"]].concat();
    assert_eq!(collector.with(&parts).len(), 1, "{:#?}", collector.with(&failed));
}

#[tokio::test]
async fn a_process_without_the_backfills_code_fires_the_global_handler_only() {
    let database = Database::with_items(10).await;
    let told = Told::default();
    let drip = builder(&database, &told).handler(Everybody(told.clone())).build().await.unwrap();
    let known = drip.enqueue(Talkative).await.unwrap();
    drip.pause(known.id).await.unwrap();
    told.become_all(&["run paused"]).await;
    // As if another version of the program had asked for it.
    database.run("UPDATE data_drip_backfill_runs SET backfill = 'gone', status = 'enqueued'").await;
    drip.pause(known.id).await.unwrap();
    told.become_all(&["run paused", "global: paused of gone"]).await;
}

#[tokio::test]
async fn before_run_never_runs_twice_at_a_time_and_succeeds_once_however_many_processes_there_are() {
    const RUNS: i64 = 12;
    let database = Database::with_items(10).await;
    let (told, entries) = (Told::default(), Entries::default());
    let here = states(database.builder(), &told, &gate(), &entries).build().await.unwrap();
    let there = quick(DataDrip::builder(pool_at(&database.path()).await));
    let there = states(there, &told, &gate(), &entries).build().await.unwrap();
    let workers = [here.start(), there.start()];
    let mut runs = Vec::new();
    for tag in 0..RUNS {
        runs.push(here.enqueue(Careful { tag }).await.unwrap().id);
    }
    for &run in &runs {
        assert_eq!(here.wait(run).await.unwrap().status, RunStatus::Completed);
    }
    for worker in workers {
        worker.shutdown().await;
    }
    let entries = entries.0.lock().unwrap().clone();
    for run in runs {
        let of_run: Vec<_> = entries.iter().filter(|(id, _)| *id == run).map(|(_, what)| *what).collect();
        assert_eq!(of_run, ["enters", "leaves", "enters", "leaves"], "run {run}");
    }
    assert_eq!(database.int("SELECT times FROM items WHERE id = 1").await, RUNS * 20, "the failed tries left nothing");
}
