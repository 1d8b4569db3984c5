use super::*;
use crate::key::{Key, KeyPart, KeyRange};
use crate::run::{BatchId, RunBatch};
use crate::status::BatchStatus;

fn key(n: u32) -> Key {
    Key(vec![KeyPart { tag: "integer".into(), text: n.to_string() }])
}

fn claim(transients: u32) -> Claim {
    let batch = RunBatch {
        id: BatchId(1),
        run_id: RunId(1),
        position: 1,
        range: KeyRange { after: None, upto: key(10) },
        planned_size: 10,
        processed: None,
        status: BatchStatus::Running,
        attempts: 0,
        losses: 0,
        worker: Some("w".into()),
        error: None,
        due_at: None,
        started_at: None,
        finished_at: None,
    };
    Claim { worker: "w".into(), epoch: 1, batch, transients }
}

#[test]
fn what_does_not_pass_is_tried_again_up_to_its_bound_and_no_attempt_is_counted() {
    for failed in 0..schedule::MOST_TRANSIENTS {
        let Ended::Unfinished(Unfinished::Transient { error, .. }) = transient(&claim(failed), "busy".into()) else {
            panic!("given up after {failed} failures")
        };
        assert_eq!(error, "busy");
    }
    let ended = transient(&claim(schedule::MOST_TRANSIENTS), "busy".into());
    let Ended::Unfinished(Unfinished::GaveUp { error, counted: false }) = ended else { panic!("tried for ever") };
    assert_eq!(error, "given up after 16 tries: busy");
}

/// A COMMIT that was sent and not answered, on a real file: the test holds the batch's transaction, and ends it as the
/// database may have.
#[cfg(feature = "sqlite")]
mod unknown_commit {
    use sqlx::Sqlite;
    use sqlx::sqlite::SqlitePool;

    use super::*;
    use crate::DataDrip;
    use crate::executor::Worker;
    use crate::store::plans::{self, Advance};
    use crate::store::runs::{self, NewRun};
    use crate::store::sqlite::testing::File;

    /// A running worker that serves nobody, and a run of two planned batches.
    async fn set_up(file: &File) -> (Worker<Sqlite>, SqlitePool) {
        let pool = SqlitePool::connect_with(file.options()).await.unwrap();
        let drip = DataDrip::<Sqlite>::builder(pool.clone()).queues(["nobody's"]).build().await.unwrap();
        let worker = drip.start();
        while !worker.engine.lease.is_held() {
            drip.core.signals.work.notified().await;
        }
        let mut conn = pool.acquire().await.unwrap();
        let new = NewRun {
            backfill: "a".into(),
            options: serde_json::Map::new(),
            batch_size: 10,
            sleep: Duration::ZERO,
            limit: None,
            queue: "default".into(),
            concurrency: None,
            max_attempts: 1,
            timeout_ms: None,
            backfiller: None,
            start_at: None,
        };
        let run = runs::insert::<Sqlite>(&mut conn, &new).await.unwrap().unwrap();
        let (role, _) = plans::take::<Sqlite>(&mut conn, run, "planner").await.unwrap().unwrap();
        let (first, second) = (key(10), key(20));
        let ranges = [
            (KeyRange { after: None, upto: first.clone() }, 10),
            (KeyRange { after: Some(first), upto: second.clone() }, 10),
        ];
        let step = Advance { from: None, to: Some(&second), batches: &ranges, position: 1, done: true, call: false };
        plans::advance::<Sqlite>(&mut conn, &role, &step).await.unwrap().unwrap();
        (worker, pool)
    }

