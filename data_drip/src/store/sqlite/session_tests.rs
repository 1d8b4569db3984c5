use std::time::{Duration, Instant};

use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{Connection, Executor};

use super::SqliteSession;
use crate::backend::{Backend, Session};
use crate::store::sqlite::testing::{File, attach, int, run};

const LEDGER: &str = "CREATE TABLE ledger (id INTEGER PRIMARY KEY, note TEXT); INSERT INTO ledger VALUES (1, 'old')";
/// Counts to a hundred million: seconds, if nobody ends it.
const LONG: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) SELECT count(*) FROM n";

/// What user code may do to the connection, and whether the transaction survives it.
async fn intact_after(script: &'static str) -> bool {
    let (file, mut conn) = File::with(LEDGER).await;
    let session = attach(&mut conn).await.unwrap();
    let mut tx = Sqlite::begin(&mut conn).await.unwrap();
    Sqlite::guard(&mut tx, &session).await.unwrap();
    for statement in script.split('|') {
        let _ = tx.execute(statement).await;
    }
    let intact = Sqlite::unguard(&mut tx, &session, false).await.unwrap();
    if intact {
        tx.commit().await.unwrap();
    } else {
        tx.rollback().await.unwrap();
    }
    let kept = int(&mut file.connect().await, "SELECT count(*) FROM ledger WHERE id > 1").await;
    assert_eq!(kept > 0, intact, "a broken transaction leaves nothing, an intact one everything: {script}");
    reusable(&mut conn).await;
    intact
}

/// The connection takes a transaction and commits it.
async fn reusable(conn: &mut SqliteConnection) {
    let mut tx = Sqlite::begin(conn).await.unwrap();
    run(&mut tx, "UPDATE ledger SET note = 'reused' WHERE id = 1").await;
    tx.commit().await.unwrap();
    assert_eq!(int(conn, "SELECT count(*) FROM ledger WHERE note = 'reused'").await, 1);
}

#[tokio::test]
async fn statements_and_savepoints_pass_the_guard() {
    for script in [
        "INSERT INTO ledger VALUES (2, 'x')",
        "SAVEPOINT a|INSERT INTO ledger VALUES (2, 'x')|RELEASE a",
        "INSERT INTO ledger VALUES (2, 'x')|SAVEPOINT a|INSERT INTO ledger VALUES (3, 'x')|ROLLBACK TO a|RELEASE a",
        "INSERT INTO ledger VALUES (2, 'x')|INSERT INTO ledger VALUES (1, 'conflict')",
        "INSERT INTO ledger VALUES (2, 'x')|INSERT OR FAIL INTO ledger VALUES (3, 'x'), (1, 'conflict')",
        "INSERT INTO ledger VALUES (2, 'x')|nonsense",
        "INSERT INTO ledger VALUES (2, 'x')|BEGIN",
        "INSERT INTO ledger VALUES (2, 'x')|SAVEPOINT forgotten",
        "CREATE TABLE other (id)|INSERT INTO ledger VALUES (2, 'x')",
    ] {
        assert!(intact_after(script).await, "{script}");
    }
}

#[tokio::test]
async fn a_transaction_that_user_code_ended_is_noticed_and_nothing_is_kept() {
    for script in [
        "INSERT INTO ledger VALUES (2, 'x')|COMMIT",
        "INSERT INTO ledger VALUES (2, 'x')|END",
        "INSERT INTO ledger VALUES (2, 'x')|ROLLBACK",
        "INSERT INTO ledger VALUES (2, 'x')|COMMIT; BEGIN",
        "INSERT INTO ledger VALUES (2, 'x')|COMMIT|BEGIN|INSERT INTO ledger VALUES (3, 'x')",
        "INSERT INTO ledger VALUES (2, 'x')|ROLLBACK|BEGIN IMMEDIATE|INSERT INTO ledger VALUES (3, 'x')",
        "INSERT INTO ledger VALUES (2, 'x')|ROLLBACK|BEGIN|INSERT INTO ledger VALUES (3, 'x')|COMMIT",
        "INSERT INTO ledger VALUES (2, 'x')|INSERT OR ROLLBACK INTO ledger VALUES (1, 'conflict')",
        "INSERT OR ROLLBACK INTO ledger VALUES (1, 'conflict')|INSERT INTO ledger VALUES (3, 'autocommit')",
        "INSERT OR ROLLBACK INTO ledger VALUES (1, 'conflict')|SAVEPOINT s|INSERT INTO ledger VALUES (3, 'x')|RELEASE s",
    ] {
        assert!(!intact_after(script).await, "{script}");
    }
}

async fn guarded(file: &File) -> (SqliteConnection, SqliteSession) {
    let mut conn = file.connect().await;
    let session = attach(&mut conn).await.unwrap();
    (conn, session)
}

