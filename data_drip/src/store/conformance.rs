//! What every store must do, written once: each function runs on each database that is turned on.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::backend::{Backend, ConnectOptions, KeySpec, Statement};
use crate::key::{Key, KeyPart, KeyRange};
use crate::logs::{LogLevel, LogTotals, Said};
use crate::run::{Backfiller, BatchId, Run, RunBatch, RunId, Total};
use crate::status::{BatchStatus, RunStatus};
use crate::store::batches::{self, Claim, Unfinished, Wanted};
use crate::store::logs::{self, Page};
use crate::store::marks::{self, Marked, Marks};
use crate::store::overview;
use crate::store::plans::{self, Advance, Role};
use crate::store::runs::{self, Change, NewRun, Request};
use crate::store::tallies::{Tallies, Tally};
use crate::store::workers::{self, Incarnation, Look};
use crate::store::{int, json_list};

/// A database of its own with migrated tables, and one connection to it.
pub(super) struct Desk<DB: Backend> {
    conn: DB::Connection,
    session: DB::Session,
}

const TTL: Duration = Duration::from_secs(30);

fn new_run(backfill: &str) -> NewRun {
    NewRun {
        backfill: backfill.into(),
        options: json!({"department": "Sales"}).as_object().unwrap().clone(),
        batch_size: 10,
        sleep: Duration::ZERO,
        limit: None,
        queue: "default".into(),
        concurrency: None,
        max_attempts: 1,
        timeout_ms: None,
        backfiller: Some(Backfiller::new(7, "Ada")),
        start_at: None,
    }
}

fn key(n: u64) -> Key {
    Key(vec![KeyPart { tag: "integer".into(), text: n.to_string() }])
}

fn spec() -> KeySpec {
    KeySpec {
        schema: None,
        table: "t".into(),
        columns: vec!["id".into()],
        nullable: Vec::new(),
        types: Vec::new(),
        index: None,
        by_key_only: false,
    }
}

fn wanted(worker: &str) -> Wanted {
    Wanted { worker: worker.into(), backfills: json_list(&["a", "b"]), queues: None }
}

impl<DB: Backend> Desk<DB> {
    async fn new(mut conn: DB::Connection, options: ConnectOptions<DB>) -> Self {
        let session = DB::attach(&mut conn, &Arc::new(options)).await.unwrap();
        Self { conn, session }
    }

    async fn insert(&mut self, new: &NewRun) -> RunId {
        runs::insert::<DB>(&mut self.conn, new).await.unwrap().unwrap()
    }

    async fn run(&mut self, id: RunId) -> Run {
        runs::find::<DB>(&mut self.conn, id).await.unwrap().unwrap()
    }

    async fn status(&mut self, id: RunId) -> RunStatus {
        self.run(id).await.status
    }

    async fn batch(&mut self, id: BatchId) -> RunBatch {
        batches::select::<DB>(&mut self.conn, &[id]).await.unwrap().pop().unwrap()
    }

    async fn take_plan(&mut self, id: RunId, worker: &str) -> Option<Role> {
        plans::take::<DB>(&mut self.conn, id, worker).await.unwrap().map(|(role, _)| role)
    }

    /// A running run with so many batches of ten, all planned or not.
    async fn planned(&mut self, new: &NewRun, batches: u64, done: bool) -> RunId {
        let id = self.insert(new).await;
        let role = self.take_plan(id, "planner").await.unwrap();
        self.plan(&role, None, batches, done).await;
        if !done {
            plans::release::<DB>(&mut self.conn, &role).await.unwrap();
        }
        id
    }

    async fn plan(&mut self, role: &Role, from: Option<u64>, batches: u64, done: bool) -> Option<Vec<BatchId>> {
        let first = from.unwrap_or(0);
        let ranges: Vec<_> = (0..batches)
            .map(|i| {
                let after = first + i * 10;
                (KeyRange { after: (after > 0).then(|| key(after)), upto: key(after + 10) }, 10)
            })
            .collect();
        let (from, to) = (from.map(key), key(first + batches * 10));
        let position = first / 10 + 1;
        let step = Advance { from: from.as_ref(), to: Some(&to), batches: &ranges, position, done, call: false };
        plans::advance::<DB>(&mut self.conn, role, &step).await.unwrap()
    }

    async fn claim(&mut self, worker: &str) -> Option<Claim> {
        batches::claim::<DB>(&mut self.conn, &wanted(worker), &[], None).await.unwrap()
    }

    async fn planner_losses(&mut self, run: RunId) -> u32 {
        plans::find::<DB>(&mut self.conn, run).await.unwrap().unwrap().losses
    }

    async fn check(&mut self, claim: &Claim) -> Option<RunStatus> {
        batches::check::<DB>(&mut self.conn, claim).await.unwrap().map(|seen| seen.status)
    }

