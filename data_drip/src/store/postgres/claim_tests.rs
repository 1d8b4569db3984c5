//! Claims and transitions that happen at once: what a database with many writers has to order.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnection, Postgres};
use tokio::sync::Barrier;

use crate::backend::{Backend, Session, Statement};
use crate::key::{Key, KeyPart, KeyRange};
use crate::run::{BatchId, RunBatch, RunId};
use crate::status::{BatchStatus, RunStatus};
use crate::store::batches::{self, Claim, Unfinished, Wanted};
use crate::store::plans::{self, Advance};
use crate::store::postgres::session::PostgresSession;
use crate::store::postgres::testing::{Schema, int, run};
use crate::store::runs::{self, Change, NewRun, Request};

const SILENCE: Duration = Duration::from_secs(20);

fn wanted(worker: usize) -> Wanted {
    Wanted { worker: format!("w{worker}"), backfills: "[\"a\"]".into(), queues: None }
}

fn key(n: usize) -> Key {
    Key(vec![KeyPart { tag: "bigint".into(), text: n.to_string() }])
}

/// A schema with a running run of so many batches.
async fn planned(batches: usize, concurrency: Option<u32>) -> Option<(Schema, PgPool, RunId)> {
    let schema = Schema::new().await?;
    crate::store::postgres::migrate::apply(&schema.options()).await.unwrap();
    let pool = schema.pool();
    let mut conn = pool.acquire().await.unwrap();
    let run = runs::insert::<Postgres>(&mut conn, &new_run(concurrency)).await.unwrap().unwrap();
    let (role, _) = plans::take::<Postgres>(&mut conn, run, "planner").await.unwrap().unwrap();
    let ranges: Vec<_> =
        (0..batches).map(|n| (KeyRange { after: (n > 0).then(|| key(n)), upto: key(n + 1) }, 1)).collect();
    let step = Advance { from: None, to: Some(&key(batches)), batches: &ranges, position: 1, done: true, call: false };
    plans::advance::<Postgres>(&mut conn, &role, &step).await.unwrap().unwrap();
    Some((schema, pool, run))
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

async fn claim(conn: &mut PgConnection, worker: usize) -> Option<Claim> {
    batches::claim::<Postgres>(conn, &wanted(worker), &[], None).await.unwrap()
}

async fn complete(schema: &Schema, conn: &mut PgConnection, claim: &Claim) -> bool {
    let session = schema.session(conn).await;
    let mut tx = Postgres::begin_batch(conn, &session, claim.fence().to_string(), SILENCE).await.unwrap();
    let completed = batches::complete::<Postgres>(&mut tx, claim, 1).await.unwrap();
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
            while batches::peek::<Postgres>(&mut conn, &wanted(worker), &[]).await.unwrap() {
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
            let open = "SELECT count(*) FROM data_drip_backfill_run_batches WHERE status IN ('pending', 'running')";
            while int(&mut conn, open).await > 0 {
                let Some(claim) = claim(&mut conn, worker).await else { continue };
                let running = "SELECT count(*) FROM data_drip_backfill_run_batches WHERE status = 'running'";
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

/// Completions that bring the next claim, side by side, with a bound and without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_of_batches_side_by_side_take_each_batch_once_and_keep_to_the_bound() {
    const BATCHES: usize = 120;
    for bound in [None, Some(3)] {
        let Some((schema, pool, _)) = planned(BATCHES, bound).await else { return };
        let schema = Arc::new(schema);
        let claimers = (0..6).map(|worker| {
            let (pool, schema) = (pool.clone(), Arc::clone(&schema));
            tokio::spawn(async move {
                let mut conn = pool.acquire().await.unwrap();
                let (mut done, mut most) = (Vec::new(), 0);
                let open = "SELECT count(*) FROM data_drip_backfill_run_batches WHERE status IN ('pending', 'running')";
                while int(&mut conn, open).await > 0 {
                    let mut next = claim(&mut conn, worker).await;
                    while let Some(mine) = next {
                        let running = "SELECT count(*) FROM data_drip_backfill_run_batches WHERE status = 'running'";
                        most = most.max(int(&mut conn, running).await);
                        done.push(mine.batch.position);
                        next = complete_and_claim(&schema, &mut conn, &mine, worker).await.unwrap();
                    }
                }
                (done, most)
            })
        });
        let (mut all, mut most) = (Vec::new(), 0);
        for claimer in claimers.collect::<Vec<_>>() {
            let (done, at_once) = claimer.await.unwrap();
            all.extend(done);
            most = most.max(at_once);
        }
        all.sort_unstable();
        assert_eq!(all, (1..=BATCHES as u64).collect::<Vec<_>>());
        assert!(most <= i64::from(bound.unwrap_or(6)), "{most} in flight");
    }
}

/// `None` when the claim is lost, which rolls back.
async fn complete_and_claim(
    schema: &Schema,
    conn: &mut PgConnection,
    mine: &Claim,
    worker: usize,
) -> Option<Option<Claim>> {
    let session = schema.session(conn).await;
    let mut tx = Postgres::begin_batch(conn, &session, mine.fence().to_string(), SILENCE).await.unwrap();
    let next = batches::complete_and_claim::<Postgres>(&mut tx, mine, 1, &wanted(worker), &[]).await.unwrap();
    if next.is_some() {
        tx.commit().await.unwrap();
    } else {
        tx.rollback().await.unwrap();
    }
    next
}

/// What a stop waits for may wait for nothing that the stop has: the batch is completed first, and what is claimed is not
/// waited for.
#[tokio::test]
async fn a_stop_now_that_meets_a_completion_with_its_next_claim_waits_and_lets_it_count() {
    let Some((schema, pool, run_id)) = planned(3, None).await else { return };
    let (mut worker, mut person) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let mine = claim(&mut worker, 1).await.unwrap();
    let session = schema.session(&mut worker).await;
    let mut tx = Postgres::begin_batch(&mut worker, &session, mine.fence().to_string(), SILENCE).await.unwrap();
    let next = batches::complete_and_claim::<Postgres>(&mut tx, &mine, 1, &wanted(1), &[]).await.unwrap();
    let next = next.unwrap().unwrap();
    let stopping = tokio::spawn(async move {
        runs::change::<Postgres>(&mut person, run_id, Request::Stop { now: true }, None).await.unwrap()
    });
    until_blocked(&pool, &schema).await;
    tx.commit().await.unwrap();
    assert!(matches!(stopping.await.unwrap(), Change::Done { .. }));
    let batch = batches::select::<Postgres>(&mut worker, &[mine.batch.id]).await.unwrap().pop().unwrap();
    assert_eq!(batch.status, BatchStatus::Completed);
    // Whatever became of the claim, its transaction does not begin.
    let seen = batches::check::<Postgres>(&mut worker, &next).await.unwrap();
    assert_ne!(seen.map(|seen| seen.status), Some(RunStatus::Running));
}

#[tokio::test]
async fn a_permit_is_free_however_its_batch_ended() {
    let Some((schema, pool, run_id)) = planned(6, Some(1)).await else { return };
    let mut conn = pool.acquire().await.unwrap();
    let conn = &mut *conn;
    let first = claim(conn, 1).await.unwrap();
    assert!(claim(conn, 2).await.is_none());
    assert!(!batches::peek::<Postgres>(conn, &wanted(2), &[]).await.unwrap(), "whoever looks first finds the same");
    assert!(complete(&schema, conn, &first).await);
    let released = claim(conn, 1).await.unwrap();
    batches::give_back::<Postgres>(conn, &released.fence(), &Unfinished::Released).await.unwrap();
    let failed = claim(conn, 1).await.unwrap();
    let how = Unfinished::GaveUp { error: "x".into(), counted: true };
    batches::give_back::<Postgres>(conn, &failed.fence(), &how).await.unwrap();
    let revoked = claim(conn, 1).await.unwrap();
    assert!(claim(conn, 2).await.is_none());
    runs::change::<Postgres>(conn, run_id, Request::Stop { now: true }, None).await.unwrap();
    runs::change::<Postgres>(conn, run_id, Request::Resume, None).await.unwrap();
    plans::take::<Postgres>(conn, run_id, "planner").await.unwrap().unwrap();
    assert!(!complete(&schema, conn, &revoked).await);
    assert!(claim(conn, 1).await.is_some());
}

/// The race that a permit's epoch is for: the claim that is being committed is not in this one's snapshot, but its permit is.
#[tokio::test]
async fn a_permit_given_away_a_moment_ago_is_not_given_twice() {
    let Some((_schema, pool, _)) = planned(2, Some(1)).await else { return };
    let (mut first, mut second) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    // Holds the second one's statement between its snapshot and its look at the permits.
    run(
        &mut first,
        "CREATE FUNCTION held() RETURNS boolean LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_advisory_xact_lock(7, 7); RETURN true; END $$;
         SELECT pg_advisory_lock(7, 7)",
    )
    .await;
    let statement = include_str!("../sql/postgres/claim_batch.sql")
        .replace("WHERE r.status = 'running'", "WHERE held() AND r.status = 'running'");
    assert!(statement.contains("held()"));
    let claiming = tokio::spawn(async move {
        let statement = Statement { sql: statement.into(), values: Vec::new() };
        let statement = statement.bind("w2").bind("[\"a\"]").bind(None::<String>).bind("[]").bind(0_i64);
        Postgres::fetch(&mut second, statement).await.unwrap().len()
    });
    while int(&mut first, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid = 7")
        .await
        == 0
    {
        tokio::task::yield_now().await;
    }
    assert!(claim(&mut first, 1).await.is_some());
    run(&mut first, "SELECT pg_advisory_unlock(7, 7)").await;
    assert_eq!(claiming.await.unwrap(), 0, "one permit, one claim");
}

#[tokio::test]
async fn a_completion_outside_its_own_transaction_completes_nothing() {
    let Some((schema, pool, _)) = planned(1, None).await else { return };
    let mut conn = pool.acquire().await.unwrap();
    let claim = claim(&mut conn, 1).await.unwrap();
    assert!(!batches::complete::<Postgres>(&mut conn, &claim, 1).await.unwrap(), "without one");
    let session = schema.session(&mut conn).await;
    let mut tx = Postgres::begin_batch(&mut conn, &session, "999/1".into(), SILENCE).await.unwrap();
    assert!(!batches::complete::<Postgres>(&mut tx, &claim, 1).await.unwrap(), "in another's");
    tx.rollback().await.unwrap();
    assert!(complete(&schema, &mut conn, &claim).await);
}

/// Whether a transaction begins that looks at the claim at once; the connection works afterwards, whatever has become of that.
async fn begins(conn: &mut PgConnection, session: &PostgresSession, claim: &Claim) -> bool {
    let error = match Postgres::begin_held(conn, session, claim.fence(), SILENCE).await {
        Ok(tx) => {
            tx.rollback().await.unwrap();
            None
        }
        Err(error) => Some(error),
    };
    if let Some(error) = &error {
        assert!(matches!(error, sqlx::Error::Database(_)), "{error}");
        Postgres::undo_begin(conn, session, error).await.unwrap();
    }
    let mut tx = Postgres::begin_batch(conn, session, claim.fence().to_string(), SILENCE).await.unwrap();
    batches::check::<Postgres>(&mut tx, claim).await.unwrap();
    tx.rollback().await.unwrap();
    error.is_none()
}

#[tokio::test]
async fn a_transaction_that_looks_at_its_claim_at_once_begins_while_that_is_held_and_its_run_runs() {
    let Some((schema, pool, run_id)) = planned(3, None).await else { return };
    let mut conn = pool.acquire().await.unwrap();
    let session = schema.session(&mut conn).await;
    let mine = claim(&mut conn, 1).await.unwrap();
    for others in [
        Claim { epoch: mine.epoch + 1, ..mine.clone() },
        Claim { worker: "it's \\ another".into(), ..mine.clone() },
        Claim { batch: RunBatch { id: BatchId(0), ..mine.batch.clone() }, ..mine.clone() },
    ] {
        assert!(!begins(&mut conn, &session, &others).await, "{others:?}");
        assert!(session.looks(), "that was an answer");
        assert!(begins(&mut conn, &session, &mine).await);
    }
    assert!(complete(&schema, &mut conn, &mine).await);
    assert!(!begins(&mut conn, &session, &mine).await, "it is completed");
    let mine = claim(&mut conn, 1).await.unwrap();
    assert!(begins(&mut conn, &session, &mine).await);
    runs::change::<Postgres>(&mut conn, run_id, Request::Pause, None).await.unwrap();
    assert!(!begins(&mut conn, &session, &mine).await, "its run rests");
}

#[tokio::test]
async fn a_connection_whose_look_was_thrown_away_looks_as_it_did_before() {
    let Some((schema, pool, _)) = planned(1, None).await else { return };
    let mut conn = pool.acquire().await.unwrap();
    let session = schema.session(&mut conn).await;
    let mine = claim(&mut conn, 1).await.unwrap();
    assert!(begins(&mut conn, &session, &mine).await);
    // The next batch of the same connection meets what the one before has kept there.
    let next = schema.session(&mut conn).await;
    assert!(!begins(&mut conn, &next, &mine).await && begins(&mut conn, &next, &mine).await);
    sqlx::raw_sql("DEALLOCATE data_drip_look").execute(&mut *conn).await.unwrap();
    assert!(session.looks());
    assert!(!begins(&mut conn, &session, &mine).await);
    assert!(!session.looks(), "a pooler that mixes connections would make every batch look twice");
}

#[tokio::test]
async fn a_stop_now_does_not_wait_for_the_batch_in_flight_and_what_it_revokes_cannot_commit() {
    let Some((schema, pool, run_id)) = planned(2, None).await else { return };
    let (mut worker, mut person) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let claim = claim(&mut worker, 1).await.unwrap();
    let session = schema.session(&mut worker).await;
    let mut tx = Postgres::begin_batch(&mut worker, &session, claim.fence().to_string(), SILENCE).await.unwrap();
    assert_eq!(
        batches::check::<Postgres>(&mut tx, &claim).await.unwrap().map(|seen| seen.status),
        Some(RunStatus::Running)
    );
    let change = runs::change::<Postgres>(&mut person, run_id, Request::Stop { now: true }, None).await.unwrap();
    assert!(matches!(change, Change::Done { batches, .. } if batches.len() == 2));
    assert!(!batches::complete::<Postgres>(&mut tx, &claim, 1).await.unwrap());
}

#[tokio::test]
async fn a_stop_now_that_meets_a_completion_waits_for_its_commit_and_lets_it_count() {
    let Some((schema, pool, run_id)) = planned(1, None).await else { return };
    let (mut worker, mut person) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let claim = claim(&mut worker, 1).await.unwrap();
    let session = schema.session(&mut worker).await;
    let mut tx = Postgres::begin_batch(&mut worker, &session, claim.fence().to_string(), SILENCE).await.unwrap();
    assert!(batches::complete::<Postgres>(&mut tx, &claim, 1).await.unwrap());
    let stopping = tokio::spawn(async move {
        runs::change::<Postgres>(&mut person, run_id, Request::Stop { now: true }, None).await.unwrap()
    });
    until_blocked(&pool, &schema).await;
    tx.commit().await.unwrap();
    assert!(matches!(stopping.await.unwrap(), Change::Done { batches, .. } if batches.is_empty()));
    let batch = batches::select::<Postgres>(&mut worker, &[claim.batch.id]).await.unwrap().pop().unwrap();
    assert_eq!(batch.status, BatchStatus::Completed);
}

/// Until some statement on this schema's tables waits for a lock.
async fn until_blocked(pool: &PgPool, schema: &Schema) {
    let mut conn = pool.acquire().await.unwrap();
    loop {
        let blocked: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = $1 AND EXISTS (SELECT 1 FROM pg_locks w WHERE w.pid = l.pid AND NOT w.granted)",
        )
        .bind(schema.name())
        .fetch_one(&mut *conn)
        .await
        .unwrap();
        if blocked > 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_resume_that_meets_the_same_run_being_started_names_it() {
    let Some((schema, pool, old)) = planned(1, None).await else { return };
    let mut conn = pool.acquire().await.unwrap();
    runs::change::<Postgres>(&mut conn, old, Request::Stop { now: false }, None).await.unwrap();
    // Started, and not committed yet: nobody sees it, but its key is taken.
    let mut host = pool.begin().await.unwrap();
    let newer = runs::insert::<Postgres>(&mut host, &new_run(None)).await.unwrap().unwrap();
    let resuming =
        tokio::spawn(async move { runs::change::<Postgres>(&mut conn, old, Request::Resume, None).await.unwrap() });
    until_blocked(&pool, &schema).await;
    host.commit().await.unwrap();
    assert_eq!(resuming.await.unwrap(), Change::Duplicate(newer));
}

/// PostgreSQL keeps a plan for as long as it has no new statistics, however much the table has grown since.
#[tokio::test]
async fn what_was_planned_for_a_handful_of_batches_is_planned_anew_when_there_are_many() {
    let Some((schema, pool, _)) = planned(20, None).await else { return };
    let mut conn = pool.acquire().await.unwrap();
    // New statistics of any of them would have the statement planned anew.
    for table in ["data_drip_backfill_run_batches", "data_drip_backfill_runs", "data_drip_run_permits"] {
        run(&mut conn, &format!("ALTER TABLE {table} SET (autovacuum_enabled = false)")).await;
    }
    run(&mut conn, "ANALYZE data_drip_backfill_run_batches").await;
    let session = schema.session(&mut conn).await;
    let mut mine = claim(&mut conn, 1).await.unwrap();
    let mut scans = Vec::new();
    for number in 1..=80 {
        let mut tx = Postgres::begin_batch(&mut conn, &session, mine.fence().to_string(), SILENCE).await.unwrap();
        let scanned =
            "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relid = 'data_drip_backfill_run_batches'::regclass";
        let before = int(&mut tx, scanned).await;
        batches::check::<Postgres>(&mut tx, &mine).await.unwrap().unwrap();
        let next = batches::complete_and_claim::<Postgres>(&mut tx, &mine, 1, &wanted(1), &[]).await.unwrap();
        scans.push(int(&mut tx, scanned).await - before);
        tx.commit().await.unwrap();
        mine = next.unwrap().unwrap();
        if number == 10 {
            run(
                &mut conn,
                "INSERT INTO data_drip_backfill_run_batches (run_id, position, upto_key, planned_size, status, due_at)
                 SELECT 1, i, '[]', 1, 'pending', 0 FROM generate_series(1000, 3000) AS i",
            )
            .await;
        }
    }
    // It stays so for a while, or not: what others change in the catalogue has it planned anew as well, when it is more
    // than the session keeps up with.
    assert!(scans[..10].iter().all(|&scans| scans > 0), "else there is nothing to be seen here: {scans:?}");
    assert_eq!(scans[70], 0, "{scans:?}");
}

/// A claim, a completion and a look at what is open stay as quick with many batches and many runs as with few.
#[tokio::test]
async fn claims_and_settling_read_what_they_need_and_no_more() {
    let Some((_schema, pool, run_id)) = planned(2, Some(1)).await else { return };
    let mut conn = pool.acquire().await.unwrap();
    run(
        &mut conn,
        "INSERT INTO data_drip_backfill_run_batches (run_id, position, upto_key, planned_size, status, due_at, processed, started_at, finished_at)
         SELECT 1, i, '[]', 1, 'completed', 0, 1, 1, 1 FROM generate_series(10, 50000) AS i;
         INSERT INTO data_drip_backfill_run_batches (run_id, position, upto_key, planned_size, status, due_at)
         SELECT 1, i, '[]', 1, 'pending', 0 FROM generate_series(50001, 100000) AS i;
         INSERT INTO data_drip_backfill_runs (backfill, options, batch_size, sleep_ms, queue, max_attempts, status, created_at, started_at, finished_at, planned)
         SELECT 'a', '{}', 1, 0, 'default', 1, 'completed', 1, 1, 1, 1 FROM generate_series(1, 1000);
         ANALYZE data_drip_backfill_run_batches; ANALYZE data_drip_backfill_runs; ANALYZE data_drip_run_permits",
    )
    .await;
    assert_eq!(run_id, RunId(1));
    let mine = claim(&mut conn, 1).await.unwrap();
    let (batch, epoch) = (mine.batch.id.0, mine.epoch);
    run(&mut conn, &format!("SET data_drip.fence = '{}'", mine.fence())).await;
    let sql = Postgres::SQL;
    let lists = |statement: Statement| statement.bind("[\"a\"]").bind(None::<String>).bind("[]");
    let of_mine = |sql: &'static str| Statement::of(sql).bind(batch).bind("w1").bind(epoch).bind(1_i64);
    for (what, statement) in [
        // The look has nothing to find yet: there is one permit, and it is taken.
        ("peek", lists(Statement::of(sql.peek_batch))),
        ("complete and claim", lists(of_mine(Postgres::COMPLETE_AND_CLAIM.unwrap())).bind(0_i64)),
        ("complete", of_mine(sql.complete_batch)),
        ("settle", Statement::of(sql.select_settleable_runs)),
        ("held", Statement::of(sql.select_claims).bind("w")),
    ] {
        let (plan, pages) = explained(&mut conn, statement).await;
        assert!(!plan.contains("Seq Scan on data_drip_backfill_run_batches"), "{what}:\n{plan}");
        assert!(pages < 100, "{what} reads {pages} pages:\n{plan}");
    }
    let open = "SELECT count(*) FROM data_drip_backfill_run_batches WHERE id = 2 AND status = 'running'";
    assert_eq!(int(&mut conn, open).await, 1, "it was run to the end");
    run(&mut conn, "UPDATE data_drip_run_permits SET batch_id = NULL").await;
    let (plan, pages) = explained(&mut conn, lists(Statement::of(sql.claim_batch).bind("w")).bind(0_i64)).await;
    assert!(pages < 100 && !plan.contains("Seq Scan on data_drip_backfill_run_batches"), "{pages} pages:\n{plan}");
}

/// Asked after each batch that fails: with a million of them it must not read all that failed before.
#[tokio::test]
async fn whether_a_run_is_over_is_seen_without_a_look_at_every_batch_that_failed_or_waits() {
    /// What is seen of the run, in few pages.
    async fn look(conn: &mut PgConnection, run_id: RunId, what: &str) -> Option<RunStatus> {
        let (plan, pages) = explained(conn, Statement::of(Postgres::SQL.check_run).bind(run_id.0)).await;
        let scans = plan.contains("Seq Scan on data_drip_backfill_run_batches");
        assert!(pages < 100 && !scans, "{what}: {pages}:\n{plan}");
        runs::outcome::<Postgres>(conn, run_id).await.unwrap()
    }
    // Those that wait are its own, or another run's, so that the statistics tell of many and there is none.
    for (waiting, of) in [("its own", 1), ("another run's", 2)] {
        let Some((_schema, pool, run_id)) = planned(2, None).await else { return };
        let mut conn = pool.acquire().await.unwrap();
        let mine = claim(&mut conn, 1).await.unwrap();
        assert_eq!(run_id, RunId(1));
        run(
            &mut conn,
            &format!(
                "INSERT INTO data_drip_backfill_runs (backfill, options, batch_size, sleep_ms, queue, max_attempts, status, created_at, started_at, finished_at, planned)
                 VALUES ('a', '{{}}', 1, 0, 'default', 1, 'completed', 1, 1, 1, 1);
                 INSERT INTO data_drip_backfill_run_batches (run_id, position, upto_key, planned_size, status, due_at)
                 SELECT {of}, i, '[]', 1, 'pending', 0 FROM generate_series(100001, 150000) AS i;
                 INSERT INTO data_drip_backfill_run_batches (run_id, position, upto_key, planned_size, status, due_at, error, started_at, finished_at)
                 SELECT 1, i, '[]', 1, 'failed', 0, 'x', 1, 1 FROM generate_series(10, 50009) AS i;
                 ANALYZE data_drip_backfill_run_batches"
            ),
        )
        .await;
        assert_eq!(look(&mut conn, run_id, waiting).await, None, "one is at work, and others wait");
        if of == 1 {
            continue;
        }
        run(&mut conn, "DELETE FROM data_drip_backfill_run_batches WHERE run_id = 1 AND status = 'pending'").await;
        assert_eq!(look(&mut conn, run_id, "none waits").await, None, "one is at work");
        let how = Unfinished::GaveUp { error: "x".into(), counted: true };
        batches::give_back::<Postgres>(&mut conn, &mine.fence(), &how).await.unwrap();
        assert_eq!(look(&mut conn, run_id, "all have failed").await, Some(RunStatus::Failed));
        assert_eq!(runs::settle::<Postgres>(&mut conn, run_id).await.unwrap(), Some(RunStatus::Failed));
    }
}

/// What a statement did, and how many pages it looked at: it is run.
async fn explained(conn: &mut PgConnection, statement: Statement) -> (String, u64) {
    let statement = Statement { sql: format!("EXPLAIN (ANALYZE, BUFFERS) {}", statement.sql).into(), ..statement };
    let rows = Postgres::fetch(conn, statement).await.unwrap();
    let plan: String = rows.iter().map(|row| Postgres::text(row, 0).unwrap().unwrap() + "\n").collect();
    let of_all = plan.lines().find(|line| line.contains("Buffers: shared")).unwrap_or_default();
    let pages = ["hit=", "read="].map(|kind| {
        let count = of_all.split_once(kind).and_then(|(_, rest)| rest.split(' ').next());
        count.map_or(0, |count| count.parse::<u64>().unwrap())
    });
    (plan, pages.iter().sum())
}