#[tokio::test]
async fn a_nested_transaction_that_is_dropped_takes_only_its_own_writes_along() {
    let (file, _) = File::with(LEDGER).await;
    let (mut conn, session) = guarded(&file).await;
    let mut tx = Sqlite::begin(&mut conn).await.unwrap();
    Sqlite::guard(&mut tx, &session).await.unwrap();
    run(&mut tx, "INSERT INTO ledger VALUES (2, 'x')").await;
    let mut nested = tx.begin().await.unwrap();
    run(&mut nested, "INSERT INTO ledger VALUES (3, 'x')").await;
    drop(nested);
    assert!(Sqlite::unguard(&mut tx, &session, false).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(int(&mut file.connect().await, "SELECT max(id) FROM ledger").await, 2);
    reusable(&mut conn).await;
}

#[tokio::test]
async fn a_nested_transaction_that_is_leaked_is_noticed() {
    // Completing would release the savepoint and call that a commit.
    let (file, _) = File::with(LEDGER).await;
    let (mut conn, session) = guarded(&file).await;
    let mut tx = Sqlite::begin(&mut conn).await.unwrap();
    Sqlite::guard(&mut tx, &session).await.unwrap();
    run(&mut tx, "INSERT INTO ledger VALUES (2, 'x')").await;
    std::mem::forget(tx.begin().await.unwrap());
    assert!(!Sqlite::unguard(&mut tx, &session, false).await.unwrap());
    tx.rollback().await.unwrap();
    assert_eq!(int(&mut file.connect().await, "SELECT max(id) FROM ledger").await, 1);
    reusable(&mut conn).await;
}

#[tokio::test]
async fn a_commit_that_a_dropped_future_left_in_the_queue_is_refused() {
    let (file, _) = File::with(LEDGER).await;
    let (mut conn, session) = guarded(&file).await;
    let mut tx = Sqlite::begin(&mut conn).await.unwrap();
    Sqlite::guard(&mut tx, &session).await.unwrap();
    run(&mut tx, "INSERT INTO ledger VALUES (2, 'x')").await;
    {
        let mut commit = Box::pin(tx.execute("COMMIT"));
        // One poll sends the command; the drop leaves it there.
        std::future::poll_fn(|cx| {
            let _ = commit.as_mut().poll(cx);
            std::task::Poll::Ready(())
        })
        .await;
    }
    assert!(!Sqlite::unguard(&mut tx, &session, false).await.unwrap());
    tx.rollback().await.unwrap();
    assert_eq!(int(&mut file.connect().await, "SELECT max(id) FROM ledger").await, 1);
    reusable(&mut conn).await;
}

#[tokio::test]
async fn an_interrupt_ends_the_running_statement_and_the_later_ones() {
    let (_file, mut conn) = File::with(LEDGER).await;
    let session = attach(&mut conn).await.unwrap();
    let from_elsewhere = session.clone();
    let running = tokio::spawn(async move {
        let ended = conn.execute(LONG).await.unwrap_err();
        assert!(Sqlite::is_interrupted(&ended) && !Sqlite::is_transient(&ended), "{ended}");
        assert!(Sqlite::is_interrupted(&conn.execute(LONG).await.unwrap_err()));
        conn
    });
    std::thread::spawn(move || from_elsewhere.interrupt()).join().unwrap();
    let mut conn = running.await.unwrap();
    session.resume();
    assert_eq!(int(&mut conn, "SELECT count(*) FROM ledger").await, 1);
}

/// Would run for hours: that it ends at all, and with which error, shows that the deadline ended it.
const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

#[tokio::test]
async fn a_deadline_ends_a_long_statement_and_spares_the_rest() {
    let (_file, mut conn) = File::with(LEDGER).await;
    let session = attach(&mut conn).await.unwrap();
    session.deadline(Some(Instant::now() + Duration::from_millis(20)));
    assert!(Sqlite::is_interrupted(&conn.execute(ENDLESS).await.unwrap_err()));
    // Still in force, and long past.
    assert!(Sqlite::is_interrupted(&conn.execute(ENDLESS).await.unwrap_err()));
    session.deadline(None);
    run(
        &mut conn,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT count(*) FROM n",
    )
    .await;
}

#[tokio::test]
async fn a_write_that_was_interrupted_can_be_rolled_back_while_the_interrupt_lasts() {
    let (file, _) = File::with(LEDGER).await;
    let (mut conn, session) = guarded(&file).await;
    let mut tx = Sqlite::begin(&mut conn).await.unwrap();
    Sqlite::guard(&mut tx, &session).await.unwrap();
    let mut nested = tx.begin().await.unwrap();
    run(&mut nested, "INSERT INTO ledger VALUES (2, 'x')").await;
    session.deadline(Some(Instant::now()));
    session.interrupt();
    let write = "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) INSERT INTO ledger SELECT i, '' FROM n";
    // SQLite gives up the whole transaction with an interrupted write.
    assert!(Sqlite::is_interrupted(&nested.execute(write).await.unwrap_err()));
    drop(nested);
    assert!(!Sqlite::unguard(&mut tx, &session, false).await.unwrap());
    tx.rollback().await.unwrap();
    session.resume();
    session.deadline(None);
    assert_eq!(int(&mut file.connect().await, "SELECT max(id) FROM ledger").await, 1);
    reusable(&mut conn).await;
}

#[tokio::test]
async fn a_detached_connection_is_as_it_was() {
    let (_file, mut conn) = File::with(LEDGER).await;
    let session = attach(&mut conn).await.unwrap();
    session.interrupt();
    session.guard();
    Sqlite::detach(&mut conn).await.unwrap();
    run(
        &mut conn,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT count(*) FROM n",
    )
    .await;
    reusable(&mut conn).await;
}