    async fn complete(&mut self, claim: &Claim) -> bool {
        let fence = claim.fence().to_string();
        let mut tx = DB::begin_batch(&mut self.conn, &self.session, fence, TTL).await.unwrap();
        let completed = batches::complete::<DB>(&mut tx, claim, 10).await.unwrap();
        if completed {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        completed
    }

    async fn complete_and_claim(&mut self, claim: &Claim) -> Option<Option<Claim>> {
        let (wanted, fence) = (wanted(&claim.worker), claim.fence().to_string());
        let mut tx = DB::begin_batch(&mut self.conn, &self.session, fence, TTL).await.unwrap();
        let completed = batches::complete_and_claim::<DB>(&mut tx, claim, 7, &wanted, &[]).await.unwrap();
        if completed.is_some() {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        completed
    }

    async fn give_back(&mut self, claim: &Claim, how: Unfinished) -> Option<BatchStatus> {
        batches::give_back::<DB>(&mut self.conn, &claim.fence(), &how).await.unwrap()
    }

    async fn ask(&mut self, id: RunId, request: Request) -> Change {
        runs::change::<DB>(&mut self.conn, id, request, None).await.unwrap()
    }

    async fn marks(&mut self, runs: &[RunId]) -> Marks {
        marks::marks::<DB>(&mut self.conn, runs).await.unwrap()
    }

    /// What the run settles as; whoever looks before is told the same.
    async fn settle(&mut self, id: RunId) -> Option<RunStatus> {
        let outcome = runs::outcome::<DB>(&mut self.conn, id).await.unwrap();
        let settled = runs::settle::<DB>(&mut self.conn, id).await.unwrap();
        assert_eq!(outcome, settled);
        settled
    }

    /// Registers a worker whose lease runs out after `ttl`, and looks at it.
    async fn worker(&mut self, id: &str, ttl: Duration) -> Look {
        let worker =
            Incarnation { id: id.into(), host: "h".into(), pid: 1, slots: 1, queues: json_list::<String>(&[]) };
        workers::register::<DB>(&mut self.conn, &worker, ttl).await.unwrap();
        self.look(id).await
    }

    async fn look(&mut self, id: &str) -> Look {
        workers::look::<DB>(&mut self.conn).await.unwrap().into_iter().find(|look| look.id == id).unwrap()
    }

    /// A claim of a worker that is dead by the database's clock.
    async fn dead(&mut self, id: &str) -> Look {
        let look = self.worker(id, Duration::ZERO).await;
        if look.expired { look } else { self.until_expired(id).await }
    }

    async fn until_expired(&mut self, id: &str) -> Look {
        loop {
            let look = self.look(id).await;
            if look.expired {
                return look;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn take_over(&mut self, dead: &Look) -> Option<Vec<(BatchId, BatchStatus)>> {
        let losses = workers::take_over::<DB>(&mut self.conn, dead, 2).await.unwrap()?;
        Some(losses.iter().map(|loss| (loss.batch, loss.status)).collect())
    }
}

pub(super) async fn a_run_is_stored_as_it_was_asked_for<DB: Backend>(mut desk: Desk<DB>) {
    let mut new = new_run("a");
    new.options = json!({"ü \" '": ["<b>", null, 1.5, i64::MAX]}).as_object().unwrap().clone();
    new.limit = Some(int(u64::MAX).unsigned_abs());
    new.sleep = Duration::from_millis(1_500);
    new.queue = "slow \u{1F422}".into();
    new.timeout_ms = Some(250);
    new.concurrency = Some(3);
    new.max_attempts = 4;
    let id = desk.insert(&new).await;
    let run = desk.run(id).await;
    assert_eq!((run.options, run.limit, run.sleep), (new.options, new.limit, new.sleep));
    assert_eq!((run.queue, run.timeout, run.concurrency), (new.queue, Some(Duration::from_millis(250)), Some(3)));
    assert_eq!((run.status, run.max_attempts, run.backfiller), (RunStatus::Enqueued, 4, new.backfiller));
    assert_eq!((run.total, run.throughput, run.started_at, run.finished_at), (None, None, None, None));
    assert!((run.read_at - run.created_at).num_seconds() < 60);
}

pub(super) async fn an_identical_active_run_is_refused_and_named<DB: Backend>(mut desk: Desk<DB>) {
    let first = desk.insert(&new_run("a")).await;
    let second = runs::insert::<DB>(&mut desk.conn, &new_run("a")).await.unwrap();
    assert_eq!(second, Err(Some(first)));
    // Another backfill, other options or another limit make another run.
    desk.insert(&new_run("b")).await;
    desk.insert(&NewRun { limit: Some(5), ..new_run("a") }).await;
    desk.insert(&NewRun { options: serde_json::Map::new(), ..new_run("a") }).await;
    desk.ask(first, Request::Stop { now: false }).await;
    desk.insert(&new_run("a")).await;
}

pub(super) async fn a_run_waits_for_its_start_time<DB: Backend>(mut desk: Desk<DB>) {
    let late = DateTime::<Utc>::from_timestamp_millis(4_000_000_000_000).unwrap();
    let id = desk.insert(&NewRun { start_at: Some(late), ..new_run("a") }).await;
    assert_eq!(desk.status(id).await, RunStatus::Pending);
    assert!(runs::due::<DB>(&mut desk.conn).await.unwrap().is_empty());
    assert!(!runs::enqueue::<DB>(&mut desk.conn, id).await.unwrap());
    assert!(desk.take_plan(id, "w").await.is_none());
    // Paused and resumed it waits again, and is not started early.
    desk.ask(id, Request::Pause).await;
    let change = desk.ask(id, Request::Resume).await;
    assert!(matches!(change, Change::Done { to: RunStatus::Pending, .. }), "{change:?}");
    let past = DateTime::<Utc>::from_timestamp_millis(1_000).unwrap();
    let due = desk.insert(&NewRun { start_at: Some(past), ..new_run("b") }).await;
    assert_eq!(desk.status(due).await, RunStatus::Enqueued);
}

/// Every status against every request: what is not allowed changes nothing.
pub(super) async fn requests_follow_the_table_of_transitions<DB: Backend>(mut desk: Desk<DB>) {
    use RunStatus::{Completed, Enqueued, Failed, Paused, Pending, Running, Stopped};
    let late = DateTime::<Utc>::from_timestamp_millis(4_000_000_000_000).unwrap();
    let stop = Request::Stop { now: false };
    for (i, &from) in RunStatus::ALL.iter().enumerate() {
        for request in [stop, Request::Stop { now: true }, Request::Pause, Request::Resume, Request::Retry] {
            let mut new = new_run(if i % 2 == 0 { "a" } else { "b" });
            new.start_at = (from == Pending).then_some(late);
            let id = match from {
                Pending | Enqueued => desk.insert(&new).await,
                _ => desk.planned(&new, 1, true).await,
            };
            match from {
                Pending | Enqueued | Running => {}
                Paused => drop(desk.ask(id, Request::Pause).await),
                Stopped => drop(desk.ask(id, stop).await),
                Completed | Failed => {
                    let claim = desk.claim("w").await.unwrap();
                    if from == Completed {
                        assert!(desk.complete(&claim).await);
                    } else {
                        desk.give_back(&claim, Unfinished::GaveUp { error: "no".into(), counted: true }).await;
                    }
                    assert_eq!(desk.settle(id).await, Some(from));
                }
            }
            assert_eq!(desk.status(id).await, from);
            let to = match (from, request) {
                (Pending | Enqueued | Running | Paused, Request::Stop { .. })
                | (Stopped, Request::Stop { now: true }) => Some(Stopped),
                (Pending | Enqueued | Running, Request::Pause) => Some(Paused),
                (Paused | Stopped, Request::Resume) | (Failed, Request::Retry) => Some(Enqueued),
                _ => None,
            };
            match (desk.ask(id, request).await, to) {
                (Change::Done { from: was, to: is, .. }, Some(to)) => assert_eq!((was, is), (from, to)),
                (Change::Refused(status), None) => assert_eq!(status, from),
                (change, to) => panic!("{from} and {request:?}: {change:?} instead of {to:?}"),
            }
            assert_eq!(desk.status(id).await, to.unwrap_or(from), "{from} and {request:?}");
            // Leaves nothing active behind for the next round.
            desk.ask(id, stop).await;
        }
    }
    assert_eq!(desk.ask(RunId(9_999), Request::Pause).await, Change::Missing);
}

pub(super) async fn batches_are_claimed_in_order_and_once<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.planned(&new_run("a"), 3, true).await;
    let claims = [desk.claim("v").await.unwrap(), desk.claim("w").await.unwrap(), desk.claim("v").await.unwrap()];
    assert_eq!(claims.each_ref().map(|claim| claim.batch.position), [1, 2, 3]);
    assert!(claims.iter().all(|claim| claim.epoch == 1 && claim.batch.run_id == run));
    assert_eq!(claims[0].batch.range, KeyRange { after: None, upto: key(10) });
    assert_eq!(claims[2].batch.range, KeyRange { after: Some(key(20)), upto: key(30) });
    assert!(desk.claim("w").await.is_none());
    assert!(!batches::peek::<DB>(&mut desk.conn, &wanted("w"), &[]).await.unwrap());
}

pub(super) async fn only_runs_that_a_worker_may_take_are_claimed<DB: Backend>(mut desk: Desk<DB>) {
    let strange = desk.planned(&new_run("without code here"), 1, true).await;
    let slow = desk.planned(&NewRun { queue: "slow".into(), ..new_run("b") }, 1, true).await;
    let mut wanted = wanted("w");
    wanted.queues = Some(json_list(&["default", "fast"]));
    assert!(!batches::peek::<DB>(&mut desk.conn, &wanted, &[]).await.unwrap());
    assert!(batches::claim::<DB>(&mut desk.conn, &wanted, &[], None).await.unwrap().is_none());
    wanted.queues = Some(json_list(&["slow"]));
    assert!(batches::claim::<DB>(&mut desk.conn, &wanted, &[slow], None).await.unwrap().is_none());
    assert!(batches::peek::<DB>(&mut desk.conn, &wanted, &[]).await.unwrap());
    let claim = batches::claim::<DB>(&mut desk.conn, &wanted, &[], None).await.unwrap().unwrap();
    assert_eq!(claim.batch.run_id, slow);
    assert_ne!(claim.batch.run_id, strange);
}

pub(super) async fn a_run_that_does_not_run_gives_no_batches<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.planned(&new_run("a"), 2, true).await;
    desk.ask(run, Request::Pause).await;
    assert!(desk.claim("w").await.is_none());
    desk.ask(run, Request::Resume).await;
    assert!(desk.claim("w").await.is_none(), "enqueued: a planner has to take it first");
    desk.take_plan(run, "w").await.unwrap();
    assert!(desk.claim("w").await.is_some());
    desk.ask(run, Request::Stop { now: false }).await;
    assert!(desk.claim("w").await.is_none());
}

pub(super) async fn runs_take_turns<DB: Backend>(mut desk: Desk<DB>) {
    let first = desk.planned(&new_run("a"), 3, true).await;
    let second = desk.planned(&new_run("b"), 3, true).await;
    let mut order = Vec::new();
    let mut last = None;
    for _ in 0..6 {
        let claim = batches::claim::<DB>(&mut desk.conn, &wanted("w"), &[], last).await.unwrap().unwrap();
        last = Some(claim.batch.run_id);
        order.push(claim.batch.run_id);
    }
    assert_eq!(order, [first, second, first, second, first, second]);
}

pub(super) async fn concurrency_bounds_batches_in_flight_of_one_run<DB: Backend>(mut desk: Desk<DB>) {
    desk.planned(&NewRun { concurrency: Some(2), ..new_run("a") }, 5, true).await;
    let first = desk.claim("v").await.unwrap();
    desk.claim("w").await.unwrap();
    assert!(desk.claim("x").await.is_none());
    assert!(desk.complete(&first).await);
    assert!(desk.claim("x").await.is_some());
    assert!(desk.claim("x").await.is_none());
}

pub(super) async fn a_completion_brings_the_next_claim<DB: Backend>(mut desk: Desk<DB>) {
    let first = desk.planned(&new_run("a"), 2, true).await;
    let second = desk.planned(&NewRun { concurrency: Some(1), ..new_run("b") }, 2, true).await;
    let mut claim = desk.claim("w").await.unwrap();
    let mut order = vec![(claim.batch.run_id, claim.batch.position)];
    while let Some(next) = desk.complete_and_claim(&claim).await.unwrap() {
        let done = desk.batch(claim.batch.id).await;
        assert_eq!((done.status, done.processed, done.error), (BatchStatus::Completed, Some(7), None));
        assert_eq!((done.started_at, done.worker.as_deref()), (claim.batch.started_at, Some("w")));
        assert!(done.finished_at >= done.started_at);
        let running = desk.batch(next.batch.id).await;
        assert_eq!(running, next.batch);
        assert_eq!(running.status, BatchStatus::Running);
        assert_eq!((next.epoch, running.processed, running.finished_at), (1, None, None));
        order.push((next.batch.run_id, next.batch.position));
        claim = next;
    }
    assert_eq!(order, [(first, 1), (second, 1), (first, 2), (second, 2)]);
    for run in [first, second] {
        assert_eq!(desk.settle(run).await, Some(RunStatus::Completed));
        assert_eq!(desk.run(run).await.counts.processed, 14);
    }
}

pub(super) async fn a_batch_makes_room_for_the_next_of_its_own_run<DB: Backend>(mut desk: Desk<DB>) {
    desk.planned(&NewRun { concurrency: Some(1), ..new_run("a") }, 3, true).await;
    let first = desk.claim("w").await.unwrap();
    let second = desk.complete_and_claim(&first).await.unwrap().unwrap();
    assert_eq!(second.batch.position, 2);
    assert!(desk.claim("x").await.is_none());
    // What is written down for a batch stays when it is claimed again.
    let failed = Unfinished::Transient { error: "busy".into(), again_in: Duration::ZERO };
    desk.give_back(&second, failed).await;
    let third = desk.claim("w").await.unwrap();
    assert_eq!((third.batch.position, third.transients, third.epoch), (2, 1, 2));
    let fourth = desk.complete_and_claim(&third).await.unwrap().unwrap();
    assert_eq!(fourth.batch.position, 3);
}

pub(super) async fn a_lost_claim_completes_nothing<DB: Backend>(mut desk: Desk<DB>) {
    desk.planned(&new_run("a"), 3, true).await;
    let old = desk.claim("w").await.unwrap();
    desk.give_back(&old, Unfinished::Released).await;
    let new = desk.claim("w").await.unwrap();
    assert_eq!(new.batch.id, old.batch.id);
    let stolen = Claim { worker: "x".into(), ..new.clone() };
    for lost in [old, stolen] {
        assert!(desk.complete_and_claim(&lost).await.is_none());
        assert_eq!(desk.batch(new.batch.id).await.status, BatchStatus::Running);
    }
    assert!(desk.complete_and_claim(&new).await.is_some());
    assert!(desk.complete_and_claim(&new).await.is_none(), "completed once");
}

pub(super) async fn a_batch_that_failed_waits_for_its_retry_time<DB: Backend>(mut desk: Desk<DB>) {
    desk.planned(&new_run("a"), 1, true).await;
    let claim = desk.claim("w").await.unwrap();
    let again_in = Duration::from_hours(1);
    let status = desk.give_back(&claim, Unfinished::Attempt { error: "row 7".into(), again_in }).await;
    assert_eq!(status, Some(BatchStatus::Pending));
    assert!(desk.claim("w").await.is_none());
    let batch = desk.batch(claim.batch.id).await;
    assert_eq!((batch.attempts, batch.error.as_deref(), batch.worker), (1, Some("row 7"), None));
}

pub(super) async fn each_attempt_has_a_new_epoch_and_an_old_one_changes_nothing<DB: Backend>(mut desk: Desk<DB>) {
    desk.planned(&new_run("a"), 1, true).await;
    let old = desk.claim("w").await.unwrap();
    assert_eq!(desk.give_back(&old, Unfinished::Released).await, Some(BatchStatus::Pending));
    let new = desk.claim("w").await.unwrap();
    assert_eq!((old.epoch, new.epoch), (1, 2));
    assert_eq!(desk.check(&old).await, None);
    assert!(!desk.complete(&old).await);
    assert_eq!(desk.give_back(&old, Unfinished::GaveUp { error: "x".into(), counted: true }).await, None);
    assert!(!batches::mark_lone::<DB>(&mut desk.conn, &old).await.unwrap());
    assert_eq!(desk.check(&new).await, Some(RunStatus::Running));
    assert!(desk.complete(&new).await);
    assert!(!desk.complete(&new).await, "a batch completes once");
    assert!(batches::is_completed::<DB>(&mut desk.conn, &new).await.unwrap());
    assert!(!batches::is_completed::<DB>(&mut desk.conn, &old).await.unwrap());
}

pub(super) async fn a_stopped_run_keeps_what_is_in_flight_and_stops_the_rest<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.planned(&new_run("a"), 3, true).await;
    let (kept, given_back) = (desk.claim("w").await.unwrap(), desk.claim("w").await.unwrap());
    desk.ask(run, Request::Stop { now: false }).await;
    assert_eq!(desk.check(&kept).await, Some(RunStatus::Stopped));
    assert!(desk.complete(&kept).await);
    assert_eq!(desk.give_back(&given_back, Unfinished::Released).await, Some(BatchStatus::Stopped));
    let counts = desk.run(run).await.counts;
    assert_eq!((counts.completed, counts.stopped, counts.processed), (1, 2, 10));
    let Change::Done { batches, .. } = desk.ask(run, Request::Resume).await else { panic!("not resumed") };
    assert_eq!(batches.len(), 2);
}

pub(super) async fn stopped_now_nothing_in_flight_can_commit<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.planned(&new_run("a"), 2, true).await;
    let claim = desk.claim("w").await.unwrap();
    desk.ask(run, Request::Stop { now: true }).await;
    assert_eq!(desk.check(&claim).await, None);
    assert!(!desk.complete(&claim).await);
    assert_eq!(desk.batch(claim.batch.id).await.status, BatchStatus::Stopped);
    // Resumed at once, it is claimed anew; the old attempt still cannot.
    desk.ask(run, Request::Resume).await;
    desk.take_plan(run, "w").await.unwrap();
    let again = desk.claim("w").await.unwrap();
    assert_eq!((again.batch.id, again.epoch), (claim.batch.id, 3));
    assert!(!desk.complete(&claim).await);
}

pub(super) async fn a_run_settles_when_nothing_is_open<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.planned(&new_run("a"), 2, false).await;
    let first = desk.claim("w").await.unwrap();
    let second = desk.claim("w").await.unwrap();
    assert!(desk.complete(&first).await);
    assert_eq!(desk.settle(run).await, None, "a batch is running");
    assert!(desk.complete(&second).await);
    assert_eq!(desk.settle(run).await, None, "planning has not ended");
    assert!(runs::settleable::<DB>(&mut desk.conn).await.unwrap().is_empty());
    let role = desk.take_plan(run, "w").await.unwrap();
    desk.plan(&role, Some(20), 0, true).await.unwrap();
    assert_eq!(runs::settleable::<DB>(&mut desk.conn).await.unwrap(), [run]);
    assert_eq!(desk.settle(run).await, Some(RunStatus::Completed));
    assert_eq!(desk.settle(run).await, None, "once");
    let run = desk.run(run).await;
    assert_eq!((run.counts.processed, run.total), (20, Some(Total { count: 20, exact: true })));
    assert!(run.finished_at.is_some());
}

