use std::future::Future;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnection, Postgres};
use sqlx::{Connection, Executor, Transaction};

use super::PostgresSession;
use crate::backend::{Backend, Session, Statement};
use crate::store::postgres::testing::{Schema, int, run};

const LEDGER: &str = "CREATE TABLE ledger (id bigint PRIMARY KEY, note text); INSERT INTO ledger VALUES (1, 'old')";
const SILENCE: Duration = Duration::from_secs(20);
/// Minutes, if nobody ends it.
const LONG: &str = "SELECT pg_sleep(300)";

async fn ledger() -> Option<(Schema, PgConnection, PostgresSession)> {
    let (schema, mut conn) = Schema::with(LEDGER).await?;
    let session = schema.session(&mut conn).await;
    Some((schema, conn, session))
}

async fn begun<'c>(conn: &'c mut PgConnection, session: &'c PostgresSession) -> Transaction<'c, Postgres> {
    let mut tx = Postgres::begin_batch(conn, session, "12/3".into(), SILENCE).await.unwrap();
    Postgres::guard(&mut tx, session).await.unwrap();
    tx
}

/// What user code may do to the connection, and whether the transaction survives it.
async fn intact_after(script: &'static str) -> Option<bool> {
    let (schema, mut conn, session) = ledger().await?;
    let mut tx = begun(&mut conn, &session).await;
    for statement in script.split('|') {
        let _ = tx.execute(statement).await;
    }
    let intact = Postgres::unguard(&mut tx, &session, false).await.unwrap();
    if intact {
        tx.commit().await.unwrap();
    } else {
        tx.rollback().await.unwrap();
    }
    assert!(!session.is_restless());
    reusable(&mut conn, &session).await;
    let kept = int(&mut schema.connect().await, "SELECT count(*) FROM ledger WHERE id > 1").await;
    assert!(!intact || kept > 0, "an intact transaction leaves everything: {script}");
    Some(intact)
}

