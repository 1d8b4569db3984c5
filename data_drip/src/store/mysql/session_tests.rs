use std::future::Future;
use std::time::{Duration, Instant};

use sqlx::mysql::{MySql, MySqlConnection};
use sqlx::{Connection, Executor, Transaction};

use super::MySqlSession;
use crate::backend::{Backend, Session};
use crate::store::mysql::testing::{Schema, int, run, until_lock_wait};

const LEDGER: &str =
    "CREATE TABLE ledger (id bigint PRIMARY KEY, note text) ENGINE = InnoDB; INSERT INTO ledger VALUES (1, 'old')";
const SILENCE: Duration = Duration::from_secs(20);
/// Minutes, if nobody ends it.
const LONG: &str = "SELECT SLEEP(300)";

async fn ledger() -> Option<(Schema, MySqlConnection, MySqlSession)> {
    let (schema, mut conn) = Schema::with(LEDGER).await?;
    let session = schema.session(&mut conn).await;
    Some((schema, conn, session))
}

async fn begun<'c>(conn: &'c mut MySqlConnection, session: &'c MySqlSession) -> Transaction<'c, MySql> {
    let mut tx = MySql::begin_batch(conn, session, "12/3".into(), SILENCE).await.unwrap();
    MySql::guard(&mut tx, session).await.unwrap();
    tx
}

/// What user code may do to the connection, and whether the transaction survives it.
async fn intact_after(script: &'static str) -> Option<bool> {
    let (schema, mut conn, session) = ledger().await?;
    let mut tx = begun(&mut conn, &session).await;
    for statement in script.split('|') {
        let _ = tx.execute(statement).await;
    }
    let intact = MySql::unguard(&mut tx, &session, false).await.unwrap();
    if intact {
        tx.commit().await.unwrap();
    } else {
        tx.rollback().await.unwrap();
    }
    MySql::finish_batch(&mut conn, &session).await.unwrap();
    assert!(!session.is_restless());
    reusable(&mut conn, &session).await;
    let kept = int(&mut schema.connect().await, "SELECT COUNT(*) FROM ledger WHERE id = 2").await;
    assert!(!intact || kept > 0, "an intact transaction leaves everything: {script}");
    let after = int(&mut schema.connect().await, "SELECT COUNT(*) FROM ledger WHERE id > 2").await;
    assert_eq!(after, 0, "nothing of what follows the end is kept: {script}");
    Some(intact)
}

/// The connection takes a batch's transaction and commits it, and then commits statement by statement again.
async fn reusable(conn: &mut MySqlConnection, session: &MySqlSession) {
    let mut tx = begun(conn, session).await;
    run(&mut tx, "UPDATE ledger SET note = 'reused' WHERE id = 1").await;
    assert!(MySql::unguard(&mut tx, session, true).await.unwrap());
    tx.commit().await.unwrap();
    MySql::finish_batch(conn, session).await.unwrap();
    assert_eq!(int(conn, "SELECT COUNT(*) FROM ledger WHERE note = 'reused'").await, 1);
    assert_eq!(int(conn, "SELECT CAST(@@autocommit AS SIGNED)").await, 1);
}

#[tokio::test]
async fn statements_and_savepoints_pass_the_guard() {
    for script in [
        "INSERT INTO ledger VALUES (2, 'x')",
        "SAVEPOINT a|INSERT INTO ledger VALUES (2, 'x')|RELEASE SAVEPOINT a",
        "INSERT INTO ledger VALUES (2, 'x')|SAVEPOINT a|nonsense|ROLLBACK TO a",
        "INSERT INTO ledger VALUES (2, 'x')|SAVEPOINT forgotten",
        "INSERT INTO ledger VALUES (2, 'x')|INSERT INTO ledger VALUES (2, 'duplicate')",
        "CREATE TEMPORARY TABLE other (id integer)|INSERT INTO ledger VALUES (2, 'x')",
        "SET innodb_lock_wait_timeout = 7|SET sql_mode = 'ANSI_QUOTES'|INSERT INTO ledger VALUES (2, 'x')",
    ] {
        let Some(intact) = intact_after(script).await else { return };
        assert!(intact, "{script}");
    }
}