pub(super) async fn a_paused_run_does_not_settle<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.planned(&new_run("a"), 1, true).await;
    let claim = desk.claim("w").await.unwrap();
    desk.ask(run, Request::Pause).await;
    assert!(desk.complete(&claim).await, "batches in flight finish");
    assert_eq!(desk.settle(run).await, None);
    desk.ask(run, Request::Resume).await;
    assert_eq!(desk.settle(run).await, None, "enqueued");
    desk.take_plan(run, "w").await.unwrap();
    assert_eq!(desk.settle(run).await, Some(RunStatus::Completed));
}

pub(super) async fn one_failed_batch_fails_the_run_and_can_be_retried<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.planned(&new_run("a"), 2, true).await;
    let (good, bad) = (desk.claim("w").await.unwrap(), desk.claim("w").await.unwrap());
    desk.give_back(&bad, Unfinished::GaveUp { error: "poison".into(), counted: true }).await;
    assert!(desk.complete(&good).await);
    assert_eq!(desk.settle(run).await, Some(RunStatus::Failed));
    assert_eq!(desk.ask(run, Request::Resume).await, Change::Refused(RunStatus::Failed));
    let Change::Done { batches, .. } = desk.ask(run, Request::Retry).await else { panic!("not retried") };
    assert_eq!(batches, [bad.batch.id]);
    let batch = desk.batch(bad.batch.id).await;
    assert_eq!((batch.status, batch.attempts), (BatchStatus::Pending, 0));
    assert_eq!(batch.error.as_deref(), Some("poison"), "kept until the next outcome");
    desk.take_plan(run, "w").await.unwrap();
    let again = desk.claim("w").await.unwrap();
    assert!(desk.complete(&again).await);
    assert_eq!(desk.batch(bad.batch.id).await.error, None);
    assert_eq!(desk.settle(run).await, Some(RunStatus::Completed));
}