/// The connection takes a batch's transaction and commits it.
async fn reusable(conn: &mut PgConnection, session: &PostgresSession) {
    let mut tx = begun(conn, session).await;
    run(&mut tx, "UPDATE ledger SET note = 'reused' WHERE id = 1").await;
    assert!(Postgres::unguard(&mut tx, session, false).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(int(conn, "SELECT count(*) FROM ledger WHERE note = 'reused'").await, 1);
}

#[tokio::test]
async fn statements_and_savepoints_pass_the_guard() {
    for script in [
        "INSERT INTO ledger VALUES (2, 'x')",
        "SAVEPOINT a|INSERT INTO ledger VALUES (2, 'x')|RELEASE a",
        "INSERT INTO ledger VALUES (2, 'x')|SAVEPOINT a|nonsense|ROLLBACK TO a",
        "INSERT INTO ledger VALUES (2, 'x')|SAVEPOINT forgotten",
        "INSERT INTO ledger VALUES (2, 'x')|BEGIN",
        "CREATE TABLE other (id integer)|INSERT INTO ledger VALUES (2, 'x')",
        "SET LOCAL lock_timeout = 0|SET application_name = 'mine'|INSERT INTO ledger VALUES (2, 'x')",
    ] {
        let Some(intact) = intact_after(script).await else { return };
        assert!(intact, "{script}");
    }
}

#[tokio::test]
async fn a_transaction_that_user_code_ended_is_noticed() {
    for script in [
        "INSERT INTO ledger VALUES (2, 'x')|COMMIT",
        "INSERT INTO ledger VALUES (2, 'x')|END",
        "INSERT INTO ledger VALUES (2, 'x')|ROLLBACK",
        "INSERT INTO ledger VALUES (2, 'x')|COMMIT; BEGIN",
        "INSERT INTO ledger VALUES (2, 'x')|COMMIT AND CHAIN",
        "INSERT INTO ledger VALUES (2, 'x')|ROLLBACK|BEGIN|INSERT INTO ledger VALUES (3, 'x')",
        "nonsense|COMMIT",
        "nonsense|ROLLBACK|BEGIN",
    ] {
        let Some(intact) = intact_after(script).await else { return };
        assert!(!intact, "{script}");
    }
}

#[tokio::test]
async fn a_transaction_that_an_error_has_spoilt_is_told_from_one_that_ended() {
    let Some((_schema, mut conn, session)) = ledger().await else { return };
    let mut tx = begun(&mut conn, &session).await;
    assert!(tx.execute("INSERT INTO ledger VALUES (1, 'conflict')").await.is_err());
    let error = Postgres::fetch(&mut tx, Statement::of("SELECT 1")).await.unwrap_err();
    assert!(Postgres::is_spoilt(&error) && !Postgres::is_transient(&error), "{error}");
    assert!(Postgres::unguard(&mut tx, &session, false).await.unwrap());
    tx.rollback().await.unwrap();
    reusable(&mut conn, &session).await;
}

#[tokio::test]
async fn a_nested_transaction_that_is_dropped_takes_only_its_own_writes_along() {
    let Some((schema, mut conn, session)) = ledger().await else { return };
    let mut tx = begun(&mut conn, &session).await;
    run(&mut tx, "INSERT INTO ledger VALUES (2, 'x')").await;
    let mut nested = tx.begin().await.unwrap();
    run(&mut nested, "INSERT INTO ledger VALUES (3, 'x')").await;
    drop(nested);
    assert!(Postgres::unguard(&mut tx, &session, false).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(int(&mut schema.connect().await, "SELECT max(id) FROM ledger").await, 2);
    reusable(&mut conn, &session).await;
}

#[tokio::test]
async fn a_nested_transaction_that_is_leaked_is_noticed() {
    // Completing would release the savepoint and call that a commit.
    let Some((schema, mut conn, session)) = ledger().await else { return };
    for answered in [true, false] {
        let mut tx = begun(&mut conn, &session).await;
        run(&mut tx, "INSERT INTO ledger VALUES (2, 'x')").await;
        std::mem::forget(tx.begin().await.unwrap());
        std::mem::forget(tx.begin().await.unwrap());
        assert!(!Postgres::unguard(&mut tx, &session, answered).await.unwrap());
        tx.rollback().await.unwrap();
        assert_eq!(int(&mut schema.connect().await, "SELECT max(id) FROM ledger").await, 1);
        reusable(&mut conn, &session).await;
    }
}

#[tokio::test]
async fn a_commit_that_a_dropped_future_left_in_the_queue_is_noticed() {
    let Some((_schema, mut conn, session)) = ledger().await else { return };
    let mut tx = begun(&mut conn, &session).await;
    run(&mut tx, "INSERT INTO ledger VALUES (2, 'x')").await;
    poll_once(tx.execute("COMMIT")).await;
    assert!(!Postgres::unguard(&mut tx, &session, false).await.unwrap());
    tx.rollback().await.unwrap();
    reusable(&mut conn, &session).await;
}

/// Sends what a future sends first, and drops it.
async fn poll_once<F: Future>(future: F) {
    let mut future = Box::pin(future);
    std::future::poll_fn(|cx| {
        let _ = future.as_mut().poll(cx);
        std::task::Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn what_was_interrupted_is_cancelled_and_rolled_back_at_once() {
    let Some((schema, mut conn, session)) = ledger().await else { return };
    let begin = Instant::now();
    let mut tx = begun(&mut conn, &session).await;
    run(&mut tx, "INSERT INTO ledger VALUES (2, 'x')").await;
    poll_once(tx.execute(LONG)).await;
    session.interrupt();
    assert!(session.is_interrupted() && session.is_restless());
    assert!(Postgres::unguard(&mut tx, &session, false).await.unwrap());
    tx.rollback().await.unwrap();
    session.resume();
    assert!(begin.elapsed() < Duration::from_mins(1), "nobody waited for the statement");
    assert_eq!(int(&mut schema.connect().await, "SELECT max(id) FROM ledger").await, 1);
    reusable(&mut conn, &session).await;
}

#[tokio::test]
async fn an_interruption_while_nothing_runs_hits_nothing() {
    let Some((_schema, mut conn, session)) = ledger().await else { return };
    let mut tx = begun(&mut conn, &session).await;
    session.interrupt();
    assert!(Postgres::unguard(&mut tx, &session, false).await.unwrap());
    tx.rollback().await.unwrap();
    session.resume();
    reusable(&mut conn, &session).await;
}

#[tokio::test]
async fn a_batchs_transaction_is_read_committed_and_bounded_whatever_the_host_has_set() {
    let Some((_schema, mut conn, session)) = ledger().await else { return };
    run(
        &mut conn,
        "SET default_transaction_isolation = 'serializable'; SET default_transaction_read_only = on; SET lock_timeout = 0",
    )
    .await;
    let show = |setting: &str| sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(format!("SHOW {setting}")));
    let mut tx = begun(&mut conn, &session).await;
    for (setting, value) in [
        ("transaction_isolation", "read committed"),
        ("transaction_read_only", "off"),
        ("lock_timeout", "800ms"),
        ("idle_in_transaction_session_timeout", "20s"),
        ("data_drip.fence", "12/3"),
    ] {
        assert_eq!(show(setting).fetch_one(&mut *tx).await.unwrap(), value, "{setting}");
    }
    let name = show("application_name").fetch_one(&mut *tx).await.unwrap();
    assert!(name.starts_with("data_drip ") && name.ends_with(" 12/3"), "{name}");
    tx.rollback().await.unwrap();
    for (setting, value) in
        [("lock_timeout", "0"), ("idle_in_transaction_session_timeout", "0"), ("data_drip.fence", "")]
    {
        assert_eq!(show(setting).fetch_one(&mut conn).await.unwrap(), value, "{setting} afterwards");
    }
}

#[tokio::test]
async fn a_transaction_that_says_nothing_for_too_long_is_ended_by_the_server() {
    let Some((schema, mut conn)) = Schema::with(LEDGER).await else { return };
    let session = schema.session(&mut conn).await;
    let mut tx = Postgres::begin_batch(&mut conn, &session, "1/1".into(), Duration::from_millis(50)).await.unwrap();
    run(&mut tx, "UPDATE ledger SET note = 'held' WHERE id = 1").await;
    // Waits for the row's lock, which the silent transaction gives up when it is ended.
    run(&mut schema.connect().await, "UPDATE ledger SET note = 'free' WHERE id = 1").await;
    let error = Postgres::fetch(&mut tx, Statement::of("SELECT 1")).await.unwrap_err();
    assert!(Postgres::is_transient(&error), "{error}");
}

#[tokio::test]
async fn a_row_that_somebody_has_locked_is_waited_for_within_bounds() {
    let Some((schema, mut conn, session)) = ledger().await else { return };
    let mut other = schema.connect().await;
    run(&mut other, "BEGIN; SELECT * FROM ledger FOR UPDATE").await;
    let mut tx = begun(&mut conn, &session).await;
    let error = tx.execute("UPDATE ledger SET note = 'x'").await.unwrap_err();
    assert!(Postgres::is_transient(&error), "{error}");
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn errors_that_pass_are_told_from_those_that_stay() {
    let Some((_schema, mut conn)) = Schema::with(LEDGER).await else { return };
    for (code, passes) in [
        ("40001", true),
        ("40P01", true),
        ("55P03", true),
        ("57P01", true),
        ("53300", true),
        ("08006", true),
        ("25P03", true),
        ("57014", false),
        ("23505", false),
        ("25P02", false),
        ("P0001", false),
        ("42P01", false),
    ] {
        let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$");
        let error = conn.execute(sqlx::AssertSqlSafe(raise)).await.unwrap_err();
        assert_eq!(Postgres::is_transient(&error), passes, "{code}");
        let failure = crate::error::Failure::from(crate::error::Error::from(error));
        assert_eq!(failure.chain().any(Postgres::is_transient), passes, "{code} in a chain");
    }
    assert!(Postgres::is_transient(&sqlx::Error::PoolTimedOut));
    assert!(!Postgres::is_transient(&sqlx::Error::RowNotFound));
}
