//! Claims and transitions that happen at once: what a database with many writers has to order.

use std::sync::Arc;
use std::time::Duration;

use sqlx::MySqlPool;
use sqlx::mysql::{MySql, MySqlConnection};
use tokio::sync::Barrier;

use crate::backend::{Backend, Statement};
use crate::key::{Key, KeyPart, KeyRange};
use crate::logs::{LogLevel, Said};
use crate::run::{BatchId, RunId};
use crate::status::{BatchStatus, RunStatus};
use crate::store::batches::{self, Claim, Unfinished, Wanted};
use crate::store::logs::{self, Page};
use crate::store::mysql::testing::{Schema, int, run, until_lock_wait};
use crate::store::plans::{self, Advance};
use crate::store::runs::{self, Change, NewRun, Request};

const SILENCE: Duration = Duration::from_secs(20);

fn wanted(worker: usize) -> Wanted {
    Wanted { worker: format!("w{worker}"), backfills: "[\"a\"]".into(), queues: None }
}

fn key(n: usize) -> Key {
    Key(vec![KeyPart { tag: "bigint".into(), text: n.to_string() }])
}

/// A schema with a running run of so many batches.
async fn planned(batches: usize, concurrency: Option<u32>) -> Option<(Schema, MySqlPool, RunId)> {
    let (schema, pool) = migrated("utf8mb4").await?;
    let keys: Vec<_> = (1..=batches).map(key).collect();
    let run = plan(&mut pool.acquire().await.unwrap(), concurrency, &keys).await;
    Some((schema, pool, run))
}

/// The engine's tables, in a database of this character set.
async fn migrated(set: &str) -> Option<(Schema, MySqlPool)> {
    let schema = Schema::of_character_set(set).await?;
    crate::store::mysql::migrate::apply(&schema.options()).await.unwrap();
    let pool = schema.pool();
    Some((schema, pool))
}

/// A running run with a batch up to each of these keys.
async fn plan(conn: &mut MySqlConnection, concurrency: Option<u32>, keys: &[Key]) -> RunId {
    let run = runs::insert::<MySql>(conn, &new_run(concurrency)).await.unwrap().unwrap();
    let (role, _) = plans::take::<MySql>(conn, run, "planner").await.unwrap().unwrap();
    let after = [None].into_iter().chain(keys.iter().cloned().map(Some));
    let ranges: Vec<_> = after.zip(keys.iter().cloned()).map(|(after, upto)| (KeyRange { after, upto }, 1)).collect();
    let step = Advance { from: None, to: keys.last(), batches: &ranges, position: 1, done: true, call: false };
    plans::advance::<MySql>(conn, &role, &step).await.unwrap().unwrap();
    run
}

fn new_run(concurrency: Option<u32>) -> NewRun {
    NewRun {
        backfill: "a".into(),
        options: serde_json::Map::new(),
        batch_size: 1,
        sleep: Duration::ZERO,
        limit: None,
        queue: "default".into(),
        concurrency,
        max_attempts: 1,
        timeout_ms: None,
        backfiller: None,
        start_at: None,
    }
}

async fn claim(conn: &mut MySqlConnection, worker: usize) -> Option<Claim> {
    batches::claim::<MySql>(conn, &wanted(worker), &[], None).await.unwrap()
}