pub(super) async fn a_resume_that_collides_names_the_newer_run<DB: Backend>(mut desk: Desk<DB>) {
    let old = desk.planned(&new_run("a"), 1, true).await;
    desk.ask(old, Request::Stop { now: false }).await;
    let newer = desk.insert(&new_run("a")).await;
    assert_eq!(desk.ask(old, Request::Resume).await, Change::Duplicate(newer));
    assert_eq!(desk.status(old).await, RunStatus::Stopped);
    let all = batches::Filter { limit: 9, ..Default::default() };
    let id = batches::list::<DB>(&mut desk.conn, old, &all).await.unwrap()[0];
    assert_eq!(desk.batch(id).await.status, BatchStatus::Stopped);
    desk.ask(newer, Request::Stop { now: false }).await;
    assert!(matches!(desk.ask(old, Request::Resume).await, Change::Done { .. }));
}

pub(super) async fn a_retry_that_collides_names_the_newer_run_and_changes_nothing<DB: Backend>(mut desk: Desk<DB>) {
    let old = desk.planned(&new_run("a"), 2, true).await;
    let (bad, good) = (desk.claim("w").await.unwrap(), desk.claim("w").await.unwrap());
    desk.give_back(&bad, Unfinished::GaveUp { error: "poison".into(), counted: true }).await;
    assert!(desk.complete(&good).await);
    assert_eq!(desk.settle(old).await, Some(RunStatus::Failed));
    let newer = desk.insert(&new_run("a")).await;
    assert_eq!(desk.ask(old, Request::Retry).await, Change::Duplicate(newer));
    let run = desk.run(old).await;
    assert_eq!((run.status, run.counts.failed, run.counts.pending), (RunStatus::Failed, 1, 0));
    let batch = desk.batch(bad.batch.id).await;
    assert_eq!((batch.status, batch.attempts, batch.error.as_deref()), (BatchStatus::Failed, 1, Some("poison")));
    assert!(runs::events::<DB>(&mut desk.conn, old).await.unwrap().is_empty(), "what was refused is no event");
    desk.ask(newer, Request::Stop { now: false }).await;
    assert!(matches!(desk.ask(old, Request::Retry).await, Change::Done { .. }));
}

pub(super) async fn a_run_is_deleted_when_settled_and_not_in_flight<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.planned(&new_run("a"), 2, true).await;
    let claim = desk.claim("w").await.unwrap();
    assert_eq!(desk.ask(run, Request::Delete).await, Change::Refused(RunStatus::Running));
    desk.ask(run, Request::Stop { now: false }).await;
    assert_eq!(desk.ask(run, Request::Delete).await, Change::InFlight);
    assert!(desk.complete(&claim).await);
    assert!(matches!(desk.ask(run, Request::Delete).await, Change::Done { .. }));
    assert!(runs::find::<DB>(&mut desk.conn, run).await.unwrap().is_none());
    assert!(batches::select::<DB>(&mut desk.conn, &[claim.batch.id]).await.unwrap().is_empty());
    assert_ne!(desk.insert(&new_run("a")).await, run, "numbers are not used again");
}

pub(super) async fn a_dead_worker_loses_what_it_held<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.planned(&new_run("a"), 1, false).await;
    let dead = desk.dead("w").await;
    let role = desk.take_plan(run, "w").await.unwrap();
    let claim = desk.claim("w").await.unwrap();
    assert_eq!(desk.take_over(&dead).await.unwrap(), [(claim.batch.id, BatchStatus::Pending)]);
    assert_eq!(desk.batch(claim.batch.id).await.losses, 1);
    assert!(!desk.complete(&claim).await, "whoever lost it cannot commit");
    assert_eq!(desk.plan(&role, Some(10), 1, true).await, None, "nor plan");
    assert!(desk.take_plan(run, "v").await.is_some());
    let again = desk.claim("v").await.unwrap();
    assert_eq!((again.batch.id, again.epoch, again.batch.losses), (claim.batch.id, 2, 1));
    assert!(desk.complete(&again).await);
}

pub(super) async fn who_beats_meanwhile_is_not_taken_over<DB: Backend>(mut desk: Desk<DB>) {
    desk.planned(&new_run("a"), 1, true).await;
    let seen = desk.dead("w").await;
    let claim = desk.claim("w").await.unwrap();
    assert!(workers::beat::<DB>(&mut desk.conn, "w", Duration::ZERO).await.unwrap());
    desk.until_expired("w").await;
    assert_eq!(desk.take_over(&seen).await, None, "another beat than the one that was looked at");
    assert!(workers::beat::<DB>(&mut desk.conn, "w", TTL).await.unwrap());
    let look = desk.look("w").await;
    assert!(!look.expired && look.holds);
    assert_eq!(desk.take_over(&look).await, None, "its lease has not run out");
    assert!(desk.complete(&claim).await);
}

pub(super) async fn a_holder_whose_row_is_gone_is_taken_over<DB: Backend>(mut desk: Desk<DB>) {
    desk.planned(&new_run("a"), 1, true).await;
    let claim = desk.claim("w").await.unwrap();
    let look = desk.look("w").await;
    assert_eq!((look.beat, look.expired, look.holds), (None, true, true));
    assert_eq!(desk.take_over(&look).await.unwrap(), [(claim.batch.id, BatchStatus::Pending)]);
    assert!(!workers::beat::<DB>(&mut desk.conn, "w", TTL).await.unwrap(), "its next beat has to register it again");
}

pub(super) async fn only_losses_while_alone_count_towards_giving_up<DB: Backend>(mut desk: Desk<DB>) {
    desk.planned(&new_run("a"), 1, true).await;
    // Near a death five times: innocent as far as anybody knows.
    for round in 0..5 {
        let worker = format!("near-{round}");
        let dead = desk.dead(&worker).await;
        let claim = desk.claim(&worker).await.unwrap();
        assert_eq!(desk.take_over(&dead).await.unwrap(), [(claim.batch.id, BatchStatus::Pending)]);
    }
    for (round, status) in [BatchStatus::Pending, BatchStatus::Failed].into_iter().enumerate() {
        let worker = format!("alone-{round}");
        let dead = desk.dead(&worker).await;
        let claim = desk.claim(&worker).await.unwrap();
        assert!(batches::mark_lone::<DB>(&mut desk.conn, &claim).await.unwrap());
        assert_eq!(desk.take_over(&dead).await.unwrap(), [(claim.batch.id, status)]);
        let batch = desk.batch(claim.batch.id).await;
        assert_eq!(batch.status, status);
        assert_eq!(batch.error.is_some(), status == BatchStatus::Failed);
    }
}

pub(super) async fn a_batch_lost_in_a_stopped_run_is_stopped<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.planned(&new_run("a"), 1, true).await;
    let dead = desk.dead("w").await;
    let claim = desk.claim("w").await.unwrap();
    desk.ask(run, Request::Stop { now: false }).await;
    assert_eq!(desk.take_over(&dead).await.unwrap(), [(claim.batch.id, BatchStatus::Stopped)]);
}

pub(super) async fn workers_are_forgotten_a_day_after_their_death<DB: Backend>(mut desk: Desk<DB>) {
    let dead = desk.dead("w").await;
    assert!(!dead.forgettable);
    workers::forget::<DB>(&mut desk.conn).await.unwrap();
    desk.look("w").await;
    workers::retire::<DB>(&mut desk.conn, "w").await.unwrap();
    assert!(workers::look::<DB>(&mut desk.conn).await.unwrap().is_empty());
}