#[tokio::test]
async fn a_transaction_that_user_code_ended_is_noticed_and_what_it_wrote_afterwards_is_not_kept() {
    for script in [
        "INSERT INTO ledger VALUES (2, 'x')|COMMIT",
        "INSERT INTO ledger VALUES (2, 'x')|COMMIT|INSERT INTO ledger VALUES (3, 'x')",
        "INSERT INTO ledger VALUES (2, 'x')|ROLLBACK",
        "INSERT INTO ledger VALUES (2, 'x')|ROLLBACK|INSERT INTO ledger VALUES (3, 'x')",
        "INSERT INTO ledger VALUES (2, 'x')|COMMIT; START TRANSACTION",
        "INSERT INTO ledger VALUES (2, 'x')|COMMIT AND CHAIN|INSERT INTO ledger VALUES (3, 'x')",
        "INSERT INTO ledger VALUES (2, 'x')|START TRANSACTION|INSERT INTO ledger VALUES (3, 'x')",
        "INSERT INTO ledger VALUES (2, 'x')|SET autocommit = 1",
        "INSERT INTO ledger VALUES (2, 'x')|CREATE TABLE other (id integer)|INSERT INTO ledger VALUES (3, 'x')",
        "INSERT INTO ledger VALUES (2, 'x')|ALTER TABLE ledger ADD COLUMN more integer",
    ] {
        let Some(intact) = intact_after(script).await else { return };
        assert!(!intact, "{script}");
    }
}

#[tokio::test]
async fn a_deadlock_whose_error_is_swallowed_is_noticed_and_nothing_is_kept() {
    let Some((schema, mut conn, session)) = ledger().await else { return };
    run(&mut conn, "INSERT INTO ledger VALUES (2, 'old'), (3, 'old')").await;
    let mut other = schema.connect().await;
    // The one that has written more is spared.
    run(
        &mut other,
        "SET innodb_lock_wait_timeout = 20; BEGIN; INSERT INTO ledger VALUES (11, 'x'), (12, 'x'), (13, 'x'), (14, 'x');
         UPDATE ledger SET note = 'theirs' WHERE id = 2",
    )
    .await;
    let mut tx = begun(&mut conn, &session).await;
    run(&mut tx, "UPDATE ledger SET note = 'ours' WHERE id = 3").await;
    let waiting = tokio::spawn(async move {
        run(&mut other, "UPDATE ledger SET note = 'theirs' WHERE id = 3; COMMIT").await;
    });
    let mut watcher = schema.connect().await;
    until_lock_wait(&mut watcher).await;
    let error = tx.execute("UPDATE ledger SET note = 'ours' WHERE id = 2").await.unwrap_err();
    assert!(MySql::is_transient(&error), "{error}");
    assert_eq!(super::super::number(&error), Some(1213), "{error}");
    waiting.await.unwrap();
    // User code goes on as if nothing had been.
    run(&mut tx, "INSERT INTO ledger VALUES (4, 'ours')").await;
    assert!(!MySql::unguard(&mut tx, &session, true).await.unwrap());
    tx.rollback().await.unwrap();
    assert_eq!(int(&mut watcher, "SELECT COUNT(*) FROM ledger WHERE note = 'ours'").await, 0);
    MySql::finish_batch(&mut conn, &session).await.unwrap();
}

#[tokio::test]
async fn a_nested_transaction_that_is_dropped_takes_only_its_own_writes_along() {
    let Some((schema, mut conn, session)) = ledger().await else { return };
    let mut tx = begun(&mut conn, &session).await;
    run(&mut tx, "INSERT INTO ledger VALUES (2, 'x')").await;
    let mut nested = tx.begin().await.unwrap();
    run(&mut nested, "INSERT INTO ledger VALUES (3, 'x')").await;
    drop(nested);
    assert!(MySql::unguard(&mut tx, &session, false).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(int(&mut schema.connect().await, "SELECT MAX(id) FROM ledger").await, 2);
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
        assert!(!MySql::unguard(&mut tx, &session, answered).await.unwrap());
        tx.rollback().await.unwrap();
        assert_eq!(int(&mut schema.connect().await, "SELECT MAX(id) FROM ledger").await, 1);
        reusable(&mut conn, &session).await;
    }
}

#[tokio::test]
async fn a_commit_that_a_dropped_future_left_in_the_queue_is_noticed() {
    let Some((_schema, mut conn, session)) = ledger().await else { return };
    let mut tx = begun(&mut conn, &session).await;
    run(&mut tx, "INSERT INTO ledger VALUES (2, 'x')").await;
    poll_once(tx.execute("COMMIT")).await;
    assert!(!MySql::unguard(&mut tx, &session, false).await.unwrap());
    tx.rollback().await.unwrap();
    reusable(&mut conn, &session).await;
}

