//! A database file of its own for each test, kept when the test fails.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Sqlite};

use crate::backend::Backend;

pub(crate) struct File(PathBuf);

impl File {
    pub(crate) fn new() -> Self {
        Self(std::env::temp_dir().join(format!("data_drip-{}.sqlite", uuid::Uuid::now_v7())))
    }

    pub(crate) fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.0)
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
            .synchronous(sqlx::sqlite::SqliteSynchronous::Off)
    }

    pub(crate) async fn connect(&self) -> SqliteConnection {
        self.options().connect().await.unwrap()
    }

    /// A connection to a new database that `script` has set up.
    pub(crate) async fn with(script: &str) -> (Self, SqliteConnection) {
        let file = Self::new();
        let mut conn = file.connect().await;
        run(&mut conn, script).await;
        (file, conn)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", self.0.display());
            return;
        }
        for suffix in ["", "-wal", "-shm"] {
            let mut name = self.0.clone().into_os_string();
            name.push(suffix);
            let _ = std::fs::remove_file(name);
        }
    }
}

pub(crate) async fn run(conn: &mut SqliteConnection, script: &str) {
    conn.execute(AssertSqlSafe(script.to_owned())).await.unwrap();
}

pub(crate) async fn int(conn: &mut SqliteConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(conn).await.unwrap()
}

pub(crate) async fn attach(conn: &mut SqliteConnection) -> sqlx::Result<<Sqlite as Backend>::Session> {
    Sqlite::attach(conn, &Arc::default()).await
}