pub(super) async fn one_planner_at_a_time<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.insert(&new_run("a")).await;
    assert_eq!(plans::plannable::<DB>(&mut desk.conn, &json_list(&["a"]), None, "v").await.unwrap(), [run]);
    assert!(plans::plannable::<DB>(&mut desk.conn, &json_list(&["b"]), None, "v").await.unwrap().is_empty());
    let queue = json_list(&["slow"]);
    assert!(plans::plannable::<DB>(&mut desk.conn, &json_list(&["a"]), Some(&queue), "v").await.unwrap().is_empty());
    let role = desk.take_plan(run, "v").await.unwrap();
    assert_eq!(desk.status(run).await, RunStatus::Running);
    assert!(desk.take_plan(run, "w").await.is_none());
    assert!(plans::plannable::<DB>(&mut desk.conn, &json_list(&["a"]), None, "w").await.unwrap().is_empty());
    // Who could not give the role back gets it again, under a new epoch.
    assert_eq!(plans::plannable::<DB>(&mut desk.conn, &json_list(&["a"]), None, "v").await.unwrap(), [run]);
    let own = desk.take_plan(run, "v").await.unwrap();
    assert_eq!(own.epoch, role.epoch + 1);
    plans::release::<DB>(&mut desk.conn, &role).await.unwrap();
    assert!(desk.take_plan(run, "w").await.is_none(), "the old epoch gives nothing back");
    plans::release::<DB>(&mut desk.conn, &own).await.unwrap();
    let next = desk.take_plan(run, "w").await.unwrap();
    assert!(!plans::prepare::<DB>(&mut desk.conn, &role).await.unwrap());
    assert!(plans::prepare::<DB>(&mut desk.conn, &next).await.unwrap());
    assert!(!plans::prepare::<DB>(&mut desk.conn, &next).await.unwrap(), "before_run succeeds once");
    assert!(!plans::pin::<DB>(&mut desk.conn, &role, &spec(), &key(9)).await.unwrap());
    assert!(plans::pin::<DB>(&mut desk.conn, &next, &spec(), &key(9)).await.unwrap());
    assert!(!plans::pin::<DB>(&mut desk.conn, &next, &spec(), &key(10)).await.unwrap(), "the upper key is frozen");
    let plan = plans::find::<DB>(&mut desk.conn, run).await.unwrap().unwrap();
    assert_eq!((plan.spec, plan.upper), (Some(spec()), Some(key(9))));
}

pub(super) async fn only_who_asked_user_code_is_suspected_when_the_process_dies<DB: Backend>(mut desk: Desk<DB>) {
    let (asking, idle) = (desk.insert(&new_run("a")).await, desk.insert(&new_run("b")).await);
    let mut dead = desk.dead("u").await;
    let role = desk.take_plan(asking, "u").await.unwrap();
    desk.take_plan(idle, "u").await.unwrap();
    assert!(plans::mark::<DB>(&mut desk.conn, &role, true).await.unwrap());
    desk.take_over(&dead).await.unwrap();
    assert_eq!((desk.planner_losses(asking).await, desk.planner_losses(idle).await), (1, 0));
    assert!(!plans::mark::<DB>(&mut desk.conn, &role, true).await.unwrap(), "the role is lost");
    // Once the answer is pinned, whatever kills the process is something else.
    dead = desk.dead("v").await;
    let role = desk.take_plan(asking, "v").await.unwrap();
    assert!(plans::mark::<DB>(&mut desk.conn, &role, true).await.unwrap());
    assert!(plans::pin::<DB>(&mut desk.conn, &role, &spec(), &key(9)).await.unwrap());
    desk.take_over(&dead).await.unwrap();
    assert_eq!(desk.planner_losses(asking).await, 0);
    // Who goes on planning later asks for the scope again.
    dead = desk.dead("w").await;
    let role = desk.take_plan(asking, "w").await.unwrap();
    assert!(plans::mark::<DB>(&mut desk.conn, &role, true).await.unwrap());
    desk.take_over(&dead).await.unwrap();
    assert_eq!(desk.planner_losses(asking).await, 1);
    let role = desk.take_plan(asking, "x").await.unwrap();
    assert!(plans::mark::<DB>(&mut desk.conn, &role, true).await.unwrap());
    plans::fail::<DB>(&mut desk.conn, &role, "given up").await.unwrap();
    assert!(matches!(desk.ask(asking, Request::Retry).await, Change::Done { .. }));
    assert_eq!(desk.planner_losses(asking).await, 0, "a retry has all its chances again");
}

pub(super) async fn a_plan_advances_from_where_it_is_only<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.insert(&new_run("a")).await;
    let role = desk.take_plan(run, "w").await.unwrap();
    assert_eq!(desk.plan(&role, None, 2, false).await.unwrap().len(), 2);
    assert_eq!(desk.plan(&role, None, 2, false).await, None, "the cursor has moved");
    desk.ask(run, Request::Pause).await;
    assert_eq!(desk.plan(&role, Some(20), 1, false).await, None, "the run is paused");
    desk.ask(run, Request::Resume).await;
    assert!(desk.take_plan(run, "v").await.is_none(), "the planner of before still has the role");
    plans::release::<DB>(&mut desk.conn, &role).await.unwrap();
    let role = desk.take_plan(run, "v").await.unwrap();
    assert_eq!(desk.plan(&role, Some(20), 1, true).await.unwrap().len(), 1);
    assert_eq!(desk.plan(&role, Some(30), 1, true).await, None, "planning has ended");
    let run = desk.run(run).await;
    assert_eq!((run.planned, run.counts.batches, run.total.unwrap().count), (true, 3, 30));
}

pub(super) async fn an_estimate_shows_as_one_until_planning_ends<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.planned(&new_run("a"), 2, false).await;
    assert_eq!(desk.run(run).await.total, None);
    plans::estimate::<DB>(&mut desk.conn, run, Total { count: 500, exact: false }).await.unwrap();
    // As a planner would find it that takes over half-way.
    plans::estimate::<DB>(&mut desk.conn, run, Total { count: 90, exact: false }).await.unwrap();
    assert_eq!(desk.run(run).await.total, Some(Total { count: 500, exact: false }));
    plans::estimate::<DB>(&mut desk.conn, run, Total { count: 5, exact: true }).await.unwrap();
    let total = desk.run(run).await.total;
    assert_eq!(total, Some(Total { count: 20, exact: false }), "more is planned already than was counted");
    let role = desk.take_plan(run, "w").await.unwrap();
    desk.plan(&role, Some(20), 1, true).await.unwrap();
    plans::estimate::<DB>(&mut desk.conn, run, Total { count: 500, exact: false }).await.unwrap();
    assert_eq!(desk.run(run).await.total, Some(Total { count: 30, exact: true }));
}

pub(super) async fn a_run_that_cannot_be_planned_fails_with_its_reason<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.insert(&new_run("a")).await;
    let role = desk.take_plan(run, "w").await.unwrap();
    let planned = desk.plan(&role, None, 2, false).await.unwrap();
    let claim = desk.claim("w").await.unwrap();
    let stale = Role { epoch: 9, ..role.clone() };
    assert_eq!(plans::fail::<DB>(&mut desk.conn, &stale, "x").await.unwrap(), None);
    assert_eq!(plans::fail::<DB>(&mut desk.conn, &role, "no such table").await.unwrap(), Some(vec![planned[1]]));
    let failed = desk.run(run).await;
    assert_eq!((failed.status, failed.error.as_deref()), (RunStatus::Failed, Some("no such table")));
    assert_eq!((failed.counts.pending, failed.counts.stopped), (0, 1));
    assert_eq!(desk.give_back(&claim, Unfinished::Released).await, Some(BatchStatus::Stopped));
    // It can be tried again, and goes on planning.
    assert!(matches!(desk.ask(run, Request::Retry).await, Change::Done { .. }));
    let again = desk.run(run).await;
    assert_eq!((again.error, again.counts.pending), (None, 2));
    assert!(desk.take_plan(run, "w").await.is_some());
}