async fn complete(schema: &Schema, conn: &mut MySqlConnection, claim: &Claim) -> bool {
    let session = schema.session(conn).await;
    let mut tx = MySql::begin_batch(conn, &session, claim.fence().to_string(), SILENCE).await.unwrap();
    let completed = batches::complete::<MySql>(&mut tx, claim, 1).await.unwrap();
    if completed {
        tx.commit().await.unwrap();
    } else {
        tx.rollback().await.unwrap();
    }
    completed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_who_claim_at_once_share_the_batches_without_one_twice() {
    const BATCHES: usize = 200;
    let Some((_schema, pool, _)) = planned(BATCHES, None).await else { return };
    let barrier = Arc::new(Barrier::new(8));
    let claimers = (0..8).map(|worker| {
        let (pool, barrier) = (pool.clone(), Arc::clone(&barrier));
        tokio::spawn(async move {
            let mut conn = pool.acquire().await.unwrap();
            barrier.wait().await;
            let mut claimed = Vec::new();
            // Nothing to claim can mean that the rest is locked by a claim that is being committed.
            while batches::peek::<MySql>(&mut conn, &wanted(worker), &[]).await.unwrap() {
                claimed.extend(claim(&mut conn, worker).await.map(|claim| claim.batch.position));
            }
            claimed
        })
    });
    let mut all = Vec::new();
    for claimer in claimers.collect::<Vec<_>>() {
        all.extend(claimer.await.unwrap());
    }
    all.sort_unstable();
    assert_eq!(all, (1..=BATCHES as u64).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_on_concurrency_holds_when_many_claim_at_once() {
    const BATCHES: usize = 60;
    let Some((schema, pool, _)) = planned(BATCHES, Some(2)).await else { return };
    let schema = Arc::new(schema);
    let claimers = (0..6).map(|worker| {
        let (pool, schema) = (pool.clone(), Arc::clone(&schema));
        tokio::spawn(async move {
            let mut conn = pool.acquire().await.unwrap();
            let mut most = 0;
            let open = "SELECT COUNT(*) FROM data_drip_backfill_run_batches WHERE status IN ('pending', 'running')";
            while int(&mut conn, open).await > 0 {
                let Some(claim) = claim(&mut conn, worker).await else { continue };
                let running = "SELECT COUNT(*) FROM data_drip_backfill_run_batches WHERE status = 'running'";
                most = most.max(int(&mut conn, running).await);
                assert!(complete(&schema, &mut conn, &claim).await);
            }
            most
        })
    });
    let mut most = 0;
    for claimer in claimers.collect::<Vec<_>>() {
        most = most.max(claimer.await.unwrap());
    }
    assert!((1..=2).contains(&most), "{most} in flight");
}

#[tokio::test]
async fn a_permit_is_free_however_its_batch_ended() {
    let Some((schema, pool, run_id)) = planned(6, Some(1)).await else { return };
    let mut conn = pool.acquire().await.unwrap();
    let conn = &mut *conn;
    let first = claim(conn, 1).await.unwrap();
    assert!(claim(conn, 2).await.is_none());
    assert!(!batches::peek::<MySql>(conn, &wanted(2), &[]).await.unwrap(), "whoever looks first finds the same");
    assert!(complete(&schema, conn, &first).await);
    let released = claim(conn, 1).await.unwrap();
    batches::give_back::<MySql>(conn, &released.fence(), &Unfinished::Released).await.unwrap();
    let failed = claim(conn, 1).await.unwrap();
    let how = Unfinished::GaveUp { error: "x".into(), counted: true };
    batches::give_back::<MySql>(conn, &failed.fence(), &how).await.unwrap();
    let revoked = claim(conn, 1).await.unwrap();
    assert!(claim(conn, 2).await.is_none());
    runs::change::<MySql>(conn, run_id, Request::Stop { now: true }, None).await.unwrap();
    runs::change::<MySql>(conn, run_id, Request::Resume, None).await.unwrap();
    plans::take::<MySql>(conn, run_id, "planner").await.unwrap().unwrap();
    assert!(!complete(&schema, conn, &revoked).await);
    assert!(claim(conn, 1).await.is_some());
}

#[tokio::test]
async fn a_stop_now_does_not_wait_for_the_batch_in_flight_and_what_it_revokes_cannot_commit() {
    let Some((schema, pool, run_id)) = planned(2, None).await else { return };
    let (mut worker, mut person) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let claim = claim(&mut worker, 1).await.unwrap();
    let session = schema.session(&mut worker).await;
    let mut tx = MySql::begin_batch(&mut worker, &session, claim.fence().to_string(), SILENCE).await.unwrap();
    let seen = batches::check::<MySql>(&mut tx, &claim).await.unwrap();
    assert_eq!(seen.map(|seen| seen.status), Some(RunStatus::Running));
    let change = runs::change::<MySql>(&mut person, run_id, Request::Stop { now: true }, None).await.unwrap();
    assert!(matches!(change, Change::Done { batches, .. } if batches.len() == 2));
    assert!(!batches::complete::<MySql>(&mut tx, &claim, 1).await.unwrap());
}

#[tokio::test]
async fn a_stop_now_that_meets_a_completion_waits_for_its_commit_and_lets_it_count() {
    let Some((schema, pool, run_id)) = planned(1, None).await else { return };
    let (mut worker, mut person) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let claim = claim(&mut worker, 1).await.unwrap();
    let session = schema.session(&mut worker).await;
    let mut tx = MySql::begin_batch(&mut worker, &session, claim.fence().to_string(), SILENCE).await.unwrap();
    assert!(batches::complete::<MySql>(&mut tx, &claim, 1).await.unwrap());
    let stopping = tokio::spawn(async move {
        runs::change::<MySql>(&mut person, run_id, Request::Stop { now: true }, None).await.unwrap()
    });
    until_blocked(&pool).await;
    tx.commit().await.unwrap();
    assert!(matches!(stopping.await.unwrap(), Change::Done { batches, .. } if batches.is_empty()));
    let batch = batches::select::<MySql>(&mut worker, &[claim.batch.id]).await.unwrap().pop().unwrap();
    assert_eq!(batch.status, BatchStatus::Completed);
}

/// Should the process die in the next moment, the loss has to count.
#[tokio::test]
async fn a_batch_that_runs_alone_is_marked_for_everybody_on_the_connection_of_a_chain_too() {
    let Some((schema, pool, _)) = planned(2, None).await else { return };
    let (mut worker, mut other) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let first = claim(&mut worker, 1).await.unwrap();
    assert!(complete(&schema, &mut worker, &first).await);
    let second = claim(&mut other, 1).await.unwrap();
    assert!(batches::mark_lone::<MySql>(&mut worker, &second).await.unwrap());
    let marked = "SELECT COUNT(*) FROM data_drip_backfill_run_batches WHERE lone_epoch = epoch AND status = 'running'";
    assert_eq!(int(&mut other, marked).await, 1);
}

/// Until some transaction of this database waits for a lock.
async fn until_blocked(pool: &MySqlPool) {
    until_lock_wait(&mut pool.acquire().await.unwrap()).await;
}

#[tokio::test]
async fn a_resume_that_meets_the_same_run_being_started_names_it() {
    let Some((_schema, pool, old)) = planned(1, None).await else { return };
    let mut conn = pool.acquire().await.unwrap();
    runs::change::<MySql>(&mut conn, old, Request::Stop { now: false }, None).await.unwrap();
    // Started, and not committed yet: nobody sees it, but its key is taken.
    let mut host = pool.begin().await.unwrap();
    let newer = runs::insert::<MySql>(&mut host, &new_run(None)).await.unwrap().unwrap();
    let resuming =
        tokio::spawn(async move { runs::change::<MySql>(&mut conn, old, Request::Resume, None).await.unwrap() });
    until_blocked(&pool).await;
    host.commit().await.unwrap();
    assert_eq!(resuming.await.unwrap(), Change::Duplicate(newer));
}

/// A claim, a completion and a look at what is open stay as quick with many batches and many runs as with few.
#[tokio::test]
async fn claims_and_settling_read_what_they_need_and_no_more() {
    let Some((_schema, pool, run_id)) = planned(1, Some(1)).await else { return };
    assert_eq!(run_id, RunId(1));
    let mut conn = pool.acquire().await.unwrap();
    let values = |from: u32, upto: u32, rest: &str| {
        (from..upto).map(|n| format!("(1, {n}, '[]', 1, {rest})")).collect::<Vec<_>>().join(", ")
    };
    let columns = "run_id, position, upto_key, planned_size, status, due_at, processed, started_at, finished_at";
    for (from, rest) in [(10, "'completed', 0, 1, 1, 1"), (100_000, "'pending', 0, NULL, NULL, NULL")] {
        for portion in 0..10 {
            let from = from + portion * 5_000;
            let values = values(from, from + 5_000, rest);
            run(&mut conn, &format!("INSERT INTO data_drip_backfill_run_batches ({columns}) VALUES {values}")).await;
        }
    }
    let runs = ["('a', '{}', 1, 0, 'default', 1, 'completed', 1, 1, 1, 1)"; 1_000].join(", ");
    run(
        &mut conn,
        &format!(
            "INSERT INTO data_drip_backfill_runs (backfill, options, batch_size, sleep_ms, queue, max_attempts, status,
                 created_at, started_at, finished_at, planned) VALUES {runs}"
        ),
    )
    .await;
    run(&mut conn, "ANALYZE TABLE data_drip_backfill_run_batches, data_drip_backfill_runs, data_drip_run_permits")
        .await;
    let sql = MySql::SQL;
    let lists = |statement: Statement| statement.bind("[\"a\"]").bind(None::<String>).bind("[]");
    for (what, statement) in [
        ("peek", lists(Statement::of(sql.peek_batch))),
        ("claim", lists(Statement::of(sql.claim_batch).bind("w")).bind(0_i64)),
        ("complete", Statement::of(sql.complete_batch).bind(1_i64).bind("w").bind(1_i64).bind(1_i64)),
        ("settle", Statement::of(sql.select_settleable_runs)),
        ("held", Statement::of(sql.select_claims).bind("w")),
        ("workers", Statement::of(sql.select_workers)),
        ("orphans", Statement::of(sql.select_orphans)),
    ] {
        run(&mut conn, "FLUSH STATUS").await;
        MySql::fetch(&mut conn, statement).await.unwrap();
        let read = "SELECT CAST(SUM(variable_value) AS SIGNED) FROM information_schema.session_status
            WHERE variable_name LIKE 'Handler_read%'";
        let read = int(&mut conn, read).await;
        assert!(read < 60, "{what} reads {read}");
    }
}

/// Asked after each batch that fails: with a million of them it must not read all that failed before.
#[tokio::test]
async fn whether_a_run_is_over_is_seen_without_a_look_at_every_batch_that_failed_or_waits() {
    let Some((_schema, pool, run_id)) = planned(1, None).await else { return };
    assert_eq!(run_id, RunId(1));
    let mut conn = pool.acquire().await.unwrap();
    let mine = claim(&mut conn, 1).await.unwrap();
    let columns = "run_id, position, upto_key, planned_size, status, due_at, error, started_at, finished_at";
    for (from, rest) in [(10, "'failed', 0, 'x', 1, 1"), (100_000, "'pending', 0, NULL, NULL, NULL")] {
        for portion in 0..10 {
            let from = from + portion * 5_000;
            let values =
                (from..from + 5_000).map(|n| format!("(1, {n}, '[]', 1, {rest})")).collect::<Vec<_>>().join(", ");
            run(&mut conn, &format!("INSERT INTO data_drip_backfill_run_batches ({columns}) VALUES {values}")).await;
        }
    }
    run(&mut conn, "ANALYZE TABLE data_drip_backfill_run_batches").await;
    let look = async |conn: &mut MySqlConnection, what: &str| {
        run(conn, "FLUSH STATUS").await;
        let outcome = runs::outcome::<MySql>(conn, run_id).await.unwrap();
        let read = "SELECT CAST(SUM(variable_value) AS SIGNED) FROM information_schema.session_status
            WHERE variable_name LIKE 'Handler_read%'";
        let read = int(conn, read).await;
        assert!(read < 60, "{what}: reads {read}");
        outcome
    };
    assert_eq!(look(&mut conn, "some wait").await, None);
    run(&mut conn, "DELETE FROM data_drip_backfill_run_batches WHERE status = 'pending'").await;
    assert_eq!(look(&mut conn, "one is at work").await, None);
    let how = Unfinished::GaveUp { error: "x".into(), counted: true };
    batches::give_back::<MySql>(&mut conn, &mine.fence(), &how).await.unwrap();
    assert_eq!(look(&mut conn, "all have failed").await, Some(RunStatus::Failed));
    assert_eq!(runs::settle::<MySql>(&mut conn, run_id).await.unwrap(), Some(RunStatus::Failed));
}

#[tokio::test]
async fn what_a_page_asks_for_every_second_reads_what_is_new_and_not_the_whole_run() {
    let Some((_schema, pool, run_id)) = planned(2_000, None).await else { return };
    let mut conn = pool.acquire().await.unwrap();
    run(
        &mut conn,
        "UPDATE data_drip_backfill_run_batches SET worker = 'w', started_at = 1, finished_at = position * 1000, processed = 1,
             status = 'completed';
         UPDATE data_drip_backfill_run_batches SET status = 'failed', error = 'x', processed = NULL WHERE position > 1997;
         ANALYZE TABLE data_drip_backfill_run_batches, data_drip_backfill_runs",
    )
    .await;
    let sql = MySql::SQL;
    let asked = format!("[[{run_id},1990000]]");
    for (what, statement) in [
        ("the run", Statement::of(sql.select_runs).bind(asked)),
        ("durations", Statement::of(sql.select_durations).bind(run_id.0).bind(5_i64)),
        ("failures", Statement::of(sql.select_failures).bind(run_id.0).bind(9_i64).bind(5_i64)),
        (
            "throughput",
            Statement::of(sql.select_throughput).bind(run_id.0).bind(0_i64).bind(1_000_i64).bind(1_990_000_i64),
        ),
    ] {
        run(&mut conn, "FLUSH STATUS").await;
        assert!(!MySql::fetch(&mut conn, statement).await.unwrap().is_empty(), "{what}");
        let read = "SELECT CAST(SUM(variable_value) AS SIGNED) FROM information_schema.session_status
            WHERE variable_name LIKE 'Handler_read%'";
        let read = int(&mut conn, read).await;
        assert!(read < 80, "{what} reads {read}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_writes_logs_of_one_run_at_the_same_time_waits_and_loses_no_line() {
    const WRITERS: usize = 4;
    const PAGES: usize = 25;
    let Some((_schema, pool, run)) = planned(1, None).await else { return };
    let begin = Arc::new(Barrier::new(WRITERS));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (pool, begin) = (pool.clone(), Arc::clone(&begin));
            tokio::spawn(async move {
                let mut conn = pool.acquire().await.unwrap();
                begin.wait().await;
                for number in 0..PAGES {
                    let page = page(run, i64::try_from(writer * PAGES + number).unwrap());
                    logs::write::<MySql>(&mut conn, run, &[page], 0).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut conn = pool.acquire().await.unwrap();
    let kept = logs::totals::<MySql>(&mut conn, run).await.unwrap().kept;
    assert_eq!(kept, (WRITERS * PAGES) as u64);
    let lines = int(&mut conn, "SELECT COUNT(*) FROM data_drip_run_logs").await;
    assert_eq!(usize::try_from(lines).unwrap(), WRITERS * PAGES);
}

fn page(run: RunId, epoch: i64) -> Page {
    let said = Said {
        at: chrono::DateTime::UNIX_EPOCH,
        level: LogLevel::Info,
        target: String::new(),
        message: "said".to_owned(),
        fields: serde_json::Map::new(),
        dropped: 0,
    };
    Page { run, batch: BatchId(1), epoch, lines: vec![said] }
}

/// What is planned and said goes through JSON, whose text has the character set of the database where nothing else is said.
#[tokio::test]
async fn keys_and_lines_are_kept_whole_whatever_the_character_set_of_the_database() {
    for set in ["latin1", "utf8mb3", "utf8mb4"] {
        let Some((_schema, pool)) = migrated(set).await else { return };
        let mut conn = pool.acquire().await.unwrap();
        let keys = ["日本", "Иван 😀"].map(|text| Key(vec![KeyPart { tag: "varchar".into(), text: text.into() }]));
        let run = plan(&mut conn, None, &keys).await;
        claim(&mut conn, 1).await.unwrap();
        let second = claim(&mut conn, 1).await.unwrap();
        let range = KeyRange { after: Some(keys[0].clone()), upto: keys[1].clone() };
        assert_eq!(second.batch.range, range, "{set}");
        let message = "😀 → Ж".to_owned();
        let said = Said {
            at: chrono::Utc::now(),
            level: LogLevel::Info,
            target: "Ж".into(),
            message: message.clone(),
            fields: serde_json::Map::new(),
            dropped: 0,
        };
        let page = Page { run, batch: second.batch.id, epoch: second.epoch, lines: vec![said] };
        logs::write::<MySql>(&mut conn, run, &[page], 0).await.unwrap();
        let kept: String =
            sqlx::query_scalar("SELECT message FROM data_drip_run_logs").fetch_one(&mut *conn).await.unwrap();
        assert_eq!(kept, message, "{set}");
    }
}

#[tokio::test]
async fn nothing_is_completed_where_user_code_has_every_statement_commit_itself() {
    let Some((schema, pool, _)) = planned(1, None).await else { return };
    let mut conn = pool.acquire().await.unwrap();
    let mine = claim(&mut conn, 1).await.unwrap();
    let session = schema.session(&mut conn).await;
    let fence = mine.fence().to_string();
    let mut tx = MySql::begin_batch(&mut conn, &session, fence, SILENCE).await.unwrap();
    run(&mut tx, "COMMIT; SET autocommit = 1").await;
    assert!(!batches::complete::<MySql>(&mut tx, &mine, 1).await.unwrap());
}
