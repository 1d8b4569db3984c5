//! What the integration tests share: a database file of its own for each test, kept when the test fails.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test binary uses its part")]

pub mod collector;

use std::path::{Path, PathBuf};
use std::time::Duration;

use data_drip::sqlite::prelude::DataDrip;
use data_drip::{Builder, Run, RunId, RunStatus};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Sqlite, SqlitePool};

/// A temporary database with a table `items (id, name, done, times)`.
pub struct Database {
    folder: PathBuf,
    pub pool: SqlitePool,
}

impl Database {
    /// With rows 1 to `rows`, none of them done.
    pub async fn with_items(rows: u32) -> Self {
        let database = Self::empty().await;
        database
            .run(&format!(
                "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, done INTEGER, times INTEGER NOT NULL);
                 WITH RECURSIVE n (i) AS (SELECT 1 WHERE {rows} > 0 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
                 INSERT INTO items SELECT i, 'item ' || i, NULL, 0 FROM n"
            ))
            .await;
        database
    }

    pub async fn empty() -> Self {
        let folder = std::env::temp_dir().join(format!("data_drip-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        let pool = pool_at(&folder.join("test.sqlite")).await;
        Self { folder, pool }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.join("test.sqlite")
    }

    pub async fn run(&self, script: &str) {
        sqlx::raw_sql(AssertSqlSafe(script.to_owned())).execute(&self.pool).await.unwrap();
    }

    pub async fn int(&self, query: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(&self.pool).await.unwrap()
    }

    /// A builder with a short poll and lease.
    pub fn builder(&self) -> Builder<Sqlite> {
        quick(DataDrip::builder(self.pool.clone()))
    }

    pub async fn drip(&self) -> DataDrip {
        self.builder().build().await.unwrap()
    }
}

pub fn quick(builder: Builder<Sqlite>) -> Builder<Sqlite> {
    builder.poll_interval(Duration::from_millis(25)).lease(Duration::from_secs(3))
}

pub async fn pool_at(path: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Off)
        .busy_timeout(Duration::from_secs(10));
    SqlitePoolOptions::new().max_connections(4).connect_with(options).await.unwrap()
}

impl Drop for Database {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", self.folder.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// Looks again and again until the run is in `status`, at most a minute.
pub async fn until_status(drip: &DataDrip, id: RunId, status: RunStatus) -> Run {
    until(async || Some(drip.run(id).await.unwrap()).filter(|run| run.status == status)).await
}

/// Looks again and again until there is something, at most a minute.
pub async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let since = std::time::Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "what was waited for did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