pub(super) async fn lists_are_filtered_and_come_in_pages<DB: Backend>(mut desk: Desk<DB>) {
    let mut ids = Vec::new();
    for limit in 1..=5 {
        ids.push(desk.insert(&NewRun { limit: Some(limit), ..new_run("a") }).await);
    }
    let other = NewRun { backfiller: Some(Backfiller::new("x", "Bob")), ..new_run("b") };
    let b = desk.planned(&other, 3, true).await;
    let list = async |conn: &mut DB::Connection, filter: runs::Filter| runs::list::<DB>(conn, &filter).await.unwrap();
    let all = runs::Filter { limit: 3, ..Default::default() };
    assert_eq!(list(&mut desk.conn, all.clone()).await, [b, ids[4], ids[3]]);
    let next = runs::Filter { before: Some(ids[3]), ..all.clone() };
    assert_eq!(list(&mut desk.conn, next).await, [ids[2], ids[1], ids[0]]);
    let running = runs::Filter { status: Some(RunStatus::Running), ..all.clone() };
    assert_eq!(list(&mut desk.conn, running).await, [b]);
    let bobs = runs::Filter { backfiller: Some("x".into()), backfill: Some("b".into()), ..all.clone() };
    assert_eq!(list(&mut desk.conn, bobs).await, [b]);
    let either = runs::Filter { among: Some(vec!["b".into(), "it's".into()]), ..all.clone() };
    assert_eq!(list(&mut desk.conn, either).await, [b]);
    let neither = runs::Filter { among: Some(Vec::new()), ..all.clone() };
    assert!(list(&mut desk.conn, neither).await.is_empty());
    let nobodys = runs::Filter { backfiller: Some("'; --".into()), ..all };
    assert!(list(&mut desk.conn, nobodys).await.is_empty());
    assert_eq!(runs::backfill_names::<DB>(&mut desk.conn).await.unwrap(), ["a", "b"]);

    let claim = desk.claim("w").await.unwrap();
    let filter = batches::Filter { limit: 2, ..Default::default() };
    let positions = async |desk: &mut Desk<DB>, filter: batches::Filter| {
        let ids = batches::list::<DB>(&mut desk.conn, b, &filter).await.unwrap();
        let batches = batches::select::<DB>(&mut desk.conn, &ids).await.unwrap();
        batches.iter().map(|batch| batch.position).collect::<Vec<_>>()
    };
    assert_eq!(positions(&mut desk, filter.clone()).await, [1, 2]);
    assert_eq!(positions(&mut desk, batches::Filter { after: Some(2), ..filter.clone() }).await, [3]);
    assert_eq!(positions(&mut desk, batches::Filter { before: Some(3), ..filter.clone() }).await, [1, 2]);
    let latest = batches::Filter { before: Some(u64::MAX), ..filter.clone() };
    assert_eq!(positions(&mut desk, latest).await, [2, 3]);
    let running = batches::Filter { status: Some(BatchStatus::Running), ..filter };
    assert_eq!(positions(&mut desk, running).await, [claim.batch.position]);
}

pub(super) async fn backfills_and_people_are_summed_up<DB: Backend>(mut desk: Desk<DB>) {
    let ada = new_run("a");
    desk.insert(&ada).await;
    let nobody = NewRun { backfiller: None, limit: Some(1), ..new_run("b") };
    desk.insert(&nobody).await;
    let bob = NewRun { backfiller: Some(Backfiller::new(8, "Bob")), limit: Some(2), ..new_run("a") };
    let bobs = desk.insert(&bob).await;
    let renamed = NewRun { backfiller: Some(Backfiller::new(7, "Ada Lovelace")), limit: Some(3), ..new_run("c") };
    desk.insert(&renamed).await;
    desk.ask(bobs, Request::Stop { now: false }).await;

    let summaries = overview::summaries::<DB>(&mut desk.conn).await.unwrap();
    let told: Vec<_> = summaries.iter().map(|s| (s.backfill.as_str(), s.runs, s.status)).collect();
    assert_eq!(told, [("a", 2, RunStatus::Stopped), ("b", 1, RunStatus::Enqueued), ("c", 1, RunStatus::Enqueued)]);
    assert_eq!((summaries[0].last, summaries[0].finished_at.is_some()), (bobs, true));
    assert_eq!(summaries[0].table, None);
    assert_eq!(overview::recent::<DB>(&mut desk.conn, "7", 9).await.unwrap(), ["c", "a"]);
    assert_eq!(overview::recent::<DB>(&mut desk.conn, "7", 1).await.unwrap(), ["c"]);
    assert!(overview::recent::<DB>(&mut desk.conn, "' OR 1", 9).await.unwrap().is_empty());
    let people = overview::backfillers::<DB>(&mut desk.conn, 9).await.unwrap();
    assert_eq!(people, [Backfiller::new(7, "Ada Lovelace"), Backfiller::new(8, "Bob")], "under their last names");
}

pub(super) async fn what_was_committed_is_summed_up_over_time<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.planned(&new_run("a"), 4, true).await;
    let mut claims = Vec::new();
    for _ in 0..4 {
        claims.push(desk.claim("w").await.unwrap());
    }
    let gave_up = Unfinished::GaveUp { error: "péril ".repeat(100), counted: true };
    desk.give_back(&claims[3], gave_up).await;
    // Committed 1, 1.5 and 9 seconds after the epoch, and so many milliseconds after they were begun.
    for (claim, at, took) in [(&claims[0], 1_000, 40), (&claims[1], 1_500, 30), (&claims[2], 9_000, -5)] {
        assert!(desk.complete(claim).await);
        let moved = format!(
            "UPDATE data_drip_backfill_run_batches SET started_at = {}, finished_at = {at} WHERE id = {}",
            at - took,
            claim.batch.id
        );
        DB::execute(&mut desk.conn, Statement::of(moved.leak())).await.unwrap();
    }
    let from = DateTime::<Utc>::UNIX_EPOCH;
    let slices = async |conn: &mut DB::Connection, since: DateTime<Utc>| {
        let slices = overview::throughput::<DB>(conn, run, from, Duration::from_secs(1), since).await.unwrap();
        slices.iter().map(|slice| (slice.index, slice.processed, slice.batches)).collect::<Vec<_>>()
    };
    assert_eq!(slices(&mut desk.conn, from).await, [(1, 20, 2), (9, 10, 1)]);
    assert_eq!(slices(&mut desk.conn, from + chrono::TimeDelta::seconds(2)).await, [(9, 10, 1)]);
    let durations = overview::durations::<DB>(&mut desk.conn, run, 2).await.unwrap();
    let told: Vec<_> = durations.iter().map(|d| (d.position, d.took.as_millis(), d.processed)).collect();
    assert_eq!(told, [(3, 0, 10), (2, 30, 10)], "the latest first; a clock that was set back is no reason to fail");
    let failures = overview::failures::<DB>(&mut desk.conn, run, 8, 9).await.unwrap();
    let told: Vec<_> = failures.iter().map(|f| (f.position, f.error.as_str())).collect();
    assert_eq!(told, [(4, "péril pé")], "characters, not bytes");
}

pub(super) async fn events_tell_who_did_what<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.insert(&new_run("a")).await;
    let ada = Backfiller::new(7, "Ada <script>");
    runs::change::<DB>(&mut desk.conn, run, Request::Pause, Some(&ada)).await.unwrap();
    runs::change::<DB>(&mut desk.conn, run, Request::Pause, Some(&ada)).await.unwrap();
    runs::change::<DB>(&mut desk.conn, run, Request::Resume, None).await.unwrap();
    let events = runs::events::<DB>(&mut desk.conn, run).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| (event.action.as_str(), event.backfiller.as_ref())).collect();
    assert_eq!(told, [("paused", Some(&ada)), ("resumed", None)], "what was refused is no event");
    let run = desk.planned(&new_run("b"), 3, true).await;
    desk.claim("w").await.unwrap();
    runs::change::<DB>(&mut desk.conn, run, Request::Stop { now: false }, None).await.unwrap();
    runs::change::<DB>(&mut desk.conn, run, Request::Stop { now: true }, None).await.unwrap();
    let events = runs::events::<DB>(&mut desk.conn, run).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| event.detail.as_deref().unwrap()).collect();
    assert_eq!(told, ["2 batches not started", "1 batch not started or rolled back"]);
}

pub(super) async fn throughput_is_that_of_the_last_minute<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.planned(&new_run("a"), 2, true).await;
    assert_eq!(desk.run(run).await.throughput, None);
    let claim = desk.claim("w").await.unwrap();
    assert!(desk.complete(&claim).await);
    assert!(desk.run(run).await.throughput.unwrap() > 0.0);
    let old = "UPDATE data_drip_backfill_run_batches SET started_at = 1, finished_at = 2 WHERE status = 'completed'";
    DB::execute(&mut desk.conn, Statement::of(old)).await.unwrap();
    assert_eq!(desk.run(run).await.throughput, None);
}

