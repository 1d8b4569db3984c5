//! Connections of the host's pool in the engine's hands: bounded for as long as that takes, and afterwards as they were.

use std::time::Duration;

use sqlx::mysql::{MySql, MySqlConnection, MySqlPoolOptions};
use sqlx::{Executor, MySqlPool};

use crate::backend::Backend;
use crate::core::Link;
use crate::lent::Lent;
use crate::run::RunId;
use crate::status::RunStatus;
use crate::store::mysql::testing::{Schema, int, run, until_lock_wait};
use crate::store::runs::{self, Change, NewRun, Request};

const HOSTS: &str =
    "SET SESSION innodb_lock_wait_timeout = 33, SESSION lock_wait_timeout = 44, SESSION wait_timeout = 4444,
     SESSION sql_select_limit = 55 /*M! , SESSION idle_transaction_timeout = 666 */";

/// A pool of the host's with one connection, set up as the host likes it, and a run.
async fn host() -> Option<(Schema, MySqlPool, RunId)> {
    let schema = Schema::new().await?;
    crate::store::mysql::migrate::apply(&schema.options()).await.unwrap();
    let options = MySqlPoolOptions::new()
        .max_connections(1)
        .after_connect(|conn, _| Box::pin(async move { conn.execute(HOSTS).await.map(drop) }));
    let pool = options.connect_lazy_with(schema.options());
    let new = NewRun {
        backfill: "a".into(),
        options: serde_json::Map::new(),
        batch_size: 1,
        sleep: Duration::ZERO,
        limit: None,
        queue: "default".into(),
        concurrency: None,
        max_attempts: 1,
        timeout_ms: None,
        backfiller: None,
        start_at: None,
    };
    let run = runs::insert::<MySql>(&mut schema.connect().await, &new).await.unwrap().unwrap();
    Some((schema, pool, run))
}

async fn settings(conn: &mut MySqlConnection) -> String {
    let settings =
        "SELECT CONCAT_WS(' ', @@innodb_lock_wait_timeout, @@lock_wait_timeout, @@wait_timeout, @@sql_select_limit,
         CAST(@@autocommit AS SIGNED) /*M! , @@idle_transaction_timeout, @@in_predicate_conversion_threshold */)";
    sqlx::query_scalar(settings).fetch_one(conn).await.unwrap()
}

async fn number(conn: &mut MySqlConnection) -> i64 {
    int(conn, "SELECT CAST(CONNECTION_ID() AS SIGNED)").await
}

#[tokio::test]
async fn a_connection_of_the_hosts_is_bounded_while_it_is_lent_and_comes_back_as_it_was() {
    let Some((_schema, pool, id)) = host().await else { return };
    let mut conn = pool.acquire().await.unwrap();
    let (before, same) = (settings(&mut conn).await, number(&mut conn).await);
    assert!(before.starts_with("33 44 4444 55 1"), "{before}");
    drop(conn);
    for request in [Request::Pause, Request::Pause, Request::Retry] {
        let mut lent = Lent::<MySql>::of(&pool).await.unwrap();
        let within = settings(&mut lent).await;
        assert!(within.starts_with("2 2 10 18446744073709551615 1"), "{within}");
        let changed = runs::change::<MySql>(&mut lent, id, request, None).await;
        lent.after(changed).await.unwrap();
        let mut conn = pool.acquire().await.unwrap();
        assert_eq!((settings(&mut conn).await, number(&mut conn).await), (before.clone(), same), "{request:?}");
    }
    // A refusal of the database is an answer too; a transaction that it ends leaves its rollback in the queue.
    let mut lent = Lent::<MySql>::of(&pool).await.unwrap();
    let tx = MySql::begin(&mut lent).await.unwrap();
    drop(tx);
    let refused = lent.execute("SELECT nonsense").await.map(drop);
    lent.after(refused).await.unwrap_err();
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!((settings(&mut conn).await, number(&mut conn).await), (before, same));
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_any_more_leaves_neither_settings_nor_locks_behind() {
    let Some((schema, pool, id)) = host().await else { return };
    let mut conn = pool.acquire().await.unwrap();
    let (before, old) = (settings(&mut conn).await, number(&mut conn).await);
    drop(conn);
    let mut other = schema.connect().await;
    let mut held = MySql::begin(&mut other).await.unwrap();
    runs::lock::<MySql>(&mut held, id).await.unwrap().unwrap();
    let asked = {
        let pool = pool.clone();
        tokio::spawn(async move {
            let mut lent = Lent::<MySql>::of(&pool).await.unwrap();
            let changed = runs::change::<MySql>(&mut lent, id, Request::Pause, None).await;
            lent.after(changed).await
        })
    };
    until_lock_wait(&mut schema.connect().await).await;
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    held.rollback().await.unwrap();
    let mut conn = pool.acquire().await.unwrap();
    assert_ne!(number(&mut conn).await, old, "closed");
    assert_eq!(settings(&mut conn).await, before);
    drop(conn);
    // The next one gets the lock, and finds what the dropped one has not changed.
    let changed = runs::change::<MySql>(&mut other, id, Request::Stop { now: false }, None).await.unwrap();
    assert!(matches!(changed, Change::Done { from: RunStatus::Enqueued, .. }), "{changed:?}");
}

#[tokio::test]
async fn who_stands_still_in_the_middle_of_a_request_loses_the_runs_row() {
    let Some((schema, pool, id)) = host().await else { return };
    let mut link = Link::<MySql>::acquire(&pool).await.unwrap();
    let (conn, session) = link.parts();
    MySql::bound(conn, session, Duration::from_millis(50)).await.unwrap();
    let mut silent = MySql::begin(conn).await.unwrap();
    runs::lock::<MySql>(&mut silent, id).await.unwrap().unwrap();
    // Waits for the row, for as long as a server does by itself.
    let mut other = schema.connect().await;
    run(&mut other, "SET SESSION innodb_lock_wait_timeout = 50").await;
    let changed = runs::change::<MySql>(&mut other, id, Request::Pause, None).await.unwrap();
    assert!(matches!(changed, Change::Done { .. }), "{changed:?}");
    let error = silent.execute("SELECT 1").await.unwrap_err();
    assert!(MySql::is_transient(&error), "{error}");
}