    async fn next(worker: &Worker<Sqlite>, conn: &mut sqlx::SqliteConnection) -> Option<Claim> {
        let wanted = batches::Wanted { backfills: r#"["a"]"#.into(), queues: None, ..worker.engine.wanted.clone() };
        batches::claim::<Sqlite>(conn, &wanted, &[], None).await.unwrap()
    }

    /// The batch's transaction completes it and claims the next one; then it is committed or not, while the worker already
    /// asks what became of it. How that ends, and what the transaction had claimed.
    async fn ended(worker: &Worker<Sqlite>, pool: &SqlitePool, committed: bool) -> (Claim, Ended) {
        let mut conn = pool.acquire().await.unwrap();
        let claim = next(worker, &mut conn).await.unwrap();
        let cancel = worker.engine.core.signals.depart(&claim);
        let mut tx = Sqlite::begin(&mut conn).await.unwrap();
        assert!(batches::complete::<Sqlite>(&mut tx, &claim, 7).await.unwrap());
        let chained = next(worker, &mut tx).await.unwrap();
        let done = Done { processed: 7, sleep: Duration::ZERO, next: Some(Box::new(chained.clone())) };
        let engine = Arc::clone(&worker.engine);
        let attempt = Attempt { engine, claim, cancel, skip: Vec::new(), said: Capture::default() };
        let mut asking = Box::pin(attempt.after_unknown_commit(sqlx::Error::WorkerCrashed, done));
        // It waits for the transaction, whose outcome nobody knows yet.
        assert!(futures_now(&mut asking).await.is_none());
        if committed {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        (chained, asking.await)
    }

    /// What a future says without being waited for.
    async fn futures_now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|cx| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }

    #[tokio::test]
    async fn that_arrived_is_adopted_with_the_claim_that_it_brought() {
        let file = File::new();
        let (worker, pool) = set_up(&file).await;
        let (chained, ended) = ended(&worker, &pool, true).await;
        let Ended::Completed { processed, next, .. } = ended else { panic!("a completion was thrown away") };
        assert_eq!((processed, next.map(|next| *next)), (7, Some(chained)));
        worker.shutdown().await;
    }

    #[tokio::test]
    async fn that_was_lost_lets_the_batch_be_tried_again() {
        let file = File::new();
        let (worker, pool) = set_up(&file).await;
        let (_, ended) = ended(&worker, &pool, false).await;
        let Ended::Unfinished(Unfinished::Transient { error, .. }) = ended else { panic!("it is not in the database") };
        assert!(error.starts_with("the commit was lost"), "{error}");
        worker.shutdown().await;
    }

    #[tokio::test]
    async fn of_a_claim_that_was_completed_by_its_successor_is_not_adopted() {
        let file = File::new();
        let (worker, pool) = set_up(&file).await;
        let mut conn = pool.acquire().await.unwrap();
        let old = next(&worker, &mut conn).await.unwrap();
        batches::give_back::<Sqlite>(&mut conn, &old.fence(), &Unfinished::Released).await.unwrap();
        let new = next(&worker, &mut conn).await.unwrap();
        assert_eq!((old.batch.id, old.worker.as_str()), (new.batch.id, new.worker.as_str()));
        assert!(batches::complete::<Sqlite>(&mut conn, &new, 9).await.unwrap());
        drop(conn);
        let engine = Arc::clone(&worker.engine);
        let attempt = Attempt {
            engine,
            claim: old,
            cancel: CancellationToken::new(),
            skip: Vec::new(),
            said: Capture::default(),
        };
        let done = Done { processed: 7, sleep: Duration::ZERO, next: None };
        let ended = attempt.after_unknown_commit(sqlx::Error::WorkerCrashed, done).await;
        assert!(matches!(ended, Ended::Unfinished(Unfinished::Transient { .. })), "its own count is nowhere");
        worker.shutdown().await;
    }
}

/// On MySQL, where a batch's settings stay with its connection until they are set back.
#[cfg(feature = "mysql")]
mod link {
    use sqlx::MySql;

    use super::*;
    use crate::DataDrip;
    use crate::store::mysql::testing::{Schema, int};

    async fn settings(conn: &mut sqlx::MySqlConnection) -> (i64, i64) {
        (int(conn, "SELECT @@autocommit").await, int(conn, "SELECT CAST(@@innodb_lock_wait_timeout AS SIGNED)").await)
    }

    #[tokio::test]
    async fn of_a_chain_comes_back_as_it_was_when_the_next_batch_is_lost() {
        let Some(schema) = Schema::new().await else { return };
        let drip = DataDrip::<MySql>::builder(schema.pool()).queues(["nobody's"]).build().await.unwrap();
        let worker = drip.start();
        while !worker.engine.lease.is_held() {
            drip.core.signals.work.notified().await;
        }
        let mut link = Link::acquire(&schema.pool()).await.unwrap();
        let before = settings(&mut link).await;
        let (conn, session) = link.parts();
        MySql::begin_batch(conn, session, String::new(), Duration::from_secs(20))
            .await
            .unwrap()
            .commit()
            .await
            .unwrap();
        // Of a worker that was lost, and taken away before it is marked: there is no such batch any more.
        let mut lost = claim(0);
        lost.batch.losses = 1;
        let (link, ended) = run(&worker.engine, link, &lost, CancellationToken::new(), Vec::new()).await;
        assert!(matches!(ended, Ended::Lost));
        let mut link = link.unwrap();
        assert_eq!(settings(&mut link).await, before);
        link.release().await;
        worker.shutdown().await;
    }
}