/// Else whoever needs a great run reads every batch of it.
pub(super) async fn a_sum_that_is_remembered_is_not_read_again_unless_it_does_not_fit<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.planned(&new_run("a"), 3, true).await;
    for _ in 0..2 {
        let claim = desk.claim("w").await.unwrap();
        assert!(desk.complete(&claim).await);
    }
    let old = "UPDATE data_drip_backfill_run_batches SET started_at = 1, finished_at = 1000 WHERE position = 1";
    DB::execute(&mut desk.conn, Statement::of(old)).await.unwrap();
    let until = DateTime::<Utc>::from_timestamp_millis(2_000).unwrap();
    // One that cannot have been read.
    for (batches, processed) in [(1, 509), (2, 20)] {
        let tallies = Tallies::made_up(run, Tally { until, batches, processed: 499 });
        let found = runs::find_with::<DB>(&mut desk.conn, run, &tallies).await.unwrap().unwrap();
        assert_eq!(found.counts.processed, processed, "the sum of {batches}");
    }
}

pub(super) async fn a_backfill_shows_the_table_of_its_last_planned_run<DB: Backend>(mut desk: Desk<DB>) {
    let planned = desk.insert(&new_run("a")).await;
    let role = desk.take_plan(planned, "w").await.unwrap();
    assert!(plans::pin::<DB>(&mut desk.conn, &role, &spec(), &key(30)).await.unwrap());
    desk.insert(&NewRun { limit: Some(1), ..new_run("a") }).await;
    let summaries = overview::summaries::<DB>(&mut desk.conn).await.unwrap();
    assert_eq!((summaries[0].runs, summaries[0].table.as_deref()), (2, Some("t")));
}

pub(super) async fn runs_are_counted_by_status_and_the_settled_ones_for_a_while<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.planned(&new_run("a"), 2, true).await;
    desk.insert(&new_run("b")).await;
    let later = NewRun { start_at: Some(Utc::now() + chrono::TimeDelta::hours(1)), ..new_run("c") };
    desk.insert(&later).await;
    let pending = plans::pending::<DB>(&mut desk.conn, run).await.unwrap();
    assert_eq!((pending.due, pending.all), (2, 2));
    let counts = runs::counts::<DB>(&mut desk.conn, TTL).await.unwrap();
    assert_eq!((counts.pending, counts.enqueued, counts.running, counts.stopped), (1, 1, 1, 0));
    desk.ask(run, Request::Stop { now: false }).await;
    let counts = runs::counts::<DB>(&mut desk.conn, TTL).await.unwrap();
    assert_eq!((counts.running, counts.stopped), (0, 1));
    let long_ago = "UPDATE data_drip_backfill_runs SET finished_at = 1 WHERE finished_at IS NOT NULL";
    DB::execute(&mut desk.conn, Statement::of(long_ago)).await.unwrap();
    assert_eq!(runs::counts::<DB>(&mut desk.conn, TTL).await.unwrap().stopped, 0);
}

pub(super) async fn workers_are_shown_with_what_they_hold<DB: Backend>(mut desk: Desk<DB>) {
    desk.worker("dead", Duration::ZERO).await;
    desk.worker("w", TTL).await;
    let run = desk.planned(&new_run("a"), 2, false).await;
    let claim = desk.claim("w").await.unwrap();
    desk.take_plan(run, "w").await.unwrap();
    // The clock may still stand where the lease ended.
    DB::execute(&mut desk.conn, Statement::of("UPDATE data_drip_workers SET expires_at = 1 WHERE id = 'dead'"))
        .await
        .unwrap();
    let shown = workers::show::<DB>(&mut desk.conn).await.unwrap();
    let told: Vec<_> = shown.iter().map(|worker| (worker.id.as_str(), worker.alive)).collect();
    assert_eq!(told, [("w", true), ("dead", false)], "the living first");
    let (claims, plans) = (&shown[0].claims, &shown[0].plans);
    assert_eq!((claims.len(), claims[0].batch_id, claims[0].position), (1, claim.batch.id, 1));
    assert_eq!((plans.len(), plans[0].run_id, plans[0].backfill.as_str()), (1, run, "a"));
    assert!(shown[1].claims.is_empty() && shown[1].plans.is_empty());
}

pub(super) async fn what_was_said_is_kept_in_its_order_until_the_run_is_deleted<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.planned(&new_run("a"), 1, true).await;
    let claim = desk.claim("w").await.unwrap();
    let odd = "it's \"quoted\", back\\slashed,\nin two lines: \u{1f600} <b>?1 %s";
    let fields = json!({"who": odd, "n": 3}).as_object().unwrap().clone();
    let at = DateTime::from_timestamp_millis(1_700_000_000_123).unwrap();
    let said = |message: &str, level, dropped| {
        let (target, fields) = ("app::code".to_owned(), fields.clone());
        Said { at, level, target, message: message.to_owned(), fields, dropped }
    };
    let page = |epoch, lines| Page { run, batch: claim.batch.id, epoch, lines };
    let first = page(claim.epoch, vec![said(odd, LogLevel::Info, 0), said("", LogLevel::Error, 4)]);
    logs::write::<DB>(&mut desk.conn, run, &[first], 1).await.unwrap();
    // Of the next attempt.
    let second = page(claim.epoch + 1, vec![said("last", LogLevel::Debug, 0)]);
    logs::write::<DB>(&mut desk.conn, run, &[second], 0).await.unwrap();
    let totals = logs::totals::<DB>(&mut desk.conn, run).await.unwrap();
    assert_eq!(totals, LogTotals { kept: 3, dropped: 5 });

    let all = logs::Filter { batch: None, level: None, after: None, before: None, backwards: false, limit: 9 };
    let lines = logs::list::<DB>(&mut desk.conn, run, &all).await.unwrap();
    let told: Vec<_> = lines.iter().map(|line| (line.message.as_str(), line.level, line.dropped)).collect();
    assert_eq!(told, [(odd, LogLevel::Info, 0), ("", LogLevel::Error, 4), ("last", LogLevel::Debug, 0)]);
    let line = &lines[0];
    assert_eq!((line.at, line.target.as_str(), &line.fields), (at, "app::code", &fields));
    assert_eq!((line.run_id, line.batch_id, line.position, line.claim), (run, claim.batch.id, 1, claim.epoch));
    let bad = logs::Filter { level: Some(LogLevel::Info), batch: Some(claim.batch.id), ..all.clone() };
    let bad = logs::Filter { after: Some(lines[0].id), backwards: true, ..bad };
    let ids = |lines: Vec<crate::logs::LogLine>| lines.iter().map(|line| line.id).collect::<Vec<_>>();
    assert_eq!(ids(logs::list::<DB>(&mut desk.conn, run, &bad).await.unwrap()), [lines[1].id]);

    desk.ask(run, Request::Stop { now: true }).await;
    assert!(matches!(desk.ask(run, Request::Delete).await, Change::Done { .. }));
    assert!(logs::list::<DB>(&mut desk.conn, run, &all).await.unwrap().is_empty());
    // Who is late finds no run to write to.
    let late = page(claim.epoch + 2, vec![said("late", LogLevel::Info, 0)]);
    logs::write::<DB>(&mut desk.conn, run, &[late], 0).await.unwrap();
    assert_eq!(logs::totals::<DB>(&mut desk.conn, run).await.unwrap(), LogTotals::default());
}

/// As after a commit whose answer was lost: who wrote it writes it again.
pub(super) async fn lines_that_are_written_twice_are_kept_and_counted_once<DB: Backend>(mut desk: Desk<DB>) {
    let run = desk.planned(&new_run("a"), 2, true).await;
    let (one, other) = (desk.claim("w").await.unwrap(), desk.claim("w").await.unwrap());
    let said = |dropped| Said {
        at: Utc::now(),
        level: LogLevel::Info,
        target: String::new(),
        message: "said".into(),
        fields: serde_json::Map::new(),
        dropped,
    };
    let page = |claim: &Claim, lines| Page { run, batch: claim.batch.id, epoch: claim.epoch, lines };
    let pages = [page(&one, vec![said(0), said(3)]), page(&other, vec![said(0)])];
    for _ in 0..2 {
        logs::write::<DB>(&mut desk.conn, run, &pages, 5).await.unwrap();
        assert_eq!(logs::totals::<DB>(&mut desk.conn, run).await.unwrap(), LogTotals { kept: 3, dropped: 8 });
    }
    // What the same batches say in their next attempts is something else.
    desk.give_back(&one, Unfinished::Released).await;
    let again = desk.claim("w").await.unwrap();
    assert_eq!(again.batch.id, one.batch.id);
    logs::write::<DB>(&mut desk.conn, run, &[page(&again, vec![said(0)])], 0).await.unwrap();
    assert_eq!(logs::totals::<DB>(&mut desk.conn, run).await.unwrap(), LogTotals { kept: 4, dropped: 8 });
    let all = logs::Filter { batch: None, level: None, after: None, before: None, backwards: false, limit: 9 };
    assert_eq!(logs::list::<DB>(&mut desk.conn, run, &all).await.unwrap().len(), 4);
}