/// The driver takes what is left of the answer for that of the next statement: no such connection may go on.
#[tokio::test]
async fn a_statement_that_was_dropped_while_it_was_prepared_costs_the_connection_and_nothing_is_kept() {
    let Some((schema, mut conn, session)) = ledger().await else { return };
    let mut tx = begun(&mut conn, &session).await;
    run(&mut tx, "INSERT INTO ledger VALUES (2, 'x')").await;
    // Prepared only once the table is free, so that the answer cannot have come by the time it is dropped. To prepare waits
    // for no lock but an exclusive one, or one that is asked for: LOCK TABLES would not do.
    let mut reader = schema.connect().await;
    run(&mut reader, "CREATE TABLE busy (id integer, note text) ENGINE = InnoDB; BEGIN; SELECT id FROM busy").await;
    let mut other = schema.connect().await;
    let emptied = tokio::spawn(async move { run(&mut other, "TRUNCATE TABLE busy").await });
    let waiting = "SELECT COUNT(*) FROM information_schema.processlist
        WHERE db = DATABASE() AND state = 'Waiting for table metadata lock'";
    while int(&mut reader, waiting).await == 0 {
        tokio::task::yield_now().await;
    }
    poll_once(sqlx::query("INSERT INTO busy VALUES (?, ?)").bind(3).bind("x").execute(&mut *tx)).await;
    run(&mut reader, "COMMIT").await;
    emptied.await.unwrap();
    let unguarded = MySql::unguard(&mut tx, &session, false).await;
    assert!(unguarded.is_err(), "{unguarded:?}");
    let _ = tx.rollback().await;
    assert!(session.is_restless(), "it is closed, and not given back");
    assert!(MySql::begin_batch(&mut conn, &session, "1/1".into(), SILENCE).await.is_err());
    assert_eq!(int(&mut schema.connect().await, "SELECT MAX(id) FROM ledger").await, 1);
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
async fn what_was_interrupted_is_closed_and_rolled_back_at_once() {
    let Some((schema, mut conn, session)) = ledger().await else { return };
    let begin = Instant::now();
    let mut tx = begun(&mut conn, &session).await;
    run(&mut tx, "INSERT INTO ledger VALUES (2, 'x')").await;
    poll_once(tx.execute(LONG)).await;
    session.interrupt();
    assert!(session.is_interrupted() && session.is_restless());
    assert!(MySql::unguard(&mut tx, &session, false).await.unwrap());
    let error = tx.rollback().await.unwrap_err();
    assert!(MySql::is_transient(&error), "{error}");
    session.resume();
    assert!(session.is_restless(), "it is closed, and not given back");
    assert!(begin.elapsed() < Duration::from_mins(1), "nobody waited for the statement");
    // Waits for the lock of the row until it is rolled back.
    run(&mut schema.connect().await, "INSERT INTO ledger VALUES (2, 'theirs')").await;
}

#[tokio::test]
async fn a_batchs_transaction_is_read_committed_and_bounded_whatever_the_host_has_set() {
    let Some((schema, mut conn, session)) = ledger().await else { return };
    run(
        &mut conn,
        "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE; SET SESSION TRANSACTION READ ONLY;
         SET SESSION innodb_lock_wait_timeout = 33, SESSION wait_timeout = 4444, SESSION sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES'",
    )
    .await;
    for _ in 0..2 {
        let mut tx = begun(&mut conn, &session).await;
        run(&mut tx, "UPDATE ledger SET note = 'written' WHERE id = 1").await;
        // Sees what others have committed since its first look, and does not keep them from it.
        let rows = int(&mut tx, "SELECT COUNT(*) FROM ledger").await;
        run(&mut schema.connect().await, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; INSERT INTO ledger SELECT MAX(id) + 1, 'theirs' FROM ledger").await;
        assert_eq!(int(&mut tx, "SELECT COUNT(*) FROM ledger").await, rows + 1);
        assert_eq!(int(&mut tx, "SELECT CAST(@@innodb_lock_wait_timeout AS SIGNED)").await, 1);
        assert_eq!(int(&mut tx, "SELECT CAST(@@wait_timeout AS SIGNED)").await, 20);
        assert_eq!(int(&mut tx, "SELECT CAST(@@autocommit AS SIGNED)").await, 0);
        tx.rollback().await.unwrap();
    }
    session.0.guarded.store(false, std::sync::atomic::Ordering::Release);
    MySql::finish_batch(&mut conn, &session).await.unwrap();
    assert_eq!(int(&mut conn, "SELECT CAST(@@innodb_lock_wait_timeout AS SIGNED)").await, 33);
    assert_eq!(int(&mut conn, "SELECT CAST(@@wait_timeout AS SIGNED)").await, 4444);
    assert_eq!(int(&mut conn, "SELECT CAST(@@autocommit AS SIGNED)").await, 1);
}

#[tokio::test]
async fn a_batch_reads_all_its_rows_whatever_limit_the_host_has_set() {
    let Some((schema, mut conn, session)) = ledger().await else { return };
    run(&mut conn, "SET SESSION sql_select_limit = 1; INSERT INTO ledger VALUES (11, 'x'), (12, 'x'), (13, 'x')").await;
    let mut tx = begun(&mut conn, &session).await;
    assert!(tx.fetch_all("SELECT id FROM ledger").await.unwrap().len() >= 3);
    tx.rollback().await.unwrap();
    session.finish(&mut conn).await.unwrap();
    assert_eq!(int(&mut conn, "SELECT CAST(@@sql_select_limit AS SIGNED)").await, 1, "the host's again");
    let mut own = schema.connect().await;
    run(&mut own, "SET SESSION sql_select_limit = 1").await;
    super::own(&mut own).await.unwrap();
    assert!(own.fetch_all("SELECT id FROM ledger").await.unwrap().len() >= 3);
}

#[tokio::test]
async fn a_transaction_that_says_nothing_for_too_long_is_ended_by_the_server() {
    let Some((schema, mut conn, session)) = ledger().await else { return };
    let mut tx = MySql::begin_batch(&mut conn, &session, "1/1".into(), Duration::from_millis(50)).await.unwrap();
    run(&mut tx, "UPDATE ledger SET note = 'held' WHERE id = 1").await;
    // Waits for the row's lock, which the silent transaction gives up when it is ended.
    run(&mut schema.connect().await, "UPDATE ledger SET note = 'free' WHERE id = 1").await;
    let error = tx.execute("SELECT 1").await.unwrap_err();
    assert!(MySql::is_transient(&error), "{error}");
}

#[tokio::test]
async fn a_row_that_somebody_has_locked_is_waited_for_within_bounds() {
    let Some((schema, mut conn, session)) = ledger().await else { return };
    let mut other = schema.connect().await;
    run(&mut other, "BEGIN; SELECT * FROM ledger FOR UPDATE").await;
    let mut tx = begun(&mut conn, &session).await;
    let error = tx.execute("UPDATE ledger SET note = 'x'").await.unwrap_err();
    assert!(MySql::is_transient(&error), "{error}");
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn a_table_that_somebody_has_locked_is_waited_for_within_bounds() {
    let Some((schema, mut conn, session)) = ledger().await else { return };
    let mut other = schema.connect().await;
    run(&mut other, "LOCK TABLES ledger WRITE").await;
    let mut tx = begun(&mut conn, &session).await;
    let error = tx.execute("UPDATE ledger SET note = 'x'").await.unwrap_err();
    assert!(MySql::is_transient(&error), "{error}");
    tx.rollback().await.unwrap();
    session.finish(&mut conn).await.unwrap();
    assert_eq!(int(&mut conn, "SELECT CAST(@@lock_wait_timeout AS SIGNED)").await, 86_400, "the host's again");
}

#[tokio::test]
async fn errors_that_pass_are_told_from_those_that_stay() {
    let Some((_schema, mut conn)) = Schema::with(LEDGER).await else { return };
    for (number, passes) in [
        (1205, true),
        (1213, true),
        (1020, true),
        (1040, true),
        (1053, true),
        (1927, true),
        (3169, true),
        (4031, true),
        (3100, true),
        (3101, true),
        (1836, true),
        (1047, true),
        (1290, false),
        (1317, false),
        (1062, false),
        (1064, false),
        (1146, false),
        (1969, false),
    ] {
        let raise = format!("SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = 'x'");
        let error = conn.execute(sqlx::AssertSqlSafe(raise)).await.unwrap_err();
        assert_eq!(MySql::is_transient(&error), passes, "{number}");
        let failure = crate::error::Failure::from(crate::error::Error::from(error));
        assert_eq!(failure.chain().any(MySql::is_transient), passes, "{number} in a chain");
    }
    let raise = "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1290, MESSAGE_TEXT = 'The MariaDB server is running with the \
         --read-only option so it cannot execute this statement'";
    assert!(MySql::is_transient(&conn.execute(raise).await.unwrap_err()), "another server has taken over");
    assert!(MySql::is_transient(&sqlx::Error::PoolTimedOut));
    assert!(!MySql::is_transient(&sqlx::Error::RowNotFound));
}

#[tokio::test]
async fn a_deadline_ends_a_long_statement_and_spares_the_rest() {
    let Some((_schema, mut conn, session)) = ledger().await else { return };
    let begun = Instant::now();
    let long = crate::backend::Statement::of("SELECT SLEEP(300) FROM ledger");
    let ended = MySql::first_before(&mut conn, &session, begun + Duration::from_millis(30), long).await;
    assert!(MySql::is_interrupted(&ended.unwrap_err()));
    assert!(begun.elapsed() < Duration::from_mins(1));
    assert_eq!(int(&mut conn, "SELECT SLEEP(0.1)").await, 0, "the deadline ended with its statement");
}

/// Whether they change or not: a compare-and-set that hit its row must say so.
#[tokio::test]
async fn affected_rows_are_those_that_match() {
    let Some((_schema, mut conn, _)) = ledger().await else { return };
    for _ in 0..2 {
        let same = conn.execute("UPDATE ledger SET note = 'same' WHERE id = 1").await.unwrap();
        assert_eq!(same.rows_affected(), 1);
    }
}