/// Each step changes what a page of the run shows, and leaves another run alone.
pub(super) async fn a_run_has_another_mark_after_each_change<DB: Backend>(mut desk: Desk<DB>) {
    let other = desk.insert(&new_run("b")).await;
    let run = desk.insert(&new_run("a")).await;
    let mut before = desk.marks(&[run, other]).await;
    let mut differs = async |desk: &mut Desk<DB>, what: &str| {
        let now = desk.marks(&[run, other]).await;
        assert_ne!(now.of(Marked::Run(run)), before.of(Marked::Run(run)), "{what}");
        assert_eq!(now.of(Marked::Run(other)), before.of(Marked::Run(other)), "{what}");
        assert_eq!(now, desk.marks(&[run, other]).await, "{what}: looked at again");
        before = now;
    };
    let role = desk.take_plan(run, "planner").await.unwrap();
    differs(&mut desk, "begun").await;
    plans::estimate::<DB>(&mut desk.conn, run, Total { count: 4_000, exact: false }).await.unwrap();
    differs(&mut desk, "counted").await;
    desk.plan(&role, None, 5, true).await;
    differs(&mut desk, "planned").await;
    let first = desk.claim("w").await.unwrap();
    differs(&mut desk, "claimed").await;
    let again = Unfinished::Attempt { error: "no luck".into(), again_in: TTL };
    desk.give_back(&first, again).await;
    differs(&mut desk, "to be tried again").await;
    let second = desk.claim("w").await.unwrap();
    differs(&mut desk, "claimed").await;
    let (message, target) = ("half way".to_owned(), String::new());
    let said = Said {
        at: Utc::now(),
        level: LogLevel::Info,
        target,
        message,
        fields: json!({}).as_object().unwrap().clone(),
        dropped: 0,
    };
    let page = Page { run, batch: second.batch.id, epoch: second.epoch, lines: vec![said] };
    logs::write::<DB>(&mut desk.conn, run, &[page], 0).await.unwrap();
    differs(&mut desk, "said").await;
    assert!(desk.complete(&second).await);
    differs(&mut desk, "completed").await;
    let third = desk.claim("w").await.unwrap();
    differs(&mut desk, "claimed").await;
    let poison = Unfinished::GaveUp { error: "poison".into(), counted: true };
    desk.give_back(&third, poison.clone()).await;
    differs(&mut desk, "failed").await;
    let fourth = desk.claim("w").await.unwrap();
    differs(&mut desk, "claimed").await;
    // As many are in flight as before.
    desk.give_back(&fourth, poison).await;
    desk.claim("w").await.unwrap();
    differs(&mut desk, "failed, and the next one claimed").await;
    desk.ask(run, Request::Stop { now: false }).await;
    differs(&mut desk, "stopped").await;
    desk.ask(run, Request::Resume).await;
    differs(&mut desk, "resumed").await;
    desk.ask(run, Request::Stop { now: true }).await;
    differs(&mut desk, "stopped").await;
    desk.ask(run, Request::Delete).await;
    differs(&mut desk, "deleted").await;
    assert_eq!(desk.marks(&[run]).await.of(Marked::Run(run)), Some(&None), "it is not there");
}

pub(super) async fn runs_and_workers_have_marks_of_their_own<DB: Backend>(mut desk: Desk<DB>) {
    let empty = desk.marks(&[]).await;
    let run = desk.insert(&new_run("a")).await;
    let one = desk.marks(&[]).await;
    assert_ne!(one.of(Marked::Runs), empty.of(Marked::Runs));
    assert_eq!(one.of(Marked::Workers), empty.of(Marked::Workers));
    assert_eq!(one.of(Marked::Run(run)), None, "it was not asked for");
    desk.ask(run, Request::Pause).await;
    let paused = desk.marks(&[]).await;
    assert_ne!(paused.of(Marked::Runs), one.of(Marked::Runs));
    desk.worker("w", TTL).await;
    let worked = desk.marks(&[]).await;
    assert_eq!(worked.of(Marked::Runs), paused.of(Marked::Runs));
    assert_ne!(worked.of(Marked::Workers), paused.of(Marked::Workers));
}

macro_rules! conformance {
    ($($behaviour:ident),* $(,)?) => {
        #[cfg(feature = "sqlite")]
        mod promise_10_one_semantics_on_sqlite {
            $(
                #[tokio::test]
                async fn $behaviour() {
                    let (file, mut conn) = crate::store::sqlite::testing::File::with("").await;
                    crate::store::sqlite::migrate::apply(&mut conn).await.unwrap();
                    super::$behaviour::<sqlx::Sqlite>(super::Desk::new(conn, file.options()).await).await;
                }
            )*
        }

        #[cfg(feature = "mysql")]
        mod promise_10_one_semantics_on_mysql {
            $(
                #[tokio::test]
                async fn $behaviour() {
                    let Some(schema) = crate::store::mysql::testing::Schema::new().await else { return };
                    crate::store::mysql::migrate::apply(&schema.options()).await.unwrap();
                    let conn = schema.connect().await;
                    super::$behaviour::<sqlx::MySql>(super::Desk::new(conn, schema.options()).await).await;
                }
            )*
        }

        #[cfg(feature = "postgres")]
        mod promise_10_one_semantics_on_postgres {
            $(
                #[tokio::test]
                async fn $behaviour() {
                    let Some(schema) = crate::store::postgres::testing::Schema::new().await else { return };
                    crate::store::postgres::migrate::apply(&schema.options()).await.unwrap();
                    let conn = schema.connect().await;
                    super::$behaviour::<sqlx::Postgres>(super::Desk::new(conn, schema.options()).await).await;
                }
            )*
        }
    };
}

conformance! {
    a_run_is_stored_as_it_was_asked_for, an_identical_active_run_is_refused_and_named, a_run_waits_for_its_start_time,
    requests_follow_the_table_of_transitions, batches_are_claimed_in_order_and_once,
    only_runs_that_a_worker_may_take_are_claimed, a_run_that_does_not_run_gives_no_batches, runs_take_turns,
    concurrency_bounds_batches_in_flight_of_one_run, a_completion_brings_the_next_claim,
    a_batch_makes_room_for_the_next_of_its_own_run, a_lost_claim_completes_nothing, a_batch_that_failed_waits_for_its_retry_time,
    each_attempt_has_a_new_epoch_and_an_old_one_changes_nothing,
    a_stopped_run_keeps_what_is_in_flight_and_stops_the_rest, stopped_now_nothing_in_flight_can_commit,
    a_run_settles_when_nothing_is_open, a_paused_run_does_not_settle,
    one_failed_batch_fails_the_run_and_can_be_retried, a_resume_that_collides_names_the_newer_run,
    a_retry_that_collides_names_the_newer_run_and_changes_nothing,
    a_run_is_deleted_when_settled_and_not_in_flight, a_dead_worker_loses_what_it_held,
    who_beats_meanwhile_is_not_taken_over, a_holder_whose_row_is_gone_is_taken_over,
    only_losses_while_alone_count_towards_giving_up, a_batch_lost_in_a_stopped_run_is_stopped,
    workers_are_forgotten_a_day_after_their_death, one_planner_at_a_time, only_who_asked_user_code_is_suspected_when_the_process_dies, a_plan_advances_from_where_it_is_only,
    an_estimate_shows_as_one_until_planning_ends, a_run_that_cannot_be_planned_fails_with_its_reason,
    lists_are_filtered_and_come_in_pages, backfills_and_people_are_summed_up, what_was_committed_is_summed_up_over_time,
    events_tell_who_did_what, throughput_is_that_of_the_last_minute,
    a_sum_that_is_remembered_is_not_read_again_unless_it_does_not_fit,
    a_backfill_shows_the_table_of_its_last_planned_run, runs_are_counted_by_status_and_the_settled_ones_for_a_while,
    a_run_has_another_mark_after_each_change, runs_and_workers_have_marks_of_their_own,
    workers_are_shown_with_what_they_hold, what_was_said_is_kept_in_its_order_until_the_run_is_deleted,
    lines_that_are_written_twice_are_kept_and_counted_once,
}
